//! A second opinion on every plan. Shares no code with the planner: it walks the snapshots its own way, with texts and
//! sets where the planner uses indexes and proofs, and says what it finds. A plan with a finding is not applied.

mod filling;
mod part;
mod people;
mod removal;
mod seats;
mod undo;

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use filling::{Below, Claims, Filling};
use jiff::Timestamp;
use part::Parts;

use crate::memory::{Anchor, Hand, Memory, MemoryChange};
use crate::model::{
    AccountId, AccountKind, AccountState, DirectoryGroupId, DirectoryUserId, GroupStanding, Leaving,
    RenameBy, SiteGroup, SiteGroupId, Subject, group_name_key,
};
use crate::plan::{Action, GroupRef, Guard, Lookup, Plan, PlanInput, Step, StepKind};

pub use undo::verify_undo;

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
