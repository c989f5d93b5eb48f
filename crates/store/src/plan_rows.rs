//! Plans told apart, for pages: see `migrations/0034_plan_rows.sql`. They are made from plans and can be made again, so
//! that a backup leaves them out.

use entrain_domain::model::RunId;
use entrain_domain::plan::{PlanRow, PlanRowsWanted};
use sqlx::AssertSqlSafe;

use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// Rows that are written in one transaction, so that others are not kept waiting.
const PART: usize = 2_000;
/// Rows that are written by one statement.
const ROWS: usize = 200;
/// Rows that are looked for by one statement.
const KEYS: usize = 500;

/// One operation of this module.
pub(crate) enum PlanWrite {
    Forget(RunId),
    Rows(RunId, Vec<PlanRow>),
    Gist(RunId, String),
}

const FORGET: [&str; 2] = ["DELETE FROM plan_gists WHERE run = $1", "DELETE FROM plan_rows WHERE run = $1"];
const PUT_GIST: &str = "INSERT INTO plan_gists (run, body, sum) VALUES ($1, $2, $3) \
    ON CONFLICT (run) DO UPDATE SET body = excluded.body, sum = excluded.sum";
const GIST: &str = "SELECT body, sum FROM plan_gists WHERE run = $1";
const SOME: &str = "SELECT place, key, held, find, body, sum FROM plan_rows \
    WHERE run = $1 AND place >= $2 AND place < $3 ORDER BY place LIMIT $4";
const SOUGHT: &str = "SELECT place, key, held, find, body, sum FROM plan_rows \
    WHERE run = $1 AND place >= $2 AND place < $3 AND held >= $5 AND find LIKE $6 ESCAPE '!' ORDER BY place LIMIT $4";

#[derive(sqlx::FromRow)]
struct Row {
    place: i64,
    key: String,
    held: i64,
    find: String,
    body: String,
    sum: i64,
}

fn row_sum(run: &RunId, row: &PlanRow) -> i64 {
    Sum::of("plan_rows")
        .text(run.as_str())
        .number(row.place)
        .text(&row.key)
        .number(row.held)
        .text(&row.find)
        .text(&row.body)
        .finish()
}

fn gist_sum(run: &RunId, body: &str) -> i64 {
    Sum::of("plan_gists").text(run.as_str()).text(body).finish()
}

impl Row {
    fn checked(self, run: &RunId) -> Result<PlanRow> {
        let Self { place, key, held, find, body, sum } = self;
        let row = PlanRow { place, key, held, find, body };
        if row_sum(run, &row) == sum { Ok(row) } else { Err(Error::row("plan_rows", place)) }
    }
}

/// Throws away what was told of a run's plan.
pub(crate) async fn forget(batch: &mut Batch, run: &RunId) -> Result<()> {
    for sql in FORGET {
        on!(Tx, &mut batch.tx, tx => sqlx::query(sql).bind(run.as_str()).execute(&mut **tx).await.map(drop))
            .map_err(Error::database("writing the plan"))?;
    }
    Ok(())
}

pub(crate) async fn apply(batch: &mut Batch, write: &PlanWrite) -> Result<()> {
    let doing = "writing the plan";
    match write {
        PlanWrite::Forget(run) => forget(batch, run).await,
        PlanWrite::Gist(run, body) => on!(Tx, &mut batch.tx, tx => sqlx::query(PUT_GIST)
            .bind(run.as_str()).bind(body).bind(gist_sum(run, body)).execute(&mut **tx).await.map(drop))
        .map_err(Error::database(doing)),
        PlanWrite::Rows(run, rows) => {
            for rows in rows.chunks(ROWS) {
                let sql = insert(rows.len());
                on!(Tx, &mut batch.tx, tx => {
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for row in rows {
                        query = query.bind(run.as_str()).bind(row.place).bind(&row.key).bind(row.held)
                            .bind(&row.find).bind(&row.body).bind(row_sum(run, row));
                    }
                    query.execute(&mut **tx).await.map(drop)
                })
                .map_err(Error::database(doing))?;
            }
            Ok(())
        }
    }
}

/// Another server may have written the same rows.
fn insert(rows: usize) -> String {
    let row = |at: usize| {
        let places: Vec<String> = (1..=7).map(|column| format!("${}", at * 7 + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO plan_rows (run, place, key, held, find, body, sum) VALUES {} ON CONFLICT (run, place) DO NOTHING",
        rows.join(", ")
    )
}

impl Store {
    /// Keeps what is told of a run's plan: its rows, and then what is said of all of it. What was told before is gone.
    pub async fn keep_plan_rows(&self, run: &RunId, gist: &str, rows: Vec<PlanRow>) -> Result<()> {
        self.write(Write::Plan(PlanWrite::Forget(run.clone()))).await?;
        let storable = |row: PlanRow| PlanRow {
            key: storable(&row.key),
            find: storable(&row.find),
            body: storable(&row.body),
            ..row
        };
        let mut rows = rows.into_iter().map(storable).peekable();
        while rows.peek().is_some() {
            let part: Vec<PlanRow> = rows.by_ref().take(PART).collect();
            self.write(Write::Plan(PlanWrite::Rows(run.clone(), part))).await?;
        }
        self.write(Write::Plan(PlanWrite::Gist(run.clone(), crate::sum::storable(gist)))).await
    }

    /// What is said of all of a run's plan, where its rows are kept.
    pub async fn plan_gist(&self, run: &RunId) -> Result<Option<String>> {
        let row: Option<(String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(GIST).bind(run.as_str()).fetch_optional(db).await)
        .map_err(Error::database("reading the plan"))?;
        match row {
            None => Ok(None),
            Some((body, sum)) if gist_sum(run, &body) == sum => Ok(Some(body)),
            Some(_) => Err(Error::row("plan_gists", run)),
        }
    }

    /// Rows of a run's plan, in their order.
    pub async fn plan_rows(&self, run: &RunId, wanted: &PlanRowsWanted) -> Result<Vec<PlanRow>> {
        let escaped = wanted.find.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let is_any = wanted.held == 0 && wanted.find.is_empty();
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => {
            let query = sqlx::query_as(if is_any { SOME } else { SOUGHT })
                .bind(run.as_str()).bind(wanted.from).bind(wanted.until).bind(i64::from(wanted.limit));
            let query = if is_any { query } else { query.bind(wanted.held).bind(format!("%{escaped}%")) };
            query.fetch_all(db).await
        })
        .map_err(Error::database("reading the plan"))?;
        rows.into_iter().map(|row| row.checked(run)).collect()
    }

    /// The rows of a run's plan that are found by these keys.
    pub async fn plan_rows_of(&self, run: &RunId, keys: &[String]) -> Result<Vec<PlanRow>> {
        let mut found = Vec::new();
        for keys in keys.chunks(KEYS) {
            let places: Vec<String> = (2..=keys.len() + 1).map(|at| format!("${at}")).collect();
            let sql = format!(
                "SELECT place, key, held, find, body, sum FROM plan_rows WHERE run = $1 AND key IN ({}) ORDER BY place",
                places.join(", ")
            );
            let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => {
                let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(run.as_str());
                for key in keys {
                    query = query.bind(key);
                }
                query.fetch_all(db).await
            })
            .map_err(Error::database("reading the plan"))?;
            for row in rows {
                found.push(row.checked(run)?);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    #[tokio::test]
    async fn a_page_of_a_plan_is_a_walk_along_its_key_however_long_the_plan_is() {
        for sql in [SOME, SOUGHT] {
            let ways = ways(sql).await;
            assert_eq!(
                ways,
                ["SEARCH plan_rows USING INDEX sqlite_autoindex_plan_rows_1 (run=? AND place>? AND place<?)"]
            );
        }
    }
}
