//! Single users: the caller, one account, several by id, the groups of one, removal from the site.

use serde_json::{Value, json};

use super::render::{Detail, group_name, groups_of, user};
use super::{Call, UNKNOWN_USER};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount, lag_view};

pub(super) fn myself(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    let own = world.accounts.get(call.account()?).ok_or_else(super::unauthenticated)?;
    Ok(Reply::json(200, user(call, world, own, Detail::Full)))
}

/// The account of the mandatory parameter `accountId`, if the site's reads know it.
fn wanted<'w>(call: &Call<'_>, world: &'w Atlassian) -> Result<&'w SiteAccount, Reply> {
    let id = call
        .query()
        .get("accountId")
        .ok_or_else(|| Reply::jira(400, "The 'accountId' query parameter needs to be provided"))?;
    visible(call, world, id).ok_or_else(|| Reply::jira(404, UNKNOWN_USER))
}

fn visible<'w>(call: &Call<'_>, world: &'w Atlassian, id: &str) -> Option<&'w SiteAccount> {
    let seen = lag_view(call.now, call.lag().account_lag_ms);
    world.accounts.get(id).filter(|a| a.in_roll() && world.known_at(id, seen))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    call.require_browse(world)?;
    let account = wanted(call, world)?;
    Ok(Reply::json(200, user(call, world, account, Detail::Full)))
}

pub(super) fn groups(call: &Call<'_>) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    call.require_browse(world)?;
    let account = wanted(call, world)?;
    let groups = groups_of(call, world, &account.account_id);
    Ok(Reply::json(200, groups.iter().map(|g| group_name(call, g)).collect()))
}

pub(super) fn bulk(call: &Call<'_>) -> Answer {
    let mut ids: Vec<&str> = call.query().all("accountId").collect();
    if ids.is_empty() {
        return Err(Reply::jira(400, "The 'accountId' query parameter needs to be provided"));
    }
    if ids.iter().any(|id| id.len() > 128) {
        return Err(Reply::jira(400, "An account ID has at most 128 characters."));
    }
    ids.sort_unstable();
    ids.dedup();
    let (start, size) = (call.start_at()?, call.page_size(10, 200)?);
    let world = call.state.world();
    let world = &world.atlassian;
    let found: Vec<&SiteAccount> = ids.iter().filter_map(|id| visible(call, world, id)).collect();
    let values: Vec<Value> =
        found.iter().skip(start).take(size).map(|a| user(call, world, a, Detail::Plain)).collect();
    Ok(call.page(&values, start, size, found.len()))
}

/// Approved apps only; with the credentials of a user it always answers 400.
pub(super) fn email(_: &Call<'_>) -> Answer {
    Err(Reply::json(
        400,
        json!({"errorMessages": ["This API can only be accessed by approved apps."], "errors": {}}),
    ))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    call.require_site_admin(world)?;
    let id = call
        .query()
        .get("accountId")
        .ok_or_else(|| Reply::jira(400, "The 'accountId' query parameter needs to be provided"))?;
    let account =
        world.accounts.get(id).filter(|a| a.in_directory()).ok_or_else(|| Reply::jira(404, UNKNOWN_USER))?;
    if account.account_type == "app" {
        return Err(Reply::jira(400, "App accounts cannot be removed."));
    }
    if call.account == Some(id) {
        return Err(Reply::jira(400, "You cannot remove yourself."));
    }
    world.remove_from_directory(id, call.now).map_err(|e| Reply::jira(500, e))?;
    Ok(Reply::empty(204))
}
