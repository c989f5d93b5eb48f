//! People who sign in, from the store to the service.

use entrain_domain::accounts::{Account, AccountChange, DirectoryPerson, LinkFor, Session};
use entrain_domain::service::Role;
use entrain_server::accounts::{Accounts, NewAccount};
use entrain_server::service::Answer;
use jiff::Timestamp;

use super::service::Wired;

impl Accounts for Wired {
    fn accounts(&self) -> Answer<'_, Vec<Account>> {
        Box::pin(async { self.store.accounts().await.map_err(|e| e.failure()) })
    }
    fn account<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>> {
        Box::pin(async move { self.store.account(id).await.map_err(|e| e.failure()) })
    }
    fn account_named<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Account>> {
        Box::pin(async move { self.store.account_named(name).await.map_err(|e| e.failure()) })
    }
    fn make_account<'a>(&'a self, new: NewAccount, by: &'a str) -> Answer<'a, Account> {
        Box::pin(async move {
            let made =
                self.store.make_account(&new.name, new.role, (new.hash, new.chosen), new.link, by).await;
            made.map_err(|e| e.failure())
        })
    }
    fn change_account<'a>(&'a self, id: &'a str, change: AccountChange, by: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.change_account(id, change, by).await.map_err(|e| e.failure()) })
    }
    fn begin_session(&self, session: Session, link: Option<String>) -> Answer<'_, ()> {
        Box::pin(async move { self.store.begin_session(session, link).await.map_err(|e| e.failure()) })
    }
    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Session>> {
        Box::pin(async move { self.store.session(id).await.map_err(|e| e.failure()) })
    }
    fn sessions<'a>(&'a self, account: Option<&'a str>) -> Answer<'a, Vec<Session>> {
        Box::pin(async move { self.store.sessions(account).await.map_err(|e| e.failure()) })
    }
    fn session_seen<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.session_seen(id).await.map_err(|e| e.failure()) })
    }
    fn end_session<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.end_session(id).await.map_err(|e| e.failure()) })
    }
    fn end_sessions<'a>(&'a self, account: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.end_sessions(account).await.map_err(|e| e.failure()) })
    }
    fn make_link<'a>(
        &'a self,
        digest: &'a str,
        account: Option<&'a str>,
        ends_at: Timestamp,
    ) -> Answer<'a, ()> {
        Box::pin(async move { self.store.make_link(digest, account, ends_at).await.map_err(|e| e.failure()) })
    }
    fn link<'a>(&'a self, digest: &'a str) -> Answer<'a, Option<LinkFor>> {
        Box::pin(async move { self.store.link(digest).await.map_err(|e| e.failure()) })
    }
    fn admit(&self, person: DirectoryPerson, role: Role) -> Answer<'_, Account> {
        Box::pin(async move { self.store.admit(person, role).await.map_err(|e| e.failure()) })
    }
    fn turn_away<'a>(&'a self, person: DirectoryPerson, why: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.store.turn_away(person, why).await.map_err(|e| e.failure()) })
    }
}
