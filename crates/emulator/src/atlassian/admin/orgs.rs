//! Organizations, directories and workspaces: the ids that the other calls need.

use serde_json::{Map, Value, json};

use super::{Call, bad, resume};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::Atlassian;

fn shown(call: &Call<'_>, world: &Atlassian) -> Value {
    let own = format!("{}/admin/v1/orgs/{}", call.state.urls().organization, world.organization_id);
    json!({
        "id": world.organization_id,
        "type": "orgs",
        "attributes": {"name": world.site_name},
        "relationships": {
            "domains": {"links": {"related": format!("{own}/domains")}},
            "users": {"links": {"related": format!("{own}/users")}},
        },
        "links": {"self": own},
    })
}

pub(super) fn list(call: &Call<'_>) -> Reply {
    let world = call.state.world();
    let own = format!("{}/admin/v1/orgs", call.state.urls().organization);
    Reply::json(200, json!({"data": [shown(call, &world.atlassian)], "links": {"self": own}}))
}

pub(super) fn get(call: &Call<'_>) -> Reply {
    let world = call.state.world();
    Reply::json(200, json!({"data": shown(call, &world.atlassian)}))
}

pub(super) fn domains(call: &Call<'_>) -> Reply {
    let world = call.state.world();
    let world = &world.atlassian;
    let own = format!("{}/admin/v1/orgs/{}/domains", call.state.urls().organization, world.organization_id);
    let rows: Vec<Value> = world
        .verified_domains
        .iter()
        .map(|name| {
            json!({
                "id": hex::encode(name),
                "type": "domains",
                "attributes": {"name": name, "claim": {"type": "dns", "status": "verified"}},
                "links": {"self": format!("{own}/{}", hex::encode(name))},
            })
        })
        .collect();
    Reply::json(200, json!({"data": rows, "links": {"self": own}}))
}

pub(super) fn directories(call: &Call<'_>) -> Reply {
    let world = call.state.world();
    let directory = json!({
        "directoryId": world.atlassian.directory_id,
        "name": "Primary Directory",
        "icon": "https://avatars.example/directory.png",
    });
    call.page(&[directory], 20, 0, &Map::new())
}

/// `usage` is told for Bitbucket only, so no product of a site has it.
pub(super) fn workspaces(call: &Call<'_>) -> Answer {
    let body = call.body()?;
    if body.contains_key("cursor") && body.len() > 1 {
        return Err(bad("No other property may accompany the cursor."));
    }
    let (filters, start, limit) = resume(body, 20, 1000)?;
    let world = call.state.world();
    let world = &world.atlassian;
    let url = call.state.urls().site;
    let rows: Vec<Value> = world
        .products
        .iter()
        .map(|product| {
            json!({
                "id": world.resource_of(&product.key),
                "type": "workspace",
                "attributes": {
                    "name": world.site_name,
                    "typeKey": product.key,
                    "type": product.name,
                    "hostUrl": url,
                    "status": "online",
                    "capacity": product.seats,
                },
            })
        })
        .filter(|row| filters.get("query").is_none_or(|query| fits(query, row)))
        .collect();
    Ok(call.page(&rows, limit, start, &filters))
}

/// Whether a workspace fits a query of `and`, `nor` and `field` with a name such as `attributes.type`.
fn fits(query: &Value, row: &Value) -> bool {
    if let Some(all) = query["and"].as_array() {
        return all.iter().all(|part| fits(part, row));
    }
    if let Some(none) = query["nor"].as_array() {
        return !none.iter().any(|part| fits(part, row));
    }
    let Some(name) = query["field"]["name"].as_str() else { return true };
    let actual = name.split('.').fold(row, |value, key| &value[key]).as_str().unwrap_or_default();
    query["field"]["values"].as_array().is_none_or(|values| {
        values.iter().filter_map(Value::as_str).any(|wanted| same_kind(name, actual, wanted))
    })
}

/// Types are matched by their family: `Jira` finds `Jira Software`.
fn same_kind(name: &str, actual: &str, wanted: &str) -> bool {
    let (actual, wanted) = (actual.to_lowercase(), wanted.to_lowercase());
    actual == wanted || (name == "attributes.type" && actual.starts_with(&format!("{wanted} ")))
}
