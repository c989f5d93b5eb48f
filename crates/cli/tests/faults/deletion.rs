//! D-01: what reads as empty removes nobody.

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind, ItemFault};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::support::Ran;
use crate::town::{Memberships, Town, on};

fn empty(path: &str) -> Fault {
    on(Surface::Graph, path, FaultKind::ReplaceBody { body: json!({"value": []}) })
}

/// Held or failed before the first write, with `--yes` too.
#[track_caller]
fn assert_untouched(town: &Town, had: &Memberships, ran: &Ran) {
    assert!(matches!(ran.output.status.code(), Some(1 | 3)), "{}\n{}", ran.out(), town.told());
    assert_eq!(town.writes(), Vec::<String>::new(), "{}", ran.out());
    assert_eq!(town.memberships(), *had);
}

#[test]
fn d_01_an_emptied_tenant_is_held_whole_and_stays_held() {
    let mut town = Town::settled();
    town.a_day_passes();
    town.sync(&[]).expect(0);
    town.forget_requests();
    let had = town.memberships();
    let state = town.bench.emulator.state().clone();
    let at = state.now();
    let users: Vec<String> = state.world().tenant.users.keys().cloned().collect();
    let groups: Vec<String> = state.world().tenant.groups.keys().cloned().collect();
    for id in &groups {
        state.world_mut().tenant.delete_group(id, at).unwrap();
    }
    for id in &users {
        state.world_mut().tenant.soft_delete_user(id, at).unwrap();
    }
    for args in [&[][..], &["--yes"], &[]] {
        let ran = town.sync(args).expect(3);
        let json = ran.json();
        assert_eq!(json["status"], "held", "{json:#}");
        let said = json["held"].to_string();
        assert!(said.contains("empty"), "{said}");
        assert_untouched(&town, &had, &ran);
    }
    // They are back: as if nothing had been
    for id in &users {
        state.world_mut().tenant.restore_user(id, at).unwrap();
    }
    for id in &groups {
        state.world_mut().tenant.restore_group(id, at).unwrap();
    }
    town.sync(&[]).expect(0);
    assert_eq!(town.writes(), Vec::<String>::new());
    assert_eq!(town.memberships(), had);
}

#[test]
fn d_01_lists_that_come_back_empty_remove_nobody() {
    let mut town = Town::settled();
    town.a_day_passes();
    let cases = [
        vec![empty("/v1.0/users")],
        vec![empty("/v1.0/groups")],
        vec![empty("/v1.0/users"), empty("/v1.0/groups")],
    ];
    for faults in cases {
        for args in [&[][..], &["--yes"]] {
            let had = town.memberships();
            town.forget_requests();
            for fault in &faults {
                town.fault(fault.clone());
            }
            let ran = town.sync(args);
            assert!(town.fired() > 0);
            assert_untouched(&town, &had, &ran);
            town.heal();
        }
    }
    town.assert_recovers();
}

fn members_read_as(path: &str, body: Value) -> Fault {
    let item = ItemFault { status: 200, headers: BTreeMap::new(), body: Some(body) };
    on(Surface::Graph, path, FaultKind::BatchItem(item))
}

#[test]
fn d_01_groups_that_all_read_without_members_are_held() {
    let mut town = Town::settled();
    town.a_day_passes();
    for args in [&[][..], &["--yes"]] {
        let had = town.memberships();
        town.forget_requests();
        town.fault(members_read_as("/groups/*/members*", json!({"value": []})));
        let ran = town.sync(args);
        assert!(town.fired() > 0);
        assert_untouched(&town, &had, &ran);
        town.heal();
    }
    town.assert_recovers();
}

#[test]
fn d_01_one_group_that_reads_without_members_keeps_them() {
    let mut town = Town::settled();
    let (group, name) = {
        let world = town.bench.emulator.state().world();
        let site = |name: &str| world.atlassian.groups.values().find(|g| g.name == name).unwrap();
        let groups = world.tenant.groups.values();
        let group = groups.max_by_key(|g| site(g.display_name.as_deref().unwrap()).members.len()).unwrap();
        (group.id.clone(), group.display_name.clone().unwrap())
    };
    let path = format!("/groups/{group}/members*");
    let ran = town.suffers(&[members_read_as(&path, json!({"value": []}))]).expect(3);
    assert_eq!(ran.json()["status"], "held", "{name}: {}", ran.out());
    assert_eq!(town.writes().iter().filter(|w| w.starts_with("DELETE")).count(), 0, "{}", ran.out());
    town.assert_recovers();
}

#[test]
fn d_01_an_empty_first_page_with_more_behind_it_is_no_end() {
    let mut town = Town::settled();
    let mut settings = (*town.bench.emulator.state().settings()).clone();
    (settings.graph.empty_pages, settings.graph.empty_delta_pages) = (1, 1);
    town.bench.emulator.state().set_settings(settings);
    town.a_day_passes();
    town.sync(&[]).expect(0);
    town.assert_recovers();
}

#[test]
fn d_01_a_site_that_reads_as_empty_is_not_filled_again() {
    let mut town = Town::settled();
    town.a_day_passes();
    for path in ["/rest/api/3/users/search", "/rest/api/3/group/bulk"] {
        let body = if path.ends_with("bulk") {
            json!({"values": [], "isLast": true, "total": 0, "startAt": 0, "maxResults": 50})
        } else {
            json!([])
        };
        let ran = town.suffers(&[on(Surface::Site, path, FaultKind::ReplaceBody { body })]);
        let doubled: Vec<_> = town
            .writes()
            .into_iter()
            .filter(|w| w.starts_with("POST /rest/api/3/user?") || w.starts_with("POST /rest/api/3/group?"))
            .collect();
        assert!(doubled.len() <= 1, "{path}: {doubled:?}\n{}", ran.out());
        town.heal();
    }
    town.assert_recovers();
}
