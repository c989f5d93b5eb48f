//! The request log: what was asked and answered, bounded, and without any secret. Tests count requests with it.
//!
//! Of a credential only the first eight bytes of its SHA-256 are kept, so that two can be told apart.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::state::Surface;

/// One request with its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogEntry {
    /// Counted from 1 over the life of the emulator.
    pub seq: u64,
    /// When the request came, in emulated time.
    pub at: Timestamp,
    /// Where.
    pub surface: Surface,
    /// HTTP method.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Query as sent, with the values of parameters that carry a secret replaced.
    pub query: Option<String>,
    /// Status of the answer; absent when the connection was broken off instead.
    pub status: Option<u16>,
    /// Milliseconds until the answer's headers.
    pub duration_ms: f64,
    /// Which credential was presented: scheme and a short hash.
    pub credential: Option<String>,
    /// Request headers, without those that carry a secret.
    pub headers: BTreeMap<String, String>,
    /// Start of the body of a write; absent for reads and for sign-in.
    pub body: Option<String>,
    /// The fault that was applied, by its name or kind.
    pub fault: Option<String>,
}

/// How often something was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// All requests.
    pub total: u64,
    /// By surface.
    pub by_surface: BTreeMap<String, u64>,
    /// By surface, method and path with ids replaced by `{id}`: `graph GET /v1.0/groups/{id}/members`.
    pub by_endpoint: BTreeMap<String, u64>,
    /// By surface and status: `graph 200`; a broken connection counts as `graph broken`.
    pub by_status: BTreeMap<String, u64>,
}

/// The log.
#[derive(Debug)]
pub struct RequestLog {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    entries: VecDeque<LogEntry>,
    counts: Counts,
    next: u64,
    cap: usize,
    body_cap: usize,
}

impl RequestLog {
    /// A log of at most `cap` entries that keeps `body_cap` bytes of a body.
    pub fn new(cap: usize, body_cap: usize) -> Self {
        let inner = Inner { entries: VecDeque::new(), counts: Counts::default(), next: 1, cap, body_cap };
        Self { inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the caps; the oldest entries go when there are too many.
    pub fn set_caps(&self, cap: usize, body_cap: usize) {
        let mut inner = self.lock();
        inner.cap = cap;
        inner.body_cap = body_cap;
        while inner.entries.len() > cap {
            inner.entries.pop_front();
        }
    }

    /// Bytes of a body that are kept.
    pub fn body_cap(&self) -> usize {
        self.lock().body_cap
    }

    /// Adds an entry and gives it its number.
    pub fn push(&self, mut entry: LogEntry) {
        let mut inner = self.lock();
        entry.seq = inner.next;
        inner.next += 1;
        let surface = entry.surface.name();
        let endpoint = format!("{surface} {} {}", entry.method, template(&entry.path));
        let status = match entry.status {
            Some(status) => format!("{surface} {status}"),
            None => format!("{surface} broken"),
        };
        inner.counts.total += 1;
        *inner.counts.by_surface.entry(surface.to_owned()).or_default() += 1;
        *inner.counts.by_endpoint.entry(endpoint).or_default() += 1;
        *inner.counts.by_status.entry(status).or_default() += 1;
        if inner.entries.len() >= inner.cap {
            inner.entries.pop_front();
        }
        inner.entries.push_back(entry);
    }

    /// The entries for which `keep` holds, newest last, at most `limit` of the newest.
    pub fn entries(&self, limit: usize, keep: impl Fn(&LogEntry) -> bool) -> Vec<LogEntry> {
        let inner = self.lock();
        let mut found: Vec<LogEntry> =
            inner.entries.iter().rev().filter(|e| keep(e)).take(limit).cloned().collect();
        found.reverse();
        found
    }

    /// The counts since the start or the last [`clear`](Self::clear); they go on when old entries are dropped.
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Forgets entries and counts.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.entries.clear();
        inner.counts = Counts::default();
    }
}

/// The path with everything that looks like an id replaced by `{id}`: a segment with a digit that is neither a version
/// (`v1.0`, `3`) nor a name of the API, or anything after a known collection.
pub fn template(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        out.push('/');
        if looks_like_an_id(segment) {
            out.push_str("{id}");
        } else {
            out.push_str(segment);
        }
    }
    out
}

fn looks_like_an_id(segment: &str) -> bool {
    let version = matches!(segment, "v1" | "v1.0" | "v2" | "v2.0" | "v3" | "2" | "3" | "1.0" | "oauth2");
    if version {
        return false;
    }
    segment.contains('@') || segment.contains("%40") || segment.bytes().any(|b| b.is_ascii_digit())
}

/// The credential of an `Authorization` value: the scheme, and a hash that gives nothing away.
pub fn credential(authorization: &str) -> String {
    let (scheme, secret) = authorization.split_once(' ').unwrap_or(("unknown", authorization));
    let digest = Sha256::digest(secret.trim().as_bytes());
    format!("{scheme}:{}", hex::encode(&digest[..8]))
}
