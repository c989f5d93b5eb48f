//! Alerts between the engine, the store and the channels: what is known of a connection, and who carries letters.

use std::collections::BTreeMap;

use entrain_connect::alerts::{Channel, Email, Network, WebForm, send};
use entrain_domain::alerts::{Concern, Facts, Letter, Standing, concerns};
use entrain_domain::model::RunId;
use entrain_domain::policy::Approvers;
use entrain_domain::reports::credentials;
use entrain_domain::run::{AuditNote, Decision, RunStatus, RunSummary, Trigger};
use entrain_domain::service::Turn;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::alerts::{
    Alert, Book, Books, Courier, Looked, Undelivered, acknowledge, look_after, test_letter,
};
use entrain_engine::ports::Clock as _;
use entrain_server::upkeep::AlertPlace;
use entrain_store::Store;
use serde_json::{Value, json};

use super::{HostEnvironment, SystemClock, reports, stored};
use crate::config::Document;
use crate::config::Environment;
use crate::config::document::{Carrier, Secrets};

/// So many of the newest runs are looked at.
const RUNS: u32 = 10;

/// The environment, in a form that may be kept while something is waited for.
type Surroundings<'a> = &'a (dyn Fn(&str) -> Option<std::ffi::OsString> + Sync);

/// The books, in the store.
struct StoreBooks(Store);

impl Books for StoreBooks {
    async fn book(&self, connection: &str) -> Result<Option<(i64, Book)>, Failure> {
        let kept = self.0.alerts(connection).await.map_err(|e| e.failure())?;
        // A book of another version that cannot be read is begun anew: what is still so is told once more
        Ok(kept.map(|(version, text)| (version, serde_json::from_str(&text).unwrap_or_default())))
    }
    async fn put(
        &self,
        connection: &str,
        before: Option<i64>,
        book: &Book,
        note: Option<AuditNote>,
    ) -> Result<Turn, Failure> {
        let text = json!(book).to_string();
        self.0.put_alerts(connection, before, &text, note).await.map_err(|e| e.failure())
    }
}

/// The channels of one connection.
struct Channels<'a> {
    document: &'a Document,
    kept: &'a Secrets,
    environment: Environment<'a>,
    public_url: Option<&'a str>,
}

/// The same, with everything looked up: whoever lacks a secret fails by itself.
struct Ready {
    channels: BTreeMap<String, Result<Channel, Undelivered>>,
    network: Result<Network, Undelivered>,
}

fn undelivered(failure: impl Into<Failure>) -> Undelivered {
    Undelivered { why: failure.into().message }
}

impl Channels<'_> {
    fn ready(&self) -> Ready {
        let carriers = &self.document.meaning().notify.carriers;
        let channels =
            carriers.iter().map(|(name, carrier)| (name.clone(), self.channel(name, carrier))).collect();
        Ready { channels, network: self.network() }
    }

    fn channel(&self, name: &str, carrier: &Carrier) -> Result<Channel, Undelivered> {
        let section = format!("notify.channels.{name}.");
        let secrets =
            self.document.resolve_below(&section, self.environment, self.kept).map_err(undelivered)?;
        let secret = |key: &str| secrets.get(&format!("{section}{key}")).cloned();
        let web = |form| Channel::Web { url: secret("url").unwrap_or_default(), form };
        Ok(match carrier {
            Carrier::Email { host, port, tls, user, from, to } => Channel::Email(Email {
                host: host.clone(),
                port: *port,
                tls: *tls,
                user: user.clone().map(|user| (user, secret("password").unwrap_or_default())),
                from: from.clone(),
                to: to.clone(),
            }),
            Carrier::Webhook => web(WebForm::Webhook(secret("secret"))),
            Carrier::Slack => web(WebForm::Slack),
            Carrier::Teams => web(WebForm::Teams),
        })
    }

    fn network(&self) -> Result<Network, Undelivered> {
        let network = &self.document.sections().network;
        let ca = network.ca_file.as_ref();
        let ca = ca.map(|path| self.document.read_file("network.ca_file", path.as_ref())).transpose();
        Ok(Network {
            extra_ca_pem: ca.map_err(undelivered)?,
            proxy: network.proxy.clone(),
            environment: std::sync::Arc::new(HostEnvironment::new()),
            public_url: self.public_url.map(ToOwned::to_owned),
        })
    }
}

impl Courier for Ready {
    async fn send(&self, letter: &Letter) -> Result<(), Undelivered> {
        let network = self.network.as_ref().map_err(Clone::clone)?;
        let gone = || Undelivered { why: "the document has no such channel any more".into() };
        let channel = self.channels.get(&letter.channel).ok_or_else(gone)?.as_ref().map_err(Clone::clone)?;
        send(channel, letter, network).await.map_err(|error| undelivered(error.failure()))
    }
}

/// Everything about a connection that people must be told.
async fn found(
    store: &Store,
    document: &Document,
    missing: Option<Failure>,
) -> Result<Vec<Concern>, Failure> {
    let now = SystemClock.now();
    let rows = reports::credentials(document).map(|all| credentials(&all, now));
    let runs = store.runs(Some(document.name()), RUNS).await.map_err(|e| e.failure())?;
    let waits = runs.iter().find(|run| run.trigger != Trigger::SignIn && run.report.is_some());
    let decision = match waits.filter(|run| run.status == RunStatus::Held) {
        Some(run) => decision(store, &run.id, document.meaning().rules.approvers).await?,
        None => Standing::Decided,
    };
    let lost = super::notifications::missing(store, document).await?.map(|(what, _)| what);
    let failed = missing.or_else(|| rows.as_ref().err().cloned());
    let hindrance = match failed {
        Some(failure) => Some(failure),
        None => preview_failure(store, document.name(), runs.first()).await?,
    };
    Ok(concerns(&Facts {
        connection: document.name(),
        runs: &runs,
        decision,
        hindrance: hindrance.as_ref(),
        credentials: rows.as_deref().unwrap_or_default(),
        notifications_lost: lost.as_deref(),
    }))
}

async fn decision(store: &Store, run: &RunId, approvers: Approvers) -> Result<Standing, Failure> {
    let decided = store.decisions(run).await.map_err(|e| e.failure())?;
    let approved = decided.iter().filter(|decided| decided.decision == Decision::Approved).count();
    let rejected = decided.iter().any(|decided| decided.decision == Decision::Rejected);
    Ok(if rejected || approved >= approvers.count() { Standing::Decided } else { Standing::Waits })
}

/// The failure of the newest preview, unless something has run since.
async fn preview_failure(
    store: &Store,
    connection: &str,
    last: Option<&RunSummary>,
) -> Result<Option<Failure>, Failure> {
    let Some(head) = super::plan_rows::preview_head(store, connection).await? else { return Ok(None) };
    Ok(head.failure.filter(|_| last.is_none_or(|run| run.started_at <= head.at)))
}

/// A stored connection with what its alerts need.
async fn read(store: &Store, connection: &str) -> Result<(Document, Secrets), Failure> {
    let stored = stored(store, connection).await?.document;
    let document = Document::parse(&stored.document, &format!("stored document of “{connection}”"))?;
    Ok((document, stored.secrets))
}

/// Looks once after the alerts of a connection.
pub(crate) async fn look(
    store: &Store,
    connection: &str,
    environment: Surroundings<'_>,
    public_url: Option<&str>,
) -> Result<Looked, Failure> {
    let (document, kept) = read(store, connection).await?;
    let missing = document.resolve_sides(environment, &kept).err().map(Failure::from);
    let found = found(store, &document, missing).await?;
    let ready = Channels { document: &document, kept: &kept, environment, public_url }.ready();
    let books = StoreBooks(store.clone());
    look_after((&books, &ready, &SystemClock), connection, found, &document.meaning().notify.settings).await
}

/// An alert for programs.
fn shown(alert: &Alert) -> Value {
    let concern = &alert.concern;
    let state = match (&alert.over_at, &alert.acknowledged) {
        (Some(_), _) => "over",
        (None, Some(_)) => "acknowledged",
        (None, None) => "open",
    };
    json!({
        "id": alert.id,
        "connection": concern.connection,
        "kind": concern.kind,
        "severity": concern.severity,
        "state": state,
        "object": concern.object,
        "sentence": concern.sentence,
        "remedy": concern.remedy,
        "link": concern.link,
        "since": alert.since,
        "told_at": alert.told_at,
        "acknowledged": alert.acknowledged,
        "over_at": alert.over_at,
    })
}

/// The alerts of all connections, or of one.
pub(crate) async fn list(store: &Store, connection: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    for name in names(store, connection).await? {
        if let Some((_, book)) = StoreBooks(store.clone()).book(&name).await? {
            all.extend(book.alerts().into_iter().map(shown));
        }
    }
    Ok(all)
}

async fn names(store: &Store, connection: Option<&str>) -> Result<Vec<String>, Failure> {
    if let Some(connection) = connection {
        return Ok(vec![stored(store, connection).await?.document.name]);
    }
    let entries = store.list().await.map_err(|e| e.failure())?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

/// Where the alerts of a connection go to. Addresses of webhooks are secrets and stay out of it.
pub(crate) async fn places(store: &Store, connection: &str) -> Result<Vec<AlertPlace>, Failure> {
    let (document, _) = read(store, connection).await?;
    let book = StoreBooks(store.clone()).book(connection).await?.map(|(_, book)| book).unwrap_or_default();
    let notify = &document.meaning().notify;
    let place = |channel: &entrain_engine::alerts::Channel| {
        let carrier = notify.carriers.get(&channel.name)?;
        let to = match carrier {
            Carrier::Email { host, port, to, .. } => format!("To {}, over {host}:{port}", to.join(", ")),
            Carrier::Webhook => "To an address that the document keeps as a secret".to_owned(),
            Carrier::Slack | Carrier::Teams => {
                "Through an incoming webhook, whose address is a secret".to_owned()
            }
        };
        let failing = book.failing().find(|(name, _)| *name == channel.name);
        Some(AlertPlace {
            name: channel.name.clone(),
            kind: carrier.kind().to_owned(),
            to,
            about: channel.about.iter().map(|kind| kind.as_str()).collect(),
            failing: failing.map(|(_, failing)| failing.why.clone()),
        })
    };
    Ok(notify.settings.channels.iter().filter_map(place).collect())
}

/// A person takes an alert on, whichever connection it is of.
pub(crate) async fn acknowledged(store: &Store, id: &str, by: &str, note: &str) -> Result<Value, Failure> {
    let books = StoreBooks(store.clone());
    for name in names(store, None).await? {
        let Some((_, book)) = books.book(&name).await? else { continue };
        if book.alerts().iter().any(|alert| alert.id == id) {
            return acknowledge(&books, &SystemClock, (&name, id), (by, note))
                .await
                .map(|alert| shown(&alert));
        }
    }
    Err(Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        "there is no alert of that id",
        "entrain admin alerts list shows those that are open",
    )
    .of(id))
}

/// Sends a letter that is marked as a test over each channel of a connection, or over one.
pub(crate) async fn test(
    store: &Store,
    (connection, only): (&str, Option<&str>),
    by: &str,
    environment: Surroundings<'_>,
    public_url: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    let (document, kept) = read(store, connection).await?;
    let carriers = &document.meaning().notify.carriers;
    if let Some(only) = only.filter(|only| !carriers.contains_key(*only)) {
        let known: Vec<&str> = carriers.keys().map(String::as_str).collect();
        let remedy = if known.is_empty() {
            "the document has none: add a section [notify.channels.NAME]".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        let what = "there is no channel of that name";
        return Err(Failure::new(FailureCode::ObjectUnknown, FailureClass::Local, what, remedy).of(only));
    }
    let ready = Channels { document: &document, kept: &kept, environment, public_url }.ready();
    let mut rows = Vec::new();
    for (name, carrier) in carriers.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let outcome = ready.send(&test_letter(document.name(), name, by, &SystemClock)).await;
        let error = outcome.as_ref().err().map(|undelivered| undelivered.why.clone());
        let word = if outcome.is_ok() { "sent" } else { "failed" };
        rows.push(json!({ "channel": name, "kind": carrier.kind(), "outcome": word, "error": error }));
    }
    Ok(rows)
}
