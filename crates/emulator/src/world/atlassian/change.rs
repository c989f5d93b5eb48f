//! Changes of the Atlassian side. An error says what is wrong with the request, in words for the person who made it.

use jiff::Timestamp;

use super::{Atlassian, JiraGroup, SiteAccount, SiteProduct};

impl Atlassian {
    /// Adds an account that has been there since the first day.
    pub fn add_account(&mut self, account: SiteAccount) -> Result<(), String> {
        if account.account_id.is_empty() {
            return Err("an account needs an account_id".into());
        }
        if self.accounts.contains_key(&account.account_id) {
            return Err(format!("there is already an account {}", account.account_id));
        }
        if let Some(mut index) = self.index.take() {
            index.add_account(&account);
            index.count_seats(self, &account);
            self.index = index.into();
        }
        self.accounts.insert(account.account_id.clone(), account);
        Ok(())
    }

    /// Adds an account that comes into being at `at`; lagging reads do not see it at once.
    pub fn add_account_at(&mut self, account: SiteAccount, at: Timestamp) -> Result<(), String> {
        let id = account.account_id.clone();
        self.add_account(account)?;
        self.births.insert(id, at);
        Ok(())
    }

    /// Adds a group, with its members, that has been there since the first day. Names differ in more than case.
    pub fn add_group(&mut self, group: JiraGroup) -> Result<(), String> {
        if group.group_id.is_empty() || group.name.is_empty() {
            return Err("a group needs a group_id and a name".into());
        }
        if self.groups.contains_key(&group.group_id) {
            return Err(format!("there is already a group {}", group.group_id));
        }
        if self.index.get().is_some() && self.group_by_name(&group.name).is_some() {
            return Err(format!("there is already a group named {:?}", group.name));
        }
        if let Some(unknown) = group.members.iter().find(|id| !self.accounts.contains_key(*id)) {
            return Err(format!("there is no account {unknown} to be a member of {:?}", group.name));
        }
        let members: Vec<String> = group.members.iter().cloned().collect();
        if let Some(index) = self.index.get_mut() {
            index.add_group(&group);
        }
        self.groups.insert(group.group_id.clone(), group);
        for id in &members {
            self.recount(id);
        }
        Ok(())
    }

    /// Adds a group that comes into being at `at`; lagging reads do not see it at once.
    pub fn add_group_at(&mut self, group: JiraGroup, at: Timestamp) -> Result<(), String> {
        let id = group.group_id.clone();
        self.add_group(group)?;
        self.births.insert(id, at);
        Ok(())
    }

    /// Gives a group another name; its id, members and product bindings stay.
    pub fn rename_group(&mut self, group_id: &str, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("a group needs a name".into());
        }
        let group = self.groups.get_mut(group_id).ok_or_else(|| format!("there is no group {group_id}"))?;
        if let Some(index) = self.index.get_mut() {
            index.remove_group(group);
        }
        let old = std::mem::replace(&mut group.name, name.to_owned());
        if let Some(index) = self.index.get_mut() {
            index.add_group(group);
        }
        for product in &mut self.products {
            for groups in [&mut product.groups, &mut product.default_groups] {
                if groups.remove(&old) {
                    groups.insert(name.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Deletes a group with its memberships and product bindings.
    pub fn delete_group(&mut self, group_id: &str) -> Result<(), String> {
        let group = self.groups.remove(group_id).ok_or_else(|| format!("there is no group {group_id}"))?;
        if let Some(index) = self.index.get_mut() {
            index.remove_group(&group);
        }
        for product in &mut self.products {
            product.groups.remove(&group.name);
            product.default_groups.remove(&group.name);
        }
        for id in &group.members {
            self.recount(id);
        }
        Ok(())
    }

    /// Puts an account into a group. Nothing happens when it is in it.
    pub fn set_member(&mut self, group_id: &str, account_id: &str, at: Timestamp) -> Result<(), String> {
        if !self.accounts.contains_key(account_id) {
            return Err(format!("there is no account {account_id}"));
        }
        let group = self.groups.get_mut(group_id).ok_or_else(|| format!("there is no group {group_id}"))?;
        if group.members.insert(account_id.to_owned()) {
            if let Some(index) = self.index.get_mut() {
                index.link(group_id, account_id);
            }
            self.record(group_id, account_id, at, true);
            self.recount(account_id);
        }
        Ok(())
    }

    /// Takes an account out of a group. Nothing happens when it is not in it.
    pub fn unset_member(&mut self, group_id: &str, account_id: &str, at: Timestamp) -> Result<(), String> {
        let group = self.groups.get_mut(group_id).ok_or_else(|| format!("there is no group {group_id}"))?;
        if group.members.remove(account_id) {
            if let Some(index) = self.index.get_mut() {
                index.unlink(group_id, account_id);
            }
            self.record(group_id, account_id, at, false);
            self.recount(account_id);
        }
        Ok(())
    }

    /// Takes an account out of the directory and all its groups; the account stays known to Atlassian.
    pub fn remove_from_directory(&mut self, account_id: &str, at: Timestamp) -> Result<(), String> {
        let groups: Vec<String> = self.groups_of(account_id).map(|g| g.group_id.clone()).collect();
        for group in groups {
            self.unset_member(&group, account_id, at)?;
        }
        self.update_account(account_id, |account| {
            account.membership_status = "no_membership".into();
            account.former = true;
            account.invited = false;
        })
    }

    /// Changes an account, keeping the indexes.
    pub fn update_account(
        &mut self,
        account_id: &str,
        change: impl FnOnce(&mut SiteAccount),
    ) -> Result<(), String> {
        let account =
            self.accounts.get_mut(account_id).ok_or_else(|| format!("there is no account {account_id}"))?;
        if let Some(index) = self.index.get_mut() {
            index.remove_account(account);
        }
        change(account);
        account_id.clone_into(&mut account.account_id);
        if let Some(index) = self.index.get_mut() {
            index.add_account(account);
        }
        self.recount(account_id);
        Ok(())
    }

    /// An account to change freely. The indexes are built anew at the next read; [`Self::update_account`] keeps them.
    pub fn account_mut(&mut self, account_id: &str) -> Result<&mut SiteAccount, String> {
        self.index.take();
        self.accounts.get_mut(account_id).ok_or_else(|| format!("there is no account {account_id}"))
    }

    /// A group to change freely. The indexes are built anew at the next read.
    pub fn group_mut(&mut self, group_id: &str) -> Result<&mut JiraGroup, String> {
        self.index.take();
        self.groups.get_mut(group_id).ok_or_else(|| format!("there is no group {group_id}"))
    }

    /// A product to change freely. The indexes are built anew at the next read.
    pub fn product_mut(&mut self, key: &str) -> Result<&mut SiteProduct, String> {
        self.index.take();
        self.products.iter_mut().find(|p| p.key == key).ok_or_else(|| format!("there is no product {key}"))
    }

    fn recount(&mut self, account_id: &str) {
        let Some(mut index) = self.index.take() else { return };
        if let Some(account) = self.accounts.get(account_id) {
            index.count_seats(self, account);
        }
        self.index = index.into();
    }
}
