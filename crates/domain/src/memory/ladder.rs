//! Who is on the leaver ladder: since when, why, which rungs were passed and by whose hand, and what they had.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{MemoryChange, Origin};
use crate::model::{AccountId, DirectoryUserId, Leaving, SiteGroupId};
use crate::policy::{Leavers, Measure};

/// A group that somebody was in through Entrain when they left.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FormerGroup {
    /// The site group.
    pub id: SiteGroupId,
    /// Its name then.
    pub name: Arc<str>,
}

/// By whose hand a rung was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// Entrain's: it takes it back on a return.
    Entrain,
    /// Somebody else's, or it could not be taken: it is left alone on a return.
    Other,
}

impl Hand {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entrain => "entrain",
            Self::Other => "other",
        }
    }
    /// The hand stored under a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Entrain, Self::Other].into_iter().find(|hand| hand.as_str() == word)
    }
}

/// A rung that is behind somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// By whose hand.
    pub hand: Hand,
    /// When.
    pub at: Timestamp,
}

/// A person on the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnLadder {
    /// The directory user.
    pub user: DirectoryUserId,
    /// The account.
    pub account: AccountId,
    /// The name, for people: the directory may not know the person any more.
    pub name: Arc<str>,
    /// How the account came to be known.
    pub origin: Origin,
    /// How they have left.
    pub leaving: Leaving,
    /// Since when that is known; delays count from here.
    pub since: Timestamp,
    /// The managed groups they were in.
    pub groups: Vec<FormerGroup>,
    /// The rungs above the groups that are behind them.
    pub passed: BTreeMap<Measure, Passed>,
}

/// What leads back from a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WayBack {
    /// A deactivated account is activated.
    Reactivate,
    /// Suspended access is restored.
    Restore,
    /// A removed person is invited.
    Invite,
}

impl OnLadder {
    /// The highest rung behind them; `None` when it is the groups.
    pub fn reached(&self) -> Option<Measure> {
        self.passed.keys().next_back().copied()
    }

    /// Whether Entrain took this rung.
    pub fn took(&self, measure: Measure) -> bool {
        self.passed.get(&measure).is_some_and(|passed| passed.hand == Hand::Entrain)
    }

    /// When each rung still ahead is due, in the order of the ladder; nothing where the rules leave the account alone.
    pub fn ahead(&self, rules: &Leavers) -> Vec<(Measure, Timestamp)> {
        if !rules.takes(self.origin) {
            return Vec::new();
        }
        let delays = rules.delays(self.leaving);
        let behind = self.reached();
        Measure::ALL
            .into_iter()
            .filter(|measure| behind.is_none_or(|reached| *measure > reached))
            .filter_map(|measure| Some((measure, later(self.since, delays.of(measure)?))))
            .collect()
    }

    /// The rungs that are due now. A suspension is not worth taking when the removal is due as well.
    pub fn due(&self, rules: &Leavers, now: Timestamp) -> Vec<Measure> {
        let mut due: Vec<Measure> =
            self.ahead(rules).into_iter().filter(|(_, at)| *at <= now).map(|(measure, _)| measure).collect();
        if due.contains(&Measure::Remove) {
            due.retain(|measure| *measure != Measure::Suspend);
        }
        due
    }

    /// What leads back from the rungs that Entrain took, in the order in which it has to be done.
    pub fn ways_back(&self) -> Vec<WayBack> {
        let mut ways = Vec::new();
        if self.took(Measure::Deactivate) {
            ways.push(WayBack::Reactivate);
        }
        // Whoever was removed has nothing left that could be restored
        if self.took(Measure::Remove) {
            ways.push(WayBack::Invite);
        } else if self.took(Measure::Suspend) {
            ways.push(WayBack::Restore);
        }
        ways
    }
}

impl OnLadder {
    /// What becomes known when a way back was gone to its end: after the last of them nothing is left of the ladder.
    pub fn after(&self, way: WayBack) -> Vec<MemoryChange> {
        let user = self.user.clone();
        if self.ways_back().last().is_none_or(|last| *last == way) {
            return vec![MemoryChange::LeaveLadder { user }];
        }
        let measure = match way {
            WayBack::Reactivate => Measure::Deactivate,
            WayBack::Restore => Measure::Suspend,
            WayBack::Invite => Measure::Remove,
        };
        vec![MemoryChange::StepBack { user, measure }]
    }
}

/// A moment so much later; at the end of time when there is none.
fn later(since: Timestamp, delay: Duration) -> Timestamp {
    SignedDuration::try_from(delay)
        .ok()
        .and_then(|delay| since.checked_add(delay).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The ladder of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Ladder(BTreeMap<DirectoryUserId, OnLadder>);

impl Ladder {
    pub(super) fn enter(&mut self, entry: &OnLadder) {
        let passed = self.0.remove(&entry.user).map(|known| known.passed).unwrap_or_default();
        let mut entry = entry.clone();
        for (measure, known) in passed {
            entry.passed.entry(measure).or_insert(known);
        }
        self.0.insert(entry.user.clone(), entry);
    }

    pub(super) fn pass(&mut self, user: &DirectoryUserId, measure: Measure, passed: Passed) {
        if let Some(entry) = self.0.get_mut(user) {
            entry.passed.insert(measure, passed);
        }
    }

    pub(super) fn step_back(&mut self, user: &DirectoryUserId, measure: Measure) {
        if let Some(entry) = self.0.get_mut(user) {
            entry.passed.remove(&measure);
        }
    }

    pub(super) fn leave(&mut self, user: &DirectoryUserId) {
        self.0.remove(user);
    }

    pub(super) fn get(&self, user: &DirectoryUserId) -> Option<&OnLadder> {
        self.0.get(user)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &OnLadder> {
        self.0.values()
    }
}
