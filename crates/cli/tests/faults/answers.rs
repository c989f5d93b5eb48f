//! Answers that are no answers: cut off, not JSON, of another shape (N-05), and listings that lead nowhere (N-06). The read
//! fails as a whole, or its group is left alone; nothing is ever read as empty.

use base64::Engine as _;
use entrain_emulator::Surface::{Graph, Site};
use entrain_emulator::faults::{Fault, FaultKind};
use serde_json::json;

use crate::town::{Town, on, once, side_by_side};

fn bytes(body: &[u8]) -> FaultKind {
    FaultKind::Bytes { base64: base64::engine::general_purpose::STANDARD.encode(body) }
}

/// Answers with 200 that no reader may take for data.
fn nonsense() -> Vec<FaultKind> {
    let mut kinds = vec![
        FaultKind::NotJson {},
        FaultKind::Html {},
        FaultKind::DeepNesting { depth: 100_000 },
        FaultKind::ReplaceBody { body: json!(null) },
        FaultKind::ReplaceBody { body: json!(7) },
        FaultKind::ReplaceBody { body: json!({}) },
        FaultKind::ReplaceBody { body: json!({"error": {"code": "x"}}) },
        FaultKind::ReplaceBody { body: json!({"value": null, "values": null}) },
        FaultKind::ReplaceBody { body: json!({"value": {}, "values": {}}) },
        FaultKind::ReplaceBody { body: json!({"value": [null], "values": [null]}) },
        FaultKind::ReplaceBody { body: json!({"value": [{"id": 7}], "values": [{"groupId": 7}]}) },
        FaultKind::ReplaceBody { body: json!("value") },
    ];
    kinds.extend([
        bytes(b""),
        bytes(b" "),
        bytes(b"NaN"),
        bytes(b"{\"value\": NaN, \"values\": NaN}"),
        bytes(b"{\"value\": [}"),
        bytes(b"{\"value\": [], \"value\": 7, \"values\": [], \"values\": 7}"),
        bytes(b"\xff\xfe{\x00}\x00"),
        bytes(b"{\"value\": [\"\xc3\x28\"]}"),
        bytes(b"{\"value\": [], "),
        bytes(b"[[[[[["),
    ]);
    kinds
}

const READS: [(entrain_emulator::Surface, &str); 7] = [
    (Graph, "/v1.0/users"),
    (Graph, "/v1.0/groups"),
    (Graph, "/v1.0/users/delta"),
    (Graph, "/v1.0/groups/delta"),
    (Graph, "/v1.0/$batch"),
    (Site, "/rest/api/3/users/search"),
    (Site, "/rest/api/3/group/bulk"),
];

#[test]
fn n_05_an_answer_that_is_no_list_fails_the_read_as_a_whole() {
    let cases: Vec<Fault> = READS
        .into_iter()
        .enumerate()
        .flat_map(|(turn, (surface, path))| {
            // Each path meets every third kind, and each kind several paths; the client's own tests have the whole matrix
            let kinds = nonsense().into_iter().enumerate().filter(move |(n, _)| (n + turn) % 3 == 0);
            kinds.map(move |(_, kind)| on(surface, path, kind))
        })
        .collect();
    side_by_side(&cases, 14, |town, fault| {
        let codes = ["directory_answer_invalid", "site_answer_invalid", "directory_unavailable"];
        town.fails_unharmed(std::slice::from_ref(fault), &codes);
    });
}

#[test]
fn n_05_members_that_cannot_be_read_leave_their_group_alone() {
    let cases: Vec<Fault> =
        nonsense().into_iter().step_by(2).map(|kind| on(Site, "/rest/api/3/group/member", kind)).collect();
    side_by_side(&cases, 6, |town, fault| {
        town.left_alone(std::slice::from_ref(fault));
    });
}

#[test]
fn n_05_a_body_that_breaks_off_is_read_again() {
    let kinds = [
        FaultKind::Truncate { keep_bytes: None },
        FaultKind::Truncate { keep_bytes: Some(0) },
        FaultKind::WrongLength { by: 10 },
    ];
    let paths = [READS[0], READS[3], READS[4], READS[5], (Site, "/rest/api/3/group/member")];
    let cases: Vec<Fault> = paths
        .into_iter()
        .flat_map(|(surface, path)| kinds.clone().map(|kind| once(on(surface, path, kind))))
        .collect();
    side_by_side(&cases, 4, |town, fault| {
        town.gets_over(std::slice::from_ref(fault));
    });
}

#[test]
fn n_05_a_body_cut_short_by_its_own_length_is_no_answer() {
    let cases: Vec<Fault> = [READS[0], READS[1], READS[5], READS[6]]
        .into_iter()
        .map(|(surface, path)| on(surface, path, FaultKind::WrongLength { by: -20 }))
        .collect();
    side_by_side(&cases, 2, |town, fault| {
        let codes =
            ["directory_answer_invalid", "site_answer_invalid", "directory_unavailable", "site_unavailable"];
        town.fails_unharmed(std::slice::from_ref(fault), &codes);
    });
}

#[test]
fn n_06_a_listing_that_leads_nowhere_is_detected_and_fails() {
    let link = |value: &str| FaultKind::SetKey { key: "@odata.nextLink".into(), value: value.into() };
    let mut cases = Vec::new();
    for path in ["/v1.0/users", "/v1.0/groups"] {
        for kind in [
            FaultKind::RepeatPage {},
            link("{self}"),
            link(&format!("{{origin}}{path}?$top=999&$select=id")),
            FaultKind::DropKey { key: "value".into() },
        ] {
            cases.push(vec![on(Graph, path, kind)]);
        }
    }
    for path in ["/v1.0/users/delta", "/v1.0/groups/delta"] {
        cases.push(vec![on(Graph, path, FaultKind::DropKey { key: "value".into() })]);
        cases.push(vec![on(Graph, path, FaultKind::DropKey { key: "@odata.deltaLink".into() })]);
        // Both a next page and an end
        cases.push(vec![on(Graph, path, link("{self}"))]);
    }
    side_by_side(&cases, 4, |town, faults| {
        let ran = town.fails_unharmed(faults, &["directory_answer_invalid"]);
        let asked = ran.json()["requests"]["directory"].as_u64().unwrap_or(0);
        assert!(asked < 30, "{faults:?}: {asked} requests before the circle was found");
    });
}

#[test]
fn n_06_empty_pages_are_normal_until_they_go_on_and_on() {
    let mut town = Town::settled();
    town.set("graph", &json!({"empty_pages": 8, "empty_delta_pages": 8}));
    town.a_day_passes();
    town.sync(&["--full"]).expect(0);
    town.assert_exact();
    town.set("graph", &json!({"empty_pages": 100_000}));
    town.a_day_passes();
    town.forget_requests();
    let ran = town.sync(&["--full"]).expect(1);
    assert_eq!(ran.json()["error"]["code"], "directory_answer_invalid");
    assert_eq!(town.writes(), Vec::<String>::new());
    assert!(town.requests(|_| true).len() < 300);
    town.set("graph", &json!({"empty_pages": 0, "empty_delta_pages": 0}));
    town.assert_recovers();
}
