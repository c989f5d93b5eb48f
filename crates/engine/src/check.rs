//! Both sides tried out, for `entrain check`: what the technical account and the application may do, and whether the
//! scope names anything. Reads only.

use entrain_domain::Failure;
use entrain_domain::model::{Coverage, Finding, SiteStanding};

use crate::ports::{Clock, Directory, DirectoryRead, Ids, Site, Store};
use crate::run::Engine;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, but somebody should know.
    Warning,
    /// A run would fail.
    Bad,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What was checked.
    pub what: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it, unless it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn good(what: &str, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Good, detail: detail.into(), remedy: None }
    }
    fn other(what: &str, verdict: Verdict, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), verdict, detail: detail.into(), remedy: Some(remedy.into()) }
    }
    fn failed(what: &str, failure: Failure) -> Self {
        Self::other(what, Verdict::Bad, failure.message, failure.remedy)
    }
}

impl<D: Directory, S: Site, T: Store, C: Clock, I: Ids> Engine<D, S, T, C, I> {
    /// Checks both sides side by side; a side that cannot be reached is a finding, not a failure.
    pub async fn check(&self) -> Vec<Check> {
        let demand = self.rules.demand();
        let (directory, standing) =
            tokio::join!(self.ports.directory.read(&demand, &[]), self.ports.site.standing());
        let mut checks = Vec::new();
        match directory {
            Ok(read) => self.check_directory(&read, &mut checks),
            Err(failure) => checks.push(Check::failed("directory", failure)),
        }
        match standing {
            Ok(standing) => self.check_site(&standing, &mut checks),
            Err(failure) => checks.push(Check::failed("site", failure)),
        }
        checks
    }

    fn check_directory(&self, read: &DirectoryRead, checks: &mut Vec<Check>) {
        let snapshot = &read.snapshot;
        let (users, groups) = (snapshot.users().count(), snapshot.groups().count());
        checks.push(Check::good("directory", format!("{users} users and {groups} groups read")));
        for (what, coverage) in
            [("directory users", snapshot.users_coverage()), ("directory groups", snapshot.groups_coverage())]
        {
            if let Coverage::Partial(unread) = coverage {
                checks.push(Check::other(what, Verdict::Bad, &*unread.reason, &*unread.remedy));
            }
        }
        for selector in self.rules.scope.unmatched(snapshot) {
            checks.push(Check::other(
                "scope",
                Verdict::Warning,
                format!("“{}” names no group of the directory", selector.as_str()),
                "correct the name in scope.groups, or create the group",
            ));
        }
    }

    fn check_site(&self, standing: &SiteStanding, checks: &mut Vec<Check>) {
        checks.push(Check::good("site", format!("signed in as account {}", standing.own_account)));
        let rights: [(&str, Finding, Verdict, &str); 3] = [
            (
                "right: Browse users and groups",
                standing.browse_users,
                Verdict::Bad,
                "grant the global permission “Browse users and groups” to a group of the technical account",
            ),
            (
                "right: Administer Jira",
                standing.administer,
                Verdict::Bad,
                "grant the global permission “Administer Jira” to a group of the technical account",
            ),
            (
                "right: site administration",
                standing.site_admin,
                Verdict::Bad,
                "make the technical account a member of a site administrators' group; writing groups needs it",
            ),
        ];
        for (what, finding, verdict, remedy) in rights {
            checks.push(match finding {
                Some(true) => Check::good(what, "granted"),
                Some(false) => Check::other(what, verdict, "not granted", remedy),
                None => Check::other(what, Verdict::Warning, "the site does not say", remedy),
            });
        }
        if self.rules.products.is_empty() {
            checks.push(Check::good(
                "invitations",
                "an invitation grants no product by itself; access comes from groups",
            ));
        }
    }
}
