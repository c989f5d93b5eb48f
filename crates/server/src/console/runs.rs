//! Runs: the list, one that is under way, one that has ended, with what became of every step.

use std::collections::HashMap;

use askama::Template;
use entrain_domain::FailureCode;
use entrain_domain::model::RunId;
use entrain_domain::plan::StepKind;
use entrain_domain::run::{
    JournalEntry, JournalPart, Outcome, Phase, Relation, RunReport, RunStatus, Trigger,
};
use entrain_domain::service::{Role, slug};
use entrain_engine::plan_view::StepView;

use super::connections::begin;
use super::letter::{did, does};
use super::parts::{Chip, Clock, When, count, day_and_time, icon, number, sentence, started_by, took};
use super::rows::RunRow;
use super::shell::{Shell, encoded};
use super::told::told;
use super::visit::{Reply, Visit};
use crate::api::events;
use crate::problem::Problem;
use crate::runs::Progressed;
use crate::service::{Story, What};

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Runs on one page.
const PAGE: u32 = 50;
/// Steps of a journal on one page.
const STEPS: u32 = 60;
/// What was set aside, beside all else that is said of a run, and on a page of its own.
const FEW_ASIDES: usize = 20;
const ASIDES: usize = 60;

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    shell: Shell,
    name: String,
    slug: String,
    runs: Vec<RunRow>,
    next: Option<String>,
    first: bool,
}

pub(super) async fn list(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let before = match visit.text("before") {
        None => None,
        Some(before) => Some(RunId::parse(before).map_err(|_| {
            Problem::request("the address of this page is not one that was given out", "begin at the newest")
        })?),
    };
    let service = &visit.console.service;
    let now = service.now();
    let mut runs = service.runs(Some(&connection.name), before.as_ref(), PAGE + 1).await?;
    let more = runs.len() > PAGE as usize;
    runs.truncate(PAGE as usize);
    Reply::page(&RunsPage {
        shell: visit.shell_of(&connection.name, "Runs").await?,
        slug: encoded(&slug(&connection.name)),
        name: connection.name,
        next: runs.last().filter(|_| more).map(|run| run.id.to_string()),
        first: before.is_none(),
        runs: runs.iter().map(|run| RunRow::of(run, now)).collect(),
    })
}

/// A passage of a run.
pub(super) struct Passage {
    pub(super) class: &'static str,
    pub(super) icon: &'static str,
    pub(super) name: &'static str,
    pub(super) note: String,
}

struct Kind {
    name: &'static str,
    ended: String,
    planned: Option<String>,
}

#[derive(Template)]
#[template(path = "run_live.html")]
struct LivePage {
    shell: Shell,
    id: String,
    slug: String,
    connection: String,
    started: When,
    by: &'static str,
    headline: String,
    ended: usize,
    planned: usize,
    passages: Vec<Passage>,
    kinds: Vec<Kind>,
    waiting: Option<String>,
    stopping: bool,
    may_stop: bool,
}

pub(super) async fn page(visit: Visit) -> Result {
    let run = visit.run()?;
    if let Some(progress) = visit.console.runs.progress(&run) {
        return live(&visit, &run, &progress).await;
    }
    ended(&visit, &run).await
}

async fn live(visit: &Visit, run: &RunId, progress: &Progressed) -> Result {
    let service = &visit.console.service;
    let summary = service.summary(run).await?;
    let (planned, _) = progress.planned.unwrap_or_default();
    let ended = progress.done + progress.failed;
    let headline = live_headline(progress);
    let page = LivePage {
        shell: visit.shell_of(&summary.connection, headline.clone()).await?.at("Runs"),
        id: run.to_string(),
        slug: encoded(&slug(&summary.connection)),
        started: When::new(summary.started_at, service.now()),
        by: started_by(summary.trigger),
        connection: summary.connection,
        headline,
        ended,
        planned,
        passages: passages(progress),
        kinds: progress
            .kinds
            .iter()
            .map(|(kind, n)| Kind { name: kind_name(*kind), ended: number(*n as u64), planned: None })
            .collect(),
        waiting: progress.waiting.as_deref().map(sentence),
        stopping: progress.stopping,
        may_stop: visit.may(Role::Operator),
    };
    Reply::page(&page)
}

/// A run that is under way, in a line.
pub(super) fn live_headline(progress: &Progressed) -> String {
    let ended = progress.done + progress.failed;
    match (progress.phase, progress.planned) {
        _ if progress.stopping => "Stopping after this step".into(),
        (Some(Phase::Verifying), _) => "Reading back what was written".into(),
        (_, Some((0, held))) if held > 0 => {
            format!("{} held for a person", count(held as u64, "step is", "steps are"))
        }
        (_, Some((0, _))) => "Nothing has to be done".into(),
        (_, Some((planned, _))) => {
            format!("{} of {} done", number(ended as u64), count(planned as u64, "step", "steps"))
        }
        (_, None) => "Reading both sides".into(),
    }
}

pub(super) fn passages(progress: &Progressed) -> Vec<Passage> {
    let phase = progress.phase.unwrap_or(Phase::Reading);
    let passage = |name, is: Phase, done: bool, note: String| {
        let (class, icon) = match (done, phase == is) {
            (true, _) => ("done", "ok"),
            (false, true) => ("now", "run"),
            (false, false) => ("", "wait"),
        };
        Passage { class, icon, name, note }
    };
    let read = |counts: Option<(usize, usize)>, who: &str| match counts {
        Some((people, groups)) => {
            format!("{} {who}, {}", number(people as u64), count(groups as u64, "group", "groups"))
        }
        None => String::new(),
    };
    let planned = match progress.planned {
        Some((steps, 0)) => count(steps as u64, "step", "steps"),
        Some((steps, held)) => {
            format!("{}, {} held", count(steps as u64, "step", "steps"), number(held as u64))
        }
        None => String::new(),
    };
    let site = match progress.asked {
        Some((about, done, of)) if progress.planned.is_none() => {
            format!("{}: {} of {}", about.doing(), number(done as u64), number(of as u64))
        }
        _ => read(progress.site, "accounts"),
    };
    let read_all = phase > Phase::Reading || progress.planned.is_some();
    let failed = if progress.failed > 0 {
        format!(", {} failed", number(progress.failed as u64))
    } else {
        String::new()
    };
    vec![
        passage(
            "Read the directory",
            Phase::Reading,
            progress.directory.is_some() || phase > Phase::Reading,
            read(progress.directory, "people"),
        ),
        passage(
            "Read the site",
            Phase::Reading,
            progress.site.is_some() && progress.asked.is_none() || read_all,
            site,
        ),
        passage("Compare", Phase::Planned, progress.planned.is_some(), planned),
        passage(
            "Write",
            Phase::Applying,
            phase > Phase::Applying,
            format!("{} done{failed}", number(progress.done as u64)),
        ),
        passage("Read back", Phase::Verifying, phase > Phase::Verifying, "then we know it holds".into()),
    ]
}

struct Entry {
    id: usize,
    at: Clock,
    what: String,
    who: String,
    chip: Chip,
    attempts: u32,
    answer: String,
    why: String,
}

struct Aside {
    object: String,
    reason: String,
    remedy: String,
}

struct Said {
    who: String,
    what: &'static str,
    at: When,
}

/// What was set aside, or is worth knowing, as far as it is shown.
#[derive(Default)]
struct Listed {
    all: usize,
    shown: Vec<Aside>,
    /// Where the page of the rest begins.
    next: Option<usize>,
}

#[derive(Template)]
#[template(path = "run.html")]
#[expect(clippy::struct_excessive_bools, reason = "what the template asks")]
struct RunPage {
    shell: Shell,
    id: String,
    slug: String,
    connection: String,
    name: String,
    headline: String,
    chip: Chip,
    started: When,
    by: &'static str,
    took: Option<String>,
    error: Option<(String, String)>,
    asides: Listed,
    notes: Listed,
    decisions: Vec<Said>,
    /// What it is to another run: a sentence's beginning, and the run.
    relations: Vec<(&'static str, String)>,
    entries: Vec<Entry>,
    all: usize,
    failed: usize,
    show_failed: bool,
    from: usize,
    next: Option<usize>,
    kinds: Vec<Kind>,
    requests: Vec<(&'static str, String)>,
    plan: bool,
    waits: bool,
    undo: Option<String>,
    cut_off: bool,
}

async fn ended(visit: &Visit, run: &RunId) -> Result {
    let service = &visit.console.service;
    let now = service.now();
    let story = service.story(run).await?;
    let told = told(visit, &story.run).await?;
    let has_plan = told.is_some();
    let report = story.run.report.as_ref();
    let show_failed = visit.text("show") == Some("failed");
    let from: usize = visit.text("from").and_then(|from| from.parse().ok()).unwrap_or_default();
    let of = |what: &str| (visit.text("show") == Some(what)).then_some(from);
    let from = if of("asides").or(of("notes")).is_some() { 0 } else { from };
    let part = if show_failed { JournalPart::Undone } else { JournalPart::All };
    let journal = service.journal(run, part, from, STEPS).await?;
    let chosen = if show_failed { journal.undone } else { journal.all };
    let steps = match told {
        Some(told) => told.steps_of(visit, &journal.entries).await?,
        None => HashMap::new(),
    };
    let named =
        |(id, entry): (usize, &JournalEntry)| entry_of(from + id, entry, steps.get(entry.step.as_str()));
    let entries: Vec<Entry> = journal.entries.iter().enumerate().map(named).collect();
    let connection =
        service.connections().await?.into_iter().find(|known| known.name == story.run.connection);
    let waits = connection.and_then(|connection| connection.waits).as_ref() == Some(run);
    let headline = headline(&story);
    let page = RunPage {
        shell: visit.shell_of(&story.run.connection, headline.clone()).await?.at("Runs"),
        id: run.to_string(),
        slug: encoded(&slug(&story.run.connection)),
        connection: story.run.connection.clone(),
        name: day_and_time(story.run.started_at),
        headline,
        chip: Chip::of_run(story.run.status),
        started: When::new(story.run.started_at, now),
        by: started_by(story.run.trigger),
        took: report.map(|report| took(report.duration_ms)),
        error: report
            .and_then(|report| report.error.as_ref())
            .map(|error| (sentence(&error.message), sentence(&error.remedy))),
        asides: report.map(|report| asides(&report.set_aside, of("asides"))).unwrap_or_default(),
        notes: report.map(|report| asides(&report.notes, of("notes"))).unwrap_or_default(),
        decisions: story
            .decisions
            .iter()
            .map(|decided| Said {
                who: decided.actor.clone(),
                what: decided.did(),
                at: When::new(decided.at, now),
            })
            .collect(),
        relations: relations(&story),
        all: journal.all,
        next: (from + entries.len() < chosen).then_some(from + entries.len()),
        entries,
        failed: journal.undone,
        show_failed,
        from,
        kinds: report.map(kinds).unwrap_or_default(),
        requests: report.map(requests).unwrap_or_default(),
        plan: has_plan,
        waits,
        undo: undo(visit, &story, journal.done),
        cut_off: story.run.status == RunStatus::Running,
    };
    Reply::page(&page)
}

pub(super) fn headline(story: &Story) -> String {
    let report = story.run.report.as_ref();
    let done = report.map_or(0, |report| report.steps.values().map(|n| n.done as u64).sum::<u64>());
    let steps = count(done, "step", "steps");
    match story.run.status {
        RunStatus::Running => "Cut off, or under way in another process".into(),
        RunStatus::Converged if done == 0 => "In step: nothing had to be done".into(),
        RunStatus::Converged => format!("In step: {steps} done and read back"),
        RunStatus::Held if done == 0 => "Held: nothing was written".into(),
        RunStatus::Held => format!("{steps} done; the rest is held for a person"),
        RunStatus::Partial if done == 0 => "Some of it could not be done".into(),
        RunStatus::Partial => format!("{steps} done, some of it could not be"),
        RunStatus::Failed => "Failed: nothing was written".into(),
    }
}

/// Some of what was set aside: a few, or a page of them from this place on.
fn asides(all: &[entrain_domain::plan::SetAside], from: Option<usize>) -> Listed {
    let aside = |one: &entrain_domain::plan::SetAside| Aside {
        object: one.object.clone(),
        reason: sentence(&one.reason),
        remedy: sentence(&one.remedy),
    };
    let most = if from.is_some() { ASIDES } else { FEW_ASIDES };
    let from = from.unwrap_or_default();
    let shown: Vec<Aside> = all.iter().skip(from).take(most).map(aside).collect();
    let next = from + shown.len();
    Listed {
        all: all.len(),
        next: (next < all.len()).then_some(if most == ASIDES { next } else { 0 }),
        shown,
    }
}

fn relations(story: &Story) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    match &story.relation {
        Some(Relation::Approves(run)) => all.push(("It does what was held in", run.to_string())),
        Some(Relation::Undoes(run)) => all.push(("It takes back what was done by", run.to_string())),
        None => {}
    }
    for (later, relation) in &story.later {
        let what = match relation {
            Relation::Approves(_) => "What it held was done by",
            Relation::Undoes(_) => "It was taken back by",
        };
        all.push((what, later.to_string()));
    }
    all
}

/// The question that undoing asks, where the run can be undone.
fn undo(visit: &Visit, story: &Story, done: usize) -> Option<String> {
    let undone = story.later.iter().any(|(_, relation)| matches!(relation, Relation::Undoes(_)));
    (done > 0 && !undone && visit.may(Role::Approver)).then(|| count(done as u64, "step", "steps"))
}

fn entry_of(id: usize, entry: &JournalEntry, step: Option<&StepView>) -> Entry {
    let chip = match entry.outcome {
        Outcome::Intent => Chip::new("info", "wait", "not known yet"),
        Outcome::Done => Chip::new("ok", "ok", "done"),
        Outcome::AlreadyDone => Chip::new("ok", "ok", "was there"),
        Outcome::Failed => Chip::new("danger", "danger", "failed"),
        Outcome::NotDone => Chip::new("", "off", "not done"),
    };
    Entry {
        id,
        at: Clock(entry.at),
        what: step.map_or_else(|| does(entry.kind).to_owned(), did),
        who: step.and_then(|step| step.user.as_ref()).map(|user| user.name.clone()).unwrap_or_default(),
        chip,
        attempts: entry.attempts,
        answer: sentence(&entry.answer),
        why: step.map(|step| sentence(&step.reason)).unwrap_or_default(),
    }
}

/// Steps of a kind, as a heading.
fn kind_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::CreateUser => "Invitations",
        StepKind::UpdateUser => "Attributes written",
        StepKind::CreateGroup => "Groups made",
        StepKind::RenameGroup => "Groups renamed",
        StepKind::AdoptGroup => "Groups taken over",
        StepKind::AddMember => "Memberships added",
        StepKind::RemoveMember => "Memberships removed",
        StepKind::SuspendUser => "People suspended",
        StepKind::RestoreUser => "People restored",
        StepKind::DeactivateUser => "People deactivated",
        StepKind::ReactivateUser => "People activated again",
        StepKind::RemoveUser => "People removed",
    }
}

fn kinds(report: &RunReport) -> Vec<Kind> {
    let kind = |(kind, n): (&StepKind, &entrain_domain::run::StepCount)| Kind {
        name: kind_name(*kind),
        ended: number(n.done as u64),
        planned: Some(number(n.planned as u64)),
    };
    report.steps.iter().filter(|(_, n)| n.planned > 0).map(kind).collect()
}

fn requests(report: &RunReport) -> Vec<(&'static str, String)> {
    let requests = &report.requests;
    [
        ("To Entra", requests.directory),
        ("To Jira", requests.site),
        ("To the organization", requests.organization),
        ("Told to wait", requests.throttled),
    ]
    .into_iter()
    .filter(|(name, n)| *n > 0 || *name != "To the organization")
    .map(|(name, n)| (name, number(n)))
    .collect()
}

pub(super) async fn events(visit: Visit) -> Result {
    let run = visit.run()?;
    let console = &visit.console;
    events::told(console.service.as_ref(), &console.runs, &run).await.map(Reply::raw)
}

pub(super) async fn stop(visit: Visit) -> Result {
    let run = visit.run()?;
    let summary = visit.console.service.summary(&run).await?;
    if summary.phase == Phase::Ended {
        let what = "the run is not under way any more";
        return Err(Problem::local(FailureCode::RunOver, what, "look at the run itself"));
    }
    let by = visit.name()?;
    // Another server may do the run, and looks for this
    visit.console.service.ask_to_stop(&run, &by).await?;
    visit.console.runs.stop(&run);
    tracing::info!(run = %run, by, "told to stop");
    Reply::saying(&format!("/runs/{run}"), "stopping")
}

pub(super) async fn undo_run(visit: Visit) -> Result {
    let run = visit.run()?;
    let connection = visit.console.service.summary(&run).await?.connection;
    begin(&visit, connection, What::Undo(run), Trigger::Undo, "undoing").await
}

#[cfg(test)]
mod tests {
    use entrain_engine::ports::SiteQuestion;

    use super::*;

    #[test]
    fn while_the_site_is_asked_one_by_one_the_page_says_how_far_that_is() {
        let mut progress = Progressed {
            phase: Some(Phase::Reading),
            directory: Some((100_000, 5_000)),
            site: Some((21_000, 8)),
            asked: Some((SiteQuestion::Accounts, 1_200, 79_000)),
            ..Progressed::default()
        };
        let site = |progress: &Progressed| {
            let passage = passages(progress).remove(1);
            (passage.class, passage.note)
        };
        let searching = "searching the site for people whose addresses it may hide: 1,200 of 79,000";
        assert_eq!(site(&progress), ("now", searching.to_owned()));
        progress.planned = Some((10, 0));
        assert_eq!(site(&progress), ("done", "21,000 accounts, 8 groups".to_owned()));
    }
}
