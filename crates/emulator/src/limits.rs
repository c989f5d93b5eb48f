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
    /// Takes `units` resource units of Graph for one request. One bucket serves all clients: the quota is per application
    /// and tenant, and an emulator has one of each.
    pub fn graph(&self, settings: &GraphSettings, units: u64, now: Timestamp) -> Verdict {
        let limit = settings.resource_units_per_10_s;
        if !settings.throttle {
            return Verdict::Pass { left: limit, limit };
        }
        self.take("graph", units, limit, limit as f64 / 10.0, now)
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

/// Resource units of one request to Graph, by Microsoft's table: `path_and_query` with or without the version.
pub fn graph_units(method: &str, path_and_query: &str) -> u64 {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let path = path.strip_prefix("/v1.0").or_else(|| path.strip_prefix("/beta")).unwrap_or(path);
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let base = match (method, segments.as_slice()) {
        ("GET", ["users"]) => 2,
        ("GET", ["groups", _, "members", ..]) => 3,
        ("GET", ["groups", _, "transitiveMembers", ..]) => 5,
        ("GET", ["users", _, "memberOf" | "transitiveMemberOf", ..]) | ("POST", ["users", _, "getMemberGroups"]) => 2,
        ("POST", ["users", _, "checkMemberGroups"]) => 4,
        ("POST", ["directoryObjects", "getByIds"]) => 5,
        _ => 1,
    };
    let mut units: i64 = base;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "$select" if segments.last() == Some(&"getByIds") => units -= 3,
            "$select" => units -= 1,
            "$expand" => units += 1,
            "$top" if value.parse::<u32>().is_ok_and(|top| top < 20) => units -= 1,
            _ => {}
        }
    }
    u64::try_from(units.max(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_units_follow_the_table() {
        assert_eq!(graph_units("GET", "/v1.0/users"), 2);
        assert_eq!(graph_units("GET", "/v1.0/users?$select=id&$top=999"), 1);
        assert_eq!(graph_units("GET", "/groups/1/members/microsoft.graph.user?$select=id"), 2);
        assert_eq!(graph_units("GET", "/v1.0/groups/1/transitiveMembers"), 5);
        assert_eq!(graph_units("GET", "/v1.0/groups?$top=5"), 1);
        assert_eq!(graph_units("POST", "/v1.0/directoryObjects/getByIds?$select=id"), 2);
        assert_eq!(graph_units("GET", "/v1.0/users?$expand=manager"), 3);
    }

    #[test]
    fn a_bucket_empties_and_fills_again_with_time() {
        let limits = Limits::default();
        let settings = AtlassianSettings { burst_per_second: [("PUT".to_owned(), 2)].into(), ..Default::default() };
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let ask = |method, path, at| limits.jira(&settings, method, path, at);
        assert_eq!(ask("PUT", "/a", start), Verdict::Pass { left: 1, limit: 2 });
        assert_eq!(ask("PUT", "/a", start), Verdict::Pass { left: 0, limit: 2 });
        assert_eq!(ask("PUT", "/a", start), Verdict::Throttled { retry_after_ms: 500, limit: 2 });
        assert_eq!(ask("PUT", "/b", start), Verdict::Pass { left: 1, limit: 2 }, "another endpoint has its own bucket");
        assert_eq!(ask("PUT", "/a", later), Verdict::Pass { left: 0, limit: 2 });
    }
}
