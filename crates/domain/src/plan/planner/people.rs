//! What people get: an invitation, what newcomers are given once, and memberships.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::by_user::ByUser;
use super::super::drift::{ByHand, TakenBack};
use super::super::matching::{Match, Matches};
use super::super::step::{Action, MendedBy, SetAside, StepId};
use super::super::targets::{Target, TargetState};
use super::super::{Reason, drift, matching, targets};
use super::{Draft, PathCache, PlanInput};
use crate::memory::{Anchor, MarkKind, MemoryChange, Origin};
use crate::model::{AccountId, Closure, CompleteEntitlement, DirectoryUser, GroupIx, SiteMembers, UserIx};
use crate::policy::{Memberships, UserScope};

impl Draft<'_> {
    /// The group through which each of those is reached who are to be invited.
    pub(super) fn paths_of_invitees(&self, matches: &Matches) -> ByUser<Arc<[Arc<str>]>> {
        let PlanInput { directory, rules, .. } = *self.input;
        let mut paths: ByUser<Arc<[Arc<str>]>> = ByUser::of(directory);
        if rules.scope.users != UserScope::InGroups || !matches.people.has_newcomers() {
            return paths;
        }
        for (group, _) in targets::in_scope(directory, rules) {
            let Closure::Complete(closure) = rules.closure(directory, group) else { continue };
            let mut known: BTreeMap<GroupIx, Arc<[Arc<str>]>> = BTreeMap::new();
            for (ix, holder) in closure.members_with_holder() {
                let invited = matches!(matches.people.get(ix), Some(Match::Invite(_)));
                if invited && paths.get(ix).is_none() {
                    let path = known
                        .entry(holder)
                        .or_insert_with(|| closure.path_to(directory, holder).unwrap_or_default().into());
                    paths.put(ix, path.clone());
                }
            }
        }
        paths
    }

    /// Who was invited and has not been given yet what newcomers are given, by group. What is owed to somebody who takes
    /// no part any more, or of a group that is not for newcomers any more, is forgotten once the whole scope was read.
    pub(super) fn owed(
        &mut self,
        given: &[Target],
        matches: &Matches,
    ) -> HashMap<Anchor, Vec<(UserIx, AccountId)>> {
        let PlanInput { directory, rules, memory, .. } = *self.input;
        let mut owed: HashMap<Anchor, Vec<(UserIx, AccountId)>> = HashMap::new();
        if !memory.owes() {
            return owed;
        }
        let mut stands = HashSet::new();
        for (ix, matched) in matches.people.iter() {
            let user = directory.user_id_at(ix);
            for name in &rules.defaults.newcomers {
                stands.insert(StepId::of_member(&Anchor::named(name), user));
            }
            let Match::Account(account) = matched else { continue };
            for target in given {
                let step = StepId::of_member(&target.group.anchor, user);
                if memory.mark(&step, MarkKind::Owed).is_some() {
                    owed.entry(target.group.anchor.clone()).or_default().push((ix, account.clone()));
                }
            }
        }
        let sure = self.audience.doubts().is_empty() && self.audience.unsure().is_empty();
        if directory.speaks_of_everybody() && sure && self.whole_scope().is_ok() {
            let gone = memory
                .marks()
                .filter(|(step, mark)| mark.kind() == MarkKind::Owed && !stands.contains(*step));
            self.records.extend(
                gone.map(|(step, _)| MemoryChange::UnmarkStep { step: step.clone(), mark: MarkKind::Owed }),
            );
        }
        owed
    }

    /// What newcomers are given once, with their invitation, or when that could not be done then.
    pub(super) fn newcomers(
        &mut self,
        given: &[Target],
        matches: &Matches,
        owed: &HashMap<Anchor, Vec<(UserIx, AccountId)>>,
    ) {
        for target in given {
            let group_step = self.steps.group_step.get(&target.group.anchor).copied();
            let hold = group_step.and_then(|at| self.steps.list[at as usize].hold);
            for (ix, matched) in matches.people.iter() {
                let (Match::Invite(_), Some(user)) = (matched, self.input.directory.user_at(ix)) else {
                    continue;
                };
                let after = [group_step, self.steps.user_step.get(ix).copied()].into_iter().flatten();
                let person = self.person(ix, user, None);
                let group = target.group.clone();
                self.steps.push(Action::AddMember { group, person }, Reason::Newcomer, after, hold);
            }
            for (ix, account) in owed.get(&target.group.anchor).into_iter().flatten() {
                let Some(user) = self.input.directory.user_at(*ix) else { continue };
                let after = [group_step, self.steps.user_step.get(*ix).copied()].into_iter().flatten();
                let person = self.person(*ix, user, Some(account));
                let group = target.group.clone();
                self.steps.push(Action::AddMember { group, person }, Reason::Newcomer, after, hold);
            }
        }
    }

    pub(super) fn invitations(&mut self, matches: &Matches, paths: &ByUser<Arc<[Arc<str>]>>) {
        for (ix, matched) in matches.people.iter() {
            let (Match::Invite(address), Some(user)) = (matched, self.input.directory.user_at(ix)) else {
                continue;
            };
            let person = self.person(ix, user, None);
            let reason = match (paths.get(ix), &self.input.rules.scope.users) {
                (Some(path), _) => Reason::NoAccount { path: path.clone() },
                (None, UserScope::Assigned(application)) => {
                    Reason::NoAccountAssigned { application: application.clone() }
                }
                (None, _) => Reason::NoAccountEverybody,
            };
            let at = self.steps.push(
                Action::CreateUser { person, address: address.clone() },
                reason,
                self.steps.user_step.get(ix).copied(),
                None,
            );
            self.steps.user_step.put(ix, at);
        }
    }

    /// Memberships to be granted, and those present on both sides, which the ledger learns of.
    pub(super) fn additions(&mut self, open: &[(Target, CompleteEntitlement)], matches: &Matches) {
        let PlanInput { directory, site, rules, memory, .. } = *self.input;
        if rules.memberships == Memberships::Leave {
            return;
        }
        // At most so many; what is not used is never touched, and growing step by step would copy the whole list each time.
        self.steps.list.reserve(open.iter().map(|(_, entitled)| entitled.at_most()).sum());
        for (target, entitled) in open {
            let members = target.group.site_id.as_ref().and_then(|id| site.members(id));
            if let Some(SiteMembers::Unread(why)) = members {
                self.unknown += 1;
                self.set_aside.push(SetAside {
                    object: format!("group “{}” on the site", target.group.name),
                    reason: format!("its members could not be read, so it is left alone: {}", why.reason),
                    remedy: why.remedy.to_string(),
                    mended_by: MendedBy::Itself,
                });
                continue;
            }
            if target.group.site_id.is_some() && members.is_none() {
                continue;
            }
            let group_step = self.steps.group_step.get(&target.group.anchor).copied();
            let hold = group_step.and_then(|at| self.steps.list[at as usize].hold);
            let mut cache = PathCache::default();
            for (ix, through) in entitled.members() {
                let Some(user) = directory.user_at(ix) else { continue };
                let account = match matches.people.get(ix) {
                    Some(Match::Account(account)) => Some(account.clone()),
                    Some(Match::Invite(_)) => None,
                    Some(Match::Parked) | None => continue,
                };
                if let (Some(account), Some(members), Some(group)) =
                    (&account, members, &target.group.site_id)
                {
                    if members.contains(account) == Some(true) {
                        if hold.is_none() && memory.membership(group, account).is_none() {
                            self.records.push(MemoryChange::OwnMembership {
                                group: group.clone(),
                                account: account.clone(),
                                origin: Origin::Found,
                                path: through.map(|through| cache.path(directory, entitled, through)),
                            });
                        }
                        continue;
                    }
                    if rules.protected.accounts.contains(account) || self.is_protected_address(user) {
                        if memory.membership(group, account).is_some() {
                            let what = ByHand::MemberRemoved(self.person(ix, user, Some(account)));
                            let (group, taken_back) = (target.group.clone(), TakenBack::Cannot);
                            self.drift.push(drift::Found { what, group, taken_back });
                        }
                        self.set_aside.push(SetAside {
                            object: matching::person_label(user),
                            reason: format!("on the protected list; not added to “{}”", target.group.name),
                            remedy: "take the account off [protected], or add it by hand".into(),
                            mended_by: MendedBy::Site,
                        });
                        continue;
                    }
                }
                let after = [group_step, self.steps.user_step.get(ix).copied()].into_iter().flatten();
                let person = self.person(ix, user, account.as_ref());
                let reason = match through {
                    Some(through) => Reason::Member { path: cache.path(directory, entitled, through) },
                    None => Reason::Everybody,
                };
                let granted = target.state == TargetState::Managed
                    && target
                        .group
                        .site_id
                        .as_ref()
                        .zip(account.as_ref())
                        .is_some_and(|(group, account)| memory.membership(group, account).is_some());
                let drifted = granted.then(|| person.clone());
                let action = Action::AddMember { group: target.group.clone(), person };
                let at = self.steps.push(action, reason, after, hold);
                if let Some(person) = drifted {
                    self.drift.push(drift::Found {
                        what: ByHand::MemberRemoved(person),
                        group: target.group.clone(),
                        taken_back: TakenBack::By(at),
                    });
                }
            }
        }
    }

    pub(super) fn is_protected_address(&self, user: &DirectoryUser) -> bool {
        user.address().is_some_and(|a| self.input.rules.protected.addresses.contains(&a.key()))
    }
}
