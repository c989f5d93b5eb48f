//! The engine's ports in memory: a directory that can be changed, a site with lag and faults, a store whose state
//! survives a kill, and a clock in tokio's virtual time. A kill drops the run at a write point, as a killed process
//! would: what was durable stays, everything else is gone.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use entrain_domain::memory::{Memory, MemoryChange, OnLadder, Size};
use entrain_domain::model::*;
use entrain_domain::plan::{Before, Effect, History, LookupBy, PerKind, Reversible, StepId, StepKind};
use entrain_domain::policy::{Demand, GroupSelector, Measure, PropertyValues, Protected, Rules, Scope};
use entrain_domain::run::*;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::*;
use entrain_engine::{Engine, Freshness, Options, Ports, RunOptions};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) mod site;
pub(crate) mod store;

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
    pub(crate) async fn happened(&self) {
        self.0.told.notified().await;
    }
}

#[derive(Debug, Clone)]
pub(crate) struct TestClock {
    start: Timestamp,
    since: Instant,
    set: Arc<Mutex<Set>>,
}

/// By how much the clock was set, and when it is set next.
#[derive(Debug, Default)]
struct Set {
    by: jiff::SignedDuration,
    looks_left: u64,
    then: jiff::SignedDuration,
}

impl TestClock {
    fn new() -> Self {
        Self { start: "2026-11-02T08:00:00Z".parse().unwrap(), since: Instant::now(), set: Arc::default() }
    }
    /// Somebody sets the clock.
    pub(crate) fn jump(&self, by: jiff::SignedDuration) {
        self.set.lock().unwrap().by += by;
    }
    /// Somebody sets the clock before the nth look at it from now, counted from one.
    pub(crate) fn jump_at(&self, nth: u64, by: jiff::SignedDuration) {
        let mut set = self.set.lock().unwrap();
        (set.looks_left, set.then) = (nth, by);
    }
    /// Whether that look has come.
    pub(crate) fn has_jumped(&self) -> bool {
        self.set.lock().unwrap().looks_left == 0
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let mut set = self.set.lock().unwrap();
        if set.looks_left > 0 {
            set.looks_left -= 1;
            if set.looks_left == 0 {
                let then = set.then;
                set.by += then;
            }
        }
        self.start + jiff::SignedDuration::try_from(self.since.elapsed()).unwrap() + set.by
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
    clock: Option<TestClock>,
    version: u64,
    /// Watermarks of these versions and older are not known any more.
    forgotten: Option<u64>,
    /// The next changes do not fit.
    implausible: bool,
    full_reads: usize,
    asked_for: Vec<DirectoryUserId>,
}

impl FakeDirectory {
    fn state(&self) -> MutexGuard<'_, DirectoryState> {
        self.0.lock().unwrap()
    }
    fn change(&self) -> MutexGuard<'_, DirectoryState> {
        let mut state = self.state();
        state.version += 1;
        state
    }
    pub(crate) fn person(&self, n: u32, account: AccountState) {
        self.change().reading.put_user(person(n, account));
    }
    /// In the recycle bin: no longer listed, and in no list of members; the memberships come back with him.
    pub(crate) fn soft_delete(&self, n: u32) {
        self.change().reading.user_gone(&user_id(n), Gone::SoftDeleted);
    }
    /// For good, or so it looks: nothing of it is in the recycle bin.
    pub(crate) fn lose(&self, n: u32) {
        self.change().reading.user_gone(&user_id(n), Gone::Deleted);
    }
    pub(crate) fn attributes(&self, n: u32, attributes: &[(&str, &str)]) {
        let mut state = self.change();
        let Some(mut user) = state.reading.known_user(&user_id(n)).cloned() else { return };
        user.attributes = attributes
            .iter()
            .map(|(name, value)| (Arc::from(*name), AttributeValue::Text((*value).into())))
            .collect();
        state.reading.put_user(user);
    }
    pub(crate) fn address(&self, n: u32, address: &str) {
        let mut state = self.change();
        let mut user = state.reading.known_user(&user_id(n)).unwrap().clone();
        user.mail = Some(address.into());
        state.reading.put_user(user);
    }
    pub(crate) fn group(&self, name: &str, people: &[u32]) {
        let mut state = self.change();
        state.reading.put_group(&group_id(name), name);
        state.reading.set_members(&group_id(name), people.iter().map(|n| MemberRef::User(user_id(*n))));
    }
    /// A group is deleted.
    pub(crate) fn remove_group(&self, name: &str) {
        self.change().reading.group_gone(&group_id(name));
    }
    /// Another name for a group, which stays the same.
    pub(crate) fn rename(&self, group: &str, name: &str) {
        self.change().reading.put_group(&group_id(group), name);
    }
    /// To whom the application is assigned, which no delta tells.
    pub(crate) fn assign(&self, application: &ApplicationId, people: &[u32]) {
        let people = people.iter().map(|n| user_id(*n));
        self.state().reading.set_assignments(Assignments::new(application.clone(), people, []));
    }
    /// Nothing changed that anybody sees, but the directory tells something all the same.
    pub(crate) fn replay(&self) {
        drop(self.change());
    }
    /// Lists nobody and nothing from now on.
    pub(crate) fn empty(&self) {
        self.change().reading = DirectoryReading::new();
    }
    pub(crate) fn fail(&self, failure: Option<Failure>) {
        self.state().fails = failure;
    }
    /// No watermark given so far is known any more.
    pub(crate) fn forget_watermarks(&self) {
        let mut state = self.state();
        state.forgotten = Some(state.version);
        state.version += 1;
    }
    pub(crate) fn implausible(&self) {
        self.change().implausible = true;
    }
    pub(crate) fn full_reads(&self) -> usize {
        self.state().full_reads
    }
    /// Whom the last full read was told to ask for.
    pub(crate) fn asked_for(&self) -> Vec<DirectoryUserId> {
        self.state().asked_for.clone()
    }
    fn snapshot(&self) -> DirectorySnapshot {
        self.state().reading.clone().finish(Coverage::Complete, Coverage::Complete)
    }
    fn watermark(&self) -> Watermark {
        let version = self.state().version;
        let issued_at = self.state().clock.as_ref().map_or(Timestamp::UNIX_EPOCH, TestClock::now);
        Watermark { users: format!("users-{version}"), groups: "groups".into(), issued_at }
    }
    async fn request(&self) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut state = self.state();
        state.requests += 1;
        state.fails.clone().map_or(Ok(()), Err)
    }
}

fn ids(snapshot: &DirectorySnapshot, group: &DirectoryGroupId) -> BTreeSet<DirectoryUserId> {
    let direct = snapshot.group(group).and_then(DirectoryGroup::direct).map(|(users, _)| users);
    direct.unwrap_or_default().iter().map(|ix| snapshot.user_id_at(*ix).clone()).collect()
}

impl Directory for FakeDirectory {
    type Changes = ();

    async fn read(&self, _: &Demand, expected: &[DirectoryUserId]) -> Result<DirectoryRead, Failure> {
        self.request().await?;
        let mut state = self.state();
        state.full_reads += 1;
        state.asked_for = expected.to_vec();
        drop(state);
        // A list does not name who is in the recycle bin, neither does a list of members.
        let seen = self.snapshot();
        let mut reading = DirectoryReading::new();
        for user in seen.users() {
            reading.put_user(user.clone());
        }
        for group in seen.groups() {
            reading.put_group(&group.id, &group.display_name);
            let members = ids(&seen, &group.id).into_iter().filter(|id| seen.user(id).is_some());
            reading.set_members(&group.id, members.map(MemberRef::User));
        }
        seen.assignments().cloned().into_iter().for_each(|list| reading.set_assignments(list));
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        Ok(DirectoryRead { snapshot, watermark: self.watermark() })
    }
    async fn changes(&self, since: &Watermark) -> Result<Since<()>, Failure> {
        self.request().await?;
        let version: u64 = since.users.strip_prefix("users-").unwrap().parse().unwrap();
        let state = self.state();
        if state.forgotten.is_some_and(|forgotten| version <= forgotten) {
            return Ok(Since::Lost);
        }
        let same = state.version == version;
        drop(state);
        Ok(if same { Since::Nothing(self.watermark(), ()) } else { Since::Changes(()) })
    }
    async fn catch_up(&self, mut reading: DirectoryReading, (): (), _: &Demand) -> Result<CaughtUp, Failure> {
        if std::mem::take(&mut self.state().implausible) {
            return Ok(CaughtUp::Implausible("so the test wishes".into()));
        }
        let (known, seen) = (reading.clone().finish(Coverage::Complete, Coverage::Complete), self.snapshot());
        for user in seen.users() {
            reading.put_user(user.clone());
        }
        for user in known.users().filter(|user| seen.user(&user.id).is_none()) {
            reading.user_gone(&user.id, seen.gone(&user.id).unwrap_or(Gone::Deleted));
        }
        for group in known.groups().filter(|group| seen.group(&group.id).is_none()) {
            reading.group_gone(&group.id);
        }
        for group in seen.groups() {
            reading.put_group(&group.id, &group.display_name);
            let (before, now) = (ids(&known, &group.id), ids(&seen, &group.id));
            if !reading.has_members(&group.id) {
                reading.set_members(&group.id, now.into_iter().map(MemberRef::User));
                continue;
            }
            for left in before.difference(&now) {
                reading.remove_member(&group.id, &MemberRef::User(left.clone()));
            }
            for joined in now.difference(&before) {
                reading.add_member(&group.id, &MemberRef::User(joined.clone()));
            }
        }
        seen.assignments().cloned().into_iter().for_each(|list| reading.set_assignments(list));
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        Ok(CaughtUp::Read(Box::new(DirectoryRead { snapshot, watermark: self.watermark() })))
    }
    async fn person(&self, key: &PersonKey, _: &Demand) -> Result<PersonReading, Failure> {
        self.request().await?;
        let seen = self.snapshot();
        let user = match key {
            PersonKey::Id(id) => match seen.user(id) {
                Some(user) => user,
                None if seen.gone(id) == Some(Gone::SoftDeleted) => {
                    return Ok(PersonReading::Gone(id.clone()));
                }
                None => return Ok(PersonReading::Missing(id.clone())),
            },
            PersonKey::Name(name) => {
                let fits = |user: &&DirectoryUser| user.mail.as_deref() == Some(name.as_str());
                match seen.users().filter(fits).collect::<Vec<_>>().as_slice() {
                    [] => return Ok(PersonReading::Unknown),
                    [one] => *one,
                    several => {
                        return Ok(PersonReading::Several(several.iter().map(|u| u.id.clone()).collect()));
                    }
                }
            }
        };
        let (mut direct, mut groups) = (Vec::new(), Vec::new());
        for group in seen.groups() {
            if ids(&seen, &group.id).contains(&user.id) {
                direct.push(group.id.clone());
                groups.push((group.id.clone(), group.display_name.clone()));
            }
        }
        Ok(PersonReading::Found(Box::new(PersonFound { user: user.clone(), direct, groups })))
    }
    async fn people_of(&self, address: &EmailAddress, _: &Demand) -> Result<Vec<DirectoryUser>, Failure> {
        self.request().await?;
        let seen = self.snapshot();
        Ok(seen.users().filter(|user| user.address().as_ref() == Some(address)).cloned().collect())
    }
    async fn groups_seen(
        &self,
        groups: &[DirectoryGroupId],
    ) -> Result<Vec<(DirectoryGroupId, GroupSeen)>, Failure> {
        self.request().await?;
        let seen = self.snapshot();
        let look = |id: &DirectoryGroupId| match seen.group(id) {
            None => GroupSeen::Gone,
            Some(_) if ids(&seen, id).is_empty() => GroupSeen::There(Peopled::No),
            Some(_) => GroupSeen::There(Peopled::Yes),
        };
        Ok(groups.iter().map(|id| (id.clone(), look(id))).collect())
    }
    fn requests(&self) -> RequestCounts {
        RequestCounts { directory: self.state().requests, ..RequestCounts::default() }
    }
}

fn person(n: u32, account: AccountState) -> DirectoryUser {
    DirectoryUser {
        id: user_id(n),
        display_name: Some(format!("Person {n}").into()),
        mail: Some(address(n).as_str().into()),
        user_principal_name: None,
        other_mail: None,
        account,
        kind: UserKind::Member,
        attributes: Attributes::NONE,
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
    pub(crate) clock: TestClock,
    ids: TestIds,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let kill = Kill::default();
        let scope = Scope::in_groups(vec![GroupSelector::parse("Jira *").unwrap()]);
        let (directory, clock) = (FakeDirectory::default(), TestClock::new());
        directory.state().clock = Some(clock.clone());
        Self {
            directory,
            site: FakeSite::new(kill.clone()),
            store: FakeStore::new(kill.clone()),
            kill,
            rules: Rules::for_scope(scope),
            options: Options::default(),
            clock,
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
        self.run_until_killed_with(RunOptions::new(Trigger::Manual)).await
    }
    pub(crate) async fn run_until_killed_with(&self, options: RunOptions) -> Option<RunReport> {
        let engine = self.engine();
        let told = Told::default();
        let run = engine.run(options, &told);
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
        self.assert_explained(context);
        let open = self.store.open_intents(CONNECTION).await.unwrap();
        assert!(open.is_empty(), "{context}: still open: {open:?}");
        let before = self.site.writes();
        for freshness in [Freshness::Incremental, Freshness::Full] {
            let options = RunOptions { freshness, ..RunOptions::new(Trigger::Manual) };
            let again = self.run_with(options).await;
            let context = format!("{context}, {freshness:?}");
            assert_eq!(again.status, RunStatus::Converged, "{context}: {again:?}");
            assert!(again.steps.is_empty(), "{context}: {again:?}");
            assert_eq!(self.site.writes(), before, "{context}: writes of a further run");
            self.assert_mirror(&context).await;
        }
    }

    /// The audit log has one entry for each write.
    pub(crate) fn assert_explained(&self, context: &str) {
        assert_eq!(self.explained(), self.site.written(), "{context}: audit entries by kind of write");
    }

    /// Audit entries by kind of step.
    pub(crate) fn explained(&self) -> BTreeMap<StepKind, usize> {
        let mut explained: BTreeMap<StepKind, usize> = BTreeMap::new();
        for note in &self.store.state().audit {
            if let Some(kind) = StepKind::from_word(&note.action) {
                *explained.entry(kind).or_default() += 1;
            }
        }
        explained
    }

    /// What is remembered of the site is what it is.
    pub(crate) async fn assert_mirror(&self, context: &str) {
        let Some(mirror) = self.store.site_mirror(CONNECTION).await.unwrap() else { return };
        for (group, members) in &mirror.members {
            let mut is = self.site.members_of(group);
            let mut known = members.clone();
            is.sort();
            known.sort();
            assert_eq!(known, is, "{context}: mirror of {group}");
        }
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
