//! What goes wrong at Graph, and what must not come of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entrain_connect::Error;
use entrain_connect::http::Environment as _;
use entrain_domain::model::{DirectoryGroupId, DirectoryUserId};
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::graph::{Tenant, demand, member, tenant};

async fn failure(tenant: &Tenant) -> entrain_domain::Failure {
    tenant.entra.read(&demand(&["*"]), &[]).await.expect_err("the read must fail").failure()
}

fn refuse(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"error": {"code": code, "innerError": {"date": "2026-11-23T09:14:07"}}}))
}

/// N-05, N-06
#[tokio::test]
async fn a_page_that_is_no_page_fails_the_whole_read() {
    let bodies = [
        json!({}),
        json!([]),
        json!({"value": null}),
        json!({"error": {}}),
        json!({"value": [{"id": 7}]}),
        json!({"value": [{"displayName": "x"}]}),
        json!("<html>"),
        json!(null),
    ];
    for body in bodies {
        for path in
            ["/users?", "/groups?", "/users/delta?", "/groups/delta?", "/groups/g00001/members?", "/$batch"]
        {
            let tenant = tenant(50, 3, 5).await;
            let bad = body.clone();
            tenant.meddle(
                move |target, _, found| if target.starts_with(path) { (200, bad.clone()) } else { found },
            );
            let failure = failure(&tenant).await;
            assert_eq!(failure.code, FailureCode::DirectoryAnswerInvalid, "{path} {body}: {failure}");
        }
    }
}

/// N-06
#[tokio::test]
async fn pages_that_lead_in_a_circle_are_found_within_two_turns() {
    for (path, to) in [
        ("/users?", "/users?again=1"),
        ("/groups?", "/groups?again=1"),
        ("/users/delta?", "/users/delta?again=1"),
        ("/groups/g00001/members?", "/groups/g00001/members?again=1"),
    ] {
        let tenant = tenant(50, 3, 5).await;
        let uri = tenant.server.uri();
        tenant.meddle(move |target, _, mut found| {
            if target.starts_with(path) {
                found.1["@odata.nextLink"] = json!(format!("{uri}/v1.0{to}"));
                found.1.as_object_mut().unwrap().remove("@odata.deltaLink");
            }
            found
        });
        let failure = failure(&tenant).await;
        assert_eq!(failure.code, FailureCode::DirectoryAnswerInvalid, "{path}: {failure}");
        assert!(tenant.asked(path) <= 3, "{path}: {}", tenant.asked(path));
    }
}

/// N-06
#[tokio::test]
async fn the_same_page_under_ever_new_links_and_endless_empty_pages_are_cut() {
    for (empty, most) in [(false, 4), (true, 60)] {
        let tenant = tenant(50, 3, 5).await;
        let uri = tenant.server.uri();
        let counter = std::sync::atomic::AtomicUsize::new(0);
        tenant.meddle(move |target, _, mut found| {
            if target.starts_with("/users?") {
                let n = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                found.1["@odata.nextLink"] = json!(format!("{uri}/v1.0/users?n={n}"));
                if empty {
                    found.1["value"] = json!([]);
                }
            }
            found
        });
        assert_eq!(failure(&tenant).await.code, FailureCode::DirectoryAnswerInvalid);
        assert!(tenant.asked("/users?") <= most, "{}", tenant.asked("/users?"));
    }
}

/// O-01
#[tokio::test]
async fn a_link_to_another_host_is_refused_wherever_it_stands() {
    for (path, name) in [
        ("/users?", "@odata.nextLink"),
        ("/groups/g00001/members?", "@odata.nextLink"),
        ("/users/delta?", "@odata.deltaLink"),
    ] {
        let tenant = tenant(50, 3, 5).await;
        tenant.meddle(move |target, _, mut found| {
            if target.starts_with(path) {
                found.1[name] = json!("https://graph.microsoft.com.evil.example/v1.0/users");
            }
            found
        });
        assert_eq!(failure(&tenant).await.code, FailureCode::ForeignLink, "{path}");
    }
}

/// N-10
#[tokio::test]
async fn only_the_parts_of_a_batch_that_failed_are_asked_again() {
    for at in 0..20 {
        for status in [429, 500, 503, 504, 424] {
            let tenant = tenant(50, 20, 5).await;
            let path = format!("/groups/g{at:05}/members?");
            let failing = path.clone();
            tenant.meddle(move |target, before, found| {
                if target.starts_with(&failing) && before == 0 { refuse(status, "x") } else { found }
            });
            let read = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
            assert!(read.snapshot.groups().all(|group| group.direct().is_some()));
            assert_eq!((tenant.asked("/groups/g"), tenant.asked(&path)), (21, 2), "{status}");
            let sleeps = tenant.environment.sleeps();
            assert_eq!(sleeps.len(), 1, "{status}: before it is asked again, and not after: {sleeps:?}");
            assert!(status != 429 || sleeps[0] >= Duration::from_secs(7), "{sleeps:?}");
        }
    }
}

/// N-10: a bucket that fills while it is emptied refuses some items again and again, and lets the whole get on.
#[tokio::test]
async fn a_quota_ten_times_too_small_is_waited_for_and_not_hammered() {
    const FULL: f64 = 800.0;
    const A_SECOND: f64 = 80.0;
    for told in ["at once", "in whole seconds", "not at all"] {
        let tenant = tenant(50, 4000, 1).await;
        let environment = tenant.environment.clone();
        let bucket = Mutex::new((FULL, Duration::ZERO));
        let refusals = Arc::new(AtomicUsize::new(0));
        let counted = refusals.clone();
        tenant.meddle(move |target, _, mut found| {
            if target != "/$batch" {
                return found;
            }
            let (left, at) = &mut *bucket.lock().unwrap();
            let now = environment.monotonic();
            *left = (*left + now.saturating_sub(*at).as_secs_f64() * A_SECOND).min(FULL);
            *at = now;
            for part in found.1["responses"].as_array_mut().unwrap() {
                if *left >= 2.0 {
                    *left -= 2.0;
                    continue;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let wait = (2.0 - *left) / A_SECOND;
                part["status"] = json!(429);
                part["body"] = refuse(429, "TooManyRequests").1;
                part["headers"] = match told {
                    "at once" => json!({"Retry-After": format!("{wait:.3}")}),
                    "in whole seconds" => json!({"Retry-After": wait.ceil().to_string()}),
                    _ => json!({}),
                };
            }
            found
        });
        let read = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap_or_else(|e| panic!("{told}: {e}"));
        assert!(read.snapshot.groups().all(|group| group.direct().is_some()), "{told}");
        let (slept, refused) =
            (tenant.environment.sleeps().iter().sum::<Duration>(), refusals.load(Ordering::Relaxed));
        // 4,000 parts at two units; the first 800 units are there
        let least = Duration::from_secs(90);
        assert!(slept >= least && slept < least * 2, "{told}: {slept:?}");
        assert!(refused < 2000, "{told}: {refused} refusals for 4,000 parts");
    }
}

/// N-01, N-10
#[tokio::test]
async fn parts_that_are_refused_without_end_end_the_read_within_the_bounds() {
    for (asked, least, most) in
        [("0", 1.0, 300.0), ("0.003", 1.0, 300.0), ("20", 60.0, 300.0), ("3600", 0.0, 0.0)]
    {
        let tenant = tenant(50, 400, 1).await;
        let start = tenant.environment.now();
        tenant.meddle(move |target, _, mut found| {
            if target == "/$batch" {
                for part in found.1["responses"].as_array_mut().unwrap() {
                    part["status"] = json!(429);
                    part["headers"] = json!({"Retry-After": asked});
                }
            }
            found
        });
        let error = tenant.entra.read(&demand(&["*"]), &[]).await.expect_err(asked);
        let Error::Throttled { resume_at, .. } = &error else { panic!("{asked}: {error}") };
        let slept = tenant.environment.sleeps().iter().sum::<Duration>().as_secs_f64();
        assert!((least..=most).contains(&slept), "{asked}: {slept} s");
        let wait = asked.parse::<f64>().unwrap();
        assert!(
            resume_at.duration_since(start).as_secs_f64() >= slept + wait.floor(),
            "{asked}: {resume_at}"
        );
        let batches = tenant.asked("/$batch");
        assert!(batches <= 24, "{asked}: {batches} batches");
        assert_eq!(error.failure().code, FailureCode::DirectoryThrottled);
    }
}

/// N-10
#[tokio::test]
async fn parts_that_a_batch_leaves_out_are_asked_again_and_then_unknown() {
    let tenant = tenant(50, 20, 5).await;
    tenant.meddle(|target, before, mut found| {
        if target == "/$batch" && before < 2 {
            found.1["responses"].as_array_mut().unwrap().truncate(12 - 8 * before.min(1));
        }
        found
    });
    let read = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    assert!(read.snapshot.groups().all(|group| group.direct().is_some()));
    let silent = self::tenant(50, 20, 5).await;
    silent
        .meddle(|target, _, found| if target == "/$batch" { (200, json!({"responses": []})) } else { found });
    let read = silent.entra.read(&demand(&["*"]), &[]).await.unwrap();
    assert!(read.snapshot.groups().all(|group| group.direct().is_none()));
    assert_eq!(silent.asked("/$batch"), 10, "five attempts before and five after the catch-up");
}

/// N-15
#[tokio::test]
async fn a_group_that_may_not_be_read_is_unknown_and_the_others_are_not() {
    for status in [403, 404, 500] {
        let tenant = tenant(50, 20, 5).await;
        tenant.meddle(move |target, _, found| {
            if target.starts_with("/groups/g00003/") {
                refuse(status, "Authorization_RequestDenied")
            } else {
                found
            }
        });
        let snapshot = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap().snapshot;
        let hidden = DirectoryGroupId::parse("g00003").unwrap();
        assert!(snapshot.group(&hidden).unwrap().direct().is_none(), "{status}");
        assert_eq!(snapshot.groups().filter(|group| group.direct().is_some()).count(), 19);
        assert!(!matches!(
            snapshot.closure(&hidden, entrain_domain::model::Nesting::Flatten),
            entrain_domain::model::Closure::Complete(_)
        ));
    }
}

/// N-11
#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    for path in ["/users?", "/groups/delta?$deltatoken=latest", "/groups/g00001/members?"] {
        let tenant = tenant(50, 3, 5).await;
        tenant.meddle(move |target, before, found| {
            if target.starts_with(path) && before == 0 {
                refuse(401, "InvalidAuthenticationToken")
            } else {
                found
            }
        });
        tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
        assert_eq!(tenant.change(|world| world.tokens), 2, "{path}");
    }
}

/// N-11
#[tokio::test]
async fn a_token_that_is_always_refused_ends_in_a_clear_error_without_a_storm() {
    for path in ["/", "/users?", "/groups/g"] {
        let tenant = tenant(50, 60, 5).await;
        tenant.meddle(move |target, _, found| {
            let token = target.contains("/token");
            if target.starts_with(path) && !token && target != "/$batch" {
                refuse(401, "InvalidAuthenticationToken")
            } else {
                found
            }
        });
        let failure = failure(&tenant).await;
        assert_eq!(failure.code, FailureCode::DirectoryUnauthenticated, "{path}: {failure}");
        assert!(tenant.change(|world| world.tokens) <= 2, "{path}");
    }
}

/// N-08
#[tokio::test]
async fn a_lost_delta_state_is_told_apart_from_everything_else() {
    for (status, code) in
        [(410, "x"), (400, "syncStateNotFound"), (400, "SyncStateNotFound"), (400, "resyncRequired")]
    {
        let tenant = tenant(50, 3, 5).await;
        tenant.meddle(move |target, _, found| {
            if target.starts_with("/users/delta?$deltatoken=d") { refuse(status, code) } else { found }
        });
        assert_eq!(failure(&tenant).await.code, FailureCode::DirectoryStateExpired, "{status} {code}");
    }
}

#[tokio::test]
async fn an_expired_page_begins_the_listing_again_at_most_five_times() {
    for (path, times) in [("/users?", 1), ("/users?", 5), ("/users?", 99), ("/groups/g00001/members?", 1)] {
        let tenant = tenant(2_500, 3, 1_500).await;
        tenant.meddle(move |target, before, found| {
            let second = target.starts_with(path) && target.contains("$skiptoken=999");
            if second && before < times { refuse(400, "Directory_ExpiredPageToken") } else { found }
        });
        match tenant.entra.read(&demand(&["*"]), &[]).await {
            Ok(read) => {
                assert!(times <= 5);
                assert_eq!(read.snapshot.users().count(), 2_500);
                let group = read.snapshot.group(&DirectoryGroupId::parse("g00001").unwrap()).unwrap();
                assert_eq!(group.direct().unwrap().0.len(), 1_500);
            }
            Err(error) => {
                assert_eq!((times, error.failure().code), (99, FailureCode::DirectoryStateExpired));
                assert!(tenant.asked("/users?") <= 12);
            }
        }
    }
}

/// D-01
#[tokio::test]
async fn an_empty_list_of_users_is_a_failure_not_an_empty_directory() {
    for users in [100, 5_000] {
        let tenant = tenant(users, 10, 40).await;
        tenant.meddle(
            |target, _, found| {
                if target.starts_with("/users?") { (200, json!({"value": []})) } else { found }
            },
        );
        assert_eq!(failure(&tenant).await.code, FailureCode::DirectoryAnswerInvalid);
    }
    // A list that ends too early is found by the members that it does not name.
    let tenant = tenant(5_000, 60, 60).await;
    tenant.meddle(|target, _, mut found| {
        if target.starts_with("/users?") {
            found.1["value"].as_array_mut().unwrap().truncate(50);
            found.1.as_object_mut().unwrap().remove("@odata.nextLink");
        }
        found
    });
    assert_eq!(failure(&tenant).await.code, FailureCode::DirectoryAnswerInvalid);
}

#[tokio::test]
async fn a_few_members_whom_no_list_names_are_looked_up_one_by_one() {
    let tenant = tenant(100, 3, 5).await;
    tenant.change(|world| world.groups.get_mut("g00000").unwrap().1.push(member(9_999)));
    tenant.meddle(|target, _, mut found| {
        if target.starts_with("/users?") {
            found.1["value"].as_array_mut().unwrap().retain(|user| user["id"] != "u00001");
        }
        found
    });
    let snapshot = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap().snapshot;
    assert!(snapshot.user(&DirectoryUserId::parse("u00001").unwrap()).is_some(), "found by its id");
    assert!(snapshot.gone(&DirectoryUserId::parse("u09999").unwrap()).is_some(), "404");
    assert_eq!(tenant.asked("/users/u"), 2);
}

/// microsoft-graph.md 0.7
#[tokio::test]
async fn users_without_properties_are_a_missing_permission_not_disabled_people() {
    for value in [None, Some(Value::Null)] {
        let tenant = tenant(100, 3, 5).await;
        tenant.meddle(move |target, _, mut found| {
            if target.starts_with("/users?") {
                for user in found.1["value"].as_array_mut().unwrap() {
                    match &value {
                        None => drop(user.as_object_mut().unwrap().remove("accountEnabled")),
                        Some(value) => user["accountEnabled"] = value.clone(),
                    }
                }
            }
            found
        });
        let failure = failure(&tenant).await;
        assert_eq!(
            (failure.code, failure.class),
            (FailureCode::DirectoryPropertiesHidden, FailureClass::Connection)
        );
        assert!(failure.remedy.contains("User.Read.All"));
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    for (path, permission) in [
        ("/users?", "User.Read.All"),
        ("/users/delta?", "User.Read.All"),
        ("/groups?", "GroupMember.Read.All"),
    ] {
        let tenant = tenant(50, 3, 5).await;
        tenant.meddle(move |target, _, found| {
            if target.starts_with(path) { refuse(403, "Authorization_RequestDenied") } else { found }
        });
        let failure = failure(&tenant).await;
        assert_eq!(failure.code, FailureCode::DirectoryConsentMissing);
        assert!(failure.remedy.contains(permission), "{}", failure.remedy);
    }
}

/// N-03: a fault at any one request changes nothing
#[tokio::test]
async fn a_passing_fault_at_any_request_changes_nothing() {
    for status in [429, 500, 502, 503, 504] {
        let tenant = tenant(2_000, 25, 5).await;
        tenant.meddle(move |_, before, found| if before == 0 { refuse(status, "x") } else { found });
        let snapshot = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap().snapshot;
        assert_eq!(snapshot.users().count(), 2_000);
        assert!(snapshot.groups().all(|group| group.direct().unwrap().0.len() == 5));
    }
}

/// S-02
#[tokio::test]
async fn no_failure_of_a_read_holds_the_secret_or_a_token() {
    let tenant = tenant(50, 3, 5).await;
    tenant.meddle(
        |target, _, found| {
            if target.starts_with("/users?") { refuse(400, "token-1 s3cret-canary") } else { found }
        },
    );
    let error: Error = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap_err();
    let text = format!("{error} {error:?} {:?} {:?}", error.failure(), tenant.entra);
    assert!(!text.contains("s3cret-canary") && !text.contains("token-1 "), "{text}");
}
