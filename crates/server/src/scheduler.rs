//! Starts what is due: runs where a person has switched the connection to *apply*, previews elsewhere. When something
//! is due is computed afresh from what is stored, every few seconds, so that new documents and a clock that jumps make
//! no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entrain_domain::run::Trigger;
use entrain_domain::service::{Mode, Turn};
use entrain_domain::{Failure, FailureCode};
use entrain_engine::Freshness;
use entrain_engine::schedule::{Due, Health};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::runs::{Runs, Started};
use crate::service::{Connection, Order, Service, What};

/// Time between looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Time between tries to take up the run of a server that is gone.
const TRY_EVERY: Duration = Duration::from_mins(1);

/// The schedule of all connections.
pub struct Scheduler {
    service: Arc<dyn Service>,
    runs: Arc<Runs>,
    /// Connections whose scheduled work has not ended.
    busy: Arc<Mutex<BTreeSet<String>>>,
    /// When a run of each connection was last taken up.
    tried: Mutex<BTreeMap<String, Instant>>,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler")
    }
}

impl Scheduler {
    /// The schedule of what this service knows.
    pub fn new(service: Arc<dyn Service>, runs: Arc<Runs>) -> Self {
        Self { service, runs, busy: Arc::default(), tried: Mutex::default() }
    }

    /// Starts what is due until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(failure) = self.look().await {
                tracing::error!(code = %failure.code, "the schedule cannot be read: {failure}");
            }
            if let Err(failure) = self.look_after_runs().await {
                tracing::error!(code = %failure.code, "runs under way cannot be looked after: {failure}");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Starts what is due now.
    async fn look(&self) -> Result<(), Failure> {
        let now = self.service.now();
        for connection in self.service.connections().await? {
            let Some(schedule) = &connection.schedule else { continue };
            metrics::quarantined(&connection.name, connection.past.health == Health::Quarantined);
            let due = schedule.due(&connection.name, &connection.past, now) == Due::Now;
            if due && self.take(&connection.name) {
                let turn = self
                    .service
                    .fired(&connection.name, connection.past.fired_at, now)
                    .await
                    .inspect_err(|_| self.give(&connection.name))?;
                match turn {
                    Turn::Ours => self.start(connection, now),
                    Turn::Anothers => self.give(&connection.name),
                }
            }
        }
        Ok(())
    }

    /// Takes up runs whose server was killed or is not heard of, where the service may write by itself; and stops those
    /// that another server was asked to stop.
    async fn look_after_runs(&self) -> Result<(), Failure> {
        for run in self.runs.under_way() {
            if self.service.asked_to_stop(&run).await? {
                self.runs.stop(&run);
            }
        }
        let orphans = self.service.orphans().await?;
        if orphans.is_empty() {
            return Ok(());
        }
        let now = self.service.now();
        for connection in self.service.connections().await? {
            let left = orphans.contains(&connection.name) && connection.mode == Mode::Apply;
            if left && self.may_try(&connection.name) && self.take(&connection.name) {
                tracing::warn!(connection = connection.name, "taking up a run whose server is gone");
                self.start(connection, now);
            }
        }
        Ok(())
    }

    /// A run that cannot be taken up is not tried again at each look.
    fn may_try(&self, connection: &str) -> bool {
        let (mut tried, now) = (self.tried.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let may = tried.get(connection).is_none_or(|at| now.duration_since(*at) >= TRY_EVERY);
        if may {
            tried.insert(connection.to_owned(), now);
        }
        may
    }

    fn take(&self, connection: &str) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.to_owned())
    }

    fn give(&self, connection: &str) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(connection);
    }

    fn start(&self, connection: Connection, now: Timestamp) {
        let taken = Taken { busy: self.busy.clone(), connection: connection.name.clone() };
        let (service, runs) = (self.service.clone(), self.runs.clone());
        self.runs.spawn(async move {
            let result = match connection.mode {
                Mode::Apply => apply(&runs, &connection.name).await,
                // It has written nothing: it may be dropped anywhere
                Mode::Preview => tokio::select! {
                    () = runs.stopping() => Ok(()),
                    result = preview(service.as_ref(), &connection.name, now) => result,
                },
            };
            if let Err(failure) = result {
                metrics::schedule_failed(&connection.name, failure.code);
                if matches!(failure.code, FailureCode::ConnectionBusy | FailureCode::ConnectionParked) {
                    tracing::info!(connection = connection.name, "left out a scheduled run: {failure}");
                } else {
                    tracing::warn!(connection = connection.name, code = %failure.code, "a scheduled run could not begin: {failure}");
                }
            }
            drop(taken);
        });
    }
}

/// A connection whose scheduled work is under way.
struct Taken {
    busy: Arc<Mutex<BTreeSet<String>>>,
    connection: String,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.connection);
    }
}

async fn apply(runs: &Arc<Runs>, connection: &str) -> Result<(), Failure> {
    let order = Order {
        connection: connection.to_owned(),
        what: What::Sync,
        trigger: Trigger::Schedule,
        by: "entrain".into(),
        freshness: Freshness::Incremental,
    };
    if let Started::Began(_, end) = runs.start(order).await? {
        // How it ended is told by the run itself
        let _ = end.await;
    }
    Ok(())
}

/// Plans, writes nothing, and keeps the plan for people to look at; also when planning failed.
pub(crate) async fn preview(service: &dyn Service, connection: &str, now: Timestamp) -> Result<(), Failure> {
    let planned = service.plan(connection, Freshness::Incremental).await;
    metrics::preview_ended(connection, planned.is_ok());
    let kept = crate::previews::document(connection, now, &planned);
    service.keep_preview(connection, now, kept).await?;
    planned.map(drop)
}
