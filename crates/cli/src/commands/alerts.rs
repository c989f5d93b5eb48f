//! `entrain admin alerts`: what people are told of, who has taken it on, and whether channels work.

use clap::Subcommand;
use entrain_domain::Failure;
use serde_json::{Value, json};

use super::{Context, Exit};
use crate::ui::{Page, Tone, table};
use crate::wire;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Lists alerts that are open
    List {
        /// Connection; all when left out
        name: Option<String>,
        /// Also those that are over
        #[arg(long)]
        all: bool,
    },
    /// Takes an alert on: it is not repeated any more, unless it gets worse or comes back
    Ack {
        /// Id, as `list` and every message show it
        id: String,
        /// What is being done about it
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Sends a message that is marked as a test over each channel, and says what became of it
    Test {
        /// Connection; may be left out when there is exactly one
        name: Option<String>,
        /// Only over this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// Address under which people reach the service, for the link in the message
        #[arg(long, value_name = "URL", env = "ENTRAIN_PUBLIC_URL", hide_env_values = true)]
        public_url: Option<url::Url>,
    },
}

pub(super) async fn run(cx: &Context<'_>, command: Option<AlertsCommand>) -> Result<Exit, Failure> {
    let store = wire::open_store(cx).await?;
    match command.unwrap_or(AlertsCommand::List { name: None, all: false }) {
        AlertsCommand::List { name, all } => {
            let mut alerts = wire::alerts::list(&store, name.as_deref()).await?;
            alerts.retain(|alert| all || alert["state"] != "over");
            cx.printer.result(&json!(alerts), || {
                if alerts.is_empty() {
                    let mut page = Page::new();
                    page.line("Nothing needs anybody.");
                    return page;
                }
                let header = ["id", "connection", "what", "severity", "state", "since", "in words"];
                table(&header, alerts.iter().map(row))
            });
        }
        AlertsCommand::Ack { id, note } => {
            let alert = wire::alerts::acknowledged(&store, &id, &wire::person(cx), note.trim()).await?;
            cx.printer.result(&alert, || {
                let mut page = Page::new();
                page.line(format!("Taken on: {}.", word(&alert, "sentence")));
                page
            });
        }
        AlertsCommand::Test { name, channel, public_url } => {
            let name = match name {
                Some(name) => name,
                None => wire::only_connection(&store).await?,
            };
            let public_url = public_url.map(|url| url.as_str().trim_end_matches('/').to_owned());
            let tried = wire::alerts::test(
                &store,
                (&name, channel.as_deref()),
                &wire::person(cx),
                cx.environment,
                public_url.as_deref(),
            )
            .await?;
            let json = json!({ "connection": name, "channels": tried });
            cx.printer.result(&json, || tested(&name, &tried));
            let failed = tried.iter().any(|row| row["outcome"] != "sent");
            return Ok(if failed { Exit::Failed } else { Exit::Done });
        }
    }
    Ok(Exit::Done)
}

fn word(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn row(alert: &Value) -> Vec<String> {
    let since: String = word(alert, "since").chars().take(16).collect();
    let mut cells: Vec<String> =
        ["id", "connection", "kind", "severity", "state"].iter().map(|key| word(alert, key)).collect();
    cells.push(since.replace('T', " "));
    cells.push(word(alert, "sentence"));
    cells
}

fn tested(connection: &str, tried: &[Value]) -> Page {
    let mut page = Page::new();
    if tried.is_empty() {
        page.line(format!(
            "“{connection}” has no channel: add a section [notify.channels.NAME] to its document."
        ));
    }
    for row in tried {
        let named = format!("{} ({})", word(row, "channel"), word(row, "kind"));
        match row["error"].as_str() {
            None => page.parts(&[(Tone::Good, "  sent    "), (Tone::Normal, &named)]),
            Some(why) => page.parts(&[(Tone::Bad, "  failed  "), (Tone::Normal, &format!("{named}: {why}"))]),
        };
    }
    page
}
