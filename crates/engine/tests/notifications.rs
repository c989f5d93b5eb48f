//! Subscriptions and hints over in-memory ports: two servers at once, a directory that forgets, refuses and comes back.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use entrain_domain::notification::{LifecycleEvent, Renewal, Subscription, SubscriptionId, Trouble, Watched};
use entrain_domain::service::Turn;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::notifications::hints::{Found, Patience, Waiting};
use entrain_engine::notifications::upkeep::Wanted;
use entrain_engine::notifications::{Order, Part, Shelf, Subscriptions, keeper};
use jiff::{SignedDuration, Timestamp};

const NAME: &str = "Azure AD";

#[derive(Default)]
struct Memory(Mutex<BTreeMap<&'static str, (i64, String)>>);

impl Shelf for Memory {
    async fn load(&self, _: &str, part: Part) -> Result<Option<(i64, String)>, Failure> {
        let found = self.0.lock().unwrap().get(part.as_str()).cloned();
        // Another server may come between
        tokio::task::yield_now().await;
        Ok(found)
    }
    async fn keep(&self, _: &str, part: Part, before: Option<i64>, body: String) -> Result<Turn, Failure> {
        let mut all = self.0.lock().unwrap();
        if all.get(part.as_str()).map(|(revision, _)| *revision) != before {
            return Ok(Turn::Anothers);
        }
        all.insert(part.as_str(), (before.unwrap_or(0) + 1, body));
        Ok(Turn::Ours)
    }
}

/// A directory that grants a fixed life.
#[derive(Default)]
struct Directory {
    now: AtomicI64,
    held: Mutex<BTreeMap<String, Watched>>,
    asked: Mutex<Vec<String>>,
    down: Mutex<bool>,
}

const LIFE: i64 = 1000;

impl Directory {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.now.load(Ordering::Relaxed)).unwrap()
    }
    fn at(&self, second: i64) {
        self.now.store(second, Ordering::Relaxed);
    }
    fn ends(&self) -> Timestamp {
        self.now().checked_add(SignedDuration::from_secs(LIFE)).unwrap()
    }
    fn ask(&self, what: String) -> Result<(), Failure> {
        self.asked.lock().unwrap().push(what);
        if *self.down.lock().unwrap() {
            return Err(Failure::new(
                FailureCode::DirectoryUnavailable,
                FailureClass::Transient,
                "down",
                "wait",
            ));
        }
        Ok(())
    }
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
    fn forget_all(&self) {
        self.held.lock().unwrap().clear();
    }
}

impl Subscriptions for Directory {
    async fn subscribe(&self, watched: Watched, _: &Order) -> Result<(Subscription, String), Failure> {
        self.ask(format!("subscribe {}", watched.as_str()))?;
        tokio::task::yield_now().await;
        let mut held = self.held.lock().unwrap();
        let id = format!("{}-{}", watched.as_str(), held.len());
        held.insert(id.clone(), watched);
        let id = SubscriptionId::parse(&id).unwrap();
        Ok((Subscription { id, expires_at: self.ends() }, "hash".into()))
    }
    async fn renew(&self, _: Watched, id: &SubscriptionId, _: Timestamp) -> Result<Renewal, Failure> {
        self.ask(format!("renew {id}"))?;
        let known = self.held.lock().unwrap().contains_key(id.as_str());
        Ok(if known { Renewal::Until(self.ends()) } else { Renewal::Gone })
    }
    async fn reauthorize(&self, _: Watched, id: &SubscriptionId) -> Result<Renewal, Failure> {
        self.ask(format!("reauthorize {id}"))?;
        Ok(Renewal::Authorized)
    }
    async fn unsubscribe(&self, id: &SubscriptionId) -> Result<(), Failure> {
        self.ask(format!("unsubscribe {id}"))?;
        self.held.lock().unwrap().remove(id.as_str());
        Ok(())
    }
}

fn wanted() -> Wanted {
    Wanted { notification_url: "https://a.example/n".into(), lifecycle_url: "https://a.example/l".into() }
}

async fn keep_up(directory: &Directory, shelf: &Memory, wanted: Option<&Wanted>) {
    keeper::keep_up(directory, shelf, NAME, wanted, &|| directory.now()).await.unwrap();
}

async fn troubles(directory: &Directory, shelf: &Memory) -> Vec<Trouble> {
    keeper::standing(shelf, NAME, &Patience::default(), directory.now()).await.unwrap().troubles
}

async fn take(directory: &Directory, shelf: &Memory) -> Option<Waiting> {
    keeper::take(shelf, NAME, &Patience::default(), directory.now()).await.unwrap()
}

#[tokio::test]
async fn of_two_servers_one_subscribes_and_one_takes_the_hints() {
    let (directory, shelf) = (Directory::default(), Memory::default());
    let wanted = wanted();
    tokio::join!(
        keep_up(&directory, &shelf, Some(&wanted)),
        keep_up(&directory, &shelf, Some(&wanted)),
        keep_up(&directory, &shelf, Some(&wanted))
    );
    keep_up(&directory, &shelf, Some(&wanted)).await;
    let mut asked = directory.asked();
    asked.sort();
    assert_eq!(asked, ["subscribe groups", "subscribe users"]);
    directory.at(10);
    let (one, other) = tokio::join!(take(&directory, &shelf), take(&directory, &shelf));
    assert!(one.is_some() != other.is_some(), "what changed before they were there is read once");
}

#[tokio::test]
async fn they_are_renewed_at_half_their_life_and_made_again_when_they_are_gone() {
    let (directory, shelf) = (Directory::default(), Memory::default());
    keep_up(&directory, &shelf, Some(&wanted())).await;
    directory.asked();
    directory.at(LIFE / 2 - 1);
    keep_up(&directory, &shelf, Some(&wanted())).await;
    assert_eq!(directory.asked(), [""; 0]);
    directory.at(LIFE / 2);
    keep_up(&directory, &shelf, Some(&wanted())).await;
    assert_eq!(directory.asked(), ["renew users-0", "renew groups-1"]);
    assert!(take(&directory, &shelf).await.is_some());

    directory.forget_all();
    directory.at(LIFE);
    keep_up(&directory, &shelf, Some(&wanted())).await;
    let asked = directory.asked();
    assert_eq!(asked, ["renew users-0", "subscribe users", "renew groups-1", "subscribe groups"]);
    directory.at(LIFE + 10);
    assert!(take(&directory, &shelf).await.is_some(), "what changed meanwhile is read");
    assert_eq!(troubles(&directory, &shelf).await, []);

    keep_up(&directory, &shelf, None).await;
    assert_eq!(directory.held.lock().unwrap().len(), 0, "{:?}", directory.asked());
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_tried_again_and_forgotten_when_it_goes_well() {
    let (directory, shelf) = (Directory::default(), Memory::default());
    keep_up(&directory, &shelf, Some(&wanted())).await;
    directory.at(LIFE / 2);
    *directory.down.lock().unwrap() = true;
    keep_up(&directory, &shelf, Some(&wanted())).await;
    keep_up(&directory, &shelf, Some(&wanted())).await;
    let found = troubles(&directory, &shelf).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(matches!(&found[0], Trouble::NotSubscribed { watched: Watched::Users, until: Some(_), .. }));
    assert_eq!(directory.asked().iter().filter(|what| what.starts_with("renew")).count(), 2, "once each");
    *directory.down.lock().unwrap() = false;
    directory.at(LIFE / 2 + 31);
    keep_up(&directory, &shelf, Some(&wanted())).await;
    assert_eq!(troubles(&directory, &shelf).await, []);
}

#[tokio::test]
async fn lifecycle_events_lead_to_what_the_documents_ask_for() {
    let (directory, shelf) = (Directory::default(), Memory::default());
    keep_up(&directory, &shelf, Some(&wanted())).await;
    directory.asked();
    directory.at(10);
    take(&directory, &shelf).await.unwrap();
    let users = SubscriptionId::parse("users-0").unwrap();
    let event = async |id: &SubscriptionId, event| {
        keeper::event(&shelf, NAME, Watched::Users, id, event, directory.now()).await.unwrap();
    };
    event(&users, LifecycleEvent::ReauthorizationRequired).await;
    keep_up(&directory, &shelf, Some(&wanted())).await;
    assert_eq!(directory.asked(), ["reauthorize users-0"]);
    event(&users, LifecycleEvent::SubscriptionRemoved).await;
    keep_up(&directory, &shelf, Some(&wanted())).await;
    assert_eq!(directory.asked(), ["unsubscribe users-0", "subscribe users"]);
    directory.at(30);
    take(&directory, &shelf).await.unwrap();
    event(&users, LifecycleEvent::Missed).await;
    directory.at(60);
    assert_eq!(take(&directory, &shelf).await, None, "the one that is no more says nothing");
    let found = SubscriptionId::parse("users-1").unwrap();
    event(&found, LifecycleEvent::Missed).await;
    directory.at(63);
    assert!(take(&directory, &shelf).await.is_some());
    assert!(matches!(troubles(&directory, &shelf).await[..], [Trouble::Missed { .. }]));
}

#[tokio::test]
async fn a_loss_is_told_after_a_while_and_only_where_both_kinds_were_subscribed_to() {
    let (directory, shelf) = (Directory::default(), Memory::default());
    let polled = async |found| {
        keeper::polled(&shelf, NAME, Some(&wanted()), directory.now(), found).await.unwrap();
    };
    polled(Found::Changes).await;
    directory.at(5);
    keep_up(&directory, &shelf, Some(&wanted())).await;
    directory.at(10);
    polled(Found::Changes).await;
    directory.at(2000);
    assert_eq!(troubles(&directory, &shelf).await, [], "there was no subscription for all of the time");
    directory.at(100);
    polled(Found::Changes).await;
    directory.at(100 + 900);
    assert!(matches!(troubles(&directory, &shelf).await[..], [Trouble::Lost { .. }]));
    let told = Waiting { first_at: directory.now(), last_at: directory.now(), count: 1 };
    keeper::hear(&shelf, NAME, told).await.unwrap();
    assert_eq!(troubles(&directory, &shelf).await, []);
}

#[tokio::test]
async fn what_a_removed_connection_holds_is_ended_also_while_another_server_is_at_it() {
    let (directory, shelf) = (Directory::default(), Memory::default());
    let now = || directory.now();
    keeper::keep_up(&directory, &shelf, NAME, Some(&wanted()), &now).await.unwrap();
    assert_eq!(directory.held.lock().unwrap().len(), Watched::ALL.len());
    // A failed act leaves a wait behind, which does not keep the end off
    directory.at(LIFE / 2);
    *directory.down.lock().unwrap() = true;
    keeper::keep_up(&directory, &shelf, NAME, Some(&wanted()), &now).await.unwrap();
    *directory.down.lock().unwrap() = false;
    keeper::end(&directory, &shelf, NAME).await.unwrap();
    assert!(directory.held.lock().unwrap().is_empty());
    keeper::end(&directory, &shelf, NAME).await.unwrap();

    keeper::keep_up(&directory, &shelf, NAME, Some(&wanted()), &now).await.unwrap();
    *directory.down.lock().unwrap() = true;
    let failure = keeper::end(&directory, &shelf, NAME).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient, "{failure}");
    *directory.down.lock().unwrap() = false;
    assert!(
        !keeper::needs(&shelf, NAME, None, directory.now()).await.unwrap(),
        "it is forgotten all the same"
    );
}
