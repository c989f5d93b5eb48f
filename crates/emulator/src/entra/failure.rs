//! The error body of sign-in: one JSON shape for all cases, an AADSTS code in front of the text, trace lines behind it.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::state::State;

/// A refused sign-in request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) code: u32,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn bad(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, code, text: text.into() }
    }

    pub(super) fn client(code: u32, text: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code, text: text.into() }
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::bad(
            "invalid_request",
            900_144,
            format!("The request body must contain the following parameter: '{name}'."),
        )
    }

    pub(super) fn unknown_tenant(name: &str) -> Self {
        Self::bad(
            "invalid_request",
            90002,
            format!(
                "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into \
                 the correct cloud. Check with your subscription administrator, this may happen if there are no \
                 active subscriptions for the tenant."
            ),
        )
    }

    pub(super) fn unknown_tenant_discovery(name: &str) -> Self {
        Self { error: "invalid_tenant", ..Self::unknown_tenant(name) }
    }

    pub(super) fn answer(&self, state: &State, headers: &HeaderMap) -> Response {
        let time = state.now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let trace = state.uuid();
        let correlation = correlation_id(state, headers);
        let code = self.code;
        let mut body = json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{code}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {time}",
                self.text
            ),
            "error_codes": [code],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        if ![1_002_012, 700_213].contains(&code) {
            body["error_uri"] = format!("{}/error?code={code}", state.urls().authority).into();
        }
        (self.status, common_headers(&trace), axum::Json(body)).into_response()
    }
}

/// The caller's `client-request-id` if it is a GUID, else a new one.
fn correlation_id(state: &State, headers: &HeaderMap) -> String {
    headers
        .get("client-request-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| uuid::Uuid::parse_str(text).ok())
        .map_or_else(|| state.uuid(), |id| id.hyphenated().to_string())
}

/// Headers of every answer of the token endpoint.
pub(super) fn common_headers(request_id: &str) -> [(header::HeaderName, String); 8] {
    use header::HeaderName;
    [
        (header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-store, no-cache".to_owned()),
        (header::PRAGMA, "no-cache".to_owned()),
        (header::EXPIRES, "-1".to_owned()),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (HeaderName::from_static("x-ms-request-id"), request_id.to_owned()),
        (HeaderName::from_static("x-ms-ests-server"), "2.1.22000.4 - WEULR1 ProdSlices".to_owned()),
    ]
}
