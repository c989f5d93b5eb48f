//! One budget per endpoint and method, shared by all callers: a limit that one of them meets slows all who use the same
//! endpoint, and nobody else. Rates start from what is documented and are learnt from the headers of the answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::Plane;
use super::shared::Share;

/// What stands between a caller and its request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Turn {
    /// Send now.
    Go,
    /// Wait so long, then ask again.
    Wait(Duration),
    /// Everything on this plane is stopped by a quota for so long.
    Stopped(Duration, String),
}

#[derive(Debug)]
struct Bucket {
    /// Requests that may leave at once; negative when callers have reserved turns ahead.
    tokens: f64,
    /// Requests per second, as learnt.
    rate: f64,
    /// Requests per second that are documented or announced.
    ceiling: f64,
    /// The part of the rate that this process may use, above 0 and at most 1.
    share: f64,
    refilled: Duration,
    paused_until: Duration,
}

/// All budgets of one client.
#[derive(Debug)]
pub(super) struct Budgets {
    plane: Plane,
    share: Arc<Share>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<(&'static str, Method), Bucket>,
    quota: Option<(Duration, String)>,
}

/// Jira documents bursts per endpoint of 100 reads and creations and 50 changes and deletions a second.
fn documented(plane: Plane, method: &Method) -> f64 {
    match plane {
        // The limits of Graph are counted in units that only its own headers tell.
        Plane::Directory => f64::INFINITY,
        Plane::Site if *method == Method::PUT || *method == Method::DELETE => 50.0,
        Plane::Site => 100.0,
        // No figures published; practice is a pause of 300 ms between calls (atlassian-cloud.md 6.2).
        Plane::Organization => 4.0,
        // Slack takes one a second; letters are counted by the hour before they come here.
        Plane::Alerts => 1.0,
    }
}

impl Bucket {
    fn new(rate: f64, share: f64, now: Duration) -> Self {
        let tokens = (rate * share).max(1.0);
        Self { tokens, rate, ceiling: rate, share, refilled: now, paused_until: Duration::ZERO }
    }

    /// Requests per second of this process.
    fn pace(&self) -> f64 {
        self.rate * self.share
    }

    fn refill(&mut self, now: Duration, share: f64) {
        self.share = share;
        if self.rate.is_finite() {
            let passed = now.saturating_sub(self.refilled).as_secs_f64();
            self.tokens = (self.tokens + passed * self.pace()).min(self.pace().max(1.0));
        }
        self.refilled = now;
    }
}

impl Budgets {
    pub(super) fn new(plane: Plane, share: Arc<Share>) -> Self {
        Self { plane, share, state: Mutex::new(State::default()) }
    }

    fn with<T>(
        &self,
        endpoint: &'static str,
        method: &Method,
        now: Duration,
        act: impl FnOnce(&mut Bucket, &mut Option<(Duration, String)>) -> T,
    ) -> T {
        let mut state = self.state.lock().expect("nothing panics while it holds the lock");
        let State { buckets, quota } = &mut *state;
        let share = self.share.get();
        let bucket = buckets
            .entry((endpoint, method.clone()))
            .or_insert_with(|| Bucket::new(documented(self.plane, method), share, now));
        bucket.refill(now, share);
        act(bucket, quota)
    }

    /// Takes a turn. `reserved` says that this caller already waited for its token, and only a pause can stop it.
    pub(super) fn turn(
        &self,
        endpoint: &'static str,
        method: &Method,
        now: Duration,
        reserved: Reserved,
    ) -> Turn {
        self.with(endpoint, method, now, |bucket, quota| {
            if let Some((until, name)) = quota {
                if *until > now {
                    return Turn::Stopped(until.saturating_sub(now), name.clone());
                }
                *quota = None;
            }
            if bucket.paused_until > now {
                return Turn::Wait(bucket.paused_until.saturating_sub(now));
            }
            if reserved == Reserved::Yes || !bucket.rate.is_finite() {
                return Turn::Go;
            }
            bucket.tokens -= 1.0;
            if bucket.tokens >= 0.0 {
                Turn::Go
            } else {
                Turn::Wait(Duration::from_secs_f64(-bucket.tokens / bucket.pace()))
            }
        })
    }

    /// Learns from an answer that was not throttled.
    pub(super) fn learn(&self, endpoint: &'static str, method: &Method, now: Duration, headers: &HeaderMap) {
        let number = |name: &str| {
            headers.get(name).and_then(|v| v.to_str().ok()).and_then(|t| t.trim().parse::<f64>().ok())
        };
        let near =
            headers.get("x-ratelimit-nearlimit").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"true"));
        self.with(endpoint, method, now, |bucket, _| {
            if self.plane == Plane::Directory {
                // 0.8 to 1.8: how near the limit is, and how many requests are refused beyond it.
                if let Some(share) =
                    number("x-ms-throttle-limit-percentage").filter(|s| (0.8..=10.0).contains(s))
                {
                    let pause = Duration::from_secs_f64((share - 0.8).min(1.0));
                    bucket.paused_until = bucket.paused_until.max(now + pause);
                }
                return;
            }
            if let Some(limit) = number("x-ratelimit-limit").filter(|l| (1.0..100_000.0).contains(l))
                && self.plane == Plane::Site
            {
                bucket.ceiling = limit;
                bucket.rate = bucket.rate.min(limit);
            }
            if let Some(remaining) = number("x-ratelimit-remaining").filter(|r| *r >= 0.0) {
                bucket.tokens = bucket.tokens.min(remaining);
            }
            // Slowly back to what is announced after a limit was met; not while the other side warns.
            if !near && bucket.rate < bucket.ceiling {
                bucket.rate = (bucket.rate + bucket.ceiling / 100.0).min(bucket.ceiling);
            }
        });
    }

    /// A 429: this endpoint pauses and goes on at half its pace.
    pub(super) fn throttled(&self, endpoint: &'static str, method: &Method, now: Duration, pause: Duration) {
        self.with(endpoint, method, now, |bucket, _| {
            let fresh = bucket.paused_until <= now;
            bucket.paused_until = bucket.paused_until.max(now.saturating_add(pause));
            // The answers to requests that were under way together are one event, not many.
            if fresh && bucket.rate.is_finite() {
                bucket.rate = (bucket.rate / 2.0).max(1.0);
            }
            bucket.tokens = bucket.tokens.min(0.0);
        });
    }

    /// An endpoint that is out of order for a while, as it says: it pauses, and goes on at the pace it had.
    pub(super) fn rest(&self, endpoint: &'static str, method: &Method, now: Duration, pause: Duration) {
        self.with(endpoint, method, now, |bucket, _| {
            bucket.paused_until = bucket.paused_until.max(now.saturating_add(pause));
        });
    }

    /// A quota is used up: nothing leaves before its reset.
    pub(super) fn stop(&self, until: Duration, name: String) {
        let mut state = self.state.lock().expect("nothing panics while it holds the lock");
        if state.quota.as_ref().is_none_or(|(known, _)| *known < until) {
            state.quota = Some((until, name));
        }
    }
}

/// Whether a caller already has its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    /// It waited for it.
    Yes,
    /// Not yet.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn a_site_endpoint_starts_at_the_documented_burst_and_refills() {
        let budgets = Budgets::new(Plane::Site, Share::whole());
        let sent = (0..200)
            .filter(|_| budgets.turn("/group/user", &Method::DELETE, NOW, Reserved::No) == Turn::Go)
            .count();
        assert_eq!(sent, 50);
        // 150 reserved turns ahead at 50 a second are three seconds
        let Turn::Wait(wait) = budgets.turn("/group/user", &Method::DELETE, NOW, Reserved::No) else {
            panic!()
        };
        assert!((wait.as_secs_f64() - 3.02).abs() < 0.001, "{wait:?}");
    }

    /// N-01: one endpoint's limit does not stop the others
    #[test]
    fn a_pause_holds_one_endpoint_and_method_only() {
        let budgets = Budgets::new(Plane::Site, Share::whole());
        budgets.throttled("/user", &Method::POST, NOW, Duration::from_secs(7));
        assert_eq!(
            budgets.turn("/user", &Method::POST, NOW, Reserved::Yes),
            Turn::Wait(Duration::from_secs(7))
        );
        assert_eq!(budgets.turn("/user", &Method::GET, NOW, Reserved::No), Turn::Go);
        assert_eq!(budgets.turn("/group", &Method::POST, NOW, Reserved::No), Turn::Go);
    }

    #[test]
    fn a_quota_stops_everything_until_its_reset() {
        let budgets = Budgets::new(Plane::Site, Share::whole());
        budgets.stop(NOW + Duration::from_mins(10), "jira-quota-tenant-based".to_owned());
        for endpoint in ["/user", "/group"] {
            assert!(matches!(budgets.turn(endpoint, &Method::GET, NOW, Reserved::No), Turn::Stopped(..)));
        }
        let later = NOW + Duration::from_mins(10);
        assert_eq!(budgets.turn("/user", &Method::GET, later, Reserved::No), Turn::Go);
    }

    #[test]
    fn what_the_headers_say_is_learnt() {
        let budgets = Budgets::new(Plane::Site, Share::whole());
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-limit", "10".parse().unwrap());
        headers.insert("x-ratelimit-remaining", "3".parse().unwrap());
        assert_eq!(budgets.turn("/group", &Method::GET, NOW, Reserved::No), Turn::Go);
        budgets.learn("/group", &Method::GET, NOW, &headers);
        let sent =
            (0..20).filter(|_| budgets.turn("/group", &Method::GET, NOW, Reserved::No) == Turn::Go).count();
        assert_eq!(sent, 3);
    }

    #[test]
    fn graph_is_slowed_before_it_refuses() {
        let budgets = Budgets::new(Plane::Directory, Share::whole());
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-throttle-limit-percentage", "1.3".parse().unwrap());
        budgets.learn("/users", &Method::GET, NOW, &headers);
        assert_eq!(
            budgets.turn("/users", &Method::GET, NOW, Reserved::No),
            Turn::Wait(Duration::from_millis(500))
        );
        assert_eq!(budgets.turn("/$batch", &Method::POST, NOW, Reserved::No), Turn::Go);
    }

    #[test]
    fn a_server_among_others_keeps_to_its_share_from_the_next_turn_on() {
        let shared = crate::http::Shared::default();
        let base = crate::http::BaseUrl::parse("https://acme.atlassian.net").unwrap();
        let environment = std::sync::Arc::new(crate::http::SteppedEnvironment::starting_at(
            "2026-11-23T10:00:00Z".parse().unwrap(),
        ));
        let meter = std::sync::Arc::new(crate::http::Meter::new());
        let mut options = crate::http::HttpOptions::new(base, Plane::Site, meter, environment);
        options.shared = shared.clone();
        let (one, other) = (shared.budgets(&options), shared.budgets(&options));
        let sent = |now: Duration| {
            let each = (0..200).flat_map(|_| [&one, &other]);
            each.filter(|b| b.turn("/group/user", &Method::DELETE, now, Reserved::Yes) == Turn::Go).count()
        };
        assert_eq!(sent(NOW), 400, "what was waited for goes");
        let fresh = |now: Duration| {
            let each = (0..50).flat_map(|_| [&one, &other]);
            each.take_while(|b| b.turn("/user", &Method::DELETE, now, Reserved::No) == Turn::Go).count()
        };
        assert_eq!(fresh(NOW), 50, "two clients of an origin have one budget");
        shared.keep_to(200);
        assert_eq!(fresh(NOW + Duration::from_mins(1)), 10);
        shared.keep_to(1000);
        assert_eq!(fresh(NOW + Duration::from_mins(2)), 50);
    }

    #[test]
    fn many_throttled_answers_at_once_halve_the_pace_once() {
        let budgets = Budgets::new(Plane::Site, Share::whole());
        for _ in 0..30 {
            budgets.throttled("/user", &Method::GET, NOW, Duration::from_secs(1));
        }
        let later = NOW + Duration::from_secs(3);
        let sent =
            (0..200).filter(|_| budgets.turn("/user", &Method::GET, later, Reserved::No) == Turn::Go).count();
        assert_eq!(sent, 50);
    }
}
