//! The subscriptions that applications hold, what was delivered on them, and what is kept to be sent again by control.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Letters kept, so that control can send them again.
const KEPT: usize = 200;

/// What a subscription watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watched {
    Users,
    Groups,
}

impl Watched {
    /// The collection behind a `resource`: with or without a leading slash, in any case.
    pub(crate) fn parse(resource: &str) -> Option<Self> {
        match resource.trim_start_matches('/').to_ascii_lowercase().as_str() {
            "users" => Some(Self::Users),
            "groups" => Some(Self::Groups),
            _ => None,
        }
    }
}

/// How far a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Its addresses are being validated.
    Pending,
    /// Notifications are sent.
    Active,
    /// It has to be authorized again first; what happens meanwhile is lost.
    Paused,
}

/// One subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) app: String,
    pub(crate) creator: String,
    pub(crate) resource: String,
    pub(crate) watched: Watched,
    /// As it was sent, for the answer.
    pub(crate) change_type: String,
    /// Sorted.
    pub(crate) change_types: Vec<String>,
    pub(crate) notification_url: String,
    pub(crate) lifecycle_url: Option<String>,
    pub(crate) expires: Timestamp,
    pub(crate) client_state: Option<String>,
    pub(crate) tls: Option<String>,
    pub(crate) standing: Standing,
}

impl Subscription {
    /// The object as Graph shows it.
    pub(crate) fn render(&self) -> Value {
        json!({
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.app,
            "changeType": self.change_type,
            "clientState": self.client_state,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": null,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": self.expires.to_string(),
            "creatorId": self.creator,
            "includeResourceData": null,
            "latestSupportedTlsVersion": self.tls,
            "encryptionCertificate": null,
            "encryptionCertificateId": null,
            "notificationUrlAppId": null,
        })
    }

    /// Whether a change of this type is told.
    pub(crate) fn hears(&self, change: &str) -> bool {
        self.change_types.iter().any(|wanted| wanted == change)
    }
}

/// A body on its way, or that was.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) url: String,
    pub(crate) body: Value,
}

/// What became of the letters.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tally {
    /// Requests made.
    pub(crate) requests: u64,
    /// Notifications in answered letters.
    pub(crate) notifications: u64,
    /// Answers by status; `none` for no answer in time.
    pub(crate) statuses: BTreeMap<String, u64>,
    /// Answers that took longer than 2.9 s, or did not come.
    pub(crate) slow: u64,
    /// Notifications that were not sent.
    pub(crate) dropped: u64,
    /// Letters that were sent again after a refusal.
    pub(crate) retried: u64,
    /// The slowest answer.
    pub(crate) slowest_ms: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) all: BTreeMap<String, Subscription>,
    /// Position in the tenant's log up to which changes were told.
    pub(crate) cursor: u64,
    pub(crate) tally: Tally,
    /// Answers and slow ones, by address.
    pub(crate) slow_by_url: BTreeMap<String, (u64, u64)>,
    pub(crate) kept: VecDeque<Letter>,
}

impl Registry {
    /// Forgets what has expired.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.all.retain(|_, subscription| subscription.expires > now);
    }

    /// Keeps a letter for control.
    pub(crate) fn keep(&mut self, letter: &Letter) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(letter.clone());
    }
}

/// The subscriptions of the tenant.
#[derive(Debug, Default)]
pub struct Subscriptions(Mutex<Registry>);

impl Subscriptions {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
