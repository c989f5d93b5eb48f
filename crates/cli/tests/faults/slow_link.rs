//! N-16: a link that is slow, far and sometimes breaks: half a second to each cloud and back, bodies that come in two parts,
//! and two connections in a hundred that end without an answer. A sync takes its time and comes to its end.

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::settings::LatencySettings;

use crate::town::{Town, company, unthrottled};

#[test]
fn n_16_over_a_slow_link_that_breaks_now_and_then_a_sync_comes_to_its_end() {
    let mut options = unthrottled(company(80, 8, 20));
    options.settings.latency =
        LatencySettings { authority_ms: 500, graph_ms: 500, site_ms: 500, ..LatencySettings::default() };
    let town = Town::of(options);
    for surface in [Surface::Graph, Surface::Site] {
        let fault = |probability, kind| Fault {
            name: None,
            surface: Some(surface),
            method: None,
            path: None,
            nth: None,
            from: None,
            every: None,
            probability: Some(probability),
            count: None,
            kind,
        };
        town.fault(fault(0.01, FaultKind::ResetBefore {}));
        town.fault(fault(0.01, FaultKind::ResetAfter {}));
        town.fault(fault(0.5, FaultKind::StallBody { ms: 400, after_bytes: 100 }));
    }
    let had = town.memberships();
    let ran = town.sync(&[]);
    assert!(town.fired() > 50, "the link was slow: {}", town.fired());
    town.assert_nothing_lost(&had);
    // What a broken connection left open is looked up, and at most left to the next run
    let status = ran.json()["status"].as_str().unwrap_or_default().to_owned();
    assert!(["converged", "incomplete"].contains(&status.as_str()), "{}\n{}", ran.out(), town.told());
    town.assert_recovers();
}
