//! The crawl of Jira.

use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::{Settings, Surface};
use serde_json::{Value, json};

use crate::crawl::{Crawl, PLAIN_TOKEN, special};

pub(crate) fn crawl(crawl: &Crawl) {
    let ask = |method, path: &str| crawl.ask(Surface::Site, method, format!("/rest/api/3{path}"));
    let get = |path: &str| ask("GET", path).is(200);

    get("/serverInfo");
    get("/myself");
    let me = get("/myself?expand=groups,applicationRoles");
    let me = me["accountId"].as_str().unwrap();
    get("/mypermissions?permissions=ADMINISTER,USER_PICKER");
    ask("POST", "/permissions/check").body(json!({"globalPermissions": ["ADMINISTER"]})).is(200);
    get("/applicationrole");
    get("/applicationrole/jira-software");

    let roll = get("/users/search?startAt=0&maxResults=1000");
    let roll = roll.as_array().unwrap();
    for kind in ["atlassian", "app", "customer", "unknown"] {
        assert!(roll.iter().any(|user| user["accountType"] == kind), "no account of type {kind}");
    }
    get("/users?maxResults=3");
    for user in roll.iter().filter(|user| user["accountType"] == "atlassian") {
        let id = encoded(user["accountId"].as_str().unwrap());
        get(&format!("/user?accountId={id}"));
        get(&format!("/user?accountId={id}&expand=groups,applicationRoles"));
        get(&format!("/user/groups?accountId={id}"));
    }
    let (first, second) = (encoded(&special(2)), encoded(&special(11)));
    get(&format!("/user/bulk?accountId={first}&accountId={second}&maxResults=1"));
    for query in ["query=special8@acme.example", "query=s&maxResults=2", "query=nobody-at-all"] {
        get(&format!("/user/search?{query}"));
    }
    get(&format!("/user/search?accountId={second}"));
    get("/user/picker?query=s&maxResults=5&showAvatar=true");
    get("/groupuserpicker?query=s&maxResults=5");
    get("/groups/picker?query=jira");

    let groups = get("/group/bulk?startAt=0&maxResults=3");
    assert!(groups["nextPage"].is_string());
    get(groups["nextPage"].as_str().unwrap().split_once("/rest/api/3").unwrap().1);
    get("/group/bulk?accessType=site-admin");
    get("/group/bulk?applicationKey=jira-software");
    let made = ask("POST", "/group").body(json!({"name": "Made by the crawl"})).is(201);
    let made = made["groupId"].as_str().unwrap();
    let membership = |id: &str| format!("/group/user?groupId={made}&accountId={id}");
    let add = |id: &str| ask("POST", &format!("/group/user?groupId={made}")).body(json!({"accountId": id}));
    add(&special(11)).is(201);
    add(&special(12)).is(201);
    let twice = add(&special(11)).is(400);
    assert!(twice["errorMessages"][0].as_str().unwrap().contains("already a member of '{1}'"));
    get(&format!("/group/member?groupId={made}&includeInactiveUsers=true&startAt=0&maxResults=1"));
    get("/group/member?groupname=jira-software-users");
    get(&format!("/group?groupId={made}&expand=users"));
    ask("DELETE", &membership(&second)).is(200);
    ask("DELETE", &membership(&second)).is(400);

    // Invitations: new, present, without access
    let invite = |email: &str, products: Value| {
        ask("POST", "/user").body(json!({"emailAddress": email, "products": products}))
    };
    let invited = invite("brand.new@acme.example", json!(["jira-software"])).is(201);
    invite("brand.new@acme.example", json!(["jira-software"])).is(201);
    invite("special2@acme.example", json!(["jira-software"])).is(400);
    invite("special3@acme.example", json!([])).is(400);
    invite("no address", json!([])).is(400);
    ask("POST", "/user").body(json!({"emailAddress": "other@acme.example"})).is(400);
    let invited = encoded(invited["accountId"].as_str().unwrap());
    ask("DELETE", &format!("/user?accountId={invited}")).is(204);

    for (method, path, status) in [
        ("GET", "/user?accountId=nobody", 404),
        ("GET", "/user/groups?accountId=nobody", 404),
        ("GET", "/user/search", 400),
        ("GET", "/user/email?accountId=x", 400),
        ("GET", "/user/email/bulk?accountId=x", 400),
        ("GET", "/group/member?groupname=no-such-group", 404),
        ("GET", "/group/member", 400),
        ("GET", "/mypermissions?permissions=NO_SUCH", 400),
        ("DELETE", "/group?groupname=no-such-group", 404),
        ("DELETE", "/user?accountId=nobody", 404),
        ("GET", "/applicationrole/no-such-product", 404),
    ] {
        ask(method, path).is(status);
    }
    ask("POST", "/group").body(json!({"name": "Made by the crawl"})).is(400);
    ask("POST", "/group").body(json!({})).is(400);
    add("nobody").is(404);

    refusals(crawl, made, me);
    ask("DELETE", &format!("/group?groupId={made}")).is(200);
    crawl.ask(Surface::Site, "GET", "/_edge/tenant_info").is(200);
}

/// Nobody, a wrong token, a person without rights, and limits.
fn refusals(crawl: &Crawl, group: &str, me: &str) {
    let ask = |method, path: &str| crawl.ask(Surface::Site, method, format!("/rest/api/3{path}"));
    let wrong = Crawl::basic("sync-bot@acme.example", "wrong");
    for authorization in ["", wrong.as_str()] {
        for path in ["/myself", "/group/bulk", "/applicationrole", "/user/bulk?accountId=x"] {
            ask("GET", path).header("authorization", authorization).is(401);
        }
        // Open paths answer as to an anonymous caller
        assert_eq!(
            ask("GET", "/user/search?query=a").header("authorization", authorization).is(200),
            json!([])
        );
        ask("GET", "/serverInfo").header("authorization", authorization).is(200);
    }
    let plain = Crawl::basic("plain@acme.example", PLAIN_TOKEN);
    let as_plain = |method, path: &str| ask(method, path).header("authorization", &plain);
    as_plain("POST", "/group").body(json!({"name": "Not allowed"})).is(403);
    as_plain("DELETE", &format!("/group?groupId={group}")).is(403);
    as_plain("POST", &format!("/group/user?groupId={group}")).body(json!({"accountId": special(11)})).is(403);
    as_plain("DELETE", &format!("/group/user?groupId={group}&accountId={}", encoded(&special(12)))).is(403);
    as_plain("POST", "/user").body(json!({"emailAddress": "a@acme.example", "products": []})).is(403);
    as_plain("DELETE", &format!("/user?accountId={}", encoded(me))).is(403);
    as_plain("GET", "/applicationrole").is(403);
    let other = json!({"globalPermissions": ["ADMINISTER"], "accountId": me});
    as_plain("POST", "/permissions/check").body(other).is(403);

    let state = crawl.bench.emulator.state();
    let before = state.settings();
    let mut narrow = Settings::clone(&before);
    narrow.atlassian.throttle = true;
    narrow.atlassian.burst_per_second.insert("GET".into(), 1);
    state.set_settings(narrow);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/rest/api/3/user/search?query=a", crawl.bench.company().site_url);
    let throttled = crawl.bench.runtime.block_on(async {
        for _ in 0..500 {
            if http.get(&url).send().await.unwrap().status() == 429 {
                return true;
            }
        }
        false
    });
    assert!(throttled, "the burst limit of one request a second was never met");
    state.set_settings(Settings::clone(&before));
    let kind = FaultKind::Status { status: 500, headers: [].into(), body: None };
    let path = Some("/rest/api/3/group/bulk".to_owned());
    state
        .faults
        .add(Fault { surface: Some(Surface::Site), path, count: Some(1), ..Fault::new(kind) })
        .unwrap();
    ask("GET", "/group/bulk").is(500);
}

/// A value in a query.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
