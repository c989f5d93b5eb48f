//! Runs under way in this process: started in a task of their own, so that nobody's closed connection ends them; seen
//! while they run; stopped at the next step boundary.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use entrain_domain::model::RunId;
use entrain_domain::plan::StepKind;
use entrain_domain::run::Phase;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::Approved;
use entrain_engine::ports::{Event, Progress, SiteQuestion, StepResult};
use serde_json::{Value, json};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::metrics;
use crate::service::{Order, Service};

/// Events of a run kept for whoever comes later.
const KEPT: usize = 500;

/// The runs of this process.
pub struct Runs {
    service: Arc<dyn Service>,
    active: Mutex<BTreeMap<RunId, Active>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runs")
    }
}

struct Active {
    connection: String,
    stop: CancellationToken,
    progress: Progressed,
    past: Vec<Value>,
    events: broadcast::Sender<Value>,
}

/// How far a run has got.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progressed {
    pub(crate) phase: Option<Phase>,
    /// Users and groups of the directory, once read.
    pub(crate) directory: Option<(usize, usize)>,
    /// Accounts and groups of the site, once read.
    pub(crate) site: Option<(usize, usize)>,
    /// What the site is being asked for one by one: answers, and questions.
    pub(crate) asked: Option<(SiteQuestion, usize, usize)>,
    /// Steps to do, and held, once planned.
    pub(crate) planned: Option<(usize, usize)>,
    pub(crate) done: usize,
    pub(crate) failed: usize,
    /// Steps that ended, by kind.
    pub(crate) kinds: BTreeMap<StepKind, usize>,
    /// What it waits for, until it goes on.
    pub(crate) waiting: Option<String>,
    pub(crate) stopping: bool,
}

impl Progressed {
    fn take(&mut self, event: &Event) {
        if !matches!(event, Event::Waiting { .. }) {
            self.waiting = None;
        }
        match event {
            Event::Began { .. } | Event::DirectoryChanged { .. } => {}
            Event::Phase(phase) => self.phase = Some(*phase),
            Event::DirectoryRead { users, groups } => self.directory = Some((*users, *groups)),
            Event::SiteRead { accounts, groups } => self.site = Some((*accounts, *groups)),
            Event::SiteAsked { about, done, of } => self.asked = Some((*about, *done, *of)),
            Event::Planned { steps, held } => self.planned = Some((*steps, *held)),
            Event::Step { kind, done, .. } => {
                *self.kinds.entry(*kind).or_default() += 1;
                match done {
                    StepResult::Done => self.done += 1,
                    StepResult::Failed => self.failed += 1,
                }
            }
            Event::Waiting { what } => self.waiting = Some(what.clone()),
        }
    }
}

/// How an order came out, or how to learn it.
pub(crate) enum Started {
    /// The run has begun.
    Began(RunId, oneshot::Receiver<Result<Approved, Failure>>),
    /// It ended without a run: another person has to approve as well.
    Ended(Approved),
}

/// What a listener gets: the events so far, and those to come.
pub(crate) struct Heard {
    pub(crate) past: Vec<Value>,
    pub(crate) events: broadcast::Receiver<Value>,
}

impl Runs {
    /// No runs yet. `stop` ends all of them at their next step boundary.
    pub fn new(service: Arc<dyn Service>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { service, active: Mutex::default(), tasks: TaskTracker::new(), stop })
    }

    fn active(&self) -> MutexGuard<'_, BTreeMap<RunId, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.active().len()
    }

    /// Those under way.
    pub(crate) fn under_way(&self) -> Vec<RunId> {
        self.active().keys().cloned().collect()
    }

    /// Waits until every task has ended; new ones are not expected any more.
    pub async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Returns when the service is told to end.
    pub(crate) async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// The run of a connection that is under way here.
    pub(crate) fn of(&self, connection: &str) -> Option<RunId> {
        self.active().iter().find(|(_, run)| run.connection == connection).map(|(id, _)| id.clone())
    }

    /// Stops a run; says whether it is under way here.
    pub(crate) fn stop(&self, run: &RunId) -> Option<()> {
        self.active().get_mut(run).map(|run| {
            run.progress.stopping = true;
            run.stop.cancel();
        })
    }

    /// How far a run that is under way here has got.
    pub(crate) fn progress(&self, run: &RunId) -> Option<Progressed> {
        self.active().get(run).map(|run| run.progress.clone())
    }

    /// Listens to a run that is under way here.
    pub(crate) fn listen(&self, run: &RunId) -> Option<Heard> {
        self.active()
            .get(run)
            .map(|active| Heard { past: active.past.clone(), events: active.events.subscribe() })
    }

    /// Does something in a task that is waited for when the service ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Starts a run and returns when it has begun, or could not.
    pub(crate) async fn start(self: &Arc<Self>, order: Order) -> Result<Started, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::new(
                FailureCode::Stopped,
                FailureClass::Local,
                "the service is being stopped",
                "try again when it is up again",
            ));
        }
        let stop = self.stop.child_token();
        let (began, beginning) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let teller = Arc::new(Teller {
            runs: self.clone(),
            connection: order.connection.clone(),
            stop: stop.clone(),
            began: Mutex::new(Some(began)),
            run: Mutex::new(None),
        });
        let (runs, trigger) = (self.clone(), order.trigger);
        let span = tracing::error_span!("order", connection = %order.connection, run = tracing::field::Empty);
        let work = async move {
            let (connection, at) = (order.connection.clone(), Instant::now());
            // Also when the run panics: nobody listens for ever
            let gone = Gone(teller.clone());
            let result = runs.service.run(order, stop, teller.clone()).await;
            metrics::run_ended(&connection, trigger, &result, at.elapsed());
            match &result {
                Ok(Approved::Run(report)) => {
                    tracing::info!(status = report.status.as_str(), "the run has ended");
                    teller.tell(json!({ "event": "ended", "status": report.status, "report": report }));
                }
                Ok(Approved::Waiting { .. }) => {}
                Err(failure) => {
                    tracing::warn!(code = %failure.code, "the run could not be done: {failure}");
                    teller.tell(json!({ "event": "ended", "status": "failed", "error": failure.message }));
                }
            }
            drop(gone);
            // Nobody may be waiting
            let _ = ended.send(result);
        };
        self.tasks.spawn(work.instrument(span));
        match beginning.await {
            Ok(run) => Ok(Started::Began(run, end)),
            Err(_) => match end.await {
                Ok(Ok(approved)) => Ok(Started::Ended(approved)),
                Ok(Err(failure)) => Err(failure),
                Err(_) => Err(Failure::new(
                    FailureCode::Internal,
                    FailureClass::Local,
                    "the run ended in a way that it should not",
                    "look at the log of the service, and report it",
                )),
            },
        }
    }
}

/// Tells those who listen how far a run has got.
struct Teller {
    runs: Arc<Runs>,
    connection: String,
    stop: CancellationToken,
    began: Mutex<Option<oneshot::Sender<RunId>>>,
    run: Mutex<Option<RunId>>,
}

impl Teller {
    fn run(&self) -> Option<RunId> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin(&self, run: RunId) {
        tracing::Span::current().record("run", run.as_str());
        tracing::info!("the run has begun");
        let active = Active {
            connection: self.connection.clone(),
            stop: self.stop.clone(),
            progress: Progressed::default(),
            past: Vec::new(),
            events: broadcast::channel(KEPT).0,
        };
        self.runs.active().insert(run.clone(), active);
        metrics::active_runs(self.runs.count());
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
        if let Some(began) = self.began.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Whoever asked may have gone
            let _ = began.send(run);
        }
    }

    fn tell(&self, event: Value) {
        let Some(run) = self.run() else { return };
        if let Some(active) = self.runs.active().get_mut(&run) {
            if active.past.len() < KEPT {
                active.past.push(event.clone());
            }
            // Nobody may be listening
            let _ = active.events.send(event);
        }
    }

    fn end(&self) {
        // Whoever waits for the beginning learns that there is none
        drop(self.began.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(run) = self.run() {
            self.runs.active().remove(&run);
            metrics::active_runs(self.runs.count());
        }
    }
}

struct Gone(Arc<Teller>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Progress for Teller {
    fn report(&self, event: Event) {
        if let Some(run) = self.run()
            && let Some(active) = self.runs.active().get_mut(&run)
        {
            active.progress.take(&event);
        }
        match event {
            Event::Began { run } => {
                self.begin(run.clone());
                self.tell(json!({ "event": "began", "run_id": run }));
            }
            Event::Phase(phase) => self.tell(json!({ "event": "phase", "phase": phase })),
            Event::DirectoryRead { users, groups } => {
                self.tell(json!({ "event": "directory_read", "users": users, "groups": groups }));
            }
            Event::DirectoryChanged { objects } => {
                self.tell(json!({ "event": "directory_changed", "objects": objects }));
            }
            Event::SiteRead { accounts, groups } => {
                self.tell(json!({ "event": "site_read", "accounts": accounts, "groups": groups }));
            }
            Event::SiteAsked { about, done, of } => {
                let about = about.word();
                self.tell(json!({ "event": "site_asked", "about": about, "done": done, "of": of }));
            }
            Event::Planned { steps, held } => {
                self.tell(json!({ "event": "planned", "steps": steps, "held": held }));
            }
            Event::Step { id, kind, done } => {
                let outcome = match done {
                    StepResult::Done => "done",
                    StepResult::Failed => "failed",
                };
                self.tell(json!({ "event": "step", "step": id, "kind": kind, "outcome": outcome }));
            }
            Event::Waiting { what } => self.tell(json!({ "event": "waiting", "what": what })),
        }
    }
}
