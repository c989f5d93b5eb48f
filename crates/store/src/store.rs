//! Opening the store. A database that is cut off, altered, somebody else's or of a newer Entrain is refused with the
//! reason, and nothing is written to it (quality.md R-06).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::mpsc;

use crate::about::Counted;
use crate::claim::Locks;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::keyring::Keyring;
use crate::lease::Fences;
use crate::pool::{self, Pool, on};
use crate::writer::{self, Job};
use crate::{files, key};

/// Tells the time of the store's own records.
pub type ClockFn = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What [`Store::open`] needs to know.
#[derive(Clone)]
pub struct OpenOptions {
    /// `sqlite:PATH` or `postgres://…`; `None`, like `sqlite:` alone, is `entrain.db` in the data directory.
    pub database_url: Option<String>,
    /// Made with mode 0700 when it does not exist.
    pub data_dir: PathBuf,
    /// `None` is `secret.key` in the data directory. Made with mode 0600 at the first start.
    pub secret_key_file: Option<PathBuf>,
    /// The time for versions of documents, claims and mirrors.
    pub clock: ClockFn,
}

/// What Entrain remembers. Clones share the database.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) readers: Pool,
    pub(crate) writer: Pool,
    pub(crate) queue: mpsc::Sender<Job>,
    pub(crate) keys: Keyring,
    pub(crate) data_dir: PathBuf,
    pub(crate) locks: Locks,
    /// The claims of this process, where claims are leases.
    pub(crate) fences: Arc<Fences>,
    /// The file of a SQLite database.
    pub(crate) file: Option<PathBuf>,
    pub(crate) clock: ClockFn,
    /// What was counted over whole connections, for all who ask within a moment.
    pub(crate) counted: Arc<Counted>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// `PRAGMA application_id` of our files: "Entr" in ASCII.
const APPLICATION_ID: u32 = 0x456e_7472;

const PRODUCT: &str = "SELECT product FROM store_marker WHERE id = $1";
pub(crate) const NEWEST: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
const APPLIED: &str = "SELECT count(*) FROM _sqlx_migrations";
const SECRETS: &str =
    "SELECT (SELECT count(*) FROM connection_secrets) + (SELECT count(*) FROM draft_secrets)";

/// Where the database is.
enum Place {
    File(PathBuf),
    Server(Box<PgConnectOptions>),
}

impl Place {
    fn of(url: Option<&str>, data_dir: &Path) -> Result<Self> {
        let url = url.unwrap_or("sqlite:");
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.contains('?') || path.contains(":memory:") {
                return Err(Error::Address {
                    why: "a SQLite address is sqlite:PATH, without parameters".into(),
                });
            }
            return Ok(Self::File(if path.is_empty() { data_dir.join("entrain.db") } else { path.into() }));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Server(Box::new(pool::postgres_options(url)?)));
        }
        Err(Error::Address { why: "it begins neither with sqlite: nor with postgres:".into() })
    }
}

impl Store {
    /// Opens the database, making it at the first start, and brings its tables up to date.
    pub async fn open(options: OpenOptions) -> Result<Self> {
        let OpenOptions { database_url, data_dir, secret_key_file, clock } = options;
        let place = Place::of(database_url.as_deref(), &data_dir)?;
        files::make_dir(&data_dir)?;
        // One process at a time makes files, checks them and migrates
        let lock = data_dir.join("open.lock");
        let opening = tokio::task::spawn_blocking(move || files::lock(&lock))
            .await
            .map_err(|error| Error::File { path: "open.lock".into(), why: error.to_string() })??;

        let (writer, readers, locks, file) = match place {
            Place::File(path) => {
                if !path.try_exists().map_err(Error::file(&path))? {
                    make_sqlite(&path).await?;
                }
                check_sqlite(&path).await?;
                files::close_to_others(&path)?;
                let (writer, readers) = pool::sqlite_pools(&path).await?;
                // Beside the file: whoever shares the database shares its claims, whatever the data directory is.
                let mut locks = path.clone().into_os_string();
                locks.push(".locks");
                let locks = PathBuf::from(locks);
                files::make_dir(&locks)?;
                (writer, readers, Locks::Files(locks), Some(path))
            }
            Place::Server(options) => {
                let pool = pool::postgres_pool((*options).clone()).await?;
                check_postgres(&pool).await?;
                (Pool::Postgres(pool.clone()), Pool::Postgres(pool), Locks::Server(options), None)
            }
        };
        migrate(&writer).await?;
        crate::audit::check_head(&readers).await?;
        let key_file = secret_key_file.unwrap_or_else(|| key::default_path(&data_dir));
        crate::rotate::settle(&readers, &key_file).await?;
        let key = find_key(&readers, &key_file).await?;
        let keys = Keyring::new(key_file, key);
        if let Some(id) = crate::rotate::newest(&readers).await? {
            keys.by_id(&id, clock());
        }
        drop(opening);

        let (queue, jobs) = mpsc::channel(1024);
        let fences = Arc::new(Fences::default());
        let counted = Arc::<Counted>::default();
        tokio::spawn(writer::run(writer.clone(), jobs, fences.clone(), counted.clone()));
        let inner = Inner { readers, writer, queue, keys, data_dir, locks, fences, file, clock, counted };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Closes the database; whatever was written is in its one file afterwards. Clones can do nothing any more.
    pub async fn close(self) {
        self.inner.writer.close().await;
        self.inner.readers.close().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }
}

/// The key of this store; made when nothing was sealed yet.
async fn find_key(readers: &Pool, path: &Path) -> Result<Key> {
    if let Some(key) = Key::read(path)? {
        return Ok(key);
    }
    let sealed: i64 = on!(Pool, readers, db => sqlx::query_scalar(SECRETS).fetch_one(db).await)
        .map_err(Error::database("counting secrets"))?;
    if sealed > 0 {
        return Err(Error::KeyFile {
            path: path.display().to_string(),
            why: "it is not there, and the database holds secrets that were sealed with it".into(),
        });
    }
    Key::make(path)
}

async fn migrate(writer: &Pool) -> Result<()> {
    on!(Pool, writer, db => MIGRATIONS.run(db).await).map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error)
        | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => Error::database("migrating")(error),
        other => Error::Damaged { place: "the database".into(), why: other.to_string() },
    })
}

pub(crate) fn known() -> i64 {
    MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default()
}

/// Makes a database under another name and gives it its own when it is complete, so that a file of our name is never
/// half made, whenever the process is killed.
async fn make_sqlite(path: &Path) -> Result<()> {
    let log = with_suffix(path, "-wal");
    if log.exists() {
        return Err(Error::Damaged {
            place: path.display().to_string(),
            why: format!("it is missing, but its log {} is there", log.display()),
        });
    }
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        files::make_dir(folder)?;
    }
    let unfinished = with_suffix(path, ".new");
    let rest = with_suffix(&unfinished, "-journal");
    for old in [&unfinished, &rest] {
        if old.exists() {
            std::fs::remove_file(old).map_err(Error::file(old))?;
        }
    }
    let file = files::private().create_new(true).open(&unfinished).map_err(Error::file(&unfinished))?;
    let doing = "making the database";
    let options = pool::sqlite_options(&unfinished).pragma("application_id", APPLICATION_ID.to_string());
    let mut connection: SqliteConnection = options.connect().await.map_err(Error::database(doing))?;
    MIGRATIONS.run(&mut connection).await.map_err(|error| Error::Damaged {
        place: unfinished.display().to_string(),
        why: error.to_string(),
    })?;
    connection.close().await.map_err(Error::database(doing))?;
    file.sync_all().map_err(Error::file(&unfinished))?;
    std::fs::rename(&unfinished, path).map_err(Error::file(path))?;
    files::sync_folder(path)
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Refuses a file that is not ours or not whole, without writing to it.
async fn check_sqlite(path: &Path) -> Result<()> {
    let place = || path.display().to_string();
    let damaged = |why: String| Error::Damaged { place: place(), why };
    let foreign = |why: &str| Error::Foreign { place: place(), why: why.into() };
    let head = files::head(path)?;
    if head.len() < 100 {
        return Err(damaged(format!("it is cut off after {} bytes", head.len())));
    }
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(foreign("it does not begin as a SQLite file does"));
    }
    if head[68..72] != APPLICATION_ID.to_be_bytes() {
        return Err(foreign("it bears the mark of another program, or of none"));
    }

    // SQLite reads the end of a cut-off page as zeros. With a log beside it, the file may end anywhere: the log mends it
    let page = match u64::from(u16::from_be_bytes([head[16], head[17]])) {
        1 => 65_536,
        size => size,
    };
    let length = std::fs::metadata(path).map_err(Error::file(path))?.len();
    if !with_suffix(path, "-wal").exists() && (page == 0 || length % page != 0) {
        return Err(damaged(format!("it is cut off after {length} bytes")));
    }

    let options: SqliteConnectOptions =
        pool::sqlite_options(path).read_only(true).pragma("cell_size_check", "ON");
    // On a file that passed as ours, a failure to read is damage
    let unreadable = |error: sqlx::Error| match Error::database("checking the database")(error) {
        Error::Damaged { why, .. } => damaged(why),
        other => other,
    };
    let mut connection = options.connect().await.map_err(unreadable)?;
    let verdict: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(3)")
        .fetch_all(&mut connection)
        .await
        .map_err(unreadable)?;
    if verdict != ["ok"] {
        return Err(damaged(verdict.join("; ")));
    }
    let missing = |error: sqlx::Error| damaged(format!("its tables are not as they were made: {error}"));
    let product: Option<String> =
        sqlx::query_scalar(PRODUCT).bind(1_i64).fetch_optional(&mut connection).await.map_err(missing)?;
    if product.as_deref() != Some("entrain") {
        return Err(damaged("the row that marks it as Entrain's is altered".into()));
    }
    let found: i64 = sqlx::query_scalar(NEWEST).fetch_one(&mut connection).await.map_err(missing)?;
    if found > known() {
        return Err(Error::Newer { place: place(), found, known: known() });
    }
    let applied: i64 = sqlx::query_scalar(APPLIED).fetch_one(&mut connection).await.map_err(missing)?;
    // Numbers are not given in their order: one that is lower may be missing
    let current = usize::try_from(applied).is_ok_and(|applied| applied == MIGRATIONS.iter().count());
    if current && schema(&mut connection).await.map_err(unreadable)? != expected_schema().await? {
        return Err(damaged("its tables are not as they were made".into()));
    }
    connection.close().await.map_err(unreadable)
}

/// The text of the tables, which SQLite keeps and reads again at each start.
async fn schema(
    connection: &mut SqliteConnection,
) -> Result<Vec<(String, String, Option<String>)>, sqlx::Error> {
    sqlx::query_as("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
        .fetch_all(connection)
        .await
}

/// The text of the tables as the migrations of this program make them.
async fn expected_schema() -> Result<Vec<(String, String, Option<String>)>> {
    let doing = "making the tables in memory";
    let options = SqliteConnectOptions::new().in_memory(true);
    let mut connection = options.connect().await.map_err(Error::database(doing))?;
    MIGRATIONS.run(&mut connection).await.map_err(|error| Error::Database {
        doing,
        source: Arc::new(sqlx::Error::Migrate(Box::new(error))),
    })?;
    let expected = schema(&mut connection).await.map_err(Error::database(doing))?;
    connection.close().await.map_err(Error::database(doing))?;
    Ok(expected)
}

/// Refuses a server's database whose tables are not ours.
async fn check_postgres(pool: &sqlx::PgPool) -> Result<()> {
    let place = || "the PostgreSQL database".to_owned();
    let doing = "checking the database";
    let tables = pool::postgres_tables(pool).await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if has("store_marker") {
        let product: Result<Option<String>, sqlx::Error> =
            sqlx::query_scalar(PRODUCT).bind(1_i64).fetch_optional(pool).await;
        // A table of this name with other columns is somebody else's
        if !matches!(product, Ok(Some(ref product)) if product == "entrain") {
            return Err(Error::Foreign { place: place(), why: "its marker is not Entrain's".into() });
        }
    } else if tables.iter().any(|table| table != "_sqlx_migrations") {
        return Err(Error::Foreign {
            place: place(),
            why: format!("it holds tables of another program, such as {}", tables[0]),
        });
    }
    if has("_sqlx_migrations") {
        let found: i64 = sqlx::query_scalar(NEWEST).fetch_one(pool).await.map_err(Error::database(doing))?;
        if found > known() {
            return Err(Error::Newer { place: place(), found, known: known() });
        }
        if found > 0 && !has("store_marker") {
            return Err(Error::Foreign {
                place: place(),
                why: "its migrations are another program's".into(),
            });
        }
    }
    Ok(())
}
