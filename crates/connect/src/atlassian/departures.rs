//! People who leave the site: what they lead, and their removal.

use std::collections::BTreeMap;

use entrain_domain::model::{AccountId, Lead, SiteGroup};
use entrain_domain::{Failure, FailureClass, FailureCode};
use serde::Deserialize;

use super::answers::{self, about, said};
use super::pages::List;
use super::shield::{PlatformRoles, Seen};
use super::wire::{GroupName, User};
use super::{Changed, Jira};
use crate::Error;
use crate::http::{Answer, Call, Target};

const USER: &str = "/rest/api/3/user";
const PROJECTS: &str = "/rest/api/3/project/search";
const COMPONENTS: &str = "/rest/api/3/component";

/// Projects in one request for components; keeps the URL short.
const PROJECT_KEYS: usize = 50;

/// `Project`, as far as it matters.
#[derive(Debug, Deserialize)]
struct Project {
    key: Option<String>,
    name: Option<String>,
    lead: Option<LeadingUser>,
}

/// A component, as far as it matters.
#[derive(Debug, Deserialize)]
struct Component {
    id: Option<String>,
    name: Option<String>,
    project: Option<String>,
    lead: Option<LeadingUser>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeadingUser {
    account_id: Option<String>,
}

impl Jira {
    /// Removes a person from the site: access to its products, and all groups. The Atlassian account stays. An
    /// invitation is needed to come back.
    ///
    /// # Errors
    /// `SiteProtected` before anything is written: the technical account, listed accounts, administrators, apps and
    /// portal customers. `SiteRightMissing`, `SiteRefused`; `WriteUnclear` when Jira failed in the middle of it.
    pub async fn remove_user(&self, account: &AccountId) -> Result<Changed, Error> {
        self.shield.account(account)?;
        let target = Target::new(USER).query("accountId", account.as_str()).query("expand", "groups");
        let answer = self.ask(Call::get(USER, target).about(account.as_str())).await?;
        match answer.status {
            200 => {
                let seen = seen(&answer, account)?;
                self.shield.leaving(account, &seen)?;
            }
            404 => return Ok(Changed::Already),
            _ => return Err(answers::refused_read(&answer, &self.redaction)),
        }
        let target = Target::new(USER).query("accountId", account.as_str());
        let answer = self.ask(Call::delete(USER, target).about(account.as_str())).await?;
        let refused = |code, class, what: &str, remedy: &str| {
            let what = format!("{what}{}", said(&answer, &self.redaction));
            about(&answer, Failure::new(code, class, what, remedy))
        };
        match answer.status {
            200 | 204 => Ok(Changed::Now),
            // The account was shown a moment ago, so this is the right site: it is in the roll, and no user of it.
            404 if answer.attempts > 1 => Ok(Changed::Now),
            404 => Ok(Changed::Already),
            401 => Err(answers::refused_read(&answer, &self.redaction)),
            403 => Err(refused(
                FailureCode::SiteRightMissing,
                FailureClass::Connection,
                "Jira does not let the technical account remove people",
                "Put the technical account into the group of site administrators (site-admins, at admin.atlassian.com)",
            )),
            500.. => Err(Error::Unclear {
                context: Box::new(answer.context.clone()),
                reason: "Jira failed while it was removing the person".to_owned(),
            }),
            _ => Err(refused(
                FailureCode::SiteRefused,
                FailureClass::Object,
                "Jira does not remove the person",
                "Look at what Jira says; the next run tries again",
            )),
        }
    }

    /// The projects and components that these people lead, as far as the technical account sees them:
    /// ⌈projects/50⌉ + ⌈projects/50⌉ · ⌈components/50⌉ requests, whoever is asked for.
    ///
    /// # Errors
    /// When a list cannot be read to its end.
    pub async fn leads(&self, accounts: &[AccountId]) -> Result<BTreeMap<AccountId, Vec<Lead>>, Error> {
        let mut leads: BTreeMap<AccountId, Vec<Lead>> = BTreeMap::new();
        if accounts.is_empty() {
            return Ok(leads);
        }
        let wanted = |lead: &Option<LeadingUser>| {
            let id = lead.as_ref()?.account_id.as_deref()?;
            accounts.iter().find(|account| account.as_str() == id).cloned()
        };
        let list = List {
            endpoint: PROJECTS,
            target: Target::new(PROJECTS).query("expand", "lead"),
            object: "projects".to_owned(),
        };
        let projects: Vec<Project> = self.pages(list, |project: &Project| project.key.as_deref()).await?;
        for project in &projects {
            if let Some(account) = wanted(&project.lead) {
                leads.entry(account).or_default().push(Lead::Project {
                    key: project.key.as_deref().unwrap_or_default().into(),
                    name: project.name.as_deref().unwrap_or_default().into(),
                });
            }
        }
        let keys: Vec<&str> = projects.iter().filter_map(|project| project.key.as_deref()).collect();
        for chunk in keys.chunks(PROJECT_KEYS) {
            let target = chunk
                .iter()
                .fold(Target::new(COMPONENTS), |target, key| target.query("projectIdsOrKeys", key));
            let list = List { endpoint: COMPONENTS, target, object: "components of projects".to_owned() };
            let components: Vec<Component> =
                self.pages(list, |component: &Component| component.id.as_deref()).await?;
            for component in &components {
                if let Some(account) = wanted(&component.lead) {
                    leads.entry(account).or_default().push(Lead::Component {
                        project: component.project.as_deref().unwrap_or_default().into(),
                        name: component.name.as_deref().unwrap_or_default().into(),
                    });
                }
            }
        }
        for list in leads.values_mut() {
            list.sort();
        }
        Ok(leads)
    }
}

/// What the protection wants to know, from an answer that must be about this account.
fn seen(answer: &Answer, account: &AccountId) -> Result<Seen, Error> {
    let user: User = answer.json()?;
    let groups: Option<Vec<SiteGroup>> = user.groups.items.iter().map(GroupName::group).collect();
    // A size that the list does not bear out says that groups are missing from it
    if user.groups.size.is_some_and(|size| size != user.groups.items.len() as u64) {
        return Err(answer.invalid("it does not show all groups of the account"));
    }
    let groups = groups.ok_or_else(|| answer.invalid("it shows a group without id or name"))?;
    let read = user.reading().account().filter(|read| read.id == *account);
    let read = read.ok_or_else(|| answer.invalid("it is about another account"))?;
    Ok(Seen { kind: read.kind, email: read.email, groups, roles: PlatformRoles::NotAsked })
}
