//! What is remembered from run to run, and who may go on with a run.

use std::future::Future;

use entrain_domain::Failure;
use entrain_domain::memory::{Memory, MemoryChange, OnLadder};
use entrain_domain::model::{
    Account, AccountId, Assignments, DirectoryReading, DirectoryUser, DirectoryUserId, Ground, Presence,
    RunId, SiteGroup, SiteGroupId, SitePicture, SiteSnapshot,
};
use entrain_domain::plan::{History, StepId, StepKind};
use entrain_domain::run::{
    AuditNote, Decided, Intent, JournalEntry, Phase, Relation, RunReport, RunSubject, RunSummary, StepEnd,
    Trigger,
};
use jiff::Timestamp;

use super::{DirectoryRead, Watermark};

/// What the mirrors of both sides were read for, and when last in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Fingerprint of what was asked of the directory.
    pub demand: String,
    /// Fingerprint of the rules of the run that learnt them.
    pub rules: String,
    /// When both sides were last read in full.
    pub full_at: Timestamp,
}

/// Whether the site's mirror has everything that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteState {
    /// It has.
    Settled,
    /// Writes may have followed.
    Writing,
}

/// What is known of the mirrors without loading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorHead {
    /// Where the next read of the directory by delta begins.
    pub watermark: Watermark,
    /// What both were read for.
    pub basis: Basis,
    /// Whether the site's has everything that was written.
    pub state: SiteState,
}

/// Everything that one run learns from its reads, stored in one transaction: the watermark is never ahead of what was
/// learnt.
#[derive(Debug, Clone, Copy)]
pub struct Learnt<'a> {
    /// Observations for links and ledger.
    pub changes: &'a [MemoryChange],
    /// The directory with its watermark.
    pub directory: &'a DirectoryRead,
    /// The site.
    pub site: &'a SiteSnapshot,
    /// Whether the run is going to write.
    pub state: SiteState,
    /// What was read, and when.
    pub basis: &'a Basis,
    /// Where the gate of persons' syncs stood when the run began to read: of whoever passed it since, nothing is learnt.
    pub since: Option<Gate>,
}

/// Where a connection's gate stands. A person's sync passes it when it begins and when it ends, so that order needs no
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gate(pub i64);

/// Whether a person's sync began, ended or is under way since a run over everything began to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overtaken {
    /// It does: the run leaves the person alone.
    Yes,
    /// It does not.
    No,
}

/// Who has a person's sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonClaim {
    /// The caller.
    Ours,
    /// A run that is under way.
    Run(RunId),
}

/// The run of a person's sync, of which the plan stands.
#[derive(Debug, Clone, Copy)]
pub struct PlannedRun<'a> {
    /// Its id.
    pub run: &'a RunId,
    /// Whom it is about.
    pub subject: &'a RunSubject,
    /// What started it.
    pub trigger: Trigger,
    /// When.
    pub at: Timestamp,
}

/// What the sync of one person begins with.
#[derive(Debug, Clone)]
pub struct AboutPerson {
    /// Their part of the memory, with all links of groups; limits count against the whole.
    pub memory: Memory,
    /// Them, as the directory's mirror has them.
    pub mirrored: Option<DirectoryUser>,
    /// To whom the application of the scope was assigned, as last listed.
    pub assignments: Option<Assignments>,
    /// What is known of the mirrors; `None` unless there are both.
    pub head: Option<MirrorHead>,
    /// Which state the groups of both mirrors are in.
    pub ground_stamp: String,
    /// What guards look at.
    pub history: History,
}

/// A run that was begun and has no end yet.
#[derive(Debug, Clone)]
pub struct UnfinishedRun {
    /// Id.
    pub id: RunId,
    /// Trigger.
    pub trigger: Trigger,
    /// How far it got.
    pub phase: Phase,
    /// Start.
    pub started_at: Timestamp,
    /// Its journal.
    pub journal: Vec<JournalEntry>,
}

/// A journal entry that still says [`Outcome::Intent`](entrain_domain::run::Outcome::Intent): its call may have
/// happened. Left by a killed run, or by a call whose answer was lost and whose effect could not be found in time.
#[derive(Debug, Clone)]
pub struct OpenIntent {
    /// The run in whose journal it stands, ended or not.
    pub run: RunId,
    /// The entry.
    pub entry: JournalEntry,
}

/// Another run holds the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// Who, as told by the holder: host, process, since when.
    pub holder: String,
}

/// Why a connection could not be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimError {
    /// Another run holds it.
    Busy(Busy),
    /// The store failed.
    Failed(Failure),
}

/// What a run remembers. Every write is durable when it returns.
pub trait Store: Send + Sync {
    /// Held for the length of a run; the connection is free again when it is dropped, or when its process dies.
    type Claim: Send;

    /// Claims a connection for one run, also between processes.
    fn claim(
        &self,
        connection: &str,
        holder: &str,
    ) -> impl Future<Output = Result<Self::Claim, ClaimError>> + Send;
    /// Links and ledger.
    fn memory(&self, connection: &str) -> impl Future<Output = Result<Memory, Failure>> + Send;
    /// Everybody on the leaver ladder, without the rest of what is remembered.
    fn ladder(&self, connection: &str) -> impl Future<Output = Result<Vec<OnLadder>, Failure>> + Send;
    /// What guards look at.
    fn history(
        &self,
        connection: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<History, Failure>> + Send;
    /// The run that was under way when its process ended, if there is one.
    fn unfinished(
        &self,
        connection: &str,
    ) -> impl Future<Output = Result<Option<UnfinishedRun>, Failure>> + Send;
    /// Every journal entry of the connection that still says `Intent`, of whichever run: what the next run looks up
    /// before it plans, so that nobody is invited twice.
    fn open_intents(&self, connection: &str)
    -> impl Future<Output = Result<Vec<OpenIntent>, Failure>> + Send;
    /// Begins a run about one person or one group.
    fn begin_about(
        &self,
        run: &RunId,
        connection: &str,
        trigger: Trigger,
        subject: &RunSubject,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Begins the run of a person's sync once its plan stands, as far as it got by that: the plan is the JSON of the
    /// contract.
    fn begin_planned(
        &self,
        connection: &str,
        begun: PlannedRun<'_>,
        phase: Phase,
        plan: &str,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Where the gate of persons' syncs stands.
    fn gate(&self, connection: &str) -> impl Future<Output = Result<Gate, Failure>> + Send;
    /// Claims a person for a run until this instant, beside any run over everything, with the account of their link;
    /// passes the gate.
    fn claim_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
        until: Timestamp,
    ) -> impl Future<Output = Result<PersonClaim, Failure>> + Send;
    /// Gives a person free; passes the gate.
    fn release_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Ends the run of a person's sync and gives the person free; passes the gate.
    fn end_person(
        &self,
        report: &RunReport,
        note: AuditNote,
        user: &DirectoryUserId,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Whether the sync of a person, or of the owner of an account, passed the gate since, or is under way.
    fn overtaken(
        &self,
        connection: &str,
        user: Option<&DirectoryUserId>,
        account: Option<&AccountId>,
        since: Gate,
    ) -> impl Future<Output = Result<Overtaken, Failure>> + Send;
    /// The run that has a person's sync.
    fn claimed_by(
        &self,
        connection: &str,
        user: &DirectoryUserId,
    ) -> impl Future<Output = Result<Option<RunId>, Failure>> + Send;
    /// Site groups whose members runs about one person or group wrote since, or are writing.
    fn written_beside(
        &self,
        connection: &str,
        since: Gate,
    ) -> impl Future<Output = Result<Vec<SiteGroupId>, Failure>> + Send;
    /// Runs about one person or group without an end, whose process is gone.
    fn abandoned(&self, connection: &str)
    -> impl Future<Output = Result<Vec<UnfinishedRun>, Failure>> + Send;
    /// Every journal entry that still says `Intent`, this run's excepted, those of runs under way included; syncs of
    /// other people that are under way may be left out.
    fn open_beside(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
    ) -> impl Future<Output = Result<Vec<OpenIntent>, Failure>> + Send;
    /// People whose link has this account, or this address.
    fn linked_by(
        &self,
        connection: &str,
        text: &str,
    ) -> impl Future<Output = Result<Vec<DirectoryUserId>, Failure>> + Send;
    /// The part of memory that is about one person and these accounts, with all links of groups; limits count against
    /// the whole.
    fn person_memory(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        accounts: &[AccountId],
    ) -> impl Future<Output = Result<Memory, Failure>> + Send;
    /// Remembers observations about a person who is claimed, and whose account theirs turned out to be; the mirrors stay
    /// as they are.
    fn learn_of_person(
        &self,
        connection: &str,
        changes: &[MemoryChange],
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Puts into the site's mirror what was written for one person or one group: accounts, groups that were made,
    /// memberships. A run that goes on to verify is noted to do so.
    fn patch_site(
        &self,
        connection: &str,
        accounts: &[Account],
        made: &[SiteGroup],
        members: &[(SiteGroupId, AccountId, Presence)],
        verifying: Option<&RunId>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// The groups of both mirrors, without people.
    fn ground(&self, connection: &str) -> impl Future<Output = Result<Ground, Failure>> + Send;
    /// Everything that the sync of one person begins with, from one look. Of what other processes have done within two
    /// seconds the counts over the whole connection and the links of groups may not tell yet.
    fn about_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        now: Timestamp,
    ) -> impl Future<Output = Result<AboutPerson, Failure>> + Send;
    /// Begins a run.
    fn begin(
        &self,
        run: &RunId,
        connection: &str,
        trigger: Trigger,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Notes a passage; with the plan, as the JSON of the contract, once it stands.
    fn phase(
        &self,
        run: &RunId,
        phase: Phase,
        plan: Option<String>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Journals that a step is about to be sent. Returns only when it is on disk. A step of this name that the run
    /// has journaled before (a run that goes on after a kill) is opened again: one entry per step and run.
    fn intend(
        &self,
        run: &RunId,
        step: &StepId,
        kind: StepKind,
        intent: &Intent,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Journals the end of a step, with what it changes and its audit entry, in one transaction.
    fn settle(&self, run: &RunId, end: &StepEnd) -> impl Future<Output = Result<(), Failure>> + Send;
    /// The report of the newest run, if it has ended.
    fn last_report(
        &self,
        connection: &str,
    ) -> impl Future<Output = Result<Option<RunReport>, Failure>> + Send;
    /// What is known of the mirrors without loading them; `None` unless there are both.
    fn mirror_head(
        &self,
        connection: &str,
    ) -> impl Future<Output = Result<Option<MirrorHead>, Failure>> + Send;
    /// The directory's mirror.
    fn directory_mirror(
        &self,
        connection: &str,
    ) -> impl Future<Output = Result<Option<DirectoryReading>, Failure>> + Send;
    /// The site's mirror.
    fn site_mirror(
        &self,
        connection: &str,
    ) -> impl Future<Output = Result<Option<SitePicture>, Failure>> + Send;
    /// Remembers what was read: observations, the mirrors of both sides and the watermark, in one transaction.
    fn learn(&self, connection: &str, learnt: Learnt<'_>)
    -> impl Future<Output = Result<(), Failure>> + Send;
    /// Remembers the site as a run left it, with what it wrote and read back.
    fn learn_site(
        &self,
        connection: &str,
        site: &SiteSnapshot,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Remembers what became known while a run wrote, beside the outcomes of its steps.
    fn remember(
        &self,
        connection: &str,
        changes: &[MemoryChange],
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Remembers that nothing has changed in the directory up to here.
    fn advance(
        &self,
        connection: &str,
        watermark: &Watermark,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// The newest journal entries about an object, newest first. The object is one part of a step's name
    /// ([`StepId`]): a directory id, or `account:` and an account's.
    fn journal_about(
        &self,
        connection: &str,
        object: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(RunId, JournalEntry)>, Failure>> + Send;
    /// A run.
    fn run(&self, run: &RunId) -> impl Future<Output = Result<RunSummary, Failure>> + Send;
    /// The plan of a run as it was noted, if it got that far.
    fn plan(&self, run: &RunId) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
    /// The journal of a run, in the order of intents.
    fn journal(&self, run: &RunId) -> impl Future<Output = Result<Vec<JournalEntry>, Failure>> + Send;
    /// Notes what a run that has begun is to an earlier one.
    fn relate(&self, run: &RunId, relation: &Relation) -> impl Future<Output = Result<(), Failure>> + Send;
    /// What a run is to an earlier one.
    fn relation(&self, run: &RunId) -> impl Future<Output = Result<Option<Relation>, Failure>> + Send;
    /// The later runs that approve or undo a run, the oldest first.
    fn later_runs(
        &self,
        earlier: &RunId,
    ) -> impl Future<Output = Result<Vec<(RunId, Relation)>, Failure>> + Send;
    /// Notes a person's word on a held plan, with its audit entry, in one transaction.
    fn decide(
        &self,
        run: &RunId,
        decided: &Decided,
        note: AuditNote,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// What people said of a run's plan, the oldest word first.
    fn decisions(&self, run: &RunId) -> impl Future<Output = Result<Vec<Decided>, Failure>> + Send;
    /// Ends a run.
    fn end(&self, report: &RunReport, note: AuditNote) -> impl Future<Output = Result<(), Failure>> + Send;
}
