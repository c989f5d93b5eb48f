//! What somebody has ticked so far in a held plan, to approve a part of it: it outlasts the page, and is theirs alone.

use entrain_domain::model::RunId;

use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// New ticks of an account in the plan of a run; nothing where there are none any more.
pub(crate) struct NewTicks {
    run: RunId,
    account: String,
    body: Option<String>,
}

const KEEP: &str = "INSERT INTO ticks (run, account, body, sum) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (run, account) DO UPDATE SET body = excluded.body, sum = excluded.sum";
const DROP: &str = "DELETE FROM ticks WHERE run = $1 AND account = $2";
const TICKS: &str = "SELECT body, sum FROM ticks WHERE run = $1 AND account = $2";

fn sum(run: &RunId, account: &str, body: &str) -> i64 {
    Sum::of("ticks").text(run.as_str()).text(account).text(body).finish()
}

/// Does one operation within the transaction.
pub(crate) async fn apply(batch: &mut Batch, write: &NewTicks) -> Result<()> {
    let NewTicks { run, account, body } = write;
    let body = body.as_deref().map(storable);
    on!(Tx, &mut batch.tx, tx => match &body {
        Some(body) => sqlx::query(KEEP)
            .bind(run.as_str()).bind(account).bind(body).bind(sum(run, account, body))
            .execute(&mut **tx).await.map(drop),
        None => sqlx::query(DROP).bind(run.as_str()).bind(account).execute(&mut **tx).await.map(drop),
    })
    .map_err(Error::database("keeping what was ticked"))
}

impl Store {
    /// Keeps what an account has ticked in the plan of a run, as JSON; nothing throws it away.
    pub async fn keep_ticks(&self, run: &RunId, account: &str, ticks: Option<&str>) -> Result<()> {
        let (run, account, body) = (run.clone(), account.to_owned(), ticks.map(str::to_owned));
        self.write(Write::Ticks(NewTicks { run, account, body })).await
    }

    /// What an account has ticked in the plan of a run.
    pub async fn ticks(&self, run: &RunId, account: &str) -> Result<Option<String>> {
        let row: Option<(String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(TICKS).bind(run.as_str()).bind(account).fetch_optional(db).await)
        .map_err(Error::database("reading what was ticked"))?;
        match row {
            None => Ok(None),
            Some((body, kept)) if sum(run, account, &body) == kept => Ok(Some(body)),
            Some(_) => Err(Error::row("ticks", format_args!("{run} {account}"))),
        }
    }
}
