//! a licence that ends in the middle of a run, in each of the words that Atlassian has for it, and conflicts (409):
//! what is there already counts as done, whatever else is refused is set aside, and the rest goes on.

use std::collections::BTreeSet;

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::world::atlassian::{SeatForm, SiteProduct};
use entrain_emulator::world::tenant::Member;
use serde_json::{Value, json};

use crate::town::{Town, on, once, status, wanted};

const ADD: (&str, &str) = ("POST", "/rest/api/3/group/user");
const REMOVE: (&str, &str) = ("DELETE", "/rest/api/3/group/user");

fn conflict((method, path): (&str, &str)) -> Fault {
    let body = json!({"errorMessages": ["The operation conflicts with another one."], "errors": {}});
    let kind = match status(409, &[]) {
        FaultKind::Status { status, headers, .. } => FaultKind::Status { status, headers, body: Some(body) },
        other => other,
    };
    Fault { method: Some(method.into()), ..on(Surface::Site, path, kind) }
}

/// A group of the directory that the site has too: its id there and here, and its name.
fn a_group(town: &Town) -> (String, String, String) {
    let world = town.bench.emulator.state().world();
    let (id, group) = world.tenant.groups.iter().next().unwrap();
    let name = group.display_name.clone().unwrap();
    let on_site = world.atlassian.groups.values().find(|g| g.name == name).unwrap();
    (id.clone(), on_site.group_id.clone(), name)
}

/// So many enabled people who have an account and are not in the group: their ids in the directory and on the site.
fn others(town: &Town, name: &str, many: usize) -> Vec<(String, String)> {
    let world = town.bench.emulator.state().world();
    let wanted = wanted(&world);
    let address = |user: &entrain_emulator::world::tenant::EntraUser| {
        user.mail.as_deref().unwrap_or(&user.user_principal_name).to_lowercase()
    };
    let known: BTreeSet<&String> = wanted.iter().map(|(_, address)| address).collect();
    let found = world.tenant.users.values().filter(|user| {
        let address = address(user);
        known.contains(&address) && !wanted.contains(&(name.to_lowercase(), address))
    });
    let account = |user: &entrain_emulator::world::tenant::EntraUser| {
        let address = address(user);
        let accounts = world.atlassian.accounts.values();
        let mut theirs =
            accounts.filter(|a| a.email.as_deref().map(str::to_lowercase) == Some(address.clone()));
        theirs.next().unwrap().account_id.clone()
    };
    let found: Vec<_> = found.map(|user| (user.id.clone(), account(user))).take(many).collect();
    assert_eq!(found.len(), many);
    found
}

fn join(town: &Town, group: &str, people: &[(String, String)]) {
    let state = town.bench.emulator.state();
    let at = state.now();
    let mut world = state.world_mut();
    for (user, _) in people {
        world.tenant.add_member(group, Member::User(user.clone()), at).unwrap();
    }
}

/// From now on the group grants Confluence, which has so many seats more than are taken.
fn grants_confluence(town: &Town, group: &str, free: u64) {
    let mut world = town.bench.emulator.state().world_mut();
    let products = &mut world.atlassian.products;
    products.retain(|product| product.key != "confluence");
    products.push(SiteProduct {
        key: "confluence".into(),
        name: "Confluence".into(),
        seats: None,
        groups: [group.to_owned()].into(),
        default_groups: BTreeSet::new(),
    });
    let used = world.atlassian.seats_used("confluence");
    let product = world.atlassian.products.last_mut().unwrap();
    product.seats = Some(used + free);
}

fn set_aside(json: &Value) -> Vec<&str> {
    json["set_aside"].as_array().unwrap().iter().map(|aside| aside["reason"].as_str().unwrap()).collect()
}

#[test]
fn r_03_a_licence_that_ends_in_mid_run_is_understood_in_each_form_and_the_rest_goes_on() {
    for form in [SeatForm::Licence, SeatForm::Hystrix, SeatForm::Conflict] {
        let mut town = Town::settled();
        let (group, _, name) = a_group(&town);
        town.bench.emulator.state().world_mut().atlassian.quirks.seats_refused_as = form;
        grants_confluence(&town, &name, 1);
        join(&town, &group, &others(&town, &name, 4));
        town.somebody_moves();
        let had = town.memberships();
        town.forget_requests();
        let json = town.sync(&[]).expect(4).json();
        assert_eq!(json["status"], "partial", "{form:?}: {json:#}");
        let told = set_aside(&json);
        let seats: Vec<&&str> = told.iter().filter(|reason| reason.to_lowercase().contains("seat")).collect();
        assert_eq!(seats.len(), 3, "{form:?}: one seat for four: {json:#}");
        if form != SeatForm::Hystrix {
            assert!(seats.iter().all(|reason| reason.contains("onfluence")), "{form:?}: {json:#}");
        }
        assert_eq!(told.len(), 3, "{form:?}: {json:#}");
        town.assert_nothing_lost(&had);
        // Still none: asked again, set aside again, nothing is given up and nothing is done twice
        let again = town.sync(&[]).expect(4).json();
        assert_eq!(set_aside(&again).len(), 3, "{form:?}: {again:#}");
        grants_confluence(&town, &name, 10);
        town.assert_recovers();
        town.assert_exact();
        town.bench.entrain(&["audit", "verify"]).expect(0);
    }
}

#[test]
fn r_03_a_conflict_in_mid_run_sets_one_object_aside_and_the_next_run_does_it() {
    for write in [ADD, REMOVE] {
        let mut town = Town::settled();
        town.a_quiet_day_passes();
        let ran = town.sets_aside(&[once(conflict(write))]);
        let json = ran.json();
        assert_eq!(set_aside(&json).len(), 1, "{write:?}: {json:#}");
        assert!(set_aside(&json)[0].contains("409"), "{write:?}: {json:#}");
        town.assert_recovers();
        town.bench.entrain(&["audit", "verify"]).expect(0);
    }
}

#[test]
fn r_03_a_roll_that_takes_too_long_is_read_in_smaller_pages() {
    let mut town = Town::settled();
    town.a_day_passes();
    let ran = town.suffers(&[once(conflict(("GET", "/rest/api/3/users/search")))]).expect(0);
    assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
    town.heal();
    town.assert_exact();
    town.assert_recovers();
}

/// Somebody else was a moment faster: what was read does not show it yet.
#[test]
fn r_03_a_409_for_somebody_who_is_a_member_already_counts_as_done() {
    let town = Town::settled();
    let (group, site_group, name) = a_group(&town);
    let (people, at) = (others(&town, &name, 1), town.bench.emulator.state().now());
    join(&town, &group, &people);
    let stale = {
        let mut world = town.bench.emulator.state().world_mut();
        world.atlassian.quirks.already_a_member_answers_409 = true;
        let members: Vec<Value> = world.atlassian.groups[&site_group]
            .members
            .iter()
            .map(|id| json!({"accountId": id, "accountType": "atlassian", "active": true, "displayName": id}))
            .collect();
        world.atlassian.set_member(&site_group, &people[0].1, at).unwrap();
        let total = members.len();
        assert!(total < 50, "one page");
        json!({"startAt": 0, "maxResults": 50, "total": total, "isLast": true, "values": members})
    };
    let path = format!("/rest/api/3/group/member?*{site_group}*");
    town.fault(once(on(Surface::Site, &path, FaultKind::ReplaceBody { body: stale })));
    town.forget_requests();
    let json = town.sync(&[]).expect(0).json();
    assert_eq!(town.fired(), 1, "{}", town.told());
    town.heal();
    assert_eq!(json["status"], "converged", "{json:#}");
    assert_eq!(json["steps"]["add_member"]["done"], 1, "{json:#}");
    let refused = town.requests(|e| e.method == "POST" && e.status == Some(409));
    assert_eq!(refused.len(), 1, "asked once, and believed");
    town.assert_exact();
    town.assert_recovers();
}
