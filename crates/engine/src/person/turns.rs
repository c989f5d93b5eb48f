//! Whose turn it is: a budget for the syncs of persons, so that no flood at a door starves scheduled runs or burns the
//! clouds' limits (quality.md W-11).
//!
//! One sync of a person at a time, others join it; for a while after it the same answer is given again. Somebody whom
//! the directory does not know costs one look and is then remembered. Over all of them there is a bucket of so many a
//! minute; whoever comes when it is empty is told when to come again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::{Access, NotEntitled, PersonOutcome};

/// How much is let through.
#[derive(Debug, Clone, Copy)]
pub struct TurnsOptions {
    /// Syncs of persons in a minute, over all connections; so many may also come at once.
    pub per_minute: u32,
    /// For how long the answer for a person is given again.
    pub again_after: SignedDuration,
    /// The same for somebody whom the directory does not know.
    pub unknown_for: SignedDuration,
    /// People remembered at once; beyond that the oldest answers are forgotten.
    pub remembered: usize,
}

impl Default for TurnsOptions {
    fn default() -> Self {
        Self {
            per_minute: 300,
            again_after: SignedDuration::from_secs(10),
            unknown_for: SignedDuration::from_secs(60),
            remembered: 20_000,
        }
    }
}

/// What somebody who comes is told.
#[derive(Debug)]
pub enum Turn {
    /// To sync, and to say what came of it.
    Go(Ticket),
    /// That a sync of the same person is under way; its outcome comes here, or the channel closes without one.
    Join(watch::Receiver<Option<PersonOutcome>>),
    /// What the last sync came to.
    Remembered(PersonOutcome),
    /// To come again from this instant on.
    Later(Timestamp),
}

type Key = (String, String);

/// A turn, in nanoseconds of a minute's budget of one: nothing is rounded, however often it is counted.
const TURN: i128 = 60_000_000_000;

#[derive(Debug)]
enum Entry {
    UnderWay(watch::Receiver<Option<PersonOutcome>>),
    Done { until: Timestamp, outcome: PersonOutcome },
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// What is left, of which a turn takes `TURN`, and when that was counted.
    left: i128,
    counted_at: Option<Timestamp>,
}

/// The budget of all persons' syncs of a process.
#[derive(Debug, Clone)]
pub struct Turns {
    options: TurnsOptions,
    state: Arc<Mutex<State>>,
}

impl Turns {
    /// A full budget.
    pub fn new(options: TurnsOptions) -> Self {
        Self { options, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody comes for a person of a connection.
    pub fn take(&self, connection: &str, who: &str, now: Timestamp) -> Turn {
        let key: Key = (connection.to_owned(), who.trim().to_lowercase());
        let mut state = self.state();
        match state.entries.get(&key) {
            Some(Entry::UnderWay(outcome)) => return Turn::Join(outcome.clone()),
            Some(Entry::Done { until, outcome }) if now < *until => {
                return Turn::Remembered(outcome.clone());
            }
            Some(Entry::Done { .. }) | None => {}
        }
        if let Err(at) = state.spend(self.options.per_minute, now) {
            return Turn::Later(at);
        }
        if state.entries.len() >= self.options.remembered {
            state.forget(now, self.options.remembered / 2);
        }
        let (outcome, receiver) = watch::channel(None);
        state.entries.insert(key.clone(), Entry::UnderWay(receiver));
        Turn::Go(Ticket { turns: self.clone(), key, outcome })
    }
}

impl State {
    /// One turn, or when there is one again.
    fn spend(&mut self, per_minute: u32, now: Timestamp) -> Result<(), Timestamp> {
        let per_minute = i128::from(per_minute.max(1));
        let full = per_minute * TURN;
        // A clock that was set back gives nothing.
        let passed = self.counted_at.map_or(i128::MAX, |at| now.duration_since(at).as_nanos().max(0));
        self.left = passed.saturating_mul(per_minute).saturating_add(self.left).min(full);
        self.counted_at = Some(now);
        if self.left >= TURN {
            self.left -= TURN;
            return Ok(());
        }
        let wait = (TURN - self.left) / per_minute / 1_000_000 + 1;
        let wait = SignedDuration::from_millis(i64::try_from(wait).unwrap_or(60_000));
        Err(now.checked_add(wait).unwrap_or(Timestamp::MAX))
    }

    /// Forgets what is over, then the answers that are over soonest, until so many are left.
    fn forget(&mut self, now: Timestamp, left: usize) {
        self.entries.retain(|_, entry| match entry {
            Entry::UnderWay(_) => true,
            Entry::Done { until, .. } => now < *until,
        });
        let mut ends: Vec<(Timestamp, Key)> = self
            .entries
            .iter()
            .filter_map(|(key, entry)| match entry {
                Entry::Done { until, .. } => Some((*until, key.clone())),
                Entry::UnderWay(_) => None,
            })
            .collect();
        ends.sort_unstable();
        for (_, key) in ends {
            if self.entries.len() <= left {
                break;
            }
            self.entries.remove(&key);
        }
    }
}

/// The right to sync a person, for one caller.
#[derive(Debug)]
pub struct Ticket {
    turns: Turns,
    key: Key,
    outcome: watch::Sender<Option<PersonOutcome>>,
}

impl Ticket {
    /// Says what it came to; everybody who joined hears it, and whoever comes soon.
    pub fn done(&self, outcome: &PersonOutcome, now: Timestamp) {
        let options = &self.turns.options;
        let lasts = match &outcome.access {
            Access::NotEntitled(NotEntitled::Unknown) => options.unknown_for,
            _ => options.again_after,
        };
        let until = now.checked_add(lasts).unwrap_or(Timestamp::MAX);
        let entry = Entry::Done { until, outcome: outcome.clone() };
        self.turns.state().entries.insert(self.key.clone(), entry);
        self.outcome.send_replace(Some(outcome.clone()));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        // A sync that ended without an outcome is forgotten: the next one tries.
        if matches!(state.entries.get(&self.key), Some(Entry::UnderWay(_))) {
            state.entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::unknown_person;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }
    fn outcome(access: Access) -> PersonOutcome {
        PersonOutcome { run: None, user: None, name: None, access }
    }
    fn unknown() -> PersonOutcome {
        outcome(Access::NotEntitled(NotEntitled::Unknown))
    }
    fn turns(per_minute: u32) -> Turns {
        Turns::new(TurnsOptions { per_minute, ..TurnsOptions::default() })
    }

    #[tokio::test]
    async fn w_11_a_second_sync_joins_the_first_and_soon_after_gets_its_answer() {
        let turns = turns(60);
        let Turn::Go(ticket) = turns.take("c", "Ana@Example.com", at(0)) else { panic!("the first goes") };
        let Turn::Join(mut joined) = turns.take("c", "ana@example.com", at(1)) else {
            panic!("the second joins")
        };
        assert!(matches!(turns.take("other", "ana@example.com", at(1)), Turn::Go(_)), "another connection");
        let held = outcome(Access::Held(Vec::new()));
        ticket.done(&held, at(2));
        drop(ticket);
        let heard = joined.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(heard, Some(held.clone()));
        assert!(matches!(turns.take("c", "ana@example.com", at(11)), Turn::Remembered(o) if o == held));
        assert!(matches!(turns.take("c", "ana@example.com", at(12)), Turn::Go(_)));
    }

    #[test]
    fn w_11_a_sync_that_ends_without_an_outcome_leaves_the_turn_to_the_next() {
        let turns = turns(60);
        let Turn::Go(ticket) = turns.take("c", "ana", at(0)) else { panic!("goes") };
        drop(ticket);
        assert!(matches!(turns.take("c", "ana", at(0)), Turn::Go(_)));
        assert_eq!(unknown_person("ana").object.as_deref(), Some("ana"));
    }

    #[test]
    fn w_11_a_flood_of_ten_thousand_a_minute_costs_the_budget_and_no_more() {
        let turns = turns(300);
        let (mut went, mut told) = (0, 0);
        for n in 0..10_000_u32 {
            let now = at(0) + SignedDuration::from_millis(i64::from(n) * 6);
            // Half of them are one unknown person, half are all different.
            let who = if n % 2 == 0 { "nobody".to_owned() } else { format!("nobody-{n}") };
            match turns.take("c", &who, now) {
                Turn::Go(ticket) => {
                    went += 1;
                    ticket.done(&unknown(), now);
                }
                Turn::Remembered(outcome) => {
                    assert_eq!(outcome, unknown());
                    told += 1;
                }
                Turn::Later(when) => assert!(when > now),
                Turn::Join(_) => panic!("nothing is under way"),
            }
        }
        assert!((300..=600).contains(&went), "the bucket and what came in within a minute: {went}");
        assert!(told >= 4_990, "one unknown person costs one look a minute: {told}");
        assert!(matches!(turns.take("c", "somebody", at(120)), Turn::Go(_)), "and then it is over");
    }

    #[test]
    fn w_11_a_flood_does_not_keep_the_budget_from_filling_again() {
        let turns = turns(300);
        let mut went = 0;
        // 3,000 calls a second for ten seconds
        for n in 0..30_000_u32 {
            let now = at(0) + SignedDuration::from_micros(i64::from(n) * 10_000 / 30);
            went += u32::from(matches!(turns.take("c", &n.to_string(), now), Turn::Go(_)));
        }
        assert_eq!(went, 300 + 49, "the bucket, and five a second");
    }

    #[test]
    fn w_11_the_instant_that_is_told_is_soon_enough_and_not_too_soon() {
        let turns = turns(6);
        for n in 0..6 {
            assert!(matches!(turns.take("c", &n.to_string(), at(0)), Turn::Go(_)));
        }
        let Turn::Later(when) = turns.take("c", "late", at(0)) else { panic!("the bucket is empty") };
        assert!(when > at(9) && when <= at(11), "{when}");
        assert!(matches!(turns.take("c", "late", at(5)), Turn::Later(_)));
        assert!(matches!(turns.take("c", "late", when), Turn::Go(_)));
    }

    #[test]
    fn w_11_memory_is_bounded() {
        let options = TurnsOptions { per_minute: 100_000, remembered: 100, ..TurnsOptions::default() };
        let turns = Turns::new(options);
        for n in 0..5_000 {
            if let Turn::Go(ticket) = turns.take("c", &n.to_string(), at(0)) {
                ticket.done(&unknown(), at(0));
            }
        }
        assert!(turns.state().entries.len() <= 100);
    }
}
