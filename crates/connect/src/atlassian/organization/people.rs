//! People of the organization's directories: found exactly by address, many in one request, hidden addresses included.

use std::collections::{BTreeMap, HashSet};

use entrain_domain::model::{AccountId, EmailAddress, ProfileStanding};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::Organization;
use super::wire::{Page, User};
use crate::Error;
use crate::http::{Call, Repeat};

const USERS_SEARCH: &str = "/admin/v2/orgs/directories/users/search";

/// Addresses in one search, and answers on one page (the documented most).
const ADDRESSES: usize = 100;

/// Accounts in one search by id.
const ACCOUNTS: usize = 10;

/// Searches side by side; the plane's budget sets the pace.
const AT_ONCE: usize = 4;

/// Pages after which one search is given up; a hundred addresses fit on one.
const PAGES: usize = 100;

/// A person as the organization sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationUser {
    /// Account.
    pub account: AccountId,
    /// Address, whatever the person's profile hides from the site.
    pub address: Option<EmailAddress>,
    /// Whether the profile can be changed.
    pub profile: ProfileStanding,
}

impl Organization {
    /// The accounts of these addresses, exactly: ⌈addresses/100⌉ requests. An answer about another address than asked
    /// for is left out.
    ///
    /// # Errors
    /// When a search cannot be read to its end: no part of it is handed out.
    pub async fn find_by_address(&self, addresses: &[EmailAddress]) -> Result<Vec<OrganizationUser>, Error> {
        let unique: BTreeMap<String, &EmailAddress> = addresses.iter().map(|a| (a.key(), a)).collect();
        let asked: Vec<&str> = unique.values().map(|a| a.as_str()).collect();
        let mut found = self.search("emails", &asked, ADDRESSES).await?;
        found.retain(|user| user.address.as_ref().is_some_and(|a| unique.contains_key(&a.key())));
        for user in &found {
            self.shield.remember_address(&user.account, user.address.as_ref());
        }
        Ok(found)
    }

    /// These accounts as the organization sees them: ⌈accounts/10⌉ requests. Accounts that it does not know are left
    /// out.
    ///
    /// # Errors
    /// When a search cannot be read to its end.
    pub async fn accounts(&self, accounts: &[AccountId]) -> Result<Vec<OrganizationUser>, Error> {
        let asked: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
        self.search("accountIds", &asked, ACCOUNTS).await
    }

    async fn search(
        &self,
        by: &'static str,
        values: &[&str],
        at_once: usize,
    ) -> Result<Vec<OrganizationUser>, Error> {
        let searches: Vec<_> = values.chunks(at_once).map(|chunk| self.search_one(by, chunk)).collect();
        let pages: Vec<Vec<OrganizationUser>> =
            stream::iter(searches).buffered(AT_ONCE).try_collect().await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn search_one(&self, by: &'static str, values: &[&str]) -> Result<Vec<OrganizationUser>, Error> {
        // Values by which it was asked for are personal: a message names how many there are.
        let object = format!("{} people of the organization", values.len());
        let rows = self.rows(json!({ by: values, "limit": ADDRESSES }), &object).await?;
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        // Apps and portal customers are no people
        for user in rows.iter().filter(|u| u.account_type.as_deref().is_none_or(|k| k == "atlassian")) {
            // One account may live in several directories
            if let Some(user) = person(user)
                && seen.insert(user.account.clone())
            {
                found.push(user);
            }
        }
        Ok(found)
    }

    /// Every row of a search, as it comes.
    pub(super) async fn rows(&self, mut body: Value, object: &str) -> Result<Vec<User>, Error> {
        let mut cursors = HashSet::new();
        let mut found = Vec::new();
        loop {
            let call = Call::post(USERS_SEARCH, self.in_directory("/users/search"), body, Repeat::Safe);
            let answer = self.read(call.about(object)).await?;
            let page: Page<User> = answer.json()?;
            let next = page.next().map(str::to_owned);
            if page.data.iter().any(|user| AccountId::parse(&user.account_id).is_err()) {
                return Err(answer.invalid("it shows an account without a usable id"));
            }
            found.extend(page.data);
            let Some(next) = next else { return Ok(found) };
            if cursors.len() >= PAGES || !cursors.insert(next.clone()) {
                return Err(answer.invalid("its pages lead in a circle"));
            }
            // Beside a cursor nothing else counts
            body = json!({ "cursor": Value::String(next) });
        }
    }
}

/// The person; `None` when the record cannot be used.
fn person(user: &User) -> Option<OrganizationUser> {
    let account = AccountId::parse(&user.account_id).ok()?;
    let profile = match (user.claim_status.as_deref(), user.management_source.as_deref()) {
        (Some("managed"), Some("synced")) => ProfileStanding::Synced,
        (Some("managed"), _) => ProfileStanding::Managed(user.profile()),
        _ => ProfileStanding::Unmanaged,
    };
    let address = user.email.as_deref().and_then(|text| EmailAddress::parse(text).ok());
    Some(OrganizationUser { account, address, profile })
}
