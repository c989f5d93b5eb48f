//! `entrain report seats`: seats of each product.

use entrain_domain::Failure;
use entrain_domain::reports::{SeatRow, seats};
use entrain_engine::error::EngineError;

use super::{ReportArgs, cell, print};
use crate::commands::{Context, Exit};
use crate::ui::{self, Page, Tone, table};
use crate::wire::reports::{self, Sides};

pub(super) async fn run(cx: &Context<'_>, args: &ReportArgs) -> Result<Exit, Failure> {
    let reporting = reports::open(cx, &args.target, Sides::Both).await?;
    let jira = reporting.site.as_ref().ok_or(EngineError::RightMissing("a connection to the site"))?;
    let mut standing = jira.standing().await.map_err(|e| e.failure())?;
    standing.products.extend(reporting.confluence().await?);
    let groups = jira.groups().await.map_err(|e| e.failure())?;
    let waiting = reporting.last_report().await?.map(|report| report.waiting).unwrap_or_default();
    let rules = &reporting.document.meaning().rules.seats;
    let rows = seats(&standing.products, &groups, rules, &waiting);
    let header = [
        "product", "name", "used", "limit", "left", "budget", "reserve", "open", "waiting", "line", "groups",
    ];
    print(
        cx,
        ("seats", &rows),
        args.format,
        || ui::csv(header, rows.iter().map(row)),
        || page(reporting.document.name(), &rows),
    );
    Ok(Exit::Done)
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
