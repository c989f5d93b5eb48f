//! The sync of one person: what it does and costs, what it leaves alone, and that beside a run over everything, in any
//! order of what the two do, it ends where one after the other would.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::sync::Mutex;
use std::time::Duration;

use entrain_domain::model::{AccountActivity, AccountState};
use entrain_domain::plan::{Approval, Guard, StepKind};
use entrain_domain::policy::{Existing, GroupMode, Limit};
use entrain_domain::run::{Outcome, RunReport, RunStatus, Trigger};
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::person::{Access, NotEntitled, PersonDone, PersonOrder, PersonOutcome};
use entrain_engine::ports::Store as _;
use entrain_engine::{Freshness, Only, Purpose, Question, RunOptions};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use support::site::{ByHand, Fault, refusal};
use support::{CONNECTION, Fixture, TestEngine, Told, address, user_id};

async fn settled() -> Fixture {
    let fixture = Fixture::company();
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture
}

#[expect(clippy::unwrap_used, reason = "a sync that cannot begin fails its test")]
async fn sync_by(engine: &TestEngine, who: &str) -> PersonDone {
    let order = PersonOrder::new(who, Trigger::SignIn);
    engine.sync_person(&order, &Told::default(), |_| ()).await.unwrap()
}

async fn sync(fixture: &Fixture, n: u32) -> PersonDone {
    sync_by(&fixture.engine(), user_id(n).as_str()).await
}

fn groups(outcome: &PersonOutcome) -> Vec<&str> {
    match &outcome.access {
        Access::InStep { groups, waiting, .. } => {
            assert!(waiting.is_empty(), "{waiting:?}");
            groups.iter().map(|name| &**name).collect()
        }
        other => panic!("not in step: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn p_8_somebody_in_step_costs_one_look_at_each_side_and_nothing_is_written() {
    let fixture = settled().await;
    let engine = fixture.engine();
    sync_by(&engine, user_id(1).as_str()).await;
    let (before, writes) = (fixture.site.requests_made(), fixture.site.writes());
    let stored = fixture.store.state().writes;
    let begun = tokio::time::Instant::now();
    let done = sync_by(&engine, user_id(3).as_str()).await;
    assert_eq!(groups(&done.outcome), ["Jira A", "Jira B"]);
    let report = done.report.unwrap();
    assert_eq!((report.status, report.trigger), (RunStatus::Converged, Trigger::SignIn), "{report:?}");
    assert!(report.steps.is_empty());
    // The account and its groups; the checks are remembered from the sync before.
    assert_eq!(fixture.site.requests_made() - before, 2);
    assert_eq!(report.requests.directory, 1);
    assert_eq!(fixture.site.writes(), writes);
    assert_eq!(fixture.store.state().writes - stored, 2, "the run with its plan, and its end");
    assert_eq!(
        begun.elapsed(),
        Duration::from_millis(200),
        "both sides side by side; the fake directory takes longer"
    );
}

#[tokio::test(start_paused = true)]
async fn p_8_a_mover_takes_three_round_trips_to_the_answer_and_the_reading_back_comes_after_it() {
    let fixture = settled().await;
    let engine = fixture.engine();
    sync_by(&engine, user_id(1).as_str()).await;
    fixture.directory.group("Jira A", &[1, 3]);
    fixture.directory.group("Jira B", &[2, 3, 4]);
    fixture.directory.group("Jira C", &[2]);
    let begun = tokio::time::Instant::now();
    let before = fixture.store.state().writes;
    let stored = || fixture.store.state().writes - before;
    let answered = Mutex::new(None);
    let order = PersonOrder::new(user_id(2).as_str(), Trigger::SignIn);
    let done = engine
        .sync_person(&order, &Told::default(), |outcome| {
            *answered.lock().unwrap() = Some((outcome.clone(), begun.elapsed(), stored()));
        })
        .await
        .unwrap();
    let (outcome, after, transactions) = answered.lock().unwrap().take().unwrap();
    assert_eq!(transactions, 1 + 2 * 3, "the run with its plan; of three steps each the intent and the end");
    assert_eq!(stored() - transactions, 2, "behind the answer, what was written and the end of the run");
    assert_eq!(outcome, done.outcome);
    assert_eq!(groups(&outcome), ["Jira B", "Jira C"]);
    // Read both sides (200 ms), look at the group that was left (200 ms), write side by side (100 ms).
    assert_eq!(after, Duration::from_millis(500));
    let report = done.report.unwrap();
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!((report.steps[&StepKind::AddMember].done, report.steps[&StepKind::RemoveMember].done), (2, 1));
    fixture.assert_in_step("a mover").await;
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_invited_once_and_a_door_that_knows_the_address_saves_the_wait_for_it() {
    let fixture = settled().await;
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 7]);
    let engine = fixture.engine();
    let order =
        PersonOrder { address: Some(address(7)), ..PersonOrder::new(user_id(7).as_str(), Trigger::SignIn) };
    let done = engine.sync_person(&order, &Told::default(), |_| ()).await.unwrap();
    assert_eq!(groups(&done.outcome), ["Jira B"]);
    assert_eq!(fixture.site.mails()[address(7).as_str()], 1);
    let done = sync_by(&engine, address(7).as_str()).await;
    assert_eq!(groups(&done.outcome), ["Jira B"], "named by address");
    let account = fixture.site.account_of(7);
    assert_eq!(groups(&sync_by(&engine, account.as_str()).await.outcome), ["Jira B"], "named by account");
    fixture.assert_in_step("a newcomer").await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_there_is_found_and_what_it_holds_already_is_found_too() {
    let fixture = settled().await;
    let account = fixture.site.account(8);
    fixture.site.by_hand("Jira B", &account, ByHand::In);
    fixture.directory.person(8, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 8]);
    let done = sync(&fixture, 8).await;
    assert_eq!(groups(&done.outcome), ["Jira B"]);
    assert!(!fixture.site.mails().contains_key(address(8).as_str()), "nobody is invited");
    let run = done.report.unwrap().run_id;
    let journal = fixture.store.journal(&run).await.unwrap();
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].outcome, Outcome::AlreadyDone);
    fixture.assert_in_step("found").await;
}

#[tokio::test(start_paused = true)]
async fn somebody_disabled_loses_their_groups_and_somebody_unknown_costs_one_look_and_no_run() {
    let fixture = settled().await;
    fixture.directory.person(3, AccountState::Disabled);
    let done = sync(&fixture, 3).await;
    assert_eq!(done.outcome.access, Access::NotEntitled(NotEntitled::Disabled));
    assert_eq!(done.report.unwrap().steps[&StepKind::RemoveMember].done, 2);
    let runs = fixture.store.state().runs.len();
    let done = sync(&fixture, 99).await;
    assert_eq!(done.outcome.access, Access::NotEntitled(NotEntitled::Unknown));
    assert!(done.report.is_none());
    assert_eq!(fixture.store.state().runs.len(), runs);
    let done = sync_by(&fixture.engine(), "nobody@example.com").await;
    assert_eq!(done.outcome.access, Access::NotEntitled(NotEntitled::Unknown));
    // In no group of the scope
    let done = sync(&fixture, 6).await;
    assert_eq!(done.outcome.access, Access::NotEntitled(NotEntitled::OutOfScope));
    fixture.assert_in_step("a leaver").await;
}

#[tokio::test(start_paused = true)]
async fn somebody_in_the_recycle_bin_loses_their_groups() {
    let fixture = settled().await;
    fixture.directory.soft_delete(4);
    let done = sync(&fixture, 4).await;
    assert_eq!(done.outcome.access, Access::NotEntitled(NotEntitled::Deleted));
    assert_eq!(done.report.unwrap().steps[&StepKind::RemoveMember].done, 1);
    fixture.assert_in_step("deleted").await;
}

#[tokio::test(start_paused = true)]
async fn n_12_somebody_whom_the_directory_does_not_find_loses_nothing_by_that() {
    let fixture = settled().await;
    fixture.directory.lose(4);
    let before = fixture.site.picture();
    let done = sync(&fixture, 4).await;
    let Access::Waits { reason, .. } = done.outcome.access else { panic!("{:?}", done.outcome) };
    assert!(reason.contains("recycle bin"), "{reason}");
    assert_eq!(fixture.site.picture(), before, "the copy that was asked may only lag");
    // A run over everything reads the whole list
    fixture.run().await;
    fixture.assert_in_step("a run over everything").await;
}

#[tokio::test(start_paused = true)]
async fn d_02_a_directory_group_that_is_gone_takes_nothing_from_anybody() {
    let fixture = settled().await;
    fixture.directory.remove_group("Jira B");
    let before = fixture.site.picture();
    let done = sync(&fixture, 4).await;
    assert_eq!(done.outcome.access, Access::NotEntitled(NotEntitled::OutOfScope));
    assert_eq!(fixture.site.picture(), before, "the group is frozen, as a run over everything leaves it");
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_does_not_answer_takes_nothing_and_says_so() {
    let fixture = settled().await;
    fixture.directory.group("Jira A", &[1]);
    fixture.directory.fail(Some(refusal(FailureCode::DirectoryUnavailable, FailureClass::Transient)));
    let before = fixture.site.picture();
    let done = sync(&fixture, 2).await;
    assert!(matches!(&done.outcome.access, Access::Waits { .. }), "{:?}", done.outcome);
    let report = done.report.unwrap();
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.error.unwrap().code, FailureCode::DirectoryUnavailable);
    assert_eq!(fixture.site.picture(), before);
    fixture.directory.fail(None);
    assert_eq!(sync(&fixture, 2).await.outcome.access, Access::NotEntitled(NotEntitled::OutOfScope));
    fixture.run().await;
    fixture.assert_in_step("it answers again").await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_missing_is_made_and_one_that_is_there_is_left_to_a_person() {
    let fixture = settled().await;
    fixture.directory.group("Jira D", &[1, 2]);
    let done = sync(&fixture, 1).await;
    assert_eq!(groups(&done.outcome), ["Jira A", "Jira D"]);
    assert_eq!(groups(&sync(&fixture, 2).await.outcome), ["Jira A", "Jira D"]);
    assert_eq!(fixture.site.written()[&StepKind::CreateGroup], 4, "made once");
    fixture.assert_in_step("a group made").await;

    let mut fixture = settled().await;
    fixture.rules.existing = Existing::Ask;
    fixture.site.group("Jira E", &[]);
    fixture.directory.group("Jira E", &[1]);
    let report =
        fixture.run_with(RunOptions { freshness: Freshness::Full, ..RunOptions::new(Trigger::Manual) }).await;
    assert_eq!(report.status, RunStatus::Held);
    let done = sync(&fixture, 1).await;
    let Access::InStep { groups, waiting, .. } = done.outcome.access else { panic!("not in step") };
    assert_eq!(groups, vec!["Jira A".into()]);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(done.report.unwrap().status, RunStatus::Partial);
}

#[tokio::test(start_paused = true)]
async fn a_held_limit_holds_a_person_as_it_holds_a_run_and_counts_persons_within_a_day() {
    let mut fixture = settled().await;
    fixture.rules.limits.removals = Limit { percent: 20, number: 1 };
    fixture.run().await;
    fixture.directory.group("Jira A", &[3]);
    // One of five memberships: not beyond the limit.
    assert!(matches!(sync(&fixture, 1).await.outcome.access, Access::NotEntitled(_)));
    // A second within a day is.
    let done = sync(&fixture, 2).await;
    let Access::Held(held) = done.outcome.access else { panic!("not held: {:?}", done.outcome) };
    assert_eq!(held[0].guard, Guard::Removals);
    assert_eq!(done.report.unwrap().status, RunStatus::Held);
    assert_eq!(fixture.site.picture()["Jira A"][0].len(), 2, "the second is still there");
}

#[tokio::test(start_paused = true)]
async fn others_in_an_authoritative_group_are_none_of_a_persons_business() {
    let mut fixture = settled().await;
    fixture.rules.mode = GroupMode::Authoritative;
    fixture.run().await;
    let stranger = fixture.site.account(9);
    fixture.site.by_hand("Jira A", &stranger, ByHand::In);
    let done = sync(&fixture, 1).await;
    assert_eq!(groups(&done.outcome), ["Jira A"]);
    let report = done.report.unwrap();
    assert!(report.steps.is_empty() && report.held.is_empty(), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn changed_rules_and_a_connection_never_read_wait_for_a_run_over_everything() {
    let fixture = Fixture::company();
    let done = sync(&fixture, 1).await;
    assert!(matches!(done.outcome.access, Access::Waits { .. }));
    let mut fixture = settled().await;
    fixture.rules.mode = GroupMode::Additive;
    let done = sync(&fixture, 1).await;
    let Access::Waits { reason, .. } = done.outcome.access else { panic!("{:?}", done.outcome) };
    assert!(reason.contains("rules have changed"), "{reason}");
    assert_eq!(fixture.site.written()[&StepKind::AddMember], 5);
}

#[tokio::test(start_paused = true)]
async fn a_persons_run_is_no_last_run_and_its_answer_is_explained_and_undone() {
    let fixture = settled().await;
    fixture.directory.group("Jira C", &[1]);
    let done = sync(&fixture, 1).await;
    let run = done.report.unwrap().run_id;
    assert_ne!(fixture.store.last_report(CONNECTION).await.unwrap().unwrap().run_id, run);
    let question = Question::User(user_id(1).as_str().into());
    let engine = fixture.engine();
    let explained = engine.explain(&question, Freshness::Incremental, &Told::default()).await.unwrap();
    let text = serde_json::to_string(&explained.explanation).unwrap();
    assert!(text.contains(run.as_str()), "{text}");
    let undone = engine.undo(&run, RunOptions::new(Trigger::Undo), &Told::default()).await.unwrap();
    assert_eq!(undone.steps[&StepKind::RemoveMember].done, 1);
}

#[tokio::test(start_paused = true)]
async fn two_syncs_of_one_person_at_once_do_nothing_twice() {
    let fixture = settled().await;
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 7]);
    let (one, two) = (fixture.engine(), fixture.engine());
    let id = user_id(7);
    let (one, two) = tokio::join!(sync_by(&one, id.as_str()), sync_by(&two, id.as_str()));
    assert_eq!(groups(&one.outcome), ["Jira B"]);
    assert_eq!(groups(&two.outcome), ["Jira B"]);
    assert_eq!(fixture.site.mails()[address(7).as_str()], 1);
    assert_eq!(fixture.site.calls(StepKind::AddMember), 6, "five at first, one for the newcomer");
    fixture.assert_in_step("twice").await;
}

/// What comes after a process that died in the middle of a person's sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A run over everything, once the claim has ended.
    Run,
    /// A run over everything at once, and one later.
    RunAtOnce,
    /// The person again, as soon as the claim has ended, and then a run over everything.
    Person,
}

/// Syncs until it ends, or until the armed kill drops it.
#[expect(clippy::unwrap_used, reason = "a sync that cannot begin fails its test")]
async fn sync_until_killed(fixture: &Fixture, n: u32) -> Option<PersonDone> {
    let engine = fixture.engine();
    let (id, told) = (user_id(n), Told::default());
    let order = PersonOrder::new(id.as_str(), Trigger::SignIn);
    let done = tokio::select! {
        done = engine.sync_person(&order, &told, |_| ()) => Some(done.unwrap()),
        () = fixture.kill.happened() => None,
    };
    fixture.kill.arm(0);
    fixture.site.nothing_in_flight();
    done
}

/// somebody who moves, and a newcomer for whom a group is made as well.
#[tokio::test(start_paused = true)]
async fn r_01_a_persons_sync_killed_at_any_write_point_is_finished_by_the_next_run() {
    for (n, next) in
        [2, 7].into_iter().flat_map(|n| [(n, Next::Run), (n, Next::RunAtOnce), (n, Next::Person)])
    {
        for nth in 1.. {
            let context = format!("person {n} killed at write point {nth}, then {next:?}");
            let fixture = settled().await;
            fixture.directory.person(7, AccountState::Enabled);
            fixture.directory.group("Jira A", &[1, 3]);
            fixture.directory.group("Jira B", &[2, 3, 4, 7]);
            fixture.directory.group("Jira D", &[2, 7]);
            fixture.kill.arm(nth);
            if sync_until_killed(&fixture, n).await.is_some() {
                assert!(nth > 8, "only {nth} write points: person {n} was next to nothing");
                break;
            }
            if next == Next::RunAtOnce {
                let report = fixture.run().await;
                assert_ne!(report.status, RunStatus::Failed, "{context}: {report:?}");
            }
            tokio::time::sleep(Duration::from_mins(6)).await;
            fixture.store.persons_claims_end();
            if next == Next::Person {
                sync(&fixture, n).await;
            }
            let report = fixture.run().await;
            assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
            let done = sync(&fixture, n).await;
            assert_eq!(groups(&done.outcome), ["Jira B", "Jira D"], "{context}");
            fixture.assert_in_step(&context).await;
            let open = fixture.store.state().runs.values().filter(|run| run.report.is_none()).count();
            assert_eq!(open, 0, "{context}: runs that never ended");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r_03_a_lost_answer_to_an_invitation_is_not_asked_again() {
    let fixture = settled().await;
    fixture.site.lag(Duration::from_mins(5));
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 7]);
    fixture.site.fault(StepKind::CreateUser, Fault::LoseAnswer);
    let done = sync(&fixture, 7).await;
    assert!(matches!(done.outcome.access, Access::Waits { .. }), "{:?}", done.outcome);
    let done = sync(&fixture, 7).await;
    assert!(matches!(done.outcome.access, Access::Waits { .. }), "{:?}", done.outcome);
    assert_eq!(fixture.site.calls(StepKind::CreateUser), 3, "two at first, one for the newcomer");
    tokio::time::sleep(Duration::from_mins(30)).await;
    fixture.run().await;
    fixture.assert_in_step("the account shows").await;
}

/// What happens in the directory before both begin, and while they are under way.
fn shuffle(fixture: &Fixture, rng: &mut StdRng) {
    let some = |rng: &mut StdRng| (1..=8).filter(|_| rng.random_bool(0.5)).collect::<Vec<u32>>();
    for n in 1..=8 {
        let state = if rng.random_bool(0.85) { AccountState::Enabled } else { AccountState::Disabled };
        fixture.directory.person(n, state);
    }
    for name in ["Jira A", "Jira B", "Jira C", "Jira D"] {
        let people = some(rng);
        fixture.directory.group(name, &people);
    }
}

#[tokio::test(start_paused = true)]
async fn w_05_beside_a_run_over_everything_in_any_order_both_end_where_one_after_the_other_would() {
    for seed in 0..150 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut fixture = Fixture::company();
        fixture.rules.limits.removals = Limit { percent: 100, number: 1000 };
        fixture.rules.limits.additions = Limit { percent: 100, number: 1000 };
        fixture.run().await;
        shuffle(&fixture, &mut rng);
        let freshness = if rng.random_bool(0.5) { Freshness::Full } else { Freshness::Incremental };
        let (whole, again) = (fixture.engine(), fixture.clone());
        let run = async {
            let options = RunOptions { freshness, ..RunOptions::new(Trigger::Schedule) };
            whole.run(options, &Told::default()).await.unwrap()
        };
        let mut delays = Vec::new();
        for _ in 0..4 {
            delays.push((rng.random_range(1..=8_u32), Duration::from_millis(rng.random_range(0..1500))));
        }
        let changed_at = Duration::from_millis(rng.random_range(0..1200));
        let (moved, to) = (rng.random_range(1..=8_u32), rng.random_bool(0.5));
        let change = async {
            tokio::time::sleep(changed_at).await;
            // While both are under way somebody is moved.
            again.directory.group("Jira A", if to { &[1, 2, 3] } else { &[4, 5] });
            again.directory.person(moved, AccountState::Enabled);
        };
        let persons = futures_util::future::join_all(delays.iter().map(|(n, delay)| {
            let engine = fixture.engine();
            async move {
                tokio::time::sleep(*delay).await;
                sync_by(&engine, user_id(*n).as_str()).await
            }
        }));
        let (report, persons, ()) = tokio::join!(run, persons, change);
        assert_ne!(report.status, RunStatus::Failed, "seed {seed}: {report:?}");
        for done in &persons {
            let failed = done.report.as_ref().is_some_and(|report| report.status == RunStatus::Failed);
            assert!(!failed, "seed {seed}: {done:?}");
        }
        for (who, mails) in fixture.site.mails() {
            assert_eq!(mails, 1, "seed {seed}: invitations of {who}");
        }
        // Whoever was told that they are in a group after the last change is in it.
        let last = RunOptions {
            freshness: Freshness::Full,
            approval: Approval::EvenEmpty,
            ..RunOptions::new(Trigger::Manual)
        };
        fixture.run_with(last).await;
        fixture.assert_in_step(&format!("seed {seed}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn w_05_what_a_sign_in_granted_is_not_undone_by_a_run_that_read_before_it() {
    for delay in (0..2500).step_by(50) {
        let mut fixture = settled().await;
        // The run sees person 1 out of Jira A, with others, and takes its time; at sign-in the person is back in, and in
        // Jira B.
        fixture.options.in_flight = 1;
        for n in 11..=14 {
            fixture.directory.person(n, AccountState::Enabled);
        }
        fixture.directory.group("Jira A", &[11, 12, 13, 14]);
        let engine = fixture.engine();
        let run = async { engine.run(RunOptions::new(Trigger::Schedule), &Told::default()).await.unwrap() };
        let beside = fixture.clone();
        let sign_in = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            beside.directory.group("Jira A", &[1, 2, 3, 11, 12, 13, 14]);
            beside.directory.group("Jira B", &[1, 3, 4]);
            sync(&beside, 1).await
        };
        let (_, done) = tokio::join!(run, sign_in);
        assert_eq!(groups(&done.outcome), ["Jira A", "Jira B"], "after {delay} ms");
        let account = fixture.site.account_of(1);
        for (name, members) in fixture.site.picture() {
            let there = members[0].contains(address(1).as_str());
            assert_eq!(there, name != "Jira C", "after {delay} ms: {name}, {account}");
        }
        fixture.run().await;
        fixture.assert_in_step(&format!("after {delay} ms")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_account_of_somebody_protected_is_refused() {
    let mut fixture = settled().await;
    fixture.rules.protected.addresses.insert(address(2).key());
    fixture.run().await;
    fixture.directory.group("Jira A", &[1, 3]);
    let done = sync(&fixture, 2).await;
    let report = done.report.unwrap();
    assert!(report.steps.is_empty(), "{report:?}");
    assert_eq!(fixture.site.picture()["Jira A"][0].len(), 3);
    fixture.site.call_account(&fixture.site.account_of(2), "Person 2", AccountActivity::Active);
}

async fn only(fixture: &Fixture, only: Only) -> RunReport {
    fixture.run_with(RunOptions { purpose: Purpose::Only(only), ..RunOptions::new(Trigger::Manual) }).await
}

#[tokio::test(start_paused = true)]
async fn one_group_is_synced_and_the_rest_is_left_to_the_next_run_which_misses_nothing() {
    let fixture = settled().await;
    fixture.live_on();
    let report = only(&fixture, Only::Group("Jira B".into())).await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::CreateUser].done, 1);
    assert_eq!(report.steps[&StepKind::AddMember].done, 1);
    assert!(!report.steps.contains_key(&StepKind::RemoveMember), "{report:?}");
    assert!(!fixture.site.picture().contains_key("Jira D"));
    let again = only(&fixture, Only::Group("jira-b".into())).await;
    assert!(again.steps.is_empty() && again.status == RunStatus::Converged, "{again:?}");
    fixture.run().await;
    fixture.assert_in_step("after one group").await;
}

#[tokio::test(start_paused = true)]
async fn one_person_of_a_connection_that_was_never_read_is_synced_alone() {
    let fixture = Fixture::company();
    let report = fixture
        .engine()
        .sync_user(address(3).as_str(), RunOptions::new(Trigger::Manual), &Told::default())
        .await
        .unwrap();
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(report.steps[&StepKind::CreateUser].done, 1);
    assert_eq!(report.steps[&StepKind::AddMember].done, 2);
    assert_eq!(report.steps[&StepKind::CreateGroup].done, 2, "the two that the person is in");
    fixture.run().await;
    fixture.assert_in_step("after one person").await;
}

#[tokio::test(start_paused = true)]
async fn somebody_or_a_group_that_nobody_knows_is_said_to_be_unknown() {
    for fixture in [Fixture::company(), settled().await] {
        let engine = fixture.engine();
        let options = RunOptions::new(Trigger::Manual);
        let code = match engine.sync_user("nobody@example.com", options, &Told::default()).await {
            Ok(report) => report.error.unwrap().code,
            Err(failure) => failure.code,
        };
        assert_eq!(code, FailureCode::ObjectUnknown);
        let report = only(&fixture, Only::Group("Jira Z".into())).await;
        assert_eq!(report.status, RunStatus::Failed);
        assert_eq!(report.error.unwrap().code, FailureCode::ObjectUnknown);
    }
}
