//! Groups that should follow the directory's new name: renamed where somebody can, and told how to be swapped where
//! nobody can.

use std::sync::Arc;

use super::planner::Draft;
use super::reason::{Reason, Renamed};
use super::step::{Action, MendedBy, Renaming, SetAside};
use super::targets::{self, Target};
use crate::memory::Memory;
use crate::model::{DirectorySnapshot, RenameBy, SiteGroupId, SiteSnapshot};
use crate::policy::Rules;

/// The linked site groups that should bear another name and could: whoever plans asks first who can rename them.
pub fn groups_to_rename(
    directory: &DirectorySnapshot,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
) -> Vec<SiteGroupId> {
    let targets = targets::resolve(directory, site, rules, memory);
    let wished = targets.list.into_iter().filter(|target| target.new_name.is_some());
    wished.filter_map(|target| target.group.site_id.clone()).collect()
}

impl Draft<'_> {
    /// The position of the step, where somebody can rename the group.
    pub(super) fn rename(&mut self, target: &Target, site_id: &SiteGroupId, name: &Arc<str>) -> Option<u32> {
        let aside = |why: Option<&crate::model::Unread>| SetAside {
            object: target.label(),
            reason: format!(
                "the directory calls it “{name}”, the site keeps the name “{}”: {}",
                target.group.name,
                why.map_or("Jira cannot rename groups, and no organization key is configured", |u| &u.reason)
            ),
            remedy: match why {
                Some(why) => format!("{}; {}", why.remedy, swap(&target.group.name, name)),
                None => format!("configure [site.organization]; {}", swap(&target.group.name, name)),
            },
            mended_by: MendedBy::Itself,
        };
        match self.input.site.rename_by(site_id) {
            Some(RenameBy::Organization) => {
                let reason = Reason::Renamed(Box::new(Renamed {
                    directory_name: target.filled.sources().first()?.name.clone(),
                    before: target.group.name.clone(),
                }));
                let action = Action::RenameGroup {
                    group: target.group.clone(),
                    renaming: Box::new(Renaming { site_id: site_id.clone(), name: name.clone() }),
                };
                return Some(self.steps.push(action, reason, Vec::new(), None));
            }
            Some(RenameBy::Nobody(why)) => self.notes.push(aside(Some(why))),
            None => self.notes.push(aside(None)),
        }
        None
    }
}

/// How a person changes a group for one of another name, where nobody can rename it.
fn swap(old: &str, new: &str) -> String {
    format!(
        "nothing is lost meanwhile, membership follows the link. By hand: rename “{old}” at admin.atlassian.com \
         (Directory, Groups), the next run follows; or swap: create “{new}” there, grant it what “{old}” grants, delete \
         “{old}” and name “{new}” as the group that takes over, then run a sync, which asks to adopt “{new}” and fills it"
    )
}
