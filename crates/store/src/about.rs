//! What the sync of one person begins with, over one connection to the database: their part of the memory, what the mirrors
//! have of them, and what guards look at. What is the same for everybody who comes at once is counted once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use entrain_domain::memory::{GroupLink, Memory, MemoryChange, Size};
use entrain_domain::model::{AccountId, Assignments, DirectoryUser, DirectoryUserId, SiteGroupId};
use entrain_domain::plan::History;
use entrain_domain::run::Outcome;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::mirror::MirrorHead;
use crate::persons::PersonWrite;
use crate::pool::{Reader, on};
use crate::store::Store;
use crate::writer::Write;

/// How old that may be which is read over the whole of a connection for many at once. What this process writes is never
/// missing from it.
const COUNTED: SignedDuration = SignedDuration::from_secs(2);

const SIZE_USERS: &str = "SELECT count(*) FROM user_links WHERE connection = $1";
const SIZE_LEDGER: &str = "SELECT count(*), count(DISTINCT account) FROM ledger WHERE connection = $1";
const SIZE_GROUPS: &str = "SELECT l.site_group, count(*) FROM ledger l WHERE l.connection = $1 AND l.site_group IN \
    (SELECT o.site_group FROM ledger o WHERE o.connection = $1 AND o.account = $2) GROUP BY l.site_group";

/// What the sync of one person begins with.
#[derive(Debug)]
pub struct AboutPerson {
    /// Their part of the memory.
    pub memory: Memory,
    /// Them, as the directory's mirror has them.
    pub mirrored: Option<DirectoryUser>,
    /// To whom the application of the scope was assigned, as last listed.
    pub assignments: Option<Assignments>,
    /// What is known of both mirrors; `None` unless there are both.
    pub head: Option<MirrorHead>,
    /// Which state the groups of both mirrors are in.
    pub ground_stamp: Option<String>,
    /// What guards look at.
    pub history: History,
}

/// Something of each connection.
type Of<T> = Mutex<HashMap<String, Kept<T>>>;

/// What was read, when, and after how many writes that would change it.
struct Kept<T> {
    at: Timestamp,
    writes: u64,
    what: T,
}

impl<T: Clone> Kept<T> {
    fn still(&self, now: Timestamp, writes: u64) -> Option<T> {
        let fresh = self.at <= now && now.duration_since(self.at) < COUNTED && self.writes == writes;
        fresh.then(|| self.what.clone())
    }
}

/// What was counted and read over whole connections.
#[derive(Default)]
pub(crate) struct Counted {
    sizes: Of<Size>,
    lately: Of<History>,
    groups: Of<Arc<[GroupLink]>>,
    /// Steps that this process has written down as done.
    done: AtomicU64,
    /// How often it has linked a group, or parted one from its link.
    linked: AtomicU64,
}

impl Counted {
    /// Something was written: what it makes wrong counts no more.
    pub(crate) fn written(&self, write: &Write) {
        let changes = match write {
            Write::Settle { end, .. } => {
                if end.outcome == Outcome::Done {
                    self.done.fetch_add(1, Ordering::AcqRel);
                }
                &end.changes
            }
            Write::Learn { changes, .. }
            | Write::Person { write: PersonWrite::Learn { changes, .. }, .. } => changes,
            _ => return,
        };
        let links = |change: &MemoryChange| {
            matches!(change, MemoryChange::LinkGroup(_) | MemoryChange::UnlinkGroup { .. })
        };
        if changes.iter().any(links) {
            self.linked.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Store {
    /// Everything that the sync of one person begins with. What other servers have done within two seconds may be missing
    /// from the counts over the whole connection and from the links of groups.
    pub async fn about_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        now: Timestamp,
    ) -> Result<AboutPerson> {
        let mut reader = self.inner.readers.reader().await?;
        let memory = self.part_of_memory(&mut reader, connection, user, &[]).await?;
        let (mirrored, assignments) = reader.mirrored_user(connection, user).await?;
        let heads = reader.heads(connection).await?;
        let history = self.lately(&mut reader, connection, now).await?;
        Ok(AboutPerson {
            memory,
            mirrored,
            assignments,
            head: heads.head()?,
            ground_stamp: heads.stamp(),
            history: History { users_before: heads.people(), ..history },
        })
    }

    /// What is remembered of one person and of these accounts: links, all links of groups, the ledger of their
    /// accounts, their place on the ladder; with the size of the whole.
    pub async fn person_memory(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        accounts: &[AccountId],
    ) -> Result<Memory> {
        let mut reader = self.inner.readers.reader().await?;
        self.part_of_memory(&mut reader, connection, user, accounts).await
    }

    async fn part_of_memory(
        &self,
        reader: &mut Reader,
        connection: &str,
        user: &DirectoryUserId,
        accounts: &[AccountId],
    ) -> Result<Memory> {
        let mut memory = Memory::new();
        for link in reader.links_of(connection, user, accounts).await? {
            memory.link_user(link);
        }
        for link in self.group_links(reader, connection).await?.iter() {
            memory.link_group(link.clone());
        }
        let own = memory.user(user).map(|link| link.account.clone());
        for account in own.iter().chain(accounts) {
            reader.ledger_of(connection, account, &mut memory).await?;
        }
        if let Some(place) = reader.place_of(connection, user).await? {
            memory.apply(&MemoryChange::EnterLadder(Box::new(place)));
        }
        reader.marks(connection, &mut memory).await?;
        reader.seat_queue(connection, &mut memory).await?;
        let mut size = self.size(reader, connection).await?;
        if let Some(account) = &own {
            let groups: Vec<(String, i64)> = on!(Reader, reader, db =>
                sqlx::query_as(SIZE_GROUPS).bind(connection).bind(account.as_str()).fetch_all(&mut **db).await)
            .map_err(Error::database("reading links and ledger"))?;
            for (group, count) in groups {
                let id = SiteGroupId::parse(&group).map_err(|_| Error::row("ledger", &group))?;
                size.of_groups.insert(id, number(count));
            }
        }
        memory.part_of(size);
        Ok(memory)
    }

    /// All links of groups, which everybody who comes needs.
    async fn group_links(&self, reader: &mut Reader, connection: &str) -> Result<Arc<[GroupLink]>> {
        let Counted { groups, linked, .. } = &*self.inner.counted;
        let now = self.now();
        let mut kept = groups.lock().await;
        let links = linked.load(Ordering::Acquire);
        if let Some(groups) = kept.get(connection).and_then(|kept| kept.still(now, links)) {
            return Ok(groups);
        }
        let what: Arc<[GroupLink]> = reader.group_links(connection).await?.into();
        kept.insert(connection.to_owned(), Kept { at: now, writes: links, what: what.clone() });
        Ok(what)
    }

    /// How much the whole of a connection's memory holds, single groups aside.
    async fn size(&self, reader: &mut Reader, connection: &str) -> Result<Size> {
        let doing = "counting links and ledger";
        let now = self.now();
        let mut counted = self.inner.counted.sizes.lock().await;
        if let Some(size) = counted.get(connection).and_then(|kept| kept.still(now, 0)) {
            return Ok(size);
        }
        let users: i64 = on!(Reader, &mut *reader, db =>
            sqlx::query_scalar(SIZE_USERS).bind(connection).fetch_one(&mut **db).await)
        .map_err(Error::database(doing))?;
        let (memberships, holders): (i64, i64) = on!(Reader, reader, db =>
            sqlx::query_as(SIZE_LEDGER).bind(connection).fetch_one(&mut **db).await)
        .map_err(Error::database(doing))?;
        let size = Size {
            users: number(users),
            memberships: number(memberships),
            holders: number(holders),
            ..Size::default()
        };
        counted.insert(connection.to_owned(), Kept { at: now, writes: 0, what: size.clone() });
        Ok(size)
    }

    /// What was done within 24 hours. Whatever this process does is in it at once.
    async fn lately(&self, reader: &mut Reader, connection: &str, now: Timestamp) -> Result<History> {
        let Counted { lately, done, .. } = &*self.inner.counted;
        let mut counted = lately.lock().await;
        let steps = done.load(Ordering::Acquire);
        if let Some(history) = counted.get(connection).and_then(|kept| kept.still(now, steps)) {
            return Ok(history);
        }
        let history = reader.history(connection, now).await?;
        counted.insert(connection.to_owned(), Kept { at: now, writes: steps, what: history });
        Ok(history)
    }
}

fn number(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    /// The ledger of everybody else must not slow the sign-in of one.
    #[tokio::test]
    async fn p_8_the_groups_of_an_account_are_found_in_an_index() {
        let ways = ways(SIZE_GROUPS).await;
        let own = "SEARCH o USING COVERING INDEX ledger_of_account (connection=? AND account=?)";
        assert!(ways.iter().any(|way| way == own), "{ways:?}");
    }
}
