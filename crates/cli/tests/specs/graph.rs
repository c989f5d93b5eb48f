//! The crawl of Microsoft Graph.

use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::{Settings, Surface};
use serde_json::{Value, json};

use crate::crawl::{Crawl, POOR};

const EVENTUAL: (&str, &str) = ("ConsistencyLevel", "eventual");
const USER: &str = "$select=id,displayName,givenName,surname,mail,userPrincipalName,accountEnabled,userType,otherMails,\
    jobTitle,department,employeeId,companyName,officeLocation,usageLocation,preferredLanguage,mobilePhone,businessPhones,\
    mailNickname,createdDateTime";
const GROUP: &str = "$select=id,displayName,description,mail,mailNickname,mailEnabled,securityEnabled,groupTypes,\
    visibility,membershipRule,createdDateTime";

pub(crate) fn crawl(crawl: &Crawl) {
    let token = crawl.rich();
    let ask = |method, path: &str| {
        crawl.ask(Surface::Graph, method, format!("/v1.0{path}")).header("authorization", &token)
    };
    // All pages of a list
    let pages = |path: &str, eventual: bool| {
        let mut next = Some(path.to_owned());
        let mut rows = Vec::new();
        while let Some(path) = next {
            let asked = if path.starts_with("http") {
                crawl.ask(Surface::Graph, "GET", path).header("authorization", &token)
            } else {
                ask("GET", &path)
            };
            let page = if eventual { asked.header(EVENTUAL.0, EVENTUAL.1) } else { asked }.is(200);
            rows.extend(page["value"].as_array().unwrap().clone());
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        rows
    };

    let users = pages(&format!("/users?{USER}&$top=9"), false);
    assert_eq!(users.len(), 60);
    let groups = pages(&format!("/groups?{GROUP}"), false);
    pages("/users", false);
    pages("/groups?$top=3", false);
    pages("/users?$expand=manager($select=id,displayName)&$select=id&$top=20", false);
    for filter in ["accountEnabled eq true", "startswith(displayName,'a')", "userType eq 'Guest'"] {
        pages(&format!("/users?$filter={filter}"), false);
    }
    for query in [
        "$filter=endsWith(mail,'.example')&$count=true",
        "$search=\"displayName:a\"&$top=4",
        "$count=true&$top=4",
    ] {
        pages(&format!("/users?{query}"), true);
    }
    pages("/groups?$filter=groupTypes/any(c:c eq 'Unified')", false);
    pages("/groups?$filter=displayName eq 'Project Apollo'&$select=id", false);

    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    for user in users.iter().take(12) {
        let user = id(user);
        ask("GET", &format!("/users/{user}")).is(200);
        ask("GET", &format!("/users/{user}?{USER}")).is(200);
        for link in ["memberOf", "transitiveMemberOf"] {
            pages(&format!("/users/{user}/{link}"), false);
            pages(&format!("/users/{user}/{link}?$select=id,displayName&$top=2"), false);
            pages(&format!("/users/{user}/{link}/microsoft.graph.group?$count=true&$select=id"), true);
        }
        let asked = json!({"securityEnabledOnly": false});
        ask("POST", &format!("/users/{user}/getMemberGroups")).body(asked).is(200);
    }
    let managed = users.iter().find(|user| {
        let manager =
            pages(&format!("/users?$filter=id eq '{}'&$expand=manager&$select=id", id(user)), false);
        manager[0]["manager"].is_object()
    });
    ask("GET", &format!("/users/{}/manager", id(managed.unwrap()))).is(200);
    for group in &groups {
        let group = id(group);
        ask("GET", &format!("/groups/{group}")).is(200);
        for link in ["members", "transitiveMembers"] {
            pages(&format!("/groups/{group}/{link}"), false);
            pages(&format!("/groups/{group}/{link}?$select=id&$top=5"), false);
            pages(&format!("/groups/{group}/{link}/microsoft.graph.user?$count=true&{USER}&$top=5"), true);
            for count in ["$count", "microsoft.graph.user/$count"] {
                ask("GET", &format!("/groups/{group}/{link}/{count}")).header(EVENTUAL.0, EVENTUAL.1).is(200);
            }
        }
    }
    // A group that may hold groups
    let nested = groups.iter().find(|g| g["groupTypes"].as_array().unwrap().is_empty()).unwrap();
    for link in ["members", "transitiveMembers"] {
        let path = format!("/groups/{}/{link}/microsoft.graph.group", id(nested));
        pages(&format!("{path}?$count=true"), true);
        ask("GET", &format!("{path}/$count")).header(EVENTUAL.0, EVENTUAL.1).is(200);
    }
    for count in ["/users/$count", "/groups/$count", "/users/$count?$filter=accountEnabled eq true"] {
        ask("GET", count).header(EVENTUAL.0, EVENTUAL.1).is(200);
    }

    // Applications and the organization
    let app = crawl.bench.company().client_id.clone();
    let services = pages("/servicePrincipals", false);
    pages(&format!("/servicePrincipals?$filter=appId eq '{app}'&$select=id,appId,displayName"), false);
    let service = services.iter().find(|s| s["appId"] == app.as_str()).map(id).unwrap();
    ask("GET", &format!("/servicePrincipals/{service}")).is(200);
    ask("GET", &format!("/servicePrincipals(appId='{app}')?$select=id,appRoles")).is(200);
    assert_eq!(pages(&format!("/servicePrincipals(appId='{app}')/appRoleAssignedTo?$top=2"), false).len(), 4);
    pages(&format!("/servicePrincipals/{service}/appRoleAssignedTo"), false);
    ask("GET", "/organization").is(200);
    ask("GET", "/organization?$select=id,displayName,verifiedDomains").is(200);
    let ids = json!({"ids": [id(&users[0]), id(&groups[0]), service], "types": ["user", "group"]});
    ask("POST", "/directoryObjects/getByIds").body(ids).is(200);

    delta(crawl, &token, &users, &groups);
    for bin in ["user", "group"] {
        assert!(!pages(&format!("/directory/deletedItems/microsoft.graph.{bin}"), false).is_empty());
        pages(
            &format!("/directory/deletedItems/microsoft.graph.{bin}?$select=id,deletedDateTime&$top=1"),
            false,
        );
    }

    batch(crawl, &token, &id(&users[0]), &id(&groups[0]));
    refusals(crawl, &token, &id(&users[5]), &id(&groups[0]));
}

fn delta(crawl: &Crawl, token: &str, users: &[Value], groups: &[Value]) {
    let rounds = |url: String, minimal: bool| -> String {
        let mut next = url;
        loop {
            let ask = crawl.ask(Surface::Graph, "GET", next.clone()).header("authorization", token);
            let page = if minimal { ask.header("Prefer", "return=minimal") } else { ask }.is(200);
            // The document says it in words only
            assert_ne!(page["@odata.nextLink"].is_null(), page["@odata.deltaLink"].is_null());
            match page["@odata.nextLink"].as_str() {
                Some(link) => link.clone_into(&mut next),
                None => return page["@odata.deltaLink"].as_str().unwrap().to_owned(),
            }
        }
    };
    let root = format!("{}/v1.0", crawl.bench.company().graph_url);
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    let first = [
        "users/delta".to_owned(),
        format!("users/delta?{USER},manager"),
        "groups/delta".to_owned(),
        "groups/delta?$select=displayName,description,mailNickname,groupTypes,securityEnabled,members"
            .to_owned(),
        format!(
            "groups/delta?$filter=id eq '{}' or id eq '{}'&$select=displayName,members",
            id(&groups[1]),
            id(&groups[2])
        ),
        "users/delta?$deltatoken=latest".to_owned(),
        "groups/delta?$deltatoken=latest&$select=displayName,members".to_owned(),
    ];
    let mut links: Vec<String> = first.iter().map(|path| rounds(format!("{root}/{path}"), false)).collect();
    let changes = [
        json!([
            {"change": "create_user", "user": {"displayName": "New", "userPrincipalName": "new@acme.example"}},
            {"change": "update_user", "user": id(&users[0]), "set": {"jobTitle": null, "department": "Moved"}},
            {"change": "disable_user", "user": id(&users[1])},
            {"change": "delete_user", "user": id(&users[2])},
            {"change": "delete_user", "user": id(&users[3])},
            {"change": "create_group", "group": {"displayName": "New group"}},
            {"change": "rename_group", "group": id(&groups[1]), "name": "Renamed"},
            {"change": "delete_group", "group": id(&groups[3])},
            {"change": "delete_group", "group": id(&groups[4])},
            {"change": "add_member", "group": id(&groups[1]), "member": {"type": "group", "id": id(&groups[5])}},
        ]),
        json!([
            {"change": "restore_user", "user": id(&users[2])},
            {"change": "purge_user", "user": id(&users[3])},
            {"change": "restore_group", "group": id(&groups[3])},
            {"change": "remove_member", "group": id(&groups[1]), "member": {"type": "group", "id": id(&groups[5])}},
            {"change": "delete_user", "user": id(&users[4])},
        ]),
    ];
    for (round, changes) in changes.iter().enumerate() {
        crawl.change(changes);
        links = links.into_iter().map(|link| rounds(link, round == 1)).collect();
    }
    // Too old
    let life = 7 * 24 * 3600 * 1000 + 2000;
    crawl.bench.emulator.state().clock.advance(life).unwrap();
    let refused = crawl.ask(Surface::Graph, "GET", links[0].clone()).is(400);
    assert_eq!(refused["error"]["code"], "syncStateNotFound");
    crawl.bench.emulator.state().clock.advance(-life).unwrap();
}

fn batch(crawl: &Crawl, token: &str, user: &str, group: &str) {
    let send = |requests: Value| {
        let ask = crawl.ask(Surface::Graph, "POST", "/v1.0/$batch").header("authorization", token);
        ask.body(json!({"requests": requests}))
    };
    send(json!([
        {"id": "1", "method": "GET", "url": format!("/groups/{group}/members?$select=id&$top=999")},
        {"id": "2", "method": "GET", "url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}},
        {"id": "3", "method": "POST", "url": format!("/users/{user}/getMemberGroups"),
            "headers": {"Content-Type": "application/json"}, "body": {"securityEnabledOnly": false}},
        {"id": "4", "method": "GET", "url": "/users/nobody"},
        {"id": "5", "method": "GET", "url": "/users?$top=1000"},
        {"id": "6", "method": "GET", "url": "/groups?$top=2"},
    ]))
    .is(200);
    let one = json!({"id": "1", "method": "GET", "url": "/organization"});
    send(json!([one, one])).is(400);
    let many: Vec<Value> =
        (0..21).map(|n| json!({"id": n.to_string(), "method": "GET", "url": "/organization"})).collect();
    send(many.into()).is(400);
}

fn refusals(crawl: &Crawl, token: &str, user: &str, group: &str) {
    let ask =
        |path: &str| crawl.ask(Surface::Graph, "GET", format!("/v1.0{path}")).header("authorization", token);
    for (path, status) in [
        ("/users?$top=1000", 400),
        ("/users?$top=0", 400),
        ("/users?$filter=accountEnabled ne true", 400),
        ("/users?$filter=nonsense", 400),
        ("/users?$select=noSuchProperty", 400),
        ("/users?$select=aboutMe", 501),
        ("/users?$skip=1", 400),
        ("/users?$skiptoken=stale", 400),
        ("/users/$count", 400),
        ("/users/delta?$deltatoken=wrong", 400),
        ("/users/nobody@acme.example", 404),
        ("/groups/00000000-0000-4000-8000-000000000000", 404),
        ("/groups/00000000-0000-4000-8000-000000000000/members", 404),
        ("/auditLogs/signIns", 403),
        ("/servicePrincipals(appId='00000000-0000-4000-8000-000000000000')", 404),
    ] {
        ask(path).is(status);
    }
    // Nobody, a stranger, and an application that may read next to nothing
    for authorization in ["", "Bearer x.y.z", "Basic eDp5"] {
        crawl.ask(Surface::Graph, "GET", "/v1.0/users").header("authorization", authorization).is(401);
    }
    let poor = crawl.token(POOR);
    let as_poor =
        |path: &str| crawl.ask(Surface::Graph, "GET", format!("/v1.0{path}")).header("authorization", &poor);
    for path in [
        "/users",
        "/users/delta",
        "/groups",
        "/servicePrincipals",
        "/directory/deletedItems/microsoft.graph.user",
    ] {
        as_poor(path).is(403);
    }
    as_poor(&format!("/users/{user}")).is(403);
    as_poor(&format!("/groups/{group}/members")).is(200);

    let state = crawl.bench.emulator.state();
    let before = state.settings();
    let mut narrow = Settings::clone(&before);
    narrow.graph.resource_units_per_10_s = 2;
    state.set_settings(narrow);
    let mut throttled = 0;
    while throttled == 0 {
        let answer = crawl.bench.runtime.block_on(async {
            let url = format!("{}/v1.0/groups/{group}/transitiveMembers", crawl.bench.company().graph_url);
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            http.get(url).header("authorization", token).send().await.unwrap().status().as_u16()
        });
        throttled += u16::from(answer == 429);
    }
    state.set_settings(Settings::clone(&before));
    for status in [500, 503, 504] {
        let kind = FaultKind::Status { status, headers: [].into(), body: None };
        state
            .faults
            .add(Fault { surface: Some(Surface::Graph), count: Some(1), ..Fault::new(kind) })
            .unwrap();
    }
    for status in [500, 503, 504] {
        ask("/organization").is(status);
    }
}
