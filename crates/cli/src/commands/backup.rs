//! `entrain admin backup` and `entrain admin restore`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_store::{Occupied, SealedSecrets};
use serde_json::json;

use super::{Context, Exit};
use crate::ui::{Page, Tone};
use crate::wire;

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// File to make, readable by its owner only; it must not exist yet
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A file that `entrain admin backup` made
    file: PathBuf,
    /// Give up what the database holds; asks first
    #[arg(long)]
    replace: bool,
    /// Do not ask
    #[arg(long, requires = "replace")]
    yes: bool,
    /// Leave the sealed secrets out, because their key is lost; they are to be stored again for each connection
    #[arg(long)]
    without_secrets: bool,
}

pub(super) async fn backup(cx: &Context<'_>, args: &BackupArgs) -> Result<Exit, Failure> {
    let store = wire::open_store(cx).await?;
    let made = store.backup(&args.file, &wire::person(cx)).await.map_err(|e| e.failure())?;
    let key =
        cx.settings.secret_key_file.clone().unwrap_or_else(|| cx.settings.data_dir().join("secret.key"));
    let mut result = json!(made);
    result["file"] = json!(args.file);
    cx.printer.result(&result, || {
        let mut page = Page::new();
        page.toned(Tone::Good, format!("Wrote {} rows to {}.", made.rows, args.file.display()));
        page.line(format!(
            "The secrets in it are sealed, and their key is not in it. Keep {} as well, in another place: \
             without it the secrets of each connection have to be stored again.",
            key.display()
        ));
        page
    });
    Ok(Exit::Done)
}

pub(super) async fn restore(cx: &Context<'_>, args: &RestoreArgs) -> Result<Exit, Failure> {
    if args.replace && !args.yes {
        confirm()?;
    }
    let occupied = if args.replace { Occupied::Replace } else { Occupied::Refuse };
    let secrets = if args.without_secrets { SealedSecrets::LeaveOut } else { SealedSecrets::Keep };
    let store = wire::open_store(cx).await?;
    let found =
        store.restore(&args.file, occupied, secrets, &wire::person(cx)).await.map_err(|e| e.failure())?;
    let mut result = json!(found);
    result["file"] = json!(args.file);
    cx.printer.result(&result, || {
        let mut page = Page::new();
        page.toned(
            Tone::Good,
            format!("Restored {} rows, as they were at {}.", found.rows, found.made_at.strftime("%F %T UTC")),
        );
        page.line(
            "API keys and accounts are those of that moment: revoke again what was revoked since. \
             Run `entrain plan --full` before the next sync.",
        );
        page
    });
    Ok(Exit::Done)
}

/// Asks the person at the terminal.
fn confirm() -> Result<(), Failure> {
    let refused = |what: &str, remedy: &str| {
        Err(Failure::new(FailureCode::UsageInvalid, FailureClass::Local, what, remedy))
    };
    if !std::io::stdin().is_terminal() {
        return refused(
            "--replace gives up what the database holds, and nobody is there to ask",
            "add --yes",
        );
    }
    // Without a terminal to write to there is nobody to answer
    let question = "This gives up everything that the database holds. Type \"replace\" to go on: ";
    let _ = std::io::stderr().write_all(question.as_bytes());
    let mut answer = String::new();
    if std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "replace" {
        return Ok(());
    }
    refused("it was not confirmed; nothing was changed", "type the word \"replace\" to go on")
}
