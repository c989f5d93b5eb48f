//! Delta rounds.

use serde_json::{Value, json};

use super::{Client, Reply};
use crate::world::tenant::Member;

const ALL: &[&str] = &["User.Read.All", "GroupMember.Read.All"];

/// All pages of a round and its delta link.
async fn round(client: &Client, path: &str) -> (Vec<Value>, String, usize) {
    let mut path = path.to_owned();
    let mut all = Vec::new();
    for pages in 1..1000 {
        let page: Reply = client.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        all.extend(page.body["value"].as_array().unwrap().clone());
        assert_ne!(
            page.body.get("@odata.nextLink").is_some(),
            page.body.get("@odata.deltaLink").is_some(),
            "exactly one link"
        );
        if page.body.get("@odata.deltaLink").is_some() {
            return (all, page.link("@odata.deltaLink"), pages);
        }
        path = page.link("@odata.nextLink");
    }
    panic!("the round does not end");
}

fn patch(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_full_round_pages_by_200_and_leaves_out_what_has_no_value() {
    let client = Client::new(450, ALL).await;
    let (all, link, pages) = round(&client, "/users/delta?$select=id,mail,department").await;
    assert_eq!((all.len(), pages), (450, 3));
    assert_eq!(all[0], json!({ "id": "u000", "mail": "p000@example.com" }));
    assert_eq!(all[1]["department"], "Retail");
    let (none, _, _) = round(&client, &link).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_change_of_a_property_that_was_not_selected_does_not_show() {
    let client = Client::new(3, ALL).await;
    let (_, link, _) = round(&client, "/users/delta?$select=mail,department").await;
    client.change(|tenant, at| {
        tenant.update_user("u000", patch(&json!({ "jobTitle": "Boss" })), at)?;
        tenant.update_user("u001", patch(&json!({ "department": null })), at)
    });
    let (all, _, _) = round(&client, &link).await;
    assert_eq!(
        all,
        [json!({ "id": "u001", "mail": "p001@example.com", "department": null })],
        "cleared is null"
    );
    let minimal = client.send("GET", &link, &[("prefer", "return=minimal")], None).await;
    assert_eq!(minimal.body["value"], json!([{ "id": "u001", "department": null }]));
}

#[tokio::test]
async fn a_token_of_latest_is_usable_at_once() {
    let client = Client::new(3, ALL).await;
    for function in ["delta", "delta()", "microsoft.graph.delta", "microsoft.graph.delta()"] {
        let first = client.get(&format!("/users/{function}?$select=mail&$deltaToken=latest")).await;
        assert_eq!(first.body["value"], json!([]));
        let link = first.link("@odata.deltaLink");
        assert!(round(&client, &link).await.0.is_empty());
        client.change(|tenant, at| {
            let mail = format!("{}@new.example", tenant.head());
            tenant.update_user("u002", patch(&json!({ "mail": mail })), at)
        });
        assert_eq!(round(&client, &link).await.0.len(), 1);
        assert_eq!(round(&client, &link).await.0.len(), 1, "a link can be used again");
    }
}

#[tokio::test]
async fn a_soft_deletion_is_changed_a_purge_is_deleted_and_groups_stay_silent() {
    let client = Client::new(3, ALL).await;
    let (_, users, _) = round(&client, "/users/delta?$select=mail").await;
    let (_, groups, _) = round(&client, "/groups/delta?$select=displayName,members").await;
    client.change(|tenant, at| tenant.soft_delete_user("u000", at));
    let (all, _, _) = round(&client, &users).await;
    assert_eq!(all, [json!({ "id": "u000", "@removed": { "reason": "changed" } })]);
    client.change(|tenant, at| tenant.restore_user("u000", at));
    let (all, after, _) = round(&client, &users).await;
    assert_eq!(all, [json!({ "id": "u000", "mail": "p000@example.com" })], "restored as if new");
    client.change(|tenant, at| tenant.purge_user("u000", at));
    assert_eq!(
        round(&client, &after).await.0,
        [json!({ "id": "u000", "@removed": { "reason": "deleted" } })]
    );
    assert!(round(&client, &groups).await.0.is_empty());
}

#[tokio::test]
async fn the_first_round_shows_the_recycle_bin_as_removed() {
    let client = Client::new(2, ALL).await;
    client.change(|tenant, at| tenant.soft_delete_user("u001", at));
    let (all, _, _) = round(&client, "/users/delta?$select=id").await;
    assert_eq!(all, [json!({ "id": "u000" }), json!({ "id": "u001", "@removed": { "reason": "changed" } })]);
}

#[tokio::test]
async fn n_07_members_come_in_slices_over_pages() {
    let client = Client::new(10, ALL).await;
    client.change(|tenant, at| {
        (3..10).try_for_each(|n| tenant.add_member("g1", Member::User(format!("u{n:03}")), at))
    });
    let mut settings = (*client.state.settings()).clone();
    settings.graph.member_slice_size = 3;
    client.state.set_settings(settings);
    let (all, link, pages) = round(&client, "/groups/delta?$select=displayName,members").await;
    let of = |all: &[Value], id: &str| -> Vec<usize> {
        let entries = all.iter().filter(|entry| entry["id"] == id);
        entries.map(|entry| entry["members@delta"].as_array().unwrap().len()).collect()
    };
    assert_eq!(of(&all, "g1"), [3, 3, 3, 2]);
    assert!(pages >= 4, "the same group on several pages");
    assert!(all.iter().all(|entry| entry["displayName"].is_string()), "with its properties each time");
    client.change(|tenant, at| {
        (3..8).try_for_each(|n| tenant.remove_member("g1", &Member::User(format!("u{n:03}")), at))?;
        tenant.add_member("g2", Member::User("u009".into()), at)
    });
    let (all, _, _) = round(&client, &link).await;
    assert_eq!(of(&all, "g1"), [3, 2]);
    assert_eq!(
        all[0]["members@delta"][0],
        json!({ "@odata.type": "#microsoft.graph.user", "id": "u003", "@removed": { "reason": "deleted" } })
    );
    assert_eq!(
        all.last().unwrap()["members@delta"],
        json!([{ "@odata.type": "#microsoft.graph.user", "id": "u009" }])
    );
}

#[tokio::test]
async fn n_09_changes_during_the_first_round_come_in_the_next() {
    let client = Client::new(250, ALL).await;
    let first = client.get("/users/delta?$select=mail").await;
    client.change(|tenant, at| tenant.update_user("u001", patch(&json!({ "mail": "new@example.com" })), at));
    let (_, link, _) = round(&client, &first.link("@odata.nextLink")).await;
    assert_eq!(round(&client, &link).await.0, [json!({ "id": "u001", "mail": "new@example.com" })]);
}

#[tokio::test]
async fn n_08_a_token_of_seven_days_ago_is_not_found() {
    let client = Client::new(2, ALL).await;
    let (_, link, _) = round(&client, "/users/delta?$select=mail").await;
    client.state.clock.advance((7 * 24 * 3600 - 60) * 1000).unwrap();
    let client = Client::over(client.state).await;
    assert_eq!(client.get(&link).await.status, 200);
    client.state.clock.advance(120_000).unwrap();
    let reply = client.get(&link).await;
    assert_eq!((reply.status, reply.code()), (400, "syncStateNotFound"));
}

#[tokio::test]
async fn options_that_delta_does_not_serve_are_refused_or_ignored() {
    let client = Client::new(250, ALL).await;
    assert_eq!(client.get("/users/delta?$expand=manager").await.status, 400);
    assert_eq!(client.get("/users/delta?$orderby=displayName").await.status, 400);
    assert_eq!(client.get("/users/delta?$top=5").await.ids().len(), 200, "$top is ignored");
    let page = client.get("/users/delta").await;
    let next = page.link("@odata.nextLink");
    assert_eq!(client.get(&format!("{next}&$select=id")).await.status, 400);
    assert_eq!(
        client.get("/users/delta?$filter=displayName eq 'x'".replace(' ', "%20").as_str()).await.status,
        400
    );
    assert_eq!(client.get("/users/delta?$deltatoken=zzz").await.status, 400);
}

#[tokio::test]
async fn a_filter_takes_up_to_50_ids() {
    let client = Client::new(60, ALL).await;
    let filter = |n: usize| {
        let ids: Vec<String> = (0..n).map(|n| format!("id%20eq%20'u{n:03}'")).collect();
        format!("/users/delta?$select=id&$filter={}", ids.join("%20or%20"))
    };
    let (all, link, _) = round(&client, &filter(50)).await;
    assert_eq!(all.len(), 50);
    client.change(|tenant, at| {
        tenant.soft_delete_user("u055", at)?;
        tenant.soft_delete_user("u005", at)
    });
    assert_eq!(round(&client, &link).await.0.len(), 1);
    assert_eq!(client.get(&filter(51)).await.status, 400);
}

#[tokio::test]
async fn a_new_group_comes_with_its_members_and_a_deleted_one_as_removed() {
    let client = Client::new(2, ALL).await;
    let (_, link, _) = round(&client, "/groups/delta?$select=displayName,members").await;
    client.change(|tenant, at| {
        tenant.rename_group("g2", "Renamed", at)?;
        tenant.delete_group("g1", at)
    });
    let (all, link, _) = round(&client, &link).await;
    assert_eq!(
        all[0],
        json!({ "id": "g2", "displayName": "Renamed" }),
        "no members@delta without a change of links"
    );
    assert_eq!(all[1], json!({ "id": "g1", "@removed": { "reason": "changed" } }));
    client.change(|tenant, at| tenant.restore_group("g1", at));
    let (all, _, _) = round(&client, &link).await;
    assert_eq!(all[0]["members@delta"].as_array().unwrap().len(), 4);
}
