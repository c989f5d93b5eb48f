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
use crate::plan_rows::PlanRows;
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
    pub(super) async fn chosen(self, service: &dyn PlanRows, picked: &Picked) -> Result<Option<Chosen>> {
        let Self::Apart(of, gist) = self else { return Ok(None) };
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
        let missing = self::missing(service, &of, &chosen).await?;
        Ok(Some(Chosen { gist, steps: chosen, missing }))
    }
}

async fn missing(
    service: &dyn PlanRows,
    of: &PlanOf,
    chosen: &BTreeMap<String, StepView>,
) -> Result<Vec<StepView>> {
    let mut found: BTreeMap<String, StepView> = BTreeMap::new();
    let mut look: BTreeSet<String> = chosen.values().flat_map(|step| step.after.iter().cloned()).collect();
    loop {
        look.retain(|step| !chosen.contains_key(step) && !found.contains_key(step));
        if look.is_empty() {
            return Ok(found.into_values().collect());
        }
        let all_keys: BTreeSet<String> = look.iter().flat_map(|step| keys(step)).collect();
        let rows = service.plan_rows_of(of, all_keys.into_iter().collect()).await?;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::Answer;

    /// The rows of one plan, as a database has them.
    struct Kept(Vec<PlanRow>);

    impl PlanRows for Kept {
        fn plan_gist<'a>(&'a self, _: &'a PlanOf) -> Answer<'a, Option<String>> {
            unreachable!("the gist is at hand")
        }
        fn keep_plan_rows<'a>(&'a self, _: &'a PlanOf, _: String, _: Vec<PlanRow>) -> Answer<'a, ()> {
            unreachable!("nothing is kept")
        }
        fn plan_rows<'a>(&'a self, _: &'a PlanOf, wanted: PlanRowsWanted) -> Answer<'a, Vec<PlanRow>> {
            let fits =
                |row: &&PlanRow| (wanted.from..wanted.until).contains(&row.place) && row.held >= wanted.held;
            let rows = self.0.iter().filter(fits).take(wanted.limit as usize).cloned().collect();
            Box::pin(async move { Ok(rows) })
        }
        fn plan_rows_of<'a>(&'a self, _: &'a PlanOf, keys: Vec<String>) -> Answer<'a, Vec<PlanRow>> {
            let rows = self.0.iter().filter(|row| keys.contains(&row.key)).cloned().collect();
            Box::pin(async move { Ok(rows) })
        }
    }

    fn plan() -> PlanView {
        let member = |person: &str, held: bool| {
            let mut step = json!({"id": format!("add_member/g/{person}"), "kind": "add_member", "undoable": true,
                "user": {"name": person, "directory_id": person}, "group": {"name": "Jira A"}, "reason": "member"});
            if held {
                step["held_by"] = json!("additions");
                step["after"] = json!(["adopt_group/g", format!("create_user/{person}")]);
            }
            step
        };
        let invite = |person: &str| {
            json!({"id": format!("create_user/{person}"), "kind": "create_user", "reason": "enabled",
            "user": {"name": person, "directory_id": person}, "held_by": "additions"})
        };
        let steps = json!([
            {"id": "adopt_group/g", "kind": "adopt_group", "group": {"name": "Jira A"}, "reason": "bears the name", "held_by": "adoption"},
            invite("ana"), member("ana", true), invite("ben"), member("ben", true), member("carl", false)
        ]);
        PlanView::of(
            &json!({"connection": "c", "digest": "d", "status": "held", "steps": steps, "set_aside": [], "held": []}),
        )
    }

    /// What is chosen by these ticks, and what it needs besides.
    async fn chosen(sections: &[&str], people: &[&str], steps: &[&str]) -> (Vec<String>, Vec<String>) {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let picked = Picked { sections: own(sections), people: own(people), steps: own(steps) };
        let (gist, rows) = Gist::and_rows(&plan(), None);
        let told = Told::Apart(PlanOf::Preview("c".into()), Box::new(gist));
        let chosen = told.chosen(&Kept(rows), &picked).await.unwrap().unwrap();
        let missing = chosen.missing.into_iter().map(|step| step.id).collect();
        (chosen.steps.into_keys().collect(), missing)
    }

    #[tokio::test]
    async fn a_person_a_section_and_a_step_mean_their_held_steps_and_no_others() {
        assert_eq!(chosen(&[], &["ana"], &[]).await.0, ["add_member/g/ana", "create_user/ana"]);
        assert_eq!(chosen(&[], &["carl"], &[]).await.0, [""; 0], "what is not held is done without anybody");
        assert_eq!(chosen(&["groups"], &[], &[]).await.0, ["adopt_group/g"]);
        assert_eq!(chosen(&[], &[], &["adopt_group/g", "no/such/step"]).await.0, ["adopt_group/g"]);
        assert_eq!(chosen(&["joiners"], &["ana"], &[]).await.0.len(), 4);
        assert_eq!(chosen(&["no section"], &["nobody"], &[]).await.0, [""; 0]);
    }

    #[tokio::test]
    async fn what_a_choice_needs_is_found_to_its_end() {
        let needs = async |steps: &[&str]| chosen(&[], &[], steps).await.1;
        assert_eq!(needs(&["add_member/g/ana"]).await, ["adopt_group/g", "create_user/ana"]);
        assert_eq!(needs(&["add_member/g/ana", "create_user/ana"]).await, ["adopt_group/g"]);
        assert!(needs(&["adopt_group/g"]).await.is_empty());
    }
}
