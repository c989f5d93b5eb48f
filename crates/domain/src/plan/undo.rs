//! Taking back what a run did: an ordinary plan, made from its journal instead of from the directory.
//!
//! Only what the run itself did, and what still is as it left it, is taken back. Accounts are never deleted: one that the
//! run invited is taken out of every group that Entrain put it into; one that it suspended or deactivated has its access
//! again. What cannot be taken back (a mail that was sent, a
//! group that was made) is named in the notes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::guard;
use super::planner::PlanInput;
use super::reason::Earlier;
use super::step::{
    Action, GroupRef, Keeping, MendedBy, Person, Removal, Renaming, Reversible, SetAside, Step, Update,
};
use super::{Digest, Plan, Reason, seats};
use crate::memory::{Anchor, MemoryChange, Origin};
use crate::model::{AbsenceProof, AccountId, DirectoryUserId, Profile, RunId, SiteGroupId, SiteMembers};
use crate::policy::Measure;
use crate::run::{Intent, JournalEntry, Outcome};

/// The groups whose members have to be known before a run can be undone: those that it changed, and those that hold an
/// account which it invited.
pub fn groups_to_undo(input: &PlanInput<'_>, journal: &[JournalEntry]) -> Vec<SiteGroupId> {
    let mut groups: Vec<SiteGroupId> = Vec::new();
    for entry in done(journal) {
        match &entry.intent {
            Intent::AddMember { group, .. } | Intent::RemoveMember { group, .. } => {
                groups.push(group.clone());
            }
            Intent::CreateUser { user, .. } => {
                groups.extend(held_by_invitee(input, user).into_iter().map(|(group, _, _)| group));
            }
            _ => {}
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| input.site.group(group).is_some());
    groups
}

/// The plan that takes back what a run did, the last step first.
pub fn undo(input: &PlanInput<'_>, of: &RunId, journal: &[JournalEntry]) -> Plan {
    let mut draft = Draft {
        input,
        of,
        steps: Vec::new(),
        records: Vec::new(),
        notes: Vec::new(),
        back: HashMap::new(),
        taken: HashSet::new(),
    };
    let mut entries: Vec<&JournalEntry> = done(journal).collect();
    entries.reverse();
    for entry in entries {
        draft.take_back(entry);
    }
    let Draft { mut steps, records, notes, .. } = draft;
    // A place in line is for those whom the directory has; what is taken back waits for nothing.
    let seats::Allotment { waiting, set_aside, .. } = seats::allot(input, &mut steps, seats::Freed::LeftFree);
    let guard::Verdict { held, released } = guard::apply_limits(&mut steps, input);
    let seats = seats::forecast(input, &steps);
    let digest = Digest::of(&steps, input.rules);
    let drift = Vec::new();
    Plan { steps, records, set_aside, notes, drift, held, released, waiting, seats, digest }
}

/// What a run did by itself; what it found done was somebody else's.
fn done(journal: &[JournalEntry]) -> impl Iterator<Item = &JournalEntry> {
    journal.iter().filter(|entry| entry.outcome == Outcome::Done)
}

/// The memberships that Entrain gave the account which it invited for a person.
fn held_by_invitee(input: &PlanInput<'_>, user: &DirectoryUserId) -> Vec<(SiteGroupId, AccountId, Origin)> {
    let Some(link) = input.memory.user(user).filter(|link| link.origin == Origin::Created) else {
        return Vec::new();
    };
    let mut held: Vec<_> = input
        .memory
        .all_memberships()
        .filter(|(_, account, _)| **account == link.account)
        .map(|(group, account, origin)| (group.clone(), account.clone(), origin))
        .collect();
    held.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    held
}

struct Draft<'a> {
    input: &'a PlanInput<'a>,
    of: &'a RunId,
    steps: Vec<Step>,
    records: Vec<MemoryChange>,
    notes: Vec<SetAside>,
    /// The last step that gives an account its access back.
    back: HashMap<AccountId, u32>,
    /// Memberships that a step takes back already.
    taken: HashSet<(SiteGroupId, AccountId)>,
}

impl Draft<'_> {
    fn take_back(&mut self, entry: &JournalEntry) {
        match &entry.intent {
            Intent::AddMember { group, account } => self.out_of_group(entry, group, account),
            Intent::RemoveMember { group, account } => self.back_into_group(entry, group, account),
            Intent::CreateUser { user, address, name } => {
                for (group, account, _) in held_by_invitee(self.input, user) {
                    self.out_of_group(entry, &group, &account);
                }
                self.note(
                    format!("user “{name}” <{address}>"),
                    "the invitation was sent and cannot be called back; the account stays, without groups",
                    "remove the account on the site by hand if nobody is to have it",
                );
            }
            Intent::CreateGroup { name, .. } => self.note(
                format!("group “{name}”"),
                "groups are never deleted; it stays, without the members that Entrain put there",
                "delete it on the site by hand if nothing refers to it",
            ),
            Intent::AdoptGroup { group, site_group, name } => self.let_go(group, site_group, name),
            Intent::RenameGroup { group, site_group, before, name } => {
                self.old_name(entry, group, site_group, before, name);
            }
            Intent::TakeRung { name, measure: Measure::Remove, .. } => self.note(
                format!("user “{name}”"),
                "was taken off the site; only a new invitation brings the person back",
                "nothing, if the person has left; else the next sync invites them",
            ),
            Intent::TakeRung { user, account, measure: Measure::Suspend, .. } => {
                self.access_back(entry, user, account, Reversible::Suspend);
            }
            Intent::TakeRung { user, account, measure: Measure::Deactivate, .. } => {
                self.access_back(entry, user, account, Reversible::Deactivate);
            }
            Intent::ComeBack { name, .. } => self.note(
                format!("user “{name}”"),
                "got the access back because the person is back in the directory; that is not taken again",
                "suspend the person at admin.atlassian.com if that is meant",
            ),
            Intent::UpdateUser { user, account, update } => self.old_attributes(entry, user, account, update),
        }
    }

    fn note(&mut self, object: String, reason: impl Into<String>, remedy: impl Into<String>) {
        self.notes.push(SetAside {
            object,
            reason: reason.into(),
            remedy: remedy.into(),
            mended_by: MendedBy::Itself,
        });
    }

    fn push(&mut self, entry: &JournalEntry, action: Action) {
        let reason = Reason::TakenBack(Box::new(Earlier { run: self.of.clone(), step: entry.step.clone() }));
        // Whoever gets access back gets it first, rung by rung.
        let waits = match &action {
            Action::AddMember { person, .. } => person.site_id.as_ref(),
            Action::ComeBack { account, .. } => Some(account),
            _ => None,
        };
        let before = waits.and_then(|account| self.back.get(account)).copied();
        if let Action::ComeBack { account, .. } = &action {
            self.back.insert(account.clone(), self.steps.len() as u32);
        }
        self.steps.push(Step { action, reason, after: before.into_iter().collect(), hold: None });
    }

    /// A rung that Entrain took and that is still behind the person. What somebody else did since is theirs.
    fn access_back(
        &mut self,
        entry: &JournalEntry,
        user: &DirectoryUserId,
        account: &AccountId,
        from: Reversible,
    ) {
        let place = self.input.memory.on_ladder(user).filter(|place| place.account == *account);
        let Some(place) = place.filter(|place| place.took(from.measure())) else { return };
        if place.took(Measure::Remove) || self.input.site.account(account).is_none() {
            return self.note(
                format!("user “{}”", place.name),
                "is not on the site any more, so there is no access to give back",
                "nothing, if the person has left; else invite them again",
            );
        }
        let person = Arc::new(Person { name: place.name.clone(), ..(*self.person(account)).clone() });
        if person.directory_id.as_ref() == Some(user) {
            self.push(entry, Action::ComeBack { from, person, account: account.clone() });
        }
    }

    fn group(&self, id: &SiteGroupId) -> Option<Arc<GroupRef>> {
        let found = self.input.site.group(id)?;
        let anchor = self.input.memory.anchor_of(id).cloned().unwrap_or_else(|| Anchor::named(&found.name));
        Some(Arc::new(GroupRef {
            name: found.name.clone(),
            anchor,
            filled_from: Arc::from([]),
            site_id: Some(id.clone()),
            keeping: Keeping::Ledger,
        }))
    }

    fn person(&self, account: &AccountId) -> Arc<Person> {
        let user = self.input.memory.user_of(account);
        let known = user.and_then(|id| self.input.directory.user(id));
        let shown = self.input.site.account(account);
        let name = match (known, shown) {
            (Some(user), _) => user.shared_label(),
            (None, Some(account)) => account.display_name.clone(),
            (None, None) => Arc::from(account.as_str()),
        };
        Arc::new(Person {
            name,
            directory_id: user.cloned(),
            site_id: Some(account.clone()),
            mail: known
                .and_then(crate::model::DirectoryUser::address)
                .or_else(|| shown.and_then(|account| account.email.clone())),
        })
    }

    /// Why an account is left as it is, whatever the run did to it.
    fn untouchable(&self, account: &AccountId) -> bool {
        let PlanInput { site, rules, .. } = *self.input;
        let shown = site.account(account).and_then(|a| a.email.as_ref());
        *account == site.standing().own_account
            || rules.protected.accounts.contains(account)
            || shown.is_some_and(|address| rules.protected.addresses.contains(&address.key()))
    }

    fn is_member(&self, group: &SiteGroupId, account: &AccountId) -> Option<bool> {
        self.input.site.members(group).and_then(|members| members.contains(account))
    }

    fn out_of_group(&mut self, entry: &JournalEntry, id: &SiteGroupId, account: &AccountId) {
        let person = self.person(account);
        let Some(group) = self.group(id) else {
            return self.note(
                format!("{} in group {id}", person.name),
                "the group is not on the site any more",
                "nothing is left to take back",
            );
        };
        let object = format!("{} in group “{}”", person.name, group.name);
        if !self.taken.insert((id.clone(), account.clone())) {
            return;
        }
        match self.is_member(id, account) {
            Some(true) => {}
            Some(false) => return,
            None => {
                let why = match self.input.site.members(id) {
                    Some(SiteMembers::Unread(why)) => why.reason.to_string(),
                    _ => "the members of the group were not read".into(),
                };
                return self.note(object, why, "undo the run again when the group can be read");
            }
        }
        if self.untouchable(account) {
            return self.note(object, "the account is protected", "take it out by hand if it is to go");
        }
        let Some(owned) = self.input.memory.membership(id, account) else {
            return self.note(
                object,
                "the membership is somebody's own by now: the ledger does not have it",
                "take it away by hand if it is to go",
            );
        };
        let Some(proof) = AbsenceProof::of_grant(entry, self.input.memory.user_of(account).cloned()) else {
            return;
        };
        let removal = Removal { site_group: id.clone(), account: account.clone(), proof, owned: Some(owned) };
        self.push(entry, Action::RemoveMember { group, person, removal: Box::new(removal) });
    }

    fn back_into_group(&mut self, entry: &JournalEntry, id: &SiteGroupId, account: &AccountId) {
        let person = self.person(account);
        let Some(group) = self.group(id) else {
            return self.note(
                format!("{} in group {id}", person.name),
                "the group was deleted since; the membership cannot be given back",
                "make the group again on the site, and add the person by hand",
            );
        };
        if self.input.site.account(account).is_none() {
            return self.note(
                format!("{} in group “{}”", person.name, group.name),
                "the account is not on the site any more; the membership cannot be given back",
                "invite the person again",
            );
        }
        if self.is_member(id, account) == Some(false) && !self.untouchable(account) {
            self.push(entry, Action::AddMember { group, person });
        }
    }

    /// An adoption costs no request: the link is forgotten, and memberships that were merely found are somebody's own.
    fn let_go(&mut self, anchor: &Anchor, id: &SiteGroupId, name: &str) {
        if self.input.memory.anchor_of(id) != Some(anchor) {
            return;
        }
        let mut found: Vec<&AccountId> = self
            .input
            .memory
            .memberships(id)
            .filter(|(_, origin)| *origin != Origin::Created)
            .map(|(account, _)| account)
            .collect();
        found.sort_unstable();
        self.records.extend(
            found.into_iter().map(|account| MemoryChange::DisownMembership {
                group: id.clone(),
                account: account.clone(),
            }),
        );
        self.records.push(MemoryChange::UnlinkGroup { group: id.clone() });
        self.note(
            format!("group “{name}”"),
            "is let go: Entrain no longer manages it, and its members are somebody's own",
            "nothing",
        );
    }

    fn old_name(
        &mut self,
        entry: &JournalEntry,
        anchor: &Anchor,
        id: &SiteGroupId,
        before: &str,
        name: &str,
    ) {
        let Some(group) = self.group(id) else {
            return self.note(
                format!("group “{name}”"),
                "is not on the site any more",
                "nothing is left to take back",
            );
        };
        if &*group.name != name || group.anchor != *anchor {
            return self.note(
                format!("group “{}”", group.name),
                format!("was called “{name}” by the run and has another name since"),
                "rename it by hand if it is to be called otherwise",
            );
        }
        if self.input.site.groups_by_name(before).any(|other| other.id != *id) {
            return self.note(
                format!("group “{name}”"),
                format!("another group is called “{before}” by now"),
                "rename one of the two by hand",
            );
        }
        let site_id = id.clone();
        self.push(
            entry,
            Action::RenameGroup { group, renaming: Box::new(Renaming { site_id, name: Arc::from(before) }) },
        );
    }

    fn old_attributes(
        &mut self,
        entry: &JournalEntry,
        user: &DirectoryUserId,
        account: &AccountId,
        update: &Update,
    ) {
        let person = self.person(account);
        let memory = self.input.memory;
        let unknown = "what was there before Entrain wrote it for the first time is not known";
        if person.directory_id.as_ref() != Some(user) || self.untouchable(account) {
            return;
        }
        match update {
            Update::Profile { set, before } => {
                let applied = memory.applied_profile(account).cloned().unwrap_or_default();
                let still = |field| applied.get(field) == set.get(field);
                let back: Profile =
                    before.iter().filter(|(field, _)| still(*field)).map(|(f, v)| (*f, v.clone())).collect();
                if set.keys().any(|field| !before.contains_key(field)) {
                    self.note(
                        format!("profile of {}", person.name),
                        unknown,
                        "correct it by hand if need be",
                    );
                }
                if !back.is_empty() {
                    let before = set.iter().filter(|(f, _)| back.contains_key(f));
                    let before = before.map(|(f, v)| (*f, v.clone())).collect();
                    let update = Arc::new(Update::Profile { set: back, before });
                    self.push(entry, Action::UpdateUser { person, update });
                }
            }
            Update::Property { key, values, before } => {
                if memory.applied_property(account, key) != Some(values) {
                    return;
                }
                match before {
                    Some(back) => {
                        let update = Arc::new(Update::Property {
                            key: key.clone(),
                            values: back.clone(),
                            before: Some(values.clone()),
                        });
                        self.push(entry, Action::UpdateUser { person, update });
                    }
                    None => self.note(
                        format!("property “{key}” of {}", person.name),
                        unknown,
                        "delete the property by hand if nothing is to read it",
                    ),
                }
            }
        }
    }
}
