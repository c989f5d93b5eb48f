//! The command line: what is accepted, and which module does it.

mod account;
mod admin;
mod alerts;
mod apply;
mod attributes;
pub(crate) mod audit;
mod backup;
mod check;
mod connection;
mod demo;
mod demo_tour;
mod emulate;
mod explain;
mod plan;
pub(crate) mod report;
mod rotate_key;
mod runs;
mod serve;
mod sync;
mod versions;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use entrain_domain::run::{RunReport, RunStatus};
use entrain_domain::{Failure, FailureClass, FailureCode};

use crate::config::{Environment, Settings, reference};
use crate::ui::{Format, Printer, ProgressBars, Shown, Terminal};
use crate::wire::Opened;

/// Exit codes (contract).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done: converged, or nothing to do.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage or invalid document.
    Usage = 2,
    /// Held for approval.
    Held = 3,
    /// Ended, but not everything is done.
    Partial = 4,
    /// `plan --detailed-exitcode`: there are changes.
    Changes = 5,
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit as u8
    }
}

impl Exit {
    /// The exit code of a failure.
    pub(crate) fn of(failure: &Failure) -> Self {
        match failure.code {
            FailureCode::DocumentInvalid | FailureCode::SecretUnavailable | FailureCode::UsageInvalid => {
                Self::Usage
            }
            FailureCode::Stopped => Self::Partial,
            _ => Self::Failed,
        }
    }

    /// The exit code of a run.
    pub(crate) fn of_run(report: &RunReport) -> Self {
        match report.status {
            RunStatus::Converged => Self::Done,
            RunStatus::Held => Self::Held,
            RunStatus::Partial | RunStatus::Running => Self::Partial,
            RunStatus::Failed => report.error.as_ref().map_or(Self::Failed, Self::of),
        }
    }
}

/// Keeps users and groups of a Jira Cloud site in step with Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(name = "entrain", version, propagate_version = true, max_term_width = 100)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Print results and failures as JSON
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
}

impl Cli {
    /// Whether results are for programs.
    pub(crate) fn json(&self) -> bool {
        self.json
            || match &self.command {
                Command::Plan(plan) => plan.format == Some(PlanFormat::Json),
                Command::Report { command } => command.json(),
                _ => false,
            }
    }
}

/// A connection: stored under its name, or a document beside the store.
#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// Connection; may be left out when there is exactly one
    pub(crate) name: Option<String>,
    /// Use this document without storing it first; state belongs to its name all the same
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub(crate) connection_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows Entrain at work on an emulated company, in one command and without any account
    Demo(demo::DemoArgs),
    /// Tests both sides of a connection and says what is missing and how to mend it
    Check(check::CheckArgs),
    /// Reads both sides and shows what a sync would do; changes nothing
    Plan(PlanArgs),
    /// Applies exactly the plan of a file; refuses if a side has changed since in a way that matters
    Apply(apply::ApplyArgs),
    /// Reads, plans, applies what no guard holds, and reads back
    Sync(sync::SyncArgs),
    /// Shows what the attribute rules make of one person; changes nothing
    Attributes(attributes::AttributesArgs),
    /// Says why a person or group is, or is not, what and where it is; changes nothing
    Explain(explain::ExplainArgs),
    /// Reports that change nothing
    Report {
        #[command(subcommand)]
        command: report::ReportCommand,
    },
    /// Connections, as documents
    Connection {
        #[command(subcommand)]
        command: connection::ConnectionCommand,
    },
    /// The history of runs
    Runs {
        #[command(subcommand)]
        command: Option<runs::RunsCommand>,
    },
    /// Runs every connection by its schedule and answers the API, until it is told to stop
    Serve(serve::ServeArgs),
    /// Keys of the API, accounts of the console, alerts, backup and restore
    Admin {
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// The audit log
    Audit {
        #[command(subcommand)]
        command: Option<audit::AuditCommand>,
    },
    /// Emulates Entra ID, Microsoft Graph, Jira Cloud and the Atlassian organization API on this machine
    Emulate(emulate::EmulateArgs),
    /// Prints completions for a shell
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page
    Man,
    /// Prints a page of the reference
    #[command(hide = true)]
    Reference {
        /// Page
        page: ReferencePage,
    },
}

/// Pages of the reference.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReferencePage {
    Configuration,
    Errors,
    Commands,
}

pub(crate) use admin::shown as shown_key;
pub(crate) use check::findings;
pub(crate) use connection::{read as read_document, read_for_directory, to_store};

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// A letter for people
    Text,
    /// For programs
    Json,
    /// For a ticket or a merge request
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    target: Target,
    /// Also write the plan to a file, for `entrain apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Read both sides in full, also what was changed by hand on the site, instead of what changed since the last run
    #[arg(long)]
    full: bool,
    /// How the plan is printed
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<PlanFormat>,
    /// Exit with 5 when there are changes
    #[arg(long)]
    detailed_exitcode: bool,
}

/// What `--full` means.
pub(crate) fn freshness(full: bool) -> entrain_engine::Freshness {
    if full { entrain_engine::Freshness::Full } else { entrain_engine::Freshness::Incremental }
}

/// What every command is given.
pub(crate) struct Context<'a> {
    /// Settings.
    pub(crate) settings: Settings,
    /// Output.
    pub(crate) printer: &'a Printer,
    /// Terminal.
    pub(crate) terminal: Terminal,
    /// The environment, for `env:NAME` in documents.
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<std::ffi::OsString> + Sync),
    /// What is to be closed in the end.
    pub(crate) opened: &'a Opened,
}

impl Context<'_> {
    /// The environment in the form that documents take.
    pub(crate) fn environment(&self) -> Environment<'_> {
        self.environment
    }

    /// Progress as this terminal and this reader want it.
    pub(crate) fn progress(&self) -> ProgressBars {
        ProgressBars::new(match (self.printer.format(), self.terminal.err) {
            (_, true) if !self.terminal.plain => Shown::Bars,
            (Format::Text, _) => Shown::Lines,
            (Format::Json, _) => Shown::Not,
        })
    }
}

/// Runs a command to its exit code.
pub(crate) async fn run(
    cli: Cli,
    printer: &Printer,
    terminal: Terminal,
    environment: &(dyn Fn(&str) -> Option<std::ffi::OsString> + Sync),
) -> Result<Exit, Failure> {
    let opened = Opened::default();
    let cx = Context { settings: cli.settings, printer, terminal, environment, opened: &opened };
    let exit = dispatch(&cx, cli.command).await;
    drop(cx);
    opened.close().await;
    exit
}

async fn dispatch(cx: &Context<'_>, command: Command) -> Result<Exit, Failure> {
    let printer = cx.printer;
    match command {
        Command::Demo(args) => Box::pin(demo::run(cx, args)).await,
        Command::Check(args) => Box::pin(check::run(cx, args)).await,
        Command::Plan(args) => Box::pin(plan::run(cx, args)).await,
        Command::Apply(args) => Box::pin(apply::run(cx, args)).await,
        Command::Sync(args) => Box::pin(sync::run(cx, args)).await,
        Command::Attributes(args) => Box::pin(attributes::run(cx, args)).await,
        Command::Explain(args) => Box::pin(explain::run(cx, args)).await,
        Command::Report { command } => Box::pin(report::run(cx, command)).await,
        Command::Connection { command } => Box::pin(connection::run(cx, command)).await,
        Command::Runs { command } => runs::run(cx, command.unwrap_or_default()).await,
        Command::Serve(args) => Box::pin(serve::run(cx, args)).await,
        Command::Admin { command } => admin::run(cx, command).await,
        Command::Audit { command } => audit::run(cx, command.unwrap_or_default()).await,
        Command::Emulate(args) => emulate::run(cx, args).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "entrain", &mut text);
            printer.verbatim(&String::from_utf8_lossy(&text));
            Ok(Exit::Done)
        }
        Command::Man => {
            let mut text = Vec::new();
            // Writing into memory does not fail
            let _ = clap_mangen::Man::new(Cli::command()).render(&mut text);
            printer.verbatim(&String::from_utf8_lossy(&text));
            Ok(Exit::Done)
        }
        Command::Reference { page } => {
            printer.verbatim(&match page {
                ReferencePage::Configuration => reference::configuration(),
                ReferencePage::Errors => reference::errors(),
                ReferencePage::Commands => reference::commands(Cli::command()),
            });
            Ok(Exit::Done)
        }
    }
}

/// Help, version, or wrong usage. With `--json`, wrong usage is a failure like any other.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|a| a == "--json");
    if error.use_stderr() && json {
        let terminal = Terminal { out: false, err: false, plain: true };
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let failure =
            Failure::new(FailureCode::UsageInvalid, FailureClass::Local, message, "see `entrain --help`");
        Printer::new(crate::ui::Format::Json, terminal).failure(&failure);
    } else {
        // Nobody may be reading
        let _ = error.print();
    }
    if error.use_stderr() { ExitCode::from(u8::from(Exit::Usage)) } else { ExitCode::SUCCESS }
}

/// The machine gives no threads.
pub(crate) fn no_runtime(printer: &Printer, error: &std::io::Error) -> ExitCode {
    printer.failure(&Failure::new(
        FailureCode::Internal,
        FailureClass::Local,
        format!("the system refused to start worker threads ({error})"),
        "free memory or raise the limit of processes",
    ));
    ExitCode::from(u8::from(Exit::Failed))
}

/// A file that a command names and that cannot be used.
pub(crate) fn file_failure(what: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(
        FailureCode::UsageInvalid,
        FailureClass::Local,
        format!("{what} {} cannot be used: {error}", path.display()),
        "check the path and its permissions",
    )
    .of(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn failures_have_the_exit_codes_of_the_contract() {
        let exit = |code| Exit::of(&Failure::new(code, FailureClass::Local, "x", "y"));
        assert_eq!(exit(FailureCode::DocumentInvalid), Exit::Usage);
        assert_eq!(exit(FailureCode::SecretUnavailable), Exit::Usage);
        assert_eq!(exit(FailureCode::Stopped), Exit::Partial);
        for code in [
            FailureCode::PlanStale,
            FailureCode::PlanAltered,
            FailureCode::ConnectionUnknown,
            FailureCode::ConnectionBusy,
        ] {
            assert_eq!(exit(code), Exit::Failed, "{code}");
        }
    }
}
