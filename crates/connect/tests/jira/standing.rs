//! The start-up checks, and what they say about tokens and rights.

use entrain_connect::atlassian::{CheckState, SiteCheck};
use entrain_connect::http::BaseUrl;
use entrain_domain::model::{Seats, SiteGroupId};
use entrain_domain::{FailureClass, FailureCode};
use serde_json::json;

use crate::script::{Asked, OWN, Reply, Site, assert_fails, failure, ok, page, reply, says};

/// A site where the technical account has every right.
fn good(asked: &Asked) -> Reply {
    match (asked.path.as_str(), asked.query.get("accessType").map(String::as_str)) {
        ("/rest/api/3/myself", _) => {
            ok(&json!({"accountId": OWN, "accountType": "atlassian", "active": true,
            "displayName": "Sync", "emailAddress": "sync-bot@example.com",
            "groups": {"size": 1, "items": [{"name": "site-admins", "groupId": "g-sa"}]}}))
        }
        ("/rest/api/3/serverInfo", _) => {
            ok(&json!({"deploymentType": "Cloud", "baseUrl": "https://acme.example"}))
        }
        ("/rest/api/3/mypermissions", _) => ok(&json!({"permissions": {
            "ADMINISTER": {"havePermission": true}, "USER_PICKER": {"havePermission": true}}})),
        ("/rest/api/3/group/bulk", Some("site-admin")) => {
            page(&[json!({"name": "site-admins", "groupId": "g-sa"})], asked)
        }
        ("/rest/api/3/group/bulk", Some("admin")) => {
            page(&[json!({"name": "jira-administrators", "groupId": "g-ja"})], asked)
        }
        ("/rest/api/3/applicationrole", _) => ok(&json!([{"key": "jira-software", "name": "Jira Software",
            "groups": ["jira-software-users", "entra-engineering"],
            "groupDetails": [{"name": "jira-software-users", "groupId": "g-jsu"},
                             {"name": "entra-engineering", "groupId": "g-ee"}],
            "defaultGroups": ["jira-software-users"],
            "defaultGroupsDetails": [{"name": "jira-software-users", "groupId": "g-jsu"}],
            "numberOfSeats": 200, "remainingSeats": 12, "userCount": 188, "hasUnlimitedSeats": false}])),
        _ => says(404, "no such path"),
    }
}

fn ids(list: &[&str]) -> std::collections::BTreeSet<SiteGroupId> {
    list.iter().map(|id| SiteGroupId::parse(id).unwrap()).collect()
}

#[tokio::test]
async fn the_checks_take_six_requests_and_find_rights_groups_and_seats() {
    let site = Site::start(good).await;
    let standing = site.jira.standing().await.unwrap();
    assert_eq!(site.lines().len(), 6);
    assert_eq!(site.lines()[0], "GET /rest/api/3/myself");
    assert_eq!(standing.own_account.as_str(), OWN);
    assert_eq!(standing.administrative_groups, ids(&["g-ja", "g-sa"]));
    assert_eq!(
        (standing.site_admin, standing.administer, standing.browse_users),
        (Some(true), Some(true), Some(true))
    );
    let product = &standing.products[0];
    assert_eq!(product.groups, ids(&["g-jsu", "g-ee"]));
    assert_eq!(product.default_groups, ids(&["g-jsu"]));
    assert_eq!(product.seats, Seats::Limited { limit: 200, used: 188 });
    assert!(site.asked().iter().all(|a| a.authorization.as_deref().is_some_and(|v| v.starts_with("Basic "))));
}

/// P-8: somebody who waits for a sign-in waits for one round trip.
#[tokio::test]
async fn p_8_the_checks_find_the_same_when_all_are_asked_at_once() {
    let (calm, hasty) = (Site::start(good).await, Site::start(good).await);
    let at_once = hasty.jira.standing_at_once().await.unwrap();
    assert_eq!(hasty.lines().len(), 6);
    assert_eq!(format!("{at_once:?}"), format!("{:?}", calm.jira.standing().await.unwrap()));

    // Nobody waits for the answer to `myself`: the others were asked although it is refused
    let refuses = |asked: &Asked| match asked.path.as_str() {
        "/rest/api/3/myself" => says(404, "no such path"),
        _ => good(asked),
    };
    let (calm, hasty) = (Site::start(refuses).await, Site::start(refuses).await);
    assert_fails(calm.jira.standing().await, FailureCode::SiteNotCloud, FailureClass::Connection);
    assert_fails(hasty.jira.standing_at_once().await, FailureCode::SiteNotCloud, FailureClass::Connection);
    assert_eq!((calm.lines().len(), hasty.lines().len()), (1, 6));
}

#[tokio::test]
async fn groups_named_without_an_id_are_looked_up() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/rest/api/3/applicationrole" => ok(&json!([{"key": "jira-core", "groups": ["a", "b"],
            "groupDetails": [{"name": "a", "groupId": "g-a"}], "hasUnlimitedSeats": true, "userCount": 3}])),
        "/rest/api/3/group/bulk" if asked.query.contains_key("groupName") => {
            assert_eq!(asked.query["groupName"], "b");
            page(&[json!({"name": "b", "groupId": "g-b"})], asked)
        }
        _ => good(asked),
    })
    .await;
    let standing = site.jira.standing().await.unwrap();
    assert_eq!(standing.products[0].groups, ids(&["g-a", "g-b"]));
    assert_eq!(standing.products[0].seats, Seats::Unlimited { used: 3 });
    assert_eq!(site.lines().len(), 7);
}

#[tokio::test]
async fn the_500_of_the_site_admin_probe_leaves_it_not_known() {
    let site = Site::start(|asked| match asked.query.get("accessType").map(String::as_str) {
        Some("site-admin") => says(500, "Couldn't retrieve groups with the site-admin accessType."),
        _ => good(asked),
    })
    .await;
    let standing = site.jira.standing().await.unwrap();
    assert_eq!(standing.site_admin, None);
    assert_eq!(standing.administrative_groups, ids(&["g-ja"]));
}

#[tokio::test]
async fn a_site_that_refuses_the_access_types_leaves_them_not_known() {
    for status in [400, 404, 500, 503] {
        let site = Site::start(move |asked| match asked.query.get("accessType") {
            Some(_) => says(status, "no such access type"),
            None => good(asked),
        })
        .await;
        let standing = site.jira.standing().await.unwrap();
        assert_eq!((standing.site_admin, standing.browse_users), (None, Some(true)), "{status}");
        assert!(standing.administrative_groups.is_empty());
        assert_eq!(standing.products.len(), 1);
    }
}

#[tokio::test]
async fn missing_rights_are_findings_with_a_remedy_each() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/rest/api/3/mypermissions" => ok(&json!({"permissions": {
            "ADMINISTER": {"havePermission": false}, "USER_PICKER": {"havePermission": false}}})),
        "/rest/api/3/group/bulk" => {
            says(403, "Browse users and groups permission is required to view groups.")
        }
        "/rest/api/3/applicationrole" => reply(403, ""),
        _ => good(asked),
    })
    .await;
    let checks = site.jira.check().await.unwrap();
    let missing: Vec<_> =
        checks.iter().filter(|c| c.state == CheckState::Missing).map(|c| c.what.as_str()).collect();
    assert_eq!(missing, ["Administer Jira", "Browse users and groups"]);
    assert!(checks.iter().all(|c| c.state == CheckState::Good || !c.remedy.is_empty()));
    let invitations = checks.iter().find(|c| c.what.contains("Organization")).unwrap();
    assert_eq!(invitations.state, CheckState::NotKnown);
}

#[tokio::test]
async fn an_account_outside_the_site_admin_groups_is_told_so() {
    let site = Site::start(|asked| match asked.query.get("accessType").map(String::as_str) {
        Some("site-admin") => page(&[json!({"name": "others", "groupId": "g-o"})], asked),
        _ => good(asked),
    })
    .await;
    let standing = site.jira.standing().await.unwrap();
    assert_eq!(standing.site_admin, Some(false));
    let checks = SiteCheck::of(&standing);
    let line = checks.iter().find(|c| c.state == CheckState::Missing).unwrap();
    assert!(line.what.contains("Site administration") && line.remedy.contains("site-admins"));
}

#[tokio::test]
async fn a_wrong_token_is_told_from_one_with_scopes() {
    let refused = "Client must be authenticated to access this resource.";
    // No gateway configured: the token goes nowhere else.
    let site = Site::start(move |_| reply(401, refused)).await;
    let failure = assert_fails(
        site.jira.standing().await,
        FailureCode::SiteCredentialRefused,
        FailureClass::Connection,
    );
    assert!(failure.message.contains("scopes"));
    assert_eq!(site.lines(), ["GET /rest/api/3/myself"]);
    for (status, body, code) in [
        (200, r#"{"accountId": "a"}"#, FailureCode::SiteTokenScoped),
        (401, r#"{"code":401,"message":"Unauthorized; scope does not match"}"#, FailureCode::SiteTokenScoped),
        (401, r#"{"code":401,"message":"Unauthorized"}"#, FailureCode::SiteCredentialRefused),
    ] {
        let gateway = Site::start(move |asked| {
            assert_eq!(asked.path, "/ex/jira/c57406ca/rest/api/3/myself");
            reply(status, body)
        })
        .await;
        let base = BaseUrl::parse(&gateway.base).unwrap();
        let site = Site::start_with(
            move |asked| match asked.path.as_str() {
                "/_edge/tenant_info" => {
                    assert_eq!(asked.authorization, None);
                    ok(&json!({"cloudId": "c57406ca"}))
                }
                _ => reply(401, refused),
            },
            |options| options.gateway = Some(base),
        )
        .await;
        assert_fails(site.jira.standing().await, code, FailureClass::Connection);
        assert_eq!(gateway.lines().len(), 1);
    }
}

#[tokio::test]
async fn an_address_that_is_not_jira_cloud_is_named_as_such() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/rest/api/3/serverInfo" => ok(&json!({"deploymentType": "Server", "version": "9.12.0"})),
        _ => good(asked),
    })
    .await;
    assert_fails(site.jira.standing().await, FailureCode::SiteNotCloud, FailureClass::Connection);
    let site = Site::start(|_| reply(404, "<html>not here</html>")).await;
    assert_fails(site.jira.standing().await, FailureCode::SiteNotCloud, FailureClass::Connection);
    let site = Site::start(|_| reply(200, "<html>Log in</html>")).await;
    assert_eq!(failure(site.jira.standing().await).code, FailureCode::SiteAnswerInvalid);
}

#[tokio::test]
async fn s_02_a_site_that_echoes_our_header_does_not_get_it_into_a_message() {
    let site = Site::start(|asked| {
        let header = asked.authorization.clone().unwrap_or_default();
        says(401, &format!("bad header {header} for canary-api-token-7d1e"))
    })
    .await;
    let failure = assert_fails(
        site.jira.standing().await,
        FailureCode::SiteCredentialRefused,
        FailureClass::Connection,
    );
    assert!(failure.message.contains("[redacted]"), "{failure:?}");
}

#[tokio::test]
async fn a_refused_privileged_list_is_not_taken_for_no_privileged_groups() {
    let site = Site::start(|asked| match asked.query.get("accessType").map(String::as_str) {
        Some("admin") => ok(&json!({"isLast": true, "total": 2, "values": [{"name": "a", "groupId": "g"}]})),
        _ => good(asked),
    })
    .await;
    assert_eq!(failure(site.jira.standing().await).code, FailureCode::SiteAnswerInvalid);
}
