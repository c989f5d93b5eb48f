//! the store fails, at any of its writes, once or from there on. The run ends and says so, nothing is sent
//! that was not written down before, and when the store works again the next run brings everything in step.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::collections::BTreeMap;

use entrain_domain::model::AccountState;
use entrain_domain::plan::StepKind;
use entrain_domain::policy::{Delays, Leavers};
use entrain_domain::run::{RunStatus, Trigger};
use entrain_domain::{Failure, FailureCode};
use entrain_engine::RunOptions;
use support::store::DiskFault;
use support::{Fixture, Told};

/// The second day of a company, with a leaver who is suspended besides.
async fn second_day(in_flight: usize) -> Fixture {
    let mut fixture = Fixture::company();
    fixture.options.in_flight = in_flight;
    fixture.site.with_organization();
    let at_once = Delays { suspend: Some(std::time::Duration::ZERO), ..Delays::default() };
    fixture.rules.leavers = Leavers { disabled: at_once, ..Leavers::default() };
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.live_on();
    fixture.directory.person(4, AccountState::Disabled);
    fixture
}

fn first_day(in_flight: usize) -> std::future::Ready<Fixture> {
    let mut fixture = Fixture::company();
    fixture.options.in_flight = in_flight;
    std::future::ready(fixture)
}

/// Calls that were made to the site, and entries of the journals, by kind.
fn sent_and_intended(fixture: &Fixture) -> BTreeMap<StepKind, (usize, usize)> {
    let state = fixture.store.state();
    let entries = state.runs.values().flat_map(|run| &run.journal);
    let mut intended: BTreeMap<StepKind, usize> = BTreeMap::new();
    for entry in entries {
        *intended.entry(entry.kind).or_default() += 1;
    }
    drop(state);
    let kinds = StepKind::ALL.into_iter().filter(|kind| *kind != StepKind::AdoptGroup);
    kinds.map(|kind| (kind, (fixture.site.calls(kind), intended.get(&kind).copied().unwrap_or(0)))).collect()
}

#[track_caller]
fn assert_said(failure: &Failure, context: &str) {
    assert_eq!(failure.code, FailureCode::StoreFailed, "{context}: {failure:?}");
}

/// Every write, one after the other, until a run no longer meets the fault. Gives back how many there are.
async fn fail_everywhere<F: Future<Output = Fixture>>(fault: DiskFault, begin: impl Fn() -> F) -> u64 {
    for nth in 1.. {
        let fixture = begin().await;
        let context = format!("{fault:?}, at write {nth}");
        fixture.store.disk_fails(nth, fault);
        let (engine, told) = (fixture.engine(), Told::default());
        let ended = engine.run(RunOptions::new(Trigger::Manual), &told).await;
        if fixture.store.state().writes_failed == 0 {
            let passed = ended.as_ref().is_ok_and(|report| report.status == RunStatus::Converged);
            assert!(passed, "{context}, which no write met: {ended:?}");
            return nth - 1;
        }
        match &ended {
            Err(failure) => assert_said(failure, &context),
            Ok(report) => {
                assert!(
                    matches!(report.status, RunStatus::Failed | RunStatus::Partial),
                    "{context}: {report:?}"
                );
                assert_said(report.error.as_ref().expect(&context), &context);
            }
        }
        for (kind, (sent, intended)) in sent_and_intended(&fixture) {
            assert!(sent <= intended, "{context}: {sent} of {kind} sent, {intended} written down");
        }
        fixture.store.disk_mended();
        let next = fixture.run().await;
        assert_eq!(next.status, RunStatus::Converged, "{context}: {next:?}");
        fixture.assert_in_step(&context).await;
    }
    unreachable!("a run has an end")
}

#[tokio::test(start_paused = true)]
async fn r_04_a_write_to_the_store_that_fails_once_ends_the_run_and_the_next_one_mends_it() {
    for in_flight in [1, 32] {
        let writes = fail_everywhere(DiskFault::Once, || second_day(in_flight)).await;
        assert!(writes > 20, "only {writes} writes: the run did next to nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn r_04_a_write_that_was_stored_although_the_store_says_otherwise_is_not_done_twice() {
    for in_flight in [1, 32] {
        let writes = fail_everywhere(DiskFault::StoredAndDenied, || second_day(in_flight)).await;
        assert!(writes > 20, "only {writes} writes: the run did next to nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn r_04_a_first_run_whose_store_fails_at_any_write_is_mended_by_the_next() {
    for fault in [DiskFault::Once, DiskFault::StoredAndDenied] {
        assert!(fail_everywhere(fault, || first_day(32)).await > 20);
    }
}

#[tokio::test(start_paused = true)]
async fn r_05_a_disk_that_is_full_from_any_write_on_stops_the_run_before_anything_unlogged_is_sent() {
    for in_flight in [1, 32] {
        let writes = fail_everywhere(DiskFault::FromHereOn, || second_day(in_flight)).await;
        assert!(writes > 20, "only {writes} writes: the run did next to nothing");
        fail_everywhere(DiskFault::FromHereOn, || first_day(in_flight)).await;
    }
}
