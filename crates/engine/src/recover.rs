//! What an earlier run left open in its journal: calls that may have happened although nobody wrote down how they
//! ended. They are looked up before anything is planned, so that nobody is invited twice, no group is made twice, and
//! what was done is owned and explained.
//!
//! The rolls have been read when this begins; what they show needs no request. An invitation that they do not show is
//! searched for with patience, because a fresh invitee is not found for a while (atlassian-cloud.md 12.1).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use entrain_domain::Failure;
use entrain_domain::FailureCode;
use entrain_domain::memory::{
    Anchor, AppliedValues, GroupLink, Hand, MarkKind, MemoryChange, Origin, UserLink, WayBack,
};
use entrain_domain::model::{
    Account, AccountActivity, AccountId, AccountKind, AccountState, DirectoryUserId, EmailAddress, Profile,
    ProfileStanding, SiteGroup, SiteGroupId, SiteMembers,
};
use entrain_domain::plan::{Action, Lookup, MendedBy, Plan, Reversible, SetAside, StepId, Update};
use entrain_domain::policy::Measure;
use entrain_domain::run::{AuditNote, Intent, Outcome, StepEnd};
use tokio_util::sync::CancellationToken;

use crate::apply::step::owed;
use crate::ports::{Clock, Directory, Event, Ids, OpenIntent, Progress, Site, Store, Unwatched};
use crate::report::Draft;
use crate::run::{Engine, World, fold, side_by_side, stopped};

/// What became of the open entries.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Entries of memberships, to be settled once the members are read.
    memberships: Vec<OpenIntent>,
    /// Settled as not done. Should the site nevertheless say "already", it was this call.
    pub(crate) reopened: HashSet<StepId>,
    /// Steps that may be done already: not repeated by this run.
    pub(crate) parked: HashMap<StepId, Parked>,
    settled: usize,
}

/// Why a step that an earlier run began is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parked {
    /// An invitation may be on its way.
    Invited,
    /// What came of it could not be read, and is looked up again by the next run. The report says so already.
    Unread,
}

impl Recovered {
    /// Open memberships of runs that died; whatever else they left open is somebody else's to look up.
    pub(crate) fn of(open: Vec<OpenIntent>) -> Self {
        let membership = |open: &OpenIntent| {
            matches!(open.entry.intent, Intent::AddMember { .. } | Intent::RemoveMember { .. })
        };
        Self { memberships: open.into_iter().filter(membership).collect(), ..Self::default() }
    }

    /// Leaves an entry open: what could not be read proves neither that the call was made nor that it was not.
    fn leave_open(&mut self, open: &OpenIntent, (reason, remedy): (&str, &str), draft: &mut Draft) {
        draft.set_aside.push(SetAside {
            object: object_of(&open.entry.intent),
            reason: format!(
                "an earlier run was interrupted in it, and what came of that cannot be read: {reason}"
            ),
            remedy: format!("the next run looks again; {remedy}"),
            mended_by: MendedBy::Itself,
        });
        self.parked.insert(open.entry.step.clone(), Parked::Unread);
    }

    /// People whom an earlier run has invited and whose account the site does not show are not invited once more.
    pub(crate) fn park_invited(&mut self, world: &World, plan: &Plan) {
        for step in plan.open_steps() {
            let Action::CreateUser { person, .. } = &step.action else { continue };
            let link = person.directory_id.as_ref().and_then(|user| world.memory.user(user));
            let removed = link.and_then(|link| world.memory.on_ladder(&link.user));
            if removed.is_some_and(|place| place.took(Measure::Remove)) {
                continue;
            }
            if link.is_some_and(|link| link.origin == Origin::Created) {
                self.parked.insert(step.id(), Parked::Invited);
            }
        }
    }

    pub(crate) fn any(&self) -> bool {
        self.settled > 0
    }
}

/// What a look-up says of a creation.
enum Found {
    Account(Account),
    Group(SiteGroup),
    /// The profile shows what was to be set.
    Profile,
    /// So much of the access is taken at present.
    Access(BTreeSet<Reversible>),
    /// It could not be asked.
    Unread(Failure),
    Nothing,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Settles open creations of accounts and groups; what was made is put into the world.
    pub(crate) async fn recover_creations(
        &self,
        world: &mut World,
        draft: &mut Draft,
        stop: &CancellationToken,
        progress: &dyn Progress,
    ) -> Result<Recovered, Failure> {
        let open = self.ports.store.open_intents(&self.connection).await?;
        let mut recovered = Recovered::default();
        if open.is_empty() {
            return Ok(recovered);
        }
        progress.report(Event::Waiting {
            what: format!("{} calls of an earlier run to be looked up", open.len()),
        });
        let (memberships, creations): (Vec<_>, Vec<_>) = open.into_iter().partition(|open| {
            matches!(open.entry.intent, Intent::AddMember { .. } | Intent::RemoveMember { .. })
        });
        recovered.memberships = memberships;

        let seen: &World = world;
        let found = side_by_side(self.options.in_flight, creations, |open| async move {
            let found = match &open.entry.intent {
                Intent::CreateUser { address, name, .. } => {
                    self.lost_account(seen, &open, address, name, stop).await
                }
                Intent::CreateGroup { name, .. } => self.lost_group(seen, name).await,
                Intent::UpdateUser { account, update: Update::Profile { set, .. }, .. } => {
                    Ok(self.lost_profile(account, set).await)
                }
                Intent::TakeRung { account, .. } | Intent::ComeBack { account, .. } => {
                    self.lost_access(account).await
                }
                _ => Ok(Found::Nothing),
            };
            (open, found)
        })
        .await;
        if stop.is_cancelled() {
            // A search cut short proves nothing; the entries stay open.
            return Err(stopped());
        }
        for (open, found) in found {
            let step = open.entry.step.clone();
            match (&open.entry.intent, found?) {
                (Intent::CreateUser { user, address, .. }, Found::Account(account)) => {
                    if let Some(other) = owner(world, &account, user) {
                        let answer =
                            format!("the address leads to the account of the directory user {other}");
                        self.close(draft, &open, Outcome::Failed, answer, Vec::new()).await?;
                    } else {
                        let mut changes = vec![link_user(user, &account, address, Origin::Created)];
                        changes.extend(owed(&self.rules, user));
                        for change in &changes {
                            world.memory.apply(change);
                        }
                        let answer = format!("found after an interruption: account {}", account.id);
                        world.site.put_account(account);
                        self.close(draft, &open, Outcome::Done, answer, changes).await?;
                    }
                }
                (Intent::CreateGroup { group, .. }, Found::Group(made)) => {
                    let change = link_group(group, &made, Origin::Created);
                    world.memory.apply(&change);
                    let answer = format!("found after an interruption: group {}", made.id);
                    world.site.put_members(made.id.clone(), SiteMembers::Complete(Vec::new()));
                    world.site.put_group(made);
                    self.close(draft, &open, Outcome::Done, answer, vec![change]).await?;
                }
                (Intent::RenameGroup { group, site_group, name, .. }, _)
                    if world.site.group(site_group).is_some_and(|now| *now.name == **name) =>
                {
                    let renamed = SiteGroup { id: site_group.clone(), name: name.as_str().into() };
                    let origin = world.memory.anchored(group).map_or(Origin::Found, |link| link.origin);
                    let change = link_group(group, &renamed, origin);
                    world.memory.apply(&change);
                    let answer = "found renamed after an interruption".to_owned();
                    self.close(draft, &open, Outcome::Done, answer, vec![change]).await?;
                }
                (Intent::TakeRung { user, account, measure, .. }, found)
                    if rung_shows(world, account, *measure, &found) =>
                {
                    let (user, measure) = (user.clone(), *measure);
                    let change =
                        MemoryChange::PassRung { user, measure, hand: Hand::Entrain, at: open.entry.at };
                    world.memory.apply(&change);
                    let answer = "found done after an interruption".to_owned();
                    self.close(draft, &open, Outcome::Done, answer, vec![change]).await?;
                }
                (Intent::ComeBack { user, account, from, .. }, found)
                    if back_shows(world, account, *from, &found) =>
                {
                    let way = match from {
                        Reversible::Suspend => WayBack::Restore,
                        Reversible::Deactivate => WayBack::Reactivate,
                    };
                    let place = world.memory.on_ladder(user);
                    let changes: Vec<_> = place.into_iter().flat_map(|place| place.after(way)).collect();
                    for change in &changes {
                        world.memory.apply(change);
                    }
                    let answer = "found done after an interruption".to_owned();
                    self.close(draft, &open, Outcome::Done, answer, changes).await?;
                }
                (Intent::TakeRung { user, measure: Measure::Deactivate, .. }, Found::Unread(failure)) => {
                    // Taken for passed, in this run alone: who returns keeps their place until it is known, and with it
                    // the way back
                    let (user, at) = (user.clone(), open.entry.at);
                    let way_back = StepId::of_way_back(Reversible::Deactivate, &user);
                    let measure = Measure::Deactivate;
                    world.memory.apply(&MemoryChange::PassRung { user, measure, hand: Hand::Entrain, at });
                    recovered.leave_open(&open, (&failure.message, &failure.remedy), draft);
                    recovered.parked.insert(way_back, Parked::Unread);
                    continue;
                }
                (Intent::ComeBack { from: Reversible::Deactivate, .. }, Found::Unread(failure)) => {
                    recovered.leave_open(&open, (&failure.message, &failure.remedy), draft);
                    continue;
                }
                (Intent::TakeRung { .. } | Intent::ComeBack { .. }, _) => {
                    let answer = "not seen after an interruption: done again, it ends in the same state";
                    self.close(draft, &open, Outcome::NotDone, answer.to_owned(), Vec::new()).await?;
                    recovered.reopened.insert(step);
                }
                (Intent::CreateUser { .. }, _) if open.entry.attempts > 0 && self.fresh(&open) => {
                    recovered.parked.insert(step, Parked::Invited);
                    continue;
                }
                (Intent::UpdateUser { account, update: Update::Profile { set, .. }, .. }, Found::Profile) => {
                    let mut values = world.memory.applied_profile(account).cloned().unwrap_or_default();
                    values.extend(set.clone());
                    let values = AppliedValues::Profile { values };
                    let change = MemoryChange::ApplyAttributes { account: account.clone(), values };
                    world.memory.apply(&change);
                    let answer = "found written after an interruption".to_owned();
                    self.close(draft, &open, Outcome::Done, answer, vec![change]).await?;
                }
                (Intent::UpdateUser { .. }, _) => {
                    let answer = "not found after an interruption: written again, it ends in the same state";
                    self.close(draft, &open, Outcome::NotDone, answer.to_owned(), Vec::new()).await?;
                    recovered.reopened.insert(step);
                }
                _ => {
                    let answer = "looked up after an interruption: it had not happened".to_owned();
                    self.close(draft, &open, Outcome::NotDone, answer, Vec::new()).await?;
                    recovered.reopened.insert(step);
                }
            }
            recovered.settled += 1;
        }
        Ok(recovered)
    }

    /// Accounts that an earlier run invited and that the roll does not show are asked for one by one: the roll may lag.
    pub(crate) async fn see_invited(
        &self,
        world: &mut World,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let directory = &world.directory.snapshot;
        let enabled = |id| directory.user(id).is_some_and(|user| user.account == AccountState::Enabled);
        let mut unseen: Vec<_> = world
            .memory
            .users()
            .filter(|link| link.origin == Origin::Created && world.site.account(&link.account).is_none())
            .filter(|link| enabled(&link.user))
            .map(|link| link.account.clone())
            .collect();
        let mut pauses = Pauses::within(patience);
        while !unseen.is_empty() {
            let answers = side_by_side(self.options.in_flight, unseen, |id| async move {
                let account = self.ports.site.account(&id).await;
                (id, account)
            })
            .await;
            unseen = Vec::new();
            for (id, account) in answers {
                match account {
                    Ok(Some(account)) => world.site.put_account(account),
                    Err(failure) if failure.ends_the_run() => return Err(failure),
                    Ok(None) | Err(_) => unseen.push(id),
                }
            }
            match pauses.next() {
                Some(pause) if !unseen.is_empty() && self.pause(pause, stop).await => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Settles open memberships by the members just read. What is there counts as granted by the interrupted call:
    /// it was not there when that call was planned.
    pub(crate) async fn recover_memberships(
        &self,
        world: &mut World,
        draft: &mut Draft,
        mut recovered: Recovered,
    ) -> Result<Recovered, Failure> {
        let open = std::mem::take(&mut recovered.memberships);
        let mut unread: Vec<_> = open
            .iter()
            .filter_map(|open| match &open.entry.intent {
                Intent::AddMember { group, .. } | Intent::RemoveMember { group, .. } => Some(group.clone()),
                _ => None,
            })
            .filter(|group| world.site.members(group).is_none())
            .collect();
        unread.sort_unstable();
        unread.dedup();
        self.read_members(&mut world.site, unread, &Unwatched).await?;
        for open in open {
            if let Intent::AddMember { group, .. } | Intent::RemoveMember { group, .. } = &open.entry.intent
                && world.site.group(group).is_some()
                && let Some(SiteMembers::Unread(why)) = world.site.members(group)
            {
                recovered.leave_open(&open, (&why.reason, &why.remedy), draft);
                continue;
            }
            let happened = match &open.entry.intent {
                Intent::AddMember { group, account } => {
                    let there = world.site.members(group).and_then(|members| members.contains(account));
                    (there == Some(true)).then(|| {
                        let (account, origin) = (account.clone(), Origin::Created);
                        let (group_id, path) = (group.clone(), None);
                        let own = MemoryChange::OwnMembership { group: group_id, account, origin, path };
                        let given =
                            MemoryChange::UnmarkStep { step: open.entry.step.clone(), mark: MarkKind::Owed };
                        if self.given_once(world, group) { vec![given] } else { vec![own] }
                    })
                }
                Intent::RemoveMember { group, account } => {
                    let there = world.site.members(group).and_then(|members| members.contains(account));
                    (there == Some(false)).then(|| {
                        vec![MemoryChange::DisownMembership {
                            group: group.clone(),
                            account: account.clone(),
                        }]
                    })
                }
                _ => None,
            };
            if let Some(changes) = happened {
                for change in &changes {
                    world.memory.apply(change);
                }
                let answer = "found done after an interruption".to_owned();
                self.close(draft, &open, Outcome::Done, answer, changes).await?;
            } else {
                let answer = "looked up after an interruption: it had not happened".to_owned();
                self.close(draft, &open, Outcome::NotDone, answer, Vec::new()).await?;
                recovered.reopened.insert(open.entry.step.clone());
            }
            recovered.settled += 1;
        }
        Ok(recovered)
    }

    /// Whether a group is one that newcomers are given: its memberships are their own.
    fn given_once(&self, world: &World, group: &SiteGroupId) -> bool {
        let anchor = world.memory.anchor_of(group);
        let newcomers = &self.rules.defaults.newcomers;
        anchor.is_some_and(|anchor| newcomers.iter().any(|name| Anchor::named(name) == *anchor))
    }

    async fn close(
        &self,
        draft: &mut Draft,
        open: &OpenIntent,
        outcome: Outcome,
        answer: String,
        changes: Vec<MemoryChange>,
    ) -> Result<(), Failure> {
        let entry = &open.entry;
        let audit = (outcome == Outcome::Done).then(|| AuditNote {
            actor: "entrain".into(),
            action: entry.kind.as_str().into(),
            object: object_of(&entry.intent),
            detail: format!("{answer}; journaled by run {} as {}", open.run, entry.step),
        });
        let end = StepEnd {
            step: entry.step.clone(),
            outcome,
            attempts: entry.attempts.max(1),
            answer,
            at: self.ports.clock.now(),
            changes,
            audit,
        };
        self.ports.store.settle(&open.run, &end).await?;
        draft.settled_earlier(&open.run, &entry.step, outcome);
        Ok(())
    }

    fn age(&self, open: &OpenIntent) -> Duration {
        // A clock that was set back makes the entry look new, which only makes the search longer.
        Duration::try_from(self.ports.clock.now().duration_since(open.entry.at)).unwrap_or(Duration::ZERO)
    }

    fn fresh(&self, open: &OpenIntent) -> bool {
        self.age(open) < self.options.quarantine
    }

    async fn lost_account(
        &self,
        world: &World,
        open: &OpenIntent,
        address: &EmailAddress,
        name: &str,
        stop: &CancellationToken,
    ) -> Result<Found, Failure> {
        let shown: Vec<&Account> =
            world.site.accounts_by_email(address).filter(|a| a.kind == AccountKind::Person).collect();
        if let [account] = shown.as_slice() {
            return Ok(Found::Account((*account).clone()));
        }
        let patience = self.options.patience.saturating_sub(self.age(open));
        let found = self.await_account(address, name, patience, stop).await?;
        Ok(found.map_or(Found::Nothing, Found::Account))
    }

    /// Searches for the one account of an address until it shows, the patience ends, or the run is stopped. Only a
    /// broken connection is an error; a search that fails for another reason is tried again.
    pub(crate) async fn await_account(
        &self,
        address: &EmailAddress,
        name: &str,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Option<Account>, Failure> {
        let mut pauses = Pauses::within(patience);
        loop {
            match self.ports.site.find_accounts(address).await {
                Ok(hits) => {
                    if let Lookup::One(id) = fold(hits.clone(), address, name) {
                        return Ok(hits.into_iter().find(|account| account.id == id));
                    }
                }
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Err(_) => {}
            }
            match pauses.next() {
                Some(pause) if self.pause(pause, stop).await => {}
                _ => return Ok(None),
            }
        }
    }

    /// Whether a profile shows what an interrupted call was to set. Where that cannot be asked it is set again.
    async fn lost_profile(&self, account: &AccountId, set: &Profile) -> Found {
        let told = self.ports.site.profiles(std::slice::from_ref(account)).await.unwrap_or_default();
        let shows = |standing: &ProfileStanding| match standing {
            ProfileStanding::Managed(shown) => {
                set.iter().all(|(field, value)| shown.get(field) == Some(value))
            }
            _ => false,
        };
        if told.iter().any(|(id, standing)| id == account && shows(standing)) {
            Found::Profile
        } else {
            Found::Nothing
        }
    }

    /// What of somebody's access is taken, where there is somebody to tell.
    async fn lost_access(&self, account: &AccountId) -> Result<Found, Failure> {
        match self.ports.site.taken_access(account).await {
            Ok(taken) => Ok(taken.map_or(Found::Nothing, Found::Access)),
            Err(failure) if failure.code == FailureCode::Stopped => Err(failure),
            Err(failure) => Ok(Found::Unread(failure)),
        }
    }

    async fn lost_group(&self, world: &World, name: &str) -> Result<Found, Failure> {
        let shown: Vec<&SiteGroup> = world.site.groups_by_name(name).filter(|g| *g.name == *name).collect();
        let found = match shown.as_slice() {
            [group] => Some((*group).clone()),
            [] => self.await_group(name).await?,
            _ => None,
        };
        match found {
            Some(group) if world.memory.anchor_of(&group.id).is_none() && self.is_empty(&group).await? => {
                Ok(Found::Group(group))
            }
            _ => Ok(Found::Nothing),
        }
    }

    /// Searches for the one group of exactly this name; groups show within a second or two.
    pub(crate) async fn await_group(&self, name: &str) -> Result<Option<SiteGroup>, Failure> {
        let mut pauses = Pauses::within(Duration::from_secs(3).min(self.options.patience));
        loop {
            match self.ports.site.find_groups(name).await {
                Ok(mut groups) => {
                    groups.retain(|group| *group.name == *name);
                    if groups.len() == 1 {
                        return Ok(groups.pop());
                    }
                }
                Err(failure) if failure.ends_the_run() => return Err(failure),
                Err(_) => {}
            }
            match pauses.next() {
                Some(pause) => self.ports.clock.sleep(pause).await,
                None => return Ok(None),
            }
        }
    }

    /// Whether a group has no member: one that has is not what an interrupted call made.
    pub(crate) async fn is_empty(&self, group: &SiteGroup) -> Result<bool, Failure> {
        match self.ports.site.members(&group.id).await {
            Ok(members) => Ok(members.is_empty()),
            Err(failure) if failure.code == FailureCode::SiteObjectUnknown => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Waits; false when the run was stopped meanwhile.
    pub(crate) async fn pause(&self, time: Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = self.ports.clock.sleep(time) => true,
        }
    }
}

/// Whether the site itself shows that an interrupted rung was taken: a suspension by the inactive account, a removal by
/// the account's absence. Either was otherwise when the rung was planned, unless the account was inactive before. Of a
/// deactivation only the organization tells.
fn rung_shows(world: &World, account: &AccountId, measure: Measure, found: &Found) -> bool {
    let shown = world.site.account(account);
    let alone = world.memory.ladder().any(|place| place.account == *account && place.passed.is_empty());
    match measure {
        Measure::Suspend => alone && shown.is_some_and(|a| a.activity == AccountActivity::Inactive),
        Measure::Deactivate => {
            matches!(found, Found::Access(taken) if taken.contains(&Reversible::Deactivate))
        }
        Measure::Remove => shown.is_none(),
    }
}

/// Whether an interrupted way back was gone: the organization says that nothing of it is taken any more, or the site
/// shows an active account, which a suspended one is not. That a deactivated one is not either is promised nowhere.
fn back_shows(world: &World, account: &AccountId, from: Reversible, found: &Found) -> bool {
    let shown = world.site.account(account);
    let active = || shown.is_some_and(|shown| shown.activity == AccountActivity::Active);
    match found {
        Found::Access(taken) if !taken.contains(&from) => true,
        _ => from == Reversible::Suspend && active(),
    }
}

/// Pauses of 1, 2, 3 … 10, 10 … seconds, together no longer than a patience.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    left: Duration,
}

impl Pauses {
    pub(crate) fn within(patience: Duration) -> Self {
        Self { next: Duration::from_secs(1), left: patience }
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.left.is_zero() {
            return None;
        }
        let pause = self.next.min(self.left);
        self.left -= pause;
        self.next = (self.next + Duration::from_secs(1)).min(Duration::from_secs(10));
        Some(pause)
    }
}

/// The other directory user whom an account is linked to, if there is one.
pub(crate) fn owner(world: &World, account: &Account, user: &DirectoryUserId) -> Option<DirectoryUserId> {
    world.memory.user_of(&account.id).filter(|owner| *owner != user).cloned()
}

pub(crate) fn link_user(
    user: &DirectoryUserId,
    account: &Account,
    address: &EmailAddress,
    origin: Origin,
) -> MemoryChange {
    MemoryChange::LinkUser(UserLink {
        user: user.clone(),
        account: account.id.clone(),
        address: Some(address.as_str().into()),
        origin,
    })
}

pub(crate) fn link_group(anchor: &Anchor, group: &SiteGroup, origin: Origin) -> MemoryChange {
    MemoryChange::LinkGroup(GroupLink {
        anchor: anchor.clone(),
        group: group.id.clone(),
        name: group.name.clone(),
        origin,
    })
}

fn object_of(intent: &Intent) -> String {
    match intent {
        Intent::CreateUser { address, name, .. } => format!("{name} <{address}>"),
        Intent::CreateGroup { name, .. } | Intent::AdoptGroup { name, .. } => format!("group “{name}”"),
        Intent::UpdateUser { account, update, .. } => format!("{} of account {account}", update.part()),
        Intent::RenameGroup { before, name, .. } => format!("group “{before}”, now “{name}”"),
        Intent::AddMember { group, account } | Intent::RemoveMember { group, account } => {
            format!("account {account} in group {group}")
        }
        Intent::TakeRung { name, account, .. } | Intent::ComeBack { name, account, .. } => {
            format!("{name} (account {account})")
        }
    }
}
