//! The connection document, one struct per section. The doc comments are the reference
//! (`docs/reference/configuration.md` and `entrain connection schema` are generated from them).

use std::collections::BTreeMap;

use entrain_domain::alerts::ConcernKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

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

/// Which groups and people of the directory take part.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeSection {
    /// Directory groups that take part: by id, by exact name, or by a pattern with `*`; upper and lower case are the
    /// same. Groups nested in them are flattened into them.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Groups that do not take part although `groups` names them.
    #[serde(default)]
    pub(crate) exclude_groups: Vec<String>,
    /// Which people take part.
    #[serde(default)]
    pub(crate) users: Users,
    /// With `users = "assigned"`: the application (client) id of the enterprise application in Entra ID.
    pub(crate) assigned_to: Option<String>,
    /// Whether guests take part.
    #[serde(default)]
    pub(crate) guests: GuestsWord,
    /// What must hold for a person to take part: an expression (CEL) over `user.NAME` and `groups`, such as
    /// `user.department == "Sales" && !("Contractors" in groups)`. Whoever it does not hold for is out of scope; whoever it
    /// cannot be applied to is set aside, and neither invited nor taken out.
    pub(crate) filter: Option<String>,
}

/// Whether guests take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuestsWord {
    /// As everybody else.
    #[default]
    Include,
    /// They do not.
    Exclude,
}

/// Which people take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Users {
    /// Enabled users, guests included, who are direct or nested members of the groups in scope.
    #[default]
    InGroups,
    /// Enabled users to whom the enterprise application of `assigned_to` is assigned: by themselves, or as direct members
    /// of an assigned group. Needs the permission `Application.Read.All`, and one more request in each run.
    Assigned,
    /// Every enabled user of the directory.
    All,
}

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

/// How groups are named and bound.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GroupsSection {
    /// Template for names of Jira groups; `{name}` is the directory group's display name, after `rename`.
    pub(crate) name: String,
    /// Rewritings of directory groups' names, applied in their order before the template. What a pattern does not find
    /// stays as it is.
    pub(crate) rename: Vec<Rename>,
    /// Explicit bindings: directory group (id or exact name) = Jira group (name), or a list of Jira groups. They go before
    /// the template and before what a group was linked to so far. A Jira group that several directory groups are bound to
    /// has the members of all of them.
    pub(crate) map: BTreeMap<String, Names>,
    /// Jira groups, by name, that everybody in scope is a member of; managed like any other.
    pub(crate) default: Vec<String>,
    /// Jira groups, by name, that people become members of when Entrain invites them. The membership is theirs: it is
    /// never taken back and never given again.
    pub(crate) default_new: Vec<String>,
    /// What happens to a Jira group that bears the name already and is not linked.
    pub(crate) existing: ExistingGroups,
    /// What may be taken out of groups.
    pub(crate) mode: Mode,
    /// The same for single directory groups: directory group (id, exact name, or pattern with `*`) = mode. An id goes
    /// before a name, a name before a pattern, the longest pattern before the others.
    pub(crate) modes: BTreeMap<String, Mode>,
    /// Whether the members of nested groups belong to a group.
    pub(crate) nesting: Nesting,
    /// The same for single directory groups, named as in `modes`.
    pub(crate) nestings: BTreeMap<String, Nesting>,
}

impl Default for GroupsSection {
    fn default() -> Self {
        Self {
            name: "{name}".into(),
            rename: Vec::new(),
            map: BTreeMap::new(),
            default: Vec::new(),
            default_new: Vec::new(),
            existing: ExistingGroups::default(),
            mode: Mode::default(),
            modes: BTreeMap::new(),
            nesting: Nesting::default(),
            nestings: BTreeMap::new(),
        }
    }
}

/// One name or several.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Names {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Names {
    /// All of them.
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// A rewriting of names.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    /// Regular expression, such as `^GRP-(.+)$`; `(?i)` in front makes upper and lower case the same. No look-around.
    pub(crate) pattern: String,
    /// What takes the place of each find: text, with `$1` or `${1}` for the first group of the pattern. May be empty.
    pub(crate) with: String,
}

/// Whether the members of nested groups belong to a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nesting {
    /// They do, however deep.
    #[default]
    Flatten,
    /// They do not: direct members only.
    Direct,
}

/// What happens to a Jira group that bears the name already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExistingGroups {
    /// Adopting it is a step that waits for a person's approval.
    #[default]
    Ask,
    /// It is adopted.
    Adopt,
    /// The directory group is set aside.
    Skip,
}

/// What may be taken out of groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Memberships of the ledger: granted by Entrain, or seen on both sides before. Everything else is somebody's own.
    #[default]
    Managed,
    /// Nothing.
    Additive,
    /// Everything that the directory does not have. The first such plan is held.
    Authoritative,
}

/// Which attributes of the directory go to the site.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AttributesSection {
    /// Fields of the Atlassian profile, for accounts that the organization manages; needs `[site.organization]`. A field
    /// is an expression such as `"user.jobTitle"`, or a table with `from` or `constant`, `default` and `when`. Fields
    /// without a value are left as they are.
    pub(crate) profile: ProfileSection,
    /// A Jira user property, which automation and apps can read, for all accounts.
    pub(crate) property: Option<PropertySection>,
}

/// Fields of the Atlassian profile.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProfileSection {
    /// Full name; at most 100 characters.
    pub(crate) name: Option<Field>,
    /// Public name; at most 30 characters.
    pub(crate) nickname: Option<Field>,
    /// IANA time zone, such as `Europe/Berlin`.
    pub(crate) time_zone: Option<Field>,
    /// Language, such as `de-DE`.
    pub(crate) locale: Option<Field>,
    /// Job title.
    pub(crate) job_title: Option<Field>,
    /// Department.
    pub(crate) department: Option<Field>,
    /// Company.
    pub(crate) organization: Option<Field>,
    /// Location.
    pub(crate) location: Option<Field>,
}

/// A Jira user property: one JSON object.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PropertySection {
    /// Key of the property.
    #[serde(default = "entrain")]
    #[schemars(length(min = 1, max = 255))]
    pub(crate) key: String,
    /// Fields of the object: name = an expression such as `"user.department"`, or a table with `from` or `constant`,
    /// `default` and `when`. Fields without a value are left out.
    pub(crate) fields: BTreeMap<String, Field>,
}

fn entrain() -> String {
    "entrain".into()
}

/// Where one field comes from: an expression, or a table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Field {
    /// An expression over the user.
    From(String),
    /// More than that.
    Table(FieldTable),
}

/// Where one field comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldTable {
    /// A CEL expression over the user that gives a text, such as `user.department` or
    /// `user.givenName + " " + user.surname`. Instead of `constant`.
    pub(crate) from: Option<String>,
    /// The same text for everybody. Instead of `from`.
    pub(crate) constant: Option<String>,
    /// Stands in for a value that is missing, blank or cannot be computed.
    pub(crate) default: Option<String>,
    /// When the field is written.
    #[serde(default)]
    pub(crate) when: WhenWritten,
}

/// When a field is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenWritten {
    /// Whenever its value changes in the directory.
    #[default]
    Always,
    /// Once, with the first values that are written for the account; later changes in the directory are left alone.
    Create,
}

/// Limits that hold a plan.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    /// Removals, in percent of the ledger's memberships, or of one group's.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) removals_percent: u8,
    /// Removals, in objects.
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    pub(crate) removals_number: u32,
    /// Additions after the first converged run, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) additions_percent: u8,
    /// Additions after the first converged run, in objects.
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    pub(crate) additions_number: u32,
    /// Limits of single kinds of step, instead of the two above: kind (such as `create_user` or `suspend_user`) =
    /// `{ percent = 5, number = 10 }`.
    pub(crate) kinds: BTreeMap<String, KindLimit>,
    /// Two different people have to approve what a guard holds; `--yes` releases nothing.
    pub(crate) two_people: bool,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = entrain_domain::policy::Limits::default();
        Self {
            removals_percent: limits.removals.percent,
            removals_number: limits.removals.number,
            additions_percent: limits.additions.percent,
            additions_number: limits.additions.number,
            kinds: BTreeMap::new(),
            two_people: false,
        }
    }
}

/// A limit: exceeded when more than so many percent and more than so many objects are affected.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindLimit {
    /// Percent of what is known: of the ledger's memberships, of the linked people, of the linked groups.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) percent: u8,
    /// Objects.
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    pub(crate) number: u32,
}

/// Seats that may be taken, and who goes first when they run out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SeatsSection {
    /// Who goes first: expressions about a person, such as `user.department == "Support"`. Whoever meets the first goes before
    /// all others, then whoever meets the second, and so on; within each, and without any, the longest wait goes first.
    pub(crate) first: Vec<String>,
    /// Limits by product, as `{ budget = 180, reserve = 5 }`: `jira-software`, `jira-servicedesk`, `jira-core`,
    /// `jira-product-discovery`, `confluence` (which needs `[site.organization]`). `budget` is the most seats that may be taken,
    /// whoever took them; `reserve` are seats that have to stay free. A product without an entry may be used up.
    pub(crate) products: BTreeMap<String, ProductSeats>,
}

/// Seats of one product.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProductSeats {
    /// The most seats that may be taken, whoever took them. Without it, all that there are.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub(crate) budget: Option<u64>,
    /// Seats that have to stay free.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub(crate) reserve: u64,
}

/// What becomes of people who have left.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LeaversSection {
    /// Suspend the access so long after somebody was disabled or deleted, such as `7d`: access to all products and sites of the
    /// organization's directory, until it is restored. Needs `[site.organization]`.
    pub(crate) suspend_after: Option<String>,
    /// Deactivate managed accounts so long after, such as `30d`. Needs `[site.organization]` and a verified domain.
    pub(crate) deactivate_after: Option<String>,
    /// Take people off the site so long after, such as `90d`. Only an invitation brings them back.
    pub(crate) remove_after: Option<String>,
    /// On whose accounts these rungs are taken.
    pub(crate) accounts: LeaverAccounts,
    /// Other times for people who are disabled in the directory; `"never"` switches a rung off.
    pub(crate) disabled: RungsSection,
    /// Other times for people who are deleted in the directory; `"never"` switches a rung off.
    pub(crate) deleted: RungsSection,
    /// Times for people who are enabled in the directory and out of scope. The times above are not for them: without times
    /// of their own, they lose their groups and nothing more.
    pub(crate) out_of_scope: RungsSection,
}

/// Times of the rungs for one way of leaving.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "these are the keys of the document")]
pub(crate) struct RungsSection {
    /// As above.
    pub(crate) suspend_after: Option<String>,
    /// As above.
    pub(crate) deactivate_after: Option<String>,
    /// As above.
    pub(crate) remove_after: Option<String>,
}

/// On whose accounts rungs are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeaverAccounts {
    /// Those that Entrain invited. Accounts that were there before are somebody else's.
    #[default]
    Invited,
    /// Every account that is linked to the person.
    Linked,
}

/// What is never touched.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProtectedSection {
    /// Accounts, by account id or e-mail address.
    pub(crate) accounts: Vec<String>,
    /// Jira groups, by id or name.
    pub(crate) groups: Vec<String>,
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
