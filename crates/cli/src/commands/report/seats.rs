//! `entrain report seats`: seats of each product.

use entrain_domain::Failure;
use entrain_domain::reports::{SeatRow, seats};
use entrain_engine::error::EngineError;
use entrain_server::reports::Reported;

use super::{ReportArgs, cell, print};
use crate::commands::{Context, Exit};
use crate::ui::{self, Page, Tone, table};
use crate::wire::reports::{self, Sides};

/// Columns for spreadsheets.
const HEADER: [&str; 11] =
    ["product", "name", "used", "limit", "left", "budget", "reserve", "open", "waiting", "line", "groups"];

pub(super) async fn run(cx: &Context<'_>, args: &ReportArgs) -> Result<Exit, Failure> {
    let reporting = reports::open(cx, &args.target, Sides::Both).await?;
    let rows = rows(&reporting).await?;
    print(
        cx,
        ("seats", &rows),
        args.format,
        || ui::csv(HEADER, rows.iter().map(row)),
        || page(reporting.document.name(), &rows),
    );
    Ok(Exit::Done)
}

/// Seats of each product as the site tells them, and who waited for one when the last run ended.
pub(crate) async fn rows(reporting: &reports::Reporting) -> Result<Vec<SeatRow>, Failure> {
    let jira = reporting.site.as_ref().ok_or(EngineError::RightMissing("a connection to the site"))?;
    let mut standing = jira.standing().await.map_err(|e| e.failure())?;
    standing.products.extend(reporting.confluence().await?);
    let groups = jira.groups().await.map_err(|e| e.failure())?;
    let waiting = reporting.last_report().await?.map(|report| report.waiting).unwrap_or_default();
    let rules = &reporting.document.meaning().rules.seats;
    Ok(seats(&standing.products, &groups, rules, &waiting))
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[SeatRow]) -> Reported {
    super::reported("seats", rows, HEADER, row)
}

fn row(row: &SeatRow) -> [String; 11] {
    let number = |n: &Option<u64>| cell(n.as_ref().map(|v| v as _));
    [
        row.product.to_string(),
        row.name.to_string(),
        number(&row.used),
        number(&row.limit),
        number(&row.left),
        number(&row.budget),
        row.reserve.to_string(),
        number(&row.open),
        row.waiting.to_string(),
        row.line.clone(),
        row.groups.clone(),
    ]
}

fn page(connection: &str, rows: &[SeatRow]) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Seats of “{connection}”"));
    if rows.is_empty() {
        page.line("The site shows no product with seats; reading them takes the right Administer Jira.");
        return page;
    }
    let lines = rows.iter().map(|row| {
        let number = |n: Option<u64>, none: &str| n.map_or_else(|| none.to_owned(), |n| n.to_string());
        let none = if row.used.is_some() { "unlimited" } else { "not known" };
        let name = format!("{} ({})", row.name, row.product);
        vec![
            name,
            number(row.used, "not known"),
            number(row.limit, none),
            number(row.left, none),
            number(row.open, none),
            row.waiting.to_string(),
            row.groups.clone(),
        ]
    });
    page.append(table(
        &["product", "taken", "in all", "left", "may be given", "in line", "granted by"],
        lines,
    ));
    for row in rows.iter().filter(|row| row.waiting > 0) {
        page.heading(format!("In line for a seat of {} when the last run ended", row.name));
        for (at, one) in row.line.split("; ").enumerate() {
            page.line(format!("  {}. {one}", at + 1));
        }
    }
    page
}
