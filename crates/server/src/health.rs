//! `/health/live` and `/health/ready`, for the probes of an operator: no credentials, no details that help a stranger.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use entrain_domain::{Failure, FailureCode};

/// Whether the service can do its work; asked at every readiness probe, so it must be cheap.
pub trait Readiness: Send + Sync {
    /// Nothing when ready; else what stands against it.
    fn ready(&self) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + '_>>;
}

#[derive(serde::Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<FailureCode>,
}

pub(crate) fn routes(readiness: Arc<dyn Readiness>) -> Router {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).with_state(readiness)
}

async fn live() -> Json<Health> {
    Json(Health { status: "live", code: None })
}

async fn ready(State(readiness): State<Arc<dyn Readiness>>) -> (StatusCode, Json<Health>) {
    match readiness.ready().await {
        Ok(()) => (StatusCode::OK, Json(Health { status: "ready", code: None })),
        Err(failure) => {
            tracing::warn!(code = %failure.code, "not ready: {failure}");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "not ready", code: Some(failure.code) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, Response};
    use entrain_domain::FailureClass;
    use tower::ServiceExt;

    use super::*;

    enum Probe {
        Ready,
        NotReady,
        Panics,
    }

    impl Readiness for Probe {
        fn ready(&self) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + '_>> {
            Box::pin(async move {
                match self {
                    Self::Ready => Ok(()),
                    Self::NotReady => Err(Failure::new(
                        FailureCode::StoreFailed,
                        FailureClass::Local,
                        "the disk of db-7.internal is full",
                        "make room",
                    )),
                    Self::Panics => panic!("a bug"),
                }
            })
        }
    }

    async fn get(probe: Probe, path: &str) -> Response<Body> {
        let request = Request::get(path).body(Body::empty()).unwrap();
        crate::router(Arc::new(probe)).oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn probes_learn_whether_it_lives_and_whether_it_can_work() {
        assert_eq!(get(Probe::NotReady, "/health/live").await.status(), StatusCode::OK);
        assert_eq!(get(Probe::Ready, "/health/ready").await.status(), StatusCode::OK);
        let answer = get(Probe::NotReady, "/health/ready").await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
        assert_eq!(&body[..], br#"{"status":"not ready","code":"store_failed"}"#, "no details for strangers");
    }

    #[tokio::test]
    async fn w_12_a_panic_answers_500_and_every_answer_is_guarded() {
        for (probe, path, status) in [
            (Probe::Panics, "/health/ready", StatusCode::INTERNAL_SERVER_ERROR),
            (Probe::Ready, "/nothing/here", StatusCode::NOT_FOUND),
            (Probe::Ready, "/health/live", StatusCode::OK),
        ] {
            let answer = get(probe, path).await;
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
            assert!(answer.headers().contains_key("content-security-policy"), "{path}");
        }
    }
}
