//! What must never be written to, refused before a request is made: a wrong plan cannot reach it (design invariant 3).

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};

use entrain_domain::model::{
    Account, AccountId, AccountKind, EmailAddress, GroupStanding, SiteGroup, SiteGroupId, SiteStanding,
    group_name_key, is_administrative_name,
};
use entrain_domain::policy::Protected;
use entrain_domain::{Failure, FailureClass, FailureCode};

use super::Jira;
use crate::Error;

/// The protection of one client; closed until it is told what to protect.
#[derive(Debug, Default)]
pub(super) struct Shield {
    rules: RwLock<Option<Rules>>,
    /// Addresses of the accounts read so far: protection by address must reach an account by its id.
    addresses: RwLock<HashMap<AccountId, EmailAddress>>,
}

/// Which way a membership is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Add,
    Remove,
}

/// A person as the other side shows them just before their access is changed.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) kind: AccountKind,
    pub(super) email: Option<EmailAddress>,
    pub(super) groups: Vec<SiteGroup>,
    pub(super) roles: PlatformRoles,
}

/// What is known of somebody's roles in the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlatformRoles {
    /// Administers something.
    Administrator,
    /// Administers nothing.
    None,
    /// The organization was asked and did not say.
    NotKnown,
    /// There is no key to ask with; groups have to tell.
    NotAsked,
}

#[derive(Debug)]
struct Rules {
    protected: Protected,
    standing: SiteStanding,
    groups: HashMap<SiteGroupId, SiteGroup>,
    released: BTreeSet<SiteGroupId>,
}

impl Jira {
    /// From now on every write is checked against this before a request is made: the technical account, protected
    /// accounts (by id and by the address that the site showed), protected groups (by id and by name), and groups
    /// that grant administration, hold apps, or receive new people. `released` holds the groups that the rules bind on
    /// purpose: it opens groups that grant administration or receive new people; nothing opens the others. Without *Administer Jira* and
    /// *Browse users and groups* the privileged groups cannot be told, and every group is left alone.
    pub fn protect(
        &self,
        protected: &Protected,
        standing: &SiteStanding,
        groups: &[SiteGroup],
        released: &BTreeSet<SiteGroupId>,
    ) {
        self.shield.set(Rules {
            protected: protected.clone(),
            standing: standing.clone(),
            groups: groups.iter().map(|group| (group.id.clone(), group.clone())).collect(),
            released: released.clone(),
        });
    }
}

impl Jira {
    /// Remembers accounts that were read by an earlier run: what is protected by its address is so by its id.
    pub fn remember(&self, accounts: &[Account]) {
        self.shield.remember(accounts);
    }
}

impl Shield {
    fn set(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Some(rules);
    }

    /// Remembers the addresses that these accounts show.
    pub(super) fn remember(&self, accounts: &[Account]) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            if let Some(email) = &account.email {
                addresses.insert(account.id.clone(), email.clone());
            }
        }
    }

    /// Remembers the address that the organization shows for an account.
    pub(super) fn remember_address(&self, account: &AccountId, email: Option<&EmailAddress>) {
        if let Some(email) = email {
            let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
            addresses.insert(account.clone(), email.clone());
        }
    }

    /// Remembers the address by which accounts that hide theirs were found.
    pub(super) fn remember_found(&self, email: &EmailAddress, accounts: &[Account]) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            addresses.entry(account.id.clone()).or_insert_with(|| email.clone());
        }
    }

    /// Refuses a write to the members of a group, or of an account. The technical account may be added like
    /// everybody else; nothing is ever taken from it.
    pub(super) fn membership(
        &self,
        group: &SiteGroup,
        account: &AccountId,
        write: Membership,
    ) -> Result<(), Error> {
        self.with(|rules| {
            rules.group(group)?;
            if write == Membership::Remove && *account == rules.standing.own_account {
                let why = "This is the technical account that Entrain works with";
                return Err(refusal(why, account.as_str()));
            }
            let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
            rules.account(account, addresses.get(account))
        })
    }

    /// Refuses an invitation.
    pub(super) fn invitation(&self, email: &EmailAddress) -> Result<(), Error> {
        self.with(|rules| rules.address(email))
    }

    /// Refuses a new group that would bear a privileged or protected name.
    pub(super) fn new_group(&self, name: &str) -> Result<(), Error> {
        self.with(|rules| {
            if is_administrative_name(name) {
                return Err(refusal(
                    "Groups of administrators and apps bear this name; Entrain creates none",
                    name,
                ));
            }
            rules.group_name(name)
        })
    }

    /// Refuses another name for a group that is protected or privileged, and a privileged or protected name for any.
    /// Not even a binding on purpose opens a privileged group to this.
    pub(super) fn renaming(&self, group: &SiteGroup, name: &str) -> Result<(), Error> {
        self.with(|rules| {
            rules.group(group)?;
            for named in std::iter::once(group).chain(rules.groups.get(&group.id)) {
                if rules.standing.group_standing(named) != GroupStanding::Ordinary {
                    return Err(refusal("Privileged groups keep their names", &group.name));
                }
            }
            Ok(())
        })?;
        self.new_group(name)
    }

    /// Refuses a write to an account: the technical account and protected ones.
    pub(super) fn account(&self, account: &AccountId) -> Result<(), Error> {
        self.with(|rules| {
            if *account == rules.standing.own_account {
                let why = "This is the technical account that Entrain works with";
                return Err(refusal(why, account.as_str()));
            }
            let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
            rules.account(account, addresses.get(account))
        })
    }

    /// Refuses to change the access of somebody who administers anything (so that the last administrator is never
    /// touched either), of apps and portal customers, and of whoever [`Shield::account`] refuses.
    pub(super) fn leaving(&self, account: &AccountId, seen: &Seen) -> Result<(), Error> {
        self.account(account)?;
        self.with(|rules| {
            let why = match (seen.kind, seen.roles) {
                (AccountKind::App, _) => Some("This is the account of an app"),
                (AccountKind::Customer, _) => Some("This is the account of a portal customer"),
                (AccountKind::Unknown, _) => Some("It is not known what kind of account this is"),
                (_, PlatformRoles::Administrator) => {
                    Some("The person administers the organization or a site")
                }
                (_, PlatformRoles::NotKnown) => {
                    Some("It is not known whether the person is an administrator")
                }
                (AccountKind::Person, PlatformRoles::None | PlatformRoles::NotAsked) => None,
            };
            if let Some(why) = why {
                return Err(refusal(why, account.as_str()));
            }
            if rules.standing.browse_users == Some(false) || rules.standing.administer == Some(false) {
                return Err(refusal("Administrators cannot be told from others", account.as_str()));
            }
            for group in &seen.groups {
                if rules.standing.group_standing(group) == GroupStanding::Administrative {
                    let why = "The person is in a group that grants administration";
                    return Err(refusal(why, account.as_str()));
                }
            }
            seen.email.as_ref().map_or(Ok(()), |email| rules.address(email))
        })
    }

    /// Whether the technical account is known to be a site administrator.
    pub(super) fn site_admin(&self) -> bool {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.as_ref().is_some_and(|rules| rules.standing.site_admin == Some(true))
    }

    fn with(&self, check: impl FnOnce(&Rules) -> Result<(), Error>) -> Result<(), Error> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.as_ref().map_or_else(
            || {
                Err(Failure::new(
                    FailureCode::SiteProtected,
                    FailureClass::Connection,
                    "Nothing is written before it is known what must not be touched",
                    "Please report this: a write was asked for before the checks that begin a run",
                )
                .into())
            },
            check,
        )
    }
}

impl Rules {
    fn group(&self, group: &SiteGroup) -> Result<(), Error> {
        if self.standing.browse_users == Some(false) || self.standing.administer == Some(false) {
            return Err(Failure::new(
                FailureCode::SiteRightMissing,
                FailureClass::Connection,
                "The groups of administrators cannot be told from others, so no group is written to",
                "Give the technical account the global permissions Administer Jira and Browse users and groups",
            )
            .of(&*group.name)
            .into());
        }
        if self.protected.groups.contains(&group.id) {
            return Err(refusal("The group is on the list of protected groups", &group.name));
        }
        // The name as the plan has it and the name as the site has it: the plan may be wrong about either.
        for named in std::iter::once(group).chain(self.groups.get(&group.id)) {
            self.group_name(&named.name)?;
            let why = match self.standing.group_standing(named) {
                GroupStanding::Administrative | GroupStanding::DefaultAccess
                    if self.released.contains(&group.id) =>
                {
                    continue;
                }
                GroupStanding::Administrative => "The group grants administration of the site or of Jira",
                GroupStanding::Apps => "The group holds the accounts of apps",
                GroupStanding::External => "The group is owned by an identity provider",
                GroupStanding::Listed => "The group is on the list of protected groups",
                GroupStanding::DefaultAccess => {
                    "New people land in this group by themselves, and it is not bound on purpose"
                }
                GroupStanding::Ordinary => continue,
            };
            return Err(refusal(why, &group.name));
        }
        Ok(())
    }

    fn group_name(&self, name: &str) -> Result<(), Error> {
        if self.protected.group_names.contains(&group_name_key(name)) {
            return Err(refusal("The group is on the list of protected groups", name));
        }
        Ok(())
    }

    fn account(&self, account: &AccountId, email: Option<&EmailAddress>) -> Result<(), Error> {
        if self.protected.accounts.contains(account) {
            return Err(refusal("The account is on the list of protected accounts", account.as_str()));
        }
        email.map_or(Ok(()), |email| self.address(email))
    }

    fn address(&self, email: &EmailAddress) -> Result<(), Error> {
        let listed = |address: &String| address.eq_ignore_ascii_case(email.as_str());
        if self.protected.addresses.iter().any(listed) {
            return Err(refusal("The address is on the list of protected accounts", email.as_str()));
        }
        Ok(())
    }
}

fn refusal(why: &str, object: &str) -> Error {
    Failure::new(
        FailureCode::SiteProtected,
        FailureClass::Object,
        format!("{why}; nothing was sent"),
        "Leave it as it is, or change it by hand on the site; a group can be bound on purpose in [groups] map",
    )
    .of(object)
    .into()
}
