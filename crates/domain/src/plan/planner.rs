//! From snapshots, rules and memory to a plan: resolve the groups, match the people, compare memberships, put the steps
//! in order, then let the guards look at the whole.

mod groups;
mod people;
mod removals;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::by_user::ByUser;
use super::focus::Focus;
use super::guard::{Approval, Guard, History};
use super::matching::Lookups;
use super::step::{Action, MendedBy, Person, SetAside, Step};
use super::targets::{Filled, Target};
use super::{Digest, Plan, Reason, drift, focus, guard, marks, matching, seats, targets};
use crate::memory::{Anchor, Memory, MemoryChange};
use crate::model::{
    AccountId, Closure, CompleteEntitlement, CompleteScope, Coverage, DirectorySnapshot, DirectoryUser,
    DirectoryUserId, SiteGroupId, SiteSnapshot, Subject, Through, Unread, UserIx,
};
use crate::policy::{About, Audience, Memberships, Rules, UserScope};

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
                mended_by: MendedBy::Directory,
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
                mended_by: MendedBy::Itself,
            }));
        }
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
