//! Seats of Confluence: the workspace of this site and no other, people counted, groups told by their roles.

use entrain_connect::http::BaseUrl;
use entrain_domain::model::{Product, Seats, SiteGroupId};
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::script::{Asked, Reply, assert_fails, reply};
use crate::{HOME, ORG, Script, page, refuses};

const RESOURCE: &str = "ari:cloud:confluence::site/c57406ca";

fn workspace(id: &str, kind: &str, host: &str, capacity: Option<u64>) -> Value {
    json!({"id": id, "type": "workspace", "attributes": {"name": "acme", "typeKey": kind, "type": kind,
        "hostUrl": host, "status": "online", "capacity": capacity}})
}

fn organization(asked: &Asked, capacity: Option<u64>) -> Reply {
    let path = asked.path.as_str();
    if path.ends_with("/workspaces") {
        if asked.body.get("cursor").is_none() {
            let others = [
                workspace(
                    "ari:cloud:jira-software::site/c57406ca",
                    "jira-software",
                    "https://acme.atlassian.net",
                    Some(9),
                ),
                workspace(
                    "ari:cloud:confluence::site/other",
                    "confluence",
                    "https://other.atlassian.net",
                    Some(1),
                ),
            ];
            return page(&others, Some("further"));
        }
        assert_eq!(asked.body, json!({"cursor": "further"}), "nothing may accompany a cursor");
        return page(&[workspace(RESOURCE, "Confluence", "https://acme.atlassian.net/", capacity)], None);
    }
    if path.ends_with("/users/count") {
        assert_eq!(
            (asked.query["resourceIds"].as_str(), asked.query["status"].as_str()),
            (RESOURCE, "active")
        );
        return reply(200, r#"{"count": 7}"#);
    }
    if path.ends_with("/groups/search") {
        assert_eq!(asked.body["resourceIds"], json!([RESOURCE]));
        let group = |id: &str| json!({"id": id, "name": id, "directoryId": HOME});
        return page(
            &[group("g-users"), group("ari:cloud:identity::group/g-admins"), group("g-guests")],
            None,
        );
    }
    assert_eq!(asked.query["resourceIds"], RESOURCE);
    let row = |roles: &[&str], default: Option<&str>| json!({"resourceId": RESOURCE, "resourceOwner": "confluence", "roles": roles, "defaultRole": default});
    let row = match path.rsplit('/').nth(1).unwrap_or_default() {
        "g-users" => row(&["atlassian/user"], Some("atlassian/user")),
        "g-admins" => row(&["atlassian/admin", "atlassian/user"], None),
        "g-guests" => row(&["atlassian/guest"], None),
        other => panic!("{other} is no group of Confluence"),
    };
    page(&[row], None)
}

fn site() -> BaseUrl {
    BaseUrl::parse("https://acme.atlassian.net").unwrap()
}

fn names(groups: &std::collections::BTreeSet<SiteGroupId>) -> Vec<&str> {
    groups.iter().map(SiteGroupId::as_str).collect()
}

#[tokio::test]
async fn confluence_is_found_by_the_address_of_the_site_and_its_people_are_counted() {
    let script = Script::start(|asked| organization(asked, Some(10))).await;
    let product: Product = script.organization.confluence(&site()).await.unwrap().unwrap();
    assert_eq!((&*product.key.0, product.seats), ("confluence", Seats::Limited { limit: 10, used: 7 }));
    assert_eq!(names(&product.groups), ["g-admins", "g-users"], "guests take no seat");
    assert_eq!(names(&product.default_groups), ["g-users"]);
    let lines = script.site.lines();
    assert_eq!(lines.len(), 2 + 1 + 1 + 3, "{lines:?}");
    assert!(lines[0].starts_with(&format!("POST /admin/v2/orgs/{ORG}/workspaces")), "{lines:?}");
}

#[tokio::test]
async fn seats_that_are_not_told_are_no_limit_and_another_site_has_no_confluence() {
    let script = Script::start(|asked| organization(asked, None)).await;
    let product = script.organization.confluence(&site()).await.unwrap().unwrap();
    assert_eq!(product.seats, Seats::LimitNotTold { used: 7 });
    let elsewhere = BaseUrl::parse("https://third.atlassian.net").unwrap();
    assert_eq!(script.organization.confluence(&elsewhere).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_counted_is_an_error_and_no_number() {
    let script = Script::start(|asked| {
        if asked.path.ends_with("/users/count") {
            return refuses(403, "ADMIN-UAM-403-1", "forbidden");
        }
        organization(asked, Some(10))
    })
    .await;
    let failed = script.organization.confluence(&site()).await;
    assert_fails(failed, FailureCode::OrganizationRightMissing, FailureClass::Connection);
}
