//! One run per connection at a time, also between processes (quality.md R-08). The system frees the claim when its
//! process dies, whatever kills it: on SQLite it is a file lock, on PostgreSQL a lease (`lease.rs`).

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::{ClaimError, Error};
use crate::files;
use crate::lease::{self, Lease};
use crate::store::Store;

/// Where claims are made.
pub(crate) enum Locks {
    /// Files in this folder.
    Files(std::path::PathBuf),
    /// Sessions of this server.
    Server(Box<PgConnectOptions>),
}

/// Held for the length of a run; the connection is free again when it is dropped.
#[must_use = "the connection is free again as soon as the claim is dropped"]
pub struct Claim(Held);

enum Held {
    File(File),
    Session(Option<Lease>),
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claim")
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        match &mut self.0 {
            // The name of a holder that is gone helps nobody; the lock itself goes with the file handle
            Held::File(file) => {
                let _ = file.set_len(0);
            }
            Held::Session(lease) => drop(lease.take()),
        }
    }
}

impl Claim {
    /// Gives the connection free and returns when it is free.
    pub async fn release(mut self) -> Result<(), Error> {
        match &mut self.0 {
            Held::File(_) => Ok(()),
            Held::Session(lease) => match lease.take() {
                Some(lease) => lease.release().await,
                None => Ok(()),
            },
        }
    }
}

const LOCK: &str = "SELECT pg_try_advisory_lock($1)";
const NAME: &str = "INSERT INTO claims (connection, holder, since, fence) VALUES ($1, $2, $3, 1) \
    ON CONFLICT (connection) DO UPDATE SET holder = excluded.holder, since = excluded.since, \
    fence = claims.fence + 1, beat = 0 RETURNING fence";
const HOLDER: &str = "SELECT holder, fence, beat FROM claims WHERE connection = $1";

/// A server needs a moment to see that a session's client is gone, and a holder to write its name.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(25);

impl Store {
    /// Claims a connection for one run; `holder` says who, for people: host, process, since when.
    pub async fn claim(&self, connection: &str, holder: &str) -> Result<Claim, ClaimError> {
        match &self.inner.locks {
            Locks::Files(folder) => {
                let path = folder.join(format!("{}.lock", hex::encode(&digest(connection)[..12])));
                claim_file(path, holder).await
            }
            Locks::Server(options) => self.claim_session(options, connection, holder).await,
        }
    }

    /// Claims the database for one server; on SQLite there is one at a time, on PostgreSQL they share it. `holder` says
    /// who, for people.
    pub async fn claim_server(&self, holder: &str) -> Result<Option<Claim>, Error> {
        let Some(database) = &self.inner.file else { return Ok(None) };
        let mut path = database.clone().into_os_string();
        path.push(".server");
        match claim_file(path.into(), holder).await {
            Ok(claim) => Ok(Some(claim)),
            Err(ClaimError::Busy { holder }) => {
                Err(Error::ServerRunning { place: database.display().to_string(), holder })
            }
            Err(ClaimError::Failed(error)) => Err(error),
        }
    }

    async fn claim_session(
        &self,
        options: &PgConnectOptions,
        connection: &str,
        holder: &str,
    ) -> Result<Claim, ClaimError> {
        let doing = "claiming the connection";
        let mut session = options.connect().await.map_err(Error::database(doing))?;
        let mut first = [0; 8];
        first.copy_from_slice(&digest(connection)[..8]);
        let number = i64::from_le_bytes(first);
        let mut named = None;
        for _ in 0..TRIES {
            let asked_at = Instant::now();
            let free: bool = sqlx::query_scalar(LOCK)
                .bind(number)
                .fetch_one(&mut session)
                .await
                .map_err(Error::database(doing))?;
            if free {
                let fence: i64 = sqlx::query_scalar(NAME)
                    .bind(connection)
                    .bind(holder)
                    .bind(self.now().as_millisecond())
                    .fetch_one(&mut session)
                    .await
                    .map_err(Error::database(doing))?;
                let lease = Lease::hold(session, connection, fence, asked_at, &self.inner.fences);
                return Ok(Claim(Held::Session(Some(lease))));
            }
            let held: Option<(String, i64, i64)> = sqlx::query_as(HOLDER)
                .bind(connection)
                .fetch_optional(&mut session)
                .await
                .map_err(Error::database(doing))?;
            if let Some((holder, fence, beat)) = held {
                if self.inner.fences.stands_still(connection, fence, beat, Instant::now()) {
                    lease::take_from_silent_holder(&mut session, number).await?;
                }
                named = Some(holder);
            }
            tokio::time::sleep(PAUSE).await;
        }
        session.close().await.map_err(Error::database(doing))?;
        Err(busy(named))
    }
}

async fn claim_file(path: PathBuf, holder: &str) -> Result<Claim, ClaimError> {
    for _ in 0..TRIES {
        let mut file =
            files::private().create(true).truncate(false).open(&path).map_err(Error::file(&path))?;
        match file.try_lock() {
            Ok(()) => {
                let write = |file: &mut File| {
                    file.set_len(0)?;
                    file.rewind()?;
                    file.write_all(holder.as_bytes())?;
                    file.sync_data()
                };
                write(&mut file).map_err(Error::file(&path))?;
                return Ok(Claim(Held::File(file)));
            }
            Err(TryLockError::WouldBlock) => {
                let mut name = String::new();
                file.read_to_string(&mut name).map_err(Error::file(&path))?;
                if !name.is_empty() {
                    return Err(busy(Some(name)));
                }
                // Just taken, or just being given back
                tokio::time::sleep(PAUSE).await;
            }
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error).into()),
        }
    }
    Err(busy(None))
}

fn busy(holder: Option<String>) -> ClaimError {
    ClaimError::Busy { holder: holder.unwrap_or_else(|| "another run that has not said its name".into()) }
}

fn digest(connection: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update("entrain claim ");
    hash.update(connection);
    hash.finalize().into()
}
