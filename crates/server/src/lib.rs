//! What Entrain answers over HTTP. At this stage the health addresses that an operator's probes ask; console, API and
//! sign-in doors are added to this router by the service, and `entrain serve` with them.

mod headers;
mod health;

use std::sync::Arc;

use axum::Router;

pub use health::Readiness;

/// The router of the service. Every answer carries the security headers, a panic in a handler answers 500 and leaves
/// the rest up, and what is not there is 404.
pub fn router(readiness: Arc<dyn Readiness>) -> Router {
    headers::guarded(health::routes(readiness))
}
