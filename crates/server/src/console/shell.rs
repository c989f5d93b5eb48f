//! The frame around pages: sidebar with the places there are, the connection looked at, search, account; and failures.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::FailureCode;
use entrain_domain::run::RunStatus;
use entrain_domain::service::{Role, slug};
use entrain_engine::schedule::Health;

use super::Visit;
use super::pages::{self, Entry};
use super::parts::{Chip, initials, sentence};
use crate::api::routes::Verb;
use crate::problem::Problem;
use crate::service::Connection;

/// What the head of every page needs, and every form in it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) title: String,
    /// `light`, `dark`, or nothing where the system decides.
    pub(crate) theme: &'static str,
    /// The token that every form carries.
    pub(crate) csrf: String,
    /// The address of this page.
    pub(crate) here: String,
}

/// A place in the sidebar.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) label: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) href: String,
    /// Whether it stands in the bottom bar of a phone.
    pub(crate) primary: bool,
    pub(crate) current: bool,
    /// How many plans wait there.
    pub(crate) count: usize,
    /// The letter that goes there after a `g`.
    pub(crate) key: &'static str,
}

/// A connection in the switcher.
#[derive(Debug, Clone)]
pub(crate) struct Switch {
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) site: String,
    pub(crate) chip: Chip,
    pub(crate) current: bool,
}

/// Something the palette offers without a search.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) label: String,
    pub(crate) icon: &'static str,
    pub(crate) href: String,
    pub(crate) note: &'static str,
}

/// The frame of a page for somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) initials: String,
    pub(crate) connections: Vec<Switch>,
    pub(crate) places: Vec<Place>,
    pub(crate) more: Vec<Place>,
    pub(crate) offers: Vec<Offer>,
    /// Whether there is a page that searches.
    pub(crate) searches: bool,
    /// What was just done.
    pub(crate) toast: Option<&'static str>,
}

/// Label, icon, address, whether it is about one connection's daily work, whether it stands in the bottom bar.
const PLACES: [(&str, &str, &str, bool, bool); 9] = [
    ("Overview", "overview", "/connections/{connection}", true, true),
    ("Plans", "plan", "/connections/{connection}/plans", true, true),
    ("Runs", "run", "/connections/{connection}/runs", true, false),
    ("People", "person", "/connections/{connection}/people", true, true),
    ("Groups", "group", "/connections/{connection}/groups", true, true),
    ("Rules", "rules", "/connections/{connection}/rules", true, false),
    ("Reports", "report", "/connections/{connection}/reports", false, false),
    ("Audit", "audit", "/audit", false, false),
    ("Settings", "settings", "/settings", false, false),
];

/// The letter of a place, in the list of keys: its first, or the next that is free.
fn letter(label: &str) -> &'static str {
    match label {
        "Overview" => "o",
        "Plans" => "p",
        "Runs" => "r",
        "People" => "e",
        "Groups" => "g",
        "Rules" => "u",
        "Reports" => "t",
        "Audit" => "a",
        "Settings" => "s",
        _ => "",
    }
}

/// What a page that was sent on to says was done, by the word in its address.
pub(crate) fn said(word: &str) -> Option<&'static str> {
    Some(match word {
        "signed-in" => "You are signed in.",
        "approved" => "Approved. The run has begun.",
        "waits-for-another" => "Noted. Another person has to approve as well.",
        "rejected" => "Rejected. Nothing of it is written.",
        "stopping" => "The run stops after its step.",
        "undoing" => "The undo has begun.",
        "begun" => "The run has begun.",
        "person-in-step" => "Synced. This person is in step.",
        "person-out" => {
            "Synced. The rules give this person nothing; what they had through Entrain is taken away."
        }
        "person-held" => "Guards hold what would be done. A person has to look at it.",
        "person-later" => "Nothing was done now. Try again in a minute.",
        "planned" => "Planned. Nothing was written.",
        "mode" => "The mode has changed.",
        "saved" => "Saved.",
        "password" => "The password has changed. You were signed out everywhere else.",
        "session-ended" => "That session is over.",
        "sessions-ended" => "Every other session is over.",
        "made" => "Made.",
        "removed" => "Removed.",
        "sent" => "Sent.",
        "kept" => "Kept. Come back when you like.",
        "thrown-away" => "Thrown away.",
        "connected" => "Connected.",
        "role" => "The role has changed. It counts from the next request on.",
        "account-disabled" => "Disabled, and signed out everywhere.",
        "account-enabled" => "Enabled.",
        "account-signed-out" => "Signed out everywhere.",
        "taken-on" => "Taken on. It is not repeated any more, unless it gets worse or comes back.",
        "key-revoked" => "Revoked. Programs that use it are refused from now on.",
        _ => return None,
    })
}

/// Whether there is a page of this address that this role may open.
pub(crate) fn open(path: &str, role: Role) -> bool {
    pages::PAGES.iter().any(|page| {
        let may = match page.entry {
            Entry::Anyone | Entry::SignedIn => true,
            Entry::Role(least) => role >= least,
        };
        page.method == Verb::Get && page.path == path && may
    })
}

/// How a connection stands, in one chip.
pub(crate) fn standing(connection: &Connection, running: bool) -> Chip {
    if running {
        return Chip::new("info", "wait", "running");
    }
    if connection.past.health == Health::Quarantined {
        return Chip::new("danger", "danger", "in quarantine");
    }
    if connection.waits.is_some() {
        return Chip::new("warn", "held", "plan held");
    }
    match connection.last.as_ref().map(|run| run.status) {
        None => Chip::new("", "wait", "not run yet"),
        Some(RunStatus::Held) => Chip::new("warn", "warn", "plan rejected"),
        Some(status) => Chip::of_run(status),
    }
}

impl Shell {
    /// The frame for who is signed in, about this connection, or about the first.
    pub(super) async fn of(visit: &Visit, title: String, connection: Option<&str>) -> Result<Self, Problem> {
        let who = visit.who()?;
        let role = who.account.role;
        let all = visit.console.service.connections().await?;
        let current = match connection {
            Some(name) => all.iter().find(|known| known.name == name),
            None => all.first(),
        };
        let here = visit.here.split('?').next().unwrap_or_default();
        let about = current.map(|connection| slug(&connection.name));
        let place = |(label, icon, path, _, primary): (_, _, &str, bool, bool)| {
            let href = match (&about, path.contains('{')) {
                (Some(slug), true) => path.replace("{connection}", &encoded(slug)),
                (None, true) => return None,
                (_, false) => path.to_owned(),
            };
            let inside =
                label != "Overview" && here.strip_prefix(&href).is_some_and(|rest| rest.starts_with('/'));
            let waits = label == "Plans" && current.is_some_and(|connection| connection.waits.is_some());
            open(path, role).then(|| Place {
                label,
                icon,
                current: here == href || inside,
                href,
                primary,
                count: usize::from(waits),
                key: letter(label),
            })
        };
        let (daily, rest): (Vec<_>, Vec<_>) = PLACES.into_iter().partition(|place| place.3);
        let switches = all.iter().map(|known| Switch {
            name: known.name.clone(),
            slug: encoded(&slug(&known.name)),
            site: known.site.trim_start_matches("https://").trim_end_matches('/').to_owned(),
            chip: standing(known, visit.console.runs.of(&known.name).is_some()),
            current: current.is_some_and(|current| current.name == known.name),
        });
        let places: Vec<Place> = daily.into_iter().filter_map(place).collect();
        let more: Vec<Place> = rest.into_iter().filter_map(place).collect();
        let mut offers = Vec::new();
        for known in &all {
            if let Some(run) = &known.waits {
                let label = format!("Review the plan of {}", known.name);
                offers.push(Offer { label, icon: "plan", href: format!("/runs/{run}/plan"), note: "held" });
            }
        }
        offers.push(Offer {
            label: "Keys".into(),
            icon: "search",
            href: "/help/shortcuts".into(),
            note: "?",
        });
        for place in places.iter().chain(&more) {
            let (label, href) = (place.label.to_owned(), place.href.clone());
            offers.push(Offer { label, icon: place.icon, href, note: "" });
        }
        Ok(Self {
            head: visit.head(title),
            name: who.account.name.clone(),
            role: role_word(role),
            initials: initials(&who.account.name),
            connections: switches.collect(),
            places,
            more,
            offers,
            searches: open("/search", role),
            toast: visit.text("said").and_then(said),
        })
    }

    /// The connection looked at.
    pub(crate) fn current(&self) -> Option<&Switch> {
        self.connections.iter().find(|switch| switch.current)
    }

    /// Places with the letter that goes there.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().chain(&self.more).filter(|place| !place.key.is_empty())
    }

    /// Puts a place forward that the address alone does not show, such as *Plans* for the plan of a run.
    #[must_use]
    pub(crate) fn at(mut self, label: &str) -> Self {
        for place in self.places.iter_mut().chain(&mut self.more) {
            place.current = place.label == label;
        }
        self
    }
}

/// A part of an address, percent-encoded.
pub(crate) fn encoded(part: &str) -> String {
    url::form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A role, as it stands under a name.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Operator => "Operator",
        Role::Approver => "Approver",
        Role::Administrator => "Administrator",
    }
}

/// What is said of a failure.
fn headline(problem: &Problem) -> &'static str {
    match problem.status {
        _ if problem.failure.code == FailureCode::PasswordHandedOut => "First a password of your own",
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::FORBIDDEN => "Your role does not allow this",
        StatusCode::UNAUTHORIZED => "Your session is over",
        StatusCode::TOO_MANY_REQUESTS => "Too many tries",
        StatusCode::CONFLICT => "This cannot be done now",
        status if status.is_server_error() && status != StatusCode::BAD_GATEWAY => {
            "Something went wrong here"
        }
        StatusCode::BAD_GATEWAY => "The other side did not do its part",
        _ => "This could not be done",
    }
}

/// A failure, for somebody who is signed in.
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage {
    shell: Shell,
    headline: &'static str,
    what: String,
    object: Option<String>,
    remedy: String,
    code: &'static str,
}

impl ErrorPage {
    pub(super) fn new(mut shell: Shell, problem: &Problem) -> Self {
        let headline = headline(problem);
        headline.clone_into(&mut shell.head.title);
        Self {
            shell,
            headline,
            what: sentence(&problem.failure.message),
            // Once is enough
            object: problem.failure.object.clone().filter(|object| !problem.failure.message.contains(object)),
            remedy: sentence(&problem.failure.remedy),
            code: problem.failure.code.as_str(),
        }
    }
}

/// A failure, for a stranger.
#[derive(Template)]
#[template(path = "error_plain.html")]
pub(super) struct PlainErrorPage {
    head: Head,
    headline: &'static str,
    what: String,
    remedy: String,
    /// The one thing to do, and where.
    on: Option<(&'static str, &'static str)>,
}

impl PlainErrorPage {
    pub(super) fn new(mut head: Head, problem: &Problem) -> Self {
        let headline = headline(problem);
        headline.clone_into(&mut head.title);
        Self {
            head,
            headline,
            what: sentence(&problem.failure.message),
            remedy: sentence(&problem.failure.remedy),
            on: match problem.failure.code {
                FailureCode::PasswordHandedOut => Some(("Choose a password", "/account/new-password")),
                _ if problem.status == StatusCode::UNAUTHORIZED => Some(("Sign in", "/sign-in")),
                _ => None,
            },
        }
    }
}
