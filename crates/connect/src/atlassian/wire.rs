//! Answers of Jira as they come. Unknown properties are ignored; a property that the sync depends on is either there,
//! or the object is read as degraded (atlassian-cloud.md 4.1).

use std::sync::Arc;

use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, EmailAddress, SiteGroup, SiteGroupId,
};
use serde::Deserialize;

/// A page with a total.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) values: Vec<T>,
    pub(super) total: Option<u64>,
    pub(super) is_last: Option<bool>,
    pub(super) max_results: Option<u64>,
}

/// `User`, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    account_id: Option<String>,
    account_type: Option<String>,
    email_address: Option<String>,
    display_name: Option<String>,
    active: Option<bool>,
    #[serde(default)]
    pub(super) groups: Items<GroupName>,
}

/// `User` with `expand=groups,applicationRoles`, as far as it says what the account holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserHoldings {
    pub(super) account_id: Option<String>,
    pub(super) groups: Items<GroupName>,
    pub(super) application_roles: Items<RoleName>,
}

/// A product by name.
#[derive(Debug, Deserialize)]
pub(super) struct RoleName {
    pub(super) key: String,
    pub(super) name: Option<String>,
}

/// The wrapper of expanded lists.
#[derive(Debug, Deserialize)]
pub(super) struct Items<T> {
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { size: None, items: Vec::new() }
    }
}

/// A group by name and, nearly always, by id.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupName {
    pub(super) name: Option<String>,
    pub(super) group_id: Option<String>,
}

/// A product of `applicationrole`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplicationRole {
    pub(super) key: String,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) group_details: Vec<GroupName>,
    #[serde(default)]
    pub(super) default_groups: Vec<String>,
    #[serde(default)]
    pub(super) default_groups_details: Vec<GroupName>,
    pub(super) number_of_seats: Option<i64>,
    pub(super) remaining_seats: Option<i64>,
    pub(super) user_count: Option<i64>,
    #[serde(default)]
    pub(super) has_unlimited_seats: bool,
}

/// `GET /serverInfo`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerInfo {
    pub(super) deployment_type: Option<String>,
}

/// `GET /mypermissions`.
#[derive(Debug, Deserialize)]
pub(super) struct Permissions {
    pub(super) permissions: std::collections::BTreeMap<String, Permission>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Permission {
    pub(super) have_permission: bool,
}

/// `GET /_edge/tenant_info`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TenantInfo {
    pub(super) cloud_id: String,
}

/// How an account was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AccountReading {
    /// Everything that matters was there.
    Whole(Account),
    /// It has an id, and fallback values where facts should be.
    Degraded(Account),
    /// It has no id that tells it from others (`accountId: "unknown"`).
    Nameless,
}

impl User {
    /// What tells it from others, when anything does.
    pub(super) fn key(&self) -> Option<&str> {
        self.account_id.as_deref().filter(|id| *id != "unknown")
    }

    /// The account. A hidden address (`null`, empty, missing) and one that is none are `None`.
    pub(super) fn reading(self) -> AccountReading {
        let id = self.account_id.filter(|id| id != "unknown").and_then(|id| AccountId::parse(id).ok());
        let Some(id) = id else { return AccountReading::Nameless };
        let kind = match self.account_type.as_deref() {
            Some("atlassian") => AccountKind::Person,
            Some("app") => AccountKind::App,
            Some("customer") => AccountKind::Customer,
            _ => AccountKind::Unknown,
        };
        // People who asked to be forgotten stay as inactive entries of no kind; they are no sign of an outage.
        let forgotten = self.account_type.is_some() && self.active == Some(false);
        let degraded = self.active.is_none() || (kind == AccountKind::Unknown && !forgotten);
        let account = Account {
            id,
            email: self.email_address.and_then(|text| EmailAddress::parse(&text).ok()),
            display_name: Arc::from(self.display_name.unwrap_or_default()),
            activity: if self.active == Some(true) {
                AccountActivity::Active
            } else {
                AccountActivity::Inactive
            },
            kind: if degraded { AccountKind::Unknown } else { kind },
        };
        if degraded { AccountReading::Degraded(account) } else { AccountReading::Whole(account) }
    }
}

impl AccountReading {
    /// The account, degraded or not, when it has an id.
    pub(super) fn account(self) -> Option<Account> {
        match self {
            Self::Whole(account) | Self::Degraded(account) => Some(account),
            Self::Nameless => None,
        }
    }
}

impl GroupName {
    /// The group, when it has an id and a name.
    pub(super) fn group(&self) -> Option<SiteGroup> {
        let name = self.name.as_deref().filter(|name| !name.is_empty())?;
        Some(SiteGroup { id: self.id()?, name: Arc::from(name) })
    }

    /// The id, when it has one.
    pub(super) fn id(&self) -> Option<SiteGroupId> {
        SiteGroupId::parse(self.group_id.as_deref()?).ok()
    }
}

/// Whether so many degraded accounts among so many mean that the site is not itself: more than a few of a page.
pub(super) fn too_degraded(degraded: usize, page: usize) -> bool {
    degraded > 3 + page / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> AccountReading {
        serde_json::from_value::<User>(json).unwrap().reading()
    }

    #[test]
    fn a_person_is_read_with_the_address_or_without_it() {
        let json = |email: serde_json::Value| {
            serde_json::json!({"accountId": "712020:a", "accountType": "atlassian", "active": true,
                "displayName": "Dana Okafor", "emailAddress": email, "surprise": {"deep": [1]}})
        };
        for (email, expected) in [
            (serde_json::json!("dana@example.com"), Some("dana@example.com")),
            (serde_json::json!(""), None),
            (serde_json::json!(null), None),
            (serde_json::json!("not an address"), None),
        ] {
            let AccountReading::Whole(account) = read(json(email)) else { panic!("degraded") };
            assert_eq!(account.kind, AccountKind::Person);
            assert_eq!(account.activity, AccountActivity::Active);
            assert_eq!(account.email.as_ref().map(EmailAddress::as_str), expected);
        }
    }

    #[test]
    fn a_fallback_record_is_never_a_person() {
        let AccountReading::Degraded(account) =
            read(serde_json::json!({"accountId": "712020:a", "active": true}))
        else {
            panic!("taken for whole")
        };
        assert_eq!(account.kind, AccountKind::Unknown);
        let typed = serde_json::json!({"accountId": "712020:a", "accountType": "atlassian"});
        assert!(matches!(read(typed), AccountReading::Degraded(a) if a.kind == AccountKind::Unknown));
    }

    #[test]
    fn a_corrupted_record_has_no_id() {
        for id in ["unknown", "", "a b"] {
            let json = serde_json::json!({"accountId": id, "accountType": "atlassian", "active": true});
            assert_eq!(read(json), AccountReading::Nameless, "{id:?}");
        }
    }

    #[test]
    fn a_forgotten_person_is_unknown_but_no_sign_of_an_outage() {
        let json = serde_json::json!({"accountId": "712020:a", "accountType": "unknown", "active": false,
            "displayName": "Former user"});
        assert!(matches!(read(json), AccountReading::Whole(a) if a.kind == AccountKind::Unknown));
    }
}
