//! A web address that takes everything: `/hook/…`. A number in the first place of the path is the status that it answers
//! with, such as `/hook/503/slack`; 200 otherwise.

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::Hook;
use crate::state::Shared;

/// Takes a post.
pub async fn catch(
    Extract(state): Extract<Shared>,
    Path(path): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let first = path.split('/').next().unwrap_or_default();
    let asked = first.parse::<u16>().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = asked.unwrap_or(StatusCode::OK);
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let whole = uri.path_and_query().map_or_else(|| path.clone(), |all| all.as_str().to_owned());
    state.catcher.hook(Hook {
        at: state.now(),
        path: whole.trim_start_matches("/hook").to_owned(),
        headers: headers.iter().map(header).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        status: status.as_u16(),
    });
    (status, if status.is_success() { "ok" } else { "refused" }).into_response()
}
