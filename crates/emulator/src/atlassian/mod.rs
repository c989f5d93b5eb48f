//! The Atlassian side over HTTP: Jira REST on the site host and behind the gateway, the Organizations API and the User
//! management API. `docs/emulator.md` tells what is imitated.
//!
//! Handlers are plain functions over a request that has been read whole. They take the lock of the world, answer and
//! let it go, and never wait.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shareable;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::state::Shared;

mod admin;
mod auth;
mod jira;
mod query;
mod reply;
#[cfg(test)]
mod tests;

use auth::Door;
use query::Query;
use reply::Reply;

/// A request as handlers see it.
struct Incoming<'r> {
    method: &'r str,
    /// Decoded segments of the path.
    segments: &'r [String],
    query: &'r Query,
    headers: &'r HeaderMap,
    body: &'r [u8],
}

/// The routes of the site: Jira REST in its three names (`3`, `2`, `latest`) and `/_edge/tenant_info`.
pub fn jira_router(state: Shared) -> Router {
    Router::new().fallback(site).with_state(state)
}

/// The routes of `api.atlassian.com`: Organizations API, User management API, and Jira REST behind the gateway.
pub fn admin_router(state: Shared) -> Router {
    Router::new().fallback(api).with_state(state)
}

fn segments(uri: &Uri) -> Vec<String> {
    let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
    uri.path().trim_start_matches('/').trim_end_matches('/').split('/').map(decode).collect()
}

async fn site(
    Shareable(state): Shareable<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let segments = segments(&uri);
    let query = Query::parse(uri.query().unwrap_or_default());
    let request = Incoming {
        method: method.as_str(),
        segments: &segments,
        query: &query,
        headers: &headers,
        body: &body,
    };
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["_edge", "tenant_info"] => {
            Reply::json(200, json!({"cloudId": state.world().atlassian.cloud_id})).into_response()
        }
        ["rest", "api", version @ ("3" | "2" | "latest"), ..] => {
            let base = format!("{}/rest/api/{version}", state.urls().site);
            jira::answer(&state, &request, 3, &base, Door::Site)
        }
        _ => Reply::text(404, "Oops, you've found a dead link.").into_response(),
    }
}

async fn api(
    Shareable(state): Shareable<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let segments = segments(&uri);
    let query = Query::parse(uri.query().unwrap_or_default());
    let request = Incoming {
        method: method.as_str(),
        segments: &segments,
        query: &query,
        headers: &headers,
        body: &body,
    };
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["ex", "jira", cloud, "rest", "api", version @ ("3" | "2" | "latest"), ..] => {
            if *cloud != state.world().atlassian.cloud_id {
                return Reply::gateway(404, "Not Found").into_response();
            }
            let base = format!("{}/ex/jira/{cloud}/rest/api/{version}", state.urls().organization);
            jira::answer(&state, &request, 6, &base, Door::Gateway)
        }
        ["admin", ..] | ["users", _, "manage", ..] => admin::answer(&state, &request).into_response(),
        _ => Reply::gateway(404, "Not Found").into_response(),
    }
}
