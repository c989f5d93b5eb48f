//! Rotation of the secret key. The new key is on disk, beside the old one, before anything is sealed with it; all secrets
//! are sealed anew in the transaction that retires the old key; then the new file takes the old one's place. After a
//! crash the retired keys in the database tell which of the two files counts.
//!
//! The new key is nowhere in the database, not even sealed with the old one: who has the old key shall not have it. A
//! machine with a key file of its own is therefore given the new one by its operator, before the rotation or after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entrain_domain::run::AuditNote;
use secrecy::SecretString;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::key::{Key, Sealed};
use crate::keyring::{beside, next, usable};
use crate::pool::{Pool, Tx, on};
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::{Batch, Write};
use crate::{audit, files};

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// How many secrets were sealed anew.
    pub secrets: u64,
    /// Names the new key, and tells nothing of it.
    pub key_id: String,
    /// Holds the new key.
    pub key_file: PathBuf,
    /// Holds the old key, which opens backups from before.
    pub retired_file: PathBuf,
}

/// A key that waits for its rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prepared {
    /// Names the key, and tells nothing of it.
    pub key_id: String,
    /// Holds it.
    pub file: PathBuf,
}

/// A table of sealed secrets.
#[derive(Clone, Copy)]
enum Kind {
    Connection,
    Draft,
}

#[derive(sqlx::FromRow)]
struct Row {
    owner: String,
    field: String,
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Connection, Self::Draft];

    fn all(self) -> &'static str {
        match self {
            Self::Connection => {
                "SELECT connection AS owner, field, key_id, nonce, sealed FROM connection_secrets"
            }
            Self::Draft => "SELECT draft AS owner, field, key_id, nonce, sealed FROM draft_secrets",
        }
    }

    fn replace(self) -> &'static str {
        match self {
            Self::Connection => {
                "UPDATE connection_secrets SET key_id = $1, nonce = $2, sealed = $3 WHERE connection = $4 AND field = $5"
            }
            Self::Draft => {
                "UPDATE draft_secrets SET key_id = $1, nonce = $2, sealed = $3 WHERE draft = $4 AND field = $5"
            }
        }
    }

    fn open(self, key: &Key, row: &Row) -> Result<SecretString> {
        let sealed =
            Sealed { key_id: row.key_id.clone(), nonce: row.nonce.clone(), content: row.sealed.clone() };
        match self {
            Self::Connection => key.open(&row.owner, &row.field, &sealed),
            Self::Draft => key.open_draft(&row.owner, &row.field, &sealed),
        }
    }

    fn seal(self, key: &Key, row: &Row, secret: &SecretString) -> Result<Sealed> {
        match self {
            Self::Connection => key.seal(&row.owner, &row.field, secret),
            Self::Draft => key.seal_draft(&row.owner, &row.field, secret),
        }
    }
}

const RETIRE: &str = "INSERT INTO retired_keys (key_id, successor, at, sum) VALUES ($1, $2, $3, $4)";
const RETIRED: &str = "SELECT count(*) FROM retired_keys WHERE key_id = $1";
const NEWEST: &str =
    "SELECT successor FROM retired_keys WHERE successor NOT IN (SELECT key_id FROM retired_keys)";

fn retired_file(path: &Path, key: &Key) -> PathBuf {
    beside(path, &format!(".retired-{}", key.id()))
}

async fn retired(pool: &Pool, key: &Key) -> Result<bool> {
    let count: i64 = on!(Pool, pool, db => sqlx::query_scalar(RETIRED).bind(key.id()).fetch_one(db).await)
        .map_err(Error::database("looking for retired keys"))?;
    Ok(count > 0)
}

/// The id of the key that the last rotation brought.
pub(crate) async fn newest(pool: &Pool) -> Result<Option<String>> {
    on!(Pool, pool, db => sqlx::query_scalar(NEWEST).fetch_optional(db).await)
        .map_err(Error::database("looking for retired keys"))
}

/// Makes the key that waits, for whoever may read the one that is.
fn make_beside(path: &Path) -> Result<Key> {
    let waiting = next(path);
    let key = Key::make(&waiting)?;
    files::owned_as(&waiting, path)?;
    Ok(key)
}

/// Puts the key that waits in the place of this one, whose file is kept under another name. Whoever comes second finds
/// nothing to do.
fn put_in_place(path: &Path, old: &Key) -> Result<()> {
    let waiting = next(path);
    let lock = match std::fs::File::open(&waiting) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file(&waiting)(error)),
    };
    lock.lock().map_err(Error::file(&waiting))?;
    let unchanged = Key::read(path)?.is_some_and(|key| key.id() == old.id());
    if !unchanged || !waiting.try_exists().map_err(Error::file(&waiting))? {
        return Ok(());
    }
    let text = zeroize::Zeroizing::new(std::fs::read(path).map_err(Error::file(path))?);
    let retired = retired_file(path, old);
    files::write_new(&retired, &text)?;
    files::owned_as(&retired, path)?;
    std::fs::rename(&waiting, path).map_err(Error::file(path))?;
    files::sync_folder(path)
}

/// Finishes a rotation that was killed, or that another machine has done since its key was put here to wait.
pub(crate) async fn settle(pool: &Pool, path: &Path) -> Result<()> {
    let (Some(waiting), Some(current)) = (usable(&next(path)), usable(path)) else { return Ok(()) };
    if retired(pool, &current).await? && newest(pool).await?.as_deref() == Some(waiting.id()) {
        // Where the folder can only be read, the key is used from where it waits
        if let Err(error) = put_in_place(path, &current) {
            tracing::warn!(%error, "the new secret key is used from the file beside, which could not be renamed");
        }
    }
    Ok(())
}

/// Keeps rotations away until the end of the transaction. To be taken before anything else in it, so that nobody waits
/// for a rotation that waits for them.
pub(crate) async fn hold(batch: &mut Batch) -> Result<()> {
    lock(batch, "LOCK TABLE retired_keys IN ROW SHARE MODE").await
}

/// On SQLite a writing transaction is alone.
async fn lock(batch: &mut Batch, how: &'static str) -> Result<()> {
    if let Tx::Postgres(tx) = &mut batch.tx {
        sqlx::query(how)
            .execute(&mut **tx)
            .await
            .map_err(Error::database("waiting for a rotation of the secret key"))?;
    }
    Ok(())
}

/// Fails when a key that something is sealed with has been retired. Under [`hold`].
pub(crate) async fn not_retired(batch: &mut Batch, key_id: &str) -> Result<()> {
    let count: i64 =
        on!(Tx, &mut batch.tx, tx => sqlx::query_scalar(RETIRED).bind(key_id).fetch_one(&mut **tx).await)
            .map_err(Error::database("looking for retired keys"))?;
    if count > 0 { Err(Error::KeyRotated) } else { Ok(()) }
}

/// Seals everything anew within the transaction, and says how much that was.
async fn seal_anew(batch: &mut Batch, kind: Kind, old: &Key, new: &Key) -> Result<u64> {
    let doing = "sealing secrets anew";
    let rows: Vec<Row> = on!(Tx, &mut batch.tx, tx => sqlx::query_as(kind.all()).fetch_all(&mut **tx).await)
        .map_err(Error::database(doing))?;
    for row in &rows {
        let sealed = kind.seal(new, row, &kind.open(old, row)?)?;
        on!(Tx, &mut batch.tx, tx => sqlx::query(kind.replace())
            .bind(&sealed.key_id).bind(&sealed.nonce).bind(&sealed.content).bind(&row.owner).bind(&row.field)
            .execute(&mut **tx).await.map(drop))
        .map_err(Error::database(doing))?;
    }
    // Before the commit, nothing is lost yet
    let rows: Vec<Row> = on!(Tx, &mut batch.tx, tx => sqlx::query_as(kind.all()).fetch_all(&mut **tx).await)
        .map_err(Error::database(doing))?;
    rows.iter().try_for_each(|row| kind.open(new, row).map(drop))?;
    Ok(rows.len() as u64)
}

impl Store {
    /// The key that opens what was sealed with the key of this id. Where there is none, the one in use, which then tells
    /// which secret it does not open.
    pub(crate) async fn opening_key(&self, id: &str) -> Result<Arc<Key>> {
        if let Some(key) = self.inner.keys.by_id(id, self.now()) {
            return Ok(key);
        }
        let current = self.inner.keys.current();
        if retired(&self.inner.readers, &current).await? { Err(Error::KeyRotated) } else { Ok(current) }
    }

    /// The key to seal with.
    async fn sealing_key(&self) -> Result<Arc<Key>> {
        let (keys, now) = (&self.inner.keys, self.now());
        let mut before = None;
        loop {
            let current = keys.newest(now);
            let id = newest(&self.inner.readers).await?;
            if let Some(key) = id.as_ref().and_then(|id| keys.by_id(id, now)) {
                return Ok(key);
            }
            if !retired(&self.inner.readers, &current).await? {
                return Ok(current);
            }
            // The next rotation may have come between the looks at database and file
            if before.as_ref() == Some(&id) {
                return Err(Error::KeyRotated);
            }
            before = Some(id);
        }
    }

    /// Seals secrets, each with `seal`, and writes them. With the new key when a rotation came in between.
    pub(crate) async fn write_sealed(
        &self,
        secrets: &BTreeMap<String, SecretString>,
        seal: impl Fn(&Key, &str, &SecretString) -> Result<Sealed>,
        write: impl Fn(Vec<(String, Sealed)>) -> Write,
    ) -> Result<()> {
        if secrets.is_empty() {
            return self.write(write(Vec::new())).await;
        }
        let sealed = |key: &Key| -> Result<Write> {
            let seal = |(field, secret)| Ok((String::clone(field), seal(key, field, secret)?));
            Ok(write(secrets.iter().map(seal).collect::<Result<_>>()?))
        };
        let mut key = self.sealing_key().await?;
        loop {
            match self.write(sealed(&key)?).await {
                Err(Error::KeyRotated) => key = self.sealing_key().await?,
                result => return result,
            }
        }
    }

    /// The lock of the data directory, under which its files are made.
    async fn alone(&self) -> Result<std::fs::File> {
        let lock = self.inner.data_dir.join("open.lock");
        tokio::task::spawn_blocking(move || files::lock(&lock))
            .await
            .map_err(|error| Error::File { path: "open.lock".into(), why: error.to_string() })?
    }

    /// Makes the key for the next rotation and lets it wait beside the key file; one that waits already is left as it
    /// is. Put beside the key files of other machines before the rotation, it is taken up there at once.
    ///
    /// # Errors
    /// When the file cannot be made, or one that is there is no key.
    pub async fn prepare_key(&self) -> Result<Prepared> {
        let _alone = self.alone().await?;
        let file = next(self.inner.keys.path());
        let key = match Key::read(&file)? {
            Some(key) => key,
            None => make_beside(self.inner.keys.path())?,
        };
        Ok(Prepared { key_id: key.id().to_owned(), file })
    }

    /// Seals every secret anew with a new key, which takes the old one's place: the one that was prepared, or one that
    /// is made now. Running servers over the same key file go on, and so do those on other machines once the new file is
    /// there.
    ///
    /// # Errors
    ///
    /// When a secret does not open with the old key, or file or database cannot be written to. The old key counts then,
    /// unless the failure was after the commit: the next opening of the store finishes the rotation.
    pub async fn rotate_key(&self, author: &str) -> Result<Rotated> {
        let _alone = self.alone().await?;
        let path = self.inner.keys.path().to_owned();
        settle(&self.inner.readers, &path).await?;
        let old = self.inner.keys.newest(self.now());
        let waiting = next(&path);
        let prepared = Key::read(&waiting)?;
        let made_now = prepared.is_none();
        let new = match prepared {
            Some(key) => key,
            None => make_beside(&path)?,
        };
        let (batch, secrets) = match self.seal_all_anew(&old, &new, author).await {
            Ok(sealed) => sealed,
            Err(error) => {
                if made_now && let Err(error) = std::fs::remove_file(&waiting) {
                    tracing::warn!(%error, path = %waiting.display(), "a key that nothing is sealed with stays");
                }
                return Err(error);
            }
        };
        // From here on nobody knows whether it is on disk, until the store is opened again
        batch.tx.commit().await?;
        put_in_place(&path, &old)?;
        self.inner.keys.by_id(new.id(), self.now());
        let retired_file = retired_file(&path, &old);
        Ok(Rotated { secrets, key_id: new.id().to_owned(), key_file: path, retired_file })
    }

    async fn seal_all_anew(&self, old: &Key, new: &Key, author: &str) -> Result<(Batch, u64)> {
        let mut batch = Batch { tx: self.inner.writer.begin().await?, chain: None };
        lock(&mut batch, "LOCK TABLE retired_keys IN EXCLUSIVE MODE").await?;
        for key in [old, new] {
            not_retired(&mut batch, key.id()).await?;
        }
        let mut secrets = 0;
        for kind in Kind::ALL {
            secrets += seal_anew(&mut batch, kind, old, new).await?;
        }
        let at = self.now();
        let ms = at.as_millisecond();
        let sum = Sum::of("retired_keys").text(old.id()).text(new.id()).number(ms).finish();
        on!(Tx, &mut batch.tx, tx => sqlx::query(RETIRE).bind(old.id()).bind(new.id()).bind(ms).bind(sum)
            .execute(&mut **tx).await.map(drop))
        .map_err(Error::database("retiring a key"))?;
        let note = AuditNote {
            actor: author.into(),
            action: "key_rotated".into(),
            object: new.id().into(),
            detail: format!("{secrets} secrets sealed anew; {} is retired", old.id()),
        };
        audit::append(&mut batch, &note, at).await?;
        audit::close(&mut batch).await?;
        Ok((batch, secrets))
    }
}
