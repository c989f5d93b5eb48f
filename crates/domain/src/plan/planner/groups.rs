//! Groups: made, taken over, and told of where they cannot be.

use std::sync::Arc;

use super::super::drift::{ByHand, TakenBack};
use super::super::guard::Guard;
use super::super::reason::Wanted;
use super::super::step::{Action, MendedBy, SetAside, StepId};
use super::super::targets::{Deleted, Former, Target, TargetState};
use super::super::{Reason, drift};
use super::{Draft, PlanInput, filled};
use crate::memory::{Anchor, MarkKind};
use crate::model::{SiteGroupId, Unread};
use crate::policy::Existing;

impl Draft<'_> {
    pub(super) fn unknown_group(&mut self, target: &Target, why: &[Unread]) {
        self.unknown += 1;
        let first = why.first();
        self.set_aside.push(SetAside {
            object: target.label(),
            reason: format!(
                "its members are not completely known, so it is left alone: {}",
                first.map_or("not read", |u| &u.reason)
            ),
            remedy: first.map_or_else(|| "run the sync again".to_owned(), |u| u.remedy.to_string()),
            mended_by: MendedBy::Itself,
        });
    }

    pub(super) fn groups_and_adoptions<'t>(&mut self, targets: impl Iterator<Item = &'t Target>) {
        for target in targets {
            let mut at = None;
            if let (Some(name), Some(site_id)) = (&target.new_name, &target.group.site_id) {
                at = self.rename(target, site_id, name);
            }
            self.group_drift(target, at);
            let reason = || match target.filled.sources() {
                [one] if target.group.anchor.directory().is_some() => {
                    (one.name.clone(), one.selector.clone())
                }
                _ => (target.group.name.clone(), Arc::from("")),
            };
            let asks = |always: bool| {
                let PlanInput { rules, approval, memory, .. } = *self.input;
                let asks = always || rules.existing == Existing::Ask;
                // Known before the members are looked at: of a group that is not adopted nothing is learnt.
                let step = StepId::of_adoption(&target.group.anchor);
                let left_out = memory.mark(&step, MarkKind::LeftOut).is_some();
                [(Guard::Adoption, asks), (Guard::LeftOut, left_out)]
                    .into_iter()
                    .find(|(guard, is)| *is && !approval.releases(*guard))
                    .map(|(guard, _)| guard)
            };
            let adopt = |site_id: &SiteGroupId| Action::AdoptGroup {
                group: target.group.clone(),
                site_id: site_id.clone(),
            };
            let (directory_name, selector) = reason();
            let (action, reason, hold) = match (&target.state, &target.group.site_id) {
                (TargetState::Create, _) => {
                    let reason = match &target.group.anchor {
                        Anchor::Directory(_) => {
                            Reason::NoGroup(Box::new(Wanted { directory_name, selector }))
                        }
                        Anchor::Named(_) => Reason::NoNamedGroup { filled: filled(target) },
                    };
                    (Action::CreateGroup { group: target.group.clone() }, reason, None)
                }
                (TargetState::Adopt, Some(site_id)) => (
                    adopt(site_id),
                    Reason::GroupExists(Box::new(Wanted { directory_name, selector })),
                    asks(false),
                ),
                (TargetState::TakeOver(former), Some(site_id)) => {
                    let hold = asks(*former == Former::NotInScope);
                    (adopt(site_id), Reason::TakesOver { directory_name, former: *former }, hold)
                }
                _ => continue,
            };
            let at = self.steps.push(action, reason, Vec::new(), hold);
            self.steps.group_step.insert(target.group.anchor.clone(), at);
            if let Some(drift) = self.drift.last_mut().filter(|drift| {
                drift.what == ByHand::GroupDeleted && drift.group.anchor == target.group.anchor
            }) {
                drift.taken_back = TakenBack::By(at);
            }
        }
    }

    /// What was done by hand to a group itself.
    pub(super) fn group_drift(&mut self, target: &Target, renamed_by: Option<u32>) {
        let mut find = |what, taken_back| {
            self.drift.push(drift::Found { what, group: target.group.clone(), taken_back });
        };
        if let Some(before) = &target.renamed_from {
            find(ByHand::GroupRenamed(before.clone()), renamed_by.map_or(TakenBack::No, TakenBack::By));
        }
        if target.deleted == Deleted::ByHand {
            find(ByHand::GroupDeleted, TakenBack::No);
        }
    }
}
