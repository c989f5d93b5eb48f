//! How the objects of both sides are stored.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, ApplicationId, Assignments, Attributes,
    DirectoryGroup, DirectoryGroupId, DirectorySnapshot, DirectoryUser, DirectoryUserId, EmailAddress, Gone,
    SiteGroup, SiteMembers, SiteSnapshot, UserKind,
};
use serde::{Deserialize, Serialize};

use super::{ASSIGNED, DIRECTORY, SITE};
use crate::error::{Error, Result};
use crate::sum::{Sum, storable};

pub(super) struct Object {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) body: String,
    pub(super) sum: i64,
    /// What it is looked for by; nothing of objects that nobody looks for.
    pub(super) find: Option<String>,
}

/// Characters of each part that are looked through: an index takes no texts without end.
const FOUND_BY: usize = 120;

/// What an object of the directory is looked for by: its names, and its id.
fn found_by(parts: &[Option<&str>], id: &str) -> String {
    let mut text = String::new();
    for part in parts.iter().flatten() {
        text.extend(part.chars().take(FOUND_BY).flat_map(char::to_lowercase));
        text.push('\n');
    }
    text.push_str(id);
    storable(&text)
}

/// A user of the directory, as stored.
#[derive(Serialize, Deserialize)]
pub(crate) enum UserBody {
    #[serde(rename = "live")]
    Live {
        name: Option<Arc<str>>,
        mail: Option<Arc<str>>,
        upn: Option<Arc<str>>,
        other: Option<Arc<str>>,
        account: AccountState,
        kind: UserKind,
        #[serde(default, skip_serializing_if = "Attributes::is_empty")]
        more: Attributes,
    },
    #[serde(rename = "soft_deleted")]
    SoftDeleted,
    #[serde(rename = "deleted")]
    Deleted,
}

impl UserBody {
    /// The user under this id, or how they went.
    pub(crate) fn into_user(self, id: DirectoryUserId) -> Result<DirectoryUser, (DirectoryUserId, Gone)> {
        match self {
            Self::SoftDeleted => Err((id, Gone::SoftDeleted)),
            Self::Deleted => Err((id, Gone::Deleted)),
            Self::Live { name, mail, upn, other, account, kind, more } => Ok(DirectoryUser {
                id,
                display_name: name,
                mail,
                user_principal_name: upn,
                other_mail: other,
                account,
                kind,
                attributes: more,
            }),
        }
    }
}

/// A group of either side; ids hold no blanks, so that lists of them are text with blanks between.
#[derive(Serialize, Deserialize)]
pub(crate) struct GroupBody {
    pub(crate) name: Arc<str>,
    /// Direct users or accounts, if the members are known.
    pub(super) users: Option<String>,
    /// Direct groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) groups: String,
    /// Deleted, but perhaps still named as nested.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) gone: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AccountBody {
    pub(crate) mail: Option<EmailAddress>,
    pub(crate) name: Arc<str>,
    pub(crate) activity: AccountActivity,
    pub(crate) kind: AccountKind,
}

pub(crate) fn object_sum(connection: &str, side: &str, kind: &str, id: &str, body: &str) -> i64 {
    Sum::of("mirror_objects").text(connection).text(side).text(kind).text(id).text(body).finish()
}

pub(super) fn object(
    connection: &str,
    side: &str,
    kind: &'static str,
    id: &str,
    body: &impl Serialize,
) -> Object {
    let body = serde_json::to_string(body).expect("bodies are plain data");
    let sum = object_sum(connection, side, kind, id, &body);
    Object { kind, id: id.to_owned(), body, sum, find: None }
}

pub(super) fn joined<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for id in ids {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "{id}");
    }
    text
}

pub(super) fn user_object(connection: &str, user: &DirectoryUser) -> Object {
    let body = UserBody::Live {
        name: user.display_name.clone(),
        mail: user.mail.clone(),
        upn: user.user_principal_name.clone(),
        other: user.other_mail.clone(),
        account: user.account,
        kind: user.kind,
        more: user.attributes.clone(),
    };
    let address = user.address().map(|address| address.to_string());
    let find = found_by(
        &[Some(user.label()), address.as_deref(), user.user_principal_name.as_deref()],
        user.id.as_str(),
    );
    Object { find: Some(find), ..object(connection, DIRECTORY, "user", user.id.as_str(), &body) }
}

pub(super) fn gone_object(connection: &str, id: &DirectoryUserId, how: Gone) -> Object {
    let body = match how {
        Gone::SoftDeleted => UserBody::SoftDeleted,
        Gone::Deleted => UserBody::Deleted,
    };
    Object { find: Some(String::new()), ..object(connection, DIRECTORY, "user", id.as_str(), &body) }
}

pub(super) fn group_object(connection: &str, snapshot: &DirectorySnapshot, group: &DirectoryGroup) -> Object {
    let members = group.direct();
    let body = GroupBody {
        name: group.display_name.clone(),
        users: members.map(|(users, _)| joined(users.iter().map(|ix| snapshot.user_id_at(*ix).as_str()))),
        groups: members
            .map(|(_, groups)| joined(groups.iter().map(|ix| snapshot.group_at(*ix).id.as_str())))
            .unwrap_or_default(),
        gone: snapshot.group_is_gone(&group.id),
    };
    let find =
        if body.gone { String::new() } else { found_by(&[Some(&group.display_name)], group.id.as_str()) };
    Object { find: Some(find), ..object(connection, DIRECTORY, "group", group.id.as_str(), &body) }
}

/// All objects of a snapshot: what is listed, and of what is gone that which is still named.
pub(super) fn directory_objects(connection: &str, snapshot: &DirectorySnapshot) -> Vec<Object> {
    let mut objects: Vec<Object> = snapshot.users().map(|user| user_object(connection, user)).collect();
    let mut gone = HashSet::new();
    let mut gone_groups = HashSet::new();
    for group in snapshot.groups() {
        let (users, nested) = group.direct().unwrap_or_default();
        for user in users {
            let id = snapshot.user_id_at(*user);
            if let Some(how) = snapshot.gone(id).filter(|_| gone.insert(id)) {
                objects.push(gone_object(connection, id, how));
            }
        }
        for nested in nested {
            let nested = snapshot.group_at(*nested);
            if snapshot.group_is_gone(&nested.id) && gone_groups.insert(&nested.id) {
                objects.push(group_object(connection, snapshot, nested));
            }
        }
        objects.push(group_object(connection, snapshot, group));
    }
    objects.extend(snapshot.assignments().map(|list| assignments_object(connection, list)));
    objects
}

/// To whom an application is assigned; ids hold no blanks.
#[derive(Serialize, Deserialize)]
struct AssignmentsBody {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    users: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    groups: String,
}

pub(super) fn assignments_object(connection: &str, assignments: &Assignments) -> Object {
    let body = AssignmentsBody {
        users: joined(assignments.users().iter().map(DirectoryUserId::as_str)),
        groups: joined(assignments.groups().iter().map(DirectoryGroupId::as_str)),
    };
    object(connection, DIRECTORY, ASSIGNED, assignments.application().as_str(), &body)
}

pub(super) fn stored_assignments(application: &str, body: &str) -> Result<Assignments> {
    let wrong = || Error::row("mirror_objects", application);
    let body: AssignmentsBody = serde_json::from_str(body).map_err(|_| wrong())?;
    let users = body.users.split_ascii_whitespace().map(DirectoryUserId::parse);
    let groups = body.groups.split_ascii_whitespace().map(DirectoryGroupId::parse);
    let users: Vec<_> = users.collect::<std::result::Result<_, _>>().map_err(|_| wrong())?;
    let groups: Vec<_> = groups.collect::<std::result::Result<_, _>>().map_err(|_| wrong())?;
    Ok(Assignments::new(ApplicationId::parse(application).map_err(|_| wrong())?, users, groups))
}

pub(super) fn account_object(connection: &str, account: &Account) -> Object {
    let body = AccountBody {
        mail: account.email.clone(),
        name: account.display_name.clone(),
        activity: account.activity,
        kind: account.kind,
    };
    object(connection, SITE, "account", account.id.as_str(), &body)
}

pub(super) fn site_group_object(connection: &str, snapshot: &SiteSnapshot, group: &SiteGroup) -> Object {
    let users = match snapshot.members(&group.id) {
        Some(SiteMembers::Complete(list)) => Some(joined(list.iter().map(AccountId::as_str))),
        Some(SiteMembers::Unread(_)) | None => None,
    };
    let body = GroupBody { name: group.name.clone(), users, groups: String::new(), gone: false };
    object(connection, SITE, "group", group.id.as_str(), &body)
}
