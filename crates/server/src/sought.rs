//! Entries of the audit log that somebody looks for.

use jiff::Timestamp;
use serde_json::Value;

use crate::service::Answer;

/// What is looked for; nothing looks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// Of whom: part of the name.
    pub who: Option<String>,
    /// What was done, such as `add_member`.
    pub kind: Option<String>,
    /// About what: part of the name or id.
    pub object: Option<String>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Up to this moment.
    pub to: Option<Timestamp>,
    /// Before this entry.
    pub before: Option<i64>,
}

/// What looking through the audit log needs.
pub trait AuditSearch: Send + Sync {
    /// The newest entries that are looked for, the newest first.
    fn sought(&self, sought: Sought, limit: u32) -> Answer<'_, Vec<Value>>;
}
