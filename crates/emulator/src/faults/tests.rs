//! Each kind of fault over real HTTP, around one handler in place of the clouds.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::routing::any;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Fault, FaultKind, ItemFault};
use crate::state::{EmulatorClock, Shared, State, Surface, Urls};
use crate::world::generate::{GenerateOptions, generate};
use crate::{Settings, layers, serve};

struct Bed {
    root: String,
    state: Shared,
    hits: Arc<AtomicUsize>,
    client: reqwest::Client,
    _stop: watch::Sender<bool>,
}

impl Bed {
    async fn get(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.get(format!("{}{path}", self.root)).send().await
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    fn logged(&self) -> Vec<(Option<u16>, Option<String>)> {
        self.state.log.entries(100, |_| true).into_iter().map(|e| (e.status, e.fault)).collect()
    }
}

async fn bed(faults: impl IntoIterator<Item = Fault>) -> Bed {
    bed_on(Surface::Graph, faults).await
}

async fn bed_on(surface: Surface, faults: impl IntoIterator<Item = Fault>) -> Bed {
    let world = generate(&GenerateOptions { people: 3, groups: 1, ..GenerateOptions::default() });
    let state = Arc::new(State::new(world, EmulatorClock::real(), 7, Settings::default()));
    for fault in faults {
        state.faults.add(fault).unwrap();
    }
    let hits = Arc::new(AtomicUsize::new(0));
    let (counted, shared) = (hits.clone(), state.clone());
    let page = move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        let dead = shared.faults.dead_token();
        Json(json!({"value": [1, 2, 3], "@odata.deltaLink": "https://old.test/", "dead": dead}))
    };
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    state.set_urls(Urls { graph: root.clone(), site: root.clone(), ..Urls::default() });
    let (stop, told) = watch::channel(false);
    let router = layers::wrap(Router::new().route("/{*path}", any(page)), &state, surface);
    serve::serve_on(listener, router, told);
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Bed { root, state, hits, client, _stop: stop }
}

async fn with(kind: FaultKind) -> Bed {
    bed([Fault::new(kind)]).await
}

fn status(status: u16, headers: &[(&str, &str)], body: Option<Value>) -> FaultKind {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    FaultKind::Status { status, headers, body }
}

#[tokio::test]
async fn a_status_answers_in_place_of_the_handler_with_any_retry_after() {
    for text in ["0", "2.128", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1000000000", "soon"] {
        let bed = with(status(429, &[("Retry-After", text)], None)).await;
        let answer = bed.get("/users").await.unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], text);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "TooManyRequests");
        assert_eq!(bed.hits(), 0);
        assert_eq!(bed.logged(), [(Some(429), Some("status".into()))]);
    }
}

#[tokio::test]
async fn an_error_without_a_body_has_the_form_of_its_cloud() {
    let jira = bed_on(Surface::Site, [Fault::new(status(503, &[], None))]).await;
    let body: Value = jira.get("/rest/api/3/x").await.unwrap().json().await.unwrap();
    assert_eq!(body["errorMessages"][0], "Service Unavailable");
    let own =
        bed([Fault::new(status(410, &[("Location", "http://elsewhere.test/")], Some(json!({"a": 1}))))])
            .await;
    let answer = own.get("/x").await.unwrap();
    assert_eq!(answer.headers()["location"], "http://elsewhere.test/");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"a": 1}));
}

#[tokio::test]
async fn a_redirect_goes_where_it_is_told() {
    let bed = with(FaultKind::Redirect { location: "http://evil.test/x".into(), status: 302 }).await;
    let answer = bed.get("/users").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (302, &"http://evil.test/x".parse().unwrap())
    );
}

#[tokio::test]
async fn a_reset_before_the_handler_leaves_nothing_done() {
    let bed = with(FaultKind::ResetBefore {}).await;
    bed.get("/users").await.unwrap_err();
    assert_eq!(bed.hits(), 0);
    assert_eq!(bed.logged()[0], (None, Some("reset_before".into())));
}

#[tokio::test]
async fn a_reset_after_the_handler_loses_the_answer_of_a_write_that_was_done() {
    let bed = bed([Fault { method: Some("POST".into()), ..Fault::new(FaultKind::ResetAfter {}) }]).await;
    bed.client.post(format!("{}/users", bed.root)).body("{}").send().await.unwrap_err();
    assert_eq!(bed.hits(), 1);
    assert_eq!(bed.get("/users").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_stall_holds_back_the_headers_or_the_body() {
    let slow = with(FaultKind::StallHeaders { ms: 60_000 }).await;
    let sent = slow.client.get(format!("{}/a", slow.root)).timeout(Duration::from_millis(150)).send().await;
    assert!(sent.unwrap_err().is_timeout());
    assert_eq!(slow.hits(), 1);
    let slow = with(FaultKind::StallBody { ms: 60_000, after_bytes: 5 }).await;
    let answer =
        slow.client.get(format!("{}/a", slow.root)).timeout(Duration::from_millis(300)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap_err().is_timeout());
    let late = with(FaultKind::StallBody { ms: 30, after_bytes: 5 }).await;
    let body: Value = late.get("/a").await.unwrap().json().await.unwrap();
    assert_eq!(body["value"], json!([1, 2, 3]));
}

#[tokio::test]
async fn a_truncated_body_and_a_too_long_length_are_errors_of_transport() {
    for kind in [FaultKind::Truncate { keep_bytes: Some(4) }, FaultKind::WrongLength { by: 7 }] {
        let answer = with(kind).await.get("/users").await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap_err();
    }
}

#[tokio::test]
async fn a_too_short_length_cuts_the_body_in_silence() {
    let answer = with(FaultKind::WrongLength { by: -3 }).await.get("/users").await.unwrap();
    let bytes = answer.bytes().await.unwrap();
    assert!(bytes.starts_with(b"{") && serde_json::from_slice::<Value>(&bytes).is_err());
}

#[tokio::test]
async fn bodies_that_are_no_pages_come_with_status_200() {
    let kinds = [
        FaultKind::NotJson {},
        FaultKind::Html {},
        FaultKind::Bytes { base64: "/v8=".into() },
        FaultKind::DeepNesting { depth: 100_000 },
    ];
    for kind in kinds {
        let name = kind.name();
        let answer = with(kind).await.get("/users").await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        let bytes = answer.bytes().await.unwrap();
        assert!(serde_json::from_slice::<Value>(&bytes).is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_page_can_be_replaced_robbed_of_a_key_or_made_a_loop() {
    let body =
        |kind| async { with(kind).await.get("/users?$top=1").await.unwrap().json::<Value>().await.unwrap() };
    assert_eq!(body(FaultKind::ReplaceBody { body: json!({"value": []}) }).await, json!({"value": []}));
    let robbed = body(FaultKind::DropKey { key: "value".into() }).await;
    assert!(robbed.get("value").is_none() && robbed.get("dead").is_some());

    let bed = with(FaultKind::RepeatPage {}).await;
    let page: Value = bed.get("/users?$top=1").await.unwrap().json().await.unwrap();
    assert_eq!(page["@odata.nextLink"], format!("{}/users?$top=1", bed.root));
    assert!(page.get("@odata.deltaLink").is_none());

    let key = || "@odata.nextLink".to_owned();
    let set = body(FaultKind::SetKey { key: key(), value: json!("https://evil.test/v1.0/users") }).await;
    assert_eq!(set["@odata.nextLink"], "https://evil.test/v1.0/users");
    let bed = with(FaultKind::SetKey { key: key(), value: json!("{origin}/first") }).await;
    let page: Value = bed.get("/users").await.unwrap().json().await.unwrap();
    assert_eq!(page["@odata.nextLink"], format!("{}/first", bed.root));
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_hangs_up() {
    let bed = with(FaultKind::EndlessBody {}).await;
    let mut answer = bed.get("/users").await.unwrap();
    let mut seen = 0;
    while seen < 20 << 20 {
        seen += answer.chunk().await.unwrap().expect("it does not end").len();
    }
    drop(answer);
    assert_eq!(bed.get("/users").await.unwrap().status(), 200, "the server lives on");
}

#[tokio::test]
async fn a_gzip_bomb_is_small_on_the_wire_and_large_when_unfolded() {
    let bed = with(FaultKind::GzipBomb { mib: 8 }).await;
    let mut answer = bed.get("/users").await.unwrap();
    let mut seen = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        seen += chunk.len();
    }
    assert_eq!(seen, (8 << 20) + "{\"value\":[]}".len());
}

#[tokio::test]
async fn faults_pick_their_calls_by_number_count_and_place() {
    let at = |fault: Fault| async move {
        let bed = bed([Fault { path: Some("/users*".into()), ..fault }]).await;
        let mut hit = Vec::new();
        for n in 1..=6 {
            assert_eq!(bed.get("/groups").await.unwrap().status(), 200);
            if bed.get("/users/1").await.unwrap().status() == 500 {
                hit.push(n);
            }
        }
        hit
    };
    let base = || Fault::new(status(500, &[], None));
    assert_eq!(at(Fault { nth: Some(3), ..base() }).await, [3]);
    assert_eq!(at(Fault { every: Some(2), ..base() }).await, [2, 4, 6]);
    assert_eq!(at(Fault { from: Some(4), ..base() }).await, [4, 5, 6]);
    assert_eq!(at(Fault { count: Some(2), ..base() }).await, [1, 2]);
    assert_eq!(at(Fault { probability: Some(0.0), ..base() }).await, Vec::<i32>::new());
    let once = at(Fault { probability: Some(0.5), ..base() }).await;
    assert_eq!(at(Fault { probability: Some(0.5), ..base() }).await, once, "the seed decides");
    assert_eq!(at(Fault { surface: Some(Surface::Site), ..base() }).await, Vec::<i32>::new());
}

#[tokio::test]
async fn a_dead_token_reaches_the_handler_of_the_matching_request_only() {
    let dead = Fault { path: Some("/rest/api/3/group*".into()), ..Fault::new(FaultKind::DeadToken {}) };
    let bed = bed_on(Surface::Site, [dead]).await;
    let said = |path: &'static str| {
        let bed = &bed;
        async move { bed.get(path).await.unwrap().json::<Value>().await.unwrap()["dead"].clone() }
    };
    assert_eq!(said("/rest/api/3/group/bulk").await, true);
    assert_eq!(said("/rest/api/3/myself").await, false);
    assert!(!bed.state.faults.dead_token(), "outside of a request nothing is dead");
}

#[tokio::test]
async fn an_item_of_a_batch_fails_by_its_own_url() {
    let item =
        ItemFault { status: 429, headers: BTreeMap::from([("Retry-After".into(), "1".into())]), body: None };
    let fault = Fault {
        path: Some("/groups/*/members".into()),
        nth: Some(2),
        ..Fault::new(FaultKind::BatchItem(item.clone()))
    };
    let bed = bed([fault]).await;
    let faults = &bed.state.faults;
    assert_eq!(faults.batch_item("/groups/1/members?$top=999"), None);
    assert_eq!(faults.batch_item("/users"), None);
    assert_eq!(faults.batch_item("groups/2/members"), Some(item));
    assert_eq!(
        bed.get("/groups/1/members").await.unwrap().status(),
        200,
        "the request itself is not concerned"
    );
}

#[tokio::test]
async fn latency_is_added_per_surface() {
    let bed = bed([]).await;
    let mut settings = Settings::default();
    settings.latency.graph_ms = 40;
    settings.latency.site_ms = 60_000;
    bed.state.set_settings(settings);
    let started = Instant::now();
    bed.get("/users").await.unwrap();
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn a_burst_above_the_limit_gets_429_with_jiras_headers() {
    let mut settings = Settings::default();
    settings.atlassian.burst_per_second = [("GET".to_owned(), 1)].into();
    let jira = bed_on(Surface::Site, []).await;
    jira.state.set_settings(settings);
    let answers = futures_util::future::join_all((0..8).map(|_| jira.get("/rest/api/3/myself"))).await;
    let refused: Vec<_> = answers.into_iter().map(Result::unwrap).filter(|a| a.status() == 429).collect();
    let first = refused.first().expect("one a second is let through");
    assert_eq!(first.headers()["ratelimit-reason"], "jira-burst-based");
    assert!(first.headers()["x-ratelimit-reset"].to_str().unwrap().ends_with('Z'));
    assert_eq!(first.headers()["retry-after"], "1");
    assert_eq!(jira.get("/rest/api/3/users/search").await.unwrap().status(), 200, "another endpoint is free");
}

#[tokio::test]
async fn the_log_has_the_request_and_not_the_secret() {
    let bed = bed([]).await;
    let post = bed.client.post(format!("{}/users?access_token=canary-1", bed.root));
    let post = post.bearer_auth("canary-2").header("cookie", "canary-3").header("x-api-key", "canary-4");
    post.body("{\"name\":\"Ana\"}").send().await.unwrap();
    let entries = bed.state.log.entries(10, |_| true);
    let shown = serde_json::to_string(&entries).unwrap();
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(entries[0].body.as_deref(), Some("{\"name\":\"Ana\"}"));
    assert!(entries[0].credential.as_deref().unwrap().starts_with("Bearer:"));
    assert_eq!(entries[0].path, "/users");

    let sign_in = bed_on(Surface::Authority, []).await;
    let form =
        sign_in.client.post(format!("{}/t/oauth2/v2.0/token", sign_in.root)).body("client_secret=canary-5");
    form.send().await.unwrap();
    let shown = serde_json::to_string(&sign_in.state.log.entries(10, |_| true)).unwrap();
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn the_log_is_bounded_and_the_counts_go_on() {
    let bed = bed([]).await;
    bed.state.set_settings(Settings { log_entries: 2, ..Settings::default() });
    for id in ["a1", "a2", "a3"] {
        bed.get(&format!("/v1.0/groups/{id}/members")).await.unwrap();
    }
    let paths: Vec<String> = bed.state.log.entries(10, |_| true).into_iter().map(|e| e.path).collect();
    assert_eq!(paths, ["/v1.0/groups/a2/members", "/v1.0/groups/a3/members"]);
    let counts = bed.state.log.counts();
    assert_eq!(counts.by_endpoint, [("graph GET /v1.0/groups/{id}/members".to_owned(), 3)].into());
    assert_eq!(counts.by_status, [("graph 200".to_owned(), 3)].into());
}

#[test]
fn a_fault_that_cannot_be_is_refused_with_the_field_that_is_wrong() {
    let refusal = |text: &str| match serde_json::from_str::<Fault>(text) {
        Ok(fault) => fault.check().unwrap_err(),
        Err(error) => error.to_string(),
    };
    for (text, word) in [
        (r#"{"kind": {"status": {"status": 42}}}"#, "status lies between"),
        (r#"{"kind": {"status": {"status": 500, "headers": {"a b": "c"}}}}"#, "header name"),
        (r#"{"kind": {"explode": {}}}"#, "explode"),
        (r#"{"kind": {"html": {}}, "nht": 1}"#, "nht"),
        (r#"{"kind": {"html": {}}, "nth": 0}"#, "nth counts from 1"),
        (r#"{"kind": {"html": {}}, "probability": 1.5}"#, "probability"),
        (r#"{"kind": {"html": {}}, "method": "get"}"#, "method"),
        (r#"{"kind": {"html": {}}, "surface": "jira"}"#, "jira"),
        (r#"{"kind": {"bytes": {"base64": "%%%"}}}"#, "base64"),
        (r#"{"kind": {"stall_body": {}}}"#, "ms"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(word), "{text}: {refusal}");
    }
}
