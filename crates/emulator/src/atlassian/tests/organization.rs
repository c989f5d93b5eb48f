use serde_json::json;

use super::*;

const DIR: &str = "/admin/v2/orgs/org-1/directories/dir-1";
const ANY: &str = "/admin/v2/orgs/org-1/directories/-";

#[tokio::test]
async fn the_three_forms_of_error_are_told_apart() {
    let site = Site::new();
    let gateway = site.send(&site.api, "GET", "/admin/v1/orgs", &basic(BOT.0, BOT.1), None).await;
    assert_eq!((gateway.status, gateway.json()), (401, json!({"code": 401, "message": "Unauthorized"})));
    let router = site.org("POST", "/admin/v2/orgs/other/directories/-/users/search", Some(json!({}))).await;
    assert_eq!((router.status, router.json()["message"].as_str()), (404, Some("TCS validation failed")));
    let application = site.org("GET", &format!("{ANY}/users/nobody"), None).await;
    assert_eq!(
        (application.status, application.json()["errors"][0]["code"].as_str()),
        (404, Some("ADMIN-404-8"))
    );
}

#[tokio::test]
async fn ids_come_from_directories_and_workspaces() {
    let site = Site::new();
    assert_eq!(site.org("GET", "/admin/v1/orgs", None).await.json()["data"][0]["id"], "org-1");
    assert_eq!(site.org("GET", "/admin/v1/orgs/org-1", None).await.json()["data"]["type"], "orgs");
    let directories = site.org("GET", "/admin/v2/orgs/org-1/directories", None).await.json();
    assert_eq!(directories["data"][0]["directoryId"], "dir-1");
    let query =
        json!({"limit": 50, "query": {"and": [{"field": {"name": "attributes.type", "values": ["Jira"]}}]}});
    let spaces = site.org("POST", "/admin/v2/orgs/org-1/workspaces", Some(query)).await.json();
    assert_eq!(spaces["data"].as_array().unwrap().len(), 1);
    assert_eq!(spaces["data"][0]["id"], format!("ari:cloud:jira-software::site/{CLOUD}"));
    let attributes = &spaces["data"][0]["attributes"];
    assert_eq!(attributes["capacity"], 5);
    assert!(attributes.get("usage").is_none(), "usage is told for Bitbucket only: {attributes}");
    let first = site.org("POST", "/admin/v2/orgs/org-1/workspaces", Some(json!({"limit": 1}))).await.json();
    let next = json!({"cursor": first["links"]["next"]});
    let second = site.org("POST", "/admin/v2/orgs/org-1/workspaces", Some(next)).await.json();
    assert_ne!(first["data"][0]["id"], second["data"][0]["id"]);
    let both = json!({"cursor": first["links"]["next"], "limit": 1});
    assert_eq!(site.org("POST", "/admin/v2/orgs/org-1/workspaces", Some(both)).await.status, 400);
}

#[tokio::test]
async fn users_are_found_by_exact_address_with_hidden_ones_shown() {
    let site = Site::new();
    let body = json!({"emails": ["HIDDEN@example.com", "dana.okafor@example.com"], "expand": ["groups", "platformRoles"]});
    let found = site.org("POST", &format!("{ANY}/users/search"), Some(body)).await.json();
    assert_eq!(found["data"].as_array().unwrap().len(), 2);
    assert_eq!(found["data"][1]["email"], "hidden@example.com");
    assert_eq!(found["data"][0]["groups"][0]["id"], "ari:cloud:identity::group/g-jira");
    assert_eq!(found["data"][0]["platformRoles"], json!([]));
    let plain =
        site.org("POST", &format!("{ANY}/users/search"), Some(json!({"accountIds": [ADMIN]}))).await.json();
    assert!(plain["data"][0].get("platformRoles").is_none(), "without expand every admin looks ordinary");
    let part =
        site.org("POST", &format!("{ANY}/users/search"), Some(json!({"emails": ["dana.okafor"]}))).await;
    assert_eq!(part.json()["data"], json!([]));
    let both = json!({"emails": ["a@b.c"], "searchTerm": "a"});
    assert_eq!(site.org("POST", &format!("{ANY}/users/search"), Some(both)).await.status, 400);
    assert_eq!(
        site.org("GET", &format!("{ANY}/users/count?status=suspended"), None).await.json()["count"],
        1
    );
}

#[tokio::test]
async fn a_bare_cursor_leads_through_all_pages_and_keeps_the_filters() {
    let site = Site::new();
    let mut body = json!({"groupIds": [TEAM], "limit": 2});
    let mut seen = Vec::new();
    loop {
        let page = site.org("POST", &format!("{DIR}/users/search"), Some(body)).await.json();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|u| u["status"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["links"]["next"].as_str() else { break };
        assert!(!next.contains("http"));
        body = json!({"cursor": next});
    }
    assert_eq!(seen, ["active", "deactivated", "suspended"]);
    let wrong = site.org("POST", &format!("{DIR}/users/search"), Some(json!({"cursor": "zz"}))).await;
    assert_eq!((wrong.status, wrong.json()["errors"][0]["code"].as_str()), (400, Some("ADMIN-400-1")));
}

#[tokio::test]
async fn suspension_is_refused_for_organization_admins_and_keeps_groups() {
    let site = Site::new();
    assert_eq!(site.org("POST", &format!("{DIR}/users/{ADMIN}/suspend"), None).await.status, 400);
    assert_eq!(site.org("POST", &format!("{DIR}/users/{DANA}/suspend"), None).await.status, 204);
    let shown = site.org("GET", &format!("{ANY}/users/{DANA}"), None).await.json();
    assert_eq!(
        (shown["data"]["status"].as_str(), shown["data"]["accountStatus"].as_str()),
        (Some("suspended"), Some("active"))
    );
    assert_eq!(site.get("user?accountId=712020:dana").await.json()["active"], false);
    assert_eq!(site.get("applicationrole").await.json()[0]["userCount"], 2, "no seat while suspended");
    assert_eq!(site.org("POST", &format!("{DIR}/users/{DANA}/restore"), None).await.status, 204);
    assert_eq!(site.get("applicationrole").await.json()[0]["userCount"], 3);
    let roles = site.org("GET", &format!("{ANY}/users/{DANA}/role-assignments"), None).await.json();
    assert_eq!(roles["data"][0]["roleAssignments"][0]["roleAssignmentMethods"], json!(["group_direct"]));
    assert_eq!(
        site.org("POST", &format!("{ANY}/users/{DANA}/suspend"), None).await.status,
        404,
        "- is for reads"
    );
    assert_eq!(site.org("DELETE", &format!("{DIR}/users/{DANA}"), None).await.status, 204);
    assert_eq!(site.org("DELETE", &format!("{DIR}/users/{DANA}"), None).await.status, 404);
}

#[tokio::test]
async fn a_group_is_created_without_a_body_and_found_by_its_name() {
    let site = Site::new();
    let made =
        site.org("POST", &format!("{DIR}/groups"), Some(json!({"name": "Fresh", "description": "x"}))).await;
    assert_eq!((made.status, made.text.as_str()), (201, ""));
    assert_eq!(site.org("POST", &format!("{DIR}/groups"), Some(json!({"name": "fresh"}))).await.status, 409);
    let body = json!({"groupNames": ["FRESH"], "expand": ["counts.users"]});
    let found = site.org("POST", &format!("{ANY}/groups/search"), Some(body)).await.json();
    assert_eq!(
        (found["data"][0]["description"].as_str(), found["data"][0]["counts"]["users"].as_u64()),
        (Some("x"), Some(0))
    );
    let id = found["data"][0]["id"].as_str().unwrap();
    assert_eq!(
        site.org("GET", &format!("{ANY}/groups/{id}"), None).await.json()["data"]["directoryId"],
        "dir-1"
    );
    assert_eq!(site.org("DELETE", &format!("{DIR}/groups/{id}"), None).await.status, 204);
    for (id, code) in [("g-jira", "ADMIN-403-6"), ("g-admins", "ADMIN-403-7"), ("g-external", "ADMIN-403-5")]
    {
        let refused = site.org("DELETE", &format!("{DIR}/groups/{id}"), None).await;
        assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (403, Some(code)));
    }
}

#[tokio::test]
async fn the_two_conflicts_of_memberships_have_different_codes() {
    let site = Site::new();
    let add = async |group: &str, who: &str| {
        let answer = site
            .org("POST", &format!("{DIR}/groups/{group}/memberships"), Some(json!({"accountId": who})))
            .await;
        let code = if answer.text.is_empty() {
            String::new()
        } else {
            answer.json()["errors"][0]["code"].as_str().unwrap().to_owned()
        };
        (answer.status, code)
    };
    assert_eq!(add(TEAM, "712020:hidden").await, (204, String::new()));
    assert_eq!(add(TEAM, "712020:hidden").await, (409, "ADMIN-UAM-409-2".into()));
    assert_eq!(add("g-wiki", DANA).await, (409, "ADMIN-UAM-409-3".into()));
    assert_eq!(add(TEAM, "712020:stranger").await, (404, "ADMIN-UAM-404-1".into()));
    assert_eq!(add("g-jira", "712020:gone").await, (400, "ADMIN-UAM-400-2".into()));
    let member = format!("{DIR}/groups/{TEAM}/memberships/712020:hidden");
    assert_eq!(site.org("DELETE", &member, None).await.status, 204);
    assert_eq!(site.org("DELETE", &member, None).await.status, 404);
}

#[tokio::test]
async fn an_invitation_tells_of_each_person_and_sends_no_mail_unless_asked_with_a_text() {
    let site = Site::new();
    let jira = format!("ari:cloud:jira-software::site/{CLOUD}");
    let rule = json!([{"resource": jira, "role": "atlassian/user"}]);
    let body = json!({"emails": ["li.wei@example.com"], "permissionRules": rule, "additionalGroups": [TEAM], "sendNotification": true});
    let done = site.org("POST", "/admin/v2/orgs/org-1/users/invite", Some(body)).await;
    assert_eq!(done.status, 200);
    let results = &done.json()["data"][0]["results"][0];
    assert_eq!(results["roleAssignmentResult"][0]["status"], "INVITED");
    assert_eq!(results["groupAssignmentResult"][0], json!({"group": TEAM, "status": "INVITED"}));
    assert!(site.state.world().atlassian.invitations.is_empty());
    let body = json!({"emails": ["a@example.com", "b@example.com"], "additionalGroups": ["g-wiki"], "sendNotification": true, "notificationText": "Hello"});
    let some = site.org("POST", "/admin/v2/orgs/org-1/users/invite", Some(body)).await;
    assert_eq!(some.status, 206);
    assert_eq!(some.json()["data"][0]["results"][0]["groupAssignmentResult"][0]["status"], "ERROR");
    assert_eq!(site.state.world().atlassian.invitations.len(), 2);
    let odd = json!({"emails": ["c@example.com"], "permissionRules": [{"resource": "ari:cloud:jira::site/x", "role": "atlassian/user"}]});
    assert_eq!(site.org("POST", "/admin/v2/orgs/org-1/users/invite", Some(odd)).await.status, 400);
}

#[tokio::test]
async fn managed_accounts_of_version_one_have_a_whole_address_as_next() {
    let mut world = small_world();
    for n in 0..120 {
        world.add_account(account(&format!("z{n:05}"), "Zoe", &format!("zoe{n}@example.com"))).unwrap();
    }
    let site = Site::of(world);
    let first = site.org("GET", "/admin/v1/orgs/org-1/users", None).await.json();
    assert_eq!(first["data"].as_array().unwrap().len(), 100);
    let next =
        first["links"]["next"].as_str().unwrap().strip_prefix("http://organization.test").unwrap().to_owned();
    let rest = site.org("GET", &next, None).await.json();
    assert_eq!(rest["data"].as_array().unwrap().len() as u64, first["meta"]["total"].as_u64().unwrap() - 100);
}

#[tokio::test]
async fn the_profile_of_a_managed_account_changes_and_of_others_does_not() {
    let site = Site::new();
    let rights =
        site.org("GET", &format!("/users/{DANA}/manage?privileges=profile.write"), None).await.json();
    assert_eq!(rights["profile.write"]["name"], json!({"allowed": true}));
    assert!(rights.get("email.set").is_none());
    let profile = format!("/users/{DANA}/manage/profile");
    let changed = site.org("PATCH", &profile, Some(json!({"name": "Dana Okafor-Stein"}))).await;
    assert_eq!(
        (changed.status, changed.json()["account"]["name"].as_str()),
        (200, Some("Dana Okafor-Stein"))
    );
    assert_eq!(site.get("user/search?query=stein").await.json()[0]["displayName"], "Dana Okafor-Stein");
    let long = site.org("PATCH", &profile, Some(json!({"name": "x".repeat(101)}))).await;
    assert_eq!((long.status, long.json()["key"].as_str()), (400, Some("fieldConstraintsViolated")));
    let unmanaged =
        site.org("PATCH", "/users/712020:stranger/manage/profile", Some(json!({"name": "X"}))).await;
    assert_eq!((unmanaged.status, unmanaged.json()), (403, json!({"key": "forbidden.targetUnverified"})));
    let nobody = site.org("GET", "/users/nobody/manage", None).await;
    assert_eq!((nobody.status, nobody.json()), (404, json!({"key": "accountNotFound"})));
    site.state.world_mut().atlassian.account_mut(DANA).unwrap().synced = true;
    let synced = site.org("PATCH", &profile, Some(json!({"name": "Dana"}))).await;
    assert_eq!(
        (synced.status, synced.json()["context"]["name"]["reason"]["key"].as_str()),
        (403, Some("externalDirectory.scim"))
    );
    let no_key = site.send(&site.api, "GET", &profile, "", None).await;
    assert_eq!((no_key.status, no_key.json()), (401, json!({"key": "unauthorized"})));
}

#[tokio::test]
async fn the_address_moves_to_verified_domains_only() {
    let site = Site::new();
    let path = format!("/users/{DANA}/manage/email");
    let outside = site.org("PUT", &path, Some(json!({"email": "dana@elsewhere.example"}))).await;
    assert_eq!((outside.status, outside.json()["key"].as_str()), (403, Some("forbidden.unclaimedDomain")));
    assert_eq!(site.org("PUT", &path, Some(json!({"email": "dana.stein@example.com"}))).await.status, 204);
    assert_eq!(site.get("user/search?query=dana.stein@example.com").await.json()[0]["accountId"], DANA);
    assert_eq!(site.get("user/search?query=dana.okafor@example.com").await.text, "[]");
}

#[tokio::test]
async fn accounts_are_disabled_enabled_and_deleted_with_grace() {
    let site = Site::new();
    let step =
        async |verb: &str| site.org("POST", &format!("/users/{DANA}/manage/lifecycle/{verb}"), None).await;
    assert_eq!(step("enable").await.json()["key"], "conflict.lifecycleErrors");
    assert_eq!(step("disable").await.status, 204);
    assert_eq!(step("disable").await.status, 409);
    assert_eq!(site.get("user?accountId=712020:dana").await.json()["active"], false);
    assert_eq!(step("enable").await.status, 204);
    assert_eq!(step("delete").await.json(), json!({"message": "Success"}));
    let shown = site.org("GET", &format!("{ANY}/users/{DANA}"), None).await.json();
    assert_eq!(shown["data"]["status"], "for_deletion");
    assert_eq!(step("cancel-delete").await.status, 200);
}

#[tokio::test]
async fn a_group_is_renamed_and_stays_the_same_for_everybody() {
    let site = Site::new();
    let path = format!("{DIR}/groups/g-jira");
    let unpublished = site.org("PATCH", &path, Some(json!({"name": "jira-people"}))).await;
    assert_eq!((unpublished.status, unpublished.json()["message"].as_str()), (404, Some("Not Found")));
    let mut settings = (*site.state.settings()).clone();
    settings.atlassian.rename_groups = true;
    site.state.set_settings(settings);
    let before = site.get("applicationrole").await.json()[0]["userCount"].clone();
    let renamed = site.org("PATCH", &path, Some(json!({"name": "jira-people", "description": "all"}))).await;
    assert_eq!((renamed.status, renamed.text.as_str()), (204, ""));
    let shown = site.org("GET", &path, None).await.json();
    assert_eq!(
        (&shown["data"]["name"], &shown["data"]["description"]),
        (&json!("jira-people"), &json!("all"))
    );
    let listed = site.get("group/bulk?groupName=jira-people").await.json();
    assert_eq!(listed["values"][0]["groupId"], "g-jira");
    assert_eq!(site.get("applicationrole").await.json()[0]["userCount"], before, "its seats go with it");
    let again = site.org("PATCH", &path, Some(json!({"name": "jira-people"}))).await;
    assert_eq!(again.status, 204, "the same name once more");
    for (group, body, status) in [
        ("00000000-0000-0000-0000-000000000000", json!({"name": "x"}), 404),
        ("g-jira", json!({}), 400),
        ("g-jira", json!({"name": " "}), 400),
        ("g-jira", json!({"name": "SITE-ADMINS"}), 409),
    ] {
        let refused = site.org("PATCH", &format!("{DIR}/groups/{group}"), Some(body)).await;
        assert_eq!(refused.status, status, "{group}: {}", refused.text);
        assert!(refused.json()["errors"][0]["code"].is_string());
    }
    assert_eq!(
        site.org("PATCH", &format!("{ANY}/groups/g-jira"), Some(json!({"name": "y"}))).await.status,
        404
    );
}

#[tokio::test]
async fn verified_domains_are_listed() {
    let site = Site::new();
    let domains = site.org("GET", "/admin/v1/orgs/org-1/domains", None).await.json();
    assert_eq!(domains["data"][0]["attributes"]["name"], "example.com");
    assert_eq!(domains["data"][0]["attributes"]["claim"]["status"], "verified");
}

#[tokio::test]
async fn a_key_with_scopes_reads_what_they_name_and_writes_nothing() {
    let mut world = small_world();
    world.scoped_keys.insert("scoped".into(), set(&["read:directories:admin", "read:workspaces:admin"]));
    let site = Site::of(world);
    let ask = async |method: &str, path: &str, body: Option<serde_json::Value>| {
        site.send(&site.api, method, path, "Bearer scoped", body).await
    };
    let found = ask("POST", &format!("{ANY}/users/search"), Some(json!({}))).await;
    assert_eq!(found.status, 200);
    assert_eq!(ask("POST", "/admin/v2/orgs/org-1/workspaces", Some(json!({}))).await.status, 200);
    for (method, path) in [
        ("GET", "/admin/v1/orgs/org-1".to_owned()),
        ("GET", "/admin/v1/orgs/org-1/domains".to_owned()),
        ("POST", format!("{DIR}/groups/search")),
        ("POST", format!("{DIR}/users/{DANA}/suspend")),
        ("DELETE", format!("{DIR}/users/{DANA}")),
        ("POST", "/admin/v2/orgs/org-1/users/invite".to_owned()),
    ] {
        let refused = ask(method, &path, None).await;
        assert_eq!(
            (refused.status, refused.json()["errors"][0]["code"].as_str()),
            (401, Some("ADMIN-401-2")),
            "{path}"
        );
    }
    let managed = ask("GET", &format!("/users/{DANA}/manage"), None).await;
    assert_eq!((managed.status, managed.json()["key"].as_str()), (403, Some("forbidden")));
    assert!(managed.text.contains("manage:org"));
}

#[tokio::test]
async fn an_invitation_names_a_role_that_there_is() {
    let site = Site::new();
    let rule = json!({"resource": format!("ari:cloud:jira-software::site/{CLOUD}"), "role": "admin"});
    let asked = json!({"emails": ["new@example.com"], "permissionRules": [rule]});
    let refused = site.org("POST", "/admin/v2/orgs/org-1/users/invite", Some(asked)).await;
    assert_eq!(
        (refused.status, refused.json()["errors"][0]["code"].as_str()),
        (400, Some("ADMIN-UAM-400-3"))
    );
    assert!(site.state.world().atlassian.by_email("new@example.com").next().is_none());
}

#[tokio::test]
async fn projects_and_components_show_their_leads_where_they_are_asked_for() {
    let mut world = small_world();
    for (key, lead) in [("WEB", DANA), ("OPS", ADMIN)] {
        world.projects.push(crate::world::atlassian::SiteProject {
            key: key.into(),
            name: format!("Project {key}"),
            lead: lead.into(),
            components: vec![crate::world::atlassian::SiteComponent {
                name: "Part".into(),
                lead: (key == "OPS").then(|| DANA.into()),
            }],
        });
    }
    let site = Site::of(world);
    let plain = site.get("project/search").await.json();
    assert_eq!((plain["total"].as_u64(), &plain["values"][0]["key"]), (Some(2), &json!("OPS")));
    assert!(plain["values"][0].get("lead").is_none());
    let led = site.get("project/search?expand=description,lead&keys=WEB").await.json();
    assert_eq!(led["values"][0]["lead"]["accountId"], DANA);
    assert_eq!(site.get("project/search?status=archived").await.json()["total"], 0);
    assert_eq!(site.get("project/search?status=asleep").await.status, 400);
    let parts = site.get("component?projectIdsOrKeys=OPS&projectIdsOrKeys=WEB").await.json();
    assert_eq!((parts["total"].as_u64(), &parts["values"][0]["lead"]["accountId"]), (Some(2), &json!(DANA)));
    assert!(parts["values"][1].get("lead").is_none());
    assert_eq!(site.get("component?projectIdsOrKeys=ops").await.status, 404, "keys are case sensitive");
    let anonymous = site.send(&site.jira, "GET", "/rest/api/3/project/search", "", None).await;
    assert_eq!((anonymous.status, anonymous.json()["total"].as_u64()), (200, Some(0)));
}
