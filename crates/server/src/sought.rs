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

impl Sought {
    /// What is asked for under the names `who`, `kind`, `object`, `from` and `to`; a day stands for its beginning or,
    /// in `to`, for its end, both in UTC.
    ///
    /// # Errors
    /// The name that holds no moment.
    pub(crate) fn read<'a>(ask: impl Fn(&str) -> Option<&'a str>) -> Result<Self, &'static str> {
        let text = |name: &str| ask(name).map(str::trim).filter(|text| !text.is_empty());
        let moment = |name: &'static str, edge: fn(&str) -> Option<Timestamp>| {
            text(name).map(|text| edge(text).ok_or(name)).transpose()
        };
        Ok(Self {
            who: text("who").map(str::to_owned),
            kind: text("kind").map(|kind| kind.replace(' ', "_")),
            object: text("object").map(str::to_owned),
            from: moment("from", beginning)?,
            to: moment("to", crate::reports::moment)?,
            before: None,
        })
    }
}

/// An instant, or the beginning of a day.
fn beginning(text: &str) -> Option<Timestamp> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| day().map(|day| day.timestamp()))
}

/// What looking through the audit log needs.
pub trait AuditSearch: Send + Sync {
    /// The newest entries that are looked for, the newest first.
    fn sought(&self, sought: Sought, limit: u32) -> Answer<'_, Vec<Value>>;
}
