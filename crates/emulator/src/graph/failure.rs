//! Errors of Graph: status, code and message in the body the cloud sends, with `innerError` and its date without zone.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Answer, Body};

/// A refused request.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// What all handlers give.
pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    /// A bad value or option.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(400, "Request_BadRequest", message)
    }

    /// A query the directory does not serve, or not in this form.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(400, "Request_UnsupportedQuery", message)
    }

    /// A URL that names nothing.
    pub(super) fn segment(name: &str) -> Self {
        Self::new(400, "BadRequest", format!("Resource not found for the segment '{name}'."))
    }

    pub(super) fn not_found(id: &str) -> Self {
        Self::new(
            404,
            "Request_ResourceNotFound",
            format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
            ),
        )
    }

    pub(super) fn denied() -> Self {
        Self::new(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    }

    pub(super) fn method() -> Self {
        Self::new(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    }

    pub(super) fn stale_page() -> Self {
        Self::new(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )
    }

    pub(super) fn stale_delta() -> Self {
        Self::new(
            400,
            "syncStateNotFound",
            "The sync state generation is not found. The delta token is expired and data must be synchronized again.",
        )
    }

    /// 401 in one of the forms of an unusable token, with the challenge.
    pub(super) fn token(code: &'static str, message: &str, authority: &str) -> Self {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{authority}/common/oauth2/authorize\", client_id=\"{}\"",
            crate::entra::GRAPH_APP_ID
        );
        Self { headers: vec![("WWW-Authenticate", challenge)], ..Self::new(401, code, message) }
    }

    /// 429 for `app` in `tenant`: the wait is whole seconds when it can be, else fractional.
    pub(super) fn throttled(retry_after_ms: u64, app: &str, tenant: &str) -> Self {
        let wait = if retry_after_ms.is_multiple_of(1000) {
            (retry_after_ms / 1000).to_string()
        } else {
            format!("{}.{:03}", retry_after_ms / 1000, retry_after_ms % 1000)
        };
        Self {
            headers: vec![
                ("Retry-After", wait),
                ("x-ms-throttle-scope", format!("Tenant_Application/ReadWrite/{app}/{tenant}")),
                ("x-ms-throttle-information", "ResourceUnitLimitExceeded".to_owned()),
            ],
            ..Self::new(429, "TooManyRequests", "Please retry again later.")
        }
    }

    /// The answer, with the ids by which support would trace it.
    pub(super) fn answer(self, now: Timestamp, request_id: &str, client_request_id: &str) -> Answer {
        let mut inner = json!({
            "date": now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            "request-id": request_id,
            "client-request-id": client_request_id,
        });
        if self.status == 429 {
            inner["code"] = "429".into();
            inner["message"] = "Please retry after".into();
            inner["status"] = "429".into();
        }
        let error: Value =
            json!({ "error": { "code": self.code, "message": self.message, "innerError": inner } });
        let headers = self.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Answer { status: self.status, headers, body: Body::Json(error), pending: None }
    }
}
