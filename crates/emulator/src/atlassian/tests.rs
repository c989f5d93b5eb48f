//! Tests of the Atlassian side, in process.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use serde_json::Value;
use tower::ServiceExt;

use crate::state::{Shared, State};
use crate::world::World;
use crate::world::atlassian::{ApiToken, Atlassian, JiraGroup, SiteAccount, SiteProduct};
use crate::world::tenant::Tenant;

mod access;
mod groups;
mod organization;
mod users;

const CLOUD: &str = "c57406ca-1b2c-4d3e-8f90-0a1b2c3d4e5f";
const ADMIN: &str = "712020:admin";
const DANA: &str = "712020:dana";
const TEAM: &str = "g-team";

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    fn message(&self) -> String {
        self.json()["errorMessages"][0].as_str().unwrap_or_default().to_owned()
    }
}

struct Site {
    state: Shared,
    jira: Router,
    api: Router,
}

fn account(id: &str, name: &str, email: &str) -> SiteAccount {
    SiteAccount {
        account_id: id.into(),
        display_name: name.into(),
        email: Some(email.into()),
        managed: email.ends_with("@example.com"),
        ..SiteAccount::default()
    }
}

fn group(id: &str, name: &str, members: &[&str]) -> JiraGroup {
    JiraGroup {
        group_id: id.into(),
        name: name.into(),
        members: members.iter().map(|m| (*m).to_owned()).collect(),
        ..JiraGroup::default()
    }
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|i| (*i).to_owned()).collect()
}

fn small_world() -> Atlassian {
    let mut world = Atlassian {
        organization_id: "org-1".into(),
        directory_id: "dir-1".into(),
        cloud_id: CLOUD.into(),
        site_name: "acme".into(),
        api_keys: vec!["org-key".into()],
        verified_domains: set(&["example.com"]),
        products: vec![
            SiteProduct {
                key: "jira-software".into(),
                name: "Jira Software".into(),
                seats: Some(5),
                groups: set(&["jira-software-users"]),
                default_groups: set(&["jira-software-users"]),
            },
            SiteProduct {
                key: "confluence".into(),
                name: "Confluence".into(),
                seats: Some(1),
                groups: set(&["wiki-users"]),
                default_groups: set(&["wiki-users"]),
            },
        ],
        ..Atlassian::default()
    };
    let admin = SiteAccount { org_admin: true, ..account(ADMIN, "Sync Bot", "bot@example.com") };
    let hidden = SiteAccount {
        email_visible: false,
        ..account("712020:hidden", "Hidden Person", "hidden@example.com")
    };
    let gone = SiteAccount {
        account_status: "inactive".into(),
        ..account("712020:gone", "Gina Gone", "gone@example.com")
    };
    let suspended = SiteAccount {
        membership_status: "suspended".into(),
        ..account("712020:suspended", "Sam Suspended", "sam@example.com")
    };
    let stranger = SiteAccount {
        membership_status: "no_membership".into(),
        ..account("712020:stranger", "Stan Stranger", "stan@elsewhere.example")
    };
    let customer = SiteAccount {
        account_type: "customer".into(),
        ..account("qm:1:2", "Carl Customer", "carl@customer.example")
    };
    let app =
        SiteAccount { account_type: "app".into(), email: None, ..account("557058:app", "Some App", "") };
    for account in [
        admin,
        account(DANA, "Dana Okafor", "dana.okafor@example.com"),
        account("712020:plain", "Paul Plain", "paul@example.com"),
        account("712020:reader", "Rita Reader", "rita@example.com"),
        hidden,
        gone,
        suspended,
        stranger,
        customer,
        app,
    ] {
        world.add_account(account).unwrap();
    }
    let mut admins = group("g-admins", "site-admins", &[ADMIN]);
    admins.access = set(&["site-admin", "admin"]);
    let mut jira_admins = group("g-jira-admins", "jira-administrators", &["712020:reader"]);
    jira_admins.access = set(&["admin"]);
    let mut external = group("g-external", "from-idp", &[]);
    external.external = true;
    for group in [
        admins,
        jira_admins,
        external,
        group("g-jira", "jira-software-users", &[ADMIN, DANA, "712020:hidden"]),
        group("g-wiki", "wiki-users", &["712020:reader"]),
        group(TEAM, "team", &[DANA, "712020:gone", "712020:suspended"]),
    ] {
        world.add_group(group).unwrap();
    }
    for (token, account_id, scopes) in [
        ("admin-token", ADMIN, None),
        ("dana-token", DANA, None),
        ("plain-token", "712020:plain", None),
        ("reader-token", "712020:reader", None),
        ("scoped-token", ADMIN, Some(set(&["read:jira-user"]))),
        ("granular-token", ADMIN, Some(set(&["read:group:jira", "read:user:jira", "read:avatar:jira"]))),
    ] {
        world.api_tokens.push(ApiToken {
            token: token.into(),
            account_id: account_id.into(),
            scopes,
            expires: None,
        });
    }
    world.api_tokens.push(ApiToken {
        token: "old-token".into(),
        account_id: ADMIN.into(),
        scopes: None,
        expires: Some("2025-12-31T00:00:00Z".parse().unwrap()),
    });
    world
}

impl Site {
    fn new() -> Self {
        Self::of(small_world())
    }

    fn of(atlassian: Atlassian) -> Self {
        let state = State::for_test(World { tenant: Tenant::default(), atlassian });
        Self { jira: super::jira_router(state.clone()), api: super::admin_router(state.clone()), state }
    }

    async fn send(
        &self,
        router: &Router,
        method: &str,
        path: &str,
        authorization: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |b| Body::from(b.to_string()));
        let response = router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// A request to the site with the token of an account.
    async fn as_caller(&self, who: (&str, &str), method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(&self.jira, method, &format!("/rest/api/3/{path}"), &basic(who.0, who.1), body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.as_caller(BOT, "GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.as_caller(BOT, "POST", path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.as_caller(BOT, "DELETE", path, None).await
    }

    /// A request to the organization side with its key.
    async fn org(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(&self.api, method, path, "Bearer org-key", body).await
    }
}

const BOT: (&str, &str) = ("bot@example.com", "admin-token");
const PLAIN: (&str, &str) = ("paul@example.com", "plain-token");
const READER: (&str, &str) = ("rita@example.com", "reader-token");

fn basic(email: &str, token: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{email}:{token}")))
}
