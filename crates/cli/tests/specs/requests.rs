//! Entrain's own requests, made by the real binary: a check, a first sync, a world that moves on, and a second sync.

use std::collections::{BTreeMap, BTreeSet};

use entrain_emulator::{Options, Surface};

use crate::document::unfolded;
use crate::documents;
use crate::support::Bench;

/// Requests that no document of ours describes, and the section that does.
const OUTSIDE: &[(&str, &str)] = &[("/_edge/tenant_info", "atlassian-cloud.md 3.2: the cloud id of a site")];

#[test]
fn every_request_of_entrain_is_as_its_document_says() {
    let Some(documents) = documents() else { return };
    // Small pages, so that links are followed too
    let mut options = Options::of(60, 12);
    options.settings.graph.list_page_size = Some(20);
    options.settings.atlassian.list_page_size = Some(20);
    let bench = Bench::of(options);
    let tape = &bench.emulator.state().tape;
    tape.start();
    bench.add("\"Jira *\"");
    bench.entrain(&["check"]).expect(0);
    bench.entrain(&["sync", "--yes"]).expect(0);
    {
        let at = bench.emulator.state().now();
        let mut world = bench.emulator.state().world_mut();
        let inside: Vec<String> = world
            .tenant
            .groups
            .values()
            .filter(|group| group.display_name.as_deref().is_some_and(|name| name.starts_with("Jira ")))
            .flat_map(|group| group.members.iter().map(|member| member.id().to_owned()))
            .filter(|id| world.tenant.users.get(id).is_some_and(|user| user.account_enabled == Some(true)))
            .take(1)
            .collect();
        world.tenant.soft_delete_user(&inside[0], at).unwrap();
    }
    bench.entrain(&["sync", "--yes"]).expect(0);

    let exchanges = unfolded(tape.take());
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    let mut called = BTreeSet::new();
    for exchange in &exchanges {
        called.extend(documents.operation(exchange).map(|operation| operation.name()));
        if OUTSIDE.iter().any(|(path, _)| exchange.path == *path) {
            continue;
        }
        for complaint in documents.request(exchange) {
            *wrong.entry(complaint).or_default() += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The run did what it is here for: it read both sides and wrote
    let surfaces: BTreeSet<Surface> = exchanges.iter().map(|exchange| exchange.surface).collect();
    assert!(surfaces.is_superset(&[Surface::Graph, Surface::Site].into()), "{surfaces:?}");
    for name in [
        "site GET /rest/api/3/myself",
        "site POST /rest/api/3/user",
        "site POST /rest/api/3/group",
        "site POST /rest/api/3/group/user",
        "site DELETE /rest/api/3/group/user",
    ] {
        assert!(called.contains(name), "{name} was not called: {called:#?}");
    }
    println!("{} requests, {} operations", exchanges.len(), called.len());
}
