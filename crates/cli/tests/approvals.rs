//! Held plans, undo and new rules through the real binary: what waits, who decides, and what comes of it.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use serde_json::Value;
use support::Bench;

/// In step, and then most of a group is gone.
fn mass_removal() -> (Bench, Value) {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let first = bench.entrain(&["sync", "--yes", "--json"]).json();
    assert!(first["run_id"].is_string(), "{first}");
    let limits =
        format!("{}\n[limits]\nremovals_percent = 0\nremovals_number = 0\n", bench.document("\"Jira *\""));
    let path = bench.file("strict.toml", &limits);
    bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    (bench, first)
}

fn undo_held(bench: &Bench, first: &Value) -> String {
    let run = first["run_id"].as_str().unwrap();
    let held = bench.entrain(&["runs", "undo", run, "--json"]).expect(3).json();
    assert_eq!(held["status"], "held", "{held}");
    assert_eq!(held["held"][0]["guard"], "removals");
    assert_eq!(held["trigger"], "undo");
    held["run_id"].as_str().unwrap().to_owned()
}

#[test]
fn d_02_a_held_plan_is_approved_by_its_run_once_and_not_again() {
    let (bench, first) = mass_removal();
    let held = undo_held(&bench, &first);
    let done = bench.entrain(&["runs", "approve", &held, "--json"]).json();
    assert_eq!(done["trigger"], "approval", "{done}");
    assert!(done["steps"]["remove_member"]["done"].as_u64().unwrap() > 0, "{done}");
    let shown = bench.entrain(&["runs", "show", &held, "--json"]).expect(0).json();
    assert_eq!(shown["decisions"][0]["decision"], "approved", "{shown}");
    assert_eq!(shown["undoes"], first["run_id"]);
    let again = bench.entrain(&["runs", "approve", &held, "--json"]).expect(1).json();
    assert_eq!(again["error"]["code"], "approval_refused", "{again}");
    let audit = bench.entrain(&["audit", "list", "--json"]).expect(0).json();
    assert!(audit.as_array().unwrap().iter().any(|e| e["action"] == "plan_approved"), "{audit}");
    bench.entrain(&["audit", "verify"]).expect(0);
}

#[test]
fn d_04_a_rejected_plan_stays_rejected_and_other_runs_wait_for_nobody() {
    let (bench, first) = mass_removal();
    let held = undo_held(&bench, &first);
    bench.entrain(&["runs", "reject", &held, "--json"]).expect(0);
    let refused = bench.entrain(&["runs", "approve", &held, "--json"]).expect(1).json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("rejected"), "{refused}");
    let other = first["run_id"].as_str().unwrap();
    if first["status"] != "held" {
        bench.entrain(&["runs", "approve", other, "--json"]).expect(1);
    }
    let unknown =
        bench.entrain(&["runs", "approve", "00000000-0000-7000-8000-000000000000", "--json"]).expect(1);
    assert_eq!(unknown.json()["error"]["code"], "run_unknown");
}

#[test]
fn d_02_a_part_of_a_held_plan_is_approved_by_step_and_person_and_the_rest_waits() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    bench.entrain(&["sync", "--yes", "--json"]);
    let direct = format!("{}\n[groups]\nnesting = \"direct\"\n", bench.document("\"Jira *\""));
    let path = bench.file("direct.toml", &direct);
    bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    let held = bench.entrain(&["sync", "--json"]).expect(3).json();
    let run = held["run_id"].as_str().unwrap();
    let plan = bench.entrain(&["plan", "--json"]).json();
    let waits: Vec<&Value> =
        plan["steps"].as_array().unwrap().iter().filter(|step| step["held_by"].is_string()).collect();
    assert!(waits.len() > 3, "{plan}");
    let (step, person) =
        (waits[0]["id"].as_str().unwrap(), waits[1]["user"]["directory_id"].as_str().unwrap());

    let wrong = bench.entrain(&["runs", "approve", run, "--step", "remove_member/no/such", "--json"]);
    let error = wrong.expect(1).json();
    assert_eq!(error["error"]["code"], "approval_refused", "{error}");
    let approve = ["runs", "approve", run, "--step", step, "--user", person, "--json"];
    let done = bench.entrain(&approve).expect(3).json();
    let theirs =
        waits.iter().filter(|held| held["user"]["directory_id"] == *person || held["id"] == *step).count();
    let sum = |report: &Value, what: &str| {
        let kinds = report["steps"].as_object().unwrap().values();
        kinds.filter_map(|kind| kind[what].as_u64()).sum::<u64>()
    };
    assert_eq!(sum(&done, "done"), theirs as u64, "{done}");
    assert_eq!(done["held"][0]["guard"], "left_out", "{done}");
    let left = bench.entrain(&["sync", "--json"]).expect(3).json();
    assert_eq!((sum(&left, "held"), sum(&left, "done")), ((waits.len() - theirs) as u64, 0), "{left}");
    let shown = bench.entrain(&["runs", "show", run]).expect(0).out();
    assert!(shown.contains("approved a part of it"), "{shown}");
    let audit = bench.entrain(&["audit", "list", "--json"]).expect(0).json();
    let entry =
        audit.as_array().unwrap().iter().find(|e| e["action"] == "plan_approved" && e["object"] == *run);
    let detail = entry.unwrap()["detail"].as_str().unwrap();
    assert!(
        detail.starts_with(&format!("{theirs} of {} held steps: ", waits.len())) && detail.contains(step),
        "{detail}"
    );
}

#[test]
fn an_undo_is_approved_as_a_whole() {
    let (bench, first) = mass_removal();
    let held = undo_held(&bench, &first);
    let refused =
        bench.entrain(&["runs", "approve", &held, "--step", "remove_member/x", "--json"]).expect(1).json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("as a whole"), "{refused}");
}

#[test]
fn two_people_are_two_names() {
    let (bench, first) = mass_removal();
    let two = format!(
        "{}\n[limits]\nremovals_percent = 0\nremovals_number = 0\ntwo_people = true\n",
        bench.document("\"Jira *\"")
    );
    let path = bench.file("two.toml", &two);
    bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    let alone = bench.entrain(&["sync", "--yes", "--json"]).expect(1).json();
    assert_eq!(alone["error"]["code"], "approval_refused", "{alone}");
    let held = undo_held(&bench, &first);
    let by = |who| bench.entrain_with(&["runs", "approve", &held, "--json"], &[("USER", who)]);
    let waiting = by("ana").expect(3).json();
    assert_eq!((waiting["needed"].as_u64(), waiting["approved_by"][0].as_str()), (Some(2), Some("ana")));
    by("ana").expect(3);
    assert_eq!(by("ben").json()["trigger"], "approval");
}

#[test]
fn new_rules_show_what_they_would_change_before_they_are_stored() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    bench.entrain(&["sync", "--yes", "--json"]);
    let direct = format!("{}\n[groups]\nnesting = \"direct\"\n", bench.document("\"Jira *\""));
    let path = bench.file("direct.toml", &direct);
    let path = path.to_str().unwrap();
    let shown = bench.entrain(&["connection", "set", path, "--dry-run", "--json"]).expect(0).json();
    assert_eq!(shown["result"], "not stored", "{shown}");
    let removals = |plan: &Value| {
        let steps = plan["steps"].as_array().unwrap().iter();
        steps.filter(|step| step["kind"] == "remove_member").count()
    };
    assert!(removals(&shown["what_if"]) > 0, "{shown}");
    assert!(!shown["new_steps"].as_array().unwrap().is_empty());
    let text = bench.entrain(&["connection", "set", path]).expect(0).out();
    assert!(text.contains("What if"), "{text}");
    // What the rules alone ask for waits for a person.
    let held = bench.entrain(&["sync", "--json"]).expect(3).json();
    assert!(
        held["held"]
            .as_array()
            .unwrap()
            .iter()
            .any(|h| h["guard"] == "rule_change" || h["guard"] == "removals"),
        "{held}"
    );
    assert_eq!(held["steps"]["remove_member"]["done"].as_u64().unwrap_or(0), 0, "{held}");
}
