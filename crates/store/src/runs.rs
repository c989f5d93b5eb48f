//! Runs and their journals: what a later start needs to finish what a killed process began, and what people read
//! afterwards.

use entrain_domain::model::RunId;
use entrain_domain::plan::{Before, Effect, History, PlanOf, StepId, StepKind};
use entrain_domain::run::{
    AuditNote, Intent, JournalEntry, JournalPage, JournalPart, Outcome, Phase, RunReport, RunStatus,
    RunSummary, StepEnd, Trigger,
};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::history::Cause;
use crate::pool::{Reader, on};
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};
use crate::{audit, figures, memory, plan_rows};

/// A run that was begun and has no end yet.
#[derive(Debug, Clone)]
pub struct UnfinishedRun {
    /// Id.
    pub id: RunId,
    /// Trigger.
    pub trigger: Trigger,
    /// How far it got.
    pub phase: Phase,
    /// Start.
    pub started_at: Timestamp,
    /// Its journal, in the order of intents.
    pub journal: Vec<JournalEntry>,
}

#[derive(sqlx::FromRow)]
struct RunRow {
    id: String,
    connection: String,
    cause: String,
    status: String,
    phase: String,
    started_at: i64,
    report: Option<String>,
    sum: i64,
}

#[derive(sqlx::FromRow)]
pub(crate) struct StepRow {
    run: String,
    step: String,
    kind: String,
    outcome: String,
    attempts: i64,
    answer: String,
    at: i64,
    intent: String,
    sum: i64,
}

const INSERT_RUN: &str = "INSERT INTO runs (id, connection, cause, status, phase, started_at, report, sum, subject) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const UPDATE_RUN: &str = "UPDATE runs SET status = $1, phase = $2, report = $3, sum = $4 WHERE id = $5";
const RUN: &str =
    "SELECT id, connection, cause, status, phase, started_at, report, sum FROM runs WHERE id = $1";
const RUNS: &str = "SELECT id, connection, cause, status, phase, started_at, report, sum FROM runs \
    WHERE ($1 IS NULL OR connection = $1) ORDER BY started_at DESC, id DESC LIMIT $2";
const RUNS_BEFORE: &str = "SELECT id, connection, cause, status, phase, started_at, report, sum FROM runs \
    WHERE ($1 IS NULL OR connection = $1) AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
// By the sequence of the audit log, which a clock that is set back does not change
const LAST_ENDED: &str = "SELECT r.id, r.connection, r.cause, r.status, r.phase, r.started_at, r.report, r.sum \
    FROM audit a JOIN runs r ON r.id = a.object \
    WHERE a.action = 'run_ended' AND r.connection = $1 AND r.subject IS NULL ORDER BY a.seq DESC LIMIT 1";
const UNFINISHED: &str = "SELECT id, connection, cause, status, phase, started_at, report, sum FROM runs \
    WHERE connection = $1 AND phase <> 'ended' AND subject IS NULL ORDER BY started_at, id LIMIT 1";
const PUT_PLAN: &str = "INSERT INTO run_plans (run, plan_json, sum) VALUES ($1, $2, $3) \
    ON CONFLICT (run) DO UPDATE SET plan_json = excluded.plan_json, sum = excluded.sum";
const PLAN: &str = "SELECT plan_json, sum FROM run_plans WHERE run = $1";
const INTEND: &str = "INSERT INTO journal (run, step, seq, kind, outcome, attempts, answer, at, intent, sum) \
    VALUES ($1, $2, (SELECT coalesce(max(seq), 0) + 1 FROM journal WHERE run = $1), $3, $4, $5, $6, $7, $8, $9) \
    ON CONFLICT (run, step) DO UPDATE SET kind = excluded.kind, outcome = excluded.outcome, \
    attempts = excluded.attempts, answer = excluded.answer, at = excluded.at, intent = excluded.intent, \
    sum = excluded.sum";
const STEP: &str = "SELECT run, step, kind, outcome, attempts, answer, at, intent, sum FROM journal \
    WHERE run = $1 AND step = $2";
const STEPS: &str = "SELECT run, step, kind, outcome, attempts, answer, at, intent, sum FROM journal \
    WHERE run = $1 ORDER BY seq";
const OPEN: &str = "SELECT j.run, j.step, j.kind, j.outcome, j.attempts, j.answer, j.at, j.intent, j.sum \
    FROM journal j JOIN runs r ON r.id = j.run \
    WHERE j.outcome = 'intent' AND r.connection = $1 \
    AND NOT EXISTS (SELECT 1 FROM person_claims p WHERE p.run = j.run AND p.until >= $2) \
    ORDER BY r.started_at, j.run, j.seq";
const LENGTH: &str = "SELECT CAST(coalesce(max(seq), 0) AS BIGINT) FROM journal WHERE run = $1";
// One index has the few that are not done
const NOT_DONE: &str = "SELECT count(*), coalesce(sum(CASE WHEN outcome IN ('failed', 'not_done') THEN 1 ELSE 0 END), 0) \
    FROM journal WHERE run = $1 AND outcome <> 'done'";
// Numbers have no gaps, so that a page far behind is found as quickly as the first
const PAGE: &str = "SELECT run, step, kind, outcome, attempts, answer, at, intent, sum FROM journal \
    WHERE run = $1 AND seq <= $2 ORDER BY seq DESC LIMIT $3";
const UNDONE_PAGE: &str = "SELECT run, step, kind, outcome, attempts, answer, at, intent, sum FROM journal \
    WHERE run = $1 AND seq IN (SELECT seq FROM journal WHERE run = $1 AND outcome <> 'done' \
    AND outcome IN ('failed', 'not_done') ORDER BY seq DESC LIMIT $3 OFFSET $2) ORDER BY seq DESC";
// Each half ends with its index; a step that has two parts has its kind in the middle
const ABOUT: &str = concat!(
    "SELECT run, step, kind, outcome, attempts, answer, at, intent, sum FROM (SELECT * FROM (",
    "SELECT j.run, j.step, j.kind, j.outcome, j.attempts, j.answer, j.at, j.intent, j.sum, j.seq ",
    "FROM journal j JOIN runs r ON r.id = j.run WHERE r.connection = $1 AND ",
    "replace(j.step, rtrim(j.step, replace(j.step, '/', '')), '') = $2 ",
    "ORDER BY j.at DESC, j.run DESC, j.seq DESC LIMIT $3) AS l UNION ALL SELECT * FROM (",
    "SELECT j.run, j.step, j.kind, j.outcome, j.attempts, j.answer, j.at, j.intent, j.sum, j.seq ",
    "FROM journal j JOIN runs r ON r.id = j.run WHERE r.connection = $1 AND j.kind <> $2 AND ",
    "replace(rtrim(rtrim(j.step, replace(j.step, '/', '')), '/'), ",
    "rtrim(rtrim(rtrim(j.step, replace(j.step, '/', '')), '/'), ",
    "replace(rtrim(rtrim(j.step, replace(j.step, '/', '')), '/'), '/', '')), '') = $2 ",
    "ORDER BY j.at DESC, j.run DESC, j.seq DESC LIMIT $3) AS m) AS f ",
    "ORDER BY at DESC, run DESC, seq DESC LIMIT $3"
);
const SETTLE: &str = "UPDATE journal SET outcome = $1, attempts = $2, answer = $3, at = $4, sum = $5 \
    WHERE run = $6 AND step = $7";
// The first in the order of an index: what came after it, years of sign-ins among that, is not looked at
const CONVERGED: &str = "SELECT started_at FROM runs WHERE connection = $1 AND status = 'converged' \
    AND subject IS NULL ORDER BY started_at LIMIT 1";
// What a person approved has been looked at; a slow drip is what nobody has. Steps are counted in the index alone, run by
// run, before anything is asked about the runs.
const LATELY: &str = "SELECT k.kind, r.started_at > $3, CAST(sum(k.n) AS BIGINT) FROM \
    (SELECT run, kind, count(*) AS n FROM journal WHERE outcome = 'done' AND at > $1 GROUP BY run, kind) k \
    JOIN runs r ON r.id = k.run WHERE r.connection = $2 \
    AND NOT EXISTS (SELECT 1 FROM run_relations x WHERE x.run = r.id AND x.relation = 'approves') \
    AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.run = r.id AND d.decision = 'approved') \
    GROUP BY 1, 2";

impl RunRow {
    fn sum(&self) -> i64 {
        Sum::of("runs")
            .text(&self.id)
            .text(&self.connection)
            .text(&self.cause)
            .text(&self.status)
            .text(&self.phase)
            .number(self.started_at)
            .maybe(self.report.as_deref())
            .finish()
    }

    fn checked(self) -> Result<Self> {
        if self.sum() == self.sum { Ok(self) } else { Err(Error::row("runs", &self.id)) }
    }

    fn summary(self) -> Result<RunSummary> {
        let row = self.checked()?;
        let wrong = || Error::row("runs", &row.id);
        Ok(RunSummary {
            id: RunId::parse(&row.id).map_err(|_| wrong())?,
            connection: row.connection.clone(),
            trigger: Trigger::from_word(&row.cause).ok_or_else(wrong)?,
            status: RunStatus::from_word(&row.status).ok_or_else(wrong)?,
            phase: Phase::from_word(&row.phase).ok_or_else(wrong)?,
            started_at: Timestamp::from_millisecond(row.started_at).map_err(|_| wrong())?,
            report: row.report.as_deref().map(serde_json::from_str).transpose().map_err(|_| wrong())?,
        })
    }
}

impl StepRow {
    fn sum(&self) -> i64 {
        Sum::of("journal")
            .text(&self.run)
            .text(&self.step)
            .text(&self.kind)
            .text(&self.outcome)
            .number(self.attempts)
            .text(&self.answer)
            .number(self.at)
            .text(&self.intent)
            .finish()
    }

    fn checked(self) -> Result<Self> {
        if self.sum() == self.sum { Ok(self) } else { Err(Error::row("journal", &self.step)) }
    }

    pub(crate) fn run_and_entry(self) -> Result<(RunId, JournalEntry)> {
        let run = RunId::parse(&self.run).map_err(|_| Error::row("journal", &self.run))?;
        Ok((run, self.entry()?))
    }

    fn entry(self) -> Result<JournalEntry> {
        let row = self.checked()?;
        let wrong = || Error::row("journal", &row.step);
        Ok(JournalEntry {
            step: StepId::from_stored(&row.step),
            kind: StepKind::from_word(&row.kind).ok_or_else(wrong)?,
            outcome: Outcome::from_word(&row.outcome).ok_or_else(wrong)?,
            attempts: u32::try_from(row.attempts).map_err(|_| wrong())?,
            answer: row.answer.clone(),
            at: Timestamp::from_millisecond(row.at).map_err(|_| wrong())?,
            intent: serde_json::from_str(&row.intent).map_err(|_| wrong())?,
        })
    }
}

/// How a run begins: over everything and with reading, or about somebody.
pub(crate) struct Beginning {
    pub(crate) phase: Phase,
    /// Whom or what it is about.
    pub(crate) subject: Option<String>,
}

pub(crate) async fn begin(
    batch: &mut Batch,
    run: &RunId,
    connection: &str,
    trigger: Trigger,
    at: Timestamp,
    Beginning { phase, subject }: Beginning,
) -> Result<()> {
    let mut row = RunRow {
        id: run.as_str().to_owned(),
        connection: connection.to_owned(),
        cause: trigger.as_str().to_owned(),
        status: RunStatus::Running.as_str().to_owned(),
        phase: phase.as_str().to_owned(),
        started_at: at.as_millisecond(),
        report: None,
        sum: 0,
    };
    row.sum = row.sum();
    on!(Tx, &mut batch.tx, tx => sqlx::query(INSERT_RUN)
        .bind(&row.id).bind(&row.connection).bind(&row.cause).bind(&row.status).bind(&row.phase)
        .bind(row.started_at).bind(&row.report).bind(row.sum).bind(subject)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => Error::RunExists(row.id.clone()),
        _ => Error::database("beginning a run")(error),
    })
}

async fn change(batch: &mut Batch, run: &RunId, change: impl FnOnce(&mut RunRow)) -> Result<()> {
    let doing = "writing the run";
    let row: Option<RunRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(RUN).bind(run.as_str()).fetch_optional(&mut **tx).await)
    .map_err(Error::database(doing))?;
    let mut row = row.ok_or_else(|| Error::RunUnknown(run.to_string()))?.checked()?;
    change(&mut row);
    row.sum = row.sum();
    on!(Tx, &mut batch.tx, tx => sqlx::query(UPDATE_RUN)
        .bind(&row.status).bind(&row.phase).bind(&row.report).bind(row.sum).bind(&row.id)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))
}

pub(crate) async fn phase(batch: &mut Batch, run: &RunId, phase: Phase, plan: Option<&str>) -> Result<()> {
    change(batch, run, |row| {
        phase.as_str().clone_into(&mut row.phase);
    })
    .await?;
    let Some(plan) = plan else { return Ok(()) };
    // The run may have had another one before it was cut off
    plan_rows::forget(batch, &PlanOf::Run(run.clone())).await?;
    keep_plan(batch, run, plan).await
}

/// Keeps the plan of a run, as the JSON of the contract.
pub(crate) async fn keep_plan(batch: &mut Batch, run: &RunId, plan: &str) -> Result<()> {
    on!(Tx, &mut batch.tx, tx => sqlx::query(PUT_PLAN)
        .bind(run.as_str()).bind(plan).bind(plan_sum(run, plan)).execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database("writing the plan"))
}

fn plan_sum(run: &RunId, plan: &str) -> i64 {
    Sum::of("run_plans").text(run.as_str()).text(plan).finish()
}

pub(crate) async fn intend(
    batch: &mut Batch,
    run: &RunId,
    step: &StepId,
    kind: StepKind,
    intent: &Intent,
    at: Timestamp,
) -> Result<()> {
    let mut row = StepRow {
        run: run.as_str().to_owned(),
        step: step.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        outcome: Outcome::Intent.as_str().to_owned(),
        attempts: 0,
        answer: String::new(),
        at: at.as_millisecond(),
        intent: serde_json::to_string(intent).expect("an intent is strings only"),
        sum: 0,
    };
    row.sum = row.sum();
    on!(Tx, &mut batch.tx, tx => sqlx::query(INTEND)
        .bind(&row.run).bind(&row.step).bind(&row.kind).bind(&row.outcome).bind(row.attempts).bind(&row.answer)
        .bind(row.at).bind(&row.intent).bind(row.sum)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
            Error::RunUnknown(run.to_string())
        }
        _ => Error::database("writing the journal")(error),
    })
}

pub(crate) async fn settle(batch: &mut Batch, run: &RunId, end: &StepEnd) -> Result<()> {
    let doing = "writing the journal";
    let row: Option<StepRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(STEP).bind(run.as_str()).bind(end.step.as_str()).fetch_optional(&mut **tx).await)
    .map_err(Error::database(doing))?;
    let refused = |why| Error::NotIntended { run: run.to_string(), step: end.step.to_string(), why };
    let mut row = row.ok_or_else(|| refused("it was not journaled as intended"))?.checked()?;
    if row.outcome != Outcome::Intent.as_str() {
        return Err(refused("it was settled before"));
    }
    end.outcome.as_str().clone_into(&mut row.outcome);
    row.attempts = i64::from(end.attempts);
    row.answer = storable(&end.answer);
    row.at = end.at.as_millisecond();
    row.sum = row.sum();
    on!(Tx, &mut batch.tx, tx => sqlx::query(SETTLE)
        .bind(&row.outcome).bind(row.attempts).bind(&row.answer).bind(row.at).bind(row.sum)
        .bind(&row.run).bind(&row.step)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))?;
    if !end.changes.is_empty() {
        let connection: String = on!(Tx, &mut batch.tx, tx =>
            sqlx::query_scalar("SELECT connection FROM runs WHERE id = $1").bind(&row.run).fetch_one(&mut **tx).await)
        .map_err(Error::database(doing))?;
        let cause = Cause::Step { run: &row.run, at: row.at };
        memory::apply(batch, &connection, &end.changes, cause).await?;
    }
    match &end.audit {
        Some(note) => audit::append(batch, note, end.at).await,
        None => Ok(()),
    }
}

pub(crate) async fn end(
    batch: &mut Batch,
    report: &RunReport,
    note: &AuditNote,
    at: Timestamp,
) -> Result<()> {
    let json = serde_json::to_string(report).expect("a report is plain data");
    change(batch, &report.run_id, |row| {
        Phase::Ended.as_str().clone_into(&mut row.phase);
        report.status.as_str().clone_into(&mut row.status);
        row.report = Some(json);
    })
    .await?;
    figures::count(batch, report).await?;
    audit::append(batch, note, at).await
}

impl Store {
    /// Begins a run.
    pub async fn begin(&self, run: &RunId, connection: &str, trigger: Trigger, at: Timestamp) -> Result<()> {
        self.inner.fences.bind(run, connection);
        self.write(Write::Begin { run: run.clone(), connection: connection.to_owned(), trigger, at }).await
    }

    /// Notes a passage; with the plan, as the JSON of the contract, once it stands.
    pub async fn phase(&self, run: &RunId, phase: Phase, plan: Option<String>) -> Result<()> {
        self.write(Write::Phase { run: run.clone(), phase, plan }).await
    }

    /// Journals that a step is about to be sent. Fails when the audit log could not take the step's entry, and when the
    /// claim of the run was lost meanwhile.
    pub async fn intend(
        &self,
        run: &RunId,
        step: &StepId,
        kind: StepKind,
        intent: &Intent,
        at: Timestamp,
    ) -> Result<()> {
        self.write(Write::Intend { run: run.clone(), step: step.clone(), kind, intent: intent.clone(), at })
            .await?;
        // The process may have been frozen since the commit
        match self.inner.fences.of_run(run) {
            Some(fence) => fence.assure(&self.inner.readers).await,
            None => Ok(()),
        }
    }

    /// Journals the end of a step that was intended, with what it changes and its audit entry, all or nothing.
    pub async fn settle(&self, run: &RunId, end: &StepEnd) -> Result<()> {
        self.write(Write::Settle { run: run.clone(), end: end.clone() }).await
    }

    /// Ends a run.
    pub async fn end(&self, report: &RunReport, note: AuditNote) -> Result<()> {
        self.write(Write::End { report: Box::new(report.clone()), note, at: self.now() }).await
    }

    /// The oldest run over everything of the connection that has no end yet.
    pub async fn unfinished(&self, connection: &str) -> Result<Option<UnfinishedRun>> {
        let row: Option<RunRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(UNFINISHED).bind(connection).fetch_optional(db).await)
        .map_err(Error::database("reading runs"))?;
        match row {
            Some(row) => {
                let left = self.left_open(row).await?;
                self.inner.fences.bind(&left.id, connection);
                Ok(Some(left))
            }
            None => Ok(None),
        }
    }

    /// Runs without an end, by a query with a connection and an instant.
    pub(crate) async fn unfinished_by(
        &self,
        query: &'static str,
        connection: &str,
        now: i64,
    ) -> Result<Vec<UnfinishedRun>> {
        let rows: Vec<RunRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(query).bind(connection).bind(now).fetch_all(db).await)
        .map_err(Error::database("reading runs"))?;
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            left.push(self.left_open(row).await?);
        }
        Ok(left)
    }

    async fn left_open(&self, row: RunRow) -> Result<UnfinishedRun> {
        let RunSummary { id, trigger, phase, started_at, .. } = row.summary()?;
        let journal = self.journal(&id).await?;
        Ok(UnfinishedRun { id, trigger, phase, started_at, journal })
    }

    /// The newest runs of one connection, or of all, newest first.
    pub async fn runs(&self, connection: Option<&str>, limit: u32) -> Result<Vec<RunSummary>> {
        let rows: Vec<RunRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(RUNS).bind(connection).bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading runs"))?;
        rows.into_iter().map(RunRow::summary).collect()
    }

    /// The newest runs of one connection, or of all, with ids less than this one; newest first. Ids grow with time.
    pub async fn runs_before(
        &self,
        connection: Option<&str>,
        before: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RunSummary>> {
        let rows: Vec<RunRow> = on!(Pool, &self.inner.readers, db => sqlx::query_as(RUNS_BEFORE)
            .bind(connection).bind(before.map(RunId::as_str)).bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading runs"))?;
        rows.into_iter().map(RunRow::summary).collect()
    }

    /// The run of a connection that ended last, by the order in which ends were stored, whatever the clock said.
    pub async fn last_ended(&self, connection: &str) -> Result<Option<RunSummary>> {
        let row: Option<RunRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(LAST_ENDED).bind(connection).fetch_optional(db).await)
        .map_err(Error::database("reading runs"))?;
        row.map(RunRow::summary).transpose()
    }

    /// One run.
    pub async fn run(&self, id: &RunId) -> Result<RunSummary> {
        let row: Option<RunRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(RUN).bind(id.as_str()).fetch_optional(db).await)
        .map_err(Error::database("reading runs"))?;
        row.ok_or_else(|| Error::RunUnknown(id.to_string()))?.summary()
    }

    /// The plan of a run, as the JSON of the contract, if it got that far.
    pub async fn plan(&self, id: &RunId) -> Result<Option<String>> {
        let row: Option<(String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(PLAN).bind(id.as_str()).fetch_optional(db).await)
        .map_err(Error::database("reading the plan"))?;
        match row {
            None => Ok(None),
            Some((plan, sum)) if plan_sum(id, &plan) == sum => Ok(Some(plan)),
            Some(_) => Err(Error::row("run_plans", id)),
        }
    }

    /// The journal of a run, in the order of intents.
    pub async fn journal(&self, run: &RunId) -> Result<Vec<JournalEntry>> {
        let rows: Vec<StepRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(STEPS).bind(run.as_str()).fetch_all(db).await)
        .map_err(Error::database("reading the journal"))?;
        rows.into_iter().map(StepRow::entry).collect()
    }

    /// A part of the journal of a run, the newest first, behind so many of them.
    pub async fn journal_page(
        &self,
        run: &RunId,
        part: JournalPart,
        from: usize,
        limit: u32,
    ) -> Result<JournalPage> {
        let doing = "reading the journal";
        let mut reader = self.inner.readers.reader().await?;
        let count = |n: i64| usize::try_from(n).unwrap_or_default();
        let all: i64 = on!(Reader, &mut reader, db =>
            sqlx::query_scalar(LENGTH).bind(run.as_str()).fetch_one(&mut **db).await)
        .map_err(Error::database(doing))?;
        let (not_done, undone): (i64, i64) = on!(Reader, &mut reader, db =>
            sqlx::query_as(NOT_DONE).bind(run.as_str()).fetch_one(&mut **db).await)
        .map_err(Error::database(doing))?;
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let (sql, begin) = match part {
            JournalPart::All => (PAGE, all.saturating_sub(from)),
            JournalPart::Undone => (UNDONE_PAGE, from),
        };
        let rows: Vec<StepRow> = on!(Reader, &mut reader, db =>
            sqlx::query_as(sql).bind(run.as_str()).bind(begin).bind(i64::from(limit)).fetch_all(&mut **db).await)
        .map_err(Error::database(doing))?;
        let entries = rows.into_iter().map(StepRow::entry).collect::<Result<_>>()?;
        Ok(JournalPage { entries, all: count(all), done: count(all - not_done), undone: count(undone) })
    }

    /// Every entry of the connection that still says `Intent`, of whichever run, oldest first: calls that may have
    /// happened. What a person's sync has just sent is its own to settle and not among them.
    pub async fn open_intents(&self, connection: &str) -> Result<Vec<(RunId, JournalEntry)>> {
        let rows: Vec<StepRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(OPEN).bind(connection).bind(self.now().as_millisecond()).fetch_all(db).await)
        .map_err(Error::database("reading the journal"))?;
        rows.into_iter().map(StepRow::run_and_entry).collect()
    }

    /// The newest entries of the connection's journals about an object, newest first. The object is one part of a
    /// step's name: a directory id, or `account:` and an account's.
    pub async fn journal_about(
        &self,
        connection: &str,
        object: &str,
        limit: u32,
    ) -> Result<Vec<(RunId, JournalEntry)>> {
        let rows: Vec<StepRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(ABOUT).bind(connection).bind(object).bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading the journal"))?;
        rows.into_iter().map(StepRow::run_and_entry).collect()
    }

    /// What guards look at.
    pub async fn history(&self, connection: &str, now: Timestamp) -> Result<History> {
        let mut reader = self.inner.readers.reader().await?;
        let history = reader.history(connection, now).await?;
        Ok(History { users_before: reader.heads(connection).await?.people(), ..history })
    }
}

impl Reader {
    /// What guards look at, as far as the runs tell.
    pub(crate) async fn history(&mut self, connection: &str, now: Timestamp) -> Result<History> {
        let doing = "reading the history";
        let since = now.as_millisecond() - 24 * 60 * 60 * 1000;
        let converged: Option<i64> = on!(Reader, &mut *self, db =>
            sqlx::query_scalar(CONVERGED).bind(connection).fetch_optional(&mut **db).await)
        .map_err(Error::database(doing))?;
        let lately: Vec<(String, bool, i64)> = on!(Reader, self, db =>
            sqlx::query_as(LATELY).bind(since).bind(connection).bind(converged.unwrap_or(i64::MAX))
                .fetch_all(&mut **db).await)
        .map_err(Error::database(doing))?;
        let counted = lately.into_iter().filter_map(|(kind, after_the_first, count)| {
            let kind = StepKind::from_word(&kind)?;
            let counts = after_the_first || kind.effect() != Effect::Gives;
            counts.then(|| (kind, usize::try_from(count).unwrap_or_default()))
        });
        Ok(History {
            converged_before: if converged.is_some() { Before::Once } else { Before::Never },
            last_24h: counted.collect(),
            users_before: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    /// The journal of years must not slow the plan of today.
    #[tokio::test]
    async fn the_steps_of_the_last_day_are_counted_in_an_index() {
        let ways = ways(LATELY).await;
        let journal: Vec<&String> = ways.iter().filter(|what| what.contains("journal")).collect();
        assert_eq!(journal, ["SEARCH journal USING COVERING INDEX journal_by_end (outcome=? AND at>?)"]);
    }

    #[tokio::test]
    async fn a_page_of_a_journal_and_what_became_of_somebody_are_found_in_indices() {
        for (sql, way) in [
            (LENGTH, "SEARCH journal USING COVERING INDEX journal_in_order (run=?)"),
            (NOT_DONE, "SEARCH journal USING COVERING INDEX journal_not_done (run=?)"),
            (PAGE, "SEARCH journal USING INDEX journal_in_order (run=? AND seq<?)"),
        ] {
            assert_eq!(ways(sql).await, [way], "{sql}");
        }
        let undone = ways(UNDONE_PAGE).await;
        let few = "SEARCH journal USING COVERING INDEX journal_not_done (run=?)";
        assert!(undone.iter().any(|way| way == few), "{undone:#?}");
        let ways = ways(ABOUT).await;
        for way in [
            "SEARCH j USING INDEX journal_by_last (<expr>=?)",
            "SEARCH j USING INDEX journal_by_middle (<expr>=?)",
        ] {
            assert!(ways.iter().any(|found| found == way), "{way}: {ways:#?}");
        }
        assert!(!ways.iter().any(|way| way.starts_with("SCAN j")), "{ways:#?}");
    }

    #[tokio::test]
    async fn p_8_the_first_run_in_step_is_found_without_sorting_those_that_followed() {
        assert_eq!(ways(CONVERGED).await, ["SEARCH runs USING INDEX runs_by_connection (connection=?)"]);
        assert_eq!(ways(UNFINISHED).await, ["SEARCH runs USING INDEX runs_without_end (connection=?)"]);
    }
}
