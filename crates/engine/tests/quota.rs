//! N-02: a quota of a cloud is used up. The run is parked with the time of the reset, nothing is asked before it, and the
//! first run after it does what was left.

#![expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]

mod support;

use std::time::Duration;

use entrain_domain::plan::{Approval, StepKind};
use entrain_domain::run::{LONGEST_PARK, RunReport, RunStatus, Trigger};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::Clock as _;
use entrain_engine::{Freshness, RunOptions, Wait};
use jiff::{SignedDuration, Timestamp};
use support::site::{Fault, refusal};
use support::{Fixture, Told};

const HOUR: Duration = Duration::from_hours(1);

fn quota(resume_at: Timestamp) -> Failure {
    refusal(FailureCode::SiteThrottled, FailureClass::Transient).until(resume_at)
}

fn ahead(fixture: &Fixture, by: Duration) -> Timestamp {
    fixture.clock.now() + by
}

async fn refused(fixture: &Fixture, wait: Wait) -> Failure {
    let options = RunOptions { wait, ..RunOptions::new(Trigger::Manual) };
    fixture.engine().run(options, &Told::default()).await.unwrap_err()
}

#[track_caller]
fn assert_parked(report: &RunReport, until: Timestamp, context: &str) {
    assert_eq!(report.status, RunStatus::Partial, "{context}: {report:?}");
    assert_eq!(report.resume_at, Some(until), "{context}");
    assert_eq!(report.error, None, "{context}");
    assert_eq!(report.quarantine, None, "{context}");
    let parked = format!("the run is parked until {until}");
    assert!(report.set_aside.iter().any(|aside| aside.reason.starts_with(&parked)), "{context}: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn n_02_a_quota_at_any_write_parks_the_run_and_the_next_one_goes_on_from_there() {
    for kind in [StepKind::CreateUser, StepKind::CreateGroup, StepKind::AddMember, StepKind::RemoveMember] {
        let mut fixture = Fixture::company();
        fixture.options.in_flight = 1;
        fixture.run().await;
        fixture.live_on();
        let until = ahead(&fixture, HOUR);
        fixture.site.fault(kind, Fault::Refuse(quota(until)));
        let report = fixture.run().await;
        let context = kind.to_string();
        assert_parked(&report, until, &context);
        assert!(report.steps.values().all(|count| count.failed == 0), "{context}: {report:?}");
        assert_eq!(
            fixture.site.calls(kind),
            fixture.site.written().get(&kind).map_or(1, |n| n + 1),
            "{context}"
        );

        let asked = fixture.site.requests_made();
        let failure = refused(&fixture, Wait::No).await;
        assert_eq!(
            (failure.code, failure.resume_at),
            (FailureCode::ConnectionParked, Some(until)),
            "{context}"
        );
        assert!(
            failure.message.contains(&until.to_string()) && failure.remedy.contains("--wait"),
            "{failure:?}"
        );
        let engine = fixture.engine();
        let preview = engine.preview(Approval::None, Freshness::Full, &Told::default()).await;
        assert_eq!(preview.unwrap_err().code, FailureCode::ConnectionParked, "{context}");
        assert_eq!(fixture.site.requests_made(), asked, "{context}: something was asked before the reset");

        tokio::time::advance(HOUR).await;
        let report = fixture.run().await;
        assert_eq!((report.status, report.resume_at), (RunStatus::Converged, None), "{context}: {report:?}");
        fixture.assert_in_step(&context).await;
    }
}

#[tokio::test(start_paused = true)]
async fn n_02_a_quota_while_reading_parks_the_run_before_anything_is_written_each_time_anew() {
    let fixture = Fixture::company();
    for _ in 0..3 {
        let until = ahead(&fixture, HOUR);
        fixture.directory.fail(Some(quota(until)));
        assert_parked(&fixture.run().await, until, "reading");
        assert_eq!(refused(&fixture, Wait::No).await.code, FailureCode::ConnectionParked);
        tokio::time::advance(HOUR).await;
    }
    assert_eq!(fixture.site.writes(), 0);
    fixture.directory.fail(None);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("the quota reset").await;
}

#[tokio::test(start_paused = true)]
async fn n_02_who_waits_begins_at_the_reset_and_keeps_nobody_out_meanwhile() {
    let fixture = Fixture::company();
    let until = ahead(&fixture, HOUR);
    fixture.directory.fail(Some(quota(until)));
    fixture.run().await;
    fixture.directory.fail(None);
    let options = RunOptions { wait: Wait::For(HOUR), ..RunOptions::new(Trigger::Manual) };
    let report = fixture.run_with(options).await;
    assert_eq!(report.status, RunStatus::Converged);
    assert!(report.started_at >= until, "{} is before {until}", report.started_at);
    let late = report.started_at.duration_since(until);
    assert!(late < SignedDuration::from_mins(1), "{late} after the reset");
}

#[tokio::test(start_paused = true)]
async fn n_02_no_clock_parks_a_connection_for_longer_than_a_day() {
    // The cloud's clock, or ours, says that the reset lies years ahead
    let fixture = Fixture::company();
    fixture.directory.fail(Some(quota(ahead(&fixture, Duration::from_hours(24 * 3650)))));
    let report = fixture.run().await;
    let until = report.resume_at.unwrap();
    assert_eq!(until, ahead(&fixture, LONGEST_PARK));
    fixture.directory.fail(None);
    assert_eq!(refused(&fixture, Wait::No).await.code, FailureCode::ConnectionParked);
    tokio::time::advance(LONGEST_PARK).await;
    assert_eq!(fixture.run().await.status, RunStatus::Converged);

    // A clock that was ten years ahead when it parked the connection is put right
    let fixture = Fixture::company();
    let ten_years = SignedDuration::from_hours(24 * 3650);
    fixture.clock.jump(ten_years);
    fixture.directory.fail(Some(quota(ahead(&fixture, HOUR))));
    assert!(fixture.run().await.resume_at.is_some());
    fixture.clock.jump(-ten_years);
    fixture.directory.fail(None);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
}
