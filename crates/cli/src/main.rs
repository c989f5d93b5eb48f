//! `entrain`: keeps users and groups of a Jira Cloud site in step with Microsoft Entra ID. The only place where
//! everything meets: commands, wiring, printer.

mod commands;
mod config;
mod telemetry;
mod ui;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;

use commands::{Cli, Exit};
use ui::{Format, Printer, Terminal};

fn main() -> ExitCode {
    // Before the first TLS connection; a second call would only find the same provider there
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let environment = |name: &str| std::env::var_os(name);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return commands::usage(&usage),
    };
    let terminal = Terminal::of_process(&environment);
    let printer = Printer::new(if cli.json() { Format::Json } else { Format::Text }, terminal);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return commands::no_runtime(&printer, &error),
    };
    let logs = (cli.settings.log_format, cli.settings.log.as_deref());
    let telemetry = telemetry::Telemetry::start(logs, terminal, &environment, runtime.handle());
    let exit = runtime.block_on(commands::run(cli, &printer, terminal, &environment));
    telemetry.end();
    // A blocking read of a file that hangs is no reason to stay
    runtime.shutdown_background();
    let exit = exit.unwrap_or_else(|failure| {
        printer.failure(&failure);
        Exit::of(&failure)
    });
    ExitCode::from(u8::from(exit))
}
