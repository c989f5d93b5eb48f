//! A store in memory, whose state survives a kill of the run that writes it.

use super::site::refusal;
use super::*;

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
    relations: Vec<(RunId, Relation)>,
    decisions: BTreeMap<RunId, Vec<Decided>>,
    pub(crate) watermark: Option<String>,
    pub(crate) users_before: Option<usize>,
    directory: Option<DirectoryReading>,
    site: Option<SitePicture>,
    head: Option<MirrorHead>,
    claimed: Option<String>,
    gate: i64,
    persons: BTreeMap<DirectoryUserId, PersonState>,
    pub(crate) intend_fails: bool,
    disk: Option<Disk>,
    /// Writes that were not, or were not said to be, stored.
    pub(crate) writes_failed: u64,
    /// Transactions, claims of persons not counted.
    pub(crate) writes: u64,
}

/// The last sync of a person.
#[derive(Debug)]
struct PersonState {
    account: Option<AccountId>,
    run: Option<RunId>,
    n: i64,
}

/// A disk that goes bad after so many writes.
#[derive(Debug, Clone, Copy)]
struct Disk {
    writes_left: u64,
    fault: DiskFault,
}

/// What goes wrong with writes to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// One is not stored, and this is said.
    Once,
    /// One is stored, and it is said that it was not.
    StoredAndDenied,
    /// From here on none is stored.
    FromHereOn,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) trigger: Trigger,
    pub(crate) phase: Phase,
    pub(crate) started_at: Timestamp,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) plan: Option<String>,
    pub(crate) report: Option<RunReport>,
    pub(crate) subject: Option<RunSubject>,
    gate: i64,
}

pub(crate) struct Claim(Arc<Mutex<StoreState>>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.lock().unwrap().claimed = None;
    }
}

impl FakeStore {
    /// Claims of persons whose process died end, as time lets them.
    pub(crate) fn persons_claims_end(&self) {
        for person in self.state().persons.values_mut() {
            person.run = None;
        }
    }

    pub(crate) fn new(kill: Kill) -> Self {
        Self { state: Arc::default(), kill }
    }
    pub(crate) fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap()
    }
    /// The nth write from now, counted from one, meets this fault.
    pub(crate) fn disk_fails(&self, nth: u64, fault: DiskFault) {
        self.state().disk = Some(Disk { writes_left: nth, fault });
    }
    /// There is room again, and the disk is sound.
    pub(crate) fn disk_mended(&self) {
        self.state().disk = None;
    }
    /// One durable write with a write point before and after.
    async fn write(&self, act: impl FnOnce(&mut StoreState)) -> Result<(), Failure> {
        self.kill.point().await;
        let result = self.state().store(act);
        self.kill.point().await;
        result
    }
}

impl StoreState {
    fn end(&mut self, report: &RunReport, note: AuditNote) {
        let run = self.runs.get_mut(&report.run_id).unwrap();
        assert!(run.report.is_none(), "a run ends once");
        run.report = Some(report.clone());
        run.phase = Phase::Ended;
        self.audit.push(note);
    }

    fn release(&mut self, user: &DirectoryUserId, run: &RunId) {
        self.gate += 1;
        let n = self.gate;
        if let Some(run) = self.runs.get_mut(run) {
            run.gate = n;
        }
        let person = self.persons.get_mut(user).unwrap();
        (person.run, person.n) = (None, n);
    }

    fn has_passed(person: &PersonState, since: Gate) -> bool {
        person.n > since.0 || person.run.is_some()
    }

    fn is_about_overtaken(&self, change: &MemoryChange, since: Gate) -> bool {
        let passed = |user: Option<&DirectoryUserId>, account: Option<&AccountId>| {
            self.persons.iter().any(|(id, person)| {
                let theirs = Some(id) == user || (account.is_some() && person.account.as_ref() == account);
                theirs && Self::has_passed(person, since)
            })
        };
        match change {
            MemoryChange::LinkUser(link) => passed(Some(&link.user), Some(&link.account)),
            MemoryChange::OwnMembership { account, .. } | MemoryChange::DisownMembership { account, .. } => {
                passed(None, Some(account))
            }
            _ => false,
        }
    }

    fn store(&mut self, act: impl FnOnce(&mut Self)) -> Result<(), Failure> {
        let fault = self.disk.as_mut().and_then(|disk| {
            disk.writes_left = disk.writes_left.saturating_sub(1);
            (disk.writes_left == 0).then_some(disk.fault)
        });
        if fault.is_none() || fault == Some(DiskFault::StoredAndDenied) {
            self.writes += 1;
            act(self);
        }
        let Some(fault) = fault else { return Ok(()) };
        self.writes_failed += 1;
        if fault != DiskFault::FromHereOn {
            self.disk = None;
        }
        Err(refusal(FailureCode::StoreFailed, FailureClass::Local))
    }
}

fn picture(site: &SiteSnapshot) -> SitePicture {
    let members = site.groups_read().filter_map(|(group, members)| match members {
        SiteMembers::Complete(list) => Some((group.clone(), list.clone())),
        SiteMembers::Unread(_) => None,
    });
    SitePicture {
        accounts: site.accounts().to_vec(),
        groups: site.groups().to_vec(),
        members: members.collect(),
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
    async fn ladder(&self, _connection: &str) -> Result<Vec<OnLadder>, Failure> {
        Ok(self.state().memory.ladder().cloned().collect())
    }
    async fn memory(&self, _connection: &str) -> Result<Memory, Failure> {
        Ok(self.state().memory.clone())
    }
    async fn history(&self, _connection: &str, now: Timestamp) -> Result<History, Failure> {
        let state = self.state();
        let since = now - jiff::SignedDuration::from_hours(24);
        let approved = |run: &RunId| {
            let relates = |(later, relation): &(RunId, Relation)| {
                later == run && matches!(relation, Relation::Approves(_))
            };
            state.relations.iter().any(relates) || state.decisions.contains_key(run)
        };
        let first = state
            .runs
            .values()
            .filter(|run| run.subject.is_none())
            .filter(|run| run.report.as_ref().is_some_and(|r| r.status == RunStatus::Converged))
            .map(|run| run.started_at)
            .min();
        let mut last_24h = PerKind::default();
        for (_, run) in state.runs.iter().filter(|(id, _)| !approved(id)) {
            let after = first.is_some_and(|first| run.started_at > first);
            for entry in run.journal.iter().filter(|e| e.outcome == Outcome::Done && e.at > since) {
                if after || entry.kind.effect() != Effect::Gives {
                    last_24h.add(entry.kind, 1);
                }
            }
        }
        let converged = |run: &Run| {
            run.subject.is_none() && run.report.as_ref().is_some_and(|r| r.status == RunStatus::Converged)
        };
        Ok(History {
            converged_before: if state.runs.values().any(converged) { Before::Once } else { Before::Never },
            last_24h,
            users_before: state.users_before,
        })
    }
    async fn unfinished(&self, _connection: &str) -> Result<Option<UnfinishedRun>, Failure> {
        let state = self.state();
        Ok(state.runs.iter().find(|(_, run)| run.report.is_none() && run.subject.is_none()).map(
            |(id, run)| UnfinishedRun {
                id: id.clone(),
                trigger: run.trigger,
                phase: run.phase,
                started_at: run.started_at,
                journal: run.journal.clone(),
            },
        ))
    }
    async fn open_intents(&self, _connection: &str) -> Result<Vec<OpenIntent>, Failure> {
        let state = self.state();
        let mut open = Vec::new();
        for (id, run) in &state.runs {
            if state.persons.values().any(|person| person.run.as_ref() == Some(id)) {
                continue;
            }
            for entry in run.journal.iter().filter(|entry| entry.outcome == Outcome::Intent) {
                open.push(OpenIntent { run: id.clone(), entry: entry.clone() });
            }
        }
        Ok(open)
    }
    async fn begin(&self, run: &RunId, _: &str, trigger: Trigger, at: Timestamp) -> Result<(), Failure> {
        self.write(|state| {
            let begun = Run {
                trigger,
                phase: Phase::Reading,
                started_at: at,
                journal: Vec::new(),
                plan: None,
                report: None,
                subject: None,
                gate: 0,
            };
            assert!(state.runs.insert(run.clone(), begun).is_none(), "a run begins once");
        })
        .await
    }
    async fn begin_about(
        &self,
        run: &RunId,
        connection: &str,
        trigger: Trigger,
        subject: &RunSubject,
        at: Timestamp,
    ) -> Result<(), Failure> {
        self.begin(run, connection, trigger, at).await?;
        self.state().runs.get_mut(run).unwrap().subject = Some(subject.clone());
        Ok(())
    }
    async fn begin_planned(
        &self,
        _: &str,
        begun: PlannedRun<'_>,
        phase: Phase,
        plan: &str,
    ) -> Result<(), Failure> {
        self.write(|state| {
            let run = Run {
                trigger: begun.trigger,
                phase,
                started_at: begun.at,
                journal: Vec::new(),
                plan: Some(plan.to_owned()),
                report: None,
                subject: Some(begun.subject.clone()),
                gate: 0,
            };
            assert!(state.runs.insert(begun.run.clone(), run).is_none(), "a run begins once");
        })
        .await
    }
    async fn gate(&self, _: &str) -> Result<Gate, Failure> {
        Ok(Gate(self.state().gate))
    }
    async fn claim_person(
        &self,
        _: &str,
        user: &DirectoryUserId,
        run: &RunId,
        _until: Timestamp,
    ) -> Result<PersonClaim, Failure> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        if let Some(other) = state.persons.get(user).and_then(|person| person.run.clone()) {
            return Ok(PersonClaim::Run(other));
        }
        state.gate += 1;
        let n = state.gate;
        let account = state.memory.user(user).map(|link| link.account.clone());
        let person = state.persons.entry(user.clone()).or_insert(PersonState { account: None, run: None, n });
        (person.run, person.n) = (Some(run.clone()), n);
        person.account = account.or(person.account.take());
        Ok(PersonClaim::Ours)
    }
    async fn release_person(&self, _: &str, user: &DirectoryUserId, run: &RunId) -> Result<(), Failure> {
        self.state().release(user, run);
        Ok(())
    }
    async fn end_person(
        &self,
        report: &RunReport,
        note: AuditNote,
        user: &DirectoryUserId,
    ) -> Result<(), Failure> {
        self.write(|state| {
            state.end(report, note);
            state.release(user, &report.run_id);
        })
        .await
    }
    async fn overtaken(
        &self,
        _: &str,
        user: Option<&DirectoryUserId>,
        account: Option<&AccountId>,
        since: Gate,
    ) -> Result<Overtaken, Failure> {
        // Without anybody to look for, the order of a run's calls stays as it is.
        if self.state().persons.is_empty() {
            return Ok(Overtaken::No);
        }
        tokio::task::yield_now().await;
        let state = self.state();
        let passed = state.persons.iter().any(|(id, person)| {
            let theirs = Some(id) == user || (account.is_some() && person.account.as_ref() == account);
            theirs && StoreState::has_passed(person, since)
        });
        Ok(if passed { Overtaken::Yes } else { Overtaken::No })
    }
    async fn claimed_by(&self, _: &str, user: &DirectoryUserId) -> Result<Option<RunId>, Failure> {
        Ok(self.state().persons.get(user).and_then(|person| person.run.clone()))
    }
    async fn written_beside(&self, _: &str, since: Gate) -> Result<Vec<SiteGroupId>, Failure> {
        let state = self.state();
        let beside = |run: &&Run| run.subject.is_some() && (run.gate > since.0 || run.report.is_none());
        let entries = state.runs.values().filter(beside).flat_map(|run| &run.journal);
        Ok(entries
            .filter_map(|entry| match &entry.intent {
                Intent::AddMember { group, .. } | Intent::RemoveMember { group, .. } => Some(group.clone()),
                _ => None,
            })
            .collect())
    }
    async fn abandoned(&self, _: &str) -> Result<Vec<UnfinishedRun>, Failure> {
        let state = self.state();
        let live = |id: &RunId| state.persons.values().any(|person| person.run.as_ref() == Some(id));
        let dead =
            state.runs.iter().filter(|(id, run)| run.subject.is_some() && run.report.is_none() && !live(id));
        Ok(dead
            .map(|(id, run)| UnfinishedRun {
                id: id.clone(),
                trigger: run.trigger,
                phase: run.phase,
                started_at: run.started_at,
                journal: run.journal.clone(),
            })
            .collect())
    }
    async fn open_beside(
        &self,
        _: &str,
        _: &DirectoryUserId,
        run: &RunId,
    ) -> Result<Vec<OpenIntent>, Failure> {
        let state = self.state();
        let mut open = Vec::new();
        for (id, other) in state.runs.iter().filter(|(id, _)| *id != run) {
            for entry in other.journal.iter().filter(|entry| entry.outcome == Outcome::Intent) {
                open.push(OpenIntent { run: id.clone(), entry: entry.clone() });
            }
        }
        Ok(open)
    }
    async fn linked_by(&self, _: &str, text: &str) -> Result<Vec<DirectoryUserId>, Failure> {
        let state = self.state();
        let fits = |link: &&entrain_domain::memory::UserLink| {
            link.account.as_str() == text
                || link.address.as_deref().is_some_and(|a| a.eq_ignore_ascii_case(text))
        };
        Ok(state.memory.users().filter(fits).map(|link| link.user.clone()).collect())
    }
    async fn person_memory(
        &self,
        _: &str,
        user: &DirectoryUserId,
        accounts: &[AccountId],
    ) -> Result<Memory, Failure> {
        let state = self.state();
        let whole = &state.memory;
        let mut part = Memory::new();
        for link in whole.users().filter(|link| link.user == *user || accounts.contains(&link.account)) {
            part.link_user(link.clone());
        }
        for link in whole.groups() {
            part.link_group(link.clone());
        }
        let own = part.user(user).map(|link| link.account.clone());
        let mut size = Size {
            users: whole.users().len(),
            memberships: whole.membership_count(),
            holders: whole.holders(),
            ..Size::default()
        };
        for (group, account, origin) in whole.all_memberships() {
            if own.as_ref() == Some(account) || accounts.contains(account) {
                part.own_membership(group, account, origin);
                size.of_groups.insert(group.clone(), whole.memberships_of(group));
            }
        }
        for (step, mark) in whole.marks() {
            part.mark_step(step, mark.clone());
        }
        for place in whole.ladder().filter(|place| place.user == *user) {
            part.apply(&MemoryChange::EnterLadder(Box::new(place.clone())));
        }
        part.part_of(size);
        Ok(part)
    }
    async fn learn_of_person(&self, connection: &str, changes: &[MemoryChange]) -> Result<(), Failure> {
        self.remember(connection, changes).await?;
        let mut state = self.state();
        for change in changes {
            if let MemoryChange::LinkUser(link) = change
                && let Some(person) = state.persons.get_mut(&link.user)
            {
                person.account = Some(link.account.clone());
            }
        }
        Ok(())
    }
    async fn patch_site(
        &self,
        _: &str,
        accounts: &[Account],
        made: &[SiteGroup],
        members: &[(SiteGroupId, AccountId, Presence)],
        verifying: Option<&RunId>,
    ) -> Result<(), Failure> {
        self.write(|state| {
            if let Some(run) = verifying {
                state.runs.get_mut(run).unwrap().phase = Phase::Verifying;
            }
            let Some(site) = &mut state.site else { return };
            for account in accounts {
                site.accounts.retain(|known| known.id != account.id);
                site.accounts.push(account.clone());
            }
            for group in made {
                site.groups.push(group.clone());
                site.members.insert(group.id.clone(), Vec::new());
            }
            for (group, account, presence) in members {
                let Some(known) = site.members.get_mut(group) else { continue };
                known.retain(|id| id != account);
                if *presence == Presence::In {
                    known.push(account.clone());
                    known.sort();
                }
            }
        })
        .await
    }
    async fn ground(&self, _: &str) -> Result<Ground, Failure> {
        let state = self.state();
        let mut ground = Ground::default();
        if let Some(reading) = &state.directory {
            for (id, name) in reading.groups() {
                let (id, nested) = (id.clone(), reading.nested_groups(id));
                ground.directory.push(KnownGroup { id, name: name.into(), nested });
            }
        }
        ground.site.extend(state.site.iter().flat_map(|site| site.groups.clone()));
        Ok(ground)
    }
    async fn about_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        now: Timestamp,
    ) -> Result<AboutPerson, Failure> {
        let memory = self.person_memory(connection, user, &[]).await?;
        let history = self.history(connection, now).await?;
        let head = self.mirror_head(connection).await?;
        let state = self.state();
        let groups = state.site.as_ref().map(|site| site.groups.len());
        let reading = state.directory.as_ref();
        Ok(AboutPerson {
            memory,
            mirrored: reading.and_then(|reading| reading.known_user(user).cloned()),
            assignments: reading.and_then(|reading| reading.assignments().cloned()),
            ground_stamp: format!("{:?} {groups:?}", state.head),
            head,
            history,
        })
    }
    async fn phase(&self, run: &RunId, phase: Phase, plan: Option<String>) -> Result<(), Failure> {
        self.write(|state| {
            let run = state.runs.get_mut(run).unwrap();
            run.phase = phase;
            if let Some(plan) = plan {
                run.plan = Some(plan);
            }
        })
        .await
    }
    async fn run(&self, run: &RunId) -> Result<RunSummary, Failure> {
        let state = self.state();
        let known =
            state.runs.get(run).ok_or_else(|| refusal(FailureCode::RunUnknown, FailureClass::Local))?;
        Ok(RunSummary {
            id: run.clone(),
            connection: CONNECTION.into(),
            trigger: known.trigger,
            status: known.report.as_ref().map_or(RunStatus::Running, |report| report.status),
            phase: known.phase,
            started_at: known.started_at,
            report: known.report.clone(),
        })
    }
    async fn plan(&self, run: &RunId) -> Result<Option<String>, Failure> {
        Ok(self.state().runs.get(run).and_then(|run| run.plan.clone()))
    }
    async fn journal(&self, run: &RunId) -> Result<Vec<JournalEntry>, Failure> {
        Ok(self.state().runs.get(run).map(|run| run.journal.clone()).unwrap_or_default())
    }
    async fn relate(&self, run: &RunId, relation: &Relation) -> Result<(), Failure> {
        self.write(|state| state.relations.push((run.clone(), relation.clone()))).await
    }
    async fn relation(&self, run: &RunId) -> Result<Option<Relation>, Failure> {
        let state = self.state();
        Ok(state.relations.iter().find(|(later, _)| later == run).map(|(_, relation)| relation.clone()))
    }
    async fn later_runs(&self, earlier: &RunId) -> Result<Vec<(RunId, Relation)>, Failure> {
        let state = self.state();
        Ok(state.relations.iter().filter(|(_, relation)| relation.run() == earlier).cloned().collect())
    }
    async fn decide(&self, run: &RunId, decided: &Decided, note: AuditNote) -> Result<(), Failure> {
        self.write(|state| {
            let decisions = state.decisions.entry(run.clone()).or_default();
            decisions.retain(|known| known.actor != decided.actor);
            decisions.push(decided.clone());
            state.audit.push(note);
        })
        .await
    }
    async fn decisions(&self, run: &RunId) -> Result<Vec<Decided>, Failure> {
        Ok(self.state().decisions.get(run).cloned().unwrap_or_default())
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
        .await
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
        .await
    }
    async fn last_report(&self, _connection: &str) -> Result<Option<RunReport>, Failure> {
        let state = self.state();
        let last = state.runs.values().rfind(|run| run.subject.is_none());
        Ok(last.and_then(|run| run.report.clone()))
    }
    async fn mirror_head(&self, _connection: &str) -> Result<Option<MirrorHead>, Failure> {
        Ok(self.state().head.clone())
    }
    async fn directory_mirror(&self, _connection: &str) -> Result<Option<DirectoryReading>, Failure> {
        Ok(self.state().directory.clone().map(DirectoryReading::remembered))
    }
    async fn site_mirror(&self, _connection: &str) -> Result<Option<SitePicture>, Failure> {
        Ok(self.state().site.clone())
    }
    async fn learn(&self, _: &str, learnt: Learnt<'_>) -> Result<(), Failure> {
        let read = learnt.directory;
        let users = read.snapshot.users().count();
        let picture = picture(learnt.site);
        self.write(|state| {
            for change in learnt.changes {
                if !learnt.since.is_some_and(|since| state.is_about_overtaken(change, since)) {
                    state.memory.apply(change);
                }
            }
            state.watermark = Some(read.watermark.users.clone());
            state.users_before = Some(users);
            state.directory = Some(read.snapshot.clone().into_reading());
            state.site = Some(picture);
            state.head = Some(MirrorHead {
                watermark: read.watermark.clone(),
                basis: learnt.basis.clone(),
                state: learnt.state,
            });
        })
        .await
    }
    async fn learn_site(&self, _: &str, site: &SiteSnapshot) -> Result<(), Failure> {
        let picture = picture(site);
        self.write(|state| {
            state.site = Some(picture);
            state.head.as_mut().unwrap().state = SiteState::Settled;
        })
        .await
    }
    async fn remember(
        &self,
        _: &str,
        changes: &[entrain_domain::memory::MemoryChange],
    ) -> Result<(), Failure> {
        self.write(|state| {
            for change in changes {
                state.memory.apply(change);
            }
        })
        .await
    }
    async fn advance(&self, _: &str, watermark: &Watermark) -> Result<(), Failure> {
        self.write(|state| {
            state.watermark = Some(watermark.users.clone());
            state.head.as_mut().unwrap().watermark = watermark.clone();
        })
        .await
    }
    async fn journal_about(
        &self,
        _: &str,
        object: &str,
        limit: u32,
    ) -> Result<Vec<(RunId, JournalEntry)>, Failure> {
        let state = self.state();
        let journals =
            state.runs.iter().flat_map(|(run, r)| r.journal.iter().map(|e| (run.clone(), e.clone())));
        let about = |entry: &JournalEntry| entry.step.as_str().split('/').skip(1).any(|part| part == object);
        let mut found: Vec<_> = journals.filter(|(_, entry)| about(entry)).collect();
        found.sort_by_key(|(run, entry)| std::cmp::Reverse((entry.at, run.clone())));
        found.truncate(limit as usize);
        Ok(found)
    }
    async fn end(&self, report: &RunReport, note: AuditNote) -> Result<(), Failure> {
        self.write(|state| state.end(report, note)).await
    }
}
