//! the binary killed with SIGKILL in the middle of a run; the next start finishes it. The engine's tests kill at
//! every single write point; here a real process dies, with its database as it is on the disk.

use std::time::{Duration, Instant};

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::support::command;
use crate::town::{Town, company, unthrottled};

/// What the writes of a run change.
fn fingerprint(town: &Town) -> (usize, usize, usize) {
    let world = town.bench.emulator.state().world();
    let site = &world.atlassian;
    (site.invitations.len(), site.groups.len(), site.groups.values().map(|g| g.members.len()).sum())
}

/// From the nth write on, the site carries out what it is asked and never answers. When nothing moves any more, the
/// process is killed. False when the run came to its end before that.
fn killed_at_write(town: &Town, nth: u64) -> bool {
    for method in ["POST", "DELETE"] {
        // Each method counts for itself: the whole run is covered all the same, and some points twice
        let stall = Fault::new(FaultKind::StallHeaders { ms: 600_000 });
        town.fault(Fault {
            surface: Some(Surface::Site),
            method: Some(method.into()),
            from: Some(nth),
            ..stall
        });
    }
    let mut child = command(town.bench.folder.path(), &["sync", "--json", "--full"]).spawn().unwrap();
    let (mut last, mut since) = (fingerprint(town), Instant::now());
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            let stalled = town.fired() > 0;
            assert!(!stalled, "the run ended although it was kept waiting");
            return false;
        }
        let now = fingerprint(town);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if town.fired() == 0 {
            since = Instant::now();
        } else if since.elapsed() > Duration::from_millis(250) {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn r_01_a_first_run_killed_at_every_write_is_finished_by_the_next_start() {
    let mut kills = 0;
    for nth in 1.. {
        let town = Town::of(unthrottled(company(8, 2, 4)));
        let killed = killed_at_write(&town, nth);
        town.heal();
        town.assert_recovers();
        town.bench.entrain(&["audit", "verify"]).expect(0);
        if !killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 10, "only {kills} kills: the run did next to nothing");
}

#[test]
fn r_01_a_day_killed_at_every_write_is_finished_by_the_next_start() {
    let mut kills = 0;
    for nth in 1.. {
        let mut town = Town::settled_with(company(40, 6, 20));
        town.a_day_passes();
        let had = town.memberships();
        let killed = killed_at_write(&town, nth);
        town.assert_nothing_lost(&had);
        town.heal();
        let healed = town.sync(&[]).expect(0);
        assert_eq!(healed.json()["status"], "converged", "{}", healed.out());
        town.assert_recovers();
        if !killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 2, "only {kills} kills");
}

#[test]
fn r_01_a_run_killed_at_a_random_moment_again_and_again_ends_exactly() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // Nobody is invited here: whether an invitation left before the kill is not known for a quarter of an hour
    let mut town = Town::settled();
    town.a_quiet_day_passes();
    let had = town.memberships();
    let start = Instant::now();
    town.bench.entrain(&["plan", "--json"]).expect(0);
    let whole = start.elapsed().as_micros() as u64 * 3 / 2;
    for _ in 0..12 {
        let mut child = command(town.bench.folder.path(), &["sync", "--json", "--full"]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.random_range(0..whole)));
        child.kill().unwrap();
        child.wait().unwrap();
        town.assert_nothing_lost(&had);
    }
    town.assert_recovers();
    town.bench.entrain(&["audit", "verify"]).expect(0);
    println!("seed {seed} passed");
}
