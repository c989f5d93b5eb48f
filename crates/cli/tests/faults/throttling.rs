//! N-01: 429 with every form of `Retry-After`, at reads and at writes. What is asked is waited for up to a cap, then
//! reported; one endpoint's limit does not stop the others.

use entrain_emulator::Surface::{self, Authority, Graph, Site};
use entrain_emulator::faults::Fault;

use crate::town::{Town, on, once, side_by_side, status};

const PLACES: [(Surface, &str); 8] = [
    (Authority, "*/oauth2/v2.0/token"),
    (Graph, "/v1.0/users"),
    (Graph, "/v1.0/groups/delta"),
    (Graph, "/v1.0/$batch"),
    (Site, "/rest/api/3/myself"),
    (Site, "/rest/api/3/users/search"),
    (Site, "/rest/api/3/group/member"),
    (Site, "/rest/api/3/group/user"),
];

#[test]
fn n_01_a_short_pause_is_kept_and_the_run_gets_over_it() {
    let soon = "Thu, 01 Jan 2026 00:00:00 GMT";
    let forms = [Some("0"), Some("1"), Some("2.128"), Some(soon), None, Some("-5"), Some("in a while")];
    let mut cases: Vec<Fault> = Vec::new();
    for (n, (surface, path)) in PLACES.into_iter().enumerate() {
        for (m, form) in forms.into_iter().enumerate() {
            if (n + m) % 2 == 0 {
                let headers: Vec<(&str, &str)> = form.iter().map(|text| ("Retry-After", *text)).collect();
                cases.push(once(on(surface, path, status(429, &headers))));
            }
        }
    }
    side_by_side(&cases, 3, |town, fault| {
        let ran = town.gets_over(std::slice::from_ref(fault));
        assert!(ran.json()["requests"]["throttled"].as_u64() >= Some(1), "{fault:?}");
    });
}

#[test]
fn n_01_a_long_pause_is_reported_with_its_end_and_not_waited_for() {
    let cases: Vec<Fault> = PLACES
        .into_iter()
        .flat_map(|(surface, path)| {
            ["3600", "1000000000"].map(|text| on(surface, path, status(429, &[("Retry-After", text)])))
        })
        .collect();
    side_by_side(&cases, 4, |town, fault| {
        let ran = town.survives(std::slice::from_ref(fault));
        let code = ran.output.status.code();
        assert!(matches!(code, Some(1 | 4)), "{fault:?}: {code:?}\n{}", ran.out());
        // Once for each request that was under way together, and no more
        assert!(town.fired() <= 8, "{fault:?}: asked {} times against a long pause", town.fired());
        assert!(ran.out().contains("throttled") || ran.out().contains("pause"), "{fault:?}\n{}", ran.out());
        town.assert_recovers();
    });
}

#[test]
fn n_01_the_limit_of_one_endpoint_does_not_stop_the_others() {
    let mut town = Town::settled();
    let invitations = Fault {
        method: Some("POST".into()),
        ..on(Site, "/rest/api/3/user", status(429, &[("Retry-After", "3600")]))
    };
    let ran = town.survives(&[invitations]);
    assert_eq!(ran.output.status.code(), Some(4), "{}", ran.out());
    let json = ran.json();
    assert_eq!(json["steps"]["create_user"]["done"].as_u64().unwrap_or(0), 0);
    assert!(json["steps"]["remove_member"]["done"].as_u64() >= Some(1), "{json:#}");
    town.assert_recovers();
}
