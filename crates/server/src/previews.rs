//! Previews: plans that the schedule, a person or the set-up made and nobody does. The newest of each connection is kept,
//! and of a draft of a connection as well.

use entrain_domain::Failure;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::service::Answer;

/// The newest preview of a connection, without its plan.
#[derive(Debug, Clone)]
pub struct PreviewHead {
    /// When it was made.
    pub at: Timestamp,
    /// Why there is no plan, where there is none.
    pub failure: Option<Failure>,
}

/// What keeping them needs.
pub trait Previews: Send + Sync {
    /// Keeps a preview in the place of the one before.
    fn keep_preview<'a>(&'a self, connection: &'a str, at: Timestamp, preview: Value) -> Answer<'a, ()>;
    /// The newest, as JSON.
    fn preview<'a>(&'a self, connection: &'a str) -> Answer<'a, Option<String>>;
    /// When the newest was made, and how it came out.
    fn preview_head<'a>(&'a self, connection: &'a str) -> Answer<'a, Option<PreviewHead>>;
}

/// A preview as it is kept: its plan, or why there is none.
pub(crate) fn document(connection: &str, at: Timestamp, made: &Result<Value, Failure>) -> Value {
    match made {
        Ok(plan) => json!({ "connection": connection, "at": at, "plan": plan }),
        Err(failure) => json!({ "connection": connection, "at": at, "error": failure }),
    }
}
