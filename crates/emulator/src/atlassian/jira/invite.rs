//! `POST /user`: invites a person to the site, or finds that there is nothing to do, or refuses. Which, the state of the
//! address decides.

use serde_json::Value;

use super::Call;
use super::render::{Detail, user};
use crate::atlassian::auth;
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteAccount};

const PRODUCTS: &[&str] = &["jira-core", "jira-servicedesk", "jira-product-discovery", "jira-software"];

pub(super) fn create(call: &Call<'_>) -> Answer {
    let mut world = call.state.world_mut();
    let world = &mut world.atlassian;
    let own = call.account()?;
    if !auth::is_admin(world, own) {
        return Err(Reply::jira(403, "You do not have the permission to administer Jira."));
    }
    if !world.accounts.get(own).is_some_and(|a| a.org_admin) {
        return Err(Reply::jira(403, "You must be an organization admin to invite users."));
    }
    let body = call.body()?;
    let email = body.get("emailAddress").and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if email.is_empty() {
        return Err(Reply::field(400, "emailAddress", "You must specify an email address."));
    }
    if !is_address(email) {
        return Err(Reply::field(400, "emailAddress", "You must specify a valid email address."));
    }
    let products = products(world, body.get("products"))?;
    let known = world.by_email(email).next().cloned();
    match known {
        None => invite_new(call, world, email, &products),
        Some(account) if account.account_status != "active" => Err(without_access(email)),
        Some(account) if account.membership_status == "suspended" => Err(without_access(email)),
        Some(account) if !account.in_directory() => invite_back(call, world, &account, &products),
        Some(account) => {
            let has_jira = world.products_of(&account.account_id).iter().any(|p| p.key != "confluence");
            if account.invited {
                world.invitations.push(email.to_owned());
            }
            if has_jira || account.invited {
                return Ok(Reply::json(201, user(call, world, &account, Detail::Full)));
            }
            Err(without_access(email))
        }
    }
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.contains('@')
            && !text.chars().any(char::is_whitespace)
    })
}

fn products(world: &Atlassian, value: Option<&Value>) -> Result<Vec<String>, Reply> {
    let Some(list) = value.and_then(Value::as_array) else {
        return Err(Reply::jira(400, "You must specify the products that user can access."));
    };
    let mut keys = Vec::new();
    for item in list {
        let key = item.as_str().unwrap_or_default();
        if !PRODUCTS.contains(&key) || !world.products.iter().any(|p| p.key == key) {
            return Err(Reply::jira(400, format!("Invalid product: {key}")));
        }
        keys.push(key.to_owned());
    }
    Ok(keys)
}

fn without_access(email: &str) -> Reply {
    Reply::jira(
        400,
        format!(
            "User could not be created: a user with the email address {email} already exists but does not have access to Jira"
        ),
    )
}

/// The default groups of the products, or the refusal of the first one without a seat.
fn landing_groups(
    world: &Atlassian,
    account: &SiteAccount,
    products: &[String],
) -> Result<Vec<String>, Reply> {
    let mut groups = Vec::new();
    for product in world.products.iter().filter(|p| products.contains(&p.key)) {
        for name in &product.default_groups {
            let form = world.quirks.seats_refused_as;
            world
                .check_seats(name, account)
                .map_err(|refusal| super::members::licence_exceeded(&refusal, form))?;
            if let Some(group) = world.group_by_name(name)
                && !groups.contains(&group.group_id)
            {
                groups.push(group.group_id.clone());
            }
        }
    }
    Ok(groups)
}

fn join(call: &Call<'_>, world: &mut Atlassian, account_id: &str, groups: &[String]) -> Result<(), Reply> {
    for group in groups {
        world.set_member(group, account_id, call.now).map_err(|e| Reply::jira(500, e))?;
    }
    Ok(())
}

fn invite_new(call: &Call<'_>, world: &mut Atlassian, email: &str, products: &[String]) -> Answer {
    let domain = email.rsplit('@').next().unwrap_or_default().to_lowercase();
    let account = SiteAccount {
        account_id: format!("712020:{}", call.state.uuid()),
        email: Some(email.to_owned()),
        display_name: email.to_owned(),
        managed: world.verified_domains.contains(&domain),
        invited: true,
        ..SiteAccount::default()
    };
    let groups = landing_groups(world, &account, products)?;
    let id = account.account_id.clone();
    world.add_account_at(account, call.now).map_err(|e| Reply::jira(500, e))?;
    world.invitations.push(email.to_owned());
    join(call, world, &id, &groups)?;
    if world.quirks.invite_answers_not_found {
        return Err(Reply::jira(
            400,
            "User could not be created: Failed to add user HttpErrorCode 404 - User not found",
        ));
    }
    let account = &world.accounts[&id];
    Ok(Reply::json(201, user(call, world, account, Detail::Full)))
}

/// Somebody known to Atlassian who is not on the site, or not any more: the old account comes (back).
fn invite_back(call: &Call<'_>, world: &mut Atlassian, account: &SiteAccount, products: &[String]) -> Answer {
    let id = account.account_id.as_str();
    let will_be = SiteAccount { membership_status: "active".into(), ..account.clone() };
    let groups = landing_groups(world, &will_be, products)?;
    let broken = account.former && world.quirks.invite_of_former_answers_500;
    world
        .update_account(id, |a| {
            a.membership_status = "active".into();
            a.former = false;
            a.invited = true;
        })
        .map_err(|e| Reply::jira(500, e))?;
    world.births.insert(id.to_owned(), call.now);
    world.invitations.extend(account.email.clone());
    join(call, world, id, &groups)?;
    if broken {
        return Err(Reply::jira(500, "Internal server error"));
    }
    let account = &world.accounts[id];
    Ok(Reply::json(201, user(call, world, account, Detail::Full)))
}
