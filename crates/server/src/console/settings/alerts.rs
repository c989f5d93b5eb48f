//! Alerts: what is open, who has taken it on, where each connection tells people, and whether a place takes messages.

use askama::Template;
use entrain_domain::service::{Role, slug};
use jiff::Timestamp;
use serde::Deserialize;

use super::super::parts::{Chip, When, count, icon, sentence};
use super::super::shell::{Shell, encoded};
use super::super::visit::{Reply, Visit, next};
use super::{Result, Tab, Window, tabs};
use crate::problem::Problem;
use crate::upkeep::AlertPlace;

const HERE: &str = "/settings/alerts";
/// Alerts on one page: each has a form.
const OPEN: usize = 40;
/// Alerts that are over, on one page.
const OVER: usize = 20;
/// Connections whose places are shown.
const CONNECTIONS: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Critical,
    Warning,
    Notice,
}

impl Severity {
    fn chip(self) -> Chip {
        match self {
            Self::Critical => Chip::new("danger", "danger", "now"),
            Self::Warning => Chip::new("warn", "warn", "within days"),
            Self::Notice => Chip::new("info", "wait", "worth knowing"),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct TakenOn {
    by: String,
    note: String,
    at: Timestamp,
}

/// An alert, as programs are told of it.
#[derive(Debug, Clone, Deserialize)]
struct Alert {
    id: String,
    connection: String,
    severity: Severity,
    sentence: String,
    remedy: String,
    link: String,
    since: Timestamp,
    acknowledged: Option<TakenOn>,
    over_at: Option<Timestamp>,
}

struct Row {
    id: String,
    connection: String,
    chip: Chip,
    what: String,
    remedy: String,
    link: String,
    since: When,
    taken: Option<(String, When, String)>,
    over: Option<When>,
}

impl Row {
    fn new(alert: Alert, now: Timestamp) -> Self {
        Self {
            chip: alert.severity.chip(),
            what: sentence(&alert.sentence),
            remedy: sentence(&alert.remedy),
            link: next(Some(&alert.link)).to_owned(),
            since: When::new(alert.since, now),
            taken: alert.acknowledged.map(|taken| (taken.by, When::new(taken.at, now), taken.note)),
            over: alert.over_at.map(|at| When::new(at, now)),
            id: alert.id,
            connection: alert.connection,
        }
    }
}

struct Place {
    name: String,
    kind: &'static str,
    icon: &'static str,
    to: String,
    about: String,
    chip: Option<Chip>,
    /// What a test, or the last message, came to.
    answer: Option<String>,
}

/// What a place is called, and its icon.
fn kind(word: &str) -> (&'static str, &'static str) {
    match word {
        "email" => ("E-mail", "mail"),
        "slack" => ("Slack", "group"),
        "teams" => ("Microsoft Teams", "group"),
        _ => ("Webhook", "out"),
    }
}

struct Places {
    name: String,
    slug: String,
    all: Vec<Place>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "settings_alerts.html")]
struct AlertsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    open: Vec<Row>,
    total: usize,
    window: Window,
    over: Vec<Row>,
    connections: Vec<Places>,
    /// What a test came to, in a headline and a sentence.
    tested: Option<(bool, String, String)>,
    may: bool,
}

/// A channel that was tested, and what became of it: nothing, or why not.
struct Tested {
    connection: String,
    channel: String,
    why: Option<String>,
}

pub(in super::super) async fn list(visit: Visit) -> Result {
    Reply::page(&made(&visit, None).await?)
}

fn headline(open: &[Alert]) -> String {
    let waits = open.iter().filter(|alert| alert.acknowledged.is_none()).count() as u64;
    let now = open.iter().filter(|alert| alert.severity == Severity::Critical).count() as u64;
    match (open.len(), waits, now) {
        (0, ..) => "Nothing needs anybody".to_owned(),
        (_, 0, _) => "Everything that is open was taken on".to_owned(),
        (_, waits, 0) => format!("{} somebody", count(waits, "thing needs", "things need")),
        (_, waits, now) => {
            format!(
                "{} somebody, {} now",
                count(waits, "thing needs", "things need"),
                super::super::parts::number(now)
            )
        }
    }
}

/// The places of a connection, with what a test of one came to.
fn places(
    name: &str,
    found: std::result::Result<Vec<AlertPlace>, String>,
    tested: Option<&Tested>,
) -> Places {
    let (all, error) = match found {
        Ok(all) => (all, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let place = |place: AlertPlace| {
        let tried = tested.filter(|tested| tested.connection == name && tested.channel == place.name);
        let (chip, answer) = match (tried, &place.failing) {
            (Some(Tested { why: None, .. }), _) => (
                Some(Chip::new("ok", "ok", "sent")),
                Some("The test was taken. Look whether it has arrived.".to_owned()),
            ),
            (Some(Tested { why: Some(why), .. }), _) | (None, Some(why)) => {
                (Some(Chip::new("danger", "danger", "failed")), Some(sentence(why)))
            }
            (None, None) => (None, None),
        };
        let (kind, icon) = kind(&place.kind);
        Place { name: place.name, kind, icon, to: place.to, about: place.about.join(", "), chip, answer }
    };
    Places {
        name: name.to_owned(),
        slug: encoded(&slug(name)),
        all: all.into_iter().map(place).collect(),
        error,
    }
}

async fn made(visit: &Visit, tested: Option<Tested>) -> Result<AlertsPage> {
    let service = &visit.console.service;
    let now = service.now();
    let all = service.alerts(None).await?;
    let all = all.into_iter().filter_map(|alert| serde_json::from_value::<Alert>(alert).ok());
    let (open, over): (Vec<Alert>, Vec<Alert>) = all.partition(|alert| alert.over_at.is_none());
    let window = Window::sized(visit, open.len(), OPEN);
    let mut connections = Vec::new();
    let known = service.connections().await?;
    // The one whose place was tested stays in sight, however many there are
    let first =
        known.iter().filter(|one| tested.as_ref().is_some_and(|tested| tested.connection == one.name));
    let rest = known.iter().filter(|one| tested.as_ref().is_none_or(|tested| tested.connection != one.name));
    for connection in first.chain(rest).take(CONNECTIONS) {
        // A document that cannot be read is told of, and hides no other
        let found = service.alert_places(&connection.name).await;
        let found =
            found.map_err(|failure| format!("{} {}", sentence(&failure.message), sentence(&failure.remedy)));
        connections.push(places(&connection.name, found, tested.as_ref()));
    }
    Ok(AlertsPage {
        shell: visit.shell("Alerts").await?,
        tabs: tabs(visit, HERE)?,
        headline: headline(&open),
        total: open.len(),
        open: open.into_iter().skip(window.from).take(OPEN).map(|alert| Row::new(alert, now)).collect(),
        window,
        over: over.into_iter().take(OVER).map(|alert| Row::new(alert, now)).collect(),
        connections,
        tested: tested.map(|tested| match tested.why {
            None => {
                let what = format!(
                    "The message to “{}” says that it is a test. Look whether it has arrived.",
                    tested.channel
                );
                (true, "The test was taken".to_owned(), what)
            }
            Some(why) => (false, format!("“{}” did not take the test", tested.channel), sentence(&why)),
        }),
        may: visit.may(Role::Operator),
    })
}

pub(in super::super) async fn acknowledge(visit: Visit) -> Result {
    let note = visit.text("note").unwrap_or_default().trim();
    if note.chars().count() > 500 {
        return Err(Problem::request("the note is longer than 500 characters", "write less"));
    }
    visit.console.service.acknowledge_alert(visit.path("alert"), &visit.name()?, note).await?;
    Reply::saying(HERE, "taken-on")
}

pub(in super::super) async fn test(visit: Visit) -> Result {
    #[derive(Deserialize)]
    struct Outcome {
        channel: String,
        error: Option<String>,
    }
    let asked = visit.text("connection").unwrap_or_default();
    let service = &visit.console.service;
    let known = service.connections().await?;
    let connection = known.into_iter().find(|one| slug(&one.name) == asked).map(|one| one.name);
    let (Some(connection), Some(channel)) = (connection, visit.text("channel")) else {
        return Err(Problem::request("no place to test is named", "press the button beside one"));
    };
    let outcomes = service.test_alerts(&connection, Some(channel), &visit.name()?).await?;
    let outcomes = outcomes.into_iter().filter_map(|one| serde_json::from_value::<Outcome>(one).ok());
    let outcome =
        outcomes.into_iter().find(|outcome| outcome.channel == channel).ok_or_else(Problem::internal)?;
    let tested = Tested { connection, channel: outcome.channel, why: outcome.error };
    Reply::page(&made(&visit, Some(tested)).await?)
}
