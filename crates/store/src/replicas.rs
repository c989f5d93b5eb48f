//! What servers over one database tell each other: runs whose server is gone, and runs that are to stop. Whose turn a
//! start by schedule is stands with the starts (`service.rs`).

use entrain_domain::model::RunId;
use entrain_domain::run::AuditNote;
use jiff::Timestamp;

use crate::audit;
use crate::error::{ClaimError, Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::{Batch, Write};

/// Somebody asks a run to stop.
pub(crate) struct StopAsked {
    run: RunId,
    author: String,
    at: Timestamp,
}

const BEGUN: &str =
    "SELECT DISTINCT connection FROM runs WHERE phase <> 'ended' AND subject IS NULL ORDER BY connection";
const ASK: &str = "INSERT INTO run_stops (run, author, at, sum) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (run) DO NOTHING";
const ASKED: &str = "SELECT author, at, sum FROM run_stops WHERE run = $1";

fn sum(run: &RunId, author: &str, at: i64) -> i64 {
    Sum::of("run_stops").text(run.as_str()).text(author).number(at).finish()
}

pub(crate) async fn apply(batch: &mut Batch, stop: &StopAsked) -> Result<()> {
    let StopAsked { run, author, at } = stop;
    let ms = at.as_millisecond();
    let new = on!(Tx, &mut batch.tx, tx => sqlx::query(ASK)
        .bind(run.as_str()).bind(author).bind(ms).bind(sum(run, author, ms))
        .execute(&mut **tx).await.map(|done| done.rows_affected()))
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
            Error::RunUnknown(run.to_string())
        }
        _ => Error::database("asking a run to stop")(error),
    })?;
    if new == 0 {
        return Ok(());
    }
    let note = AuditNote {
        actor: author.clone(),
        action: "run_stop_asked".into(),
        object: run.to_string(),
        detail: String::new(),
    };
    audit::append(batch, &note, *at).await
}

impl Store {
    /// Connections with a run that was begun, has no end, and is done by nobody any more. `holder` names whoever looks,
    /// should another look at the same moment.
    pub async fn orphans(&self, holder: &str) -> Result<Vec<String>> {
        let mut orphans = Vec::new();
        for connection in self.begun().await? {
            match self.claim(&connection, holder).await {
                Ok(claim) => {
                    // It may have ended, and let go of the connection, since the look before
                    let still = self.begun().await?.contains(&connection);
                    claim.release().await?;
                    if still {
                        orphans.push(connection);
                    }
                }
                Err(ClaimError::Busy { .. }) => {}
                Err(ClaimError::Failed(error)) => return Err(error),
            }
        }
        Ok(orphans)
    }

    async fn begun(&self) -> Result<Vec<String>> {
        on!(Pool, &self.inner.readers, db => sqlx::query_scalar(BEGUN).fetch_all(db).await)
            .map_err(Error::database("looking for runs without an end"))
    }

    /// Asks a run to stop at its next step boundary, whichever server does it.
    pub async fn ask_to_stop(&self, run: &RunId, author: &str) -> Result<()> {
        let stop = StopAsked { run: run.clone(), author: author.to_owned(), at: self.now() };
        self.write(Write::Stop(stop)).await
    }

    /// Whether somebody asked a run to stop.
    pub async fn asked_to_stop(&self, run: &RunId) -> Result<bool> {
        let row: Option<(String, i64, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(ASKED).bind(run.as_str()).fetch_optional(db).await)
        .map_err(Error::database("looking whether a run is to stop"))?;
        match row {
            None => Ok(false),
            Some((author, at, stored)) if sum(run, &author, at) == stored => Ok(true),
            Some(_) => Err(Error::row("run_stops", run)),
        }
    }
}
