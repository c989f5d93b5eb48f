//! Bringing a reading up to date by delta rounds: entries may be doubled, replayed and in any order of objects.

use std::sync::Mutex;

use entrain_domain::model::{DirectoryReading, DirectoryUserId};

use super::graph::{Graph, Refusal};
use super::paging::{self, Fresh, Round};
use super::read::Links;
use super::wire::{GROUP_DELTA_SELECT, GroupWire, USER_SELECT, UserWire};
use crate::Error;
use crate::http::Target;

const USERS: &str = "/users/delta";
const GROUPS: &str = "/groups/delta";

/// Where the directory stands now, without its objects: taken before everything else, so that nothing is lost that
/// changes during the read (N-09).
pub(super) async fn watermarks(graph: &Graph) -> Result<Links, Error> {
    let issued_at = graph.http.options().environment.now();
    let latest = |endpoint: &'static str, select: &'static str| async move {
        let first =
            String::from(Target::new(endpoint).query("$deltatoken", "latest").query("$select", select));
        let take = |page: Vec<serde::de::IgnoredAny>| Fresh(page.len());
        let link = paging::read(graph, endpoint, &first, Round::Delta, take).await?;
        Ok::<String, Error>(link.expect("a delta round ends with a link, or fails"))
    };
    let (users, groups) = tokio::try_join!(latest(USERS, USER_SELECT), latest(GROUPS, GROUP_DELTA_SELECT))?;
    Ok(Links { users, groups, issued_at })
}

/// Reads both rounds from the links and puts them into the reading.
pub(super) async fn apply(
    graph: &Graph,
    reading: &Mutex<DirectoryReading>,
    links: &Links,
) -> Result<Links, Refusal> {
    let issued_at = graph.http.options().environment.now();
    let lock = || reading.lock().expect("nothing panics while it holds the lock");
    let users = paging::read::<UserWire>(graph, USERS, &links.users, Round::Delta, |page| {
        let mut reading = lock();
        let entries = page.len();
        for user in page {
            put_user(&mut reading, user);
        }
        Fresh(entries)
    });
    let groups = paging::read::<GroupWire>(graph, GROUPS, &links.groups, Round::Delta, |page| {
        let mut reading = lock();
        let entries = page.len();
        for group in &page {
            put_group(&mut reading, group);
        }
        Fresh(entries)
    });
    let (users, groups) = tokio::try_join!(users, groups)?;
    let end = "a delta round ends with a link, or fails";
    Ok(Links { users: users.expect(end), groups: groups.expect(end), issued_at })
}

fn put_user(reading: &mut DirectoryReading, wire: UserWire) {
    if let Some(removed) = &wire.removed {
        let id: DirectoryUserId = wire.id.clone();
        reading.user_gone(&id, removed.gone());
        return;
    }
    let user = wire.into_user_of(reading);
    reading.put_user(user);
}

impl UserWire {
    fn into_user_of(self, reading: &DirectoryReading) -> entrain_domain::model::DirectoryUser {
        let id = self.id.clone();
        self.into_user(reading.known_user(&id))
    }
}

/// One entry of a group; a group may be spread over many pages, each with a slice of its members.
fn put_group(reading: &mut DirectoryReading, wire: &GroupWire) {
    if wire.removed.is_some() {
        reading.group_gone(&wire.id);
        return;
    }
    match &wire.display_name {
        Some(name) => reading.put_group(&wire.id, name.as_deref().unwrap_or_default()),
        None if reading.has_group(&wire.id) => {}
        None => reading.put_group(&wire.id, ""),
    }
    for link in &wire.members {
        let Some(member) = link.member() else { continue };
        if link.removed.is_some() {
            reading.remove_member(&wire.id, &member);
        } else {
            reading.add_member(&wire.id, &member);
        }
    }
}
