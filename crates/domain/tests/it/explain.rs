//! Why, and why not: a sentence for each place where the chain from the directory to the site can break.

use crate::support::*;

use std::collections::BTreeSet;

use entrain_domain::memory::{MemoryChange, Origin};
use entrain_domain::model::*;
use entrain_domain::plan::PlanInput;
use entrain_domain::plan::explain::{
    Explanation, MOST_PATHS, MemberState, NotFound, Place, Related, Which, Who, explain_group,
    explain_membership, explain_user, find_group, find_user,
};
use entrain_domain::policy::{Existing, GroupMode, GroupSelector, Import, Memberships, UserScope};

impl World {
    pub(crate) fn asked<R>(&self, ask: impl FnOnce(&PlanInput<'_>) -> R) -> R {
        let directory = self.directory();
        let site = self.site(&directory);
        ask(&self.input(&directory, &site))
    }
    pub(crate) fn user_found(&self, text: &str) -> Result<Who, NotFound> {
        self.asked(|input| find_user(input, text))
    }
    pub(crate) fn group_found(&self, text: &str) -> Result<Which, NotFound> {
        self.asked(|input| find_group(input, text))
    }
    pub(crate) fn why_user(&self, text: &str) -> Explanation {
        let (who, plan) = (self.user_found(text).unwrap(), self.plan());
        sound(self.asked(|input| explain_user(input, &plan, &who)))
    }
    pub(crate) fn why_group(&self, text: &str) -> Explanation {
        let (which, plan) = (self.group_found(text).unwrap(), self.plan());
        sound(self.asked(|input| explain_group(input, &plan, &which)))
    }
    pub(crate) fn why_membership(&self, user: &str, group: &str) -> Explanation {
        let (who, which) = (self.user_found(user).unwrap(), self.group_found(group).unwrap());
        let plan = self.plan();
        sound(self.asked(|input| explain_membership(input, &plan, &who, &which)))
    }
}

/// No explanation is without a verdict and a chain from record to step.
fn sound(explanation: Explanation) -> Explanation {
    assert!(explanation.verdict.len() > 20, "{explanation:#?}");
    assert!(explanation.chain.iter().all(|link| link.text.len() > 5), "{explanation:#?}");
    assert_eq!(explanation.chain.first().unwrap().what, "record", "{explanation:#?}");
    assert_eq!(explanation.chain.last().unwrap().what, "step", "{explanation:#?}");
    explanation
}

pub(crate) fn places(explanation: &Explanation) -> &[Place] {
    match &explanation.related {
        Related::Groups(places) => places,
        Related::Members(_) => panic!("of a person"),
    }
}

fn paths(place: &Place) -> Vec<String> {
    place.paths.iter().map(|path| path.join(" › ")).collect()
}

pub(crate) fn states(explanation: &Explanation) -> Vec<(String, MemberState)> {
    match &explanation.related {
        Related::Members(members) => members.iter().map(|m| (m.name.to_string(), m.state)).collect(),
        Related::Groups(_) => panic!("of a group"),
    }
}

pub(crate) fn text(explanation: &Explanation, what: &str) -> String {
    let texts: Vec<&str> =
        explanation.chain.iter().filter(|link| link.what == what).map(|link| &*link.text).collect();
    texts.join(" | ")
}

/// Ana through Berlin, Ben directly, both on the site.
pub(crate) fn settled() -> World {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ben"])
        .group("Berlin", &["ana"])
        .nest("Jira users", "Berlin")
        .group("Jira admins", &["ben"])
        .account("ana");
    world.converge();
    world
}

#[test]
fn somebody_is_in_a_group_through_nesting() {
    let world = settled();
    let why = world.why_user(&mail("ana"));
    assert_eq!(
        why.verdict,
        "Name ana is in “Jira users”, because the directory has them there: member through “Jira users” › “Berlin”"
    );
    let [users, admins] = places(&why) else { panic!("{why:#?}") };
    assert_eq!((&*users.name, users.member, users.on_site), ("Jira users", true, Some(true)));
    assert_eq!(paths(users), ["Jira users › Berlin"]);
    assert_eq!((&*admins.name, admins.member, admins.on_site), ("Jira admins", false, Some(false)));
    assert_eq!(admins.why, "not in “Jira admins”, directly or through nesting");
    assert!(text(&why, "link").contains("the account was there and matched ana@example.com"), "{why:#?}");
    assert_eq!(text(&why, "step"), "nothing to do");
    assert!(text(&world.why_user(&mail("ben")), "link").contains("Entrain invited ben@example.com"));
}

#[test]
fn every_way_into_a_group_is_shown_shortest_first_and_cycles_end() {
    let mut world = World::new(&["A"])
        .group("A", &["ana"])
        .group("B", &["ana"])
        .group("C", &["ana"])
        .nest("A", "B")
        .nest("B", "C")
        .nest("A", "C")
        .nest("C", "A");
    world.converge();
    let why = world.why_user("u-ana");
    assert_eq!(paths(&places(&why)[0]), ["A", "A › B", "A › C", "A › B › C"]);
    assert!(why.verdict.ends_with("member through “A” and 3 other ways"), "{}", why.verdict);
}

#[test]
fn a_thicket_of_groups_shows_the_shortest_ways_and_ends() {
    let mut world = World::new(&["G0"]);
    let names: Vec<String> = (0..14).map(|n| format!("G{n}")).collect();
    for name in &names {
        world = world.group(name, &[]);
    }
    for (at, outer) in names.iter().enumerate() {
        for inner in &names[at + 1..] {
            world = world.nest(outer, inner).nest(inner, outer);
        }
    }
    world.users.insert("ana".into(), AccountState::Enabled);
    world.groups.get_mut("G13").unwrap().users.insert("ana".into());
    let why = world.why_user("u-ana");
    let shown = paths(&places(&why)[0]);
    assert_eq!(shown.len(), MOST_PATHS);
    assert_eq!(shown[0], "G0 › G13");
    assert_eq!(shown[1], "G0 › G1 › G13");
}

#[test]
fn where_only_direct_members_count_somebody_nested_is_told_so() {
    let mut world = settled();
    world.rules.nesting = Nesting::Direct;
    let why = world.why_user("u-ana");
    assert_eq!(
        why.verdict,
        "Name ana is taken out of “Jira users” at the next sync, because they are only in groups nested in “Jira \
         users”, which takes direct members only (nesting)"
    );
    assert!(places(&why).iter().all(|place| !place.member && place.paths.is_empty()), "{why:#?}");
    let why = world.why_membership("u-ana", "Jira users");
    assert!(
        why.verdict.ends_with(
            "because they are only through “Jira users” › “Berlin”, and the group takes direct members only (nesting)"
        ),
        "{}",
        why.verdict
    );
    assert!(world.why_user("u-ben").verdict.contains("is in “Jira admins” and “Jira users”"));
    let group = world.why_group("Jira users");
    assert!(text(&group, "mode").ends_with("direct members only, nested groups do not count"), "{group:#?}");
    assert!(text(&group, "nested").is_empty());
}

#[test]
fn somebody_new_is_invited_and_somebody_known_is_added() {
    let world = World::new(&["Jira *"]).group("Jira users", &["ana", "ben"]).account("ben");
    let why = world.why_user("u-ana");
    assert_eq!(
        why.verdict,
        "Name ana is invited at the next sync, for “Jira users”, because the directory has them there: member through “Jira users”"
    );
    assert_eq!(text(&why, "link"), "the site has no account of ana@example.com");
    assert!(text(&why, "step").starts_with("create_user: is invited at the next sync, because enabled"));
    let why = world.why_user("u-ben");
    assert_eq!(
        why.verdict,
        "Name ben is to be added at the next sync to “Jira users”, because the directory has them there: member through “Jira users”"
    );
    assert!(text(&why, "link").contains("linked at the next sync"), "{why:#?}");
}

#[test]
fn a_disabled_person_gets_no_account_or_is_taken_out() {
    let mut world = World::new(&["Jira *"]).group("Jira users", &["ana"]);
    world.disable("ana");
    let why = world.why_user("u-ana");
    assert_eq!(why.verdict, "Name ana gets no account, because the account is disabled in Entra ID");
    assert!(!places(&why)[0].member);
    assert_eq!(paths(&places(&why)[0]), ["Jira users"], "the way is shown all the same");

    let mut world = settled();
    world.disable("ana");
    let why = world.why_user("u-ana");
    assert_eq!(
        why.verdict,
        "Name ana is taken out of “Jira users” at the next sync, because the account is disabled in Entra ID"
    );
    world.converge();
    let why = world.why_user("u-ana");
    assert_eq!(
        why.verdict,
        "Name ana has an account and is in no group that Entrain manages, because the account is disabled in Entra ID"
    );
}

#[test]
fn somebody_deleted_or_of_unknown_state_is_explained_by_that() {
    let mut world = settled();
    world.users.insert("ana".into(), AccountState::Unknown);
    let why = world.why_user("u-ana");
    assert!(why.verdict.starts_with("Name ana stays in “Jira users”"), "{}", why.verdict);
    assert!(why.verdict.contains("Entra ID does not say whether the account is enabled"), "{}", why.verdict);
    // No longer listed at all: known by link only
    let mut world = settled();
    world.users.remove("ben");
    for group in world.groups.values_mut() {
        group.users.remove("ben");
    }
    let why = world.why_user("u-ben");
    assert!(why.verdict.contains("is taken out of “Jira admins” and “Jira users”"), "{}", why.verdict);
    assert!(why.verdict.ends_with("because the directory does not list the user"), "{}", why.verdict);
    assert_eq!(world.user_found(&mail("ben")).unwrap().user, Some(uid("ben")), "found by the link's address");
}

#[test]
fn somebody_outside_the_scope_is_told_where_they_are_instead() {
    let mut world = settled().user("cleo").group("Sales", &["dan"]).group("Jira contractors", &["eve"]);
    world.rules.scope.exclude_groups = vec![GroupSelector::parse("*contractors").unwrap()];
    let verdict = |who: &str| world.why_user(who).verdict;
    assert_eq!(
        verdict("u-cleo"),
        "Name cleo gets no account, because they are in no group in scope, directly or through nesting"
    );
    assert_eq!(
        verdict("u-dan"),
        "Name dan gets no account, because they are in no group in scope, only in “Sales”"
    );
    assert_eq!(
        verdict("u-eve"),
        "Name eve gets no account, because they are only in “Jira contractors”, which exclude_groups takes out"
    );
    let group = world.why_group("Jira contractors");
    assert_eq!(
        group.verdict,
        "“Jira contractors” has no site group that Entrain manages, because exclude_groups takes it out by \
         “*contractors”"
    );
    world.rules.scope.users = UserScope::All;
    let why = world.why_user("u-cleo");
    assert!(text(&why, "scope").contains("everybody does"), "{why:#?}");
    assert!(why.verdict.contains("is invited"), "{}", why.verdict);
}

#[test]
fn somebody_set_aside_is_told_why_and_what_to_do() {
    let mut world = World::new(&["Jira *"]).group("Jira users", &["ana", "ben"]);
    world.mails.insert("ana".into(), "same@example.com".into());
    world.mails.insert("ben".into(), "same@example.com".into());
    let why = world.why_user("u-ana");
    assert_eq!(
        why.verdict,
        "Name ana gets no account, because 2 people in the directory share the address same@example.com"
    );
    assert!(text(&why, "set aside").contains("what to do: give each"), "{why:#?}");
    assert!(
        matches!(world.user_found("same@example.com"), Err(NotFound::Several { ids, .. }) if ids.len() == 2)
    );

    let mut world = World::new(&["Jira *"]).group("Jira users", &["ana"]);
    world.rules.import_users = Import::Report;
    assert!(world.why_user("u-ana").verdict.contains("import_users is off"));
}

#[test]
fn an_unknown_group_explains_that_everybody_in_it_is_left_alone() {
    let mut world = settled();
    world.groups.get_mut("Berlin").unwrap().unread = true;
    let why = world.why_user("u-ana");
    assert!(
        why.verdict.starts_with("Name ana stays in “Jira users”, which Entrain leaves alone"),
        "{}",
        why.verdict
    );
    let why = world.why_membership("u-ben", "Jira users");
    assert!(why.verdict.contains("stays for now"), "{}", why.verdict);
    assert!(why.verdict.contains("403 on its members"), "{}", why.verdict);
    let why = world.why_group("Jira users");
    assert_eq!(
        why.verdict,
        "“Jira users” is left alone, because its members are not completely known: 403 on its members"
    );
    assert!(states(&why).iter().all(|(_, state)| *state == MemberState::Unknown), "{why:#?}");
}

#[test]
fn a_membership_is_explained_on_its_own_whether_there_or_not() {
    let mut world = settled();
    let verdict = |world: &World, who: &str, group: &str| world.why_membership(who, group).verdict;
    assert_eq!(
        verdict(&world, "u-ana", "Jira users"),
        "Name ana is in “Jira users”, because the directory has them there: member through “Jira users” › “Berlin”"
    );
    assert_eq!(
        verdict(&world, "u-ana", "Jira admins"),
        "Name ana is not in “Jira admins”, because they are not in “Jira admins”, directly or through nesting"
    );
    assert!(verdict(&world, "u-ana", "Berlin").contains("because the scope does not name the group"));

    world.site_groups.get_mut(&sid("Jira admins")).unwrap().1.insert(aid("ana"));
    assert_eq!(
        verdict(&world, "u-ana", "Jira admins"),
        "Name ana is in “Jira admins” because somebody else put them there on the site, although they are not in “Jira admins”, \
         directly or through nesting; Entrain leaves it alone"
    );
    world.rules.mode = GroupMode::Authoritative;
    assert_eq!(
        verdict(&world, "u-ana", "Jira admins"),
        "Name ana is still in “Jira admins” and is taken out once a person approves (held by authoritative), because \
         they are not in “Jira admins”, directly or through nesting"
    );
    world.rules.mode = GroupMode::Managed;
    world.site_groups.get_mut(&sid("Jira users")).unwrap().1.remove(&aid("ana"));
    assert_eq!(
        verdict(&world, "u-ana", "Jira users"),
        "Name ana is not in “Jira users” because somebody else took them out on the site; is added at the next sync, \
         because the directory has them there: member through “Jira users” › “Berlin”"
    );
    world.groups.get_mut("Berlin").unwrap().users.insert("cleo".into());
    world.users.insert("cleo".into(), AccountState::Enabled);
    assert_eq!(
        verdict(&world, "u-cleo", "Jira users"),
        "Name cleo is not in “Jira users” yet and is added at the next sync, because the directory has them there: member through “Jira users” › \
         “Berlin”"
    );
    world.groups.get_mut("Jira admins").unwrap().users.remove("ben");
    assert!(
        verdict(&world, "u-ben", "Jira admins")
            .starts_with("Name ben is still in “Jira admins” and is taken out")
    );
    world.rules.memberships = Memberships::Leave;
    assert!(verdict(&world, "u-cleo", "Jira users").contains("sync_memberships is off"));
}

#[test]
fn an_account_that_nobody_is_linked_to_is_explained_from_the_site() {
    let mut world = settled().account("stranger");
    world.site_groups.get_mut(&sid("Jira users")).unwrap().1.insert(aid("stranger"));
    let why = world.why_user("712020:stranger");
    assert!(why.verdict.contains("stays in “Jira users”, which Entrain leaves alone"), "{}", why.verdict);
    assert!(why.verdict.contains("nobody in the directory is linked to this account"), "{}", why.verdict);
    assert_eq!(
        world.user_found(&mail("stranger")).unwrap(),
        Who { user: None, account: Some(aid("stranger")) }
    );
    assert!(matches!(world.user_found("nobody@example.com"), Err(NotFound::Unknown { .. })));
}

#[test]
fn a_linked_account_that_the_site_lost_is_said_to_be_lost() {
    let mut world = settled();
    world.accounts.remove(&aid("ana"));
    let why = world.why_user("u-ana");
    assert!(
        text(&why, "link").contains("which the site no longer has; ana@example.com is invited anew"),
        "{why:#?}"
    );
    assert!(why.verdict.contains("is invited at the next sync"), "{}", why.verdict);
}

#[test]
fn a_group_shows_the_members_of_both_sides_and_whose_they_are() {
    let mut world = settled().account("stranger").account("gone");
    for name in ["cleo", "dan"] {
        world.users.insert(name.into(), AccountState::Enabled);
        world.groups.get_mut("Jira users").unwrap().users.insert(name.into());
    }
    world.converge();
    let members = &mut world.site_groups.get_mut(&sid("Jira users")).unwrap().1;
    members.insert(aid("stranger"));
    members.insert(aid("gone"));
    members.remove(&aid("cleo"));
    world.memory.apply(&MemoryChange::OwnMembership {
        group: sid("Jira users"),
        account: aid("gone"),
        origin: Origin::Found,
        path: None,
    });
    world.groups.get_mut("Jira users").unwrap().users.remove("ben");
    world.disable("dan");
    world.users.insert("fay".into(), AccountState::Disabled);
    world.groups.get_mut("Jira users").unwrap().users.insert("fay".into());
    let why = world.why_group("jira users");
    assert_eq!(
        states(&why),
        [
            ("Name cleo".into(), MemberState::Missing),
            ("Name ben".into(), MemberState::Leaving),
            ("Name dan".into(), MemberState::Leaving),
            ("Name stranger".into(), MemberState::Own),
            ("Name gone".into(), MemberState::Unknown),
            ("Name ana".into(), MemberState::InStep),
            ("Name fay".into(), MemberState::LeftOut),
        ]
    );
    assert!(text(&why, "nested").contains("“Jira users” › “Berlin”"), "{why:#?}");
    assert!(text(&why, "mode").starts_with("managed"), "{why:#?}");
    assert!(text(&why, "step").contains("remove_member “Name ben” and “Name dan”"), "{why:#?}");
    assert!(
        why.verdict.starts_with("“Jira users” is managed, because the scope names it by “Jira *”; 3 steps")
    );
}

#[test]
fn a_group_that_gets_no_site_group_is_told_why() {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana"])
        .group("Jira-administrators", &[])
        .group("Berlin", &["ana"])
        .group("Sales", &[])
        .nest("Jira users", "Berlin");
    world.rules.scope.groups.push(GroupSelector::parse("jira-administrators").unwrap());
    let verdict = |world: &World, group: &str| world.why_group(group).verdict;
    assert_eq!(
        verdict(&world, "Jira users"),
        "“Jira users” is created at the next sync, because the scope names it by “Jira *”"
    );
    assert!(
        verdict(&world, "Jira-administrators")
            .contains("is set aside, because “Jira-administrators” is a name that")
    );
    assert_eq!(
        verdict(&world, "Sales"),
        "“Sales” has no site group that Entrain manages, because the scope does not name it"
    );
    assert!(verdict(&world, "Berlin").ends_with("its people come in through “Jira users”"), "{world:?}");
    let berlin = world.why_group("Berlin");
    assert_eq!(
        states(&berlin),
        [("Name ana".into(), MemberState::LeftOut)],
        "nothing is missing on the site"
    );
    world = world.site_group("Jira users", &[]);
    assert!(verdict(&world, "Jira users").contains("is adopted once a person approves (held by adoption)"));
    world.rules.existing = Existing::Adopt;
    assert!(verdict(&world, "Jira users").contains("is adopted at the next sync"));
    world.rules.existing = Existing::Skip;
    assert!(verdict(&world, "Jira users").contains("existing = \"skip\""));
}

#[test]
fn a_group_is_found_by_every_name_and_id_also_after_it_was_renamed() {
    let mut world = settled();
    world.groups.get_mut("Jira users").unwrap().name = "Jira people".into();
    let found = Which { directory: Some(gid("Jira users")), site: Some(sid("Jira users")) };
    for text in ["Jira people", "jira USERS", "g-Jira_users", "s-Jira_users"] {
        assert_eq!(world.group_found(text).as_ref(), Ok(&found), "{text}");
    }
    assert!(matches!(world.group_found("Jira nothing"), Err(NotFound::Unknown { .. })));
    let why = world.why_group("Jira users");
    assert!(why.verdict.starts_with("“Jira people” is in step with its 2 members"), "{}", why.verdict);
    assert!(text(&why, "note").contains("the site keeps the name “Jira users”"), "{why:#?}");
    let why = world.why_user("u-ana");
    assert!(
        places(&why)
            .iter()
            .any(|p| &*p.name == "Jira people" && p.site_name.as_deref() == Some("Jira users"))
    );

    // Of two groups of one name, the one that takes part is meant.
    let mut world = settled();
    world.rules.scope.groups = vec![GroupSelector::parse("g-Jira_users").unwrap()];
    world = world.group("Other", &[]);
    world.groups.get_mut("Other").unwrap().name = "Jira users".into();
    assert_eq!(world.group_found("Jira users"), Ok(found));
    let world = world.site_group("Loose", &[]);
    assert_eq!(world.group_found("loose"), Ok(Which { directory: None, site: Some(sid("Loose")) }));
    assert!(world.why_group("loose").verdict.contains("none of Entrain's business"));
}

#[test]
fn every_site_group_that_a_directory_group_fills_is_shown_and_asked_about_on_its_own() {
    let mut world = World::new(&["*"]).group("A", &["ana"]).account("ana").account("stranger");
    world.bind("A", "X");
    world.bind("A", "Y");
    let why = world.why_user("u-ana");
    assert!(text(&why, "group").contains("“X” on the site: not in the group"), "{why:#?}");
    assert!(text(&why, "group").contains("“Y” on the site: not in the group"), "{why:#?}");
    world.converge();
    world.by_hand_out("Y", "ana");
    world.by_hand_in("Y", "stranger");
    let why = world.why_user("u-ana");
    let shown: Vec<_> = places(&why).iter().map(|p| (p.site_name.as_deref(), p.member, p.on_site)).collect();
    assert_eq!(shown, [(Some("X"), true, Some(true)), (Some("Y"), true, Some(false))]);

    let verdict = |group: &str| world.why_membership("u-ana", group).verdict;
    assert!(verdict("X").starts_with("Name ana is in “A”, because"), "{}", verdict("X"));
    assert!(verdict("Y").contains("because somebody else took them out on the site"), "{}", verdict("Y"));
    let why = world.why_membership("u-ana", "A");
    assert!(text(&why, "site").contains("“Y” on the site: was taken out"), "{why:#?}");

    assert_eq!(states(&world.why_group("X")), [("Name ana".into(), MemberState::InStep)]);
    let why = world.why_group("Y");
    assert_eq!(
        states(&why),
        [("Name ana".into(), MemberState::Missing), ("Name stranger".into(), MemberState::Own)]
    );
    assert!(text(&why, "site").contains("fills the site group “X” as well: 1 member"), "{why:#?}");
}

#[test]
fn default_groups_are_explained_to_people_and_on_their_own() {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana", "ben"])
        .user("cleo")
        .account("ana")
        .account("cleo")
        .account("stranger")
        .site_group("everyone", &["stranger"])
        .site_group("welcome", &[]);
    world.rules.defaults.everybody.push("everyone".into());
    world.rules.defaults.newcomers.push("welcome".into());
    let why = world.why_user("u-ben");
    assert!(why.verdict.contains("“everyone”") && why.verdict.contains("“welcome”"), "{}", why.verdict);
    let told = text(&why, "group");
    assert!(
        told.contains("“everyone”: everybody who takes part is put into it ([groups] default)"),
        "{told}"
    );
    assert!(told.contains("“welcome”: whoever is invited is put into it once"), "{told}");
    let why = world.why_membership("u-ana", "welcome");
    assert!(why.verdict.contains("and the account is there already"), "{}", why.verdict);
    let why = world.why_membership("u-cleo", "everyone");
    assert!(
        why.verdict.contains("is not in “everyone”, because they are in no group in scope"),
        "{}",
        why.verdict
    );
    assert!(
        world.why_group("everyone").verdict.contains("2 steps to do or held"),
        "{:#?}",
        world.why_group("everyone")
    );

    world.converge();
    let why = world.why_group("everyone");
    assert!(
        why.verdict.contains("a default group of the document: everybody who takes part"),
        "{}",
        why.verdict
    );
    assert_eq!(
        states(&why),
        [
            ("Name stranger".into(), MemberState::Own),
            ("Name ana".into(), MemberState::InStep),
            ("Name ben".into(), MemberState::InStep),
        ]
    );
    let why = world.why_membership("u-ben", "everyone");
    assert!(why.verdict.contains("is in “everyone”, because everybody who takes part"), "{}", why.verdict);
    let why = world.why_membership("u-ben", "welcome");
    assert!(text(&why, "site").contains("the person's own"), "{why:#?}");
    assert!(text(&why, "group").contains("that was when Entrain invited them"), "{why:#?}");
    world.disable("ben");
    assert!(states(&world.why_group("everyone")).contains(&("Name ben".into(), MemberState::Leaving)));
}

/// Whatever the state of the world, everybody and everything has an explanation, and its steps are the plan's.
#[test]
fn every_planned_step_has_its_explanation() {
    let mut world = settled();
    world.disable("ben");
    world = world.group("Jira new", &["ana", "cleo", "dan"]).account("dan");
    let plan = world.plan();
    assert!(plan.steps.len() > 5, "{}", render(&plan));
    for step in &plan.steps {
        let reason = step.reason.to_string();
        if let Some(person) = step.action.person() {
            let why = world.why_user(person.directory_id.as_ref().unwrap().as_str());
            assert!(text(&why, "step").contains(&reason), "{reason}: {why:#?}");
        }
        if let Some(group) = step.action.group() {
            let why = world.why_group(group.anchor.as_str());
            assert!(text(&why, "step").contains(step.action.kind().as_str()), "{why:#?}");
        }
    }
    let names: BTreeSet<&str> = plan.steps.iter().map(|s| s.action.kind().as_str()).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["add_member", "create_group", "create_user", "remove_member"]
    );
}
