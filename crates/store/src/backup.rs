//! Backup and restore: everything in the database as one file, which either database can take back.
//!
//! The file is lines of JSON: a head, then each table with its rows, then the number of rows with the SHA-256 of all
//! lines before. It is read in one transaction, so it is one moment of the database, also while servers run. What
//! belongs to live processes (claims, servers) or lets people in (sessions, links that work once) is not in it. Nor is
//! the secret key: sealed secrets stay sealed.

mod reader;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use entrain_domain::run::AuditNote;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use reader::{Line, Reader, examine};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;
use table::{Cell, insert, tables, values};
use tokio::sync::mpsc;

use crate::error::{ClaimError, Error, Result};
use crate::lease::LEASE;
use crate::pool::{Pool, Tx, on};
use crate::store::Store;
use crate::writer::Batch;
use crate::{audit, files, store};

const FORMAT: &str = "entrain-backup-1";
/// Tables that belong to live processes, let people in who were signed in then, or are made from others again.
const LEFT_OUT: [&str; 8] = [
    "claims",
    "servers",
    "sessions",
    "one_time_links",
    "plan_gists",
    "plan_rows",
    "preview_gists",
    "preview_rows",
];
/// Tables that mean nothing without the secret key.
const OF_THE_KEY: [&str; 3] = ["connection_secrets", "draft_secrets", "retired_keys"];
/// Made by the migrations, with its one row; its end of the audit chain is the file's after a restore.
const MARKER: &str = "store_marker";
/// Rows that are written by one statement.
const ROWS: usize = 100;
/// So much is written, or given away, at a time.
const PART: usize = 64 * 1024;
/// How long a part waits to be taken: the moment that is read is kept alive for it.
const PATIENCE: Duration = Duration::from_mins(1);
/// What stands in the place of a path.
const DOWNLOAD: &str = "download";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// When the database was as it is in the file.
    pub made_at: Timestamp,
    /// The Entrain that wrote it.
    pub product_version: String,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 of the file without its last line, in hex.
    pub sha256: String,
}

/// What a restore does to a database that holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupied {
    /// It is refused.
    Refuse,
    /// What it holds is given up.
    Replace,
}

/// What a restore does with sealed secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedSecrets {
    /// They are restored, and must have been sealed with the key that is here.
    Keep,
    /// They are left out, because their key is lost.
    LeaveOut,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    product_version: String,
    tables_version: Vec<i64>,
    made_at: Timestamp,
    /// Ids of the keys that seal secrets in the file; ids are digests and open nothing.
    sealed_with: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableLine {
    table: String,
    columns: Vec<String>,
}

/// Lines that wait to be written, and the digest of all so far.
#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    hash: Sha256,
    rows: u64,
}

impl Lines {
    fn put(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let from = self.waiting.len();
        serde_json::to_writer(&mut self.waiting, line)?;
        self.waiting.push(b'\n');
        self.hash.update(&self.waiting[from..]);
        Ok(())
    }
}

/// Where a backup goes.
enum Out {
    /// Into a file, under the name that errors bear.
    File(BufWriter<File>, PathBuf),
    /// To somebody who takes it part by part.
    Away(mpsc::Sender<Vec<u8>>),
}

impl Out {
    fn failed(&self) -> impl FnOnce(std::io::Error) -> Error {
        Error::file(match self {
            Self::File(_, path) => path,
            Self::Away(_) => Path::new(DOWNLOAD),
        })
    }

    async fn take(&mut self, part: Vec<u8>) -> Result<()> {
        match self {
            Self::File(file, path) => file.write_all(&part).map_err(Error::file(path)),
            Self::Away(parts) => parts.send_timeout(part, PATIENCE).await.map_err(|error| Error::File {
                path: DOWNLOAD.into(),
                why: match error {
                    mpsc::error::SendTimeoutError::Timeout(_) => "nobody took it any further",
                    mpsc::error::SendTimeoutError::Closed(_) => "whoever took it went away",
                }
                .into(),
            }),
        }
    }
}

fn last_line(rows: u64, sha256: &str) -> String {
    format!("{{\"rows\":{rows},\"sha256\":\"{sha256}\"}}\n")
}

fn migrations() -> Vec<i64> {
    store::MIGRATIONS.iter().map(|migration| migration.version).collect()
}

impl Store {
    /// Writes everything in the database into a new file, for its owner only. The file appears when it is whole; one
    /// that exists is not touched.
    ///
    /// # Errors
    ///
    /// When the file exists or its folder cannot be written to, when a newer Entrain has changed the tables, or when the
    /// database fails.
    pub async fn backup(&self, path: &Path, author: &str) -> Result<Backup> {
        let failed = || Error::file(path);
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(Error::File { path: path.display().to_string(), why: "it exists already".into() });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let part = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed())?;
        let file = part.as_file().try_clone().map_err(failed())?;
        let mut out = Out::File(BufWriter::new(file), path.to_owned());
        let (made, last) = self.write_backup(&mut out).await?;
        out.take(last).await?;
        if let Out::File(mut file, _) = out {
            file.flush().map_err(failed())?;
        }
        part.as_file().sync_all().map_err(failed())?;
        part.persist_noclobber(path).map_err(|error| Error::file(path)(error.error))?;
        files::sync_folder(path)?;
        self.note_backup(&made, path.display().to_string(), author).await?;
        Ok(made)
    }

    /// Gives everything in the database away part by part. The last part holds the last line, without which it is no
    /// backup, and is given when the audit log has noted it.
    ///
    /// # Errors
    ///
    /// When nobody takes a part within a minute, when a newer Entrain has changed the tables, or when the database fails.
    pub async fn backup_away(&self, parts: mpsc::Sender<Vec<u8>>, author: &str) -> Result<Backup> {
        let mut out = Out::Away(parts);
        let (made, last) = self.write_backup(&mut out).await?;
        self.note_backup(&made, DOWNLOAD.into(), author).await?;
        out.take(last).await?;
        Ok(made)
    }

    async fn note_backup(&self, made: &Backup, to: String, author: &str) -> Result<()> {
        self.note(AuditNote {
            actor: author.into(),
            action: "backup_made".into(),
            object: to,
            detail: format!("{} rows, SHA-256 {}", made.rows, made.sha256),
        })
        .await
    }

    /// One moment of the database; what is left to write is given back.
    async fn write_backup(&self, out: &mut Out) -> Result<(Backup, Vec<u8>)> {
        let tables = tables().await?;
        let mut lines = Lines::default();
        let doing = "reading for a backup";
        let mut tx = match &self.inner.readers {
            Pool::Sqlite(pool) => Tx::Sqlite(pool.begin().await.map_err(Error::database(doing))?),
            Pool::Postgres(pool) => Tx::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await
                    .map_err(Error::database(doing))?,
            ),
        };
        tx.may_stand_still().await?;
        let found: i64 = on!(Tx, &mut tx, tx => sqlx::query_scalar(store::NEWEST).fetch_one(&mut **tx).await)
            .map_err(Error::database(doing))?;
        if found > store::known() {
            // What a newer server beside this one has added would be missing, and nobody would see it
            return Err(Error::Newer { place: "the database".into(), found, known: store::known() });
        }
        let sealed_with: Vec<String> = on!(Tx, &mut tx, tx => sqlx::query_scalar(
            "SELECT key_id FROM connection_secrets UNION SELECT key_id FROM draft_secrets ORDER BY key_id").fetch_all(&mut **tx).await)
        .map_err(Error::database(doing))?;
        let head = Head {
            format: FORMAT.into(),
            product_version: env!("CARGO_PKG_VERSION").into(),
            tables_version: migrations(),
            made_at: self.now(),
            sealed_with,
        };
        lines.put(&head).map_err(out.failed())?;
        for table in &tables {
            lines.put(&table.line()).map_err(out.failed())?;
            let all = format!("SELECT {} FROM \"{}\"", table.names(), table.name);
            on!(Tx, &mut tx, tx => {
                let mut rows = sqlx::query(AssertSqlSafe(all)).fetch(&mut **tx);
                while let Some(row) = rows.try_next().await.map_err(Error::database(doing))? {
                    let row = values(&row, &table.columns).map_err(Error::database(doing))?;
                    lines.rows += 1;
                    lines.put(&row).map_err(out.failed())?;
                    if lines.waiting.len() >= PART {
                        out.take(std::mem::take(&mut lines.waiting)).await?;
                    }
                }
            });
        }
        on!(Tx, tx, tx => tx.rollback().await).map_err(Error::database(doing))?;
        let Lines { waiting: mut last, hash, rows } = lines;
        let sha256 = hex::encode(hash.finalize());
        last.extend_from_slice(last_line(rows, &sha256).as_bytes());
        Ok((Backup { made_at: head.made_at, product_version: head.product_version, rows, sha256 }, last))
    }

    /// Puts a backup in place of what the database holds, in one transaction.
    ///
    /// # Errors
    ///
    /// When the file is cut off, altered, or of another version; when the database holds something that is not to be
    /// replaced; when its secrets were sealed with another key; when a server runs. Nothing is written then.
    pub async fn restore(
        &self,
        path: &Path,
        occupied: Occupied,
        secrets: SealedSecrets,
        author: &str,
    ) -> Result<Backup> {
        let tables = tables().await?;
        let (found, keys) = examine(path, &tables)?;
        if secrets == SealedSecrets::Keep && keys.iter().any(|key| key != self.inner.keys.current().id()) {
            return Err(Error::BackupKey { path: path.display().to_string() });
        }
        let _server = self.claim_server("a restore").await?;
        self.no_server().await?;
        let mut claims = Vec::new();
        for connection in self.list().await? {
            claims.push(self.claim(&connection.name, "a restore").await.map_err(|error| match error {
                ClaimError::Failed(error) => error,
                ClaimError::Busy { holder } => {
                    Error::ServerRunning { place: format!("the connection \"{}\"", connection.name), holder }
                }
            })?);
        }

        let doing = "restoring";
        let mut batch = Batch { tx: self.inner.writer.begin().await?, chain: None };
        batch.tx.may_stand_still().await?;
        crate::rotate::hold(&mut batch).await?;
        for table in tables.iter().rev() {
            let held = format!("SELECT count(*) FROM \"{}\"", table.name);
            let forget = format!("DELETE FROM \"{}\"", table.name);
            let held: i64 = on!(Tx, &mut batch.tx, tx => sqlx::query_scalar(AssertSqlSafe(held)).fetch_one(&mut **tx).await)
                .map_err(Error::database(doing))?;
            if held > 0 && table.name != MARKER && occupied == Occupied::Refuse {
                return Err(Error::NotEmpty { table: table.name.clone() });
            }
            // Somebody who is signed in is so by an account that may not be there afterwards
            if table.name == "accounts" {
                for dependent in ["sessions", "one_time_links"] {
                    let forget = format!("DELETE FROM \"{dependent}\"");
                    on!(Tx, &mut batch.tx, tx => sqlx::query(AssertSqlSafe(forget)).execute(&mut **tx).await.map(drop))
                        .map_err(Error::database(doing))?;
                }
            }
            on!(Tx, &mut batch.tx, tx => sqlx::query(AssertSqlSafe(forget)).execute(&mut **tx).await.map(drop))
                .map_err(Error::database(doing))?;
        }

        let mut reader = Reader::open(path, &tables)?;
        let mut waiting: Vec<Vec<Cell>> = Vec::new();
        let mut current = None;
        loop {
            let line = reader.next()?;
            let row = matches!(line, Some(Line::Row(..)));
            if let Some(table) = current
                && (!row || waiting.len() == ROWS)
            {
                insert(&mut batch, table, std::mem::take(&mut waiting)).await?;
            }
            match line {
                Some(Line::Head(_)) => {}
                Some(Line::Table(table)) => current = Some(table),
                Some(Line::Row(table, cells)) => {
                    if !OF_THE_KEY.contains(&&*table.name) || secrets == SealedSecrets::Keep {
                        waiting.push(cells);
                    }
                }
                None => break,
            }
        }
        // The file may have been changed since it was examined
        if hex::encode(reader.hash.clone().finalize()) != found.sha256 {
            return Err(reader.refused("it was altered while it was being read"));
        }
        let note = AuditNote {
            actor: author.into(),
            action: "backup_restored".into(),
            object: path.display().to_string(),
            detail: format!("made at {}, {} rows, SHA-256 {}", found.made_at, found.rows, found.sha256),
        };
        audit::append(&mut batch, &note, self.now()).await?;
        audit::close(&mut batch).await?;
        batch.tx.commit().await?;
        for claim in claims {
            claim.release().await?;
        }
        Ok(found)
    }

    /// Fails when a server is seen to run over a PostgreSQL database.
    async fn no_server(&self) -> Result<()> {
        let beats = async || -> Result<Vec<(String, i64)>> {
            on!(Pool, &self.inner.readers, db =>
                sqlx::query_as("SELECT id, beat FROM servers ORDER BY id").fetch_all(db).await)
            .map_err(Error::database("looking for servers"))
        };
        let before = beats().await?;
        if self.inner.file.is_some() || before.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
        match beats().await?.into_iter().find(|seen| !before.contains(seen)) {
            None => Ok(()),
            Some((id, _)) => Err(Error::ServerRunning {
                place: "the PostgreSQL database".into(),
                holder: format!("server {id}"),
            }),
        }
    }
}
