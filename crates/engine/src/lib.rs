//! The use cases of Entrain over ports: one run from reading to report, what a killed run left behind, and the checks
//! of a connection. Knows nothing of HTTP, SQL or terminals.
//!
//! | module | holds |
//! |---|---|
//! | [`notifications`] | subscriptions to change notifications, hints, freshness |
//! | [`ports`] | what is needed from outside |
//! | [`run`] | the engine of one connection: preview, and one run as a resumable state machine |
//! | [`person`] | the sync of one person, beside a run over everything |
//! | [`explain`] | why somebody, or a group, is or is not what and where it is |
//! | [`report`] | a plan as JSON, labels for people |
//! | [`decide`] | approving and rejecting what guards hold |
//! | [`reports`] | read-only reports that need no rules |
//! | [`schedule`] | when a connection is due |
//! | [`saved_plan`] | the file of `plan --out` |
//! | [`undo`] | taking back what a run did |
//! | [`what_if`] | what new rules would do, before they are stored |
//! | [`attributes`] | what the attribute rules make of one person |
//! | [`alerts`] | what people are told, when, and how often |
//! | [`check`] | both sides tried out, for `entrain check` |
//! | [`error`] | what the engine itself refuses |

#[cfg(test)]
extern crate self as entrain_engine;

pub mod alerts;
mod apply;
pub mod attributes;
pub mod check;
pub mod decide;
pub mod error;
pub mod explain;
mod ladder;
pub mod notifications;
pub mod person;
pub mod plan_view;
pub mod ports;
mod readback;
mod recover;
pub mod report;
pub mod reports;
pub mod run;
pub mod saved_plan;
pub mod schedule;
mod seats;
pub mod undo;
pub mod what_if;

pub use decide::{Approved, Selection};
pub use explain::{Explained, Question};
pub use run::{Engine, Freshness, Only, Options, Ports, Preview, Purpose, RunOptions, Wait};
pub use saved_plan::{Expected, SavedPlan};
