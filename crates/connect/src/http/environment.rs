//! Time and chance, passed in: waits, jitter and request ids come from here, so that tests are instant and repeatable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

/// Time and chance as the client sees them.
pub trait Environment: Send + Sync + 'static {
    /// The time of day, for dates in headers and for expiry.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back, whatever the clock of the host does.
    fn monotonic(&self) -> Duration;
    /// Returns after this time has passed.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// A random number, at least 0 and below 1, for jitter.
    fn random(&self) -> f64;
    /// A fresh GUID in lower case, for `client-request-id` and `jti`.
    fn guid(&self) -> String;
}

/// An environment whose time stands still until somebody sleeps, and then jumps: for tests and simulations.
#[derive(Debug)]
pub struct SteppedEnvironment {
    start: Timestamp,
    state: Mutex<Stepped>,
}

#[derive(Debug, Default)]
struct Stepped {
    elapsed: Duration,
    slept: Vec<Duration>,
    ids: u64,
}

impl SteppedEnvironment {
    /// Begins at this moment.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, state: Mutex::new(Stepped::default()) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Stepped> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    /// Lets time pass without a sleeper.
    pub fn advance(&self, time: Duration) {
        self.state().elapsed += time;
    }

    /// Every sleep asked for, in order.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.state().slept.clone()
    }
}

impl Environment for SteppedEnvironment {
    fn now(&self) -> Timestamp {
        self.start + jiff::SignedDuration::try_from(self.state().elapsed).unwrap_or(jiff::SignedDuration::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.state().elapsed
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        {
            let mut state = self.state();
            state.elapsed += time;
            state.slept.push(time);
        }
        Box::pin(tokio::task::yield_now())
    }

    fn random(&self) -> f64 {
        0.5
    }

    fn guid(&self) -> String {
        let mut state = self.state();
        state.ids += 1;
        format!("00000000-0000-4000-8000-{:012x}", state.ids)
    }
}
