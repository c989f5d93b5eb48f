//! The overview of a connection: are we in step, what waits, what was and what will be. No cloud is asked for it.

use askama::Template;
use entrain_domain::reports::{CredentialRow, CredentialState};
use entrain_domain::run::{RunReport, RunStatus};
use entrain_domain::service::{Mode, Role};
use entrain_engine::schedule::{Due, Health};
use jiff::{SignedDuration, Timestamp};

use super::chart::{DAYS, Lives, Rhythm};
use super::letter::short;
use super::parts::{Chip, When, count, icon, number, sentence, share, took};
use super::rows::RunRow;
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::{Connection, Standing};
use entrain_domain::service::slug;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Most things that were set aside shown here; the run has them all.
const FEW: usize = 4;

#[derive(Template)]
#[template(path = "nothing.html")]
struct NothingPage {
    shell: Shell,
}

/// The first connection's overview; or what to do where there is none.
pub(super) async fn home(visit: Visit) -> Result {
    match visit.console.service.connections().await?.first() {
        Some(first) => Reply::to(&format!("/connections/{}", encoded(&slug(&first.name)))),
        None if visit.may(Role::Administrator) => Reply::to("/setup"),
        None => Reply::page(&NothingPage { shell: visit.shell("Overview").await? }),
    }
}

/// Something that waits for a person.
struct Waits {
    state: &'static str,
    icon: &'static str,
    title: String,
    text: String,
    /// Where to go, and what the button says.
    action: Option<(String, &'static str)>,
}

/// Seats of a product.
pub(super) struct Seats {
    pub(super) product: String,
    pub(super) taken: String,
    pub(super) limit: Option<String>,
    pub(super) share: u64,
    /// Few are left.
    pub(super) near: Option<String>,
}

struct Ends {
    what: &'static str,
    chip: Option<Chip>,
    days: String,
    day: String,
}

struct Rungs {
    name: &'static str,
    people: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    headline: String,
    slug: String,
    name: String,
    mode: Mode,
    read: Option<When>,
    next: Option<When>,
    review: Option<String>,
    may_run: bool,
    rhythm: Rhythm,
    lives: Lives,
    linked: (String, String),
    drift: u64,
    drift_known: bool,
    requests: String,
    /// How long the last run took, and the run.
    last: Option<(String, String)>,
    /// How long changes took from the directory to the site: half of them, and 95 of 100.
    fresh: Option<(String, String, String)>,
    waits: Vec<Waits>,
    runs: Vec<RunRow>,
    seats: Vec<Seats>,
    ladder: Vec<Rungs>,
    /// Whose step is next: their name, where they are told of, and when.
    next_rung: Option<(String, String, When)>,
    credentials: Vec<Ends>,
}

pub(super) async fn page(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let service = &visit.console.service;
    let now = service.now();
    let since = now.saturating_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(now);
    let standing = service.standing(&connection.name, since).await?;
    let runs = service.runs(Some(&connection.name), None, 5).await?;
    let running = visit.console.runs.of(&connection.name).is_some();
    let report = connection.last.as_ref().and_then(|run| run.report.as_ref());
    let day = now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(now);
    let requests: u64 = standing.figures.iter().filter(|run| run.at >= day).map(|run| run.requests).sum();
    let slug = encoded(&slug(&connection.name));
    let drift = report.map(|report| report.drift.values().map(|n| *n as u64).sum::<u64>());
    let next_rung = standing.ladder.first().and_then(|row| {
        let told = format!("/connections/{slug}/person?who={}", encoded(row.directory_id.as_str()));
        Some((row.name.to_string(), told, When::new(row.due?, now)))
    });
    let fresh = service.notifications(&connection.name).await?.freshness.0.map(|spread| {
        let changes = count(spread.changes as u64, "change", "changes");
        (took(spread.median_ms), took(spread.p95_ms), changes)
    });
    let page = OverviewPage {
        shell: visit.shell_of(&connection.name, "Overview").await?,
        headline: headline(&connection, running),
        mode: connection.mode,
        read: connection.last.as_ref().map(|run| When::new(run.started_at, now)),
        next: next_run(&connection, now).map(|at| When::new(at, now)),
        review: connection.waits.as_ref().map(|run| format!("/runs/{run}/plan")),
        may_run: visit.may(entrain_domain::service::Role::Operator) && !running,
        rhythm: Rhythm::of(&standing.figures, now),
        lives: Lives::of(&standing.figures, now),
        linked: (number(standing.linked.0), number(standing.linked.1)),
        drift: drift.unwrap_or_default(),
        drift_known: drift.is_some(),
        requests: number(requests),
        last: report.map(|report| (took(report.duration_ms), format!("/runs/{}", report.run_id))),
        fresh,
        waits: waits(&connection, &standing, &slug, now),
        runs: runs.iter().map(|run| RunRow::of(run, now)).collect(),
        seats: report.map(seats).unwrap_or_default(),
        ladder: rungs(&standing),
        next_rung,
        credentials: standing.credentials.iter().map(ends).collect(),
        name: connection.name,
        slug,
    };
    Reply::page(&page)
}

/// The state in a sentence.
fn headline(connection: &Connection, running: bool) -> String {
    if running {
        return "A run is under way".into();
    }
    if connection.past.health == Health::Quarantined {
        return "In quarantine: too much of what was tried has failed".into();
    }
    if connection.waits.is_some() {
        return "One plan waits for a person".into();
    }
    let Some(last) = &connection.last else { return "Nothing has been read yet".into() };
    let aside = last.report.as_ref().map_or(0, |report| report.set_aside.len()) as u64;
    match last.status {
        RunStatus::Converged => "In step".into(),
        RunStatus::Partial if aside > 0 => {
            format!("In step, but {} set aside", count(aside, "object was", "objects were"))
        }
        RunStatus::Partial => "The last run did not come to its end".into(),
        RunStatus::Failed => "The last run failed".into(),
        RunStatus::Held => "The last plan was rejected".into(),
        RunStatus::Running => "A run was cut off; the next one finishes it".into(),
    }
}

/// When it runs next by itself.
pub(super) fn next_run(connection: &Connection, now: Timestamp) -> Option<Timestamp> {
    match connection.schedule.as_ref()?.due(&connection.name, &connection.past, now) {
        Due::Now => Some(now),
        Due::At(at) => Some(at),
        Due::Never => None,
    }
}

fn waits(connection: &Connection, standing: &Standing, slug: &str, now: Timestamp) -> Vec<Waits> {
    let mut waits = Vec::new();
    let report = connection.last.as_ref().and_then(|run| run.report.as_ref());
    if let (Some(run), Some(report)) = (&connection.waits, report) {
        let first = report.held.first();
        let more = report.held.len().saturating_sub(1);
        let also = if more > 0 {
            format!(" {} besides.", count(more as u64, "limit holds it", "limits hold it"))
        } else {
            String::new()
        };
        let done: usize = report.steps.values().map(|n| n.done).sum();
        let written =
            if done == 0 { "Nothing of it has been written." } else { "What nothing holds was done." };
        waits.push(Waits {
            state: "warn",
            icon: "held",
            title: first.map_or_else(|| "A plan is held".into(), |held| capital(short(&held.reason))),
            text: format!("Held {}. {written}{also}", When::new(report.started_at, now).words()),
            action: Some((format!("/runs/{run}/plan"), "Review")),
        });
    }
    if let Some(why) = report.and_then(|report| report.quarantine.as_ref()) {
        waits.push(Waits {
            state: "danger",
            icon: "danger",
            title: "The connection is in quarantine".into(),
            text: format!("{} Look at the last run, then start one by hand.", sentence(why)),
            action: last_run(connection),
        });
    }
    if let Some(error) = report.and_then(|report| report.error.as_ref()) {
        waits.push(Waits {
            state: "danger",
            icon: "danger",
            title: capital(&error.message),
            text: sentence(&error.remedy),
            action: last_run(connection),
        });
    }
    for row in &standing.credentials {
        let title = match (row.state, row.days_left) {
            (CredentialState::Expired, _) => format!("The {} has ended", credential_name(row)),
            (CredentialState::Soon, Some(days)) => {
                format!("The {} ends in {}", credential_name(row), count(days.unsigned_abs(), "day", "days"))
            }
            _ => continue,
        };
        let state = if row.state == CredentialState::Expired { "danger" } else { "warn" };
        let action = Some((format!("/connections/{slug}/reports/credentials"), "See which"));
        waits.push(Waits { state, icon: "key", title, text: sentence(row.remedy), action });
    }
    let aside = report.map(|report| report.set_aside.as_slice()).unwrap_or_default();
    for one in aside.iter().take(FEW) {
        waits.push(Waits {
            state: "",
            icon: "off",
            title: format!("{}: {}", one.object, one.reason),
            text: sentence(&one.remedy),
            action: last_run(connection),
        });
    }
    if aside.len() > FEW {
        let more = (aside.len() - FEW) as u64;
        waits.push(Waits {
            state: "",
            icon: "off",
            title: format!("{} set aside besides", count(more, "object was", "objects were")),
            text: "The run says which, why, and what to do.".into(),
            action: last_run(connection),
        });
    }
    waits
}

fn last_run(connection: &Connection) -> Option<(String, &'static str)> {
    connection.last.as_ref().map(|run| (format!("/runs/{}", run.id), "Open the run"))
}

fn capital(text: &str) -> String {
    sentence(text).trim_end_matches('.').to_owned()
}

/// Seats as the last run left them.
pub(super) fn seats(report: &RunReport) -> Vec<Seats> {
    let of = |(product, seats): (&String, &entrain_domain::plan::SeatForecast)| {
        let left = seats.limit.map(|limit| limit.saturating_sub(seats.after));
        let near = left.filter(|left| seats.limit.is_some_and(|limit| left * 10 <= limit));
        Seats {
            product: product.clone(),
            taken: number(seats.after),
            limit: seats.limit.map(number),
            share: share(seats.after, seats.limit.unwrap_or(seats.after)),
            near: near.map(|left| count(left, "seat is left", "seats are left")),
        }
    };
    report.seats.iter().map(of).collect()
}

fn rungs(standing: &Standing) -> Vec<Rungs> {
    let people = |rung: &str| number(standing.ladder.iter().filter(|row| row.reached == rung).count() as u64);
    [("groups", "Groups off"), ("suspend", "Suspended"), ("deactivate", "Deactivated"), ("remove", "Removed")]
        .into_iter()
        .filter(|(rung, _)| standing.ladder.iter().any(|row| row.reached == *rung))
        .map(|(rung, name)| Rungs { name, people: people(rung) })
        .collect()
}

/// A credential, in few words.
fn credential_name(row: &CredentialRow) -> &'static str {
    match row.key {
        "directory.client_secret" => "Entra client secret",
        "directory.certificate_file" | "directory.certificate" => "Entra certificate",
        "directory.federated_token_file" => "Entra federated token",
        "directory.managed_identity" => "Managed identity",
        "site.api_token" => "Jira API token",
        "site.organization.api_key" => "Organization key",
        _ => row.credential,
    }
}

fn ends(row: &CredentialRow) -> Ends {
    let days = row.days_left.map(|days| count(days.unsigned_abs(), "day", "days"));
    let chip = match row.state {
        CredentialState::Expired => Some(Chip::new("danger", "danger", "ended")),
        CredentialState::Soon => Some(Chip::new("warn", "warn", "ends soon")),
        CredentialState::Good | CredentialState::Unknown => None,
    };
    let otherwise = if row.state == CredentialState::Unknown { "end not known" } else { "does not end" };
    Ends {
        what: credential_name(row),
        chip,
        days: days.unwrap_or_else(|| otherwise.into()),
        day: row.expires.map(|at| at.strftime("%-d %B %Y").to_string()).unwrap_or_default(),
    }
}

#[derive(Template)]
#[template(path = "lives.html")]
struct LivesPage {
    shell: Shell,
    name: String,
    slug: String,
    lives: Lives,
}

/// The numbers behind the chart.
pub(super) async fn lives(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let now = visit.console.service.now();
    let since = now.saturating_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(now);
    let standing = visit.console.service.standing(&connection.name, since).await?;
    Reply::page(&LivesPage {
        shell: visit.shell_of(&connection.name, "Joiners, movers, leavers").await?.at("Overview"),
        slug: encoded(&slug(&connection.name)),
        name: connection.name,
        lives: Lives::of(&standing.figures, now),
    })
}
