//! Failures as the API tells them: problem details (RFC 9457) with the stable codes of the reference.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::json;

use crate::metrics::Refused;

/// A failure with the status it is answered with.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) failure: Box<Failure>,
    retry_after: Option<u64>,
}

impl Problem {
    /// A request that is not as it should be.
    pub(crate) fn request(what: impl Into<String>, remedy: &str) -> Self {
        Self::local(FailureCode::RequestInvalid, what, remedy)
    }

    pub(crate) fn local(code: FailureCode, what: impl Into<String>, remedy: &str) -> Self {
        Failure::new(code, FailureClass::Local, what, remedy).into()
    }

    pub(crate) fn with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn not_here() -> Self {
        Self::local(
            FailureCode::AddressUnknown,
            "there is nothing under this address",
            "see /api/v1/openapi.json",
        )
    }

    pub(crate) fn wrong_method() -> Self {
        Self::local(
            FailureCode::AddressUnknown,
            "this address does not take this method",
            "see /api/v1/openapi.json",
        )
        .with(StatusCode::METHOD_NOT_ALLOWED)
    }

    pub(crate) fn internal() -> Self {
        Self::local(
            FailureCode::Internal,
            "something that should not happen did; nothing more is told here",
            "look at the log of the service, and report it",
        )
    }

    pub(crate) fn body(&self) -> serde_json::Value {
        let Failure { code, message, object, remedy, .. } = &*self.failure;
        let mut body = json!({
            "type": format!("urn:entrain:error:{code}"),
            "title": code.meaning(),
            "status": self.status.as_u16(),
            "detail": message,
            "code": code,
            "remedy": remedy,
        });
        if let Some(object) = object {
            body["object"] = json!(object);
        }
        body
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { status: status(failure.code), failure: Box::new(failure), retry_after: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(refused) = Refused::of(self.failure.code) {
            response.extensions_mut().insert(refused);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"entrain\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The status that a failure is answered with.
fn status(code: FailureCode) -> StatusCode {
    use FailureCode as Code;
    match code {
        Code::ConnectionUnknown
        | Code::RunUnknown
        | Code::ObjectUnknown
        | Code::ApiKeyUnknown
        | Code::AccountUnknown
        | Code::LinkSpent
        | Code::AddressUnknown => StatusCode::NOT_FOUND,
        Code::ConnectionExists
        | Code::ConnectionBusy
        | Code::ConnectionParked
        | Code::PlanStale
        | Code::PlanAltered
        | Code::ApprovalRefused
        | Code::PersonWaits
        | Code::RunOver
        | Code::ApiKeyExists
        | Code::AccountExists
        | Code::LastAdministrator
        | Code::RequestRepeated
        | Code::Stopped => StatusCode::CONFLICT,
        Code::DocumentInvalid | Code::SecretUnavailable | Code::UsageInvalid => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Code::RequestInvalid => StatusCode::BAD_REQUEST,
        Code::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RequestSlow => StatusCode::REQUEST_TIMEOUT,
        Code::ApiKeyRefused | Code::SignInNeeded => StatusCode::UNAUTHORIZED,
        Code::RoleMissing | Code::RequestForeign | Code::PasswordHandedOut => StatusCode::FORBIDDEN,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::StoreUnreadable | Code::StoreNewer | Code::StoreFailed => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal | Code::PlanUnsound | Code::KeyMismatch | Code::ServerRunning | Code::ListenFailed => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        // The directory, the site or the organization failed us
        _ => StatusCode::BAD_GATEWAY,
    }
}
