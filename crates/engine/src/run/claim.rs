//! Before a run begins: who holds the connection, what dead processes left, and whether a quota is used up.

use std::time::Duration;

use entrain_domain::Failure;
use entrain_domain::run::{RequestCounts, Trigger, parked_until};
use jiff::Timestamp;

use super::{Engine, RunOptions, Wait, stopped};
use crate::error::EngineError;
use crate::ports::{ClaimError, Clock, Directory, Event, Ids, Progress, Site, Store, UnfinishedRun};
use crate::report::{Draft, end_note};

/// A wait for a reset looks at the clock this often: it may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// What runs that were ended for their dead process had done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// They had begun to write.
    WithCalls,
    /// Nothing.
    WithoutCalls,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// The run that a killed process left, if it is one that goes on. What a person asked for by name is not gone on
    /// with unasked: such a run is ended here, and asked for again.
    pub(super) async fn left_to_finish(&self) -> Result<Option<UnfinishedRun>, Failure> {
        while let Some(left) = self.ports.store.unfinished(&self.connection).await? {
            if !matches!(left.trigger, Trigger::Approval | Trigger::Undo) {
                return Ok(Some(left));
            }
            let mut draft = Draft::new(left.id, left.trigger, left.started_at, left.journal);
            draft.count_earlier();
            draft.fail(stopped());
            let report = draft.finish(&self.connection, RequestCounts::default(), self.ports.clock.now());
            self.ports.store.end(&report, end_note(&report)).await?;
        }
        Ok(None)
    }

    /// Ends runs about one person or one group whose process is gone; what they left open is looked up like any other.
    pub(super) async fn end_abandoned(&self) -> Result<Abandoned, Failure> {
        let mut abandoned = Abandoned::WithoutCalls;
        for left in self.ports.store.abandoned(&self.connection).await? {
            if !left.journal.is_empty() {
                abandoned = Abandoned::WithCalls;
            }
            let mut draft = Draft::new(left.id, left.trigger, left.started_at, left.journal);
            draft.count_earlier();
            draft.fail(stopped());
            let report = draft.finish(&self.connection, RequestCounts::default(), self.ports.clock.now());
            self.ports.store.end(&report, end_note(&report)).await?;
        }
        Ok(abandoned)
    }

    /// Claims the connection, no earlier than a used-up quota allows.
    pub(super) async fn claim_once_resumed(
        &self,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<T::Claim, Failure> {
        let mut told = None;
        loop {
            // Nobody is kept out meanwhile: the claim is made anew after each pause
            let claim = self.claim(options, progress).await?;
            let Some(resume_at) = self.parked_until().await? else { return Ok(claim) };
            drop(claim);
            if options.wait == Wait::No {
                return Err(EngineError::Parked { connection: self.connection.clone(), resume_at }.into());
            }
            if told.replace(resume_at) != Some(resume_at) {
                progress.report(Event::Waiting { what: format!("the reset of a quota at {resume_at}") });
            }
            let left = resume_at.duration_since(self.ports.clock.now());
            let left = Duration::try_from(left).unwrap_or_default() + Duration::from_millis(1);
            if !self.pause(left.min(LONGEST_SLEEP), &options.stop).await {
                return Err(stopped());
            }
        }
    }

    /// Until when the last run parked the connection, if it is not over yet.
    pub(super) async fn parked_until(&self) -> Result<Option<Timestamp>, Failure> {
        let last = self.ports.store.last_report(&self.connection).await?;
        Ok(parked_until(last.and_then(|report| report.resume_at), self.ports.clock.now()))
    }

    /// Refuses what would only spend a request that is going to be refused.
    pub(super) async fn not_parked(&self) -> Result<(), Failure> {
        match self.parked_until().await? {
            Some(resume_at) => {
                Err(EngineError::Parked { connection: self.connection.clone(), resume_at }.into())
            }
            None => Ok(()),
        }
    }

    pub(super) async fn claim(
        &self,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<T::Claim, Failure> {
        let patience = match options.wait {
            Wait::No => Duration::ZERO,
            Wait::For(time) => time,
        };
        let mut waited = Duration::ZERO;
        loop {
            match self.ports.store.claim(&self.connection, &self.holder).await {
                Ok(claim) => return Ok(claim),
                Err(ClaimError::Failed(failure)) => return Err(failure),
                Err(ClaimError::Busy(busy)) if waited >= patience => {
                    return Err(EngineError::Busy {
                        connection: self.connection.clone(),
                        holder: busy.holder,
                    }
                    .into());
                }
                Err(ClaimError::Busy(busy)) => {
                    progress.report(Event::Waiting { what: format!("another run to end: {}", busy.holder) });
                    let pause = Duration::from_secs(1).min(patience.saturating_sub(waited));
                    if !self.pause(pause, &options.stop).await {
                        return Err(stopped());
                    }
                    waited += pause;
                }
            }
        }
    }
}
