//! Lists, single objects, members, permissions, batch, quotas.

use serde_json::{Value, json};

use super::{APP, Client};

const ALL: &[&str] = &["Directory.Read.All"];

#[tokio::test]
async fn select_removes_properties_and_the_default_set_has_no_account_enabled() {
    let client = Client::new(3, ALL).await;
    let plain = client.get("/users").await;
    assert_eq!(plain.status, 200);
    let user = &plain.body["value"][0];
    assert_eq!(user.as_object().unwrap().len(), 11);
    assert_eq!(user.get("accountEnabled"), None);
    let some = client.get("/users?$select=id,accountEnabled").await;
    assert_eq!(some.body["value"][2], json!({ "id": "u002", "accountEnabled": false }));
    assert_eq!(some.body["@odata.context"], "http://graph.test/v1.0/$metadata#users(id,accountEnabled)");
    assert_eq!(client.get("/users?$select=id,aboutMe").await.status, 501);
    assert_eq!(client.get("/users?$select=shoeSize").await.code(), "BadRequest");
}

#[tokio::test]
async fn answers_carry_the_headers_of_the_cloud() {
    let client = Client::new(1, ALL).await;
    let id = "8f0a7b52-0c47-4a3c-9f77-5d1e2c3b4a59";
    let reply = client.send("GET", "/users", &[("client-request-id", id)], None).await;
    assert_eq!(reply.headers["client-request-id"], id);
    assert_eq!(reply.headers["odata-version"], "4.0");
    assert_eq!(reply.headers["x-ms-resource-unit"], "2");
    assert!(reply.headers.contains_key("request-id") && reply.headers.contains_key("x-ms-ags-diagnostic"));
    assert!(
        reply.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/json;odata.metadata=minimal")
    );
    let missing = client.send("GET", "/users/nobody", &[("client-request-id", id)], None).await;
    assert_eq!((missing.status, missing.code()), (404, "Request_ResourceNotFound"));
    let inner = &missing.body["error"]["innerError"];
    assert_eq!(inner["date"], "2026-01-15T08:00:00", "no zone");
    assert_eq!(inner["client-request-id"], id);
}

#[tokio::test]
async fn pages_follow_each_other_and_tokens_are_bound_to_the_query() {
    let client = Client::new(250, ALL).await;
    let first = client.get("/users").await;
    assert_eq!(first.ids().len(), 100, "the default page");
    let mut path = "/users?$select=id&$top=99".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = client.get(&path).await;
        seen.extend(page.ids().into_iter().map(str::to_owned));
        if page.body.get("@odata.nextLink").is_none() {
            break;
        }
        path = page.link("@odata.nextLink");
    }
    assert_eq!(seen.len(), 250);
    assert!(seen.is_sorted());
    let changed = path.replace("=99", "=98");
    assert_eq!(client.get(&changed).await.code(), "Directory_ExpiredPageToken");
    assert_eq!(client.get(&path.replace("$skiptoken", "$skipToken")).await.status, 200);
    client.state.clock.advance(25 * 3600 * 1000).unwrap();
    assert_eq!(client.get(&path).await.status, 401, "the access token is older than its life");
}

#[tokio::test]
async fn a_page_size_outside_1_to_999_is_refused() {
    let client = Client::new(1, ALL).await;
    for size in ["0", "1000", "-1"] {
        let reply = client.get(&format!("/users?$top={size}")).await;
        assert_eq!((reply.status, reply.code()), (400, "Request_UnsupportedQuery"), "{size}");
    }
    assert_eq!(client.get("/users?$skip=5").await.status, 400);
    assert_eq!(client.get("/users?$top=999").await.status, 200);
}

#[tokio::test]
async fn advanced_queries_need_header_and_count_on_every_page() {
    let client = Client::new(5, ALL).await;
    let path = "/users?$filter=accountEnabled%20ne%20false&$count=true&$top=2";
    assert_eq!(client.get(path).await.code(), "Request_UnsupportedQuery");
    assert_eq!(client.advanced(&path.replace("&$count=true", "")).await.code(), "Request_UnsupportedQuery");
    let first = client.advanced(path).await;
    assert_eq!(first.body["@odata.count"], 4);
    let next = first.link("@odata.nextLink");
    assert_eq!(client.get(&next).await.code(), "Directory_ExpiredPageToken");
    let second = client.advanced(&next).await;
    assert_eq!(second.ids(), ["u003", "u004"]);
    assert_eq!(second.body.get("@odata.count"), None, "on the first page only");
    assert_eq!(client.get("/users/$count").await.status, 400);
    let count = client.advanced("/users/$count").await;
    assert_eq!(count.body, 5);
    assert_eq!(count.headers["content-type"], "text/plain");
}

#[tokio::test]
async fn order_and_search_work() {
    let client = Client::new(4, ALL).await;
    let reply = client.get("/users?$orderby=displayName%20desc&$top=3&$select=id").await;
    assert_eq!(reply.ids(), ["u003", "u002", "u001"]);
    assert_eq!(client.get(&reply.link("@odata.nextLink")).await.ids(), ["u000"]);
    assert_eq!(client.advanced("/users?$search=%22displayName:002%22").await.ids(), ["u002"]);
    assert_eq!(client.get("/users?$search=%22displayName:002%22").await.status, 400);
}

#[tokio::test]
async fn a_user_is_found_by_id_or_name_and_gone_after_a_soft_deletion() {
    let client = Client::new(2, ALL).await;
    assert_eq!(client.get("/users/p001%40CONTOSO.example").await.body["id"], "u001");
    client.change(|tenant, at| tenant.soft_delete_user("u001", at));
    assert_eq!(client.get("/users/u001").await.status, 404);
    let deleted = client.get("/directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime").await;
    assert_eq!(deleted.body["value"][0]["deletedDateTime"], "2026-01-15T08:00:00Z");
    let one = client.get("/directory/deletedItems/u001?$select=id").await;
    assert_eq!((one.status, &one.body["id"]), (200, &"u001".into()));
    assert_eq!(one.body["@odata.type"], "#microsoft.graph.user", "of several kinds, each says which it is");
    assert_eq!(client.get("/directory/deletedItems/u000").await.status, 404, "live");
    assert_eq!(client.get("/directory/deletedItems/microsoft.graph.device").await.status, 400);
    assert_eq!(
        client.get("/groups/g1/members?$select=id").await.ids(),
        ["u000", "g2", "d1"],
        "not live, not listed"
    );
    client.change(|tenant, at| tenant.restore_user("u001", at));
    assert_eq!(client.get("/groups/g1/members?$select=id").await.ids(), ["u000", "u001", "g2", "d1"]);
}

#[tokio::test]
async fn members_are_typed_and_devices_show_their_id_only() {
    let client = Client::new(3, ALL).await;
    let reply = client.get("/groups/g1/members?$select=id,displayName,accountEnabled&$top=3").await;
    assert_eq!(reply.headers["x-ms-resource-unit"], "1");
    assert_eq!(reply.body["value"][0]["@odata.type"], "#microsoft.graph.user");
    assert_eq!(reply.body["value"][2]["@odata.type"], "#microsoft.graph.group");
    let last = client.get(&reply.link("@odata.nextLink")).await;
    assert_eq!(
        last.body["value"][0],
        json!({ "@odata.type": "#microsoft.graph.device", "id": "d1", "displayName": null, "accountEnabled": null })
    );
    let cast = "/groups/g1/members/microsoft.graph.user?$count=true&$select=id";
    assert_eq!(client.get(cast).await.code(), "Request_UnsupportedQuery");
    let users = client.advanced(cast).await;
    assert_eq!(users.body["value"], json!([{ "id": "u000" }, { "id": "u001" }]));
    assert_eq!(client.advanced("/groups/g1/members/$count").await.body, 4);
}

#[tokio::test]
async fn transitive_reads_end_in_cycles() {
    let client = Client::new(3, ALL).await;
    let below = client.get("/groups/g1/transitiveMembers?$select=id").await;
    assert_eq!(below.ids(), ["u000", "u001", "u002", "g1", "g2", "d1"]);
    assert_eq!(client.get("/users/u002/memberOf?$select=id").await.ids(), ["g2"]);
    assert_eq!(client.get("/users/u002/transitiveMemberOf?$select=id").await.ids(), ["g1", "g2"]);
    let body = Some(json!({ "securityEnabledOnly": false }));
    let ids = client.send("POST", "/users/u002/getMemberGroups", &[], body).await;
    assert_eq!(ids.body["value"], json!(["g1", "g2"]));
    let body = Some(json!({ "groupIds": ["g2", "gx"] }));
    let ids = client.send("POST", "/users/u002/checkMemberGroups", &[], body).await;
    assert_eq!(ids.body["value"], json!(["g2"]));
}

#[tokio::test]
async fn assignments_name_their_principals() {
    let client = Client::new(3, &["Application.Read.All"]).await;
    let reply = client.get(&format!("/servicePrincipals(appId='{APP}')/appRoleAssignedTo?$top=1")).await;
    assert_eq!(reply.body["value"][0]["principalType"], "Group");
    let next = client.get(&reply.link("@odata.nextLink")).await;
    assert_eq!(next.body["value"][0]["principalId"], "u002");
    assert_eq!(next.body.get("@odata.nextLink"), None);
}

#[tokio::test]
async fn get_by_ids_leaves_out_what_is_not_there() {
    let client = Client::new(2, ALL).await;
    let body = Some(json!({ "ids": ["u001", "nobody", "g1"], "types": ["user"] }));
    let reply = client.send("POST", "/directoryObjects/getByIds", &[], body).await;
    assert_eq!(reply.ids(), ["u001"]);
}

#[tokio::test]
async fn without_rights_on_users_members_are_shown_with_nulls_and_200() {
    let client = Client::new(3, &["GroupMember.Read.All"]).await;
    let reply = client.get("/groups/g1/members?$select=id,mail,accountEnabled,otherMails").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.body["value"][0],
        json!({ "@odata.type": "#microsoft.graph.user", "id": "u000", "mail": null, "accountEnabled": null,
            "otherMails": [] })
    );
    let users = client.get("/users").await;
    assert_eq!((users.status, users.code()), (403, "Authorization_RequestDenied"));
}

#[tokio::test]
async fn each_path_asks_for_its_permission() {
    for (roles, path, status) in [
        (&[][..], "/users", 403),
        (&[], "/organization", 403),
        (&["User.ReadBasic.All"], "/users", 200),
        (&["User.ReadBasic.All"], "/users/delta", 403),
        (&["User.Read.All"], "/users/delta", 200),
        (&["User.Read.All"], "/groups", 403),
        (&["User.Read.All"], "/groups/delta", 403),
        (&["User.Read.All"], "/organization", 200),
        (&["Group.ReadBasic.All"], "/groups", 200),
        (&["Group.ReadBasic.All"], "/groups/g1/members", 403),
        (&["GroupMember.ReadBasic.All"], "/groups/g1/members", 200),
        (&["GroupMember.Read.All"], "/servicePrincipals", 403),
        (&["Directory.Read.All"], "/servicePrincipals", 200),
        (&["Directory.Read.All"], "/auditLogs/signIns", 403),
    ] {
        let client = Client::new(1, roles).await;
        assert_eq!(client.get(path).await.status, status, "{roles:?} {path}");
    }
    let basic = Client::new(1, &["User.ReadBasic.All"]).await;
    let user = basic.get("/users?$select=mail,accountEnabled").await;
    assert_eq!(user.body["value"][0], json!({ "mail": "p000@example.com", "accountEnabled": null }));
}

#[tokio::test]
async fn the_organization_is_read_alone_and_in_its_list() {
    let client = Client::new(1, &["User.Read.All"]).await;
    let tenant = client.state.world().tenant.id.clone();
    assert_eq!(client.get("/organization").await.ids(), std::slice::from_ref(&tenant));
    assert_eq!(client.get(&format!("/organization/{tenant}")).await.body["id"], tenant.as_str());
    let other = client.get("/organization/another").await;
    assert_eq!((other.status, other.code()), (404, "Request_ResourceNotFound"));
}

#[tokio::test]
async fn a_hidden_membership_needs_its_own_role() {
    let hide = |client: &Client| {
        let mut world = client.state.world_mut();
        world.tenant.groups.get_mut("g1").unwrap().visibility = Some("HiddenMembership".into());
    };
    let without = Client::new(2, ALL).await;
    hide(&without);
    assert!(without.get("/groups/g1/members").await.ids().is_empty());
    let with = Client::new(2, &["Directory.Read.All", "Member.Read.Hidden"]).await;
    hide(&with);
    assert_eq!(with.get("/groups/g1/members").await.ids().len(), 4);
}

#[tokio::test]
async fn an_unusable_token_is_401_with_a_challenge() {
    let client = Client::new(1, ALL).await;
    for (header, code) in
        [("Bearer ", "InvalidAuthenticationToken"), ("Bearer a.b.c", "InvalidAuthenticationToken")]
    {
        let reply = client.send("GET", "/users", &[("authorization", header)], None).await;
        assert_eq!((reply.status, reply.code()), (401, code), "{header}");
        let challenge = reply.headers["www-authenticate"].to_str().unwrap();
        assert!(
            challenge.contains("authorization_uri=")
                && challenge.contains("00000003-0000-0000-c000-000000000000")
        );
    }
    client.state.world_mut().tenant.applications.get_mut(APP).unwrap().secrets.clear();
    assert_eq!(client.get("/users").await.code(), "Authorization_IdentityNotFound", "its secret is gone");
    client.state.world_mut().tenant.applications.get_mut(APP).unwrap().enabled = false;
    assert_eq!(client.get("/users").await.code(), "Authorization_IdentityDisabled");
}

#[tokio::test]
async fn unknown_paths_methods_and_versions_are_refused() {
    let client = Client::new(1, ALL).await;
    assert_eq!(client.get("/gruppen").await.code(), "BadRequest");
    assert_eq!(client.send("DELETE", "/users/u000", &[], None).await.status, 405);
    assert_eq!(
        client.get("/users?$filter=contains(displayName,'a')").await.code(),
        "Request_UnsupportedQuery"
    );
    assert_eq!(client.get("/users?$bogus=1").await.status, 400);
}

#[tokio::test]
async fn expanded_members_are_at_most_twenty_and_a_manager_comes_with_his_type() {
    let client = Client::new(40, ALL).await;
    client.change(|tenant, at| {
        for n in 2..40 {
            tenant.add_member("g1", crate::world::tenant::Member::User(format!("u{n:03}")), at)?;
        }
        tenant.update_user("u000", json!({ "manager": "u001" }).as_object().unwrap().clone(), at)
    });
    let group = client.get("/groups/g1?$expand=members($select=id)").await;
    assert_eq!(group.body["members"].as_array().unwrap().len(), 20);
    let user = client.get("/users/u000?$select=id&$expand=manager($select=id,displayName)").await;
    assert_eq!(user.body["manager"]["displayName"], "Person 001");
    assert_eq!(client.get("/users/u001/manager").await.status, 404);
}

#[tokio::test]
async fn a_batch_answers_each_item_by_itself_in_any_order() {
    let client = Client::new(3, ALL).await;
    let reply = client
        .batch(json!([
            { "id": "1", "method": "GET", "url": "/groups/g1/members?$select=id" },
            { "id": "2", "method": "GET", "url": "/users/$count", "headers": { "ConsistencyLevel": "eventual" } },
            { "id": "3", "method": "GET", "url": "/users/nobody" },
            { "id": "4", "method": "GET", "url": "/users/u000", "dependsOn": ["3"] },
            { "id": "5", "method": "POST", "url": "/users/u000/getMemberGroups", "dependsOn": ["1"],
              "headers": { "Content-Type": "application/json" }, "body": { "securityEnabledOnly": false } },
        ]))
        .await;
    assert_eq!(reply.status, 200);
    let item = |id: &str| -> Value {
        let all = reply.body["responses"].as_array().unwrap();
        all.iter().find(|item| item["id"] == id).unwrap().clone()
    };
    assert_eq!(item("1")["headers"]["x-ms-resource-unit"], "2");
    assert_eq!(item("2")["body"], "3");
    assert_eq!(item("3")["status"], 404);
    assert_eq!(item("4")["status"], 424);
    assert_eq!(item("5")["body"]["value"], json!(["g1", "g2"]));
    let order: Vec<&Value> =
        reply.body["responses"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_ne!(order, ["1", "2", "3", "4", "5"], "shuffled by the seed of the test");
}

#[tokio::test]
async fn a_malformed_batch_is_refused_as_a_whole() {
    let client = Client::new(1, ALL).await;
    let get = |id: &str| json!({ "id": id, "method": "GET", "url": "/users" });
    let many: Vec<Value> = (0..21).map(|n| get(&n.to_string())).collect();
    assert_eq!(client.batch(json!(many)).await.status, 400);
    assert_eq!(client.batch(json!([get("a"), get("A")])).await.status, 400);
    assert_eq!(
        client.batch(json!([{ "id": "1", "method": "POST", "url": "/x", "body": {} }])).await.status,
        400
    );
    let nested = client.batch(json!([{ "id": "1", "method": "POST", "url": "/$batch" }])).await;
    assert_eq!(nested.body["responses"][0]["status"], 400);
}

#[tokio::test]
async fn n_10_a_throttled_item_has_its_own_status_and_wait() {
    let client = Client::new(1, ALL).await;
    let mut settings = (*client.state.settings()).clone();
    settings.graph.resource_units_per_10_s = 3;
    client.state.set_settings(settings);
    let get = |id: &str| json!({ "id": id, "method": "GET", "url": "/users" });
    let reply = client.batch(json!([get("1"), get("2")])).await;
    assert_eq!(reply.status, 200);
    let all = reply.body["responses"].as_array().unwrap();
    let throttled = all.iter().find(|item| item["id"] == "2").unwrap();
    assert_eq!(throttled["status"], 429);
    assert_eq!(throttled["headers"]["Retry-After"], "3.334");
    assert_eq!(throttled["body"]["error"]["innerError"]["status"], "429");
    let outside = client.get("/users").await;
    assert_eq!(outside.status, 429);
    assert_eq!(outside.headers["x-ms-throttle-information"], "ResourceUnitLimitExceeded");
    client.state.clock.advance(10_000).unwrap();
    let free = client.get("/users?$expand=manager").await;
    assert_eq!(free.headers["x-ms-throttle-limit-percentage"], "1.00");
}

#[tokio::test]
async fn replication_delay_hides_what_was_just_made() {
    let client = Client::new(2, ALL).await;
    let mut settings = (*client.state.settings()).clone();
    settings.graph.list_lag_ms = 5000;
    client.state.set_settings(settings);
    client
        .change(|tenant, at| tenant.add_member("g2", crate::world::tenant::Member::User("u000".into()), at));
    assert_eq!(client.get("/groups/g2/members?$select=id").await.ids(), ["g1"]);
    client.state.clock.advance(6000).unwrap();
    assert_eq!(client.get("/groups/g2/members?$select=id").await.ids(), ["u000", "g1"]);
}

#[tokio::test]
async fn an_empty_page_with_a_next_link_comes_first_when_set() {
    let client = Client::new(2, ALL).await;
    let mut settings = (*client.state.settings()).clone();
    settings.graph.empty_pages = 1;
    client.state.set_settings(settings);
    let first = client.get("/users?$select=id").await;
    assert!(first.ids().is_empty());
    assert_eq!(client.get(&first.link("@odata.nextLink")).await.ids(), ["u000", "u001"]);
}
