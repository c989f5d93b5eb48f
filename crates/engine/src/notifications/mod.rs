//! Near real time: which subscriptions to change notifications should exist, when a hint becomes a run, and how fresh
//! the site is. Decisions are pure, with the time passed in ([`upkeep`], [`hints`], [`freshness`]); [`keeper`] carries them
//! out over two ports. Several servers over one database keep the state in turn.

pub mod freshness;
pub mod hints;
pub mod keeper;
pub mod upkeep;

use std::future::Future;

use entrain_domain::Failure;
use entrain_domain::notification::{Renewal, Subscription, SubscriptionId, Watched};
use entrain_domain::service::Turn;
use jiff::Timestamp;

/// What a new subscription is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// Where notifications go.
    pub notification_url: String,
    /// Where news of the subscription itself go.
    pub lifecycle_url: String,
    /// Until when it is to live.
    pub expires_at: Timestamp,
}

/// The directory's side of subscriptions.
pub trait Subscriptions: Send + Sync {
    /// Subscribes under a new secret; gives back the SHA-256 of the secret in hex, which is all that is kept of it.
    fn subscribe(
        &self,
        watched: Watched,
        order: &Order,
    ) -> impl Future<Output = Result<(Subscription, String), Failure>> + Send;
    /// Lets a subscription live until then.
    fn renew(
        &self,
        watched: Watched,
        id: &SubscriptionId,
        until: Timestamp,
    ) -> impl Future<Output = Result<Renewal, Failure>> + Send;
    /// Authorizes it again.
    fn reauthorize(
        &self,
        watched: Watched,
        id: &SubscriptionId,
    ) -> impl Future<Output = Result<Renewal, Failure>> + Send;
    /// Ends it; one that is gone is fine.
    fn unsubscribe(&self, id: &SubscriptionId) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A part of a connection's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A subscription.
    Upkeep(Watched),
    /// Hints that wait.
    Hints,
}

impl Part {
    /// The word stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upkeep(watched) => watched.as_str(),
            Self::Hints => "hints",
        }
    }
}

/// Where the state is kept, so that of several servers one changes it.
pub trait Shelf: Send + Sync {
    /// A part with its revision, as JSON.
    fn load(
        &self,
        connection: &str,
        part: Part,
    ) -> impl Future<Output = Result<Option<(i64, String)>, Failure>> + Send;
    /// Stores a part anew, unless it was changed since revision `before`.
    fn keep(
        &self,
        connection: &str,
        part: Part,
        before: Option<i64>,
        body: String,
    ) -> impl Future<Output = Result<Turn, Failure>> + Send;
}
