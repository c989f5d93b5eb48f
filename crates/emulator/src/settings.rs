//! What can be set at start and through the control URL: page sizes, lags, limits, latency and lifetimes. `docs/emulator.md`
//! has them in one table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::state::Surface;

/// All settings. Times are milliseconds unless the name says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Microsoft Graph.
    pub graph: GraphSettings,
    /// Sign-in of people.
    pub sign_in: SignInSettings,
    /// Jira and the organization API.
    pub atlassian: AtlassianSettings,
    /// The mail server.
    pub mail: MailSettings,
    /// Time each answer takes.
    pub latency: LatencySettings,
    /// Entries the request log keeps; the oldest go first.
    pub log_entries: usize,
    /// Bytes of a write's body that the log keeps.
    pub log_body_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            graph: GraphSettings::default(),
            sign_in: SignInSettings::default(),
            atlassian: AtlassianSettings::default(),
            mail: MailSettings::default(),
            latency: LatencySettings::default(),
            log_entries: 10_000,
            log_body_bytes: 4096,
        }
    }
}

/// Settings of the sign-in of people, and of the calls that Entra makes meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInSettings {
    /// Life of an authorization code in seconds.
    pub code_life_s: u64,
    /// Life of an id token in seconds.
    pub id_token_life_s: u64,
    /// What is wrong with the id tokens that are given out; nothing when absent.
    pub attack: Option<crate::entra::Attack>,
}

impl Default for SignInSettings {
    fn default() -> Self {
        Self { code_life_s: 600, id_token_life_s: 3600, attack: None }
    }
}

/// Settings of Graph and sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphSettings {
    /// Objects on a page of a delta round (about 200 in the cloud, not to be chosen by the client).
    pub delta_page_size: usize,
    /// Members of one group in one entry of a delta page; more come in slices on later pages.
    pub member_slice_size: usize,
    /// Upper bound on the page size of lists, below what `$top` asks for. None when absent.
    pub list_page_size: Option<usize>,
    /// Empty pages (with a `nextLink`) put before the first page of each list.
    pub empty_pages: usize,
    /// Empty pages (with a `nextLink`) put before the first page of each delta round.
    pub empty_delta_pages: usize,
    /// How long a change stays invisible in lists and reads of single objects.
    pub list_lag_ms: u64,
    /// How long a change stays invisible to delta.
    pub delta_lag_ms: u64,
    /// How long a change stays invisible to advanced queries (`ConsistencyLevel: eventual`).
    pub advanced_lag_ms: u64,
    /// Whether the quota is enforced.
    pub throttle: bool,
    /// Resource units per 10 seconds for one application in the tenant: 8,000 in a tenant of over 500 users.
    pub resource_units_per_10_s: u64,
    /// Life of a delta token in seconds: 7 days for directory objects.
    pub delta_token_life_s: u64,
    /// Life of an access token in seconds.
    pub access_token_life_s: u64,
    /// Whether `GroupMember.Read.All` suffices to subscribe to `/groups`. The documents name `Group.Read.All`.
    pub group_member_may_subscribe: bool,
    /// Change notifications.
    pub notifications: NotificationSettings,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self {
            delta_page_size: 200,
            member_slice_size: 1000,
            list_page_size: None,
            empty_pages: 0,
            empty_delta_pages: 0,
            list_lag_ms: 0,
            delta_lag_ms: 0,
            advanced_lag_ms: 0,
            throttle: true,
            resource_units_per_10_s: 8_000,
            delta_token_life_s: 7 * 24 * 3600,
            access_token_life_s: 3599,
            group_member_may_subscribe: false,
            notifications: NotificationSettings::default(),
        }
    }
}

/// Settings of change notifications.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationSettings {
    /// Longest life of a subscription to users or groups, in minutes.
    pub longest_life_min: u64,
    /// Every subscription lives so many seconds, whatever is asked for.
    pub life_s: Option<u64>,
    /// Whether http addresses of this machine are taken beside https ones. The cloud takes https only.
    pub loopback_http: bool,
    /// Notifications in one request at most.
    pub batch: usize,
    /// How long each letter waits before it is sent.
    pub delay_ms: u64,
    /// So many times more each letter is sent.
    pub duplicates: usize,
    /// Changes are not told at all.
    pub drop: bool,
    /// Wait before a letter that was not taken is sent again; doubled each time, for four hours.
    pub retry_ms: u64,
    /// Time for an answer to a validation; 10 s when absent.
    pub validation_ms: Option<u64>,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            longest_life_min: 41_760,
            life_s: None,
            loopback_http: true,
            batch: 100,
            delay_ms: 0,
            duplicates: 0,
            drop: false,
            retry_ms: 10_000,
            validation_ms: None,
        }
    }
}

/// Settings of Jira and the organization API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AtlassianSettings {
    /// Upper bound on the page size of lists, below `maxResults` and the documented maximum. None when absent.
    pub list_page_size: Option<usize>,
    /// How long a membership change stays invisible to Jira's group reads.
    pub membership_lag_ms: u64,
    /// How long a new group stays invisible to reads.
    pub group_lag_ms: u64,
    /// How long a new account stays invisible to reads by id and to lists.
    pub account_lag_ms: u64,
    /// How long a change stays invisible to user search.
    pub search_lag_ms: u64,
    /// How long a change made on one side (Jira, organization) stays invisible on the organization side.
    pub organization_lag_ms: u64,
    /// Whether the organization API renames groups. A tutorial of November 2026 speaks of it; method and path stand in no
    /// published document, so it is off.
    pub rename_groups: bool,
    /// Whether burst limits are enforced.
    pub throttle: bool,
    /// Burst limits per endpoint and second, by HTTP method: `GET` 100, `POST` 100, `PUT` 50, `DELETE` 50.
    pub burst_per_second: BTreeMap<String, u64>,
}

impl Default for AtlassianSettings {
    fn default() -> Self {
        Self {
            list_page_size: None,
            membership_lag_ms: 0,
            group_lag_ms: 0,
            account_lag_ms: 0,
            search_lag_ms: 0,
            organization_lag_ms: 0,
            rename_groups: false,
            throttle: true,
            burst_per_second: [("GET", 100), ("POST", 100), ("PUT", 50), ("DELETE", 50)]
                .into_iter()
                .map(|(method, limit)| (method.to_owned(), limit))
                .collect(),
        }
    }
}

/// Settings of the mail server. A conversation goes on as it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailSettings {
    /// TLS.
    pub tls: MailTls,
    /// Its certificate.
    pub certificate: MailCertificate,
}

/// Whether and when a mail server speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Never.
    #[default]
    None,
    /// When the client asks for it; before that it takes neither sign-in nor letters.
    Starttls,
    /// From the first byte on.
    Implicit,
}

/// The certificate of the mail server, signed by an authority that the control interface tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailCertificate {
    /// For this machine.
    #[default]
    Good,
    /// For another name.
    OtherName,
}

/// Latency per surface.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LatencySettings {
    /// Entra sign-in.
    pub authority_ms: u64,
    /// Graph.
    pub graph_ms: u64,
    /// Jira.
    pub site_ms: u64,
    /// The organization API.
    pub organization_ms: u64,
    /// Up to so much is added to each answer, at random from the seed.
    pub jitter_ms: u64,
}

impl LatencySettings {
    /// The latency of one surface, without jitter.
    pub fn of(&self, surface: Surface) -> u64 {
        match surface {
            Surface::Authority => self.authority_ms,
            Surface::Graph => self.graph_ms,
            Surface::Site => self.site_ms,
            Surface::Organization => self.organization_ms,
        }
    }
}

impl Settings {
    /// Refuses settings that would make an endless or impossible emulation, naming the key.
    pub fn check(&self) -> Result<(), String> {
        let positive = [
            ("graph.delta_page_size", self.graph.delta_page_size),
            ("graph.member_slice_size", self.graph.member_slice_size),
            ("graph.list_page_size", self.graph.list_page_size.unwrap_or(1)),
            ("atlassian.list_page_size", self.atlassian.list_page_size.unwrap_or(1)),
            ("graph.notifications.batch", self.graph.notifications.batch),
            ("log_entries", self.log_entries),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(format!("{key} must be at least 1"));
            }
        }
        if self.graph.throttle && self.graph.resource_units_per_10_s == 0 {
            return Err("graph.resource_units_per_10_s must be at least 1 while graph.throttle is on".into());
        }
        for (method, limit) in &self.atlassian.burst_per_second {
            if !["GET", "POST", "PUT", "DELETE"].contains(&method.as_str()) {
                return Err(format!(
                    "atlassian.burst_per_second.{method}: the method is one of GET, POST, PUT, DELETE"
                ));
            }
            if *limit == 0 {
                return Err(format!("atlassian.burst_per_second.{method} must be at least 1"));
            }
        }
        Ok(())
    }
}
