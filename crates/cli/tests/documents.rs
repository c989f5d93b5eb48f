//! Documents through the real binary: refused with key, line and remedy, exit code 2, and nothing stored is harmed.

mod support;

use serde_json::json;
use support::served::{Caller, Served};
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

#[test]
fn a_document_is_tried_over_the_api_before_it_is_stored_and_an_expression_on_a_person() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    bench.entrain(&["sync"]);
    let served = Served::start(&bench);
    let caller = Caller::new(&bench, &served, Some("administrator"));
    let stored = caller.get("/api/v1/connections/azure-ad").1;
    let put = |document: &str| {
        let (status, told) = caller.send(
            "PUT",
            "/api/v1/connections/azure-ad?dry_run",
            Some(json!({ "document": document })),
            None,
        );
        assert_eq!((status, &told["result"]), (200, &json!("not stored")), "{told}");
        told
    };
    // The same tells no difference, less tells which, and what is wrong is told with its place
    let good = bench.document("\"Jira *\"");
    let same = put(&good);
    assert_eq!(
        (&same["problems"], &same["new_steps"], &same["gone_steps"]),
        (&json!([]), &json!([]), &json!([])),
        "{same}"
    );
    let less = put(&format!("{good}filter = 'user.displayName != \"Jonas Weber\"'\n"));
    let steps = less["what_if"]["steps"].as_array().unwrap();
    assert!(
        !steps.is_empty()
            && steps.iter().all(|step| less["new_steps"].as_array().unwrap().contains(&step["id"])),
        "{less}"
    );
    let wrong = put(&good.replace("admin_email", "admin_mail"));
    assert_eq!(wrong["problems"][0]["key"], "site.admin_mail", "{wrong}");
    assert!(wrong["problems"][0]["line"].as_u64().unwrap() > 8, "{wrong}");
    assert!(wrong.get("what_if").is_none(), "{wrong}");
    // A connection that there is not yet is only parsed
    let new = good.replace("Azure AD", "Second");
    let body = Some(json!({ "document": new }));
    let (status, told) = caller.send("PUT", "/api/v1/connections/second?dry_run=true", body, None);
    assert_eq!((status, &told["problems"]), (200, &json!([])), "{told}");
    assert_eq!(caller.get("/api/v1/connections/second").0, 404, "nothing is stored");
    assert_eq!(caller.get("/api/v1/connections/azure-ad").1["version"], stored["version"]);

    let person = caller.get("/api/v1/connections/azure-ad/users?limit=1").1["found"][0].clone();
    let who = person["directory_id"].as_str().unwrap_or_else(|| panic!("{person}"));
    let expression = |text: &str, who: &str| {
        let body = json!({ "expression": text, "user": who });
        caller.send("POST", "/api/v1/connections/azure-ad/try-expression", Some(body), None)
    };
    let (status, told) = expression("\"Name: \" + user.displayName", who);
    let name = told["user"]["name"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
    assert_eq!((status, &told["value"]), (200, &json!(format!("Name: {name}"))), "{told}");
    let (_, told) = expression("user.displayName + user.dept", who);
    assert_eq!((&told["value"], &told["problem"]["line"]), (&json!(null), &json!(1)), "{told}");
    assert!(told["problem"]["character"].as_u64().unwrap() > 18, "{told}");
    let (_, told) = expression("user.officeLocation", who);
    assert!(told["notes"][0].as_str().unwrap().contains("officeLocation"), "{told}");
    let (_, told) = expression("\"a\" in groups ? \"x\" : \"y\"", who);
    assert!(told["problem"]["problem"].as_str().unwrap().contains("groups"), "{told}");
    assert_eq!(expression("user.displayName", "nobody@acme.example").0, 404);
}

#[test]
fn versions_of_a_document_are_listed_and_exported_by_number_also_of_a_removed_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connection.toml");
    let entrain = |args: &[&str]| entrain_in(folder.path(), args, &[]);
    let file = path.to_str().unwrap().to_owned();
    std::fs::write(&path, GOOD).unwrap();
    entrain(&["connection", "add", &file]).expect(0);
    std::fs::write(&path, GOOD.replace("Jira *", "Jira Users")).unwrap();
    for wrong in ["two\nlines", &"w".repeat(201), "\u{1b}[2J"] {
        let refused = entrain(&["connection", "set", &file, "--why", wrong]).expect(2);
        assert!(refused.err().contains("the note is"), "{}", refused.err());
    }
    entrain(&["connection", "set", &file, "--why", "Users alone, =1+1"]).expect(0);
    entrain(&["connection", "remove", "Azure AD"]).expect(0);

    let told = entrain(&["connection", "versions", "Azure AD", "--json"]).expect(0).json();
    let versions = told["versions"].as_array().unwrap();
    let numbers: Vec<_> =
        versions.iter().map(|one| (one["version"].clone(), one["removed"].clone())).collect();
    assert_eq!(
        numbers,
        [(json!(3), json!(true)), (json!(2), json!(false)), (json!(1), json!(false))],
        "{told}"
    );
    let whys: Vec<_> = versions.iter().map(|one| one["why"].clone()).collect();
    assert_eq!(whys, [json!(null), json!("Users alone, =1+1"), json!(null)]);
    let audit = entrain(&["audit", "list", "--json"]).expect(0).json();
    let set = audit.as_array().unwrap().iter().find(|entry| entry["action"] == "connection_set").unwrap();
    assert_eq!(set["detail"], "version 2: Users alone, =1+1");
    let page = entrain(&["connection", "versions", "Azure AD"]).expect(0).out();
    assert!(page.contains("Users alone, =1+1"), "{page}");
    assert!(page.contains("removed") && page.contains("stored"), "{page}");
    let first = entrain(&["connection", "export", "Azure AD", "--number", "1"]).expect(0).out();
    assert!(first.contains("Jira *") && !first.contains("plain-secret"), "{first}");
    let second = entrain(&["connection", "export", "Azure AD", "--number", "2"]).expect(0).out();
    assert!(second.contains("Jira Users"), "{second}");
    for number in ["3", "4"] {
        let refused = entrain(&["connection", "export", "Azure AD", "--number", number, "--json"]);
        assert_ne!(refused.output.status.code(), Some(0));
        assert!(refused.err().contains("object_unknown") || refused.out().contains("object_unknown"));
    }
    let refused = entrain(&["connection", "versions", "Nothing", "--json"]);
    assert!(refused.err().contains("connection_unknown") || refused.out().contains("connection_unknown"));
}
