//! Seats of Confluence, which Jira does not tell: its workspace, who counts, and the groups that grant it
//! (atlassian-cloud.md 7.1 to 7.3).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use entrain_domain::model::{Product, ProductKey, Seats, SiteGroup, SiteGroupId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use url::Url;

use super::wire::{Count, Group, GroupRoles, Page, Workspace};
use super::{ORGANIZATIONS, Organization};
use crate::Error;
use crate::http::{BaseUrl, Call, Repeat, Target};

const WORKSPACES: &str = "/admin/v2/orgs/workspaces";
const USERS_COUNT: &str = "/admin/v2/orgs/directories/users/count";
const ROLE_ASSIGNMENTS: &str = "/admin/v2/orgs/directories/groups/role-assignments";
const CONFLUENCE: &str = "confluence";

/// Role assignments asked for side by side.
const IN_FLIGHT: usize = 4;

/// Roles of a product that take no seat. Every other role counts as one that does, so that too few are given rather
/// than too many.
const SEATLESS: [&str; 2] = ["guest", "customer"];

/// Seats of Confluence, with the names of the groups that take them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfluenceSeats {
    /// The product.
    pub product: Product,
    /// The groups whose members take a seat.
    pub granted_by: Vec<SiteGroup>,
}

impl Organization {
    /// [`Organization::confluence_seats`] without the names of groups.
    ///
    /// # Errors
    /// When one of the answers cannot be read.
    pub async fn confluence(&self, site: &BaseUrl) -> Result<Option<Product>, Error> {
        Ok(self.confluence_seats(site).await?.map(|seats| seats.product))
    }

    /// Confluence of the site at this address: seats in all (where the organization tells them), active users, groups
    /// whose members take one, and groups that new people land in. `None` where the site has no Confluence.
    ///
    /// Three requests and one for each group with a role in Confluence. `usage` of a workspace is told for Bitbucket
    /// only, so people are counted.
    ///
    /// # Errors
    /// When one of the answers cannot be read.
    pub async fn confluence_seats(&self, site: &BaseUrl) -> Result<Option<ConfluenceSeats>, Error> {
        let Some(workspace) = self.confluence_workspace(site).await? else { return Ok(None) };
        let filter = json!({"resourceIds": [workspace.id], "limit": 100});
        let (used, groups) =
            tokio::try_join!(self.active_users_of(&workspace.id), self.groups_search(filter))?;
        let roles: Vec<(SiteGroup, GroupRoles)> = stream::iter(groups)
            .map(|group| self.roles_of(group, &workspace.id))
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let chosen = |wanted: fn(&GroupRoles) -> bool| -> BTreeSet<SiteGroupId> {
            roles.iter().filter(|(_, roles)| wanted(roles)).map(|(group, _)| group.id.clone()).collect()
        };
        let limit = workspace.attributes.capacity.and_then(|n| u64::try_from(n).ok());
        let product = Product {
            key: ProductKey(Arc::from(CONFLUENCE)),
            name: Arc::from("Confluence"),
            groups: chosen(takes_seats),
            default_groups: chosen(|roles| roles.default_role.is_some()),
            seats: limit.map_or(Seats::LimitNotTold { used }, |limit| Seats::Limited { limit, used }),
        };
        let granted = roles.into_iter().filter(|(_, roles)| takes_seats(roles));
        Ok(Some(ConfluenceSeats { product, granted_by: granted.map(|(group, _)| group).collect() }))
    }

    async fn confluence_workspace(&self, site: &BaseUrl) -> Result<Option<Workspace>, Error> {
        let (mut body, mut cursors) = (json!({"limit": 100}), HashSet::new());
        loop {
            let target = Target::new(ORGANIZATIONS).segment(&self.id).path("/workspaces");
            let call = Call::post(WORKSPACES, target, body, Repeat::Safe);
            let answer = self.read(call.about("the organization's products")).await?;
            let page: Page<Workspace> = answer.json()?;
            let next = page.next().map(str::to_owned);
            let found = page.data.into_iter().find(|workspace| is_confluence_of(workspace, site));
            if found.is_some() {
                return Ok(found);
            }
            let Some(next) = next else { return Ok(None) };
            if !cursors.insert(next.clone()) {
                return Err(answer.invalid("its pages lead in a circle"));
            }
            body = json!({"cursor": next});
        }
    }

    async fn active_users_of(&self, resource: &str) -> Result<u64, Error> {
        let target =
            self.in_directory("/users/count").query("resourceIds", resource).query("status", "active");
        let answer = self.read(Call::get(USERS_COUNT, target).about("users of Confluence")).await?;
        Ok(answer.json::<Count>()?.count)
    }

    /// A group with its roles in a product. A group that was found by the product and shows no role in it counts as one
    /// that grants it.
    async fn roles_of(&self, group: Group, resource: &str) -> Result<(SiteGroup, GroupRoles), Error> {
        // Ids come bare, or as the end of a resource id.
        let id = group.id.rsplit('/').next().unwrap_or_default().to_owned();
        let target = self
            .in_directory("/groups")
            .segment(&id)
            .path("/role-assignments")
            .query("resourceIds", resource);
        let about = group.name.clone().unwrap_or_else(|| id.clone());
        let name = self.redaction.clean(&about);
        let answer = self.read(Call::get(ROLE_ASSIGNMENTS, target).about(about)).await?;
        let page: Page<GroupRoles> = answer.json()?;
        let own = page.data.into_iter().find(|row| row.resource_id.as_deref() == Some(resource));
        let id = SiteGroupId::parse(id).map_err(|_| answer.invalid("a group has no usable id"))?;
        Ok((SiteGroup { id, name: name.into() }, own.unwrap_or_default()))
    }
}

fn takes_seats(roles: &GroupRoles) -> bool {
    let seatless = |role: &String| role.rsplit('/').next().is_some_and(|last| SEATLESS.contains(&last));
    roles.roles.is_empty() || !roles.roles.iter().all(seatless)
}

/// Kinds vary between organizations, in `typeKey` and in `type`; the address of the site does not.
fn is_confluence_of(workspace: &Workspace, site: &BaseUrl) -> bool {
    let attributes = &workspace.attributes;
    let named = |kind: &Option<String>| {
        kind.as_deref().is_some_and(|kind| kind.to_lowercase().starts_with(CONFLUENCE))
    };
    let origin = |address: &str| Url::parse(address).ok().map(|url| url.origin());
    let here = attributes.host_url.as_deref().and_then(origin);
    (named(&attributes.type_key) || named(&attributes.kind))
        && here.is_some()
        && here == origin(site.as_str())
}
