//! `entrain connection versions` and an earlier version's document.

use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_store::{ConnectionEntry, Store};
use serde_json::json;

use super::Context;
use crate::ui::{Page, table};
use crate::wire;

/// All versions of a connection's document, the newest first; those of a removed one too.
async fn all(store: &Store, name: &str) -> Result<Vec<ConnectionEntry>, Failure> {
    let mut entries = store.versions(name).await.map_err(|e| e.failure())?;
    if entries.is_empty() {
        return Err(Failure::new(
            FailureCode::ConnectionUnknown,
            FailureClass::Local,
            "there is no connection of that name, and there was none",
            "entrain connection list shows those that there are",
        )
        .of(name));
    }
    entries.reverse();
    Ok(entries)
}

pub(super) async fn list(cx: &Context<'_>, name: &str) -> Result<(), Failure> {
    let store = wire::open_store(cx).await?;
    let entries = all(&store, name).await?;
    let shown = |entry: &ConnectionEntry| {
        json!({ "version": entry.version, "author": entry.author, "at": entry.at, "why": entry.why,
            "removed": entry.document.is_none() })
    };
    let versions: Vec<_> = entries.iter().map(shown).collect();
    cx.printer.result(&json!({ "connection": name, "versions": versions }), || {
        let row = |entry: &ConnectionEntry| {
            vec![
                entry.version.to_string(),
                entry.at.strftime("%F %T UTC").to_string(),
                entry.author.clone(),
                if entry.document.is_some() { "stored" } else { "removed" }.to_owned(),
                entry.why.as_ref().map(ToString::to_string).unwrap_or_default(),
            ]
        };
        let mut page = Page::new();
        page.append(table(&["version", "at", "by", "what", "why"], entries.iter().map(row)));
        page
    });
    Ok(())
}

/// The document of one version.
pub(super) async fn document(store: &Store, name: &str, number: i64) -> Result<String, Failure> {
    let entries = all(store, name).await?;
    let unknown = |what: &str| {
        Failure::new(
            FailureCode::ObjectUnknown,
            FailureClass::Local,
            format!("version {number}: {what}"),
            "entrain connection versions lists those that there are",
        )
        .of(name)
    };
    let entry = entries.into_iter().find(|entry| entry.version == number);
    let entry = entry.ok_or_else(|| unknown("there is no such version"))?;
    entry.document.ok_or_else(|| unknown("it is the removal of the connection, and has no document"))
}
