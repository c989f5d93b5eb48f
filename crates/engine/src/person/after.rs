//! What follows the writing for one person: the site's mirror is told, and the account is read back.

use std::collections::BTreeSet;
use std::time::Duration;

use entrain_domain::Failure;
use entrain_domain::model::{Account, AccountId, Presence, RunId, SiteGroupId, SiteMembers};
use entrain_domain::plan::{Action, Person, Plan, plan};
use entrain_domain::policy::Rules;

use super::PersonOrder;
use super::asking::Claimed;
use crate::apply::Applied;
use crate::ports::{Clock, Directory, Ids, Site, Store};
use crate::recover::Pauses;
use crate::report::Draft;
use crate::run::{Engine, World};

/// How long the site is read for what was written, after the answer.
const READ_BACK: Duration = Duration::from_secs(10);

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// What was written goes into the site's mirror, so that the next run over everything does not find it missing. A run
    /// that goes on to read back is said to.
    pub(crate) async fn put_into_mirror(
        &self,
        verifying: Option<&RunId>,
        world: &World,
        plan: &Plan,
        applied: &Applied,
    ) -> Result<(), Failure> {
        let account_of = |person: &Person| {
            let link = person.directory_id.as_ref().and_then(|user| world.memory.user(user));
            person.site_id.clone().or_else(|| link.map(|link| link.account.clone()))
        };
        let (mut accounts, mut made, mut members) = (BTreeSet::new(), Vec::new(), Vec::new());
        for step in plan.steps.iter().filter(|step| applied.done.contains(&step.id())) {
            let account = step.action.person().and_then(|person| account_of(person));
            accounts.extend(account.clone());
            match (&step.action, account) {
                (Action::CreateGroup { group }, _) => {
                    let link = world.memory.anchored(&group.anchor);
                    made.extend(link.and_then(|link| world.site.group(&link.group)).cloned());
                }
                (Action::AddMember { group, .. }, Some(account)) => {
                    let made = world.memory.anchored(&group.anchor).map(|link| link.group.clone());
                    let group = group.site_id.clone().or(made);
                    members.extend(group.map(|group| (group, account, Presence::In)));
                }
                (Action::RemoveMember { removal, .. }, Some(account)) => {
                    members.push((removal.site_group.clone(), account, Presence::Out));
                }
                _ => {}
            }
        }
        let accounts: Vec<Account> =
            accounts.iter().filter_map(|id| world.site.account(id)).cloned().collect();
        self.ports.store.patch_site(&self.connection, &accounts, &made, &members, verifying).await
    }

    /// Reads the account's groups once more, with some patience; a fresh plan over them has to be empty.
    pub(super) async fn read_person_back(
        &self,
        claimed: &Claimed,
        draft: &mut Draft,
        world: &mut World,
        rules: &Rules,
        applied: &Applied,
        order: &PersonOrder,
    ) -> Result<(), Failure> {
        let Some(account) = world.memory.user(&claimed.user).map(|link| link.account.clone()) else {
            return Ok(());
        };
        let mut pauses = Pauses::within(READ_BACK);
        let fresh = loop {
            let groups = self.ports.site.groups_of(&account).await?;
            put_groups(world, &account, groups.as_deref().unwrap_or_default());
            let fresh = plan(&world.input(rules, order.approval));
            let lags = fresh.open_steps().any(|step| applied.done.contains(&step.id()));
            if groups.is_some() && !lags {
                break fresh;
            }
            match pauses.next() {
                Some(pause) if self.pause(pause, &order.stop).await => {}
                _ => break fresh,
            }
        };
        for step in fresh.open_steps() {
            draft.incomplete();
            if applied.done.contains(&step.id()) {
                draft.set_aside.push(crate::readback::not_shown(crate::report::object_of(step)));
            }
        }
        Ok(())
    }
}

/// The site as far as it is about one account: it is in these of the groups, and of nobody else is anything said.
pub(super) fn put_groups(world: &mut World, account: &AccountId, groups: &[SiteGroupId]) {
    let all: Vec<SiteGroupId> = world.site.groups().iter().map(|group| group.id.clone()).collect();
    for group in all {
        let there = groups.contains(&group);
        let members = if there { vec![account.clone()] } else { Vec::new() };
        world.site.put_members(group, SiteMembers::Complete(members));
    }
}
