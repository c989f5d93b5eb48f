//! `entrain sync`: plan, guards, apply, verify.

use std::time::Duration;

use clap::Args;
use entrain_domain::plan::Approval;
use entrain_domain::run::{RunReport, Trigger};
use entrain_domain::{Failure, FailureCode};
use entrain_engine::{Only, Purpose, RunOptions, Wait};
use tokio_util::sync::CancellationToken;

use super::{Context, Exit, Target, freshness};
use crate::ui;
use crate::wire;

/// Longest wait for another run: beyond that, something hangs.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    approval: ApprovalArgs,
    /// Only this person, beside whatever run is under way: object id, user principal name, e-mail address or account id
    #[arg(long, value_name = "WHO", conflicts_with = "group")]
    user: Option<String>,
    /// Only this group with its members and what it nests: id or name, on either side
    #[arg(long, value_name = "WHICH")]
    group: Option<String>,
    /// Read both sides in full, also what was changed by hand on the site, instead of what changed since the last run
    #[arg(long)]
    full: bool,
    /// Wait for another run of this connection to end, and for the reset of a used-up quota
    #[arg(long)]
    wait: bool,
}

/// What a person releases for one run.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ApprovalArgs {
    /// Approve, for this run, what guards hold, except a directory or scope that reads as empty
    #[arg(long)]
    yes: bool,
    /// Besides --yes: approve a directory or scope that reads as empty, and the removals that follow
    #[arg(long, requires = "yes")]
    accept_empty: bool,
}

impl ApprovalArgs {
    pub(super) fn approval(self) -> Approval {
        match (self.yes, self.accept_empty) {
            (true, true) => Approval::EvenEmpty,
            (true, false) => Approval::Held,
            (false, _) => Approval::None,
        }
    }
}

pub(super) async fn run(cx: &Context<'_>, args: SyncArgs) -> Result<Exit, Failure> {
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let mut options = RunOptions::new(Trigger::Manual);
    options.approval = args.approval.approval();
    options.by = wire::person(cx);
    options.freshness = freshness(args.full);
    options.wait = waiting(args.wait);
    let report = match (args.user, args.group) {
        (Some(who), _) => {
            let engine = &connected.engine;
            stoppable(cx, options, async |options, progress| {
                Box::pin(engine.sync_user(&who, options, progress)).await
            })
            .await?
        }
        (None, Some(which)) => {
            options.purpose = Purpose::Only(Only::Group(which));
            run_to_end(cx, &connected, options).await?
        }
        (None, None) => run_to_end(cx, &connected, options).await?,
    };
    if let Some(failure) = report.error.as_ref().filter(|failure| failure.code == FailureCode::ObjectUnknown)
    {
        return Err(failure.clone());
    }
    tell(cx, &report);
    Ok(Exit::of_run(&report))
}

/// What `--wait` means.
pub(super) fn waiting(wait: bool) -> Wait {
    if wait { Wait::For(LONGEST_WAIT) } else { Wait::No }
}

/// Runs with progress; the signals that end a process stop the run at the next step boundary.
pub(super) async fn run_to_end(
    cx: &Context<'_>,
    connected: &wire::Connected,
    options: RunOptions,
) -> Result<RunReport, Failure> {
    stoppable(cx, options, async |options, progress| Box::pin(connected.engine.run(options, progress)).await)
        .await
}

/// Does some work of a run with progress, stopped by signals at the next step boundary.
pub(super) async fn stoppable<R>(
    cx: &Context<'_>,
    mut options: RunOptions,
    work: impl AsyncFnOnce(RunOptions, &ui::ProgressBars) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let stop = CancellationToken::new();
    options.stop = stop.clone();
    let signals = tokio::spawn(async move {
        wire::told_to_end().await;
        tracing::warn!("stopping at the next step boundary");
        stop.cancel();
    });
    let progress = cx.progress();
    let result = Box::pin(work(options, &progress)).await;
    progress.finish();
    signals.abort();
    result
}

/// Prints the report; with `--json`, a run that could not be done is an error with its report's failure.
pub(super) fn tell(cx: &Context<'_>, report: &RunReport) {
    cx.printer.result(report, || ui::report(report));
}
