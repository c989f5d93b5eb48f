//! Both sides as they were last read completely. The directory's mirror moves together with its watermark and with
//! what was learnt from it, in one transaction: the watermark is never ahead (quality.md R-01). Only objects that
//! changed are written; of a read that went on from the mirror, only those that it touched are looked at.
//!
//! The site's mirror says whether writes may have followed that are not in it: a run says so before its first write and
//! takes it back with the mirror that has them.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, ApplicationId, Assignments, Attributes,
    Coverage, DirectoryGroup, DirectoryGroupId, DirectoryReading, DirectorySnapshot, DirectoryUser,
    DirectoryUserId, EmailAddress, Gone, Ground, KnownGroup, MemberRef, Presence, SiteGroup, SiteGroupId,
    SiteMembers, SitePicture, SiteSnapshot, UserKind,
};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::error::{Error, Result};
use crate::memory::placeholders;
use crate::pool::on;
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::{Batch, Write};

/// Where a directory read stands, for the next one by delta: both links as Graph gave them, with their time of issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// `@odata.deltaLink` of users.
    pub users: String,
    /// `@odata.deltaLink` of groups with members.
    pub groups: String,
    /// When they were issued; they live seven days (microsoft-graph.md 5.3).
    pub issued_at: Timestamp,
}

/// What both mirrors were read for, and when last in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Fingerprint of what was asked of the directory.
    pub demand: String,
    /// Fingerprint of the rules of the run that learnt them.
    pub rules: String,
    /// When both sides were last read in full.
    pub full_at: Timestamp,
}

/// Whether the site's mirror has everything that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteState {
    /// It has.
    Settled,
    /// Writes may have followed.
    Writing,
}

/// Everything that one run learns from its reads.
#[derive(Debug, Clone, Copy)]
pub struct Learnt<'a> {
    /// Observations for links and ledger.
    pub changes: &'a [MemoryChange],
    /// The directory.
    pub directory: &'a DirectorySnapshot,
    /// Where its next read by delta begins.
    pub watermark: &'a Watermark,
    /// The site.
    pub site: &'a SiteSnapshot,
    /// Whether the run is going to write.
    pub state: SiteState,
    /// What was read, and when.
    pub basis: &'a Basis,
    /// The gate of persons' syncs when the run began to read; of whoever passed it since, nothing is learnt.
    pub since: Option<i64>,
}

/// What is known of the mirrors without loading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorHead {
    /// Where the next read of the directory by delta begins.
    pub watermark: Watermark,
    /// What both were read for.
    pub basis: Basis,
    /// Whether the site's has everything that was written.
    pub state: SiteState,
}

pub(crate) const DIRECTORY: &str = "directory";
pub(crate) const SITE: &str = "site";
/// The kind of the list of assignments; its id is the application's.
const ASSIGNED: &str = "assigned";
/// Rows in one statement.
const ROWS: usize = 500;

const SUMS: &str =
    "SELECT kind, id, sum FROM mirror_objects WHERE connection = $1 AND side = $2 ORDER BY kind, id";
const OBJECTS: &str =
    "SELECT kind, id, body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 ORDER BY kind, id";
const GROUPS: &str = "SELECT id, body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = 'group' \
    ORDER BY id";
pub(crate) const OBJECT: &str =
    "SELECT body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3 AND id = $4";
const ASSIGNMENTS: &str =
    "SELECT id, body FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3";
const PATCH: &str = "UPDATE mirror_objects SET body = $1, sum = $2 \
    WHERE connection = $3 AND side = $4 AND kind = $5 AND id = $6";
const PUT: &str = "INSERT INTO mirror_objects (connection, side, kind, id, body, sum) VALUES ($1, $2, $3, $4, $5, $6) \
    ON CONFLICT (connection, side, kind, id) DO UPDATE SET body = excluded.body, sum = excluded.sum";
const DROP: &str = "DELETE FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3 AND id = $4";
const MARK: &str = "INSERT INTO mirrors \
    (connection, side, at, users_link, groups_link, demand, rules, full_at, people, writing, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (connection, side) DO UPDATE SET \
    at = excluded.at, users_link = excluded.users_link, groups_link = excluded.groups_link, \
    demand = excluded.demand, rules = excluded.rules, full_at = excluded.full_at, people = excluded.people, \
    writing = excluded.writing, sum = excluded.sum";
const MARKED: &str = "SELECT at, users_link, groups_link, demand, rules, full_at, people, writing, sum FROM mirrors \
    WHERE connection = $1 AND side = $2";

/// The head of a mirror.
#[derive(sqlx::FromRow)]
struct Mark {
    at: i64,
    users_link: Option<String>,
    groups_link: Option<String>,
    demand: Option<String>,
    rules: Option<String>,
    full_at: Option<i64>,
    people: i64,
    writing: i64,
    sum: i64,
}

impl Mark {
    fn of_directory(watermark: &Watermark, basis: &Basis, people: usize) -> Self {
        Self {
            at: watermark.issued_at.as_millisecond(),
            users_link: Some(watermark.users.clone()),
            groups_link: Some(watermark.groups.clone()),
            demand: Some(basis.demand.clone()),
            rules: Some(basis.rules.clone()),
            full_at: Some(basis.full_at.as_millisecond()),
            people: count(people),
            writing: 0,
            sum: 0,
        }
    }

    fn of_site(at: Timestamp, state: SiteState, accounts: usize) -> Self {
        Self {
            at: at.as_millisecond(),
            users_link: None,
            groups_link: None,
            demand: None,
            rules: None,
            full_at: None,
            people: count(accounts),
            writing: i64::from(state == SiteState::Writing),
            sum: 0,
        }
    }

    fn sum(&self, connection: &str, side: &str) -> i64 {
        Sum::of("mirrors")
            .text(connection)
            .text(side)
            .number(self.at)
            .maybe(self.users_link.as_deref())
            .maybe(self.groups_link.as_deref())
            .maybe(self.demand.as_deref())
            .maybe(self.rules.as_deref())
            .number(self.full_at.unwrap_or(i64::MIN))
            .number(self.people)
            .number(self.writing)
            .finish()
    }

    fn sealed(mut self, connection: &str, side: &str) -> Self {
        self.sum = self.sum(connection, side);
        self
    }

    /// The head of the directory's mirror; `None` when something is missing that it must have.
    fn directory(&self) -> Option<(Watermark, Basis)> {
        let watermark = Watermark {
            users: self.users_link.clone()?,
            groups: self.groups_link.clone()?,
            issued_at: Timestamp::from_millisecond(self.at).ok()?,
        };
        let basis = Basis {
            demand: self.demand.clone()?,
            rules: self.rules.clone()?,
            full_at: Timestamp::from_millisecond(self.full_at?).ok()?,
        };
        Some((watermark, basis))
    }
}

/// What is to be written of one side.
pub(crate) struct MirrorUpdate {
    side: &'static str,
    mark: Mark,
    put: Vec<Object>,
    drop: Vec<(String, String)>,
}

struct Object {
    kind: &'static str,
    id: String,
    body: String,
    sum: i64,
}

/// A user of the directory, as stored.
#[derive(Serialize, Deserialize)]
pub(crate) enum UserBody {
    #[serde(rename = "live")]
    Live {
        name: Option<Arc<str>>,
        mail: Option<Arc<str>>,
        upn: Option<Arc<str>>,
        other: Option<Arc<str>>,
        account: AccountState,
        kind: UserKind,
        #[serde(default, skip_serializing_if = "Attributes::is_empty")]
        more: Attributes,
    },
    #[serde(rename = "soft_deleted")]
    SoftDeleted,
    #[serde(rename = "deleted")]
    Deleted,
}

/// A group of either side; ids hold no blanks, so that lists of them are text with blanks between.
#[derive(Serialize, Deserialize)]
pub(crate) struct GroupBody {
    pub(crate) name: Arc<str>,
    /// Direct users or accounts, if the members are known.
    users: Option<String>,
    /// Direct groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    groups: String,
    /// Deleted, but perhaps still named as nested.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) gone: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AccountBody {
    pub(crate) mail: Option<EmailAddress>,
    pub(crate) name: Arc<str>,
    pub(crate) activity: AccountActivity,
    pub(crate) kind: AccountKind,
}

pub(crate) fn object_sum(connection: &str, side: &str, kind: &str, id: &str, body: &str) -> i64 {
    Sum::of("mirror_objects").text(connection).text(side).text(kind).text(id).text(body).finish()
}

fn object(connection: &str, side: &str, kind: &'static str, id: &str, body: &impl Serialize) -> Object {
    let body = serde_json::to_string(body).expect("bodies are plain data");
    let sum = object_sum(connection, side, kind, id, &body);
    Object { kind, id: id.to_owned(), body, sum }
}

fn joined<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for id in ids {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "{id}");
    }
    text
}

fn user_object(connection: &str, user: &DirectoryUser) -> Object {
    let body = UserBody::Live {
        name: user.display_name.clone(),
        mail: user.mail.clone(),
        upn: user.user_principal_name.clone(),
        other: user.other_mail.clone(),
        account: user.account,
        kind: user.kind,
        more: user.attributes.clone(),
    };
    object(connection, DIRECTORY, "user", user.id.as_str(), &body)
}

fn gone_object(connection: &str, id: &DirectoryUserId, how: Gone) -> Object {
    let body = match how {
        Gone::SoftDeleted => UserBody::SoftDeleted,
        Gone::Deleted => UserBody::Deleted,
    };
    object(connection, DIRECTORY, "user", id.as_str(), &body)
}

fn group_object(connection: &str, snapshot: &DirectorySnapshot, group: &DirectoryGroup) -> Object {
    let members = group.direct();
    let body = GroupBody {
        name: group.display_name.clone(),
        users: members.map(|(users, _)| joined(users.iter().map(|ix| snapshot.user_id_at(*ix).as_str()))),
        groups: members
            .map(|(_, groups)| joined(groups.iter().map(|ix| snapshot.group_at(*ix).id.as_str())))
            .unwrap_or_default(),
        gone: snapshot.group_is_gone(&group.id),
    };
    object(connection, DIRECTORY, "group", group.id.as_str(), &body)
}

/// All objects of a snapshot: what is listed, and of what is gone that which is still named.
fn directory_objects(connection: &str, snapshot: &DirectorySnapshot) -> Vec<Object> {
    let mut objects: Vec<Object> = snapshot.users().map(|user| user_object(connection, user)).collect();
    let mut gone = HashSet::new();
    let mut gone_groups = HashSet::new();
    for group in snapshot.groups() {
        let (users, nested) = group.direct().unwrap_or_default();
        for user in users {
            let id = snapshot.user_id_at(*user);
            if let Some(how) = snapshot.gone(id).filter(|_| gone.insert(id)) {
                objects.push(gone_object(connection, id, how));
            }
        }
        for nested in nested {
            let nested = snapshot.group_at(*nested);
            if snapshot.group_is_gone(&nested.id) && gone_groups.insert(&nested.id) {
                objects.push(group_object(connection, snapshot, nested));
            }
        }
        objects.push(group_object(connection, snapshot, group));
    }
    objects.extend(snapshot.assignments().map(|list| assignments_object(connection, list)));
    objects
}

/// To whom an application is assigned; ids hold no blanks.
#[derive(Serialize, Deserialize)]
struct AssignmentsBody {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    users: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    groups: String,
}

fn assignments_object(connection: &str, assignments: &Assignments) -> Object {
    let body = AssignmentsBody {
        users: joined(assignments.users().iter().map(DirectoryUserId::as_str)),
        groups: joined(assignments.groups().iter().map(DirectoryGroupId::as_str)),
    };
    object(connection, DIRECTORY, ASSIGNED, assignments.application().as_str(), &body)
}

fn stored_assignments(application: &str, body: &str) -> Result<Assignments> {
    let wrong = || Error::row("mirror_objects", application);
    let body: AssignmentsBody = serde_json::from_str(body).map_err(|_| wrong())?;
    let users = body.users.split_ascii_whitespace().map(DirectoryUserId::parse);
    let groups = body.groups.split_ascii_whitespace().map(DirectoryGroupId::parse);
    let users: Vec<_> = users.collect::<std::result::Result<_, _>>().map_err(|_| wrong())?;
    let groups: Vec<_> = groups.collect::<std::result::Result<_, _>>().map_err(|_| wrong())?;
    Ok(Assignments::new(ApplicationId::parse(application).map_err(|_| wrong())?, users, groups))
}

fn account_object(connection: &str, account: &Account) -> Object {
    let body = AccountBody {
        mail: account.email.clone(),
        name: account.display_name.clone(),
        activity: account.activity,
        kind: account.kind,
    };
    object(connection, SITE, "account", account.id.as_str(), &body)
}

fn site_group_object(connection: &str, snapshot: &SiteSnapshot, group: &SiteGroup) -> Object {
    let users = match snapshot.members(&group.id) {
        Some(SiteMembers::Complete(list)) => Some(joined(list.iter().map(AccountId::as_str))),
        Some(SiteMembers::Unread(_)) | None => None,
    };
    let body = GroupBody { name: group.name.clone(), users, groups: String::new(), gone: false };
    object(connection, SITE, "group", group.id.as_str(), &body)
}

/// Writes what changed and the new head.
pub(crate) async fn update(batch: &mut Batch, connection: &str, update: &MirrorUpdate) -> Result<()> {
    let doing = "storing the mirror";
    for rows in update.put.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO mirror_objects (connection, side, kind, id, body, sum) VALUES {} \
             ON CONFLICT (connection, side, kind, id) DO UPDATE SET body = excluded.body, sum = excluded.sum",
            placeholders(rows.len(), 6)
        );
        on!(Tx, &mut batch.tx, tx => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() == ROWS);
            for row in rows {
                query = query.bind(connection).bind(update.side).bind(row.kind).bind(&row.id).bind(&row.body)
                    .bind(row.sum);
            }
            query.execute(&mut **tx).await.map_err(Error::database(doing))?;
        });
    }
    let Mark { at, users_link, groups_link, demand, rules, full_at, people, writing, sum } = &update.mark;
    on!(Tx, &mut batch.tx, tx => {
        for (kind, id) in &update.drop {
            sqlx::query(DROP).bind(connection).bind(update.side).bind(kind).bind(id)
                .execute(&mut **tx).await.map_err(Error::database(doing))?;
        }
        sqlx::query(MARK).bind(connection).bind(update.side).bind(at).bind(users_link).bind(groups_link)
            .bind(demand).bind(rules).bind(full_at).bind(people).bind(writing).bind(sum)
            .execute(&mut **tx).await.map_err(Error::database(doing))?;
    });
    Ok(())
}

/// Puts into the site's mirror what was written for one person: the account, groups that were made for them, and in
/// which groups the account is from now on.
/// What the mirror does not have is left so.
pub(crate) async fn patch(
    batch: &mut Batch,
    connection: &str,
    accounts: &[Account],
    made: &[SiteGroup],
    members: &[(SiteGroupId, AccountId, Presence)],
) -> Result<()> {
    let doing = "storing the mirror";
    let mark: Option<Mark> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(MARKED).bind(connection).bind(SITE).fetch_optional(&mut **tx).await)
    .map_err(Error::database(doing))?;
    let Some(mut mark) = mark else { return Ok(()) };
    for group in made {
        let users = Some(String::new());
        let body = GroupBody { name: group.name.clone(), users, groups: String::new(), gone: false };
        let Object { kind, id, body, sum } = object(connection, SITE, "group", group.id.as_str(), &body);
        on!(Tx, &mut batch.tx, tx => sqlx::query(PUT).bind(connection).bind(SITE).bind(kind).bind(id).bind(body)
            .bind(sum).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    }
    if !made.is_empty() {
        // Whoever keeps the groups at hand sees by this that they are others now
        mark.at += 1;
        let Mark { at, users_link, groups_link, demand, rules, full_at, people, writing, sum } =
            mark.sealed(connection, SITE);
        on!(Tx, &mut batch.tx, tx => sqlx::query(MARK).bind(connection).bind(SITE).bind(at).bind(users_link)
            .bind(groups_link).bind(demand).bind(rules).bind(full_at).bind(people).bind(writing).bind(sum)
            .execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    }
    for account in accounts {
        let Object { kind, id, body, sum } = account_object(connection, account);
        on!(Tx, &mut batch.tx, tx => sqlx::query(PUT).bind(connection).bind(SITE).bind(kind).bind(id).bind(body)
            .bind(sum).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    }
    for (group, account, presence) in members {
        let row: Option<(String, i64)> = on!(Tx, &mut batch.tx, tx => sqlx::query_as(OBJECT)
            .bind(connection).bind(SITE).bind("group").bind(group.as_str()).fetch_optional(&mut **tx).await)
        .map_err(Error::database(doing))?;
        let Some((body, _)) = row else { continue };
        let mut body: GroupBody =
            serde_json::from_str(&body).map_err(|_| Error::row("mirror_objects", group))?;
        let Some(list) = &body.users else { continue };
        let mut users: Vec<&str> =
            list.split_ascii_whitespace().filter(|id| *id != account.as_str()).collect();
        if *presence == Presence::In {
            users.push(account.as_str());
            users.sort_unstable();
        }
        body.users = Some(joined(users.into_iter()));
        let Object { kind, id, body, sum } = object(connection, SITE, "group", group.as_str(), &body);
        on!(Tx, &mut batch.tx, tx => sqlx::query(PATCH).bind(body).bind(sum).bind(connection).bind(SITE).bind(kind)
            .bind(id).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    }
    Ok(())
}

impl Store {
    /// Remembers observations and, of complete listings, both mirrors with the watermark, in one transaction. A read
    /// with gaps in the listings leaves mirrors and watermark where they were.
    pub async fn learn(&self, connection: &str, learnt: Learnt<'_>) -> Result<()> {
        let Learnt { changes, directory, watermark, site, state, basis, since } = learnt;
        let complete = directory.speaks_of_everybody()
            && *directory.users_coverage() == Coverage::Complete
            && *directory.groups_coverage() == Coverage::Complete;
        let mut mirrors = Vec::new();
        if complete {
            let mark = Mark::of_directory(watermark, basis, directory.users().count());
            mirrors.push(match directory.changes() {
                None => {
                    self.difference(connection, DIRECTORY, mark, directory_objects(connection, directory))
                        .await?
                }
                Some(changes) => {
                    let users = changes.users.iter().filter_map(|ix| {
                        let id = directory.user_id_at(*ix);
                        directory
                            .user_at(*ix)
                            .map(|user| user_object(connection, user))
                            .or_else(|| Some(gone_object(connection, id, directory.gone(id)?)))
                    });
                    let groups = changes
                        .groups
                        .iter()
                        .map(|ix| group_object(connection, directory, directory.group_at(*ix)));
                    let assignments =
                        changes.assignments.iter().map(|list| assignments_object(connection, list));
                    let put = users.chain(groups).chain(assignments).collect();
                    MirrorUpdate {
                        side: DIRECTORY,
                        mark: mark.sealed(connection, DIRECTORY),
                        put,
                        drop: Vec::new(),
                    }
                }
            });
            mirrors.push(self.site_update(connection, site, state).await?);
        }
        self.write(Write::Learn {
            connection: connection.to_owned(),
            changes: changes.to_vec(),
            mirrors,
            since,
            at: self.now(),
        })
        .await
    }

    /// Remembers the site as a run left it: what it wrote and read back is in it.
    pub async fn learn_site(&self, connection: &str, snapshot: &SiteSnapshot) -> Result<()> {
        let mirror = self.site_update(connection, snapshot, SiteState::Settled).await?;
        self.write(Write::Learn {
            connection: connection.to_owned(),
            changes: Vec::new(),
            mirrors: vec![mirror],
            since: None,
            at: self.now(),
        })
        .await
    }

    /// Remembers what became known while a run wrote, beside the outcomes of its steps.
    pub async fn remember(&self, connection: &str, changes: &[MemoryChange]) -> Result<()> {
        self.write(Write::Learn {
            connection: connection.to_owned(),
            changes: changes.to_vec(),
            mirrors: Vec::new(),
            since: None,
            at: self.now(),
        })
        .await
    }

    /// Remembers that nothing has changed in the directory up to here.
    pub async fn advance(&self, connection: &str, watermark: &Watermark) -> Result<()> {
        let Some(mark) = self.mark(connection, DIRECTORY).await? else { return Ok(()) };
        let (_, basis) = mark.directory().ok_or_else(|| Error::row("mirrors", DIRECTORY))?;
        let people = usize::try_from(mark.people).unwrap_or_default();
        let mark = Mark::of_directory(watermark, &basis, people).sealed(connection, DIRECTORY);
        let mirror = MirrorUpdate { side: DIRECTORY, mark, put: Vec::new(), drop: Vec::new() };
        self.write(Write::Learn {
            connection: connection.to_owned(),
            changes: Vec::new(),
            mirrors: vec![mirror],
            since: None,
            at: self.now(),
        })
        .await
    }

    /// What is known of both mirrors without loading them; `None` unless there are both.
    pub async fn mirror_head(&self, connection: &str) -> Result<Option<MirrorHead>> {
        let (Some(directory), Some(site)) =
            (self.mark(connection, DIRECTORY).await?, self.mark(connection, SITE).await?)
        else {
            return Ok(None);
        };
        let (watermark, basis) = directory.directory().ok_or_else(|| Error::row("mirrors", DIRECTORY))?;
        let state = if site.writing == 0 { SiteState::Settled } else { SiteState::Writing };
        Ok(Some(MirrorHead { watermark, basis, state }))
    }

    async fn site_update(
        &self,
        connection: &str,
        site: &SiteSnapshot,
        state: SiteState,
    ) -> Result<MirrorUpdate> {
        let mark = Mark::of_site(self.now(), state, site.accounts().len());
        Ok(match site.changes() {
            None => {
                let accounts = site.accounts().iter().map(|account| account_object(connection, account));
                let groups = site.groups().iter().map(|group| site_group_object(connection, site, group));
                self.difference(connection, SITE, mark, accounts.chain(groups).collect()).await?
            }
            Some(changes) => {
                let accounts = changes.accounts.iter().map(|account| account_object(connection, account));
                let groups = changes.groups.iter().map(|group| site_group_object(connection, site, group));
                let put = accounts.chain(groups).collect();
                MirrorUpdate { side: SITE, mark: mark.sealed(connection, SITE), put, drop: Vec::new() }
            }
        })
    }

    /// What must be written to turn the stored mirror into these objects. Equal sums are equal rows.
    async fn difference(
        &self,
        connection: &str,
        side: &'static str,
        mark: Mark,
        objects: Vec<Object>,
    ) -> Result<MirrorUpdate> {
        let rows: Vec<(String, String, i64)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SUMS).bind(connection).bind(side).fetch_all(db).await)
        .map_err(Error::database("reading the mirror"))?;
        let mut stored: HashMap<(String, String), i64> =
            rows.into_iter().map(|(kind, id, sum)| ((kind, id), sum)).collect();
        let put = objects
            .into_iter()
            .filter(|object| stored.remove(&(object.kind.to_owned(), object.id.clone())) != Some(object.sum))
            .collect();
        let mut drop: Vec<(String, String)> = stored.into_keys().collect();
        drop.sort_unstable();
        Ok(MirrorUpdate { side, mark: mark.sealed(connection, side), put, drop })
    }

    async fn mark(&self, connection: &str, side: &str) -> Result<Option<Mark>> {
        let mark: Option<Mark> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(MARKED).bind(connection).bind(side).fetch_optional(db).await)
        .map_err(Error::database("reading the mirror"))?;
        match mark {
            Some(mark) if mark.sum(connection, side) != mark.sum => Err(Error::row("mirrors", side)),
            mark => Ok(mark),
        }
    }

    /// Listed users at the last complete read of the directory.
    pub(crate) async fn people(&self, connection: &str) -> Result<Option<usize>> {
        let mark = self.mark(connection, DIRECTORY).await?;
        Ok(mark.map(|mark| usize::try_from(mark.people).unwrap_or_default()))
    }

    /// The directory as last read completely, ready for delta entries; `None` before the first such read. Groups whose
    /// members were not read, or could not be, have none known.
    pub async fn directory_mirror(&self, connection: &str) -> Result<Option<DirectoryReading>> {
        if self.mark(connection, DIRECTORY).await?.is_none() {
            return Ok(None);
        }
        let mut reading = DirectoryReading::new();
        let mut users: HashMap<String, DirectoryUserId> = HashMap::new();
        // Sorted by kind: groups come first, before the users that they name
        self.objects(connection, DIRECTORY, |kind, id, body| {
            let wrong = || Error::row("mirror_objects", id);
            if kind == ASSIGNED {
                reading.set_assignments(stored_assignments(id, body)?);
                return Ok(());
            }
            if kind == "group" {
                let body: GroupBody = serde_json::from_str(body).map_err(|_| wrong())?;
                let group = DirectoryGroupId::parse(id).map_err(|_| wrong())?;
                if body.gone {
                    reading.group_gone(&group);
                    return Ok(());
                }
                reading.put_group(&group, &body.name);
                let Some(list) = &body.users else { return Ok(()) };
                let mut members = Vec::new();
                for user in list.split_ascii_whitespace() {
                    let known = if let Some(known) = users.get(user) {
                        known.clone()
                    } else {
                        let new = DirectoryUserId::parse(user).map_err(|_| wrong())?;
                        users.insert(user.to_owned(), new.clone());
                        new
                    };
                    members.push(MemberRef::User(known));
                }
                for nested in body.groups.split_ascii_whitespace() {
                    members.push(MemberRef::Group(DirectoryGroupId::parse(nested).map_err(|_| wrong())?));
                }
                reading.set_members(&group, members);
                return Ok(());
            }
            let user = match users.remove(id) {
                Some(known) => known,
                None => DirectoryUserId::parse(id).map_err(|_| wrong())?,
            };
            match serde_json::from_str(body).map_err(|_| wrong())? {
                UserBody::SoftDeleted => reading.user_gone(&user, Gone::SoftDeleted),
                UserBody::Deleted => reading.user_gone(&user, Gone::Deleted),
                UserBody::Live { name, mail, upn, other, account, kind, more } => {
                    reading.put_user(DirectoryUser {
                        id: user,
                        display_name: name,
                        mail,
                        user_principal_name: upn,
                        other_mail: other,
                        account,
                        kind,
                        attributes: more,
                    });
                }
            }
            Ok(())
        })
        .await?;
        Ok(Some(reading.remembered()))
    }

    /// The site as last read, with everything that runs have written since; `None` before the first read.
    pub async fn site_mirror(&self, connection: &str) -> Result<Option<SitePicture>> {
        if self.mark(connection, SITE).await?.is_none() {
            return Ok(None);
        }
        let mut mirror = SitePicture::default();
        let mut ids: HashMap<String, AccountId> = HashMap::new();
        // Sorted by kind: accounts come first
        self.objects(connection, SITE, |kind, id, body| {
            let wrong = || Error::row("mirror_objects", id);
            if kind == "account" {
                let body: AccountBody = serde_json::from_str(body).map_err(|_| wrong())?;
                let account = AccountId::parse(id).map_err(|_| wrong())?;
                mirror.accounts.push(Account {
                    id: account.clone(),
                    email: body.mail,
                    display_name: body.name,
                    activity: body.activity,
                    kind: body.kind,
                });
                ids.insert(id.to_owned(), account);
                return Ok(());
            }
            let body: GroupBody = serde_json::from_str(body).map_err(|_| wrong())?;
            let group = SiteGroupId::parse(id).map_err(|_| wrong())?;
            if let Some(list) = &body.users {
                let members = list
                    .split_ascii_whitespace()
                    .map(|account| match ids.get(account) {
                        Some(known) => Ok(known.clone()),
                        None => AccountId::parse(account).map_err(|_| wrong()),
                    })
                    .collect::<Result<_>>()?;
                mirror.members.insert(group.clone(), members);
            }
            mirror.groups.push(SiteGroup { id: group, name: body.name });
            Ok(())
        })
        .await?;
        Ok(Some(mirror))
    }

    /// Says which state the groups of both mirrors are in: as long as it is the same, so are they.
    pub async fn ground_stamp(&self, connection: &str) -> Result<Option<String>> {
        let (Some(directory), Some(site)) =
            (self.mark(connection, DIRECTORY).await?, self.mark(connection, SITE).await?)
        else {
            return Ok(None);
        };
        Ok(Some(format!("{} {} {} {}", directory.at, directory.sum, site.at, site.sum)))
    }

    /// The groups of both mirrors, without people.
    pub async fn ground(&self, connection: &str) -> Result<Ground> {
        let mut ground = Ground::default();
        let rows = |side: &'static str| async move {
            let rows: Vec<(String, String, i64)> = on!(Pool, &self.inner.readers, db =>
                sqlx::query_as(GROUPS).bind(connection).bind(side).fetch_all(db).await)
            .map_err(Error::database("reading the mirror"))?;
            for (id, body, sum) in &rows {
                if object_sum(connection, side, "group", id, body) != *sum {
                    return Err(Error::row("mirror_objects", id));
                }
            }
            Ok(rows)
        };
        for (id, body, _) in rows(DIRECTORY).await? {
            let wrong = || Error::row("mirror_objects", &id);
            let body: GroupBody = serde_json::from_str(&body).map_err(|_| wrong())?;
            if body.gone {
                continue;
            }
            let nested = body.groups.split_ascii_whitespace().map(DirectoryGroupId::parse);
            ground.directory.push(KnownGroup {
                id: DirectoryGroupId::parse(&id).map_err(|_| wrong())?,
                name: body.name,
                nested: nested.collect::<std::result::Result<_, _>>().map_err(|_| wrong())?,
            });
        }
        for (id, body, _) in rows(SITE).await? {
            let wrong = || Error::row("mirror_objects", &id);
            let body: GroupBody = serde_json::from_str(&body).map_err(|_| wrong())?;
            ground
                .site
                .push(SiteGroup { id: SiteGroupId::parse(&id).map_err(|_| wrong())?, name: body.name });
        }
        Ok(ground)
    }

    /// Somebody as the directory's mirror has them, and to whom the application of the scope was assigned.
    pub async fn mirrored_user(
        &self,
        connection: &str,
        user: &DirectoryUserId,
    ) -> Result<(Option<DirectoryUser>, Option<Assignments>)> {
        let row: Option<(String, i64)> = on!(Pool, &self.inner.readers, db => sqlx::query_as(OBJECT)
            .bind(connection).bind(DIRECTORY).bind("user").bind(user.as_str()).fetch_optional(db).await)
        .map_err(Error::database("reading the mirror"))?;
        let wrong = || Error::row("mirror_objects", user);
        let known = match row {
            Some((body, sum)) if object_sum(connection, DIRECTORY, "user", user.as_str(), &body) != sum => {
                return Err(wrong());
            }
            Some((body, _)) => match serde_json::from_str(&body).map_err(|_| wrong())? {
                UserBody::Live { name, mail, upn, other, account, kind, more } => Some(DirectoryUser {
                    id: user.clone(),
                    display_name: name,
                    mail,
                    user_principal_name: upn,
                    other_mail: other,
                    account,
                    kind,
                    attributes: more,
                }),
                UserBody::SoftDeleted | UserBody::Deleted => None,
            },
            None => None,
        };
        let assigned: Option<(String, String)> =
            on!(Pool, &self.inner.readers, db => sqlx::query_as(ASSIGNMENTS)
            .bind(connection).bind(DIRECTORY).bind(ASSIGNED).fetch_optional(db).await)
            .map_err(Error::database("reading the mirror"))?;
        let assigned = assigned.map(|(id, body)| stored_assignments(&id, &body)).transpose()?;
        Ok((known, assigned))
    }

    /// Hands over the stored objects of one side, one by one: kind, id, body.
    async fn objects(
        &self,
        connection: &str,
        side: &str,
        mut take: impl FnMut(&str, &str, &str) -> Result<()>,
    ) -> Result<()> {
        on!(Pool, &self.inner.readers, db => {
            let mut rows = sqlx::query_as::<_, (String, String, String, i64)>(OBJECTS)
                .bind(connection).bind(side).fetch(db);
            while let Some((kind, id, body, sum)) =
                rows.try_next().await.map_err(Error::database("reading the mirror"))?
            {
                if object_sum(connection, side, &kind, &id, &body) != sum {
                    return Err(Error::row("mirror_objects", &id));
                }
                take(&kind, &id, &body)?;
            }
        });
        Ok(())
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
