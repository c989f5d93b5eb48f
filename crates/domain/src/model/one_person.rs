//! One person as the directory tells of them, and the snapshot that a plan for this person rests on: who they are, every
//! group they are in, and what is remembered of how groups nest.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use super::assignments::Assignments;
use super::directory::{DirectoryReading, DirectorySnapshot, DirectoryUser, Gone, MemberRef, Peopled};
use super::ids::{DirectoryGroupId, DirectoryUserId};
use super::site::SiteGroup;

/// By what a person is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PersonKey {
    /// The object id.
    Id(DirectoryUserId),
    /// A user principal name, or an address.
    Name(String),
}

/// What the directory says of one person, read to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonReading {
    /// The person is there.
    Found(Box<PersonFound>),
    /// The directory has the object in its recycle bin.
    Gone(DirectoryUserId),
    /// The directory answers that there is no such object, and has none in its recycle bin. That proves nothing: the copy
    /// that was asked may not have the object yet (microsoft-graph.md, errors, 404).
    Missing(DirectoryUserId),
    /// Nobody bears the name.
    Unknown,
    /// Several people have the address.
    Several(Vec<DirectoryUserId>),
}

/// A person with every group they are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonFound {
    /// The record.
    pub user: DirectoryUser,
    /// Groups of which they are a direct member.
    pub direct: Vec<DirectoryGroupId>,
    /// All groups they are in, directly or through nesting, with their names.
    pub groups: Vec<(DirectoryGroupId, Arc<str>)>,
}

/// A group of the directory, looked at by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSeen {
    /// It is there.
    There(Peopled),
    /// The directory does not have it any more.
    Gone,
}

/// A group as it is remembered, without the people in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGroup {
    /// Object id.
    pub id: DirectoryGroupId,
    /// Name.
    pub name: Arc<str>,
    /// Groups directly nested in it, as far as its members were read.
    pub nested: Vec<DirectoryGroupId>,
}

/// Groups of both sides as they are remembered, without people.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    /// Of the directory.
    pub directory: Vec<KnownGroup>,
    /// Of the site.
    pub site: Vec<SiteGroup>,
}

/// Whether somebody is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A member.
    In,
    /// No member.
    Out,
}

/// The snapshot of one person: what the directory just said goes before what is remembered. Of remembered nesting only
/// what leads from one of the person's groups to another is taken; where none does, the group that holds the person
/// directly is taken for the one that brings them.
pub fn snapshot_of_one<S: BuildHasher>(
    known: &[KnownGroup],
    person: &DirectoryUserId,
    found: Option<&PersonFound>,
    seen: &HashMap<DirectoryGroupId, GroupSeen, S>,
    assignments: Option<&Assignments>,
) -> DirectorySnapshot {
    let mut reading = DirectoryReading::new();
    // An assignment that is remembered lets the person take part. That there is none proves nothing, so then nothing is
    // said: they are left to a run that lists them.
    let direct_in = |group: &DirectoryGroupId| found.is_some_and(|found| found.direct.contains(group));
    if let Some(list) = assignments
        && (list.users().contains(person) || list.groups().iter().any(direct_in))
    {
        reading.set_assignments(list.clone());
    }
    let (direct, all): (HashSet<&DirectoryGroupId>, HashMap<&DirectoryGroupId, &Arc<str>>) = match found {
        Some(found) => {
            (found.direct.iter().collect(), found.groups.iter().map(|(id, name)| (id, name)).collect())
        }
        None => (HashSet::new(), HashMap::new()),
    };
    match found {
        Some(found) => reading.put_user(found.user.clone()),
        None => reading.user_gone(person, Gone::SoftDeleted),
    }
    for group in known {
        if seen.get(&group.id) == Some(&GroupSeen::Gone) {
            reading.group_gone(&group.id);
            continue;
        }
        let name = all.get(&group.id).map_or(&group.name, |name| *name);
        reading.put_group(&group.id, name);
    }
    for (id, name) in &all {
        reading.put_group(id, name);
    }
    let nesting: HashMap<&DirectoryGroupId, Vec<&DirectoryGroupId>> = known
        .iter()
        .filter(|group| all.contains_key(&group.id))
        .map(|group| (&group.id, group.nested.iter().filter(|nested| all.contains_key(nested)).collect()))
        .collect();
    let none = Vec::new();
    let below = |group: &DirectoryGroupId| nesting.get(group).unwrap_or(&none);
    // Which of the person's groups are explained by what is remembered: the direct ones, and what nests them.
    let mut above: HashMap<&DirectoryGroupId, Vec<&DirectoryGroupId>> = HashMap::new();
    for (group, nested) in &nesting {
        for below in nested {
            above.entry(below).or_default().push(group);
        }
    }
    let mut reached: HashSet<&DirectoryGroupId> = direct.clone();
    let mut queue: Vec<&DirectoryGroupId> = direct.iter().copied().collect();
    while let Some(group) = queue.pop() {
        for above in above.get(group).into_iter().flatten() {
            if reached.insert(above) {
                queue.push(above);
            }
        }
    }
    let mut holder: Option<&DirectoryGroupId> = None;
    for id in &direct {
        holder = Some(holder.map_or(*id, |held| held.min(*id)));
    }
    let listed: Vec<DirectoryGroupId> = reading.groups().map(|(id, _)| id.clone()).collect();
    for id in &listed {
        let mut members: Vec<MemberRef> = Vec::new();
        if direct.contains(id) {
            members.push(MemberRef::User(person.clone()));
        }
        if all.contains_key(id) {
            members.extend(below(id).iter().map(|nested| MemberRef::Group((*nested).clone())));
            if !reached.contains(id)
                && let Some(holder) = holder
            {
                members.push(MemberRef::Group(holder.clone()));
            }
        }
        reading.set_members(id, members);
    }
    let mut vouched: HashMap<DirectoryGroupId, Peopled> = HashMap::new();
    for (id, seen) in seen {
        if let GroupSeen::There(peopled) = seen {
            vouched.insert(id.clone(), *peopled);
        }
    }
    for id in all.keys() {
        vouched.insert((*id).clone(), Peopled::Yes);
    }
    reading.finish_about(person.clone(), vouched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountState, Attributes, Closure, Nesting, UserKind};

    fn gid(n: u32) -> DirectoryGroupId {
        DirectoryGroupId::parse(format!("g{n}")).unwrap()
    }
    fn person() -> DirectoryUserId {
        DirectoryUserId::parse("u1").unwrap()
    }
    fn known(n: u32, nested: &[u32]) -> KnownGroup {
        KnownGroup {
            id: gid(n),
            name: format!("G{n}").into(),
            nested: nested.iter().map(|n| gid(*n)).collect(),
        }
    }
    fn found(direct: &[u32], all: &[u32]) -> PersonFound {
        PersonFound {
            user: DirectoryUser {
                id: person(),
                display_name: Some("Ana".into()),
                mail: None,
                user_principal_name: None,
                other_mail: None,
                account: AccountState::Enabled,
                kind: UserKind::Member,
                attributes: Attributes::NONE,
            },
            direct: direct.iter().map(|n| gid(*n)).collect(),
            groups: all.iter().map(|n| (gid(*n), format!("G{n}").into())).collect(),
        }
    }
    fn path(snapshot: &DirectorySnapshot, group: u32, nesting: Nesting) -> Option<String> {
        let Closure::Complete(closure) = snapshot.closure(&gid(group), nesting) else { panic!("unknown") };
        let path = closure.path(snapshot, snapshot.user_ix(&person()).unwrap())?;
        Some(path.join(" › "))
    }

    #[test]
    fn memberships_are_what_the_directory_says_and_paths_are_as_remembered() {
        // Remembered: 1 nests 2, 2 nests 3, 4 nests 3. Now: 4 nests 3 no more, 5 is new and nests 2.
        let groups = [known(1, &[2]), known(2, &[3]), known(3, &[]), known(4, &[3])];
        let snapshot =
            snapshot_of_one(&groups, &person(), Some(&found(&[3], &[1, 2, 3, 5])), &HashMap::new(), None);
        let at = |group| path(&snapshot, group, Nesting::Flatten);
        assert_eq!(at(1).as_deref(), Some("G1 › G2 › G3"));
        assert_eq!(at(3).as_deref(), Some("G3"));
        assert_eq!(at(4), None, "the directory says that the person is not in it");
        assert_eq!(at(5).as_deref(), Some("G5 › G3"), "how is not remembered");
        assert_eq!(path(&snapshot, 1, Nesting::Direct), None, "no direct member");
        assert_eq!(path(&snapshot, 5, Nesting::Direct), None, "no direct member");
    }

    #[test]
    fn absence_needs_the_group_to_be_there() {
        let groups = [known(1, &[]), known(2, &[]), known(3, &[])];
        let seen = HashMap::from([(gid(1), GroupSeen::There(Peopled::Yes)), (gid(2), GroupSeen::Gone)]);
        let snapshot = snapshot_of_one(&groups, &person(), Some(&found(&[], &[])), &seen, None);
        let proof = |group: u32| match snapshot.closure(&gid(group), Nesting::Flatten) {
            Closure::Complete(closure) => closure.absence(&snapshot, &person()),
            Closure::Unknown(_) => None,
        };
        assert!(proof(1).is_some());
        assert!(proof(2).is_none(), "deleted");
        assert!(proof(3).is_none(), "not looked at");
    }
}
