//! People found exactly, and profiles.

use entrain_connect::atlassian::organization::Manageable;
use entrain_domain::model::{Profile, ProfileField, ProfileStanding};
use entrain_domain::policy::Protected;
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::script::{OWN, account, assert_fails, email, ok, reply};
use crate::{HOME, ORG, Script, page, refuses};

fn person(n: usize, more: &Value) -> Value {
    let mut row = json!({"accountId": format!("712020:{n:06}"), "accountType": "atlassian", "name": format!("Person {n}"),
        "email": format!("P{n}@Example.com"), "claimStatus": "managed", "managementSource": "invited",
        "jobTitle": "Baker", "surprise": [1]});
    for (key, value) in more.as_object().into_iter().flatten() {
        row[key] = value.clone();
    }
    row
}

#[tokio::test]
async fn n_13_hidden_addresses_are_found_exactly_a_hundred_in_one_request() {
    let script = Script::start(|asked| {
        let emails = asked.body["emails"].as_array().cloned().unwrap_or_default();
        let number =
            |e: &Value| e.as_str().unwrap()[1..].split('@').next().unwrap().parse::<usize>().unwrap();
        let found: Vec<Value> =
            emails.iter().map(number).filter(|n| n % 2 == 0).map(|n| person(n, &json!({}))).collect();
        page(&found, None)
    })
    .await;
    let mut addresses: Vec<_> = (0..150).map(|n| email(&format!("p{n}@example.com"))).collect();
    addresses.push(email("P3@EXAMPLE.COM"));
    let found = script.organization.find_by_address(&addresses).await.unwrap();
    assert_eq!(found.len(), 75);
    assert!(found.iter().all(|user| user.address.is_some()));
    let asked = script.site.asked();
    assert_eq!(asked.len(), 2, "⌈150 / 100⌉, an address counts once however it is written");
    assert_eq!(asked[0].line, format!("POST /admin/v2/orgs/{ORG}/directories/-/users/search"));
    assert_eq!(asked.iter().map(|a| a.body["emails"].as_array().unwrap().len()).sum::<usize>(), 150);
    assert_eq!(asked[0].body.as_object().unwrap().len(), 2, "emails and limit: {}", asked[0].body);
    assert_eq!(asked[0].authorization.as_deref(), Some(format!("Bearer {}", crate::KEY).as_str()));
    assert_eq!(script.organization.requests().organization, 2);
    assert_eq!(script.organization.requests().site, 0);
}

#[tokio::test]
async fn a_cursor_is_followed_alone_and_never_in_a_circle() {
    let script = Script::with(Some(HOME), |asked| match asked.body["cursor"].as_str() {
        None => page(&[person(1, &json!({}))], Some("next-1")),
        Some("next-1") => page(&[person(2, &json!({}))], Some("")),
        Some(other) => panic!("an invented cursor {other}"),
    })
    .await;
    let found =
        script.organization.find_by_address(&[email("p1@example.com"), email("p2@example.com")]).await;
    assert_eq!(found.unwrap().len(), 2);
    let asked = script.site.asked();
    assert_eq!(asked[0].path, format!("/admin/v2/orgs/{ORG}/directories/{HOME}/users/search"));
    assert_eq!(asked[1].body, json!({"cursor": "next-1"}));

    let script = Script::start(|_| page(&[person(1, &json!({}))], Some("again"))).await;
    assert_fails(
        script.organization.find_by_address(&[email("p1@example.com")]).await,
        FailureCode::OrganizationAnswerInvalid,
        FailureClass::Transient,
    );
}

#[tokio::test]
async fn an_answer_about_somebody_else_or_something_else_is_left_out() {
    let script = Script::start(|_| {
        page(
            &[
                person(1, &json!({})),
                person(1, &json!({"nickname": "the same account in another directory"})),
                person(2, &json!({"email": "other@example.com"})),
                person(3, &json!({"email": null})),
                person(4, &json!({"accountType": "app", "email": "p1@example.com"})),
            ],
            None,
        )
    })
    .await;
    let found = script.organization.find_by_address(&[email("p1@example.com")]).await.unwrap();
    assert_eq!(found.len(), 1);
    let shown = [(ProfileField::Name, "Person 1".into()), (ProfileField::JobTitle, "Baker".into())];
    assert_eq!(found[0].profile, ProfileStanding::Managed(Profile::from(shown)));
}

#[tokio::test]
async fn d_06_an_answer_that_is_cut_off_or_lacks_its_list_is_never_nobody() {
    for body in ["", "{", r#"{"links":{}}"#, "<html>sign in</html>", r#"{"data":[{"accountId":"a b"}]}"#] {
        let script = Script::start(move |_| reply(200, body)).await;
        assert_fails(
            script.organization.find_by_address(&[email("p1@example.com")]).await,
            FailureCode::OrganizationAnswerInvalid,
            FailureClass::Transient,
        );
    }
}

#[tokio::test]
async fn accounts_are_asked_for_ten_at_a_time_with_their_standing() {
    let script = Script::start(|asked| {
        let ids = asked.body["accountIds"].as_array().unwrap();
        assert!(ids.len() <= 10);
        let row = |(n, id): (usize, &Value)| {
            let more = match n % 3 {
                0 => json!({"accountId": id, "claimStatus": "unmanaged"}),
                1 => json!({"accountId": id, "managementSource": "synced"}),
                _ => json!({"accountId": id}),
            };
            person(n, &more)
        };
        page(&ids.iter().enumerate().map(row).collect::<Vec<_>>(), None)
    })
    .await;
    let ids: Vec<_> = (0..25).map(|n| account(&format!("712020:{n}"))).collect();
    let found = script.organization.accounts(&ids).await.unwrap();
    assert_eq!((found.len(), script.site.asked().len()), (25, 3));
    assert_eq!(found[0].profile, ProfileStanding::Unmanaged);
    assert_eq!(found[1].profile, ProfileStanding::Synced);
    assert!(matches!(found[2].profile, ProfileStanding::Managed(_)));
}

#[tokio::test]
async fn h_06_ids_are_one_segment_whatever_they_hold() {
    for id in ["557058:a/b", "a?b", "a#b", "a%2fb", "a|b"] {
        let Ok(id) = entrain_domain::model::AccountId::parse(id) else { continue };
        let script = Script::start(|_| ok(&json!({"profile.write": {"name": {"allowed": true}}}))).await;
        script.organization.manageable(&id).await.unwrap();
        let asked = script.site.asked();
        let segments: Vec<&str> = asked[0].path.split('/').collect();
        assert_eq!(segments.len(), 4, "{}", asked[0].path);
        assert_eq!((segments[1], segments[3]), ("users", "manage"));
        assert_eq!(percent_decode(segments[2]), id.as_str());
    }
}

fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn what_may_be_changed_is_asked_for_by_privilege() {
    let script = Script::start(|_| {
        ok(&json!({"profile.write": {"name": {"allowed": false, "reason": {"key": "externalDirectory.scim"}},
            "nickname": {"allowed": true}, "extended_profile.job_title": {"allowed": true}}}))
    })
    .await;
    let may = script.organization.manageable(&account("712020:a")).await.unwrap();
    assert_eq!(may, Manageable::Fields(vec![ProfileField::Nickname, ProfileField::JobTitle]));
    assert_eq!(script.site.asked()[0].raw_query, "privileges=profile.write");
    let script = Script::start(|_| reply(403, r#"{"key":"forbidden.targetUnverified"}"#)).await;
    assert_eq!(script.organization.manageable(&account("712020:a")).await.unwrap(), Manageable::Unmanaged);
    let script = Script::start(|_| reply(404, r#"{"key":"accountNotFound"}"#)).await;
    assert_eq!(script.organization.manageable(&account("712020:a")).await.unwrap(), Manageable::Unknown);
}

fn profile(fields: &[(ProfileField, &str)]) -> Profile {
    fields.iter().map(|(field, value)| (*field, (*value).into())).collect()
}

#[tokio::test]
async fn a_profile_is_set_field_by_field_and_the_answer_must_show_it() {
    let wanted = profile(&[(ProfileField::Name, "Dana Okafor"), (ProfileField::JobTitle, "Baker")]);
    let script = Script::start(|_| {
        ok(&json!({"account": {"account_id": "712020:a", "name": "Dana Okafor", "nickname": "Dana",
            "extended_profile": {"job_title": "Baker"}}}))
    })
    .await
    .writable();
    script.organization.set_profile(&account("712020:a"), &wanted).await.unwrap();
    let asked = script.site.asked();
    assert_eq!(asked[0].line, "PATCH /users/712020%3Aa/manage/profile");
    assert_eq!(asked[0].body, json!({"name": "Dana Okafor", "extended_profile": {"job_title": "Baker"}}));

    let script =
        Script::start(|_| ok(&json!({"account": {"name": "Somebody", "nickname": "S"}}))).await.writable();
    assert_fails(
        script.organization.set_profile(&account("712020:a"), &wanted).await,
        FailureCode::WriteUnclear,
        FailureClass::Unclear,
    );
}

async fn set_name(script: &Script) -> Result<(), entrain_connect::Error> {
    script.organization.set_profile(&account("712020:a"), &profile(&[(ProfileField::Name, "D")])).await
}

#[tokio::test]
async fn a_refused_profile_says_the_field_the_reason_and_the_way_out() {
    for (status, body, said) in [
        (403, json!({"key": "forbidden.targetUnverified"}), "not managed"),
        (
            403,
            json!({"key": "forbidden.fieldMutation",
                "context": {"name": {"allowed": false, "reason": {"key": "externalDirectory.scim"}}}}),
            "name (externalDirectory.scim)",
        ),
        (
            400,
            json!({"key": "fieldConstraintsViolated",
                "context": {"fieldViolations": [{"field": "name", "violations": [{"key": "maxLength"}]}]}}),
            "name (maxLength)",
        ),
        (404, json!({"key": "accountNotFound"}), "does not know the account"),
    ] {
        let script = Script::start(move |_| reply(status, body.to_string())).await.writable();
        let set = set_name(&script).await;
        let failure = assert_fails(set, FailureCode::OrganizationRefused, FailureClass::Object);
        assert!(failure.message.contains(said), "{failure:?}");
    }
    let script = Script::start(|_| reply(503, "")).await.writable();
    assert_fails(set_name(&script).await, FailureCode::WriteUnclear, FailureClass::Unclear);
}

#[tokio::test]
async fn s_06_protected_accounts_and_our_own_are_never_written_to() {
    let name = profile(&[(ProfileField::Name, "D")]);
    let protected = Protected {
        accounts: [account("712020:vip")].into(),
        addresses: ["p1@example.com".to_owned()].into(),
        ..Protected::default()
    };
    let script = Script::start(|_| page(&[person(1, &json!({}))], None)).await.protected(&protected);
    script.organization.find_by_address(&[email("p1@example.com")]).await.unwrap();
    for id in ["712020:vip", OWN, "712020:000001"] {
        assert_fails(
            script.organization.set_profile(&account(id), &name).await,
            FailureCode::SiteProtected,
            FailureClass::Object,
        );
        let property = script.site.jira.set_property(&account(id), "entrain", &json!({"a": 1})).await;
        assert_fails(property, FailureCode::SiteProtected, FailureClass::Object);
    }
    assert_eq!(script.site.asked().len(), 1, "nothing was sent but the search");
}

#[tokio::test]
async fn a_property_is_one_json_value_under_its_key() {
    let script = Script::start(|_| reply(201, "{}")).await.writable();
    let value = json!({"department": "R&D"});
    script.site.jira.set_property(&account("557058:a"), "entrain/x", &value).await.unwrap();
    let asked = script.site.asked();
    assert_eq!(asked[0].line, "PUT /rest/api/3/user/properties/entrain%2Fx");
    assert_eq!((asked[0].raw_query.as_str(), &asked[0].body), ("accountId=557058%3Aa", &value));
    for (status, code) in [
        (400, FailureCode::SiteRefused),
        (403, FailureCode::SiteRightMissing),
        (404, FailureCode::SiteObjectUnknown),
    ] {
        let script = Script::start(move |_| reply(status, r#"{"errorMessages":["no"]}"#)).await.writable();
        let failure =
            script.site.jira.set_property(&account("557058:a"), "entrain", &value).await.unwrap_err();
        assert_eq!(failure.failure().code, code);
    }
}

#[tokio::test]
async fn a_group_of_refusals_is_read_in_every_form() {
    let cases: Vec<(crate::script::Reply, FailureCode, FailureClass)> = vec![
        (
            reply(401, r#"{"code":401,"message":"Unauthorized"}"#),
            FailureCode::OrganizationCredentialRefused,
            FailureClass::Connection,
        ),
        (
            refuses(401, "ADMIN-401-2", "INSUFFICIENT_SCOPE"),
            FailureCode::OrganizationRightMissing,
            FailureClass::Connection,
        ),
        (refuses(403, "ADMIN-403-3", "no"), FailureCode::OrganizationRightMissing, FailureClass::Connection),
        (
            reply(
                404,
                r#"{"timestamp":"t","path":"/api","status":404,"error":"Not Found","message":"TCS validation failed"}"#,
            ),
            FailureCode::OrganizationUnknown,
            FailureClass::Connection,
        ),
        (refuses(404, "ADMIN-404-1", "?"), FailureCode::OrganizationUnknown, FailureClass::Connection),
        (refuses(400, "ADMIN-400-24", "bad"), FailureCode::OrganizationRefused, FailureClass::Object),
        (refuses(500, "ADMIN-500-1", "oh"), FailureCode::OrganizationUnavailable, FailureClass::Transient),
    ];
    for (answer, code, class) in cases {
        let answer = std::sync::Mutex::new(answer);
        let script = Script::start(move |_| answer.lock().unwrap().again()).await;
        assert_fails(script.organization.find_by_address(&[email("p1@example.com")]).await, code, class);
    }
}

#[tokio::test]
async fn h_06_half_a_surrogate_pair_fails_no_page_and_merges_nobody() {
    let script = Script::start(|_| {
        let row = |id: &str, mail: &str| {
            format!(r#"{{"accountId":"712020:{id}","name":"A\ud83d{id}","email":"{mail}@example.com"}}"#)
        };
        let rows = [row("1", r"ana\ud800"), row("2", r"ana\udfff"), row("3", "ana")].join(",");
        reply(200, format!(r#"{{"data":[{rows}],"links":{{"next":null}}}}"#))
    })
    .await;
    let ids: Vec<_> = ["712020:1", "712020:2", "712020:3"].map(account).into();
    let found = script.organization.accounts(&ids).await.unwrap();
    let addresses: Vec<Option<String>> =
        found.iter().map(|user| user.address.as_ref().map(|a| a.as_str().to_owned())).collect();
    assert_eq!(addresses, [None, None, Some("ana@example.com".to_owned())]);
    let exact = script.organization.find_by_address(&[email("ana@example.com")]).await.unwrap();
    assert_eq!(exact.iter().map(|user| user.account.clone()).collect::<Vec<_>>(), [account("712020:3")]);
}
