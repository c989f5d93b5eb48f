//! What readers see whose view is behind: new accounts and groups are not there yet, recent membership changes have not
//! happened yet.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Atlassian;

/// Changes that are kept; the oldest go first.
const KEPT: usize = 50_000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MembershipChange {
    group_id: String,
    account_id: String,
    at: Timestamp,
    added: bool,
}

/// The instant as of which a reader `lag_ms` behind sees the world; none when the reader is not behind.
pub(crate) fn seen(now: Timestamp, lag_ms: u64) -> Option<Timestamp> {
    let lag = SignedDuration::from_millis(i64::try_from(lag_ms).ok().filter(|ms| *ms > 0)?);
    now.checked_sub(lag).ok()
}

impl Atlassian {
    pub(super) fn record(&mut self, group_id: &str, account_id: &str, at: Timestamp, added: bool) {
        if self.changes.len() >= KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(MembershipChange {
            group_id: group_id.to_owned(),
            account_id: account_id.to_owned(),
            at,
            added,
        });
    }

    /// Whether an account or group had come into being at `seen`.
    pub(crate) fn known_at(&self, id: &str, seen: Option<Timestamp>) -> bool {
        seen.is_none_or(|seen| self.births.get(id).is_none_or(|born| *born <= seen))
    }

    /// Whether somebody was a member of a group at `seen`.
    pub(crate) fn member_at(&self, group_id: &str, account_id: &str, seen: Option<Timestamp>) -> bool {
        let now = self.groups.get(group_id).is_some_and(|g| g.members.contains(account_id));
        let Some(seen) = seen else { return now };
        self.changes
            .iter()
            .rev()
            .take_while(|change| change.at > seen)
            .filter(|change| change.group_id == group_id && change.account_id == account_id)
            .last()
            .map_or(now, |first| !first.added)
    }

    /// The members of a group as they were at `seen`.
    pub(crate) fn members_at(&self, group_id: &str, seen: Option<Timestamp>) -> Cow<'_, BTreeSet<String>> {
        let Some(group) = self.groups.get(group_id) else { return Cow::Owned(BTreeSet::new()) };
        let mut members = Cow::Borrowed(&group.members);
        let Some(seen) = seen else { return members };
        for change in self.changes.iter().rev().take_while(|change| change.at > seen) {
            if change.group_id != group_id {
                continue;
            }
            if change.added {
                members.to_mut().remove(&change.account_id);
            } else {
                members.to_mut().insert(change.account_id.clone());
            }
        }
        members
    }

    /// The ids of the groups of an account as they were at `seen`, those that still exist.
    pub(crate) fn group_ids_at(&self, account_id: &str, seen: Option<Timestamp>) -> BTreeSet<String> {
        let mut ids: BTreeSet<String> = self.groups_of(account_id).map(|g| g.group_id.clone()).collect();
        let Some(seen) = seen else { return ids };
        for change in self.changes.iter().rev().take_while(|change| change.at > seen) {
            if change.account_id != account_id {
                continue;
            }
            if change.added {
                ids.remove(&change.group_id);
            } else if self.groups.contains_key(&change.group_id) {
                ids.insert(change.group_id.clone());
            }
        }
        ids
    }
}
