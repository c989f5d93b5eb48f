//! Reports through the real binary: who has left, who belongs to nobody, seats, credentials, and who was in a group when.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be built is a failed test")]

#[path = "support/mod.rs"]
mod support;

use std::fmt::Write as _;

use entrain_emulator::control::WorldChange;
use serde_json::{Value, json};
use support::Bench;

/// The binary reads the clock of the host, and so do these tests.
#[expect(
    clippy::disallowed_methods,
    reason = "ends of credentials and moments of runs are told by the host's clock"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn change(bench: &Bench, change: Value) {
    let change: WorldChange = serde_json::from_value(change).unwrap();
    bench.emulator.state().change(change).unwrap();
}

/// Active people of the site with a visible address who are enabled in the directory, by address.
fn colleagues(bench: &Bench) -> Vec<String> {
    let world = bench.emulator.state().world();
    let people = world.atlassian.accounts.values();
    let mut mails: Vec<String> = people
        .filter(|a| a.account_type == "atlassian" && a.active() && a.email_visible)
        .filter_map(|a| a.email.clone())
        .filter(|mail| {
            let mut users = world.tenant.users.values();
            users.any(|u| u.account_enabled == Some(true) && u.mail.as_deref() == Some(mail))
        })
        .collect();
    mails.sort();
    mails
}

fn rows(json: &Value) -> Vec<Value> {
    json["rows"].as_array().unwrap().clone()
}

fn of<'a>(rows: &'a [Value], mail: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["email"] == mail)
}

/// The site's accounts as its administration exports them.
fn export(bench: &Bench) -> String {
    let mut text =
        String::from("User id,User name,email,User status,Added to org,Org role,Last seen in Jira - acme\n");
    let world = bench.emulator.state().world();
    for a in world.atlassian.accounts.values().filter(|a| a.account_type == "atlassian") {
        let (status, mail) =
            (if a.active() { "Active" } else { "Suspended" }, a.email.clone().unwrap_or_default());
        writeln!(
            text,
            "{},\"{}\",{mail},{status},01 Jan 2025,User,12 Nov 2026",
            a.account_id, a.display_name
        )
        .unwrap();
    }
    text
}

#[test]
fn leavers_are_told_apart_and_say_what_they_hold() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let people = colleagues(&bench);
    let [disabled, deleted, moved, stays] = &people[..4] else { panic!("{people:?}") };
    let before = rows(&bench.entrain(&["report", "leavers", "--json"]).expect(0).json());
    for mail in [disabled, deleted, moved, stays] {
        assert!(of(&before, mail).is_none(), "{mail}");
    }
    change(&bench, json!({"change": "disable_user", "user": disabled}));
    change(&bench, json!({"change": "delete_user", "user": deleted}));
    change(
        &bench,
        json!({"change": "update_user", "user": moved,
        "set": {"mail": "new.address@acme.example", "userPrincipalName": "new.address@acme.example"}}),
    );

    let writes = |bench: &Bench| bench.entrain(&["runs", "list", "--json"]).expect(0).json();
    let ran = bench.entrain(&["report", "leavers", "--json"]).expect(0).json();
    assert_eq!(ran["report"], "leavers");
    let after = rows(&ran);
    assert_eq!(of(&after, disabled).unwrap()["directory"], "disabled");
    assert_eq!(of(&after, deleted).unwrap()["directory"], "deleted");
    assert_eq!(of(&after, moved).unwrap()["directory"], "nobody");
    assert!(
        of(&after, moved).unwrap()["reason"]
            .as_str()
            .unwrap()
            .contains("nobody in the directory has this address")
    );
    assert!(of(&after, stays).is_none());
    let (group, product) = {
        let world = bench.emulator.state().world();
        let account = world.atlassian.accounts.values().find(|a| a.email.as_ref() == Some(disabled)).unwrap();
        let groups = world.atlassian.groups.values();
        let group = groups.filter(|g| g.members.contains(&account.account_id)).map(|g| g.name.clone()).min();
        let products = world.atlassian.products_of(&account.account_id);
        let product = products.into_iter().find(|p| p.key != "confluence").map(|p| p.name.clone());
        (group, product)
    };
    let row = of(&after, disabled).unwrap();
    if let Some(group) = group {
        assert!(row["groups"].as_str().unwrap().contains(&group), "{row:#}");
    }
    if let Some(product) = product {
        assert!(row["products"].as_str().unwrap().contains(&product), "{row:#}");
    }
    assert_eq!(writes(&bench), json!([]), "a report is no run");

    let text = bench.entrain(&["report", "leavers"]).expect(0).out();
    assert!(text.contains("Disabled in the directory") && text.contains(disabled), "{text}");
    let csv = bench.entrain(&["report", "leavers", "--format", "csv"]).expect(0).out();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let mut columns: Vec<String> = row.as_object().unwrap().keys().cloned().collect();
    let mut named = header.clone();
    columns.sort();
    named.sort();
    assert_eq!(named, columns, "the same columns in CSV and JSON");
    assert_eq!(reader.records().count(), after.len());
}

#[test]
fn a_link_tells_who_an_account_is_when_the_address_does_not() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
    let mail = colleagues(&bench).swap_remove(0);
    change(
        &bench,
        json!({"change": "update_user", "user": mail,
        "set": {"mail": "married.name@acme.example", "userPrincipalName": "married.name@acme.example"}}),
    );
    let linked = rows(&bench.entrain(&["report", "leavers", "--json"]).expect(0).json());
    assert!(of(&linked, &mail).is_none(), "the linked person is still there: {linked:#?}");
}

#[test]
fn leavers_need_only_the_directory_and_the_list_that_jira_exports() {
    let bench = Bench::demo();
    let people = colleagues(&bench);
    let [disabled, stays] = &people[..2] else { panic!("{people:?}") };
    change(&bench, json!({"change": "disable_user", "user": disabled}));
    let c = bench.company();
    let document = format!(
        "name = \"Graph only\"\n[directory]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n\
         authority_url = \"{}\"\ngraph_url = \"{}\"\n",
        c.tenant_id, c.client_id, c.client_secret, c.authority_url, c.graph_url
    );
    let document = bench.file("graph.toml", &document);
    let accounts = bench.file("users.csv", &export(&bench));
    let (document, accounts) = (document.to_str().unwrap(), accounts.to_str().unwrap());
    let before = bench.emulator.state().world().atlassian.groups.len();
    let args =
        |report| vec!["report", report, "--connection-file", document, "--accounts", accounts, "--json"];
    let found = rows(&bench.entrain(&args("leavers")).expect(0).json());
    let row = of(&found, disabled).unwrap();
    assert_eq!(row["directory"], "disabled");
    assert_eq!(row["last_seen"], "12 Nov 2026");
    assert_eq!(row["role"], "User");
    assert!(of(&found, stays).is_none());
    let unlinked = rows(&bench.entrain(&args("unlinked")).expect(0).json());
    assert!(unlinked.iter().all(|row| row["kind"] == "account"), "{unlinked:#?}");
    assert!(of(&unlinked, stays).is_none() && of(&unlinked, disabled).is_none());
    assert_eq!(bench.emulator.state().world().atlassian.groups.len(), before);

    let half = bench.file("half.csv", "User id,email\nx,a@b.c\n");
    let failed = bench
        .entrain(&[
            "report",
            "leavers",
            "--connection-file",
            document,
            "--accounts",
            half.to_str().unwrap(),
            "--json",
        ])
        .expect(2)
        .json();
    assert!(failed["error"]["message"].as_str().unwrap().contains("User status"), "{failed:#}");
}

#[test]
fn an_empty_directory_is_no_directory_without_people() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let ids: Vec<String> = bench.emulator.state().world().tenant.users.keys().cloned().collect();
    for user in ids {
        change(&bench, json!({"change": "delete_user", "user": user}));
    }
    let failed = bench.entrain(&["report", "leavers", "--json"]).expect(1).json();
    assert!(failed["error"]["message"].as_str().unwrap().contains("no user at all"), "{failed:#}");
}

#[test]
fn people_in_scope_without_account_and_accounts_without_person_are_unlinked() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let found = rows(&bench.entrain(&["report", "unlinked", "--json"]).expect(0).json());
    let plan = bench.entrain(&["plan", "--json"]).expect(0).json();
    let invited = plan["steps"].as_array().unwrap().iter().filter(|step| step["kind"] == "create_user");
    let mut invited: Vec<&str> = invited.map(|step| step["user"]["mail"].as_str().unwrap()).collect();
    invited.sort_unstable();
    assert!(!invited.is_empty());
    for mail in invited {
        let row = found.iter().find(|row| row["kind"] == "person" && row["email"] == mail);
        assert!(row.is_some(), "{mail} is invited and not among {found:#?}");
    }
    assert!(found.iter().any(|row| row["kind"] == "account"), "{found:#?}");
}

#[test]
fn seats_agree_with_the_site() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let found = rows(&bench.entrain(&["report", "seats", "--json"]).expect(0).json());
    let world = bench.emulator.state().world();
    let jira = found.iter().find(|row| row["product"] == "jira-software").unwrap();
    let used = world.atlassian.seats_used("jira-software");
    assert_eq!(jira["used"], json!(used));
    if let (Some(limit), Some(left)) = (jira["limit"].as_u64(), jira["left"].as_u64()) {
        assert_eq!(left, limit.saturating_sub(used));
    }
}

/// S-04: warned about in good time.
#[test]
fn s_04_credentials_that_end_are_told_thirty_days_ahead() {
    let bench = Bench::demo();
    let day = |days: i64| {
        let at = now() + jiff::SignedDuration::from_hours(24 * days);
        at.strftime("%F").to_string()
    };
    let document = bench
        .document("\"*\"")
        .replace("authority_url", &format!("client_secret_expires = \"{}\"\nauthority_url", day(20)))
        .replace("\n\n[scope]", &format!("\napi_token_expires = \"{}\"\n\n[scope]", day(90)));
    let path = bench.file("connection.toml", &document);
    bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    let found = rows(&bench.entrain(&["report", "credentials", "--json"]).expect(0).json());
    assert_eq!(found[0]["key"], "directory.client_secret");
    assert_eq!(found[0]["state"], "soon");
    assert!(matches!(found[0]["days_left"].as_i64(), Some(18..=20)), "{found:#?}");
    assert_eq!(found[1]["state"], "good");
    let check = bench.entrain(&["check", "--json"]).json();
    let warned = check["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["what"].as_str().unwrap().contains("client secret"));
    assert!(warned.is_some_and(|c| c["remedy"].is_string()), "{check:#}");

    let over = document.replace(&day(20), &day(-2));
    let path = bench.file("connection.toml", &over);
    bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    let found = rows(&bench.entrain(&["report", "credentials", "--json"]).expect(0).json());
    assert_eq!(found[0]["state"], "expired");
    let wrong = bench.file("connection.toml", &document.replace(&day(20), "next week"));
    let refused = bench.entrain(&["connection", "set", wrong.to_str().unwrap()]).expect(2).err();
    assert!(refused.contains("client_secret_expires") && refused.contains("2027-01-31"), "{refused}");
}

#[test]
fn who_was_in_a_group_then_and_through_which_path() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
    let (mail, group) = {
        let world = bench.emulator.state().world();
        let tenant = &world.tenant;
        let found = tenant.groups.values().find_map(|group| {
            let name = group.display_name.clone()?;
            let site = world.atlassian.groups.values().find(|g| g.name == name)?;
            group.members.iter().find_map(|member| {
                let user = tenant.users.get(member.id()).filter(|u| u.account_enabled == Some(true))?;
                let account = world.atlassian.accounts.values().find(|a| a.email == user.mail)?;
                let there = site.members.contains(&account.account_id);
                there.then(|| (user.mail.clone().unwrap(), name.clone()))
            })
        });
        found.unwrap()
    };
    let members = |args: &[&str]| {
        let args = [&["report", "members", "--group", &group, "--json"], args].concat();
        rows(&bench.entrain(&args).expect(0).json())
    };
    let present = members(&[]);
    let row = of(&present, &mail).unwrap();
    assert!(row["path"].as_str().unwrap().starts_with(&group), "{row:#}");
    assert!(row["since"].is_string() && row["until"].is_null() && row["run"].is_string(), "{row:#}");
    let then = now().to_string();
    change(&bench, json!({"change": "disable_user", "user": mail}));
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
    assert!(of(&members(&[]), &mail).is_none());
    let past = members(&["--at", &then]);
    let row = of(&past, &mail).unwrap();
    assert!(row["until"].is_string(), "{row:#}");
    assert!(of(&members(&["--at", "2020-01-01"]), &mail).is_none());
    bench.entrain(&["report", "members", "--group", "No such group"]).expect(1);
    bench.entrain(&["report", "members", "--group", &group, "--at", "yesterday"]).expect(2);
}
