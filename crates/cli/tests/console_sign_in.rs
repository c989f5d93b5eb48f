//! Sign-in to the console through Entra ID, end to end: the real binary against the emulator, attack by attack.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use support::{Bench, command};

const ADMINS: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const VIEWERS: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const ANA: &str = "ana@norrvik.example";
const VIC: &str = "vic@norrvik.example";
const OTTO: &str = "otto@norrvik.example";

/// A browser's cookies.
type Jar = BTreeMap<String, String>;

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    #[track_caller]
    fn location(&self) -> String {
        assert!([302, 303].contains(&self.status), "{}: {}", self.status, self.body);
        self.headers[LOCATION].to_str().unwrap().to_owned()
    }
}

/// A company with groups that give roles, and a service whose console takes its people.
struct Console {
    bench: Bench,
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn user(name: &str) -> Value {
    json!({ "change": "create_user", "user": { "userPrincipalName": name, "displayName": name, "mail": name } })
}

fn member(change: &str, group: &str, who: &str) -> Value {
    json!({ "change": change, "group": group, "member": { "type": "user", "id": who } })
}

impl Console {
    fn new() -> Self {
        let bench = Bench::demo();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut create = command(
            bench.folder.path(),
            &["admin", "account", "create", "Root", "--role", "administrator", "--own"],
        )
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
        create.stdin.take().unwrap().write_all(b"several words in a row\n").unwrap();
        assert!(create.wait().unwrap().success());
        let secret = bench.file("client-secret", &format!("{}\n", bench.company().client_secret));
        let (tenant, client) = (bench.company().tenant_id.clone(), bench.company().client_id.clone());
        let mut child = command(
            bench.folder.path(),
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--json",
                "--sign-in-tenant-id",
                &tenant,
                "--sign-in-client-id",
                &client,
            ],
        )
        .env("ENTRAIN_SIGN_IN_CLIENT_SECRET_FILE", secret)
        .env("ENTRAIN_SIGN_IN_ROLES", format!("administrator={ADMINS}, viewer={VIEWERS}"))
        .env("ENTRAIN_SIGN_IN_AUTHORITY_URL", &bench.company().authority_url)
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        let console = Self { bench, child, url, http };
        console.change(&json!([
            { "change": "set_sign_in", "group_claims": true,
              "redirect_uris": ["http://127.0.0.1/sign-in/microsoft/callback"] },
            { "change": "create_group", "group": { "id": ADMINS, "displayName": "Entrain administrators" } },
            { "change": "create_group", "group": { "id": VIEWERS, "displayName": "Entrain viewers" } },
            user(ANA), user(VIC), user(OTTO),
            member("add_member", ADMINS, ANA), member("add_member", VIEWERS, ANA), member("add_member", VIEWERS, VIC),
        ]));
        console
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Got {
        self.bench.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Got { status, headers, body: answer.text().await.unwrap() }
        })
    }

    fn change(&self, changes: &Value) {
        let url = format!("{}/world/changes", self.bench.company().control_url);
        let got = self.send(self.http.post(url).json(changes));
        assert!((200..300).contains(&got.status), "{}", got.body);
    }

    fn attack(&self, attack: &Value) {
        let url = format!("{}/settings", self.bench.company().control_url);
        let got = self.send(self.http.put(url).json(&json!({ "sign_in": { "attack": attack } })));
        assert!((200..300).contains(&got.status), "{}", got.body);
    }

    fn page(&self, address: &str, jar: &mut Jar) -> Got {
        let address =
            if address.starts_with('/') { format!("{}{address}", self.url) } else { address.to_owned() };
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let got = self.send(self.http.get(address).header(COOKIE, cookies.join("; ")));
        for cookie in got.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(text.contains(attribute), "{text}");
            }
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.into(), value.into());
            }
        }
        got
    }

    /// Begins a sign-in; gives back where the browser is sent after somebody was picked on Microsoft's page.
    fn picked(&self, start: &str, user: &str, jar: &mut Jar) -> String {
        let page = url::Url::parse(&self.page(start, jar).location()).unwrap();
        let mut form: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        for name in ["state", "nonce", "code_challenge"] {
            assert!(form.iter().any(|(known, value)| known == name && value.len() > 20), "{page}");
        }
        assert!(form.contains(&("code_challenge_method".into(), "S256".into())), "{page}");
        form.push(("user".into(), user.into()));
        self.send(self.http.post(page[..url::Position::AfterPath].to_owned()).form(&form)).location()
    }

    fn sign_in(&self, user: &str, jar: &mut Jar) -> Got {
        let back = self.picked("/sign-in/microsoft", user, jar);
        self.page(&back, jar)
    }

    /// What stands in the audit log, the newest first: actor, action, detail.
    fn audit(&self) -> Vec<(String, String, String)> {
        let listed = self.bench.entrain(&["audit", "list", "--json"]).expect(0).json();
        let entries =
            listed.as_array().cloned().unwrap_or_else(|| listed["entries"].as_array().unwrap().clone());
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        entries.iter().map(|e| (text(e, "actor"), text(e, "action"), text(e, "detail"))).collect()
    }

    #[track_caller]
    fn role(&self, name: &str) -> String {
        let list = self.bench.entrain(&["admin", "account", "list", "--json"]).expect(0).json();
        let found = list.as_array().unwrap().iter().find(|account| account["name"] == name).cloned();
        found.unwrap_or_else(|| panic!("no account {name}: {list}"))["role"].as_str().unwrap().to_owned()
    }
}

#[test]
fn people_of_mapped_groups_sign_in_and_their_role_is_looked_at_each_time() {
    let console = Console::new();
    let page = console.page("/sign-in?next=%2Faccount", &mut Jar::new());
    assert!(page.body.contains("Sign in with Microsoft"), "{}", page.body);
    assert!(page.body.contains("name=\"password\""), "beside the local form: {}", page.body);
    assert!(page.body.contains("/sign-in/microsoft?next=%2Faccount"), "{}", page.body);

    // The highest of the roles that the groups give
    let mut jar = Jar::new();
    let back = console.picked("/sign-in/microsoft?next=%2Faccount", ANA, &mut jar);
    assert_eq!(console.page(&back, &mut jar).location(), "/account");
    let account = console.page("/account", &mut jar);
    assert!(account.body.contains("Administrator of this console"), "{}", account.body);
    assert!(account.body.contains("You sign in with Microsoft"), "{}", account.body);
    assert!(!account.body.contains("name=\"old\""), "no password to change: {}", account.body);
    assert!(!jar.contains_key("entrain-microsoft"), "what was kept for the sign-in is gone");

    // Another role at the next sign-in, and none at the one after it
    console.change(&json!([member("remove_member", ADMINS, ANA)]));
    assert_eq!(console.sign_in(ANA, &mut Jar::new()).location(), "/");
    assert_eq!(console.role(ANA), "viewer");
    console.change(&json!([member("remove_member", VIEWERS, ANA)]));
    let refused = console.sign_in(ANA, &mut Jar::new());
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("None of your groups gives a role in this console"), "{}", refused.body);
    let over = console.page("/account", &mut jar);
    assert!(over.location().starts_with("/sign-in?next="), "who is turned away is signed out everywhere");

    let told = console.audit();
    for (actor, action, detail) in [
        ("sign-in with Microsoft", "account_created", "role administrator"),
        ("sign-in with Microsoft", "account_role", "role viewer"),
        (ANA, "signed_in", "127.0.0.1"),
        (ANA, "sign_in_refused", "in no group that gives a role"),
    ] {
        let wanted = (actor.to_owned(), action.to_owned(), detail.to_owned());
        assert!(told.contains(&wanted), "{wanted:?}: {told:?}");
    }
    console.bench.entrain(&["audit", "verify"]).expect(0);
}

#[test]
fn whoever_has_no_role_is_told_so_kindly_and_gets_no_account() {
    let console = Console::new();
    let mut jar = Jar::new();
    let refused = console.sign_in(OTTO, &mut jar);
    assert_eq!(refused.status, 403);
    for words in ["Your account has no access here", OTTO, "Ask whoever looks after Entra ID"] {
        assert!(refused.body.contains(words), "{words}: {}", refused.body);
    }
    assert!(!jar.contains_key("entrain") && !jar.contains_key("entrain-microsoft"), "{jar:?}");
    let list = console.bench.entrain(&["admin", "account", "list", "--json"]).expect(0).json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");

    // More groups than a token names
    let mut many: Vec<Value> = Vec::new();
    for n in 0..210 {
        let id = format!("bbbbbbbb-0000-4000-8000-{n:012}");
        many.push(
            json!({ "change": "create_group", "group": { "id": id, "displayName": format!("Many {n}") } }),
        );
        many.push(member("add_member", &id, VIC));
    }
    console.change(&json!(many));
    let refused = console.sign_in(VIC, &mut Jar::new());
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("so many groups that Microsoft does not name them"), "{}", refused.body);

    // Whoever was disabled by an administrator stays so, whatever their groups say
    console.sign_in(ANA, &mut Jar::new()).location();
    console.bench.entrain(&["admin", "account", "disable", ANA]).expect(0);
    let refused = console.sign_in(ANA, &mut Jar::new());
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("Your account of this console is disabled"), "{}", refused.body);
}

#[test]
fn w_02_attacks_at_the_sign_in_to_the_console_are_refused() {
    let console = Console::new();
    let refused = |what: &str, address: &str, jar: &Jar| {
        let mut jar = jar.clone();
        let got = console.page(address, &mut jar);
        assert_eq!(got.status, 400, "{what}: {}", got.body);
        assert!(got.body.contains("The sign-in did not work"), "{what}: {}", got.body);
        assert!(!jar.contains_key("entrain"), "{what}: there is a session");
    };
    let mut jar = Jar::new();
    let back = console.picked("/sign-in/microsoft", ANA, &mut jar);
    refused("without the browser's cookie", &back, &Jar::new());
    let mut another = Jar::new();
    console.page("/sign-in/microsoft", &mut another).location();
    refused("state mix-up: in another browser, which began a sign-in of its own", &back, &another);
    refused("with another state", &back.replace("state=", "state=x"), &jar);
    refused("without a state", back.split("&state=").next().unwrap(), &jar);
    refused("broken off", &format!("{}&error=access_denied", back.replace("code=", "trace_id=")), &jar);
    let mut changed = jar.clone();
    let value = changed["entrain-microsoft"].clone();
    let first = if value.starts_with('A') { 'B' } else { 'A' };
    changed.insert("entrain-microsoft".into(), format!("{first}{}", &value[1..]));
    refused("with a changed cookie", &back, &changed);
    let unknown = console.page(&format!("{back}&redirect_uri=https%3A%2F%2Fevil.example"), &mut jar.clone());
    assert!((400..500).contains(&unknown.status), "{}", unknown.body);

    // Session fixation: what somebody planted before is worth nothing afterwards
    let planted = "a".repeat(64);
    let kept = jar.clone();
    jar.insert("entrain".into(), planted.clone());
    assert_eq!(console.page(&back, &mut jar).location(), "/");
    assert_ne!(jar["entrain"], planted);
    assert_eq!(console.page("/account", &mut jar).status, 200);
    let fixed = console.page("/account", &mut [("entrain".to_owned(), planted)].into());
    assert!(fixed.location().starts_with("/sign-in?next="));
    refused("replayed, cookie and all", &back, &kept);

    // Nobody is sent to another host
    for evil in ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let mut jar = Jar::new();
        let back = console.picked(&format!("/sign-in/microsoft?next={evil}"), ANA, &mut jar);
        assert_eq!(console.page(&back, &mut jar).location(), "/", "{evil}");
    }

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
        console.attack(&json!(attack));
        let mut jar = Jar::new();
        let back = console.picked("/sign-in/microsoft", ANA, &mut jar);
        refused(attack, &back, &jar);
    }
    console.attack(&Value::Null);

    // Whoever is called like the local administrator does not become them
    console.change(&json!([
        { "change": "create_user", "user": { "userPrincipalName": "root", "displayName": "Root", "mail": "root@norrvik.example" } },
        member("add_member", VIEWERS, "root"),
    ]));
    console.sign_in("root", &mut Jar::new()).location();
    assert_eq!(console.role("Root"), "administrator");
    let list = console.bench.entrain(&["admin", "account", "list", "--json"]).expect(0).json();
    let own = list
        .as_array()
        .unwrap()
        .iter()
        .find(|account| account["name"].as_str().unwrap().starts_with("root ("));
    assert_eq!(own.unwrap()["role"], "viewer", "{list}");
}

#[test]
fn w_02_a_secret_is_rotated_without_a_restart_and_its_absence_is_told() {
    let console = Console::new();
    let right = console.bench.company().client_secret.clone();
    let file = console.bench.file("client-secret", "of yesterday");
    let got = console.sign_in(ANA, &mut Jar::new());
    assert_eq!(got.status, 502, "{}", got.body);
    assert!(got.body.contains("or sign in with a password"), "{}", got.body);
    assert!(!got.body.contains("of yesterday"));
    std::fs::write(file, right).unwrap();
    assert_eq!(console.sign_in(ANA, &mut Jar::new()).location(), "/");
}

#[test]
fn half_a_set_of_settings_is_refused_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |args: &[&str]| {
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        support::entrain_in(folder.path(), &args, &[])
    };
    let half = serve(&["--sign-in-tenant-id", "t", "--sign-in-client-id", "c"]).expect(2).err();
    assert!(half.contains("lacks --sign-in-client-secret-file, --sign-in-role"), "{half}");
    let role = serve(&["--sign-in-role", "owner=x"]).expect(2).err();
    assert!(role.contains("“owner=x” is not a role and the object id of a group"), "{role}");
}
