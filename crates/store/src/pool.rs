//! The two databases behind one type. SQL texts are the same on both; what differs is behind named methods here:
//! how a writing transaction begins, and how a server's database is recognised.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Postgres, Sqlite, Transaction};

use crate::error::{Error, Result};

/// Runs one body on whichever database there is: `on!(Pool | Tx, value, db => body)`.
macro_rules! on {
    ($kind:ident, $value:expr, $db:ident => $body:expr) => {
        match $value {
            $crate::pool::$kind::Sqlite($db) => $body,
            $crate::pool::$kind::Postgres($db) => $body,
        }
    };
}
pub(crate) use on;

/// Connections to one of the two databases.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A writing transaction.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// One connection, for several reads in a row. To take a connection out of the pool and to put it back costs as much as
/// a small read does.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Pool {
    /// Takes a connection to read from. Whoever has one waits for no second one: there are few.
    pub(crate) async fn reader(&self) -> Result<Reader> {
        let doing = "taking a connection";
        match self {
            Self::Sqlite(pool) => pool.acquire().await.map(Reader::Sqlite).map_err(Error::database(doing)),
            Self::Postgres(pool) => {
                pool.acquire().await.map(Reader::Postgres).map_err(Error::database(doing))
            }
        }
    }

    /// Begins a writing transaction. SQLite takes the write lock at once: a transaction that reads first and writes
    /// later fails when another process wrote in between, without waiting.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        let doing = "beginning a transaction";
        match self {
            Self::Sqlite(pool) => {
                pool.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite).map_err(Error::database(doing))
            }
            Self::Postgres(pool) => pool.begin().await.map(Tx::Postgres).map_err(Error::database(doing)),
        }
    }

    /// Waits until every connection is closed.
    pub(crate) async fn close(&self) {
        on!(Pool, self, db => db.close().await);
    }
}

impl Tx {
    /// Lets this transaction stand still: it waits for a file, or for whoever takes what is read.
    pub(crate) async fn may_stand_still(&mut self) -> Result<()> {
        if let Self::Postgres(tx) = self {
            sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0")
                .execute(&mut **tx)
                .await
                .map_err(Error::database("beginning a transaction"))?;
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<()> {
        on!(Tx, self, tx => tx.commit().await).map_err(Error::database("committing"))
    }
}

/// How long a process waits for another one's write on the same SQLite file.
const BUSY: Duration = Duration::from_secs(30);

/// Options for a file that exists; nothing here writes to it.
pub(crate) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).create_if_missing(false).foreign_keys(true).busy_timeout(BUSY)
}

/// The writer (one connection) and the readers of a checked file. `synchronous=FULL`: a commit is on disk when it
/// returns, also in WAL mode.
pub(crate) async fn sqlite_pools(path: &Path) -> Result<(Pool, Pool)> {
    let options = sqlite_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cell_size_check", "ON")
        .pragma("trusted_schema", "OFF");
    let open = |most| {
        SqlitePoolOptions::new()
            .max_connections(most)
            .idle_timeout(None)
            .max_lifetime(None)
            // A file does not hang up
            .test_before_acquire(false)
            .connect_with(options.clone())
    };
    let doing = "opening the database";
    let writer = open(1).await.map_err(Error::database(doing))?;
    let readers = open(4).await.map_err(Error::database(doing))?;
    Ok((Pool::Sqlite(writer), Pool::Sqlite(readers)))
}

/// How long a transaction may stand still before PostgreSQL ends its session, in seconds. Less than a lease
/// (`lease::LEASE`): what a server that is frozen or cut off has locked is free when another takes its connection over.
const STANDS_STILL: &str = "10s";

/// How to reach a server's database.
pub(crate) fn postgres_options(url: &str) -> Result<PgConnectOptions> {
    PgConnectOptions::from_str(url)
        .map(|options| options.application_name("entrain"))
        .map(|options| options.options([("idle_in_transaction_session_timeout", STANDS_STILL)]))
        .map_err(|_| Error::Address { why: "it is not a PostgreSQL address".into() })
}

/// Connections to a server's database, for reading and for writing alike.
pub(crate) async fn postgres_pool(options: PgConnectOptions) -> Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(6)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options)
        .await
        .map_err(Error::database("connecting to PostgreSQL"))
}

/// Whether the server's database has tables, and whether they are ours.
pub(crate) async fn postgres_tables(pool: &PgPool) -> Result<Vec<String>> {
    sqlx::query_scalar::<_, String>(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::database("looking at the tables"))
}

/// How SQLite goes about a statement, step by step, in a database that is empty.
#[cfg(test)]
pub(crate) async fn ways(sql: &str) -> Vec<String> {
    use sqlx::Connection as _;
    let mut database = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
    crate::store::MIGRATIONS.run(&mut database).await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let ways: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&mut database).await.unwrap();
    ways.into_iter().map(|(.., what)| what).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a server that is cut off in the middle of a transaction must not keep the claim's row locked.
    #[test]
    fn r_09_a_transaction_of_a_silent_server_ends_before_its_lease() {
        let options =
            postgres_options("postgres://entrain@db.example/entrain?options=-c%20work_mem%3D8MB").unwrap();
        let told = options.get_options().unwrap();
        assert!(told.contains("idle_in_transaction_session_timeout=10s"), "{told}");
        assert!(told.contains("work_mem=8MB"), "what the address says stays: {told}");
        let seconds: u64 = STANDS_STILL.trim_end_matches('s').parse().unwrap();
        assert!(seconds < crate::lease::LEASE.as_secs());
    }
}
