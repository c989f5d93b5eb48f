//! What makes look-ups fast in a site of 100,000 accounts: accounts by address and by the beginnings of their words,
//! groups by name, the groups of an account, and who holds a seat of which product.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Atlassian, JiraGroup, SiteAccount};

#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    by_email: HashMap<String, BTreeSet<String>>,
    groups_of: HashMap<String, BTreeSet<String>>,
    group_by_name: HashMap<String, String>,
    /// Accounts that Jira shows as inactive; few, so that counting the active members of a large group is cheap.
    inactive: HashSet<String>,
    /// (text from the beginning of a word on, account).
    words: BTreeSet<(String, String)>,
    /// Seat holders by product, with the groups that granted it when they were counted.
    holders: BTreeMap<String, (BTreeSet<String>, HashSet<String>)>,
}

impl Index {
    fn build(world: &Atlassian) -> Self {
        let mut index = Self::default();
        for group in world.groups.values() {
            index.add_group(group);
        }
        for product in &world.products {
            index.holders.insert(product.key.clone(), (product.groups.clone(), HashSet::new()));
        }
        for account in world.accounts.values() {
            index.add_account(account);
            index.count_seats(world, account);
        }
        index
    }

    pub(super) fn add_group(&mut self, group: &JiraGroup) {
        self.group_by_name.insert(group.name.to_lowercase(), group.group_id.clone());
        for member in &group.members {
            self.groups_of.entry(member.clone()).or_default().insert(group.group_id.clone());
        }
    }

    pub(super) fn remove_group(&mut self, group: &JiraGroup) {
        self.group_by_name.remove(&group.name.to_lowercase());
        for member in &group.members {
            self.unlink(&group.group_id, member);
        }
    }

    pub(super) fn link(&mut self, group_id: &str, account_id: &str) {
        self.groups_of.entry(account_id.to_owned()).or_default().insert(group_id.to_owned());
    }

    pub(super) fn unlink(&mut self, group_id: &str, account_id: &str) {
        if let Some(groups) = self.groups_of.get_mut(account_id) {
            groups.remove(group_id);
        }
    }

    pub(super) fn add_account(&mut self, account: &SiteAccount) {
        if !account.active() {
            self.inactive.insert(account.account_id.clone());
        }
        if let Some(email) = &account.email {
            self.by_email.entry(email.to_lowercase()).or_default().insert(account.account_id.clone());
        }
        for text in beginnings(account) {
            self.words.insert((text, account.account_id.clone()));
        }
    }

    pub(super) fn remove_account(&mut self, account: &SiteAccount) {
        self.inactive.remove(&account.account_id);
        if let Some(email) = &account.email
            && let Some(ids) = self.by_email.get_mut(&email.to_lowercase())
        {
            ids.remove(&account.account_id);
        }
        for text in beginnings(account) {
            self.words.remove(&(text, account.account_id.clone()));
        }
    }

    /// Brings the seats of one account up to date.
    pub(super) fn count_seats(&mut self, world: &Atlassian, account: &SiteAccount) {
        let no_groups = BTreeSet::new();
        let groups = self.groups_of.get(&account.account_id).unwrap_or(&no_groups);
        for (granting, holders) in self.holders.values_mut() {
            let holds = super::seats::takes_seats(account)
                && groups.iter().filter_map(|id| world.groups.get(id)).any(|g| granting.contains(&g.name));
            if holds {
                holders.insert(account.account_id.clone());
            } else {
                holders.remove(&account.account_id);
            }
        }
    }
}

/// The texts by whose beginning user search finds an account: its name from each word on, and the address when it
/// is shown.
fn beginnings(account: &SiteAccount) -> Vec<String> {
    let name = account.display_name.to_lowercase();
    let mut found = Vec::new();
    let mut boundary = true;
    for (at, c) in name.char_indices() {
        if boundary && c.is_alphanumeric() {
            found.push(name[at..].to_owned());
        }
        boundary = !c.is_alphanumeric();
    }
    if account.email_visible
        && let Some(email) = &account.email
    {
        found.push(email.to_lowercase());
    }
    found
}

impl Atlassian {
    pub(super) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::build(self))
    }

    /// Accounts with this address, ignoring case. Several only when a world was made so.
    pub fn by_email(&self, email: &str) -> impl Iterator<Item = &SiteAccount> {
        self.index()
            .by_email
            .get(&email.to_lowercase())
            .into_iter()
            .flatten()
            .filter_map(|id| self.accounts.get(id))
    }

    /// Accounts of which a word of the name, or the shown address, begins with `text`, ignoring case; each once, at
    /// most `limit`.
    pub fn by_beginning(&self, text: &str, limit: usize) -> Vec<&SiteAccount> {
        let text = text.to_lowercase();
        let mut ids = BTreeSet::new();
        for (_, id) in self
            .index()
            .words
            .range((text.clone(), String::new())..)
            .take_while(|(word, _)| word.starts_with(&text))
        {
            ids.insert(id);
            if ids.len() >= limit {
                break;
            }
        }
        ids.into_iter().filter_map(|id| self.accounts.get(id)).collect()
    }

    /// The group of this name, ignoring case.
    pub fn group_by_name(&self, name: &str) -> Option<&JiraGroup> {
        self.groups.get(self.index().group_by_name.get(&name.to_lowercase())?)
    }

    /// The groups an account is in, as they are now.
    pub fn groups_of(&self, account_id: &str) -> impl Iterator<Item = &JiraGroup> {
        self.index().groups_of.get(account_id).into_iter().flatten().filter_map(|id| self.groups.get(id))
    }

    /// How many of these accounts Jira shows as active.
    pub(crate) fn active_among(&self, members: &BTreeSet<String>) -> usize {
        let inactive = &self.index().inactive;
        let hidden = if inactive.len() < members.len() {
            inactive.iter().filter(|id| members.contains(*id)).count()
        } else {
            members.iter().filter(|id| inactive.contains(*id)).count()
        };
        members.len() - hidden
    }

    /// People who hold a seat of a product: active, and in a group that grants it.
    pub fn seats_used(&self, product_key: &str) -> u64 {
        let Some(product) = self.products.iter().find(|p| p.key == product_key) else { return 0 };
        if let Some((granting, holders)) = self.index().holders.get(product_key)
            && *granting == product.groups
        {
            return holders.len() as u64;
        }
        let members: HashSet<&str> = product
            .groups
            .iter()
            .filter_map(|name| self.group_by_name(name))
            .flat_map(|group| group.members.iter().map(String::as_str))
            .filter(|id| self.accounts.get(*id).is_some_and(super::seats::takes_seats))
            .collect();
        members.len() as u64
    }
}
