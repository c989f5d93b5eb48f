//! The crawl: every documented operation that the emulator serves is called, well and badly, and every answer is held
//! against its document.

use std::collections::{BTreeMap, BTreeSet};

use entrain_emulator::world::World;
use entrain_emulator::world::atlassian::{ApiToken, SiteAccount};
use entrain_emulator::world::generate::{GenerateOptions, generate};
use entrain_emulator::world::tenant::{Application, ClientSecret, EntraGroup, Member};
use entrain_emulator::{Options, Surface};
use serde_json::Value;

use crate::deviations::Known;
use crate::document::unfolded;
use crate::support::Bench;
use crate::{documents, graph, organization, site};

/// Documented operations that the emulator does not serve, or never with success: outside of what a directory sync needs so
/// far, for approved apps only, or behind a licence.
const UNSERVED: &[&str] = &[
    "graph GET /auditLogs/signIns",
    "graph GET /subscriptions",
    "graph POST /subscriptions",
    "graph DELETE /subscriptions/{subscription-id}",
    "graph GET /subscriptions/{subscription-id}",
    "graph PATCH /subscriptions/{subscription-id}",
    "graph POST /subscriptions/{subscription-id}/reauthorize",
    "site GET /rest/api/3/user/assignable/multiProjectSearch",
    "site GET /rest/api/3/user/assignable/search",
    "site GET /rest/api/3/user/bulk/migration",
    "site DELETE /rest/api/3/user/columns",
    "site GET /rest/api/3/user/columns",
    "site PUT /rest/api/3/user/columns",
    "site GET /rest/api/3/user/email",
    "site GET /rest/api/3/user/email/bulk",
    "site GET /rest/api/3/user/permission/search",
    "site GET /rest/api/3/user/properties",
    "site DELETE /rest/api/3/user/properties/{propertyKey}",
    "site GET /rest/api/3/user/properties/{propertyKey}",
    "site PUT /rest/api/3/user/properties/{propertyKey}",
    "site GET /rest/api/3/user/search/query",
    "site GET /rest/api/3/user/search/query/key",
    "site GET /rest/api/3/user/viewissue/search",
    "organization GET /v1/orgs/{orgId}/directory/users/{accountId}/last-active-dates",
    "organization GET /v1/orgs/{orgId}/domains",
    "organization GET /v1/orgs/{orgId}/domains/{domainId}",
    "organization POST /v1/orgs/{orgId}/users/{userId}/roles/assign",
    "organization POST /v1/orgs/{orgId}/users/{userId}/roles/revoke",
    "organization GET /v2/orgs/{orgId}/directories/{directoryId}/groups/stats",
    "organization POST /v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments/assign",
    "organization POST /v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments/revoke",
    "organization GET /v2/orgs/{orgId}/directories/{directoryId}/users/stats",
    "organization GET /users/{account_id}/manage/api-tokens",
    "organization DELETE /users/{account_id}/manage/api-tokens/{tokenId}",
];

/// Of the second application, which may read almost nothing.
pub(crate) const POOR: (&str, &str) = ("ffffffff-2222-4333-8444-555555555555", "poor~secret");
/// The token of a person without any right of administration.
pub(crate) const PLAIN_TOKEN: &str = "plain-person-token";

/// An emulated company with a client.
pub(crate) struct Crawl {
    pub(crate) bench: Bench,
    http: reqwest::Client,
}

/// One call, with the credential of its surface unless it names another.
pub(crate) struct Ask<'c> {
    crawl: &'c Crawl,
    surface: Surface,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Value>,
}

impl Crawl {
    fn new() -> Self {
        let mut options = Options::with_world(world());
        options.settings.graph.delta_page_size = 7;
        options.settings.graph.member_slice_size = 9;
        options.settings.atlassian.throttle = false;
        let bench = Bench::of(options);
        bench.emulator.state().tape.start();
        Self { bench, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// A Graph token of an application.
    pub(crate) fn token(&self, (client, secret): (&str, &str)) -> String {
        let c = self.bench.company();
        let form = [
            ("client_id", client),
            ("client_secret", secret),
            ("grant_type", "client_credentials"),
            ("scope", "https://graph.microsoft.com/.default"),
        ];
        let url = format!("{}/{}/oauth2/v2.0/token", c.authority_url, c.tenant_id);
        let answer: Value = self
            .bench
            .runtime
            .block_on(async { self.http.post(url).form(&form).send().await.unwrap().json().await.unwrap() });
        format!("Bearer {}", answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")))
    }

    /// The token of the application that may read everything.
    pub(crate) fn rich(&self) -> String {
        let c = self.bench.company();
        self.token((&c.client_id, &c.client_secret))
    }

    pub(crate) fn ask(&self, surface: Surface, method: &'static str, path: impl Into<String>) -> Ask<'_> {
        Ask { crawl: self, surface, method, path: path.into(), headers: Vec::new(), body: None }
    }

    /// Basic authentication with a token of Jira.
    pub(crate) fn basic(email: &str, token: &str) -> String {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{email}:{token}")))
    }

    /// A change of the world through the control interface.
    pub(crate) fn change(&self, changes: &Value) {
        let url = format!("{}/world/changes", self.bench.company().control_url);
        let (status, text) = self.bench.runtime.block_on(async {
            let answer = self.http.post(url).json(changes).send().await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        });
        assert!(status.is_success(), "{changes}: {text}");
    }
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends it, expects the status and gives the body: JSON, or a text.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        let c = self.crawl.bench.company();
        let own = self.headers.iter().any(|(name, _)| name == "authorization");
        let (root, credential) = match self.surface {
            Surface::Graph if own => (&c.graph_url, String::new()),
            Surface::Graph => (&c.graph_url, self.crawl.rich()),
            Surface::Site => (&c.site_url, Crawl::basic(&c.admin_email, &c.api_token)),
            _ => (&c.organization_url, format!("Bearer {}", c.api_key)),
        };
        // Links come whole.
        let url =
            if self.path.starts_with("http") { self.path.clone() } else { format!("{root}{}", self.path) };
        let mut request = self.crawl.http.request(self.method.parse().unwrap(), url);
        if !own {
            request = request.header("authorization", credential);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        let (got, text) = self.crawl.bench.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        });
        assert_eq!(got, status, "{} {} {:?}: {text}", self.method, self.path, self.body);
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

/// Some sixty people with everything that is special, on both sides.
fn world() -> World {
    let mut world = generate(&GenerateOptions {
        people: 60,
        groups: 26,
        guests: 20,
        disabled: 10,
        without_mail: 15,
        nested: 30,
        in_jira: 60,
        members_per_group: 20,
        ..GenerateOptions::default()
    });
    let tenant = &mut world.tenant;
    let groups: Vec<String> = tenant.groups.keys().cloned().collect();
    let rich = tenant.applications.values_mut().next().unwrap();
    for role in ["Application.Read.All", "AuditLog.Read.All", "Directory.Read.All", "Group.Read.All"] {
        rich.roles.insert(role.into());
    }
    rich.assigned = tenant.users.keys().take(2).cloned().map(Member::User).collect();
    rich.assigned.extend(groups.iter().take(2).cloned().map(Member::Group));
    let service = rich.object_id.clone();
    let poor = Application {
        client_id: POOR.0.into(),
        object_id: "99999999-2222-4333-8444-555555555555".into(),
        display_name: "Poor".into(),
        secrets: vec![ClientSecret { value: POOR.1.into(), expires: None }],
        roles: ["GroupMember.ReadBasic.All".to_owned()].into(),
        ..Application::default()
    };
    tenant.applications.insert(POOR.0.into(), poor);
    let at = "2026-01-02T00:00:00Z".parse().unwrap();
    let device = "dddddddd-0000-4000-8000-000000000001".to_owned();
    tenant.add_member(&groups[0], Member::Device(device), at).unwrap();
    tenant.add_member(&groups[0], Member::ServicePrincipal(service), at).unwrap();
    for (number, kinds) in [vec!["DynamicMembership".into()], vec!["Unified".into()]].into_iter().enumerate()
    {
        let group = EntraGroup {
            id: format!("eeeeeeee-0000-4000-8000-00000000000{number}"),
            display_name: Some(format!("Special {number}")),
            membership_rule: (number == 0).then(|| "user.department -eq \"Sales\"".into()),
            visibility: (number == 1).then(|| "HiddenMembership".into()),
            group_types: kinds,
            ..EntraGroup::default()
        };
        tenant.add_group(group, at).unwrap();
    }

    let site = &mut world.atlassian;
    let plain = SiteAccount {
        account_id: "712020:00000000-0000-4000-8000-000000000001".into(),
        email: Some("plain@acme.example".into()),
        display_name: "Plain Person".into(),
        managed: true,
        ..SiteAccount::default()
    };
    let token = ApiToken {
        token: PLAIN_TOKEN.into(),
        account_id: plain.account_id.clone(),
        scopes: None,
        expires: None,
    };
    site.api_tokens.push(token);
    let like = |id: u8| SiteAccount {
        account_id: format!("712020:00000000-0000-4000-8000-0000000000{id:02}"),
        email: Some(format!("special{id}@acme.example")),
        display_name: format!("Special {id}"),
        ..plain.clone()
    };
    let accounts = [
        SiteAccount { membership_status: "suspended".into(), ..like(2) },
        SiteAccount { account_status: "inactive".into(), deactivated_on: Some(at), ..like(3) },
        SiteAccount { account_status: "closed".into(), email: None, ..like(4) },
        SiteAccount { membership_status: "no_membership".into(), ..like(5) },
        SiteAccount { synced: true, ..like(6) },
        SiteAccount { for_deletion: true, ..like(7) },
        SiteAccount { invited: true, managed: false, email_visible: false, ..like(8) },
        SiteAccount { former: true, membership_status: "no_membership".into(), ..like(9) },
        SiteAccount { account_type: "unknown".into(), ..like(10) },
        like(11),
        like(12),
    ];
    for account in accounts.into_iter().chain([plain.clone()]) {
        site.accounts.insert(account.account_id.clone(), account);
    }
    site.quirks.fallback_accounts.insert(special(12));
    world
}

/// The id of a special account of [`world`].
pub(crate) fn special(number: u8) -> String {
    format!("712020:00000000-0000-4000-8000-0000000000{number:02}")
}

#[test]
fn every_answer_of_the_emulator_is_as_its_document_says() {
    let Some(documents) = documents() else { return };
    let crawl = Crawl::new();
    graph::crawl(&crawl);
    site::crawl(&crawl);
    organization::crawl(&crawl);

    let exchanges = unfolded(crawl.bench.emulator.state().tape.take());
    let known = Known::new();
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    let mut served = BTreeSet::new();
    for exchange in &exchanges {
        for complaint in documents.answer(exchange) {
            if !known.is(&complaint) {
                *wrong.entry(complaint).or_default() += 1;
            }
        }
        if exchange.status < 300 {
            served.extend(documents.operation(exchange).map(|operation| operation.name()));
        }
    }
    assert!(exchanges.len() > 300, "only {} exchanges", exchanges.len());
    let wrong: Vec<String> = wrong.into_iter().map(|(what, times)| format!("{times} times {what}")).collect();
    assert!(wrong.is_empty(), "{} deviations:\n{}", wrong.len(), wrong.join("\n"));
    let missed: Vec<String> = documents
        .operations()
        .into_iter()
        .filter(|name| served.contains(name) == UNSERVED.contains(&name.as_str()))
        .collect();
    assert!(
        missed.is_empty(),
        "neither called with success nor listed as unserved, or both:\n{}",
        missed.join("\n")
    );
    assert!(known.idle().is_empty(), "known deviations that do not occur: {:#?}", known.idle());
}
