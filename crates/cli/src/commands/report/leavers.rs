//! `entrain report leavers`: who has left and is still active on the site.

use entrain_domain::Failure;
use entrain_domain::reports::{InDirectory, LeaverRow};
use entrain_engine::reports::report_leavers;
use entrain_server::reports::Reported;

use super::{PeopleArgs, cell, print};
use crate::commands::{Context, Exit};
use crate::ui::{self, Page, Tone, table};
use crate::wire::reports::{self, ExportedAccounts};

/// Columns for spreadsheets.
const HEADER: [&str; 10] = [
    "account_id",
    "name",
    "email",
    "directory",
    "reason",
    "directory_id",
    "last_seen",
    "products",
    "groups",
    "role",
];

pub(super) async fn run(cx: &Context<'_>, args: &PeopleArgs) -> Result<Exit, Failure> {
    let reporting = reports::open(cx, &args.report.target, args.sides()).await?;
    let memory = reporting.memory().await?;
    let rows = match &args.accounts {
        Some(file) => {
            let accounts = ExportedAccounts::read(file, &reporting.document)?;
            report_leavers(&reporting.directory, &accounts, &memory).await?
        }
        None => report_leavers(&reporting.directory, &reporting.accounts()?, &memory).await?,
    };
    print(
        cx,
        ("leavers", &rows),
        args.report.format,
        || ui::csv(HEADER, rows.iter().map(row)),
        || page(reporting.document.name(), &rows),
    );
    Ok(Exit::Done)
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[LeaverRow]) -> Reported {
    super::reported("leavers", rows, HEADER, row)
}

fn row(row: &LeaverRow) -> [String; 10] {
    [
        row.account_id.to_string(),
        row.name.to_string(),
        cell(row.email.as_ref().map(|v| v as _)),
        row.directory.as_str().to_owned(),
        row.reason.clone(),
        cell(row.directory_id.as_ref().map(|v| v as _)),
        cell(row.last_seen.as_ref().map(|v| v as _)),
        row.products.clone(),
        row.groups.clone(),
        cell(row.role.as_ref().map(|v| v as _)),
    ]
}

fn page(connection: &str, rows: &[LeaverRow]) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Leavers of “{connection}” who are still active on the site"));
    if rows.is_empty() {
        page.line("None: every active account that shows its address is an enabled person's.");
        return page;
    }
    for (standing, title) in [
        (InDirectory::Disabled, "Disabled in the directory"),
        (InDirectory::Deleted, "Deleted from the directory"),
        (InDirectory::Nobody, "Nobody in the directory has this address"),
    ] {
        let of: Vec<&LeaverRow> = rows.iter().filter(|row| row.directory == standing).collect();
        if of.is_empty() {
            continue;
        }
        page.heading(format!("{title} ({})", ui::count(of.len(), "account", "accounts")));
        let lines = of.into_iter().map(|row| {
            let known = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
            vec![
                row.name.to_string(),
                known(&cell(row.email.as_ref().map(|v| v as _))),
                known(&cell(row.last_seen.as_ref().map(|v| v as _))),
                known(&row.products),
                known(&row.groups),
            ]
        });
        page.append(table(&["name", "email", "last seen", "products", "groups"], lines));
    }
    page.gap();
    page.toned(Tone::Faint, "Accounts that hide their address are in `entrain report unlinked`.");
    page
}
