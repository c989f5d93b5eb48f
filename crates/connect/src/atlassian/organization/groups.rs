//! Groups of the organization's directories: which of them can be renamed, and renaming.
//!
//! Renaming came to the API in November 2026; method and path stand in no published document yet (atlassian-cloud.md
//! 7.4). So it is tried out on a group that cannot exist before it is counted on, and a refusal of the real thing
//! leaves the name as it is.

use std::collections::HashSet;
use std::sync::PoisonError;

use entrain_domain::model::{RenameBy, SiteGroup, SiteGroupId, Unread};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde_json::json;

use super::super::answers::about;
use super::answers::{self, said};
use super::wire::{Directory, Group, Page};
use super::{ALL_DIRECTORIES, ORGANIZATIONS, Organization};
use crate::Error;
use crate::http::{Answer, Call, Repeat, Target};

const GROUPS_SEARCH: &str = "/admin/v2/orgs/directories/groups/search";
const GROUP: &str = "/admin/v2/orgs/directories/groups";
const DIRECTORIES: &str = "/admin/v2/orgs/directories";

/// Groups in one search by id (the documented most).
const IDS: usize = 10;

/// No group has this id; a request about it changes nothing.
const NOBODYS: &str = "00000000-0000-0000-0000-000000000000";

/// Whether the organization renames groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Renaming {
    /// The operation is there: it knows no group of an id that nobody has.
    Possible,
    /// It is not, and why.
    Impossible(Unread),
    /// The answer does not tell; the first rename will.
    NotKnown,
}

impl Organization {
    /// Who can rename these groups: asked only of groups that are to be renamed, ⌈groups/10⌉ requests and one that
    /// tries out whether renaming is there at all. A group that is not found in the organization is nobody's to rename.
    ///
    /// # Errors
    /// When a search cannot be read.
    pub async fn renaming(&self, groups: &[SiteGroupId]) -> Result<Vec<(SiteGroupId, RenameBy)>, Error> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let mut standing = Vec::with_capacity(groups.len());
        for chunk in groups.chunks(IDS) {
            let found = self.groups_by_id(chunk).await?;
            for id in chunk {
                let group = found.iter().find(|group| group.id.rsplit('/').next() == Some(id.as_str()));
                standing.push((id.clone(), self.rename_by(id, group)));
            }
        }
        if !standing.iter().any(|(_, by)| *by == RenameBy::Organization) {
            return Ok(standing);
        }
        if let Renaming::Impossible(why) = self.try_renaming().await? {
            for (_, by) in &mut standing {
                if *by == RenameBy::Organization {
                    *by = RenameBy::Nobody(why.clone());
                }
            }
        }
        Ok(standing)
    }

    async fn groups_by_id(&self, ids: &[SiteGroupId]) -> Result<Vec<Group>, Error> {
        let ids: Vec<&str> = ids.iter().map(SiteGroupId::as_str).collect();
        self.groups_search(json!({"groupIds": ids, "limit": 100})).await
    }

    pub(super) async fn groups_search(&self, mut body: serde_json::Value) -> Result<Vec<Group>, Error> {
        let (mut found, mut cursors) = (Vec::new(), HashSet::new());
        loop {
            let call = Call::post(GROUPS_SEARCH, self.in_directory("/groups/search"), body, Repeat::Safe);
            let answer = self.read(call.about("groups of the organization")).await?;
            let page: Page<Group> = answer.json()?;
            let next = page.next().map(str::to_owned);
            found.extend(page.data);
            let Some(next) = next else { return Ok(found) };
            if !cursors.insert(next.clone()) {
                return Err(answer.invalid("its pages lead in a circle"));
            }
            body = json!({"cursor": next});
        }
    }

    /// Names of the groups that an identity provider owns, in the directories looked in: ⌈groups/100⌉ requests.
    pub(super) async fn synced(&self) -> Result<Vec<String>, Error> {
        let groups = self.groups_search(json!({"limit": 100})).await?;
        let owned =
            |g: &Group| g.external_synced == Some(true) || g.managed_by.as_deref() == Some("external");
        let mut names: Vec<String> =
            groups.into_iter().filter(owned).map(|g| g.name.unwrap_or(g.id)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn rename_by(&self, id: &SiteGroupId, group: Option<&Group>) -> RenameBy {
        let nobody = |reason: &str, remedy: &str| {
            RenameBy::Nobody(Unread { reason: reason.into(), remedy: remedy.into() })
        };
        let Some(group) = group else {
            return nobody(
                "the organization does not show the group",
                "check that [site.organization] names the organization of this site",
            );
        };
        if group.external_synced == Some(true) || group.managed_by.as_deref() == Some("external") {
            return nobody("the group is owned by an identity provider", "rename it there");
        }
        if group.management_access.as_ref().and_then(|access| access.modifiable) == Some(false) {
            return nobody(
                "the organization does not let the group be changed",
                "look at the group at admin.atlassian.com (Directory, Groups)",
            );
        }
        let home = group.directory_id.clone().or_else(|| self.directory_id.clone());
        let Some(home) = home else {
            return nobody(
                "the organization does not say which directory the group is in",
                "add directory_id to [site.organization]",
            );
        };
        self.homes.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), home);
        RenameBy::Organization
    }

    /// Asks for another name for a group that nobody has.
    pub(super) async fn try_renaming(&self) -> Result<Renaming, Error> {
        let directory = self.a_directory().await?;
        let call = Call::patch(GROUP, self.group_path(&directory, NOBODYS), json!({"name": "entrain"}));
        let answer = match self.ask(call.about("renaming of groups")).await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = error.failure();
                return match failure.class {
                    FailureClass::Connection => Ok(Renaming::Impossible(Unread {
                        reason: failure.message.into(),
                        remedy: failure.remedy.into(),
                    })),
                    _ => Err(error),
                };
            }
        };
        let body = answers::body(&answer);
        let impossible = |reason: String, remedy: &str| {
            Ok(Renaming::Impossible(Unread { reason: reason.into(), remedy: remedy.into() }))
        };
        match answer.status {
            404 if body.has("ADMIN-404-1") => Ok(Renaming::NotKnown),
            400 | 404 if body.is_structured() => Ok(Renaming::Possible),
            403 => impossible(
                format!("the organization key may not rename groups{}", said(&answer, &self.redaction)),
                "use an organization key without scopes, made by an organization administrator",
            ),
            404 if answer.body.is_empty() => Ok(Renaming::NotKnown),
            404 | 405 | 501 => impossible(
                "the organization API does not rename groups yet".to_owned(),
                "nothing; the next run asks again",
            ),
            500.. => Err(answer.unexpected()),
            _ => Ok(Renaming::NotKnown),
        }
    }

    /// A directory to try things out in: the document's, that of a group seen, or the first.
    pub(super) async fn a_directory(&self) -> Result<String, Error> {
        let seen = || self.homes.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned();
        if let Some(known) = self.directory_id.clone().or_else(seen) {
            return Ok(known);
        }
        let first = self.directories().await?.into_iter().next();
        Ok(first.map_or_else(|| ALL_DIRECTORIES.to_owned(), |(id, _)| id))
    }

    fn group_path(&self, directory: &str, group: &str) -> Target {
        Target::new(ORGANIZATIONS)
            .segment(&self.id)
            .path("/directories")
            .segment(directory)
            .path("/groups")
            .segment(group)
    }

    /// The organization's directories, by id and name.
    pub(super) async fn directories(&self) -> Result<Vec<(String, String)>, Error> {
        let target = Target::new(ORGANIZATIONS).segment(&self.id).path("/directories").query("limit", "100");
        let answer = self.read(Call::get(DIRECTORIES, target)).await?;
        let page: Page<Directory> = answer.json()?;
        Ok(page.data.into_iter().map(|d| (d.directory_id, d.name.unwrap_or_default())).collect())
    }

    /// Gives a group another name. Ends in the same state however often it is made.
    ///
    /// # Errors
    /// `SiteProtected` before anything is sent; `SiteNameTaken`; `OrganizationRefused` with what was said: the group
    /// keeps its name; `WriteUnclear` when the organization failed in the middle of it.
    pub async fn rename_group(&self, group: &SiteGroup, name: &str) -> Result<(), Error> {
        self.shield.renaming(group, name)?;
        let home = self.home(&group.id).or_else(|| self.directory_id.clone());
        let home = home.unwrap_or_else(|| ALL_DIRECTORIES.to_owned());
        let call = Call::patch(GROUP, self.group_path(&home, group.id.as_str()), json!({"name": name}));
        let answer = self.ask(call.about(&*group.name)).await?;
        match answer.status {
            200..300 => Ok(()),
            409 => Err(self.not_renamed(
                &answer,
                FailureCode::SiteNameTaken,
                "The organization has another group of this name",
            )),
            500.. => Err(Error::Unclear {
                context: Box::new(answer.context.clone()),
                reason: format!(
                    "the organization failed while it was renaming the group (status {})",
                    answer.status
                ),
            }),
            400 | 403 | 404 | 405 => Err(self.not_renamed(
                &answer,
                FailureCode::OrganizationRefused,
                "The organization does not rename this group",
            )),
            _ => Err(answers::refused(&answer, &self.redaction)),
        }
    }

    fn not_renamed(&self, answer: &Answer, code: FailureCode, what: &str) -> Error {
        about(
            answer,
            Failure::new(
                code,
                FailureClass::Object,
                format!("{what}; it keeps its name{}", said(answer, &self.redaction)),
                "Nothing is lost, membership follows the link. A group that Jira's administration settings name cannot \
                 be renamed: free it there, or swap it by hand for a new group of that name",
            ),
        )
    }
}
