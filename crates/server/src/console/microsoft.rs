//! Signing in to the console through the directory. What has to be kept until the browser comes back is in a sealed
//! cookie of this browser, good for ten minutes and for one sign-in; so any server over the database can finish it. The
//! session begins under a new id, and the role is what the groups give at this moment.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::FailureCode;
use entrain_domain::accounts::DirectoryPerson;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::session::Jar;
use super::shell::Head;
use super::visit::{Reply, Visit, next};
use crate::accounts::{LONGEST_NAME, check_name};
use crate::doors::pace::Step;
use crate::federation::{Attested, Federation, Standing};
use crate::problem::Problem;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// How long a sign-in may take.
const LIFE: SignedDuration = SignedDuration::from_mins(10);
/// Longest address to go on to: a cookie has room for 4096 bytes.
const LONGEST_NEXT: usize = 600;
/// Characters of a name that are kept, so that an object id fits behind it.
const NAME_ROOM: usize = LONGEST_NAME - 40;

/// A sign-in that was begun, in its cookie.
#[derive(Serialize, Deserialize)]
struct Started {
    until: Timestamp,
    state: String,
    kept: String,
    next: String,
}

#[derive(Template)]
#[template(path = "microsoft.html")]
struct RefusedPage {
    head: Head,
    title: &'static str,
    what: String,
    remedy: &'static str,
    again: &'static str,
}

/// Where people sign in with Microsoft and then go on to, where they may.
pub(super) fn address(visit: &Visit, on: &str) -> Option<String> {
    visit.console.settings.federation.as_ref()?;
    if on == "/" || on.len() > LONGEST_NEXT {
        return Some("/sign-in/microsoft".to_owned());
    }
    let on: String = url::form_urlencoded::byte_serialize(on.as_bytes()).collect();
    Some(format!("/sign-in/microsoft?next={on}"))
}

fn federation(visit: &Visit) -> Result<&dyn Federation> {
    visit.console.settings.federation.as_deref().ok_or_else(Problem::not_here)
}

fn refused(
    visit: &Visit,
    status: StatusCode,
    title: &'static str,
    what: String,
    remedy: &'static str,
) -> Result {
    let page = RefusedPage { head: visit.head(title), title, what, remedy, again: "/sign-in/microsoft" };
    Ok(Reply::page_with(status, &page)?.cookie(&Jar::Microsoft.forget(&visit.console.settings)))
}

/// It was not begun here, or not by this browser, or not now: one text for all of them.
fn not_ours(visit: &Visit) -> Result {
    refused(
        visit,
        StatusCode::BAD_REQUEST,
        "The sign-in did not work",
        "It was begun too long ago, in another window, or was broken off.".to_owned(),
        "Begin it anew.",
    )
}

fn slow_down(visit: &Visit) -> Result<()> {
    let now = visit.console.service.now();
    if visit.console.pace.step(visit.from, now) == Step::Wait {
        let what = "too many sign in at once";
        return Err(Problem::local(FailureCode::TooManyRequests, what, "wait, then try again").after(10));
    }
    Ok(())
}

pub(super) async fn begin(visit: Visit) -> Result {
    let federation = federation(&visit)?;
    let on = next(visit.text("next"));
    if visit.who.is_some() {
        return Reply::to(on);
    }
    slow_down(&visit)?;
    if visit.console.service.accounts().await?.is_empty() {
        return Reply::to("/sign-in");
    }
    let begun = federation.begin().await?;
    let started = Started {
        until: visit.console.service.now() + LIFE,
        state: begun.state,
        kept: begun.kept.expose_secret().to_owned(),
        next: if on.len() <= LONGEST_NEXT { on.to_owned() } else { "/".to_owned() },
    };
    let text = serde_json::to_string(&started).map_err(|_| Problem::internal())?;
    let sealed = federation.seal(&SecretString::from(text))?;
    Ok(Reply::to(&begun.url)?.cookie(&Jar::Microsoft.set(&visit.console.settings, &sealed)))
}

/// What this browser began, if that is still good.
fn started(visit: &Visit, federation: &dyn Federation) -> Option<Started> {
    let sealed = Jar::Microsoft.read(&visit.console.settings, &visit.headers)?;
    let text = federation.open(&sealed)?;
    let started: Started = serde_json::from_str(text.expose_secret()).ok()?;
    (visit.console.service.now() < started.until).then_some(started)
}

pub(super) async fn callback(visit: Visit) -> Result {
    let federation = federation(&visit)?;
    slow_down(&visit)?;
    let Some(started) = started(&visit, federation) else { return not_ours(&visit) };
    let state = visit.text("state").unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(started.state.as_bytes())) {
        tracing::warn!("a sign-in to the console came back with the state of another");
        return not_ours(&visit);
    }
    if let Some(error) = visit.text("error") {
        let word: String = error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(60).collect();
        tracing::info!("a sign-in to the console was broken off: {word}");
        return not_ours(&visit);
    }
    let Some(code) = visit.text("code") else { return not_ours(&visit) };
    let attested = match federation.finish(&SecretString::from(started.kept), code).await {
        Ok(attested) => attested,
        Err(failure) if failure.code == FailureCode::SignInRefused => {
            tracing::warn!("a sign-in to the console was refused: {failure}");
            return not_ours(&visit);
        }
        Err(failure) => {
            tracing::warn!(code = %failure.code, "a sign-in to the console failed: {failure}; {}", failure.remedy);
            let what =
                "Microsoft's sign-in service did not answer as it should, or Entrain is not set up for it.";
            let remedy =
                "Try again in a few minutes, or sign in with a password. The log of the service says more.";
            let title = "Signing in does not work right now";
            return refused(&visit, StatusCode::BAD_GATEWAY, title, what.to_owned(), remedy);
        }
    };
    enter(&visit, &attested, next(Some(&started.next))).await
}

/// The name of their account where it is free: how they sign in, else how they are called.
fn name(attested: &Attested) -> String {
    let named = [&attested.username, &attested.name].into_iter().flatten();
    let fit = |name: &String| name.trim().chars().take(NAME_ROOM).collect::<String>().trim().to_owned();
    let mut fitting = named.map(fit).filter(|name| check_name(name).is_ok());
    fitting.next().unwrap_or_else(|| attested.object_id.clone())
}

async fn enter(visit: &Visit, attested: &Attested, on: &str) -> Result {
    let service = &visit.console.service;
    let person = DirectoryPerson {
        tenant_id: attested.tenant_id.clone(),
        object_id: attested.object_id.clone(),
        name: name(attested),
    };
    let title = "Your account has no access here";
    let (why, what, remedy) = match attested.standing {
        Standing::Role(role) => {
            let called = person.name.clone();
            let account = service.admit(person.clone(), role).await?;
            if account.disabled_at.is_none() {
                let settings = &visit.console.settings;
                let reply = super::sign_in::begin(visit, &account, None, on).await?;
                return Ok(reply.cookie(&Jar::Microsoft.forget(settings)));
            }
            (
                "the account is disabled",
                format!(
                    "You are signed in to Microsoft as {called}. Your account of this console is disabled."
                ),
                "Ask an administrator of this console to enable it.",
            )
        }
        Standing::Nothing => (
            "in no group that gives a role",
            format!(
                "You are signed in to Microsoft as {}, and that worked. None of your groups gives a role in this console.",
                person.name
            ),
            "Ask whoever looks after Entra ID to put you into one of the groups that do. Then sign in again.",
        ),
        Standing::TooManyGroups => (
            "in more groups than a token names",
            format!(
                "You are signed in to Microsoft as {}, and are in so many groups that Microsoft does not name them.",
                person.name
            ),
            "Ask whoever looks after Entra ID to have the application's token name only groups assigned to the application.",
        ),
    };
    service.turn_away(person, why).await?;
    refused(visit, StatusCode::FORBIDDEN, title, what, remedy)
}
