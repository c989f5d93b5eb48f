//! Steps about people: whether they take part, what their attributes are, and which rung of the ladder is theirs.

use super::Check;
use super::filling::everybody_below;
use super::part::Part;
use crate::memory::{Hand, Origin};
use crate::model::{
    AccountActivity, AccountId, AccountKind, AccountState, Coverage, DirectoryUser, DirectoryUserId,
    EmailAddress, Leaving, ProfileStanding,
};
use crate::plan::{Lookup, Person, PlanInput, Step, Update};
use crate::policy::{LeaverAccounts, Measure, UserScope};

impl Check<'_> {
    /// The account of somebody whom Entrain took off the site, where the site does not show it as active.
    pub(super) fn removed_by_us(&self, user: &DirectoryUserId) -> Option<AccountId> {
        let place = self.input.memory.on_ladder(user)?;
        let passed = place.passed.get(&Measure::Remove)?;
        let shown = self.input.site.account(&place.account);
        let active = shown.is_some_and(|a| a.activity == AccountActivity::Active);
        (passed.hand == Hand::Entrain && !active).then(|| place.account.clone())
    }

    /// A rung needs a leaving that was read completely, an account that is Entrain's to take, a time that is over, and
    /// nobody who must not be touched.
    pub(super) fn rung(&mut self, step: &Step, measure: Measure, person: &Person, account: &AccountId) {
        let PlanInput { directory, site, rules, memory, now, .. } = *self.input;
        let Some(user) = person.directory_id.as_ref() else {
            return self.find(Some(step), "takes a rung on somebody whom the directory does not know");
        };
        if matches!(directory.users_coverage(), Coverage::Partial(_)) {
            self.find(Some(step), "takes a rung although the directory was not read completely");
        }
        let gone = directory.gone(user).is_some();
        let disabled = directory.user(user).is_some_and(|u| u.account == AccountState::Disabled);
        let leaving = match (gone, disabled) {
            (true, _) => Leaving::Deleted,
            (false, true) => Leaving::Disabled,
            (false, false) => Leaving::OutOfScope,
        };
        if leaving == Leaving::OutOfScope && self.may_take_part(user) {
            self.find(Some(step), "takes a rung on somebody who has not left");
        }
        let link = memory.user_of(account).and_then(|owner| memory.user(owner));
        match link {
            Some(link) if link.user == *user && link.account == *account => {
                let invited = link.origin == Origin::Created;
                if rules.leavers.accounts == LeaverAccounts::Invited && !invited {
                    self.find(Some(step), "takes a rung on an account that Entrain does not own");
                }
            }
            _ => self.find(Some(step), "takes a rung on an account that is not linked to the person"),
        }
        let known = memory.on_ladder(user).map(|place| (place.leaving, place.since));
        let since = self.entered.get(user).copied().or(known).filter(|(how, _)| *how == leaving);
        let delays = rules.leavers.delays(leaving);
        let delay = match measure {
            Measure::Suspend => delays.suspend,
            Measure::Deactivate => delays.deactivate,
            Measure::Remove => delays.remove,
        };
        match (since, delay) {
            (Some((_, since)), Some(delay)) => {
                let waited = now.as_second() - since.as_second();
                if waited < i64::try_from(delay.as_secs()).unwrap_or(i64::MAX) {
                    self.find(Some(step), "takes a rung before its time");
                }
            }
            (None, _) => self.find(Some(step), "takes a rung on somebody who is not on the ladder"),
            (_, None) => self.find(Some(step), "takes a rung that is not switched on"),
        }
        if memory.on_ladder(user).is_some_and(|place| place.passed.keys().any(|passed| *passed >= measure)) {
            self.find(Some(step), "takes a rung that is behind the person");
        }
        let shown = site.account(account);
        let mails =
            [shown.and_then(|a| a.email.clone()), directory.user(user).and_then(DirectoryUser::address)];
        let mut mails = mails.iter().flatten();
        if *account == site.standing().own_account
            || rules.protected.accounts.contains(account)
            || mails.any(|mail| rules.protected.addresses.contains(&mail.key()))
        {
            self.find(Some(step), "takes a rung on a protected account");
        }
        if shown.is_none_or(|a| a.kind != AccountKind::Person) {
            self.find(Some(step), "takes a rung on an account that is not a person's on the site");
        }
        for group in &site.standing().administrative_groups {
            if site.members(group).and_then(|members| members.contains(account)) == Some(true) {
                self.find(Some(step), "takes a rung on an administrator");
            }
        }
        let unmanaged = !matches!(site.profile(account), Some(ProfileStanding::Managed(_)))
            && measure == Measure::Deactivate;
        if unmanaged {
            self.find(Some(step), "deactivates an account that is not known to be managed");
        }
    }

    /// Whether somebody takes part, or may.
    pub(super) fn may_take_part(&self, user: &DirectoryUserId) -> bool {
        let PlanInput { directory, rules, .. } = *self.input;
        let Some(known) = directory.user(user).filter(|u| u.account == AccountState::Enabled) else {
            return true;
        };
        if self.parts.part(known) == Part::TakesNone {
            return false;
        }
        if rules.scope.users != UserScope::InGroups
            || matches!(directory.groups_coverage(), Coverage::Partial(_))
        {
            return true;
        }
        let scoped = directory.groups().filter(|g| rules.scope.selects(&g.id, &g.display_name));
        let held = |group: &crate::model::DirectoryGroup| {
            let nesting = rules.nesting_of(&group.id, &group.display_name);
            everybody_below(directory, &group.id, nesting).is_none_or(|members| members.contains(user))
        };
        scoped.into_iter().any(held)
    }

    /// Attributes go to the person's own account, and are what the rules make of the directory, no more and no less.
    pub(super) fn update(&mut self, step: &Step, person: &Person, update: &Update) {
        let PlanInput { directory, site, rules, memory, lookups, .. } = *self.input;
        let id = person.directory_id.as_ref();
        let Some(user) = id.and_then(|id| directory.user(id)).filter(|u| u.account == AccountState::Enabled)
        else {
            return self
                .find(Some(step), "writes attributes of somebody who is no enabled user of the directory");
        };
        self.takes_part(step, person);
        if let Some(account) = &person.site_id {
            let shown = site.account(account).and_then(|a| a.email.clone());
            let linked = memory.user(&user.id).map(|link| &link.account);
            let same = user.address().is_some() && user.address() == shown
                || lookups.get(&user.id) == Some(&Lookup::One(account.clone()));
            if linked.map_or(!same, |linked| linked != account && !same) {
                self.find(Some(step), "writes attributes to an account that is not the person's");
            }
            let listed = |address: &EmailAddress| rules.protected.addresses.contains(&address.key());
            if *account == site.standing().own_account
                || rules.protected.accounts.contains(account)
                || shown.as_ref().is_some_and(listed)
            {
                self.find(Some(step), "writes attributes to a protected account");
            }
        }
        let account = person.site_id.as_ref();
        match update {
            Update::Profile { set, .. } => {
                let applied = account.and_then(|account| memory.applied_profile(account));
                let (wanted, _) = rules.attributes.profile(user, applied);
                if set.is_empty() || set.iter().any(|(field, value)| wanted.get(field) != Some(value)) {
                    self.find(Some(step), "sets a profile that the rules do not ask for");
                }
                let may = account
                    .is_none_or(|account| matches!(site.profile(account), Some(ProfileStanding::Managed(_))));
                if !may {
                    self.find(Some(step), "sets the profile of an account that is not managed");
                }
            }
            Update::Property { key, values, .. } => {
                let applied = account.and_then(|account| memory.applied_property(account, key));
                let keyed = rules.attributes.property.as_ref().is_some_and(|rule| rule.key == *key);
                if !keyed
                    || rules.attributes.property(user, applied).is_none_or(|(wanted, _)| wanted != *values)
                {
                    self.find(Some(step), "sets a property that the rules do not ask for");
                }
                if applied == Some(values) {
                    self.find(Some(step), "sets a property that the account has");
                }
            }
        }
    }

    /// Nothing is given to somebody whom the scope leaves out, or of whom it cannot be said.
    pub(super) fn takes_part(&mut self, step: &Step, person: &Person) {
        let user = person.directory_id.as_ref().and_then(|id| self.input.directory.user(id));
        match user.map(|user| self.parts.part(user)) {
            Some(Part::TakesNone) => self.find(Some(step), "concerns somebody whom the scope leaves out"),
            Some(Part::Unknown) => {
                self.find(Some(step), "concerns somebody of whom it is not known whether they take part");
            }
            Some(Part::Takes) | None => {}
        }
    }
}
