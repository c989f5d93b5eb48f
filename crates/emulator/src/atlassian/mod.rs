//! Placeholder of wiring until the handlers land.

use crate::state::Shared;

/// The routes of the site.
pub fn jira_router(state: Shared) -> axum::Router {
    axum::Router::new().with_state(state)
}

/// The routes of the organization API and the gateway.
pub fn admin_router(state: Shared) -> axum::Router {
    axum::Router::new().with_state(state)
}
