//! Members of groups: list, add, remove; one by one, there is no bulk.

use serde_json::{Value, json};

use super::groups::{require_view, shown, wanted, wanted_by_reader};
use super::render::member;
use super::{Call, UNKNOWN_USER};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{JiraGroup, SeatForm, SeatRefusal, SiteAccount, lag_view};

/// The default page of members is also the largest.
const MOST: usize = 50;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let (start, size) = (call.start_at()?, call.page_size(MOST, MOST)?);
    let world = call.state.world();
    let world = &world.atlassian;
    require_view(call, world)?;
    let group = wanted_by_reader(call, world)?;
    let with_inactive = call.query().flag("includeInactiveUsers");
    let members = world.members_at(&group.group_id, lag_view(call.now, call.lag().membership_lag_ms));
    let counted = |id: &&String| world.accounts.get(*id).is_some_and(|a| with_inactive || a.active());
    let total = if with_inactive { members.len() } else { world.active_among(&members) };
    let values: Vec<Value> = members
        .iter()
        .filter(counted)
        .skip(start)
        .take(size)
        .filter_map(|id| world.accounts.get(id))
        .map(|a: &SiteAccount| member(call, world, a))
        .collect();
    Ok(call.page(&values, start, size, total))
}

/// The refusal when a product has no seat left. Where it names the product, then by its resource id, which need not be
/// Jira's.
pub(super) fn licence_exceeded(refusal: &SeatRefusal, form: SeatForm) -> Reply {
    match form {
        SeatForm::Licence => Reply::jira(
            400,
            format!(
                "com.atlassian.crowd.exception.LicenceExceededException: Licence exceeded for: {}",
                refusal.resource
            ),
        ),
        SeatForm::Hystrix => Reply::jira(
            500,
            "HystrixRuntimeException: AddUserToGroupsIdentityPlatformCommand failed and no fallback available.",
        ),
        SeatForm::Conflict => conflict("ADMIN-UAM-409-3", "Licence Limit Exceeded", &refusal.resource),
    }
}

fn conflict(code: &str, title: &str, detail: &str) -> Reply {
    let item = json!({"id": "1", "status": "409", "code": code, "title": title, "detail": detail});
    Reply::json(409, json!({ "errors": [item] }))
}

fn refuse_external(group: &JiraGroup) -> Result<(), Reply> {
    if group.external {
        return Err(Reply::jira(
            400,
            format!(
                "The group '{}' is managed by an identity provider; its members cannot be changed here.",
                group.name
            ),
        ));
    }
    Ok(())
}

pub(super) fn add(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    call.require_site_admin(world)?;
    let body = call.body()?;
    let group = wanted(call, world)?;
    let account_id = body.get("accountId").and_then(Value::as_str).unwrap_or_default();
    if account_id.is_empty() {
        return Err(Reply::jira(400, "The accountId must be specified."));
    }
    let account = world
        .accounts
        .get(account_id)
        .filter(|a| a.in_directory() && a.account_status != "closed")
        .ok_or_else(|| Reply::jira(404, UNKNOWN_USER))?;
    refuse_external(group)?;
    if account.account_type == "customer" {
        return Err(Reply::jira(400, "Cannot add user. Portal-only customers cannot be added to groups"));
    }
    if group.members.contains(account_id) {
        if world.quirks.already_a_member_answers_409 {
            return Err(conflict("ADMIN-UAM-409-2", "Conflict", "The user is in the group."));
        }
        return Err(Reply::jira(400, "Cannot add user. User is already a member of '{1}'"));
    }
    let form = world.quirks.seats_refused_as;
    world.check_seats(&group.name, account).map_err(|refusal| licence_exceeded(&refusal, form))?;
    let group_id = group.group_id.clone();
    world.set_member(&group_id, account_id, call.now).map_err(|e| Reply::jira(500, e))?;
    Ok(Reply::json(201, shown(call, world, &world.groups[&group_id], None)))
}

pub(super) fn remove(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    call.require_site_admin(world)?;
    let group = wanted(call, world)?;
    let account_id = call
        .query()
        .get("accountId")
        .ok_or_else(|| Reply::jira(400, "The 'accountId' query parameter needs to be provided"))?;
    let account = world
        .accounts
        .get(account_id)
        .filter(|a| a.in_roll())
        .ok_or_else(|| Reply::jira(404, UNKNOWN_USER))?;
    refuse_external(group)?;
    if !group.members.contains(account_id) {
        if world.quirks.removing_a_non_member_is_fine {
            return Ok(Reply::empty(200));
        }
        let (who, name) = (&account.display_name, &group.name);
        return Err(Reply::jira(
            400,
            format!("Cannot remove user '{who}' from group '{name}' since user is not a member of '{name}'"),
        ));
    }
    let group_id = group.group_id.clone();
    world.unset_member(&group_id, account_id, call.now).map_err(|e| Reply::jira(500, e))?;
    Ok(Reply::empty(200))
}
