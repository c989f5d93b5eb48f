//! The leaver ladder as it is remembered and told: who enters it, who leaves it without a step, and in which words.

use std::time::Duration;

use crate::explain::text;
use crate::support::*;
use entrain_domain::memory::{MemoryChange, UserLink};
use entrain_domain::model::*;
use entrain_domain::plan::{Plan, ladder_rows};
use entrain_domain::policy::{Delays, GroupMode, Leavers};

const DAY: Duration = Duration::from_hours(24);

/// Ana and Ben, invited by Entrain; a week after they left they are taken off the site.
fn company() -> World {
    let mut world = World::new(&["Jira *"]).group("Jira Team", &["ana", "ben"]);
    let delays = Delays { remove: Some(7 * DAY), ..Delays::default() };
    world.rules.leavers = Leavers { disabled: delays, deleted: delays, ..Leavers::default() };
    world.converge();
    world
}

/// What a plan lets memory know of the ladder.
fn ladder(plan: &Plan) -> Vec<String> {
    let told = |record: &MemoryChange| match record {
        MemoryChange::EnterLadder(place) => {
            let groups: Vec<&str> = place.groups.iter().map(|group| &*group.name).collect();
            Some(format!("{} enters, {}: {}", place.user, place.leaving.as_str(), groups.join(", ")))
        }
        MemoryChange::LeaveLadder { user } => Some(format!("{user} leaves")),
        _ => None,
    };
    plan.records.iter().filter_map(told).collect()
}

/// Ana is on the ladder.
fn ana_left() -> World {
    let mut world = company();
    world.disable("ana");
    assert_eq!(ladder(&world.converge()), ["u-ana enters, disabled: Jira Team"]);
    assert_eq!(ladder(&world.plan()), [""; 0], "once");
    world
}

#[test]
fn whose_account_is_gone_by_another_hand_is_on_the_ladder_no_more() {
    let mut world = ana_left();
    world.accounts.remove(&aid("ana"));
    assert_eq!(ladder(&world.plan()), ["u-ana leaves"]);
    let mut world = company();
    world.accounts.remove(&aid("ana"));
    world.disable("ana");
    assert_eq!(ladder(&world.plan()), [""; 0], "and does not enter it");
}

#[test]
fn whoever_entrain_took_off_the_site_stays_on_the_ladder_for_a_return() {
    let mut world = ana_left();
    world.now += 7 * DAY;
    world.converge();
    world.accounts.remove(&aid("ana"));
    assert_eq!(ladder(&world.plan()), [""; 0]);
    assert_eq!(
        text(&world.why_user("u-ana"), "ladder"),
        "disabled in the directory, known since 2026-11-02 08:00 UTC; out of the managed groups (“Jira Team”), removed from \
         the site on 2026-11-09 08:00 UTC | no rung is left | cancelled by enabling the user in Entra ID; the next run then \
         invites the person again, puts them into the groups that the directory has for them"
    );
    world.users.remove("ana");
    world.groups.get_mut("Jira Team").unwrap().users.remove("ana");
    world.gone.insert("ana".into());
    assert_eq!(ladder(&world.plan()), ["u-ana enters, deleted: Jira Team"], "deleted since, which is noted");
}

#[test]
fn whose_account_is_another_one_by_now_is_on_the_ladder_no_more() {
    let mut world = ana_left().account("ana-new");
    world.users.insert("ana".into(), AccountState::Enabled);
    world.groups.get_mut("Jira Team").unwrap().users.remove("ana");
    assert_eq!(ladder(&world.plan()), [""; 0], "she takes no part, and nothing says that she is back");
    let link = world.memory.user(&uid("ana")).unwrap().clone();
    world.memory.link_user(UserLink { account: aid("ana-new"), ..link });
    assert_eq!(ladder(&world.plan()), ["u-ana leaves"]);
}

#[test]
fn whoever_leaves_in_another_way_keeps_the_groups_that_are_known() {
    let mut world = company();
    world.rules.mode = GroupMode::Additive;
    world.disable("ana");
    assert_eq!(ladder(&world.converge()), ["u-ana enters, disabled: Jira Team"]);
    world.users.remove("ana");
    world.groups.get_mut("Jira Team").unwrap().users.remove("ana");
    world.gone.insert("ana".into());
    assert_eq!(ladder(&world.plan()), ["u-ana enters, deleted: Jira Team"]);
}

#[test]
fn whoever_leaves_in_another_way_gets_the_whole_time_of_that_way_unless_deleted_after_disabled() {
    let since = |plan: &Plan| {
        plan.records.iter().find_map(|record| match record {
            MemoryChange::EnterLadder(place) => Some(place.since),
            _ => None,
        })
    };
    let mut world = company();
    let delays = world.rules.leavers.disabled;
    world.rules.leavers.out_of_scope = delays;
    world.groups.get_mut("Jira Team").unwrap().users.remove("ana");
    let first = world.now;
    assert_eq!(since(&world.converge()), Some(first));
    world.now += DAY;
    world.disable("ana");
    assert_eq!(since(&world.converge()), Some(first + DAY), "the delay was not meant for the time before");
    world.now += DAY;
    world.users.remove("ana");
    world.gone.insert("ana".into());
    assert_eq!(since(&world.converge()), Some(first + DAY), "disabled and then deleted is one leaving");
}

#[test]
fn each_leaver_is_told_the_own_place_and_no_other() {
    let mut world = company();
    world.disable("ana");
    world.users.remove("ben");
    world.groups.get_mut("Jira Team").unwrap().users.remove("ben");
    world.gone.insert("ben".into());
    let told = |who: &str| text(&world.why_user(who), "ladder");
    assert!(told("u-ana").starts_with("disabled in the directory"), "{}", told("u-ana"));
    assert!(told("u-ben").starts_with("deleted in the directory"), "{}", told("u-ben"));
}

#[test]
fn a_protected_leaver_is_named_with_the_address() {
    let mut world = ana_left();
    world.now += 7 * DAY;
    world.rules.protected.accounts.insert(aid("ana"));
    let objects: Vec<String> = world.plan().set_aside.iter().map(|aside| aside.object.clone()).collect();
    assert_eq!(objects, ["Name ana <ana@example.com>"]);
}

#[test]
fn the_report_says_why_no_rung_comes_next_only_where_none_does() {
    let mut world = ana_left();
    let note = |world: &World| ladder_rows(world.memory.ladder(), &world.rules)[0].note;
    assert_eq!(note(&world), "", "the removal is still ahead");
    let rules = std::mem::take(&mut world.rules.leavers.disabled);
    assert_eq!(note(&world), "no further rung is switched on");
    world.rules.leavers.disabled = rules;
    world.now += 7 * DAY;
    world.converge();
    assert_eq!(note(&world), "", "that is the end of the ladder");
}
