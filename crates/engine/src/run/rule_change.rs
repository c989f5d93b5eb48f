//! Removals and rungs of the leaver ladder that a change of the rules asks for, and not the directory: they wait for a
//! person.
//!
//! The first run under new rules still has the mirrors of the old ones. What the new rules would take away from *that*
//! picture, nobody in the directory has asked for. It is remembered step by step, so that it still waits when the mirrors
//! have moved on, and forgotten when it is approved and done, or no longer asked for. Whom new rules put on the ladder,
//! their rungs wait when they become due.

use std::collections::HashSet;

use entrain_domain::Failure;
use entrain_domain::memory::{Mark, MarkKind, MemoryChange};
use entrain_domain::model::{Coverage, DirectoryUserId, Evidence, Leaving, SiteSnapshot};
use entrain_domain::plan::{Action, Approval, Plan, Step, StepId, plan};
use entrain_domain::policy::Measure;

use super::{Engine, World};
use crate::ports::{Clock, Directory, DirectoryRead, Ids, Site, Store};

/// Steps that take something away.
fn taking(plan: &Plan) -> impl Iterator<Item = &Step> {
    let takes = |action: &Action| matches!(action, Action::RemoveMember { .. } | Action::TakeRung { .. });
    plan.steps.iter().filter(move |step| takes(&step.action))
}

/// Whether the directory itself asks for a removal, whatever the rules are: the person has left.
fn has_left(step: &Step) -> bool {
    matches!(&step.action, Action::RemoveMember { removal, .. }
        if matches!(removal.proof.evidence(), Evidence::Disabled | Evidence::Deleted))
}

/// Whether it rests on the record of the person alone, which every reading of the directory has.
fn by_the_record(step: &Step) -> bool {
    matches!(&step.action, Action::TakeRung { departed, .. } if departed.proof.leaving() != Leaving::OutOfScope)
}

/// Whom the plan puts on the ladder for being out of scope.
fn left_out(plan: &Plan) -> HashSet<&DirectoryUserId> {
    plan.records
        .iter()
        .filter_map(|record| match record {
            MemoryChange::EnterLadder(place) if place.leaving == Leaving::OutOfScope => Some(&place.user),
            _ => None,
        })
        .collect()
}

fn rungs<'a>(users: impl IntoIterator<Item = &'a DirectoryUserId>) -> impl Iterator<Item = StepId> {
    users.into_iter().flat_map(|user| Measure::ALL.map(|measure| StepId::of_rung(measure, user)))
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Marks in the world's memory what the new rules ask for and the directory does not, and unmarks what nobody asks
    /// for any more. Gives back the changes, to be stored with what the run learns.
    pub(crate) async fn mark_rule_change(&self, world: &mut World) -> Result<Vec<MemoryChange>, Failure> {
        let mut changes = self.new_marks(world).await?;
        if world.memory.any_marks() {
            let now = plan(&world.input(&self.rules, Approval::EvenEmpty));
            let on_ladder = world.memory.ladder().map(|place| &place.user);
            let returned: HashSet<&DirectoryUserId> = now
                .records
                .iter()
                .filter_map(|record| match record {
                    MemoryChange::LeaveLadder { user } => Some(user),
                    _ => None,
                })
                .collect();
            let asked: HashSet<StepId> = taking(&now)
                .map(Step::id)
                .chain(rungs(on_ladder.filter(|user| !returned.contains(user))))
                .collect();
            let planned: HashSet<StepId> = now.steps.iter().map(Step::id).collect();
            // Who waits for a seat still wants what the step would give.
            let waits: HashSet<&str> = now
                .waiting
                .iter()
                .filter_map(|waiting| waiting.directory_id.as_ref().map(DirectoryUserId::as_str))
                .collect();
            let in_line =
                |step: &StepId| step.as_str().rsplit('/').next().is_some_and(|user| waits.contains(user));
            let stale = world.memory.marks().filter(|(step, mark)| match mark.kind() {
                MarkKind::RuleChange => !asked.contains(*step),
                MarkKind::LeftOut => !planned.contains(*step) && !asked.contains(*step) && !in_line(step),
                MarkKind::Refused | MarkKind::Flipped | MarkKind::Owed => false,
            });
            changes.extend(
                stale.map(|(step, mark)| MemoryChange::UnmarkStep { step: step.clone(), mark: mark.kind() }),
            );
        }
        for change in &changes {
            world.memory.apply(change);
        }
        Ok(changes)
    }

    async fn new_marks(&self, world: &World) -> Result<Vec<MemoryChange>, Failure> {
        let Some(head) = self.ports.store.mirror_head(&self.connection).await? else { return Ok(Vec::new()) };
        let basis = self.basis(head.basis.full_at);
        let fingerprint = |text: &str| text.rsplit(' ').next().unwrap_or_default().to_owned();
        if fingerprint(&head.basis.rules) == fingerprint(&basis.rules) {
            return Ok(Vec::new());
        }
        let now = plan(&world.input(&self.rules, Approval::EvenEmpty));
        let candidates: Vec<&Step> = taking(&now).filter(|step| !has_left(step)).collect();
        let entering = left_out(&now);
        if candidates.is_empty() && entering.is_empty() {
            return Ok(Vec::new());
        }
        let before = self.plan_before(world).await?;
        let asked_before: Option<HashSet<StepId>> =
            before.as_ref().map(|before| taking(before).map(Step::id).collect());
        let entered_before = before.as_ref().map(left_out);
        // What was read for the old rules does not tell what the new ones would have made of it, but for people's own
        // records.
        let read_alike = fingerprint(&head.basis.demand) == fingerprint(&basis.demand);
        let caused = candidates.into_iter().map(|step| (step, step.id())).filter(|(step, id)| {
            let told = read_alike || by_the_record(step);
            !told || asked_before.as_ref().is_none_or(|before| before.contains(id))
        });
        let entering = entering.into_iter().filter(|user| {
            !read_alike || entered_before.as_ref().is_none_or(|before| before.contains(*user))
        });
        let since = self.ports.clock.now();
        Ok(caused
            .map(|(_, id)| id)
            .chain(rungs(entering))
            .map(|step| MemoryChange::MarkStep { step, mark: Mark::RuleChange { since } })
            .collect())
    }

    /// What the rules of now make of both sides as they were last remembered; `None` when they are not.
    async fn plan_before(&self, world: &World) -> Result<Option<Plan>, Failure> {
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
            own: None,
            asked: None,
            ..*world
        };
        Ok(Some(plan(&before.input(&self.rules, Approval::EvenEmpty))))
    }
}
