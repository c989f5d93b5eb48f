//! `entrain report`: read-only reports, for people, for programs, and for spreadsheets.

pub(crate) mod credentials;
pub(crate) mod drift;
pub(crate) mod ladder;
pub(crate) mod leavers;
pub(crate) mod members;
pub(crate) mod seats;
pub(crate) mod unlinked;

use clap::{Args, Subcommand, ValueEnum};
use entrain_domain::Failure;
use entrain_server::reports::Reported;
use serde::Serialize;
use serde_json::json;

use super::{Context, Exit, Target};
use crate::ui::{self, Format, Page};
use crate::wire::reports::Sides;

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// What people did by hand on the site to groups that Entrain manages, and what becomes of it
    Drift(ReportArgs),
    /// Accounts that are active on the site while their person is disabled, deleted or unknown in the directory
    Leavers(PeopleArgs),
    /// Active accounts that belong to nobody in the directory, and people in scope without an account
    Unlinked(PeopleArgs),
    /// Seats of each product: taken, in all, left
    Seats(ReportArgs),
    /// When credentials end; reads the document and its certificate, and asks no cloud
    Credentials(ReportArgs),
    /// Who was in a managed group at a moment, and through which path
    Members(members::MembersArgs),
    /// Everybody who has left and is on the leaver ladder: since when, which rung, which is next and when
    Ladder(ReportArgs),
}

impl ReportCommand {
    fn args(&self) -> &ReportArgs {
        match self {
            Self::Drift(args) | Self::Ladder(args) | Self::Seats(args) | Self::Credentials(args) => args,
            Self::Leavers(args) | Self::Unlinked(args) => &args.report,
            Self::Members(args) => &args.report,
        }
    }

    /// Whether the report is for programs.
    pub(crate) fn json(&self) -> bool {
        self.args().format == Some(ReportFormat::Json)
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    target: Target,
    /// How the report is printed
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<ReportFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct PeopleArgs {
    #[command(flatten)]
    report: ReportArgs,
    /// Take the accounts from the list that Jira exports (CSV) instead of the site; only Entra ID is asked then
    #[arg(long, value_name = "FILE")]
    accounts: Option<std::path::PathBuf>,
}

impl PeopleArgs {
    fn sides(&self) -> Sides {
        if self.accounts.is_some() { Sides::Directory } else { Sides::Both }
    }
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// For spreadsheets; no cell is taken for a formula
    Csv,
    /// For programs
    Json,
}

pub(super) async fn run(cx: &Context<'_>, command: ReportCommand) -> Result<Exit, Failure> {
    match command {
        ReportCommand::Drift(args) => Box::pin(drift::run(cx, &args)).await,
        ReportCommand::Leavers(args) => Box::pin(leavers::run(cx, &args)).await,
        ReportCommand::Unlinked(args) => Box::pin(unlinked::run(cx, &args)).await,
        ReportCommand::Seats(args) => Box::pin(seats::run(cx, &args)).await,
        ReportCommand::Credentials(args) => credentials::run(cx, &args).await,
        ReportCommand::Members(args) => members::run(cx, &args).await,
        ReportCommand::Ladder(args) => ladder::run(cx, &args).await,
    }
}

/// Prints a report: `{"report", "rows"}`, CSV, or a page.
fn print<R: Serialize>(
    cx: &Context<'_>,
    (name, rows): (&str, &[R]),
    format: Option<ReportFormat>,
    csv: impl FnOnce() -> String,
    page: impl FnOnce() -> Page,
) {
    match (format, cx.printer.format()) {
        (Some(ReportFormat::Csv), _) => cx.printer.verbatim(&csv()),
        (_, Format::Json) => cx.printer.json(&json!({ "report": name, "rows": rows })),
        (_, Format::Text) => cx.printer.page(&page()),
    }
}

/// A report as the API and the console have it.
fn reported<R: Serialize, const N: usize>(
    name: &str,
    rows: &[R],
    header: [&'static str; N],
    row: impl Fn(&R) -> [String; N],
) -> Reported {
    Reported {
        header: header.to_vec(),
        rows: rows.iter().map(|one| row(one).to_vec()).collect(),
        csv: ui::csv(header, rows.iter().map(&row)),
        json: json!({ "report": name, "rows": rows }),
    }
}

pub(crate) use credentials::checks as credential_checks;

/// A cell of something that may not be there.
fn cell(value: Option<&dyn ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// A cell of an instant.
fn instant(at: Option<jiff::Timestamp>) -> String {
    at.map(|at| at.strftime("%F %T").to_string()).unwrap_or_default()
}
