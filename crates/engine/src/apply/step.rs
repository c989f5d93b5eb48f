//! One step: intent, call, outcome. What is repeated here, and what is only looked up, follows from what the site
//! documents as safe (atlassian-cloud.md 3.2 and 12): a membership may be repeated, an invitation and a new group may
//! not.

use entrain_domain::memory::{Anchor, GroupLink, Mark, MarkKind, MemoryChange, Origin};
use entrain_domain::model::{Account, AccountId, DirectoryUserId, RunId, SiteGroup, SiteGroupId};
use entrain_domain::plan::{Action, Keeping, Step, StepId, StepKind, Update, is_flip};
use entrain_domain::policy::{Memberships, Rules};
use entrain_domain::run::{AuditNote, Intent, Outcome, StepEnd};
use entrain_domain::{Failure, FailureClass, FailureCode};
use tokio_util::sync::CancellationToken;

use super::calls::{Call, unidentified};
use crate::ports::{AccessAct, Clock, Directory, Ids, Overtaken, Site, Store};
use crate::report::object_of;
use crate::run::{Engine, World};
use crate::seats::out_of_line;

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
