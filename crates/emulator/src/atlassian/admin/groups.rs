//! Groups of the directory: search, create, delete, members.

use serde_json::{Map, Value, json};

use super::{Call, bad, error, query_as_body, resume, texts, unknown};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, JiraGroup};

fn shown(call: &Call<'_>, world: &Atlassian, group: &JiraGroup, expand: &[&str]) -> Value {
    let mut row = json!({
        "id": group.group_id,
        "name": group.name,
        "description": group.description.as_deref().unwrap_or_default(),
        "directoryId": world.directory_id,
        "externalSynced": group.external,
        "managedBy": if group.external { "external" } else { "admins" },
        "managementAccess": {"readable": true, "modifiable": !group.external, "deletable": !group.external},
    });
    let mut counts = Map::new();
    if expand.contains(&"counts.users") {
        counts.insert("users".into(), world.members_at(&group.group_id, call.seen()).len().into());
    }
    if expand.contains(&"counts.resources") {
        let granted = world.products.iter().filter(|p| p.groups.contains(&group.name)).count();
        counts.insert("resources".into(), granted.into());
    }
    if !counts.is_empty() {
        row["counts"] = counts.into();
    }
    row
}

fn matching<'w>(
    call: &Call<'_>,
    world: &'w Atlassian,
    filters: &Map<String, Value>,
) -> Result<Vec<&'w JiraGroup>, Reply> {
    let names = texts(filters, "groupNames", 100)?;
    let ids = texts(filters, "groupIds", 10)?;
    let accounts = texts(filters, "accountIds", 10)?;
    let resources = texts(filters, "resourceIds", 20)?;
    let term = filters.get("searchTerm").and_then(Value::as_str).filter(|t| !t.is_empty());
    if names.is_some() && (term.is_some() || ids.is_some()) {
        return Err(bad("groupNames cannot be used together with searchTerm or groupIds."));
    }
    let seen = call.seen();
    let candidates: Vec<&JiraGroup> = if let Some(names) = names {
        names.iter().filter_map(|name| world.group_by_name(name)).collect()
    } else if let Some(ids) = ids {
        ids.iter().filter_map(|id| world.groups.get(*id)).collect()
    } else {
        world.groups.values().collect()
    };
    let mut found: Vec<&JiraGroup> = candidates
        .into_iter()
        .filter(|g| world.known_at(&g.group_id, seen))
        .filter(|g| term.is_none_or(|t| g.name.to_lowercase().contains(&t.to_lowercase())))
        .filter(|g| {
            accounts.as_ref().is_none_or(|l| l.iter().any(|id| world.member_at(&g.group_id, id, seen)))
        })
        .filter(|g| {
            resources.as_ref().is_none_or(|l| {
                world
                    .products
                    .iter()
                    .any(|p| p.groups.contains(&g.name) && l.contains(&world.resource_of(&p.key).as_str()))
            })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.group_id == b.group_id);
    Ok(found)
}

fn search(call: &Call<'_>, given: Map<String, Value>) -> Answer {
    let (filters, start, limit) = resume(given, 20, 100)?;
    let expand = texts(&filters, "expand", 2)?.unwrap_or_default();
    let world = call.state.world();
    let world = &world.atlassian;
    let end = start.saturating_add(limit);
    let rows: Vec<Value> = matching(call, world, &filters)?
        .iter()
        .enumerate()
        .map(|(n, g)| if (start..end).contains(&n) { shown(call, world, g, &expand) } else { Value::Null })
        .collect();
    Ok(call.page(&rows, limit, start, &filters))
}

fn group<'w>(world: &'w Atlassian, id: &str) -> Result<&'w JiraGroup, Reply> {
    world.groups.get(id).ok_or_else(|| unknown("ADMIN-404-10", "The group is not known in the directory."))
}

/// A group whose members may be changed.
fn writable<'w>(world: &'w Atlassian, id: &str) -> Result<&'w JiraGroup, Reply> {
    let group = group(world, id)?;
    if group.external {
        return Err(error(403, "ADMIN-403-5", "Forbidden", "The group is managed by an identity provider."));
    }
    Ok(group)
}

fn broken(reason: &str) -> Reply {
    error(500, "ADMIN-500-1", "Internal error", reason)
}

pub(super) fn route(call: &Call<'_>, method: &str, rest: &[&str]) -> Answer {
    match (method, rest) {
        ("POST", ["search"]) => search(call, call.body()?),
        ("GET", []) => search(call, query_as_body(call)),
        ("GET", ["count"]) => {
            let world = call.state.world();
            let found = matching(call, &world.atlassian, &query_as_body(call))?;
            Ok(Reply::json(200, json!({"count": found.len()})))
        }
        ("POST", []) => create(call),
        ("GET", [id]) => {
            let world = call.state.world();
            let world = &world.atlassian;
            let group = group(world, id)?;
            if !world.known_at(id, call.seen()) {
                return Err(unknown("ADMIN-404-10", "The group is not known in the directory."));
            }
            let row = shown(call, world, group, &["counts.users", "counts.resources"]);
            Ok(Reply::json(200, json!({"data": row})))
        }
        ("PATCH", [id]) if call.state.settings().atlassian.rename_groups => rename(call, id),
        ("DELETE", [id]) => delete(call, id),
        ("POST", [id, "memberships"]) => add(call, id),
        ("DELETE", [id, "memberships", account]) => {
            let mut world = call.state.world_mut();
            let world = &mut world.atlassian;
            if !writable(world, id)?.members.contains(*account) {
                return Err(unknown("ADMIN-UAM-404-1", "The user is not a member of the group."));
            }
            world.unset_member(id, account, call.now).map_err(|e| broken(&e))?;
            Ok(Reply::empty(204))
        }
        ("GET", [id, "role-assignments"]) => {
            let world = call.state.world();
            let world = &world.atlassian;
            let group = group(world, id)?;
            let (filters, start, limit) = resume(query_as_body(call), 20, 100)?;
            let resources = texts(&filters, "resourceIds", 20)?;
            let asked = |key: &str| {
                resources.as_ref().is_none_or(|list| list.contains(&world.resource_of(key).as_str()))
            };
            let granted = world.products.iter().filter(|p| p.groups.contains(&group.name) && asked(&p.key));
            let rows: Vec<Value> = granted
                .map(|p| {
                    json!({
                        "resourceId": world.resource_of(&p.key),
                        "resourceOwner": p.key,
                        "roles": ["atlassian/user"],
                        "defaultRole": p.default_groups.contains(&group.name).then_some("atlassian/user"),
                    })
                })
                .collect();
            Ok(call.page(&rows, limit, start, &filters))
        }
        _ => Err(Reply::gateway(404, "Not Found")),
    }
}

fn create(call: &Call<'_>) -> Answer {
    let body = call.body()?;
    let name = body.get("name").and_then(Value::as_str).filter(|n| !n.trim().is_empty());
    let name = name.ok_or_else(|| bad("name is required."))?;
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    if world.group_by_name(name).is_some() {
        return Err(error(409, "ADMIN-409-28", "Conflict", "A group of this name exists."));
    }
    let group = JiraGroup {
        group_id: call.state.uuid(),
        name: name.to_owned(),
        description: body.get("description").and_then(Value::as_str).map(str::to_owned),
        ..JiraGroup::default()
    };
    world.add_group_at(group, call.now).map_err(|e| broken(&e))?;
    Ok(Reply::empty(201))
}

/// New in November 2026; method and path are not in the published document (atlassian-cloud.md 7.4).
fn rename(call: &Call<'_>, id: &str) -> Answer {
    let body = call.body()?;
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    if body.is_empty() || text("name").is_some_and(|name| name.trim().is_empty()) {
        return Err(bad("name must not be empty."));
    }
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let group = writable(world, id)?;
    if group.access.contains("admin") || group.access.contains("site-admin") {
        return Err(error(403, "ADMIN-403-5", "Forbidden", "A group of this kind cannot be renamed."));
    }
    if let Some(name) = text("name") {
        if world.group_by_name(name).is_some_and(|other| other.group_id != *id) {
            return Err(error(409, "ADMIN-409-28", "Conflict", "A group of this name exists."));
        }
        world.rename_group(id, name).map_err(|e| broken(&e))?;
    }
    if let Some(description) = text("description") {
        world.group_mut(id).map_err(|e| broken(&e))?.description = Some(description.to_owned());
    }
    Ok(Reply::empty(204))
}

fn delete(call: &Call<'_>, id: &str) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let group = writable(world, id)?;
    if world.products.iter().any(|p| p.default_groups.contains(&group.name)) {
        return Err(error(403, "ADMIN-403-6", "Forbidden", "A group with a default role cannot be deleted."));
    }
    if group.access.contains("admin") || group.access.contains("site-admin") {
        return Err(error(
            403,
            "ADMIN-403-7",
            "Forbidden",
            "A group that gives administration access cannot be deleted.",
        ));
    }
    world.delete_group(id).map_err(|e| broken(&e))?;
    Ok(Reply::empty(204))
}

fn add(call: &Call<'_>, id: &str) -> Answer {
    let body = call.body()?;
    let account_id =
        body.get("accountId").and_then(Value::as_str).ok_or_else(|| bad("accountId is required."))?;
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let group = writable(world, id)?;
    let account = world
        .accounts
        .get(account_id)
        .filter(|a| a.in_directory())
        .ok_or_else(|| unknown("ADMIN-UAM-404-1", "One or more user not found in the directory"))?;
    if account.account_status != "active" {
        return Err(error(400, "ADMIN-UAM-400-2", "Inactive user", "The account is not active."));
    }
    if group.members.contains(account_id) {
        return Err(error(
            409,
            "ADMIN-UAM-409-2",
            "Resource Conflict",
            "The user is already a member of the group.",
        ));
    }
    if world.check_seats(&group.name, account).is_err() {
        return Err(error(409, "ADMIN-UAM-409-3", "Licence Limit Exceeded", "There is no seat left."));
    }
    world.set_member(id, account_id, call.now).map_err(|e| broken(&e))?;
    Ok(Reply::empty(204))
}
