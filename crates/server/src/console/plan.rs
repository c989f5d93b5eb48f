//! Plans: what waits, the letter of a plan, why it does what it does, and what people say of it.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::model::RunId;
use entrain_domain::plan::Approval;
use entrain_domain::run::{AuditNote, Decision, RunStatus, Trigger};
use entrain_domain::service::{Role, slug};
use entrain_domain::{Failure, FailureCode};
use entrain_engine::Selection;
use entrain_engine::plan_view::PlanView;

use super::connections::begin;
use super::letter::{Letter, Wanted, Why};
use super::part::{self, Picked};
use super::parts::{When, count, icon, number};
use super::rows::RunRow;
use super::shell::{Shell, encoded};
use super::told::{self, Told, told};
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::What;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// What can be said of a plan.
struct Decide {
    run: String,
    /// The number that has to be typed, where much would be taken away.
    number: Option<String>,
    error: Option<String>,
    may: bool,
    said: Vec<(String, &'static str, When)>,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    shell: Shell,
    slug: String,
    connection: String,
    headline: String,
    made: When,
    /// Where this plan is, without what is wanted of it.
    here: String,
    why: String,
    letter: Letter,
    decide: Option<Decide>,
    /// What became of it, where it does not wait.
    over: Option<&'static str>,
    run: Option<String>,
}

pub(super) fn wanted(visit: &Visit) -> Wanted {
    Wanted {
        show: visit.text("show").unwrap_or_default().to_owned(),
        find: visit.text("find").unwrap_or_default().trim().to_owned(),
        from: visit.text("from").and_then(|from| from.parse().ok()).unwrap_or_default(),
    }
}

pub(super) fn no_plan() -> Problem {
    let what =
        "there is no plan: it has not got that far, found nothing changed, or was kept by another version";
    Problem::local(FailureCode::AddressUnknown, what, "look at the run itself")
}

pub(super) async fn page(visit: Visit) -> Result {
    let run = visit.run()?;
    Reply::page(&made(&visit, &run, None).await?)
}

/// The page of a run's plan.
async fn made(visit: &Visit, run: &RunId, error: Option<String>) -> Result<PlanPage> {
    let service = &visit.console.service;
    let now = service.now();
    let story = service.story(run).await?;
    let told = told(visit, &story.run).await?.ok_or_else(no_plan)?;
    let mut letter = told.letter(visit, wanted(visit)).await?;
    let name = &story.run.connection;
    let connection = service.connections().await?.into_iter().find(|known| known.name == *name);
    let waits = connection.and_then(|connection| connection.waits).as_ref() == Some(run);
    let rejected = story.decisions.iter().any(|decided| decided.decision == Decision::Rejected);
    let over = match story.run.status {
        RunStatus::Running => Some("The run is under way; nothing can be said of its plan yet."),
        RunStatus::Held if rejected => Some("It was rejected. A later run may plan the same again."),
        RunStatus::Held if !waits => {
            Some("A later run has taken its place. Nothing of this one can be approved any more.")
        }
        RunStatus::Held => None,
        RunStatus::Converged => Some("It was done, and read back."),
        RunStatus::Partial => Some("Some of it was done; the run says what was not."),
        RunStatus::Failed => Some("It was not done; the run says why."),
    };
    letter.picks = waits && visit.may(Role::Approver);
    if letter.picks {
        Picked::kept(visit, run).await?.put(&mut letter);
    }
    let decide = waits.then(|| Decide {
        run: run.to_string(),
        number: dangerous(&letter).then(|| letter.held_steps.to_string()),
        error,
        may: visit.may(Role::Approver),
        said: story
            .decisions
            .iter()
            .map(|decided| (decided.actor.clone(), decided.did(), When::new(decided.at, now)))
            .collect(),
    });
    let headline = match over {
        Some(_) => format!("The plan of {}", super::parts::day_and_time(story.run.started_at)),
        None => letter.finding.clone(),
    };
    Ok(PlanPage {
        shell: visit.shell_of(name, headline.clone()).await?.at("Plans"),
        slug: encoded(&slug(name)),
        connection: name.clone(),
        headline,
        made: When::new(story.run.started_at, now),
        here: format!("/runs/{run}/plan"),
        why: format!("/runs/{run}/why"),
        letter,
        decide,
        over,
        run: Some(run.to_string()),
    })
}

/// Much would be taken away: whoever approves has to have looked.
fn dangerous(letter: &Letter) -> bool {
    letter.removals > 0 || letter.empties || letter.taken_off > 0
}

/// The newest preview of a connection, or of a draft of one: its plan, and when it was made; or why it could not be made.
pub(super) async fn newest(
    visit: &Visit,
    connection: &str,
) -> Result<Option<std::result::Result<(Told, jiff::Timestamp), Failure>>> {
    let Some(head) = visit.console.service.preview_head(connection).await? else { return Ok(None) };
    if let Some(failure) = head.failure {
        return Ok(Some(Err(failure)));
    }
    let told = told::preview(visit, connection, head.at).await?;
    Ok(told.map(|told| Ok((told, head.at))))
}

async fn newest_preview(visit: &Visit, connection: &str) -> Result<(Told, jiff::Timestamp)> {
    match newest(visit, connection).await? {
        Some(Ok(preview)) => Ok(preview),
        Some(Err(failure)) => Err(failure.into()),
        None => Err(no_plan()),
    }
}

pub(super) async fn preview(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let (told, at) = newest_preview(&visit, &connection.name).await?;
    let slug = encoded(&slug(&connection.name));
    let letter = told.letter(&visit, wanted(&visit)).await?;
    let headline = if letter.held.is_empty() && letter.steps > 0 {
        format!("{} to do", count(letter.steps as u64, "step", "steps"))
    } else {
        letter.finding.clone()
    };
    let page = PlanPage {
        shell: visit.shell_of(&connection.name, headline.clone()).await?.at("Plans"),
        headline,
        made: When::new(at, visit.console.service.now()),
        here: format!("/connections/{slug}/preview"),
        why: format!("/connections/{slug}/preview/why"),
        letter,
        decide: None,
        over: None,
        run: None,
        connection: connection.name,
        slug,
    };
    Reply::page(&page)
}

#[derive(Template)]
#[template(path = "why.html")]
struct WhyPage {
    shell: Shell,
    back: String,
    why: Why,
}

async fn explained(visit: &Visit, connection: &str, plan: &PlanView, back: String) -> Result {
    let why = Why::of(plan, visit.text("who").unwrap_or_default()).ok_or_else(|| {
        let what = "the plan says nothing of them";
        Problem::local(FailureCode::ObjectUnknown, what, "go back to the plan and open a row of it")
    })?;
    let shell = visit.shell_of(connection, format!("Why: {}", why.name)).await?.at("Plans");
    Reply::page(&WhyPage { shell, back, why })
}

pub(super) async fn why(visit: Visit) -> Result {
    let run = visit.run()?;
    let summary = visit.console.service.summary(&run).await?;
    let connection = &summary.connection;
    let Some(told) = told(&visit, &summary).await? else {
        return gone(&visit, &run, connection).await;
    };
    let about = told.about_one(&visit, visit.text("who").unwrap_or_default()).await?;
    explained(&visit, connection, &about, format!("/runs/{run}/plan")).await
}

#[derive(Template)]
#[template(path = "why_gone.html")]
struct GonePage {
    shell: Shell,
    run: String,
    today: Option<String>,
}

/// The plan that would tell why is not there: says so, and where the answer of today is.
async fn gone(visit: &Visit, run: &RunId, connection: &str) -> Result {
    let slug = encoded(&slug(connection));
    let who = visit.text("who");
    Reply::page(&GonePage {
        shell: visit.shell_of(connection, "The plan of that run is no longer kept").await?.at("Runs"),
        run: run.to_string(),
        today: who.map(|who| format!("/connections/{slug}/person?who={}", encoded(who))),
    })
}

pub(super) async fn preview_why(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let (told, _) = newest_preview(&visit, &connection.name).await?;
    let plan = told.about_one(&visit, visit.text("who").unwrap_or_default()).await?;
    let back = format!("/connections/{}/preview", encoded(&slug(&connection.name)));
    explained(&visit, &connection.name, &plan, back).await
}

#[derive(Template)]
#[template(path = "plans.html")]
struct PlansPage {
    shell: Shell,
    slug: String,
    name: String,
    headline: &'static str,
    waits: Option<(String, String, When)>,
    preview: Option<(String, When)>,
    trouble: Option<String>,
    may_plan: bool,
    runs: Vec<RunRow>,
}

pub(super) async fn plans(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let service = &visit.console.service;
    let now = service.now();
    let last = connection.last.as_ref();
    let report = last.and_then(|run| run.report.as_ref());
    let waits = connection.waits.as_ref().zip(report).map(|(run, report)| {
        let what = report.held.iter().map(|held| held.reason.as_str()).next().unwrap_or("a plan is held");
        (run.to_string(), super::parts::sentence(what), When::new(report.started_at, now))
    });
    let (preview, trouble) = match newest(&visit, &connection.name).await? {
        Some(Ok((told, at))) => {
            let what = match told.in_short().steps {
                0 => "nothing would be done".into(),
                steps => count(steps as u64, "step would be done", "steps would be done"),
            };
            (Some((what, When::new(at, now))), None)
        }
        Some(Err(failure)) => (None, Some(failure.message)),
        None => (None, None),
    };
    let runs = service.runs(Some(&connection.name), None, 100).await?;
    let held = runs.iter().filter(|run| run.status == RunStatus::Held).take(20);
    Reply::page(&PlansPage {
        shell: visit.shell_of(&connection.name, "Plans").await?,
        headline: if waits.is_some() { "One plan waits for a person" } else { "No plan waits" },
        slug: encoded(&slug(&connection.name)),
        waits,
        preview,
        trouble,
        may_plan: visit.may(Role::Operator),
        runs: held.map(|run| RunRow::of(run, now)).collect(),
        name: connection.name,
    })
}

pub(super) async fn approve(visit: Visit) -> Result {
    let run = visit.run()?;
    let picked = Picked::of(&visit);
    if !picked.is_empty() {
        return part::approve(visit, run, picked).await;
    }
    let summary = visit.console.service.summary(&run).await?;
    let letter = told(&visit, &summary).await?.ok_or_else(no_plan)?.in_short();
    let reason = visit.text("reason").map(str::trim).unwrap_or_default();
    let error = if dangerous(&letter)
        && visit.text("number").map(str::trim) != Some(&*letter.held_steps.to_string())
    {
        Some(format!("The number is not {}: so many steps are held.", number(letter.held_steps as u64)))
    } else if dangerous(&letter) && reason.is_empty() {
        Some("Say why: it stands in the audit log.".into())
    } else if letter.empties && visit.text("accept_empty").is_none() {
        Some("The directory or the scope reads as empty. Tick that this is so.".into())
    } else {
        None
    };
    if error.is_some() {
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &made(&visit, &run, error).await?);
    }
    let approval = if letter.empties { Approval::EvenEmpty } else { Approval::Held };
    note_reason(&visit, &run, reason).await?;
    let what = What::Approve(run, approval, Selection::default());
    begin(&visit, summary.connection, what, Trigger::Approval, "approved").await
}

/// Keeps in the audit log why something is approved.
pub(super) async fn note_reason(visit: &Visit, run: &RunId, reason: &str) -> Result<()> {
    if reason.is_empty() {
        return Ok(());
    }
    let note = AuditNote {
        actor: visit.name()?,
        action: "plan_reason".into(),
        object: run.to_string(),
        detail: reason.to_owned(),
    };
    Ok(visit.console.service.note(note).await?)
}

pub(super) async fn reject(visit: Visit) -> Result {
    let run = visit.run()?;
    let service = &visit.console.service;
    let connection = service.summary(&run).await?.connection;
    service.reject(&connection, &run, &visit.name()?).await?;
    Reply::saying(&format!("/runs/{run}/plan"), "rejected")
}
