//! What whoever looks after the service asks of what stands behind it, for the pages of the settings.

use std::collections::BTreeMap;

use entrain_domain::Failure;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::service::Answer;

/// When accounts signed in last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignIns {
    /// By the name of the account.
    pub at: BTreeMap<String, Timestamp>,
    /// What was before this moment was not looked at; nothing where everything was.
    pub since: Option<Timestamp>,
}

/// A place that the alerts of a connection go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPlace {
    /// Its name.
    pub name: String,
    /// `email`, `webhook`, `slack` or `teams`.
    pub kind: String,
    /// Where it is, as far as that is no secret.
    pub to: String,
    /// What it is told.
    pub about: Vec<&'static str>,
    /// Why it does not take messages; nothing while it does.
    pub failing: Option<String>,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeBackup {
    /// When.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// Where it went.
    pub to: String,
    /// What it holds.
    pub detail: String,
}

/// The parts of a backup, in their order. A failure is the last of them: what came before is no backup then.
pub type BackupParts = mpsc::Receiver<Result<Vec<u8>, Failure>>;

/// What keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file of this machine.
    Sqlite,
    /// A server, which several may share.
    Postgres,
}

/// The database, as far as people look after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Which one.
    pub kind: DatabaseKind,
    /// Its own version.
    pub version: String,
    /// The newest migration of its tables.
    pub tables: i64,
    /// How much it takes on disk.
    pub bytes: u64,
}

/// When a server was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is the one that answers.
    Ourselves,
    /// Its last beat was so long ago.
    Ago(SignedDuration),
}

/// What the service runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Premises {
    /// When this server came up.
    pub started_at: Timestamp,
    /// The database.
    pub database: Database,
    /// Every server over it by id, this one first.
    pub servers: Vec<(String, Heard)>,
}

/// What the settings need from behind the service.
pub trait Upkeep: Send + Sync {
    /// When accounts signed in last.
    fn sign_ins(&self) -> Answer<'_, SignIns>;
    /// Where the alerts of a connection go to, by name.
    fn alert_places<'a>(&'a self, connection: &'a str) -> Answer<'a, Vec<AlertPlace>>;
    /// The newest backup that the audit log knows of.
    fn last_backup(&self) -> Answer<'_, Option<MadeBackup>>;
    /// Makes a backup, part by part as somebody takes them.
    fn backup<'a>(&'a self, by: &'a str) -> Answer<'a, BackupParts>;
    /// What the service runs on.
    fn premises(&self) -> Answer<'_, Premises>;
}
