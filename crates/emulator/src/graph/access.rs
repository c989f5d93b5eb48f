//! Who calls and what he may: the bearer token, and the permission table by application roles.

use std::collections::BTreeSet;

use super::failure::{Failure, Outcome};
use crate::entra::{self, Refused};
use crate::state::State;
use crate::world::tenant::Tenant;

/// An authenticated application.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) app: String,
    pub(super) rights: Rights,
}

/// How much of a user the caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserView {
    Full,
    /// Names, mail and id.
    Basic,
    /// Only that he exists, as a member of something.
    None,
}

/// What the roles in the token amount to.
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own, and none excludes another")]
#[derive(Debug, Clone)]
pub(super) struct Rights {
    pub(super) users: UserView,
    pub(super) groups: bool,
    pub(super) members: bool,
    pub(super) hidden_members: bool,
    pub(super) apps: bool,
    roles: BTreeSet<String>,
}

impl Rights {
    pub(super) fn new(roles: BTreeSet<String>) -> Self {
        let mut rights = Self {
            users: UserView::None,
            groups: false,
            members: false,
            hidden_members: roles.contains("Member.Read.Hidden"),
            apps: false,
            roles,
        };
        rights.users = if rights.any(&["User.Read.All"]) {
            UserView::Full
        } else if rights.any(&["User.ReadBasic.All"]) {
            UserView::Basic
        } else {
            UserView::None
        };
        rights.groups = rights.any(&["Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All"]);
        rights.members = rights.any(&["GroupMember.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All"]);
        rights.apps = rights.any(&["Application.Read.All"]);
        rights
    }

    /// Whether one of the roles is held, itself or as its writing form; directory-wide roles hold all of them.
    fn any(&self, roles: &[&str]) -> bool {
        let held = |role: &str| {
            self.roles.contains(role) || self.roles.contains(&role.replace(".Read.All", ".ReadWrite.All"))
        };
        held("Directory.Read.All") || roles.iter().any(|role| held(role))
    }

    /// Fails with 403 unless one of the roles is held.
    pub(super) fn need(&self, roles: &[&str]) -> Outcome<()> {
        if self.any(roles) { Ok(()) } else { Err(Failure::denied()) }
    }
}

/// The caller behind an `Authorization` header.
pub(super) fn authenticate(state: &State, tenant: &Tenant, header: Option<&str>) -> Outcome<Caller> {
    let authority = state.urls().authority;
    let refuse = |code, message| Failure::token(code, message, &authority);
    let invalid = "InvalidAuthenticationToken";
    let token = header
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty())
        .map(|(_, token)| token.trim())
        .ok_or_else(|| refuse(invalid, "Access token is empty."))?;
    match entra::check(tenant, token, state.now()) {
        Ok((app, roles)) => Ok(Caller { app, rights: Rights::new(roles) }),
        Err(Refused::Malformed) => {
            Err(refuse(invalid, "CompactToken parsing failed with error code: 80049217"))
        }
        Err(Refused::Audience) => Err(refuse(invalid, "Access token validation failure. Invalid audience.")),
        Err(Refused::Expired) => Err(refuse(invalid, "Lifetime validation failed, the token is expired.")),
        Err(Refused::UnknownApplication) => Err(refuse(
            "Authorization_IdentityNotFound",
            "The identity of the calling application could not be established.",
        )),
        Err(Refused::Disabled) => Err(refuse(
            "Authorization_IdentityDisabled",
            "The identity of the calling application is disabled.",
        )),
    }
}
