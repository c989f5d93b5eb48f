//! What outlives one piece of work. A service makes its clients afresh for each run and each sign-in, so that new
//! documents and rotated secrets count at once; budgets and open connections stay, or each would begin with a full burst
//! and with handshakes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::budget::Budgets;
use super::{HttpOptions, Plane};
use crate::Error;

/// Shared by the clients of a process; clones are the same. All of them must have one [`Environment`](super::Environment):
/// budgets count in its time.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    budgets: Mutex<HashMap<(Plane, String), Arc<Budgets>>>,
    clients: Mutex<HashMap<[u8; 32], reqwest::Client>>,
    share: Arc<Share>,
}

/// Which part of the documented rates this process may use, in thousandths: several servers that share the work share
/// the limits of the clouds.
#[derive(Debug)]
pub(super) struct Share(AtomicU32);

impl Share {
    pub(super) fn whole() -> Arc<Self> {
        Arc::new(Self(AtomicU32::new(1000)))
    }

    pub(super) fn get(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed)) / 1000.0
    }
}

/// Transports kept for other settings (a changed proxy, another CA file) before the oldest are forgotten.
const TRANSPORTS: usize = 32;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Default for Shared {
    fn default() -> Self {
        let inner = Inner { budgets: Mutex::default(), clients: Mutex::default(), share: Share::whole() };
        Self { inner: Arc::new(inner) }
    }
}

impl Shared {
    /// From now on this process keeps to so many thousandths of the documented rates; at least one, at most all.
    pub fn keep_to(&self, thousandths: u32) {
        self.inner.share.0.store(thousandths.clamp(1, 1000), Ordering::Relaxed);
    }

    /// The budgets of an origin.
    pub(super) fn budgets(&self, options: &HttpOptions) -> Arc<Budgets> {
        let key = (options.plane, options.base.as_str().to_owned());
        let new = || Arc::new(Budgets::new(options.plane, self.inner.share.clone()));
        locked(&self.inner.budgets).entry(key).or_insert_with(new).clone()
    }

    /// The transport for these options, with the connections that it holds open.
    pub(super) fn transport(
        &self,
        options: &HttpOptions,
        build: impl FnOnce(&HttpOptions) -> Result<reqwest::Client, Error>,
    ) -> Result<reqwest::Client, Error> {
        let key = key(options);
        let mut clients = locked(&self.inner.clients);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(options)?;
        if clients.len() >= TRANSPORTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Everything that a transport is built from.
fn key(options: &HttpOptions) -> [u8; 32] {
    let HttpOptions { base, patience, extra_ca_pem, proxy, in_flight, .. } = options;
    let mut hash = Sha256::new();
    hash.update(format!("{} {patience:?} {proxy:?} {in_flight} ", base.is_https()));
    hash.update(extra_ca_pem.as_deref().unwrap_or_default());
    hash.finalize().into()
}
