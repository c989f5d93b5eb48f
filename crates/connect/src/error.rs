//! What can go wrong between us and the other side, and what it means to a person.
//!
//! The transport knows its own failures; whatever an API says in its own words is read by that API's module, which
//! makes the [`Failure`] itself ([`Error::Reported`]). No variant holds a body, a header we sent or a query string.

use std::fmt;

use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;

use crate::http::Plane;

/// Which request an error is about. Carries no query string and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Whose rules apply.
    pub plane: Plane,
    /// Method.
    pub method: String,
    /// Endpoint by which limits are counted, such as `/users/delta`.
    pub endpoint: &'static str,
    /// The object it was about, as a person knows it; may be empty.
    pub object: String,
    /// Request id of the other side, for its support; absent when there was no answer.
    pub request_id: Option<String>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.method, self.endpoint, self.plane.name())?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

/// Everything that can fail in this crate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// An address, certificate file or option cannot be used.
    #[error("{what}")]
    Configuration {
        /// What is wrong, in a sentence.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// No answer, after all attempts: refused, reset, timed out, name not found.
    #[error("{context} did not answer after {attempts} attempts: {reason}")]
    Unreachable {
        /// Request.
        context: Box<Context>,
        /// Requests made.
        attempts: u32,
        /// Kind of fault, in words.
        reason: String,
    },
    /// A status that nobody has a reading for, or a server error until the attempts were used up.
    #[error("{context} answered with status {status} after {attempts} attempts")]
    Status {
        /// Request.
        context: Box<Context>,
        /// Status.
        status: u16,
        /// Requests made.
        attempts: u32,
    },
    /// A write was sent and its outcome is not known.
    #[error("the outcome of {context} is not known: {reason}")]
    Unclear {
        /// Request.
        context: Box<Context>,
        /// What happened, in words.
        reason: String,
    },
    /// The other side asks for a longer pause than a run may wait.
    #[error("{context} is throttled until {resume_at}: {reason}")]
    Throttled {
        /// Request.
        context: Box<Context>,
        /// When to go on.
        resume_at: Timestamp,
        /// The limit as the other side names it.
        reason: String,
    },
    /// A quota of the other side is used up: whatever is sent before its reset is refused.
    #[error("{context}: the quota {quota} is used up until {resume_at}")]
    Quota {
        /// Request.
        context: Box<Context>,
        /// The reset; at most a day ahead.
        resume_at: Timestamp,
        /// The quota as the other side names it.
        quota: String,
    },
    /// A link of an answer leads to another origin.
    #[error("an answer for {context} points to {host}, which is not the configured host")]
    ForeignLink {
        /// Request.
        context: Box<Context>,
        /// Where it points, host only.
        host: String,
    },
    /// The server answered with a redirect.
    #[error("{context} answered with a redirect to {host}")]
    Redirect {
        /// Request.
        context: Box<Context>,
        /// Where it points, host only.
        host: String,
    },
    /// The answer exceeds the limit.
    #[error("the answer of {context} is larger than {limit} bytes")]
    TooLarge {
        /// Request.
        context: Box<Context>,
        /// Limit, decoded bytes.
        limit: usize,
    },
    /// No trusted TLS connection.
    #[error("no trusted TLS connection for {context}: {reason}")]
    Tls {
        /// Request.
        context: Box<Context>,
        /// Why, in the words of the TLS library.
        reason: String,
    },
    /// The answer is not what the API documents.
    #[error("the answer of {context} is not usable: {reason}")]
    Invalid {
        /// Request.
        context: Box<Context>,
        /// What is wrong with it, without its content.
        reason: String,
    },
    /// A path that would reach another endpoint than the one it was written for.
    #[error("{context} was not sent: the address built for it is not a plain path below the base address")]
    UnsafeTarget {
        /// Request.
        context: Box<Context>,
    },
    /// What an API said, read by its own module.
    #[error("{0}")]
    Reported(Box<Failure>),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Reported(Box::new(failure))
    }
}

impl Error {
    /// The request that it is about, when there was one.
    pub fn context(&self) -> Option<&Context> {
        match self {
            Self::Unreachable { context, .. }
            | Self::Status { context, .. }
            | Self::Unclear { context, .. }
            | Self::Throttled { context, .. }
            | Self::Quota { context, .. }
            | Self::ForeignLink { context, .. }
            | Self::Redirect { context, .. }
            | Self::TooLarge { context, .. }
            | Self::Tls { context, .. }
            | Self::Invalid { context, .. }
            | Self::UnsafeTarget { context } => Some(context),
            Self::Configuration { .. } | Self::Reported(_) => None,
        }
    }

    /// The error as the engine, people and programs read it.
    pub fn failure(&self) -> Failure {
        if let Self::Reported(failure) = self {
            return (**failure).clone();
        }
        let plane = self.context().map(|c| c.plane);
        let pick = |directory, site, organization| match plane {
            Some(Plane::Directory) => directory,
            Some(Plane::Organization) => organization,
            Some(Plane::Site | Plane::Alerts) | None => site,
        };
        let (code, class, remedy) = match self {
            Self::Configuration { remedy, .. } => {
                (FailureCode::DocumentInvalid, FailureClass::Local, remedy.clone())
            }
            Self::Unreachable { .. } => (
                pick(
                    FailureCode::DirectoryUnavailable,
                    FailureCode::SiteUnavailable,
                    FailureCode::OrganizationUnavailable,
                ),
                FailureClass::Transient,
                "Run it again later; if it stays, check name resolution, firewall and proxy of this host".to_owned(),
            ),
            Self::Status { status, .. } if *status >= 500 || *status == 408 => (
                pick(
                    FailureCode::DirectoryUnavailable,
                    FailureCode::SiteUnavailable,
                    FailureCode::OrganizationUnavailable,
                ),
                FailureClass::Transient,
                "Run it again later; nothing has to be mended here".to_owned(),
            ),
            Self::Status { status, .. } => (
                pick(
                    FailureCode::DirectoryRequestInvalid,
                    FailureCode::SiteRefused,
                    FailureCode::OrganizationRefused,
                ),
                FailureClass::Connection,
                format!("Look at the address and the rights of the connection; status {status} is not expected here"),
            ),
            Self::Unclear { .. } => (
                FailureCode::WriteUnclear,
                FailureClass::Unclear,
                "Nothing has to be done: the next run looks it up before anything is repeated".to_owned(),
            ),
            Self::Throttled { resume_at, .. } | Self::Quota { resume_at, .. } => (
                pick(
                    FailureCode::DirectoryThrottled,
                    FailureCode::SiteThrottled,
                    FailureCode::OrganizationThrottled,
                ),
                FailureClass::Transient,
                format!("Run it again after {resume_at}"),
            ),
            Self::ForeignLink { .. } => (
                FailureCode::ForeignLink,
                FailureClass::Connection,
                "Check the configured addresses, and whether a proxy rewrites answers".to_owned(),
            ),
            Self::Redirect { .. } => (
                FailureCode::RedirectRefused,
                FailureClass::Connection,
                "Configure the address that the server really answers under".to_owned(),
            ),
            Self::TooLarge { .. } => (
                FailureCode::AnswerTooLarge,
                FailureClass::Connection,
                "Check that the configured address belongs to the cloud service".to_owned(),
            ),
            Self::Tls { .. } => (
                FailureCode::TlsFailed,
                FailureClass::Connection,
                "Check the address, the clock of this host, and the extra CA file if a proxy opens TLS".to_owned(),
            ),
            Self::Invalid { .. } => (
                pick(
                    FailureCode::DirectoryAnswerInvalid,
                    FailureCode::SiteAnswerInvalid,
                    FailureCode::OrganizationAnswerInvalid,
                ),
                FailureClass::Transient,
                "Run it again; if it stays, check whether a proxy or a login page answers in place of the service"
                    .to_owned(),
            ),
            Self::UnsafeTarget { .. } => (
                FailureCode::Internal,
                FailureClass::Object,
                "Look at the id of the object: it is no id of this service".to_owned(),
            ),
            Self::Reported(_) => unreachable!("returned above"),
        };
        let code = if plane == Some(Plane::Alerts) { FailureCode::AlertUndelivered } else { code };
        let mut failure = Failure::new(code, class, self.to_string(), remedy);
        if let Self::Quota { resume_at, .. } = self {
            failure = failure.until(*resume_at);
        }
        match self.context().map(|c| c.object.as_str()).filter(|o| !o.is_empty()) {
            Some(object) => failure.of(object),
            None => failure,
        }
    }
}
