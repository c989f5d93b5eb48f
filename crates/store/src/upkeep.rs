//! What whoever looks after the service asks of the database: who signed in when, which backup is the newest, what kind of
//! database it is.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::audit::AuditEntry;
use crate::error::{Error, Result};
use crate::pool::{Pool, on};
use crate::store::{self, Store};

/// So many of the newest entries of the audit log are looked through: a page does not read a log of years.
const LOOKED_THROUGH: i64 = 200_000;

const BEFORE_THAT: &str = "SELECT at FROM audit WHERE seq = \
    (SELECT audit_seq FROM store_marker WHERE id = 1) - $1";
const SIGN_INS: &str = "SELECT actor, max(at) FROM audit \
    WHERE seq > (SELECT audit_seq FROM store_marker WHERE id = 1) - $1 AND action = 'signed_in' GROUP BY actor";

const NOTED: &str = "SELECT seq FROM audit WHERE action = $1 ORDER BY seq DESC LIMIT 1";

/// The kind of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A database, as far as people look after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Which one.
    pub kind: DatabaseKind,
    /// Its own version.
    pub version: String,
    /// The newest migration of its tables.
    pub tables: i64,
    /// How much it takes on disk, its log included, in bytes.
    pub bytes: u64,
}

/// When accounts signed in last, as far back as the newest entries of the audit log go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastSignIns {
    /// By the name of the account.
    pub at: BTreeMap<String, Timestamp>,
    /// What was before this moment was not looked at; nothing where everything was.
    pub since: Option<Timestamp>,
}

fn instant(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| Error::row("audit", ms))
}

impl Store {
    /// When accounts signed in last.
    pub async fn last_sign_ins(&self) -> Result<LastSignIns> {
        let doing = "reading the audit log";
        let before: Option<i64> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_scalar(BEFORE_THAT).bind(LOOKED_THROUGH).fetch_optional(db).await)
        .map_err(Error::database(doing))?;
        let rows: Vec<(String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SIGN_INS).bind(LOOKED_THROUGH).fetch_all(db).await)
        .map_err(Error::database(doing))?;
        let at = rows.into_iter().map(|(name, at)| Ok((name, instant(at)?))).collect::<Result<_>>()?;
        Ok(LastSignIns { at, since: before.map(instant).transpose()? })
    }

    /// The newest entry of the audit log that tells of this.
    pub async fn last_noted(&self, action: &str) -> Result<Option<AuditEntry>> {
        let seq: Option<i64> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_scalar(NOTED).bind(action).fetch_optional(db).await)
        .map_err(Error::database("reading the audit log"))?;
        let Some(seq) = seq else { return Ok(None) };
        Ok(self.audit_before(Some(seq + 1), 1).await?.into_iter().next())
    }

    /// What the database is.
    pub async fn facts(&self) -> Result<DatabaseFacts> {
        let doing = "looking at the database";
        let tables: i64 =
            on!(Pool, &self.inner.readers, db => sqlx::query_scalar(store::NEWEST).fetch_one(db).await)
                .map_err(Error::database(doing))?;
        Ok(match &self.inner.readers {
            Pool::Sqlite(db) => {
                let version: String = sqlx::query_scalar("SELECT sqlite_version()")
                    .fetch_one(db)
                    .await
                    .map_err(Error::database(doing))?;
                DatabaseFacts { kind: DatabaseKind::Sqlite, version, tables, bytes: self.on_disk() }
            }
            Pool::Postgres(db) => {
                let (version, bytes): (String, i64) = sqlx::query_as(
                    "SELECT current_setting('server_version'), pg_database_size(current_database())",
                )
                .fetch_one(db)
                .await
                .map_err(Error::database(doing))?;
                let bytes = u64::try_from(bytes).unwrap_or_default();
                DatabaseFacts { kind: DatabaseKind::Postgres, version, tables, bytes }
            }
        })
    }

    /// What the file and its log take.
    fn on_disk(&self) -> u64 {
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
        self.inner.file.as_ref().map_or(0, |file| size(file) + size(&store::with_suffix(file, "-wal")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    #[tokio::test]
    async fn the_audit_log_of_years_is_not_read_for_an_entry_of_a_kind() {
        for sql in [NOTED, SIGN_INS] {
            let ways = ways(sql).await.join("; ");
            assert!(ways.contains("audit_by_action (action=?"), "{ways}");
        }
    }
}
