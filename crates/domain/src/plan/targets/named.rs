//! Site groups that the document names: bound under `[groups.map]`, or default groups.
//!
//! Naming a site group is an explicit act, so it needs no adoption. The link between the name in the document and the
//! site group is remembered, so that a group which somebody renames on the site stays the same group. Whatever is
//! unclear about one of several sources leaves the whole site group alone: a source that is not there is not read.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{
    Against, Deleted, Filled, Opens, Source, Target, TargetState, Targets, against_creating, candidate,
    group_label, holds, named_label, privileged, source, stands,
};
use crate::memory::{Anchor, GroupLink, Memory, MemoryChange, Origin};
use crate::model::{
    DirectoryGroup, DirectoryGroupId, DirectorySnapshot, SiteGroup, SiteSnapshot, group_name_key,
};
use crate::plan::step::{GroupRef, Keeping, MendedBy, SetAside};
use crate::policy::{GroupMode, GroupSelector, Rules, quoted};

/// What named groups are resolved from.
pub(super) struct View<'a> {
    pub(super) directory: &'a DirectorySnapshot,
    pub(super) site: &'a SiteSnapshot,
    pub(super) rules: &'a Rules,
    pub(super) memory: &'a Memory,
    /// The directory groups in scope.
    pub(super) groups: &'a [(&'a DirectoryGroup, &'a str)],
}

/// Who fills a group, as the document says.
enum Wanted<'a> {
    Bound(Vec<&'a GroupSelector>),
    Everybody,
    Newcomers,
}

/// Adds a target for each group that the document names; gives back the folded names of all of them.
pub(super) fn resolve(view: &View<'_>, targets: &mut Targets) -> HashSet<String> {
    let rules = view.rules;
    let mut wanted: BTreeMap<String, (&str, Wanted<'_>)> = BTreeMap::new();
    for binding in &rules.bindings {
        let entry = wanted
            .entry(group_name_key(&binding.site))
            .or_insert_with(|| (binding.site.trim(), Wanted::Bound(Vec::new())));
        if let Wanted::Bound(selectors) = &mut entry.1 {
            selectors.push(&binding.directory);
        }
    }
    for name in &rules.defaults.everybody {
        wanted.insert(group_name_key(name), (name.trim(), Wanted::Everybody));
    }
    for name in &rules.defaults.newcomers {
        wanted.insert(group_name_key(name), (name.trim(), Wanted::Newcomers));
    }
    for (name, wanted) in wanted.values() {
        match view.one(name, wanted, targets) {
            Ok(target) => targets.list.push(target),
            Err(aside) => targets.set_aside.push(aside),
        }
    }
    wanted.into_keys().collect()
}

/// A directory group whose name is that of a group which the document names.
pub(super) fn taken(group: &DirectoryGroup, name: &str) -> SetAside {
    SetAside {
        object: group_label(group),
        reason: format!("the document fills the site group “{}” from elsewhere", quoted(name)),
        remedy: "bind this group to it as well under [groups.map], or bind it to another one".into(),
        mended_by: MendedBy::Directory,
    }
}

impl View<'_> {
    fn one(&self, name: &str, wanted: &Wanted<'_>, targets: &mut Targets) -> Result<Target, SetAside> {
        let filled = match wanted {
            Wanted::Bound(selectors) => Filled::From(self.sources(name, selectors)?),
            Wanted::Everybody => Filled::Everybody,
            Wanted::Newcomers => Filled::Newcomers,
        };
        let anchor = Anchor::named(name);
        let link = self.memory.anchored(&anchor);
        let linked = link.and_then(|link| self.site.group(&link.group));
        let deleted = if link.is_some() && linked.is_none() { Deleted::ByHand } else { Deleted::No };
        let aside = |against: Against| against.aside(named_label(name));
        let found = match linked {
            Some(found) => Some(found),
            None => candidate(self.site, name).map_err(aside)?,
        };
        let (state, site_id, shown) = match found {
            None => {
                if let Some(why) = against_creating(name, self.rules) {
                    return Err(aside(why));
                }
                (TargetState::Create, None, Arc::from(name))
            }
            Some(found) => {
                self.free(name, &filled, found, targets)?;
                let opens = match filled {
                    // Renamed on the site, it is not what the document names: that opens nothing.
                    _ if group_name_key(&found.name) != group_name_key(name) => Opens::Nothing,
                    Filled::From(_) => Opens::Bound,
                    Filled::Everybody | Filled::Newcomers => Opens::Default,
                };
                privileged(&named_label(name), None, found, opens, self.site, self.rules)?;
                if link.is_none_or(|link| link.group != found.id || link.name != found.name) {
                    targets.records.push(MemoryChange::LinkGroup(self.link(&anchor, link, found)));
                }
                (TargetState::Managed, Some(found.id.clone()), found.name.clone())
            }
        };
        let renamed_from =
            link.filter(|link| linked.is_some() && link.name != shown).map(|link| link.name.clone());
        let keeping = match filled {
            Filled::Newcomers => Keeping::Given,
            Filled::From(_) | Filled::Everybody => Keeping::Ledger,
        };
        Ok(Target {
            mode: self.mode(name, &filled),
            group: Arc::new(GroupRef {
                name: shown,
                anchor,
                filled_from: filled.sources().iter().map(|source| source.id.clone()).collect(),
                site_id,
                keeping,
            }),
            filled,
            new_name: None,
            state,
            renamed_from,
            deleted,
        })
    }

    /// The directory groups that fill a site group, each there exactly once. One that is not there has members that
    /// nobody read.
    fn sources(&self, name: &str, selectors: &[&GroupSelector]) -> Result<Vec<Source>, SetAside> {
        let mut sources: Vec<Source> = Vec::with_capacity(selectors.len());
        for selector in selectors {
            let mut found = self.groups.iter().filter(|(g, _)| selector.selects(&g.id, &g.display_name));
            let aside = |reason: String, remedy: &str| SetAside {
                object: named_label(name),
                reason: format!("{reason}; the site group is left alone"),
                remedy: remedy.to_owned(),
                mended_by: MendedBy::Directory,
            };
            let text = quoted(selector.as_str());
            match (found.next(), found.next()) {
                (None, _) => {
                    return Err(aside(
                        format!(
                            "[groups.map] fills it from the directory group “{text}”, which is not in scope or not in the \
                             directory"
                        ),
                        "correct the name under [groups.map], name the group under [scope] groups, or take the binding \
                         out; then the members it brought are taken out as the group's mode says",
                    ));
                }
                (Some(_), Some(_)) => {
                    return Err(aside(
                        format!("several directory groups in scope are called “{text}”"),
                        "bind the one that is meant by its id",
                    ));
                }
                (Some((group, by)), None) if !sources.iter().any(|known| known.id == group.id) => {
                    sources.push(source(group, by, self.rules));
                }
                (Some(_), None) => {}
            }
        }
        Ok(sources)
    }

    /// A site group is never taken from a directory group that stands for it, nor filled for two reasons.
    fn free(
        &self,
        name: &str,
        filled: &Filled,
        found: &SiteGroup,
        targets: &Targets,
    ) -> Result<(), SetAside> {
        let other = match self.memory.anchor_of(&found.id) {
            Some(Anchor::Directory(other)) => Some(other),
            _ => None,
        };
        let own = |id: &DirectoryGroupId| filled.sources().iter().any(|source| source.id == *id);
        if let Some(other) = other.filter(|id| !own(id) && stands(self.directory, self.rules, id)) {
            let theirs = self.directory.group(other).map_or("", |group| group.display_name.trim());
            return Err(SetAside {
                object: named_label(name),
                reason: format!("the directory group “{}” ({other}) is linked to it", quoted(theirs)),
                remedy: format!(
                    "bind that group to it as well: [groups.map] \"{}\" = \"{}\"",
                    quoted(theirs),
                    quoted(name)
                ),
                mended_by: MendedBy::Directory,
            });
        }
        if targets.list.iter().any(|target| holds(target, &found.id)) {
            return Err(SetAside {
                object: named_label(name),
                reason: format!("the document leads to the site group “{}” under two names", found.name),
                remedy: "name it once, as it is called on the site".into(),
                mended_by: MendedBy::Directory,
            });
        }
        Ok(())
    }

    fn link(&self, anchor: &Anchor, known: Option<&GroupLink>, found: &SiteGroup) -> GroupLink {
        let former = self.memory.anchor_of(&found.id).and_then(|anchor| self.memory.anchored(anchor));
        let origin = known.filter(|link| link.group == found.id).or(former).map(|link| link.origin);
        GroupLink {
            anchor: anchor.clone(),
            group: found.id.clone(),
            name: found.name.clone(),
            origin: origin.unwrap_or(Origin::Adopted),
        }
    }

    /// Of several sources the mildest mode holds.
    fn mode(&self, name: &str, filled: &Filled) -> GroupMode {
        let strictness = |mode: &GroupMode| match mode {
            GroupMode::Additive => 0,
            GroupMode::Managed => 1,
            GroupMode::Authoritative => 2,
        };
        filled
            .sources()
            .iter()
            .map(|source| self.rules.mode_of(&source.id, &source.name))
            .min_by_key(strictness)
            .unwrap_or_else(|| self.rules.mode_of_named(name))
    }
}
