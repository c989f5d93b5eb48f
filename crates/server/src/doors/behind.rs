//! What doors need from behind them, beside the [`Service`](crate::service::Service): what is configured, and the
//! sign-in service. The binary implements it over the documents and the client of Entra ID.

use std::sync::Arc;

use entrain_domain::Failure;
use entrain_domain::model::RunId;
use entrain_engine::ports::Progress;
use jiff::Timestamp;
use secrecy::SecretString;

use super::Destination;
use crate::service::Answer;

/// The doors of one connection.
#[derive(Debug)]
pub struct Doors {
    /// The connection.
    pub connection: String,
    /// Its name in addresses, percent-encoded where it has to be.
    pub slug: String,
    /// The access page.
    pub access: Option<AccessDoor>,
    /// The custom authentication extension.
    pub token_issuance: Option<TokenIssuanceDoor>,
    /// The signed webhook.
    pub webhook: Option<WebhookDoor>,
}

/// The access page.
#[derive(Debug)]
pub struct AccessDoor {
    /// Name of the company, above the page.
    pub name: String,
    /// Colour of buttons, as `#rrggbb`; Entrain's own when absent.
    pub accent: Option<String>,
    /// Whom people ask who get nothing.
    pub contact: Option<Contact>,
    /// Where people go on to.
    pub destination: Destination,
    /// Address under which people reach the service, without a slash at its end.
    pub public_url: String,
}

/// Whom people ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// An e-mail address.
    Mail(String),
    /// A page.
    Page(String),
    /// Anything else, as it is shown.
    Text(String),
}

/// The custom authentication extension. Its tokens are judged behind [`Behind::check_caller`].
#[derive(Debug)]
pub struct TokenIssuanceDoor;

/// The signed webhook.
#[derive(Debug)]
pub struct WebhookDoor {
    /// Keys, decoded: the one in use, and the one before while it is being changed.
    pub keys: Vec<SecretKey>,
}

/// A decoded key of a webhook.
pub struct SecretKey(secrecy::SecretBox<[u8]>);

impl SecretKey {
    /// Keeps a decoded key.
    pub fn new(key: Vec<u8>) -> Self {
        Self(secrecy::SecretBox::new(key.into_boxed_slice()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        use secrecy::ExposeSecret as _;
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What comes back with the code.
    pub state: String,
    /// What is needed to finish it; a secret until then.
    pub kept: SecretString,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Object id in the directory.
    pub id: String,
    /// Name, for display.
    pub name: Option<String>,
    /// Usually the user principal name, for display.
    pub username: Option<String>,
}

/// Somebody who came through a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Object id, user principal name or address.
    pub who: String,
    /// Their address, where the door knows it.
    pub address: Option<String>,
    /// Which door, for the audit log.
    pub by: &'static str,
}

/// What the sync of somebody came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// Its run, if there is one.
    pub run: Option<RunId>,
    /// How it ended.
    pub ending: Ending,
}

/// How the sync of somebody ended, for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// They can go on. So many of the things that they are entitled to are still missing.
    Ready {
        /// How many.
        waiting: usize,
    },
    /// They get nothing; whether they are known is not told.
    Nothing,
    /// Somebody has to look at it; why stands in the log.
    Held {
        /// Why, for the log.
        why: String,
    },
    /// It can be tried again; why stands in the log.
    Later {
        /// Why, for the log.
        why: String,
    },
}

impl Synced {
    /// A word for how a sync came out, for figures.
    pub(super) fn word(result: &Result<Self, Failure>) -> &'static str {
        match result.as_ref().map(|synced| &synced.ending) {
            Ok(Ending::Ready { .. }) => "ready",
            Ok(Ending::Nothing) => "nothing",
            Ok(Ending::Held { .. }) => "held",
            Ok(Ending::Later { .. }) => "later",
            Err(_) => "failed",
        }
    }
}

/// A call that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What tells its token from others.
    pub token: String,
    /// Until when the token is good.
    pub expires: Timestamp,
    /// The tenant.
    pub tenant: String,
}

/// What stands behind the doors.
pub trait Behind: Send + Sync {
    /// The doors of the connection of this slug; none where there is no such connection, or it has none.
    fn doors<'a>(&'a self, slug: &'a str) -> Answer<'a, Option<Arc<Doors>>>;
    /// Begins a sign-in of a person.
    fn begin<'a>(&'a self, connection: &'a str) -> Answer<'a, Begun>;
    /// Finishes it with the code that came back.
    fn finish<'a>(&'a self, connection: &'a str, kept: &'a SecretString, code: &'a str)
    -> Answer<'a, Person>;
    /// Judges the token of a call of the custom authentication extension. Never waits long.
    fn check_caller<'a>(&'a self, connection: &'a str, token: &'a str) -> Answer<'a, Caller>;
    /// Syncs somebody, under the budget of sign-ins. Somebody unknown is an ending, no failure.
    fn sync<'a>(
        &'a self,
        connection: &'a str,
        arrival: Arrival,
        progress: Arc<dyn Progress>,
    ) -> Answer<'a, Synced>;
    /// Seals a text for a purpose, so that it can be given away: whoever holds it can neither read nor change it.
    ///
    /// # Errors
    /// When there are no random numbers.
    fn seal(&self, purpose: &str, text: &SecretString) -> Result<String, Failure>;
    /// Opens what was sealed for this purpose, also by another server over the same database.
    fn open(&self, purpose: &str, sealed: &str) -> Option<SecretString>;
}
