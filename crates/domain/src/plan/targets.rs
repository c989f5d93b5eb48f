//! Which site group stands for what: by explicit binding, else by link, else by name.
//!
//! A name alone never opens a privileged group, never takes a group that another directory group holds, and never
//! adopts a group that exists already without somebody's word.

mod frozen;
mod named;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::step::{GroupRef, Keeping, MendedBy, SetAside};
use crate::memory::{Anchor, GroupLink, Memory, MemoryChange};
use crate::model::{
    DirectoryGroup, DirectoryGroupId, DirectorySnapshot, GroupStanding, Nesting, SiteGroup, SiteGroupId,
    SiteSnapshot, group_name_key, is_administrative_name,
};
use crate::policy::{Existing, GroupMode, Import, Rules, quoted, site_name_problem};

/// What a site group that Entrain manages stands for.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The group as steps name it.
    pub(super) group: Arc<GroupRef>,
    /// Who belongs into it.
    pub(super) filled: Filled,
    /// The name that a linked group should bear instead of its own, when nothing on either side stands against it.
    pub(super) new_name: Option<Arc<str>>,
    /// What may be taken out of the group.
    pub(super) mode: GroupMode,
    /// What has to happen to the group itself.
    pub(super) state: TargetState,
    /// The name it had when it was last seen, where somebody changed it by hand.
    pub(super) renamed_from: Option<Arc<str>>,
    /// Whether the group that stood for the same was deleted on the site by hand.
    pub(super) deleted: Deleted,
}

/// Who belongs into a site group.
#[derive(Debug, Clone)]
pub(super) enum Filled {
    /// The members of directory groups, at least one.
    From(Vec<Source>),
    /// Everybody who takes part.
    Everybody,
    /// Whoever is invited, once.
    Newcomers,
}

/// A directory group that fills a site group.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) id: DirectoryGroupId,
    /// The directory group's own name.
    pub(super) name: Arc<str>,
    /// The selector that names it.
    pub(super) selector: Arc<str>,
    /// Whether members of nested groups belong to it.
    pub(super) nesting: Nesting,
}

impl Filled {
    pub(super) fn sources(&self) -> &[Source] {
        match self {
            Self::From(sources) => sources,
            Self::Everybody | Self::Newcomers => &[],
        }
    }
}

impl Target {
    /// The names of the directory groups that fill it.
    pub(super) fn directory_names(&self) -> Arc<[Arc<str>]> {
        self.filled.sources().iter().map(|source| source.name.clone()).collect()
    }

    /// The target as a person knows it.
    pub(super) fn label(&self) -> String {
        match self.filled.sources() {
            [one] => label(&one.name, &one.id),
            _ => named_label(&self.group.name),
        }
    }
}

/// Whether a linked site group is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    No,
    ByHand,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TargetState {
    /// Linked, or bound by the rules: managed.
    Managed,
    /// Missing on the site.
    Create,
    /// There already, to be adopted.
    Adopt,
    /// There, and linked to a directory group that no longer takes part; to be taken over.
    TakeOver(Former),
}

/// What is known of the directory group that a site group stood for so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// The directory has deleted it.
    Deleted,
    /// The directory does not list it, or the scope does not name it any more.
    NotInScope,
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
    let taking_part: HashSet<&DirectoryGroupId> = groups.iter().map(|(group, _)| &group.id).collect();
    let mut targets = Targets::default();
    let named =
        named::resolve(&named::View { directory, site, rules, memory, groups: &groups }, &mut targets);
    let (bound, free): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|(group, _)| rules.binding(&group.id, &group.display_name).is_some());
    for (group, _) in bound {
        let linked = memory.group(&group.id).and_then(|link| site.group(&link.group));
        // Its own site group may be what it is bound to; then the link only changes its form.
        if let Some(left) = linked.filter(|found| !targets.list.iter().any(|t| holds(t, &found.id))) {
            targets.notes.push(SetAside {
                object: group_label(group),
                reason: format!(
                    "the binding under [groups.map] goes before the link: “{}”, which the group filled so far, is left as \
                     it is",
                    left.name
                ),
                remedy: "nothing, if that is meant; take the binding out, and the link holds again".into(), mended_by: MendedBy::Itself });
        }
    }
    let wanted = |group: &DirectoryGroup| rules.names.name(&group.display_name);
    let linked =
        |group: &DirectoryGroup| memory.group(&group.id).filter(|link| site.group(&link.group).is_some());
    // Names that two unlinked directory groups would bear go to neither.
    let mut claims: HashMap<String, usize> = HashMap::new();
    for (group, _) in free.iter().filter(|(g, _)| linked(g).is_none()) {
        *claims.entry(group_name_key(&wanted(group))).or_default() += 1;
    }
    let mut wishes: HashMap<String, usize> = HashMap::new();
    for (group, _) in &free {
        *wishes.entry(group_name_key(&wanted(group))).or_default() += 1;
    }
    for (group, selector) in free {
        let name = wanted(group);
        let (mut new_name, mut renamed_from, mut deleted) = (None, None, Deleted::No);
        let outcome = match linked(group) {
            Some(link) => {
                let shared = wishes.get(&group_name_key(&name)).copied().unwrap_or(0) > 1;
                let swapped = swaps(&name, link, site, memory, directory, rules);
                let mut wish = Wish { name: &name, shared, swapped, out: &mut new_name };
                let kept = keep_linked(group, link, &mut wish, site, rules, &mut targets);
                renamed_from =
                    kept.as_ref().ok().filter(|(_, _, now)| *now != link.name).map(|_| link.name.clone());
                kept
            }
            None if claims.get(&group_name_key(&name)).copied().unwrap_or(0) > 1 => Err(SetAside {
                object: group_label(group),
                reason: format!("several directory groups in scope would bear the name “{}” on the site", quoted(&name)),
                remedy: "rename one of them in Entra ID, take one out of the scope, or bind them by their ids under \
                         [groups.map], each to a site group of its own or all to one"
                    .into(), mended_by: MendedBy::Directory }),
            None if named.contains(&group_name_key(&name)) => Err(named::taken(group, &name)),
            None => {
                if memory.group(&group.id).is_some() {
                    deleted = Deleted::ByHand;
                }
                find_unlinked(group, &name, &Both { directory, site, rules, memory })
            }
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
                mode: rules.mode_of(&group.id, &group.display_name),
                filled: Filled::From(vec![source(group, selector, rules)]),
                new_name,
                state,
                renamed_from,
                deleted,
            }),
            Err(aside) => targets.set_aside.push(aside),
        }
    }
    frozen::note(&Both { directory, site, rules, memory }, &taking_part, &named, &mut targets);
    targets
}

fn holds(target: &Target, id: &SiteGroupId) -> bool {
    target.group.site_id.as_ref() == Some(id)
}

fn source(group: &DirectoryGroup, selector: &str, rules: &Rules) -> Source {
    Source {
        id: group.id.clone(),
        name: group.display_name.clone(),
        selector: Arc::from(selector),
        nesting: rules.nesting_of(&group.id, &group.display_name),
    }
}

/// Both sides and what is known of them.
#[derive(Clone, Copy)]
struct Both<'a> {
    directory: &'a DirectorySnapshot,
    site: &'a SiteSnapshot,
    rules: &'a Rules,
    memory: &'a Memory,
}

/// The site group whose name a linked group should bear, where its directory group wants this one's name in return.
fn swaps(
    name: &str,
    link: &GroupLink,
    site: &SiteSnapshot,
    memory: &Memory,
    directory: &DirectorySnapshot,
    rules: &Rules,
) -> Option<(Arc<str>, Arc<str>)> {
    let own = site.group(&link.group)?;
    let other = site.groups_by_name(name).find(|other| other.id != own.id)?;
    let theirs = directory.group(memory.group_of(&other.id)?)?;
    let wish = rules.names.name(&theirs.display_name);
    (group_name_key(&wish) == group_name_key(&own.name))
        .then(|| (other.name.clone(), theirs.display_name.clone()))
}

type Resolved<'a> = Result<(TargetState, Option<&'a SiteGroup>, Arc<str>), SetAside>;

/// The name that the rules have for a linked group, and where it goes when the group should be renamed.
struct Wish<'a> {
    name: &'a str,
    /// Another directory group in scope wants the name too.
    shared: bool,
    /// The site group that bears the name and its directory group, where that one wants this one's name in return.
    swapped: Option<(Arc<str>, Arc<str>)>,
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
            mended_by: MendedBy::Itself,
        });
    };
    privileged(&group_label(group), Some(group), found, Opens::Nothing, site, rules)?;
    if found.name != link.name {
        targets.records.push(MemoryChange::LinkGroup(GroupLink { name: found.name.clone(), ..link.clone() }));
    }
    if group_name_key(&found.name) != group_name_key(wanted.name) {
        let why = against_renaming(found, wanted, site, rules);
        match why {
            None => *wanted.out = Some(Arc::from(wanted.name)),
            Some(why) => targets.notes.push(SetAside {
                object: group_label(group),
                reason: format!(
                    "the directory calls it “{}”, the site keeps the name “{}”: {why}",
                    quoted(wanted.name),
                    found.name
                ),
                remedy: match &wanted.swapped {
                    None => "nothing is lost, membership follows the link; give the directory group another name, or \
                             free the name on the site, and the group is renamed by the next run where that is possible"
                        .into(),
                    Some((other, theirs)) => format!(
                        "nothing is lost, membership follows the link; the two groups have exchanged their names. Give \
                         “{}” a third name at admin.atlassian.com (Directory, Groups), rename “{other}” to what it is \
                         called now, and then the first one; or swap: fill both with [groups.map], \"{}\" = \
                         \"{other}\" and \"{}\" = \"{}\", and the members change places",
                        found.name,
                        quoted(&group.display_name),
                        quoted(theirs),
                        found.name
                    ),
                }, mended_by: MendedBy::Itself }),
        }
    }
    Ok((TargetState::Managed, Some(found), found.name.clone()))
}

/// What stands against giving a linked group the name that the directory has for it now.
fn against_renaming(
    found: &SiteGroup,
    wanted: &Wish<'_>,
    site: &SiteSnapshot,
    rules: &Rules,
) -> Option<String> {
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

/// What stands against a name.
struct Against {
    reason: String,
    remedy: &'static str,
    mended_by: MendedBy,
}

impl Against {
    fn aside(self, object: String) -> SetAside {
        SetAside { object, reason: self.reason, remedy: self.remedy.to_owned(), mended_by: self.mended_by }
    }
}

/// The site group of a name: one, or none, or nobody knows which.
fn candidate<'a>(site: &'a SiteSnapshot, name: &str) -> Result<Option<&'a SiteGroup>, Against> {
    let candidates: Vec<&SiteGroup> = site.groups_by_name(name).collect();
    match candidates.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => match several.iter().filter(|g| &*g.name == name).collect::<Vec<_>>().as_slice() {
            [exact] => Ok(Some(**exact)),
            _ => Err(Against {
                reason: format!("the site has several groups called “{name}” but for case or blanks"),
                remedy: "bind the right one under [groups.map], or remove the others on the site",
                mended_by: MendedBy::Site,
            }),
        },
    }
}

/// What stands against making a site group of this name.
fn against_creating(name: &str, rules: &Rules) -> Option<Against> {
    let against = |reason, remedy, mended_by| Some(Against { reason, remedy, mended_by });
    if let Some(problem) = site_name_problem(name) {
        let reason = format!("no site group can be made of it: {problem}");
        return against(reason, "rename the group in Entra ID", MendedBy::Directory);
    }
    if is_administrative_name(name) {
        return against(
            format!(
                "“{name}” is a name that administrators' groups bear on Jira sites; Entrain creates none"
            ),
            "rename the directory group; or, if you mean it, create the group on the site by hand and bind it on \
             purpose under [groups.map]",
            MendedBy::Directory,
        );
    }
    if listed(name, rules) {
        let reason = format!("“{name}” is on the protected list");
        return against(reason, "take it off [protected] groups", MendedBy::Directory);
    }
    match rules.import_groups {
        Import::Create => None,
        Import::Report => against(
            "the site has no group of this name, and import_groups is off".into(),
            "create the group on the site, or switch import_groups on",
            MendedBy::Site,
        ),
    }
}

fn find_unlinked<'a>(group: &DirectoryGroup, name: &str, both: &Both<'a>) -> Resolved<'a> {
    let Both { directory, site, rules, memory } = *both;
    let aside = |against: Against| against.aside(group_label(group));
    let Some(found) = candidate(site, name).map_err(aside)? else {
        return match against_creating(name, rules) {
            Some(why) => Err(aside(why)),
            None => Ok((TargetState::Create, None, Arc::from(name))),
        };
    };
    let former = match memory.anchor_of(&found.id) {
        Some(Anchor::Directory(other)) if *other != group.id => Some(other),
        _ => None,
    };
    if let Some(other) = former.filter(|other| stands(directory, rules, other)) {
        return Err(aside(Against {
            reason: format!("the site group “{}” is linked to another directory group ({other})", found.name),
            remedy: "rename one of the two in Entra ID, take one out of the scope, or fill the site group from both \
                     under [groups.map]",
            mended_by: MendedBy::Directory,
        }));
    }
    privileged(&group_label(group), Some(group), found, Opens::Nothing, site, rules)?;
    match (rules.existing, former) {
        (Existing::Skip, _) => Err(aside(Against {
            reason: format!("the site has a group “{}” already, and existing = \"skip\"", found.name),
            remedy: "set existing to \"ask\" or \"adopt\", or bind the group under [groups.map]",
            mended_by: MendedBy::Site,
        })),
        (_, None) => Ok((TargetState::Adopt, Some(found), found.name.clone())),
        (_, Some(other)) => {
            let former = if directory.group_is_gone(other) { Former::Deleted } else { Former::NotInScope };
            Ok((TargetState::TakeOver(former), Some(found), found.name.clone()))
        }
    }
}

/// Whether a directory group takes part under the name that the template makes for it.
fn stands(directory: &DirectorySnapshot, rules: &Rules, id: &DirectoryGroupId) -> bool {
    directory.group(id).is_some_and(|group| {
        rules.scope.selects(id, &group.display_name) && rules.binding(id, &group.display_name).is_none()
    })
}

/// What naming a group in the document opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// It is not named: a directory group bears its name.
    Nothing,
    /// Everybody or every newcomer would be in it: groups in which new people land.
    Default,
    /// A binding is an explicit act: groups that grant administration too.
    Bound,
}

/// Groups that Entrain does not touch for bearing a name. A name in the rules is an explicit act: it opens some, and
/// no others.
fn privileged(
    object: &str,
    group: Option<&DirectoryGroup>,
    found: &SiteGroup,
    opens: Opens,
    site: &SiteSnapshot,
    rules: &Rules,
) -> Result<(), SetAside> {
    let standing = if rules.protected.groups.contains(&found.id) || listed(&found.name, rules) {
        GroupStanding::Listed
    } else {
        site.standing().group_standing(found)
    };
    let why = match standing {
        GroupStanding::Ordinary => return Ok(()),
        GroupStanding::Administrative if opens == Opens::Bound => return Ok(()),
        GroupStanding::DefaultAccess if opens != Opens::Nothing => return Ok(()),
        GroupStanding::Administrative => "grants administration",
        GroupStanding::Apps => "holds the accounts of apps",
        GroupStanding::DefaultAccess => "is a default access group, in which every new person lands",
        GroupStanding::External => "is owned by an identity provider",
        GroupStanding::Listed => "is on the protected list",
    };
    let mended_by = match standing {
        GroupStanding::Administrative | GroupStanding::Listed => MendedBy::Directory,
        // What a group is for is changed on the site.
        _ => MendedBy::Site,
    };
    let remedy = match (standing, group) {
        (GroupStanding::Listed, _) => "take it off [protected] if Entrain is to manage it".to_owned(),
        (GroupStanding::External, _) => {
            "leave it to the identity provider, or rename the directory group".to_owned()
        }
        (_, Some(group)) => format!(
            "rename the directory group; or, if you mean it, bind it on purpose: [groups.map] \"{}\" = \"{}\"",
            group.display_name.trim(),
            found.name
        ),
        (_, None) => "name another group in the document".to_owned(),
    };
    let reason = match opens {
        Opens::Nothing => {
            format!("the site group “{}” {why}; Entrain does not manage it for bearing its name", found.name)
        }
        _ => format!("the site group “{}” {why}; Entrain does not manage it", found.name),
    };
    Err(SetAside { object: object.to_owned(), reason, remedy, mended_by })
}

fn listed(name: &str, rules: &Rules) -> bool {
    rules.protected.group_names.contains(&group_name_key(name))
}

pub(super) fn group_label(group: &DirectoryGroup) -> String {
    label(&group.display_name, &group.id)
}

fn label(name: &str, id: &DirectoryGroupId) -> String {
    format!("group “{}” ({id})", quoted(name))
}

/// A site group that the document names, as a person knows it.
pub(super) fn named_label(name: &str) -> String {
    format!("site group “{}”", quoted(name))
}
