//! Who takes part: filter, guests, assignments. Whoever is proved to be out of scope leaves the managed groups; whoever
//! it cannot be said of is neither invited nor taken out.

use std::collections::BTreeSet;

use crate::support::*;
use entrain_domain::model::*;
use entrain_domain::plan::explain::MemberState;
use entrain_domain::plan::{Action, Approval, Guard, Plan, PlanInput, plan};
use entrain_domain::policy::{Existing, Expr, GroupMode, Guests, UserScope};
use entrain_domain::verify::verify;
use proptest::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "as the scope has it")]
fn filter(text: &str) -> Option<Expr> {
    Some(Expr::condition(text).unwrap())
}

/// Everybody in “Jira users”: ana and ben in Sales, cem in Eng, dan in no department. Converged without a filter.
fn settled() -> World {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana", "ben", "cem", "dan"])
        .group("Contractors", &["ben"])
        .group("Inner", &["cem"])
        .nest("Contractors", "Inner");
    for (name, department) in [("ana", "Sales"), ("ben", "Sales"), ("cem", "Eng")] {
        world.attributes.insert(name.into(), vec![("department", department.into())]);
    }
    world.converge();
    assert_eq!(world.members("Jira users"), ["ana", "ben", "cem", "dan"]);
    world
}

fn removed(plan: &Plan) -> Vec<String> {
    let removal = |step: &entrain_domain::plan::Step| match &step.action {
        Action::RemoveMember { person, .. } => Some(person.name.replace("Name ", "")),
        _ => None,
    };
    plan.steps.iter().filter_map(removal).collect()
}

#[test]
fn a_filter_that_does_not_hold_is_out_of_every_managed_group_in_the_same_run() {
    let mut world = settled();
    world.rules.scope.filter = filter(r#"user.department == "Sales""#);
    let plan = world.plan();
    assert_eq!(removed(&plan), ["cem", "dan"]);
    let reason = plan.steps[0].reason.to_string();
    assert!(
        reason.starts_with(
            "takes no part, though in “Jira users”: the filter of the scope does not hold for them"
        ),
        "{reason}"
    );
    let Action::RemoveMember { removal, .. } = &plan.steps[0].action else { panic!("a removal") };
    assert_eq!(format!("{:?}", removal.proof.evidence()), "OutOfScope(Filter)");
    world.converge();
    assert_eq!(world.members("Jira users"), ["ana", "ben"]);
    // Back again: the same memberships again.
    world.attributes.insert("dan".into(), vec![("department", "Sales".into())]);
    world.converge();
    assert_eq!(world.members("Jira users"), ["ana", "ben", "dan"]);
}

#[test]
fn somebody_for_whom_the_filter_fails_is_neither_invited_nor_taken_out() {
    let mut world = settled().group("Jira more", &["ana", "dan", "eve", "fay"]);
    world.attributes.insert("fay".into(), vec![("department", "Sales".into())]);
    world.rules.scope.filter = filter(r#"user.department.startsWith("S")"#);
    let plan = world.plan();
    assert_eq!(removed(&plan), ["cem"]);
    let invited: Vec<_> =
        plan.steps.iter().filter(|s| matches!(s.action, Action::CreateUser { .. })).collect();
    assert_eq!(invited.len(), 1, "{}", render(&plan));
    let asides: Vec<_> = plan.set_aside.iter().map(|a| a.object.clone()).collect();
    assert_eq!(asides.len(), 2, "{asides:?}");
    assert!(asides[0].contains("dan") && asides[1].contains("eve"), "{asides:?}");
    let aside = &plan.set_aside[0];
    assert!(aside.reason.contains("not set for this person: user.department"), "{}", aside.reason);
    assert!(aside.remedy.contains("has(user.department)"), "{}", aside.remedy);
    world.converge();
    assert_eq!(world.members("Jira more"), ["ana", "fay"]);
    assert!(world.members("Jira users").contains(&"dan".to_owned()));
}

#[test]
fn guests_can_be_left_out() {
    let mut world = settled();
    world.guests.insert("ben".into());
    world.rules.scope.guests = Guests::Exclude;
    let plan = world.converge();
    assert_eq!(removed(&plan), ["ben"]);
    assert!(plan.steps[0].reason.to_string().contains("guests take no part"));
    world.rules.scope.guests = Guests::Include;
    world.converge();
    assert_eq!(world.members("Jira users"), ["ana", "ben", "cem", "dan"]);
}

#[test]
fn a_filter_sees_membership_in_groups_that_take_no_part_by_name_or_id() {
    for text in [
        r#"!("Contractors" in groups)"#,
        r#"!("CONTRACTORS" in groups)"#,
        r#"!("g-Contractors" in groups)"#,
        r#""Jira users" in groups && !("Contractors" in groups)"#,
        r#"!("Contractors" in groups) && groups.exists(g, g.startsWith("Jira"))"#,
    ] {
        let mut world = settled();
        world.rules.scope.filter = filter(text);
        assert_eq!(world.rules.demand().asides.len(), 1 + usize::from(text.contains("Jira users")), "{text}");
        let plan = world.plan();
        assert_eq!(removed(&plan), ["ben", "cem"], "{text}, nested members included");
    }
}

#[test]
fn a_group_of_the_filter_that_is_not_known_decides_nothing() {
    for lost in [true, false] {
        let mut world = settled().group("Jira more", &["ana", "gil"]);
        world.rules.scope.filter = filter(r#"!("Contractors" in groups)"#);
        if lost {
            world.groups.remove("Contractors");
        } else {
            world.groups.get_mut("Inner").unwrap().unread = true;
        }
        let plan = world.plan();
        assert!(removed(&plan).is_empty(), "{}", render(&plan));
        assert!(
            plan.steps.iter().all(|s| matches!(s.action, Action::CreateGroup { .. })),
            "nobody is invited or added: {}",
            render(&plan)
        );
        let [aside] = plan.set_aside.as_slice() else { panic!("one for all: {:?}", plan.set_aside) };
        assert_eq!(aside.object, "scope of 5 people");
        assert!(aside.reason.contains("Contractors"), "{}", aside.reason);
        assert!(plan.held.is_empty(), "doubts are no empty scope");
    }
}

#[test]
fn a_filter_that_does_not_look_at_a_group_does_not_mind_it() {
    let mut world = settled().group("Jira broken", &[]);
    world.groups.get_mut("Jira broken").unwrap().unread = true;
    world.rules.scope.filter = filter(r#"!("Contractors" in groups)"#);
    assert_eq!(removed(&world.plan()), ["ben", "cem"]);
    world.rules.scope.filter = filter(r#"groups.exists(g, g == "Jira users")"#);
    let plan = world.plan();
    assert!(removed(&plan).is_empty());
    assert!(plan.set_aside.iter().any(|a| a.reason.contains("looks at the group")), "{}", render(&plan));
}

#[test]
fn what_is_hidden_is_no_ground_for_a_removal() {
    let mut world = settled();
    world.rules.scope.filter = filter(r#"user.department == "Sales""#);
    // Graph answers null for everything that the application may not see (microsoft-graph.md 0.7).
    world.attributes.clear();
    for name in ["ana", "ben", "cem", "dan"] {
        world.users.insert(name.into(), AccountState::Unknown);
    }
    assert!(removed(&world.plan()).is_empty());
}

fn with_assignments() -> World {
    let mut world = settled();
    world.rules.scope.users = UserScope::Assigned(application());
    world.assigned = Some((vec!["ana".into()], vec!["Contractors".into()]));
    world
}

#[test]
fn assignment_is_by_person_or_as_direct_member_of_an_assigned_group() {
    let mut world = with_assignments();
    let plan = world.plan();
    // cem is only in a group nested in the assigned one.
    assert_eq!(removed(&plan), ["cem", "dan"]);
    assert!(plan.steps[0].reason.to_string().contains("the application is not assigned to them"));
    // Assigned, and in no group at all: gets an account all the same.
    world = world.user("gus");
    world.assigned.as_mut().unwrap().0.push("gus".into());
    let plan = world.converge();
    let invited = plan.steps.iter().find(|s| matches!(s.action, Action::CreateUser { .. })).unwrap();
    assert!(invited.reason.to_string().contains("is assigned to them"), "{}", invited.reason);
    assert_eq!(world.members("Jira users"), ["ana", "ben"]);
}

#[test]
fn without_complete_assignments_nobody_is_left_out() {
    let mut unread = with_assignments();
    unread.assigned = None;
    let mut group = with_assignments();
    group.groups.get_mut("Contractors").unwrap().unread = true;
    let mut other = with_assignments();
    other.rules.scope.users = UserScope::Assigned(ApplicationId::parse("another").unwrap());
    let mut unlisted = with_assignments();
    unlisted.assigned.as_mut().unwrap().1.push("Nobody knows".into());
    for world in [unread, group, other, unlisted] {
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{}", render(&plan));
        assert_eq!(plan.set_aside.len(), 1, "{}", render(&plan));
        assert!(plan.set_aside[0].object.starts_with("scope of "), "{}", render(&plan));
    }
}

#[test]
fn a_scope_that_leaves_nobody_is_held_as_an_empty_one() {
    let people: Vec<String> = (0..6).map(|n| format!("p{n}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    let mut world = World::new(&["Jira *"]).group("Jira a", &names).group("Jira b", &["zoe"]);
    world.converge();
    world.guests.extend(people.iter().cloned());
    world.rules.scope.guests = Guests::Exclude;
    let plan = world.plan();
    assert!(plan.held.iter().any(|h| h.guard == Guard::EmptyGroup), "{}", render(&plan));
    assert_eq!(plan.open_steps().count(), 0, "{}", render(&plan));
    world.guests.insert("zoe".into());
    let plan = world.plan();
    assert!(plan.held.iter().any(|h| h.guard == Guard::EmptyDirectory), "{}", render(&plan));
}

#[test]
fn an_account_that_may_be_a_doubtful_persons_is_no_stranger() {
    let mut world = World::new(&["Jira *"]).group("Jira a", &["ana", "ben"]).account("ana").account("ben");
    world = world.account("eve").site_group("Jira a", &["ana", "ben", "eve"]);
    world.attributes.insert("ana".into(), vec![("department", "Sales".into())]);
    world.rules.mode = GroupMode::Authoritative;
    world.rules.existing = Existing::Adopt;
    world.approval = Approval::EvenEmpty;
    world.rules.scope.filter = filter(r#"user.department.startsWith("S")"#);
    // Of ben it cannot be said whether he takes part; the account that shows his address is most likely his.
    assert_eq!(removed(&world.plan()), ["eve"]);
}

#[test]
fn explanations_name_the_rule_that_puts_somebody_out() {
    let text = |why: &entrain_domain::plan::explain::Explanation, what: &str| {
        why.chain.iter().filter(|l| l.what == what).map(|l| l.text.clone()).collect::<Vec<_>>().join("\n")
    };
    let mut world = settled();
    world.rules.scope.filter = filter(r#"user.department.startsWith("S")"#);
    let why = world.why_user("u-cem");
    assert_eq!(
        text(&why, "scope"),
        "takes no part: the filter of the scope does not hold for them: user.department.startsWith(\"S\")"
    );
    assert!(why.verdict.contains("is taken out of “Jira users” at the next sync"), "{}", why.verdict);
    let why = world.why_user("u-dan");
    assert!(text(&why, "scope").starts_with("it is not known whether they take part"), "{why:#?}");
    let why = world.why_membership("u-dan", "Jira users");
    assert!(why.verdict.contains("stays for now"), "{}", why.verdict);
    let why = world.why_group("Jira users");
    let entrain_domain::plan::explain::Related::Members(members) = &why.related else { panic!("members") };
    let state = |name: &str| members.iter().find(|m| m.name.ends_with(name)).unwrap().state;
    assert_eq!(state("cem"), MemberState::Leaving);
    assert_eq!(state("dan"), MemberState::Unknown);
    assert_eq!(state("ana"), MemberState::InStep);

    world.rules.scope.filter = None;
    world.guests.insert("ben".into());
    world.rules.scope.guests = Guests::Exclude;
    assert!(text(&world.why_user("u-ben"), "scope").contains("guests take no part"));
    let world = with_assignments();
    assert!(text(&world.why_user("u-cem"), "scope").contains("the application is not assigned to them"));
    assert!(text(&world.why_user("u-ana"), "scope").contains("is assigned to them"));
}

/// Plans under one set of rules, judges under another.
fn judged(made_in: &World, judged_in: &World) -> String {
    let directory = made_in.directory();
    let site = made_in.site(&directory);
    let input = PlanInput {
        directory: &directory,
        site: &site,
        rules: &made_in.rules,
        memory: &made_in.memory,
        lookups: &made_in.lookups,
        history: made_in.history,
        now: made_in.now,
        approval: made_in.approval,
        focus: entrain_domain::plan::Focus::Everything,
    };
    let made = plan(&input);
    let directory = judged_in.directory();
    let input = PlanInput { directory: &directory, rules: &judged_in.rules, ..input };
    verify(&input, &made).into_iter().map(|f| f.what).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_second_opinion_finds_what_the_scope_forbids() {
    let fresh = || World::new(&["Jira *"]).group("Jira a", &["ana"]);
    for (text, word) in [
        (r#"user.department == "Sales""#, "whom the scope leaves out"),
        (r#"user.department.startsWith("S")"#, "of whom it is not known"),
        (r#""Nowhere" in groups"#, "of whom it is not known"),
    ] {
        let mut real = fresh();
        real.rules.scope.filter = filter(text);
        assert!(judged(&fresh(), &real).contains(word), "{text}: {}", judged(&fresh(), &real));
    }
    let mut real = fresh();
    real.guests.insert("ana".into());
    real.rules.scope.guests = Guests::Exclude;
    assert!(judged(&fresh(), &real).contains("whom the scope leaves out"));
    let mut real = fresh();
    real.rules.scope.users = UserScope::Assigned(application());
    assert!(judged(&fresh(), &real).contains("of whom it is not known"));
    real.assigned = Some((Vec::new(), Vec::new()));
    assert!(judged(&fresh(), &real).contains("whom the scope leaves out"));
    // A removal that rests on a filter, where the filter does not say so.
    let mut made = settled();
    made.rules.scope.filter = filter(r#"user.department == "Sales""#);
    assert_eq!(judged(&made, &made), "");
    assert!(judged(&made, &settled()).contains("whom the directory has in the group"));
    let mut doubtful = settled();
    doubtful.rules.scope.filter = filter(r#""Nowhere" in groups"#);
    assert!(judged(&made, &doubtful).contains("whom the directory has in the group"));
}

const PEOPLE: [&str; 8] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
const GROUPS: [&str; 4] = ["Jira a", "Jira b", "Aside", "Inner"];

/// What a person may be: state, kind, department.
#[derive(Debug, Clone)]
struct Traits {
    state: AccountState,
    guest: bool,
    department: Option<&'static str>,
}

fn traits() -> impl Strategy<Value = Traits> {
    let state = prop_oneof![
        6 => Just(AccountState::Enabled), 1 => Just(AccountState::Disabled), 1 => Just(AccountState::Unknown)
    ];
    (state, any::<bool>(), prop_oneof![Just(None), Just(Some("Sales")), Just(Some("Eng"))])
        .prop_map(|(state, guest, department)| Traits { state, guest, department })
}

#[derive(Debug, Clone)]
struct Rule {
    filter: usize,
    guests: Guests,
    #[expect(clippy::option_option, reason = "not by assignment; by assignments not read; by these")]
    assigned: Option<Option<(Vec<usize>, Vec<usize>)>>,
    unread: [bool; 4],
}

const FILTERS: [&str; 5] = [
    "",
    r#"user.department == "Sales""#,
    r#"user.department.startsWith("S")"#,
    r#"!("Aside" in groups)"#,
    r#"groups.exists(g, g == "Jira a")"#,
];

fn rule() -> impl Strategy<Value = Rule> {
    let picks = |n: usize| proptest::collection::vec(0..n, 0..4);
    let assigned = prop_oneof![
        2 => Just(None),
        1 => Just(Some(None)),
        3 => (picks(PEOPLE.len()), picks(GROUPS.len())).prop_map(|lists| Some(Some(lists))),
    ];
    let guests = prop_oneof![Just(Guests::Include), Just(Guests::Exclude)];
    (
        0..FILTERS.len(),
        guests,
        assigned,
        proptest::array::uniform4(prop_oneof![5 => Just(false), 1 => Just(true)]),
    )
        .prop_map(|(filter, guests, assigned, unread)| Rule { filter, guests, assigned, unread })
}

/// Whether somebody takes part: a third way to say it, from the plain collections of the test's world. `None`: it
/// cannot be said.
fn oracle(world: &World, name: &str) -> Option<bool> {
    fn holds(world: &World, group: &str, name: &str, deep: bool) -> Option<bool> {
        let group = world.groups.get(group)?;
        if group.unread {
            return None;
        }
        let mut found = group.users.contains(name);
        for inner in group.groups.iter().filter(|_| deep) {
            found |= holds(world, inner, name, deep)?;
        }
        Some(found)
    }
    let scope = &world.rules.scope;
    if scope.guests == Guests::Exclude && world.guests.contains(name) {
        return Some(false);
    }
    if matches!(scope.users, UserScope::Assigned(_)) {
        let (users, groups) = world.assigned.as_ref()?;
        let through: Vec<_> = groups.iter().map(|g| holds(world, g, name, false)).collect();
        let sure = users.iter().any(|u| u == name) || through.contains(&Some(true));
        if !sure {
            return if through.contains(&None) { None } else { Some(false) };
        }
    }
    let department = world.attributes.get(name).map(|list| list[0].1.as_str());
    match scope.filter.as_ref().map_or("", Expr::as_str) {
        "" => Some(true),
        text if text == FILTERS[1] => Some(department == Some("Sales")),
        text if text == FILTERS[2] => department.map(|d| d.starts_with('S')),
        text if text == FILTERS[3] => holds(world, "Aside", name, true).map(|is| !is),
        _ => {
            holds(world, "Jira b", name, true)?;
            holds(world, "Jira a", name, true)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Nobody is taken out of a group that the directory has them in unless the scope surely leaves them out, and nobody
    /// is invited or added unless they surely take part; the second opinion agrees with every such plan.
    #[test]
    fn nothing_is_taken_or_given_without_complete_knowledge_of_the_audience(
        people in proptest::collection::vec(traits(), PEOPLE.len()),
        members in proptest::collection::vec((0..PEOPLE.len(), 0..GROUPS.len()), 0..24),
        first in rule(),
        second in rule(),
        mode in prop_oneof![3 => Just(GroupMode::Managed), 1 => Just(GroupMode::Authoritative)],
    ) {
        let mut world = World::new(&["Jira *"]);
        for group in GROUPS {
            world = world.group(group, &[]);
        }
        world = world.nest("Aside", "Inner").nest("Jira a", "Inner");
        for (name, traits) in PEOPLE.iter().zip(&people) {
            world.users.insert((*name).into(), traits.state);
            if traits.guest { world.guests.insert((*name).into()); }
            if let Some(d) = traits.department {
                world.attributes.insert((*name).into(), vec![("department", d.into())]);
            }
        }
        for (p, g) in &members {
            world.groups.get_mut(GROUPS[*g]).unwrap().users.insert(PEOPLE[*p].into());
        }
        world.approval = Approval::EvenEmpty;
        world.rules.mode = mode;
        for rule in [first, second] {
            let scope = &mut world.rules.scope;
            scope.filter = (rule.filter > 0).then(|| Expr::condition(FILTERS[rule.filter]).unwrap());
            scope.guests = rule.guests;
            scope.users = if rule.assigned.is_some() { UserScope::Assigned(application()) } else { UserScope::InGroups };
            world.assigned = rule.assigned.flatten().map(|(users, groups)| (
                users.into_iter().map(|p| PEOPLE[p].to_owned()).collect(),
                groups.into_iter().map(|g| GROUPS[g].to_owned()).collect(),
            ));
            for (group, unread) in GROUPS.iter().zip(rule.unread) {
                world.groups.get_mut(*group).unwrap().unread = unread;
            }
            let plan = world.plan();
            for step in &plan.steps {
                let Some(id) = step.action.person().and_then(|p| p.directory_id.clone()) else { continue };
                let name = id.as_str().trim_start_matches("u-");
                if let Action::RemoveMember { group, .. } = &step.action {
                    let key = GROUPS.iter().find(|g| Some(&gid(g)) == group.directory_id()).unwrap();
                    let inner = *key == "Jira a" && world.groups["Inner"].users.contains(name);
                    let holds = world.groups[*key].users.contains(name) || inner;
                    prop_assert!(
                        !holds || world.users[name] == AccountState::Disabled
                            || (world.users[name] == AccountState::Enabled && oracle(&world, name) == Some(false)),
                        "takes out {name}: {}", render(&plan)
                    );
                } else {
                    prop_assert_eq!(oracle(&world, name), Some(true), "gives to {}: {}", name, render(&plan));
                }
            }
            world.apply(&plan);
        }
        // With everything readable, the groups hold exactly those who take part.
        let mut doubtful = BTreeSet::new();
        for group in world.groups.values_mut() { group.unread = false; }
        world.converge();
        for name in PEOPLE {
            if oracle(&world, name).is_none() { doubtful.insert(name); }
        }
        for key in ["Jira a", "Jira b"] {
            let have: BTreeSet<String> = world.members(key).into_iter().collect();
            for name in PEOPLE.iter().filter(|n| !doubtful.contains(**n) && world.users[**n] != AccountState::Unknown) {
                let inner = key == "Jira a" && world.groups["Inner"].users.contains(*name);
                let wanted = (world.groups[key].users.contains(*name) || inner)
                    && world.users[*name] == AccountState::Enabled
                    && oracle(&world, name) == Some(true);
                prop_assert_eq!(have.contains(*name), wanted, "{} in {}", name, key);
            }
        }
    }
}
