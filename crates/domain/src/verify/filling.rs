//! What fills a group, found anew from the rules and the snapshots, whatever a step says.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::Check;
use super::part::Part;
use crate::memory::{Anchor, Mark};
use crate::model::{
    AccountId, AccountState, Coverage, DirectoryGroupId, DirectorySnapshot, DirectoryUserId, Nesting,
    group_name_key,
};
use crate::plan::{GroupRef, PlanInput};
use crate::policy::{GroupMode, UserScope};

pub(super) type Below<'a> = Rc<HashSet<&'a DirectoryUserId>>;

/// What fills a group.
pub(super) enum Filling {
    /// Directory groups, at least one.
    Groups(Vec<DirectoryGroupId>),
    /// Everybody in scope.
    Everybody,
    /// Whoever is invited.
    Newcomers,
    /// Nothing that is there.
    Unknown,
}

/// The accounts of people who are entitled to a group.
pub(super) struct Claims<'a> {
    pub(super) users: HashSet<&'a DirectoryUserId>,
    /// Accounts linked to them.
    pub(super) linked: HashSet<&'a AccountId>,
    /// Addresses of those who are not linked.
    pub(super) addresses: HashSet<String>,
}

impl<'a> Check<'a> {
    pub(super) fn name_of(&self, group: &DirectoryGroupId) -> Option<String> {
        self.input.directory.group(group).map(|g| g.display_name.to_string())
    }

    /// What fills a group, found anew from the rules, whatever the step says.
    pub(super) fn filling(&self, group: &GroupRef) -> Filling {
        let rules = self.input.rules;
        let name = match &group.anchor {
            Anchor::Directory(id) => return Filling::Groups(vec![id.clone()]),
            Anchor::Named(name) => name.key(),
        };
        let same = |other: &str| group_name_key(other) == name;
        if rules.defaults.everybody.iter().any(|other| same(other)) {
            return Filling::Everybody;
        }
        if rules.defaults.newcomers.iter().any(|other| same(other)) {
            return Filling::Newcomers;
        }
        let mut ids = Vec::new();
        for binding in rules.bindings.iter().filter(|binding| same(&binding.site)) {
            let listed = self.input.directory.groups();
            let found: Vec<_> = listed
                .filter(|g| binding.directory.selects(&g.id, &g.display_name))
                .filter(|g| rules.scope.selects(&g.id, &g.display_name))
                .map(|g| g.id.clone())
                .collect();
            // A name that is nobody's, or of several, is not known to mean anything.
            if found.len() != 1 {
                return Filling::Unknown;
            }
            ids.extend(found);
        }
        if ids.is_empty() { Filling::Unknown } else { Filling::Groups(ids) }
    }

    /// The mildest of what the rules say of the groups that fill it.
    pub(super) fn mode(&self, group: &GroupRef) -> GroupMode {
        let rules = self.input.rules;
        let modes: Vec<GroupMode> = match (self.filling(group), &group.anchor) {
            (Filling::Groups(ids), _) => ids
                .iter()
                .map(|id| rules.mode_of(id, self.name_of(id).as_deref().unwrap_or_default()))
                .collect(),
            (Filling::Everybody, Anchor::Named(name)) => vec![rules.mode_of_named(name.key())],
            _ => vec![GroupMode::Additive],
        };
        [GroupMode::Additive, GroupMode::Managed]
            .into_iter()
            .find(|mode| modes.contains(mode))
            .unwrap_or(GroupMode::Authoritative)
    }

    /// Gathered once per group: removals may be as many as members.
    pub(super) fn claims(&mut self, group: &GroupRef) -> Option<Rc<Claims<'a>>> {
        if let Some(known) = self.claims.get(&group.anchor) {
            return Some(known.clone());
        }
        let PlanInput { directory, memory, .. } = *self.input;
        let users: HashSet<&DirectoryUserId> = self
            .below(group)?
            .iter()
            .copied()
            .filter(|id| directory.gone(id).is_none())
            .filter(|id| {
                directory.user(id).is_none_or(|u| match u.account {
                    AccountState::Disabled => false,
                    AccountState::Enabled => self.parts.part(u) != Part::TakesNone,
                    AccountState::Unknown => true,
                })
            })
            .collect();
        let linked = users.iter().filter_map(|id| memory.user(id)).map(|link| &link.account).collect();
        let addresses = users
            .iter()
            .filter(|id| memory.user(id).is_none())
            .filter_map(|id| directory.user(id)?.address())
            .map(|address| address.key())
            .collect();
        let claims = Rc::new(Claims { users, linked, addresses });
        self.claims.insert(group.anchor.clone(), claims.clone());
        Some(claims)
    }

    pub(super) fn below(&mut self, group: &GroupRef) -> Option<Below<'a>> {
        if let Some(known) = self.below.get(&group.anchor) {
            return known.clone();
        }
        let reached = match self.filling(group) {
            Filling::Groups(ids) => self.below_all(&ids),
            Filling::Everybody => self.whole_scope(),
            Filling::Newcomers => Some(self.invited.iter().copied().chain(self.owed(group)).collect()),
            Filling::Unknown => None,
        };
        let reached = reached.map(Rc::new);
        self.below.insert(group.anchor.clone(), reached.clone());
        reached
    }

    /// Whoever is linked, and remembered as invited without having been given this group yet.
    fn owed(&self, group: &GroupRef) -> impl Iterator<Item = &'a DirectoryUserId> {
        let PlanInput { directory, memory, .. } = *self.input;
        let begins = format!("add_member/{}/", group.anchor.in_steps());
        memory
            .marks()
            .filter(|(_, mark)| matches!(mark, Mark::Owed { .. }))
            .filter_map(move |(step, _)| DirectoryUserId::parse(step.as_str().strip_prefix(&begins)?).ok())
            .filter(|user| memory.user(user).is_some())
            .filter_map(|user| directory.user(&user))
            .map(|user| &user.id)
    }

    /// Everybody who takes part, where nobody can be missed.
    pub(super) fn whole_scope(&self) -> Option<HashSet<&'a DirectoryUserId>> {
        let PlanInput { directory, rules, .. } = *self.input;
        let whole = |coverage: &Coverage| matches!(coverage, Coverage::Complete);
        if !whole(directory.users_coverage()) || !whole(directory.groups_coverage()) {
            return None;
        }
        match &rules.scope.users {
            // Whom the scope leaves out is seen where each is looked at.
            UserScope::All | UserScope::Assigned(_) => Some(directory.users().map(|user| &user.id).collect()),
            UserScope::InGroups => {
                let ids: Vec<DirectoryGroupId> = directory
                    .groups()
                    .filter(|g| rules.scope.selects(&g.id, &g.display_name))
                    .map(|g| g.id.clone())
                    .collect();
                self.below_all(&ids)
            }
        }
    }

    /// Everybody below any of these groups, where all of them are completely known.
    pub(super) fn below_all(&self, groups: &[DirectoryGroupId]) -> Option<HashSet<&'a DirectoryUserId>> {
        let mut all = HashSet::new();
        for group in groups {
            let name = self.name_of(group).unwrap_or_default();
            let nesting = self.input.rules.nesting_of(group, &name);
            all.extend(everybody_below(self.input.directory, group, nesting)?);
        }
        Some(all)
    }
}

/// Flattens by growing a set of group ids until it stays the same; unlike the planner's walk, without indexes.
pub(super) fn everybody_below<'a>(
    directory: &'a DirectorySnapshot,
    root: &DirectoryGroupId,
    nesting: Nesting,
) -> Option<HashSet<&'a DirectoryUserId>> {
    directory.group(root)?;
    let mut groups: BTreeSet<DirectoryGroupId> = BTreeSet::from([root.clone()]);
    let mut open = vec![root.clone()];
    let mut users = HashSet::new();
    while let Some(id) = open.pop() {
        let Some(group) = directory.group(&id) else {
            // A nested group that the directory has deleted brings nobody; one that it does not list is unknown.
            if directory.group_is_gone(&id) {
                continue;
            }
            return None;
        };
        let (direct, nested) = group.direct()?;
        users.extend(direct.iter().map(|ix| directory.user_id_at(*ix)));
        for ix in nested.iter().filter(|_| nesting == Nesting::Flatten) {
            let id = directory.group_at(*ix).id.clone();
            if groups.insert(id.clone()) {
                open.push(id);
            }
        }
    }
    Some(users)
}
