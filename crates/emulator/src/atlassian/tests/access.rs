use serde_json::json;

use super::*;

#[tokio::test]
async fn the_cloud_id_and_the_server_information_need_no_credentials() {
    let site = Site::new();
    let tenant = site.send(&site.jira, "GET", "/_edge/tenant_info", "", None).await;
    assert_eq!(tenant.json(), json!({"cloudId": CLOUD}));
    for version in ["2", "3", "latest"] {
        let info = site.send(&site.jira, "GET", &format!("/rest/api/{version}/serverInfo"), "", None).await;
        assert_eq!((info.status, info.json()["deploymentType"].as_str()), (200, Some("Cloud")));
        assert_eq!(info.json()["serverTime"], "2026-01-15T08:00:00.000+0000");
    }
}

#[tokio::test]
async fn wrong_expired_and_scoped_tokens_are_refused_in_plain_text_on_closed_paths_of_the_site() {
    let site = Site::new();
    for token in ["wrong", "old-token", "scoped-token", ""] {
        let answer = site.as_caller(("bot@example.com", token), "GET", "myself", None).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (401, "Client must be authenticated to access this resource.")
        );
        assert_eq!(answer.headers["x-seraph-loginreason"], "AUTHENTICATED_FAILED", "{token}");
    }
    let someone_elses =
        site.as_caller(("dana.okafor@example.com", "admin-token"), "GET", "myself", None).await;
    assert_eq!(someone_elses.status, 401);
    let nobody = site.send(&site.jira, "GET", "/rest/api/3/group/bulk", "", None).await;
    assert_eq!(nobody.status, 401);
    assert!(!nobody.headers.contains_key("x-seraph-loginreason"));
}

#[tokio::test]
async fn a_dead_token_makes_an_anonymous_caller_on_open_paths() {
    let site = Site::new();
    for path in ["users/search", "users", "user/search?query=dana"] {
        let answer = site.as_caller(("bot@example.com", "wrong"), "GET", path, None).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "[]"), "{path}");
        assert_eq!(answer.headers["x-seraph-loginreason"], "AUTHENTICATED_FAILED");
    }
    let mine = site
        .as_caller(("bot@example.com", "wrong"), "GET", "mypermissions?permissions=ADMINISTER", None)
        .await;
    assert_eq!(mine.json()["permissions"]["ADMINISTER"]["havePermission"], false);
    let picker = site.send(&site.jira, "GET", "/rest/api/3/groupuserpicker?query=dana", "", None).await;
    assert_eq!((picker.status, picker.json()["users"]["total"].as_u64()), (200, Some(0)));
}

#[tokio::test]
async fn scoped_tokens_open_the_gateway_as_far_as_their_scopes_go() {
    let site = Site::new();
    let base = format!("/ex/jira/{CLOUD}/rest/api/3");
    let scoped = basic("bot@example.com", "scoped-token");
    let me = site.send(&site.api, "GET", &format!("{base}/myself"), &scoped, None).await;
    assert_eq!((me.status, me.json()["accountId"].as_str()), (200, Some(ADMIN)));
    assert!(me.json()["self"].as_str().unwrap().starts_with(&format!("http://organization.test{base}/user")));
    let members =
        site.send(&site.api, "GET", &format!("{base}/group/member?groupId={TEAM}"), &scoped, None).await;
    assert_eq!(members.status, 401);
    assert_eq!(members.json(), json!({"code": 401, "message": "Unauthorized; scope does not match"}));
    let granular = basic("bot@example.com", "granular-token");
    let members =
        site.send(&site.api, "GET", &format!("{base}/group/member?groupId={TEAM}"), &granular, None).await;
    assert_eq!(members.status, 200);
    let classic = basic("bot@example.com", "admin-token");
    assert_eq!(site.send(&site.api, "GET", &format!("{base}/myself"), &classic, None).await.status, 401);
    let elsewhere = site.send(&site.api, "GET", "/ex/jira/other/rest/api/3/myself", &scoped, None).await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn permissions_must_be_named_and_known() {
    let site = Site::new();
    assert_eq!(site.get("mypermissions").await.status, 400);
    assert_eq!(site.get("mypermissions?permissions=ADMINISTER,NO_SUCH").await.status, 400);
    let mine =
        site.as_caller(PLAIN, "GET", "mypermissions?permissions=ADMINISTER,USER_PICKER", None).await.json();
    assert_eq!(mine["permissions"]["USER_PICKER"]["havePermission"], false);
    let held = site.post("permissions/check", json!({"globalPermissions": ["ADMINISTER"]})).await;
    assert_eq!(held.json(), json!({"globalPermissions": ["ADMINISTER"], "projectPermissions": []}));
    let unknown = site.post("permissions/check", json!({"globalPermissions": ["PERMISSION_123"]})).await;
    assert_eq!(unknown.json()["errors"]["PERMISSION_123"], "Unrecognized permission");
    let other = json!({"accountId": ADMIN, "globalPermissions": ["ADMINISTER"]});
    assert_eq!(site.as_caller(PLAIN, "POST", "permissions/check", Some(other)).await.status, 403);
}

#[tokio::test]
async fn application_roles_tell_groups_and_seats_and_leave_confluence_out() {
    let site = Site::new();
    let roles = site.get("applicationrole").await.json();
    assert_eq!(roles.as_array().unwrap().len(), 1);
    assert_eq!(roles[0]["groupDetails"][0]["groupId"], "g-jira");
    assert_eq!((roles[0]["userCount"].as_u64(), roles[0]["remainingSeats"].as_u64()), (Some(3), Some(2)));
    assert_eq!(site.get("applicationrole/jira-software").await.status, 200);
    assert_eq!(site.get("applicationrole/confluence").await.status, 404);
    assert_eq!(site.as_caller(PLAIN, "GET", "applicationrole", None).await.status, 403);
}

#[tokio::test]
async fn other_methods_and_unknown_paths_are_told_apart() {
    let site = Site::new();
    assert_eq!(site.as_caller(BOT, "PUT", "group", None).await.status, 405);
    assert_eq!(site.get("no/such/path").await.status, 404);
}
