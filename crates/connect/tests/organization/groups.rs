//! Which groups can be renamed, and renaming.

use entrain_domain::model::RenameBy;
use entrain_domain::policy::Protected;
use entrain_domain::{FailureClass, FailureCode};
use serde_json::{Value, json};

use crate::script::{Asked, Reply, assert_fails, group, reply};
use crate::{HOME, ORG, Script, page, refuses};

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn row(id: &str, more: &Value) -> Value {
    let mut row = json!({"id": id, "name": id, "directoryId": HOME, "externalSynced": false, "managedBy": "admins",
        "managementAccess": {"readable": true, "modifiable": true, "deletable": true}});
    for (key, value) in more.as_object().into_iter().flatten() {
        row[key] = value.clone();
    }
    row
}

fn knows(asked: &Asked, probe: impl Fn() -> Reply) -> Reply {
    if asked.line.starts_with("PATCH") {
        assert!(asked.path.ends_with(NIL), "the probe is about a group that nobody has: {}", asked.path);
        return probe();
    }
    let ids = asked.body["groupIds"].as_array().unwrap();
    assert!(ids.len() <= 10);
    let rows: Vec<Value> = ids
        .iter()
        .filter_map(|id| match id.as_str().unwrap() {
            "g-synced" => Some(row("g-synced", &json!({"externalSynced": true}))),
            "g-external" => Some(row("g-external", &json!({"managedBy": "external"}))),
            "g-fixed" => Some(row("g-fixed", &json!({"managementAccess": {"modifiable": false}}))),
            "g-gone" => None,
            id => Some(row(&format!("ari:cloud:identity::group/{id}"), &json!({}))),
        })
        .collect();
    page(&rows, None)
}

fn ids(ids: &[&str]) -> Vec<entrain_domain::model::SiteGroupId> {
    ids.iter().map(|id| group(id, id).id).collect()
}

/// What the other side answers.
type Answers = fn() -> Reply;

#[tokio::test]
async fn who_renames_is_found_out_without_changing_anything() {
    let script = Script::start(|asked| knows(asked, || refuses(404, "ADMIN-404-10", "unknown group"))).await;
    assert!(script.organization.renaming(&[]).await.unwrap().is_empty());
    assert!(script.site.asked().is_empty(), "nothing is asked where nothing is to be renamed");
    let asked = ids(&["g-1", "g-synced", "g-external", "g-fixed", "g-gone"]);
    let told = script.organization.renaming(&asked).await.unwrap();
    assert_eq!(told[0].1, RenameBy::Organization);
    for (at, why) in
        [(1, "identity provider"), (2, "identity provider"), (3, "be changed"), (4, "does not show")]
    {
        let RenameBy::Nobody(reason) = &told[at].1 else { panic!("{told:?}") };
        assert!(reason.reason.contains(why), "{reason:?}");
    }
    let lines = script.site.lines();
    assert_eq!(lines.len(), 2, "one search, one probe: {lines:?}");
    assert_eq!(lines[1], format!("PATCH /admin/v2/orgs/{ORG}/directories/{HOME}/groups/{NIL}"));
    let many: Vec<String> = (0..23).map(|n| format!("g-{n}")).collect();
    let many = ids(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(script.organization.renaming(&many).await.unwrap().len(), 23);
    assert_eq!(script.site.lines().len(), 2 + 3 + 1);
}

#[tokio::test]
async fn where_the_operation_is_not_there_nobody_renames() {
    let cases: Vec<(Answers, &str)> = vec![
        (|| reply(404, r#"{"code":404,"message":"Not Found"}"#), "does not rename groups yet"),
        (|| reply(405, ""), "does not rename groups yet"),
        (|| refuses(403, "ADMIN-403-5", "may not manage the group"), "may not rename groups"),
        (|| refuses(401, "ADMIN-401-2", "INSUFFICIENT_SCOPE"), "has scopes"),
    ];
    for (probe, why) in cases {
        let script = Script::start(move |asked| knows(asked, probe)).await;
        let told = script.organization.renaming(&ids(&["g-1"])).await.unwrap();
        let RenameBy::Nobody(reason) = &told[0].1 else { panic!("{told:?}") };
        assert!(reason.reason.contains(why), "{reason:?}");
    }
    // An answer that does not tell leaves it to the first rename.
    let script = Script::start(|asked| knows(asked, || reply(404, ""))).await;
    assert_eq!(script.organization.renaming(&ids(&["g-1"])).await.unwrap()[0].1, RenameBy::Organization);
}

#[tokio::test]
async fn a_group_is_renamed_in_the_directory_that_it_was_found_in() {
    let script = Script::start(|asked| {
        if asked.line.starts_with("PATCH") && !asked.path.ends_with(NIL) {
            reply(204, "")
        } else {
            knows(asked, || refuses(404, "ADMIN-404-10", "unknown group"))
        }
    })
    .await
    .writable();
    script.organization.renaming(&ids(&["g-1"])).await.unwrap();
    script.organization.rename_group(&group("g-1", "Old"), "New / & näme").await.unwrap();
    let last = script.site.asked().pop().unwrap();
    assert_eq!(last.line, format!("PATCH /admin/v2/orgs/{ORG}/directories/{HOME}/groups/g-1"));
    assert_eq!(last.body, json!({"name": "New / & näme"}));
}

#[tokio::test]
async fn a_refused_rename_leaves_the_name_and_harms_nothing_else() {
    let cases: Vec<(Answers, FailureCode, FailureClass)> = vec![
        (|| refuses(409, "ADMIN-409-28", "exists"), FailureCode::SiteNameTaken, FailureClass::Object),
        (|| refuses(403, "ADMIN-403-5", "no"), FailureCode::OrganizationRefused, FailureClass::Object),
        (
            || reply(404, r#"{"code":404,"message":"Not Found"}"#),
            FailureCode::OrganizationRefused,
            FailureClass::Object,
        ),
        (|| reply(405, ""), FailureCode::OrganizationRefused, FailureClass::Object),
        (|| reply(400, ""), FailureCode::OrganizationRefused, FailureClass::Object),
        (|| reply(503, ""), FailureCode::WriteUnclear, FailureClass::Unclear),
    ];
    for (answer, code, class) in cases {
        let script = Script::with(Some(HOME), move |_| answer()).await.writable();
        let failure =
            assert_fails(script.organization.rename_group(&group("g-1", "Old"), "New").await, code, class);
        assert_eq!(failure.object.as_deref(), Some("Old"));
    }
}

#[tokio::test]
async fn s_06_privileged_and_protected_groups_and_names_are_never_sent() {
    let protected = Protected {
        groups: [group("g-listed", "x").id].into(),
        group_names: ["vip".to_owned()].into(),
        ..Protected::default()
    };
    let script = Script::with(Some(HOME), |_| reply(204, "")).await.protected(&protected);
    for (of, to) in [
        (group("g-admins", "Whatever"), "New"),
        (group("g-1", "jira-administrators"), "New"),
        (group("g-1", "atlassian-addons"), "New"),
        (group("g-listed", "Old"), "New"),
        (group("g-1", "VIP"), "New"),
        (group("g-1", "Old"), "vip"),
        (group("g-1", "Old"), "site-admins"),
    ] {
        assert_fails(
            script.organization.rename_group(&of, to).await,
            FailureCode::SiteProtected,
            FailureClass::Object,
        );
    }
    assert!(script.site.asked().is_empty());
}
