//! Claims on PostgreSQL, where several servers share one database (quality.md R-09). A claim is an advisory lock of a
//! session: the server frees it when the session's client is gone. A client that is frozen, or cut off, keeps its
//! session; so a holder also counts up a beat, and whoever wants the claim and has seen the beat stand still for
//! [`LEASE`] ends that session. Nobody compares clocks: each looks at its own, and at whether the beat moves.
//!
//! A holder that wakes up after that must not go on. Each claim has a number that only grows, its *fence*. What a run
//! writes is written in a transaction that looks whether its fence still stands, and a step is sent only by a holder
//! that has just made sure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entrain_domain::model::RunId;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::pool::{Pool, Tx};

/// For how long the beat of a claim must stand still before another takes it.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// Time between beats.
const BEAT: Duration = Duration::from_secs(3);
/// A holder trusts its claim for this long after a beat that was answered, and asks the database after that. Less than
/// [`LEASE`]: whoever takes over has watched for that long since the beat.
const TRUST: Duration = Duration::from_secs(10);

const COUNT: &str = "UPDATE claims SET beat = beat + 1 WHERE connection = $1 AND fence = $2";
const FENCE: &str = "SELECT fence FROM claims WHERE connection = $1";
const FENCE_HELD: &str = "SELECT fence FROM claims WHERE connection = $1 FOR SHARE";
/// Ends the session that holds an advisory lock, and no other: a process number may have been used again.
const END_SESSION: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
    AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND ((classid::bigint << 32) | objid::bigint) = $1 AND pid <> pg_backend_pid()";

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a holder knows of its own claim.
#[derive(Debug)]
pub(crate) struct Fence {
    connection: String,
    number: i64,
    standing: Mutex<Standing>,
}

#[derive(Debug, Clone, Copy)]
enum Standing {
    /// Answered by the database until then.
    Sure(Instant),
    /// Somebody else has it, or may have it.
    Lost,
}

impl Fence {
    fn new(connection: &str, number: i64, asked_at: Instant) -> Arc<Self> {
        let standing = Mutex::new(Standing::Sure(asked_at + TRUST));
        Arc::new(Self { connection: connection.to_owned(), number, standing })
    }

    fn beaten(&self, asked_at: Instant) {
        *locked(&self.standing) = Standing::Sure(asked_at + TRUST);
    }

    fn lose(&self) {
        *locked(&self.standing) = Standing::Lost;
    }

    fn refused(&self) -> Error {
        Error::Fenced { connection: self.connection.clone() }
    }

    /// Makes sure that the claim is still this one's, right before something is sent that cannot be called back.
    pub(crate) async fn assure(&self, pool: &Pool) -> Result<()> {
        let standing = *locked(&self.standing);
        match standing {
            Standing::Lost => Err(self.refused()),
            Standing::Sure(until) if Instant::now() < until => Ok(()),
            Standing::Sure(_) => {
                let Pool::Postgres(pool) = pool else { return Ok(()) };
                let stands: Option<i64> = sqlx::query_scalar(FENCE)
                    .bind(&self.connection)
                    .fetch_optional(pool)
                    .await
                    .map_err(Error::database("making sure of a claim"))?;
                if stands == Some(self.number) {
                    return Ok(());
                }
                self.lose();
                Err(self.refused())
            }
        }
    }

    /// Looks, within a transaction, whether the claim stands, and keeps others from taking it until the commit.
    pub(crate) async fn hold(&self, tx: &mut Tx) -> Result<()> {
        let Tx::Postgres(tx) = tx else { return Ok(()) };
        if matches!(*locked(&self.standing), Standing::Lost) {
            return Err(self.refused());
        }
        let stands: Option<i64> = sqlx::query_scalar(FENCE_HELD)
            .bind(&self.connection)
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::database("looking at a claim"))?;
        if stands == Some(self.number) {
            return Ok(());
        }
        self.lose();
        Err(self.refused())
    }
}

/// The claims of this process, and what it has seen of others'.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    claims: Mutex<HashMap<String, Arc<Fence>>>,
    runs: Mutex<HashMap<RunId, Arc<Fence>>>,
    watched: Mutex<HashMap<String, Seen>>,
}

/// The beat of another's claim, and since when it has not moved.
#[derive(Debug, Clone, Copy)]
struct Seen {
    fence: i64,
    beat: i64,
    since: Instant,
}

impl Fences {
    /// A run of this connection goes on under the claim that this process has, if it has one.
    pub(crate) fn bind(&self, run: &RunId, connection: &str) {
        if let Some(fence) = locked(&self.claims).get(connection) {
            locked(&self.runs).insert(run.clone(), fence.clone());
        }
    }

    /// The claim that a run goes on under.
    pub(crate) fn of_run(&self, run: &RunId) -> Option<Arc<Fence>> {
        locked(&self.runs).get(run).cloned()
    }

    /// The claim of a connection.
    pub(crate) fn of_connection(&self, connection: &str) -> Option<Arc<Fence>> {
        locked(&self.claims).get(connection).cloned()
    }

    /// Whether another's beat has stood still for so long that its claim may be taken.
    pub(crate) fn stands_still(&self, connection: &str, fence: i64, beat: i64, now: Instant) -> bool {
        let mut watched = locked(&self.watched);
        let fresh = Seen { fence, beat, since: now };
        let seen = watched.entry(connection.to_owned()).or_insert(fresh);
        if (seen.fence, seen.beat) != (fence, beat) {
            *seen = fresh;
        }
        now.duration_since(seen.since) >= LEASE
    }

    fn forget(&self, fence: &Arc<Fence>) {
        let mut claims = locked(&self.claims);
        if claims.get(&fence.connection).is_some_and(|held| Arc::ptr_eq(held, fence)) {
            claims.remove(&fence.connection);
        }
        locked(&self.runs).retain(|_, held| !Arc::ptr_eq(held, fence));
    }
}

/// A claim that is held: its session beats until it is dropped.
pub(crate) struct Lease {
    fence: Arc<Fence>,
    fences: Arc<Fences>,
    release: Option<oneshot::Sender<()>>,
    beating: JoinHandle<Result<()>>,
}

impl Lease {
    /// Keeps a session, which has just taken the lock of this connection under this number, alive.
    pub(crate) fn hold(
        session: PgConnection,
        connection: &str,
        number: i64,
        asked_at: Instant,
        fences: &Arc<Fences>,
    ) -> Self {
        let fence = Fence::new(connection, number, asked_at);
        locked(&fences.claims).insert(connection.to_owned(), fence.clone());
        locked(&fences.watched).remove(connection);
        let (release, released) = oneshot::channel();
        let beating = tokio::spawn(beat(session, fence.clone(), released));
        Self { fence, fences: fences.clone(), release: Some(release), beating }
    }

    /// Gives the claim back, and returns when it is free.
    pub(crate) async fn release(mut self) -> Result<()> {
        self.fences.forget(&self.fence);
        if let Some(release) = self.release.take() {
            // Nobody listens any more when the session is gone already
            let _ = release.send(());
        }
        (&mut self.beating).await.unwrap_or(Ok(()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The server ends the session, and frees its lock, when it sees the connection closed
        self.fences.forget(&self.fence);
        if self.release.is_some() {
            self.beating.abort();
        }
    }
}

async fn beat(
    mut session: PgConnection,
    fence: Arc<Fence>,
    mut released: oneshot::Receiver<()>,
) -> Result<()> {
    loop {
        tokio::select! {
            _ = &mut released => {
                return session.close().await.map_err(Error::database("freeing the connection"));
            }
            () = tokio::time::sleep(BEAT) => {}
        }
        let asked_at = Instant::now();
        let counted = sqlx::query(COUNT).bind(&fence.connection).bind(fence.number).execute(&mut session);
        // Without an answer the session may be gone, and its lock with it
        let stands = matches!(
            tokio::time::timeout(TRUST, counted).await,
            Ok(Ok(done)) if done.rows_affected() == 1
        );
        if !stands {
            fence.lose();
            tracing::error!(
                connection = fence.connection,
                "the claim of the connection is lost: another server goes on with its run"
            );
            return Ok(());
        }
        fence.beaten(asked_at);
    }
}

/// Ends the session that holds this lock, whose client has not been heard of for [`LEASE`].
pub(crate) async fn take_from_silent_holder(session: &mut PgConnection, lock: i64) -> Result<()> {
    let ended: Vec<bool> = sqlx::query_scalar(END_SESSION)
        .bind(lock)
        .fetch_all(session)
        .await
        .map_err(Error::database("taking a claim over"))?;
    tracing::warn!(sessions = ended.len(), "took the claim of a connection from a holder that is silent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_that_moves_is_never_taken_for_still() {
        let (fences, start) = (Fences::default(), Instant::now());
        for n in 0..100 {
            let now = start + BEAT * n;
            assert!(!fences.stands_still("a", 1, i64::from(n), now), "after {n} beats");
        }
    }

    #[test]
    fn a_beat_is_still_only_after_the_whole_lease_and_a_new_holder_begins_anew() {
        let (fences, start) = (Fences::default(), Instant::now());
        assert!(!fences.stands_still("a", 1, 7, start));
        assert!(!fences.stands_still(
            "a",
            1,
            7,
            (start + LEASE).checked_sub(Duration::from_millis(1)).unwrap()
        ));
        assert!(fences.stands_still("a", 1, 7, start + LEASE));
        assert!(!fences.stands_still("a", 2, 7, start + LEASE));
        assert!(!fences.stands_still("b", 1, 7, start + LEASE));
    }

    /// However the beats of a holder and the looks of another fall, a holder that still trusts its claim has it.
    #[test]
    fn whoever_trusts_its_claim_has_it() {
        const { assert!(TRUST.as_millis() < LEASE.as_millis()) };
        let start = Instant::now();
        for (beat_at, look_at) in (0..50).flat_map(|b| (0..50).map(move |l| (b * 100, l * 300))) {
            let fence = Fence::new("a", 1, start);
            let beaten = start + Duration::from_millis(beat_at);
            fence.beaten(beaten);
            // The first look after the beat sees it; the claim is taken a lease later at the earliest
            let seen = beaten + Duration::from_millis(look_at);
            let Standing::Sure(until) = *locked(&fence.standing) else { panic!("lost") };
            assert!(until < seen + LEASE, "beat at {beat_at} ms, looked {look_at} ms later");
        }
    }
}
