//! Alerts on their way to people: e-mail, signed webhooks, Slack and Microsoft Teams. One letter, four looks.
//!
//! A webhook's whole address is a secret: whoever knows it may post. It is in no error, log or count. Names that people
//! gave to groups and connections are escaped for each look, and can neither add a header nor a mention nor a link.

mod chat;
mod email;
mod text;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use entrain_domain::alerts::Letter;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Position, Url};

use crate::Error;
use crate::http::{BaseUrl, Environment, Http, HttpOptions, Meter, Patience, Plane};

pub use email::{Email, MailTls};

/// A channel, with everything that is needed to send a letter over it.
#[derive(Debug, Clone)]
pub enum Channel {
    /// E-mail.
    Email(Email),
    /// A web address that takes letters.
    Web {
        /// Its whole address.
        url: SecretString,
        /// How letters look.
        form: WebForm,
    },
}

/// How a letter looks to a web address.
#[derive(Debug, Clone)]
pub enum WebForm {
    /// JSON of our own, signed where there is a secret.
    Webhook(Option<SecretString>),
    /// An incoming webhook of Slack.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
}

/// How channels are reached.
#[derive(Clone)]
pub struct Network {
    /// More certificate authorities than the host's own, as PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// HTTP proxy for web addresses.
    pub proxy: Option<String>,
    /// Time and chance.
    pub environment: Arc<dyn Environment>,
    /// Where the console is reached, without a slash at its end; links are left out without it.
    pub public_url: Option<String>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

/// Letters are tried again by whoever writes them; one try is short.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    read: Duration::from_secs(15),
    attempt: Duration::from_secs(20),
    attempts: 2,
    throttled_attempts: 2,
    pause: Duration::from_secs(5),
    pauses: Duration::from_secs(10),
    base_delay: Duration::from_secs(1),
};
/// Nobody has much to say to a letter.
const BODY_LIMIT: usize = 256 * 1024;

/// Sends a letter; returns when the other side has taken it.
///
/// # Errors
/// Whatever kept the letter: nothing of the channel's address, user or secret is in it but a host's name.
pub async fn send(channel: &Channel, letter: &Letter, network: &Network) -> Result<(), Error> {
    match channel {
        Channel::Email(email) => email.send(letter, network).await,
        Channel::Web { url, form } => {
            let (base, target) = web_address(url)?;
            let plane = Plane::Alerts;
            let mut options =
                HttpOptions::new(base, plane, Arc::new(Meter::new()), network.environment.clone());
            options.patience = PATIENCE;
            options.body_limit = BODY_LIMIT;
            options.extra_ca_pem.clone_from(&network.extra_ca_pem);
            options.proxy.clone_from(&network.proxy);
            webhook::post(&Http::new(options)?, target, form, letter, network).await
        }
    }
}

/// Takes a web address apart: the origin, which may be named, and the rest, which may not.
///
/// # Errors
/// `Error::Configuration`, without the address, when it cannot be used: not https (or http on this machine), with user
/// information or a fragment, or a literal address of a private, link-local or metadata range (O-03).
pub fn web_address(url: &SecretString) -> Result<(BaseUrl, String), Error> {
    let refuse = |what: &str| Error::Configuration {
        what: format!("the address of the channel cannot be used: {what}"),
        remedy: "copy it again from where the webhook was made: https://host/…".to_owned(),
    };
    let parsed = Url::parse(url.expose_secret()).map_err(|_| refuse("it is not an address"))?;
    if !parsed.has_host() {
        return Err(refuse("it names no host"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some() {
        return Err(refuse("it carries a user name, password or fragment"));
    }
    let base = BaseUrl::parse(&parsed[..Position::BeforePath])?;
    Ok((base, parsed[Position::BeforePath..].to_owned()))
}

/// Whether a secret can sign webhooks: base64 of 16 to 128 bytes, behind `whsec_` or alone.
pub fn can_sign(secret: &SecretString) -> bool {
    webhook::signing_key(secret).is_some()
}

/// Whether a text is an address of e-mail, with or without a name before it.
pub fn is_mailbox(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<lettre::message::Mailbox>().is_ok()
}

/// Whether a mail server of this name may be spoken to: a name, or an address of no private range (O-03).
///
/// # Errors
/// `Error::Configuration` when it may not.
pub fn mail_server(host: &str, port: u16) -> Result<BaseUrl, Error> {
    let refuse = || Error::Configuration {
        what: "the mail server is not the name of a host".to_owned(),
        remedy: "write its name alone, such as smtp.acme.example".to_owned(),
    };
    if host.contains(['/', '@', '?', '#', ' ']) {
        return Err(refuse());
    }
    BaseUrl::parse(&format!("https://{host}:{port}"))
}
