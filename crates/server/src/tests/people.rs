//! People who sign in, in memory: one of each role, named after it, with the password `correct horse battery`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrain_domain::accounts::{Account, AccountChange, Chosen, DirectoryPerson, LinkFor, Session};
use entrain_domain::service::Role;
use entrain_domain::why::Why;
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::{SignedDuration, Timestamp};

use super::Fake;
use crate::accounts::{Accounts, NewAccount, digest};
use crate::service::Answer;

pub(super) const PASSWORD: &str = "correct horse battery";

/// What the fake knows.
pub(super) struct People {
    now: Mutex<Timestamp>,
    pub(super) accounts: Mutex<BTreeMap<String, Account>>,
    pub(super) sessions: Mutex<BTreeMap<String, Session>>,
    pub(super) links: Mutex<BTreeMap<String, LinkFor>>,
    /// Why a document was stored last.
    pub(super) why: Mutex<Option<Why>>,
    writes: AtomicUsize,
}

impl People {
    pub(super) fn new(now: Timestamp) -> Self {
        let account = |role: Role| {
            let account = Account {
                id: role.as_str().into(),
                name: role.as_str().into(),
                role,
                hash: String::new(),
                chosen: Chosen::ByHolder,
                created_at: now,
                disabled_at: None,
            };
            (account.id.clone(), account)
        };
        Self {
            now: Mutex::new(now),
            accounts: Mutex::new(Role::ALL.into_iter().map(account).collect()),
            sessions: Mutex::default(),
            links: Mutex::new(
                [(digest("first"), LinkFor::First), (digest("enter"), LinkFor::Account("viewer".into()))]
                    .into(),
            ),
            why: Mutex::default(),
            writes: AtomicUsize::new(0),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    pub(super) fn later(&self, time: SignedDuration) {
        let mut now = self.now.lock().unwrap();
        *now = now.checked_add(time).unwrap();
    }

    pub(super) fn written(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Makes so many accounts more, each of them signed in.
    pub(super) fn crowd(&self, many: usize) {
        let (mut accounts, mut sessions) = (self.accounts.lock().unwrap(), self.sessions.lock().unwrap());
        let (account, session) = (accounts["viewer"].clone(), sessions.values().next().unwrap().clone());
        for n in 0..many {
            let id = format!("crowd{n}");
            let name = format!("Person number {n}");
            accounts.insert(id.clone(), Account { id: id.clone(), name, ..account.clone() });
            sessions.insert(format!("s{n}"), Session { id: format!("s{n}"), account: id, ..session.clone() });
            let own = format!("v{n}");
            sessions.insert(own.clone(), Session { id: own, account: "viewer".into(), ..session.clone() });
        }
    }

    /// Gives the account of this role a password that somebody else knows.
    pub(super) fn hand_out(&self, role: Role, hash: &str) {
        let mut accounts = self.accounts.lock().unwrap();
        let account = accounts.get_mut(role.as_str()).unwrap();
        (account.hash, account.chosen) = (hash.into(), Chosen::ByAnother);
    }

    /// Signs somebody in behind the service's back; gives what the browser would hold.
    pub(super) fn signed_in(&self, role: Role) -> String {
        let secret = format!("{:0>64}", role.as_str());
        let now = self.now();
        let session = Session {
            id: digest(&secret),
            account: role.as_str().into(),
            began_at: now,
            seen_at: now,
            ends_at: now.checked_add(SignedDuration::from_hours(12)).unwrap(),
            address: String::new(),
            agent: String::new(),
        };
        self.sessions.lock().unwrap().insert(session.id.clone(), session);
        secret
    }
}

impl Accounts for Fake {
    fn accounts(&self) -> Answer<'_, Vec<Account>> {
        self.give(self.people.accounts.lock().unwrap().values().cloned().collect())
    }
    fn account<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Account>> {
        let account = self.people.accounts.lock().unwrap().get(id).cloned();
        Box::pin(async { Ok(account) })
    }
    fn account_named<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Account>> {
        let named = |account: &&Account| account.name.to_lowercase() == name.to_lowercase();
        self.give(self.people.accounts.lock().unwrap().values().find(named).cloned())
    }
    fn make_account<'a>(&'a self, new: NewAccount, _: &'a str) -> Answer<'a, Account> {
        let account = Account {
            id: new.name.clone(),
            name: new.name,
            role: new.role,
            hash: new.hash,
            chosen: new.chosen,
            created_at: self.people.now(),
            disabled_at: None,
        };
        self.people.accounts.lock().unwrap().insert(account.id.clone(), account.clone());
        self.change(account)
    }
    fn change_account<'a>(&'a self, id: &'a str, change: AccountChange, _: &'a str) -> Answer<'a, ()> {
        let rules = |account: &Account| {
            account.role == Role::Administrator && account.disabled_at.is_none() && !account.hash.is_empty()
        };
        let mut accounts = self.people.accounts.lock().unwrap();
        let takes = matches!(change, AccountChange::Role(_) | AccountChange::Disable);
        if takes && accounts.values().filter(|account| rules(account)).all(|account| account.id == id) {
            let what = "that is the only administrator with a password";
            let remedy = "make somebody else an administrator first";
            let failure = Failure::new(FailureCode::LastAdministrator, FailureClass::Local, what, remedy);
            if accounts.values().any(rules) {
                return Box::pin(async move { Err(failure) });
            }
        }
        if let Some(account) = accounts.get_mut(id) {
            match change {
                AccountChange::Role(role) => account.role = role,
                AccountChange::Disable => account.disabled_at = Some(self.people.now()),
                AccountChange::Enable => account.disabled_at = None,
                AccountChange::Password(hash, chosen) => (account.hash, account.chosen) = (hash, chosen),
            }
        }
        self.change(())
    }
    fn begin_session(&self, session: Session, _: Option<String>) -> Answer<'_, ()> {
        self.people.sessions.lock().unwrap().insert(session.id.clone(), session);
        self.change(())
    }
    fn session<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Session>> {
        let session = self.people.sessions.lock().unwrap().get(id).cloned();
        Box::pin(async { Ok(session) })
    }
    fn sessions<'a>(&'a self, account: Option<&'a str>) -> Answer<'a, Vec<Session>> {
        let sessions = self.people.sessions.lock().unwrap();
        let of = |session: &&Session| account.is_none_or(|account| session.account == account);
        self.give(sessions.values().filter(of).cloned().collect())
    }
    fn session_seen<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        if let Some(session) = self.people.sessions.lock().unwrap().get_mut(id) {
            session.seen_at = self.people.now();
        }
        Box::pin(async { Ok(()) })
    }
    fn end_session<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        self.people.sessions.lock().unwrap().remove(id);
        self.change(())
    }
    fn end_sessions<'a>(&'a self, account: &'a str) -> Answer<'a, ()> {
        self.people.sessions.lock().unwrap().retain(|_, session| session.account != account);
        self.change(())
    }
    fn make_link<'a>(&'a self, digest: &'a str, account: Option<&'a str>, _: Timestamp) -> Answer<'a, ()> {
        self.people
            .links
            .lock()
            .unwrap()
            .insert(digest.into(), account.map_or(LinkFor::First, |id| LinkFor::Account(id.into())));
        self.change(())
    }
    fn link<'a>(&'a self, digest: &'a str) -> Answer<'a, Option<LinkFor>> {
        self.give(self.people.links.lock().unwrap().get(digest).cloned())
    }
    fn admit(&self, person: DirectoryPerson, role: Role) -> Answer<'_, Account> {
        let account = Account {
            id: person.subject(),
            name: person.name,
            role,
            hash: String::new(),
            chosen: Chosen::ByHolder,
            created_at: self.people.now(),
            disabled_at: None,
        };
        self.people.accounts.lock().unwrap().insert(account.id.clone(), account.clone());
        self.change(account)
    }
    fn turn_away<'a>(&'a self, person: DirectoryPerson, _: &'a str) -> Answer<'a, ()> {
        let subject = person.subject();
        self.people.sessions.lock().unwrap().retain(|_, session| session.account != subject);
        self.change(())
    }
}
