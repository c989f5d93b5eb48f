//! Accounts, groups and members: the whole of them, or an error; never a part that looks like the whole.

use std::collections::HashSet;
use std::sync::Arc;

use entrain_domain::model::{Account, AccountId, EmailAddress, SiteGroup, SiteGroupId, group_name_key};
use entrain_domain::reports::Holdings;

use super::Jira;
use super::answers;
use super::pages::List;
use super::wire::{AccountReading, GroupName, User, UserHoldings, too_degraded};
use crate::Error;
use crate::http::{Answer, Call, Target};

pub(super) const GROUP_BULK: &str = "/rest/api/3/group/bulk";
const USERS_SEARCH: &str = "/rest/api/3/users/search";
const USER_SEARCH: &str = "/rest/api/3/user/search";
const USER: &str = "/rest/api/3/user";
const USER_GROUPS: &str = "/rest/api/3/user/groups";
const GROUP_MEMBER: &str = "/rest/api/3/group/member";

/// Sizes of a page of the roll: the largest first, the next smaller one when Jira says that the query took too long.
const ROLL_SIZES: [usize; 4] = [1000, 500, 200, 50];

/// Pages after which the roll is given up.
const ROLL_PAGES: usize = 5_000;

impl Jira {
    /// The whole roll of accounts: active, inactive, apps and customers.
    ///
    /// `users/search` has no total and no last page, and a page may hold fewer entries than asked for while more
    /// follow. So the offset is stepped by what was asked for, and only an empty page is the end: ⌈A/1000⌉ + 1 requests
    /// for A accounts (atlassian-cloud.md 4.1). Corrupted records without an id are left out.
    ///
    /// # Errors
    /// When a page cannot be read; `Error::Invalid` when a page looks like an outage (more than a few records without
    /// facts), when a page comes again, when there is no end, and when the roll is empty: the technical account at
    /// least is on it.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let mut roll: Vec<Account> = Vec::new();
        let mut seen: HashSet<AccountId> = HashSet::new();
        let (mut start, mut size, mut idle) = (0_usize, 0_usize, 0_usize);
        for _ in 0..ROLL_PAGES {
            let asked = ROLL_SIZES[size];
            let target = Target::new(USERS_SEARCH)
                .query("startAt", &start.to_string())
                .query("maxResults", &asked.to_string());
            let answer = self.ask(Call::get(USERS_SEARCH, target)).await?;
            if answer.status == 409 && size + 1 < ROLL_SIZES.len() {
                size += 1;
                continue;
            }
            if answer.status != 200 {
                return Err(answers::refused_read(&answer, &self.redaction));
            }
            let page: Vec<User> = answer.json()?;
            if page.is_empty() {
                if roll.is_empty() {
                    return Err(answer.invalid("it shows no account at all, not even the technical account"));
                }
                self.shield.remember(&roll);
                return Ok(roll);
            }
            let count = page.len();
            let before = roll.len();
            for account in whole_enough(&answer, page)? {
                if seen.insert(account.id.clone()) {
                    roll.push(account);
                }
            }
            // Rows that moved between two pages may leave a last page without anything new, but not a full one and
            // not two of them.
            idle = if roll.len() == before { idle + 1 } else { 0 };
            if idle > 0 && (idle > 1 || count >= asked) {
                return Err(answer.invalid("it shows a page of accounts again that was shown before"));
            }
            start += asked;
        }
        Err(Error::from(entrain_domain::Failure::new(
            entrain_domain::FailureCode::SiteAnswerInvalid,
            entrain_domain::FailureClass::Connection,
            format!("The roll of accounts has no end after {ROLL_PAGES} pages"),
            "Check that the configured address belongs to a Jira Cloud site",
        )))
    }

    /// All groups of the site.
    ///
    /// # Errors
    /// When a page cannot be read or the pages do not add up; `SiteRightMissing` without *Browse users and groups*.
    pub async fn groups(&self) -> Result<Vec<SiteGroup>, Error> {
        self.group_list(Target::new(GROUP_BULK), "the groups of the site").await
    }

    /// A list of `group/bulk`; every group in it has an id and a name.
    pub(super) async fn group_list(&self, target: Target, object: &str) -> Result<Vec<SiteGroup>, Error> {
        let list = List { endpoint: GROUP_BULK, target, object: object.to_owned() };
        let entries: Vec<GroupName> = self.pages(list, |entry: &GroupName| entry.group_id.as_deref()).await?;
        entries
            .iter()
            .map(|entry| entry.group().ok_or_else(|| invalid_list(object, "a group without id or name")))
            .collect()
    }

    /// All members of a group, inactive ones included: without them a suspended member looks like none, and is added
    /// again for ever (atlassian-cloud.md 4.2).
    ///
    /// # Errors
    /// When a page cannot be read, when the pages do not add up to the total, and when more than a few members come
    /// without facts: the group is then not read, rather than read smaller than it is. `SiteObjectUnknown` when
    /// the group is gone.
    pub async fn members(&self, group: &SiteGroupId) -> Result<Vec<AccountId>, Error> {
        let target =
            Target::new(GROUP_MEMBER).query("groupId", group.as_str()).query("includeInactiveUsers", "true");
        let list = List { endpoint: GROUP_MEMBER, target, object: group.to_string() };
        let members: Vec<User> = self.pages(list, User::key).await?;
        let count = members.len();
        let mut degraded = 0;
        let mut ids = Vec::with_capacity(count);
        for member in members {
            let reading = member.reading();
            degraded += usize::from(!matches!(reading, AccountReading::Whole(_)));
            ids.extend(reading.account().map(|account| account.id));
        }
        if too_degraded(degraded, count) {
            return Err(invalid_list(group.as_str(), OUTAGE));
        }
        Ok(ids)
    }

    /// Accounts that the site's search finds for a complete address, hidden ones included; active ones only, and
    /// fresh ones after a while (atlassian-cloud.md 12). An account that shows another address is none of them.
    ///
    /// # Errors
    /// When the search cannot be read. It is empty, and no error, without *Browse users and groups*.
    pub async fn find_accounts(&self, email: &EmailAddress) -> Result<Vec<Account>, Error> {
        let target = Target::new(USER_SEARCH).query("query", email.as_str()).query("maxResults", "50");
        let answer = self.read(Call::get(USER_SEARCH, target).about(email.as_str())).await?;
        let found = whole_enough(&answer, answer.json::<Vec<User>>()?)?;
        let fits = |account: &Account| account.email.as_ref().is_none_or(|shown| shown == email);
        let found: Vec<Account> = found.into_iter().filter(fits).collect();
        self.shield.remember(&found);
        self.shield.remember_found(email, &found);
        Ok(found)
    }

    /// Groups of this name, compared without regard to case and to blanks around it: whether Jira takes names that
    /// differ only in case for one is not documented.
    ///
    /// # Errors
    /// When the look-up cannot be read.
    pub async fn find_groups(&self, name: &str) -> Result<Vec<SiteGroup>, Error> {
        let wanted = group_name_key(name);
        let mut found = self.group_list(Target::new(GROUP_BULK).query("groupName", name), name).await?;
        found.retain(|group| group_name_key(&group.name) == wanted);
        Ok(found)
    }

    /// One account by id; `None` when the site does not know it.
    ///
    /// # Errors
    /// When it cannot be read, or comes without facts.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, Error> {
        let target = Target::new(USER).query("accountId", id.as_str());
        let answer = self.ask(Call::get(USER, target).about(id.as_str())).await?;
        match answer.status {
            404 => Ok(None),
            200 => match answer.json::<User>()?.reading() {
                AccountReading::Whole(account) | AccountReading::Degraded(account) if account.id == *id => {
                    self.shield.remember(std::slice::from_ref(&account));
                    Ok(Some(account))
                }
                _ => Err(answer.invalid("it is about another account than asked for")),
            },
            _ => Err(answers::refused_read(&answer, &self.redaction)),
        }
    }

    /// The products and groups of an account, by name; `None` when the site does not know the account.
    ///
    /// # Errors
    /// When it cannot be read, or is about another account.
    pub async fn holdings(&self, id: &AccountId) -> Result<Option<Holdings>, Error> {
        let target =
            Target::new(USER).query("accountId", id.as_str()).query("expand", "groups,applicationRoles");
        let answer = self.ask(Call::get(USER, target).about(id.as_str())).await?;
        match answer.status {
            404 => Ok(None),
            200 => {
                let user: UserHoldings = answer.json()?;
                if user.account_id.as_deref() != Some(id.as_str()) {
                    return Err(answer.invalid("it is about another account than asked for"));
                }
                let roles = user.application_roles.items.into_iter();
                let mut products: Vec<Arc<str>> =
                    roles.map(|role| Arc::from(role.name.unwrap_or(role.key))).collect();
                let groups = user.groups.items.into_iter();
                let mut groups: Vec<Arc<str>> =
                    groups.filter_map(|group| group.name.or(group.group_id)).map(Arc::from).collect();
                products.sort_unstable();
                groups.sort_unstable();
                Ok(Some(Holdings { products, groups, role: None }))
            }
            _ => Err(answers::refused_read(&answer, &self.redaction)),
        }
    }

    /// The groups of an account; `None` when the site does not know the account.
    ///
    /// # Errors
    /// When they cannot be read, or one of them has no id.
    pub async fn groups_of(&self, id: &AccountId) -> Result<Option<Vec<SiteGroupId>>, Error> {
        let target = Target::new(USER_GROUPS).query("accountId", id.as_str());
        let answer = self.ask(Call::get(USER_GROUPS, target).about(id.as_str())).await?;
        match answer.status {
            404 => Ok(None),
            200 => {
                let groups: Vec<GroupName> = answer.json()?;
                let ids = groups
                    .iter()
                    .map(|g| g.id().ok_or_else(|| answer.invalid("it shows a group without id")));
                ids.collect::<Result<_, _>>().map(Some)
            }
            _ => Err(answers::refused_read(&answer, &self.redaction)),
        }
    }
}

const OUTAGE: &str =
    "more than a few accounts come without facts, as they do while a service of Atlassian is down";

/// The accounts of a page, unless so many are degraded that the site is not itself.
fn whole_enough(answer: &Answer, page: Vec<User>) -> Result<Vec<Account>, Error> {
    let count = page.len();
    let readings: Vec<AccountReading> = page.into_iter().map(User::reading).collect();
    let degraded = readings.iter().filter(|reading| !matches!(reading, AccountReading::Whole(_))).count();
    if too_degraded(degraded, count) {
        return Err(answer.invalid(OUTAGE));
    }
    Ok(readings.into_iter().filter_map(AccountReading::account).collect())
}

fn invalid_list(object: &str, reason: &str) -> Error {
    entrain_domain::Failure::new(
        entrain_domain::FailureCode::SiteAnswerInvalid,
        entrain_domain::FailureClass::Transient,
        format!("An answer of Jira is not usable: {reason}"),
        "Run it again later; nothing was changed",
    )
    .of(object)
    .into()
}
