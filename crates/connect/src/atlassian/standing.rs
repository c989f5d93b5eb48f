//! The checks that begin a run: is it Jira Cloud, who are we there, what may we do, which groups are privileged, and
//! how many seats are left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use entrain_domain::model::{AccountId, Product, ProductKey, Seats, SiteGroup, SiteGroupId, SiteStanding};
use entrain_domain::{Failure, FailureClass, FailureCode};

use super::Jira;
use super::answers::{self, said};
use super::roll::GROUP_BULK;
use super::wire::{AccountReading, ApplicationRole, GroupName, Permissions, ServerInfo, TenantInfo, User};
use crate::Error;
use crate::http::{Answer, Authorization, Call, Target};

const MYSELF: &str = "/rest/api/3/myself";
const SERVER_INFO: &str = "/rest/api/3/serverInfo";
const MY_PERMISSIONS: &str = "/rest/api/3/mypermissions";
const APPLICATION_ROLE: &str = "/rest/api/3/applicationrole";
const TENANT_INFO: &str = "/_edge/tenant_info";
const GATEWAY: &str = "/ex/jira";

/// Names asked for in one look-up of group ids; keeps the URL short.
const NAMES: usize = 40;

/// What the checks besides `myself` were answered.
struct Answers {
    server: Result<(), Error>,
    permissions: Result<BTreeMap<String, bool>, Error>,
    site_admins: Result<Privileged, Error>,
    admins: Result<Privileged, Error>,
    roles: Result<Option<Vec<ApplicationRole>>, Error>,
}

impl Jira {
    /// The checks that begin a run, in six requests: `myself` first, the other five side by side.
    ///
    /// More only where the site is out of the ordinary: further pages when more than 50 groups grant administration,
    /// a look-up when `applicationrole` names groups without their ids, and the diagnosis of a refused token.
    /// Rights that are missing are findings, not errors, so that all of them can be named at once.
    ///
    /// # Errors
    /// `SiteCredentialRefused`, `SiteTokenScoped`, `SiteNotCloud`, and whatever keeps one of the answers from being
    /// read. `group/bulk?accessType=…` is known to fail with 500 where all else works, and a site may refuse the
    /// parameter; then it is not known which groups these are, and names and products have to tell.
    pub async fn standing(&self) -> Result<SiteStanding, Error> {
        let own = self.myself().await?;
        let answers = self.side_by_side().await;
        self.found(own, answers).await
    }

    /// The same six requests side by side, for somebody who waits: one round trip. A token that is refused is refused
    /// six times by that.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub async fn standing_at_once(&self) -> Result<SiteStanding, Error> {
        let (own, answers) = tokio::join!(self.myself(), self.side_by_side());
        self.found(own?, answers).await
    }

    async fn side_by_side(&self) -> Answers {
        let (server, permissions, site_admins, admins, roles) = tokio::join!(
            self.server_info(),
            self.my_permissions(),
            self.privileged("site-admin"),
            self.privileged("admin"),
            self.roles(),
        );
        Answers { server, permissions, site_admins, admins, roles }
    }

    async fn found(
        &self,
        (own_account, own_groups): (AccountId, OwnGroups),
        answers: Answers,
    ) -> Result<SiteStanding, Error> {
        let Answers { server, permissions, site_admins, admins, roles } = answers;
        server?;
        let permissions = permissions?;
        let held = |key: &str| permissions.get(key).copied();
        let mut administer = held("ADMINISTER");
        let mut browse_users = held("USER_PICKER");
        let (site_admins, admins) = (site_admins?, admins?);
        if matches!(admins, Privileged::Denied) {
            browse_users = Some(false);
        }
        let (site_admins, admins) = (site_admins.shown(), admins.shown());
        let roles = roles?;
        if roles.is_none() {
            administer = Some(false);
        }
        // Every site has such a group; a list without any is no answer.
        let site_admin = site_admins
            .as_ref()
            .filter(|list| !list.is_empty())
            .map(|list| list.iter().any(|group| own_groups.holds(group)));
        let administrative_groups =
            site_admins.iter().chain(&admins).flatten().map(|g| g.id.clone()).collect();
        let products = self.products(roles.unwrap_or_default()).await?;
        Ok(SiteStanding {
            own_account,
            products,
            administrative_groups,
            site_admin,
            administer,
            browse_users,
        })
    }

    async fn myself(&self) -> Result<(AccountId, OwnGroups), Error> {
        let target = Target::new(MYSELF).query("expand", "groups,applicationRoles");
        let answer = self.ask(Call::get(MYSELF, target)).await?;
        match answer.status {
            200 => {}
            401 => return Err(self.why_refused(&answer).await),
            404 => return Err(not_cloud("It answers nothing where Jira would say who we are")),
            _ => return Err(answers::refused_read(&answer, &self.redaction)),
        }
        let user: User = answer.json()?;
        let groups = OwnGroups {
            ids: user.groups.items.iter().filter_map(GroupName::id).collect(),
            names: user.groups.items.iter().filter_map(|g| g.name.clone()).collect(),
        };
        match user.reading() {
            AccountReading::Whole(account) | AccountReading::Degraded(account) => {
                self.shield.remember(std::slice::from_ref(&account));
                Ok((account.id, groups))
            }
            AccountReading::Nameless => {
                Err(answer.invalid("it does not say which account the token belongs to"))
            }
        }
    }

    /// Tells a wrong token from one with scopes, which the site refuses in the same words (atlassian-cloud.md 3.2).
    async fn why_refused(&self, answer: &Answer) -> Error {
        let words = answers::words(answer).to_lowercase();
        if words.contains("scope") || self.works_at_the_gateway().await {
            return Failure::new(
                FailureCode::SiteTokenScoped,
                FailureClass::Connection,
                "The API token has scopes, and the site refuses such tokens",
                "Create an API token without scopes (\"Create API token\", not \"Create API token with scopes\") for \
                 the technical account at id.atlassian.com, and store it where api_token points",
            )
            .into();
        }
        answers::credential_refused(&format!(
            "Jira refuses the admin e-mail and API token{}; they are wrong, expired or revoked, or the token has scopes",
            said(answer, &self.redaction)
        ))
    }

    async fn works_at_the_gateway(&self) -> bool {
        let Some(gateway) = &self.gateway else { return false };
        let call = Call::get(TENANT_INFO, TENANT_INFO);
        let Ok(answer) = self.http.send(call, &Authorization::none()).await else { return false };
        let Ok(tenant) = answer.json::<TenantInfo>() else { return false };
        let target = Target::new(GATEWAY).segment(&tenant.cloud_id).path(MYSELF);
        let Ok(answer) = gateway.send(Call::get(MYSELF, target), &self.authorization).await else {
            return false;
        };
        answer.status == 200 || answers::words(&answer).to_lowercase().contains("scope")
    }

    async fn server_info(&self) -> Result<(), Error> {
        let answer = self.ask(Call::get(SERVER_INFO, SERVER_INFO)).await?;
        if answer.status == 404 {
            return Err(not_cloud("It has no server information as Jira has"));
        }
        if answer.status != 200 {
            return Err(answers::refused_read(&answer, &self.redaction));
        }
        match answer.json::<ServerInfo>()?.deployment_type.as_deref() {
            Some("Cloud") => Ok(()),
            Some(other) => Err(not_cloud(&format!("Its deployment type is {other:.40}, not Cloud"))),
            None => Err(not_cloud("It does not name a deployment type")),
        }
    }

    async fn my_permissions(&self) -> Result<BTreeMap<String, bool>, Error> {
        let target = Target::new(MY_PERMISSIONS).query("permissions", "ADMINISTER,USER_PICKER");
        let answer = self.read(Call::get(MY_PERMISSIONS, target)).await?;
        let Permissions { permissions } = answer.json()?;
        Ok(permissions.into_iter().map(|(key, permission)| (key, permission.have_permission)).collect())
    }

    /// Groups of an access type.
    async fn privileged(&self, access: &str) -> Result<Privileged, Error> {
        let object = format!("the groups with {access} access");
        match self.group_list(Target::new(GROUP_BULK).query("accessType", access), &object).await {
            Ok(groups) => Ok(Privileged::Shown(groups)),
            Err(error) => match error.failure().code {
                FailureCode::SiteRightMissing => Ok(Privileged::Denied),
                FailureCode::SiteUnavailable | FailureCode::SiteRefused | FailureCode::SiteObjectUnknown => {
                    Ok(Privileged::NotKnown)
                }
                _ => Err(error),
            },
        }
    }

    /// Products with their groups; `None` when we may not see them.
    async fn roles(&self) -> Result<Option<Vec<ApplicationRole>>, Error> {
        let answer = self.ask(Call::get(APPLICATION_ROLE, APPLICATION_ROLE)).await?;
        match answer.status {
            200 => answer.json().map(Some),
            403 => Ok(None),
            _ => Err(answers::refused_read(&answer, &self.redaction)),
        }
    }

    async fn products(&self, roles: Vec<ApplicationRole>) -> Result<Vec<Product>, Error> {
        let mut ids: BTreeMap<String, SiteGroupId> = BTreeMap::new();
        for entry in
            roles.iter().flat_map(|role| role.group_details.iter().chain(&role.default_groups_details))
        {
            if let (Some(name), Some(id)) = (&entry.name, entry.id()) {
                ids.insert(name.clone(), id);
            }
        }
        let named = roles.iter().flat_map(|role| role.groups.iter().chain(&role.default_groups));
        let unresolved: BTreeSet<String> = named.filter(|name| !ids.contains_key(*name)).cloned().collect();
        let unresolved: Vec<String> = unresolved.into_iter().collect();
        for names in unresolved.chunks(NAMES) {
            let target =
                names.iter().fold(Target::new(GROUP_BULK), |target, name| target.query("groupName", name));
            for group in self.group_list(target, "the groups that grant products").await? {
                ids.insert(group.name.to_string(), group.id);
            }
        }
        let known = |names: &[String], details: &[GroupName]| -> BTreeSet<SiteGroupId> {
            let named = names.iter().filter_map(|name| ids.get(name).cloned());
            named.chain(details.iter().filter_map(GroupName::id)).collect()
        };
        let product = |role: ApplicationRole| Product {
            groups: known(&role.groups, &role.group_details),
            default_groups: known(&role.default_groups, &role.default_groups_details),
            seats: seats(&role),
            name: Arc::from(role.name.as_deref().unwrap_or(&role.key)),
            key: ProductKey(Arc::from(role.key)),
        };
        Ok(roles.into_iter().map(product).collect())
    }
}

/// Groups of one access type, as far as the site tells.
enum Privileged {
    Shown(Vec<SiteGroup>),
    /// We may not see groups at all.
    Denied,
    NotKnown,
}

impl Privileged {
    fn shown(self) -> Option<Vec<SiteGroup>> {
        match self {
            Self::Shown(groups) => Some(groups),
            Self::Denied | Self::NotKnown => None,
        }
    }
}

/// The technical account's groups, by whatever the answer names them.
struct OwnGroups {
    ids: BTreeSet<SiteGroupId>,
    names: BTreeSet<String>,
}

impl OwnGroups {
    fn holds(&self, group: &SiteGroup) -> bool {
        self.ids.contains(&group.id) || self.names.contains(&*group.name)
    }
}

/// Seats; a limit that is missing or negative is none.
fn seats(role: &ApplicationRole) -> Seats {
    let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    let limit = number(role.number_of_seats).filter(|_| !role.has_unlimited_seats);
    let left = number(role.remaining_seats);
    let counted = number(role.user_count).or_else(|| Some(limit?.saturating_sub(left?)));
    let used = counted.unwrap_or_default();
    limit.map_or(Seats::Unlimited { used }, |limit| Seats::Limited { limit, used })
}

fn not_cloud(what: &str) -> Error {
    Failure::new(
        FailureCode::SiteNotCloud,
        FailureClass::Connection,
        format!("The address of the site does not answer as a Jira Cloud site: {what}"),
        "Check [site] url; it is usually https://<name>.atlassian.net. Jira Data Center and Server are not supported",
    )
    .into()
}
