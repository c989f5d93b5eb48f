//! Placeholder of wiring until the handlers land.

use crate::state::Shared;

/// The routes.
pub fn router(state: Shared) -> axum::Router {
    axum::Router::new().with_state(state)
}
