//! `entrain connection`: connections as documents.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use entrain_domain::Failure;
use entrain_domain::service::Mode;
use entrain_domain::why::{NoWhy, Why};
use entrain_engine::what_if::WhatIf;
use entrain_store::{ConnectionDocument, Signed, Store};
use serde_json::json;

use super::{Context, Exit, file_failure, versions};
use crate::config::Document;
use crate::config::document::{SEALED, Scoped, Secret, Secrets, schema};
use crate::ui::{self, Page, PlanView, Tone};
use crate::wire;
use crate::wire::notifications::Ended;

#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionCommand {
    /// Lists connections
    List,
    /// Stores a new connection; secrets written in the document are sealed
    Add {
        /// Document (TOML)
        file: PathBuf,
        /// Why, in one line; kept with the version and in the audit log
        #[arg(long, value_name = "TEXT", value_parser = why)]
        why: Option<Why>,
    },
    /// Shows what a new version of a connection would change, over what was last read, and stores it; "sealed" keeps
    /// the stored secret
    Set {
        /// Document (TOML)
        file: PathBuf,
        /// Only show what it would change
        #[arg(long)]
        dry_run: bool,
        /// Why, in one line; kept with the version and in the audit log
        #[arg(long, value_name = "TEXT", value_parser = why)]
        why: Option<Why>,
    },
    /// Prints a connection's document: references as they are, sealed secrets as "sealed"
    Export {
        /// Connection
        name: String,
        /// An earlier version of it; also one of a connection that was removed
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: Option<i64>,
    },
    /// Lists the versions of a connection's document, the newest first: who stored which, and when
    Versions {
        /// Connection
        name: String,
    },
    /// Removes a connection and forgets its secrets; links, ledger and runs stay
    Remove {
        /// Connection
        name: String,
    },
    /// Says what `entrain serve` does with a connection by itself: only plan, or apply what no guard holds
    Mode {
        /// Connection
        name: String,
        /// Mode; every connection begins in preview
        #[arg(value_parser = mode)]
        mode: Mode,
    },
    /// Prints the JSON Schema of documents
    Schema,
}

/// The mode of a word.
fn mode(word: &str) -> Result<Mode, String> {
    Mode::from_word(word).ok_or_else(|| "it is preview or apply".to_owned())
}

/// The line that says why.
fn why(text: &str) -> Result<Why, NoWhy> {
    Why::parse(text)
}

pub(super) async fn run(cx: &Context<'_>, command: ConnectionCommand) -> Result<Exit, Failure> {
    match command {
        ConnectionCommand::Schema => cx.printer.json(schema()),
        ConnectionCommand::List => list(cx).await?,
        ConnectionCommand::Mode { name, mode } => {
            let store = wire::open_store(cx).await?;
            store.set_mode(&name, mode, &wire::person(cx)).await.map_err(|e| e.failure())?;
            let result = json!({ "connection": name, "mode": mode });
            cx.printer.result(&result, || {
                let mut page = Page::new();
                page.line(match mode {
                    Mode::Preview => {
                        format!("entrain serve plans “{name}” by its schedule, and writes nothing.")
                    }
                    Mode::Apply => format!(
                        "entrain serve runs “{name}” by its schedule; guards hold what they held before."
                    ),
                });
                page
            });
        }
        ConnectionCommand::Add { file, why } => {
            let document = read(&file)?;
            // The document is judged before the store is touched
            document.resolve(cx.environment(), &Secrets::new())?;
            let store = wire::open_store(cx).await?;
            let author = wire::person(cx);
            add(&store, &document, Signed { author: &author, why: why.as_ref() }).await?;
            said(cx, &document, "added");
        }
        ConnectionCommand::Set { file, dry_run, why } => set(cx, &file, dry_run, why.as_ref()).await?,
        ConnectionCommand::Export { name, number } => {
            let store = wire::open_store(cx).await?;
            let document = match number {
                None => wire::stored(&store, &name).await?.document.document,
                Some(number) => versions::document(&store, &name, number).await?,
            };
            cx.printer.verbatim(&document);
        }
        ConnectionCommand::Versions { name } => versions::list(cx, &name).await?,
        ConnectionCommand::Remove { name } => {
            let store = wire::open_store(cx).await?;
            let connect = |document: &Document, secrets: &Secrets| {
                wire::build(cx.environment(), &wire::Lasting::new(), store.clone(), document, secrets)
            };
            let ended = wire::notifications::remove(&store, &name, &wire::person(cx), connect).await?;
            cx.printer.result(&json!({ "connection": name, "result": "removed" }), || {
                let mut page = Page::new();
                page.line(format!(
                    "Removed “{name}”. Its secrets are forgotten; its links, ledger and runs are kept."
                ));
                if let Ended::Not(failure) = &ended {
                    page.parts(&[
                        (Tone::Warn, "Its subscriptions to changes of the directory could not be ended: "),
                        (Tone::Normal, &failure.message),
                    ]);
                    page.line("They end by themselves within four weeks; what they tell is refused.");
                }
                page
            });
        }
    }
    Ok(Exit::Done)
}

async fn set(cx: &Context<'_>, file: &Path, dry_run: bool, why: Option<&Why>) -> Result<(), Failure> {
    let document = read(file)?;
    let store = wire::open_store(cx).await?;
    let stored = wire::stored(&store, document.name()).await?.document;
    document.resolve(cx.environment(), &stored.secrets)?;
    let what_if = what_if(cx, &store, &document, &stored).await;
    if !dry_run {
        let author = wire::person(cx);
        let by = Signed { author: &author, why };
        store.set(&to_store(&document, &stored.secrets), by).await.map_err(|e| e.failure())?;
    }
    let mut json =
        json!({ "connection": document.name(), "result": if dry_run { "not stored" } else { "set" } });
    match &what_if {
        Ok(Some(found)) => {
            json["what_if"] = found.preview.document.clone();
            json["new_steps"] = json!(found.new);
            json["gone_steps"] = json!(found.gone);
        }
        Ok(None) => {}
        Err(failure) => json["what_if_failed"] = json!(failure),
    }
    cx.printer.result(&json, || {
        let mut page = Page::new();
        match &what_if {
            Ok(Some(found)) => {
                page.parts(&[(Tone::Strong, "What if: "), (Tone::Normal, "these rules over what was last read")]);
                page.line(format!(
                    "  {} that the rules before did not ask for, {} that they did and these do not.",
                    ui::count(found.new.len(), "step", "steps"),
                    ui::count(found.gone.len(), "step", "steps"),
                ));
                page.gap().append(ui::letter(&PlanView::of(&found.preview.document), ui::SHOWN));
                page.gap();
                page.line("Removals that only the new rules ask for are held until somebody approves them.");
            }
            Ok(None) => {
                page.line("Nothing was read yet, so there is nothing to compare with; entrain plan shows the first plan.");
            }
            Err(failure) => {
                page.parts(&[(Tone::Warn, "What it would change could not be found out: "), (Tone::Normal, &failure.message)]);
                page.line("Removals that only the new rules ask for are held all the same.");
            }
        }
        if dry_run {
            page.line("Not stored (--dry-run).");
        } else {
            page.append(stored_page(&document));
        }
        page
    });
    Ok(())
}

/// What the new document would change, as far as both sides are remembered.
async fn what_if(
    cx: &Context<'_>,
    store: &Store,
    document: &Document,
    stored: &ConnectionDocument,
) -> Result<Option<WhatIf>, Failure> {
    // A document of an older version that this one refuses has no rules to compare with.
    let before = Document::parse(&stored.document, document.name())?;
    let connected =
        wire::build(cx.environment(), &wire::Lasting::new(), store.clone(), document, &stored.secrets)?;
    Box::pin(connected.engine.what_if(&before.meaning().rules)).await
}

/// Reads and checks a document file.
pub(crate) fn read(file: &Path) -> Result<Document, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| file_failure("the document", file, &e))?;
    Ok(Document::parse(&text, &file.display().to_string())?)
}

/// Reads a document of which only the directory is needed.
pub(crate) fn read_for_directory(file: &Path) -> Result<(Document, Scoped), Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| file_failure("the document", file, &e))?;
    Ok(Document::parse_for_directory(&text, &file.display().to_string())?)
}

/// Stores a new connection.
pub(super) async fn add(store: &Store, document: &Document, by: Signed<'_>) -> Result<(), Failure> {
    let new = to_store(document, &Secrets::new());
    store.add(&new, by).await.map_err(|e| e.failure())
}

/// What is stored: the text without secrets, and every secret that the document does not refer to.
pub(crate) fn to_store(document: &Document, kept: &Secrets) -> ConnectionDocument {
    let mut secrets = document.plain_secrets();
    for (key, secret) in document.secrets() {
        if let (Secret::Sealed, Some(kept)) = (secret, kept.get(&key)) {
            secrets.insert(key, kept.clone());
        }
    }
    ConnectionDocument { name: document.name().to_owned(), document: document.text().to_owned(), secrets }
}

fn said(cx: &Context<'_>, document: &Document, what: &str) {
    cx.printer.result(&json!({ "connection": document.name(), "result": what }), || stored_page(document));
}

fn stored_page(document: &Document) -> Page {
    let name = document.name();
    let sealed = document.text().matches(&format!("\"{SEALED}\"")).count();
    let mut page = Page::new();
    page.parts(&[(Tone::Good, "Stored "), (Tone::Strong, &format!("“{name}”")), (Tone::Normal, ".")]);
    if sealed > 0 {
        page.line(format!(
            "{} in the database, sealed with the secret key; they are not printed again.",
            ui::count(sealed, "secret is kept", "secrets are kept")
        ));
    }
    page.line("Next: entrain check, then entrain plan.");
    page
}

async fn list(cx: &Context<'_>) -> Result<(), Failure> {
    let store = wire::open_store(cx).await?;
    let entries = store.list().await.map_err(|e| e.failure())?;
    let modes = store.modes().await.map_err(|e| e.failure())?;
    let mut rows = Vec::with_capacity(entries.len());
    for entry in &entries {
        let text = entry.document.as_deref().unwrap_or_default();
        // A document of an older version that this one refuses is listed all the same
        let document = Document::parse(text, &entry.name).ok();
        let site =
            document.as_ref().map_or_else(|| "?".to_owned(), |d| d.meaning().site_url.as_str().to_owned());
        let mode = modes.get(&entry.name).copied().unwrap_or_default().as_str();
        rows.push((entry.name.clone(), site, mode, entry.version));
    }
    let json: Vec<_> = rows
        .iter()
        .map(|(name, site, mode, version)| json!({ "name": name, "site": site, "mode": mode, "version": version }))
        .collect();
    cx.printer.result(&json, || {
        let cells = |(name, site, mode, version): (String, String, &str, i64)| {
            vec![name, site, mode.to_owned(), version.to_string()]
        };
        ui::connection_list(rows.into_iter().map(cells).collect())
    });
    Ok(())
}
