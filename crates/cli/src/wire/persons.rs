//! Syncs of persons for the service: under the budget of doors, each in a task of its own, over engines that are kept
//! for a while. An engine that is kept has its token, its connections and the checks of the site at hand, so that a
//! sign-in waits for nothing but the person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entrain_domain::run::Trigger;
use entrain_domain::service::Mode;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::person::{Access, PersonOrder, PersonOutcome, Turn, Turns, TurnsOptions};
use entrain_engine::ports::{Clock as _, Progress};
use entrain_store::Store;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::service::environment;
use super::{Connected, Lasting, SystemClock, build, stored};
use crate::config::Document;

/// How long an engine is kept: as long at most a rotated secret is not noticed.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

/// The syncs of persons of one process.
pub(crate) struct Persons {
    store: Store,
    lasting: Lasting,
    turns: Turns,
    tasks: TaskTracker,
    kept: tokio::sync::Mutex<HashMap<String, Kept>>,
}

struct Kept {
    version: i64,
    until: Timestamp,
    connected: Arc<Connected>,
}

impl Persons {
    pub(crate) fn new(store: Store, lasting: Lasting) -> Self {
        let turns = Turns::new(TurnsOptions::default());
        Self { store, lasting, turns, tasks: TaskTracker::new(), kept: tokio::sync::Mutex::default() }
    }

    /// Waits until every sync has been read back; new ones are not expected any more.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The engine of a connection, built again when its document has changed or some time has passed.
    async fn connected(&self, connection: &str) -> Result<Arc<Connected>, Failure> {
        let version = self.store.version(connection).await.map_err(|e| e.failure())?;
        let now = SystemClock.now();
        let mut kept = self.kept.lock().await;
        if let Some(known) = kept.get(connection)
            && Some(known.version) == version
            && now < known.until
        {
            return Ok(known.connected.clone());
        }
        let stored = stored(&self.store, connection).await?;
        let document =
            Document::parse(&stored.document.document, &format!("stored document of “{connection}”"))?;
        let connected = Arc::new(build(
            &environment,
            &self.lasting,
            self.store.clone(),
            &document,
            &stored.document.secrets,
        )?);
        let until = now.checked_add(KEPT).unwrap_or(Timestamp::MAX);
        let new = Kept { version: stored.version, until, connected: connected.clone() };
        kept.insert(connection.to_owned(), new);
        Ok(connected)
    }

    pub(crate) async fn sync(
        &self,
        connection: &str,
        order: PersonOrder,
        progress: Arc<dyn Progress>,
    ) -> Result<PersonOutcome, Failure> {
        if order.trigger != Trigger::SignIn {
            return self.go(connection, order, progress, |_| ()).await;
        }
        match self.turns.take(connection, &order.who, SystemClock.now()) {
            Turn::Remembered(outcome) => Ok(outcome),
            Turn::Later(at) => Ok(without_run(Access::Later(at))),
            Turn::Join(mut outcome) => match outcome.wait_for(Option::is_some).await {
                Ok(outcome) => {
                    Ok(outcome.clone().unwrap_or_else(|| without_run(Access::Later(SystemClock.now()))))
                }
                // It ended without one
                Err(_) => Ok(without_run(Access::Later(SystemClock.now()))),
            },
            Turn::Go(ticket) => {
                let modes = self.store.modes().await.map_err(|e| e.failure())?;
                if modes.get(connection).copied().unwrap_or_default() == Mode::Preview {
                    let outcome = without_run(Access::Waits {
                        reason: "the connection only previews; nothing is written by itself".into(),
                        remedy: "switch it to apply: entrain connection mode NAME apply".into(),
                    });
                    ticket.done(&outcome, SystemClock.now());
                    return Ok(outcome);
                }
                self.go(connection, order, progress, move |outcome| ticket.done(outcome, SystemClock.now()))
                    .await
            }
        }
    }

    /// Syncs in a task of its own and returns with the outcome; the task goes on to the end of the run.
    async fn go(
        &self,
        connection: &str,
        order: PersonOrder,
        progress: Arc<dyn Progress>,
        tell: impl FnOnce(&PersonOutcome) + Send + 'static,
    ) -> Result<PersonOutcome, Failure> {
        let connected = self.connected(connection).await?;
        let (send, receive) = oneshot::channel();
        let send = Arc::new(Mutex::new(Some(send)));
        let answer = move |result: Result<PersonOutcome, Failure>| {
            let sender = send.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(sender) = sender {
                // Whoever asked may have gone
                let _ = sender.send(result);
            }
        };
        let early = answer.clone();
        self.tasks.spawn(async move {
            let answered = move |outcome: &PersonOutcome| {
                tell(outcome);
                early(Ok(outcome.clone()));
            };
            let done = Box::pin(connected.engine.sync_person(&order, progress.as_ref(), answered)).await;
            if let Err(failure) = done {
                tracing::warn!(code = %failure.code, "the sync of a person failed: {failure}");
                answer(Err(failure));
            }
        });
        receive.await.unwrap_or_else(|_| {
            Err(Failure::new(
                FailureCode::Internal,
                FailureClass::Local,
                "the sync of a person ended in a way that it should not",
                "look at the log of the service, and report it",
            ))
        })
    }
}

fn without_run(access: Access) -> PersonOutcome {
    PersonOutcome { run: None, user: None, name: None, access }
}
