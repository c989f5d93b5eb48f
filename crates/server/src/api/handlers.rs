//! What each route does, once it is known that it may.

use axum::http::StatusCode;
use entrain_domain::FailureCode;
use entrain_domain::model::RunId;
use entrain_domain::plan::Approval;
use entrain_domain::run::{Phase, RunSummary, Trigger};
use entrain_domain::service::{Mode, Role, slug};
use entrain_domain::why::Why;
use entrain_engine::schedule::{Due, Health};
use entrain_engine::{Approved, Freshness, Only, Question, Selection};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::ask::{Ask, Reply};
use super::trials;
use crate::notified::Wanted;
use crate::problem::Problem;
use crate::runs::Started;
use crate::service::{Connection, Order, Searched, What};
use crate::sought::Sought;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Entries of a page, unless the request says otherwise.
const PAGE: u32 = 50;
const DAYS: u32 = 90;

fn freshness(ask: &Ask) -> Freshness {
    if ask.flag("full") { Freshness::Full } else { Freshness::Incremental }
}

/// A connection as the API shows it.
fn shown(ask: &Ask, connection: &Connection) -> Value {
    let now = ask.api.service.now();
    let next = connection.schedule.as_ref().and_then(|schedule| {
        match schedule.due(&connection.name, &connection.past, now) {
            Due::Now => Some(now),
            Due::At(at) => Some(at),
            Due::Never => None,
        }
    });
    json!({
        "name": connection.name,
        "slug": slug(&connection.name),
        "site": connection.site,
        "mode": connection.mode,
        "version": connection.version,
        "quarantined": connection.past.health == Health::Quarantined,
        "last_scheduled_at": connection.past.fired_at,
        "next_scheduled_at": next,
        "running": ask.api.runs.of(&connection.name),
    })
}

/// How change notifications of a connection stand.
pub(super) async fn notifications(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let shown = ask.api.service.notifications(&connection.name).await?;
    let troubles: Vec<Value> = shown
        .standing
        .troubles
        .iter()
        .map(|trouble| {
            let (what, remedy) = trouble.words();
            let mut value = json!(trouble);
            (value["message"], value["remedy"]) = (json!(what), json!(remedy));
            value
        })
        .collect();
    Ok(Reply::json(json!({
        "enabled": shown.wanted == Wanted::Yes,
        "subscriptions": shown.standing.subscriptions,
        "last_heard_at": shown.standing.heard_at,
        "troubles": troubles,
        "freshness": { "all": shown.freshness.0, "by_notification": shown.freshness.1 },
    })))
}

pub(super) async fn connections(ask: Ask) -> Result {
    let all = ask.api.service.connections().await?;
    let all: Vec<Value> = all.iter().map(|connection| shown(&ask, connection)).collect();
    Ok(Reply::json(json!({ "connections": all })))
}

async fn with_document(ask: &Ask, name: &str) -> Result<Value> {
    let connection = ask.connection_named(name).await?;
    let mut value = shown(ask, &connection);
    value["document"] = json!(ask.api.service.document(&connection.name).await?);
    Ok(value)
}

pub(super) async fn connection(ask: Ask) -> Result {
    with_document(&ask, ask.path("connection")).await.map(Reply::json)
}

pub(super) async fn put_connection(ask: Ask) -> Result {
    let asked = ask.path("connection");
    let known = ask.connection().await.ok();
    let name = known.as_ref().map_or(asked, |connection| &connection.name);
    if ask.flag("dry_run") {
        return trials::document(&ask, name).await;
    }
    let document = ask.text("document").unwrap_or_default().to_owned();
    let why = Why::maybe(ask.text("why"))
        .map_err(|no| Problem::request(no.to_string(), "say it in one line, or leave it out"))?;
    ask.api.service.put(name, document, &ask.caller.name, why).await?;
    let status = if known.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok(Reply::Json(status, with_document(&ask, asked).await?))
}

pub(super) async fn remove_connection(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    ask.api.service.remove(&connection.name, &ask.caller.name).await?;
    Ok(Reply::Done)
}

pub(super) async fn set_mode(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let mode = ask.text("mode").and_then(Mode::from_word).unwrap_or_default();
    ask.api.service.set_mode(&connection.name, mode, &ask.caller.name).await?;
    with_document(&ask, &connection.name).await.map(Reply::json)
}

pub(super) async fn check(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let checks = ask.api.service.check(&connection.name).await?;
    Ok(Reply::json(json!({ "connection": connection.name, "checks": checks })))
}

pub(super) async fn plan(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    Ok(Reply::json(ask.api.service.plan(&connection.name, freshness(&ask)).await?))
}

pub(super) async fn preview(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let preview = ask.api.service.preview(&connection.name).await?;
    let preview: Option<Value> = preview.and_then(|preview| serde_json::from_str(&preview).ok());
    preview.map(Reply::json).ok_or_else(|| {
        Problem::local(
            FailureCode::AddressUnknown,
            "the schedule has not made a preview of this connection yet",
            "POST to its plan makes one now",
        )
    })
}

pub(super) async fn sync(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let what = match (ask.text("user"), ask.text("group")) {
        (None, None) => What::Sync,
        (Some(user), None) => What::Only(Only::User(user.into())),
        (None, Some(group)) => What::Only(Only::Group(group.into())),
        (Some(_), Some(_)) => {
            return Err(Problem::request(
                "both a person and a group are named",
                "give user or group, or neither",
            ));
        }
    };
    start(&ask, connection.name, what, Trigger::Manual).await
}

/// Starts a run, and waits for its end if that is asked for.
async fn start(ask: &Ask, connection: String, what: What, trigger: Trigger) -> Result {
    let order = Order { connection, what, trigger, by: ask.caller.name.clone(), freshness: freshness(ask) };
    let approved = match ask.api.runs.start(order).await? {
        Started::Began(run, end) if ask.flag("wait") => {
            let Ok(result) = end.await else {
                tracing::error!(run = %run, "the run ended in a way that it should not");
                return Err(Problem::internal());
            };
            result?
        }
        Started::Began(run, _) => {
            let address = format!("/api/v1/runs/{run}");
            return Ok(Reply::Begun(json!({ "run_id": run, "status": "running" }), address));
        }
        Started::Ended(approved) => approved,
    };
    Ok(Reply::json(match approved {
        Approved::Run(report) => json!(report),
        Approved::Waiting { by, needed } => json!({ "status": "held", "approved_by": by, "needed": needed }),
    }))
}

pub(super) async fn explain(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let question = match (ask.text("user"), ask.text("group")) {
        (Some(user), Some(group)) => Question::Membership { user: user.into(), group: group.into() },
        (Some(user), None) => Question::User(user.into()),
        (None, Some(group)) => Question::Group(group.into()),
        (None, None) => {
            return Err(Problem::request("nobody is asked about", "give user, group, or both"));
        }
    };
    let told = ask.api.service.explain(&connection.name, question, freshness(&ask)).await?;
    Ok(Reply::json(json!(told)))
}

pub(super) async fn users(ask: Ask) -> Result {
    search(&ask, Searched::Users).await
}

pub(super) async fn groups(ask: Ask) -> Result {
    search(&ask, Searched::Groups).await
}

async fn search(ask: &Ask, what: Searched) -> Result {
    let connection = ask.connection().await?;
    let limit = ask.number("limit", PAGE) as usize;
    let text = ask.text("search").unwrap_or_default();
    Ok(Reply::json(ask.api.service.search(&connection.name, what, text, limit).await?))
}

fn summary(run: &RunSummary) -> Value {
    json!({
        "run_id": run.id,
        "connection": run.connection,
        "trigger": run.trigger,
        "status": run.status,
        "phase": run.phase,
        "started_at": run.started_at,
        "steps": run.report.as_ref().map_or_else(|| json!({}), |report| json!(report.steps)),
    })
}

pub(super) async fn runs(ask: Ask) -> Result {
    let connection = match ask.text("connection") {
        Some(asked) => Some(ask.connection_named(asked).await?.name),
        None => None,
    };
    let before = match ask.text("cursor") {
        Some(cursor) => Some(RunId::parse(cursor).map_err(|_| wrong_cursor())?),
        None => None,
    };
    let limit = ask.number("limit", PAGE);
    // One more than asked for tells whether there is a next page
    let mut runs = ask.api.service.runs(connection.as_deref(), before.as_ref(), limit + 1).await?;
    let more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    let next = runs.last().filter(|_| more).map(|run| run.id.clone());
    let runs: Vec<Value> = runs.iter().map(summary).collect();
    Ok(Reply::json(json!({ "runs": runs, "next": next })))
}

fn wrong_cursor() -> Problem {
    Problem::request("the cursor is not one that was given out", "take next of the page before")
}

pub(super) async fn run(ask: Ask) -> Result {
    Ok(Reply::json(ask.api.service.detail(&ask.run()?).await?))
}

pub(super) async fn run_plan(ask: Ask) -> Result {
    let run = ask.run()?;
    ask.api.service.summary(&run).await?;
    let plan = ask.api.service.planned(&run).await?;
    let plan: Option<Value> = plan.and_then(|plan| serde_json::from_str(&plan).ok());
    plan.map(Reply::json).ok_or_else(|| {
        let what = "the run has no plan: it has not got that far, or found nothing changed";
        Problem::local(FailureCode::AddressUnknown, what, "look at the run itself")
    })
}

pub(super) async fn stop(ask: Ask) -> Result {
    let run = ask.run()?;
    let summary = ask.api.service.summary(&run).await?;
    if summary.phase == Phase::Ended {
        return Err(Problem::local(
            FailureCode::RunOver,
            format!("the run is not under way; it is {}", summary.status.as_str()),
            "look at the run itself",
        ));
    }
    // Another server may do the run, and looks for this
    ask.api.service.ask_to_stop(&run, &ask.caller.name).await?;
    ask.api.runs.stop(&run);
    tracing::info!(run = %run, by = ask.caller.name, "told to stop");
    Ok(Reply::Json(StatusCode::ACCEPTED, json!({ "run_id": run, "status": "stopping" })))
}

/// The connection of the run that the address names.
async fn of_run(ask: &Ask) -> Result<(RunId, String)> {
    let run = ask.run()?;
    let connection = ask.api.service.summary(&run).await?.connection;
    Ok((run, connection))
}

pub(super) async fn approve(ask: Ask) -> Result {
    let (run, connection) = of_run(&ask).await?;
    let approval = if ask.flag("accept_empty") { Approval::EvenEmpty } else { Approval::Held };
    let selection = Selection { steps: ask.texts("steps"), people: ask.texts("people") };
    start(&ask, connection, What::Approve(run, approval, selection), Trigger::Approval).await
}

pub(super) async fn reject(ask: Ask) -> Result {
    let (run, connection) = of_run(&ask).await?;
    ask.api.service.reject(&connection, &run, &ask.caller.name).await?;
    Ok(Reply::Done)
}

pub(super) async fn undo(ask: Ask) -> Result {
    let (run, connection) = of_run(&ask).await?;
    start(&ask, connection, What::Undo(run), Trigger::Undo).await
}

pub(super) async fn alerts(ask: Ask) -> Result {
    let connection = match ask.text("connection") {
        Some(asked) => Some(ask.connection_named(asked).await?.name),
        None => None,
    };
    let mut alerts = ask.api.service.alerts(connection.as_deref()).await?;
    if let Some(state) = ask.text("state") {
        alerts.retain(|alert| alert["state"] == state);
    }
    Ok(Reply::json(json!({ "alerts": alerts })))
}

pub(super) async fn acknowledge_alert(ask: Ask) -> Result {
    let note = ask.text("note").unwrap_or_default();
    Ok(Reply::json(ask.api.service.acknowledge_alert(ask.path("alert"), &ask.caller.name, note).await?))
}

pub(super) async fn test_alerts(ask: Ask) -> Result {
    let connection = ask.connection().await?;
    let outcomes =
        ask.api.service.test_alerts(&connection.name, ask.text("channel"), &ask.caller.name).await?;
    Ok(Reply::json(json!({ "connection": connection.name, "channels": outcomes })))
}

pub(super) async fn audit(ask: Ask) -> Result {
    let before = match ask.text("cursor") {
        Some(cursor) => Some(cursor.parse::<i64>().map_err(|_| wrong_cursor())?),
        None => None,
    };
    let sought = Sought::read(|name| ask.text(name)).map_err(|name| {
        Problem::request(
            format!("“{name}” is no moment"),
            "write a day as 2026-11-01, or an instant as 2026-11-01T08:00:00Z",
        )
    })?;
    let sought = Sought { before, ..sought };
    let limit = ask.number("limit", PAGE);
    let mut entries = ask.api.service.sought(sought, limit + 1).await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| more).map(|entry| entry["seq"].to_string());
    Ok(Reply::json(json!({ "entries": entries, "next": next })))
}

pub(super) async fn verify_audit(ask: Ask) -> Result {
    Ok(Reply::json(ask.api.service.verify_audit().await?))
}

pub(super) async fn keys(ask: Ask) -> Result {
    Ok(Reply::json(json!({ "api_keys": ask.api.service.keys().await? })))
}

pub(super) async fn make_key(ask: Ask) -> Result {
    let name = ask.text("name").unwrap_or_default();
    let role = ask.text("role").and_then(Role::from_word).unwrap_or(Role::Viewer);
    let days = i64::from(ask.number("days", DAYS));
    let expires = ask.api.service.now().checked_add(SignedDuration::from_hours(24 * days));
    let expires =
        expires.map_err(|_| Problem::request("the key would outlive the calendar", "give fewer days"))?;
    let key = ask.api.service.make_key(name, role, expires, &ask.caller.name).await?;
    Ok(Reply::Json(StatusCode::CREATED, key))
}

pub(super) async fn revoke_key(ask: Ask) -> Result {
    ask.api.service.revoke_key(ask.path("key"), &ask.caller.name).await?;
    Ok(Reply::Done)
}

pub(super) async fn schema(ask: Ask) -> Result {
    Ok(Reply::json(ask.api.service.schema()))
}
