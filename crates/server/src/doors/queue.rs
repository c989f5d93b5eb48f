//! Syncs that go on behind an answer that has left already. So many wait at most; what comes beyond that is left to the
//! schedule, which brings everybody in step anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use entrain_engine::ports::Unwatched;
use tokio::sync::Semaphore;

use super::behind::{Arrival, Behind, Ending, Synced};
use crate::metrics;
use crate::runs::Runs;

/// Syncs that wait or are under way at most.
const MOST: usize = 2_000;
/// Syncs under way at a time.
const AT_ONCE: usize = 64;

/// The queue of a process.
pub(super) struct Queue {
    behind: Arc<dyn Behind>,
    runs: Arc<Runs>,
    there: Arc<AtomicUsize>,
    turns: Arc<Semaphore>,
}

/// Takes one place less when it goes.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Queue {
    pub(super) fn new(behind: Arc<dyn Behind>, runs: Arc<Runs>) -> Self {
        Self { behind, runs, there: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Lets a sync go on behind the answer.
    pub(super) fn add(&self, connection: &str, door: &'static str, arrival: Arrival) {
        let at = Instant::now();
        let place = Place(self.there.clone());
        if self.there.fetch_add(1, Ordering::AcqRel) >= MOST {
            tracing::warn!(connection, "too many sign-ins at once; this one is left to the schedule");
            metrics::door_ended(connection, door, "crowded");
            return;
        }
        let (behind, runs, turns) = (self.behind.clone(), self.runs.clone(), self.turns.clone());
        let connection = connection.to_owned();
        self.runs.spawn(async move {
            let _place = place;
            let turn = tokio::select! {
                biased;
                () = runs.stopping() => return,
                turn = turns.acquire() => turn,
            };
            let Ok(_turn) = turn else { return };
            let result = behind.sync(&connection, arrival, Arc::new(Unwatched)).await;
            metrics::door_synced(&connection, door, Synced::word(&result), at.elapsed());
            match result {
                Ok(synced) => match synced.ending {
                    Ending::Held { why } => tracing::warn!(connection, "a sign-in waits for a person: {why}"),
                    Ending::Later { why } => {
                        tracing::warn!(connection, "a sign-in is left to the schedule: {why}");
                    }
                    Ending::Ready { .. } | Ending::Nothing => tracing::debug!(connection, "a sign-in is in step"),
                },
                Err(failure) => {
                    tracing::warn!(connection, code = %failure.code, "a sign-in could not be synced: {failure}");
                }
            }
        });
    }
}
