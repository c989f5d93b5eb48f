//! `/health/live` and `/health/ready`, for the probes of an operator: no credentials, no details that help a stranger.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use entrain_domain::FailureCode;

use crate::service::Service;

#[derive(serde::Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<FailureCode>,
}

pub(crate) fn routes(service: Arc<dyn Service>) -> Router {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).with_state(service)
}

async fn live() -> Json<Health> {
    Json(Health { status: "live", code: None })
}

async fn ready(State(service): State<Arc<dyn Service>>) -> (StatusCode, Json<Health>) {
    match service.ready().await {
        Ok(()) => (StatusCode::OK, Json(Health { status: "ready", code: None })),
        Err(failure) => {
            tracing::warn!(code = %failure.code, "not ready: {failure}");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not ready", code: Some(failure.code) }))
        }
    }
}
