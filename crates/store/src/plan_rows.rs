//! Plans told apart, for pages: see `migrations/0034_plan_rows.sql` and `0039_preview_rows.sql`. They are made from plans
//! and can be made again, so that a backup leaves them out.

use entrain_domain::plan::{PlanOf, PlanRow, PlanRowsWanted};
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
    Forget(PlanOf),
    Rows(PlanOf, Vec<PlanRow>),
    Gist(PlanOf, String),
}

/// Where what is told of a plan is kept: both tables, and their column that says whose it is.
struct Place {
    gists: &'static str,
    rows: &'static str,
    owner: &'static str,
}

const OF_RUNS: Place = Place { gists: "plan_gists", rows: "plan_rows", owner: "run" };
const OF_PREVIEWS: Place = Place { gists: "preview_gists", rows: "preview_rows", owner: "connection" };

fn place(of: &PlanOf) -> (&'static Place, &str) {
    match of {
        PlanOf::Run(run) => (&OF_RUNS, run.as_str()),
        PlanOf::Preview(connection) => (&OF_PREVIEWS, connection),
    }
}

impl Place {
    fn forget(&self) -> [String; 2] {
        [self.gists, self.rows].map(|table| format!("DELETE FROM {table} WHERE {} = $1", self.owner))
    }

    fn put_gist(&self) -> String {
        let Self { gists, owner, .. } = self;
        format!(
            "INSERT INTO {gists} ({owner}, body, sum) VALUES ($1, $2, $3) \
             ON CONFLICT ({owner}) DO UPDATE SET body = excluded.body, sum = excluded.sum"
        )
    }

    fn gist(&self) -> String {
        format!("SELECT body, sum FROM {} WHERE {} = $1", self.gists, self.owner)
    }

    fn select(&self) -> String {
        let Self { rows, owner, .. } = self;
        format!("SELECT place, key, held, find, body, sum FROM {rows} WHERE {owner} = $1")
    }

    fn some(&self) -> String {
        format!("{} AND place >= $2 AND place < $3 ORDER BY place LIMIT $4", self.select())
    }

    fn sought(&self) -> String {
        format!(
            "{} AND place >= $2 AND place < $3 AND held >= $5 AND find LIKE $6 ESCAPE '!' ORDER BY place LIMIT $4",
            self.select()
        )
    }

    /// In no order: asked for one, SQLite walks along all rows of the plan instead of looking the keys up.
    fn by_keys(&self, keys: usize) -> String {
        let places: Vec<String> = (2..=keys + 1).map(|at| format!("${at}")).collect();
        format!("{} AND key IN ({})", self.select(), places.join(", "))
    }

    /// Another server may have written the same rows.
    fn insert(&self, rows: usize) -> String {
        let row = |at: usize| {
            let places: Vec<String> = (1..=7).map(|column| format!("${}", at * 7 + column)).collect();
            format!("({})", places.join(", "))
        };
        let values: Vec<String> = (0..rows).map(row).collect();
        let Self { rows, owner, .. } = self;
        format!(
            "INSERT INTO {rows} ({owner}, place, key, held, find, body, sum) VALUES {} \
             ON CONFLICT ({owner}, place) DO NOTHING",
            values.join(", ")
        )
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    place: i64,
    key: String,
    held: i64,
    find: String,
    body: String,
    sum: i64,
}

fn row_sum(of: &PlanOf, row: &PlanRow) -> i64 {
    let (place, owner) = place(of);
    Sum::of(place.rows)
        .text(owner)
        .number(row.place)
        .text(&row.key)
        .number(row.held)
        .text(&row.find)
        .text(&row.body)
        .finish()
}

fn gist_sum(of: &PlanOf, body: &str) -> i64 {
    let (place, owner) = place(of);
    Sum::of(place.gists).text(owner).text(body).finish()
}

impl Row {
    fn checked(self, of: &PlanOf) -> Result<PlanRow> {
        let Self { place: at, key, held, find, body, sum } = self;
        let row = PlanRow { place: at, key, held, find, body };
        if row_sum(of, &row) == sum { Ok(row) } else { Err(Error::row(place(of).0.rows, at)) }
    }
}

/// Throws away what was told of a plan.
pub(crate) async fn forget(batch: &mut Batch, of: &PlanOf) -> Result<()> {
    let (place, owner) = place(of);
    for sql in place.forget() {
        on!(Tx, &mut batch.tx, tx =>
            sqlx::query(AssertSqlSafe(sql)).bind(owner).execute(&mut **tx).await.map(drop))
        .map_err(Error::database("writing the plan"))?;
    }
    Ok(())
}

pub(crate) async fn apply(batch: &mut Batch, write: &PlanWrite) -> Result<()> {
    let doing = "writing the plan";
    match write {
        PlanWrite::Forget(of) => forget(batch, of).await,
        PlanWrite::Gist(of, body) => {
            let (place, owner) = place(of);
            on!(Tx, &mut batch.tx, tx => sqlx::query(AssertSqlSafe(place.put_gist()))
                .bind(owner).bind(body).bind(gist_sum(of, body)).execute(&mut **tx).await.map(drop))
            .map_err(Error::database(doing))
        }
        PlanWrite::Rows(of, rows) => {
            let (place, owner) = place(of);
            for rows in rows.chunks(ROWS) {
                let sql = place.insert(rows.len());
                on!(Tx, &mut batch.tx, tx => {
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for row in rows {
                        query = query.bind(owner).bind(row.place).bind(&row.key).bind(row.held)
                            .bind(&row.find).bind(&row.body).bind(row_sum(of, row));
                    }
                    query.execute(&mut **tx).await.map(drop)
                })
                .map_err(Error::database(doing))?;
            }
            Ok(())
        }
    }
}

impl Store {
    /// Keeps what is told of a plan: its rows, and then what is said of all of it. What was told before is gone.
    pub async fn keep_plan_rows(&self, of: &PlanOf, gist: &str, rows: Vec<PlanRow>) -> Result<()> {
        self.write(Write::Plan(PlanWrite::Forget(of.clone()))).await?;
        let as_stored = |row: PlanRow| PlanRow {
            key: storable(&row.key),
            find: storable(&row.find),
            body: storable(&row.body),
            ..row
        };
        let mut rows = rows.into_iter().map(as_stored).peekable();
        while rows.peek().is_some() {
            let part: Vec<PlanRow> = rows.by_ref().take(PART).collect();
            self.write(Write::Plan(PlanWrite::Rows(of.clone(), part))).await?;
        }
        self.write(Write::Plan(PlanWrite::Gist(of.clone(), storable(gist)))).await
    }

    /// What is said of all of a plan, where its rows are kept.
    pub async fn plan_gist(&self, of: &PlanOf) -> Result<Option<String>> {
        let (place, owner) = place(of);
        let row: Option<(String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(AssertSqlSafe(place.gist())).bind(owner).fetch_optional(db).await)
        .map_err(Error::database("reading the plan"))?;
        match row {
            None => Ok(None),
            Some((body, sum)) if gist_sum(of, &body) == sum => Ok(Some(body)),
            Some(_) => Err(Error::row(place.gists, owner)),
        }
    }

    /// Rows of a plan, in their order.
    pub async fn plan_rows(&self, of: &PlanOf, wanted: &PlanRowsWanted) -> Result<Vec<PlanRow>> {
        let (place, owner) = place(of);
        let escaped = wanted.find.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let is_any = wanted.held == 0 && wanted.find.is_empty();
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => {
            let query = sqlx::query_as(AssertSqlSafe(if is_any { place.some() } else { place.sought() }))
                .bind(owner).bind(wanted.from).bind(wanted.until).bind(i64::from(wanted.limit));
            let query = if is_any { query } else { query.bind(wanted.held).bind(format!("%{escaped}%")) };
            query.fetch_all(db).await
        })
        .map_err(Error::database("reading the plan"))?;
        rows.into_iter().map(|row| row.checked(of)).collect()
    }

    /// The rows of a plan that are found by these keys.
    pub async fn plan_rows_of(&self, of: &PlanOf, keys: &[String]) -> Result<Vec<PlanRow>> {
        let (place, owner) = place(of);
        let mut found = Vec::new();
        for keys in keys.chunks(KEYS) {
            let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => {
                let mut query = sqlx::query_as(AssertSqlSafe(place.by_keys(keys.len()))).bind(owner);
                for key in keys {
                    query = query.bind(key);
                }
                query.fetch_all(db).await
            })
            .map_err(Error::database("reading the plan"))?;
            for row in rows {
                found.push(row.checked(of)?);
            }
        }
        found.sort_unstable_by_key(|row| row.place);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    #[tokio::test]
    async fn a_page_of_a_plan_reads_its_rows_however_long_the_plan_is() {
        for place in [&OF_RUNS, &OF_PREVIEWS] {
            let Place { rows, owner, .. } = place;
            for sql in [place.some(), place.sought()] {
                let along = format!("INDEX sqlite_autoindex_{rows}_1 ({owner}=? AND place>? AND place<?)");
                assert_eq!(ways(&sql).await, [format!("SEARCH {rows} USING {along}")]);
            }
            let looked_up = format!("SEARCH {rows} USING INDEX {rows}_by_key ({owner}=? AND key=?)");
            assert_eq!(ways(&place.by_keys(2)).await, [looked_up]);
        }
    }
}
