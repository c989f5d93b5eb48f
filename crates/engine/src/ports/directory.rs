//! The directory, as the use cases read it.

use std::future::Future;

use entrain_domain::Failure;
use entrain_domain::model::{
    DirectoryGroupId, DirectoryReading, DirectorySnapshot, DirectoryUser, DirectoryUserId, EmailAddress,
    GroupSeen, PersonKey, PersonReading,
};
use entrain_domain::policy::Demand;
use entrain_domain::run::RequestCounts;

use super::Watermark;

/// What happened in the directory since a watermark.
#[derive(Debug)]
pub enum Since<C> {
    /// Nothing; the next read may begin here. The changes, empty as they are, bring a reading up to it.
    Nothing(Watermark, C),
    /// Changes, not yet put into anything.
    Changes(C),
    /// The directory no longer knows the watermark: only a full read helps.
    Lost,
}

/// A stored reading brought up to date, or not.
#[derive(Debug)]
pub enum CaughtUp {
    /// Up to date.
    Read(Box<DirectoryRead>),
    /// The changes do not fit what was known, for the reason in words: only a full read helps.
    Implausible(String),
}

/// The directory as read, with the place to go on from.
#[derive(Debug)]
pub struct DirectoryRead {
    /// What was read.
    pub snapshot: DirectorySnapshot,
    /// Where the next read by delta begins.
    pub watermark: Watermark,
}

/// The directory, read only.
pub trait Directory: Send + Sync {
    /// Changes as the directory tells them.
    type Changes: Send;

    /// Reads everything that the rules ask for, completely or with the gaps marked; fails when a listing cannot be read
    /// to its end. Whoever is `expected`, because memberships hang on it, and is not listed is asked for by id before
    /// he is taken for gone.
    fn read(
        &self,
        demand: &Demand,
        expected: &[DirectoryUserId],
    ) -> impl Future<Output = Result<DirectoryRead, Failure>> + Send;
    /// What changed since a watermark; two requests when nothing did.
    fn changes(
        &self,
        since: &Watermark,
    ) -> impl Future<Output = Result<Since<Self::Changes>, Failure>> + Send;
    /// Brings a stored reading up to date, and reads what came into scope.
    fn catch_up(
        &self,
        reading: DirectoryReading,
        changes: Self::Changes,
        demand: &Demand,
    ) -> impl Future<Output = Result<CaughtUp, Failure>> + Send;
    /// One person with every group they are in, read to the end.
    fn person(
        &self,
        key: &PersonKey,
        demand: &Demand,
    ) -> impl Future<Output = Result<PersonReading, Failure>> + Send;
    /// Everybody in the directory who has this address.
    fn people_of(
        &self,
        address: &EmailAddress,
        demand: &Demand,
    ) -> impl Future<Output = Result<Vec<DirectoryUser>, Failure>> + Send;
    /// Looks at groups by themselves: whether they are there, and whether anybody is in them.
    fn groups_seen(
        &self,
        groups: &[DirectoryGroupId],
    ) -> impl Future<Output = Result<Vec<(DirectoryGroupId, GroupSeen)>, Failure>> + Send;
    /// Requests made so far by this side.
    fn requests(&self) -> RequestCounts;
}
