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
use entrain_domain::plan::{Before, History, LookupBy, StepId, StepKind};
use entrain_domain::policy::{Demand, GroupSelector, Protected, Rules, Scope, UserScope};
use entrain_domain::run::*;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::*;
use entrain_engine::{Engine, Options, Ports, RunOptions};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) mod site;
mod store;

pub(crate) use site::FakeSite;
pub(crate) use store::FakeStore;

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
    pub(crate) async fn point(&self) {
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
            attributes: Attributes::NONE,
        });
    }
    pub(crate) fn address(&self, n: u32, address: &str) {
        let mut state = self.state();
        let mut user = state.reading.known_user(&user_id(n)).unwrap().clone();
        user.mail = Some(address.into());
        state.reading.put_user(user);
    }
    pub(crate) fn group(&self, name: &str, people: &[u32]) {
        let mut state = self.state();
        state.reading.put_group(&group_id(name), name);
        state.reading.set_members(&group_id(name), people.iter().map(|n| MemberRef::User(user_id(*n))));
    }
    /// Another name for a group, which stays the same.
    pub(crate) fn rename(&self, group: &str, name: &str) {
        self.state().reading.put_group(&group_id(group), name);
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
    async fn read(&self, _demand: &Demand) -> Result<DirectoryRead, Failure> {
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
            store: FakeStore::new(kill.clone()),
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
        self.site.nothing_in_flight();
        report
    }

    /// The site equals the directory; nobody was invited twice; no group stands twice; every write is explained once;
    /// the journal has no open end; and a further run writes nothing.
    pub(crate) async fn assert_in_step(&self, context: &str) {
        let snapshot = self.directory.snapshot();
        let mut picture = self.site.picture();
        for group in snapshot.groups() {
            let Closure::Complete(closure) = snapshot.closure(&group.id, Nesting::Flatten) else {
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
