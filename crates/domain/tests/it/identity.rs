//! Who is who: H-02, two different people are never taken for one, and N-13, every case of people and groups that are not
//! as one would wish, with what the documentation says becomes of it.

use std::collections::BTreeSet;

use crate::support::*;
use entrain_domain::memory::MemoryChange;
use entrain_domain::model::*;
use entrain_domain::plan::{Action, Approval, Guard, Lookup, StepKind};
use proptest::prelude::*;

/// Addresses that a person, a font, a database or a mail server may take for one another; no two are the same person.
const ALIKE: [&str; 26] = [
    "ivan@example.com",
    "ıvan@example.com",
    "İvan@example.com",
    "i\u{307}van@example.com",
    "\u{456}van@example.com",
    "ivan+jira@example.com",
    "ivan+@example.com",
    "i.van@example.com",
    "ivan.@example.com",
    "ｉvan@example.com",
    "iv\u{430}n@example.com",
    "strasse@example.com",
    "straße@example.com",
    "STRAẞE@example.com",
    "kelvin@example.com",
    "\u{212A}elvin@example.com",
    "josé@example.com",
    "jose\u{301}@example.com",
    "jose@example.com",
    "ivan@münchen.example",
    "ivan@mu\u{308}nchen.example",
    "ivan@xn--mnchen-3ya.example",
    "ivan@example.com.",
    "ivan@ex\u{430}mple.com",
    "ivan@example.co",
    "ſivan@example.com",
];

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// A directory and a site where people have these addresses.
fn world(directory: &[String], site: &[String]) -> World {
    let names: Vec<String> = (0..directory.len()).map(|n| format!("d{n}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(&["*"]).group("g", &members);
    for (name, address) in names.iter().zip(directory) {
        world.mails.insert(name.clone(), address.clone());
    }
    for (n, address) in site.iter().enumerate() {
        world.put_account(&format!("s{n}"), Some(address), AccountKind::Person);
    }
    world
}

/// No link joins two addresses, no account gets two people, nobody is invited under an address that is there.
fn assert_nobody_is_merged(world: &World) {
    let plan = world.plan();
    let mut accounts = BTreeSet::new();
    for record in &plan.records {
        let MemoryChange::LinkUser(link) = record else { continue };
        let user = world.users.keys().find(|name| uid(name) == link.user).unwrap();
        let (theirs, its) = (&world.mails[user], world.accounts[&link.account].email.as_ref().unwrap());
        assert!(same(theirs, its.as_str()), "{theirs:?} was taken for {its:?}");
        assert!(accounts.insert(link.account.clone()), "two people have the account of {its:?}");
    }
    let mut invited = BTreeSet::new();
    for step in &plan.steps {
        let Action::CreateUser { address, .. } = &step.action else { continue };
        let there = world.accounts.values().filter_map(|a| a.email.as_ref());
        assert!(!there.clone().any(|a| same(a.as_str(), address.as_str())), "{address} is there already");
        assert!(invited.insert(address.key()), "{address} is invited twice");
    }
}

#[test]
fn h_02_addresses_that_look_alike_are_different_people_each_with_an_account_of_their_own() {
    for (at, a) in ALIKE.iter().enumerate() {
        for b in &ALIKE[at + 1..] {
            let (x, y) = (EmailAddress::parse(a).unwrap(), EmailAddress::parse(b).unwrap());
            if same(a, b) {
                continue;
            }
            assert!(x != y && x.key() != y.key(), "{a:?} and {b:?}");
            let other = world(&[(*a).to_owned()], &[(*b).to_owned()]);
            let plan = other.plan();
            assert_eq!(plan.tally()[&StepKind::CreateUser].planned, 1, "{a:?} was taken for {b:?}");
            assert_nobody_is_merged(&other);
        }
        let upper = a.to_ascii_uppercase();
        let one = world(&[(*a).to_owned()], &[upper]);
        assert!(
            !one.plan().tally().contains_key(&StepKind::CreateUser),
            "the case of ASCII letters is no difference"
        );
    }
    let all: Vec<String> = ALIKE.iter().map(|a| (*a).to_owned()).collect();
    let everybody = world(&all, &all);
    assert_nobody_is_merged(&everybody);
    let linked = everybody.plan().records.iter().filter(|r| matches!(r, MemoryChange::LinkUser(_))).count();
    assert_eq!(linked, ALIKE.len(), "and each is found");
}

fn address() -> impl Strategy<Value = String> {
    let letter = prop::sample::select(vec![
        "i", "I", "ı", "İ", "i\u{307}", "s", "S", "ß", "ẞ", "ſ", "k", "\u{212A}", "é", "e\u{301}", "a",
        "\u{430}", "\u{200D}", "+x", ".", "-", "1",
    ]);
    let host = prop::sample::select(vec!["example.com", "EXAMPLE.com", "exämple.com", "xn--exmple-cua.com"]);
    (prop::collection::vec(letter, 1..4), host).prop_map(|(local, host)| format!("{}@{host}", local.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn h_02_whoever_is_on_either_side_nobody_is_merged(
        directory in prop::collection::vec(address(), 1..8),
        site in prop::collection::vec(address(), 0..8),
    ) {
        assert_nobody_is_merged(&world(&directory, &site));
    }

    #[test]
    fn h_02_two_addresses_are_one_person_exactly_when_only_the_case_of_ascii_differs(a in address(), b in address()) {
        let (x, y) = (EmailAddress::parse(&a).unwrap(), EmailAddress::parse(&b).unwrap());
        prop_assert_eq!(x == y, same(&a, &b));
        prop_assert_eq!(x.key() == y.key(), x == y);
        prop_assert_eq!(x.as_str(), a.as_str());
    }
}

/// What a plan comes to, in a few words.
fn told(world: &World) -> String {
    let plan = world.plan();
    let mut words: Vec<String> =
        plan.tally().iter().map(|(kind, n)| format!("{kind} {}", n.planned)).collect();
    words.extend(plan.held.iter().map(|held| format!("held by {}", held.guard)));
    words.extend(plan.set_aside.iter().map(|aside| format!("aside: {}", aside.reason)));
    words.extend(plan.notes.iter().map(|note| format!("note: {}", note.reason)));
    words.join("; ")
}

fn after(mut world: World, what: impl FnOnce(&mut World)) -> World {
    world.converge();
    what(&mut world);
    world
}

fn member_of_g() -> World {
    World::new(&["g"]).group("g", &["ana"]).account("ana")
}

fn hidden(lookup: Lookup) -> World {
    let mut world = World::new(&["g"]).group("g", &["ana"]);
    world.put_account("ana", None, AccountKind::Person);
    world.lookups.insert(uid("ana"), lookup);
    world
}

/// Each case, and what has to be in the account of its plan. `docs/explanation/what-can-go-wrong.md` says the same.
#[test]
fn n_13_every_case_of_the_row_has_its_documented_outcome() {
    let mut deactivated = member_of_g();
    deactivated.accounts.get_mut(&aid("ana")).unwrap().activity = AccountActivity::Inactive;
    let mut twins = member_of_g();
    twins.put_account("ana-old", Some("ANA@example.com"), AccountKind::Person);
    let mut shared = World::new(&["g"]).group("g", &["ana", "ben"]).account("ana");
    shared.mails.insert("ben".into(), "ana@example.com".into());
    let cases: Vec<(&str, World, &[&str])> = vec![
        ("the account exists", member_of_g(), &["create_group 1; add_member 1"]),
        ("the group exists", member_of_g().site_group("g", &[]), &["adopt_group 1", "held by adoption"]),
        ("the account is deactivated", deactivated, &["create_group 1; add_member 1"]),
        (
            "the address is hidden, and found",
            hidden(Lookup::One(aid("ana"))),
            &["create_group 1; add_member 1"],
        ),
        (
            "the address is hidden, and unsure",
            hidden(Lookup::Unsure("two answer".into())),
            &["aside: two answer"],
        ),
        ("two accounts of one address", twins, &["create_group 1", "aside: 2 accounts"]),
        ("two people of one address", shared, &["create_group 1", "aside: "]),
        (
            "the address has changed",
            after(member_of_g(), |world| {
                world.mails.insert("ana".into(), "ana.new@example.com".into());
            }),
            &[],
        ),
        (
            "the group was renamed",
            after(World::new(&["*"]).group("g", &["ana"]), |world| {
                world.groups.get_mut("g").unwrap().name = "h".into();
            }),
            &["note: "],
        ),
        (
            "the group was made anew under its name",
            after(member_of_g(), |world| {
                let group = world.groups.remove("g").unwrap();
                world.groups.insert("other".into(), group);
            }),
            &["adopt_group 1", "held by adoption"],
        ),
        (
            "nested",
            World::new(&["g"])
                .group("g", &["ana"])
                .group("in", &["ben"])
                .group("deep", &["cem"])
                .nest("g", "in")
                .nest("in", "deep"),
            &["create_user 3; create_group 1; add_member 3"],
        ),
        (
            "in a circle",
            World::new(&["g"])
                .group("g", &["ana"])
                .group("in", &["ben"])
                .nest("g", "in")
                .nest("in", "g")
                .nest("in", "in"),
            &["create_user 2; create_group 1; add_member 2"],
        ),
        ("no members", World::new(&["g"]).group("g", &[]), &["create_group 1"]),
        (
            "the last member left",
            after(member_of_g(), |world| {
                world.groups.get_mut("g").unwrap().users.clear();
            }),
            &["remove_member 1"],
        ),
    ];
    for (case, world, expected) in cases {
        let told = told(&world);
        if expected.is_empty() {
            assert_eq!(told, "", "{case}");
        }
        for part in expected {
            assert!(told.contains(part), "{case}: {part:?} is not in {told:?}");
        }
        let removes = world.plan().steps.iter().any(|step| step.action.kind() == StepKind::RemoveMember);
        assert_eq!(removes, case == "the last member left", "{case}: {told}");
    }
}

#[test]
fn n_13_a_group_with_a_hundred_thousand_members_is_planned_whole_and_held_for_a_person() {
    const MANY: usize = 100_000;
    let names: Vec<String> = (0..MANY).map(|n| format!("p{n:06}")).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(&["g"]).group("g", &members);
    for name in &names {
        world.put_account(name, Some(&mail(name)), AccountKind::Person);
    }
    world.approval = Approval::Held;
    let plan = world.plan();
    assert_eq!(plan.tally()[&StepKind::AddMember].planned, MANY);
    assert!(!plan.tally().contains_key(&StepKind::CreateUser));
    world.apply(&plan);
    assert_eq!(world.members("g").len(), MANY);
    // And away again at once: nobody is removed before a person has said so
    world.groups.get_mut("g").unwrap().users = names[..10].iter().cloned().collect();
    world.approval = Approval::None;
    let plan = world.plan();
    assert_eq!(plan.open_steps().count(), 0);
    assert!(plan.held.iter().any(|held| held.guard == Guard::Removals), "{:?}", plan.held);
}

/// The site hides addresses: it answers for two people with one account.
#[test]
fn an_account_that_two_people_are_said_to_have_goes_to_the_linked_one_or_to_neither() {
    let mut world = World::new(&["g"]).group("g", &["ana", "ben"]);
    world.put_account("one", None, AccountKind::Person);
    for name in ["ana", "ben"] {
        world.lookups.insert(uid(name), Lookup::One(aid("one")));
    }
    let neither = world.plan();
    assert!(neither.steps.iter().all(|step| step.action.person().is_none()), "{}", render(&neither));
    let reasons: Vec<&str> = neither.set_aside.iter().map(|aside| &*aside.reason).collect();
    assert_eq!(
        reasons,
        ["another person in the directory has the account 712020:one too"; 2],
        "{}",
        render(&neither)
    );

    let mut linked = world.clone();
    linked.lookups.remove(&uid("ben"));
    linked.groups.get_mut("g").unwrap().users.remove("ben");
    linked.converge();
    assert_eq!(linked.members("g"), ["one"]);
    linked.groups.get_mut("g").unwrap().users.insert("ben".into());
    linked.lookups.insert(uid("ben"), Lookup::One(aid("one")));
    let plan = linked.plan();
    assert!(plan.steps.is_empty(), "ana keeps it, and ben gets nothing: {}", render(&plan));
    assert_eq!(plan.set_aside.len(), 1, "{}", render(&plan));
}
