//! The secret keys that a process knows: the one in use, and those it has seen replaced. A rotation by another process
//! is noticed when something does not open, or is to be sealed: the key file is read again then, so that a running
//! server goes on without a restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};

use crate::key::Key;

/// How long what was given away under the key before (cookies of sign-ins under way) still opens.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

pub(crate) struct Keyring {
    path: PathBuf,
    held: RwLock<Held>,
}

struct Held {
    current: Arc<Key>,
    /// Keys that were current, and since when they are not.
    earlier: Vec<(Arc<Key>, Timestamp)>,
}

impl Held {
    fn by_id(&self, id: &str) -> Option<Arc<Key>> {
        let earlier = self.earlier.iter().map(|(key, _)| key);
        std::iter::once(&self.current).chain(earlier).find(|key| key.id() == id).cloned()
    }

    fn take_up(&mut self, key: Key, now: Timestamp) {
        tracing::info!(key = key.id(), "the secret key was replaced; the new one is in use");
        let before = std::mem::replace(&mut self.current, Arc::new(key));
        self.earlier.push((before, now));
    }
}

/// Where a key waits that is to take the place of the one in this file.
pub(crate) fn next(path: &Path) -> PathBuf {
    beside(path, ".next")
}

/// The file's name with something behind it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The key in a file, if there is one that is fit for use. What is wrong with it is told when a process starts; one that
/// runs goes on with the keys it has.
pub(crate) fn usable(path: &Path) -> Option<Key> {
    Key::read(path)
        .inspect_err(|error| tracing::warn!(%error, "a secret key file cannot be used"))
        .ok()
        .flatten()
}

impl Keyring {
    pub(crate) fn new(path: PathBuf, current: Key) -> Self {
        Self { path, held: RwLock::new(Held { current: Arc::new(current), earlier: Vec::new() }) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The key in use.
    pub(crate) fn current(&self) -> Arc<Key> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// The key of this id, in use or seen before, or else in the key file or beside it: then it is in use from now on.
    pub(crate) fn by_id(&self, id: &str, now: Timestamp) -> Option<Arc<Key>> {
        if let Some(known) = self.held.read().unwrap_or_else(PoisonError::into_inner).by_id(id) {
            return Some(known);
        }
        // The key file a second time: the other may have been put in its place while they were read
        let files = [self.path.clone(), next(&self.path), self.path.clone()];
        let found = files.iter().filter_map(|path| usable(path)).find(|key| key.id() == id)?;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.by_id(id).is_none() {
            held.take_up(found, now);
        }
        held.by_id(id)
    }

    /// The key in use, after a look at the key file: one that was never seen in it is in use from now on.
    pub(crate) fn newest(&self, now: Timestamp) -> Arc<Key> {
        if let Some(key) = usable(&self.path) {
            self.by_id(key.id(), now);
        }
        self.current()
    }

    /// The keys that open what was given away: the one in use, and for a while those before it.
    pub(crate) fn opening(&self, now: Timestamp) -> Vec<Arc<Key>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let young = held.earlier.iter().filter(|(_, since)| now.duration_since(*since) < GRACE);
        std::iter::once(&held.current).chain(young.map(|(key, _)| key)).cloned().collect()
    }
}
