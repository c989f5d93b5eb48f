//! What the use cases themselves can refuse; everything else that goes wrong comes through the ports as a
//! [`Failure`] already.

use entrain_domain::verify::Finding;
use entrain_domain::{Failure, FailureClass, FailureCode};

/// A refusal of the engine's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Another run holds the connection.
    #[error("another run of “{connection}” is under way: {holder}")]
    Busy {
        /// The connection.
        connection: String,
        /// Who holds it, as the holder told.
        holder: String,
    },
    /// The second opinion refused the plan.
    #[error("the plan breaks {} of the rules that must always hold, first: {}", .0.len(), first(.0))]
    Unsound(Vec<Finding>),
    /// The sides are not what the saved plan rests on.
    #[error("the plan no longer fits: {0}")]
    Stale(String),
    /// The file is not a plan as Entrain wrote it.
    #[error("the plan file is not what Entrain wrote: {0}")]
    Altered(String),
    /// The technical account may not do what the plan needs.
    #[error("the technical account lacks a right on the site: {0}")]
    RightMissing(&'static str),
}

fn first(findings: &[Finding]) -> String {
    findings.first().map_or_else(String::new, |f| match &f.step {
        Some(step) => format!("{} ({step})", f.what),
        None => f.what.clone(),
    })
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let (code, class, remedy) = match &error {
            EngineError::Busy { .. } => (
                FailureCode::ConnectionBusy,
                FailureClass::Transient,
                "wait for it to end, or run again with --wait",
            ),
            EngineError::Unsound(_) => (
                FailureCode::PlanUnsound,
                FailureClass::Local,
                "nothing was written; please report this with the output of entrain plan --json",
            ),
            EngineError::Stale(_) => (
                FailureCode::PlanStale,
                FailureClass::Local,
                "nothing was written; make a new plan with entrain plan --out and look at it again",
            ),
            EngineError::Altered(_) => (
                FailureCode::PlanAltered,
                FailureClass::Local,
                "nothing was written; make a new plan with entrain plan --out",
            ),
            EngineError::RightMissing(_) => (
                FailureCode::SiteRightMissing,
                FailureClass::Connection,
                "give the technical account the right, then let entrain check confirm it",
            ),
        };
        Self::new(code, class, error.to_string(), remedy)
    }
}
