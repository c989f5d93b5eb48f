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
    let standing = jira.standing().await.map_err(|e| e.failure())?;
    let groups = jira.groups().await.map_err(|e| e.failure())?;
    let rows = seats(&standing.products, &groups);
    let header = ["product", "name", "used", "limit", "left", "groups"];
    print(
        cx,
        ("seats", &rows),
        args.format,
        || ui::csv(header, rows.iter().map(row)),
        || page(reporting.document.name(), &rows),
    );
    Ok(Exit::Done)
}

fn row(row: &SeatRow) -> [String; 6] {
    [
        row.product.to_string(),
        row.name.to_string(),
        row.used.to_string(),
        cell(row.limit.as_ref().map(|v| v as _)),
        cell(row.left.as_ref().map(|v| v as _)),
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
        let number = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
        let name = format!("{} ({})", row.name, row.product);
        vec![name, row.used.to_string(), number(row.limit), number(row.left), row.groups.clone()]
    });
    page.append(table(&["product", "taken", "in all", "left", "granted by"], lines));
    page
}
