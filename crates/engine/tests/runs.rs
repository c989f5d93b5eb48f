//! Runs from beginning to end over fakes: what is written, what is read back, what is held, and how faults of the
//! site, of the store and of the operator end.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::sync::Mutex;
use std::time::Duration;

use entrain_domain::memory::Origin;
use entrain_domain::model::AccountState;
use entrain_domain::plan::{Approval, Guard, StepKind};
use entrain_domain::run::{Outcome, RunStatus, Trigger};
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::ports::{Event, SiteQuestion, Store};
use entrain_engine::{Freshness, Purpose, RunOptions, SavedPlan, Wait};
use support::site::{Fault, refusal};
use support::{CONNECTION, Fixture, Told};
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn a_first_run_makes_everything_and_a_second_one_writes_nothing() {
    let fixture = Fixture::company();
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::CreateUser].done, 2);
    assert_eq!(report.steps[&StepKind::CreateGroup].done, 3);
    assert_eq!(report.steps[&StepKind::AddMember].done, 5);
    fixture.assert_in_step("first run").await;

    let before = fixture.site.requests_made();
    let options = RunOptions { freshness: Freshness::Full, ..RunOptions::new(Trigger::Manual) };
    let again = fixture.run_with(options).await;
    assert_eq!(again.requests.site, fixture.site.requests_made() - before);
    // Checks, two rolls, the members of three groups; nothing is read back when nothing was written.
    assert_eq!(again.requests.site, 6);
    assert_eq!(again.requests.directory, 1);
}

#[tokio::test(start_paused = true)]
async fn memberships_follow_their_own_account_and_group_without_waiting_for_the_others() {
    let fixture = Fixture::new();
    for n in 1..=40 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert!(fixture.site.most_in_flight() > 32, "invitations and memberships go side by side");
    fixture.assert_in_step("forty people").await;
}

#[tokio::test(start_paused = true)]
async fn a_preview_writes_nothing_and_needs_no_claim() {
    let fixture = Fixture::company();
    let claim = fixture.store.claim(CONNECTION, "somebody else").await.unwrap();
    let preview =
        fixture.engine().preview(Approval::None, Freshness::Incremental, &Told::default()).await.unwrap();
    drop(claim);
    assert_eq!(preview.document["status"], "changes");
    assert_eq!(preview.document["steps"].as_array().unwrap().len(), preview.plan.steps.len());
    assert!(preview.plan.steps.len() >= 10);
    assert_eq!(fixture.site.writes(), 0);
    assert!(fixture.store.state().runs.is_empty());
    assert!(fixture.store.state().watermark.is_none());
}

///
#[tokio::test(start_paused = true)]
async fn r_08_a_second_run_is_refused_and_told_who_holds_the_connection() {
    let fixture = Fixture::company();
    let (one, two) = (fixture.engine(), fixture.engine());
    let told = Told::default();
    let (first, second) = tokio::join!(
        one.run(RunOptions::new(Trigger::Manual), &told),
        two.run(RunOptions::new(Trigger::Schedule), &told)
    );
    assert_eq!(first.unwrap().status, RunStatus::Converged);
    let refused = second.unwrap_err();
    assert_eq!(refused.code, FailureCode::ConnectionBusy);
    assert!(refused.message.contains("test-host, process 1"), "{refused}");
    fixture.assert_in_step("beside another").await;
}

///
#[tokio::test(start_paused = true)]
async fn r_08_a_second_run_that_may_wait_comes_after_the_first() {
    let fixture = Fixture::company();
    let (one, two) = (fixture.engine(), fixture.engine());
    let told = Told::default();
    let waiting =
        RunOptions { wait: Wait::For(Duration::from_mins(10)), ..RunOptions::new(Trigger::Schedule) };
    let (first, second) =
        tokio::join!(one.run(RunOptions::new(Trigger::Manual), &told), two.run(waiting, &told));
    assert_eq!(first.unwrap().status, RunStatus::Converged);
    let second = second.unwrap();
    assert_eq!(second.status, RunStatus::Converged);
    assert!(second.steps.is_empty(), "{second:?}");
}

///
#[tokio::test(start_paused = true)]
async fn r_11_a_stopped_run_ends_at_a_step_boundary_and_the_next_goes_on() {
    let mut fixture = Fixture::company();
    fixture.options.in_flight = 1;
    let stop = CancellationToken::new();
    let told = Told { events: Mutex::default(), stop_after: Some((3, stop.clone())) };
    let options = RunOptions { stop, ..RunOptions::new(Trigger::Manual) };
    let report = fixture.engine().run(options, &told).await.unwrap();
    assert_eq!(report.status, RunStatus::Partial, "{report:?}");
    assert!(report.set_aside.iter().any(|s| s.reason.contains("stopped")), "{report:?}");
    assert!(fixture.site.writes() < 10, "it stopped before the end");
    assert!(fixture.store.open_intents(CONNECTION).await.unwrap().is_empty());
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("stopped").await;
}

/// done is not converged; only a reading says so.
#[tokio::test(start_paused = true)]
async fn r_11_a_run_stopped_at_its_last_step_does_not_say_that_it_has_converged() {
    let fixture = Fixture::company();
    let stop = CancellationToken::new();
    let told = Told { events: Mutex::default(), stop_after: Some((10, stop.clone())) };
    let options = RunOptions { stop, ..RunOptions::new(Trigger::Manual) };
    let report = fixture.engine().run(options, &told).await.unwrap();
    assert_eq!(fixture.site.writes(), 10, "everything was done");
    assert_eq!(report.status, RunStatus::Partial, "{report:?}");
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
}

///
#[tokio::test(start_paused = true)]
async fn r_11_a_run_that_waits_for_another_can_be_stopped() {
    let fixture = Fixture::company();
    let claim = fixture.store.claim(CONNECTION, "somebody else").await.unwrap();
    let stop = CancellationToken::new();
    let options = RunOptions {
        wait: Wait::For(Duration::from_hours(1)),
        stop: stop.clone(),
        ..RunOptions::new(Trigger::Manual)
    };
    let (engine, told) = (fixture.engine(), Told::default());
    let (refused, ()) = tokio::join!(engine.run(options, &told), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    });
    drop(claim);
    assert_eq!(refused.unwrap_err().code, FailureCode::Stopped);
    assert!(fixture.store.state().runs.is_empty());
}

///
#[tokio::test(start_paused = true)]
async fn r_07_nothing_is_written_when_the_journal_cannot_be() {
    let fixture = Fixture::company();
    fixture.store.state().intend_fails = true;
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Failed, "{report:?}");
    assert_eq!(report.error.unwrap().code, FailureCode::StoreFailed);
    assert_eq!(fixture.site.writes(), 0);
    fixture.store.state().intend_fails = false;
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("journal back").await;
}

/// N-04: every kind of write whose answer is lost after it happened.
#[tokio::test(start_paused = true)]
async fn n_04_a_write_whose_answer_is_lost_is_found_and_not_done_twice() {
    for kind in [StepKind::CreateUser, StepKind::CreateGroup, StepKind::AddMember, StepKind::RemoveMember] {
        let fixture = Fixture::company();
        fixture.run().await;
        fixture.live_on();
        fixture.site.fault(kind, Fault::LoseAnswer);
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Converged, "{kind}: {report:?}");
        fixture.assert_in_step(&format!("lost answer of {kind}")).await;
    }
}

/// N-04: every kind of write that was lost on the way.
#[tokio::test(start_paused = true)]
async fn n_04_a_write_that_got_lost_is_done_by_this_run_or_the_one_after_the_quarantine() {
    for kind in [StepKind::CreateUser, StepKind::CreateGroup, StepKind::AddMember, StepKind::RemoveMember] {
        let fixture = Fixture::company();
        fixture.run().await;
        fixture.live_on();
        fixture.site.fault(kind, Fault::LoseRequest);
        let report = fixture.run().await;
        assert!(matches!(report.status, RunStatus::Converged | RunStatus::Partial), "{kind}: {report:?}");
        tokio::time::advance(Duration::from_mins(20)).await;
        assert_eq!(fixture.run().await.status, RunStatus::Converged, "{kind}");
        fixture.assert_in_step(&format!("lost request of {kind}")).await;
    }
}

/// N-12
#[tokio::test(start_paused = true)]
async fn n_12_a_new_account_that_shows_after_half_a_minute_is_waited_for() {
    let fixture = Fixture::company();
    fixture.site.lag(Duration::from_secs(30));
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    fixture.assert_in_step("lag").await;
}

/// N-12
#[tokio::test(start_paused = true)]
async fn n_12_a_new_account_that_shows_after_ten_minutes_is_left_to_a_later_run_and_not_invited_again() {
    for fault in [None, Some(Fault::LoseAnswer)] {
        let fixture = Fixture::company();
        fixture.site.lag(Duration::from_mins(10));
        if let Some(fault) = fault.clone() {
            fixture.site.fault(StepKind::CreateUser, fault);
        }
        let report = fixture.run().await;
        assert_eq!(report.status, RunStatus::Partial, "{report:?}");
        assert!(!report.set_aside.is_empty());
        let soon = fixture.run().await;
        assert_eq!(soon.status, RunStatus::Partial, "{soon:?}");
        assert!(fixture.site.mails().values().all(|mails| *mails == 1), "{:?}", fixture.site.mails());
        tokio::time::advance(Duration::from_mins(10)).await;
        let later = fixture.run().await;
        assert_eq!(later.status, RunStatus::Converged, "{later:?}");
        fixture.assert_in_step(&format!("long lag, {fault:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_refused_object_is_set_aside_with_what_waits_for_it_and_the_rest_goes_on() {
    let fixture = Fixture::company();
    let failure = refusal(FailureCode::SiteAccountWithoutAccess, FailureClass::Object);
    fixture.site.fault(StepKind::CreateUser, Fault::Refuse(failure.clone()));
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial);
    assert_eq!(report.steps[&StepKind::CreateUser].failed, 1);
    assert_eq!(report.steps[&StepKind::CreateUser].done, 1);
    assert_eq!(report.steps[&StepKind::CreateGroup].done, 3);
    assert!(report.set_aside.iter().any(|s| s.reason == failure.message && s.remedy == failure.remedy));
    assert!(report.set_aside.iter().any(|s| s.reason.starts_with("waits for Person 3")), "{report:?}");
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("after a refusal").await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_stops_the_writing() {
    let mut fixture = Fixture::company();
    fixture.options.in_flight = 1;
    let failure = refusal(FailureCode::SiteCredentialRefused, FailureClass::Connection);
    fixture.site.fault(StepKind::CreateGroup, Fault::Refuse(failure));
    let report = fixture.run().await;
    assert!(matches!(report.status, RunStatus::Failed | RunStatus::Partial), "{report:?}");
    assert_eq!(report.error.as_ref().unwrap().code, FailureCode::SiteCredentialRefused);
    assert_eq!(fixture.site.calls(StepKind::AddMember), 0);
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("token mended").await;
}

#[tokio::test(start_paused = true)]
async fn after_the_last_seat_a_group_gets_no_further_request() {
    let mut fixture = Fixture::new();
    fixture.options.in_flight = 1;
    for n in 1..=20 {
        fixture.directory.person(n, AccountState::Enabled);
        fixture.site.account(n);
    }
    fixture.directory.group("Jira Full", &(1..=10).collect::<Vec<_>>());
    fixture.directory.group("Jira Free", &(11..=20).collect::<Vec<_>>());
    let full = refusal(FailureCode::SiteSeatsExhausted, FailureClass::Object);
    fixture.site.refuse_group("Jira Full", full);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Partial, "{report:?}");
    assert_eq!(report.steps[&StepKind::AddMember].done, 10);
    assert_eq!(fixture.site.calls(StepKind::AddMember), 11, "ten that have seats, and one that found out");
    assert_eq!(report.set_aside.len(), 10, "each of the ten is named: {report:?}");
}

/// N-15, D-01: a directory that cannot be read fails the run, and nothing follows from it.
#[tokio::test(start_paused = true)]
async fn n_15_a_read_that_fails_ends_the_run_as_failed_and_changes_nothing() {
    let fixture = Fixture::company();
    fixture.run().await;
    let (writes, watermark) = (fixture.site.writes(), fixture.store.state().watermark.clone());
    fixture.directory.fail(Some(refusal(FailureCode::DirectoryConsentMissing, FailureClass::Connection)));
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.error.as_ref().unwrap().code, FailureCode::DirectoryConsentMissing);
    assert_eq!(fixture.site.writes(), writes);
    assert_eq!(fixture.store.state().watermark, watermark);
    let state_has_end = fixture.store.state().runs[&report.run_id].report.is_some();
    assert!(state_has_end);
    fixture.directory.fail(None);
    fixture.assert_in_step("readable again").await;
}

/// D-01
#[tokio::test(start_paused = true)]
async fn d_01_an_empty_directory_is_held_whole_and_stays_held() {
    let fixture = Fixture::company();
    fixture.run().await;
    let (writes, watermark) = (fixture.site.writes(), fixture.store.state().watermark.clone());
    fixture.directory.empty();
    for _ in 0..3 {
        let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
        let report = fixture.run_with(options).await;
        assert_eq!(report.status, RunStatus::Held, "{report:?}");
        assert!(report.held.iter().any(|held| held.guard == Guard::EmptyDirectory));
        assert_eq!(fixture.site.writes(), writes);
        // Not learnt: the next run must compare with what was there.
        assert_eq!(fixture.store.state().watermark, watermark);
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_adoption_does_not_hold_the_rest() {
    let fixture = Fixture::company();
    let (one, two) = (fixture.site.account(21), fixture.site.account(22));
    let own = fixture.site.group("Jira A", &[&one, &two]);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Held, "{report:?}");
    assert_eq!(report.steps[&StepKind::AdoptGroup].held, 1);
    assert_eq!(report.steps[&StepKind::CreateGroup].done, 2);
    assert_eq!(fixture.site.picture()["Jira A"][0].len(), 2, "nobody was put into the group");
    assert!(fixture.store.state().memory.group_of(&own).is_none());

    let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
    let report = fixture.run_with(options).await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::AdoptGroup].done, 1);
    let state = fixture.store.state();
    assert_eq!(state.memory.group(&support::group_id("Jira A")).unwrap().origin, Origin::Adopted);
    drop(state);
    assert_eq!(fixture.site.picture()["Jira A"][0].len(), 5, "the two of its own stayed");
}

///
#[tokio::test(start_paused = true)]
async fn r_10_a_saved_plan_is_applied_as_it_is_or_refused_with_the_difference() {
    let fixture = Fixture::company();
    let preview =
        fixture.engine().preview(Approval::None, Freshness::Incremental, &Told::default()).await.unwrap();
    let now = "2026-11-02T08:00:00Z".parse().unwrap();
    let saved = SavedPlan::new(CONNECTION, &preview.plan, preview.document, now);
    let saved = SavedPlan::parse(&saved.to_json()).unwrap();
    let expecting =
        RunOptions { purpose: Purpose::Saved(saved.expected()), ..RunOptions::new(Trigger::SavedPlan) };

    fixture.directory.group("Jira C", &[5]);
    let report = fixture.run_with(expecting.clone()).await;
    assert_eq!(report.status, RunStatus::Failed);
    let error = report.error.unwrap();
    assert_eq!(error.code, FailureCode::PlanStale);
    assert!(error.message.contains("create_user/user-5"), "{error}");
    assert_eq!(fixture.site.writes(), 0);

    fixture.directory.group("Jira C", &[]);
    assert_eq!(fixture.run_with(expecting).await.status, RunStatus::Converged);
    fixture.assert_in_step("saved plan").await;
}

#[tokio::test(start_paused = true)]
async fn an_altered_plan_file_is_refused() {
    let fixture = Fixture::company();
    let preview =
        fixture.engine().preview(Approval::None, Freshness::Incremental, &Told::default()).await.unwrap();
    let now = "2026-11-02T08:00:00Z".parse().unwrap();
    let text = SavedPlan::new(CONNECTION, &preview.plan, preview.document, now).to_json();
    for altered in [
        text.replace("Person 3", "Person 9"),
        text.replace("Azure AD", "Other"),
        text[..text.len() / 2].to_owned(),
        String::new(),
        "{}".to_owned(),
    ] {
        assert_ne!(altered, text);
        assert_eq!(SavedPlan::parse(&altered).unwrap_err().code, FailureCode::PlanAltered);
    }
    assert!(SavedPlan::parse(&text).is_ok());
}

#[tokio::test(start_paused = true)]
async fn every_journaled_step_has_an_end_and_an_answer() {
    let fixture = Fixture::company();
    let report = fixture.run().await;
    let state = fixture.store.state();
    let journal = &state.runs[&report.run_id].journal;
    assert_eq!(journal.len(), fixture.site.writes());
    for entry in journal {
        assert_eq!(entry.outcome, Outcome::Done, "{entry:?}");
        assert!(!entry.answer.is_empty() && entry.attempts == 1, "{entry:?}");
    }
}

/// A run may be spawned: its future can be sent to another thread.
#[tokio::test(start_paused = true)]
async fn a_run_can_be_spawned() {
    let fixture = Fixture::company();
    let report = tokio::spawn(async move { fixture.run().await }).await.unwrap();
    assert_eq!(report.status, RunStatus::Converged);
}

/// At the site's limits, the searches of a large company take minutes: whoever waits hears of it.
#[tokio::test(start_paused = true)]
async fn who_watches_hears_how_far_the_questions_to_the_site_have_got() {
    let fixture = Fixture::company();
    let many: Vec<u32> = (1..=250).collect();
    for n in &many {
        fixture.directory.person(*n, AccountState::Enabled);
        let account = fixture.site.account(*n);
        fixture.site.hide(&account);
    }
    fixture.directory.group("Jira A", &many);
    let told = Told::default();
    let options = RunOptions::new(Trigger::Manual);
    fixture.engine().run(options, &told).await.unwrap();
    let events = told.events.lock().unwrap();
    let asked: Vec<(usize, usize)> = events
        .iter()
        .take_while(|event| !matches!(event, Event::Planned { .. }))
        .filter_map(|event| match event {
            Event::SiteAsked { about: SiteQuestion::Accounts, done, of } => Some((*done, *of)),
            _ => None,
        })
        .collect();
    let (last, of) = *asked.last().unwrap();
    assert_eq!((last, of), (250, 250), "all whose address the site does not show are searched for");
    assert!((50..=100).contains(&asked.len()), "{asked:?}");
    assert!(asked.is_sorted(), "{asked:?}");
}
