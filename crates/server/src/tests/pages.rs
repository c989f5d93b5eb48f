//! Every page, by enumeration of the table: roles, foreign forms, panics, hostile names; and sessions.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use entrain_domain::accounts::{AccountChange, Chosen};
use entrain_domain::service::Role;
use jiff::SignedDuration;

use super::people::PASSWORD;
use super::{Behaves, Fake, over, send};
use crate::accounts::{Accounts as _, hash_password};
use crate::api::routes::Verb;
use crate::console::pages::{Entry, PAGES, Page};
use crate::console::session::token;

fn address(page: &Page) -> String {
    let mut path = page.path.to_owned();
    for (name, value) in [
        ("{connection}", "azure-ad"),
        ("{run}", "r1"),
        ("{link}", if page.path.starts_with("/first") { "first" } else { "enter" }),
        ("{step}", "0"),
        ("{draft}", "d1"),
        ("{topic}", "scope"),
        ("{report}", "drift"),
        ("{account}", "viewer"),
        ("{key}", "k1"),
        ("{alert}", "a1"),
    ] {
        path = path.replace(name, value);
    }
    match page.id {
        "person" => path.push_str("?who=u"),
        "group" => path.push_str("?which=g"),
        _ => {}
    }
    path
}

/// How a request is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    FromItsPage,
    WithoutToken,
    WithAnothersToken,
    FromAnotherSite,
    FromAnotherOrigin,
}

fn request(page: &Page, cookie: Option<&str>, sent: Sent) -> Request<Body> {
    let visitor = "v".repeat(64);
    let cookies = match cookie {
        Some(cookie) => format!("entrain={cookie}"),
        None => format!("entrain-visitor={visitor}"),
    };
    let mut request = Request::builder()
        .method(page.method.method())
        .uri(address(page))
        .header("host", "localhost")
        .header("cookie", cookies);
    if page.method == Verb::Get {
        return request.body(Body::empty()).unwrap();
    }
    request = request.header("content-type", "application/x-www-form-urlencoded");
    request = match sent {
        Sent::FromAnotherSite => request.header("sec-fetch-site", "cross-site"),
        Sent::FromAnotherOrigin => request.header("origin", "https://evil.example"),
        _ => request.header("sec-fetch-site", "same-origin"),
    };
    let secret = match sent {
        Sent::WithAnothersToken => "another",
        _ => cookie.unwrap_or(&visitor),
    };
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    if sent != Sent::WithoutToken {
        form.append_pair("csrf", &token(secret));
    }
    for field in page.takes.iter().filter(|field| !field.ends_with("[]")) {
        form.append_pair(field, "");
    }
    request.body(Body::from(form.finish())).unwrap()
}

async fn visit(routes: &Router, page: &Page, cookie: Option<&str>) -> (StatusCode, HeaderMap, String) {
    send(routes, request(page, cookie, Sent::FromItsPage)).await
}

#[tokio::test]
async fn w_04_every_role_may_open_exactly_the_pages_that_the_table_says() {
    let mut cells = 0;
    for page in PAGES {
        for role in
            [None, Some(Role::Viewer), Some(Role::Operator), Some(Role::Approver), Some(Role::Administrator)]
        {
            let fake = Arc::new(Fake::new(Behaves::Well));
            let cookie = role.map(|role| fake.people.signed_in(role));
            let routes = over(fake);
            let (status, headers, body) = visit(&routes, page, cookie.as_deref()).await;
            let told = || format!("{} as {role:?}: {status} {body}", page.id);
            match (page.entry, role) {
                (Entry::Role(_) | Entry::SignedIn, None) if page.method == Verb::Get => {
                    assert_eq!(status, StatusCode::SEE_OTHER, "{}", told());
                    assert!(
                        headers["location"].to_str().unwrap().starts_with("/sign-in?next="),
                        "{}",
                        told()
                    );
                }
                (Entry::Role(_) | Entry::SignedIn, None) => {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{}", told());
                }
                (Entry::Role(least), Some(role)) if role < least => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{}", told());
                    assert!(body.contains("role_missing"), "{}", told());
                }
                _ => {
                    assert!(status.as_u16() < 500 && status != StatusCode::FORBIDDEN, "{}", told());
                    // A wrong name and password are answered so as well
                    assert!(status != StatusCode::UNAUTHORIZED || page.id == "sign_in", "{}", told());
                }
            }
            cells += 1;
        }
    }
    assert_eq!(cells, PAGES.len() * 5);
}

/// Whoever holds a password that somebody else knows opens one page, and what it sends to; an administrator no more.
#[tokio::test]
async fn w_02_a_password_that_was_handed_out_opens_nothing_but_its_change() {
    let mut open = Vec::new();
    for page in PAGES.iter().filter(|page| page.entry != Entry::Anyone) {
        for role in Role::ALL {
            let fake = Arc::new(Fake::new(Behaves::Well));
            let cookie = fake.people.signed_in(role);
            fake.people.hand_out(role, "argon2 of what was handed out");
            let (status, headers, body) = visit(&over(fake.clone()), page, Some(&cookie)).await;
            let told = || format!("{} as {role:?}: {status} {body}", page.id);
            if page.entry == Entry::SignedIn {
                assert!(status.as_u16() < 500 && status != StatusCode::FORBIDDEN, "{}", told());
                open.push(page.id);
            } else if page.method == Verb::Get {
                assert_eq!(status, StatusCode::SEE_OTHER, "{}", told());
                let to = headers["location"].to_str().unwrap();
                assert!(to.starts_with("/account/new-password?next=%2F"), "{}: {to}", told());
                assert!(body.is_empty(), "{}", told());
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{}", told());
                assert!(body.contains("href=\"/account/new-password\""), "{}", told());
                assert!(!body.contains("Azure AD"), "nothing is told of what there is: {}", told());
                assert_eq!(fake.people.writes(), 0, "{}", told());
            }
        }
    }
    open.dedup();
    assert_eq!(open, ["sign_out", "new_password", "choose_password"]);
}

#[tokio::test]
async fn w_02_whoever_was_handed_a_password_chooses_another_and_goes_on() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let given = hash_password(PASSWORD.into()).await.unwrap();
    fake.change_account("operator", AccountChange::Password(given, Chosen::ByAnother), "test").await.unwrap();
    let routes = over(fake.clone());
    let secret = "v".repeat(64);
    let fields = [("name", "operator"), ("password", PASSWORD), ("next", "/audit?kind=sync")];
    let (_, headers, _) =
        post(&routes, "/sign-in", &format!("entrain-visitor={secret}"), &secret, &fields).await;
    let held = cookie(&headers).unwrap();
    assert_eq!(headers["location"], "/audit?kind=sync");
    let cookies = format!("entrain={held}");
    let lost = Request::get("/nothing/here").header("host", "localhost").header("cookie", &cookies);
    let lost = lost.header("accept", "text/html").body(Body::empty()).unwrap();
    let (status, _, body) = send(&routes, lost).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    assert!(!body.contains("Azure AD"), "{body}");
    let choose = async |password: &str, again: &str| {
        let fields = [("password", password), ("again", again), ("next", "/audit?kind=sync")];
        post(&routes, "/account/new-password", &cookies, &held, &fields).await
    };
    for (password, again, told) in [
        (PASSWORD, PASSWORD, "the password you were given"),
        ("another few words", "other few words", "not the same"),
        ("short", "short", "between 12 and 256"),
    ] {
        let (status, _, body) = choose(password, again).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(body.contains(told) && body.contains("value=\"/audit?kind=sync\""), "{body}");
        assert!(fake.people.accounts.lock().unwrap()["operator"].has_handed_out_password());
    }
    let (status, headers, body) = choose("another few words", "another few words").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
    assert_eq!(headers["location"], "/audit?kind=sync");
    assert!(!signed_in(&routes, &held).await, "the session of the password that was handed out is over");
    let own = cookie(&headers).unwrap();
    assert!(signed_in(&routes, &own).await);
    // From now on the old one is asked for
    let fields = [("password", "yet another few words"), ("again", "yet another few words")];
    let (status, ..) = post(&routes, "/account/new-password", &format!("entrain={own}"), &own, &fields).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let page = Request::get("/account/new-password").header("host", "localhost");
    let page = page.header("cookie", format!("entrain={own}")).body(Body::empty()).unwrap();
    assert_eq!(send(&routes, page).await.1["location"], "/account");
}

#[tokio::test]
async fn w_01_no_form_from_elsewhere_is_taken_and_no_get_writes() {
    for page in PAGES {
        let fake = Arc::new(Fake::new(Behaves::Well));
        let cookie = fake.people.signed_in(Role::Administrator);
        let routes = over(fake.clone());
        if page.method == Verb::Get {
            let before = fake.people.writes();
            visit(&routes, page, Some(&cookie)).await;
            assert_eq!(fake.people.writes(), before, "{} writes", page.id);
            continue;
        }
        for sent in
            [Sent::WithoutToken, Sent::WithAnothersToken, Sent::FromAnotherSite, Sent::FromAnotherOrigin]
        {
            let (status, _, body) = send(&routes, request(page, Some(&cookie), sent)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{}: {body}", page.id);
            assert!(body.contains("request_foreign"), "{}: {body}", page.id);
        }
        assert_eq!(fake.people.writes(), 0, "{}", page.id);
        let get = Request::get(address(page)).header("host", "localhost").body(Body::empty()).unwrap();
        let (status, ..) = send(&routes, get).await;
        let also_a_page = PAGES.iter().any(|other| other.path == page.path && other.method == Verb::Get);
        assert!(also_a_page || status == StatusCode::METHOD_NOT_ALLOWED, "{}: {status}", page.id);
    }
}

#[tokio::test]
async fn w_12_a_panic_in_any_page_is_an_error_page_and_leaves_the_rest_up() {
    for page in PAGES {
        let fake = Arc::new(Fake::new(Behaves::Panics));
        let cookie = fake.people.signed_in(Role::Administrator);
        let routes = over(fake);
        let (status, _, body) = visit(&routes, page, Some(&cookie)).await;
        assert!(
            status == StatusCode::INTERNAL_SERVER_ERROR
                || status.is_redirection()
                || status.is_client_error(),
            "{}: {status}",
            page.id
        );
        assert!(!body.contains("a bug"), "{body}");
        let alive = Request::get("/health/live").header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(send(&routes, alive).await.0, StatusCode::OK, "after {}", page.id);
    }
}

#[tokio::test]
async fn h_03_hostile_names_are_text_on_every_page() {
    const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'";
    for page in PAGES.iter().filter(|page| page.method == Verb::Get) {
        let fake = Arc::new(Fake { hostile: HOSTILE, ..Fake::new(Behaves::Well) });
        let cookie = fake.people.signed_in(Role::Administrator);
        for name in ["administrator", "viewer"] {
            fake.people.accounts.lock().unwrap().get_mut(name).unwrap().name = HOSTILE.into();
        }
        let routes = over(fake);
        let slug = entrain_domain::service::slug(HOSTILE);
        let path = address(page).replace("azure-ad", &slug);
        let get = Request::get(path)
            .header("host", "localhost")
            .header("cookie", format!("entrain={cookie}"))
            .body(Body::empty())
            .unwrap();
        let (status, headers, body) = send(&routes, get).await;
        assert!(!status.is_server_error(), "{}: {status}", page.id);
        for tag in ["<script>", "<img", "onerror=alert(2)>"] {
            assert!(!body.contains(tag), "{}: {body}", page.id);
        }
        assert!(!body.contains(" style=") && !body.contains("<style"), "{}: inline style", page.id);
        let html =
            headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
        let other = ["run_events", "rules_export", "report_table", "audit_export"].contains(&page.id);
        assert!(html || status != StatusCode::OK || other, "{}", page.id);
        if html {
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["cache-control"], "no-store");
        }
    }
}

/// Sends a form from the page of somebody who holds these cookies.
pub(super) async fn post(
    routes: &Router,
    path: &str,
    cookies: &str,
    secret: &str,
    fields: &[(&str, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf", &token(secret)).extend_pairs(fields);
    let request = Request::post(path)
        .header("host", "localhost")
        .header("cookie", cookies)
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.finish()))
        .unwrap();
    send(routes, request).await
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers.get_all("set-cookie").iter().find_map(|header| {
        let value = header.to_str().unwrap().strip_prefix("entrain=")?;
        Some(value.split(';').next().unwrap().to_owned())
    })
}

async fn signed_in(routes: &Router, cookie: &str) -> bool {
    let get =
        Request::get("/account").header("host", "localhost").header("cookie", format!("entrain={cookie}"));
    send(routes, get.body(Body::empty()).unwrap()).await.0 == StatusCode::OK
}

async fn with_password() -> Arc<Fake> {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let hash = hash_password(PASSWORD.into()).await.unwrap();
    fake.change_account("operator", AccountChange::Password(hash, Chosen::ByHolder), "test").await.unwrap();
    fake
}

#[tokio::test]
async fn w_02_a_session_is_new_at_sign_in_and_dead_at_sign_out() {
    let fake = with_password().await;
    let routes = over(fake.clone());
    // What an attacker has put into the browser before is worth nothing afterwards
    let (planted, visitor) = ("a".repeat(64), "b".repeat(64));
    let cookies = format!("entrain={planted}; entrain-visitor={visitor}");
    let fields = [("name", "Operator"), ("password", PASSWORD), ("next", "/account")];
    let (status, headers, body) = post(&routes, "/sign-in", &cookies, &visitor, &fields).await;
    assert_eq!(
        (status, headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/account"),
        "{body}"
    );
    let first = cookie(&headers).unwrap();
    assert!(first.len() == 64 && first != planted && first != visitor);
    assert!(signed_in(&routes, &first).await && !signed_in(&routes, &planted).await);
    assert!(
        fake.people.sessions.lock().unwrap().values().all(|session| session.id != first),
        "only its digest is kept"
    );

    // Signing in again gives another one, and ends the one before
    let (_, headers, _) = post(&routes, "/sign-in", &format!("entrain={first}"), &first, &fields).await;
    let second = cookie(&headers).unwrap();
    assert!(second != first && signed_in(&routes, &second).await && !signed_in(&routes, &first).await);
    let (status, ..) = post(&routes, "/sign-out", &format!("entrain={second}"), &second, &[]).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(!signed_in(&routes, &second).await, "dead at once");
}

#[tokio::test]
async fn w_02_a_session_ends_by_idleness_and_after_half_a_day() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let routes = over(fake.clone());
    let idle = fake.people.signed_in(Role::Viewer);
    assert!(signed_in(&routes, &idle).await);
    fake.people.later(SignedDuration::from_mins(31));
    assert!(!signed_in(&routes, &idle).await);
    let busy = fake.people.signed_in(Role::Viewer);
    for _ in 0..35 {
        assert!(signed_in(&routes, &busy).await);
        fake.people.later(SignedDuration::from_mins(20));
    }
    fake.people.later(SignedDuration::from_mins(20));
    assert!(!signed_in(&routes, &busy).await, "whatever somebody does");
    let cut = fake.people.signed_in(Role::Viewer);
    fake.change_account("viewer", AccountChange::Disable, "test").await.unwrap();
    assert!(!signed_in(&routes, &cut).await, "nobody uses a disabled account");
}

#[tokio::test]
async fn w_03_unknown_names_are_answered_as_wrong_passwords_are() {
    let routes = over(with_password().await);
    let visitor = "b".repeat(64);
    let cookies = format!("entrain-visitor={visitor}");
    let mut answers = Vec::new();
    for name in ["operator", "nobody"] {
        let fields = [("name", name), ("password", "wrong horse battery")];
        let (status, headers, body) = post(&routes, "/sign-in", &cookies, &visitor, &fields).await;
        assert!(cookie(&headers).is_none());
        answers.push((status, body.replace(name, "NAME")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    // Not even the right one is looked at while somebody has to wait
    for _ in 0..5 {
        post(&routes, "/sign-in", &cookies, &visitor, &[("name", "operator"), ("password", "x")]).await;
    }
    let right = [("name", "operator"), ("password", PASSWORD)];
    let (status, headers, _) = post(&routes, "/sign-in", &cookies, &visitor, &right).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(headers.contains_key("retry-after"));
}

#[tokio::test]
async fn the_first_administrator_is_made_by_a_link_and_only_while_there_is_none() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let routes = over(fake.clone());
    let visitor = "b".repeat(64);
    let cookies = format!("entrain-visitor={visitor}");
    let good = [("name", "Ana Ruiz"), ("password", PASSWORD), ("again", PASSWORD)];
    let (status, ..) = post(&routes, "/first/guessed", &cookies, &visitor, &good).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for wrong in [
        [("name", ""), ("password", PASSWORD), ("again", PASSWORD)],
        [("name", "Ana"), ("password", PASSWORD), ("again", "another")],
        [("name", "Ana"), ("password", "short"), ("again", "short")],
    ] {
        let (status, _, body) = post(&routes, "/first/first", &cookies, &visitor, &wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(body.contains("role=\"alert\"") && !body.contains(PASSWORD), "{body}");
    }
    let (status, headers, _) = post(&routes, "/first/first", &cookies, &visitor, &good).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(signed_in(&routes, &cookie(&headers).unwrap()).await);
    assert_eq!(fake.people.accounts.lock().unwrap()["Ana Ruiz"].role, Role::Administrator);
}

#[tokio::test]
async fn every_page_is_small_with_ten_thousand_of_everything() {
    for rows in [1, 10_000] {
        for page in PAGES.iter().filter(|page| page.method == Verb::Get) {
            let fake = Arc::new(Fake { rows, ..Fake::new(Behaves::Well) });
            let cookie = fake.people.signed_in(Role::Administrator);
            if rows > 1 {
                fake.people.crowd(rows);
            }
            let (status, _, body) = visit(&over(fake), page, Some(&cookie)).await;
            assert!(!status.is_server_error(), "{} with {rows}: {status} {body}", page.id);
            assert!(body.len() < 100_000, "{} with {rows}: {} bytes", page.id, body.len());
        }
    }
}

#[tokio::test]
async fn one_person_is_told_whole_and_synced_from_their_page() {
    let fake = Arc::new(Fake { rows: 3, ..Fake::new(Behaves::Well) });
    let cookie = fake.people.signed_in(Role::Operator);
    let routes = over(fake.clone());
    let cookies = format!("entrain={cookie}");
    let get = Request::get("/connections/azure-ad/person?who=u")
        .header("host", "localhost")
        .header("cookie", &cookies)
        .body(Body::empty())
        .unwrap();
    let (status, _, body) = send(&routes, get).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for told in [
        "disabled",
        "matched by Azure AD",
        "hidden by the profile",
        "Entrain, which took it away",
        "Groups off",
        "<b>Suspend</b>",
        "Invited as ana@acme.example",
        "Failed: Azure AD.",
        "Memberships that are over",
        "Sync now",
    ] {
        // The ledger has this membership, so that its past end is not what counts
        let wanted = told != "Entrain, which took it away";
        assert_eq!(body.contains(told), wanted, "{told}: {body}");
    }
    let path = "/connections/azure-ad/person/sync";
    let (status, headers, body) = post(&routes, path, &cookies, &cookie, &[("who", "u")]).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
    assert_eq!(headers["location"], "/connections/azure-ad/person?who=u&said=person-in-step");
    let (_, headers, _) = post(&routes, path, &cookies, &cookie, &[("who", "nobody")]).await;
    assert_eq!(headers["location"], "/connections/azure-ad/person?who=nobody&said=person-out");
    let (status, _, body) = post(&routes, path, &cookies, &cookie, &[("who", "waits")]).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    assert!(body.contains("No seat is left.") && body.contains("person_waits"), "{body}");
    let viewer = fake.people.signed_in(Role::Viewer);
    let (status, ..) = post(&routes, path, &format!("entrain={viewer}"), &viewer, &[("who", "u")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn why_of_a_run_whose_plan_was_thrown_away_says_so_and_offers_the_answer_of_today() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let cookie = fake.people.signed_in(Role::Viewer);
    let routes = over(fake);
    let get = Request::get("/runs/thrown-away/why?who=u%201")
        .header("host", "localhost")
        .header("cookie", format!("entrain={cookie}"))
        .body(Body::empty())
        .unwrap();
    let (status, _, body) = send(&routes, get).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body.contains("The plan of that run is no longer kept"), "{body}");
    assert!(body.contains("/connections/azure-ad/person?who=u%201"), "{body}");
}

#[tokio::test]
async fn anything_is_found_by_a_few_letters_and_leads_to_its_page() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let cookie = fake.people.signed_in(Role::Viewer);
    let routes = over(fake);
    let search = async |q: &str| {
        let get = Request::get(format!("/search?q={q}"))
            .header("host", "localhost")
            .header("cookie", format!("entrain={cookie}"));
        let (status, _, body) = send(&routes, get.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let results = body.split("id=\"results\"").nth(1).unwrap();
        results.split("</main>").next().unwrap().to_owned()
    };
    let found = search("azure").await;
    for href in
        ["/connections/azure-ad/person?who=Azure%20AD", "/connections/azure-ad/group?which=Azure%20AD"]
    {
        assert!(found.contains(&format!("href=\"{href}\"")), "{href}: {found}");
    }
    assert!(found.contains("href=\"/connections/azure-ad\"") && !found.contains("/runs/r1\""), "{found}");
    assert!(search("R1").await.contains("href=\"/runs/r1\""));
    assert!(search("audi").await.contains("href=\"/audit\""));
    assert!(!search("").await.contains("href="), "nothing was asked");
}

#[tokio::test]
async fn the_audit_log_is_looked_through_and_older_entries_keep_what_is_looked_for() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let cookie = fake.people.signed_in(Role::Viewer);
    let routes = over(fake);
    let page = async |query: &str| {
        let get = Request::get(format!("/audit{query}"))
            .header("host", "localhost")
            .header("cookie", format!("entrain={cookie}"));
        let (status, _, body) = send(&routes, get.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    };
    let found = page("?who=ana+b&kind=add+member&object=&from=2026-11-01&to=&before=50").await;
    for part in [
        "who: Some(&#34;ana b&#34;)",
        "kind: Some(&#34;add_member&#34;)",
        "object: None",
        "from: Some(2026-11-01T00:00:00Z)",
        "to: None",
        "before: Some(50)",
        "href=\"/audit?who=ana+b&#38;kind=add+member&#38;from=2026-11-01&#38;before=-50\"",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let wrong = page("?from=yesterday").await;
    assert!(wrong.contains("A day is written as 2026-11-01."), "{wrong}");
    assert!(wrong.contains("No such entry") && !wrong.contains("who: "), "{wrong}");
    assert!(page("").await.contains(">Newest<"));
}
