//! Going on from the mirrors: what changed in the directory is put into what was stored, and the site is asked for no
//! more than the plan needs.
//!
//! The site's mirror may be old: people work there by hand. So whoever would be invited is searched for first, a group
//! that would be made is looked up by name, and members are read again where a membership would be found rather than
//! granted, or taken away although the ledger does not own it. Whatever else differs comes to light when a group is read
//! back, and in the full rhythm.

use std::collections::BTreeSet;

use entrain_domain::Failure;
use entrain_domain::memory::MemoryChange;
use entrain_domain::model::{SiteGroupId, SiteMembers, SiteSnapshot};
use entrain_domain::plan::{Action, Approval, Lookups, Plan, plan};
use entrain_domain::policy::UserScope;
use entrain_domain::run::{Phase, RunReport};

use super::Engine;
use super::course::{Course, Left};
use super::read::{Reach, World, side_by_side, tell_directory};
use crate::ports::{
    CaughtUp, Clock, Directory, Event, Ids, MirrorHead, Progress, Since, Site, Store, Watermark,
};

/// What the passing of time asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    Rung,
}

/// What reading found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Something to plan over.
    World(Box<World>),
    /// Nothing has changed since a run that left nothing to do.
    Nothing(Quiet),
}

/// A directory in which nothing has changed since a run that left nothing to do.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// Where the next read begins.
    pub(crate) watermark: Watermark,
    /// The report of that run.
    pub(crate) last: Box<RunReport>,
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Reads both sides as far as the course asks, members and look-ups excepted.
    pub(crate) async fn read(&self, course: Course, progress: &dyn Progress) -> Result<Found, Failure> {
        if let Course::Onward { head, left } = course
            && let Some(found) = self.go_onward(&head, left, progress).await?
        {
            return Ok(found);
        }
        Ok(Found::World(Box::new(self.read_rolls(progress).await?)))
    }

    /// From the mirrors, or `None` when only a full read helps.
    async fn go_onward(
        &self,
        head: &MirrorHead,
        left: Left,
        progress: &dyn Progress,
    ) -> Result<Option<Found>, Failure> {
        let (store, directory) = (&self.ports.store, &self.ports.directory);
        progress.report(Event::Phase(Phase::Reading));
        let due = self.rung_due().await?;
        let changes = match (directory.changes(&head.watermark).await?, &left) {
            (Since::Lost, _) => {
                tracing::warn!("the directory no longer knows where the last read ended; it is read in full");
                return Ok(None);
            }
            // Assignments have no delta: whether they changed is only known when they have been listed.
            (Since::Nothing(watermark, _), Left::Nothing(last))
                if due == Due::Nothing && !matches!(self.rules.scope.users, UserScope::Assigned(_)) =>
            {
                return Ok(Some(Found::Nothing(Quiet { watermark, last: last.clone() })));
            }
            // Members that could not be read the last time are due now, and so are rungs whose time has come.
            (Since::Nothing(_, changes) | Since::Changes(changes), _) => changes,
        };
        let Some(reading) = store.directory_mirror(&self.connection).await? else { return Ok(None) };
        let read = match directory.catch_up(reading, changes, &self.rules.demand()).await? {
            CaughtUp::Read(read) => *read,
            CaughtUp::Implausible(why) => {
                tracing::warn!(why, "what changed does not fit what was known; everything is read");
                return Ok(None);
            }
        };
        tell_directory(&read, progress);
        if let Some(changes) = read.snapshot.changes().filter(|changes| !changes.is_empty()) {
            let assignments = usize::from(changes.assignments.is_some());
            let objects = changes.users.len() + changes.groups.len() + assignments;
            progress.report(Event::DirectoryChanged { objects });
        }
        // Entries that say what was known already, as replays do, change nothing.
        if let Left::Nothing(last) = &left
            && due == Due::Nothing
            && read.snapshot.changes().is_some_and(|changes| changes.is_empty())
        {
            return Ok(Some(Found::Nothing(Quiet { watermark: read.watermark, last: last.clone() })));
        }

        let Some(mut picture) = store.site_mirror(&self.connection).await? else { return Ok(None) };
        let memory = store.memory(&self.connection).await?;
        let now = self.ports.clock.now();
        let history = store.history(&self.connection, now).await?;
        let standing = self.standing().await?;
        let (reach, site) = match left {
            Left::Nothing(_) => {
                let standing = standing.distrusting_unfiltered_lists(&picture.groups);
                (Reach::Checks, SiteSnapshot::remembered(standing, picture))
            }
            Left::Something => {
                let (accounts, groups) = self.rolls(progress).await?;
                let standing = standing.distrusting_unfiltered_lists(&groups);
                let mut site = SiteSnapshot::new(standing, accounts, groups);
                for (group, members) in picture.members.drain() {
                    if site.group(&group).is_some() {
                        site.put_members(group, SiteMembers::Complete(members));
                    }
                }
                (Reach::Rolls, site)
            }
        };
        if !self.rules.protected.addresses.is_empty() {
            self.ports.site.remember(site.accounts());
        }
        let basis = self.basis(head.basis.full_at);
        let lookups = Lookups::new();
        let (seats_read, since, own, asked) = (false, None, None, None);
        let directory = read;
        let world = World {
            reach,
            basis,
            directory,
            site,
            memory,
            lookups,
            history,
            now,
            seats_read,
            since,
            own,
            asked,
        };
        self.guard(&world);
        Ok(Some(Found::World(Box::new(world))))
    }

    /// Whether time alone asks for a run: a rung of the leaver ladder is due.
    async fn rung_due(&self) -> Result<Due, Failure> {
        if !self.rules.leavers.any() {
            return Ok(Due::Nothing);
        }
        let now = self.ports.clock.now();
        let ladder = self.ports.store.ladder(&self.connection).await?;
        let due = ladder.iter().any(|place| !place.due(&self.rules.leavers, now).is_empty());
        Ok(if due { Due::Rung } else { Due::Nothing })
    }

    /// Tells the site's client what it must never write to.
    fn guard(&self, world: &World) {
        self.ports.site.protect(&self.rules.protected, world.site.standing(), world.site.groups());
    }

    /// Asks the site for what a plan over its mirror rests on and the mirror may not know.
    pub(crate) async fn make_sure(&self, world: &mut World, progress: &dyn Progress) -> Result<(), Failure> {
        if world.reach == Reach::Full {
            return Ok(());
        }
        let mut draft = plan(&world.input(&self.rules, Approval::None));
        if self.read_seat_holders(world, &draft.waiting).await? {
            draft = plan(&world.input(&self.rules, Approval::None));
        }
        self.read_members(&mut world.site, doubtful_members(&draft), progress).await?;
        if world.reach == Reach::Rolls {
            return Ok(());
        }
        let mut strangers = Vec::new();
        let mut names = BTreeSet::new();
        for step in &draft.steps {
            match &step.action {
                Action::CreateUser { person, address } => {
                    if let Some(user) = &person.directory_id
                        && !world.lookups.contains_key(user)
                    {
                        strangers.push((user.clone(), address.clone()));
                    }
                }
                Action::CreateGroup { group } => {
                    names.insert(group.name.clone());
                }
                _ => {}
            }
        }
        self.search(world, strangers, progress).await?;
        let found = side_by_side(self.options.in_flight, names, |name| async move {
            self.ports.site.find_groups(&name).await
        })
        .await;
        for groups in found {
            for group in groups? {
                world.site.put_group(group);
            }
        }
        self.guard(world);
        // A group that has turned up is one whose members have to be known.
        self.read_rest(world, progress).await
    }
}

/// Groups for which the members as remembered are not enough: somebody would be found in them and entered into the
/// ledger, or would be taken out although the ledger does not own the membership.
fn doubtful_members(draft: &Plan) -> Vec<SiteGroupId> {
    let found = draft.records.iter().filter_map(|record| match record {
        MemoryChange::OwnMembership { group, .. } | MemoryChange::DisownMembership { group, .. } => {
            Some(group)
        }
        _ => None,
    });
    let strangers = draft.steps.iter().filter_map(|step| match &step.action {
        Action::RemoveMember { removal, .. } if removal.owned.is_none() => Some(&removal.site_group),
        _ => None,
    });
    let groups: BTreeSet<SiteGroupId> = found.chain(strangers).cloned().collect();
    groups.into_iter().collect()
}
