//! Seats before and after a plan, per product.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::planner::PlanInput;
use super::step::{Action, Step};
use crate::model::{AccountId, Product, ProductKey, Seats, SiteGroupId, SiteMembers};

/// Seats of one product before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SeatForecast {
    /// Taken before.
    pub before: u64,
    /// Taken after.
    pub after: u64,
    /// Seats in all; `None` when unlimited.
    pub limit: Option<u64>,
}

/// Seats of every product before and after the steps that are not held.
///
/// An account takes a seat with its first group that grants the product and gives it back with its last. Members of
/// groups that were not read are not known: a gain is then counted although the person may have a seat already, and a
/// loss is not counted. The forecast is therefore never too low.
pub(super) fn forecast(input: &PlanInput<'_>, steps: &[Step]) -> BTreeMap<ProductKey, SeatForecast> {
    input
        .site
        .standing()
        .products
        .iter()
        .map(|product| (product.key.clone(), one(input, product, steps)))
        .collect()
}

fn one(input: &PlanInput<'_>, product: &Product, steps: &[Step]) -> SeatForecast {
    let (before, limit) = match product.seats {
        Seats::Limited { limit, used } => (used, Some(limit)),
        Seats::Unlimited { used } => (used, None),
    };
    let grants = |group: &SiteGroupId| product.groups.contains(group);
    let mut all_read = true;
    // Memberships in granting groups, by account.
    let mut held: HashMap<&AccountId, usize> = HashMap::new();
    for group in &product.groups {
        match input.site.members(group) {
            Some(SiteMembers::Complete(members)) => {
                for account in members {
                    *held.entry(account).or_default() += 1;
                }
            }
            _ => all_read = false,
        }
    }
    let mut gained: HashSet<String> = HashSet::new();
    let mut lost: HashMap<&AccountId, usize> = HashMap::new();
    for step in steps.iter().filter(|s| s.hold.is_none()) {
        match &step.action {
            Action::AddMember { group, person } if group.site_id.as_ref().is_some_and(grants) => {
                match &person.site_id {
                    Some(account) if held.contains_key(account) => {}
                    Some(account) => {
                        gained.insert(account.to_string());
                    }
                    None => {
                        gained.insert(format!("{:?}", person.directory_id));
                    }
                }
            }
            Action::RemoveMember { site_group, account, .. } if grants(site_group) => {
                *lost.entry(account).or_default() += 1;
            }
            _ => {}
        }
    }
    let freed = if all_read {
        lost.iter()
            .filter(|(account, n)| {
                held.get(*account).is_some_and(|of| *n >= of) && !gained.contains(account.as_str())
            })
            .count()
    } else {
        0
    };
    SeatForecast { before, after: (before + gained.len() as u64).saturating_sub(freed as u64), limit }
}
