//! Signing in and out; the first administrator; links that sign in once.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::FailureCode;
use entrain_domain::accounts::{Account, Chosen, LinkFor, Session};
use entrain_domain::service::Role;
use jiff::SignedDuration;

use super::parts::sentence;
use super::session::Jar;
use super::shell::Head;
use super::throttle::Attempt;
use super::visit::{Reply, Visit, next};
use crate::accounts::{NewAccount, check_name, digest, fits, hash_password, random_secret};
use crate::problem::Problem;

type Result<T = Reply> = std::result::Result<T, Problem>;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    head: Head,
    /// Whether there is anybody who could sign in.
    anybody: bool,
    name: String,
    next: String,
    /// Where people sign in through the directory, if they may.
    microsoft: Option<String>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "first.html")]
struct FirstPage {
    head: Head,
    name: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "enter.html")]
struct EnterPage {
    head: Head,
    name: String,
}

pub(super) async fn page(visit: Visit) -> Result {
    let on = next(visit.text("next")).to_owned();
    if visit.who.is_some() {
        return Reply::to(&on);
    }
    let anybody = !visit.console.service.accounts().await?.is_empty();
    let head = visit.head("Sign in");
    let microsoft = super::microsoft::address(&visit, &on);
    Reply::page(&SignInPage { head, anybody, name: String::new(), next: on, microsoft, error: None })
}

pub(super) async fn sign_in(visit: Visit) -> Result {
    let settings = &visit.console.settings;
    let name = visit.text("name").unwrap_or_default().trim().to_owned();
    let password = visit.field("password").unwrap_or_default().to_owned();
    let browser = Jar::Browser.read(settings, &visit.headers).map(|cookie| digest(&cookie));
    let attempt = Attempt { name: name.to_lowercase(), from: visit.from, browser };
    if let Err(wait) = visit.console.throttle.try_now(&attempt) {
        let seconds = wait.as_secs() + 1;
        let what = format!("too many wrong passwords were tried; the next may be in {seconds} seconds");
        return Err(Problem::local(FailureCode::TooManyRequests, what, "wait, then try again").after(seconds));
    }
    let account = visit.console.service.account_named(&name).await?;
    let right = fits(password, account.as_ref().map(|account| account.hash.clone())).await;
    let account = account.filter(|account| right && account.disabled_at.is_none());
    let Some(account) = account else {
        let page = SignInPage {
            head: visit.head("Sign in"),
            anybody: true,
            next: next(visit.text("next")).to_owned(),
            microsoft: super::microsoft::address(&visit, next(visit.text("next"))),
            name,
            error: Some("Name or password are not right, or the account is disabled.".into()),
        };
        return Reply::page_with(StatusCode::UNAUTHORIZED, &page);
    };
    let browser = Jar::Browser.read(settings, &visit.headers).filter(|cookie| cookie.len() == 64);
    let browser = match browser {
        Some(cookie) => cookie,
        None => random_secret()?,
    };
    visit.console.throttle.was_right(&attempt, &digest(&browser));
    let reply = begin(&visit, &account, None, next(visit.text("next"))).await?;
    Ok(reply.cookie(&Jar::Browser.set(settings, &browser)))
}

/// Begins a session under a new id; whatever the browser held before is worth nothing.
pub(super) async fn begin(visit: &Visit, account: &Account, link: Option<String>, on: &str) -> Result {
    let console = &visit.console;
    if let Some(who) = &visit.who {
        console.service.end_session(&who.session.id).await?;
    }
    let secret = random_secret()?;
    let now = console.service.now();
    let longest = SignedDuration::try_from(console.settings.longest).unwrap_or(SignedDuration::MAX);
    let session = Session {
        id: digest(&secret),
        account: account.id.clone(),
        began_at: now,
        seen_at: now,
        ends_at: now.saturating_add(longest).unwrap_or(jiff::Timestamp::MAX),
        address: visit.from.map(|from| from.to_string()).unwrap_or_default(),
        agent: visit.agent(),
    };
    console.service.begin_session(session, link).await?;
    let settings = &console.settings;
    Ok(Reply::to(on)?.cookie(&Jar::Session.set(settings, &secret)).cookie(&Jar::Visitor.forget(settings)))
}

/// A new session for who is signed in, after their sessions were ended.
pub(super) async fn begin_anew(visit: &Visit, on: &str) -> Result {
    let account = visit.who()?.account.clone();
    begin(visit, &account, None, on).await
}

pub(super) async fn sign_out(visit: Visit) -> Result {
    visit.console.service.end_session(&visit.who()?.session.id).await?;
    Ok(Reply::to("/sign-in")?.cookie(&Jar::Session.forget(&visit.console.settings)))
}

fn spent() -> Problem {
    let what = "the link was used before, has ended, or never was one";
    Problem::local(FailureCode::LinkSpent, what, "take the newest link that the service printed, or sign in")
        .with(StatusCode::NOT_FOUND)
}

pub(super) async fn first_page(visit: Visit) -> Result {
    match visit.console.service.link(&digest(visit.path("link"))).await? {
        Some(LinkFor::First) => {
            let head = visit.head("The first administrator");
            Reply::page(&FirstPage { head, name: String::new(), error: None })
        }
        _ => Err(spent()),
    }
}

pub(super) async fn first(visit: Visit) -> Result {
    let link = digest(visit.path("link"));
    if visit.console.service.link(&link).await? != Some(LinkFor::First) {
        return Err(spent());
    }
    let name = visit.text("name").unwrap_or_default().trim().to_owned();
    let password = visit.field("password").unwrap_or_default();
    let checked = check_name(&name).map_err(|failure| failure.message);
    let error = if let Err(error) = checked {
        Some(error)
    } else if visit.field("again") != Some(password) {
        Some("the two passwords are not the same".into())
    } else {
        None
    };
    let hash = match error {
        Some(error) => Err(error),
        None => hash_password(password.to_owned()).await.map_err(|failure| failure.message),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(error) => {
            let head = visit.head("The first administrator");
            let page = FirstPage { head, name, error: Some(sentence(&error)) };
            return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let new = NewAccount {
        name: name.clone(),
        role: Role::Administrator,
        hash,
        chosen: Chosen::ByHolder,
        link: Some(link),
    };
    let account = visit.console.service.make_account(new, &name).await?;
    begin(&visit, &account, None, "/").await
}

/// The account that a link signs in as.
async fn entering(visit: &Visit) -> Result<Account> {
    let Some(LinkFor::Account(id)) = visit.console.service.link(&digest(visit.path("link"))).await? else {
        return Err(spent());
    };
    visit.console.service.account(&id).await?.ok_or_else(spent)
}

pub(super) async fn enter_page(visit: Visit) -> Result {
    let account = entering(&visit).await?;
    Reply::page(&EnterPage { head: visit.head("Sign in"), name: account.name })
}

pub(super) async fn enter(visit: Visit) -> Result {
    let account = entering(&visit).await?;
    begin(&visit, &account, Some(digest(visit.path("link"))), "/").await
}
