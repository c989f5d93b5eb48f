//! The Atlassian side: an organization with its directory, accounts, groups, products and seats, the Jira site, and
//! the credentials that open each. Reads may lag behind writes by configured times.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// An Atlassian account as the organization and its site know it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteAccount {
    pub account_id: String,
    /// `atlassian`, `app`, `customer`, `unknown`.
    pub account_type: String,
    pub email: Option<String>,
    /// Whether the profile shows the address to others.
    pub email_visible: bool,
    pub display_name: String,
    /// `active`, `inactive` (deactivated), `closed`.
    pub account_status: String,
    /// `active`, `suspended`, `no_membership` (known to Atlassian, not to this site).
    pub membership_status: String,
    /// Whether the e-mail domain is verified and the account claimed.
    pub managed: bool,
    pub time_zone: String,
    /// Invited and not yet accepted.
    pub invited: bool,
    /// Organization administrator.
    pub org_admin: bool,
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
        }
    }
}

/// A group of the directory, shared by all products of the site.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JiraGroup {
    pub group_id: String,
    pub name: String,
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
    pub name: String,
    /// Seats; unlimited when absent.
    pub seats: Option<u64>,
    /// Names of groups that grant it.
    pub groups: BTreeSet<String>,
    /// Names of groups that new people land in.
    pub default_groups: BTreeSet<String>,
}

/// An API token or key.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
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
    pub organization_id: String,
    pub directory_id: String,
    pub cloud_id: String,
    pub site_name: String,
    pub accounts: BTreeMap<String, SiteAccount>,
    pub groups: BTreeMap<String, JiraGroup>,
    pub products: Vec<SiteProduct>,
    pub api_tokens: Vec<ApiToken>,
    /// Organization API keys.
    pub api_keys: Vec<String>,
    pub verified_domains: BTreeSet<String>,
    /// Addresses to which an invitation was sent, in order: a second mail shows here.
    pub invitations: Vec<String>,
}
