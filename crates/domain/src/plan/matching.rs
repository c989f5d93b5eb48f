//! Who is who: a directory user's account, found by link, else by address, else by a careful look-up.

use std::collections::HashMap;

use crate::memory::Memory;
use crate::model::{AccountId, DirectorySnapshot, DirectoryUserId, EmailAddress, SiteSnapshot};
use crate::policy::Rules;

/// What the site's exact search said about an address that no visible account shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// No account, as far as the search sees.
    Nobody,
    /// Exactly one account that may be taken: a person, whose shown address agrees or is hidden and whose name fits.
    One(AccountId),
    /// Something was found that must not be taken; the sentence says why.
    Unsure(String),
}

/// Look-ups by directory user.
pub type Lookups = HashMap<DirectoryUserId, Lookup>;

/// The people whose account may hide behind a hidden address: in scope, not linked, no account shows their address,
/// and an account with a hidden address bears their name. Everybody else needs no look-up.
pub fn accounts_to_look_up(
    _directory: &DirectorySnapshot,
    _site: &SiteSnapshot,
    _rules: &Rules,
    _memory: &Memory,
) -> Vec<(DirectoryUserId, EmailAddress)> {
    Vec::new()
}
