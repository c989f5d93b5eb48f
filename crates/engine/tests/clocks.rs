//! the clock is set, an hour or ten years, forward and back, before any look at it. Runs end and bring everything in
//! step; nothing that waits for time to pass, or for a limit, comes early because the clock was set back; and what a clock
//! ahead of its time wrote down holds nothing up that a person could not release.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::time::Duration;

use entrain_domain::model::AccountState;
use entrain_domain::plan::{Guard, StepKind};
use entrain_domain::policy::{Delays, Leavers, Measure};
use entrain_domain::run::{RunReport, RunStatus, Trigger};
use entrain_engine::{Freshness, RunOptions};
use jiff::SignedDuration;
use support::Fixture;
use support::site::Fault;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3652);

async fn full(fixture: &Fixture) -> RunReport {
    let options = RunOptions { freshness: Freshness::Full, ..RunOptions::new(Trigger::Schedule) };
    fixture.run_with(options).await
}

#[tokio::test(start_paused = true)]
async fn r_12_a_clock_that_is_set_in_the_middle_of_a_run_changes_nothing_about_its_end() {
    for jump in [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS] {
        let mut looks = 0;
        loop {
            looks += 1;
            let fixture = Fixture::company();
            assert_eq!(fixture.run().await.status, RunStatus::Converged);
            fixture.live_on();
            fixture.clock.jump_at(looks, jump);
            let report = fixture.run().await;
            if !fixture.clock.has_jumped() {
                assert!(looks > 20, "only {looks} looks at the clock");
                break;
            }
            let context = format!("set by {jump} before look {looks}");
            assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
            fixture.assert_in_step(&context).await;
            // Set right again: the runs before it are not from the future to anybody.
            fixture.clock.jump(-jump);
            fixture.directory.group("Jira C", &[1]);
            assert_eq!(fixture.run().await.status, RunStatus::Converged, "{context}");
            fixture.assert_in_step(&format!("{context}, and right again")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r_12_no_rung_is_taken_while_the_clock_says_that_its_time_has_not_come() {
    for back in [HOUR, TEN_YEARS] {
        let mut fixture = Fixture::company();
        fixture.site.with_organization();
        let delays = Delays { suspend: Some(Duration::from_hours(48)), ..Delays::default() };
        fixture.rules.leavers = Leavers { disabled: delays, ..Leavers::default() };
        fixture.run().await;
        let three = fixture.site.account_of(3);
        fixture.directory.person(3, AccountState::Disabled);
        assert_eq!(fixture.run().await.status, RunStatus::Converged);

        tokio::time::advance(Duration::from_hours(48)).await;
        fixture.clock.jump(-back);
        for _ in 0..2 {
            let report = full(&fixture).await;
            assert_eq!((report.status, report.steps.len()), (RunStatus::Converged, 0), "{back}: {report:?}");
        }
        assert!(fixture.site.taken(&three).is_empty(), "set back by {back}");
        fixture.clock.jump(back);
        let report = fixture.run().await;
        assert_eq!(report.steps[&StepKind::SuspendUser].done, 1, "{back}: {report:?}");
        assert!(fixture.site.taken(&three).contains(&Measure::Suspend));
    }
}

#[tokio::test(start_paused = true)]
async fn r_12_whoever_is_seen_leaving_by_a_clock_that_is_ahead_is_suspended_later_and_never_earlier() {
    for ahead in [HOUR, TEN_YEARS] {
        let mut fixture = Fixture::company();
        fixture.site.with_organization();
        let delays = Delays { suspend: Some(Duration::from_hours(48)), ..Delays::default() };
        fixture.rules.leavers = Leavers { disabled: delays, ..Leavers::default() };
        fixture.run().await;
        fixture.clock.jump(ahead);
        fixture.directory.person(3, AccountState::Disabled);
        assert_eq!(fixture.run().await.status, RunStatus::Converged);
        fixture.clock.jump(-ahead);
        tokio::time::advance(Duration::from_hours(48)).await;
        assert!(!full(&fixture).await.steps.contains_key(&StepKind::SuspendUser), "{ahead}");
        fixture.clock.jump(ahead);
        assert_eq!(full(&fixture).await.steps[&StepKind::SuspendUser].done, 1, "{ahead}");
    }
}

/// Forty people, of whom nine have just been taken out: one more than a tenth of them may not go unseen today.
async fn after_a_drip(set: SignedDuration) -> Fixture {
    let fixture = Fixture::new();
    for n in 1..=40 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    tokio::time::advance(Duration::from_hours(1)).await;
    fixture.clock.jump(set);
    fixture.directory.group("Jira All", &(10..=40).collect::<Vec<_>>());
    let report = fixture.run().await;
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 9, "{report:?}");
    fixture
}

#[tokio::test(start_paused = true)]
async fn r_12_the_limit_over_a_day_counts_what_was_taken_whichever_way_the_clock_was_set() {
    // By a clock that was right and is set back; by one that was ahead and is set right; and by an hour forward.
    let cases = [
        (SignedDuration::ZERO, -HOUR),
        (SignedDuration::ZERO, -TEN_YEARS),
        (HOUR, -HOUR),
        (TEN_YEARS, -TEN_YEARS),
        (SignedDuration::ZERO, HOUR),
    ];
    for (before, after) in cases {
        let fixture = after_a_drip(before).await;
        fixture.clock.jump(after);
        fixture.directory.group("Jira All", &(16..=40).collect::<Vec<_>>());
        let report = full(&fixture).await;
        let context = format!("set by {before}, then by {after}");
        assert_eq!(report.status, RunStatus::Held, "{context}: {report:?}");
        assert_eq!(report.held[0].guard, Guard::Removals, "{context}");
        assert_eq!(fixture.site.picture()["Jira All"][0].len(), 31, "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn r_12_a_day_that_only_the_clock_says_is_over_frees_no_more_than_the_limit_of_one_run() {
    let fixture = after_a_drip(SignedDuration::ZERO).await;
    fixture.clock.jump(TEN_YEARS);
    fixture.directory.group("Jira All", &(25..=40).collect::<Vec<_>>());
    let report = full(&fixture).await;
    assert_eq!((report.status, report.held[0].guard), (RunStatus::Held, Guard::Removals), "{report:?}");
    assert_eq!(fixture.site.picture()["Jira All"][0].len(), 31);
}

#[tokio::test(start_paused = true)]
async fn r_12_a_mirror_of_unknown_age_is_not_trusted() {
    let fixture = Fixture::company();
    fixture.run().await;
    assert_eq!(fixture.directory.full_reads(), 1);
    for (set, reads) in [(HOUR, 1), (-HOUR, 2), (-HOUR, 3), (HOUR, 3), (TEN_YEARS, 4), (-TEN_YEARS, 5)] {
        fixture.clock.jump(set);
        assert_eq!(fixture.run().await.status, RunStatus::Converged, "{set}");
        assert_eq!(fixture.directory.full_reads(), reads, "set by {set}");
    }
}

#[tokio::test(start_paused = true)]
async fn r_12_an_invitation_of_which_nothing_is_known_is_not_repeated_because_the_clock_was_set_back() {
    for back in [HOUR, TEN_YEARS] {
        let fixture = Fixture::company();
        fixture.site.fault(StepKind::CreateUser, Fault::LoseAnswer);
        fixture.site.lag(Duration::from_mins(5));
        assert_eq!(fixture.run().await.status, RunStatus::Partial);
        fixture.clock.jump(-back);
        fixture.run().await;
        let mails = fixture.site.mails();
        assert!(mails.values().all(|mails| *mails == 1), "set back by {back}: {mails:?}");
        fixture.clock.jump(back);
        tokio::time::advance(Duration::from_mins(20)).await;
        assert_eq!(full(&fixture).await.status, RunStatus::Converged);
        fixture.assert_in_step(&format!("set back by {back}")).await;
    }
}
