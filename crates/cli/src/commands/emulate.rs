//! `entrain emulate`: the emulator alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_emulator::{Emulator, Options, WorldSource};

use super::{Context, Exit};
use crate::wire;

#[derive(Debug, Args)]
pub(crate) struct EmulateArgs {
    /// People of the generated company
    #[arg(long, value_name = "N", default_value_t = 100)]
    people: usize,
    /// Groups of the generated company
    #[arg(long, value_name = "N", default_value_t = 10)]
    groups: usize,
    /// Seed: the same one makes the same company and the same chances
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// A company from a file (JSON or TOML) instead
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Faults to play, from a file (JSON or TOML)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Address of the first of its servers; port 0 takes free ports
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(super) async fn run(cx: &Context<'_>, args: EmulateArgs) -> Result<Exit, Failure> {
    let emulator = start(Options {
        people: args.people,
        groups: args.groups,
        seed: args.seed,
        world: args.world.map_or(WorldSource::Generated, WorldSource::File),
        faults_file: args.faults,
        listen: args.listen,
        ..Options::default()
    })
    .await?;
    let mut told_to_end = std::pin::pin!(wire::told_to_end());
    // Listens for signals before it says that it is ready: whoever waits for the line may end it at once.
    tokio::select! {
        biased;
        () = &mut told_to_end => {}
        () = std::future::ready(()) => {
            cx.printer.json_line(emulator.description());
            told_to_end.await;
        }
    }
    emulator.stop().await;
    Ok(Exit::Done)
}

/// Starts an emulator, or says in the words of the command line why not.
pub(super) async fn start(options: Options) -> Result<Emulator, Failure> {
    entrain_emulator::start(options).await.map_err(|error| {
        let code = match error {
            entrain_emulator::Error::Listen { .. } => FailureCode::Internal,
            _ => FailureCode::UsageInvalid,
        };
        let remedy = match error {
            entrain_emulator::Error::Listen { .. } => "give a free address with --listen, or port 0",
            _ => "mend the file; docs/emulator.md describes it",
        };
        Failure::new(code, FailureClass::Local, error.to_string(), remedy)
    })
}
