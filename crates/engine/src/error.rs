//! What the use cases themselves can refuse; everything else that goes wrong comes through the ports as a
//! [`Failure`] already.

use entrain_domain::model::RunId;
use entrain_domain::plan::Guard;
use entrain_domain::verify::Finding;
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;

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
    /// A quota was used up in the last run, and is not reset yet.
    #[error("a quota is used up, and “{connection}” rests until {resume_at}")]
    Parked {
        /// The connection.
        connection: String,
        /// When it goes on.
        resume_at: Timestamp,
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
    /// What was looked at before it was approved is no longer what would be done.
    #[error("the approved plan no longer fits: {0}")]
    Moved(String),
    /// Nothing of the run can be approved or rejected.
    #[error("run {run} cannot be approved or rejected: {why}")]
    NotWaiting {
        /// The run.
        run: RunId,
        /// Why, in words.
        why: String,
    },
    /// The part that was chosen cannot be approved.
    #[error("this part of run {run} cannot be approved: {why}")]
    NotInPart {
        /// The run.
        run: RunId,
        /// Why, in words.
        why: String,
    },
    /// The run cannot be taken back.
    #[error("run {run} cannot be undone: {why}")]
    NotUndone {
        /// The run.
        run: RunId,
        /// Why, in words.
        why: String,
    },
    /// The approval does not reach as far as the guard.
    #[error("run {run} is held by the guard “{guard}”, which this approval does not release")]
    NotReleased {
        /// The run.
        run: RunId,
        /// The guard.
        guard: Guard,
    },
    /// The rules ask for two people.
    #[error("the rules of “{0}” ask for two people, and one alone has approved")]
    OnePerson(String),
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
            EngineError::Parked { .. } => (
                FailureCode::ConnectionParked,
                FailureClass::Transient,
                "nothing was sent; run it again after that time, or wait for it with entrain sync --wait",
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
            EngineError::Moved(_) => (
                FailureCode::PlanStale,
                FailureClass::Local,
                "nothing was written; run entrain sync, and look at what it holds now",
            ),
            EngineError::NotWaiting { .. } => (
                FailureCode::ApprovalRefused,
                FailureClass::Local,
                "entrain runs list shows the runs that are held; entrain sync makes a new plan",
            ),
            EngineError::NotInPart { .. } => (
                FailureCode::ApprovalRefused,
                FailureClass::Local,
                "choose among its held steps, each with what it needs, or approve all of it",
            ),
            EngineError::NotUndone { .. } => (
                FailureCode::ApprovalRefused,
                FailureClass::Local,
                "entrain runs list shows the runs that there are",
            ),
            EngineError::NotReleased { .. } => (
                FailureCode::ApprovalRefused,
                FailureClass::Local,
                "make sure that the directory is really meant to be empty, then approve with --accept-empty",
            ),
            EngineError::OnePerson(_) => (
                FailureCode::ApprovalRefused,
                FailureClass::Local,
                "run without --yes; then two people approve the held run with entrain runs approve",
            ),
            EngineError::RightMissing(_) => (
                FailureCode::SiteRightMissing,
                FailureClass::Connection,
                "give the technical account the right, then let entrain check confirm it",
            ),
        };
        let failure = Self::new(code, class, error.to_string(), remedy);
        match error {
            EngineError::Parked { resume_at, .. } => failure.until(resume_at),
            _ => failure,
        }
    }
}
