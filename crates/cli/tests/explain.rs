//! `entrain explain` through the real binary, for programs: the JSON of the contract, and exit codes. What people read
//! is played in `tests/scenarios/explain.md`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be built is a failed test")]

#[path = "support/mod.rs"]
mod support;

use entrain_emulator::control::WorldChange;
use serde_json::{Value, json};
use support::Bench;

fn change(bench: &Bench, change: Value) {
    let change: WorldChange = serde_json::from_value(change).unwrap();
    bench.emulator.state().change(change).unwrap();
}

/// The demo's company, synchronised once, with its nested groups.
fn settled() -> (Bench, String, String) {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
    let (user, group) = {
        let world = bench.emulator.state().world();
        let tenant = &world.tenant;
        let member = |group: &entrain_emulator::world::tenant::EntraGroup| {
            group.members.iter().find_map(|member| {
                let user = tenant.users.get(member.id())?;
                let account = world.atlassian.accounts.values().find(|a| a.email == user.mail)?;
                let name = group.display_name.clone()?;
                let site = world.atlassian.groups.values().find(|g| g.name == name)?;
                let there = site.members.contains(&account.account_id) && user.account_enabled == Some(true);
                there.then(|| (user.mail.clone().unwrap(), name))
            })
        };
        tenant.groups.values().find_map(member).unwrap()
    };
    (bench, user, group)
}

#[test]
fn json_has_the_shape_of_the_contract_for_users_groups_and_both() {
    let (bench, user, group) = settled();
    let shape = |json: &Value| {
        assert!(json["object"].as_str().is_some_and(|text| text.contains('(')), "{json:#}");
        assert!(json["verdict"].as_str().is_some_and(|text| text.len() > 20), "{json:#}");
        let chain = json["chain"].as_array().unwrap();
        for link in chain {
            assert_eq!(link.as_object().unwrap().len(), 2, "{link:#}");
            assert!(link["what"].is_string() && link["text"].is_string(), "{link:#}");
        }
        let whats: Vec<&str> = chain.iter().map(|link| link["what"].as_str().unwrap()).collect();
        assert_eq!(whats.first(), Some(&"record"));
        assert_eq!(whats.last(), Some(&"answer"));
        assert!(whats.contains(&"scope") && whats.contains(&"step"), "{whats:?}");
    };
    let of_user = bench.entrain(&["explain", "--user", &user, "--json"]).expect(0).json();
    shape(&of_user);
    assert!(of_user.get("members").is_none());
    let groups = of_user["groups"].as_array().unwrap();
    for group in groups {
        assert!(group["name"].is_string() && group["member"].is_boolean(), "{group:#}");
        assert!(group["paths"].as_array().unwrap().iter().all(Value::is_array), "{group:#}");
    }
    let named = groups.iter().find(|g| g["name"] == group.as_str()).unwrap();
    assert_eq!(named["member"], true);
    assert_eq!(named["paths"][0], json!([group]));

    let of_group = bench.entrain(&["explain", "--group", &group, "--json"]).expect(0).json();
    shape(&of_group);
    assert!(of_group.get("groups").is_none());
    let members = of_group["members"].as_array().unwrap();
    assert!(members.iter().any(|m| m["mail"] == user.as_str() && m["state"] == "in_step"), "{of_group:#}");

    let of_both = bench.entrain(&["explain", "--user", &user, "--group", &group, "--json"]).expect(0).json();
    shape(&of_both);
    assert_eq!(of_both["groups"].as_array().unwrap().len(), 1);
    assert!(of_both["verdict"].as_str().unwrap().contains(&format!("is in “{group}”")), "{of_both:#}");
    let by_id = |key: &str| of_both["groups"][0][key].as_str().unwrap().to_owned();
    for id in [by_id("directory_id"), by_id("site_id")] {
        let again = bench.entrain(&["explain", "--group", &id, "--json"]).expect(0).json();
        assert_eq!(again["object"], of_group["object"]);
    }
    let account = members.iter().find(|m| m["mail"] == user.as_str()).unwrap();
    for id in ["directory_id", "site_id"] {
        let id = account[id].as_str().unwrap();
        let again = bench.entrain(&["explain", "--user", id, "--json"]).expect(0).json();
        assert_eq!(again["object"], of_user["object"]);
    }
}

#[test]
fn it_changes_nothing_and_goes_with_what_the_next_plan_says() {
    let (bench, user, group) = settled();
    let id = {
        let world = bench.emulator.state().world();
        let mut groups = world.tenant.groups.values();
        groups.find(|g| g.display_name.as_deref() == Some(&group)).unwrap().id.clone()
    };
    change(&bench, json!({"change": "disable_user", "user": user}));
    let before = bench.entrain(&["runs", "--json"]).expect(0).json();
    let why = bench.entrain(&["explain", "--user", &user, "--full", "--json"]).expect(0).json();
    assert!(why["verdict"].as_str().unwrap().contains("is taken out of"), "{why:#}");
    let plan = bench.entrain(&["plan", "--json"]).expect(0).json();
    let planned =
        plan["steps"].as_array().unwrap().iter().filter(|s| s["user"]["mail"] == user.as_str()).count();
    let steps = why["chain"].as_array().unwrap().iter().filter(|l| l["what"] == "step").count();
    assert_eq!(steps, planned, "{why:#}");
    assert_eq!(bench.entrain(&["runs", "--json"]).expect(0).json(), before);
    let of_group = bench.entrain(&["explain", "--group", &id, "--json"]).expect(0).json();
    let members = of_group["members"].as_array().unwrap();
    let left = |m: &&Value| m["mail"] == user.as_str() && m["state"] == "leaving";
    let left = members.iter().find(left).unwrap_or_else(|| panic!("{of_group:#}"));
    assert!(["created", "found"].contains(&left["owner"].as_str().unwrap()), "whose it is: {left:#}");
}

#[test]
fn unknown_objects_fail_and_a_question_about_nothing_is_wrong_usage() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    for args in [["--user", "nobody@nowhere.example"], ["--group", "No such group"]] {
        let ran = bench.entrain(&["explain", args[0], args[1], "--json"]).expect(1).json();
        assert_eq!(ran["error"]["code"], "object_unknown", "{ran:#}");
        assert_eq!(ran["error"]["object"], args[1]);
        assert!(ran["error"]["remedy"].as_str().is_some_and(|text| text.len() > 10), "{ran:#}");
    }
    bench.entrain(&["explain"]).expect(2);
    bench.entrain(&["explain", "Nothing", "--user", "x"]).expect(1);
}

/// H-01
#[test]
fn h_01_names_of_the_clouds_do_not_steer_the_terminal() {
    let (bench, user, group) = settled();
    let hostile = "Evil\u{1b}[2J\u{202E}\u{2028}\r name";
    change(&bench, json!({"change": "update_user", "user": user, "set": {"displayName": hostile}}));
    change(&bench, json!({"change": "rename_group", "group": group, "name": format!("{group} {hostile}")}));
    for args in [vec!["--user", &user], vec!["--user", &user, "--group", &group]] {
        let ran = bench.entrain(&[vec!["explain"], args].concat()).expect(0);
        let out = ran.out();
        assert!(out.contains("Evil\u{FFFD}[2J"), "{out}");
        assert!(
            !out.chars().any(|c| (c.is_control() && c != '\n') || "\u{202E}\u{2028}".contains(c)),
            "{out:?}"
        );
    }
}

#[test]
fn a_leaver_s_place_on_the_ladder_is_told_as_data_and_in_words() {
    let (bench, user, _) = settled();
    let leavers = "\n[leavers]\naccounts = \"linked\"\nremove_after = \"30d\"\n";
    let path = bench.file("leavers.toml", &format!("{}{leavers}", bench.document("\"*\"")));
    bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    let before = bench.entrain(&["explain", "--user", &user, "--json"]).expect(0).json();
    assert!(before.get("ladder").is_none(), "{before:#}");

    let id = {
        let world = bench.emulator.state().world();
        world.tenant.users.values().find(|u| u.mail.as_deref() == Some(&*user)).unwrap().id.clone()
    };
    change(&bench, json!({"change": "disable_user", "user": id}));
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
    let json = bench.entrain(&["explain", "--user", &user, "--json"]).expect(0).json();
    let ladder = &json["ladder"];
    assert_eq!(
        (&ladder["trigger"], &ladder["reached"], &ladder["next"]),
        (&json!("disabled"), &json!("groups"), &json!("remove")),
        "{json:#}"
    );
    let at = |key: &str| ladder[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(at("due").duration_since(at("since")), jiff::SignedDuration::from_hours(30 * 24));
    assert!(!ladder["groups"].as_array().unwrap().is_empty(), "{ladder:#}");
    assert!(ladder["cancelled_by"].as_str().unwrap().contains("enabling the user"), "{ladder:#}");
    let told = json["chain"].as_array().unwrap().iter().filter(|link| link["what"] == "ladder").count();
    assert_eq!(told, 3, "{json:#}");
    let text = bench.entrain(&["explain", "--user", &user]).expect(0).out();
    for words in ["disabled in the directory", "removed from the site", "cancelled by enabling the user"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
