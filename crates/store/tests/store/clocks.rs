//! what is stored keeps its order when the clock is set, forward and back.

use entrain_domain::model::RunId;
use entrain_domain::run::{AuditNote, RunStatus, Trigger};
use entrain_store::{AuditVerdict, Store};
use jiff::{SignedDuration, Timestamp};

use crate::runs::{report, run_id};
use crate::support::on_both;

const NAME: &str = "Azure AD";

async fn run(store: &Store, id: &RunId, status: RunStatus, at: Timestamp) {
    store.begin(id, NAME, Trigger::Manual, at).await.unwrap();
    let note = AuditNote {
        actor: "entrain".into(),
        action: "run_ended".into(),
        object: id.to_string(),
        detail: status.as_str().into(),
    };
    store.end(&report(id, status, at), note).await.unwrap();
}

on_both!(
    r_12_audit_and_ends_of_runs_are_in_the_order_in_which_they_were_stored_not_by_their_times,
    |world| {
        let store = world.open().await;
        let start = world.now();
        let jumps = [0, 1, -1, 24 * 3652, -24 * 3652, 2, 0].map(SignedDuration::from_hours);
        let mut ids = Vec::new();
        for (n, jump) in jumps.into_iter().enumerate() {
            // Ids that do not grow, as those made from a clock would not
            let id = run_id(&format!("run-{}", 9 - n));
            world.set(start + jump);
            run(&store, &id, RunStatus::Partial, start + jump).await;
            let last = store.last_ended(NAME).await.unwrap().unwrap();
            assert_eq!(last.id, id, "the clock moved by {jump}");
            ids.push(id.to_string());
        }
        assert!(store.last_ended("another").await.unwrap().is_none());
        let mut entries = store.audit_list(100).await.unwrap();
        entries.sort_by_key(|entry| entry.seq);
        let told: Vec<String> = entries.iter().map(|entry| entry.object.clone()).collect();
        assert_eq!(told, ids);
        let times: Vec<Timestamp> = entries.iter().map(|entry| entry.at).collect();
        assert!(!times.is_sorted(), "the times are those of the clock, as it was: {times:?}");
        assert!(matches!(store.audit_verify().await.unwrap(), AuditVerdict::Sound { entries: 7 }));
    }
);
