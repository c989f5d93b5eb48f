//! What people decide on held plans: approval by the id of the run, rejection, two people, and approvals that come too
//! late.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use entrain_domain::model::AccountState;
use entrain_domain::plan::{Approval, Guard, StepKind};
use entrain_domain::policy::Approvers;
use entrain_domain::run::{RunReport, RunStatus, Trigger};
use entrain_domain::{Failure, FailureCode};
use entrain_engine::{Approved, RunOptions, Selection};
use support::{Fixture, Told};

/// Forty people in one group, in step; then half of them are gone.
async fn half_gone() -> (Fixture, RunReport) {
    let fixture = Fixture::new();
    for n in 1..=40 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.directory.group("Jira All", &(1..=20).collect::<Vec<_>>());
    let held = fixture.run().await;
    assert_eq!(held.status, RunStatus::Held, "{held:?}");
    assert_eq!(held.held[0].guard, Guard::Removals);
    (fixture, held)
}

async fn approve(fixture: &Fixture, run: &RunReport, by: &str) -> Result<Approved, Failure> {
    let options = RunOptions::new(Trigger::Approval);
    let engine = fixture.engine();
    engine.approve(&run.run_id, by, Approval::Held, options, &Told::default()).await
}

fn report(approved: Approved) -> RunReport {
    match approved {
        Approved::Run(report) => *report,
        Approved::Waiting { .. } => panic!("{approved:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn d_02_a_held_plan_is_done_when_a_person_approves_its_run_and_then_never_again() {
    let (fixture, held) = half_gone().await;
    let before = fixture.site.writes();
    let done = report(approve(&fixture, &held, "ana").await.unwrap());
    assert_eq!(done.status, RunStatus::Converged, "{done:?}");
    assert_eq!((done.trigger, done.steps[&StepKind::RemoveMember].done), (Trigger::Approval, 20));
    assert_eq!(fixture.site.writes() - before, 20);
    fixture.assert_in_step("approved").await;
    let words: Vec<_> =
        fixture.store.state().audit.iter().map(|n| (n.actor.clone(), n.action.clone())).collect();
    assert!(words.contains(&("ana".into(), "plan_approved".into())), "{words:?}");

    let again = approve(&fixture, &held, "ben").await.unwrap_err();
    assert_eq!(again.code, FailureCode::ApprovalRefused);
    assert!(again.message.contains(done.run_id.as_str()), "{again}");
}

#[tokio::test(start_paused = true)]
async fn d_04_an_approval_that_comes_after_the_world_has_changed_is_refused_and_writes_nothing() {
    let (fixture, held) = half_gone().await;
    let before = fixture.site.writes();
    // One more is gone: what was looked at is not what would be done.
    fixture.directory.group("Jira All", &(1..=19).collect::<Vec<_>>());
    let refused = report(approve(&fixture, &held, "ana").await.unwrap());
    assert_eq!(refused.status, RunStatus::Failed);
    let error = refused.error.unwrap();
    assert_eq!(error.code, FailureCode::PlanStale);
    assert!(error.message.contains("1 steps are new"), "{error}");
    assert_eq!(fixture.site.writes(), before);

    // As it was looked at once more: the word still stands.
    fixture.directory.group("Jira All", &(1..=20).collect::<Vec<_>>());
    assert_eq!(report(approve(&fixture, &held, "ana").await.unwrap()).status, RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn d_04_an_approval_under_other_rules_is_refused() {
    let (mut fixture, held) = half_gone().await;
    fixture.rules.limits.removals.percent = 30;
    let refused = report(approve(&fixture, &held, "ana").await.unwrap());
    assert_eq!(refused.error.unwrap().code, FailureCode::PlanStale);
    let unheld = Fixture::company();
    let converged = unheld.run().await;
    let error = approve(&unheld, &converged, "ana").await.unwrap_err();
    assert_eq!(error.code, FailureCode::ApprovalRefused);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_plan_cannot_be_approved() {
    let (fixture, held) = half_gone().await;
    fixture.engine().reject(&held.run_id, "ana").await.unwrap();
    let error = approve(&fixture, &held, "ben").await.unwrap_err();
    assert_eq!(error.code, FailureCode::ApprovalRefused);
    assert!(error.message.contains("ana rejected it"), "{error}");
    assert!(fixture.engine().reject(&held.run_id, "ben").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn where_two_people_are_asked_for_one_does_not_do_nor_does_the_same_one_twice() {
    let (mut fixture, _) = half_gone().await;
    fixture.rules.approvers = Approvers::Two;
    let alone = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
    let error = fixture.engine().run(alone, &Told::default()).await.unwrap_err();
    assert_eq!(error.code, FailureCode::ApprovalRefused);
    let held = fixture.run().await;
    assert_eq!(held.status, RunStatus::Held);
    let before = fixture.site.writes();
    for _ in 0..2 {
        let Approved::Waiting { by, needed } = approve(&fixture, &held, "ana").await.unwrap() else {
            panic!()
        };
        assert_eq!((by, needed), (vec!["ana".to_owned()], 2));
    }
    assert_eq!(fixture.site.writes(), before);
    assert_eq!(report(approve(&fixture, &held, "ben").await.unwrap()).status, RunStatus::Converged);
}

#[tokio::test(start_paused = true)]
async fn d_01_an_empty_scope_takes_more_than_an_ordinary_approval() {
    let (fixture, _) = half_gone().await;
    fixture.directory.empty();
    let held = fixture.run().await;
    assert_eq!(held.held[0].guard, Guard::EmptyDirectory, "{held:?}");
    let error = approve(&fixture, &held, "ana").await.unwrap_err();
    assert_eq!(error.code, FailureCode::ApprovalRefused);
    assert!(error.remedy.contains("--accept-empty"), "{}", error.remedy);
}

#[tokio::test(start_paused = true)]
async fn single_held_steps_wait_while_the_rest_is_done_and_are_approved_by_themselves() {
    let fixture = Fixture::company();
    let own = fixture.site.account(21);
    fixture.site.group("Jira A", &[&own]);
    let held = fixture.run().await;
    assert_eq!(held.status, RunStatus::Held, "{held:?}");
    assert!(held.steps[&StepKind::AddMember].done > 0);
    // Somebody else joins meanwhile; what waits is the same.
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 7]);
    let done = report(approve(&fixture, &held, "ana").await.unwrap());
    assert_eq!(done.status, RunStatus::Converged, "{done:?}");
    assert_eq!(done.steps[&StepKind::AdoptGroup].done, 1);
}

#[tokio::test(start_paused = true)]
async fn what_one_releases_oneself_is_written_down_with_the_name() {
    let (fixture, _) = half_gone().await;
    let options =
        RunOptions { approval: Approval::Held, by: "ana".into(), ..RunOptions::new(Trigger::Manual) };
    let report = fixture.run_with(options).await;
    assert_eq!(report.status, RunStatus::Converged);
    let state = fixture.store.state();
    let note = state.audit.iter().find(|note| note.action == "plan_approved").unwrap();
    assert_eq!((note.actor.as_str(), note.object.as_str()), ("ana", report.run_id.as_str()));
    assert!(note.detail.contains("20 memberships would be removed"), "{}", note.detail);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_nothing_to_do_but_adopt_a_group_converges() {
    let fixture = Fixture::company();
    fixture.site.group("Jira C", &[]);
    let held = fixture.run().await;
    assert_eq!((held.status, held.steps[&StepKind::AdoptGroup].held), (RunStatus::Held, 1), "{held:?}");
    let done = report(approve(&fixture, &held, "ana").await.unwrap());
    assert_eq!(done.status, RunStatus::Converged, "{done:?}");
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
}

/// The plan of a run, as it was stored.
fn stored_plan(fixture: &Fixture, run: &RunReport) -> serde_json::Value {
    let plan = fixture.store.state().runs[&run.run_id].plan.clone().expect("the run has a plan");
    serde_json::from_str(&plan).expect("the plan is JSON")
}

/// The held steps of a run, as its plan lists them.
fn held_steps(fixture: &Fixture, run: &RunReport) -> Vec<String> {
    let plan = stored_plan(fixture, run);
    let held = plan["steps"].as_array().into_iter().flatten().filter(|step| step.get("held_by").is_some());
    held.filter_map(|step| step["id"].as_str()).map(str::to_owned).collect()
}

async fn approve_part(
    fixture: &Fixture,
    run: &RunReport,
    by: &str,
    steps: &[String],
) -> Result<Approved, Failure> {
    let selection = Selection { steps: steps.to_vec(), people: Vec::new() };
    let (engine, options) = (fixture.engine(), RunOptions::new(Trigger::Approval));
    engine.approve_part(&run.run_id, by, Approval::Held, &selection, options, &Told::default()).await
}

#[tokio::test(start_paused = true)]
async fn d_02_a_part_is_done_and_the_rest_stays_held_however_far_below_the_limit_it_is() {
    let (fixture, held) = half_gone().await;
    let steps = held_steps(&fixture, &held);
    assert_eq!(steps.len(), 20);
    let before = fixture.site.writes();
    let done = report(approve_part(&fixture, &held, "ana", &steps[..15]).await.unwrap());
    assert_eq!(done.status, RunStatus::Held, "{done:?}");
    let removals = &done.steps[&StepKind::RemoveMember];
    assert_eq!((removals.done, removals.held, done.held[0].guard), (15, 5, Guard::LeftOut));
    assert_eq!(fixture.site.writes() - before, 15);
    let entries = fixture.store.state().audit.clone();
    let note = entries.iter().find(|note| note.action == "plan_approved").unwrap();
    assert!(note.detail.starts_with("15 of 20 held steps: "), "{}", note.detail);
    assert!(note.detail.contains(&steps[0]) && !note.detail.contains(&steps[19]), "{}", note.detail);

    // Five of 25 and ten objects: no limit holds them any more, and they wait all the same.
    for _ in 0..2 {
        let later = fixture.run().await;
        assert_eq!((later.status, later.held[0].guard), (RunStatus::Held, Guard::LeftOut), "{later:?}");
        assert_eq!(fixture.site.writes() - before, 15);
    }
    // What was left out is approved like anything else, and is then forgotten.
    let later = fixture.run().await;
    let done = report(approve(&fixture, &later, "ben").await.unwrap());
    assert_eq!((done.status, fixture.site.writes() - before), (RunStatus::Converged, 20), "{done:?}");
    assert!(!fixture.store.state().memory.any_marks());
    fixture.assert_in_step("all of it").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_is_forgotten_when_the_directory_does_not_ask_for_it_any_more() {
    let (fixture, held) = half_gone().await;
    let steps = held_steps(&fixture, &held);
    report(approve_part(&fixture, &held, "ana", &steps[..15]).await.unwrap());
    assert!(fixture.store.state().memory.any_marks());
    // Everybody is back where they were.
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    assert!(!fixture.store.state().memory.any_marks());
}

#[tokio::test(start_paused = true)]
async fn a_part_by_people_takes_all_that_is_held_about_them() {
    let (fixture, held) = half_gone().await;
    let plan = stored_plan(&fixture, &held);
    let mail = plan["steps"][3]["user"]["mail"].as_str().unwrap().to_uppercase();
    let id = plan["steps"][4]["user"]["directory_id"].as_str().unwrap().to_owned();
    let selection = Selection { steps: Vec::new(), people: vec![mail, id] };
    let (engine, options) = (fixture.engine(), RunOptions::new(Trigger::Approval));
    let approved =
        engine.approve_part(&held.run_id, "ana", Approval::Held, &selection, options, &Told::default()).await;
    assert_eq!(report(approved.unwrap()).steps[&StepKind::RemoveMember].done, 2);
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_group_is_not_chosen_is_refused_and_so_is_what_is_not_held() {
    let fixture = Fixture::company();
    let own = fixture.site.account(21);
    fixture.site.group("Jira A", &[&own]);
    let held = fixture.run().await;
    let steps = held_steps(&fixture, &held);
    let (adoption, members): (Vec<String>, Vec<String>) =
        steps.into_iter().partition(|step| step.starts_with("adopt_group/"));
    assert!(adoption.len() == 1 && !members.is_empty(), "{members:?}");
    let (writes, entries) = (fixture.site.writes(), fixture.store.state().audit.len());
    let error = approve_part(&fixture, &held, "ana", &members[..1]).await.unwrap_err();
    assert_eq!(error.code, FailureCode::ApprovalRefused);
    assert!(error.message.contains("needs the group “Jira A”"), "{error}");
    let error = approve_part(&fixture, &held, "ana", &["add_member/x/y".into()]).await.unwrap_err();
    assert!(error.message.contains("holds no step “add_member/x/y”"), "{error}");
    let nobody = Selection { steps: Vec::new(), people: vec!["nobody@x.example".into()] };
    let (engine, options) = (fixture.engine(), RunOptions::new(Trigger::Approval));
    let error = engine
        .approve_part(&held.run_id, "ana", Approval::Held, &nobody, options, &Told::default())
        .await
        .unwrap_err();
    assert!(error.message.contains("nobody@x.example"), "{error}");
    assert_eq!(
        (fixture.site.writes(), fixture.store.state().audit.len()),
        (writes, entries),
        "nothing came of it"
    );

    // The group alone: its members wait.
    let done = report(approve_part(&fixture, &held, "ana", &adoption).await.unwrap());
    assert_eq!((done.status, done.steps[&StepKind::AdoptGroup].done), (RunStatus::Held, 1), "{done:?}");
    let later = fixture.run().await;
    assert_eq!((later.status, later.held[0].guard), (RunStatus::Held, Guard::LeftOut), "{later:?}");
    assert_eq!(held_steps(&fixture, &later).len(), members.len());
}

#[tokio::test(start_paused = true)]
async fn of_an_adoption_that_is_left_out_nothing_is_learnt() {
    let fixture = Fixture::company();
    let own = fixture.site.account(21);
    fixture.site.group("Jira A", &[&own]);
    fixture.site.group("Jira C", &[]);
    let held = fixture.run().await;
    let steps = held_steps(&fixture, &held);
    let c: Vec<String> = {
        let plan = stored_plan(&fixture, &held);
        let all = plan["steps"].as_array().unwrap().clone();
        let of_c = all.iter().filter(|step| step["group"]["name"] == "Jira C");
        of_c.map(|step| step["id"].as_str().unwrap().to_owned()).filter(|id| steps.contains(id)).collect()
    };
    let known = fixture.store.state().memory.membership_count();
    let done = report(approve_part(&fixture, &held, "ana", &c).await.unwrap());
    assert_eq!(done.steps[&StepKind::AdoptGroup].done, 1, "{done:?}");
    let added = done.steps.get(&StepKind::AddMember).map_or(0, |n| n.done);
    assert_eq!(
        fixture.store.state().memory.membership_count(),
        known + added,
        "the ledger has what was done"
    );
}

#[tokio::test(start_paused = true)]
async fn where_two_people_are_asked_for_both_have_to_choose_the_same() {
    let (mut fixture, _) = half_gone().await;
    fixture.rules.approvers = Approvers::Two;
    let held = fixture.run().await;
    let steps = held_steps(&fixture, &held);
    let before = fixture.site.writes();
    let waiting = |approved: Approved| match approved {
        Approved::Waiting { by, needed } => (by, needed),
        Approved::Run(report) => panic!("{report:?}"),
    };
    let one = approve_part(&fixture, &held, "ana", &steps[..4]).await.unwrap();
    assert_eq!(waiting(one), (vec!["ana".to_owned()], 2));
    for other in [&steps[..3], &steps[..]] {
        let two = approve_part(&fixture, &held, "ben", other).await.unwrap();
        assert_eq!(waiting(two), (vec!["ben".to_owned()], 2), "another part is another thing");
    }
    assert_eq!(fixture.site.writes(), before);
    let both = report(approve_part(&fixture, &held, "ben", &steps[..4]).await.unwrap());
    assert_eq!(both.steps[&StepKind::RemoveMember].done, 4, "{both:?}");
}
