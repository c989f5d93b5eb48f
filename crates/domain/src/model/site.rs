//! The site as it was read: accounts, groups, members of the groups that matter, products and seats, and what the
//! technical account may do there.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;

use super::address::EmailAddress;
use super::directory::Unread;
use super::ids::{AccountId, SiteGroupId};
use super::leaving::Lead;
use super::profile::ProfileStanding;

/// Kind of an Atlassian account (`accountType`). Only people are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AccountKind {
    /// `atlassian`
    Person,
    /// `app`: Connect, OAuth, service accounts, agents.
    App,
    /// `customer`: portal customers, who cannot be put into groups.
    Customer,
    /// `unknown`, and corrupted or fallback records.
    Unknown,
}

/// `active` of a Jira user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AccountActivity {
    /// May sign in.
    Active,
    /// Suspended or deactivated; the site does not say which.
    Inactive,
}

/// An account on the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `accountId`
    pub id: AccountId,
    /// `emailAddress`, unless the person's profile hides it.
    pub email: Option<EmailAddress>,
    /// `displayName`
    pub display_name: Arc<str>,
    /// `active`
    pub activity: AccountActivity,
    /// `accountType`
    pub kind: AccountKind,
}

/// A group of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteGroup {
    /// `groupId`
    pub id: SiteGroupId,
    /// `name`
    pub name: Arc<str>,
}

/// Whether a group may be managed at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupStanding {
    /// Nothing speaks against it.
    Ordinary,
    /// Grants site or product administration (`accessType=site-admin` or `admin`, or a customary name).
    Administrative,
    /// Holds app accounts (`atlassian-addons…`).
    Apps,
    /// New people land in it (`defaultGroups` of a product).
    DefaultAccess,
    /// Owned by an identity provider.
    External,
    /// On the operator's own list.
    Listed,
}

/// Key of a Jira product (`jira-software`, `jira-servicedesk`, `jira-core`, `jira-product-discovery`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ProductKey(pub Arc<str>);

/// Seats of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seats {
    /// `numberOfSeats` with `userCount` taken.
    Limited {
        /// Seats in all.
        limit: u64,
        /// Seats taken.
        used: u64,
    },
    /// `hasUnlimitedSeats`
    Unlimited {
        /// Seats taken.
        used: u64,
    },
    /// Nobody says how many there are.
    LimitNotTold {
        /// Seats taken.
        used: u64,
    },
    /// Nobody says how many are taken.
    NotCounted {
        /// Seats in all, where that is told.
        limit: Option<u64>,
    },
}

impl Seats {
    /// Seats taken, where that is known.
    pub fn used(self) -> Option<u64> {
        match self {
            Self::Limited { used, .. } | Self::Unlimited { used } | Self::LimitNotTold { used } => Some(used),
            Self::NotCounted { .. } => None,
        }
    }

    /// Seats in all; `None` when they are unlimited, or not told.
    pub fn limit(self) -> Option<u64> {
        match self {
            Self::Limited { limit, .. } => Some(limit),
            Self::NotCounted { limit } => limit,
            Self::Unlimited { .. } | Self::LimitNotTold { .. } => None,
        }
    }

    /// Whether nobody says how many there are.
    pub fn limit_is_untold(self) -> bool {
        matches!(self, Self::LimitNotTold { .. } | Self::NotCounted { limit: None })
    }
}

/// A product of the site and the groups that grant it (`applicationrole`; for Confluence the organization).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// `key`
    pub key: ProductKey,
    /// `name`
    pub name: Arc<str>,
    /// Groups whose members take a seat.
    pub groups: BTreeSet<SiteGroupId>,
    /// Groups that new people land in.
    pub default_groups: BTreeSet<SiteGroupId>,
    /// Seats.
    pub seats: Seats,
}

/// What the start-up checks of a run found (at most six requests, contract).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteStanding {
    /// The technical account itself; never touched.
    pub own_account: AccountId,
    /// Products with their seats.
    pub products: Vec<Product>,
    /// Groups that grant site administration or product administration.
    pub administrative_groups: BTreeSet<SiteGroupId>,
    /// Whether the technical account may write groups (is in a group of `accessType=site-admin`).
    pub site_admin: Finding,
    /// `Administer Jira`.
    pub administer: Finding,
    /// `Browse users and groups`.
    pub browse_users: Finding,
}

/// An answer of a probe that need not have one.
pub type Finding = Option<bool>;

impl SiteStanding {
    /// The same standing without a list of administrative groups that names every group of the site. The filter
    /// `accessType` of `group/bulk` is marked experimental; where it is ignored, the answer lists all groups and says
    /// nothing. Groups are then told by their customary names alone.
    #[must_use]
    pub fn distrusting_unfiltered_lists(mut self, groups: &[SiteGroup]) -> Self {
        let everything = groups.iter().all(|g| self.administrative_groups.contains(&g.id));
        if everything && groups.iter().any(|g| !is_administrative_name(&g.name)) {
            self.administrative_groups.clear();
            self.site_admin = None;
        }
        self
    }

    /// Whether, and why, a group is to be left alone: found by role first, by customary name second
    /// (atlassian-cloud.md 4.2, groups never to touch).
    pub fn group_standing(&self, group: &SiteGroup) -> GroupStanding {
        let name = group.name.trim().to_lowercase();
        if name.starts_with("atlassian-addons") {
            GroupStanding::Apps
        } else if self.administrative_groups.contains(&group.id) || is_administrative_name(&name) {
            GroupStanding::Administrative
        } else if self.products.iter().any(|p| p.default_groups.contains(&group.id)) {
            GroupStanding::DefaultAccess
        } else {
            GroupStanding::Ordinary
        }
    }
}

/// Whether a name is one that administrators' groups customarily bear. Also asked of names that do not exist yet:
/// creating such a group would be taking a privileged name.
pub fn is_administrative_name(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    matches!(
        name.as_str(),
        "site-admins"
            | "org-admins"
            | "jira-administrators"
            | "administrators"
            | "system-administrators"
            | "confluence-administrators"
    ) || name.starts_with("jira-admins-")
        || name.starts_with("confluence-admins-")
        || name.starts_with("atlassian-addons")
}

/// Who can give a group of the site another name. Jira's own REST cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenameBy {
    /// The organization plane.
    Organization,
    /// Nobody; why, and what to do about it.
    Nobody(Unread),
}

/// Members of one group, completely read or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteMembers {
    /// Every page, inactive members included.
    Complete(Vec<AccountId>),
    /// A page is missing; the group is left alone.
    Unread(Unread),
}

/// The site at one moment.
#[derive(Debug, Clone)]
pub struct SiteSnapshot {
    standing: SiteStanding,
    accounts: Vec<Account>,
    by_id: HashMap<AccountId, u32>,
    by_email: HashMap<String, Vec<u32>>,
    groups: Vec<SiteGroup>,
    group_by_id: HashMap<SiteGroupId, u32>,
    group_by_name: HashMap<String, Vec<u32>>,
    members: HashMap<SiteGroupId, SiteMembers>,
    /// Members of groups that are not managed, read to know who has a seat; never stored.
    holders: HashMap<SiteGroupId, SiteMembers>,
    renaming: HashMap<SiteGroupId, RenameBy>,
    profiles: HashMap<AccountId, ProfileStanding>,
    leads: HashMap<AccountId, Vec<Lead>>,
    touched: Option<SiteTouched>,
}

#[derive(Debug, Clone, Default)]
struct SiteTouched {
    accounts: HashSet<u32>,
    groups: HashSet<SiteGroupId>,
}

/// The objects of a snapshot that differ from the stored picture.
#[derive(Debug)]
pub struct SiteChanges<'a> {
    /// Accounts that were found, made or changed.
    pub accounts: Vec<&'a Account>,
    /// Groups that were found or made, or whose members were read again, or are no longer known.
    pub groups: Vec<&'a SiteGroup>,
}

/// The site as it was stored: accounts, groups, and the members of the groups whose members are known.
#[derive(Debug, Clone, Default)]
pub struct SitePicture {
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Groups.
    pub groups: Vec<SiteGroup>,
    /// Members by group.
    pub members: HashMap<SiteGroupId, Vec<AccountId>>,
}

impl SiteSnapshot {
    /// A snapshot of a stored picture, with checks made just now. From here on it keeps account of what becomes
    /// different from what is stored.
    pub fn remembered(standing: SiteStanding, picture: SitePicture) -> Self {
        let mut snapshot = Self::new(standing, picture.accounts, picture.groups);
        for (group, members) in picture.members {
            snapshot.put_members(group, SiteMembers::Complete(members));
        }
        snapshot.stored();
        snapshot
    }

    /// What is here now is stored.
    pub fn stored(&mut self) {
        self.touched = Some(SiteTouched::default());
    }

    /// What differs from the stored picture; `None` when nothing is stored yet and everything is to be taken for new.
    pub fn changes(&self) -> Option<SiteChanges<'_>> {
        let touched = self.touched.as_ref()?;
        let mut accounts: Vec<&Account> =
            touched.accounts.iter().map(|ix| &self.accounts[*ix as usize]).collect();
        let mut groups: Vec<&SiteGroup> = touched.groups.iter().filter_map(|id| self.group(id)).collect();
        accounts.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        groups.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Some(SiteChanges { accounts, groups })
    }

    fn touch_account(&mut self, ix: u32) {
        if let Some(touched) = &mut self.touched {
            touched.accounts.insert(ix);
        }
    }

    fn touch_group(&mut self, id: &SiteGroupId) {
        if let Some(touched) = &mut self.touched {
            touched.groups.insert(id.clone());
        }
    }

    /// A snapshot of a completely read roll of accounts and groups; a roll that could not be read to its end is a
    /// failure of the run, never a snapshot. Doubled accounts (pages that shift) are taken once.
    pub fn new(standing: SiteStanding, accounts: Vec<Account>, groups: Vec<SiteGroup>) -> Self {
        let mut snapshot = Self {
            standing,
            accounts: Vec::with_capacity(accounts.len()),
            by_id: HashMap::with_capacity(accounts.len()),
            by_email: HashMap::with_capacity(accounts.len()),
            groups: Vec::with_capacity(groups.len()),
            group_by_id: HashMap::with_capacity(groups.len()),
            group_by_name: HashMap::with_capacity(groups.len()),
            members: HashMap::new(),
            holders: HashMap::new(),
            renaming: HashMap::new(),
            profiles: HashMap::new(),
            leads: HashMap::new(),
            touched: None,
        };
        for account in accounts {
            snapshot.put_account(account);
        }
        for group in groups {
            snapshot.put_group(group);
        }
        snapshot
    }

    /// An account that was found or made after the roll was read. A known id is replaced.
    pub fn put_account(&mut self, account: Account) {
        if let Some(ix) = self.by_id.get(&account.id).copied() {
            if self.accounts[ix as usize] == account {
                return;
            }
            self.touch_account(ix);
            if let Some(email) = &self.accounts[ix as usize].email
                && let Some(list) = self.by_email.get_mut(&email.key())
            {
                list.retain(|other| *other != ix);
            }
            if let Some(email) = &account.email {
                self.by_email.entry(email.key()).or_default().push(ix);
            }
            self.accounts[ix as usize] = account;
            return;
        }
        let ix = self.accounts.len() as u32;
        self.by_id.insert(account.id.clone(), ix);
        if let Some(email) = &account.email {
            self.by_email.entry(email.key()).or_default().push(ix);
        }
        self.accounts.push(account);
        self.touch_account(ix);
    }

    /// A group that was found, made or renamed after the roll was read. A known id gets the new name.
    pub fn put_group(&mut self, group: SiteGroup) {
        if let Some(ix) = self.group_by_id.get(&group.id).copied() {
            let known = &mut self.groups[ix as usize];
            if known.name != group.name {
                if let Some(list) = self.group_by_name.get_mut(&group_name_key(&known.name)) {
                    list.retain(|other| *other != ix);
                }
                self.group_by_name.entry(group_name_key(&group.name)).or_default().push(ix);
                known.name = group.name;
                self.touch_group(&group.id);
            }
            return;
        }
        let ix = self.groups.len() as u32;
        self.group_by_id.insert(group.id.clone(), ix);
        self.group_by_name.entry(group_name_key(&group.name)).or_default().push(ix);
        self.touch_group(&group.id);
        self.groups.push(group);
    }

    /// The members of a group, as read.
    pub fn put_members(&mut self, group: SiteGroupId, members: SiteMembers) {
        let members = match members {
            SiteMembers::Complete(mut list) => {
                list.sort_unstable();
                list.dedup();
                SiteMembers::Complete(list)
            }
            unread @ SiteMembers::Unread(_) => unread,
        };
        if self.members.get(&group) != Some(&members) {
            self.touch_group(&group);
            self.members.insert(group, members);
        }
    }

    /// The members of a group that is not managed, to know who has a seat. Kept apart: a picture that is stored never
    /// says of such a group who is in it.
    pub fn put_holders(&mut self, group: SiteGroupId, members: SiteMembers) {
        let members = match members {
            SiteMembers::Complete(mut list) => {
                list.sort_unstable();
                list.dedup();
                SiteMembers::Complete(list)
            }
            unread @ SiteMembers::Unread(_) => unread,
        };
        self.holders.insert(group, members);
    }

    /// The members of a group as far as anything was read of it, for whatever purpose.
    pub fn holders(&self, group: &SiteGroupId) -> Option<&SiteMembers> {
        self.members.get(group).or_else(|| self.holders.get(group))
    }

    /// Products and seats as they are now.
    pub fn put_products(&mut self, products: Vec<Product>) {
        self.standing.products = products;
    }

    /// The members of a group are no longer known: they were written and not read back.
    pub fn forget_members(&mut self, group: &SiteGroupId) {
        if self.members.remove(group).is_some() {
            self.touch_group(group);
        }
    }

    /// Who can rename a group; asked only of groups that are to be renamed.
    pub fn put_renaming(&mut self, group: SiteGroupId, by: RenameBy) {
        self.renaming.insert(group, by);
    }

    /// Whether an account's profile can be changed; asked only of accounts whose profile should change.
    pub fn put_profile(&mut self, account: AccountId, standing: ProfileStanding) {
        self.profiles.insert(account, standing);
    }

    /// What a leaver leads; asked only of people for whom a rung is due.
    pub fn put_leads(&mut self, account: AccountId, leads: Vec<Lead>) {
        self.leads.insert(account, leads);
    }

    /// Whether it was asked what somebody leads.
    pub fn knows_leads(&self, account: &AccountId) -> bool {
        self.leads.contains_key(account)
    }

    /// What a leaver leads, as far as it was asked and could be read.
    pub fn leads(&self, account: &AccountId) -> &[Lead] {
        self.leads.get(account).map_or(&[], Vec::as_slice)
    }

    /// What the start-up checks found.
    pub fn standing(&self) -> &SiteStanding {
        &self.standing
    }
    /// All accounts, in the order of the roll.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }
    /// An account by id.
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.by_id.get(id).map(|ix| &self.accounts[*ix as usize])
    }
    /// All accounts that show this address.
    pub fn accounts_by_email(&self, email: &EmailAddress) -> impl Iterator<Item = &Account> {
        self.by_email.get(&email.key()).into_iter().flatten().map(|ix| &self.accounts[*ix as usize])
    }
    /// All groups.
    pub fn groups(&self) -> &[SiteGroup] {
        &self.groups
    }
    /// A group by id.
    pub fn group(&self, id: &SiteGroupId) -> Option<&SiteGroup> {
        self.group_by_id.get(id).map(|ix| &self.groups[*ix as usize])
    }
    /// All groups of this name, without regard to case and to blanks around it.
    pub fn groups_by_name(&self, name: &str) -> impl Iterator<Item = &SiteGroup> {
        self.group_by_name
            .get(&group_name_key(name))
            .into_iter()
            .flatten()
            .map(|ix| &self.groups[*ix as usize])
    }
    /// The members of a group, if they were asked for.
    pub fn members(&self, group: &SiteGroupId) -> Option<&SiteMembers> {
        self.members.get(group)
    }
    /// Who can rename a group, if it was asked.
    pub fn rename_by(&self, group: &SiteGroupId) -> Option<&RenameBy> {
        self.renaming.get(group)
    }
    /// Whether an account's profile can be changed, if it was asked.
    pub fn profile(&self, account: &AccountId) -> Option<&ProfileStanding> {
        self.profiles.get(account)
    }
    /// The groups whose members were asked for.
    pub fn groups_read(&self) -> impl Iterator<Item = (&SiteGroupId, &SiteMembers)> {
        self.members.iter()
    }
}

impl SiteMembers {
    /// Whether the account is a member; `None` when that is not known.
    pub fn contains(&self, account: &AccountId) -> Option<bool> {
        match self {
            Self::Complete(list) => Some(list.binary_search(account).is_ok()),
            Self::Unread(_) => None,
        }
    }
}

/// The form under which two names of groups are the same: without regard to case and to blanks around them
/// (atlassian-cloud.md 4.2, names), nor to how accents are encoded, which nobody can see. Letters that merely look
/// alike stay different.
pub fn group_name_key(name: &str) -> String {
    let name = name.trim();
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc().collect::<String>().to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(administrative: &[&str]) -> SiteStanding {
        SiteStanding {
            own_account: AccountId::parse("me").unwrap(),
            products: Vec::new(),
            administrative_groups: administrative.iter().map(|id| SiteGroupId::parse(id).unwrap()).collect(),
            site_admin: Some(true),
            administer: Some(true),
            browse_users: Some(true),
        }
    }

    #[test]
    fn h_02_names_of_groups_agree_across_case_blanks_and_encoding_of_accents_only() {
        let same = |a: &str, b: &str| group_name_key(a) == group_name_key(b);
        assert!(same(" Jira Users", "jira users "));
        assert!(same("Café", "Cafe\u{301}"), "NFC and NFD look the same to everybody");
        assert!(same("ÄRZTE", "a\u{308}rzte"));
        assert!(!same("Café", "Cafe"));
        assert!(!same("Admins", "\u{410}dmins"), "a Cyrillic А is another letter");
        assert!(
            !same("I", "ı") && !same("i", "ı") && !same("İ", "i"),
            "dotted and dotless i are two letters"
        );
        assert!(!same("Straße", "Strasse"));
        assert!(same("STRAẞE", "straße"), "the capital sharp s is the same letter in another case");
        assert!(!same("Ａdmins", "Admins"), "full-width letters are other characters");
    }

    #[test]
    fn a_list_of_administrators_groups_that_names_every_group_says_nothing() {
        let group = |id: &str| SiteGroup { id: SiteGroupId::parse(id).unwrap(), name: Arc::from(id) };
        let all = [group("site-admins"), group("staff")];
        let seen = standing(&["site-admins", "staff"]).distrusting_unfiltered_lists(&all);
        assert_eq!(seen.group_standing(&all[0]), GroupStanding::Administrative, "by its name");
        assert_eq!(seen.group_standing(&all[1]), GroupStanding::Ordinary);
        assert_eq!(seen.site_admin, None);
        let seen = standing(&["staff"]).distrusting_unfiltered_lists(&all);
        assert_eq!(seen.group_standing(&all[1]), GroupStanding::Administrative, "a real list is believed");
    }
}
