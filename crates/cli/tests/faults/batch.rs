//! N-10, N-11, N-15: parts of a batch that fail, tokens that run out, and groups that may not be read.

use std::collections::BTreeMap;
use std::time::Duration;

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind, ItemFault};
use serde_json::{Value, json};

use crate::support::Ran;
use crate::town::{Town, on, once, side_by_side, status};

fn part(path: &str, status: u16, after: Option<&str>) -> Fault {
    let headers = after.map(|value| ("Retry-After".to_owned(), value.to_owned())).into_iter().collect();
    on(Surface::Graph, path, FaultKind::BatchItem(ItemFault { status, headers, body: None }))
}

const MEMBERS: &str = "/groups/*/members*";

/// How many parts each batch had.
fn batches(town: &Town) -> Vec<usize> {
    let sent = town.requests(|e| e.path == "/v1.0/$batch");
    let parts =
        |body: &str| serde_json::from_str::<Value>(body).unwrap()["requests"].as_array().unwrap().len();
    sent.iter().map(|e| parts(e.body.as_deref().unwrap())).collect()
}

/// The emulator answers the parts of every batch in a shuffled order.
#[test]
fn n_10_only_the_parts_of_a_batch_that_failed_are_asked_again() {
    // Status 0 leaves the part out of the answer
    let cases = [(429, Some("1")), (429, None), (500, None), (503, None), (504, None), (0, None)];
    side_by_side(&cases, 1, |town, (status, after)| {
        town.a_day_passes();
        let groups = town.bench.emulator.state().world().tenant.groups.len();
        for nth in 1..=groups as u64 {
            let fault = Fault { nth: Some(nth), ..part(MEMBERS, *status, *after) };
            let ran = town.suffers(&[fault]).expect(0);
            assert_eq!(ran.json()["status"], "converged");
            assert_eq!(batches(town), [groups, 1], "{status} at position {nth}");
            town.assert_exact();
            town.heal();
            if nth >= 3 && *status != 0 {
                break; // pauses are real, and the lower layer has every position
            }
        }
        town.assert_recovers();
    });
}

#[test]
fn n_10_parts_that_never_come_make_their_groups_unknown_and_nothing_else() {
    // A 500 ends the same way after half a minute of pauses; the lower layer has it
    side_by_side(&[404, 0], 1, |town, status| {
        town.a_day_passes();
        let group = some_group(town);
        let path = format!("/groups/{}/members*", group.0);
        let ran = town.sets_aside(&[part(&path, *status, None)]);
        assert_left_alone(town, &group, &ran);
        town.assert_recovers();
    });
}

/// A group with members of its own, in which somebody is no longer enabled: id and name.
fn some_group(town: &Town) -> (String, String) {
    let world = town.bench.emulator.state().world();
    let left = |id: &str| world.tenant.users.get(id).is_some_and(|u| u.account_enabled == Some(false));
    let group = world.tenant.groups.values().find(|g| g.members.iter().any(|m| left(m.id()))).unwrap();
    (group.id.clone(), group.display_name.clone().unwrap())
}

/// The report names the group, and no membership of it was touched.
#[track_caller]
fn assert_left_alone(town: &Town, (_, name): &(String, String), ran: &Ran) {
    let aside = ran.json()["set_aside"].clone();
    let named = aside.as_array().unwrap().iter().any(|part| part["object"].as_str().unwrap().contains(name));
    assert!(named, "{name} is not in {aside:#}");
    let site = {
        let world = town.bench.emulator.state().world();
        world.atlassian.groups.values().find(|g| g.name == *name).unwrap().group_id.clone()
    };
    let touched: Vec<_> = town.writes().into_iter().filter(|w| w.contains(&site)).collect();
    assert!(touched.is_empty(), "{name} is unknown, and yet: {touched:?}");
}

#[test]
fn n_15_a_group_that_may_not_be_read_is_reported_and_left_alone_while_the_rest_goes_on() {
    let mut town = Town::settled();
    town.a_day_passes();
    let group = some_group(&town);
    let ran = town.sets_aside(&[part(&format!("/groups/{}/members*", group.0), 403, None)]);
    assert_left_alone(&town, &group, &ran);
    let done = ran.json()["steps"]["create_user"]["done"].as_u64();
    assert_eq!(done, Some(1), "the joiner of another group is invited all the same: {}", ran.out());
    town.assert_recovers();
}

#[test]
fn n_15_no_group_that_may_be_read_is_no_empty_directory() {
    let mut town = Town::settled();
    town.a_day_passes();
    let had = town.memberships();
    let ran = town.suffers(&[part(MEMBERS, 403, None)]);
    assert!(matches!(ran.output.status.code(), Some(1 | 4)), "{}", ran.out());
    assert_eq!(town.writes(), Vec::<String>::new(), "{}", ran.out());
    assert_eq!(town.memberships(), had);
    town.assert_recovers();
}

#[test]
fn n_15_lists_that_may_not_be_read_name_the_permission() {
    let mut town = Town::settled();
    for (path, permission) in [
        ("/v1.0/users", "User.Read.All"),
        ("/v1.0/users/delta", "User.Read.All"),
        ("/v1.0/groups", "GroupMember.Read.All"),
    ] {
        let ran = town.refuses(&[on(Surface::Graph, path, status(403, &[]))], &["directory_consent_missing"]);
        assert!(ran.json()["error"]["remedy"].as_str().unwrap().contains(permission), "{}", ran.out());
    }
    town.assert_recovers();
}

fn token_requests(town: &Town) -> usize {
    town.requests(|e| e.surface == Surface::Authority && e.method == "POST").len()
}

fn small_pages(town: &Town) {
    let mut settings = (*town.bench.emulator.state().settings()).clone();
    settings.graph.list_page_size = Some(10);
    town.bench.emulator.state().set_settings(settings);
}

#[test]
fn n_11_a_token_refused_once_is_renewed_once() {
    let mut town = Town::settled();
    small_pages(&town);
    let paged = Fault { nth: Some(3), ..on(Surface::Graph, "/v1.0/users", status(401, &[])) };
    let first = once(on(Surface::Graph, "/v1.0/groups/delta", status(401, &[])));
    for fault in [paged, first, once(part(MEMBERS, 401, None))] {
        town.a_day_passes();
        let ran = town.suffers(std::slice::from_ref(&fault)).expect(0);
        assert_eq!(ran.json()["status"], "converged", "{fault:?}");
        assert_eq!(token_requests(&town), 2, "{fault:?}");
        town.assert_exact();
        town.heal();
    }
    town.assert_recovers();
}

#[test]
fn n_11_a_token_that_runs_out_between_two_pages_is_renewed_and_no_page_is_lost() {
    let mut town = Town::settled();
    small_pages(&town);
    town.a_day_passes();
    let slow = FaultKind::StallHeaders { ms: 1_500 };
    let fault = Fault { nth: Some(3), ..on(Surface::Graph, "/v1.0/users", slow) };
    let state = town.bench.emulator.state().clone();
    let ran = std::thread::scope(|scope| {
        scope.spawn(move || {
            while state.faults.list().iter().all(|f| f.fired == 0) {
                std::thread::sleep(Duration::from_millis(5));
            }
            // While the third page is on its way, an hour passes in the cloud
            state.clock.advance(3_700_000).unwrap();
        });
        town.suffers(&[fault])
    });
    assert_eq!(ran.output.status.code(), Some(0), "{}\n{}", ran.out(), town.told());
    assert_eq!(token_requests(&town), 2, "{}", town.told());
    assert!(!town.requests(|e| e.surface == Surface::Graph && e.status == Some(401)).is_empty());
    town.assert_exact();
    town.assert_recovers();
}

#[test]
fn n_11_a_token_that_is_always_refused_ends_in_a_clear_error_without_a_storm() {
    let mut town = Town::settled();
    town.a_day_passes();
    let everywhere = ["/v1.0/users/delta", "/v1.0/users", "/v1.0/groups", "/v1.0/$batch"];
    let faults = everywhere.map(|path| on(Surface::Graph, path, status(401, &[])));
    for fault in faults.into_iter().chain([part(MEMBERS, 401, None)]) {
        town.refuses(std::slice::from_ref(&fault), &["directory_unauthenticated"]);
        assert!(token_requests(&town) <= 2, "{fault:?}\n{}", town.told());
        let asked = town.requests(|e| e.surface == Surface::Graph).len();
        assert!(asked <= 16, "{fault:?}: {asked} requests\n{}", town.told());
    }
    town.assert_recovers();
}

#[test]
fn n_11_a_site_that_refuses_or_forgets_the_token_fails_the_run_and_is_not_empty() {
    let mut town = Town::settled();
    town.a_day_passes();
    let dead = Fault { surface: Some(Surface::Site), ..Fault::new(FaultKind::DeadToken {}) };
    let codes = ["site_credential_refused"];
    town.refuses(std::slice::from_ref(&dead), &codes);
    for path in ["/rest/api/3/myself", "/rest/api/3/users/search", "/rest/api/3/group/bulk"] {
        town.refuses(&[on(Surface::Site, path, status(401, &[]))], &codes);
    }
    // It dies between the checks and the lists: an anonymous caller sees no one
    for path in ["/rest/api/3/users/search", "/rest/api/3/group/bulk", "/rest/api/3/group/member"] {
        let ran = town.suffers(&[Fault { path: Some(path.into()), ..dead.clone() }]);
        assert_eq!(ran.output.status.code(), Some(1), "{path}\n{}", ran.out());
        assert_eq!(town.writes(), Vec::<String>::new(), "{path}");
        town.heal();
    }
    town.assert_recovers();
}

#[test]
fn n_11_a_secret_that_is_rotated_away_is_named() {
    let mut town = Town::settled();
    town.a_day_passes();
    let body = json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret.", "error_codes": [7_000_215]});
    let kind = FaultKind::Status { status: 401, headers: BTreeMap::new(), body: Some(body) };
    town.refuses(&[on(Surface::Authority, "/*/token", kind)], &["directory_credential_refused"]);
    assert_eq!(token_requests(&town), 1);
    town.assert_recovers();
}
