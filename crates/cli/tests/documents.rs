//! Documents through the real binary: refused with key, line and remedy, exit code 2, and nothing stored is harmed.

mod support;

use support::{Bench, entrain_in};

const GOOD: &str = r#"name = "Azure AD"

[directory]
tenant_id = "5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10"
client_id = "0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31"
client_secret = "plain-secret-one"

[site]
url = "https://acme.atlassian.net"
admin_email = "sync-bot@acme.example"
api_token = "plain-secret-two"   # the bot's

[scope]
groups = ["Jira *"]
"#;

/// (line of the good document, what stands there instead, key, line, word of the remedy)
const BAD: &[(&str, &str, &str, usize, &str)] = &[
    ("admin_email =", "admin_mail =", "site.admin_mail", 10, "site.admin_email"),
    ("tenant_id = \"5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10\"\n", "", "directory.tenant_id", 3, "tenant_id"),
    ("groups = [\"Jira *\"]", "groups = \"Jira *\"", "scope.groups", 14, "list"),
    ("\"plain-secret-two\"", "\"env:ENTRAIN_TEST_NOT_SET\"", "site.api_token", 11, "ENTRAIN_TEST_NOT_SET"),
    ("https://acme.atlassian.net", "not an address", "site.url", 9, "https://"),
    ("https://acme.atlassian.net", "http://acme.atlassian.net", "site.url", 9, "https://"),
    (
        "groups = [\"Jira *\"]",
        "groups = [\"Jira *\"]\nusers = \"assigned\"",
        "scope.assigned_to",
        13,
        "client",
    ),
    (
        "groups = [\"Jira *\"]",
        "groups = [\"Jira *\"]\nfilter = 'user.dept == \"x\"'",
        "scope.filter",
        15,
        "department",
    ),
    ("\"plain-secret-two\"", "\"sealed\"", "site.api_token", 11, "env:NAME"),
];

#[test]
fn bad_documents_are_refused_with_key_line_and_remedy_and_harm_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("good.toml"), GOOD).unwrap();
    entrain_in(folder.path(), &["connection", "add", &at("good.toml")], &[]).expect(0);
    let before = entrain_in(folder.path(), &["connection", "export", "Azure AD"], &[]).expect(0).out();

    for (good, bad, key, line, remedy) in BAD {
        assert!(GOOD.contains(good), "{good}");
        let text = GOOD.replacen(good, bad, 1);
        std::fs::write(at("bad.toml"), &text).unwrap();
        // What "set" keeps, "add" has not got
        let verb = if *bad == "\"sealed\"" { "add" } else { "set" };
        let said = entrain_in(folder.path(), &["connection", verb, &at("bad.toml")], &[]).expect(2);
        assert!(said.out().is_empty(), "{}", said.out());
        assert!(said.err().contains(&format!("line {line}: {key} ")), "{bad}: {}", said.err());
        assert!(said.err().contains(remedy), "{bad}: {}", said.err());
        assert!(!said.err().contains("plain-secret"), "{}", said.err());

        let json =
            entrain_in(folder.path(), &["--json", "connection", verb, &at("bad.toml")], &[]).expect(2).json();
        assert!(
            ["document_invalid", "secret_unavailable"].contains(&json["error"]["code"].as_str().unwrap()),
            "{json}"
        );
        assert_eq!(json["error"]["object"], *key, "{json}");
        assert!(json["error"]["remedy"].as_str().unwrap().contains(remedy), "{json}");

        for command in ["check", "plan", "sync"] {
            if *bad != "\"sealed\"" {
                entrain_in(folder.path(), &[command, "--connection-file", &at("bad.toml")], &[]).expect(2);
            }
        }
        let after = entrain_in(folder.path(), &["connection", "export", "Azure AD"], &[]).expect(0).out();
        assert_eq!(after, before, "{bad}: what is stored is as it was");
    }
}

#[test]
fn export_keeps_references_and_comments_and_seals_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("good.toml"), GOOD.replace("plain-secret-one", "env:HERE")).unwrap();
    entrain_in(folder.path(), &["connection", "add", &at("good.toml")], &[("HERE", "x")]).expect(0);
    let exported = entrain_in(folder.path(), &["connection", "export", "Azure AD"], &[]).expect(0).out();
    assert!(exported.contains("client_secret = \"env:HERE\""), "{exported}");
    assert!(exported.contains("api_token = \"sealed\"   # the bot's"), "{exported}");

    // Set with "sealed" keeps what is stored; the list counts the version
    std::fs::write(at("again.toml"), exported.replace("Jira *", "Jira Support")).unwrap();
    entrain_in(folder.path(), &["connection", "set", &at("again.toml")], &[("HERE", "x")]).expect(0);
    let list = entrain_in(folder.path(), &["connection", "list", "--json"], &[]).expect(0).json();
    assert_eq!(list[0]["name"], "Azure AD");
    assert_eq!(list[0]["site"], "https://acme.atlassian.net");
    assert_eq!(list[0]["mode"], "preview", "until a person switches it");
    assert_eq!(list[0]["version"], 2);

    entrain_in(folder.path(), &["connection", "remove", "Azure AD"], &[]).expect(0);
    entrain_in(folder.path(), &["connection", "export", "Azure AD"], &[]).expect(1);
}

#[test]
fn the_printed_schema_accepts_what_the_program_accepts() {
    let bench = Bench::demo();
    let schema = bench.entrain(&["connection", "schema"]).expect(0).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = |text: &str| serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap();
    assert!(validator.is_valid(&value(GOOD)));
    assert!(validator.is_valid(&value(&bench.document("\"Jira *\""))));
    for (good, bad, ..) in &BAD[..3] {
        assert!(!validator.is_valid(&value(&GOOD.replacen(good, bad, 1))), "{bad}");
    }
}
