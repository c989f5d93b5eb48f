//! What a scope asks of the directory: a few groups without the rest of the tenant, and assignments of an application.

use std::collections::BTreeSet;

use entrain_connect::entra::PermissionVerdict::{Granted, Missing};
use entrain_connect::entra::{CaughtUp, DirectoryRead, Links, Since};
use entrain_domain::FailureCode;
use entrain_domain::model::{
    AccountState, ApplicationId, Closure, Coverage, DirectoryGroupId, DirectoryReading, DirectorySnapshot,
    DirectoryUserId, Nesting,
};
use entrain_domain::policy::{Demand, GroupSelector, UserScope};
use serde_json::{Value, json};

use crate::graph::{Tenant, demand, member, nested, tenant, user};

fn uid(n: usize) -> DirectoryUserId {
    DirectoryUserId::parse(format!("u{n:05}")).unwrap()
}
fn gid(id: &str) -> DirectoryGroupId {
    DirectoryGroupId::parse(id).unwrap()
}
fn removed(n: usize) -> Value {
    let mut link = member(n);
    link["@removed"] = json!({"reason": "deleted"});
    link
}

/// Everybody below a group, which is completely known.
fn below(snapshot: &DirectorySnapshot, group: &str) -> BTreeSet<String> {
    match snapshot.closure(&gid(group), Nesting::Flatten) {
        Closure::Complete(closure) => closure
            .members()
            .filter(|ix| snapshot.user_at(*ix).is_some())
            .map(|ix| snapshot.user_id_at(ix).to_string())
            .collect(),
        Closure::Unknown(why) => panic!("{group} is not known: {why:?}"),
    }
}

/// A tenant of 20,000 people and 400 groups, of which “Group 1” nests g00002, and that g00003.
async fn large() -> Tenant {
    let tenant = tenant(20_000, 400, 60).await;
    tenant.change(|world| {
        world.groups.get_mut("g00001").unwrap().1.push(nested("g00002"));
        world.groups.get_mut("g00002").unwrap().1.push(nested("g00003"));
        world.groups.get_mut("g00003").unwrap().1.push(nested("g00001"));
    });
    tenant
}

fn links(read: &DirectoryRead) -> Links {
    Links { users: read.users_link.clone(), groups: read.groups_link.clone(), issued_at: read.issued_at }
}

/// Goes on from a read by what changed since; how many requests that took.
async fn onward(tenant: &Tenant, read: DirectoryRead, demand: &Demand) -> (DirectoryRead, u64) {
    let before = tenant.entra.requests().directory;
    let changes = match tenant.entra.changes(&links(&read)).await.unwrap() {
        Since::Changes(changes) | Since::Nothing(_, changes) => changes,
        Since::Lost => panic!("not lost"),
    };
    let reading = read.snapshot.into_reading().remembered();
    match tenant.entra.catch_up(reading, changes, demand).await.unwrap() {
        CaughtUp::Read(read) => (*read, tenant.entra.requests().directory - before),
        CaughtUp::Implausible(why) => panic!("{why}"),
    }
}

/// design.md 6: when the scope is a few groups of a large tenant, those are read and what they nest, not the tenant.
#[tokio::test]
async fn a_few_groups_of_a_large_tenant_cost_the_same_in_any_tenant() {
    let mut costs = BTreeSet::new();
    for (users, groups) in [(200, 4), (20_000, 2_000)] {
        let tenant = tenant(users, groups, 60).await;
        let demand = demand(&["group 1", "Group 2", "Group 3"]);
        let read = tenant.entra.read(&demand, &[]).await.unwrap();
        // A token, two watermarks, one batch to find the groups, one for their members, two rounds.
        assert_eq!(tenant.entra.requests().directory, 7);
        costs.insert(tenant.entra.requests().directory);
        assert_eq!(tenant.asked("/users?"), 0);
        assert_eq!(read.snapshot.groups().count(), 3);
        assert_eq!(read.snapshot.users_coverage(), &Coverage::Complete);
        assert_eq!(below(&read.snapshot, "g00001").len(), 60);
        assert_eq!(read.snapshot.users().count(), 74, "three overlapping groups of sixty");
        assert!(read.snapshot.users().all(|u| u.account == AccountState::Enabled && u.mail.is_some()));
    }
    assert_eq!(costs.len(), 1);
}

#[tokio::test]
async fn nested_groups_are_read_level_by_level_and_cycles_end() {
    let tenant = large().await;
    let read = tenant.entra.read(&demand(&["Group 1"]), &[]).await.unwrap();
    // A token, watermarks, one batch to find, three levels, two rounds.
    assert_eq!(tenant.entra.requests().directory, 9);
    assert_eq!(read.snapshot.groups().count(), 3);
    assert_eq!(below(&read.snapshot, "g00001").len(), 74);
    assert!(read.snapshot.group(&gid("g00003")).is_some_and(|g| &*g.display_name == "Group 3"));
}

#[tokio::test]
async fn a_pattern_or_everybody_reads_the_tenant() {
    for (selector, users) in [("Group 1*", UserScope::InGroups), ("Group 1", UserScope::All)] {
        let tenant = tenant(10, 3, 3).await;
        let mut demand = demand(&[selector]);
        demand.scope.users = users;
        tenant.entra.read(&demand, &[]).await.unwrap();
        assert_eq!(tenant.asked("/users?"), 1, "{selector}");
    }
    let names: Vec<String> = (0..51).map(|n| format!("Group {n}")).collect();
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(demand(&many).few_groups().is_none());
    assert_eq!(demand(&many[..50]).few_groups().unwrap().len(), 50);
}

/// The group that a filter of the scope names is read beside those that take part.
#[tokio::test]
async fn a_group_of_the_filter_is_read_too() {
    let tenant = large().await;
    let mut demand = demand(&["Group 7"]);
    demand.asides = vec![GroupSelector::parse("Group 9").unwrap()];
    let read = tenant.entra.read(&demand, &[]).await.unwrap();
    assert_eq!(below(&read.snapshot, "g00009").len(), 60);
}

/// H-07: a name is data, whatever it is made of.
#[tokio::test]
async fn h_07_a_name_with_metacharacters_is_looked_for_as_it_is() {
    let names = [
        "O'Brien's team",
        "x' or startswith(displayName,'Group') or displayName eq 'x",
        "R&D #1 50%27 + ?$top=1",
        "Ärzte \\ \"quoted\"",
        "''",
    ];
    let tenant = tenant(10, 2, 2).await;
    tenant.change(|world| {
        for (n, name) in names.iter().enumerate() {
            world.groups.insert(format!("h{n}"), ((*name).to_owned(), vec![member(n)]));
        }
    });
    for (n, name) in names.iter().enumerate() {
        let read = tenant.entra.read(&demand(&[name]), &[]).await.unwrap();
        let found: Vec<_> = read.snapshot.groups().map(|g| g.id.to_string()).collect();
        assert_eq!(found, [format!("h{n}")], "{name}");
    }
}

#[tokio::test]
async fn a_group_is_found_by_id_by_a_shared_name_or_not_at_all() {
    let tenant = tenant(10, 2, 2).await;
    let id = "2f0c6a7d-8d39-4b5e-9b0c-51f2e7aa9d03";
    tenant.change(|world| {
        world.groups.insert(id.to_owned(), ("Anything".to_owned(), vec![member(1)]));
        world.groups.insert("twin".to_owned(), ("GROUP 1".to_owned(), vec![member(2)]));
    });
    let read = tenant.entra.read(&demand(&[&id.to_uppercase(), "Group 1", "Nobody"]), &[]).await.unwrap();
    let found: BTreeSet<_> = read.snapshot.groups().map(|g| g.id.to_string()).collect();
    assert_eq!(found, [id, "g00001", "twin"].map(str::to_owned).into());
    assert_eq!(read.snapshot.groups_coverage(), &Coverage::Complete);
    // What cannot be looked up is no group that is not there.
    tenant.meddle(|target, _, found| {
        if target.contains("$filter") {
            (403, json!({"error": {"code": "Authorization_RequestDenied"}}))
        } else {
            found
        }
    });
    let failure = tenant.entra.read(&demand(&["Group 1"]), &[]).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::DirectoryConsentMissing);
}

#[tokio::test]
async fn hidden_properties_of_members_are_a_failure_and_not_nobody() {
    let tenant = tenant(10, 2, 2).await;
    tenant.change(|world| {
        for user in &mut world.users {
            *user = json!({"id": user["id"], "displayName": null, "mail": null, "accountEnabled": null});
        }
    });
    let failure = tenant.entra.read(&demand(&["Group 1"]), &[]).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::DirectoryPropertiesHidden);
}

/// N-15
#[tokio::test]
async fn n_15_a_group_that_cannot_be_read_is_unknown_and_leaves_the_others_alone() {
    let tenant = large().await;
    tenant.meddle(
        |target, _, found| {
            if target.starts_with("/groups/g00003/members") { (403, json!({})) } else { found }
        },
    );
    let read = tenant.entra.read(&demand(&["Group 1", "Group 9"]), &[]).await.unwrap();
    assert!(matches!(read.snapshot.closure(&gid("g00001"), Nesting::Flatten), Closure::Unknown(_)));
    assert_eq!(below(&read.snapshot, "g00009").len(), 60);
}

#[tokio::test]
async fn what_changes_elsewhere_in_the_tenant_is_left_out() {
    let tenant = large().await;
    let demand = demand(&["Group 1"]);
    let read = tenant.entra.read(&demand, &[]).await.unwrap();
    tenant.change(|world| {
        world.user_changes =
            vec![json!({"id": "u15000", "department": "x"}), json!({"id": "u15001", "@removed": {"reason": "changed"}})];
        world.group_changes = vec![
            json!({"id": "g00200", "displayName": "Group 200", "members@delta": [member(15_002), removed(1)]}),
            json!({"id": "new", "displayName": "New", "members@delta": [member(3)]}),
            json!({"id": "g00201", "@removed": {"reason": "deleted"}}),
        ];
    });
    let (read, cost) = onward(&tenant, read, &demand).await;
    assert!(read.snapshot.changes().unwrap().is_empty());
    // Two rounds, and one batch that asks for the groups of the one person of whom nothing is known.
    assert_eq!(cost, 3);
    assert!(read.snapshot.user(&uid(15_000)).is_none());
}

#[tokio::test]
async fn joiners_movers_and_leavers_of_the_groups_are_followed() {
    let tenant = large().await;
    let demand = demand(&["Group 1"]);
    let read = tenant.entra.read(&demand, &[]).await.unwrap();
    assert!(below(&read.snapshot, "g00001").contains("u00007"));
    tenant.change(|world| {
        world.user_changes = vec![
            json!({"id": "u00008", "accountEnabled": false}),
            json!({"id": "u00009", "@removed": {"reason": "changed"}}),
            user(16_000),
        ];
        world.group_changes = vec![
            json!({"id": "g00001", "displayName": "Group 1", "members@delta": [member(15_000), removed(7)]}),
            json!({"id": "g00003", "displayName": "Group 3", "members@delta": [member(16_000)]}),
        ];
        world.users.push(user(16_000));
        world.groups.get_mut("g00003").unwrap().1.push(member(16_000));
    });
    let (read, cost) = onward(&tenant, read, &demand).await;
    let people = below(&read.snapshot, "g00001");
    assert!(people.contains("u15000") && people.contains("u16000") && !people.contains("u00009"));
    assert!(!people.contains("u00007"), "in no other group below");
    let state = |n| read.snapshot.user(&uid(n)).unwrap().account;
    assert_eq!((state(8), state(15_000)), (AccountState::Disabled, AccountState::Enabled));
    // Two rounds, one batch for the person who was only named.
    assert_eq!(cost, 3);
    // The next reading begins where this one ended, with nothing left to ask.
    let (read, cost) = onward(&tenant, read, &demand).await;
    assert!(read.snapshot.changes().unwrap().is_empty());
    assert_eq!(cost, 2);
}

#[tokio::test]
async fn groups_that_come_into_the_scope_are_read_when_they_do() {
    let tenant = large().await;
    let demand = demand(&["Group 1", "Later"]);
    let read = tenant.entra.read(&demand, &[]).await.unwrap();
    tenant.change(|world| {
        // One is nested anew, and itself nests another; one gets the name that the scope asks for.
        world.groups.get_mut("g00010").unwrap().1.push(nested("g00011"));
        world.groups.get_mut("g00012").unwrap().0 = "Later".to_owned();
        world.group_changes = vec![
            json!({"id": "g00002", "displayName": "Group 2", "members@delta": [nested("g00010")]}),
            json!({"id": "g00012", "displayName": "Later"}),
        ];
    });
    let (read, cost) = onward(&tenant, read, &demand).await;
    assert!(below(&read.snapshot, "g00001").is_superset(&below(&read.snapshot, "g00011")));
    assert_eq!(below(&read.snapshot, "g00012").len(), 60);
    assert_eq!(read.snapshot.groups().count(), 6);
    // Two rounds; members of the renamed one; the name of the nested one; its members; those of the next level.
    assert_eq!(cost, 6);
}

#[tokio::test]
async fn who_comes_out_of_the_recycle_bin_is_a_member_again_though_no_group_says_so() {
    let tenant = large().await;
    let demand = demand(&["Group 1"]);
    // In the bin while the groups were read: no list of members names him.
    let gone = tenant.change(|world| {
        let at = world.users.iter().position(|user| user["id"] == "u00010").unwrap();
        for id in ["g00001", "g00002", "g00003"] {
            world.groups.get_mut(id).unwrap().1.retain(|member| member["id"] != "u00010");
        }
        world.users.remove(at)
    });
    let read = tenant.entra.read(&demand, &[]).await.unwrap();
    assert!(!below(&read.snapshot, "g00001").contains("u00010"));
    tenant.change(|world| {
        world.users.push(gone.clone());
        world.user_changes = vec![gone];
        world.groups.get_mut("g00001").unwrap().1.push(member(10));
    });
    let (read, _) = onward(&tenant, read, &demand).await;
    assert!(below(&read.snapshot, "g00001").contains("u00010"));
}

#[tokio::test]
async fn what_does_not_fit_a_small_reading_asks_for_a_full_one() {
    let tenant = large().await;
    let demand = demand(&["Group 1"]);
    for case in ["stranger left", "crowd"] {
        let read = tenant.entra.read(&demand, &[]).await.unwrap();
        tenant.change(|world| match case {
            "crowd" => world.user_changes = (10_000..11_001).map(user).collect(),
            _ => {
                world.group_changes = vec![
                    json!({"id": "g00001", "displayName": "Group 1", "members@delta": [removed(17_000)]}),
                ];
            }
        });
        let Since::Changes(changes) = tenant.entra.changes(&links(&read)).await.unwrap() else {
            panic!("changes")
        };
        let reading: DirectoryReading = read.snapshot.into_reading().remembered();
        let caught_up = tenant.entra.catch_up(reading, changes, &demand).await.unwrap();
        assert!(matches!(caught_up, CaughtUp::Implausible(_)), "{case}");
    }
}

/// N-09: changes between the watermarks and the end of the read.
#[tokio::test]
async fn n_09_what_changes_during_a_small_read_is_not_lost() {
    let tenant = large().await;
    tenant.change(|world| {
        world.user_changes = vec![json!({"id": "u00008", "accountEnabled": false}), user(18_000)];
        world.group_changes = vec![
            json!({"id": "g00001", "displayName": "Group 1", "members@delta": [member(18_000), removed(7)]}),
            json!({"id": "late", "displayName": "Late", "members@delta": [member(5)]}),
            json!({"id": "g00003", "displayName": "Group 3", "members@delta": [nested("g00020")]}),
        ];
        world.groups.insert("late".to_owned(), ("Late".to_owned(), vec![member(5)]));
    });
    // The new group is not to be found yet, only in the round.
    tenant.meddle(|target, _, mut found| {
        if target.contains("$filter=displayName eq 'Late'") {
            found.1["value"] = json!([]);
        }
        found
    });
    let read = tenant.entra.read(&demand(&["Group 1", "Late"]), &[]).await.unwrap();
    let people = below(&read.snapshot, "g00001");
    assert!(people.contains("u18000") && !people.contains("u00007"));
    assert!(people.is_superset(&below(&read.snapshot, "g00020")));
    assert_eq!(below(&read.snapshot, "late"), ["u00005".to_owned()].into());
    assert_eq!(read.snapshot.user(&uid(8)).unwrap().account, AccountState::Disabled);
}

fn assigned(groups: &[&str], application: &str) -> Demand {
    let mut demand = demand(groups);
    demand.scope.users = UserScope::Assigned(ApplicationId::parse(application).unwrap());
    demand
}

#[tokio::test]
async fn assignments_are_listed_to_the_end_with_the_direct_members_of_assigned_groups() {
    let tenant = tenant(3_000, 6, 5).await;
    tenant.change(|world| {
        world.groups.get_mut("g00005").unwrap().1.push(nested("g00004"));
        world.assigned = (0..1_500).map(|n| ("User", format!("u{n:05}"))).collect();
        world.assigned.push(("Group", "g00005".to_owned()));
        world.assigned.push(("ServicePrincipal", "some-app".to_owned()));
        world.assigned.push(("User", "u00003".to_owned()));
    });
    let demand = assigned(&["Group 1"], "app");
    let read = tenant.entra.read(&demand, &[]).await.unwrap();
    let list = read.snapshot.assignments().unwrap();
    assert_eq!((list.users().len(), list.groups().len()), (1_500, 1));
    let known = |id: &str| read.snapshot.group(&gid(id)).unwrap().direct().is_some();
    assert_eq!(
        ["g00001", "g00005", "g00004"].map(known),
        [true, true, false],
        "assignment is not transitive"
    );

    // There is no delta for assignments: they are listed anew, and only a difference counts as a change.
    let (read, cost) = onward(&tenant, read, &demand).await;
    assert!(read.snapshot.changes().unwrap().is_empty());
    assert_eq!(cost, 2 + 2);
    tenant.change(|world| world.assigned.push(("Group", "g00004".to_owned())));
    let (read, cost) = onward(&tenant, read, &demand).await;
    let changes = read.snapshot.changes().unwrap();
    assert_eq!(changes.assignments.unwrap().groups().len(), 2);
    assert_eq!(cost, 2 + 2 + 1, "and the members of the group");
    assert!(read.snapshot.group(&gid("g00004")).unwrap().direct().is_some());
}

#[tokio::test]
async fn assignments_that_cannot_be_read_fail_the_run() {
    for (application, status, code, remedy) in [
        ("another", 0, FailureCode::DirectoryAppUnknown, "assigned_to"),
        ("x') or ('", 0, FailureCode::DirectoryAppUnknown, "assigned_to"),
        ("app", 403, FailureCode::DirectoryConsentMissing, "Application.Read.All"),
        ("app", 500, FailureCode::DirectoryUnavailable, ""),
    ] {
        let tenant = tenant(3, 2, 1).await;
        tenant.meddle(move |target, _, found| {
            if status > 0 && target.contains("appRoleAssignedTo") { (status, json!({})) } else { found }
        });
        // A scope whose id would not be accepted in a document: the path stays what it is all the same.
        let id = ApplicationId::parse(application.replace(' ', "+")).unwrap();
        let demand = assigned(&["Group 1"], id.as_str());
        let failure = tenant.entra.read(&demand, &[]).await.unwrap_err().failure();
        assert_eq!(failure.code, code, "{application} {status}");
        assert!(failure.remedy.contains(remedy), "{}", failure.remedy);
    }
}

#[tokio::test]
async fn the_self_test_looks_at_the_assignments_where_they_are_needed() {
    let find = |application: &'static str, status: u16| async move {
        let tenant = tenant(3, 2, 1).await;
        tenant.meddle(move |target, _, found| {
            if status > 0 && target.contains("appRoleAssignedTo") { (status, json!({})) } else { found }
        });
        tenant.entra.check(&assigned(&["Group 1"], application).scope).await.unwrap().pop().unwrap()
    };
    let fine = find("app", 0).await;
    assert_eq!((fine.permission.as_str(), fine.verdict), ("Application.Read.All", Granted));
    let denied = find("app", 403).await;
    assert_eq!(denied.verdict, Missing);
    assert!(denied.remedy.contains("Application.Read.All"), "{}", denied.remedy);
    let unknown = find("another", 0).await;
    assert_eq!(unknown.verdict, Missing);
    assert!(
        unknown.what.contains("no enterprise application with the application id another"),
        "{}",
        unknown.what
    );
    assert!(unknown.remedy.contains("assigned_to"), "{}", unknown.remedy);
}
