use serde_json::json;

use super::*;
use crate::world::atlassian::SeatForm;

#[tokio::test]
async fn a_created_group_answers_with_its_id_and_refuses_a_second_of_its_name_in_any_case() {
    let site = Site::new();
    let made = site.post("group", json!({"name": "entra-engineering"})).await;
    assert_eq!(made.status, 201);
    assert_eq!(
        made.json()["users"],
        json!({"size": 0, "items": [], "max-results": 50, "start-index": 0, "end-index": 0})
    );
    let again = site.post("group", json!({"name": "Entra-Engineering"})).await;
    assert_eq!(
        (again.status, again.message().as_str()),
        (400, "A group or user with this name already exists.")
    );
    assert_eq!(site.post("group", json!({})).await.status, 400);
    assert_eq!(site.as_caller(READER, "POST", "group", Some(json!({"name": "x"}))).await.status, 403);
}

#[tokio::test]
async fn groups_are_listed_by_repeated_ids_and_names_by_access_and_by_product() {
    let site = Site::new();
    let all = site.get("group/bulk?maxResults=4").await.json();
    assert_eq!((all["total"].as_u64(), all["isLast"].as_bool()), (Some(6), Some(false)));
    assert_eq!(all["nextPage"], "http://site.test/rest/api/3/group/bulk?startAt=4&maxResults=4");
    let ids = |v: Value| -> Vec<String> {
        v["values"].as_array().unwrap().iter().map(|g| g["groupId"].as_str().unwrap().to_owned()).collect()
    };
    let some =
        site.get("group/bulk?groupId=g-jira&groupId=g-team&groupId=none&groupName=wiki-users").await.json();
    assert_eq!(ids(some), ["g-jira", "g-team", "g-wiki"]);
    assert_eq!(ids(site.get("group/bulk?accessType=site-admin").await.json()), ["g-admins"]);
    assert_eq!(ids(site.get("group/bulk?applicationKey=jira-software").await.json()), ["g-jira"]);
    assert_eq!(site.get("group/bulk?accessType=boss").await.status, 400);
    let refused = site.as_caller(PLAIN, "GET", "group/bulk", None).await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.message(), "Browse users and groups permission is required to view groups.");
}

#[tokio::test]
async fn members_come_in_pages_of_fifty_and_hide_the_inactive_unless_asked() {
    let site = Site::new();
    let shown = site.get(&format!("group/member?groupId={TEAM}")).await.json();
    assert_eq!(shown["total"], 1);
    let all = site
        .get(&format!("group/member?groupId={TEAM}&includeInactiveUsers=true&maxResults=500"))
        .await
        .json();
    assert_eq!((all["total"].as_u64(), all["maxResults"].as_u64()), (Some(3), Some(50)));
    let page =
        site.get(&format!("group/member?groupId={TEAM}&includeInactiveUsers=true&maxResults=2")).await.json();
    assert_eq!(page["isLast"], false);
    let next =
        page["nextPage"].as_str().unwrap().strip_prefix("http://site.test/rest/api/3/").unwrap().to_owned();
    let last = site.get(&next).await.json();
    assert_eq!((last["startAt"].as_u64(), last["isLast"].as_bool()), (Some(2), Some(true)));
    assert!(last.get("nextPage").is_none());
}

#[tokio::test]
async fn a_group_is_named_by_its_id_or_its_name_and_not_by_both() {
    let site = Site::new();
    assert_eq!(site.get("group/member?groupId=g-team&groupname=team").await.status, 400);
    assert_eq!(site.get("group/member").await.status, 400);
    let unknown = site.get("group/member?groupname=no-such-group").await;
    assert_eq!(
        (unknown.status, unknown.message().as_str()),
        (404, "The group named 'no-such-group' does not exist")
    );
    assert_eq!(site.get("group/member?groupId=none").await.status, 404);
}

#[tokio::test]
async fn adding_a_member_twice_is_refused_with_the_placeholder_unfilled() {
    let site = Site::new();
    let path = format!("group/user?groupId={TEAM}");
    let body = json!({"accountId": "712020:hidden"});
    assert_eq!(site.post(&path, body.clone()).await.status, 201);
    let again = site.post(&path, body).await;
    assert_eq!(
        (again.status, again.message().as_str()),
        (400, "Cannot add user. User is already a member of '{1}'")
    );
    let suspended = site.post(&path, json!({"accountId": "712020:suspended"})).await;
    assert!(suspended.message().contains("already a member"), "hidden members are members");
}

#[tokio::test]
async fn adding_and_removing_refuse_what_cannot_be() {
    let site = Site::new();
    let team = format!("group/user?groupId={TEAM}");
    let stranger = site.post(&team, json!({"accountId": "712020:stranger"})).await;
    assert_eq!(stranger.status, 404);
    assert_eq!(stranger.message(), "Specified user does not exist or you do not have required permissions");
    assert_eq!(site.post(&team, json!({"accountId": "qm:1:2"})).await.status, 400);
    assert_eq!(site.post(&team, json!({})).await.status, 400);
    assert_eq!(site.post("group/user?groupId=none", json!({"accountId": DANA})).await.status, 404);
    assert_eq!(site.post("group/user?groupId=g-external", json!({"accountId": DANA})).await.status, 400);
    assert_eq!(site.as_caller(READER, "POST", &team, Some(json!({"accountId": DANA}))).await.status, 403);
    let not_in = site.delete(&format!("{team}&accountId=712020%3Aplain")).await;
    assert_eq!(not_in.status, 400);
    assert!(not_in.message().contains("is not a member of"));
    assert_eq!(site.delete(&format!("{team}&accountId=nobody")).await.status, 404);
    let removed = site.delete(&format!("{team}&accountId=712020%3Adana")).await;
    assert_eq!((removed.status, removed.text.as_str()), (200, ""));
    site.state.world_mut().atlassian.quirks.forbidden_without_body = true;
    let bare = site.as_caller(READER, "POST", &team, Some(json!({"accountId": DANA}))).await;
    assert_eq!((bare.status, bare.text.as_str()), (403, ""));
}

#[tokio::test]
async fn a_group_without_seats_left_refuses_naming_the_product_by_its_resource() {
    let site = Site::new();
    let full = site.post("group/user?groupId=g-wiki", json!({"accountId": DANA})).await;
    assert_eq!(full.status, 400);
    assert!(full.message().contains(&format!("Licence exceeded for: ari:cloud:confluence::site/{CLOUD}")));
    assert!(full.message().contains("LicenceExceededException"));
    for (form, status, text) in [
        (SeatForm::Hystrix, 500, "AddUserToGroupsIdentityPlatformCommand failed and no fallback available."),
        (SeatForm::Conflict, 409, "ADMIN-UAM-409-3"),
        (SeatForm::Licence, 400, "LicenceExceededException"),
    ] {
        site.state.world_mut().atlassian.quirks.seats_refused_as = form;
        let full = site.post("group/user?groupId=g-wiki", json!({"accountId": DANA})).await;
        assert!(full.status == status && full.text.contains(text), "{form:?}: {} {}", full.status, full.text);
    }
    site.state.world_mut().atlassian.quirks.already_a_member_answers_409 = true;
    let twice = site.post("group/user?groupId=g-wiki", json!({"accountId": "712020:reader"})).await;
    assert!(twice.status == 409 && twice.text.contains("ADMIN-UAM-409-2"), "{} {}", twice.status, twice.text);
    assert_eq!(site.delete("group/user?groupId=g-wiki&accountId=712020:reader").await.status, 200);
    assert_eq!(site.post("group/user?groupId=g-wiki", json!({"accountId": DANA})).await.status, 201);
    assert_eq!(site.post("group/user?groupId=g-wiki", json!({"accountId": "712020:gone"})).await.status, 201);
}

#[tokio::test]
async fn protected_and_default_groups_are_not_deleted() {
    let site = Site::new();
    assert_eq!(site.delete("group?groupId=g-jira").await.status, 400);
    assert_eq!(site.delete("group?groupId=g-admins").await.status, 403);
    assert_eq!(site.delete("group?groupId=g-external").await.status, 400);
    assert_eq!(site.delete("group?groupId=g-team&swapGroupId=none").await.status, 404);
    assert_eq!(site.delete("group?groupId=g-team&swapGroupId=g-wiki").await.status, 200);
    assert_eq!(site.delete("group?groupId=g-team").await.status, 404);
}

#[tokio::test]
async fn the_deprecated_group_read_gives_a_range_of_its_members() {
    let site = Site::new();
    let path = "/rest/api/2/group?groupname=jira-software-users&expand=users%5B0:1%5D";
    let answer = site.send(&site.jira, "GET", path, &basic(BOT.0, BOT.1), None).await.json();
    assert_eq!(answer["users"]["items"].as_array().unwrap().len(), 2);
    assert_eq!((answer["users"]["size"].as_u64(), answer["users"]["end-index"].as_u64()), (Some(3), Some(1)));
}

#[tokio::test]
async fn pickers_match_case_only_when_told_and_exactly_without_the_right_to_browse() {
    let site = Site::new();
    assert_eq!(site.get("groups/picker?query=TEAM").await.json()["total"], 0);
    assert_eq!(site.get("groups/picker?query=TEAM&caseInsensitive=true").await.json()["total"], 1);
    let part = site.as_caller(PLAIN, "GET", "groups/picker?query=tea", None).await.json();
    assert_eq!(part["total"], 0);
    let exact = site.as_caller(PLAIN, "GET", "groups/picker?query=team", None).await.json();
    assert_eq!(exact["total"], 1);
    let external = site.get("groups/picker?query=from-idp").await.json();
    assert_eq!(
        (external["groups"][0]["managedBy"].as_str(), external["groups"][0]["html"].as_str()),
        (Some("EXTERNAL"), Some("<b>from-idp</b>"))
    );
    assert_eq!(site.get("groupuserpicker").await.status, 400);
    assert_eq!(site.get("groupuserpicker?query=dana").await.json()["users"]["total"], 1);
}

#[tokio::test]
async fn lagging_reads_see_changes_only_after_a_while() {
    let site = Site::new();
    let mut settings = (*site.state.settings()).clone();
    settings.atlassian.membership_lag_ms = 5_000;
    settings.atlassian.group_lag_ms = 5_000;
    settings.atlassian.search_lag_ms = 9_000;
    site.state.set_settings(settings);
    let total = |v: Value| v["total"].as_u64().unwrap();
    let made =
        site.post("group", json!({"name": "fresh"})).await.json()["groupId"].as_str().unwrap().to_owned();
    assert_eq!(
        site.post(&format!("group/user?groupId={TEAM}"), json!({"accountId": ADMIN})).await.status,
        201
    );
    assert_eq!(site.delete(&format!("group/user?groupId={TEAM}&accountId={DANA}")).await.status, 200);
    let fresh = format!("group/bulk?groupId={made}");
    let invited = site.post("user", json!({"emailAddress": "li.wei@example.com", "products": []})).await;
    assert_eq!(invited.status, 201);
    let members = site.get(&format!("group/member?groupId={TEAM}")).await.json();
    assert_eq!(members["values"][0]["accountId"], DANA);
    assert_eq!(total(site.get(&fresh).await.json()), 0);
    assert_eq!(site.get("user/search?query=li.wei@example.com").await.text, "[]");
    site.state.clock.advance(6_000).unwrap();
    let members = site.get(&format!("group/member?groupId={TEAM}")).await.json();
    assert_eq!((total(members.clone()), members["values"][0]["accountId"].as_str()), (1, Some(ADMIN)));
    assert_eq!(total(site.get(&fresh).await.json()), 1);
    site.state.clock.advance(6_000).unwrap();
    assert_eq!(site.get("user/search?query=li.wei@example.com").await.json().as_array().unwrap().len(), 1);
}

/// A site of 20,000 people in one group: counts stay right while members come and go, and the indexes keep up with
/// the writes.
#[tokio::test]
async fn a_large_group_keeps_its_counts_while_members_come_and_go() {
    let mut world = small_world();
    let members: Vec<String> = (0..20_000).map(|n| format!("z{n:06}")).collect();
    for id in &members {
        world.add_account(account(id, "Zoe Many", &format!("{id}@example.com"))).unwrap();
    }
    let ids: Vec<&str> = members.iter().map(String::as_str).collect();
    world.add_group(group("g-large", "large", &ids)).unwrap();
    let site = Site::of(world);
    let page = site.get("group/member?groupId=g-large&includeInactiveUsers=true").await.json();
    assert_eq!(page["total"], 20_000);
    assert_eq!(site.get("group/member?groupId=g-large").await.json()["total"], 20_000);
    for n in 0..500 {
        let path = format!("group/user?groupId=g-large&accountId=z{n:06}");
        assert_eq!(site.delete(&path).await.status, 200);
        let found = site.get(&format!("user/search?query=z{n:06}@example.com")).await.json();
        assert_eq!(found[0]["accountId"], format!("z{n:06}"));
    }
    let added = site.post("group/user?groupId=g-large", json!({"accountId": "z000000"})).await;
    assert_eq!(added.json()["users"]["size"], 19_501);
}
