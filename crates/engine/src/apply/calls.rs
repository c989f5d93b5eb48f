//! The calls themselves: what is sent for each kind of step, and what its answer means. An answer that does not come, or
//! that says nothing, is looked up at once; what cannot be found stays open.

use std::time::Duration;

use entrain_domain::memory::{AppliedValues, Hand, MemoryChange, Origin, WayBack};
use entrain_domain::model::{Account, AccountActivity, AccountId, AccountKind, SiteGroup};
use entrain_domain::plan::{Action, Reversible, Update};
use entrain_domain::policy::Measure;
use entrain_domain::run::Outcome;
use entrain_domain::{Failure, FailureClass, FailureCode};
use tokio_util::sync::CancellationToken;

use super::step::{Job, Verdict, gives_once};
use crate::ports::{AccessAct, Added, Changed, Clock, Directory, Ids, Removed, Site, Store};
use crate::recover::{link_group, link_user, owner};
use crate::run::{Engine, World};

/// How long a membership of an account or group made by this run is tried again while the site does not know it yet:
/// reads lag behind writes (atlassian-cloud.md 12.1).
const LAG: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// What a call came to.
pub(super) struct Call {
    pub(super) verdict: Verdict,
    pub(super) outcome: Outcome,
    pub(super) attempts: u32,
    pub(super) answer: String,
    pub(super) changes: Vec<MemoryChange>,
    pub(super) account: Option<Account>,
    pub(super) group: Option<SiteGroup>,
}

impl Call {
    pub(super) fn done(
        outcome: Outcome,
        attempts: u32,
        answer: impl Into<String>,
        changes: Vec<MemoryChange>,
    ) -> Self {
        let (answer, account, group) = (answer.into(), None, None);
        Self { verdict: Verdict::Done, outcome, attempts, answer, changes, account, group }
    }

    pub(super) fn failed(attempts: u32, failure: Failure) -> Self {
        let answer = format!("{}: {}", failure.code, failure.message);
        let verdict = Verdict::Failed(failure);
        let (changes, account, group) = (Vec::new(), None, None);
        Self { verdict, outcome: Outcome::Failed, attempts, answer, changes, account, group }
    }

    pub(super) fn open(attempts: u32, failure: Failure) -> Self {
        let mut call = Self::failed(attempts, failure);
        call.outcome = Outcome::Intent;
        if let Verdict::Failed(failure) = call.verdict {
            call.verdict = Verdict::Open(failure);
        }
        call
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    pub(super) async fn invite(&self, job: &Job<'_>, stop: &CancellationToken, world: &World) -> Call {
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

    pub(super) async fn create_group(&self, job: &Job<'_>, world: &World) -> Call {
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

    pub(super) async fn update(
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

    pub(super) async fn rename(
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

    pub(super) async fn add(
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

    pub(super) async fn remove(&self, job: &Job<'_>, group: &SiteGroup, account: &AccountId) -> Call {
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

    /// A rung of the leaver ladder, or the way back from one. Either ends in the same state however often it is made, so a
    /// lost answer is asked for once more.
    pub(super) async fn change_access(
        &self,
        job: &Job<'_>,
        account: &AccountId,
        act: AccessAct,
        world: &World,
    ) -> Call {
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

/// The organization plane is an addition: what it refuses altogether keeps no step of the site's from being done.
fn beside_the_site(failure: Failure) -> Failure {
    match failure.class {
        FailureClass::Connection => Failure { class: FailureClass::Object, ..failure },
        _ => failure,
    }
}

pub(super) fn unidentified() -> Failure {
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
