//! Drift: what people do by hand on the site is told apart from what Entrain did, shown, and treated as the mode says.

use entrain_domain::plan::{ByHand, Drift, DriftKind, Guard, StepKind, Treatment};
use entrain_domain::policy::GroupMode;

use crate::support::*;

fn told(drift: &[Drift]) -> Vec<(DriftKind, Treatment)> {
    drift.iter().map(|drift| (drift.kind(), drift.treatment)).collect()
}

/// A group in which Zoe is or is not in the ledger, in the directory, on the site; Ana keeps it managed.
fn combined(ledger: bool, directory: bool, site: bool, mode: GroupMode) -> World {
    let mut world = World::new(&["*"]).group("G", &["ana", "zoe"]).account("ana").account("zoe");
    if !ledger {
        world.groups.get_mut("G").unwrap().users.remove("zoe");
    }
    world.converge();
    world.rules.mode = mode;
    let users = &mut world.groups.get_mut("G").unwrap().users;
    if directory {
        users.insert("zoe".into());
    } else {
        users.remove("zoe");
    }
    match (ledger, site) {
        (true, false) => world.by_hand_out("G", "zoe"),
        (false, true) => world.by_hand_in("G", "zoe"),
        _ => {}
    }
    world
}

#[test]
fn every_combination_of_ledger_directory_and_site_is_treated_as_the_mode_says() {
    use GroupMode::{Additive, Authoritative, Managed};
    let (added, removed) = (DriftKind::MemberAdded, DriftKind::MemberRemoved);
    let (none, add, remove) = (None, Some(StepKind::AddMember), Some(StepKind::RemoveMember));
    // (ledger, directory, site) → for managed, additive, authoritative: step, drift
    let table = [
        ((false, false, false), [none; 3], [None; 3]),
        (
            (false, false, true),
            [none, none, remove],
            [
                Some((added, Treatment::LeftAlone)),
                Some((added, Treatment::LeftAlone)),
                Some((added, Treatment::Held)),
            ],
        ),
        ((false, true, false), [add; 3], [None; 3]),
        ((false, true, true), [none; 3], [None; 3]),
        ((true, false, false), [none; 3], [None; 3]),
        ((true, false, true), [remove, none, remove], [None; 3]),
        ((true, true, false), [add; 3], [Some((removed, Treatment::Undone)); 3]),
        ((true, true, true), [none; 3], [None; 3]),
    ];
    for ((ledger, directory, site), steps, drifts) in table {
        for ((mode, step), drift) in [Managed, Additive, Authoritative].into_iter().zip(steps).zip(drifts) {
            let at = format!("ledger {ledger}, directory {directory}, site {site}, {mode:?}");
            let mut world = combined(ledger, directory, site, mode);
            let plan = world.plan();
            let kinds: Vec<StepKind> = plan.steps.iter().map(|step| step.action.kind()).collect();
            assert_eq!(kinds, step.into_iter().collect::<Vec<_>>(), "{at}\n{}", render(&plan));
            assert_eq!(told(&plan.drift), drift.into_iter().collect::<Vec<_>>(), "{at}: {:?}", plan.drift);
            // What is owned afterwards is what both sides have; an additive group keeps what it granted.
            world.converge();
            let owned = world.memory.membership(&sid("G"), &aid("zoe")).is_some();
            assert_eq!(owned, directory || (ledger && site && mode == Additive), "{at}: the ledger");
        }
    }
}

#[test]
fn n_14_an_edit_by_hand_after_half_a_run_is_drift_and_is_not_undone_silently() {
    let people = ["ana", "ben", "cem", "dan"];
    let mut world = World::new(&["*"]).group("G", &people).account("eve");
    for name in people {
        world = world.account(name);
    }
    // Half of the plan is done, then the process dies: the group and two of four memberships.
    let plan = world.plan();
    plan.records.iter().for_each(|record| world.memory.apply(record));
    for step in plan.steps.iter().take(3) {
        world.apply_step(step);
    }
    assert_eq!(world.members("G"), ["ana", "ben"]);
    // Meanwhile somebody takes Ben out, puts Cem in, who is about to come, and Eve, who is not.
    world.by_hand_out("G", "ben");
    world.by_hand_in("G", "cem");
    world.by_hand_in("G", "eve");
    let plan = world.plan();
    let drift = told(&plan.drift);
    assert_eq!(drift.len(), 2, "{:?}", plan.drift);
    assert!(drift.contains(&(DriftKind::MemberRemoved, Treatment::Undone)), "Ben is granted, and said");
    assert!(drift.contains(&(DriftKind::MemberAdded, Treatment::LeftAlone)), "Eve is somebody's own");
    assert!(plan.drift.iter().any(|d| d.to_string().contains("left alone")), "{:?}", plan.drift);
    world.converge();
    assert_eq!(world.members("G"), ["ana", "ben", "cem", "dan", "eve"], "Eve stays");
    assert!(world.memory.membership(&sid("G"), &aid("eve")).is_none());
    // An authoritative group shows it, asks, and only then undoes it.
    world.rules.mode = GroupMode::Authoritative;
    let plan = world.plan();
    assert_eq!(told(&plan.drift), [(DriftKind::MemberAdded, Treatment::Held)]);
    assert!(plan.held.iter().any(|held| held.guard == Guard::Authoritative), "{:?}", plan.held);
    world.converge();
    assert!(world.members("G").contains(&"eve".to_owned()), "held, not done");
    world.approval = entrain_domain::plan::Approval::Held;
    assert_eq!(told(&world.plan().drift), [(DriftKind::MemberAdded, Treatment::Undone)]);
}

#[test]
fn who_was_there_before_a_group_came_under_management_is_no_drift() {
    let mut world =
        World::new(&["*"]).group("G", &["ana"]).account("ana").account("eve").site_group("G", &["eve"]);
    assert_eq!(world.plan().drift, []);
    world.rules.mode = GroupMode::Authoritative;
    assert_eq!(world.plan().drift, []);
}

#[test]
fn the_technical_account_is_no_drift_and_a_protected_one_is_said_to_stay() {
    let mut world =
        World::new(&["*"]).group("G", &["ana"]).account("ana").account("sync-bot").account("boss");
    world.converge();
    world.by_hand_in("G", "sync-bot");
    world.by_hand_in("G", "boss");
    world.rules.protected.accounts.insert(aid("boss"));
    world.rules.mode = GroupMode::Authoritative;
    let plan = world.plan();
    assert_eq!(told(&plan.drift), [(DriftKind::MemberAdded, Treatment::SetAside)], "{:?}", plan.drift);
    assert!(plan.steps.is_empty(), "{}", render(&plan));
}

#[test]
fn groups_renamed_and_deleted_by_hand_are_drift() {
    let mut world = World::new(&["*"]).group("G", &["ana"]).group("H", &["ana"]).account("ana");
    world.converge();
    world.site_groups.get_mut(&sid("G")).unwrap().0 = "Gee".into();
    world.site_groups.remove(&sid("H"));
    let plan = world.plan();
    assert_eq!(plan.drift.len(), 2, "{:?}", plan.drift);
    let renamed = plan.drift.iter().find(|d| d.kind() == DriftKind::GroupRenamed).unwrap();
    assert!(matches!(&renamed.what, ByHand::GroupRenamed(before) if &**before == "G"), "{renamed:?}");
    assert_eq!(renamed.treatment, Treatment::LeftAlone, "nobody can rename it");
    let deleted = plan.drift.iter().find(|d| d.kind() == DriftKind::GroupDeleted).unwrap();
    assert_eq!(deleted.treatment, Treatment::Undone);
    assert_eq!(deleted.to_string(), "the group “H” was deleted by hand: created again");
    world.rename_by = Some(entrain_domain::model::RenameBy::Organization);
    let plan = world.converge();
    let renamed = plan.drift.iter().find(|d| d.kind() == DriftKind::GroupRenamed).unwrap();
    assert_eq!(renamed.treatment, Treatment::Undone);
    assert_eq!(world.plan().drift, [], "told once");
}

#[test]
fn drift_is_told_in_words_and_in_json() {
    let mut world = World::new(&["*"]).group("G", &["ana"]).account("ana").account("eve");
    world.converge();
    world.by_hand_in("G", "eve");
    let plan = world.plan();
    assert_eq!(
        plan.drift[0].to_string(),
        "Name eve <eve@example.com> was put into “G” by hand: somebody's own, left alone"
    );
    let json = serde_json::to_value(&plan.drift[0]).unwrap();
    assert_eq!(json["kind"], "member_added");
    assert_eq!(json["treatment"], "left_alone");
    assert_eq!(json["group"]["name"], "G");
    assert_eq!(json["user"]["site_id"], "712020:eve");
    assert!(json.get("before").is_none());
    assert_eq!(plan.drift_tally().into_iter().collect::<Vec<_>>(), [(DriftKind::MemberAdded, 1)]);
}

#[test]
fn a_group_that_was_renamed_by_hand_is_told_with_its_name_before() {
    let mut world = World::new(&["*"]).group("G", &["ana"]);
    world.converge();
    world.site_groups.get_mut(&sid("G")).unwrap().0 = "Gee".into();
    let json = serde_json::to_value(&world.plan().drift[0]).unwrap();
    assert_eq!((&json["kind"], &json["before"]), (&"group_renamed".into(), &"G".into()));
    assert!(json.get("user").is_none());
}

/// The deleted group is made anew at once; the one that is adopted waits for a person.
#[test]
fn a_group_that_was_deleted_by_hand_is_told_by_its_own_step_and_no_other_s() {
    let mut world = World::new(&["*"]).group("G", &[]);
    world.converge();
    world.site_groups.remove(&sid("G"));
    world = world.group("H", &[]).site_group("H", &[]);
    assert_eq!(told(&world.plan().drift), [(DriftKind::GroupDeleted, Treatment::Undone)]);
}
