//! Does by itself what notifications ask for: stores what was heard, keeps subscriptions up, starts runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use entrain_domain::run::Trigger;
use entrain_domain::service::Mode;
use entrain_domain::{Failure, FailureCode};
use entrain_engine::Freshness;
use entrain_engine::schedule::Due;
use tokio_util::sync::CancellationToken;

use super::{Hearing, Wanted};
use crate::metrics;
use crate::runs::{Runs, Started};
use crate::service::{Connection, Order, Service, What};

/// Time between looks at what was heard.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time between looks at who wants notifications.
const KNOW_EVERY: Duration = Duration::from_secs(3);
/// Time between looks at subscriptions.
const KEEP_UP_EVERY: Duration = Duration::from_secs(2);
/// Time between looks at how notifications stand.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// Time between tries to begin a run while another is under way.
const TRY_EVERY: Duration = Duration::from_secs(2);

/// Keeps notifications of all connections.
pub struct Keeper {
    service: Arc<dyn Service>,
    runs: Arc<Runs>,
    hearing: Arc<Hearing>,
    /// Connections whose run is under way here.
    busy: Arc<Mutex<BTreeSet<String>>>,
    /// Connections that were found busy, and when.
    tried: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// The keeper of what this service knows.
    pub fn new(service: Arc<dyn Service>, runs: Arc<Runs>, hearing: Arc<Hearing>) -> Self {
        Self { service, runs, hearing, busy: Arc::default(), tried: Arc::default() }
    }

    /// Keeps notifications until it is told to stop; stores what was heard last.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.listen() => {}
            () = self.keep_up() => {}
            () = self.tell() => {}
        }
        self.hearing.store().await;
    }

    /// Stores what was heard and starts what is due.
    async fn listen(&self) {
        let mut known_at: Option<Instant> = None;
        loop {
            if known_at.is_none_or(|at| at.elapsed() >= KNOW_EVERY) {
                self.look_up().await;
                known_at = Some(Instant::now());
            }
            self.hearing.store().await;
            if self.hearing.anybody()
                && let Err(failure) = self.start_due().await
            {
                super::passing("runs that notifications ask for cannot be started", &failure);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look_up(&self) {
        if let Err(failure) = self.hearing.look_up().await {
            super::passing("it cannot be looked up who wants change notifications", &failure);
        }
    }

    /// Sees to the subscriptions. It takes its time: the directory calls back before it answers.
    async fn keep_up(&self) {
        loop {
            match self.service.keep_up().await {
                // What was made just now is known before the first notification comes
                Ok(()) => self.look_up().await,
                Err(failure) => {
                    super::passing("subscriptions to change notifications cannot be kept up", &failure);
                }
            }
            tokio::time::sleep(KEEP_UP_EVERY).await;
        }
    }

    /// Says how notifications stand.
    async fn tell(&self) {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            match self.service.connections().await {
                Ok(connections) => {
                    for connection in connections {
                        self.tell_of(&connection.name, &mut told).await;
                    }
                }
                Err(failure) => super::passing("it cannot be said how change notifications stand", &failure),
            }
            tokio::time::sleep(TELL_EVERY).await;
        }
    }

    async fn tell_of(&self, name: &str, told: &mut BTreeMap<String, usize>) {
        let shown = match self.service.notifications(name).await {
            Ok(shown) => shown,
            Err(failure) => {
                return super::passing("it cannot be said how change notifications stand", &failure);
            }
        };
        metrics::freshness(name, shown.freshness.0);
        if shown.wanted == Wanted::No {
            return;
        }
        let troubles = &shown.standing.troubles;
        metrics::notification_troubles(name, troubles.len());
        // Said when it becomes so; alerts repeat it
        if told.insert(name.to_owned(), troubles.len()).unwrap_or_default() < troubles.len() {
            super::log(name, troubles);
        }
    }

    async fn start_due(&self) -> Result<(), Failure> {
        let due = self.service.due().await?;
        if due.is_empty() {
            return Ok(());
        }
        let now = self.service.now();
        for connection in self.service.connections().await? {
            let name = &connection.name;
            let Some(schedule) = connection.schedule.as_ref().filter(|_| due.contains(name)) else {
                continue;
            };
            // A run under way goes first, and then there is one more
            let under_way = self.runs.of(name).is_some() || locked(&self.busy).contains(name);
            let lately = locked(&self.tried).get(name).is_some_and(|at| at.elapsed() < TRY_EVERY);
            if under_way || lately || schedule.admits(&connection.past, now) != Due::Now {
                continue;
            }
            if let Some(hints) = self.service.take(name).await? {
                tracing::info!(connection = name, hints = hints.count, "change notifications start a run");
                self.start(connection, hints);
            }
        }
        Ok(())
    }

    fn start(&self, connection: Connection, hints: entrain_engine::notifications::hints::Waiting) {
        let (service, runs) = (self.service.clone(), self.runs.clone());
        let (busy, tried) = (self.busy.clone(), self.tried.clone());
        locked(&busy).insert(connection.name.clone());
        self.runs.spawn(async move {
            let name = connection.name;
            let began = match connection.mode {
                Mode::Apply => apply(&runs, &name).await,
                Mode::Preview => tokio::select! {
                    () = runs.stopping() => Ok(()),
                    result = crate::scheduler::preview(service.as_ref(), &name, service.now()) => result,
                },
            };
            if let Err(failure) = began {
                locked(&tried).insert(name.clone(), Instant::now());
                if matches!(failure.code, FailureCode::ConnectionBusy | FailureCode::Stopped) {
                    if let Err(failure) = service.give_back(&name, hints).await {
                        super::passing("hints cannot be given back", &failure);
                    }
                } else {
                    // The schedule will find what changed
                    metrics::schedule_failed(&name, failure.code);
                    tracing::warn!(connection = name, code = %failure.code, "a run that notifications asked for could not begin: {failure}");
                }
            }
            locked(&busy).remove(&name);
        });
    }
}

async fn apply(runs: &Arc<Runs>, connection: &str) -> Result<(), Failure> {
    let order = Order {
        connection: connection.to_owned(),
        what: What::Sync,
        trigger: Trigger::Notification,
        by: "entrain".into(),
        freshness: Freshness::Incremental,
    };
    if let Started::Began(_, end) = runs.start(order).await? {
        // How it ended is told by the run itself
        let _ = end.await;
    }
    Ok(())
}
