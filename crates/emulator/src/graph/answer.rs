//! A request and its answer apart from HTTP, since `$batch` runs requests in process.

use std::collections::HashMap;

use serde_json::Value;

use super::failure::{Failure, Outcome};
use super::options::Options;

/// One request to `/v1.0`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    /// The path below the version as it came, with a leading slash: links repeat it.
    pub(super) path: String,
    /// Its decoded segments.
    pub(super) segments: Vec<String>,
    pub(super) options: Options,
    /// Headers by lower-case name.
    pub(super) headers: HashMap<String, String>,
    /// The JSON body; none when there was no body, an error text when it was not JSON.
    pub(super) body: Option<Result<Value, String>>,
}

impl Call {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Whether the request asks for the eventually consistent index.
    pub(super) fn eventual(&self) -> bool {
        self.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    /// The body of a POST.
    pub(super) fn json(&self) -> Outcome<&Value> {
        match &self.body {
            Some(Ok(value)) => Ok(value),
            Some(Err(text)) => {
                Err(Failure::new(400, "BadRequest", format!("Unable to read JSON request payload. {text}")))
            }
            None => Err(Failure::bad("Empty Payload. JSON content expected.")),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    /// The subscription whose addresses are yet to be validated.
    pub(super) pending: Option<String>,
}

/// What an answer carries.
#[derive(Debug)]
pub(super) enum Body {
    Json(Value),
    Text(String),
}

impl Answer {
    pub(super) fn ok(value: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Json(value), pending: None }
    }

    pub(super) fn text(text: String) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Text(text), pending: None }
    }
}
