//! The instance metadata service of a virtual machine: tokens for a managed identity, which is one of the tenant's
//! applications. Numbers are strings here, unlike at the token endpoint.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{GRAPH_RESOURCE, access};
use crate::state::Shared;

pub(super) async fn endpoint(
    State(state): State<Shared>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if headers.get("metadata").is_none_or(|value| value.as_bytes() != b"true") {
        return refuse("bad_request_102", "Required metadata header not specified");
    }
    if !query.contains_key("api-version") {
        return refuse("invalid_request", "Required query variable 'api-version' is missing");
    }
    let Some(resource) = query.get("resource") else {
        return refuse("invalid_request", "Required query variable 'resource' is missing");
    };
    let graph = state.urls().graph;
    let bare = resource.trim_end_matches('/');
    if bare != GRAPH_RESOURCE && bare != graph {
        return refuse(
            "invalid_resource",
            &format!("The resource principal named {resource} was not found in the tenant."),
        );
    }
    let world = state.world();
    let mut apps = world.tenant.applications.values().filter(|app| app.enabled);
    let app = match (query.get("client_id"), query.get("object_id").or(query.get("msi_res_id"))) {
        (Some(id), _) => apps.find(|app| app.client_id == *id),
        (None, Some(id)) => apps.find(|app| app.object_id == *id),
        (None, None) => apps.next(),
    };
    let Some(app) = app else {
        return refuse("invalid_request", "Identity not found");
    };
    let (token, life) = access::issue(&state, &world.tenant, app, None);
    let now = state.now().as_second();
    axum::Json(json!({
        "access_token": token,
        "refresh_token": "",
        "expires_in": life.to_string(),
        "expires_on": now.saturating_add_unsigned(life).to_string(),
        "not_before": (now - 300).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    }))
    .into_response()
}

fn refuse(error: &str, text: &str) -> Response {
    (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": error, "error_description": text })))
        .into_response()
}
