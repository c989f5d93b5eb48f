//! Both sides as they were last read completely. The directory's mirror moves together with its watermark and with
//! what was learnt from it, in one transaction: the watermark is never ahead (quality.md R-01). Only objects that
//! changed are written; of a read that went on from the mirror, only those that it touched are looked at.
//!
//! The site's mirror says whether writes may have followed that are not in it: a run says so before its first write and
//! takes it back with the mirror that has them.
mod body;
mod load;
mod mark;
mod put;

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{DirectorySnapshot, SiteSnapshot};
use jiff::Timestamp;

pub(crate) use body::{AccountBody, GroupBody, UserBody, object_sum};
pub(crate) use put::{MirrorUpdate, patch, update};

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

/// What both mirrors were read for, and when last in full.
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

/// Everything that one run learns from its reads.
#[derive(Debug, Clone, Copy)]
pub struct Learnt<'a> {
    /// Observations for links and ledger.
    pub changes: &'a [MemoryChange],
    /// The directory.
    pub directory: &'a DirectorySnapshot,
    /// Where its next read by delta begins.
    pub watermark: &'a Watermark,
    /// The site.
    pub site: &'a SiteSnapshot,
    /// Whether the run is going to write.
    pub state: SiteState,
    /// What was read, and when.
    pub basis: &'a Basis,
    /// The gate of persons' syncs when the run began to read; of whoever passed it since, nothing is learnt.
    pub since: Option<i64>,
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

pub(crate) const DIRECTORY: &str = "directory";
pub(crate) const SITE: &str = "site";
/// The kind of the list of assignments; its id is the application's.
const ASSIGNED: &str = "assigned";
pub(crate) const OBJECT: &str =
    "SELECT body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3 AND id = $4";
