//! The engine's ports in memory: a directory that can be changed, a site with lag and faults, a store whose state
//! survives a kill, and a clock in tokio's virtual time. A kill drops the run at a write point, as a killed process
//! would: what was durable stays, everything else is gone.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use entrain_domain::memory::{Memory, MemoryChange};
use entrain_domain::model::*;
use entrain_domain::plan::{Before, History, StepId, StepKind};
use entrain_domain::policy::{GroupSelector, Protected, Rules, Scope, UserScope};
use entrain_domain::run::*;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::*;
use entrain_engine::{Engine, Options, Ports, RunOptions};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) const CONNECTION: &str = "Azure AD";

/// Counts write points; at the armed one the run hangs and the test is told to drop it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kill(Arc<KillState>);

#[derive(Debug, Default)]
struct KillState {
    passed: AtomicU64,
    at: AtomicU64,
    told: Notify,
}

impl Kill {
    /// Dies at the nth point from now, counted from one; zero disarms.
    pub(crate) fn arm(&self, nth: u64) {
        self.0.passed.store(0, Ordering::SeqCst);
        self.0.at.store(nth, Ordering::SeqCst);
    }
    async fn point(&self) {
        let passed = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        let at = self.0.at.load(Ordering::SeqCst);
        if at > 0 && passed >= at {
            // Told once: a permit left over would kill the next run as well.
            if passed == at {
                self.0.told.notify_one();
            }
            std::future::pending::<()>().await;
        }
    }
    async fn happened(&self) {
        self.0.told.notified().await;
    }
}

#[derive(Debug, Clone)]
pub(crate) struct TestClock {
    start: Timestamp,
    since: Instant,
}

impl TestClock {
    fn new() -> Self {
        Self { start: "2026-11-02T08:00:00Z".parse().unwrap(), since: Instant::now() }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.start + jiff::SignedDuration::try_from(self.since.elapsed()).unwrap()
    }
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct TestIds(Arc<AtomicU64>);

impl Ids for TestIds {
    fn run_id(&self) -> RunId {
        RunId::parse(format!("run-{:04}", self.0.fetch_add(1, Ordering::SeqCst) + 1)).unwrap()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FakeDirectory(Arc<Mutex<DirectoryState>>);

#[derive(Debug, Default)]
struct DirectoryState {
    reading: DirectoryReading,
    requests: u64,
    fails: Option<Failure>,
}

impl FakeDirectory {
    fn state(&self) -> MutexGuard<'_, DirectoryState> {
        self.0.lock().unwrap()
    }
    pub(crate) fn person(&self, n: u32, account: AccountState) {
        self.state().reading.put_user(DirectoryUser {
            id: user_id(n),
            display_name: Some(format!("Person {n}").into()),
            mail: Some(address(n).as_str().into()),
            user_principal_name: None,
            other_mail: None,
            account,
            kind: UserKind::Member,
        });
    }
    pub(crate) fn group(&self, name: &str, people: &[u32]) {
        let mut state = self.state();
        state.reading.put_group(&group_id(name), name);
        state.reading.set_members(&group_id(name), people.iter().map(|n| MemberRef::User(user_id(*n))));
    }
    /// Lists nobody and nothing from now on.
    pub(crate) fn empty(&self) {
        self.state().reading = DirectoryReading::new();
    }
    pub(crate) fn fail(&self, failure: Option<Failure>) {
        self.state().fails = failure;
    }
    fn snapshot(&self) -> DirectorySnapshot {
        self.state().reading.clone().finish(Coverage::Complete, Coverage::Complete)
    }
}

impl Directory for FakeDirectory {
    async fn read(&self, _scope: &Scope) -> Result<DirectoryRead, Failure> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let requests = {
            let mut state = self.state();
            state.requests += 1;
            if let Some(failure) = &state.fails {
                return Err(failure.clone());
            }
            state.requests
        };
        Ok(DirectoryRead {
            snapshot: self.snapshot(),
            watermark: Watermark {
                users: format!("users-{requests}"),
                groups: format!("groups-{requests}"),
                issued_at: Timestamp::UNIX_EPOCH,
            },
        })
    }
    fn requests(&self) -> RequestCounts {
        RequestCounts { directory: self.state().requests, ..RequestCounts::default() }
    }
}

/// What goes wrong with a write.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It does not happen, and nobody can tell.
    LoseRequest,
    /// It does not happen, and this is said.
    Refuse(Failure),
}

#[derive(Debug, Clone)]
pub(crate) struct FakeSite {
    state: Arc<Mutex<SiteState>>,
    kill: Kill,
}

#[derive(Debug, Default)]
struct SiteState {
    accounts: Vec<(Account, Option<Instant>)>,
    groups: Vec<SiteGroup>,
    members: BTreeMap<SiteGroupId, BTreeSet<AccountId>>,
    mails: BTreeMap<String, usize>,
    writes: BTreeMap<StepKind, usize>,
    calls: BTreeMap<StepKind, usize>,
    requests: u64,
    member_reads: u64,
    lag: Duration,
    faults: HashMap<StepKind, VecDeque<Fault>>,
    in_flight: usize,
    most_in_flight: usize,
    products: Vec<Product>,
    group_fault: HashMap<String, Failure>,
}

impl FakeSite {
    fn new(kill: Kill) -> Self {
        Self { state: Arc::default(), kill }
    }
    fn state(&self) -> MutexGuard<'_, SiteState> {
        self.state.lock().unwrap()
    }
    pub(crate) fn account(&self, n: u32) -> AccountId {
        let id = AccountId::parse(format!("acc-{n}")).unwrap();
        let account = Account {
            id: id.clone(),
            email: Some(address(n)),
            display_name: format!("Person {n}").into(),
            activity: AccountActivity::Active,
            kind: AccountKind::Person,
        };
        self.state().accounts.push((account, None));
        id
    }
    pub(crate) fn group(&self, name: &str, members: &[&AccountId]) -> SiteGroupId {
        let mut state = self.state();
        let id = SiteGroupId::parse(format!("sg-{}", state.groups.len())).unwrap();
        state.groups.push(SiteGroup { id: id.clone(), name: name.into() });
        state.members.insert(id.clone(), members.iter().map(|m| (*m).clone()).collect());
        id
    }
    pub(crate) fn lag(&self, lag: Duration) {
        self.state().lag = lag;
    }
    pub(crate) fn fault(&self, kind: StepKind, fault: Fault) {
        self.state().faults.entry(kind).or_default().push_back(fault);
    }
    /// Every addition to the group of this name is refused.
    pub(crate) fn refuse_group(&self, name: &str, failure: Failure) {
        self.state().group_fault.insert(name.into(), failure);
    }
    pub(crate) fn writes(&self) -> usize {
        self.state().writes.values().sum()
    }
    pub(crate) fn written(&self) -> BTreeMap<StepKind, usize> {
        self.state().writes.clone()
    }
    pub(crate) fn calls(&self, kind: StepKind) -> usize {
        self.state().calls.get(&kind).copied().unwrap_or(0)
    }
    pub(crate) fn requests_made(&self) -> u64 {
        self.state().requests
    }
    pub(crate) fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }
    pub(crate) fn mails(&self) -> BTreeMap<String, usize> {
        self.state().mails.clone()
    }
    /// Groups by name with the addresses of their members.
    pub(crate) fn picture(&self) -> BTreeMap<String, Vec<BTreeSet<String>>> {
        let state = self.state();
        let mut picture: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
        for group in &state.groups {
            let members = state.members[&group.id]
                .iter()
                .map(|id| {
                    let (account, _) = state.accounts.iter().find(|(a, _)| a.id == *id).unwrap();
                    account.email.as_ref().unwrap().to_string()
                })
                .collect();
            picture.entry(group.name.to_string()).or_default().push(members);
        }
        picture
    }
    async fn call(&self) {
        self.state().requests += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    /// One write: counted, faulty if so wished, with a write point before and after.
    async fn write<R>(
        &self,
        kind: StepKind,
        act: impl FnOnce(&mut SiteState) -> Result<(R, Effect), Failure>,
    ) -> Result<R, Failure> {
        let fault = {
            let mut state = self.state();
            state.requests += 1;
            *state.calls.entry(kind).or_default() += 1;
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
            state.faults.get_mut(&kind).and_then(VecDeque::pop_front)
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.kill.point().await;
        let result = match &fault {
            Some(Fault::LoseRequest) => Err(lost()),
            Some(Fault::Refuse(failure)) => Err(failure.clone()),
            Some(Fault::LoseAnswer) | None => {
                let mut state = self.state();
                act(&mut state).map(|(result, effect)| {
                    if effect == Effect::Written {
                        *state.writes.entry(kind).or_default() += 1;
                    }
                    result
                })
            }
        };
        self.kill.point().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.state().in_flight -= 1;
        match fault {
            Some(Fault::LoseAnswer) => Err(lost()),
            _ => result,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Effect {
    Written,
    Nothing,
}

fn lost() -> Failure {
    Failure::new(FailureCode::WriteUnclear, FailureClass::Unclear, "the answer was lost", "look it up")
}

fn unknown() -> Failure {
    Failure::new(
        FailureCode::SiteObjectUnknown,
        FailureClass::Object,
        "the site does not know the user",
        "look whether it was deleted",
    )
}

pub(crate) fn refusal(code: FailureCode, class: FailureClass) -> Failure {
    Failure::new(code, class, format!("refused with {code}"), "mend it")
}

fn visible(at: Option<Instant>) -> bool {
    at.is_none_or(|at| Instant::now() >= at)
}

impl Site for FakeSite {
    async fn standing(&self) -> Result<SiteStanding, Failure> {
        self.call().await;
        Ok(SiteStanding {
            own_account: AccountId::parse("acc-bot").unwrap(),
            products: self.state().products.clone(),
            administrative_groups: BTreeSet::new(),
            site_admin: Some(true),
            administer: Some(true),
            browse_users: Some(true),
        })
    }
    fn protect(&self, _protected: &Protected, _standing: &SiteStanding, _groups: &[SiteGroup]) {}
    async fn accounts(&self) -> Result<Vec<Account>, Failure> {
        self.call().await;
        Ok(self.state().accounts.iter().filter(|(_, at)| visible(*at)).map(|(a, _)| a.clone()).collect())
    }
    async fn groups(&self) -> Result<Vec<SiteGroup>, Failure> {
        self.call().await;
        Ok(self.state().groups.clone())
    }
    async fn members(&self, group: &SiteGroupId) -> Result<Vec<AccountId>, Failure> {
        self.call().await;
        let mut state = self.state();
        state.member_reads += 1;
        state.members.get(group).map(|m| m.iter().cloned().collect()).ok_or_else(unknown)
    }
    async fn find_accounts(&self, email: &EmailAddress) -> Result<Vec<Account>, Failure> {
        self.call().await;
        let state = self.state();
        let fits = |a: &Account| a.email.as_ref() == Some(email);
        Ok(state.accounts.iter().filter(|(a, at)| visible(*at) && fits(a)).map(|(a, _)| a.clone()).collect())
    }
    async fn find_groups(&self, name: &str) -> Result<Vec<SiteGroup>, Failure> {
        self.call().await;
        Ok(self.state().groups.iter().filter(|g| *g.name == *name).cloned().collect())
    }
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, Failure> {
        self.call().await;
        Ok(self.state().accounts.iter().find(|(a, at)| a.id == *id && visible(*at)).map(|(a, _)| a.clone()))
    }
    async fn invite(&self, email: &EmailAddress, _products: &[String]) -> Result<Account, Failure> {
        self.write(StepKind::CreateUser, |state| {
            *state.mails.entry(email.key()).or_default() += 1;
            if let Some((account, _)) = state.accounts.iter().find(|(a, _)| a.email.as_ref() == Some(email)) {
                return Ok((account.clone(), Effect::Nothing));
            }
            let account = Account {
                id: AccountId::parse(format!("new-{}", state.accounts.len())).unwrap(),
                email: Some(email.clone()),
                display_name: email.as_str().into(),
                activity: AccountActivity::Active,
                kind: AccountKind::Person,
            };
            let at = Instant::now() + state.lag;
            state.accounts.push((account.clone(), Some(at)));
            Ok((account, Effect::Written))
        })
        .await
    }
    async fn create_group(&self, name: &str) -> Result<SiteGroup, Failure> {
        self.write(StepKind::CreateGroup, |state| {
            if state.groups.iter().any(|g| *g.name == *name) {
                return Err(refusal(FailureCode::SiteNameTaken, FailureClass::Object));
            }
            let id = SiteGroupId::parse(format!("sg-{}", state.groups.len())).unwrap();
            let group = SiteGroup { id: id.clone(), name: name.into() };
            state.groups.push(group.clone());
            state.members.insert(id, BTreeSet::new());
            Ok((group, Effect::Written))
        })
        .await
    }
    async fn add_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Added, Failure> {
        self.write(StepKind::AddMember, |state| {
            if let Some(failure) = state.group_fault.get(&*group.name) {
                return Err(failure.clone());
            }
            if !state.accounts.iter().any(|(a, at)| a.id == *account && visible(*at)) {
                return Err(unknown());
            }
            let members = state.members.get_mut(&group.id).ok_or_else(unknown)?;
            Ok(if members.insert(account.clone()) {
                (Added::Now, Effect::Written)
            } else {
                (Added::Already, Effect::Nothing)
            })
        })
        .await
    }
    async fn remove_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Removed, Failure> {
        self.write(StepKind::RemoveMember, |state| {
            let members = state.members.get_mut(&group.id).ok_or_else(unknown)?;
            Ok(if members.remove(account) {
                (Removed::Now, Effect::Written)
            } else {
                (Removed::Already, Effect::Nothing)
            })
        })
        .await
    }
    fn requests(&self) -> RequestCounts {
        RequestCounts { site: self.state().requests, ..RequestCounts::default() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct FakeStore {
    state: Arc<Mutex<StoreState>>,
    kill: Kill,
}

#[derive(Debug, Default)]
pub(crate) struct StoreState {
    pub(crate) memory: Memory,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) audit: Vec<AuditNote>,
    pub(crate) watermark: Option<String>,
    pub(crate) users_before: Option<usize>,
    claimed: Option<String>,
    pub(crate) intend_fails: bool,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) trigger: Trigger,
    pub(crate) phase: Phase,
    pub(crate) started_at: Timestamp,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) report: Option<RunReport>,
}

pub(crate) struct Claim(Arc<Mutex<StoreState>>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.lock().unwrap().claimed = None;
    }
}

impl FakeStore {
    pub(crate) fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap()
    }
    /// One durable write with a write point before and after.
    async fn write<R>(&self, act: impl FnOnce(&mut StoreState) -> R) -> R {
        self.kill.point().await;
        let result = act(&mut self.state());
        self.kill.point().await;
        result
    }
}

impl Store for FakeStore {
    type Claim = Claim;

    async fn claim(&self, _connection: &str, holder: &str) -> Result<Claim, ClaimError> {
        let mut state = self.state();
        if let Some(holder) = &state.claimed {
            return Err(ClaimError::Busy(Busy { holder: holder.clone() }));
        }
        state.claimed = Some(holder.to_owned());
        Ok(Claim(self.state.clone()))
    }
    async fn memory(&self, _connection: &str) -> Result<Memory, Failure> {
        Ok(self.state().memory.clone())
    }
    async fn history(&self, _connection: &str, _now: Timestamp) -> Result<History, Failure> {
        let state = self.state();
        let converged = |run: &Run| run.report.as_ref().is_some_and(|r| r.status == RunStatus::Converged);
        Ok(History {
            converged_before: if state.runs.values().any(converged) { Before::Once } else { Before::Never },
            removals_last_24h: 0,
            users_before: state.users_before,
        })
    }
    async fn unfinished(&self, _connection: &str) -> Result<Option<UnfinishedRun>, Failure> {
        let state = self.state();
        Ok(state.runs.iter().find(|(_, run)| run.report.is_none()).map(|(id, run)| UnfinishedRun {
            id: id.clone(),
            trigger: run.trigger,
            phase: run.phase,
            started_at: run.started_at,
            journal: run.journal.clone(),
        }))
    }
    async fn open_intents(&self, _connection: &str) -> Result<Vec<OpenIntent>, Failure> {
        let state = self.state();
        let mut open = Vec::new();
        for (id, run) in &state.runs {
            for entry in run.journal.iter().filter(|entry| entry.outcome == Outcome::Intent) {
                open.push(OpenIntent { run: id.clone(), entry: entry.clone() });
            }
        }
        Ok(open)
    }
    async fn begin(&self, run: &RunId, _: &str, trigger: Trigger, at: Timestamp) -> Result<(), Failure> {
        self.write(|state| {
            let begun =
                Run { trigger, phase: Phase::Reading, started_at: at, journal: Vec::new(), report: None };
            assert!(state.runs.insert(run.clone(), begun).is_none(), "a run begins once");
        })
        .await;
        Ok(())
    }
    async fn phase(&self, run: &RunId, phase: Phase, _plan: Option<&str>) -> Result<(), Failure> {
        self.write(|state| state.runs.get_mut(run).unwrap().phase = phase).await;
        Ok(())
    }
    async fn intend(
        &self,
        run: &RunId,
        step: &StepId,
        kind: StepKind,
        intent: &Intent,
        at: Timestamp,
    ) -> Result<(), Failure> {
        if self.state().intend_fails {
            return Err(refusal(FailureCode::StoreFailed, FailureClass::Local));
        }
        let entry = JournalEntry {
            step: step.clone(),
            kind,
            outcome: Outcome::Intent,
            attempts: 0,
            answer: String::new(),
            at,
            intent: intent.clone(),
        };
        self.write(|state| {
            let journal = &mut state.runs.get_mut(run).unwrap().journal;
            journal.retain(|entry| entry.step != *step);
            journal.push(entry);
        })
        .await;
        Ok(())
    }
    async fn settle(&self, run: &RunId, end: &StepEnd) -> Result<(), Failure> {
        self.write(|state| {
            let journal = &mut state.runs.get_mut(run).unwrap().journal;
            let entry = journal.iter_mut().find(|entry| entry.step == end.step).expect("intended first");
            assert_eq!(entry.outcome, Outcome::Intent, "settled once");
            entry.outcome = end.outcome;
            entry.attempts = end.attempts;
            entry.answer.clone_from(&end.answer);
            entry.at = end.at;
            for change in &end.changes {
                state.memory.apply(change);
            }
            state.audit.extend(end.audit.clone());
        })
        .await;
        Ok(())
    }
    async fn learn(&self, _: &str, changes: &[MemoryChange], read: &DirectoryRead) -> Result<(), Failure> {
        let users = read.snapshot.users().count();
        self.write(|state| {
            for change in changes {
                state.memory.apply(change);
            }
            state.watermark = Some(read.watermark.users.clone());
            state.users_before = Some(users);
        })
        .await;
        Ok(())
    }
    async fn end(&self, report: &RunReport, note: AuditNote) -> Result<(), Failure> {
        self.write(|state| {
            let run = state.runs.get_mut(&report.run_id).unwrap();
            assert!(run.report.is_none(), "a run ends once");
            run.report = Some(report.clone());
            run.phase = Phase::Ended;
            state.audit.push(note);
        })
        .await;
        Ok(())
    }
}

/// Collects what a run tells; stops it after so many steps, if wished.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) stop_after: Option<(usize, tokio_util::sync::CancellationToken)>,
}

impl Progress for Told {
    fn report(&self, event: Event) {
        let mut events = self.events.lock().unwrap();
        events.push(event);
        if let Some((after, stop)) = &self.stop_after
            && events.iter().filter(|e| matches!(e, Event::Step { .. })).count() >= *after
        {
            stop.cancel();
        }
    }
}

pub(crate) type TestEngine = Engine<FakeDirectory, FakeSite, FakeStore, TestClock, TestIds>;

/// Both sides, a store, and what starts engines over them.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) directory: FakeDirectory,
    pub(crate) site: FakeSite,
    pub(crate) store: FakeStore,
    pub(crate) kill: Kill,
    pub(crate) rules: Rules,
    pub(crate) options: Options,
    clock: TestClock,
    ids: TestIds,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let kill = Kill::default();
        let scope = Scope {
            groups: vec![GroupSelector::parse("Jira *").unwrap()],
            exclude_groups: Vec::new(),
            users: UserScope::InGroups,
        };
        Self {
            directory: FakeDirectory::default(),
            site: FakeSite::new(kill.clone()),
            store: FakeStore { state: Arc::default(), kill: kill.clone() },
            kill,
            rules: Rules::for_scope(scope),
            options: Options::default(),
            clock: TestClock::new(),
            ids: TestIds::default(),
        }
    }

    /// Three groups and six people, two of whom have an account already.
    pub(crate) fn company() -> Self {
        let fixture = Self::new();
        for n in 1..=6 {
            fixture.directory.person(n, AccountState::Enabled);
        }
        fixture.directory.group("Jira A", &[1, 2, 3]);
        fixture.directory.group("Jira B", &[3, 4]);
        fixture.directory.group("Jira C", &[]);
        fixture.site.account(1);
        fixture.site.account(2);
        fixture
    }

    /// A joiner, a mover, a leaver, a new group with a newcomer.
    pub(crate) fn live_on(&self) {
        self.directory.person(7, AccountState::Enabled);
        self.directory.person(2, AccountState::Disabled);
        self.directory.group("Jira A", &[1, 2, 5]);
        self.directory.group("Jira B", &[3, 4, 7]);
        self.directory.group("Jira D", &[1, 6]);
    }

    pub(crate) fn engine(&self) -> TestEngine {
        let ports = Ports {
            directory: self.directory.clone(),
            site: self.site.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        Engine::new(ports, self.rules.clone(), CONNECTION.into(), "test-host, process 1".into())
            .with_options(self.options)
    }

    pub(crate) async fn run(&self) -> RunReport {
        self.run_with(RunOptions::new(Trigger::Manual)).await
    }
    pub(crate) async fn run_with(&self, options: RunOptions) -> RunReport {
        self.engine().run(options, &Told::default()).await.unwrap()
    }
    /// Runs until it ends, or until the armed kill drops it.
    pub(crate) async fn run_until_killed(&self) -> Option<RunReport> {
        let engine = self.engine();
        let told = Told::default();
        let run = engine.run(RunOptions::new(Trigger::Manual), &told);
        let report = tokio::select! {
            report = run => Some(report.unwrap()),
            () = self.kill.happened() => None,
        };
        self.kill.arm(0);
        self.site.state().in_flight = 0;
        report
    }

    /// The site equals the directory; nobody was invited twice; no group stands twice; every write is explained once;
    /// the journal has no open end; and a further run writes nothing.
    pub(crate) async fn assert_in_step(&self, context: &str) {
        let snapshot = self.directory.snapshot();
        let mut picture = self.site.picture();
        for group in snapshot.groups() {
            let Closure::Complete(closure) = snapshot.closure(&group.id) else {
                panic!("fakes are complete")
            };
            let wanted: BTreeSet<String> = closure
                .members()
                .filter_map(|ix| snapshot.user_at(ix))
                .filter(|user| user.account == AccountState::Enabled)
                .map(|user| user.address().unwrap().to_string())
                .collect();
            let made = picture.remove(&*group.display_name).unwrap_or_default();
            assert_eq!(made, vec![wanted], "{context}: members of {}", group.display_name);
        }
        for (who, mails) in self.site.mails() {
            assert_eq!(mails, 1, "{context}: invitations of {who}");
        }
        let mut explained: BTreeMap<StepKind, usize> = BTreeMap::new();
        for note in &self.store.state().audit {
            if let Some(kind) = StepKind::from_word(&note.action) {
                *explained.entry(kind).or_default() += 1;
            }
        }
        assert_eq!(explained, self.site.written(), "{context}: audit entries by kind of write");
        let open = self.store.open_intents(CONNECTION).await.unwrap();
        assert!(open.is_empty(), "{context}: still open: {open:?}");
        let before = self.site.writes();
        let again = self.run().await;
        assert_eq!(again.status, RunStatus::Converged, "{context}: {again:?}");
        assert!(again.steps.is_empty(), "{context}: {again:?}");
        assert_eq!(self.site.writes(), before, "{context}: writes of a further run");
    }
}

pub(crate) fn user_id(n: u32) -> DirectoryUserId {
    DirectoryUserId::parse(format!("user-{n}")).unwrap()
}
pub(crate) fn group_id(name: &str) -> DirectoryGroupId {
    DirectoryGroupId::parse(name.replace(' ', "-").to_lowercase()).unwrap()
}
pub(crate) fn address(n: u32) -> EmailAddress {
    EmailAddress::parse(&format!("person{n}@example.com")).unwrap()
}
