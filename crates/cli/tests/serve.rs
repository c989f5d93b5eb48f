//! `entrain serve`, through the real binary against the emulator: schedule, API, roles, approval, stopping.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Bench;
use support::served::{Caller, Served, within};

#[test]
fn it_previews_until_a_person_switches_it_and_then_runs_by_schedule() {
    let bench = Bench::demo();
    let document = format!("{}\n[schedule]\nevery = \"1m\"\n", bench.document("\"Jira *\""));
    let path = bench.file("connection.toml", &document);
    bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    let served = Served::start(&bench);
    let administrator = Caller::new(&bench, &served, Some("administrator"));

    // Never started before: it is due at once
    let preview = within(Duration::from_secs(30), "a preview", || {
        let (status, preview) = administrator.get("/api/v1/connections/azure-ad/preview");
        (status == 200).then_some(preview)
    });
    assert_eq!(preview["plan"]["status"], "changes", "{preview}");
    let (_, runs) = administrator.get("/api/v1/runs");
    assert_eq!(runs["runs"], json!([]), "a preview is no run and has written nothing");

    let (status, switched) = administrator.send(
        "PUT",
        "/api/v1/connections/azure-ad/mode",
        Some(json!({ "mode": "apply" })),
        None,
    );
    assert_eq!((status, &switched["mode"]), (200, &json!("apply")), "{switched}");
    let list = bench.entrain(&["connection", "list", "--json"]).expect(0).json();
    assert_eq!(list[0]["mode"], "apply");
    let run = within(Duration::from_secs(90), "a run by schedule", || {
        let (_, runs) = administrator.get("/api/v1/runs");
        runs["runs"].as_array()?.iter().find(|run| run["status"] == "converged").cloned()
    });
    assert_eq!(run["trigger"], "schedule");
    let (_, metrics) = administrator.get("/metrics");
    let metrics = metrics.as_str().unwrap().to_owned();
    assert!(
        metrics.contains(
            "entrain_runs_total{connection=\"Azure AD\",trigger=\"schedule\",status=\"converged\"} 1"
        ),
        "{metrics}"
    );

    // What is answered after a restart: a document that changed meanwhile counts, and one missed run is caught up
    let (ended, took) = served.terminate();
    assert_eq!(ended.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn roles_approval_idempotency_and_events_through_the_api() {
    let bench = Bench::demo();
    bench.add("\"Jira *\", \"Project Barometer\"");
    let served = Served::start(&bench);
    let (viewer, operator, approver) = (
        Caller::new(&bench, &served, Some("viewer")),
        Caller::new(&bench, &served, Some("operator")),
        Caller::new(&bench, &served, Some("approver")),
    );
    let nobody = Caller::new(&bench, &served, None);
    assert_eq!(nobody.get("/api/v1/connections").0, 401);
    assert_eq!(nobody.get("/health/ready").0, 200);
    assert_eq!(nobody.get("/api/v1/openapi.json").1["openapi"], "3.1.0");
    let (_, connections) = viewer.get("/api/v1/connections");
    assert_eq!(connections["connections"][0]["mode"], "preview", "{connections}");
    let (_, connection) = viewer.get("/api/v1/connections/azure-ad");
    let document = connection["document"].as_str().unwrap();
    assert!(document.contains("\"sealed\"") && !document.contains(&bench.company().api_token), "{document}");

    let sync = "/api/v1/connections/azure-ad/sync?wait";
    let (status, refused) = viewer.post(sync);
    assert_eq!((status, &refused["type"]), (403, &json!("urn:entrain:error:role_missing")));
    let (status, report) = operator.send("POST", sync, None, Some("first"));
    assert_eq!(status, 200, "{report}");
    let run = report["run_id"].as_str().unwrap().to_owned();
    assert_eq!(report["status"], "held", "“Project Barometer” exists and waits to be adopted: {report}");
    let (_, again) = operator.send("POST", sync, None, Some("first"));
    assert_eq!(again["run_id"], run.as_str(), "sent again, it is the same run");
    let (status, other) =
        operator.send("POST", "/api/v1/connections/azure-ad/sync?full", None, Some("first"));
    assert_eq!((status, &other["code"]), (422, &json!("request_repeated")));

    assert_eq!(operator.post(&format!("/api/v1/runs/{run}/approve?wait")).0, 403);
    let (status, approved) = approver.post(&format!("/api/v1/runs/{run}/approve?wait"));
    assert_eq!((status, &approved["status"]), (200, &json!("converged")), "{approved}");
    let (_, detail) = viewer.get(&format!("/api/v1/runs/{run}"));
    assert_eq!(detail["decisions"][0]["actor"], "the approver");
    assert!(!detail["journal"].as_array().unwrap().is_empty());
    assert_eq!(viewer.get(&format!("/api/v1/runs/{run}/plan")).1["connection"], "Azure AD");
    let (_, events) = viewer.get(&format!("/api/v1/runs/{run}/events"));
    assert!(events.as_str().unwrap().starts_with("event: ended\n"), "{events}");

    let (_, first) = viewer.get("/api/v1/runs?limit=1");
    assert_eq!(first["runs"].as_array().unwrap().len(), 1);
    let (_, second) = viewer.get(&format!("/api/v1/runs?limit=1&cursor={}", first["next"].as_str().unwrap()));
    assert_eq!((&second["runs"][0]["run_id"], &second["next"]), (&json!(run), &Value::Null));
    let (_, people) = viewer.get("/api/v1/connections/azure-ad/users?limit=3");
    assert_eq!(people["found"].as_array().unwrap().len(), 3, "{people}");
    let (_, groups) = viewer.get("/api/v1/connections/azure-ad/groups?search=BAROMETER");
    assert_eq!(groups["found"].as_array().unwrap().len(), 1, "{groups}");
    assert_eq!(viewer.get("/api/v1/audit/verify").1["intact"], true);
    let (_, audit) = viewer.get("/api/v1/audit?limit=200");
    let actors = |action: &str| {
        let entries = audit["entries"].as_array().unwrap();
        entries
            .iter()
            .filter(|e| e["action"] == action)
            .map(|e| e["actor"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(actors("plan_approved"), ["the approver"]);

    // A revoked key is refused at once; the list says when keys were used, and holds no secret
    let keys = bench.entrain(&["admin", "api-key", "list", "--json"]).expect(0);
    let secret = viewer.key.as_ref().unwrap().rsplit('_').next().unwrap();
    assert!(!keys.out().contains(secret));
    let keys = keys.json();
    assert!(keys[0]["used_at"].is_string(), "{keys}");
    let id = keys[0]["id"].as_str().unwrap();
    bench.entrain(&["admin", "api-key", "revoke", id]).expect(0);
    assert_eq!(viewer.get("/api/v1/connections").0, 401);
    assert_eq!(operator.get("/api/v1/connections").0, 200);
}

#[test]
fn w_05_what_the_description_does_not_name_is_refused() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let served = Served::start(&bench);
    let caller = Caller::new(&bench, &served, Some("administrator"));
    for (method, path, body, status) in [
        ("GET", "/api/v1/runs?nonsense=1", None, 400),
        ("GET", "/api/v1/runs?limit=1&limit=2", None, 400),
        ("GET", "/api/v1/runs?limit=0", None, 400),
        ("GET", "/api/v1/runs?cursor=%00", None, 400),
        ("PATCH", "/api/v1/runs", None, 405),
        ("DELETE", "/api/v1/connections", None, 405),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/api/v1/runs/not-there", None, 404),
        ("GET", "/api/v1/connections/..%2f..%2fetc", None, 404),
        ("POST", "/api/v1/connections/azure-ad/sync", Some(json!({ "admin": true })), 415),
        ("PUT", "/api/v1/connections/azure-ad/mode", Some(json!({ "mode": "apply", "by": "me" })), 400),
        ("PUT", "/api/v1/connections/azure-ad/mode", Some(json!({ "mode": "yes" })), 400),
        ("PUT", "/api/v1/connections/azure-ad/mode", Some(json!([1])), 400),
        ("PUT", "/api/v1/connections/azure-ad/mode", None, 415),
        ("PUT", "/api/v1/connections/azure-ad", Some(json!({ "document": "name = 1" })), 422),
        ("PUT", "/api/v1/connections/azure-ad", Some(json!({ "document": "x".repeat(1_100_000) })), 413),
    ] {
        let (given, answer) = caller.send(method, path, body, None);
        assert_eq!(given, status, "{method} {path}: {answer}");
        assert!(
            answer["type"].as_str().unwrap().starts_with("urn:entrain:error:"),
            "{method} {path}: {answer}"
        );
    }
    assert_eq!(caller.get("/health/live").0, 200);
}

/// Sends bytes as they are; gives back what comes until the other side closes.
fn raw(served: &Served, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn w_07_bodies_without_end_and_bodies_that_drip_are_cut_off() {
    let bench = Bench::demo();
    let served = Served::start(&bench);
    let caller = Caller::new(&bench, &served, Some("administrator"));
    let key = caller.key.as_ref().unwrap();
    let head = format!(
        "PUT /api/v1/connections/x/mode HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let sent = (0..4_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(sent < 1_000, "{sent} chunks of 64 kB were taken");
    // Whoever floods may not read the answer any more; whoever says beforehand how much it is can
    let announced = head.replace("Transfer-Encoding: chunked", "Content-Length: 1000000000");
    let answer = raw(&served, announced.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    let at = Instant::now();
    let answer = raw(&served, format!("{head}1\r\n{{\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(at.elapsed() < Duration::from_secs(13), "{:?}", at.elapsed());
    assert_eq!(caller.get("/health/live").0, 200);
}

#[test]
fn w_09_requests_that_two_readers_would_read_differently_are_refused() {
    let bench = Bench::demo();
    let served = Served::start(&bench);
    for request in [
        "GET /health/live HTTP/1.1\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: user@evil\r\nConnection: close\r\n\r\n".to_owned(),
        "POST /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"
            .to_owned(),
        "GET /health/live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        format!("GET /health/live?{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "x".repeat(9_000)),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000)),
    ] {
        let answer = raw(&served, request.as_bytes());
        let status = answer.split_whitespace().nth(1).unwrap_or("closed").to_owned();
        assert!(
            status == "closed" || status.starts_with('4'),
            "{}: {answer}",
            &request[..60.min(request.len())]
        );
    }
}

#[test]
fn w_03_wrong_keys_are_soon_refused_unseen_and_lock_nobody_out() {
    let bench = Bench::demo();
    let served = Served::start(&bench);
    let good = Caller::new(&bench, &served, Some("viewer"));
    assert_eq!(good.get("/api/v1/runs").0, 200);
    let mut bad = Caller::new(&bench, &served, None);
    let id = good.key.as_ref().unwrap().split('_').nth(1).unwrap().to_owned();
    let mut counts = std::collections::BTreeMap::new();
    for n in 0..50 {
        bad.key = Some(format!("entrain_{id}_{n:064}"));
        *counts.entry(bad.get("/api/v1/runs").0).or_insert(0) += 1;
    }
    assert_eq!(counts, [(401, 5), (429, 45)].into());
    assert_eq!(good.get("/api/v1/runs").0, 200, "a key that was good a moment ago goes on");
}

#[test]
fn a_second_server_over_the_same_sqlite_is_refused_and_names_the_first() {
    let bench = Bench::demo();
    let served = Served::start(&bench);
    let second = bench.entrain(&["serve", "--listen", "127.0.0.1:0", "--json"]).expect(1);
    let error = second.json()["error"].clone();
    assert_eq!(error["code"], "server_running", "{error}");
    let named = format!("process {} on ", served.process());
    assert!(error["message"].as_str().unwrap().contains(&named), "{error}");
    let (ended, _) = served.terminate();
    assert_eq!(ended.code(), Some(0));
    let third = Served::start(&bench);
    assert_eq!(third.terminate().0.code(), Some(0));
}

#[test]
fn r_11_sigterm_stops_a_run_in_progress_within_ten_seconds_at_a_step_boundary() {
    let bench = Bench::of(entrain_emulator::Options { people: 600, groups: 30, ..Default::default() });
    bench.add("\"*\"");
    let served = Served::start(&bench);
    let operator = Caller::new(&bench, &served, Some("operator"));
    let (status, begun) = operator.post("/api/v1/connections/azure-ad/sync");
    assert_eq!(status, 202, "{begun}");
    let run = begun["run_id"].as_str().unwrap().to_owned();
    within(Duration::from_mins(1), "the first steps", || {
        let (_, run) = operator.get(&format!("/api/v1/runs/{run}"));
        (run["journal"].as_array()?.len() > 5).then_some(())
    });
    let (ended, took) = served.terminate();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(ended.code(), Some(4), "incomplete");
    let shown = bench.entrain(&["runs", "show", &run, "--json"]).expect(0).json();
    let stopped = |aside: &Value| aside["reason"].as_str().unwrap().starts_with("the run was stopped with ");
    assert!(shown["set_aside"].as_array().unwrap().iter().any(stopped), "{}", shown["set_aside"]);
    let open =
        shown["journal"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "intent").count();
    assert_eq!(open, 0, "no call was cut off");
}

#[test]
fn r_11_a_stop_waits_for_nobody_who_says_nothing_and_refuses_whoever_comes_later() {
    let bench = Bench::demo();
    let served = Served::start(&bench);
    let caller = Caller::new(&bench, &served, Some("administrator"));
    let key = caller.key.clone().unwrap();
    let open = |text: &str| {
        let mut stream = TcpStream::connect(served.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..50)
        .flat_map(|_| {
            [
                // Nothing at all, half a head, a body that does not come, and an answer that was read: kept for the next request
                open(""),
                open("GET /health/live HTTP/1.1\r\nHost: x\r\nX: "),
                open(&format!(
                    "PUT /api/v1/connections/x/mode HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
                     Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{"
                )),
                open("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"),
            ]
        })
        .collect();
    assert_eq!(caller.get("/health/ready").0, 200);
    let address = served.address();
    let (ended, took) = served.terminate();
    assert_eq!(ended.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    for mut stream in held {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        assert!(read.is_ok() || read.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    }
}

/// What Microsoft and Atlassian take from now on.
fn issue(bench: &Bench, client_secret: &str, api_token: &str) {
    let mut world = bench.emulator.state().world_mut();
    for application in world.tenant.applications.values_mut() {
        application.secrets.iter_mut().for_each(|secret| client_secret.clone_into(&mut secret.value));
    }
    world.atlassian.api_tokens.iter_mut().for_each(|token| api_token.clone_into(&mut token.token));
}

#[test]
fn s_04_credentials_in_files_are_taken_up_without_a_restart() {
    let bench = Bench::demo();
    let (secret, token) = (bench.company().client_secret.clone(), bench.company().api_token.clone());
    let (secret_file, token_file) = (bench.file("secret", &secret), bench.file("token", &token));
    let document = bench
        .document("\"Jira *\"")
        .replace(&secret, &format!("file:{}", secret_file.display()))
        .replace(&token, &format!("file:{}", token_file.display()));
    let path = bench.file("connection.toml", &document);
    bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    let served = Served::start(&bench);
    let operator = Caller::new(&bench, &served, Some("operator"));
    let sync = || operator.post("/api/v1/connections/azure-ad/sync?wait&full").1;
    assert_eq!(sync()["status"], "converged");

    issue(&bench, "a-new-secret", "a-new-token");
    let refused = sync();
    assert_eq!(refused["status"], "failed", "{refused}");
    std::fs::write(&secret_file, "a-new-secret\n").unwrap();
    let half = sync();
    assert_eq!(half["status"], "failed", "one of two is new: {half}");
    std::fs::write(&token_file, "a-new-token\n").unwrap();
    let after = sync();
    assert_eq!(after["status"], "converged", "{after}");
}

#[test]
fn s_04_credentials_in_the_document_are_taken_up_without_a_restart_and_so_is_a_new_secret_key() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let served = Served::start(&bench);
    let operator = Caller::new(&bench, &served, Some("operator"));
    let sync = || operator.post("/api/v1/connections/azure-ad/sync?wait&full").1;
    assert_eq!(sync()["status"], "converged");
    let rotated = bench.entrain(&["admin", "rotate-key", "--json"]).expect(0).json();
    assert_eq!(rotated["secrets"], 2, "{rotated}");
    let again = sync();
    assert_eq!(again["status"], "converged", "{again}");

    // New ones, sealed with the new key by another process
    let document = bench.document("\"Jira *\"");
    let (secret, token) = (bench.company().client_secret.clone(), bench.company().api_token.clone());
    issue(&bench, "a-new-secret", "a-new-token");
    let refused = sync();
    assert_eq!(refused["status"], "failed", "{refused}");
    let document = document.replace(&secret, "a-new-secret").replace(&token, "a-new-token");
    let path = bench.file("connection.toml", &document);
    bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    let after = sync();
    assert_eq!(after["status"], "converged", "{after}");
    bench.entrain(&["admin", "rotate-key"]).expect(0);
    let last = sync();
    assert_eq!(last["status"], "converged", "{last}");
    bench.entrain(&["audit", "verify"]).expect(0);
}

#[test]
fn p_2_a_run_of_the_service_that_finds_nothing_changed_costs_two_requests_and_no_token() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let served = Served::start(&bench);
    let operator = Caller::new(&bench, &served, Some("operator"));
    let sync = || operator.post("/api/v1/connections/azure-ad/sync?wait").1;
    let first = sync();
    assert_eq!(first["status"], "converged", "{first}");
    let tokens = || {
        let log = &bench.emulator.state().log;
        log.entries(usize::MAX, |entry| entry.path.ends_with("/oauth2/v2.0/token")).len()
    };
    assert_eq!(tokens(), 1);
    for _ in 0..3 {
        let again = sync();
        assert_eq!(
            (&again["status"], &again["requests"]["directory"], &again["requests"]["site"]),
            (&json!("converged"), &json!(2), &json!(0)),
            "{again}"
        );
    }
    assert_eq!(tokens(), 1, "the token is held while it is good");
}
