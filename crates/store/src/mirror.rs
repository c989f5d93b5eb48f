//! Both sides as they were last read completely. The directory's mirror moves together with its watermark and with
//! what was learnt from it, in one transaction: the watermark is never ahead (quality.md R-01). Only objects that
//! changed are written.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, Attributes, Coverage, DirectoryGroupId,
    DirectoryReading, DirectorySnapshot, DirectoryUser, DirectoryUserId, EmailAddress, Gone, MemberRef,
    SiteGroup, SiteGroupId, SiteMembers, SiteSnapshot, UserKind,
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

/// The directory as last read completely. Groups whose members were not read, or could not be, have none known.
#[derive(Debug)]
pub struct DirectoryMirror {
    /// What was read, ready for delta entries.
    pub reading: DirectoryReading,
    /// Where to go on.
    pub watermark: Watermark,
}

/// The site as last read.
#[derive(Debug, Clone)]
pub struct SiteMirror {
    /// All accounts, by id.
    pub accounts: Vec<Account>,
    /// All groups, by id.
    pub groups: Vec<SiteGroup>,
    /// Members of the groups whose members were read completely.
    pub members: HashMap<SiteGroupId, Vec<AccountId>>,
    /// When it was read.
    pub at: Timestamp,
}

const DIRECTORY: &str = "directory";
const SITE: &str = "site";
/// Rows in one statement.
const ROWS: usize = 500;

const SUMS: &str =
    "SELECT kind, id, sum FROM mirror_objects WHERE connection = $1 AND side = $2 ORDER BY kind, id";
const OBJECTS: &str =
    "SELECT kind, id, body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 ORDER BY kind, id";
const DROP: &str = "DELETE FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3 AND id = $4";
const MARK: &str = "INSERT INTO mirrors (connection, side, at, users_link, groups_link, people, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (connection, side) DO UPDATE SET at = excluded.at, \
    users_link = excluded.users_link, groups_link = excluded.groups_link, people = excluded.people, sum = excluded.sum";
const MARKED: &str =
    "SELECT at, users_link, groups_link, people, sum FROM mirrors WHERE connection = $1 AND side = $2";

/// The head of a mirror.
#[derive(sqlx::FromRow)]
struct Mark {
    at: i64,
    users_link: Option<String>,
    groups_link: Option<String>,
    people: i64,
    sum: i64,
}

impl Mark {
    fn sum(&self, connection: &str, side: &str) -> i64 {
        Sum::of("mirrors")
            .text(connection)
            .text(side)
            .number(self.at)
            .maybe(self.users_link.as_deref())
            .maybe(self.groups_link.as_deref())
            .number(self.people)
            .finish()
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
enum UserBody {
    #[serde(rename = "live")]
    Live {
        name: Option<Arc<str>>,
        mail: Option<Arc<str>>,
        upn: Option<Arc<str>>,
        other: Option<Arc<str>>,
        account: AccountState,
        kind: UserKind,
    },
    #[serde(rename = "soft_deleted")]
    SoftDeleted,
    #[serde(rename = "deleted")]
    Deleted,
}

/// A group of either side; ids hold no blanks, so that lists of them are text with blanks between.
#[derive(Serialize, Deserialize)]
struct GroupBody {
    name: Arc<str>,
    /// Direct users or accounts, if the members are known.
    users: Option<String>,
    /// Direct groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    groups: String,
}

#[derive(Serialize, Deserialize)]
struct AccountBody {
    mail: Option<EmailAddress>,
    name: Arc<str>,
    activity: AccountActivity,
    kind: AccountKind,
}

fn object_sum(connection: &str, side: &str, kind: &str, id: &str, body: &str) -> i64 {
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

fn directory_objects(connection: &str, snapshot: &DirectorySnapshot) -> Vec<Object> {
    let mut objects = Vec::new();
    for user in snapshot.users() {
        let body = UserBody::Live {
            name: user.display_name.clone(),
            mail: user.mail.clone(),
            upn: user.user_principal_name.clone(),
            other: user.other_mail.clone(),
            account: user.account,
            kind: user.kind,
        };
        objects.push(object(connection, DIRECTORY, "user", user.id.as_str(), &body));
    }
    let mut gone = HashSet::new();
    for group in snapshot.groups() {
        let members = group.direct();
        for user in members.map(|(users, _)| users).unwrap_or_default() {
            let id = snapshot.user_id_at(*user);
            if let Some(how) = snapshot.gone(id).filter(|_| gone.insert(id)) {
                let body = match how {
                    Gone::SoftDeleted => UserBody::SoftDeleted,
                    Gone::Deleted => UserBody::Deleted,
                };
                objects.push(object(connection, DIRECTORY, "user", id.as_str(), &body));
            }
        }
        let body = GroupBody {
            name: group.display_name.clone(),
            users: members.map(|(users, _)| joined(users.iter().map(|ix| snapshot.user_id_at(*ix).as_str()))),
            groups: members
                .map(|(_, groups)| joined(groups.iter().map(|ix| snapshot.group_at(*ix).id.as_str())))
                .unwrap_or_default(),
        };
        objects.push(object(connection, DIRECTORY, "group", group.id.as_str(), &body));
    }
    objects
}

fn site_objects(connection: &str, snapshot: &SiteSnapshot) -> Vec<Object> {
    let mut objects = Vec::new();
    for account in snapshot.accounts() {
        let body = AccountBody {
            mail: account.email.clone(),
            name: account.display_name.clone(),
            activity: account.activity,
            kind: account.kind,
        };
        objects.push(object(connection, SITE, "account", account.id.as_str(), &body));
    }
    for group in snapshot.groups() {
        let users = match snapshot.members(&group.id) {
            Some(SiteMembers::Complete(list)) => Some(joined(list.iter().map(AccountId::as_str))),
            Some(SiteMembers::Unread(_)) | None => None,
        };
        let body = GroupBody { name: group.name.clone(), users, groups: String::new() };
        objects.push(object(connection, SITE, "group", group.id.as_str(), &body));
    }
    objects
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
    let Mark { at, users_link, groups_link, people, sum } = &update.mark;
    on!(Tx, &mut batch.tx, tx => {
        for (kind, id) in &update.drop {
            sqlx::query(DROP).bind(connection).bind(update.side).bind(kind).bind(id)
                .execute(&mut **tx).await.map_err(Error::database(doing))?;
        }
        sqlx::query(MARK).bind(connection).bind(update.side).bind(at).bind(users_link).bind(groups_link)
            .bind(people).bind(sum).execute(&mut **tx).await.map_err(Error::database(doing))?;
    });
    Ok(())
}

impl Store {
    /// Remembers observations and, of a complete read, the mirror with its watermark, in one transaction. A read with
    /// gaps in the listings leaves mirror and watermark where they were.
    pub async fn learn(
        &self,
        connection: &str,
        changes: &[MemoryChange],
        snapshot: &DirectorySnapshot,
        watermark: &Watermark,
    ) -> Result<()> {
        let complete = *snapshot.users_coverage() == Coverage::Complete
            && *snapshot.groups_coverage() == Coverage::Complete;
        let mirror = if complete {
            let mark = Mark {
                at: watermark.issued_at.as_millisecond(),
                users_link: Some(watermark.users.clone()),
                groups_link: Some(watermark.groups.clone()),
                people: count(snapshot.users().count()),
                sum: 0,
            };
            Some(self.difference(connection, DIRECTORY, mark, directory_objects(connection, snapshot)).await?)
        } else {
            None
        };
        self.write(Write::Learn { connection: connection.to_owned(), changes: changes.to_vec(), mirror })
            .await
    }

    /// Remembers the site as it was read just now.
    pub async fn learn_site(&self, connection: &str, snapshot: &SiteSnapshot) -> Result<()> {
        let mark = Mark {
            at: self.now().as_millisecond(),
            users_link: None,
            groups_link: None,
            people: count(snapshot.accounts().len()),
            sum: 0,
        };
        let mirror = self.difference(connection, SITE, mark, site_objects(connection, snapshot)).await?;
        self.write(Write::Learn {
            connection: connection.to_owned(),
            changes: Vec::new(),
            mirror: Some(mirror),
        })
        .await
    }

    /// What must be written to turn the stored mirror into these objects. Equal sums are equal rows.
    async fn difference(
        &self,
        connection: &str,
        side: &'static str,
        mut mark: Mark,
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
        mark.sum = mark.sum(connection, side);
        Ok(MirrorUpdate { side, mark, put, drop })
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

    /// The directory as last read completely; `None` before the first such read.
    pub async fn mirror(&self, connection: &str) -> Result<Option<DirectoryMirror>> {
        let Some(mark) = self.mark(connection, DIRECTORY).await? else { return Ok(None) };
        let wrong_mark = || Error::row("mirrors", DIRECTORY);
        let watermark = Watermark {
            users: mark.users_link.ok_or_else(wrong_mark)?,
            groups: mark.groups_link.ok_or_else(wrong_mark)?,
            issued_at: Timestamp::from_millisecond(mark.at).map_err(|_| wrong_mark())?,
        };
        let mut reading = DirectoryReading::new();
        let mut users: HashMap<String, DirectoryUserId> = HashMap::new();
        // Sorted by kind: groups come first, before the users that they name
        for (kind, id, body) in self.objects(connection, DIRECTORY).await? {
            let wrong = || Error::row("mirror_objects", &id);
            if kind == "group" {
                let body: GroupBody = serde_json::from_str(&body).map_err(|_| wrong())?;
                let group = DirectoryGroupId::parse(&id).map_err(|_| wrong())?;
                reading.put_group(&group, &body.name);
                let Some(list) = &body.users else { continue };
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
            } else {
                let user = match users.get(&id) {
                    Some(known) => known.clone(),
                    None => DirectoryUserId::parse(&id).map_err(|_| wrong())?,
                };
                match serde_json::from_str(&body).map_err(|_| wrong())? {
                    UserBody::SoftDeleted => reading.user_gone(&user, Gone::SoftDeleted),
                    UserBody::Deleted => reading.user_gone(&user, Gone::Deleted),
                    UserBody::Live { name, mail, upn, other, account, kind } => {
                        reading.put_user(DirectoryUser {
                            id: user,
                            display_name: name,
                            mail,
                            user_principal_name: upn,
                            other_mail: other,
                            account,
                            kind,
                            attributes: Attributes::NONE,
                        });
                    }
                }
            }
        }
        Ok(Some(DirectoryMirror { reading, watermark }))
    }

    /// The site as last read; `None` before the first read.
    pub async fn site_mirror(&self, connection: &str) -> Result<Option<SiteMirror>> {
        let Some(mark) = self.mark(connection, SITE).await? else { return Ok(None) };
        let at = Timestamp::from_millisecond(mark.at).map_err(|_| Error::row("mirrors", SITE))?;
        let mut mirror = SiteMirror { accounts: Vec::new(), groups: Vec::new(), members: HashMap::new(), at };
        let mut ids: HashMap<String, AccountId> = HashMap::new();
        // Sorted by kind: accounts come first
        for (kind, id, body) in self.objects(connection, SITE).await? {
            let wrong = || Error::row("mirror_objects", &id);
            if kind == "account" {
                let body: AccountBody = serde_json::from_str(&body).map_err(|_| wrong())?;
                let account = AccountId::parse(&id).map_err(|_| wrong())?;
                mirror.accounts.push(Account {
                    id: account.clone(),
                    email: body.mail,
                    display_name: body.name,
                    activity: body.activity,
                    kind: body.kind,
                });
                ids.insert(id, account);
            } else {
                let body: GroupBody = serde_json::from_str(&body).map_err(|_| wrong())?;
                let group = SiteGroupId::parse(&id).map_err(|_| wrong())?;
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
            }
        }
        Ok(Some(mirror))
    }

    /// The stored objects of one side: kind, id, body.
    async fn objects(&self, connection: &str, side: &str) -> Result<Vec<(String, String, String)>> {
        let mut objects = Vec::new();
        on!(Pool, &self.inner.readers, db => {
            let mut rows = sqlx::query_as::<_, (String, String, String, i64)>(OBJECTS)
                .bind(connection).bind(side).fetch(db);
            while let Some((kind, id, body, sum)) =
                rows.try_next().await.map_err(Error::database("reading the mirror"))?
            {
                if object_sum(connection, side, &kind, &id, &body) != sum {
                    return Err(Error::row("mirror_objects", &id));
                }
                objects.push((kind, id, body));
            }
        });
        Ok(objects)
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
