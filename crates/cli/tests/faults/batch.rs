//! Inside a `$batch` that succeeds: single requests that are throttled, fail, are left out or denied (N-10, N-15); and
//! tokens that expire in mid-read (N-11).

use entrain_emulator::Surface::{Authority, Graph};
use entrain_emulator::faults::{Fault, FaultKind, ItemFault};
use serde_json::json;

use crate::town::{Town, on, once, side_by_side, status};

fn item(status: u16, headers: &[(&str, &str)]) -> Fault {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    on(Graph, "/groups/*/members*", FaultKind::BatchItem(ItemFault { status, headers, body: None }))
}

#[test]
fn n_10_only_what_failed_inside_a_batch_is_asked_again() {
    let mut cases = Vec::new();
    for nth in [1, 4, 8] {
        for (code, headers) in [
            (429, vec![("Retry-After", "1")]),
            (429, vec![("Retry-After", "0")]),
            (500, vec![]),
            (503, vec![]),
            (0, vec![]),
        ] {
            cases.push(Fault { nth: Some(nth), count: Some(1), ..item(code, &headers) });
        }
    }
    side_by_side(&cases, 3, |town, fault| {
        town.gets_over(std::slice::from_ref(fault));
    });
}

#[test]
fn n_10_a_group_that_vanished_or_stays_broken_is_left_alone() {
    let cases = [Fault { every: Some(3), ..item(404, &[]) }, item(500, &[])];
    side_by_side(&cases, 1, |town, fault| {
        town.left_alone(std::slice::from_ref(fault));
    });
}

#[test]
fn n_15_a_group_that_may_not_be_read_is_reported_and_left_alone() {
    let mut town = Town::settled();
    let ran = town.left_alone(&[Fault { every: Some(2), ..item(403, &[]) }]);
    let aside = ran.json()["set_aside"].clone();
    assert!(aside.as_array().is_some_and(|list| !list.is_empty()), "{}", ran.out());
}

#[test]
fn n_15_without_the_right_to_read_groups_the_run_fails_and_names_it() {
    let town = Town::settled();
    let had = town.memberships();
    town.change(&json!([{"change": "set_roles", "roles": ["User.Read.All"]}]));
    let ran = town.sync(&["--full"]).expect(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["code"], "directory_consent_missing");
    assert!(error["remedy"].as_str().is_some_and(|text| text.contains("GroupMember.Read.All")), "{error}");
    town.assert_nothing_lost(&had);
    town.change(&json!([{"change": "set_roles", "roles": ["User.Read.All", "GroupMember.Read.All"]}]));
    town.assert_recovers();
}

#[test]
fn n_15_null_properties_are_a_missing_right_and_not_nobody() {
    // microsoft-graph.md 0.7: members come with 200 and nulls
    let town = Town::settled();
    let had = town.memberships();
    town.change(&json!([{"change": "set_roles", "roles": ["GroupMember.Read.All"]}]));
    let ran = town.sync(&["--full"]).expect(1);
    assert_eq!(ran.json()["error"]["code"], "directory_consent_missing", "{}", ran.out());
    town.assert_nothing_lost(&had);
}

#[test]
fn n_11_a_token_that_is_refused_once_is_renewed_once() {
    let cases: Vec<Fault> = ["/v1.0/users", "/v1.0/groups/delta", "/v1.0/$batch"]
        .into_iter()
        .map(|path| once(on(Graph, path, status(401, &[]))))
        .collect();
    side_by_side(&cases, 1, |town, fault| {
        town.survives(std::slice::from_ref(fault));
        assert_eq!(town.requests(|e| e.surface == Authority).len(), 2, "{fault:?}");
        town.assert_exact();
        town.assert_recovers();
    });
}

#[test]
fn n_11_a_token_that_is_refused_always_ends_the_run_without_a_storm() {
    let mut town = Town::settled();
    town.a_day_passes();
    town.forget_requests();
    town.fault(on(Graph, "/v1.0/*", status(401, &[])));
    let ran = town.sync(&["--full"]).expect(1);
    assert_eq!(ran.json()["error"]["code"], "directory_unauthenticated");
    assert!(town.requests(|e| e.surface == Authority).len() <= 2);
    assert!(town.requests(|e| e.surface == Graph).len() <= 4);
    assert_eq!(town.writes(), Vec::<String>::new());
    town.assert_recovers();
}

#[test]
fn n_11_a_token_that_expires_between_two_pages_is_renewed() {
    let mut town = Town::settled();
    town.set("graph", &json!({"list_page_size": 10, "access_token_life_s": 3}));
    // The seven pages take longer than the token lives
    let slow = on(Graph, "/v1.0/users", FaultKind::StallHeaders { ms: 700 });
    town.gets_over(&[slow]);
}

#[test]
fn n_11_a_secret_that_was_rotated_is_named_and_a_new_one_works() {
    let mut town = Town::settled();
    town.a_day_passes();
    let had = town.memberships();
    town.change(&json!([{"change": "expire_client_secret"}]));
    let ran = town.sync(&["--full"]).expect(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["code"], "directory_credential_refused", "{error}");
    assert!(error["remedy"].as_str().is_some_and(|text| text.to_lowercase().contains("secret")), "{error}");
    town.assert_nothing_lost(&had);
}
