//! `entrain apply FILE`: exactly that plan, or nothing.

use std::path::PathBuf;

use clap::Args;
use entrain_domain::Failure;
use entrain_domain::run::Trigger;
use entrain_engine::{Purpose, RunOptions, SavedPlan};

use super::sync::{ApprovalArgs, run_to_end, tell};
use super::{Context, Exit, Target, file_failure};
use crate::wire;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// File written by `entrain plan --out`
    file: PathBuf,
    /// Take the credentials from this document instead of the stored one
    #[arg(long, value_name = "FILE")]
    connection_file: Option<PathBuf>,
    #[command(flatten)]
    approval: ApprovalArgs,
}

pub(super) async fn run(cx: &Context<'_>, args: ApplyArgs) -> Result<Exit, Failure> {
    let text =
        std::fs::read_to_string(&args.file).map_err(|e| file_failure("the plan's file", &args.file, &e))?;
    let saved = SavedPlan::parse(&text)?;
    let target = match args.connection_file {
        Some(file) => Target { name: None, connection_file: Some(file) },
        None => Target { name: Some(saved.connection.clone()), connection_file: None },
    };
    let connected = Box::pin(wire::connect(cx, &target)).await?;
    if connected.name != saved.connection {
        return Err(Failure::new(
            entrain_domain::FailureCode::PlanStale,
            entrain_domain::FailureClass::Local,
            format!("the plan was made for the connection “{}”, not “{}”", saved.connection, connected.name),
            "apply it with that connection's document",
        ));
    }
    let mut options = RunOptions::new(Trigger::SavedPlan);
    options.approval = args.approval.approval();
    options.by = wire::person(cx);
    options.purpose = Purpose::Saved(saved.expected());
    let report = run_to_end(cx, &connected, options).await?;
    tell(cx, &report);
    Ok(Exit::of_run(&report))
}
