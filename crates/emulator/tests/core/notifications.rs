//! Change notifications: the rules of `/subscriptions`, and what a subscriber is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use entrain_emulator::control::WorldChange;
use entrain_emulator::{Emulator, Options, start};
use serde_json::{Value, json};

use crate::serving::client;

/// Somebody who subscribes: echoes validation tokens, keeps what comes.
#[derive(Default)]
struct Heard {
    bodies: Vec<Value>,
    /// Statuses of the next answers; 202 after them.
    answers: Vec<u16>,
    /// What validation is answered with in place of the token.
    echo: Option<String>,
}

type Shared = Arc<Mutex<Heard>>;

async fn receive(
    State(heard): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    body: String,
) -> Response {
    let mut heard = heard.lock().unwrap();
    if let Some((_, token)) = query.iter().find(|(name, _)| name == "validationToken") {
        return heard.echo.clone().unwrap_or_else(|| token.clone()).into_response();
    }
    heard.bodies.push(serde_json::from_str(&body).unwrap());
    let status = if heard.answers.is_empty() { 202 } else { heard.answers.remove(0) };
    StatusCode::from_u16(status).unwrap().into_response()
}

struct Bench {
    emulator: Emulator,
    token: String,
    heard: Shared,
    url: String,
}

impl Bench {
    async fn new(roles: &[&str]) -> Self {
        let mut options = Options::of(20, 3);
        options.settings.graph.notifications.retry_ms = 20;
        let emulator = start(options).await.unwrap();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        emulator.state().change(WorldChange::SetRoles { client_id: None, roles }).unwrap();
        let is = emulator.description();
        let form = [
            ("client_id", is.client_id.as_str()),
            ("client_secret", &is.client_secret),
            ("grant_type", "client_credentials"),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let url = format!("{}/{}/oauth2/v2.0/token", is.authority_url, is.tenant_id);
        let answer: Value = client().post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();

        let heard = Shared::default();
        let app = Router::new().route("/hook", post(receive)).with_state(heard.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { emulator, token, heard, url }
    }

    async fn graph(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/v1.0{path}", self.emulator.description().graph_url);
        let mut request = client().request(method.parse().unwrap(), url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn order(&self, resource: &str) -> Value {
        let expires = self.emulator.state().now() + Duration::from_hours(2);
        json!({
            "changeType": "updated,deleted", "notificationUrl": self.url, "lifecycleNotificationUrl": self.url,
            "resource": resource, "expirationDateTime": expires.to_string(), "clientState": "s3cret",
        })
    }

    async fn subscribe(&self, resource: &str) -> String {
        let (status, body) = self.graph("POST", "/subscriptions", Some(self.order(resource))).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.emulator.description().control_url);
        client().post(url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Everything told so far, once there are so many of them.
    async fn told(&self, at_least: usize) -> Vec<Value> {
        for _ in 0..400 {
            let all: Vec<Value> = self.heard.lock().unwrap().bodies.iter().flat_map(values).collect();
            if all.len() >= at_least {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("too few notifications: {:?}", self.heard.lock().unwrap().bodies);
    }

    fn user(&self) -> String {
        self.emulator.state().world().tenant.users.keys().next().unwrap().clone()
    }

    fn disable(&self) -> String {
        let user = self.user();
        self.emulator.state().change(WorldChange::DisableUser { user: user.clone() }).unwrap();
        user
    }
}

fn values(body: &Value) -> Vec<Value> {
    body["value"].as_array().unwrap().clone()
}

const BOTH: [&str; 2] = ["User.Read.All", "Group.Read.All"];

#[tokio::test]
async fn a_subscription_is_made_renewed_listed_and_deleted() {
    let bench = Bench::new(&BOTH).await;
    let id = bench.subscribe("/users").await;
    let (status, one) = bench.graph("GET", &format!("/subscriptions/{id}"), None).await;
    assert_eq!((status, &one["resource"]), (200, &json!("/users")), "{one}");
    let later = (bench.emulator.state().now() + Duration::from_hours(500)).to_string();
    let patch = json!({ "expirationDateTime": later });
    let (status, renewed) = bench.graph("PATCH", &format!("/subscriptions/{id}"), Some(patch)).await;
    assert_eq!((status, renewed["expirationDateTime"].as_str()), (200, Some(later.as_str())), "{renewed}");
    assert_eq!(bench.graph("POST", &format!("/subscriptions/{id}/reauthorize"), None).await.0, 204);
    let (_, all) = bench.graph("GET", "/subscriptions", None).await;
    assert_eq!(values(&all).len(), 1, "{all}");
    assert_eq!(bench.graph("DELETE", &format!("/subscriptions/{id}"), None).await.0, 204);
    assert_eq!(bench.graph("GET", &format!("/subscriptions/{id}"), None).await.0, 404);
    assert_eq!(bench.graph("DELETE", &format!("/subscriptions/{id}"), None).await.0, 404);
}

#[tokio::test]
async fn an_expired_subscription_is_gone() {
    let bench = Bench::new(&BOTH).await;
    let id = bench.subscribe("/users").await;
    bench.emulator.state().clock.advance(2 * 3600 * 1000 + 1).unwrap();
    // The token has expired as well, so the registry is looked at through control
    let url = format!("{}/notifications", bench.emulator.description().control_url);
    for _ in 0..200 {
        let shown: Value = client().get(&url).send().await.unwrap().json().await.unwrap();
        if shown["subscriptions"] == json!([]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{id} is still there");
}

#[tokio::test]
async fn what_the_documents_refuse_is_refused() {
    let bench = Bench::new(&BOTH).await;
    let post = async |change: &dyn Fn(&mut Value)| {
        let mut order = bench.order("/users");
        change(&mut order);
        let (status, body) = bench.graph("POST", "/subscriptions", Some(order)).await;
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let far = (bench.emulator.state().now() + Duration::from_mins(41761)).to_string();
    let http = |o: &mut Value| o["notificationUrl"] = json!("http://hooks.example.com/x");
    assert_eq!(post(&http).await, refused(400, "InvalidRequest"));
    let long = |o: &mut Value| o["clientState"] = json!("x".repeat(129));
    assert_eq!(post(&long).await, refused(400, "InvalidRequest"));
    let created = |o: &mut Value| o["changeType"] = json!("created");
    assert_eq!(post(&created).await, refused(400, "InvalidRequest"));
    let mail = |o: &mut Value| o["resource"] = json!("/me/messages");
    assert_eq!(post(&mail).await, refused(400, "InvalidRequest"));
    let forever = |o: &mut Value| o["expirationDateTime"] = json!(far);
    assert_eq!(post(&forever).await, refused(400, "ExtensionError"));
    let nobody = |o: &mut Value| o["notificationUrl"] = json!("http://127.0.0.1:9/hook");
    assert_eq!(post(&nobody).await, refused(400, "ValidationError"));
    bench.heard.lock().unwrap().echo = Some("something else".into());
    assert_eq!(post(&|_| {}).await, refused(400, "ValidationError"));
    bench.heard.lock().unwrap().echo = None;
    assert_eq!(post(&|_| {}).await.0, 201);
    let swapped = |o: &mut Value| o["changeType"] = json!("deleted,updated");
    assert_eq!(post(&swapped).await, refused(409, "ObjectIdentifierInUse"));
}

#[tokio::test]
async fn groups_need_group_read_all() {
    let bench = Bench::new(&["User.Read.All", "GroupMember.Read.All"]).await;
    bench.subscribe("/users").await;
    let (status, body) = bench.graph("POST", "/subscriptions", Some(bench.order("/groups"))).await;
    assert_eq!(
        (status, body["error"]["code"].as_str()),
        (403, Some("Authorization_RequestDenied")),
        "{body}"
    );
}

#[tokio::test]
async fn changes_are_told_with_the_secret_and_told_again_until_they_are_taken() {
    let bench = Bench::new(&BOTH).await;
    let id = bench.subscribe("/users").await;
    bench.subscribe("/groups").await;
    bench.heard.lock().unwrap().answers = vec![503, 500];
    let user = bench.disable();
    let told = bench.told(3).await;
    for one in &told {
        assert_eq!(one["subscriptionId"], json!(id));
        assert_eq!(one["clientState"], json!("s3cret"));
        assert_eq!((&one["changeType"], &one["resourceData"]["id"]), (&json!("updated"), &json!(user)));
    }
    bench.heard.lock().unwrap().bodies.clear();
    bench.emulator.state().change(WorldChange::PurgeUser { user: user.clone() }).unwrap();
    let kinds: Vec<Value> = bench.told(2).await.iter().map(|one| one["changeType"].clone()).collect();
    assert_eq!(kinds, [json!("updated"), json!("deleted")], "soft, then for good");
    bench.heard.lock().unwrap().bodies.clear();
    let group = bench.emulator.state().world().tenant.groups.keys().next().unwrap().clone();
    bench.emulator.state().change(WorldChange::RenameGroup { group, name: "Other".into() }).unwrap();
    assert!(bench.told(1).await[0]["resource"].as_str().unwrap().starts_with("Groups/"));
}

#[tokio::test]
async fn notifications_can_be_dropped_doubled_forged_and_sent_again() {
    let bench = Bench::new(&BOTH).await;
    bench.subscribe("/users").await;
    let set = async |settings: Value| {
        let url = format!("{}/settings", bench.emulator.description().control_url);
        let answer = client().put(url).json(&json!({ "graph": { "notifications": settings } })).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    };
    set(json!({ "drop": true })).await;
    bench.disable();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(bench.heard.lock().unwrap().bodies.is_empty());
    set(json!({ "drop": false, "duplicates": 1 })).await;
    let user = bench.user();
    bench.emulator.state().change(WorldChange::EnableUser { user }).unwrap();
    assert_eq!(bench.told(2).await.len(), 2);
    let again = bench.control("/notifications/again", json!({})).await;
    assert_eq!(again, json!({ "letters": 1, "statuses": { "202": 1 } }));
    let made = json!({ "count": 25, "per_request": 10, "client_state": "guess" });
    let made = bench.control("/notifications/made-up", made).await;
    assert_eq!(made["statuses"], json!({ "202": 3 }), "{made}");
    let all = bench.told(28).await;
    assert_eq!(all.iter().filter(|one| one["clientState"] == json!("guess")).count(), 25);
}

#[tokio::test]
async fn lifecycle_events_happen_and_are_told() {
    let bench = Bench::new(&BOTH).await;
    let id = bench.subscribe("/users").await;
    let event = async |event: &str| {
        bench.heard.lock().unwrap().bodies.clear();
        bench.control("/notifications/lifecycle", json!({ "event": event })).await;
        let told = bench.told(1).await;
        assert_eq!(told[0]["lifecycleEvent"], json!(event));
        bench.heard.lock().unwrap().bodies.clear();
    };
    event("missed").await;
    event("reauthorizationRequired").await;
    bench.disable();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(bench.heard.lock().unwrap().bodies.is_empty(), "a paused subscription tells nothing");
    assert_eq!(bench.graph("POST", &format!("/subscriptions/{id}/reauthorize"), None).await.0, 204);
    let user = bench.user();
    bench.emulator.state().change(WorldChange::EnableUser { user }).unwrap();
    bench.told(1).await;
    event("subscriptionRemoved").await;
    assert_eq!(bench.graph("GET", &format!("/subscriptions/{id}"), None).await.0, 404);
}
