//! Signing in to the console through the directory: what is needed of the sign-in service, and which role somebody has by
//! their groups. Whoever is in no group that gives a role gets no further, whoever they are.

use std::fmt;

use entrain_domain::service::Role;
use entrain_domain::{Failure, FailureClass, FailureCode};
use secrecy::SecretString;

use crate::doors::Begun;
use crate::service::Answer;

/// Who signed in, and what their groups give them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The tenant.
    pub tenant_id: String,
    /// Object id in it.
    pub object_id: String,
    /// Name, for display.
    pub name: Option<String>,
    /// Usually the user principal name.
    pub username: Option<String>,
    /// What their groups give them.
    pub standing: Standing,
}

/// What somebody's groups give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// This role.
    Role(Role),
    /// None.
    Nothing,
    /// Not known: they are in more groups than a token names.
    TooManyGroups,
}

/// The sign-in service, as the console needs it.
pub trait Federation: fmt::Debug + Send + Sync {
    /// Begins a sign-in.
    fn begin(&self) -> Answer<'_, Begun>;
    /// Redeems the code that the browser brought back; its state was compared already.
    fn finish<'a>(&'a self, kept: &'a SecretString, code: &'a str) -> Answer<'a, Attested>;
    /// Seals what the browser keeps meanwhile.
    ///
    /// # Errors
    /// When the system has no random numbers.
    fn seal(&self, text: &SecretString) -> Result<String, Failure>;
    /// Opens it again; nothing where it was changed, or is none of ours.
    fn open(&self, sealed: &str) -> Option<SecretString>;
    /// Which group gives which role.
    fn roles(&self) -> &RoleMap;
}

/// Which group gives which role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleMap(Vec<(String, Role)>);

impl RoleMap {
    /// Reads `ROLE=GROUP` pairs; a group is named by its object id, for names change and are given to others.
    ///
    /// # Errors
    /// When a pair is none, a role is unknown, a group is not named by its id, or is named twice.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, Failure> {
        let mut map: Vec<(String, Role)> = Vec::new();
        for pair in pairs {
            let read = pair.split_once('=').and_then(|(role, group)| {
                let group = group.trim().to_ascii_lowercase();
                Some((Role::from_word(role.trim())?, group)).filter(|(_, group)| is_guid(group))
            });
            let Some((role, group)) = read else {
                return Err(wrong(format!("“{pair}” is not a role and the object id of a group")));
            };
            if map.iter().any(|(known, _)| *known == group) {
                return Err(wrong(format!("the group {group} is given two roles")));
            }
            map.push((group, role));
        }
        Ok(Self(map))
    }

    /// Whether no group gives any role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Groups by object id with the role that each gives, the highest first.
    pub fn pairs(&self) -> Vec<(&str, Role)> {
        let mut pairs: Vec<_> = self.0.iter().map(|(group, role)| (group.as_str(), *role)).collect();
        pairs.sort_by_key(|(_, role)| std::cmp::Reverse(*role));
        pairs
    }

    /// The highest role that these groups give.
    pub fn role<'a>(&self, groups: impl IntoIterator<Item = &'a str>) -> Option<Role> {
        let of = |group: &str| {
            self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(group)).map(|(_, role)| *role)
        };
        groups.into_iter().filter_map(of).max()
    }
}

fn wrong(what: String) -> Failure {
    let remedy = "write it as administrator=11111111-2222-3333-4444-555555555555";
    Failure::new(FailureCode::UsageInvalid, FailureClass::Local, what, remedy).of("--sign-in-role")
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
    const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

    #[test]
    fn the_highest_role_of_all_groups_counts_and_no_group_gives_none() {
        let map = RoleMap::parse([format!("viewer={A}").as_str(), &format!("administrator={B}")]).unwrap();
        assert_eq!(map.role([A]), Some(Role::Viewer));
        assert_eq!(map.role([A, &B.to_ascii_uppercase()]), Some(Role::Administrator));
        assert_eq!(map.role(["cccccccc-0000-4000-8000-000000000003"]), None);
        assert_eq!(map.role([]), None);
        assert_eq!(map.pairs(), [(B, Role::Administrator), (A, Role::Viewer)]);
    }

    #[test]
    fn groups_are_named_by_id_alone_and_once() {
        for pair in
            ["viewer", "viewer=", "viewer=Jira admins", "owner=aaaaaaaa-0000-4000-8000-000000000001", "=x"]
        {
            let failure = RoleMap::parse([pair]).unwrap_err();
            assert!(failure.message.contains(pair), "{failure}");
        }
        let twice = [format!("viewer={A}"), format!("administrator={}", A.to_ascii_uppercase())];
        assert!(RoleMap::parse(twice.iter().map(String::as_str)).is_err());
    }
}
