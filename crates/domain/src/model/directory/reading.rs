//! A directory that is being read: filled from a listing or from a stored mirror, it takes delta entries in any order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::snapshot::{DirectorySnapshot, Peopled, Subject};
use super::{
    Coverage, DirectMembers, DirectoryGroup, DirectoryUser, Gone, GroupIx, GroupPresence, MemberRef, Unread,
    UserIx, UserSlot,
};
use crate::model::assignments::Assignments;
use crate::model::ids::{DirectoryGroupId, DirectoryUserId};

/// A directory being read, or a stored mirror being brought up to date by delta entries.
#[derive(Debug, Clone, Default)]
pub struct DirectoryReading {
    pub(super) users: Vec<UserSlot>,
    pub(super) user_index: HashMap<DirectoryUserId, UserIx>,
    pub(super) groups: Vec<DirectoryGroup>,
    pub(super) group_index: HashMap<DirectoryGroupId, GroupIx>,
    pub(super) assignments: Option<Assignments>,
    pub(super) touched: Option<Touched>,
}

/// What became different since a stored picture was taken up. An entry that says what was known already, as replays
/// do, touches nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    pub(super) users: HashSet<UserIx>,
    pub(super) groups: HashSet<GroupIx>,
    pub(super) assignments: bool,
}

/// The objects of a snapshot that differ from the stored picture which its reading began with.
#[derive(Debug)]
pub struct DirectoryChanges {
    /// Users that came, went or changed.
    pub users: Vec<UserIx>,
    /// Groups that came, went, were renamed or have other direct members.
    pub groups: Vec<GroupIx>,
    /// The assignments, where they differ.
    pub assignments: Option<Assignments>,
}

impl DirectoryChanges {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.assignments.is_none()
    }
}

impl DirectoryReading {
    /// An empty reading.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on keeps account of what becomes different: what was put in so far is what is stored already.
    #[must_use]
    pub fn remembered(mut self) -> Self {
        self.touched = Some(Touched::default());
        self
    }

    fn touch_user(&mut self, ix: UserIx) {
        if let Some(touched) = &mut self.touched {
            touched.users.insert(ix);
        }
    }

    fn touch_group(&mut self, ix: GroupIx) {
        if let Some(touched) = &mut self.touched {
            touched.groups.insert(ix);
        }
    }

    fn user_ix(&mut self, id: &DirectoryUserId) -> UserIx {
        if let Some(ix) = self.user_index.get(id) {
            return *ix;
        }
        let ix = UserIx(self.users.len() as u32);
        self.users.push(UserSlot::Unseen(id.clone()));
        self.user_index.insert(id.clone(), ix);
        ix
    }

    fn group_ix(&mut self, id: &DirectoryGroupId) -> GroupIx {
        if let Some(ix) = self.group_index.get(id) {
            return *ix;
        }
        let ix = GroupIx(self.groups.len() as u32);
        self.groups.push(DirectoryGroup {
            id: id.clone(),
            display_name: Arc::from(""),
            presence: GroupPresence::Unseen,
            members: DirectMembers::NotRead,
        });
        self.group_index.insert(id.clone(), ix);
        ix
    }

    /// A user as listed, or as a delta entry that carries the whole object. The same id again replaces it.
    pub fn put_user(&mut self, mut user: DirectoryUser) {
        let ix = self.user_ix(&user.id);
        // Whom a group named first has an id here already, and most people's address is their principal name: a text is
        // kept once.
        user.id.clone_from(self.users[ix.0 as usize].id());
        if user.mail == user.user_principal_name {
            user.mail.clone_from(&user.user_principal_name);
        }
        if self.touched.is_some()
            && matches!(&self.users[ix.0 as usize], UserSlot::Live(known) if *known == user)
        {
            return;
        }
        self.users[ix.0 as usize] = UserSlot::Live(user);
        self.touch_user(ix);
    }

    /// The user as known so far, for merging a delta entry that carries only some attributes.
    pub fn known_user(&self, id: &DirectoryUserId) -> Option<&DirectoryUser> {
        match self.user_index.get(id).map(|ix| &self.users[ix.0 as usize]) {
            Some(UserSlot::Live(user)) => Some(user),
            _ => None,
        }
    }

    /// Whether a member was ever heard of: listed, gone, or named before.
    pub fn knows_member(&self, member: &MemberRef) -> bool {
        match member {
            MemberRef::User(id) => self.user_index.contains_key(id),
            MemberRef::Group(id) => self.group_index.contains_key(id),
            MemberRef::Other => true,
        }
    }

    /// An `@removed` user, or one that a look-up by id did not find. The memberships are kept, so that a return
    /// without a group event (microsoft-graph.md 0.3) brings them back.
    pub fn user_gone(&mut self, id: &DirectoryUserId, how: Gone) {
        let ix = self.user_ix(id);
        if matches!(&self.users[ix.0 as usize], UserSlot::Gone(_, known) if *known == how) {
            return;
        }
        self.users[ix.0 as usize] = UserSlot::Gone(id.clone(), how);
        self.touch_user(ix);
    }

    /// A group as listed, or as a delta entry names it; members are set apart.
    pub fn put_group(&mut self, id: &DirectoryGroupId, display_name: &str) {
        let ix = self.group_ix(id);
        let group = &mut self.groups[ix.0 as usize];
        if group.presence == GroupPresence::Listed && &*group.display_name == display_name {
            return;
        }
        if &*group.display_name != display_name {
            group.display_name = Arc::from(display_name);
        }
        group.presence = GroupPresence::Listed;
        self.touch_group(ix);
    }

    /// Whether the group is listed.
    pub fn has_group(&self, id: &DirectoryGroupId) -> bool {
        self.group_index
            .get(id)
            .is_some_and(|ix| self.groups[ix.0 as usize].presence == GroupPresence::Listed)
    }

    /// Whether the directory said that the group was deleted.
    pub fn group_is_gone(&self, id: &DirectoryGroupId) -> bool {
        self.group_index.get(id).is_some_and(|ix| self.groups[ix.0 as usize].presence == GroupPresence::Gone)
    }

    /// Whether the group's direct members are known, so that a delta entry may be merged into them.
    pub fn has_members(&self, id: &DirectoryGroupId) -> bool {
        self.group_index
            .get(id)
            .is_some_and(|ix| matches!(self.groups[ix.0 as usize].members, DirectMembers::Known { .. }))
    }

    /// An `@removed` group.
    pub fn group_gone(&mut self, id: &DirectoryGroupId) {
        let ix = self.group_ix(id);
        let group = &mut self.groups[ix.0 as usize];
        if group.presence == GroupPresence::Gone {
            return;
        }
        group.presence = GroupPresence::Gone;
        group.members = DirectMembers::NotRead;
        self.touch_group(ix);
    }

    /// The complete direct members of a group, every page of them.
    pub fn set_members(&mut self, id: &DirectoryGroupId, members: impl IntoIterator<Item = MemberRef>) {
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        for member in members {
            match member {
                MemberRef::User(user) => users.push(self.user_ix(&user)),
                MemberRef::Group(group) => groups.push(self.group_ix(&group)),
                MemberRef::Other => {}
            }
        }
        users.sort_unstable();
        users.dedup();
        groups.sort_unstable();
        groups.dedup();
        users.shrink_to_fit();
        groups.shrink_to_fit();
        let ix = self.group_ix(id);
        self.groups[ix.0 as usize].members = DirectMembers::Known { users, groups };
        self.touch_group(ix);
    }

    /// One link of `members@delta` without `@removed`. Without effect on a group whose members are not known.
    pub fn add_member(&mut self, id: &DirectoryGroupId, member: &MemberRef) {
        self.change_member(id, member, Change::Add);
    }

    /// One link of `members@delta` with `@removed`. Without effect on a group whose members are not known.
    pub fn remove_member(&mut self, id: &DirectoryGroupId, member: &MemberRef) {
        self.change_member(id, member, Change::Remove);
    }

    fn change_member(&mut self, id: &DirectoryGroupId, member: &MemberRef, change: Change) {
        fn put<T: Ord>(list: &mut Vec<T>, item: T, change: Change) -> bool {
            match (list.binary_search(&item), change) {
                (Err(at), Change::Add) => {
                    list.insert(at, item);
                    true
                }
                (Ok(at), Change::Remove) => {
                    list.remove(at);
                    true
                }
                _ => false,
            }
        }
        let group = self.group_ix(id);
        // Members of groups that nobody asked for bring nobody into the picture.
        if !matches!(self.groups[group.0 as usize].members, DirectMembers::Known { .. }) {
            return;
        }
        let changed = match member {
            MemberRef::User(user) => {
                let user = self.user_ix(user);
                match &mut self.groups[group.0 as usize].members {
                    DirectMembers::Known { users, .. } => put(users, user, change),
                    _ => false,
                }
            }
            MemberRef::Group(nested) => {
                let nested = self.group_ix(nested);
                match &mut self.groups[group.0 as usize].members {
                    DirectMembers::Known { groups, .. } => put(groups, nested, change),
                    _ => false,
                }
            }
            MemberRef::Other => false,
        };
        if changed {
            self.touch_group(group);
        }
    }

    /// The members of this group could not be read: it is unknown, and so is every group it nests in.
    pub fn members_unread(&mut self, id: &DirectoryGroupId, why: Unread) {
        let ix = self.group_ix(id);
        self.groups[ix.0 as usize].members = DirectMembers::Failed(why);
        self.touch_group(ix);
    }

    /// To whom the application of the scope is assigned, every page of it.
    pub fn set_assignments(&mut self, assignments: Assignments) {
        if self.assignments.as_ref() == Some(&assignments) {
            return;
        }
        self.assignments = Some(assignments);
        if let Some(touched) = &mut self.touched {
            touched.assignments = true;
        }
    }

    /// To whom the application of the scope is assigned, when that was read.
    pub fn assignments(&self) -> Option<&Assignments> {
        self.assignments.as_ref()
    }

    /// The listed groups, by id and name.
    pub fn groups(&self) -> impl Iterator<Item = (&DirectoryGroupId, &str)> {
        self.groups.iter().filter(|g| g.presence == GroupPresence::Listed).map(|g| (&g.id, &*g.display_name))
    }

    /// The groups directly nested in this one, as far as its members are known.
    pub fn nested_groups(&self, id: &DirectoryGroupId) -> Vec<DirectoryGroupId> {
        let Some(ix) = self.group_index.get(id) else { return Vec::new() };
        match &self.groups[ix.0 as usize].members {
            DirectMembers::Known { groups, .. } => {
                groups.iter().map(|g| self.groups[g.0 as usize].id.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Users that are named as members but were never listed: either they came and went between two requests, or the
    /// listing is not to be trusted. Whoever reads must settle them one by one before the reading is finished.
    pub fn unseen_members(&self) -> Vec<DirectoryUserId> {
        self.users
            .iter()
            .filter_map(|slot| match slot {
                UserSlot::Unseen(id) => Some(id.clone()),
                _ => None,
            })
            .collect()
    }

    /// How many users are listed.
    pub fn live_users(&self) -> usize {
        self.users.iter().filter(|slot| matches!(slot, UserSlot::Live(_))).count()
    }

    /// Ends the reading.
    pub fn finish(self, users: Coverage, groups: Coverage) -> DirectorySnapshot {
        DirectorySnapshot {
            users: self.users,
            user_index: self.user_index,
            groups: self.groups,
            group_index: self.group_index,
            users_coverage: users,
            groups_coverage: groups,
            assignments: self.assignments,
            touched: self.touched,
            subject: Subject::Everybody,
            seen: HashMap::new(),
        }
    }

    /// Ends the reading of one person: the record, and every group the person is in, all of them read to the end. Of
    /// nobody else does the snapshot say anything. `seen` are groups that were looked at by themselves and are there.
    pub fn finish_about(
        self,
        person: DirectoryUserId,
        seen: HashMap<DirectoryGroupId, Peopled>,
    ) -> DirectorySnapshot {
        DirectorySnapshot {
            subject: Subject::One(person),
            seen,
            ..self.finish(Coverage::Complete, Coverage::Complete)
        }
    }
}

#[derive(Clone, Copy)]
enum Change {
    Add,
    Remove,
}

#[cfg(test)]
mod tests {
    use super::super::{AccountState, UserKind};
    use super::*;
    use crate::model::attributes::Attributes;

    #[test]
    fn a_text_that_is_known_twice_is_in_memory_once() {
        let id = || DirectoryUserId::parse("u-1").unwrap();
        let mut reading = DirectoryReading::new();
        let group = DirectoryGroupId::parse("g-1").unwrap();
        reading.add_member(&group, &MemberRef::User(id()));
        let user = DirectoryUser {
            id: id(),
            display_name: None,
            mail: Some("ana@example.com".into()),
            user_principal_name: Some("ana@example.com".into()),
            other_mail: None,
            account: AccountState::Enabled,
            kind: UserKind::Member,
            attributes: Attributes::NONE,
        };
        reading.put_user(user.clone());
        let known = reading.known_user(&user.id).unwrap();
        assert_eq!(*known, user);
        let (mail, name) = (known.mail.as_ref().unwrap(), known.user_principal_name.as_ref().unwrap());
        assert!(Arc::ptr_eq(mail, name));
        let (key, _) = reading.user_index.get_key_value(&user.id).unwrap();
        assert!(std::ptr::eq(key.as_str(), known.id.as_str()));
    }
}
