//! The sync of one person beside a run over everything: who is being synced, what a run that began earlier must leave
//! alone, and the part of memory and mirrors that is about one person.
//!
//! Order is told by a gate that counts: a person's sync passes it when it begins and when it ends. A run over
//! everything remembers the number it began with; whoever passed later, or is on the way, it leaves alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{Account, AccountId, DirectoryUserId, Presence, RunId, SiteGroup, SiteGroupId};
use entrain_domain::run::{AuditNote, Intent, JournalEntry, Phase, RunReport, RunSubject, Trigger};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::history::Cause;
use crate::memory;
use crate::pool::on;
use crate::runs::{self, Beginning, UnfinishedRun};
use crate::store::Store;
use crate::writer::{Batch, Write};

/// A write of this module.
pub(crate) enum PersonWrite {
    Begin {
        run: RunId,
        subject: RunSubject,
        trigger: Trigger,
        at: Timestamp,
        planned: Option<(Phase, String)>,
    },
    Claim {
        user: DirectoryUserId,
        run: RunId,
        now: Timestamp,
        until: Timestamp,
        /// Whether the claim was made; set before the write is answered.
        ours: Arc<AtomicBool>,
    },
    Learn {
        changes: Vec<MemoryChange>,
        at: Timestamp,
    },
    Release {
        user: DirectoryUserId,
        run: RunId,
    },
    End {
        user: DirectoryUserId,
        report: Box<RunReport>,
        note: AuditNote,
        at: Timestamp,
    },
    Site(SitePatch, Option<RunId>),
}

/// What was written at the site for one person, or one group.
pub(crate) struct SitePatch {
    pub(crate) accounts: Vec<Account>,
    pub(crate) made: Vec<SiteGroup>,
    pub(crate) members: Vec<(SiteGroupId, AccountId, Presence)>,
}

/// Who has a person's sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonClaim {
    /// The caller.
    Ours,
    /// Another run that is under way.
    Run(RunId),
}

const PASS: &str = "INSERT INTO person_gates (connection, n) VALUES ($1, 1) \
    ON CONFLICT (connection) DO UPDATE SET n = person_gates.n + 1";
const GATE: &str = "SELECT n FROM person_gates WHERE connection = $1";
const CLAIM: &str = "INSERT INTO person_claims (connection, person, account, run, n, until) \
    VALUES ($1, $2, (SELECT account FROM user_links WHERE connection = $1 AND directory_id = $2), $3, \
    (SELECT n FROM person_gates WHERE connection = $1), $4) \
    ON CONFLICT (connection, person) DO UPDATE SET run = excluded.run, n = excluded.n, until = excluded.until, \
    account = coalesce(excluded.account, person_claims.account) \
    WHERE person_claims.run IS NULL OR person_claims.until < $5";
const CLAIMED: &str = "SELECT run FROM person_claims WHERE connection = $1 AND person = $2";
const ACCOUNT: &str = "UPDATE person_claims SET account = $3 WHERE connection = $1 AND person = $2";
const RELEASE: &str = "UPDATE person_claims SET run = NULL, n = (SELECT n FROM person_gates WHERE connection = $1) \
    WHERE connection = $1 AND person = $2 AND run = $3";
// Of somebody whom the directory did not know no run was begun, and nothing is kept
const FORGET: &str = "DELETE FROM person_claims WHERE connection = $1 AND person = $2 AND run = $3 \
    AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = $3)";
const PASSED: &str =
    "UPDATE runs SET gate = (SELECT n FROM person_gates WHERE connection = $1) WHERE id = $2";
const OVERTAKEN: &str = "SELECT count(*) FROM person_claims WHERE connection = $1 AND (person = $2 OR account = $3) \
    AND (n > $4 OR (run IS NOT NULL AND until >= $5))";
const OVERTAKERS: &str = "SELECT person, account FROM person_claims WHERE connection = $1 \
    AND (n > $2 OR (run IS NOT NULL AND until >= $3))";
// The runs first: they are few, and the journal is long
const WRITTEN: &str = "SELECT j.intent FROM runs r CROSS JOIN journal j WHERE j.run = r.id AND r.connection = $1 \
    AND r.subject IS NOT NULL AND (r.gate > $2 OR r.phase <> 'ended') \
    AND j.kind IN ('add_member', 'remove_member')";
// "subject IS NOT NULL" would lead SQLite through all that ever were about somebody
const DEAD: &str = "SELECT r.id, r.connection, r.cause, r.status, r.phase, r.started_at, r.report, r.sum FROM runs r \
    WHERE r.connection = $1 AND coalesce(r.subject, '') <> '' AND r.phase <> 'ended' \
    AND NOT EXISTS (SELECT 1 FROM person_claims p WHERE p.run = r.id AND p.until >= $2) ORDER BY r.started_at, r.id";
// Whoever is being synced is at nobody else, unless at the same account
const OPEN_ANY: &str = "SELECT j.run, j.step, j.kind, j.outcome, j.attempts, j.answer, j.at, j.intent, j.sum \
    FROM journal j JOIN runs r ON r.id = j.run \
    WHERE j.outcome = 'intent' AND r.connection = $1 AND j.run <> $2 \
    AND NOT EXISTS (SELECT 1 FROM person_claims p WHERE p.run = j.run AND p.until >= $4 AND p.person <> $3 \
    AND NOT EXISTS (SELECT 1 FROM user_links l WHERE l.connection = $1 AND l.directory_id = $3 \
    AND l.account = p.account)) ORDER BY r.started_at, j.run, j.seq";
const BY_ADDRESS: &str =
    "SELECT directory_id FROM user_links WHERE connection = $1 AND (account = $2 OR lower(address) = $3)";

pub(crate) async fn apply(batch: &mut Batch, connection: &str, write: &PersonWrite) -> Result<()> {
    let doing = "writing down who is being synced";
    match write {
        PersonWrite::Begin { run, subject, trigger, at, planned } => {
            let phase = planned.as_ref().map_or(Phase::Reading, |(phase, _)| *phase);
            let beginning = Beginning { phase, subject: Some(subject.to_text()) };
            runs::begin(batch, run, connection, *trigger, *at, beginning).await?;
            match planned {
                Some((_, plan)) => runs::keep_plan(batch, run, plan).await,
                None => Ok(()),
            }
        }
        PersonWrite::Claim { user, run, now, until, ours } => {
            pass(batch, connection).await?;
            let rows = on!(Tx, &mut batch.tx, tx => sqlx::query(CLAIM)
                .bind(connection).bind(user.as_str()).bind(run.as_str())
                .bind(until.as_millisecond()).bind(now.as_millisecond())
                .execute(&mut **tx).await.map(|done| done.rows_affected()))
            .map_err(Error::database(doing))?;
            ours.store(rows == 1, Ordering::Release);
            Ok(())
        }
        PersonWrite::Learn { changes, at } => {
            for change in changes {
                let MemoryChange::LinkUser(link) = change else { continue };
                on!(Tx, &mut batch.tx, tx => sqlx::query(ACCOUNT)
                    .bind(connection).bind(link.user.as_str()).bind(link.account.as_str())
                    .execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database(doing))?;
            }
            let cause = Cause::Reading { at: at.as_millisecond() };
            memory::apply(batch, connection, changes, cause).await
        }
        PersonWrite::Release { user, run } => {
            on!(Tx, &mut batch.tx, tx => sqlx::query(FORGET)
                .bind(connection).bind(user.as_str()).bind(run.as_str())
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database(doing))?;
            release(batch, connection, user, run).await
        }
        PersonWrite::End { user, report, note, at } => {
            runs::end(batch, report, note, *at).await?;
            release(batch, connection, user, &report.run_id).await
        }
        PersonWrite::Site(SitePatch { accounts, made, members }, verifying) => {
            crate::mirror::patch(batch, connection, accounts, made, members).await?;
            match verifying {
                Some(run) => runs::phase(batch, run, Phase::Verifying, None).await,
                None => Ok(()),
            }
        }
    }
}

async fn release(batch: &mut Batch, connection: &str, user: &DirectoryUserId, run: &RunId) -> Result<()> {
    let doing = "writing down who is being synced";
    pass(batch, connection).await?;
    on!(Tx, &mut batch.tx, tx => {
        sqlx::query(RELEASE).bind(connection).bind(user.as_str()).bind(run.as_str())
            .execute(&mut **tx).await.map_err(Error::database(doing))?;
        sqlx::query(PASSED).bind(connection).bind(run.as_str())
            .execute(&mut **tx).await.map_err(Error::database(doing))?;
    });
    Ok(())
}

/// One step further; whoever else passes waits for the end of this transaction.
async fn pass(batch: &mut Batch, connection: &str) -> Result<()> {
    on!(Tx, &mut batch.tx, tx => sqlx::query(PASS).bind(connection).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database("passing the gate of persons"))
}

/// Of what a run learnt, that which is about nobody who was synced since it began.
pub(crate) async fn not_overtaken(
    batch: &mut Batch,
    connection: &str,
    changes: &[MemoryChange],
    since: i64,
    now: Timestamp,
) -> Result<Vec<MemoryChange>> {
    // Whoever begins or ends from here on waits for this transaction, so that nobody comes in between.
    pass(batch, connection).await?;
    let rows: Vec<(String, Option<String>)> = on!(Tx, &mut batch.tx, tx => sqlx::query_as(OVERTAKERS)
        .bind(connection).bind(since).bind(now.as_millisecond()).fetch_all(&mut **tx).await)
    .map_err(Error::database("looking who was synced meanwhile"))?;
    let (mut people, mut accounts) = (HashSet::new(), HashSet::new());
    for (person, account) in rows {
        people.insert(person);
        accounts.extend(account);
    }
    let theirs = |change: &MemoryChange| match change {
        MemoryChange::LinkUser(link) => {
            people.contains(link.user.as_str()) || accounts.contains(link.account.as_str())
        }
        MemoryChange::ApplyAttributes { account, .. }
        | MemoryChange::OwnMembership { account, .. }
        | MemoryChange::DisownMembership { account, .. } => accounts.contains(account.as_str()),
        MemoryChange::EnterLadder(place) => people.contains(place.user.as_str()),
        MemoryChange::PassRung { user, .. }
        | MemoryChange::StepBack { user, .. }
        | MemoryChange::LeaveLadder { user }
        | MemoryChange::AwaitSeat { user, .. }
        | MemoryChange::LeaveQueue { user, .. } => people.contains(user.as_str()),
        MemoryChange::LinkGroup(_)
        | MemoryChange::UnlinkGroup { .. }
        | MemoryChange::MarkStep { .. }
        | MemoryChange::UnmarkStep { .. } => false,
    };
    Ok(changes.iter().filter(|change| !theirs(change)).cloned().collect())
}

impl Store {
    async fn person(&self, connection: &str, write: PersonWrite) -> Result<()> {
        self.write(Write::Person { connection: connection.to_owned(), write }).await
    }

    /// Begins a run about one person or one group.
    pub async fn begin_about(
        &self,
        run: &RunId,
        connection: &str,
        trigger: Trigger,
        subject: &RunSubject,
        at: Timestamp,
    ) -> Result<()> {
        if matches!(subject, RunSubject::Asked(_)) {
            self.inner.fences.bind(run, connection);
        }
        let (run, subject) = (run.clone(), subject.clone());
        self.person(connection, PersonWrite::Begin { run, subject, trigger, at, planned: None }).await
    }

    /// Begins a run about one person whose plan stands, as the JSON of the contract, in this phase.
    pub async fn begin_planned(
        &self,
        (run, connection): (&RunId, &str),
        trigger: Trigger,
        subject: &RunSubject,
        at: Timestamp,
        (phase, plan): (Phase, &str),
    ) -> Result<()> {
        let (run, subject) = (run.clone(), subject.clone());
        let planned = Some((phase, plan.to_owned()));
        self.person(connection, PersonWrite::Begin { run, subject, trigger, at, planned }).await
    }

    /// Ends the run of a person's sync and gives the person free.
    pub async fn end_person(
        &self,
        report: &RunReport,
        note: AuditNote,
        user: &DirectoryUserId,
    ) -> Result<()> {
        let (user, at) = (user.clone(), self.now());
        let write = PersonWrite::End { user, report: Box::new(report.clone()), note, at };
        self.person(&report.connection, write).await
    }

    /// The number of the gate that persons' syncs pass.
    pub async fn gate(&self, connection: &str) -> Result<i64> {
        let n: Option<i64> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_scalar(GATE).bind(connection).fetch_optional(db).await)
        .map_err(Error::database("reading the gate of persons"))?;
        Ok(n.unwrap_or_default())
    }

    /// Claims a person for a run until this instant, with the account of their link; it is free before when it is released.
    pub async fn claim_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
        until: Timestamp,
    ) -> Result<PersonClaim> {
        let ours = Arc::<AtomicBool>::default();
        let (user_id, run_id, now) = (user.clone(), run.clone(), self.now());
        let write = PersonWrite::Claim { user: user_id, run: run_id, now, until, ours: ours.clone() };
        self.person(connection, write).await?;
        if ours.load(Ordering::Acquire) {
            return Ok(PersonClaim::Ours);
        }
        match self.claimed_by(connection, user).await? {
            Some(holder) if holder == *run => Ok(PersonClaim::Ours),
            Some(holder) => Ok(PersonClaim::Run(holder)),
            // Released between the two
            None => Ok(PersonClaim::Run(run.clone())),
        }
    }

    /// The run that has a person's sync.
    pub async fn claimed_by(&self, connection: &str, user: &DirectoryUserId) -> Result<Option<RunId>> {
        let holder: Option<Option<String>> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_scalar(CLAIMED).bind(connection).bind(user.as_str()).fetch_optional(db).await)
        .map_err(Error::database("looking who syncs a person"))?;
        let parsed = holder.flatten().map(|holder| RunId::parse(&holder));
        parsed.transpose().map_err(|_| Error::row("person_claims", user))
    }

    /// Remembers observations about a person who is claimed, and whose account theirs turned out to be; needs no claim
    /// of the connection.
    pub async fn learn_of_person(&self, connection: &str, changes: &[MemoryChange]) -> Result<()> {
        self.person(connection, PersonWrite::Learn { changes: changes.to_vec(), at: self.now() }).await
    }

    /// Gives a person free.
    pub async fn release_person(&self, connection: &str, user: &DirectoryUserId, run: &RunId) -> Result<()> {
        self.person(connection, PersonWrite::Release { user: user.clone(), run: run.clone() }).await
    }

    /// Whether a person's sync passed the gate after this number, or is under way.
    pub async fn overtaken(
        &self,
        connection: &str,
        user: Option<&DirectoryUserId>,
        account: Option<&AccountId>,
        since: i64,
    ) -> Result<bool> {
        let count: i64 = on!(Pool, &self.inner.readers, db => sqlx::query_scalar(OVERTAKEN)
            .bind(connection).bind(user.map(DirectoryUserId::as_str)).bind(account.map(AccountId::as_str))
            .bind(since).bind(self.now().as_millisecond()).fetch_one(db).await)
        .map_err(Error::database("looking who was synced meanwhile"))?;
        Ok(count > 0)
    }

    /// The site groups whose members runs about one person or group wrote since, or are writing.
    pub async fn written_beside(&self, connection: &str, since: i64) -> Result<Vec<SiteGroupId>> {
        let rows: Vec<String> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_scalar(WRITTEN).bind(connection).bind(since).fetch_all(db).await)
        .map_err(Error::database("reading the journal"))?;
        let mut groups = Vec::new();
        for row in rows {
            match serde_json::from_str(&row).map_err(|_| Error::row("journal", "intent"))? {
                Intent::AddMember { group, .. } | Intent::RemoveMember { group, .. } => groups.push(group),
                _ => {}
            }
        }
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }

    /// Runs about one person or group that have no end, and whose process is gone.
    pub async fn abandoned(&self, connection: &str) -> Result<Vec<UnfinishedRun>> {
        self.unfinished_by(DEAD, connection, self.now().as_millisecond()).await
    }

    /// Every entry of the connection's journals but this run's that still says `Intent`, those of runs under way too.
    pub async fn open_beside(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
    ) -> Result<Vec<(RunId, JournalEntry)>> {
        let rows: Vec<runs::StepRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(OPEN_ANY).bind(connection).bind(run.as_str()).bind(user.as_str())
                .bind(self.now().as_millisecond()).fetch_all(db).await)
        .map_err(Error::database("reading the journal"))?;
        rows.into_iter().map(runs::StepRow::run_and_entry).collect()
    }

    /// Somebody by the account or the address of their link.
    pub async fn linked_by(&self, connection: &str, text: &str) -> Result<Vec<DirectoryUserId>> {
        let rows: Vec<String> = on!(Pool, &self.inner.readers, db => sqlx::query_scalar(BY_ADDRESS)
            .bind(connection).bind(text).bind(text.to_lowercase()).fetch_all(db).await)
        .map_err(Error::database("reading links"))?;
        rows.iter().map(|id| DirectoryUserId::parse(id).map_err(|_| Error::row("user_links", id))).collect()
    }

    /// Notes in the site's mirror what was written for one person, or one group; and of a run that it verifies now.
    pub async fn patch_site(
        &self,
        connection: &str,
        accounts: &[Account],
        made: &[SiteGroup],
        members: &[(SiteGroupId, AccountId, Presence)],
        verifying: Option<&RunId>,
    ) -> Result<()> {
        let patch = SitePatch { accounts: accounts.to_vec(), made: made.to_vec(), members: members.to_vec() };
        self.person(connection, PersonWrite::Site(patch, verifying.cloned())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    /// The sign-ins of years must not slow the one of today.
    #[tokio::test]
    async fn p_8_runs_about_somebody_that_have_no_end_are_found_in_an_index() {
        let dead = ways(DEAD).await;
        assert!(dead[0].contains("runs_without_end"), "{dead:?}");
    }
}
