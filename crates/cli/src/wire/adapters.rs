//! The engine's ports over the crates that know nothing of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use entrain_connect::atlassian::{self, Jira, Organization};
use entrain_connect::entra::Entra;
use entrain_domain::memory::{Memory, MemoryChange};
use entrain_domain::model::{
    Account, AccountId, EmailAddress, RenameBy, RunId, SiteGroup, SiteGroupId, SiteStanding, Unread,
};
use entrain_domain::plan::{History, LookupBy, StepId, StepKind};
use entrain_domain::policy::{Binding, Demand, Protected};
use entrain_domain::run::{AuditNote, Intent, Phase, RequestCounts, RunReport, StepEnd, Trigger};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::{
    Added, Busy, ClaimError, Directory, DirectoryRead, OpenIntent, Removed, Site, Store, UnfinishedRun,
    Watermark,
};
use jiff::Timestamp;

/// The directory over Graph.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryPort(pub(super) Arc<Entra>);

impl Directory for DirectoryPort {
    async fn read(&self, demand: &Demand) -> Result<DirectoryRead, Failure> {
        let read = self.0.read(demand).await.map_err(|e| e.failure())?;
        let watermark =
            Watermark { users: read.users_link, groups: read.groups_link, issued_at: read.issued_at };
        Ok(DirectoryRead { snapshot: read.snapshot, watermark })
    }
    fn requests(&self) -> RequestCounts {
        // One meter counts for the whole connection; the other planes are the site port's to tell
        let all = self.0.requests();
        RequestCounts { directory: all.directory, ..RequestCounts::default() }
    }
}

/// The site over Jira's REST, and over the organization plane where a key is configured.
#[derive(Debug, Clone)]
pub(crate) struct SitePort {
    jira: Arc<Jira>,
    organization: Option<Arc<Organization>>,
    renames: Renames,
    bindings: Vec<Binding>,
}

/// Whether groups follow a new name in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renames {
    /// They do, where the organization can.
    Follow,
    /// They keep the name they have.
    Keep,
}

impl SitePort {
    pub(super) fn new(
        jira: Arc<Jira>,
        organization: Option<Arc<Organization>>,
        renames: Renames,
        bindings: Vec<Binding>,
    ) -> Self {
        Self { jira, organization, renames, bindings }
    }

    fn organization(&self) -> Result<&Organization, Failure> {
        self.organization.as_deref().ok_or_else(|| {
            Failure::new(
                FailureCode::OrganizationRefused,
                FailureClass::Object,
                "no organization key is configured",
                "add [site.organization] to the connection document",
            )
        })
    }
}

impl Site for SitePort {
    async fn standing(&self) -> Result<SiteStanding, Failure> {
        self.jira.standing().await.map_err(|e| e.failure())
    }
    fn protect(&self, protected: &Protected, standing: &SiteStanding, groups: &[SiteGroup]) {
        let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
        let bound = |g: &&SiteGroup| self.bindings.iter().any(|b| same(&b.site, &g.name));
        let released: BTreeSet<SiteGroupId> = groups.iter().filter(bound).map(|g| g.id.clone()).collect();
        self.jira.protect(protected, standing, groups, &released);
    }
    async fn accounts(&self) -> Result<Vec<Account>, Failure> {
        self.jira.accounts().await.map_err(|e| e.failure())
    }
    async fn groups(&self) -> Result<Vec<SiteGroup>, Failure> {
        self.jira.groups().await.map_err(|e| e.failure())
    }
    async fn members(&self, group: &SiteGroupId) -> Result<Vec<AccountId>, Failure> {
        self.jira.members(group).await.map_err(|e| e.failure())
    }
    async fn find_accounts(&self, email: &EmailAddress) -> Result<Vec<Account>, Failure> {
        self.jira.find_accounts(email).await.map_err(|e| e.failure())
    }
    fn look_up_by(&self) -> LookupBy {
        if self.organization.is_some() { LookupBy::Organization } else { LookupBy::Site }
    }
    async fn find_in_organization(
        &self,
        addresses: &[EmailAddress],
    ) -> Result<Vec<(EmailAddress, AccountId)>, Failure> {
        let found = self.organization()?.find_by_address(addresses).await.map_err(|e| e.failure())?;
        Ok(found.into_iter().filter_map(|user| Some((user.address?, user.account))).collect())
    }
    async fn renaming(&self, groups: &[SiteGroupId]) -> Result<Vec<(SiteGroupId, RenameBy)>, Failure> {
        match (&self.organization, self.renames) {
            (None, _) => Ok(Vec::new()),
            (Some(_), Renames::Keep) => {
                let kept = RenameBy::Nobody(Unread {
                    reason: "rename_groups is off".into(),
                    remedy: "switch [site.organization] rename_groups on".into(),
                });
                Ok(groups.iter().map(|group| (group.clone(), kept.clone())).collect())
            }
            (Some(organization), Renames::Follow) => {
                organization.renaming(groups).await.map_err(|e| e.failure())
            }
        }
    }
    async fn rename_group(&self, group: &SiteGroup, name: &str) -> Result<(), Failure> {
        self.organization()?.rename_group(group, name).await.map_err(|e| e.failure())
    }
    async fn find_groups(&self, name: &str) -> Result<Vec<SiteGroup>, Failure> {
        self.jira.find_groups(name).await.map_err(|e| e.failure())
    }
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, Failure> {
        self.jira.account(id).await.map_err(|e| e.failure())
    }
    async fn invite(&self, email: &EmailAddress, products: &[String]) -> Result<Account, Failure> {
        self.jira.invite(email, products).await.map_err(|e| e.failure())
    }
    async fn create_group(&self, name: &str) -> Result<SiteGroup, Failure> {
        self.jira.create_group(name).await.map_err(|e| e.failure())
    }
    async fn add_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Added, Failure> {
        Ok(match self.jira.add_member(group, account).await.map_err(|e| e.failure())? {
            atlassian::Added::Now => Added::Now,
            atlassian::Added::Already => Added::Already,
        })
    }
    async fn remove_member(&self, group: &SiteGroup, account: &AccountId) -> Result<Removed, Failure> {
        Ok(match self.jira.remove_member(group, account).await.map_err(|e| e.failure())? {
            atlassian::Removed::Now => Removed::Now,
            atlassian::Removed::Already => Removed::Already,
        })
    }
    fn requests(&self) -> RequestCounts {
        RequestCounts { directory: 0, ..self.jira.requests() }
    }
}

/// What is remembered, in the database.
#[derive(Debug, Clone)]
pub(crate) struct StorePort(pub(super) entrain_store::Store);

type Stored<T> = Result<T, Failure>;

impl Store for StorePort {
    type Claim = entrain_store::Claim;

    async fn claim(&self, connection: &str, holder: &str) -> Result<Self::Claim, ClaimError> {
        self.0.claim(connection, holder).await.map_err(|error| match error {
            entrain_store::ClaimError::Busy { holder } => ClaimError::Busy(Busy { holder }),
            entrain_store::ClaimError::Failed(error) => ClaimError::Failed(error.failure()),
        })
    }
    async fn memory(&self, connection: &str) -> Stored<Memory> {
        self.0.memory(connection).await.map_err(|e| e.failure())
    }
    async fn history(&self, connection: &str, now: Timestamp) -> Stored<History> {
        self.0.history(connection, now).await.map_err(|e| e.failure())
    }
    async fn unfinished(&self, connection: &str) -> Stored<Option<UnfinishedRun>> {
        let left = self.0.unfinished(connection).await.map_err(|e| e.failure())?;
        Ok(left.map(|run| {
            let entrain_store::UnfinishedRun { id, trigger, phase, started_at, journal } = run;
            UnfinishedRun { id, trigger, phase, started_at, journal }
        }))
    }
    async fn open_intents(&self, connection: &str) -> Stored<Vec<OpenIntent>> {
        let open = self.0.open_intents(connection).await.map_err(|e| e.failure())?;
        Ok(open.into_iter().map(|(run, entry)| OpenIntent { run, entry }).collect())
    }
    async fn begin(&self, run: &RunId, connection: &str, trigger: Trigger, at: Timestamp) -> Stored<()> {
        self.0.begin(run, connection, trigger, at).await.map_err(|e| e.failure())
    }
    async fn phase(&self, run: &RunId, phase: Phase, plan: Option<&str>) -> Stored<()> {
        self.0.phase(run, phase, plan).await.map_err(|e| e.failure())
    }
    async fn intend(
        &self,
        run: &RunId,
        step: &StepId,
        kind: StepKind,
        intent: &Intent,
        at: Timestamp,
    ) -> Stored<()> {
        self.0.intend(run, step, kind, intent, at).await.map_err(|e| e.failure())
    }
    async fn settle(&self, run: &RunId, end: &StepEnd) -> Stored<()> {
        self.0.settle(run, end).await.map_err(|e| e.failure())
    }
    async fn learn(
        &self,
        connection: &str,
        changes: &[MemoryChange],
        directory: &DirectoryRead,
    ) -> Stored<()> {
        let Watermark { users, groups, issued_at } = directory.watermark.clone();
        let watermark = entrain_store::Watermark { users, groups, issued_at };
        self.0.learn(connection, changes, &directory.snapshot, &watermark).await.map_err(|e| e.failure())
    }
    async fn end(&self, report: &RunReport, note: AuditNote) -> Stored<()> {
        self.0.end(report, note).await.map_err(|e| e.failure())
    }
}
