//! When hints become a run: after a short quiet time, or at the latest so long after the first; one run for however many
//! there were. And whether notifications still come when the directory changes. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How patient a connection is with hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So long after the last hint a run begins.
    pub quiet: Duration,
    /// So long after the first one it begins at the latest.
    pub at_most: Duration,
    /// So long after an unannounced change notifications are taken for lost.
    pub loss_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(2),
            at_most: Duration::from_secs(10),
            loss_after: Duration::from_mins(15),
        }
    }
}

/// Hints that wait for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The first came.
    pub first_at: Timestamp,
    /// The last came.
    pub last_at: Timestamp,
    /// How many there were.
    pub count: u64,
}

/// What is known of a connection's notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hints {
    /// Those that no run has answered.
    pub waiting: Option<Waiting>,
    /// The last notification.
    pub heard_at: Option<Timestamp>,
    /// The schedule found changes of which no notification has told since.
    pub unannounced_since: Option<Timestamp>,
    /// The directory last said that notifications were not delivered.
    pub missed_at: Option<Timestamp>,
    /// The last run began to read.
    pub read_at: Option<Timestamp>,
}

/// A clock that jumped makes nobody wait longer than this.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);
/// For how long people are told that notifications were not delivered.
const MISSED_TOLD: Duration = Duration::from_hours(24);

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

/// Where a hint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A notification.
    Notification,
    /// Ourselves: a subscription is new, was silent, or is no more.
    Upkeep,
}

impl Hints {
    /// Takes in hints.
    pub fn hear(&mut self, new: Waiting, source: Source) {
        self.waiting = Some(self.waiting.map_or(new, |old| Waiting {
            first_at: old.first_at.min(new.first_at),
            last_at: old.last_at.max(new.last_at),
            count: old.count.saturating_add(new.count),
        }));
        if source == Source::Notification {
            self.heard_at = self.heard_at.max(Some(new.last_at));
            self.unannounced_since = None;
        }
    }

    /// Whether a run is to begin now.
    pub fn due(&self, patience: &Patience, now: Timestamp) -> bool {
        self.waiting.is_some_and(|waiting| {
            let since = |at: Timestamp| now.duration_since(at);
            since(waiting.last_at) >= signed(patience.quiet)
                || since(waiting.first_at) >= signed(patience.at_most)
                || since(waiting.last_at) < -signed(CLOCK_TOLERANCE)
        })
    }

    /// Takes the hints for a run.
    pub fn take(&mut self) -> Option<Waiting> {
        self.waiting.take()
    }

    /// Takes in that a run read the directory: by the schedule, and it found changes, or not.
    pub fn polled(&mut self, began: Timestamp, found: Found, subscribed: Subscribed) {
        let untold = |heard: Option<Timestamp>| match (heard, self.read_at) {
            (None, _) => true,
            (Some(heard), Some(read)) => heard < read,
            (Some(_), None) => false,
        };
        // A notification that came since the last read may well have told of them
        if found == Found::Changes && subscribed == Subscribed::Throughout && untold(self.heard_at) {
            self.unannounced_since.get_or_insert(began);
        }
        if subscribed == Subscribed::No {
            self.unannounced_since = None;
        }
        self.read_at = Some(began);
    }

    /// Since when notifications are taken for lost, if they are.
    pub fn lost(&self, patience: &Patience, now: Timestamp) -> Option<Timestamp> {
        self.unannounced_since.filter(|since| now.duration_since(*since) >= signed(patience.loss_after))
    }

    /// When notifications were said not to have been delivered, if that was lately.
    pub fn missed(&self, now: Timestamp) -> Option<Timestamp> {
        self.missed_at.filter(|at| now.duration_since(*at) < signed(MISSED_TOLD))
    }
}

/// What a run found in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Something had changed.
    Changes,
    /// Nothing, or it is not known because everything was read.
    Nothing,
}

/// Whether both kinds of changes were subscribed to since the run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// They were.
    Throughout,
    /// For a part of the time, or only to one kind.
    Partly,
    /// Nobody wants notifications.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn one(second: i64) -> Waiting {
        Waiting { first_at: at(second), last_at: at(second), count: 1 }
    }

    fn due(hints: &Hints, second: i64) -> bool {
        hints.due(&Patience::default(), at(second))
    }

    #[test]
    fn w_06_a_burst_becomes_one_run_after_a_quiet_time() {
        let mut hints = Hints::default();
        assert!(!due(&hints, 0));
        hints.hear(one(0), Source::Notification);
        assert!(!due(&hints, 1));
        hints.hear(one(1), Source::Notification);
        assert!(!due(&hints, 2) && due(&hints, 3));
        let taken = hints.take().unwrap();
        assert_eq!((taken.first_at, taken.last_at, taken.count), (at(0), at(1), 2));
        assert!(!due(&hints, 100));
    }

    #[test]
    fn w_06_hints_without_end_do_not_put_a_run_off_for_ever() {
        let mut hints = Hints::default();
        let begins = (0..100).find(|second| {
            hints.hear(one(*second), Source::Notification);
            due(&hints, *second)
        });
        assert_eq!(begins, Some(10));
    }

    #[test]
    fn w_06_hints_out_of_order_are_the_same_hints() {
        let (mut forward, mut backward) = (Hints::default(), Hints::default());
        for second in [0, 3, 5] {
            forward.hear(one(second), Source::Notification);
        }
        for second in [5, 0, 3] {
            backward.hear(one(second), Source::Notification);
        }
        assert_eq!(forward, backward);
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_hold_hints_for_ever() {
        let mut hints = Hints::default();
        hints.hear(one(100_000), Source::Notification);
        assert!(due(&hints, 0));
    }

    #[test]
    fn changes_that_nobody_announced_mean_a_loss_after_a_while() {
        let patience = Patience::default();
        let mut hints = Hints::default();
        hints.polled(at(0), Found::Nothing, Subscribed::Throughout);
        hints.polled(at(900), Found::Changes, Subscribed::Throughout);
        assert_eq!(hints.lost(&patience, at(901)), None, "the notification may be on its way");
        assert_eq!(hints.lost(&patience, at(1800)), Some(at(900)));
        hints.hear(one(1900), Source::Notification);
        assert_eq!(hints.lost(&patience, at(9000)), None);
    }

    #[test]
    fn changes_that_were_announced_or_could_not_be_are_no_loss() {
        let patience = Patience::default();
        let mut hints = Hints::default();
        hints.polled(at(0), Found::Nothing, Subscribed::Throughout);
        hints.hear(one(100), Source::Notification);
        hints.polled(at(900), Found::Changes, Subscribed::Throughout);
        assert_eq!(hints.lost(&patience, at(9000)), None, "it was told at 100");
        hints.polled(at(1800), Found::Changes, Subscribed::Partly);
        assert_eq!(hints.lost(&patience, at(9000)), None);
        hints.polled(at(2700), Found::Changes, Subscribed::Throughout);
        assert_eq!(hints.lost(&patience, at(9000)), Some(at(2700)));
        hints.polled(at(3600), Found::Nothing, Subscribed::No);
        assert_eq!(hints.lost(&patience, at(9000)), None);
    }

    #[test]
    fn our_own_hints_say_nothing_of_the_directory() {
        let mut hints = Hints::default();
        hints.polled(at(0), Found::Changes, Subscribed::Throughout);
        hints.hear(one(1), Source::Upkeep);
        assert_eq!(hints.lost(&Patience::default(), at(9000)), Some(at(0)));
        assert_eq!(hints.heard_at, None);
    }
}
