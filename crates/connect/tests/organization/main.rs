//! The organization plane's client against answers from a script.

#![expect(clippy::unwrap_used, reason = "a test whose setting cannot be made has failed")]

mod groups;
mod hostile_ids;
mod lifecycle;
mod people;
#[path = "../shared/pieces.rs"]
mod pieces;
#[path = "../jira/script.rs"]
#[expect(dead_code, reason = "the site's tests use the rest")]
mod script;
mod seats;
mod trust;

use std::collections::BTreeSet;
use std::sync::Arc;

use entrain_connect::atlassian::{Organization, OrganizationOptions};
use entrain_connect::http::{BaseUrl, HttpOptions, Meter, Plane, SteppedEnvironment};
use entrain_domain::policy::Protected;
use serde_json::{Value, json};

use crate::script::{Asked, Reply, Site, reply, standing};

pub(crate) const KEY: &str = "canary-api-token-7d1e-of-the-organization";
pub(crate) const ORG: &str = "6f1a0000-1111-2222-3333-444455556666";
pub(crate) const HOME: &str = "0b0e7c3a-1111-2222-3333-444455556666";

pub(crate) struct Script {
    pub(crate) site: Site,
    pub(crate) organization: Organization,
}

impl Script {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(None, answer).await
    }

    pub(crate) async fn with(
        directory_id: Option<&str>,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let site = Site::start(answer).await;
        let environment = SteppedEnvironment::starting_at("2026-11-23T19:00:00Z".parse().unwrap());
        let http = HttpOptions::new(
            BaseUrl::parse(&site.base).unwrap(),
            Plane::Organization,
            Arc::new(Meter::new()),
            Arc::new(environment),
        );
        let options = OrganizationOptions {
            http,
            id: ORG.into(),
            directory_id: directory_id.map(str::to_owned),
            api_key: KEY.into(),
        };
        let organization = Organization::new(options, &site.jira).unwrap();
        Self { site, organization }
    }

    /// From now on writes are allowed, with nothing protected but what always is.
    pub(crate) fn writable(self) -> Self {
        self.protected(&Protected::default())
    }

    pub(crate) fn protected(self, protected: &Protected) -> Self {
        self.site.jira.protect(protected, &standing(), &[], &BTreeSet::new());
        self
    }
}

pub(crate) fn refuses(status: u16, code: &str, detail: &str) -> Reply {
    let item =
        json!({"id": "1", "status": status.to_string(), "code": code, "title": "Refused", "detail": detail});
    reply(status, json!({"errors": [item]}).to_string())
}

pub(crate) fn page(data: &[Value], next: Option<&str>) -> Reply {
    reply(200, json!({"data": data, "links": {"self": "s", "next": next}}).to_string())
}
