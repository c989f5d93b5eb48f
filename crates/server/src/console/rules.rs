//! The rules of a connection: its document as it is, and what a new one would change, shown before it can be saved.

use std::collections::BTreeMap;

use askama::Template;
use entrain_domain::service::{Role, slug};
use serde::Deserialize;

use super::parts::{count, icon, sentence};
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::problem::Problem;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Most steps that are told one by one.
const SHOWN: usize = 100;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    shell: Shell,
    name: String,
    slug: String,
    version: i64,
    document: String,
    may_change: bool,
}

pub(super) async fn page(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let document = visit.console.service.document(&connection.name).await?;
    Reply::page(&RulesPage {
        shell: visit.shell_of(&connection.name, "Rules").await?,
        slug: encoded(&slug(&connection.name)),
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct Planned {
    steps: Vec<Step>,
    set_aside: Vec<Aside>,
    notes: Vec<Aside>,
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
    /// Whether there was anything to try it on.
    known: bool,
    counts: Vec<(String, u64)>,
    rows: Vec<Row>,
    more: u64,
    gone: u64,
    /// What is set aside, or happens without a step.
    asides: Vec<Aside>,
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
    let tried = visit.console.service.what_if(&connection.name, document.clone()).await?;
    let known = tried.is_some();
    let (plan, new, gone) = tried.map_or_else(Default::default, |tried| (tried.plan, tried.new, tried.gone));
    let planned: Planned = serde_json::from_value(plan).unwrap_or_default();
    let mut asides = planned.set_aside;
    asides.extend(planned.notes);
    asides.truncate(SHOWN);
    let steps: Vec<Step> = planned.steps.into_iter().filter(|step| new.contains(&step.id)).collect();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for step in &steps {
        *counts.entry(step.kind.replace('_', " ")).or_default() += 1;
    }
    let more = steps.len().saturating_sub(SHOWN) as u64;
    let all = steps.len() as u64;
    let rows = steps.into_iter().take(SHOWN).map(|step| Row {
        what: step.kind.replace('_', " "),
        user: step.user.map(|user| user.name).unwrap_or_default(),
        group: step.group.map(|group| group.name).unwrap_or_default(),
        reason: sentence(&step.reason),
    });
    Reply::page(&TryPage {
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
        name: connection.name,
        document,
        known,
        counts: counts.into_iter().collect(),
        rows: rows.collect(),
        more,
        gone,
        asides,
    })
}

pub(super) async fn save(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let document = document(&visit)?;
    visit.console.service.put(&connection.name, document, &visit.name()?).await?;
    Reply::saying(&format!("/connections/{}/rules", encoded(&slug(&connection.name))), "saved")
}
