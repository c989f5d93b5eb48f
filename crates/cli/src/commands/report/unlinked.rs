//! `entrain report unlinked`: accounts without a person, people without an account.

use entrain_domain::Failure;
use entrain_domain::reports::{InScope, UnlinkedKind, UnlinkedRow, unlinked};
use entrain_engine::reports::{Accounts, People as _};
use entrain_server::reports::Reported;

use super::{PeopleArgs, cell, print};
use crate::commands::{Context, Exit};
use crate::config::document::Scoped;
use crate::ui::{self, Page, Tone, table};
use crate::wire::reports::{self, ExportedAccounts};

/// Columns for spreadsheets.
const HEADER: [&str; 7] = ["kind", "account_id", "directory_id", "name", "email", "reason", "last_seen"];

pub(super) async fn run(cx: &Context<'_>, args: &PeopleArgs) -> Result<Exit, Failure> {
    let reporting = reports::open(cx, &args.report.target, args.sides()).await?;
    let rows = match &args.accounts {
        Some(file) => {
            let accounts = ExportedAccounts::read(file, &reporting.document)?;
            Box::pin(rows(&reporting, &accounts)).await?
        }
        None => Box::pin(rows(&reporting, &reporting.accounts()?)).await?,
    };
    print(
        cx,
        ("unlinked", &rows),
        args.report.format,
        || ui::csv(HEADER, rows.iter().map(row)),
        || page(reporting.document.name(), &rows, reporting.scoped),
    );
    Ok(Exit::Done)
}

/// Who has no counterpart on the other side.
pub(crate) async fn rows(
    reporting: &reports::Reporting,
    accounts: &impl Accounts,
) -> Result<Vec<UnlinkedRow>, Failure> {
    let memory = reporting.memory().await?;
    let accounts = accounts.accounts().await?;
    let roster = reporting.directory.people().await?;
    let rules = &reporting.document.meaning().rules;
    if reporting.scoped == Scoped::NotSaid {
        return Ok(unlinked(&roster, &accounts, &memory, None));
    }
    let read = reporting.directory.0.read(&rules.demand(), &[]).await.map_err(|e| e.failure())?;
    Ok(unlinked(&roster, &accounts, &memory, Some(InScope { directory: &read.snapshot, rules })))
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[UnlinkedRow]) -> Reported {
    super::reported("unlinked", rows, HEADER, row)
}

fn row(row: &UnlinkedRow) -> [String; 7] {
    [
        kind(row.kind).to_owned(),
        cell(row.account_id.as_ref().map(|v| v as _)),
        cell(row.directory_id.as_ref().map(|v| v as _)),
        row.name.to_string(),
        cell(row.email.as_ref().map(|v| v as _)),
        row.reason.clone(),
        cell(row.last_seen.as_ref().map(|v| v as _)),
    ]
}

fn kind(kind: UnlinkedKind) -> &'static str {
    match kind {
        UnlinkedKind::Account => "account",
        UnlinkedKind::Person => "person",
    }
}

fn page(connection: &str, rows: &[UnlinkedRow], scoped: Scoped) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Without a counterpart in “{connection}”"));
    if rows.is_empty() {
        page.line("Nobody: every active account has its person, and everybody in scope an account.");
    }
    for (of, title) in [
        (UnlinkedKind::Account, "Active accounts that belong to nobody in the directory"),
        (UnlinkedKind::Person, "People in scope without an account"),
    ] {
        let those: Vec<&UnlinkedRow> = rows.iter().filter(|row| row.kind == of).collect();
        if those.is_empty() {
            continue;
        }
        page.heading(format!("{title} ({})", those.len()));
        let lines = those.into_iter().map(|row| {
            let known = |text: String| if text.is_empty() { "–".to_owned() } else { text };
            vec![
                row.name.to_string(),
                known(cell(row.email.as_ref().map(|v| v as _))),
                row.reason.clone(),
                known(cell(row.last_seen.as_ref().map(|v| v as _))),
            ]
        });
        page.append(table(&["name", "email", "why", "last seen"], lines));
    }
    if scoped == Scoped::NotSaid {
        page.gap();
        page.toned(Tone::Faint, "The document has no [scope]: who should have an account is not known.");
    }
    page
}
