//! The directory at one moment.

use std::collections::HashMap;

use super::reading::{DirectoryChanges, DirectoryReading, Touched};
use super::{Coverage, DirectoryGroup, DirectoryUser, Gone, GroupIx, GroupPresence, UserIx, UserSlot};
use crate::model::assignments::Assignments;
use crate::model::closure;
use crate::model::closure::{Closure, Nesting};
use crate::model::ids::{DirectoryGroupId, DirectoryUserId};

/// Whether anybody was seen in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peopled {
    /// Somebody, or something, is a member.
    Yes,
    /// Nobody is.
    No,
}

/// Whom a snapshot speaks of. One that speaks of a single person says of nobody else whether they are in a group, so it
/// proves nobody else's absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everybody whom it covers.
    Everybody,
    /// This person alone: their record, and every group that they are in.
    One(DirectoryUserId),
}

/// The directory at one moment. Immutable; it says what it covers, and only what was read completely can prove an
/// absence (see [`CompleteClosure`](crate::model::CompleteClosure)).
#[derive(Debug, Clone)]
pub struct DirectorySnapshot {
    pub(in crate::model) users: Vec<UserSlot>,
    pub(super) user_index: HashMap<DirectoryUserId, UserIx>,
    pub(in crate::model) groups: Vec<DirectoryGroup>,
    pub(super) group_index: HashMap<DirectoryGroupId, GroupIx>,
    pub(super) users_coverage: Coverage,
    pub(super) groups_coverage: Coverage,
    pub(super) assignments: Option<Assignments>,
    pub(super) touched: Option<Touched>,
    pub(super) subject: Subject,
    /// Groups that were looked at by themselves for a snapshot of one person.
    pub(super) seen: HashMap<DirectoryGroupId, Peopled>,
}

impl DirectorySnapshot {
    /// Whom it speaks of.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether it says in which groups this user is.
    pub fn speaks_of(&self, user: &DirectoryUserId) -> bool {
        match &self.subject {
            Subject::Everybody => true,
            Subject::One(subject) => subject == user,
        }
    }

    /// Whether it speaks of everybody.
    pub fn speaks_of_everybody(&self) -> bool {
        self.subject == Subject::Everybody
    }

    /// Whether absence from a group may be concluded from this snapshot. Of a group that a person is not in, a reading of
    /// that person does not say whether it is still there: it has to have been looked at by itself.
    pub(crate) fn vouches_for(&self, group: &DirectoryGroupId) -> bool {
        self.speaks_of_everybody() || self.seen.contains_key(group)
    }

    /// Whether, in a snapshot of one person, a group was seen to have members.
    pub fn is_peopled(&self, group: &DirectoryGroupId) -> bool {
        self.seen.get(group) == Some(&Peopled::Yes)
    }

    /// What differs from the stored picture that the reading began with; `None` when it began with nothing, and
    /// everything is to be taken for new.
    pub fn changes(&self) -> Option<DirectoryChanges> {
        let touched = self.touched.as_ref()?;
        let (mut users, mut groups): (Vec<_>, Vec<_>) =
            (touched.users.iter().copied().collect(), touched.groups.iter().copied().collect());
        users.sort_unstable();
        groups.sort_unstable();
        let assignments = self.assignments.clone().filter(|_| touched.assignments);
        Some(DirectoryChanges { users, groups, assignments })
    }

    /// The listed users.
    pub fn users(&self) -> impl Iterator<Item = &DirectoryUser> {
        self.users.iter().filter_map(|slot| match slot {
            UserSlot::Live(user) => Some(user),
            _ => None,
        })
    }

    /// A listed user by id.
    pub fn user(&self, id: &DirectoryUserId) -> Option<&DirectoryUser> {
        self.user_index.get(id).and_then(|ix| self.user_at(*ix))
    }

    /// The listed user at an index of this snapshot.
    pub fn user_at(&self, ix: UserIx) -> Option<&DirectoryUser> {
        match self.users.get(ix.0 as usize) {
            Some(UserSlot::Live(user)) => Some(user),
            _ => None,
        }
    }

    /// The id at an index of this snapshot, listed or not.
    pub fn user_id_at(&self, ix: UserIx) -> &DirectoryUserId {
        self.users[ix.0 as usize].id()
    }

    /// The index of a user, if the snapshot ever heard of the id.
    pub fn user_ix(&self, id: &DirectoryUserId) -> Option<UserIx> {
        self.user_index.get(id).copied()
    }

    /// How many indexes of users there are, whether the users are listed or not.
    pub(crate) fn user_slots(&self) -> usize {
        self.users.len()
    }

    /// To whom the application of the scope is assigned, when that was read.
    pub fn assignments(&self) -> Option<&Assignments> {
        self.assignments.as_ref()
    }

    /// How the user left, if the directory said that he did.
    pub fn gone(&self, id: &DirectoryUserId) -> Option<Gone> {
        match self.user_index.get(id).map(|ix| &self.users[ix.0 as usize]) {
            Some(UserSlot::Gone(_, how)) => Some(*how),
            _ => None,
        }
    }

    /// The listed groups.
    pub fn groups(&self) -> impl Iterator<Item = &DirectoryGroup> {
        self.groups.iter().filter(|g| g.presence == GroupPresence::Listed)
    }

    /// A listed group by id.
    pub fn group(&self, id: &DirectoryGroupId) -> Option<&DirectoryGroup> {
        self.group_index
            .get(id)
            .map(|ix| &self.groups[ix.0 as usize])
            .filter(|g| g.presence == GroupPresence::Listed)
    }

    /// Whether the directory said that the group was deleted.
    pub fn group_is_gone(&self, id: &DirectoryGroupId) -> bool {
        self.group_index.get(id).is_some_and(|ix| self.groups[ix.0 as usize].presence == GroupPresence::Gone)
    }

    /// The group at an index of this snapshot, listed or not.
    pub fn group_at(&self, ix: GroupIx) -> &DirectoryGroup {
        &self.groups[ix.0 as usize]
    }

    /// Whether the users were listed to the end.
    pub fn users_coverage(&self) -> &Coverage {
        &self.users_coverage
    }

    /// Whether the groups were listed to the end.
    pub fn groups_coverage(&self) -> &Coverage {
        &self.groups_coverage
    }

    /// Everybody who is in the group directly or, when it is flattened, through nesting; or the reasons why that is not
    /// known. Cycle-safe; the time is linear in the links walked.
    pub fn closure(&self, id: &DirectoryGroupId, nesting: Nesting) -> Closure {
        closure::walk(self, self.group_index.get(id).copied(), id, nesting)
    }

    /// Takes the snapshot apart again, as the start of the next reading by delta.
    pub fn into_reading(self) -> DirectoryReading {
        DirectoryReading {
            users: self.users,
            user_index: self.user_index,
            groups: self.groups,
            group_index: self.group_index,
            assignments: self.assignments,
            touched: None,
        }
    }
}
