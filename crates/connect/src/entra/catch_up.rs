//! Bringing a reading up to date by delta rounds: entries may be doubled, replayed and in any order of objects.

use entrain_domain::model::DirectoryReading;

use super::graph::{Graph, Refusal};
use super::paging::{self, Fresh, Round};
use super::read::Links;
use super::wire::{GROUP_DELTA_SELECT, GroupWire, Selection, UserWire};
use crate::Error;
use crate::http::Target;

const USERS: &str = "/users/delta";
const GROUPS: &str = "/groups/delta";

/// Where the directory stands now, without its objects: taken before everything else, so that nothing is lost that
/// changes during the read (N-09).
pub(super) async fn watermarks(graph: &Graph, selection: &Selection) -> Result<Links, Error> {
    let issued_at = graph.http.options().environment.now();
    let latest = async |endpoint: &'static str, select: &str| {
        let first =
            String::from(Target::new(endpoint).query("$deltatoken", "latest").query("$select", select));
        let take = |page: Vec<serde::de::IgnoredAny>| Fresh(page.len());
        let link = paging::read(graph, endpoint, &first, Round::Delta, take).await?;
        Ok::<String, Error>(link.expect("a delta round ends with a link, or fails"))
    };
    let (users, groups) =
        tokio::try_join!(latest(USERS, &selection.text), latest(GROUPS, GROUP_DELTA_SELECT))?;
    Ok(Links { users, groups, issued_at })
}

/// What changed since an earlier read, as Graph tells it and not yet put into anything.
#[derive(Debug)]
pub struct Changes {
    users: Vec<UserWire>,
    groups: Vec<GroupWire>,
    links: Links,
}

impl Changes {
    /// Where the rounds ended.
    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Whether both rounds were empty.
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }
}

/// Reads both rounds from the links to their ends.
pub(super) async fn rounds(graph: &Graph, links: &Links) -> Result<Changes, Refusal> {
    let issued_at = graph.http.options().environment.now();
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    let users_round = paging::read::<UserWire>(graph, USERS, &links.users, Round::Delta, |page| {
        let entries = page.len();
        users.extend(page);
        Fresh(entries)
    });
    let groups_round = paging::read::<GroupWire>(graph, GROUPS, &links.groups, Round::Delta, |page| {
        let entries = page.len();
        groups.extend(page);
        Fresh(entries)
    });
    let (users_link, groups_link) = tokio::try_join!(users_round, groups_round)?;
    let end = "a delta round ends with a link, or fails";
    let links = Links { users: users_link.expect(end), groups: groups_link.expect(end), issued_at };
    Ok(Changes { users, groups, links })
}

/// What the entries say that cannot be, if the reading is what it should be: something was missed, and only a full
/// read helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contradiction(pub(super) String);

/// Puts the entries into the reading, in the order in which they came. Also gives back the first contradiction: beside
/// a stored picture it means that something was missed; beside lists that were read while the changes happened it means
/// nothing.
pub(super) fn apply(
    reading: &mut DirectoryReading,
    changes: Changes,
    selection: &Selection,
) -> (Links, Option<Contradiction>) {
    let mut found = None;
    // Users first: a membership may name somebody whom only this round lists.
    for user in changes.users {
        put_user(reading, user, selection, &mut found);
    }
    for group in &changes.groups {
        put_group(reading, group, &mut found);
    }
    (changes.links, found)
}

fn put_user(
    reading: &mut DirectoryReading,
    wire: UserWire,
    selection: &Selection,
    found: &mut Option<Contradiction>,
) {
    if let Some(removed) = &wire.removed {
        reading.user_gone(&wire.id, removed.gone());
        return;
    }
    let known = reading.known_user(&wire.id);
    // A whole object always says whether the account is enabled; half of one is only of use beside the other half.
    if known.is_none() && !wire.says_whether_enabled() {
        found.get_or_insert_with(|| {
            Contradiction(format!("a part of the user {} changed, who was not known", wire.id))
        });
    }
    let user = wire.into_user(known, selection);
    reading.put_user(user);
}

/// One entry of a group; a group may be spread over many pages, each with a slice of its members.
fn put_group(reading: &mut DirectoryReading, wire: &GroupWire, found: &mut Option<Contradiction>) {
    if wire.removed.is_some() {
        reading.group_gone(&wire.id);
        return;
    }
    match &wire.display_name {
        Some(name) => reading.put_group(&wire.id, name.as_deref().unwrap_or_default()),
        None if reading.has_group(&wire.id) => {}
        None => {
            found.get_or_insert_with(|| {
                Contradiction(format!("members of the group {} changed, which was not known", wire.id))
            });
            reading.put_group(&wire.id, "");
        }
    }
    for link in &wire.members {
        let Some(member) = link.member() else { continue };
        if link.removed.is_none() {
            reading.add_member(&wire.id, &member);
            continue;
        }
        if reading.has_members(&wire.id) && !reading.knows_member(&member) {
            found.get_or_insert_with(|| {
                Contradiction(format!("somebody of whom nothing was known left the group {}", wire.id))
            });
        }
        reading.remove_member(&wire.id, &member);
    }
}
