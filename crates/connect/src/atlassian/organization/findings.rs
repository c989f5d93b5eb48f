//! What `entrain check` says about the organization key: what it can do, and what each missing thing would give.

use entrain_domain::FailureCode;
use entrain_domain::model::AccountId;
use serde::Deserialize;

use super::super::{CheckState, SiteCheck};
use super::Organization;
use super::groups::Renaming;
use super::profile::Manageable;
use crate::Error;
use crate::http::{Call, Target};

const ORGANIZATION: &str = "/admin/v1/orgs";
const DOMAINS: &str = "/admin/v1/orgs/domains";

#[derive(Debug, Deserialize)]
struct Domains {
    data: Vec<Domain>,
}

#[derive(Debug, Deserialize)]
struct Domain {
    attributes: Option<DomainAttributes>,
}

#[derive(Debug, Deserialize)]
struct DomainAttributes {
    name: Option<String>,
    claim: Option<Claim>,
}

#[derive(Debug, Deserialize)]
struct Claim {
    status: Option<String>,
}

impl Organization {
    /// Tries out everything that Entrain uses of the organization plane; nothing is changed. `own` is the technical
    /// account: what the key may do with profiles is asked for it.
    pub async fn check(&self, own: &AccountId) -> Vec<SiteCheck> {
        let mut checks = Vec::new();
        let directories = self.directories().await;
        match &directories {
            Ok(list) => checks.push(self.directory(list)),
            Err(error) => {
                checks.push(wrong("Organization key", error));
                if self.refused.get().is_some() || error.failure().code == FailureCode::OrganizationUnknown {
                    return checks;
                }
            }
        }
        checks.push(match self.accounts(std::slice::from_ref(own)).await {
            Ok(_) => good("Exact look-up by e-mail address, hidden ones included"),
            Err(error) => SiteCheck {
                remedy: format!(
                    "{}. With it, people whose address is hidden are matched exactly; without, they are set aside",
                    error.failure().remedy
                ),
                ..wrong("Exact look-up by e-mail address", &error)
            },
        });
        let membership = self.try_changing_access().await;
        checks.push(match &membership {
            Ok(()) => good("Suspending, restoring and removing people"),
            Err(error) => SiteCheck {
                state: CheckState::Notice,
                remedy: format!(
                    "{}. With it, [leavers] suspend_after takes a leaver's access away for a time and gives it back with \
                     all roles and groups; without, leavers only lose their groups",
                    error.failure().remedy
                ),
                ..wrong("Suspending, restoring and removing people", error)
            },
        });
        checks.push(self.synced_groups().await);
        checks.push(match self.try_renaming().await {
            Ok(Renaming::Possible) => good("Renaming of groups"),
            Ok(Renaming::NotKnown) => {
                other("Renaming of groups", CheckState::NotKnown, "The first rename will tell".to_owned())
            }
            Ok(Renaming::Impossible(why)) => other(
                "Renaming of groups",
                CheckState::Notice,
                format!(
                    "{}: {}. With it, a group renamed in the directory gets the new name on the site; without, it keeps \
                     the old one and is reported",
                    why.reason, why.remedy
                ),
            ),
            Err(error) => wrong("Renaming of groups", &error),
        });
        checks.push(self.domains().await);
        checks.push(match self.manageable(own).await {
            Ok(Manageable::Fields(_) | Manageable::Unmanaged) => {
                good("Managed accounts: profiles, deactivation and activation")
            }
            Ok(Manageable::Unknown) => other(
                "Managed accounts: profiles, deactivation and activation",
                CheckState::NotKnown,
                "The organization does not know the technical account, so it cannot be tried out with it"
                    .to_owned(),
            ),
            Err(error) => SiteCheck {
                state: CheckState::Notice,
                remedy: format!(
                    "{}. With it, [attributes.profile] sets name, job title and the like of managed accounts, and [leavers] \
                     deactivate_after deactivates them",
                    error.failure().remedy
                ),
                ..wrong("Managed accounts: profiles, deactivation and activation", &error)
            },
        });
        checks
    }

    fn directory(&self, list: &[(String, String)]) -> SiteCheck {
        let named = |(id, name): &(String, String)| format!("“{name}” ({id})");
        match (&self.directory_id, list) {
            (Some(id), list) if !list.iter().any(|(known, _)| known == id) => other(
                "Organization directory",
                CheckState::Missing,
                format!(
                    "[site.organization] directory_id names none of the key's directories: {}",
                    list.iter().map(named).collect::<Vec<_>>().join(", ")
                ),
            ),
            (None, several) if several.len() > 1 => other(
                "Organization directory",
                CheckState::Notice,
                format!(
                    "There are several: {}. Entrain looks in all of them; name the site's in [site.organization] \
                     directory_id to look in that one only",
                    several.iter().map(named).collect::<Vec<_>>().join(", ")
                ),
            ),
            (_, list) => {
                let known =
                    list.iter().find(|(id, _)| self.directory_id.as_ref().is_none_or(|own| own == id));
                good(&format!("Organization key, directory {}", known.map(named).unwrap_or_default()))
            }
        }
    }

    /// Groups that an identity provider owns: they cannot be written to from here.
    async fn synced_groups(&self) -> SiteCheck {
        let what = "Groups owned by an identity provider";
        match self.synced().await {
            Ok(names) if names.is_empty() => good(&format!("{what}: none")),
            Ok(names) => {
                let some: Vec<String> = names.iter().take(5).map(|name| format!("“{name}”")).collect();
                let more = if names.len() > some.len() { ", …" } else { "" };
                other(
                    &format!("{what}: {} ({}{more})", names.len(), self.redaction.clean(&some.join(", "))),
                    CheckState::Notice,
                    "They are left alone. Two masters for one group end in a fight: do not name them in [scope] and \
                     [groups] map, or disconnect them at admin.atlassian.com (Security, Identity providers)"
                        .to_owned(),
                )
            }
            Err(error) => SiteCheck { state: CheckState::NotKnown, ..wrong(what, &error) },
        }
    }

    async fn domains(&self) -> SiteCheck {
        let what = "Verified domains";
        let none = "No domain is verified, so no account is managed: profiles stay the people's own, and nobody's account \
                    can be deactivated. Verify one at admin.atlassian.com (Settings, Domains) if [attributes.profile] or \
                    [leavers] deactivate_after is wanted";
        let target = Target::new(ORGANIZATION).segment(&self.id).path("/domains");
        let read = async {
            let answer = self.read(Call::get(DOMAINS, target)).await?;
            answer.json::<Domains>()
        };
        match read.await {
            Ok(domains) => {
                let verified: Vec<String> = domains
                    .data
                    .into_iter()
                    .filter_map(|domain| domain.attributes)
                    .filter(|a| a.claim.as_ref().and_then(|c| c.status.as_deref()) == Some("verified"))
                    .filter_map(|a| a.name)
                    .collect();
                if verified.is_empty() {
                    other(what, CheckState::Notice, none.to_owned())
                } else {
                    good(&format!("{what}: {}", self.redaction.clean(&verified.join(", "))))
                }
            }
            Err(error) => SiteCheck { state: CheckState::NotKnown, ..wrong(what, &error) },
        }
    }
}

fn good(what: &str) -> SiteCheck {
    other(what, CheckState::Good, String::new())
}

fn other(what: &str, state: CheckState, remedy: String) -> SiteCheck {
    SiteCheck { what: what.to_owned(), state, remedy }
}

fn wrong(what: &str, error: &Error) -> SiteCheck {
    let failure = error.failure();
    other(&format!("{what}: {}", failure.message), CheckState::Missing, failure.remedy)
}
