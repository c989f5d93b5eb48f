//! `users/invite`: several people at once, each with a result of its own.

use serde_json::{Value, json};

use super::{Call, bad, error, texts};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount};

/// Roles that an invitation may ask for.
const ROLES: [&str; 8] = [
    "atlassian/user",
    "atlassian/admin",
    "atlassian/guest",
    "atlassian/contributor",
    "atlassian/customer",
    "atlassian/basic",
    "atlassian/stakeholder",
    "atlassian/viewer",
];

pub(super) fn invite(call: &Call<'_>) -> Answer {
    let body = call.body()?;
    let emails = texts(&body, "emails", 25)?.ok_or_else(|| bad("emails is required."))?;
    let no_groups = body.get("additionalGroups").and_then(Value::as_array).is_none_or(Vec::is_empty);
    let groups =
        if no_groups { Vec::new() } else { texts(&body, "additionalGroups", 100)?.unwrap_or_default() };
    let rules = body.get("permissionRules").and_then(Value::as_array).cloned().unwrap_or_default();
    let asked = body.get("sendNotification").and_then(Value::as_bool).unwrap_or_default();
    let mail = asked && body.get("notificationText").and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    for rule in &rules {
        let resource = rule["resource"].as_str().unwrap_or_default();
        let role = rule["role"].as_str().unwrap_or_default();
        if !ROLES.contains(&role) {
            return Err(error(
                400,
                "ADMIN-UAM-400-3",
                "Invalid role",
                &format!("The role {role:?} is not valid."),
            ));
        }
        if world.product_by_resource(resource).is_none() {
            return Err(error(
                400,
                "ADMIN-400-4",
                "Invalid resource",
                &format!("The resource {resource:?} is not known."),
            ));
        }
    }
    let mut failed = false;
    let mut data = Vec::new();
    for email in emails {
        let id = person(call, world, email)?;
        if mail {
            world.invitations.push(email.to_owned());
        }
        let mut roles = Vec::new();
        for rule in &rules {
            let resource = rule["resource"].as_str().unwrap_or_default();
            let landing: Vec<String> = world
                .product_by_resource(resource)
                .map(|p| p.default_groups.iter().filter_map(|n| world.group_by_name(n)).collect::<Vec<_>>())
                .unwrap_or_default()
                .iter()
                .map(|g| g.group_id.clone())
                .collect();
            let refusal = landing.iter().find_map(|group| join(call, world, group, &id).err());
            failed |= refusal.is_some();
            roles.push(result("resource", resource, refusal, Some("ari:cloud:jira::role/product/member")));
        }
        let mut joined = Vec::new();
        for group in &groups {
            let refusal = join(call, world, group, &id).err();
            failed |= refusal.is_some();
            joined.push(result("group", group, refusal, None));
        }
        data.push(json!({
            "id": id, "email": email,
            "results": [{"roleAssignmentResult": roles, "groupAssignmentResult": joined}],
        }));
    }
    Ok(Reply::json(if failed { 206 } else { 200 }, json!({"data": data})))
}

fn result(kind: &str, which: &str, refusal: Option<String>, role: Option<&str>) -> Value {
    let mut row = json!({kind: which, "status": if refusal.is_some() { "ERROR" } else { "INVITED" }});
    if let Some(reason) = refusal {
        row["statusReason"] = reason.into();
    }
    if let Some(role) = role {
        row["role"] = role.into();
    }
    row
}

fn join(call: &Call<'_>, world: &mut Atlassian, group_id: &str, account_id: &str) -> Result<(), String> {
    let group = world.groups.get(group_id).ok_or("GROUP_NOT_FOUND")?;
    if group.external {
        return Err("GROUP_NOT_MODIFIABLE".into());
    }
    let account = world.accounts.get(account_id).filter(|a| a.active()).ok_or("USER_NOT_ACTIVE")?;
    world.check_seats(&group.name, account).map_err(|_| "LICENSE_LIMIT_EXCEEDED")?;
    world.set_member(group_id, account_id, call.now)
}

/// The account of an address: the one there is, brought into the directory if need be, or a new one.
fn person(call: &Call<'_>, world: &mut Atlassian, email: &str) -> Result<String, Reply> {
    let known = world.by_email(email).next().cloned();
    let broken = |e: String| error(500, "ADMIN-500-1", "Internal error", &e);
    if let Some(account) = known {
        if !account.in_directory() {
            let change = |a: &mut SiteAccount| {
                a.membership_status = "active".into();
                a.former = false;
                a.invited = true;
            };
            world.update_account(&account.account_id, change).map_err(broken)?;
        }
        return Ok(account.account_id);
    }
    let domain = email.rsplit('@').next().unwrap_or_default().to_lowercase();
    let account = SiteAccount {
        account_id: format!("712020:{}", call.state.uuid()),
        email: Some(email.to_owned()),
        display_name: email.to_owned(),
        managed: world.verified_domains.contains(&domain),
        invited: true,
        ..SiteAccount::default()
    };
    let id = account.account_id.clone();
    world.add_account_at(account, call.now).map_err(broken)?;
    Ok(id)
}
