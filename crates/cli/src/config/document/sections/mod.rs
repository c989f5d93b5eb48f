//! The connection document, one struct per section. The doc comments are the reference
//! (`docs/reference/configuration.md` and `entrain connection schema` are generated from them).

mod attributes;
mod groups;
mod guards;
mod scope;
mod service;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

pub(crate) use attributes::{AttributesSection, Field, WhenWritten};
pub(crate) use groups::{ExistingGroups, GroupsSection, Mode, Nesting};
pub(crate) use guards::{
    KindLimit, LeaverAccounts, LeaversSection, LimitsSection, ProtectedSection, RungsSection, SeatsSection,
};
pub(crate) use scope::{GuestsWord, ScopeSection, Users};
pub(crate) use service::{
    AccessSection, ChannelKind, ChannelSection, DoorsSection, MailTlsWord, NetworkSection,
    NotificationsSection, NotifySection, ScheduleSection,
};

/// A connection: one directory bound to one site, under a unique name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sections {
    /// Unique name of the connection. Links, ledger and runs belong to it.
    #[schemars(length(min = 1, max = 100))]
    pub(crate) name: String,
    /// Microsoft Entra ID: where people and groups come from. Exactly one kind of credential is given.
    pub(crate) directory: DirectorySection,
    /// The Jira Cloud site: where they go.
    pub(crate) site: SiteSection,
    /// What Entrain may do on the site.
    #[serde(default)]
    pub(crate) operations: OperationsSection,
    /// Which groups and people of the directory take part.
    pub(crate) scope: ScopeSection,
    /// When `entrain serve` runs the connection by itself; `entrain sync` runs at once whatever stands here.
    #[serde(default)]
    pub(crate) schedule: ScheduleSection,
    /// Change notifications of Microsoft Graph: runs begin within seconds of a change. The schedule goes on beside them.
    #[serde(default)]
    pub(crate) notifications: NotificationsSection,
    /// How groups are named and bound, and what may be taken out of them.
    #[serde(default)]
    pub(crate) groups: GroupsSection,
    /// Which attributes of the directory go to the site. See `entrain attributes`, which shows the result for one person.
    #[serde(default)]
    pub(crate) attributes: AttributesSection,
    /// Limits that hold a plan for a person's approval. A limit is exceeded when more than the percentage *and* more
    /// than the number of objects are affected.
    #[serde(default)]
    pub(crate) limits: LimitsSection,
    /// What becomes of people who have left: disabled or deleted in the directory, or out of scope. They are out of every
    /// managed group in the same run; each further rung is taken so long after, and a rung without a time is off.
    #[serde(default)]
    pub(crate) leavers: LeaversSection,
    /// Seats that may be taken, and who goes first when they run out. No step takes one beyond it, whoever approves; people
    /// wait in line, and get in by themselves when a seat is free.
    #[serde(default)]
    pub(crate) seats: SeatsSection,
    /// What is never touched, beyond the technical account and the administrators' groups, which Entrain finds itself.
    #[serde(default)]
    pub(crate) protected: ProtectedSection,
    /// Whom `entrain serve` tells when the connection needs people, how often, and over which channels.
    #[serde(default)]
    pub(crate) notify: NotifySection,
    /// Ways in for the sync of one person at the moment they sign in, open while `entrain serve` runs. Each door is there
    /// when its section is. What they do goes through the same rules and guards as a run; in preview they write nothing.
    #[serde(default)]
    pub(crate) doors: DoorsSection,
    /// How the clouds are reached.
    #[serde(default)]
    pub(crate) network: NetworkSection,
}

/// Microsoft Entra ID.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectorySection {
    /// Directory (tenant) id: a GUID, or a verified domain of the tenant.
    pub(crate) tenant_id: String,
    /// Application (client) id of the app registration.
    pub(crate) client_id: Option<String>,
    /// Client secret of the app registration: `env:NAME`, `file:PATH`, or the secret itself, which is sealed when
    /// stored.
    pub(crate) client_secret: Option<Secret>,
    /// Day on which the client secret ends, such as `2027-01-31`: it is not asked of Entra ID, which would take a further
    /// permission. `entrain report credentials` and `entrain check` warn 30 days ahead.
    pub(crate) client_secret_expires: Option<String>,
    /// PEM file of a certificate that is registered with the application; together with `private_key_file`.
    pub(crate) certificate_file: Option<String>,
    /// PEM file of the certificate's private key, not encrypted.
    pub(crate) private_key_file: Option<String>,
    /// The certificate itself, as PEM, in place of `certificate_file`; together with `private_key`.
    pub(crate) certificate: Option<String>,
    /// The certificate's private key, PEM, not encrypted: `env:NAME`, `file:PATH`, or the key itself, which is sealed when
    /// stored.
    pub(crate) private_key: Option<Secret>,
    /// File with a token of an identity provider that the application trusts (workload identity federation). It is
    /// read again for every new token.
    pub(crate) federated_token_file: Option<String>,
    /// Takes tokens from the managed identity of the Azure machine that Entrain runs on.
    #[serde(default)]
    pub(crate) managed_identity: bool,
    /// Which Microsoft cloud the tenant lives in.
    #[serde(default)]
    pub(crate) cloud: Cloud,
    /// Root of the sign-in service, without tenant: overrides the cloud's own.
    pub(crate) authority_url: Option<String>,
    /// Root of Microsoft Graph, without version: overrides the cloud's own.
    pub(crate) graph_url: Option<String>,
    /// Scope that tokens are asked for: overrides the cloud's own, such as `https://graph.microsoft.com/.default`.
    pub(crate) scope: Option<String>,
}

/// A Microsoft cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cloud {
    /// The worldwide cloud.
    #[default]
    Global,
    /// US Government L4 (GCC High).
    Usgov,
    /// US Government L5 (DoD).
    UsgovDod,
    /// China, run by 21Vianet.
    China,
}

/// The Jira Cloud site.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteSection {
    /// Address of the site, such as `https://acme.atlassian.net`. For API tokens with scopes the gateway address
    /// `https://api.atlassian.com/ex/jira/<cloud id>`.
    pub(crate) url: String,
    /// E-mail address of the technical account, which must administer the site.
    pub(crate) admin_email: String,
    /// API token of the technical account: `env:NAME`, `file:PATH`, or the token itself, which is sealed when stored.
    pub(crate) api_token: Secret,
    /// Day on which the API token ends, such as `2027-01-31`; Atlassian does not tell it to programs.
    pub(crate) api_token_expires: Option<String>,
    /// The Atlassian organization, with a key of its own: exact look-up by e-mail address, groups that follow a new
    /// name, profiles of managed accounts.
    pub(crate) organization: Option<OrganizationSection>,
}

/// The Atlassian organization.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrganizationSection {
    /// Organization id.
    pub(crate) id: String,
    /// Id of the organization's directory that the site belongs to. Left out: all that the key may manage.
    pub(crate) directory_id: Option<String>,
    /// Organization API key without scopes: `env:NAME`, `file:PATH`, or the key itself, which is sealed when stored.
    pub(crate) api_key: Secret,
    /// Day on which the organization API key ends, such as `2027-01-31`.
    pub(crate) api_key_expires: Option<String>,
    /// Root of the organization API: overrides `https://api.atlassian.com`.
    pub(crate) url: Option<String>,
    /// Rename Jira groups when their directory group is renamed, where the organization can. Otherwise they keep the
    /// name they have, and that is reported.
    #[serde(default = "on")]
    pub(crate) rename_groups: bool,
}

fn on() -> bool {
    true
}

/// What Entrain may do on the site.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OperationsSection {
    /// Invite people in scope who have no account. Otherwise they are reported.
    pub(crate) import_users: bool,
    /// Create groups that the site does not have. Otherwise they are reported.
    pub(crate) import_groups: bool,
    /// Put people into groups and take them out.
    pub(crate) sync_memberships: bool,
    /// Products that an invitation grants, such as `jira-software`. Empty: no seat by itself, access comes from groups.
    pub(crate) products: Vec<String>,
}

impl Default for OperationsSection {
    fn default() -> Self {
        Self { import_users: true, import_groups: true, sync_memberships: true, products: Vec::new() }
    }
}
