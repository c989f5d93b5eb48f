//! How many sign-ins may begin and end at a time (quality.md W-11): so many from one address, so many from all. Behind a
//! reverse proxy all come from its address, so one address may do a lot, and it is the whole that is held.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// So many at once from one address, and so many a second after that.
const OF_ONE: (f64, f64) = (200.0, 5.0);
/// So many at once from all, and so many a second after that.
const OF_ALL: (f64, f64) = (600.0, 20.0);
/// Addresses remembered at once.
const MOST: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Bucket {
    fn full((most, _): (f64, f64), at: Timestamp) -> Self {
        Self { left: most, at }
    }

    fn fill(&mut self, (most, a_second): (f64, f64), now: Timestamp) {
        // A clock that was set back fills nothing
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.left = (self.left + passed * a_second).min(most);
        self.at = now;
    }
}

#[derive(Debug, Default)]
struct State {
    all: Option<Bucket>,
    of: HashMap<IpAddr, Bucket>,
}

/// The pace of all access pages, or of the sign-in to the console, of a process.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<State>);

/// Whether somebody may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Go,
    /// Later.
    Wait,
}

impl Pace {
    /// Takes one turn.
    pub(crate) fn step(&self, from: Option<IpAddr>, now: Timestamp) -> Step {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { all, of } = &mut *state;
        let all = all.get_or_insert_with(|| Bucket::full(OF_ALL, now));
        all.fill(OF_ALL, now);
        if all.left < 1.0 {
            return Step::Wait;
        }
        if let Some(from) = from {
            if of.len() >= MOST && !of.contains_key(&from) {
                of.retain(|_, bucket| {
                    bucket.fill(OF_ONE, now);
                    bucket.left < OF_ONE.0
                });
                if of.len() >= MOST {
                    of.clear();
                }
            }
            let own = of.entry(from).or_insert_with(|| Bucket::full(OF_ONE, now));
            own.fill(OF_ONE, now);
            if own.left < 1.0 {
                return Step::Wait;
            }
            own.left -= 1.0;
        }
        all.left -= 1.0;
        Step::Go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_11_one_address_cannot_take_everything_and_all_together_are_held() {
        let pace = Pace::default();
        let now: Timestamp = "2026-01-15T08:00:00Z".parse().unwrap();
        let count = |from: [u8; 4], now| {
            (0..1000).filter(|_| pace.step(Some(IpAddr::from(from)), now) == Step::Go).count()
        };
        assert_eq!(count([10, 0, 0, 1], now), 200);
        assert_eq!(count([10, 0, 0, 2], now), 200, "another address goes on");
        assert_eq!(count([10, 0, 0, 3], now), 200);
        assert_eq!(count([10, 0, 0, 4], now), 0, "all together are held");
        let later = now + jiff::SignedDuration::from_secs(10);
        assert_eq!(count([10, 0, 0, 1], later), 50);
        assert_eq!(count([10, 0, 0, 1], now), 0, "a clock that goes back gives nothing");
    }

    #[test]
    fn w_11_ten_thousand_addresses_are_forgotten_again() {
        let pace = Pace::default();
        let start: Timestamp = "2026-01-15T08:00:00Z".parse().unwrap();
        for n in 0..30_000_u32 {
            let now = start + jiff::SignedDuration::from_secs(i64::from(n));
            assert_eq!(pace.step(Some(IpAddr::from(n.to_be_bytes())), now), Step::Go);
        }
        assert!(pace.0.lock().unwrap().of.len() <= MOST);
    }
}
