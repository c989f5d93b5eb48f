//! What happens before and after every handler: who asks, and may they; are query and body what the table says, and
//! nothing else; has this write been answered before.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use entrain_domain::model::RunId;
use entrain_domain::service::slug;
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

use super::Api;
use super::routes::{Field, Need, Repeat, Route, Takes};
use crate::access::Caller;
use crate::body::read;
use crate::listen::Peer;
use crate::problem::Problem;
use crate::service::Connection;

/// A value of a field, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Text(String),
    Flag(bool),
    Number(u32),
    Texts(Vec<String>),
}

/// A request that may be done.
pub(crate) struct Ask {
    pub(crate) api: Arc<Api>,
    pub(crate) caller: Caller,
    path: BTreeMap<String, String>,
    fields: BTreeMap<&'static str, Given>,
}

/// What a handler answers.
pub(crate) enum Reply {
    /// JSON.
    Json(StatusCode, Value),
    /// JSON about something that has begun, with its address.
    Begun(Value, String),
    /// Nothing more than that it is done.
    Done,
    /// Something else.
    Raw(Response),
}

impl Reply {
    pub(crate) fn json(value: Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Json(status, value) => (status, Json(value)).into_response(),
            Self::Begun(value, address) => {
                let mut response = (StatusCode::ACCEPTED, Json(value)).into_response();
                if let Ok(address) = HeaderValue::from_str(&address) {
                    response.headers_mut().insert(LOCATION, address);
                }
                response
            }
            Self::Done => StatusCode::NO_CONTENT.into_response(),
            Self::Raw(response) => response,
        }
    }
}

impl Ask {
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.fields.get(name) {
            Some(Given::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.fields.get(name) == Some(&Given::Flag(true))
    }

    pub(crate) fn number(&self, name: &str, or: u32) -> u32 {
        match self.fields.get(name) {
            Some(Given::Number(number)) => *number,
            _ => or,
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.fields.get(name) {
            Some(Given::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// The connection that the address names, by name or by its form in addresses.
    pub(crate) async fn connection(&self) -> Result<Connection, Problem> {
        let asked = self.path("connection");
        self.connection_named(asked).await
    }

    pub(crate) async fn connection_named(&self, asked: &str) -> Result<Connection, Problem> {
        let all = self.api.service.connections().await?;
        all.into_iter().find(|c| c.name == asked || slug(&c.name) == asked).ok_or_else(|| {
            Failure::new(
                FailureCode::ConnectionUnknown,
                FailureClass::Local,
                "there is no connection of that name",
                "GET /api/v1/connections lists those that there are",
            )
            .into()
        })
    }

    /// The run that the address names.
    pub(crate) fn run(&self) -> Result<RunId, Problem> {
        RunId::parse(self.path("run")).map_err(|_| {
            let what = "there is no run of that id";
            Problem::local(FailureCode::RunUnknown, what, "GET /api/v1/runs lists those that there are")
        })
    }
}

/// Serves one request of the API.
pub(crate) async fn serve(
    api: Arc<Api>,
    route: &'static Route,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    match answer(api, route, params, request).await {
        Ok(response) => response,
        Err(problem) => {
            if problem.status.is_server_error() {
                tracing::warn!(route = route.id, code = %problem.failure.code, "answered {}: {}", problem.status, problem.failure);
            }
            problem.into_response()
        }
    }
}

async fn answer(
    api: Arc<Api>,
    route: &'static Route,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let from = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let caller = api.gate.enter(api.service.as_ref(), &parts.headers, from).await?;
    if caller.role < route.role {
        return Err(Problem::local(
            FailureCode::RoleMissing,
            format!(
                "this takes the role {}, and the key “{}” is of the role {}",
                route.role.as_str(),
                caller.name,
                caller.role.as_str()
            ),
            "use a key with a higher role",
        ));
    }
    let params = params.map_err(|_| Problem::not_here())?;
    let path: BTreeMap<String, String> =
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut fields = query(route, parts.uri.query())?;
    let bytes = read(&parts, body).await?;
    body_fields(route, &parts, &bytes, &mut fields)?;
    let repeat = idempotency_key(route, &parts)?;

    let ask = Ask { api: api.clone(), caller: caller.clone(), path, fields };
    let Some(name) = repeat else {
        return finished(tokio::spawn((route.handler)(ask)).await).map(Reply::into_response);
    };
    let digest = digest(&parts, &bytes);
    if let Some(kept) = api.service.keep_request(&caller.key, &name, &digest).await? {
        return again(kept, &digest);
    }
    // In a task of its own: a client that goes away does not stop a write half-way, nor the keeping of its answer
    let keep = tokio::spawn(async move {
        let result = finished(tokio::spawn((route.handler)(ask)).await);
        let kept = worth_keeping(&result);
        api.service.keep_answer(&caller.key, &name, kept).await?;
        result.map(Reply::into_response)
    });
    keep.await.unwrap_or_else(|_| Err(Problem::internal()))
}

fn finished(result: Result<Result<Reply, Problem>, tokio::task::JoinError>) -> Result<Reply, Problem> {
    result.unwrap_or_else(|error| {
        tracing::error!("a handler ended in a way that it should not: {error}");
        Err(Problem::internal())
    })
}

/// What the table says of the query, and nothing else (quality.md W-05).
fn query(route: &'static Route, query: Option<&str>) -> Result<BTreeMap<&'static str, Given>, Problem> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some(field) = route.query.iter().find(|field| field.name == name) else {
            return Err(Problem::request(
                "the address has a parameter that is not known here",
                "take it out; /api/v1/openapi.json says which there are",
            ));
        };
        let given = match field.takes {
            Takes::Flag => match &*value {
                "" | "true" => Some(Given::Flag(true)),
                "false" => Some(Given::Flag(false)),
                _ => None,
            },
            Takes::Number(..) => value.parse().ok().map(Given::Number),
            Takes::Text(_) | Takes::Word(_) => Some(Given::Text(value.into_owned())),
            Takes::Texts(..) => None,
        };
        take(field, given, &mut fields)?;
    }
    Ok(fields)
}

fn take(
    field: &'static Field,
    given: Option<Given>,
    fields: &mut BTreeMap<&'static str, Given>,
) -> Result<(), Problem> {
    let sound =
        |text: &String, most: usize| !text.is_empty() && text.chars().count() <= most && !text.contains('\0');
    let fits = match (&given, field.takes) {
        (Some(Given::Text(text)), Takes::Text(most)) => sound(text, most),
        (Some(Given::Texts(texts)), Takes::Texts(many, most)) => {
            !texts.is_empty() && texts.len() <= many && texts.iter().all(|text| sound(text, most))
        }
        (Some(Given::Text(text)), Takes::Word(words)) => words.contains(&text.as_str()),
        (Some(Given::Number(number)), Takes::Number(least, most)) => (least..=most).contains(number),
        (Some(Given::Flag(_)), Takes::Flag) => true,
        _ => false,
    };
    let Some(given) = given.filter(|_| fits) else {
        let wanted = match field.takes {
            Takes::Text(most) => format!("a text of 1 to {most} characters, none of them NUL"),
            Takes::Word(words) => format!("one of {}", words.join(", ")),
            Takes::Flag => "true or false".to_owned(),
            Takes::Number(least, most) => format!("a whole number from {least} to {most}"),
            Takes::Texts(many, most) => {
                format!("a list of 1 to {many} texts of 1 to {most} characters, none of them NUL")
            }
        };
        return Err(Problem::request(
            format!("“{}” is not {wanted}", field.name),
            "see /api/v1/openapi.json",
        ));
    };
    if fields.insert(field.name, given).is_some() {
        return Err(Problem::request(format!("“{}” is given twice", field.name), "give it once"));
    }
    Ok(())
}

fn body_fields(
    route: &'static Route,
    parts: &Parts,
    bytes: &[u8],
    fields: &mut BTreeMap<&'static str, Given>,
) -> Result<(), Problem> {
    let unsupported = |what: &str, remedy: &str| {
        Err(Problem::request(what, remedy).with(StatusCode::UNSUPPORTED_MEDIA_TYPE))
    };
    if route.body.is_empty() {
        return if bytes.is_empty() { Ok(()) } else { unsupported("this takes no body", "send none") };
    }
    let must = route.body.iter().any(|field| field.need == Need::Must);
    if bytes.is_empty() && !must {
        return Ok(());
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return unsupported("the body is not said to be JSON", "send Content-Type: application/json");
    }
    let Object(object) = serde_json::from_slice(bytes).map_err(|error| {
        Problem::request(format!("the body is not a JSON object as it should be: {error}"), "mend it")
    })?;
    for (name, value) in object {
        let Some(field) = route.body.iter().find(|field| field.name == name) else {
            return Err(Problem::request(
                "the body has a field that is not known here",
                "take it out; /api/v1/openapi.json says which there are",
            ));
        };
        let given = match value {
            Value::String(text) => Some(Given::Text(text)),
            Value::Bool(flag) => Some(Given::Flag(flag)),
            Value::Array(list) => list
                .into_iter()
                .map(|value| if let Value::String(text) = value { Some(text) } else { None })
                .collect::<Option<_>>()
                .map(Given::Texts),
            Value::Number(number) => whole(&number).map(Given::Number),
            _ => None,
        };
        take(field, given, fields)?;
    }
    match route.body.iter().find(|field| field.need == Need::Must && !fields.contains_key(field.name)) {
        Some(missing) => {
            Err(Problem::request(format!("“{}” is missing", missing.name), "see /api/v1/openapi.json"))
        }
        None => Ok(()),
    }
}

/// A whole number, however it is written: to JSON Schema `7.0` is an integer.
fn whole(number: &Number) -> Option<u32> {
    let written = number.to_string();
    written.strip_suffix(".0").unwrap_or(&written).parse().ok()
}

/// A JSON object in which no name comes twice.
struct Object(Map<String, Value>);

impl<'de> serde::Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Object;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if object.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a field is given twice"));
                    }
                }
                Ok(Object(object))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The name under which this write may be sent twice.
fn idempotency_key(route: &Route, parts: &Parts) -> Result<Option<String>, Problem> {
    let mut given = parts.headers.get_all("idempotency-key").iter();
    let Some(name) = given.next() else { return Ok(None) };
    if route.repeat == Repeat::No {
        return Err(Problem::request(
            "Idempotency-Key means nothing here",
            "leave it out: this changes nothing, or its answer holds a secret that is not kept",
        ));
    }
    let fits =
        |name: &&str| !name.is_empty() && name.len() <= 128 && name.bytes().all(|b| b.is_ascii_graphic());
    match (name.to_str().ok().filter(fits), given.next()) {
        (Some(name), None) => Ok(Some(name.to_owned())),
        _ => Err(Problem::request(
            "Idempotency-Key is not one text of at most 128 visible characters",
            "send a fresh UUID with each write, and the same when it is sent again",
        )),
    }
}

fn digest(parts: &Parts, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), body] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// The answer to a write that was sent before.
fn again(kept: crate::service::Kept, digest: &str) -> Result<Response, Problem> {
    if kept.request != digest {
        return Err(Problem::local(
            FailureCode::RequestRepeated,
            "another request was sent with this Idempotency-Key",
            "send a fresh key with each new write",
        )
        .with(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let Some((status, body)) = kept.answer else {
        return Err(Problem::local(
            FailureCode::RequestRepeated,
            "this request is under way, or was cut off",
            "look whether it was done (GET /api/v1/runs); then send it again with a fresh key",
        ));
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = if body.is_empty() {
        status.into_response()
    } else {
        let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
        (status, [(CONTENT_TYPE, kind)], body).into_response()
    };
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

/// Status and body of an answer that a repetition gets; nothing where it had better be tried again.
fn worth_keeping(result: &Result<Reply, Problem>) -> Option<(u16, String)> {
    match result {
        Ok(Reply::Json(status, value)) => Some((status.as_u16(), value.to_string())),
        Ok(Reply::Begun(value, _)) => Some((StatusCode::ACCEPTED.as_u16(), value.to_string())),
        Ok(Reply::Done) => Some((StatusCode::NO_CONTENT.as_u16(), String::new())),
        Ok(Reply::Raw(_)) => None,
        Err(problem) if problem.status.is_server_error() || problem.status == StatusCode::CONFLICT => None,
        Err(problem) => Some((problem.status.as_u16(), problem.body().to_string())),
    }
}
