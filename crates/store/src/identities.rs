//! Accounts of people who sign in through the directory. They are found by tenant and object id, never by name: whoever
//! is called like a local account gets one of their own beside it.

use entrain_domain::accounts::{Account, AccountChange, Chosen, DirectoryPerson};
use entrain_domain::service::Role;
use jiff::Timestamp;

use crate::accounts::{all_in, change_account, end_sessions, insert, named_in, note};
use crate::error::{Error, Result};
use crate::key::random;
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// Who changes the role of somebody who signs in, as the audit log names it.
const BY: &str = "sign-in with Microsoft";
/// Characters of an object id that are put behind a name that is taken.
const SHORT: usize = 8;

/// One operation of this module.
pub(crate) enum IdentityWrite {
    Admitted { person: DirectoryPerson, role: Role, new_id: String, at: Timestamp },
    TurnedAway { person: DirectoryPerson, why: String, at: Timestamp },
}

const FIND: &str = "SELECT subject, account, sum FROM account_identities WHERE subject = $1";
const KNOW: &str = "INSERT INTO account_identities (subject, account, sum) VALUES ($1, $2, $3)";

type Row = (String, String, i64);

fn sum(subject: &str, account: &str) -> i64 {
    Sum::of("account_identities").text(subject).text(account).finish()
}

/// The account's id, from a row that is as it was written.
fn account_of(row: Option<Row>) -> Result<Option<String>> {
    let Some((subject, account, stored)) = row else { return Ok(None) };
    if sum(&subject, &account) == stored {
        Ok(Some(account))
    } else {
        Err(Error::row("account_identities", &account))
    }
}

async fn find(batch: &mut Batch, subject: &str) -> Result<Option<String>> {
    let row: Option<Row> =
        on!(Tx, &mut batch.tx, tx => sqlx::query_as(FIND).bind(subject).fetch_optional(&mut **tx).await)
            .map_err(Error::database("looking for who signs in"))?;
    account_of(row)
}

/// Does one operation within the transaction.
pub(crate) async fn apply(batch: &mut Batch, write: &IdentityWrite) -> Result<()> {
    match write {
        IdentityWrite::Admitted { person, role, new_id, at } => {
            let subject = person.subject();
            if let Some(id) = find(batch, &subject).await? {
                return change_account(batch, &id, &AccountChange::Role(*role), BY, *at).await;
            }
            // The first administrator is made at the machine: whoever can read its log
            if all_in(batch).await?.is_empty() {
                return Err(Error::LinkSpent);
            }
            let account = Account {
                id: new_id.clone(),
                name: free_name(batch, person).await?,
                role: *role,
                hash: String::new(),
                chosen: Chosen::ByHolder,
                created_at: *at,
                disabled_at: None,
            };
            insert(batch, &account, BY).await?;
            on!(Tx, &mut batch.tx, tx => sqlx::query(KNOW)
                .bind(&subject).bind(new_id).bind(sum(&subject, new_id))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("storing who signs in"))
        }
        IdentityWrite::TurnedAway { person, why, at } => {
            if let Some(id) = find(batch, &person.subject()).await? {
                end_sessions(batch, &id).await?;
            }
            note(batch, &person.name, "sign_in_refused", &person.subject(), why.clone(), *at).await
        }
    }
}

/// The person's name, or with a part of the object id behind it where somebody else is called so.
async fn free_name(batch: &mut Batch, person: &DirectoryPerson) -> Result<String> {
    let short: String = person.object_id.chars().take(SHORT).collect();
    for name in [person.name.clone(), format!("{} ({short})", person.name)] {
        if named_in(batch, &name).await?.is_none() {
            return Ok(name);
        }
    }
    Ok(format!("{} ({})", person.name, person.object_id))
}

impl Store {
    /// The account of somebody whom the directory has signed in, with the role that they have there now; made at their
    /// first sign-in. Fails with [`Error::LastAdministrator`] where the role would be taken from the last one, and with
    /// [`Error::LinkSpent`] as long as there is no account at all. Whether it is disabled is for the caller to look at.
    pub async fn admit(&self, person: DirectoryPerson, role: Role) -> Result<Account> {
        let mut id = [0_u8; 8];
        random(&mut id)?;
        let person = DirectoryPerson { name: storable(&person.name), ..person };
        let (subject, at) = (person.subject(), self.now());
        let write = IdentityWrite::Admitted { person, role, new_id: hex::encode(id), at };
        self.write(Write::Identity(write)).await?;
        let row: Option<Row> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(FIND).bind(&subject).fetch_optional(db).await)
        .map_err(Error::database("looking for who signs in"))?;
        let id = account_of(row)?.ok_or_else(|| Error::AccountUnknown(subject.clone()))?;
        self.account(&id).await?.ok_or(Error::AccountUnknown(id))
    }

    /// Notes that somebody whom the directory has signed in gets no further, and ends the sessions that they have.
    pub async fn turn_away(&self, person: DirectoryPerson, why: &str) -> Result<()> {
        let person = DirectoryPerson { name: storable(&person.name), ..person };
        let write = IdentityWrite::TurnedAway { person, why: why.to_owned(), at: self.now() };
        self.write(Write::Identity(write)).await
    }
}
