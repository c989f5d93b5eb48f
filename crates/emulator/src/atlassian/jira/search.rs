//! User search: by the beginning of a word of the name or of the address; a complete address also finds a person whose
//! address is hidden. Active people only, of the first 1000 matches.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Call;
use super::render::{Detail, user};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount, lag_view};

/// Matches that search looks at.
const LOOKED_AT: usize = 1000;

/// Active people of the site that a text finds, by account id.
pub(super) fn matches<'w>(call: &Call<'_>, world: &'w Atlassian, text: &str) -> Vec<&'w SiteAccount> {
    let seen = lag_view(call.now, call.lag().search_lag_ms);
    let found = world.by_email(text).chain(world.by_beginning(text, LOOKED_AT));
    let found: BTreeMap<&str, &SiteAccount> = found
        .filter(|a| a.active() && world.known_at(&a.account_id, seen))
        .map(|a| (a.account_id.as_str(), a))
        .collect();
    found.into_values().take(LOOKED_AT).collect()
}

pub(super) fn search(call: &Call<'_>) -> Answer {
    let query = call.query();
    if query.get("username").is_some() {
        return Err(Reply::jira(400, "The query parameter 'username' is not supported in GDPR strict mode."));
    }
    let (text, id, property) = (query.get("query"), query.get("accountId"), query.get("property"));
    if text.is_some() && id.is_some() {
        return Err(Reply::jira(400, "The query and accountId parameters cannot be used together."));
    }
    if text.is_none() && id.is_none() && property.is_none() {
        // `query=` with nothing behind it is a search for everybody.
        if !query.0.iter().any(|(name, _)| name == "query") {
            return Err(Reply::jira(
                400,
                "One of the parameters query, accountId and property must be given.",
            ));
        }
    }
    let (start, size) = (call.start_at()?, call.page_size(50, 1000)?);
    let world = call.state.world();
    let world = &world.atlassian;
    if !call.browses(world) {
        return Ok(Reply::json(200, Value::Array(Vec::new())));
    }
    let found = match id {
        Some(id) => {
            let seen = lag_view(call.now, call.lag().search_lag_ms);
            world.accounts.get(id).filter(|a| a.active() && world.known_at(id, seen)).into_iter().collect()
        }
        None if property.is_some() => Vec::new(),
        None => matches(call, world, text.unwrap_or_default()),
    };
    let page =
        found.into_iter().skip(start).take(size).map(|a| user(call, world, a, Detail::Plain)).collect();
    Ok(Reply::json(200, Value::Array(page)))
}
