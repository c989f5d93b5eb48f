//! The proof that somebody has left, which every rung of the leaver ladder rests on, and what hangs on a person whom
//! the rung is about.

use std::fmt;
use std::sync::Arc;

use super::closure::CompleteClosure;
use super::directory::{AccountState, Coverage, DirectorySnapshot};
use super::ids::DirectoryUserId;
use crate::policy::OutOfScope;

/// How somebody has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// The account in the directory is disabled.
    Disabled,
    /// The directory has deleted the user.
    Deleted,
    /// The user is there and enabled, and takes no part any more.
    OutOfScope,
}

impl Leaving {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Disabled, Self::Deleted, Self::OutOfScope];

    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::OutOfScope => "out_of_scope",
        }
    }

    /// The trigger stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|leaving| leaving.as_str() == word)
    }

    /// As the end of a sentence about a person.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Disabled => "disabled in the directory",
            Self::Deleted => "deleted in the directory",
            Self::OutOfScope => "out of scope",
        }
    }
}

/// Proof that a person has left, by a complete read of the directory. Cannot be built outside this module, cannot be
/// read from a file: it lives only as long as the snapshot's run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeaverProof {
    user: DirectoryUserId,
    leaving: Leaving,
}

impl LeaverProof {
    /// The proof, if the directory as read gives one: the listing was read to its end, and it has the user as disabled
    /// or deleted. Somebody who merely is not listed, or whose state is unknown, gives none.
    pub fn of(directory: &DirectorySnapshot, user: &DirectoryUserId) -> Option<Self> {
        if matches!(directory.users_coverage(), Coverage::Partial(_)) {
            return None;
        }
        let leaving = match directory.user(user) {
            Some(known) if known.account == AccountState::Disabled => Leaving::Disabled,
            Some(_) => return None,
            None => {
                directory.gone(user)?;
                Leaving::Deleted
            }
        };
        Some(Self { user: user.clone(), leaving })
    }

    /// The proof for somebody whom a rule of the scope leaves out.
    pub fn left_out(out: &OutOfScope) -> Self {
        Self { user: out.user().clone(), leaving: Leaving::OutOfScope }
    }

    /// The proof for an enabled user who is in none of the groups of the scope. The caller vouches that these are all of
    /// them.
    pub fn in_none_of(
        directory: &DirectorySnapshot,
        user: &DirectoryUserId,
        scoped: &[CompleteClosure],
    ) -> Option<Self> {
        let whole = matches!(directory.users_coverage(), Coverage::Complete)
            && matches!(directory.groups_coverage(), Coverage::Complete);
        let enabled = directory.user(user).is_some_and(|known| known.account == AccountState::Enabled);
        let ix = directory.user_ix(user)?;
        (whole && enabled && !scoped.is_empty() && !scoped.iter().any(|closure| closure.contains(ix)))
            .then(|| Self { user: user.clone(), leaving: Leaving::OutOfScope })
    }

    /// The directory user.
    pub fn user(&self) -> &DirectoryUserId {
        &self.user
    }

    /// How they have left.
    pub fn leaving(&self) -> Leaving {
        self.leaving
    }
}

/// Something on the site that answers to a person: it needs another lead before the person is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Lead {
    /// A project.
    Project {
        /// Key.
        key: Arc<str>,
        /// Name.
        name: Arc<str>,
    },
    /// A component of a project.
    Component {
        /// Key of the project, as far as the site says it.
        project: Arc<str>,
        /// Name.
        name: Arc<str>,
    },
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { key, name } => write!(f, "project “{name}” ({key})"),
            Self::Component { project, name } if project.is_empty() => write!(f, "component “{name}”"),
            Self::Component { project, name } => write!(f, "component “{name}” of {project}"),
        }
    }
}
