//! World files: a tenant and a site in JSON or TOML, by the ending of the name. `docs/emulator.md` describes them.
//!
//! What is not given gets a default that follows from the seed: ids, an application with a secret, an administrator with
//! a token, the groups and products of a new site. References may be written by id, or by user principal name, group name
//! or e-mail, whichever a person would rather write. Duplicates and references to nothing are errors that name the place.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::World;
use super::atlassian::{ApiToken, Atlassian, JiraGroup, Quirks, SiteAccount, SiteProduct, SiteProject};
use super::generate::{account_id, application, beginning, client_secret, empty_site};
use super::tenant::{Application, ClientSecret, EntraGroup, EntraUser, Member, Tenant};
use crate::state::uuid_from;

/// A world as it is written in a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldFile {
    /// The Microsoft side.
    pub tenant: TenantFile,
    /// The Atlassian side.
    pub atlassian: AtlassianFile,
}

/// The Microsoft side.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantFile {
    /// The tenant id; from the seed when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `acme.example` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Application registrations; one with a secret and the least roles when empty.
    pub applications: Vec<Application>,
    /// Users.
    pub users: Vec<EntraUser>,
    /// Groups with their members.
    pub groups: Vec<EntraGroup>,
}

/// The Atlassian side.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AtlassianFile {
    /// From the seed when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// From the seed when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// From the seed when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_id: Option<String>,
    /// The first label of the domain when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_name: Option<String>,
    /// The tenant's domain when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_domains: Option<BTreeSet<String>>,
    /// One when empty.
    pub api_keys: Vec<String>,
    /// Keys with scopes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scoped_keys: BTreeMap<String, BTreeSet<String>>,
    /// Projects of Jira.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<SiteProject>,
    /// One, of the administrator that every site gets, when empty.
    pub api_tokens: Vec<ApiToken>,
    /// Those of a new site when empty.
    pub products: Vec<SiteProduct>,
    /// Behaviours that some tenants show.
    pub quirks: Quirks,
    /// Accounts. With no `api_tokens`, an administrator with one comes on top.
    pub accounts: Vec<SiteAccount>,
    /// Groups with their members. With no `api_tokens`, those of a new site come on top of them.
    pub groups: Vec<JiraGroup>,
}

/// Reads a world file.
pub fn load(path: &Path, seed: u64) -> Result<World, String> {
    let file: WorldFile = read_document(path)?;
    build(file, seed).map_err(|e| format!("{}: {e}", path.display()))
}

/// Makes the world that a file describes. The error names the place.
pub fn build(file: WorldFile, seed: u64) -> Result<World, String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let domain = file.tenant.domain.clone().unwrap_or_else(|| "acme.example".into());
    let people = file.tenant.users.len();
    let tenant = tenant(file.tenant, &domain, &mut rng)?;
    let atlassian = atlassian(file.atlassian, &domain, people, &mut rng)?;
    Ok(World { tenant, atlassian })
}

fn tenant(file: TenantFile, domain: &str, rng: &mut ChaCha8Rng) -> Result<Tenant, String> {
    let at = beginning();
    let mut tenant = Tenant {
        id: file.id.unwrap_or_else(|| uuid_from(rng)),
        domain: domain.to_owned(),
        ..Tenant::default()
    };
    let applications = if file.applications.is_empty() { vec![application(rng)] } else { file.applications };
    for (index, mut app) in applications.into_iter().enumerate() {
        fill_id(&mut app.client_id, rng);
        fill_id(&mut app.object_id, rng);
        if app.secrets.is_empty() && app.certificates.is_empty() && app.federated.is_empty() {
            app.secrets.push(ClientSecret { value: client_secret(rng), expires: None });
        }
        let id = app.client_id.clone();
        if tenant.applications.insert(id.clone(), app).is_some() {
            return Err(format!("tenant.applications[{index}]: there is already an application {id}"));
        }
    }
    let mut users = file.users;
    for user in &mut users {
        fill_id(&mut user.id, rng);
    }
    let by_name: HashMap<String, String> =
        users.iter().map(|u| (u.user_principal_name.to_lowercase(), u.id.clone())).collect();
    let mut managers = Vec::new();
    for (index, mut user) in users.into_iter().enumerate() {
        if let Some(manager) = user.manager.take() {
            managers.push((
                index,
                user.id.clone(),
                by_name.get(&manager.to_lowercase()).cloned().unwrap_or(manager),
            ));
        }
        tenant.add_user(user, at).map_err(|e| format!("tenant.users[{index}]: {e}"))?;
    }
    for (index, user, manager) in managers {
        if !tenant.users.contains_key(&manager) {
            return Err(format!("tenant.users[{index}].manager: there is no user {manager}"));
        }
        if let Some(user) = tenant.users.get_mut(&user) {
            user.manager = Some(manager);
        }
    }
    groups(&mut tenant, file.groups, &by_name, rng)?;
    let groups: Vec<(String, String)> = tenant
        .groups
        .values()
        .filter_map(|group| Some((group.display_name.clone()?, group.id.clone())))
        .collect();
    for (index, app) in tenant.applications.values_mut().enumerate() {
        for member in &mut app.assigned {
            match member {
                Member::User(who) => {
                    if let Some(id) = by_name.get(&who.to_lowercase()) {
                        who.clone_from(id);
                    }
                }
                Member::Group(which) if !tenant.groups.contains_key(which) => {
                    let mut named = groups.iter().filter(|(name, _)| name == which).map(|(_, id)| id.clone());
                    if let (Some(id), None) = (named.next(), named.next()) {
                        *which = id;
                    }
                }
                _ => {}
            }
            if !tenant.users.contains_key(member.id()) && !tenant.groups.contains_key(member.id()) {
                return Err(format!(
                    "tenant.applications[{index}].assigned: there is no object {}",
                    member.id()
                ));
            }
        }
    }
    tenant.log.clear();
    Ok(tenant)
}

fn groups(
    tenant: &mut Tenant,
    mut groups: Vec<EntraGroup>,
    users: &HashMap<String, String>,
    rng: &mut ChaCha8Rng,
) -> Result<(), String> {
    let at = beginning();
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in &mut groups {
        fill_id(&mut group.id, rng);
        by_name.entry(group.display_name.clone().unwrap_or_default()).or_default().push(group.id.clone());
    }
    let mut links = Vec::new();
    for (index, mut group) in groups.into_iter().enumerate() {
        links.push((index, group.id.clone(), std::mem::take(&mut group.members)));
        tenant.add_group(group, at).map_err(|e| format!("tenant.groups[{index}]: {e}"))?;
    }
    for (index, group, members) in links {
        for member in members {
            let place = |e: String| format!("tenant.groups[{index}].members: {e}");
            let member = match member {
                Member::User(id) => Member::User(users.get(&id.to_lowercase()).cloned().unwrap_or(id)),
                Member::Group(name) if !tenant.groups.contains_key(&name) => {
                    match by_name.get(&name).map(Vec::as_slice) {
                        Some([id]) => Member::Group(id.clone()),
                        Some(_) => {
                            return Err(place(format!("several groups are named {name:?}: give the id")));
                        }
                        None => return Err(place(format!("there is no group {name:?}"))),
                    }
                }
                other => other,
            };
            tenant.add_member(&group, member, at).map_err(place)?;
        }
    }
    Ok(())
}

fn atlassian(
    file: AtlassianFile,
    domain: &str,
    people: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Atlassian, String> {
    let mut site = empty_site(domain, people, rng);
    set(&mut site.organization_id, file.organization_id);
    set(&mut site.directory_id, file.directory_id);
    set(&mut site.cloud_id, file.cloud_id);
    set(&mut site.site_name, file.site_name);
    set(&mut site.verified_domains, file.verified_domains);
    site.quirks = file.quirks;
    if !file.api_keys.is_empty() {
        site.api_keys = file.api_keys;
    }
    site.scoped_keys = file.scoped_keys;
    if !file.api_tokens.is_empty() {
        // A file with tokens of its own tells of the whole site.
        site.api_tokens.clear();
        site.accounts.clear();
        site.groups.clear();
    }
    let mut defaults: BTreeSet<String> = site.groups.keys().cloned().collect();
    let mut by_email: HashMap<String, Vec<String>> = HashMap::new();
    for (index, mut account) in file.accounts.into_iter().enumerate() {
        if account.account_id.is_empty() {
            account.account_id = account_id(rng);
        }
        one_of("account_type", &account.account_type, &["atlassian", "app", "customer", "unknown"])
            .and_then(|()| {
                one_of("account_status", &account.account_status, &["active", "inactive", "closed"])
            })
            .and_then(|()| {
                one_of(
                    "membership_status",
                    &account.membership_status,
                    &["active", "suspended", "no_membership"],
                )
            })
            .map_err(|e| format!("atlassian.accounts[{index}].{e}"))?;
        if let Some(email) = &account.email {
            by_email.entry(email.to_lowercase()).or_default().push(account.account_id.clone());
        }
        site.add_account(account).map_err(|e| format!("atlassian.accounts[{index}]: {e}"))?;
    }
    let resolve = |who: &str, known: &BTreeMap<String, SiteAccount>| {
        if known.contains_key(who) {
            return Ok(who.to_owned());
        }
        match by_email.get(&who.to_lowercase()).map(Vec::as_slice) {
            Some([id]) => Ok(id.clone()),
            Some(_) => Err(format!("several accounts have the address {who}: give the id")),
            None => Err(format!("there is no account {who}")),
        }
    };
    for (index, mut group) in file.groups.into_iter().enumerate() {
        let place = |e: String| format!("atlassian.groups[{index}]: {e}");
        fill_id(&mut group.group_id, rng);
        let members = std::mem::take(&mut group.members);
        for member in members {
            group.members.insert(resolve(&member, &site.accounts).map_err(place)?);
        }
        // A group of a new site that the file tells of is the file's.
        let there = site.groups.values().find(|g| g.name.eq_ignore_ascii_case(&group.name));
        if let Some(there) = there.map(|g| g.group_id.clone()) {
            let old = if defaults.remove(&there) { site.groups.remove(&there) } else { None };
            let Some(old) = old else {
                return Err(place(format!("there is already a group named {:?}", group.name)));
            };
            group.members.extend(old.members);
        }
        site.add_group(group).map_err(place)?;
    }
    for (index, mut token) in file.api_tokens.into_iter().enumerate() {
        let place = |e: String| format!("atlassian.api_tokens[{index}].account_id: {e}");
        token.account_id = resolve(&token.account_id, &site.accounts).map_err(place)?;
        site.api_tokens.push(token);
    }
    for (index, mut project) in file.projects.into_iter().enumerate() {
        let place = |e: String| format!("atlassian.projects[{index}]: {e}");
        if project.key.is_empty() || site.projects.iter().any(|p: &SiteProject| p.key == project.key) {
            return Err(place(format!("key {:?} is empty, or there twice", project.key)));
        }
        project.lead = resolve(&project.lead, &site.accounts).map_err(place)?;
        for component in &mut project.components {
            if let Some(lead) = &mut component.lead {
                *lead = resolve(lead, &site.accounts).map_err(place)?;
            }
        }
        site.projects.push(project);
    }
    if !file.products.is_empty() {
        site.products = file.products;
    }
    let names: BTreeSet<&String> = site.groups.values().map(|group| &group.name).collect();
    for (index, product) in site.products.iter().enumerate() {
        if let Some(unknown) =
            product.groups.union(&product.default_groups).find(|name| !names.contains(name))
        {
            return Err(format!(
                "atlassian.products[{index}] ({}): there is no group {unknown:?}",
                product.key
            ));
        }
    }
    Ok(site)
}

fn one_of(key: &str, value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        Ok(())
    } else {
        Err(format!("{key}: {value:?} is none of {}", known.join(", ")))
    }
}

fn fill_id(id: &mut String, rng: &mut ChaCha8Rng) {
    if id.is_empty() {
        *id = uuid_from(rng);
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// The file that makes this world again, deleted objects and the record of changes left out.
pub fn export(world: &World) -> WorldFile {
    let (tenant, site) = (&world.tenant, &world.atlassian);
    let mut groups: Vec<EntraGroup> = tenant.groups.values().cloned().collect();
    for group in &mut groups {
        // Links to deleted objects are kept for a restore; a file has nothing to restore.
        group.members.retain(|member| match member {
            Member::User(id) => tenant.users.contains_key(id),
            Member::Group(id) => tenant.groups.contains_key(id),
            Member::Device(_) | Member::ServicePrincipal(_) => true,
        });
    }
    WorldFile {
        tenant: TenantFile {
            id: Some(tenant.id.clone()),
            domain: Some(tenant.domain.clone()),
            applications: tenant.applications.values().cloned().collect(),
            users: tenant.users.values().cloned().collect(),
            groups,
        },
        atlassian: AtlassianFile {
            organization_id: Some(site.organization_id.clone()),
            directory_id: Some(site.directory_id.clone()),
            cloud_id: Some(site.cloud_id.clone()),
            site_name: Some(site.site_name.clone()),
            verified_domains: Some(site.verified_domains.clone()),
            api_keys: site.api_keys.clone(),
            scoped_keys: site.scoped_keys.clone(),
            projects: site.projects.clone(),
            api_tokens: site.api_tokens.clone(),
            products: site.products.clone(),
            quirks: site.quirks.clone(),
            accounts: site.accounts.values().cloned().collect(),
            groups: site.groups.values().cloned().collect(),
        },
    }
}

/// Reads a document. The message names the file, and line and key where the format tells them.
pub(crate) fn read_document<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{shown} cannot be read: {e}"))?;
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|e| format!("{shown}: {e}")),
        Some("toml") => toml::from_str(&text).map_err(|e| format!("{shown}: {e}")),
        _ => Err(format!("{shown}: the name must end in .json or .toml")),
    }
}
