//! Links, ledger and applied attributes, with the meaning that `domain::memory` gives to each change, in statements of many rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entrain_domain::memory::{Anchor, AppliedValues, GroupLink, Memory, MemoryChange, Origin, UserLink};
use entrain_domain::model::{AccountId, DirectoryUserId, SiteGroupId};
use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use crate::error::{Error, Result};
use crate::history::{self, Cause};
use crate::ladder;
use crate::pool::{Reader, on};
use crate::store::Store;
use crate::sum::Sum;
use crate::writer::Batch;

/// Rows in one statement; far below both databases' limits of parameters.
const ROWS: usize = 500;

const USERS: &str = "SELECT directory_id, account, address, origin, sum FROM user_links WHERE connection = $1 ORDER BY directory_id";
const GROUPS: &str = "SELECT directory_id, site_group, name, origin, sum FROM group_links WHERE connection = $1 ORDER BY directory_id";
const COUNT_USERS: &str = "SELECT count(*) FROM user_links WHERE connection = $1";
const COUNT_GROUPS: &str = "SELECT count(*) FROM group_links WHERE connection = $1";
const LEDGER: &str = "SELECT site_group, account, origin, sum FROM ledger WHERE connection = $1 \
    ORDER BY site_group, account";
const APPLIED: &str = "SELECT account, part, property, body, sum FROM applied_attributes WHERE connection = $1 \
    ORDER BY account, part, property";
const USER: &str = "SELECT directory_id, account, address, origin, sum FROM user_links WHERE connection = $1 AND directory_id = $2";
const USER_OF: &str = "SELECT directory_id, account, address, origin, sum FROM user_links WHERE connection = $1 AND account = $2";
const LEDGER_OF: &str =
    "SELECT site_group, account, origin, sum FROM ledger WHERE connection = $1 AND account = $2";
const DISOWN: &str = "DELETE FROM ledger WHERE connection = $1 AND site_group = $2 AND account = $3";

const UNLINK: &str = "DELETE FROM group_links WHERE connection = $1 AND site_group = $2";

/// `($1, $2), ($3, $4), …`
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            if column > 0 {
                text.push_str(", ");
            }
            text.push('$');
            text.push_str(&(row * columns + column + 1).to_string());
        }
        text.push(')');
    }
    text
}

/// `$2, $3, …`: one placeholder for each of so many values after the first parameter.
fn list(values: usize) -> String {
    (2..values + 2).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Applies changes in their order. Neighbours of one kind that touch different objects share a statement.
pub(crate) async fn apply(
    batch: &mut Batch,
    connection: &str,
    changes: &[MemoryChange],
    cause: Cause<'_>,
) -> Result<()> {
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let mut seen = HashSet::new();
        let alike = rest
            .iter()
            .take(ROWS)
            .take_while(|change| {
                std::mem::discriminant(*change) == std::mem::discriminant(first)
                    && objects(change).into_iter().all(|object| seen.insert(object))
            })
            .count();
        let (now, later) = rest.split_at(alike);
        rest = later;
        match first {
            MemoryChange::LinkUser(_) => {
                let links: Vec<[Option<&str>; 4]> = now
                    .iter()
                    .filter_map(|change| match change {
                        MemoryChange::LinkUser(l) => Some([
                            Some(l.user.as_str()),
                            Some(l.account.as_str()),
                            l.address.as_deref(),
                            Some(l.origin.as_str()),
                        ]),
                        _ => None,
                    })
                    .collect();
                link(batch, connection, &USER_LINKS, &links).await?;
            }
            MemoryChange::LinkGroup(_) => {
                let links: Vec<[Option<&str>; 4]> = now
                    .iter()
                    .filter_map(|change| match change {
                        MemoryChange::LinkGroup(l) => Some([
                            Some(l.anchor.as_str()),
                            Some(l.group.as_str()),
                            Some(&*l.name),
                            Some(l.origin.as_str()),
                        ]),
                        _ => None,
                    })
                    .collect();
                link(batch, connection, &GROUP_LINKS, &links).await?;
            }
            MemoryChange::ApplyAttributes { .. } => apply_attributes(batch, connection, now).await?,
            MemoryChange::OwnMembership { .. } => {
                own(batch, connection, now).await?;
                history::begin(batch, connection, now, cause).await?;
            }
            MemoryChange::DisownMembership { .. } => {
                disown(batch, connection, now).await?;
                history::end(batch, connection, now, cause).await?;
            }
            MemoryChange::MarkStep { .. } | MemoryChange::UnmarkStep { .. } => {
                crate::marks::apply(batch, connection, now).await?;
            }
            MemoryChange::UnlinkGroup { .. } => unlink(batch, connection, now).await?,
            MemoryChange::AwaitSeat { .. } | MemoryChange::LeaveQueue { .. } => {
                crate::queue::apply(batch, connection, now).await?;
            }
            MemoryChange::EnterLadder(_)
            | MemoryChange::PassRung { .. }
            | MemoryChange::StepBack { .. }
            | MemoryChange::LeaveLadder { .. } => {
                for change in now {
                    ladder::apply(batch, connection, change).await?;
                }
            }
        }
    }
    Ok(())
}

/// The objects a change touches; two changes that share none may be done in one statement.
fn objects(change: &MemoryChange) -> Vec<(u8, &str, &str)> {
    match change {
        MemoryChange::LinkUser(link) => vec![(0, link.user.as_str(), ""), (1, link.account.as_str(), "")],
        MemoryChange::LinkGroup(link) => vec![(0, link.anchor.as_str(), ""), (1, link.group.as_str(), "")],
        MemoryChange::ApplyAttributes { account, values } => {
            let (part, key) = part_of(values);
            vec![(part, account.as_str(), key)]
        }
        MemoryChange::MarkStep { step, mark } => vec![(2, step.as_str(), mark.kind().as_str())],
        MemoryChange::UnmarkStep { step, mark } => vec![(2, step.as_str(), mark.as_str())],
        MemoryChange::UnlinkGroup { group } => vec![(1, group.as_str(), "")],
        MemoryChange::OwnMembership { group, account, .. }
        | MemoryChange::DisownMembership { group, account } => vec![(0, group.as_str(), account.as_str())],
        // One by one, in their order
        MemoryChange::EnterLadder(place) => vec![(0, place.user.as_str(), "")],
        MemoryChange::PassRung { user, measure, .. } | MemoryChange::StepBack { user, measure } => {
            vec![(0, user.as_str(), measure.as_str())]
        }
        MemoryChange::LeaveLadder { user } => vec![(0, user.as_str(), "")],
        MemoryChange::AwaitSeat { product, user, .. } | MemoryChange::LeaveQueue { product, user } => {
            vec![(0, user.as_str(), &*product.0)]
        }
    }
}

/// The two tables of links are of one shape: directory id, site id, a text, origin.
struct Links {
    table: &'static str,
    site: &'static str,
    text: &'static str,
}

const USER_LINKS: Links = Links { table: "user_links", site: "account", text: "address" };
const GROUP_LINKS: Links = Links { table: "group_links", site: "site_group", text: "name" };

fn link_sum(table: &str, connection: &str, link: &[Option<&str>; 4]) -> i64 {
    link.iter().fold(Sum::of(table).text(connection), |sum, field| sum.maybe(*field)).finish()
}

fn ledger_sum(connection: &str, group: &str, account: &str, origin: &str) -> i64 {
    Sum::of("ledger").text(connection).text(group).text(account).text(origin).finish()
}

async fn link(batch: &mut Batch, connection: &str, links: &Links, rows: &[[Option<&str>; 4]]) -> Result<()> {
    let doing = "storing links";
    let Links { table, site, text } = links;
    for (column, field) in [("directory_id", 0), (*site, 1)] {
        let sql = format!("DELETE FROM {table} WHERE connection = $1 AND {column} IN ({})", list(rows.len()));
        on!(Tx, &mut batch.tx, tx => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() == 1).bind(connection);
            for row in rows {
                query = query.bind(row[field]);
            }
            query.execute(&mut **tx).await.map_err(Error::database(doing))?;
        });
    }
    let sql = format!(
        "INSERT INTO {table} (connection, directory_id, {site}, {text}, origin, sum) VALUES {}",
        placeholders(rows.len(), 6)
    );
    on!(Tx, &mut batch.tx, tx => {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() == 1);
        for row in rows {
            query = query.bind(connection).bind(row[0]).bind(row[1]).bind(row[2]).bind(row[3])
                .bind(link_sum(table, connection, row));
        }
        query.execute(&mut **tx).await.map_err(Error::database(doing))?;
    });
    Ok(())
}

const PARTS: [&str; 2] = ["profile", "property"];

/// Which part of an account, as a position in [`PARTS`], and the key of a property.
fn part_of(values: &AppliedValues) -> (u8, &str) {
    match values {
        AppliedValues::Profile { .. } => (0, ""),
        AppliedValues::Property { key, .. } => (1, key),
    }
}

fn applied_sum(connection: &str, account: &str, part: &str, property: &str, body: &str) -> i64 {
    let sum = Sum::of("applied_attributes").text(connection).text(account);
    sum.text(part).text(property).text(body).finish()
}

async fn apply_attributes(batch: &mut Batch, connection: &str, changes: &[MemoryChange]) -> Result<()> {
    let sql = format!(
        "INSERT INTO applied_attributes (connection, account, part, property, body, sum) VALUES {} \
         ON CONFLICT (connection, account, part, property) DO UPDATE SET body = excluded.body, sum = excluded.sum",
        placeholders(changes.len(), 6)
    );
    on!(Tx, &mut batch.tx, tx => {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(changes.len() == 1);
        for change in changes {
            if let MemoryChange::ApplyAttributes { account, values } = change {
                let (part, property) = part_of(values);
                let (account, part) = (account.as_str(), PARTS[usize::from(part)]);
                let body = match values {
                    AppliedValues::Profile { values } => serde_json::to_string(values),
                    AppliedValues::Property { values, .. } => serde_json::to_string(values),
                };
                let body = body.expect("texts by name are JSON");
                let sum = applied_sum(connection, account, part, property, &body);
                query = query.bind(connection).bind(account).bind(part).bind(property).bind(body).bind(sum);
            }
        }
        query.execute(&mut **tx).await.map_err(Error::database("storing attributes"))?;
    });
    Ok(())
}

async fn own(batch: &mut Batch, connection: &str, changes: &[MemoryChange]) -> Result<()> {
    // What was granted stays granted when it is found again
    let sql = format!(
        "INSERT INTO ledger (connection, site_group, account, origin, sum) VALUES {} \
         ON CONFLICT (connection, site_group, account) DO UPDATE SET origin = excluded.origin, sum = excluded.sum \
         WHERE ledger.origin <> 'created'",
        placeholders(changes.len(), 5)
    );
    on!(Tx, &mut batch.tx, tx => {
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(changes.len() == 1);
        for change in changes {
            if let MemoryChange::OwnMembership { group, account, origin, .. } = change {
                let (group, account, origin) = (group.as_str(), account.as_str(), origin.as_str());
                query = query.bind(connection).bind(group).bind(account).bind(origin)
                    .bind(ledger_sum(connection, group, account, origin));
            }
        }
        query.execute(&mut **tx).await.map_err(Error::database("storing the ledger"))?;
    });
    Ok(())
}

async fn disown(batch: &mut Batch, connection: &str, changes: &[MemoryChange]) -> Result<()> {
    for change in changes {
        if let MemoryChange::DisownMembership { group, account } = change {
            on!(Tx, &mut batch.tx, tx => sqlx::query(DISOWN)
                .bind(connection).bind(group.as_str()).bind(account.as_str())
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("storing the ledger"))?;
        }
    }
    Ok(())
}

async fn unlink(batch: &mut Batch, connection: &str, changes: &[MemoryChange]) -> Result<()> {
    for change in changes {
        if let MemoryChange::UnlinkGroup { group } = change {
            on!(Tx, &mut batch.tx, tx => sqlx::query(UNLINK)
                .bind(connection).bind(group.as_str())
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("storing links"))?;
        }
    }
    Ok(())
}

type LinkRow = (String, String, Option<String>, String, i64);
type AppliedRow = (String, String, String, String, i64);
type LedgerRow = (String, String, String, i64);

impl Store {
    /// How many people and groups of a connection are linked.
    pub async fn linked(&self, connection: &str) -> Result<(u64, u64)> {
        let mut counts = [0_u64; 2];
        for (count, sql) in counts.iter_mut().zip([COUNT_USERS, COUNT_GROUPS]) {
            let rows: i64 = on!(Pool, &self.inner.readers, db =>
                sqlx::query_scalar(sql).bind(connection).fetch_one(db).await)
            .map_err(Error::database("counting links"))?;
            *count = u64::try_from(rows).unwrap_or_default();
        }
        Ok((counts[0], counts[1]))
    }

    /// Links and ledger of a connection. Equal ids share one allocation.
    pub async fn memory(&self, connection: &str) -> Result<Memory> {
        let doing = "reading links and ledger";
        let mut memory = Memory::new();
        let mut accounts: HashMap<String, AccountId> = HashMap::new();

        on!(Pool, &self.inner.readers, db => {
            let mut rows = sqlx::query_as::<_, LinkRow>(USERS).bind(connection).fetch(db);
            while let Some((user, account, address, origin, sum)) =
                rows.try_next().await.map_err(Error::database(doing))?
            {
                let wrong = || Error::row("user_links", &user);
                let fields = [Some(&*user), Some(&*account), address.as_deref(), Some(&*origin)];
                if link_sum("user_links", connection, &fields) != sum {
                    return Err(wrong());
                }
                let id = AccountId::parse(&account).map_err(|_| wrong())?;
                memory.link_user(UserLink {
                    user: DirectoryUserId::parse(&user).map_err(|_| wrong())?,
                    account: id.clone(),
                    address: address.as_deref().map(Arc::from),
                    origin: Origin::from_word(&origin).ok_or_else(wrong)?,
                });
                accounts.insert(account, id);
            }
        });

        for link in self.inner.readers.reader().await?.group_links(connection).await? {
            memory.link_group(link);
        }

        on!(Pool, &self.inner.readers, db => {
            let mut rows = sqlx::query_as::<_, LedgerRow>(LEDGER).bind(connection).fetch(db);
            let mut of: Option<(String, SiteGroupId)> = None;
            while let Some((group, account, origin, sum)) = rows.try_next().await.map_err(Error::database(doing))? {
                let wrong = || Error::row("ledger", format_args!("{group} {account}"));
                if ledger_sum(connection, &group, &account, &origin) != sum {
                    return Err(wrong());
                }
                let origin = Origin::from_word(&origin).ok_or_else(wrong)?;
                let group_id = match &of {
                    Some((text, id)) if *text == group => id.clone(),
                    _ => SiteGroupId::parse(&group).map_err(|_| wrong())?,
                };
                let account_id = match accounts.get(&account) {
                    Some(id) => id.clone(),
                    None => AccountId::parse(&account).map_err(|_| wrong())?,
                };
                accounts.entry(account).or_insert_with(|| account_id.clone());
                memory.own_membership(&group_id, &account_id, origin);
                of = Some((group, group_id));
            }
        });
        on!(Pool, &self.inner.readers, db => {
            let mut rows = sqlx::query_as::<_, AppliedRow>(APPLIED).bind(connection).fetch(db);
            while let Some((account, part, property, body, sum)) =
                rows.try_next().await.map_err(Error::database(doing))?
            {
                let wrong = || Error::row("applied_attributes", format_args!("{account} {part} {property}"));
                if applied_sum(connection, &account, &part, &property, &body) != sum {
                    return Err(wrong());
                }
                let values = if part == PARTS[0] {
                    let values = serde_json::from_str(&body).map_err(|_| wrong())?;
                    AppliedValues::Profile { values }
                } else {
                    let values = serde_json::from_str(&body).map_err(|_| wrong())?;
                    AppliedValues::Property { key: property.clone(), values }
                };
                let id = match accounts.get(&account) {
                    Some(id) => id.clone(),
                    None => AccountId::parse(&account).map_err(|_| wrong())?,
                };
                memory.apply_attributes(&id, &values);
            }
        });
        let mut reader = self.inner.readers.reader().await?;
        reader.marks(connection, &mut memory).await?;
        reader.seat_queue(connection, &mut memory).await?;
        drop(reader);
        for place in self.ladder(connection).await? {
            memory.apply(&MemoryChange::EnterLadder(Box::new(place)));
        }
        Ok(memory)
    }
}

impl Reader {
    /// All links of groups.
    pub(crate) async fn group_links(&mut self, connection: &str) -> Result<Vec<GroupLink>> {
        let doing = "reading links and ledger";
        let mut links = Vec::new();
        on!(Reader, self, db => {
            let mut rows = sqlx::query_as::<_, LinkRow>(GROUPS).bind(connection).fetch(&mut **db);
            while let Some((directory, group, name, origin, sum)) =
                rows.try_next().await.map_err(Error::database(doing))?
            {
                let wrong = || Error::row("group_links", &directory);
                let fields = [Some(&*directory), Some(&*group), name.as_deref(), Some(&*origin)];
                if link_sum("group_links", connection, &fields) != sum {
                    return Err(wrong());
                }
                links.push(GroupLink {
                    anchor: Anchor::parse(&directory).map_err(|_| wrong())?,
                    group: SiteGroupId::parse(&group).map_err(|_| wrong())?,
                    name: Arc::from(name.unwrap_or_default()),
                    origin: Origin::from_word(&origin).ok_or_else(wrong)?,
                });
            }
        });
        Ok(links)
    }

    /// The links of a person and of these accounts.
    pub(crate) async fn links_of(
        &mut self,
        connection: &str,
        user: &DirectoryUserId,
        accounts: &[AccountId],
    ) -> Result<Vec<UserLink>> {
        let mut links = Vec::new();
        for (query, id) in std::iter::once((USER, user.as_str()))
            .chain(accounts.iter().map(|account| (USER_OF, account.as_str())))
        {
            let row: Option<LinkRow> = on!(Reader, &mut *self, db =>
                sqlx::query_as(query).bind(connection).bind(id).fetch_optional(&mut **db).await)
            .map_err(Error::database("reading links"))?;
            let Some((user, account, address, origin, sum)) = row else { continue };
            let wrong = || Error::row("user_links", &user);
            let fields = [Some(&*user), Some(&*account), address.as_deref(), Some(&*origin)];
            if link_sum("user_links", connection, &fields) != sum {
                return Err(wrong());
            }
            links.push(UserLink {
                user: DirectoryUserId::parse(&user).map_err(|_| wrong())?,
                account: AccountId::parse(&account).map_err(|_| wrong())?,
                address: address.as_deref().map(Arc::from),
                origin: Origin::from_word(&origin).ok_or_else(wrong)?,
            });
        }
        Ok(links)
    }

    /// Puts the ledger of one account into a memory.
    pub(crate) async fn ledger_of(
        &mut self,
        connection: &str,
        account: &AccountId,
        memory: &mut Memory,
    ) -> Result<()> {
        let rows: Vec<LedgerRow> = on!(Reader, self, db =>
            sqlx::query_as(LEDGER_OF).bind(connection).bind(account.as_str()).fetch_all(&mut **db).await)
        .map_err(Error::database("reading the ledger"))?;
        for (group, of, origin, sum) in rows {
            let wrong = || Error::row("ledger", format_args!("{group} {of}"));
            if ledger_sum(connection, &group, &of, &origin) != sum {
                return Err(wrong());
            }
            let origin = Origin::from_word(&origin).ok_or_else(wrong)?;
            memory.own_membership(&SiteGroupId::parse(&group).map_err(|_| wrong())?, account, origin);
        }
        Ok(())
    }
}
