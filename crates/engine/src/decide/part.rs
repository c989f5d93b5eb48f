//! Approving a part of a held plan.
//!
//! The steps that were not chosen are marked before anything is done, so that they wait for a person in this run and in
//! every later one, whatever the limits say of the rest by then. A mark goes when somebody approves the step, or when
//! nothing asks for it any more.

use std::collections::BTreeSet;

use entrain_domain::Failure;
use entrain_domain::memory::{Mark, MarkKind, MemoryChange};
use entrain_domain::plan::{Approval, Digest, Part, Plan, Step, StepId, Unfit};
use serde_json::Value;

use super::HeldPlan;
use crate::error::EngineError;
use crate::ports::{Clock, Directory, Ids, Site, Store};
use crate::run::{Engine, Purpose, World};

/// Step names that an audit entry lists; of more it says how many.
const LISTED: usize = 200;
/// A part releases no more than was chosen: what comes to light by leaving steps out is left out as well, so often.
const ROUNDS: usize = 8;

/// What somebody selects of a held plan; nothing means all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Steps, by name.
    pub steps: Vec<String>,
    /// People, each for all of their held steps: object id, account id or address.
    pub people: Vec<String>,
}

impl Selection {
    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.people.is_empty()
    }
}

/// A held step of a stored plan, with the held steps that come before it.
pub(super) fn before(step: &Value) -> Option<(String, Vec<String>)> {
    let before = step.get("after").and_then(Value::as_array);
    let before = before.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Some((step.get("id")?.as_str()?.to_owned(), before))
}

/// Whether a step is about this person.
fn is_about(step: &Value, who: &str) -> bool {
    ["directory_id", "site_id", "mail"]
        .iter()
        .filter_map(|key| step["user"][*key].as_str())
        .any(|known| known.eq_ignore_ascii_case(who))
}

/// A step as a person knows it, with its name.
fn label(id: &StepId, step: Option<&Value>) -> String {
    let name = |object: &str| step.and_then(|step| step[object]["name"].as_str());
    match (name("user"), name("group")) {
        (Some(person), Some(group)) => format!("{person} in “{group}” ({id})"),
        (Some(person), None) => format!("{person} ({id})"),
        (None, Some(group)) => format!("the group “{group}” ({id})"),
        (None, None) => id.to_string(),
    }
}

impl HeldPlan {
    /// Takes only what is selected, or all of it where nothing is.
    pub(super) fn select(&mut self, selection: &Selection) -> Result<(), EngineError> {
        if selection.is_empty() {
            return Ok(());
        }
        let refused = |why: String| EngineError::NotInPart { run: self.run.clone(), why };
        if self.undoing.is_some() {
            return Err(refused("it takes back an earlier run, and that is approved as a whole".into()));
        }
        let mut chosen: BTreeSet<StepId> = selection.steps.iter().map(|id| StepId::from_stored(id)).collect();
        for who in &selection.people {
            let theirs = self.steps.iter().filter(|(_, step)| is_about(step, who));
            let theirs: Vec<StepId> = theirs.map(|(id, _)| StepId::from_stored(id)).collect();
            if theirs.is_empty() {
                return Err(refused(format!("it holds nothing about “{who}”")));
            }
            chosen.extend(theirs);
        }
        let held = self
            .before
            .iter()
            .map(|(id, before)| {
                (StepId::from_stored(id), before.iter().map(|id| StepId::from_stored(id)).collect())
            })
            .collect();
        let named = |id: &StepId| label(id, self.steps.get(id.as_str()));
        let part = Part::of(&held, chosen).map_err(|unfit| {
            refused(match unfit {
                Unfit::Nothing => "nothing of it is chosen".into(),
                Unfit::NotHeld(step) => format!("it holds no step “{step}”"),
                Unfit::Needs { step, needs } => {
                    format!("{} needs {} first, which is not chosen", named(&step), named(&needs))
                }
            })
        })?;
        self.part = (!part.is_whole()).then_some(part);
        Ok(())
    }

    /// What tells the approved part from others.
    pub(super) fn part_digest(&self) -> Option<Digest> {
        self.part.as_ref().map(|part| part.digest(&self.digest))
    }

    /// What of it is approved, for the audit log.
    pub(super) fn told(&self) -> Option<String> {
        let part = self.part.as_ref()?;
        let chosen = part.chosen();
        let listed: Vec<&str> = chosen.iter().take(LISTED).map(StepId::as_str).collect();
        let more = chosen.len() - listed.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!(
            "{} of {} held steps: {}{more}",
            chosen.len(),
            chosen.len() + part.left_out().len(),
            listed.join(", ")
        ))
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// The plan in which only the chosen ones of the held steps are open, with what is to be remembered of the others.
    pub(crate) fn plan_of_part(
        &self,
        world: &mut World,
        part: &Part,
        unapproved: &Plan,
        approval: Approval,
    ) -> Result<(Plan, Vec<MemoryChange>), Failure> {
        let since = self.ports.clock.now();
        let leave_out = |step: StepId| MemoryChange::MarkStep { step, mark: Mark::LeftOut { since } };
        let released = part.chosen().iter().flat_map(|step| {
            [MarkKind::LeftOut, MarkKind::RuleChange]
                .map(|mark| MemoryChange::UnmarkStep { step: step.clone(), mark })
        });
        let mut changes: Vec<MemoryChange> =
            released.chain(part.left_out().iter().cloned().map(leave_out)).collect();
        for change in &changes {
            world.memory.apply(change);
        }
        let may: BTreeSet<StepId> =
            unapproved.open_steps().map(Step::id).chain(part.chosen().iter().cloned()).collect();
        for _ in 0..ROUNDS {
            let plan = self.plan_for(world, &Purpose::Sync, approval)?;
            let beyond: Vec<StepId> =
                plan.open_steps().map(Step::id).filter(|step| !may.contains(step)).collect();
            if beyond.is_empty() {
                return Ok((plan, changes));
            }
            for change in beyond.into_iter().map(leave_out) {
                world.memory.apply(&change);
                changes.push(change);
            }
        }
        Err(EngineError::Moved("what is left would be done in another way without the rest".into()).into())
    }
}
