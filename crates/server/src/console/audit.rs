//! The audit log: every change and every decision, and whether its chain holds.

use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::parts::{When, icon, number};
use super::shell::Shell;
use super::visit::{Reply, Visit};
use crate::problem::Problem;

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

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    rows: Vec<Row>,
    first: bool,
    next: Option<i64>,
}

pub(super) async fn list(visit: Visit) -> Result {
    let before = visit.text("before").and_then(|before| before.parse().ok());
    let service = &visit.console.service;
    let mut entries = service.audit(before, PAGE + 1).await?;
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
    Reply::page(&AuditPage {
        shell: visit.shell("Audit").await?,
        next: rows.last().filter(|_| more).map(|row| row.seq),
        rows,
        first: before.is_none(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Verdict {
    intact: bool,
    entries: u64,
    seq: i64,
    why: String,
}

#[derive(Template)]
#[template(path = "audit_chain.html")]
struct ChainPage {
    shell: Shell,
    headline: String,
    verdict: Verdict,
}

pub(super) async fn chain(visit: Visit) -> Result {
    let verdict = visit.console.service.verify_audit().await?;
    let verdict: Verdict = serde_json::from_value(verdict).unwrap_or_default();
    let headline = if verdict.intact {
        format!("The chain holds over {} entries", number(verdict.entries))
    } else {
        format!("The chain is broken at entry {}", verdict.seq)
    };
    Reply::page(&ChainPage {
        shell: visit.shell("Chain of the audit log").await?.at("Audit"),
        headline,
        verdict,
    })
}
