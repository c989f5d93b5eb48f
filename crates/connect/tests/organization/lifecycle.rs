//! Access of people: suspended, restored, removed, deactivated, activated; and what the protection refuses of it.

use entrain_connect::atlassian::Changed;
use entrain_connect::atlassian::organization::{Access, Activity, Invitation, InvitationMail};
use entrain_domain::model::AccountId;
use entrain_domain::policy::Protected;
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::script::{Asked, OWN, Reply, account, assert_fails, email, reply};
use crate::{HOME, KEY, ORG, Script, page, refuses};

const DANA: &str = "712020:dana";

/// A person as the search shows them, with these differences.
fn shown(more: &Value) -> Value {
    let mut row = json!({"accountId": DANA, "accountType": "atlassian", "email": "dana@example.com",
        "accountStatus": "active", "membershipStatus": "active", "claimStatus": "managed", "platformRoles": [],
        "groups": [{"id": "ari:cloud:identity::group/g-team", "name": "team"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        if value.is_null() {
            row.as_object_mut().unwrap().remove(key);
        } else {
            row[key] = value.clone();
        }
    }
    row
}

fn about(asked: &Asked, more: &Value, act: impl Fn(&Asked) -> Reply) -> Reply {
    if asked.path.ends_with("/users/search") {
        assert_eq!(
            asked.body["expand"],
            json!(["platformRoles", "groups"]),
            "roles show only when asked for"
        );
        return page(&[shown(more)], None);
    }
    if asked.path.ends_with("/manage") {
        return reply(200, json!({"lifecycle.enablement": {"allowed": true}}).to_string());
    }
    act(asked)
}

async fn scripted(more: Value, act: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Script {
    Script::with(Some(HOME), move |asked| about(asked, &more, &act)).await.writable()
}

/// The acts, by the name of the last part of their path.
const ACTS: [&str; 5] = ["suspend", "restore", "remove", "deactivate", "reactivate"];

async fn act(script: &Script, what: &str, id: &AccountId) -> Result<Changed, entrain_connect::Error> {
    let organization = &script.organization;
    match what {
        "suspend" => organization.suspend(id).await,
        "restore" => organization.restore(id).await,
        "remove" => organization.remove(id).await,
        "deactivate" => organization.deactivate(id).await,
        _ => organization.reactivate(id).await,
    }
}

/// How somebody has to be shown for an act to have something to do, and for it to be done already.
fn before(what: &str) -> (Value, Value) {
    let (active, suspended) = (json!({}), json!({"membershipStatus": "suspended"}));
    let (inactive, gone) =
        (json!({"accountStatus": "inactive"}), json!({"membershipStatus": "no_membership"}));
    match what {
        "suspend" => (active, suspended),
        "restore" => (suspended, active),
        "remove" => (active, gone),
        "deactivate" => (active, inactive),
        _ => (inactive, active),
    }
}

#[tokio::test]
async fn what_is_taken_of_an_access_is_told_without_touching_it() {
    let (on, off) = (Activity::Active, Activity::Inactive);
    for (more, membership, of_account) in [
        (json!({}), on, on),
        (json!({"membershipStatus": "suspended"}), off, on),
        (json!({"accountStatus": "inactive"}), on, off),
        (json!({"membershipStatus": "suspended", "accountStatus": "inactive"}), off, off),
        (json!({"membershipStatus": "no_membership"}), on, on),
    ] {
        let row = shown(&more);
        let script = Script::with(Some(HOME), move |_| {
            page(
                &[
                    row.clone(),
                    json!({"accountId": "712020:other",
            "accountStatus": "inactive", "membershipStatus": "suspended"}),
                ],
                None,
            )
        })
        .await;
        let told = script.organization.access(&account(DANA)).await.unwrap();
        assert_eq!(told, Some(Access { membership, account: of_account }), "{more}");
        assert!(
            script.site.lines().iter().all(|line| line.ends_with("/users/search")),
            "{:?}",
            script.site.lines()
        );
    }
    let script = Script::with(Some(HOME), |_| page(&[], None)).await;
    assert_eq!(script.organization.access(&account(DANA)).await.unwrap(), None);
}

#[tokio::test]
async fn each_act_is_done_in_the_directory_or_found_done_without_a_write() {
    let base = format!("/admin/v2/orgs/{ORG}/directories/{HOME}/users/712020%3Adana");
    let lines = [
        format!("POST {base}/suspend"),
        format!("POST {base}/restore"),
        format!("DELETE {base}"),
        "POST /users/712020%3Adana/manage/lifecycle/disable".to_owned(),
        "POST /users/712020%3Adana/manage/lifecycle/enable".to_owned(),
    ];
    for (what, line) in ACTS.into_iter().zip(lines) {
        let (to_do, done) = before(what);
        let script = scripted(to_do, |_| reply(204, "")).await;
        assert_eq!(act(&script, what, &account(DANA)).await.unwrap(), Changed::Now, "{what}");
        assert_eq!(script.site.lines().pop().unwrap(), line);
        let script = scripted(done, |asked| panic!("{}", asked.line)).await;
        assert_eq!(act(&script, what, &account(DANA)).await.unwrap(), Changed::Already, "{what}");
    }
}

#[tokio::test]
async fn d_06_no_act_reaches_somebody_who_is_protected() {
    let cases = [
        (json!({"platformRoles": ["atlassian/org-admin"]}), "administers"),
        (json!({"platformRoles": ["atlassian/site-admin", "atlassian/ai-access"]}), "administers"),
        (json!({"platformRoles": ["atlassian/a-role-of-tomorrow"]}), "administers"),
        (json!({"platformRoles": null}), "not known whether"),
        (
            json!({"groups": [{"id": "ari:cloud:identity::group/g-admins", "name": "whatever"}]}),
            "grants administration",
        ),
        (json!({"groups": [{"id": "g-9", "name": "Org-Admins"}]}), "grants administration"),
        (json!({"accountType": "app"}), "app"),
        (json!({"accountType": "customer"}), "customer"),
        (json!({"accountType": "robot"}), "what kind"),
        (json!({"email": "boss@example.com"}), "list of protected"),
    ];
    let listed = Protected {
        accounts: [account("712020:listed")].into(),
        addresses: ["boss@example.com".to_owned()].into(),
        ..Protected::default()
    };
    for what in ACTS {
        for (more, why) in &cases {
            let shows = more.clone();
            let script = Script::with(Some(HOME), move |asked| {
                about(asked, &shows, |asked| panic!("sent: {}", asked.line))
            })
            .await
            .protected(&listed);
            let failed = assert_fails(
                act(&script, what, &account(DANA)).await,
                FailureCode::SiteProtected,
                FailureClass::Object,
            );
            assert!(failed.message.contains(why), "{what} {more}: {}", failed.message);
        }
        for id in [OWN, "712020:listed"] {
            let script = Script::start(|asked| panic!("sent: {}", asked.line)).await.protected(&listed);
            let result = act(&script, what, &account(id)).await;
            assert_fails(result, FailureCode::SiteProtected, FailureClass::Object);
        }
        let script = Script::start(|asked| panic!("sent: {}", asked.line)).await;
        let result = act(&script, what, &account(DANA)).await;
        assert_fails(result, FailureCode::SiteProtected, FailureClass::Connection);
    }
}

#[tokio::test]
async fn ai_access_is_no_administration() {
    let script = scripted(json!({"platformRoles": ["atlassian/ai-access"]}), |_| reply(204, "")).await;
    assert_eq!(script.organization.suspend(&account(DANA)).await.unwrap(), Changed::Now);
}

#[tokio::test]
async fn what_the_organization_refuses_is_said_of_the_person_and_a_broken_write_is_unclear() {
    for what in ["suspend", "restore", "remove"] {
        let (to_do, _) = before(what);
        for (status, code, class) in [
            (400, FailureCode::OrganizationRefused, FailureClass::Object),
            (403, FailureCode::OrganizationRefused, FailureClass::Object),
            (500, FailureCode::WriteUnclear, FailureClass::Unclear),
        ] {
            let script = scripted(to_do.clone(), move |_| reply(status, "")).await;
            assert_fails(act(&script, what, &account(DANA)).await, code, class);
        }
        let script = scripted(to_do, |_| refuses(403, "ADMIN-403-3", "may not manage the org")).await;
        let result = act(&script, what, &account(DANA)).await;
        assert_fails(result, FailureCode::OrganizationRightMissing, FailureClass::Connection);
    }
}

#[tokio::test]
async fn only_managed_accounts_that_no_identity_provider_owns_are_deactivated() {
    let script = scripted(json!({"claimStatus": "unmanaged"}), |asked| panic!("{}", asked.line)).await;
    let result = script.organization.deactivate(&account(DANA)).await;
    let failed = assert_fails(result, FailureCode::OrganizationRefused, FailureClass::Object);
    assert!(failed.message.contains("not managed"));
    let script = Script::with(Some(HOME), |asked| {
        if asked.path.ends_with("/users/search") {
            return page(&[shown(&json!({}))], None);
        }
        assert!(asked.line.starts_with("GET"), "nothing is written: {}", asked.line);
        let rule = json!({"allowed": false, "reason": {"key": "externalDirectory.scim"}});
        reply(200, json!({"lifecycle.enablement": rule}).to_string())
    })
    .await
    .writable();
    let result = script.organization.deactivate(&account(DANA)).await;
    let failed = assert_fails(result, FailureCode::OrganizationRefused, FailureClass::Object);
    assert!(failed.message.contains("externalDirectory.scim"), "{}", failed.message);
}

#[tokio::test]
async fn a_conflict_is_settled_by_another_look() {
    for (later, done) in [("inactive", true), ("active", false)] {
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let script = Script::with(Some(HOME), move |asked| {
            if asked.path.ends_with("/users/search") {
                let first = looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                return page(&[shown(&json!({"accountStatus": if first { "active" } else { later }}))], None);
            }
            about(asked, &json!({}), |_| reply(409, r#"{"key":"conflict.lifecycleErrors"}"#))
        })
        .await
        .writable();
        let result = script.organization.deactivate(&account(DANA)).await;
        if done {
            assert_eq!(result.unwrap(), Changed::Already);
        } else {
            assert_fails(result, FailureCode::OrganizationRefused, FailureClass::Object);
        }
    }
}

#[tokio::test]
async fn a_partial_invitation_says_what_was_not_given_and_no_mail_goes_out_unless_there_is_a_text() {
    let script = Script::start(|asked| {
        assert!(asked.path.ends_with("/users/invite"));
        let data = json!([{"id": DANA, "email": "Dana@example.com", "results": [{
        "roleAssignmentResult": [],
        "groupAssignmentResult": [
            {"group": "g1", "status": "INVITED"},
            {"group": "g2", "status": "ERROR", "statusReason": "LICENSE_LIMIT_EXCEEDED"},
        ]}]}]);
        reply(206, json!({"data": data}).to_string())
    })
    .await
    .writable();
    let people = [email("dana@example.com"), email("li@example.com")];
    let groups = ["g1", "g2"].map(|id| entrain_domain::model::SiteGroupId::parse(id).unwrap());
    let told = script.organization.invite(&people, &groups, &InvitationMail::None).await.unwrap();
    assert_eq!(
        told[0],
        Invitation {
            address: people[0].clone(),
            account: Some(account(DANA)),
            refused: vec!["g2: LICENSE_LIMIT_EXCEEDED".into()]
        }
    );
    assert_eq!(told[1].account, None, "206 leaves out whom it could not invite");
    let body = script.site.asked().pop().unwrap().body;
    assert_eq!(body["sendNotification"], false);
    assert_eq!(body["additionalGroups"], json!(["g1", "g2"]));
    script.organization.invite(&people, &[], &InvitationMail::Text("Welcome".into())).await.unwrap();
    let body = script.site.asked().pop().unwrap().body;
    assert_eq!((&body["sendNotification"], &body["notificationText"]), (&json!(true), &json!("Welcome")));
}

#[tokio::test]
async fn an_invitation_without_a_seat_or_a_subscription_or_an_answer() {
    let dana = [email("dana@example.com")];
    for (answer, code, class) in [
        (
            refuses(409, "ADMIN-UAM-409-3", "no seat: ari:cloud:confluence::site/1"),
            FailureCode::SiteSeatsExhausted,
            FailureClass::Object,
        ),
        (refuses(402, "ADMIN-UAM-402-1", "pay"), FailureCode::OrganizationRefused, FailureClass::Object),
        (reply(500, ""), FailureCode::WriteUnclear, FailureClass::Unclear),
        (reply(200, r#"{"data": []}"#), FailureCode::WriteUnclear, FailureClass::Unclear),
    ] {
        let script = Script::start(move |_| answer.again()).await.writable();
        let failed =
            assert_fails(script.organization.invite(&dana, &[], &InvitationMail::None).await, code, class);
        assert_eq!(script.site.asked().len(), 1, "never repeated by itself");
        if code == FailureCode::SiteSeatsExhausted {
            assert!(failed.message.contains("confluence"), "{}", failed.message);
        }
        assert!(!failed.message.contains(KEY));
    }
}
