//! The organization plane through the real binary: hidden addresses matched exactly, a group renamed, attributes
//! written, and a further run that writes nothing.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be built is a failed test")]

mod support;

use std::collections::BTreeMap;

use entrain_emulator::control::WorldChange;
use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::{Options, Surface, WorldSource};
use serde_json::{Value, json};
use support::Bench;

const WORLD: &str = r#"
[tenant]
domain = "acme.example"

[[tenant.users]]
userPrincipalName = "dana@acme.example"
displayName = "Dana Okafor"
mail = "dana@acme.example"
jobTitle = "Baker"
department = "R&D"

[[tenant.users]]
userPrincipalName = "li@acme.example"
displayName = "Li Wei"
mail = "li@acme.example"

[[tenant.users]]
userPrincipalName = "ben@acme.example"
displayName = "Ben Cole"
mail = "ben@acme.example"

[[tenant.users]]
userPrincipalName = "guest@partner.example"
displayName = "Gale Guest"
userType = "Guest"
mail = "gale@partner.example"

[[tenant.groups]]
displayName = "Jira Team"
members = [
  { type = "user", id = "dana@acme.example" }, { type = "user", id = "li@acme.example" },
  { type = "user", id = "ben@acme.example" }, { type = "user", id = "guest@partner.example" },
]

[[atlassian.accounts]]
account_id = "712020:dana"
display_name = "Somebody Else"
email = "Dana@acme.example"
email_visible = false
managed = true

[[atlassian.accounts]]
account_id = "557058:li/wei"
display_name = "L. W."
email = "li@acme.example"
email_visible = false
managed = true

[[atlassian.accounts]]
account_id = "712020:gale"
display_name = "Gale"
email = "gale@partner.example"
email_visible = false

[[atlassian.accounts]]
account_id = "712020:other"
display_name = "Ben Cole"
email = "ben.cole@elsewhere.example"
email_visible = false
"#;

const ATTRIBUTES: &str = r#"
[attributes.profile]
name = "user.displayName"
job_title = { from = "user.jobTitle", default = "–" }

[attributes.property]
key = "entrain"

[attributes.property.fields]
upn = "user.userPrincipalName"
department = "has(user.department) ? user.department.upperAscii() : 'none'"
source = { constant = "Entra ID" }
"#;

struct Town {
    bench: Bench,
    document: String,
}

impl Town {
    fn new() -> Self {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
        std::fs::write(file.path(), WORLD).expect("written");
        let world = WorldSource::File(file.path().to_owned());
        let bench = Bench::of(Options { world, ..Options::default() });
        let company = bench.company();
        let mut settings = (*bench.emulator.state().settings()).clone();
        settings.atlassian.rename_groups = true;
        bench.emulator.state().set_settings(settings);
        let organization = format!(
            "[site.organization]\nid = \"{}\"\napi_key = \"{}\"\nurl = \"{}\"\n\n",
            company.organization_id, company.api_key, company.organization_url
        );
        let document = bench.document("\"Jira *\"").replace("[scope]", &format!("{organization}[scope]"));
        let town = Self { document: document + ATTRIBUTES, bench };
        let path = town.bench.file("connection.toml", &town.document);
        town.bench.entrain(&["connection", "add", path.to_str().expect("a path")]).expect(0);
        town
    }

    fn writes(&self) -> Vec<String> {
        let reads = |line: &str| {
            line.starts_with("GET")
                || line.contains("/search")
                || line.contains("/workspaces")
                || line.contains("oauth2")
                || line.contains("$batch")
        };
        let entries = self.bench.emulator.state().log.entries(10_000, |_| true);
        let lines = entries.into_iter().map(|entry| format!("{} {}", entry.method, entry.path));
        lines.filter(|line| !reads(line)).collect()
    }

    fn forget(&self) {
        self.bench.emulator.state().log.clear();
    }
}

#[test]
fn hidden_people_a_new_name_and_attributes_through_the_organization() {
    let town = Town::new();
    let check = town.bench.entrain(&["check", "--json"]).expect(0).json();
    let said: Vec<String> = check["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| format!("{}: {}", c["what"], c["verdict"]))
        .collect();
    for what in [
        "Organization key, directory",
        "Exact look-up",
        "Renaming of groups",
        "Verified domains: acme.example",
    ] {
        assert!(said.iter().any(|line| line.contains(what) && line.contains("good")), "{what}: {said:#?}");
    }
    assert!(
        town.writes().iter().all(|line| line.contains("00000000-0000-0000-0000-000000000000")),
        "a check changes nothing"
    );

    // Before anything is written, one person's attributes can be looked at
    let shown = town.bench.entrain(&["attributes", "--user", "dana@acme.example", "--json"]).expect(0).json();
    assert_eq!(shown["fields"][0]["value"], "Dana Okafor");
    assert_eq!(shown["fields"][0]["last_written"], Value::Null);

    town.forget();
    let first = town.bench.entrain(&["sync", "--json"]).expect(0).json();
    assert_eq!(first["status"], "converged", "{first:#}");
    // Only Ben is invited: the others are found behind hidden addresses, whatever their names, and his namesake is not him
    assert_eq!(first["steps"]["create_user"]["done"], 1, "{first:#}");
    assert_eq!(first["steps"]["add_member"]["done"], 4);
    // Properties of four, names of Dana, Li and Ben; a guest's profile is the guest's own
    assert_eq!(first["steps"]["update_user"]["done"], 7, "{first:#}");
    assert!(first["requests"]["organization"].as_u64().unwrap() <= 5, "{}", first["requests"]);
    {
        let world = town.bench.emulator.state().world();
        let site = &world.atlassian;
        let team = site.group_by_name("Jira Team").unwrap();
        for account in ["712020:dana", "557058:li/wei", "712020:gale"] {
            assert!(team.members.contains(account), "{account}");
            assert_eq!(site.accounts[account].properties["entrain"]["source"], "Entra ID");
        }
        assert_eq!(
            site.accounts["712020:dana"].properties["entrain"],
            json!({"upn": "dana@acme.example", "department": "R&D", "source": "Entra ID"})
        );
        assert!(!team.members.contains("712020:other"));
        assert_eq!(site.accounts["557058:li/wei"].properties["entrain"]["department"], "none");
        assert_eq!(site.accounts["712020:dana"].display_name, "Dana Okafor");
        assert_eq!(site.accounts["712020:dana"].profile.job_title.as_deref(), Some("Baker"));
        assert_eq!(site.accounts["557058:li/wei"].profile.job_title.as_deref(), Some("–"));
        assert_eq!(site.accounts["557058:li/wei"].display_name, "Li Wei");
        assert_eq!(site.accounts["712020:gale"].display_name, "Gale", "not managed");
    }

    town.forget();
    let second = town.bench.entrain(&["sync", "--json"]).expect(0).json();
    assert_eq!((second["status"].as_str(), &second["steps"]), (Some("converged"), &json!({})), "{second:#}");
    assert_eq!(town.writes(), Vec::<String>::new());
}

#[test]
fn a_renamed_directory_group_keeps_its_group_its_members_and_gets_the_name() {
    let town = Town::new();
    town.bench.entrain(&["sync"]).expect(0);
    let id = {
        let at = town.bench.emulator.state().now();
        let mut world = town.bench.emulator.state().world_mut();
        let group = world.tenant.groups.values().next().unwrap().id.clone();
        world.tenant.rename_group(&group, "Jira Crew", at).unwrap();
        world.atlassian.group_by_name("Jira Team").unwrap().group_id.clone()
    };
    let plan = town.bench.entrain(&["plan", "--json"]).expect(0).json();
    assert_eq!(plan["steps"].as_array().unwrap().len(), 1, "{plan:#}");
    assert_eq!(plan["steps"][0]["kind"], "rename_group");
    assert_eq!(plan["steps"][0]["new_name"], "Jira Crew");
    let letter = town.bench.entrain(&["plan"]).expect(0).out();
    assert!(letter.contains("Jira Team is called “Jira Crew” from now on"), "{letter}");

    town.forget();
    let run = town.bench.entrain(&["sync", "--json"]).expect(0).json();
    assert_eq!(run["status"], "converged", "{run:#}");
    assert_eq!(run["steps"], json!({"rename_group": {"planned": 1, "done": 1, "failed": 0, "held": 0}}));
    {
        let world = town.bench.emulator.state().world();
        let group = world.atlassian.group_by_name("Jira Crew").unwrap();
        assert_eq!((&group.group_id, group.members.len()), (&id, 4));
    }
    let shown = town.bench.entrain(&["runs", "show", run["run_id"].as_str().unwrap()]).expect(0).out();
    assert!(shown.contains("rename_group/") && shown.contains("renamed: group"), "{shown}");
    let again = town.bench.entrain(&["sync", "--json"]).expect(0).json();
    assert_eq!(again["steps"], json!({}));
}

#[test]
fn with_a_wrong_key_those_are_set_aside_who_need_it_and_the_rest_is_done() {
    let town = Town::new();
    let key = town.bench.company().api_key.clone();
    let wrong = town.bench.file("wrong.toml", &town.document.replace(&key, "a-key-of-yesterday"));
    let run = town
        .bench
        .entrain(&["sync", "--json", "--connection-file", wrong.to_str().unwrap()])
        .expect(4)
        .json();
    assert_eq!(run["status"], "partial", "{run:#}");
    assert_eq!(run["steps"]["create_group"]["done"], 1);
    assert!(run["steps"].get("create_user").is_none(), "nobody is invited who may be there: {run:#}");
    let said = run["set_aside"].to_string();
    assert!(
        said.contains("The organization key is refused") && said.contains("admin.atlassian.com"),
        "{said}"
    );
    assert!(!run.to_string().contains("a-key-of-yesterday"));
    assert_eq!(run["requests"]["organization"], 1, "a refused key is not tried again");
    let check = town.bench.entrain(&["check", "--connection-file", wrong.to_str().unwrap()]).expect(1).out();
    assert!(check.contains("Organization key"), "{check}");
}

/// Groups of the site with their members.
fn members(town: &Town) -> BTreeMap<String, Vec<String>> {
    let world = town.bench.emulator.state().world();
    let groups = world.atlassian.groups.values();
    groups.map(|group| (group.name.clone(), group.members.iter().cloned().collect())).collect()
}

fn set_document(town: &Town, more: &str) {
    let path = town.bench.file("limited.toml", &format!("{}{more}", town.document));
    let set = town.bench.entrain(&["connection", "set", path.to_str().unwrap()]);
    set.expect(0);
}

fn confluence(town: &Town, code: i32) -> (Value, Value) {
    let check = town.bench.entrain(&["check", "--json"]).expect(code).json();
    let checks = check["checks"].as_array().unwrap();
    let told = checks.iter().find(|c| c["what"] == "Confluence").unwrap_or_else(|| panic!("{check:#}"));
    (check["confluence"].clone(), told.clone())
}

#[test]
fn a_check_shows_the_seats_of_confluence_who_grants_them_or_which_key_is_missing() {
    let town = Town::new();
    let (data, told) = confluence(&town, 0);
    assert_eq!((&data["state"], &data["limited"]), (&json!("seen"), &json!(false)), "{data:#}");
    let world = town.bench.emulator.state().world().atlassian.clone();
    let product = world.products.iter().find(|product| product.key == "confluence").unwrap();
    assert_eq!(data["used"], world.seats_used("confluence"), "{data:#}");
    assert_eq!(data["limit"].as_u64(), product.seats, "{data:#}");
    let named: Vec<&str> =
        data["granted_by"].as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert!(!named.is_empty());
    for name in &named {
        assert!(product.groups.contains(*name), "{name}: {:?}", product.groups);
        assert!(told["detail"].as_str().unwrap().contains(&format!("“{name}”")), "{told:#}");
    }
    assert_eq!(told["verdict"], "good", "{told:#}");
    let words = town.bench.entrain(&["check"]).expect(0).out();
    assert!(words.contains("Confluence: ") && words.contains("seats are taken"), "{words}");

    // A limit in the document makes it a must.
    set_document(&town, "\n[seats.products.confluence]\nbudget = 100\n");
    let refused = FaultKind::Status { status: 403, headers: BTreeMap::new(), body: None };
    let fault = Fault {
        surface: Some(Surface::Organization),
        path: Some("*/users/count".into()),
        ..Fault::new(refused)
    };
    town.bench.emulator.state().faults.add(fault).unwrap();
    let (data, told) = confluence(&town, 1);
    assert_eq!((&data["state"], &data["limited"]), (&json!("not_told"), &json!(true)), "{data:#}");
    assert_eq!(told["verdict"], "bad", "{told:#}");
    assert!(told["remedy"].as_str().unwrap().contains("[seats.products.confluence]"), "{told:#}");
    town.bench.emulator.state().faults.clear();

    // Without a key that is what is missing.
    let keyless = Bench::demo();
    keyless.add("\"Jira *\"");
    let check = keyless.entrain(&["check", "--json"]).expect(0).json();
    assert_eq!(check["confluence"], json!({"state": "key_missing"}), "{check:#}");
    let told = check["checks"].as_array().unwrap().iter().find(|told| told["what"] == "Confluence").unwrap();
    assert_eq!(told["verdict"], "warning", "what was not looked at is not good: {told:#}");
    let text = keyless.entrain(&["check"]).expect(0).out();
    assert!(
        text.contains("  note  Confluence: not looked at") && text.contains("[site.organization]"),
        "{text}"
    );
}

#[test]
fn d_02_seats_that_cannot_be_counted_take_nothing_from_anybody_and_the_plan_says_what_could_not_be_counted() {
    let town = Town::new();
    set_document(&town, "\n[seats.products.confluence]\nbudget = 100\n");
    let first = town.bench.entrain(&["sync", "--json", "--yes"]);
    assert!(matches!(first.output.status.code(), Some(0 | 4)), "{}", first.out());
    // Somebody leaves and somebody else goes from the group
    let state = town.bench.emulator.state();
    let team = {
        let world = state.world();
        world.tenant.groups.values().next().unwrap().id.clone()
    };
    let id = |principal: &str| {
        let world = state.world();
        world.tenant.users.values().find(|user| user.user_principal_name == principal).unwrap().id.clone()
    };
    let change = |change: Value| {
        let change: WorldChange = serde_json::from_value(change).unwrap();
        state.change(change).unwrap();
    };
    change(json!({"change": "disable_user", "user": id("dana@acme.example")}));
    change(
        json!({"change": "remove_member", "group": team, "member": {"type": "user", "id": id("li@acme.example")}}),
    );
    let had = members(&town);
    for path in ["*/workspaces", "*/users/count", "*/groups/*/role-assignments"] {
        for status in [403, 404] {
            let refused = FaultKind::Status { status, headers: BTreeMap::new(), body: None };
            let surface = Some(Surface::Organization);
            state.faults.add(Fault { surface, path: Some(path.into()), ..Fault::new(refused) }).unwrap();
            for args in [&["plan", "--json", "--full"][..], &["sync", "--json", "--full", "--yes"]] {
                town.forget();
                let ran = town.bench.entrain(args).expect(1).json();
                let said = ran["error"]["message"].as_str().unwrap();
                assert!(
                    said.contains("The seats of Confluence, which the document limits, cannot be read"),
                    "{path}: {ran:#}"
                );
                assert!(
                    ran["error"]["remedy"].as_str().is_some_and(|text| text.len() > 10),
                    "{path}: {ran:#}"
                );
                let site = |entry: &entrain_emulator::log::LogEntry| {
                    entry.surface == Surface::Site && entry.method != "GET"
                };
                assert_eq!(state.log.entries(1000, site).len(), 0, "{path}, {args:?}");
            }
            assert_eq!(members(&town), had, "{path}, {status}");
            state.faults.clear();
        }
    }
    let after = town.bench.entrain(&["sync", "--json", "--yes"]);
    assert!(matches!(after.output.status.code(), Some(0 | 4)), "{}", after.out());
    assert_ne!(members(&town), had, "and then it is done");
}
