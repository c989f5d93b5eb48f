//! Reading: the checks that begin a run, both sides side by side, then what only the directory can tell is needed from
//! the site (members of managed groups, look-ups of hidden addresses).

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use entrain_domain::memory::Memory;
use entrain_domain::model::{
    Account, AccountId, AccountKind, DirectoryGroupId, DirectoryUserId, EmailAddress, Lead, ProfileStanding,
    RenameBy, SiteGroup, SiteGroupId, SiteMembers, SiteSnapshot, SiteStanding, Unread,
};
use entrain_domain::plan::{
    Approval, Focus, History, Lookup, LookupBy, Lookups, PlanInput, accounts_to_look_up, group_targets,
    groups_to_rename, profiles_to_ask, rungs_due,
};
use entrain_domain::policy::{Measure, Rules};
use entrain_domain::run::Phase;
use entrain_domain::{Failure, FailureClass};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;

use super::Engine;
use crate::error::EngineError;
use crate::ports::{
    Basis, Clock, Directory, DirectoryRead, Event, Gate, Ids, Progress, Site, SiteQuestion, Store, Unwatched,
};

/// How much of the site was read for a plan; the rest is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Accounts, groups, and the members of managed groups.
    Full,
    /// Accounts and groups; members are remembered.
    Rolls,
    /// The checks alone.
    Checks,
}

/// Everything a plan rests on, as read.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) reach: Reach,
    pub(crate) basis: Basis,
    pub(crate) directory: DirectoryRead,
    pub(crate) site: SiteSnapshot,
    pub(crate) memory: Memory,
    pub(crate) lookups: Lookups,
    pub(crate) history: History,
    /// When it was read; every plan over it has the same time.
    pub(crate) now: Timestamp,
    /// Whether it was read who has a seat of the products that are short.
    pub(crate) seats_read: bool,
    /// Where the gate of persons' syncs stood before reading; whoever passed it since is left alone. Nothing for a
    /// person's own sync.
    pub(crate) since: Option<Gate>,
    /// The person whose own sync this is.
    pub(crate) own: Option<DirectoryUserId>,
    /// What of it is asked for, where that is not everything.
    pub(crate) asked: Option<Asked>,
}

/// Whom, or which group, a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Person(DirectoryUserId),
    Group(DirectoryGroupId),
}

impl World {
    pub(crate) fn input<'a>(&'a self, rules: &'a Rules, approval: Approval) -> PlanInput<'a> {
        PlanInput {
            directory: &self.directory.snapshot,
            site: &self.site,
            rules,
            memory: &self.memory,
            lookups: &self.lookups,
            history: self.history,
            approval,
            now: self.now,
            focus: match &self.asked {
                None => Focus::Everything,
                Some(Asked::Person(user)) => Focus::Person(user),
                Some(Asked::Group(group)) => Focus::Group(group),
            },
        }
    }
}

/// Drives futures side by side, at most `limit` at a time; results in the order in which they came.
pub(crate) async fn side_by_side<T, F: Future>(
    limit: usize,
    items: impl IntoIterator<Item = T>,
    mut start: impl FnMut(T) -> F,
) -> Vec<F::Output> {
    let mut items = items.into_iter();
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    loop {
        while running.len() < limit.max(1) {
            match items.next() {
                Some(item) => running.push(start(item)),
                None => break,
            }
        }
        match running.next().await {
            Some(result) => results.push(result),
            None => return results,
        }
    }
}

/// Counts answers of the site, and tells of them.
struct Tally<'a> {
    progress: &'a dyn Progress,
    about: SiteQuestion,
    of: usize,
    done: AtomicUsize,
}

impl<'a> Tally<'a> {
    fn new(progress: &'a dyn Progress, about: SiteQuestion, of: usize) -> Self {
        Self { progress, about, of, done: AtomicUsize::new(0) }
    }

    fn answered(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let percent = |done: usize| done * 100 / self.of.max(1);
        if percent(done) > percent(done - 1) {
            self.progress.report(Event::SiteAsked { about: self.about, done, of: self.of });
        }
    }
}

/// What the site's search says of an address. Its answer also holds accounts whose shown address merely begins with
/// the same letters, so a shown address must agree, and a hidden one needs the name. A portal customer or an app of the
/// same address is another account, into which nobody is put (atlassian-cloud.md 2).
pub(crate) fn fold(hits: Vec<Account>, address: &EmailAddress, name: &str) -> Lookup {
    let hits: Vec<Account> = hits
        .into_iter()
        .filter(|a| !matches!(a.kind, AccountKind::Customer | AccountKind::App))
        .filter(|a| a.email.as_ref().is_none_or(|shown| shown == address))
        .collect();
    match hits.as_slice() {
        [] => Lookup::Nobody,
        [one] if one.kind != AccountKind::Person => {
            Lookup::Unsure(format!("the search for {address} finds an account that may not be a person's"))
        }
        [one] if one.email.is_some() || address.is_named(&one.display_name, name) => {
            Lookup::One(one.id.clone())
        }
        [one] => Lookup::Unsure(format!(
            "the search for {address} finds the account “{}”, whose address is hidden and whose name does not fit",
            one.display_name
        )),
        several => Lookup::Unsure(format!("the search for {address} finds {} accounts", several.len())),
    }
}

/// Directory users on whom memberships of the ledger hang, or rungs of the leaver ladder that may yet be taken: before
/// they are taken for gone, they are asked for by id.
fn owners(memory: &Memory, rules: &Rules) -> Vec<DirectoryUserId> {
    let accounts: HashSet<_> = memory.all_memberships().map(|(_, account, _)| account).collect();
    let mut owners: Vec<DirectoryUserId> =
        accounts.into_iter().filter_map(|account| memory.user_of(account)).cloned().collect();
    if rules.leavers.any() {
        let ended = |user: &DirectoryUserId| {
            memory.on_ladder(user).is_some_and(|place| place.ahead(&rules.leavers).is_empty())
        };
        owners.extend(memory.users().map(|link| &link.user).filter(|user| !ended(user)).cloned());
    }
    owners.sort_unstable();
    owners.dedup();
    owners
}

pub(crate) fn tell_directory(read: &DirectoryRead, progress: &dyn Progress) {
    progress.report(Event::DirectoryRead {
        users: read.snapshot.users().count(),
        groups: read.snapshot.groups().count(),
    });
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// The checks that begin every run which looks at the site; a mirror never hides that the technical account has
    /// lost its rights.
    pub(crate) async fn standing(&self) -> Result<SiteStanding, Failure> {
        Self::that_sees(self.ports.site.standing().await?)
    }

    /// The same in one round trip, for somebody who waits.
    pub(crate) async fn standing_at_once(&self) -> Result<SiteStanding, Failure> {
        Self::that_sees(self.ports.site.standing_at_once().await?)
    }

    fn that_sees(standing: SiteStanding) -> Result<SiteStanding, Failure> {
        if standing.browse_users == Some(false) {
            return Err(EngineError::RightMissing("Browse users and groups").into());
        }
        Ok(standing)
    }

    /// Checks, then both sides in full: the directory, and the site's rolls of accounts and groups.
    pub(crate) async fn read_rolls(&self, progress: &dyn Progress) -> Result<World, Failure> {
        progress.report(Event::Phase(Phase::Reading));
        let begun = self.ports.clock.now();
        let memory = self.ports.store.memory(&self.connection).await?;
        let history = self.ports.store.history(&self.connection, begun).await?;
        let standing = self.standing().await?;
        let expected = owners(&memory, &self.rules);
        let directory = async {
            let read = self.ports.directory.read(&self.rules.demand(), &expected).await?;
            tell_directory(&read, progress);
            Ok::<_, Failure>(read)
        };
        let (directory, (accounts, groups)) = tokio::try_join!(directory, self.rolls(progress))?;
        let standing = standing.distrusting_unfiltered_lists(&groups);
        self.ports.site.protect(&self.rules.protected, &standing, &groups);
        let site = SiteSnapshot::new(standing, accounts, groups);
        let (reach, basis) = (Reach::Full, self.basis(begun));
        Ok(World {
            reach,
            basis,
            directory,
            site,
            memory,
            lookups: Lookups::new(),
            history,
            now: begun,
            seats_read: false,
            since: None,
            own: None,
            asked: None,
        })
    }

    /// The site's accounts and groups.
    pub(crate) async fn rolls(
        &self,
        progress: &dyn Progress,
    ) -> Result<(Vec<Account>, Vec<SiteGroup>), Failure> {
        let (accounts, groups) = tokio::try_join!(self.ports.site.accounts(), self.ports.site.groups())?;
        progress.report(Event::SiteRead { accounts: accounts.len(), groups: groups.len() });
        Ok((accounts, groups))
    }

    /// The members of every managed group, then the look-ups.
    pub(crate) async fn read_rest(&self, world: &mut World, progress: &dyn Progress) -> Result<(), Failure> {
        let targets = group_targets(&world.directory.snapshot, &world.site, &self.rules, &world.memory);
        let targets: Vec<SiteGroupId> =
            targets.into_iter().filter(|group| world.site.members(group).is_none()).collect();
        self.read_members(&mut world.site, targets, progress).await?;
        self.ask_who_renames(world).await;
        self.look_up(world, progress).await?;
        self.ask_whose_profile(world).await;
        self.ask_before_rungs(world).await
    }

    /// Before rungs are taken: who administers the site, what the people lead, and whose accounts can be deactivated.
    async fn ask_before_rungs(&self, world: &mut World) -> Result<(), Failure> {
        if !self.rules.leavers.any() {
            return Ok(());
        }
        let due = rungs_due(&world.input(&self.rules, Approval::None));
        if due.is_empty() {
            return Ok(());
        }
        let administrators: Vec<SiteGroupId> =
            world.site.standing().administrative_groups.iter().cloned().collect();
        let unread = administrators.into_iter().filter(|group| world.site.members(group).is_none()).collect();
        self.read_members(&mut world.site, unread, &Unwatched).await?;
        let mut accounts: Vec<AccountId> = due.iter().map(|rung| rung.account.clone()).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|account| !world.site.knows_leads(account));
        if !accounts.is_empty() {
            // What somebody leads is a service to the reader; the rung does not hang on it.
            let told = self.ports.site.leads(&accounts).await.unwrap_or_else(|failure| {
                tracing::warn!(%failure, "it could not be read what leavers lead on the site");
                Vec::new()
            });
            let mut told: HashMap<AccountId, Vec<Lead>> = told.into_iter().collect();
            for account in accounts {
                let leads = told.remove(&account).unwrap_or_default();
                world.site.put_leads(account, leads);
            }
        }
        let deactivated =
            due.into_iter().filter(|rung| rung.measure == Measure::Deactivate).map(|rung| rung.account);
        let unasked = deactivated.filter(|account| world.site.profile(account).is_none()).collect();
        self.put_profiles(&mut world.site, unasked).await;
        Ok(())
    }

    /// Whether the profiles that should change can be. Where that cannot be found out, they are left as they are.
    async fn ask_whose_profile(&self, world: &mut World) {
        let World { directory, site, memory, lookups, .. } = world;
        let accounts = profiles_to_ask(&directory.snapshot, site, &self.rules, memory, lookups);
        self.put_profiles(site, accounts).await;
    }

    async fn put_profiles(&self, site: &mut SiteSnapshot, accounts: Vec<AccountId>) {
        if accounts.is_empty() {
            return;
        }
        let unread = |reason: &str, remedy: &str| {
            ProfileStanding::Unread(Unread { reason: reason.into(), remedy: remedy.into() })
        };
        let told = self.ports.site.profiles(&accounts).await.map(HashMap::<_, _>::from_iter);
        for account in accounts {
            let standing = match &told {
                Ok(told) => told.get(&account).cloned().unwrap_or_else(|| {
                    unread(
                        "the organization does not show the account",
                        "check that [site.organization] names the organization of this site",
                    )
                }),
                Err(failure) => unread(&failure.message, &failure.remedy),
            };
            site.put_profile(account, standing);
        }
    }

    /// Who can rename the groups that should bear another name. Where that cannot be found out, nobody can, for now.
    async fn ask_who_renames(&self, world: &mut World) {
        let groups = groups_to_rename(&world.directory.snapshot, &world.site, &self.rules, &world.memory);
        if groups.is_empty() {
            return;
        }
        match self.ports.site.renaming(&groups).await {
            Ok(answers) => {
                for (group, by) in answers {
                    world.site.put_renaming(group, by);
                }
            }
            Err(failure) => {
                let why = Unread { reason: failure.message.into(), remedy: failure.remedy.into() };
                for group in groups {
                    world.site.put_renaming(group, RenameBy::Nobody(why.clone()));
                }
            }
        }
    }

    /// Members of these groups. A group that cannot be read is marked so; a connection that is broken ends the run.
    pub(crate) async fn read_members(
        &self,
        site: &mut SiteSnapshot,
        groups: Vec<SiteGroupId>,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let tally = &Tally::new(progress, SiteQuestion::Members, groups.len());
        let read = side_by_side(self.options.in_flight, groups, |group| async move {
            let members = self.ports.site.members(&group).await;
            tally.answered();
            (group, members)
        })
        .await;
        for (group, members) in read {
            let members = match members {
                Ok(members) => SiteMembers::Complete(members),
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Err(failure) if matches!(failure.class, FailureClass::Object | FailureClass::Transient) => {
                    SiteMembers::Unread(Unread {
                        reason: failure.message.into(),
                        remedy: failure.remedy.into(),
                    })
                }
                Err(failure) => return Err(failure),
            };
            site.put_members(group, members);
        }
        Ok(())
    }

    /// The accounts of people who may hide. The organization is exact, so where a key is configured the site's search
    /// is not asked at all, and not fallen back to either: what it might find is no answer to what could not be asked.
    async fn look_up(&self, world: &mut World, progress: &dyn Progress) -> Result<(), Failure> {
        let by = self.ports.site.look_up_by();
        let people =
            accounts_to_look_up(&world.directory.snapshot, &world.site, &self.rules, &world.memory, by);
        self.search(world, people, progress).await
    }

    /// Searches for people by their complete addresses, where it is exact.
    pub(crate) async fn search(
        &self,
        world: &mut World,
        people: Vec<(DirectoryUserId, EmailAddress)>,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        match self.ports.site.look_up_by() {
            LookupBy::Site => self.look_up_on_site(world, people, progress).await,
            LookupBy::Organization => self.look_up_in_organization(world, people).await,
        }
    }

    async fn look_up_in_organization(
        &self,
        world: &mut World,
        people: Vec<(DirectoryUserId, EmailAddress)>,
    ) -> Result<(), Failure> {
        if people.is_empty() {
            return Ok(());
        }
        let addresses: Vec<EmailAddress> = people.iter().map(|(_, address)| address.clone()).collect();
        match self.ports.site.find_in_organization(&addresses).await {
            Ok(found) => {
                for (address, id) in found {
                    // An account that the site does not list is none of the site's; the invitation brings it there. A
                    // remembered list may lack what has come since.
                    if world.reach == Reach::Checks
                        && world.site.account(&id).is_none()
                        && let Some(account) = self.ports.site.account(&id).await?
                    {
                        world.site.put_account(account);
                    }
                    if let Some(known) = world.site.account(&id).cloned() {
                        world.site.put_account(Account { email: Some(address), ..known });
                    }
                }
                world.lookups.extend(people.into_iter().map(|(user, _)| (user, Lookup::Nobody)));
            }
            Err(failure) => {
                for (user, address) in people {
                    let why = Unread {
                        reason: format!("the organization was not asked for {address}: {}", failure.message)
                            .into(),
                        remedy: failure.remedy.as_str().into(),
                    };
                    world.lookups.insert(user, Lookup::Failed(why));
                }
            }
        }
        Ok(())
    }

    async fn look_up_on_site(
        &self,
        world: &mut World,
        people: Vec<(DirectoryUserId, EmailAddress)>,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        let tally = &Tally::new(progress, SiteQuestion::Accounts, people.len());
        let answers = side_by_side(self.options.in_flight, people, |(user, address)| async move {
            let hits = self.ports.site.find_accounts(&address).await;
            tally.answered();
            (user, address, hits)
        })
        .await;
        for (user, address, hits) in answers {
            let name = world.directory.snapshot.user(&user).map(|u| u.label().to_owned()).unwrap_or_default();
            let lookup = match hits {
                Ok(hits) => {
                    let lookup = fold(hits.clone(), &address, &name);
                    if let Lookup::One(id) = &lookup {
                        // The roll may lack an account that the search finds; the plan needs to see it.
                        if world.site.account(id).is_none()
                            && let Some(account) = hits.into_iter().find(|hit| hit.id == *id)
                        {
                            world.site.put_account(account);
                        }
                    }
                    lookup
                }
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Err(failure) => {
                    Lookup::Unsure(format!("the search for {address} failed: {}", failure.message))
                }
            };
            world.lookups.insert(user, lookup);
        }
        Ok(())
    }
}
