//! Groups: list, one, create, delete. There is no rename.

use serde_json::{Value, json};

use super::Call;
use super::render::{link, member};
use crate::atlassian::auth;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, JiraGroup, lag_view};

/// The most that `group/bulk` gives at once.
const MOST: usize = 1000;

/// The group that `groupId` or `groupname` names: exactly one of the two.
pub(super) fn named<'w>(
    call: &Call<'_>,
    world: &'w Atlassian,
    by_id: &str,
    by_name: &str,
) -> Result<Option<&'w JiraGroup>, Reply> {
    match (call.query().get(by_id), call.query().get(by_name)) {
        (Some(_), Some(_)) => Err(Reply::jira(400, format!("Specify only one of {by_id} and {by_name}."))),
        (None, None) => Ok(None),
        (Some(id), None) => {
            let group = world.groups.get(id);
            group
                .map(Some)
                .ok_or_else(|| Reply::jira(404, format!("The group with id '{id}' does not exist")))
        }
        (None, Some(name)) => {
            let group = world.group_by_name(name).filter(|g| g.name == name);
            group
                .map(Some)
                .ok_or_else(|| Reply::jira(404, format!("The group named '{name}' does not exist")))
        }
    }
}

/// The group of the call; 400 when none is named.
pub(super) fn wanted<'w>(call: &Call<'_>, world: &'w Atlassian) -> Result<&'w JiraGroup, Reply> {
    named(call, world, "groupId", "groupname")?
        .ok_or_else(|| Reply::jira(400, "Specify either the groupId or the groupname parameter."))
}

/// The same for reads, which do not see a group that is too new.
pub(super) fn wanted_by_reader<'w>(call: &Call<'_>, world: &'w Atlassian) -> Result<&'w JiraGroup, Reply> {
    let group = wanted(call, world)?;
    if world.known_at(&group.group_id, lag_view(call.now, call.lag().group_lag_ms)) {
        return Ok(group);
    }
    Err(Reply::jira(404, format!("The group named '{}' does not exist", group.name)))
}

pub(super) fn require_view(call: &Call<'_>, world: &Atlassian) -> Result<(), Reply> {
    let own = call.account()?;
    if auth::may_browse(world, own) || auth::is_admin(world, own) {
        return Ok(());
    }
    Err(Reply::jira(403, "Browse users and groups permission is required to view groups."))
}

/// The Group object, with members from `range` of those that Jira shows.
pub(super) fn shown(
    call: &Call<'_>,
    world: &Atlassian,
    group: &JiraGroup,
    range: Option<(usize, usize)>,
) -> Value {
    let seen = lag_view(call.now, call.lag().membership_lag_ms);
    let members = world.members_at(&group.group_id, seen);
    let size = world.active_among(&members);
    let (start, end) = range.map_or((0, 0), |(start, end)| (start.min(size), end.min(size)));
    let items: Vec<Value> = members
        .iter()
        .filter_map(|id| world.accounts.get(id))
        .filter(|a| a.active())
        .skip(start)
        .take(end.saturating_sub(start))
        .map(|a| member(call, world, a))
        .collect();
    json!({
        "name": group.name,
        "groupId": group.group_id,
        "self": link(call.base, "group", "groupId", &group.group_id),
        "users": {
            "size": size,
            "items": items,
            "max-results": 50,
            "start-index": start,
            "end-index": end.saturating_sub(1).max(start),
        },
        "expand": "users",
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    require_view(call, world)?;
    let group = wanted_by_reader(call, world)?;
    let range = call.query().get("expand").and_then(|text| {
        let rest = text.strip_prefix("users")?;
        let Some(inside) = rest.strip_prefix('[').and_then(|r| r.strip_suffix(']')) else {
            return Some((0, 50));
        };
        let (start, end) = inside.split_once(':')?;
        let start: usize = start.parse().ok()?;
        let end: usize = end.parse().ok()?;
        Some((start, end.saturating_add(1).min(start.saturating_add(50))))
    });
    Ok(Reply::json(200, shown(call, world, group, range)))
}

pub(super) fn bulk(call: &Call<'_>) -> Answer {
    let (start, size) = (call.start_at()?, call.page_size(50, MOST)?);
    let query = call.query();
    let access = query.get("accessType");
    if access.is_some_and(|a| !["site-admin", "admin", "user"].contains(&a)) {
        return Err(Reply::jira(400, "accessType is one of site-admin, admin and user."));
    }
    let world = call.state.world();
    let world = &world.atlassian;
    require_view(call, world)?;
    let granting = match query.get("applicationKey") {
        None => None,
        Some(key) => Some(
            world
                .products
                .iter()
                .find(|p| p.key == key && key != "confluence")
                .map(|p| &p.groups)
                .ok_or_else(|| {
                    Reply::jira(400, format!("'{key}' is not an application key of this site."))
                })?,
        ),
    };
    let ids: Vec<&str> = query.all("groupId").collect();
    let names: Vec<&str> = query.all("groupName").collect();
    let candidates: Vec<&JiraGroup> = if ids.is_empty() && names.is_empty() {
        world.groups.values().collect()
    } else {
        let by_id = ids.iter().filter_map(|id| world.groups.get(*id));
        by_id
            .chain(names.iter().filter_map(|name| world.group_by_name(name).filter(|g| g.name == *name)))
            .collect()
    };
    let seen = lag_view(call.now, call.lag().group_lag_ms);
    let mut found: Vec<&JiraGroup> = candidates
        .into_iter()
        .filter(|g| world.known_at(&g.group_id, seen))
        .filter(|g| access.is_none_or(|a| g.access.contains(a)))
        .filter(|g| granting.is_none_or(|names| names.contains(&g.name)))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.group_id.cmp(&b.group_id)));
    found.dedup_by(|a, b| a.group_id == b.group_id);
    let values: Vec<Value> =
        found.iter().skip(start).take(size).map(|g| json!({"name": g.name, "groupId": g.group_id})).collect();
    Ok(call.page(&values, start, size, found.len()))
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    call.require_site_admin(world)?;
    let body = call.body()?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.trim().is_empty() {
        return Err(Reply::jira(400, "The group name must be specified."));
    }
    if name.chars().count() > 255 {
        return Err(Reply::jira(400, "The group name cannot exceed 255 characters."));
    }
    if world.group_by_name(name).is_some() {
        return Err(Reply::jira(400, "A group or user with this name already exists."));
    }
    let group = JiraGroup { group_id: call.state.uuid(), name: name.to_owned(), ..JiraGroup::default() };
    let answer = shown(call, world, &group, None);
    world.add_group_at(group, call.now).map_err(|e| Reply::jira(500, e))?;
    Ok(Reply::json(201, answer))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    call.require_site_admin(world)?;
    let group = wanted(call, world)?;
    let (id, name) = (group.group_id.clone(), group.name.clone());
    if named(call, world, "swapGroupId", "swapGroup")?.is_some_and(|swap| swap.group_id == id) {
        return Err(Reply::jira(400, "The swap group must be another group."));
    }
    if group.external {
        return Err(Reply::jira(
            400,
            format!("The group '{name}' is managed by an identity provider and cannot be deleted."),
        ));
    }
    if world.products.iter().any(|p| p.default_groups.contains(&name)) {
        return Err(Reply::jira(
            400,
            format!("The group '{name}' is a default access group and cannot be deleted."),
        ));
    }
    if group.access.contains("site-admin") || group.access.contains("admin") {
        return Err(Reply::jira(
            403,
            format!("The group '{name}' gives administration access and cannot be deleted."),
        ));
    }
    world.delete_group(&id).map_err(|e| Reply::jira(500, e))?;
    Ok(Reply::empty(200))
}
