//! Who is entitled to a site group: everybody in the directory groups that fill it, or everybody who takes part. Known
//! only when every one of those groups is completely known, so that nobody is missed by a group that was not read.

use std::sync::Arc;

use super::{Absence, AbsenceProof, CompleteClosure, Evidence};
use crate::model::{
    AccountState, DirectoryGroupId, DirectorySnapshot, DirectoryUserId, GroupIx, Unread, UserIx,
};
use crate::policy::OutOfScope;

/// Everybody entitled to a site group, completely known.
#[derive(Debug, Clone)]
pub struct CompleteEntitlement {
    whole: Whole,
    /// For proofs: the directory groups.
    groups: Arc<[DirectoryGroupId]>,
}

#[derive(Debug, Clone)]
enum Whole {
    Groups(Vec<CompleteClosure>),
    /// Sorted.
    Everybody(Vec<UserIx>),
}

/// By which of the groups somebody is entitled: the position of the group, and the group nested in it that holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Through {
    source: u32,
    holder: GroupIx,
}

/// Everybody who takes part, where that is known of everybody.
#[derive(Debug, Clone)]
pub struct CompleteScope(Vec<UserIx>);

impl CompleteScope {
    /// `people` are those who take part; `doubts` is what stands in the way of knowing them all: groups in scope that
    /// are not completely known, a listing cut short, people of whom it cannot be said.
    pub fn new(people: impl IntoIterator<Item = UserIx>, doubts: Vec<Unread>) -> Result<Self, Vec<Unread>> {
        if !doubts.is_empty() {
            return Err(doubts);
        }
        let mut people: Vec<UserIx> = people.into_iter().collect();
        people.sort_unstable();
        people.dedup();
        Ok(Self(people))
    }
}

impl CompleteEntitlement {
    /// Everybody in any of these groups; `None` for no group at all, which entitles nobody and proves nothing.
    pub fn of_groups(closures: Vec<CompleteClosure>) -> Option<Self> {
        let groups = closures.iter().map(|closure| closure.group().clone()).collect();
        (!closures.is_empty()).then_some(Self { whole: Whole::Groups(closures), groups })
    }

    /// Everybody who takes part.
    pub fn of_everybody(scope: CompleteScope) -> Self {
        Self { whole: Whole::Everybody(scope.0), groups: Arc::from([]) }
    }

    /// Everybody in it, live or not, in the order of the snapshot, each with the first way; everybody who takes part is
    /// there without one.
    pub fn members(&self) -> Vec<(UserIx, Option<Through>)> {
        match &self.whole {
            Whole::Everybody(people) => people.iter().map(|user| (*user, None)).collect(),
            Whole::Groups(closures) => {
                let mut all: Vec<(UserIx, Option<Through>)> = Vec::new();
                for (source, closure) in (0..).zip(closures) {
                    let way = |(user, holder)| (user, Some(Through { source, holder }));
                    all.extend(closure.members_with_holder().map(way));
                }
                if closures.len() > 1 {
                    // Stable, so that the first group in the order of the rules is the one that is told.
                    all.sort_by_key(|(user, _)| *user);
                    all.dedup_by_key(|(user, _)| *user);
                }
                all
            }
        }
    }

    /// At most how many there are.
    pub fn at_most(&self) -> usize {
        match &self.whole {
            Whole::Everybody(people) => people.len(),
            Whole::Groups(closures) => closures.iter().map(|closure| closure.members().len()).sum(),
        }
    }

    /// Whether the user is among them.
    pub fn contains(&self, user: UserIx) -> bool {
        match &self.whole {
            Whole::Everybody(people) => people.binary_search(&user).is_ok(),
            Whole::Groups(closures) => closures.iter().any(|closure| closure.contains(user)),
        }
    }

    /// The names from the group that fills the site group down to the one that holds the user.
    pub fn path_to(&self, snapshot: &DirectorySnapshot, through: Through) -> Option<Vec<Arc<str>>> {
        match &self.whole {
            Whole::Everybody(_) => None,
            Whole::Groups(closures) => {
                closures.get(through.source as usize)?.path_to(snapshot, through.holder)
            }
        }
    }

    /// The proof that this user is not entitled, if there is one: in none of the groups, or disabled or deleted in the
    /// directory. An enabled member of any of them gives none, nor does one whose state is unknown or who was never
    /// listed.
    pub fn absence(&self, snapshot: &DirectorySnapshot, user: &DirectoryUserId) -> Option<AbsenceProof> {
        match &self.whole {
            Whole::Groups(closures) => {
                let mut evidence = Evidence::NotAMember;
                for closure in closures {
                    match closure.absence(snapshot, user)?.evidence() {
                        Evidence::NotAMember => {}
                        other => evidence = other,
                    }
                }
                Some(self.proof(Some(user.clone()), evidence))
            }
            Whole::Everybody(_) if !snapshot.speaks_of(user) => None,
            Whole::Everybody(people) => {
                let ix = snapshot.user_ix(user);
                if ix.is_some_and(|ix| people.binary_search(&ix).is_ok()) {
                    return None;
                }
                let evidence = match (snapshot.user(user).map(|u| u.account), snapshot.gone(user)) {
                    (Some(AccountState::Disabled), _) => Evidence::Disabled,
                    (Some(AccountState::Unknown), _) => return None,
                    (None, Some(_)) => Evidence::Deleted,
                    // Never listed, and known to the directory only as somebody's member.
                    (None, None) if ix.is_some() => return None,
                    (Some(AccountState::Enabled), _) | (None, None) => Evidence::NotAMember,
                };
                Some(self.proof(Some(user.clone()), evidence))
            }
        }
    }

    /// The proof that somebody is not entitled because the scope leaves them out, whether or not the directory has them
    /// in one of the groups.
    pub fn absence_from_scope(&self, out: &OutOfScope) -> AbsenceProof {
        self.proof(Some(out.user().clone()), Evidence::OutOfScope(out.rule()))
    }

    /// The proof for an account that no directory user is linked to. The caller vouches that everybody entitled is
    /// matched, so that none of them can be the account's owner; a snapshot of one person has no such proof.
    pub fn absence_of_nobody(&self, snapshot: &DirectorySnapshot) -> Option<AbsenceProof> {
        snapshot.speaks_of_everybody().then(|| self.proof(None, Evidence::NobodyLinked))
    }

    fn proof(&self, user: Option<DirectoryUserId>, evidence: Evidence) -> AbsenceProof {
        AbsenceProof(Box::new(Absence { groups: self.groups.clone(), user, evidence }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cyclic, group_id, user, user_id};
    use super::*;
    use crate::model::{Closure, Coverage, MemberRef, Nesting};

    fn both(snapshot: &DirectorySnapshot) -> CompleteEntitlement {
        let closures = [4, 5].map(|n| match snapshot.closure(&group_id(n), Nesting::Flatten) {
            Closure::Complete(closure) => closure,
            Closure::Unknown(why) => panic!("unknown: {why:?}"),
        });
        CompleteEntitlement::of_groups(closures.into()).unwrap()
    }

    #[test]
    fn several_groups_entitle_whoever_is_in_any_of_them_and_absence_is_absence_from_all() {
        let mut reading = cyclic();
        for n in 4..=7 {
            reading.put_user(user(n, if n == 6 { AccountState::Disabled } else { AccountState::Enabled }));
        }
        for (group, users) in [(4, [4, 6]), (5, [4, 5])] {
            reading.put_group(&group_id(group), &format!("G{group}"));
            reading.set_members(&group_id(group), users.map(|n| MemberRef::User(user_id(n))));
        }
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let entitled = both(&snapshot);
        assert_eq!(entitled.members().len(), 3);
        let evidence = |n| entitled.absence(&snapshot, &user_id(n)).map(|proof| proof.evidence());
        assert_eq!(evidence(4), None);
        assert_eq!(evidence(5), None, "in the second group only");
        assert_eq!(evidence(6), Some(Evidence::Disabled));
        assert_eq!(evidence(7), Some(Evidence::NotAMember));
        let of = |n| snapshot.user_ix(&user_id(n)).unwrap();
        let path = |n| {
            let through = entitled.members().into_iter().find(|(ix, _)| *ix == of(n)).unwrap().1.unwrap();
            entitled.path_to(&snapshot, through).unwrap().join(" › ")
        };
        assert_eq!(path(5), "G5");
        assert_eq!(path(4), "G4");
        assert!(CompleteEntitlement::of_groups(Vec::new()).is_none());
    }

    #[test]
    fn a_doubt_about_anybody_leaves_everybody_unknown() {
        let mut reading = cyclic();
        reading.put_user(user(2, AccountState::Disabled));
        reading.put_user(user(3, AccountState::Unknown));
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let of = |n| snapshot.user_ix(&user_id(n)).unwrap();
        let why = Unread { reason: "page 2 failed".into(), remedy: "run again".into() };
        assert!(CompleteScope::new([of(1)], vec![why]).is_err());
        let entitled = CompleteEntitlement::of_everybody(CompleteScope::new([of(1)], Vec::new()).unwrap());
        let evidence = |n| entitled.absence(&snapshot, &user_id(n)).map(|proof| proof.evidence());
        assert_eq!(evidence(1), None);
        assert_eq!(evidence(2), Some(Evidence::Disabled));
        assert_eq!(evidence(3), None, "of an unknown state");
        assert_eq!(evidence(99), Some(Evidence::NotAMember));
    }
}
