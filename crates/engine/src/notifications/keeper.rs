//! Carries out what the pure parts decide, over the directory and the shelf. Whoever loses a turn to another server does
//! nothing.

use entrain_domain::notification::{LifecycleEvent, SubscriptionId, Trouble, Watched};
use entrain_domain::service::Turn;
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::hints::{Found, Hints, Patience, Source, Subscribed, Waiting};
use super::upkeep::{Act, Came, Follow, LIFE, Upkeep, Wanted};
use super::{Order, Part, Shelf, Subscriptions};

/// How often a change is tried against other servers that change the same.
const TRIES: usize = 8;

fn read<T: DeserializeOwned + Default>(body: Option<&str>) -> T {
    // A body of another version that cannot be read is begun anew: subscriptions are made again
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

fn written<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Changes a part, whoever else does; gives back what the change gives.
async fn change<T, R>(
    shelf: &impl Shelf,
    connection: &str,
    part: Part,
    mut edit: impl FnMut(&mut T) -> R + Send,
) -> Result<R, Failure>
where
    T: DeserializeOwned + Serialize + Default + Clone + PartialEq + Send,
    R: Send,
{
    for _ in 0..TRIES {
        let stored = shelf.load(connection, part).await?;
        let mut value: T = read(stored.as_ref().map(|(_, body)| body.as_str()));
        let before = value.clone();
        let result = edit(&mut value);
        if value == before {
            return Ok(result);
        }
        let revision = stored.map(|(revision, _)| revision);
        if shelf.keep(connection, part, revision, written(&value)).await? == Turn::Ours {
            return Ok(result);
        }
    }
    Err(Failure::new(
        FailureCode::StoreFailed,
        FailureClass::Transient,
        "other servers change the state of change notifications all the time",
        "Nothing has to be done: it is tried again",
    )
    .of(connection))
}

/// Sees to the subscriptions of a connection; `None` wants none.
///
/// # Errors
/// Whatever keeps the state from being read or stored. What the directory refuses is kept with the state, and told as a
/// [`Trouble`].
pub async fn keep_up(
    directory: &impl Subscriptions,
    shelf: &impl Shelf,
    connection: &str,
    wanted: Option<&Wanted>,
    now: &(impl Fn() -> Timestamp + Sync),
) -> Result<(), Failure> {
    for watched in Watched::ALL {
        keep_one(directory, shelf, connection, watched, wanted, now).await?;
    }
    Ok(())
}

/// Whether anything is to be done for a connection: asked before a client is made.
///
/// # Errors
/// Whatever keeps the state from being read.
pub async fn needs(
    shelf: &impl Shelf,
    connection: &str,
    wanted: Option<&Wanted>,
    now: Timestamp,
) -> Result<bool, Failure> {
    for watched in Watched::ALL {
        let stored = shelf.load(connection, Part::Upkeep(watched)).await?;
        let upkeep: Upkeep = read(stored.as_ref().map(|(_, body)| body.as_str()));
        if upkeep.act(wanted, now).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends what a connection holds that is no more, whoever was about to do something with it.
///
/// # Errors
/// Whatever keeps the state from being stored, or what the directory answers. The state forgets the subscriptions all the
/// same: what they tell is refused from now on, and they end when their time is over.
pub async fn end(
    directory: &impl Subscriptions,
    shelf: &impl Shelf,
    connection: &str,
) -> Result<(), Failure> {
    let mut ended = Ok(());
    for watched in Watched::ALL {
        let forget = |upkeep: &mut Upkeep| std::mem::take(upkeep).held;
        let held = change(shelf, connection, Part::Upkeep(watched), forget).await?;
        if let Some(held) = held
            && let Err(failure) = directory.unsubscribe(&held.id).await
        {
            ended = Err(failure);
        }
    }
    ended
}

async fn keep_one(
    directory: &impl Subscriptions,
    shelf: &impl Shelf,
    connection: &str,
    watched: Watched,
    wanted: Option<&Wanted>,
    now: &(impl Fn() -> Timestamp + Sync),
) -> Result<(), Failure> {
    let part = Part::Upkeep(watched);
    // One that is gone is made again within the same call
    for _ in 0..2 {
        let stored = shelf.load(connection, part).await?;
        let upkeep: Upkeep = read(stored.as_ref().map(|(_, body)| body.as_str()));
        let Some(act) = upkeep.act(wanted, now()) else { return Ok(()) };
        let revision = stored.map(|(revision, _)| revision);
        if shelf.keep(connection, part, revision, written(&upkeep.taken(now()))).await? == Turn::Anothers {
            return Ok(());
        }
        let came = perform(directory, watched, &act, wanted, now()).await;
        let word = watched.as_str();
        match &came {
            Came::Failed(failure) => {
                tracing::warn!(connection, watched = word, code = %failure.code, "change notifications: {failure}");
            }
            came => tracing::info!(connection, watched = word, "change notifications: {}", told(came)),
        }
        let at = now();
        let follow =
            change(shelf, connection, part, |upkeep: &mut Upkeep| upkeep.came(wanted, came.clone(), at))
                .await?;
        if follow == Follow::Read {
            hint(shelf, connection, at).await?;
        }
    }
    Ok(())
}

fn told(came: &Came) -> &'static str {
    match came {
        Came::Created(..) => "subscribed",
        Came::Renewed(entrain_domain::notification::Renewal::Until(_)) => "renewed",
        Came::Renewed(entrain_domain::notification::Renewal::Authorized) => "authorized again",
        Came::Renewed(entrain_domain::notification::Renewal::Gone) => "the subscription is gone",
        Came::Ended => "ended",
        Came::Failed(_) => "failed",
    }
}

async fn perform(
    directory: &impl Subscriptions,
    watched: Watched,
    act: &Act,
    wanted: Option<&Wanted>,
    now: Timestamp,
) -> Came {
    let life = SignedDuration::try_from(LIFE).unwrap_or(SignedDuration::MAX);
    let until = now.checked_add(life).unwrap_or(now);
    let failed = Came::Failed;
    match (act, wanted) {
        (Act::Create(old), Some(wanted)) => {
            if let Some(old) = old
                && let Err(failure) = directory.unsubscribe(old).await
            {
                return failed(failure);
            }
            let order = Order {
                notification_url: wanted.notification_url.clone(),
                lifecycle_url: wanted.lifecycle_url.clone(),
                expires_at: until,
            };
            directory
                .subscribe(watched, &order)
                .await
                .map_or_else(failed, |(subscription, hash)| Came::Created(subscription, hash))
        }
        (Act::Renew(id), _) => directory.renew(watched, id, until).await.map_or_else(failed, Came::Renewed),
        (Act::Reauthorize(id), _) => {
            directory.reauthorize(watched, id).await.map_or_else(failed, Came::Renewed)
        }
        (Act::End(id) | Act::Create(Some(id)), None) => {
            directory.unsubscribe(id).await.map_or_else(failed, |()| Came::Ended)
        }
        (Act::End(id), Some(_)) => directory.unsubscribe(id).await.map_or_else(failed, |()| Came::Ended),
        (Act::Create(None), None) => Came::Ended,
    }
}

async fn hint(shelf: &impl Shelf, connection: &str, at: Timestamp) -> Result<(), Failure> {
    let new = Waiting { first_at: at, last_at: at, count: 1 };
    change(shelf, connection, Part::Hints, |hints: &mut Hints| hints.hear(new, Source::Upkeep)).await
}

/// Takes in hints of notifications.
///
/// # Errors
/// Whatever keeps the state from being stored.
pub async fn hear(shelf: &impl Shelf, connection: &str, new: Waiting) -> Result<(), Failure> {
    change(shelf, connection, Part::Hints, |hints: &mut Hints| hints.hear(new, Source::Notification)).await
}

/// Gives hints back that no run could answer.
///
/// # Errors
/// Whatever keeps the state from being stored.
pub async fn give_back(shelf: &impl Shelf, connection: &str, taken: Waiting) -> Result<(), Failure> {
    change(shelf, connection, Part::Hints, |hints: &mut Hints| hints.hear(taken, Source::Upkeep)).await
}

/// Takes in what the directory says of a subscription.
///
/// # Errors
/// Whatever keeps the state from being stored.
pub async fn event(
    shelf: &impl Shelf,
    connection: &str,
    watched: Watched,
    id: &SubscriptionId,
    event: LifecycleEvent,
    now: Timestamp,
) -> Result<(), Failure> {
    let part = Part::Upkeep(watched);
    let follow = change(shelf, connection, part, |upkeep: &mut Upkeep| upkeep.event(id, event)).await?;
    if follow == Follow::Nothing {
        return Ok(());
    }
    let new = Waiting { first_at: now, last_at: now, count: 1 };
    change(shelf, connection, Part::Hints, |hints: &mut Hints| {
        hints.hear(new, Source::Upkeep);
        if event == LifecycleEvent::Missed {
            hints.missed_at = Some(now);
        }
    })
    .await
}

/// Takes the hints of a connection for a run, if they are due and no other server was faster.
///
/// # Errors
/// Whatever keeps the state from being read or stored.
pub async fn take(
    shelf: &impl Shelf,
    connection: &str,
    patience: &Patience,
    now: Timestamp,
) -> Result<Option<Waiting>, Failure> {
    let stored = shelf.load(connection, Part::Hints).await?;
    let mut hints: Hints = read(stored.as_ref().map(|(_, body)| body.as_str()));
    if !hints.due(patience, now) {
        return Ok(None);
    }
    let taken = hints.take();
    let revision = stored.map(|(revision, _)| revision);
    Ok(match shelf.keep(connection, Part::Hints, revision, written(&hints)).await? {
        Turn::Ours => taken,
        Turn::Anothers => None,
    })
}

/// Takes in that a run began to read then, and what it found; `Found::Nothing` where a notification started it.
///
/// # Errors
/// Whatever keeps the state from being stored.
pub async fn polled(
    shelf: &impl Shelf,
    connection: &str,
    wanted: Option<&Wanted>,
    began: Timestamp,
    found: Found,
) -> Result<(), Failure> {
    let before: Hints =
        read(shelf.load(connection, Part::Hints).await?.as_ref().map(|(_, body)| body.as_str()));
    let mut subscribed = if wanted.is_some() { Subscribed::Throughout } else { Subscribed::No };
    for watched in Watched::ALL {
        let stored = shelf.load(connection, Part::Upkeep(watched)).await?;
        let upkeep: Upkeep = read(stored.as_ref().map(|(_, body)| body.as_str()));
        let since = upkeep.held.as_ref().filter(|held| held.expires_at > began).map(|held| held.since);
        let throughout = since.zip(before.read_at).is_some_and(|(since, read)| since <= read);
        if wanted.is_some() && (!throughout || upkeep.failure.is_some()) {
            subscribed = Subscribed::Partly;
        }
    }
    change(shelf, connection, Part::Hints, |hints: &mut Hints| hints.polled(began, found, subscribed)).await
}

/// A subscription for people.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// To what.
    pub watched: Watched,
    /// Its id, if there is one.
    pub id: Option<SubscriptionId>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it is renewed.
    pub renewed_at: Option<Timestamp>,
}

/// How the notifications of a connection stand.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// What is subscribed to.
    pub subscriptions: Vec<Shown>,
    /// The last notification.
    pub heard_at: Option<Timestamp>,
    /// What people have to know.
    pub troubles: Vec<Trouble>,
}

/// How the notifications of a connection stand.
///
/// # Errors
/// Whatever keeps the state from being read.
pub async fn standing(
    shelf: &impl Shelf,
    connection: &str,
    patience: &Patience,
    now: Timestamp,
) -> Result<Standing, Failure> {
    let mut subscriptions = Vec::new();
    let mut troubles = Vec::new();
    for watched in Watched::ALL {
        let stored = shelf.load(connection, Part::Upkeep(watched)).await?;
        let upkeep: Upkeep = read(stored.as_ref().map(|(_, body)| body.as_str()));
        let held = upkeep.held.as_ref().filter(|held| held.expires_at > now);
        if let Some(failure) = upkeep.failure.clone() {
            let until = held.map(|held| held.expires_at);
            troubles.push(Trouble::NotSubscribed { watched, until, failure });
        }
        let half = |since: Timestamp, end: Timestamp| since.checked_add(end.duration_since(since) / 2).ok();
        subscriptions.push(Shown {
            watched,
            id: held.map(|held| held.id.clone()),
            expires_at: held.map(|held| held.expires_at),
            renewed_at: held.and_then(|held| half(held.since, held.expires_at)),
        });
    }
    let hints: Hints =
        read(shelf.load(connection, Part::Hints).await?.as_ref().map(|(_, body)| body.as_str()));
    troubles.extend(hints.lost(patience, now).map(|since| Trouble::Lost { since }));
    troubles.extend(hints.missed(now).map(|at| Trouble::Missed { at }));
    Ok(Standing { subscriptions, heard_at: hints.heard_at, troubles })
}
