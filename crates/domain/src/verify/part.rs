//! Who takes part, worked out anew: with sets of ids, person by person, where the planner marks indexes.

use std::collections::{HashMap, HashSet};

use super::filling::everybody_below;
use crate::model::{DirectoryGroupId, DirectoryUser, DirectoryUserId, Nesting, UserKind};
use crate::plan::PlanInput;
use crate::policy::{Facts, Guests, UserScope};

/// Whether somebody takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Takes,
    TakesNone,
    Unknown,
}

type Ids<'a> = HashSet<&'a DirectoryUserId>;

/// The sets of people that the scope speaks of.
pub(super) struct Parts<'a> {
    input: &'a PlanInput<'a>,
    /// Everybody in a group of the scope, as far as known; for assignments, everybody who has one.
    reached: Ids<'a>,
    /// Whether all of them are known.
    whole: bool,
    /// For each name in the filter, everybody in a group of that name; nothing where that is not known.
    named: HashMap<String, Option<Ids<'a>>>,
    /// Every group in scope by name, or nothing when one is not known.
    scoped: Option<Vec<(String, Ids<'a>)>>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(input: &'a PlanInput<'a>) -> Self {
        let PlanInput { directory, rules, .. } = *input;
        let below =
            |id: &DirectoryGroupId, name: &str| everybody_below(directory, id, rules.nesting_of(id, name));
        let in_scope = || {
            directory.groups().filter(|group| {
                let named_by = |list: &[crate::policy::GroupSelector]| {
                    list.iter().any(|selector| selector.selects(&group.id, &group.display_name))
                };
                named_by(&rules.scope.groups) && !named_by(&rules.scope.exclude_groups)
            })
        };
        let (mut reached, mut whole) = (Ids::new(), true);
        match &rules.scope.users {
            UserScope::All => {}
            UserScope::InGroups => {
                for group in in_scope() {
                    reached.extend(below(&group.id, &group.display_name).into_iter().flatten());
                }
            }
            UserScope::Assigned(application) => match directory.assignments() {
                Some(list) if list.application() == application => {
                    reached.extend(list.users());
                    for group in list.groups() {
                        match everybody_below(directory, group, Nesting::Direct) {
                            Some(members) => reached.extend(members),
                            None => whole &= directory.group_is_gone(group),
                        }
                    }
                }
                _ => whole = false,
            },
        }
        let (mut named, mut scoped) = (HashMap::new(), Some(Vec::new()));
        if let Some(filter) = &rules.scope.filter {
            for selector in filter.named_groups() {
                let found: Vec<_> = directory
                    .groups()
                    .filter(|group| selector.selects(&group.id, &group.display_name))
                    .map(|group| below(&group.id, &group.display_name))
                    .collect();
                let known: Option<Vec<Ids<'_>>> = found.into_iter().collect();
                let known = known.filter(|sets| !sets.is_empty());
                named.insert(
                    selector.as_str().to_owned(),
                    known.map(|sets| sets.into_iter().flatten().collect()),
                );
            }
            if filter.looks_through_groups() {
                scoped = in_scope()
                    .map(|group| {
                        Some((group.display_name.trim().to_owned(), below(&group.id, &group.display_name)?))
                    })
                    .collect();
            }
        }
        Self { input, reached, whole, named, scoped }
    }

    /// Whether an enabled user takes part.
    pub(super) fn part(&self, user: &DirectoryUser) -> Part {
        let scope = &self.input.rules.scope;
        if scope.guests == Guests::Exclude && user.kind == UserKind::Guest {
            return Part::TakesNone;
        }
        match &scope.users {
            UserScope::All => {}
            _ if self.reached.contains(&user.id) => {}
            UserScope::Assigned(_) if self.whole => return Part::TakesNone,
            // Who is in no group is not entitled to one, and that is found out group by group.
            UserScope::InGroups | UserScope::Assigned(_) => return Part::Unknown,
        }
        let Some(filter) = &scope.filter else { return Part::Takes };
        let mut groups: Vec<std::sync::Arc<str>> = Vec::new();
        for (name, holds) in &self.named {
            match holds {
                None => return Part::Unknown,
                Some(ids) if ids.contains(&user.id) => groups.push(name.as_str().into()),
                Some(_) => {}
            }
        }
        let Some(scoped) = &self.scoped else { return Part::Unknown };
        for (name, ids) in scoped {
            if ids.contains(&user.id) && !groups.iter().any(|known| **known == **name) {
                groups.push(name.as_str().into());
            }
        }
        match filter.holds(&Facts { user, groups: &groups }) {
            Ok(true) => Part::Takes,
            Ok(false) => Part::TakesNone,
            Err(_) => Part::Unknown,
        }
    }
}
