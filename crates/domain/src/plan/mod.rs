//! Plans: the ordered steps from the site as it is to what the rules want, each with its reason.
//!
//! [`plan`] is a pure function. A plan is so specific that whoever applies it has no choice left to make: which
//! objects, in which order, under which guard. What was *not* planned is said too: [`SetAside`] names the object, the
//! reason and the remedy.

mod after;
mod attributes;
mod by_user;
mod digest;
mod drift;
pub mod explain;
mod focus;
mod guard;
mod ladder;
mod marks;
mod matching;
mod part;
mod planner;
mod reason;
mod renaming;
mod seats;
mod step;
mod targets;
mod told;
mod undo;

pub use after::After;
pub use attributes::profiles_to_ask;
pub use digest::Digest;
pub use drift::{ByHand, Drift, DriftKind, Treatment};
pub use focus::Focus;
pub use guard::{Approval, Before, Guard, Held, History};
pub use ladder::{DueRung, LadderRow, ladder_rows, rungs_due};
pub use marks::is_flip;
pub use matching::{Lookup, LookupBy, Lookups, accounts_to_look_up};
pub use part::{Part, Unfit};
pub use planner::{PlanInput, group_targets, plan};
pub use reason::{Differing, Earlier, Left, Reason, Renamed, Wanted};
pub use renaming::groups_to_rename;
pub use seats::{SeatForecast, Waiting, groups_that_tell, seated_by, seats_after};
pub use step::{
    Action, Departed, Effect, GroupRef, Hold, Keeping, MendedBy, PerKind, Person, Removal, Renaming,
    Reversible, SetAside, Step, StepId, StepKind, Undo, Update,
};
pub use targets::Former;
pub use told::{PlanOf, PlanRow, PlanRowsWanted};

pub use undo::{groups_to_undo, undo};

use std::collections::BTreeMap;

use crate::memory::MemoryChange;
use crate::model::ProductKey;
use crate::policy::Rules;

/// The ordered steps from the site as it is to the desired state.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps in an order in which they may be done: what a step waits for comes before it.
    pub steps: Vec<Step>,
    /// What becomes known without a write: matched people and groups, memberships present on both sides.
    pub records: Vec<MemoryChange>,
    /// What is not done, why, and what to do about it.
    pub set_aside: Vec<SetAside>,
    /// What is worth knowing and needs nobody: a group that keeps its old name, a selector that names nothing.
    pub notes: Vec<SetAside>,
    /// What people did by hand on the site.
    pub drift: Vec<Drift>,
    /// Guards that hold the plan or a part of it, with the number they counted.
    pub held: Vec<Held>,
    /// Guards that would hold the whole plan and were released by a person.
    pub released: Vec<Held>,
    /// Who waits for a seat of which product, in the order in which they are served.
    pub waiting: Vec<Waiting>,
    /// Seats per product before and after.
    pub seats: BTreeMap<ProductKey, SeatForecast>,
    /// Fingerprint of the steps and of everything they rest on.
    pub digest: Digest,
}

/// Steps by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Steps in the plan.
    pub planned: usize,
    /// Of these, held by a guard.
    pub held: usize,
}

impl Plan {
    /// The plan of a run that finds both sides in step.
    pub fn nothing(rules: &Rules) -> Self {
        Self {
            steps: Vec::new(),
            records: Vec::new(),
            set_aside: Vec::new(),
            notes: Vec::new(),
            drift: Vec::new(),
            held: Vec::new(),
            released: Vec::new(),
            waiting: Vec::new(),
            seats: BTreeMap::new(),
            digest: Digest::of(&[], rules),
        }
    }

    /// Steps that a guard holds do not count as to be done.
    pub fn open_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|s| s.hold.is_none())
    }

    /// Whether there is nothing to do and nothing held.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Drift by kind.
    pub fn drift_tally(&self) -> BTreeMap<DriftKind, usize> {
        let mut tally = BTreeMap::new();
        for drift in &self.drift {
            *tally.entry(drift.kind()).or_default() += 1;
        }
        tally
    }

    /// Steps by kind.
    pub fn tally(&self) -> BTreeMap<StepKind, Tally> {
        let mut tally: BTreeMap<StepKind, Tally> = BTreeMap::new();
        for step in &self.steps {
            let entry = tally.entry(step.action.kind()).or_default();
            entry.planned += 1;
            entry.held += usize::from(step.hold.is_some());
        }
        tally
    }
}
