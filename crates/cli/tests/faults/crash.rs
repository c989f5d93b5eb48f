//! the program is killed with SIGKILL, at every write to the site and at any other moment; the next start finishes
//! what was begun, and nothing is lost or done twice.

use std::time::Duration;

use entrain_emulator::Surface::Site;
use entrain_emulator::faults::{Fault, FaultKind};

use crate::town::{Died, Town, company, on, side_by_side, unthrottled};

fn small() -> Town {
    Town::of(unthrottled(company(12, 3, 6)))
}

/// Writes of a first sync of the small company.
fn writes() -> u64 {
    let town = small();
    town.forget_requests();
    town.sync(&[]).expect(0);
    town.assert_exact();
    town.writes().len() as u64
}

#[test]
fn r_01_killed_at_every_write_of_a_first_sync() {
    let writes = writes();
    assert!(writes > 20, "only {writes} writes");
    let points: Vec<u64> = (1..=writes).collect();
    side_by_side(&points, points.len().div_ceil(4), |_, nth| {
        let town = small();
        town.forget_requests();
        // The write takes place, and its answer does not come before the program is dead
        let stalls = on(Site, "/rest/api/3/*", FaultKind::StallHeaders { ms: 60_000 });
        town.fault(Fault { method: Some("POST".into()), nth: Some(*nth), ..stalls });
        assert_eq!(town.sync_killed_when_struck(&[]), Died::Killed, "the program ended before write {nth}");
        town.assert_recovers();
    });
}

#[test]
fn r_01_killed_at_any_moment_of_a_day() {
    let seed = 20_261_126_u64;
    println!("seed {seed}");
    let delays: Vec<u64> = (0..24).map(|n| (seed.wrapping_mul(n + 1) >> 3) % 400).collect();
    side_by_side(&delays, 6, |town, delay| {
        town.a_day_passes();
        let had = town.memberships();
        town.sync_killed_after(Duration::from_millis(*delay));
        town.assert_nothing_lost(&had);
        town.assert_recovers();
    });
}
