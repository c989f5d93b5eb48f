//! Site groups that the document names: bound to directory groups, several on either side, and default groups; and
//! what becomes of a site group whose directory group was deleted and made anew.

use entrain_domain::memory::Anchor;
use entrain_domain::model::{AccountState, Coverage, Evidence, RenameBy, Unread};
use entrain_domain::plan::{Action, ByHand, Guard, Plan, StepKind};
use entrain_domain::policy::{Existing, GroupMode, GroupSelector, Import};

use crate::support::*;

fn kinds(plan: &Plan) -> Vec<(StepKind, usize)> {
    plan.tally().into_iter().map(|(kind, tally)| (kind, tally.planned)).collect()
}

/// X is filled from A and B, and A fills Y besides.
fn woven() -> World {
    let mut world = World::new(&["*"])
        .group("A", &["ana", "both"])
        .group("B", &["ben", "both"])
        .account("ana")
        .account("ben")
        .account("both");
    world.bind("A", "X");
    world.bind("B", "X");
    world.bind("A", "Y");
    world
}

#[test]
fn groups_are_bound_many_to_many_and_a_member_of_any_source_belongs() {
    let mut world = woven();
    let plan = world.converge();
    assert_eq!(kinds(&plan), [(StepKind::CreateGroup, 2), (StepKind::AddMember, 5)], "{}", render(&plan));
    assert_eq!(world.members("X"), ["ana", "ben", "both"]);
    assert_eq!(world.members("Y"), ["ana", "both"]);
    let ids: Vec<String> = plan.steps.iter().map(|step| step.id().to_string()).collect();
    assert!(
        ids.contains(&"create_group/name:x".into()) && ids.contains(&"add_member/name:y/u-ana".into()),
        "{ids:?}"
    );
    assert!(render(&plan).contains("member through “B”"), "{}", render(&plan));
}

#[test]
fn a_member_leaves_with_the_last_source_and_the_reason_names_all_of_them() {
    let mut world = woven();
    world.converge();
    world.groups.get_mut("A").unwrap().users.remove("both");
    let plan = world.converge();
    assert_eq!(world.members("X"), ["ana", "ben", "both"], "still in B");
    assert_eq!(world.members("Y"), ["ana"]);
    assert_eq!(kinds(&plan), [(StepKind::RemoveMember, 1)]);
    world.groups.get_mut("B").unwrap().users.remove("both");
    let plan = world.converge();
    assert_eq!(world.members("X"), ["ana", "ben"]);
    let Action::RemoveMember { removal, .. } = &plan.steps[0].action else { panic!("{}", render(&plan)) };
    assert_eq!((removal.proof.groups().len(), removal.proof.evidence()), (2, Evidence::NotAMember));
    assert!(plan.steps[0].reason.to_string().contains("no longer in “A” or “B”"), "{}", render(&plan));
}

#[test]
fn n_13_one_source_that_was_not_read_leaves_the_whole_group_alone() {
    let mut world = woven();
    world.converge();
    world.groups.get_mut("A").unwrap().users.clear();
    world.groups.get_mut("B").unwrap().unread = true;
    let plan = world.plan();
    let about_x = plan.steps.iter().filter(|s| s.action.group().is_some_and(|g| &*g.name == "X"));
    assert_eq!(about_x.count(), 0, "{}", render(&plan));
    assert!(plan.set_aside.iter().any(|a| a.object.contains('X') && a.reason.contains("403")), "{plan:?}");
    assert!(plan.tally().contains_key(&StepKind::RemoveMember), "Y is known, and goes on");
}

#[test]
fn a_source_that_is_gone_or_not_in_scope_is_not_taken_for_an_empty_one() {
    for gone in [true, false] {
        let mut world = woven();
        world.converge();
        if gone {
            world.groups.remove("B");
        } else {
            world.rules.scope.exclude_groups.push(GroupSelector::parse("B").unwrap());
        }
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{}", render(&plan));
        assert_eq!(plan.set_aside.len(), 1, "{plan:?}");
        assert!(plan.set_aside[0].remedy.contains("take the binding out"), "{plan:?}");
        // On purpose, they leave.
        world.rules.bindings.retain(|b| b.directory.as_str() != "B");
        world.converge();
        assert_eq!(world.members("X"), ["ana", "both"]);
    }
}

#[test]
fn two_directory_groups_of_one_name_are_no_source() {
    let mut world = woven().group("Seizer", &["eve"]).account("eve");
    world.converge();
    world.groups.get_mut("Seizer").unwrap().name = "a".into();
    let plan = world.plan();
    assert!(
        !plan.steps.iter().any(|s| s.action.group().is_some_and(|g| &*g.name == "X")),
        "{}",
        render(&plan)
    );
    assert!(plan.set_aside.iter().any(|a| a.reason.contains("several directory groups")), "{plan:?}");
}

#[test]
fn a_binding_goes_before_the_link_and_taking_it_out_brings_the_link_back() {
    let mut world = World::new(&["*"]).group("A", &["ana"]).account("ana");
    world.converge();
    world.bind("A", "X");
    let plan = world.converge();
    assert_eq!(world.members("X"), ["ana"]);
    assert_eq!(world.members("A"), ["ana"], "left as it is");
    assert!(plan.notes.iter().any(|n| n.reason.contains("goes before the link")), "{plan:?}");
    world.rules.bindings.clear();
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
}

#[test]
fn a_group_bound_to_its_own_site_group_changes_nothing_but_the_form_of_its_link() {
    let mut world = World::new(&["*"]).group("A", &["ana"]).account("ana");
    world.converge();
    world.bind("A", "a");
    let plan = world.converge();
    assert!(plan.steps.is_empty() && plan.notes.is_empty() && plan.set_aside.is_empty(), "{plan:?}");
    assert!(world.memory.anchored(&Anchor::named("a")).is_some());
    assert!(world.memory.group(&gid("A")).is_none());
}

#[test]
fn a_binding_takes_no_site_group_from_a_directory_group_that_stands_for_it() {
    let mut world =
        World::new(&["*"]).group("A", &["ana"]).group("B", &["ben"]).account("ana").account("ben");
    world.converge();
    world.bind("B", "A");
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert!(plan.set_aside[0].remedy.contains("\"A\" = \"A\""), "{plan:?}");
    world.bind("A", "A");
    world.converge();
    assert_eq!(world.members("A"), ["ana", "ben"]);
}

#[test]
fn a_bound_group_that_is_renamed_on_the_site_stays_the_same_and_opens_nothing() {
    let mut world = woven();
    world.converge();
    world.site_groups.get_mut(&sid("X")).unwrap().0 = "Z".into();
    let plan = world.converge();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert!(
        matches!(&plan.drift[0].what, ByHand::GroupRenamed(before) if &**before == "X"),
        "{:?}",
        plan.drift
    );
    assert!(world.plan().drift.is_empty(), "told once");
    world.administrative.insert(sid("X"));
    let plan = world.plan();
    assert!(plan.set_aside.iter().any(|a| a.reason.contains("grants administration")), "{plan:?}");
}

#[test]
fn of_several_sources_the_mildest_mode_holds() {
    let mut world = woven();
    world.rules.modes = [
        (GroupSelector::parse("A").unwrap(), GroupMode::Authoritative),
        (GroupSelector::parse("B").unwrap(), GroupMode::Additive),
    ]
    .into_iter()
    .collect();
    world.converge();
    for group in ["A", "B"] {
        world.groups.get_mut(group).unwrap().users.remove("both");
    }
    world.converge();
    assert_eq!(world.members("X"), ["ana", "ben", "both"], "additive");
    assert_eq!(world.members("Y"), ["ana"], "authoritative");
}

/// Ana and Ben take part, everybody is a member of “Everyone”.
fn everyone() -> World {
    let mut world =
        World::new(&["Jira"]).group("Jira", &["ana", "ben"]).group("Payroll", &["eve"]).account("ana");
    world.rules.defaults.everybody = vec!["Everyone".into()];
    world
}

#[test]
fn everybody_in_scope_is_in_a_default_group_and_leaves_it_with_the_scope() {
    let mut world = everyone();
    let plan = world.converge();
    assert_eq!(world.members("Everyone"), ["ana", "ben"]);
    let everyone =
        plan.steps.iter().filter_map(|s| s.action.group()).find(|g| &*g.name == "Everyone").unwrap();
    assert_eq!(everyone.directory_id(), None);
    assert!(
        plan.steps.iter().any(|s| s.id().as_str() == "add_member/name:everyone/u-ana"),
        "{}",
        render(&plan)
    );
    world.groups.get_mut("Jira").unwrap().users.remove("ben");
    let plan = world.converge();
    assert_eq!(world.members("Everyone"), ["ana"]);
    assert!(render(&plan).contains("no longer in scope"), "{}", render(&plan));
    world.disable("ana");
    world.approval = entrain_domain::plan::Approval::EvenEmpty;
    world.converge();
    assert_eq!(world.members("Everyone"), Vec::<String>::new());
}

#[test]
fn whose_scope_is_not_completely_known_has_default_groups_left_alone() {
    let mut world = everyone();
    world.rules.scope.groups.push(GroupSelector::parse("Payroll").unwrap());
    world.converge();
    assert_eq!(world.members("Everyone"), ["ana", "ben", "eve"]);
    world.groups.get_mut("Payroll").unwrap().unread = true;
    world.groups.get_mut("Jira").unwrap().users.remove("ben");
    let plan = world.plan();
    let about =
        |name: &str| plan.steps.iter().filter(|s| s.action.group().is_some_and(|g| &*g.name == name)).count();
    assert_eq!((about("Everyone"), about("Jira")), (0, 1), "{}", render(&plan));
    world.groups.get_mut("Payroll").unwrap().unread = false;
    world.users_coverage = Coverage::Partial(Unread { reason: "page 2".into(), remedy: "again".into() });
    assert!(world.plan().steps.is_empty());
}

#[test]
fn somebody_of_an_unknown_state_stays_in_the_default_group() {
    let mut world = everyone();
    world.converge();
    world.users.insert("ben".into(), AccountState::Unknown);
    assert!(world.plan().steps.is_empty());
}

#[test]
fn h_01_a_default_group_is_never_one_of_administrators() {
    let mut world = everyone().site_group("Everyone", &[]);
    world.administrative.insert(sid("Everyone"));
    let plan = world.plan();
    assert!(!plan.steps.iter().any(|s| s.action.group().is_some_and(|g| &*g.name == "Everyone")));
    assert!(plan.set_aside.iter().any(|a| a.reason.contains("grants administration")), "{plan:?}");
}

#[test]
fn newcomers_are_given_a_group_once_and_it_is_their_own() {
    let mut world = World::new(&["Jira"]).group("Jira", &["ana", "ben"]).account("ana");
    world.rules.defaults.newcomers = vec!["Welcome".into()];
    let plan = world.converge();
    assert_eq!(world.members("Welcome"), ["ben"], "Ana was there before");
    assert!(render(&plan).contains("given to people whom Entrain invites"), "{}", render(&plan));
    let group = world.memory.anchored(&Anchor::named("welcome")).unwrap().group.clone();
    assert_eq!(world.memory.memberships(&group).count(), 0, "not in the ledger");
    // Taken out by hand: not given again. Left the directory: not taken out.
    world.by_hand_out("Welcome", "ben");
    assert!(world.plan().steps.is_empty());
    world.by_hand_in("Welcome", "ben");
    world.groups.get_mut("Jira").unwrap().users.remove("ben");
    let plan = world.converge();
    assert_eq!(world.members("Welcome"), ["ben"], "{}", render(&plan));
    // Nobody invited, no group needed.
    let mut world = World::new(&["Jira"]).group("Jira", &["ana"]).account("ana");
    world.rules.defaults.newcomers = vec!["Welcome".into()];
    assert!(!world.converge().steps.iter().any(|s| s.action.group().is_some_and(|g| &*g.name == "Welcome")));
}

#[test]
fn a_directory_group_does_not_fill_a_group_that_the_document_fills() {
    let mut world = everyone();
    world.groups.get_mut("Payroll").unwrap().name = "everyone".into();
    world.rules.scope.groups.push(GroupSelector::parse("everyone").unwrap());
    let plan = world.converge();
    assert!(plan.set_aside.iter().any(|a| a.reason.contains("from elsewhere")), "{plan:?}");
    world.rules.import_groups = Import::Report;
    world.rules.defaults.everybody = vec!["Missing".into()];
    assert!(world.plan().set_aside.iter().any(|a| a.reason.contains("import_groups is off")));
}

/// “Staff” is in step; then the directory group is deleted and made anew, with another member in place of one.
fn recreated() -> World {
    let mut world =
        World::new(&["Staff"]).group("Staff", &["ana", "ben"]).account("ana").account("ben").account("cem");
    world.converge();
    world.groups.remove("Staff");
    let mut world = world.group("New staff", &["ana", "cem"]);
    world.groups.get_mut("New staff").unwrap().name = "Staff".into();
    world
}

#[test]
fn n_13_a_group_made_anew_under_its_name_takes_the_site_group_over_when_a_person_says_so() {
    let mut world = recreated();
    let plan = world.plan();
    assert!(plan.steps.iter().all(|step| step.hold == Some(Guard::Adoption)), "{}", render(&plan));
    assert!(render(&plan).contains("no longer in scope"), "{}", render(&plan));
    assert_eq!(plan.drift, []);
    world.approval = entrain_domain::plan::Approval::Held;
    world.converge();
    assert_eq!(world.members("Staff"), ["ana", "cem"], "the ledger stayed, so what ended is taken back");
    assert!(world.memory.group(&gid("Staff")).is_none() && world.memory.group(&gid("New staff")).is_some());
}

#[test]
fn a_group_made_anew_is_set_aside_where_existing_groups_are_skipped() {
    let mut world = recreated();
    world.rules.existing = Existing::Skip;
    let plan = world.plan();
    assert!(plan.steps.is_empty() && plan.set_aside.len() == 1, "{}", render(&plan));
}

#[test]
fn two_groups_that_exchange_their_names_are_told_how_to_swap() {
    let mut world =
        World::new(&["*"]).group("A", &["ana"]).group("B", &["ben"]).account("ana").account("ben");
    world.rename_by = Some(RenameBy::Organization);
    world.converge();
    world.groups.get_mut("A").unwrap().name = "B".into();
    world.groups.get_mut("B").unwrap().name = "A".into();
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{}", render(&plan));
    assert!(
        plan.notes.len() == 2 && plan.notes.iter().all(|n| n.remedy.contains("exchanged their names")),
        "{plan:?}"
    );
    assert!(plan.notes.iter().any(|n| n.remedy.contains("\"B\" = \"B\" and \"A\" = \"A\"")), "{plan:?}");
    world.bind("A", "A");
    world.bind("B", "B");
    world.converge();
    assert_eq!((world.members("A"), world.members("B")), (vec!["ben".to_owned()], vec!["ana".to_owned()]));
}
