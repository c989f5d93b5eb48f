//! The door for Entra ID's custom authentication extension (event `OnTokenIssuanceStart`): Entra ID calls it while it
//! mints the token for the Atlassian application, and the person waits. So the answer leaves at once, from memory; the
//! sync goes on behind it.
//!
//! A call that comes a second time (Entra ID retries once) is answered alike and does nothing. Tokens are not for one use
//! only: nothing promises that Entra ID asks for a new one with each call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::behind::Arrival;
use super::{House, body, fresh, unsigned};
use crate::problem::Problem;

const DOOR: &str = "token-issuance";
/// Calls remembered at once.
const MOST: usize = 100_000;

/// The calls that were taken, until their tokens expire.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<(String, String), Timestamp>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    First,
    Again,
}

impl Calls {
    fn take(&self, token: &str, correlation: &str, expires: Timestamp, now: Timestamp) -> Call {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= MOST {
            calls.retain(|_, expires| *expires > now);
            if calls.len() >= MOST {
                // The budget of syncs holds all the same
                calls.clear();
            }
        }
        match calls.insert((token.to_owned(), correlation.to_owned()), expires) {
            Some(_) => Call::Again,
            None => Call::First,
        }
    }
}

#[derive(Deserialize)]
struct Callout {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(rename = "@odata.type")]
    kind: String,
    tenant_id: String,
    authentication_context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    correlation_id: String,
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    mail: Option<String>,
}

pub(super) async fn call(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    content: Body,
) -> Response {
    match taken(&house, &slug, &headers, content).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn taken(house: &House, slug: &str, headers: &HeaderMap, content: Body) -> Result<Response, Problem> {
    let doors = house.doors(slug).await?;
    if doors.token_issuance.is_none() {
        return Err(Problem::not_here());
    }
    let connection = &doors.connection;
    let Some(token) = bearer(headers) else {
        return Ok(unsigned(DOOR, connection, &"there is no bearer token"));
    };
    let caller = match house.behind.check_caller(connection, token).await {
        Ok(caller) => caller,
        Err(failure) => return Ok(unsigned(DOOR, connection, &failure)),
    };
    let content = body(content).await?;
    let callout: Callout = serde_json::from_slice(&content).map_err(|_| not_documented())?;
    let Data { kind, tenant_id, authentication_context: context } = callout.data;
    if callout.kind != "microsoft.graph.authenticationEvent.tokenIssuanceStart"
        || kind != "microsoft.graph.onTokenIssuanceStartCalloutData"
        || context.correlation_id.len() > 100
        || !is_guid(&context.user.id)
    {
        return Err(not_documented());
    }
    if !tenant_id.eq_ignore_ascii_case(&caller.tenant) {
        return Ok(unsigned(DOOR, connection, &"the body is about another tenant than the token"));
    }
    let now = house.service.now();
    if house.calls.take(&caller.token, &context.correlation_id, caller.expires, now) == Call::First {
        let User { id, mail } = context.user;
        house.queue.add(connection, DOOR, Arrival { who: id, address: mail, by: "sign-in at Entra ID" });
    }
    Ok(fresh(Json(answer())))
}

/// What Entra ID takes: one action. Whether it takes one without any claim is written nowhere, so there is one.
fn answer() -> Value {
    json!({ "data": {
        "@odata.type": "microsoft.graph.onTokenIssuanceStartResponseData",
        "actions": [{
            "@odata.type": "microsoft.graph.tokenIssuanceStart.provideClaimsForToken",
            "claims": { "entrain": "accepted" },
        }],
    } })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (given.next()?, given.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn not_documented() -> Problem {
    Problem::request(
        "the body is not that of a call at the start of token issuance",
        "choose the event type TokenIssuanceStart for the custom authentication extension",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_once() {
        let calls = Calls::default();
        let now: Timestamp = "2026-01-15T08:00:00Z".parse().unwrap();
        let expires = now + jiff::SignedDuration::from_hours(1);
        assert_eq!(calls.take("t", "c", expires, now), Call::First);
        assert_eq!(calls.take("t", "c", expires, now), Call::Again);
        assert_eq!(calls.take("t", "d", expires, now), Call::First, "one token may carry several calls");
        for n in 0..MOST + 10 {
            calls.take("t", &n.to_string(), expires, now);
        }
        assert!(calls.0.lock().unwrap().len() <= MOST);
    }
}
