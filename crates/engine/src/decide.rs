//! What people decide on what guards hold: approve a held plan, or reject it.
//!
//! An approval is worth nothing for another plan: both sides are read again in full, a fresh plan must hold the very
//! steps that were looked at, and only then are they done. Nobody's word counts twice, and where the rules ask for two
//! people, one is not enough. Of a plan that is held, a part may be approved; `part` has what that means for the rest.

mod part;

use std::collections::{BTreeMap, BTreeSet};

use entrain_domain::Failure;
use entrain_domain::model::RunId;
use entrain_domain::plan::{Approval, Digest, Part, Plan};
use entrain_domain::policy::Rules;
use entrain_domain::run::{AuditNote, Decided, Decision, Relation, RunReport, RunStatus, Trigger};
use serde_json::Value;

use crate::error::EngineError;
use crate::ports::{Clock, Directory, Ids, Progress, Site, Store};
use crate::report::step_document;
use crate::run::{Engine, Purpose, RunOptions};
use crate::undo::Undoing;
pub use part::Selection;

/// The steps of an earlier run that wait for a person, as they were looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPlan {
    /// The run.
    pub run: RunId,
    /// Fingerprint of the rules they were planned under.
    rules: String,
    /// By name, without the sentences that explain them.
    steps: BTreeMap<String, Value>,
    /// Digest of the plan that holds them.
    digest: Digest,
    /// Of each, the held steps that come before it.
    before: BTreeMap<String, Vec<String>>,
    /// What of it is approved, where that is not all.
    part: Option<Part>,
    /// What the run was to take back, if it was one for that.
    pub(crate) undoing: Option<Undoing>,
}

/// What an approval came to.
#[derive(Debug)]
pub enum Approved {
    /// It was done, or refused; the report says which.
    Run(Box<RunReport>),
    /// Another person has to approve as well.
    Waiting {
        /// Who has approved so far.
        by: Vec<String>,
        /// How many people it takes.
        needed: usize,
    },
}

/// A step as it is compared: what is done to which object, not the words about it.
fn compared(mut step: Value) -> Option<(String, Value)> {
    let object = step.as_object_mut()?;
    object.remove("held_by");
    object.remove("after");
    object.remove("reason");
    Some((object.get("id")?.as_str()?.to_owned(), step))
}

/// An account or group that the open part of the same plan was to make has an id by now.
fn forget_what_was_made_since(step: &mut Value, then: &Value) {
    for object in ["user", "group"] {
        if then[object]["site_id"].is_null()
            && let Some(id) = step.get_mut(object).and_then(|object| object.get_mut("site_id"))
        {
            *id = Value::Null;
        }
    }
}

impl HeldPlan {
    /// What waits in the plan of a run, as it was stored.
    fn of(run: RunId, plan: &Value) -> Option<Self> {
        let rules = plan.get("rules")?.as_str()?.to_owned();
        let digest = Digest::from_stored(plan.get("digest")?.as_str()?);
        let held = plan.get("steps")?.as_array()?.iter().filter(|step| step.get("held_by").is_some());
        let before = held.clone().filter_map(part::before).collect();
        let steps = held.cloned().filter_map(compared).collect();
        Some(Self { run, rules, steps, digest, before, part: None, undoing: None })
    }

    /// What of it is approved, where that is not all.
    pub(crate) fn part(&self) -> Option<&Part> {
        self.part.as_ref()
    }

    /// Refuses when a fresh plan, with nothing approved, does not hold exactly these steps.
    pub(crate) fn still_held_by(&self, fresh: &Plan, rules: &Rules) -> Result<(), EngineError> {
        if self.rules != rules.fingerprint() {
            return Err(EngineError::Moved("the rules have changed".into()));
        }
        let held = fresh.steps.iter().filter(|step| step.hold.is_some());
        let mut held: BTreeMap<_, _> = held.map(step_document).filter_map(compared).collect();
        for (name, step) in &mut held {
            if let Some(then) = self.steps.get(name) {
                forget_what_was_made_since(step, then);
            }
        }
        if held == self.steps {
            return Ok(());
        }
        let (then, now): (BTreeSet<&String>, BTreeSet<&String>) =
            (self.steps.keys().collect(), held.keys().collect());
        let named = |steps: Vec<&&String>, what: &str| {
            let shown: Vec<&str> = steps.iter().take(3).map(|s| s.as_str()).collect();
            (!steps.is_empty()).then(|| format!("{} steps {what}, such as {}", steps.len(), shown.join(", ")))
        };
        let parts: Vec<String> = [
            named(now.difference(&then).collect(), "are new"),
            named(then.difference(&now).collect(), "are no longer to be done or no longer held"),
        ]
        .into_iter()
        .flatten()
        .collect();
        Err(EngineError::Moved(if parts.is_empty() {
            "the steps bear the same names, but their objects have changed".into()
        } else {
            parts.join("; ")
        }))
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Approves what guards held in a run, and does it at once when enough people have; `options` says what else the
    /// run needs (stop, waiting). An empty directory or scope takes [`Approval::EvenEmpty`].
    pub async fn approve(
        &self,
        run: &RunId,
        by: &str,
        approval: Approval,
        options: RunOptions,
        progress: &dyn Progress,
    ) -> Result<Approved, Failure> {
        self.approve_part(run, by, approval, &Selection::default(), options, progress).await
    }

    /// Approves some of the steps that guards held in a run, or all of them where nothing is selected. The others stay
    /// held, in this run and in those that follow. Limits, two people and an empty directory count as for the whole; two
    /// people have approved when both have selected the same.
    pub async fn approve_part(
        &self,
        run: &RunId,
        by: &str,
        approval: Approval,
        selection: &Selection,
        options: RunOptions,
        progress: &dyn Progress,
    ) -> Result<Approved, Failure> {
        let (mut held, report) = self.waiting(run).await?;
        held.select(selection)?;
        if let Some(guard) = report.held.iter().map(|h| h.guard).find(|guard| !approval.releases(*guard)) {
            return Err(EngineError::NotReleased { run: run.clone(), guard }.into());
        }
        self.note_decision(&held, by, Decision::Approved, &report).await?;
        let part = held.part_digest();
        let approved: Vec<String> = self
            .ports
            .store
            .decisions(run)
            .await?
            .into_iter()
            .filter(|decided| decided.decision == Decision::Approved && decided.part == part)
            .map(|decided| decided.actor)
            .collect();
        let needed = self.rules.approvers.count();
        if approved.len() < needed {
            return Ok(Approved::Waiting { by: approved, needed });
        }
        let options = RunOptions {
            trigger: Trigger::Approval,
            approval: if held.part.is_some() { approval.in_part() } else { approval },
            by: approved.join(", "),
            purpose: Purpose::Approval(held),
            ..options
        };
        Ok(Approved::Run(Box::new(self.run(options, progress).await?)))
    }

    /// Rejects what guards held in a run: it cannot be approved any more. A later run may plan the same again.
    pub async fn reject(&self, run: &RunId, by: &str) -> Result<(), Failure> {
        let (held, report) = self.waiting(run).await?;
        self.note_decision(&held, by, Decision::Rejected, &report).await
    }

    /// What of a run waits for a person, if anything does.
    async fn waiting(&self, run: &RunId) -> Result<(HeldPlan, RunReport), Failure> {
        let store = &self.ports.store;
        let refused = |why: String| Err(EngineError::NotWaiting { run: run.clone(), why }.into());
        let summary = store.run(run).await?;
        if summary.connection != self.connection {
            return refused(format!("it is of the connection “{}”", summary.connection));
        }
        let Some(report) = summary.report.filter(|report| report.status == RunStatus::Held) else {
            return refused(format!("nothing of it waits for anybody; it is {}", summary.status.as_str()));
        };
        for decided in store.decisions(run).await? {
            if decided.decision == Decision::Rejected {
                return refused(format!(
                    "{} rejected it on {}",
                    decided.actor,
                    decided.at.strftime("%F %T UTC")
                ));
            }
        }
        for (later, relation) in store.later_runs(run).await? {
            let status = store.run(&later).await?.status;
            if matches!(relation, Relation::Approves(_)) && status != RunStatus::Failed {
                return refused(format!(
                    "it was approved before; run {later} did it and is {}",
                    status.as_str()
                ));
            }
        }
        let plan = store.plan(run).await?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let Some(held) = plan.and_then(|plan| HeldPlan::of(run.clone(), &plan)) else {
            return refused("its plan was not kept".into());
        };
        let undoing = match store.relation(run).await? {
            Some(Relation::Undoes(earlier)) => Some(self.undoing(&earlier).await?),
            Some(Relation::Approves(_)) | None => None,
        };
        Ok((HeldPlan { undoing, ..held }, report))
    }

    async fn note_decision(
        &self,
        plan: &HeldPlan,
        by: &str,
        decision: Decision,
        report: &RunReport,
    ) -> Result<(), Failure> {
        let run = &plan.run;
        let held: Vec<String> = plan
            .told()
            .into_iter()
            .chain(report.held.iter().map(|held| format!("{}: {}", held.guard, held.reason)))
            .collect();
        let (at, part) = (self.ports.clock.now(), plan.part_digest());
        let decided = Decided { actor: by.to_owned(), decision, at, part };
        let note = AuditNote {
            actor: by.to_owned(),
            action: format!("plan_{}", decision.as_str()),
            object: run.to_string(),
            detail: held.join("; "),
        };
        self.ports.store.decide(run, &decided, note).await
    }
}
