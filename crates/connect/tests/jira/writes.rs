//! Writes: known to have happened, known not to have, or unclear; and refused before a request where protected.

use std::collections::BTreeSet;

use entrain_connect::atlassian::{Added, Removed};
use entrain_domain::model::{AccountId, Product, ProductKey, Seats, SiteGroupId};
use entrain_domain::policy::Protected;
use entrain_domain::{FailureClass, FailureCode};
use serde_json::json;

use crate::script::{OWN, Reply, Site, account, assert_fails, email, group, ok, reply, says, standing, user};

#[tokio::test]
async fn an_invitation_names_address_and_products_and_nothing_else() {
    let site = Site::writable(|_| reply(201, user(7).to_string())).await;
    let made = site.jira.invite(&email("P7@example.com"), &["jira-software".to_owned()]).await.unwrap();
    assert_eq!(made.id.as_str(), "712020:000007");
    site.jira.invite(&email("p7@example.com"), &[]).await.unwrap();
    let asked = site.asked();
    assert_eq!(asked[0].line, "POST /rest/api/3/user");
    assert_eq!(asked[0].body, json!({"emailAddress": "P7@example.com", "products": ["jira-software"]}));
    assert_eq!(asked[1].body, json!({"emailAddress": "p7@example.com", "products": []}));
}

#[tokio::test]
async fn n_04_an_invitation_whose_outcome_is_not_known_is_unclear_and_never_repeated() {
    let echo = "User could not be created: Failed to add user HttpErrorCode 404 - User not found";
    let cases: Vec<fn(&str) -> Reply> = vec![
        |echo| says(400, echo),
        |_| says(500, "Internal server error"),
        |_| reply(503, ""),
        |_| reply(504, "<html>gateway</html>"),
        |_| reply(201, r#"{"accountId": "712020:00"#),
        |_| reply(201, ""),
        |_| reply(201, r#"{"accountId": "unknown"}"#),
        |_| reply(201, user(8).to_string()),
    ];
    for case in cases {
        let site = Site::writable(move |_| case(echo)).await;
        let failure = assert_fails(
            site.jira.invite(&email("p7@example.com"), &[]).await,
            FailureCode::WriteUnclear,
            FailureClass::Unclear,
        );
        assert_eq!(failure.object.as_deref(), Some("p7@example.com"));
        assert_eq!(site.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_invitation_says_why_and_what_to_do() {
    for (reply, code, class) in [
        (|| says(403, ""), FailureCode::SiteOrgAdminMissing, FailureClass::Connection),
        (
            || says(403, "You do not have the permission to administer Jira."),
            FailureCode::SiteRightMissing,
            FailureClass::Connection,
        ),
        (|| reply(403, ""), FailureCode::SiteOrgAdminMissing, FailureClass::Connection),
        (
            || reply(401, "Client must be authenticated"),
            FailureCode::SiteCredentialRefused,
            FailureClass::Connection,
        ),
        (
            || says(400, "You must specify the products that user can access."),
            FailureCode::SiteRefused,
            FailureClass::Connection,
        ),
        (
            || says(400, "The user already exists but does not have access to Jira"),
            FailureCode::SiteAccountWithoutAccess,
            FailureClass::Object,
        ),
        (|| reply(400, user(7).to_string()), FailureCode::SiteAccountWithoutAccess, FailureClass::Object),
        (
            || says(400, "The number of licensed users is exceeded."),
            FailureCode::SiteSeatsExhausted,
            FailureClass::Object,
        ),
        (|| says(400, "Die Adresse ist ungültig."), FailureCode::SiteRefused, FailureClass::Object),
    ] as [(fn() -> Reply, _, _); 9]
    {
        let site = Site::writable(move |_| reply()).await;
        assert_fails(site.jira.invite(&email("p7@example.com"), &[]).await, code, class);
        assert_eq!(site.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_group_is_created_or_its_fate_is_named() {
    let made = json!({"name": "Jira R&D", "groupId": "g-9", "users": {"size": 0, "items": []}});
    let site = Site::writable(move |_| reply(201, made.to_string())).await;
    assert_eq!(site.jira.create_group("Jira R&D").await.unwrap(), group("g-9", "Jira R&D"));
    assert_eq!(site.asked()[0].body, json!({"name": "Jira R&D"}));
    for (answer, code, class) in [
        (
            || says(400, "A group or user with this name already exists."),
            FailureCode::SiteNameTaken,
            FailureClass::Object,
        ),
        (|| reply(403, ""), FailureCode::SiteRightMissing, FailureClass::Connection),
        (|| reply(201, "{}"), FailureCode::WriteUnclear, FailureClass::Unclear),
        (|| reply(502, ""), FailureCode::WriteUnclear, FailureClass::Unclear),
        (|| says(400, "Name missing"), FailureCode::SiteRefused, FailureClass::Object),
    ] as [(fn() -> Reply, _, _); 5]
    {
        let site = Site::writable(move |_| answer()).await;
        let failure = assert_fails(site.jira.create_group("Jira R&D").await, code, class);
        assert_eq!(failure.object.as_deref(), Some("Jira R&D"));
        assert_eq!(site.lines().len(), 1);
    }
}

#[tokio::test]
async fn r_03_a_membership_that_holds_already_counts_as_done() {
    let team = group("g-1", "Team");
    let site = Site::writable(|_| reply(201, r#"{"name":"Team","groupId":"g-1"}"#)).await;
    assert_eq!(site.jira.add_member(&team, &account("712020:a")).await.unwrap(), Added::Now);
    let asked = site.asked().remove(0);
    assert_eq!(
        (asked.line.as_str(), asked.raw_query.as_str()),
        ("POST /rest/api/3/group/user", "groupId=g-1")
    );
    assert_eq!(asked.body, json!({"accountId": "712020:a"}));
    // The placeholder really is not filled in.
    let site = Site::writable(|_| says(400, "Cannot add user. User is already a member of '{1}'")).await;
    assert_eq!(site.jira.add_member(&team, &account("712020:a")).await.unwrap(), Added::Already);
    // In another language the account's own groups decide.
    let site = Site::writable(|asked| match asked.line.as_str() {
        "GET /rest/api/3/user/groups" => ok(&json!([{"name": "Team", "groupId": "g-1"}])),
        _ => says(400, "Der Benutzer ist schon Mitglied."),
    })
    .await;
    assert_eq!(site.jira.add_member(&team, &account("712020:a")).await.unwrap(), Added::Already);
}

/// The organization's form of an error.
fn coded(status: u16, code: &str, detail: &str) -> Reply {
    let item =
        json!({"id": "1", "status": status.to_string(), "code": code, "title": "Conflict", "detail": detail});
    reply(status, json!({ "errors": [item] }).to_string())
}

#[tokio::test]
async fn r_03_a_conflict_is_done_already_or_refused_and_never_sent_again() {
    let (team, person) = (group("g-1", "Team"), account("712020:a"));
    // It says so itself.
    let site = Site::writable(|_| coded(409, "ADMIN-UAM-409-2", "")).await;
    assert_eq!(site.jira.add_member(&team, &person).await.unwrap(), Added::Already);
    assert_eq!(site.lines().len(), 1);
    // It does not: the account's own groups tell.
    for member in [true, false] {
        let site = Site::writable(move |asked| match asked.line.as_str() {
            "GET /rest/api/3/user/groups" if member => ok(&json!([{"name": "Team", "groupId": "g-1"}])),
            "GET /rest/api/3/user/groups" => ok(&json!([])),
            _ => says(409, "The operation conflicts with another one."),
        })
        .await;
        let (added, removed) =
            (site.jira.add_member(&team, &person).await, site.jira.remove_member(&team, &person).await);
        if member {
            assert_eq!(added.unwrap(), Added::Already);
            assert_fails(removed, FailureCode::SiteRefused, FailureClass::Object);
        } else {
            assert_fails(added, FailureCode::SiteRefused, FailureClass::Object);
            assert_eq!(removed.unwrap(), Removed::Already);
        }
        assert_eq!(
            site.lines().iter().filter(|line| !line.starts_with("GET")).count(),
            2,
            "{:?}",
            site.lines()
        );
    }
    let site = Site::writable(|_| says(409, "A group or user with this name already exists.")).await;
    assert_fails(site.jira.create_group("Team").await, FailureCode::SiteNameTaken, FailureClass::Object);
    // Of what is made, it is not known whether it is there now.
    let site = Site::writable(|_| says(409, "The operation conflicts with another one.")).await;
    assert_fails(site.jira.create_group("Team").await, FailureCode::WriteUnclear, FailureClass::Unclear);
    let invited = site.jira.invite(&email("p7@example.com"), &[]).await;
    assert_fails(invited, FailureCode::WriteUnclear, FailureClass::Unclear);
    assert_eq!(site.lines().len(), 2);
    let site = Site::writable(|_| coded(409, "ADMIN-UAM-409-3", "ari:cloud:jira-software::site/1")).await;
    let failure = assert_fails(
        site.jira.invite(&email("p7@example.com"), &["jira-software".to_owned()]).await,
        FailureCode::SiteSeatsExhausted,
        FailureClass::Object,
    );
    assert!(failure.message.contains("for jira-software"), "{failure}");
}

#[tokio::test]
async fn a_refused_membership_says_why() {
    let team = group("g-1", "Team");
    for (answer, code, class) in [
        (
            || {
                says(
                    400,
                    "LicenceExceededException: Licence exceeded for: ari:cloud:confluence::site/c57406ca",
                )
            },
            FailureCode::SiteSeatsExhausted,
            FailureClass::Object,
        ),
        (
            || {
                says(
                    500,
                    "HystrixRuntimeException: LicenceExceededException ari:cloud:confluence::site/c57406ca",
                )
            },
            FailureCode::SiteSeatsExhausted,
            FailureClass::Object,
        ),
        (
            || coded(409, "ADMIN-UAM-409-3", "ari:cloud:confluence::site/c57406ca"),
            FailureCode::SiteSeatsExhausted,
            FailureClass::Object,
        ),
        (|| says(404, "Specified user does not exist"), FailureCode::SiteObjectUnknown, FailureClass::Object),
        (|| reply(404, ""), FailureCode::SiteObjectUnknown, FailureClass::Object),
        (|| reply(403, ""), FailureCode::SiteRefused, FailureClass::Object),
        (|| says(500, "broken"), FailureCode::WriteUnclear, FailureClass::Unclear),
    ] as [(fn() -> Reply, _, _); 7]
    {
        let site = Site::writable(move |_| answer()).await;
        let failure = assert_fails(site.jira.add_member(&team, &account("712020:a")).await, code, class);
        assert_eq!(failure.object.as_deref(), Some("712020:a in Team"));
        if code == FailureCode::SiteSeatsExhausted {
            assert!(failure.message.contains("for confluence"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_403_without_known_site_administration_names_that_right() {
    let site = Site::start(|_| reply(403, "")).await;
    let mut standing = standing();
    standing.site_admin = None;
    site.jira.protect(&Protected::default(), &standing, &[], &BTreeSet::new());
    let failure = assert_fails(
        site.jira.remove_member(&group("g-1", "Team"), &account("712020:a")).await,
        FailureCode::SiteRightMissing,
        FailureClass::Connection,
    );
    assert!(failure.remedy.contains("site-admins"));
}

#[tokio::test]
async fn a_removal_that_finds_nothing_is_believed_only_when_the_account_confirms_it() {
    let team = group("g-1", "Team");
    let person = account("712020:a");
    let site = Site::writable(|_| reply(200, "")).await;
    assert_eq!(site.jira.remove_member(&team, &person).await.unwrap(), Removed::Now);
    assert_eq!(site.asked()[0].raw_query, "groupId=g-1&accountId=712020%3Aa");
    let site =
        Site::writable(|_| says(400, "Cannot remove user 'a' since user is not a member of 'Team'")).await;
    assert_eq!(site.jira.remove_member(&team, &person).await.unwrap(), Removed::Already);
    for status in [400, 404] {
        let site = Site::writable(move |asked| match asked.line.as_str() {
            "GET /rest/api/3/user/groups" => ok(&json!([{"name": "Other", "groupId": "g-2"}])),
            _ => says(status, "?"),
        })
        .await;
        assert_eq!(site.jira.remove_member(&team, &person).await.unwrap(), Removed::Already);
    }
    let site = Site::writable(|asked| match asked.line.as_str() {
        "GET /rest/api/3/user/groups" => ok(&json!([{"name": "Team", "groupId": "g-1"}])),
        _ => says(404, "?"),
    })
    .await;
    let (code, class) = (FailureCode::SiteObjectUnknown, FailureClass::Object);
    assert_fails(site.jira.remove_member(&team, &person).await, code, class);
    let site = Site::writable(|_| says(404, "?")).await;
    assert_fails(site.jira.remove_member(&team, &person).await, code, class);
}

#[tokio::test]
async fn d_06_what_is_protected_is_refused_before_a_request() {
    let site = Site::start(|asked| match asked.line.as_str() {
        "GET /rest/api/3/users/search" if asked.number("startAt") == 0 => ok(&json!([user(1), user(2)])),
        "GET /rest/api/3/users/search" => ok(&json!([])),
        _ => reply(201, "{}"),
    })
    .await;
    let team = group("g-1", "Team");
    let person = account("712020:000002");
    assert_fails(
        site.jira.add_member(&team, &person).await,
        FailureCode::SiteProtected,
        FailureClass::Connection,
    );
    site.jira.accounts().await.unwrap();
    let reads = site.lines().len();
    let mut standing = standing();
    standing.products.push(Product {
        key: ProductKey("jira-software".into()),
        name: "Jira".into(),
        groups: BTreeSet::new(),
        default_groups: ["g-default", "g-bound"].map(|id| SiteGroupId::parse(id).unwrap()).into(),
        seats: Seats::Unlimited { used: 0 },
    });
    let protected = Protected {
        accounts: [AccountId::parse("712020:listed").unwrap()].into(),
        addresses: ["p1@example.com".to_owned()].into(),
        groups: [SiteGroupId::parse("g-listed").unwrap()].into(),
        group_names: ["board".to_owned()].into(),
    };
    let known = [group("g-renamed", "jira-administrators"), group("g-1", "Team")];
    let released = [SiteGroupId::parse("g-bound").unwrap(), SiteGroupId::parse("g-3").unwrap()].into();
    site.jira.protect(&protected, &standing, &known, &released);
    for (group, account) in [
        (team.clone(), account("712020:listed")),
        (team.clone(), account("712020:000001")),
        (group("g-admins", "whatever"), person.clone()),
        (group("g-2", "Site-Admins "), person.clone()),
        (group("g-3", "atlassian-addons-admin"), person.clone()),
        (group("g-default", "jira-users"), person.clone()),
        (group("g-listed", "Listed"), person.clone()),
        (group("g-4", "Board"), person.clone()),
        // The plan calls it by an innocent name; the site knows better.
        (group("g-renamed", "Team B"), person.clone()),
    ] {
        let (code, class) = (FailureCode::SiteProtected, FailureClass::Object);
        assert_fails(site.jira.add_member(&group, &account).await, code, class);
        assert_fails(site.jira.remove_member(&group, &account).await, code, class);
    }
    let (code, class) = (FailureCode::SiteProtected, FailureClass::Object);
    assert_fails(site.jira.remove_member(&team, &account(OWN)).await, code, class);
    assert_fails(site.jira.invite(&email("P1@EXAMPLE.com"), &[]).await, code, class);
    assert_fails(site.jira.create_group("Administrators").await, code, class);
    assert_fails(site.jira.create_group("Board").await, code, class);
    assert_eq!(site.lines().len(), reads);
    assert_eq!(site.jira.add_member(&group("g-bound", "jira-users"), &person).await.unwrap(), Added::Now);
    assert_eq!(site.jira.add_member(&team, &person).await.unwrap(), Added::Now);
    assert_eq!(
        site.jira.add_member(&team, &account(OWN)).await.unwrap(),
        Added::Now,
        "joining takes nothing away"
    );
}

#[tokio::test]
async fn without_the_right_to_tell_administrators_groups_no_group_is_written_to() {
    let site = Site::start(|_| reply(201, "{}")).await;
    let mut standing = standing();
    standing.browse_users = Some(false);
    site.jira.protect(&Protected::default(), &standing, &[], &BTreeSet::new());
    assert_fails(
        site.jira.add_member(&group("g-1", "Team"), &account("712020:a")).await,
        FailureCode::SiteRightMissing,
        FailureClass::Connection,
    );
    assert!(site.lines().is_empty());
}

#[tokio::test]
async fn every_method_can_run_on_many_threads() {
    fn sendable<T: Send>(_: &T) {}
    let site = Site::start(|_| reply(404, "")).await;
    let jira = &site.jira;
    let (team, person, address) = (group("g", "n"), account("a"), email("a@b"));
    sendable(&jira.standing());
    sendable(&jira.accounts());
    sendable(&jira.groups());
    sendable(&jira.members(&team.id));
    sendable(&jira.find_accounts(&address));
    sendable(&jira.find_groups("n"));
    sendable(&jira.account(&person));
    sendable(&jira.invite(&address, &[]));
    sendable(&jira.create_group("n"));
    sendable(&jira.add_member(&team, &person));
    sendable(&jira.remove_member(&team, &person));
    assert!(site.lines().is_empty(), "a request is made when it is awaited, and not before");
}

#[tokio::test]
async fn an_identity_service_that_gives_up_means_seats_unless_the_person_is_in_the_group() {
    const GAVE_UP: &str =
        "HystrixRuntimeException: AddUserToGroupsIdentityPlatformCommand failed and no fallback available.";
    for member in [false, true] {
        let site = Site::writable(move |asked| {
            if asked.line.starts_with("POST") {
                return says(500, GAVE_UP);
            }
            assert_eq!(asked.path, "/rest/api/3/user/groups");
            ok(&if member { json!([{"name": "team", "groupId": "g-1"}]) } else { json!([]) })
        })
        .await;
        let result = site.jira.add_member(&group("g-1", "team"), &account("712020:dana")).await;
        if member {
            assert_eq!(result.unwrap(), Added::Now);
        } else {
            assert_fails(result, FailureCode::SiteSeatsExhausted, FailureClass::Object);
        }
    }
}
