//! What people said of held plans, and which run does or takes back what an earlier one planned.

use entrain_domain::model::RunId;
use entrain_domain::plan::Digest;
use entrain_domain::run::{AuditNote, Decided, Decision, Relation};
use jiff::Timestamp;

use crate::audit;
use crate::error::{Error, Result};
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

const DECIDE: &str = "INSERT INTO decisions (run, actor, decision, at, sum) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (run, actor) DO UPDATE SET decision = excluded.decision, at = excluded.at, sum = excluded.sum";
const DECISIONS: &str = "SELECT actor, decision, at, sum FROM decisions WHERE run = $1 ORDER BY at, actor";
const RELATE: &str = "INSERT INTO run_relations (run, relation, earlier, sum) VALUES ($1, $2, $3, $4)";
const RELATION: &str = "SELECT run, relation, earlier, sum FROM run_relations WHERE run = $1";
const LATER: &str = "SELECT run, relation, earlier, sum FROM run_relations WHERE earlier = $1 ORDER BY run";

fn decision_sum(run: &str, actor: &str, decision: &str, at: i64) -> i64 {
    Sum::of("decisions").text(run).text(actor).text(decision).number(at).finish()
}

/// Between the word and the digest of the part that it is about.
const OF_PART: char = ' ';

/// A decision as it is stored.
fn word(decided: &Decided) -> String {
    let word = decided.decision.as_str();
    match &decided.part {
        Some(part) => format!("{word}{OF_PART}{part}"),
        None => word.to_owned(),
    }
}

fn relation_sum(run: &str, relation: &str, earlier: &str) -> i64 {
    Sum::of("run_relations").text(run).text(relation).text(earlier).finish()
}

/// A person's word, with its audit entry in the same transaction.
pub(crate) async fn decide(
    batch: &mut Batch,
    run: &RunId,
    decided: &Decided,
    note: &AuditNote,
) -> Result<()> {
    let (actor, at) = (storable(&decided.actor), decided.at.as_millisecond());
    let decision = word(decided);
    on!(Tx, &mut batch.tx, tx => sqlx::query(DECIDE)
        .bind(run.as_str()).bind(&actor).bind(&decision).bind(at)
        .bind(decision_sum(run.as_str(), &actor, &decision, at))
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
            Error::RunUnknown(run.to_string())
        }
        _ => Error::database("writing a decision")(error),
    })?;
    audit::append(batch, note, decided.at).await
}

pub(crate) async fn relate(batch: &mut Batch, run: &RunId, relation: &Relation) -> Result<()> {
    let (word, earlier) = (relation.as_str(), relation.run().as_str());
    on!(Tx, &mut batch.tx, tx => sqlx::query(RELATE)
        .bind(run.as_str()).bind(word).bind(earlier).bind(relation_sum(run.as_str(), word, earlier))
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database("writing the run"))
}

type RelationRow = (String, String, String, i64);

fn relation((run, word, earlier, sum): RelationRow) -> Result<(RunId, Relation)> {
    let wrong = || Error::row("run_relations", &run);
    if relation_sum(&run, &word, &earlier) != sum {
        return Err(wrong());
    }
    let earlier = RunId::parse(&earlier).map_err(|_| wrong())?;
    let relation = Relation::from_word(&word, earlier).ok_or_else(wrong)?;
    Ok((RunId::parse(&run).map_err(|_| wrong())?, relation))
}

impl Store {
    /// Notes what a person said of a held plan, with its audit entry; whoever changes their mind replaces their word.
    pub async fn decide(&self, run: &RunId, decided: &Decided, note: AuditNote) -> Result<()> {
        self.write(Write::Decide { run: run.clone(), decided: decided.clone(), note }).await
    }

    /// What people said of a run's plan, the oldest word first.
    pub async fn decisions(&self, run: &RunId) -> Result<Vec<Decided>> {
        let rows: Vec<(String, String, i64, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(DECISIONS).bind(run.as_str()).fetch_all(db).await)
        .map_err(Error::database("reading decisions"))?;
        rows.into_iter()
            .map(|(actor, decision, at, sum)| {
                let wrong = || Error::row("decisions", format_args!("{run} {actor}"));
                if decision_sum(run.as_str(), &actor, &decision, at) != sum {
                    return Err(wrong());
                }
                let (word, part) = match decision.split_once(OF_PART) {
                    Some((word, part)) => (word, Some(Digest::from_stored(part))),
                    None => (decision.as_str(), None),
                };
                let decision = Decision::from_word(word).ok_or_else(wrong)?;
                let at = Timestamp::from_millisecond(at).map_err(|_| wrong())?;
                Ok(Decided { actor: actor.clone(), decision, at, part })
            })
            .collect()
    }

    /// Notes what a run that has begun is to an earlier one.
    pub async fn relate(&self, run: &RunId, relation: &Relation) -> Result<()> {
        self.write(Write::Relate { run: run.clone(), relation: relation.clone() }).await
    }

    /// What a run is to an earlier one.
    pub async fn relation(&self, run: &RunId) -> Result<Option<Relation>> {
        let row: Option<RelationRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(RELATION).bind(run.as_str()).fetch_optional(db).await)
        .map_err(Error::database("reading runs"))?;
        Ok(row.map(relation).transpose()?.map(|(_, relation)| relation))
    }

    /// The later runs that approve or undo a run, the oldest first.
    pub async fn later_runs(&self, earlier: &RunId) -> Result<Vec<(RunId, Relation)>> {
        let rows: Vec<RelationRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(LATER).bind(earlier.as_str()).fetch_all(db).await)
        .map_err(Error::database("reading runs"))?;
        rows.into_iter().map(relation).collect()
    }
}
