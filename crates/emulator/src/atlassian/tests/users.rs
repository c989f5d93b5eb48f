use serde_json::json;

use super::*;

#[tokio::test]
async fn groups_and_roles_are_counted_and_listed_only_when_expanded() {
    let site = Site::new();
    let plain = site.get("myself").await.json();
    assert_eq!(plain["groups"], json!({"size": 2, "items": []}));
    let full = site.get("myself?expand=groups,applicationRoles").await.json();
    assert_eq!(full["groups"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(full["applicationRoles"]["items"][0]["key"], "jira-software");
    let groups = site.get("user/groups?accountId=712020%3Adana").await.json();
    assert_eq!(groups[1]["name"], "team");
}

#[tokio::test]
async fn hidden_addresses_are_missing_or_null_and_found_only_by_the_whole_address() {
    let site = Site::new();
    let shown = site.get("user?accountId=712020:hidden").await.json();
    assert!(shown.get("emailAddress").is_none_or(Value::is_null));
    assert_eq!(site.get("user/search?query=hidden@exam").await.text, "[]");
    assert_eq!(
        site.get("user/search?query=Hidden@Example.com").await.json()[0]["accountId"],
        "712020:hidden"
    );
}

#[tokio::test]
async fn search_matches_beginnings_of_words_and_active_people_only() {
    let site = Site::new();
    for query in ["dana", "okaf", "Dana%20Ok", "dana.oka"] {
        assert_eq!(
            site.get(&format!("user/search?query={query}")).await.json()[0]["accountId"],
            DANA,
            "{query}"
        );
    }
    for query in ["ana", "gina", "sam", "gone@example.com", "stan"] {
        assert_eq!(site.get(&format!("user/search?query={query}")).await.text, "[]", "{query}");
    }
    assert_eq!(site.get("user/search?query=dana&accountId=x").await.status, 400);
    assert_eq!(site.get("user/search").await.status, 400);
    assert_eq!(site.as_caller(PLAIN, "GET", "user/search?query=dana", None).await.text, "[]");
}

#[tokio::test]
async fn search_looks_at_the_first_thousand_matches_only() {
    let mut world = small_world();
    for n in 0..1100 {
        world.add_account(account(&format!("z{n:05}"), "Zoe Many", &format!("zoe{n}@example.com"))).unwrap();
    }
    let site = Site::of(world);
    assert_eq!(
        site.get("user/search?query=zoe&startAt=900&maxResults=1000").await.json().as_array().unwrap().len(),
        100
    );
    assert_eq!(site.get("user/search?query=zoe&startAt=1000").await.text, "[]");
}

#[tokio::test]
async fn the_roll_mixes_everybody_and_is_clamped_at_a_thousand() {
    let mut world = small_world();
    for n in 0..1100 {
        world.add_account(account(&format!("z{n:05}"), "Zoe Many", &format!("zoe{n}@example.com"))).unwrap();
    }
    let site = Site::of(world);
    let first = site.get("users/search?maxResults=5000").await.json();
    assert_eq!(first.as_array().unwrap().len(), 1000);
    let types: BTreeSet<&str> =
        first.as_array().unwrap().iter().map(|u| u["accountType"].as_str().unwrap()).collect();
    assert_eq!(types, BTreeSet::from(["app", "atlassian", "customer"]));
    assert!(first.as_array().unwrap().iter().any(|u| u["active"] == false));
    assert_eq!(site.get("users?startAt=1000&maxResults=1000").await.json().as_array().unwrap().len(), 109);
    assert_eq!(site.get("users/search").await.json().as_array().unwrap().len(), 50);
    assert_eq!(site.get("users/search?maxResults=0").await.status, 400);
    assert_eq!(site.as_caller(PLAIN, "GET", "users/search", None).await.status, 403);
}

#[tokio::test]
async fn short_pages_in_the_middle_lose_nobody_for_who_steps_by_the_asked_size() {
    let site = Site::new();
    site.state.world_mut().atlassian.quirks.roll_gap_every = Some(3);
    let mut seen = Vec::new();
    let mut short = 0;
    for start in (0..).step_by(3) {
        let page = site.get(&format!("users/search?startAt={start}&maxResults=3")).await.json();
        let page = page.as_array().unwrap();
        if page.is_empty() {
            break;
        }
        short += usize::from(page.len() < 3);
        seen.extend(page.iter().map(|u| u["accountId"].as_str().unwrap().to_owned()));
    }
    let everybody: Vec<String> =
        small_world().accounts.values().filter(|a| a.in_roll()).map(|a| a.account_id.clone()).collect();
    assert!(short > 1);
    assert_eq!(seen, everybody);
}

#[tokio::test]
async fn bulk_leaves_unknown_ids_out_and_asks_for_ten_by_default() {
    let site = Site::new();
    let page = site.get("user/bulk?accountId=712020%3Adana&accountId=nobody").await.json();
    assert_eq!((page["total"].as_u64(), page["maxResults"].as_u64()), (Some(1), Some(10)));
    assert_eq!(site.get("user/bulk").await.status, 400);
    assert_eq!(site.get("user/email?accountId=712020:dana").await.status, 400);
    assert_eq!(site.get("user").await.message(), "The 'accountId' query parameter needs to be provided");
    assert_eq!(site.get("user?accountId=nobody").await.status, 404);
}

#[tokio::test]
async fn closed_accounts_show_nothing_of_the_person() {
    let site = Site::new();
    site.state.world_mut().atlassian.account_mut(DANA).unwrap().account_status = "closed".into();
    let shown = site.get("user?accountId=712020:dana").await.json();
    assert_eq!(
        (shown["displayName"].as_str(), shown["active"].as_bool()),
        (Some("Former user"), Some(false))
    );
    assert!(shown.get("emailAddress").is_none());
}

async fn invite(site: &Site, email: &str) -> Answer {
    site.post("user", json!({"emailAddress": email, "products": ["jira-software"]})).await
}

#[tokio::test]
async fn an_invitation_needs_products_an_address_and_an_organization_admin() {
    let site = Site::new();
    let missing = site.post("user", json!({"emailAddress": "new@example.com"})).await;
    assert_eq!(
        (missing.status, missing.message().as_str()),
        (400, "You must specify the products that user can access.")
    );
    assert_eq!(site.post("user", json!({"products": []})).await.status, 400);
    assert_eq!(
        site.post("user", json!({"emailAddress": "n@example.com", "products": ["bamboo"]})).await.status,
        400
    );
    let body = json!({"emailAddress": "new@example.com", "products": []});
    assert_eq!(
        site.as_caller(READER, "POST", "user", Some(body.clone())).await.status,
        403,
        "administers Jira only"
    );
    assert_eq!(site.as_caller(PLAIN, "POST", "user", Some(body)).await.status, 403);
    assert!(site.state.world().atlassian.invitations.is_empty());
}

#[tokio::test]
async fn a_new_address_is_invited_into_the_default_groups_and_each_repetition_sends_a_mail() {
    let site = Site::new();
    let made = invite(&site, "new@example.com").await;
    assert_eq!((made.status, made.json()["active"].as_bool()), (201, Some(true)));
    let id = made.json()["accountId"].as_str().unwrap().to_owned();
    assert!(site.state.world().atlassian.groups["g-jira"].members.contains(&id));
    assert_eq!(invite(&site, "NEW@example.com").await.json()["accountId"], id.as_str());
    assert_eq!(site.state.world().atlassian.invitations, ["new@example.com", "NEW@example.com"]);
}

#[tokio::test]
async fn some_tenants_answer_user_not_found_although_the_person_was_invited() {
    let site = Site::new();
    site.state.world_mut().atlassian.quirks.invite_answers_not_found = true;
    let answer = invite(&site, "new@example.com").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        "User could not be created: Failed to add user HttpErrorCode 404 - User not found"
    );
    assert_eq!(site.get("user/search?query=new@example.com").await.json().as_array().unwrap().len(), 1);
    assert_eq!(site.state.world().atlassian.invitations, ["new@example.com"]);
}

#[tokio::test]
async fn inviting_an_existing_account_depends_on_its_state() {
    let site = Site::new();
    let with_access = invite(&site, "dana.okafor@example.com").await;
    assert_eq!((with_access.status, with_access.json()["accountId"].as_str()), (201, Some(DANA)));
    for email in ["rita@example.com", "sam@example.com", "gone@example.com", "paul@example.com"] {
        assert_eq!(invite(&site, email).await.status, 400, "{email}");
    }
    assert!(site.state.world().atlassian.invitations.is_empty(), "nobody got a mail");
    assert_eq!(invite(&site, "stan@elsewhere.example").await.json()["accountId"], "712020:stranger");
    let full = invite(&site, "sixth@example.com").await;
    assert_eq!(full.status, 201, "the fifth seat");
    let full = invite(&site, "seventh@example.com").await;
    assert_eq!(full.status, 400);
    assert!(full.message().contains("Licence exceeded"));
}

#[tokio::test]
async fn removing_a_person_frees_the_seat_and_an_invitation_brings_the_account_back() {
    let site = Site::new();
    assert_eq!(site.delete("user?accountId=712020:dana").await.status, 204);
    assert_eq!(site.get("applicationrole").await.json()[0]["userCount"], 2);
    assert_eq!(site.get("user?accountId=712020:dana").await.json()["active"], false);
    assert_eq!(site.delete("user?accountId=712020:dana").await.status, 404);
    assert_eq!(site.as_caller(READER, "DELETE", "user?accountId=712020:plain", None).await.status, 403);
    site.state.world_mut().atlassian.quirks.invite_of_former_answers_500 = true;
    assert_eq!(invite(&site, "dana.okafor@example.com").await.status, 500);
    assert_eq!(site.get("user?accountId=712020:dana").await.json()["active"], true);
}

#[tokio::test]
async fn a_body_must_be_declared_and_be_a_json_object() {
    let site = Site::new();
    assert_eq!(site.as_caller(BOT, "POST", "group", None).await.status, 415);
    assert_eq!(site.post("group", json!([])).await.status, 400);
}

#[tokio::test]
async fn a_user_property_is_kept_beside_the_account() {
    let site = Site::new();
    let path = format!("user/properties/entrain?accountId={DANA}");
    assert_eq!(site.get(&path).await.status, 404);
    let value = json!({"department": "R&D", "cost_centre": "1001"});
    let call = |method: &'static str, path: String, body: Option<serde_json::Value>| {
        let (url, auth) = (format!("/rest/api/3/{path}"), basic(BOT.0, BOT.1));
        let site = &site;
        async move { site.send(&site.jira, method, &url, &auth, body).await }
    };
    assert_eq!(call("PUT", path.clone(), Some(value.clone())).await.status, 201);
    assert_eq!(call("PUT", path.clone(), Some(value.clone())).await.status, 200);
    assert_eq!(site.get(&path).await.json(), json!({"key": "entrain", "value": value}));
    let keys = site.get(&format!("user/properties?accountId={DANA}")).await.json();
    assert_eq!(keys["keys"][0]["key"], "entrain");
    assert_eq!(
        call("PUT", "user/properties/entrain?accountId=nobody".into(), Some(json!(1))).await.status,
        404
    );
    assert_eq!(call("PUT", "user/properties/entrain".into(), Some(json!(1))).await.status, 400);
    let large = json!("x".repeat(40_000));
    assert_eq!(call("PUT", path.clone(), Some(large)).await.status, 400);
    assert_eq!(call("DELETE", path.clone(), None).await.status, 204);
    assert_eq!(call("DELETE", path, None).await.status, 404);
}
