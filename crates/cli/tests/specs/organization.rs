//! The crawl of the Organizations and User management APIs.

use entrain_emulator::Surface;
use serde_json::{Value, json};

use crate::crawl::{Crawl, special};

pub(crate) fn crawl(crawl: &Crawl) {
    let c = crawl.bench.company();
    let (org, directory) = (&c.organization_id, &c.directory_id);
    let ask = |method, path: &str| crawl.ask(Surface::Organization, method, format!("/admin{path}"));
    let v1 = format!("/v1/orgs/{org}");
    let v2 = format!("/v2/orgs/{org}");
    let inside = format!("{v2}/directories/{directory}");

    ask("GET", "/v1/orgs").is(200);
    ask("GET", &v1).is(200);
    ask("GET", &format!("{v1}/users")).is(200);
    ask("GET", &format!("{v2}/directories")).is(200);
    let spaces = ask("POST", &format!("{v2}/workspaces")).body(json!({"limit": 2})).is(200);
    let cursor = json!({"cursor": spaces["links"]["next"]});
    ask("POST", &format!("{v2}/workspaces")).body(cursor).is(200);
    let resource = spaces["data"][0]["id"].as_str().unwrap();

    // Users
    let every = json!(["platformRoles", "counts.resources", "productAccess", "groups"]);
    let search = |body: Value| ask("POST", &format!("{v2}/directories/-/users/search")).body(body);
    let page = search(json!({"expand": every, "limit": 5})).is(200);
    search(json!({"cursor": page["links"]["next"]})).is(200);
    search(json!({"limit": 100})).is(200);
    search(json!({"emails": ["special2@acme.example", "nobody@acme.example"]})).is(200);
    search(json!({"cursor": "zz"})).is(400);
    for path in ["users?limit=3", "users/count", "groups?limit=3", "groups/count"] {
        ask("GET", &format!("{inside}/{path}")).is(200);
    }
    for number in [2, 3, 6, 7, 8, 11] {
        ask("GET", &format!("{inside}/users/{}", special(number))).is(200);
        ask("GET", &format!("{inside}/users/{}/role-assignments", special(number))).is(200);
    }
    ask("POST", &format!("{inside}/users/{}/suspend", special(11))).is(204);
    ask("POST", &format!("{inside}/users/{}/restore", special(11))).is(204);
    ask("POST", &format!("{inside}/users/nobody/suspend")).is(404);
    ask("GET", &format!("{inside}/users/nobody")).is(404);
    for verb in ["assign", "revoke"] {
        let path = format!("{v1}/users/{}/role-assignments/{verb}", special(11));
        ask("POST", &path).body(json!({"role": "atlassian/org-admin"})).is(204);
    }
    let invite = |body: Value| ask("POST", &format!("{v2}/users/invite")).body(body);
    let rules = json!([{"resource": resource, "role": "atlassian/user"}]);
    invite(json!({"emails": ["invited@acme.example"], "permissionRules": rules, "sendNotification": false}))
        .is(200);
    invite(json!({})).is(400);

    // Groups
    ask("POST", &format!("{inside}/groups"))
        .body(json!({"name": "By the key", "description": "Made"}))
        .is(201);
    ask("POST", &format!("{inside}/groups")).body(json!({"name": "By the key"})).is(409);
    let find = |body: Value| ask("POST", &format!("{v2}/directories/-/groups/search")).body(body);
    let counts = json!(["counts.users", "counts.resources"]);
    let found = find(json!({"groupNames": ["by the key"], "expand": counts})).is(200);
    let group = format!("{inside}/groups/{}", found["data"][0]["id"].as_str().unwrap());
    let page = find(json!({"limit": 2})).is(200);
    find(json!({"cursor": page["links"]["next"]})).is(200);
    ask("GET", &group).is(200);
    ask("GET", &format!("{inside}/groups/00000000-0000-4000-8000-000000000000")).is(404);
    let member = |id: &str| ask("POST", &format!("{group}/memberships")).body(json!({"accountId": id}));
    member(&special(11)).is(204);
    member("nobody").is(404);
    ask("GET", &format!("{group}/role-assignments")).is(200);
    ask("DELETE", &format!("{group}/memberships/{}", special(11))).is(204);
    ask("DELETE", &format!("{group}/memberships/{}", special(11))).is(404);
    ask("DELETE", &group).is(204);
    ask("DELETE", &group).is(404);
    ask("DELETE", &format!("{inside}/users/{}", special(8))).is(204);

    // Wrong organization, no key
    ask("GET", "/v1/orgs/00000000-0000-4000-8000-000000000000").is(404);
    for path in ["/v1/orgs", &v1, &format!("{inside}/users/{}", special(11))] {
        ask("GET", path).header("authorization", "Bearer wrong").is(401);
    }

    manage(crawl);
}

fn manage(crawl: &Crawl) {
    let ask = |method, number: u8, rest: &str| {
        crawl.ask(Surface::Organization, method, format!("/users/{}/manage{rest}", special(number)))
    };
    for number in [6, 11] {
        ask("GET", number, "").is(200);
        ask("GET", number, "?privileges=profile.write&privileges=lifecycle.enablement").is(200);
        ask("GET", number, "/profile").is(200);
    }
    let names =
        json!({"name": "Other Name", "nickname": "Other", "extended_profile": {"job_title": "Baker"}});
    ask("PATCH", 11, "/profile").body(names).is(200);
    ask("PATCH", 11, "/profile").body(json!({"name": "x".repeat(101)})).is(400);
    ask("PATCH", 6, "/profile").body(json!({"name": "Owned"})).is(403);
    ask("PUT", 11, "/email").body(json!({"email": "moved@acme.example"})).is(204);
    ask("POST", 11, "/lifecycle/disable").body(json!({"message": "On leave"})).is(204);
    ask("POST", 11, "/lifecycle/enable").is(204);
    ask("POST", 11, "/lifecycle/delete").is(200);
    ask("POST", 11, "/lifecycle/cancel-delete").is(200);
    ask("GET", 99, "/profile").is(404);
    ask("GET", 8, "/profile").is(403);
    ask("GET", 11, "/profile").header("authorization", "Bearer wrong").is(401);
}
