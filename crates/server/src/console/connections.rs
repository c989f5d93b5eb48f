//! Connections: which there are, how each stands, and what can be started by hand.

use askama::Template;
use entrain_domain::FailureCode;
use entrain_domain::run::Trigger;
use entrain_domain::service::{Mode, Role, slug};
use entrain_engine::Freshness;
use entrain_engine::check::Verdict;
use entrain_engine::schedule::Rhythm;

use super::overview::next_run;
use super::parts::{Chip, When, icon, sentence};
use super::shell::{Shell, encoded, standing};
use super::visit::{Reply, Visit};
use crate::previews::document;
use crate::problem::Problem;
use crate::runs::Started;
use crate::service::{Connection, Order, What};

type Result<T = Reply> = std::result::Result<T, Problem>;

struct Row {
    name: String,
    slug: String,
    site: String,
    chip: Chip,
    mode: Mode,
    last: Option<When>,
    next: Option<When>,
}

impl Row {
    fn of(visit: &Visit, connection: &Connection) -> Self {
        let now = visit.console.service.now();
        Self {
            slug: encoded(&slug(&connection.name)),
            site: connection.site.clone(),
            chip: standing(connection, visit.console.runs.of(&connection.name).is_some()),
            mode: connection.mode,
            last: connection.last.as_ref().map(|run| When::new(run.started_at, now)),
            next: next_run(connection, now).map(|at| When::new(at, now)),
            name: connection.name.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    shell: Shell,
    rows: Vec<Row>,
    may_add: bool,
}

pub(super) async fn list(visit: Visit) -> Result {
    let all = visit.console.service.connections().await?;
    let rows = all.iter().map(|connection| Row::of(&visit, connection)).collect();
    let may_add = visit.may(Role::Administrator);
    Reply::page(&ConnectionsPage { shell: visit.shell("Connections").await?, rows, may_add })
}

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    shell: Shell,
    row: Row,
    version: i64,
    rhythm: String,
    running: Option<String>,
    may_run: bool,
    may_switch: bool,
}

pub(super) async fn setup(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let rhythm = match connection.schedule.as_ref().map(|schedule| &schedule.rhythm) {
        None => "its document cannot be read any more".into(),
        Some(Rhythm::Every(time)) => format!("every {}", span(time.as_secs())),
        Some(Rhythm::Cron(cron)) => format!("at the times of “{}”", cron.as_str()),
    };
    Reply::page(&SetupPage {
        shell: visit.shell_of(&connection.name, &connection.name).await?,
        row: Row::of(&visit, &connection),
        version: connection.version,
        rhythm,
        running: visit.console.runs.of(&connection.name).map(|run| run.to_string()),
        may_run: visit.may(Role::Operator),
        may_switch: visit.may(Role::Administrator),
    })
}

fn span(seconds: u64) -> String {
    match seconds {
        s if s % 3_600 == 0 => super::parts::count(s / 3_600, "hour", "hours"),
        s if s % 60 == 0 => super::parts::count(s / 60, "minute", "minutes"),
        s => super::parts::count(s, "second", "seconds"),
    }
}

fn page_of(connection: &Connection) -> String {
    format!("/connections/{}/setup", encoded(&slug(&connection.name)))
}

pub(super) async fn mode(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let mode = visit.text("mode").and_then(Mode::from_word);
    let mode = mode.ok_or_else(|| Problem::request("the mode is neither preview nor apply", "choose one"))?;
    visit.console.service.set_mode(&connection.name, mode, &visit.name()?).await?;
    Reply::saying(&page_of(&connection), "mode")
}

struct Finding {
    chip: Chip,
    what: String,
    detail: String,
    remedy: String,
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage {
    shell: Shell,
    headline: String,
    name: String,
    slug: String,
    findings: Vec<Finding>,
}

pub(super) async fn check(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let checks = visit.console.service.check(&connection.name).await?;
    let bad = checks.iter().filter(|check| check.verdict == Verdict::Bad).count() as u64;
    let warnings = checks.iter().filter(|check| check.verdict == Verdict::Warning).count() as u64;
    let headline = match (bad, warnings) {
        (0, 0) => "Both sides are ready".to_owned(),
        (0, n) => format!("Both sides are ready; {} to know", super::parts::count(n, "thing", "things")),
        (n, _) => format!("{} to mend before a run can work", super::parts::count(n, "thing", "things")),
    };
    let findings = checks.into_iter().map(|check| Finding {
        chip: match check.verdict {
            Verdict::Good => Chip::new("ok", "ok", "good"),
            Verdict::Warning => Chip::new("warn", "warn", "to know"),
            Verdict::Bad => Chip::new("danger", "danger", "to mend"),
        },
        what: check.what,
        detail: sentence(&check.detail),
        remedy: check.remedy.as_deref().map(sentence).unwrap_or_default(),
    });
    Reply::page(&CheckPage {
        shell: visit.shell_of(&connection.name, "Check").await?,
        headline,
        findings: findings.collect(),
        slug: encoded(&slug(&connection.name)),
        name: connection.name,
    })
}

fn freshness(visit: &Visit) -> Freshness {
    if visit.text("full").is_some() { Freshness::Full } else { Freshness::Incremental }
}

pub(super) async fn plan(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let service = &visit.console.service;
    let plan = service.plan(&connection.name, freshness(&visit)).await?;
    let now = service.now();
    let kept = document(&connection.name, now, &Ok(plan));
    service.keep_preview(&connection.name, now, kept).await?;
    let slug = encoded(&slug(&connection.name));
    Reply::saying(&format!("/connections/{slug}/preview"), "planned")
}

pub(super) async fn sync(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    begin(&visit, connection.name, What::Sync, Trigger::Manual, "begun").await
}

/// Starts a run and goes to its page.
pub(super) async fn begin(
    visit: &Visit,
    connection: String,
    what: What,
    trigger: Trigger,
    said: &str,
) -> Result {
    let approves = match &what {
        What::Approve(run, ..) => Some(run.clone()),
        What::Sync | What::Only(_) | What::Undo(_) => None,
    };
    let order = Order { connection, what, trigger, by: visit.name()?, freshness: freshness(visit) };
    match (visit.console.runs.start(order).await?, approves) {
        (Started::Began(run, _), _) => Reply::saying(&format!("/runs/{run}"), said),
        (Started::Ended(_), Some(run)) => Reply::saying(&format!("/runs/{run}/plan"), "waits-for-another"),
        (Started::Ended(_), None) => {
            let what = "the run ended before it began";
            Err(Problem::local(FailureCode::RunOver, what, "look at the list of runs"))
        }
    }
}

/// How many there are, as a finding.
fn connections_headline(n: usize) -> String {
    match n {
        0 => "Nothing is connected yet".into(),
        n => format!("{} connected", super::parts::count(n as u64, "site is", "sites are")),
    }
}
