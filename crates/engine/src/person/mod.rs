//! The sync of one person: the same planner, second opinion, guards and journal as a run over everything, over a reading
//! of this one person, beside whatever run is under way.
//!
//! The directory is asked for the person and every group they are in, the site for the account and its groups, side by
//! side; what is written follows, and the answer is given. Then it is read back. One after another that is three round
//! trips at most for somebody whose account is known (design.md 6).
//!
//! A person is claimed by themselves (`Store::claim_person`): two syncs of one person wait for each other, and a run over
//! everything leaves alone whoever was synced since it began to read. Groups are only made while no such run is under
//! way; they are never adopted or renamed here, and no rung of the leaver ladder is taken.

mod after;
mod asking;
mod outcome;
mod read;
mod turns;

use std::sync::Arc;

use entrain_domain::Failure;
use entrain_domain::model::EmailAddress;
use entrain_domain::plan::{Action, Approval, Plan, plan};
use entrain_domain::policy::Rules;
use entrain_domain::run::{Intent, Phase, RequestCounts, RunReport, RunSubject, Trigger};
use tokio_util::sync::CancellationToken;

use asking::Claimed;
pub(crate) use asking::asked;
pub use asking::unknown_person;
pub use outcome::{Access, NotEntitled, PersonOutcome};
use outcome::{access, nobody, waits};
pub use read::Warm;
pub use turns::{Turn, Turns, TurnsOptions};

use crate::apply::Applied;
use crate::error::EngineError;
use crate::ports::{ClaimError, Clock, Directory, Event, Ids, OpenIntent, PlannedRun, Progress, Site, Store};
use crate::recover::{Parked, Recovered};
use crate::report::{Draft, PlanDocument, end_note};
use crate::run::{Engine, Freshness, Only, Purpose, RunOptions, World, since};
use read::Seen;

/// The sync of one person, as asked for.
#[derive(Debug, Clone)]
pub struct PersonOrder {
    /// Object id, user principal name, address, or account id.
    pub who: String,
    /// The person's address, where the door knows it: their account is then looked for beside the reading of the
    /// directory. What the directory says goes before it.
    pub address: Option<EmailAddress>,
    /// What started it.
    pub trigger: Trigger,
    /// Who asked for it, for the audit log.
    pub by: String,
    /// What a person released.
    pub approval: Approval,
    /// Stops it at the next step boundary.
    pub stop: CancellationToken,
}

impl PersonOrder {
    /// An ordinary order: nothing released.
    pub fn new(who: impl Into<String>, trigger: Trigger) -> Self {
        Self {
            who: who.into(),
            address: None,
            trigger,
            by: "entrain".into(),
            approval: Approval::None,
            stop: CancellationToken::new(),
        }
    }
}

/// The end of a person's sync.
#[derive(Debug)]
pub struct PersonDone {
    /// What it came to.
    pub outcome: PersonOutcome,
    /// The report of its run, if there was one.
    pub report: Option<RunReport>,
}

/// A plan that stands, and what has to be kept in mind while it is done.
struct Planned<C> {
    plan: Plan,
    recovered: Recovered,
    /// The claim of the whole connection, where groups are made.
    whole: Option<C>,
    /// Whether an invitation of the person was left open.
    invited: bool,
}

fn holds_everything(plan: &Plan) -> bool {
    plan.held.iter().any(|held| held.guard.holds_everything())
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Syncs one person. `answered` is told what it came to as soon as everything is written, before it is read back.
    ///
    /// Fails when it could not begin or its end could not be stored, and when nobody is meant for certain; what goes
    /// wrong in between is in the outcome and in the report.
    pub async fn sync_person(
        &self,
        order: &PersonOrder,
        progress: &dyn Progress,
        answered: impl FnOnce(&PersonOutcome) + Send,
    ) -> Result<PersonDone, Failure> {
        let before = self.requests();
        if self.person_needs_two(order) {
            return Err(EngineError::OnePerson(self.connection.clone()).into());
        }
        let Some(user) = self.whom(&order.who).await? else {
            let outcome = nobody(None);
            answered(&outcome);
            return Ok(PersonDone { outcome, report: None });
        };
        let claimed = self.claim_person(user, order, progress).await?;
        let store = &self.ports.store;
        let started_at = self.ports.clock.now();
        let mut draft = Draft::new(claimed.run.clone(), order.trigger, started_at, Vec::new());
        let result = self.person_course(&claimed, &mut draft, order, progress, answered).await;
        let ended = match result {
            Ok(None) => Ok(PersonDone { outcome: nobody(Some(claimed.user.clone())), report: None }),
            Ok(Some(outcome)) => {
                let requests = since(before, self.requests());
                let report = draft.finish(&self.connection, requests, self.ports.clock.now());
                let ended = store.end_person(&report, end_note(&report), &claimed.user).await;
                ended.map(|()| PersonDone { outcome, report: Some(report) })
            }
            Err(failure) => Err(failure),
        };
        let released = match &ended {
            Ok(done) if done.report.is_some() => Ok(()),
            _ => store.release_person(&self.connection, &claimed.user, &claimed.run).await,
        };
        progress.report(Event::Phase(Phase::Ended));
        let ended = ended?;
        released?;
        Ok(ended)
    }

    /// Syncs one person for somebody who asks for it by name: beside whatever run is under way where that can be, and
    /// else, on a connection that was not read yet or whose rules have changed, by a run that reads everything and does
    /// what is about this person.
    ///
    /// # Errors
    /// As [`Engine::run`]; and when nobody bears the name.
    pub async fn sync_user(
        &self,
        who: &str,
        options: RunOptions,
        progress: &dyn Progress,
    ) -> Result<RunReport, Failure> {
        let head = self.ports.store.mirror_head(&self.connection).await?;
        let ready = head.is_some_and(|head| {
            let basis = self.basis(head.basis.full_at);
            head.basis.rules == basis.rules && head.basis.demand == basis.demand
        });
        if !ready || options.freshness == Freshness::Full {
            let options = RunOptions { purpose: Purpose::Only(Only::User(who.to_owned())), ..options };
            return self.run(options, progress).await;
        }
        let order = PersonOrder {
            approval: options.approval,
            by: options.by,
            stop: options.stop,
            ..PersonOrder::new(who, options.trigger)
        };
        let done = self.sync_person(&order, progress, |_| ()).await?;
        done.report.ok_or_else(|| unknown_person(who))
    }

    fn person_needs_two(&self, order: &PersonOrder) -> bool {
        order.approval != Approval::None && self.rules.approvers == entrain_domain::policy::Approvers::Two
    }

    /// Everything between claim and end; nothing when the directory does not know the person and nothing hangs on them.
    async fn person_course(
        &self,
        claimed: &Claimed,
        draft: &mut Draft,
        order: &PersonOrder,
        progress: &dyn Progress,
        answered: impl FnOnce(&PersonOutcome) + Send,
    ) -> Result<Option<PersonOutcome>, Failure> {
        let store = &self.ports.store;
        progress.report(Event::Phase(Phase::Reading));
        let (dead, left) = self.wait_for_calls(claimed, order).await?;
        let seen = self.read_person(claimed, order).await;
        if let Ok(Seen::Nobody) = seen {
            answered(&nobody(Some(claimed.user.clone())));
            return Ok(None);
        }
        let subject = RunSubject::Person(claimed.user.clone());
        let mut outcome = PersonOutcome {
            run: Some(draft.run.clone()),
            user: Some(claimed.user.clone()),
            name: None,
            access: Access::Waits { reason: String::new(), remedy: String::new() },
        };
        let planned = match seen {
            Ok(Seen::World(mut world, rules)) => {
                let planned = self.plan_person(claimed, draft, &mut world, (&rules, dead, left), order).await;
                planned.map(|planned| Ok((world, rules, planned)))
            }
            Ok(Seen::Waits(aside)) => Ok(Err(aside)),
            Ok(Seen::Nobody) => return Ok(None),
            Err(failure) => Err(failure),
        };
        let (mut world, rules, mut planned) = match planned {
            Ok(Ok(planned)) => planned,
            not => {
                store
                    .begin_about(&draft.run, &self.connection, draft.trigger, &subject, draft.started_at)
                    .await?;
                progress.report(Event::Began { run: draft.run.clone() });
                match not {
                    Ok(Err(aside)) => {
                        let (reason, remedy) = (aside.reason.clone(), aside.remedy.clone());
                        outcome.access = Access::Waits { reason, remedy };
                        draft.set_aside.push(aside);
                    }
                    Err(failure) => {
                        outcome.access = waits(&failure);
                        draft.fail(failure);
                    }
                    Ok(Ok(_)) => {}
                }
                answered(&outcome);
                return Ok(Some(outcome));
            }
        };
        outcome.name = world.directory.snapshot.user(&claimed.user).map(|user| Arc::from(user.label()));
        draft.take_plan(&planned.plan);
        let document =
            PlanDocument::of(&planned.plan, &self.connection, &self.rules, RequestCounts::default()).text();
        let writes = planned.plan.open_steps().next().is_some() && !holds_everything(&planned.plan);
        let phase = if writes { Phase::Applying } else { Phase::Planned };
        let begun =
            PlannedRun { run: &draft.run, subject: &subject, trigger: draft.trigger, at: draft.started_at };
        store.begin_planned(&self.connection, begun, phase, &document).await?;
        progress.report(Event::Began { run: draft.run.clone() });
        let written = self.write_person(draft, &mut world, &mut planned, order, progress).await;
        let applied = match written {
            Ok(applied) => {
                outcome.access = access(&claimed.user, draft, &world, &rules);
                Some(applied)
            }
            Err(failure) => {
                outcome.access = waits(&failure);
                draft.fail(failure);
                None
            }
        };
        answered(&outcome);
        if let Some(applied) = applied.filter(Applied::touched) {
            let verifying = Some(&draft.run);
            if let Err(failure) = self.put_into_mirror(verifying, &world, &planned.plan, &applied).await {
                draft.fail(failure);
                return Ok(Some(outcome));
            }
            progress.report(Event::Phase(Phase::Verifying));
            if let Err(failure) =
                self.read_person_back(claimed, draft, &mut world, &rules, &applied, order).await
            {
                draft.incomplete();
                draft.error = Some(failure);
            }
        }
        Ok(Some(outcome))
    }

    /// Settles what dead syncs left open, and plans.
    async fn plan_person(
        &self,
        claimed: &Claimed,
        draft: &mut Draft,
        world: &mut World,
        (rules, dead, left): (&Rules, Vec<OpenIntent>, Vec<OpenIntent>),
        order: &PersonOrder,
    ) -> Result<Planned<T::Claim>, Failure> {
        // Invitations are looked up by runs over everything, with patience.
        let invited = |open: &OpenIntent| matches!(&open.entry.intent, Intent::CreateUser { user, .. } if *user == claimed.user);
        let invited = dead.iter().chain(&left).any(invited);
        let recovered = self.recover_memberships(world, draft, Recovered::of(dead)).await?;
        let mut plan = self.plan_and_reserve(world, rules, order.approval).await?;
        let makes_groups =
            |plan: &Plan| plan.open_steps().any(|step| matches!(step.action, Action::CreateGroup { .. }));
        // Groups are made under the claim of the whole connection, like in any run.
        let mut whole = None;
        if makes_groups(&plan) {
            match self.ports.store.claim(&self.connection, &self.holder).await {
                Ok(claim) => whole = Some(claim),
                Err(ClaimError::Failed(failure)) => return Err(failure),
                Err(ClaimError::Busy(_)) => {
                    let why = "the group is not on the site yet, and a run over everything is under way";
                    let aside = plan.leave_out_new_groups(rules, why);
                    plan.set_aside.extend(aside);
                }
            }
        }
        if whole.is_some() && self.groups_are_there(&plan).await? {
            let aside =
                plan.leave_out_new_groups(rules, "a group of its name has come to the site meanwhile");
            plan.set_aside.extend(aside);
        }
        Ok(Planned { plan, recovered, whole, invited })
    }

    /// Does what no guard holds.
    async fn write_person(
        &self,
        draft: &mut Draft,
        world: &mut World,
        planned: &mut Planned<T::Claim>,
        order: &PersonOrder,
        progress: &dyn Progress,
    ) -> Result<Applied, Failure> {
        let Planned { plan, recovered, whole, invited } = planned;
        let open = plan.open_steps().count();
        progress.report(Event::Planned { steps: open, held: plan.steps.len() - open });
        if holds_everything(plan) {
            return Ok(Applied::default());
        }
        if !plan.records.is_empty() {
            self.ports.store.learn_of_person(&self.connection, &plan.records).await?;
            for record in &plan.records {
                world.memory.apply(record);
            }
        }
        if open == 0 {
            return Ok(Applied::default());
        }
        Self::may_write(world, plan)?;
        if order.stop.is_cancelled() {
            return Err(crate::run::stopped());
        }
        recovered.park_invited(world, plan);
        let invitations = plan.open_steps().filter(|step| matches!(step.action, Action::CreateUser { .. }));
        recovered.parked.extend(invitations.filter(|_| *invited).map(|step| (step.id(), Parked::Invited)));
        progress.report(Event::Phase(Phase::Applying));
        let applied = self.apply(draft, world, plan, recovered, &order.stop, progress).await?;
        drop(whole.take());
        Ok(applied)
    }

    /// The plan for the person, with the second opinion's consent.
    fn person_plan(&self, world: &World, rules: &Rules, approval: Approval) -> Result<Plan, Failure> {
        let input = world.input(rules, approval);
        let plan = plan(&input);
        let findings = (self.second_opinion)(&input, &plan);
        if findings.is_empty() { Ok(plan) } else { Err(EngineError::Unsound(findings).into()) }
    }

    /// Whether the site has a group that would be made.
    async fn groups_are_there(&self, plan: &Plan) -> Result<bool, Failure> {
        for step in plan.open_steps() {
            if let Action::CreateGroup { group } = &step.action
                && !self.ports.site.find_groups(&group.name).await?.is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
