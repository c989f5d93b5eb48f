//! Whether the chain of the audit log holds. Following it takes as long as the log is, so that it is done when somebody
//! asks for it; the page says what the last time found, and up to which entry.

use std::sync::{Mutex, PoisonError};

use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::parts::{When, icon, number};
use super::shell::Shell;
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::sought::Sought;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// What following the chain found last. It is remembered by this process and by nothing that somebody who can write to the
/// database could write as well.
#[derive(Default)]
pub(super) struct Watch {
    found: Mutex<Option<Found>>,
    /// The log is followed once at a time.
    following: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Found {
    verdict: Verdict,
    at: Timestamp,
    by: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Verdict {
    intact: bool,
    entries: u64,
    seq: i64,
    why: String,
}

impl Watch {
    fn found(&self) -> Option<Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }
}

struct Last {
    verdict: Verdict,
    at: When,
    by: String,
    /// Entries that were written after it was looked at.
    since: u64,
}

#[derive(Template)]
#[template(path = "audit_chain.html")]
struct ChainPage {
    shell: Shell,
    headline: String,
    entries: String,
    last: Option<Last>,
}

pub(super) async fn page(visit: Visit) -> Result {
    let service = &visit.console.service;
    let newest = service.sought(Sought::default(), 1).await?;
    let entries = newest.first().and_then(|entry| entry["seq"].as_u64()).unwrap_or_default();
    let last = visit.console.chain.found().map(|Found { verdict, at, by }| Last {
        since: if verdict.intact { entries.saturating_sub(verdict.entries) } else { 0 },
        verdict,
        at: When::new(at, service.now()),
        by,
    });
    let headline = match &last {
        None => "Not checked since this server started".into(),
        Some(Last { verdict, .. }) if verdict.intact => {
            format!("The chain holds over {} entries", number(verdict.entries))
        }
        Some(Last { verdict, .. }) => format!("The chain is broken at entry {}", verdict.seq),
    };
    Reply::page(&ChainPage {
        shell: visit.shell("Chain of the audit log").await?.at("Audit"),
        headline,
        entries: number(entries),
        last,
    })
}

/// Follows the whole chain.
pub(super) async fn check(visit: Visit) -> Result {
    let (service, watch) = (&visit.console.service, &visit.console.chain);
    let by = visit.name()?;
    let one = watch.following.lock().await;
    let at = service.now();
    let verdict = serde_json::from_value(service.verify_audit().await?).unwrap_or_default();
    watch.keep(Found { verdict, at, by });
    drop(one);
    Reply::to("/audit/chain")
}
