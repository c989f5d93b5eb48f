//! `entrain report`: read-only reports, for people, for programs, and for spreadsheets.

mod drift;

use clap::{Args, Subcommand, ValueEnum};
use entrain_domain::Failure;
use serde::Serialize;
use serde_json::json;

use super::{Context, Exit, Target};
use crate::ui::{Format, Page};

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// What people did by hand on the site to groups that Entrain manages, and what becomes of it
    Drift(ReportArgs),
}

impl ReportCommand {
    fn args(&self) -> &ReportArgs {
        match self {
            Self::Drift(args) => args,
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
        ReportCommand::Drift(args) => drift::run(cx, &args).await,
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
