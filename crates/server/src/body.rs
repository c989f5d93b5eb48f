//! Bodies of requests, within limits of size and time.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use entrain_domain::FailureCode;

use crate::problem::Problem;

/// Largest body, in bytes.
const LARGEST: usize = 1_000_000;
/// Time for a body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The body, within its limits of size and time (quality.md W-07, W-08).
pub(crate) async fn read(parts: &Parts, body: Body) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let what = format!("the body is larger than {LARGEST} bytes");
        Problem::local(FailureCode::RequestTooLarge, what, "send less")
    };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIME, to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(error)) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            if source.is_some_and(|text| text.contains("length limit")) {
                return Err(too_large());
            }
            Err(Problem::request("the body broke off", "send it again"))
        }
        Err(_) => Err(Problem::local(
            FailureCode::RequestSlow,
            "the body did not arrive in time",
            "send it within ten seconds",
        )),
    }
}
