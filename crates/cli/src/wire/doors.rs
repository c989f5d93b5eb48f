//! What stands behind the doors of the service: the documents' `[doors]`, and the client that signs people in. What was
//! built from a document is kept while it stays the same, so that no door waits for the database or for signing keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use entrain_connect::entra::Credential;
use entrain_connect::entra::oidc::{Authority, CallerCheck, RelyingParty, SignIn, Wanted};
use entrain_connect::http::{BaseUrl, Plane};
use entrain_domain::model::EmailAddress;
use entrain_domain::run::Trigger;
use entrain_domain::service::{Mode, slug};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::person::{Access, PersonOrder};
use entrain_engine::ports::{Clock as _, Progress};
use entrain_server::doors::{
    AccessDoor, Arrival, Begun, Behind, Caller, Doors, Ending, Person, SecretKey, Synced, TokenIssuanceDoor,
    WebhookDoor,
};
use entrain_server::service::{Answer, Service};
use entrain_store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::CancellationToken;

use super::service::environment;
use super::{Lasting, SystemClock, entra_options, http_options};
use crate::config::Document;
use crate::config::document::Secrets;
use crate::config::document::doors::{
    CLIENT_SECRET, KEY_REMEDY, NO_KEY, PREVIOUS_SECRET, WEBHOOK_SECRET, webhook_key,
};

/// For how long the documents are taken to be as they were.
const FRESH: Duration = Duration::from_secs(5);
/// What is not there is looked for no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For how long what was built is kept at most: as long a rotated secret is not noticed.
const KEPT: Duration = Duration::from_mins(1);
/// How long a call of Entra ID waits for signing keys that are not at hand: the answer has 300 ms in all.
const KEYS: Duration = Duration::from_millis(150);

/// The other side of the doors.
#[derive(Clone)]
pub(crate) struct WiredDoors(Arc<Inner>);

struct Inner {
    store: Store,
    lasting: Lasting,
    service: Arc<dyn Service>,
    public_url: String,
    known: RwLock<Known>,
    reading: Arc<tokio::sync::Mutex<()>>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Known {
    read: Option<Instant>,
    by_slug: HashMap<String, Arc<Entry>>,
}

/// What was built from one document.
struct Entry {
    version: i64,
    built: Instant,
    doors: Arc<Doors>,
    authority: Arc<Authority>,
    party: Option<RelyingParty>,
    check: Option<CallerCheck>,
}

impl WiredDoors {
    /// `public_url` is the address under which people and Entra ID reach the service.
    pub(crate) fn new(
        store: Store,
        lasting: Lasting,
        service: Arc<dyn Service>,
        public_url: &str,
        stop: CancellationToken,
    ) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self(Arc::new(Inner {
            store,
            lasting,
            service,
            public_url,
            known: RwLock::default(),
            reading: Arc::default(),
            stop,
        }))
    }

    /// Reads documents and signing keys, so that the first call finds them.
    pub(crate) async fn warm(&self) {
        let _reading = self.0.reading.lock().await;
        if let Err(failure) = self.0.read().await {
            tracing::warn!(code = %failure.code, "the doors could not be read: {failure}");
        }
    }

    fn at_hand(&self, slug: &str) -> (Option<Duration>, Option<Arc<Entry>>) {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        (known.read.map(|at| at.elapsed()), known.by_slug.get(slug).cloned())
    }

    /// What is known of a connection's doors. Older knowledge is taken as it is while it is read anew.
    async fn entry(&self, slug: &str) -> Result<Option<Arc<Entry>>, Failure> {
        let (age, found) = self.at_hand(slug);
        if age.is_some_and(|age| age < FRESH) && found.is_some() {
            return Ok(found);
        }
        if found.is_some() {
            if let Ok(reading) = self.0.reading.clone().try_lock_owned() {
                let inner = self.0.clone();
                tokio::spawn(async move {
                    let _reading = reading;
                    if let Err(failure) = inner.read().await {
                        tracing::warn!(code = %failure.code, "the doors could not be read: {failure}");
                    }
                });
            }
            return Ok(found);
        }
        if age.is_some_and(|age| age < LOOK_EVERY) {
            return Ok(None);
        }
        let _reading = self.0.reading.lock().await;
        if self.at_hand(slug).0.is_none_or(|age| age >= LOOK_EVERY) {
            self.0.read().await?;
        }
        Ok(self.at_hand(slug).1)
    }

    async fn of(&self, connection: &str) -> Result<Arc<Entry>, Failure> {
        let entry = self.entry(&slug(connection)).await?;
        entry.ok_or_else(|| closed(connection, "the connection has no doors any more"))
    }
}

fn party<'a>(entry: &'a Entry, connection: &str) -> Result<&'a RelyingParty, Failure> {
    entry.party.as_ref().ok_or_else(|| closed(connection, "the connection has no access page any more"))
}

fn closed(connection: &str, what: &str) -> Failure {
    let remedy = "see [doors] in its document";
    Failure::new(FailureCode::AddressUnknown, FailureClass::Local, what, remedy).of(connection)
}

impl Inner {
    /// Reads all documents; what is the same as before is kept.
    async fn read(&self) -> Result<(), Failure> {
        let entries = self.store.list().await.map_err(|e| e.failure())?;
        let before = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.by_slug.clone()
        };
        let mut by_slug = HashMap::new();
        for listed in entries {
            let slug = slug(&listed.name);
            let known = before.get(&slug).filter(|entry| entry.version == listed.version);
            if let Some(entry) = known.filter(|entry| entry.built.elapsed() < KEPT) {
                by_slug.insert(slug, entry.clone());
                continue;
            }
            let text = listed.document.as_deref().unwrap_or_default();
            // A document that this version refuses is told of by runs
            let Ok(document) = Document::parse(text, &listed.name) else { continue };
            if document.meaning().doors.is_empty() {
                continue;
            }
            let authority = known.map(|entry| entry.authority.clone());
            match self.build(&document, listed.version, &slug, authority).await {
                Ok(entry) => drop(by_slug.insert(slug, Arc::new(entry))),
                Err(failure) => {
                    tracing::warn!(connection = listed.name, code = %failure.code, "its doors stay closed: {failure}");
                }
            }
        }
        for entry in by_slug.values().filter(|entry| entry.party.is_some() || entry.check.is_some()) {
            let (authority, connection) = (entry.authority.clone(), entry.doors.connection.clone());
            tokio::spawn(async move {
                if let Err(error) = authority.prefetch().await {
                    tracing::warn!(connection, "the signing keys could not be read: {error}");
                }
            });
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Known { read: Some(Instant::now()), by_slug };
        Ok(())
    }

    async fn build(
        &self,
        document: &Document,
        version: i64,
        slug: &str,
        authority: Option<Arc<Authority>>,
    ) -> Result<Entry, Failure> {
        let stored = super::stored(&self.store, document.name()).await?.document;
        let mut secrets: Secrets = document.resolve_below("directory.", &environment, &stored.secrets)?;
        secrets.extend(document.resolve_below("doors.", &environment, &stored.secrets)?);
        let meaning = &document.meaning().doors;
        let entra = entra_options(document, &secrets)?;
        let http = http_options(document, &self.lasting)?;
        let authority = if let Some(authority) = authority {
            authority
        } else {
            let base = BaseUrl::parse(&entra.authority_url).map_err(|e| e.failure())?;
            let options = http(base.clone(), Plane::Directory);
            Arc::new(Authority::new(base, &entra.tenant_id, &options).map_err(|e| e.failure())?)
        };
        // As it stands in addresses: letters outside ASCII are percent-encoded
        let address = url::Url::parse(&format!("{}/access/{slug}", self.public_url)).ok();
        let encoded = address.and_then(|url| url.path().rsplit('/').next().map(str::to_owned));
        let slug = encoded.unwrap_or_else(|| slug.to_owned());
        let party = match &meaning.access {
            Some(access) => {
                let (id, credential) = match &access.client_id {
                    Some(id) => {
                        let secret = secrets.get(CLIENT_SECRET).cloned().unwrap_or_default();
                        (id.clone(), Credential::Secret(secret))
                    }
                    None => (entra.client_id.clone(), entra.credential.clone()),
                };
                let back = format!("{}/access/{slug}/callback", self.public_url);
                let party = RelyingParty::new(authority.clone(), &id, credential, &back);
                Some(party.map_err(|e| e.failure())?)
            }
            None => None,
        };
        let check = meaning.token_issuance.as_ref().map(|id| CallerCheck::new(authority.clone(), id));
        let mut keys = Vec::new();
        if meaning.webhook.is_some() {
            for key in [WEBHOOK_SECRET, PREVIOUS_SECRET] {
                let Some(secret) = secrets.get(key) else { continue };
                let bytes = webhook_key(secret).ok_or_else(|| {
                    let what = format!("{key} {NO_KEY}");
                    Failure::new(FailureCode::SecretUnavailable, FailureClass::Local, what, KEY_REMEDY)
                })?;
                keys.push(SecretKey::new(bytes));
            }
        }
        let doors = Doors {
            connection: document.name().to_owned(),
            slug,
            access: meaning.access.as_ref().map(|access| AccessDoor {
                name: access.name.clone(),
                accent: access.accent.clone(),
                contact: access.contact.clone(),
                destination: access.destination.clone(),
                public_url: self.public_url.clone(),
            }),
            token_issuance: meaning.token_issuance.as_ref().map(|_| TokenIssuanceDoor),
            webhook: meaning.webhook.map(|_| WebhookDoor { keys }),
        };
        Ok(Entry { version, built: Instant::now(), doors: Arc::new(doors), authority, party, check })
    }
}

/// What the sync of somebody came to, for them.
fn ending(access: Access) -> Ending {
    match access {
        Access::InStep { waiting, .. } => Ending::Ready { waiting: waiting.len() },
        Access::NotEntitled(_) => Ending::Nothing,
        Access::Held(held) => {
            let why: Vec<String> =
                held.into_iter().map(|held| format!("{}: {}", held.guard, held.reason)).collect();
            Ending::Held { why: why.join("; ") }
        }
        Access::Later(at) => Ending::Later {
            why: format!(
                "too many sign in at once; from {} on it can be tried again",
                at.strftime("%F %T UTC")
            ),
        },
        Access::Waits { reason, remedy } => Ending::Later { why: format!("{reason}; {remedy}") },
    }
}

impl Behind for WiredDoors {
    fn doors<'a>(&'a self, slug: &'a str) -> Answer<'a, Option<Arc<Doors>>> {
        Box::pin(async move { Ok(self.entry(slug).await?.map(|entry| entry.doors.clone())) })
    }

    fn begin<'a>(&'a self, connection: &'a str) -> Answer<'a, Begun> {
        Box::pin(async move {
            let entry = self.of(connection).await?;
            let party = party(&entry, connection)?;
            let begun = party.begin(&Wanted::default()).await.map_err(|e| e.failure())?;
            let kept = serde_json::to_string(&begun.sign_in).map_err(|_| unreadable())?;
            Ok(Begun { url: begun.url, state: begun.sign_in.state.clone(), kept: kept.into() })
        })
    }

    fn finish<'a>(
        &'a self,
        connection: &'a str,
        kept: &'a SecretString,
        code: &'a str,
    ) -> Answer<'a, Person> {
        Box::pin(async move {
            let entry = self.of(connection).await?;
            let party = party(&entry, connection)?;
            let sign_in: SignIn = serde_json::from_str(kept.expose_secret()).map_err(|_| unreadable())?;
            let person = party.finish(&sign_in, code, SystemClock.now()).await.map_err(|e| e.failure())?;
            Ok(Person { id: person.object_id, name: person.name, username: person.preferred_username })
        })
    }

    fn check_caller<'a>(&'a self, connection: &'a str, token: &'a str) -> Answer<'a, Caller> {
        Box::pin(async move {
            let entry = self.of(connection).await?;
            let check = entry.check.as_ref();
            let check =
                check.ok_or_else(|| closed(connection, "the connection has no such door any more"))?;
            match check.check(token, SystemClock.now(), KEYS).await {
                Ok(good) => Ok(Caller { token: good.id, expires: good.expires, tenant: good.tenant_id }),
                Err(why) => Err(Failure::new(
                    FailureCode::SignInRefused,
                    FailureClass::Local,
                    format!("the bearer token is refused: {why}"),
                    "compare the app registration of the extension with the document",
                )),
            }
        })
    }

    fn sync<'a>(
        &'a self,
        connection: &'a str,
        arrival: Arrival,
        progress: Arc<dyn Progress>,
    ) -> Answer<'a, Synced> {
        Box::pin(async move {
            let modes = self.0.store.modes().await.map_err(|e| e.failure())?;
            if modes.get(connection).copied().unwrap_or_default() == Mode::Preview {
                let why = "the connection only previews; entrain connection mode NAME apply lets it write";
                return Ok(Synced { run: None, ending: Ending::Held { why: why.into() } });
            }
            let order = PersonOrder {
                address: arrival.address.as_deref().and_then(|text| EmailAddress::parse(text).ok()),
                by: arrival.by.to_owned(),
                stop: self.0.stop.child_token(),
                ..PersonOrder::new(arrival.who, Trigger::SignIn)
            };
            let outcome = self.0.service.sync_person(connection, order, progress).await?;
            Ok(Synced { run: outcome.run, ending: ending(outcome.access) })
        })
    }

    fn seal(&self, purpose: &str, text: &SecretString) -> Result<String, Failure> {
        self.0.store.seal_token(purpose, text).map_err(|e| e.failure())
    }

    fn open(&self, purpose: &str, sealed: &str) -> Option<SecretString> {
        self.0.store.open_token(purpose, sealed)
    }
}

fn unreadable() -> Failure {
    Failure::new(
        FailureCode::SignInRefused,
        FailureClass::Local,
        "what was kept of the sign-in cannot be read",
        "begin the sign-in anew",
    )
}
