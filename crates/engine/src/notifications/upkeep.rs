//! What is to be done about one subscription: made, renewed at half its life, authorized again, replaced, ended; and when
//! it is tried again after a failure. Pure.

use std::time::Duration;

use entrain_domain::Failure;
use entrain_domain::notification::{LifecycleEvent, Renewal, Subscription, SubscriptionId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// For how long a subscription is asked for: a day less than the most that users and groups are given
/// (microsoft-graph.md 9.1), so that clocks may differ.
pub const LIFE: Duration = Duration::from_hours(28 * 24);
/// For how long whoever does something has it to himself; a server that dies in the middle is waited for no longer.
const TURN: Duration = Duration::from_mins(2);
/// The first wait after a failure, doubled with each further one.
const RETRY: Duration = Duration::from_secs(30);
/// The longest wait after a failure.
const RETRY_AT_MOST: Duration = Duration::from_hours(1);

/// A subscription that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its id.
    pub id: SubscriptionId,
    /// SHA-256 of its secret, in hex.
    pub secret_hash: String,
    /// Where its notifications go.
    pub notification_url: String,
    /// When it was made or last renewed.
    pub since: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What the directory asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Authorize it again.
    Reauthorize,
    /// Make another: it is no more.
    Recreate,
}

/// What is known of one subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upkeep {
    /// The one that is held.
    pub held: Option<Held>,
    /// What the directory asked for, until it is done.
    pub asked: Option<Asked>,
    /// Failures one after another.
    pub failures: u32,
    /// The last of them.
    pub failure: Option<Failure>,
    /// Nothing is done before then: it failed, or somebody is at it.
    pub not_before: Option<Timestamp>,
}

/// What should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where notifications go.
    pub notification_url: String,
    /// Where lifecycle events go.
    pub lifecycle_url: String,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Subscribe; end this one before, if there is one.
    Create(Option<SubscriptionId>),
    /// Renew.
    Renew(SubscriptionId),
    /// Authorize again.
    Reauthorize(SubscriptionId),
    /// End it; nobody wants it.
    End(SubscriptionId),
}

/// How an act came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// There is a new subscription, with the hash of its secret.
    Created(Subscription, String),
    /// It was renewed or authorized.
    Renewed(Renewal),
    /// It was ended.
    Ended,
    /// It failed.
    Failed(Failure),
}

/// What has to follow at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Changes may have passed untold: read what changed.
    Read,
    /// Nothing.
    Nothing,
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}

impl Upkeep {
    /// What is to be done now, if anything.
    pub fn act(&self, wanted: Option<&Wanted>, now: Timestamp) -> Option<Act> {
        // A wait far ahead was noted by a clock that has been put back since
        let waits = self.not_before.is_some_and(|at| now < at && at <= later(now, RETRY_AT_MOST + TURN));
        if waits {
            return None;
        }
        let id = self.held.as_ref().map(|held| held.id.clone());
        let Some(wanted) = wanted else { return id.map(Act::End) };
        let Some(held) = &self.held else { return Some(Act::Create(None)) };
        if self.asked == Some(Asked::Recreate)
            || held.expires_at <= now
            || held.notification_url != wanted.notification_url
        {
            return Some(Act::Create(id));
        }
        let half = held.expires_at.duration_since(held.since) / 2;
        if now >= held.since.checked_add(half).unwrap_or(held.expires_at) || now < held.since {
            return Some(Act::Renew(held.id.clone()));
        }
        (self.asked == Some(Asked::Reauthorize)).then(|| Act::Reauthorize(held.id.clone()))
    }

    /// The same, with the turn taken: nobody else acts meanwhile.
    #[must_use]
    pub fn taken(mut self, now: Timestamp) -> Self {
        self.not_before = Some(later(now, TURN));
        self
    }

    /// Takes in how an act came out.
    pub fn came(&mut self, wanted: Option<&Wanted>, came: Came, now: Timestamp) -> Follow {
        self.not_before = None;
        let good = |upkeep: &mut Self| {
            (upkeep.failures, upkeep.failure, upkeep.asked) = (0, None, None);
        };
        match came {
            Came::Created(subscription, secret_hash) => {
                good(self);
                self.held = Some(Held {
                    id: subscription.id,
                    secret_hash,
                    notification_url: wanted.map(|w| w.notification_url.clone()).unwrap_or_default(),
                    since: now,
                    expires_at: subscription.expires_at,
                });
                Follow::Read
            }
            Came::Renewed(Renewal::Until(until)) => {
                good(self);
                if let Some(held) = &mut self.held {
                    (held.since, held.expires_at) = (now, until);
                }
                Follow::Nothing
            }
            // What changed while it was silent was not told
            Came::Renewed(Renewal::Authorized) => {
                good(self);
                Follow::Read
            }
            Came::Renewed(Renewal::Gone) => {
                (self.held, self.asked) = (None, None);
                Follow::Read
            }
            Came::Ended => {
                *self = Self::default();
                Follow::Nothing
            }
            Came::Failed(failure) => {
                let doubled = RETRY.saturating_mul(1 << self.failures.min(10));
                self.not_before = Some(later(now, doubled.min(RETRY_AT_MOST)));
                self.failures = self.failures.saturating_add(1);
                self.failure = Some(failure);
                Follow::Nothing
            }
        }
    }

    /// Takes in what the directory says of the subscription. One that is not held is not asked about.
    pub fn event(&mut self, id: &SubscriptionId, event: LifecycleEvent) -> Follow {
        if self.held.as_ref().is_none_or(|held| held.id != *id) {
            return Follow::Nothing;
        }
        match event {
            LifecycleEvent::ReauthorizationRequired => {
                self.asked.get_or_insert(Asked::Reauthorize);
                // What failed before may go well now
                self.not_before = None;
                Follow::Nothing
            }
            LifecycleEvent::SubscriptionRemoved => {
                (self.asked, self.not_before) = (Some(Asked::Recreate), None);
                Follow::Read
            }
            LifecycleEvent::Missed => Follow::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use entrain_domain::{FailureClass, FailureCode};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn wanted() -> Wanted {
        Wanted {
            notification_url: "https://a.example/doors/x/notifications".into(),
            lifecycle_url: "https://a.example/doors/x/lifecycle".into(),
        }
    }

    fn id(text: &str) -> SubscriptionId {
        SubscriptionId::parse(text).unwrap()
    }

    fn created(name: &str, until: &str) -> Came {
        Came::Created(Subscription { id: id(name), expires_at: at(until) }, "hash".into())
    }

    fn held(until: &str) -> Upkeep {
        let mut upkeep = Upkeep::default();
        let follow = upkeep.came(Some(&wanted()), created("one", until), at("2026-05-01T00:00:00Z"));
        assert_eq!(follow, Follow::Read, "what changed before it was there was not told");
        upkeep
    }

    fn failure() -> Failure {
        Failure::new(FailureCode::DirectoryUnavailable, FailureClass::Transient, "down", "wait")
    }

    #[test]
    fn one_is_made_renewed_at_half_its_life_and_ended_when_nobody_wants_it() {
        let upkeep = held("2026-05-29T00:00:00Z");
        let wants = wanted();
        assert_eq!(Upkeep::default().act(Some(&wants), at("2026-05-01T00:00:00Z")), Some(Act::Create(None)));
        assert_eq!(upkeep.act(Some(&wants), at("2026-05-14T23:59:59Z")), None);
        assert_eq!(upkeep.act(Some(&wants), at("2026-05-15T00:00:00Z")), Some(Act::Renew(id("one"))));
        let mut renewed = upkeep.clone();
        let until = Came::Renewed(Renewal::Until(at("2026-06-12T00:00:00Z")));
        renewed.came(Some(&wants), until, at("2026-05-15T00:00:00Z"));
        assert_eq!(renewed.act(Some(&wants), at("2026-05-28T23:00:00Z")), None);
        assert_eq!(upkeep.act(Some(&wants), at("2026-05-29T00:00:00Z")), Some(Act::Create(Some(id("one")))));
        assert_eq!(upkeep.act(None, at("2026-05-02T00:00:00Z")), Some(Act::End(id("one"))));
        assert_eq!(Upkeep::default().act(None, at("2026-05-02T00:00:00Z")), None);
    }

    #[test]
    fn a_life_that_was_granted_shorter_counts() {
        let upkeep = held("2026-05-01T00:00:04Z");
        assert_eq!(upkeep.act(Some(&wanted()), at("2026-05-01T00:00:01Z")), None);
        assert_eq!(upkeep.act(Some(&wanted()), at("2026-05-01T00:00:02Z")), Some(Act::Renew(id("one"))));
    }

    #[test]
    fn another_address_replaces_it() {
        let upkeep = held("2026-05-29T00:00:00Z");
        let moved = Wanted { notification_url: "https://b.example/x".into(), ..wanted() };
        assert_eq!(upkeep.act(Some(&moved), at("2026-05-01T01:00:00Z")), Some(Act::Create(Some(id("one")))));
    }

    #[test]
    fn what_the_directory_asks_for_is_done_and_only_for_the_one_that_is_held() {
        let now = at("2026-05-01T01:00:00Z");
        let mut upkeep = held("2026-05-29T00:00:00Z");
        for event in [LifecycleEvent::ReauthorizationRequired, LifecycleEvent::SubscriptionRemoved] {
            let before = upkeep.clone();
            assert_eq!(upkeep.event(&id("another"), event), Follow::Nothing);
            assert_eq!(upkeep, before);
        }
        upkeep.event(&id("one"), LifecycleEvent::ReauthorizationRequired);
        assert_eq!(upkeep.act(Some(&wanted()), now), Some(Act::Reauthorize(id("one"))));
        let follow = upkeep.came(Some(&wanted()), Came::Renewed(Renewal::Authorized), now);
        assert_eq!((follow, upkeep.act(Some(&wanted()), now)), (Follow::Read, None));
        assert_eq!(upkeep.event(&id("one"), LifecycleEvent::SubscriptionRemoved), Follow::Read);
        assert_eq!(upkeep.act(Some(&wanted()), now), Some(Act::Create(Some(id("one")))));
        upkeep.came(Some(&wanted()), created("two", "2026-05-29T00:00:00Z"), now);
        assert_eq!(upkeep.act(Some(&wanted()), now), None);
    }

    #[test]
    fn one_that_is_gone_is_made_again_at_once() {
        let now = at("2026-05-15T00:00:00Z");
        let mut upkeep = held("2026-05-29T00:00:00Z");
        assert_eq!(upkeep.came(Some(&wanted()), Came::Renewed(Renewal::Gone), now), Follow::Read);
        assert_eq!(upkeep.act(Some(&wanted()), now), Some(Act::Create(None)));
    }

    #[test]
    fn failures_are_waited_for_longer_each_time_and_the_reason_stays_until_it_goes_well() {
        let mut upkeep = Upkeep::default();
        let mut now = at("2026-05-01T00:00:00Z");
        let mut waits = Vec::new();
        for _ in 0..10 {
            upkeep.came(Some(&wanted()), Came::Failed(failure()), now);
            let next = upkeep.not_before.unwrap();
            assert_eq!(upkeep.act(Some(&wanted()), now), None);
            assert_eq!(upkeep.act(Some(&wanted()), next), Some(Act::Create(None)));
            waits.push(next.duration_since(now).as_secs());
            now = next;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(upkeep.failure, Some(failure()));
        upkeep.came(Some(&wanted()), created("one", "2026-06-29T00:00:00Z"), now);
        assert_eq!((upkeep.failures, &upkeep.failure), (0, &None));
    }

    #[test]
    fn whoever_has_the_turn_is_left_alone_for_a_while_and_a_clock_put_back_does_not_stop_it() {
        let now = at("2026-05-01T00:00:00Z");
        let taken = Upkeep::default().taken(now);
        assert_eq!(taken.act(Some(&wanted()), now), None);
        assert_eq!(taken.act(Some(&wanted()), at("2026-05-01T00:02:00Z")), Some(Act::Create(None)));
        assert_eq!(taken.act(Some(&wanted()), at("2020-05-01T00:00:00Z")), Some(Act::Create(None)));
    }
}
