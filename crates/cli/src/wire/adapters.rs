//! The engine's ports over the crates that know nothing of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use entrain_connect::atlassian::organization::Activity;
use entrain_connect::atlassian::{self, Jira, Organization};
use entrain_connect::entra::{self, Entra};
use entrain_connect::http::BaseUrl;
use entrain_domain::memory::{Memory, MemoryChange, OnLadder};
use entrain_domain::model::{
    Account, AccountId, DirectoryGroupId, DirectoryReading, DirectoryUser, DirectoryUserId, EmailAddress,
    Ground, GroupSeen, GroupStanding, Lead, PersonKey, PersonReading, Presence, Product, Profile,
    ProfileStanding, RenameBy, RunId, SiteGroup, SiteGroupId, SitePicture, SiteSnapshot, SiteStanding,
    Unread,
};
use entrain_domain::plan::{History, LookupBy, Reversible, StepId, StepKind};
use entrain_domain::policy::{Binding, DefaultGroups, Demand, Measure, PropertyValues, Protected};
use entrain_domain::run::{
    AuditNote, Decided, Intent, JournalEntry, Phase, Relation, RequestCounts, RunReport, RunSubject,
    RunSummary, StepEnd, Trigger,
};
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::ports::{
    AboutPerson, AccessAct, Added, Basis, Busy, CaughtUp, Changed, ClaimError, Directory, DirectoryRead,
    Gate, Learnt, MirrorHead, OpenIntent, Overtaken, PersonClaim, PlannedRun, Removed, Since, Site,
    SiteState, Store, UnfinishedRun, Watermark,
};
use jiff::Timestamp;

/// The directory over Graph.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryPort(pub(super) Arc<Entra>);

fn directory_read(read: entra::DirectoryRead) -> DirectoryRead {
    let watermark = Watermark { users: read.users_link, groups: read.groups_link, issued_at: read.issued_at };
    DirectoryRead { snapshot: read.snapshot, watermark }
}

impl Directory for DirectoryPort {
    type Changes = entra::Changes;

    async fn read(&self, demand: &Demand, expected: &[DirectoryUserId]) -> Result<DirectoryRead, Failure> {
        self.0.read(demand, expected).await.map(directory_read).map_err(|e| e.failure())
    }
    async fn changes(&self, since: &Watermark) -> Result<Since<Self::Changes>, Failure> {
        let Watermark { users, groups, issued_at } = since.clone();
        let links = entra::Links { users, groups, issued_at };
        Ok(match self.0.changes(&links).await.map_err(|e| e.failure())? {
            entra::Since::Nothing(entra::Links { users, groups, issued_at }, changes) => {
                Since::Nothing(Watermark { users, groups, issued_at }, changes)
            }
            entra::Since::Changes(changes) => Since::Changes(changes),
            entra::Since::Lost => Since::Lost,
        })
    }
    async fn catch_up(
        &self,
        reading: DirectoryReading,
        changes: Self::Changes,
        demand: &Demand,
    ) -> Result<CaughtUp, Failure> {
        Ok(match self.0.catch_up(reading, changes, demand).await.map_err(|e| e.failure())? {
            entra::CaughtUp::Read(read) => CaughtUp::Read(Box::new(directory_read(*read))),
            entra::CaughtUp::Implausible(why) => CaughtUp::Implausible(why),
        })
    }
    async fn person(&self, key: &PersonKey, demand: &Demand) -> Result<PersonReading, Failure> {
        self.0.person(key, demand).await.map_err(|e| e.failure())
    }
    async fn people_of(
        &self,
        address: &EmailAddress,
        demand: &Demand,
    ) -> Result<Vec<DirectoryUser>, Failure> {
        self.0.people_of(address, demand).await.map_err(|e| e.failure())
    }
    async fn groups_seen(
        &self,
        groups: &[DirectoryGroupId],
    ) -> Result<Vec<(DirectoryGroupId, GroupSeen)>, Failure> {
        self.0.groups_seen(groups).await.map_err(|e| e.failure())
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
    defaults: DefaultGroups,
    confluence: Option<BaseUrl>,
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
        (bindings, defaults): (Vec<Binding>, DefaultGroups),
    ) -> Self {
        Self { jira, organization, renames, bindings, defaults, confluence: None }
    }

    /// From now on counts the seats of Confluence too, of the site at this address.
    pub(super) fn counting_confluence(self, site: BaseUrl) -> Self {
        Self { confluence: Some(site), ..self }
    }

    /// The checks of Jira, with the seats of Confluence where they are counted.
    async fn with_confluence(
        &self,
        jira: impl Future<Output = Result<SiteStanding, entrain_connect::Error>>,
    ) -> Result<SiteStanding, Failure> {
        let confluence = async {
            match &self.confluence {
                Some(site) => confluence(self.organization()?, site).await.map(Some),
                None => Ok(None),
            }
        };
        let jira = async { jira.await.map_err(|e| e.failure()) };
        let (mut standing, confluence) = tokio::try_join!(jira, confluence)?;
        standing.products.extend(confluence);
        Ok(standing)
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

/// Confluence of a site. A limit on seats that cannot be counted lets nothing be written, so its absence is a failure.
pub(crate) async fn confluence(organization: &Organization, site: &BaseUrl) -> Result<Product, Failure> {
    match organization.confluence(site).await {
        Ok(Some(product)) => Ok(product),
        Ok(None) => Err(Failure::new(
            FailureCode::OrganizationRefused,
            FailureClass::Connection,
            "[seats.products.confluence] limits the seats of Confluence, and the organization shows no Confluence at the \
             address of this site",
            "Check [site.organization] id and [site] url, or take [seats.products.confluence] out",
        )),
        Err(error) => {
            let mut failure = error.failure();
            failure.message = format!(
                "The seats of Confluence, which the document limits, cannot be read: {}",
                failure.message
            );
            Err(failure)
        }
    }
}

impl Site for SitePort {
    async fn standing(&self) -> Result<SiteStanding, Failure> {
        self.with_confluence(Box::pin(self.jira.standing())).await
    }
    async fn standing_at_once(&self) -> Result<SiteStanding, Failure> {
        self.with_confluence(Box::pin(self.jira.standing_at_once())).await
    }
    fn protect(&self, protected: &Protected, standing: &SiteStanding, groups: &[SiteGroup]) {
        let same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim().to_lowercase();
        let bound = |g: &&SiteGroup| {
            let defaults = self.defaults.everybody.iter().chain(&self.defaults.newcomers);
            // Everybody may be put where new people land anyway, and nowhere else that grants something.
            let lands = standing.group_standing(g) == GroupStanding::DefaultAccess;
            self.bindings.iter().any(|b| same(&b.site, &g.name))
                || lands && defaults.into_iter().any(|name| same(name, &g.name))
        };
        let released: BTreeSet<SiteGroupId> = groups.iter().filter(bound).map(|g| g.id.clone()).collect();
        self.jira.protect(protected, standing, groups, &released);
    }
    fn remember(&self, accounts: &[Account]) {
        self.jira.remember(accounts);
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
    async fn profiles(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, ProfileStanding)>, Failure> {
        let known = self.organization()?.accounts(accounts).await.map_err(|e| e.failure())?;
        Ok(known.into_iter().map(|user| (user.account, user.profile)).collect())
    }
    async fn set_profile(&self, account: &AccountId, profile: &Profile) -> Result<(), Failure> {
        self.organization()?.set_profile(account, profile).await.map_err(|e| e.failure())
    }
    async fn change_access(&self, account: &AccountId, act: AccessAct) -> Result<Changed, Failure> {
        let changed = match (act, &self.organization) {
            (AccessAct::Take(Measure::Remove), None) => self.jira.remove_user(account).await,
            (AccessAct::Take(measure), _) => {
                let organization = self.organization()?;
                match measure {
                    Measure::Suspend => organization.suspend(account).await,
                    Measure::Deactivate => organization.deactivate(account).await,
                    Measure::Remove => organization.remove(account).await,
                }
            }
            (AccessAct::Back(Reversible::Suspend), _) => self.organization()?.restore(account).await,
            (AccessAct::Back(Reversible::Deactivate), _) => self.organization()?.reactivate(account).await,
        };
        Ok(match changed.map_err(|e| e.failure())? {
            atlassian::Changed::Now => Changed::Now,
            atlassian::Changed::Already => Changed::Already,
        })
    }
    async fn taken_access(&self, account: &AccountId) -> Result<Option<BTreeSet<Reversible>>, Failure> {
        let Some(organization) = &self.organization else { return Ok(None) };
        let Some(access) = organization.access(account).await.map_err(|e| e.failure())? else {
            return Ok(None);
        };
        let suspended = (access.membership == Activity::Inactive).then_some(Reversible::Suspend);
        let deactivated = (access.account == Activity::Inactive).then_some(Reversible::Deactivate);
        Ok(Some(suspended.into_iter().chain(deactivated).collect()))
    }
    async fn leads(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, Vec<Lead>)>, Failure> {
        let leads = self.jira.leads(accounts).await.map_err(|e| e.failure())?;
        Ok(leads.into_iter().collect())
    }
    async fn set_property(
        &self,
        account: &AccountId,
        key: &str,
        values: &PropertyValues,
    ) -> Result<(), Failure> {
        let values = serde_json::to_value(values).expect("texts by name are JSON");
        self.jira.set_property(account, key, &values).await.map_err(|e| e.failure())
    }
    async fn find_groups(&self, name: &str) -> Result<Vec<SiteGroup>, Failure> {
        self.jira.find_groups(name).await.map_err(|e| e.failure())
    }
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, Failure> {
        self.jira.account(id).await.map_err(|e| e.failure())
    }
    async fn groups_of(&self, account: &AccountId) -> Result<Option<Vec<SiteGroupId>>, Failure> {
        self.jira.groups_of(account).await.map_err(|e| e.failure())
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

fn stored_watermark(watermark: &Watermark) -> entrain_store::Watermark {
    let Watermark { users, groups, issued_at } = watermark.clone();
    entrain_store::Watermark { users, groups, issued_at }
}

fn mirror_head(head: entrain_store::MirrorHead) -> MirrorHead {
    let entrain_store::MirrorHead { watermark, basis, state } = head;
    let entrain_store::Watermark { users, groups, issued_at } = watermark;
    MirrorHead {
        watermark: Watermark { users, groups, issued_at },
        basis: Basis { demand: basis.demand, rules: basis.rules, full_at: basis.full_at },
        state: match state {
            entrain_store::SiteState::Settled => SiteState::Settled,
            entrain_store::SiteState::Writing => SiteState::Writing,
        },
    }
}

fn unfinished(run: entrain_store::UnfinishedRun) -> UnfinishedRun {
    let entrain_store::UnfinishedRun { id, trigger, phase, started_at, journal } = run;
    UnfinishedRun { id, trigger, phase, started_at, journal }
}

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
    async fn ladder(&self, connection: &str) -> Stored<Vec<OnLadder>> {
        self.0.ladder(connection).await.map_err(|e| e.failure())
    }
    async fn history(&self, connection: &str, now: Timestamp) -> Stored<History> {
        self.0.history(connection, now).await.map_err(|e| e.failure())
    }
    async fn unfinished(&self, connection: &str) -> Stored<Option<UnfinishedRun>> {
        let left = self.0.unfinished(connection).await.map_err(|e| e.failure())?;
        Ok(left.map(unfinished))
    }
    async fn open_intents(&self, connection: &str) -> Stored<Vec<OpenIntent>> {
        let open = self.0.open_intents(connection).await.map_err(|e| e.failure())?;
        Ok(open.into_iter().map(|(run, entry)| OpenIntent { run, entry }).collect())
    }
    async fn begin(&self, run: &RunId, connection: &str, trigger: Trigger, at: Timestamp) -> Stored<()> {
        self.0.begin(run, connection, trigger, at).await.map_err(|e| e.failure())
    }
    async fn begin_about(
        &self,
        run: &RunId,
        connection: &str,
        trigger: Trigger,
        subject: &RunSubject,
        at: Timestamp,
    ) -> Stored<()> {
        self.0.begin_about(run, connection, trigger, subject, at).await.map_err(|e| e.failure())
    }
    async fn begin_planned(
        &self,
        connection: &str,
        begun: PlannedRun<'_>,
        phase: Phase,
        plan: &str,
    ) -> Stored<()> {
        let PlannedRun { run, subject, trigger, at } = begun;
        let begun = self.0.begin_planned((run, connection), trigger, subject, at, (phase, plan));
        begun.await.map_err(|e| e.failure())
    }
    async fn end_person(&self, report: &RunReport, note: AuditNote, user: &DirectoryUserId) -> Stored<()> {
        self.0.end_person(report, note, user).await.map_err(|e| e.failure())
    }
    async fn gate(&self, connection: &str) -> Stored<Gate> {
        self.0.gate(connection).await.map(Gate).map_err(|e| e.failure())
    }
    async fn claim_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
        until: Timestamp,
    ) -> Stored<PersonClaim> {
        let claim = self.0.claim_person(connection, user, run, until).await;
        Ok(match claim.map_err(|e| e.failure())? {
            entrain_store::PersonClaim::Ours => PersonClaim::Ours,
            entrain_store::PersonClaim::Run(run) => PersonClaim::Run(run),
        })
    }
    async fn release_person(&self, connection: &str, user: &DirectoryUserId, run: &RunId) -> Stored<()> {
        self.0.release_person(connection, user, run).await.map_err(|e| e.failure())
    }
    async fn overtaken(
        &self,
        connection: &str,
        user: Option<&DirectoryUserId>,
        account: Option<&AccountId>,
        since: Gate,
    ) -> Stored<Overtaken> {
        let overtaken =
            self.0.overtaken(connection, user, account, since.0).await.map_err(|e| e.failure())?;
        Ok(if overtaken { Overtaken::Yes } else { Overtaken::No })
    }
    async fn claimed_by(&self, connection: &str, user: &DirectoryUserId) -> Stored<Option<RunId>> {
        self.0.claimed_by(connection, user).await.map_err(|e| e.failure())
    }
    async fn written_beside(&self, connection: &str, since: Gate) -> Stored<Vec<SiteGroupId>> {
        self.0.written_beside(connection, since.0).await.map_err(|e| e.failure())
    }
    async fn abandoned(&self, connection: &str) -> Stored<Vec<UnfinishedRun>> {
        let left = self.0.abandoned(connection).await.map_err(|e| e.failure())?;
        Ok(left.into_iter().map(unfinished).collect())
    }
    async fn open_beside(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        run: &RunId,
    ) -> Stored<Vec<OpenIntent>> {
        let open = self.0.open_beside(connection, user, run).await.map_err(|e| e.failure())?;
        Ok(open.into_iter().map(|(run, entry)| OpenIntent { run, entry }).collect())
    }
    async fn linked_by(&self, connection: &str, text: &str) -> Stored<Vec<DirectoryUserId>> {
        self.0.linked_by(connection, text).await.map_err(|e| e.failure())
    }
    async fn person_memory(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        accounts: &[AccountId],
    ) -> Stored<Memory> {
        self.0.person_memory(connection, user, accounts).await.map_err(|e| e.failure())
    }
    async fn learn_of_person(&self, connection: &str, changes: &[MemoryChange]) -> Stored<()> {
        self.0.learn_of_person(connection, changes).await.map_err(|e| e.failure())
    }
    async fn patch_site(
        &self,
        connection: &str,
        accounts: &[Account],
        made: &[SiteGroup],
        members: &[(SiteGroupId, AccountId, Presence)],
        verifying: Option<&RunId>,
    ) -> Stored<()> {
        self.0.patch_site(connection, accounts, made, members, verifying).await.map_err(|e| e.failure())
    }
    async fn ground(&self, connection: &str) -> Stored<Ground> {
        self.0.ground(connection).await.map_err(|e| e.failure())
    }
    async fn about_person(
        &self,
        connection: &str,
        user: &DirectoryUserId,
        now: Timestamp,
    ) -> Stored<AboutPerson> {
        let about = self.0.about_person(connection, user, now).await.map_err(|e| e.failure())?;
        let entrain_store::AboutPerson { memory, mirrored, assignments, head, ground_stamp, history } = about;
        let head = head.map(mirror_head);
        let ground_stamp = ground_stamp.unwrap_or_default();
        Ok(AboutPerson { memory, mirrored, assignments, head, ground_stamp, history })
    }
    async fn phase(&self, run: &RunId, phase: Phase, plan: Option<String>) -> Stored<()> {
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
    async fn last_report(&self, connection: &str) -> Stored<Option<RunReport>> {
        let last = self.0.last_ended(connection).await.map_err(|e| e.failure())?;
        Ok(last.and_then(|run| run.report))
    }
    async fn mirror_head(&self, connection: &str) -> Stored<Option<MirrorHead>> {
        let head = self.0.mirror_head(connection).await.map_err(|e| e.failure())?;
        Ok(head.map(mirror_head))
    }
    async fn directory_mirror(&self, connection: &str) -> Stored<Option<DirectoryReading>> {
        self.0.directory_mirror(connection).await.map_err(|e| e.failure())
    }
    async fn site_mirror(&self, connection: &str) -> Stored<Option<SitePicture>> {
        self.0.site_mirror(connection).await.map_err(|e| e.failure())
    }
    async fn learn(&self, connection: &str, learnt: Learnt<'_>) -> Stored<()> {
        let Basis { demand, rules, full_at } = learnt.basis.clone();
        let learnt = entrain_store::Learnt {
            changes: learnt.changes,
            directory: &learnt.directory.snapshot,
            watermark: &stored_watermark(&learnt.directory.watermark),
            site: learnt.site,
            state: match learnt.state {
                SiteState::Settled => entrain_store::SiteState::Settled,
                SiteState::Writing => entrain_store::SiteState::Writing,
            },
            basis: &entrain_store::Basis { demand, rules, full_at },
            since: learnt.since.map(|gate| gate.0),
        };
        self.0.learn(connection, learnt).await.map_err(|e| e.failure())
    }
    async fn learn_site(&self, connection: &str, site: &SiteSnapshot) -> Stored<()> {
        self.0.learn_site(connection, site).await.map_err(|e| e.failure())
    }
    async fn remember(&self, connection: &str, changes: &[MemoryChange]) -> Stored<()> {
        self.0.remember(connection, changes).await.map_err(|e| e.failure())
    }
    async fn advance(&self, connection: &str, watermark: &Watermark) -> Stored<()> {
        self.0.advance(connection, &stored_watermark(watermark)).await.map_err(|e| e.failure())
    }
    async fn journal_about(
        &self,
        connection: &str,
        object: &str,
        limit: u32,
    ) -> Stored<Vec<(RunId, JournalEntry)>> {
        self.0.journal_about(connection, object, limit).await.map_err(|e| e.failure())
    }
    async fn run(&self, run: &RunId) -> Stored<RunSummary> {
        self.0.run(run).await.map_err(|e| e.failure())
    }
    async fn plan(&self, run: &RunId) -> Stored<Option<String>> {
        self.0.plan(run).await.map_err(|e| e.failure())
    }
    async fn journal(&self, run: &RunId) -> Stored<Vec<JournalEntry>> {
        self.0.journal(run).await.map_err(|e| e.failure())
    }
    async fn relate(&self, run: &RunId, relation: &Relation) -> Stored<()> {
        self.0.relate(run, relation).await.map_err(|e| e.failure())
    }
    async fn relation(&self, run: &RunId) -> Stored<Option<Relation>> {
        self.0.relation(run).await.map_err(|e| e.failure())
    }
    async fn later_runs(&self, earlier: &RunId) -> Stored<Vec<(RunId, Relation)>> {
        self.0.later_runs(earlier).await.map_err(|e| e.failure())
    }
    async fn decide(&self, run: &RunId, decided: &Decided, note: AuditNote) -> Stored<()> {
        self.0.decide(run, decided, note).await.map_err(|e| e.failure())
    }
    async fn decisions(&self, run: &RunId) -> Stored<Vec<Decided>> {
        self.0.decisions(run).await.map_err(|e| e.failure())
    }
    async fn end(&self, report: &RunReport, note: AuditNote) -> Stored<()> {
        self.0.end(report, note).await.map_err(|e| e.failure())
    }
}
