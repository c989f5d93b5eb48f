//! From snapshots, rules and memory to a plan: resolve the groups, match the people, compare memberships, put the steps
//! in order, then let the guards look at the whole.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::by_user::ByUser;
use super::drift::{self, ByHand, TakenBack};
use super::focus::{self, Focus};
use super::guard::{self, Approval, Guard, History};
use super::marks;
use super::matching::{self, Lookups, Match, Matches};
use super::reason::Wanted;
use super::step::{Action, GroupRef, Person, Removal, SetAside, Step, StepId};
use super::targets::{self, Deleted, Filled, Former, Target, TargetState};
use super::{Digest, Plan, Reason, seats};
use crate::memory::{Anchor, MarkKind, Memory, MemoryChange, Origin};
use crate::model::{
    AbsenceProof, AccountId, AccountState, Closure, CompleteEntitlement, CompleteScope, Coverage,
    DirectorySnapshot, DirectoryUser, DirectoryUserId, GroupIx, SiteGroupId, SiteMembers, SiteSnapshot,
    Subject, Through, Unread, UserIx,
};
use crate::policy::{About, Audience, Existing, GroupMode, Memberships, Rules, UserScope};

/// Everything a plan rests on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The directory, as read.
    pub directory: &'a DirectorySnapshot,
    /// The site, with the members of every group that [`group_targets`] names.
    pub site: &'a SiteSnapshot,
    /// The rules.
    pub rules: &'a Rules,
    /// Links and ledger.
    pub memory: &'a Memory,
    /// Look-ups for [`accounts_to_look_up`](super::accounts_to_look_up).
    pub lookups: &'a Lookups,
    /// What earlier runs did.
    pub history: History,
    /// What a person released.
    pub approval: Approval,
    /// The moment of the reading; the domain has no clock of its own.
    pub now: Timestamp,
    /// What of it is asked for. A snapshot of one person is about that person, whatever is said here.
    pub focus: Focus<'a>,
}

/// The existing site groups whose members a plan needs to know; the site as read so far has accounts and groups, and
/// no members yet.
pub fn group_targets(
    directory: &DirectorySnapshot,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
) -> Vec<SiteGroupId> {
    if rules.memberships == Memberships::Leave {
        return Vec::new();
    }
    let targets = targets::resolve(directory, site, rules, memory);
    // What newcomers are given is theirs: nobody needs to know who has it.
    let managed = targets.list.iter().filter(|target| !matches!(target.filled, Filled::Newcomers));
    managed.filter_map(|target| target.group.site_id.clone()).collect()
}

/// The plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let PlanInput { directory, site, rules, memory, lookups, .. } = *input;
    let focus = match directory.subject() {
        Subject::One(person) => Focus::Person(person),
        Subject::Everybody => input.focus,
    };
    let resolved = targets::resolve(directory, site, rules, memory);
    let audience = Audience::of(directory, rules);
    let mut matches = matching::match_people(&audience, site, rules, memory, lookups);
    let mut draft = Draft {
        input,
        audience: &audience,
        persons: ByUser::of(directory),
        steps: Steps::of(directory),
        records: resolved.records,
        set_aside: resolved.set_aside,
        notes: resolved.notes,
        drift: Vec::new(),
        unknown: 0,
    };
    if directory.speaks_of_everybody() {
        draft.unmatched_selectors();
    } else {
        // What stands against a group is the business of runs over all of them.
        draft.set_aside.clear();
        draft.notes.clear();
    }
    draft.records.append(&mut matches.records);
    draft.set_aside.append(&mut matches.set_aside);
    draft.doubts();
    let scoped = targets::in_scope(directory, rules).len();

    let mut open = Vec::with_capacity(resolved.list.len());
    let mut given = Vec::new();
    for target in resolved.list {
        if matches!(target.filled, Filled::Newcomers) {
            given.push(target);
            continue;
        }
        match draft.entitlement(&target) {
            Ok(entitled) => open.push((target, entitled)),
            Err(why) => draft.unknown_group(&target, &why),
        }
    }
    // A group for newcomers is made when there are some, or when somebody still waits for it.
    let owed = draft.owed(&given, &matches);
    if rules.memberships == Memberships::Leave {
        given.clear();
    } else if !matches.people.has_newcomers() {
        given.retain(|target| owed.contains_key(&target.group.anchor));
    }
    // Groups that are set aside for their name bring people into scope all the same.
    let invited_through = draft.paths_of_invitees(&matches);
    draft.groups_and_adoptions(open.iter().map(|(target, _)| target).chain(&given));
    draft.removals(&open, &matches);
    draft.climb();
    draft.come_back(&matches);
    draft.invitations(&matches, &invited_through);
    drop(invited_through);
    draft.attributes(&matches);
    draft.additions(&open, &matches);
    draft.newcomers(&given, &matches, &owed);

    let Draft { steps, mut records, mut set_aside, mut notes, mut drift, unknown, persons, .. } = draft;
    drop(persons);
    let mut steps = steps.list;
    match focus {
        Focus::Everything => {}
        Focus::Person(person) => {
            set_aside.extend(focus::on_person(&mut steps, &mut records, person, memory));
            drift.clear();
        }
        Focus::Group(group) => {
            let about = focus::GroupScope::of(
                group,
                open.iter().map(|(t, entitled)| (&t.filled, entitled)),
                directory,
            );
            about.cut(&mut steps, &mut records, memory);
            set_aside.retain(|aside| about.concerns(aside));
            notes.retain(|note| about.concerns(note));
            drift.clear();
        }
    }
    let places = drift::places(&drift, &steps, memory);
    set_aside.extend(marks::apply(&mut steps, input));
    let freed = match directory.subject() {
        Subject::Everybody => seats::Freed::GivenAway,
        // Whose seat it is that becomes free, a run over everybody says.
        Subject::One(_) => seats::Freed::LeftFree,
    };
    let mut allotted = seats::allot(input, &mut steps, freed);
    // Of others it is not known here whether they still want a seat.
    allotted.leaves.retain(|change| match (focus, change) {
        (Focus::Everything, _) => true,
        (Focus::Person(person), MemoryChange::LeaveQueue { user, .. }) => user == person,
        _ => false,
    });
    records.extend(allotted.joins);
    if unknown == 0 && audience.doubts().is_empty() {
        records.extend(allotted.leaves);
    }
    set_aside.extend(allotted.set_aside);
    // Whoever may take part counts: doubts are no sign that the scope is empty.
    let people = matches.people.len() + audience.unsure().len();
    let reading = guard::Reading { scoped_groups: scoped, people, targets: &open, audience: &audience };
    let guard::Verdict { held, released } = guard::apply(&mut steps, input, &reading);
    // Nothing below needs them, and the plan of a large tenant does not fit beside them for nothing.
    drop((open, matches, audience));
    let seats = seats::forecast(input, &steps);
    let digest = Digest::of(&steps, rules);
    let drift = drift::settle(drift, places.as_deref(), &steps);
    let waiting = allotted.waiting;
    Plan { steps, records, set_aside, notes, drift, held, released, waiting, seats, digest }
}

#[derive(Debug)]
pub(super) struct Steps {
    list: Vec<Step>,
    /// Position of the step that makes or adopts a site group.
    group_step: HashMap<Anchor, u32>,
    /// Position of the step that everything given to a person waits for.
    pub(super) user_step: ByUser<u32>,
}

impl Steps {
    fn of(directory: &DirectorySnapshot) -> Self {
        Self { list: Vec::new(), group_step: HashMap::new(), user_step: ByUser::of(directory) }
    }

    pub(super) fn list(&self) -> &[Step] {
        &self.list
    }

    pub(super) fn push(
        &mut self,
        action: Action,
        reason: Reason,
        after: impl IntoIterator<Item = u32>,
        hold: Option<Guard>,
    ) -> u32 {
        let at = self.list.len() as u32;
        self.list.push(Step { action, reason, after: after.into_iter().collect(), hold });
        at
    }
}

pub(super) struct Draft<'a> {
    pub(super) input: &'a PlanInput<'a>,
    audience: &'a Audience<'a>,
    persons: ByUser<Arc<Person>>,
    pub(super) steps: Steps,
    pub(super) records: Vec<MemoryChange>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) notes: Vec<SetAside>,
    pub(super) drift: Vec<drift::Found>,
    /// Groups of which it is not known who belongs into them, or is in them.
    unknown: usize,
}

impl Draft<'_> {
    fn unmatched_selectors(&mut self) {
        for selector in self.input.rules.scope.unmatched(self.input.directory) {
            let entry = SetAside {
                object: format!("scope “{}”", selector.as_str()),
                reason: "no group in the directory bears this name or id".into(),
                remedy: "correct it under [scope] groups, or restore the group in Entra ID".into(),
            };
            // A pattern may rightly be empty for a while; a name or id that is not there is a mistake or a loss.
            if selector.is_pattern() {
                self.notes.push(entry);
            } else {
                self.set_aside.push(entry);
            }
        }
    }

    /// Of whom it cannot be said whether they take part: neither invited nor taken out.
    fn doubts(&mut self) {
        for doubt in self.audience.doubts() {
            let object = match &doubt.about {
                About::Person(id) => self.input.directory.user(id).map(matching::person_label),
                About::People(number) => Some(format!("scope of {}", matching::people(*number))),
            };
            self.set_aside.extend(object.map(|object| SetAside {
                object,
                reason: format!("{}; nobody is invited or taken out for it", doubt.why.reason),
                remedy: doubt.why.remedy.to_string(),
            }));
        }
    }

    /// The proof that somebody is not entitled to a group: by the directory, or by the scope.
    fn absence(&self, entitled: &CompleteEntitlement, user: &DirectoryUserId) -> Option<AbsenceProof> {
        entitled
            .absence(self.input.directory, user)
            .or_else(|| Some(entitled.absence_from_scope(&self.audience.out(user)?)))
    }

    /// Who belongs into a group; or what is not known of it.
    fn entitlement(&self, target: &Target) -> Result<CompleteEntitlement, Vec<Unread>> {
        let directory = self.input.directory;
        match &target.filled {
            Filled::From(sources) => {
                let mut closures = Vec::with_capacity(sources.len());
                for source in sources {
                    match directory.closure(&source.id, source.nesting) {
                        Closure::Complete(closure) => closures.push(closure),
                        Closure::Unknown(why) => return Err(why),
                    }
                }
                CompleteEntitlement::of_groups(closures).ok_or_else(Vec::new)
            }
            Filled::Everybody | Filled::Newcomers => {
                Ok(CompleteEntitlement::of_everybody(self.whole_scope()?))
            }
        }
    }

    /// Everybody who takes part, where nobody can be missed. Those of whom it cannot be said count: they are not added
    /// for it, and not taken out.
    fn whole_scope(&self) -> Result<CompleteScope, Vec<Unread>> {
        let PlanInput { directory, rules, .. } = *self.input;
        let mut doubts = Vec::new();
        for coverage in [directory.users_coverage(), directory.groups_coverage()] {
            if let Coverage::Partial(why) = coverage {
                doubts.push(why.clone());
            }
        }
        if rules.scope.users == UserScope::InGroups {
            for (group, _) in targets::in_scope(directory, rules) {
                if let Closure::Unknown(why) = rules.closure(directory, group) {
                    doubts.extend(why);
                }
            }
        }
        let people = self.audience.people().into_iter().chain(self.audience.unsure());
        CompleteScope::new(people.filter_map(|user| directory.user_ix(&user.id)), doubts)
    }

    fn unknown_group(&mut self, target: &Target, why: &[Unread]) {
        self.unknown += 1;
        let first = why.first();
        self.set_aside.push(SetAside {
            object: target.label(),
            reason: format!(
                "its members are not completely known, so it is left alone: {}",
                first.map_or("not read", |u| &u.reason)
            ),
            remedy: first.map_or_else(|| "run the sync again".to_owned(), |u| u.remedy.to_string()),
        });
    }

    pub(super) fn person(
        &mut self,
        ix: UserIx,
        user: &DirectoryUser,
        account: Option<&AccountId>,
    ) -> Arc<Person> {
        self.persons
            .get_or_put(ix, || {
                Arc::new(Person {
                    name: user.shared_label(),
                    directory_id: Some(user.id.clone()),
                    site_id: account.cloned(),
                    mail: user.address(),
                })
            })
            .clone()
    }

    /// The group through which each of those is reached who are to be invited.
    fn paths_of_invitees(&self, matches: &Matches) -> ByUser<Arc<[Arc<str>]>> {
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

    fn groups_and_adoptions<'t>(&mut self, targets: impl Iterator<Item = &'t Target>) {
        for target in targets {
            let mut at = None;
            if let (Some(name), Some(site_id)) = (&target.new_name, &target.group.site_id) {
                at = self.rename(target, site_id, name);
            }
            self.group_drift(target, at);
            let reason = || match target.filled.sources() {
                [one] if target.group.anchor.directory().is_some() => {
                    (one.name.clone(), one.selector.clone())
                }
                _ => (target.group.name.clone(), Arc::from("")),
            };
            let asks = |always: bool| {
                let PlanInput { rules, approval, memory, .. } = *self.input;
                let asks = always || rules.existing == Existing::Ask;
                // Known before the members are looked at: of a group that is not adopted nothing is learnt.
                let step = StepId::of_adoption(&target.group.anchor);
                let left_out = memory.mark(&step, MarkKind::LeftOut).is_some();
                [(Guard::Adoption, asks), (Guard::LeftOut, left_out)]
                    .into_iter()
                    .find(|(guard, is)| *is && !approval.releases(*guard))
                    .map(|(guard, _)| guard)
            };
            let adopt = |site_id: &SiteGroupId| Action::AdoptGroup {
                group: target.group.clone(),
                site_id: site_id.clone(),
            };
            let (directory_name, selector) = reason();
            let (action, reason, hold) = match (&target.state, &target.group.site_id) {
                (TargetState::Create, _) => {
                    let reason = match &target.group.anchor {
                        Anchor::Directory(_) => {
                            Reason::NoGroup(Box::new(Wanted { directory_name, selector }))
                        }
                        Anchor::Named(_) => Reason::NoNamedGroup { filled: filled(target) },
                    };
                    (Action::CreateGroup { group: target.group.clone() }, reason, None)
                }
                (TargetState::Adopt, Some(site_id)) => (
                    adopt(site_id),
                    Reason::GroupExists(Box::new(Wanted { directory_name, selector })),
                    asks(false),
                ),
                (TargetState::TakeOver(former), Some(site_id)) => {
                    let hold = asks(*former == Former::NotInScope);
                    (adopt(site_id), Reason::TakesOver { directory_name, former: *former }, hold)
                }
                _ => continue,
            };
            let at = self.steps.push(action, reason, Vec::new(), hold);
            self.steps.group_step.insert(target.group.anchor.clone(), at);
            if let Some(drift) = self.drift.last_mut().filter(|drift| {
                drift.what == ByHand::GroupDeleted && drift.group.anchor == target.group.anchor
            }) {
                drift.taken_back = TakenBack::By(at);
            }
        }
    }

    /// What was done by hand to a group itself.
    fn group_drift(&mut self, target: &Target, renamed_by: Option<u32>) {
        let mut find = |what, taken_back| {
            self.drift.push(drift::Found { what, group: target.group.clone(), taken_back });
        };
        if let Some(before) = &target.renamed_from {
            find(ByHand::GroupRenamed(before.clone()), renamed_by.map_or(TakenBack::No, TakenBack::By));
        }
        if target.deleted == Deleted::ByHand {
            find(ByHand::GroupDeleted, TakenBack::No);
        }
    }

    /// Who was invited and has not been given yet what newcomers are given, by group. What is owed to somebody who takes
    /// no part any more, or of a group that is not for newcomers any more, is forgotten.
    fn owed(&mut self, given: &[Target], matches: &Matches) -> HashMap<Anchor, Vec<(UserIx, AccountId)>> {
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
        let all_known = self.audience.doubts().is_empty() && self.audience.unsure().is_empty();
        if directory.speaks_of_everybody() && all_known {
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
    fn newcomers(
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

    fn invitations(&mut self, matches: &Matches, paths: &ByUser<Arc<[Arc<str>]>>) {
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
    fn additions(&mut self, open: &[(Target, CompleteEntitlement)], matches: &Matches) {
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

    fn is_protected_address(&self, user: &DirectoryUser) -> bool {
        user.address().is_some_and(|a| self.input.rules.protected.addresses.contains(&a.key()))
    }

    /// Memberships to be taken away, each with its proof, those that ended by themselves, and those that others made.
    fn removals(&mut self, open: &[(Target, CompleteEntitlement)], matches: &Matches) {
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
    fn strangers(
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
    fn outsider(&self, account: &AccountId, user: Option<&DirectoryUserId>) -> Arc<Person> {
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
    fn removal(
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

/// Accounts with the directory users they were matched with.
type Owners<'a> = HashMap<&'a AccountId, &'a DirectoryUserId>;

/// Who fills a group that the document names, in words.
fn filled(target: &Target) -> Arc<str> {
    let names: Vec<String> = target.filled.sources().iter().map(|s| format!("“{}”", s.name.trim())).collect();
    Arc::from(match (&target.filled, names.as_slice()) {
        (Filled::Everybody, _) => "default group: everybody in scope is a member".to_owned(),
        (Filled::Newcomers, _) => "default group: given to people whom Entrain invites".to_owned(),
        (Filled::From(_), [one]) => format!("bound to the directory group {one} under [groups.map]"),
        (Filled::From(_), _) => {
            format!("bound to the directory groups {} under [groups.map]", names.join(", "))
        }
    })
}

/// One path text per holding group, shared by everybody it holds.
#[derive(Default)]
struct PathCache(BTreeMap<Through, Arc<[Arc<str>]>>);

impl PathCache {
    fn path(
        &mut self,
        directory: &DirectorySnapshot,
        entitled: &CompleteEntitlement,
        through: Through,
    ) -> Arc<[Arc<str>]> {
        self.0
            .entry(through)
            .or_insert_with(|| entitled.path_to(directory, through).unwrap_or_default().into())
            .clone()
    }
}
