//! Taking a run back: the site is as it was, but for what cannot be; what others did since stays.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use entrain_domain::model::AccountState;
use entrain_domain::plan::{Approval, Guard, StepKind};
use entrain_domain::run::{RunReport, RunStatus, Trigger};
use entrain_domain::{Failure, FailureCode};
use entrain_engine::{Approved, RunOptions};
use support::site::ByHand;
use support::{Fixture, Told};

async fn undo(fixture: &Fixture, run: &RunReport, approval: Approval) -> Result<RunReport, Failure> {
    let options = RunOptions { approval, ..RunOptions::new(Trigger::Undo) };
    fixture.engine().undo(&run.run_id, options, &Told::default()).await
}

#[tokio::test(start_paused = true)]
async fn an_undo_gives_back_and_takes_back_what_the_run_did_and_the_next_sync_does_it_again() {
    let fixture = Fixture::company();
    fixture.run().await;
    let before = fixture.site.picture();
    fixture.live_on();
    let run = fixture.run().await;
    assert_eq!(run.status, RunStatus::Converged, "{run:?}");
    assert_ne!(fixture.site.picture(), before);

    let undone = undo(&fixture, &run, Approval::None).await.unwrap();
    assert_eq!(undone.status, RunStatus::Converged, "{undone:?}");
    assert_eq!(undone.trigger, Trigger::Undo);
    let mut after = fixture.site.picture();
    assert_eq!(after.remove("Jira D"), Some(vec![[].into()]), "the new group stays, empty");
    assert_eq!(after, before);
    let named: Vec<&str> = undone.notes.iter().map(|note| note.object.as_str()).collect();
    assert!(
        named.iter().any(|n| n.contains("person7@example.com")),
        "the invitation cannot be undone: {named:?}"
    );
    assert!(named.contains(&"group “Jira D”"), "{named:?}");

    // Nothing is left to undo.
    let writes = fixture.site.writes();
    assert_eq!(undo(&fixture, &run, Approval::None).await.unwrap().status, RunStatus::Converged);
    assert_eq!(fixture.site.writes(), writes);
    // As long as the directory says what it says, a sync does it again.
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("after the undo").await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_did_since_is_left_alone() {
    let fixture = Fixture::company();
    fixture.run().await;
    fixture.live_on();
    let run = fixture.run().await;
    // Person 5 was put into Jira A by the run and has been taken out by hand; the next undo has nothing to take.
    fixture.site.by_hand("Jira A", &fixture.site.account_of(5), ByHand::Out);
    // Person 2 was taken out by the run and is back by hand.
    fixture.site.by_hand("Jira A", &fixture.site.account_of(2), ByHand::In);
    let undone = undo(&fixture, &run, Approval::None).await.unwrap();
    assert_eq!(undone.status, RunStatus::Converged, "{undone:?}");
    let touched: usize = undone.steps.values().map(|count| count.done).sum();
    // Back: 3 into A; out: 7 of B, 1 and 6 of D.
    assert_eq!(touched, 4, "{undone:?}");
}

#[tokio::test(start_paused = true)]
async fn the_undo_of_a_large_run_is_held_and_is_approved_by_its_id() {
    let fixture = Fixture::new();
    for n in 1..=30 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    fixture.directory.group("Jira All", &(1..=30).collect::<Vec<_>>());
    let run = fixture.run().await;
    let writes = fixture.site.writes();
    let held = undo(&fixture, &run, Approval::None).await.unwrap();
    assert_eq!((held.status, held.held[0].guard), (RunStatus::Held, Guard::Removals));
    assert_eq!(fixture.site.writes(), writes);

    let options = RunOptions::new(Trigger::Approval);
    let engine = fixture.engine();
    let approved =
        engine.approve(&held.run_id, "ana", Approval::Held, options, &Told::default()).await.unwrap();
    let Approved::Run(done) = approved else { panic!("{approved:?}") };
    assert_eq!(done.status, RunStatus::Converged, "{done:?}");
    assert_eq!(done.steps[&StepKind::RemoveMember].done, 30);
    assert_eq!(fixture.site.picture()["Jira All"], [[].into()]);
    assert_eq!(fixture.site.calls(StepKind::CreateUser), 30, "nobody is invited again, nobody is deleted");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_is_killed_is_not_gone_on_with_unasked() {
    let fixture = Fixture::company();
    fixture.run().await;
    fixture.live_on();
    let run = fixture.run().await;
    let in_step = fixture.site.picture();
    fixture.kill.arm(12);
    let (engine, told) = (fixture.engine(), Told::default());
    let undoing = engine.undo(&run.run_id, RunOptions::new(Trigger::Undo), &told);
    tokio::select! {
        report = undoing => panic!("not killed: {report:?}"),
        () = fixture.kill.happened() => {}
    }
    fixture.kill.arm(0);
    fixture.site.nothing_in_flight();
    let next = fixture.run().await;
    assert_eq!((next.trigger, next.status), (Trigger::Manual, RunStatus::Converged), "{next:?}");
    assert_eq!(fixture.site.picture(), in_step);
    fixture.assert_in_step("after the kill").await;
}

#[tokio::test(start_paused = true)]
async fn an_adopted_group_is_let_go_and_keeps_its_own_members() {
    let fixture = Fixture::company();
    let own = fixture.site.account(21);
    let group = fixture.site.group("Jira A", &[&own]);
    let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
    let run = fixture.run_with(options).await;
    assert_eq!(run.status, RunStatus::Converged, "{run:?}");
    let undone = undo(&fixture, &run, Approval::None).await.unwrap();
    assert_eq!(undone.status, RunStatus::Converged, "{undone:?}");
    assert_eq!(fixture.site.members_of(&group), [own]);
    assert!(fixture.store.state().memory.anchor_of(&group).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_there_cannot_be_undone() {
    let fixture = Fixture::company();
    let mut run = fixture.run().await;
    run.run_id = entrain_domain::model::RunId::parse("run-9999").unwrap();
    assert_eq!(undo(&fixture, &run, Approval::None).await.unwrap_err().code, FailureCode::RunUnknown);
}
