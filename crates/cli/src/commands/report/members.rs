//! `entrain report members`: who was in a managed group at a moment, from the history that runs write.

use clap::Args;
use entrain_domain::memory::{GroupLink, Memory};
use entrain_domain::model::group_name_key;
use entrain_domain::reports::{MemberRow, members_at};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::Clock as _;
use entrain_server::reports::Reported;
use entrain_store::Store;
use jiff::Timestamp;

use super::{ReportArgs, cell, instant, print};
use crate::commands::{Context, Exit};
use crate::ui::{self, Page, Tone, table};
use crate::wire::{SystemClock, reports};

#[derive(Debug, Args)]
pub(crate) struct MembersArgs {
    #[command(flatten)]
    pub(super) report: ReportArgs,
    /// Managed group: id on either side, or name
    #[arg(long, value_name = "WHICH")]
    group: String,
    /// Moment: a day (its end in UTC, such as 2026-11-01) or an instant (2026-11-01T08:00:00Z); now if left out
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    at: Option<Timestamp>,
}

/// A day means its last millisecond.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day = text.parse::<jiff::civil::Date>().ok();
    let end = day.and_then(|day| day.at(23, 59, 59, 999_000_000).to_zoned(jiff::tz::TimeZone::UTC).ok());
    end.map(|end| end.timestamp())
        .ok_or_else(|| "write a day as 2026-11-01, or an instant as 2026-11-01T08:00:00Z".to_owned())
}

/// Columns for spreadsheets.
const HEADER: [&str; 10] =
    ["group", "group_id", "account_id", "name", "email", "since", "until", "how", "path", "run"];

pub(super) async fn run(cx: &Context<'_>, args: &MembersArgs) -> Result<Exit, Failure> {
    let (document, _, _, store) = reports::choose(cx, &args.report.target, reports::Sides::Both).await?;
    let at = args.at.unwrap_or_else(|| SystemClock.now());
    let (group, rows) = rows(&store, document.name(), &args.group, at).await?;
    print(
        cx,
        ("members", &rows),
        args.report.format,
        || ui::csv(HEADER, rows.iter().map(row)),
        || page(&group, at, &rows),
    );
    Ok(Exit::Done)
}

/// The group that is meant, by name, and who was in it at a moment.
pub(crate) async fn rows(
    store: &Store,
    connection: &str,
    group: &str,
    at: Timestamp,
) -> Result<(String, Vec<MemberRow>), Failure> {
    let memory = store.memory(connection).await.map_err(|e| e.failure())?;
    let link = find(&memory, group)?;
    let history = store.past_memberships(connection, &link.group).await.map_err(|e| e.failure())?;
    let site = store.site_mirror(connection).await.map_err(|e| e.failure())?;
    let accounts = site.map(|site| site.accounts).unwrap_or_default();
    Ok((link.name.to_string(), members_at(link, &history, &memory, &accounts, at)))
}

fn find<'a>(memory: &'a Memory, which: &str) -> Result<&'a GroupLink, Failure> {
    let key = group_name_key(which);
    let named = |link: &&GroupLink| {
        link.group.as_str() == which
            || memory.group_of(&link.group).is_some_and(|id| id.as_str() == which)
            || group_name_key(&link.name) == key
    };
    let found: Vec<&GroupLink> = memory.groups().filter(named).collect();
    let unknown = |message: String, remedy: &str| {
        Err(Failure::new(FailureCode::ObjectUnknown, FailureClass::Local, message, remedy).of(which))
    };
    match found.as_slice() {
        [one] => Ok(one),
        [] => unknown(
            format!("no managed group is, or was, called “{which}”"),
            "name the group by its id or exact name; only groups that Entrain manages have a history",
        ),
        _ => unknown(format!("several groups are called “{which}”"), "name one of them by its id"),
    }
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[MemberRow]) -> Reported {
    super::reported("members", rows, HEADER, row)
}

fn row(row: &MemberRow) -> [String; 10] {
    [
        row.group.to_string(),
        row.group_id.to_string(),
        row.account_id.to_string(),
        cell(row.name.as_ref().map(|v| v as _)),
        cell(row.email.as_ref().map(|v| v as _)),
        instant(row.since),
        instant(row.until),
        row.how.to_owned(),
        cell(row.path.as_ref().map(|v| v as _)),
        cell(row.run.as_ref().map(|v| v as _)),
    ]
}

fn page(group: &str, at: Timestamp, rows: &[MemberRow]) -> Page {
    let mut page = Page::new();
    let at = at.strftime("%F %T UTC");
    page.toned(Tone::Strong, format!("Members of “{group}” at {at} ({})", rows.len()));
    if rows.is_empty() {
        page.line("Nobody, as far as Entrain granted or found memberships.");
        return page;
    }
    let lines = rows.iter().map(|row| {
        let known = |text: String| if text.is_empty() { "–".to_owned() } else { text };
        let since = if row.since.is_none() { "before records".to_owned() } else { instant(row.since) };
        vec![
            known(cell(row.name.as_ref().map(|v| v as _))),
            known(cell(row.email.as_ref().map(|v| v as _))),
            row.how.to_owned(),
            known(cell(row.path.as_ref().map(|v| v as _))),
            since,
            known(instant(row.until)),
        ]
    });
    page.append(table(&["name", "email", "how", "through", "since (utc)", "until (utc)"], lines));
    page.gap();
    page.toned(
        Tone::Faint,
        "What people did by hand in the group is not recorded; `entrain report drift` shows it.",
    );
    page
}
