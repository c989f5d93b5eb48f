//! The self-test: one cheap request for each thing that a run needs (microsoft-graph.md 11), and what to do about it.

use serde::Deserialize;

use entrain_domain::notification::Watched;
use entrain_domain::policy::{Scope, UserScope};

use super::Entra;
use super::assignments::{self, Sight};
use super::graph::{FIND_APPLICATION, consent};
use super::wire::Page;
use crate::Error;
use crate::http::{Call, Target};

/// What a check found about one permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionVerdict {
    /// It is there.
    Granted,
    /// It is not there, and the work needs it.
    Missing,
    /// It is there, and the work does not need it. A hint: the token says so, Graph was not asked.
    Excessive,
}

/// One line of the self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionFinding {
    /// Permission of Microsoft Graph.
    pub permission: String,
    /// Verdict.
    pub verdict: PermissionVerdict,
    /// What was seen, in a sentence.
    pub what: String,
    /// What to do; empty when there is nothing to do.
    pub remedy: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    id: String,
    #[serde(default)]
    account_enabled: Option<bool>,
    #[serde(default)]
    mail: Option<String>,
    #[serde(default)]
    user_principal_name: Option<String>,
}

/// Roles that suffice, and nothing more than these is needed.
const NEEDED: [&str; 4] =
    ["User.Read.All", "GroupMember.Read.All", "Member.Read.Hidden", "AuditLog.Read.All"];
/// Needed where people take part to whom an application is assigned.
const ASSIGNMENTS: &str = "Application.Read.All";

impl Entra {
    /// Signs in and tries each path that a read takes, at seven requests at most: what the scope asks for beyond users and
    /// groups among them.
    ///
    /// # Errors
    /// Whatever keeps a path from being judged: no token, no answer. A missing permission is a finding, not an error.
    pub async fn check(&self, scope: &Scope) -> Result<Vec<PermissionFinding>, Error> {
        let token = self.graph.tokens.get().await?;
        let mut findings = Vec::new();
        let top = |path| Target::new(path).query("$top", "1");
        let users = top("/users").query("$select", "id,accountEnabled,mail,userPrincipalName");
        let users = self.sample("/users", users).await?;
        let delta = |path, select| Target::new(path).query("$deltatoken", "latest").query("$select", select);
        let users_delta = self.allowed("/users/delta", delta("/users/delta", "id,mail")).await?;
        findings.push(match &users {
            None => missing("User.Read.All", "users cannot be listed"),
            Some(page) if page.iter().all(|user| user.account_enabled.is_none()) && !page.is_empty() => {
                missing("User.Read.All", "users are listed without saying whether their accounts are enabled")
            }
            Some(_) if !users_delta => missing("User.Read.All", "changes of users cannot be read"),
            Some(_) => granted("User.Read.All", "users and their changes can be read"),
        });
        let groups = self.sample("/groups", top("/groups").query("$select", "id,displayName")).await?;
        let groups_delta =
            self.allowed("/groups/delta", delta("/groups/delta", "displayName,members")).await?;
        let mut members = groups.is_some();
        if let Some(group) = groups.iter().flatten().next() {
            let target = Target::new("/groups").segment(&group.id).path("/members");
            let target = target.query("$select", "id,mail,userPrincipalName").query("$top", "1");
            members = self.allowed("/groups/{id}/members", target).await?;
        }
        findings.push(match (groups.is_some(), groups_delta, members) {
            (true, true, true) => {
                granted("GroupMember.Read.All", "groups, members and their changes can be read")
            }
            (false, ..) => missing("GroupMember.Read.All", "groups cannot be listed"),
            (_, false, _) => missing("GroupMember.Read.All", "changes of groups cannot be read"),
            (_, _, false) => missing("GroupMember.Read.All", "members of a group cannot be listed"),
        });
        if let Some(page) = &users
            && !page.is_empty()
            && page.iter().all(|user| user.mail.is_none() && user.user_principal_name.is_none())
        {
            findings[0] = missing("User.Read.All", "users are listed with empty properties");
        }
        let assigned = match &scope.users {
            UserScope::Assigned(application) => Some(application),
            UserScope::InGroups | UserScope::All => None,
        };
        if let Some(application) = assigned {
            findings.push(match assignments::look(&self.graph, application).await? {
                Sight::Clear => granted(ASSIGNMENTS, "the assignments of the application can be read"),
                Sight::Denied => missing(ASSIGNMENTS, "the assignments of the application cannot be read"),
                Sight::Unknown => PermissionFinding {
                    remedy: FIND_APPLICATION.to_owned(),
                    ..missing(
                        ASSIGNMENTS,
                        &format!("the directory has no enterprise application with the application id {application}"),
                    )
                },
            });
        }
        for role in token.roles() {
            if assigned.is_some() && role == ASSIGNMENTS {
                continue;
            }
            if !NEEDED.contains(&role.as_str()) {
                findings.push(PermissionFinding {
                    what: "the application holds it, and Entrain does not need it".to_owned(),
                    remedy: format!(
                        "Remove {role} under App registrations > your application > API permissions"
                    ),
                    permission: role.chars().filter(|c| !c.is_control()).take(80).collect(),
                    verdict: PermissionVerdict::Excessive,
                });
            }
        }
        Ok(findings)
    }

    /// Whether the permissions that the documents name for change notifications are in the token. Nothing is asked of
    /// Graph, which would take an address that it can reach.
    ///
    /// # Errors
    /// Whatever keeps a token from being had.
    pub async fn check_notifications(&self) -> Result<Vec<PermissionFinding>, Error> {
        let token = self.graph.tokens.get().await?;
        let roles = token.roles();
        // A token that cannot be read says nothing
        if roles.is_empty() {
            return Ok(Vec::new());
        }
        let held = |role: &str| roles.iter().any(|held| held == role || held == "Directory.Read.All");
        let judge = |watched| {
            let role = super::subscriptions::permission(watched);
            if held(role) {
                granted(role, &format!("changes of {} can be subscribed to", watched.as_str()))
            } else {
                missing(role, &format!("changes of {} cannot be subscribed to", watched.as_str()))
            }
        };
        Ok(Watched::ALL.into_iter().map(judge).collect())
    }

    async fn sample(&self, endpoint: &'static str, target: Target) -> Result<Option<Vec<Sample>>, Error> {
        let answer = self.graph.send(Call::get(endpoint, target)).await?;
        match answer.status {
            200..=299 => Ok(Some(answer.json::<Page<Sample>>()?.value)),
            403 => Ok(None),
            _ => Err(super::graph::refusal(&answer).error),
        }
    }

    async fn allowed(&self, endpoint: &'static str, target: Target) -> Result<bool, Error> {
        let answer = self.graph.send(Call::get(endpoint, target)).await?;
        match answer.status {
            200..=299 => Ok(true),
            403 => Ok(false),
            _ => Err(super::graph::refusal(&answer).error),
        }
    }
}

fn granted(permission: &str, what: &str) -> PermissionFinding {
    let verdict = PermissionVerdict::Granted;
    PermissionFinding {
        permission: permission.to_owned(),
        verdict,
        what: what.to_owned(),
        remedy: String::new(),
    }
}

fn missing(permission: &str, what: &str) -> PermissionFinding {
    let (permission, what) = (permission.to_owned(), what.to_owned());
    let remedy = consent(&permission);
    PermissionFinding { permission, verdict: PermissionVerdict::Missing, what, remedy }
}
