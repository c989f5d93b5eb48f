//! One person, and one group, through the real binary and the service: what is asked for is done, and nothing else.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be built is a failed test")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use entrain_emulator::Surface;
use entrain_emulator::control::WorldChange;
use entrain_emulator::faults::{Fault, FaultKind, ItemFault};
use serde_json::{Value, json};
use support::Bench;

fn change(bench: &Bench, change: Value) {
    let change: WorldChange = serde_json::from_value(change).unwrap();
    bench.emulator.state().change(change).unwrap();
}

/// The company, in step but for what guards hold.
fn settled() -> Bench {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
    bench
}

/// A group of the directory with its site group, and an enabled user who is in step and in none of it: id, name, user
/// id, mail.
fn somebody(bench: &Bench) -> (String, String, String, String) {
    let world = bench.emulator.state().world();
    let accounts: BTreeMap<&str, &str> = world
        .atlassian
        .accounts
        .values()
        .filter_map(|account| Some((account.email.as_deref()?, account.account_id.as_str())))
        .collect();
    for group in world.tenant.groups.values() {
        let Some(name) = group.display_name.clone() else { continue };
        let Some(site) = world.atlassian.groups.values().find(|site| site.name == name) else { continue };
        for user in world.tenant.users.values().filter(|user| user.account_enabled == Some(true)) {
            let Some(mail) = user.mail.clone() else { continue };
            let Some(account) = accounts.get(mail.as_str()) else { continue };
            let member = group.members.iter().any(|member| member.id() == user.id);
            let linked = world.atlassian.groups.values().any(|g| g.members.iter().any(|m| m == account));
            if !member && linked && !site.members.iter().any(|m| m == account) {
                return (group.id.clone(), name, user.id.clone(), mail);
            }
        }
    }
    panic!("everybody is in every group");
}

fn is_member(bench: &Bench, group: &str, mail: &str) -> bool {
    let world = bench.emulator.state().world();
    let account = world.atlassian.accounts.values().find(|a| a.email.as_deref() == Some(mail)).unwrap();
    let site = world.atlassian.groups.values().find(|site| site.name == group).unwrap();
    site.members.iter().any(|member| *member == account.account_id)
}

#[test]
fn one_person_is_synced_by_any_of_their_names_and_costs_a_handful_of_requests() {
    let bench = settled();
    let (group, name, user, mail) = somebody(&bench);
    change(&bench, json!({"change": "add_member", "group": group, "member": {"type": "user", "id": user}}));
    let report = bench.entrain(&["sync", "--user", &mail, "--json"]).expect(0).json();
    assert_eq!(
        (&report["status"], &report["trigger"]),
        (&json!("converged"), &json!("manual")),
        "{report:#}"
    );
    assert_eq!(report["steps"]["add_member"], json!({"planned": 1, "done": 1, "failed": 0, "held": 0}));
    assert!(is_member(&bench, &name, &mail));
    // A token, by name and by id; the account and its groups, the checks, one write, one reading back.
    assert!(report["requests"]["directory"].as_u64().unwrap() <= 4, "{report:#}");
    assert!(report["requests"]["site"].as_u64().unwrap() <= 2 + 6 + 1 + 1, "{report:#}");

    change(
        &bench,
        json!({"change": "remove_member", "group": group, "member": {"type": "user", "id": user}}),
    );
    let report = bench.entrain(&["sync", "--user", &user, "--json"]).expect(0).json();
    assert_eq!(report["steps"]["remove_member"]["done"], 1, "{report:#}");
    assert!(!is_member(&bench, &name, &mail));
    let run = report["run_id"].as_str().unwrap();
    let told = bench.entrain(&["explain", "--user", &user, "--json"]).expect(0).out();
    assert!(told.contains(run), "{told}");
    bench.entrain(&["runs", "show", run]).expect(0);

    // The next run over everything finds nothing of it left to do.
    let report = bench.entrain(&["sync", "--yes", "--json"]).json();
    assert!(report["steps"].get("add_member").is_none(), "{report:#}");
    assert!(report["steps"].get("remove_member").is_none(), "{report:#}");
}

/// A user who is not found in the directory keeps everything until the recycle bin, or a run over everything, tells that
/// they were deleted: the copy that answers may only lag.
#[test]
fn n_12_who_is_not_found_loses_nothing_and_who_is_in_the_recycle_bin_does() {
    let bench = settled();
    let (group, name, user, mail) = somebody(&bench);
    change(&bench, json!({"change": "add_member", "group": group, "member": {"type": "user", "id": user}}));
    bench.entrain(&["sync", "--user", &user, "--json"]).expect(0);
    assert!(is_member(&bench, &name, &mail));

    for path in [format!("/users/{user}*"), format!("/users/{user}/transitiveMemberOf*")] {
        let answer = ItemFault { status: 404, headers: BTreeMap::new(), body: None };
        let fault = Fault {
            surface: Some(Surface::Graph),
            path: Some(path.clone()),
            ..Fault::new(FaultKind::BatchItem(answer))
        };
        bench.emulator.state().faults.add(fault).unwrap();
        let ran = bench.entrain(&["sync", "--user", &user, "--json"]);
        assert!(bench.emulator.state().faults.list()[0].fired > 0, "{path}");
        assert_ne!(ran.json()["steps"]["remove_member"]["done"], 1, "{path}: {}", ran.out());
        assert!(is_member(&bench, &name, &mail), "{path}: {}", ran.out());
        bench.emulator.state().faults.clear();
    }

    change(&bench, json!({"change": "delete_user", "user": user}));
    let report = bench.entrain(&["sync", "--user", &user, "--json"]).expect(0).json();
    assert!(report["steps"]["remove_member"]["done"].as_u64().unwrap() >= 1, "{report:#}");
    assert!(!is_member(&bench, &name, &mail));
}

#[test]
fn one_group_is_synced_and_the_rest_waits_for_the_next_run() {
    let bench = settled();
    let (group, name, user, mail) = somebody(&bench);
    change(&bench, json!({"change": "add_member", "group": group, "member": {"type": "user", "id": user}}));
    let report = bench.entrain(&["sync", "--group", &name, "--json"]).expect(0).json();
    assert_eq!(report["steps"]["add_member"]["done"], 1, "{report:#}");
    assert_eq!(report["steps"].as_object().unwrap().len(), 1, "{report:#}");
    assert!(is_member(&bench, &name, &mail));
    let again = bench.entrain(&["sync", "--group", &group, "--json"]).expect(0).json();
    assert_eq!(again["steps"], json!({}));
}

#[test]
fn whom_nobody_knows_is_said_with_exit_code_1_also_before_anything_was_read() {
    for bench in [Bench::demo(), settled()] {
        if !bench.folder.path().join("connection.toml").exists() {
            bench.add("\"*\"");
        }
        for args in [["--user", "nobody@example.com"], ["--group", "No such group"]] {
            let failed = bench.entrain(&["sync", args[0], args[1], "--json"]).expect(1).json();
            assert_eq!(failed["error"]["code"], "object_unknown", "{failed:#}");
            assert_eq!(failed["error"]["object"], args[1]);
        }
    }
    settled().entrain(&["sync", "--user", "a", "--group", "b"]).expect(2);
}

#[test]
fn one_person_of_a_connection_that_was_never_read_is_synced_alone() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let mail = {
        let world = bench.emulator.state().world();
        let user = world.tenant.users.values().find(|user| {
            user.account_enabled == Some(true)
                && user.mail.is_some()
                && !world.atlassian.accounts.values().any(|account| account.email == user.mail)
                && world.tenant.groups.values().any(|group| group.members.iter().any(|m| m.id() == user.id))
        });
        user.unwrap().mail.clone().unwrap()
    };
    let before = bench.emulator.state().world().atlassian.accounts.len();
    let report = bench.entrain(&["sync", "--user", &mail, "--json"]).json();
    assert_eq!(report["steps"]["create_user"]["done"], 1, "{report:#}");
    assert_eq!(bench.emulator.state().world().atlassian.accounts.len(), before + 1, "nobody else is invited");
}
