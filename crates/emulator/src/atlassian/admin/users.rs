//! Users of the directory: search, details, suspension, removal, roles.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Call, bad, error, query_as_body, resume, texts, unknown};
use crate::atlassian::auth;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount};

/// The composite status.
fn status(account: &SiteAccount) -> &'static str {
    if account.for_deletion {
        return "for_deletion";
    }
    match (account.account_status.as_str(), account.membership_status.as_str()) {
        ("active", "active") => "active",
        ("active", "suspended") => "suspended",
        ("active", _) => "not_invited",
        _ => "deactivated",
    }
}

fn platform_roles(world: &Atlassian, account: &SiteAccount) -> Vec<&'static str> {
    let mut roles = Vec::new();
    if account.org_admin {
        roles.push("atlassian/org-admin");
    }
    if auth::is_site_admin(world, &account.account_id) {
        roles.push("atlassian/site-admin");
    }
    roles
}

fn shown(call: &Call<'_>, world: &Atlassian, account: &SiteAccount, expand: &[&str]) -> Value {
    let profile = &account.profile;
    let nickname =
        profile.nickname.clone().or_else(|| account.display_name.split(' ').next().map(str::to_owned));
    let mut row = json!({
        "accountId": account.account_id,
        "accountType": "atlassian",
        "name": account.display_name,
        "nickname": nickname,
        "emailVerified": !account.invited,
        "status": status(account),
        "accountStatus": account.account_status,
        "membershipStatus": account.membership_status,
        "claimStatus": if account.managed { "managed" } else { "unmanaged" },
        "managementSource": if account.synced { "synced" } else { "invited" },
        "addedToOrg": "2025-03-04T08:00:00.000Z",
        "mfaEnabled": false,
        "timeZone": account.time_zone,
    });
    let texts = [
        ("email", &account.email),
        ("jobTitle", &profile.job_title),
        ("department", &profile.department),
        ("organization", &profile.organization),
        ("location", &profile.location),
    ];
    for (field, value) in texts {
        if let Some(value) = value {
            row[field] = value.as_str().into();
        }
    }
    if expand.contains(&"platformRoles") {
        row["platformRoles"] = json!(platform_roles(world, account));
    }
    if expand.contains(&"groups") {
        let groups = world.group_ids_at(&account.account_id, call.seen());
        let groups: Vec<Value> = groups
            .iter()
            .filter_map(|id| world.groups.get(id))
            .map(|g| json!({"id": format!("ari:cloud:identity::group/{}", g.group_id), "name": g.name}))
            .collect();
        row["groups"] = groups.into();
    }
    let products = if account.active() { world.products_of(&account.account_id) } else { Vec::new() };
    if expand.contains(&"counts.resources") {
        row["counts"] = json!({"resources": products.len()});
    }
    if expand.contains(&"productAccess") {
        let access = products.iter().map(|p| json!({"id": world.resource_of(&p.key), "key": p.key}));
        row["productAccess"] = access.collect();
    }
    row
}

/// The people that filters let through, cheapest filter first.
fn matching<'w>(
    call: &Call<'_>,
    world: &'w Atlassian,
    filters: &Map<String, Value>,
) -> Result<Vec<&'w SiteAccount>, Reply> {
    let emails = texts(filters, "emails", 100)?;
    let ids = texts(filters, "accountIds", 10)?;
    let groups = texts(filters, "groupIds", 10)?;
    let term = filters.get("searchTerm").and_then(Value::as_str).filter(|t| !t.is_empty());
    if emails.is_some() && term.is_some() {
        return Err(bad("emails and searchTerm cannot be used together."));
    }
    let candidates: Vec<&SiteAccount> = if let Some(ids) = &ids {
        let ids: BTreeSet<&str> = ids.iter().copied().collect();
        ids.into_iter().filter_map(|id| world.accounts.get(id)).collect()
    } else if let Some(emails) = &emails {
        emails.iter().flat_map(|email| world.by_email(email)).collect()
    } else if let Some(groups) = &groups {
        let members: BTreeSet<String> =
            groups.iter().flat_map(|id| world.members_at(id, call.seen()).into_owned()).collect();
        members.iter().filter_map(|id| world.accounts.get(id)).collect()
    } else {
        world.accounts.values().collect()
    };
    let statuses = texts(filters, "status", 5)?;
    let account_statuses = texts(filters, "accountStatus", 3)?;
    let memberships = texts(filters, "membershipStatus", 3)?;
    let domains = texts(filters, "emailDomains", 10)?;
    let resources = texts(filters, "resourceIds", 20)?;
    let claim = filters.get("claimStatus").and_then(Value::as_str);
    let seen = call.seen();
    let among = |list: &Option<Vec<&str>>, value: &str| list.as_ref().is_none_or(|l| l.contains(&value));
    let found = candidates.into_iter().filter(|a| {
        let email = a.email.clone().unwrap_or_default().to_lowercase();
        a.account_type == "atlassian"
            && (a.in_directory() || a.former)
            && world.known_at(&a.account_id, seen)
            && emails.as_ref().is_none_or(|l| l.iter().any(|e| e.to_lowercase() == email))
            && groups
                .as_ref()
                .is_none_or(|l| l.iter().any(|group| world.member_at(group, &a.account_id, seen)))
            && among(&statuses, status(a))
            && among(&account_statuses, &a.account_status)
            && among(&memberships, &a.membership_status)
            && domains
                .as_ref()
                .is_none_or(|l| l.iter().any(|d| email.ends_with(&format!("@{}", d.to_lowercase()))))
            && claim.is_none_or(|c| (c == "managed") == a.managed)
            && term.is_none_or(|t| {
                let t = t.to_lowercase();
                a.display_name.to_lowercase().contains(&t) || email.contains(&t)
            })
            && resources.as_ref().is_none_or(|l| {
                world
                    .products_of(&a.account_id)
                    .iter()
                    .any(|p| l.contains(&world.resource_of(&p.key).as_str()))
            })
    });
    Ok(found.collect())
}

fn search(call: &Call<'_>, given: Map<String, Value>, default: usize) -> Answer {
    let (filters, start, limit) = resume(given, default, 100)?;
    let expand = texts(&filters, "expand", 10)?.unwrap_or_default();
    if let Some(odd) =
        expand.iter().find(|e| !["platformRoles", "counts.resources", "productAccess", "groups"].contains(e))
    {
        return Err(bad(&format!("expand does not take {odd:?}.")));
    }
    let world = call.state.world();
    let world = &world.atlassian;
    let mut found = matching(call, world, &filters)?;
    found.sort_by(|a, b| a.account_id.cmp(&b.account_id));
    let end = start.saturating_add(limit);
    let rows: Vec<Value> = found
        .iter()
        .enumerate()
        .map(|(n, a)| if (start..end).contains(&n) { shown(call, world, a, &expand) } else { Value::Null })
        .collect();
    Ok(call.page(&rows, limit, start, &filters))
}

fn person<'w>(world: &'w Atlassian, id: &str) -> Result<&'w SiteAccount, Reply> {
    world
        .accounts
        .get(id)
        .filter(|a| a.account_type == "atlassian" && a.in_directory())
        .ok_or_else(|| unknown("ADMIN-404-8", "The user is not known in the directory."))
}

pub(super) fn route(call: &Call<'_>, method: &str, rest: &[&str]) -> Answer {
    match (method, rest) {
        ("POST", ["search"]) => search(call, call.body()?, 50),
        ("GET", []) => search(call, query_as_body(call), 20),
        ("GET", ["count"]) => {
            let world = call.state.world();
            let found = matching(call, &world.atlassian, &query_as_body(call))?;
            Ok(Reply::json(200, json!({"count": found.len()})))
        }
        ("GET", [id]) => {
            let world = call.state.world();
            let world = &world.atlassian;
            let account = person(world, id)?;
            let mut row = shown(call, world, account, &["platformRoles", "counts.resources"]);
            if let Some(at) = account.deactivated_on {
                row["deactivatedOn"] = at.to_string().into();
            }
            Ok(Reply::json(200, json!({"data": row})))
        }
        ("GET", [id, "role-assignments"]) => roles(call, id),
        ("POST", [id, verb @ ("suspend" | "restore")]) => suspend_or_restore(call, id, verb),
        ("DELETE", [id]) => {
            let mut world = call.state.world_mut();
            person(&world.atlassian, id)?;
            world
                .atlassian
                .remove_from_directory(id, call.now)
                .map_err(|e| error(500, "ADMIN-500-1", "Error", &e))?;
            Ok(Reply::empty(204))
        }
        _ => Err(Reply::gateway(404, "Not Found")),
    }
}

fn roles(call: &Call<'_>, id: &str) -> Answer {
    let world = call.state.world();
    let world = &world.atlassian;
    let account = person(world, id)?;
    let mut rows: Vec<Value> = world
        .products_of(id)
        .iter()
        .map(|p| {
            json!({
                "resourceId": world.resource_of(&p.key),
                "resourceOwner": p.key,
                "directoryId": world.directory_id,
                "userDirectoryStatus": account.membership_status,
                "roleAssignments": [{"role": "atlassian/user", "roleAssignmentMethods": ["group_direct"]}],
                "roles": ["atlassian/user"],
            })
        })
        .collect();
    for role in platform_roles(world, account) {
        rows.push(json!({
            "resourceId": format!("ari:cloud:platform::org/{}", world.organization_id),
            "resourceOwner": "platform",
            "directoryId": null,
            "roleAssignments": [{"role": role, "roleAssignmentMethods": ["direct"]}],
            "roles": [role],
        }));
    }
    let (filters, start, limit) = resume(query_as_body(call), 20, 100)?;
    Ok(call.page(&rows, limit, start, &filters))
}

fn suspend_or_restore(call: &Call<'_>, id: &str, verb: &str) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let account = person(world, id)?;
    if account.org_admin {
        let detail = format!("{verb} is refused for an organization administrator.");
        return Err(error(400, "ADMIN-UAM-400-1", "Bad Request", &detail));
    }
    let status = if verb == "suspend" { "suspended" } else { "active" };
    let done = world.update_account(id, |a| a.membership_status = status.into());
    done.map_err(|e| error(500, "ADMIN-500-1", "Error", &e))?;
    Ok(Reply::empty(204))
}

/// `role-assignments/assign` and `/revoke` of version 1: organization administrators only.
pub(super) fn organization_role(call: &Call<'_>, id: &str, verb: &str) -> Answer {
    let body = call.body()?;
    if body.get("role").and_then(Value::as_str) != Some("atlassian/org-admin") {
        return Err(error(400, "ADMIN-UAM-400-3", "Invalid role", "The role must be atlassian/org-admin."));
    }
    let mut world = call.state.world_mut();
    person(&world.atlassian, id)?;
    let done = world.atlassian.update_account(id, |a| a.org_admin = verb == "assign");
    done.map_err(|e| error(500, "ADMIN-500-1", "Error", &e))?;
    Ok(Reply::empty(204))
}

/// Managed accounts in the form of version 1; `links.next` is a whole address here.
pub(super) fn managed(call: &Call<'_>) -> Answer {
    let (filters, start, limit) = resume(query_as_body(call), 100, 100)?;
    let world = call.state.world();
    let world = &world.atlassian;
    let all: Vec<&SiteAccount> =
        world.accounts.values().filter(|a| a.managed && a.account_type == "atlassian").collect();
    let data: Vec<Value> = all
        .iter()
        .skip(start)
        .take(limit)
        .map(|a| {
            json!({
                "account_id": a.account_id, "account_type": a.account_type, "account_status": a.account_status,
                "name": a.display_name, "email": a.email.as_deref().unwrap_or_default(),
                "picture": "https://avatars.example/initials/0.png",
                "access_billable": a.active() && !world.products_of(&a.account_id).is_empty(),
                "product_access": [],
            })
        })
        .collect();
    let own = format!("{}/admin/v1/orgs/{}/users", call.state.urls().organization, world.organization_id);
    let next = start.saturating_add(limit);
    let mut links = json!({"self": own});
    if next < all.len() {
        links["next"] = format!("{own}?cursor={}", super::cursor(next, limit, &filters)).into();
    }
    Ok(Reply::json(200, json!({"data": data, "links": links, "meta": {"total": all.len()}})))
}
