//! What `[notify]` means: channels, what is told over each, and how often.

use std::collections::BTreeMap;
use std::time::Duration;

use entrain_connect::alerts::{MailTls, can_sign, is_mailbox, mail_server, web_address};
use entrain_domain::alerts::ConcernKind;
use entrain_engine::alerts::{Channel, Settings};
use jiff::SignedDuration;
use secrecy::SecretString;

use super::secret::Absent;
use super::sections::{ChannelKind, ChannelSection, MailTlsWord, NotifySection};
use super::values::Reader;

/// Time after which something is told again, unless the document says otherwise.
const REPEAT_EVERY: SignedDuration = SignedDuration::from_hours(24);
const LEAST_REPEAT: Duration = Duration::from_mins(15);
/// Letters over one channel in an hour, unless the document says otherwise.
const PER_HOUR: u8 = 6;

/// `[notify]`, read.
#[derive(Debug, Clone)]
pub(crate) struct Notify {
    /// What is told when, over which channels.
    pub(crate) settings: Settings,
    /// How each channel is reached, its secrets aside.
    pub(crate) carriers: BTreeMap<String, Carrier>,
}

/// How a channel is reached.
#[derive(Debug, Clone)]
pub(crate) enum Carrier {
    /// E-mail.
    Email {
        /// Mail server.
        host: String,
        /// Its port.
        port: u16,
        /// How the way is protected.
        tls: MailTls,
        /// User, where the server asks for one.
        user: Option<String>,
        /// Sender.
        from: String,
        /// Addressees.
        to: Vec<String>,
    },
    /// A signed webhook.
    Webhook,
    /// Slack.
    Slack,
    /// Teams.
    Teams,
}

impl Carrier {
    /// The word of the document.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
        }
    }
}

/// Reads the section; every mistake is reported.
pub(super) fn read(reader: &mut Reader<'_>, s: &NotifySection) -> Notify {
    let repeat_every = reader.span("notify.repeat_every", s.repeat_every.as_deref(), LEAST_REPEAT);
    let repeat_every =
        repeat_every.and_then(|time| SignedDuration::try_from(time).ok()).unwrap_or(REPEAT_EVERY);
    let usual = || ConcernKind::ALL.into_iter().filter(|kind| *kind != ConcernKind::Drift).collect();
    let general: Vec<ConcernKind> = s.about.clone().unwrap_or_else(usual);
    let mut channels = Vec::new();
    let mut carriers = BTreeMap::new();
    for (name, section) in &s.channels {
        let key = format!("notify.channels.{name}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            reader.found(
                &key,
                "is not the name of a channel",
                "write small letters, digits and hyphens, at most 40, such as [notify.channels.on-call]",
            );
            continue;
        }
        if let Some(carrier) = carrier(reader, &key, section) {
            let about = section.about.as_ref().unwrap_or(&general).iter().copied().collect();
            channels.push(Channel { name: name.clone(), about });
            carriers.insert(name.clone(), carrier);
        }
    }
    let per_hour = usize::from(s.per_hour.unwrap_or(PER_HOUR));
    Notify { settings: Settings { repeat_every, per_hour, channels }, carriers }
}

fn carrier(reader: &mut Reader<'_>, key: &str, s: &ChannelSection) -> Option<Carrier> {
    let of_mail = [
        ("host", s.host.is_some()),
        ("port", s.port.is_some()),
        ("tls", s.tls.is_some()),
        ("user", s.user.is_some()),
        ("password", s.password.is_some()),
        ("from", s.from.is_some()),
        ("to", s.to.is_some()),
    ];
    let of_web = [("url", s.url.is_some()), ("secret", s.secret.is_some())];
    let foreign: &[(&str, bool)] = match s.kind {
        ChannelKind::Email => &of_web,
        ChannelKind::Webhook => &of_mail,
        ChannelKind::Slack | ChannelKind::Teams => {
            if s.secret.is_some() {
                reader.found(
                    &format!("{key}.secret"),
                    "means nothing here",
                    "take it out: only webhooks are signed",
                );
            }
            &of_mail
        }
    };
    for (name, _) in foreign.iter().filter(|(_, given)| *given) {
        let what = if s.kind == ChannelKind::Email { "is for web addresses" } else { "is for e-mail" };
        reader.found(&format!("{key}.{name}"), what, "take it out, or give the channel another kind");
    }
    if s.kind != ChannelKind::Email && s.url.is_none() {
        reader.found(&format!("{key}.url"), "is missing", format!("add url = \"env:…\" below [{key}]"));
        return None;
    }
    match s.kind {
        ChannelKind::Email => email(reader, key, s),
        ChannelKind::Webhook => Some(Carrier::Webhook),
        ChannelKind::Slack => Some(Carrier::Slack),
        ChannelKind::Teams => Some(Carrier::Teams),
    }
}

fn email(reader: &mut Reader<'_>, key: &str, s: &ChannelSection) -> Option<Carrier> {
    let mut missing = |name: &str, example: &str| {
        reader.found(&format!("{key}.{name}"), "is missing", format!("add {name} = {example} below [{key}]"));
    };
    if s.host.is_none() {
        missing("host", "\"smtp.…\"");
    }
    if s.from.is_none() {
        missing("from", "\"Entrain <…@…>\"");
    }
    if s.to.as_ref().is_none_or(Vec::is_empty) {
        missing("to", "[\"…@…\"]");
    }
    let (host, from, to) = (s.host.clone()?, s.from.clone()?, s.to.clone().filter(|to| !to.is_empty())?);
    match (&s.user, &s.password) {
        (Some(_), None) => {
            reader.found(&format!("{key}.password"), "is missing", "add password = \"env:…\" beside user");
        }
        (None, Some(_)) => {
            reader.found(&format!("{key}.user"), "is missing", "add user = \"…\" beside password");
        }
        _ => {}
    }
    if !is_mailbox(&from) {
        reader.found(
            &format!("{key}.from"),
            "is no e-mail address",
            "write it as name@host, or Name <name@host>",
        );
    }
    for (at, _) in to.iter().enumerate().filter(|(_, to)| !is_mailbox(to)) {
        reader.found(
            &format!("{key}.to[{at}]"),
            "is no e-mail address",
            "write it as name@host, or Name <name@host>",
        );
    }
    let (tls, usual) = match s.tls.unwrap_or_default() {
        MailTlsWord::Starttls => (MailTls::StartTls, 587),
        MailTlsWord::Implicit => (MailTls::Implicit, 465),
        MailTlsWord::None => (MailTls::None, 25),
    };
    let port = s.port.unwrap_or(usual);
    match mail_server(&host, port) {
        Err(_) => reader.found(
            &format!("{key}.host"),
            "is not the name of a mail server, or an address of a private network",
            "write its name alone, such as smtp.acme.example",
        ),
        Ok(server) if tls == MailTls::None && !server.is_loopback() => reader.found(
            &format!("{key}.tls"),
            "is none, and the mail server is not on this machine",
            "write starttls or implicit",
        ),
        Ok(_) => {}
    }
    Some(Carrier::Email { host, port, tls, user: s.user.clone(), from, to })
}

/// Whether the secret of a channel is one that can be used. Says nothing of the secret itself.
pub(super) fn usable(key: &str, value: &SecretString) -> Result<(), Absent> {
    if !key.starts_with("notify.channels.") {
        return Ok(());
    }
    if key.rsplit('.').next() == Some("url")
        && let Err(error) = web_address(value)
    {
        let failure = error.failure();
        let what =
            failure.message.rsplit_once("cannot be used: ").map_or(failure.message.as_str(), |(_, why)| why);
        return Err(Absent {
            what: format!("cannot be used: {what}"),
            remedy: "copy the address again from where the webhook was made: https://host/…".into(),
        });
    }
    if key.ends_with(".secret") && !can_sign(value) {
        return Err(Absent {
            what: "is no secret that can sign".into(),
            remedy: "write whsec_ and base64 of 24 to 64 random bytes".into(),
        });
    }
    Ok(())
}
