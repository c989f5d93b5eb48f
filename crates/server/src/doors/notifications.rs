//! `/doors/{slug}/notifications` and `/doors/{slug}/lifecycle`, where Microsoft Graph knocks (microsoft-graph.md 9.2 to
//! 9.4). A validation is answered with its token, as plain text. Anything else is a hint at most: an item counts when it
//! names a subscription that is held here and bears its secret, and what else it says is never read. The answer leaves
//! before anything is stored or done; to whoever forges it, it looks the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use entrain_domain::FailureCode;
use entrain_domain::notification::LifecycleEvent;
use jiff::Timestamp;
use serde::Deserialize;

use crate::listen::Peer;
use crate::metrics;
use crate::notified::{Heard, Hearing, Item};
use crate::problem::Problem;

/// Largest body. Graph sends a hundred notifications or so at once.
const LARGEST: usize = 1_000_000;
/// Time for a body: Graph wants its answer within three seconds.
const BODY_TIME: Duration = Duration::from_secs(2);
/// Time to wait for room to read a body.
const ROOM_TIME: Duration = Duration::from_millis(500);
/// Longest validation token, in characters.
const TOKEN: usize = 1024;

/// What time it is.
pub(crate) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Clone)]
struct Door {
    hearing: Arc<Hearing>,
    now: Now,
}

/// What is asked of what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Notifications,
    Lifecycle,
}

#[derive(Deserialize)]
struct Collection {
    value: Vec<Wire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    subscription_id: Option<String>,
    #[serde(default)]
    client_state: Option<String>,
    #[serde(default)]
    lifecycle_event: Option<String>,
}

/// The two doors of each connection.
pub(crate) fn routes(hearing: Arc<Hearing>, now: Now) -> Router {
    let door = Door { hearing, now };
    let notifications = |State(door): State<Door>, Path(slug): Path<String>, request: Request| async move {
        answer(&door, &slug, Kind::Notifications, request).await
    };
    let lifecycle = |State(door): State<Door>, Path(slug): Path<String>, request: Request| async move {
        answer(&door, &slug, Kind::Lifecycle, request).await
    };
    Router::new()
        .route("/doors/{slug}/notifications", post(notifications))
        .route("/doors/{slug}/lifecycle", post(lifecycle))
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .with_state(door)
}

async fn answer(door: &Door, slug: &str, kind: Kind, request: Request) -> Response {
    match take_in(door, slug, kind, request).await {
        Ok(response) => response,
        Err(problem) => {
            metrics::knocked("refused", 1);
            problem.into_response()
        }
    }
}

async fn take_in(door: &Door, slug: &str, kind: Kind, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let from = parts.extensions.get::<Peer>().map(|peer| peer.0);
    if door.hearing.turns_away(from) {
        return Err(Problem::local(
            FailureCode::TooManyRequests,
            "too many notifications that are not for us came from this address",
            "send it again",
        )
        .after(60));
    }
    if !door.hearing.has_door(slug).await {
        door.hearing.note(from, Heard { good: 0, wrong: 1 });
        return Err(Problem::not_here());
    }
    let query = parts.uri.query().unwrap_or_default();
    let mut tokens =
        url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "validationToken");
    if let Some((_, token)) = tokens.next() {
        return validated(&token);
    }
    let bytes = read(door, &parts.headers, body).await?;
    let Ok(Collection { value }) = serde_json::from_slice(&bytes) else {
        door.hearing.note(from, Heard { good: 0, wrong: 1 });
        return Err(Problem::request("the body is no collection of change notifications", "send none here"));
    };
    let heard = hear(door, slug, kind, &value).await;
    door.hearing.note(from, heard);
    metrics::knocked("accepted", heard.good);
    metrics::knocked("wrong", heard.wrong);
    if heard.wrong > 0 && door.hearing.may_complain() {
        tracing::warn!(
            door = slug,
            "notifications come with a wrong secret, or for a subscription that is not held; said once a minute at most"
        );
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The token as it came, as plain text that no browser takes for anything else.
fn validated(token: &str) -> Result<Response, Problem> {
    if token.is_empty() || token.chars().count() > TOKEN || token.chars().any(char::is_control) {
        return Err(Problem::request("the validation token is none", "send one of at most 1024 characters"));
    }
    let mut response = token.to_owned().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

/// The body, within limits of size, time and room.
async fn read(door: &Door, headers: &axum::http::HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let too_large = || Problem::local(FailureCode::RequestTooLarge, "the body is too large", "send less");
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    // Graph sends again what is answered like this
    let no_room = || {
        let what = "there is no room for more notifications right now";
        Problem::local(FailureCode::TooManyRequests, what, "send it again")
            .with(StatusCode::SERVICE_UNAVAILABLE)
            .after(1)
    };
    let permit = tokio::time::timeout(ROOM_TIME, door.hearing.room.acquire()).await;
    let Ok(Ok(_permit)) = permit else { return Err(no_room()) };
    match tokio::time::timeout(BODY_TIME, to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::local(
            FailureCode::RequestSlow,
            "the body did not arrive in time",
            "send it within two seconds",
        )),
    }
}

/// Takes in what is right, and counts.
async fn hear(door: &Door, slug: &str, kind: Kind, all: &[Wire]) -> Heard {
    let ids: BTreeSet<&str> =
        all.iter().filter_map(|wire| wire.subscription_id.as_deref()).take(16).collect();
    door.hearing.learn(slug, &ids).await;
    let now = (door.now)();
    let mut heard = Heard::default();
    // Many items of one request mostly bear the same id and secret
    let mut last = None;
    for wire in all {
        let subscription = wire.subscription_id.as_deref().unwrap_or_default();
        let secret = wire.client_state.as_deref().unwrap_or_default();
        let whose = match &last {
            Some((id, state, whose)) if (*id, *state) == (subscription, secret) => whose,
            _ => {
                let whose = door.hearing.whose(slug, &Item { subscription, secret });
                &last.insert((subscription, secret, whose)).2
            }
        };
        let Some((connection, watched, id)) = whose else {
            heard.wrong += 1;
            continue;
        };
        heard.good += 1;
        match kind {
            Kind::Notifications => door.hearing.hint(connection, 1, now),
            Kind::Lifecycle => {
                let event = wire.lifecycle_event.as_deref().and_then(LifecycleEvent::from_word);
                if let Some(event) = event {
                    door.hearing.event(connection.clone(), *watched, id.clone(), event);
                }
            }
        }
    }
    heard
}

#[cfg(test)]
mod tests;
