//! The writing half of a run: the plan is done, what was done is read back, and the mirror learns of it.

use entrain_domain::Failure;
use entrain_domain::memory::MemoryChange;
use entrain_domain::plan::{Plan, StepKind};
use entrain_domain::run::Phase;
use tracing::Instrument as _;

use super::read::World;
use super::{Engine, RunOptions, stopped};
use crate::error::EngineError;
use crate::ports::{Clock, Directory, Event, Ids, Overtaken, Progress, Site, Store};
use crate::recover::Recovered;
use crate::report::Draft;

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Does the part of a plan that was asked for. The mirrors stay where they are, so that the next run over everything
    /// sees whatever else has changed; only what was written is put into them.
    pub(super) async fn write_asked(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let store = &self.ports.store;
        let mut records = Vec::with_capacity(plan.records.len());
        for record in &plan.records {
            let account = match record {
                MemoryChange::OwnMembership { account, .. }
                | MemoryChange::DisownMembership { account, .. } => Some(account),
                _ => None,
            };
            let passed = match (account, world.since) {
                (Some(account), Some(since)) => {
                    store.overtaken(&self.connection, None, Some(account), since).await?
                }
                _ => Overtaken::No,
            };
            if passed == Overtaken::No {
                records.push(record.clone());
            }
        }
        if !records.is_empty() {
            store.remember(&self.connection, &records).await?;
        }
        for record in &records {
            world.memory.apply(record);
        }
        if plan.open_steps().next().is_none() {
            return Ok(());
        }
        Self::may_write(world, plan)?;
        self.write(draft, world, plan, recovered, options, progress).await
    }

    /// Groups that persons' syncs wrote meanwhile are not as this run read them: the next run reads them again.
    pub(super) async fn forget_written_beside(&self, world: &mut World) -> Result<(), Failure> {
        let Some(since) = world.since else { return Ok(()) };
        for group in self.ports.store.written_beside(&self.connection, since).await? {
            world.site.forget_members(&group);
        }
        Ok(())
    }

    /// Refuses to begin writing what the technical account has no right to write, where that is known for certain.
    pub(crate) fn may_write(world: &World, plan: &Plan) -> Result<(), Failure> {
        let standing = world.site.standing();
        for step in plan.open_steps() {
            match step.action.kind() {
                StepKind::CreateUser | StepKind::UpdateUser | StepKind::RemoveUser
                    if standing.administer == Some(false) =>
                {
                    return Err(EngineError::RightMissing("Administer Jira").into());
                }
                StepKind::CreateGroup | StepKind::AddMember | StepKind::RemoveMember
                    if standing.site_admin == Some(false) =>
                {
                    return Err(
                        EngineError::RightMissing("site administration, which writing groups needs").into()
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) async fn write(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        if self.write_round(draft, world, plan, recovered, options, progress).await?.is_none() {
            return Ok(());
        }
        // What people changed by hand in groups that were remembered shows when they are read back; it is done at once.
        // An undo has read them all.
        let more = self.sound_plan(world, options.approval)?;
        draft.take_more(&more);
        if self.write_round(draft, world, &more, recovered, options, progress).await?.is_some() {
            draft.incomplete();
        }
        Ok(())
    }

    /// Does a plan and reads it back. Gives back what came to light by that.
    pub(super) async fn write_round(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<Option<Plan>, Failure> {
        let store = &self.ports.store;
        if options.stop.is_cancelled() {
            return Err(stopped());
        }
        store.phase(&draft.run, Phase::Applying, None).await?;
        progress.report(Event::Phase(Phase::Applying));
        let applied = self
            .apply(draft, world, plan, recovered, &options.stop, progress)
            .instrument(tracing::info_span!("apply"))
            .await?;
        if world.asked.is_some() {
            self.put_into_mirror(None, world, plan, &applied).await?;
        }
        if options.stop.is_cancelled() || draft.resume_at.is_some() {
            // Whatever was done: nothing has been read back, so nothing is said of it.
            draft.incomplete();
            for group in &applied.groups {
                world.site.forget_members(group);
            }
            return Ok(None);
        }
        self.expect_seats(world, plan, &applied);
        if !applied.touched() {
            if draft.overtaken.is_empty() {
                draft.incomplete();
            }
            if !applied.seatless.is_empty() {
                let fresh = self.plan_for(world, &options.purpose, options.approval)?;
                self.line_up(draft, world, &fresh).await?;
            }
            return Ok(None);
        }
        store.phase(&draft.run, Phase::Verifying, None).await?;
        progress.report(Event::Phase(Phase::Verifying));
        let reading = self.read_back(draft, world, (plan, &applied), options, progress);
        reading.instrument(tracing::info_span!("verify")).await
    }

    /// Notes that the run was stopped with so many steps untried.
    pub(crate) fn say_stopped(&self, draft: &mut Draft, left: usize) {
        draft.incomplete();
        draft.set_aside.push(entrain_domain::plan::SetAside {
            object: format!("connection “{}”", self.connection),
            reason: if left == 0 {
                "the run was stopped before anything was written".into()
            } else {
                format!("the run was stopped with {left} steps not tried")
            },
            remedy: "run again; the next run does what is left".into(),
            mended_by: entrain_domain::plan::MendedBy::Itself,
        });
    }
}
