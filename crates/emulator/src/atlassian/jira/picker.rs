//! Suggestions of groups and users for pickers. Capped, and exact matches only for callers who may not browse; no way to
//! enumerate.

use serde_json::{Value, json};

use super::Call;
use super::search::matches;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, JiraGroup, lag_view};

fn highlighted(name: &str, query: &str) -> String {
    let at = name.to_lowercase().find(&query.to_lowercase()).filter(|_| !query.is_empty());
    match at.and_then(|at| {
        Some((name.get(..at)?, name.get(at..at + query.len())?, name.get(at + query.len()..)?))
    }) {
        Some((before, term, after)) => format!("{before}<b>{term}</b>{after}"),
        None => name.to_owned(),
    }
}

/// Which case counts in a comparison of names.
fn found_groups(call: &Call<'_>, world: &Atlassian, fold_case: &str, default: usize) -> Result<Value, Reply> {
    let query = call.query();
    let size = call.page_size(default, 1000)?;
    let text = query.get("query").unwrap_or_default();
    let fold = query.flag(fold_case);
    let wanted = text.to_lowercase();
    let fits = |group: &JiraGroup| match (call.browses(world), fold) {
        (true, true) => group.name.to_lowercase().contains(&wanted),
        (true, false) => group.name.contains(text),
        (false, true) => group.name.to_lowercase() == wanted,
        (false, false) => group.name == text,
    };
    let seen = lag_view(call.now, call.lag().group_lag_ms);
    let mut found: Vec<&JiraGroup> = world
        .groups
        .values()
        .filter(|g| fits(g) && world.known_at(&g.group_id, seen))
        .filter(|g| !query.all("exclude").any(|name| name == g.name))
        .filter(|g| !query.all("excludeId").any(|id| id == g.group_id))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let groups: Vec<Value> = found
        .iter()
        .take(size)
        .map(|g| {
            json!({
                "name": g.name,
                "html": highlighted(&g.name, text),
                "labels": [],
                "groupId": g.group_id,
                "managedBy": if g.external { "EXTERNAL" } else { "ADMINS" },
                "usageType": "USERBASE_GROUP",
            })
        })
        .collect();
    let header = format!("Showing {} of {} matching groups", groups.len(), found.len());
    Ok(json!({"header": header, "total": found.len(), "groups": groups}))
}

fn found_users(call: &Call<'_>, world: &Atlassian) -> Result<Value, Reply> {
    let size = call.page_size(50, 1000)?;
    let text = call.query().get("query").unwrap_or_default();
    let found = if call.browses(world) { matches(call, world, text) } else { Vec::new() };
    let users: Vec<Value> = found
        .iter()
        .take(size)
        .map(|a| {
            json!({
                "accountId": a.account_id,
                "accountType": a.account_type,
                "displayName": a.display_name,
                "html": highlighted(&a.display_name, text),
            })
        })
        .collect();
    let header = format!("Showing {} of {} matching users", users.len(), found.len());
    Ok(json!({"header": header, "total": found.len(), "users": users}))
}

fn require_query(call: &Call<'_>) -> Result<(), Reply> {
    if call.query().0.iter().any(|(name, _)| name == "query") {
        return Ok(());
    }
    Err(Reply::jira(400, "The 'query' query parameter needs to be provided"))
}

pub(super) fn groups(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    Ok(Reply::json(200, found_groups(call, &world.atlassian, "caseInsensitive", 20)?))
}

pub(super) fn users(call: &Call<'_>) -> Answer {
    require_query(call)?;
    let world = call.state.world();
    Ok(Reply::json(200, found_users(call, &world.atlassian)?))
}

pub(super) fn both(call: &Call<'_>) -> Answer {
    require_query(call)?;
    let world = call.state.world();
    let world = &world.atlassian;
    if call.account.is_some() {
        call.require_browse(world)?;
    }
    let groups = found_groups(call, world, "caseInsensitive", 50)?;
    Ok(Reply::json(200, json!({"users": found_users(call, world)?, "groups": groups})))
}
