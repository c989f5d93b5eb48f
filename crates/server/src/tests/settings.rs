//! Settings: accounts and keys from their pages; what is shown once; the last administrator.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use tower::ServiceExt as _;

use super::pages::post;
use super::{Behaves, Fake, now, over, send};
use crate::service::Answer;
use crate::upkeep::{
    AlertPlace, BackupParts, Database, DatabaseKind, Heard, MadeBackup, Premises, SignIns, Upkeep,
};

/// A key as the API tells it.
pub(super) fn made_key(name: &str, n: usize) -> Value {
    json!({ "id": format!("k{n}"), "name": name, "role": "operator", "created_at": now(),
        "expires_at": "2027-01-01T00:00:00Z", "revoked_at": null, "used_at": now() })
}

impl Upkeep for Fake {
    fn sign_ins(&self) -> Answer<'_, SignIns> {
        self.give(SignIns { at: [("viewer".to_owned(), now())].into(), since: None })
    }
    fn alert_places<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<AlertPlace>> {
        let place = |name: &str, kind: &str, failing: Option<String>| AlertPlace {
            name: name.into(),
            kind: kind.into(),
            to: self.hostile.into(),
            about: vec!["held", "failed"],
            failing,
        };
        self.give(vec![place("mail", "email", Some(self.hostile.into())), place("on-call", "slack", None)])
    }
    fn last_backup(&self) -> Answer<'_, Option<MadeBackup>> {
        let said = || self.hostile.to_owned();
        self.give(Some(MadeBackup { at: now(), by: said(), to: said(), detail: said() }))
    }
    fn backup<'a>(&'a self, _: &'a str) -> Answer<'a, BackupParts> {
        let (send, parts) = tokio::sync::mpsc::channel(3);
        for part in ["head\n", "rows\n"] {
            send.try_send(Ok(part.as_bytes().to_vec())).unwrap();
        }
        if self.rows == 2 {
            let failure =
                Failure::new(FailureCode::StoreFailed, FailureClass::Local, "it broke off", "again");
            send.try_send(Err(failure)).unwrap();
        }
        self.change(parts)
    }
    fn premises(&self) -> Answer<'_, Premises> {
        let database = Database {
            kind: DatabaseKind::Postgres,
            version: self.hostile.into(),
            tables: 31,
            bytes: 12_345_678,
        };
        let gone = Heard::Ago(SignedDuration::from_secs(40));
        let servers = vec![(self.hostile.into(), Heard::Ourselves), ("b".into(), gone)];
        self.give(Premises { started_at: now(), database, servers })
    }
}

/// So many alerts that are open, and one that is over.
pub(super) fn alerts(said: &str, rows: usize) -> Vec<Value> {
    let alert = |id: String, state: &str| {
        json!({ "id": id, "connection": said, "kind": "seats", "severity": "critical", "state": state,
            "object": said, "sentence": said, "remedy": said, "link": "/connections/azure-ad", "since": now(),
            "told_at": now(), "acknowledged": null, "over_at": (state == "over").then(now) })
    };
    let mut all: Vec<Value> = (1..=rows).map(|n| alert(format!("a{n}"), "open")).collect();
    all.push(alert("a0".into(), "over"));
    all
}

/// What testing a channel comes to: the mail server refuses.
pub(super) fn tested(channel: Option<&str>) -> Vec<Value> {
    let outcome = |name: &str, error: Option<&str>| {
        let word = if error.is_some() { "failed" } else { "sent" };
        json!({ "channel": name, "kind": "email", "outcome": word, "error": error })
    };
    let all =
        [outcome("mail", Some("the mail server refuses user and password (535)")), outcome("on-call", None)];
    all.into_iter().filter(|one| channel.is_none_or(|channel| one["channel"] == channel)).collect()
}

/// An administrator in front of the settings.
struct Desk {
    fake: Arc<Fake>,
    routes: Router,
    cookie: String,
}

impl Desk {
    fn of(role: Role) -> Self {
        let fake = Arc::new(Fake::new(Behaves::Well));
        for account in fake.people.accounts.lock().unwrap().values_mut() {
            account.hash = format!("hash of {}", account.name);
        }
        let cookie = fake.people.signed_in(role);
        Self { routes: over(fake.clone()), fake, cookie }
    }

    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        let get = Request::get(path)
            .header("host", "localhost")
            .header("cookie", format!("entrain={}", self.cookie))
            .body(Body::empty())
            .unwrap();
        send(&self.routes, get).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        post(&self.routes, path, &format!("entrain={}", self.cookie), &self.cookie, fields).await
    }

    fn hash_of(&self, account: &str) -> String {
        self.fake.people.accounts.lock().unwrap()[account].hash.clone()
    }
}

/// The secret of a page that shows one.
fn secret(body: &str) -> &str {
    let rest = body.split("id=\"once\" value=\"").nth(1).unwrap_or_else(|| panic!("shows no secret: {body}"));
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn an_account_is_made_and_its_password_is_shown_once() {
    let desk = Desk::of(Role::Administrator);
    let fields = [("name", "Ana Ruiz"), ("role", "approver")];
    let (status, headers, body) = desk.post("/settings/accounts", &fields).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(headers["cache-control"], "no-store");
    let password = secret(&body).to_owned();
    assert_eq!(desk.fake.people.accounts.lock().unwrap()["Ana Ruiz"].role, Role::Approver);
    assert!(crate::accounts::fits(password.clone(), Some(desk.hash_of("Ana Ruiz"))).await);
    for path in ["/settings/accounts", "/settings/accounts/Ana%20Ruiz", "/account", "/audit"] {
        let (status, _, body) = desk.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert!(!body.contains(&password) && !body.contains("argon2"), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_wrong_name_is_told_beside_its_field_and_makes_nobody() {
    let desk = Desk::of(Role::Administrator);
    for name in ["", "  ", "a\u{7}b"] {
        let (status, _, body) =
            desk.post("/settings/accounts", &[("name", name), ("role", "operator")]).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(body.contains("id=\"name-e\"") && body.contains("aria-invalid=\"true\""), "{body}");
        assert!(body.contains("value=\"operator\" checked"), "what was chosen stays chosen: {body}");
    }
    let (status, ..) = desk.post("/settings/accounts", &[("name", "Ana"), ("role", "owner")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let days = [("name", "ops"), ("role", "viewer"), ("days", "0")];
    let (status, _, body) = desk.post("/settings/keys", &days).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body.contains("id=\"days-e\"") && !body.contains("id=\"name-e\""), "{body}");
    assert_eq!(desk.fake.people.writes(), 0);
}

#[tokio::test]
async fn an_account_is_changed_disabled_enabled_and_signed_out() {
    let desk = Desk::of(Role::Administrator);
    let of = |what: &str| format!("/settings/accounts/operator/{what}");
    let account = || desk.fake.people.accounts.lock().unwrap()["operator"].clone();
    for (what, fields, word) in [
        ("role", &[("role", "viewer")][..], "role"),
        ("disable", &[], "account-disabled"),
        ("enable", &[], "account-enabled"),
        ("sign-out", &[], "account-signed-out"),
    ] {
        desk.fake.people.signed_in(Role::Operator);
        let (status, headers, body) = desk.post(&of(what), fields).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{what}: {body}");
        assert_eq!(headers["location"], format!("/settings/accounts/operator?said={word}"));
        assert_eq!(account().role, Role::Viewer);
        assert_eq!(account().disabled_at.is_some(), what == "disable", "{what}");
    }
    let sessions = desk.fake.people.sessions.lock().unwrap().values().cloned().collect::<Vec<_>>();
    assert!(sessions.iter().all(|session| session.account != "operator"), "{sessions:?}");

    let before = desk.hash_of("operator");
    let (status, _, body) = desk.post(&of("password"), &[]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_ne!(desk.hash_of("operator"), before);
    assert!(crate::accounts::fits(secret(&body).to_owned(), Some(desk.hash_of("operator"))).await);
}

#[tokio::test]
async fn nobody_takes_their_own_rights_and_the_directory_gives_its_own() {
    let desk = Desk::of(Role::Administrator);
    for (what, fields) in [("role", &[("role", "viewer")][..]), ("disable", &[]), ("password", &[])] {
        let (status, _, body) = desk.post(&format!("/settings/accounts/administrator/{what}"), fields).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {body}");
    }
    let (_, _, body) = desk.get("/settings/accounts/administrator").await;
    assert!(body.contains("This is you") && !body.contains("/administrator/role"), "{body}");
    // Whoever has no password signs in through the directory
    desk.fake.people.accounts.lock().unwrap().get_mut("viewer").unwrap().hash = String::new();
    for (what, fields) in [("role", &[("role", "operator")][..]), ("password", &[])] {
        let (status, _, body) = desk.post(&format!("/settings/accounts/viewer/{what}"), fields).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {body}");
    }
    let (_, _, body) = desk.get("/settings/accounts/viewer").await;
    assert!(!body.contains("/viewer/role") && !body.contains("/viewer/password"), "{body}");
    assert!(body.contains("/viewer/disable"), "{body}");
    assert_eq!(desk.fake.people.writes(), 0);
}

#[tokio::test]
async fn the_only_administrator_with_a_password_cannot_be_taken_away() {
    let desk = Desk::of(Role::Administrator);
    {
        let mut accounts = desk.fake.people.accounts.lock().unwrap();
        // The one who asks signs in through the directory, so that there is one other
        accounts.get_mut("administrator").unwrap().hash = String::new();
        accounts.get_mut("operator").unwrap().role = Role::Administrator;
    }
    let (_, _, body) = desk.get("/settings/accounts/operator").await;
    assert!(body.contains("The only administrator with a password"), "{body}");
    assert!(body.matches(" disabled aria-describedby").count() == 2, "{body}");
    for (what, fields) in [("role", &[("role", "viewer")][..]), ("disable", &[])] {
        let (status, _, body) = desk.post(&format!("/settings/accounts/operator/{what}"), fields).await;
        assert_eq!(status, StatusCode::CONFLICT, "{what}: {body}");
        assert!(body.contains("role=\"alert\"") && body.contains("Make somebody else one first"), "{body}");
    }
    let account = desk.fake.people.accounts.lock().unwrap()["operator"].clone();
    assert!(account.role == Role::Administrator && account.disabled_at.is_none());
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_revoked() {
    let desk = Desk::of(Role::Administrator);
    let fields = [("name", "nightly"), ("role", "operator"), ("days", "30")];
    let (status, _, body) = desk.post("/settings/keys", &fields).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(secret(&body), "entrain_k1_onlythisonce");
    for path in ["/settings/keys", "/settings/keys/k1"] {
        let (_, _, body) = desk.get(path).await;
        assert!(!body.contains("onlythisonce") && body.contains("Operator"), "{path}: {body}");
    }
    let (status, headers, _) = desk.post("/settings/keys/k1/revoke", &[]).await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/settings/keys/k1?said=key-revoked")
    );
    assert_eq!(desk.get("/settings/keys/nobody").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_settings_lead_everybody_to_what_they_may_open() {
    let (_, headers, _) = Desk::of(Role::Administrator).get("/settings").await;
    assert_eq!(headers["location"], "/settings/accounts");
    let desk = Desk::of(Role::Viewer);
    let (_, headers, _) = desk.get("/settings").await;
    let (status, _, body) = desk.get(headers["location"].to_str().unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!body.contains("/settings/accounts") && body.contains("href=\"/account\""), "{body}");
}

#[tokio::test]
async fn a_test_of_a_place_is_answered_in_words_and_an_alert_is_taken_on() {
    let desk = Desk::of(Role::Operator);
    let (_, _, body) = desk.get("/settings/alerts").await;
    assert!(
        body.contains("1 thing needs somebody, 1 now") && body.contains("/settings/alerts/a1/"),
        "{body}"
    );
    assert!(body.contains("id=\"over-h\"") && !body.contains("/settings/alerts/a0/"), "{body}");
    let test = async |channel| {
        desk.post("/settings/alerts/test", &[("connection", "azure-ad"), ("channel", channel)]).await
    };
    let (status, _, body) = test("mail").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body.contains("“mail” did not take the test"), "{body}");
    assert!(body.matches("The mail server refuses user and password (535).").count() == 2, "{body}");
    let (_, _, body) = test("on-call").await;
    assert!(body.contains("The test was taken") && body.contains("Look whether it has arrived"), "{body}");
    assert_eq!(test("").await.0, StatusCode::BAD_REQUEST);
    let (status, headers, _) = desk.post("/settings/alerts/a1/acknowledge", &[("note", "on it")]).await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/settings/alerts?said=taken-on")
    );
    let (_, _, body) = Desk::of(Role::Viewer).get("/settings/alerts").await;
    assert!(!body.contains("/settings/alerts/"), "a viewer takes nothing on and tests nothing: {body}");
}

#[tokio::test]
async fn a_backup_is_downloaded_whole_or_breaks_off() {
    let desk = Desk::of(Role::Administrator);
    let (status, headers, body) = desk.post("/settings/backups", &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "head\nrows\n"));
    assert_eq!(headers["content-disposition"], "attachment; filename=\"entrain-2026-05-01.backup\"");
    // Broken off is an error of the transfer, so that no browser keeps a half as a whole
    let fake = Arc::new(Fake { rows: 2, ..Fake::new(Behaves::Well) });
    let cookie = fake.people.signed_in(Role::Administrator);
    let request = Request::post("/settings/backups")
        .header("host", "localhost")
        .header("cookie", format!("entrain={cookie}"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("csrf={}", crate::console::session::token(&cookie))))
        .unwrap();
    let response = over(fake).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(axum::body::to_bytes(response.into_body(), 1 << 20).await.is_err());
}

#[tokio::test]
async fn what_the_service_runs_on_is_told() {
    let (_, _, body) = Desk::of(Role::Viewer).get("/settings/about").await;
    for told in ["PostgreSQL", "format 31", "12.3 MB", "this one", "not heard for 40 seconds", "/metrics"] {
        assert!(body.contains(told), "{told}: {body}");
    }
}
