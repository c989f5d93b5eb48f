//! Users and groups as Jira shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Call;
use crate::world::atlassian::lag_view;
use crate::world::atlassian::{Atlassian, JiraGroup, SiteAccount, SiteProduct};

/// How much of a user is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// In lists.
    Plain,
    /// By itself: with the wrappers of groups and application roles.
    Full,
}

/// An address in a query.
pub(super) fn link(base: &str, path: &str, name: &str, value: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    format!("{base}/{path}?{query}")
}

fn avatars(account_id: &str) -> Value {
    let hash = account_id.bytes().fold(7_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b))) % 6;
    let url = |size: u32| format!("https://avatars.example/initials/{hash}.png?size={size}");
    json!({"16x16": url(16), "24x24": url(24), "32x32": url(32), "48x48": url(48)})
}

/// Whether a hidden address is shown as `null`; otherwise the field is missing. Fixed for each account.
fn hides_as_null(account_id: &str) -> bool {
    account_id.bytes().fold(0_u8, u8::wrapping_add) % 2 == 1
}

/// A user. Accounts that are closed, and those that a broken service serves in the fallback form, show nothing of the
/// person.
pub(super) fn user(call: &Call<'_>, world: &Atlassian, account: &SiteAccount, detail: Detail) -> Value {
    let faceless =
        account.account_status == "closed" || world.quirks.fallback_accounts.contains(&account.account_id);
    let mut shown = json!({
        "self": link(call.base, "user", "accountId", &account.account_id),
        "accountId": account.account_id,
        "accountType": account.account_type,
        "avatarUrls": avatars(&account.account_id),
        "displayName": if faceless { "Former user" } else { account.display_name.as_str() },
        "active": account.active() && !faceless,
    });
    if !faceless {
        shown["timeZone"] = account.time_zone.as_str().into();
        let own = call.account == Some(account.account_id.as_str());
        match &account.email {
            Some(email) if account.email_visible || own => shown["emailAddress"] = email.as_str().into(),
            Some(_) if hides_as_null(&account.account_id) => shown["emailAddress"] = Value::Null,
            _ => {}
        }
    }
    if detail == Detail::Full {
        if !faceless {
            shown["locale"] = "en_US".into();
        }
        let groups = groups_of(call, world, &account.account_id);
        let roles: Vec<&SiteProduct> =
            world.products_of(&account.account_id).into_iter().filter(|p| p.key != "confluence").collect();
        let expand = |what: &str, items: Vec<Value>| {
            let size = items.len();
            json!({"size": size, "items": if call.query().expands(what) { items } else { Vec::new() }})
        };
        shown["groups"] = expand("groups", groups.iter().map(|g| group_name(call, g)).collect());
        shown["applicationRoles"] =
            expand("applicationRoles", roles.iter().map(|p| application_role(call, world, p)).collect());
        shown["expand"] = "groups,applicationRoles".into();
    }
    shown
}

/// A user in a list of members: the same without what only `User` has.
pub(super) fn member(call: &Call<'_>, world: &Atlassian, account: &SiteAccount) -> Value {
    user(call, world, account, Detail::Plain)
}

/// The groups of an account as Jira's reads see them now, by name.
pub(super) fn groups_of<'w>(call: &Call<'_>, world: &'w Atlassian, account_id: &str) -> Vec<&'w JiraGroup> {
    let lag = call.lag();
    let seen = lag_view(call.now, lag.membership_lag_ms);
    let mut groups: Vec<&JiraGroup> = world
        .group_ids_at(account_id, seen)
        .iter()
        .filter_map(|id| world.groups.get(id))
        .filter(|g| world.known_at(&g.group_id, lag_view(call.now, lag.group_lag_ms)))
        .collect();
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups
}

/// `{name, groupId, self}`.
pub(super) fn group_name(call: &Call<'_>, group: &JiraGroup) -> Value {
    json!({
        "name": group.name,
        "groupId": group.group_id,
        "self": link(call.base, "group", "groupId", &group.group_id),
    })
}

/// A product of Jira with its groups and seats.
pub(super) fn application_role(call: &Call<'_>, world: &Atlassian, product: &SiteProduct) -> Value {
    let details = |names: &std::collections::BTreeSet<String>| -> Vec<Value> {
        names.iter().filter_map(|name| world.group_by_name(name)).map(|g| group_name(call, g)).collect()
    };
    let used = world.seats_used(&product.key);
    json!({
        "key": product.key,
        "name": product.name,
        "groups": product.groups,
        "groupDetails": details(&product.groups),
        "defaultGroups": product.default_groups,
        "defaultGroupsDetails": details(&product.default_groups),
        "selectedByDefault": false,
        "defined": false,
        "numberOfSeats": product.seats.map_or(-1, |seats| i64::try_from(seats).unwrap_or(i64::MAX)),
        "remainingSeats": product.seats.map_or(-1, |seats| i64::try_from(seats.saturating_sub(used)).unwrap_or(i64::MAX)),
        "userCount": used,
        "userCountDescription": if used == 1 { "1 user".to_owned() } else { format!("{used} users") },
        "hasUnlimitedSeats": product.seats.is_none(),
        "platform": product.key == "jira-core",
    })
}

/// A time as Jira writes it: `2026-11-23T19:05:11.000+0000`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}
