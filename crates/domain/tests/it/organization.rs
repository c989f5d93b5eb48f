//! What an organization key adds to plans: groups that follow a new name, and look-ups by address that need no name.

use std::collections::BTreeSet;

use crate::support::*;
use entrain_domain::model::*;
use entrain_domain::plan::{Action, Lookup, LookupBy, StepKind, accounts_to_look_up};
use entrain_domain::policy::{Binding, GroupSelector};

fn renamed(to: &str) -> World {
    let mut world = World::new(&["*"]).group("Old", &["ana"]).group("Other", &[]);
    world.converge();
    world.rename_by = Some(RenameBy::Organization);
    world.groups.get_mut("Old").unwrap().name = to.into();
    world
}

#[test]
fn n_13_a_renamed_group_is_renamed_where_the_organization_can() {
    let mut world = renamed("New");
    let plan = world.converge();
    assert_eq!(
        render(&plan),
        "rename_group Old — directory group “New”; linked to this site group for good; still called “Old”\n"
    );
    let Action::RenameGroup { renaming, .. } = &plan.steps[0].action else { panic!("{plan:?}") };
    assert_eq!((&*renaming.name, &renaming.site_id), ("New", &sid("Old")));
    assert_eq!(plan.steps[0].id().as_str(), "rename_group/g-Old");
    assert_eq!(world.members("Old"), ["ana"], "the same group");
    assert_eq!(&*world.memory.group(&gid("Old")).unwrap().name, "New");
    assert!(plan.notes.is_empty());
}

#[test]
fn n_13_where_nobody_can_rename_the_name_stays_and_the_way_to_swap_is_told() {
    for by in [
        None,
        Some(RenameBy::Nobody(Unread {
            reason: "the group is owned by an identity provider".into(),
            remedy: "rename it there".into(),
        })),
    ] {
        let mut world = renamed("New");
        world.rename_by.clone_from(&by);
        let plan = world.converge();
        assert!(plan.steps.is_empty() && plan.set_aside.is_empty(), "{}", render(&plan));
        let note = &plan.notes[0];
        assert!(note.reason.contains("“New”") && note.reason.contains("keeps the name “Old”"), "{note:?}");
        assert!(note.remedy.contains("or swap: create “New”"), "{note:?}");
        if by.is_some() {
            assert!(note.reason.contains("identity provider") && note.remedy.starts_with("rename it there"));
        }
    }
}

#[test]
fn n_13_a_name_that_is_taken_shared_privileged_or_no_name_is_given_to_nobody() {
    let long = "x".repeat(256);
    for (to, why) in [
        ("other", "another group of this name"),
        ("site-admins", "administrators"),
        ("\u{200B}x", "invisible"),
        (&*long, "255"),
        ("VIP", "protected list"),
    ] {
        let mut world = renamed(to);
        world.rules.protected.group_names.insert("vip".into());
        // The other group bears its name for itself
        let plan = world.plan();
        assert!(plan.steps.is_empty(), "{}", render(&plan));
        let said: String = plan.notes.iter().map(|n| n.reason.clone()).collect();
        assert!(said.contains(why) || said.contains("several directory groups"), "{to}: {said}");
    }
    // Two groups that would bear one name
    let mut world = renamed("New");
    world.groups.get_mut("Other").unwrap().name = "new".into();
    let plan = world.plan();
    assert!(plan.steps.is_empty() && plan.notes.len() == 2, "{}", render(&plan));
}

#[test]
fn s_05_a_privileged_or_bound_group_is_never_renamed() {
    let mut world = renamed("New");
    world.rules.bindings.push(Binding {
        directory: GroupSelector::parse(gid("Old").as_str()).unwrap(),
        site: "Elsewhere".into(),
    });
    let plan = world.plan();
    assert!(!plan.tally().contains_key(&StepKind::RenameGroup), "{}", render(&plan));
    assert!(plan.notes[0].reason.contains("binding"), "{plan:?}");
    world.administrative.insert(sid("Old"));
    assert!(!world.plan().tally().contains_key(&StepKind::RenameGroup));
}

#[test]
fn a_group_that_differs_in_case_alone_keeps_its_name() {
    let world = renamed("OLD ");
    let plan = world.plan();
    assert!(plan.steps.is_empty() && plan.notes.is_empty(), "{}", render(&plan));
}

#[test]
fn n_13_the_organization_is_asked_for_everybody_who_may_hide_and_for_nobody_else() {
    let mut world = World::new(&["*"]).group("g", &["ana", "ben", "cem"]).account("cem");
    let asked = |world: &World| {
        let directory = world.directory();
        let site = world.site(&directory);
        let by = LookupBy::Organization;
        let people = accounts_to_look_up(&directory, &site, &world.rules, &world.memory, by);
        people.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>()
    };
    assert_eq!(asked(&world), BTreeSet::new(), "nobody hides");
    world.put_account("somebody", None, AccountKind::Person);
    assert_eq!(asked(&world), BTreeSet::from([uid("ana"), uid("ben")]), "whatever the name");
    world.accounts.get_mut(&aid("somebody")).unwrap().activity = AccountActivity::Inactive;
    assert_eq!(asked(&world).len(), 2, "suspended people are found too");
}

#[test]
fn n_13_a_look_up_that_failed_invites_nobody() {
    let mut world = World::new(&["*"]).group("g", &["ana"]);
    world.lookups.insert(
        uid("ana"),
        Lookup::Failed(Unread { reason: "the key has expired".into(), remedy: "make a new one".into() }),
    );
    let plan = world.plan();
    assert!(!plan.tally().contains_key(&StepKind::CreateUser), "{}", render(&plan));
    assert_eq!(plan.set_aside[0].reason, "the key has expired");
    assert_eq!(plan.set_aside[0].remedy, "make a new one");
}
