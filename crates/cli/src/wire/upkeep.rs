//! What the settings of the console ask, from the store to the service.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::Clock as _;
use entrain_server::service::Answer;
use entrain_server::upkeep::{
    AlertPlace, BackupParts, Database, DatabaseKind, Heard, MadeBackup, Premises, SignIns, Upkeep,
};
use entrain_store::{Presence, Store};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::service::Wired;
use super::{SystemClock, alerts};

/// Parts of a backup that wait for whoever takes them.
const AHEAD: usize = 2;

/// Who was there at the last look.
#[derive(Debug, Clone, Default)]
struct Seen {
    ourselves: Option<String>,
    /// With the moment of their last beat.
    others: Vec<(String, Instant)>,
}

/// This server, and what it knows of those beside it.
#[derive(Debug, Clone)]
pub(crate) struct House {
    started_at: Timestamp,
    seen: Arc<Mutex<Seen>>,
}

impl House {
    pub(super) fn new() -> Self {
        Self { started_at: SystemClock.now(), seen: Arc::default() }
    }

    /// Notes who was there at the last look.
    pub(crate) fn looked(&self, presence: &Presence) {
        let mut others = presence.others();
        others.sort();
        let seen = Seen { ourselves: Some(presence.id().to_owned()), others };
        *self.seen.lock().expect("nothing panics while it holds the lock") = seen;
    }

    fn servers(&self) -> Vec<(String, Heard)> {
        let seen = self.seen.lock().expect("nothing panics while it holds the lock").clone();
        let ago = |since: Instant| {
            let time: Duration = since.elapsed();
            Heard::Ago(SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX))
        };
        let ourselves = (seen.ourselves.unwrap_or_else(super::holder), Heard::Ourselves);
        std::iter::once(ourselves)
            .chain(seen.others.into_iter().map(|(id, since)| (id, ago(since))))
            .collect()
    }
}

fn broken() -> Failure {
    let what = "the backup ended in a way that it should not";
    Failure::new(
        FailureCode::Internal,
        FailureClass::Local,
        what,
        "look at the log of the service, and report it",
    )
}

/// Gives the parts on; what goes wrong is the last of them.
async fn give_away(store: Store, by: String, to: mpsc::Sender<Result<Vec<u8>, Failure>>) {
    let (parts, mut made) = mpsc::channel(AHEAD);
    let here = tokio::runtime::Handle::current();
    // On a thread of its own: the compiler cannot see that what reads the rows may change threads
    let making = tokio::task::spawn_blocking(move || here.block_on(store.backup_away(parts, &by)));
    while let Some(part) = made.recv().await {
        if to.send(Ok(part)).await.is_err() {
            return;
        }
    }
    let failure = match making.await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.failure(),
        Err(_) => broken(),
    };
    // Whoever took it may be gone
    let _ = to.send(Err(failure)).await;
}

impl Upkeep for Wired {
    fn sign_ins(&self) -> Answer<'_, SignIns> {
        Box::pin(async {
            let found = self.store.last_sign_ins().await.map_err(|e| e.failure())?;
            Ok(SignIns { at: found.at, since: found.since })
        })
    }
    fn alert_places<'a>(&'a self, connection: &'a str) -> Answer<'a, Vec<AlertPlace>> {
        Box::pin(alerts::places(&self.store, connection))
    }
    fn last_backup(&self) -> Answer<'_, Option<MadeBackup>> {
        Box::pin(async {
            let found = self.store.last_noted("backup_made").await.map_err(|e| e.failure())?;
            Ok(found.map(|entry| MadeBackup {
                at: entry.at,
                by: entry.actor,
                to: entry.object,
                detail: entry.detail,
            }))
        })
    }
    fn backup<'a>(&'a self, by: &'a str) -> Answer<'a, BackupParts> {
        Box::pin(async move {
            let (to, parts) = mpsc::channel(AHEAD);
            tokio::spawn(give_away(self.store.clone(), by.to_owned(), to));
            Ok(parts)
        })
    }
    fn premises(&self) -> Answer<'_, Premises> {
        Box::pin(async {
            let facts = self.store.facts().await.map_err(|e| e.failure())?;
            let kind = match facts.kind {
                entrain_store::DatabaseKind::Sqlite => DatabaseKind::Sqlite,
                entrain_store::DatabaseKind::Postgres => DatabaseKind::Postgres,
            };
            let database =
                Database { kind, version: facts.version, tables: facts.tables, bytes: facts.bytes };
            Ok(Premises { started_at: self.house.started_at, database, servers: self.house.servers() })
        })
    }
}
