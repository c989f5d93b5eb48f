//! The main job: 1,000 people and 50 groups on a site that knows a fifth of them.

use std::collections::BTreeSet;

use entrain_emulator::Surface;
use entrain_emulator::world::generate::{GenerateOptions, generate};

use crate::support::Ran;
use crate::town::{Town, company, unthrottled, wanted};

/// The counts of the result are those of the other side.
#[track_caller]
fn assert_counts(town: &Town, ran: &Ran) {
    let told = ran.json()["requests"].clone();
    let seen = town.bench.emulator.state().log.counts().by_surface;
    let of = |surface: Surface| seen.get(surface.name()).copied().unwrap_or(0);
    assert_eq!(told["directory"], of(Surface::Authority) + of(Surface::Graph), "{seen:?}");
    assert_eq!(told["site"], of(Surface::Site), "{seen:?}");
    assert_eq!(told["organization"], of(Surface::Organization), "{seen:?}");
}

#[test]
fn a_thousand_people_and_fifty_groups_arrive_exactly_and_once() {
    let town = Town::of(unthrottled(company(1000, 50, 60)));
    let inactive = {
        let world = town.bench.emulator.state().world();
        let asleep = world.atlassian.accounts.values().filter(|a| !a.active());
        asleep.filter_map(|a| a.email.clone()).collect::<BTreeSet<_>>()
    };
    let first = town.sync(&[]);
    let json = first.json();
    println!("inactive before: {inactive:?}\n{json:#}\n{}", first.err());
    assert_eq!(json["status"], "converged");
    town.assert_exact();
}
