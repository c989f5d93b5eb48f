//! The Atlassian side: an organization with its directory, accounts, groups, products and seats, the Jira site, and
//! the credentials that open each. Reads may lag behind writes by configured times.
//!
//! Everything that changes goes through a method of [`Atlassian`], so that the indexes and the record of recent changes
//! (from which lagging reads are answered) never miss it. A world may be filled through the public maps as long as
//! nothing has been read from it yet; the indexes are built at the first read.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::OnceLock;

use jiff::Timestamp;

mod change;
mod index;
mod lag;
mod seats;

pub(crate) use lag::seen as lag_view;
pub use seats::SeatRefusal;

use index::Index;
use lag::MembershipChange;

/// An Atlassian account as the organization and its site know it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as the cloud keeps them")]
pub struct SiteAccount {
    /// Opaque, the same in all products.
    pub account_id: String,
    /// `atlassian`, `app`, `customer`, `unknown`.
    pub account_type: String,
    /// The address; apps have none.
    pub email: Option<String>,
    /// Whether the profile shows the address to others.
    pub email_visible: bool,
    /// The name people see.
    pub display_name: String,
    /// `active`, `inactive` (deactivated), `closed`.
    pub account_status: String,
    /// `active`, `suspended`, `no_membership` (known to Atlassian, not to this site).
    pub membership_status: String,
    /// Whether the e-mail domain is verified and the account claimed.
    pub managed: bool,
    /// As `Europe/Berlin`.
    pub time_zone: String,
    /// Invited and not yet accepted.
    pub invited: bool,
    /// Organization administrator.
    pub org_admin: bool,
    /// Name and e-mail are owned by an identity provider: the user management API refuses to change them.
    pub synced: bool,
    /// A managed account inside its 14 days of grace before it is deleted.
    pub for_deletion: bool,
    /// Once a person of this site and removed from it: still in the roll, not in the directory.
    pub former: bool,
    /// When the account was deactivated.
    pub deactivated_on: Option<Timestamp>,
    /// What the user management API knows beyond the name.
    pub profile: Profile,
    /// User properties by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, serde_json::Value>,
}

/// The extended profile of a managed account.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// The public name.
    pub nickname: Option<String>,
    /// As `en-US`.
    pub locale: Option<String>,
    /// Job title.
    pub job_title: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Company.
    pub organization: Option<String>,
    /// Place of work.
    pub location: Option<String>,
}

impl SiteAccount {
    /// Whether Jira shows the account as active: neither deactivated nor suspended nor removed.
    pub fn active(&self) -> bool {
        self.account_status == "active" && self.membership_status == "active"
    }

    /// Whether the account belongs to the directory, suspended or not.
    pub fn in_directory(&self) -> bool {
        self.membership_status != "no_membership"
    }

    /// Whether the site's roll shows it: everybody of the directory and people who were removed from it.
    pub fn in_roll(&self) -> bool {
        self.in_directory() || self.former
    }
}

impl Default for SiteAccount {
    fn default() -> Self {
        Self {
            account_id: String::new(),
            account_type: "atlassian".into(),
            email: None,
            email_visible: true,
            display_name: String::new(),
            account_status: "active".into(),
            membership_status: "active".into(),
            managed: false,
            time_zone: "Europe/Berlin".into(),
            invited: false,
            org_admin: false,
            synced: false,
            for_deletion: false,
            former: false,
            deactivated_on: None,
            profile: Profile::default(),
            properties: BTreeMap::new(),
        }
    }
}

/// A group of the directory, shared by all products of the site.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JiraGroup {
    /// Opaque, the same in all products.
    pub group_id: String,
    /// Differs from all others in more than case.
    pub name: String,
    /// Only the organization side has one.
    pub description: Option<String>,
    /// Owned by an identity provider: writes are refused.
    pub external: bool,
    /// `site-admin`, `admin`, `user` (`accessType`).
    pub access: BTreeSet<String>,
    /// Members by account id.
    pub members: BTreeSet<String>,
}

/// A product of the site.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteProduct {
    /// `jira-software`, `jira-servicedesk`, `jira-core`, `jira-product-discovery`, `confluence`.
    pub key: String,
    /// The name people see.
    pub name: String,
    /// Seats; unlimited when absent.
    pub seats: Option<u64>,
    /// Names of groups that grant it.
    pub groups: BTreeSet<String>,
    /// Names of groups that new people land in.
    pub default_groups: BTreeSet<String>,
}

/// A project of Jira with its components.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteProject {
    /// Upper case, unique.
    pub key: String,
    /// The name people see.
    pub name: String,
    /// Account id of its lead; in a file also an address.
    pub lead: String,
    /// Components.
    pub components: Vec<SiteComponent>,
}

/// A component of a project.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteComponent {
    /// Unique in its project.
    pub name: String,
    /// Account id of its lead, if it has one; in a file also an address.
    pub lead: Option<String>,
}

impl SiteProject {
    /// The numeric id, made from the key.
    pub fn number(&self) -> u64 {
        10_000 + self.key.bytes().fold(0_u64, |n, b| (n * 31 + u64::from(b)) % 90_000)
    }

    /// The id as the API writes it.
    pub fn id(&self) -> String {
        self.number().to_string()
    }
}

/// An API token or key.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    /// The secret itself.
    pub token: String,
    /// The account it belongs to.
    pub account_id: String,
    /// Scopes; a classic token when absent.
    #[serde(default)]
    pub scopes: Option<BTreeSet<String>>,
    /// When it expires.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// The Atlassian side.
#[derive(Debug, Clone, Default)]
pub struct Atlassian {
    /// `orgId`.
    pub organization_id: String,
    /// The one directory.
    pub directory_id: String,
    /// The site, whatever it is named.
    pub cloud_id: String,
    /// `<name>.atlassian.net`.
    pub site_name: String,
    /// By account id; those unknown to the site included.
    pub accounts: BTreeMap<String, SiteAccount>,
    /// By group id.
    pub groups: BTreeMap<String, JiraGroup>,
    /// What the site holds.
    pub products: Vec<SiteProduct>,
    /// Projects of Jira.
    pub projects: Vec<SiteProject>,
    /// Of people, for Jira.
    pub api_tokens: Vec<ApiToken>,
    /// Organization API keys.
    pub api_keys: Vec<String>,
    /// Organization API keys with scopes, each with those that it has.
    pub scoped_keys: BTreeMap<String, BTreeSet<String>>,
    /// Lower case; new accounts of these domains are managed.
    pub verified_domains: BTreeSet<String>,
    /// Addresses to which an invitation was sent, in order: a second mail shows here.
    pub invitations: Vec<String>,
    /// Behaviours that some tenants show and others do not.
    pub quirks: Quirks,
    /// When accounts and groups came into being, for lagging reads; those of the first day are not in it.
    pub(crate) births: HashMap<String, Timestamp>,
    /// Recent membership changes, oldest first.
    pub(crate) changes: VecDeque<MembershipChange>,
    pub(crate) index: OnceLock<Index>,
}

/// How Jira words that a product has no seat left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatForm {
    /// 400 with `LicenceExceededException` and the product's resource id.
    #[default]
    Licence,
    /// 500 with the `HystrixRuntimeException` of the service behind it, which names no product.
    Hystrix,
    /// 409 with the organization's code.
    Conflict,
}

/// Behaviours that some tenants show and others do not; all off by default.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Quirks {
    /// `POST /user` with an address new to Atlassian answers 400 *User not found* although the person was invited.
    pub invite_answers_not_found: bool,
    /// Inviting a person who was removed from the site answers 500 although the account comes back.
    pub invite_of_former_answers_500: bool,
    /// The roll (`users/search`) cuts its range first and filters afterwards: each nth row is missing from the page.
    pub roll_gap_every: Option<usize>,
    /// Removing somebody who is not a member answers 200 instead of 400.
    pub removing_a_non_member_is_fine: bool,
    /// A refused group write (403) has an empty body.
    pub forbidden_without_body: bool,
    /// How a refusal for want of a seat is worded.
    pub seats_refused_as: SeatForm,
    /// Adding somebody who is a member already answers 409 with the organization's code instead of 400.
    pub already_a_member_answers_409: bool,
    /// Accounts that a broken internal service serves in the fallback form: `Former user`, inactive, no address.
    pub fallback_accounts: BTreeSet<String>,
}
