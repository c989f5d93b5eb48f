//! The doors with a fake behind them (quality.md W-06).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use axum::http::HeaderMap;
use entrain_domain::notification::{SubscriptionId, Watched};
use entrain_engine::notifications::hints::Waiting;
use entrain_engine::notifications::keeper::Standing;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use super::*;
use crate::notified::{Notified, Shown, Subscriber, Wanted};
use crate::service::Answer;

#[derive(Default)]
struct Fake {
    heard: Mutex<Vec<(String, Waiting)>>,
    events: Mutex<Vec<(String, Watched, LifecycleEvent)>>,
    looked_up: Mutex<usize>,
    /// A subscription that is made later.
    made: Mutex<Option<&'static str>>,
}

fn give<'a, T: Send + 'a>(value: T) -> Answer<'a, T> {
    Box::pin(async move { Ok(value) })
}

impl Notified for Fake {
    fn subscribers(&self) -> Answer<'_, Vec<Subscriber>> {
        *self.looked_up.lock().unwrap() += 1;
        let held = |watched, id, secret: &str| {
            (watched, SubscriptionId::parse(id).unwrap(), hex::encode(Sha256::digest(secret)))
        };
        let mut all =
            vec![held(Watched::Users, "sub-users", "s1"), held(Watched::Groups, "sub-groups", "s2")];
        all.extend(self.made.lock().unwrap().map(|id| held(Watched::Users, id, "s3")));
        give(vec![Subscriber { connection: "Azure AD".into(), held: all }])
    }
    fn keep_up(&self) -> Answer<'_, ()> {
        give(())
    }
    fn hear<'a>(&'a self, connection: &'a str, hints: Waiting) -> Answer<'a, ()> {
        self.heard.lock().unwrap().push((connection.to_owned(), hints));
        give(())
    }
    fn lifecycle<'a>(
        &'a self,
        connection: &'a str,
        watched: Watched,
        _: &'a SubscriptionId,
        event: LifecycleEvent,
    ) -> Answer<'a, ()> {
        self.events.lock().unwrap().push((connection.to_owned(), watched, event));
        give(())
    }
    fn due(&self) -> Answer<'_, Vec<String>> {
        give(Vec::new())
    }
    fn take<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Waiting>> {
        give(None)
    }
    fn give_back<'a>(&'a self, _: &'a str, _: Waiting) -> Answer<'a, ()> {
        give(())
    }
    fn notifications<'a>(&'a self, _: &'a str) -> Answer<'a, Shown> {
        let standing = Standing { subscriptions: Vec::new(), heard_at: None, troubles: Vec::new() };
        give(Shown { wanted: Wanted::Yes, standing, freshness: (None, None) })
    }
}

struct Bench {
    fake: Arc<Fake>,
    hearing: Arc<Hearing>,
    routes: Router,
}

impl Bench {
    fn new() -> Self {
        let fake = Arc::new(Fake::default());
        let hearing = Hearing::new(fake.clone());
        let now: Now = Arc::new(|| "2026-05-01T10:00:00Z".parse().unwrap());
        let lost = axum::routing::any(|| async { Problem::not_here() });
        let routes = crate::headers::guarded(routes(hearing.clone(), now), lost);
        Self { fake, hearing, routes }
    }

    async fn send(&self, path: &str, body: impl Into<Body>, from: u8) -> (u16, HeaderMap, String) {
        let request = axum::http::Request::post(path).header("Host", "a.example");
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(Peer(IpAddr::V4(Ipv4Addr::new(192, 0, 2, from))));
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let text = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(text.to_vec()).unwrap())
    }

    async fn notify(&self, items: Value) -> u16 {
        self.send(HOOK, json!({ "value": items }).to_string(), 1).await.0
    }

    /// What is stored of all that was heard so far.
    async fn stored(&self) -> Vec<(String, Waiting)> {
        self.hearing.store().await;
        std::mem::take(&mut *self.fake.heard.lock().unwrap())
    }
}

const HOOK: &str = "/doors/azure-ad/notifications";
const LIFE: &str = "/doors/azure-ad/lifecycle";

fn item(id: &str, secret: &str) -> Value {
    json!({
        "subscriptionId": id, "clientState": secret, "changeType": "deleted", "resource": "Users/ana",
        "resourceData": { "@odata.type": "#Microsoft.Graph.User", "id": "ana" },
    })
}

#[tokio::test]
async fn w_06_a_forged_notification_has_no_effect_and_is_answered_like_a_right_one() {
    let bench = Bench::new();
    let right = bench.notify(json!([item("sub-users", "s1")])).await;
    assert_eq!(bench.stored().await.len(), 1);
    for forged in [
        item("sub-users", "s2"),
        item("sub-users", ""),
        item("sub-groups", "s1"),
        item("another", "s1"),
        json!({ "subscriptionId": "sub-users" }),
        json!({ "clientState": "s1" }),
        json!({}),
    ] {
        assert_eq!(bench.notify(json!([forged])).await, right);
        assert_eq!(bench.stored().await, [], "{forged}");
    }
    assert_eq!(bench.send("/doors/another/notifications", "{}", 1).await.0, 404);
    assert_eq!(bench.send(HOOK, "{", 1).await.0, 400);
    assert_eq!(bench.send(HOOK, "{\"value\":{}}", 1).await.0, 400);
    assert_eq!(bench.stored().await, []);
}

#[tokio::test]
async fn w_06_a_forged_item_beside_a_right_one_does_not_take_it_along() {
    let bench = Bench::new();
    bench.notify(json!([item("sub-users", "guess"), item("sub-groups", "s2"), item("x", "s2")])).await;
    let stored = bench.stored().await;
    assert_eq!((stored.len(), stored[0].1.count), (1, 1), "{stored:?}");
}

#[tokio::test]
async fn w_06_replays_and_order_make_no_difference_but_in_the_count() {
    let bench = Bench::new();
    for items in
        [json!([item("sub-users", "s1"), item("sub-groups", "s2")]), json!([item("sub-groups", "s2")])]
    {
        bench.notify(items.clone()).await;
        bench.notify(items).await;
    }
    let stored = bench.stored().await;
    assert_eq!(stored.len(), 1);
    assert_eq!((&*stored[0].0, stored[0].1.count), ("Azure AD", 6));
}

#[tokio::test]
async fn w_06_a_hundred_thousand_at_once_are_one_write() {
    let bench = Bench::new();
    let thousand: Vec<Value> = (0..1000).map(|_| item("sub-users", "s1")).collect();
    let body = json!({ "value": thousand }).to_string();
    let all = (0..100).map(|_| bench.send(HOOK, body.clone(), 1));
    let statuses: Vec<u16> =
        futures_util::future::join_all(all).await.iter().map(|answer| answer.0).collect();
    assert!(statuses.iter().all(|status| *status == 202), "{statuses:?}");
    let stored = bench.stored().await;
    assert_eq!((stored.len(), stored[0].1.count), (1, 100_000));
    assert!(*bench.fake.looked_up.lock().unwrap() <= 2, "nobody asks the database for each of them");
}

#[tokio::test]
async fn w_06_a_validation_token_with_html_comes_back_as_plain_text() {
    let bench = Bench::new();
    let path = format!("{HOOK}?validationToken=%3Cscript%3Ealert(1)%3C%2Fscript%3E+%26+x");
    let (status, headers, text) = bench.send(&path, "", 1).await;
    assert_eq!((status, text.as_str()), (200, "<script>alert(1)</script> & x"));
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(bench.send(&format!("{LIFE}?validationToken=abc"), "", 1).await.2, "abc");
    for wrong in ["", "a%0d%0aSet-Cookie:%20x", &"x".repeat(1025)] {
        assert_eq!(bench.send(&format!("{HOOK}?validationToken={wrong}"), "", 1).await.0, 400, "{wrong}");
    }
    let stranger = "/doors/another/notifications?validationToken=abc";
    assert_eq!(bench.send(stranger, "", 1).await.0, 404, "an echo for those who want notifications only");
    assert_eq!(bench.stored().await, []);
}

#[tokio::test]
async fn w_06_lifecycle_events_count_with_the_right_secret_and_once() {
    let bench = Bench::new();
    let event = |id: &str, secret: &str, event: &str| json!({ "subscriptionId": id, "clientState": secret, "lifecycleEvent": event });
    let all = json!({ "value": [
        event("sub-users", "s1", "missed"),
        event("sub-users", "s1", "missed"),
        event("sub-groups", "guess", "subscriptionRemoved"),
        event("sub-groups", "s2", "dance"),
        event("sub-groups", "s2", "reauthorizationRequired"),
    ] });
    assert_eq!(bench.send(LIFE, all.to_string(), 1).await.0, 202);
    bench.hearing.store().await;
    let events = bench.fake.events.lock().unwrap().clone();
    let name = || "Azure AD".to_owned();
    assert_eq!(
        events,
        [
            (name(), Watched::Users, LifecycleEvent::Missed),
            (name(), Watched::Groups, LifecycleEvent::ReauthorizationRequired),
        ]
    );
}

#[tokio::test]
async fn w_06_bodies_beyond_a_megabyte_are_refused() {
    let bench = Bench::new();
    let (status, ..) = bench.send(HOOK, vec![b' '; LARGEST + 1], 1).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn w_06_an_address_that_brings_nothing_right_is_turned_away_and_others_are_not() {
    let bench = Bench::new();
    let forged = json!({ "value": [item("sub-users", "guess")] }).to_string();
    let right = json!({ "value": [item("sub-users", "s1")] }).to_string();
    // A reverse proxy that has passed on something right passes on everything
    assert_eq!(bench.send(HOOK, right.clone(), 2).await.0, 202);
    let mut last = Vec::new();
    for _ in 0..305 {
        last.push((bench.send(HOOK, forged.clone(), 1).await.0, bench.send(HOOK, forged.clone(), 2).await.0));
    }
    assert_eq!(last[299..], [(202, 202), (429, 202), (429, 202), (429, 202), (429, 202), (429, 202)]);
    assert_eq!(bench.send(HOOK, right.clone(), 3).await.0, 202);
    // Graph knocks again, and is heard
    let mut knocks = 0;
    while bench.send(HOOK, right.clone(), 1).await.0 == 429 {
        knocks += 1;
        assert!(knocks < 10, "never heard");
    }
    assert_eq!(bench.send(HOOK, forged, 1).await.0, 202, "an address that brought something right");
}

#[tokio::test]
async fn w_06_a_burst_right_after_a_subscription_was_made_is_not_taken_for_a_flood() {
    let bench = Bench::new();
    bench.notify(json!([item("sub-users", "wrong")])).await;
    *bench.fake.made.lock().unwrap() = Some("sub-new");
    let mut heard = 0;
    for _ in 0..200 {
        assert_eq!(bench.notify(json!([item("sub-new", "s3")])).await, 202, "nothing of it is turned away");
        heard += bench.stored().await.len();
        if heard > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(heard, 1, "it was learnt of within a fifth of a second");
    assert!(*bench.fake.looked_up.lock().unwrap() <= 3, "however many knock");
}
