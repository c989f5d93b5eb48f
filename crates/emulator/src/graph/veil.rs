//! Replication delay: what changed a moment ago is not visible yet. Objects and links made within the delay are hidden;
//! lists, delta and advanced queries each have a delay of their own.

use std::collections::HashSet;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use super::answer::Call;
use super::list::Context;
use crate::world::tenant::{Changed, Member};

/// What the delay hides.
#[derive(Debug, Clone, Default)]
pub(super) struct Veil<'a> {
    objects: Rc<HashSet<&'a str>>,
    links: Rc<HashSet<(&'a str, &'a Member)>>,
}

impl Veil<'_> {
    pub(super) fn hides(&self, id: &str) -> bool {
        !self.objects.is_empty() && self.objects.contains(id)
    }

    pub(super) fn hides_link(&self, group: &str, member: &Member) -> bool {
        !self.links.is_empty() && self.links.contains(&(group, member))
    }
}

/// The instant up to which changes are visible with a delay.
pub(super) fn horizon(now: Timestamp, lag_ms: u64) -> Timestamp {
    let lag = SignedDuration::from_millis(i64::try_from(lag_ms).unwrap_or(i64::MAX));
    now.checked_sub(lag).unwrap_or(Timestamp::MIN)
}

impl<'a> Context<'a> {
    /// The veil over a request: that of the eventual index when it asks for it.
    pub(super) fn veil(&self, call: &Call) -> Veil<'a> {
        let lag = if call.eventual() { self.settings.advanced_lag_ms } else { self.settings.list_lag_ms };
        if lag == 0 {
            return Veil::default();
        }
        let horizon = horizon(self.state.now(), lag);
        let mut objects = HashSet::new();
        let mut links = HashSet::new();
        for change in self.tenant.log.iter().rev().take_while(|change| change.at > horizon) {
            match &change.what {
                Changed::User { id, properties } | Changed::Group { id, properties }
                    if properties.contains(&"id") =>
                {
                    objects.insert(id.as_str());
                }
                Changed::MemberAdded { group, member } => {
                    links.insert((group.as_str(), member));
                }
                _ => {}
            }
        }
        Veil { objects: Rc::new(objects), links: Rc::new(links) }
    }
}
