//! From snapshots, rules and memory to a plan: resolve the groups, match the people, compare memberships, put the steps
//! in order, then let the guards look at the whole.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::guard::{self, Approval, Guard, History};
use super::marks;
use super::matching::{self, Lookups, Match, Matches};
use super::step::{Action, GroupRef, Person, SetAside, Step};
use super::targets::{self, Target, TargetState};
use super::{Digest, Plan, Reason, seats};
use crate::memory::{Anchor, Memory, MemoryChange, Origin};
use crate::model::{
    AbsenceProof, AccountId, AccountState, Closure, CompleteClosure, DirectorySnapshot, DirectoryUser,
    DirectoryUserId, GroupIx, SiteGroupId, SiteMembers, SiteSnapshot,
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
    targets.list.iter().filter_map(|target| target.group.site_id.clone()).collect()
}

/// The plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let PlanInput { directory, site, rules, memory, lookups, .. } = *input;
    let resolved = targets::resolve(directory, site, rules, memory);
    let audience = Audience::of(directory, rules);
    let mut matches = matching::match_people(&audience, site, rules, memory, lookups);
    let mut draft = Draft {
        input,
        audience: &audience,
        persons: HashMap::new(),
        steps: Steps::default(),
        records: resolved.records,
        set_aside: resolved.set_aside,
        notes: resolved.notes,
    };
    draft.records.append(&mut matches.records);
    draft.set_aside.append(&mut matches.set_aside);
    draft.unmatched_selectors();
    draft.doubts();
    let scoped = targets::in_scope(directory, rules).len();

    let mut invited_through: HashMap<DirectoryUserId, Arc<[Arc<str>]>> = HashMap::new();
    let mut open = Vec::with_capacity(resolved.list.len());
    for target in resolved.list {
        let Some(source) = target.group.directory_id() else { continue };
        match directory.closure(source, target.nesting) {
            Closure::Complete(closure) => open.push((target, closure)),
            Closure::Unknown(why) => draft.unknown_group(&target, &why),
        }
    }
    // Groups that are set aside for their name bring people into scope all the same.
    draft.paths_of_invitees(&matches, &mut invited_through);
    draft.groups_and_adoptions(&open);
    draft.removals(&open, &matches);
    draft.invitations(&matches, &invited_through);
    draft.attributes(&matches);
    draft.additions(&open, &matches);

    let Draft { steps, records, mut set_aside, notes, .. } = draft;
    let mut steps = steps.list;
    set_aside.extend(marks::apply(&mut steps, input));
    // Whoever may take part counts: doubts are no sign that the scope is empty.
    let people = matches.people.len() + audience.unsure().len();
    let reading = guard::Reading { scoped_groups: scoped, people, targets: &open, audience: &audience };
    let guard::Verdict { held, released } = guard::apply(&mut steps, input, &reading);
    // Nothing below needs them, and the plan of a large tenant does not fit beside them for nothing.
    drop((open, matches, audience));
    let seats = seats::forecast(input, &steps);
    let digest = Digest::of(&steps, rules);
    let drift = Vec::new();
    Plan { steps, records, set_aside, notes, drift, held, released, seats, digest }
}

#[derive(Debug, Default)]
pub(super) struct Steps {
    list: Vec<Step>,
    /// Position of the step that makes or adopts a site group.
    group_step: HashMap<Anchor, u32>,
    pub(super) user_step: HashMap<DirectoryUserId, u32>,
}

impl Steps {
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
    persons: HashMap<DirectoryUserId, Arc<Person>>,
    pub(super) steps: Steps,
    pub(super) records: Vec<MemoryChange>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) notes: Vec<SetAside>,
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
    fn absence(&self, closure: &CompleteClosure, user: &DirectoryUserId) -> Option<AbsenceProof> {
        closure
            .absence(self.input.directory, user)
            .or_else(|| Some(closure.absence_from_scope(&self.audience.out(user)?)))
    }

    fn unknown_group(&mut self, target: &Target, why: &[crate::model::Unread]) {
        let first = why.first();
        self.set_aside.push(SetAside {
            object: format!(
                "group “{}” ({})",
                crate::policy::quoted(&target.directory_name),
                target.group.anchor
            ),
            reason: format!(
                "its members are not completely known, so it is left alone: {}",
                first.map_or("not read", |u| &u.reason)
            ),
            remedy: first.map_or_else(|| "run the sync again".to_owned(), |u| u.remedy.to_string()),
        });
    }

    pub(super) fn person(&mut self, user: &DirectoryUser, account: Option<&AccountId>) -> Arc<Person> {
        self.persons
            .entry(user.id.clone())
            .or_insert_with(|| {
                Arc::new(Person {
                    name: user.shared_label(),
                    directory_id: Some(user.id.clone()),
                    site_id: account.cloned(),
                    mail: user.address(),
                })
            })
            .clone()
    }

    fn paths_of_invitees(&self, matches: &Matches, paths: &mut HashMap<DirectoryUserId, Arc<[Arc<str>]>>) {
        let PlanInput { directory, rules, .. } = *self.input;
        let wanted: HashSet<&DirectoryUserId> =
            matches.people.iter().filter(|(_, m)| matches!(m, Match::Invite(_))).map(|(id, _)| id).collect();
        if wanted.is_empty() || rules.scope.users != UserScope::InGroups {
            return;
        }
        for (group, _) in targets::in_scope(directory, rules) {
            let Closure::Complete(closure) = rules.closure(directory, group) else { continue };
            let mut cache = PathCache::default();
            for (ix, holder) in closure.members_with_holder() {
                let id = directory.user_id_at(ix);
                if wanted.contains(id) && !paths.contains_key(id) {
                    paths.insert(id.clone(), cache.path(directory, &closure, holder));
                }
            }
        }
    }

    fn groups_and_adoptions(&mut self, open: &[(Target, CompleteClosure)]) {
        for (target, _) in open {
            let (directory_name, selector) = (target.directory_name.clone(), target.selector.clone());
            if let (Some(name), Some(site_id)) = (&target.new_name, &target.group.site_id) {
                self.rename(target, site_id, name);
            }
            let at = match (&target.state, &target.group.site_id) {
                (TargetState::Create, _) => self.steps.push(
                    Action::CreateGroup { group: target.group.clone() },
                    Reason::NoGroup { directory_name, selector },
                    Vec::new(),
                    None,
                ),
                (TargetState::Adopt, Some(site_id)) => {
                    let asks = self.input.rules.existing == Existing::Ask
                        && !self.input.approval.releases(Guard::Adoption);
                    self.steps.push(
                        Action::AdoptGroup { group: target.group.clone(), site_id: site_id.clone() },
                        Reason::GroupExists { directory_name, selector },
                        Vec::new(),
                        asks.then_some(Guard::Adoption),
                    )
                }
                _ => continue,
            };
            self.steps.group_step.insert(target.group.anchor.clone(), at);
        }
    }

    fn invitations(&mut self, matches: &Matches, paths: &HashMap<DirectoryUserId, Arc<[Arc<str>]>>) {
        for (id, matched) in &matches.people {
            let (Match::Invite(address), Some(user)) = (matched, self.input.directory.user(id)) else {
                continue;
            };
            let person = self.person(user, None);
            let reason = match (paths.get(id), &self.input.rules.scope.users) {
                (Some(path), _) => Reason::NoAccount { path: path.clone() },
                (None, UserScope::Assigned(application)) => {
                    Reason::NoAccountAssigned { application: application.clone() }
                }
                (None, _) => Reason::NoAccountEverybody,
            };
            let at = self.steps.push(
                Action::CreateUser { person, address: address.clone() },
                reason,
                Vec::new(),
                None,
            );
            self.steps.user_step.insert(id.clone(), at);
        }
    }

    /// Memberships to be granted, and those present on both sides, which the ledger learns of.
    fn additions(&mut self, open: &[(Target, CompleteClosure)], matches: &Matches) {
        let PlanInput { directory, site, rules, memory, .. } = *self.input;
        if rules.memberships == Memberships::Leave {
            return;
        }
        // At most so many; what is not used is never touched, and growing step by step would copy the whole list each time.
        self.steps.list.reserve(open.iter().map(|(_, closure)| closure.members().len()).sum());
        for (target, closure) in open {
            let members = target.group.site_id.as_ref().and_then(|id| site.members(id));
            if let Some(SiteMembers::Unread(why)) = members {
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
            for (ix, holder) in closure.members_with_holder() {
                let Some(user) = directory.user_at(ix) else { continue };
                let account = match matches.people.get(&user.id) {
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
                            });
                        }
                        continue;
                    }
                    if rules.protected.accounts.contains(account) || self.is_protected_address(user) {
                        self.set_aside.push(SetAside {
                            object: matching::person_label(user),
                            reason: format!("on the protected list; not added to “{}”", target.group.name),
                            remedy: "take the account off [protected], or add it by hand".into(),
                        });
                        continue;
                    }
                }
                let after = [group_step, self.steps.user_step.get(&user.id).copied()].into_iter().flatten();
                let person = self.person(user, account.as_ref());
                let path = cache.path(directory, closure, holder);
                self.steps.push(
                    Action::AddMember { group: target.group.clone(), person },
                    Reason::Member { path },
                    after,
                    hold,
                );
            }
        }
    }

    fn is_protected_address(&self, user: &DirectoryUser) -> bool {
        user.address().is_some_and(|a| self.input.rules.protected.addresses.contains(&a.key()))
    }

    /// Memberships to be taken away, each with its proof, and those that ended by themselves.
    fn removals(&mut self, open: &[(Target, CompleteClosure)], matches: &Matches) {
        let PlanInput { site, rules, memory, .. } = *self.input;
        if rules.memberships == Memberships::Leave {
            return;
        }
        let authoritative = |target: &Target| target.mode == GroupMode::Authoritative;
        let owners: HashMap<&AccountId, &DirectoryUserId> = if open.iter().any(|(t, _)| authoritative(t)) {
            matches.people.iter().filter_map(|(user, m)| Some((m.account()?, user))).collect()
        } else {
            HashMap::new()
        };
        let removable = |t: &Target| t.state != TargetState::Create && t.mode != GroupMode::Additive;
        for (target, closure) in open.iter().filter(|(t, _)| removable(t)) {
            let Some(group) = &target.group.site_id else { continue };
            let Some(SiteMembers::Complete(current)) = site.members(group) else { continue };
            let current: HashSet<&AccountId> = current.iter().collect();
            for (account, origin) in memory.memberships(group) {
                let owner = memory.user_of(account);
                let proof = owner.and_then(|user| self.absence(closure, user));
                match (current.contains(account), proof) {
                    (true, Some(proof)) => self.removal(target, group, account, proof, Some(origin)),
                    (false, Some(_)) => self.records.push(MemoryChange::DisownMembership {
                        group: group.clone(),
                        account: account.clone(),
                    }),
                    (true, None) if owner.is_none() => self.set_aside.push(SetAside {
                        object: format!("account {account} in “{}”", target.group.name),
                        reason: "the ledger owns the membership, but the account is linked to nobody".into(),
                        remedy: "take the account out of the group by hand if it does not belong there"
                            .into(),
                    }),
                    _ => {}
                }
            }
            if authoritative(target) {
                self.strangers(target, closure, group, &current, matches, &owners);
            }
        }
    }

    /// In an authoritative group, members that neither the directory nor the ledger knows of.
    fn strangers(
        &mut self,
        target: &Target,
        closure: &CompleteClosure,
        group: &SiteGroupId,
        current: &HashSet<&AccountId>,
        matches: &Matches,
        owners: &HashMap<&AccountId, &DirectoryUserId>,
    ) {
        let PlanInput { directory, site, memory, .. } = *self.input;
        // Somebody in the group whose account is not known might be the stranger.
        let unmatched: Vec<&DirectoryUser> = closure
            .members()
            .filter(|ix| !self.audience.is_out(*ix))
            .filter_map(|ix| directory.user_at(ix))
            .filter(|user| {
                user.account != AccountState::Disabled
                    && !matches!(matches.people.get(&user.id), Some(Match::Account(_)))
            })
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
                Some(user) => self.absence(closure, user),
                None if nobodys => Some(closure.absence_of_nobody()),
                None => None,
            };
            if let Some(proof) = proof {
                self.removal(target, group, account, proof, None);
            }
        }
    }

    fn removal(
        &mut self,
        target: &Target,
        group: &SiteGroupId,
        account: &AccountId,
        proof: AbsenceProof,
        owned: Option<Origin>,
    ) {
        let PlanInput { directory, site, rules, approval, .. } = *self.input;
        let user = proof.user().and_then(|id| directory.user(id));
        let shown = site.account(account);
        let address = user.and_then(DirectoryUser::address).or_else(|| shown.and_then(|a| a.email.clone()));
        let name: Arc<str> = match (user, shown) {
            (Some(user), _) => user.shared_label(),
            (None, Some(account)) => account.display_name.clone(),
            (None, None) => Arc::from(account.as_str()),
        };
        let protected = *account == site.standing().own_account
            || rules.protected.accounts.contains(account)
            || address.as_ref().is_some_and(|a| rules.protected.addresses.contains(&a.key()));
        if protected {
            self.set_aside.push(SetAside {
                object: format!("account “{name}” in “{}”", target.group.name),
                reason: "protected: not taken out of the group".into(),
                remedy: "take it out by hand if it does not belong there".into(),
            });
            return;
        }
        let person = Arc::new(Person {
            name,
            directory_id: proof.user().cloned(),
            site_id: Some(account.clone()),
            mail: address,
        });
        let reason = Reason::NotEntitled {
            evidence: proof.evidence(),
            directory_name: target.directory_name.clone(),
            owned: match owned {
                Some(Origin::Created) => "granted by Entrain",
                Some(Origin::Adopted | Origin::Found) => "was present on both sides",
                None => "not Entrain's own, but the group is authoritative",
            },
        };
        let adoption = self.steps.group_step.get(&target.group.anchor).copied();
        let hold = adoption.and_then(|at| self.steps.list[at as usize].hold).or_else(|| {
            (owned.is_none() && !approval.releases(Guard::Authoritative)).then_some(Guard::Authoritative)
        });
        self.steps.push(
            Action::RemoveMember {
                group: Arc::new(GroupRef { site_id: Some(group.clone()), ..(*target.group).clone() }),
                site_group: group.clone(),
                person,
                account: account.clone(),
                proof,
                owned,
            },
            reason,
            adoption,
            hold,
        );
    }
}

/// One path text per holding group of a closure, shared by everybody it holds.
#[derive(Default)]
struct PathCache(BTreeMap<GroupIx, Arc<[Arc<str>]>>);

impl PathCache {
    fn path(
        &mut self,
        directory: &DirectorySnapshot,
        closure: &CompleteClosure,
        holder: GroupIx,
    ) -> Arc<[Arc<str>]> {
        self.0
            .entry(holder)
            .or_insert_with(|| closure.path_to(directory, holder).unwrap_or_default().into())
            .clone()
    }
}
