//! The API `/api/v1`. One table ([`routes::ROUTES`]) says of every route who may use it, what it takes and what it
//! gives; the router, the checks before each handler and the OpenAPI document are made from it, so that none of them
//! can know of a route that the others do not.

mod ask;
pub(crate) mod events;
mod handlers;
pub(crate) mod openapi;
mod reports;
pub(crate) mod routes;
mod trials;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::routing::{MethodRouter, get, on};

use crate::access::Gate;
use crate::problem::Problem;
use crate::runs::Runs;
use crate::service::Service;

/// What the handlers work with.
pub(crate) struct Api {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) gate: Gate,
}

/// The routes of the API.
pub(crate) fn router(service: Arc<dyn Service>, runs: Arc<Runs>) -> Router {
    let api = Arc::new(Api { service, runs, gate: Gate::default() });
    let mut router = Router::new().route("/api/v1/openapi.json", get(openapi::document));
    let mut paths: Vec<&str> = routes::ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for path in paths {
        let mut methods = MethodRouter::new();
        for route in routes::ROUTES.iter().filter(|route| route.path == path) {
            let api = api.clone();
            let serve = move |params: Result<RawPathParams, RawPathParamsRejection>, request: Request| async move {
                ask::serve(api, route, params, request).await
            };
            methods = methods.merge(on(route.method.filter(), serve));
        }
        router = router.route(&format!("/api/v1{path}"), methods);
    }
    router.method_not_allowed_fallback(|| async { Problem::wrong_method() })
}
