//! The records of a run: what triggered it, how far it got, its journal, and the report people and programs read.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::failure::Failure;
use crate::memory::MemoryChange;
use crate::model::RunId;
use crate::plan::{Digest, DriftKind, Held, MendedBy, SeatForecast, SetAside, StepId, StepKind, Waiting};

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person, by command, console or API.
    Manual,
    /// `entrain apply` of a saved plan.
    SavedPlan,
    /// The schedule.
    Schedule,
    /// A sign-in.
    SignIn,
    /// A change notification.
    Notification,
    /// A person's approval of what guards held in an earlier run.
    Approval,
    /// A person takes back what an earlier run did.
    Undo,
}

impl Trigger {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::SavedPlan => "saved_plan",
            Self::Schedule => "schedule",
            Self::SignIn => "sign_in",
            Self::Notification => "notification",
            Self::Approval => "approval",
            Self::Undo => "undo",
        }
    }
    /// The trigger stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Manual,
            Self::SavedPlan,
            Self::Schedule,
            Self::SignIn,
            Self::Notification,
            Self::Approval,
            Self::Undo,
        ]
        .into_iter()
        .find(|t| t.as_str() == word)
    }
}

/// What a run is about when it is not about everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RunSubject {
    /// One person, beside a run over everything.
    Person(crate::model::DirectoryUserId),
    /// One person, or one group with its members, as somebody named it.
    Asked(String),
}

impl RunSubject {
    /// The text stored.
    pub fn to_text(&self) -> String {
        match self {
            Self::Person(user) => format!("person:{user}"),
            Self::Asked(text) => format!("asked:{text}"),
        }
    }
}

/// What a run is to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// It does what guards held in that run.
    Approves(RunId),
    /// It takes back what that run did.
    Undoes(RunId),
}

impl Relation {
    /// The word stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approves(_) => "approves",
            Self::Undoes(_) => "undoes",
        }
    }
    /// The earlier run.
    pub fn run(&self) -> &RunId {
        match self {
            Self::Approves(run) | Self::Undoes(run) => run,
        }
    }
    /// The relation stored under a word.
    pub fn from_word(word: &str, run: RunId) -> Option<Self> {
        match word {
            "approves" => Some(Self::Approves(run)),
            "undoes" => Some(Self::Undoes(run)),
            _ => None,
        }
    }
}

/// What a person said of a held plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is to be done.
    Approved,
    /// It is not.
    Rejected,
}

impl Decision {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
    /// The decision stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Approved, Self::Rejected].into_iter().find(|d| d.as_str() == word)
    }
}

/// A person's word on a held plan, one for each person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Decided {
    /// Who.
    pub actor: String,
    /// What they said last.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
    /// Of an approval in part: the digest of the plan and of the steps that were chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Digest>,
}

impl Decided {
    /// What they did to the plan, as in “Ana approved a part of it”.
    pub fn did(&self) -> &'static str {
        match (self.decision, &self.part) {
            (Decision::Approved, Some(_)) => "approved a part of",
            (decision, _) => decision.as_str(),
        }
    }
}

/// How far a run has got. Stored at each passage, so that the next start knows what was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading both sides; nothing written.
    Reading,
    /// The plan stands; nothing written.
    Planned,
    /// Steps are being done.
    Applying,
    /// Reading back what was written.
    Verifying,
    /// Ended; the report says how.
    Ended,
}

impl Phase {
    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Planned => "planned",
            Self::Applying => "applying",
            Self::Verifying => "verifying",
            Self::Ended => "ended",
        }
    }
    /// The phase stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Reading, Self::Planned, Self::Applying, Self::Verifying, Self::Ended]
            .into_iter()
            .find(|p| p.as_str() == word)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Under way, or killed and not yet finished by a later start.
    Running,
    /// Read back, and a fresh plan over what was touched is empty.
    Converged,
    /// Something waits for a person.
    Held,
    /// Something was set aside, or the run was stopped, or it did not converge.
    Partial,
    /// It could not be done.
    Failed,
}

impl RunStatus {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Converged => "converged",
            Self::Held => "held",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
    /// The status stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Running, Self::Converged, Self::Held, Self::Partial, Self::Failed]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// What became of a journaled step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// About to be sent, or sent with the answer lost: the call may have happened.
    Intent,
    /// Done by this call.
    Done,
    /// Found done already.
    AlreadyDone,
    /// Not done; the site refused or could not.
    Failed,
    /// An intent of a killed run that was looked up and had not happened.
    NotDone,
}

impl Outcome {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Done => "done",
            Self::AlreadyDone => "already_done",
            Self::Failed => "failed",
            Self::NotDone => "not_done",
        }
    }
    /// The outcome stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Intent, Self::Done, Self::AlreadyDone, Self::Failed, Self::NotDone]
            .into_iter()
            .find(|o| o.as_str() == word)
    }
}

/// One entry of a run's journal: a step, before and after its call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JournalEntry {
    /// The step's name.
    pub step: StepId,
    /// Its kind.
    pub kind: StepKind,
    /// What became of it.
    pub outcome: Outcome,
    /// Calls made, repetitions included.
    pub attempts: u32,
    /// The site's answer, or the failure, in words.
    pub answer: String,
    /// When the outcome was written.
    pub at: Timestamp,
    /// What the step meant to do, so that a later start can look up whether it happened.
    #[serde(skip_serializing)]
    pub intent: Intent,
}

/// Which entries of a journal are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalPart {
    /// All of them.
    All,
    /// Those that were tried and are not done.
    Undone,
}

/// Some entries of a journal, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalPage {
    /// The entries.
    pub entries: Vec<JournalEntry>,
    /// How many there are in all.
    pub all: usize,
    /// How many of them did something.
    pub done: usize,
    /// How many were tried and are not done.
    pub undone: usize,
}

/// What a step meant to do, in the terms that a look-up needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Intent {
    /// Invite this address for this directory user.
    CreateUser {
        /// Directory user.
        user: crate::model::DirectoryUserId,
        /// Address.
        address: crate::model::EmailAddress,
        /// Name, for people.
        name: String,
    },
    /// Write attributes to an account.
    UpdateUser {
        /// Directory user.
        user: crate::model::DirectoryUserId,
        /// Account.
        account: crate::model::AccountId,
        /// What, and what was there before.
        update: crate::plan::Update,
    },
    /// Create a group of this name for this directory group, or for a name of the document.
    CreateGroup {
        /// What it stands for.
        group: crate::memory::Anchor,
        /// Name.
        name: String,
    },
    /// Give a linked group another name.
    RenameGroup {
        /// What it stands for.
        group: crate::memory::Anchor,
        /// Site group.
        site_group: crate::model::SiteGroupId,
        /// The name so far, for taking it back.
        before: String,
        /// The new name.
        name: String,
    },
    /// Take an existing group under management.
    AdoptGroup {
        /// What it stands for.
        group: crate::memory::Anchor,
        /// Site group.
        site_group: crate::model::SiteGroupId,
        /// Name.
        name: String,
    },
    /// Put an account into a group.
    AddMember {
        /// Site group.
        group: crate::model::SiteGroupId,
        /// Account.
        account: crate::model::AccountId,
    },
    /// Take an account out of a group.
    RemoveMember {
        /// Site group.
        group: crate::model::SiteGroupId,
        /// Account.
        account: crate::model::AccountId,
    },
    /// Take a rung of the leaver ladder.
    TakeRung {
        /// Directory user.
        user: crate::model::DirectoryUserId,
        /// Account.
        account: crate::model::AccountId,
        /// Rung.
        measure: crate::policy::Measure,
        /// Name, for people.
        name: String,
    },
    /// Take a rung back.
    ComeBack {
        /// Directory user.
        user: crate::model::DirectoryUserId,
        /// Account.
        account: crate::model::AccountId,
        /// Rung.
        from: crate::plan::Reversible,
        /// Name, for people.
        name: String,
    },
}

/// The end of one journaled step, stored in one transaction with what it changes in memory and with its audit entry.
#[derive(Debug, Clone)]
pub struct StepEnd {
    /// The step's name.
    pub step: StepId,
    /// What became of it.
    pub outcome: Outcome,
    /// Calls made, repetitions included.
    pub attempts: u32,
    /// The answer, or the failure, in words; holds no secret.
    pub answer: String,
    /// When.
    pub at: Timestamp,
    /// What is remembered from now on.
    pub changes: Vec<MemoryChange>,
    /// The reason of the step and its object, for the audit log; `None` where nothing was written on the site.
    pub audit: Option<AuditNote>,
}

/// What the audit log says of a change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AuditNote {
    /// Who: `entrain` for runs, a person's name otherwise.
    pub actor: String,
    /// What: a step kind, or an act such as `connection_added`.
    pub action: String,
    /// To which object.
    pub object: String,
    /// Why, and with which answer.
    pub detail: String,
}

/// A run as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Id.
    pub id: RunId,
    /// Connection.
    pub connection: String,
    /// Trigger.
    pub trigger: Trigger,
    /// Status.
    pub status: RunStatus,
    /// How far it got.
    pub phase: Phase,
    /// Start.
    pub started_at: Timestamp,
    /// The report, once ended.
    pub report: Option<RunReport>,
}

/// Steps of one kind in a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StepCount {
    /// In the plan.
    pub planned: usize,
    /// Done, or found done.
    pub done: usize,
    /// Tried and not done.
    pub failed: usize,
    /// Held by a guard.
    pub held: usize,
}

/// HTTP requests of a run, by side; retries included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RequestCounts {
    /// Entra and Graph, token requests included; a `$batch` is one.
    pub directory: u64,
    /// Jira.
    pub site: u64,
    /// Organization and user management APIs.
    pub organization: u64,
    /// Of all these, answered with 429.
    pub throttled: u64,
}

/// No run is parked for longer: whatever a cloud or a clock says, the connection is tried again after a day.
pub const LONGEST_PARK: Duration = Duration::from_hours(24);

/// Until when a parked connection rests, seen from now. A reset that lies further ahead than any can was noted by a clock
/// that has been put back since, and holds nothing up.
pub fn parked_until(resume_at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let longest = SignedDuration::try_from(LONGEST_PARK).unwrap_or(SignedDuration::MAX);
    resume_at.filter(|at| now < *at && at.duration_since(now) <= longest)
}

/// Who can mend what a run set aside, where that is all it left. As long as the directory and the rules stay as they are,
/// the next run need not ask the site for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum LeftTo {
    /// Only who changes the directory or the rules.
    Directory,
    /// Somebody on the site, too.
    Site {
        /// When a run last looked there.
        looked_at: Timestamp,
    },
}

impl LeftTo {
    /// Who can mend all of this; `None` where some of it may be over by itself, where there is nothing, and where it is
    /// not known when the site was last looked at.
    pub fn of(set_aside: &[SetAside], looked_at: Option<Timestamp>) -> Option<Self> {
        let any = |by| set_aside.iter().any(|aside| aside.mended_by == by);
        if set_aside.is_empty() || any(MendedBy::Itself) {
            None
        } else if any(MendedBy::Site) {
            looked_at.map(|looked_at| Self::Site { looked_at })
        } else {
            Some(Self::Directory)
        }
    }

    /// When a run last looked at the site for it.
    pub fn looked_at(self) -> Option<Timestamp> {
        match self {
            Self::Directory => None,
            Self::Site { looked_at } => Some(looked_at),
        }
    }
}

/// The result of a run: `entrain sync --json` of the contract.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunReport {
    /// Run.
    pub run_id: RunId,
    /// Connection.
    pub connection: String,
    /// Trigger.
    pub trigger: Trigger,
    /// Status.
    pub status: RunStatus,
    /// Steps by kind.
    pub steps: BTreeMap<StepKind, StepCount>,
    /// Requests by side.
    pub requests: RequestCounts,
    /// Guards that hold.
    pub held: Vec<Held>,
    /// What was not done, why, and what to do.
    pub set_aside: Vec<SetAside>,
    /// Who can mend that, where nothing else is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_to: Option<LeftTo>,
    /// What is worth knowing and needs nobody, such as what an undo cannot take back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<SetAside>,
    /// What people did by hand on the site since, counted by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drift: BTreeMap<DriftKind, usize>,
    /// Why the connection is in quarantine from here on, if it is: too much of what was tried failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Until when the run is parked, if it is: a quota of a cloud is used up, and no run of the connection begins
    /// before. At most [`LONGEST_PARK`] after the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_at: Option<Timestamp>,
    /// Seats by product.
    pub seats: BTreeMap<String, SeatForecast>,
    /// Who waits for a seat, product by product, the first in line first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// Digest of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Why it failed, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Start.
    pub started_at: Timestamp,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFigures {
    /// The run.
    pub run: RunId,
    /// When it began.
    pub at: Timestamp,
    /// Steps planned: what had changed in the directory.
    pub planned: u64,
    /// Steps done: what arrived on the site.
    pub done: u64,
    /// Steps held for a person.
    pub held: u64,
    /// Requests to all sides.
    pub requests: u64,
    /// People who only gained something.
    pub joined: u64,
    /// People who gained and lost something.
    pub moved: u64,
    /// People who only lost something.
    pub left: u64,
}
