//! The last steps: the first plan, the first sync with its progress, and what happens by itself from then on.

use askama::Template;
use entrain_domain::FailureCode;
use entrain_domain::model::RunId;
use entrain_domain::run::{RunStatus, Trigger};
use entrain_domain::service::{Mode, slug};
use entrain_engine::Freshness;

use super::{Frame, Result, Step, at, draft, keep};
use crate::console::letter::{Letter, Why};
use crate::console::parts::{When, count, icon, sentence};
use crate::console::plan::{newest, wanted};
use crate::console::runs::{Passage, headline, live_headline, passages};
use crate::console::shell::encoded;
use crate::console::visit::{Reply, Visit};
use crate::drafts::{Part, Secrets};
use crate::previews::document;
use crate::problem::Problem;
use crate::runs::Started;
use crate::service::{Order, What};

#[derive(Template)]
#[template(path = "wizard_preview.html")]
struct PreviewPage {
    frame: Frame,
    headline: String,
    made: Option<When>,
    /// Something was changed since the plan was made.
    old: bool,
    failure: Option<(String, String)>,
    letter: Option<Letter>,
    here: String,
    why: String,
}

pub(in crate::console) async fn preview(visit: Visit) -> Result {
    let draft = match at(&visit, Step::Preview).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let base = Step::Preview.address(&draft);
    let mut page = PreviewPage {
        frame: Frame::of(&visit, &draft, Step::Preview, "preview"),
        headline: "See what the first sync would do".into(),
        made: None,
        old: false,
        failure: None,
        letter: None,
        why: format!("{base}/why"),
        here: base,
    };
    match newest(&visit, &draft.id).await? {
        None => {}
        Some(Err(failure)) => {
            page.headline = "There is no plan yet".into();
            page.failure = Some((sentence(&failure.message), sentence(&failure.remedy)));
        }
        Some(Ok((told, made))) => {
            let letter = told.letter(&visit, wanted(&visit)).await?;
            page.headline = match letter.steps {
                0 => letter.finding.clone(),
                steps => format!("The first sync would take {}", count(steps as u64, "step", "steps")),
            };
            page.old = draft.said.planned.is_none();
            page.made = Some(When::new(made, visit.console.service.now()));
            page.letter = Some(letter);
        }
    }
    Reply::page(&page)
}

pub(in crate::console) async fn plan(visit: Visit) -> Result {
    let mut draft = match at(&visit, Step::Preview).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let service = &visit.console.service;
    let result = service.plan_draft(&draft.id).await;
    let now = service.now();
    draft.said.planned = result.is_ok().then_some(now);
    let preview = document(draft.text("name"), now, &result);
    service.keep_preview(&draft.id, now, preview).await?;
    keep(&visit, &draft, Secrets::new()).await?;
    Reply::to(&Step::Preview.address(&draft))
}

#[derive(Template)]
#[template(path = "wizard_why.html")]
struct WhyPage {
    frame: Frame,
    back: String,
    why: Why,
}

pub(in crate::console) async fn why(visit: Visit) -> Result {
    let draft = match at(&visit, Step::Preview).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let who = visit.text("who").unwrap_or_default();
    let plan = match newest(&visit, &draft.id).await? {
        Some(Ok((told, _))) => Some(told.about_one(&visit, who).await?),
        _ => None,
    };
    let why = plan.and_then(|plan| Why::of(&plan, who));
    let why = why.ok_or_else(|| {
        let what = "the plan says nothing of them";
        Problem::local(FailureCode::ObjectUnknown, what, "go back to the plan and open a row of it")
    })?;
    let frame = Frame::of(&visit, &draft, Step::Preview, &format!("why {}", why.name));
    Reply::page(&WhyPage { frame, back: Step::Preview.address(&draft), why })
}

#[derive(Template)]
#[template(path = "wizard_sync.html")]
struct StartPage {
    frame: Frame,
    name: String,
    site: String,
    /// Steps, steps that are held, mails: in the last plan.
    plan: Option<(String, usize, usize)>,
}

/// How a first run stands.
struct Under {
    id: String,
    headline: String,
    passages: Vec<Passage>,
    ended: usize,
    planned: usize,
    waiting: Option<String>,
}

#[derive(Template)]
#[template(path = "wizard_live.html")]
struct LivePage {
    frame: Frame,
    under: Under,
    /// Whether this process does it; its events are here only.
    here: bool,
}

#[derive(Template)]
#[template(path = "wizard_done.html")]
struct DonePage {
    frame: Frame,
    run: String,
    headline: String,
    state: &'static str,
    held: bool,
    failed: bool,
    error: Option<(String, String)>,
    asides: usize,
    plan: bool,
}

pub(in crate::console) async fn sync_page(visit: Visit) -> Result {
    let draft = match at(&visit, Step::Sync).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let frame = Frame::of(&visit, &draft, Step::Sync, "first sync");
    let run = draft.said.run.as_deref().and_then(|run| RunId::parse(run).ok());
    let Some(run) = run else {
        let plan = match newest(&visit, &draft.id).await? {
            Some(Ok((told, _))) => {
                let letter = told.in_short();
                Some((count(letter.steps as u64, "step", "steps"), letter.held_steps, letter.mails))
            }
            _ => None,
        };
        let (name, site) = (draft.text("name").to_owned(), draft.text("site.url").to_owned());
        return Reply::page(&StartPage { frame, name, site, plan });
    };
    if let Some(progress) = visit.console.runs.progress(&run) {
        let under = Under {
            id: run.to_string(),
            headline: live_headline(&progress),
            passages: passages(&progress),
            ended: progress.done + progress.failed,
            planned: progress.planned.unwrap_or_default().0,
            waiting: progress.waiting.as_deref().map(sentence),
        };
        return Reply::page(&LivePage { frame, under, here: true });
    }
    let story = visit.console.service.story(&run).await?;
    if story.run.status == RunStatus::Running {
        let under = Under {
            id: run.to_string(),
            headline: "The run was cut off, or another server does it".into(),
            passages: Vec::new(),
            ended: 0,
            planned: 0,
            waiting: None,
        };
        return Reply::page(&LivePage { frame, under, here: false });
    }
    let report = story.run.report.as_ref();
    let error = report.and_then(|report| report.error.as_ref());
    Reply::page(&DonePage {
        frame,
        run: run.to_string(),
        headline: headline(&story),
        state: match story.run.status {
            RunStatus::Converged => "ok",
            RunStatus::Failed => "danger",
            _ => "warn",
        },
        held: story.run.status == RunStatus::Held,
        failed: story.run.status == RunStatus::Failed,
        error: error.map(|error| (sentence(&error.message), sentence(&error.remedy))),
        asides: report.map_or(0, |report| report.set_aside.len()),
        plan: visit.console.service.planned(&run).await?.is_some(),
    })
}

/// Stores the connection, in preview as every new one, and starts its first run.
pub(in crate::console) async fn sync(visit: Visit) -> Result {
    let draft = match at(&visit, Step::Sync).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let service = &visit.console.service;
    let by = visit.name()?;
    if let Some(fault) = service.judge_draft(&draft.id, Part::Whole).await?.into_iter().next() {
        let what = format!("{} {}", fault.key, fault.what);
        return Err(Problem::local(FailureCode::DocumentInvalid, what, &fault.remedy));
    }
    let connection = service.store_draft(&draft.id, &by).await?;
    let order = Order {
        connection,
        what: What::Sync,
        trigger: Trigger::Manual,
        by,
        freshness: Freshness::Incremental,
    };
    let started = visit.console.runs.start(order).await?;
    let mut draft = self::draft(&visit).await?;
    if let Started::Began(run, _) = started {
        draft.said.run = Some(run.to_string());
        keep(&visit, &draft, Secrets::new()).await?;
    }
    Reply::to(&Step::Sync.address(&draft))
}

/// Rhythms that are offered: the word of the document, and how people say it.
const EVERY: [(&str, &str); 6] = [
    ("5m", "Every 5 minutes"),
    ("15m", "Every 15 minutes"),
    ("1h", "Every hour"),
    ("4h", "Every 4 hours"),
    ("24h", "Once a day"),
    ("168h", "Once a week"),
];

struct Choice {
    word: &'static str,
    label: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "wizard_schedule.html")]
struct SchedulePage {
    frame: Frame,
    name: String,
    every: Vec<Choice>,
}

pub(in crate::console) async fn schedule_page(visit: Visit) -> Result {
    let draft = match at(&visit, Step::Schedule).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let said = match draft.text("schedule.every") {
        "" => "15m",
        every => every,
    };
    Reply::page(&SchedulePage {
        frame: Frame::of(&visit, &draft, Step::Schedule, "schedule"),
        name: draft.text("name").to_owned(),
        every: EVERY.iter().map(|(word, label)| Choice { word, label, chosen: *word == said }).collect(),
    })
}

/// Stores rhythm and mode; the draft has done its work.
pub(in crate::console) async fn schedule(visit: Visit) -> Result {
    let mut draft = match at(&visit, Step::Schedule).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let every = visit.text("every").unwrap_or("15m");
    if !EVERY.iter().any(|(word, _)| *word == every) {
        return Err(Problem::request("the rhythm is none of those offered", "choose one"));
    }
    draft.said.values.insert("schedule.every".into(), every.into());
    keep(&visit, &draft, Secrets::new()).await?;
    if visit.text("do") == Some("leave") {
        return Reply::saying("/setup", "kept");
    }
    let service = &visit.console.service;
    let by = visit.name()?;
    let name = service.store_draft(&draft.id, &by).await?;
    let mode = visit.text("mode").and_then(Mode::from_word).unwrap_or_default();
    service.set_mode(&name, mode, &by).await?;
    service.drop_draft(&draft.id).await?;
    Reply::saying(&format!("/connections/{}", encoded(&slug(&name))), "connected")
}
