//! `entrain report ladder`: everybody who has left, how far they are on the ladder, and what comes next. Asks neither
//! cloud; it says what is remembered.

use entrain_domain::Failure;
use entrain_domain::plan::LadderRow;
use entrain_server::reports::Reported;

use super::{ReportArgs, print};
use crate::commands::{Context, Exit};
use crate::ui::{self, Page, Tone};
use crate::wire;

/// Columns for spreadsheets.
const HEADER: [&str; 10] =
    ["name", "trigger", "since", "reached", "next", "due", "groups", "account_id", "directory_id", "note"];

pub(super) async fn run(cx: &Context<'_>, args: &ReportArgs) -> Result<Exit, Failure> {
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let rows = connected.engine.ladder().await?;
    print(
        cx,
        ("ladder", &rows),
        args.format,
        || ui::csv(HEADER, rows.iter().map(row)),
        || page(&connected.name, &rows),
    );
    Ok(Exit::Done)
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[LadderRow]) -> Reported {
    super::reported("ladder", rows, HEADER, row)
}

fn row(row: &LadderRow) -> [String; 10] {
    [
        row.name.to_string(),
        row.trigger.as_str().to_owned(),
        row.since.to_string(),
        row.reached.to_owned(),
        row.next.map(|measure| measure.to_string()).unwrap_or_default(),
        row.due.map(|at| at.to_string()).unwrap_or_default(),
        row.groups.join("; "),
        row.site_id.to_string(),
        row.directory_id.to_string(),
        row.note.to_owned(),
    ]
}

fn page(connection: &str, rows: &[LadderRow]) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Leaver ladder of “{connection}”"));
    if rows.is_empty() {
        page.line("Nobody is on it.");
        return page;
    }
    page.line(format!(
        "{} on it, whoever is due first in front.",
        ui::count(rows.len(), "person is", "people are")
    ));
    page.gap();
    for row in rows {
        let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        page.parts(&[
            (Tone::Warn, "  ~ "),
            (Tone::Strong, &row.name),
            (Tone::Normal, &format!(" {} since {}", row.trigger.in_words(), day(row.since))),
        ]);
        let done = match row.reached {
            "groups" => "out of the managed groups",
            "suspend" => "suspended",
            "deactivate" => "deactivated",
            _ => "off the site",
        };
        let next = match (row.next, row.due) {
            (Some(measure), Some(at)) => format!("; next: {measure} on {}", day(at)),
            _ if row.note.is_empty() => String::new(),
            _ => format!("; {}", row.note),
        };
        page.paragraph(Tone::Normal, "      ", format!("{done}{next}"));
        if !row.groups.is_empty() {
            page.paragraph(Tone::Faint, "      ", format!("was in {}", row.groups.join(", ")));
        }
    }
    page
}
