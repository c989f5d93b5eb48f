//! One person: one request for everything, and half an answer is none.

use entrain_domain::FailureCode;
use entrain_domain::model::{
    AccountState, DirectoryGroupId, DirectoryUserId, EmailAddress, GroupSeen, Peopled, PersonFound,
    PersonKey, PersonReading,
};
use serde_json::json;

use super::graph::{Tenant, demand, member, nested, tenant, user};

fn key(n: usize) -> PersonKey {
    PersonKey::Id(DirectoryUserId::parse(format!("u{n:05}")).unwrap())
}

fn group(id: &str) -> DirectoryGroupId {
    DirectoryGroupId::parse(id).unwrap()
}

async fn found(tenant: &Tenant, key: &PersonKey) -> PersonFound {
    match tenant.entra.person(key, &demand(&["*"])).await.unwrap() {
        PersonReading::Found(found) => *found,
        other => panic!("not found: {other:?}"),
    }
}

/// g-top nests g-mid, which nests g-low, of which user 1 is a member; user 2 is in g-top itself.
async fn company() -> Tenant {
    let tenant = tenant(5, 0, 0).await;
    tenant.change(|world| {
        world.groups.insert("g-top".into(), ("Top".into(), vec![nested("g-mid"), member(2)]));
        world.groups.insert("g-mid".into(), ("Mid".into(), vec![nested("g-low")]));
        world.groups.insert("g-low".into(), ("Low".into(), vec![member(1)]));
        world.groups.insert("g-empty".into(), ("Empty".into(), Vec::new()));
    });
    tenant
}

#[tokio::test]
async fn p_8_a_person_with_all_groups_is_one_request() {
    let tenant = company().await;
    let person = found(&tenant, &key(1)).await;
    assert_eq!(tenant.asked("/$batch"), 1);
    assert_eq!(tenant.change(|world| world.tokens), 1);
    assert_eq!(person.user.account, AccountState::Enabled);
    assert_eq!(person.direct, [group("g-low")]);
    let all: Vec<(&str, &str)> = person.groups.iter().map(|(id, name)| (id.as_str(), &**name)).collect();
    assert_eq!(all, [("g-low", "Low"), ("g-mid", "Mid"), ("g-top", "Top")], "a role is no group");
}

#[tokio::test]
async fn somebody_is_found_by_address_gone_by_id_and_told_from_others_of_the_same_address() {
    let tenant = company().await;
    let by_mail = PersonKey::Name("U2@example.com".into());
    assert_eq!(found(&tenant, &by_mail).await.direct, [group("g-top")]);
    let reading = tenant.entra.person(&key(99), &demand(&["*"])).await.unwrap();
    assert!(
        matches!(reading, PersonReading::Missing(id) if id.as_str() == "u00099"),
        "not found proves nothing"
    );
    tenant.change(|world| world.bin.push("u00099".into()));
    let reading = tenant.entra.person(&key(99), &demand(&["*"])).await.unwrap();
    assert!(matches!(reading, PersonReading::Gone(id) if id.as_str() == "u00099"));
    let nobody = PersonKey::Name("nobody@example.com".into());
    assert_eq!(tenant.entra.person(&nobody, &demand(&["*"])).await.unwrap(), PersonReading::Unknown);
    tenant.change(|world| {
        let mut twin = user(7);
        twin["mail"] = json!("u2@example.com");
        world.users.push(twin);
    });
    let reading = tenant.entra.person(&by_mail, &demand(&["*"])).await.unwrap();
    assert!(matches!(reading, PersonReading::Several(ids) if ids.len() == 2));
    let address = EmailAddress::parse("u2@example.com").unwrap();
    assert_eq!(tenant.entra.people_of(&address, &demand(&["*"])).await.unwrap().len(), 2);
}

#[tokio::test]
async fn long_lists_are_read_to_their_end() {
    let tenant = tenant(2, 1_500, 2).await;
    let person = found(&tenant, &key(1)).await;
    assert_eq!((person.direct.len(), person.groups.len()), (1_500, 1_500));
}

#[tokio::test]
async fn n_10_a_part_that_cannot_be_read_fails_the_whole_and_proves_nothing() {
    for part in ["/memberOf", "/transitiveMemberOf", "/users/u00001?"] {
        for (status, code) in
            [(403, FailureCode::DirectoryConsentMissing), (400, FailureCode::DirectoryUnavailable)]
        {
            let tenant = company().await;
            tenant.meddle(move |target, _, found| {
                if target.contains(part) { (status, json!({"error": {"code": "Refused"}})) } else { found }
            });
            let error = tenant.entra.person(&key(1), &demand(&["*"])).await.unwrap_err();
            assert_eq!(error.failure().code, code, "{part} {status}");
        }
    }
    // One part that comes late is asked again.
    let tenant = company().await;
    tenant.meddle(|target, before, found| {
        if target.contains("/transitiveMemberOf") && before == 0 { (503, json!({})) } else { found }
    });
    assert_eq!(found(&tenant, &key(1)).await.groups.len(), 3);
    assert_eq!(tenant.asked("/$batch"), 2);
}

#[tokio::test]
async fn n_12_a_part_that_is_not_found_while_the_person_is_fails_the_whole_and_proves_nothing() {
    for part in ["/memberOf", "/transitiveMemberOf"] {
        let tenant = company().await;
        tenant.meddle(move |target, _, found| {
            if target.contains(part) {
                (404, json!({"error": {"code": "Request_ResourceNotFound"}}))
            } else {
                found
            }
        });
        let error = tenant.entra.person(&key(1), &demand(&["*"])).await.unwrap_err();
        assert_eq!(error.failure().code, FailureCode::DirectoryAnswerInvalid, "{part}");
    }
}

#[tokio::test]
async fn n_12_lists_that_contradict_each_other_fail_the_whole_unless_one_only_lagged() {
    for part in ["/memberOf", "/transitiveMemberOf"] {
        let tenant = company().await;
        tenant.meddle(
            move |target, _, found| {
                if target.contains(part) { (200, json!({"value": []})) } else { found }
            },
        );
        let error = tenant.entra.person(&key(1), &demand(&["*"])).await.unwrap_err();
        assert_eq!(error.failure().code, FailureCode::DirectoryAnswerInvalid, "{part} cut short");
        assert_eq!(tenant.asked("/$batch"), 2, "asked once more, and no more");
    }
    let tenant = company().await;
    tenant.meddle(|target, before, found| {
        if target.contains("/transitiveMemberOf") && before == 0 {
            (200, json!({"value": []}))
        } else {
            found
        }
    });
    assert_eq!(found(&tenant, &key(1)).await.groups.len(), 3);
    // What does not say that it is a group may be one
    let tenant = company().await;
    tenant.meddle(|target, _, found| {
        if target.contains("emberOf") { (200, json!({"value": [{"id": "g-low"}]})) } else { found }
    });
    let error = tenant.entra.person(&key(1), &demand(&["*"])).await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::DirectoryAnswerInvalid);
}

#[tokio::test]
async fn hidden_properties_are_a_failure_and_never_a_disabled_account() {
    let tenant = company().await;
    tenant.meddle(
        |target, _, found| {
            if target.starts_with("/users/u00001?") { (200, json!({"id": "u00001"})) } else { found }
        },
    );
    let error = tenant.entra.person(&key(1), &demand(&["*"])).await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::DirectoryPropertiesHidden);
}

#[tokio::test]
async fn another_user_than_asked_for_is_no_answer() {
    let tenant = company().await;
    tenant.meddle(
        |target, _, found| {
            if target.starts_with("/users/u00001?") { (200, user(2)) } else { found }
        },
    );
    let error = tenant.entra.person(&key(1), &demand(&["*"])).await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::DirectoryAnswerInvalid);
}

#[tokio::test]
async fn groups_are_looked_at_by_themselves_in_one_request() {
    let tenant = company().await;
    let asked = [group("g-low"), group("g-empty"), group("g-none")];
    let seen = tenant.entra.groups_seen(&asked).await.unwrap();
    let states: Vec<GroupSeen> = seen.into_iter().map(|(_, seen)| seen).collect();
    assert_eq!(states, [GroupSeen::There(Peopled::Yes), GroupSeen::There(Peopled::No), GroupSeen::Gone]);
    assert_eq!(tenant.asked("/$batch"), 1);
    tenant.meddle(|target, _, found| {
        if target.contains("/members") { (403, json!({"error": {"code": "Refused"}})) } else { found }
    });
    let error = tenant.entra.groups_seen(&asked).await.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::DirectoryConsentMissing);
}
