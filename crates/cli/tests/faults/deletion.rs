//! D-01: a directory, a list or a first page that reads as empty takes nothing away.

use entrain_emulator::Surface::{Graph, Site};
use entrain_emulator::faults::FaultKind;
use serde_json::json;

use crate::town::{Town, on, once};

fn nothing() -> FaultKind {
    FaultKind::ReplaceBody { body: json!({"value": []}) }
}

#[test]
fn d_01_a_first_page_of_users_without_users_fails_the_read() {
    let mut town = Town::settled();
    town.fails_unharmed(&[on(Graph, "/v1.0/users", nothing())], &["directory_answer_invalid"]);
    town.fails_unharmed(&[once(on(Graph, "/v1.0/users", nothing()))], &["directory_answer_invalid"]);
}

#[test]
fn d_01_a_list_of_groups_without_groups_holds_everything() {
    let mut town = Town::settled();
    let ran = town.survives(&[on(Graph, "/v1.0/groups", nothing())]);
    assert_eq!(ran.output.status.code(), Some(3), "{}", ran.out());
    let json = ran.json();
    assert_eq!(json["status"], "held");
    assert_eq!(json["held"][0]["guard"], "empty_directory", "{json:#}");
    assert_eq!(town.writes(), Vec::<String>::new());
    // Not even a person who says yes to everything else releases it
    town.sync(&["--full", "--yes"]).expect(3);
    assert_eq!(town.writes(), Vec::<String>::new());
    town.assert_recovers();
}

#[test]
fn d_01_a_list_of_members_without_members_holds_the_removals() {
    let mut town = Town::settled();
    let inner = entrain_emulator::faults::ItemFault {
        status: 200,
        headers: [].into(),
        body: Some(json!({"value": []})),
    };
    let ran = town.survives(&[on(Graph, "/groups/*/members*", FaultKind::BatchItem(inner))]);
    assert_eq!(ran.output.status.code(), Some(3), "{}", ran.out());
    assert_eq!(town.writes(), Vec::<String>::new());
    town.assert_recovers();
}

#[test]
fn d_01_a_tenant_that_was_emptied_holds_everything_until_somebody_accepts_it() {
    let town = Town::settled();
    let had = town.memberships();
    let users: Vec<String> = town.bench.emulator.state().world().tenant.users.keys().cloned().collect();
    let changes: Vec<_> = users.iter().map(|id| json!({"change": "delete_user", "user": id})).collect();
    town.change(&json!(changes));
    for options in [&["--full"][..], &[], &["--full", "--yes"]] {
        town.forget_requests();
        let ran = town.sync(options).expect(3);
        let held = ran.json()["held"].clone();
        assert!(held.to_string().contains("empty_directory"), "{options:?}: {held:#}");
        assert_eq!(town.writes(), Vec::<String>::new());
    }
    assert_eq!(town.memberships(), had);
    let ran = town.sync(&["--yes", "--accept-empty"]).expect(0);
    assert!(ran.json()["steps"]["remove_member"]["done"].as_u64() > Some(10), "{}", ran.out());
    town.assert_exact();
}

#[test]
fn d_01_a_scope_that_names_nothing_any_more_holds_everything() {
    let town = Town::settled();
    let had = town.memberships();
    town.scope("\"No such group\"");
    for options in [&[][..], &["--full", "--yes"]] {
        town.forget_requests();
        let ran = town.sync(options).expect(3);
        assert!(ran.json()["held"].to_string().contains("empty_directory"), "{}", ran.out());
        assert_eq!(town.writes(), Vec::<String>::new());
    }
    assert_eq!(town.memberships(), had);
    town.scope("\"*\"");
    town.assert_recovers();
}

#[test]
fn d_01_a_roll_of_accounts_without_accounts_is_no_roll() {
    let mut town = Town::settled();
    let nobody = FaultKind::ReplaceBody { body: json!([]) };
    town.fails_unharmed(&[on(Site, "/rest/api/3/users/search", nobody)], &["site_answer_invalid"]);
    // The dead-token trap (atlassian-cloud.md 3.4)
    town.fails_unharmed(
        &[on(Site, "/rest/api/3/users/search", FaultKind::DeadToken {})],
        &["site_credential_refused"],
    );
}
