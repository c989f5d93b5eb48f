//! Entra sign-in: the token endpoint for daemons and for people who signed in, the sign-in page itself, discovery, keys,
//! the calls that Entra makes to a custom authentication extension, and the address where a virtual machine asks for its
//! managed identity. Errors carry the AADSTS codes and the exact body of the cloud.

mod access;
mod assertion;
mod attack;
mod authorize;
mod code;
mod failure;
mod id_token;
mod imds;
mod issuance;
mod keys;
#[cfg(test)]
mod people_tests;
#[cfg(test)]
mod tests;
mod token;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use std::collections::HashMap;

use crate::state::Shared;
use crate::world::tenant::Tenant;

pub(crate) use access::{Refused, check};
pub use attack::Attack;
pub(crate) use code::Codes;
pub(crate) use issuance::{IssuanceCall, call as call_extension};

/// Graph's own application id, which names it in tokens and challenges.
pub(crate) const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";
/// The audience of tokens for Graph, whatever address the emulator listens on.
pub(crate) const GRAPH_RESOURCE: &str = "https://graph.microsoft.com";

/// The routes of the sign-in listener.
pub fn router(state: Shared) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token::endpoint))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::page).post(authorize::choose))
        .route("/{tenant}/oauth2/v2.0/logout", get(authorize::logout))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery))
        .route("/{tenant}/discovery/v2.0/keys", get(published_keys))
        .route("/{tenant}/discovery/keys", get(published_keys))
        .route("/common/discovery/instance", get(instance))
        .route("/metadata/identity/oauth2/token", get(imds::endpoint))
        .with_state(state)
}

/// Whether a path segment names this tenant: its id or its domain. `organizations` stands for any tenant.
fn is_tenant(tenant: &Tenant, name: &str) -> bool {
    name.eq_ignore_ascii_case(&tenant.id) || name.eq_ignore_ascii_case(&tenant.domain)
}

async fn discovery(State(state): State<Shared>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let urls = state.urls();
    let issuer = {
        let world = state.world();
        if is_tenant(&world.tenant, &name) {
            format!("{}/{}/v2.0", urls.authority, world.tenant.id)
        } else if ["common", "organizations"].contains(&name.as_str()) {
            format!("{}/{{tenantid}}/v2.0", urls.authority)
        } else {
            return failure::Failure::unknown_tenant_discovery(&name).answer(&state, &headers);
        }
    };
    let root = format!("{}/{name}", urls.authority);
    axum::Json(json!({
        "token_endpoint": format!("{root}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{root}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{}/oidc/userinfo", urls.graph),
        "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
        "http_logout_supported": true,
        "end_session_endpoint": format!("{root}/oauth2/v2.0/logout"),
        "tenant_region_scope": "EU",
        "cloud_instance_name": host(&urls.authority),
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": host(&urls.graph),
    }))
    .into_response()
}

async fn published_keys(State(state): State<Shared>) -> Response {
    let issuer = format!("{}/{{tenantid}}/v2.0", state.urls().authority);
    axum::Json(json!({ "keys": [keys::signing().jwk(&issuer)] })).into_response()
}

/// What MSAL asks before it trusts an authority.
async fn instance(
    State(state): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let authority = state.urls().authority;
    let asked = query.get("authorization_endpoint").cloned().unwrap_or_default();
    let name = url::Url::parse(&asked)
        .ok()
        .and_then(|url| url.path_segments().and_then(|mut path| path.next().map(str::to_owned)))
        .unwrap_or_default();
    let known =
        is_tenant(&state.world().tenant, &name) || ["common", "organizations"].contains(&name.as_str());
    if !known {
        return failure::Failure::unknown_tenant_discovery(&name).answer(&state, &headers);
    }
    let host = host(&authority);
    axum::Json(json!({
        "tenant_discovery_endpoint": format!("{authority}/{name}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
    .into_response()
}

/// Host and port of an address.
fn host(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, host)| host)
}
