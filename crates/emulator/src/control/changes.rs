//! Changes of the world through the control interface: what administrators and other programs do on either side while a
//! sync is running, or between two.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Refusal, bad, body};
use crate::state::{Shared, State};
use crate::world::World;
use crate::world::atlassian::{JiraGroup, Quirks, SiteAccount};
use crate::world::tenant::{EntraGroup, EntraUser, Member};

/// One change. A user is named by id or user principal name, a group by id or by a name that only it bears, an account
/// by id or by an address that only it has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum WorldChange {
    /// Directory: a new user; the id is made up when absent.
    CreateUser {
        /// The user.
        user: EntraUser,
    },
    /// Directory: sets properties; `null` clears one.
    UpdateUser {
        /// Which.
        user: String,
        /// Properties as Graph names them.
        set: Map<String, Value>,
    },
    /// Directory: blocks sign-in.
    DisableUser {
        /// Which.
        user: String,
    },
    /// Directory: allows sign-in.
    EnableUser {
        /// Which.
        user: String,
    },
    /// Directory: moves to the recycle bin.
    DeleteUser {
        /// Which.
        user: String,
    },
    /// Directory: back from the recycle bin.
    RestoreUser {
        /// The id.
        user: String,
    },
    /// Directory: out of the recycle bin, for good.
    PurgeUser {
        /// The id.
        user: String,
    },
    /// Directory: a new group; the id is made up when absent.
    CreateGroup {
        /// The group.
        group: EntraGroup,
    },
    /// Directory: another name.
    RenameGroup {
        /// Which.
        group: String,
        /// The new name.
        name: String,
    },
    /// Directory: moves to the recycle bin.
    DeleteGroup {
        /// Which.
        group: String,
    },
    /// Directory: back from the recycle bin.
    RestoreGroup {
        /// The id.
        group: String,
    },
    /// Directory: a direct member more.
    AddMember {
        /// To which.
        group: String,
        /// Who.
        member: Member,
    },
    /// Directory: a direct member less.
    RemoveMember {
        /// From which.
        group: String,
        /// Who.
        member: Member,
    },
    /// Directory: what an application may do from now on.
    SetRoles {
        /// The client id; the first application when absent.
        #[serde(default)]
        client_id: Option<String>,
        /// All its roles.
        roles: BTreeSet<String>,
    },
    /// Directory: assigns an application to a user or group.
    Assign {
        /// The client id.
        client_id: String,
        /// To whom.
        member: Member,
    },
    /// Directory: an assignment of an application less.
    Unassign {
        /// The client id.
        client_id: String,
        /// From whom.
        member: Member,
    },
    /// Directory: how people sign in to an application.
    SetSignIn {
        /// The client id; the first application when absent.
        #[serde(default)]
        client_id: Option<String>,
        /// Redirect addresses; all of them.
        redirect_uris: Vec<String>,
        /// Whether id tokens name groups.
        #[serde(default)]
        group_claims: bool,
        /// App roles: role = ids of users or groups, or user principal names.
        #[serde(default)]
        app_roles: BTreeMap<String, Vec<String>>,
    },
    /// Directory: its secrets expire now.
    ExpireClientSecret {
        /// The client id; the first application when absent.
        #[serde(default)]
        client_id: Option<String>,
    },
    /// Site: a new account; the id is made up when absent.
    AddAccount {
        /// The account.
        account: SiteAccount,
    },
    /// Site: suspends access.
    SuspendAccount {
        /// Which.
        account: String,
    },
    /// Site: gives access back.
    ReinstateAccount {
        /// Which.
        account: String,
    },
    /// Site: deactivates a managed account.
    DeactivateAccount {
        /// Which.
        account: String,
    },
    /// Site: removes from the directory and all groups.
    RemoveAccount {
        /// Which.
        account: String,
    },
    /// Site: the person shows or hides the address.
    SetEmailVisibility {
        /// Which.
        account: String,
        /// Whether it is shown.
        visible: bool,
    },
    /// Site: a member by hand.
    AddSiteMember {
        /// To which.
        group: String,
        /// Who.
        account: String,
    },
    /// Site: a member less, by hand.
    RemoveSiteMember {
        /// From which.
        group: String,
        /// Who.
        account: String,
    },
    /// Site: a new group; the id is made up when absent.
    CreateSiteGroup {
        /// The group.
        group: JiraGroup,
    },
    /// Site: a group less.
    DeleteSiteGroup {
        /// Which.
        group: String,
    },
    /// Site: the seats of a product.
    SetSeats {
        /// The key of the product.
        product: String,
        /// Seats; unlimited when absent.
        #[serde(default)]
        seats: Option<u64>,
    },
    /// Site: the API tokens of an account expire now.
    ExpireToken {
        /// Whose; all tokens when absent.
        #[serde(default)]
        account: Option<String>,
    },
    /// Site: behaviours that some tenants show.
    SetQuirks {
        /// All of them.
        quirks: Quirks,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    changes: Vec<Value>,
}

/// `POST /world/changes`. All are read before the first is made; they are made in order, up to the first that fails.
pub(super) async fn post_changes(
    Extract(state): Extract<Shared>,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let list = match body::<Value>(&bytes)? {
        Value::Array(list) => list,
        other => serde_json::from_value::<Changes>(other).map_err(|e| bad(e.to_string()))?.changes,
    };
    let read = |(index, value)| {
        serde_json::from_value::<WorldChange>(value).map_err(|e| bad(format!("changes[{index}]: {e}")))
    };
    let changes: Vec<WorldChange> = list.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let mut ids = Vec::with_capacity(changes.len());
    for (index, change) in changes.into_iter().enumerate() {
        match state.change(change) {
            Ok(id) => ids.push(id),
            Err(error) => {
                let message = format!("changes[{index}]: {error} (the {index} before it were made)");
                return Err(Refusal(StatusCode::CONFLICT, message));
            }
        }
    }
    Ok(Json(json!({"applied": ids.len(), "ids": ids})))
}

impl State {
    /// Makes one change and returns the id of the object it touched. The error says what is wrong with it.
    pub fn change(&self, change: WorldChange) -> Result<String, String> {
        let at = self.now();
        let fresh = self.uuid();
        apply(&mut self.world_mut(), change, fresh, at)
    }
}

fn apply(world: &mut World, change: WorldChange, fresh: String, at: Timestamp) -> Result<String, String> {
    match change {
        WorldChange::CreateUser { mut user } => {
            user.id = given_or(user.id, fresh);
            let id = user.id.clone();
            world.tenant.add_user(user, at).map(|()| id)
        }
        WorldChange::UpdateUser { user, set } => {
            with(user_id(world, &user)?, |id| world.tenant.update_user(id, set, at))
        }
        WorldChange::DisableUser { user } => {
            with(user_id(world, &user)?, |id| world.tenant.update_user(id, enabled(Value::Bool(false)), at))
        }
        WorldChange::EnableUser { user } => {
            with(user_id(world, &user)?, |id| world.tenant.update_user(id, enabled(Value::Bool(true)), at))
        }
        WorldChange::DeleteUser { user } => {
            with(user_id(world, &user)?, |id| world.tenant.soft_delete_user(id, at))
        }
        WorldChange::RestoreUser { user } => with(user, |id| world.tenant.restore_user(id, at)),
        WorldChange::PurgeUser { user } => with(user, |id| world.tenant.purge_user(id, at)),
        WorldChange::CreateGroup { mut group } => {
            group.id = given_or(group.id, fresh);
            let id = group.id.clone();
            let members = std::mem::take(&mut group.members);
            world.tenant.add_group(group, at)?;
            for member in members {
                let member = member_id(world, member)?;
                world.tenant.add_member(&id, member, at)?;
            }
            Ok(id)
        }
        WorldChange::RenameGroup { group, name } => {
            with(group_id(world, &group)?, |id| world.tenant.rename_group(id, &name, at))
        }
        WorldChange::DeleteGroup { group } => {
            with(group_id(world, &group)?, |id| world.tenant.delete_group(id, at))
        }
        WorldChange::RestoreGroup { group } => with(group, |id| world.tenant.restore_group(id, at)),
        WorldChange::AddMember { group, member } => {
            let member = member_id(world, member)?;
            with(group_id(world, &group)?, |id| world.tenant.add_member(id, member, at))
        }
        WorldChange::RemoveMember { group, member } => {
            let member = member_id(world, member)?;
            with(group_id(world, &group)?, |id| world.tenant.remove_member(id, &member, at))
        }
        WorldChange::SetRoles { client_id, roles } => {
            let app = application(world, client_id)?;
            app.roles = roles;
            Ok(app.client_id.clone())
        }
        WorldChange::Assign { client_id, member } => {
            let member = member_id(world, member)?;
            let app = application(world, Some(client_id))?;
            if app.assigned.contains(&member) {
                return Err(format!("the application is assigned to {} already", member.id()));
            }
            app.assigned.push(member);
            Ok(app.client_id.clone())
        }
        WorldChange::Unassign { client_id, member } => {
            let member = member_id(world, member)?;
            let app = application(world, Some(client_id))?;
            let before = app.assigned.len();
            app.assigned.retain(|assigned| *assigned != member);
            if app.assigned.len() == before {
                return Err(format!("the application is not assigned to {}", member.id()));
            }
            Ok(app.client_id.clone())
        }
        WorldChange::SetSignIn { client_id, redirect_uris, group_claims, app_roles } => {
            let app = application(world, client_id)?;
            (app.redirect_uris, app.group_claims, app.app_roles) = (redirect_uris, group_claims, app_roles);
            Ok(app.client_id.clone())
        }
        WorldChange::ExpireClientSecret { client_id } => {
            let app = application(world, client_id)?;
            app.secrets.iter_mut().for_each(|secret| secret.expires = Some(at));
            Ok(app.client_id.clone())
        }
        on_site => apply_on_site(world, on_site, fresh, at),
    }
}

fn apply_on_site(
    world: &mut World,
    change: WorldChange,
    fresh: String,
    at: Timestamp,
) -> Result<String, String> {
    let site = &mut world.atlassian;
    match change {
        WorldChange::AddAccount { mut account } => {
            account.account_id = given_or(account.account_id, format!("712020:{fresh}"));
            let id = account.account_id.clone();
            site.add_account_at(account, at).map(|()| id)
        }
        WorldChange::SuspendAccount { account } => with(account_id(world, &account)?, |id| {
            world.atlassian.update_account(id, |account| account.membership_status = "suspended".into())
        }),
        WorldChange::ReinstateAccount { account } => with(account_id(world, &account)?, |id| {
            world.atlassian.update_account(id, |account| {
                account.membership_status = "active".into();
                account.account_status = "active".into();
                account.deactivated_on = None;
            })
        }),
        WorldChange::DeactivateAccount { account } => with(account_id(world, &account)?, |id| {
            world.atlassian.update_account(id, |account| {
                account.account_status = "inactive".into();
                account.deactivated_on = Some(at);
            })
        }),
        WorldChange::RemoveAccount { account } => {
            with(account_id(world, &account)?, |id| world.atlassian.remove_from_directory(id, at))
        }
        WorldChange::SetEmailVisibility { account, visible } => with(account_id(world, &account)?, |id| {
            world.atlassian.update_account(id, |account| account.email_visible = visible)
        }),
        WorldChange::AddSiteMember { group, account } => {
            let account = account_id(world, &account)?;
            with(site_group_id(world, &group)?, |id| world.atlassian.set_member(id, &account, at))
        }
        WorldChange::RemoveSiteMember { group, account } => {
            let account = account_id(world, &account)?;
            let group = site_group_id(world, &group)?;
            if !world.atlassian.groups[&group].members.contains(&account) {
                return Err(format!("account {account} is not a member of group {group}"));
            }
            with(group, |id| world.atlassian.unset_member(id, &account, at))
        }
        WorldChange::CreateSiteGroup { mut group } => {
            group.group_id = given_or(group.group_id, fresh);
            if world.atlassian.group_by_name(&group.name).is_some() {
                return Err(format!("there is already a group named {:?}", group.name));
            }
            let members = std::mem::take(&mut group.members);
            for member in members {
                group.members.insert(account_id(world, &member)?);
            }
            let id = group.group_id.clone();
            world.atlassian.add_group_at(group, at).map(|()| id)
        }
        WorldChange::DeleteSiteGroup { group } => {
            with(site_group_id(world, &group)?, |id| world.atlassian.delete_group(id))
        }
        WorldChange::SetSeats { product, seats } => with(product, |key| {
            site.product_mut(key)?.seats = seats;
            Ok(())
        }),
        WorldChange::ExpireToken { account } => {
            let whose = account.map(|account| account_id(world, &account)).transpose()?;
            let mut hit = 0;
            for token in &mut world.atlassian.api_tokens {
                if whose.as_ref().is_none_or(|id| *id == token.account_id) {
                    token.expires = Some(at);
                    hit += 1;
                }
            }
            if hit == 0 {
                Err("there is no API token to expire".into())
            } else {
                Ok(whose.unwrap_or_default())
            }
        }
        WorldChange::SetQuirks { quirks } => {
            site.quirks = quirks;
            Ok(String::new())
        }
        other => Err(format!("this is not a change of the site: {other:?}")),
    }
}

fn enabled(value: Value) -> Map<String, Value> {
    Map::from_iter([("accountEnabled".to_owned(), value)])
}

fn given_or(id: String, fresh: String) -> String {
    if id.is_empty() { fresh } else { id }
}

fn with(id: String, act: impl FnOnce(&str) -> Result<(), String>) -> Result<String, String> {
    act(&id).map(|()| id)
}

fn application(
    world: &mut World,
    client_id: Option<String>,
) -> Result<&mut crate::world::tenant::Application, String> {
    let applications = &mut world.tenant.applications;
    let id = client_id.or_else(|| applications.keys().next().cloned()).ok_or("there is no application")?;
    applications.get_mut(&id).ok_or_else(|| format!("there is no application {id}"))
}

fn user_id(world: &World, who: &str) -> Result<String, String> {
    world.tenant.user(who).map(|user| user.id.clone()).ok_or_else(|| format!("there is no user {who}"))
}

fn group_id(world: &World, which: &str) -> Result<String, String> {
    if world.tenant.groups.contains_key(which) {
        return Ok(which.to_owned());
    }
    let named = |group: &&EntraGroup| group.display_name.as_deref() == Some(which);
    only(world.tenant.groups.values().filter(named).map(|group| group.id.clone()), "group", which)
}

fn member_id(world: &World, member: Member) -> Result<Member, String> {
    Ok(match member {
        // A link to a deleted user can be removed by its id.
        Member::User(who) => Member::User(user_id(world, &who).unwrap_or(who)),
        Member::Group(which) => Member::Group(group_id(world, &which)?),
        other => other,
    })
}

fn account_id(world: &World, who: &str) -> Result<String, String> {
    if world.atlassian.accounts.contains_key(who) {
        return Ok(who.to_owned());
    }
    only(world.atlassian.by_email(who).map(|account| account.account_id.clone()), "account", who)
}

fn site_group_id(world: &World, which: &str) -> Result<String, String> {
    if world.atlassian.groups.contains_key(which) {
        return Ok(which.to_owned());
    }
    let found = world.atlassian.group_by_name(which).map(|group| group.group_id.clone());
    found.ok_or_else(|| format!("there is no group {which:?} on the site"))
}

fn only(mut found: impl Iterator<Item = String>, kind: &str, which: &str) -> Result<String, String> {
    let first = found.next().ok_or_else(|| format!("there is no {kind} {which:?}"))?;
    match found.next() {
        None => Ok(first),
        Some(_) => Err(format!("several {kind}s are called {which:?}: give the id")),
    }
}
