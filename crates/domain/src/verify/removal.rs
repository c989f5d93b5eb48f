//! Nothing is taken away without a complete read and ownership.

use super::Check;
use crate::memory::Anchor;
use crate::model::{Coverage, DirectoryUserId, SiteGroupId};
use crate::plan::{Action, GroupRef, Guard, Step};
use crate::policy::GroupMode;

impl Check<'_> {
    /// A reading of one person is ground for nothing that is done to another, and for nothing that is taken from a group
    /// that may be empty because it is gone.
    pub(super) fn about(&mut self, step: &Step, subject: &DirectoryUserId) {
        let theirs = match step.action.person() {
            Some(person) => person.directory_id.as_ref() == Some(subject),
            None => matches!(step.action, Action::CreateGroup { .. }),
        };
        if !theirs {
            self.find(Some(step), "is about somebody else than the person who was read");
        }
        if let Action::RemoveMember { removal, .. } = &step.action {
            let linked = self.input.memory.user(subject).map(|link| &link.account);
            if removal.proof.user() != Some(subject) || linked != Some(&removal.account) {
                self.find(Some(step), "takes away without a proof about the person who was read");
            }
        }
    }

    /// The heart: nothing is taken away without a complete read and ownership.
    pub(super) fn removal(
        &mut self,
        step: &Step,
        group: &GroupRef,
        site_group: &SiteGroupId,
        account: &crate::model::AccountId,
        says_owned: bool,
    ) {
        let (memory, site, rules) = (self.input.memory, self.input.site, self.input.rules);
        let in_ledger = memory.membership(site_group, account).is_some();
        if in_ledger != says_owned {
            self.find(Some(step), "the step and the ledger disagree about who owns the membership");
        }
        let mode = self.mode(group);
        if !in_ledger && mode != GroupMode::Authoritative {
            self.find(Some(step), "takes away what the ledger does not own");
        }
        if !in_ledger && step.hold.is_none() && !self.input.approval.releases(Guard::Authoritative) {
            self.find(Some(step), "takes away what the ledger does not own without anybody's word");
        }
        if mode == GroupMode::Additive {
            self.find(Some(step), "takes away from an additive group");
        }
        if *account == site.standing().own_account {
            self.find(Some(step), "takes the technical account out of a group");
        }
        if rules.protected.accounts.contains(account) {
            self.find(Some(step), "takes a protected account out of a group");
        }
        if site.members(site_group).and_then(|members| members.contains(account)) != Some(true) {
            self.find(Some(step), "takes out somebody who was not read as a member");
        }
        if memory.anchored(&group.anchor).is_none_or(|link| link.group != *site_group)
            && !self.adopted.contains(site_group)
            && !matches!(group.anchor, Anchor::Named(_))
        {
            self.find(Some(step), "takes away in a group that is not linked");
        }
        let directory = self.input.directory;
        if matches!(directory.users_coverage(), Coverage::Partial(_))
            || matches!(directory.groups_coverage(), Coverage::Partial(_))
        {
            self.find(Some(step), "takes away although the directory was not read completely");
        }
        match self.claims(group) {
            None => self.find(Some(step), "takes away in a group whose members are not completely known"),
            Some(claims) => {
                let shown = site.account(account).and_then(|a| a.email.as_ref());
                if memory.user_of(account).is_some_and(|owner| claims.users.contains(owner))
                    || claims.linked.contains(account)
                    || shown.is_some_and(|email| claims.addresses.contains(&email.key()))
                {
                    self.find(Some(step), "takes out somebody whom the directory has in the group");
                }
            }
        }
    }
}
