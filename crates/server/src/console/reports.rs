//! Reports: what each is for, its rows, and the same as a file for spreadsheets; and the audit log as a file.

use std::ops::Range;

use askama::Template;
use entrain_domain::FailureCode;
use entrain_domain::service::slug;
use jiff::Timestamp;

use super::parts::{When, icon, number};
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::download::{csv, export};
use crate::problem::Problem;
use crate::reports::{Asks, ExportForm, Report, Reported, moment};

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Rows of a page.
const PAGE: usize = 100;

/// What a report is, for people.
struct About {
    name: &'static str,
    title: &'static str,
    /// What it says.
    what: &'static str,
    /// What to do with it.
    then: &'static str,
}

const ABOUT: [About; 7] = [
    About {
        name: "leavers",
        title: "Leavers who are still active",
        what: "Accounts that are active on the site while their person is disabled in Entra ID, deleted there, or unknown.",
        then: "Put the people in scope, or take the accounts off the site: each holds a seat.",
    },
    About {
        name: "unlinked",
        title: "Without a counterpart",
        what: "Active accounts that belong to nobody in Entra ID, and people in scope who have no account.",
        then: "Compare addresses: most of them are somebody who is written differently on the two sides.",
    },
    About {
        name: "drift",
        title: "Changed by hand",
        what: "What people did in Jira to groups that Entrain manages, and what becomes of it.",
        then: "Make the change in Entra ID, or give the group another mode.",
    },
    About {
        name: "seats",
        title: "Seats",
        what: "For each product: seats taken, in all and left, what the rules keep back, and who waits for one.",
        then: "Order seats before the line grows.",
    },
    About {
        name: "ladder",
        title: "On the way out",
        what: "Everybody who has left: since when, what was done, what comes next and when.",
        then: "Whoever should stay comes back by being enabled, or by being in scope again.",
    },
    About {
        name: "credentials",
        title: "Credentials",
        what: "When the secrets, certificates and tokens of the connection end, as far as that is known.",
        then: "Renew one two weeks before it ends; no restart is needed.",
    },
    About {
        name: "members",
        title: "Who was in a group",
        what: "The members of a managed group at any moment, and through which groups of Entra ID they came to it.",
        then: "For auditors: the way of every membership that Entrain granted or found.",
    },
];

fn about(name: &str) -> Result<&'static About> {
    ABOUT.iter().find(|about| about.name == name).ok_or_else(|| {
        let what = "there is no report of that name";
        Problem::local(FailureCode::ObjectUnknown, what, "choose one of those that there are")
    })
}

#[derive(Template)]
#[template(path = "reports.html")]
struct ReportsPage {
    shell: Shell,
    slug: String,
    reports: Vec<(&'static About, bool)>,
}

pub(super) async fn list(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let asks = |about: &About| {
        Report::named(about.name, Some(""), None).is_some_and(|report| report.asks() == Asks::Clouds)
    };
    Reply::page(&ReportsPage {
        shell: visit.shell_of(&connection.name, "Reports").await?,
        slug: encoded(&slug(&connection.name)),
        reports: ABOUT.iter().map(|about| (about, asks(about))).collect(),
    })
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    shell: Shell,
    slug: String,
    about: &'static About,
    /// Whether both sides were read for it.
    read: bool,
    table: Shaped,
    total: u64,
    from: usize,
    /// What was asked for, as the end of an address.
    asked: String,
    group: String,
    at: String,
    /// Whether there is something to show: a report of members needs its group first.
    made: bool,
    before: Option<usize>,
    after: Option<usize>,
}

/// One cell, as people read it.
enum Cell {
    Text(String),
    At(When),
    Link(String, String),
}

/// A table as people read it: without the ids, which stand in the table for spreadsheets; people and runs lead to their
/// pages, and instants are told as distances.
#[derive(Default)]
struct Shaped {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// A part of all rows. A column of which no row says anything is left out.
fn shaped(
    header: &[&'static str],
    all: &[Vec<String>],
    part: Range<usize>,
    slug: &str,
    now: Timestamp,
) -> Shaped {
    let rows = &all[part];
    let place = |name: &str| header.iter().position(|column| *column == name);
    let who = |row: &[String]| {
        ["directory_id", "account_id"]
            .into_iter()
            .filter_map(|column| row.get(place(column)?).cloned())
            .find(|id| !id.is_empty())
    };
    let says = |at: &usize| all.iter().any(|row| row.get(*at).is_some_and(|text| !text.is_empty()));
    let columns = (0..header.len()).filter(|at| !header[*at].ends_with("_id"));
    let mut shown: Vec<usize> = columns.filter(says).collect();
    // Whom or what a row is about stands in front
    if let Some(name) = place("name") {
        shown.sort_by_key(|at| *at != name);
    }
    let cell = |at: usize, row: &Vec<String>| {
        let text = row.get(at).cloned().unwrap_or_default();
        match (header[at], text.parse::<Timestamp>(), who(row)) {
            (_, Ok(instant), _) => Cell::At(When::new(instant, now)),
            ("name" | "person", _, Some(id)) if !text.is_empty() => {
                Cell::Link(format!("/connections/{slug}/person?who={}", encoded(&id)), text)
            }
            ("run", ..) if !text.is_empty() => {
                Cell::Link(format!("/runs/{}", encoded(&text)), "its run".to_owned())
            }
            _ => Cell::Text(text),
        }
    };
    let title = |at: &usize| {
        let name = header[*at].replace('_', " ");
        let mut chars = name.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    };
    Shaped {
        header: shown.iter().map(title).collect(),
        rows: rows.iter().map(|row| shown.iter().map(|at| cell(*at, row)).collect()).collect(),
    }
}

/// The report that the fields ask for; nothing where one of members does not name its group yet.
fn asked(visit: &Visit) -> Result<Option<Report>> {
    let at = match visit.text("at") {
        None => None,
        Some(text) => Some(moment(text.trim()).ok_or_else(|| {
            Problem::request(
                "that is no day",
                "write a day as 2026-11-01, or an instant as 2026-11-01T08:00:00Z",
            )
        })?),
    };
    let name = about(visit.path("report"))?.name;
    Ok(Report::named(name, visit.text("group").map(str::trim), at))
}

/// What was asked for, as the end of an address.
fn address(group: &str, at: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("group", group), ("at", at)].into_iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    query.finish()
}

pub(super) async fn page(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let about = about(visit.path("report"))?;
    let report = asked(&visit)?;
    let read = report.as_ref().is_some_and(|report| report.asks() == Asks::Clouds);
    let made = match report {
        Some(report) => Some(visit.console.service.report(&connection.name, report).await?),
        None => None,
    };
    let slug = encoded(&slug(&connection.name));
    let is_made = made.is_some();
    let Reported { header, rows, .. } = made.unwrap_or_default();
    let from = visit.text("from").and_then(|from| from.parse().ok()).unwrap_or(0).min(rows.len());
    let (group, at) = (visit.text("group").unwrap_or_default(), visit.text("at").unwrap_or_default());
    let asked = address(group, at);
    Reply::page(&ReportPage {
        shell: visit.shell_of(&connection.name, about.title).await?.at("Reports"),
        about,
        read,
        total: rows.len() as u64,
        before: (from > 0).then(|| from.saturating_sub(PAGE)),
        after: (from + PAGE < rows.len()).then_some(from + PAGE),
        table: shaped(&header, &rows, from..rows.len().min(from + PAGE), &slug, visit.console.service.now()),
        slug,
        from,
        asked,
        group: group.to_owned(),
        at: at.to_owned(),
        made: is_made,
    })
}

pub(super) async fn table(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let name = about(visit.path("report"))?.name;
    let report = asked(&visit)?
        .ok_or_else(|| Problem::request("no group is named", "name a group, and take the table then"))?;
    let made = visit.console.service.report(&connection.name, report).await?;
    Ok(Reply::raw(csv(&format!("{}-{name}", slug(&connection.name)), made.csv)))
}

pub(super) async fn audit(visit: Visit) -> Result {
    let form = if visit.text("format") == Some("csv") { ExportForm::Csv } else { ExportForm::Jsonl };
    export(visit.console.service.clone(), form).await.map(Reply::raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_lead_to_their_pages_and_ids_are_left_to_spreadsheets() {
        let now = "2026-05-01T10:00:00Z".parse().unwrap();
        let row = ["acc/1", "Ana <b>", "2026-05-01T09:58:00.123Z", "r1", ""].map(str::to_owned).to_vec();
        let Shaped { header, rows } =
            shaped(&["account_id", "name", "last_seen", "run", "role"], &[row], 0..1, "a", now);
        assert_eq!(header, ["Name", "Last seen", "Run"], "nobody has a role");
        assert!(matches!(&rows[0][0], Cell::Link(to, text)
            if to == "/connections/a/person?who=acc%2F1" && text == "Ana <b>"));
        assert!(matches!(&rows[0][1], Cell::At(at) if at.words() == "1 minute ago"));
        assert!(matches!(&rows[0][2], Cell::Link(to, _) if to == "/runs/r1"));
        let nobody = ["", "Ana", "", ""].map(str::to_owned).to_vec();
        let Shaped { rows, .. } =
            shaped(&["account_id", "name", "last_seen", "run"], &[nobody], 0..1, "a", now);
        assert!(rows[0].iter().all(|cell| matches!(cell, Cell::Text(_))), "nothing to lead to");
    }

    #[test]
    fn every_report_is_told_of() {
        let told: Vec<&str> = ABOUT.iter().map(|about| about.name).collect();
        assert_eq!(told, Report::NAMES);
    }
}
