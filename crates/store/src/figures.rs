//! What each run came to, in numbers, counted once when it ends: the overview of months is drawn from these and reads
//! no journal.

use std::collections::HashMap;

use entrain_domain::model::RunId;
use entrain_domain::plan::{Effect, StepKind};
use entrain_domain::run::{Outcome, RunFigures, RunReport};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::Batch;

#[derive(sqlx::FromRow)]
struct Row {
    run: String,
    connection: String,
    at: i64,
    planned: i64,
    done: i64,
    held: i64,
    requests: i64,
    joined: i64,
    moved: i64,
    left_by: i64,
    sum: i64,
}

const PUT: &str = "INSERT INTO run_figures \
    (run, connection, at, planned, done, held, requests, joined, moved, left_by, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (run) DO UPDATE SET at = excluded.at, \
    planned = excluded.planned, done = excluded.done, held = excluded.held, requests = excluded.requests, \
    joined = excluded.joined, moved = excluded.moved, left_by = excluded.left_by, sum = excluded.sum";
// Runs that found nothing changed are many, and only the last day shows them
const SINCE: &str = "SELECT run, connection, at, planned, done, held, requests, joined, moved, left_by, sum \
    FROM run_figures WHERE connection = $1 AND at >= $2 AND (planned > 0 OR at >= $3) ORDER BY at, run";
// By the run alone: asked for an outcome as well, SQLite walks through the steps of all runs there ever were
const STEPS: &str = "SELECT kind, step, outcome FROM journal WHERE run = $1";

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Row {
    fn sum(&self) -> i64 {
        let numbers = [
            self.at,
            self.planned,
            self.done,
            self.held,
            self.requests,
            self.joined,
            self.moved,
            self.left_by,
        ];
        let sum = Sum::of("run_figures").text(&self.run).text(&self.connection);
        numbers.into_iter().fold(sum, Sum::number).finish()
    }

    fn figures(self) -> Result<RunFigures> {
        let wrong = || Error::row("run_figures", &self.run);
        if self.sum() != self.sum {
            return Err(wrong());
        }
        let count = |n: i64| u64::try_from(n).map_err(|_| wrong());
        Ok(RunFigures {
            run: RunId::parse(&self.run).map_err(|_| wrong())?,
            at: Timestamp::from_millisecond(self.at).map_err(|_| wrong())?,
            planned: count(self.planned)?,
            done: count(self.done)?,
            held: count(self.held)?,
            requests: count(self.requests)?,
            joined: count(self.joined)?,
            moved: count(self.moved)?,
            left: count(self.left_by)?,
        })
    }
}

/// Counts a run that ends.
pub(crate) async fn count(batch: &mut Batch, report: &RunReport) -> Result<()> {
    let doing = "counting what a run came to";
    let all = |of: fn(&entrain_domain::run::StepCount) -> usize| {
        number(report.steps.values().map(|count| of(count) as u64).sum())
    };
    let requests = &report.requests;
    let mut row = Row {
        run: report.run_id.as_str().to_owned(),
        connection: report.connection.clone(),
        at: report.started_at.as_millisecond(),
        planned: all(|count| count.planned),
        done: all(|count| count.done),
        held: all(|count| count.held),
        requests: number(requests.directory + requests.site + requests.organization),
        joined: 0,
        moved: 0,
        left_by: 0,
        sum: 0,
    };
    if row.done > 0 {
        let steps: Vec<(String, String, String)> = on!(Tx, &mut batch.tx, tx =>
            sqlx::query_as(STEPS).bind(&row.run).fetch_all(&mut **tx).await)
        .map_err(Error::database(doing))?;
        let done = steps.iter().filter(|(.., outcome)| outcome == Outcome::Done.as_str());
        (row.joined, row.moved, row.left_by) =
            lives(done.map(|(kind, step, _)| (kind.as_str(), step.as_str())));
    }
    row.sum = row.sum();
    on!(Tx, &mut batch.tx, tx => sqlx::query(PUT)
        .bind(&row.run).bind(&row.connection).bind(row.at).bind(row.planned).bind(row.done).bind(row.held)
        .bind(row.requests).bind(row.joined).bind(row.moved).bind(row.left_by).bind(row.sum)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))
}

/// Who joined, moved and left by these steps. The last part of a step's name is the person.
fn lives<'a>(steps: impl Iterator<Item = (&'a str, &'a str)>) -> (i64, i64, i64) {
    let mut people: HashMap<&str, (bool, bool)> = HashMap::new();
    for (kind, step) in steps {
        let Some(kind) = StepKind::from_word(kind) else { continue };
        if matches!(kind, StepKind::CreateGroup | StepKind::RenameGroup | StepKind::AdoptGroup) {
            continue;
        }
        let life = people.entry(step.rsplit('/').next().unwrap_or(step)).or_default();
        match kind.effect() {
            Effect::Gives => life.0 = true,
            Effect::Takes => life.1 = true,
            Effect::Changes => {}
        }
    }
    let count = |wanted| number(people.values().filter(|life| **life == wanted).count() as u64);
    (count((true, false)), count((true, true)), count((false, true)))
}

impl Store {
    /// What the runs of a connection came to: of those begun since `since` that found something changed, and of all
    /// begun since `all_since`; the oldest first.
    pub async fn run_figures(
        &self,
        connection: &str,
        since: Timestamp,
        all_since: Timestamp,
    ) -> Result<Vec<RunFigures>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => sqlx::query_as(SINCE)
            .bind(connection).bind(since.as_millisecond()).bind(all_since.as_millisecond())
            .fetch_all(db).await)
        .map_err(Error::database("reading figures"))?;
        rows.into_iter().map(Row::figures).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_counted_once_by_what_became_of_them() {
        let step = |kind: &str, rest: &str| (kind.to_owned(), format!("{kind}/{rest}"));
        let steps = [
            step("create_user", "u1"),
            step("add_member", "g1/u1"),
            step("add_member", "g2/u1"),
            step("add_member", "g1/u2"),
            step("remove_member", "g2/u2"),
            step("remove_member", "g2/account:a3"),
            step("create_group", "g1"),
            step("update_user", "u4/profile"),
        ];
        let steps = steps.iter().map(|(kind, step)| (kind.as_str(), step.as_str()));
        assert_eq!(lives(steps), (1, 1, 1));
    }

    /// Every run ends with this, inside the one transaction that all others wait for.
    #[tokio::test]
    async fn p_8_the_steps_of_a_run_are_found_by_the_run() {
        let ways = crate::pool::ways(STEPS).await;
        assert!(matches!(ways.as_slice(), [way] if way.ends_with("(run=?)")), "{ways:?}");
    }
}
