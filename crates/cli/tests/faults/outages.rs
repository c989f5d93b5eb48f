//! N-03: server errors, broken connections and stalls at every address that a run asks. The whole matrix of kinds stands
//! in `crates/connect/tests/transport`; here each address meets each kind once, and a lasting outage.

use std::time::Duration;

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};

use crate::town::{Town, on, once, side_by_side, status};

/// Every address that a run reads.
pub(crate) const READS: [(Surface, &str); 13] = [
    (Surface::Authority, "/*/oauth2/v2.0/token"),
    (Surface::Graph, "/v1.0/users/delta"),
    (Surface::Graph, "/v1.0/groups/delta"),
    (Surface::Graph, "/v1.0/users"),
    (Surface::Graph, "/v1.0/groups"),
    (Surface::Graph, "/v1.0/$batch"),
    (Surface::Site, "/rest/api/3/serverInfo"),
    (Surface::Site, "/rest/api/3/myself"),
    (Surface::Site, "/rest/api/3/mypermissions"),
    (Surface::Site, "/rest/api/3/applicationrole"),
    (Surface::Site, "/rest/api/3/users/search"),
    (Surface::Site, "/rest/api/3/group/bulk"),
    (Surface::Site, "/rest/api/3/group/member"),
];

/// This, once at every other address that a run reads. The pauses of one run follow each other, so two runs share them.
pub(crate) fn once_at_half(kind: &FaultKind, half: usize) -> Vec<Fault> {
    READS.iter().skip(half).step_by(2).map(|(surface, path)| once(on(*surface, path, kind.clone()))).collect()
}

/// Requests that failed by a fault are asked again and only they.
#[track_caller]
fn assert_each_fired(town: &Town, kind: &FaultKind) {
    let silent: Vec<_> =
        town.bench.emulator.state().faults.list().into_iter().filter(|f| f.fired == 0).collect();
    assert!(silent.is_empty(), "{kind:?} did not happen at {silent:#?}");
}

fn passing() -> Vec<FaultKind> {
    let soon = &[("Retry-After", "0")];
    let mut kinds: Vec<FaultKind> = [500, 502, 503, 504, 408].map(|code| status(code, soon)).into();
    kinds.extend([
        status(503, &[]),
        FaultKind::ResetBefore {},
        FaultKind::ResetAfter {},
        FaultKind::Truncate { keep_bytes: None },
        FaultKind::Truncate { keep_bytes: Some(0) },
        FaultKind::WrongLength { by: 100 },
        FaultKind::StallBody { ms: 300, after_bytes: 5 },
        FaultKind::StallHeaders { ms: 300 },
    ]);
    kinds
}

#[test]
fn n_03_a_passing_fault_at_every_address_changes_nothing() {
    let cases: Vec<_> = passing().into_iter().flat_map(|kind| [(kind.clone(), 0), (kind, 1)]).collect();
    side_by_side(&cases, 1, |town, (kind, half)| {
        town.a_day_passes();
        let ran = town.suffers(&once_at_half(kind, *half));
        assert_each_fired(town, kind);
        assert_eq!(ran.output.status.code(), Some(0), "{kind:?}\n{}\n{}", ran.out(), town.told());
        assert_eq!(ran.json()["status"], "converged", "{kind:?}");
        town.assert_exact();
        town.assert_recovers();
    });
}

fn an_outage_that_lasts() {
    // Members of one site group, and whether the site has products, are not worth a failed run: see below
    let needed =
        READS.iter().filter(|(_, path)| !path.ends_with("/member") && !path.ends_with("/applicationrole"));
    let mut cases: Vec<(Surface, &str, FaultKind)> =
        needed.map(|(surface, path)| (*surface, *path, status(503, &[("Retry-After", "0")]))).collect();
    cases.push((Surface::Graph, "/v1.0/groups", FaultKind::ResetBefore {}));
    cases.push((Surface::Site, "/rest/api/3/group/bulk", FaultKind::ResetAfter {}));
    cases.push((Surface::Graph, "/v1.0/users", FaultKind::Truncate { keep_bytes: None }));
    side_by_side(&cases, 1, |town, (surface, path, kind)| {
        let code = if *surface == Surface::Site { "site_unavailable" } else { "directory_unavailable" };
        town.a_day_passes();
        let ran = town.suffers(&[on(*surface, path, kind.clone())]);
        let asked = town.requests(|e| e.surface == *surface && e.fault.is_some()).len();
        // Three lists of groups share one address
        assert!((5..=15).contains(&asked), "{path}: bounded, but not given up at once: {asked}");
        assert_eq!(ran.output.status.code(), Some(1), "{path}\n{}", ran.out());
        assert_eq!(ran.json()["error"]["code"], code, "{path}\n{}", ran.out());
        assert_eq!(town.writes(), Vec::<String>::new());
        town.assert_recovers();
    });
}

#[test]
fn n_03_site_groups_that_cannot_be_read_are_left_alone_and_reported() {
    let mut town = Town::settled();
    town.a_day_passes();
    let members = on(Surface::Site, "/rest/api/3/group/member", status(500, &[("Retry-After", "0")]));
    let ran = town.sets_aside(&[members]);
    let touched: Vec<_> = town.writes().into_iter().filter(|w| w.contains("/group/user")).collect();
    assert!(touched.is_empty(), "nothing is known of the members: {touched:?}\n{}", ran.out());
    town.assert_recovers();
}

/// Half a minute of pauses each, so they pass together.
#[test]
fn n_03_an_outage_that_lasts_or_a_cloud_that_is_not_there_ends_the_run_before_its_first_write() {
    std::thread::scope(|scope| {
        scope.spawn(an_outage_that_lasts);
        scope.spawn(a_cloud_that_is_not_there);
    });
}

fn a_cloud_that_is_not_there() {
    let town = Town::settled();
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let document = town.bench.document("\"*\"");
    let urls = [
        (town.bench.company().site_url.clone(), "site_unavailable"),
        (town.bench.company().graph_url.clone(), "directory_unavailable"),
    ];
    std::thread::scope(|scope| {
        for (nth, (url, code)) in urls.iter().enumerate() {
            let path = town.bench.file(&format!("gone-{nth}.toml"), &document.replace(url, &nobody));
            // A name of its own, so that the two do not meet
            let text = std::fs::read_to_string(&path).unwrap().replace("Azure AD", &format!("Gone {nth}"));
            std::fs::write(&path, text).unwrap();
            let town = &town;
            scope.spawn(move || {
                let ran = town.sync(&["--connection-file", path.to_str().unwrap()]).expect(1);
                assert_eq!(ran.json()["error"]["code"], *code, "{}", ran.out());
            });
        }
    });
    assert_eq!(town.writes(), Vec::<String>::new());
    town.assert_recovers();
}

#[test]
fn n_03_an_answer_that_stalls_is_given_up_after_the_configured_time() {
    let stalls =
        [FaultKind::StallHeaders { ms: 60_000 }, FaultKind::StallBody { ms: 60_000, after_bytes: 5 }];
    side_by_side(&stalls, 1, |town, kind| {
        let document = format!("{}\n[network]\ntimeout = \"2s\"\n", town.bench.document("\"*\""));
        let path = town.bench.file("hasty.toml", &document);
        town.bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
        town.a_day_passes();
        let start = std::time::Instant::now();
        let faults = [
            once(on(Surface::Graph, "/v1.0/users", kind.clone())),
            once(on(Surface::Site, "/rest/api/3/users/search", kind.clone())),
        ];
        let ran = town.suffers(&faults);
        assert_eq!(ran.output.status.code(), Some(0), "{kind:?}\n{}", ran.out());
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
        town.assert_exact();
        town.assert_recovers();
    });
}
