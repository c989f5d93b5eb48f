//! Counts requests by side and kind, retries included; shared by everything that talks to the same clouds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use entrain_domain::run::RequestCounts;

use super::Plane;

/// Requests made, by side and by kind. Cheap to read at any time.
#[derive(Debug, Default)]
pub struct Meter {
    directory: AtomicU64,
    site: AtomicU64,
    organization: AtomicU64,
    throttled: AtomicU64,
    kinds: Mutex<BTreeMap<(&'static str, String), u64>>,
}

impl Meter {
    /// A meter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn sent(&self, plane: Plane, method: &str, endpoint: &'static str) {
        let count = match plane {
            Plane::Directory => Some(&self.directory),
            Plane::Site => Some(&self.site),
            Plane::Organization => Some(&self.organization),
            // No run makes them
            Plane::Alerts => None,
        };
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut kinds = self.kinds.lock().expect("nothing panics while it holds the lock");
        *kinds.entry((endpoint, method.to_owned())).or_default() += 1;
    }

    pub(crate) fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests by side; a `$batch` is one, a retry is one more.
    pub fn counts(&self) -> RequestCounts {
        RequestCounts {
            directory: self.directory.load(Ordering::Relaxed),
            site: self.site.load(Ordering::Relaxed),
            organization: self.organization.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }

    /// Requests by method and endpoint, such as `GET /users`, in the order of the endpoints.
    pub fn kinds(&self) -> Vec<(String, u64)> {
        let kinds = self.kinds.lock().expect("nothing panics while it holds the lock");
        kinds.iter().map(|((endpoint, method), count)| (format!("{method} {endpoint}"), *count)).collect()
    }
}
