//! Answers of the organization plane as they come. Unknown properties are ignored.

use std::collections::BTreeMap;
use std::sync::Arc;

use entrain_domain::model::{Profile, ProfileField};
use serde::Deserialize;

/// A page of version 2: the cursor is a bare token, and missing or null at the end.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) links: Option<Links>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Links {
    #[serde(default)]
    next: Option<String>,
}

impl<T> Page<T> {
    pub(super) fn next(&self) -> Option<&str> {
        self.links.as_ref()?.next.as_deref().filter(|cursor| !cursor.is_empty())
    }
}

/// `MultiDirectoryUser`, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) account_id: String,
    pub(super) account_type: Option<String>,
    pub(super) email: Option<String>,
    pub(super) claim_status: Option<String>,
    pub(super) account_status: Option<String>,
    pub(super) membership_status: Option<String>,
    /// Only when it was asked for.
    pub(super) platform_roles: Option<Vec<String>>,
    /// Only when it was asked for.
    pub(super) groups: Option<Vec<UserGroup>>,
    pub(super) management_source: Option<String>,
    name: Option<String>,
    nickname: Option<String>,
    job_title: Option<String>,
    department: Option<String>,
    organization: Option<String>,
    location: Option<String>,
}

/// `MultiDirectoryUserGroup`
#[derive(Debug, Deserialize)]
pub(super) struct UserGroup {
    pub(super) id: String,
    pub(super) name: Option<String>,
}

impl User {
    /// What the profile shows; time zone and locale are not in this answer.
    pub(super) fn profile(&self) -> Profile {
        let fields = [
            (ProfileField::Name, &self.name),
            (ProfileField::Nickname, &self.nickname),
            (ProfileField::JobTitle, &self.job_title),
            (ProfileField::Department, &self.department),
            (ProfileField::Organization, &self.organization),
            (ProfileField::Location, &self.location),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, Arc::from(value.as_deref()?)))).collect()
    }
}

/// `MultiDirectoryGroup`, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) directory_id: Option<String>,
    #[serde(default)]
    pub(super) external_synced: Option<bool>,
    pub(super) managed_by: Option<String>,
    pub(super) management_access: Option<ManagementAccess>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ManagementAccess {
    pub(super) modifiable: Option<bool>,
}

/// `MultiDirectoryUserDirectory`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) directory_id: String,
    pub(super) name: Option<String>,
}

/// `WorkspaceModel`, as far as it matters.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    pub(super) id: String,
    #[serde(default)]
    pub(super) attributes: WorkspaceAttributes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WorkspaceAttributes {
    pub(super) type_key: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) host_url: Option<String>,
    pub(super) capacity: Option<i64>,
}

/// `GET …/users/count`
#[derive(Debug, Deserialize)]
pub(super) struct Count {
    pub(super) count: u64,
}

/// `MultiDirectoryGroupRoleAssignment`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GroupRoles {
    pub(super) resource_id: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) default_role: Option<String>,
}

/// The four forms of an error, read as one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    /// The application's list.
    pub(super) errors: Vec<ErrorItem>,
    /// The gateway's and the router's words.
    pub(super) message: Option<String>,
    /// The user management's word.
    pub(super) key: Option<String>,
    /// And what it says of it.
    pub(super) context: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorItem {
    pub(super) code: Option<String>,
    pub(super) title: Option<String>,
    pub(super) detail: Option<String>,
}

/// `GET /users/{id}/manage`: rules by privilege, and for `profile.write` by field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Privileges {
    #[serde(rename = "profile.write")]
    pub(super) profile_write: BTreeMap<String, Rule>,
    #[serde(rename = "lifecycle.enablement")]
    pub(super) enablement: Option<Rule>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) allowed: bool,
    #[serde(default)]
    pub(super) reason: Option<RuleReason>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RuleReason {
    pub(super) key: Option<String>,
}

/// `POST …/users/invite`: one entry for each address, each with a result for each role and group asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Invitations {
    pub(super) data: Vec<InvitedUser>,
}

#[derive(Debug, Deserialize)]
pub(super) struct InvitedUser {
    pub(super) id: Option<String>,
    pub(super) email: String,
    #[serde(default)]
    pub(super) results: Vec<InvitationResults>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InvitationResults {
    pub(super) role_assignment_result: Vec<Assignment>,
    pub(super) group_assignment_result: Vec<Assignment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assignment {
    pub(super) status: Option<String>,
    pub(super) status_reason: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) group: Option<String>,
}

/// `{"account": {…}}`
#[derive(Debug, Deserialize)]
pub(super) struct AccountAnswer {
    pub(super) account: Account,
}

/// `AtlassianAccountUser`, as far as it matters.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) name: Option<String>,
    pub(super) nickname: Option<String>,
    pub(super) zoneinfo: Option<String>,
    pub(super) locale: Option<String>,
    #[serde(default)]
    pub(super) extended_profile: Option<ExtendedProfile>,
}

#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct ExtendedProfile {
    pub(super) job_title: Option<String>,
    pub(super) department: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) location: Option<String>,
}

impl Account {
    pub(super) fn profile(&self) -> Profile {
        let extended = self.extended_profile.clone().unwrap_or_default();
        let fields = [
            (ProfileField::Name, self.name.clone()),
            (ProfileField::Nickname, self.nickname.clone()),
            (ProfileField::TimeZone, self.zoneinfo.clone()),
            (ProfileField::Locale, self.locale.clone()),
            (ProfileField::JobTitle, extended.job_title),
            (ProfileField::Department, extended.department),
            (ProfileField::Organization, extended.organization),
            (ProfileField::Location, extended.location),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, Arc::from(value?)))).collect()
    }
}
