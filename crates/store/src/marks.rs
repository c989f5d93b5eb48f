//! What is remembered of single steps from run to run.

use entrain_domain::memory::{Mark, Memory, MemoryChange};
use entrain_domain::plan::StepId;

use crate::error::{Error, Result};
use crate::pool::{Reader, on};
use crate::sum::{Sum, storable};
use crate::writer::Batch;

const MARKS: &str = "SELECT step, kind, body, sum FROM step_marks WHERE connection = $1 ORDER BY step, kind";
const MARK: &str = "INSERT INTO step_marks (connection, step, kind, body, sum) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (connection, step, kind) DO UPDATE SET body = excluded.body, sum = excluded.sum";
const UNMARK: &str = "DELETE FROM step_marks WHERE connection = $1 AND step = $2 AND kind = $3";

fn mark_sum(connection: &str, step: &str, kind: &str, body: &str) -> i64 {
    Sum::of("step_marks").text(connection).text(step).text(kind).text(body).finish()
}

/// Marks and unmarks; other changes are not this module's.
pub(crate) async fn apply(batch: &mut Batch, connection: &str, changes: &[MemoryChange]) -> Result<()> {
    let doing = "storing what is remembered of steps";
    for change in changes {
        match change {
            MemoryChange::MarkStep { step, mark } => {
                let (kind, step) = (mark.kind().as_str(), storable(step.as_str()));
                let body = serde_json::to_string(mark).expect("a mark is numbers, instants and texts");
                on!(Tx, &mut batch.tx, tx => sqlx::query(MARK)
                    .bind(connection).bind(&step).bind(kind).bind(&body)
                    .bind(mark_sum(connection, &step, kind, &body))
                    .execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database(doing))?;
            }
            MemoryChange::UnmarkStep { step, mark } => {
                on!(Tx, &mut batch.tx, tx => sqlx::query(UNMARK)
                    .bind(connection).bind(storable(step.as_str())).bind(mark.as_str())
                    .execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database(doing))?;
            }
            _ => {}
        }
    }
    Ok(())
}

impl Reader {
    /// Reads what is remembered of steps into memory.
    pub(crate) async fn marks(&mut self, connection: &str, memory: &mut Memory) -> Result<()> {
        let rows: Vec<(String, String, String, i64)> = on!(Reader, self, db =>
            sqlx::query_as(MARKS).bind(connection).fetch_all(&mut **db).await)
        .map_err(Error::database("reading what is remembered of steps"))?;
        for (step, kind, body, sum) in rows {
            let wrong = || Error::row("step_marks", format_args!("{step} {kind}"));
            if mark_sum(connection, &step, &kind, &body) != sum {
                return Err(wrong());
            }
            let mark: Mark = serde_json::from_str(&body).map_err(|_| wrong())?;
            memory.mark_step(&StepId::from_stored(&step), mark);
        }
        Ok(())
    }
}
