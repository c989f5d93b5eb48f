//! Accounts against people: leavers who are still active, and whoever belongs to nobody.

use std::collections::HashSet;
use std::sync::Arc;

use super::roster::{InDirectory, Roster};
use crate::memory::Memory;
use crate::model::{
    Account, AccountActivity, AccountId, AccountKind, DirectorySnapshot, DirectoryUser, DirectoryUserId,
    EmailAddress,
};
use crate::policy::{Audience, Rules};

/// An account as the site lists it, or as a line of the site's own export of users tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteEntry {
    /// Account id.
    pub account: AccountId,
    /// Name.
    pub name: Arc<str>,
    /// Address, unless it is hidden.
    pub email: Option<EmailAddress>,
    /// Whether the person may sign in.
    pub activity: AccountActivity,
    /// Only people leave.
    pub kind: AccountKind,
    /// When the person was last seen, in the words of the source.
    pub last_seen: Option<Arc<str>>,
    /// What the account holds, as far as the source says so.
    pub holds: Holdings,
}

impl From<Account> for SiteEntry {
    fn from(account: Account) -> Self {
        let Account { id, email, display_name, activity, kind } = account;
        Self {
            account: id,
            name: display_name,
            email,
            activity,
            kind,
            last_seen: None,
            holds: Holdings::default(),
        }
    }
}

/// What an account holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Names of products in which it takes a seat.
    pub products: Vec<Arc<str>>,
    /// Names of groups it is in.
    pub groups: Vec<Arc<str>>,
    /// Its role in the organization, in the words of the source.
    pub role: Option<Arc<str>>,
}

/// An account that is active on the site while its person is not in the directory any more.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeaverRow {
    /// Account id.
    pub account_id: AccountId,
    /// Name on the site.
    pub name: Arc<str>,
    /// Address on the site.
    pub email: Option<EmailAddress>,
    /// `disabled`, `deleted` or `nobody`.
    pub directory: InDirectory,
    /// The same in words.
    pub reason: String,
    /// Who it is in the directory, where that is known.
    pub directory_id: Option<DirectoryUserId>,
    /// When last seen on the site, where the source says so.
    pub last_seen: Option<Arc<str>>,
    /// Products in which the account takes a seat, joined by `; `.
    pub products: String,
    /// Groups it is in, joined by `; `.
    pub groups: String,
    /// Its role in the organization, where the source says so.
    pub role: Option<Arc<str>>,
}

impl LeaverRow {
    /// Fills in what the account holds.
    pub fn holding(&mut self, holds: &Holdings) {
        self.products = joined(&holds.products);
        self.groups = joined(&holds.groups);
        if holds.role.is_some() {
            self.role.clone_from(&holds.role);
        }
    }
}

fn joined(texts: &[Arc<str>]) -> String {
    texts.join("; ")
}

/// Who of the active accounts has left, by name. An account is a person's by its link, else by its address; one that
/// shows no address and has no link is nobody's leaver, because nothing can be said of it (see [`unlinked`]).
pub fn leavers(roster: &Roster, accounts: &[SiteEntry], memory: &Memory) -> Vec<LeaverRow> {
    let mut rows: Vec<LeaverRow> = accounts
        .iter()
        .filter(|entry| is_active_person(entry))
        .filter_map(|entry| {
            let (directory, directory_id, reason) = match who(roster, entry, memory) {
                Who::Somebody(_, InDirectory::Enabled) | Who::Untold => return None,
                Who::Somebody(user, standing) => {
                    let reason = match standing {
                        InDirectory::Disabled => {
                            format!("{} is disabled in the directory", user.label())
                        }
                        _ => format!("{} was deleted from the directory", user.label()),
                    };
                    (standing, Some(user.id.clone()), reason)
                }
                Who::Gone(id) => {
                    let reason = "the linked person was deleted from the directory for good".to_owned();
                    (InDirectory::Deleted, Some(id), reason)
                }
                Who::Nobody => {
                    (InDirectory::Nobody, None, "nobody in the directory has this address".to_owned())
                }
            };
            let mut row = LeaverRow {
                account_id: entry.account.clone(),
                name: entry.name.clone(),
                email: entry.email.clone(),
                directory,
                reason,
                directory_id,
                last_seen: entry.last_seen.clone(),
                products: String::new(),
                groups: String::new(),
                role: None,
            };
            row.holding(&entry.holds);
            Some(row)
        })
        .collect();
    rows.sort_by(|a, b| (a.directory, &a.name, &a.account_id).cmp(&(b.directory, &b.name, &b.account_id)));
    rows
}

/// Which side somebody is on who has no counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlinkedKind {
    /// An active account without a person.
    Account,
    /// A person in scope without an account.
    Person,
}

/// Somebody without a counterpart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UnlinkedRow {
    /// Which side.
    pub kind: UnlinkedKind,
    /// Account id, of an account.
    pub account_id: Option<AccountId>,
    /// Object id, of a person.
    pub directory_id: Option<DirectoryUserId>,
    /// Name.
    pub name: Arc<str>,
    /// Address.
    pub email: Option<EmailAddress>,
    /// Why there is no counterpart.
    pub reason: String,
    /// When last seen on the site, where the source says so.
    pub last_seen: Option<Arc<str>>,
}

/// The people that the rules select, in a complete read.
#[derive(Debug, Clone, Copy)]
pub struct InScope<'a> {
    /// The directory, read for the rules.
    pub directory: &'a DirectorySnapshot,
    /// The rules.
    pub rules: &'a Rules,
}

/// Active accounts that nobody in the directory is linked to or can be matched with, then people in scope without an
/// account. Without `scope` only the former.
pub fn unlinked(
    roster: &Roster,
    accounts: &[SiteEntry],
    memory: &Memory,
    scope: Option<InScope<'_>>,
) -> Vec<UnlinkedRow> {
    let mut rows: Vec<UnlinkedRow> = accounts
        .iter()
        .filter(|entry| is_active_person(entry))
        .filter_map(|entry| {
            let reason = match who(roster, entry, memory) {
                Who::Somebody(..) | Who::Gone(_) => return None,
                Who::Nobody => "nobody in the directory has this address",
                Who::Untold => "the account hides its address, and no link says whose it is",
            };
            Some(UnlinkedRow {
                kind: UnlinkedKind::Account,
                account_id: Some(entry.account.clone()),
                directory_id: None,
                name: entry.name.clone(),
                email: entry.email.clone(),
                reason: reason.to_owned(),
                last_seen: entry.last_seen.clone(),
            })
        })
        .collect();
    if let Some(InScope { directory, rules }) = scope {
        rows.extend(people_without_account(directory, rules, accounts, memory));
    }
    rows.sort_by(|a, b| {
        (a.kind, &a.name, &a.account_id, &a.directory_id).cmp(&(
            b.kind,
            &b.name,
            &b.account_id,
            &b.directory_id,
        ))
    });
    rows
}

fn people_without_account(
    directory: &DirectorySnapshot,
    rules: &Rules,
    accounts: &[SiteEntry],
    memory: &Memory,
) -> Vec<UnlinkedRow> {
    let known: HashSet<&AccountId> = accounts.iter().map(|entry| &entry.account).collect();
    let people = accounts.iter().filter(|entry| entry.kind == AccountKind::Person);
    let addresses: HashSet<String> =
        people.filter_map(|entry| entry.email.as_ref()).map(EmailAddress::key).collect();
    let hidden = accounts.iter().any(|e| e.email.is_none() && memory.user_of(&e.account).is_none());
    Audience::of(directory, rules)
        .people()
        .into_iter()
        .filter(|user| memory.user(&user.id).is_none_or(|link| !known.contains(&link.account)))
        .filter(|user| user.address().is_none_or(|address| !addresses.contains(&address.key())))
        .map(|user| {
            let reason = match (user.address(), hidden) {
                (None, _) => "the person has no address to be matched or invited by",
                (Some(_), false) => "no account has this address",
                (Some(_), true) => "no account shows this address; some accounts hide theirs",
            };
            UnlinkedRow {
                kind: UnlinkedKind::Person,
                account_id: None,
                directory_id: Some(user.id.clone()),
                name: Arc::from(user.label()),
                email: user.address(),
                reason: reason.to_owned(),
                last_seen: None,
            }
        })
        .collect()
}

fn is_active_person(entry: &SiteEntry) -> bool {
    entry.activity == AccountActivity::Active && entry.kind == AccountKind::Person
}

/// Whose an account is.
enum Who<'a> {
    Somebody(&'a DirectoryUser, InDirectory),
    /// Linked to somebody who is not even in the recycle bin.
    Gone(DirectoryUserId),
    Nobody,
    /// No link, and the address is hidden.
    Untold,
}

fn who<'a>(roster: &'a Roster, entry: &SiteEntry, memory: &Memory) -> Who<'a> {
    if let Some(id) = memory.user_of(&entry.account) {
        return match roster.user(id) {
            Some((user, standing)) => Who::Somebody(user, standing),
            None => Who::Gone(id.clone()),
        };
    }
    match &entry.email {
        None => Who::Untold,
        Some(address) => match roster.holder(address) {
            Some((user, standing)) => Who::Somebody(user, standing),
            None => Who::Nobody,
        },
    }
}
