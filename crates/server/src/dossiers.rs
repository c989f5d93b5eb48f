//! What is known of one person or group without asking a cloud: both sides as they were last read, the link, what the
//! ledger has, the place on the ladder, and what the journals say.

use entrain_domain::memory::{Origin, UserLink};
use entrain_domain::model::{Account, DirectoryUser, DirectoryUserId, RunId, SiteGroupId};
use entrain_domain::plan::LadderRow;
use entrain_domain::reports::PastMembership;
use entrain_domain::run::{Decided, JournalEntry};
use jiff::Timestamp;

use crate::service::Answer;

/// A field that the rules fill from the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Name of the field.
    pub field: String,
    /// What the rules make of the person for it; nothing when it is left out.
    pub value: Option<String>,
}

/// What is known of one person.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// The directory user.
    pub user: DirectoryUserId,
    /// As last read; nothing when the directory has them no more.
    pub person: Option<DirectoryUser>,
    /// Their account, once it is known.
    pub link: Option<UserLink>,
    /// The account as last read.
    pub account: Option<Account>,
    /// Fields that the rules fill.
    pub mapped: Vec<Mapped>,
    /// What the ledger has.
    pub owned: Vec<(SiteGroupId, Origin)>,
    /// What the ledger has and had since there is a history, the newest first.
    pub memberships: Vec<PastMembership>,
    /// Their place on the leaver ladder.
    pub ladder: Option<LadderRow>,
    /// What was written about them, the newest first.
    pub journal: Vec<(RunId, JournalEntry)>,
    /// Since when the account is known to be theirs, as far as anything tells.
    pub since: Option<Timestamp>,
    /// What people approved of what these runs wrote.
    pub decided: Vec<(RunId, Decided)>,
}

/// What pages about one person or group ask.
pub trait Dossiers: Send + Sync {
    /// What is known of a person, named by object id, account id or the address of their link; nothing when none of
    /// them is known.
    fn dossier<'a>(&'a self, connection: &'a str, who: &'a str) -> Answer<'a, Option<Dossier>>;
    /// Who approved what these entries tell of: in the run itself, or in the held one that it did.
    fn approved<'a>(&'a self, journal: &'a [(RunId, JournalEntry)]) -> Answer<'a, Vec<(RunId, Decided)>>;
    /// What was written about an object of the directory, the newest first.
    fn written_about<'a>(
        &'a self,
        connection: &'a str,
        object: &'a str,
        limit: u32,
    ) -> Answer<'a, Vec<(RunId, JournalEntry)>>;
}
