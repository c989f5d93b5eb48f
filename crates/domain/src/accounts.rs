//! People who sign in to the console, and their sessions. Of what a browser holds, and of a password, only digests are
//! in these.

use std::fmt;

use jiff::Timestamp;

use crate::service::Role;

/// Somebody who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Id.
    pub id: String,
    /// Name, unique for ever whatever the case: it stands in decisions and in the audit log.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The password's hash, as a PHC string.
    pub hash: String,
    /// Who chose that password.
    pub chosen: Chosen,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nobody may sign in with it.
    pub disabled_at: Option<Timestamp>,
}

/// Who chose a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// Whoever signs in with it.
    ByHolder,
    /// Somebody who handed it out, and therefore knows it: whoever signs in with it chooses another one first.
    ByAnother,
}

impl Account {
    /// Whether the password was handed out and not changed since. Whoever the directory signs in has none.
    pub fn has_handed_out_password(&self) -> bool {
        self.chosen == Chosen::ByAnother && !self.hash.is_empty()
    }
}

/// Its hash is nobody's business.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, {}, {})", self.id, self.name, self.role.as_str())
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of what the browser holds, in hex.
    pub id: String,
    /// Id of the account.
    pub account: String,
    /// When they signed in.
    pub began_at: Timestamp,
    /// Their last request, to the minute.
    pub seen_at: Timestamp,
    /// When it ends, whatever they do.
    pub ends_at: Timestamp,
    /// The address they signed in from, as far as it is known.
    pub address: String,
    /// What their browser calls itself.
    pub agent: String,
}

/// What is changed of an account.
#[derive(Clone, PartialEq, Eq)]
pub enum AccountChange {
    /// What they may do.
    Role(Role),
    /// Nobody signs in with it any more; whoever is, is signed out.
    Disable,
    /// It may be used again.
    Enable,
    /// Another password's hash, and who chose it; whoever is signed in is signed out.
    Password(String, Chosen),
}

/// Whom a link that works once is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFor {
    /// Whoever opens it makes the first administrator.
    First,
    /// Whoever opens it is signed in as this account, by id.
    Account(String),
}

/// Somebody whom the directory has signed in, as far as an account is about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryPerson {
    /// The tenant.
    pub tenant_id: String,
    /// Object id in it: with the tenant the one thing that tells people apart. Names are given to others later.
    pub object_id: String,
    /// What the account is called where the name is free.
    pub name: String,
}

impl DirectoryPerson {
    /// What the account is found by.
    pub fn subject(&self) -> String {
        format!("{}/{}", self.tenant_id, self.object_id).to_ascii_lowercase()
    }
}
