//! Every route, by enumeration of the table: roles, panics, headers; and the page about figures.

mod api;
mod dossiers;
mod drafts;
mod pages;
mod people;
mod plan_rows;
mod rules;
mod settings;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use entrain_domain::model::{AccountId, DirectoryGroupId, DirectoryUserId, RunId, SiteGroupId};
use entrain_domain::notification::{LifecycleEvent, SubscriptionId, Watched};
use entrain_domain::plan::explain::{Explanation, Link, Member, MemberState, Place, Related};
use entrain_domain::run::{AuditNote, JournalPage, JournalPart, Phase, RunStatus, RunSummary, Trigger};
use entrain_domain::service::{Mode, Role, Turn};
use entrain_domain::why::Why;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::alerts::Looked;
use entrain_engine::check::Check;
use entrain_engine::notifications::hints::Waiting;
use entrain_engine::notifications::keeper;
use entrain_engine::person::{Access, NotEntitled, PersonOrder, PersonOutcome};
use entrain_engine::ports::Progress;
use entrain_engine::schedule::{Health, Past};
use entrain_engine::{Approved, Freshness, Question};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::api::routes::{ROUTES, Route, Takes};
use crate::notified::{Hearing, Notified, Shown, Subscriber, Wanted};
use crate::reports::{ExportForm, ExportPart, Report, Reported};
use crate::service::{
    Answer, Connection, Kept, Key, Order, Revoked, Searched, Service, Standing, Story, Tried,
};
use crate::{Runs, Settings, metrics, router};
use people::People;

/// How the fake behaves once somebody is let in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaves {
    Well,
    Panics,
    NotReady,
}

pub(crate) struct Fake {
    behaves: Behaves,
    people: People,
    /// Names and words that the clouds gave.
    hostile: &'static str,
    /// How long lists are.
    rows: usize,
    /// What was kept of a plan, and how often all of one was asked for.
    told: plan_rows::Told,
}

impl Fake {
    fn new(behaves: Behaves) -> Self {
        Self {
            behaves,
            people: People::new(now()),
            hostile: "Azure AD",
            rows: 1,
            told: plan_rows::Told::default(),
        }
    }
    /// A plan of many steps, or an empty document.
    fn made_plan(&self) -> Value {
        if self.rows == 1 {
            return json!({});
        }
        let steps: Vec<Value> = (0..self.rows)
            .map(|n| {
                let (kind, id) = if n % 2 == 0 { ("add_member", "a") } else { ("remove_member", "r") };
                json!({ "id": format!("{id}{n}"), "kind": kind, "reason": "a member through A › B",
                    "undoable": true, "held_by": "large_change",
                    "user": { "name": format!("Person number {n}"), "directory_id": format!("u{n}"),
                        "mail": format!("person.number.{n}@acme.example") },
                    "group": { "name": format!("Group number {}", n % 5_000), "directory_id": format!("g{}", n % 5_000) } })
            })
            .collect();
        json!({ "connection": self.hostile, "status": "held", "steps": steps, "held": [], "set_aside": [] })
    }
    /// A write.
    fn change<'a, T: Send + 'a>(&self, value: T) -> Answer<'a, T> {
        self.people.written();
        self.give(value)
    }
    fn give<'a, T: Send + 'a>(&self, value: T) -> Answer<'a, T> {
        assert!(self.behaves != Behaves::Panics, "a bug");
        Box::pin(async move { Ok(value) })
    }
}

fn now() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

fn summary(name: &str) -> RunSummary {
    RunSummary {
        id: RunId::parse("r1").unwrap(),
        connection: name.into(),
        trigger: Trigger::Manual,
        status: RunStatus::Held,
        phase: Phase::Ended,
        started_at: now(),
        report: None,
    }
}

/// An explanation of whatever was asked, with so many relations and links.
fn explanation(name: &str, question: &Question, rows: usize) -> Explanation {
    let place = Place {
        name: name.into(),
        site_name: None,
        directory_id: DirectoryGroupId::parse("g").ok(),
        site_id: SiteGroupId::parse("g0").ok(),
        member: true,
        paths: vec![vec![name.into()]],
        on_site: Some(false),
        why: name.into(),
        site: name.into(),
    };
    let member = Member {
        name: name.into(),
        mail: None,
        directory_id: DirectoryUserId::parse("u").ok(),
        site_id: None,
        owner: None,
        state: MemberState::InStep,
        text: name.into(),
    };
    Explanation {
        object: name.into(),
        verdict: name.into(),
        chain: vec![Link { what: "record", text: name.into() }; rows],
        ladder: None,
        related: match question {
            Question::Group(_) => Related::Members(vec![member; rows]),
            _ => Related::Groups(vec![place; rows]),
        },
    }
}

/// Keys are named after their roles; `old` has expired and `gone` was revoked.
fn key(id: &str) -> Option<Key> {
    let role =
        Role::from_word(id).or_else(|| ["old", "gone"].contains(&id).then_some(Role::Administrator))?;
    let expires_at = if id == "old" { now() } else { "2027-01-01T00:00:00Z".parse().unwrap() };
    let revoked = if id == "gone" { Revoked::Yes } else { Revoked::No };
    let hash = hex::encode(Sha256::digest("secret"));
    Some(Key { id: id.into(), name: id.into(), role, hash, expires_at, revoked })
}

impl Notified for Fake {
    fn subscribers(&self) -> Answer<'_, Vec<Subscriber>> {
        self.give(Vec::new())
    }
    fn keep_up(&self) -> Answer<'_, ()> {
        self.give(())
    }
    fn hear<'a>(&'a self, _: &'a str, _: Waiting) -> Answer<'a, ()> {
        self.give(())
    }
    fn lifecycle<'a>(
        &'a self,
        _: &'a str,
        _: Watched,
        _: &'a SubscriptionId,
        _: LifecycleEvent,
    ) -> Answer<'a, ()> {
        self.give(())
    }
    fn due(&self) -> Answer<'_, Vec<String>> {
        self.give(Vec::new())
    }
    fn take<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Waiting>> {
        self.give(None)
    }
    fn give_back<'a>(&'a self, _: &'a str, _: Waiting) -> Answer<'a, ()> {
        self.give(())
    }
    fn notifications<'a>(&'a self, _: &'a str) -> Answer<'a, Shown> {
        let standing = keeper::Standing { subscriptions: Vec::new(), heard_at: None, troubles: Vec::new() };
        self.give(Shown { wanted: Wanted::No, standing, freshness: (None, None) })
    }
}

impl Service for Fake {
    fn now(&self) -> Timestamp {
        self.people.now()
    }
    fn ready(&self) -> Answer<'_, ()> {
        if self.behaves == Behaves::NotReady {
            let what = "the disk of db-7.internal is full";
            let failure = Failure::new(FailureCode::StoreFailed, FailureClass::Local, what, "make room");
            return Box::pin(async move { Err(failure) });
        }
        self.give(())
    }
    fn connections(&self) -> Answer<'_, Vec<Connection>> {
        self.give(vec![Connection {
            name: self.hostile.into(),
            site: "https://acme.atlassian.net".into(),
            mode: Mode::Preview,
            version: 1,
            schedule: None,
            past: Past { known_since: now(), fired_at: None, health: Health::Well, resume_at: None },
            last: Some(summary(self.hostile)),
            waits: Some(RunId::parse("r1").unwrap()),
        }])
    }
    fn document<'a>(&'a self, _: &'a str) -> Answer<'a, String> {
        self.give("name = \"Azure AD\"".into())
    }
    fn put<'a>(&'a self, _: &'a str, _: String, _: &'a str, why: Option<Why>) -> Answer<'a, i64> {
        *self.people.why.lock().unwrap() = why;
        self.change(2)
    }
    fn remove<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn set_mode<'a>(&'a self, _: &'a str, _: Mode, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn schema(&self) -> Value {
        assert!(self.behaves != Behaves::Panics, "a bug");
        json!({})
    }
    fn check<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Check>> {
        self.give(Vec::new())
    }
    fn plan<'a>(&'a self, _: &'a str, _: Freshness) -> Answer<'a, Value> {
        self.give(json!({}))
    }
    fn explain<'a>(&'a self, _: &'a str, question: Question, _: Freshness) -> Answer<'a, Explanation> {
        self.give(explanation(self.hostile, &question, self.rows))
    }
    fn what_if<'a>(&'a self, _: &'a str, _: String) -> Answer<'a, Option<Tried>> {
        let name = self.hostile;
        let step = json!({ "id": "s1", "kind": "add_member", "reason": name,
            "user": { "name": name }, "group": { "name": name } });
        self.give(Some(Tried { plan: json!({ "steps": [step] }), new: ["s1".into()].into(), gone: 1 }))
    }
    fn export_audit(&self, _: ExportForm, after: Option<i64>) -> Answer<'_, ExportPart> {
        // Two parts, so that somebody has to go on
        let part = match after {
            None => ExportPart { text: "{\"seq\":1}\n".into(), next: Some(1) },
            Some(_) => ExportPart { text: "{\"seq\":2}\n".into(), next: None },
        };
        self.give(part)
    }
    fn report<'a>(&'a self, _: &'a str, report: Report) -> Answer<'a, Reported> {
        self.give(Reported {
            header: vec!["name", "why"],
            rows: vec![vec![self.hostile.to_owned(), self.hostile.to_owned()]],
            csv: "name,why\r\n".into(),
            json: json!({ "report": report.name(), "rows": [] }),
        })
    }
    fn search<'a>(&'a self, _: &'a str, _: Searched, _: &'a str, most: usize) -> Answer<'a, Value> {
        let hit = json!({ "directory_id": self.hostile, "name": self.hostile, "mail": self.hostile });
        let found = vec![hit; self.rows.min(most)];
        self.give(json!({ "read": true, "found": found, "more": self.rows > most }))
    }
    fn run(&self, _: Order, _: CancellationToken, _: Arc<dyn Progress>) -> Answer<'_, Approved> {
        self.change(Approved::Waiting { by: vec!["one".into()], needed: 2 })
    }
    fn note(&self, _: AuditNote) -> Answer<'_, ()> {
        self.change(())
    }
    fn sync_person<'a>(
        &'a self,
        _: &'a str,
        order: PersonOrder,
        _: Arc<dyn Progress>,
    ) -> Answer<'a, PersonOutcome> {
        let access = match order.who.as_str() {
            "nobody" => Access::NotEntitled(NotEntitled::Unknown),
            "waits" => Access::Waits { reason: "no seat is left".into(), remedy: "free one".into() },
            _ => Access::InStep {
                account: AccountId::parse("acc-1").unwrap(),
                groups: vec!["Jira A".into()],
                waiting: Vec::new(),
            },
        };
        let run = (order.who != "nobody").then(|| RunId::parse("r").unwrap());
        self.give(PersonOutcome { run, user: None, name: None, access })
    }
    fn reject<'a>(&'a self, _: &'a str, _: &'a RunId, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn runs<'a>(
        &'a self,
        _: Option<&'a str>,
        _: Option<&'a RunId>,
        most: u32,
    ) -> Answer<'a, Vec<RunSummary>> {
        self.give(vec![summary(self.hostile); self.rows.min(most as usize)])
    }
    fn summary<'a>(&'a self, _: &'a RunId) -> Answer<'a, RunSummary> {
        self.give(summary(self.hostile))
    }
    fn story<'a>(&'a self, _: &'a RunId) -> Answer<'a, Story> {
        self.give(Story {
            run: summary(self.hostile),
            decisions: Vec::new(),
            relation: None,
            later: Vec::new(),
        })
    }
    fn journal<'a>(
        &'a self,
        _: &'a RunId,
        _: JournalPart,
        from: usize,
        limit: u32,
    ) -> Answer<'a, JournalPage> {
        let entries = (1..self.rows).skip(from).take(limit as usize);
        let entries = entries.map(|n| dossiers::entry(self.hostile, n).1).collect();
        self.give(JournalPage { entries, all: self.rows - 1, done: self.rows - 1, undone: 0 })
    }
    fn standing<'a>(&'a self, _: &'a str, _: Timestamp) -> Answer<'a, Standing> {
        self.give(Standing::default())
    }
    fn detail<'a>(&'a self, _: &'a RunId) -> Answer<'a, Value> {
        self.give(json!({}))
    }
    fn planned<'a>(&'a self, run: &'a RunId) -> Answer<'a, Option<String>> {
        self.told.asked();
        self.give((run.as_str() != "thrown-away").then(|| self.made_plan().to_string()))
    }
    fn verify_audit(&self) -> Answer<'_, Value> {
        self.give(json!({ "intact": true, "entries": 2 }))
    }
    fn key<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Key>> {
        Box::pin(async move { Ok(key(id)) })
    }
    fn key_used<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
    fn keys(&self) -> Answer<'_, Vec<Value>> {
        self.give((1..=self.rows).map(|n| settings::made_key(self.hostile, n)).collect())
    }
    fn make_key<'a>(&'a self, _: &'a str, _: Role, _: Timestamp, _: &'a str) -> Answer<'a, Value> {
        self.change(json!({ "key": "entrain_k1_onlythisonce" }))
    }
    fn revoke_key<'a>(&'a self, _: &'a str, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn keep_request<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Answer<'a, Option<Kept>> {
        self.give(None)
    }
    fn keep_answer<'a>(&'a self, _: &'a str, _: &'a str, _: Option<(u16, String)>) -> Answer<'a, ()> {
        self.give(())
    }
    fn orphans(&self) -> Answer<'_, Vec<String>> {
        self.give(Vec::new())
    }
    fn ask_to_stop<'a>(&'a self, _: &'a RunId, _: &'a str) -> Answer<'a, ()> {
        self.change(())
    }
    fn asked_to_stop<'a>(&'a self, _: &'a RunId) -> Answer<'a, bool> {
        self.give(false)
    }
    fn fired<'a>(&'a self, _: &'a str, _: Option<Timestamp>, _: Timestamp) -> Answer<'a, Turn> {
        self.change(Turn::Ours)
    }
    fn look_after_alerts<'a>(&'a self, _: &'a str) -> Answer<'a, Looked> {
        self.give(Looked::default())
    }
    fn alerts<'a>(&'a self, _: Option<&'a str>) -> Answer<'a, Vec<Value>> {
        self.give(settings::alerts(self.hostile, self.rows))
    }
    fn acknowledge_alert<'a>(&'a self, _: &'a str, _: &'a str, _: &'a str) -> Answer<'a, Value> {
        self.change(json!({}))
    }
    fn test_alerts<'a>(&'a self, _: &'a str, channel: Option<&'a str>, _: &'a str) -> Answer<'a, Vec<Value>> {
        self.change(settings::tested(channel))
    }
}

fn over(service: Arc<Fake>) -> Router {
    let hearing = Hearing::new(service.clone());
    let service: Arc<dyn Service> = service;
    let settings = Settings::new(url::Url::parse("http://localhost").unwrap());
    router(service.clone(), Runs::new(service, CancellationToken::new()), hearing, settings, None)
}

fn routes(behaves: Behaves) -> Router {
    over(Arc::new(Fake::new(behaves)))
}

/// A request that the route takes.
fn request(route: &Route, key: Option<&str>) -> Request<Body> {
    let mut path = route.path.to_owned();
    for (name, value) in [
        ("{connection}", "azure-ad"),
        ("{run}", "r1"),
        ("{report}", "drift"),
        ("{key}", "k1"),
        ("{version}", "2"),
    ] {
        path = path.replace(name, value);
    }
    if route.id == "explain" {
        path.push_str("?user=ana");
    }
    let mut request = Request::builder()
        .method(route.method.method())
        .uri(format!("/api/v1{path}"))
        .header("host", "localhost");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer entrain_{key}_secret"));
    }
    let fields: serde_json::Map<String, Value> = route
        .body
        .iter()
        .map(|field| {
            let value = match field.takes {
                Takes::Text(_) => json!("x"),
                Takes::Word(words) => json!(words[0]),
                Takes::Flag => json!(true),
                Takes::Number(least, _) => json!(least),
                Takes::Texts(..) => json!(["x"]),
            };
            (field.name.to_owned(), value)
        })
        .collect();
    if fields.is_empty() {
        return request.body(Body::empty()).unwrap();
    }
    request
        .header("content-type", "application/json")
        .body(Body::from(Value::Object(fields).to_string()))
        .unwrap()
}

async fn send(routes: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let answer = routes.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 1_000_000).await.unwrap();
    (parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn w_04_every_role_may_exactly_what_the_table_says() {
    let mut cells = 0;
    for route in ROUTES {
        for role in Role::ALL {
            let (status, _, body) = send(&routes(Behaves::Well), request(route, Some(role.as_str()))).await;
            let gives = || route.gives.iter().any(|(good, _)| *good == status.as_u16());
            if role >= route.role {
                // A run that has not begun here cannot be stopped
                let stopped = route.id == "stop_run" && status == StatusCode::CONFLICT;
                assert!(gives() || stopped, "{} as {}: {status} {body}", route.id, role.as_str());
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{} as {}", route.id, role.as_str());
                assert!(body.contains("\"code\":\"role_missing\""), "{body}");
            }
            cells += 1;
        }
        for key in [None, Some("old"), Some("gone"), Some("nobody")] {
            let (status, headers, body) = send(&routes(Behaves::Well), request(route, key)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{} with {key:?}: {body}", route.id);
            assert!(headers.contains_key("www-authenticate"));
            cells += 1;
        }
    }
    assert_eq!(cells, ROUTES.len() * 8);
}

#[tokio::test]
async fn w_12_a_panic_in_any_handler_answers_500_and_leaves_the_rest_up() {
    let routes = routes(Behaves::Panics);
    for route in ROUTES {
        let (status, headers, body) = send(&routes, request(route, Some("administrator"))).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{}: {body}", route.id);
        assert!(body.contains("urn:entrain:error:internal") && !body.contains("a bug"), "{body}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{}", route.id);
        let alive = Request::get("/health/live").header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(send(&routes, alive).await.0, StatusCode::OK, "after {}", route.id);
    }
}

#[tokio::test]
async fn probes_learn_whether_it_lives_and_whether_it_can_work() {
    let get = |path: &str| Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(send(&routes(Behaves::NotReady), get("/health/live")).await.0, StatusCode::OK);
    assert_eq!(send(&routes(Behaves::Well), get("/health/ready")).await.0, StatusCode::OK);
    let (status, _, body) = send(&routes(Behaves::NotReady), get("/health/ready")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, r#"{"status":"not ready","code":"store_failed"}"#, "no details for strangers");
    let panics = send(&routes(Behaves::Panics), get("/health/ready")).await;
    assert_eq!(panics.0, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn every_answer_is_guarded() {
    for (path, status) in [
        ("/nothing/here", StatusCode::NOT_FOUND),
        ("/api/v1/nothing", StatusCode::NOT_FOUND),
        ("/api/v1/connections", StatusCode::UNAUTHORIZED),
        ("/metrics", StatusCode::OK),
    ] {
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        let (given, headers, _) = send(&routes(Behaves::Well), request).await;
        assert_eq!(given, status, "{path}");
        for header in
            ["x-content-type-options", "content-security-policy", "referrer-policy", "cache-control"]
        {
            assert!(headers.contains_key(header), "{path}: {header}");
        }
    }
}

#[test]
fn the_page_about_figures_names_exactly_those_that_there_are() {
    let page = include_str!("../../../docs/reference/metrics.md");
    let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let known: Vec<String> = metrics::NAMES
        .iter()
        .map(|(name, kind, labels, what)| format!("| `{name}` | {} | {labels} | {what} |", kind.as_str()))
        .collect();
    assert_eq!(told, known);
}

#[tokio::test]
async fn reports_come_as_tables_and_the_audit_log_to_its_end() {
    let routes = routes(Behaves::Well);
    let ask = |path: &str| {
        let request = Request::get(format!("/api/v1{path}"))
            .header("host", "localhost")
            .header("authorization", "Bearer entrain_viewer_secret")
            .body(Body::empty())
            .unwrap();
        let routes = routes.clone();
        async move {
            let response = routes.oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    let (status, headers, body) = ask("/connections/azure-ad/reports/leavers?format=csv").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "name,why\r\n"));
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(headers["content-disposition"], "attachment; filename=\"azure-ad-leavers.csv\"");
    let (status, _, body) = ask("/connections/azure-ad/reports/seats").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("\"report\":\"seats\""), "{body}");
    for (path, status) in [
        ("/connections/azure-ad/reports/nothing", StatusCode::NOT_FOUND),
        ("/connections/azure-ad/reports/members", StatusCode::BAD_REQUEST),
        ("/connections/azure-ad/reports/members?group=a&at=yesterday", StatusCode::BAD_REQUEST),
        ("/connections/azure-ad/reports/members?group=a&at=2026-11-01", StatusCode::OK),
    ] {
        let (got, _, body) = ask(path).await;
        assert_eq!(got, status, "{path}: {body}");
    }
    // Two parts, one after the other
    let (status, _, body) = ask("/audit/export").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "{\"seq\":1}\n{\"seq\":2}\n"));
}
