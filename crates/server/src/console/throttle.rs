//! How often somebody may try a password (quality.md W-03). Wrong ones are counted by name and address together, by
//! address, and by name; each has room for a few and then asks for ever longer pauses. A browser that was signed in to
//! the account before has a count of its own: nobody on the outside can lock its owner out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Count {
    Both(String, Option<IpAddr>),
    From(Option<IpAddr>),
    Name(String),
    Browser(String, String),
}

impl Count {
    /// Wrong passwords without a pause.
    fn free(&self) -> u32 {
        match self {
            Self::Both(..) | Self::Browser(..) => 5,
            Self::From(_) => 20,
            Self::Name(_) => 50,
        }
    }

    /// The pause after so many wrong ones.
    fn pause(&self, wrong: u32) -> Duration {
        let over = wrong.saturating_sub(self.free());
        let longest = if matches!(self, Self::Name(_)) { 10 } else { 900 };
        match over {
            0 => Duration::ZERO,
            over => Duration::from_secs(longest.min(1 << over.min(20))),
        }
    }
}

/// Wrong ones are forgotten after so long without another.
const FORGET: Duration = Duration::from_hours(1);
/// Counts kept; beyond that the oldest are worth less than the memory.
const MOST: usize = 20_000;

#[derive(Debug, Default)]
struct Counts {
    wrong: HashMap<Count, (u32, Instant)>,
    /// Which browsers were signed in to which account.
    known: HashMap<(String, String), Instant>,
}

/// Counts wrong passwords.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Counts>);

/// Somebody who tries: a name, from an address, perhaps with a browser that shows what it was given before.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) name: String,
    pub(crate) from: Option<IpAddr>,
    pub(crate) browser: Option<String>,
}

impl Throttle {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the attempt as a wrong one, before it is known; or says how long to wait first.
    pub(crate) fn try_now(&self, attempt: &Attempt) -> Result<(), Duration> {
        let mut counts = self.counts();
        let keys = counts.keys(attempt);
        let wait = keys.iter().filter_map(|key| {
            let (wrong, last) = counts.wrong.get(key)?;
            key.pause(*wrong).checked_sub(last.elapsed())
        });
        if let Some(wait) = wait.max().filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        if counts.wrong.len() + keys.len() > MOST {
            counts.wrong.retain(|_, (_, last)| last.elapsed() < FORGET);
        }
        for key in keys {
            if counts.wrong.len() >= MOST && !counts.wrong.contains_key(&key) {
                continue;
            }
            let (wrong, last) = counts.wrong.entry(key).or_insert((0, Instant::now()));
            if last.elapsed() >= FORGET {
                *wrong = 0;
            }
            (*wrong, *last) = (wrong.saturating_add(1), Instant::now());
        }
        Ok(())
    }

    /// The attempt was right: it does not count, and its browser is known from now on.
    pub(crate) fn was_right(&self, attempt: &Attempt, browser: &str) {
        let mut counts = self.counts();
        for key in counts.keys(attempt) {
            match key {
                Count::From(_) | Count::Name(_) => {
                    if let Some((wrong, _)) = counts.wrong.get_mut(&key) {
                        *wrong = wrong.saturating_sub(1);
                    }
                }
                Count::Both(..) | Count::Browser(..) => {
                    counts.wrong.remove(&key);
                }
            }
        }
        if counts.known.len() < MOST {
            counts.known.insert((attempt.name.clone(), browser.to_owned()), Instant::now());
        }
    }
}

impl Counts {
    fn keys(&self, attempt: &Attempt) -> Vec<Count> {
        let name = attempt.name.clone();
        if let Some(browser) = &attempt.browser
            && self.known.contains_key(&(name.clone(), browser.clone()))
        {
            return vec![Count::Browser(name, browser.clone())];
        }
        vec![Count::Both(name.clone(), attempt.from), Count::From(attempt.from), Count::Name(name)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(name: &str, last: u8) -> Attempt {
        Attempt { name: name.into(), from: Some([192, 0, 2, last].into()), browser: None }
    }

    #[test]
    fn w_03_ten_thousand_tries_cost_less_than_a_hundred_checks() {
        let throttle = Throttle::default();
        let checks = (0..10_000).filter(|_| throttle.try_now(&attempt("ana", 1)).is_ok()).count();
        assert!((5..100).contains(&checks), "{checks} from one address at one name");
        let checks = (0..10_000).filter(|n| throttle.try_now(&attempt(&format!("n{n}"), 2)).is_ok()).count();
        assert!((20..100).contains(&checks), "{checks} from one address at many names");
        let throttle = Throttle::default();
        let checks = (0..10_000_u32).filter(|n| {
            let from = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            throttle.try_now(&Attempt { name: "ana".into(), from: Some(from), browser: None }).is_ok()
        });
        assert!((50..100).contains(&checks.count()), "from many addresses at one name");
    }

    #[test]
    fn w_03_nobody_is_locked_out_by_others() {
        let throttle = Throttle::default();
        let own = Attempt { browser: Some("b1".into()), ..attempt("ana", 1) };
        assert!(throttle.try_now(&own).is_ok());
        throttle.was_right(&own, "b1");
        for n in 0..10_000 {
            let _ = throttle.try_now(&attempt("ana", u8::try_from(n % 200).unwrap()));
        }
        assert!(throttle.try_now(&attempt("ana", 1)).is_err(), "a stranger at the same address waits");
        assert!(throttle.try_now(&own).is_ok(), "her own browser does not");
        let bo = Attempt { name: "bo".into(), ..own };
        let tried = (0..6).filter(|_| throttle.try_now(&attempt("bo", 1)).is_ok()).count();
        assert!(tried >= 5 && throttle.try_now(&bo).is_err(), "and it is known for nobody else's name");
    }
}
