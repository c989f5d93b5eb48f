//! Connections as versioned documents. The document is kept as text with its secrets taken out; the secrets of the
//! newest version are sealed, each by itself, in a table of their own. A removed connection keeps its versions and
//! loses its secrets; links, ledger and runs belong to the name and stay.

use std::collections::BTreeMap;

use entrain_domain::run::AuditNote;
use entrain_domain::service::slug;
use entrain_domain::why::Why;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::{Error, Result};
use crate::key::Sealed;
use crate::pool::on;
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::{Batch, Write};

/// A document to store.
#[derive(Debug)]
pub struct ConnectionDocument {
    /// Unique name.
    pub name: String,
    /// The TOML document, with `"sealed"` in place of each secret below.
    pub document: String,
    /// The secrets by dotted key (`site.api_token`). All of them: one that is not given is forgotten.
    pub secrets: BTreeMap<String, SecretString>,
}

/// A version of a document, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionEntry {
    /// Name.
    pub name: String,
    /// Version, from 1; goes on counting when a removed name is used again.
    pub version: i64,
    /// The document; `None` in the version that removed the connection.
    pub document: Option<String>,
    /// Who stored it.
    pub author: String,
    /// When.
    pub at: Timestamp,
    /// Why, where they said it.
    pub why: Option<Why>,
}

/// Who stores something, and why, where they say it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// Who.
    pub author: &'a str,
    /// Why.
    pub why: Option<&'a Why>,
}

impl<'a> From<&'a str> for Signed<'a> {
    fn from(author: &'a str) -> Self {
        Self { author, why: None }
    }
}

/// A connection with its secrets opened.
#[derive(Debug)]
pub struct StoredConnection {
    /// The newest document with its secrets.
    pub document: ConnectionDocument,
    /// Its version.
    pub version: i64,
    /// Who stored it.
    pub author: String,
    /// When.
    pub at: Timestamp,
}

/// A new version, sealed and ready to be written.
pub(crate) struct NewVersion {
    name: String,
    document: Option<String>,
    secrets: Vec<(String, Sealed)>,
    author: String,
    at: Timestamp,
    why: Option<Why>,
    wanted: Wanted,
}

/// What must hold for a new version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Absent,
    Present,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    version: i64,
    document: Option<String>,
    author: String,
    at: i64,
    why: Option<String>,
    sum: i64,
}

#[derive(sqlx::FromRow)]
struct SecretRow {
    field: String,
    key_id: String,
    nonce: Vec<u8>,
    sealed: Vec<u8>,
}

const NEWEST: &str = "SELECT name, version, document, author, at, why, sum FROM connection_versions c \
    WHERE version = (SELECT max(version) FROM connection_versions n WHERE n.name = c.name) ORDER BY name";
const VERSIONS: &str = "SELECT name, version, document, author, at, why, sum FROM connection_versions \
    WHERE name = $1 ORDER BY version";
const INSERT: &str = "INSERT INTO connection_versions (name, version, document, author, at, why, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FORGET: &str = "DELETE FROM connection_secrets WHERE connection = $1";
const VERSION: &str = "SELECT version, document IS NOT NULL FROM connection_versions WHERE name = $1 \
    ORDER BY version DESC LIMIT 1";
const KEEP: &str = "INSERT INTO connection_secrets (connection, field, key_id, nonce, sealed) \
    VALUES ($1, $2, $3, $4, $5)";
const SECRETS: &str =
    "SELECT field, key_id, nonce, sealed FROM connection_secrets WHERE connection = $1 ORDER BY field";

impl Row {
    fn sum(&self) -> i64 {
        let sum = Sum::of("connection_versions")
            .text(&self.name)
            .number(self.version)
            .maybe(self.document.as_deref())
            .text(&self.author)
            .number(self.at);
        // Versions from before there were notes keep their sum
        match &self.why {
            None => sum,
            Some(why) => sum.text(why),
        }
        .finish()
    }

    fn entry(self) -> Result<ConnectionEntry> {
        let wrong = || Error::row("connection_versions", format_args!("{} {}", self.name, self.version));
        if self.sum() != self.sum {
            return Err(wrong());
        }
        let at = Timestamp::from_millisecond(self.at).map_err(|_| wrong())?;
        let why = Why::maybe(self.why.as_deref()).map_err(|_| wrong())?;
        let Self { name, version, document, author, .. } = self;
        Ok(ConnectionEntry { name, version, document, author, at, why })
    }
}

/// Writes a new version, its secrets and its audit entry.
pub(crate) async fn put(batch: &mut Batch, new: &NewVersion) -> Result<()> {
    let doing = "storing a connection";
    for (_, sealed) in &new.secrets {
        crate::rotate::not_retired(batch, &sealed.key_id).await?;
    }
    let rows: Vec<Row> = on!(Tx, &mut batch.tx, tx => sqlx::query_as(NEWEST).fetch_all(&mut **tx).await)
        .map_err(Error::database(doing))?;
    let mut before = 0;
    let mut present = false;
    for entry in rows.into_iter().map(Row::entry) {
        let entry = entry?;
        if entry.name == new.name {
            (before, present) = (entry.version, entry.document.is_some());
        }
        let clash = entry.document.is_some() && slug(&entry.name) == slug(&new.name);
        if clash && new.wanted == Wanted::Absent {
            return Err(Error::ConnectionExists { name: new.name.clone(), taken: entry.name });
        }
    }
    if !present && new.wanted == Wanted::Present {
        return Err(Error::ConnectionUnknown(new.name.clone()));
    }
    let mut row = Row {
        name: new.name.clone(),
        version: before + 1,
        document: new.document.clone(),
        author: new.author.clone(),
        at: new.at.as_millisecond(),
        why: new.why.as_ref().map(ToString::to_string),
        sum: 0,
    };
    row.sum = row.sum();
    on!(Tx, &mut batch.tx, tx => {
        sqlx::query(INSERT)
            .bind(&row.name).bind(row.version).bind(&row.document).bind(&row.author).bind(row.at).bind(&row.why)
            .bind(row.sum).execute(&mut **tx).await.map_err(Error::database(doing))?;
        sqlx::query(FORGET).bind(&row.name).execute(&mut **tx).await.map_err(Error::database(doing))?;
        for (field, sealed) in &new.secrets {
            sqlx::query(KEEP)
                .bind(&row.name).bind(field).bind(&sealed.key_id).bind(&sealed.nonce).bind(&sealed.content)
                .execute(&mut **tx).await.map_err(Error::database(doing))?;
        }
    });
    let (action, detail) = match (new.wanted, &new.document) {
        (Wanted::Absent, _) => ("connection_added", format!("version {}", row.version)),
        (Wanted::Present, Some(_)) => ("connection_set", format!("version {}", row.version)),
        (Wanted::Present, None) => ("connection_removed", format!("version {before} was the last")),
    };
    let detail = match &new.why {
        None => detail,
        Some(why) => format!("{detail}: {why}"),
    };
    let note =
        AuditNote { actor: new.author.clone(), action: action.into(), object: new.name.clone(), detail };
    crate::audit::append(batch, &note, new.at).await
}

impl Store {
    /// Stores a new connection.
    pub async fn add(&self, document: &ConnectionDocument, by: impl Into<Signed<'_>>) -> Result<()> {
        self.put_connection(document, by.into(), Wanted::Absent).await
    }

    /// Stores a new version of a connection. Its secrets are exactly those given; to keep one, give it again as
    /// [`get`](Self::get) opened it.
    pub async fn set(&self, document: &ConnectionDocument, by: impl Into<Signed<'_>>) -> Result<()> {
        self.put_connection(document, by.into(), Wanted::Present).await
    }

    /// Removes a connection and forgets its secrets; versions, links, ledger and runs stay.
    pub async fn remove(&self, name: &str, author: &str) -> Result<()> {
        self.write(Write::Connection(NewVersion {
            name: name.to_owned(),
            document: None,
            secrets: Vec::new(),
            author: author.to_owned(),
            at: self.now(),
            why: None,
            wanted: Wanted::Present,
        }))
        .await
    }

    async fn put_connection(
        &self,
        document: &ConnectionDocument,
        by: Signed<'_>,
        wanted: Wanted,
    ) -> Result<()> {
        let name = &document.name;
        let at = self.now();
        self.write_sealed(
            &document.secrets,
            |key, field, secret| key.seal(name, field, secret),
            |secrets| {
                Write::Connection(NewVersion {
                    name: name.clone(),
                    document: Some(document.document.clone()),
                    secrets,
                    author: by.author.to_owned(),
                    at,
                    why: by.why.cloned(),
                    wanted,
                })
            },
        )
        .await
    }

    /// A connection with its secrets opened; `None` when there is none of that name.
    pub async fn get(&self, name: &str) -> Result<Option<StoredConnection>> {
        let mut before = None;
        loop {
            let opened = self.opened(name).await;
            if !matches!(opened, Err(Error::KeyRotated)) {
                return opened;
            }
            // What was read may be sealed anew since
            let newest = crate::rotate::newest(&self.inner.readers).await?;
            if before.as_ref() == Some(&newest) {
                return opened;
            }
            before = Some(newest);
        }
    }

    async fn opened(&self, name: &str) -> Result<Option<StoredConnection>> {
        let Some(entry) = self.versions(name).await?.pop() else { return Ok(None) };
        let Some(document) = entry.document else { return Ok(None) };
        let rows: Vec<SecretRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SECRETS).bind(name).fetch_all(db).await)
        .map_err(Error::database("reading secrets"))?;
        let mut secrets = BTreeMap::new();
        for row in rows {
            let sealed = Sealed { key_id: row.key_id, nonce: row.nonce, content: row.sealed };
            let key = self.opening_key(&sealed.key_id).await?;
            let secret = key.open(name, &row.field, &sealed)?;
            secrets.insert(row.field, secret);
        }
        Ok(Some(StoredConnection {
            document: ConnectionDocument { name: entry.name, document, secrets },
            version: entry.version,
            author: entry.author,
            at: entry.at,
        }))
    }

    /// The number of a connection's newest version; `None` when there is no such connection, or none any more.
    pub async fn version(&self, name: &str) -> Result<Option<i64>> {
        let newest: Option<(i64, bool)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(VERSION).bind(name).fetch_optional(db).await)
        .map_err(Error::database("reading connections"))?;
        Ok(newest.filter(|(_, present)| *present).map(|(version, _)| version))
    }

    /// All connections by name, without their secrets; works with any key.
    pub async fn list(&self) -> Result<Vec<ConnectionEntry>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => sqlx::query_as(NEWEST).fetch_all(db).await)
            .map_err(Error::database("reading connections"))?;
        let entries: Vec<ConnectionEntry> = rows.into_iter().map(Row::entry).collect::<Result<_>>()?;
        Ok(entries.into_iter().filter(|entry| entry.document.is_some()).collect())
    }

    /// Every version of a connection, oldest first; also of one that was removed.
    pub async fn versions(&self, name: &str) -> Result<Vec<ConnectionEntry>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(VERSIONS).bind(name).fetch_all(db).await)
        .map_err(Error::database("reading connections"))?;
        rows.into_iter().map(Row::entry).collect()
    }
}
