//! User properties: JSON under a key beside an account.

use serde_json::{Value, json};

use super::{Call, UNKNOWN_USER};
use crate::atlassian::auth;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount};

/// Most bytes of a value, and most characters of a key.
const BYTES: usize = 32_768;
const KEY: usize = 255;

/// The account whose property is meant: one's own, or anybody's for administrators.
fn subject(call: &Call<'_>, world: &Atlassian) -> Result<String, Reply> {
    let own = call.account()?;
    let id = call.query().get("accountId").ok_or_else(|| Reply::jira(400, "accountId must be provided"))?;
    if id != own && !auth::is_admin(world, own) {
        return Err(Reply::jira(403, "Only Jira administrators may manage other users' properties."));
    }
    if !world.accounts.get(id).is_some_and(SiteAccount::in_roll) {
        return Err(Reply::jira(404, UNKNOWN_USER));
    }
    Ok(id.to_owned())
}

fn key(call: &Call<'_>) -> Result<String, Reply> {
    // The path as it was decoded: a key may hold a slash.
    let key = call.request.segments.last().cloned().unwrap_or_default();
    if key.is_empty() || key.chars().count() > KEY {
        return Err(Reply::jira(400, "The property key must have 1 to 255 characters."));
    }
    Ok(key)
}

pub(super) fn keys(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    let id = subject(call, world)?;
    let keys: Vec<Value> = world.accounts[&id]
        .properties
        .keys()
        .map(|key| {
            let own = format!("{}/user/properties/{key}?accountId={id}", call.base);
            json!({"key": key, "self": own})
        })
        .collect();
    Ok(Reply::json(200, json!({"keys": keys})))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    let (id, key) = (subject(call, world)?, key(call)?);
    match world.accounts[&id].properties.get(&key) {
        Some(value) => Ok(Reply::json(200, json!({"key": key, "value": value}))),
        None => Err(Reply::jira(404, format!("The property {key} does not exist."))),
    }
}

pub(super) fn put(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let (id, key) = (subject(call, world)?, key(call)?);
    if call.request.body.len() > BYTES {
        return Err(Reply::jira(400, "The property value is larger than 32768 bytes."));
    }
    let value: Value = serde_json::from_slice(call.request.body)
        .map_err(|_| Reply::jira(400, "The property value is not valid JSON."))?;
    let mut before = None;
    world
        .update_account(&id, |account| before = account.properties.insert(key, value))
        .map_err(|e| Reply::jira(500, e))?;
    Ok(Reply::json(if before.is_some() { 200 } else { 201 }, json!({})))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let (id, key) = (subject(call, world)?, key(call)?);
    let mut gone = None;
    world
        .update_account(&id, |account| gone = account.properties.remove(&key))
        .map_err(|e| Reply::jira(500, e))?;
    match gone {
        Some(_) => Ok(Reply::empty(204)),
        None => Err(Reply::jira(404, format!("The property {key} does not exist."))),
    }
}
