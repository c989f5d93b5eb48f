//! The audit log: append-only, and each entry's hash covers the hash before it, so that a changed, missing or added
//! entry shows. The end of the chain is kept apart from the entries, so that a cut-off end shows too.

use entrain_domain::run::AuditNote;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::storable;
use crate::writer::{Batch, Write};

/// An entry, with the names of the contract (`audit list`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditEntry {
    /// Position, from 1 without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To which object.
    pub object: String,
    /// Why, and with which answer.
    pub detail: String,
    /// SHA-256 over the hash before and this entry, in hex.
    pub hash: String,
}

/// Which entries are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only from this moment on.
    pub since: Option<Timestamp>,
    /// Only up to this moment.
    pub until: Option<Timestamp>,
    /// Only of whom the name contains this, whatever its case.
    pub actor: Option<String>,
    /// Only of this kind, such as `add_member`.
    pub action: Option<String>,
    /// Only about objects whose name contains this, whatever its case.
    pub object: Option<String>,
    /// Only those before this entry.
    pub before: Option<i64>,
}

/// What following the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Every entry is as it was written.
    Sound {
        /// Entries.
        entries: i64,
    },
    /// The chain breaks.
    Broken {
        /// The first entry that is not as it was written, or that is missing.
        seq: i64,
        /// What is wrong with it.
        why: String,
    },
}

/// The end of the chain.
pub(crate) struct Head {
    seq: i64,
    hash: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    at: i64,
    actor: String,
    action: String,
    object: String,
    detail: String,
    hash: String,
}

impl Row {
    fn entry(self) -> Result<AuditEntry> {
        let at = Timestamp::from_millisecond(self.at).map_err(|_| Error::row("audit", self.seq))?;
        let Self { seq, actor, action, object, detail, hash, .. } = self;
        Ok(AuditEntry { seq, at, actor, action, object, detail, hash })
    }
}

// An update that changes nothing takes the row's lock: replicas append one after another
const TAKE: &str =
    "UPDATE store_marker SET audit_seq = audit_seq WHERE id = $1 RETURNING audit_seq, audit_hash";
const HEAD: &str = "SELECT audit_seq, audit_hash FROM store_marker WHERE id = $1";
const MOVE: &str = "UPDATE store_marker SET audit_seq = $1, audit_hash = $2 WHERE id = $3";
const INSERT: &str =
    "INSERT INTO audit (seq, at, actor, action, object, detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ALL: &str =
    "SELECT seq, at, actor, action, object, detail, hash FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
const NEWEST: &str = "SELECT seq, at, actor, action, object, detail, hash FROM audit \
    WHERE seq < $1 AND at >= $2 AND at <= $3 \
    AND ($4 = '' OR LOWER(actor) LIKE LOWER($4) ESCAPE '!') AND ($5 = '' OR action = $5) \
    AND ($6 = '' OR LOWER(object) LIKE LOWER($6) ESCAPE '!') ORDER BY seq DESC LIMIT $7";
const BEFORE: &str = "SELECT seq, at, actor, action, object, detail, hash FROM audit WHERE seq < $1 \
    ORDER BY seq DESC LIMIT $2";
const LAST: &str = "SELECT hash FROM audit WHERE seq = $1";

/// Appends an entry within the transaction.
pub(crate) async fn append(batch: &mut Batch, note: &AuditNote, at: Timestamp) -> Result<()> {
    let doing = "writing the audit log";
    let head = if let Some(head) = batch.chain.take() {
        head
    } else {
        let (seq, hash): (i64, String) =
            on!(Tx, &mut batch.tx, tx => sqlx::query_as(TAKE).bind(1_i64).fetch_one(&mut **tx).await)
                .map_err(Error::database(doing))?;
        Head { seq, hash }
    };
    let seq = head.seq + 1;
    let at = at.as_millisecond();
    let [actor, action, object, detail] =
        [&note.actor, &note.action, &note.object, &note.detail].map(|text| storable(text));
    let hash = link(&head.hash, seq, at, [&actor, &action, &object, &detail]);
    on!(Tx, &mut batch.tx, tx => sqlx::query(INSERT)
        .bind(seq).bind(at).bind(&actor).bind(&action).bind(&object).bind(&detail).bind(&hash)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))?;
    batch.chain = Some(Head { seq, hash });
    Ok(())
}

/// Moves the end of the chain behind what the transaction appended.
pub(crate) async fn close(batch: &mut Batch) -> Result<()> {
    let Some(Head { seq, hash }) = &batch.chain else { return Ok(()) };
    on!(Tx, &mut batch.tx, tx => sqlx::query(MOVE)
        .bind(seq).bind(hash).bind(1_i64).execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database("writing the audit log"))
}

/// Fails when an entry could not be written now, or the end of the chain not be moved behind it: a step must not be sent
/// whose entry cannot follow.
pub(crate) async fn probe(batch: &mut Batch) -> Result<()> {
    let doing = "trying the audit log";
    on!(Tx, &mut batch.tx, tx => {
        sqlx::query("SAVEPOINT probe").execute(&mut **tx).await.map_err(Error::database(doing))?;
        sqlx::query(INSERT)
            .bind(0_i64).bind(0_i64).bind("").bind("probe").bind("").bind("").bind("")
            .execute(&mut **tx).await.map_err(Error::database(doing))?;
        let end: Option<(i64, String)> =
            sqlx::query_as(TAKE).bind(1_i64).fetch_optional(&mut **tx).await.map_err(Error::database(doing))?;
        end.ok_or_else(|| Error::row("store_marker", 1))?;
        sqlx::query("ROLLBACK TO SAVEPOINT probe").execute(&mut **tx).await.map_err(Error::database(doing))?;
        sqlx::query("RELEASE SAVEPOINT probe").execute(&mut **tx).await.map_err(Error::database(doing))?;
    });
    Ok(())
}

/// Looks at opening whether the end of the chain is where the marker says.
pub(crate) async fn check_head(pool: &crate::pool::Pool) -> Result<()> {
    let doing = "reading the audit log";
    let (seq, hash): (i64, String) =
        on!(Pool, pool, db => sqlx::query_as(HEAD).bind(1_i64).fetch_one(db).await)
            .map_err(Error::database(doing))?;
    let last: Option<String> =
        on!(Pool, pool, db => sqlx::query_scalar(LAST).bind(seq).fetch_optional(db).await)
            .map_err(Error::database(doing))?;
    if last.unwrap_or_else(genesis) == hash { Ok(()) } else { Err(Error::row("audit", seq)) }
}

fn genesis() -> String {
    "0".repeat(64)
}

/// The hash of an entry after `before`: SHA-256 over that hash, a line feed and the entry as JSON with its fields in
/// this order and the instant in milliseconds.
fn link(before: &str, seq: i64, at: i64, [actor, action, object, detail]: [&String; 4]) -> String {
    #[derive(serde::Serialize)]
    struct Canonical<'a> {
        seq: i64,
        at: i64,
        actor: &'a str,
        action: &'a str,
        object: &'a str,
        detail: &'a str,
    }
    let json = serde_json::to_string(&Canonical { seq, at, actor, action, object, detail })
        .expect("strings and numbers are always JSON");
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update("\n");
    hash.update(json);
    hex::encode(hash.finalize())
}

impl Store {
    /// Notes what somebody said or did, where nothing else in the database shows it.
    pub async fn note(&self, note: AuditNote) -> Result<()> {
        let at = self.now();
        self.write(Write::Note { note, at }).await
    }

    /// The newest entries, at most so many, oldest first.
    pub async fn audit_list(&self, limit: u32) -> Result<Vec<AuditEntry>> {
        self.audit_select(&AuditFilter::default(), limit).await
    }

    /// The newest entries that a filter lets through, at most so many, oldest first.
    pub async fn audit_select(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>> {
        let since = filter.since.map_or(i64::MIN, Timestamp::as_millisecond);
        let until = filter.until.map_or(i64::MAX, Timestamp::as_millisecond);
        let part = |text: &Option<String>| {
            let escaped = |text: &str| text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
            text.as_ref().map(|text| format!("%{}%", escaped(text))).unwrap_or_default()
        };
        let action = filter.action.clone().unwrap_or_default();
        let mut rows: Vec<Row> = on!(Pool, &self.inner.readers, db => sqlx::query_as(NEWEST)
            .bind(filter.before.unwrap_or(i64::MAX)).bind(since).bind(until)
            .bind(part(&filter.actor)).bind(&action).bind(part(&filter.object))
            .bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading the audit log"))?;
        rows.reverse();
        rows.into_iter().map(Row::entry).collect()
    }

    /// Entries behind this position, in their order, at most so many: for reading the whole log in parts.
    pub async fn audit_after(&self, seq: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(ALL).bind(seq).bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading the audit log"))?;
        rows.into_iter().map(Row::entry).collect()
    }

    /// The newest entries before this one, at most so many, newest first.
    pub async fn audit_before(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => sqlx::query_as(BEFORE)
            .bind(before.unwrap_or(i64::MAX)).bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading the audit log"))?;
        rows.into_iter().map(Row::entry).collect()
    }

    /// Follows the whole chain and names the first entry that breaks it.
    pub async fn audit_verify(&self) -> Result<AuditVerdict> {
        let doing = "reading the audit log";
        let broken = |seq, why: &str| Ok(AuditVerdict::Broken { seq, why: why.into() });
        let (end, end_hash): (i64, String) =
            on!(Pool, &self.inner.readers, db => sqlx::query_as(HEAD).bind(1_i64).fetch_one(db).await)
                .map_err(Error::database(doing))?;
        let (mut seq, mut hash) = (0, genesis());
        let mut after = i64::MIN;
        loop {
            let rows: Vec<Row> = on!(Pool, &self.inner.readers, db =>
                sqlx::query_as(ALL).bind(after).bind(1000_i64).fetch_all(db).await)
            .map_err(Error::database(doing))?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in &rows {
                // What was appended since the end was looked up is the next verification's
                if seq == end && row.seq > end {
                    break;
                }
                if row.seq != seq + 1 {
                    return broken(seq + 1, "the entry is missing");
                }
                seq = row.seq;
                hash = link(&hash, seq, row.at, [&row.actor, &row.action, &row.object, &row.detail]);
                if hash != row.hash {
                    return broken(seq, "the entry does not agree with its hash");
                }
            }
            if seq == end {
                break;
            }
        }
        if seq < end {
            return broken(seq + 1, "the log is cut off before this entry");
        }
        if hash != end_hash {
            return broken(end, "the end of the log was replaced");
        }
        Ok(AuditVerdict::Sound { entries: end })
    }
}
