//! Which site group stands for which directory group: by link, by explicit binding, else by name.
//!
//! A name alone never opens a privileged group, never takes a group that another directory group holds, and never
//! adopts a group that exists already without somebody's word.

use std::collections::HashMap;
use std::sync::Arc;

use super::step::{GroupRef, Keeping, SetAside};
use crate::memory::{Anchor, GroupLink, Memory, MemoryChange, Origin};
use crate::model::{
    DirectoryGroup, DirectorySnapshot, GroupStanding, Nesting, SiteGroup, SiteSnapshot, group_name_key,
    is_administrative_name,
};
use crate::policy::{Existing, GroupMode, Import, Rules, quoted, site_name_problem};

/// What a directory group in scope means on the site.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The group as steps name it.
    pub(super) group: Arc<GroupRef>,
    /// The directory group's own name.
    pub(super) directory_name: Arc<str>,
    /// The selector that names it.
    pub(super) selector: Arc<str>,
    /// The name that a linked group should bear instead of its own, when nothing on either side stands against it.
    pub(super) new_name: Option<Arc<str>>,
    /// What may be taken out of the group.
    pub(super) mode: GroupMode,
    /// Whether members of nested groups belong to it.
    pub(super) nesting: Nesting,
    /// What has to happen to the group itself.
    pub(super) state: TargetState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetState {
    /// Linked, or bound by the rules: managed.
    Managed,
    /// Missing on the site.
    Create,
    /// There already, to be adopted.
    Adopt,
}

/// The groups in scope, in a fixed order, with everything that keeps one from being managed.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub(super) list: Vec<Target>,
    pub(super) records: Vec<MemoryChange>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) notes: Vec<SetAside>,
}

/// The directory groups in scope with the selector that names each, ordered by name and id.
pub(super) fn in_scope<'a>(
    directory: &'a DirectorySnapshot,
    rules: &'a Rules,
) -> Vec<(&'a DirectoryGroup, &'a str)> {
    let mut list: Vec<_> = directory
        .groups()
        .filter(|g| rules.scope.selects(&g.id, &g.display_name))
        .filter_map(|g| {
            let selector = rules.scope.groups.iter().find(|s| s.selects(&g.id, &g.display_name))?;
            Some((g, selector.as_str()))
        })
        .collect();
    list.sort_by(|(a, _), (b, _)| (&a.display_name, &a.id).cmp(&(&b.display_name, &b.id)));
    list
}

pub(super) fn resolve(
    directory: &DirectorySnapshot,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
) -> Targets {
    let groups = in_scope(directory, rules);
    let mut targets = Targets::default();
    let wanted = |group: &DirectoryGroup| match rules.binding(&group.id, &group.display_name) {
        Some(binding) => binding.site.trim().to_owned(),
        None => rules.names.name(&group.display_name),
    };
    let linked =
        |group: &DirectoryGroup| memory.group(&group.id).filter(|link| site.group(&link.group).is_some());
    // Names that two unlinked directory groups would bear go to neither.
    let mut claims: HashMap<String, usize> = HashMap::new();
    for (group, _) in groups.iter().filter(|(g, _)| linked(g).is_none()) {
        *claims.entry(group_name_key(&wanted(group))).or_default() += 1;
    }
    let mut wishes: HashMap<String, usize> = HashMap::new();
    for (group, _) in &groups {
        *wishes.entry(group_name_key(&wanted(group))).or_default() += 1;
    }
    for (group, selector) in groups {
        let name = wanted(group);
        let mut new_name = None;
        let outcome = match linked(group) {
            Some(link) => {
                let shared = wishes.get(&group_name_key(&name)).copied().unwrap_or(0) > 1;
                let mut wish = Wish { name: &name, shared, out: &mut new_name };
                keep_linked(group, link, &mut wish, site, rules, &mut targets)
            }
            None if claims.get(&group_name_key(&name)).copied().unwrap_or(0) > 1 => Err(SetAside {
                object: group_label(group),
                reason: format!("several directory groups in scope would bear the name “{}” on the site", quoted(&name)),
                remedy: "rename one of them in Entra ID, take one out of the scope, or bind each to a site group of its \
                         own under [groups.map]"
                    .into(),
            }),
            None => find_unlinked(group, &name, site, rules, memory, &mut targets),
        };
        match outcome {
            Ok((state, site_group, name)) => targets.list.push(Target {
                group: Arc::new(GroupRef {
                    name,
                    anchor: Anchor::Directory(group.id.clone()),
                    filled_from: Arc::from([]),
                    site_id: site_group.map(|g| g.id.clone()),
                    keeping: Keeping::Ledger,
                }),
                directory_name: group.display_name.clone(),
                selector: Arc::from(selector),
                new_name,
                mode: rules.mode_of(&group.id, &group.display_name),
                nesting: rules.nesting_of(&group.id, &group.display_name),
                state,
            }),
            Err(aside) => targets.set_aside.push(aside),
        }
    }
    targets
}

type Resolved<'a> = Result<(TargetState, Option<&'a SiteGroup>, Arc<str>), SetAside>;

/// The name that the rules have for a linked group, and where it goes when the group should be renamed.
struct Wish<'a> {
    name: &'a str,
    /// Another directory group in scope wants the name too.
    shared: bool,
    out: &'a mut Option<Arc<str>>,
}

fn keep_linked<'a>(
    group: &DirectoryGroup,
    link: &GroupLink,
    wanted: &mut Wish<'_>,
    site: &'a SiteSnapshot,
    rules: &Rules,
    targets: &mut Targets,
) -> Resolved<'a> {
    let Some(found) = site.group(&link.group) else {
        return Err(SetAside {
            object: group_label(group),
            reason: "the linked site group is not there".into(),
            remedy: "run a full sync".into(),
        });
    };
    privileged(group, found, site, rules)?;
    if found.name != link.name {
        targets.records.push(MemoryChange::LinkGroup(GroupLink { name: found.name.clone(), ..link.clone() }));
    }
    if group_name_key(&found.name) != group_name_key(wanted.name) {
        let why = against_renaming(group, found, wanted, site, rules);
        match why {
            None => *wanted.out = Some(Arc::from(wanted.name)),
            Some(why) => targets.notes.push(SetAside {
                object: group_label(group),
                reason: format!(
                    "the directory calls it “{}”, the site keeps the name “{}”: {why}",
                    quoted(wanted.name),
                    found.name
                ),
                remedy: "nothing is lost, membership follows the link; give the directory group another name, or free \
                         the name on the site, and the group is renamed by the next run where that is possible"
                    .into(),
            }),
        }
    }
    Ok((TargetState::Managed, Some(found), found.name.clone()))
}

/// What stands against giving a linked group the name that the directory has for it now.
fn against_renaming(
    group: &DirectoryGroup,
    found: &SiteGroup,
    wanted: &Wish<'_>,
    site: &SiteSnapshot,
    rules: &Rules,
) -> Option<String> {
    if rules.binding(&group.id, &group.display_name).is_some() {
        return Some("the binding under [groups.map] is for groups that exist, it renames none".into());
    }
    if let Some(problem) = site_name_problem(wanted.name) {
        return Some(problem.to_string());
    }
    if is_administrative_name(wanted.name) {
        return Some("groups of administrators and apps bear such names; Entrain gives them to none".into());
    }
    if listed(wanted.name, rules) {
        return Some("the name is on the protected list".into());
    }
    if site.standing().group_standing(found) != GroupStanding::Ordinary {
        return Some("the group grants administration, or new people land in it".into());
    }
    if wanted.shared {
        return Some("several directory groups in scope would bear the name".into());
    }
    site.groups_by_name(wanted.name)
        .any(|other| other.id != found.id)
        .then(|| "the site has another group of this name".into())
}

fn find_unlinked<'a>(
    group: &DirectoryGroup,
    name: &str,
    site: &'a SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
    targets: &mut Targets,
) -> Resolved<'a> {
    let aside = |reason: String, remedy: &str| {
        Err(SetAside { object: group_label(group), reason, remedy: remedy.to_owned() })
    };
    let bound = rules.binding(&group.id, &group.display_name).is_some();
    let candidates: Vec<&SiteGroup> = site.groups_by_name(name).collect();
    let found = match candidates.as_slice() {
        [] => None,
        [one] => Some(*one),
        several => match several.iter().filter(|g| &*g.name == name).collect::<Vec<_>>().as_slice() {
            [exact] => Some(**exact),
            _ => {
                return aside(
                    format!("the site has several groups called “{name}” but for case or blanks"),
                    "bind the right one under [groups.map], or remove the others on the site",
                );
            }
        },
    };
    let Some(found) = found else {
        if let Some(problem) = site_name_problem(name) {
            return aside(
                format!("no site group can be made of it: {problem}"),
                "rename the group in Entra ID",
            );
        }
        if is_administrative_name(name) {
            return aside(
                format!(
                    "“{name}” is a name that administrators' groups bear on Jira sites; Entrain creates none"
                ),
                "rename the directory group; or, if you mean it, create the group on the site by hand and bind it on \
                 purpose under [groups.map]",
            );
        }
        if listed(name, rules) {
            return aside(format!("“{name}” is on the protected list"), "take it off [protected] groups");
        }
        return match rules.import_groups {
            Import::Create => Ok((TargetState::Create, None, Arc::from(name))),
            Import::Report => aside(
                "the site has no group of this name, and import_groups is off".into(),
                "create the group on the site, or switch import_groups on",
            ),
        };
    };
    if let Some(other) = memory.group_of(&found.id).filter(|other| **other != group.id) {
        return aside(
            format!("the site group “{}” is linked to another directory group ({other})", found.name),
            "rename one of the two in Entra ID, or take one out of the scope",
        );
    }
    privileged(group, found, site, rules)?;
    if bound {
        targets.records.push(MemoryChange::LinkGroup(GroupLink {
            anchor: Anchor::Directory(group.id.clone()),
            group: found.id.clone(),
            name: found.name.clone(),
            origin: Origin::Adopted,
        }));
        return Ok((TargetState::Managed, Some(found), found.name.clone()));
    }
    match rules.existing {
        Existing::Ask | Existing::Adopt => Ok((TargetState::Adopt, Some(found), found.name.clone())),
        Existing::Skip => aside(
            format!("the site has a group “{}” already, and existing = \"skip\"", found.name),
            "set existing to \"ask\" or \"adopt\", or bind the group under [groups.map]",
        ),
    }
}

/// Groups that Entrain does not touch for bearing a name. A binding in the rules is an explicit act: it opens groups
/// that grant administration and default access groups, and no others.
fn privileged(
    group: &DirectoryGroup,
    found: &SiteGroup,
    site: &SiteSnapshot,
    rules: &Rules,
) -> Result<(), SetAside> {
    let standing = if rules.protected.groups.contains(&found.id) || listed(&found.name, rules) {
        GroupStanding::Listed
    } else {
        site.standing().group_standing(found)
    };
    let bound = rules.binding(&group.id, &group.display_name).is_some();
    let why = match standing {
        GroupStanding::Ordinary => return Ok(()),
        GroupStanding::Administrative | GroupStanding::DefaultAccess if bound => return Ok(()),
        GroupStanding::Administrative => "grants administration",
        GroupStanding::Apps => "holds the accounts of apps",
        GroupStanding::DefaultAccess => "is a default access group, in which every new person lands",
        GroupStanding::External => "is owned by an identity provider",
        GroupStanding::Listed => "is on the protected list",
    };
    let remedy = match standing {
        GroupStanding::Listed => "take it off [protected] if Entrain is to manage it".to_owned(),
        GroupStanding::External => {
            "leave it to the identity provider, or rename the directory group".to_owned()
        }
        _ => format!(
            "rename the directory group; or, if you mean it, bind it on purpose: [groups.map] \"{}\" = \"{}\"",
            group.display_name.trim(),
            found.name
        ),
    };
    Err(SetAside {
        object: group_label(group),
        reason: format!(
            "the site group “{}” {why}; Entrain does not manage it for bearing its name",
            found.name
        ),
        remedy,
    })
}

fn listed(name: &str, rules: &Rules) -> bool {
    rules.protected.group_names.contains(&group_name_key(name))
}

pub(super) fn group_label(group: &DirectoryGroup) -> String {
    format!("group “{}” ({})", quoted(&group.display_name), group.id)
}
