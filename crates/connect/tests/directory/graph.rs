//! A small Graph and sign-in endpoint with switches for what goes wrong.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use entrain_connect::entra::{Credential, Entra, EntraOptions, Sessions};
use entrain_connect::http::{BaseUrl, HttpOptions, Meter, Plane, SteppedEnvironment};
use entrain_domain::policy::{Demand, GroupSelector, Scope};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// Changes an answer before it leaves: gets the path with query, how often it was asked before, and the answer.
type Meddle = Box<dyn Fn(&str, usize, (u16, Value)) -> (u16, Value) + Send>;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) users: Vec<Value>,
    pub(crate) groups: BTreeMap<String, (String, Vec<Value>)>,
    /// Ids of users in the recycle bin.
    pub(crate) bin: Vec<String>,
    /// Entries of the next delta round.
    pub(crate) user_changes: Vec<Value>,
    pub(crate) group_changes: Vec<Value>,
    /// Principals of assignments: type and id.
    pub(crate) assigned: Vec<(&'static str, String)>,
    pub(crate) log: Vec<String>,
    pub(crate) tokens: usize,
    pub(crate) meddle: Option<Meddle>,
}

#[derive(Clone)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<World>>);

pub(crate) struct Tenant {
    pub(crate) server: MockServer,
    pub(crate) world: Fake,
    pub(crate) environment: Arc<SteppedEnvironment>,
    pub(crate) entra: Entra,
}

pub(crate) fn user(n: usize) -> Value {
    json!({"id": format!("u{n:05}"), "displayName": format!("User {n}"), "mail": format!("u{n}@example.com"),
        "userPrincipalName": format!("u{n}@example.com"), "accountEnabled": true, "userType": "Member", "otherMails": []})
}

pub(crate) fn member(n: usize) -> Value {
    json!({"@odata.type": "#microsoft.graph.user", "id": format!("u{n:05}")})
}

pub(crate) fn nested(id: &str) -> Value {
    json!({"@odata.type": "#microsoft.graph.group", "id": id})
}

pub(crate) fn demand(groups: &[&str]) -> Demand {
    let groups = groups.iter().map(|text| GroupSelector::parse(text).unwrap()).collect();
    let scope = Scope::in_groups(groups);
    Demand { scope, attributes: BTreeSet::new(), asides: Vec::new() }
}

/// A tenant with so many users and groups of so many members.
pub(crate) async fn tenant(users: usize, groups: usize, members: usize) -> Tenant {
    tenant_with(users, groups, members, Credential::Secret("s3cret-canary".to_owned().into())).await
}

pub(crate) async fn tenant_with(
    users: usize,
    groups: usize,
    members: usize,
    credential: Credential,
) -> Tenant {
    let mut world = World { users: (0..users).map(user).collect(), ..World::default() };
    for g in 0..groups {
        let members = (0..members).map(|m| member((g * 7 + m) % users.max(1))).collect();
        world.groups.insert(format!("g{g:05}"), (format!("Group {g}"), members));
    }
    let server = MockServer::start().await;
    let world = Fake(Arc::new(Mutex::new(world)));
    Mock::given(any()).respond_with(world.clone()).mount(&server).await;
    let environment = Arc::new(SteppedEnvironment::starting_at("2026-11-23T10:00:00Z".parse().unwrap()));
    let options = EntraOptions {
        authority_url: server.uri(),
        graph_url: server.uri(),
        scope: "https://graph.microsoft.com/.default".to_owned(),
        tenant_id: "tenant".to_owned(),
        client_id: "client".to_owned(),
        credential,
        sessions: Sessions::default(),
    };
    let base = BaseUrl::parse(&server.uri()).unwrap();
    let http = HttpOptions::new(base, Plane::Directory, Arc::new(Meter::new()), environment.clone());
    let entra = Entra::new(options, &http).unwrap();
    Tenant { server, world, environment, entra }
}

impl Tenant {
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.0.lock().unwrap())
    }

    /// Changes answers from now on.
    pub(crate) fn meddle(&self, meddle: impl Fn(&str, usize, (u16, Value)) -> (u16, Value) + Send + 'static) {
        self.change(|world| world.meddle = Some(Box::new(meddle)));
    }

    /// Requests to paths that begin like this, the query included.
    pub(crate) fn asked(&self, start: &str) -> usize {
        self.change(|world| world.log.iter().filter(|path| path.starts_with(start)).count())
    }
}

fn page(base: &str, path: &str, skip: usize, items: &[Value]) -> Value {
    let page: Vec<_> = items.iter().skip(skip).take(999).cloned().collect();
    let mut body = json!({"value": page});
    if skip + 999 < items.len() {
        let sign = if path.contains('?') { '&' } else { '?' };
        body["@odata.nextLink"] = json!(format!("{base}/v1.0{path}{sign}$skiptoken={}", skip + 999));
    }
    body
}

impl World {
    fn answer(&mut self, base: &str, target: &str) -> (u16, Value) {
        let before = self.log.iter().filter(|path| *path == target).count();
        self.log.push(target.to_owned());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let skip = query.split("$skiptoken=").nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
        let parts: Vec<_> = path.split('/').skip(1).collect();
        let found = match parts.as_slice() {
            [kind, "delta"] => {
                let link = format!("{base}/v1.0/{kind}/delta?$deltatoken=d{}", self.log.len());
                let changes = if query.contains("latest") {
                    Vec::new()
                } else if *kind == "users" {
                    std::mem::take(&mut self.user_changes)
                } else {
                    std::mem::take(&mut self.group_changes)
                };
                (200, json!({"value": changes, "@odata.deltaLink": link}))
            }
            ["users"] if query.contains("$filter=mail eq '") => {
                let named = query.split("mail eq '").nth(1).unwrap_or_default();
                let named = named.split('\'').next().unwrap_or_default().to_lowercase();
                let fits = |user: &&Value| {
                    ["mail", "userPrincipalName"]
                        .iter()
                        .any(|key| user[*key].as_str().is_some_and(|text| text.to_lowercase() == named))
                };
                let users: Vec<Value> = self.users.iter().filter(fits).cloned().collect();
                (200, page(base, "/users", skip, &users))
            }
            ["users", id, "memberOf" | "transitiveMemberOf"]
                if !self.users.iter().any(|user| user["id"] == *id) =>
            {
                (404, json!({"error": {"code": "Request_ResourceNotFound"}}))
            }
            ["users", id, "transitiveMemberOf"] => {
                let mut found = BTreeSet::from([(*id).to_owned()]);
                loop {
                    let holds = |members: &[Value]| {
                        members
                            .iter()
                            .any(|member| member["id"].as_str().is_some_and(|id| found.contains(id)))
                    };
                    let more: Vec<String> = self
                        .groups
                        .iter()
                        .filter(|(group, (_, members))| !found.contains(*group) && holds(members))
                        .map(|(group, _)| group.clone())
                        .collect();
                    if more.is_empty() {
                        break;
                    }
                    found.extend(more);
                }
                let mut groups: Vec<Value> = self
                    .groups
                    .iter()
                    .filter(|(group, _)| found.contains(*group))
                    .map(|(group, (name, _))| {
                        json!({"@odata.type": "#microsoft.graph.group", "id": group, "displayName": name})
                    })
                    .collect();
                groups.insert(
                    0,
                    json!({"@odata.type": "#microsoft.graph.directoryRole", "id": "role", "displayName": "Reader"}),
                );
                (200, page(base, path, skip, &groups))
            }
            ["users"] => (200, page(base, "/users", skip, &self.users)),
            ["groups"] => {
                // Comparison is without regard to case; a quote is written twice.
                let named = query.split("$filter=displayName eq '").nth(1).map(|rest| {
                    let end = rest.rfind("'&$select").expect("the filter ends with a quote");
                    rest[..end]
                        .replace("''", "\u{0}")
                        .split('\'')
                        .next()
                        .unwrap()
                        .replace('\u{0}', "'")
                        .to_lowercase()
                });
                let groups: Vec<_> = self
                    .groups
                    .iter()
                    .filter(|(_, (name, _))| named.as_ref().is_none_or(|named| name.to_lowercase() == *named))
                    .map(|(id, (name, _))| json!({"id": id, "displayName": name}))
                    .collect();
                (200, page(base, "/groups", skip, &groups))
            }
            ["groups", id] => match self.groups.get(*id) {
                Some((name, _)) => (200, json!({"id": id, "displayName": name})),
                None => (404, json!({"error": {"code": "Request_ResourceNotFound"}})),
            },
            ["users", id, "memberOf"] => {
                let holds = |members: &[Value]| members.iter().any(|member| member["id"] == *id);
                let groups = self.groups.iter().filter(|(_, (_, members))| holds(members));
                let groups: Vec<_> = groups.map(|(id, _)| nested(id)).collect();
                (200, page(base, path, skip, &groups))
            }
            [application, "appRoleAssignedTo"]
                if application.starts_with("servicePrincipals(appId='app'") =>
            {
                let rows: Vec<_> = self
                    .assigned
                    .iter()
                    .enumerate()
                    .map(|(n, (kind, id))| json!({"id": format!("a{n}"), "principalId": id, "principalType": kind}))
                    .collect();
                (200, page(base, path, skip, &rows))
            }
            [application, "appRoleAssignedTo"] if application.starts_with("servicePrincipals") => {
                (404, json!({"error": {"code": "Request_ResourceNotFound"}}))
            }
            ["directory", "deletedItems", id] if self.bin.iter().any(|deleted| deleted == id) => {
                (200, json!({"@odata.type": "#microsoft.graph.user", "id": id}))
            }
            ["directory", "deletedItems", _] => (404, json!({"error": {"code": "Request_ResourceNotFound"}})),
            ["users", id] => match self.users.iter().find(|user| user["id"] == *id) {
                Some(user) => (200, user.clone()),
                None => (404, json!({"error": {"code": "Request_ResourceNotFound"}})),
            },
            ["groups", id, "members"] => match self.groups.get(*id) {
                Some((_, members)) => {
                    let spelled = |member: &Value| {
                        let mut entry = member.clone();
                        let user = self.users.iter().find(|user| user["id"] == member["id"]);
                        let group = member["id"].as_str().and_then(|id| self.groups.get(id));
                        if let Some(user) = user {
                            entry.as_object_mut().unwrap().extend(user.as_object().unwrap().clone());
                        }
                        if let Some((name, _)) = group {
                            entry["displayName"] = json!(name);
                        }
                        entry
                    };
                    if !query.contains("displayName") {
                        return self.told(target, before, (200, page(base, path, skip, members)));
                    }
                    let members: Vec<_> = members.iter().map(spelled).collect();
                    (200, page(base, path, skip, &members))
                }
                None => (404, json!({"error": {"code": "Request_ResourceNotFound"}})),
            },
            _ => (400, json!({"error": {"code": "BadRequest"}})),
        };
        self.told(target, before, found)
    }

    fn told(&self, target: &str, before: usize, found: (u16, Value)) -> (u16, Value) {
        match &self.meddle {
            Some(meddle) => meddle(target, before, found),
            None => found,
        }
    }
}

impl Respond for Fake {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut world = self.0.lock().unwrap();
        let path = request.url.path();
        let base = format!("http://{}", request.headers["host"].to_str().unwrap());
        if path.contains("/token") {
            world.tokens += 1;
            let body = json!({"access_token": format!("token-{}", world.tokens), "expires_in": 3599});
            let target = format!("{path}?{}", String::from_utf8_lossy(&request.body));
            world.log.push(target.clone());
            let tokens = world.tokens - 1;
            let (status, body) = match &world.meddle {
                Some(meddle) => meddle(&target, tokens, (200, body)),
                None => (200, body),
            };
            return ResponseTemplate::new(status).set_body_json(body);
        }
        let path = path.strip_prefix("/v1.0").expect("Graph is asked under /v1.0");
        let (status, body) = if path == "/$batch" {
            let before = world.log.iter().filter(|path| *path == "/$batch").count();
            world.log.push("/$batch".to_owned());
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let asked = asked["requests"].as_array().unwrap().clone();
            assert!(asked.len() <= 20, "a batch has at most 20 parts");
            let mut responses: Vec<Value> = asked
                .iter()
                .map(|item| {
                    let url = percent_encoding::percent_decode_str(item["url"].as_str().unwrap())
                        .decode_utf8()
                        .unwrap();
                    let (status, body) = world.answer(&base, &url);
                    json!({"id": item["id"], "status": status, "headers": {"Retry-After": "7"}, "body": body})
                })
                .collect();
            responses.reverse();
            let found = (200, json!({"responses": responses}));
            match &world.meddle {
                Some(meddle) => meddle("/$batch", before, found),
                None => found,
            }
        } else {
            let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
            let target = format!("{path}{query}");
            let target = percent_encoding::percent_decode_str(&target).decode_utf8().unwrap().into_owned();
            world.answer(&base, &target)
        };
        ResponseTemplate::new(status).set_body_json(body)
    }
}
