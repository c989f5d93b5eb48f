//! Guards: limits and protections that hold a plan, or a part of it, for a person's approval.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::planner::PlanInput;
use super::step::{Action, Step, StepKind};
use super::targets::Target;
use crate::model::{AccountId, CompleteClosure, SiteGroupId};

/// A guard, in the words of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The directory, or the scope, reads as empty and was not. Only `--accept-empty` releases it.
    EmptyDirectory,
    /// More removals than the limit allows, of all memberships or of one group's. Holds the whole plan.
    Removals,
    /// More additions than the limit allows, after the first converged run. Holds the whole plan.
    Additions,
    /// A group of five or more reads as empty. Holds that group's removals.
    EmptyGroup,
    /// Adopting a group that exists already.
    Adoption,
    /// A removal that only an authoritative group asks for.
    Authoritative,
}

impl Guard {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyDirectory => "empty_directory",
            Self::Removals => "removals",
            Self::Additions => "additions",
            Self::EmptyGroup => "empty_group",
            Self::Adoption => "adoption",
            Self::Authoritative => "authoritative",
        }
    }

    /// Whether the guard holds the whole plan, not only single steps.
    pub fn holds_everything(self) -> bool {
        matches!(self, Self::EmptyDirectory | Self::Removals | Self::Additions)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A guard that holds, with what it counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// The guard.
    pub guard: Guard,
    /// What it counted and against which limit, in a sentence.
    pub reason: String,
}

/// What earlier runs did, as far as guards look at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Whether a run of this connection has converged before; additions are limited from then on.
    pub converged_before: Before,
    /// Memberships taken away within the last 24 hours.
    pub removals_last_24h: usize,
    /// Listed users at the last complete read; `None` before the first.
    pub users_before: Option<usize>,
}

/// Whether something has happened before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Before {
    /// Never.
    #[default]
    Never,
    /// At least once.
    Once,
}

/// What a person released for this run (`--yes`, `--accept-empty`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nothing: every guard holds.
    #[default]
    None,
    /// What guards hold, except an empty directory or scope.
    Held,
    /// Everything, an empty directory or scope included.
    EvenEmpty,
}

impl Approval {
    /// Whether the approval releases this guard.
    pub fn releases(self, guard: Guard) -> bool {
        match self {
            Self::None => false,
            Self::Held => guard != Guard::EmptyDirectory,
            Self::EvenEmpty => true,
        }
    }
}

/// What the planner saw, as far as guards look at it.
pub(super) struct Reading<'a> {
    /// Directory groups that the scope names.
    pub(super) scoped_groups: usize,
    /// People in scope.
    pub(super) people: usize,
    /// Groups with their closures.
    pub(super) targets: &'a [(Target, CompleteClosure)],
}

/// Lets the guards look at the steps. A guard that holds everything marks every step; the others mark their own.
/// Returns the guards in force, each with what it counted.
pub(super) fn apply(steps: &mut [Step], input: &PlanInput<'_>, reading: &Reading<'_>) -> Vec<Held> {
    let mut held = Vec::new();
    let mut raise = |guard: Guard, reason: String| {
        if !input.approval.releases(guard) {
            held.push(Held { guard, reason });
        }
    };
    if let Some(reason) = reads_as_empty(input, reading) {
        raise(Guard::EmptyDirectory, reason);
    }
    for reason in removals_beyond_limit(steps, input) {
        raise(Guard::Removals, reason);
    }
    if let Some(reason) = additions_beyond_limit(steps, input) {
        raise(Guard::Additions, reason);
    }
    for (group, name, lost) in emptied_groups(steps, input, reading.targets) {
        if !input.approval.releases(Guard::EmptyGroup) {
            for step in steps.iter_mut() {
                if matches!(&step.action, Action::RemoveMember { site_group, .. } if *site_group == group) {
                    step.hold = step.hold.or(Some(Guard::EmptyGroup));
                }
            }
            raise(
                Guard::EmptyGroup,
                format!("the group “{name}” reads as empty in the directory; its {lost} removals wait"),
            );
        }
    }
    for (guard, one, many) in [
        (Guard::Adoption, "existing group would be adopted", "existing groups would be adopted"),
        (
            Guard::Authoritative,
            "member that Entrain did not add would be removed",
            "members that Entrain did not add would be removed",
        ),
    ] {
        let kinds = |step: &&Step| match guard {
            Guard::Adoption => matches!(step.action, Action::AdoptGroup { .. }),
            _ => matches!(step.action, Action::RemoveMember { .. }),
        };
        let names: Vec<&str> = steps
            .iter()
            .filter(|s| s.hold == Some(guard))
            .filter(kinds)
            .filter_map(|s| s.action.group().map(|g| &*g.name))
            .collect();
        if !names.is_empty() {
            let what = if names.len() == 1 { one } else { many };
            raise(guard, format!("{} {what}: {}", names.len(), abridged(&names)));
        }
    }
    held.sort_by_key(|h| h.guard);
    if let Some(whole) = held.iter().map(|h| h.guard).find(|g| g.holds_everything()) {
        for step in steps.iter_mut() {
            step.hold = Some(whole);
        }
    }
    held
}

fn abridged(names: &[&str]) -> String {
    let mut unique: Vec<&str> = names.to_vec();
    unique.sort_unstable();
    unique.dedup();
    let shown = unique.iter().take(5).map(|n| format!("“{n}”")).collect::<Vec<_>>().join(", ");
    if unique.len() > 5 { format!("{shown} and {} more", unique.len() - 5) } else { shown }
}

fn reads_as_empty(input: &PlanInput<'_>, reading: &Reading<'_>) -> Option<String> {
    let live = input.directory.users().count();
    if let Some(before) = input.history.users_before.filter(|before| *before > 0 && live == 0) {
        return Some(format!("the directory reads as empty; the last complete read had {before} users"));
    }
    let known = input.memory.groups().len();
    if known > 0 && reading.scoped_groups == 0 {
        return Some(format!("the scope names no group any more; {known} groups are linked"));
    }
    let linked = input.memory.users().len();
    // A group that could not be read brings nobody and says nothing; only complete reads can be empty.
    if linked > 0 && reading.people == 0 && !reading.targets.is_empty() {
        return Some(format!("nobody is in scope any more; {linked} people are linked"));
    }
    None
}

fn removals_beyond_limit(steps: &[Step], input: &PlanInput<'_>) -> Vec<String> {
    let limit = input.rules.limits.removals;
    let mut by_group: BTreeMap<&SiteGroupId, (usize, &str)> = BTreeMap::new();
    let mut by_account: HashMap<&AccountId, usize> = HashMap::new();
    let mut total = 0;
    for step in steps {
        if let Action::RemoveMember { site_group, account, group, .. } = &step.action {
            by_group.entry(site_group).or_insert((0, &group.name)).0 += 1;
            *by_account.entry(account).or_default() += 1;
            total += 1;
        }
    }
    let mut reasons = Vec::new();
    let ledger = input.memory.membership_count();
    let say = |removed: usize, of: usize, what: &str| {
        format!(
            "{removed} of {of} {what} would be removed; the limit is {} % and {} objects",
            limit.percent, limit.number
        )
    };
    if limit.exceeded(total, ledger) {
        reasons.push(say(total, ledger, "memberships"));
    } else {
        let (day, before) =
            (total + input.history.removals_last_24h, ledger + input.history.removals_last_24h);
        if total > 0 && limit.exceeded(day, before) {
            reasons.push(say(day, before, "memberships within 24 hours"));
        }
    }
    for (group, (removed, name)) in by_group {
        let of = input.memory.memberships(group).count();
        if limit.exceeded(removed, of) {
            reasons.push(say(removed, of, &format!("memberships of “{name}”")));
        }
    }
    let mut held_by: HashMap<&AccountId, usize> = HashMap::new();
    for (_, account, _) in input.memory.all_memberships() {
        *held_by.entry(account).or_default() += 1;
    }
    let losing_all =
        by_account.iter().filter(|(account, n)| held_by.get(*account).is_some_and(|of| *n >= of)).count();
    if limit.exceeded(losing_all, held_by.len()) {
        reasons.push(say(losing_all, held_by.len(), "people's last memberships"));
    }
    reasons
}

fn additions_beyond_limit(steps: &[Step], input: &PlanInput<'_>) -> Option<String> {
    if input.history.converged_before == Before::Never {
        return None;
    }
    let limit = input.rules.limits.additions;
    let count = |kind: StepKind| steps.iter().filter(|s| s.action.kind() == kind && s.hold.is_none()).count();
    for (added, of, what) in [
        (count(StepKind::CreateUser), input.memory.users().len(), "people would be invited; known are"),
        (
            count(StepKind::AddMember),
            input.memory.membership_count(),
            "memberships would be added; known are",
        ),
    ] {
        if limit.exceeded(added, of) {
            return Some(format!(
                "{added} {what} {of}; the limit is {} % and {} objects",
                limit.percent, limit.number
            ));
        }
    }
    None
}

/// Groups of five or more in the ledger in which the directory now has nobody.
fn emptied_groups(
    steps: &[Step],
    input: &PlanInput<'_>,
    targets: &[(Target, CompleteClosure)],
) -> Vec<(SiteGroupId, String, usize)> {
    let mut lost: HashMap<&SiteGroupId, usize> = HashMap::new();
    for step in steps {
        if let Action::RemoveMember { site_group, .. } = &step.action {
            *lost.entry(site_group).or_default() += 1;
        }
    }
    targets
        .iter()
        .filter_map(|(target, closure)| {
            let group = target.group.site_id.clone()?;
            let lost = lost.get(&group).copied()?;
            let known = input.memory.memberships(&group).count();
            let anybody = closure
                .members()
                .filter_map(|ix| input.directory.user_at(ix))
                .any(|user| user.account != crate::model::AccountState::Disabled);
            (known >= 5 && !anybody).then(|| (group, target.group.name.to_string(), lost))
        })
        .collect()
}
