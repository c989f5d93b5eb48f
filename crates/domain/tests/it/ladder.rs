//! The leaver ladder: rungs in their time, by proof and ownership, and the way back.

use std::collections::BTreeSet;
use std::time::Duration;

use entrain_domain::memory::{Hand, MemoryChange, Origin};
use entrain_domain::model::*;
use entrain_domain::plan::explain::{OnTheLadder, explain_user, find_user};
use entrain_domain::plan::{Guard, Plan, PlanInput, ladder_rows, plan, rungs_due};
use entrain_domain::policy::{Delays, LeaverAccounts, Leavers, Measure};
use entrain_domain::verify::verify;

use crate::support::{World, aid, mail, render, uid};

const DAY: Duration = Duration::from_hours(24);

fn delays(suspend: Option<u32>, deactivate: Option<u32>, remove: Option<u32>) -> Delays {
    let days = |days: Option<u32>| days.map(|days| DAY * days);
    Delays { suspend: days(suspend), deactivate: days(deactivate), remove: days(remove) }
}

/// Ana, Ben and Cara, invited by Entrain and in step.
fn company(delays: Delays) -> World {
    let mut world =
        World::new(&["Jira *"]).group("Jira Team", &["ana", "ben", "cara"]).group("Jira Ops", &["ana"]);
    world.rules.leavers = Leavers { disabled: delays, deleted: delays, ..Leavers::default() };
    world.converge();
    for name in ["ana", "ben", "cara"] {
        world.profiles.insert(aid(name), ProfileStanding::Managed(Profile::new()));
    }
    world
}

fn pass_days(world: &mut World, days: i64) {
    world.now = world.now.checked_add(jiff::SignedDuration::from_hours(24 * days)).unwrap();
}

/// Kinds of the open steps, with the person.
fn kinds(plan: &Plan) -> Vec<String> {
    let name = |p: &str| p.trim_start_matches("Name ").to_owned();
    plan.open_steps()
        .map(|s| {
            format!("{} {}", s.action.kind(), s.action.person().map_or(String::new(), |p| name(&p.name)))
        })
        .collect()
}

#[test]
fn each_rung_is_taken_in_its_time_and_once() {
    let mut world = company(delays(Some(7), Some(30), Some(90)));
    world.disable("ana");
    assert_eq!(kinds(&world.converge()), ["remove_member ana", "remove_member ana"], "the groups go at once");
    let place = world.memory.on_ladder(&uid("ana")).unwrap().clone();
    assert_eq!((place.leaving, place.since, place.reached()), (Leaving::Disabled, world.now, None));
    let groups: Vec<&str> = place.groups.iter().map(|g| &*g.name).collect();
    assert_eq!(groups, ["Jira Ops", "Jira Team"]);
    pass_days(&mut world, 6);
    assert!(world.converge().is_empty());
    for (days, kind) in [(1, "suspend_user ana"), (23, "deactivate_user ana"), (60, "remove_user ana")] {
        pass_days(&mut world, days);
        assert_eq!(kinds(&world.converge()), [kind]);
        assert!(world.plan().is_empty(), "once");
    }
    let report = ladder_rows(world.memory.ladder(), &world.rules);
    assert_eq!((report.len(), report[0].reached, report[0].next), (1, "remove", None));
}

#[test]
fn what_is_overdue_is_done_together_and_a_suspension_before_a_removal_is_not_worth_it() {
    let mut world = company(delays(Some(1), Some(1), Some(2)));
    world.disable("ana");
    world.converge();
    pass_days(&mut world, 1);
    assert_eq!(kinds(&world.plan()), ["suspend_user ana", "deactivate_user ana"]);
    pass_days(&mut world, 5);
    let plan = world.converge();
    assert_eq!(kinds(&plan), ["deactivate_user ana", "remove_user ana"]);
    assert_eq!(plan.steps[1].after.to_vec(), [0]);
}

#[test]
fn without_a_delay_the_rung_waits_for_the_groups_only() {
    let mut world = company(delays(Some(0), None, None));
    world.disable("ana");
    let plan = world.plan();
    assert_eq!(kinds(&plan), ["remove_member ana", "remove_member ana", "suspend_user ana"]);
    assert_eq!(plan.steps[2].after.to_vec(), [0, 1]);
    world.converge();
}

#[test]
fn a_return_takes_back_what_was_taken_before_anything_is_given() {
    let mut world = company(delays(Some(7), Some(30), None));
    world.disable("ana");
    world.converge();
    pass_days(&mut world, 40);
    world.converge();
    assert_eq!(world.accounts[&aid("ana")].activity, AccountActivity::Inactive);
    world.users.insert("ana".into(), AccountState::Enabled);
    let plan = world.plan();
    assert_eq!(kinds(&plan), ["reactivate_user ana", "restore_user ana", "add_member ana", "add_member ana"]);
    assert_eq!(plan.steps[1].after.to_vec(), [0]);
    assert_eq!(plan.steps[2].after.to_vec(), [1], "memberships wait for the access");
    world.converge();
    assert_eq!(world.members("Jira Ops"), ["ana"], "the former groups again");
    assert!(world.memory.on_ladder(&uid("ana")).is_none());
}

#[test]
fn a_return_before_the_first_measure_only_leaves_the_ladder() {
    let mut world = company(delays(Some(7), None, None));
    world.disable("ana");
    world.converge();
    world.users.insert("ana".into(), AccountState::Enabled);
    assert_eq!(kinds(&world.converge()), ["add_member ana", "add_member ana"]);
    assert!(world.memory.on_ladder(&uid("ana")).is_none());
}

#[test]
fn who_was_removed_is_invited_again_and_who_was_deactivated_too_is_activated_first() {
    let mut world = company(delays(None, Some(10), Some(20)));
    world.gone.insert("ana".into());
    world.converge();
    pass_days(&mut world, 25);
    assert_eq!(kinds(&world.converge()), ["deactivate_user ana", "remove_user ana"]);
    world.gone.clear();
    let plan = world.plan();
    assert_eq!(kinds(&plan)[..2], ["reactivate_user ana", "create_user ana"]);
    assert_eq!(plan.steps[1].after.to_vec(), [0]);
    world.converge();
    assert_eq!(world.members("Jira Team"), ["ana", "ben", "cara"]);
    assert!(world.memory.on_ladder(&uid("ana")).is_none());
}

#[test]
fn what_somebody_else_did_is_not_taken_back() {
    let mut world = company(delays(Some(7), None, None));
    world.disable("ana");
    world.converge();
    world.memory.apply(&MemoryChange::PassRung {
        user: uid("ana"),
        measure: Measure::Suspend,
        hand: Hand::Other,
        at: world.now,
    });
    world.users.insert("ana".into(), AccountState::Enabled);
    assert_eq!(kinds(&world.converge()), ["add_member ana", "add_member ana"]);
    assert!(world.memory.on_ladder(&uid("ana")).is_none());
}

#[test]
fn d_06_the_ladder_leaves_protected_people_alone_and_says_so() {
    type Protect = fn(&mut World);
    let cases: [(Protect, &str); 6] = [
        (
            |w| {
                w.rules.protected.accounts.insert(aid("ana"));
            },
            "protected list",
        ),
        // The site hides the address, or the directory has another one by now
        (
            |w| {
                w.rules.protected.addresses.insert(mail("ana"));
                w.accounts.get_mut(&aid("ana")).unwrap().email = None;
            },
            "protected list",
        ),
        (
            |w| {
                w.rules.protected.addresses.insert(mail("ana"));
                w.mails.insert("ana".into(), mail("renamed"));
            },
            "protected list",
        ),
        (
            |w| {
                w.rules.protected.addresses.insert(mail("ana"));
            },
            "protected list",
        ),
        (|w| w.accounts.get_mut(&aid("ana")).unwrap().kind = AccountKind::App, "not a person's"),
        (
            |w| {
                *w = w.clone().site_group("site-admins", &["ana"]);
                w.administrative.insert(crate::support::sid("site-admins"));
            },
            "administers",
        ),
    ];
    for (protect, why) in cases {
        let mut world = company(delays(Some(0), Some(0), Some(0)));
        protect(&mut world);
        world.disable("ana");
        let plan = world.plan();
        let rungs: Vec<_> = plan.steps.iter().filter(|s| s.action.group().is_none()).collect();
        assert!(rungs.is_empty(), "{}", render(&plan));
        assert!(plan.set_aside.iter().any(|a| a.reason.contains(why)), "{}", render(&plan));
    }
}

#[test]
fn accounts_that_were_there_before_are_taken_only_where_the_rules_say_so() {
    let mut world = World::new(&["Jira *"]).group("Jira Team", &["ana", "ben"]).account("ana");
    world.rules.leavers = Leavers { disabled: delays(Some(0), None, None), ..Leavers::default() };
    world.converge();
    assert_eq!(world.memory.user(&uid("ana")).unwrap().origin, Origin::Found);
    world.disable("ana");
    assert_eq!(kinds(&world.converge()), ["remove_member ana"]);
    let row = &ladder_rows(world.memory.ladder(), &world.rules)[0];
    assert!(row.next.is_none() && row.note.contains("before Entrain"), "{row:?}");
    world.rules.leavers.accounts = LeaverAccounts::Linked;
    assert_eq!(kinds(&world.converge()), ["suspend_user ana"]);
}

#[test]
fn no_complete_read_no_rung() {
    let mut world = company(delays(Some(0), Some(0), Some(0)));
    world.disable("ana");
    world.users_coverage =
        Coverage::Partial(Unread { reason: "page 3 failed".into(), remedy: "run again".into() });
    assert!(world.plan().is_empty());
    let mut world = company(delays(Some(0), Some(0), Some(0)));
    world.users.insert("ana".into(), AccountState::Unknown);
    assert!(world.plan().is_empty(), "a state that is not known is no leaving");
}

#[test]
fn triggers_are_told_apart_and_deleted_goes_on_where_disabled_was() {
    let mut world = company(delays(Some(7), None, None));
    world.rules.leavers.deleted = delays(None, None, Some(9));
    world.disable("ana");
    world.converge();
    let since = world.now;
    pass_days(&mut world, 8);
    world.gone.insert("ana".into());
    assert!(world.converge().is_empty(), "suspend_after is of the other trigger");
    let place = world.memory.on_ladder(&uid("ana")).unwrap();
    assert_eq!((place.leaving, place.since), (Leaving::Deleted, since));
    pass_days(&mut world, 1);
    assert_eq!(kinds(&world.converge()), ["remove_user ana"]);
}

#[test]
fn out_of_scope_has_times_of_its_own_and_needs_every_group_read() {
    let mut world = company(delays(Some(0), None, None));
    let leave = |world: &mut World| {
        for group in world.groups.values_mut() {
            group.users.remove("ben");
        }
    };
    leave(&mut world);
    assert_eq!(kinds(&world.converge()), ["remove_member ben"], "the other times are not for them");
    let mut world = company(delays(Some(0), None, None));
    world.rules.leavers.out_of_scope = delays(Some(3), None, None);
    leave(&mut world);
    world.converge();
    assert_eq!(world.memory.on_ladder(&uid("ben")).unwrap().leaving, Leaving::OutOfScope);
    pass_days(&mut world, 3);
    world.groups.get_mut("Jira Ops").unwrap().unread = true;
    assert!(world.plan().steps.is_empty(), "ben may be in the group that was not read");
    world.groups.get_mut("Jira Ops").unwrap().unread = false;
    assert_eq!(kinds(&world.converge()), ["suspend_user ben"]);
    world.disable("ben");
    assert!(world.converge().is_empty(), "the suspension is behind him");
    world.users.insert("ben".into(), AccountState::Enabled);
    world.groups.get_mut("Jira Team").unwrap().users.insert("ben".into());
    assert_eq!(kinds(&world.converge()), ["restore_user ben", "add_member ben"]);
}

#[test]
fn an_account_that_is_not_managed_has_the_deactivation_behind_it() {
    let mut world = company(delays(None, Some(1), Some(2)));
    world.profiles.insert(aid("ana"), ProfileStanding::Unmanaged);
    world.disable("ana");
    world.converge();
    pass_days(&mut world, 1);
    let plan = world.converge();
    assert!(
        plan.is_empty() && plan.notes.iter().any(|n| n.reason.contains("not managed")),
        "{}",
        render(&plan)
    );
    assert!(world.plan().notes.is_empty(), "said once");
    let unread = Unread { reason: "the key was refused".into(), remedy: "renew it".into() };
    let mut world = company(delays(None, Some(1), None));
    world.profiles.insert(aid("ana"), ProfileStanding::Unread(unread));
    world.disable("ana");
    world.converge();
    pass_days(&mut world, 1);
    let plan = world.plan();
    assert!(plan.is_empty() && plan.set_aside[0].reason.contains("the key was refused"), "{}", render(&plan));
}

#[test]
fn what_a_leaver_leads_is_said_before_the_rung() {
    let mut world = company(delays(Some(1), None, None));
    world.disable("ana");
    world.converge();
    pass_days(&mut world, 1);
    let directory = world.directory();
    let site = world.site(&directory);
    let lookups = world.lookups.clone();
    let input = PlanInput {
        directory: &directory,
        site: &site,
        rules: &world.rules,
        memory: &world.memory,
        lookups: &lookups,
        history: world.history,
        approval: world.approval,
        now: world.now,
        focus: entrain_domain::plan::Focus::Everything,
    };
    let due = rungs_due(&input);
    assert_eq!((due.len(), &due[0].account, due[0].measure), (1, &aid("ana"), Measure::Suspend));
    world.leads.insert(aid("ana"), vec![Lead::Project { key: "WEB".into(), name: "Web".into() }]);
    let plan = world.plan();
    assert!(
        plan.steps[0].reason.to_string().contains("still leads project “Web” (WEB)"),
        "{}",
        render(&plan)
    );
    assert_eq!(plan.notes.len(), 1);
}

#[test]
fn d_02_many_rungs_at_once_are_held() {
    let names: Vec<String> = (0..30).map(|n| format!("p{n:02}")).collect();
    let people: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(&["Jira *"]).group("Jira Team", &people);
    world.rules.leavers = Leavers { disabled: delays(Some(7), None, None), ..Leavers::default() };
    world.converge();
    for name in &names[..12] {
        world.disable(name);
    }
    world.approval = entrain_domain::plan::Approval::Held;
    world.converge();
    world.approval = entrain_domain::plan::Approval::None;
    pass_days(&mut world, 7);
    let plan = world.plan();
    assert_eq!(plan.held.iter().map(|h| h.guard).collect::<Vec<_>>(), [Guard::Removals]);
    assert_eq!(plan.open_steps().count(), 0);
    assert!(plan.held[0].reason.contains("12 people would be suspended, of 30"), "{}", render(&plan));
}

/// What is changed behind a plan's back.
type Change = fn(&mut World);

#[test]
fn the_second_opinion_finds_a_rung_that_should_not_be() {
    let judged = |change: fn(&mut World)| {
        let mut world = company(delays(Some(1), None, None));
        world.disable("ana");
        world.converge();
        pass_days(&mut world, 1);
        let made = world.plan();
        assert_eq!(kinds(&made), ["suspend_user ana"]);
        change(&mut world);
        let directory = world.directory();
        let site = world.site(&directory);
        let input = PlanInput {
            directory: &directory,
            site: &site,
            rules: &world.rules,
            memory: &world.memory,
            lookups: &world.lookups,
            history: world.history,
            approval: world.approval,
            now: world.now,
            focus: entrain_domain::plan::Focus::Everything,
        };
        assert_eq!(verify(&input, &plan(&input)), [], "an honest plan passes");
        verify(&input, &made).into_iter().map(|f| f.what).collect::<BTreeSet<_>>()
    };
    let cases: [(Change, &str); 8] = [
        (
            |w| {
                w.users.insert("ana".into(), AccountState::Enabled);
            },
            "has not left",
        ),
        (|w| pass_days(w, -1), "before its time"),
        (|w| w.rules.leavers.disabled.suspend = None, "not switched on"),
        (
            |w| {
                w.rules.protected.accounts.insert(aid("ana"));
            },
            "protected account",
        ),
        (|w| w.accounts.get_mut(&aid("ana")).unwrap().kind = AccountKind::App, "not a person's"),
        (|w| w.memory.apply(&MemoryChange::LeaveLadder { user: uid("ana") }), "not on the ladder"),
        (
            |w| {
                let link = w.memory.user(&uid("ana")).unwrap().clone();
                w.memory.link_user(entrain_domain::memory::UserLink { origin: Origin::Found, ..link });
            },
            "does not own",
        ),
        (
            |w| w.users_coverage = Coverage::Partial(Unread { reason: "x".into(), remedy: "y".into() }),
            "read completely",
        ),
    ];
    assert!(judged(|_| {}).is_empty());
    for (change, what) in cases {
        let found = judged(change);
        assert!(found.iter().any(|f| f.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn rungs_wait_with_the_removals_that_an_emptied_group_holds() {
    let people = ["ana", "ben", "cara", "dan", "eva", "fay"];
    let mut world = World::new(&["Jira *"]).group("Jira Team", &people).group("Jira Ops", &["gus"]);
    let now = delays(Some(0), None, None);
    world.rules.leavers = Leavers { disabled: now, deleted: now, ..Leavers::default() };
    world.converge();
    for name in people {
        world.disable(name);
    }
    let plan = world.plan();
    assert_eq!(plan.held.iter().map(|held| held.guard).collect::<Vec<_>>(), [Guard::EmptyGroup]);
    assert_eq!(kinds(&plan), Vec::<String>::new(), "nobody is suspended while the removals wait");
}

/// The explanation of a person, with the texts about the ladder.
fn explained(world: &World, name: &str) -> (Option<OnTheLadder>, Vec<String>) {
    let directory = world.directory();
    let site = world.site(&directory);
    let input = PlanInput {
        directory: &directory,
        site: &site,
        rules: &world.rules,
        memory: &world.memory,
        lookups: &world.lookups,
        history: world.history,
        approval: world.approval,
        now: world.now,
        focus: entrain_domain::plan::Focus::Everything,
    };
    let plan = plan(&input);
    let who = find_user(&input, name).unwrap();
    let explanation = explain_user(&input, &plan, &who);
    let told = explanation.chain.iter().filter(|link| link.what == "ladder").map(|link| link.text.clone());
    (explanation.ladder.as_deref().cloned(), told.collect())
}

#[test]
fn an_explanation_says_where_somebody_stands_on_the_ladder_what_comes_next_and_what_cancels_it() {
    let mut world = company(delays(Some(7), Some(30), None));
    let (nothing, told) = explained(&world, &mail("ana"));
    assert_eq!((nothing, told.len()), (None, 0), "whoever works here is on no ladder");

    // What the next run will note is told already.
    world.disable("ana");
    let (place, told) = explained(&world, &mail("ana"));
    let place = place.unwrap();
    assert_eq!((place.trigger, place.since, place.reached), (Leaving::Disabled, world.now, "groups"));
    assert_eq!((place.next, place.due), (Some(Measure::Suspend), Some(world.now + DAY * 7)));
    assert_eq!(place.groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["Jira Ops", "Jira Team"]);
    assert!(told[0].contains("disabled in the directory, known since"), "{told:?}");
    assert!(told[0].contains("out of the managed groups (“Jira Ops” and “Jira Team”)"), "{told:?}");
    assert!(told[1].starts_with("next rung: suspended, due on "), "{told:?}");
    assert!(
        told[2].starts_with("cancelled by enabling the user in Entra ID; the next run then puts"),
        "{told:?}"
    );

    let since = world.now;
    world.converge();
    pass_days(&mut world, 8);
    let (place, told) = explained(&world, &mail("ana"));
    assert_eq!(place.unwrap().due, Some(since + DAY * 7), "the time it was seen first");
    assert!(told[1].contains("due since") && told[1].contains("the next run takes it"), "{told:?}");
    world.converge();
    pass_days(&mut world, 30);
    world.converge();
    let (place, told) = explained(&world, &mail("ana"));
    let place = place.unwrap();
    assert_eq!((place.reached, place.next, place.passed.len()), ("deactivate", None, 2));
    assert!(place.passed.iter().all(|rung| rung.by == Hand::Entrain && rung.at > since), "{place:?}");
    assert!(told[0].contains("suspended on") && told[0].contains("deactivated on"), "{told:?}");
    assert_eq!(told[1], "no rung comes next: no further rung is switched on");
    assert!(
        told[2].contains("activates the account, restores the access, puts them into the groups"),
        "{told:?}"
    );

    // Back: nothing comes next.
    world.users.insert("ana".into(), AccountState::Enabled);
    let (place, told) = explained(&world, &mail("ana"));
    assert_eq!(place.unwrap().next, None);
    assert!(told[1].contains("is back, and the next run takes them off the ladder"), "{told:?}");
    world.converge();
    assert_eq!(explained(&world, &mail("ana")).0, None);
}
