//! The Jira side of a generated world.

use std::collections::BTreeSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::credentials::{account_id, api_key, api_token};
use super::{GenerateOptions, happens};
use crate::state::uuid_from;
use crate::world::atlassian::{Atlassian, JiraGroup, SiteAccount, SiteProduct};
use crate::world::tenant::EntraUser;

/// A group that people made by hand on the site, and whose name a directory group bears as well.
pub(super) const TAKEN_GROUP: &str = "Project Apollo";

/// Name of the group that gives Jira to everybody.
pub(super) const JIRA_USERS: &str = "jira-software-users";

/// Groups of a new site: name and what membership gives.
const GROUPS: [(&str, &[&str]); 7] = [
    ("site-admins", &["site-admin"]),
    ("org-admins", &["site-admin"]),
    ("jira-administrators", &["admin"]),
    (JIRA_USERS, &["user"]),
    ("jira-servicemanagement-users", &["user"]),
    ("confluence-users", &["user"]),
    ("atlassian-addons-admin", &["admin"]),
];

/// Groups that the administrator's account is in.
const ADMIN_GROUPS: [&str; 4] = ["site-admins", "org-admins", "jira-administrators", JIRA_USERS];

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A site with its administrator, default groups and products.
pub(super) fn empty(domain: &str, people: usize, rng: &mut ChaCha8Rng) -> Atlassian {
    let admin = SiteAccount {
        account_id: account_id(rng),
        email: Some(format!("sync-bot@{domain}")),
        display_name: "Sync Bot".into(),
        managed: true,
        org_admin: true,
        ..SiteAccount::default()
    };
    let mut site = Atlassian {
        organization_id: uuid_from(rng),
        directory_id: uuid_from(rng),
        cloud_id: uuid_from(rng),
        site_name: domain.split('.').next().unwrap_or("acme").to_owned(),
        api_tokens: vec![api_token(rng, &admin.account_id)],
        api_keys: vec![api_key(rng)],
        verified_domains: BTreeSet::from([domain.to_owned()]),
        ..Atlassian::default()
    };
    for (name, access) in GROUPS {
        let member = ADMIN_GROUPS.contains(&name).then(|| admin.account_id.clone());
        add_group(&mut site, name, access, member.into_iter().collect(), rng);
    }
    site.accounts.insert(admin.account_id.clone(), admin);
    let seats = u64::try_from(people + people / 5 + 25).unwrap_or(u64::MAX);
    let product = |key: &str, name: &str, seats, groups: &[&str], default_groups: &[&str]| SiteProduct {
        key: key.into(),
        name: name.into(),
        seats,
        groups: set(groups),
        default_groups: set(default_groups),
    };
    site.products = vec![
        product("jira-software", "Jira", Some(seats), &[JIRA_USERS, "jira-administrators"], &[JIRA_USERS]),
        product(
            "jira-servicedesk",
            "Jira Service Management",
            Some(10),
            &["jira-servicemanagement-users"],
            &["jira-servicemanagement-users"],
        ),
        product("confluence", "Confluence", None, &["confluence-users"], &["confluence-users"]),
    ];
    site
}

pub(super) fn add_group(
    site: &mut Atlassian,
    name: &str,
    access: &[&str],
    members: BTreeSet<String>,
    rng: &mut ChaCha8Rng,
) {
    let group = JiraGroup {
        group_id: uuid_from(rng),
        name: name.into(),
        access: set(access),
        members,
        ..JiraGroup::default()
    };
    site.groups.insert(group.group_id.clone(), group);
}

/// Adds members to the group of that name.
pub(super) fn join(site: &mut Atlassian, name: &str, members: impl IntoIterator<Item = String>) {
    if let Some(group) = site.groups.values_mut().find(|group| group.name == name) {
        group.members.extend(members);
    }
}

/// Apps that every site has.
pub(super) fn add_apps(site: &mut Atlassian, rng: &mut ChaCha8Rng) {
    for name in ["Automation for Jira", "Slack", "Jira Outlook"] {
        let id = account_id(rng);
        join(site, "atlassian-addons-admin", [id.clone()]);
        let app = SiteAccount {
            account_id: id.clone(),
            account_type: "app".into(),
            display_name: name.into(),
            ..SiteAccount::default()
        };
        site.accounts.insert(id, app);
    }
}

/// People of the directory who have accounts already, portal customers, apps, and a group made by hand.
pub(super) fn settle(
    site: &mut Atlassian,
    people: &[EntraUser],
    options: &GenerateOptions,
    rng: &mut ChaCha8Rng,
) {
    let mut settled = Vec::new();
    for (number, person) in people.iter().enumerate() {
        let employee = person.user_type.as_deref() == Some("Member");
        let Some(email) = person.mail.clone().filter(|_| employee) else { continue };
        if !happens(options.in_jira, rng) {
            continue;
        }
        // Accounts of before 2019 have ids without a colon.
        let id = if number % 7 == 0 {
            format!("5{:07x}{:016x}", number, rng.random::<u64>())
        } else {
            account_id(rng)
        };
        settled.push(id.clone());
        let account = SiteAccount {
            account_id: id.clone(),
            email: Some(email),
            email_visible: !happens(40, rng),
            display_name: person.display_name.clone().unwrap_or_default(),
            managed: true,
            time_zone: pick_zone(number).into(),
            account_status: if number % 97 == 96 { "inactive".into() } else { "active".into() },
            ..SiteAccount::default()
        };
        site.accounts.insert(id, account);
    }
    let by_hand: BTreeSet<String> = settled.iter().step_by(9).cloned().collect();
    if options.clashes {
        add_group(site, TAKEN_GROUP, &["user"], by_hand, rng);
    }
    join(site, JIRA_USERS, settled);
    for number in 0..people.len() / 50 + 2 {
        let id = format!("qm:{}:{number}", uuid_from(rng));
        let customer = SiteAccount {
            account_id: id.clone(),
            account_type: "customer".into(),
            email: Some(format!("customer{number}@clients.example")),
            display_name: format!("Customer {number}"),
            ..SiteAccount::default()
        };
        site.accounts.insert(id, customer);
    }
    add_apps(site, rng);
}

fn pick_zone(number: usize) -> &'static str {
    ["Europe/Berlin", "Europe/Lisbon", "Africa/Nairobi", "America/Toronto", "Asia/Tokyo"][number % 5]
}
