//! a run killed at any write point is finished by the next start: nothing lost, nobody invited
//! twice, no group made twice, every write explained once.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::time::Duration;

use entrain_domain::run::RunStatus;
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::ports::Store as _;
use support::site::refusal;
use support::{CONNECTION, Fixture};

async fn second_day(in_flight: usize, lag: Duration) -> Fixture {
    let mut fixture = Fixture::company();
    fixture.options.in_flight = in_flight;
    fixture.site.lag(lag);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    fixture.live_on();
    fixture
}

async fn kill_everywhere(in_flight: usize, lag: Duration) -> u64 {
    let mut nth = 0;
    loop {
        nth += 1;
        let fixture = second_day(in_flight, lag).await;
        let runs = fixture.store.state().runs.len();
        fixture.kill.arm(nth);
        if fixture.run_until_killed().await.is_some() {
            return nth - 1;
        }
        let report = fixture.run().await;
        let context = format!("killed at write point {nth}");
        assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
        // Only a run killed before its beginning or after its end was stored leaves nothing to take up.
        assert!(fixture.store.state().runs.len() <= runs + 2, "{context}");
        fixture.assert_in_step(&context).await;
    }
}

///
#[tokio::test(start_paused = true)]
async fn r_01_a_run_killed_at_any_write_point_is_finished_by_the_next_start_one_step_at_a_time() {
    let points = kill_everywhere(1, Duration::ZERO).await;
    assert!(points > 30, "only {points} write points: the run did next to nothing");
}

///
#[tokio::test(start_paused = true)]
async fn r_01_a_run_killed_at_any_write_point_is_finished_by_the_next_start_many_in_flight() {
    let points = kill_everywhere(32, Duration::ZERO).await;
    assert!(points > 30, "only {points} write points: the run did next to nothing");
}

/// R-03, N-12: the account that the lost call made does not show at once.
#[tokio::test(start_paused = true)]
async fn r_03_an_invitation_whose_account_shows_late_is_found_and_not_repeated() {
    kill_everywhere(32, Duration::from_secs(20)).await;
}

/// R-01 on the very first run, where everything is to be made.
#[tokio::test(start_paused = true)]
async fn r_01_a_first_run_killed_at_any_write_point_is_finished_by_the_next_start() {
    for nth in 1.. {
        let fixture = Fixture::company();
        fixture.kill.arm(nth);
        if fixture.run_until_killed().await.is_some() {
            assert!(nth > 30);
            return;
        }
        // The watermark is never ahead of what was learnt.
        let state_before = fixture.store.state().watermark.is_some();
        assert_eq!(state_before, fixture.store.state().users_before.is_some());
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Converged, "killed at {nth}: {report:?}");
        fixture.assert_in_step(&format!("killed at {nth}")).await;
    }
}

/// what came of a call is not known when the members cannot be read either; nothing is concluded from that.
#[tokio::test(start_paused = true)]
async fn r_01_a_killed_membership_stays_open_until_the_members_can_be_read() {
    let mut left_open = 0;
    for nth in 1.. {
        let fixture = second_day(1, Duration::ZERO).await;
        fixture.kill.arm(nth);
        if fixture.run_until_killed().await.is_some() {
            assert!(nth > 30);
            assert!(left_open > 0, "no kill left a call of which nobody could tell");
            return;
        }
        let context = format!("killed at write point {nth}");
        fixture.site.members_fail(Some(refusal(FailureCode::SiteUnavailable, FailureClass::Transient)));
        fixture.run().await;
        left_open += usize::from(!fixture.store.open_intents(CONNECTION).await.unwrap().is_empty());
        fixture.site.members_fail(None);
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
        fixture.assert_in_step(&context).await;
    }
}

/// R-01, N-13: groups are renamed and hidden accounts matched on the way.
#[tokio::test(start_paused = true)]
async fn r_01_a_rename_killed_at_any_write_point_is_finished_by_the_next_start() {
    let mut nth = 0;
    loop {
        nth += 1;
        let fixture = Fixture::company();
        fixture.site.with_organization();
        fixture.site.hide(&fixture.site.account(5));
        assert_eq!(fixture.run().await.status, RunStatus::Converged);
        fixture.live_on();
        fixture.directory.rename("Jira A", "Jira Alpha");
        fixture.directory.rename("Jira C", "Jira Gamma");
        fixture.kill.arm(nth);
        if fixture.run_until_killed().await.is_some() {
            assert!(nth > 30);
            return;
        }
        let report = fixture.run().await;
        let context = format!("killed at write point {nth}");
        assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
        fixture.assert_in_step(&context).await;
    }
}

///
#[tokio::test(start_paused = true)]
async fn r_02_a_run_killed_again_while_it_recovers_is_still_finished() {
    let mut pairs = 0;
    for first in (1..).step_by(5) {
        let fixture = second_day(32, Duration::ZERO).await;
        fixture.kill.arm(first);
        if fixture.run_until_killed().await.is_some() {
            break;
        }
        for second in (1..).step_by(3) {
            let fixture = second_day(32, Duration::ZERO).await;
            fixture.kill.arm(first);
            assert!(fixture.run_until_killed().await.is_none());
            fixture.kill.arm(second);
            if fixture.run_until_killed().await.is_some() {
                break;
            }
            pairs += 1;
            let report = fixture.run().await;
            let context = format!("killed at {first}, then at {second}");
            assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
            fixture.assert_in_step(&context).await;
        }
    }
    assert!(pairs >= 200, "only {pairs} pairs");
}
