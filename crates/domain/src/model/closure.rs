//! Nested groups flattened, and the proof of absence that only a complete flattening can give.
//!
//! A removal on the site needs an [`AbsenceProof`], and the only way to one is a [`CompleteClosure`]: a group whose
//! members, and those of every group nested in it, were read to the last page. One failed page anywhere below makes
//! the whole closure [`Closure::Unknown`], which has no proof to give. That is invariant 1 of the design, as a type.

mod entitlement;

use std::sync::Arc;

pub use entitlement::{CompleteEntitlement, CompleteScope, Through};

use super::directory::{
    AccountState, Coverage, DirectMembers, DirectorySnapshot, GroupIx, GroupPresence, Unread, UserIx,
    UserSlot,
};
use super::ids::{DirectoryGroupId, DirectoryUserId};
use crate::policy::ScopeRule;
use crate::run::{Intent, JournalEntry, Outcome};

/// Whether the members of nested groups belong to a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nesting {
    /// They do, however deep.
    #[default]
    Flatten,
    /// They do not: direct members only, and only the group's own members have to be read.
    Direct,
}

/// A group flattened, or the reasons why it is not known.
#[derive(Debug, Clone)]
pub enum Closure {
    /// Every group below was read completely.
    Complete(CompleteClosure),
    /// Something below was not read; the group is left alone.
    Unknown(Vec<Unread>),
}

/// Everybody in a group, directly or through nesting, completely read.
#[derive(Debug, Clone)]
pub struct CompleteClosure {
    group: DirectoryGroupId,
    root: GroupIx,
    /// Reached users with the group through which each was reached first, sorted by user.
    members: Vec<(UserIx, GroupIx)>,
    /// Nested groups with the group through which each was reached first, sorted by group.
    parents: Vec<(GroupIx, GroupIx)>,
}

/// How the absence shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The user is in none of the groups below.
    NotAMember,
    /// The user is a member whose account is disabled.
    Disabled,
    /// The user is a member whom the directory has deleted.
    Deleted,
    /// The user is a member who takes no part, by this rule of the scope.
    OutOfScope(ScopeRule),
    /// No directory user is linked to the account.
    NobodyLinked,
    /// None: a person takes back what Entrain granted.
    TakenBack,
}

/// Proof that a person is, by a complete read, not entitled to a group. Cannot be built outside this module, cannot
/// be read from a file: it lives only as long as the snapshot's run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct AbsenceProof(Box<Absence>);

/// Behind a pointer: all steps of a plan are as large as the largest, and most are no removals.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct Absence {
    groups: Arc<[DirectoryGroupId]>,
    user: Option<DirectoryUserId>,
    evidence: Evidence,
}

impl AbsenceProof {
    /// The directory groups that were read completely; none where it is about everybody who takes part.
    pub fn groups(&self) -> &[DirectoryGroupId] {
        &self.0.groups
    }
    /// The directory user who is not entitled; `None` when the account is linked to nobody.
    pub fn user(&self) -> Option<&DirectoryUserId> {
        self.0.user.as_ref()
    }
    /// What a membership may be taken back on, instead of on an absence: the journal says that Entrain itself granted
    /// it, or invited the account that has it.
    pub fn of_grant(entry: &JournalEntry, user: Option<DirectoryUserId>) -> Option<Self> {
        let granted = matches!(entry.intent, Intent::AddMember { .. } | Intent::CreateUser { .. });
        let evidence = Evidence::TakenBack;
        (granted && entry.outcome == Outcome::Done)
            .then(|| Self(Box::new(Absence { groups: Arc::from([]), user, evidence })))
    }

    /// How the absence shows.
    pub fn evidence(&self) -> Evidence {
        self.0.evidence
    }
}

/// Depth-first walk with an explicit stack: each group below is expanded once, whatever cycles there are.
pub(super) fn walk(
    snapshot: &DirectorySnapshot,
    root: Option<GroupIx>,
    id: &DirectoryGroupId,
    nesting: Nesting,
) -> Closure {
    let unread =
        |reason: String, remedy: &str| Unread { reason: Arc::from(reason), remedy: Arc::from(remedy) };
    let mut why = Vec::new();
    if let Coverage::Partial(missing) = snapshot.groups_coverage() {
        why.push(missing.clone());
    }
    if let Coverage::Partial(missing) = snapshot.users_coverage() {
        why.push(missing.clone());
    }
    let Some(root) = root.filter(|ix| snapshot.group_at(*ix).presence == GroupPresence::Listed) else {
        why.push(unread(
            format!("the directory does not list a group with the id {id}"),
            "restore the group in Entra ID, or take it out of the scope",
        ));
        return Closure::Unknown(why);
    };

    let mut parents: Vec<(GroupIx, GroupIx)> = Vec::new();
    let mut seen = std::collections::HashSet::from([root]);
    let mut members: Vec<(UserIx, GroupIx)> = Vec::new();
    let mut queue = std::collections::VecDeque::from([root]);
    // Breadth first, so that the path kept for explanations is a shortest one.
    while let Some(ix) = queue.pop_front() {
        let group = snapshot.group_at(ix);
        match &group.members {
            DirectMembers::Known { users, groups } => {
                members.extend(users.iter().map(|user| (*user, ix)));
                if nesting == Nesting::Direct {
                    continue;
                }
                for nested in groups {
                    // A nested group that was deleted brings nobody; its link lingers until the directory drops it.
                    if snapshot.group_at(*nested).presence == GroupPresence::Gone {
                        continue;
                    }
                    if seen.insert(*nested) {
                        parents.push((*nested, ix));
                        queue.push_back(*nested);
                    }
                }
            }
            DirectMembers::Failed(missing) => why.push(missing.clone()),
            DirectMembers::NotRead => why.push(unread(
                format!("the members of the group {} were not read", group.id),
                "run a full read: entrain sync --full",
            )),
        }
    }
    if !why.is_empty() {
        return Closure::Unknown(why);
    }
    // Stable, so that of several ways to one user the first found (the shortest) stays.
    members.sort_by_key(|(user, _)| *user);
    members.dedup_by_key(|(user, _)| *user);
    members.shrink_to_fit();
    parents.sort_unstable();
    Closure::Complete(CompleteClosure { group: id.clone(), root, members, parents })
}

impl CompleteClosure {
    /// The group this is the closure of.
    pub fn group(&self) -> &DirectoryGroupId {
        &self.group
    }

    /// Everybody in it, live or not, in the order of the snapshot.
    pub fn members(&self) -> impl ExactSizeIterator<Item = UserIx> {
        self.members.iter().map(|(user, _)| *user)
    }

    /// Whether the user is reached.
    pub fn contains(&self, user: UserIx) -> bool {
        self.members.binary_search_by_key(&user, |(u, _)| *u).is_ok()
    }

    /// Everybody in it with the group that holds them directly (the first on a shortest way).
    pub fn members_with_holder(&self) -> impl ExactSizeIterator<Item = (UserIx, GroupIx)> {
        self.members.iter().copied()
    }

    /// The groups nested below, the group itself not among them.
    pub fn nested(&self) -> impl ExactSizeIterator<Item = GroupIx> {
        self.parents.iter().map(|(nested, _)| *nested)
    }

    /// The names from the group itself down to the one that holds the user: one name for a direct member.
    pub fn path(&self, snapshot: &DirectorySnapshot, user: UserIx) -> Option<Vec<Arc<str>>> {
        let at = self.members.binary_search_by_key(&user, |(u, _)| *u).ok()?;
        self.path_to(snapshot, self.members[at].1)
    }

    /// The names from the group itself down to a group nested in it.
    pub fn path_to(&self, snapshot: &DirectorySnapshot, holder: GroupIx) -> Option<Vec<Arc<str>>> {
        let mut ix = holder;
        let mut names = vec![snapshot.group_at(ix).display_name.clone()];
        while ix != self.root {
            let at = self.parents.binary_search_by_key(&ix, |(g, _)| *g).ok()?;
            ix = self.parents[at].1;
            names.push(snapshot.group_at(ix).display_name.clone());
        }
        names.reverse();
        Some(names)
    }

    /// The proof that this user is not entitled to the group, if there is one: not reached, or reached but disabled or
    /// deleted. An enabled member gives none, nor does one whose state is unknown or who was never listed, nor anybody of
    /// whom the snapshot does not speak.
    pub fn absence(&self, snapshot: &DirectorySnapshot, user: &DirectoryUserId) -> Option<AbsenceProof> {
        if !snapshot.speaks_of(user) {
            return None;
        }
        let proof = |evidence| {
            let groups = Arc::from([self.group.clone()]);
            AbsenceProof(Box::new(Absence { groups, user: Some(user.clone()), evidence }))
        };
        match snapshot.user_ix(user).filter(|ix| self.contains(*ix)) {
            None => snapshot.vouches_for(&self.group).then(|| proof(Evidence::NotAMember)),
            Some(ix) => match &snapshot.users[ix.0 as usize] {
                UserSlot::Live(user) if user.account == AccountState::Disabled => {
                    Some(proof(Evidence::Disabled))
                }
                UserSlot::Gone(..) => Some(proof(Evidence::Deleted)),
                UserSlot::Live(_) | UserSlot::Unseen(_) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory::{DirectoryReading, DirectoryUser, Gone, MemberRef, UserKind};
    use super::*;

    pub(super) fn user_id(n: u32) -> DirectoryUserId {
        DirectoryUserId::parse(format!("u{n}")).unwrap()
    }
    pub(super) fn group_id(n: u32) -> DirectoryGroupId {
        DirectoryGroupId::parse(format!("g{n}")).unwrap()
    }
    pub(super) fn user(n: u32, account: AccountState) -> DirectoryUser {
        DirectoryUser {
            id: user_id(n),
            display_name: Some(Arc::from(format!("User {n}"))),
            mail: Some(Arc::from(format!("u{n}@example.com"))),
            user_principal_name: None,
            other_mail: None,
            account,
            kind: UserKind::Member,
            attributes: crate::model::Attributes::NONE,
        }
    }
    /// g1 › g2 › g3 › g1, with u1 in g1, u2 in g2, u3 in g3.
    pub(super) fn cyclic() -> DirectoryReading {
        let mut reading = DirectoryReading::new();
        for n in 1..=3 {
            reading.put_user(user(n, AccountState::Enabled));
            reading.put_group(&group_id(n), &format!("G{n}"));
            reading.set_members(
                &group_id(n),
                [MemberRef::User(user_id(n)), MemberRef::Group(group_id(n % 3 + 1)), MemberRef::Other],
            );
        }
        reading
    }
    fn complete(snapshot: &DirectorySnapshot, group: u32) -> CompleteClosure {
        match snapshot.closure(&group_id(group), Nesting::Flatten) {
            Closure::Complete(closure) => closure,
            Closure::Unknown(why) => panic!("unknown: {why:?}"),
        }
    }

    #[test]
    fn a_cycle_is_walked_once_and_gives_the_shortest_path() {
        let snapshot = cyclic().finish(Coverage::Complete, Coverage::Complete);
        let closure = complete(&snapshot, 1);
        assert_eq!(closure.members().len(), 3);
        let path = closure.path(&snapshot, snapshot.user_ix(&user_id(3)).unwrap()).unwrap();
        assert_eq!(path.iter().map(|n| &**n).collect::<Vec<_>>(), ["G1", "G2", "G3"]);
        let path = closure.path(&snapshot, snapshot.user_ix(&user_id(1)).unwrap()).unwrap();
        assert_eq!(path.iter().map(|n| &**n).collect::<Vec<_>>(), ["G1"]);
    }

    #[test]
    fn one_unread_group_below_makes_all_above_unknown() {
        let mut reading = cyclic();
        reading.members_unread(
            &group_id(3),
            Unread { reason: "page 2 failed".into(), remedy: "run again".into() },
        );
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        for group in 1..=3 {
            assert!(
                matches!(snapshot.closure(&group_id(group), Nesting::Flatten), Closure::Unknown(why) if why.len() == 1)
            );
        }
    }

    #[test]
    fn direct_members_need_only_their_own_group_read() {
        let mut reading = cyclic();
        reading.members_unread(
            &group_id(2),
            Unread { reason: "page 2 failed".into(), remedy: "run again".into() },
        );
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let Closure::Complete(closure) = snapshot.closure(&group_id(1), Nesting::Direct) else {
            panic!("its own members are read")
        };
        assert_eq!(closure.members().len(), 1);
        assert_eq!(closure.nested().len(), 0);
        let evidence = |n| closure.absence(&snapshot, &user_id(n)).map(|p| p.evidence());
        assert_eq!(evidence(1), None);
        assert_eq!(evidence(3), Some(Evidence::NotAMember));
        assert!(matches!(snapshot.closure(&group_id(2), Nesting::Direct), Closure::Unknown(_)));
    }

    #[test]
    fn a_snapshot_of_one_person_proves_nobody_elses_absence() {
        let mut reading = cyclic();
        reading.put_group(&group_id(4), "G4");
        reading.set_members(&group_id(4), []);
        let unseen = reading.clone().finish_about(user_id(1), std::collections::HashMap::new());
        assert_eq!(complete(&unseen, 4).absence(&unseen, &user_id(1)), None, "the group may be gone");
        let seen = std::collections::HashMap::from([(group_id(4), crate::model::Peopled::No)]);
        let snapshot = reading.finish_about(user_id(1), seen);
        let closure = complete(&snapshot, 4);
        assert_eq!(closure.absence(&snapshot, &user_id(2)), None);
        assert_eq!(closure.absence(&snapshot, &user_id(99)), None);
        let proof = closure.absence(&snapshot, &user_id(1)).unwrap();
        assert_eq!((proof.user(), proof.evidence()), (Some(&user_id(1)), Evidence::NotAMember));
        assert_eq!(complete(&snapshot, 1).absence(&snapshot, &user_id(1)), None);
        let entitled = CompleteEntitlement::of_groups(vec![closure]).unwrap();
        assert_eq!(entitled.absence_of_nobody(&snapshot), None);
        let everybody = CompleteEntitlement::of_everybody(CompleteScope::new([], Vec::new()).unwrap());
        assert_eq!(everybody.absence(&snapshot, &user_id(2)), None);
        assert_eq!(everybody.absence(&snapshot, &user_id(99)), None);
    }

    #[test]
    fn a_partial_listing_gives_no_proof() {
        let missing = Unread { reason: "page 3 failed".into(), remedy: "run again".into() };
        let snapshot = cyclic().finish(Coverage::Partial(missing.clone()), Coverage::Complete);
        assert!(matches!(snapshot.closure(&group_id(1), Nesting::Flatten), Closure::Unknown(_)));
        let snapshot = cyclic().finish(Coverage::Complete, Coverage::Partial(missing));
        assert!(matches!(snapshot.closure(&group_id(1), Nesting::Flatten), Closure::Unknown(_)));
    }

    #[test]
    fn absence_is_proved_for_strangers_disabled_and_deleted_members_only() {
        let mut reading = cyclic();
        reading.put_user(user(2, AccountState::Disabled));
        reading.put_user(user(4, AccountState::Enabled));
        reading.user_gone(&user_id(3), Gone::SoftDeleted);
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let closure = complete(&snapshot, 1);
        let evidence = |n| closure.absence(&snapshot, &user_id(n)).map(|p| p.evidence());
        assert_eq!(evidence(1), None);
        assert_eq!(evidence(2), Some(Evidence::Disabled));
        assert_eq!(evidence(3), Some(Evidence::Deleted));
        assert_eq!(evidence(4), Some(Evidence::NotAMember));
        assert_eq!(evidence(99), Some(Evidence::NotAMember));
    }

    #[test]
    fn a_member_of_unknown_state_or_never_listed_gives_no_proof() {
        let mut reading = cyclic();
        reading.put_user(user(2, AccountState::Unknown));
        reading.add_member(&group_id(1), &MemberRef::User(user_id(7)));
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let closure = complete(&snapshot, 1);
        assert_eq!(closure.absence(&snapshot, &user_id(2)), None);
        assert_eq!(closure.absence(&snapshot, &user_id(7)), None);
    }

    #[test]
    fn a_soft_deleted_user_comes_back_with_his_memberships() {
        let mut reading = cyclic();
        reading.user_gone(&user_id(3), Gone::SoftDeleted);
        let mut reading = reading.finish(Coverage::Complete, Coverage::Complete).into_reading();
        reading.put_user(user(3, AccountState::Enabled));
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        assert_eq!(complete(&snapshot, 3).absence(&snapshot, &user_id(3)), None);
    }

    #[test]
    fn a_deleted_nested_group_brings_nobody() {
        let mut reading = cyclic();
        reading.group_gone(&group_id(2));
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        assert_eq!(complete(&snapshot, 1).members().len(), 1);
        assert!(matches!(snapshot.closure(&group_id(2), Nesting::Flatten), Closure::Unknown(_)));
    }
}
