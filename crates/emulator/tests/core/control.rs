//! The control interface.

use entrain_emulator::{Emulator, Options, start};
use reqwest::Method;
use serde_json::{Value, json};

use crate::serving::client;

struct Control {
    emulator: Emulator,
}

impl Control {
    async fn new() -> Self {
        Self { emulator: start(Options::of(30, 12)).await.unwrap() }
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("{}{path}", self.emulator.description().control_url);
        let answer = client().request(method, url).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.unwrap();
        // A hook answers as chats do, in plain text, and certificates are PEM; everything else is JSON
        let plain = path.starts_with("/hook/") || path == "/mail/ca.pem";
        let body = match bytes.as_ref() {
            b"" => Value::Null,
            text if plain => String::from_utf8_lossy(text).into(),
            json => serde_json::from_slice(json).unwrap(),
        };
        (status, body)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, "").await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn change(&self, changes: Value) -> (u16, Value) {
        self.send(Method::POST, "/world/changes", changes.to_string()).await
    }
}

#[tokio::test]
async fn everything_that_is_listed_is_there() {
    let control = Control::new().await;
    let index = control.get("/").await;
    let routes: Vec<String> = index["routes"].as_object().unwrap().keys().cloned().collect();
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        if method == Method::GET {
            control.get(path).await;
        } else {
            let (status, body) = control.send(method, path, "{}").await;
            assert!(![404, 405].contains(&status) && status < 500, "{route}: {status} {body}");
        }
    }
}

#[tokio::test]
async fn bad_input_gets_a_4xx_that_says_what_is_wrong() {
    let control = Control::new().await;
    for (method, path, body, status, word) in [
        ("GET", "/nothing", "", 404, "/nothing"),
        ("PATCH", "/settings", "{}", 405, "/settings"),
        ("PUT", "/settings", "{", 400, "EOF"),
        ("PUT", "/settings", "[]", 400, "sequence"),
        ("PUT", "/settings", r#"{"graph": {"delta_pagesize": 1}}"#, 400, "delta_pagesize"),
        ("PUT", "/settings", r#"{"graph": {"delta_page_size": 0}}"#, 400, "graph.delta_page_size"),
        ("PUT", "/settings", r#"{"atlassian": {"burst_per_second": {"HEAD": 1}}}"#, 400, "HEAD"),
        ("POST", "/faults", r#"[{"kind": {"html": {}}}, {"kind": {"htlm": {}}}]"#, 400, "fault 1"),
        ("DELETE", "/faults/9", "", 404, "no fault 9"),
        ("DELETE", "/faults/x", "", 400, "\"x\""),
        ("GET", "/log?surface=jira", "", 400, "jira"),
        ("GET", "/log?colour=red", "", 400, "colour"),
        ("POST", "/clock", r#"{"advance": 1}"#, 400, "advance"),
        ("POST", "/clock", r#"{"advance_seconds": 1e300}"#, 400, "advance_seconds"),
        ("POST", "/world/changes", r#"[{"change": "explode"}]"#, 400, "changes[0]"),
        ("POST", "/world/changes", r#"[{"change": "disable_user", "usr": "x"}]"#, 400, "usr"),
        ("POST", "/world/changes", r#"[{"change": "disable_user", "user": "ghost"}]"#, 409, "ghost"),
        ("POST", "/world/changes", r#"[{"change": "set_seats", "product": "ghost"}]"#, 409, "ghost"),
    ] {
        let (got, answer) = control.send(method.parse().unwrap(), path, body).await;
        let error = answer["error"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{method} {path} {body}: {answer}");
        assert!(error.contains(word), "{method} {path} {body}: {error}");
    }
    assert_eq!(control.get("/faults").await, json!({"faults": []}), "a list with a mistake adds nothing");
}

#[tokio::test]
async fn settings_change_in_part_and_faults_come_and_go() {
    let control = Control::new().await;
    let (status, settings) = control.send(Method::PUT, "/settings", r#"{"graph": {"empty_pages": 2}}"#).await;
    assert_eq!((status, &settings["graph"]["empty_pages"]), (200, &json!(2)));
    assert_eq!(control.get("/settings").await["graph"]["delta_page_size"], 200);

    let fault = r#"{"surface": "site", "kind": {"status": {"status": 418}}}"#;
    let (status, added) = control.send(Method::POST, "/faults", fault).await;
    assert_eq!(status, 201);
    let site = control.emulator.description().site_url.clone();
    assert_eq!(client().get(format!("{site}/x")).send().await.unwrap().status(), 418);
    let shown = control.get("/faults").await;
    assert_eq!((&shown["faults"][0]["fired"], &shown["faults"][0]["id"]), (&json!(1), &added["ids"][0]));
    let (status, _) = control.send(Method::DELETE, &format!("/faults/{}", added["ids"][0]), "").await;
    assert_eq!(status, 204);
    assert_ne!(client().get(format!("{site}/x")).send().await.unwrap().status(), 418);

    let log = control.get("/log?surface=site&status=418").await;
    assert_eq!(log["entries"].as_array().unwrap().len(), 1);
    assert_eq!(log["entries"][0]["fault"], "status");
    assert_eq!(control.get("/counts").await["by_surface"]["site"], 2);
    control.send(Method::DELETE, "/log", "").await;
    assert_eq!(control.get("/counts").await["total"], 0);
}

#[tokio::test]
async fn the_clock_moves_when_it_is_told() {
    let control = Control::new().await;
    let now = |value: &Value| value["now"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let before = now(&control.get("/health").await);
    let (status, moved) = control.send(Method::POST, "/clock", r#"{"advance_seconds": 86400}"#).await;
    assert_eq!(status, 200);
    assert!(now(&moved).duration_since(before).as_hours() >= 24);
}

#[tokio::test]
async fn the_directory_changes_by_name() {
    let control = Control::new().await;
    let (status, made) = control
        .change(json!([
            {"change": "create_user", "user": {"userPrincipalName": "cleo@acme.example", "displayName": "Cleo Hart"}},
            {"change": "create_group", "group": {"displayName": "Nightly", "members": [{"type": "user", "id": "cleo@acme.example"}]}},
            {"change": "update_user", "user": "cleo@acme.example", "set": {"department": "Ops"}},
            {"change": "disable_user", "user": "cleo@acme.example"},
            {"change": "rename_group", "group": "Nightly", "name": "Weekly"},
            {"change": "remove_member", "group": "Weekly", "member": {"type": "user", "id": "cleo@acme.example"}},
            {"change": "add_member", "group": "Weekly", "member": {"type": "user", "id": "cleo@acme.example"}},
        ]))
        .await;
    assert_eq!((status, &made["applied"]), (200, &json!(7)), "{made}");
    let id = made["ids"][0].as_str().unwrap().to_owned();
    let group = made["ids"][1].as_str().unwrap().to_owned();
    {
        let world = control.emulator.state().world();
        let cleo = &world.tenant.users[&id];
        assert_eq!((cleo.account_enabled, cleo.department.as_deref()), (Some(false), Some("Ops")));
        assert_eq!(world.tenant.groups[&group].display_name.as_deref(), Some("Weekly"));
        assert_eq!(world.tenant.groups[&group].members.len(), 1);
    }
    let (status, made) = control
        .change(json!({"changes": [
            {"change": "delete_user", "user": "cleo@acme.example"},
            {"change": "restore_user", "user": id},
            {"change": "delete_user", "user": id},
            {"change": "purge_user", "user": id},
            {"change": "delete_group", "group": "Weekly"},
            {"change": "restore_user", "user": id},
        ]}))
        .await;
    assert_eq!(status, 409);
    assert!(made["error"].as_str().unwrap().starts_with("changes[5]"), "{made}");
    let world = control.emulator.state().world();
    assert!(!world.tenant.users.contains_key(&id) && !world.tenant.groups.contains_key(&group));
}

#[tokio::test]
async fn the_site_changes_by_name_and_its_state_can_be_compared() {
    let control = Control::new().await;
    let (status, made) = control
        .change(json!([
            {"change": "add_account", "account": {"email": "dee@else.example", "display_name": "Dee"}},
            {"change": "create_site_group", "group": {"name": "Chess", "members": ["dee@else.example"]}},
            {"change": "add_site_member", "group": "jira-software-users", "account": "dee@else.example"},
            {"change": "remove_site_member", "group": "jira-software-users", "account": "dee@else.example"},
            {"change": "set_email_visibility", "account": "dee@else.example", "visible": false},
            {"change": "suspend_account", "account": "dee@else.example"},
            {"change": "set_seats", "product": "jira-software", "seats": 3},
            {"change": "expire_token"},
        ]))
        .await;
    assert_eq!((status, &made["applied"]), (200, &json!(8)), "{made}");
    let state = control.get("/site/state").await;
    let chess = state["groups"].as_array().unwrap().iter().find(|g| g["name"] == "Chess").unwrap().clone();
    assert_eq!(chess["members"], json!(["dee@else.example"]));
    let dee =
        state["accounts"].as_array().unwrap().iter().find(|a| a["display_name"] == "Dee").unwrap().clone();
    assert_eq!(
        (&dee["membership_status"], &dee["groups"], &dee["active"]),
        (&json!("suspended"), &json!(["Chess"]), &json!(false))
    );
    let (status, _) = control.change(json!([{"change": "delete_site_group", "group": "Chess"}])).await;
    assert_eq!(status, 200);
    let world = control.emulator.state().world();
    assert!(world.atlassian.api_tokens[0].expires.is_some());
    assert!(world.atlassian.group_by_name("Chess").is_none());
}

#[tokio::test]
async fn an_exported_world_can_be_served_again() {
    let control = Control::new().await;
    let exported = control.get("/world/export").await;
    let summary = control.get("/world").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    std::fs::write(&path, exported.to_string()).unwrap();
    let world = entrain_emulator::WorldSource::File(path);
    let again = Control { emulator: start(Options { world, ..Options::default() }).await.unwrap() };
    assert_eq!(again.get("/world").await, summary);
    assert_eq!(again.emulator.description().client_secret, control.emulator.description().client_secret);
}

#[tokio::test]
async fn applications_are_assigned_and_unassigned() {
    let control = Control::new().await;
    let description = control.emulator.description();
    let app = description.client_id.clone();
    let world = control.get("/world/export").await;
    let user = world["tenant"]["users"][0]["id"].clone();
    let change =
        |what: &str| json!([{"change": what, "client_id": app, "member": {"type": "user", "id": user}}]);
    assert_eq!(control.change(change("assign")).await.0, 200);
    let assigned = |world: &Value| world["tenant"]["applications"][0]["assigned"].as_array().unwrap().len();
    assert_eq!(assigned(&control.get("/world/export").await), 1);
    let (status, body) = control.change(change("assign")).await;
    assert!(status == 409 && body.to_string().contains("already"), "{status} {body}");
    assert_eq!(control.change(change("unassign")).await.0, 200);
    assert_eq!(assigned(&control.get("/world/export").await), 0);
    let (status, body) = control.change(change("unassign")).await;
    assert!(status == 409 && body.to_string().contains("is not assigned"), "{status} {body}");
}
