//! `entrain runs`: the history, the journal of one run, and what a person decides on a held one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use entrain_domain::model::RunId;
use entrain_domain::plan::Approval;
use entrain_domain::run::{RunReport, RunSummary, Trigger};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::{Approved, RunOptions, Selection};
use serde_json::{Value, json};

use super::sync::{stoppable, tell, waiting};
use super::{Context, Exit, Target};
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
    /// Takes back what a run did on the site, as far as it can be: an ordinary plan, through the guards
    Undo(UndoArgs),
    /// Approves what guards held in a run, and does it at once; refuses if either side has changed since
    Approve(ApproveArgs),
    /// Rejects what guards held in a run: it cannot be approved any more
    Reject(DecideArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// Run
    id: String,
    /// Take the credentials from this document instead of the stored one
    #[arg(long, value_name = "FILE")]
    connection_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    #[command(flatten)]
    run: DecideArgs,
    /// Approve what guards hold
    #[arg(long)]
    yes: bool,
    /// Wait for another run of this connection to end, and for the reset of a used-up quota
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    run: DecideArgs,
    /// Approve this held step and not all of them; may be given several times. `entrain plan --json` names the steps
    #[arg(long, value_name = "STEP")]
    step: Vec<String>,
    /// Approve what is held about this person and not all of it: object id, address or account id; may be given
    /// several times
    #[arg(long, value_name = "WHO")]
    user: Vec<String>,
    /// Also approve a directory or scope that reads as empty, and the removals that follow
    #[arg(long)]
    accept_empty: bool,
    /// Wait for another run of this connection to end, and for the reset of a used-up quota
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(cx: &Context<'_>, command: RunsCommand) -> Result<Exit, Failure> {
    match command {
        RunsCommand::Undo(args) => return undo(cx, args).await,
        RunsCommand::Approve(args) => return approve(cx, args).await,
        RunsCommand::Reject(args) => return reject(cx, args).await,
        RunsCommand::List => {
            let store = wire::open_store(cx).await?;
            let runs = store.runs(None, LISTED).await.map_err(|e| e.failure())?;
            let json: Vec<Value> = runs.iter().map(summary).collect();
            cx.printer.result(&json, || ui::runs_list(runs.iter().map(row).collect()));
        }
        RunsCommand::Show { id } => {
            let store = wire::open_store(cx).await?;
            let id = run_id(&id)?;
            let run = store.run(&id).await.map_err(|e| e.failure())?;
            let journal = store.journal(&id).await.map_err(|e| e.failure())?;
            let mut json = match &run.report {
                Some(report) => json!(report),
                None => summary(&run),
            };
            json["journal"] = json!(journal);
            let decisions = store.decisions(&id).await.map_err(|e| e.failure())?;
            if !decisions.is_empty() {
                json["decisions"] = json!(decisions);
            }
            if let Some(relation) = store.relation(&id).await.map_err(|e| e.failure())? {
                json[relation.as_str()] = json!(relation.run());
            }
            cx.printer.result(&json, || {
                let head = run.report.as_ref().map_or_else(|| unfinished(&run), ui::report);
                ui::run_detail(&head, &journal, &decisions)
            });
        }
    }
    Ok(Exit::Done)
}

fn run_id(text: &str) -> Result<RunId, Failure> {
    RunId::parse(text).map_err(|_| {
        Failure::new(
            FailureCode::RunUnknown,
            FailureClass::Local,
            "there is no run of that id",
            "entrain runs list shows the ids of runs",
        )
    })
}

/// The connection of a run, ready for work.
async fn connection_of(cx: &Context<'_>, args: &DecideArgs) -> Result<(RunId, wire::Connected), Failure> {
    let id = run_id(&args.id)?;
    let store = wire::open_store(cx).await?;
    let run = store.run(&id).await.map_err(|e| e.failure())?;
    let target = match &args.connection_file {
        Some(file) => Target { name: None, connection_file: Some(file.clone()) },
        None => Target { name: Some(run.connection), connection_file: None },
    };
    Ok((id, Box::pin(wire::connect(cx, &target)).await?))
}

async fn approve(cx: &Context<'_>, args: ApproveArgs) -> Result<Exit, Failure> {
    let (id, connected) = connection_of(cx, &args.run).await?;
    let approval = if args.accept_empty { Approval::EvenEmpty } else { Approval::Held };
    let mut options = RunOptions::new(Trigger::Approval);
    options.wait = waiting(args.wait);
    let by = wire::person(cx);
    let selection = Selection { steps: args.step, people: args.user };
    let approved = stoppable(cx, options, async |options, progress| {
        let engine = &connected.engine;
        Box::pin(engine.approve_part(&id, &by, approval, &selection, options, progress)).await
    })
    .await?;
    match approved {
        Approved::Run(report) => {
            tell(cx, &report);
            Ok(Exit::of_run(&report))
        }
        Approved::Waiting { by, needed } => {
            let result = json!({ "run_id": id, "status": "held", "approved_by": by, "needed": needed });
            cx.printer.result(&result, || {
                let mut page = Page::new();
                page.parts(&[
                    (Tone::Warn, "waiting: "),
                    (
                        Tone::Normal,
                        &format!("approved by {}; the rules ask for {needed} people", by.join(", ")),
                    ),
                ]);
                page
            });
            Ok(Exit::Held)
        }
    }
}

async fn undo(cx: &Context<'_>, args: UndoArgs) -> Result<Exit, Failure> {
    let (id, connected) = connection_of(cx, &args.run).await?;
    let mut options = RunOptions::new(Trigger::Undo);
    options.approval = if args.yes { Approval::Held } else { Approval::None };
    options.by = wire::person(cx);
    options.wait = waiting(args.wait);
    let report = stoppable(cx, options, async |options, progress| {
        Box::pin(connected.engine.undo(&id, options, progress)).await
    })
    .await?;
    tell(cx, &report);
    Ok(Exit::of_run(&report))
}

async fn reject(cx: &Context<'_>, args: DecideArgs) -> Result<Exit, Failure> {
    let (id, connected) = connection_of(cx, &args).await?;
    connected.engine.reject(&id, &wire::person(cx)).await?;
    let result = json!({ "run_id": id, "decision": "rejected" });
    cx.printer.result(&result, || {
        let mut page = Page::new();
        page.line(format!("run {id} is rejected; nothing of it is done"));
        page
    });
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
