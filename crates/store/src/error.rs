//! What can go wrong with the database, in the words of the person who has to mend it.

use std::path::Path;
use std::sync::Arc;

use entrain_domain::{Failure, FailureClass, FailureCode};
use sqlx::error::DatabaseError as _;

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store could not do what it was asked. Holds no secret and no address with a password in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database is there, and is not one that Entrain made.
    #[error("{place} is not a database of Entrain: {why}")]
    Foreign {
        /// The file, or the server's database.
        place: String,
        /// How that shows.
        why: String,
    },
    /// The database is Entrain's, and is cut off or altered.
    #[error("{place} is damaged: {why}")]
    Damaged {
        /// The file, or the table with the key of the row.
        place: String,
        /// How that shows.
        why: String,
    },
    /// A later Entrain has changed the tables.
    #[error(
        "{place} was written by a newer Entrain: its tables are of version {found}, this one knows {known}"
    )]
    Newer {
        /// The file, or the server's database.
        place: String,
        /// Newest migration in the database.
        found: i64,
        /// Newest migration of this program.
        known: i64,
    },
    /// The database address cannot be used.
    #[error("the database address cannot be used: {why}")]
    Address {
        /// Why, without the address, which may hold a password.
        why: String,
    },
    /// A file or folder could not be used.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        why: String,
    },
    /// The key file is not fit for use.
    #[error("the secret key file {path} cannot be used: {why}")]
    KeyFile {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// A sealed secret does not open.
    #[error("the secret {field} of the connection \"{connection}\" cannot be opened with this secret key")]
    KeyMismatch {
        /// The connection.
        connection: String,
        /// The dotted key of the document.
        field: String,
    },
    /// The database refused or failed.
    #[error("the database failed while {doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: Arc<sqlx::Error>,
    },
    /// No such connection.
    #[error("there is no connection named \"{0}\"")]
    ConnectionUnknown(String),
    /// The name is taken.
    #[error("a connection named \"{taken}\" exists already{}", if name == taken { String::new() } else { format!(", and \"{name}\" would share its addresses") })]
    ConnectionExists {
        /// The name that was asked for.
        name: String,
        /// The connection that has it, or one that differs only in case and punctuation.
        taken: String,
    },
    /// No such run.
    #[error("there is no run {0}")]
    RunUnknown(String),
    /// The run's id was used before.
    #[error("a run {0} exists already")]
    RunExists(String),
    /// A step was settled that had not been journaled as intended, or was settled otherwise before.
    #[error("step {step} of run {run} cannot be settled: {why}")]
    NotIntended {
        /// Run.
        run: String,
        /// Step.
        step: String,
        /// What stands in the journal instead.
        why: &'static str,
    },
    /// The name of an API key is taken, perhaps by one that was revoked.
    #[error("there is, or was, an API key named \"{0}\"")]
    ApiKeyExists(String),
    /// No such API key.
    #[error("there is no API key {0}")]
    ApiKeyUnknown(String),
    /// The name of an account is taken, perhaps by one that is disabled.
    #[error("there is an account named \"{0}\" already")]
    AccountExists(String),
    /// No such account, or none that may sign in.
    #[error("there is no account {0}")]
    AccountUnknown(String),
    /// Nobody would be left who can hand out roles.
    #[error("\"{0}\" is the last administrator who can sign in with a password")]
    LastAdministrator(String),
    /// The account has no password.
    #[error("\"{0}\" signs in through the directory and has no password")]
    AccountOfDirectory(String),
    /// The link was used, has ended, or never was one.
    #[error("the link was used before, has ended, or never was one")]
    LinkSpent,
    /// A request of this name is kept already.
    #[error("a request named \"{0}\" was sent before")]
    RequestKnown(String),
    /// Another server runs over this database.
    #[error("another server runs over {place}: {holder}")]
    ServerRunning {
        /// The database.
        place: String,
        /// Who, as told by itself.
        holder: String,
    },
    /// Another server has started the connection by schedule.
    #[error("another server has started the connection \"{0}\" by schedule")]
    FiredByAnother(String),
    /// Another server has changed the alerts of the connection.
    #[error("another server has changed the alerts of the connection \"{0}\"")]
    ChangedByAnother(String),
    /// Another server has taken over what this process was doing.
    #[error(
        "another server has taken over the connection \"{connection}\", because this one was not heard of for a while"
    )]
    Fenced {
        /// The connection.
        connection: String,
    },
    /// The secret key of this process has been rotated away.
    #[error("the secret key was rotated, and the key file here is still the old one")]
    KeyRotated,
    /// A backup is not one, or is cut off or altered.
    #[error("the backup {path} cannot be used: {why}")]
    BackupUnusable {
        /// The file.
        path: String,
        /// How that shows.
        why: String,
    },
    /// A backup of another version.
    #[error("the backup {path} is of another version: {why}")]
    BackupOther {
        /// The file.
        path: String,
        /// Which.
        why: String,
    },
    /// The secrets of a backup were sealed with another key than the one that is here.
    #[error("the secrets in the backup {path} were sealed with another secret key than the one here")]
    BackupKey {
        /// The file.
        path: String,
    },
    /// A database that was to be empty is not.
    #[error("the database holds something already: its table {table} is not empty")]
    NotEmpty {
        /// The first table that was seen to hold something.
        table: String,
    },
    /// The writer has stopped, because the store is being closed.
    #[error("the database is closed")]
    Closed,
}

impl Error {
    /// Names what was being done when the database failed; damage is told apart from other failures.
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| match damage(&error) {
            Some(why) => Self::Damaged { place: "the database".into(), why },
            None => Self::Database { doing, source: Arc::new(error) },
        }
    }

    /// A file that could not be used.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path, why: error.to_string() }
    }

    /// A row whose checksum or content is wrong.
    pub(crate) fn row(table: &str, key: impl std::fmt::Display) -> Self {
        Self::Damaged {
            place: format!("row {key} of table {table}"),
            why: "its content does not agree with its checksum".into(),
        }
    }

    /// The failure as people and programs read it.
    pub fn failure(&self) -> Failure {
        let local = |code, remedy: &str| Failure::new(code, FailureClass::Local, self.to_string(), remedy);
        match self {
            Self::Foreign { place, .. } => local(
                FailureCode::StoreUnreadable,
                "Point --database-url or --data-dir to a database of Entrain, or to a place where none exists yet. Nothing was changed.",
            )
            .of(place),
            Self::Damaged { place, .. } => local(
                FailureCode::StoreUnreadable,
                "Restore the database from a backup. It was left as it is.",
            )
            .of(place),
            Self::Newer { place, .. } => local(
                FailureCode::StoreNewer,
                "Use the Entrain that wrote it, or a later one. Going back to an older one takes a backup from before the upgrade.",
            )
            .of(place),
            Self::Address { .. } => local(
                FailureCode::UsageInvalid,
                "Give --database-url as sqlite:PATH or postgres://USER@HOST/DATABASE.",
            ),
            Self::File { path, .. } => {
                local(FailureCode::StoreFailed, "Look at the rights and the free space of this place.").of(path)
            }
            Self::KeyFile { path, .. } => local(
                FailureCode::KeyMismatch,
                "Put back the key file that belongs to this database, readable by its owner only (chmod 600), or name it with --secret-key-file.",
            )
            .of(path),
            Self::KeyMismatch { connection, .. } => Failure::new(
                FailureCode::KeyMismatch,
                FailureClass::Connection,
                self.to_string(),
                "Put back the key file that belongs to this database, or store the secret again with `entrain connection set`.",
            )
            .of(connection),
            Self::Database { .. } | Self::Closed => local(
                FailureCode::StoreFailed,
                "Look at the free space and the rights of the data directory, or at the database server, and run again.",
            ),
            Self::ConnectionUnknown(name) => {
                local(FailureCode::ConnectionUnknown, "`entrain connection list` shows those that there are.").of(name)
            }
            Self::ConnectionExists { name, .. } => local(
                FailureCode::ConnectionExists,
                "Choose another name, or change the existing one with `entrain connection set`.",
            )
            .of(name),
            Self::RunUnknown(id) => {
                local(FailureCode::RunUnknown, "`entrain runs list` shows those that there are.").of(id)
            }
            Self::ApiKeyExists(name) => local(
                FailureCode::ApiKeyExists,
                "Choose another name: names of keys stand in the audit log and are not used again.",
            )
            .of(name),
            Self::ApiKeyUnknown(id) => {
                local(FailureCode::ApiKeyUnknown, "`entrain admin api-key list` shows those that there are.").of(id)
            }
            Self::AccountExists(name) => local(
                FailureCode::AccountExists,
                "Choose another name, or enable the account and give it a new password.",
            )
            .of(name),
            Self::AccountUnknown(id) => {
                local(FailureCode::AccountUnknown, "`entrain admin account list` shows those that there are.").of(id)
            }
            Self::LastAdministrator(name) => {
                local(FailureCode::LastAdministrator, "Make somebody else an administrator first.").of(name)
            }
            Self::AccountOfDirectory(name) => local(
                FailureCode::UsageInvalid,
                "Make an account with a password beside it, under another name.",
            )
            .of(name),
            Self::LinkSpent => local(
                FailureCode::LinkSpent,
                "Take the newest link: the service prints one when it starts and there is no account yet.",
            ),
            Self::RequestKnown(name) => {
                local(FailureCode::RequestRepeated, "Wait for the answer of the first request.").of(name)
            }
            Self::ServerRunning { place, .. } => local(
                FailureCode::ServerRunning,
                "Stop that server first. Several servers share one database only on PostgreSQL.",
            )
            .of(place),
            Self::FiredByAnother(connection) => {
                local(FailureCode::ConnectionBusy, "Nothing is to be done: it runs there.").of(connection)
            }
            Self::ChangedByAnother(connection) => {
                local(FailureCode::StoreFailed, "Nothing is to be done: it is tried again.").of(connection)
            }
            Self::Fenced { connection } => local(
                FailureCode::RunTakenOver,
                "Nothing is to be done: the other server finishes the run. If it happens often, look at what freezes or cuts off this one.",
            )
            .of(connection),
            Self::KeyRotated => local(
                FailureCode::KeyMismatch,
                "Put the new secret.key from the machine where it was rotated in place of the one here. It is taken up without a restart.",
            ),
            Self::BackupUnusable { path, .. } => local(
                FailureCode::StoreUnreadable,
                "Take another copy of the backup, or an earlier one. Nothing was written.",
            )
            .of(path),
            Self::BackupOther { path, .. } => local(
                FailureCode::StoreNewer,
                "Restore it with the Entrain that made it; a later Entrain brings the tables up to date when it opens the database. Nothing was written.",
            )
            .of(path),
            Self::BackupKey { path } => local(
                FailureCode::KeyMismatch,
                "Put the secret.key of the machine that was backed up in place of the one here, or name it with --secret-key-file. If it is lost: --without-secrets, and store each connection's secrets again. Nothing was written.",
            )
            .of(path),
            Self::NotEmpty { .. } => local(
                FailureCode::UsageInvalid,
                "Restore into an empty database, or give up what this one holds with --replace. Nothing was written.",
            ),
            Self::RunExists(id) => local(FailureCode::Internal, "Please report this.").of(id),
            Self::NotIntended { step, .. } => local(FailureCode::Internal, "Please report this.").of(step),
        }
    }
}

/// How the database says that it is damaged: SQLite's codes 11 (corrupt) and 26 (not a database), text that is not
/// UTF-8, a value of the wrong type, or a table that is not as it was made.
fn damage(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Some(error.to_string()),
        sqlx::Error::Database(database) => {
            let code: i64 = database.try_downcast_ref::<sqlx::sqlite::SqliteError>()?.code()?.parse().ok()?;
            matches!(code & 0xff, 11 | 26).then(|| database.message().to_owned())
        }
        _ => None,
    }
}

/// Why a connection could not be claimed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClaimError {
    /// Another run holds it.
    #[error("the connection is held by {holder}")]
    Busy {
        /// Who, as told by the holder.
        holder: String,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] Error),
}
