//! Accounts, groups, members and look-ups: the whole, or a failure.

use std::sync::Mutex;

use entrain_domain::model::{AccountActivity, AccountKind, SiteGroupId};
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::script::{Asked, Reply, Site, account, assert_fails, email, failure, ok, page, reply, says, user};

fn roll(all: &[Value], asked: &Asked) -> Reply {
    let (start, size) = (asked.number("startAt"), asked.number("maxResults"));
    ok(&Value::Array(all.iter().skip(start).take(size).cloned().collect()))
}

fn people(count: usize) -> Vec<Value> {
    (0..count).map(user).collect()
}

#[tokio::test]
async fn the_roll_costs_one_request_for_each_thousand_and_one_for_its_end() {
    for (count, requests) in [(1, 2), (999, 2), (1000, 2), (1001, 3), (2500, 4)] {
        let all = people(count);
        let site = Site::start(move |asked| roll(&all, asked)).await;
        assert_eq!(site.jira.accounts().await.unwrap().len(), count);
        assert_eq!(site.lines().len(), requests, "{count} accounts");
        assert_eq!(site.jira.requests().site, requests as u64);
    }
}

#[tokio::test]
async fn a_page_with_fewer_entries_than_asked_for_is_not_the_end_of_the_roll() {
    let all = people(2500);
    let site = Site::start(move |asked| {
        let (start, size) = (asked.number("startAt"), asked.number("maxResults"));
        // Cuts the range first and filters afterwards, as user/search/query does.
        let cut = all.iter().skip(start).take(size).enumerate().filter(|(n, _)| n % 3 == 0);
        ok(&Value::Array(cut.map(|(_, u)| u.clone()).collect()))
    })
    .await;
    assert_eq!(site.jira.accounts().await.unwrap().len(), 334 + 334 + 167);
}

#[tokio::test]
async fn an_empty_roll_is_a_failure_and_never_a_site_without_people() {
    let site = Site::start(|_| reply(200, "[]")).await;
    assert_fails(site.jira.accounts().await, FailureCode::SiteAnswerInvalid, FailureClass::Transient);
}

#[tokio::test]
async fn a_dead_token_reads_as_refused_and_never_as_an_empty_site() {
    for status in [200, 403, 404] {
        let site =
            Site::start(move |_| reply(status, "[]").header("x-seraph-loginreason", "AUTHENTICATED_FAILED"))
                .await;
        let (code, class) = (FailureCode::SiteCredentialRefused, FailureClass::Connection);
        assert_fails(site.jira.accounts().await, code, class);
        assert_fails(site.jira.find_accounts(&email("p1@example.com")).await, code, class);
        assert_fails(site.jira.account(&account("712020:a")).await, code, class);
        assert_fails(site.jira.standing().await, code, class);
    }
}

#[tokio::test]
async fn n_05_an_answer_that_is_no_roll_fails_the_read() {
    let whole = Value::Array(people(3)).to_string();
    for body in [
        "<html><title>Log in</title></html>".to_owned(),
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        r#"{"values": []}"#.to_owned(),
        "[null]".to_owned(),
        "[1]".to_owned(),
        "NaN".to_owned(),
        whole[..whole.len() - 4].to_owned(),
        "[".repeat(100_000),
        r#"[{"accountId": "a", "accountId": "b", "accountType": "atlassian", "active": true}]"#.to_owned(),
        r#"[{"accountId": ["a"]}]"#.to_owned(),
    ] {
        let shown = body.chars().take(60).collect::<String>();
        let site = Site::start(move |_| reply(200, &body)).await;
        let failure = failure(site.jira.accounts().await);
        assert_eq!(failure.code, FailureCode::SiteAnswerInvalid, "{shown}");
    }
}

#[tokio::test]
async fn n_06_a_roll_that_repeats_itself_is_found_within_two_turns() {
    for count in [3, 1000] {
        let all = people(count);
        let site = Site::start(move |_| ok(&Value::Array(all.clone()))).await;
        assert_fails(site.jira.accounts().await, FailureCode::SiteAnswerInvalid, FailureClass::Transient);
        assert!(site.lines().len() <= 3);
    }
}

#[tokio::test]
async fn rows_that_move_between_two_pages_are_taken_once() {
    let all = people(1001);
    let site = Site::start(move |asked| {
        let start = asked.number("startAt").saturating_sub(usize::from(asked.number("startAt") == 1000) * 2);
        ok(&Value::Array(all.iter().skip(start).take(1000).cloned().collect()))
    })
    .await;
    assert_eq!(site.jira.accounts().await.unwrap().len(), 1001);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_asked_again_with_smaller_pages() {
    let all = people(700);
    let site = Site::start(move |asked| {
        if asked.number("maxResults") > 500 { says(409, "took longer than 10 s") } else { roll(&all, asked) }
    })
    .await;
    assert_eq!(site.jira.accounts().await.unwrap().len(), 700);
    let site = Site::start(|_| says(409, "took longer than 10 s")).await;
    failure(site.jira.accounts().await);
    assert_eq!(site.lines().len(), 4);
}

#[tokio::test]
async fn a_few_records_without_facts_are_unknown_accounts_and_many_are_an_outage() {
    let with = |degraded: usize| {
        let mut all = people(200);
        for entry in all.iter_mut().take(degraded) {
            entry.as_object_mut().unwrap().remove("accountType");
        }
        all[100] = json!({"accountId": "unknown", "accountType": "unknown", "active": false});
        all
    };
    let few = with(2);
    let site = Site::start(move |asked| roll(&few, asked)).await;
    let accounts = site.jira.accounts().await.unwrap();
    assert_eq!(accounts.len(), 199);
    assert_eq!(accounts.iter().filter(|a| a.kind == AccountKind::Unknown).count(), 2);
    let many = with(20);
    let site = Site::start(move |asked| roll(&many, asked)).await;
    assert_fails(site.jira.accounts().await, FailureCode::SiteAnswerInvalid, FailureClass::Transient);
}

#[tokio::test]
async fn kinds_hidden_addresses_and_inactivity_are_read() {
    let all = vec![
        json!({"accountId": "a", "accountType": "atlassian", "active": false, "displayName": "A", "emailAddress": ""}),
        json!({"accountId": "b", "accountType": "app", "active": true, "displayName": "B"}),
        json!({"accountId": "qm:c", "accountType": "customer", "active": true, "displayName": "C"}),
    ];
    let site = Site::start(move |asked| roll(&all, asked)).await;
    let accounts = site.jira.accounts().await.unwrap();
    let kinds: Vec<_> = accounts.iter().map(|a| a.kind).collect();
    assert_eq!(kinds, [AccountKind::Person, AccountKind::App, AccountKind::Customer]);
    assert_eq!(accounts[0].activity, AccountActivity::Inactive);
    assert_eq!(accounts[0].email, None);
}

fn groups(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"name": format!("Group {n}"), "groupId": format!("g-{n}")})).collect()
}

#[tokio::test]
async fn groups_and_members_cost_one_request_for_each_fifty() {
    for (count, requests) in [(0, 1), (1, 1), (50, 1), (51, 2), (131, 3), (1000, 20)] {
        let (list, members) = (groups(count), people(count));
        let site = Site::start(move |asked| {
            page(if asked.path.ends_with("/bulk") { &list } else { &members }, asked)
        })
        .await;
        assert_eq!(site.jira.groups().await.unwrap().len(), count);
        assert_eq!(site.lines().len(), requests);
        let members = site.jira.members(&SiteGroupId::parse("g-1").unwrap()).await.unwrap();
        assert_eq!(members.len(), count);
        assert_eq!(site.lines().len(), 2 * requests);
        assert!(site.asked()[requests..].iter().all(|a| a.query["includeInactiveUsers"] == "true"));
    }
}

#[tokio::test]
async fn a_failed_page_fails_the_whole_read() {
    for status in [403, 404, 400] {
        let all = people(131);
        let site =
            Site::start(
                move |asked| {
                    if asked.number("startAt") == 100 { says(status, "no") } else { page(&all, asked) }
                },
            )
            .await;
        failure(site.jira.members(&SiteGroupId::parse("g-1").unwrap()).await);
    }
}

#[tokio::test]
async fn pages_that_do_not_add_up_are_no_group() {
    let id = SiteGroupId::parse("g-1").unwrap();
    let tricks: [fn(&[Value], &Asked) -> Reply; 7] = [
        // Without inactive members, though the total counts them.
        |all, _| {
            ok(&json!({"startAt": 0, "maxResults": 50, "total": 60, "isLast": true, "values": &all[..10]}))
        },
        // The same page again.
        |all, _| {
            ok(&json!({"startAt": 0, "maxResults": 50, "total": 100, "isLast": false, "values": &all[..50]}))
        },
        // Nothing where something should be.
        |_, _| ok(&json!({"startAt": 0, "maxResults": 50, "total": 100, "isLast": false, "values": []})),
        // No total, and no last page.
        |all, _| ok(&json!({"startAt": 0, "maxResults": 50, "values": &all[..50]})),
        // More to come after the last one.
        |all, _| {
            ok(&json!({"startAt": 0, "maxResults": 50, "total": 50, "isLast": false, "values": &all[..50]}))
        },
        // A total that no site has.
        |all, _| {
            ok(&json!({"startAt": 0, "total": 9_000_000_000_u64, "isLast": false, "values": &all[..50]}))
        },
        // No values.
        |_, _| ok(&json!({"startAt": 0, "maxResults": 50, "total": 0, "isLast": true})),
    ];
    for (n, trick) in tricks.into_iter().enumerate() {
        let all = people(100);
        let site = Site::start(move |asked| trick(&all, asked)).await;
        let failure = failure(site.jira.members(&id).await);
        assert_eq!(failure.code, FailureCode::SiteAnswerInvalid, "trick {n}");
        assert!(site.lines().len() <= 4, "trick {n} took {} requests", site.lines().len());
    }
}

#[tokio::test]
async fn a_list_that_moved_while_it_was_read_is_read_once_more() {
    let calls = Mutex::new(0);
    let (before, after) = (groups(60), groups(61));
    let site = Site::start(move |asked| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        page(if *calls == 1 { &before } else { &after }, asked)
    })
    .await;
    assert_eq!(site.jira.groups().await.unwrap().len(), 61);
    assert_eq!(site.lines().len(), 4);
}

#[tokio::test]
async fn a_group_of_fallback_members_is_not_read() {
    let all: Vec<_> = (0..20).map(|n| json!({"accountId": format!("a{n}"), "displayName": "?"})).collect();
    let site = Site::start(move |asked| page(&all, asked)).await;
    assert_fails(
        site.jira.members(&SiteGroupId::parse("g-1").unwrap()).await,
        FailureCode::SiteAnswerInvalid,
        FailureClass::Transient,
    );
}

#[tokio::test]
async fn a_search_keeps_the_hidden_account_and_drops_the_longer_address() {
    let site = Site::start(|asked| {
        assert_eq!(asked.query["query"], "ana+x@example.com");
        ok(&json!([
            {"accountId": "a", "accountType": "atlassian", "active": true, "displayName": "Ana"},
            {"accountId": "b", "accountType": "atlassian", "active": true, "displayName": "Ana B",
             "emailAddress": "ana+x@example.com.br"},
            {"accountId": "c", "accountType": "atlassian", "active": true, "displayName": "Ana C",
             "emailAddress": "Ana+X@Example.com"}]))
    })
    .await;
    let found = site.jira.find_accounts(&email("ana+x@example.com")).await.unwrap();
    assert_eq!(found.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
}

#[tokio::test]
async fn groups_are_found_by_name_without_regard_to_case() {
    let site = Site::start(|asked| {
        assert_eq!(asked.query["groupName"], "R&D #1");
        page(&[json!({"name": "r&d #1", "groupId": "g"}), json!({"name": "R&D #10", "groupId": "h"})], asked)
    })
    .await;
    let found = site.jira.find_groups("R&D #1").await.unwrap();
    assert_eq!(found.iter().map(|g| g.id.as_str()).collect::<Vec<_>>(), ["g"]);
}

#[tokio::test]
async fn h_06_an_id_is_one_value_of_a_query_and_nothing_else() {
    for id in [
        "557058:a",
        "a/../b?c#d",
        "x&maxResults=1",
        "%2f",
        "%252f",
        "..",
        "ä",
        "a;b",
        "a\\b",
        "a//b",
        "a%00b",
    ] {
        let site = Site::start(|_| says(404, "Specified user does not exist")).await;
        assert_eq!(site.jira.account(&account(id)).await.unwrap(), None);
        let asked = site.asked().remove(0);
        assert_eq!(asked.line, "GET /rest/api/3/user");
        assert_eq!(asked.query.len(), 1);
        assert_eq!(asked.query["accountId"], id);
        assert!(!asked.raw_query.contains(':') && !asked.raw_query.contains('/'));
    }
}

#[tokio::test]
async fn an_account_is_taken_only_when_it_is_the_one_asked_for() {
    let site = Site::start(|_| ok(&user(7))).await;
    assert!(site.jira.account(&account("712020:000007")).await.unwrap().is_some());
    failure(site.jira.account(&account("712020:000008")).await);
}

/// What ends a quotation, a value or a query in some language.
const METACHARACTERS: [&str; 12] = [
    "o'brien+jira@example.com",
    "a\\\"b@example.com",
    "x'or'1'='1@example.com",
    "a&query=b&maxResults=1@example.com",
    "a%27b%26c@example.com",
    "a#b?c=d@example.com",
    "ORDER/**/BY@example.com",
    "text~\"x\"@example.com",
    "a(b)[c]{d}@example.com",
    "*?!^~@example.com",
    "a|b||c@example.com",
    "%_\\%@example.com",
];

#[tokio::test]
async fn h_07_a_search_is_one_value_whatever_it_is_made_of() {
    for text in METACHARACTERS {
        // What is in quotes is no address, and is never asked for
        let address = email(&text.replace('"', ""));
        let site = Site::start(|_| ok(&json!([user(7)]))).await;
        let found = site.jira.find_accounts(&address).await.unwrap();
        assert!(found.iter().all(|a| a.email.as_ref() != Some(&address)), "{text}");
        for asked in site.asked() {
            assert_eq!(asked.line, "GET /rest/api/3/user/search", "{text}");
            assert_eq!(asked.query["query"], address.as_str(), "{text}");
            assert_eq!(asked.raw_query.split('&').count(), asked.query.len(), "{text}: {}", asked.raw_query);
        }
        let site = Site::start(|asked| page(&[json!({"name": "other", "groupId": "g"})], asked)).await;
        assert_eq!(site.jira.find_groups(text).await.unwrap(), []);
        for asked in site.asked() {
            assert_eq!(asked.line, "GET /rest/api/3/group/bulk", "{text}");
            assert_eq!(asked.query["groupName"], text);
            assert_eq!(asked.raw_query.split('&').count(), asked.query.len(), "{text}: {}", asked.raw_query);
        }
    }
}
