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

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Limits {
    /// Takes `units` resource units of Graph for one request of `application`.
    pub fn graph(&self, settings: &GraphSettings, application: &str, units: u64, now: Timestamp) -> Verdict {
        let limit = settings.resource_units_per_10_s;
        if !settings.throttle {
            return Verdict::Pass { left: limit, limit };
        }
        self.take(&format!("graph {application}"), units, limit, limit as f64 / 10.0, now)
    }

    /// Takes one request from the bucket of a Jira endpoint (`path` with ids replaced) and method.
    pub fn jira(&self, settings: &AtlassianSettings, method: &str, path: &str, now: Timestamp) -> Verdict {
        let limit = settings.burst_per_second.get(method).copied().unwrap_or(u64::MAX);
        if !settings.throttle || limit == u64::MAX {
            return Verdict::Pass { left: limit, limit };
        }
        self.take(&format!("jira {method} {path}"), 1, limit, limit as f64, now)
    }

    fn take(&self, key: &str, units: u64, limit: u64, per_second: f64, now: Timestamp) -> Verdict {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = limit as f64;
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { left: full, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        bucket.left = (bucket.left + passed * per_second).min(full);
        bucket.at = now;
        let wanted = units as f64;
        if bucket.left >= wanted {
            bucket.left -= wanted;
            return Verdict::Pass { left: bucket.left as u64, limit };
        }
        let wait = (wanted.min(full) - bucket.left) / per_second;
        Verdict::Throttled { retry_after_ms: (wait * 1000.0).ceil() as u64, limit }
    }

    /// Fills all buckets again.
    pub fn reset(&self) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
