//! What becomes of people who have left: which rungs of the ladder are taken, when, and on whose accounts.
//!
//! The first rung, out of every managed group at once, is no matter of these rules: it follows from the memberships.

use std::fmt;
use std::time::Duration;

use crate::memory::Origin;
use crate::model::Leaving;

/// A rung above the groups, from the gentlest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Access to everything in the organization's directory is suspended; roles and groups are kept for a return.
    Suspend,
    /// The managed account is deactivated: nobody signs in with it anywhere.
    Deactivate,
    /// The person is taken off the site; a return needs an invitation.
    Remove,
}

impl Measure {
    /// All of them, in the order of the ladder.
    pub const ALL: [Self; 3] = [Self::Suspend, Self::Deactivate, Self::Remove];

    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Deactivate => "deactivate",
            Self::Remove => "remove",
        }
    }

    /// The measure stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == word)
    }

    /// The key of its delay in the document.
    pub fn key(self) -> &'static str {
        match self {
            Self::Suspend => "suspend_after",
            Self::Deactivate => "deactivate_after",
            Self::Remove => "remove_after",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long after somebody has left each rung is taken; a rung without a time is off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Delays {
    /// Suspension.
    pub suspend: Option<Duration>,
    /// Deactivation.
    pub deactivate: Option<Duration>,
    /// Removal.
    pub remove: Option<Duration>,
}

impl Delays {
    /// The delay of a measure, if it is on.
    pub fn of(&self, measure: Measure) -> Option<Duration> {
        match measure {
            Measure::Suspend => self.suspend,
            Measure::Deactivate => self.deactivate,
            Measure::Remove => self.remove,
        }
    }

    /// Whether no rung is on.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// On whose accounts rungs are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaverAccounts {
    /// On those that Entrain invited: accounts that were there before are somebody else's (design 5.2).
    #[default]
    Invited,
    /// On every account that is linked to the person.
    Linked,
}

/// The rules of the ladder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Leavers {
    /// Whose accounts.
    pub accounts: LeaverAccounts,
    /// Delays for people disabled in the directory.
    pub disabled: Delays,
    /// Delays for people deleted there.
    pub deleted: Delays,
    /// Delays for people who are there and take no part any more.
    pub out_of_scope: Delays,
}

impl Leavers {
    /// The delays of a trigger.
    pub fn delays(&self, leaving: Leaving) -> &Delays {
        match leaving {
            Leaving::Disabled => &self.disabled,
            Leaving::Deleted => &self.deleted,
            Leaving::OutOfScope => &self.out_of_scope,
        }
    }

    /// Whether rungs are taken on an account that came to be known this way.
    pub fn takes(&self, origin: Origin) -> bool {
        match self.accounts {
            LeaverAccounts::Linked => true,
            LeaverAccounts::Invited => origin == Origin::Created,
        }
    }

    /// Whether any rung is on, for any trigger.
    pub fn any(&self) -> bool {
        Leaving::ALL.into_iter().any(|leaving| !self.delays(leaving).is_empty())
    }
}
