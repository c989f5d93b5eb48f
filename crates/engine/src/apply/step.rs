//! One step: intent, call, outcome. What is repeated here, and what is only looked up, follows from what the site
//! documents as safe (atlassian-cloud.md 3.2 and 12): a membership may be repeated, an invitation and a new group may
//! not.

use std::time::Duration;

use entrain_domain::memory::{
    Anchor, AppliedValues, GroupLink, Hand, Mark, MarkKind, MemoryChange, Origin, WayBack,
};
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, DirectoryUserId, RunId, SiteGroup, SiteGroupId,
};
use entrain_domain::plan::{Action, Keeping, Reversible, Step, StepId, StepKind, Update, is_flip};
use entrain_domain::policy::{Measure, Memberships, Rules};
use entrain_domain::run::{AuditNote, Intent, Outcome, StepEnd};
use entrain_domain::{Failure, FailureClass, FailureCode};
use tokio_util::sync::CancellationToken;

use crate::ports::{AccessAct, Added, Changed, Clock, Directory, Ids, Overtaken, Removed, Site, Store};
use crate::recover::{link_group, link_user, owner};
use crate::report::object_of;
use crate::run::{Engine, World};
use crate::seats::out_of_line;

/// How long a membership of an account or group made by this run is tried again while the site does not know it yet:
/// reads lag behind writes (atlassian-cloud.md 12.1).
const LAG: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// What a step works on.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Invite,
    CreateGroup,
    Update {
        account: AccountId,
        update: std::sync::Arc<Update>,
        /// Made by this run, so that the site may not know it yet.
        fresh: bool,
    },
    Rename {
        group: SiteGroup,
        name: std::sync::Arc<str>,
    },
    Adopt(SiteGroup),
    Add {
        group: SiteGroup,
        account: AccountId,
        /// Made by this run, so that the site may not know it yet.
        fresh: bool,
    },
    Remove {
        group: SiteGroup,
        account: AccountId,
    },
    Access {
        account: AccountId,
        act: AccessAct,
    },
}

/// A step that is due.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) ix: usize,
    pub(super) step: &'a Step,
    pub(super) id: StepId,
    pub(super) target: Target,
    /// An earlier run may have sent it.
    pub(super) reopened: bool,
}

/// How a step ended, for the order of the rest.
#[derive(Debug)]
pub(super) enum Verdict {
    Done,
    Failed(Failure),
    /// Not known; the journal keeps it open for the next run.
    Open(Failure),
    /// Left to the sync of its person, which is under way or was made since both sides were read.
    Overtaken,
    /// The store failed.
    Broken(Failure),
}

#[derive(Debug)]
pub(super) struct Performed {
    pub(super) ix: usize,
    /// The group whose members were written, or may have been.
    pub(super) group_id: Option<SiteGroupId>,
    pub(super) verdict: Verdict,
    pub(super) changes: Vec<MemoryChange>,
    pub(super) account: Option<Account>,
    pub(super) group: Option<SiteGroup>,
}

/// What a call came to.
struct Call {
    verdict: Verdict,
    outcome: Outcome,
    attempts: u32,
    answer: String,
    changes: Vec<MemoryChange>,
    account: Option<Account>,
    group: Option<SiteGroup>,
}

impl Call {
    fn done(outcome: Outcome, attempts: u32, answer: impl Into<String>, changes: Vec<MemoryChange>) -> Self {
        let (answer, account, group) = (answer.into(), None, None);
        Self { verdict: Verdict::Done, outcome, attempts, answer, changes, account, group }
    }

    fn failed(attempts: u32, failure: Failure) -> Self {
        let answer = format!("{}: {}", failure.code, failure.message);
        let verdict = Verdict::Failed(failure);
        let (changes, account, group) = (Vec::new(), None, None);
        Self { verdict, outcome: Outcome::Failed, attempts, answer, changes, account, group }
    }

    fn open(attempts: u32, failure: Failure) -> Self {
        let mut call = Self::failed(attempts, failure);
        call.outcome = Outcome::Intent;
        if let Verdict::Failed(failure) = call.verdict {
            call.verdict = Verdict::Open(failure);
        }
        call
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Intent, call, outcome. The call is not sent unless the intent is on disk.
    pub(super) async fn perform(
        &self,
        job: Job<'_>,
        run: &RunId,
        stop: &CancellationToken,
        world: &World,
    ) -> Performed {
        let broken = |verdict| Performed {
            ix: job.ix,
            group_id: None,
            verdict,
            changes: Vec::new(),
            account: None,
            group: None,
        };
        let Some(intent) = intent(job.step, &job.target) else {
            return broken(Verdict::Failed(unidentified()));
        };
        let (store, clock) = (&self.ports.store, &self.ports.clock);
        let kind = job.step.action.kind();
        if let Err(failure) = store.intend(run, &job.id, kind, &intent, clock.now()).await {
            return broken(Verdict::Broken(failure));
        }
        match self.overtaken(&job, run, world).await {
            Ok(Overtaken::No) => {}
            Ok(Overtaken::Yes) => return broken(Verdict::Overtaken),
            Err(failure) => return broken(Verdict::Broken(failure)),
        }
        let mut call = match (&job.target, &intent) {
            (Target::Invite, _) => self.invite(&job, stop, world).await,
            (Target::CreateGroup, _) => self.create_group(&job, world).await,
            (Target::Adopt(group), Intent::AdoptGroup { group: anchor, .. }) => {
                let change = MemoryChange::LinkGroup(GroupLink {
                    anchor: anchor.clone(),
                    group: group.id.clone(),
                    name: group.name.clone(),
                    origin: Origin::Adopted,
                });
                let mut call =
                    Call::done(Outcome::Done, 0, "taken under management; no request", vec![change]);
                call.group = Some(group.clone());
                call
            }
            (Target::Update { account, update, fresh }, _) => {
                self.update(account, update, *fresh, stop, world).await
            }
            (Target::Rename { group, name }, _) => self.rename(&job, group, name, world).await,
            (Target::Add { group, account, fresh }, _) => self.add(&job, group, account, *fresh, stop).await,
            (Target::Remove { group, account }, _) => self.remove(&job, group, account).await,
            (Target::Access { account, act }, _) => self.change_access(&job, account, *act, world).await,
            (Target::Adopt(_), _) => Call::failed(0, unidentified()),
        };
        let remembered = self.remember_of(&job, &call, world);
        call.changes.extend(remembered);
        let written = call.outcome == Outcome::Done;
        let end = StepEnd {
            step: job.id.clone(),
            outcome: call.outcome,
            attempts: call.attempts,
            answer: call.answer.clone(),
            at: clock.now(),
            changes: call.changes.clone(),
            audit: written.then(|| AuditNote {
                actor: "entrain".into(),
                action: kind.as_str().into(),
                object: object_of(job.step),
                detail: format!("{}; {}", job.step.reason, call.answer),
            }),
        };
        if let Err(failure) = store.settle(run, &end).await {
            return broken(Verdict::Broken(failure));
        }
        let group_id = match &job.target {
            Target::Add { group, .. } | Target::Remove { group, .. } => Some(group.id.clone()),
            Target::Invite
            | Target::Update { .. }
            | Target::CreateGroup
            | Target::Rename { .. }
            | Target::Access { .. }
            | Target::Adopt(_) => None,
        };
        Performed {
            ix: job.ix,
            group_id,
            verdict: call.verdict,
            changes: call.changes,
            account: call.account,
            group: call.group,
        }
    }

    /// Whether the step's person was synced meanwhile, or is being synced. Asked after the intent is on disk: a person's
    /// sync claims first and looks for intents then, so that one of the two always sees the other.
    async fn overtaken(&self, job: &Job<'_>, run: &RunId, world: &World) -> Result<Overtaken, Failure> {
        let store = &self.ports.store;
        let overtaken = match (&world.own, world.since, job.step.action.person()) {
            // Somebody's own sync that slept too long has lost its claim to another.
            (Some(own), _, _) => {
                let holder = store.claimed_by(&self.connection, own).await?;
                if holder.as_ref() == Some(run) { Overtaken::No } else { Overtaken::Yes }
            }
            (None, Some(since), Some(person)) => {
                let (user, account) = (person.directory_id.as_ref(), person.site_id.as_ref());
                store.overtaken(&self.connection, user, account, since).await?
            }
            _ => Overtaken::No,
        };
        if overtaken == Overtaken::Yes {
            let end = StepEnd {
                step: job.id.clone(),
                outcome: Outcome::NotDone,
                attempts: 0,
                answer: "left to the sync of this person, made meanwhile".into(),
                at: self.ports.clock.now(),
                changes: Vec::new(),
                audit: None,
            };
            store.settle(run, &end).await?;
        }
        Ok(overtaken)
    }

    /// What the next runs should know of this step.
    fn remember_of(&self, job: &Job<'_>, call: &Call, world: &World) -> Vec<MemoryChange> {
        let (memory, now) = (&world.memory, self.ports.clock.now());
        let mark = |mark| MemoryChange::MarkStep { step: job.id.clone(), mark };
        let unmark = |kind: &MarkKind| {
            memory
                .mark(&job.id, *kind)
                .map(|_| MemoryChange::UnmarkStep { step: job.id.clone(), mark: *kind })
        };
        match &call.verdict {
            Verdict::Done => {
                let over = [MarkKind::Refused, MarkKind::RuleChange, MarkKind::LeftOut];
                let mut changes: Vec<_> = over.iter().filter_map(unmark).collect();
                // This very run may have marked it, which is not in the world yet
                if gives_once(job.step) {
                    changes.push(MemoryChange::UnmarkStep { step: job.id.clone(), mark: MarkKind::Owed });
                }
                if let (StepKind::CreateUser, Some(person)) =
                    (job.step.action.kind(), job.step.action.person())
                {
                    changes.extend(person.directory_id.iter().flat_map(|user| owed(&self.rules, user)));
                }
                if call.outcome == Outcome::Done && is_flip(job.step, memory) {
                    changes.push(mark(Mark::flipped_again(memory.mark(&job.id, MarkKind::Flipped), now)));
                }
                changes.extend(out_of_line(job.step, world, &self.rules.products));
                changes
            }
            Verdict::Failed(failure) if gives_once(job.step) && refused(failure) => {
                let after = Mark::owed_after_refusal(memory.mark(&job.id, MarkKind::Owed));
                let given_up = MemoryChange::UnmarkStep { step: job.id.clone(), mark: MarkKind::Owed };
                vec![after.map_or(given_up, mark)]
            }
            // Seats that are used up, and what is protected, are nobody's fault and have rules of their own.
            Verdict::Failed(failure)
                if failure.class == FailureClass::Object
                    && !matches!(
                        failure.code,
                        FailureCode::SiteSeatsExhausted | FailureCode::SiteProtected | FailureCode::Internal
                    ) =>
            {
                let before = memory.mark(&job.id, MarkKind::Refused);
                let (reason, remedy) = (failure.message.clone(), failure.remedy.clone());
                vec![mark(Mark::refused_again(before, now, reason, remedy))]
            }
            _ => Vec::new(),
        }
    }

    async fn invite(&self, job: &Job<'_>, stop: &CancellationToken, world: &World) -> Call {
        let Action::CreateUser { person, address } = &job.step.action else {
            return Call::failed(0, unidentified());
        };
        let Some(user) = &person.directory_id else { return Call::failed(0, unidentified()) };
        let (account, how) = match self.ports.site.invite(address, &self.rules.products).await {
            Ok(account) => (account, "invited"),
            Err(failure) if failure.class == FailureClass::Unclear => {
                match self.await_account(address, &person.name, self.options.patience, stop).await {
                    Ok(Some(account)) => (account, "invited; the answer was lost, the account was found"),
                    Ok(None) => return Call::open(1, not_seen(&failure, "an invitation may have been sent")),
                    Err(broken) => return Call::open(1, broken),
                }
            }
            Err(failure) => return Call::failed(1, failure),
        };
        if account.kind != AccountKind::Person || owner(world, &account, user).is_some() {
            let other = owner(world, &account, user);
            let whose = other.map_or_else(
                || "not a person's".to_owned(),
                |other| format!("linked to the directory user {other}"),
            );
            return Call::failed(
                1,
                Failure::new(
                    FailureCode::SiteRefused,
                    FailureClass::Object,
                    format!("the address leads to the account {}, which is {whose}", account.id),
                    "give the person an address of their own, or unlink the other",
                ),
            );
        }
        let before = world.site.account(&account.id).is_some();
        let place = world.memory.on_ladder(user).filter(|place| place.account == account.id);
        // Whom Entrain took off the site, it brings back; the account is as much its own as it was before.
        let back = place.is_some_and(|place| place.took(Measure::Remove));
        let known = world.memory.user(user).filter(|link| link.account == account.id);
        let (origin, outcome, how) = match known {
            Some(link) if back => (link.origin, Outcome::Done, "invited again"),
            _ if before && !job.reopened => {
                (Origin::Found, Outcome::AlreadyDone, "the account existed already")
            }
            _ => (Origin::Created, Outcome::Done, how),
        };
        let mut changes = vec![link_user(user, &account, address, origin)];
        changes
            .extend(world.memory.on_ladder(user).into_iter().flat_map(|place| place.after(WayBack::Invite)));
        let mut call = Call::done(outcome, 1, format!("{how}: account {}", account.id), changes);
        call.account = Some(account);
        call
    }

    async fn create_group(&self, job: &Job<'_>, world: &World) -> Call {
        let Action::CreateGroup { group: wanted } = &job.step.action else {
            return Call::failed(0, unidentified());
        };
        let made = |group: SiteGroup, answer: String| {
            let change = link_group(&wanted.anchor, &group, Origin::Created);
            let mut call = Call::done(Outcome::Done, 1, answer, vec![change]);
            call.group = Some(group);
            call
        };
        let failure = match self.ports.site.create_group(&wanted.name).await {
            Ok(group) => {
                let answer = format!("created: group {}", group.id);
                return made(group, answer);
            }
            Err(failure) => failure,
        };
        let lost = failure.class == FailureClass::Unclear;
        let ours = job.reopened && failure.code == FailureCode::SiteNameTaken;
        if !lost && !ours {
            return Call::failed(1, failure);
        }
        let found = match self.await_group(&wanted.name).await {
            Ok(found) => found,
            Err(broken) => return Call::open(1, broken),
        };
        match found {
            // There before: whatever became of the call, this one is somebody else's.
            Some(group) if world.site.group(&group.id).is_some() => Call::failed(1, failure),
            Some(group) => match self.is_empty(&group).await {
                Ok(true) => {
                    let answer = format!("created; the answer was lost, the group was found: {}", group.id);
                    made(group, answer)
                }
                Ok(false) => Call::failed(1, failure),
                Err(broken) => Call::open(1, broken),
            },
            None => Call::open(1, not_seen(&failure, "the group may have been created")),
        }
    }

    async fn update(
        &self,
        account: &AccountId,
        update: &Update,
        fresh: bool,
        stop: &CancellationToken,
        world: &World,
    ) -> Call {
        let site = &self.ports.site;
        let mut lag = LAG.into_iter();
        let (mut attempts, mut unclear) = (0, false);
        loop {
            attempts += 1;
            let (sent, values) = match update {
                Update::Profile { set, .. } => {
                    let mut values = world.memory.applied_profile(account).cloned().unwrap_or_default();
                    values.extend(set.clone());
                    (site.set_profile(account, set).await, AppliedValues::Profile { values })
                }
                Update::Property { key, values, .. } => {
                    let applied = AppliedValues::Property { key: key.clone(), values: values.clone() };
                    (site.set_property(account, key, values).await, applied)
                }
            };
            match sent {
                Ok(()) => {
                    let answer = format!("written: {}", update.changed().join(", "));
                    let change = MemoryChange::ApplyAttributes { account: account.clone(), values };
                    return Call::done(Outcome::Done, attempts, answer, vec![change]);
                }
                Err(failure) if failure.class == FailureClass::Unclear && !unclear => unclear = true,
                Err(failure) if failure.class == FailureClass::Unclear => {
                    return Call::open(attempts, not_seen(&failure, "the attributes may have been written"));
                }
                Err(failure) if fresh && failure.code == FailureCode::SiteObjectUnknown => match lag.next() {
                    Some(pause) if self.pause(pause, stop).await => {}
                    _ => return Call::failed(attempts, not_known_yet(&failure)),
                },
                Err(failure) => {
                    return Call::failed(
                        attempts,
                        match update {
                            Update::Profile { .. } => beside_the_site(failure),
                            Update::Property { .. } => failure,
                        },
                    );
                }
            }
        }
    }

    async fn rename(
        &self,
        job: &Job<'_>,
        group: &SiteGroup,
        name: &std::sync::Arc<str>,
        world: &World,
    ) -> Call {
        let Action::RenameGroup { group: wanted, .. } = &job.step.action else {
            return Call::failed(0, unidentified());
        };
        let mut attempts = 0;
        let failure = loop {
            attempts += 1;
            match self.ports.site.rename_group(group, name).await {
                Ok(()) => {
                    let origin =
                        world.memory.anchored(&wanted.anchor).map_or(Origin::Found, |link| link.origin);
                    let renamed = SiteGroup { id: group.id.clone(), name: name.clone() };
                    let change = link_group(&wanted.anchor, &renamed, origin);
                    let answer = format!("renamed: group {}", group.id);
                    let mut call = Call::done(Outcome::Done, attempts, answer, vec![change]);
                    call.group = Some(renamed);
                    return call;
                }
                Err(failure) if failure.class == FailureClass::Unclear && attempts == 1 => {}
                Err(failure) => break failure,
            }
        };
        match failure.class {
            FailureClass::Unclear => {
                Call::open(attempts, not_seen(&failure, "the group may have been renamed"))
            }
            _ => Call::failed(attempts, beside_the_site(failure)),
        }
    }

    async fn add(
        &self,
        job: &Job<'_>,
        group: &SiteGroup,
        account: &AccountId,
        fresh: bool,
        stop: &CancellationToken,
    ) -> Call {
        let given = gives_once(job.step);
        let own = |origin| {
            let path = job.step.reason.path().cloned();
            let (group, account) = (group.id.clone(), account.clone());
            if given {
                Vec::new()
            } else {
                vec![MemoryChange::OwnMembership { group, account, origin, path }]
            }
        };
        let mut lag = LAG.into_iter();
        let mut attempts = 0;
        let mut unclear = false;
        loop {
            attempts += 1;
            match self.ports.site.add_member(group, account).await {
                Ok(Added::Now) => return Call::done(Outcome::Done, attempts, "added", own(Origin::Created)),
                // It was no member when this was planned, so the lost call, or the killed run's, was the one.
                Ok(Added::Already) if unclear || job.reopened => {
                    let answer = "added; an earlier answer was lost, the repetition found it done";
                    return Call::done(Outcome::Done, attempts, answer, own(Origin::Created));
                }
                Ok(Added::Already) => {
                    return Call::done(
                        Outcome::AlreadyDone,
                        attempts,
                        "was a member already",
                        own(Origin::Found),
                    );
                }
                Err(failure) if failure.class == FailureClass::Unclear => {
                    if unclear {
                        return Call::open(
                            attempts,
                            not_seen(&failure, "the membership may have been added"),
                        );
                    }
                    unclear = true;
                }
                Err(failure) if fresh && failure.code == FailureCode::SiteObjectUnknown => match lag.next() {
                    Some(pause) if self.pause(pause, stop).await => {}
                    _ => return Call::failed(attempts, not_known_yet(&failure)),
                },
                // A definite refusal after a lost answer says nothing about the lost call.
                Err(failure) if unclear => return Call::open(attempts, failure),
                Err(failure) => return Call::failed(attempts, failure),
            }
        }
    }

    async fn remove(&self, job: &Job<'_>, group: &SiteGroup, account: &AccountId) -> Call {
        let change = MemoryChange::DisownMembership { group: group.id.clone(), account: account.clone() };
        let mut attempts = 0;
        let mut unclear = false;
        loop {
            attempts += 1;
            match self.ports.site.remove_member(group, account).await {
                Ok(Removed::Now) => return Call::done(Outcome::Done, attempts, "removed", vec![change]),
                Ok(Removed::Already) if unclear || job.reopened => {
                    let answer = "removed; an earlier answer was lost, the repetition found it done";
                    return Call::done(Outcome::Done, attempts, answer, vec![change]);
                }
                Ok(Removed::Already) => {
                    return Call::done(
                        Outcome::AlreadyDone,
                        attempts,
                        "was no member any more",
                        vec![change],
                    );
                }
                Err(failure) if failure.class == FailureClass::Unclear => {
                    if unclear {
                        return Call::open(
                            attempts,
                            not_seen(&failure, "the membership may have been removed"),
                        );
                    }
                    unclear = true;
                }
                Err(failure) if unclear => return Call::open(attempts, failure),
                Err(failure) => return Call::failed(attempts, failure),
            }
        }
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// A rung of the leaver ladder, or the way back from one. Either ends in the same state however often it is made, so a
    /// lost answer is asked for once more.
    async fn change_access(&self, job: &Job<'_>, account: &AccountId, act: AccessAct, world: &World) -> Call {
        let Some(user) = job.step.action.person().and_then(|person| person.directory_id.clone()) else {
            return Call::failed(0, unidentified());
        };
        let (mut attempts, mut unclear) = (0, false);
        let changed = loop {
            attempts += 1;
            match self.ports.site.change_access(account, act).await {
                Ok(changed) => break changed,
                Err(failure) if failure.class == FailureClass::Unclear && !unclear => unclear = true,
                Err(failure) if failure.class == FailureClass::Unclear => {
                    return Call::open(attempts, not_seen(&failure, "the access may have been changed"));
                }
                // A definite refusal after a lost answer says nothing about the lost call.
                Err(failure) if unclear => return Call::open(attempts, failure),
                Err(failure) => return Call::failed(attempts, beside_the_site(failure)),
            }
        };
        let ours = changed == Changed::Now || unclear || job.reopened;
        let hand = if ours { Hand::Entrain } else { Hand::Other };
        let (word, changes) = match act {
            AccessAct::Take(measure) => {
                let word = match measure {
                    Measure::Suspend => "suspended",
                    Measure::Deactivate => "deactivated",
                    Measure::Remove => "removed",
                };
                (word, vec![MemoryChange::PassRung { user, measure, hand, at: self.ports.clock.now() }])
            }
            AccessAct::Back(from) => {
                let (word, way) = match from {
                    Reversible::Suspend => ("restored", WayBack::Restore),
                    Reversible::Deactivate => ("activated", WayBack::Reactivate),
                };
                let place = world.memory.on_ladder(&user);
                (word, place.into_iter().flat_map(|place| place.after(way)).collect())
            }
        };
        let (outcome, answer) = match (changed, ours) {
            (Changed::Now, _) => (Outcome::Done, word.to_owned()),
            (Changed::Already, true) => {
                (Outcome::Done, format!("{word}; an earlier answer was lost, the repetition found it done"))
            }
            (Changed::Already, false) => (Outcome::AlreadyDone, format!("was {word} already")),
        };
        let mut call = Call::done(outcome, attempts, answer, changes);
        call.account = world.site.account(account).map(|known| {
            let activity = match act {
                AccessAct::Take(_) => AccountActivity::Inactive,
                AccessAct::Back(_) => AccountActivity::Active,
            };
            Account { activity, ..known.clone() }
        });
        call
    }
}

/// Whether a step gives what newcomers are given once.
pub(super) fn gives_once(step: &Step) -> bool {
    step.action.group().is_some_and(|group| group.keeping == Keeping::Given)
        && step.action.kind() == StepKind::AddMember
}

/// Whether the site refused what newcomers are given, for good as far as it can be told: a seat may become free.
pub(super) fn refused(failure: &Failure) -> bool {
    failure.class == FailureClass::Object && failure.code != FailureCode::SiteSeatsExhausted
}

/// What somebody who was just invited is owed from now on: a run that ends here leaves it to the next one.
pub(crate) fn owed(rules: &Rules, user: &DirectoryUserId) -> Vec<MemoryChange> {
    if rules.memberships == Memberships::Leave {
        return Vec::new();
    }
    let step = |name: &String| StepId::of_member(&Anchor::named(name), user);
    let mark = |step| MemoryChange::MarkStep { step, mark: Mark::Owed { refused: 0 } };
    rules.defaults.newcomers.iter().map(step).map(mark).collect()
}

fn intent(step: &Step, target: &Target) -> Option<Intent> {
    Some(match (&step.action, target) {
        (Action::CreateUser { person, address }, Target::Invite) => Intent::CreateUser {
            user: person.directory_id.clone()?,
            address: address.clone(),
            name: person.name.to_string(),
        },
        (Action::CreateGroup { group }, Target::CreateGroup) => {
            Intent::CreateGroup { group: group.anchor.clone(), name: group.name.to_string() }
        }
        (Action::UpdateUser { person, .. }, Target::Update { account, update, .. }) => Intent::UpdateUser {
            user: person.directory_id.clone()?,
            account: account.clone(),
            update: (**update).clone(),
        },
        (Action::RenameGroup { group, .. }, Target::Rename { group: site, name }) => Intent::RenameGroup {
            group: group.anchor.clone(),
            site_group: site.id.clone(),
            before: site.name.to_string(),
            name: name.to_string(),
        },
        (Action::AdoptGroup { group, site_id }, Target::Adopt(_)) => Intent::AdoptGroup {
            group: group.anchor.clone(),
            site_group: site_id.clone(),
            name: group.name.to_string(),
        },
        (Action::AddMember { .. }, Target::Add { group, account, .. }) => {
            Intent::AddMember { group: group.id.clone(), account: account.clone() }
        }
        (Action::TakeRung { measure, person, departed }, Target::Access { .. }) => Intent::TakeRung {
            user: person.directory_id.clone()?,
            account: departed.account.clone(),
            measure: *measure,
            name: person.name.to_string(),
        },
        (Action::ComeBack { from, person, account }, Target::Access { .. }) => Intent::ComeBack {
            user: person.directory_id.clone()?,
            account: account.clone(),
            from: *from,
            name: person.name.to_string(),
        },
        (Action::RemoveMember { .. }, Target::Remove { group, account }) => {
            Intent::RemoveMember { group: group.id.clone(), account: account.clone() }
        }
        _ => return None,
    })
}

/// The organization plane is an addition: what it refuses altogether keeps no step of the site's from being done.
fn beside_the_site(failure: Failure) -> Failure {
    match failure.class {
        FailureClass::Connection => Failure { class: FailureClass::Object, ..failure },
        _ => failure,
    }
}

fn unidentified() -> Failure {
    Failure::new(
        FailureCode::Internal,
        FailureClass::Object,
        "the step does not say which object it is about",
        "please report this with the output of entrain plan --json",
    )
}

fn not_seen(failure: &Failure, what: &str) -> Failure {
    Failure::new(
        FailureCode::WriteUnclear,
        FailureClass::Unclear,
        format!("{what}, but its answer was lost ({}) and it does not show yet", failure.message),
        "nothing; the next run looks it up before anything is repeated",
    )
}

fn not_known_yet(failure: &Failure) -> Failure {
    Failure {
        remedy: "nothing; the site is slow to show what was just made, the next run goes on from here".into(),
        ..failure.clone()
    }
}
