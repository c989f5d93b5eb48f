//! One value for each user of a snapshot, found by the user's index: a plan asks for every membership of every person, and
//! a map by id would hash the id each time and hold it once more.

use crate::model::{DirectorySnapshot, UserIx};

/// Values by user.
#[derive(Debug)]
pub(super) struct ByUser<T>(Vec<Option<T>>);

impl<T> ByUser<T> {
    /// Nothing yet, for any user of the snapshot.
    pub(super) fn of(directory: &DirectorySnapshot) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(directory.user_slots(), || None);
        Self(slots)
    }

    pub(super) fn get(&self, user: UserIx) -> Option<&T> {
        self.0.get(user.position())?.as_ref()
    }

    pub(super) fn put(&mut self, user: UserIx, value: T) {
        self.0[user.position()] = Some(value);
    }

    pub(super) fn get_or_put(&mut self, user: UserIx, value: impl FnOnce() -> T) -> &T {
        self.0[user.position()].get_or_insert_with(value)
    }
}
