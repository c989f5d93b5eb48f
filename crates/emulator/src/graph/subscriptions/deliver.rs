//! Requests to whoever has subscribed: the validation of addresses, notifications of what changed, and lifecycle events.
//! An answer counts when it is 2xx within three seconds; else the letter is sent again, later each time, for four hours.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::registry::{Registry, Standing, Subscription, Watched};
use super::{Letter, Tally};
use crate::settings::NotificationSettings;
use crate::state::{Shared, State};
use crate::world::tenant::{Change, Changed};

/// Time between looks at the tenant's log.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Time for an answer to a validation.
const VALIDATION: Duration = Duration::from_secs(10);
/// Time for an answer to a notification.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer that takes longer counts as slow.
const SLOW: Duration = Duration::from_millis(2900);
/// For how long a letter is sent again.
const GIVE_UP: Duration = Duration::from_hours(4);
/// Answers after which the slow ones among them are looked at.
const JUDGED_AFTER: u64 = 100;
/// What an address that is somewhat slow waits.
const SLOW_WAITS: Duration = Duration::from_mins(10);

fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap_or_default()
    })
}

/// Asks an address to show that it answers; the error is the message of the refusal.
pub(super) async fn validate(settings: &NotificationSettings, url: &str, token: &str) -> Result<(), String> {
    let joint = if url.contains('?') { '&' } else { '?' };
    let asked = format!("{url}{joint}validationToken={}", utf8_percent_encode(token, NON_ALPHANUMERIC));
    let patience = settings.validation_ms.map_or(VALIDATION, Duration::from_millis);
    let request = client().post(asked).header("Content-Type", "text/plain; charset=utf-8").timeout(patience);
    let failed = |why: &str| Err(format!("Subscription validation request failed. {why}"));
    let Ok(answer) = request.send().await else {
        return Err("Subscription validation request timed out.".to_owned());
    };
    if answer.status() != 200 {
        return failed("Notification endpoint must respond with 200 OK to validation request.");
    }
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("text/plain") {
        return failed("The content type of the response must be text/plain.");
    }
    match answer.text().await {
        Ok(text) if text == token => Ok(()),
        Ok(_) => failed("Response body does not match the validation token."),
        Err(_) => Err("Subscription validation request timed out.".to_owned()),
    }
}

/// Tells subscribers what changes, until told to stop.
pub(crate) async fn run(state: Shared, mut told: watch::Receiver<bool>) {
    loop {
        for letter in due(&state) {
            dispatch(&state, letter, &told);
        }
        tokio::select! {
            _ = told.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Letters about what changed since the last look.
fn due(state: &State) -> Vec<Letter> {
    let settings = state.settings();
    let settings = &settings.graph.notifications;
    let now = state.now();
    let world = state.world();
    let mut registry = state.subscriptions.lock();
    registry.expire(now);
    let (from, to) = (registry.cursor, world.tenant.head());
    registry.cursor = to;
    if registry.all.is_empty() || from == to {
        return Vec::new();
    }
    let mut by_url: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for change in world.tenant.changes(from, to) {
        let told = Told::of(change);
        for subscription in registry.all.values() {
            if subscription.standing == Standing::Active
                && subscription.watched == told.watched
                && subscription.hears(told.kind)
            {
                let notification = notification(subscription, &told, change, &world.tenant.id);
                by_url.entry(subscription.notification_url.clone()).or_default().push(notification);
            }
        }
    }
    let mut letters = Vec::new();
    for (url, all) in by_url {
        if settings.drop {
            registry.tally.dropped += all.len() as u64;
            continue;
        }
        for part in all.chunks(settings.batch.max(1)) {
            let letter = Letter { url: url.clone(), body: json!({ "value": part }) };
            registry.keep(&letter);
            letters.extend(std::iter::repeat_n(letter, 1 + settings.duplicates));
        }
    }
    letters
}

/// A change in the words of notifications: creation and soft deletion are `updated`.
struct Told<'a> {
    watched: Watched,
    kind: &'static str,
    id: &'a str,
    members: Option<Value>,
}

impl<'a> Told<'a> {
    fn of(change: &'a Change) -> Self {
        let kind = |reason: &str| if reason == "deleted" { "deleted" } else { "updated" };
        match &change.what {
            Changed::User { id, .. } => Self { watched: Watched::Users, kind: "updated", id, members: None },
            Changed::UserRemoved { id, reason } => {
                Self { watched: Watched::Users, kind: kind(reason), id, members: None }
            }
            Changed::Group { id, .. } => {
                Self { watched: Watched::Groups, kind: "updated", id, members: None }
            }
            Changed::GroupRemoved { id, reason } => {
                Self { watched: Watched::Groups, kind: kind(reason), id, members: None }
            }
            Changed::MemberAdded { group, member } => Self {
                watched: Watched::Groups,
                kind: "updated",
                id: group,
                members: Some(json!([{ "id": member.id() }])),
            },
            Changed::MemberRemoved { group, member } => Self {
                watched: Watched::Groups,
                kind: "updated",
                id: group,
                members: Some(json!([{ "id": member.id(), "@removed": "deleted" }])),
            },
        }
    }
}

fn notification(subscription: &Subscription, told: &Told<'_>, change: &Change, tenant: &str) -> Value {
    let (collection, kind) = match told.watched {
        Watched::Users => ("Users", "#Microsoft.Graph.User"),
        Watched::Groups => ("Groups", "#Microsoft.Graph.Group"),
    };
    let resource = format!("{collection}/{}", told.id);
    let mut data = json!({
        "@odata.type": kind,
        "@odata.id": resource,
        "id": told.id,
        "organizationId": tenant,
        "eventTime": change.at.to_string(),
        "sequenceNumber": change.seq,
    });
    if let Some(members) = &told.members {
        data["members@delta"] = members.clone();
    }
    json!({
        "changeType": told.kind,
        "clientState": subscription.client_state,
        "resource": resource,
        "resourceData": data,
        "subscriptionExpirationDateTime": subscription.expires.to_string(),
        "subscriptionId": subscription.id,
        "tenantId": tenant,
    })
}

fn dispatch(state: &Shared, letter: Letter, told: &watch::Receiver<bool>) {
    let (state, mut told) = (state.clone(), told.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = told.wait_for(|stop| *stop) => {}
            () = deliver(&state, &letter) => {}
        }
    });
}

/// Sends a letter until it is taken or given up.
async fn deliver(state: &State, letter: &Letter) {
    let settings = state.settings().graph.notifications.clone();
    let begun = Instant::now();
    let verdict = judged(&state.subscriptions.lock(), &letter.url);
    let put_off = match verdict {
        Judged::Fine => Duration::from_millis(settings.delay_ms),
        Judged::Slow => SLOW_WAITS,
        Judged::TooSlow => {
            state.subscriptions.lock().tally.dropped += count(&letter.body);
            return;
        }
    };
    tokio::time::sleep(put_off).await;
    let mut wait = Duration::from_millis(settings.retry_ms.max(1));
    loop {
        if matches!(send(state, letter).await, Some(200..=299)) {
            return;
        }
        if begun.elapsed() > GIVE_UP {
            state.subscriptions.lock().tally.dropped += count(&letter.body);
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_mins(30));
        state.subscriptions.lock().tally.retried += 1;
    }
}

/// What the share of slow answers means for an address.
enum Judged {
    Fine,
    Slow,
    TooSlow,
}

fn judged(registry: &Registry, url: &str) -> Judged {
    let (answers, slow) = registry.slow_by_url.get(url).copied().unwrap_or_default();
    if answers < JUDGED_AFTER || slow * 100 < answers * 10 {
        Judged::Fine
    } else if slow * 100 < answers * 15 {
        Judged::Slow
    } else {
        Judged::TooSlow
    }
}

fn count(body: &Value) -> u64 {
    body["value"].as_array().map_or(0, |all| all.len() as u64)
}

/// Sends a letter once and notes what came of it; the status, if there was an answer in time.
pub(crate) async fn send(state: &State, letter: &Letter) -> Option<u16> {
    let begun = Instant::now();
    let request = client()
        .post(&letter.url)
        .header("Content-Type", "application/json; charset=utf-8")
        .timeout(PATIENCE)
        .body(letter.body.to_string());
    let status = request.send().await.ok().map(|answer| answer.status().as_u16());
    let took = begun.elapsed();
    let mut registry = state.subscriptions.lock();
    let slow = took > SLOW || status.is_none();
    let Tally { requests, notifications, statuses, slow: slow_ones, slowest_ms, .. } = &mut registry.tally;
    *requests += 1;
    *notifications += count(&letter.body);
    *statuses.entry(status.map_or_else(|| "none".to_owned(), |status| status.to_string())).or_default() += 1;
    *slow_ones += u64::from(slow);
    *slowest_ms = (*slowest_ms).max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let judged = registry.slow_by_url.entry(letter.url.clone()).or_default();
    judged.0 += 1;
    judged.1 += u64::from(slow);
    status
}

/// A lifecycle event of a subscription, as it is sent; none when it has no address for them.
pub(crate) fn lifecycle(
    subscription: &Subscription,
    event: &str,
    tenant: &str,
    client_state: Option<&str>,
) -> Option<Letter> {
    let body = json!({ "value": [{
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": subscription.expires.to_string(),
        "tenantId": tenant,
        "clientState": client_state.or(subscription.client_state.as_deref()),
        "lifecycleEvent": event,
    }] });
    Some(Letter { url: subscription.lifecycle_url.clone()?, body })
}

/// A notification that tells nothing that happened, for control: with the subscription's secret or another.
pub(crate) fn made_up(
    subscription: &Subscription,
    id: &str,
    client_state: Option<&str>,
    at: Timestamp,
    tenant: &str,
) -> Value {
    let seq = u64::try_from(at.as_millisecond()).unwrap_or_default();
    let change = Change { seq, at, what: Changed::User { id: id.to_owned(), properties: Vec::new() } };
    let told = Told { watched: subscription.watched, kind: "updated", id, members: None };
    let mut value = notification(subscription, &told, &change, tenant);
    if let Some(other) = client_state {
        value["clientState"] = other.into();
    }
    value
}
