//! Reading the mirrors, whole or as far as a sync of one person needs them.

use std::collections::HashMap;

use entrain_domain::model::{
    Account, AccountId, Assignments, DirectoryGroupId, DirectoryReading, DirectoryUser, DirectoryUserId,
    Ground, KnownGroup, MemberRef, SiteGroup, SiteGroupId, SitePicture,
};
use futures_util::TryStreamExt as _;

use super::body::{AccountBody, GroupBody, UserBody, object_sum, stored_assignments};
use super::mark::{MARKED, Mark};
use super::{ASSIGNED, DIRECTORY, MirrorHead, OBJECT, SITE};
use crate::error::{Error, Result};
use crate::pool::{Reader, on};
use crate::store::Store;

const OBJECTS: &str =
    "SELECT kind, id, body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 ORDER BY kind, id";
const GROUPS: &str = "SELECT id, body, sum FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = 'group' \
    ORDER BY id";
const ASSIGNMENTS: &str =
    "SELECT id, body FROM mirror_objects WHERE connection = $1 AND side = $2 AND kind = $3";

impl Store {
    /// What is known of both mirrors without loading them; `None` unless there are both.
    pub async fn mirror_head(&self, connection: &str) -> Result<Option<MirrorHead>> {
        self.inner.readers.reader().await?.heads(connection).await?.head()
    }

    pub(super) async fn mark(&self, connection: &str, side: &str) -> Result<Option<Mark>> {
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
        Ok(self.inner.readers.reader().await?.heads(connection).await?.people())
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
            let stored: UserBody = serde_json::from_str(body).map_err(|_| wrong())?;
            match stored.into_user(user) {
                Ok(user) => reading.put_user(user),
                Err((user, how)) => reading.user_gone(&user, how),
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
        Ok(self.inner.readers.reader().await?.heads(connection).await?.stamp())
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
        self.inner.readers.reader().await?.mirrored_user(connection, user).await
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

impl Reader {
    /// Somebody as the directory's mirror has them, and the assignments as last listed.
    pub(crate) async fn mirrored_user(
        &mut self,
        connection: &str,
        user: &DirectoryUserId,
    ) -> Result<(Option<DirectoryUser>, Option<Assignments>)> {
        let row: Option<(String, i64)> = on!(Reader, &mut *self, db => sqlx::query_as(OBJECT)
            .bind(connection).bind(DIRECTORY).bind("user").bind(user.as_str()).fetch_optional(&mut **db).await)
        .map_err(Error::database("reading the mirror"))?;
        let wrong = || Error::row("mirror_objects", user);
        let known = match row {
            Some((body, sum)) if object_sum(connection, DIRECTORY, "user", user.as_str(), &body) != sum => {
                return Err(wrong());
            }
            Some((body, _)) => {
                let stored: UserBody = serde_json::from_str(&body).map_err(|_| wrong())?;
                stored.into_user(user.clone()).ok()
            }
            None => None,
        };
        let assigned: Option<(String, String)> = on!(Reader, self, db => sqlx::query_as(ASSIGNMENTS)
            .bind(connection).bind(DIRECTORY).bind(ASSIGNED).fetch_optional(&mut **db).await)
        .map_err(Error::database("reading the mirror"))?;
        let assigned = assigned.map(|(id, body)| stored_assignments(&id, &body)).transpose()?;
        Ok((known, assigned))
    }
}
