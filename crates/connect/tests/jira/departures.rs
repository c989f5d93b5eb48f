//! People who leave: what they lead, and their removal from the site.

use std::collections::BTreeSet;

use entrain_connect::atlassian::Changed;
use entrain_domain::policy::Protected;
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::script::{Asked, OWN, Reply, Site, account, assert_fails, ok, page, reply, says, standing};

const DANA: &str = "712020:dana";

fn shown(more: &Value) -> Value {
    let mut user = json!({"accountId": DANA, "accountType": "atlassian", "active": true, "displayName": "Dana",
        "emailAddress": "dana@example.com",
        "groups": {"size": 1, "items": [{"name": "team", "groupId": "g-team"}]}});
    for (key, value) in more.as_object().into_iter().flatten() {
        user[key] = value.clone();
    }
    user
}

fn site(more: Value, delete: impl Fn() -> Reply + Send + Sync) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| {
        assert_eq!(asked.query["accountId"], DANA);
        if asked.line.starts_with("DELETE") {
            return delete();
        }
        assert_eq!(asked.query["expand"], "groups", "groups show only when asked for");
        ok(&shown(&more))
    }
}

#[tokio::test]
async fn a_person_is_removed_once_or_found_gone() {
    let site1 = Site::writable(site(json!({}), || reply(204, ""))).await;
    assert_eq!(site1.jira.remove_user(&account(DANA)).await.unwrap(), Changed::Now);
    assert_eq!(site1.lines(), ["GET /rest/api/3/user", "DELETE /rest/api/3/user"]);
    let gone = Site::writable(|_| says(404, "Specified user does not exist")).await;
    assert_eq!(gone.jira.remove_user(&account(DANA)).await.unwrap(), Changed::Already);
    assert_eq!(gone.lines(), ["GET /rest/api/3/user"]);
    // Still in the roll, and no user of the site any more
    let former = Site::writable(site(json!({"active": false}), || says(404, "does not exist"))).await;
    assert_eq!(former.jira.remove_user(&account(DANA)).await.unwrap(), Changed::Already);
    for (status, code, class) in [
        (400, FailureCode::SiteRefused, FailureClass::Object),
        (403, FailureCode::SiteRightMissing, FailureClass::Connection),
        (500, FailureCode::WriteUnclear, FailureClass::Unclear),
    ] {
        let refusing = Site::writable(site(json!({}), move || says(status, "no"))).await;
        assert_fails(refusing.jira.remove_user(&account(DANA)).await, code, class);
    }
}

#[tokio::test]
async fn d_06_nobody_who_is_protected_is_removed_from_the_site() {
    let admins =
        |id: &str, name: &str| json!({"groups": {"size": 1, "items": [{"name": name, "groupId": id}]}});
    let cases = [
        (admins("g-admins", "whatever"), FailureCode::SiteProtected, "grants administration"),
        (admins("g-1", "site-admins"), FailureCode::SiteProtected, "grants administration"),
        (json!({"accountType": "app"}), FailureCode::SiteProtected, "app"),
        (json!({"accountType": "customer"}), FailureCode::SiteProtected, "customer"),
        (json!({"accountType": "unknown"}), FailureCode::SiteProtected, "what kind"),
        (json!({"emailAddress": "boss@example.com"}), FailureCode::SiteProtected, "list of protected"),
        // Groups that are counted and not shown may be the administrators'
        (json!({"groups": {"size": 2, "items": []}}), FailureCode::SiteAnswerInvalid, "all groups"),
    ];
    let protected = Protected { addresses: ["boss@example.com".to_owned()].into(), ..Protected::default() };
    for (more, code, why) in cases {
        let guarded = Site::start(site(more.clone(), || panic!("sent"))).await;
        guarded.jira.protect(&protected, &standing(), &[], &BTreeSet::new());
        let result = guarded.jira.remove_user(&account(DANA)).await;
        let error = result.expect_err("refused").failure();
        assert_eq!(error.code, code, "{more}");
        assert!(error.message.contains(why), "{more}: {}", error.message);
    }
    let own = Site::writable(|asked| panic!("sent: {}", asked.line)).await;
    let result = own.jira.remove_user(&account(OWN)).await;
    assert_fails(result, FailureCode::SiteProtected, FailureClass::Object);
    let closed = Site::start(|asked| panic!("sent: {}", asked.line)).await;
    let result = closed.jira.remove_user(&account(DANA)).await;
    assert_fails(result, FailureCode::SiteProtected, FailureClass::Connection);
}

#[tokio::test]
async fn what_people_lead_is_read_over_all_pages() {
    let projects: Vec<Value> = (0..60)
        .map(|n| {
            json!({"id": n.to_string(), "key": format!("P{n}"), "name": format!("Project {n}"),
            "lead": {"accountId": if n % 30 == 7 { DANA } else { "712020:other" }}})
        })
        .collect();
    let components: Vec<Value> = (0..3)
        .map(|n| {
            json!({"id": n.to_string(), "name": format!("Part {n}"), "project": "P1",
            "lead": {"accountId": if n == 1 { DANA } else { "712020:other" }}})
        })
        .collect();
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/rest/api/3/project/search" => {
            assert_eq!(asked.query["expand"], "lead");
            page(&projects, asked)
        }
        "/rest/api/3/component" => {
            let first = asked.raw_query.contains("projectIdsOrKeys=P1&");
            page(if first { &components } else { &[] }, asked)
        }
        other => panic!("{other}"),
    })
    .await;
    assert!(site.jira.leads(&[]).await.unwrap().is_empty());
    assert!(site.asked().is_empty(), "nothing is asked for nobody");
    let leads = site.jira.leads(&[account(DANA), account("712020:nobody")]).await.unwrap();
    let said: Vec<String> = leads[&account(DANA)].iter().map(ToString::to_string).collect();
    assert_eq!(said, ["project “Project 37” (P37)", "project “Project 7” (P7)", "component “Part 1” of P1"]);
    assert_eq!(leads.len(), 1);
    assert_eq!(site.asked().len(), 4, "two pages of projects, two of components by project");
}
