//! Guards: limits and protections that hold a plan, or a part of it, for a person's approval.

use std::fmt;

/// A guard, in the words of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The directory, or the scope, reads as empty and was not. Only `--accept-empty` releases it.
    EmptyDirectory,
    /// More removals than the limit allows, of all memberships or of one group's. Holds the whole plan.
    Removals,
    /// More additions than the limit allows, after the first converged run. Holds the whole plan.
    Additions,
    /// A group of five or more reads as empty. Holds that group's removals.
    EmptyGroup,
    /// Adopting a group that exists already.
    Adoption,
    /// A removal that only an authoritative group asks for.
    Authoritative,
}

impl Guard {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyDirectory => "empty_directory",
            Self::Removals => "removals",
            Self::Additions => "additions",
            Self::EmptyGroup => "empty_group",
            Self::Adoption => "adoption",
            Self::Authoritative => "authoritative",
        }
    }

    /// Whether the guard holds the whole plan, not only single steps.
    pub fn holds_everything(self) -> bool {
        matches!(self, Self::EmptyDirectory | Self::Removals | Self::Additions)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A guard that holds, with what it counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// The guard.
    pub guard: Guard,
    /// What it counted and against which limit, in a sentence.
    pub reason: String,
}

/// What earlier runs did, as far as guards look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Whether a run of this connection has converged before; additions are limited from then on.
    pub converged_before: Before,
    /// Memberships taken away within the last 24 hours.
    pub removals_last_24h: usize,
    /// Listed users at the last complete read; `None` before the first.
    pub users_before: Option<usize>,
}

/// Whether something has happened before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Before {
    /// Never.
    #[default]
    Never,
    /// At least once.
    Once,
}

/// What a person released for this run (`--yes`, `--accept-empty`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nothing: every guard holds.
    #[default]
    None,
    /// What guards hold, except an empty directory or scope.
    Held,
    /// Everything, an empty directory or scope included.
    EvenEmpty,
}

impl Approval {
    /// Whether the approval releases this guard.
    pub fn releases(self, guard: Guard) -> bool {
        match self {
            Self::None => false,
            Self::Held => guard != Guard::EmptyDirectory,
            Self::EvenEmpty => true,
        }
    }
}
