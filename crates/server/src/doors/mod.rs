//! Doors: addresses at which others knock. Most are ways in for the sync of one person at the moment they sign in. What is
//! said at them is checked first.
//!
//! | module | holds |
//! |---|---|
//! | [`behind`] | what doors need from behind them |
//! | `access` | the access page: sign in, watch, go on |
//! | `token_issuance` | the call of Entra ID's custom authentication extension |
//! | `webhook` | the signed webhook of any other broker |
//! | `notifications` | change notifications of Graph, each only a hint |
//! | `landing` | where people go on to, and nowhere else |
//! | `visits` | people who watch their sync on the access page |
//! | `queue` | syncs that go on behind an answer that has left already |
//! | `pace` | how many may come at a time |
//!
//! Nothing here tells whether somebody exists: signed doors give the same answer for everybody, and the access page
//! says the same to all who get nothing.

mod access;
pub mod behind;
mod landing;
pub(crate) mod notifications;
pub(crate) mod pace;
mod queue;
mod token_issuance;
mod visits;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use entrain_domain::FailureCode;

use crate::problem::Problem;
use crate::runs::Runs;
use crate::service::Service;

pub use behind::{
    AccessDoor, Arrival, Begun, Behind, Caller, Contact, Doors, Ending, Person, SecretKey, Synced,
    TokenIssuanceDoor, WebhookDoor,
};
pub use landing::Destination;

/// Largest body that a door takes.
const LARGEST: usize = 64 * 1024;
/// Time for a body to arrive.
const BODY_TIME: Duration = Duration::from_secs(5);

/// What the doors work with.
pub(crate) struct House {
    service: Arc<dyn Service>,
    behind: Arc<dyn Behind>,
    queue: queue::Queue,
    visits: visits::Visits,
    pace: pace::Pace,
    calls: token_issuance::Calls,
}

impl House {
    /// The doors of a connection by its slug; what is not there and what is not configured look the same.
    async fn doors(&self, slug: &str) -> Result<Arc<Doors>, Problem> {
        let doors = if slug.len() > 400 { None } else { self.behind.doors(slug).await? };
        doors.ok_or_else(|| {
            Problem::local(
                FailureCode::AddressUnknown,
                "there is nothing under this address",
                "check the address",
            )
        })
    }
}

/// The routes of the doors.
pub(crate) fn router(service: Arc<dyn Service>, behind: Arc<dyn Behind>, runs: &Arc<Runs>) -> Router {
    let house = Arc::new(House {
        queue: queue::Queue::new(behind.clone(), runs.clone()),
        visits: visits::Visits::new(service.clone(), behind.clone(), runs.clone()),
        pace: pace::Pace::default(),
        calls: token_issuance::Calls::default(),
        service,
        behind,
    });
    Router::new()
        .route("/access/{slug}", get(access::welcome))
        .route("/access/{slug}/sign-in", get(access::sign_in))
        .route("/access/{slug}/callback", get(access::callback))
        .route("/access/{slug}/progress", get(access::progress))
        .route("/access/{slug}/events", get(access::events))
        .route("/access/{slug}/brand.css", get(access::brand))
        .route("/doors/{slug}/token-issuance", post(token_issuance::call))
        .route("/doors/{slug}/webhook", post(webhook::call))
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .with_state(house)
}

/// A body within its limits.
async fn body(body: Body) -> Result<axum::body::Bytes, Problem> {
    match tokio::time::timeout(BODY_TIME, to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::local(
            FailureCode::RequestTooLarge,
            "the body is larger than 64 kB, or was cut off",
            "send less",
        )),
        Err(_) => Err(Problem::local(
            FailureCode::RequestSlow,
            "the body did not arrive in time",
            "send it at once",
        )),
    }
}

/// A refusal of a signed call: why stands in the log, and is told to nobody.
fn unsigned(door: &'static str, connection: &str, why: &dyn std::fmt::Display) -> Response {
    tracing::warn!(door, connection, "a call was refused: {why}");
    let problem = Problem::local(
        FailureCode::SignInRefused,
        "the call does not prove that it comes from where it should",
        "the log of the service says why",
    );
    problem.with(StatusCode::UNAUTHORIZED).into_response()
}

fn fresh(response: impl axum::response::IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-store")], response).into_response()
}
