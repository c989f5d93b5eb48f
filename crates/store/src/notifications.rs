//! What is kept of change notifications: the state of subscriptions and hints, which several servers change in turn, and
//! how long changes took to arrive.

use entrain_domain::model::RunId;
use entrain_domain::service::Turn;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::{Batch, Write};

/// A part of a connection's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationState {
    /// Connection.
    pub connection: String,
    /// Which part.
    pub part: String,
    /// Grows with each change.
    pub revision: i64,
    /// JSON.
    pub body: String,
}

/// How long the changes of one run took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessRow {
    /// Run.
    pub run: RunId,
    /// When it ended.
    pub at: Timestamp,
    /// How the time of the changes is known.
    pub known_by: String,
    /// Milliseconds, one for each change.
    pub waits: Vec<u64>,
}

/// One operation of this module.
pub(crate) enum NotificationWrite {
    Keep { connection: String, part: String, before: Option<i64>, body: String },
    Freshness { connection: String, row: FreshnessRow },
}

const STATES: &str =
    "SELECT connection, part, revision, body, sum FROM notification_state ORDER BY connection, part";
const STATE: &str = "SELECT connection, part, revision, body, sum FROM notification_state \
    WHERE connection = $1 AND part = $2";
const FIRST: &str = "INSERT INTO notification_state (connection, part, revision, body, sum) \
    VALUES ($1, $2, 1, $3, $4) ON CONFLICT (connection, part) DO NOTHING";
const NEXT: &str = "UPDATE notification_state SET revision = $1, body = $2, sum = $3 \
    WHERE connection = $4 AND part = $5 AND revision = $6";
const ADD_FRESHNESS: &str = "INSERT INTO freshness (run, connection, at, known_by, waits, sum) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run) DO NOTHING";
const OLD_FRESHNESS: &str = "DELETE FROM freshness WHERE connection = $1 AND at < $2";
const FRESHNESS: &str = "SELECT run, at, known_by, waits, sum FROM freshness \
    WHERE connection = $1 AND at >= $2 ORDER BY at, run";

/// For how long it is kept how fresh the site was.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

type StateRow = (String, String, i64, String, i64);

fn state_sum(connection: &str, part: &str, revision: i64, body: &str) -> i64 {
    Sum::of("notification_state").text(connection).text(part).number(revision).text(body).finish()
}

fn freshness_sum(run: &str, connection: &str, at: i64, known_by: &str, waits: &str) -> i64 {
    Sum::of("freshness").text(run).text(connection).number(at).text(known_by).text(waits).finish()
}

fn state((connection, part, revision, body, sum): StateRow) -> Result<NotificationState> {
    if state_sum(&connection, &part, revision, &body) != sum {
        return Err(Error::row("notification_state", format_args!("{connection} {part}")));
    }
    Ok(NotificationState { connection, part, revision, body })
}

/// Does one operation within the transaction.
pub(crate) async fn apply(batch: &mut Batch, write: &NotificationWrite) -> Result<()> {
    match write {
        NotificationWrite::Keep { connection, part, before, body } => {
            let revision = before.map_or(1, |before| before + 1);
            let sum = state_sum(connection, part, revision, body);
            let rows = on!(Tx, &mut batch.tx, tx => match before {
                None => sqlx::query(FIRST).bind(connection).bind(part).bind(body).bind(sum)
                    .execute(&mut **tx).await.map(|done| done.rows_affected()),
                Some(before) => sqlx::query(NEXT).bind(revision).bind(body).bind(sum)
                    .bind(connection).bind(part).bind(before)
                    .execute(&mut **tx).await.map(|done| done.rows_affected()),
            })
            .map_err(Error::database("storing the state of change notifications"))?;
            if rows == 1 { Ok(()) } else { Err(Error::FiredByAnother(connection.clone())) }
        }
        NotificationWrite::Freshness { connection, row } => {
            let doing = "storing how long changes took";
            let (at, run) = (row.at.as_millisecond(), row.run.as_str());
            let waits: Vec<String> = row.waits.iter().map(ToString::to_string).collect();
            let waits = waits.join(" ");
            on!(Tx, &mut batch.tx, tx => sqlx::query(OLD_FRESHNESS)
                .bind(connection).bind(at - KEPT_MS).execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database(doing))?;
            on!(Tx, &mut batch.tx, tx => sqlx::query(ADD_FRESHNESS)
                .bind(run).bind(connection).bind(at).bind(&row.known_by).bind(&waits)
                .bind(freshness_sum(run, connection, at, &row.known_by, &waits))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database(doing))
        }
    }
}

impl Store {
    /// The state of change notifications of all connections.
    pub async fn notification_states(&self) -> Result<Vec<NotificationState>> {
        let rows: Vec<StateRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(STATES).fetch_all(db).await)
        .map_err(Error::database("reading the state of change notifications"))?;
        rows.into_iter().map(state).collect()
    }

    /// One part of a connection's state.
    pub async fn notification_state(
        &self,
        connection: &str,
        part: &str,
    ) -> Result<Option<NotificationState>> {
        let row: Option<StateRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(STATE).bind(connection).bind(part).fetch_optional(db).await)
        .map_err(Error::database("reading the state of change notifications"))?;
        row.map(state).transpose()
    }

    /// Stores a part anew, unless it was changed since it was read as of revision `before`; `None` where there was none.
    pub async fn keep_notification_state(
        &self,
        connection: &str,
        part: &str,
        before: Option<i64>,
        body: &str,
    ) -> Result<Turn> {
        let (connection, part, body) = (connection.to_owned(), part.to_owned(), body.to_owned());
        let write = NotificationWrite::Keep { connection, part, before, body };
        match self.write(Write::Notification(write)).await {
            Ok(()) => Ok(Turn::Ours),
            Err(Error::FiredByAnother(_)) => Ok(Turn::Anothers),
            Err(error) => Err(error),
        }
    }

    /// Keeps how long the changes of a run took, for thirty days.
    pub async fn keep_freshness(&self, connection: &str, row: FreshnessRow) -> Result<()> {
        let connection = connection.to_owned();
        self.write(Write::Notification(NotificationWrite::Freshness { connection, row })).await
    }

    /// How long changes took since then, run by run, the oldest first.
    pub async fn freshness(&self, connection: &str, since: Timestamp) -> Result<Vec<FreshnessRow>> {
        let rows: Vec<(String, i64, String, String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(FRESHNESS).bind(connection).bind(since.as_millisecond()).fetch_all(db).await)
        .map_err(Error::database("reading how long changes took"))?;
        rows.into_iter()
            .map(|(run, at, known_by, waits, sum)| {
                let wrong = || Error::row("freshness", &run);
                if freshness_sum(&run, connection, at, &known_by, &waits) != sum {
                    return Err(wrong());
                }
                let numbers: std::result::Result<Vec<u64>, _> =
                    waits.split(' ').filter(|w| !w.is_empty()).map(str::parse).collect();
                Ok(FreshnessRow {
                    run: RunId::parse(&run).map_err(|_| wrong())?,
                    at: Timestamp::from_millisecond(at).map_err(|_| wrong())?,
                    known_by,
                    waits: numbers.map_err(|_| wrong())?,
                })
            })
            .collect()
    }
}
