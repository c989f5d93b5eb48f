//! Seats counted anew: with sets of texts, person by person, and the question how bad it can become when only a part of
//! the steps is done, where the planner gives seats away along a line.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Check;
use crate::model::{AccountActivity, AccountKind, Product, SiteMembers, SiteSnapshot};
use crate::plan::{Action, Plan, Step};

/// One product's accounts with the groups through which each has a seat.
type Holders<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

impl Check<'_> {
    /// No seat is taken beyond what the rules and the site allow, whichever of the open steps are done.
    pub(super) fn seats(&mut self, plan: &Plan) {
        for product in self.input.site.standing().products.clone() {
            self.product(plan, &product);
        }
    }

    fn product(&mut self, plan: &Plan, product: &Product) {
        let open = || plan.steps.iter().enumerate().filter(|(_, step)| step.hold.is_none());
        let (holders, known) = holders(self.input.site, product);
        let mut takers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, step) in open() {
            if let Some(whose) = self.takes(product, &holders, known, step) {
                takers.entry(whose).or_default().push(at);
            }
        }
        if takers.is_empty() {
            return;
        }
        let rule = self.input.rules.seats.products.get(&product.key).copied().unwrap_or_default();
        let untold = rule.reserve > 0 && product.seats.limit_is_untold();
        let limit = product.seats.limit().map_or(u64::MAX, |limit| limit.saturating_sub(rule.reserve));
        let most = limit.min(rule.budget.unwrap_or(u64::MAX));
        let Some(used) = product.seats.used().filter(|_| !untold) else {
            if rule.budget.is_some() || rule.reserve > 0 {
                self.find(None, format!("takes seats of {} that cannot be counted", product.name));
            }
            return;
        };
        if most == u64::MAX || used + takers.len() as u64 <= most {
            return;
        }
        let (free, over) = (most.saturating_sub(used), used.saturating_sub(most));
        let freed = freed(product, &holders, known, plan);
        // What each of them can count on: seats that are free before any of their steps.
        let behind: Vec<HashSet<usize>> = takers
            .values()
            .map(|steps| {
                let mut common: Option<HashSet<usize>> = None;
                for step in steps {
                    let before = before(plan, *step);
                    let sure: HashSet<usize> = (0..freed.len())
                        .filter(|seat| {
                            freed[*seat].iter().any(|way| way.iter().all(|at| before.contains(at)))
                        })
                        .collect();
                    common = Some(match common {
                        Some(so_far) => so_far.intersection(&sure).copied().collect(),
                        None => sure,
                    });
                }
                common.unwrap_or_default()
            })
            .collect();
        // Above the ceiling, so many have to be free before the first; they must be the same for all.
        let mut shared: Vec<usize> = (0..freed.len())
            .filter(|seat| behind.iter().filter(|set| !set.is_empty()).all(|set| set.contains(seat)))
            .collect();
        shared.truncate(usize::try_from(over).unwrap_or(usize::MAX));
        let covered = shared.len() as u64 >= over;
        let mut given: BTreeMap<usize, usize> = BTreeMap::new();
        let backed = (0..behind.len())
            .filter(|taker| covered && find_seat(*taker, &behind, &shared, &mut given, &mut HashSet::new()))
            .count();
        let unbacked = (behind.len() - backed) as u64;
        if unbacked > free {
            self.find(
                None,
                format!(
                    "takes {} seats of {} beyond the {most} that may be taken",
                    unbacked - free,
                    product.name
                ),
            );
        }
    }

    /// Whose seat a step takes, as text.
    fn takes(&self, product: &Product, holders: &Holders<'_>, known: bool, step: &Step) -> Option<String> {
        let products = &self.input.site.standing().products;
        match &step.action {
            Action::AddMember { group, person } => {
                let site_id = group.site_id.as_ref()?;
                if !product.groups.iter().any(|id| id == site_id) {
                    return None;
                }
                match (&person.site_id, &person.directory_id) {
                    (Some(account), _) if holders.contains_key(account.as_str()) => None,
                    (Some(account), _) => Some(account.to_string()),
                    (None, Some(user)) => Some(user.to_string()),
                    (None, None) => None,
                }
            }
            Action::CreateUser { person, .. } => {
                let comes = self.input.rules.products.iter().any(|key| {
                    let named = products.iter().find(|p| &*p.key.0 == key.as_str());
                    &*product.key.0 == key.as_str()
                        || named.is_some_and(|p| p.default_groups.iter().any(|g| product.groups.contains(g)))
                });
                person.directory_id.as_ref().filter(|_| comes).map(ToString::to_string)
            }
            Action::ComeBack { account, .. } => {
                if holders.contains_key(account.as_str()) || product.groups.is_empty() {
                    return None;
                }
                let member = product.groups.iter().any(|id| {
                    matches!(self.input.site.holders(id), Some(SiteMembers::Complete(list)) if list.contains(account))
                });
                (member || !known).then(|| account.to_string())
            }
            _ => None,
        }
    }
}

/// Who has a seat through which groups, and whether all of the groups are known.
fn holders<'a>(site: &'a SiteSnapshot, product: &'a Product) -> (Holders<'a>, bool) {
    let (mut holders, mut known) = (Holders::new(), true);
    for group in &product.groups {
        let Some(SiteMembers::Complete(members)) = site.holders(group) else {
            known = false;
            continue;
        };
        for account in members {
            if site.account(account).is_none_or(|shown| counts(shown.kind, shown.activity)) {
                holders.entry(account.as_str()).or_default().insert(group.as_str());
            }
        }
    }
    (holders, known)
}

/// An augmenting path: a seat for this one, moving others to other seats where need be.
fn find_seat(
    taker: usize,
    behind: &[HashSet<usize>],
    shared: &[usize],
    given: &mut BTreeMap<usize, usize>,
    seen: &mut HashSet<usize>,
) -> bool {
    let mut seats: Vec<usize> = behind[taker].iter().copied().filter(|seat| !shared.contains(seat)).collect();
    seats.sort_unstable();
    for seat in seats {
        if seen.insert(seat) {
            let moved = match given.get(&seat).copied() {
                None => true,
                Some(other) => find_seat(other, behind, shared, given, seen),
            };
            if moved {
                given.insert(seat, taker);
                return true;
            }
        }
    }
    false
}

/// Everything that is done before a step.
fn before(plan: &Plan, step: usize) -> HashSet<usize> {
    let mut all = HashSet::new();
    let mut open = vec![step];
    while let Some(at) = open.pop() {
        for earlier in &plan.steps[at].after {
            if all.insert(*earlier as usize) {
                open.push(*earlier as usize);
            }
        }
    }
    all
}

/// The seats that the plan frees, each with the ways in which it does: sets of steps that free it together.
fn freed(product: &Product, holders: &Holders<'_>, known: bool, plan: &Plan) -> Vec<Vec<Vec<usize>>> {
    let mut ways: BTreeMap<&str, Vec<Vec<usize>>> = BTreeMap::new();
    let mut removals: BTreeMap<&str, (BTreeSet<&str>, Vec<usize>)> = BTreeMap::new();
    let mut stays: HashSet<&str> = HashSet::new();
    for (at, step) in plan.steps.iter().enumerate().filter(|(_, step)| step.hold.is_none()) {
        match &step.action {
            Action::RemoveMember { removal, .. } if product.groups.contains(&removal.site_group) => {
                let (groups, steps) = removals.entry(removal.account.as_str()).or_default();
                groups.insert(removal.site_group.as_str());
                steps.push(at);
            }
            Action::TakeRung { departed, .. } => {
                ways.entry(departed.account.as_str()).or_default().push(vec![at]);
            }
            Action::AddMember { group, person } => {
                let grants = group.site_id.as_ref().is_some_and(|id| product.groups.contains(id));
                stays.extend(person.site_id.as_ref().filter(|_| grants).map(crate::model::AccountId::as_str));
            }
            Action::ComeBack { account, .. } => {
                stays.insert(account.as_str());
            }
            _ => {}
        }
    }
    for (account, (groups, steps)) in removals {
        if known && holders.get(account).is_some_and(|held| held.is_subset(&groups)) {
            ways.entry(account).or_default().push(steps);
        }
    }
    let seats =
        ways.into_iter().filter(|(account, _)| holders.contains_key(account) && !stays.contains(account));
    seats.map(|(_, ways)| ways).collect()
}

/// Whether an account takes a seat at all.
fn counts(kind: AccountKind, activity: AccountActivity) -> bool {
    kind == AccountKind::Person && activity == AccountActivity::Active
}
