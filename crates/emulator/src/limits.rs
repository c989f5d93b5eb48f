//! The throttling of both clouds: token buckets of resource units in Graph, and of requests per endpoint and method in
//! Jira.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::settings::{AtlassianSettings, GraphSettings};

/// Whether a request may pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It may. `left` is what the bucket holds after it, of `limit`.
    Pass {
        /// What is left.
        left: u64,
        /// What the bucket holds when full.
        limit: u64,
    },
    /// It is throttled and may come again after so many milliseconds.
    Throttled {
        /// Until the bucket holds enough.
        retry_after_ms: u64,
        /// What the bucket holds when full.
        limit: u64,
    },
}

/// The buckets.
#[derive(Debug, Default)]
pub struct Limits {
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// A bucket, counted in units times the milliseconds in which it fills: whole numbers, so that nothing is lost to rounding.
#[derive(Debug)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

impl Limits {
    /// Takes `units` resource units of Graph for one request of `application`.
    pub fn graph(&self, settings: &GraphSettings, application: &str, units: u64, now: Timestamp) -> Verdict {
        let limit = settings.resource_units_per_10_s;
        if !settings.throttle {
            return Verdict::Pass { left: limit, limit };
        }
        self.take(&format!("graph {application}"), units, limit, 10_000, now)
    }

    /// Takes one request from the bucket of a Jira endpoint (`path` with ids replaced) and method.
    pub fn jira(&self, settings: &AtlassianSettings, method: &str, path: &str, now: Timestamp) -> Verdict {
        match settings.burst_per_second.get(method) {
            Some(limit) if settings.throttle => {
                self.take(&format!("jira {method} {path}"), 1, *limit, 1000, now)
            }
            _ => Verdict::Pass { left: u64::MAX, limit: u64::MAX },
        }
    }

    fn take(&self, key: &str, units: u64, limit: u64, period_ms: u64, now: Timestamp) -> Verdict {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = limit.saturating_mul(period_ms);
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { left: full, at: now });
        let passed = u64::try_from(now.duration_since(bucket.at).as_millis()).unwrap_or(0);
        bucket.left = bucket.left.saturating_add(passed.saturating_mul(limit)).min(full);
        bucket.at = now;
        let wanted = units.saturating_mul(period_ms).min(full);
        if bucket.left >= wanted {
            bucket.left -= wanted;
            return Verdict::Pass { left: bucket.left / period_ms, limit };
        }
        Verdict::Throttled { retry_after_ms: (wanted - bucket.left).div_ceil(limit.max(1)), limit }
    }

    /// Fills all buckets again.
    pub fn reset(&self) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again_with_time() {
        let limits = Limits::default();
        let settings =
            AtlassianSettings { burst_per_second: [("PUT".to_owned(), 2)].into(), ..Default::default() };
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let ask = |method, path, at| limits.jira(&settings, method, path, at);
        assert_eq!(ask("PUT", "/a", start), Verdict::Pass { left: 1, limit: 2 });
        assert_eq!(ask("PUT", "/a", start), Verdict::Pass { left: 0, limit: 2 });
        assert_eq!(ask("PUT", "/a", start), Verdict::Throttled { retry_after_ms: 500, limit: 2 });
        assert_eq!(
            ask("PUT", "/b", start),
            Verdict::Pass { left: 1, limit: 2 },
            "another endpoint has its own bucket"
        );
        assert_eq!(ask("PUT", "/a", later), Verdict::Pass { left: 0, limit: 2 });
    }
}
