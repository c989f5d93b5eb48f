//! Graph over HTTP, in process: one test per documented rule.

mod delta;
mod reads;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::state::{Shared, State};
use crate::world::World;
use crate::world::atlassian::Atlassian;
use crate::world::tenant::{Application, ClientSecret, EntraGroup, EntraUser, Member, Tenant};

pub(super) const APP: &str = "0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31";

/// A tenant with users u000.. in which group g1 holds u000, u001, group g2 and a device, and g2 holds u002 and g1.
pub(super) fn tenant(users: usize, roles: &[&str]) -> Tenant {
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut tenant = Tenant {
        id: "5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10".into(),
        domain: "contoso.example".into(),
        ..Tenant::default()
    };
    for n in 0..users {
        let user = EntraUser {
            id: format!("u{n:03}"),
            display_name: Some(format!("Person {n:03}")),
            mail: Some(format!("p{n:03}@example.com")),
            user_principal_name: format!("p{n:03}@contoso.example"),
            department: (n == 1).then(|| "Retail".into()),
            account_enabled: Some(n != 2),
            ..EntraUser::default()
        };
        tenant.add_user(user, at).unwrap();
    }
    for id in ["g1", "g2"] {
        let group =
            EntraGroup { id: id.into(), display_name: Some(id.to_uppercase()), ..EntraGroup::default() };
        tenant.add_group(group, at).unwrap();
    }
    for (group, member) in [
        ("g1", Member::User("u000".into())),
        ("g1", Member::User("u001".into())),
        ("g1", Member::Group("g2".into())),
        ("g1", Member::Device("d1".into())),
        ("g2", Member::User("u002".into())),
        ("g2", Member::Group("g1".into())),
    ] {
        if !matches!(&member, Member::User(id) if !tenant.users.contains_key(id)) {
            tenant.add_member(group, member, at).unwrap();
        }
    }
    let app = Application {
        client_id: APP.into(),
        object_id: "8e881353-1735-45af-af21-ee1344582a4d".into(),
        display_name: "Sync".into(),
        secrets: vec![ClientSecret { value: "s3cret".into(), expires: None }],
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        assigned: vec![Member::Group("g1".into()), Member::User("u002".into())],
        ..Application::default()
    };
    tenant.applications.insert(APP.into(), app);
    tenant
}

pub(super) struct Client {
    pub(super) state: Shared,
    token: String,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(super) fn ids(&self) -> Vec<&str> {
        self.body["value"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
    }

    pub(super) fn link(&self, name: &str) -> String {
        let link = self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.body));
        link.strip_prefix("http://graph.test/v1.0").expect("links are absolute").to_owned()
    }
}

impl Client {
    pub(super) async fn new(users: usize, roles: &[&str]) -> Self {
        Self::over(State::for_test(World { tenant: tenant(users, roles), atlassian: Atlassian::default() }))
            .await
    }

    pub(super) async fn over(state: Shared) -> Self {
        let form = format!(
            "client_id={APP}&client_secret=s3cret&grant_type=client_credentials\
             &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
        );
        let request = Request::post("/contoso.example/oauth2/v2.0/token").body(Body::from(form)).unwrap();
        let response = crate::entra::router(Arc::clone(&state)).oneshot(request).await.unwrap();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let token = body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
        Self { state, token }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("/v1.0{path}"));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response =
            super::router(Arc::clone(&self.state)).oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None).await
    }

    pub(super) async fn advanced(&self, path: &str) -> Reply {
        self.send("GET", path, &[("consistencylevel", "eventual")], None).await
    }

    pub(super) async fn batch(&self, requests: Value) -> Reply {
        self.send(
            "POST",
            "/$batch",
            &[("content-type", "application/json")],
            Some(json!({ "requests": requests })),
        )
        .await
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Tenant, jiff::Timestamp) -> Result<(), String>) {
        let now = self.state.now();
        change(&mut self.state.world_mut().tenant, now).unwrap();
    }
}
