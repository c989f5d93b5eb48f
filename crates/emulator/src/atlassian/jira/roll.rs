//! The full roll of the site: a bare array without a total, inactive people, apps and portal customers mixed in.

use serde_json::Value;

use super::Call;
use super::render::{Detail, user};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::lag_view;

/// The most rows of a page; more is clamped without a word.
const MOST: usize = 1000;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let (start, size) = (call.start_at()?, call.page_size(50, MOST)?);
    let world = call.state.world();
    let world = &world.atlassian;
    if !call.browses(world) {
        if call.account.is_none() {
            return Ok(Reply::json(200, Value::Array(Vec::new())));
        }
        call.require_browse(world)?;
    }
    let seen = lag_view(call.now, call.lag().account_lag_ms);
    let rows = world.accounts.values().filter(|a| a.in_roll() && world.known_at(&a.account_id, seen));
    let Some(every) = world.quirks.roll_gap_every.filter(|n| *n > 1) else {
        let page = rows.skip(start).take(size).map(|a| user(call, world, a, Detail::Plain)).collect();
        return Ok(Reply::json(200, Value::Array(page)));
    };
    // Each nth row of the range is one that is filtered out after the range was cut; nobody real stands there.
    let end = start.saturating_add(size);
    let page = rows
        .enumerate()
        .map(|(nth, account)| (nth + nth / (every - 1), account))
        .skip_while(|(row, _)| *row < start)
        .take_while(|(row, _)| *row < end)
        .map(|(_, account)| user(call, world, account, Detail::Plain))
        .collect();
    Ok(Reply::json(200, Value::Array(page)))
}
