//! The main job: 1,000 people and 50 groups on a site that knows a fifth of them.

use entrain_emulator::Surface;

use crate::support::Ran;
use crate::town::{Town, company, unthrottled};

/// The counts of the result are those of the other side.
#[track_caller]
fn assert_counts(town: &Town, ran: &Ran) -> u64 {
    let told = ran.json()["requests"].clone();
    let seen = town.bench.emulator.state().log.counts().by_surface;
    let of = |surface: Surface| seen.get(surface.name()).copied().unwrap_or(0);
    let directory = of(Surface::Authority) + of(Surface::Graph);
    assert_eq!(told["directory"], directory, "{seen:?}");
    assert_eq!(told["site"], of(Surface::Site), "{seen:?}");
    assert_eq!(told["organization"], of(Surface::Organization), "{seen:?}");
    directory
}

#[test]
fn a_thousand_people_and_fifty_groups_arrive_exactly_and_once() {
    let town = Town::of(unthrottled(company(1000, 50, 60)));
    town.forget_requests();
    let first = town.sync(&[]).expect(0);
    assert_eq!(first.json()["status"], "converged");
    town.assert_exact();
    // quality.md P-1
    assert_eq!(assert_counts(&town, &first), 11);

    town.forget_requests();
    let second = town.sync(&[]).expect(0);
    assert_eq!(second.json()["status"], "converged");
    assert_counts(&town, &second);
    assert_eq!(town.writes(), Vec::<String>::new());
    town.assert_exact();
}
