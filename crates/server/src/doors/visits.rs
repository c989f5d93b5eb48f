//! People who watch their sync on the access page. A visit begins when somebody has signed in; who comes again joins it,
//! also in another tab. It lives in this process alone: another server over the same database begins it anew, which is
//! sound, for a sync of somebody who is in step does nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use entrain_domain::plan::StepKind;
use entrain_domain::run::Phase;
use entrain_engine::ports::{Event, Progress};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::behind::{Arrival, Behind, Ending, Person, Synced};
use crate::metrics;
use crate::runs::Runs;
use crate::service::Service;

/// Visits remembered at once.
const MOST: usize = 5_000;
/// For how long a good end is shown, and what is under way taken for alive.
const KEPT: SignedDuration = SignedDuration::from_mins(10);
/// After so long a reload tries again what could not be done.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// After so long a reload looks again whether somebody has become entitled.
const ENTITLED_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// How far a visit has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Looking the person up on both sides.
    Looking,
    /// Making the account.
    Account,
    /// Adding to groups.
    Groups,
    /// Reading back.
    Checking,
    /// It has ended.
    Ended(Ending),
}

impl Stage {
    /// A word for the page, which changes when there is something new to see.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Looking => "looking",
            Self::Account => "account",
            Self::Groups => "groups",
            Self::Checking => "checking",
            Self::Ended(Ending::Ready { .. }) => "ready",
            Self::Ended(Ending::Nothing) => "nothing",
            Self::Ended(Ending::Held { .. }) => "held",
            Self::Ended(Ending::Later { .. }) => "later",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Looking => 0,
            Self::Account => 1,
            Self::Groups => 2,
            Self::Checking => 3,
            Self::Ended(_) => 4,
        }
    }
}

/// A visit as others see it.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) stage: watch::Receiver<Stage>,
    /// Number of the run, once there is one.
    pub(super) run: Arc<Mutex<Option<String>>>,
    ended: Arc<Mutex<Option<Timestamp>>>,
    began: Timestamp,
}

impl Visit {
    pub(super) fn run(&self) -> Option<String> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is still what there is to show.
    fn counts(&self, now: Timestamp) -> bool {
        let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.duration_since(ended.unwrap_or(self.began));
        let kept = match &*self.stage.borrow() {
            Stage::Ended(Ending::Later { .. }) => AGAIN,
            Stage::Ended(Ending::Nothing | Ending::Held { .. }) => ENTITLED_AGAIN,
            _ => KEPT,
        };
        since >= SignedDuration::ZERO && since < kept
    }
}

/// The visits of a process.
pub(super) struct Visits {
    service: Arc<dyn Service>,
    behind: Arc<dyn Behind>,
    runs: Arc<Runs>,
    known: Mutex<HashMap<(String, String), Visit>>,
}

/// Moves the stage as the sync goes on.
struct Teller {
    stage: watch::Sender<Stage>,
    run: Arc<Mutex<Option<String>>>,
}

impl Teller {
    fn to(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let further = stage.rank() > now.rank();
            if further {
                *now = stage;
            }
            further
        });
    }
}

impl Progress for Teller {
    fn report(&self, event: Event) {
        match event {
            Event::Began { run } => {
                *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.as_str().to_owned());
            }
            Event::Planned { steps, .. } if steps > 0 => self.to(Stage::Account),
            Event::Step { kind: StepKind::CreateUser, .. } => self.to(Stage::Groups),
            Event::Phase(Phase::Verifying) => self.to(Stage::Checking),
            _ => {}
        }
    }
}

impl Visits {
    pub(super) fn new(service: Arc<dyn Service>, behind: Arc<dyn Behind>, runs: Arc<Runs>) -> Self {
        Self { service, behind, runs, known: Mutex::default() }
    }

    /// The visit of a person, begun now unless there is one.
    pub(super) fn join(&self, connection: &str, person: &Person) -> Visit {
        let now = self.service.now();
        let key = (connection.to_owned(), person.id.clone());
        let mut visits = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visit) = visits.get(&key).filter(|visit| visit.counts(now)) {
            return visit.clone();
        }
        if visits.len() >= MOST {
            visits.retain(|_, visit| visit.counts(now));
            if visits.len() >= MOST {
                visits.clear();
            }
        }
        let (stage, watching) = watch::channel(Stage::Looking);
        let visit = Visit { stage: watching, run: Arc::default(), ended: Arc::default(), began: now };
        visits.insert(key, visit.clone());
        drop(visits);

        let teller = Arc::new(Teller { stage, run: visit.run.clone() });
        let (service, behind, ended) = (self.service.clone(), self.behind.clone(), visit.ended.clone());
        let connection = connection.to_owned();
        let address = person.username.clone();
        let arrival = Arrival { who: person.id.clone(), address, by: "access page" };
        self.runs.spawn(async move {
            let knocked = Instant::now();
            let result = behind.sync(&connection, arrival, teller.clone()).await;
            metrics::door_synced(&connection, "access", Synced::word(&result), knocked.elapsed());
            let ending = match result {
                Ok(synced) => {
                    if let Some(run) = &synced.run {
                        *teller.run.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(run.as_str().to_owned());
                    }
                    synced.ending
                }
                Err(failure) => Ending::Later { why: failure.to_string() },
            };
            if let Ending::Held { why } | Ending::Later { why } = &ending {
                tracing::warn!(connection, "somebody at the access page waits: {why}");
            }
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(service.now());
            teller.to(Stage::Ended(ending));
        });
        visit
    }
}
