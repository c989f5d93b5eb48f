//! Reading a scope of a few groups without the rest of the tenant: the groups are found by id or name, their members
//! are read with the people's properties, level by level, and nothing is listed. Later rounds of the delta cover the
//! whole tenant; what is not of the scope is left out here, and what comes into it is read then.
//!
//! Such a reading is complete in what was asked for: of every group that the scope names, and of every group nested in
//! one, all members are known. Of people outside it knows nothing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;

use entrain_domain::model::{AccountState, DirectoryGroupId, DirectoryReading, DirectoryUserId, MemberRef};
use entrain_domain::policy::{Demand, GroupSelector};
use entrain_domain::{Failure, FailureClass, FailureCode};

use super::catch_up::{self, Applied, Changes};
use super::graph::consent;
use super::members::{self, Members};
use super::read::{CaughtUp, DirectoryRead, Entra, Unlisted, lock};
use super::wire::{Selection, Spelled};
use crate::Error;

/// People of whom nothing was known and whose groups are still asked for; with more of them it is cheaper to read the
/// groups of the scope again.
const STRANGERS: usize = 1_000;

impl Entra {
    /// Reads the groups that the selectors name, and what they nest.
    pub(super) async fn read_few(
        &self,
        selectors: &[&GroupSelector],
        demand: &Demand,
        expected: &[DirectoryUserId],
    ) -> Result<DirectoryRead, Error> {
        let selection = Selection::of(&demand.attributes);
        let links = catch_up::watermarks(&self.graph, &selection).await?;
        let reading = Mutex::new(DirectoryReading::new());
        members::find_groups(&self.graph, selectors, |id, name| {
            // What Graph takes for the same name is not always what the rules do.
            if demand.reads(id, name) {
                lock(&reading).put_group(id, name);
            }
        })
        .await?;
        self.read_below(demand, &selection, &reading).await?;
        let changes = catch_up::rounds(&self.graph, &links).await.map_err(Error::from)?;
        let links = catch_up::apply_within(&mut lock(&reading), changes, demand, &selection).links;
        // Groups that came into the scope, or into a group of it, meanwhile.
        self.read_below(demand, &selection, &reading).await?;
        self.find_missing(expected, &selection, &reading).await?;
        self.finish(reading, links, &selection, Unlisted::Expected).await
    }

    /// Brings such a reading up to date.
    pub(super) async fn catch_up_few(
        &self,
        mut reading: DirectoryReading,
        changes: Changes,
        demand: &Demand,
    ) -> Result<CaughtUp, Error> {
        let selection = Selection::of(&demand.attributes);
        let applied = catch_up::apply_within(&mut reading, changes, demand, &selection);
        let Applied { links, contradiction, appeared } = applied;
        if let Some(contradiction) = contradiction {
            return Ok(CaughtUp::Implausible(contradiction.0));
        }
        let appeared: Vec<DirectoryUserId> =
            appeared.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if appeared.len() > STRANGERS {
            let what = format!("{} people changed of whom nothing is known", appeared.len());
            return Ok(CaughtUp::Implausible(what));
        }
        let reading = Mutex::new(reading);
        // Most are none of the scope's. But who comes out of the recycle bin is a member again, and no group says so.
        members::read_groups_of(&self.graph, &appeared, |user, group| {
            lock(&reading).add_member(group, &MemberRef::User(user.clone()));
        })
        .await?;
        self.read_below(demand, &selection, &reading).await?;
        let read = self.finish(reading, links, &selection, Unlisted::Expected).await?;
        Ok(CaughtUp::Read(Box::new(read)))
    }

    /// Reads the members of the groups that are asked for, then of those they nest, and so on, with the people's
    /// properties; each group once.
    async fn read_below(
        &self,
        demand: &Demand,
        selection: &Selection,
        reading: &Mutex<DirectoryReading>,
    ) -> Result<(), Error> {
        let mut asked: HashSet<DirectoryGroupId> = HashSet::new();
        let mut level: Vec<DirectoryGroupId> = {
            let reading = lock(reading);
            reading.groups().filter(|(id, name)| demand.reads(id, name)).map(|(id, _)| id.clone()).collect()
        };
        let seen = Mutex::new((0_usize, 0_usize));
        while !level.is_empty() {
            asked.extend(level.iter().cloned());
            let unknown: Vec<DirectoryGroupId> = {
                let reading = lock(reading);
                level.iter().filter(|id| !reading.has_members(id)).cloned().collect()
            };
            members::read_members::<Spelled>(&self.graph, &unknown, &selection.text, |group, members| {
                let mut reading = lock(reading);
                let members = match members {
                    Members::Known(members) => members,
                    Members::Unread(why) => return reading.members_unread(group, why),
                };
                let mut list = Vec::with_capacity(members.len());
                for member in members {
                    list.push(match member {
                        Spelled::User(user) => {
                            let user = user.into_user(None, selection);
                            let mut seen = seen.lock().expect("nothing panics while it holds the lock");
                            seen.0 += 1;
                            seen.1 += usize::from(user.account != AccountState::Unknown);
                            let id = user.id.clone();
                            reading.put_user(user);
                            MemberRef::User(id)
                        }
                        Spelled::Group(id, name) => {
                            reading.put_group(&id, &name);
                            MemberRef::Group(id)
                        }
                        Spelled::Other => MemberRef::Other,
                    });
                }
                reading.set_members(group, list);
            })
            .await?;
            let (nested, unnamed): (Vec<_>, Vec<_>) = {
                let reading = lock(reading);
                let all: BTreeSet<DirectoryGroupId> =
                    level.iter().flat_map(|id| reading.nested_groups(id)).collect();
                let open = all.into_iter().filter(|id| !asked.contains(id) && !reading.group_is_gone(id));
                open.partition(|id| reading.has_group(id))
            };
            // Named by a delta entry alone, which does not say what they are called.
            members::read_groups(&self.graph, &unnamed, |id, name| {
                let mut reading = lock(reading);
                match name {
                    Some(name) => reading.put_group(id, name),
                    None => reading.group_gone(id),
                }
            })
            .await?;
            let reading = lock(reading);
            level = nested;
            level.extend(unnamed.into_iter().filter(|id| reading.has_group(id)));
        }
        let (users, told) = *seen.lock().expect("nothing panics while it holds the lock");
        if users > 0 && told == 0 {
            return Err(Failure::new(
                FailureCode::DirectoryPropertiesHidden,
                FailureClass::Connection,
                "Graph lists members of groups without saying of any whether the account is enabled",
                consent("User.Read.All"),
            )
            .into());
        }
        Ok(())
    }
}
