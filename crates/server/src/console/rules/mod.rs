//! The rules of a connection: forms over its document, the document itself, its versions, and what a change would do,
//! shown before it can be saved.

mod edit;
pub(super) mod form;
mod topics;
pub(super) mod versions;

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::service::{Role, slug};
use entrain_domain::why::Why;
use serde::Deserialize;

pub(super) use topics::TAKES;

use super::parts::{count, icon, number, sentence};
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::diff::{self, Line};
use crate::problem::Problem;
use crate::service::Connection;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Most steps that are told one by one.
const SHOWN: usize = 30;

/// A tab of the rules.
struct Tab {
    href: String,
    title: &'static str,
    current: bool,
}

/// The tabs of a connection's rules.
fn tabs(slug: &str, current: &str) -> Vec<Tab> {
    let tab = |word: &'static str, title| Tab {
        href: format!("/connections/{slug}/rules/{word}"),
        title,
        current: word == current,
    };
    let forms = topics::TOPICS.iter().map(|topic| tab(topic.word, topic.title));
    forms.chain([tab("document", "Document"), tab("versions", "Versions")]).collect()
}

/// The rules, opened at their first form.
pub(super) async fn first(visit: Visit) -> Result {
    form::show(visit, "scope").await
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    shell: Shell,
    name: String,
    slug: String,
    tabs: Vec<Tab>,
    version: i64,
    document: String,
    may_change: bool,
}

pub(super) async fn page(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let document = visit.console.service.document(&connection.name).await?;
    let slug = encoded(&slug(&connection.name));
    Reply::page(&RulesPage {
        shell: visit.shell_of(&connection.name, "Rules").await?,
        tabs: tabs(&slug, "document"),
        slug,
        version: connection.version,
        document,
        may_change: visit.may(Role::Administrator),
        name: connection.name,
    })
}

/// A step of a plan, as far as it is told here.
#[derive(Deserialize)]
struct Step {
    id: String,
    kind: String,
    reason: String,
    #[serde(default)]
    user: Option<Named>,
    #[serde(default)]
    group: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct SeatsSeen {
    before: Option<u64>,
    after: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Planned {
    steps: Vec<Step>,
    set_aside: Vec<Aside>,
    notes: Vec<Aside>,
    seats: BTreeMap<String, SeatsSeen>,
}

/// Something that the plan cannot do, or does without a step.
#[derive(Deserialize)]
struct Aside {
    object: String,
    reason: String,
    remedy: String,
}

struct Row {
    what: String,
    user: String,
    group: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "rules_try.html")]
struct TryPage {
    shell: Shell,
    headline: String,
    slug: String,
    name: String,
    document: String,
    base: i64,
    /// Says with what is sent back that exactly this text was shown here.
    tried: String,
    /// The change, line by line.
    diff: Vec<Line>,
    /// What it comes to: label and figure.
    facts: Vec<(String, String)>,
    /// Whether there was anything to try it on.
    known: bool,
    rows: Vec<Row>,
    more: u64,
    gone: u64,
    /// What is set aside, or happens without a step.
    asides: Vec<Aside>,
    /// Why it is saved, as far as that was said.
    why: String,
    why_error: Option<String>,
}

/// What is sent: the document, with the line ends that a browser makes of it taken back.
fn document(visit: &Visit) -> Result<String> {
    let text = visit.field("document").unwrap_or_default().replace("\r\n", "\n");
    if text.trim().is_empty() {
        return Err(Problem::request("the document is empty", "write it, or leave it as it is"));
    }
    Ok(text)
}

pub(super) async fn attempt(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let document = document(&visit)?;
    what_if(&visit, connection, document, Said::default()).await
}

/// What was said about why a document is saved.
#[derive(Default)]
struct Said {
    why: String,
    error: Option<String>,
}

/// What the steps that new rules ask for come to.
fn facts(steps: &[Step], planned: &Planned, gone: u64) -> Vec<(String, String)> {
    let of = |kind: &str| steps.iter().filter(|step| step.kind == kind).count() as u64;
    let people = |kinds: &[&str]| {
        let named = steps.iter().filter(|step| kinds.contains(&step.kind.as_str()));
        named.filter_map(|step| step.user.as_ref()).map(|user| &user.name).collect::<BTreeSet<_>>().len()
            as u64
    };
    let mut facts = vec![
        (
            "People who come in",
            number(people(&["create_user", "add_member", "restore_user", "reactivate_user"])),
        ),
        (
            "People who are taken out",
            number(people(&["remove_member", "suspend_user", "deactivate_user", "remove_user"])),
        ),
        ("Groups", format!("+{}", number(of("create_group") + of("adopt_group")))),
        ("Memberships", format!("+{}, −{}", number(of("add_member")), number(of("remove_member")))),
        ("Invitation mails", number(of("create_user"))),
        ("Steps no longer asked for", number(gone)),
    ]
    .into_iter()
    .map(|(label, figure)| (label.to_owned(), figure))
    .collect::<Vec<_>>();
    for (product, seats) in &planned.seats {
        if let (Some(before), Some(after)) = (seats.before, seats.after) {
            facts.push((format!("Seats of {product}"), format!("{} → {}", number(before), number(after))));
        }
    }
    facts
}

/// Shows what a document would change, and lets it be saved from there.
async fn what_if(visit: &Visit, connection: Connection, document: String, said: Said) -> Result {
    let service = &visit.console.service;
    let before = service.document(&connection.name).await?;
    let tried = service.what_if(&connection.name, document.clone()).await?;
    let known = tried.is_some();
    let (plan, new, gone) = tried.map_or_else(Default::default, |tried| (tried.plan, tried.new, tried.gone));
    let mut planned: Planned = serde_json::from_value(plan).unwrap_or_default();
    let mut asides = std::mem::take(&mut planned.set_aside);
    asides.append(&mut planned.notes);
    asides.truncate(SHOWN);
    let steps: Vec<Step> =
        std::mem::take(&mut planned.steps).into_iter().filter(|step| new.contains(&step.id)).collect();
    let facts = facts(&steps, &planned, gone);
    let more = steps.len().saturating_sub(SHOWN) as u64;
    let all = steps.len() as u64;
    let rows = steps.into_iter().take(SHOWN).map(|step| Row {
        what: step.kind.replace('_', " "),
        user: step.user.map(|user| user.name).unwrap_or_default(),
        group: step.group.map(|group| group.name).unwrap_or_default(),
        reason: sentence(&step.reason),
    });
    let status = if said.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = TryPage {
        shell: visit.shell_of(&connection.name, "What if").await?.at("Rules"),
        headline: match (known, all, gone) {
            (false, ..) => "It cannot be said yet what this would change".into(),
            (_, 0, 0) if !asides.is_empty() => {
                format!(
                    "These rules ask for no step; {} to know",
                    count(asides.len() as u64, "thing", "things")
                )
            }
            (_, 0, 0) => "These rules change nothing on the site".into(),
            (_, 0, gone) => format!("{} would not be asked for any more", count(gone, "step", "steps")),
            (_, all, _) => {
                format!("These rules would ask for {}", count(all, "further step", "further steps"))
            }
        },
        slug: encoded(&slug(&connection.name)),
        base: connection.version,
        tried: visit.seal(&[&connection.name, &connection.version.to_string(), &document]),
        diff: diff::lines(&before, &document, diff::Context::Near),
        facts,
        name: connection.name,
        document,
        known,
        rows: rows.collect(),
        more,
        gone,
        asides,
        why: said.why,
        why_error: said.error,
    };
    Reply::page_with(status, &page)
}

pub(super) async fn save(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let document = document(&visit)?;
    let base = visit.text("base").unwrap_or_default();
    let tried = visit.seal(&[&connection.name, base, &document]);
    if visit.text("tried") != Some(&tried) {
        return Err(Problem::request(
            "these rules were not tried in this session as they are sent",
            "look at what they would change, and save from there",
        ));
    }
    if base != connection.version.to_string() {
        let what = format!("somebody saved version {} meanwhile", connection.version);
        return Err(Problem::request(what, "look at the versions, and make the change again on the newest")
            .with(StatusCode::CONFLICT));
    }
    let why = match Why::maybe(visit.field("why")) {
        Ok(why) => why,
        Err(no) => {
            let said = Said {
                why: visit.field("why").unwrap_or_default().to_owned(),
                error: Some(format!("{} Nothing was saved.", sentence(&no.to_string()))),
            };
            return what_if(&visit, connection, document, said).await;
        }
    };
    visit.console.service.put(&connection.name, document, &visit.name()?, why).await?;
    Reply::saying(&format!("/connections/{}/rules/versions", encoded(&slug(&connection.name))), "saved")
}
