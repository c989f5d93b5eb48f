//! Groups that were managed once and are not in scope any more: left as they are, members included, and said so.

use std::collections::HashSet;

use super::{Both, Targets, holds};
use crate::memory::{Anchor, GroupLink};
use crate::model::DirectoryGroupId;
use crate::plan::{MendedBy, SetAside};

/// Notes for every linked site group that no rule fills now.
pub(super) fn note(
    both: &Both<'_>,
    in_scope: &HashSet<&DirectoryGroupId>,
    named: &HashSet<String>,
    targets: &mut Targets,
) {
    let Both { directory, site, memory, .. } = *both;
    let frozen = |link: &&GroupLink| {
        site.group(&link.group).is_some()
            && !targets.list.iter().any(|target| holds(target, &link.group))
            && match &link.anchor {
                Anchor::Directory(id) => !in_scope.contains(id),
                Anchor::Named(name) => !named.contains(name.key()),
            }
    };
    let mut links: Vec<&GroupLink> = memory.groups().filter(frozen).collect();
    links.sort_unstable_by(|a, b| (&a.name, &a.group).cmp(&(&b.name, &b.group)));
    let notes: Vec<SetAside> = links
        .into_iter()
        .map(|link| {
            let reason = match &link.anchor {
                Anchor::Directory(id) if directory.group(id).is_none() => {
                    "its directory group is no longer listed; the group on the site is left as it is, members included"
                }
                Anchor::Directory(_) => {
                    "is no longer in scope; the group on the site is left as it is, members included"
                }
                Anchor::Named(_) => {
                    "is no longer named under [groups]; the group on the site is left as it is, members included"
                }
            };
            SetAside {
                object: format!("group “{}”", link.name),
                reason: reason.into(),
                remedy: "nothing, if that is meant; put it back into the scope, and it is managed as before".into(), mended_by: MendedBy::Itself }
        })
        .collect();
    targets.notes.extend(notes);
}
