//! The main job through the real binary against the emulated clouds: exit codes, JSON, and the ways a person calls it.

mod support;

use std::io::Read as _;

use entrain_emulator::Options;
use support::{Bench, command, entrain_in};

const SCOPE: &str = "\"Jira *\"";

#[test]
fn a_first_sync_converges_and_a_second_one_writes_nothing() {
    let bench = Bench::demo();
    bench.add(SCOPE);
    let plan = bench.entrain(&["plan", "--json", "--detailed-exitcode"]).expect(5).json();
    assert_eq!(plan["status"], "changes", "{plan:#}");

    let first = bench.entrain(&["sync", "--json"]).expect(0).json();
    assert_eq!(first["status"], "converged", "{first:#}");
    assert_eq!(first["connection"], "Azure AD");
    assert!(first["steps"]["create_group"]["done"].as_u64() > Some(0), "{first:#}");

    let writes = bench.emulator.state().world().atlassian.invitations.len();
    let second = bench.entrain(&["sync", "--json"]).expect(0).json();
    assert_eq!(second["status"], "converged", "{second:#}");
    let done: u64 =
        second["steps"].as_object().unwrap().values().map(|n| n["done"].as_u64().unwrap_or(0)).sum();
    assert_eq!(done, 0, "{second:#}");
    assert_eq!(bench.emulator.state().world().atlassian.invitations.len(), writes);
    bench.entrain(&["plan", "--detailed-exitcode"]).expect(0);

    let runs = bench.entrain(&["runs", "list", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let id = first["run_id"].as_str().unwrap();
    let shown = bench.entrain(&["runs", "show", id, "--json"]).expect(0).json();
    assert!(!shown["journal"].as_array().unwrap().is_empty());
    assert!(bench.entrain(&["runs", "show", id]).expect(0).out().contains("Journal"));
    bench.entrain(&["runs", "show", "0190-no-such-run"]).expect(1);
    bench.entrain(&["audit", "verify"]).expect(0);
}

#[test]
fn an_adoption_waits_for_a_person_and_yes_releases_it() {
    let bench = Bench::demo();
    bench.add("\"Jira *\", \"Project Barometer\"");
    let held = bench.entrain(&["sync", "--json"]).expect(3).json();
    assert_eq!(held["status"], "held", "{held:#}");
    assert_eq!(held["held"][0]["guard"], "adoption", "{held:#}");
    bench.entrain(&["sync", "--yes"]).expect(0);
    bench.entrain(&["sync"]).expect(0);
}

#[test]
fn a_saved_plan_is_applied_exactly_or_not_at_all() {
    let bench = Bench::demo();
    bench.add(SCOPE);
    let file = bench.folder.path().join("plan.json");
    let file = file.to_str().unwrap();
    bench.entrain(&["plan", "--out", file]).expect(0);

    let text = std::fs::read_to_string(file).unwrap();
    let altered = bench.file("altered.json", &text.replacen("create_group", "remove_group", 1));
    let refused = bench.entrain(&["apply", altered.to_str().unwrap(), "--json"]).expect(1).json();
    assert_eq!(refused["error"]["code"], "plan_altered", "{refused:#}");

    bench.entrain(&["apply", file]).expect(0);
    // Now the world has moved on
    let stale = bench.entrain(&["apply", file, "--json"]).expect(1);
    assert!(stale.out().contains("plan_stale"), "{}", stale.out());
}

#[test]
fn wrong_usage_is_two_and_what_is_unknown_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| entrain_in(folder.path(), args, &[]);
    run(&["sync", "--no-such-flag"]).expect(2);
    run(&["sync", "--accept-empty"]).expect(2);
    run(&["sync", "--user", "ana", "--group", "Jira users"]).expect(2);
    run(&["sync", "--user", "ana"]).expect(1);
    run(&["plan", "No Such"]).expect(1);
    run(&["plan"]).expect(1);
    run(&["connection", "add", "no-such-file.toml"]).expect(2);
    let json = run(&["sync", "--no-such-flag", "--json"]).expect(2).json();
    assert_eq!(json["error"]["code"], "usage_invalid");
    let json = run(&["plan", "No Such", "--json"]).expect(1).json();
    assert_eq!(json["error"]["code"], "connection_unknown");
    assert_eq!(json["error"]["object"], "No Such");
}

#[test]
fn a_refused_secret_fails_with_the_reason_and_nothing_is_written() {
    let bench = Bench::demo();
    let secret = bench.company().client_secret.clone();
    let wrong = bench.document(SCOPE).replace(&secret, "wrong-secret-canary");
    let path = bench.file("wrong.toml", &wrong);
    let report = bench.entrain(&["sync", "--json", "--connection-file", path.to_str().unwrap()]).expect(1);
    assert!(report.out().contains("directory_credential_refused"), "{}", report.out());
    assert!(!(report.out() + &report.err()).contains("canary"));
}

#[test]
fn plain_output_has_no_escape_and_a_closed_pipe_is_no_error() {
    let bench = Bench::demo();
    bench.add(SCOPE);
    let plan = bench.entrain(&["plan"]).expect(0);
    assert!(!plan.out().contains('\u{1b}') && !plan.err().contains('\u{1b}'));
    assert!(plan.out().contains("Joining"), "{}", plan.out());
    let markdown = bench.entrain(&["plan", "--format", "markdown"]).expect(0).out();
    assert!(markdown.starts_with("# Plan for"), "{markdown}");

    let mut child = command(bench.folder.path(), &["connection", "schema"]).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut one = [0];
    out.read_exact(&mut one).unwrap();
    drop(out);
    assert!(child.wait().unwrap().success());
}

#[test]
fn emulate_prints_one_json_line_and_ends_when_it_is_told_to() {
    use std::io::BufRead as _;
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["emulate", "--people", "5", "--groups", "2"]).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let described: serde_json::Value = serde_json::from_str(&line).unwrap();
    for key in [
        "authority_url",
        "graph_url",
        "site_url",
        "organization_url",
        "tenant_id",
        "client_id",
        "client_secret",
        "admin_email",
        "api_token",
        "organization_id",
        "directory_id",
        "api_key",
        "control_url",
    ] {
        assert!(described[key].is_string(), "{key}: {line}");
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_sync_that_is_told_to_stop_ends_with_four_and_the_next_one_finishes() {
    let mut options = Options::of(60, 4);
    options.settings.latency.site_ms = 30;
    let bench = Bench::of(options);
    bench.add("\"*\"");
    let child = command(bench.folder.path(), &["sync", "--yes", "--json"]).spawn().unwrap();
    while bench.emulator.state().world().atlassian.invitations.is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stdout));
    let last = bench.entrain(&["sync", "--yes", "--json"]);
    assert_eq!(last.json()["status"], "converged", "{}", last.out());
}

#[test]
fn the_demo_tells_its_story_without_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let told = entrain_in(folder.path(), &["demo", "--once"], &[]).expect(0).out();
    for part in [
        "Joining",
        "Moving",
        "Leaving",
        "Nora Lund",
        "Yusuf Demir",
        "Carla Moreno",
        "converged",
        "What to try next",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
