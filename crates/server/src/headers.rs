//! What is held against every request before it is looked at, headers that every answer carries, and the last-resort
//! handler (quality.md W-09, W-12).

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, Version};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::metrics::{self, Refused};
use crate::problem::Problem;

/// Longest address, in bytes.
const LONGEST: usize = 8 * 1024;

/// The routes, guarded; what no route takes is answered by `lost`.
pub(crate) fn guarded(routes: Router, lost: MethodRouter) -> Router {
    let fixed: [(HeaderName, &'static str); 4] = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
    ];
    let routes = routes
        .fallback_service(lost)
        .route_layer(from_fn(metrics::counted))
        .layer(from_fn(well_formed))
        .layer(map_response(metrics::refusals))
        .layer(map_response(last_words))
        .layer(CatchPanicLayer::custom(panicked));
    // Pages and what they load say more exactly what they need
    fixed.into_iter().fold(routes, |routes, (name, value)| {
        routes.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let what =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!("a handler panicked: {}", what.unwrap_or("without a word"));
    Problem::internal().into_response()
}

/// Who sent more than is read is told that the connection ends here: nobody sends the next request into it.
async fn last_words(mut response: Response) -> Response {
    if matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// One Host, and a sane one; an address of a sane length.
async fn well_formed(request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_some_and(|address| address.as_str().len() > LONGEST) {
        return malformed(
            Problem::request("the address is too long", "make it shorter").with(StatusCode::URI_TOO_LONG),
        );
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let sane = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host
            .to_str()
            .is_ok_and(|host| !host.contains('@') && (host.is_empty() || host.parse::<Authority>().is_ok())),
        (None, _) => request.version() < Version::HTTP_11 || request.uri().authority().is_some(),
        (Some(_), Some(_)) => false,
    };
    if sane {
        next.run(request).await
    } else {
        malformed(Problem::request(
            "the request has no Host, several, or one that is none",
            "send one Host header",
        ))
    }
}

fn malformed(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.extensions_mut().insert(Refused::MALFORMED);
    response
}
