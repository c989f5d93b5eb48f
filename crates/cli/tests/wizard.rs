//! The first connection, set up over the console of the real binary: what the forms say becomes the document that
//! `entrain connection add` would have stored, and no secret comes back to a page.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};
use support::{Bench, command};

const PASSWORD: &str = "several words in a row";

/// The service with an administrator who is signed in.
struct Desk {
    bench: Bench,
    child: Child,
    url: String,
    http: reqwest::Client,
    cookies: Vec<(String, String)>,
    /// Every page that was seen.
    seen: String,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(bench: &Bench) -> (Child, String) {
    let mut child = command(bench.folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    (child, ready["url"].as_str().unwrap().to_owned())
}

fn found(pattern: &str, text: &str) -> String {
    let found = Regex::new(pattern).unwrap().captures(text);
    found.unwrap_or_else(|| panic!("no {pattern} in {text}"))[1].to_owned()
}

impl Desk {
    fn new() -> Self {
        let bench = Bench::demo();
        let args = ["admin", "account", "create", "Marta", "--role", "administrator", "--own"];
        let mut made = command(bench.folder.path(), &args).stdin(Stdio::piped()).spawn().unwrap();
        made.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        assert!(made.wait().unwrap().success());
        let (child, url) = serve(&bench);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut desk = Self { bench, child, url, http, cookies: Vec::new(), seen: String::new() };
        desk.get("/sign-in");
        desk.post("/sign-in", "/sign-in", &[("name", "Marta"), ("password", PASSWORD)]);
        desk
    }

    fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, String, String) {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header(COOKIE, cookies.join("; ")).header("sec-fetch-site", "same-origin");
        let (status, headers, body) = self.bench.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            (status, headers, answer.text().await.unwrap())
        });
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = text.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.into(), value.into()));
        }
        let to = headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
        self.seen.push_str(&body);
        (status, to, body)
    }

    /// A page, and whither it leads on.
    fn get(&mut self, path: &str) -> (u16, String, String) {
        let request = self.http.get(format!("{}{path}", self.url));
        self.send(request)
    }

    /// Sends a form from its page.
    fn post(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let (_, _, body) = self.get(page);
        let token = found("name=\"csrf\" value=\"([^\"]+)\"", &body);
        let form: Vec<(&str, &str)> =
            std::iter::once(("csrf", token.as_str())).chain(fields.iter().copied()).collect();
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(format!("{}{path}", self.url));
        self.send(request.header("content-type", "application/x-www-form-urlencoded").body(form))
    }

    fn begin(&mut self) -> String {
        let (_, to, _) = self.post("/setup", "/setup", &[]);
        to.strip_suffix("/directory").unwrap().to_owned()
    }

    fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.url) = serve(&self.bench);
    }
}

#[test]
fn s_01_the_wizard_stores_the_document_and_no_secret_comes_back() {
    let mut desk = Desk::new();
    let company = desk.bench.company().clone();
    assert_eq!(desk.get("/").1, "/setup", "an empty service leads there");
    let base = desk.begin();
    let step = |name: &str| format!("{base}/{name}");
    let directory = step("directory");
    let mut fields = vec![
        ("name", "Azure AD"),
        ("tenant_id", company.tenant_id.as_str()),
        ("client_id", &company.client_id),
        ("client_secret", "wrong-canary-secret"),
        ("authority_url", &company.authority_url),
        ("graph_url", &company.graph_url),
        ("do", "go"),
    ];
    // What the parser of documents refuses is told beside its field, and nothing that was typed is lost
    let mut wrong = fields.clone();
    wrong[1].1 = "not a tenant!";
    let (status, _, page) = desk.post(&directory, &directory, &wrong);
    assert_eq!(status, 422);
    assert!(
        found("id=\"tenant_id-e\">(?s:.)*?</svg>([^<]+)<", &page).contains("neither a tenant id"),
        "{page}"
    );
    assert!(page.contains("value=\"not a tenant!\""));
    // The cloud's refusal likewise
    let (status, to, _) = desk.post(&directory, &directory, &fields);
    assert_eq!((status, &*to), (303, &*directory));
    assert!(desk.get(&directory).2.contains("id=\"client_secret-e\""));
    // Nothing is gone after a kill
    desk.restart();
    let page = desk.get(&directory).2;
    assert!(page.contains(&company.tenant_id) && page.contains("Stored and sealed"), "{page}");
    fields[3].1 = &company.client_secret;
    assert_eq!(desk.post(&directory, &directory, &fields).1, step("site"));
    assert_eq!(desk.get(&step("preview")).1, step("site"), "no step is skipped");

    let site = step("site");
    let (status, _, page) = desk.post(&site, &site, &[("url", ""), ("do", "go")]);
    assert_eq!((status, page.matches("aria-invalid").count()), (422, 3), "{page}");
    let fields = [
        ("url", company.site_url.as_str()),
        ("admin_email", &company.admin_email),
        ("api_token", &company.api_token),
        ("organization_id", &company.organization_id),
        ("organization_key", &company.api_key),
        ("organization_url", &company.organization_url),
        ("do", "go"),
    ];
    assert_eq!(desk.post(&site, &site, &fields).1, step("scope"));
    let page = desk.get(&site).2;
    assert!(page.contains("Administer Jira") && page.contains("Products and seats"), "{page}");

    // A group is picked by its id from the real directory
    let scope = step("scope");
    let (_, _, page) = desk.get(&format!("{scope}?find=jira+engineering"));
    let group = found("name=\"pick\" value=\"([^\"]+)\"", &page);
    let fields = [
        ("import_users", "yes"),
        ("sync_memberships", "yes"),
        ("users", "in_groups"),
        ("guests", "yes"),
        ("patterns", "Jira Support\r\n"),
        ("shown", group.as_str()),
        ("pick", &group),
        ("do", "show"),
    ];
    desk.post(&scope, &scope, &fields);
    let page = desk.get(&scope).2;
    assert!(found("<h1[^>]*>([^<]+)<", &page).contains("would take part"), "{page}");
    let mut fields = fields;
    fields[7].1 = "go";
    let preview = step("preview");
    assert_eq!(desk.post(&scope, &scope, &fields).1, preview);

    assert_eq!(desk.post(&preview, &preview, &[]).1, preview);
    assert!(found("<h1>([^<]+)<", &desk.get(&preview).2).starts_with("The first sync would take"));
    let listed = desk.bench.entrain(&["connection", "list", "--json"]).expect(0).json();
    assert_eq!(listed, json!([]), "nothing is stored before somebody starts the first sync");
    let sync = step("sync");
    assert_eq!(desk.post(&sync, &sync, &[]).1, sync);
    let until = Instant::now() + Duration::from_mins(1);
    while !desk.get(&sync).2.contains("The first sync has ended") {
        assert!(Instant::now() < until, "{}", desk.get(&sync).2);
        std::thread::sleep(Duration::from_millis(200));
    }
    let schedule = step("schedule");
    let (_, to, _) = desk.post(&schedule, &schedule, &[("every", "4h"), ("mode", "apply"), ("do", "go")]);
    assert_eq!(to, "/connections/azure-ad?said=connected");
    assert_eq!(desk.get(&directory).0, 404, "the draft has done its work");

    let listed = desk.bench.entrain(&["connection", "list", "--json"]).expect(0).json();
    assert_eq!(listed[0]["mode"], "apply");
    let document = desk.bench.entrain(&["connection", "export", "Azure AD"]).expect(0).out();
    for line in [
        "client_secret = \"sealed\"",
        "api_key = \"sealed\"",
        "import_groups = false",
        "every = \"4h\"",
        "\"Jira Support\"",
        &format!("\"{group}\", # Jira Engineering"),
    ] {
        assert!(document.contains(line), "{line}: {document}");
    }
    desk.bench.entrain(&["check", "Azure AD"]).expect(0);
    for secret in ["wrong-canary-secret", &company.client_secret, &company.api_token, &company.api_key] {
        assert!(!desk.seen.contains(secret), "a page holds a secret");
        for file in std::fs::read_dir(desk.bench.folder.path().join("data")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "a file holds a secret"
            );
        }
    }
}

#[test]
fn a_missing_permission_is_named_with_the_place_where_it_is_granted() {
    let mut desk = Desk::new();
    let company = desk.bench.company().clone();
    let roles = json!([{ "change": "set_roles", "roles": ["User.Read.All"] }]);
    let change = desk.http.post(format!("{}/world/changes", company.control_url)).body(roles.to_string());
    assert_eq!(desk.bench.runtime.block_on(change.send()).unwrap().status(), 200);
    let base = desk.begin();
    let directory = format!("{base}/directory");
    let fields = [
        ("name", "Azure AD"),
        ("tenant_id", company.tenant_id.as_str()),
        ("client_id", &company.client_id),
        ("client_secret", &company.client_secret),
        ("authority_url", &company.authority_url),
        ("graph_url", &company.graph_url),
        ("do", "test"),
    ];
    desk.post(&directory, &directory, &fields);
    let page = desk.get(&directory).2;
    for text in
        ["A permission is missing", "<b>GroupMember.Read.All</b>", "API permissions", &company.client_id]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    desk.post("/setup", &format!("{base}/remove"), &[]);
    assert_eq!(desk.get(&directory).0, 404);
}

#[test]
fn a_certificate_and_its_key_are_pasted_as_text() {
    let mut desk = Desk::new();
    let company = desk.bench.company().clone();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let made = rcgen::CertificateParams::new(vec!["entrain".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (certificate, key) = (made.pem(), key.serialize_pem());
    {
        let mut world = desk.bench.emulator.state().world_mut();
        let application = world.tenant.applications.get_mut(&company.client_id).unwrap();
        application.certificates.push(certificate.clone());
    }
    let directory = format!("{}/directory", desk.begin());
    let mut fields = [
        ("name", "Azure AD"),
        ("tenant_id", company.tenant_id.as_str()),
        ("client_id", &company.client_id),
        ("proof", "certificate"),
        ("certificate", "no certificate"),
        ("private_key", &key),
        ("authority_url", &company.authority_url),
        ("graph_url", &company.graph_url),
        ("do", "test"),
    ];
    let (status, _, page) = desk.post(&directory, &directory, &fields);
    assert_eq!(status, 422);
    assert!(found("id=\"certificate-e\">(?s:.)*?</svg>([^<]+)<", &page).contains("PEM"), "{page}");
    fields[4].1 = &certificate;
    desk.post(&directory, &directory, &fields);
    let page = desk.get(&directory).2;
    assert!(page.contains("Sign-in works"), "{page}");
    let line = key.lines().nth(3).unwrap();
    assert!(!desk.seen.contains(line), "the key comes back to a page");
}
