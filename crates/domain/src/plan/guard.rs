//! Guards: limits and protections that hold a plan, or a part of it, for a person's approval.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::planner::PlanInput;
use super::step::{Action, Effect, PerKind, Step, StepKind};
use super::targets::Target;
use crate::model::{AccountId, CompleteEntitlement, SiteGroupId};
use crate::policy::{Audience, Limit};

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
    /// More changes that neither give nor take than the rules allow. Holds the whole plan.
    Changes,
    /// A group of five or more reads as empty. Holds that group's removals.
    EmptyGroup,
    /// Adopting a group that exists already.
    Adoption,
    /// A removal that only an authoritative group asks for.
    Authoritative,
    /// A removal that a change of the rules asks for, not the directory.
    RuleChange,
    /// Something that somebody else has undone three times within days.
    Fight,
    /// What a person left out when they approved other steps of the same plan.
    LeftOut,
}

impl Guard {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyDirectory => "empty_directory",
            Self::Removals => "removals",
            Self::Additions => "additions",
            Self::Changes => "changes",
            Self::EmptyGroup => "empty_group",
            Self::Adoption => "adoption",
            Self::Authoritative => "authoritative",
            Self::RuleChange => "rule_change",
            Self::Fight => "fight",
            Self::LeftOut => "left_out",
        }
    }

    /// Whether the guard holds the whole plan, not only single steps.
    pub fn holds_everything(self) -> bool {
        matches!(self, Self::EmptyDirectory | Self::Removals | Self::Additions | Self::Changes)
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
    /// Steps done within the last 24 hours that no person approved; of those that give, only the ones after the first
    /// converged run.
    pub last_24h: PerKind,
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
    /// As [`Held`](Self::Held), but for the steps that were left out.
    HeldInPart,
    /// As [`EvenEmpty`](Self::EvenEmpty), but for the steps that were left out.
    EvenEmptyInPart,
}

impl Approval {
    /// Whether the approval releases this guard.
    pub fn releases(self, guard: Guard) -> bool {
        match self {
            Self::None => false,
            Self::Held => guard != Guard::EmptyDirectory,
            Self::EvenEmpty => true,
            Self::HeldInPart => !matches!(guard, Guard::EmptyDirectory | Guard::LeftOut),
            Self::EvenEmptyInPart => guard != Guard::LeftOut,
        }
    }

    /// The same approval of a part: what was left out stays held.
    #[must_use]
    pub fn in_part(self) -> Self {
        match self {
            Self::Held => Self::HeldInPart,
            Self::EvenEmpty => Self::EvenEmptyInPart,
            none_or_part => none_or_part,
        }
    }

    /// Whether somebody wants everything done, and done now.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Held | Self::EvenEmpty)
    }
}

/// What the planner saw, as far as guards look at it.
pub(super) struct Reading<'a> {
    /// Directory groups that the scope names.
    pub(super) scoped_groups: usize,
    /// People in scope.
    pub(super) people: usize,
    /// Groups with those who belong into them.
    pub(super) targets: &'a [(Target, CompleteEntitlement)],
    /// Who takes part.
    pub(super) audience: &'a Audience<'a>,
}

/// The guards in force, each with what it counted, and those that a person released.
pub(super) struct Verdict {
    pub(super) held: Vec<Held>,
    pub(super) released: Vec<Held>,
}

/// Lets the guards look at the steps. A guard that holds everything marks every step; the others mark their own.
pub(super) fn apply(steps: &mut [Step], input: &PlanInput<'_>, reading: &Reading<'_>) -> Verdict {
    let (mut held, mut released) = (Vec::new(), Vec::new());
    let mut raise = |guard: Guard, reason: String| {
        let list = if input.approval.releases(guard) { &mut released } else { &mut held };
        list.push(Held { guard, reason });
    };
    if let Some(reason) = reads_as_empty(input, reading) {
        raise(Guard::EmptyDirectory, reason);
    }
    for (guard, reason) in beyond_limits(steps, input) {
        raise(guard, reason);
    }
    for (group, name, lost) in emptied_groups(steps, input, reading) {
        if !input.approval.releases(Guard::EmptyGroup) {
            for step in steps.iter_mut() {
                if matches!(&step.action, Action::RemoveMember { removal, .. } if removal.site_group == group)
                {
                    step.hold = step.hold.or(Some(Guard::EmptyGroup));
                }
            }
            raise(
                Guard::EmptyGroup,
                format!("the group “{name}” reads as empty in the directory; its {lost} removals wait"),
            );
        }
    }
    hold_what_waits(steps);
    for (guard, one, many) in [
        (Guard::Adoption, "existing group would be adopted", "existing groups would be adopted"),
        (
            Guard::Authoritative,
            "member that Entrain did not add would be removed",
            "members that Entrain did not add would be removed",
        ),
        (
            Guard::RuleChange,
            "removal comes from a change of the rules, not from the directory",
            "removals come from a change of the rules, not from the directory",
        ),
        (
            Guard::Fight,
            "step was undone by somebody else three times; settle with them who is right",
            "steps were undone by somebody else three times; settle with them who is right",
        ),
        (
            Guard::LeftOut,
            "step was left out when others were approved, and waits",
            "steps were left out when others were approved, and wait",
        ),
    ] {
        let kinds = |step: &&Step| match guard {
            Guard::Adoption => matches!(step.action, Action::AdoptGroup { .. }),
            Guard::RuleChange | Guard::Fight | Guard::LeftOut => true,
            _ => matches!(step.action, Action::RemoveMember { .. }),
        };
        let names: Vec<&str> = steps
            .iter()
            .filter(|s| s.hold == Some(guard))
            .filter(kinds)
            .filter_map(|s| {
                let person = s.action.person().map(|p| &*p.name);
                s.action.group().map(|g| &*g.name).or(person)
            })
            .collect();
        if !names.is_empty() {
            let what = if names.len() == 1 { one } else { many };
            raise(guard, format!("{} {what}: {}", names.len(), abridged(&names)));
        }
    }
    hold_everything(steps, &mut held);
    Verdict { held, released }
}

/// The limits alone, for a plan that does not rest on the directory.
pub(super) fn apply_limits(steps: &mut [Step], input: &PlanInput<'_>) -> Verdict {
    let mut verdict = Verdict { held: Vec::new(), released: Vec::new() };
    for (guard, reason) in beyond_limits(steps, input) {
        let releases = input.approval.releases(guard);
        let list = if releases { &mut verdict.released } else { &mut verdict.held };
        list.push(Held { guard, reason });
    }
    hold_everything(steps, &mut verdict.held);
    verdict
}

/// What waits for a held step is held with it.
fn hold_what_waits(steps: &mut [Step]) {
    for at in 0..steps.len() {
        if steps[at].hold.is_none() {
            let hold = steps[at].after.iter().find_map(|before| steps[*before as usize].hold);
            steps[at].hold = hold;
        }
    }
}

/// A guard that holds everything marks every step.
fn hold_everything(steps: &mut [Step], held: &mut [Held]) {
    held.sort_by_key(|h| h.guard);
    if let Some(whole) = held.iter().map(|h| h.guard).find(|g| g.holds_everything()) {
        for step in steps.iter_mut() {
            step.hold = Some(whole);
        }
    }
}

fn abridged(names: &[&str]) -> String {
    let mut unique: Vec<&str> = names.to_vec();
    unique.sort_unstable();
    unique.dedup();
    let shown = unique.iter().take(5).map(|n| format!("“{n}”")).collect::<Vec<_>>().join(", ");
    if unique.len() > 5 { format!("{shown} and {} more", unique.len() - 5) } else { shown }
}

fn reads_as_empty(input: &PlanInput<'_>, reading: &Reading<'_>) -> Option<String> {
    let whole = input.directory.speaks_of_everybody();
    let live = input.directory.users().count();
    if let Some(before) = input.history.users_before.filter(|before| whole && *before > 0 && live == 0) {
        return Some(format!("the directory reads as empty; the last complete read had {before} users"));
    }
    let known = input.memory.groups().len();
    if known > 0 && reading.scoped_groups == 0 {
        return Some(format!("the scope names no group any more; {known} groups are linked"));
    }
    if !input.directory.speaks_of_everybody() {
        return None;
    }
    let linked = input.memory.linked_people();
    // A group that could not be read brings nobody and says nothing; only complete reads can be empty.
    if linked > 0 && reading.people == 0 && !reading.targets.is_empty() {
        return Some(format!("nobody is in scope any more; {linked} people are linked"));
    }
    None
}

/// Every limit that the steps pass: of each kind in this run and within 24 hours; and for memberships taken away, of
/// each group and of the people who lose their last one.
fn beyond_limits(steps: &[Step], input: &PlanInput<'_>) -> Vec<(Guard, String)> {
    let mut found = Vec::new();
    for kind in StepKind::ALL {
        let gives = kind.effect() == Effect::Gives;
        // A first sync gives everything; from then on the same amount is unusual.
        if gives && input.history.converged_before == Before::Never {
            continue;
        }
        let Some(limit) = input.rules.limits.of(kind) else { continue };
        // What waits for a person anyway gives nobody anything yet.
        let now = steps.iter().filter(|s| s.action.kind() == kind && (!gives || s.hold.is_none())).count();
        let before = input.history.last_24h.get(kind);
        let (guard, known, what) = match kind {
            StepKind::RemoveMember => {
                (Guard::Removals, input.memory.membership_count(), "memberships would be removed")
            }
            StepKind::AddMember => {
                (Guard::Additions, input.memory.membership_count(), "memberships would be added")
            }
            StepKind::CreateUser => {
                (Guard::Additions, input.memory.linked_people(), "people would be invited")
            }
            StepKind::CreateGroup => {
                (Guard::Additions, input.memory.groups().len(), "groups would be created")
            }
            StepKind::AdoptGroup => {
                (Guard::Additions, input.memory.groups().len(), "groups would be adopted")
            }
            StepKind::SuspendUser => {
                (Guard::Removals, input.memory.linked_people(), "people would be suspended")
            }
            StepKind::DeactivateUser => {
                (Guard::Removals, input.memory.linked_people(), "accounts would be deactivated")
            }
            StepKind::RemoveUser => {
                (Guard::Removals, input.memory.linked_people(), "people would be taken off the site")
            }
            StepKind::RestoreUser | StepKind::ReactivateUser => {
                (Guard::Additions, input.memory.linked_people(), "people would get their access back")
            }
            StepKind::UpdateUser => {
                (Guard::Changes, input.memory.linked_people(), "accounts would be changed")
            }
            StepKind::RenameGroup => (Guard::Changes, input.memory.groups().len(), "groups would be renamed"),
        };
        // Of what there was before the first of these steps.
        let of = match guard {
            Guard::Removals => known + before,
            Guard::Additions => known.saturating_sub(before),
            _ => known,
        };
        if limit.exceeded(now, known) {
            found.push((guard, said(limit, now, known, what)));
        } else if now > 0 && limit.exceeded(now + before, of) {
            let what = format!("{what} within 24 hours, {before} of them before this run");
            found.push((guard, said(limit, now + before, of, &what)));
        }
    }
    found.extend(memberships_beyond_limit(steps, input).into_iter().map(|reason| (Guard::Removals, reason)));
    found
}

fn said(limit: Limit, affected: usize, of: usize, what: &str) -> String {
    format!("{affected} {what}, of {of} known; the limit is {} % and {} objects", limit.percent, limit.number)
}

/// Memberships taken away: too many of one group, or the last ones of too many people.
fn memberships_beyond_limit(steps: &[Step], input: &PlanInput<'_>) -> Vec<String> {
    let Some(limit) = input.rules.limits.of(StepKind::RemoveMember) else { return Vec::new() };
    let mut by_group: BTreeMap<&SiteGroupId, (usize, &str)> = BTreeMap::new();
    let mut by_account: HashMap<&AccountId, usize> = HashMap::new();
    for step in steps {
        if let Action::RemoveMember { group, removal, .. } = &step.action {
            by_group.entry(&removal.site_group).or_insert((0, &group.name)).0 += 1;
            *by_account.entry(&removal.account).or_default() += 1;
        }
    }
    let mut reasons = Vec::new();
    for (group, (removed, name)) in by_group {
        let of = input.memory.memberships_of(group);
        if limit.exceeded(removed, of) {
            reasons.push(said(limit, removed, of, &format!("memberships of “{name}” would be removed")));
        }
    }
    if by_account.len() > limit.number as usize {
        let mut held_by: HashMap<&AccountId, usize> = HashMap::new();
        for (_, account, _) in input.memory.all_memberships() {
            *held_by.entry(account).or_default() += 1;
        }
        let losing_all =
            by_account.iter().filter(|(account, n)| held_by.get(*account).is_some_and(|of| *n >= of)).count();
        let holders = input.memory.holders();
        if limit.exceeded(losing_all, holders) {
            reasons.push(said(limit, losing_all, holders, "people would lose their last membership"));
        }
    }
    reasons
}

/// Groups of five or more in the ledger in which the directory now has nobody.
fn emptied_groups(
    steps: &[Step],
    input: &PlanInput<'_>,
    reading: &Reading<'_>,
) -> Vec<(SiteGroupId, String, usize)> {
    let mut lost: HashMap<&SiteGroupId, usize> = HashMap::new();
    for step in steps {
        if let Action::RemoveMember { removal, .. } = &step.action {
            *lost.entry(&removal.site_group).or_default() += 1;
        }
    }
    reading
        .targets
        .iter()
        .filter_map(|(target, entitled)| {
            let group = target.group.site_id.clone()?;
            let lost = lost.get(&group).copied()?;
            let known = input.memory.memberships_of(&group);
            // A snapshot of one person does not show who else is there; it was asked.
            let peopled = target.filled.sources().iter().any(|source| input.directory.is_peopled(&source.id));
            let anybody = peopled
                || entitled
                    .members()
                    .into_iter()
                    .filter(|(ix, _)| !reading.audience.is_out(*ix))
                    .filter_map(|(ix, _)| input.directory.user_at(ix))
                    .any(|user| user.account != crate::model::AccountState::Disabled);
            (known >= 5 && !anybody).then(|| (group, target.group.name.to_string(), lost))
        })
        .collect()
}
