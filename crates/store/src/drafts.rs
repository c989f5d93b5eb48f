//! Drafts of connections: what somebody has said so far while setting one up. What stands in a draft is the service's
//! business; its secrets are sealed as those of connections are, each by itself, and open in no other place.

use std::collections::BTreeMap;

use entrain_domain::plan::PlanOf;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::key::Sealed;
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// A draft, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftEntry {
    /// Id.
    pub id: String,
    /// What was said so far, as JSON.
    pub body: String,
    /// Who said something last.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// One operation of this module.
pub(crate) enum DraftWrite {
    Keep { entry: DraftEntry, secrets: Vec<(String, Sealed)> },
    Drop { id: String },
}

const KEEP: &str = "INSERT INTO drafts (id, body, author, at, sum) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) \
    DO UPDATE SET body = excluded.body, author = excluded.author, at = excluded.at, sum = excluded.sum";
const DRAFTS: &str = "SELECT id, body, author, at, sum FROM drafts ORDER BY at DESC, id";
const DRAFT: &str = "SELECT id, body, author, at, sum FROM drafts WHERE id = $1";
const DROP: &str = "DELETE FROM drafts WHERE id = $1";
const DROP_PREVIEW: &str = "DELETE FROM previews WHERE connection = $1";
const SEAL: &str =
    "INSERT INTO draft_secrets (draft, field, key_id, nonce, sealed) VALUES ($1, $2, $3, $4, $5)";
const SECRETS: &str =
    "SELECT field, key_id, nonce, sealed FROM draft_secrets WHERE draft = $1 ORDER BY field";
const FORGET: &str = "DELETE FROM draft_secrets WHERE draft = $1";

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    body: String,
    author: String,
    at: i64,
    sum: i64,
}

#[derive(sqlx::FromRow)]
struct SecretRow {
    field: String,
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

fn sum(id: &str, body: &str, author: &str, at: i64) -> i64 {
    Sum::of("drafts").text(id).text(body).text(author).number(at).finish()
}

impl Row {
    fn entry(self) -> Result<DraftEntry> {
        let wrong = || Error::row("drafts", &self.id);
        if sum(&self.id, &self.body, &self.author, self.at) != self.sum {
            return Err(wrong());
        }
        let at = Timestamp::from_millisecond(self.at).map_err(|_| wrong())?;
        Ok(DraftEntry { id: self.id, body: self.body, author: self.author, at })
    }
}

/// Does one operation within the transaction.
pub(crate) async fn apply(batch: &mut Batch, write: &DraftWrite) -> Result<()> {
    let doing = Error::database("storing a draft");
    if let DraftWrite::Keep { secrets, .. } = write {
        for (_, sealed) in secrets {
            crate::rotate::not_retired(batch, &sealed.key_id).await?;
        }
    }
    if let DraftWrite::Drop { id } = write {
        crate::plan_rows::forget(batch, &PlanOf::Preview(id.clone())).await?;
    }
    match write {
        DraftWrite::Keep { entry, secrets } => on!(Tx, &mut batch.tx, tx => async {
            let (body, author, at) = (storable(&entry.body), storable(&entry.author), entry.at.as_millisecond());
            sqlx::query(KEEP)
                .bind(&entry.id).bind(&body).bind(&author).bind(at).bind(sum(&entry.id, &body, &author, at))
                .execute(&mut **tx).await?;
            sqlx::query(FORGET).bind(&entry.id).execute(&mut **tx).await?;
            for (field, sealed) in secrets {
                sqlx::query(SEAL)
                    .bind(&entry.id).bind(field).bind(&sealed.key_id).bind(&sealed.nonce).bind(&sealed.content)
                    .execute(&mut **tx).await?;
            }
            Ok::<(), sqlx::Error>(())
        }.await),
        DraftWrite::Drop { id } => on!(Tx, &mut batch.tx, tx => async {
            for gone in [FORGET, DROP, DROP_PREVIEW] {
                sqlx::query(gone).bind(id).execute(&mut **tx).await?;
            }
            Ok::<(), sqlx::Error>(())
        }.await),
    }
    .map_err(doing)
}

impl Store {
    /// All drafts without their secrets, the newest first; works with any key.
    pub async fn drafts(&self) -> Result<Vec<DraftEntry>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => sqlx::query_as(DRAFTS).fetch_all(db).await)
            .map_err(Error::database("reading drafts"))?;
        rows.into_iter().map(Row::entry).collect()
    }

    /// A draft with its secrets opened, by their dotted keys.
    pub async fn draft(&self, id: &str) -> Result<Option<(DraftEntry, BTreeMap<String, SecretString>)>> {
        let row: Option<Row> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(DRAFT).bind(id).fetch_optional(db).await)
        .map_err(Error::database("reading a draft"))?;
        let Some(row) = row else { return Ok(None) };
        let rows: Vec<SecretRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SECRETS).bind(id).fetch_all(db).await)
        .map_err(Error::database("reading secrets of a draft"))?;
        let mut secrets = BTreeMap::new();
        for row in rows {
            let sealed = Sealed { key_id: row.key_id, nonce: row.nonce, content: row.sealed };
            let key = self.opening_key(&sealed.key_id).await?;
            let secret = key.open_draft(id, &row.field, &sealed)?;
            secrets.insert(row.field, secret);
        }
        Ok(Some((row.entry()?, secrets)))
    }

    /// Stores a draft, new or again. Its secrets are exactly those given.
    pub async fn keep_draft(
        &self,
        id: &str,
        body: &str,
        secrets: &BTreeMap<String, SecretString>,
        author: &str,
    ) -> Result<()> {
        let entry = DraftEntry {
            id: id.to_owned(),
            body: body.to_owned(),
            author: author.to_owned(),
            at: self.now(),
        };
        self.write_sealed(
            secrets,
            |key, field, secret| key.seal_draft(id, field, secret),
            |secrets| Write::Draft(DraftWrite::Keep { entry: entry.clone(), secrets }),
        )
        .await
    }

    /// Throws a draft away, with its secrets and its preview.
    pub async fn drop_draft(&self, id: &str) -> Result<()> {
        self.write(Write::Draft(DraftWrite::Drop { id: id.to_owned() })).await
    }
}
