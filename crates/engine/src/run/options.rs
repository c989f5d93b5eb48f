//! What a run is asked to do, and how.

use std::time::Duration;

use entrain_domain::plan::{Approval, Plan};
use entrain_domain::run::{Relation, RequestCounts, RunSubject, Trigger};
use tokio_util::sync::CancellationToken;

use super::course::Freshness;
use crate::decide::HeldPlan;
use crate::saved_plan::Expected;
use crate::undo::Undoing;

/// How hard an engine tries.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Calls in flight for each kind of step, and for reading members and look-ups. The client's budgets set the
    /// pace; this only has to be enough to fill them at the latency observed.
    pub in_flight: usize,
    /// How long a read may lag behind a write before the run says that it does not see it (atlassian-cloud.md 12.1:
    /// poll up to 60 s).
    pub patience: Duration,
    /// For how long after its answer was lost an invitation that nobody finds is not repeated.
    pub quarantine: Duration,
    /// Time between full reads of both sides.
    pub full_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            in_flight: 32,
            patience: Duration::from_mins(1),
            quarantine: Duration::from_mins(15),
            full_every: Duration::from_hours(24),
        }
    }
}

/// What to do when another run holds the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Refuse, naming the holder.
    No,
    /// Wait this long, then refuse.
    For(Duration),
}

/// What a run is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Bringing the site in step.
    Sync,
    /// Doing a saved plan; a fresh one must equal it.
    Saved(Expected),
    /// Doing what guards held in an earlier run; a fresh plan must hold the same.
    Approval(HeldPlan),
    /// Taking back what an earlier run did.
    Undo(Undoing),
    /// Bringing one person, or one group with its members, in step, and nothing else.
    Only(Only),
}

impl Purpose {
    /// What is taken back, if anything is.
    pub(crate) fn undoing(&self) -> Option<&Undoing> {
        match self {
            Self::Undo(undoing) => Some(undoing),
            Self::Approval(held) => held.undoing.as_ref(),
            Self::Sync | Self::Saved(_) | Self::Only(_) => None,
        }
    }

    /// What a run for this is to an earlier one.
    pub(super) fn relation(&self) -> Option<Relation> {
        match self {
            Self::Approval(held) => Some(Relation::Approves(held.run.clone())),
            Self::Undo(undoing) => Some(Relation::Undoes(undoing.run.clone())),
            Self::Sync | Self::Saved(_) | Self::Only(_) => None,
        }
    }
}

/// Whom, or which group, somebody names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    /// A person: object id, user principal name, address, or account id.
    User(String),
    /// A group: id or name, on either side.
    Group(String),
}

impl Only {
    /// What stands in the record of the run.
    pub(super) fn subject(&self) -> RunSubject {
        match self {
            Self::User(text) => RunSubject::Asked(format!("user {text}")),
            Self::Group(text) => RunSubject::Asked(format!("group {text}")),
        }
    }
}

/// One run, as asked for.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// What started it.
    pub trigger: Trigger,
    /// What a person released.
    pub approval: Approval,
    /// How much is read.
    pub freshness: Freshness,
    /// What to do when another run is under way.
    pub wait: Wait,
    /// Who asked for it, for the audit log.
    pub by: String,
    /// What for.
    pub purpose: Purpose,
    /// Stops the run at the next step boundary.
    pub stop: CancellationToken,
}

impl RunOptions {
    /// An ordinary run: nothing released, no more read than needed, no waiting, no saved plan.
    pub fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            approval: Approval::None,
            freshness: Freshness::Incremental,
            wait: Wait::No,
            by: "entrain".into(),
            purpose: Purpose::Sync,
            stop: CancellationToken::new(),
        }
    }
}

/// A plan that was made and not applied.
#[derive(Debug)]
pub struct Preview {
    /// The plan.
    pub plan: Plan,
    /// Requests that reading took.
    pub requests: RequestCounts,
    /// The plan as JSON, as the contract has it.
    pub document: serde_json::Value,
}
