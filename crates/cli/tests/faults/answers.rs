//! N-05, N-06: an answer that is not what the API documents fails the read as a whole, and is never taken for nothing.

use base64::Engine as _;
use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::outages::READS;
use crate::town::{Town, on, side_by_side};

fn bytes(body: &[u8]) -> FaultKind {
    FaultKind::Bytes { base64: base64::engine::general_purpose::STANDARD.encode(body) }
}

/// Bodies that are no answer of either cloud, whatever was asked.
fn bodies() -> Vec<FaultKind> {
    let mut bodies = vec![
        FaultKind::NotJson {},
        FaultKind::Html {},
        FaultKind::DeepNesting { depth: 100_000 },
        bytes(b""),
        bytes(b"\xef\xbb\xbf"),
        bytes(b"\xff\xfe{\x00}\x00"),
        bytes(b"{\"value\": NaN}"),
        bytes(b"{\"value\": [{\"id\": \"\xc3\x28\"}]}"),
        bytes(b"{\"value\": [], \"value\": [}"),
        bytes(b"{\"value\": [{\"id\": 7}], \"values\": {}, \"responses\": {}}"),
        bytes(b"{\"value\": [] "),
    ];
    for body in [json!(null), json!("[]"), json!(0), json!({"value": {}, "values": 1, "responses": "x"})] {
        bodies.push(FaultKind::ReplaceBody { body });
    }
    bodies
}

const NOT_AN_ANSWER: [&str; 2] = ["directory_answer_invalid", "site_answer_invalid"];

fn lists() -> impl Iterator<Item = (Surface, &'static str)> {
    let listed = |path: &str| {
        ["/users", "/groups", "/delta", "/$batch", "/search", "/bulk"].iter().any(|end| path.ends_with(end))
    };
    READS.into_iter().filter(move |(_, path)| listed(path))
}

#[test]
fn n_05_a_list_that_is_none_fails_the_read_whole() {
    let reads: Vec<_> = lists().collect();
    assert_eq!(reads.len(), 7);
    side_by_side(&reads, 2, |town, (surface, path)| {
        town.a_day_passes();
        for body in bodies() {
            town.refuses(&[on(*surface, path, body)], &NOT_AN_ANSWER);
        }
        town.assert_recovers();
    });
}

#[test]
fn n_05_a_token_answer_that_is_none_fails_the_run() {
    let mut town = Town::settled();
    town.a_day_passes();
    for body in bodies() {
        let ran = town.refuses(
            &[on(Surface::Authority, "/*/oauth2/v2.0/token", body)],
            &["directory_answer_invalid", "directory_request_invalid"],
        );
        assert_eq!(town.requests(|e| e.surface == Surface::Graph).len(), 0, "{}", ran.out());
    }
    town.assert_recovers();
}

#[test]
fn n_05_members_of_a_site_group_that_are_no_list_leave_the_group_alone() {
    let mut town = Town::settled();
    town.a_day_passes();
    for body in bodies().into_iter().take(6) {
        town.suffers(&[on(Surface::Site, "/rest/api/3/group/member", body.clone())]);
        let touched: Vec<_> = town.writes().into_iter().filter(|w| w.contains("/group/user")).collect();
        assert!(touched.is_empty(), "{body:?}: nothing is known of the members: {touched:?}");
        town.heal();
    }
    town.assert_recovers();
}

#[test]
fn n_05_an_answer_behind_a_byte_order_mark_or_with_a_key_twice_is_not_taken_for_an_empty_one() {
    let mut town = Town::settled();
    town.a_day_passes();
    // Both parse in lenient readers, and the last key would win: an empty directory
    let twice = bytes(b"{\"value\": [{\"id\": \"00000000-0000-4000-8000-0000000000aa\"}], \"value\": []}");
    let marked = bytes(b"\xef\xbb\xbf{\"value\": []}");
    for body in [twice, marked] {
        for path in ["/v1.0/users", "/v1.0/groups"] {
            let ran = town.suffers(&[on(Surface::Graph, path, body.clone())]);
            assert!(matches!(ran.output.status.code(), Some(1 | 3)), "{path} {body:?}\n{}", ran.out());
            assert_eq!(town.writes(), Vec::<String>::new(), "{path} {body:?}");
            town.heal();
        }
    }
    town.assert_recovers();
}

fn set(path: &str, key: &str, value: Value) -> Fault {
    on(Surface::Graph, path, FaultKind::SetKey { key: key.into(), value })
}

fn dropped(surface: Surface, path: &str, key: &str) -> Fault {
    on(surface, path, FaultKind::DropKey { key: key.into() })
}

#[test]
fn n_06_a_page_without_its_list_is_no_empty_page() {
    let mut town = Town::settled();
    town.a_day_passes();
    for path in ["/v1.0/users", "/v1.0/groups", "/v1.0/users/delta", "/v1.0/groups/delta"] {
        town.refuses(&[dropped(Surface::Graph, path, "value")], &NOT_AN_ANSWER);
        town.refuses(&[set(path, "value", json!(null))], &NOT_AN_ANSWER);
    }
    town.refuses(&[dropped(Surface::Graph, "/v1.0/$batch", "responses")], &NOT_AN_ANSWER);
    town.refuses(&[dropped(Surface::Site, "/rest/api/3/group/bulk", "values")], &NOT_AN_ANSWER);
    // A round that does not say where the next one begins has not ended
    for path in ["/v1.0/users/delta", "/v1.0/groups/delta"] {
        town.refuses(&[dropped(Surface::Graph, path, "@odata.deltaLink")], &NOT_AN_ANSWER);
    }
    town.assert_recovers();
}

/// Several pages of everything.
fn paged() -> Town {
    let town = Town::settled();
    let mut settings = (*town.bench.emulator.state().settings()).clone();
    settings.graph.list_page_size = Some(10);
    town.bench.emulator.state().set_settings(settings);
    town
}

#[test]
fn n_06_pages_that_repeat_or_lead_in_a_circle_are_found_within_two_turns() {
    let mut town = paged();
    town.a_day_passes();
    for path in ["/v1.0/users", "/v1.0/groups", "/v1.0/users/delta", "/v1.0/groups/delta"] {
        town.refuses(&[on(Surface::Graph, path, FaultKind::RepeatPage {})], &NOT_AN_ANSWER);
        let asked = town.requests(|e| e.path == path).len();
        assert!(asked <= 3, "{path}: {asked} requests to see that a page repeats");
    }
    // The third page leads back to the first one
    let first = "{origin}/v1.0/users?$select=id,displayName,mail,userPrincipalName,otherMails,accountEnabled,userType&$top=999";
    let back = Fault { from: Some(3), ..set("/v1.0/users", "@odata.nextLink", json!(first)) };
    town.refuses(&[back], &NOT_AN_ANSWER);
    let asked = town.requests(|e| e.path == "/v1.0/users").len();
    assert!(asked <= 3 * 2 + 2, "{asked} requests for a circle of three pages");
    town.assert_recovers();
}

#[test]
fn n_06_empty_pages_are_borne_with_an_end_and_cut_without_one() {
    let mut town = Town::settled();
    let of = |n: usize| {
        let mut settings = (*town.bench.emulator.state().settings()).clone();
        (settings.graph.empty_pages, settings.graph.empty_delta_pages) = (n, n);
        settings
    };
    let (some, none, many) = (of(5), of(0), of(1_000_000));
    let state = town.bench.emulator.state().clone();
    state.set_settings(some);
    town.a_day_passes();
    town.sync(&[]).expect(0);
    town.assert_exact();

    town.a_day_passes();
    town.forget_requests();
    let had = town.memberships();
    state.set_settings(many);
    let ran = town.sync(&[]).expect(1);
    assert_eq!(ran.json()["error"]["code"], "directory_answer_invalid", "{}", ran.out());
    assert_eq!(town.writes(), Vec::<String>::new());
    assert!(town.requests(|e| e.surface == Surface::Graph).len() < 300, "{}", town.told());
    town.assert_nothing_lost(&had);
    state.set_settings(none);
    town.assert_recovers();
}
