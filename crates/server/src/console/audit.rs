//! The audit log: every change and every decision.

use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::parts::{When, icon};
use super::shell::Shell;
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::sought::Sought;

type Result<T = Reply> = std::result::Result<T, Problem>;

const PAGE: u32 = 100;

#[derive(Deserialize)]
struct Entry {
    seq: i64,
    at: Timestamp,
    actor: String,
    action: String,
    object: String,
    detail: String,
}

struct Row {
    seq: i64,
    at: When,
    actor: String,
    action: String,
    object: String,
    detail: String,
}

/// What somebody looks for, as they wrote it.
struct Asked {
    name: &'static str,
    label: &'static str,
    value: String,
    day: bool,
    wrong: bool,
}

const FIELDS: [(&str, &str); 5] =
    [("who", "Who"), ("kind", "What"), ("object", "Object"), ("from", "From the day"), ("to", "To the day")];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    rows: Vec<Row>,
    /// Whether all of the log is shown, from its end.
    newest: bool,
    fields: Vec<Asked>,
    error: Option<&'static str>,
    /// The address of the entries before these.
    next: Option<String>,
}

impl AuditPage {
    fn is_sought(&self) -> bool {
        self.fields.iter().any(|field| !field.value.is_empty())
    }
}

pub(super) async fn list(visit: Visit) -> Result {
    let before = visit.text("before").and_then(|before| before.parse().ok());
    let service = &visit.console.service;
    let read = Sought::read(|name| visit.text(name));
    let wrong = read.as_ref().err().copied();
    let mut entries = match read {
        Ok(sought) => service.sought(Sought { before, ..sought }, PAGE + 1).await?,
        Err(_) => Vec::new(),
    };
    let more = entries.len() > PAGE as usize;
    entries.truncate(PAGE as usize);
    let now = service.now();
    let entries = entries.into_iter().filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
    let rows: Vec<Row> = entries
        .map(|Entry { seq, at, actor, action, object, detail }| Row {
            seq,
            at: When::new(at, now),
            actor,
            action: action.replace('_', " "),
            object,
            detail,
        })
        .collect();
    let asked = |(name, label): (&'static str, &'static str)| Asked {
        name,
        label,
        value: visit.text(name).unwrap_or_default().to_owned(),
        day: matches!(name, "from" | "to"),
        wrong: wrong == Some(name),
    };
    let fields: Vec<Asked> = FIELDS.into_iter().map(asked).collect();
    let next = rows.last().filter(|_| more).map(|row| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for field in fields.iter().filter(|field| !field.value.is_empty()) {
            query.append_pair(field.name, &field.value);
        }
        format!("/audit?{}", query.append_pair("before", &row.seq.to_string()).finish())
    });
    Reply::page(&AuditPage {
        shell: visit.shell("Audit").await?,
        newest: before.is_none() && fields.iter().all(|field| field.value.is_empty()),
        error: wrong.map(|_| "A day is written as 2026-11-01."),
        next,
        rows,
        fields,
    })
}
