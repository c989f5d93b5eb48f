//! Query parameters, repeated ones included, and bodies.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::reply::Reply;

/// The parameters of a query, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The first value of this name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// All values of this name.
    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// A truth value; false when absent.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"))
    }

    /// A number of at least `least`.
    pub(super) fn number(&self, name: &str, default: usize, least: usize) -> Result<usize, Reply> {
        let Some(text) = self.get(name) else { return Ok(default) };
        match text.parse::<usize>() {
            Ok(n) if n >= least => Ok(n),
            _ => Err(Reply::jira(400, format!("The value '{text}' of parameter '{name}' is not valid."))),
        }
    }

    /// Whether a comma-separated `expand` names this.
    pub(super) fn expands(&self, what: &str) -> bool {
        self.all("expand").flat_map(|v| v.split(',')).any(|v| v.trim() == what)
    }
}

/// Why a body is not the JSON object that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadBody {
    /// Not declared as JSON.
    MediaType,
    /// Not a JSON object.
    Form,
}

/// The JSON object in a body.
pub(super) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, BadBody> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !declared.trim().to_ascii_lowercase().starts_with("application/json") {
        return Err(BadBody::MediaType);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(BadBody::Form),
    }
}
