//! Near real time: subscriptions to change notifications kept up, what came through the door taken in, and runs started
//! once hints have become quiet. One run answers however many hints there were; the state is in the database, so that of
//! several servers one starts it.

mod hearing;
mod keeper;

use entrain_domain::Failure;
use entrain_domain::notification::{LifecycleEvent, SubscriptionId, Trouble, Watched};
use entrain_engine::notifications::freshness::Spread;
use entrain_engine::notifications::hints::Waiting;
use entrain_engine::notifications::keeper::Standing;

pub use hearing::Hearing;
pub(crate) use hearing::{Heard, Item};
pub use keeper::Keeper;

use crate::service::Answer;

/// A connection that wants change notifications, as its door has to know it.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// The connection.
    pub connection: String,
    /// Subscriptions it holds: what is watched, the id, and SHA-256 of the secret, in hex.
    pub held: Vec<(Watched, SubscriptionId, String)>,
}

/// How notifications stand, for people.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Whether the document asks for notifications.
    pub wanted: Wanted,
    /// Subscriptions and troubles.
    pub standing: Standing,
    /// How long changes took in the last day: all, and those that a notification announced.
    pub freshness: (Option<Spread>, Option<Spread>),
}

/// Whether a document asks for notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// What notifications need from behind the service.
pub trait Notified: Send + Sync {
    /// Connections that want notifications.
    fn subscribers(&self) -> Answer<'_, Vec<Subscriber>>;
    /// Makes, renews and ends subscriptions as they should be. What is refused is kept and told, no failure of this.
    fn keep_up(&self) -> Answer<'_, ()>;
    /// Takes in hints.
    fn hear<'a>(&'a self, connection: &'a str, hints: Waiting) -> Answer<'a, ()>;
    /// Takes in what the directory says of a subscription.
    fn lifecycle<'a>(
        &'a self,
        connection: &'a str,
        watched: Watched,
        id: &'a SubscriptionId,
        event: LifecycleEvent,
    ) -> Answer<'a, ()>;
    /// Connections with hints that a run is to answer now.
    fn due(&self) -> Answer<'_, Vec<String>>;
    /// Takes them for a run, unless another server has.
    fn take<'a>(&'a self, connection: &'a str) -> Answer<'a, Option<Waiting>>;
    /// Gives them back.
    fn give_back<'a>(&'a self, connection: &'a str, hints: Waiting) -> Answer<'a, ()>;
    /// How notifications of a connection stand.
    fn notifications<'a>(&'a self, connection: &'a str) -> Answer<'a, Shown>;
}

/// The troubles of a connection in a sentence each, for logs.
pub(crate) fn log(connection: &str, troubles: &[Trouble]) {
    for trouble in troubles {
        let (what, remedy) = trouble.words();
        tracing::warn!(connection, remedy, "change notifications: {what}");
    }
}

/// A failure of the state that the next look may not have.
pub(crate) fn passing(doing: &str, failure: &Failure) {
    tracing::warn!(code = %failure.code, "{doing}: {failure}");
}
