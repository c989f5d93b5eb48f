//! Change notifications wired: the directory's client and the store as the ports of the engine's keeper, and what the
//! service asks of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entrain_connect::entra::{Entra, SubscriptionOrder};
use entrain_domain::notification::{LifecycleEvent, Renewal, Subscription, SubscriptionId, Trouble, Watched};
use entrain_domain::run::{RunReport, Trigger};
use entrain_domain::service::{Turn, slug};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::notifications::freshness::{KnownBy, spread, waits};
use entrain_engine::notifications::hints::{Found, Hints, Waiting};
use entrain_engine::notifications::upkeep::{Upkeep, Wanted};
use entrain_engine::notifications::{Order, Part, Shelf, Subscriptions, keeper};
use entrain_engine::ports::{Clock as _, Event, Progress};
use entrain_server::notified::{self, Notified, Shown, Subscriber};
use entrain_server::service::Answer;
use entrain_store::{FreshnessRow, Store};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::service::Wired;
use super::{Connected, SystemClock};
use crate::config::Document;
use crate::config::document::Secrets;

/// Over how long it is said how fresh the site is.
const FRESHNESS_OVER: SignedDuration = SignedDuration::from_hours(24);
/// How long it is waited for the directory when a connection is removed.
const FAREWELL: Duration = Duration::from_secs(20);
/// Steps of one run that are measured.
const MEASURED: usize = 10_000;

struct DirectorySide(Arc<Entra>);

impl Subscriptions for DirectorySide {
    #[expect(clippy::disallowed_methods, reason = "this is where secrets of subscriptions come from")]
    async fn subscribe(&self, watched: Watched, order: &Order) -> Result<(Subscription, String), Failure> {
        // Two random UUIDs: 244 random bits
        let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let order = SubscriptionOrder {
            notification_url: order.notification_url.clone(),
            lifecycle_url: order.lifecycle_url.clone(),
            client_state: SecretString::from(secret),
            expires_at: order.expires_at,
        };
        let made = self.0.subscribe(watched, &order).await.map_err(|e| e.failure())?;
        Ok((made, order.client_state_hash()))
    }
    async fn renew(
        &self,
        watched: Watched,
        id: &SubscriptionId,
        until: Timestamp,
    ) -> Result<Renewal, Failure> {
        self.0.renew(watched, id, until).await.map_err(|e| e.failure())
    }
    async fn reauthorize(&self, watched: Watched, id: &SubscriptionId) -> Result<Renewal, Failure> {
        self.0.reauthorize(watched, id).await.map_err(|e| e.failure())
    }
    async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), Failure> {
        self.0.unsubscribe(id).await.map_err(|e| e.failure())
    }
}

struct StoreShelf<'a>(&'a Store);

impl Shelf for StoreShelf<'_> {
    async fn load(&self, connection: &str, part: Part) -> Result<Option<(i64, String)>, Failure> {
        let state = self.0.notification_state(connection, part.as_str()).await.map_err(|e| e.failure())?;
        Ok(state.map(|state| (state.revision, state.body)))
    }
    async fn keep(
        &self,
        connection: &str,
        part: Part,
        before: Option<i64>,
        body: String,
    ) -> Result<Turn, Failure> {
        let kept = self.0.keep_notification_state(connection, part.as_str(), before, &body).await;
        kept.map_err(|e| e.failure())
    }
}

/// Counts what a run found in the directory.
pub(super) struct Counting<'a> {
    pub(super) inner: &'a dyn Progress,
    pub(super) changed: AtomicUsize,
}

impl Progress for Counting<'_> {
    fn report(&self, event: Event) {
        if let Event::DirectoryChanged { objects } = event {
            self.changed.store(objects, Ordering::Relaxed);
        }
        self.inner.report(event);
    }
}

/// Why notifications of a connection cannot be relied on, in a sentence, and what to do; nothing where they can, or are
/// not asked for.
pub(crate) async fn missing(store: &Store, document: &Document) -> Result<Option<(String, String)>, Failure> {
    let Some(patience) = document.meaning().notifications else { return Ok(None) };
    let now = SystemClock.now();
    let standing = keeper::standing(&StoreShelf(store), document.name(), &patience, now).await?;
    Ok(standing.troubles.first().map(Trouble::words))
}

/// What became of the subscriptions of a connection that was removed.
#[derive(Debug)]
pub(crate) enum Ended {
    /// There are none any more.
    All,
    /// They could not be ended; they end by themselves when their time is over.
    Not(Failure),
}

/// Removes a connection, and ends what it has subscribed to: with its credentials, which are forgotten, and afterwards,
/// so that no server subscribes again.
pub(crate) async fn remove(
    store: &Store,
    name: &str,
    by: &str,
    connect: impl FnOnce(&Document, &Secrets) -> Result<Connected, Failure>,
) -> Result<Ended, Failure> {
    let states = store.notification_states().await.map_err(|e| e.failure())?;
    let held = states
        .iter()
        .filter(|state| state.connection == name)
        .any(|state| serde_json::from_str::<Upkeep>(&state.body).is_ok_and(|upkeep| upkeep.held.is_some()));
    let connected = if held {
        let stored = super::stored(store, name).await?.document;
        let document = Document::parse(&stored.document, name).map_err(Failure::from);
        Some(document.and_then(|document| connect(&document, &stored.secrets)))
    } else {
        None
    };
    store.remove(name, by).await.map_err(|e| e.failure())?;
    let ended = match connected {
        None => Ok(()),
        Some(Err(failure)) => Err(failure),
        Some(Ok(connected)) => {
            let (directory, shelf) = (DirectorySide(connected.entra), StoreShelf(store));
            match tokio::time::timeout(FAREWELL, keeper::end(&directory, &shelf, name)).await {
                Ok(ended) => ended,
                Err(_) => Err(Failure::new(
                    FailureCode::DirectoryUnavailable,
                    FailureClass::Transient,
                    "the directory does not answer",
                    "nothing has to be done: subscriptions end by themselves",
                )),
            }
        }
    };
    Ok(match ended {
        Ok(()) => Ended::All,
        Err(failure) => {
            tracing::warn!(connection = name, code = %failure.code, "subscriptions could not be ended: {failure}");
            Ended::Not(failure)
        }
    })
}

impl Wired {
    /// The document of a connection and what it wants; `None` where it cannot be read.
    fn wants(&self, name: &str, document: &Document) -> Option<Wanted> {
        document.meaning().notifications?;
        let public = self.doors_url.as_ref()?;
        let door = |kind: &str| format!("{public}/doors/{}/{kind}", slug(name));
        Some(Wanted { notification_url: door("notifications"), lifecycle_url: door("lifecycle") })
    }

    async fn documents(&self) -> Result<Vec<(String, Document)>, Failure> {
        let entries = self.store.list().await.map_err(|e| e.failure())?;
        let parsed = entries.into_iter().filter_map(|entry| {
            let document = Document::parse(entry.document.as_deref()?, &entry.name).ok()?;
            Some((entry.name, document))
        });
        Ok(parsed.collect())
    }

    async fn hints(&self, connection: &str) -> Result<Hints, Failure> {
        let stored = StoreShelf(&self.store).load(connection, Part::Hints).await?;
        Ok(stored.and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default())
    }

    /// What was known of the changes before a run: the earliest that they can have been made, and how that is known.
    pub(super) async fn known_before(
        &self,
        connection: &str,
        trigger: Trigger,
    ) -> Option<(Timestamp, KnownBy)> {
        let hints = self.hints(connection).await.ok()?;
        let taken = self.taken.lock().ok().and_then(|mut taken| taken.remove(connection));
        match trigger {
            Trigger::Notification => Some((taken?.first_at, KnownBy::Notification)),
            Trigger::Schedule => match hints.waiting {
                Some(waiting) => Some((waiting.first_at, KnownBy::Notification)),
                None => Some((hints.read_at?, KnownBy::Poll)),
            },
            _ => None,
        }
    }

    /// Takes in how a run came out: whether notifications told of what it found, and how long its changes took.
    pub(super) async fn ran(
        &self,
        report: &RunReport,
        changed: usize,
        known: Option<(Timestamp, KnownBy)>,
    ) -> Result<(), Failure> {
        let connection = report.connection.as_str();
        let document = super::stored(&self.store, connection).await?.document.document;
        let document = Document::parse(&document, connection)?;
        // What a notification started it was told of
        let untold = matches!(report.trigger, Trigger::Schedule | Trigger::Manual);
        let found = if untold && changed > 0 { Found::Changes } else { Found::Nothing };
        let wanted = self.wants(connection, &document);
        let shelf = StoreShelf(&self.store);
        keeper::polled(&shelf, connection, wanted.as_ref(), report.started_at, found).await?;

        let done: usize = report.steps.values().map(|count| count.done).sum();
        let Some((known_at, known_by)) = known.filter(|_| done > 0) else { return Ok(()) };
        let journal = self.store.journal(&report.run_id).await.map_err(|e| e.failure())?;
        let mut waits = waits(&journal, known_at);
        waits.truncate(MEASURED);
        let row = FreshnessRow {
            run: report.run_id.clone(),
            at: SystemClock.now(),
            known_by: known_by.as_str().to_owned(),
            waits,
        };
        self.store.keep_freshness(connection, row).await.map_err(|e| e.failure())
    }

    async fn see_to_subscriptions(&self) -> Result<(), Failure> {
        let shelf = StoreShelf(&self.store);
        let states = self.store.notification_states().await.map_err(|e| e.failure())?;
        for (name, document) in self.documents().await? {
            if document.meaning().notifications.is_none() && !states.iter().any(|s| s.connection == name) {
                continue;
            }
            let asked_for = document.meaning().notifications.is_some();
            let wanted = self.wants(&name, &document);
            // A server that does not know its address leaves it to those that do
            if asked_for && wanted.is_none() {
                continue;
            }
            if keeper::needs(&shelf, &name, wanted.as_ref(), SystemClock.now()).await? {
                match self.connect(&name).await {
                    Ok(connected) => {
                        let directory = DirectorySide(connected.entra.clone());
                        keeper::keep_up(&directory, &shelf, &name, wanted.as_ref(), &|| SystemClock.now())
                            .await?;
                    }
                    Err(failure) => tracing::warn!(
                        connection = name,
                        code = %failure.code,
                        "subscriptions cannot be kept up: {failure}"
                    ),
                }
            }
        }
        Ok(())
    }

    async fn subscribed(&self) -> Result<Vec<Subscriber>, Failure> {
        let states = self.store.notification_states().await.map_err(|e| e.failure())?;
        let mut all = Vec::new();
        for (connection, document) in self.documents().await? {
            if document.meaning().notifications.is_none() {
                continue;
            }
            let held = Watched::ALL.into_iter().filter_map(|watched| {
                let state = states
                    .iter()
                    .find(|state| state.connection == connection && state.part == watched.as_str())?;
                let held = serde_json::from_str::<Upkeep>(&state.body).ok()?.held?;
                Some((watched, held.id, held.secret_hash))
            });
            all.push(Subscriber { held: held.collect(), connection });
        }
        Ok(all)
    }

    async fn with_due_hints(&self) -> Result<Vec<String>, Failure> {
        let states = self.store.notification_states().await.map_err(|e| e.failure())?;
        let waiting: Vec<(String, Hints)> = states
            .into_iter()
            .filter(|state| state.part == Part::Hints.as_str())
            .filter_map(|state| Some((state.connection, serde_json::from_str::<Hints>(&state.body).ok()?)))
            .filter(|(_, hints)| hints.waiting.is_some())
            .collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let (documents, now) = (self.documents().await?, SystemClock.now());
        let due = waiting.into_iter().filter(|(connection, hints)| {
            let document = documents.iter().find(|(name, _)| name == connection);
            let patience = document.and_then(|(_, document)| document.meaning().notifications);
            patience.is_some_and(|patience| hints.due(&patience, now))
        });
        Ok(due.map(|(connection, _)| connection).collect())
    }

    async fn take_hints(&self, connection: &str) -> Result<Option<Waiting>, Failure> {
        let document = super::stored(&self.store, connection).await?.document.document;
        let patience = Document::parse(&document, connection)?.meaning().notifications.unwrap_or_default();
        let shelf = StoreShelf(&self.store);
        let taken = keeper::take(&shelf, connection, &patience, SystemClock.now()).await?;
        if let (Some(waiting), Ok(mut all)) = (taken, self.taken.lock()) {
            all.insert(connection.to_owned(), waiting);
        }
        Ok(taken)
    }

    async fn show(&self, connection: &str) -> Result<Shown, Failure> {
        let document = super::stored(&self.store, connection).await?.document.document;
        let document = Document::parse(&document, connection)?;
        let (patience, now) = (document.meaning().notifications, SystemClock.now());
        let shelf = StoreShelf(&self.store);
        let mut standing = keeper::standing(&shelf, connection, &patience.unwrap_or_default(), now).await?;
        if patience.is_none() {
            standing.troubles.clear();
        } else if self.doors_url.is_none() {
            let failure = no_public_url();
            standing.troubles = Watched::ALL
                .map(|watched| Trouble::NotSubscribed { watched, until: None, failure: failure.clone() })
                .into();
        }
        let since = now.checked_sub(FRESHNESS_OVER).unwrap_or(now);
        let rows = self.store.freshness(connection, since).await.map_err(|e| e.failure())?;
        let of = |only: Option<KnownBy>| {
            let rows = rows.iter().filter(|row| only.is_none_or(|only| row.known_by == only.as_str()));
            spread(rows.flat_map(|row| row.waits.iter().copied()).collect())
        };
        Ok(Shown {
            wanted: if patience.is_some() { notified::Wanted::Yes } else { notified::Wanted::No },
            standing,
            freshness: (of(None), of(Some(KnownBy::Notification))),
        })
    }
}

/// Notifications need an address that the directory reaches.
pub(crate) fn no_public_url() -> Failure {
    Failure::new(
        FailureCode::NotificationsUnreachable,
        FailureClass::Local,
        "the service has not been told its public address",
        "start entrain serve with --public-url https://…, an address that the internet reaches",
    )
}

impl Notified for Wired {
    fn subscribers(&self) -> Answer<'_, Vec<Subscriber>> {
        Box::pin(self.subscribed())
    }
    fn keep_up(&self) -> Answer<'_, ()> {
        Box::pin(self.see_to_subscriptions())
    }
    fn hear<'a>(&'a self, connection: &'a str, hints: Waiting) -> Answer<'a, ()> {
        Box::pin(async move { keeper::hear(&StoreShelf(&self.store), connection, hints).await })
    }
    fn lifecycle<'a>(
        &'a self,
        connection: &'a str,
        watched: Watched,
        id: &'a SubscriptionId,
        event: LifecycleEvent,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            keeper::event(&StoreShelf(&self.store), connection, watched, id, event, SystemClock.now()).await
        })
    }
    fn due(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.with_due_hints())
    }
    fn take<'a>(&'a self, connection: &'a str) -> Answer<'a, Option<Waiting>> {
        Box::pin(self.take_hints(connection))
    }
    fn give_back<'a>(&'a self, connection: &'a str, hints: Waiting) -> Answer<'a, ()> {
        Box::pin(async move { keeper::give_back(&StoreShelf(&self.store), connection, hints).await })
    }
    fn notifications<'a>(&'a self, connection: &'a str) -> Answer<'a, Shown> {
        Box::pin(self.show(connection))
    }
}
