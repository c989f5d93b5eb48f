//! What the sync of one person came to: whether they can go on to the site, and why not.

use std::sync::Arc;

use entrain_domain::Failure;
use entrain_domain::model::{AccountId, AccountState, DirectoryUserId, RunId};
use entrain_domain::plan::{Held, SetAside};
use entrain_domain::policy::{Audience, Rules, Standing};

use crate::report::Draft;
use crate::run::World;

/// What the sync of one person came to, for a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonOutcome {
    /// The run that `runs show` shows; none where nobody was found.
    pub run: Option<RunId>,
    /// The directory user.
    pub user: Option<DirectoryUserId>,
    /// Their name, for people.
    pub name: Option<Arc<str>>,
    /// Whether they can go on to the site.
    pub access: Access,
}

/// Whether somebody can go on to the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// They have an account, and these groups.
    InStep {
        /// The account.
        account: AccountId,
        /// Names of the managed groups they are in, in order.
        groups: Vec<Arc<str>>,
        /// What they are entitled to and do not have yet, why, and what to do.
        waiting: Vec<SetAside>,
    },
    /// The rules give them nothing.
    NotEntitled(NotEntitled),
    /// Guards hold what would be done; a person has to look at it.
    Held(Vec<Held>),
    /// Too many came at once; from this instant on it can be tried again.
    Later(jiff::Timestamp),
    /// It could not be done now.
    Waits {
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
}

/// Why the rules give somebody nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotEntitled {
    /// The directory does not know them.
    Unknown,
    /// Their account in the directory is disabled.
    Disabled,
    /// The directory has deleted them.
    Deleted,
    /// They are in no group that takes part, or a rule of the scope leaves them out.
    OutOfScope,
}

/// What the person has now.
pub(super) fn access(person: &DirectoryUserId, draft: &Draft, world: &World, rules: &Rules) -> Access {
    let snapshot = &world.directory.snapshot;
    if draft.held.iter().any(|held| held.guard.holds_everything()) {
        return Access::Held(draft.held.clone());
    }
    let Some(user) = snapshot.user(person) else {
        return Access::NotEntitled(NotEntitled::Deleted);
    };
    if user.account == AccountState::Disabled {
        return Access::NotEntitled(NotEntitled::Disabled);
    }
    let audience = Audience::of(snapshot, rules);
    match snapshot.user_ix(person).map(|ix| audience.standing(ix)) {
        Some(Standing::In) => {}
        Some(Standing::Unsure(why)) => {
            return Access::Waits { reason: why.reason.to_string(), remedy: why.remedy.to_string() };
        }
        Some(Standing::Out(_) | Standing::Unreached) | None => {
            return Access::NotEntitled(NotEntitled::OutOfScope);
        }
    }
    let Some(link) = world.memory.user(person) else {
        if !draft.held.is_empty() {
            return Access::Held(draft.held.clone());
        }
        let aside = draft.set_aside.first();
        return Access::Waits {
            reason: aside.map_or_else(|| "there is no account on the site".into(), |a| a.reason.clone()),
            remedy: aside.map_or_else(|| "run entrain sync".into(), |a| a.remedy.clone()),
        };
    };
    let mut groups: Vec<Arc<str>> = world
        .memory
        .all_memberships()
        .filter(|(_, account, _)| **account == link.account)
        .map(|(group, _, _)| {
            world.site.group(group).map_or_else(|| Arc::from(group.as_str()), |group| group.name.clone())
        })
        .collect();
    groups.sort_unstable();
    Access::InStep { account: link.account.clone(), groups, waiting: draft.set_aside.clone() }
}

pub(super) fn nobody(user: Option<DirectoryUserId>) -> PersonOutcome {
    PersonOutcome { run: None, user, name: None, access: Access::NotEntitled(NotEntitled::Unknown) }
}

pub(super) fn waits(failure: &Failure) -> Access {
    Access::Waits { reason: failure.message.clone(), remedy: failure.remedy.clone() }
}
