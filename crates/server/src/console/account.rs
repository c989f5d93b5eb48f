//! One's own account: password, sessions, light or dark.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::accounts::{AccountChange, Chosen};

use super::parts::{When, sentence};
use super::session::Jar;
use super::settings::{Tab, tabs};
use super::shell::{Head, Shell};
use super::visit::{Reply, Visit, next};
use crate::accounts::{fits, hash_password};
use crate::problem::Problem;

type Result<T = Reply> = std::result::Result<T, Problem>;

struct Row {
    id: String,
    began: When,
    seen: When,
    address: String,
    agent: String,
    this: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    /// Whether they have a password; whoever signs in through the directory has none.
    password: bool,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "shortcuts.html")]
struct ShortcutsPage {
    shell: Shell,
}

/// The list of keys, for whoever has no script, or a phone.
pub(super) async fn shortcuts(visit: Visit) -> Result {
    Reply::page(&ShortcutsPage { shell: visit.shell("Keys").await? })
}

pub(super) async fn page(visit: Visit) -> Result {
    Reply::page(&made(&visit, None).await?)
}

async fn made(visit: &Visit, error: Option<String>) -> Result<AccountPage> {
    let who = visit.who()?;
    let service = &visit.console.service;
    let now = service.now();
    let sessions = service.sessions(Some(&who.account.id)).await?;
    let rows = sessions.into_iter().map(|session| Row {
        began: When::new(session.began_at, now),
        seen: When::new(session.seen_at, now),
        this: session.id == who.session.id,
        id: session.id,
        address: session.address,
        agent: session.agent,
    });
    let password = !who.account.hash.is_empty();
    Ok(AccountPage {
        shell: visit.shell("Your account").await?.at("Settings"),
        tabs: tabs(visit, "/account")?,
        rows: rows.collect(),
        password,
        error,
    })
}

pub(super) async fn password(visit: Visit) -> Result {
    let who = visit.who()?.clone();
    let new = visit.field("password").unwrap_or_default();
    let error =
        if !fits(visit.field("old").unwrap_or_default().to_owned(), Some(who.account.hash.clone())).await {
            Some("The old password is not right.".to_owned())
        } else if visit.field("again") != Some(new) {
            Some("The two new passwords are not the same.".to_owned())
        } else {
            None
        };
    let hash = match error {
        Some(error) => Err(error),
        None => hash_password(new.to_owned()).await.map_err(|failure| sentence(&failure.message)),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(error) => {
            let page = made(&visit, Some(error)).await?;
            return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let service = &visit.console.service;
    service
        .change_account(&who.account.id, AccountChange::Password(hash, Chosen::ByHolder), &who.account.name)
        .await?;
    super::sign_in::begin_anew(&visit, "/account?said=password").await
}

#[derive(Template)]
#[template(path = "new_password.html")]
struct ChoosePage {
    head: Head,
    name: String,
    next: String,
    error: Option<String>,
}

/// The page that whoever signs in with a password that was handed out sees before any other.
pub(super) async fn choose_page(visit: Visit) -> Result {
    if !visit.who()?.account.has_handed_out_password() {
        return Reply::to("/account");
    }
    Reply::page(&choosing(&visit, None)?)
}

fn choosing(visit: &Visit, error: Option<String>) -> Result<ChoosePage> {
    Ok(ChoosePage {
        head: visit.head("Choose a password"),
        name: visit.name()?,
        next: next(visit.text("next")).to_owned(),
        error,
    })
}

pub(super) async fn choose(visit: Visit) -> Result {
    let who = visit.who()?.clone();
    // Otherwise nobody could tell the holder from whoever found their browser open
    if !who.account.has_handed_out_password() {
        let what = "you have a password of your own already";
        return Err(Problem::request(what, "change it under Your account, where the old one is asked for"));
    }
    let new = visit.field("password").unwrap_or_default();
    let chosen = if visit.field("again") != Some(new) {
        Err("The two passwords are not the same.".to_owned())
    } else if fits(new.to_owned(), Some(who.account.hash.clone())).await {
        Err("That is the password you were given. Choose another one.".to_owned())
    } else {
        hash_password(new.to_owned()).await.map_err(|failure| sentence(&failure.message))
    };
    let hash = match chosen {
        Ok(hash) => hash,
        Err(error) => {
            return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &choosing(&visit, Some(error))?);
        }
    };
    let service = &visit.console.service;
    let change = AccountChange::Password(hash, Chosen::ByHolder);
    service.change_account(&who.account.id, change, &who.account.name).await?;
    super::sign_in::begin_anew(&visit, next(visit.text("next"))).await
}

pub(super) async fn end_session(visit: Visit) -> Result {
    let who = visit.who()?;
    let service = &visit.console.service;
    let wanted = visit.text("session").unwrap_or_default();
    let own = service.sessions(Some(&who.account.id)).await?;
    if wanted == "others" {
        for session in own.iter().filter(|session| session.id != who.session.id) {
            service.end_session(&session.id).await?;
        }
        return Reply::saying("/account", "sessions-ended");
    }
    // Nobody else's
    if own.iter().any(|session| session.id == wanted) {
        service.end_session(wanted).await?;
    }
    Reply::saying("/account", "session-ended")
}

/// Light, dark, or as the system has it; kept in the browser alone.
pub(super) async fn theme(visit: Visit) -> Result {
    let settings = &visit.console.settings;
    let back = Reply::to(next(visit.text("next")))?;
    Ok(match visit.text("theme") {
        Some(theme @ ("light" | "dark")) => back.cookie(&Jar::Theme.set(settings, theme)),
        _ => back.cookie(&Jar::Theme.forget(settings)),
    })
}
