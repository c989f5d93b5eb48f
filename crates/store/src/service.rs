//! What the service keeps beside connections and runs: modes, starts by schedule, previews, keys of the API, and the
//! answers to writes that may be sent twice.

use std::collections::BTreeMap;

use entrain_domain::plan::PlanOf;
use entrain_domain::run::AuditNote;
use entrain_domain::service::{Mode, Role, Turn};
use jiff::Timestamp;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::audit;
use crate::error::{Error, Result};
use crate::key::random;
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// A key of the API, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Id, part of the key.
    pub id: String,
    /// Name, unique for ever: it stands in decisions and in the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its secret part, in hex.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Its last use, to the minute.
    pub used_at: Option<Timestamp>,
}

/// What is kept of a write request that may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRequest {
    /// Digest of what was asked.
    pub request: String,
    /// Status and body of the answer, once there is one.
    pub answer: Option<(u16, String)>,
}

/// One operation of this module.
pub(crate) enum ServiceWrite {
    Mode { connection: String, mode: Mode, author: String, at: Timestamp },
    Fired { connection: String, before: Option<Timestamp>, at: Timestamp },
    Preview { connection: String, at: Timestamp, body: String },
    KeyMade { key: ApiKey, author: String },
    KeyRevoked { id: String, author: String, at: Timestamp },
    KeyUsed { id: String, at: Timestamp },
    Requested { api_key: String, name: String, request: String, at: Timestamp },
    Answered { api_key: String, name: String, answer: Option<(u16, String)> },
}

const SET_MODE: &str = "INSERT INTO connection_modes (connection, mode, sum) VALUES ($1, $2, $3) \
    ON CONFLICT (connection) DO UPDATE SET mode = excluded.mode, sum = excluded.sum";
const MODES: &str = "SELECT connection, mode, sum FROM connection_modes ORDER BY connection";
const FIRED_FIRST: &str = "INSERT INTO schedule_marks (connection, fired_at, sum) VALUES ($1, $2, $3) \
    ON CONFLICT (connection) DO NOTHING";
const FIRED_AGAIN: &str =
    "UPDATE schedule_marks SET fired_at = $2, sum = $3 WHERE connection = $1 AND fired_at = $4";
const FIRED: &str = "SELECT connection, fired_at, sum FROM schedule_marks ORDER BY connection";
const SET_PREVIEW: &str = "INSERT INTO previews (connection, at, body, sum) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (connection) DO UPDATE SET at = excluded.at, body = excluded.body, sum = excluded.sum";
// Bytes, which are counted without reading them
const PREVIEW_HEAD: &str =
    "SELECT at, CASE WHEN octet_length(body) <= 65536 THEN body END, sum FROM previews WHERE connection = $1";
const PREVIEW: &str = "SELECT at, body, sum FROM previews WHERE connection = $1";
const MAKE_KEY: &str = "INSERT INTO api_keys (id, name, role, hash, created_at, expires_at, revoked_at, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const KEY: &str = "SELECT k.id, k.name, k.role, k.hash, k.created_at, k.expires_at, k.revoked_at, k.sum, u.used_at, \
    u.sum AS use_sum FROM api_keys k LEFT JOIN api_key_uses u ON u.id = k.id WHERE k.id = $1";
const KEYS: &str = "SELECT k.id, k.name, k.role, k.hash, k.created_at, k.expires_at, k.revoked_at, k.sum, u.used_at, \
    u.sum AS use_sum FROM api_keys k LEFT JOIN api_key_uses u ON u.id = k.id ORDER BY k.created_at, k.id";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = $1, sum = $2 WHERE id = $3";
const USE_KEY: &str = "INSERT INTO api_key_uses (id, used_at, sum) VALUES ($1, $2, $3) \
    ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at, sum = excluded.sum";
const OLD: &str = "DELETE FROM api_requests WHERE at < $1";
const REQUEST: &str = "INSERT INTO api_requests (api_key, name, request, status, answer, at, sum) \
    VALUES ($1, $2, $3, NULL, NULL, $4, $5)";
const REQUESTED: &str =
    "SELECT request, status, answer, at, sum FROM api_requests WHERE api_key = $1 AND name = $2";
const ANSWER: &str =
    "UPDATE api_requests SET status = $1, answer = $2, sum = $3 WHERE api_key = $4 AND name = $5";
const FORGET: &str = "DELETE FROM api_requests WHERE api_key = $1 AND name = $2";

/// What every API key begins with, so that scanners for secrets find it: `entrain_ID_SECRET`.
const API_KEY_PREFIX: &str = "entrain_";

/// For how long a repeated write gets the answer of the first.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// The last use of a key is noted no more often than this.
const USE_EVERY_MS: i64 = 60_000;

fn mode_sum(connection: &str, mode: &str) -> i64 {
    Sum::of("connection_modes").text(connection).text(mode).finish()
}

fn instant_sum(table: &str, key: &str, at: i64) -> i64 {
    Sum::of(table).text(key).number(at).finish()
}

fn preview_sum(connection: &str, at: i64, body: &str) -> i64 {
    Sum::of("previews").text(connection).number(at).text(body).finish()
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: String,
    name: String,
    role: String,
    hash: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    sum: i64,
    used_at: Option<i64>,
    use_sum: Option<i64>,
}

fn key_sum(key: &ApiKey) -> i64 {
    Sum::of("api_keys")
        .text(&key.id)
        .text(&key.name)
        .text(key.role.as_str())
        .text(&key.hash)
        .number(key.created_at.as_millisecond())
        .number(key.expires_at.as_millisecond())
        .number(key.revoked_at.map_or(i64::MIN, Timestamp::as_millisecond))
        .finish()
}

impl KeyRow {
    fn key(self) -> Result<ApiKey> {
        let wrong = || Error::row("api_keys", &self.id);
        let instant = |ms| Timestamp::from_millisecond(ms).map_err(|_| wrong());
        if self.used_at.map(|at| instant_sum("api_key_uses", &self.id, at)) != self.use_sum {
            return Err(Error::row("api_key_uses", &self.id));
        }
        let key = ApiKey {
            role: Role::from_word(&self.role).ok_or_else(wrong)?,
            created_at: instant(self.created_at)?,
            expires_at: instant(self.expires_at)?,
            revoked_at: self.revoked_at.map(instant).transpose()?,
            used_at: self.used_at.map(instant).transpose()?,
            id: self.id.clone(),
            name: self.name.clone(),
            hash: self.hash.clone(),
        };
        if key_sum(&key) == self.sum { Ok(key) } else { Err(wrong()) }
    }
}

type RequestRow = (String, Option<i64>, Option<String>, i64, i64);

fn request_sum((api_key, name): (&str, &str), request: &str, answer: Option<&(i64, String)>, at: i64) -> i64 {
    Sum::of("api_requests")
        .text(api_key)
        .text(name)
        .text(request)
        .number(answer.map_or(0, |(status, _)| *status))
        .maybe(answer.map(|(_, body)| body.as_str()))
        .number(at)
        .finish()
}

fn kept((api_key, name): (&str, &str), row: RequestRow) -> Result<(KeptRequest, i64)> {
    let (request, status, body, at, sum) = row;
    let wrong = || Error::row("api_requests", format_args!("{api_key} {name}"));
    let answer = status.zip(body);
    if request_sum((api_key, name), &request, answer.as_ref(), at) != sum {
        return Err(wrong());
    }
    let answer = answer.map(|(status, body)| Ok((u16::try_from(status).map_err(|_| wrong())?, body)));
    Ok((KeptRequest { request, answer: answer.transpose()? }, at))
}

/// Does one operation within the transaction.
pub(crate) async fn apply(batch: &mut Batch, write: &ServiceWrite) -> Result<()> {
    match write {
        ServiceWrite::Mode { connection, mode, author, at } => {
            let word = mode.as_str();
            on!(Tx, &mut batch.tx, tx => sqlx::query(SET_MODE)
                .bind(connection).bind(word).bind(mode_sum(connection, word))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("storing a connection's mode"))?;
            note(batch, (author, "connection_mode", connection), format!("mode {word}"), *at).await
        }
        ServiceWrite::Fired { connection, before, at } => fired(batch, connection, *before, *at).await,
        ServiceWrite::Preview { connection, at, body } => {
            let (at, body) = (at.as_millisecond(), storable(body));
            on!(Tx, &mut batch.tx, tx => sqlx::query(SET_PREVIEW)
                .bind(connection).bind(at).bind(&body).bind(preview_sum(connection, at, &body))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("storing a preview"))?;
            crate::plan_rows::forget(batch, &PlanOf::Preview(connection.clone())).await
        }
        ServiceWrite::KeyMade { key, author } => make_key(batch, key, author).await,
        ServiceWrite::KeyRevoked { id, author, at } => revoke(batch, id, author, *at).await,
        ServiceWrite::KeyUsed { id, at } => {
            let at = at.as_millisecond();
            on!(Tx, &mut batch.tx, tx => sqlx::query(USE_KEY)
                .bind(id).bind(at).bind(instant_sum("api_key_uses", id, at))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("noting the use of an API key"))
        }
        ServiceWrite::Requested { api_key, name, request, at } => {
            let at = at.as_millisecond();
            on!(Tx, &mut batch.tx, tx => sqlx::query(OLD)
                .bind(at - KEPT_MS).execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("forgetting old requests"))?;
            on!(Tx, &mut batch.tx, tx => sqlx::query(REQUEST)
                .bind(api_key).bind(name).bind(request).bind(at)
                .bind(request_sum((api_key, name), request, None, at))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(|error| match &error {
                sqlx::Error::Database(database) if database.is_unique_violation() => {
                    Error::RequestKnown(name.clone())
                }
                _ => Error::database("keeping a request")(error),
            })
        }
        ServiceWrite::Answered { api_key, name, answer } => {
            answered(batch, (api_key, name), answer.as_ref()).await
        }
    }
}

async fn fired(batch: &mut Batch, connection: &str, before: Option<Timestamp>, at: Timestamp) -> Result<()> {
    let at = at.as_millisecond();
    let sum = instant_sum("schedule_marks", connection, at);
    let rows = on!(Tx, &mut batch.tx, tx => {
        let query = sqlx::query(if before.is_some() { FIRED_AGAIN } else { FIRED_FIRST })
            .bind(connection).bind(at).bind(sum);
        let query = match before {
            Some(before) => query.bind(before.as_millisecond()),
            None => query,
        };
        query.execute(&mut **tx).await.map(|done| done.rows_affected())
    })
    .map_err(Error::database("storing a start by schedule"))?;
    if rows == 1 { Ok(()) } else { Err(Error::FiredByAnother(connection.to_owned())) }
}

async fn note(
    batch: &mut Batch,
    (author, action, object): (&str, &str, &str),
    detail: String,
    at: Timestamp,
) -> Result<()> {
    let note = AuditNote { actor: author.into(), action: action.into(), object: object.into(), detail };
    audit::append(batch, &note, at).await
}

async fn make_key(batch: &mut Batch, key: &ApiKey, author: &str) -> Result<()> {
    on!(Tx, &mut batch.tx, tx => sqlx::query(MAKE_KEY)
        .bind(&key.id).bind(&key.name).bind(key.role.as_str()).bind(&key.hash)
        .bind(key.created_at.as_millisecond()).bind(key.expires_at.as_millisecond())
        .bind(key.revoked_at.map(Timestamp::as_millisecond)).bind(key_sum(key))
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::ApiKeyExists(key.name.clone())
        }
        _ => Error::database("storing an API key")(error),
    })?;
    let until = key.expires_at.strftime("%F %T UTC");
    let detail = format!("role {}, until {until}", key.role.as_str());
    note(batch, (author, "api_key_created", &key.name), detail, key.created_at).await
}

async fn revoke(batch: &mut Batch, id: &str, author: &str, at: Timestamp) -> Result<()> {
    let doing = "revoking an API key";
    let row: Option<KeyRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(KEY).bind(id).fetch_optional(&mut **tx).await)
    .map_err(Error::database(doing))?;
    let mut key = row.ok_or_else(|| Error::ApiKeyUnknown(id.to_owned()))?.key()?;
    if key.revoked_at.is_some() {
        return Ok(());
    }
    key.revoked_at = Some(at);
    on!(Tx, &mut batch.tx, tx => sqlx::query(REVOKE)
        .bind(at.as_millisecond()).bind(key_sum(&key)).bind(id)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))?;
    note(batch, (author, "api_key_revoked", &key.name), format!("role {}", key.role.as_str()), at).await
}

async fn answered(batch: &mut Batch, at: (&str, &str), answer: Option<&(u16, String)>) -> Result<()> {
    let doing = "keeping an answer";
    let (api_key, name) = at;
    let Some((status, body)) = answer else {
        return on!(Tx, &mut batch.tx, tx => sqlx::query(FORGET)
            .bind(api_key).bind(name).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing));
    };
    let row: Option<RequestRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(REQUESTED).bind(api_key).bind(name).fetch_optional(&mut **tx).await)
    .map_err(Error::database(doing))?;
    let Some(row) = row else { return Ok(()) };
    let (before, began) = kept(at, row)?;
    let answer = (i64::from(*status), storable(body));
    on!(Tx, &mut batch.tx, tx => sqlx::query(ANSWER)
        .bind(answer.0).bind(&answer.1)
        .bind(request_sum(at, &before.request, Some(&answer), began))
        .bind(api_key).bind(name)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))
}

impl Store {
    /// Says whether the service may write to a connection's site by itself.
    pub async fn set_mode(&self, connection: &str, mode: Mode, author: &str) -> Result<()> {
        if self.get(connection).await?.is_none() {
            return Err(Error::ConnectionUnknown(connection.to_owned()));
        }
        let (connection, author, at) = (connection.to_owned(), author.to_owned(), self.now());
        self.write(Write::Service(ServiceWrite::Mode { connection, mode, author, at })).await
    }

    /// The modes that were set, by connection; the others are previewed.
    pub async fn modes(&self) -> Result<BTreeMap<String, Mode>> {
        let rows: Vec<(String, String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(MODES).fetch_all(db).await)
        .map_err(Error::database("reading modes"))?;
        rows.into_iter()
            .map(|(connection, word, sum)| {
                let wrong = || Error::row("connection_modes", &connection);
                if mode_sum(&connection, &word) != sum {
                    return Err(wrong());
                }
                let mode = Mode::from_word(&word).ok_or_else(wrong)?;
                Ok((connection, mode))
            })
            .collect()
    }

    /// Notes that the schedule starts a connection now, unless another server has noted that since this one looked and
    /// saw its last start `before`.
    pub async fn fired(&self, connection: &str, before: Option<Timestamp>, at: Timestamp) -> Result<Turn> {
        let connection = connection.to_owned();
        match self.write(Write::Service(ServiceWrite::Fired { connection, before, at })).await {
            Ok(()) => Ok(Turn::Ours),
            Err(Error::FiredByAnother(_)) => Ok(Turn::Anothers),
            Err(error) => Err(error),
        }
    }

    /// The last starts by schedule.
    pub async fn fired_at(&self) -> Result<BTreeMap<String, Timestamp>> {
        let rows: Vec<(String, i64, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(FIRED).fetch_all(db).await)
        .map_err(Error::database("reading starts by schedule"))?;
        rows.into_iter()
            .map(|(connection, at, sum)| {
                let wrong = || Error::row("schedule_marks", &connection);
                if instant_sum("schedule_marks", &connection, at) != sum {
                    return Err(wrong());
                }
                let at = Timestamp::from_millisecond(at).map_err(|_| wrong())?;
                Ok((connection, at))
            })
            .collect()
    }

    /// Keeps the newest preview of a connection, as JSON.
    pub async fn keep_preview(&self, connection: &str, at: Timestamp, body: &str) -> Result<()> {
        let (connection, body) = (connection.to_owned(), body.to_owned());
        self.write(Write::Service(ServiceWrite::Preview { connection, at, body })).await
    }

    /// When the newest preview of a connection was made, and its body where that is as small as that of a failure is: a
    /// plan may be of a hundred thousand people.
    pub async fn preview_head(&self, connection: &str) -> Result<Option<(Timestamp, Option<String>)>> {
        let row: Option<(i64, Option<String>, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(PREVIEW_HEAD).bind(connection).fetch_optional(db).await)
        .map_err(Error::database("reading a preview"))?;
        let Some((at, body, sum)) = row else { return Ok(None) };
        let wrong = || Error::row("previews", connection);
        if body.as_ref().is_some_and(|body| preview_sum(connection, at, body) != sum) {
            return Err(wrong());
        }
        Ok(Some((Timestamp::from_millisecond(at).map_err(|_| wrong())?, body)))
    }

    /// The newest preview of a connection.
    pub async fn preview(&self, connection: &str) -> Result<Option<(Timestamp, String)>> {
        let row: Option<(i64, String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(PREVIEW).bind(connection).fetch_optional(db).await)
        .map_err(Error::database("reading a preview"))?;
        let Some((at, body, sum)) = row else { return Ok(None) };
        let wrong = || Error::row("previews", connection);
        if preview_sum(connection, at, &body) != sum {
            return Err(wrong());
        }
        Ok(Some((Timestamp::from_millisecond(at).map_err(|_| wrong())?, body)))
    }

    /// Makes an API key. Its name must never have been used. The key itself is given out here and never again: its
    /// secret part is 256 random bits, of which only a digest is stored.
    pub async fn make_api_key(
        &self,
        name: &str,
        role: Role,
        expires_at: Timestamp,
        author: &str,
    ) -> Result<(ApiKey, SecretString)> {
        let (mut id, mut secret) = ([0_u8; 8], [0_u8; 32]);
        random(&mut id)?;
        random(&mut secret)?;
        let (id, secret) = (hex::encode(id), hex::encode(secret));
        let token = SecretString::from(format!("{API_KEY_PREFIX}{id}_{secret}"));
        let key = ApiKey {
            id,
            name: name.to_owned(),
            role,
            hash: hex::encode(Sha256::digest(&secret)),
            created_at: self.now(),
            expires_at,
            revoked_at: None,
            used_at: None,
        };
        let write = ServiceWrite::KeyMade { key: key.clone(), author: author.to_owned() };
        self.write(Write::Service(write)).await?;
        Ok((key, token))
    }

    /// An API key by id, revoked and expired ones included.
    pub async fn api_key(&self, id: &str) -> Result<Option<ApiKey>> {
        let row: Option<KeyRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(KEY).bind(id).fetch_optional(db).await)
        .map_err(Error::database("reading API keys"))?;
        row.map(KeyRow::key).transpose()
    }

    /// All API keys, the oldest first, revoked and expired ones included.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>> {
        let rows: Vec<KeyRow> =
            on!(Pool, &self.inner.readers, db => sqlx::query_as(KEYS).fetch_all(db).await)
                .map_err(Error::database("reading API keys"))?;
        rows.into_iter().map(KeyRow::key).collect()
    }

    /// Revokes an API key; it is refused from now on. One that was revoked before stays as it is.
    pub async fn revoke_api_key(&self, id: &str, author: &str) -> Result<()> {
        let (id, author, at) = (id.to_owned(), author.to_owned(), self.now());
        self.write(Write::Service(ServiceWrite::KeyRevoked { id, author, at })).await
    }

    /// Notes the use of a key, at most once a minute.
    pub async fn api_key_used(&self, key: &ApiKey) -> Result<()> {
        let now = self.now();
        let lately = |at: Timestamp| (now.as_millisecond() - at.as_millisecond()).abs() < USE_EVERY_MS;
        if key.used_at.is_some_and(lately) {
            return Ok(());
        }
        self.write(Write::Service(ServiceWrite::KeyUsed { id: key.id.clone(), at: now })).await
    }

    /// Keeps a write request under the name that its sender gave it; or says what is kept under that name already.
    pub async fn keep_request(
        &self,
        api_key: &str,
        name: &str,
        request: &str,
    ) -> Result<Option<KeptRequest>> {
        let write = ServiceWrite::Requested {
            api_key: api_key.to_owned(),
            name: name.to_owned(),
            request: request.to_owned(),
            at: self.now(),
        };
        match self.write(Write::Service(write)).await {
            Ok(()) => return Ok(None),
            Err(Error::RequestKnown(_)) => {}
            Err(error) => return Err(error),
        }
        let row: Option<RequestRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(REQUESTED).bind(api_key).bind(name).fetch_optional(db).await)
        .map_err(Error::database("reading requests"))?;
        row.map(|row| kept((api_key, name), row).map(|(kept, _)| kept)).transpose()
    }

    /// Keeps the answer to a request; or forgets the request, so that it may be sent again, where there is none worth
    /// keeping.
    pub async fn keep_answer(&self, api_key: &str, name: &str, answer: Option<(u16, String)>) -> Result<()> {
        let (api_key, name) = (api_key.to_owned(), name.to_owned());
        self.write(Write::Service(ServiceWrite::Answered { api_key, name, answer })).await
    }
}
