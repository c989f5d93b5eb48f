//! Runs that go on from the mirrors of both sides: what they cost, when they are not enough, and that they end where a
//! full run would.

#[expect(clippy::unwrap_used, reason = "a fake that cannot go on fails its test")]
mod support;

use std::time::Duration;

use entrain_domain::model::{AccountState, ApplicationId};
use entrain_domain::plan::{Approval, StepKind};
use entrain_domain::policy::{GroupSelector, Import, Scope, UserScope};
use entrain_domain::run::{LeftTo, RunReport, RunStatus, Trigger};
use entrain_domain::{FailureClass, FailureCode};
use entrain_engine::ports::Store as _;
use entrain_engine::{Freshness, RunOptions};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use support::site::{ByHand, Fault, refusal};
use support::{CONNECTION, Fixture, Told};

async fn settled() -> Fixture {
    let fixture = Fixture::company();
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture
}

async fn full(fixture: &Fixture) -> RunReport {
    fixture.run_with(RunOptions { freshness: Freshness::Full, ..RunOptions::new(Trigger::Manual) }).await
}

/// Directory requests, site requests, full reads of the directory.
async fn costs(fixture: &Fixture) -> (RunReport, (u64, u64, usize)) {
    costs_of(fixture, Trigger::Manual).await
}

async fn costs_of(fixture: &Fixture, trigger: Trigger) -> (RunReport, (u64, u64, usize)) {
    let before = fixture.directory.full_reads();
    let report = fixture.run_with(RunOptions::new(trigger)).await;
    let reads = fixture.directory.full_reads() - before;
    let costs = (report.requests.directory, report.requests.site, reads);
    (report, costs)
}

/// P-2
#[tokio::test(start_paused = true)]
async fn p_2_a_run_without_changes_asks_the_directory_alone_and_moves_the_watermark() {
    let fixture = settled().await;
    for _ in 0..3 {
        let before = fixture.store.state().watermark.clone();
        let (report, costs) = costs(&fixture).await;
        assert_eq!(report.status, RunStatus::Converged);
        assert_eq!(costs, (1, 0, 0), "the fake answers for both rounds with one request");
        assert!(report.steps.is_empty() && report.set_aside.is_empty() && report.digest.is_some());
        assert_eq!(fixture.store.state().watermark, before);
    }
    // A replay tells what was known: nothing is read from the site for it, and the place to go on from is a later one.
    fixture.directory.replay();
    let before = fixture.store.state().watermark.clone();
    let (report, costs) = costs(&fixture).await;
    assert_eq!((report.status, costs), (RunStatus::Converged, (1, 0, 0)));
    assert_ne!(fixture.store.state().watermark, before);
}

#[tokio::test(start_paused = true)]
async fn one_new_member_costs_checks_one_search_the_write_and_the_reading_back() {
    let fixture = settled().await;
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 7]);
    let (report, costs) = costs(&fixture).await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    // Checks, search by address, invitation, membership, members read back.
    assert_eq!(costs, (1, 5, 0));
    fixture.assert_in_step("one more").await;
}

#[tokio::test(start_paused = true)]
async fn a_preview_goes_on_from_the_mirrors_and_stores_nothing() {
    let fixture = settled().await;
    let (told, engine) = (Told::default(), fixture.engine());
    let preview = engine.preview(Approval::None, Freshness::Incremental, &told).await.unwrap();
    assert_eq!((preview.requests.directory, preview.requests.site), (1, 0));
    assert_eq!(preview.document["status"], "nothing");
    fixture.live_on();
    let watermark = fixture.store.state().watermark.clone();
    let incremental = engine.preview(Approval::None, Freshness::Incremental, &told).await.unwrap();
    let reads = fixture.directory.full_reads();
    let full = engine.preview(Approval::None, Freshness::Full, &told).await.unwrap();
    assert_eq!(fixture.directory.full_reads(), reads + 1);
    assert_eq!(incremental.plan.digest, full.plan.digest, "{:?}\n{:?}", incremental.plan, full.plan);
    assert!(incremental.requests.site < full.requests.site);
    assert_eq!(fixture.store.state().watermark, watermark);
}

#[tokio::test(start_paused = true)]
async fn a_full_read_is_made_when_it_is_due_asked_for_or_needed() {
    let mut fixture = settled().await;
    assert_eq!(costs(&fixture).await.1.2, 0);
    full(&fixture).await;
    tokio::time::advance(Duration::from_hours(23)).await;
    assert_eq!(costs(&fixture).await.1.2, 0, "not yet due");
    tokio::time::advance(Duration::from_hours(2)).await;
    assert_eq!(costs(&fixture).await.1.2, 1, "due");
    assert_eq!(costs(&fixture).await.1.2, 0);
    fixture.options.full_every = Duration::from_hours(1000);
    tokio::time::advance(Duration::from_hours(145)).await;
    assert_eq!(costs(&fixture).await.1.2, 1, "the watermark is about to run out");
    fixture.rules.existing = entrain_domain::policy::Existing::Adopt;
    assert_eq!(costs(&fixture).await.1.2, 1, "other rules");
    assert_eq!(costs(&fixture).await.1.2, 0);
    fixture.directory.replay();
    fixture.directory.implausible();
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Converged, 1), "changes that do not fit");
    assert_eq!(costs(&fixture).await.1.2, 0);
    // Another site under the same name
    let elsewhere = fixture.engine().between("elsewhere".into());
    elsewhere.run(RunOptions::new(Trigger::Manual), &Told::default()).await.unwrap();
    assert_eq!(costs(&fixture).await.1.2, 1);
}

/// a run that was killed is followed by one that trusts no mirror.
#[tokio::test(start_paused = true)]
async fn r_01_after_a_kill_at_any_point_of_an_incremental_run_the_watermark_is_not_ahead() {
    for point in 1.. {
        let fixture = settled().await;
        fixture.live_on();
        let reads = fixture.directory.full_reads();
        fixture.kill.arm(point);
        let ended = fixture.run_until_killed().await;
        let unfinished = fixture.store.unfinished(CONNECTION).await.unwrap().is_some();
        let Some(report) = ended else {
            let after = fixture.run().await;
            assert_eq!(after.status, RunStatus::Converged, "killed at {point}: {after:?}");
            assert_eq!(fixture.directory.full_reads() > reads, unfinished, "killed at {point}");
            fixture.assert_in_step(&format!("killed at {point}")).await;
            continue;
        };
        assert_eq!(report.status, RunStatus::Converged);
        assert_eq!(fixture.directory.full_reads(), reads, "an incremental run");
        assert!(point > 20, "{point} write points");
        break;
    }
}

/// what a guard holds whole is not learnt, so the same changes are told again until somebody decides.
#[tokio::test(start_paused = true)]
async fn r_01_a_held_run_leaves_the_watermark_and_the_changes_come_again() {
    let fixture = settled().await;
    for n in 1..=6 {
        fixture.directory.person(n, AccountState::Disabled);
    }
    let watermark = fixture.store.state().watermark.clone();
    for _ in 0..3 {
        let (report, costs) = costs(&fixture).await;
        assert_eq!((report.status, costs.2), (RunStatus::Held, 0), "{report:?}");
        assert_eq!(fixture.store.state().watermark, watermark);
    }
    for n in 1..=6 {
        fixture.directory.person(n, AccountState::Enabled);
    }
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    fixture.assert_in_step("enabled again").await;
}

/// N-08: the state is lost, and a full read finds who vanished meanwhile; each is asked for by id first.
#[tokio::test(start_paused = true)]
async fn n_08_a_lost_watermark_leads_to_a_full_read_that_finds_the_deletions_of_the_gap() {
    let fixture = settled().await;
    fixture.directory.soft_delete(3);
    fixture.directory.group("Jira B", &[4]);
    fixture.directory.forget_watermarks();
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Converged, 1), "{report:?}");
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 2);
    let asked: Vec<String> = fixture.directory.asked_for().iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["user-1", "user-2", "user-3", "user-4"], "everybody on whom a membership hangs");
    fixture.assert_in_step("state lost").await;
    assert_eq!(costs(&fixture).await.1, (1, 0, 0));
}

/// N-08: many deletions in the gap meet the guard.
#[tokio::test(start_paused = true)]
async fn n_08_mass_deletions_in_the_gap_are_held() {
    let fixture = Fixture::new();
    for n in 1..=40 {
        fixture.directory.person(n, AccountState::Enabled);
        fixture.site.account(n);
    }
    fixture.directory.group("Jira All", &(1..=40).collect::<Vec<_>>());
    assert_eq!(fixture.run().await.status, RunStatus::Converged);
    for n in 1..=20 {
        fixture.directory.soft_delete(n);
    }
    fixture.directory.forget_watermarks();
    let before = fixture.site.writes();
    for _ in 0..2 {
        let (report, costs) = costs(&fixture).await;
        assert_eq!((report.status, costs.2), (RunStatus::Held, 1), "{report:?}");
        assert_eq!(fixture.site.writes(), before);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_soft_deleted_leaves_and_comes_back_with_the_same_groups_without_a_group_event() {
    let fixture = settled().await;
    fixture.directory.soft_delete(3);
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Converged, 0), "{report:?}");
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 2);
    assert_eq!(fixture.site.picture()["Jira B"][0].len(), 1);
    fixture.directory.person(3, AccountState::Enabled);
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Converged, 0), "{report:?}");
    assert_eq!(report.steps[&StepKind::AddMember].done, 2);
    assert!(!report.steps.contains_key(&StepKind::CreateUser), "the account stayed");
    fixture.assert_in_step("back").await;
}

/// N-14: half a run, then a person edits the target, then the next run.
#[tokio::test(start_paused = true)]
async fn n_14_what_people_did_by_hand_between_runs_stays_unless_it_is_owned() {
    for stopped_after in 0..8 {
        let fixture = settled().await;
        fixture.live_on();
        let stop = tokio_util::sync::CancellationToken::new();
        if stopped_after == 0 {
            let failure = refusal(FailureCode::SiteUnavailable, FailureClass::Transient);
            for _ in 0..3 {
                fixture.site.fault(StepKind::AddMember, Fault::Refuse(failure.clone()));
            }
        }
        let stop_after = (stopped_after > 0).then(|| (stopped_after, stop.clone()));
        let told = Told { events: std::sync::Mutex::default(), stop_after };
        let options = RunOptions { stop, ..RunOptions::new(Trigger::Manual) };
        let half = fixture.engine().run(options, &told).await.unwrap();
        assert!(matches!(half.status, RunStatus::Partial | RunStatus::Converged), "{half:?}");

        // A stranger is put into a managed group, and somebody whom Entrain put in is taken out.
        let stranger = fixture.site.account(99);
        let ours = fixture.site.account_of(1);
        fixture.site.by_hand("Jira B", &stranger, ByHand::In);
        fixture.site.by_hand("Jira A", &ours, ByHand::Out);
        let context = format!("stopped after {stopped_after}");
        let next = fixture.run().await;
        assert_eq!(next.status, RunStatus::Converged, "{context}: {next:?}");
        let later = full(&fixture).await;
        assert_eq!(later.status, RunStatus::Converged, "{context}: {later:?}");
        let picture = fixture.site.picture();
        assert!(picture["Jira B"][0].contains("person99@example.com"), "{context}: not ours, so it stays");
        assert!(picture["Jira A"][0].contains("person1@example.com"), "{context}: the directory has her");
        assert!(!fixture.site.mails().contains_key("person99@example.com"));
        fixture.site.by_hand("Jira B", &stranger, ByHand::Out);
        full(&fixture).await;
        fixture.assert_in_step(&context).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_by_hand_in_a_group_that_a_run_touches_is_mended_by_that_run() {
    let fixture = settled().await;
    let (one, two) = (fixture.site.account_of(1), fixture.site.account_of(2));
    fixture.site.by_hand("Jira A", &one, ByHand::Out);
    fixture.directory.group("Jira A", &[1, 3]);
    fixture.site.by_hand("Jira A", &two, ByHand::Out);
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Converged, 0), "{report:?}");
    assert_eq!(report.steps[&StepKind::AddMember].done, 1, "whom a person took out, the directory has");
    fixture.assert_mirror("mended").await;
    assert!(fixture.site.picture()["Jira A"][0].contains("person1@example.com"));
}

#[tokio::test(start_paused = true)]
async fn somebody_who_came_to_the_site_by_other_ways_is_found_and_not_invited() {
    let fixture = settled().await;
    fixture.site.account(7);
    fixture.directory.person(7, AccountState::Enabled);
    fixture.directory.group("Jira B", &[3, 4, 7]);
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Converged, 0), "{report:?}");
    assert!(!report.steps.contains_key(&StepKind::CreateUser));
    assert_eq!(fixture.site.mails().get("person7@example.com"), None);
    fixture.assert_in_step("found").await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_somebody_made_meanwhile_is_not_taken_for_ours() {
    let fixture = settled().await;
    let theirs = fixture.site.account(50);
    fixture.site.group("Jira D", &[&theirs]);
    fixture.directory.group("Jira D", &[1]);
    let (report, costs_now) = costs(&fixture).await;
    assert_eq!((report.status, costs_now.2), (RunStatus::Held, 0), "{report:?}");
    assert_eq!(report.steps[&StepKind::AdoptGroup].held, 1);
    assert_eq!(fixture.site.picture()["Jira D"][0].len(), 1);
    let options = RunOptions { approval: Approval::Held, ..RunOptions::new(Trigger::Manual) };
    let report = fixture.run_with(options).await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    assert_eq!(fixture.site.picture()["Jira D"][0].len(), 2);
    fixture.assert_mirror("adopted").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_left_over_is_tried_again_with_a_fresh_look_at_accounts_and_groups() {
    let fixture = settled().await;
    let group = fixture.site.group("Jira D", &[]);
    fixture.directory.group("Jira D", &[1]);
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Held, "{report:?}");
    let reads = fixture.site.member_reads();
    let (again, costs_now) = costs(&fixture).await;
    assert_eq!((again.status, costs_now.2), (RunStatus::Held, 0));
    assert_eq!(fixture.site.member_reads(), reads, "members are remembered");
    // Somebody removes the group in the way; no delta tells.
    fixture.site.remove_group(&group);
    let (mended, costs_now) = costs(&fixture).await;
    assert_eq!((mended.status, costs_now.2), (RunStatus::Converged, 0), "{mended:?}");
    fixture.assert_in_step("mended").await;
}

/// P-2: a group that bears an administrators' name is set aside for as long as the directory and the rules stay as they are,
/// and that is not a reason to ask the site each time.
#[tokio::test(start_paused = true)]
async fn p_2_what_only_the_directory_or_the_rules_can_mend_costs_the_site_nothing() {
    let mut fixture = settled().await;
    fixture.directory.group("Jira E", &[5]);
    fixture.directory.rename("Jira E", "site-admins");
    fixture.rules.scope = Scope::in_groups(vec![GroupSelector::parse("*").unwrap()]);
    let first = fixture.run().await;
    assert_eq!((first.status, first.set_aside.len()), (RunStatus::Partial, 1), "{first:?}");
    assert_eq!(first.left_to, Some(LeftTo::Directory));
    for trigger in [Trigger::Manual, Trigger::Schedule] {
        let (again, costs) = costs_of(&fixture, trigger).await;
        assert_eq!((again.status, costs), (RunStatus::Partial, (1, 0, 0)), "{again:?}");
        assert_eq!(again.left_to, Some(LeftTo::Directory));
        let said =
            |report: &RunReport| (report.set_aside[0].object.clone(), report.set_aside[0].remedy.clone());
        assert_eq!(said(&again), said(&first), "it is said as long as it is so");
    }
    let preview =
        fixture.engine().preview(Approval::None, Freshness::Incremental, &Told::default()).await.unwrap();
    assert_eq!((preview.requests.site, preview.plan.set_aside.len()), (0, 1));
    // Whatever else changes is done meanwhile, and the next run is as quiet.
    fixture.directory.group("Jira C", &[1]);
    let (report, _) = costs_of(&fixture, Trigger::Schedule).await;
    assert_eq!(
        (report.status, report.steps[&StepKind::AddMember].done),
        (RunStatus::Partial, 1),
        "{report:?}"
    );
    assert_eq!(costs_of(&fixture, Trigger::Schedule).await.1, (1, 0, 0));
    fixture.directory.rename("Jira E", "Jira E");
    let (report, _) = costs_of(&fixture, Trigger::Schedule).await;
    assert_eq!((report.status, report.left_to), (RunStatus::Converged, None), "{report:?}");
    fixture.assert_in_step("renamed").await;
}

/// P-2: what somebody may mend on the site is looked at when a person asks, and now and then by the clock.
#[tokio::test(start_paused = true)]
async fn p_2_what_the_site_can_mend_is_looked_at_now_and_then_and_whenever_a_person_asks() {
    let mut fixture = Fixture::company();
    fixture.rules.import_users = Import::Report;
    let first = fixture.run_with(RunOptions::new(Trigger::Schedule)).await;
    assert_eq!((first.status, first.set_aside.len()), (RunStatus::Partial, 2), "{first:?}");
    let begun = first.left_to.and_then(LeftTo::looked_at).unwrap();
    for _ in 0..9 {
        tokio::time::advance(Duration::from_mins(1)).await;
        let (again, costs) = costs_of(&fixture, Trigger::Schedule).await;
        assert_eq!((again.status, costs), (RunStatus::Partial, (1, 0, 0)), "{again:?}");
        assert_eq!((again.set_aside.len(), again.left_to), (2, first.left_to));
    }
    // A change of the directory needs no look at what stands in the way, and does not count as one.
    fixture.directory.group("Jira C", &[1]);
    let (changed, _) = costs_of(&fixture, Trigger::Notification).await;
    assert_eq!(
        (changed.steps[&StepKind::AddMember].done, changed.left_to),
        (1, first.left_to),
        "{changed:?}"
    );
    tokio::time::advance(Duration::from_mins(1)).await;
    let (later, costs_later) = costs_of(&fixture, Trigger::Schedule).await;
    assert!(costs_later.1 > 0, "ten minutes are over: {later:?}");
    assert!(later.left_to.and_then(LeftTo::looked_at).unwrap() > begun);
    assert_eq!(costs_of(&fixture, Trigger::Schedule).await.1.1, 0);
    // Whoever has mended something sees it at once.
    fixture.site.account(3);
    let (asked, _) = costs(&fixture).await;
    assert_eq!(asked.set_aside.len(), 1, "{asked:?}");
    fixture.site.account(4);
    tokio::time::advance(Duration::from_mins(10)).await;
    let (mended, _) = costs_of(&fixture, Trigger::Schedule).await;
    assert_eq!((mended.status, mended.left_to), (RunStatus::Converged, None), "{mended:?}");
    fixture.assert_in_step("invited by hand").await;
}

/// What may be over by itself is looked at by every run: a failure, and members that could not be read.
#[tokio::test(start_paused = true)]
async fn what_may_be_over_by_itself_is_looked_at_by_every_run() {
    let mut fixture = settled().await;
    fixture.directory.group("Jira E", &[5]);
    fixture.directory.rename("Jira E", "site-admins");
    fixture.rules.scope = Scope::in_groups(vec![GroupSelector::parse("*").unwrap()]);
    fixture.directory.group("Jira C", &[1]);
    let failure = refusal(FailureCode::SiteUnavailable, FailureClass::Transient);
    fixture.site.fault(StepKind::AddMember, Fault::Refuse(failure));
    let failed = fixture.run_with(RunOptions::new(Trigger::Schedule)).await;
    assert_eq!((failed.steps[&StepKind::AddMember].failed, failed.left_to), (1, None), "{failed:?}");
    let (next, _) = costs_of(&fixture, Trigger::Schedule).await;
    assert_eq!(
        (next.steps[&StepKind::AddMember].done, next.left_to),
        (1, Some(LeftTo::Directory)),
        "{next:?}"
    );
    fixture.site.members_fail(Some(refusal(FailureCode::SiteUnavailable, FailureClass::Transient)));
    let unread = full(&fixture).await;
    assert_eq!((unread.status, unread.left_to), (RunStatus::Partial, None), "{unread:?}");
    fixture.site.members_fail(None);
    let (read, costs) = costs_of(&fixture, Trigger::Schedule).await;
    assert_eq!((read.set_aside.len(), costs.2), (1, 0), "{read:?}");
}

/// Whatever happens in the directory, and in whatever order runs see it, an incremental run ends where a full one would.
#[tokio::test(start_paused = true)]
async fn random_days_end_the_same_as_read_in_full() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..30 {
        let fixture = settled().await;
        for day in 0..4 {
            for _ in 0..random.random_range(0..4) {
                let n = random.random_range(1..12);
                match random.random_range(0..5) {
                    0 => fixture.directory.person(n, AccountState::Disabled),
                    1 => fixture.directory.soft_delete(n),
                    2 => {
                        let mut people: Vec<u32> = (1..12).collect();
                        people.shuffle(&mut random);
                        people.truncate(random.random_range(1..6));
                        for person in &people {
                            fixture.directory.person(*person, AccountState::Enabled);
                        }
                        let name = ["Jira A", "Jira B", "Jira C", "Jira D"][random.random_range(0..4)];
                        fixture.directory.group(name, &people);
                    }
                    3 => fixture.directory.replay(),
                    _ => fixture.directory.person(n, AccountState::Enabled),
                }
            }
            let context = format!("seed {seed}, round {round}, day {day}");
            let options = RunOptions { approval: Approval::EvenEmpty, ..RunOptions::new(Trigger::Schedule) };
            let report = fixture.run_with(options.clone()).await;
            assert_eq!(report.status, RunStatus::Converged, "{context}: {report:?}");
            fixture.assert_mirror(&context).await;
            let before = fixture.site.writes();
            let full = fixture.run_with(RunOptions { freshness: Freshness::Full, ..options }).await;
            assert_eq!(full.status, RunStatus::Converged, "{context}: {full:?}");
            assert_eq!(fixture.site.writes(), before, "{context}: {full:?}");
        }
    }
}

/// Assignments have no delta: a directory that says that nothing changed is asked for them all the same.
#[tokio::test(start_paused = true)]
async fn assignments_are_looked_at_in_every_run_and_only_a_difference_is_a_change() {
    let mut fixture = settled().await;
    let application = ApplicationId::parse("0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31").unwrap();
    fixture.directory.assign(&application, &[0, 1, 2, 3, 4, 5]);
    fixture.rules.scope.users = UserScope::Assigned(application.clone());
    let report = fixture.run().await;
    assert_eq!(report.status, RunStatus::Converged, "{report:?}");
    // Nothing changed: no full read, nothing of the site.
    let before = fixture.store.state().watermark.clone();
    let (report, spent) = costs(&fixture).await;
    assert_eq!((report.status, spent.1, spent.2), (RunStatus::Converged, 0, 0));
    assert!(report.steps.is_empty());
    assert_eq!(fixture.store.state().watermark, before);
    // One assignment less, and the delta is silent.
    fixture.directory.assign(&application, &[0, 1, 2, 3, 5]);
    let (report, spent) = costs(&fixture).await;
    assert_eq!((report.status, spent.2), (RunStatus::Converged, 0), "{report:?}");
    assert_eq!(report.steps[&StepKind::RemoveMember].done, 1, "{report:?}");
    // The same again: it was learnt.
    let (report, spent) = costs(&fixture).await;
    assert_eq!((report.status, spent.1, spent.2), (RunStatus::Converged, 0, 0));
    fixture.directory.assign(&application, &[0, 1, 2, 3, 4, 5]);
    let (report, _) = costs(&fixture).await;
    assert_eq!(report.steps[&StepKind::AddMember].done, 1, "{report:?}");
}
