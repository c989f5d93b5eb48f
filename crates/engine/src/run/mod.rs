//! One run as a resumable state machine: claim, read, settle what an earlier run left open, plan, verify, apply, read
//! back, report. Every passage is stored before the next begins, so that a run killed anywhere is taken up by the next
//! start under its own id: the journal is looked up first, then both sides are read afresh and planned afresh.
//!
//! How much is read is the `course`: everything, or from the mirrors of both sides what changed.

mod claim;
mod course;
mod onward;
mod options;
mod read;
mod rule_change;
mod write;

use std::time::Duration;

use claim::Abandoned;
use course::{Asker, Course, Left};
use entrain_domain::memory::MemoryChange;
use entrain_domain::plan::{Approval, Plan, PlanInput, SeatForecast, plan};
use entrain_domain::policy::{Approvers, Rules};
use entrain_domain::run::{AuditNote, Decided, Decision, Phase, RequestCounts, RunReport};
use entrain_domain::verify::{Finding, verify};
use entrain_domain::{Failure, FailureClass, FailureCode};
use onward::{Found, Quiet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::error::EngineError;
use crate::ports::{Clock, Directory, Event, Ids, Learnt, Progress, Site, SiteState, Store};
use crate::report::{Draft, PlanDocument, end_note};

pub use course::Freshness;
pub use options::{Only, Options, Preview, Purpose, RunOptions, Wait};
pub(crate) use read::{Asked, Reach, World, fold, side_by_side};

/// What an engine works with.
#[derive(Debug)]
pub struct Ports<D, S, T, C, I> {
    /// The directory.
    pub directory: D,
    /// The site.
    pub site: S,
    /// What is remembered.
    pub store: T,
    /// Time.
    pub clock: C,
    /// Fresh ids.
    pub ids: I,
}

/// The engine of one connection.
#[derive(Debug)]
pub struct Engine<D, S, T, C, I> {
    pub(crate) ports: Ports<D, S, T, C, I>,
    pub(crate) rules: Rules,
    pub(crate) connection: String,
    pub(crate) holder: String,
    /// What tells the two sides of this connection from others, so that no mirror is taken for that of another tenant
    /// or site.
    pub(crate) place: String,
    pub(crate) options: Options,
    /// What persons' syncs share for a while.
    pub(crate) warm: crate::person::Warm,
    /// Always [`verify`], but for the test of what a finding does.
    pub(crate) second_opinion: fn(&PlanInput<'_>, &Plan) -> Vec<Finding>,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// The engine of a connection. `holder` is how its runs name themselves to others: host, process.
    pub fn new(ports: Ports<D, S, T, C, I>, rules: Rules, connection: String, holder: String) -> Self {
        let (place, options) = (String::new(), Options::default());
        let warm = crate::person::Warm::default();
        Self { ports, rules, connection, holder, place, options, warm, second_opinion: verify }
    }

    /// The same engine for these two sides: tenant and site, in words. What was remembered of others does not count.
    #[must_use]
    pub fn between(mut self, place: String) -> Self {
        self.place = place;
        self
    }

    /// The same engine with other options.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Reads both sides and plans; writes nothing, neither to the site nor to the store, and needs no claim.
    pub async fn preview(
        &self,
        approval: Approval,
        freshness: Freshness,
        progress: &dyn Progress,
    ) -> Result<Preview, Failure> {
        self.not_parked().await?;
        let before = self.requests();
        let course = self.course(freshness, Asker::Person).await?;
        let plan = match self.read(course, progress).await? {
            Found::Nothing(quiet) => Plan { set_aside: quiet.last.set_aside, ..Plan::nothing(&self.rules) },
            Found::World(mut world) => {
                self.see_invited(&mut world, Duration::ZERO, &CancellationToken::new()).await?;
                self.read_rest(&mut world, progress).await?;
                self.make_sure(&mut world, progress).await?;
                self.mark_rule_change(&mut world).await?;
                self.seated_plan(&mut world, &Purpose::Sync, approval).await?
            }
        };
        let requests = since(before, self.requests());
        let document = PlanDocument::of(&plan, &self.connection, &self.rules, requests).value();
        Ok(Preview { plan, requests, document })
    }

    /// One run. Fails only when it could not begin, or when its end could not be stored; whatever else goes wrong is
    /// in the report.
    pub async fn run(&self, options: RunOptions, progress: &dyn Progress) -> Result<RunReport, Failure> {
        let claim = self.claim_once_resumed(&options, progress).await?;
        let before = self.requests();
        let store = &self.ports.store;
        self.let_approve(&options)?;
        let freshness = match self.end_abandoned().await? {
            // What it wrote last may not stand in the site's mirror.
            Abandoned::WithCalls => Freshness::Full,
            Abandoned::WithoutCalls => options.freshness,
        };
        let gate = store.gate(&self.connection).await?;
        let course = match &options.purpose {
            Purpose::Saved(_) | Purpose::Approval(_) | Purpose::Undo(_) => Course::Full,
            Purpose::Sync => self.course(freshness, options.trigger.into()).await?,
            // Who is meant is known when both sides have been looked at.
            Purpose::Only(_) => match self.course(freshness, Asker::Person).await? {
                Course::Onward { head, .. } => Course::Onward { head, left: Left::Something },
                Course::Full => Course::Full,
            },
        };
        let last = store.last_report(&self.connection).await?;
        let left = match &options.purpose {
            // A killed run is gone on with by one that does everything.
            Purpose::Only(_) => None,
            _ => self.left_to_finish().await?,
        };
        let mut draft = if let Some(left) = left {
            tracing::info!(run = %left.id, phase = left.phase.as_str(), "taking up a run that was killed");
            Draft { resumed: true, ..Draft::new(left.id, left.trigger, left.started_at, left.journal) }
        } else {
            let (run, now) = (self.ports.ids.run_id(), self.ports.clock.now());
            match &options.purpose {
                Purpose::Only(only) => {
                    let subject = only.subject();
                    store.begin_about(&run, &self.connection, options.trigger, &subject, now).await?;
                }
                _ => store.begin(&run, &self.connection, options.trigger, now).await?,
            }
            if let Some(relation) = options.purpose.relation() {
                store.relate(&run, &relation).await?;
            }
            Draft::new(run, options.trigger, now, Vec::new())
        };
        progress.report(Event::Began { run: draft.run.clone() });
        draft.looked_at = last.as_ref().and_then(|report| report.left_to?.looked_at());
        draft.quarantine = last.and_then(|report| report.quarantine);
        draft.gate = Some(gate);
        // Of the level of errors, so that every line of the log about the run bears its id
        let span = tracing::error_span!(
            "run", connection = self.connection, run = %draft.run, trigger = options.trigger.as_str()
        );
        if let Err(failure) = self.go(&mut draft, course, &options, progress).instrument(span).await {
            if failure.code == FailureCode::Stopped {
                self.say_stopped(&mut draft, 0);
            } else if let Some(resume_at) = failure.resume_at {
                draft.park(&self.connection, &failure, resume_at, 0);
            } else {
                draft.fail(failure);
            }
        }
        let report = draft.finish(&self.connection, since(before, self.requests()), self.ports.clock.now());
        store.end(&report, end_note(&report)).await?;
        progress.report(Event::Phase(Phase::Ended));
        drop(claim);
        Ok(report)
    }

    /// Where the rules ask for two people, nobody releases anything alone.
    fn let_approve(&self, options: &RunOptions) -> Result<(), EngineError> {
        let alone = options.approval != Approval::None && !matches!(options.purpose, Purpose::Approval(_));
        if alone && self.rules.approvers == Approvers::Two {
            return Err(EngineError::OnePerson(self.connection.clone()));
        }
        Ok(())
    }

    /// Writes down that a person released what would have held the whole plan.
    async fn note_release(&self, draft: &Draft, plan: &Plan, options: &RunOptions) -> Result<(), Failure> {
        if plan.released.is_empty() || matches!(options.purpose, Purpose::Approval(_)) {
            return Ok(());
        }
        let released: Vec<String> =
            plan.released.iter().map(|held| format!("{}: {}", held.guard, held.reason)).collect();
        let (actor, at) = (options.by.clone(), self.ports.clock.now());
        let note = AuditNote {
            actor: actor.clone(),
            action: "plan_approved".into(),
            object: draft.run.to_string(),
            detail: released.join("; "),
        };
        let decided = Decided { actor, decision: Decision::Approved, at, part: None };
        self.ports.store.decide(&draft.run, &decided, note).await
    }

    /// Everything between a run's beginning and its end.
    async fn go(
        &self,
        draft: &mut Draft,
        course: Course,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let store = &self.ports.store;
        store.phase(&draft.run, Phase::Reading, None).await?;
        let mut world = match until_stopped(
            &options.stop,
            self.read(course, progress).instrument(tracing::info_span!("read")),
        )
        .await?
        {
            Found::Nothing(quiet) => return self.nothing_changed(draft, quiet).await,
            Found::World(world) => *world,
        };
        world.since = draft.gate;
        if world.reach != Reach::Checks {
            draft.looked_at = Some(world.now);
        }
        let recovered = self.recover_creations(&mut world, draft, &options.stop, progress).await?;
        let patience = if draft.resumed { self.options.patience } else { Duration::ZERO };
        self.see_invited(&mut world, patience, &options.stop).await?;
        until_stopped(&options.stop, async {
            self.read_rest(&mut world, progress).await?;
            if let Some(undoing) = options.purpose.undoing() {
                self.read_what_is_undone(&mut world, undoing, progress).await?;
            }
            self.make_sure(&mut world, progress).await
        })
        .await?;
        let mut recovered = self.recover_memberships(&mut world, draft, recovered).await?;
        if recovered.any() {
            world.history = store.history(&self.connection, self.ports.clock.now()).await?;
        }

        if let Purpose::Only(only) = &options.purpose {
            world.asked = Some(crate::person::asked(&world.input(&self.rules, Approval::None), only)?);
        }
        let mut remembered = match options.purpose.undoing() {
            Some(_) => Vec::new(),
            None => self.mark_rule_change(&mut world).await?,
        };
        let mut plan = self.seated_plan(&mut world, &options.purpose, options.approval).await?;
        match &options.purpose {
            Purpose::Sync | Purpose::Undo(_) | Purpose::Only(_) => {}
            Purpose::Saved(expected) => expected.met_by(&plan)?,
            Purpose::Approval(held) => {
                let unapproved = self.plan_for(&world, &options.purpose, Approval::None)?;
                held.still_held_by(&unapproved, &self.rules)?;
                if let Some(part) = held.part() {
                    let (part_plan, marks) =
                        self.plan_of_part(&mut world, part, &unapproved, options.approval)?;
                    plan = part_plan;
                    remembered.extend(marks);
                }
            }
        }
        recovered.park_invited(&world, &plan);
        draft.take_plan(&plan);
        self.note_release(draft, &plan, options).await?;
        let document =
            PlanDocument::of(&plan, &self.connection, &self.rules, RequestCounts::default()).text();
        store.phase(&draft.run, Phase::Planned, Some(document)).await?;
        let open = plan.open_steps().count();
        progress.report(Event::Planned { steps: open, held: plan.steps.len() - open });
        if plan.held.iter().any(|held| held.guard.holds_everything()) {
            // Nothing is learnt either: the guards of the next run must compare with what was, not with this.
            return Ok(());
        }

        if world.asked.is_some() {
            return self.write_asked(draft, &mut world, &plan, &recovered, options, progress).await;
        }
        if open == 0 {
            self.forget_written_beside(&mut world).await?;
        }
        let changes: Vec<MemoryChange> = remembered.into_iter().chain(plan.records.iter().cloned()).collect();
        let learnt = Learnt {
            changes: &changes,
            directory: &world.directory,
            site: &world.site,
            state: if open == 0 { SiteState::Settled } else { SiteState::Writing },
            basis: &world.basis,
            since: world.since,
        };
        store.learn(&self.connection, learnt).await?;
        world.site.stored();
        for change in &plan.records {
            world.memory.apply(change);
        }
        if open == 0 {
            return Ok(());
        }
        Self::may_write(&world, &plan)?;
        self.write(draft, &mut world, &plan, &recovered, options, progress).await?;
        self.forget_written_beside(&mut world).await?;
        // Until here the mirror says that writes may have followed which it does not have.
        store.learn_site(&self.connection, &world.site).await
    }

    /// The end of a run that found nothing changed since one that left nothing to do: what that one said still stands.
    async fn nothing_changed(&self, draft: &mut Draft, quiet: Quiet) -> Result<(), Failure> {
        draft.take_plan(&Plan::nothing(&self.rules));
        draft.set_aside = quiet.last.set_aside;
        draft.still = quiet.last.left_to;
        draft.seats = quiet
            .last
            .seats
            .into_iter()
            .map(|(product, seats)| (product, SeatForecast { before: seats.after, ..seats }))
            .collect();
        self.ports.store.advance(&self.connection, &quiet.watermark).await
    }

    /// Both sides for a question about them, with nothing written. Also when the directory has not changed: what people
    /// did on the site is part of the answer.
    pub(crate) async fn look(&self, freshness: Freshness, progress: &dyn Progress) -> Result<World, Failure> {
        self.not_parked().await?;
        let course = match self.course(freshness, Asker::Person).await? {
            Course::Onward { head, .. } => Course::Onward { head, left: Left::Something },
            Course::Full => Course::Full,
        };
        let mut world = match self.read(course, progress).await? {
            Found::World(world) => *world,
            Found::Nothing(_) => self.read_rolls(progress).await?,
        };
        self.see_invited(&mut world, Duration::ZERO, &CancellationToken::new()).await?;
        self.read_rest(&mut world, progress).await?;
        Ok(world)
    }

    /// The plan, with the second opinion's consent.
    pub(crate) fn sound_plan(&self, world: &World, approval: Approval) -> Result<Plan, Failure> {
        let input = world.input(&self.rules, approval);
        let plan = plan(&input);
        let findings = (self.second_opinion)(&input, &plan);
        if findings.is_empty() { Ok(plan) } else { Err(EngineError::Unsound(findings).into()) }
    }

    /// The plan of a run for this purpose; where somebody would have to wait for a seat, over what is read of those who
    /// have one.
    pub(crate) async fn seated_plan(
        &self,
        world: &mut World,
        purpose: &Purpose,
        approval: Approval,
    ) -> Result<Plan, Failure> {
        let planned =
            |world: &World| tracing::info_span!("plan").in_scope(|| self.plan_for(world, purpose, approval));
        let plan = planned(world)?;
        if self.read_seat_holders(world, &plan.waiting).await? {
            return planned(world);
        }
        Ok(plan)
    }

    /// The plan of a run for this purpose, with the second opinion's consent.
    pub(crate) fn plan_for(
        &self,
        world: &World,
        purpose: &Purpose,
        approval: Approval,
    ) -> Result<Plan, Failure> {
        match purpose.undoing() {
            Some(undoing) => self.sound_undo(world, undoing, approval),
            None => self.sound_plan(world, approval),
        }
    }

    /// Requests of both sides so far.
    pub(crate) fn requests(&self) -> RequestCounts {
        let (a, b) = (self.ports.directory.requests(), self.ports.site.requests());
        RequestCounts {
            directory: a.directory + b.directory,
            site: a.site + b.site,
            organization: a.organization + b.organization,
            throttled: a.throttled + b.throttled,
        }
    }
}

/// The requests between two readings of the meters.
pub(crate) fn since(before: RequestCounts, after: RequestCounts) -> RequestCounts {
    RequestCounts {
        directory: after.directory.saturating_sub(before.directory),
        site: after.site.saturating_sub(before.site),
        organization: after.organization.saturating_sub(before.organization),
        throttled: after.throttled.saturating_sub(before.throttled),
    }
}

pub(crate) fn stopped() -> Failure {
    Failure::new(
        FailureCode::Stopped,
        FailureClass::Local,
        "the run was stopped",
        "run again; the next run does what is left",
    )
}

/// Reading may be dropped anywhere: it has written nothing.
async fn until_stopped<O>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<O, Failure>>,
) -> Result<O, Failure> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(stopped()),
        result = work => result,
    }
}

#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
mod support;

#[cfg(test)]
mod tests {
    use super::support::{Fixture, Told};
    use super::*;
    use entrain_domain::run::{RunStatus, Trigger};

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_the_second_opinion_refuses_is_not_applied_and_nothing_is_learnt() {
        let fixture = Fixture::company();
        let mut engine = fixture.engine();
        engine.second_opinion = |_, plan| {
            vec![Finding {
                step: plan.steps.first().map(|step| step.id().to_string()),
                what: "spends a seat that is not there".into(),
            }]
        };
        let report = engine.run(RunOptions::new(Trigger::Manual), &Told::default()).await.unwrap();
        assert_eq!(report.status, RunStatus::Failed);
        let error = report.error.unwrap();
        assert_eq!(error.code, FailureCode::PlanUnsound);
        assert!(error.message.contains("spends a seat that is not there"), "{error}");
        assert_eq!(fixture.site.writes(), 0);
        assert!(fixture.store.state().watermark.is_none());
        assert!(engine.preview(Approval::None, Freshness::Incremental, &Told::default()).await.is_err());
        fixture.run().await;
        fixture.assert_in_step("the opinion mended").await;
    }
}
