//! The host: time, chance, signals, its name.

use std::pin::Pin;
use std::time::{Duration, Instant};

use entrain_connect::http::Environment;
use entrain_domain::model::RunId;
use entrain_engine::ports::{Clock, Ids};
use jiff::Timestamp;

/// The host's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

/// Ids that grow with time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is where ids come from")]
    fn run_id(&self) -> RunId {
        RunId::parse(uuid::Uuid::now_v7().to_string()).expect("a UUID is an id")
    }
}

/// Time and chance for the clients.
#[derive(Debug)]
pub(super) struct HostEnvironment {
    start: Instant,
}

impl HostEnvironment {
    pub(super) fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Environment for HostEnvironment {
    fn now(&self) -> Timestamp {
        Clock::now(&SystemClock)
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
    #[expect(clippy::disallowed_methods, reason = "this is where chance comes from")]
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    fn random(&self) -> f64 {
        // The low half of a random UUID has 62 random bits
        let bits = uuid::Uuid::new_v4().as_u64_pair().1 & ((1 << 53) - 1);
        bits as f64 / (1_u64 << 53) as f64
    }
    #[expect(clippy::disallowed_methods, reason = "this is where ids come from")]
    fn guid(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }
}

/// How this process names itself to whoever waits for it.
pub(crate) fn holder() -> String {
    let now = entrain_engine::ports::Clock::now(&super::SystemClock).strftime("%F %T UTC");
    format!("process {} on {}, since {now}", std::process::id(), host_name())
}

/// The host's name, for people who look for the holder of a claim.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "this host".into() } else { name.trim().to_owned() }
}

/// Returns when the process is told to end: SIGINT, SIGTERM.
pub(crate) async fn told_to_end() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! { () = interrupt => {}, () = terminate => {} }
    }
    #[cfg(not(unix))]
    interrupt.await;
}

/// How many files, connections among them, this process may have open; nothing where the system does not tell.
pub(crate) fn open_files() -> Option<usize> {
    open_files_in(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

fn open_files_in(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             7                    8                    processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(open_files_in(text), Some(1024));
        let endless = "Max open files            unlimited            unlimited            files";
        assert_eq!(open_files_in(endless), None);
        assert_eq!(open_files_in(""), None);
    }

    #[test]
    fn chance_lies_between_nought_and_one() {
        let environment = HostEnvironment::new();
        let drawn: Vec<f64> = (0..100).map(|_| environment.random()).collect();
        assert!(drawn.iter().all(|r| (0.0..1.0).contains(r)));
        assert!(drawn.iter().any(|r| *r < 0.5) && drawn.iter().any(|r| *r >= 0.5), "{drawn:?}");
    }
}
