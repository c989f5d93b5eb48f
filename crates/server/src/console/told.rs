//! Plans as pages read them. The first look at the plan of a run that has ended, or at a preview, tells it apart and keeps
//! that; every later page reads what it shows. While a run is under way its plan may still change, and is read whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entrain_domain::plan::{PlanOf, PlanRow, PlanRowsWanted};
use entrain_domain::run::{JournalEntry, Phase, RunSummary};
use entrain_engine::plan_view::{PlanView, StepView};
use jiff::Timestamp;
use serde::Deserialize;

use super::letter::{Gist, Letter, Wanted, kept};
use super::part::Picked;
use super::visit::Visit;
use crate::problem::Problem;

type Result<T> = std::result::Result<T, Problem>;

/// Rows that are read at a time where all of a section are meant.
const MANY: u32 = 5_000;

/// A plan.
pub(super) enum Told {
    /// Its rows are kept.
    Apart(PlanOf, Box<Gist>),
    /// All of it.
    Whole(PlanView),
}

/// Plans are told apart one at a time: it takes memory.
#[derive(Default)]
pub(super) struct Telling(tokio::sync::Mutex<()>);

/// What is said of all of a plan, where that was kept. The gist of a preview is that of this very one, by the millisecond: a
/// server of an older version does not throw it away with its preview.
async fn gist(visit: &Visit, of: &PlanOf, made: Option<Timestamp>) -> Result<Option<Box<Gist>>> {
    let gist = visit.console.service.plan_gist(of).await?;
    // One of another version is made anew
    let gist = gist.and_then(|gist| serde_json::from_str::<Gist>(&gist).ok());
    Ok(gist.filter(|gist| gist.made() == made).map(Box::new))
}

/// A preview as it is kept.
#[derive(Deserialize)]
struct Preview {
    at: Timestamp,
    plan: Option<PlanView>,
}

/// All of a plan, if there is one and it can be read; of a preview, when it was made. Whoever else asks for something is
/// not kept waiting by that.
async fn whole(visit: &Visit, of: &PlanOf) -> Result<Option<(PlanView, Option<Timestamp>)>> {
    let service = &visit.console.service;
    let text = match of {
        PlanOf::Run(run) => service.planned(run).await?,
        PlanOf::Preview(connection) => service.preview(connection).await?,
    };
    let Some(text) = text else { return Ok(None) };
    let of_run = matches!(of, PlanOf::Run(_));
    let parsed = tokio::task::spawn_blocking(move || {
        if of_run {
            return PlanView::parse(&text).map(|plan| (plan, None));
        }
        let Preview { at, plan } = serde_json::from_str(&text).ok()?;
        // As exactly as its head tells it
        let made = Timestamp::from_millisecond(at.as_millisecond()).ok();
        plan.map(|plan| (plan, made))
    });
    parsed.await.map_err(|_| Problem::internal())
}

/// The plan of a run, if it got that far and can be read.
pub(super) async fn told(visit: &Visit, run: &RunSummary) -> Result<Option<Told>> {
    let of = PlanOf::Run(run.id.clone());
    if run.phase != Phase::Ended {
        return Ok(whole(visit, &of).await?.map(|(plan, _)| Told::Whole(plan)));
    }
    apart(visit, of, None).await
}

/// The plan of the newest preview of a connection, or of a draft of one, which was made then.
pub(super) async fn preview(visit: &Visit, connection: &str, made: Timestamp) -> Result<Option<Told>> {
    apart(visit, PlanOf::Preview(connection.to_owned()), Some(made)).await
}

async fn apart(visit: &Visit, of: PlanOf, made: Option<Timestamp>) -> Result<Option<Told>> {
    if let Some(gist) = gist(visit, &of, made).await? {
        return Ok(Some(Told::Apart(of, gist)));
    }
    let one = visit.console.telling.0.lock().await;
    // Somebody else may have looked first
    if let Some(gist) = gist(visit, &of, made).await? {
        return Ok(Some(Told::Apart(of, gist)));
    }
    let Some((plan, made)) = whole(visit, &of).await? else { return Ok(None) };
    let apart = tokio::task::spawn_blocking(move || Gist::and_rows(&plan, made)).await;
    let (gist, rows) = apart.map_err(|_| Problem::internal())?;
    let text = serde_json::to_string(&gist).map_err(|_| Problem::internal())?;
    visit.console.service.keep_plan_rows(&of, text, rows).await?;
    drop(one);
    Ok(Some(Told::Apart(of, Box::new(gist))))
}

fn steps(rows: Vec<PlanRow>) -> impl Iterator<Item = StepView> {
    rows.into_iter().filter_map(|row| serde_json::from_str::<Vec<StepView>>(&row.body).ok()).flatten()
}

/// The held steps of a plan that somebody chose, and what is said of all of it.
pub(super) struct Chosen {
    pub(super) gist: Box<Gist>,
    /// By name.
    pub(super) steps: BTreeMap<String, StepView>,
    /// What they need and what was not chosen, and what that needs in turn.
    pub(super) missing: Vec<StepView>,
}

impl Told {
    /// A page of the plan.
    pub(super) async fn letter(&self, visit: &Visit, wanted: Wanted) -> Result<Letter> {
        let (of, gist) = match self {
            Self::Whole(plan) => return Ok(Letter::of(plan, wanted)),
            Self::Apart(of, gist) => (of, gist),
        };
        let mut letter = Letter::begun(gist, wanted);
        let mut at = 0;
        while let Some((next, ask)) = letter.ask(gist, at) {
            let rows = visit.console.service.plan_rows(of, ask.rows.clone()).await?;
            letter.put(gist, &ask, kept(rows));
            at = next;
        }
        Ok(letter)
    }

    /// What the letter says of all of the plan, without its sections.
    pub(super) fn in_short(&self) -> Letter {
        match self {
            Self::Whole(plan) => Letter::of(plan, Wanted::default()),
            Self::Apart(_, gist) => Letter::begun(gist, Wanted::default()),
        }
    }

    /// The part of the plan that is about these people and groups.
    async fn about(self, visit: &Visit, keys: BTreeSet<String>) -> Result<PlanView> {
        match self {
            Self::Whole(plan) => Ok(plan),
            Self::Apart(of, _) => {
                let rows = visit.console.service.plan_rows_of(&of, keys.into_iter().collect()).await?;
                Ok(PlanView::of_steps(steps(rows).collect()))
            }
        }
    }

    /// What the plan says of one person or group.
    pub(super) async fn about_one(self, visit: &Visit, who: &str) -> Result<PlanView> {
        self.about(visit, [who.to_owned()].into()).await
    }

    /// The steps of some entries of the journal, by name.
    pub(super) async fn steps_of(
        self,
        visit: &Visit,
        entries: &[JournalEntry],
    ) -> Result<HashMap<String, StepView>> {
        let keys = entries.iter().flat_map(|entry| keys(entry.step.as_str())).collect();
        let steps = self.about(visit, keys).await?.steps;
        Ok(steps.into_iter().map(|step| (step.id.clone(), step)).collect())
    }

    /// What was ticked in the plan of a run that has ended; nothing can be chosen in another one.
    pub(super) async fn chosen(self, visit: &Visit, picked: &Picked) -> Result<Option<Chosen>> {
        let Self::Apart(of, gist) = self else { return Ok(None) };
        let service = &visit.console.service;
        let mut chosen: BTreeMap<String, StepView> = BTreeMap::new();
        let mut put = |step: StepView| {
            if step.held_by.is_some() {
                chosen.insert(step.id.clone(), step);
            }
        };
        for word in &picked.sections {
            let (mut from, until) = gist.places(word);
            while from < until {
                let wanted = PlanRowsWanted { from, until, held: 1, find: String::new(), limit: MANY };
                let rows = service.plan_rows(&of, wanted).await?;
                from = rows.last().filter(|_| rows.len() >= MANY as usize).map_or(until, |row| row.place + 1);
                steps(rows).for_each(&mut put);
            }
        }
        steps(service.plan_rows_of(&of, picked.people.clone()).await?).for_each(&mut put);
        let named: BTreeSet<&str> = picked.steps.iter().map(String::as_str).collect();
        let all_keys: BTreeSet<String> = picked.steps.iter().flat_map(|step| keys(step)).collect();
        let rows = service.plan_rows_of(&of, all_keys.into_iter().collect()).await?;
        steps(rows).filter(|step| named.contains(step.id.as_str())).for_each(&mut put);
        let missing = self::missing(visit, &of, &chosen).await?;
        Ok(Some(Chosen { gist, steps: chosen, missing }))
    }
}

async fn missing(visit: &Visit, of: &PlanOf, chosen: &BTreeMap<String, StepView>) -> Result<Vec<StepView>> {
    let mut found: BTreeMap<String, StepView> = BTreeMap::new();
    let mut look: BTreeSet<String> = chosen.values().flat_map(|step| step.after.iter().cloned()).collect();
    loop {
        look.retain(|step| !chosen.contains_key(step) && !found.contains_key(step));
        if look.is_empty() {
            return Ok(found.into_values().collect());
        }
        let all_keys: BTreeSet<String> = look.iter().flat_map(|step| keys(step)).collect();
        let rows = visit.console.service.plan_rows_of(of, all_keys.into_iter().collect()).await?;
        let new: Vec<StepView> = steps(rows).filter(|step| look.contains(&step.id)).collect();
        look = new.iter().flat_map(|step| step.after.iter().cloned()).collect();
        found.extend(new.into_iter().map(|step| (step.id.clone(), step)));
    }
}

/// Under which keys the row of a step may be found: a group's by the name of the step, a person's by their part of it.
fn keys(step: &str) -> impl Iterator<Item = String> {
    let parts = step.split('/').skip(1).map(|part| part.strip_prefix("account:").unwrap_or(part));
    std::iter::once(step).chain(parts).map(str::to_owned)
}
