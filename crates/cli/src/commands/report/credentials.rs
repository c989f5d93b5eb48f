//! `entrain report credentials`: which credentials end, and when.

use entrain_domain::Failure;
use entrain_domain::reports::{CredentialRow, CredentialState, credentials};
use entrain_engine::check::{Check, Verdict};
use entrain_engine::ports::Clock as _;
use entrain_server::reports::Reported;

use super::{ReportArgs, cell, instant, print};
use crate::commands::{Context, Exit};
use crate::config::Document;
use crate::ui::{self, Page, Tone};
use crate::wire::{SystemClock, reports};

/// Columns for spreadsheets.
const HEADER: [&str; 7] = ["credential", "key", "state", "expires", "days_left", "source", "remedy"];

pub(super) async fn run(cx: &Context<'_>, args: &ReportArgs) -> Result<Exit, Failure> {
    let (document, ..) = reports::choose(cx, &args.target, reports::Sides::Both).await?;
    let rows = credentials(&reports::credentials(&document)?, SystemClock.now());
    print(
        cx,
        ("credentials", &rows),
        args.format,
        || ui::csv(HEADER, rows.iter().map(row)),
        || page(document.name(), &rows),
    );
    Ok(Exit::Done)
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[CredentialRow]) -> Reported {
    super::reported("credentials", rows, HEADER, row)
}

fn row(row: &CredentialRow) -> [String; 7] {
    [
        row.credential.to_owned(),
        row.key.to_owned(),
        row.state.as_str().to_owned(),
        instant(row.expires),
        cell(row.days_left.as_ref().map(|v| v as _)),
        row.source.to_owned(),
        row.remedy.to_owned(),
    ]
}

/// Credentials that end soon, or have ended, as findings of `entrain check`. That nobody knows when one ends is none.
pub(crate) fn checks(document: &Document) -> Result<Vec<Check>, Failure> {
    let rows = credentials(&reports::credentials(document)?, SystemClock.now());
    let ends = rows.into_iter().filter_map(|row| {
        let verdict = match row.state {
            CredentialState::Expired | CredentialState::Soon => Verdict::Warning,
            CredentialState::Good if row.days_left.is_some() => Verdict::Good,
            CredentialState::Good | CredentialState::Unknown => return None,
        };
        let remedy = (!row.remedy.is_empty()).then(|| row.remedy.to_owned());
        Some(Check { what: row.credential.to_owned(), verdict, detail: told(&row), remedy })
    });
    Ok(ends.collect())
}

/// One line about a credential.
fn told(row: &CredentialRow) -> String {
    let day = row.expires.map(|at| at.strftime("%F").to_string()).unwrap_or_default();
    match (row.state, row.days_left) {
        (CredentialState::Expired, _) => format!("ended on {day}"),
        (CredentialState::Soon, Some(days)) => {
            format!("ends on {day}, in {days} {}", if days == 1 { "day" } else { "days" })
        }
        (CredentialState::Unknown, _) => "the document does not say when it ends".into(),
        (_, Some(_)) => format!("good until {day}"),
        (_, None) => "does not end".into(),
    }
}

fn page(connection: &str, rows: &[CredentialRow]) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Credentials of “{connection}”"));
    for row in rows {
        let (tone, sign) = match row.state {
            CredentialState::Expired => (Tone::Bad, "  over  "),
            CredentialState::Soon => (Tone::Warn, "  soon  "),
            CredentialState::Unknown => (Tone::Warn, "  ?     "),
            CredentialState::Good => (Tone::Good, "  ok    "),
        };
        page.parts(&[(tone, sign), (Tone::Normal, &format!("{}: {}", row.credential, told(row)))]);
        if !row.remedy.is_empty() {
            page.paragraph(Tone::Faint, "        ", format!("what to do: {}", row.remedy));
        }
    }
    page
}
