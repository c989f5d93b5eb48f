//! Access tokens: one request at a time, kept until shortly before they expire, renewed once when refused (N-11).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entrain_domain::{Failure, FailureClass, FailureCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::credential::{self, AssertionForm, Credential};
use super::{EntraOptions, signin};
use crate::Error;
use crate::http::{Answer, Authorization, BaseUrl, Call, Http, HttpOptions, Plane, Repeat, Target};

const TOKEN: &str = "/oauth2/v2.0/token";
const METADATA: &str = "/metadata/identity/oauth2/token";
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A token is renewed so long before it expires, or at half its life when it is shorter.
const EARLY: Duration = Duration::from_mins(5);
/// A refusal by configuration is not asked for again before this, however many callers there are.
const REFUSAL_KEPT: Duration = Duration::from_secs(30);

/// A token with the number that tells it from its successors.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) generation: u64,
    pub(super) authorization: Authorization,
    secret: SecretString,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.generation)
    }
}

impl Token {
    /// The roles named in the token: a hint only, for it is opaque by contract (microsoft-graph.md 1.6).
    pub(super) fn roles(&self) -> Vec<String> {
        use base64::Engine as _;
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default)]
            roles: Vec<String>,
        }
        let claims = self.secret.expose_secret().split('.').nth(1).unwrap_or_default();
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(claims)
            .ok()
            .and_then(|json| serde_json::from_slice::<Claims>(&json).ok())
            .map(|claims| claims.roles)
            .unwrap_or_default()
    }
}

/// The sign-in of an application: its token, or why it has none.
#[derive(Default)]
pub(super) struct State {
    generation: u64,
    held: Option<Held>,
    refused: Option<(Duration, Error)>,
    form: Option<AssertionForm>,
}

struct Held {
    token: Token,
    fetched: Duration,
    renew_at: Duration,
    expires: Duration,
    /// It was fetched because Graph refused its predecessor.
    replacement: bool,
}

/// Where tokens come from.
pub(super) struct Tokens {
    options: Arc<EntraOptions>,
    http: Http,
    state: Arc<Mutex<State>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    /// A number from the token endpoint, a string from the metadata service.
    expires_in: Seconds,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn get(&self) -> Option<u64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

impl Tokens {
    pub(super) fn new(options: Arc<EntraOptions>, http: &HttpOptions) -> Result<Self, Error> {
        let base = match &options.credential {
            Credential::ManagedIdentity { address, .. } => BaseUrl::metadata(address)?,
            _ => BaseUrl::parse(&options.authority_url)?,
        };
        let mut http = HttpOptions { base, plane: Plane::Directory, ..http.clone() };
        if matches!(options.credential, Credential::ManagedIdentity { .. }) {
            http.proxy = None;
        }
        let state = options.sessions.of(&options);
        Ok(Self { options, http: Http::new(http)?, state })
    }

    fn now(&self) -> Duration {
        self.http.options().environment.monotonic()
    }

    /// A token that is good for a while. Callers wait for the one request that is under way.
    pub(super) async fn get(&self) -> Result<Token, Error> {
        let mut state = self.state.lock().await;
        let now = self.now();
        if let Some(held) = &state.held
            && now < held.renew_at
        {
            return Ok(held.token.clone());
        }
        match self.fetch(&mut state, Replaces::Expired).await {
            Ok(token) => Ok(token),
            Err(error) => match &mut state.held {
                // Entra ID is down for a moment, but the token in hand is still good.
                Some(held) if now < held.expires => {
                    held.renew_at = (now + REFUSAL_KEPT).min(held.expires);
                    Ok(held.token.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Another token in place of one that Graph refused; `None` when that one was itself a fresh replacement.
    pub(super) async fn replace(&self, refused: u64) -> Result<Option<Token>, Error> {
        let mut state = self.state.lock().await;
        if let Some(held) = &state.held {
            if held.token.generation != refused {
                return Ok(Some(held.token.clone()));
            }
            if held.replacement && self.now().saturating_sub(held.fetched) < EARLY {
                return Ok(None);
            }
        }
        self.fetch(&mut state, Replaces::Refused).await.map(Some)
    }

    /// Graph refused something to the holder of this token. Its permissions are those of the time when it was made: the
    /// next caller gets another one, unless this one is fresh.
    pub(super) async fn doubt(&self, refused: u64) {
        let (mut state, now) = (self.state.lock().await, self.now());
        if let Some(held) = &mut state.held
            && held.token.generation == refused
            && now.saturating_sub(held.fetched) >= EARLY
        {
            held.renew_at = now;
        }
    }

    async fn fetch(&self, state: &mut State, why: Replaces) -> Result<Token, Error> {
        if let Some((at, error)) = &state.refused {
            if self.now().saturating_sub(*at) < REFUSAL_KEPT {
                return Err(error.clone());
            }
            state.refused = None;
        }
        let result = match &self.options.credential {
            Credential::ManagedIdentity { client_id, .. } => self.managed(client_id.as_deref()).await,
            _ => self.signed_in(state).await,
        };
        let (granted, answered) = match result {
            Ok(granted) => (granted, self.now()),
            Err(error) => {
                if error.failure().class == FailureClass::Connection {
                    state.refused = Some((self.now(), error.clone()));
                }
                return Err(error);
            }
        };
        let life = Duration::from_secs(granted.expires_in.get().unwrap_or(0));
        if life.is_zero() || granted.access_token.expose_secret().is_empty() {
            let failure = Failure::new(
                FailureCode::DirectoryAnswerInvalid,
                FailureClass::Transient,
                "the token that Entra ID gave has no life or no content",
                "Run it again; if it stays, check the address of the authority",
            );
            return Err(failure.into());
        }
        state.generation += 1;
        let token = Token {
            generation: state.generation,
            authorization: Authorization::bearer(&granted.access_token),
            secret: granted.access_token,
        };
        state.held = Some(Held {
            token: token.clone(),
            fetched: answered,
            renew_at: answered + life.saturating_sub(EARLY).max(life / 2),
            expires: answered + life,
            replacement: why == Replaces::Refused,
        });
        Ok(token)
    }

    async fn signed_in(&self, state: &mut State) -> Result<Granted, Error> {
        let forms: &[AssertionForm] = match (&self.options.credential, state.form) {
            (Credential::Certificate { .. }, None) => &[AssertionForm::Current, AssertionForm::Older],
            (Credential::Certificate { .. }, Some(AssertionForm::Older)) => &[AssertionForm::Older],
            _ => &[AssertionForm::Current],
        };
        let mut last = None;
        for form in forms {
            let answer = self.request(*form).await?;
            if answer.is_success() {
                state.form = Some(*form);
                return answer.json();
            }
            let refusal = signin::read(&answer, &self.options.client_id, &self.options.tenant_id);
            let again = refusal.code == Some(700_027);
            // The first refusal is the one to report: the second form is only a second try.
            last.get_or_insert(refusal.error);
            if !again {
                break;
            }
        }
        Err(last.expect("there is at least one form"))
    }

    async fn request(&self, form: AssertionForm) -> Result<Answer, Error> {
        let options = &*self.options;
        let target = Target::new("").segment(&options.tenant_id).path(TOKEN);
        let environment = &self.http.options().environment;
        let mut call = Call::post(TOKEN, target, serde_json::Value::Null, Repeat::Safe);
        call.body = None;
        let call = call.about(format!("application {}", options.client_id));
        let common = [
            ("client_id", options.client_id.as_str()),
            ("scope", options.scope.as_str()),
            ("grant_type", "client_credentials"),
        ];
        let assertion = match &options.credential {
            Credential::Secret(secret) => {
                let mut form = common.to_vec();
                form.push(("client_secret", secret.expose_secret()));
                return self.http.send_form(call, &form).await;
            }
            Credential::Certificate { certificate_pem, key_pem } => {
                let authority = self.http.options().base.as_str();
                let audience = format!("{authority}/{}{TOKEN}", options.tenant_id);
                let (jti, now) = (environment.guid(), environment.now());
                let client_id = &options.client_id;
                credential::assertion(form, certificate_pem, key_pem, &audience, client_id, &jti, now)?
            }
            Credential::FederatedTokenFile(path) => credential::federated_token(path).await?,
            Credential::ManagedIdentity { .. } => unreachable!("managed identities have their own request"),
        };
        let mut form = common.to_vec();
        form.push(("client_assertion_type", ASSERTION_TYPE));
        form.push(("client_assertion", &assertion));
        self.http.send_form(call, &form).await
    }

    /// The metadata service of the machine: 404 and 410 mean that it is starting or updating (1.5).
    async fn managed(&self, client_id: Option<&str>) -> Result<Granted, Error> {
        let resource = self.options.scope.strip_suffix(".default").unwrap_or(&self.options.scope);
        let mut target = Target::new(METADATA).query("api-version", "2018-02-01").query("resource", resource);
        if let Some(id) = client_id {
            target = target.query("client_id", id);
        }
        let mut delays = [2, 6, 14, 48].into_iter();
        loop {
            let call = Call::get(METADATA, target.clone()).header("metadata", "true");
            let answer = self.http.send(call, &Authorization::none()).await?;
            if answer.is_success() {
                return answer.json();
            }
            match (answer.status, delays.next()) {
                (404 | 410, Some(seconds)) => {
                    self.http.options().environment.sleep(Duration::from_secs(seconds)).await;
                }
                (404 | 410 | 500.., _) => return Err(answer.unexpected()),
                (status, _) => {
                    let failure = Failure::new(
                        FailureCode::DirectoryCredentialRefused,
                        FailureClass::Connection,
                        format!(
                            "the machine has no managed identity that may be used here (status {status})"
                        ),
                        "Assign an identity to the machine, and name its client id when there are several",
                    );
                    return Err(failure.into());
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaces {
    Expired,
    Refused,
}
