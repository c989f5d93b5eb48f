//! The endpoints with what opens each: whether anonymous callers may ask, and the classic or granular scopes.

use std::collections::BTreeSet;

use super::{Call, groups, invite, members, picker, projects, properties, roll, search, site, users};
use crate::atlassian::reply::Answer;

pub(super) struct Endpoint {
    method: &'static str,
    /// Segments divided by `/`; `*` stands for any one.
    path: &'static str,
    pub(super) anonymous: bool,
    classic: &'static str,
    granular: &'static [&'static str],
    pub(super) run: fn(&Call<'_>) -> Answer,
}

impl Endpoint {
    /// Whether a token with these scopes may call: by the classic scope, or by all granular ones.
    pub(super) fn opens_with(&self, scopes: &BTreeSet<String>) -> bool {
        scopes.contains(self.classic)
            || (!self.granular.is_empty() && self.granular.iter().all(|scope| scopes.contains(*scope)))
    }
}

pub(super) enum Found {
    Endpoint(&'static Endpoint),
    OtherMethod,
    Nothing,
}

pub(super) fn find(method: &str, path: &str) -> Found {
    let mut found = Found::Nothing;
    for endpoint in TABLE {
        let same = endpoint.path == path
            || (endpoint.path.split('/').count() == path.split('/').count()
                && endpoint.path.split('/').zip(path.split('/')).all(|(a, b)| a == "*" || a == b));
        if same && endpoint.method == method {
            return Found::Endpoint(endpoint);
        }
        if same {
            found = Found::OtherMethod;
        }
    }
    found
}

const USER: &str = "read:jira-user";
const WORK: &str = "read:jira-work";
const WRITE_WORK: &str = "write:jira-work";
const READ_PROPERTY: &[&str] = &["read:user.property:jira"];
const WRITE_PROPERTY: &[&str] = &["write:user.property:jira"];
const DELETE_PROPERTY: &[&str] = &["delete:user.property:jira"];
const MANAGE: &str = "manage:jira-configuration";
const READ_USER: &[&str] =
    &["read:user:jira", "read:group:jira", "read:application-role:jira", "read:avatar:jira"];
const SEARCH_USER: &[&str] = &[
    "read:user:jira",
    "read:group:jira",
    "read:application-role:jira",
    "read:avatar:jira",
    "read:user.property:jira",
];
const READ_GROUP: &[&str] = &["read:group:jira"];
const MEMBERS: &[&str] = &["read:group:jira", "read:user:jira", "read:avatar:jira"];
const WRITE_GROUP: &[&str] = &["write:group:jira", "read:group:jira", "read:user:jira", "read:avatar:jira"];
const LEAVE_GROUP: &[&str] = &["write:group:jira"];
const DELETE_GROUP: &[&str] = &["delete:group:jira"];
const WRITE_USER: &[&str] = &["write:user:jira"];
const ROLES: &[&str] = &["read:application-role:jira"];
const PERMISSION: &[&str] = &["read:permission:jira"];
const PROJECTS: &[&str] = &[
    "read:issue-type:jira",
    "read:project:jira",
    "read:project.property:jira",
    "read:user:jira",
    "read:application-role:jira",
    "read:avatar:jira",
    "read:group:jira",
    "read:issue-type-hierarchy:jira",
    "read:project-category:jira",
    "read:project-version:jira",
    "read:project.component:jira",
];
const COMPONENTS: &[&str] = &["read:project.component:jira"];
const PICKER: &[&str] = &["read:group:jira", "read:user:jira"];

const fn open(
    method: &'static str,
    path: &'static str,
    classic: &'static str,
    granular: &'static [&'static str],
    run: fn(&Call<'_>) -> Answer,
) -> Endpoint {
    Endpoint { method, path, anonymous: true, classic, granular, run }
}

const fn closed(
    method: &'static str,
    path: &'static str,
    classic: &'static str,
    granular: &'static [&'static str],
    run: fn(&Call<'_>) -> Answer,
) -> Endpoint {
    Endpoint { method, path, anonymous: false, classic, granular, run }
}

static TABLE: &[Endpoint] = &[
    open("GET", "serverInfo", WORK, &[], site::server_info),
    closed("GET", "myself", USER, READ_USER, users::myself),
    open("GET", "mypermissions", WORK, PERMISSION, site::my_permissions),
    open("POST", "permissions/check", WORK, PERMISSION, site::check_permissions),
    closed("GET", "applicationrole", MANAGE, ROLES, site::application_roles),
    closed("GET", "applicationrole/*", MANAGE, ROLES, site::application_role),
    open("GET", "user", USER, READ_USER, users::get),
    closed("POST", "user", MANAGE, WRITE_USER, invite::create),
    closed("DELETE", "user", MANAGE, WRITE_USER, users::delete),
    closed("GET", "user/bulk", USER, READ_USER, users::bulk),
    open("GET", "user/groups", USER, READ_USER, users::groups),
    closed("GET", "user/email", USER, &["read:email-address:jira"], users::email),
    closed("GET", "user/email/bulk", USER, &["read:email-address:jira"], users::email),
    closed("GET", "user/properties", USER, READ_PROPERTY, properties::keys),
    closed("GET", "user/properties/*", USER, READ_PROPERTY, properties::get),
    closed("PUT", "user/properties/*", WRITE_WORK, WRITE_PROPERTY, properties::put),
    closed("DELETE", "user/properties/*", WRITE_WORK, DELETE_PROPERTY, properties::delete),
    open("GET", "user/search", USER, SEARCH_USER, search::search),
    open("GET", "user/picker", WORK, PICKER, picker::users),
    open("GET", "users", USER, READ_USER, roll::list),
    open("GET", "users/search", USER, READ_USER, roll::list),
    closed("GET", "group/bulk", USER, READ_GROUP, groups::bulk),
    closed("GET", "group", MANAGE, MEMBERS, groups::get),
    closed("POST", "group", MANAGE, WRITE_GROUP, groups::create),
    closed("DELETE", "group", MANAGE, DELETE_GROUP, groups::delete),
    closed("GET", "group/member", MANAGE, MEMBERS, members::list),
    closed("POST", "group/user", MANAGE, WRITE_GROUP, members::add),
    closed("DELETE", "group/user", MANAGE, LEAVE_GROUP, members::remove),
    open("GET", "project/search", WORK, PROJECTS, projects::search),
    open("GET", "component", WORK, COMPONENTS, projects::components),
    open("GET", "groups/picker", WORK, PICKER, picker::groups),
    open("GET", "groupuserpicker", WORK, PICKER, picker::both),
];
