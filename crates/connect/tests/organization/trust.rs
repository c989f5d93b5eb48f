//! The key: where it goes, that it stays unsaid, and that a refused one is used once.

use entrain_connect::atlassian::CheckState;
use entrain_domain::{FailureClass, FailureCode};
use serde_json::json;

use crate::script::{OWN, account, assert_fails, email, ok, reply};
use crate::{HOME, KEY, Script, page, refuses};

#[tokio::test]
async fn a_refused_key_is_not_sent_again() {
    let script = Script::start(|_| reply(401, r#"{"code":401,"message":"Unauthorized"}"#)).await;
    for _ in 0..3 {
        assert_fails(
            script.organization.find_by_address(&[email("p1@example.com")]).await,
            FailureCode::OrganizationCredentialRefused,
            FailureClass::Connection,
        );
    }
    assert_eq!(script.site.asked().len(), 1);
}

#[tokio::test]
async fn s_02_the_key_never_comes_back_in_a_message() {
    // `assert_fails` looks for it in everything that is said
    let script =
        Script::start(|_| refuses(400, "ADMIN-400-24", &format!("Authorization: Bearer {KEY} is odd"))).await;
    let failure = assert_fails(
        script.organization.find_by_address(&[email("p1@example.com")]).await,
        FailureCode::OrganizationRefused,
        FailureClass::Object,
    );
    assert!(failure.message.contains("[redacted]"), "{failure:?}");
    assert!(!format!("{:?}", script.organization).contains(KEY));
}

#[tokio::test]
async fn a_check_names_each_capability_and_what_a_missing_one_would_give() {
    let script = Script::start(|asked| match asked.line.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["GET", path] if path.ends_with("/directories") => {
            ok(&json!({"data": [{"directoryId": HOME, "name": "Primary"}], "links": {}}))
        }
        ["GET", path] if path.ends_with("/domains") => ok(&json!({"data": [
            {"id": "1", "type": "domains", "attributes": {"name": "example.com", "claim": {"type": "dns", "status": "verified"}}},
            {"id": "2", "type": "domains", "attributes": {"name": "old.example", "claim": {"type": "dns", "status": "unverified"}}},
        ]})),
        ["GET", path] if path.ends_with("/manage") => reply(403, r#"{"key":"forbidden","message":"manage:org"}"#),
        ["POST", path] if path.ends_with("/groups/search") => page(&[
            json!({"id": "g1", "name": "From IdP", "externalSynced": true}), json!({"id": "g2", "name": "Ours"}),
        ], None),
        ["POST", path] if path.ends_with("/restore") => refuses(401, "ADMIN-401-2", "INSUFFICIENT_SCOPE"),
        ["PATCH", _] => reply(404, r#"{"code":404,"message":"Not Found"}"#),
        _ => page(&[], None),
    })
    .await;
    let checks = script.organization.check(&account(OWN)).await;
    let state = |what: &str| {
        checks.iter().find(|c| c.what.starts_with(what)).unwrap_or_else(|| panic!("{what}: {checks:?}"))
    };
    assert_eq!(state("Organization key, directory “Primary”").state, CheckState::Good);
    assert_eq!(state("Exact look-up").state, CheckState::Good);
    assert_eq!(state("Renaming of groups").state, CheckState::Notice);
    assert!(state("Renaming of groups").remedy.contains("gets the new name"));
    assert_eq!(state("Verified domains: example.com").state, CheckState::Good);
    let profiles = state("Managed accounts");
    assert_eq!(profiles.state, CheckState::Notice);
    assert!(profiles.remedy.contains("without scopes") && profiles.remedy.contains("[attributes.profile]"));
    assert!(profiles.remedy.contains("deactivate_after"));
    let access = state("Suspending, restoring and removing people");
    assert_eq!(access.state, CheckState::Notice);
    assert!(access.remedy.contains("suspend_after") && access.remedy.contains("only lose their groups"));
    let synced = state("Groups owned by an identity provider: 1 (“From IdP”)");
    assert_eq!(synced.state, CheckState::Notice);
    assert!(synced.remedy.contains("left alone"));
    assert_eq!(
        script.site.lines().iter().filter(|l| !l.starts_with("GET") && !l.contains("search")).count(),
        2,
        "a rename and a restoration of nobody"
    );
}

#[tokio::test]
async fn a_check_with_a_wrong_key_says_only_that() {
    let script = Script::start(|_| reply(401, r#"{"code":401,"message":"Unauthorized"}"#)).await;
    let checks = script.organization.check(&account(OWN)).await;
    assert_eq!((checks.len(), checks[0].state), (1, CheckState::Missing));
    assert!(checks[0].remedy.contains("admin.atlassian.com"));
}
