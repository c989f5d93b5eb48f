//! How fresh the site is: from "changed in the directory" to "done on the site", one number for each change. When a change
//! was made the directory does not say; the first notification that announced it, or else the read before, is the earliest
//! that is known, so the numbers are upper bounds.

use entrain_domain::run::{JournalEntry, Outcome};
use jiff::Timestamp;
use serde::Serialize;

/// How the time of changes is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// A notification announced them.
    Notification,
    /// They were made after the read before.
    Poll,
}

impl KnownBy {
    /// The word stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Poll => "poll",
        }
    }
}

/// Median and 95th percentile of some changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many there were.
    pub changes: usize,
    /// Half of them took no longer, in milliseconds.
    pub median_ms: u64,
    /// 95 in a hundred took no longer, in milliseconds.
    pub p95_ms: u64,
}

/// Milliseconds from `known_at` to the end of each step that was done.
pub fn waits(journal: &[JournalEntry], known_at: Timestamp) -> Vec<u64> {
    let done = journal.iter().filter(|entry| entry.outcome == Outcome::Done);
    done.map(|entry| {
        let wait = entry.at.as_millisecond() - known_at.as_millisecond();
        u64::try_from(wait).unwrap_or(0)
    })
    .collect()
}

/// The spread of some changes, or `None` of none.
pub fn spread(mut waits: Vec<u64>) -> Option<Spread> {
    waits.sort_unstable();
    // The nearest rank: the smallest value that at least so many do not exceed
    let rank = |percent: usize| waits.get((waits.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Spread { changes: waits.len(), median_ms: rank(50)?, p95_ms: rank(95)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_by_nearest_rank() {
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(spread(vec![7]), Some(Spread { changes: 1, median_ms: 7, p95_ms: 7 }));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(spread(hundred), Some(Spread { changes: 100, median_ms: 50, p95_ms: 95 }));
        let twenty: Vec<u64> = (1..=20).collect();
        assert_eq!(spread(twenty), Some(Spread { changes: 20, median_ms: 10, p95_ms: 19 }));
    }
}
