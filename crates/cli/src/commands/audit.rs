//! `entrain audit`: the log of every change and every decision, hash-chained.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_server::reports::ExportForm;
use entrain_store::{AuditEntry, AuditFilter, AuditVerdict, Store};
use jiff::Timestamp;
use serde_json::json;

use super::{Context, Exit, file_failure};
use crate::ui::{self, Page, Printer, Tone};
use crate::wire;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Lists the newest entries, oldest first
    List {
        /// How many
        #[arg(long, default_value_t = 200)]
        limit: u32,
        /// Only from this moment on: a day (its beginning in UTC, such as 2026-11-01) or an instant
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<Timestamp>,
        /// Only up to this moment: a day (its end in UTC) or an instant
        #[arg(long, value_name = "WHEN", value_parser = super::report::members::moment)]
        until: Option<Timestamp>,
        /// Only of people, keys or doors whose name contains this
        #[arg(long, value_name = "TEXT")]
        who: Option<String>,
        /// Only of this kind, such as `add_member`
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only about objects whose name or id contains this
        #[arg(long, value_name = "TEXT")]
        object: Option<String>,
    },
    /// Follows the hash chain and names the first entry that breaks it
    Verify,
    /// Writes the whole log: one JSON object per line, or a table for spreadsheets
    Export {
        /// Form
        #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
        format: ExportFormat,
        /// Write to this file instead of standard output; it must not exist yet
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One JSON object per line
    Jsonl,
    /// For spreadsheets; no cell is taken for a formula
    Csv,
}

impl Default for AuditCommand {
    fn default() -> Self {
        Self::List { limit: 200, since: None, until: None, who: None, kind: None, object: None }
    }
}

/// A day means its beginning.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day = text.parse::<jiff::civil::Date>().ok();
    let begin = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    begin
        .map(|begin| begin.timestamp())
        .ok_or_else(|| "write a day as 2026-11-01, or an instant as 2026-11-01T08:00:00Z".to_owned())
}

pub(super) async fn run(cx: &Context<'_>, command: AuditCommand) -> Result<Exit, Failure> {
    let store = wire::open_store(cx).await?;
    match command {
        AuditCommand::List { limit, since, until, who, kind, object } => {
            let filter = AuditFilter { since, until, actor: who, action: kind, object, before: None };
            let entries = store.audit_select(&filter, limit).await.map_err(|e| e.failure())?;
            cx.printer.result(&entries, || {
                ui::audit_list(entries.iter().map(|e| cells(e)[..6].to_vec()).collect())
            });
        }
        AuditCommand::Export { format, out } => export(cx.printer, &store, format, out.as_deref()).await?,
        AuditCommand::Verify => match store.audit_verify().await.map_err(|e| e.failure())? {
            AuditVerdict::Sound { entries } => {
                cx.printer.result(&json!({ "result": "sound", "entries": entries }), || {
                    let mut page = Page::new();
                    page.toned(
                        Tone::Good,
                        format!("The log is intact: {entries} entries, each as it was written."),
                    );
                    page
                });
            }
            AuditVerdict::Broken { seq, why } => {
                return Err(Failure::new(
                    FailureCode::StoreUnreadable,
                    FailureClass::Local,
                    format!("the audit log breaks at entry {seq}: {why}"),
                    "keep the database as evidence, and compare it with a backup",
                )
                .of(seq.to_string()));
            }
        },
    }
    Ok(Exit::Done)
}

fn cells(entry: &AuditEntry) -> [String; 7] {
    [
        entry.seq.to_string(),
        entry.at.strftime("%F %T").to_string(),
        entry.actor.clone(),
        entry.action.clone(),
        entry.object.clone(),
        entry.detail.clone(),
        entry.hash.clone(),
    ]
}

/// A part of an export; the first of a table begins with the names of its columns.
pub(crate) fn export_text(form: ExportForm, entries: &[AuditEntry], first: bool) -> String {
    let header = ["seq", "at", "actor", "action", "object", "detail", "hash"];
    match form {
        ExportForm::Jsonl => entries.iter().map(ui::json_line).collect(),
        ExportForm::Csv if first => ui::csv(header, entries.iter().map(cells)),
        ExportForm::Csv => ui::csv_rows(entries.iter().map(cells)),
    }
}

/// Entries that are in memory at a time.
const PAGE: u32 = 1000;

/// Where an export goes: page by page to standard output, or into a file that appears only when it is whole.
enum Sink<'a> {
    Printer(&'a Printer),
    File { path: &'a Path, part: tempfile::NamedTempFile },
}

impl<'a> Sink<'a> {
    fn open(printer: &'a Printer, out: Option<&'a Path>) -> Result<Self, Failure> {
        let Some(path) = out else { return Ok(Self::Printer(printer)) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let part = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))
            .map_err(|e| file_failure("the export", path, &e))?;
        Ok(Self::File { path, part })
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        match self {
            Self::Printer(printer) => {
                printer.verbatim(text);
                Ok(())
            }
            Self::File { path, part } => {
                part.write_all(text.as_bytes()).map_err(|e| file_failure("the export", path, &e))
            }
        }
    }

    fn close(self) -> Result<(), Failure> {
        match self {
            Self::Printer(_) => Ok(()),
            Self::File { path, part } => {
                part.as_file().sync_all().map_err(|e| file_failure("the export", path, &e))?;
                part.persist_noclobber(path).map(drop).map_err(|e| file_failure("the export", path, &e.error))
            }
        }
    }
}

async fn export(
    printer: &Printer,
    store: &Store,
    format: ExportFormat,
    out: Option<&Path>,
) -> Result<(), Failure> {
    let mut sink = Sink::open(printer, out)?;
    let form = match format {
        ExportFormat::Jsonl => ExportForm::Jsonl,
        ExportFormat::Csv => ExportForm::Csv,
    };
    let (mut after, mut first) = (0, true);
    loop {
        let entries = store.audit_after(after, PAGE).await.map_err(|e| e.failure())?;
        let Some(last) = entries.last() else {
            if first {
                sink.put(&export_text(form, &[], true))?;
            }
            break;
        };
        after = last.seq;
        sink.put(&export_text(form, &entries, first))?;
        first = false;
    }
    sink.close()
}
