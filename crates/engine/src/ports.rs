//! What the use cases need from outside, as traits. `connect` and `store` know nothing of them: the binary, the only
//! place where everything meets, puts a thin adapter in front of each.

mod directory;
mod site;
mod store;

use std::future::Future;
use std::time::Duration;

use entrain_domain::model::RunId;
use entrain_domain::plan::{StepId, StepKind};
use entrain_domain::run::Phase;
use jiff::Timestamp;

pub use directory::{CaughtUp, Directory, DirectoryRead, Since};
pub use site::{AccessAct, Added, Changed, Removed, Site};
pub use store::{
    AboutPerson, Basis, Busy, ClaimError, Gate, Learnt, MirrorHead, OpenIntent, Overtaken, PersonClaim,
    PlannedRun, SiteState, Store, UnfinishedRun,
};

/// The time of day and the passing of time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns after this time has passed.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// Fresh ids.
pub trait Ids: Send + Sync {
    /// An id for a run, greater than all before it.
    fn run_id(&self) -> RunId;
}

/// Told how far a run has got; must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn report(&self, event: Event);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn report(&self, _: Event) {}
}

/// What a run tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The run has begun, or a killed one is gone on with, under this id.
    Began {
        /// Id.
        run: RunId,
    },
    /// A phase began.
    Phase(Phase),
    /// So many of the directory's objects were read.
    DirectoryRead {
        /// Users.
        users: usize,
        /// Groups.
        groups: usize,
    },
    /// So many of the directory's objects differ from what was known of them.
    DirectoryChanged {
        /// Users, groups and lists of assignments.
        objects: usize,
    },
    /// So many of the site's objects were read.
    SiteRead {
        /// Accounts.
        accounts: usize,
        /// Groups.
        groups: usize,
    },
    /// The site is asked for one thing after another, and so many of the answers are there. Its limits let 100 a second
    /// through (atlassian-cloud.md 6.1), so that this is what takes long in a large company. Told a hundred times at most.
    SiteAsked {
        /// For what.
        about: SiteQuestion,
        /// Answers.
        done: usize,
        /// Questions.
        of: usize,
    },
    /// The plan stands, with so many steps to do and so many held.
    Planned {
        /// Steps to do.
        steps: usize,
        /// Steps held.
        held: usize,
    },
    /// A step ended.
    Step {
        /// Which.
        id: StepId,
        /// Its kind.
        kind: StepKind,
        /// Done, or not.
        done: StepResult,
    },
    /// The run waits for what another run, a limit or a lagging read asks for.
    Waiting {
        /// For what, in words.
        what: String,
    },
}

/// What the site is asked for one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteQuestion {
    /// The members of groups.
    Members,
    /// The accounts of people whose addresses it may hide.
    Accounts,
}

impl SiteQuestion {
    /// What is asked for, as a word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Accounts => "accounts",
        }
    }

    /// What is going on, for people.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Members => "reading the members of groups",
            Self::Accounts => "searching the site for people whose addresses it may hide",
        }
    }
}

/// How a step ended, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// Done, or found done.
    Done,
    /// Not done.
    Failed,
}

/// Where a directory read stands, for the next one by delta: both links as Graph gave them, with their time of issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// `@odata.deltaLink` of users.
    pub users: String,
    /// `@odata.deltaLink` of groups with members.
    pub groups: String,
    /// When they were issued; they live seven days (microsoft-graph.md 5.3).
    pub issued_at: Timestamp,
}
