//! Who was in which group, from when until when, and through which path: written in the transaction that changes the
//! ledger, so that neither can be without the other. Only memberships of the ledger are known here; what people did by
//! hand in a group is theirs and is not recorded.

use std::sync::Arc;

use entrain_domain::memory::{MemoryChange, Origin};
use entrain_domain::model::{AccountId, DirectoryUserId, RunId, SiteGroupId};
use entrain_domain::plan::StepKind;
use entrain_domain::reports::PastMembership;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use crate::error::{Error, Result};
use crate::memory::placeholders;
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::Batch;

/// What made the ledger change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// A step of a run.
    Step { run: &'a str, at: i64 },
    /// What a run read.
    Reading { at: i64 },
}

impl Cause<'_> {
    fn at(self) -> i64 {
        match self {
            Self::Step { at, .. } | Self::Reading { at } => at,
        }
    }
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct Row {
    site_group: String,
    account: String,
    since: i64,
    until: Option<i64>,
    how: String,
    path: Option<String>,
    run: Option<String>,
    ended: Option<String>,
    ended_by: Option<String>,
    sum: i64,
}

const UNDER_WAY: &str = "SELECT id FROM runs WHERE connection = $1 AND phase <> 'ended' \
    AND subject IS NULL ORDER BY started_at DESC, id DESC LIMIT 1";
const GOING_ON: &str = "SELECT site_group, account, since, until, how, path, run, ended, ended_by, sum \
    FROM membership_history WHERE connection = $1 AND site_group = $2 AND account = $3 AND until IS NULL";
const CLOSE: &str = "UPDATE membership_history SET until = $1, ended = $2, ended_by = $3, sum = $4 \
    WHERE connection = $5 AND site_group = $6 AND account = $7 AND until IS NULL";
const OF_GROUP: &str = "SELECT site_group, account, since, until, how, path, run, ended, ended_by, sum \
    FROM membership_history WHERE connection = $1 AND site_group = $2 ORDER BY account, since";
const OF_ACCOUNT: &str = "SELECT site_group, account, since, until, how, path, run, ended, ended_by, sum \
    FROM membership_history WHERE connection = $1 AND account = $2 ORDER BY since DESC, site_group LIMIT $3";

impl Row {
    fn sealed(mut self, connection: &str) -> Self {
        self.sum = self.sum(connection);
        self
    }

    fn sum(&self, connection: &str) -> i64 {
        let until = self.until.map(|at| at.to_string());
        Sum::of("membership_history")
            .text(connection)
            .text(&self.site_group)
            .text(&self.account)
            .number(self.since)
            .maybe(until.as_deref())
            .text(&self.how)
            .maybe(self.path.as_deref())
            .maybe(self.run.as_deref())
            .maybe(self.ended.as_deref())
            .maybe(self.ended_by.as_deref())
            .finish()
    }

    fn wrong(&self) -> Error {
        Error::row("membership_history", format_args!("{} {}", self.site_group, self.account))
    }

    fn membership(self, connection: &str) -> Result<PastMembership> {
        if self.sum(connection) != self.sum {
            return Err(self.wrong());
        }
        let instant = |at| Timestamp::from_millisecond(at).map_err(|_| self.wrong());
        let run = |id: &Option<String>| id.as_ref().map(RunId::parse).transpose().map_err(|_| self.wrong());
        Ok(PastMembership {
            group: SiteGroupId::parse(&self.site_group).map_err(|_| self.wrong())?,
            account: AccountId::parse(&self.account).map_err(|_| self.wrong())?,
            since: instant(self.since)?,
            until: self.until.map(instant).transpose()?,
            how: Origin::from_word(&self.how).ok_or_else(|| self.wrong())?,
            path: self.path.as_deref().map(Arc::from),
            run: run(&self.run)?,
            ended: self.ended.as_deref().map(Arc::from),
            ended_by: run(&self.ended_by)?,
        })
    }
}

/// The run that a change belongs to: a step's own, or the one that is under way and holds the connection.
async fn run_of(batch: &mut Batch, connection: &str, cause: Cause<'_>) -> Result<Option<String>> {
    match cause {
        Cause::Step { run, .. } => Ok(Some(run.to_owned())),
        Cause::Reading { .. } => on!(Tx, &mut batch.tx, tx =>
            sqlx::query_scalar(UNDER_WAY).bind(connection).fetch_optional(&mut **tx).await)
        .map_err(Error::database("reading runs")),
    }
}

/// Memberships that enter the ledger. One that goes on already is not begun again.
pub(crate) async fn begin(
    batch: &mut Batch,
    connection: &str,
    changes: &[MemoryChange],
    cause: Cause<'_>,
) -> Result<()> {
    let run = run_of(batch, connection, cause).await?;
    let rows: Vec<Row> = changes
        .iter()
        .filter_map(|change| match change {
            MemoryChange::OwnMembership { group, account, origin, path } => Some(
                Row {
                    site_group: group.as_str().to_owned(),
                    account: account.as_str().to_owned(),
                    since: cause.at(),
                    until: None,
                    how: origin.as_str().to_owned(),
                    path: path.as_ref().map(|path| storable(&path.join(" › "))),
                    run: run.clone(),
                    ended: None,
                    ended_by: None,
                    sum: 0,
                }
                .sealed(connection),
            ),
            _ => None,
        })
        .collect();
    insert(batch, connection, &rows).await
}

async fn insert(batch: &mut Batch, connection: &str, rows: &[Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO membership_history (connection, site_group, account, since, until, how, path, run, ended, \
         ended_by, sum) VALUES {} ON CONFLICT DO NOTHING",
        placeholders(rows.len(), 11)
    );
    on!(Tx, &mut batch.tx, tx => {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() == 1);
        for row in rows {
            query = query.bind(connection).bind(&row.site_group).bind(&row.account).bind(row.since)
                .bind(row.until).bind(&row.how).bind(&row.path).bind(&row.run).bind(&row.ended)
                .bind(&row.ended_by).bind(row.sum);
        }
        query.execute(&mut **tx).await.map_err(Error::database("storing the history of memberships"))?;
    });
    Ok(())
}

/// Memberships that leave the ledger. Of one that is older than the history nothing is known but that the ledger had it.
pub(crate) async fn end(
    batch: &mut Batch,
    connection: &str,
    changes: &[MemoryChange],
    cause: Cause<'_>,
) -> Result<()> {
    let doing = "storing the history of memberships";
    let run = run_of(batch, connection, cause).await?;
    let word = match cause {
        Cause::Step { .. } => "removed",
        Cause::Reading { .. } => "gone",
    };
    for change in changes {
        let MemoryChange::DisownMembership { group, account } = change else { continue };
        let (group, account) = (group.as_str(), account.as_str());
        let going_on: Option<Row> = on!(Tx, &mut batch.tx, tx => sqlx::query_as(GOING_ON)
            .bind(connection).bind(group).bind(account).fetch_optional(&mut **tx).await)
        .map_err(Error::database(doing))?;
        let Some(mut row) = going_on else { continue };
        // A row that was tampered with must not become sound by being written again
        if row.sum(connection) != row.sum {
            return Err(row.wrong());
        }
        row.until = Some(cause.at());
        row.ended = Some(word.to_owned());
        row.ended_by.clone_from(&run);
        let row = row.sealed(connection);
        on!(Tx, &mut batch.tx, tx => sqlx::query(CLOSE)
            .bind(row.until).bind(&row.ended).bind(&row.ended_by).bind(row.sum)
            .bind(connection).bind(group).bind(account)
            .execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    }
    Ok(())
}

const SINCE: &str = "SELECT min(since) FROM membership_history WHERE connection = $1 AND account = $2";
const INVITED: &str = "SELECT min(j.at) FROM runs r JOIN journal j ON j.run = r.id AND j.step = $2 \
    WHERE r.connection = $1 AND j.outcome IN ('done', 'already_done')";

impl Store {
    /// Since when an account is known to be this person's: their invitation, or the first membership that the ledger had
    /// of it, whichever is older; nothing where neither has left a trace.
    pub async fn known_since(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        account: &AccountId,
    ) -> Result<Option<Timestamp>> {
        let doing = "reading the history of memberships";
        let step = format!("{}/{user}", StepKind::CreateUser);
        let mut traces = Vec::with_capacity(2);
        for (sql, about) in [(SINCE, account.as_str()), (INVITED, step.as_str())] {
            let at: Option<i64> = on!(Pool, &self.inner.readers, db =>
                sqlx::query_scalar(sql).bind(connection).bind(about).fetch_one(db).await)
            .map_err(Error::database(doing))?;
            traces.extend(at);
        }
        let wrong = |_| Error::row("membership_history", account);
        traces.into_iter().min().map(Timestamp::from_millisecond).transpose().map_err(wrong)
    }

    /// Every membership of a group that the ledger has or had, by account and time. What is in the ledger and older
    /// than the history is not among them.
    pub async fn past_memberships(
        &self,
        connection: &str,
        group: &SiteGroupId,
    ) -> Result<Vec<PastMembership>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(OF_GROUP).bind(connection).bind(group.as_str()).fetch_all(db).await)
        .map_err(Error::database("reading the history of memberships"))?;
        rows.into_iter().map(|row| row.membership(connection)).collect()
    }

    /// The newest memberships of an account that the ledger has or had.
    pub async fn memberships_of_account(
        &self,
        connection: &str,
        account: &AccountId,
        limit: u32,
    ) -> Result<Vec<PastMembership>> {
        let rows: Vec<Row> = on!(Pool, &self.inner.readers, db => sqlx::query_as(OF_ACCOUNT)
            .bind(connection).bind(account.as_str()).bind(i64::from(limit)).fetch_all(db).await)
        .map_err(Error::database("reading the history of memberships"))?;
        rows.into_iter().map(|row| row.membership(connection)).collect()
    }
}
