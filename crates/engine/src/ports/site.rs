//! The site, as the use cases read and write it.

use std::collections::BTreeSet;
use std::future::Future;

use entrain_domain::Failure;
use entrain_domain::model::{
    Account, AccountId, EmailAddress, Lead, Profile, ProfileStanding, RenameBy, SiteGroup, SiteGroupId,
    SiteStanding,
};
use entrain_domain::plan::{LookupBy, Reversible};
use entrain_domain::policy::{Measure, PropertyValues, Protected};
use entrain_domain::run::RequestCounts;

/// What `POST /group/user` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// A member from now on.
    Now,
    /// Was a member already.
    Already,
}

/// What `DELETE /group/user` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// No member from now on.
    Now,
    /// Was no member.
    Already,
}

/// What an act on somebody's access did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// So from now on.
    Now,
    /// Was so already, by somebody else's hand.
    Already,
}

/// An act on somebody's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessAct {
    /// A rung of the ladder.
    Take(Measure),
    /// Back from one.
    Back(Reversible),
}

/// The site. Every write either is known to have happened, is known not to have, or fails with the class `Unclear`.
pub trait Site: Send + Sync {
    /// The checks that begin a run, at most six requests.
    fn standing(&self) -> impl Future<Output = Result<SiteStanding, Failure>> + Send;
    /// The same in one round trip, for somebody who waits.
    fn standing_at_once(&self) -> impl Future<Output = Result<SiteStanding, Failure>> + Send;
    /// From now on refuses every write that touches one of these, or the technical account, or a privileged group.
    fn protect(&self, protected: &Protected, standing: &SiteStanding, groups: &[SiteGroup]);
    /// Accounts that a mirror knows and that were not read now: what is protected by its address is so by its id.
    fn remember(&self, accounts: &[Account]);
    /// The whole roll of accounts, inactive ones included.
    fn accounts(&self) -> impl Future<Output = Result<Vec<Account>, Failure>> + Send;
    /// All groups.
    fn groups(&self) -> impl Future<Output = Result<Vec<SiteGroup>, Failure>> + Send;
    /// All members of a group, inactive ones included.
    fn members(&self, group: &SiteGroupId) -> impl Future<Output = Result<Vec<AccountId>, Failure>> + Send;
    /// Accounts that the site's search finds for a complete address, hidden ones included.
    fn find_accounts(
        &self,
        email: &EmailAddress,
    ) -> impl Future<Output = Result<Vec<Account>, Failure>> + Send;
    /// Who is asked for the account behind an address: the organization where a key is configured.
    fn look_up_by(&self) -> LookupBy {
        LookupBy::Site
    }
    /// The accounts of these addresses as the organization knows them, hidden addresses included. Asked only where
    /// [`Site::look_up_by`] says so.
    fn find_in_organization(
        &self,
        addresses: &[EmailAddress],
    ) -> impl Future<Output = Result<Vec<(EmailAddress, AccountId)>, Failure>> + Send {
        let _ = addresses;
        async { Ok(Vec::new()) }
    }
    /// Who can rename these groups; nothing where no organization key is configured.
    fn renaming(
        &self,
        groups: &[SiteGroupId],
    ) -> impl Future<Output = Result<Vec<(SiteGroupId, RenameBy)>, Failure>> + Send {
        let _ = groups;
        async { Ok(Vec::new()) }
    }
    /// Gives a group another name; ends in the same state however often it is made.
    fn rename_group(
        &self,
        group: &SiteGroup,
        name: &str,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (group, name);
        async { Err(no_organization()) }
    }
    /// Whether the profiles of these accounts can be changed, and what they show.
    fn profiles(
        &self,
        accounts: &[AccountId],
    ) -> impl Future<Output = Result<Vec<(AccountId, ProfileStanding)>, Failure>> + Send {
        let _ = accounts;
        async { Err(no_organization()) }
    }
    /// Sets these fields of a profile; ends in the same state however often it is made.
    fn set_profile(
        &self,
        account: &AccountId,
        profile: &Profile,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (account, profile);
        async { Err(no_organization()) }
    }
    /// Changes somebody's access; ends in the same state however often it is made. Suspension and deactivation need the
    /// organization; a removal is made there where a key is configured, else on the site.
    fn change_access(
        &self,
        account: &AccountId,
        act: AccessAct,
    ) -> impl Future<Output = Result<Changed, Failure>> + Send {
        let _ = (account, act);
        async { Err(no_organization()) }
    }
    /// What of somebody's access is taken at present, whoever took it; `None` where nobody can tell, as without an
    /// organization, or of somebody whom it does not know.
    fn taken_access(
        &self,
        account: &AccountId,
    ) -> impl Future<Output = Result<Option<BTreeSet<Reversible>>, Failure>> + Send {
        let _ = account;
        async { Ok(None) }
    }
    /// What these people lead on the site; people who lead nothing may be left out.
    fn leads(
        &self,
        accounts: &[AccountId],
    ) -> impl Future<Output = Result<Vec<(AccountId, Vec<Lead>)>, Failure>> + Send {
        let _ = accounts;
        async { Ok(Vec::new()) }
    }
    /// Sets a property of an account; ends in the same state however often it is made.
    fn set_property(
        &self,
        account: &AccountId,
        key: &str,
        values: &PropertyValues,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
    /// Groups of exactly this name.
    fn find_groups(&self, name: &str) -> impl Future<Output = Result<Vec<SiteGroup>, Failure>> + Send;
    /// One account by id; `None` when the site does not know it.
    fn account(&self, id: &AccountId) -> impl Future<Output = Result<Option<Account>, Failure>> + Send;
    /// All groups of an account; `None` when the site does not know the account.
    fn groups_of(
        &self,
        account: &AccountId,
    ) -> impl Future<Output = Result<Option<Vec<SiteGroupId>>, Failure>> + Send;
    /// Invites a person. The account may have existed before.
    fn invite(
        &self,
        email: &EmailAddress,
        products: &[String],
    ) -> impl Future<Output = Result<Account, Failure>> + Send;
    /// Creates a group.
    fn create_group(&self, name: &str) -> impl Future<Output = Result<SiteGroup, Failure>> + Send;
    /// Puts an account into a group.
    fn add_member(
        &self,
        group: &SiteGroup,
        account: &AccountId,
    ) -> impl Future<Output = Result<Added, Failure>> + Send;
    /// Takes an account out of a group.
    fn remove_member(
        &self,
        group: &SiteGroup,
        account: &AccountId,
    ) -> impl Future<Output = Result<Removed, Failure>> + Send;
    /// Requests made so far by this side.
    fn requests(&self) -> RequestCounts;
}

fn no_organization() -> Failure {
    Failure::new(
        entrain_domain::FailureCode::OrganizationRefused,
        entrain_domain::FailureClass::Object,
        "no organization key is configured",
        "add [site.organization] to the connection document",
    )
}
