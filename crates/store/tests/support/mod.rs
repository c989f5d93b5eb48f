//! A fresh database for each test, on SQLite and on PostgreSQL.
//!
//! PostgreSQL comes from `ENTRAIN_TEST_POSTGRES` (the address of a server where databases may be created) or from
//! `scripts/postgres-for-tests`. `ENTRAIN_SKIP_POSTGRES` leaves that half out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use entrain_store::{OpenOptions, Store};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// Where a test keeps its data, and the time there.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) url: Option<String>,
    now: Arc<AtomicI64>,
}

impl World {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, url: None, now: Arc::new(AtomicI64::new(1_800_000_000_000)) }
    }

    /// `None` when PostgreSQL is left out.
    pub(crate) async fn postgres() -> Option<Self> {
        if std::env::var_os("ENTRAIN_SKIP_POSTGRES").is_some() {
            println!("skipped: ENTRAIN_SKIP_POSTGRES is set");
            return None;
        }
        let server = std::env::var("ENTRAIN_TEST_POSTGRES").unwrap_or_else(|_| started());
        let name = format!("t_{:032x}", rand::random::<u128>());
        let mut connection = PgConnection::connect(&server).await.expect("the test server answers");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let (base, query) = server.split_once('?').unwrap_or((&server, ""));
        let (base, _) = base.rsplit_once('/').unwrap();
        Some(Self { url: Some(format!("{base}/{name}?{query}")), ..Self::sqlite() })
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.data_dir().join("entrain.db")
    }

    pub(crate) fn options(&self) -> OpenOptions {
        let now = self.now.clone();
        OpenOptions {
            database_url: self.url.clone(),
            data_dir: self.data_dir(),
            secret_key_file: None,
            clock: Arc::new(move || Timestamp::from_millisecond(now.load(Ordering::Relaxed)).unwrap()),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(self.options()).await.unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now.load(Ordering::Relaxed)).unwrap()
    }

    /// Sets the clock.
    pub(crate) fn set(&self, now: Timestamp) {
        self.now.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// Does something to the database behind the store's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        if let Some(url) = &self.url {
            let mut connection = PgConnection::connect(url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let file = format!("sqlite:{}", self.file().display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

fn started() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres-for-tests");
    let output =
        std::process::Command::new(script).arg("url").output().expect("scripts/postgres-for-tests runs");
    assert!(
        output.status.success(),
        "{}\nThe repository's test command brings PostgreSQL along; run that.",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One test, run on both databases: `on_both!(name, |world| { … })`.
macro_rules! on_both {
    ($(#[$meta:meta])* $name:ident, |$world:ident| $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(clippy::allow_attributes, unused_imports, reason = "not every test needs what stands around it")]
            use super::*;

            async fn test($world: $crate::support::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                test($crate::support::World::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(world) = $crate::support::World::postgres().await {
                    test(world).await;
                }
            }
        }
    };
}
pub(crate) use on_both;
