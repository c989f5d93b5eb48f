//! What `entrain check` says about the technical account: each right, whether it is there, and how to mend it.

use entrain_domain::model::{Finding, SiteStanding};

use super::Jira;
use crate::Error;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckState {
    /// As it should be.
    Good,
    /// Missing; the work cannot be done without it.
    Missing,
    /// It works, and a person should know this.
    Notice,
    /// The API gives no way to find out before the first write.
    NotKnown,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteCheck {
    /// What was checked, as a person calls it.
    pub what: String,
    /// How it ended.
    pub state: CheckState,
    /// What it means, and how to mend it; empty when there is nothing to do.
    pub remedy: String,
}

impl Jira {
    /// Runs the start-up checks and says what they found, each right by name.
    ///
    /// # Errors
    /// As [`Jira::standing`]: when it is not known at all who we are on the site.
    pub async fn check(&self) -> Result<Vec<SiteCheck>, Error> {
        Ok(SiteCheck::of(&self.standing().await?))
    }
}

impl SiteCheck {
    /// What the start-up checks of a run found, for a person.
    pub fn of(standing: &SiteStanding) -> Vec<Self> {
        let mut checks = vec![
            Self::good(format!("Signed in to Jira Cloud as {}", standing.own_account)),
            Self::right(
                "Administer Jira",
                standing.administer,
                "Give the technical account the global permission Administer Jira (Jira settings, System, Global \
                 permissions)",
            ),
            Self::right(
                "Browse users and groups",
                standing.browse_users,
                "Give the technical account the global permission Browse users and groups (Jira settings, System, \
                 Global permissions); without it Jira answers searches with nothing",
            ),
            Self::right(
                "Site administration, for groups and memberships",
                standing.site_admin,
                "Put the technical account into the group of site administrators (site-admins, at admin.atlassian.com); \
                 Administer Jira alone does not allow group changes",
            ),
            Self {
                what: "Organization administration, for invitations".to_owned(),
                state: CheckState::NotKnown,
                remedy: "Jira has no way to ask for it. Make sure that the technical account is an organization admin \
                         (admin.atlassian.com, Settings, Administrators), or set import_users = false; otherwise the \
                         first invitation is refused and says so"
                    .to_owned(),
            },
        ];
        checks.extend(standing.products.iter().filter_map(|product| {
            let (Some(limit), Some(used)) = (product.seats.limit(), product.seats.used()) else {
                return None;
            };
            (used >= limit).then(|| Self {
                what: format!("Seats of {}: {used} of {limit} taken", product.name),
                state: CheckState::Notice,
                remedy: "Nobody can be added to a group that grants it until seats are bought or freed"
                    .to_owned(),
            })
        }));
        checks
    }

    fn good(what: String) -> Self {
        Self { what, state: CheckState::Good, remedy: String::new() }
    }

    fn right(what: &str, finding: Finding, remedy: &str) -> Self {
        let (state, remedy) = match finding {
            Some(true) => (CheckState::Good, String::new()),
            Some(false) => (CheckState::Missing, remedy.to_owned()),
            None => (CheckState::NotKnown, format!("Jira did not say. If writes are refused: {remedy}")),
        };
        Self { what: what.to_owned(), state, remedy }
    }
}
