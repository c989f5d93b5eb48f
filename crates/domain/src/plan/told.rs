//! A plan told apart: a row for each person and each group, so that a page of a plan is made without the rest of it.

use crate::model::RunId;

/// Whose plan it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanOf {
    /// A run's.
    Run(RunId),
    /// The newest preview of a connection, or of a draft of one.
    Preview(String),
}

/// What becomes of one person, or of one group, in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Its place among all rows, from 0.
    pub place: i64,
    /// How it is found again.
    pub key: String,
    /// Steps of it that are held.
    pub held: i64,
    /// What is searched, in small letters.
    pub find: String,
    /// Its steps, as JSON.
    pub body: String,
}

/// Which rows are wanted: some of a section, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanRowsWanted {
    /// From this place on.
    pub from: i64,
    /// Up to this one, which is not among them.
    pub until: i64,
    /// So many steps of it are held at least.
    pub held: i64,
    /// A text that they hold, in small letters; an empty one is held by all.
    pub find: String,
    /// At most so many.
    pub limit: u32,
}
