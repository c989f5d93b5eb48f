//! What is taken away, each with the proof that the person is in it no more.

use std::cell::LazyCell;
use std::collections::HashSet;
use std::sync::Arc;

use super::super::drift::{ByHand, TakenBack};
use super::super::guard::Guard;
use super::super::matching::{Match, Matches};
use super::super::step::{Action, GroupRef, MendedBy, Person, Removal, SetAside};
use super::super::targets::{Target, TargetState};
use super::super::{Reason, drift};
use super::{Draft, Owners, PlanInput};
use crate::memory::{MemoryChange, Origin};
use crate::model::{
    AbsenceProof, AccountId, AccountState, CompleteEntitlement, DirectoryUser, DirectoryUserId, SiteGroupId,
    SiteMembers,
};
use crate::policy::{GroupMode, Memberships};

impl Draft<'_> {
    /// The proof that somebody is not entitled to a group: by the directory, or by the scope.
    pub(super) fn absence(
        &self,
        entitled: &CompleteEntitlement,
        user: &DirectoryUserId,
    ) -> Option<AbsenceProof> {
        entitled
            .absence(self.input.directory, user)
            .or_else(|| Some(entitled.absence_from_scope(&self.audience.out(user)?)))
    }

    /// Memberships to be taken away, each with its proof, those that ended by themselves, and those that others made.
    pub(super) fn removals(&mut self, open: &[(Target, CompleteEntitlement)], matches: &Matches) {
        let PlanInput { directory, site, rules, memory, .. } = *self.input;
        if rules.memberships == Memberships::Leave {
            return;
        }
        let owners = LazyCell::new(|| {
            let people = matches.people.iter();
            people
                .filter_map(|(ix, m)| Some((m.account()?, directory.user_id_at(ix))))
                .collect::<Owners<'_>>()
        });
        for (target, entitled) in open.iter().filter(|(t, _)| t.state != TargetState::Create) {
            let Some(group) = &target.group.site_id else { continue };
            let Some(SiteMembers::Complete(current)) = site.members(group) else { continue };
            let current: HashSet<&AccountId> = current.iter().collect();
            let mut present = 0;
            for (account, origin) in memory.memberships(group) {
                let there = current.contains(account);
                present += usize::from(there);
                let owner = memory.user_of(account);
                let proof = owner.and_then(|user| self.absence(entitled, user));
                match (there, proof) {
                    (false, Some(_)) => self.records.push(MemoryChange::DisownMembership {
                        group: group.clone(),
                        account: account.clone(),
                    }),
                    (true, _) if target.mode == GroupMode::Additive => {}
                    (true, Some(proof)) => {
                        self.removal(target, group, account, proof, Some(origin));
                    }
                    (true, None) if owner.is_none() => self.set_aside.push(SetAside {
                        object: format!("account {account} in “{}”", target.group.name),
                        reason: "the ledger owns the membership, but the account is linked to nobody".into(),
                        remedy: "take the account out of the group by hand if it does not belong there"
                            .into(),
                        mended_by: MendedBy::Site,
                    }),
                    _ => {}
                }
            }
            if current.len() > present {
                self.strangers((target, entitled), group, &current, matches, &owners);
            }
        }
    }

    /// Members that neither the directory nor the ledger has there: put in by hand. An authoritative group takes them out.
    pub(super) fn strangers(
        &mut self,
        (target, entitled): (&Target, &CompleteEntitlement),
        group: &SiteGroupId,
        current: &HashSet<&AccountId>,
        matches: &Matches,
        owners: &Owners<'_>,
    ) {
        let PlanInput { directory, site, memory, .. } = *self.input;
        // Somebody in the group whose account is not known might be the stranger.
        let everybody = entitled.members();
        let unmatched: Vec<&DirectoryUser> = everybody
            .iter()
            .map(|(ix, _)| *ix)
            .filter(|ix| !self.audience.is_out(*ix))
            .filter(|ix| !matches!(matches.people.get(*ix), Some(Match::Account(_))))
            .filter_map(|ix| directory.user_at(ix))
            .filter(|user| user.account != AccountState::Disabled)
            .collect();
        let addresses: HashSet<String> =
            unmatched.iter().filter_map(|user| user.address()).map(|address| address.key()).collect();
        let mut strangers: Vec<&AccountId> =
            current.iter().copied().filter(|a| memory.membership(group, a).is_none()).collect();
        strangers.sort_unstable();
        for account in strangers {
            // An address that shows would have matched its owner; a hidden one may yet turn out to be somebody's.
            let nobodys = site.account(account).is_some_and(|a| {
                let not_theirs = match &a.email {
                    Some(email) => !addresses.contains(&email.key()),
                    None => unmatched.is_empty(),
                };
                a.kind == crate::model::AccountKind::Person && not_theirs
            });
            let owner = memory.user_of(account).or_else(|| owners.get(account).copied());
            let proof = match owner {
                Some(user) => self.absence(entitled, user),
                None if nobodys => entitled.absence_of_nobody(directory),
                None => None,
            };
            let Some(proof) = proof else { continue };
            let person = self.outsider(account, proof.user());
            let taken_back = match target.mode {
                GroupMode::Managed | GroupMode::Additive => TakenBack::No,
                GroupMode::Authoritative => {
                    self.removal(target, group, account, proof, None).map_or(TakenBack::Cannot, TakenBack::By)
                }
            };
            // What was there before the group came under management is nobody's deed; the technical account is ours.
            if target.state == TargetState::Managed && *account != site.standing().own_account {
                let (what, group) = (ByHand::MemberAdded(person), target.group.clone());
                self.drift.push(drift::Found { what, group, taken_back });
            }
        }
    }

    /// Somebody whom the directory does not have in a group.
    pub(super) fn outsider(&self, account: &AccountId, user: Option<&DirectoryUserId>) -> Arc<Person> {
        let PlanInput { directory, site, .. } = *self.input;
        let known = user.and_then(|id| directory.user(id));
        let shown = site.account(account);
        let address = known.and_then(DirectoryUser::address).or_else(|| shown.and_then(|a| a.email.clone()));
        let name: Arc<str> = match (known, shown) {
            (Some(user), _) => user.shared_label(),
            (None, Some(account)) => account.display_name.clone(),
            (None, None) => Arc::from(account.as_str()),
        };
        Arc::new(Person { name, directory_id: user.cloned(), site_id: Some(account.clone()), mail: address })
    }

    /// The position of the step; nothing for a protected account, which is set aside.
    pub(super) fn removal(
        &mut self,
        target: &Target,
        group: &SiteGroupId,
        account: &AccountId,
        proof: AbsenceProof,
        owned: Option<Origin>,
    ) -> Option<u32> {
        let PlanInput { site, rules, approval, .. } = *self.input;
        let person = self.outsider(account, proof.user());
        let protected = *account == site.standing().own_account
            || rules.protected.accounts.contains(account)
            || person.mail.as_ref().is_some_and(|a| rules.protected.addresses.contains(&a.key()));
        if protected {
            self.set_aside.push(SetAside {
                object: format!("account “{}” in “{}”", person.name, target.group.name),
                reason: "protected: not taken out of the group".into(),
                remedy: "take it out by hand if it does not belong there".into(),
                mended_by: MendedBy::Site,
            });
            return None;
        }
        let reason = Reason::NotEntitled {
            evidence: proof.evidence(),
            directory_names: target.directory_names(),
            owned,
        };
        let adoption = self.steps.group_step.get(&target.group.anchor).copied();
        let hold = adoption.and_then(|at| self.steps.list[at as usize].hold).or_else(|| {
            (owned.is_none() && !approval.releases(Guard::Authoritative)).then_some(Guard::Authoritative)
        });
        Some(self.steps.push(
            Action::RemoveMember {
                group: Arc::new(GroupRef { site_id: Some(group.clone()), ..(*target.group).clone() }),
                person,
                removal: Box::new(Removal {
                    site_group: group.clone(),
                    account: account.clone(),
                    proof,
                    owned,
                }),
            },
            reason,
            adoption,
            hold,
        ))
    }
}
