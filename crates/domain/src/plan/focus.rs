//! A plan cut down to what it is asked for: one person, or one group with its members.

use std::collections::HashSet;

use super::marks::{leave_out, what};
use super::step::{Action, GroupRef, MendedBy, SetAside, Step};
use super::targets::Filled;
use super::{Digest, Plan};
use crate::memory::{Memory, MemoryChange};
use crate::model::{
    AccountId, CompleteEntitlement, DirectoryGroupId, DirectorySnapshot, DirectoryUserId, SiteGroupId,
};
use crate::policy::Rules;

/// What of a plan is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Focus<'a> {
    /// All of it.
    #[default]
    Everything,
    /// What is done to this person, and the groups that have to be made for it.
    Person(&'a DirectoryUserId),
    /// What is done to the site groups that this directory group fills, and the people that have to be invited for it.
    Group(&'a DirectoryGroupId),
}

/// What belongs to one directory group.
pub(super) struct GroupScope<'a> {
    group: &'a DirectoryGroupId,
    /// Ids of the group and of everybody in it, as texts for people name them.
    ids: HashSet<&'a str>,
}

impl<'a> GroupScope<'a> {
    pub(super) fn of<'t>(
        group: &'a DirectoryGroupId,
        targets: impl Iterator<Item = (&'t Filled, &'t CompleteEntitlement)>,
        directory: &'a DirectorySnapshot,
    ) -> Self {
        let mut ids = HashSet::from([group.as_str()]);
        for (_, entitled) in targets.filter(|(filled, _)| filled.sources().iter().any(|s| s.id == *group)) {
            ids.extend(entitled.members().into_iter().map(|(ix, _)| directory.user_id_at(ix).as_str()));
        }
        Self { group, ids }
    }

    fn is_filled(&self, group: &GroupRef) -> bool {
        group.anchor.directory() == Some(self.group) || group.filled_from.contains(self.group)
    }

    /// Keeps what is done to the site groups that the group fills, and whatever it waits for.
    pub(super) fn cut(&self, steps: &mut Vec<Step>, records: &mut Vec<MemoryChange>, memory: &Memory) {
        let theirs = |step: &Step| step.action.group().is_some_and(|group| self.is_filled(group));
        let mut keep: Vec<bool> = steps.iter().map(theirs).collect();
        let mut sites: HashSet<SiteGroupId> = HashSet::new();
        for step in steps.iter().filter(|step| theirs(step)) {
            sites.extend(step.action.group().and_then(|group| group.site_id.clone()));
        }
        sites.extend(memory.group(self.group).map(|link| link.group.clone()));
        // What comes before stands before.
        for at in (0..steps.len()).rev() {
            if keep[at] {
                for before in &steps[at].after {
                    keep[*before as usize] = true;
                }
            }
        }
        leave_out(steps, &keep);
        records.retain(|record| match record {
            MemoryChange::LinkUser(_) => true,
            MemoryChange::LinkGroup(link) => link.anchor.directory() == Some(self.group),
            MemoryChange::OwnMembership { group, .. } | MemoryChange::DisownMembership { group, .. } => {
                sites.contains(group)
            }
            _ => false,
        });
    }

    /// Whether something that is told is about the group, or about somebody in it.
    pub(super) fn concerns(&self, told: &SetAside) -> bool {
        let object = &told.object;
        let id = object.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        id.is_some_and(|id| self.ids.contains(id.trim_start_matches("id ")))
    }
}

/// Keeps what is done to this person and the groups that have to be made for it. What waits for a group that is to be
/// adopted or renamed is left to a run over everything, and said.
pub(super) fn on_person(
    steps: &mut Vec<Step>,
    records: &mut Vec<MemoryChange>,
    person: &DirectoryUserId,
    memory: &Memory,
) -> Vec<SetAside> {
    let mut aside = Vec::new();
    let mut keep = vec![false; steps.len()];
    let mut needed = HashSet::new();
    for (at, step) in steps.iter().enumerate() {
        if step.action.person().and_then(|p| p.directory_id.as_ref()) != Some(person) {
            continue;
        }
        let adopted = step
            .after
            .iter()
            .any(|before| matches!(steps[*before as usize].action, Action::AdoptGroup { .. }));
        if adopted {
            aside.push(waits(step, "the group is there already and is not managed yet"));
            continue;
        }
        keep[at] = true;
        needed.extend(step.after.iter().copied());
    }
    for before in needed {
        keep[before as usize] = true;
    }
    leave_out(steps, &keep);
    let account = memory.user(person).map(|link| link.account.clone());
    let theirs = |id: &AccountId| account.as_ref() == Some(id);
    let found = records.iter().find_map(|record| match record {
        MemoryChange::LinkUser(link) if link.user == *person => Some(link.account.clone()),
        _ => None,
    });
    records.retain(|record| match record {
        MemoryChange::LinkUser(link) => link.user == *person,
        MemoryChange::OwnMembership { account, .. } | MemoryChange::DisownMembership { account, .. } => {
            theirs(account) || found.as_ref() == Some(account)
        }
        _ => false,
    });
    aside
}

impl Plan {
    /// Leaves out the making of groups, with everything that waits for it; says what.
    pub fn leave_out_new_groups(&mut self, rules: &Rules, why: &str) -> Vec<SetAside> {
        let made = |step: &Step| matches!(step.action, Action::CreateGroup { .. });
        let mut keep: Vec<bool> = self.steps.iter().map(|step| !made(step)).collect();
        let mut aside = Vec::new();
        for at in 0..self.steps.len() {
            if self.steps[at].after.iter().any(|before| !keep[*before as usize]) {
                keep[at] = false;
                aside.push(waits(&self.steps[at], why));
            }
        }
        leave_out(&mut self.steps, &keep);
        self.digest = Digest::of(&self.steps, rules);
        aside
    }
}

/// A step that is left to a run over everything.
pub(super) fn waits(step: &Step, why: &str) -> SetAside {
    SetAside {
        object: what(step),
        reason: format!("waits for the next run over everything: {why}"),
        remedy: "nothing, where a schedule is on; else run entrain sync".into(),
        mended_by: MendedBy::Itself,
    }
}
