//! What newcomers are given once, with their invitation: it is given although something went wrong in between, refused
//! twice it is given up, and it is never given again.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use entrain_domain::memory::MarkKind;
use entrain_domain::model::AccountState;
use entrain_domain::plan::StepKind;
use entrain_domain::run::{RunReport, RunStatus, Trigger};
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::{Freshness, RunOptions};
use support::site::{ByHand, Fault, refusal};
use support::store::DiskFault;
use support::{Fixture, Told, address};

/// The company; whoever is invited is given “Welcome” and “Jira Tips”. 1 and 2 have an account, 3 and 4 have none.
fn welcoming(in_flight: usize) -> Fixture {
    let mut fixture = Fixture::company();
    fixture.options.in_flight = in_flight;
    fixture.rules.defaults.newcomers = vec!["Welcome".into(), "Tips/for you".into()];
    fixture
}

const GIVEN: [&str; 2] = ["Welcome", "Tips/for you"];

fn people(numbers: &[u32]) -> BTreeSet<String> {
    numbers.iter().map(|n| address(*n).to_string()).collect()
}

/// Members of a group on the site; nobody where it is not there.
fn members(fixture: &Fixture, group: &str) -> BTreeSet<String> {
    fixture.site.picture().remove(group).map(|all| all.into_iter().flatten().collect()).unwrap_or_default()
}

fn owed(fixture: &Fixture) -> usize {
    let state = fixture.store.state();
    state.memory.marks().filter(|(_, mark)| mark.kind() == MarkKind::Owed).count()
}

async fn full(fixture: &Fixture) -> RunReport {
    fixture.run_with(RunOptions { freshness: Freshness::Full, ..RunOptions::new(Trigger::Manual) }).await
}

/// Everybody who was invited has it, once; nobody else has; and a further run gives nothing.
async fn assert_given(fixture: &Fixture, context: &str) {
    for group in GIVEN {
        assert_eq!(members(fixture, group), people(&[3, 4]), "{context}: {group}");
    }
    assert_eq!(owed(fixture), 0, "{context}");
    let writes = fixture.site.writes();
    for freshness in [Freshness::Incremental, Freshness::Full] {
        let options = RunOptions { freshness, ..RunOptions::new(Trigger::Manual) };
        let again = fixture.run_with(options).await;
        assert_eq!((again.status, again.steps.len()), (RunStatus::Converged, 0), "{context}: {again:?}");
    }
    assert_eq!(fixture.site.writes(), writes, "{context}");
    for (who, mails) in fixture.site.mails() {
        assert_eq!(mails, 1, "{context}: invitations of {who}");
    }
}

#[tokio::test(start_paused = true)]
async fn r_01_newcomers_get_what_they_are_given_wherever_the_run_that_invites_them_is_killed() {
    for in_flight in [1, 32] {
        for nth in 1.. {
            let fixture = welcoming(in_flight);
            fixture.kill.arm(nth);
            let ended = fixture.run_until_killed().await.is_some();
            let context = format!("{in_flight} in flight, killed at {nth}");
            if !ended {
                let next = fixture.run().await;
                assert_eq!(next.status, RunStatus::Converged, "{context}: {next:?}");
            }
            assert_given(&fixture, &context).await;
            if ended {
                assert!(nth > 30, "only {nth} write points");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r_04_newcomers_get_what_they_are_given_wherever_the_store_fails() {
    for fault in [DiskFault::Once, DiskFault::StoredAndDenied, DiskFault::FromHereOn] {
        for nth in 1.. {
            let fixture = welcoming(32);
            fixture.store.disk_fails(nth, fault);
            let (engine, told) = (fixture.engine(), Told::default());
            let _ = engine.run(RunOptions::new(Trigger::Manual), &told).await;
            let met = fixture.store.state().writes_failed > 0;
            fixture.store.disk_mended();
            let context = format!("{fault:?}, at write {nth}");
            if met {
                let next = fixture.run().await;
                assert_eq!(next.status, RunStatus::Converged, "{context}: {next:?}");
            }
            assert_given(&fixture, &context).await;
            if !met {
                assert!(nth > 20, "only {nth} writes");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn n_04_a_gift_whose_call_or_answer_is_lost_is_given_once() {
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        // Each membership of the run, one after the other
        for nth in 0..8 {
            let fixture = welcoming(1);
            for _ in 0..nth {
                fixture.site.fault(StepKind::AddMember, Fault::Pass);
            }
            // Both tries of the call
            fixture.site.fault(StepKind::AddMember, fault.clone());
            fixture.site.fault(StepKind::AddMember, fault.clone());
            fixture.run().await;
            fixture.site.no_more_faults();
            tokio::time::advance(Duration::from_mins(20)).await;
            let context = format!("{fault:?} at membership {nth}");
            assert_eq!(full(&fixture).await.status, RunStatus::Converged, "{context}");
            assert_given(&fixture, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_site_refuses_is_tried_once_more_and_then_given_up() {
    let fixture = welcoming(32);
    let no = refusal(FailureCode::SiteRefused, FailureClass::Object);
    fixture.site.refuse_group("Welcome", no);
    let first = fixture.run().await;
    assert_eq!(first.status, RunStatus::Partial, "{first:?}");
    let said = |report: &RunReport| -> Vec<String> {
        let about = report.set_aside.iter().filter(|aside| aside.object.contains("Welcome"));
        about.map(|aside| aside.remedy.clone()).collect()
    };
    assert_eq!(said(&first).len(), 2, "{first:?}");
    assert!(said(&first).iter().all(|remedy| remedy.contains("the next run tries once more")), "{first:?}");
    assert_eq!(owed(&fixture), 2);

    let second = full(&fixture).await;
    assert_eq!(second.steps[&StepKind::AddMember].failed, 2, "{second:?}");
    assert!(said(&second).iter().all(|remedy| remedy.contains("not tried again")), "{second:?}");
    assert_eq!(owed(&fixture), 0);

    let calls = fixture.site.calls(StepKind::AddMember);
    let third = full(&fixture).await;
    assert_eq!((third.status, third.steps.len()), (RunStatus::Converged, 0), "{third:?}");
    assert_eq!(fixture.site.calls(StepKind::AddMember), calls, "never again");
    assert_eq!(members(&fixture, "Tips/for you"), people(&[3, 4]), "the other one was given");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_once_is_given_by_the_next_run_and_then_it_is_their_own() {
    let fixture = welcoming(32);
    let no = refusal(FailureCode::SiteRefused, FailureClass::Object);
    fixture.site.refuse_group("Welcome", no);
    fixture.run().await;
    fixture.site.allow_group("Welcome");
    let next = fixture.run().await;
    assert_eq!(next.steps[&StepKind::AddMember].done, 2, "{next:?}");
    assert_given(&fixture, "the second try").await;
    // Taken out by hand, they stay out.
    fixture.site.by_hand("Welcome", &fixture.site.account_of(3), ByHand::Out);
    let again = full(&fixture).await;
    assert_eq!((again.status, again.steps.len()), (RunStatus::Converged, 0), "{again:?}");
    assert_eq!(members(&fixture, "Welcome"), people(&[4]));
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_waits_for_a_seat_and_ends_with_the_person() {
    let fixture = welcoming(32);
    fixture.site.refuse_group("Welcome", refusal(FailureCode::SiteSeatsExhausted, FailureClass::Object));
    for _ in 0..4 {
        full(&fixture).await;
        assert_eq!(owed(&fixture), 2, "a seat that is missing is nobody's refusal");
    }
    // Whoever has left is owed nothing any more.
    fixture.directory.person(3, AccountState::Disabled);
    fixture.run().await;
    assert_eq!(owed(&fixture), 1);
    fixture.site.allow_group("Welcome");
    assert_eq!(full(&fixture).await.status, RunStatus::Converged);
    assert_eq!((members(&fixture, "Welcome"), owed(&fixture)), (people(&[4]), 0));
}
