//! `$batch`: up to 20 requests run in process, each with its own status, headers and quota, answered in any order.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::access::Caller;
use super::answer::{Answer, Body};
use super::failure::{Failure, Outcome};
use crate::state::State;

/// Requests in one batch.
const LIMIT: usize = 20;

struct Item {
    id: String,
    method: String,
    url: String,
    headers: HashMap<String, String>,
    body: Option<Value>,
    depends_on: Vec<String>,
}

/// Answers a batch.
pub(super) fn serve(state: &State, caller: &Caller, body: &Value) -> Outcome<Answer> {
    let malformed =
        |text: String| Failure::new(400, "BadRequest", format!("Invalid batch payload format: {text}"));
    let requests = body
        .get("requests")
        .and_then(Value::as_array)
        .ok_or_else(|| malformed("'requests' is missing.".into()))?;
    if requests.len() > LIMIT {
        return Err(Failure::new(
            400,
            "MaximumValueExceeded",
            format!("Number of batch request steps exceeds the maximum value of {LIMIT}."),
        ));
    }
    let items = requests.iter().map(item).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    let mut statuses: HashMap<String, u16> = HashMap::new();
    for item in &items {
        if statuses.insert(item.id.to_lowercase(), 0).is_some() {
            return Err(malformed(format!("request id '{}' is used more than once.", item.id)));
        }
        if let Some(unknown) = item.depends_on.iter().find(|id| !statuses.contains_key(*id)) {
            return Err(malformed(format!(
                "request '{}' depends on '{unknown}', which is not before it.",
                item.id
            )));
        }
    }
    let mut responses = Vec::with_capacity(items.len());
    for item in &items {
        let failed = item.depends_on.iter().any(|id| statuses.get(id).is_some_and(|status| *status >= 400));
        let (status, response) = if failed { dependent(item) } else { run(state, caller, item) };
        statuses.insert(item.id.to_lowercase(), status);
        responses.push(response);
    }
    for at in (1..responses.len()).rev() {
        let other = usize::try_from(state.random_below(at as u64 + 1)).unwrap_or(at);
        responses.swap(at, other);
    }
    Ok(Answer::ok(json!({ "responses": responses })))
}

fn item(value: &Value) -> Result<Item, String> {
    let text = |name: &str| {
        value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let id = text("id").ok_or("every request needs an 'id' that is a string.")?;
    let headers: HashMap<String, String> = value
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| value.as_str().map(|value| (name.to_lowercase(), value.to_owned())))
        .collect();
    let body = value.get("body").filter(|body| !body.is_null()).cloned();
    if body.is_some() && !headers.contains_key("content-type") {
        return Err(format!("request '{id}' has a body but no Content-Type header."));
    }
    let depends_on = value.get("dependsOn").and_then(Value::as_array).into_iter().flatten();
    Ok(Item {
        method: text("method").ok_or_else(|| format!("request '{id}' has no 'method'."))?.to_uppercase(),
        url: text("url").ok_or_else(|| format!("request '{id}' has no 'url'."))?,
        headers,
        body,
        depends_on: depends_on.filter_map(Value::as_str).map(str::to_lowercase).collect(),
        id,
    })
}

fn run(state: &State, caller: &Caller, item: &Item) -> (u16, Value) {
    if let Some(fault) = state.faults.batch_item(&item.url) {
        let mut response = json!({ "id": item.id, "status": fault.status, "headers": fault.headers });
        if let Some(body) = fault.body {
            response["body"] = body;
        }
        return (fault.status, response);
    }
    let call = if item.url.contains("://") {
        Err(Failure::new(400, "BadRequest", "The url of a batch request is relative to the version."))
    } else {
        let path = if item.url.starts_with('/') { item.url.clone() } else { format!("/{}", item.url) };
        super::call(&item.method, &path, item.headers.clone(), item.body.clone().map(Ok))
    };
    let call = call.and_then(|call| {
        if call.segments.first().is_some_and(|first| first == "$batch") {
            return Err(Failure::new(400, "BadRequest", "A batch cannot hold another batch."));
        }
        Ok(call)
    });
    let client_request_id = item.headers.get("client-request-id").cloned();
    let answer = super::settle(state, caller, call, client_request_id);
    let answer = super::subscriptions::refuse_in_batch(state, answer);
    (answer.status, response(&item.id, answer))
}

fn response(id: &str, answer: Answer) -> Value {
    let mut headers: Map<String, Value> =
        answer.headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    headers.insert("Cache-Control".into(), "no-cache".into());
    headers.insert("OData-Version".into(), "4.0".into());
    let (kind, body) = match answer.body {
        Body::Json(value) => ("application/json", value),
        Body::Text(text) => ("text/plain", Value::String(text)),
    };
    headers.insert("Content-Type".into(), kind.into());
    json!({ "id": id, "status": answer.status, "headers": headers, "body": body })
}

fn dependent(item: &Item) -> (u16, Value) {
    let error = json!({ "error": { "code": "FailedDependency", "message": "A dependent request failed." } });
    let headers = json!({ "Content-Type": "application/json" });
    (424, json!({ "id": item.id, "status": 424, "headers": headers, "body": error }))
}
