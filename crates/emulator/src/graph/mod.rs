//! Microsoft Graph v1.0: users, groups, members, delta, batch, assignments, with the cloud's permissions, quotas, paging
//! rules and error bodies. Requests are taken off HTTP first, so that a batch runs its items through the same code.

mod access;
mod answer;
mod batch;
mod delta;
mod failure;
mod filter;
mod list;
mod object;
mod options;
mod route;
pub(crate) mod subscriptions;
#[cfg(test)]
mod tests;
mod token;
mod veil;

pub use subscriptions::Subscriptions;

use std::collections::HashMap;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::Value;

use self::access::Caller;
use self::answer::{Answer, Body, Call};
use self::failure::{Failure, Outcome};
use self::list::Context;
use self::options::Options;
use crate::limits::Verdict;
use crate::state::{Shared, State};

/// Content type of JSON answers.
const JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
/// What the gateway says about itself.
const DIAGNOSTIC: &str = "{\"ServerInfo\":{\"DataCenter\":\"West Europe\",\"Slice\":\"E\",\"Ring\":\"5\",\
    \"ScaleUnit\":\"002\",\"RoleInstance\":\"AM2PEPF0000EMUL\"}}";

/// The routes of the Graph listener.
pub fn router(state: Shared) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(
    Extract(state): Extract<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers: HashMap<String, String> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let client_request_id = headers.get("client-request-id").cloned();
    let answer = match answer(&state, &method, &uri, headers, &body) {
        Ok(answer) => subscriptions::settle(&state, answer).await,
        Err(failure) => Err(failure),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            let id = state.uuid();
            let client = client_request_id.clone().unwrap_or_else(|| id.clone());
            let mut answer = failure.answer(state.now(), &id, &client);
            answer.headers.push(("request-id".into(), id));
            answer.headers.push(("client-request-id".into(), client));
            answer
        }
    };
    respond(&state, answer, client_request_id)
}

fn answer(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: HashMap<String, String>,
    body: &[u8],
) -> Outcome<Answer> {
    let caller =
        access::authenticate(state, &state.world().tenant, headers.get("authorization").map(String::as_str))?;
    let path = uri.path();
    let rest = path.strip_prefix("/v1.0").filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let rest = rest.ok_or_else(|| {
        let version = path.split('/').nth(1).unwrap_or_default();
        Failure::new(400, "BadRequest", format!("Invalid version: {version}"))
    })?;
    let url = uri.query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    let body = (!body.is_empty()).then(|| serde_json::from_slice(body).map_err(|e| e.to_string()));
    let client_request_id = headers.get("client-request-id").cloned();
    let call = call(method.as_str(), &url, headers, body)?;
    if call.segments == ["$batch"] {
        if call.method != "POST" {
            return Err(Failure::method());
        }
        return batch::serve(state, &caller, call.json()?);
    }
    Ok(settle(state, &caller, Ok(call), client_request_id))
}

/// A request from its parts; `url` is what follows the version.
fn call(
    method: &str,
    url: &str,
    headers: HashMap<String, String>,
    body: Option<Result<Value, String>>,
) -> Outcome<Call> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    Ok(Call {
        method: method.to_owned(),
        path: path.to_owned(),
        segments: route::segments(path),
        options: Options::parse(query)?,
        headers,
        body,
    })
}

/// Takes the quota, runs the request, and turns a failure into its body. The answer carries the ids and the cost.
fn settle(state: &State, caller: &Caller, call: Outcome<Call>, client_request_id: Option<String>) -> Answer {
    let request_id = state.uuid();
    let client_request_id = client_request_id.unwrap_or_else(|| request_id.clone());
    let now = state.now();
    let settings = state.settings();
    let units = call.as_ref().map_or(1, route::units);
    let world = state.world();
    let tenant = &world.tenant;
    let verdict = state.limits.graph(&settings.graph, &caller.app, units, now);
    let outcome = match verdict {
        Verdict::Throttled { retry_after_ms, .. } => {
            Err(Failure::throttled(retry_after_ms.max(1), &caller.app, &tenant.id))
        }
        Verdict::Pass { .. } => call.and_then(|call| {
            let root = format!("{}/v1.0", state.urls().graph);
            Context { state, settings: &settings.graph, tenant, caller, root }.serve(&call)
        }),
    };
    let mut answer = outcome.unwrap_or_else(|failure| failure.answer(now, &request_id, &client_request_id));
    let mut header = |name: &str, value: String| answer.headers.push((name.to_owned(), value));
    header("request-id", request_id);
    header("client-request-id", client_request_id);
    header("x-ms-resource-unit", units.to_string());
    if let Verdict::Pass { left, limit } = verdict {
        let percent = limit.saturating_sub(left) * 100 / limit.max(1);
        if percent > 80 {
            header("x-ms-throttle-limit-percentage", format!("{}.{:02}", percent / 100, percent % 100));
        }
    }
    answer
}

fn respond(state: &State, mut answer: Answer, client_request_id: Option<String>) -> Response {
    if !answer.headers.iter().any(|(name, _)| name == "request-id") {
        let id = state.uuid();
        answer.headers.push(("client-request-id".into(), client_request_id.unwrap_or_else(|| id.clone())));
        answer.headers.push(("request-id".into(), id));
    }
    let (kind, body) = match answer.body {
        Body::Json(value) if answer.status < 400 => (JSON, value.to_string()),
        Body::Json(value) => ("application/json", value.to_string()),
        Body::Text(text) => ("text/plain", text),
    };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header("Content-Type", kind)
        .header("Cache-Control", "no-cache")
        .header("OData-Version", "4.0")
        .header("x-ms-ags-diagnostic", DIAGNOSTIC);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(HttpBody::from(body)).unwrap_or_else(|_| {
        let mut response = Response::new(HttpBody::empty());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    })
}
