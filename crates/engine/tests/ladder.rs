//! The leaver ladder in runs: rungs that time alone makes due, their records, lost answers, kills, and the way back.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::time::Duration;

use entrain_domain::model::{AccountState, ProfileStanding};
use entrain_domain::plan::{Approval, Guard, StepKind};
use entrain_domain::policy::{Delays, GroupSelector, LeaverAccounts, Leavers, Measure};
use entrain_domain::run::{Outcome, RunStatus, Trigger};
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::RunOptions;
use support::site::{Fault, refusal};
use support::{Fixture, user_id};

const DAY: Duration = Duration::from_hours(24);

/// In step, with a key of the organization; person 5 was invited, person 2 was there before.
async fn company(suspend: Option<u32>, deactivate: Option<u32>, remove: Option<u32>) -> Fixture {
    let mut fixture = Fixture::company();
    fixture.site.with_organization();
    let days = |days: Option<u32>| days.map(|days| DAY * days);
    let delays = Delays { suspend: days(suspend), deactivate: days(deactivate), remove: days(remove) };
    fixture.rules.leavers = Leavers { disabled: delays, deleted: delays, ..Leavers::default() };
    // Quiet runs have to show that they are quiet
    fixture.options.full_every = DAY * 365;
    fixture.directory.group("Jira A", &[1, 2, 3, 5]);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture
}

async fn days(days: u32) {
    tokio::time::advance(DAY * days).await;
}

#[tokio::test(start_paused = true)]
async fn an_incremental_run_with_nobody_changed_takes_the_rung_that_has_become_due() {
    let fixture = company(Some(2), Some(3), Some(4)).await;
    let five = fixture.site.account_of(5);
    fixture.directory.person(5, AccountState::Disabled);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 1);
    days(1).await;
    let quiet = fixture.run().await;
    assert_eq!((quiet.steps.len(), quiet.requests.site, quiet.requests.organization), (0, 0, 0), "{quiet:?}");
    for (kind, measure) in [
        (StepKind::SuspendUser, Measure::Suspend),
        (StepKind::DeactivateUser, Measure::Deactivate),
        (StepKind::RemoveUser, Measure::Remove),
    ] {
        days(1).await;
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Converged, "{report:?}");
        assert_eq!((report.steps.len(), report.steps[&kind].done), (1, 1), "{report:?}");
        assert!(fixture.site.taken(&five).contains(&measure));
        let quiet = fixture.run().await;
        assert_eq!((quiet.steps.len(), quiet.requests.site), (0, 0), "{kind}: {quiet:?}");
    }
    assert_eq!(fixture.site.leads_asked(), 3, "what somebody leads is asked before each rung");
    assert_eq!(fixture.directory.full_reads(), 1);
    fixture.assert_in_step("after the last rung").await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_has_access_and_groups_again_and_is_off_the_ladder() {
    let fixture = company(Some(0), Some(0), None).await;
    let five = fixture.site.account_of(5);
    fixture.directory.person(5, AccountState::Disabled);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(fixture.site.taken(&five).len(), 2);
    fixture.directory.person(5, AccountState::Enabled);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    for kind in [StepKind::ReactivateUser, StepKind::RestoreUser, StepKind::AddMember] {
        assert_eq!(report.steps[&kind].done, 1, "{kind}");
    }
    assert!(fixture.site.taken(&five).is_empty());
    assert_eq!(fixture.store.state().memory.ladder().len(), 0);
    fixture.assert_in_step("back again").await;
}

#[tokio::test(start_paused = true)]
async fn who_was_removed_is_invited_again_under_the_same_link() {
    let fixture = company(None, None, Some(0)).await;
    let five = fixture.site.account_of(5);
    fixture.directory.soft_delete(5);
    let report = fixture.run().await;
    assert_eq!(
        (report.status, report.steps[&StepKind::RemoveUser].done),
        (RunStatus::Converged, 1),
        "{report:?}"
    );
    fixture.directory.person(5, AccountState::Enabled);
    fixture.directory.group("Jira A", &[1, 2, 3, 5]);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::CreateUser].done, 1);
    let state = fixture.store.state();
    let link = state.memory.user(&user_id(5)).unwrap();
    assert_eq!((&link.account, link.origin), (&five, entrain_domain::memory::Origin::Created));
    assert_eq!(state.memory.ladder().len(), 0);
    drop(state);
    assert!(fixture.site.taken(&five).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_did_is_recorded_as_theirs_and_not_taken_back() {
    let fixture = company(Some(0), None, None).await;
    let five = fixture.site.account_of(5);
    fixture.site.access_by_hand(&five, Measure::Suspend);
    fixture.directory.person(5, AccountState::Disabled);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    let journal = fixture.store.state().runs[&report.run_id].journal.clone();
    let entry = journal.iter().find(|e| e.kind == StepKind::SuspendUser).unwrap();
    assert_eq!((entry.outcome, entry.answer.as_str()), (Outcome::AlreadyDone, "was suspended already"));
    fixture.directory.person(5, AccountState::Enabled);
    let report = fixture.run().await;
    assert!(!report.steps.contains_key(&StepKind::RestoreUser), "{report:?}");
    assert!(fixture.site.taken(&five).contains(&Measure::Suspend), "by hand, and so it stays");
    assert_eq!(fixture.store.state().memory.ladder().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_there_before_is_left_unless_the_rules_take_linked_ones() {
    let mut fixture = company(Some(0), None, None).await;
    let two = fixture.site.account_of(2);
    fixture.directory.person(2, AccountState::Disabled);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    assert!(fixture.site.taken(&two).is_empty());
    fixture.rules.leavers.accounts = LeaverAccounts::Linked;
    // New rules ask for it, not the directory: a person has to say so.
    let held = fixture.run().await;
    assert_eq!((held.status, held.steps[&StepKind::SuspendUser].held), (RunStatus::Held, 1), "{held:?}");
    assert!(fixture.site.taken(&two).is_empty());
    let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
    assert_eq!(fixture.run_with(options).await.steps[&StepKind::SuspendUser].done, 1);
}

/// N-04 for each rung and each way back: the answer is lost after the act was done.
#[tokio::test(start_paused = true)]
async fn n_04_an_act_whose_answer_is_lost_is_done_once_and_is_ours() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        let fixture = company(Some(0), Some(0), None).await;
        let five = fixture.site.account_of(5);
        for kind in
            [StepKind::SuspendUser, StepKind::DeactivateUser, StepKind::RestoreUser, StepKind::ReactivateUser]
        {
            fixture.site.fault(kind, fault.clone());
        }
        fixture.directory.person(5, AccountState::Disabled);
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Converged, "{fault:?}: {report:?}");
        assert_eq!(fixture.site.calls(StepKind::SuspendUser), 2);
        let place = fixture.store.state().memory.on_ladder(&user_id(5)).unwrap().clone();
        assert!(place.took(Measure::Suspend) && place.took(Measure::Deactivate), "{fault:?}: {place:?}");
        fixture.directory.person(5, AccountState::Enabled);
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Converged, "{fault:?}: {report:?}");
        assert!(fixture.site.taken(&five).is_empty());
        fixture.assert_in_step(&format!("{fault:?}")).await;
    }
}

/// R-01, N-04: killed at any write point, down the ladder and back.
#[tokio::test(start_paused = true)]
async fn r_01_a_run_on_the_ladder_killed_at_any_write_point_is_finished_by_the_next_start() {
    for back in [false, true] {
        let mut nth = 0;
        loop {
            nth += 1;
            let fixture = company(Some(0), Some(0), None).await;
            let five = fixture.site.account_of(5);
            fixture.directory.person(5, AccountState::Disabled);
            if back {
                assert_eq!(fixture.run().await.status, RunStatus::Converged);
                fixture.directory.person(5, AccountState::Enabled);
            }
            fixture.kill.arm(nth);
            if fixture.run_until_killed().await.is_some() {
                assert!(nth > 12, "only {nth} write points");
                break;
            }
            let context = format!("back: {back}, killed at write point {nth}");
            let report = fixture.run().await;
            assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
            assert_eq!(fixture.site.taken(&five).len(), if back { 0 } else { 2 }, "{context}");
            if !back {
                let place = fixture.store.state().memory.on_ladder(&user_id(5)).unwrap().clone();
                assert!(
                    place.took(Measure::Suspend) && place.took(Measure::Deactivate),
                    "{context}: {place:?}"
                );
            }
            fixture.assert_in_step(&context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_organization_refuses_is_set_aside_and_tried_again_by_a_later_run() {
    let fixture = company(Some(0), None, None).await;
    fixture.directory.person(5, AccountState::Disabled);
    let refused = refusal(FailureCode::OrganizationRightMissing, FailureClass::Connection);
    fixture.site.fault(StepKind::SuspendUser, Fault::Refuse(refused));
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial, "{report:?}");
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 1, "the groups go all the same");
    assert_eq!(fixture.run().await.steps[&StepKind::SuspendUser].done, 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_deactivated_is_passed_and_the_next_rung_comes() {
    let fixture = company(None, Some(1), Some(2)).await;
    let five = fixture.site.account_of(5);
    fixture.site.profile(&five, ProfileStanding::Unmanaged);
    fixture.directory.person(5, AccountState::Disabled);
    fixture.run().await;
    days(1).await;
    let report = fixture.run().await;
    assert_eq!((report.status, report.steps.len()), (RunStatus::Converged, 0), "{report:?}");
    assert_eq!(fixture.run().await.requests.site, 0, "it is not asked again");
    days(1).await;
    assert_eq!(fixture.run().await.steps[&StepKind::RemoveUser].done, 1);
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_new_rules_switch_on_for_people_long_gone_waits_for_a_person() {
    let mut fixture = company(None, None, None).await;
    let five = fixture.site.account_of(5);
    fixture.directory.person(5, AccountState::Disabled);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    days(10).await;
    fixture.rules.leavers.disabled.suspend = Some(DAY * 7);
    for _ in 0..2 {
        let held = fixture.run().await;
        assert_eq!(held.status, RunStatus::Held, "{held:?}");
        assert_eq!((held.held[0].guard, held.steps[&StepKind::SuspendUser].held), (Guard::RuleChange, 1));
        assert!(fixture.site.taken(&five).is_empty());
    }
    let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
    assert_eq!(fixture.run_with(options).await.status, RunStatus::Converged);
    assert!(fixture.site.taken(&five).contains(&Measure::Suspend));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_scope_by_new_rules_is_not_suspended_later_without_a_persons_word() {
    let mut fixture = company(None, None, None).await;
    let five = fixture.site.account_of(5);
    fixture.rules.leavers.out_of_scope.suspend = Some(DAY);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.rules.scope.groups = vec![GroupSelector::parse("Jira B").unwrap()];
    fixture.run().await;
    days(2).await;
    let held = fixture.run().await;
    assert_eq!(held.status, RunStatus::Held, "{held:?}");
    assert_eq!(held.held[0].guard, Guard::RuleChange);
    assert!(fixture.site.taken(&five).is_empty());
    // Back in the scope: nothing waits any more, and nothing is remembered of it.
    fixture.rules.scope.groups = vec![GroupSelector::parse("Jira *").unwrap()];
    let back = fixture.run().await;
    assert_eq!(back.status, RunStatus::Converged, "{back:?}");
    assert!(!fixture.store.state().memory.any_marks());
}
