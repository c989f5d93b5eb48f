//! To whom an enterprise application is assigned.

use super::ids::{ApplicationId, DirectoryGroupId, DirectoryUserId};

/// The complete list of those to whom an enterprise application is assigned (`appRoleAssignedTo`, microsoft-graph.md
/// 4.4). Members of an assigned group have it too, those of groups nested in it have not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignments {
    application: ApplicationId,
    users: Vec<DirectoryUserId>,
    groups: Vec<DirectoryGroupId>,
}

impl Assignments {
    /// The assignments of an application, every page of them; the same one may come several times, once for each role.
    pub fn new(
        application: ApplicationId,
        users: impl IntoIterator<Item = DirectoryUserId>,
        groups: impl IntoIterator<Item = DirectoryGroupId>,
    ) -> Self {
        let (mut users, mut groups): (Vec<_>, Vec<_>) =
            (users.into_iter().collect(), groups.into_iter().collect());
        users.sort_unstable();
        users.dedup();
        groups.sort_unstable();
        groups.dedup();
        Self { application, users, groups }
    }

    /// The application.
    pub fn application(&self) -> &ApplicationId {
        &self.application
    }

    /// Users to whom it is assigned by themselves, in the order of ids.
    pub fn users(&self) -> &[DirectoryUserId] {
        &self.users
    }

    /// Groups to which it is assigned, in the order of ids.
    pub fn groups(&self) -> &[DirectoryGroupId] {
        &self.groups
    }
}
