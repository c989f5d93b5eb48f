//! The directory as it was read: users, groups, direct members, and how much of it the read covers.
//!
//! Memberships are integers in sorted vectors, not strings in maps, so that time and memory grow with the number of
//! memberships and nothing is ever groups × users. A [`DirectoryReading`] is filled from a listing or from a stored
//! mirror, takes delta entries in any order of objects, and becomes an immutable [`DirectorySnapshot`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::address::EmailAddress;
use super::assignments::Assignments;
use super::attributes::Attributes;
use super::closure::{self, Closure, Nesting};
use super::ids::{DirectoryGroupId, DirectoryUserId};

/// Whether an account may sign in (`accountEnabled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AccountState {
    /// `accountEnabled: true`
    Enabled,
    /// `accountEnabled: false`
    Disabled,
    /// Absent or null. Read as neither: such a person is neither added nor taken out.
    Unknown,
}

/// Member or guest (`userType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum UserKind {
    /// `Member`, or null on very old accounts.
    Member,
    /// `Guest`
    Guest,
}

/// A user of the directory, with the attributes that Entrain reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Object id.
    pub id: DirectoryUserId,
    /// `displayName`
    pub display_name: Option<Arc<str>>,
    /// `mail`; may be absent, may change, is not unique by contract.
    pub mail: Option<Arc<str>>,
    /// `userPrincipalName`; guests look like `alias_domain#EXT#@tenant`.
    pub user_principal_name: Option<Arc<str>>,
    /// First of `otherMails`: a guest's real address when `mail` is null.
    pub other_mail: Option<Arc<str>>,
    /// `accountEnabled`
    pub account: AccountState,
    /// `userType`
    pub kind: UserKind,
    /// What else the rules ask for.
    pub attributes: Attributes,
}

impl DirectoryUser {
    /// The address under which the person is looked for and invited: `mail`; without it the UPN of a member, the first
    /// of a guest's `otherMails` (microsoft-graph.md 3.3).
    pub fn address(&self) -> Option<EmailAddress> {
        let parse = |text: &Option<Arc<str>>| text.as_ref().and_then(|t| EmailAddress::parse_shared(t).ok());
        parse(&self.mail).or_else(|| match self.kind {
            UserKind::Member => parse(&self.user_principal_name),
            UserKind::Guest => parse(&self.other_mail),
        })
    }

    /// The name a person reads: display name, else address, else id.
    pub fn label(&self) -> &str {
        self.named().map_or_else(|| self.id.as_str(), |text| &**text)
    }

    /// The same, without a copy where there is none to make.
    pub(crate) fn shared_label(&self) -> Arc<str> {
        self.named().map_or_else(|| Arc::from(self.id.as_str()), Arc::clone)
    }

    fn named(&self) -> Option<&Arc<str>> {
        let texts = [&self.display_name, &self.mail, &self.user_principal_name];
        texts.into_iter().flatten().find(|text| !text.trim().is_empty())
    }
}

/// A member as the directory names it. Devices, contacts and service principals have no place on a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MemberRef {
    /// `#microsoft.graph.user`
    User(DirectoryUserId),
    /// `#microsoft.graph.group`
    Group(DirectoryGroupId),
    /// Anything else.
    Other,
}

/// How an object left (`@removed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// `changed`: in the recycle bin for 30 days; memberships are kept and come back silently.
    SoftDeleted,
    /// `deleted`: for good.
    Deleted,
}

/// Why something was not read; an object whose read failed is left alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unread {
    /// What happened, in a sentence.
    pub reason: Arc<str>,
    /// What to do about it.
    pub remedy: Arc<str>,
}

/// Whether a listing was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Every page was read.
    Complete,
    /// Something is missing: absence from the listing means nothing.
    Partial(Unread),
}

/// Index of a user within one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserIx(pub(super) u32);

impl UserIx {
    /// The first so many indexes of a snapshot.
    pub(crate) fn first(users: usize) -> impl Iterator<Item = Self> {
        (0..users as u32).map(Self)
    }

    /// The index as a position.
    pub(crate) fn position(self) -> usize {
        self.0 as usize
    }
}

/// Index of a group within one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupIx(pub(super) u32);

#[derive(Debug, Clone)]
pub(super) enum UserSlot {
    /// Listed.
    Live(DirectoryUser),
    /// Named as a member, never listed.
    Unseen(DirectoryUserId),
    /// Said to be gone; memberships are kept so that a return needs no event of its own.
    Gone(DirectoryUserId, Gone),
}

impl UserSlot {
    pub(super) fn id(&self) -> &DirectoryUserId {
        match self {
            Self::Live(user) => &user.id,
            Self::Unseen(id) | Self::Gone(id, _) => id,
        }
    }
}

/// A group of the directory with its direct members.
#[derive(Debug, Clone)]
pub struct DirectoryGroup {
    /// Object id.
    pub id: DirectoryGroupId,
    /// `displayName`, not unique.
    pub display_name: Arc<str>,
    pub(super) presence: GroupPresence,
    pub(super) members: DirectMembers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupPresence {
    Listed,
    Unseen,
    Gone,
}

#[derive(Debug, Clone)]
pub(super) enum DirectMembers {
    /// Not asked for: the scope does not reach it.
    NotRead,
    Known {
        users: Vec<UserIx>,
        groups: Vec<GroupIx>,
    },
    Failed(Unread),
}

impl DirectoryGroup {
    /// Direct users and groups, when the members were read.
    pub fn direct(&self) -> Option<(&[UserIx], &[GroupIx])> {
        match &self.members {
            DirectMembers::Known { users, groups } => Some((users, groups)),
            DirectMembers::NotRead | DirectMembers::Failed(_) => None,
        }
    }
}

/// A directory being read, or a stored mirror being brought up to date by delta entries.
#[derive(Debug, Clone, Default)]
pub struct DirectoryReading {
    users: Vec<UserSlot>,
    user_index: HashMap<DirectoryUserId, UserIx>,
    groups: Vec<DirectoryGroup>,
    group_index: HashMap<DirectoryGroupId, GroupIx>,
    assignments: Option<Assignments>,
    touched: Option<Touched>,
}

/// What became different since a stored picture was taken up. An entry that says what was known already, as replays
/// do, touches nothing.
#[derive(Debug, Clone, Default)]
struct Touched {
    users: HashSet<UserIx>,
    groups: HashSet<GroupIx>,
    assignments: bool,
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

#[derive(Clone, Copy)]
enum Change {
    Add,
    Remove,
}

/// The directory at one moment. Immutable; it says what it covers, and only what was read completely can prove an
/// absence (see [`CompleteClosure`](super::CompleteClosure)).
#[derive(Debug, Clone)]
pub struct DirectorySnapshot {
    pub(super) users: Vec<UserSlot>,
    user_index: HashMap<DirectoryUserId, UserIx>,
    pub(super) groups: Vec<DirectoryGroup>,
    group_index: HashMap<DirectoryGroupId, GroupIx>,
    users_coverage: Coverage,
    groups_coverage: Coverage,
    assignments: Option<Assignments>,
    touched: Option<Touched>,
    subject: Subject,
    /// Groups that were looked at by themselves for a snapshot of one person.
    seen: HashMap<DirectoryGroupId, Peopled>,
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

#[cfg(test)]
mod tests {
    use super::*;

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
