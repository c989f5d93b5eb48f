//! `entrain explain`: why an object is, or is not, what and where it is.

use clap::Args;
use entrain_domain::Failure;
use entrain_engine::Question;

use super::{Context, Exit, Target, freshness};
use crate::ui;
use crate::wire;

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("question").args(["user", "group"]).required(true).multiple(true)))]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    target: Target,
    /// Person: object id, user principal name, e-mail address or Atlassian account id
    #[arg(long, value_name = "WHO")]
    user: Option<String>,
    /// Group: id or name, on either side; with --user, why this person is or is not in this group
    #[arg(long, value_name = "WHICH")]
    group: Option<String>,
    /// Read both sides in full; without it, what changed in Entra ID, accounts, groups, and the groups concerned
    #[arg(long)]
    full: bool,
}

pub(super) async fn run(cx: &Context<'_>, args: ExplainArgs) -> Result<Exit, Failure> {
    let question = match (args.user, args.group) {
        (Some(user), Some(group)) => Question::Membership { user, group },
        (Some(user), None) => Question::User(user),
        (None, group) => Question::Group(group.unwrap_or_default()),
    };
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let progress = cx.progress();
    let explained = Box::pin(connected.engine.explain(&question, freshness(args.full), &progress)).await;
    progress.finish();
    let explained = explained?;
    cx.printer.result(&explained.explanation, || ui::explanation(&explained.explanation));
    Ok(Exit::Done)
}
