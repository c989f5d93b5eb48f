//! H-06: every call of the site's and the organization's client, with ids and names as somebody chooses them who wants to
//! reach another endpoint. Each request goes exactly where it goes for an innocent id, with the id as one value.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use entrain_connect::atlassian::organization::InvitationMail;
use entrain_connect::http::BaseUrl;
use entrain_domain::model::{AccountId, EmailAddress, Profile, ProfileField, SiteGroupId};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::pieces;
use crate::script::{Asked, OWN, Reply, account, email, group, ok, reply};
use crate::{HOME, Script, page};

const ACME: &str = "https://acme.atlassian.net";

/// What a call is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// An id: no blank, no control character.
    Id,
    /// A name: anything.
    Name,
    /// The part of an address before its @.
    Address,
}

type Made<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

struct Case {
    name: &'static str,
    takes: Takes,
    make: for<'a> fn(&'a Script, &'a str) -> Made<'a>,
}

/// A call whose outcome does not matter.
macro_rules! case {
    ($takes:ident $name:literal, |$script:ident, $text:ident| $call:expr) => {
        Case {
            name: $name,
            takes: Takes::$takes,
            make: |$script, $text| {
                Box::pin(async move {
                    let _ = $call.await;
                })
            },
        }
    };
}

fn site_group(id: &str) -> SiteGroupId {
    SiteGroupId::parse(id).unwrap()
}

fn mail(text: &str) -> EmailAddress {
    email(&format!("{text}@example.com"))
}

fn baker() -> Profile {
    [(ProfileField::JobTitle, "Baker".into())].into()
}

fn cases() -> Vec<Case> {
    vec![
        // The site
        case!(Id "members", |s, t| s.site.jira.members(&site_group(t))),
        case!(Id "account", |s, t| s.site.jira.account(&account(t))),
        case!(Id "holdings", |s, t| s.site.jira.holdings(&account(t))),
        case!(Id "groups_of", |s, t| s.site.jira.groups_of(&account(t))),
        case!(Address "find_accounts", |s, t| s.site.jira.find_accounts(&mail(t))),
        case!(Name "find_groups", |s, t| s.site.jira.find_groups(t)),
        case!(Address "invite", |s, t| s.site.jira.invite(&mail(t), &["jira-software".to_owned()])),
        case!(Name "create_group", |s, t| s.site.jira.create_group(t)),
        case!(Id "add_member, group", |s, t| s.site.jira.add_member(&group(t, "Team"), &account("712020:a"))),
        case!(Id "add_member, account", |s, t| s.site.jira.add_member(&group("g-1", "Team"), &account(t))),
        case!(Id "remove_member, group", |s, t| s
            .site
            .jira
            .remove_member(&group(t, "Team"), &account("712020:a"))),
        case!(Id "remove_member, account", |s, t| s
            .site
            .jira
            .remove_member(&group("g-1", "Team"), &account(t))),
        case!(Id "set_property, account", |s, t| s.site.jira.set_property(&account(t), "entrain", &json!({}))),
        case!(Name "set_property, key", |s, t| s.site.jira.set_property(&account("712020:a"), t, &json!({}))),
        case!(Id "remove_user", |s, t| s.site.jira.remove_user(&account(t))),
        case!(Id "leads", |s, t| s.site.jira.leads(&[account(t)])),
        // The organization
        case!(Address "find_by_address", |s, t| s.organization.find_by_address(&[mail(t)])),
        case!(Id "accounts", |s, t| s.organization.accounts(&[account(t)])),
        case!(Id "access", |s, t| s.organization.access(&account(t))),
        case!(Id "suspend", |s, t| s.organization.suspend(&account(t))),
        case!(Id "restore", |s, t| s.organization.restore(&account(t))),
        case!(Id "remove", |s, t| s.organization.remove(&account(t))),
        case!(Id "deactivate", |s, t| s.organization.deactivate(&account(t))),
        case!(Id "reactivate", |s, t| s.organization.reactivate(&account(t))),
        case!(Id "manageable", |s, t| s.organization.manageable(&account(t))),
        case!(Id "set_profile", |s, t| s.organization.set_profile(&account(t), &baker())),
        case!(Id "renaming", |s, t| s.organization.renaming(&[site_group(t)])),
        case!(Id "rename_group, group", |s, t| s.organization.rename_group(&group(t, "Team"), "Team B")),
        case!(Name "rename_group, name", |s, t| s.organization.rename_group(&group("g-1", "Team"), t)),
        case!(Id "invite into groups", |s, t| s.organization.invite(
            &[mail("p1")],
            &[site_group(t)],
            &InvitationMail::None
        )),
        case!(Id "confluence", |s, _t| s.organization.confluence(&BaseUrl::parse(ACME).unwrap())),
        case!(Id "check", |s, _t| s.organization.check(&account(OWN))),
    ]
}

/// Answers in which the other side calls everything by this id: what it says of itself is no safer than what it is asked.
fn answered(asked: &Asked, id: &str) -> Reply {
    let suspended = asked.body["accountIds"].is_array();
    match asked.path.rsplit('/').next().unwrap_or_default() {
        "search" if asked.path.starts_with("/admin") && asked.path.contains("/groups/") => {
            page(&[json!({"id": bare(id), "name": "Team", "directoryId": id})], None)
        }
        "search" if asked.path.starts_with("/admin") => {
            let row = json!({"accountId": asked.body["accountIds"][0], "accountType": "atlassian",
                "accountStatus": "active", "claimStatus": "managed", "platformRoles": [], "groups": [],
                "membershipStatus": if suspended { "active" } else { "suspended" }});
            page(&[row], None)
        }
        "workspaces" => page(
            &[
                json!({"id": id, "attributes": {"typeKey": "confluence", "type": "confluence", "hostUrl": ACME}}),
            ],
            None,
        ),
        "count" => ok(&json!({"count": 1})),
        "role-assignments" => page(&[], None),
        "directories" => page(&[json!({"directoryId": id, "name": "Home"})], None),
        "manage" => ok(&json!({"lifecycle.enablement": {"allowed": true},
            "profile.write": {"extended_profile.job_title": {"allowed": true}}})),
        "search" if asked.path.contains("/project") => listed(&[json!({"key": id, "name": "P",
            "lead": {"accountId": id}})]),
        "member" | "component" | "bulk" => listed(&[]),
        "groups" if asked.path.contains("/user/") => ok(&json!([])),
        "search" => ok(&json!([])),
        _ => reply(404, "{}"),
    }
}

fn listed(values: &[Value]) -> Reply {
    let total = values.len();
    ok(&json!({"startAt": 0, "maxResults": 50, "total": total, "isLast": true, "values": values}))
}

/// Ids of groups come bare or as the end of a resource id, so that a slash in one ends it.
fn bare(id: &str) -> String {
    id.replace('/', "-")
}

/// A request with the id taken out: where it went, and which values it had.
type Shape = (String, Vec<String>, Vec<(String, String)>);

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn shape(asked: &Asked, text: &str, context: &str) -> Shape {
    let method = asked.line.split(' ').next().unwrap().to_owned();
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
    assert!(asked.path.chars().all(|c| unreserved(c) || c == '/'), "{context}: {}", asked.path);
    assert!(
        asked.raw_query.chars().all(|c| unreserved(c) || "=&$".contains(c)),
        "{context}: {}",
        asked.raw_query
    );
    let address = EmailAddress::parse(&format!("{text}@example.com")).ok().map(|address| address.to_string());
    let hide = |part: &str| match decoded(part) {
        whole if whole == text || whole == bare(text) || Some(&whole) == address.as_ref() => "{}".to_owned(),
        other => other,
    };
    let segments = asked.path.split('/').map(hide).collect();
    let pairs = asked.raw_query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), hide(value))
    });
    (method, segments, query.collect())
}

/// What of a text can stand before the @ of an address.
fn address_of(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control() && *c != '@').collect()
}

async fn shapes(case: &Case, text: &str, directory: Option<&str>) -> Vec<Shape> {
    let told = text.to_owned();
    let script = Script::with(directory, move |asked| answered(asked, &told)).await.writable();
    (case.make)(&script, text).await;
    let context = format!("{} with {text:?}", case.name);
    let asked = script.site.asked();
    asked.iter().map(|asked| shape(asked, text, &context)).collect()
}

fn corpus(random: &mut StdRng) -> Vec<String> {
    let fixed = [
        ".",
        "..",
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "a%252fb",
        "../x",
        "a/../../admin/v1/orgs",
        "a/..",
        "./x",
        "a;b=c",
        "a\\..\\b",
        "a&accountId=557058:boss",
        "a=b",
        "//evil.example/x",
        "https://evil.example/x",
        "a|b",
        "a'b",
        "a\"b",
        "a+b",
        "ａ／ｂ",
        "x%00y",
        "x%0d%0aHost:evil",
        "a..b",
        "..a",
        "%2e%2e",
        "%2e%2e%2fx",
        "@evil.example",
        "a:b@c",
        "712020:00000000-0000-0000-0000-000000000001/manage/lifecycle/delete",
    ];
    fixed.into_iter().map(str::to_owned).chain(pieces::drawn(random)).collect()
}

fn fits(takes: Takes, text: &str) -> Option<String> {
    match takes {
        Takes::Id => AccountId::parse(text).ok().map(|_| text.to_owned()),
        Takes::Name => Some(text.to_owned()),
        Takes::Address => {
            let text = address_of(text);
            EmailAddress::parse(&format!("{text}@example.com")).ok().map(|_| text)
        }
    }
}

#[tokio::test]
async fn h_06_no_call_leaves_its_endpoint_whatever_ids_and_names_hold() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let corpus = corpus(&mut StdRng::seed_from_u64(seed));
    let mut checked = 0;
    for case in cases() {
        for directory in [Some(HOME), None] {
            let innocent = shapes(&case, "innocent-1", directory).await;
            assert!(!innocent.is_empty(), "{} asks for something", case.name);
            for text in &corpus {
                let Some(text) = fits(case.takes, text) else { continue };
                let context = format!("seed {seed}: {} with {text:?}", case.name);
                let hostile = shapes(&case, &text, directory).await;
                // What would leave the path altogether is not sent, and a group whose id is the end of another's is nobody's to
                // rename; what is sent goes where it always goes
                let unsent =
                    [".", ".."].contains(&text.as_str()) || case.name == "renaming" && text.contains('/');
                checked += hostile.len();
                if unsent {
                    let strange = hostile.iter().find(|shape| !innocent.contains(shape));
                    assert_eq!(strange, None, "{context}");
                    continue;
                }
                assert_eq!(hostile.len(), innocent.len(), "{context}: {hostile:?}\nin place of {innocent:?}");
                for (hostile, innocent) in hostile.iter().zip(&innocent) {
                    assert_eq!(hostile, innocent, "{context}");
                }
            }
        }
    }
    assert!(checked > 3_000, "only {checked} requests");
}

/// Ids of the document, and what an answer says of the directories, are chosen by others as well.
#[tokio::test]
async fn h_06_a_directory_id_is_one_segment_wherever_it_comes_from() {
    for id in ["../../../x", "a/b?c#d", "%2e%2e%2f", "a;b", "https://evil.example"] {
        for configured in [Some(id), None] {
            let script = Script::with(configured, move |asked| answered(asked, id)).await.writable();
            let _ = script.organization.suspend(&account("712020:a")).await;
            let asked = script.site.asked();
            let written: BTreeSet<&str> =
                asked.iter().filter(|a| a.path.ends_with("/suspend")).map(|a| a.path.as_str()).collect();
            assert_eq!(written.len(), 1, "{id}: {:?}", script.site.lines());
            let parts: Vec<String> = written.first().unwrap().split('/').map(decoded).collect();
            assert_eq!(parts[5..], ["directories", id, "users", "712020:a", "suspend"], "{id}: {parts:?}");
        }
    }
}
