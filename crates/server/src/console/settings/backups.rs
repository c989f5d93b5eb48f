//! Backups: everything in the database as one file, and the way back.

use askama::Template;

use super::super::parts::When;
use super::super::shell::Shell;
use super::super::visit::{Reply, Visit};
use super::{Result, Tab, tabs};
use crate::download;
use crate::upkeep::MadeBackup;

const HERE: &str = "/settings/backups";

struct Last {
    at: When,
    by: String,
    to: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "settings_backups.html")]
struct BackupsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    last: Option<Last>,
    /// What the file of today would be called.
    file: String,
}

fn file(visit: &Visit) -> String {
    format!("entrain-{}.backup", visit.console.service.now().strftime("%Y-%m-%d"))
}

pub(in super::super) async fn page(visit: Visit) -> Result {
    let service = &visit.console.service;
    let now = service.now();
    let last = service.last_backup().await?;
    let last = last.map(|MadeBackup { at, by, to, detail }| Last { at: When::new(at, now), by, to, detail });
    let headline = match &last {
        Some(last) => format!("The last backup was made {}", last.at.words()),
        None => "No backup was made yet".to_owned(),
    };
    Reply::page(&BackupsPage {
        shell: visit.shell("Backups").await?,
        tabs: tabs(&visit, HERE)?,
        headline,
        last,
        file: file(&visit),
    })
}

pub(in super::super) async fn make(visit: Visit) -> Result {
    let by = visit.name()?;
    download::backup(visit.console.service.as_ref(), &by, &file(&visit)).await.map(Reply::raw)
}
