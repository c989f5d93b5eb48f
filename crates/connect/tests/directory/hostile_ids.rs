//! H-06: every call of the directory's client, with ids and names as somebody chooses them who wants to reach another
//! endpoint, in the call and in what Graph answers. Each request goes exactly where it goes for an innocent id, with the
//! id as one value.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use entrain_domain::model::{ApplicationId, DirectoryGroupId, DirectoryUserId, EmailAddress, PersonKey};
use entrain_domain::notification::SubscriptionId;
use entrain_domain::policy::{Demand, GroupSelector, Scope, UserScope};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, Request, ResponseTemplate};

use super::pieces;
use crate::graph::{Tenant, demand, tenant};

type Made<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Make = for<'a> fn(&'a Tenant, &'a str) -> Made<'a>;

/// A call whose outcome does not matter.
macro_rules! case {
    ($name:literal, |$tenant:ident, $text:ident| $call:expr) => {
        ($name, |$tenant, $text| {
            Box::pin(async move {
                let _ = $call.await;
            })
        })
    };
}

fn user_id(text: &str) -> DirectoryUserId {
    DirectoryUserId::parse(text).unwrap()
}

fn scoped(groups: &[&str], users: UserScope) -> Demand {
    let groups = groups.iter().map(|text| GroupSelector::parse(text).unwrap()).collect();
    Demand {
        scope: Scope { users, ..Scope::in_groups(groups) },
        attributes: BTreeSet::new(),
        asides: Vec::new(),
    }
}

fn assigned(text: &str) -> Demand {
    scoped(&["*"], UserScope::Assigned(ApplicationId::parse(text).unwrap()))
}

fn cases() -> Vec<(&'static str, Make)> {
    vec![
        case!("person, by id", |t, x| t.entra.person(&PersonKey::Id(user_id(x)), &demand(&["*"]))),
        case!("person, by name", |t, x| t.entra.person(&PersonKey::Name(x.into()), &demand(&["*"]))),
        case!("people_of", |t, x| async {
            if let Ok(address) = EmailAddress::parse(x) {
                let _ = t.entra.people_of(&address, &demand(&["*"])).await;
            }
        }),
        case!("groups_seen", |t, x| t.entra.groups_seen(&[DirectoryGroupId::parse(x).unwrap()])),
        case!("read, everything", |t, _x| t.entra.read(&demand(&["*"]), &[])),
        case!("read, a group by id or name", |t, x| t.entra.read(&demand(&[x]), &[])),
        case!("read, somebody expected", |t, x| t.entra.read(&demand(&["*"]), &[user_id(x)])),
        case!("read, by assignment", |t, x| t.entra.read(&assigned(x), &[])),
        case!("check", |t, x| t.entra.check(&assigned(x).scope)),
    ]
}

/// Graph calling everything by this id.
fn answered(request: &Request, id: &str) -> ResponseTemplate {
    let path = request.url.path();
    if path.contains("/token") {
        let token = json!({"access_token": "token", "expires_in": 3599});
        return ResponseTemplate::new(200).set_body_json(token);
    }
    let base = format!("http://{}", request.headers["host"].to_str().unwrap());
    if path.ends_with("/$batch") {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let parts = asked["requests"].as_array().unwrap().iter().map(|part| {
            let (status, body) = single(part["url"].as_str().unwrap(), &base, id);
            json!({"id": part["id"], "status": status, "headers": {}, "body": body})
        });
        let responses: Vec<Value> = parts.collect();
        return ResponseTemplate::new(200).set_body_json(json!({ "responses": responses }));
    }
    let target = path.strip_prefix("/v1.0").unwrap_or(path);
    let (status, body) = single(target, &base, id);
    ResponseTemplate::new(status).set_body_json(body)
}

fn single(target: &str, base: &str, id: &str) -> (u16, Value) {
    let path = target.split('?').next().unwrap();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        [kind @ ("users" | "groups"), "delta"] => {
            (200, json!({"value": [], "@odata.deltaLink": format!("{base}/v1.0/{kind}/delta?$deltatoken=d")}))
        }
        ["users"] => (
            200,
            json!({"value": [{"id": id, "displayName": "One", "mail": "one@example.com",
            "userPrincipalName": "one@example.com", "accountEnabled": true, "userType": "Member"}]}),
        ),
        ["groups"] => (200, json!({"value": [{"id": id, "displayName": "Jira"}]})),
        ["groups", _, "members"] | [_, "appRoleAssignedTo"] | [_, _, "memberOf" | "transitiveMemberOf"] => {
            (200, json!({"value": []}))
        }
        _ => (404, json!({"error": {"code": "Request_ResourceNotFound"}})),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Where a request went, with the id taken out.
fn shape(target: &str, text: &str, context: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%/?&=$,()'".contains(c);
    assert!(target.chars().all(plain), "{context}: {target}");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let lower = text.to_lowercase();
    let hide = |part: &str| {
        let part = decoded(part);
        let quoted = [text.replace('\'', "''"), lower.replace('\'', "''")];
        let hidden = quoted.iter().fold(part, |part, quoted| part.replace(quoted.as_str(), "{}"));
        hidden.replace(text, "{}")
    };
    let path: Vec<String> = path.split('/').map(hide).collect();
    let query: Vec<String> = query.split('&').map(hide).collect();
    format!("{path:?}?{query:?}")
}

async fn shapes((name, make): &(&'static str, Make), text: &str) -> Vec<String> {
    let tenant = tenant(0, 0, 0).await;
    let told = text.to_owned();
    let mock = Mock::given(any()).respond_with(move |request: &Request| answered(request, &told));
    mock.with_priority(1).mount(&tenant.server).await;
    make(&tenant, text).await;
    let context = format!("{name} with {text:?}");
    let mut found = Vec::new();
    for request in tenant.server.received_requests().await.unwrap() {
        let target = &request.url[url::Position::BeforePath..];
        if target.ends_with("/$batch") {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let parts = asked["requests"].as_array().unwrap().iter();
            found.extend(parts.map(|part| shape(part["url"].as_str().unwrap(), text, &context)));
        } else {
            found.push(format!("{} {}", request.method, shape(target, text, &context)));
        }
    }
    // Lists of one side by side come in any order
    found.sort();
    found
}

const HOSTILE: [&str; 26] = [
    "zq/b",
    "zq?b",
    "zq#b",
    "zq%2fb",
    "zq%252fb",
    "../zq",
    "zq/../../beta/users",
    "zq/..",
    "./zq",
    "zq;b=c",
    "zq\\..\\b",
    "zq&$filter=true",
    "//evil.example/zq",
    "https://evil.example/zq",
    "zq|b",
    "zq'b",
    "zq''",
    "'zq",
    "zq')/owners",
    "zq\"b",
    "zq+b",
    "ａ／ｂzq",
    "zq%00y",
    "zq%0d%0aHost:evil",
    "%2e%2e%2fzq",
    "@evil.example/zq",
];

fn corpus(random: &mut StdRng) -> Vec<String> {
    HOSTILE.into_iter().map(str::to_owned).chain(pieces::drawn(random)).collect()
}

#[tokio::test]
async fn h_06_no_call_leaves_its_endpoint_whatever_ids_and_names_hold() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let corpus = corpus(&mut StdRng::seed_from_u64(seed));
    let mut checked = 0;
    for case in cases() {
        let innocent = shapes(&case, "innocent@example.com").await;
        assert!(!innocent.is_empty(), "{} asks for something", case.0);
        for text in &corpus {
            if DirectoryUserId::parse(text).is_err() || GroupSelector::parse(text).is_err() {
                continue;
            }
            if case.0 == "people_of" && EmailAddress::parse(text).is_err() {
                continue;
            }
            let hostile = shapes(&case, text).await;
            assert_eq!(hostile, innocent, "seed {seed}: {} with {text:?}", case.0);
            checked += hostile.len();
        }
    }
    assert!(checked > 1_000, "only {checked} requests");
    // What names a subscription is put into addresses as well. None of the hostile texts is an id of one, and of those that
    // were drawn only what could do no harm
    assert!(HOSTILE.iter().all(|text| SubscriptionId::parse(text).is_none()));
    let harmless = |id: SubscriptionId| id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    assert!(corpus.iter().filter_map(|text| SubscriptionId::parse(text)).all(harmless));
}
