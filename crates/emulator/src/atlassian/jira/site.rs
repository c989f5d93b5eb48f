//! What the site says of itself and of the caller: server information, permissions, application roles.

use serde_json::{Map, Value, json};

use super::Call;
use super::render::{application_role as role, time};
use crate::atlassian::auth;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::Atlassian;

/// Permissions that are known: key, id, name, type.
const PERMISSIONS: &[(&str, &str, &str, &str)] = &[
    ("ADMINISTER", "0", "Administer Jira", "GLOBAL"),
    ("USER_PICKER", "27", "Browse users and groups", "GLOBAL"),
    ("CREATE_SHARED_OBJECTS", "22", "Share dashboards and filters", "GLOBAL"),
    ("MANAGE_GROUP_FILTER_SUBSCRIPTIONS", "24", "Manage group filter subscriptions", "GLOBAL"),
    ("BULK_CHANGE", "33", "Make bulk changes", "GLOBAL"),
    ("BROWSE_PROJECTS", "10", "Browse projects", "PROJECT"),
    ("ADMINISTER_PROJECTS", "23", "Administer projects", "PROJECT"),
];

#[expect(clippy::unnecessary_wraps, reason = "the table wants one signature")]
pub(super) fn server_info(call: &Call<'_>) -> Answer {
    let url = call.state.urls().site;
    Ok(Reply::json(
        200,
        json!({
            "baseUrl": url,
            "displayUrl": url,
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100_290,
            "buildDate": "2026-01-08T09:12:44.000+0000",
            "serverTime": time(call.now),
            "scmInfo": "1f51473f5c7b75c1a69a0090f4832cdc5053702a",
            "serverTitle": "Jira",
            "serverTimeZone": "Europe/Berlin",
        }),
    ))
}

fn holds(world: &Atlassian, account: Option<&str>, key: &str) -> bool {
    let Some(id) = account else { return false };
    match key {
        "USER_PICKER" | "BROWSE_PROJECTS" | "CREATE_SHARED_OBJECTS" => auth::may_browse(world, id),
        _ => auth::is_admin(world, id),
    }
}

pub(super) fn my_permissions(call: &Call<'_>) -> Answer {
    let Some(wanted) = call.query().get("permissions") else {
        return Err(Reply::field(400, "permissions", "The 'permissions' query parameter is required."));
    };
    let world = call.state.world();
    let mut shown = Map::new();
    for key in wanted.split(',').map(str::trim).filter(|key| !key.is_empty()) {
        let Some((_, id, name, kind)) = PERMISSIONS.iter().find(|(known, ..)| *known == key) else {
            return Err(Reply::field(400, key, "Unrecognized permission"));
        };
        shown.insert(
            key.to_owned(),
            json!({
                "id": id, "key": key, "name": name, "type": kind, "description": format!("Permission: {name}."),
                "havePermission": holds(&world.atlassian, call.account, key),
            }),
        );
    }
    Ok(Reply::json(200, json!({"permissions": shown})))
}

pub(super) fn check_permissions(call: &Call<'_>) -> Answer {
    let body = call.body()?;
    let world = call.state.world();
    let world = &world.atlassian;
    let asked = body.get("accountId").and_then(Value::as_str);
    let subject = match asked {
        Some(other) if call.account != Some(other) => {
            if !call.account.is_some_and(|own| auth::is_admin(world, own)) {
                return Err(Reply::jira(403, "Only Jira administrators can perform this operation."));
            }
            Some(other)
        }
        _ => call.account,
    };
    let keys: Vec<&str> = body
        .get("globalPermissions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(unknown) =
        keys.iter().find(|key| !PERMISSIONS.iter().any(|(k, _, _, kind)| k == *key && *kind == "GLOBAL"))
    {
        return Err(Reply::field(400, unknown, "Unrecognized permission"));
    }
    let held: Vec<&str> = keys.into_iter().filter(|key| holds(world, subject, key)).collect();
    Ok(Reply::json(200, json!({"globalPermissions": held, "projectPermissions": []})))
}

fn require_admin(call: &Call<'_>, world: &Atlassian) -> Result<(), Reply> {
    if auth::is_admin(world, call.account()?) {
        return Ok(());
    }
    Err(Reply::jira(403, "You do not have the permission to administer Jira."))
}

pub(super) fn application_roles(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    require_admin(call, world)?;
    let roles =
        world.products.iter().filter(|p| p.key != "confluence").map(|p| role(call, world, p)).collect();
    Ok(Reply::json(200, Value::Array(roles)))
}

pub(super) fn application_role(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    require_admin(call, world)?;
    let key = call.path.rsplit('/').next().unwrap_or_default();
    let product = world.products.iter().find(|p| p.key == key && key != "confluence");
    let product = product.ok_or_else(|| Reply::jira(404, format!("No role with key '{key}' exists.")))?;
    Ok(Reply::json(200, role(call, world, product)))
}
