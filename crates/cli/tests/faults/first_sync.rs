//! The main job: 1,000 people and 50 groups on a site that knows a fifth of them.

use entrain_emulator::Surface;

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
    let had = town.memberships();
    assert!(had.is_empty());
    let first = town.sync(&[]).expect(0);
    let json = first.json();
    assert_eq!(json["status"], "converged", "{json:#}");
    assert_eq!(json["set_aside"].as_array().map(Vec::len), Some(0), "{json:#}");
    town.assert_exact();
    assert_counts(&town, &first);
    let directory = json["requests"]["directory"].as_u64().unwrap();
    let endpoints = town.bench.emulator.state().log.counts().by_endpoint;
    assert!(directory <= 11, "{directory} requests to the directory: {endpoints:#?}");

    // One write for each thing that was made, and what was made is what was planned
    let wanted = wanted(&town.bench.emulator.state().world()).len() as u64;
    let steps = |kind: &str| json["steps"][kind]["done"].as_u64().unwrap();
    assert_eq!(steps("add_member"), wanted);
    assert_eq!(steps("create_group"), 50);
    let written = town.writes().len() as u64;
    assert_eq!(written, steps("add_member") + steps("create_group") + steps("create_user"));

    town.forget_requests();
    let second = town.sync(&[]).expect(0);
    assert_eq!(second.json()["status"], "converged", "{}", second.out());
    assert_eq!(town.writes(), Vec::<String>::new());
    assert_counts(&town, &second);
    town.assert_exact();
}
