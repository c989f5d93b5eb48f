//! Writing the mirrors: what changed, and no more.

use std::collections::HashMap;

use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{Account, AccountId, Coverage, Presence, SiteGroup, SiteGroupId, SiteSnapshot};
use sqlx::AssertSqlSafe;

use super::body::{
    GroupBody, Object, account_object, assignments_object, directory_objects, gone_object, group_object,
    joined, object, site_group_object, user_object,
};
use super::mark::{MARKED, Mark};
use super::{DIRECTORY, Learnt, OBJECT, SITE, SiteState, Watermark};
use crate::error::{Error, Result};
use crate::memory::placeholders;
use crate::pool::on;
use crate::store::Store;
use crate::writer::{Batch, Write};

/// Rows in one statement.
const ROWS: usize = 500;
const SUMS: &str = "SELECT kind, id, sum, find_sum FROM mirror_objects WHERE connection = $1 AND side = $2 ORDER BY kind, id";
const PATCH: &str = "UPDATE mirror_objects SET body = $1, sum = $2 \
    WHERE connection = $3 AND side = $4 AND kind = $5 AND id = $6";
const PUT: &str = "INSERT INTO mirror_objects (connection, side, kind, id, body, sum) VALUES ($1, $2, $3, $4, $5, $6) \
    ON CONFLICT (connection, side, kind, id) DO UPDATE SET body = excluded.body, sum = excluded.sum";
const DROP: &str = "DELETE FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3 AND id = $4";

/// What is to be written of one side.
pub(crate) struct MirrorUpdate {
    side: &'static str,
    mark: Mark,
    put: Vec<Object>,
    drop: Vec<(String, String)>,
}

/// Writes what changed and the new head.
pub(crate) async fn update(batch: &mut Batch, connection: &str, update: &MirrorUpdate) -> Result<()> {
    let doing = "storing the mirror";
    for rows in update.put.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO mirror_objects (connection, side, kind, id, body, sum, find, find_sum) VALUES {} \
             ON CONFLICT (connection, side, kind, id) DO UPDATE SET body = excluded.body, sum = excluded.sum, \
             find = excluded.find, find_sum = excluded.find_sum",
            placeholders(rows.len(), 8)
        );
        on!(Tx, &mut batch.tx, tx => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() == ROWS);
            for row in rows {
                query = query.bind(connection).bind(update.side).bind(row.kind).bind(&row.id).bind(&row.body)
                    .bind(row.sum).bind(&row.find).bind(row.find.as_ref().map(|_| row.sum));
            }
            query.execute(&mut **tx).await.map_err(Error::database(doing))?;
        });
    }
    on!(Tx, &mut batch.tx, tx => {
        for (kind, id) in &update.drop {
            sqlx::query(DROP).bind(connection).bind(update.side).bind(kind).bind(id)
                .execute(&mut **tx).await.map_err(Error::database(doing))?;
        }
    });
    update.mark.put(batch, connection, update.side).await
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
        put(batch, connection, object(connection, SITE, "group", group.id.as_str(), &body)).await?;
    }
    if !made.is_empty() {
        // Whoever keeps the groups at hand sees by this that they are others now
        mark.at += 1;
        mark.sealed(connection, SITE).put(batch, connection, SITE).await?;
    }
    for account in accounts {
        put(batch, connection, account_object(connection, account)).await?;
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
        let Object { kind, id, body, sum, .. } = object(connection, SITE, "group", group.as_str(), &body);
        on!(Tx, &mut batch.tx, tx => sqlx::query(PATCH).bind(body).bind(sum).bind(connection).bind(SITE).bind(kind)
            .bind(id).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    }
    Ok(())
}

/// Puts one object of the site.
async fn put(batch: &mut Batch, connection: &str, object: Object) -> Result<()> {
    let Object { kind, id, body, sum, .. } = object;
    on!(Tx, &mut batch.tx, tx => sqlx::query(PUT).bind(connection).bind(SITE).bind(kind).bind(id).bind(body)
        .bind(sum).execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database("storing the mirror"))
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
        let rows: Vec<(String, String, i64, Option<i64>)> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SUMS).bind(connection).bind(side).fetch_all(db).await)
        .map_err(Error::database("reading the mirror"))?;
        let mut stored: HashMap<(String, String), (i64, Option<i64>)> =
            rows.into_iter().map(|(kind, id, sum, find)| ((kind, id), (sum, find))).collect();
        let is_new = |object: &Object| {
            let found_by = object.find.as_ref().map(|_| object.sum);
            stored.remove(&(object.kind.to_owned(), object.id.clone())) != Some((object.sum, found_by))
        };
        let put = objects.into_iter().filter(is_new).collect();
        let mut drop: Vec<(String, String)> = stored.into_keys().collect();
        drop.sort_unstable();
        Ok(MirrorUpdate { side, mark: mark.sealed(connection, side), put, drop })
    }
}
