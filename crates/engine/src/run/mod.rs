//! One run as a resumable state machine: claim, read, settle what an earlier run left open, plan, verify, apply, read
//! back, report. Every passage is stored before the next begins, so that a run killed anywhere is taken up by the next
//! start under its own id: the journal is looked up first, then both sides are read afresh and planned afresh.
//!
//! How much is read is the `course`: everything, or from the mirrors of both sides what changed.

mod course;
mod onward;
mod read;
mod rule_change;

use std::time::Duration;

use entrain_domain::memory::MemoryChange;
use entrain_domain::plan::{Approval, Plan, PlanInput, SeatForecast, StepKind, plan};
use entrain_domain::run::{
    AuditNote, Decided, Decision, Phase, Relation, RequestCounts, RunReport, RunSubject, Trigger,
    parked_until,
};
use entrain_domain::verify::{Finding, verify};
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use course::Freshness;
use course::{Course, Left};
use onward::{Found, Quiet};
pub(crate) use read::{Asked, Reach, World, fold, side_by_side};

use crate::decide::HeldPlan;
use crate::error::EngineError;
use crate::ports::{
    ClaimError, Clock, Directory, Event, Ids, Learnt, Overtaken, Progress, Site, SiteState, Store,
    UnfinishedRun,
};
use crate::recover::Recovered;
use crate::report::{Draft, end_note, plan_document};
use crate::saved_plan::Expected;
use crate::undo::Undoing;
use entrain_domain::policy::{Approvers, Rules};

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

/// How hard an engine tries.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Calls in flight for each kind of step, and for reading members and look-ups. The client's budgets set the
    /// pace; this only has to be enough to fill them at the latency observed.
    pub in_flight: usize,
    /// How long a read may lag behind a write before the run says that it does not see it (atlassian-cloud.md 12.1:
    /// poll up to 60 s).
    pub patience: Duration,
    /// For how long after its answer was lost an invitation that nobody finds is not repeated.
    pub quarantine: Duration,
    /// Time between full reads of both sides.
    pub full_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            in_flight: 32,
            patience: Duration::from_mins(1),
            quarantine: Duration::from_mins(15),
            full_every: Duration::from_hours(24),
        }
    }
}

/// A wait for a reset looks at the clock this often: it may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// What runs that were ended for their dead process had done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abandoned {
    /// They had begun to write.
    WithCalls,
    /// Nothing.
    WithoutCalls,
}

/// What to do when another run holds the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Refuse, naming the holder.
    No,
    /// Wait this long, then refuse.
    For(Duration),
}

/// What a run is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Bringing the site in step.
    Sync,
    /// Doing a saved plan; a fresh one must equal it.
    Saved(Expected),
    /// Doing what guards held in an earlier run; a fresh plan must hold the same.
    Approval(HeldPlan),
    /// Taking back what an earlier run did.
    Undo(Undoing),
    /// Bringing one person, or one group with its members, in step, and nothing else.
    Only(Only),
}

/// Whom, or which group, somebody names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    /// A person: object id, user principal name, address, or account id.
    User(String),
    /// A group: id or name, on either side.
    Group(String),
}

impl Only {
    /// What stands in the record of the run.
    fn subject(&self) -> RunSubject {
        match self {
            Self::User(text) => RunSubject::Asked(format!("user {text}")),
            Self::Group(text) => RunSubject::Asked(format!("group {text}")),
        }
    }
}

impl Purpose {
    /// What is taken back, if anything is.
    pub(crate) fn undoing(&self) -> Option<&Undoing> {
        match self {
            Self::Undo(undoing) => Some(undoing),
            Self::Approval(held) => held.undoing.as_ref(),
            Self::Sync | Self::Saved(_) | Self::Only(_) => None,
        }
    }

    /// What a run for this is to an earlier one.
    fn relation(&self) -> Option<Relation> {
        match self {
            Self::Approval(held) => Some(Relation::Approves(held.run.clone())),
            Self::Undo(undoing) => Some(Relation::Undoes(undoing.run.clone())),
            Self::Sync | Self::Saved(_) | Self::Only(_) => None,
        }
    }
}

/// One run, as asked for.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// What started it.
    pub trigger: Trigger,
    /// What a person released.
    pub approval: Approval,
    /// How much is read.
    pub freshness: Freshness,
    /// What to do when another run is under way.
    pub wait: Wait,
    /// Who asked for it, for the audit log.
    pub by: String,
    /// What for.
    pub purpose: Purpose,
    /// Stops the run at the next step boundary.
    pub stop: CancellationToken,
}

impl RunOptions {
    /// An ordinary run: nothing released, no more read than needed, no waiting, no saved plan.
    pub fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            approval: Approval::None,
            freshness: Freshness::Incremental,
            wait: Wait::No,
            by: "entrain".into(),
            purpose: Purpose::Sync,
            stop: CancellationToken::new(),
        }
    }
}

/// A plan that was made and not applied.
#[derive(Debug)]
pub struct Preview {
    /// The plan.
    pub plan: Plan,
    /// Requests that reading took.
    pub requests: RequestCounts,
    /// The plan as JSON, as the contract has it.
    pub document: serde_json::Value,
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
        let course = self.course(freshness).await?;
        let plan = match self.read(course, progress).await? {
            Found::Nothing(_) => Plan::nothing(&self.rules),
            Found::World(mut world) => {
                self.see_invited(&mut world, Duration::ZERO, &CancellationToken::new()).await?;
                self.read_rest(&mut world).await?;
                self.make_sure(&mut world).await?;
                self.mark_rule_change(&mut world).await?;
                self.seated_plan(&mut world, &Purpose::Sync, approval).await?
            }
        };
        let requests = since(before, self.requests());
        let document = plan_document(&plan, &self.connection, &self.rules, requests);
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
            Purpose::Sync => self.course(freshness).await?,
            // Who is meant is known when both sides have been looked at.
            Purpose::Only(_) => match self.course(freshness).await? {
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

    /// The run that a killed process left, if it is one that goes on. What a person asked for by name is not gone on
    /// with unasked: such a run is ended here, and asked for again.
    async fn left_to_finish(&self) -> Result<Option<UnfinishedRun>, Failure> {
        while let Some(left) = self.ports.store.unfinished(&self.connection).await? {
            if !matches!(left.trigger, Trigger::Approval | Trigger::Undo) {
                return Ok(Some(left));
            }
            let mut draft = Draft::new(left.id, left.trigger, left.started_at, left.journal);
            draft.count_earlier();
            draft.fail(stopped());
            let report = draft.finish(&self.connection, RequestCounts::default(), self.ports.clock.now());
            self.ports.store.end(&report, end_note(&report)).await?;
        }
        Ok(None)
    }

    /// Ends runs about one person or one group whose process is gone; what they left open is looked up like any other.
    async fn end_abandoned(&self) -> Result<Abandoned, Failure> {
        let mut abandoned = Abandoned::WithoutCalls;
        for left in self.ports.store.abandoned(&self.connection).await? {
            if !left.journal.is_empty() {
                abandoned = Abandoned::WithCalls;
            }
            let mut draft = Draft::new(left.id, left.trigger, left.started_at, left.journal);
            draft.count_earlier();
            draft.fail(stopped());
            let report = draft.finish(&self.connection, RequestCounts::default(), self.ports.clock.now());
            self.ports.store.end(&report, end_note(&report)).await?;
        }
        Ok(abandoned)
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

    /// Claims the connection, no earlier than a used-up quota allows.
    async fn claim_once_resumed(
        &self,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<T::Claim, Failure> {
        let mut told = None;
        loop {
            // Nobody is kept out meanwhile: the claim is made anew after each pause
            let claim = self.claim(options, progress).await?;
            let Some(resume_at) = self.parked_until().await? else { return Ok(claim) };
            drop(claim);
            if options.wait == Wait::No {
                return Err(EngineError::Parked { connection: self.connection.clone(), resume_at }.into());
            }
            if told.replace(resume_at) != Some(resume_at) {
                progress.report(Event::Waiting { what: format!("the reset of a quota at {resume_at}") });
            }
            let left = resume_at.duration_since(self.ports.clock.now());
            let left = Duration::try_from(left).unwrap_or_default() + Duration::from_millis(1);
            if !self.pause(left.min(LONGEST_SLEEP), &options.stop).await {
                return Err(stopped());
            }
        }
    }

    /// Until when the last run parked the connection, if it is not over yet.
    async fn parked_until(&self) -> Result<Option<Timestamp>, Failure> {
        let last = self.ports.store.last_report(&self.connection).await?;
        Ok(parked_until(last.and_then(|report| report.resume_at), self.ports.clock.now()))
    }

    /// Refuses what would only spend a request that is going to be refused.
    async fn not_parked(&self) -> Result<(), Failure> {
        match self.parked_until().await? {
            Some(resume_at) => {
                Err(EngineError::Parked { connection: self.connection.clone(), resume_at }.into())
            }
            None => Ok(()),
        }
    }

    async fn claim(&self, options: &RunOptions, progress: &dyn Progress) -> Result<T::Claim, Failure> {
        let patience = match options.wait {
            Wait::No => Duration::ZERO,
            Wait::For(time) => time,
        };
        let mut waited = Duration::ZERO;
        loop {
            match self.ports.store.claim(&self.connection, &self.holder).await {
                Ok(claim) => return Ok(claim),
                Err(ClaimError::Failed(failure)) => return Err(failure),
                Err(ClaimError::Busy(busy)) if waited >= patience => {
                    return Err(EngineError::Busy {
                        connection: self.connection.clone(),
                        holder: busy.holder,
                    }
                    .into());
                }
                Err(ClaimError::Busy(busy)) => {
                    progress.report(Event::Waiting { what: format!("another run to end: {}", busy.holder) });
                    let pause = Duration::from_secs(1).min(patience.saturating_sub(waited));
                    if !self.pause(pause, &options.stop).await {
                        return Err(stopped());
                    }
                    waited += pause;
                }
            }
        }
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
        let recovered = self.recover_creations(&mut world, draft, &options.stop, progress).await?;
        let patience = if draft.resumed { self.options.patience } else { Duration::ZERO };
        self.see_invited(&mut world, patience, &options.stop).await?;
        until_stopped(&options.stop, async {
            self.read_rest(&mut world).await?;
            if let Some(undoing) = options.purpose.undoing() {
                self.read_what_is_undone(&mut world, undoing).await?;
            }
            self.make_sure(&mut world).await
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
            plan_document(&plan, &self.connection, &self.rules, RequestCounts::default()).to_string();
        store.phase(&draft.run, Phase::Planned, Some(&document)).await?;
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

    /// Does the part of a plan that was asked for. The mirrors stay where they are, so that the next run over everything
    /// sees whatever else has changed; only what was written is put into them.
    async fn write_asked(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let store = &self.ports.store;
        let mut records = Vec::with_capacity(plan.records.len());
        for record in &plan.records {
            let account = match record {
                MemoryChange::OwnMembership { account, .. }
                | MemoryChange::DisownMembership { account, .. } => Some(account),
                _ => None,
            };
            let passed = match (account, world.since) {
                (Some(account), Some(since)) => {
                    store.overtaken(&self.connection, None, Some(account), since).await?
                }
                _ => Overtaken::No,
            };
            if passed == Overtaken::No {
                records.push(record.clone());
            }
        }
        if !records.is_empty() {
            store.remember(&self.connection, &records).await?;
        }
        for record in &records {
            world.memory.apply(record);
        }
        if plan.open_steps().next().is_none() {
            return Ok(());
        }
        Self::may_write(world, plan)?;
        self.write(draft, world, plan, recovered, options, progress).await
    }

    /// Groups that persons' syncs wrote meanwhile are not as this run read them: the next run reads them again.
    async fn forget_written_beside(&self, world: &mut World) -> Result<(), Failure> {
        let Some(since) = world.since else { return Ok(()) };
        for group in self.ports.store.written_beside(&self.connection, since).await? {
            world.site.forget_members(&group);
        }
        Ok(())
    }

    /// The end of a run that found nothing changed since one that converged: what that one said still stands.
    async fn nothing_changed(&self, draft: &mut Draft, quiet: Quiet) -> Result<(), Failure> {
        draft.take_plan(&Plan::nothing(&self.rules));
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
        let course = match self.course(freshness).await? {
            Course::Onward { head, .. } => Course::Onward { head, left: Left::Something },
            Course::Full => Course::Full,
        };
        let mut world = match self.read(course, progress).await? {
            Found::World(world) => *world,
            Found::Nothing(_) => self.read_rolls(progress).await?,
        };
        self.see_invited(&mut world, Duration::ZERO, &CancellationToken::new()).await?;
        self.read_rest(&mut world).await?;
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

    /// Refuses to begin writing what the technical account has no right to write, where that is known for certain.
    pub(crate) fn may_write(world: &World, plan: &Plan) -> Result<(), Failure> {
        let standing = world.site.standing();
        for step in plan.open_steps() {
            match step.action.kind() {
                StepKind::CreateUser | StepKind::UpdateUser | StepKind::RemoveUser
                    if standing.administer == Some(false) =>
                {
                    return Err(EngineError::RightMissing("Administer Jira").into());
                }
                StepKind::CreateGroup | StepKind::AddMember | StepKind::RemoveMember
                    if standing.site_admin == Some(false) =>
                {
                    return Err(
                        EngineError::RightMissing("site administration, which writing groups needs").into()
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        if self.write_round(draft, world, plan, recovered, options, progress).await?.is_none() {
            return Ok(());
        }
        // What people changed by hand in groups that were remembered shows when they are read back; it is done at once.
        // An undo has read them all.
        let more = self.sound_plan(world, options.approval)?;
        draft.take_more(&more);
        if self.write_round(draft, world, &more, recovered, options, progress).await?.is_some() {
            draft.incomplete();
        }
        Ok(())
    }

    /// Does a plan and reads it back. Gives back what came to light by that.
    async fn write_round(
        &self,
        draft: &mut Draft,
        world: &mut World,
        plan: &Plan,
        recovered: &Recovered,
        options: &RunOptions,
        progress: &dyn Progress,
    ) -> Result<Option<Plan>, Failure> {
        let store = &self.ports.store;
        if options.stop.is_cancelled() {
            return Err(stopped());
        }
        store.phase(&draft.run, Phase::Applying, None).await?;
        progress.report(Event::Phase(Phase::Applying));
        let applied = self
            .apply(draft, world, plan, recovered, &options.stop, progress)
            .instrument(tracing::info_span!("apply"))
            .await?;
        if world.asked.is_some() {
            self.put_into_mirror(world, plan, &applied).await?;
        }
        if options.stop.is_cancelled() || draft.resume_at.is_some() {
            // Whatever was done: nothing has been read back, so nothing is said of it.
            draft.incomplete();
            for group in &applied.groups {
                world.site.forget_members(group);
            }
            return Ok(None);
        }
        self.expect_seats(world, plan, &applied);
        if !applied.touched() {
            if draft.overtaken.is_empty() {
                draft.incomplete();
            }
            if !applied.seatless.is_empty() {
                let fresh = self.plan_for(world, &options.purpose, options.approval)?;
                self.line_up(draft, world, &fresh).await?;
            }
            return Ok(None);
        }
        store.phase(&draft.run, Phase::Verifying, None).await?;
        progress.report(Event::Phase(Phase::Verifying));
        let reading = self.read_back(draft, world, (plan, &applied), options, progress);
        reading.instrument(tracing::info_span!("verify")).await
    }

    /// Notes that the run was stopped with so many steps untried.
    pub(crate) fn say_stopped(&self, draft: &mut Draft, left: usize) {
        draft.incomplete();
        draft.set_aside.push(entrain_domain::plan::SetAside {
            object: format!("connection “{}”", self.connection),
            reason: if left == 0 {
                "the run was stopped before anything was written".into()
            } else {
                format!("the run was stopped with {left} steps not tried")
            },
            remedy: "run again; the next run does what is left".into(),
        });
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
    use entrain_domain::run::RunStatus;

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
