//! When it runs by itself, whom it tells, and where people sign in.

use std::collections::BTreeMap;

use entrain_domain::alerts::ConcernKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::document::secret::Secret;

/// When the service runs the connection.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleSection {
    /// Time between runs, such as `15m` (the default); at least `1m`. Instead of `cron`.
    pub(crate) every: Option<String>,
    /// Five fields of cron: minute, hour, day of month, month, day of week. Instead of `every`.
    pub(crate) cron: Option<String>,
    /// IANA time zone of `cron` and `blackout`, such as `Europe/Berlin`; UTC when left out.
    pub(crate) time_zone: Option<String>,
    /// Time between full reads of both sides, such as `24h` (the default). In between, a run reads what changed in the
    /// directory since the one before; what people change by hand on the site shows in a full read, or with `--full`.
    pub(crate) full_every: Option<String>,
    /// Each start is put off by at most this much, such as `5m`, always the same for one connection and hour.
    pub(crate) jitter: Option<String>,
    /// Times at which no run begins, such as `["22:00-06:00", "sat,sun 00:00-24:00"]`; what falls into them begins at
    /// their end.
    #[serde(default)]
    pub(crate) blackout: Vec<String>,
}

/// Change notifications of Microsoft Graph.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotificationsSection {
    /// Whether `entrain serve` subscribes to them. It needs `--public-url`, an address that the internet reaches, and
    /// the permission `Group.Read.All` beside the usual ones.
    pub(crate) enabled: bool,
    /// So long after the last notification of a burst a run begins, such as `2s` (the default).
    pub(crate) quiet: Option<String>,
    /// So long after the first one it begins at the latest, such as `10s` (the default).
    pub(crate) longest_wait: Option<String>,
    /// So long after the schedule has found a change that no notification announced, notifications are taken for lost,
    /// such as `15m` (the default).
    pub(crate) loss_after: Option<String>,
}

/// Whom the service tells.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifySection {
    /// Time after which something is told again while nobody has acknowledged it, such as `24h` (the default); at least
    /// `15m`.
    pub(crate) repeat_every: Option<String>,
    /// The most letters over one channel in an hour (6 when left out); what cannot be said goes into the next.
    #[schemars(range(min = 1, max = 60))]
    pub(crate) per_hour: Option<u8>,
    /// What is told, unless a channel says otherwise: everything but `drift` when left out.
    pub(crate) about: Option<Vec<ConcernKind>>,
    /// Channels by name: small letters, digits and hyphens.
    pub(crate) channels: BTreeMap<String, ChannelSection>,
}

/// A channel over which people are told.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelSection {
    /// What it is.
    pub(crate) kind: ChannelKind,
    /// What is told over this channel, instead of `notify.about`.
    pub(crate) about: Option<Vec<ConcernKind>>,
    /// For `webhook`, `slack` and `teams`: the whole address, which is a secret. https only (http for this machine).
    pub(crate) url: Option<Secret>,
    /// For `webhook`: the secret with which it is signed (Standard Webhooks), `whsec_` and base64 of 24 to 64 random bytes.
    pub(crate) secret: Option<Secret>,
    /// For `email`: name of the mail server.
    pub(crate) host: Option<String>,
    /// For `email`: port of the mail server; 587 for `starttls`, 465 for `implicit`, 25 for `none` when left out.
    pub(crate) port: Option<u16>,
    /// For `email`: how the way to the mail server is protected.
    pub(crate) tls: Option<MailTlsWord>,
    /// For `email`: user at the mail server, together with `password`.
    pub(crate) user: Option<String>,
    /// For `email`: the user's password.
    pub(crate) password: Option<Secret>,
    /// For `email`: the sender, such as `Entrain <entrain@acme.example>`.
    pub(crate) from: Option<String>,
    /// For `email`: the addressees.
    pub(crate) to: Option<Vec<String>>,
}

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChannelKind {
    /// E-mail.
    Email,
    /// A POST of JSON, signed where there is a `secret`.
    Webhook,
    /// An incoming webhook of Slack.
    Slack,
    /// A workflow of Microsoft Teams: “when a Teams webhook request is received”.
    Teams,
}

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailTlsWord {
    /// Switched to TLS before anything else is said.
    #[default]
    Starttls,
    /// TLS from the first byte on.
    Implicit,
    /// None: a mail server on this machine only.
    None,
}

/// How the clouds are reached.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkSection {
    /// PEM file with further certificate authorities to trust, for networks that open TLS.
    pub(crate) ca_file: Option<String>,
    /// Address of an HTTP proxy, such as `http://proxy.example:3128`. Proxy variables of the environment are not read.
    pub(crate) proxy: Option<String>,
    /// How long one request may take, such as `60s`.
    pub(crate) timeout: Option<String>,
}

/// Ways in for the sync of one person.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DoorsSection {
    /// The access page `/access/{slug}`: people sign in with Entra ID, watch how their access is set up, and go on to Jira.
    pub(crate) access: Option<AccessSection>,
    /// The door `/doors/{slug}/token-issuance` for a custom authentication extension of Entra ID (event
    /// TokenIssuanceStart), which Entra ID calls while somebody signs in to the Atlassian application.
    pub(crate) token_issuance: Option<TokenIssuanceSection>,
    /// The door `/doors/{slug}/webhook` for any other broker of identities: Standard Webhooks, signed with HMAC-SHA256.
    pub(crate) webhook: Option<WebhookSection>,
}

/// The access page.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessSection {
    /// Application (client) id that people sign in to; that of `[directory]` when left out. Its redirect address is
    /// `<public URL>/access/{slug}/callback`.
    pub(crate) client_id: Option<String>,
    /// Client secret of that application: `env:NAME`, `file:PATH`, or the secret itself, which is sealed when stored. Only
    /// together with `client_id`.
    pub(crate) client_secret: Option<Secret>,
    /// Name of the company on the page; the connection's name when left out.
    #[schemars(length(min = 1, max = 60))]
    pub(crate) name: Option<String>,
    /// Colour of buttons, such as `#7a1f57`. White text on it must have a contrast of at least 4.5 to 1.
    pub(crate) accent: Option<String>,
    /// Whom people ask who get nothing: an e-mail address, an `https` address, or a short text.
    #[schemars(length(min = 1, max = 200))]
    pub(crate) contact: Option<String>,
    /// Address of the site as people open it, such as `https://acme.atlassian.net`; `site.url` when left out. Needed where
    /// `site.url` is a gateway address.
    pub(crate) destination: Option<String>,
}

/// The custom authentication extension.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenIssuanceSection {
    /// Application (client) id of the app registration that stands for the extension's API: the audience of the tokens that
    /// Entra ID calls with.
    pub(crate) client_id: String,
}

/// The signed webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookSection {
    /// Key of the signatures, as `whsec_` and 24 to 64 bytes in base64: `env:NAME`, `file:PATH`, or the key itself, which
    /// is sealed when stored.
    pub(crate) secret: Secret,
    /// The key before, which is taken as well while it is being changed.
    pub(crate) previous_secret: Option<Secret>,
}
