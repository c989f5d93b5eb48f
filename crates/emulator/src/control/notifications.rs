//! Change notifications by hand: what is subscribed and delivered; lifecycle events; letters that were sent, sent again;
//! notifications that tell nothing that happened, right or forged, one or a flood.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refusal, bad, body};
use crate::graph::subscriptions::{Letter, Standing, deliver};
use crate::state::{Shared, State};

/// `GET /notifications`.
pub(super) async fn show(Extract(state): Extract<Shared>) -> Json<Value> {
    let registry = state.subscriptions.lock();
    let subscriptions: Vec<Value> = registry
        .all
        .values()
        .map(|subscription| {
            let mut value = subscription.render();
            value["standing"] = json!(subscription.standing);
            // It is a secret between the cloud and the subscriber
            value["clientState"] = json!(subscription.client_state.as_ref().map(|_| "***"));
            value
        })
        .collect();
    Json(json!({ "subscriptions": subscriptions, "delivered": registry.tally }))
}

/// `DELETE /notifications`: forgets what was delivered, not the subscriptions.
pub(super) async fn forget(Extract(state): Extract<Shared>) -> StatusCode {
    let mut registry = state.subscriptions.lock();
    registry.tally = crate::graph::subscriptions::Tally::default();
    registry.slow_by_url.clear();
    registry.kept.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifecycle {
    /// `reauthorizationRequired`, `subscriptionRemoved` or `missed`.
    event: String,
    /// `/users` or `/groups`; both when absent.
    #[serde(default)]
    resource: Option<String>,
    /// Whether it is told.
    #[serde(default = "yes")]
    tell: bool,
    /// Another secret than the right one.
    #[serde(default)]
    client_state: Option<String>,
}

fn yes() -> bool {
    true
}

/// `POST /notifications/lifecycle`: the event happens, and is told. A forged one only is told.
pub(super) async fn post_lifecycle(
    Extract(state): Extract<Shared>,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let asked: Lifecycle = body(&bytes)?;
    if !["reauthorizationRequired", "subscriptionRemoved", "missed"].contains(&asked.event.as_str()) {
        return Err(bad("event is one of reauthorizationRequired, subscriptionRemoved, missed"));
    }
    let tenant = state.world().tenant.id.clone();
    let mut letters = Vec::new();
    let mut happened = 0;
    {
        let mut registry = state.subscriptions.lock();
        let ids: Vec<String> = registry
            .all
            .values()
            .filter(|s| asked.resource.as_ref().is_none_or(|resource| *resource == s.resource))
            .map(|s| s.id.clone())
            .collect();
        for id in ids {
            let Some(subscription) = registry.all.get_mut(&id) else { continue };
            if asked.tell {
                let secret = asked.client_state.as_deref();
                letters.extend(deliver::lifecycle(subscription, &asked.event, &tenant, secret));
            }
            if asked.client_state.is_some() {
                continue;
            }
            happened += 1;
            match asked.event.as_str() {
                "reauthorizationRequired" => subscription.standing = Standing::Paused,
                "subscriptionRemoved" => {
                    registry.all.remove(&id);
                }
                _ => {}
            }
        }
    }
    let statuses = send_all(&state, letters, 1).await;
    Ok(Json(json!({ "subscriptions": happened, "statuses": statuses.0 })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Made {
    /// `/users` or `/groups`.
    resource: String,
    /// Notifications in all.
    count: usize,
    /// Notifications in one request.
    per_request: usize,
    /// Requests at one time.
    parallel: usize,
    /// Another secret than the right one.
    client_state: Option<String>,
    /// Another id than that of the subscription.
    subscription_id: Option<String>,
    /// The object they tell of.
    id: String,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            resource: "/users".into(),
            count: 1,
            per_request: 1,
            parallel: 8,
            client_state: None,
            subscription_id: None,
            id: "00000000-0000-4000-8000-000000000000".into(),
        }
    }
}

/// `POST /notifications/made-up`: notifications of nothing that happened, sent once each.
pub(super) async fn post_made_up(
    Extract(state): Extract<Shared>,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let asked: Made = body(&bytes)?;
    if asked.count > 1_000_000 || asked.per_request == 0 || asked.parallel == 0 {
        return Err(bad("count is at most 1000000; per_request and parallel are at least 1"));
    }
    let (tenant, now) = (state.world().tenant.id.clone(), state.now());
    let found = state.subscriptions.lock().all.values().find(|s| s.resource == asked.resource).cloned();
    let subscription = found.ok_or_else(|| {
        Refusal(StatusCode::CONFLICT, format!("nobody has subscribed to {}", asked.resource))
    })?;
    let mut one = deliver::made_up(&subscription, &asked.id, asked.client_state.as_deref(), now, &tenant);
    if let Some(id) = &asked.subscription_id {
        one["subscriptionId"] = json!(id);
    }
    let (full, rest) = (asked.count / asked.per_request, asked.count % asked.per_request);
    let letter = |count: usize| Letter {
        url: subscription.notification_url.clone(),
        body: json!({ "value": vec![one.clone(); count] }),
    };
    let mut letters = vec![letter(asked.per_request); full];
    if rest > 0 {
        letters.push(letter(rest));
    }
    let begun = Instant::now();
    let (statuses, times) = send_all(&state, letters, asked.parallel).await;
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).max(1) - 1);
    Ok(Json(json!({
        "statuses": statuses,
        "p50_ms": at(50),
        "p99_ms": at(99),
        "slowest_ms": at(100),
        "took_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Again {
    /// The newest first.
    reversed: bool,
}

/// `POST /notifications/again`: sends what was sent, again.
pub(super) async fn post_again(
    Extract(state): Extract<Shared>,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let asked: Again = body(&bytes)?;
    let mut letters: Vec<Letter> = state.subscriptions.lock().kept.iter().cloned().collect();
    if asked.reversed {
        letters.reverse();
    }
    let sent = letters.len();
    let (statuses, _) = send_all(&state, letters, 1).await;
    Ok(Json(json!({ "letters": sent, "statuses": statuses })))
}

/// Sends each once; the answers by status, and how long each took in milliseconds, in order.
async fn send_all(
    state: &Arc<State>,
    letters: Vec<Letter>,
    parallel: usize,
) -> (BTreeMap<String, u64>, Vec<u64>) {
    let mut statuses = BTreeMap::new();
    let mut times = Vec::with_capacity(letters.len());
    let mut sending = futures_util::stream::iter(letters)
        .map(|letter| async move {
            let begun = Instant::now();
            (deliver::send(state, &letter).await, begun.elapsed())
        })
        .buffer_unordered(parallel);
    while let Some((status, took)) = sending.next().await {
        *statuses.entry(status.map_or_else(|| "none".to_owned(), |s| s.to_string())).or_default() += 1;
        times.push(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    (statuses, times)
}
