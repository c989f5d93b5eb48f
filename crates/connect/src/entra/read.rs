//! Reading the directory by the fewest requests that can do it (design.md 6): watermarks, lists, members in batches,
//! and the changes since.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};

use entrain_domain::model::{
    AccountState, Assignments, Coverage, DirectoryGroupId, DirectoryReading, DirectorySnapshot,
    DirectoryUserId, Gone, MemberRef,
};
use entrain_domain::policy::{Demand, UserScope};
use entrain_domain::run::RequestCounts;
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;

use super::catch_up::{Applied, Changes};
use super::graph::{Graph, Refusal, RefusalKind, consent};
use super::members::{self, Members};
use super::paging::{self, Fresh, Round};
use super::token::Tokens;
use super::wire::{GROUP_SELECT, GroupWire, Selection, UserWire};
use super::{EntraOptions, assignments, catch_up};
use crate::Error;
use crate::http::{BaseUrl, Http, HttpOptions, Plane, Target};

/// Members that the list of users did not name and that are still looked up one by one; more than these mean that the
/// list is not to be trusted (D-01).
const LOOKED_UP: usize = 200;

/// Where a read ended, for the next one to go on from. Both links are secrets of no kind, but long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// `@odata.deltaLink` of users.
    pub users: String,
    /// `@odata.deltaLink` of groups with members.
    pub groups: String,
    /// When they were asked for; they live seven days (microsoft-graph.md 5.3).
    pub issued_at: Timestamp,
}

/// The directory as read, and where it ended.
#[derive(Debug)]
pub struct DirectoryRead {
    /// What was read.
    pub snapshot: DirectorySnapshot,
    /// Where the next read by delta begins: users.
    pub users_link: String,
    /// Where the next read by delta begins: groups.
    pub groups_link: String,
    /// When both were issued; they live seven days.
    pub issued_at: Timestamp,
}

/// What happened since an earlier read.
#[derive(Debug)]
pub enum Since {
    /// Nothing; the next read may begin here. The changes, empty as they are, bring a reading up to it.
    Nothing(Links, Changes),
    /// This.
    Changes(Changes),
    /// Graph no longer knows where the earlier read ended: only a full read helps.
    Lost,
}

/// An earlier reading brought up to date, or not.
#[derive(Debug)]
pub enum CaughtUp {
    /// Up to date.
    Read(Box<DirectoryRead>),
    /// The changes do not fit what was known, for the reason in words: only a full read helps.
    Implausible(String),
}

/// What it means that a member was not listed among the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// A few come and go between two requests; many mean that the list is not to be trusted.
    Suspicious,
    /// Nothing: users were not listed.
    Expected,
}

/// One tenant, read only.
pub struct Entra {
    pub(super) graph: Graph,
}

impl fmt::Debug for Entra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entra").field("http", &self.graph.http).finish_non_exhaustive()
    }
}

impl Entra {
    /// A reader of one tenant. Of `http` everything is taken but the base address and the plane.
    ///
    /// # Errors
    /// `Error::Configuration` when an address, a proxy or a certificate file cannot be used. Nothing is sent.
    pub fn new(options: EntraOptions, http: &HttpOptions) -> Result<Self, Error> {
        let root = BaseUrl::parse(&options.graph_url)?;
        let versioned =
            if root.as_str().ends_with("/v1.0") { root } else { BaseUrl::parse(&format!("{root}/v1.0"))? };
        let tokens = Tokens::new(Arc::new(options), http)?;
        let http = Http::new(HttpOptions { base: versioned, plane: Plane::Directory, ..http.clone() })?;
        Ok(Self { graph: Graph { http, tokens } })
    }

    /// Requests made so far, token requests included.
    pub fn requests(&self) -> RequestCounts {
        self.graph.http.requests()
    }

    /// Reads everything that the rules ask for. Users and groups are listed to the end or the read fails; a group whose
    /// members cannot be read is marked as such and leaves the rest alone. Whoever is `expected`, because something
    /// hangs on it, and is not listed, is asked for by id before he is taken for gone.
    ///
    /// # Errors
    /// Anything that keeps the listings from being complete, and answers that contradict each other: members of whom
    /// no list knows, users without properties.
    pub async fn read(&self, demand: &Demand, expected: &[DirectoryUserId]) -> Result<DirectoryRead, Error> {
        if let Some(groups) = demand.few_groups() {
            return self.read_few(&groups, demand, expected).await;
        }
        let selection = Selection::of(&demand.attributes);
        let links = catch_up::watermarks(&self.graph, &selection).await?;
        let reading = Mutex::new(DirectoryReading::new());
        let users = self.list_users(&selection, &reading);
        let groups = async {
            tokio::try_join!(self.list_groups(&reading), self.read_assignments(demand, &reading))?;
            self.read_groups_in(demand, &reading).await
        };
        tokio::try_join!(users, groups)?;
        self.go_on(reading, &links, &selection, demand, expected).await
    }

    /// What changed since an earlier read: two requests when nothing did.
    ///
    /// # Errors
    /// As [`Entra::read`]. That Graph no longer knows where the earlier read ended is no error.
    pub async fn changes(&self, links: &Links) -> Result<Since, Error> {
        match catch_up::rounds(&self.graph, links).await {
            Ok(changes) if changes.is_empty() => Ok(Since::Nothing(changes.links().clone(), changes)),
            Ok(changes) => Ok(Since::Changes(changes)),
            Err(Refusal { kind: RefusalKind::StateLost, error }) => {
                tracing::warn!(%error, "the place where the last read ended is lost");
                Ok(Since::Lost)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Goes on from an earlier reading by what changed since. Groups that came into scope are read.
    ///
    /// # Errors
    /// As [`Entra::read`].
    pub async fn catch_up(
        &self,
        reading: DirectoryReading,
        changes: Changes,
        demand: &Demand,
    ) -> Result<CaughtUp, Error> {
        if demand.few_groups().is_some() {
            return self.catch_up_few(reading, changes, demand).await;
        }
        let mut reading = reading;
        let selection = Selection::of(&demand.attributes);
        let Applied { links, contradiction, appeared } = catch_up::apply(&mut reading, changes, &selection);
        if let Some(contradiction) = contradiction {
            return Ok(CaughtUp::Implausible(contradiction.0));
        }
        let reading = Mutex::new(reading);
        tokio::try_join!(self.bring_back(&appeared, &reading), self.read_assignments(demand, &reading))?;
        self.read_groups_in(demand, &reading).await?;
        let (unseen, live) = {
            let reading = lock(&reading);
            (reading.unseen_members().len(), reading.live_users())
        };
        if unseen > LOOKED_UP || (live == 0 && unseen > 0) {
            let what = format!("{unseen} members of groups are not among the {live} users that are known");
            return Ok(CaughtUp::Implausible(what));
        }
        let read = self.finish(reading, links, &selection, Unlisted::Suspicious).await?;
        Ok(CaughtUp::Read(Box::new(read)))
    }

    /// The changes during a first read, then the groups that came into scope meanwhile.
    async fn go_on(
        &self,
        reading: Mutex<DirectoryReading>,
        links: &Links,
        selection: &Selection,
        demand: &Demand,
        expected: &[DirectoryUserId],
    ) -> Result<DirectoryRead, Error> {
        let changes = catch_up::rounds(&self.graph, links).await.map_err(Error::from)?;
        let links = catch_up::apply(&mut lock(&reading), changes, selection).links;
        // Groups that came into scope, or into a group in scope, since the lists were read.
        self.read_groups_in(demand, &reading).await?;
        self.find_missing(expected, selection, &reading).await?;
        self.finish(reading, links, selection, Unlisted::Suspicious).await
    }

    /// Asks for the groups of people who were not known before: whoever comes out of the recycle bin after a full read,
    /// which does not name him anywhere, is a member again and no group says so.
    async fn bring_back(
        &self,
        appeared: &[DirectoryUserId],
        reading: &Mutex<DirectoryReading>,
    ) -> Result<(), Error> {
        let here: Vec<DirectoryUserId> = {
            let reading = lock(reading);
            appeared.iter().filter(|id| reading.known_user(id).is_some()).cloned().collect()
        };
        members::read_groups_of(&self.graph, &here, |user, group| {
            lock(reading).add_member(group, &MemberRef::User(user.clone()));
        })
        .await
    }

    pub(super) async fn finish(
        &self,
        reading: Mutex<DirectoryReading>,
        links: Links,
        selection: &Selection,
        unlisted: Unlisted,
    ) -> Result<DirectoryRead, Error> {
        self.settle_unseen(selection, &reading, unlisted).await?;
        let reading = reading.into_inner().expect("nothing panics while it holds the lock");
        let snapshot = reading.finish(Coverage::Complete, Coverage::Complete);
        let Links { users, groups, issued_at } = links;
        Ok(DirectoryRead { snapshot, users_link: users, groups_link: groups, issued_at })
    }

    /// Asks for everybody who was expected and is not listed, before he is taken for gone: a list names what is there,
    /// not what went (microsoft-graph.md 5.4).
    pub(super) async fn find_missing(
        &self,
        expected: &[DirectoryUserId],
        selection: &Selection,
        reading: &Mutex<DirectoryReading>,
    ) -> Result<(), Error> {
        let missing: Vec<DirectoryUserId> = {
            let reading = lock(reading);
            expected
                .iter()
                .filter(|id| !reading.knows_member(&MemberRef::User((*id).clone())))
                .cloned()
                .collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        members::read_users(&self.graph, &missing, selection, |id, user| {
            let mut reading = lock(reading);
            match user {
                Some(user) => reading.put_user(user.into_user(None, selection)),
                None => reading.user_gone(id, Gone::SoftDeleted),
            }
        })
        .await
    }

    async fn list_users(
        &self,
        selection: &Selection,
        reading: &Mutex<DirectoryReading>,
    ) -> Result<(), Error> {
        let first =
            String::from(Target::new("/users").query("$select", &selection.text).query("$top", "999"));
        let (mut listed, mut visible) = (HashSet::<DirectoryUserId>::new(), false);
        paging::read::<UserWire>(&self.graph, "/users", &first, Round::List, |page| {
            let mut reading = lock(reading);
            let mut fresh = 0;
            for wire in page {
                let user = wire.into_user(None, selection);
                visible |= user.account != AccountState::Unknown;
                fresh += usize::from(listed.insert(user.id.clone()));
                reading.put_user(user);
            }
            Fresh(fresh)
        })
        .await?;
        if !listed.is_empty() && !visible {
            return Err(Failure::new(
                FailureCode::DirectoryPropertiesHidden,
                FailureClass::Connection,
                "Graph lists users without saying of any whether the account is enabled",
                consent("User.Read.All"),
            )
            .into());
        }
        Ok(())
    }

    async fn list_groups(&self, reading: &Mutex<DirectoryReading>) -> Result<(), Error> {
        let first = String::from(Target::new("/groups").query("$select", GROUP_SELECT).query("$top", "999"));
        let mut listed = HashSet::<DirectoryGroupId>::new();
        let end = paging::read::<GroupWire>(&self.graph, "/groups", &first, Round::List, |page| {
            let mut reading = lock(reading);
            let mut fresh = 0;
            for wire in page {
                let name = wire.display_name.flatten().unwrap_or_default();
                reading.put_group(&wire.id, &name);
                fresh += usize::from(listed.insert(wire.id));
            }
            Fresh(fresh)
        });
        end.await.map(drop).map_err(Error::from)
    }

    /// Reads the members of the groups that the scope selects, then of those they nest, and so on; each once.
    async fn read_groups_in(&self, demand: &Demand, reading: &Mutex<DirectoryReading>) -> Result<(), Error> {
        let mut asked = HashSet::new();
        let mut level: Vec<DirectoryGroupId> = {
            let reading = lock(reading);
            reading.groups().filter(|(id, name)| demand.reads(id, name)).map(|(id, _)| id.clone()).collect()
        };
        while !level.is_empty() {
            asked.extend(level.iter().cloned());
            let unknown: Vec<DirectoryGroupId> = {
                let reading = lock(reading);
                level.iter().filter(|id| !reading.has_members(id)).cloned().collect()
            };
            self.read_members_of(&unknown, reading).await?;
            let reading = lock(reading);
            let mut next: Vec<DirectoryGroupId> = level
                .iter()
                .flat_map(|id| reading.nested_groups(id))
                .filter(|id| reading.has_group(id) && !asked.contains(id))
                .collect();
            next.sort_unstable();
            next.dedup();
            drop(reading);
            level = next;
        }
        // Assignment is not transitive: of assigned groups the direct members are enough.
        let assigned: Vec<DirectoryGroupId> = {
            let reading = lock(reading);
            let groups = reading.assignments().into_iter().flat_map(Assignments::groups);
            groups.filter(|id| reading.has_group(id) && !reading.has_members(id)).cloned().collect()
        };
        self.read_members_of(&assigned, reading).await
    }

    async fn read_members_of(
        &self,
        groups: &[DirectoryGroupId],
        reading: &Mutex<DirectoryReading>,
    ) -> Result<(), Error> {
        members::read_members::<MemberRef>(&self.graph, groups, "id", |group, members| {
            let mut reading = lock(reading);
            match members {
                Members::Known(members) => reading.set_members(group, members),
                Members::Unread(why) => reading.members_unread(group, why),
            }
        })
        .await
    }

    /// To whom the application of the scope is assigned. There is no delta for it, so it is listed in each run.
    async fn read_assignments(
        &self,
        demand: &Demand,
        reading: &Mutex<DirectoryReading>,
    ) -> Result<(), Error> {
        if let UserScope::Assigned(application) = &demand.scope.users {
            let assignments = assignments::read(&self.graph, application).await?;
            lock(reading).set_assignments(assignments);
        }
        Ok(())
    }

    /// Looks up members whom no list named: they came and went between two requests, or the list is wrong.
    async fn settle_unseen(
        &self,
        selection: &Selection,
        reading: &Mutex<DirectoryReading>,
        unlisted: Unlisted,
    ) -> Result<(), Error> {
        let (unseen, live) = {
            let reading = lock(reading);
            (reading.unseen_members(), reading.live_users())
        };
        if unseen.is_empty() {
            return Ok(());
        }
        if unlisted == Unlisted::Suspicious && (live == 0 || unseen.len() > LOOKED_UP) {
            let message = format!(
                "the list of users names {live}, but {} members of groups are not among them",
                unseen.len()
            );
            return Err(Failure::new(
                FailureCode::DirectoryAnswerInvalid,
                FailureClass::Transient,
                message,
                "Run it again; if it stays, check that the application may read all users (User.Read.All)",
            )
            .into());
        }
        members::read_users(&self.graph, &unseen, selection, |id, user| {
            let mut reading = lock(reading);
            match user {
                Some(user) => reading.put_user(user.into_user(None, selection)),
                None => reading.user_gone(id, Gone::SoftDeleted),
            }
        })
        .await
    }
}

pub(super) fn lock(reading: &Mutex<DirectoryReading>) -> std::sync::MutexGuard<'_, DirectoryReading> {
    reading.lock().expect("nothing panics while it holds the lock")
}
