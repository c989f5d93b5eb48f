//! `entrain audit`: the log of every change, hash-chained.

use clap::Subcommand;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_store::AuditVerdict;
use serde_json::json;

use super::{Context, Exit};
use crate::ui::{self, Page, Tone};
use crate::wire;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Lists the newest entries, oldest first
    List {
        /// How many
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
    /// Follows the hash chain and names the first entry that breaks it
    Verify,
    /// Prints the whole log, one JSON object per line
    Export,
}

impl Default for AuditCommand {
    fn default() -> Self {
        Self::List { limit: 200 }
    }
}

pub(super) async fn run(cx: &Context<'_>, command: AuditCommand) -> Result<Exit, Failure> {
    let store = wire::open_store(cx).await?;
    match command {
        AuditCommand::List { limit } => {
            let entries = store.audit_list(limit).await.map_err(|e| e.failure())?;
            cx.printer.result(&entries, || {
                let row = |e: &entrain_store::AuditEntry| {
                    let at = e.at.strftime("%F %T").to_string();
                    vec![
                        e.seq.to_string(),
                        at,
                        e.actor.clone(),
                        e.action.clone(),
                        e.object.clone(),
                        e.detail.clone(),
                    ]
                };
                ui::audit_list(entries.iter().map(row).collect())
            });
        }
        AuditCommand::Export => {
            for entry in store.audit_list(u32::MAX).await.map_err(|e| e.failure())? {
                cx.printer.json_line(&entry);
            }
        }
        AuditCommand::Verify => match store.audit_verify().await.map_err(|e| e.failure())? {
            AuditVerdict::Sound { entries } => {
                cx.printer.result(&json!({ "intact": true, "entries": entries }), || {
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
