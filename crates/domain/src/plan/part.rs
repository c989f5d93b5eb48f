//! An approval in part: of the steps that guards hold, a person chooses some. The others stay held, also in the runs that
//! follow, until somebody approves them or nobody asks for them any more.

use std::collections::{BTreeMap, BTreeSet};

use super::digest::Digest;
use super::step::StepId;

/// What was chosen of the held steps of a plan, and what was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    chosen: BTreeSet<StepId>,
    left_out: BTreeSet<StepId>,
}

/// Why a choice cannot be approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing is chosen.
    Nothing,
    /// The plan does not hold such a step.
    NotHeld(StepId),
    /// A chosen step comes after one that is held and was not chosen.
    Needs {
        /// The chosen step.
        step: StepId,
        /// What has to be done before it.
        needs: StepId,
    },
}

impl Part {
    /// The part that these steps are of what a plan holds. `held` names, for each held step, the held steps that have to
    /// be done before it.
    ///
    /// # Errors
    /// When the choice is empty, names what is not held, or leaves out what a chosen step needs.
    pub fn of(held: &BTreeMap<StepId, Vec<StepId>>, chosen: BTreeSet<StepId>) -> Result<Self, Unfit> {
        if chosen.is_empty() {
            return Err(Unfit::Nothing);
        }
        for step in &chosen {
            let Some(before) = held.get(step) else { return Err(Unfit::NotHeld(step.clone())) };
            if let Some(needs) = before.iter().find(|needs| !chosen.contains(needs)) {
                return Err(Unfit::Needs { step: step.clone(), needs: needs.clone() });
            }
        }
        let left_out = held.keys().filter(|step| !chosen.contains(step)).cloned().collect();
        Ok(Self { chosen, left_out })
    }

    /// The steps to be done.
    pub fn chosen(&self) -> &BTreeSet<StepId> {
        &self.chosen
    }

    /// The held steps that stay held.
    pub fn left_out(&self) -> &BTreeSet<StepId> {
        &self.left_out
    }

    /// Whether it is all that is held.
    pub fn is_whole(&self) -> bool {
        self.left_out.is_empty()
    }

    /// What tells this choice from others of the same plan and of other plans.
    pub fn digest(&self, plan: &Digest) -> Digest {
        Digest::of_choice(plan, &self.chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StepId {
        StepId::from_stored(text)
    }

    fn held() -> BTreeMap<StepId, Vec<StepId>> {
        [
            ("adopt_group/g", vec![]),
            ("create_user/u", vec![]),
            ("add_member/g/u", vec![id("adopt_group/g"), id("create_user/u")]),
            ("remove_member/h/v", vec![]),
        ]
        .into_iter()
        .map(|(step, before)| (id(step), before))
        .collect()
    }

    fn part(chosen: &[&str]) -> Result<Part, Unfit> {
        Part::of(&held(), chosen.iter().map(|step| id(step)).collect())
    }

    #[test]
    fn what_is_not_chosen_is_left_out() {
        let part = part(&["remove_member/h/v"]).unwrap();
        assert_eq!((part.chosen().len(), part.left_out().len(), part.is_whole()), (1, 3, false));
    }

    #[test]
    fn a_step_is_not_approved_without_what_it_needs() {
        let refused = part(&["add_member/g/u", "create_user/u"]).unwrap_err();
        assert_eq!(refused, Unfit::Needs { step: id("add_member/g/u"), needs: id("adopt_group/g") });
        assert!(part(&["add_member/g/u", "create_user/u", "adopt_group/g"]).is_ok());
    }

    #[test]
    fn nothing_and_strangers_cannot_be_approved_and_everything_is_no_part() {
        assert_eq!(part(&[]).unwrap_err(), Unfit::Nothing);
        assert_eq!(part(&["remove_member/x/y"]).unwrap_err(), Unfit::NotHeld(id("remove_member/x/y")));
        let all: BTreeSet<StepId> = held().into_keys().collect();
        assert!(Part::of(&held(), all).unwrap().is_whole());
    }

    #[test]
    fn the_digest_tells_plans_and_choices_apart() {
        let (plan, other) = (Digest::from_stored("a"), Digest::from_stored("b"));
        let one = part(&["remove_member/h/v"]).unwrap();
        let two = part(&["create_user/u"]).unwrap();
        assert_eq!(one.digest(&plan), part(&["remove_member/h/v"]).unwrap().digest(&plan));
        assert_ne!(one.digest(&plan), two.digest(&plan));
        assert_ne!(one.digest(&plan), one.digest(&other));
    }
}
