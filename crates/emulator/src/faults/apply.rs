//! The layer that applies faults around the handlers, and what each kind does to an answer.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::{DEAD_TOKEN, Fault, FaultKind};
use crate::serve::Connection;
use crate::state::{Shared, Surface};

/// Put on an answer: the fault that made it, for the request log.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    /// Name or kind of the fault.
    pub(crate) label: String,
    /// No answer reaches the client.
    pub(crate) broken: bool,
}

/// The largest answer of a handler that a fault may rewrite.
const ANSWER_CAP: usize = 256 << 20;

/// The largest gzip bomb.
const BOMB_CAP_MIB: u32 = 16 << 10;

/// The deepest nesting: two bytes each.
const DEPTH_CAP: usize = 50_000_000;

/// Refuses a kind that cannot be carried out, saying why.
pub(super) fn check(kind: &FaultKind) -> Result<(), String> {
    match kind {
        FaultKind::Status { status, headers, .. } => {
            check_status(*status)?;
            for (name, value) in headers {
                HeaderName::try_from(name).map_err(|_| format!("header name {name:?} is not one"))?;
                HeaderValue::try_from(value)
                    .map_err(|_| format!("the value of header {name} is not one: {value:?}"))?;
            }
            Ok(())
        }
        FaultKind::Redirect { status, location } => {
            check_status(*status)?;
            HeaderValue::try_from(location).map_err(|_| format!("location {location:?} cannot be sent"))?;
            Ok(())
        }
        FaultKind::Bytes { base64 } => {
            STANDARD.decode(base64).map_err(|e| format!("base64: {e}"))?;
            Ok(())
        }
        FaultKind::GzipBomb { mib } if *mib > BOMB_CAP_MIB => Err(format!("mib is at most {BOMB_CAP_MIB}")),
        FaultKind::DeepNesting { depth } if *depth > DEPTH_CAP => {
            Err(format!("depth is at most {DEPTH_CAP}"))
        }
        FaultKind::BatchItem(item) if item.status != 0 => check_status(item.status),
        _ => Ok(()),
    }
}

fn check_status(status: u16) -> Result<(), String> {
    // Interim answers (1xx) are no answers: the client would wait on.
    if (200..=999).contains(&status) {
        Ok(())
    } else {
        Err(format!("status lies between 200 and 999, not {status}"))
    }
}

/// The layer.
pub(crate) async fn layer(
    Extract((state, surface)): Extract<(Shared, Surface)>,
    connection: Option<axum::Extension<ConnectInfo<Connection>>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let target = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let dead = state.faults.on_token(surface, method.as_str(), &target);
    let fault = state.faults.on_request(surface, method.as_str(), &target);
    let run = |request| DEAD_TOKEN.scope(dead, next.run(request));
    let Some(fault) = fault else {
        let mut response = run(request).await;
        if dead {
            response.extensions_mut().insert(Applied { label: "dead_token".into(), broken: false });
        }
        return response;
    };
    let label = fault.label().to_owned();
    let mut response = match &fault.kind {
        FaultKind::ResetBefore {} => broken(connection.as_deref()),
        FaultKind::ResetAfter {} => {
            let _ = run(request).await;
            broken(connection.as_deref())
        }
        FaultKind::StallHeaders { ms } => {
            let response = run(request).await;
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            response
        }
        kind if needs_the_answer(kind) => {
            let response = run(request).await;
            let origin = origin_of(&state, surface);
            change(&fault, response, &origin, &target).await
        }
        kind => instead(kind, surface, &state),
    };
    let is_broken = matches!(fault.kind, FaultKind::ResetBefore {} | FaultKind::ResetAfter {});
    response.extensions_mut().insert(Applied { label, broken: is_broken });
    response
}

fn origin_of(state: &Shared, surface: Surface) -> String {
    let urls = state.urls();
    match surface {
        Surface::Authority => urls.authority,
        Surface::Graph => urls.graph,
        Surface::Site => urls.site,
        Surface::Organization => urls.organization,
    }
}

fn broken(connection: Option<&ConnectInfo<Connection>>) -> Response {
    if let Some(ConnectInfo(connection)) = connection {
        connection.reset();
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn needs_the_answer(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::StallBody { .. }
            | FaultKind::Truncate { .. }
            | FaultKind::WrongLength { .. }
            | FaultKind::DropKey { .. }
            | FaultKind::SetKey { .. }
            | FaultKind::RepeatPage {}
    )
}

/// An answer in place of the handler's.
fn instead(kind: &FaultKind, surface: Surface, state: &Shared) -> Response {
    match kind {
        FaultKind::Status { status, headers, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = match body {
                Some(Value::String(text)) => plain(Body::from(text.clone()), "text/plain"),
                Some(body) => plain(Body::from(body.to_string()), "application/json"),
                None => plain(Body::from(error_body(surface, status, state).to_string()), "application/json"),
            };
            *response.status_mut() = status;
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        FaultKind::Redirect { location, status } => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::FOUND);
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(LOCATION, location);
            }
            response
        }
        FaultKind::NotJson {} => {
            plain(Body::from("upstream connect error or disconnect"), "application/json")
        }
        FaultKind::Html {} => plain(Body::from(SIGN_IN_PAGE), "text/html; charset=utf-8"),
        FaultKind::Bytes { base64 } => {
            plain(Body::from(STANDARD.decode(base64).unwrap_or_default()), "application/json")
        }
        FaultKind::DeepNesting { depth } => {
            let mut body = vec![b'['; *depth];
            body.resize(depth * 2, b']');
            plain(Body::from(body), "application/json")
        }
        FaultKind::ReplaceBody { body } => plain(Body::from(body.to_string()), "application/json"),
        FaultKind::EndlessBody {} => {
            let blank = Bytes::from(vec![b' '; 64 << 10]);
            let start = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"{\"value\":[")) });
            plain(
                Body::from_stream(start.chain(stream::repeat_with(move || Ok(blank.clone())))),
                "application/json",
            )
        }
        FaultKind::GzipBomb { mib } => {
            let mut response = plain(Body::from(bomb(*mib)), "application/json");
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        _ => Response::new(Body::empty()),
    }
}

fn plain(body: Body, content_type: &'static str) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

const SIGN_IN_PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method=\"post\">\
    <input name=\"username\"><input name=\"password\" type=\"password\"><button>Sign in</button></form></body></html>";

/// A JSON text of blanks, compressed about 1:1000.
fn bomb(mib: u32) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let blank = vec![b' '; 1 << 20];
    let written: io::Result<()> = (|| {
        encoder.write_all(b"{\"value\":[")?;
        for _ in 0..mib {
            encoder.write_all(&blank)?;
        }
        encoder.write_all(b"]}")
    })();
    written.and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// An error in the form of the cloud.
fn error_body(surface: Surface, status: StatusCode, state: &Shared) -> Value {
    let reason = status.canonical_reason().unwrap_or("Error");
    let code: String = reason.split(' ').collect();
    let now = state.now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    match surface {
        Surface::Authority => json!({
            "error": if status.is_server_error() { "temporarily_unavailable" } else { "invalid_request" },
            "error_description": format!("AADSTS90033: {reason}."),
            "error_codes": [90033],
            "timestamp": now,
        }),
        Surface::Graph => json!({"error": {
            "code": if status == StatusCode::TOO_MANY_REQUESTS { "TooManyRequests" } else { &code },
            "message": reason,
            "innerError": {"date": now, "request-id": state.uuid(), "client-request-id": state.uuid()},
        }}),
        Surface::Site => json!({"errorMessages": [reason], "errors": {}}),
        Surface::Organization => json!({"code": status.as_u16(), "message": reason}),
    }
}

/// The handler's answer, changed.
async fn change(fault: &Fault, response: Response, origin: &str, target: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, ANSWER_CAP).await else {
        return broken(None);
    };
    let whole = bytes.len();
    let body = match &fault.kind {
        FaultKind::StallBody { ms, after_bytes } => {
            let pause = Duration::from_millis(*ms);
            let first = bytes.slice(..whole.min(*after_bytes));
            let rest = bytes.slice(first.len()..);
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole));
            let rest = stream::once(async move {
                tokio::time::sleep(pause).await;
                Ok(rest)
            });
            Body::from_stream(stream::iter([Ok::<_, Infallible>(first)]).chain(rest))
        }
        FaultKind::Truncate { keep_bytes } => {
            let keep = keep_bytes.unwrap_or(whole / 2).min(whole);
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.max(keep + 1)));
            cut(bytes.slice(..keep))
        }
        FaultKind::WrongLength { by } => {
            let told = i64::try_from(whole).unwrap_or(i64::MAX).saturating_add(*by).max(0);
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(told));
            if *by > 0 {
                cut(bytes)
            } else {
                let keep = usize::try_from(told).unwrap_or(0).min(whole);
                Body::from(bytes.slice(..keep))
            }
        }
        kind => {
            parts.headers.remove(CONTENT_LENGTH);
            Body::from(rewrite(kind, &bytes, origin, target).unwrap_or(bytes))
        }
    };
    Response::from_parts(parts, body)
}

/// A body that ends in a broken connection.
fn cut(bytes: Bytes) -> Body {
    let end = stream::once(async {
        // Lets the bytes go out before the connection goes down.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Body::from_stream(stream::iter([Ok(bytes)]).chain(end))
}

fn rewrite(kind: &FaultKind, bytes: &[u8], origin: &str, target: &str) -> Option<Bytes> {
    let mut body: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let own = format!("{origin}{target}");
    match kind {
        FaultKind::DropKey { key } => {
            body.remove(key);
        }
        FaultKind::SetKey { key, value } => {
            let value = match value {
                Value::String(text) => Value::from(text.replace("{self}", &own).replace("{origin}", origin)),
                other => other.clone(),
            };
            // Graph ends a round with one link or goes on with the other: never both.
            match key.as_str() {
                "@odata.nextLink" => body.remove("@odata.deltaLink"),
                "@odata.deltaLink" => body.remove("@odata.nextLink"),
                _ => None,
            };
            body.insert(key.clone(), value);
        }
        _ => {
            body.remove("@odata.deltaLink");
            body.insert("@odata.nextLink".into(), own.into());
        }
    }
    Some(Bytes::from(serde_json::to_vec(&body).unwrap_or_default()))
}
