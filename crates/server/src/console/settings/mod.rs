//! Settings: who may sign in, which programs may ask, and how the service itself is.
//!
//! | module | page |
//! |---|---|
//! | [`accounts`] | people who sign in to the console |
//! | [`keys`] | keys of the API |
//! | [`alerts`] | what is open, and where people are told |
//! | [`backups`] | everything as one file |
//! | [`about`] | what the service is and runs on |

pub(super) mod about;
pub(super) mod accounts;
pub(super) mod alerts;
pub(super) mod backups;
pub(super) mod keys;

use askama::Template;
use entrain_domain::service::Role;
use secrecy::{ExposeSecret as _, SecretString};

use super::shell::{Shell, open, role_word};
use super::visit::{Reply, Visit};
use crate::problem::Problem;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Rows of a list on one page.
const PAGE: usize = 100;

/// Part, and its address.
const TABS: [(&str, &str); 6] = [
    ("Accounts", "/settings/accounts"),
    ("API keys", "/settings/keys"),
    ("Alerts", "/settings/alerts"),
    ("Backups", "/settings/backups"),
    ("About", "/settings/about"),
    ("Your account", "/account"),
];

/// A part of the settings.
pub(super) struct Tab {
    pub(super) title: &'static str,
    pub(super) href: &'static str,
    pub(super) current: bool,
}

/// The parts that this role may open, in their order.
fn parts(role: Role) -> impl Iterator<Item = (&'static str, &'static str)> {
    TABS.into_iter().filter(move |(_, href)| open(href, role))
}

/// The parts of the settings, as links.
pub(super) fn tabs(visit: &Visit, current: &str) -> Result<Vec<Tab>> {
    let role = visit.who()?.account.role;
    Ok(parts(role).map(|(title, href)| Tab { title, href, current: href == current }).collect())
}

/// The first part that somebody may open.
pub(super) async fn first(visit: Visit) -> Result {
    let role = visit.who()?.account.role;
    Reply::to(parts(role).next().map_or("/account", |(_, href)| href))
}

/// A role that is chosen.
struct Choice {
    word: &'static str,
    label: &'static str,
    what: &'static str,
    chosen: bool,
}

/// Every role, with what it may do.
fn choices(chosen: Role) -> Vec<Choice> {
    let what = |role| match role {
        Role::Viewer => "Looks at everything, and changes nothing.",
        Role::Operator => "Besides: checks, plans, starts and stops runs, takes alerts on.",
        Role::Approver => "Besides: approves and rejects what limits hold, and takes runs back.",
        Role::Administrator => "Besides: changes connections and rules, hands out accounts and keys.",
    };
    let choice = |role: Role| Choice {
        word: role.as_str(),
        label: role_word(role),
        what: what(role),
        chosen: role == chosen,
    };
    Role::ALL.into_iter().map(choice).collect()
}

/// The role that a form chose.
fn role(visit: &Visit) -> Result<Role> {
    let role = visit.text("role").and_then(Role::from_word);
    role.ok_or_else(|| Problem::request("no role is chosen", "choose one of the four"))
}

/// Where a list goes on, and where it came from.
struct Window {
    from: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl Window {
    fn of(visit: &Visit, total: usize) -> Self {
        Self::sized(visit, total, PAGE)
    }

    /// With so many on a page.
    fn sized(visit: &Visit, total: usize, page: usize) -> Self {
        let from = visit.text("from").and_then(|from| from.parse().ok()).unwrap_or(0).min(total);
        Self {
            from,
            before: (from > 0).then(|| from.saturating_sub(page)),
            after: (from + page < total).then_some(from + page),
        }
    }
}

/// A secret that is shown this once.
#[derive(Template)]
#[template(path = "settings_once.html")]
struct OncePage {
    shell: Shell,
    tabs: Vec<Tab>,
    headline: String,
    /// What the secret is called.
    label: String,
    secret: SecretString,
    /// What to do with it.
    then: String,
    back: String,
    back_to: &'static str,
    /// The part of the settings it belongs to.
    part: &'static str,
    part_href: &'static str,
}
