//! `entrain admin rotate-key`.

use clap::Args;
use entrain_domain::Failure;
use serde_json::json;

use super::{Context, Exit};
use crate::ui::{Page, Tone};
use crate::wire;

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Only make the new key, beside the key file with `.next` behind its name, to be copied to the other machines first
    #[arg(long)]
    prepare: bool,
}

pub(super) async fn run(cx: &Context<'_>, args: &RotateArgs) -> Result<Exit, Failure> {
    let store = wire::open_store(cx).await?;
    if args.prepare {
        let prepared = store.prepare_key().await.map_err(|e| e.failure())?;
        cx.printer.result(&json!(prepared), || {
            let mut page = Page::new();
            page.line(format!("The next secret key waits in {}; nothing is sealed with it.", prepared.file.display()));
            page.line(
                "Copy it to the other machines, beside their key file under the same name with `.next` behind it and for \
                 its owner only. Then run `entrain admin rotate-key`.",
            );
            page
        });
        return Ok(Exit::Done);
    }
    let rotated = store.rotate_key(&wire::person(cx)).await.map_err(|e| e.failure())?;
    cx.printer.result(&json!(rotated), || {
        let mut page = Page::new();
        let secrets = match rotated.secrets {
            1 => "one secret is".to_owned(),
            count => format!("{count} secrets are"),
        };
        page.toned(Tone::Good, format!("{} holds a new key; {secrets} sealed with it.", rotated.key_file.display()));
        page.line(format!(
            "The old key is kept in {}: backups from before need it. Make a new backup, keep the new key in another place, \
             and delete the old one when no backup needs it any more.",
            rotated.retired_file.display()
        ));
        page.line("A machine with a key file of its own needs the new one in its place; its server needs no restart.");
        page
    });
    Ok(Exit::Done)
}
