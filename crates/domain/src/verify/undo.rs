//! The second opinion on plans that take back what a run did: they rest on its journal, not on the directory.

use std::collections::HashSet;

use super::{Check, Finding};
use crate::memory::{Hand, OnLadder};
use crate::plan::{Action, Plan, PlanInput, Removal};
use crate::policy::Measure;
use crate::run::{Intent, JournalEntry, Outcome};

/// Checks a plan that takes back what a run did: every step is the inverse of something in the journal that was done,
/// and takes away only what the ledger owns.
pub fn verify_undo(input: &PlanInput<'_>, plan: &Plan, journal: &[JournalEntry]) -> Vec<Finding> {
    let mut check = Check::new(input, HashSet::new());
    check.shape(plan);
    let done = || journal.iter().filter(|entry| entry.outcome == Outcome::Done).map(|entry| &entry.intent);
    for step in &plan.steps {
        if let Some(group) = step.action.group().and_then(|g| g.site_id.clone()) {
            check.touchable(step, &group);
        }
        let inverse = match &step.action {
            Action::RemoveMember { removal, .. } => {
                let Removal { site_group, account, .. } = &**removal;
                if input.memory.membership(site_group, account).is_none() {
                    check.find(Some(step), "takes away a membership that the ledger does not own");
                }
                let address = input.site.account(account).and_then(|shown| shown.email.as_ref());
                if *account == input.site.standing().own_account
                    || input.rules.protected.accounts.contains(account)
                    || address.is_some_and(|a| input.rules.protected.addresses.contains(&a.key()))
                {
                    check.find(Some(step), "takes a protected account out of a group");
                }
                let owner = input.memory.user_of(account);
                done().any(|intent| match intent {
                    Intent::AddMember { group, account: granted } => group == site_group && granted == account,
                    Intent::CreateUser { user, .. } => Some(user) == owner,
                    _ => false,
                })
            }
            Action::AddMember { group, person } => done().any(|intent| {
                matches!(intent, Intent::RemoveMember { group: from, account }
                    if Some(from) == group.site_id.as_ref() && Some(account) == person.site_id.as_ref())
            }),
            Action::RenameGroup { renaming, .. } => done().any(|intent| {
                matches!(intent, Intent::RenameGroup { site_group, before, .. }
                    if *site_group == renaming.site_id && **before == *renaming.name)
            }),
            Action::UpdateUser { person, .. } => done().any(|intent| {
                matches!(intent, Intent::UpdateUser { account, .. } if Some(account) == person.site_id.as_ref())
            }),
            Action::ComeBack { from, person, account } => {
                let place = person.directory_id.as_ref().and_then(|user| input.memory.on_ladder(user));
                let passed = |place: &OnLadder| place.passed.get(&from.measure()).map(|passed| passed.hand);
                if place.filter(|place| place.account == *account).and_then(passed) != Some(Hand::Entrain) {
                    check.find(Some(step), "gives access back that Entrain did not take");
                }
                if place.is_some_and(|place| place.passed.contains_key(&Measure::Remove)) {
                    check.find(Some(step), "gives access back to somebody who was taken off the site");
                }
                done().any(|intent| {
                    matches!(intent, Intent::TakeRung { user, account: taken, measure, .. }
                        if taken == account && *measure == from.measure() && Some(user) == person.directory_id.as_ref())
                })
            }
            _ => false,
        };
        if !inverse {
            check.find(Some(step), "takes back nothing that the run did");
        }
    }
    check.totals(plan);
    check.seats(plan);
    check.findings
}
