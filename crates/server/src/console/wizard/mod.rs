//! A new connection, step by step: directory, site, who and what, the first plan, the first sync, the rhythm. Everything
//! that was said is kept at each step, so that one can leave and come back at any of them.

mod fields;
pub(super) mod first;
pub(super) mod scope;
pub(super) mod sides;

use askama::Template;
use entrain_domain::FailureCode;

use super::parts::{When, icon};
use super::shell::{Head, Shell};
use super::visit::{Reply, Visit};
use crate::accounts::random_secret;
use crate::drafts::{Draft, Said, Secrets};
use crate::problem::Problem;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// A step of the wizard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Directory,
    Site,
    Scope,
    Preview,
    Sync,
    Schedule,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::Directory, Self::Site, Self::Scope, Self::Preview, Self::Sync, Self::Schedule];

    /// Its part of the address, its name, and what it is about.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Directory => ("directory", "Directory", "Microsoft Entra ID"),
            Self::Site => ("site", "Site", "Jira Cloud"),
            Self::Scope => ("scope", "Who and what", "people, groups"),
            Self::Preview => ("preview", "Preview", "the first plan"),
            Self::Sync => ("sync", "First sync", "you start it"),
            Self::Schedule => ("schedule", "Schedule", "then it runs by itself"),
        }
    }

    /// Whether what it asks for is known.
    fn is_done(self, draft: &Draft) -> bool {
        let said = &draft.said;
        match self {
            Self::Directory => said.directory.as_ref().is_some_and(crate::drafts::Tested::is_good),
            Self::Site => said.site.as_ref().is_some_and(crate::drafts::Tested::is_good),
            Self::Scope => said.chosen.is_some(),
            Self::Preview => said.planned.is_some(),
            Self::Sync => said.run.is_some(),
            Self::Schedule => false,
        }
    }

    /// Whether it can be gone to: both sides may be filled in before either is right.
    fn is_open(self, draft: &Draft) -> bool {
        let before = Self::ALL.into_iter().filter(|step| *step < self);
        self <= Self::Site || before.into_iter().all(|step| step.is_done(draft))
    }

    fn address(self, draft: &Draft) -> String {
        format!("/setup/{}/{}", draft.id, self.words().0)
    }
}

/// A step in the list of steps.
struct Stop {
    name: &'static str,
    about: &'static str,
    /// Where it is, unless it is the one looked at or cannot be gone to yet.
    href: Option<String>,
    current: bool,
    done: bool,
}

/// The frame of a step.
struct Frame {
    head: Head,
    /// Where the draft is.
    base: String,
    stops: Vec<Stop>,
    toast: Option<&'static str>,
}

impl Frame {
    fn of(visit: &Visit, draft: &Draft, step: Step, title: &str) -> Self {
        let stops = Step::ALL.into_iter().map(|one| {
            let (_, name, about) = one.words();
            Stop {
                name,
                about,
                href: (one != step && one.is_open(draft)).then(|| one.address(draft)),
                current: one == step,
                done: one != step && one.is_done(draft) && one.is_open(draft),
            }
        });
        Self {
            head: visit.head(format!("Set up: {title}")),
            base: format!("/setup/{}", draft.id),
            stops: stops.collect(),
            toast: visit.text("said").and_then(super::shell::said),
        }
    }
}

/// The draft that the address names, and the way back where the step cannot be gone to yet.
async fn draft(visit: &Visit) -> Result<Draft> {
    let id = visit.path("draft");
    let found = if id.len() <= 64 { visit.console.service.draft(id).await? } else { None };
    found.ok_or_else(|| {
        let what = "there is no draft of that id: it was thrown away, or has become a connection";
        Problem::local(FailureCode::ObjectUnknown, what, "look at the connections, or begin a new one")
    })
}

/// The draft for a step; where something before it is missing, the address to go to instead.
async fn at(visit: &Visit, step: Step) -> Result<std::result::Result<Draft, Reply>> {
    let draft = draft(visit).await?;
    if step.is_open(&draft) {
        return Ok(Ok(draft));
    }
    Reply::to(&furthest(&draft).address(&draft)).map(Err)
}

/// The first step that is not done.
fn furthest(draft: &Draft) -> Step {
    let todo = Step::ALL.into_iter().find(|step| !step.is_done(draft));
    todo.filter(|step| step.is_open(draft)).unwrap_or(Step::Directory)
}

async fn keep(visit: &Visit, draft: &Draft, typed: Secrets) -> Result<()> {
    visit.console.service.keep_draft(draft, typed, &visit.name()?).await.map_err(Problem::from)
}

struct DraftRow {
    id: String,
    name: String,
    step: &'static str,
    by: String,
    at: When,
    /// Whether its connection is stored already.
    stored: bool,
}

#[derive(Template)]
#[template(path = "wizard_list.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<DraftRow>,
    first: bool,
}

pub(super) async fn list(visit: Visit) -> Result {
    let service = &visit.console.service;
    let now = service.now();
    let rows = service.drafts().await?.into_iter().map(|draft| DraftRow {
        name: match draft.text("name") {
            "" => "Without a name so far".into(),
            name => name.to_owned(),
        },
        step: furthest(&draft).words().1,
        by: draft.author.clone(),
        at: When::new(draft.at, now),
        stored: draft.said.connection.is_some(),
        id: draft.id,
    });
    let rows = rows.collect();
    let first = service.connections().await?.is_empty();
    let title = if first { "Nothing is connected yet" } else { "New connection" };
    Reply::page(&ListPage { shell: visit.shell(title).await?, rows, first })
}

pub(super) async fn begin(visit: Visit) -> Result {
    let draft = Draft {
        id: random_secret()?.chars().take(32).collect(),
        said: Said::default(),
        stored: [].into(),
        author: visit.name()?,
        at: visit.console.service.now(),
    };
    keep(&visit, &draft, Secrets::new()).await?;
    Reply::to(&Step::Directory.address(&draft))
}

pub(super) async fn resume(visit: Visit) -> Result {
    let draft = draft(&visit).await?;
    Reply::to(&furthest(&draft).address(&draft))
}

pub(super) async fn remove(visit: Visit) -> Result {
    let draft = draft(&visit).await?;
    visit.console.service.drop_draft(&draft.id).await?;
    Reply::saying("/setup", "thrown-away")
}
