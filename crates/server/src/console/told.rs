//! The plan of a run as pages read it. The first look at the plan of a run that has ended tells it apart and keeps that;
//! every later page reads what it shows. While a run is under way its plan may still change, and is read whole.

use std::collections::{BTreeSet, HashMap};

use entrain_domain::model::RunId;
use entrain_domain::run::{JournalEntry, Phase, RunSummary};
use entrain_engine::plan_view::{PlanView, StepView};

use super::letter::{Gist, Letter, Wanted, kept};
use super::visit::Visit;
use crate::problem::Problem;

type Result<T> = std::result::Result<T, Problem>;

/// The plan of a run.
pub(super) enum Told {
    /// Its rows are kept.
    Apart(Gist),
    /// All of it.
    Whole(PlanView),
}

/// Plans are told apart one at a time: it takes memory.
#[derive(Default)]
pub(super) struct Telling(tokio::sync::Mutex<()>);

async fn gist(visit: &Visit, run: &RunSummary) -> Result<Option<Gist>> {
    let gist = visit.console.service.plan_gist(&run.id).await?;
    // One of another version is made anew
    Ok(gist.and_then(|gist| serde_json::from_str(&gist).ok()))
}

/// All of a run's plan, if it got that far and can be read. Whoever else asks for something is not kept waiting by that.
pub(super) async fn whole(visit: &Visit, run: &RunId) -> Result<Option<PlanView>> {
    let Some(text) = visit.console.service.planned(run).await? else { return Ok(None) };
    tokio::task::spawn_blocking(move || PlanView::parse(&text)).await.map_err(|_| Problem::internal())
}

/// The plan of a run, if it got that far and can be read.
pub(super) async fn told(visit: &Visit, run: &RunSummary) -> Result<Option<Told>> {
    if run.phase != Phase::Ended {
        return Ok(whole(visit, &run.id).await?.map(Told::Whole));
    }
    if let Some(gist) = gist(visit, run).await? {
        return Ok(Some(Told::Apart(gist)));
    }
    let one = visit.console.telling.0.lock().await;
    // Somebody else may have looked first
    if let Some(gist) = gist(visit, run).await? {
        return Ok(Some(Told::Apart(gist)));
    }
    let Some(plan) = whole(visit, &run.id).await? else { return Ok(None) };
    let apart = tokio::task::spawn_blocking(move || Gist::and_rows(&plan)).await;
    let (gist, rows) = apart.map_err(|_| Problem::internal())?;
    let text = serde_json::to_string(&gist).map_err(|_| Problem::internal())?;
    visit.console.service.keep_plan_rows(&run.id, text, rows).await?;
    drop(one);
    Ok(Some(Told::Apart(gist)))
}

impl Told {
    /// A page of the plan.
    pub(super) async fn letter(&self, visit: &Visit, run: &RunSummary, wanted: Wanted) -> Result<Letter> {
        let gist = match self {
            Self::Whole(plan) => return Ok(Letter::of(plan, wanted)),
            Self::Apart(gist) => gist,
        };
        let mut letter = Letter::begun(gist, wanted);
        let mut at = 0;
        while let Some((next, ask)) = letter.ask(gist, at) {
            let rows = visit.console.service.plan_rows(&run.id, ask.rows.clone()).await?;
            letter.put(gist, &ask, kept(rows));
            at = next;
        }
        Ok(letter)
    }

    /// The part of the plan that is about these people and groups.
    async fn about(self, visit: &Visit, run: &RunSummary, keys: BTreeSet<String>) -> Result<PlanView> {
        match self {
            Self::Whole(plan) => Ok(plan),
            Self::Apart(_) => {
                let rows = visit.console.service.plan_rows_of(&run.id, keys.into_iter().collect()).await?;
                let steps =
                    rows.iter().filter_map(|row| serde_json::from_str::<Vec<StepView>>(&row.body).ok());
                Ok(PlanView::of_steps(steps.flatten().collect()))
            }
        }
    }

    /// What the plan says of one person or group.
    pub(super) async fn about_one(self, visit: &Visit, run: &RunSummary, who: &str) -> Result<PlanView> {
        self.about(visit, run, [who.to_owned()].into()).await
    }

    /// The steps of some entries of the journal, by name.
    pub(super) async fn steps_of(
        self,
        visit: &Visit,
        run: &RunSummary,
        entries: &[JournalEntry],
    ) -> Result<HashMap<String, StepView>> {
        let keys = entries.iter().flat_map(|entry| keys(entry.step.as_str())).collect();
        let steps = self.about(visit, run, keys).await?.steps;
        Ok(steps.into_iter().map(|step| (step.id.clone(), step)).collect())
    }
}

/// Under which keys the row of a step may be found: a group's by the name of the step, a person's by their part of it.
fn keys(step: &str) -> impl Iterator<Item = String> {
    let parts = step.split('/').skip(1).map(|part| part.strip_prefix("account:").unwrap_or(part));
    std::iter::once(step).chain(parts).map(str::to_owned)
}
