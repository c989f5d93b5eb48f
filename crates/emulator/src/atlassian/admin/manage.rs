//! User management: profile, e-mail and life cycle of one managed account. Errors here carry a `key`.

use serde_json::{Map, Value, json};

use super::Call;
use crate::atlassian::query::object;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount};

const FIELDS: &[&str] = &[
    "name",
    "nickname",
    "zoneinfo",
    "locale",
    "extended_profile.job_title",
    "extended_profile.department",
    "extended_profile.organization",
    "extended_profile.location",
];

fn key(status: u16, key: &str) -> Reply {
    Reply::json(status, json!({"key": key}))
}

/// The target: known, a person, and managed by the organization.
fn target<'w>(world: &'w Atlassian, id: &str) -> Result<&'w SiteAccount, Reply> {
    let account =
        world.accounts.get(id).filter(|a| a.account_type == "atlassian" && a.account_status != "closed");
    let account = account.ok_or_else(|| key(404, "accountNotFound"))?;
    if !account.managed {
        return Err(key(403, "forbidden.targetUnverified"));
    }
    Ok(account)
}

/// Whether an action or field is allowed: not on what an identity provider owns.
fn rule(account: &SiteAccount) -> Value {
    if account.synced {
        json!({"allowed": false, "reason": {"key": "externalDirectory.scim"}})
    } else {
        json!({"allowed": true})
    }
}

pub(super) fn route(call: &Call<'_>, id: &str, rest: &[&str]) -> Answer {
    match (call.request.method, rest) {
        ("GET", []) => privileges(call, id),
        ("GET", ["profile"]) => {
            let world = call.state.world();
            Ok(Reply::json(200, json!({"account": shown(target(&world.atlassian, id)?)})))
        }
        ("PATCH", ["profile"]) => patch(call, id),
        ("PUT", ["email"]) => email(call, id),
        ("POST", ["lifecycle", verb @ ("disable" | "enable" | "delete" | "cancel-delete")]) => {
            lifecycle(call, id, verb)
        }
        _ => Err(key(404, "notFound")),
    }
}

fn shown(account: &SiteAccount) -> Value {
    let profile = &account.profile;
    let mut extended = Map::new();
    for (field, value) in [
        ("job_title", &profile.job_title),
        ("department", &profile.department),
        ("organization", &profile.organization),
        ("location", &profile.location),
    ] {
        if let Some(value) = value {
            extended.insert(field.into(), value.as_str().into());
        }
    }
    let first = account.display_name.chars().take(30).collect::<String>();
    json!({
        "account_id": account.account_id,
        "account_type": account.account_type,
        "account_status": account.account_status,
        "name": account.display_name,
        "nickname": profile.nickname.as_deref().unwrap_or(&first),
        "email": account.email.as_deref().unwrap_or_default(),
        "picture": "https://avatars.example/initials/0.png",
        "zoneinfo": account.time_zone,
        "locale": profile.locale.as_deref().unwrap_or("en-US"),
        "extended_profile": extended,
        "characteristics": {"not_mentionable": false},
    })
}

fn privileges(call: &Call<'_>, id: &str) -> Answer {
    let world = call.state.world();
    let account = target(&world.atlassian, id)?;
    let asked: Vec<&str> = call.request.query.all("privileges").flat_map(|p| p.split(',')).collect();
    let fields: Map<String, Value> =
        FIELDS.iter().map(|field| ((*field).to_owned(), rule(account))).collect();
    let allowed = json!({"allowed": true});
    let all = [
        ("profile", Value::Object(fields.clone())),
        ("profile.write", Value::Object(fields)),
        ("profile.read", allowed.clone()),
        ("email.set", rule(account)),
        ("lifecycle.enablement", rule(account)),
        ("lifecycle.delete", rule(account)),
        ("apiToken.read", allowed.clone()),
        ("apiToken.delete", allowed),
    ];
    let shown: Map<String, Value> = all
        .into_iter()
        .filter(|(name, _)| asked.is_empty() || asked.contains(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(Reply::json(200, shown.into()))
}

fn body(call: &Call<'_>) -> Result<Map<String, Value>, Reply> {
    object(call.request.headers, call.request.body).map_err(|_| key(400, "bodyParseFailure"))
}

fn patch(call: &Call<'_>, id: &str) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let account = target(world, id)?;
    let body = body(call)?;
    if account.synced {
        let context: Map<String, Value> = body.keys().map(|field| (field.clone(), rule(account))).collect();
        return Err(Reply::json(403, json!({"key": "forbidden.fieldMutation", "context": context})));
    }
    let mut violations = Vec::new();
    for (field, most) in [("name", 100), ("nickname", 30)] {
        let Some(value) = body.get(field) else { continue };
        let length = value.as_str().map_or(0, |text| text.chars().count());
        if length == 0 || length > most {
            let broken = if length == 0 { "minLength" } else { "maxLength" };
            violations.push(json!({"field": field, "violations": [{"key": broken}]}));
        }
    }
    if !violations.is_empty() {
        let context = json!({"fieldViolations": violations});
        return Err(Reply::json(400, json!({"key": "fieldConstraintsViolated", "context": context})));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let change = |a: &mut SiteAccount| {
        for (field, value) in &body {
            match field.as_str() {
                "name" => a.display_name = text(value).unwrap_or_default(),
                "nickname" => a.profile.nickname = text(value),
                "zoneinfo" => a.time_zone = text(value).unwrap_or_default(),
                "locale" => a.profile.locale = text(value),
                "extended_profile" => {
                    for (field, value) in value.as_object().into_iter().flatten() {
                        match field.as_str() {
                            "job_title" => a.profile.job_title = text(value),
                            "department" => a.profile.department = text(value),
                            "organization" => a.profile.organization = text(value),
                            "location" => a.profile.location = text(value),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    };
    world.update_account(id, change).map_err(|_| key(404, "accountNotFound"))?;
    Ok(Reply::json(200, json!({"account": shown(target(world, id)?)})))
}

/// Refuses an action on an account that an identity provider owns.
fn require_action(account: &SiteAccount) -> Result<(), Reply> {
    if account.synced {
        return Err(Reply::json(403, json!({"key": "forbidden.action", "context": rule(account)})));
    }
    Ok(())
}

fn email(call: &Call<'_>, id: &str) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    require_action(target(world, id)?)?;
    let body = body(call)?;
    let new = body.get("email").and_then(Value::as_str).ok_or_else(|| key(400, "bodyParseFailure"))?;
    let domain = new.rsplit('@').next().unwrap_or_default().to_lowercase();
    if !world.verified_domains.contains(&domain) {
        return Err(Reply::json(
            403,
            json!({"key": "forbidden.unclaimedDomain", "context": {"domain": domain}}),
        ));
    }
    if world.by_email(new).any(|other| other.account_id != id) {
        let context =
            json!({"fieldViolations": [{"field": "email", "violations": [{"key": "alreadyInUse"}]}]});
        return Err(Reply::json(400, json!({"key": "fieldConstraintsViolated", "context": context})));
    }
    world.update_account(id, |a| a.email = Some(new.to_owned())).map_err(|_| key(404, "accountNotFound"))?;
    Ok(Reply::empty(204))
}

fn conflict(id: &str, code: &str, message: &str) -> Reply {
    let context =
        json!({"accountId": id, "message": message, "errorCodes": [{"code": code, "message": message}]});
    Reply::json(409, json!({"key": "conflict.lifecycleErrors", "context": context}))
}

fn lifecycle(call: &Call<'_>, id: &str, verb: &str) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let account = target(world, id)?;
    require_action(account)?;
    let inactive = account.account_status == "inactive";
    if verb == "disable" && inactive {
        return Err(conflict(id, "alreadyInactive", "The account is already deactivated."));
    }
    if verb == "enable" && !inactive {
        return Err(conflict(id, "alreadyActive", "The account is active."));
    }
    if verb == "delete" && account.for_deletion {
        return Err(conflict(id, "alreadyPendingDeletion", "The account is already to be deleted."));
    }
    let now = call.now;
    let change = |a: &mut SiteAccount| match verb {
        "disable" => {
            a.account_status = "inactive".into();
            a.deactivated_on = Some(now);
        }
        "enable" => {
            a.account_status = "active".into();
            a.deactivated_on = None;
        }
        "delete" => {
            a.for_deletion = true;
            a.account_status = "inactive".into();
        }
        _ => {
            a.for_deletion = false;
            a.account_status = "active".into();
        }
    };
    world.update_account(id, change).map_err(|_| key(404, "accountNotFound"))?;
    if verb == "disable" || verb == "enable" {
        return Ok(Reply::empty(204));
    }
    Ok(Reply::json(200, json!({"message": "Success"})))
}
