//! The books of alerts, one for each connection. What stands in them is the engine's business; that two servers do not
//! overwrite each other's is the store's.

use entrain_domain::run::AuditNote;
use entrain_domain::service::Turn;
use jiff::Timestamp;

use crate::audit;
use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// A new version of a book.
pub(crate) struct NewBook {
    connection: String,
    before: Option<i64>,
    body: String,
    note: Option<AuditNote>,
    at: Timestamp,
}

const FIRST: &str = "INSERT INTO alerts (connection, version, body, sum) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (connection) DO NOTHING";
const NEXT: &str =
    "UPDATE alerts SET version = $2, body = $3, sum = $4 WHERE connection = $1 AND version = $5";
const BOOK: &str = "SELECT version, body, sum FROM alerts WHERE connection = $1";

fn sum(connection: &str, version: i64, body: &str) -> i64 {
    Sum::of("alerts").text(connection).number(version).text(body).finish()
}

pub(crate) async fn apply(batch: &mut Batch, new: &NewBook) -> Result<()> {
    let NewBook { connection, before, body, note, at } = new;
    let (version, body) = (before.unwrap_or(0) + 1, storable(body));
    let rows = on!(Tx, &mut batch.tx, tx => {
        let query = sqlx::query(if before.is_some() { NEXT } else { FIRST })
            .bind(connection).bind(version).bind(&body).bind(sum(connection, version, &body));
        let query = match before {
            Some(before) => query.bind(before),
            None => query,
        };
        query.execute(&mut **tx).await.map(|done| done.rows_affected())
    })
    .map_err(Error::database("storing alerts"))?;
    if rows != 1 {
        return Err(Error::ChangedByAnother(connection.clone()));
    }
    match note {
        Some(note) => audit::append(batch, note, *at).await,
        None => Ok(()),
    }
}

impl Store {
    /// The book of a connection, with its version.
    pub async fn alerts(&self, connection: &str) -> Result<Option<(i64, String)>> {
        let row: Option<(i64, String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(BOOK).bind(connection).fetch_optional(db).await)
        .map_err(Error::database("reading alerts"))?;
        match row {
            None => Ok(None),
            Some((version, body, stored)) if sum(connection, version, &body) == stored => {
                Ok(Some((version, body)))
            }
            Some(_) => Err(Error::row("alerts", connection)),
        }
    }

    /// Stores the next version of a book, unless another server has since its version was `before`; with an entry for the
    /// audit log, in one transaction.
    pub async fn put_alerts(
        &self,
        connection: &str,
        before: Option<i64>,
        body: &str,
        note: Option<AuditNote>,
    ) -> Result<Turn> {
        let (connection, body, at) = (connection.to_owned(), body.to_owned(), self.now());
        match self.write(Write::Alerts(NewBook { connection, before, body, note, at })).await {
            Ok(()) => Ok(Turn::Ours),
            Err(Error::ChangedByAnother(_)) => Ok(Turn::Anothers),
            Err(error) => Err(error),
        }
    }
}
