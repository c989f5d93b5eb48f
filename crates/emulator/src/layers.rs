//! The layers around all handlers of a listener, from the outside in: request log, latency, faults, limits. None of them
//! does work that grows with the world.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use serde_json::json;

use crate::faults::apply::{self, Applied};
use crate::limits::Verdict;
use crate::log::{LogEntry, credential, template};
use crate::state::{Shared, Surface};
use crate::tape::Exchange;

/// The largest request body that is taken.
const BODY_CAP: usize = 4 << 20;

/// Wraps the routes of a surface.
pub(crate) fn wrap(router: Router, state: &Shared, surface: Surface) -> Router {
    let shared = || (state.clone(), surface);
    let router = match surface {
        Surface::Site => router.layer(from_fn_with_state(state.clone(), burst)),
        _ => router,
    };
    router
        .layer(from_fn_with_state(shared(), apply::layer))
        .layer(from_fn_with_state(shared(), latency))
        .layer(from_fn_with_state(shared(), log))
}

async fn latency(
    Extract((state, surface)): Extract<(Shared, Surface)>,
    request: Request,
    next: Next,
) -> Response {
    let settings = state.settings();
    let mut ms = settings.latency.of(surface);
    if settings.latency.jitter_ms > 0 {
        ms += state.random_below(settings.latency.jitter_ms + 1);
    }
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    next.run(request).await
}

async fn log(
    Extract((state, surface)): Extract<(Shared, Surface)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let at = state.now();
    let (parts, body) = request.into_parts();
    let method = parts.method.clone();
    let authorization = parts.headers.get("authorization").and_then(|v| v.to_str().ok());
    let mut entry = LogEntry {
        seq: 0,
        at,
        surface,
        method: method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(without_secrets),
        status: None,
        duration_ms: 0.0,
        credential: authorization.map(credential),
        headers: plain_headers(&parts.headers),
        body: None,
        fault: None,
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let mut sent = Bytes::new();
    let mut request = Request::from_parts(parts, body);
    if method != Method::GET && method != Method::HEAD {
        let (parts, body) = request.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, BODY_CAP).await else {
            entry.status = Some(413);
            state.log.push(entry);
            return (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than the emulator takes")
                .into_response();
        };
        // Sign-in bodies are nothing but credentials, and a subscription holds its secret.
        let secret = surface == Surface::Authority
            || (surface == Surface::Graph && entry.path.starts_with("/v1.0/subscriptions"));
        if !secret {
            entry.body = Some(start_of(&bytes, state.log.body_cap()));
        }
        sent = bytes.clone();
        request = Request::from_parts(parts, Body::from(bytes));
    }
    let response = next.run(request).await;
    let applied = response.extensions().get::<Applied>();
    entry.fault = applied.map(|applied| applied.label.clone());
    entry.status = (!applied.is_some_and(|applied| applied.broken)).then(|| response.status().as_u16());
    entry.duration_ms = (started.elapsed().as_secs_f64() * 1_000_000.0).round() / 1000.0;
    if !state.tape.is_on() || surface == Surface::Authority || entry.status.is_none() {
        state.log.push(entry);
        return response;
    }
    let (parts, body) = response.into_parts();
    let answer = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    state.tape.push(Exchange {
        surface,
        method: entry.method.clone(),
        path: entry.path.clone(),
        query,
        headers: entry.headers.clone(),
        body: sent,
        status: parts.status.as_u16(),
        content_type: parts.headers.get("content-type").and_then(|v| v.to_str().ok()).map(str::to_owned),
        answer: answer.clone(),
    });
    state.log.push(entry);
    Response::from_parts(parts, Body::from(answer))
}

fn start_of(bytes: &Bytes, cap: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(cap)]).into_owned()
}

/// Headers that are shown. Everything else may carry a secret and is left out.
const SHOWN: [&str; 13] = [
    "accept",
    "accept-encoding",
    "client-request-id",
    "consistencylevel",
    "content-length",
    "content-type",
    "host",
    "if-match",
    "prefer",
    "traceparent",
    "user-agent",
    "x-atlassian-token",
    "x-ms-throttle-priority",
];

fn plain_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    SHOWN
        .iter()
        .filter_map(|name| {
            let value = headers.get(*name)?.to_str().ok()?;
            Some(((*name).to_owned(), value.to_owned()))
        })
        .collect()
}

/// The query with the values of parameters replaced that would carry a credential.
fn without_secrets(query: &str) -> String {
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) => {
            let lower = name.to_ascii_lowercase();
            // Paging tokens (`$skiptoken`, `$deltatoken`) are no secrets, and tests want to see them.
            let paging =
                lower.contains("skiptoken") || lower.contains("deltatoken") || lower.contains("pagetoken");
            let secret = ["secret", "password", "token", "assertion", "api_key", "apikey"];
            if !paging && secret.iter().any(|s| lower.contains(s)) {
                format!("{name}=***")
            } else {
                pair.to_owned()
            }
        }
        None => pair.to_owned(),
    };
    query.split('&').map(hide).collect::<Vec<_>>().join("&")
}

/// The burst limits of Jira. Graph counts by the cost of the request, so its handlers do that.
async fn burst(Extract(state): Extract<Shared>, request: Request, next: Next) -> Response {
    let settings = state.settings();
    let (method, path) = (request.method().as_str(), template(request.uri().path()));
    match state.limits.jira(&settings.atlassian, method, &path, state.now()) {
        Verdict::Pass { left, limit } => {
            let mut response = next.run(request).await;
            if limit < u64::MAX {
                set(&mut response, "X-RateLimit-Limit", &limit.to_string());
                set(&mut response, "X-RateLimit-Remaining", &left.to_string());
            }
            response
        }
        Verdict::Throttled { retry_after_ms, limit } => jira_throttled(&state, retry_after_ms, limit),
    }
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
        && !response.headers().contains_key(&name)
    {
        response.headers_mut().insert(name, value);
    }
}

fn jira_throttled(state: &Shared, retry_after_ms: u64, limit: u64) -> Response {
    let seconds = retry_after_ms.div_ceil(1000).max(1);
    let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1));
    let reset = state.now().checked_add(wait).unwrap_or_else(|_| state.now());
    let body = json!({"errorMessages": ["Rate limit exceeded."], "errors": {}});
    let mut response = (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response();
    set(&mut response, "Retry-After", &seconds.to_string());
    set(&mut response, "X-RateLimit-Limit", &limit.to_string());
    set(&mut response, "X-RateLimit-Remaining", "0");
    set(&mut response, "X-RateLimit-Reset", &reset.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    set(&mut response, "RateLimit-Reason", "jira-burst-based");
    response
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_query_keeps_paging_tokens_and_loses_secrets() {
        assert_eq!(without_secrets("$skiptoken=a&client_secret=b&x=1"), "$skiptoken=a&client_secret=***&x=1");
        assert_eq!(without_secrets("access_token=abc"), "access_token=***");
    }
}
