//! People who sign in to the console: their accounts, their sessions, and links that work once. Of a session and of a
//! link only a digest is stored, of a password only what argon2id makes of it; none of them is made here.

use entrain_domain::accounts::{Account, AccountChange, Chosen, LinkFor, Session};
use entrain_domain::run::AuditNote;
use entrain_domain::service::Role;
use jiff::Timestamp;

use crate::audit;
use crate::error::{Error, Result};
use crate::key::random;
use crate::pool::on;
use crate::store::Store;
use crate::sum::{Sum, storable};
use crate::writer::{Batch, Write};

/// What the audit log says of a change.
fn told(change: &AccountChange) -> (&'static str, String) {
    match change {
        AccountChange::Role(role) => ("account_role", format!("role {}", role.as_str())),
        AccountChange::Disable => ("account_disabled", String::new()),
        AccountChange::Enable => ("account_enabled", String::new()),
        AccountChange::Password(_, Chosen::ByHolder) => ("account_password", "another password".to_owned()),
        AccountChange::Password(_, Chosen::ByAnother) => {
            ("account_password", "another password, to be changed at the next sign-in".to_owned())
        }
    }
}

/// One operation of this module.
pub(crate) enum AccountWrite {
    Made { account: Account, link: Option<String>, author: String },
    Changed { id: String, change: AccountChange, author: String, at: Timestamp },
    SessionBegun { session: Session, link: Option<String> },
    SessionSeen { id: String, at: Timestamp },
    SessionEnded { id: String, at: Timestamp },
    SessionsEnded { account: String },
    LinkMade { hash: String, account: Option<String>, at: Timestamp, ends_at: Timestamp },
}

const MAKE: &str = "INSERT INTO accounts (id, name, folded, role, hash, created_at, disabled_at, handed_out, \
    sum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const CHANGE: &str =
    "UPDATE accounts SET role = $1, hash = $2, disabled_at = $3, handed_out = $4, sum = $5 WHERE id = $6";
const ACCOUNT: &str = "SELECT id, name, folded, role, hash, created_at, disabled_at, handed_out, sum FROM accounts \
    WHERE id = $1";
const NAMED: &str = "SELECT id, name, folded, role, hash, created_at, disabled_at, handed_out, sum FROM accounts \
    WHERE folded = $1";
const ACCOUNTS: &str = "SELECT id, name, folded, role, hash, created_at, disabled_at, handed_out, sum FROM accounts \
    ORDER BY folded";
const BEGIN: &str = "INSERT INTO sessions (id, account, began_at, seen_at, ends_at, address, agent, sum) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const SESSION: &str =
    "SELECT id, account, began_at, seen_at, ends_at, address, agent, sum FROM sessions WHERE id = $1";
const SESSIONS: &str = "SELECT id, account, began_at, seen_at, ends_at, address, agent, sum FROM sessions \
    WHERE $1 IS NULL OR account = $1 ORDER BY began_at DESC, id";
const SEEN: &str = "UPDATE sessions SET seen_at = $1, sum = $2 WHERE id = $3";
const END: &str = "DELETE FROM sessions WHERE id = $1";
const END_ALL: &str = "DELETE FROM sessions WHERE account = $1";
const END_OLD: &str = "DELETE FROM sessions WHERE ends_at <= $1";
const MAKE_LINK: &str = "INSERT INTO one_time_links (hash, account, ends_at, sum) VALUES ($1, $2, $3, $4)";
const LINK: &str = "SELECT hash, account, ends_at, sum FROM one_time_links WHERE hash = $1";
const SPEND: &str = "DELETE FROM one_time_links WHERE hash = $1";
const OLD_LINKS: &str = "DELETE FROM one_time_links WHERE ends_at <= $1";
const FIRST_LINKS: &str = "DELETE FROM one_time_links WHERE account IS NULL";

/// A name as it is compared: no two accounts differ by case alone.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: String,
    name: String,
    folded: String,
    role: String,
    hash: String,
    created_at: i64,
    disabled_at: Option<i64>,
    handed_out: i64,
    sum: i64,
}

/// How it is stored who chose a password.
fn handed_out(chosen: Chosen) -> i64 {
    match chosen {
        Chosen::ByHolder => 0,
        Chosen::ByAnother => 1,
    }
}

fn account_sum(account: &Account) -> i64 {
    let sum = Sum::of("accounts")
        .text(&account.id)
        .text(&account.name)
        .text(&folded(&account.name))
        .text(account.role.as_str())
        .text(&account.hash)
        .number(account.created_at.as_millisecond())
        .number(account.disabled_at.map_or(i64::MIN, Timestamp::as_millisecond));
    // Rows from before it was told who chose a password keep their sum
    match account.chosen {
        Chosen::ByHolder => sum,
        Chosen::ByAnother => sum.number(handed_out(account.chosen)),
    }
    .finish()
}

impl AccountRow {
    fn account(self) -> Result<Account> {
        let wrong = || Error::row("accounts", &self.id);
        let instant = |ms| Timestamp::from_millisecond(ms).map_err(|_| wrong());
        let account = Account {
            role: Role::from_word(&self.role).ok_or_else(wrong)?,
            created_at: instant(self.created_at)?,
            disabled_at: self.disabled_at.map(instant).transpose()?,
            id: self.id.clone(),
            name: self.name.clone(),
            hash: self.hash.clone(),
            chosen: match self.handed_out {
                0 => Chosen::ByHolder,
                1 => Chosen::ByAnother,
                _ => return Err(wrong()),
            },
        };
        if self.folded == folded(&account.name) && account_sum(&account) == self.sum {
            Ok(account)
        } else {
            Err(wrong())
        }
    }
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: String,
    account: String,
    began_at: i64,
    seen_at: i64,
    ends_at: i64,
    address: String,
    agent: String,
    sum: i64,
}

fn session_sum(session: &Session) -> i64 {
    Sum::of("sessions")
        .text(&session.id)
        .text(&session.account)
        .number(session.began_at.as_millisecond())
        .number(session.seen_at.as_millisecond())
        .number(session.ends_at.as_millisecond())
        .text(&session.address)
        .text(&session.agent)
        .finish()
}

impl SessionRow {
    fn session(self) -> Result<Session> {
        let wrong = || Error::row("sessions", &self.account);
        let instant = |ms| Timestamp::from_millisecond(ms).map_err(|_| wrong());
        let session = Session {
            began_at: instant(self.began_at)?,
            seen_at: instant(self.seen_at)?,
            ends_at: instant(self.ends_at)?,
            id: self.id.clone(),
            account: self.account.clone(),
            address: self.address.clone(),
            agent: self.agent.clone(),
        };
        if session_sum(&session) == self.sum { Ok(session) } else { Err(wrong()) }
    }
}

type LinkRow = (String, Option<String>, i64, i64);

fn link_sum(hash: &str, account: Option<&str>, ends_at: i64) -> i64 {
    Sum::of("one_time_links").text(hash).maybe(account).number(ends_at).finish()
}

/// Whom a link is for, unless it has ended.
fn link(row: Option<LinkRow>, now: Timestamp) -> Result<Option<LinkFor>> {
    let Some((hash, account, ends_at, sum)) = row else { return Ok(None) };
    if link_sum(&hash, account.as_deref(), ends_at) != sum {
        return Err(Error::row("one_time_links", "of a link"));
    }
    let whose = account.map_or(LinkFor::First, LinkFor::Account);
    Ok((now.as_millisecond() < ends_at).then_some(whose))
}

/// Does one operation within the transaction.
pub(crate) async fn apply(batch: &mut Batch, write: &AccountWrite) -> Result<()> {
    match write {
        AccountWrite::Made { account, link, author } => make(batch, account, link.as_deref(), author).await,
        AccountWrite::Changed { id, change, author, at } => {
            change_account(batch, id, change, author, *at).await
        }
        AccountWrite::SessionBegun { session, link } => begin(batch, session, link.as_deref()).await,
        AccountWrite::SessionSeen { id, at } => {
            let Some(mut session) = session_in(batch, id).await? else { return Ok(()) };
            session.seen_at = *at;
            on!(Tx, &mut batch.tx, tx => sqlx::query(SEEN)
                .bind(at.as_millisecond()).bind(session_sum(&session)).bind(id)
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("noting a session"))
        }
        AccountWrite::SessionEnded { id, at } => {
            let Some(session) = session_in(batch, id).await? else { return Ok(()) };
            on!(Tx, &mut batch.tx, tx => sqlx::query(END).bind(id).execute(&mut **tx).await.map(|_| ()))
                .map_err(Error::database("ending a session"))?;
            let account = account_in(batch, &session.account).await?;
            note(batch, &account.name, "signed_out", &account.name, session.address, *at).await
        }
        AccountWrite::SessionsEnded { account } => end_sessions(batch, account).await,
        AccountWrite::LinkMade { hash, account, at, ends_at } => {
            let ends = ends_at.as_millisecond();
            on!(Tx, &mut batch.tx, tx => sqlx::query(OLD_LINKS)
                .bind(at.as_millisecond()).execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("forgetting old links"))?;
            on!(Tx, &mut batch.tx, tx => sqlx::query(MAKE_LINK)
                .bind(hash).bind(account).bind(ends).bind(link_sum(hash, account.as_deref(), ends))
                .execute(&mut **tx).await.map(|_| ()))
            .map_err(Error::database("storing a link"))
        }
    }
}

pub(crate) async fn note(
    batch: &mut Batch,
    actor: &str,
    action: &str,
    object: &str,
    detail: String,
    at: Timestamp,
) -> Result<()> {
    let note = AuditNote { actor: actor.into(), action: action.into(), object: object.into(), detail };
    audit::append(batch, &note, at).await
}

async fn account_in(batch: &mut Batch, id: &str) -> Result<Account> {
    let row: Option<AccountRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(ACCOUNT).bind(id).fetch_optional(&mut **tx).await)
    .map_err(Error::database("reading accounts"))?;
    row.ok_or_else(|| Error::AccountUnknown(id.to_owned()))?.account()
}

/// An account by name, whatever the case.
pub(crate) async fn named_in(batch: &mut Batch, name: &str) -> Result<Option<Account>> {
    let row: Option<AccountRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(NAMED).bind(folded(name)).fetch_optional(&mut **tx).await)
    .map_err(Error::database("reading accounts"))?;
    row.map(AccountRow::account).transpose()
}

pub(crate) async fn all_in(batch: &mut Batch) -> Result<Vec<Account>> {
    let rows: Vec<AccountRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(ACCOUNTS).fetch_all(&mut **tx).await)
    .map_err(Error::database("reading accounts"))?;
    rows.into_iter().map(AccountRow::account).collect()
}

async fn session_in(batch: &mut Batch, id: &str) -> Result<Option<Session>> {
    let row: Option<SessionRow> = on!(Tx, &mut batch.tx, tx =>
        sqlx::query_as(SESSION).bind(id).fetch_optional(&mut **tx).await)
    .map_err(Error::database("reading sessions"))?;
    row.map(SessionRow::session).transpose()
}

pub(crate) async fn end_sessions(batch: &mut Batch, account: &str) -> Result<()> {
    on!(Tx, &mut batch.tx, tx => sqlx::query(END_ALL).bind(account).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database("ending sessions"))
}

/// Uses a link up; it must be for this account, or for the first one.
async fn spend(batch: &mut Batch, hash: &str, whose: &LinkFor, now: Timestamp) -> Result<()> {
    let doing = "using a link";
    let row: Option<LinkRow> =
        on!(Tx, &mut batch.tx, tx => sqlx::query_as(LINK).bind(hash).fetch_optional(&mut **tx).await)
            .map_err(Error::database(doing))?;
    if link(row, now)?.as_ref() != Some(whose) {
        return Err(Error::LinkSpent);
    }
    on!(Tx, &mut batch.tx, tx => sqlx::query(SPEND).bind(hash).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))
}

async fn make(batch: &mut Batch, account: &Account, link: Option<&str>, author: &str) -> Result<()> {
    if let Some(link) = link {
        spend(batch, link, &LinkFor::First, account.created_at).await?;
        if !all_in(batch).await?.is_empty() {
            return Err(Error::LinkSpent);
        }
    }
    insert(batch, account, author).await
}

/// Stores an account, and notes who made it.
pub(crate) async fn insert(batch: &mut Batch, account: &Account, author: &str) -> Result<()> {
    let doing = "storing an account";
    on!(Tx, &mut batch.tx, tx => sqlx::query(MAKE)
        .bind(&account.id).bind(&account.name).bind(folded(&account.name)).bind(account.role.as_str())
        .bind(&account.hash).bind(account.created_at.as_millisecond())
        .bind(account.disabled_at.map(Timestamp::as_millisecond)).bind(handed_out(account.chosen))
        .bind(account_sum(account))
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Error::AccountExists(account.name.clone())
        }
        _ => Error::database(doing)(error),
    })?;
    // Whatever link there was for a first one is worth nothing now
    on!(Tx, &mut batch.tx, tx => sqlx::query(FIRST_LINKS).execute(&mut **tx).await.map(|_| ()))
        .map_err(Error::database(doing))?;
    let detail = format!("role {}", account.role.as_str());
    note(batch, author, "account_created", &account.name, detail, account.created_at).await
}

pub(crate) async fn change_account(
    batch: &mut Batch,
    id: &str,
    change: &AccountChange,
    author: &str,
    at: Timestamp,
) -> Result<()> {
    let mut account = account_in(batch, id).await?;
    let before = account.clone();
    match change {
        AccountChange::Role(role) => account.role = *role,
        AccountChange::Disable => account.disabled_at = account.disabled_at.or(Some(at)),
        AccountChange::Enable => account.disabled_at = None,
        AccountChange::Password(..) if account.hash.is_empty() => {
            return Err(Error::AccountOfDirectory(account.name));
        }
        AccountChange::Password(hash, chosen) => {
            account.hash.clone_from(hash);
            account.chosen = *chosen;
        }
    }
    if account == before {
        return Ok(());
    }
    // With a password: it has to work also when the directory's sign-in does not
    let rules = |account: &Account| {
        account.role == Role::Administrator && account.disabled_at.is_none() && !account.hash.is_empty()
    };
    if rules(&before) && !rules(&account) {
        let others = all_in(batch).await?;
        if !others.iter().any(|other| other.id != id && rules(other)) {
            return Err(Error::LastAdministrator(account.name));
        }
    }
    on!(Tx, &mut batch.tx, tx => sqlx::query(CHANGE)
        .bind(account.role.as_str()).bind(&account.hash)
        .bind(account.disabled_at.map(Timestamp::as_millisecond)).bind(handed_out(account.chosen))
        .bind(account_sum(&account)).bind(id)
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database("changing an account"))?;
    if matches!(change, AccountChange::Disable | AccountChange::Password(..)) {
        end_sessions(batch, id).await?;
    }
    let (action, detail) = told(change);
    note(batch, author, action, &account.name, detail, at).await
}

async fn begin(batch: &mut Batch, session: &Session, link: Option<&str>) -> Result<()> {
    let doing = "beginning a session";
    let now = session.began_at;
    let account = account_in(batch, &session.account).await?;
    if let Some(link) = link {
        spend(batch, link, &LinkFor::Account(account.id.clone()), now).await?;
    }
    if account.disabled_at.is_some() {
        return Err(Error::AccountUnknown(account.id));
    }
    on!(Tx, &mut batch.tx, tx => sqlx::query(END_OLD)
        .bind(now.as_millisecond()).execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))?;
    on!(Tx, &mut batch.tx, tx => sqlx::query(BEGIN)
        .bind(&session.id).bind(&session.account).bind(now.as_millisecond())
        .bind(session.seen_at.as_millisecond()).bind(session.ends_at.as_millisecond())
        .bind(&session.address).bind(&session.agent).bind(session_sum(session))
        .execute(&mut **tx).await.map(|_| ()))
    .map_err(Error::database(doing))?;
    note(batch, &account.name, "signed_in", &account.name, session.address.clone(), now).await
}

impl Store {
    /// Makes an account with a password's hash and who chose it; `link` is the digest of the link that allows the first one. Fails with
    /// [`Error::AccountExists`], or [`Error::LinkSpent`] when the link is no good or there are accounts already.
    pub async fn make_account(
        &self,
        name: &str,
        role: Role,
        password: (String, Chosen),
        link: Option<String>,
        author: &str,
    ) -> Result<Account> {
        let mut id = [0_u8; 8];
        random(&mut id)?;
        let (hash, chosen) = password;
        let account = Account {
            id: hex::encode(id),
            name: name.to_owned(),
            role,
            hash,
            chosen,
            created_at: self.now(),
            disabled_at: None,
        };
        let write = AccountWrite::Made { account: account.clone(), link, author: author.to_owned() };
        self.write(Write::Account(write)).await?;
        Ok(account)
    }

    /// Changes an account. The last administrator who can sign in stays one ([`Error::LastAdministrator`]).
    pub async fn change_account(&self, id: &str, change: AccountChange, author: &str) -> Result<()> {
        let (id, author, at) = (id.to_owned(), author.to_owned(), self.now());
        self.write(Write::Account(AccountWrite::Changed { id, change, author, at })).await
    }

    /// All accounts by name, disabled ones included.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows: Vec<AccountRow> =
            on!(Pool, &self.inner.readers, db => sqlx::query_as(ACCOUNTS).fetch_all(db).await)
                .map_err(Error::database("reading accounts"))?;
        rows.into_iter().map(AccountRow::account).collect()
    }

    /// An account by id.
    pub async fn account(&self, id: &str) -> Result<Option<Account>> {
        let row: Option<AccountRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(ACCOUNT).bind(id).fetch_optional(db).await)
        .map_err(Error::database("reading accounts"))?;
        row.map(AccountRow::account).transpose()
    }

    /// An account by name, whatever the case.
    pub async fn account_named(&self, name: &str) -> Result<Option<Account>> {
        let row: Option<AccountRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(NAMED).bind(folded(name)).fetch_optional(db).await)
        .map_err(Error::database("reading accounts"))?;
        row.map(AccountRow::account).transpose()
    }

    /// Begins a session of an account that is not disabled, and forgets those that have ended. `link` is the digest of
    /// the link that stands in for a password ([`Error::LinkSpent`] when it is no good).
    pub async fn begin_session(&self, session: Session, link: Option<String>) -> Result<()> {
        let session =
            Session { address: storable(&session.address), agent: storable(&session.agent), ..session };
        self.write(Write::Account(AccountWrite::SessionBegun { session, link })).await
    }

    /// A session by its digest; whether it still counts is for the caller to say.
    pub async fn session(&self, id: &str) -> Result<Option<Session>> {
        let row: Option<SessionRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SESSION).bind(id).fetch_optional(db).await)
        .map_err(Error::database("reading sessions"))?;
        row.map(SessionRow::session).transpose()
    }

    /// Sessions of an account, or of all, the newest first.
    pub async fn sessions(&self, account: Option<&str>) -> Result<Vec<Session>> {
        let rows: Vec<SessionRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(SESSIONS).bind(account).fetch_all(db).await)
        .map_err(Error::database("reading sessions"))?;
        rows.into_iter().map(SessionRow::session).collect()
    }

    /// Notes that a session was used.
    pub async fn session_seen(&self, id: &str) -> Result<()> {
        let (id, at) = (id.to_owned(), self.now());
        self.write(Write::Account(AccountWrite::SessionSeen { id, at })).await
    }

    /// Ends a session at once.
    pub async fn end_session(&self, id: &str) -> Result<()> {
        let (id, at) = (id.to_owned(), self.now());
        self.write(Write::Account(AccountWrite::SessionEnded { id, at })).await
    }

    /// Ends every session of an account at once.
    pub async fn end_sessions(&self, account: &str) -> Result<()> {
        self.write(Write::Account(AccountWrite::SessionsEnded { account: account.to_owned() })).await
    }

    /// Keeps the digest of a link that works once, until it ends.
    pub async fn make_link(&self, hash: &str, account: Option<&str>, ends_at: Timestamp) -> Result<()> {
        let (hash, account, at) = (hash.to_owned(), account.map(str::to_owned), self.now());
        self.write(Write::Account(AccountWrite::LinkMade { hash, account, at, ends_at })).await
    }

    /// Whom a link is for, by its digest; nothing where it is no good.
    pub async fn link(&self, hash: &str) -> Result<Option<LinkFor>> {
        let row: Option<LinkRow> = on!(Pool, &self.inner.readers, db =>
            sqlx::query_as(LINK).bind(hash).fetch_optional(db).await)
        .map_err(Error::database("reading a link"))?;
        link(row, self.now())
    }
}
