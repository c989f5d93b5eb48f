//! Bringing a reading up to date by delta rounds: entries may be doubled, replayed and in any order of objects.

use entrain_domain::model::{DirectoryReading, DirectoryUserId, MemberRef};
use entrain_domain::policy::Demand;

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

/// What putting entries into a reading brought to light.
pub(super) struct Applied {
    /// Where the rounds ended.
    pub(super) links: Links,
    /// The first contradiction: beside a stored picture it means that something was missed; beside lists that were read
    /// while the changes happened it means nothing.
    pub(super) contradiction: Option<Contradiction>,
    /// Users of whom nothing was known. Some of them are new; others come out of the recycle bin, with their
    /// memberships and without an event of any group (microsoft-graph.md 0.3).
    pub(super) appeared: Vec<DirectoryUserId>,
}

/// Puts the entries into the reading, in the order in which they came.
pub(super) fn apply(reading: &mut DirectoryReading, changes: Changes, selection: &Selection) -> Applied {
    let mut applied = Applied { links: changes.links, contradiction: None, appeared: Vec::new() };
    // Users first: a membership may name somebody whom only this round lists.
    for user in changes.users {
        put_user(reading, user, selection, &mut applied);
    }
    for group in &changes.groups {
        put_group(reading, group, &mut applied.contradiction);
    }
    applied
}

/// The same beside a reading of a few groups: what the demand does not ask for is left out. `appeared` are the people of
/// whom nothing was known, and who may be members of something that is asked for.
pub(super) fn apply_within(
    reading: &mut DirectoryReading,
    changes: Changes,
    demand: &Demand,
    selection: &Selection,
) -> Applied {
    let mut applied = Applied { links: changes.links, contradiction: None, appeared: Vec::new() };
    // Groups first: whoever joins one is known from then on.
    for group in &changes.groups {
        let known = reading.knows_member(&MemberRef::Group(group.id.clone()));
        let name = group.display_name.as_ref().map(|name| name.as_deref().unwrap_or_default());
        match name {
            _ if reading.has_group(&group.id) => put_group(reading, group, &mut applied.contradiction),
            _ if group.removed.is_some() && known => reading.group_gone(&group.id),
            // Its members are read as a whole afterwards, as are those of a nested group that came back.
            Some(name) if group.removed.is_none() && (known || demand.reads(&group.id, name)) => {
                reading.put_group(&group.id, name);
            }
            _ => {}
        }
    }
    for user in changes.users {
        let whole = user.says_whether_enabled();
        if reading.knows_member(&MemberRef::User(user.id.clone())) {
            // Half of somebody who was only named is of no use: he is looked up.
            if whole || user.removed.is_some() || reading.known_user(&user.id).is_some() {
                put_user(reading, user, selection, &mut applied);
            }
        } else if user.removed.is_none() {
            applied.appeared.push(user.id);
        }
    }
    applied
}

fn put_user(reading: &mut DirectoryReading, wire: UserWire, selection: &Selection, applied: &mut Applied) {
    if !reading.knows_member(&MemberRef::User(wire.id.clone())) {
        applied.appeared.push(wire.id.clone());
    }
    if let Some(removed) = &wire.removed {
        reading.user_gone(&wire.id, removed.gone());
        return;
    }
    let known = reading.known_user(&wire.id);
    // A whole object always says whether the account is enabled; half of one is only of use beside the other half.
    if known.is_none() && !wire.says_whether_enabled() {
        applied.contradiction.get_or_insert_with(|| {
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

#[cfg(test)]
mod tests {
    use entrain_domain::model::{AccountState, Coverage, DirectoryGroupId, DirectorySnapshot, Gone};
    use rand::rngs::StdRng;
    use rand::seq::{IndexedRandom as _, SliceRandom as _};
    use rand::{RngExt as _, SeedableRng as _};
    use serde_json::{Value, json};

    use super::*;

    const PERMUTATIONS: usize = 10_000;

    fn id(n: usize) -> DirectoryUserId {
        DirectoryUserId::parse(format!("u{n}")).unwrap()
    }
    fn gid(n: usize) -> DirectoryGroupId {
        DirectoryGroupId::parse(format!("g{n}")).unwrap()
    }
    fn user(n: usize) -> Value {
        json!({"id": format!("u{n}"), "displayName": format!("User {n}"), "mail": format!("u{n}@example.com"),
            "accountEnabled": true, "userType": "Member"})
    }
    fn link(n: usize) -> Value {
        json!({"@odata.type": "#microsoft.graph.user", "id": format!("u{n}")})
    }
    fn nested(n: usize) -> Value {
        json!({"@odata.type": "#microsoft.graph.group", "id": format!("g{n}")})
    }
    fn gone(mut entry: Value, reason: &str) -> Value {
        entry["@removed"] = json!({"reason": reason});
        entry
    }
    fn slice(group: usize, members: &[Value]) -> Value {
        json!({"id": format!("g{group}"), "displayName": format!("Group {group}"), "members@delta": members})
    }

    /// Twenty people; five groups of some of them, of which one nests another.
    fn stored() -> DirectoryReading {
        let mut reading = DirectoryReading::new();
        for n in 0..20 {
            let wire: UserWire = serde_json::from_value(user(n)).unwrap();
            reading.put_user(wire.into_user(None, &Selection::of(&std::collections::BTreeSet::new())));
        }
        for group in 0..5 {
            reading.put_group(&gid(group), &format!("Group {group}"));
            let mut members: Vec<MemberRef> = (group..group + 8).map(|n| MemberRef::User(id(n))).collect();
            if group == 0 {
                members.push(MemberRef::Group(gid(1)));
            }
            reading.set_members(&gid(group), members);
        }
        reading.remembered()
    }

    fn after(users: &[Value], groups: &[Value]) -> DirectorySnapshot {
        let parse = |entry: &Value| serde_json::from_value(entry.clone()).unwrap();
        let users = users.iter().map(parse).collect();
        let parse = |entry: &Value| serde_json::from_value(entry.clone()).unwrap();
        let groups = groups.iter().map(parse).collect();
        let links =
            Links { users: String::new(), groups: String::new(), issued_at: jiff::Timestamp::UNIX_EPOCH };
        let mut reading = stored();
        let applied = apply(
            &mut reading,
            Changes { users, groups, links },
            &Selection::of(&std::collections::BTreeSet::new()),
        );
        assert_eq!(applied.contradiction, None);
        reading.finish(Coverage::Complete, Coverage::Complete)
    }

    /// Everything that plans rest on, without regard to the order in which it became known.
    fn picture(snapshot: &DirectorySnapshot) -> Vec<String> {
        let mut lines: Vec<String> = snapshot.users().map(|user| format!("{user:?}")).collect();
        for n in 0..40 {
            lines.push(format!("u{n} {:?}", snapshot.gone(&id(n))));
        }
        for group in (0..10).map(gid) {
            let members = snapshot.group(&group).map(|group| {
                let (users, groups) = group.direct().unwrap_or_default();
                let mut ids: Vec<String> = users
                    .iter()
                    .map(|ix| snapshot.user_id_at(*ix).to_string())
                    .chain(groups.iter().map(|ix| snapshot.group_at(*ix).id.to_string()))
                    .collect();
                ids.sort();
                (group.display_name.clone(), ids)
            });
            lines.push(format!("{group} {} {members:?}", snapshot.group_is_gone(&group)));
        }
        lines.sort();
        lines
    }

    /// N-07: what a round says is one thing, in whatever order and however often it is said.
    #[test]
    fn n_07_every_permutation_of_a_round_ends_the_same() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut disabled = user(3);
        disabled["accountEnabled"] = json!(false);
        let mut moved = user(4);
        moved["mail"] = json!("moved@example.com");
        let users = vec![
            disabled,
            moved,
            user(25),
            user(26),
            json!({"id": "u5", "mail": null}),
            gone(json!({"id": "u6"}), "changed"),
            gone(json!({"id": "u7"}), "deleted"),
            gone(json!({"id": "u33"}), "changed"),
            gone(json!({"id": "u34"}), "deleted"),
        ];
        let renamed = json!({"id": "g1", "displayName": "Other name",
            "members@delta": [link(25), gone(link(2), "deleted")]});
        let renamed_slice = json!({"id": "g1", "displayName": "Other name", "members@delta": [link(26)]});
        let groups = vec![
            slice(0, &[link(25), gone(link(1), "deleted"), gone(nested(1), "deleted")]),
            slice(0, &[link(26), gone(link(7), "deleted"), nested(2)]),
            slice(0, &[gone(link(30), "deleted"), link(12)][1..]),
            slice(0, &[]),
            renamed,
            renamed_slice,
            gone(json!({"id": "g3"}), "changed"),
            gone(json!({"id": "g4"}), "deleted"),
            gone(json!({"id": "g8"}), "deleted"),
            slice(6, &[link(1), link(25)]),
        ];
        let expected = picture(&after(&users, &groups));
        for permutation in 0..PERMUTATIONS {
            let (mut users, mut groups) = (users.clone(), groups.clone());
            for _ in 0..random.random_range(0..4) {
                users.push(users.choose(&mut random).unwrap().clone());
                groups.push(groups.choose(&mut random).unwrap().clone());
            }
            users.shuffle(&mut random);
            groups.shuffle(&mut random);
            assert_eq!(picture(&after(&users, &groups)), expected, "seed {seed}, permutation {permutation}");
        }
    }

    /// N-07: of several words on one link the last counts, whatever comes between them; and a round that is told again
    /// changes nothing.
    #[test]
    fn n_07_the_last_word_on_a_link_counts_and_a_replay_changes_nothing() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for permutation in 0..PERMUTATIONS / 10 {
            // For each of some links, a history of comings and goings; histories are interleaved at random.
            let mut histories: Vec<Vec<Value>> = Vec::new();
            let mut expected = std::collections::BTreeMap::new();
            for group in 0..3 {
                for person in 0..8 {
                    let words: Vec<bool> = (0..random.random_range(1..4)).map(|_| random.random()).collect();
                    expected.insert((group, person), *words.last().unwrap());
                    let entries = words.iter().map(|there| {
                        let link = if *there { link(person) } else { gone(link(person), "deleted") };
                        slice(group, &[link])
                    });
                    histories.push(entries.collect());
                }
            }
            let mut groups = Vec::new();
            while !histories.is_empty() {
                let at = random.random_range(0..histories.len());
                groups.push(histories[at].remove(0));
                histories.retain(|history| !history.is_empty());
            }
            let told_twice: Vec<Value> = groups.iter().chain(&groups).cloned().collect();
            for groups in [&groups, &told_twice] {
                let snapshot = after(&[], groups);
                for ((group, person), there) in &expected {
                    let group = snapshot.group(&gid(*group)).unwrap();
                    let (users, _) = group.direct().unwrap();
                    let is = users.iter().any(|ix| *snapshot.user_id_at(*ix) == id(*person));
                    assert_eq!(is, *there, "seed {seed}, permutation {permutation}: u{person}");
                }
            }
        }
    }

    #[test]
    fn a_round_that_says_what_is_known_touches_nothing() {
        let snapshot =
            after(&[user(1), user(2)], &[slice(0, &[link(1), nested(1), gone(link(19), "deleted")])]);
        assert!(snapshot.changes().unwrap().is_empty());
    }

    #[test]
    fn a_soft_deleted_member_stays_one_and_is_back_with_a_plain_entry() {
        let gone = after(&[gone(json!({"id": "u1"}), "changed")], &[]);
        assert_eq!(gone.gone(&id(1)), Some(Gone::SoftDeleted));
        let back = after(&[super::tests::gone(json!({"id": "u1"}), "changed"), user(1)], &[]);
        assert_eq!(back.user(&id(1)).unwrap().account, AccountState::Enabled);
        assert_eq!(picture(&back), picture(&after(&[], &[])));
    }

    #[test]
    fn what_cannot_be_beside_a_stored_picture_is_a_contradiction() {
        for (users, groups, word) in [
            (vec![json!({"id": "u77", "mail": "x@example.com"})], vec![], "u77"),
            (vec![], vec![json!({"id": "g77", "members@delta": [link(1)]})], "g77"),
            (vec![], vec![slice(0, &[gone(link(77), "deleted")])], "g0"),
        ] {
            let users = users.into_iter().map(|entry| serde_json::from_value(entry).unwrap()).collect();
            let groups = groups.into_iter().map(|entry| serde_json::from_value(entry).unwrap()).collect();
            let links =
                Links { users: String::new(), groups: String::new(), issued_at: jiff::Timestamp::UNIX_EPOCH };
            let applied = apply(
                &mut stored(),
                Changes { users, groups, links },
                &Selection::of(&std::collections::BTreeSet::new()),
            );
            assert!(applied.contradiction.is_some_and(|found| found.0.contains(word)), "{word}");
        }
    }
}
