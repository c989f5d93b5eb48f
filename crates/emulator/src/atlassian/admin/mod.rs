//! The Organizations API and the User management API.

use super::Incoming;
use super::auth;
use super::reply::Reply;
use crate::state::State;

/// Answers one request under `/admin` or `/users/{id}/manage`.
pub(super) fn answer(state: &State, request: &Incoming<'_>) -> Reply {
    if !auth::organization_key(&state.world().atlassian, request.headers) {
        return Reply::gateway(401, "Unauthorized");
    }
    Reply::gateway(404, "Not Found")
}
