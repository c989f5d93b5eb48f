//! What the service needs from behind it, as one trait that the binary implements over the store and the wired
//! engines. In its terms there is no SQL, no HTTP client and no file.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use entrain_domain::Failure;
use entrain_domain::model::RunId;
use entrain_domain::plan::explain::Explanation;
use entrain_domain::plan::{Approval, LadderRow};
use entrain_domain::reports::CredentialRow;
use entrain_domain::run::{
    AuditNote, Decided, JournalPage, JournalPart, Relation, RunFigures, RunSummary, Trigger,
};
use entrain_domain::service::{Mode, Role, Turn};
use entrain_domain::why::Why;
use entrain_engine::alerts::Looked;
use entrain_engine::check::Check;
use entrain_engine::person::{PersonOrder, PersonOutcome};
use entrain_engine::ports::Progress;
use entrain_engine::schedule::{Past, Schedule};
use entrain_engine::{Approved, Freshness, Only, Question, Selection};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::reports::{ExportForm, ExportPart, Report, Reported};

/// What a call of the trait gives back.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A connection as the service sees it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Address of its site, or a question mark where the document cannot be read any more.
    pub site: String,
    /// Whether the service may write by itself.
    pub mode: Mode,
    /// Version of its document.
    pub version: i64,
    /// When it runs by itself; nothing where the document cannot be read any more.
    pub schedule: Option<Schedule>,
    /// Its starts so far.
    pub past: Past,
    /// Its run that ended last.
    pub last: Option<RunSummary>,
    /// That run, where what guards held in it waits for a person.
    pub waits: Option<RunId>,
}

/// A run with everything that is told of it.
#[derive(Debug, Clone)]
pub struct Story {
    /// The run.
    pub run: RunSummary,
    /// What people said of its plan.
    pub decisions: Vec<Decided>,
    /// What it is to an earlier run.
    pub relation: Option<Relation>,
    /// What later runs are to it.
    pub later: Vec<(RunId, Relation)>,
}

/// What new rules would change.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The plan under the new rules, as the contract has it.
    pub plan: Value,
    /// Ids of the steps that these rules ask for and those before did not.
    pub new: BTreeSet<String>,
    /// How many steps those before asked for and these do not.
    pub gone: u64,
}

/// What the overview of a connection is drawn from. No cloud is asked for it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// People and groups that are linked.
    pub linked: (u64, u64),
    /// What runs came to, the oldest first; those that found nothing changed only of the last day.
    pub figures: Vec<RunFigures>,
    /// Credentials, the most urgent first.
    pub credentials: Vec<CredentialRow>,
    /// Everybody on the leaver ladder, whoever is due first in front.
    pub ladder: Vec<LadderRow>,
}

/// A run, as asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The connection.
    pub connection: String,
    /// What is to be done.
    pub what: What,
    /// What started it.
    pub trigger: Trigger,
    /// Who asked for it.
    pub by: String,
    /// How much is read.
    pub freshness: Freshness,
}

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bring the site in step; nothing is released.
    Sync,
    /// Bring one person or one group in step, and nothing else.
    Only(Only),
    /// Do what guards held in this run, or the selected part of it.
    Approve(RunId, Approval, Selection),
    /// Take back what this run did.
    Undo(RunId),
}

/// A key of the API, as far as it is needed to let somebody in.
#[derive(Debug, Clone)]
pub struct Key {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Role.
    pub role: Role,
    /// SHA-256 of the secret part, in hex.
    pub hash: String,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// Whether somebody took it back.
    pub revoked: Revoked,
}

/// Whether a key was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// What is kept of a write that may be sent twice.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Digest of what was asked.
    pub request: String,
    /// Status and body, once answered.
    pub answer: Option<(u16, String)>,
}

/// A side of the mirror that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searched {
    /// People.
    Users,
    /// Groups.
    Groups,
}

/// Everything that the service is served by. Failures are told to people as they are.
pub trait Service:
    Accounts
    + crate::notified::Notified
    + crate::drafts::Drafts
    + crate::rulebook::Rulebook
    + crate::dossiers::Dossiers
    + crate::sought::AuditSearch
    + crate::trials::Trials
    + crate::upkeep::Upkeep
    + crate::plan_rows::PlanRows
    + crate::previews::Previews
    + crate::ticks::Ticks
{
    /// Now.
    fn now(&self) -> Timestamp;
    /// Whether the work can be done at all: the database answers.
    fn ready(&self) -> Answer<'_, ()>;

    /// All connections.
    fn connections(&self) -> Answer<'_, Vec<Connection>>;
    /// The document of a connection, its secrets sealed.
    fn document<'a>(&'a self, connection: &'a str) -> Answer<'a, String>;
    /// Stores a document, new or again, with why where that was said; says which version it is, from 1.
    fn put<'a>(
        &'a self,
        connection: &'a str,
        document: String,
        by: &'a str,
        why: Option<Why>,
    ) -> Answer<'a, i64>;
    /// Removes a connection.
    fn remove<'a>(&'a self, connection: &'a str, by: &'a str) -> Answer<'a, ()>;
    /// Says whether the service may write by itself.
    fn set_mode<'a>(&'a self, connection: &'a str, mode: Mode, by: &'a str) -> Answer<'a, ()>;
    /// The JSON Schema of documents.
    fn schema(&self) -> Value;

    /// Tries both sides out.
    fn check<'a>(&'a self, connection: &'a str) -> Answer<'a, Vec<Check>>;
    /// Plans and writes nothing.
    fn plan<'a>(&'a self, connection: &'a str, freshness: Freshness) -> Answer<'a, Value>;
    /// Says why something is as it is.
    fn explain<'a>(
        &'a self,
        connection: &'a str,
        question: Question,
        freshness: Freshness,
    ) -> Answer<'a, Explanation>;
    /// What a new document would change, as far as both sides are remembered; nothing is stored.
    fn what_if<'a>(&'a self, connection: &'a str, document: String) -> Answer<'a, Option<Tried>>;
    /// A report.
    fn report<'a>(&'a self, connection: &'a str, report: Report) -> Answer<'a, Reported>;
    /// Looks for people or groups in the mirror of the directory.
    fn search<'a>(
        &'a self,
        connection: &'a str,
        what: Searched,
        text: &'a str,
        limit: usize,
    ) -> Answer<'a, Value>;

    /// Does a run, from its beginning to its end.
    fn run(&self, order: Order, stop: CancellationToken, progress: Arc<dyn Progress>)
    -> Answer<'_, Approved>;
    /// Notes in the audit log what somebody said of an object.
    fn note(&self, note: AuditNote) -> Answer<'_, ()>;
    /// Syncs one person beside whatever run is under way, and says what it came to as soon as everything is written.
    /// The rest (reading back, the end of its run) goes on behind it, also when the caller goes away.
    ///
    /// What comes from a sign-in is under a budget: a second sync of the same person joins the first, soon after it the
    /// same outcome is given again, and beyond so many a minute the outcome is `Access::Later`. In preview nothing is
    /// written for a sign-in, and the outcome is `Access::Waits`. Somebody unknown is an outcome, no failure.
    fn sync_person<'a>(
        &'a self,
        connection: &'a str,
        order: PersonOrder,
        progress: Arc<dyn Progress>,
    ) -> Answer<'a, PersonOutcome>;
    /// Rejects what guards held in a run.
    fn reject<'a>(&'a self, connection: &'a str, run: &'a RunId, by: &'a str) -> Answer<'a, ()>;
    /// The newest runs before this one.
    fn runs<'a>(
        &'a self,
        connection: Option<&'a str>,
        before: Option<&'a RunId>,
        limit: u32,
    ) -> Answer<'a, Vec<RunSummary>>;
    /// One run.
    fn summary<'a>(&'a self, run: &'a RunId) -> Answer<'a, RunSummary>;
    /// One run with what is told of it.
    fn story<'a>(&'a self, run: &'a RunId) -> Answer<'a, Story>;
    /// A part of its journal, the newest first, behind so many of them.
    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        part: JournalPart,
        from: usize,
        limit: u32,
    ) -> Answer<'a, JournalPage>;
    /// What the overview of a connection is drawn from; figures since then.
    fn standing<'a>(&'a self, connection: &'a str, since: Timestamp) -> Answer<'a, Standing>;
    /// One run with its journal and what people said of it, for programs.
    fn detail<'a>(&'a self, run: &'a RunId) -> Answer<'a, Value>;
    /// The plan of a run, if it got that far, as the JSON of the contract.
    fn planned<'a>(&'a self, run: &'a RunId) -> Answer<'a, Option<String>>;

    /// Entries of the audit log after this one, the oldest first, as an export has them.
    fn export_audit(&self, form: ExportForm, after: Option<i64>) -> Answer<'_, ExportPart>;
    /// Follows the chain of the audit log.
    fn verify_audit(&self) -> Answer<'_, Value>;

    /// A key by its id.
    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Key>>;
    /// Notes that a key was used.
    fn key_used<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// All keys, for people.
    fn keys(&self) -> Answer<'_, Vec<Value>>;
    /// Makes a key; the answer holds it, this once.
    fn make_key<'a>(
        &'a self,
        name: &'a str,
        role: Role,
        expires_at: Timestamp,
        by: &'a str,
    ) -> Answer<'a, Value>;
    /// Revokes a key.
    fn revoke_key<'a>(&'a self, id: &'a str, by: &'a str) -> Answer<'a, ()>;

    /// Keeps a write under the name its sender gave it, or says what is kept under that name.
    fn keep_request<'a>(&'a self, key: &'a str, name: &'a str, request: &'a str) -> Answer<'a, Option<Kept>>;
    /// Keeps the answer, or forgets the write.
    fn keep_answer<'a>(
        &'a self,
        key: &'a str,
        name: &'a str,
        answer: Option<(u16, String)>,
    ) -> Answer<'a, ()>;

    /// Notes that the schedule starts a connection, unless another server has since its last start was `before`.
    fn fired<'a>(&'a self, connection: &'a str, before: Option<Timestamp>, at: Timestamp)
    -> Answer<'a, Turn>;
    /// Connections with a run that was begun, has no end, and is done by nobody any more: its server was killed, or is
    /// not heard of.
    fn orphans(&self) -> Answer<'_, Vec<String>>;
    /// Asks a run to stop, whichever server does it.
    fn ask_to_stop<'a>(&'a self, run: &'a RunId, by: &'a str) -> Answer<'a, ()>;
    /// Whether somebody asked a run to stop.
    fn asked_to_stop<'a>(&'a self, run: &'a RunId) -> Answer<'a, bool>;
    /// Looks once after what people are told of a connection, and sends what is to be sent.
    fn look_after_alerts<'a>(&'a self, connection: &'a str) -> Answer<'a, Looked>;
    /// What people are told of, of all connections or of one: open ones first, then those that are over.
    fn alerts<'a>(&'a self, connection: Option<&'a str>) -> Answer<'a, Vec<Value>>;
    /// A person takes an alert on, with a note; gives the alert back.
    fn acknowledge_alert<'a>(&'a self, alert: &'a str, by: &'a str, note: &'a str) -> Answer<'a, Value>;
    /// Sends a test over each channel of a connection, or over one; says what became of each.
    fn test_alerts<'a>(
        &'a self,
        connection: &'a str,
        channel: Option<&'a str>,
        by: &'a str,
    ) -> Answer<'a, Vec<Value>>;
}
