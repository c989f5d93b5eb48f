//! Taking back what a run did, as a run of its own: both sides are read in full, the plan comes from the journal of the
//! earlier run, and it goes through limits, journal and reading back like any other.
//!
//! As long as directory and rules say what they said, the next sync plans the same again: whoever undoes a run for good
//! changes one of the two.

use entrain_domain::Failure;
use entrain_domain::model::{RunId, SiteGroupId};
use entrain_domain::plan::{Approval, Plan, groups_to_undo, undo};
use entrain_domain::run::{JournalEntry, Phase, RunReport, Trigger};
use entrain_domain::verify::verify_undo;

use crate::error::EngineError;
use crate::ports::{Clock, Directory, Ids, Progress, Site, Store};
use crate::run::{Engine, Purpose, RunOptions, World};

/// What is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Undoing {
    /// The run.
    pub run: RunId,
    /// Its journal.
    journal: Vec<JournalEntry>,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Takes back what a run did, as far as it can be and as far as guards let it; `options` says what else the run
    /// needs (approval, stop, waiting).
    pub async fn undo(
        &self,
        run: &RunId,
        options: RunOptions,
        progress: &dyn Progress,
    ) -> Result<RunReport, Failure> {
        let summary = self.ports.store.run(run).await?;
        let refused = |why: String| Err(EngineError::NotUndone { run: run.clone(), why }.into());
        if summary.connection != self.connection {
            return refused(format!("it is of the connection “{}”", summary.connection));
        }
        if summary.phase != Phase::Ended {
            return refused("it has not ended yet; the next sync finishes it".into());
        }
        let undoing = self.undoing(run).await?;
        let options = RunOptions { trigger: Trigger::Undo, purpose: Purpose::Undo(undoing), ..options };
        self.run(options, progress).await
    }

    pub(crate) async fn undoing(&self, run: &RunId) -> Result<Undoing, Failure> {
        Ok(Undoing { run: run.clone(), journal: self.ports.store.journal(run).await? })
    }

    /// The members of the groups that the earlier run changed, also of those that the rules no longer name.
    pub(crate) async fn read_what_is_undone(
        &self,
        world: &mut World,
        undoing: &Undoing,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let groups = groups_to_undo(&world.input(&self.rules, Approval::None), &undoing.journal);
        let groups: Vec<SiteGroupId> =
            groups.into_iter().filter(|group| world.site.members(group).is_none()).collect();
        self.read_members(&mut world.site, groups, progress).await
    }

    /// What is left to take back.
    pub(crate) fn undo_plan(&self, world: &World, undoing: &Undoing, approval: Approval) -> Plan {
        undo(&world.input(&self.rules, approval), &undoing.run, &undoing.journal)
    }

    /// The same, with the second opinion's consent.
    pub(crate) fn sound_undo(
        &self,
        world: &World,
        undoing: &Undoing,
        approval: Approval,
    ) -> Result<Plan, Failure> {
        let plan = self.undo_plan(world, undoing, approval);
        let findings = verify_undo(&world.input(&self.rules, approval), &plan, &undoing.journal);
        if findings.is_empty() { Ok(plan) } else { Err(EngineError::Unsound(findings).into()) }
    }
}
