//! What comes through the door, between the request and the database. A request is checked against what is known in
//! memory and answered at once; the keeper stores what was heard a moment later, however much it was, in one write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use entrain_domain::notification::{LifecycleEvent, SubscriptionId, Watched};
use entrain_domain::service::slug;
use entrain_engine::notifications::hints::Waiting;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Notified, Subscriber};

/// What is known in memory is looked up again no more often than this for somebody who knocks: not long, as what comes
/// right after a subscription was made is not to be taken for wrong.
const LOOK_UP_EVERY: Duration = Duration::from_millis(100);
/// Wrong requests in a minute that make an address suspicious.
const WRONG: u32 = 300;
/// Of a suspicious address every so many requests one is looked at: Graph may knock from there too, and knocks again.
const ONE_IN: u32 = 10;
const WINDOW: Duration = Duration::from_mins(1);
/// An address that brought something right lately is never turned away.
const GOOD_FOR: Duration = Duration::from_hours(24);
/// Addresses remembered.
const MOST: usize = 10_000;

/// What a request brought.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Items that bear the secret of a subscription.
    pub(crate) good: u64,
    /// Items that do not.
    pub(crate) wrong: u64,
}

/// One item of a request, as far as it is looked at.
pub(crate) struct Item<'a> {
    pub(crate) subscription: &'a str,
    pub(crate) secret: &'a str,
}

#[derive(Default)]
struct Known {
    by_slug: HashMap<String, Vec<Subscriber>>,
    looked_up: Option<Instant>,
}

#[derive(Default)]
struct Address {
    wrong: u32,
    turned_away: u32,
    since: Option<Instant>,
    good: Option<Instant>,
}

/// A lifecycle event that waits to be stored; one that is told twice is kept once.
type Event = (String, Watched, SubscriptionId, LifecycleEvent);

/// What was heard and is not stored yet, and what is needed to tell right from wrong.
pub struct Hearing {
    service: Arc<dyn Notified>,
    known: Mutex<Known>,
    hints: Mutex<BTreeMap<String, Waiting>>,
    events: Mutex<BTreeSet<Event>>,
    addresses: Mutex<HashMap<Option<IpAddr>, Address>>,
    /// Requests whose bodies are in memory.
    pub(crate) room: tokio::sync::Semaphore,
    looking: tokio::sync::Mutex<()>,
    complained: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hearing")
    }
}

/// Bodies in memory at one time.
const BODIES: usize = 64;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hearing {
    /// Nothing heard yet.
    pub fn new(service: Arc<dyn Notified>) -> Arc<Self> {
        Arc::new(Self {
            service,
            known: Mutex::default(),
            hints: Mutex::default(),
            events: Mutex::default(),
            addresses: Mutex::default(),
            room: tokio::sync::Semaphore::new(BODIES),
            looking: tokio::sync::Mutex::default(),
            complained: Mutex::default(),
        })
    }

    /// Looks up who wants notifications.
    pub(crate) async fn look_up(&self) -> Result<(), entrain_domain::Failure> {
        let all = self.service.subscribers().await;
        let mut known = locked(&self.known);
        known.looked_up = Some(Instant::now());
        known.by_slug.clear();
        for subscriber in all? {
            known.by_slug.entry(slug(&subscriber.connection)).or_default().push(subscriber);
        }
        Ok(())
    }

    /// Whether anybody wants notifications, as far as is known.
    pub(crate) fn anybody(&self) -> bool {
        !locked(&self.known).by_slug.is_empty()
    }

    /// Looks up again for what is not known, no more often than may be, however many knock.
    async fn look_up_for(&self, unknown: impl Fn(&Known) -> bool) {
        let late = |known: &Known| known.looked_up.is_none_or(|at| at.elapsed() >= LOOK_UP_EVERY);
        let wanted = || {
            let known = locked(&self.known);
            unknown(&known) && late(&known)
        };
        if !wanted() {
            return;
        }
        let _looking = self.looking.lock().await;
        if wanted()
            && let Err(failure) = self.look_up().await
        {
            super::passing("it cannot be looked up who wants change notifications", &failure);
        }
    }

    /// Whether a connection of this address wants notifications.
    pub(crate) async fn has_door(&self, slug: &str) -> bool {
        self.look_up_for(|known| !known.by_slug.contains_key(slug)).await;
        locked(&self.known).by_slug.contains_key(slug)
    }

    /// Looks up again if one of these subscriptions is not known.
    pub(crate) async fn learn(&self, slug: &str, ids: &BTreeSet<&str>) {
        self.look_up_for(|known| {
            let held = |id: &str| {
                let here = known.by_slug.get(slug).into_iter().flatten();
                here.flat_map(|s| &s.held).any(|(_, held, _)| held.as_str() == id)
            };
            ids.iter().any(|id| !held(id))
        })
        .await;
    }

    /// The connection and subscription behind an item, if its secret is right. Takes as long for an id that nobody holds.
    pub(crate) fn whose(&self, slug: &str, item: &Item<'_>) -> Option<(String, Watched, SubscriptionId)> {
        let given = hex::encode(Sha256::digest(item.secret));
        let known = locked(&self.known);
        let nobody = "0".repeat(given.len());
        let found = known.by_slug.get(slug).into_iter().flatten().find_map(|subscriber| {
            let held = subscriber.held.iter().find(|(_, id, _)| id.as_str() == item.subscription)?;
            Some((subscriber.connection.clone(), held))
        });
        let hash = found.as_ref().map_or(nobody.as_str(), |(_, (_, _, hash))| hash.as_str());
        let same = bool::from(given.as_bytes().ct_eq(hash.as_bytes()));
        found.filter(|_| same).map(|(connection, (watched, id, _))| (connection, *watched, id.clone()))
    }

    /// Notes hints.
    pub(crate) fn hint(&self, connection: &str, count: u64, now: Timestamp) {
        let mut hints = locked(&self.hints);
        let new = Waiting { first_at: now, last_at: now, count: 0 };
        let waiting = hints.entry(connection.to_owned()).or_insert(new);
        waiting.last_at = waiting.last_at.max(now);
        waiting.count += count;
    }

    /// Notes a lifecycle event.
    pub(crate) fn event(
        &self,
        connection: String,
        watched: Watched,
        id: SubscriptionId,
        event: LifecycleEvent,
    ) {
        locked(&self.events).insert((connection, watched, id, event));
    }

    /// Stores what was heard. What cannot be stored is kept for the next time.
    pub(crate) async fn store(&self) {
        let hints = std::mem::take(&mut *locked(&self.hints));
        for (connection, waiting) in hints {
            if let Err(failure) = self.service.hear(&connection, waiting).await {
                super::passing("hints of change notifications cannot be stored", &failure);
                let mut hints = locked(&self.hints);
                let entry = hints.entry(connection).or_insert(waiting);
                entry.first_at = entry.first_at.min(waiting.first_at);
            }
        }
        let events = std::mem::take(&mut *locked(&self.events));
        for event in events {
            let (connection, watched, id, what) = &event;
            if let Err(failure) = self.service.lifecycle(connection, *watched, id, *what).await {
                super::passing("a lifecycle event cannot be stored", &failure);
                locked(&self.events).insert(event);
            }
        }
    }

    /// Whether a request from this address is turned away without a look: it brings nothing right, and much of it.
    pub(crate) fn turns_away(&self, from: Option<IpAddr>) -> bool {
        let mut addresses = locked(&self.addresses);
        let Some(address) = addresses.get_mut(&from) else { return false };
        let good = address.good.is_some_and(|at| at.elapsed() < GOOD_FOR);
        let lately = address.since.is_some_and(|at| at.elapsed() < WINDOW);
        if good || address.wrong < WRONG || !lately {
            return false;
        }
        address.turned_away = address.turned_away.wrapping_add(1);
        !address.turned_away.is_multiple_of(ONE_IN)
    }

    /// Whether it is time to say again that wrong requests come: anybody can send them without end.
    pub(crate) fn may_complain(&self) -> bool {
        let mut said = locked(&self.complained);
        let may = said.is_none_or(|at| at.elapsed() >= WINDOW);
        if may {
            *said = Some(Instant::now());
        }
        may
    }

    /// Notes what an address brought.
    pub(crate) fn note(&self, from: Option<IpAddr>, heard: Heard) {
        let mut addresses = locked(&self.addresses);
        let fresh = |at: Option<Instant>, time| at.is_some_and(|at| at.elapsed() < time);
        if addresses.len() >= MOST {
            addresses.retain(|_, a| fresh(a.since, WINDOW) || fresh(a.good, GOOD_FOR));
        }
        if addresses.len() >= MOST && !addresses.contains_key(&from) {
            return;
        }
        let address = addresses.entry(from).or_default();
        if heard.good > 0 {
            address.good = Some(Instant::now());
        } else {
            if !fresh(address.since, WINDOW) {
                (address.wrong, address.since) = (0, Some(Instant::now()));
            }
            address.wrong = address.wrong.saturating_add(1);
        }
    }
}
