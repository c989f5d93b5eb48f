//! N-03: errors of the server, broken and stalling connections. Only what is safe is repeated, with bounds, and the result
//! is as without the fault.

use entrain_emulator::Surface::{self, Authority, Graph, Site};
use entrain_emulator::faults::{Fault, FaultKind};

use crate::town::{Town, on, once, side_by_side, status};

const READS: [(Surface, &str); 9] = [
    (Authority, "*/oauth2/v2.0/token"),
    (Graph, "/v1.0/users"),
    (Graph, "/v1.0/groups"),
    (Graph, "/v1.0/users/delta"),
    (Graph, "/v1.0/$batch"),
    (Site, "/rest/api/3/myself"),
    (Site, "/rest/api/3/users/search"),
    (Site, "/rest/api/3/group/bulk"),
    (Site, "/rest/api/3/group/member"),
];

fn kinds() -> Vec<FaultKind> {
    let mut kinds: Vec<FaultKind> = [500, 502, 503, 504, 408].map(|code| status(code, &[])).into();
    kinds.extend([
        FaultKind::ResetBefore {},
        FaultKind::ResetAfter {},
        FaultKind::StallHeaders { ms: 60_000 },
        FaultKind::StallBody { ms: 60_000, after_bytes: 10 },
    ]);
    kinds
}

#[test]
fn n_03_one_outage_of_a_read_is_got_over() {
    let mut cases: Vec<Fault> = Vec::new();
    for (n, (surface, path)) in READS.into_iter().enumerate() {
        for (m, kind) in kinds().into_iter().enumerate() {
            if (n + m) % 3 == 0 {
                cases.push(once(on(surface, path, kind)));
            }
        }
    }
    side_by_side(&cases, 3, |town, fault| {
        town.within("1s");
        town.gets_over(std::slice::from_ref(fault));
    });
}

#[test]
fn n_03_an_outage_that_stays_fails_the_run_and_harms_nothing() {
    let cases: Vec<Fault> = [READS[1], READS[4], READS[6], READS[7]]
        .into_iter()
        .zip([status(503, &[]), FaultKind::ResetBefore {}, status(500, &[]), status(504, &[])])
        .map(|((surface, path), kind)| on(surface, path, kind))
        .collect();
    side_by_side(&cases, 1, |town, fault| {
        let codes = ["directory_unavailable", "site_unavailable"];
        town.fails_unharmed(std::slice::from_ref(fault), &codes);
    });
}

#[test]
fn n_03_writes_meet_outages_and_the_site_ends_as_it_should() {
    let mut cases: Vec<Fault> = Vec::new();
    for kind in kinds() {
        for (method, path) in [("POST", "/rest/api/3/group/user"), ("DELETE", "/rest/api/3/group/user")] {
            cases.push(once(Fault { method: Some(method.into()), ..on(Site, path, kind.clone()) }));
        }
    }
    side_by_side(&cases, 3, |town, fault| {
        town.within("1s");
        town.survives(std::slice::from_ref(fault));
        town.assert_recovers();
    });
}

#[test]
fn n_03_a_site_that_refuses_connections_or_has_no_name_is_named() {
    for (url, port) in [("http://127.0.0.1:9", true), ("https://no-such-site.invalid", false)] {
        let town = Town::settled();
        let had = town.memberships();
        town.site_at(url);
        let ran = town.sync(&["--full"]).expect(1);
        let code = ran.json()["error"]["code"].clone();
        assert_eq!(code, "site_unavailable", "{port}: {}", ran.out());
        town.assert_nothing_lost(&had);
    }
}

#[test]
fn n_03_with_five_in_a_hundred_requests_failing_runs_end_as_without() {
    let seed = 20_261_126_u64;
    println!("seed {seed}");
    let mut town = Town::settled();
    town.within("1s");
    for day in 0..3 {
        town.a_day_passes();
        for kind in [status(503, &[]), FaultKind::ResetBefore {}, FaultKind::Truncate { keep_bytes: None }] {
            town.fault(Fault { method: Some("GET".into()), probability: Some(0.05), ..Fault::new(kind) });
        }
        let had = town.memberships();
        let ran = town.sync(&["--full"]);
        town.assert_nothing_lost(&had);
        assert_eq!(ran.output.status.code(), Some(0), "day {day}\n{}\n{}", ran.out(), ran.err());
        town.assert_exact();
        town.heal();
    }
    town.assert_recovers();
}
