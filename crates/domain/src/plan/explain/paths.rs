//! The ways from a group down to somebody. A plan keeps one shortest way; an explanation shows the others too, because
//! whoever wants a person out of a group has to close all of them.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::model::{DirectoryGroup, DirectoryGroupId, DirectorySnapshot, DirectoryUserId, Nesting};

/// Most ways shown for one group and person; the shortest ones are among them.
pub const MOST_PATHS: usize = 10;

/// Beginnings of ways that are followed at most, so that a thicket of groups cannot take forever.
const MOST_STEPS: usize = 20_000;

/// The groups through which one person is reached.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    directory: &'a DirectorySnapshot,
    /// Groups that hold the person directly.
    holders: HashSet<&'a DirectoryGroupId>,
    /// Groups below which the person is found, holders included, each with its nested groups that are such too.
    down: HashMap<&'a DirectoryGroupId, Vec<&'a DirectoryGroup>>,
}

impl<'a> Ways<'a> {
    /// Linear in the links of the directory.
    pub(super) fn to(directory: &'a DirectorySnapshot, user: &DirectoryUserId) -> Self {
        let mut ways = Self { directory, holders: HashSet::new(), down: HashMap::new() };
        let Some(user) = directory.user_ix(user) else { return ways };
        let mut above: HashMap<&DirectoryGroupId, Vec<&DirectoryGroup>> = HashMap::new();
        let mut queue = VecDeque::new();
        for group in directory.groups() {
            let Some((users, nested)) = group.direct() else { continue };
            for ix in nested {
                above.entry(&directory.group_at(*ix).id).or_default().push(group);
            }
            if users.binary_search(&user).is_ok() {
                ways.holders.insert(&group.id);
                ways.down.entry(&group.id).or_default();
                queue.push_back(group);
            }
        }
        while let Some(group) = queue.pop_front() {
            for outer in above.get(&group.id).into_iter().flatten() {
                if !ways.down.contains_key(&outer.id) {
                    queue.push_back(outer);
                }
                ways.down.entry(&outer.id).or_default().push(group);
            }
        }
        for nested in ways.down.values_mut() {
            nested.sort_by(|a, b| (&a.display_name, &a.id).cmp(&(&b.display_name, &b.id)));
            nested.dedup_by(|a, b| a.id == b.id);
        }
        ways
    }

    /// Whether the person belongs to the group.
    pub(super) fn lead_from(&self, group: &DirectoryGroupId, nesting: Nesting) -> bool {
        match nesting {
            Nesting::Flatten => self.down.contains_key(group),
            Nesting::Direct => self.holders.contains(group),
        }
    }

    /// Every group that the person is in, directly or through nesting, by name.
    pub(super) fn groups(&self) -> Vec<&'a DirectoryGroup> {
        let mut groups: Vec<_> = self.down.keys().filter_map(|id| self.directory.group(id)).collect();
        groups.sort_by(|a, b| (&a.display_name, &a.id).cmp(&(&b.display_name, &b.id)));
        groups
    }

    /// The names along each way from the group down to one that holds the person, the shortest first. No way passes a
    /// group twice, so cycles end.
    /// Where nested groups do not count, only the group itself is a way.
    pub(super) fn from(&self, group: &DirectoryGroupId, nesting: Nesting) -> Vec<Vec<Arc<str>>> {
        let Some(root) = self.directory.group(group).filter(|_| self.lead_from(group, nesting)) else {
            return Vec::new();
        };
        let mut found: BTreeSet<(usize, Vec<Arc<str>>)> = BTreeSet::new();
        let mut queue = VecDeque::from([vec![root]]);
        let mut steps = 0;
        while let Some(way) = queue.pop_front() {
            let longest = found.last().map_or(usize::MAX, |(length, _)| *length);
            if steps >= MOST_STEPS || (found.len() >= MOST_PATHS && way.len() > longest) {
                break;
            }
            steps += 1;
            let Some(last) = way.last().copied() else { continue };
            if self.holders.contains(&last.id) {
                found.insert((way.len(), way.iter().map(|g| g.display_name.clone()).collect()));
            }
            if nesting == Nesting::Direct {
                break;
            }
            for next in self.down.get(&last.id).into_iter().flatten() {
                if way.iter().all(|passed| passed.id != next.id) {
                    let mut longer = way.clone();
                    longer.push(next);
                    queue.push_back(longer);
                }
            }
        }
        found.into_iter().take(MOST_PATHS).map(|(_, way)| way).collect()
    }
}
