//! What a read costs and what it finds when everything goes well.

use entrain_connect::entra::{Links, Since};
use entrain_domain::model::{Coverage, DirectoryGroupId, DirectoryUserId};
use serde_json::json;

use crate::graph::{demand, member, nested, tenant, user};

/// design.md 6: 1 + 2 + ⌈U/999⌉ + ⌈G/999⌉ + ⌈Σ⌈m/999⌉/20⌉ + 2
#[tokio::test]
async fn a_first_read_takes_the_fewest_requests() {
    for (users, groups, members, requests) in [(1_000, 50, 60, 11), (10_000, 500, 60, 42), (10, 1, 3, 8)] {
        let tenant = tenant(users, groups, members).await;
        let read = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
        assert_eq!(tenant.entra.requests().directory, requests, "{users} users, {groups} groups");
        assert_eq!(tenant.server.received_requests().await.unwrap().len() as u64, requests);
        assert_eq!(read.snapshot.users().count(), users);
        assert_eq!(read.snapshot.groups().count(), groups);
        assert_eq!(read.snapshot.users_coverage(), &Coverage::Complete);
        for group in read.snapshot.groups() {
            assert_eq!(group.direct().unwrap().0.len(), members.min(users));
        }
        assert!(tenant.environment.sleeps().is_empty());
    }
}

#[tokio::test]
async fn a_group_of_many_pages_is_read_to_its_end() {
    let tenant = tenant(5_000, 30, 10).await;
    tenant.change(|world| world.groups.get_mut("g00007").unwrap().1 = (0..4_321).map(member).collect());
    let read = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    let group = read.snapshot.group(&DirectoryGroupId::parse("g00007").unwrap()).unwrap();
    assert_eq!(group.direct().unwrap().0.len(), 4_321);
}

#[tokio::test]
async fn only_groups_in_scope_and_what_they_nest_are_read() {
    let tenant = tenant(100, 40, 5).await;
    tenant.change(|world| {
        world.groups.get_mut("g00001").unwrap().1.push(nested("g00002"));
        world.groups.get_mut("g00002").unwrap().1.push(nested("g00003"));
        world.groups.get_mut("g00003").unwrap().1.push(nested("g00001"));
    });
    let read = tenant.entra.read(&demand(&["Group 1"]), &[]).await.unwrap();
    let known = read.snapshot.groups().filter(|group| group.direct().is_some()).count();
    assert_eq!((known, tenant.asked("/groups/g")), (3, 3));
}

#[tokio::test]
async fn an_incremental_read_without_changes_takes_two_requests() {
    let tenant = tenant(100, 5, 5).await;
    let read = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    let before = tenant.entra.requests().directory;
    let links = Links { users: read.users_link, groups: read.groups_link, issued_at: read.issued_at };
    let Since::Nothing(next, _) = tenant.entra.changes(&links).await.unwrap() else {
        panic!("nothing changed")
    };
    assert_eq!(tenant.entra.requests().directory - before, 2);
    assert_ne!(next.users, links.users, "the next round begins where this one ended");
}

/// N-09, N-07
#[tokio::test]
async fn what_changes_during_the_read_is_not_lost() {
    let tenant = tenant(100, 5, 5).await;
    tenant.change(|world| {
        world.user_changes = vec![
            user(500),
            json!({"id": "u00000", "accountEnabled": false}),
            json!({"id": "u00001", "@removed": {"reason": "changed"}}),
            user(500),
        ];
        world.groups.insert("gnew".to_owned(), ("Group new".to_owned(), vec![member(500), member(2)]));
        world.group_changes = vec![
            json!({"id": "g00000", "members@delta": [member(500)]}),
            json!({"id": "g00000", "members@delta": [
                {"@odata.type": "#microsoft.graph.user", "id": "u00002", "@removed": {"reason": "deleted"}}]}),
            json!({"id": "g00000", "members@delta": [member(500)]}),
            json!({"id": "g00004", "@removed": {"reason": "deleted"}}),
            json!({"id": "gelse", "displayName": "Outside", "members@delta": [member(3)]}),
        ];
    });
    // The new group is not in the list yet, only in the round.
    tenant.meddle(|target, _, mut found| {
        if target.starts_with("/groups?") {
            let value = found.1["value"].as_array_mut().unwrap();
            value.retain(|group| group["id"] != "gnew");
        }
        found
    });
    tenant.change(|world| {
        world
            .group_changes
            .push(json!({"id": "gnew", "displayName": "Group new", "members@delta": [member(500)]}));
    });
    let snapshot = tenant.entra.read(&demand(&["Group *"]), &[]).await.unwrap().snapshot;
    let id = |text: &str| DirectoryUserId::parse(text).unwrap();
    assert!(snapshot.user(&id("u00500")).is_some());
    let changed = snapshot.user(&id("u00000")).unwrap();
    assert_eq!(changed.account, entrain_domain::model::AccountState::Disabled);
    assert_eq!(changed.mail.as_deref(), Some("u0@example.com"), "what a delta entry leaves out stays");
    assert!(snapshot.gone(&id("u00001")).is_some());
    let group = |text: &str| snapshot.group(&DirectoryGroupId::parse(text).unwrap());
    let members = |text: &str| {
        let (users, _) = group(text).unwrap().direct().unwrap();
        users
            .iter()
            .map(|ix| snapshot.user_id_at(*ix).as_str().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let expected = ["u00000", "u00001", "u00003", "u00004", "u00500"].map(str::to_owned);
    assert_eq!(members("g00000"), expected.into());
    assert!(group("g00004").is_none());
    assert!(group("gelse").unwrap().direct().is_none());
    assert_eq!(members("gnew"), ["u00500", "u00002"].map(str::to_owned).into());
}

/// Absent is unchanged, null is cleared; what nobody asks for is not kept.
#[tokio::test]
async fn attributes_that_a_rule_asks_for_are_read_and_kept_up_to_date() {
    use entrain_domain::model::AttributeValue::{List, Text};
    let tenant = tenant(4, 1, 4).await;
    tenant.change(|world| {
        for (n, user) in world.users.iter_mut().enumerate() {
            user["department"] = json!(["Eng", "Sales"][n % 2]);
            user["city"] = json!("Ulm");
            user["otherMails"] = json!([format!("a{n}@x.example"), format!("b{n}@x.example")]);
            user["onPremisesExtensionAttributes"] =
                json!({"extensionAttribute1": null, "extensionAttribute3": "cost 12"});
        }
        world.user_changes = vec![
            json!({"id": "u00000", "department": null}),
            json!({"id": "u00001", "displayName": "Renamed"}),
            json!({"id": "u00002", "onPremisesExtensionAttributes": {"extensionAttribute1": "new"}, "otherMails": []}),
        ];
        // Nobody lists this member: he is looked up alone.
        let lost = world.users.remove(3);
        world.user_changes.push(lost);
    });
    let mut demand = demand(&["*"]);
    demand.attributes =
        ["department", "onPremisesExtensionAttributes", "otherMails"].map(str::to_owned).into();
    let read = tenant.entra.read(&demand, &[]).await.unwrap().snapshot;
    let get = |id: &str, name: &str| {
        let user = read.user(&DirectoryUserId::parse(id).unwrap()).unwrap();
        user.attributes.get(name).cloned()
    };
    assert_eq!(get("u00000", "department"), None);
    assert_eq!(get("u00001", "department"), Some(Text("Sales".into())));
    assert_eq!(get("u00003", "department"), Some(Text("Sales".into())));
    assert_eq!(get("u00001", "extensionAttribute3"), Some(Text("cost 12".into())));
    assert_eq!(get("u00002", "extensionAttribute3"), None);
    assert_eq!(get("u00002", "extensionAttribute1"), Some(Text("new".into())));
    let mails = ["a1@x.example", "b1@x.example"].map(Into::into).to_vec();
    assert_eq!(get("u00001", "otherMails"), Some(List(mails)));
    assert_eq!(get("u00002", "otherMails"), None);
    let selects = ["/users?$select=", "/users/delta?$deltatoken=latest&$select="];
    for start in selects {
        let properties = "id,displayName,mail,userPrincipalName,otherMails,accountEnabled,userType,department,\
                          onPremisesExtensionAttributes";
        assert_eq!(tenant.asked(&format!("{start}{properties}")), 1, "{start}");
    }
}

#[tokio::test]
async fn the_self_test_names_the_permission_that_is_missing() {
    use entrain_connect::entra::PermissionVerdict::{Granted, Missing};
    let fine = tenant(10, 2, 2).await;
    let verdicts: Vec<_> =
        fine.entra.check(&demand(&["*"]).scope).await.unwrap().into_iter().map(|f| f.verdict).collect();
    assert_eq!(verdicts, [Granted, Granted]);
    for (path, permission) in [
        ("/users", "User.Read.All"),
        ("/users/delta", "User.Read.All"),
        ("/groups", "GroupMember.Read.All"),
        ("/groups/delta", "GroupMember.Read.All"),
        ("/groups/g00000/members", "GroupMember.Read.All"),
    ] {
        let tenant = tenant(10, 2, 2).await;
        tenant.meddle(move |target, _, found| {
            if target.split('?').next() == Some(path) {
                (403, json!({"error": {"code": "Authorization_RequestDenied"}}))
            } else {
                found
            }
        });
        let findings = tenant.entra.check(&demand(&["*"]).scope).await.unwrap();
        let missing: Vec<_> = findings.iter().filter(|f| f.verdict == Missing).collect();
        assert_eq!(missing.len(), 1, "{path}");
        assert_eq!(missing[0].permission, permission);
        assert!(missing[0].remedy.contains(permission) && missing[0].remedy.contains("API permissions"));
    }
}

/// The engine runs reads on any thread.
#[test]
fn a_read_can_be_moved_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn check(entra: &entrain_connect::entra::Entra, demand: &entrain_domain::policy::Demand) {
        is_send(&entra.read(demand, &[]));
        is_send(&entra.check(&demand.scope));
    }
    let _ = check;
}
