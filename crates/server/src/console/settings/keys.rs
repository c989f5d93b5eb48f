//! Keys of the API: which programs may ask, for how long, and when they did last. A key is shown when it is made, and
//! never again.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::FailureCode;
use entrain_domain::service::Role;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::super::parts::{Chip, When, count, icon};
use super::super::shell::{Shell, encoded, role_word};
use super::super::visit::{Reply, Visit};
use super::{Choice, OncePage, PAGE, Result, Tab, Window, choices, role, tabs};
use crate::accounts::check_name;
use crate::problem::Problem;

const HERE: &str = "/settings/keys";
/// Days after which a key ends, unless somebody says otherwise.
const DAYS: i64 = 90;
/// Most days.
const MOST_DAYS: i64 = 3_650;
/// A key that ends within this time is to be replaced.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A key, without its secret.
#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: String,
    role: Role,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
}

impl Key {
    fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    fn ends_soon(&self, now: Timestamp) -> bool {
        self.is_good(now) && self.expires_at.duration_since(now) < SOON
    }

    fn chip(&self, now: Timestamp) -> Chip {
        if self.revoked_at.is_some() {
            Chip::new("danger", "danger", "revoked")
        } else if now >= self.expires_at {
            Chip::new("", "off", "ended")
        } else if self.ends_soon(now) {
            Chip::new("warn", "warn", "ends soon")
        } else {
            Chip::new("ok", "ok", "good")
        }
    }
}

struct Row {
    href: String,
    name: String,
    role: &'static str,
    ends: When,
    used: Option<When>,
    chip: Chip,
}

#[derive(Template)]
#[template(path = "settings_keys.html")]
struct KeysPage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    rows: Vec<Row>,
    total: usize,
    window: Window,
    roles: Vec<Choice>,
    name: String,
    days: String,
    name_error: Option<String>,
    days_error: Option<String>,
}

/// All keys, those that let somebody in first, and of each kind the newest first.
async fn all(visit: &Visit) -> Result<Vec<Key>> {
    let service = &visit.console.service;
    let now = service.now();
    let keys = service.keys().await?;
    let mut keys: Vec<Key> = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
    keys.sort_by_key(|key| (!key.is_good(now), std::cmp::Reverse(key.created_at)));
    Ok(keys)
}

fn headline(keys: &[Key], now: Timestamp) -> String {
    let good = keys.iter().filter(|key| key.is_good(now)).count() as u64;
    let soon = keys.iter().filter(|key| key.ends_soon(now)).count() as u64;
    match (good, soon) {
        (0, _) => "No key lets a program in".to_owned(),
        (good, 0) => format!("{} in", count(good, "key lets a program", "keys let programs")),
        (good, soon) => {
            let ends = count(soon, "ends", "end");
            format!("{} in; {ends} within two weeks", count(good, "key lets a program", "keys let programs"))
        }
    }
}

pub(in super::super) async fn list(visit: Visit) -> Result {
    Reply::page(&listed(&visit, Role::Viewer, (None, None)).await?)
}

async fn listed(
    visit: &Visit,
    chosen: Role,
    (name_error, days_error): (Option<String>, Option<String>),
) -> Result<KeysPage> {
    let now = visit.console.service.now();
    let keys = all(visit).await?;
    let window = Window::of(visit, keys.len());
    let row = |key: &Key| Row {
        href: format!("{HERE}/{}", encoded(&key.id)),
        name: key.name.clone(),
        role: role_word(key.role),
        ends: When::new(key.expires_at, now),
        used: key.used_at.map(|at| When::new(at, now)),
        chip: key.chip(now),
    };
    let again = name_error.is_some() || days_error.is_some();
    let kept = |name: &str, usual: &str| match visit.field(name) {
        Some(text) if again => text.to_owned(),
        _ => usual.to_owned(),
    };
    Ok(KeysPage {
        shell: visit.shell("API keys").await?,
        tabs: tabs(visit, HERE)?,
        headline: headline(&keys, now),
        rows: keys.iter().skip(window.from).take(PAGE).map(row).collect(),
        total: keys.len(),
        window,
        roles: choices(chosen),
        name: kept("name", ""),
        days: kept("days", &DAYS.to_string()),
        name_error,
        days_error,
    })
}

pub(in super::super) async fn make(visit: Visit) -> Result {
    let service = &visit.console.service;
    let role = role(&visit)?;
    let name = visit.field("name").unwrap_or_default().trim().to_owned();
    let days = visit.field("days").unwrap_or_default().trim().parse::<i64>().ok();
    let days = days.filter(|days| (1..=MOST_DAYS).contains(days));
    let name_error = check_name(&name).err().map(|_| {
        "The name is empty, too long, or holds control characters. Give that of the program, or of whom it works for."
            .to_owned()
    });
    let days_error = days.is_none().then(|| format!("Give a number of days between 1 and {MOST_DAYS}."));
    let expires = days.and_then(|days| service.now().checked_add(SignedDuration::from_hours(24 * days)).ok());
    let (Some(expires), None) = (expires, &name_error) else {
        let page = listed(&visit, role, (name_error, days_error)).await?;
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let made = match service.make_key(&name, role, expires, &visit.name()?).await {
        Ok(made) => made,
        Err(failure) if failure.code == FailureCode::ApiKeyExists => {
            let error = format!("There is, or was, a key “{name}”. Names are never used twice.");
            let page = listed(&visit, role, (Some(error), None)).await?;
            return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
        Err(failure) => return Err(failure.into()),
    };
    let Value::String(secret) = made["key"].clone() else { return Err(Problem::internal()) };
    let title = format!("The key “{name}” is made");
    Reply::page(&OncePage {
        shell: visit.shell(&title).await?,
        tabs: tabs(&visit, HERE)?,
        headline: title,
        label: format!("Key “{name}”, until {}", expires.strftime("%-d %b %Y")),
        secret: SecretString::from(secret),
        then: "Put it where the program keeps its secrets. It goes into the header of each request: \
            Authorization: Bearer, a blank, and the key."
            .to_owned(),
        back: HERE.to_owned(),
        back_to: "Back to the keys",
        part: "API keys",
        part_href: HERE,
    })
}

#[derive(Template)]
#[template(path = "settings_key.html")]
struct KeyPage {
    shell: Shell,
    tabs: Vec<Tab>,
    href: String,
    id: String,
    name: String,
    role: &'static str,
    chip: Chip,
    good: bool,
    made: When,
    ends: When,
    used: Option<When>,
    revoked: Option<When>,
}

/// The key that the address names.
async fn named(visit: &Visit) -> Result<Key> {
    let asked = visit.path("key");
    all(visit).await?.into_iter().find(|key| key.id == asked).ok_or_else(|| {
        let what = "there is no key of that id";
        Problem::local(FailureCode::ApiKeyUnknown, what, "choose one from the list of keys")
    })
}

pub(in super::super) async fn page(visit: Visit) -> Result {
    let key = named(&visit).await?;
    let now = visit.console.service.now();
    Reply::page(&KeyPage {
        shell: visit.shell(&key.name).await?,
        tabs: tabs(&visit, HERE)?,
        href: format!("{HERE}/{}", encoded(&key.id)),
        role: role_word(key.role),
        chip: key.chip(now),
        good: key.is_good(now),
        made: When::new(key.created_at, now),
        ends: When::new(key.expires_at, now),
        used: key.used_at.map(|at| When::new(at, now)),
        revoked: key.revoked_at.map(|at| When::new(at, now)),
        id: key.id,
        name: key.name,
    })
}

pub(in super::super) async fn revoke(visit: Visit) -> Result {
    let key = named(&visit).await?;
    visit.console.service.revoke_key(&key.id, &visit.name()?).await?;
    Reply::saying(&format!("{HERE}/{}", encoded(&key.id)), "key-revoked")
}
