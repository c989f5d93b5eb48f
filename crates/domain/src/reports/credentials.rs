//! Credentials and the day on which they end: a sync that stops because a secret expired is noticed when people already
//! wait for access.

use jiff::Timestamp;

/// A credential is warned about so many days before it ends.
pub const WARN_DAYS: i64 = 30;

/// A credential of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is, in words.
    pub what: &'static str,
    /// The key of the connection document that names it.
    pub key: &'static str,
    /// When it ends.
    pub expiry: Expiry,
    /// What to do when it is about to end, or when nobody knows.
    pub renew: &'static str,
}

/// When a credential ends, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiry {
    /// It was read where it is kept.
    Read(Timestamp),
    /// The document says so.
    Told(Timestamp),
    /// Neither can it be read nor does the document say.
    Unknown,
    /// It does not end, or renews itself.
    Never,
}

/// How a credential stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialState {
    /// Over.
    Expired,
    /// Ends within [`WARN_DAYS`].
    Soon,
    /// Nobody knows.
    Unknown,
    /// Good for longer.
    Good,
}

impl CredentialState {
    /// The word of the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Soon => "soon",
            Self::Unknown => "unknown",
            Self::Good => "good",
        }
    }
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CredentialRow {
    /// What it is.
    pub credential: &'static str,
    /// The key of the connection document.
    pub key: &'static str,
    /// How it stands.
    pub state: CredentialState,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whole days until then; negative when it is over.
    pub days_left: Option<i64>,
    /// Who says so: `certificate`, `document`, or nobody.
    pub source: &'static str,
    /// What to do, where there is something to do.
    pub remedy: &'static str,
}

/// One row per credential, the most urgent first.
pub fn credentials(credentials: &[Credential], now: Timestamp) -> Vec<CredentialRow> {
    let mut rows: Vec<CredentialRow> = credentials
        .iter()
        .map(|credential| {
            let (expires, source) = match credential.expiry {
                Expiry::Read(at) => (Some(at), "certificate"),
                Expiry::Told(at) => (Some(at), "document"),
                Expiry::Unknown => (None, "nobody"),
                Expiry::Never => (None, "does not expire"),
            };
            let days_left = expires.map(|at| (at.as_second() - now.as_second()).div_euclid(24 * 60 * 60));
            let state = match (&credential.expiry, days_left) {
                (Expiry::Never, _) => CredentialState::Good,
                (_, None) => CredentialState::Unknown,
                (_, Some(days)) if days < 0 => CredentialState::Expired,
                (_, Some(days)) if days <= WARN_DAYS => CredentialState::Soon,
                (_, Some(_)) => CredentialState::Good,
            };
            let remedy = if state == CredentialState::Good { "" } else { credential.renew };
            CredentialRow {
                credential: credential.what,
                key: credential.key,
                state,
                expires,
                days_left,
                source,
                remedy,
            }
        })
        .collect();
    rows.sort_by_key(|row| (row.state, row.expires, row.key));
    rows
}
