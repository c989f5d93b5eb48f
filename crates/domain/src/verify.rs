//! A second opinion on every plan. Shares no code with the planner: it walks the snapshots its own way, with texts and
//! sets where the planner uses indexes and proofs, and says what it finds. A plan with a finding is not applied.

mod part;
mod seats;
mod undo;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use jiff::Timestamp;
use part::{Part, Parts};
pub use undo::verify_undo;

use crate::memory::{Anchor, Hand, Memory, MemoryChange, Origin};
use crate::model::{
    AccountActivity, AccountId, AccountKind, AccountState, Coverage, DirectoryGroupId, DirectorySnapshot,
    DirectoryUser, DirectoryUserId, EmailAddress, GroupStanding, Leaving, Nesting, ProfileStanding, RenameBy,
    SiteGroup, SiteGroupId, Subject, group_name_key,
};
use crate::plan::{Action, GroupRef, Guard, Lookup, Person, Plan, PlanInput, Step, StepKind, Update};
use crate::policy::{GroupMode, LeaverAccounts, Measure, UserScope};

/// A breach of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The step, by name; `None` for the plan as a whole.
    pub step: Option<String>,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// Checks a plan against the invariants of the design.
pub fn verify(input: &PlanInput<'_>, plan: &Plan) -> Vec<Finding> {
    let adopted = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::AdoptGroup { site_id, .. } => Some(site_id.clone()),
            _ => None,
        })
        .collect();
    let invited = plan
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::CreateUser { .. }))
        .filter_map(|step| step.action.person()?.directory_id.as_ref())
        .filter_map(|id| input.directory.user(id))
        .map(|user| &user.id)
        .collect();
    let mut check = Check { invited, ..Check::new(input, adopted) };
    check.entered = plan
        .records
        .iter()
        .filter_map(|record| match record {
            MemoryChange::EnterLadder(place) => Some((place.user.clone(), (place.leaving, place.since))),
            _ => None,
        })
        .collect();
    check.shape(plan);
    for step in &plan.steps {
        check.step(step);
    }
    check.totals(plan);
    check.seats(plan);
    check.findings
}

struct Check<'a> {
    input: &'a PlanInput<'a>,
    /// People whom the plan itself invites.
    invited: HashSet<&'a DirectoryUserId>,
    /// Groups that the plan itself adopts.
    adopted: HashSet<SiteGroupId>,
    /// Places on the ladder that the plan itself makes known.
    entered: HashMap<DirectoryUserId, (Leaving, Timestamp)>,
    /// Whether the scope names a group.
    named: HashMap<DirectoryGroupId, bool>,
    /// Everybody below what fills a group, or nothing when something below was not read.
    below: HashMap<Anchor, Option<Below<'a>>>,
    /// Which accounts those below what fills a group may call their own.
    claims: HashMap<Anchor, Rc<Claims<'a>>>,
    /// Who takes part.
    parts: Parts<'a>,
    findings: Vec<Finding>,
}

type Below<'a> = Rc<HashSet<&'a DirectoryUserId>>;

/// What fills a group.
enum Filling {
    /// Directory groups, at least one.
    Groups(Vec<DirectoryGroupId>),
    /// Everybody in scope.
    Everybody,
    /// Whoever is invited.
    Newcomers,
    /// Nothing that is there.
    Unknown,
}

/// The accounts of people who are entitled to a group.
struct Claims<'a> {
    users: HashSet<&'a DirectoryUserId>,
    /// Accounts linked to them.
    linked: HashSet<&'a AccountId>,
    /// Addresses of those who are not linked.
    addresses: HashSet<String>,
}

impl<'a> Check<'a> {
    fn new(input: &'a PlanInput<'a>, adopted: HashSet<SiteGroupId>) -> Self {
        Self {
            input,
            invited: HashSet::new(),
            adopted,
            entered: HashMap::new(),
            named: HashMap::new(),
            below: HashMap::new(),
            claims: HashMap::new(),
            parts: Parts::of(input),
            findings: Vec::new(),
        }
    }

    fn find(&mut self, step: Option<&Step>, what: impl Into<String>) {
        self.findings.push(Finding { step: step.map(|s| s.id().to_string()), what: what.into() });
    }

    /// Order, doubles and holds.
    fn shape(&mut self, plan: &Plan) {
        for step in doubles(&plan.steps) {
            self.find(Some(step), "the step is in the plan twice");
        }
        for (at, step) in plan.steps.iter().enumerate() {
            for before in &step.after {
                match plan.steps.get(*before as usize) {
                    Some(earlier) if (*before as usize) < at => {
                        if earlier.hold.is_some() && step.hold.is_none() {
                            self.find(
                                Some(step),
                                "the step waits for one that is held, and is not held itself",
                            );
                        }
                    }
                    _ => self.find(Some(step), "the step waits for one that does not come before it"),
                }
            }
            if let Some(guard) = step.hold
                && !plan.held.iter().any(|h| h.guard == guard)
            {
                self.find(Some(step), format!("the guard “{guard}” holds the step and is not reported"));
            }
        }
        if plan.held.iter().any(|h| h.guard.holds_everything()) && plan.steps.iter().any(|s| s.hold.is_none())
        {
            self.find(None, "a guard holds the whole plan, and a step is open");
        }
    }

    fn step(&mut self, step: &Step) {
        if let Subject::One(subject) = self.input.directory.subject() {
            self.about(step, subject);
        }
        if let Some(group) = step.action.group().and_then(|g| g.site_id.clone()) {
            self.touchable(step, &group);
        }
        match &step.action {
            Action::CreateUser { person, address } => {
                let user = person.directory_id.as_ref().and_then(|id| self.input.directory.user(id));
                if user.is_none_or(|u| u.account != AccountState::Enabled) {
                    self.find(Some(step), "invites somebody who is not an enabled user of the directory");
                }
                self.takes_part(step, person);
                let removed = person.directory_id.as_ref().and_then(|id| self.removed_by_us(id));
                if self
                    .input
                    .site
                    .accounts_by_email(address)
                    .any(|a| a.kind == AccountKind::Person && Some(&a.id) != removed.as_ref())
                {
                    self.find(Some(step), "invites an address that an account on the site shows");
                }
                let found = person.directory_id.as_ref().and_then(|id| self.input.lookups.get(id));
                if found.is_some_and(|found| *found != Lookup::Nobody) {
                    self.find(Some(step), "invites somebody for whom a search found an account, or failed");
                }
                let linked = person.directory_id.as_ref().and_then(|id| self.input.memory.user(id));
                if linked.is_some_and(|link| {
                    self.input.site.account(&link.account).is_some()
                        && Some(&link.account) != removed.as_ref()
                }) {
                    self.find(Some(step), "invites somebody who is linked to an account on the site");
                }
            }
            Action::TakeRung { measure, person, departed } => {
                if person.directory_id.as_ref() != Some(departed.proof.user()) {
                    self.find(Some(step), "takes a rung on somebody whom its proof is not about");
                }
                self.rung(step, *measure, person, &departed.account);
            }
            Action::ComeBack { from, person, account } => {
                let place = person.directory_id.as_ref().and_then(|user| self.input.memory.on_ladder(user));
                let ours = place.is_some_and(|place| {
                    place.account == *account
                        && place
                            .passed
                            .get(&from.measure())
                            .is_some_and(|passed| passed.hand == Hand::Entrain)
                });
                if !ours {
                    self.find(Some(step), "takes back what Entrain did not do");
                }
                let back = person.directory_id.as_ref().and_then(|id| self.input.directory.user(id));
                if back.is_none_or(|user| user.account != AccountState::Enabled) {
                    self.find(
                        Some(step),
                        "gives access back to somebody who is not an enabled user of the directory",
                    );
                }
            }
            Action::UpdateUser { person, update } => self.update(step, person, update),
            Action::CreateGroup { group } => {
                let exists = self.input.site.groups_by_name(&group.name).any(|g| g.name == group.name);
                if exists {
                    self.find(Some(step), "creates a group of a name that the site has");
                }
                self.sources_in_scope(step, group);
            }
            Action::RenameGroup { group, renaming } => {
                self.renaming(step, group, &renaming.site_id, &renaming.name);
            }
            Action::AdoptGroup { group, site_id } => {
                self.sources_in_scope(step, group);
                if self.stands_for_another(site_id, &group.anchor) {
                    self.find(Some(step), "adopts a group that is linked to another directory group");
                }
            }
            Action::AddMember { group, person } => {
                let Some(user) = person.directory_id.clone() else {
                    return self.find(Some(step), "adds somebody whom the directory does not know");
                };
                let enabled = |u: &crate::model::DirectoryUser| u.account == AccountState::Enabled;
                if !self.input.directory.user(&user).is_some_and(enabled) {
                    self.find(Some(step), "adds somebody who is not an enabled user of the directory");
                }
                self.takes_part(step, person);
                match self.below(group) {
                    Some(members) if members.contains(&user) => {}
                    Some(_) => self.find(Some(step), "adds somebody who is not in the directory group"),
                    None => self.find(Some(step), "adds to a group whose members are not completely known"),
                }
                self.sources_in_scope(step, group);
            }
            Action::RemoveMember { group, removal, .. } => {
                let owned = removal.owned.is_some();
                self.removal(step, group, &removal.site_group, &removal.account, owned);
            }
        }
    }

    /// The account of somebody whom Entrain took off the site, where the site does not show it as active.
    fn removed_by_us(&self, user: &DirectoryUserId) -> Option<AccountId> {
        let place = self.input.memory.on_ladder(user)?;
        let passed = place.passed.get(&Measure::Remove)?;
        let shown = self.input.site.account(&place.account);
        let active = shown.is_some_and(|a| a.activity == AccountActivity::Active);
        (passed.hand == Hand::Entrain && !active).then(|| place.account.clone())
    }

    /// A rung needs a leaving that was read completely, an account that is Entrain's to take, a time that is over, and
    /// nobody who must not be touched.
    fn rung(&mut self, step: &Step, measure: Measure, person: &Person, account: &AccountId) {
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
    fn may_take_part(&self, user: &DirectoryUserId) -> bool {
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
    fn update(&mut self, step: &Step, person: &Person, update: &Update) {
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

    /// Only a linked, ordinary group gets a new name, only the directory's, and never one that is taken or privileged.
    fn renaming(&mut self, step: &Step, group: &GroupRef, site_id: &SiteGroupId, name: &str) {
        let PlanInput { directory, site, rules, memory, .. } = *self.input;
        let key = |text: &str| text.trim().to_lowercase();
        if memory.anchored(&group.anchor).is_none_or(|link| link.group != *site_id) {
            self.find(Some(step), "renames a group that is not linked");
        }
        let theirs = group.anchor.directory().and_then(|id| directory.group(id));
        let theirs = theirs.map(|g| rules.names.name(&g.display_name));
        if theirs.as_deref() != Some(name) {
            self.find(Some(step), "gives a group a name that is not the directory's");
        }
        if site.groups().iter().any(|other| other.id != *site_id && key(&other.name) == key(name)) {
            self.find(Some(step), "gives a group a name that another one bears");
        }
        let stranger = SiteGroup { id: site_id.clone(), name: name.into() };
        if rules.protected.group_names.contains(&key(name))
            || site.standing().group_standing(&stranger) != GroupStanding::Ordinary
        {
            self.find(
                Some(step),
                "gives a group a privileged or protected name, or renames a privileged group",
            );
        }
        if site.rename_by(site_id) != Some(&RenameBy::Organization) {
            self.find(Some(step), "renames a group that nobody can rename");
        }
        self.sources_in_scope(step, group);
    }

    /// A reading of one person is ground for nothing that is done to another, and for nothing that is taken from a group
    /// that may be empty because it is gone.
    fn about(&mut self, step: &Step, subject: &DirectoryUserId) {
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
    fn removal(
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

    /// Gathered once per group: removals may be as many as members.
    fn claims(&mut self, group: &GroupRef) -> Option<Rc<Claims<'a>>> {
        if let Some(known) = self.claims.get(&group.anchor) {
            return Some(known.clone());
        }
        let PlanInput { directory, memory, .. } = *self.input;
        let users: HashSet<&DirectoryUserId> = self
            .below(group)?
            .iter()
            .copied()
            .filter(|id| directory.gone(id).is_none())
            .filter(|id| {
                directory.user(id).is_none_or(|u| match u.account {
                    AccountState::Disabled => false,
                    AccountState::Enabled => self.parts.part(u) != Part::TakesNone,
                    AccountState::Unknown => true,
                })
            })
            .collect();
        let linked = users.iter().filter_map(|id| memory.user(id)).map(|link| &link.account).collect();
        let addresses = users
            .iter()
            .filter(|id| memory.user(id).is_none())
            .filter_map(|id| directory.user(id)?.address())
            .map(|address| address.key())
            .collect();
        let claims = Rc::new(Claims { users, linked, addresses });
        self.claims.insert(group.anchor.clone(), claims.clone());
        Some(claims)
    }

    /// Nothing is given to somebody whom the scope leaves out, or of whom it cannot be said.
    fn takes_part(&mut self, step: &Step, person: &Person) {
        let user = person.directory_id.as_ref().and_then(|id| self.input.directory.user(id));
        match user.map(|user| self.parts.part(user)) {
            Some(Part::TakesNone) => self.find(Some(step), "concerns somebody whom the scope leaves out"),
            Some(Part::Unknown) => {
                self.find(Some(step), "concerns somebody of whom it is not known whether they take part");
            }
            Some(Part::Takes) | None => {}
        }
    }

    fn name_of(&self, group: &DirectoryGroupId) -> Option<String> {
        self.input.directory.group(group).map(|g| g.display_name.to_string())
    }

    /// What fills a group, found anew from the rules, whatever the step says.
    fn filling(&self, group: &GroupRef) -> Filling {
        let rules = self.input.rules;
        let name = match &group.anchor {
            Anchor::Directory(id) => return Filling::Groups(vec![id.clone()]),
            Anchor::Named(name) => name.key(),
        };
        let same = |other: &str| group_name_key(other) == name;
        if rules.defaults.everybody.iter().any(|other| same(other)) {
            return Filling::Everybody;
        }
        if rules.defaults.newcomers.iter().any(|other| same(other)) {
            return Filling::Newcomers;
        }
        let mut ids = Vec::new();
        for binding in rules.bindings.iter().filter(|binding| same(&binding.site)) {
            let listed = self.input.directory.groups();
            let found: Vec<_> = listed
                .filter(|g| binding.directory.selects(&g.id, &g.display_name))
                .filter(|g| rules.scope.selects(&g.id, &g.display_name))
                .map(|g| g.id.clone())
                .collect();
            // A name that is nobody's, or of several, is not known to mean anything.
            if found.len() != 1 {
                return Filling::Unknown;
            }
            ids.extend(found);
        }
        if ids.is_empty() { Filling::Unknown } else { Filling::Groups(ids) }
    }

    /// The mildest of what the rules say of the groups that fill it.
    fn mode(&self, group: &GroupRef) -> GroupMode {
        let rules = self.input.rules;
        let modes: Vec<GroupMode> = match (self.filling(group), &group.anchor) {
            (Filling::Groups(ids), _) => ids
                .iter()
                .map(|id| rules.mode_of(id, self.name_of(id).as_deref().unwrap_or_default()))
                .collect(),
            (Filling::Everybody, Anchor::Named(name)) => vec![rules.mode_of_named(name.key())],
            _ => vec![GroupMode::Additive],
        };
        [GroupMode::Additive, GroupMode::Managed]
            .into_iter()
            .find(|mode| modes.contains(mode))
            .unwrap_or(GroupMode::Authoritative)
    }

    /// Whether a site group stands for something else that takes part.
    fn stands_for_another(&self, site_id: &SiteGroupId, anchor: &Anchor) -> bool {
        let PlanInput { directory, rules, memory, .. } = *self.input;
        match memory.anchor_of(site_id) {
            None => false,
            Some(other) if other == anchor => false,
            Some(Anchor::Directory(other)) => directory.group(other).is_some_and(|g| {
                rules.scope.selects(other, &g.display_name) && rules.binding(other, &g.display_name).is_none()
            }),
            Some(Anchor::Named(name)) => {
                let named = rules.bindings.iter().map(|binding| &binding.site);
                let mut named = named.chain(&rules.defaults.everybody).chain(&rules.defaults.newcomers);
                named.any(|other| group_name_key(other) == name.key())
            }
        }
    }

    fn sources_in_scope(&mut self, step: &Step, group: &GroupRef) {
        match self.filling(group) {
            Filling::Groups(ids) => ids.iter().for_each(|id| self.in_scope(step, id)),
            Filling::Everybody | Filling::Newcomers => {}
            Filling::Unknown => self.find(Some(step), "concerns a group that nothing in the rules fills"),
        }
    }

    fn in_scope(&mut self, step: &Step, group: &DirectoryGroupId) {
        let PlanInput { directory, rules, .. } = *self.input;
        let named = self.named.get(group).copied().unwrap_or_else(|| {
            directory
                .group(group)
                .is_some_and(|g| rules.scope.groups.iter().any(|s| s.selects(group, &g.display_name)))
        });
        self.named.entry(group.clone()).or_insert(named);
        if !named {
            self.find(Some(step), "concerns a directory group that the scope does not name");
        }
    }

    /// Privileged groups only by explicit binding; listed ones never.
    fn touchable(&mut self, step: &Step, id: &SiteGroupId) {
        let Some(group) = self.input.site.group(id).cloned() else {
            return self.find(Some(step), "concerns a group that the site does not list");
        };
        let protected = &self.input.rules.protected;
        if protected.groups.contains(id) || protected.group_names.contains(&group_name_key(&group.name)) {
            self.find(Some(step), "concerns a group on the protected list");
        }
        let standing = self.input.site.standing().group_standing(&group);
        let default = standing == GroupStanding::DefaultAccess && self.default(&group);
        if standing != GroupStanding::Ordinary && !self.bound(&group) && !default {
            self.find(Some(step), "concerns a privileged group that nobody bound on purpose");
        }
    }

    fn default(&self, group: &SiteGroup) -> bool {
        let defaults = &self.input.rules.defaults;
        let mut names = defaults.everybody.iter().chain(&defaults.newcomers);
        names.any(|name| group_name_key(name) == group_name_key(&group.name))
    }

    fn bound(&self, group: &SiteGroup) -> bool {
        self.input.rules.bindings.iter().any(|b| group_name_key(&b.site) == group_name_key(&group.name))
    }

    /// Limits, counted anew.
    fn totals(&mut self, plan: &Plan) {
        let open: Vec<&Step> = plan.steps.iter().filter(|s| s.hold.is_none()).collect();
        let removals = open.iter().filter(|s| matches!(s.action, Action::RemoveMember { .. })).count();
        let ledger = ledger_size(self.input.memory);
        let limits = &self.input.rules.limits;
        let limit = limits.kinds.get(&StepKind::RemoveMember).copied().unwrap_or(limits.removals);
        let beyond = removals > limit.number as usize && removals * 100 > ledger * usize::from(limit.percent);
        if beyond && !self.input.approval.releases(Guard::Removals) {
            self.find(None, format!("{removals} open removals of {ledger} memberships pass the limit"));
        }
        let one = matches!(self.input.directory.subject(), Subject::One(_));
        let nobody = !one && self.input.directory.users().next().is_none();
        if nobody && removals > 0 && !self.input.approval.releases(Guard::EmptyDirectory) {
            self.find(None, "takes away while the directory reads as empty");
        }
    }

    fn below(&mut self, group: &GroupRef) -> Option<Below<'a>> {
        if let Some(known) = self.below.get(&group.anchor) {
            return known.clone();
        }
        let reached = match self.filling(group) {
            Filling::Groups(ids) => self.below_all(&ids),
            Filling::Everybody => self.whole_scope(),
            Filling::Newcomers => Some(self.invited.clone()),
            Filling::Unknown => None,
        };
        let reached = reached.map(Rc::new);
        self.below.insert(group.anchor.clone(), reached.clone());
        reached
    }

    /// Everybody who takes part, where nobody can be missed.
    fn whole_scope(&self) -> Option<HashSet<&'a DirectoryUserId>> {
        let PlanInput { directory, rules, .. } = *self.input;
        let whole = |coverage: &Coverage| matches!(coverage, Coverage::Complete);
        if !whole(directory.users_coverage()) || !whole(directory.groups_coverage()) {
            return None;
        }
        match &rules.scope.users {
            // Whom the scope leaves out is seen where each is looked at.
            UserScope::All | UserScope::Assigned(_) => Some(directory.users().map(|user| &user.id).collect()),
            UserScope::InGroups => {
                let ids: Vec<DirectoryGroupId> = directory
                    .groups()
                    .filter(|g| rules.scope.selects(&g.id, &g.display_name))
                    .map(|g| g.id.clone())
                    .collect();
                self.below_all(&ids)
            }
        }
    }

    /// Everybody below any of these groups, where all of them are completely known.
    fn below_all(&self, groups: &[DirectoryGroupId]) -> Option<HashSet<&'a DirectoryUserId>> {
        let mut all = HashSet::new();
        for group in groups {
            let name = self.name_of(group).unwrap_or_default();
            let nesting = self.input.rules.nesting_of(group, &name);
            all.extend(everybody_below(self.input.directory, group, nesting)?);
        }
        Some(all)
    }
}

/// What a step is called, without its text: texts of all steps would be as large as the plan.
fn name_of(step: &Step) -> (StepKind, Option<&str>, Option<&str>) {
    let group = match &step.action {
        Action::UpdateUser { update, .. } => Some(update.part()),
        action => action.group().map(|group| group.anchor.as_str()),
    };
    let person = step.action.person().and_then(|person| match (&person.directory_id, &person.site_id) {
        (Some(user), _) => Some(user.as_str()),
        (None, account) => account.as_ref().map(AccountId::as_str),
    });
    (step.action.kind(), group, person)
}

/// Steps that bear the name of another one. Hashes of the names, because a set of the names of all steps of a first plan
/// is half as large as the plan; where two agree, the names decide.
fn doubles(steps: &[Step]) -> Vec<&Step> {
    let hasher = RandomState::new();
    let mut hashes: Vec<(u32, u32)> =
        steps.iter().zip(0..).map(|(step, at)| (hasher.hash_one(name_of(step)) as u32, at)).collect();
    hashes.sort_unstable();
    let mut doubles = Vec::new();
    for same in hashes.chunk_by(|(a, _), (b, _)| a == b).filter(|same| same.len() > 1) {
        let mut names = HashSet::new();
        let steps = same.iter().map(|(_, at)| &steps[*at as usize]);
        doubles.extend(steps.filter(|step| !names.insert(name_of(step))));
    }
    doubles
}

fn ledger_size(memory: &Memory) -> usize {
    memory.membership_count()
}

/// Flattens by growing a set of group ids until it stays the same; unlike the planner's walk, without indexes.
fn everybody_below<'a>(
    directory: &'a DirectorySnapshot,
    root: &DirectoryGroupId,
    nesting: Nesting,
) -> Option<HashSet<&'a DirectoryUserId>> {
    directory.group(root)?;
    let mut groups: BTreeSet<DirectoryGroupId> = BTreeSet::from([root.clone()]);
    let mut open = vec![root.clone()];
    let mut users = HashSet::new();
    while let Some(id) = open.pop() {
        let Some(group) = directory.group(&id) else {
            // A nested group that the directory has deleted brings nobody; one that it does not list is unknown.
            if directory.group_is_gone(&id) {
                continue;
            }
            return None;
        };
        let (direct, nested) = group.direct()?;
        users.extend(direct.iter().map(|ix| directory.user_id_at(*ix)));
        for ix in nested.iter().filter(|_| nesting == Nesting::Flatten) {
            let id = directory.group_at(*ix).id.clone();
            if groups.insert(id.clone()) {
                open.push(id);
            }
        }
    }
    Some(users)
}
