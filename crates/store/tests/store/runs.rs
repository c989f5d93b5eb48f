//! Runs, journals and the audit chain.

use std::collections::BTreeMap;

use entrain_domain::FailureCode;
use entrain_domain::memory::{MemoryChange, Origin};
use entrain_domain::model::{AccountId, RunId, SiteGroupId};
use entrain_domain::plan::{Before, PerKind, PlanOf, PlanRow, PlanRowsWanted, StepId, StepKind};
use entrain_domain::run::{
    AuditNote, Intent, JournalPart, LeftTo, Outcome, Phase, RequestCounts, RunReport, RunStatus, StepEnd,
    Trigger,
};
use entrain_store::{AuditVerdict, Error, Store};
use jiff::{SignedDuration, Timestamp};

use crate::support::{World, on_both};

pub(crate) fn run_id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

fn step(n: usize) -> StepId {
    StepId::from_stored(&format!("remove_member/g/{n}"))
}

fn intent(n: usize) -> Intent {
    Intent::RemoveMember {
        group: SiteGroupId::parse("g").unwrap(),
        account: AccountId::parse(format!("a{n}")).unwrap(),
    }
}

fn note(n: usize) -> AuditNote {
    AuditNote {
        actor: "entrain".into(),
        action: "remove_member".into(),
        object: format!("a{n}"),
        detail: "left \0".into(),
    }
}

fn end_of(n: usize, at: Timestamp) -> StepEnd {
    let change = MemoryChange::OwnMembership {
        group: SiteGroupId::parse("g").unwrap(),
        account: AccountId::parse(format!("a{n}")).unwrap(),
        origin: Origin::Created,
        path: None,
    };
    StepEnd {
        step: step(n),
        outcome: Outcome::Done,
        attempts: 2,
        answer: "204 \0".into(),
        at,
        changes: vec![change],
        audit: Some(note(n)),
    }
}

pub(crate) fn report(id: &RunId, status: RunStatus, at: Timestamp) -> RunReport {
    RunReport {
        run_id: id.clone(),
        connection: "Azure AD".into(),
        trigger: Trigger::Manual,
        status,
        steps: BTreeMap::default(),
        requests: RequestCounts::default(),
        held: Vec::new(),
        notes: Vec::new(),
        quarantine: None,
        left_to: Some(LeftTo::Site { looked_at: "2026-11-23T10:00:00Z".parse().unwrap() }),
        set_aside: Vec::new(),
        drift: std::collections::BTreeMap::new(),
        seats: BTreeMap::default(),
        waiting: Vec::new(),
        digest: None,
        error: None,
        resume_at: None,
        started_at: at,
        duration_ms: 1234,
    }
}

/// A run with one settled step and one that is only intended.
pub(crate) async fn half_a_run(store: &Store, world: &World) -> RunId {
    let (id, now) = (run_id("run-1"), world.now());
    store.begin(&id, "Azure AD", Trigger::Schedule, now).await.unwrap();
    store.phase(&id, Phase::Applying, Some("{\"steps\":[]}".into())).await.unwrap();
    for n in [1, 2] {
        store.intend(&id, &step(n), StepKind::RemoveMember, &intent(n), now).await.unwrap();
    }
    store.settle(&id, &end_of(1, now)).await.unwrap();
    id
}

on_both!(an_unfinished_run_is_found_with_its_journal_after_a_restart, |world| {
    let store = world.open().await;
    assert!(store.unfinished("Azure AD").await.unwrap().is_none());
    let id = half_a_run(&store, &world).await;
    // Not closed: as after a kill
    drop(store);
    let store = world.open().await;
    let run = store.unfinished("Azure AD").await.unwrap().unwrap();
    assert_eq!((run.id.clone(), run.trigger, run.phase), (id.clone(), Trigger::Schedule, Phase::Applying));
    let journal: Vec<_> = run.journal.iter().map(|e| (e.step.clone(), e.outcome, e.attempts)).collect();
    assert_eq!(journal, [(step(1), Outcome::Done, 2), (step(2), Outcome::Intent, 0)]);
    assert_eq!(run.journal[1].intent, intent(2));
    assert_eq!(store.plan(&id).await.unwrap().as_deref(), Some("{\"steps\":[]}"));
    assert!(store.unfinished("Other").await.unwrap().is_none());
    assert!(store.open_intents("Other").await.unwrap().is_empty());

    store.end(&report(&id, RunStatus::Partial, world.now()), note(0)).await.unwrap();
    assert!(store.unfinished("Azure AD").await.unwrap().is_none());
    let open = store.open_intents("Azure AD").await.unwrap();
    assert_eq!(open.len(), 1, "an intent without an answer outlives its run");
    assert_eq!((&open[0].0, &open[0].1.step), (&id, &step(2)));
    let listed = store.runs(Some("Azure AD"), 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].status, RunStatus::Partial);
    assert_eq!(listed[0].report.as_ref().unwrap().duration_ms, 1234);
    assert_eq!(store.runs(None, 10).await.unwrap(), listed);
    assert_eq!(store.run(&id).await.unwrap(), listed[0]);
    assert!(store.runs(Some("Other"), 10).await.unwrap().is_empty());
    assert_eq!(store.run(&run_id("no")).await.unwrap_err().failure().code, FailureCode::RunUnknown);
});

on_both!(the_journal_tells_what_was_last_done_about_an_object, |world| {
    let store = world.open().await;
    let id = half_a_run(&store, &world).await;
    let about = async |object: &str| {
        let found = store.journal_about("Azure AD", object, 10).await.unwrap();
        found.into_iter().map(|(run, entry)| (run, entry.step, entry.outcome)).collect::<Vec<_>>()
    };
    assert_eq!(about("1").await, [(id.clone(), step(1), Outcome::Done)]);
    let both = about("g").await;
    assert_eq!(both.len(), 2, "also where the object stands in the middle of a step's name");
    assert!(about("remove_member").await.is_empty(), "the kind of a step is no object");
    // Not patterns
    for object in ["%", "_", "!", "!%"] {
        assert!(about(object).await.is_empty(), "{object}");
    }
    assert_eq!(store.journal_about("Azure AD", "g", 1).await.unwrap().len(), 1);
    assert!(store.journal_about("Other", "g", 10).await.unwrap().is_empty());
});

on_both!(a_journal_is_read_by_pages_and_counted_without_being_read, |world| {
    let store = world.open().await;
    let id = run_id("run-1");
    store.begin(&id, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    let outcomes = [Outcome::Done, Outcome::Failed, Outcome::AlreadyDone, Outcome::NotDone, Outcome::Done];
    for (n, outcome) in outcomes.into_iter().enumerate() {
        store.intend(&id, &step(n), StepKind::RemoveMember, &intent(n), world.now()).await.unwrap();
        let mut end = end_of(n, world.now());
        end.outcome = outcome;
        store.settle(&id, &end).await.unwrap();
    }
    store.intend(&id, &step(5), StepKind::RemoveMember, &intent(5), world.now()).await.unwrap();
    let page = async |part, from, limit| {
        let page = store.journal_page(&id, part, from, limit).await.unwrap();
        assert_eq!((page.all, page.done, page.undone), (6, 2, 2));
        page.entries.into_iter().map(|entry| entry.step).collect::<Vec<_>>()
    };
    assert_eq!(page(JournalPart::All, 0, 2).await, [step(5), step(4)], "the newest first");
    assert_eq!(page(JournalPart::All, 4, 10).await, [step(1), step(0)]);
    assert!(page(JournalPart::All, 6, 10).await.is_empty());
    assert!(page(JournalPart::All, usize::MAX, 10).await.is_empty());
    assert_eq!(page(JournalPart::Undone, 0, 1).await, [step(3)]);
    assert_eq!(page(JournalPart::Undone, 1, 10).await, [step(1)]);
    let none = store.journal_page(&run_id("no"), JournalPart::All, 0, 10).await.unwrap();
    assert_eq!((none.all, none.done, none.undone, none.entries.len()), (0, 0, 0, 0));
});

/// Keeps rows of a plan, and reads them in every way.
async fn is_read_row_by_row(store: &Store, of: &PlanOf) {
    assert_eq!(store.plan_gist(of).await.unwrap(), None);
    let row = |place: i64| PlanRow {
        place,
        key: format!("u{}", place / 2),
        held: place % 2,
        find: format!("ana {place}\n100%_sure!"),
        body: format!("[{place}]"),
    };
    // More than one transaction, and more than one statement
    let rows: Vec<PlanRow> = (0..4_321).map(row).collect();
    store.keep_plan_rows(of, "{\"steps\":1}", rows.clone()).await.unwrap();
    // Again, in the place of the first
    store.keep_plan_rows(of, "{\"steps\":2}", rows).await.unwrap();
    assert_eq!(store.plan_gist(of).await.unwrap().as_deref(), Some("{\"steps\":2}"));
    let places = async |from, until, held, find: &str, limit| {
        let wanted = PlanRowsWanted { from, until, held, find: find.into(), limit };
        let rows = store.plan_rows(of, &wanted).await.unwrap();
        rows.into_iter()
            .map(|found| {
                assert_eq!(found, row(found.place));
                found.place
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(places(10, 4_000, 0, "", 3).await, [10, 11, 12]);
    assert_eq!(places(4_319, 9_999, 0, "", 9).await, [4_319, 4_320]);
    assert_eq!(places(10, 12, 1, "", 9).await, [11], "held, and not behind the end of the section");
    assert_eq!(places(0, 9_999, 0, "ana 432", 2).await, [432, 4_320]);
    for none in ["ana_1", "ana%1", "ANA!", "100%%"] {
        assert!(places(0, 9_999, 0, none, 9).await.is_empty(), "{none} is no pattern");
    }
    assert_eq!(places(7, 9, 0, "100%_sure!", 9).await, [7, 8]);
    let keys: Vec<String> = (0..700).map(|n| format!("u{}", n * 3)).collect();
    let found = store.plan_rows_of(of, &keys).await.unwrap();
    assert_eq!(found.len(), 1_400, "every key has two rows");
    assert!(store.plan_rows_of(of, &[]).await.unwrap().is_empty());
}

on_both!(a_plan_that_was_told_apart_is_read_row_by_row_until_it_is_stored_anew, |world| {
    let store = world.open().await;
    let id = run_id("r-told");
    store.begin(&id, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    store.phase(&id, Phase::Planned, Some("{}".into())).await.unwrap();
    let of = PlanOf::Run(id.clone());
    is_read_row_by_row(&store, &of).await;
    world.tamper("UPDATE plan_rows SET held = 0 WHERE place = 11").await;
    let wanted = PlanRowsWanted { from: 11, until: 12, limit: 1, ..PlanRowsWanted::default() };
    assert_eq!(store.plan_rows(&of, &wanted).await.unwrap_err().failure().code, FailureCode::StoreUnreadable);
    // Another plan of the same run: nothing of the old one is shown
    store.phase(&id, Phase::Planned, Some("{\"other\":1}".into())).await.unwrap();
    assert_eq!(store.plan_gist(&of).await.unwrap(), None);
    let all = PlanRowsWanted { until: 9_999, limit: 9, ..PlanRowsWanted::default() };
    assert!(store.plan_rows(&of, &all).await.unwrap().is_empty());
});

on_both!(a_preview_that_was_told_apart_is_read_row_by_row_until_there_is_a_newer_one, |world| {
    let store = world.open().await;
    store.keep_preview("Azure AD", world.now(), "{}").await.unwrap();
    let of = PlanOf::Preview("Azure AD".into());
    is_read_row_by_row(&store, &of).await;
    let other = PlanOf::Preview("Other".into());
    assert_eq!(store.plan_gist(&other).await.unwrap(), None);
    assert!(store.plan_rows_of(&other, &["u1".into()]).await.unwrap().is_empty());
    store.keep_preview("Azure AD", world.now(), "{\"n\":2}").await.unwrap();
    assert_eq!(store.plan_gist(&of).await.unwrap(), None);
    assert!(store.plan_rows_of(&of, &["u1".into()]).await.unwrap().is_empty());
});

on_both!(a_step_is_settled_once_and_only_after_its_intent, |world| {
    let store = world.open().await;
    let id = half_a_run(&store, &world).await;
    for n in [1, 3] {
        assert!(matches!(store.settle(&id, &end_of(n, world.now())).await, Err(Error::NotIntended { .. })));
    }
    // What was refused changed nothing
    assert_eq!(store.memory("Azure AD").await.unwrap().membership_count(), 1);
    assert_eq!(store.audit_list(10).await.unwrap().len(), 1);
    // Intended anew, it can be settled anew
    store.intend(&id, &step(1), StepKind::RemoveMember, &intent(1), world.now()).await.unwrap();
    store.settle(&id, &end_of(1, world.now())).await.unwrap();
    assert!(matches!(
        store.begin(&id, "Azure AD", Trigger::Manual, world.now()).await,
        Err(Error::RunExists(_))
    ));
    let unknown =
        store.intend(&run_id("no"), &step(1), StepKind::RemoveMember, &intent(1), world.now()).await;
    assert!(matches!(unknown, Err(Error::RunUnknown(_))));
});

on_both!(many_callers_share_transactions_and_each_gets_its_own_answer, |world| {
    let store = world.open().await;
    let id = run_id("run-1");
    store.begin(&id, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    let started = std::time::Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let (store, id, now) = (store.clone(), id.clone(), world.now());
        callers.spawn(async move {
            for n in (caller * 10)..(caller * 10 + 10) {
                store.intend(&id, &step(n), StepKind::RemoveMember, &intent(n), now).await.unwrap();
                store.settle(&id, &end_of(n, now)).await.unwrap();
                // One caller's mistake in a shared transaction is its own
                assert!(store.settle(&id, &end_of(n, now)).await.is_err());
            }
        });
    }
    while let Some(result) = callers.join_next().await {
        result.unwrap();
    }
    println!("{} writes in {:?}", 32 * 10 * 2, started.elapsed());
    assert_eq!(store.journal(&id).await.unwrap().len(), 320);
    assert_eq!(store.memory("Azure AD").await.unwrap().membership_count(), 320);
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { entries: 320 });
});

on_both!(
    /// no remote write without an audit entry, so neither intent nor outcome is taken.
    r_07_without_a_writable_audit_log_nothing_is_intended_or_settled,
    |world| {
        let store = world.open().await;
        let id = half_a_run(&store, &world).await;
        let before = store.journal(&id).await.unwrap();
        world.tamper("ALTER TABLE audit RENAME TO audit_away").await;
        let failure = store
            .intend(&id, &step(3), StepKind::RemoveMember, &intent(3), world.now())
            .await
            .unwrap_err()
            .failure();
        assert_eq!(failure.code, FailureCode::StoreFailed);
        assert!(store.settle(&id, &end_of(2, world.now())).await.is_err());
        assert_eq!(store.journal(&id).await.unwrap(), before);
        assert_eq!(store.memory("Azure AD").await.unwrap().membership_count(), 1);
        world.tamper("ALTER TABLE audit_away RENAME TO audit").await;
        store.settle(&id, &end_of(2, world.now())).await.unwrap();
        assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { entries: 2 });
    }
);

/// What makes a database take no entry of the audit log, or not move the end of its chain, and what mends it.
fn refusals(world: &World) -> Vec<[&'static str; 2]> {
    if world.url.is_some() {
        return vec![
            [
                "ALTER TABLE audit ADD CONSTRAINT full_up CHECK (seq < 0) NOT VALID",
                "ALTER TABLE audit DROP CONSTRAINT full_up",
            ],
            [
                "ALTER TABLE store_marker ADD CONSTRAINT stuck CHECK (audit_seq < 0) NOT VALID",
                "ALTER TABLE store_marker DROP CONSTRAINT stuck",
            ],
        ];
    }
    vec![
        [
            "CREATE TRIGGER full_up BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END",
            "DROP TRIGGER full_up",
        ],
        [
            "CREATE TRIGGER stuck BEFORE UPDATE ON store_marker BEGIN SELECT RAISE(ABORT, 'stuck'); END",
            "DROP TRIGGER stuck",
        ],
    ]
}

on_both!(
    /// the rest of the database takes everything.
    r_07_where_only_the_audit_log_takes_nothing_no_step_is_intended_that_could_be_sent,
    |world| {
        let store = world.open().await;
        let id = half_a_run(&store, &world).await;
        for (n, [break_it, mend_it]) in refusals(&world).into_iter().enumerate() {
            let before = store.journal(&id).await.unwrap();
            world.tamper(break_it).await;
            // Alone, and among others that share its transaction
            let calls = (0..8).map(|of| {
                let (store, id, now) = (store.clone(), id.clone(), world.now());
                tokio::spawn(async move {
                    store.intend(&id, &step(100 + of), StepKind::RemoveMember, &intent(100 + of), now).await
                })
            });
            for call in calls.collect::<Vec<_>>() {
                let failure = call.await.unwrap().unwrap_err().failure();
                assert_eq!(failure.code, FailureCode::StoreFailed, "{break_it}");
            }
            assert!(store.settle(&id, &end_of(2, world.now())).await.is_err(), "{break_it}");
            assert_eq!(store.journal(&id).await.unwrap(), before, "{break_it}");
            world.tamper(mend_it).await;
            let next = 200 + n;
            store.intend(&id, &step(next), StepKind::RemoveMember, &intent(next), world.now()).await.unwrap();
            store.settle(&id, &end_of(next, world.now())).await.unwrap();
        }
        assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { entries: 3 });
    }
);

on_both!(history_tells_what_guards_look_at, |world| {
    let store = world.open().await;
    let id = half_a_run(&store, &world).await;
    let history = store.history("Azure AD", world.now()).await.unwrap();
    assert_eq!((history.converged_before, history.last_24h.get(StepKind::RemoveMember)), (Before::Never, 1));
    store.end(&report(&id, RunStatus::Converged, world.now()), note(0)).await.unwrap();
    let later = world.now() + SignedDuration::from_hours(25);
    let history = store.history("Azure AD", later).await.unwrap();
    assert_eq!((history.converged_before, history.last_24h.get(StepKind::RemoveMember)), (Before::Once, 0));
    assert_eq!(store.history("Other", world.now()).await.unwrap().last_24h, PerKind::default());
});

on_both!(the_audit_log_is_listed_by_moment_and_object_and_read_in_parts, |world| {
    let store = world.open().await;
    let run = run_id("r1");
    store.begin(&run, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    let at = |n: usize| world.now() + SignedDuration::from_hours(i64::try_from(n).unwrap());
    for n in 0..12 {
        store.intend(&run, &step(n), StepKind::RemoveMember, &intent(n), at(n)).await.unwrap();
        store.settle(&run, &end_of(n, at(n))).await.unwrap();
    }
    let objects = |entries: Vec<entrain_store::AuditEntry>| -> Vec<String> {
        entries.into_iter().map(|entry| entry.object).collect()
    };
    let late = entrain_store::AuditFilter { since: Some(at(10)), ..Default::default() };
    assert_eq!(objects(store.audit_select(&late, 100).await.unwrap()), ["a10", "a11"]);
    let about = |text: &str| entrain_store::AuditFilter { object: Some(text.into()), ..Default::default() };
    assert_eq!(objects(store.audit_select(&about("a1"), 100).await.unwrap()), ["a1", "a10", "a11"]);
    assert_eq!(objects(store.audit_select(&about("a1"), 2).await.unwrap()), ["a10", "a11"]);
    assert_eq!(objects(store.audit_select(&about("A1"), 2).await.unwrap()), ["a10", "a11"]);
    let all = store.audit_list(100).await.unwrap();
    let one = &all[3];
    let filter = entrain_store::AuditFilter {
        until: Some(one.at),
        actor: Some(one.actor.to_uppercase()),
        action: Some(one.action.clone()),
        object: Some(one.object.clone()),
        before: Some(one.seq + 1),
        ..Default::default()
    };
    assert!(store.audit_select(&filter, 100).await.unwrap().contains(one));
    let others = [
        entrain_store::AuditFilter { until: Some(one.at - SignedDuration::from_millis(1)), ..filter.clone() },
        entrain_store::AuditFilter { actor: Some("nobody".into()), ..filter.clone() },
        entrain_store::AuditFilter { action: Some("nothing".into()), ..filter.clone() },
        entrain_store::AuditFilter { before: Some(one.seq), ..filter },
    ];
    for other in others {
        assert!(!store.audit_select(&other, 100).await.unwrap().contains(one), "{other:?}");
    }
    for nothing in ["%", "_1", "a!", "'; --"] {
        assert!(store.audit_select(&about(nothing), 100).await.unwrap().is_empty(), "{nothing}");
    }
    let (mut after, mut read) = (0, Vec::new());
    loop {
        let part = store.audit_after(after, 5).await.unwrap();
        let Some(last) = part.last() else { break };
        after = last.seq;
        read.extend(part);
    }
    assert_eq!(read, store.audit_list(100).await.unwrap());
});

on_both!(a_changed_a_missing_and_a_cut_off_audit_entry_are_named, |world| {
    let store = world.open().await;
    let id = run_id("run-1");
    store.begin(&id, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    for n in 1..=5 {
        store.intend(&id, &step(n), StepKind::RemoveMember, &intent(n), world.now()).await.unwrap();
        store.settle(&id, &end_of(n, world.now())).await.unwrap();
    }
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { entries: 5 });
    let broken = |verdict| match verdict {
        AuditVerdict::Broken { seq, .. } => seq,
        AuditVerdict::Sound { .. } => 0,
    };
    world.tamper("DELETE FROM audit WHERE seq = 5").await;
    assert_eq!(broken(store.audit_verify().await.unwrap()), 5);
    world.tamper("UPDATE audit SET detail = 'stayed' WHERE seq = 3").await;
    assert_eq!(broken(store.audit_verify().await.unwrap()), 3);
    world.tamper("DELETE FROM audit WHERE seq = 2").await;
    assert_eq!(broken(store.audit_verify().await.unwrap()), 2);
});

on_both!(what_is_ticked_in_a_plan_outlasts_a_restart_and_is_one_persons, |world| {
    let store = world.open().await;
    let id = run_id("r-ticks");
    store.begin(&id, "Azure AD", Trigger::Manual, world.now()).await.unwrap();
    assert_eq!(store.ticks(&id, "ana").await.unwrap(), None);
    store.keep_ticks(&id, "ana", Some("{\"n\":1}")).await.unwrap();
    store.keep_ticks(&id, "ana", Some("{\"n\":2}")).await.unwrap();
    store.keep_ticks(&id, "ben", Some("{\"n\":3}")).await.unwrap();
    drop(store);
    let store = world.open().await;
    assert_eq!(store.ticks(&id, "ana").await.unwrap().as_deref(), Some("{\"n\":2}"));
    store.keep_ticks(&id, "ana", None).await.unwrap();
    assert_eq!(store.ticks(&id, "ana").await.unwrap(), None);
    assert_eq!(store.ticks(&id, "ben").await.unwrap().as_deref(), Some("{\"n\":3}"));
    world.tamper("UPDATE ticks SET body = '{}'").await;
    assert_eq!(store.ticks(&id, "ben").await.unwrap_err().failure().code, FailureCode::StoreUnreadable);
});
