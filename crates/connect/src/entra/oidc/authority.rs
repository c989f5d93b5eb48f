//! What an authority publishes about itself: its issuer, its endpoints and its signing keys. It is read once and kept for
//! a day; a token that names an unknown key has the keys read again, no more often than every half minute.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::Error;
use crate::http::{Authorization, BaseUrl, Call, Http, HttpOptions, Plane, Target};

/// For so long what was read is taken as it is.
const FRESH: Duration = Duration::from_hours(24);
/// Time between two reads, whoever asks.
const PAUSE: Duration = Duration::from_secs(30);
/// Largest answer: the real ones have some 20 kB.
const LARGEST: usize = 1024 * 1024;
/// Most keys that are looked at: the real ones are below ten.
const MOST_KEYS: usize = 100;

const DISCOVERY: &str = "/v2.0/.well-known/openid-configuration";

/// What is known of an authority.
pub(super) struct Known {
    /// Its issuer, of version 2.0.
    pub(super) issuer: String,
    /// The tenant's id, also where the configuration names a domain.
    pub(super) tenant_id: String,
    pub(super) authorize: String,
    pub(super) token: String,
    pub(super) keys: CoreJsonWebKeySet,
    /// The same keys by their ids.
    pub(super) by_kid: HashMap<String, DecodingKey>,
    read: Duration,
}

/// A tenant's sign-in, and what it publishes.
pub struct Authority {
    pub(super) http: Http,
    tenant: String,
    known: RwLock<Option<Arc<Known>>>,
    /// When it was last asked, and held while it is.
    asked: Mutex<Option<Duration>>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Authority {
    /// The sign-in of a tenant (its id or a domain of it) at an authority such as `https://login.microsoftonline.com`.
    /// Nothing is asked yet. People wait for the answers, so the client has less patience than that of a run.
    ///
    /// # Errors
    /// As [`Http::new`].
    pub fn new(base: BaseUrl, tenant: &str, http: &HttpOptions) -> Result<Self, Error> {
        let mut http = HttpOptions { base, plane: Plane::Directory, body_limit: LARGEST, ..http.clone() };
        http.patience.attempts = 2;
        http.patience.throttled_attempts = 2;
        http.patience.base_delay = Duration::from_millis(250);
        http.patience.pause = Duration::from_secs(2);
        http.patience.attempt = http.patience.attempt.min(Duration::from_secs(10));
        http.patience.connect = http.patience.connect.min(Duration::from_secs(5));
        let http = Http::new(http)?;
        Ok(Self { http, tenant: tenant.to_owned(), known: RwLock::default(), asked: Mutex::default() })
    }

    fn monotonic(&self) -> Duration {
        self.http.options().environment.monotonic()
    }

    /// What was read so far, however old.
    pub(super) fn at_hand(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what is needed to judge tokens, unless that was done today.
    ///
    /// # Errors
    /// When the authority does not answer, or not as documented, and nothing is known from before.
    pub async fn prefetch(&self) -> Result<(), Error> {
        self.known().await.map(drop)
    }

    /// What the authority published, from today; older when it does not answer now.
    pub(super) async fn known(&self) -> Result<Arc<Known>, Error> {
        let fresh = |known: &Arc<Known>| self.monotonic().saturating_sub(known.read) < FRESH;
        if let Some(known) = self.at_hand().filter(fresh) {
            return Ok(known);
        }
        let mut asked = self.asked.lock().await;
        // Somebody may have read it meanwhile
        if let Some(known) = self.at_hand().filter(fresh) {
            return Ok(known);
        }
        if let (Some(known), Some(last)) = (self.at_hand(), *asked)
            && self.monotonic().saturating_sub(last) < PAUSE
        {
            return Ok(known);
        }
        *asked = Some(self.monotonic());
        match self.read().await {
            Ok(known) => Ok(known),
            Err(error) => self.at_hand().ok_or(error),
        }
    }

    /// Reads the keys again because a token names one that is not among them; nothing when that was done a moment ago.
    pub(super) async fn again(&self, than: &Arc<Known>) -> Option<Arc<Known>> {
        let mut asked = self.asked.lock().await;
        if let Some(newer) = self.at_hand().filter(|known| !Arc::ptr_eq(known, than)) {
            return Some(newer);
        }
        if (*asked).is_some_and(|last| self.monotonic().saturating_sub(last) < PAUSE) {
            return None;
        }
        *asked = Some(self.monotonic());
        self.read().await.ok()
    }

    async fn read(&self) -> Result<Arc<Known>, Error> {
        let target = Target::new("").segment(&self.tenant).path(DISCOVERY);
        let none = Authorization::none();
        let answer = self.http.send(Call::get(DISCOVERY, target).about("discovery"), &none).await?;
        if !answer.is_success() {
            return Err(super::super::signin::read(&answer, "", &self.tenant).error);
        }
        let metadata: Metadata = answer.json()?;
        let base = self.http.options().base.as_str();
        let named = metadata.issuer.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
        let named = named.and_then(|rest| rest.strip_suffix("/v2.0"));
        let tenant_id = named
            .filter(|id| is_guid(id) && (!is_guid(&self.tenant) || id.eq_ignore_ascii_case(&self.tenant)))
            .ok_or_else(|| answer.invalid("its issuer is not that of the configured tenant"))?
            .to_owned();
        for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint] {
            self.http.options().base.resolve(endpoint, &answer.context)?;
        }
        let call = Call::get("/discovery/v2.0/keys", metadata.jwks_uri.clone()).about("signing keys");
        let answer = self.http.send(call, &none).await?;
        if !answer.is_success() {
            return Err(answer.unexpected());
        }
        let set: KeySet = answer.json()?;
        let mut by_kid = HashMap::new();
        for key in set.keys.iter().take(MOST_KEYS) {
            let text = |name: &str| key[name].as_str();
            if text("kty") != Some("RSA") || text("use").is_some_and(|of| of != "sig") {
                continue;
            }
            let (Some(kid), Some(n), Some(e)) = (text("kid"), text("n"), text("e")) else { continue };
            if let Ok(decoding) = DecodingKey::from_rsa_components(n, e) {
                by_kid.insert(kid.to_owned(), decoding);
            }
        }
        if by_kid.is_empty() {
            return Err(answer.invalid("it holds no RSA key"));
        }
        let usable: Vec<Value> = set
            .keys
            .into_iter()
            .filter(|key| key["kid"].as_str().is_some_and(|kid| by_kid.contains_key(kid)))
            .collect();
        let keys = serde_json::from_value(serde_json::json!({ "keys": usable }))
            .map_err(|_| answer.invalid("its keys have another shape than documented"))?;
        let known = Arc::new(Known {
            issuer: metadata.issuer,
            tenant_id,
            authorize: metadata.authorization_endpoint,
            token: metadata.token_endpoint,
            keys,
            by_kid,
            read: self.monotonic(),
        });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

/// Whether a text has the form of a GUID.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
