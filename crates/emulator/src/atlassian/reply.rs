//! Answers of the Atlassian side before they become HTTP.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// What stands in the body.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Payload {
    Empty,
    Json(Value),
    Text(&'static str),
}

/// Status and body.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) payload: Payload,
}

/// A handler's answer; the error side is for early returns.
pub(super) type Answer = Result<Reply, Reply>;

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, payload: Payload::Json(body) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, payload: Payload::Empty }
    }

    pub(super) fn text(status: u16, text: &'static str) -> Self {
        Self { status, payload: Payload::Text(text) }
    }

    /// Jira's usual error.
    pub(super) fn jira(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, json!({"errorMessages": [message.into()], "errors": {}}))
    }

    /// Jira's error about one field.
    pub(super) fn field(status: u16, field: &str, message: &str) -> Self {
        Self::json(status, json!({"errorMessages": [], "errors": {field: message}}))
    }

    /// The gateway's error.
    pub(super) fn gateway(status: u16, message: &str) -> Self {
        Self::json(status, json!({"code": status, "message": message}))
    }

    pub(super) fn into_response(self) -> Response {
        let (kind, body) = match self.payload {
            Payload::Empty => (None, Body::empty()),
            Payload::Json(value) => (Some("application/json;charset=UTF-8"), Body::from(value.to_string())),
            Payload::Text(text) => (Some("text/plain;charset=UTF-8"), Body::from(text)),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        response
    }
}
