//! One person or group as it was last read, and looking for some by a part of a name, without putting the whole mirror
//! together: a search is one bounded scan in the database, and ends at the limit.

use std::sync::Arc;

use entrain_domain::memory::{Memory, Origin};
use entrain_domain::model::{
    Account, AccountId, DirectoryGroupId, DirectoryUser, DirectoryUserId, SiteGroupId,
};
use futures_util::TryStreamExt as _;

use crate::error::{Error, Result};
use crate::mirror::{AccountBody, DIRECTORY, GroupBody, OBJECT, SITE, UserBody, object_sum};
use crate::pool::on;
use crate::store::Store;
use crate::sum::storable;

const FIND: &str = "SELECT id, body, sum FROM mirror_objects WHERE connection = $1 AND side = 'directory' AND kind = $2 \
    AND find LIKE $3 ESCAPE '!' ORDER BY find";
/// What an Entrain wrote that does not know of names to look for. Names and addresses stand at the beginning of each body;
/// behind them, in groups, come lists of members.
const FIND_OLD: &str = "SELECT id, body, sum FROM mirror_objects WHERE connection = $1 AND side = 'directory' AND kind = $2 \
    AND find IS NULL AND (lower(substr(body, 1, 1200)) LIKE $3 ESCAPE '!' OR id LIKE $3 ESCAPE '!') ORDER BY find";

/// A text as a pattern for names in small letters.
fn name_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in storable(&text.to_lowercase()).chars() {
        if ['!', '%', '_'].contains(&c) {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// A text as a pattern for bodies, which are JSON. The databases fold the case of ASCII alone: what has a case beyond it
/// stands for anything, and whoever reads the rows compares them exactly.
fn pattern(text: &str) -> String {
    let json = serde_json::to_string(&text.to_lowercase()).expect("a text is JSON");
    let mut pattern = String::from("%");
    for c in json[1..json.len() - 1].chars() {
        if !c.is_ascii() && !c.to_uppercase().eq([c]) {
            pattern.push('%');
            continue;
        }
        if ['!', '%', '_'].contains(&c) {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl Store {
    /// The objects of the directory that `take` wants, at most so many, in the order of names.
    async fn find<T>(
        &self,
        connection: &str,
        kind: &str,
        text: &str,
        limit: usize,
        mut take: impl FnMut(&str, &str) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for (sql, pattern) in [(FIND, name_pattern(text)), (FIND_OLD, pattern(text))] {
            on!(Pool, &self.inner.readers, db => {
                let mut rows = sqlx::query_as::<_, (String, String, i64)>(sql)
                    .bind(connection).bind(kind).bind(pattern).fetch(db);
                while found.len() < limit {
                    let row = rows.try_next().await.map_err(Error::database("searching the mirror"))?;
                    let Some((id, body, sum)) = row else { break };
                    if object_sum(connection, DIRECTORY, kind, &id, &body) != sum {
                        return Err(Error::row("mirror_objects", &id));
                    }
                    found.extend(take(&id, &body)?);
                }
            });
        }
        Ok(found)
    }

    /// People of the directory, as last read, whose name, address or id holds this text, whatever its case; `None`
    /// where nothing was read yet.
    pub async fn find_people(
        &self,
        connection: &str,
        text: &str,
        limit: usize,
    ) -> Result<Option<Vec<DirectoryUser>>> {
        if self.people(connection).await?.is_none() {
            return Ok(None);
        }
        let wanted = text.to_lowercase();
        let has = |part: &str| part.to_lowercase().contains(&wanted);
        let take = |id: &str, body: &str| {
            let wrong = || Error::row("mirror_objects", id);
            let body: UserBody = serde_json::from_str(body).map_err(|_| wrong())?;
            let user = body.into_user(DirectoryUserId::parse(id).map_err(|_| wrong())?).ok();
            Ok(user.filter(|user| {
                let address = user.address().map(|address| address.to_string()).unwrap_or_default();
                let upn = user.user_principal_name.as_deref().unwrap_or_default();
                has(user.label()) || has(&address) || has(upn) || has(id)
            }))
        };
        self.find(connection, "user", text, limit, take).await.map(Some)
    }

    /// Groups of the directory, likewise.
    pub async fn find_groups(
        &self,
        connection: &str,
        text: &str,
        limit: usize,
    ) -> Result<Option<Vec<(DirectoryGroupId, Arc<str>)>>> {
        if self.people(connection).await?.is_none() {
            return Ok(None);
        }
        let wanted = text.to_lowercase();
        let has = |part: &str| part.to_lowercase().contains(&wanted);
        let take = |id: &str, body: &str| {
            let wrong = || Error::row("mirror_objects", id);
            let body: GroupBody = serde_json::from_str(body).map_err(|_| wrong())?;
            let wanted = !body.gone && (has(&body.name) || has(id));
            let id = DirectoryGroupId::parse(id).map_err(|_| wrong())?;
            Ok(wanted.then_some((id, body.name)))
        };
        self.find(connection, "group", text, limit, take).await.map(Some)
    }

    /// An account as the site's mirror has it.
    pub async fn mirrored_account(&self, connection: &str, account: &AccountId) -> Result<Option<Account>> {
        let row: Option<(String, i64)> = on!(Pool, &self.inner.readers, db => sqlx::query_as(OBJECT)
            .bind(connection).bind(SITE).bind("account").bind(account.as_str()).fetch_optional(db).await)
        .map_err(Error::database("reading the mirror"))?;
        let Some((body, sum)) = row else { return Ok(None) };
        let wrong = || Error::row("mirror_objects", account);
        if object_sum(connection, SITE, "account", account.as_str(), &body) != sum {
            return Err(wrong());
        }
        let body: AccountBody = serde_json::from_str(&body).map_err(|_| wrong())?;
        Ok(Some(Account {
            id: account.clone(),
            email: body.mail,
            display_name: body.name,
            activity: body.activity,
            kind: body.kind,
        }))
    }

    /// The memberships of an account that the ledger has.
    pub async fn owned_memberships(
        &self,
        connection: &str,
        account: &AccountId,
    ) -> Result<Vec<(SiteGroupId, Origin)>> {
        let mut memory = Memory::new();
        self.inner.readers.reader().await?.ledger_of(connection, account, &mut memory).await?;
        Ok(memory.all_memberships().map(|(group, _, origin)| (group.clone(), origin)).collect())
    }

    /// The link of a person.
    pub async fn link_of(
        &self,
        connection: &str,
        user: &DirectoryUserId,
    ) -> Result<Option<entrain_domain::memory::UserLink>> {
        Ok(self.inner.readers.reader().await?.links_of(connection, user, &[]).await?.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::ways;

    #[tokio::test]
    async fn a_search_reads_the_index_of_names_and_of_old_objects_none_where_there_are_none() {
        for (sql, how) in [(FIND, "kind=?)"), (FIND_OLD, "kind=? AND find=?)")] {
            let ways = ways(sql).await;
            assert!(ways[0].contains("mirror_objects_by_name (connection=? AND side=? AND "), "{ways:?}");
            assert!(ways[0].ends_with(how), "{ways:?}");
        }
    }

    #[test]
    fn signs_of_patterns_and_of_json_are_letters_like_others() {
        assert_eq!(pattern("Ö_%!"), "%%!_!%!!%");
        assert_eq!(pattern("A\"b\\"), "%a\\\"b\\\\%");
        assert_eq!(pattern("田中"), "%田中%", "what has no case stays");
    }
}
