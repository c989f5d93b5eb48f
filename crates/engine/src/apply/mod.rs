//! Doing the steps: in the order of what waits for what, independent ones side by side, memberships in a pipeline
//! behind their own account and group.
//!
//! Each kind of step has a queue and calls in flight of its own: the site limits each endpoint by itself, so that
//! invitations that have to wait hold up no membership. The store is asked before each call and told after it; when it
//! cannot be, nothing further is sent.

mod calls;
pub(crate) mod step;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use entrain_domain::memory::{Anchor, Mark, MarkKind, Memory, MemoryChange};
use entrain_domain::model::{
    Account, AccountActivity, AccountId, DirectoryUserId, ProductKey, SiteGroup, SiteGroupId, SiteMembers,
};
use entrain_domain::plan::{Action, MendedBy, Person, Plan, SetAside, Step, StepId, StepKind};
use entrain_domain::policy::Rules;
use entrain_domain::{Failure, FailureClass, FailureCode};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::ports::{AccessAct, Clock, Directory, Event, Ids, Progress, Site, StepResult, Store};
use crate::recover::{Parked, Recovered};
use crate::report::{Draft, aside, object_of, too_many_failed};
use crate::run::{Engine, World};
use crate::seats::Exhausted;
use step::{Job, Performed, Target, Verdict};

/// So many calls in a row that the site could not answer, and the run gives up until the next one: every further step
/// would wait through all the retries of the client for nothing.
const TRANSIENT_IN_A_ROW: usize = 20;

/// In quarantine, so many steps are tried one after another before the rest follows.
const TRIAL: usize = 10;

/// The first steps of a run in quarantine.
#[derive(Debug, Default)]
struct Trial {
    tried: usize,
    failed: usize,
}

/// What a trial says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Mended,
    NoBetter,
}

impl Trial {
    fn count(&mut self, done: bool) {
        self.tried += 1;
        self.failed += usize::from(!done);
    }

    fn verdict(&self) -> Option<Tried> {
        if too_many_failed(self.failed, self.tried) {
            Some(Tried::NoBetter)
        } else {
            (self.tried >= TRIAL).then_some(Tried::Mended)
        }
    }

    fn failure(&self) -> Failure {
        Failure::new(
            FailureCode::SiteRefused,
            FailureClass::Transient,
            format!(
                "the connection is in quarantine, and {} of {} steps failed again",
                self.failed, self.tried
            ),
            "see why they failed; the connection leaves quarantine by itself when they succeed",
        )
    }
}

/// What was done, for reading back.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Steps that are done, or were found done.
    pub(crate) done: HashSet<StepId>,
    /// Groups that were made or whose members were written, or may have been.
    pub(crate) groups: BTreeSet<SiteGroupId>,
    /// Accounts that were invited.
    pub(crate) accounts: Vec<AccountId>,
    /// Accounts whose access was changed, with the activity that they have to show.
    pub(crate) access: Vec<(AccountId, AccountActivity)>,
    /// Groups that were renamed, with their new names.
    pub(crate) renamed: Vec<SiteGroup>,
    /// Products of which the site had no seat left.
    pub(crate) seatless: BTreeSet<ProductKey>,
}

impl Applied {
    /// Whether anything was done, or may have been. An adoption writes nothing on the site and is done all the same.
    pub(crate) fn touched(&self) -> bool {
        !self.done.is_empty() || !self.groups.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(usize),
    Over,
}

/// The bookkeeping of one apply.
struct Work<'a> {
    plan: &'a Plan,
    states: Vec<State>,
    dependents: Vec<Vec<usize>>,
    ready: BTreeMap<StepKind, VecDeque<usize>>,
    running: BTreeMap<StepKind, usize>,
    accounts: HashMap<DirectoryUserId, AccountId>,
    groups: HashMap<Anchor, SiteGroup>,
    created_accounts: HashSet<AccountId>,
    created_groups: HashSet<SiteGroupId>,
    /// Where no seat is left, with what the site said.
    exhausted: Exhausted,
    applied: Applied,
    transient: usize,
    /// Steps whose call a quota refused: they were not tried, and nothing speaks against them.
    refused_by_quota: usize,
    /// Why nothing further is sent.
    halted: Option<Failure>,
}

impl<'a> Work<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut work = Work {
            plan,
            states: Vec::with_capacity(plan.steps.len()),
            dependents: vec![Vec::new(); plan.steps.len()],
            ready: BTreeMap::new(),
            running: BTreeMap::new(),
            accounts: HashMap::new(),
            groups: HashMap::new(),
            created_accounts: HashSet::new(),
            created_groups: HashSet::new(),
            exhausted: Exhausted::default(),
            applied: Applied::default(),
            transient: 0,
            refused_by_quota: 0,
            halted: None,
        };
        for (ix, step) in plan.steps.iter().enumerate() {
            work.states.push(State::Waiting(step.after.len()));
            for before in &step.after {
                work.dependents[*before as usize].push(ix);
            }
            if step.hold.is_none() && step.after.is_empty() {
                work.ready.entry(step.action.kind()).or_default().push_back(ix);
            }
        }
        work
    }

    fn step(&self, ix: usize) -> &'a Step {
        &self.plan.steps[ix]
    }

    /// The next step of a kind that has room.
    fn next(&mut self, in_flight: usize) -> Option<usize> {
        let Self { ready, running, .. } = self;
        ready.iter_mut().find_map(|(kind, queue)| {
            let running = running.entry(*kind).or_default();
            if *running >= in_flight.max(1) {
                return None;
            }
            let ix = queue.pop_front()?;
            *running += 1;
            Some(ix)
        })
    }

    fn over(&mut self, ix: usize) {
        self.states[ix] = State::Over;
    }

    fn release(&mut self, ix: usize) {
        self.over(ix);
        for at in 0..self.dependents[ix].len() {
            let dependent = self.dependents[ix][at];
            if let State::Waiting(left) = &mut self.states[dependent] {
                *left -= 1;
                if *left == 0 && self.plan.steps[dependent].hold.is_none() {
                    let kind = self.plan.steps[dependent].action.kind();
                    self.ready.entry(kind).or_default().push_back(dependent);
                }
            }
        }
    }

    /// Sets aside whatever waits, directly or not, for a step that is not going to be done.
    fn abandon(&mut self, ix: usize, why: &str, remedy: &str, draft: &mut Draft) {
        self.over(ix);
        let mut queue = vec![ix];
        while let Some(at) = queue.pop() {
            let object = object_of(self.step(at));
            for dependent in self.dependents[at].clone() {
                let step = self.step(dependent);
                if self.states[dependent] == State::Over || step.hold.is_some() {
                    continue;
                }
                self.over(dependent);
                draft.set_aside.push(SetAside {
                    object: object_of(step),
                    reason: format!("waits for {object}, which {why}"),
                    remedy: remedy.to_owned(),
                    mended_by: MendedBy::Itself,
                });
                queue.push(dependent);
            }
        }
    }

    /// A step that another run saw to counts as done, and so does whatever waits for it: it is about the same person.
    fn leave(&mut self, ix: usize, draft: &mut Draft) {
        let mut queue = vec![ix];
        while let Some(at) = queue.pop() {
            let step = self.step(at);
            if self.states[at] == State::Over || step.hold.is_some() {
                continue;
            }
            self.over(at);
            draft.done(step.action.kind());
            draft.overtaken.insert(step.id());
            queue.extend(self.dependents[at].iter().copied());
        }
    }

    /// The person's account, known before or made meanwhile.
    fn account_of(&self, person: &Person) -> Option<AccountId> {
        person
            .site_id
            .clone()
            .or_else(|| person.directory_id.as_ref().and_then(|user| self.accounts.get(user)).cloned())
    }

    /// What a step works on, now that everything it waits for is there.
    fn target(&self, ix: usize, world: &World) -> Option<Target> {
        match &self.step(ix).action {
            Action::CreateUser { .. } => Some(Target::Invite),
            Action::UpdateUser { person, update } => {
                let account = self.account_of(person)?;
                let fresh = self.created_accounts.contains(&account);
                Some(Target::Update { account, update: update.clone(), fresh })
            }
            Action::CreateGroup { .. } => Some(Target::CreateGroup),
            Action::RenameGroup { group, renaming } => Some(Target::Rename {
                group: known(world, &renaming.site_id, &group.name),
                name: renaming.name.clone(),
            }),
            Action::AdoptGroup { group, site_id, .. } => {
                Some(Target::Adopt(SiteGroup { id: site_id.clone(), name: group.name.clone() }))
            }
            Action::AddMember { group, person } => {
                let made = self.groups.get(&group.anchor);
                let group = match (&group.site_id, made) {
                    (Some(id), _) => known(world, id, &group.name),
                    (None, Some(group)) => group.clone(),
                    (None, None) => return None,
                };
                let account = self.account_of(person)?;
                let fresh =
                    self.created_accounts.contains(&account) || self.created_groups.contains(&group.id);
                Some(Target::Add { group, account, fresh })
            }
            Action::TakeRung { measure, departed, .. } => {
                Some(Target::Access { account: departed.account.clone(), act: AccessAct::Take(*measure) })
            }
            Action::ComeBack { from, account, .. } => {
                Some(Target::Access { account: account.clone(), act: AccessAct::Back(*from) })
            }
            Action::RemoveMember { group, removal, .. } => Some(Target::Remove {
                group: known(world, &removal.site_group, &group.name),
                account: removal.account.clone(),
            }),
        }
    }
}

fn known(world: &World, id: &SiteGroupId, name: &std::sync::Arc<str>) -> SiteGroup {
    world.site.group(id).cloned().unwrap_or_else(|| SiteGroup { id: id.clone(), name: name.clone() })
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Does every step that no guard holds. Fails only when the store does; what the site refuses is in the draft.
    pub(crate) async fn apply(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        stop: &CancellationToken,
        progress: &dyn Progress,
    ) -> Result<Applied, Failure> {
        let run = draft.run.clone();
        let mut work = Work::new(plan);
        for (ix, step) in plan.steps.iter().enumerate() {
            if step.hold.is_some() {
                work.abandon(ix, "is held for a person's approval", "approve it, then run again", draft);
            }
        }
        let mut trial = draft.quarantine.is_some().then(Trial::default);
        let mut learnt: Vec<(Vec<MemoryChange>, Option<Account>, Option<SiteGroup>)> = Vec::new();
        {
            let seen: &World = world;
            let mut running = FuturesUnordered::new();
            loop {
                while work.halted.is_none() && !stop.is_cancelled() {
                    let in_flight = if trial.is_some() { 1 } else { self.options.in_flight };
                    if trial.is_some() && !running.is_empty() {
                        break;
                    }
                    let Some(ix) = work.next(in_flight) else { break };
                    let step = work.step(ix);
                    if let Some(job) = job(&mut work, ix, seen, (recovered, &self.rules), draft) {
                        running.push(self.perform(job, &run, stop, seen));
                    } else {
                        *work.running.entry(step.action.kind()).or_default() -= 1;
                    }
                }
                let Some(performed) = running.next().await else { break };
                let kind = work.step(performed.ix).action.kind();
                *work.running.entry(kind).or_default() -= 1;
                let done = matches!(performed.verdict, Verdict::Done | Verdict::Overtaken);
                progress.report(Event::Step {
                    id: work.step(performed.ix).id(),
                    kind,
                    done: if done { StepResult::Done } else { StepResult::Failed },
                });
                settle(&mut work, performed, (seen, &self.rules), draft, &mut learnt);
                if let Some(under_way) = &mut trial {
                    under_way.count(done);
                    match under_way.verdict() {
                        None => {}
                        Some(Tried::Mended) => trial = None,
                        Some(Tried::NoBetter) => {
                            work.halted.get_or_insert_with(|| under_way.failure());
                        }
                    }
                }
            }
        }
        for (changes, account, group) in learnt {
            for change in &changes {
                world.memory.apply(change);
            }
            if let Some(account) = account {
                world.site.put_account(account);
            }
            if let Some(group) = group {
                if world.site.group(&group.id).is_none() {
                    world.site.put_members(group.id.clone(), SiteMembers::Complete(Vec::new()));
                }
                world.site.put_group(group);
            }
        }
        let left = work
            .states
            .iter()
            .zip(&plan.steps)
            .filter(|(state, step)| **state != State::Over && step.hold.is_none())
            .count();
        match work.halted {
            Some(ref failure @ Failure { resume_at: Some(at), .. }) => {
                draft.park(&self.connection, failure, at, left + work.refused_by_quota);
            }
            Some(failure) => {
                if left > 0 {
                    draft.set_aside.push(SetAside {
                        object: format!("connection “{}”", self.connection),
                        reason: format!("{left} steps were not tried: {}", failure.message),
                        remedy: failure.remedy.clone(),
                        mended_by: MendedBy::Itself,
                    });
                }
                if failure.class == FailureClass::Transient {
                    draft.incomplete();
                } else {
                    return Err(failure);
                }
            }
            None if stop.is_cancelled() && left > 0 => self.say_stopped(draft, left),
            None => {}
        }
        work.applied.seatless = work.exhausted.products().cloned().collect();
        Ok(work.applied)
    }
}

/// Whether a step is about somebody's access altogether.
fn changes_access(kind: StepKind) -> bool {
    matches!(
        kind,
        StepKind::SuspendUser
            | StepKind::RestoreUser
            | StepKind::DeactivateUser
            | StepKind::ReactivateUser
            | StepKind::RemoveUser
    )
}

/// What the account has to show after such a step, where the site shows it: that a suspended account is inactive is
/// known, of deactivated and removed ones it is not promised (atlassian-cloud.md 2 and 8).
fn shown_after(kind: StepKind) -> Option<AccountActivity> {
    match kind {
        StepKind::SuspendUser => Some(AccountActivity::Inactive),
        StepKind::RestoreUser => Some(AccountActivity::Active),
        _ => None,
    }
}

/// The call of a step that is due, or nothing when it is set aside without one.
fn job<'a>(
    work: &mut Work<'a>,
    ix: usize,
    world: &World,
    (recovered, rules): (&Recovered, &Rules),
    draft: &mut Draft,
) -> Option<Job<'a>> {
    let step = work.step(ix);
    let id = step.id();
    match recovered.parked.get(&id) {
        None => {}
        Some(Parked::Unread) => {
            work.abandon(ix, "may be done already", "nothing; the next run looks again", draft);
            return None;
        }
        Some(Parked::Invited) => {
            let remedy = "nothing; the next run looks again. If the account was removed from the site on purpose, \
                          invite the person there by hand";
            draft.set_aside.push(SetAside {
                object: object_of(step),
                reason: "was invited, or may have been, and the account does not show; the invitation is not repeated"
                    .into(),
                remedy: remedy.into(), mended_by: MendedBy::Itself });
            work.abandon(ix, "may be invited already", remedy, draft);
            return None;
        }
    }
    let Some(target) = work.target(ix, world) else {
        let failure = Failure::new(
            FailureCode::Internal,
            FailureClass::Object,
            "the step does not say which account or group it is about",
            "please report this with the output of entrain plan --json",
        );
        draft.failed(step.action.kind());
        draft.set_aside.push(aside(object_of(step), &failure));
        work.abandon(ix, "could not be done", &failure.remedy, draft);
        return None;
    };
    let refused = match &target {
        Target::Add { group, account, .. } => work.exhausted.of_member(&group.id, account, &world.site),
        Target::Invite => work.exhausted.of_invitation(step, &world.site, &rules.products),
        _ => None,
    };
    if let Some(failure) = refused.cloned() {
        let reason = format!("waits for a seat: {}", failure.message);
        draft.set_aside.push(SetAside { reason, ..aside(object_of(step), &failure) });
        work.abandon(ix, "was not done", &failure.remedy, draft);
        return None;
    }
    let reopened = recovered.reopened.contains(&id);
    Some(Job { ix, step, id, target, reopened })
}

/// What becomes of a membership that newcomers are given once and the site refused, in words.
fn given_once(step: &Step, memory: &Memory, failure: &Failure) -> Option<String> {
    if !step::gives_once(step) {
        return None;
    }
    let before = memory.mark(&step.id(), MarkKind::Owed);
    let next = match Mark::owed_after_refusal(before) {
        _ if !step::refused(failure) => "a later run tries again",
        Some(_) => "the next run tries once more",
        None => "it is not tried again, so put the person into the group by hand if that is meant",
    };
    Some(format!("{}; {next}", failure.remedy))
}

/// Takes in how a step ended.
fn settle(
    work: &mut Work<'_>,
    performed: Performed,
    (world, rules): (&World, &Rules),
    draft: &mut Draft,
    learnt: &mut Vec<(Vec<MemoryChange>, Option<Account>, Option<SiteGroup>)>,
) {
    let Performed { ix, group_id, verdict, changes, account, group } = performed;
    let step = work.step(ix);
    let kind = step.action.kind();
    if !matches!(verdict, Verdict::Broken(_) | Verdict::Overtaken)
        && let Some(group) = &group_id
    {
        work.applied.groups.insert(group.clone());
    }
    match verdict {
        Verdict::Done => {
            work.transient = 0;
            draft.done(kind);
            work.applied.done.insert(step.id());
            if changes_access(kind) {
                if let Some(account) = &account {
                    work.applied.access.retain(|(id, _)| *id != account.id);
                    let shown = shown_after(kind).map(|activity| (account.id.clone(), activity));
                    work.applied.access.extend(shown);
                }
            } else if let Some(account) = &account {
                work.applied.accounts.push(account.id.clone());
                work.created_accounts.insert(account.id.clone());
                if let Some(user) = step.action.person().and_then(|p| p.directory_id.clone()) {
                    work.accounts.insert(user, account.id.clone());
                }
            }
            if let (Some(made), Some(named)) = (&group, step.action.group()) {
                if kind == StepKind::CreateGroup {
                    work.created_groups.insert(made.id.clone());
                    work.applied.groups.insert(made.id.clone());
                }
                if kind == StepKind::RenameGroup {
                    work.applied.renamed.push(made.clone());
                }
                work.groups.insert(named.anchor.clone(), made.clone());
            }
            learnt.push((changes, account, group));
            work.release(ix);
        }
        Verdict::Failed(failure) | Verdict::Open(failure) if failure.resume_at.is_some() => {
            work.refused_by_quota += 1;
            work.over(ix);
            work.halted = Some(failure);
        }
        Verdict::Failed(failure) | Verdict::Open(failure) => {
            draft.failed(kind);
            let before = world.memory.mark(&step.id(), MarkKind::Refused);
            draft.refused_again += usize::from(step::refused(&failure) && before.is_some());
            draft.set_aside.push(match given_once(step, &world.memory, &failure) {
                Some(remedy) => SetAside { remedy, ..aside(object_of(step), &failure) },
                None => aside(object_of(step), &failure),
            });
            work.abandon(ix, "was not done", &failure.remedy, draft);
            if failure.code == FailureCode::SiteSeatsExhausted {
                work.exhausted.note(&failure, step, group_id.as_ref(), &world.site, &rules.products);
            }
            match failure.class {
                FailureClass::Connection => work.halted = Some(failure),
                FailureClass::Transient | FailureClass::Unclear => {
                    work.transient += 1;
                    if work.transient >= TRANSIENT_IN_A_ROW && work.halted.is_none() {
                        work.halted = Some(Failure { class: FailureClass::Transient, ..failure });
                    }
                }
                FailureClass::Object | FailureClass::Local => work.transient = 0,
            }
        }
        Verdict::Overtaken => work.leave(ix, draft),
        Verdict::Broken(failure) => {
            work.over(ix);
            draft.failed(kind);
            work.halted = Some(failure);
        }
    }
}
