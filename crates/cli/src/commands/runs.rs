//! `entrain runs`: the history, and the journal of one run.

use clap::Subcommand;
use entrain_domain::model::RunId;
use entrain_domain::run::{RunReport, RunSummary};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::{Value, json};

use super::{Context, Exit};
use crate::ui::{self, Page, Tone};
use crate::wire;

/// Runs listed; older ones are in the database.
const LISTED: u32 = 200;

#[derive(Debug, Default, Subcommand)]
pub(crate) enum RunsCommand {
    /// Lists runs, the newest first
    #[default]
    List,
    /// Shows one run with its journal
    Show {
        /// Run
        id: String,
    },
}

pub(super) async fn run(cx: &Context<'_>, command: RunsCommand) -> Result<Exit, Failure> {
    let store = wire::open_store(cx).await?;
    match command {
        RunsCommand::List => {
            let runs = store.runs(None, LISTED).await.map_err(|e| e.failure())?;
            let json: Vec<Value> = runs.iter().map(summary).collect();
            cx.printer.result(&json, || ui::runs_list(runs.iter().map(row).collect()));
        }
        RunsCommand::Show { id } => {
            let unknown = |_| {
                let remedy = "entrain runs list shows the ids of runs";
                Failure::new(
                    FailureCode::RunUnknown,
                    FailureClass::Local,
                    "there is no run of that id",
                    remedy,
                )
            };
            let id = RunId::parse(&id).map_err(unknown)?;
            let run = store.run(&id).await.map_err(|e| e.failure())?;
            let journal = store.journal(&id).await.map_err(|e| e.failure())?;
            let mut json = match &run.report {
                Some(report) => json!(report),
                None => summary(&run),
            };
            json["journal"] = json!(journal);
            cx.printer.result(&json, || {
                let head = run.report.as_ref().map_or_else(|| unfinished(&run), ui::report);
                ui::run_detail(&head, &journal)
            });
        }
    }
    Ok(Exit::Done)
}

fn summary(run: &RunSummary) -> Value {
    json!({
        "run_id": run.id,
        "connection": run.connection,
        "trigger": run.trigger,
        "status": run.status,
        "started_at": run.started_at,
        "steps": run.report.as_ref().map_or_else(|| json!({}), |r| json!(r.steps)),
    })
}

fn row(run: &RunSummary) -> Vec<String> {
    let done = |report: &RunReport| report.steps.values().map(|n| n.done).sum::<usize>().to_string();
    vec![
        run.id.to_string(),
        run.connection.clone(),
        run.trigger.as_str().to_owned(),
        run.status.as_str().to_owned(),
        run.started_at.strftime("%F %T").to_string(),
        run.report.as_ref().map_or_else(|| "–".to_owned(), done),
    ]
}

fn unfinished(run: &RunSummary) -> Page {
    let mut page = Page::new();
    page.parts(&[
        (Tone::Strong, &format!("“{}” ", run.connection)),
        (Tone::Warn, &format!("run {}, begun and not ended; it was {}", run.id, run.phase.as_str())),
    ]);
    page.line("It is under way, or its process was killed: then the next sync finishes it.");
    page
}
