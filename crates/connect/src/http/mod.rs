//! The one HTTP client: every request to Entra ID, Graph, Jira and the organization API passes through here.
//!
//! What holds for all of them is decided here and nowhere else: to which origin a credential may go, how much is read,
//! what may be repeated and when, how fast requests leave, and what may be said about them in logs and errors.

mod budget;
mod client;
mod environment;
mod json;
mod meter;
mod options;
mod retry;
mod shared;
mod url;

use std::fmt;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

pub use client::Http;
pub(crate) use client::tls_error;
pub use environment::{Environment, SteppedEnvironment};
pub use meter::Meter;
pub use options::{HttpOptions, Patience};
pub(crate) use retry::{delay, parse_retry_after};
pub use shared::Shared;
pub use url::{BaseUrl, Target};

/// Which side a request counts for, and whose rules its limits and errors follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Entra sign-in and Microsoft Graph.
    Directory,
    /// Jira.
    Site,
    /// Organization and user management.
    Organization,
    /// Channels of alerts.
    Alerts,
}

impl Plane {
    /// The other side as a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "Microsoft",
            Self::Site => "Jira",
            Self::Organization => "the Atlassian organization",
            Self::Alerts => "the channel",
        }
    }
}

/// Whether a request may be sent again when its outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Reads, and writes that end in the same state however often they are made.
    Safe,
    /// Writes that would show twice (an invitation, a group): a lost answer is reported as unclear.
    Never,
}

/// A request to be made.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// What the limits of the other side are counted by, such as `/rest/api/3/group/user`.
    pub endpoint: &'static str,
    /// Path and query below the base address, percent-encoded (see [`Target`]), or an absolute link that the other side
    /// handed out (checked against the origin of the base address before anything is sent).
    pub target: String,
    /// JSON body.
    pub body: Option<serde_json::Value>,
    /// Extra headers, such as `ConsistencyLevel`.
    pub headers: Vec<(&'static str, String)>,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// The object it is about, for messages.
    pub object: String,
}

impl Call {
    /// A read.
    pub fn get(endpoint: &'static str, target: impl Into<String>) -> Self {
        Self::new(Method::GET, endpoint, target, Repeat::Safe)
    }

    /// A `POST` with a JSON body.
    pub fn post(
        endpoint: &'static str,
        target: impl Into<String>,
        body: serde_json::Value,
        repeat: Repeat,
    ) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, endpoint, target, repeat) }
    }

    /// A `POST` without a body: an act that ends in the same state however often it is made.
    pub fn act(endpoint: &'static str, target: impl Into<String>) -> Self {
        Self::new(Method::POST, endpoint, target, Repeat::Safe)
    }

    /// A `PUT` with a JSON body; ends in the same state however often it is made.
    pub fn put(endpoint: &'static str, target: impl Into<String>, body: serde_json::Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PUT, endpoint, target, Repeat::Safe) }
    }

    /// A `PATCH` with a JSON body that sets fields; ends in the same state however often it is made.
    pub fn patch(endpoint: &'static str, target: impl Into<String>, body: serde_json::Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PATCH, endpoint, target, Repeat::Safe) }
    }

    /// A `DELETE`; ends in the same state however often it is made.
    pub fn delete(endpoint: &'static str, target: impl Into<String>) -> Self {
        Self::new(Method::DELETE, endpoint, target, Repeat::Safe)
    }

    fn new(method: Method, endpoint: &'static str, target: impl Into<String>, repeat: Repeat) -> Self {
        let target = target.into();
        Self { method, endpoint, target, body: None, headers: Vec::new(), repeat, object: String::new() }
    }

    /// The same call, said of an object in messages.
    #[must_use]
    pub fn about(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    /// The same call with an extra header, which is no secret.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The value of an `Authorization` header, or none; never shown.
#[derive(Clone)]
pub struct Authorization(Option<SecretString>);

impl Authorization {
    /// No credential.
    pub fn none() -> Self {
        Self(None)
    }

    /// `Bearer`: access tokens of Entra, keys of an organization.
    pub fn bearer(token: &SecretString) -> Self {
        Self(Some(SecretString::from(format!("Bearer {}", token.expose_secret()))))
    }

    /// `Basic`: admin e-mail and API token of a site.
    pub fn basic(user: &str, password: &SecretString) -> Self {
        use base64::Engine as _;
        let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose_secret()));
        let encoded =
            zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()));
        Self(Some(SecretString::from(format!("Basic {}", *encoded))))
    }

    pub(crate) fn value(&self) -> Option<&str> {
        self.0.as_ref().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Authorization(redacted)" } else { "Authorization(none)" })
    }
}

/// An answer, whole: any status that is not retried or retried in vain comes here for the API's own reading, except
/// what no API reads differently: redirects, throttling and writes whose outcome is not known are errors already.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decoded, within the size limit.
    pub body: Bytes,
    /// Requests it took.
    pub attempts: u32,
    /// The request it answers, for errors.
    pub context: crate::Context,
}
