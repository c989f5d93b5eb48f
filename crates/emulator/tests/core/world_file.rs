//! World files.

use std::path::PathBuf;

use entrain_emulator::world::World;
use entrain_emulator::world::file::load;
use entrain_emulator::world::tenant::Member;

fn read(name: &str, text: &str) -> Result<World, String> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    load(&path, 1)
}

const SMALL: &str = r#"
[tenant]
domain = "acme.example"

[[tenant.users]]
userPrincipalName = "ana@acme.example"
displayName = "Ana Duarte"
mail = "ana@acme.example"
manager = "BEN@acme.example"

[[tenant.users]]
userPrincipalName = "ben@acme.example"
accountEnabled = false

[[tenant.groups]]
displayName = "Jira Engineering"
members = [{ type = "user", id = "ana@acme.example" }, { type = "group", id = "On Call" }]

[[tenant.groups]]
displayName = "On Call"

[[atlassian.accounts]]
email = "ana@acme.example"
display_name = "Ana Duarte"

[[atlassian.groups]]
name = "Friday Band"
members = ["ana@acme.example"]

[[atlassian.groups]]
name = "confluence-users"
members = ["ana@acme.example"]
"#;

#[test]
fn what_a_file_leaves_out_gets_a_default_and_names_stand_for_ids() {
    let world = read("world.toml", SMALL).unwrap();
    let ana = world.tenant.users.values().find(|u| u.mail.is_some()).unwrap();
    let ben = world.tenant.users.values().find(|u| u.mail.is_none()).unwrap();
    assert_eq!(ana.manager.as_ref(), Some(&ben.id));
    assert_eq!(ben.account_enabled, Some(false));
    let named =
        |name: &str| world.tenant.groups.values().find(|g| g.display_name.as_deref() == Some(name)).unwrap();
    let inner = named("On Call").id.clone();
    assert_eq!(
        named("Jira Engineering").members,
        [Member::User(ana.id.clone()), Member::Group(inner)].into()
    );

    let site = &world.atlassian;
    assert_eq!((site.api_tokens.len(), site.api_keys.len()), (1, 1));
    let account = site.by_email("ana@acme.example").next().unwrap();
    assert!(site.group_by_name("Friday Band").unwrap().members.contains(&account.account_id));
    assert!(site.group_by_name("confluence-users").unwrap().members.contains(&account.account_id));
    assert!(site.group_by_name("site-admins").is_some());
    let application = world.tenant.applications.values().next().unwrap();
    assert!(!application.secrets.is_empty() && application.roles.contains("User.Read.All"));

    let again = read("world.toml", SMALL).unwrap();
    assert_eq!(again.tenant.users, world.tenant.users, "ids follow from the seed");
}

#[test]
fn json_says_the_same_as_toml() {
    let value: serde_json::Value = toml::from_str(SMALL).unwrap();
    let from_json = read("world.json", &value.to_string()).unwrap();
    let from_toml = read("world.toml", SMALL).unwrap();
    assert_eq!(from_json.tenant.users, from_toml.tenant.users);
    assert_eq!(from_json.atlassian.groups, from_toml.atlassian.groups);
}

#[test]
fn an_error_in_a_file_names_the_place() {
    let user = |name: &str| format!("{{\"userPrincipalName\": \"{name}\"}}");
    let users = |inner: &str| format!("{{\"tenant\": {{\"users\": [{inner}]}}}}");
    let groups = |inner: &str| format!("{{\"tenant\": {{\"groups\": [{inner}]}}}}");
    let site = |inner: &str| format!("{{\"atlassian\": {{{inner}}}}}");
    let id = "\"id\": \"7\"";
    for (text, words) in [
        ("{".to_owned(), vec!["world.json"]),
        ("{\"tenat\": {}}".into(), vec!["tenat"]),
        (users("{\"displayname\": \"x\"}"), vec!["displayname", "line 1"]),
        (users("{}"), vec!["tenant.users[0]"]),
        (users(&format!("{}, {}", user("a@b.c"), user("A@b.c"))), vec!["tenant.users[1]", "b.c"]),
        (
            users("{\"userPrincipalName\": \"a\", \"manager\": \"nobody\"}"),
            vec!["tenant.users[0].manager", "nobody"],
        ),
        (groups(&format!("{{{id}}}, {{{id}}}")), vec!["tenant.groups[1]", "7"]),
        (
            groups("{\"members\": [{\"type\": \"user\", \"id\": \"ghost\"}]}"),
            vec!["tenant.groups[0]", "ghost"],
        ),
        (
            groups("{\"members\": [{\"type\": \"group\", \"id\": \"ghost\"}]}"),
            vec!["tenant.groups[0]", "ghost"],
        ),
        (
            site("\"groups\": [{\"name\": \"x\", \"members\": [\"ghost\"]}]"),
            vec!["atlassian.groups[0]", "ghost"],
        ),
        (site("\"groups\": [{\"name\": \"x\"}, {\"name\": \"X\"}]"), vec!["atlassian.groups[1]", "X"]),
        (site("\"accounts\": [{\"account_status\": \"gone\"}]"), vec!["accounts[0].account_status", "gone"]),
        (
            site("\"accounts\": [{\"account_id\": \"1\"}, {\"account_id\": \"1\"}]"),
            vec!["atlassian.accounts[1]"],
        ),
        (
            site("\"api_tokens\": [{\"token\": \"t\", \"account_id\": \"ghost\"}]"),
            vec!["api_tokens[0]", "ghost"],
        ),
        (
            site("\"products\": [{\"key\": \"k\", \"groups\": [\"ghost\"]}]"),
            vec!["atlassian.products[0]", "ghost"],
        ),
    ] {
        let error = read("world.json", &text).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{text}\n{error}\nlacks {word}");
        }
    }
    assert!(read("world.yaml", "").unwrap_err().contains(".json or .toml"));
    assert!(load(std::path::Path::new("/nowhere/world.json"), 1).unwrap_err().contains("cannot be read"));
}

#[test]
fn assignments_name_users_and_groups_as_members_do() {
    let text = format!(
        "{SMALL}\n[[tenant.applications]]\nclient_id = \"f1\"\nassigned = [{{ type = \"user\", id = \"ANA@acme.example\" }}, \
         {{ type = \"group\", id = \"On Call\" }}]\n"
    );
    let world = read("world.toml", &text).unwrap();
    let assigned = &world.tenant.applications["f1"].assigned;
    let ana = world.tenant.users.values().find(|u| u.mail.is_some()).unwrap();
    assert_eq!(assigned[0], Member::User(ana.id.clone()));
    assert!(
        matches!(&assigned[1], Member::Group(id) if world.tenant.groups[id].display_name.as_deref() == Some("On Call"))
    );
    let error = read("world.toml", &text.replace("ANA@acme.example", "zoe@acme.example")).unwrap_err();
    assert!(error.contains("tenant.applications[0].assigned"), "{error}");
}
