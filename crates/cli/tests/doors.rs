//! The sign-in doors, end to end: the real binary against the emulator, which plays Entra ID, the people and the sites.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Bench, command};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const GROUP: &str = "Jira Doors";

/// A company in step, a server with all doors over it, and somebody new who is not in step yet.
struct House {
    bench: Bench,
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer, read whole.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn location(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.body);
        self.headers[LOCATION].to_str().unwrap().to_owned()
    }
}

/// A browser's cookies.
type Jar = BTreeMap<String, String>;

impl House {
    fn new() -> Self {
        Self::with(Bench::demo())
    }

    fn with(bench: Bench) -> Self {
        // The schedule is far away: whoever gets in step does so through a door
        Self::on(bench, "cron = \"0 3 29 2 *\"")
    }

    fn on(bench: Bench, schedule: &str) -> Self {
        let client = bench.company().client_id.clone();
        let doors = format!(
            "\n[schedule]\n{schedule}\n\n[doors.access]\nname = \"Norrvik <b>\"\naccent = \"#7a1f57\"\ncontact = \"it-help@norrvik.example\"\n\
             [doors.token_issuance]\nclient_id = \"{client}\"\n\
             [doors.webhook]\nsecret = \"{KEY}\"\nprevious_secret = \"{OLD_KEY}\"\n"
        );
        let document = format!("{}{doors}", bench.document(&format!("\"{GROUP}\"")));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let uris = ["azure-ad", "other"].map(|slug| format!("http://127.0.0.1/access/{slug}/callback"));
        let house = |bench: Bench, child, url| Self { bench, child, url, http: http.clone() };
        change(
            &bench,
            &http,
            json!([
                { "change": "set_sign_in", "redirect_uris": uris },
                { "change": "create_group", "group": { "displayName": GROUP } },
                { "change": "create_user", "user": {
                    "userPrincipalName": "first@norrvik.example", "displayName": "Una First", "mail": "first@norrvik.example" } },
                { "change": "add_member", "group": GROUP, "member": { "type": "user", "id": "first@norrvik.example" } },
            ]),
        );
        let path = bench.file("connection.toml", &document);
        bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
        bench.entrain(&["sync", "Azure AD", "--yes"]).expect(0);
        bench.entrain(&["connection", "mode", "Azure AD", "apply"]).expect(0);
        newcomer(&bench, &http, "new@norrvik.example", "Nia New");
        change(
            &bench,
            &http,
            json!([{ "change": "create_user", "user": {
            "userPrincipalName": "outside@norrvik.example", "displayName": "Otto Outside",
            "mail": "outside@norrvik.example" } }]),
        );
        let mut child = command(bench.folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])
            .stderr(std::process::Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        house(bench, child, url)
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Got {
        self.bench.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Got { status, headers, body: answer.text().await.unwrap() }
        })
    }

    /// A page, with the cookies of a browser, which takes those that come.
    fn page(&self, address: &str, jar: &mut Jar) -> Got {
        let address =
            if address.starts_with('/') { format!("{}{address}", self.url) } else { address.to_owned() };
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.get(address);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let got = self.send(request);
        for cookie in got.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
                assert!(text.contains(attribute), "{text}");
            }
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                jar.remove(name)
            } else {
                jar.insert(name.into(), value.into())
            };
        }
        got
    }

    /// Picks somebody on the sign-in page; gives back where the browser is sent.
    fn pick(&self, sign_in: &str, user: &str) -> String {
        let page = url::Url::parse(sign_in).unwrap();
        let mut form: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        form.push(("user".into(), user.into()));
        let got = self.send(self.http.post(page[..url::Position::AfterPath].to_owned()).form(&form));
        assert_eq!(got.status, 302, "{}", got.body);
        got.headers[LOCATION].to_str().unwrap().to_owned()
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.bench.company().control_url);
        let got = self.send(self.http.request(method.parse().unwrap(), url).json(body));
        assert!((200..300).contains(&got.status), "{path}: {}", got.body);
        serde_json::from_str(&got.body).unwrap_or(Value::Null)
    }

    /// Groups of an account on the site, if there is one.
    fn groups(&self, mail: &str) -> Option<Vec<String>> {
        let state = self.control("GET", "/site/state", &Value::Null);
        let account = state["accounts"].as_array().unwrap().iter().find(|a| a["email"] == mail)?.clone();
        Some(serde_json::from_value(account["groups"].clone()).unwrap())
    }

    fn in_step(&self, mail: &str) -> bool {
        self.groups(mail).is_some_and(|groups| groups.iter().any(|group| group == GROUP))
    }

    /// Requests to Graph so far.
    fn graph_requests(&self) -> usize {
        let log = &self.bench.emulator.state().log;
        log.entries(usize::MAX, |entry| entry.surface == entrain_emulator::Surface::Graph).len()
    }

    /// Requests to Graph so far, once there have been no more for a while.
    fn at_rest(&self) -> usize {
        let mut before = self.graph_requests();
        loop {
            std::thread::sleep(Duration::from_millis(2500));
            let now = self.graph_requests();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// Signs in at the access page; gives back the page that comes in the end.
    fn through(&self, next: Option<&str>, user: &str) -> Got {
        let mut jar = Jar::new();
        let mut start = "/access/azure-ad/sign-in".to_owned();
        if let Some(next) = next {
            let query =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            start = format!("{start}?{query}");
        }
        let sign_in = self.page(&start, &mut jar).location();
        let back = self.pick(&sign_in, user);
        assert_eq!(self.page(&back, &mut jar).location(), "/access/azure-ad/progress");
        within("the end of the sync", || {
            let page = self.page("/access/azure-ad/progress", &mut jar);
            assert_eq!(page.status, 200, "{}", page.body);
            let under_way = page.body.contains("We are setting up");
            (!under_way).then_some(page)
        })
    }

    fn extension(&self, more: &Value) -> Value {
        let mut call = json!({
            "url": format!("{}/doors/azure-ad/token-issuance", self.url), "user": "new@norrvik.example",
            "audience": self.bench.company().client_id, "maximum_retries": 0,
        });
        for (name, value) in more.as_object().unwrap() {
            call[name] = value.clone();
        }
        self.control("POST", "/sign-in/token-issuance", &call)
    }

    fn webhook(&self, id: &str, at: i64, key: &str, body: &str) -> reqwest::RequestBuilder {
        let signature = signature(id, at, key, body);
        self.http
            .post(format!("{}/doors/azure-ad/webhook", self.url))
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .body(body.to_owned())
    }
}

fn signature(id: &str, at: i64, key: &str, body: &str) -> String {
    let key = STANDARD.decode(key.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[expect(clippy::needless_pass_by_value, reason = "it reads better where it is called")]
fn change(bench: &Bench, http: &reqwest::Client, changes: Value) {
    let url = format!("{}/world/changes", bench.company().control_url);
    let (status, text) = bench.runtime.block_on(async {
        let answer = http.post(url).json(&changes).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    });
    assert!(status.is_success(), "{text}");
}

fn newcomer(bench: &Bench, http: &reqwest::Client, name: &str, display: &str) {
    change(
        bench,
        http,
        json!([
            { "change": "create_user", "user": { "userPrincipalName": name, "displayName": display, "mail": name } },
            { "change": "add_member", "group": GROUP, "member": { "type": "user", "id": name } },
        ]),
    );
}

#[expect(clippy::disallowed_methods, reason = "the server lives by the machine's clock")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn within<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let at = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(at.elapsed() < Duration::from_mins(3), "{what}: not within three minutes");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_access_page_takes_somebody_new_from_sign_in_to_jira() {
    let house = House::new();
    let welcome = house.page("/access/azure-ad?next=%2Fbrowse%2FABC-1", &mut Jar::new());
    assert_eq!(welcome.status, 200, "{}", welcome.body);
    assert!(welcome.body.contains("Norrvik &#60;b&#62;"), "{}", welcome.body);
    assert!(welcome.body.contains("/access/azure-ad/sign-in?next=%2Fbrowse%2FABC-1"), "{}", welcome.body);
    let policy = welcome.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!welcome.body.contains("style=") && !welcome.body.contains("onclick"), "{}", welcome.body);
    let brand = house.page("/access/azure-ad/brand.css", &mut Jar::new());
    assert!(brand.body.contains("#7a1f57"), "{}", brand.body);

    assert!(!house.in_step("new@norrvik.example"));
    let end = house.through(Some("/browse/ABC-1"), "new@norrvik.example");
    assert!(end.body.contains("Welcome, Nia. You are all set."), "{}", end.body);
    let site = &house.bench.company().site_url;
    assert_eq!(end.headers["refresh"], format!("2; url={site}/browse/ABC-1"));
    assert!(end.body.contains(&format!("href=\"{site}/browse/ABC-1\"")), "{}", end.body);
    assert!(house.in_step("new@norrvik.example"));
}

#[test]
fn whoever_gets_nothing_is_told_whom_to_ask_and_not_why() {
    let house = House::new();
    let end = house.through(None, "outside@norrvik.example");
    assert!(end.body.contains("There is no Jira access for your account"), "{}", end.body);
    assert!(end.body.contains("mailto:it-help@norrvik.example"), "{}", end.body);
    assert!(!end.headers.contains_key("refresh"));
    assert_eq!(house.groups("outside@norrvik.example"), None);
}

#[test]
fn people_are_sent_to_pages_of_their_own_site_only() {
    let house = House::new();
    let site = house.bench.company().site_url.clone();
    for evil in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"] {
        let end = house.through(Some(evil), "first@norrvik.example");
        assert_eq!(end.headers["refresh"], format!("2; url={site}/"), "{evil}");
        assert!(!end.body.contains("evil.example"), "{evil}: {}", end.body);
    }
}

#[test]
fn attacks_at_the_access_page_are_refused() {
    let house = House::new();
    let mut jar = Jar::new();
    let sign_in = house.page("/access/azure-ad/sign-in", &mut jar).location();
    let back = house.pick(&sign_in, "new@norrvik.example");
    let refused = |what: &str, address: &str, jar: &Jar| {
        let got = house.page(address, &mut jar.clone());
        assert_eq!(got.status, 400, "{what}: {}", got.body);
        assert!(got.body.contains("The sign-in did not work"), "{what}: {}", got.body);
    };
    refused("without the browser's cookie", &back, &Jar::new());
    let mut another = Jar::new();
    house.page("/access/azure-ad/sign-in", &mut another).location();
    refused("in another browser, which began a sign-in of its own", &back, &another);
    let changed = back.replace("state=", "state=x");
    refused("with another state", &changed, &jar);
    refused("without a state", back.split("&state=").next().unwrap(), &jar);
    refused("broken off", &format!("{}&error=access_denied", back.replace("code=", "x=")), &jar);
    let (name, value) = jar.iter().next().unwrap();
    let tampered: Jar = [(name.clone(), format!("A{}", &value[1..]))].into();
    refused("with a changed cookie", &back, &tampered);
    let mix_up = back.replace("/access/azure-ad/", "/access/other/");
    assert_eq!(house.page(&mix_up, &mut jar.clone()).status, 404, "at another connection");

    // The sign-in cookie is none of those that say who somebody is
    let person = name.replace("sign-in", "access");
    let crossed: Jar = [(person, value.clone())].into();
    assert_eq!(house.page("/access/azure-ad/progress", &mut crossed.clone()).location(), "/access/azure-ad");

    let kept = jar.clone();
    assert_eq!(house.page(&back, &mut jar).location(), "/access/azure-ad/progress");
    refused("replayed, cookie and all", &back, &kept);
    assert_eq!(house.page("/access/azure-ad/progress", &mut Jar::new()).location(), "/access/azure-ad");

    for attack in [
        "alg_none",
        "hs256_public_key",
        "unknown_kid",
        "foreign_key",
        "tampered",
        "wrong_audience",
        "wrong_issuer",
        "wrong_tenant",
        "wrong_tid",
        "wrong_nonce",
        "no_nonce",
        "expired",
        "not_yet_valid",
        "no_object_id",
    ] {
        house.control("PUT", "/settings", &json!({ "sign_in": { "attack": attack } }));
        let mut jar = Jar::new();
        let sign_in = house.page("/access/azure-ad/sign-in", &mut jar).location();
        let back = house.pick(&sign_in, "new@norrvik.example");
        refused(attack, &back, &jar);
    }
}

#[test]
fn token_issuance_is_answered_at_once_and_the_sync_goes_on_behind_it() {
    let house = House::new();
    let answer = house.extension(&json!({}));
    assert_eq!(answer["accepted"], true, "{answer}");
    within("the newcomer", || house.in_step("new@norrvik.example").then_some(()));

    let before = house.at_rest();
    let again = house.extension(&json!({
        "token": answer["token"], "correlation_id": answer["correlation_id"],
    }));
    assert_eq!(again["accepted"], true, "a retry is answered alike: {again}");
    assert_eq!(house.at_rest(), before, "and did nothing");
    let nobody = house.extension(&json!({ "user": "11111111-2222-4333-8444-555555555555" }));
    assert_eq!(nobody["body"], answer["body"], "whoever is unknown gets the same answer");

    // Everything behind it hangs: the answer leaves all the same
    newcomer(&house.bench, &house.http, "slow@norrvik.example", "Sal Slow");
    house.control(
        "PUT",
        "/settings",
        &json!({
        "latency": { "authority_ms": 20_000, "graph_ms": 20_000, "site_ms": 20_000 } }),
    );
    for version in ["1.0", "2.0"] {
        let answer = house.extension(&json!({ "user": "slow@norrvik.example", "token_version": version }));
        assert_eq!(answer["accepted"], true, "{answer}");
    }
}

#[test]
fn calls_that_do_not_come_from_microsoft_are_refused() {
    let house = House::new();
    let mut bodies = std::collections::BTreeSet::new();
    for attack in [
        "alg_none",
        "hs256_public_key",
        "unknown_kid",
        "foreign_key",
        "tampered",
        "wrong_audience",
        "wrong_issuer",
        "wrong_tenant",
        "wrong_tid",
        "wrong_caller",
        "expired",
        "not_yet_valid",
    ] {
        let answer = house.extension(&json!({ "attack": attack }));
        assert_eq!(
            (&answer["status"], &answer["accepted"]),
            (&json!(401), &json!(false)),
            "{attack}: {answer}"
        );
        bodies.insert(answer["body"].to_string());
    }
    assert_eq!(bodies.len(), 1, "what is wrong is told to nobody: {bodies:?}");
    let foreign = house.extension(&json!({ "body_tenant": "11111111-2222-4333-8444-555555555555" }));
    assert_eq!(foreign["status"], 401, "{foreign}");
    let address = format!("{}/doors/azure-ad/token-issuance", house.url);
    assert_eq!(house.send(house.http.post(&address)).status, 401);
    assert!(!house.in_step("new@norrvik.example"));
    let token = house.extension(&json!({ "user": "first@norrvik.example" }))["token"].clone();
    let signed = |body: String| house.http.post(&address).bearer_auth(token.as_str().unwrap()).body(body);
    for (body, status) in [
        (String::new(), 400),
        ("{}".into(), 400),
        ("[".repeat(50_000), 400),
        (
            "{\"data\": {\"@odata.type\": \"microsoft.graph.onAttributeCollectionStartCalloutData\"}}".into(),
            400,
        ),
        (" ".repeat(100_000), 413),
    ] {
        assert_eq!(house.send(signed(body)).status, status);
    }
    assert_eq!(house.send(house.http.get(&address)).status, 405);
    assert_eq!(house.send(house.http.post(format!("{}/doors/nobody/token-issuance", house.url))).status, 404);
}

#[test]
fn w_06_signed_webhooks_count_once_within_five_minutes_and_forged_ones_never() {
    let house = House::new();
    let body = "{\"user\": \"new@norrvik.example\"}";
    let status = |request| house.send(request).status;
    assert_eq!(status(house.webhook("m-0", now(), "whsec_AAAA", body)), 401, "another key");
    assert_eq!(status(house.webhook("m-0", now() - 400, KEY, body)), 401, "too old");
    assert_eq!(status(house.webhook("m-0", now() + 400, KEY, body)), 401, "from the future");
    let moved = house.webhook("m-0", now(), KEY, body).body("{\"user\": \"first@norrvik.example\"}");
    assert_eq!(status(moved), 401, "another body");
    assert_eq!(status(house.http.post(format!("{}/doors/azure-ad/webhook", house.url)).body(body)), 401);
    assert_eq!(status(house.webhook("m-1", now(), KEY, "{\"nobody\": 1}")), 400);
    assert!(!house.in_step("new@norrvik.example"));

    let taken = house.send(house.webhook("m-2", now(), KEY, body));
    assert_eq!((taken.status, taken.body.as_str()), (202, "{\"status\":\"accepted\"}"));
    within("the newcomer", || house.in_step("new@norrvik.example").then_some(()));
    let before = house.at_rest();
    assert_eq!(status(house.webhook("m-2", now(), KEY, body)), 202, "again");
    assert_eq!(house.at_rest(), before, "and did nothing");
    let other = "{\"user\": \"first@norrvik.example\"}";
    assert_eq!(status(house.webhook("m-2", now(), KEY, other)), 409, "another call under the same id");
    let unknown = house.send(house.webhook("m-3", now(), KEY, "{\"user\": \"nobody@norrvik.example\"}"));
    assert_eq!((unknown.status, unknown.body), (202, taken.body), "whoever is unknown gets the same answer");
    newcomer(&house.bench, &house.http, "third@norrvik.example", "Thea Third");
    let nested = "{\"type\": \"user.signed_in\", \"data\": {\"user\": \"third@norrvik.example\"}}";
    assert_eq!(status(house.webhook("m-4", now(), OLD_KEY, nested)), 202, "with the key before");
    within("the third", || house.in_step("third@norrvik.example").then_some(()));
    // The figures tell what came of it
    for figure in [
        "entrain_door_syncs_total{connection=\"Azure AD\",door=\"webhook\",outcome=\"ready\"} 2",
        "entrain_door_syncs_total{connection=\"Azure AD\",door=\"webhook\",outcome=\"nothing\"} 1",
        "entrain_door_sync_duration_seconds_count{door=\"webhook\"} 3",
        "entrain_requests_refused_total{kind=\"credential\"} 5",
    ] {
        within(figure, || {
            let page = house.page("/metrics", &mut Jar::new()).body;
            page.lines().any(|line| line == figure).then_some(())
        });
    }
}

#[test]
fn w_11_a_flood_at_a_door_costs_no_more_than_its_budget() {
    let house = House::new();
    let before = house.graph_requests();
    let statuses = house.bench.runtime.block_on(async {
        let mut statuses = BTreeMap::new();
        let at = now();
        for hundred in 0..100 {
            let calls = (0..100).map(|n| {
                let who = format!("nobody-{hundred}-{n}@norrvik.example");
                let id = format!("flood-{hundred}-{n}");
                let request = house.webhook(&id, at, KEY, &json!({ "user": who }).to_string());
                tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
            });
            for call in calls.collect::<Vec<_>>() {
                *statuses.entry(call.await.unwrap()).or_insert(0) += 1;
            }
        }
        statuses
    });
    assert_eq!(statuses.get(&202), Some(&10_000), "{statuses:?}");
    // The budget is 300 people a minute, and each costs a look or two
    let cost = house.graph_requests() - before;
    assert!(cost < 3_000, "{cost} requests to Graph for 10,000 calls");
    // Others are served, and runs go on
    assert_eq!(house.page("/health/ready", &mut Jar::new()).status, 200);
    let run = house.bench.entrain(&["sync", "Azure AD", "--wait", "--json"]).expect(0).json();
    assert_eq!(run["status"], "converged", "{run}");
    assert!(house.in_step("new@norrvik.example"));
}

#[test]
fn w_11_a_scheduled_run_in_the_middle_of_a_flood_ends_in_its_usual_number_of_requests() {
    let house = House::on(Bench::demo(), "every = \"1m\"");
    let entrain = |args: &[&str]| house.bench.entrain(args).expect(0).json();
    // The run that brings somebody in, by schedule
    let brought = |mail: &str, known: &[String]| {
        within(mail, || {
            let runs = entrain(&["runs", "list", "--json"]);
            let run = runs.as_array().unwrap().iter().find(|run| {
                let id = run["run_id"].as_str().unwrap();
                run["trigger"] == "schedule"
                    && run["steps"]["create_user"]["done"] == 1
                    && !known.iter().any(|known| known == id)
            })?;
            let run = entrain(&["runs", "show", run["run_id"].as_str().unwrap(), "--json"]);
            (run["status"] != "running").then_some(run)
        })
    };
    let usual = brought("the newcomer", &[]);
    assert_eq!(usual["status"], "converged", "{usual:#}");
    assert!(house.in_step("new@norrvik.example"));

    newcomer(&house.bench, &house.http, "flooded@norrvik.example", "Flo Flooded");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let at = now();
    let flood = |caller: usize| {
        let (begun, most) = (Instant::now(), Duration::from_mins(4));
        for n in (0..).take_while(|_| !stop.load(Ordering::Relaxed) && begun.elapsed() < most) {
            // Every tenth is somebody whom the directory knows
            let who = if n % 10 == 0 { "first".to_owned() } else { format!("nobody-{caller}-{n}") };
            let body = json!({ "user": format!("{who}@norrvik.example") }).to_string();
            let got = house.send(house.webhook(&format!("flood-{caller}-{n}"), at, KEY, &body));
            assert_eq!(got.status, 202, "{}", got.body);
            answered.fetch_add(1, Ordering::Relaxed);
            // More than 10,000 in a minute, all callers together
            std::thread::sleep(Duration::from_millis(30));
        }
    };
    let wait_for = |many: usize| {
        within("answers", || (answered.load(Ordering::Relaxed) >= many).then_some(()));
    };
    let known = [usual["run_id"].as_str().unwrap().to_owned()];
    let flooded = std::thread::scope(|threads| {
        for caller in 0..8 {
            threads.spawn(move || flood(caller));
        }
        wait_for(200);
        let run = brought("the one who came in the flood", &known);
        wait_for(answered.load(Ordering::Relaxed) + 100);
        stop.store(true, Ordering::Relaxed);
        run
    });
    assert_eq!(flooded["status"], "converged", "{flooded:#}");
    assert!(house.in_step("flooded@norrvik.example"));
    for plane in ["directory", "site"] {
        let count = |run: &Value| run["requests"][plane].as_u64().unwrap();
        // The one before may have fetched a token, which this one holds
        let (flooded, usual) = (count(&flooded), count(&usual));
        assert!(flooded <= usual, "{plane}: {flooded} in the flood, {usual} without");
    }
    assert_eq!(flooded["requests"]["throttled"], 0, "{flooded:#}");
    // Of the one who is known there is one sync in ten seconds, and no more
    let seconds = usize::try_from(now() - at).unwrap();
    let runs = entrain(&["runs", "list", "--json"]);
    let by_doors = runs.as_array().unwrap().iter().filter(|run| run["trigger"] == "sign_in").count();
    assert!((1..=seconds / 10 + 2).contains(&by_doors), "{by_doors} in {seconds} s: {runs:#}");
}

#[test]
fn doors_without_a_section_are_not_there_and_mistakes_are_named() {
    let bench = Bench::demo();
    for (section, said) in [
        ("[doors.access]\naccent = \"#ffcc00\"\n", "doors.access.accent"),
        ("[doors.access]\naccent = \"red\"\n", "doors.access.accent"),
        ("[doors.access]\nclient_id = \"abc\"\n", "doors.access.client_secret"),
        ("[doors.access]\ncontact = \"javascript:alert(1)\"\n", "doors.access.contact"),
        ("[doors.access]\ndestination = \"http://evil.example\"\n", "doors.access.destination"),
        ("[doors.webhook]\nsecret = \"short\"\n", "doors.webhook.secret"),
        ("[doors.token_issuance]\n", "doors.token_issuance.client_id"),
        ("[doors.token_issuance]\nclient_id = \"a b\"\n", "doors.token_issuance.client_id"),
        ("[doors.back]\n", "doors.back"),
    ] {
        let path = bench.file("wrong.toml", &format!("{}\n{section}", bench.document("\"Jira *\"")));
        let refused = bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(2);
        assert!(refused.err().contains(said), "{section}: {}", refused.err());
    }
    let text = format!("{}\n[doors.webhook]\nsecret = \"{KEY}\"\n", bench.document("\"Jira *\""));
    let path = bench.file("good.toml", &text);
    bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    let shown = bench.entrain(&["connection", "export", "Azure AD"]).expect(0).out();
    assert!(!shown.contains(KEY) && shown.contains("secret = \"sealed\""), "{shown}");
}
