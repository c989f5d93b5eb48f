//! Who waits for a seat of which product, and since when: first come, first served holds over runs.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{DirectoryUserId, ProductKey};

/// Everybody who waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(BTreeMap<(ProductKey, DirectoryUserId), Timestamp>);

impl Queue {
    /// Whoever waits already keeps the place.
    pub(super) fn enter(&mut self, product: &ProductKey, user: &DirectoryUserId, since: Timestamp) {
        self.0.entry((product.clone(), user.clone())).or_insert(since);
    }

    pub(super) fn leave(&mut self, product: &ProductKey, user: &DirectoryUserId) {
        if !self.0.is_empty() {
            self.0.remove(&(product.clone(), user.clone()));
        }
    }

    pub(super) fn since(&self, product: &ProductKey, user: &DirectoryUserId) -> Option<Timestamp> {
        if self.0.is_empty() { None } else { self.0.get(&(product.clone(), user.clone())).copied() }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&ProductKey, &DirectoryUserId, Timestamp)> {
        self.0.iter().map(|((product, user), since)| (product, user, *since))
    }
}
