//! Removals that a change of the rules asks for, and not the directory: they wait for a person.
//!
//! The first run under new rules still has the mirrors of the old ones. What the new rules would take away from *that*
//! picture, nobody in the directory has asked for. It is remembered step by step, so that it still waits when the mirrors
//! have moved on, and forgotten when it is approved and done, or no longer asked for.

use std::collections::HashSet;

use entrain_domain::Failure;
use entrain_domain::memory::{Mark, MarkKind, MemoryChange};
use entrain_domain::model::{Coverage, Evidence, SiteSnapshot};
use entrain_domain::plan::{Action, Approval, Plan, Step, StepId, plan};

use super::{Engine, World};
use crate::ports::{Clock, Directory, DirectoryRead, Ids, Site, Store};

fn removals(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps.iter().filter(|step| matches!(step.action, Action::RemoveMember { .. }))
}

/// Whether the directory itself says that the person has left, whatever the rules are.
fn has_left(step: &Step) -> bool {
    matches!(&step.action, Action::RemoveMember { proof, .. }
        if matches!(proof.evidence(), Evidence::Disabled | Evidence::Deleted))
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Marks in the world's memory what the new rules ask for and the directory does not, and unmarks what nobody asks
    /// for any more. Gives back the changes, to be stored with what the run learns.
    pub(crate) async fn mark_rule_change(&self, world: &mut World) -> Result<Vec<MemoryChange>, Failure> {
        let mut changes = self.new_marks(world).await?;
        let asked: HashSet<StepId> = if changes.is_empty() && !world.memory.any_marks() {
            HashSet::new()
        } else {
            removals(&plan(&world.input(&self.rules, Approval::EvenEmpty))).map(Step::id).collect()
        };
        let stale = world.memory.marks().filter(|(_, mark)| mark.kind() == MarkKind::RuleChange);
        let stale = stale.filter(|(step, _)| !asked.contains(step));
        changes.extend(
            stale
                .map(|(step, _)| MemoryChange::UnmarkStep { step: step.clone(), mark: MarkKind::RuleChange }),
        );
        for change in &changes {
            world.memory.apply(change);
        }
        Ok(changes)
    }

    async fn new_marks(&self, world: &World) -> Result<Vec<MemoryChange>, Failure> {
        let store = &self.ports.store;
        let Some(head) = store.mirror_head(&self.connection).await? else { return Ok(Vec::new()) };
        let basis = self.basis(head.basis.full_at);
        let fingerprint = |text: &str| text.rsplit(' ').next().unwrap_or_default().to_owned();
        if fingerprint(&head.basis.rules) == fingerprint(&basis.rules) {
            return Ok(Vec::new());
        }
        let now = plan(&world.input(&self.rules, Approval::EvenEmpty));
        let candidates: Vec<StepId> = removals(&now).filter(|step| !has_left(step)).map(Step::id).collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let since = self.ports.clock.now();
        let caused: Vec<StepId> = if fingerprint(&head.basis.demand) == fingerprint(&basis.demand) {
            match self.plan_before(world).await? {
                Some(before) => {
                    let before: HashSet<StepId> = removals(&before).map(Step::id).collect();
                    candidates.into_iter().filter(|step| before.contains(step)).collect()
                }
                None => candidates,
            }
        } else {
            // What was read for the old rules does not tell what the new ones would have made of it.
            candidates
        };
        Ok(caused
            .into_iter()
            .map(|step| MemoryChange::MarkStep { step, mark: Mark::RuleChange { since } })
            .collect())
    }

    /// What the rules of now make of both sides as they were last remembered; `None` when they are not.
    pub(crate) async fn plan_before(&self, world: &World) -> Result<Option<Plan>, Failure> {
        let store = &self.ports.store;
        let (Some(reading), Some(picture)) =
            (store.directory_mirror(&self.connection).await?, store.site_mirror(&self.connection).await?)
        else {
            return Ok(None);
        };
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let before = World {
            directory: DirectoryRead { snapshot, watermark: world.directory.watermark.clone() },
            site: SiteSnapshot::remembered(world.site.standing().clone(), picture),
            memory: world.memory.clone(),
            lookups: world.lookups.clone(),
            basis: world.basis.clone(),
            ..*world
        };
        Ok(Some(plan(&before.input(&self.rules, Approval::EvenEmpty))))
    }
}
