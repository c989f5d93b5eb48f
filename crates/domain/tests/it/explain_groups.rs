//! Why a group is, or is not, what it is: each link of the chain in its words, and each person in it with the state and the
//! reason.

use crate::explain::{settled, states, text};
use crate::support::*;
use entrain_domain::memory::Origin;
use entrain_domain::model::*;
use entrain_domain::plan::explain::{Explanation, MemberState, Related};
use entrain_domain::policy::{Existing, GroupMode, GroupSelector, Import, Memberships};

/// What is said of one person in a group.
fn said_of(explanation: &Explanation, name: &str) -> (MemberState, String) {
    let Related::Members(members) = &explanation.related else { panic!("of a group") };
    let member = members.iter().find(|member| *member.name == *format!("Name {name}")).unwrap();
    (member.state, member.text.clone())
}

fn site(world: &World, group: &str) -> String {
    text(&world.why_group(group), "site")
}

#[test]
fn the_record_counts_who_is_in_the_group_directly_with_nesting_and_enabled() {
    let mut world = settled();
    let record = |world: &World| text(&world.why_group("Jira users"), "record");
    assert_eq!(
        record(&world),
        "“Jira users” in Entra ID: 1 person and 1 group directly; 2 people with nesting, 2 of them enabled"
    );
    world.disable("ana");
    assert!(record(&world).ends_with("2 people with nesting, 1 of them enabled"), "{}", record(&world));
    world.groups.get_mut("Jira users").unwrap().unread = true;
    assert_eq!(
        record(&world),
        "“Jira users” in Entra ID: its members were not read; not completely known: 403 on its members"
    );
}

#[test]
fn a_group_that_the_directory_has_no_more_is_said_to_be_deleted_or_not_listed() {
    let mut world = settled();
    world.groups.remove("Jira admins");
    let why = world.why_group("s-Jira_admins");
    assert_eq!(text(&why, "record"), "the directory no longer lists the group g-Jira_admins");
    assert_eq!(
        why.verdict,
        "“Jira admins” stays as it is on the site, because the directory no longer lists the group it stood for"
    );
    assert_eq!(why.object, "site group “Jira admins” (s-Jira_admins)");
    world.gone_groups.insert("Jira admins".into());
    let why = world.why_group("s-Jira_admins");
    assert_eq!(text(&why, "record"), "the directory group g-Jira_admins was deleted in Entra ID");
    world.site_groups.remove(&sid("Jira admins"));
    let why = world.why_group("g-Jira_admins");
    assert_eq!(why.object, "group g-Jira_admins");
    assert_eq!(why.verdict, "“g-Jira_admins” is not on the site, because the directory no longer lists it");
}

#[test]
fn a_group_is_named_with_the_ids_of_both_sides() {
    let world = settled().site_group("Loose", &[]);
    assert_eq!(
        world.why_group("Jira users").object,
        "group “Jira users” (g-Jira_users), site group “Jira users” (s-Jira_users)"
    );
    assert_eq!(world.why_group("Berlin").object, "group “Berlin” (g-Berlin)");
    assert_eq!(world.why_group("Loose").object, "site group “Loose” (s-Loose)");
}

#[test]
fn nested_groups_are_listed_up_to_five() {
    let nested = |names: &[&str]| {
        let mut world = World::new(&["Outer"]).group("Outer", &[]);
        for name in names {
            world = world.group(name, &[]).nest("Outer", name);
        }
        text(&world.why_group("Outer"), "nested")
    };
    assert_eq!(nested(&["a", "b"]), "flattened into it: “Outer” › “a”, “Outer” › “b”");
    let five = "flattened into it: “Outer” › “a”, “Outer” › “b”, “Outer” › “c”, “Outer” › “d”, “Outer” › “e”";
    assert_eq!(nested(&["a", "b", "c", "d", "e"]), five);
    assert_eq!(nested(&["a", "b", "c", "d", "e", "f", "g"]), format!("{five} and 2 more"));
}

#[test]
fn what_stands_for_a_group_on_the_site_is_said_with_how_it_came_to_be() {
    let created = World::new(&["*"]).group("x", &[]);
    assert_eq!(site(&created, "x"), "the site has no group “x”");
    let mut adopted = World::new(&["*"]).group("x", &[]).site_group("x", &[]);
    adopted.rules.existing = Existing::Adopt;
    assert_eq!(site(&adopted, "x"), "the site has a group “x” (s-x) already, which is to be adopted");
    let linked = |mut world: World| {
        world.converge();
        site(&world, "x")
    };
    assert_eq!(linked(created), "linked to the site group “x” (s-x): Entrain created it");
    assert_eq!(linked(adopted), "linked to the site group “x” (s-x): it was there and was adopted");
}

#[test]
fn a_group_that_is_bound_to_another_site_group_is_linked_to_that_at_the_next_sync() {
    let mut world = World::new(&["*"]).group("x", &[]).site_group("y", &[]);
    let bound = "bound to the site group “y” (s-y) by the rules; linked at the next sync";
    world.bind("x", "y");
    assert_eq!(site(&world, "g-x"), bound);
    world.rules.bindings.clear();
    world.converge();
    world.bind("x", "y");
    assert_eq!(site(&world, "g-x"), bound, "also where another one is linked so far");
}

#[test]
fn a_site_group_that_is_gone_is_said_to_be_created_anew_or_not() {
    let mut world = settled();
    world.site_groups.remove(&sid("Jira admins"));
    let was = "was linked to the site group “Jira admins” (s-Jira_admins), which the site no longer has";
    assert_eq!(site(&world, "g-Jira_admins"), format!("{was}; it is created anew"));
    world.rules.scope.exclude_groups = vec![GroupSelector::parse("Jira admins").unwrap()];
    assert_eq!(site(&world, "g-Jira_admins"), was);
}

#[test]
fn site_groups_without_a_directory_group_are_the_document_s_or_nobody_s() {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana"])
        .site_group("everyone", &[])
        .site_group("Loose", &[]);
    world.rules.defaults.everybody.push("everyone".into());
    assert_eq!(site(&world, "everyone"), "“everyone” (s-everyone) is the site group that the document names");
    assert_eq!(site(&world, "Loose"), "“Loose” (s-Loose) is not linked; Entrain leaves it alone");
}

#[test]
fn the_mode_names_the_groups_that_fill_one_together() {
    let mut world = World::new(&["*"]).group("a", &["ana"]).group("b", &["ben"]);
    world.bind("a", "Both");
    world.bind("b", "Both");
    let managed = "managed: only what Entrain granted, or found on both sides, is taken away";
    let mode = |world: &World, group: &str| text(&world.why_group(group), "mode");
    assert_eq!(mode(&world, "a"), format!("{managed}; filled from “a” and “b” together"));
    assert_eq!(mode(&settled(), "Jira users"), managed);
    world.rules.mode = GroupMode::Additive;
    assert!(mode(&world, "a").starts_with("additive: nobody is taken out"), "{}", mode(&world, "a"));
    world.rules.memberships = Memberships::Leave;
    assert!(mode(&world, "a").starts_with("sync_memberships is off"), "{}", mode(&world, "a"));
}

#[test]
fn the_members_are_counted_by_how_they_stand() {
    let mut world = settled().account("stranger");
    let tally = |world: &World, group: &str| text(&world.why_group(group), "members");
    assert_eq!(tally(&world, "Jira users"), "2 on both sides");
    world.by_hand_in("Jira users", "stranger");
    world.by_hand_out("Jira users", "ben");
    assert_eq!(
        tally(&world, "Jira users"),
        "1 on both sides, 1 missing on the site, 1 somebody's own on the site"
    );
    let empty = World::new(&["*"]).group("x", &[]);
    assert!(!empty.why_group("x").chain.iter().any(|link| link.what == "members"));
}

#[test]
fn the_steps_about_a_group_are_told_by_kind_with_those_that_are_held() {
    let mut world = World::new(&["*"]).group("x", &["ana", "ben"]).account("ana").account("ben");
    let members =
        "add_member “Name ana” and “Name ben”: member through “x”; memberships are synced; not a member";
    assert_eq!(
        text(&world.why_group("x"), "step"),
        format!("create_group: directory group “x”; named by scope “*”; no group of this name | {members}")
    );
    world = world.site_group("x", &[]);
    assert_eq!(
        text(&world.why_group("x"), "step"),
        format!(
            "adopt_group (1 held): directory group “x”; named by scope “*”; a group of this name exists and is not \
             linked | {}",
            members.replace(": ", " (2 held): ")
        )
    );
}

#[test]
fn a_group_that_would_be_created_is_not_where_groups_are_only_reported() {
    let mut world = World::new(&["*"]).group("x", &[]);
    world.rules.import_groups = Import::Report;
    assert_eq!(
        world.why_group("x").verdict,
        "“x” is set aside, because the site has no group of this name, and import_groups is off"
    );
}

#[test]
fn somebody_of_an_unknown_state_is_left_out_or_stays_where_they_are() {
    let mut world = settled().group("Jira admins", &["ben", "dan"]);
    for name in ["ben", "dan"] {
        world.users.insert(name.into(), AccountState::Unknown);
    }
    let unknown =
        "Entra ID does not say whether the account is enabled, so it is neither added nor taken out";
    let why = world.why_group("Jira admins");
    assert_eq!(said_of(&why, "ben"), (MemberState::Unknown, unknown.to_owned()), "on the site");
    assert_eq!(
        said_of(&why, "dan"),
        (MemberState::LeftOut, format!("member through “Jira admins”, but {unknown}"))
    );
}

#[test]
fn a_disabled_person_whom_somebody_put_into_the_group_is_that_somebody_s() {
    let mut world = settled();
    world.groups.get_mut("Jira admins").unwrap().users.insert("ana".into());
    world.by_hand_in("Jira admins", "ana");
    world.disable("ana");
    assert_eq!(
        said_of(&world.why_group("Jira admins"), "ana"),
        (
            MemberState::Own,
            "the account is disabled in Entra ID; put into the group on the site by somebody else".to_owned()
        )
    );
    world.memory.own_membership(&sid("Jira admins"), &aid("ana"), Origin::Created);
    assert_eq!(
        said_of(&world.why_group("Jira admins"), "ana"),
        (MemberState::Leaving, "the account is disabled in Entra ID".to_owned())
    );
}

#[test]
fn a_missing_member_is_new_or_was_taken_out_by_somebody_else() {
    let mut world = settled();
    world.by_hand_out("Jira users", "ana");
    world.groups.get_mut("Jira admins").unwrap().users.insert("ana".into());
    let through = "member through “Jira users” › “Berlin”";
    assert_eq!(
        said_of(&world.why_group("Jira users"), "ana"),
        (MemberState::Missing, format!("{through}; was taken out on the site by somebody else"))
    );
    assert_eq!(
        said_of(&world.why_group("Jira admins"), "ana"),
        (MemberState::Missing, "member through “Jira admins”".to_owned())
    );
    assert_eq!(
        said_of(&world.why_group("Berlin"), "ana"),
        (MemberState::LeftOut, "member through “Berlin”; no site group is managed for it".to_owned())
    );
}

#[test]
fn in_a_default_group_whoever_nobody_is_linked_to_is_not_taken_for_a_leaver() {
    let mut world = World::new(&["Jira *"])
        .group("Jira users", &["ana"])
        .account("stranger")
        .site_group("everyone", &["stranger"]);
    world.rules.defaults.everybody.push("everyone".into());
    world.converge();
    world.memory.own_membership(&sid("everyone"), &aid("stranger"), Origin::Created);
    let why = world.why_group("everyone");
    assert_eq!(
        said_of(&why, "stranger"),
        (MemberState::Unknown, "granted by Entrain, but nobody is linked to the account any more".to_owned())
    );
    assert_eq!(states(&why).len(), 2);
}

#[test]
fn a_group_that_takes_over_the_site_group_of_another_is_told_which_one() {
    let mut world = World::new(&["Staff"]).group("Staff", &["ana"]).account("ana");
    world.converge();
    world.groups.remove("Staff");
    world = world.group("New staff", &["ana"]);
    world.groups.get_mut("New staff").unwrap().name = "Staff".into();
    let why = world.why_group("Staff");
    let told = text(&why, "site");
    assert!(told.ends_with("stood for another directory group and is to be taken over"), "{told}");
    assert!(why.verdict.contains("takes the site group over"), "{}", why.verdict);
}
