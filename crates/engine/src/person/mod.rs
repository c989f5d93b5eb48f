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

mod outcome;
mod read;
mod turns;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{
    Account, AccountId, DirectoryUserId, EmailAddress, PersonKey, PersonReading, Presence, RunId,
    SiteGroupId, SiteMembers,
};
use entrain_domain::plan::{Action, Approval, Person, Plan, PlanInput, SetAside, plan};
use entrain_domain::policy::Rules;
use entrain_domain::run::{Intent, Phase, RequestCounts, RunReport, RunSubject, Trigger};
use entrain_domain::{Failure, FailureClass, FailureCode};
use tokio_util::sync::CancellationToken;

pub use outcome::{Access, NotEntitled, PersonOutcome};
use outcome::{access, nobody, waits};
pub use read::Warm;
pub use turns::{Turn, Turns, TurnsOptions};

use crate::apply::Applied;
use crate::error::EngineError;
use crate::explain::{which, whom};
use crate::ports::{
    ClaimError, Clock, Directory, Event, Ids, OpenIntent, PersonClaim, Progress, Site, Store,
};
use crate::recover::{Pauses, Recovered};
use crate::report::{Draft, end_note, plan_document};
use crate::run::{Asked, Engine, Freshness, Only, Purpose, RunOptions, World, since};
use read::Seen;

/// How long another sync of the same person is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a claim lasts when its process dies.
const CLAIM: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
/// How long calls of another run about the same person are waited for: each ends in its own time.
const UNDER_WAY: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long the site is read for what was written, after the answer.
const READ_BACK: Duration = Duration::from_secs(10);

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

/// Whom it is about, claimed.
struct Claimed {
    user: DirectoryUserId,
    run: RunId,
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
                store
                    .end(&report, end_note(&report))
                    .await
                    .map(|()| PersonDone { outcome, report: Some(report) })
            }
            Err(failure) => Err(failure),
        };
        let released = store.release_person(&self.connection, &claimed.user, &claimed.run).await;
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
        let left = self.wait_for_calls(claimed, order).await?;
        let seen = self.read_person(claimed, order).await;
        if let Ok(Seen::Nobody) = seen {
            answered(&nobody(Some(claimed.user.clone())));
            return Ok(None);
        }
        let subject = RunSubject::Person(claimed.user.clone());
        store.begin_about(&draft.run, &self.connection, draft.trigger, &subject, draft.started_at).await?;
        progress.report(Event::Began { run: draft.run.clone() });
        let mut outcome = PersonOutcome {
            run: Some(draft.run.clone()),
            user: Some(claimed.user.clone()),
            name: None,
            access: Access::Waits { reason: String::new(), remedy: String::new() },
        };
        let (mut world, rules) = match seen {
            Ok(Seen::World(world, rules)) => (world, rules),
            Ok(Seen::Waits(aside)) => {
                outcome.access = Access::Waits { reason: aside.reason.clone(), remedy: aside.remedy.clone() };
                draft.set_aside.push(aside);
                answered(&outcome);
                return Ok(Some(outcome));
            }
            Ok(Seen::Nobody) => return Ok(None),
            Err(failure) => {
                outcome.access = waits(&failure);
                draft.fail(failure);
                answered(&outcome);
                return Ok(Some(outcome));
            }
        };
        outcome.name = world.directory.snapshot.user(&claimed.user).map(|user| Arc::from(user.label()));
        let written = self.write_person(claimed, draft, &mut world, (&rules, &left), order, progress).await;
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
            store.phase(&draft.run, Phase::Verifying, None).await?;
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

    /// Who is meant, as a directory user; nobody when neither side knows the text.
    async fn whom(&self, text: &str) -> Result<Option<DirectoryUserId>, Failure> {
        let text = text.trim();
        if !text.contains('@') {
            let linked = self.ports.store.linked_by(&self.connection, text).await?;
            if let [one] = linked.as_slice() {
                return Ok(Some(one.clone()));
            }
            // Ids of the directory are written in lower case
            let guid = text.len() == 36 && text.split('-').count() == 5;
            let id = if guid { text.to_ascii_lowercase() } else { text.to_owned() };
            return Ok(DirectoryUserId::parse(id).ok());
        }
        let key = PersonKey::Name(text.to_owned());
        match self.ports.directory.person(&key, &self.rules.demand()).await? {
            PersonReading::Found(found) => Ok(Some(found.user.id)),
            PersonReading::Gone(user) => Ok(Some(user)),
            PersonReading::Several(ids) => Err(several(text, &ids)),
            // Somebody who left: the address under which the link was made.
            PersonReading::Unknown => {
                let linked = self.ports.store.linked_by(&self.connection, text).await?;
                match linked.as_slice() {
                    [] => Ok(None),
                    [one] => Ok(Some(one.clone())),
                    many => Err(several(text, many)),
                }
            }
        }
    }

    /// Claims the person, waiting for another sync of the same person to end.
    async fn claim_person(
        &self,
        user: DirectoryUserId,
        order: &PersonOrder,
        progress: &dyn Progress,
    ) -> Result<Claimed, Failure> {
        let (store, clock) = (&self.ports.store, &self.ports.clock);
        let run = self.ports.ids.run_id();
        let mut waited = Duration::ZERO;
        loop {
            let until = clock.now().checked_add(CLAIM).unwrap_or(jiff::Timestamp::MAX);
            match store.claim_person(&self.connection, &user, &run, until).await? {
                PersonClaim::Ours => return Ok(Claimed { user, run }),
                PersonClaim::Run(other) if waited >= PATIENCE => {
                    return Err(EngineError::Busy {
                        connection: self.connection.clone(),
                        holder: format!("run {other}, for the same person"),
                    }
                    .into());
                }
                PersonClaim::Run(other) => {
                    if waited.is_zero() {
                        progress.report(Event::Waiting { what: format!("run {other}, for the same person") });
                    }
                    if !self.pause(LOOK, &order.stop).await {
                        return Err(crate::run::stopped());
                    }
                    waited += LOOK;
                }
            }
        }
    }

    /// Plans, and does what no guard holds.
    async fn write_person(
        &self,
        claimed: &Claimed,
        draft: &mut Draft,
        world: &mut World,
        (rules, left): (&Rules, &[OpenIntent]),
        order: &PersonOrder,
        progress: &dyn Progress,
    ) -> Result<Applied, Failure> {
        let store = &self.ports.store;
        let mut plan = self.plan_and_reserve(world, rules, order.approval).await?;
        let makes_groups =
            |plan: &Plan| plan.open_steps().any(|step| matches!(step.action, Action::CreateGroup { .. }));
        // Groups are made under the claim of the whole connection, like in any run.
        let mut whole = None;
        if makes_groups(&plan) {
            match store.claim(&self.connection, &self.holder).await {
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
        draft.take_plan(&plan);
        let document =
            plan_document(&plan, &self.connection, &self.rules, RequestCounts::default()).to_string();
        store.phase(&draft.run, Phase::Planned, Some(&document)).await?;
        let open = plan.open_steps().count();
        progress.report(Event::Planned { steps: open, held: plan.steps.len() - open });
        if plan.held.iter().any(|held| held.guard.holds_everything()) {
            return Ok(Applied::default());
        }
        if !plan.records.is_empty() {
            store.learn_of_person(&self.connection, &plan.records).await?;
            for record in &plan.records {
                world.memory.apply(record);
                if let MemoryChange::LinkUser(link) = record {
                    store.claim_account(&self.connection, &link.user, &link.account).await?;
                }
            }
        }
        if open == 0 {
            return Ok(Applied::default());
        }
        Self::may_write(world, &plan)?;
        if order.stop.is_cancelled() {
            return Err(crate::run::stopped());
        }
        let mut recovered = Recovered::default();
        recovered.park_invited(world, &plan);
        for step in plan.open_steps() {
            let invited = |open: &OpenIntent| matches!(&open.entry.intent, Intent::CreateUser { user, .. } if *user == claimed.user);
            if matches!(step.action, Action::CreateUser { .. }) && left.iter().any(invited) {
                recovered.parked.insert(step.id());
            }
        }
        store.phase(&draft.run, Phase::Applying, None).await?;
        progress.report(Event::Phase(Phase::Applying));
        let applied = self.apply(draft, world, &plan, &recovered, &order.stop, progress).await?;
        drop(whole);
        self.put_into_mirror(world, &plan, &applied).await?;
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

    /// Calls of other runs about the person that are under way: claimed as the person is, none is begun any more, and
    /// those that were end soon. What is still open then was left by a run that died.
    async fn wait_for_calls(
        &self,
        claimed: &Claimed,
        order: &PersonOrder,
    ) -> Result<Vec<OpenIntent>, Failure> {
        let store = &self.ports.store;
        let mut waited = Duration::ZERO;
        loop {
            let mut open = store.open_beside(&self.connection, &claimed.run).await?;
            if !open.is_empty() {
                let memory = store.person_memory(&self.connection, &claimed.user, &[]).await?;
                let account = memory.user(&claimed.user).map(|link| &link.account);
                open.retain(|open| about(&open.entry.intent, &claimed.user, account));
            }
            if open.is_empty() || waited >= UNDER_WAY || !self.pause(LOOK, &order.stop).await {
                return Ok(open);
            }
            waited += LOOK;
        }
    }

    /// What was written goes into the site's mirror, so that the next run over everything does not find it missing.
    pub(crate) async fn put_into_mirror(
        &self,
        world: &World,
        plan: &Plan,
        applied: &Applied,
    ) -> Result<(), Failure> {
        let account_of = |person: &Person| {
            let link = person.directory_id.as_ref().and_then(|user| world.memory.user(user));
            person.site_id.clone().or_else(|| link.map(|link| link.account.clone()))
        };
        let (mut accounts, mut made, mut members) = (BTreeSet::new(), Vec::new(), Vec::new());
        for step in plan.steps.iter().filter(|step| applied.done.contains(&step.id())) {
            let account = step.action.person().and_then(|person| account_of(person));
            accounts.extend(account.clone());
            match (&step.action, account) {
                (Action::CreateGroup { group }, _) => {
                    let link = world.memory.anchored(&group.anchor);
                    made.extend(link.and_then(|link| world.site.group(&link.group)).cloned());
                }
                (Action::AddMember { group, .. }, Some(account)) => {
                    let made = world.memory.anchored(&group.anchor).map(|link| link.group.clone());
                    let group = group.site_id.clone().or(made);
                    members.extend(group.map(|group| (group, account, Presence::In)));
                }
                (Action::RemoveMember { removal, .. }, Some(account)) => {
                    members.push((removal.site_group.clone(), account, Presence::Out));
                }
                _ => {}
            }
        }
        let accounts: Vec<Account> =
            accounts.iter().filter_map(|id| world.site.account(id)).cloned().collect();
        self.ports.store.patch_site(&self.connection, &accounts, &made, &members).await
    }

    /// Reads the account's groups once more, with some patience; a fresh plan over them has to be empty.
    async fn read_person_back(
        &self,
        claimed: &Claimed,
        draft: &mut Draft,
        world: &mut World,
        rules: &Rules,
        applied: &Applied,
        order: &PersonOrder,
    ) -> Result<(), Failure> {
        let Some(account) = world.memory.user(&claimed.user).map(|link| link.account.clone()) else {
            return Ok(());
        };
        let mut pauses = Pauses::within(READ_BACK);
        let fresh = loop {
            let groups = self.ports.site.groups_of(&account).await?;
            put_groups(world, &account, groups.as_deref().unwrap_or_default());
            let fresh = plan(&world.input(rules, order.approval));
            let lags = fresh.open_steps().any(|step| applied.done.contains(&step.id()));
            if groups.is_some() && !lags {
                break fresh;
            }
            match pauses.next() {
                Some(pause) if self.pause(pause, &order.stop).await => {}
                _ => break fresh,
            }
        };
        for step in fresh.open_steps() {
            draft.incomplete();
            if applied.done.contains(&step.id()) {
                draft.set_aside.push(SetAside {
                    object: crate::report::object_of(step),
                    reason: "was written, but the site does not show it yet".into(),
                    remedy: "nothing; the next run looks again".into(),
                });
            }
        }
        Ok(())
    }
}

/// The site as far as it is about one account: it is in these of the groups, and of nobody else is anything said.
fn put_groups(world: &mut World, account: &AccountId, groups: &[SiteGroupId]) {
    let all: Vec<SiteGroupId> = world.site.groups().iter().map(|group| group.id.clone()).collect();
    for group in all {
        let there = groups.contains(&group);
        let members = if there { vec![account.clone()] } else { Vec::new() };
        world.site.put_members(group, SiteMembers::Complete(members));
    }
}

/// Whether a call is about a person.
fn about(intent: &Intent, user: &DirectoryUserId, account: Option<&AccountId>) -> bool {
    match intent {
        Intent::CreateUser { user: other, .. }
        | Intent::UpdateUser { user: other, .. }
        | Intent::TakeRung { user: other, .. }
        | Intent::ComeBack { user: other, .. } => other == user,
        Intent::AddMember { account: other, .. } | Intent::RemoveMember { account: other, .. } => {
            account == Some(other)
        }
        Intent::CreateGroup { .. } | Intent::RenameGroup { .. } | Intent::AdoptGroup { .. } => false,
    }
}

fn several(text: &str, ids: &[DirectoryUserId]) -> Failure {
    let ids: Vec<&str> = ids.iter().map(DirectoryUserId::as_str).collect();
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("“{text}” may be any of {}: {}", ids.len(), ids.join(", ")),
        "name one of them by its id",
    )
    .of(text)
}

/// Whom, or which directory group, somebody means.
pub(crate) fn asked(input: &PlanInput<'_>, only: &Only) -> Result<Asked, Failure> {
    match only {
        Only::User(text) => {
            let who = whom(input, text)?;
            who.user.map(Asked::Person).ok_or_else(|| unlinked(text, "an account that no directory user has"))
        }
        Only::Group(text) => {
            let which = which(input, text)?;
            let linked = which.site.as_ref().and_then(|site| input.memory.group_of(site));
            let group = which.directory.clone().or_else(|| linked.cloned());
            group
                .map(Asked::Group)
                .ok_or_else(|| unlinked(text, "a site group that no directory group fills"))
        }
    }
}

fn unlinked(text: &str, what: &str) -> Failure {
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("“{text}” is {what}"),
        "entrain explain says what is known of it",
    )
    .of(text)
}

/// Nobody on either side is meant.
pub fn unknown_person(text: &str) -> Failure {
    Failure::new(
        FailureCode::ObjectUnknown,
        FailureClass::Local,
        format!("neither the directory nor the site knows a user “{text}”"),
        "name the person by object id, user principal name, e-mail address or Atlassian account id",
    )
    .of(text)
}
