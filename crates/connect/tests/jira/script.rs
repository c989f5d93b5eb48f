//! A site made of one function from request to answer, with a log of what was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use entrain_connect::atlassian::{Jira, JiraOptions};
use entrain_connect::http::{BaseUrl, HttpOptions, Meter, Plane, SteppedEnvironment};
use entrain_domain::model::{AccountId, EmailAddress, SiteGroup, SiteGroupId, SiteStanding};
use entrain_domain::policy::Protected;
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::{Value, json};

pub(crate) const CANARY: &str = "canary-api-token-7d1e";
pub(crate) const OWN: &str = "712020:sync-bot";

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) raw_query: String,
    pub(crate) body: Value,
    pub(crate) authorization: Option<String>,
}

impl Asked {
    pub(crate) fn number(&self, name: &str) -> usize {
        self.query[name].parse().unwrap()
    }
}

pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

pub(crate) fn reply(status: u16, body: impl AsRef<[u8]>) -> Reply {
    Reply { status, headers: vec![("content-type", "application/json".into())], body: body.as_ref().to_vec() }
}

pub(crate) fn ok(body: &Value) -> Reply {
    reply(200, body.to_string())
}

pub(crate) fn says(status: u16, message: &str) -> Reply {
    reply(status, json!({"errorMessages": [message], "errors": {}}).to_string())
}

impl Reply {
    /// The same answer once more.
    #[allow(dead_code, clippy::allow_attributes, reason = "the organization's tests use it")]
    pub(crate) fn again(&self) -> Self {
        Self { status: self.status, headers: self.headers.clone(), body: self.body.clone() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

pub(crate) struct Site {
    pub(crate) jira: Jira,
    pub(crate) base: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Site {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(answer, |_| {}).await
    }

    pub(crate) async fn start_with(
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        change: impl FnOnce(&mut JiraOptions),
    ) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (shared, answer) = (Arc::clone(&log), Arc::new(answer));
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let asked = asked(&method, &uri, &headers, &body);
            shared.lock().unwrap().push(asked.clone());
            let reply = answer(&asked);
            async move {
                let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
                response.headers_mut().clear();
                for (name, value) in reply.headers {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                response
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
        let environment = SteppedEnvironment::starting_at("2026-11-23T19:00:00Z".parse().unwrap());
        let http = HttpOptions::new(
            BaseUrl::parse(&base).unwrap(),
            Plane::Site,
            Arc::new(Meter::new()),
            Arc::new(environment),
        );
        let mut options = JiraOptions::new(http, "sync-bot@example.com", CANARY.into());
        change(&mut options);
        Self { jira: Jira::new(options).unwrap(), base, log }
    }

    /// A site that may be written to, with nothing protected but what always is.
    pub(crate) async fn writable(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let site = Self::start(answer).await;
        site.jira.protect(&Protected::default(), &standing(), &[], &std::collections::BTreeSet::new());
        site
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }
}

fn asked(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Asked {
    let raw_query = uri.query().unwrap_or_default().to_owned();
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let query = raw_query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    Asked {
        line: format!("{method} {}", uri.path()),
        path: uri.path().to_owned(),
        query,
        raw_query,
        body: serde_json::from_slice(body).unwrap_or_default(),
        authorization: headers.get("authorization").map(|v| v.to_str().unwrap().to_owned()),
    }
}

pub(crate) fn standing() -> SiteStanding {
    SiteStanding {
        own_account: AccountId::parse(OWN).unwrap(),
        products: Vec::new(),
        administrative_groups: [SiteGroupId::parse("g-admins").unwrap()].into(),
        site_admin: Some(true),
        administer: Some(true),
        browse_users: Some(true),
    }
}

pub(crate) fn user(n: usize) -> Value {
    json!({"accountId": format!("712020:{n:06}"), "accountType": "atlassian", "active": true,
        "displayName": format!("Person {n}"), "emailAddress": format!("p{n}@example.com")})
}

/// A page of `all` as `group/bulk` and `group/member` give it.
pub(crate) fn page(all: &[Value], asked: &Asked) -> Reply {
    let (start, size) = (asked.number("startAt"), asked.number("maxResults").min(50));
    let values: Vec<_> = all.iter().skip(start).take(size).collect();
    ok(&json!({"startAt": start, "maxResults": size, "total": all.len(),
        "isLast": start + size >= all.len(), "values": values}))
}

pub(crate) fn group(id: &str, name: &str) -> SiteGroup {
    SiteGroup { id: SiteGroupId::parse(id).unwrap(), name: name.into() }
}

pub(crate) fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

pub(crate) fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// The failure, after looking for our secret in everything that it says.
pub(crate) fn failure<T: std::fmt::Debug>(result: Result<T, entrain_connect::Error>) -> Failure {
    let error = result.expect_err("a failure was expected");
    let failure = error.failure();
    let said = format!("{error} {error:?} {failure} {failure:?}");
    assert!(!said.contains(CANARY) && !said.contains("c3luYy1ib3"), "a secret is in: {said}");
    failure
}

pub(crate) fn assert_fails<T: std::fmt::Debug>(
    result: Result<T, entrain_connect::Error>,
    code: FailureCode,
    class: FailureClass,
) -> Failure {
    let failure = failure(result);
    assert_eq!((failure.code, failure.class), (code, class), "{failure:?}");
    assert!(!failure.remedy.is_empty());
    failure
}
