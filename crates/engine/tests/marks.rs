//! What runs remember of single steps and of themselves: refusals, fights, changes of the rules, quarantine.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::time::Duration;

use entrain_domain::model::AccountState;
use entrain_domain::plan::{Approval, Guard, StepKind};
use entrain_domain::policy::{GroupMode, GroupSelector};
use entrain_domain::run::{RunReport, RunStatus, Trigger};
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::{Freshness, RunOptions};
use support::Fixture;
use support::site::{ByHand, Fault, refusal};

async fn full(fixture: &Fixture, approval: Approval) -> RunReport {
    let options = RunOptions { approval, freshness: Freshness::Full, ..RunOptions::new(Trigger::Manual) };
    fixture.run_with(options).await
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_refused_three_times_waits_for_its_clock_and_the_rest_goes_on() {
    let fixture = Fixture::company();
    let refused = refusal(FailureCode::SiteRefused, FailureClass::Object);
    fixture.site.refuse_group("Jira A", refused);
    for _ in 0..3 {
        let report = full(&fixture, Approval::None).await;
        assert_eq!(report.status, RunStatus::Partial, "{report:?}");
        assert!(report.steps[&StepKind::AddMember].failed > 0);
    }
    let calls = fixture.site.calls(StepKind::AddMember);
    let report = full(&fixture, Approval::None).await;
    assert_eq!(fixture.site.calls(StepKind::AddMember), calls, "not tried: {report:?}");
    assert_eq!(report.status, RunStatus::Partial);
    let aside = report.set_aside.iter().find(|aside| aside.reason.contains("3 times in a row")).unwrap();
    assert!(aside.reason.contains("not tried again before 2026-11-02 08:1"), "{}", aside.reason);

    tokio::time::advance(Duration::from_mins(16)).await;
    full(&fixture, Approval::None).await;
    assert!(fixture.site.calls(StepKind::AddMember) > calls, "its clock has run down");
    // A person who approves has it tried at once.
    let calls = fixture.site.calls(StepKind::AddMember);
    full(&fixture, Approval::Held).await;
    assert!(fixture.site.calls(StepKind::AddMember) > calls);
}

#[tokio::test(start_paused = true)]
async fn a_membership_that_somebody_undoes_three_times_waits_for_a_person() {
    let fixture = Fixture::company();
    fixture.run().await;
    let one = fixture.site.account_of(1);
    for flip in 0..3 {
        fixture.site.by_hand("Jira A", &one, ByHand::Out);
        let report = full(&fixture, Approval::None).await;
        assert_eq!(report.status, RunStatus::Converged, "{flip}: {report:?}");
        tokio::time::advance(Duration::from_hours(20)).await;
    }
    fixture.site.by_hand("Jira A", &one, ByHand::Out);
    let report = full(&fixture, Approval::None).await;
    assert_eq!(report.status, RunStatus::Held, "{report:?}");
    assert_eq!(report.held[0].guard, Guard::Fight);
    assert!(report.held[0].reason.contains("Jira A"), "{:?}", report.held);
    // After a week without it, or with a person's word, it is done again.
    assert_eq!(full(&fixture, Approval::Held).await.status, RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn removals_that_a_change_of_the_rules_asks_for_wait_until_somebody_approves() {
    let mut fixture = Fixture::company();
    fixture.rules.mode = GroupMode::Additive;
    fixture.run().await;
    fixture.directory.group("Jira A", &[1, 2]);
    assert_eq!(full(&fixture, Approval::None).await.status, RunStatus::Converged);
    assert_eq!(fixture.site.picture()["Jira A"][0].len(), 3, "additive");

    fixture.rules.mode = GroupMode::Managed;
    // The directory goes on: this one it asks for itself.
    fixture.directory.group("Jira B", &[3]);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Held, "{report:?}");
    assert_eq!(report.held[0].guard, Guard::RuleChange);
    assert_eq!(
        (report.steps[&StepKind::RemoveMember].held, report.steps[&StepKind::RemoveMember].done),
        (1, 1)
    );
    // It still waits when the rules have been the same for a while.
    let again = full(&fixture, Approval::None).await;
    assert_eq!((again.status, again.held[0].guard), (RunStatus::Held, Guard::RuleChange));
    assert_eq!(fixture.site.picture()["Jira A"][0].len(), 3);

    // Taken back: nothing is left of it, and what the directory asks for later is not held.
    fixture.rules.mode = GroupMode::Additive;
    assert_eq!(full(&fixture, Approval::None).await.status, RunStatus::Converged);
    fixture.rules.mode = GroupMode::Managed;
    assert_eq!(full(&fixture, Approval::None).await.status, RunStatus::Held);
    assert_eq!(full(&fixture, Approval::Held).await.status, RunStatus::Converged);
    fixture.assert_in_step("approved").await;
}

#[tokio::test(start_paused = true)]
async fn removals_after_a_change_of_the_scope_wait_but_not_those_of_leavers() {
    let mut fixture = Fixture::company();
    fixture.run().await;
    fixture.rules.scope.groups.push(GroupSelector::parse("Staff").unwrap());
    fixture.directory.group("Jira A", &[1, 2]);
    fixture.directory.person(4, AccountState::Disabled);
    let report = fixture.run().await;
    assert_eq!(report.held.first().map(|held| held.guard), Some(Guard::RuleChange), "{report:?}");
    assert_eq!(
        (report.steps[&StepKind::RemoveMember].held, report.steps[&StepKind::RemoveMember].done),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn d_05_too_many_failures_put_the_connection_in_quarantine_and_success_takes_it_out() {
    let fixture = Fixture::new();
    for n in 1..=40 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    for _ in 0..40 {
        fixture.site.fault(
            StepKind::CreateUser,
            Fault::Refuse(refusal(FailureCode::SiteRefused, FailureClass::Object)),
        );
    }
    let report = fixture.run().await;
    assert!(
        report.quarantine.as_ref().is_some_and(|why| why.contains("40 of 41 steps failed")),
        "{report:?}"
    );

    // Slower: a few steps one after another, and no more while they fail.
    for _ in 0..40 {
        fixture.site.fault(
            StepKind::CreateUser,
            Fault::Refuse(refusal(FailureCode::SiteRefused, FailureClass::Object)),
        );
    }
    let calls = fixture.site.calls(StepKind::CreateUser);
    let report = full(&fixture, Approval::None).await;
    assert_eq!(fixture.site.calls(StepKind::CreateUser) - calls, 5, "{report:?}");
    assert!(report.quarantine.is_some());
    assert!(
        report.set_aside.iter().any(|aside| aside.reason.contains("in quarantine")),
        "{:?}",
        report.set_aside
    );

    fixture.site.no_more_faults();
    let report = full(&fixture, Approval::None).await;
    assert_eq!((report.status, report.quarantine.clone()), (RunStatus::Converged, None), "{report:?}");
    fixture.assert_in_step("out of quarantine").await;
}

/// D-05: one bad object stops nothing, and neither do six.
#[tokio::test(start_paused = true)]
async fn d_05_what_the_site_refuses_again_and_again_is_no_quarantine() {
    let fixture = Fixture::new();
    for n in 1..=40 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    fixture.directory.group("Jira Few", &[1, 2, 3, 4, 5, 6]);
    fixture.site.refuse_group("Jira Few", refusal(FailureCode::SiteRefused, FailureClass::Object));
    for run in 1..=3 {
        let report = full(&fixture, Approval::None).await;
        assert_eq!(report.steps[&StepKind::AddMember].failed, 6, "{run}: {report:?}");
        assert_eq!(report.quarantine, None, "{run}");
    }

    // All that is tried now, but for what is refused once more, is new: it fails as well, and is counted by itself.
    tokio::time::advance(Duration::from_hours(1)).await;
    fixture.directory.group("Jira New", &[1, 2, 3, 4, 5]);
    fixture.site.refuse_group("Jira New", refusal(FailureCode::SiteRefused, FailureClass::Object));
    let report = full(&fixture, Approval::None).await;
    assert_eq!(report.steps[&StepKind::AddMember].failed, 11, "{report:?}");
    let why = report.quarantine.expect("five new steps of six failed");
    assert!(why.starts_with("5 of 6 steps failed"), "{why}");
}
