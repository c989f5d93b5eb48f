//! What earlier runs learnt about single steps, applied to a plan: a step that the site keeps refusing is left out until
//! its clock has run down, one that somebody keeps undoing waits for a person, and so does a removal that a change of
//! the rules asks for, and whatever a person left out when they approved other steps.

use super::guard::Guard;
use super::planner::PlanInput;
use super::step::{Action, MendedBy, SetAside, Step};
use crate::memory::{Mark, MarkKind};

/// Leaves out and holds; what is left out is said.
pub(super) fn apply(steps: &mut Vec<Step>, input: &PlanInput<'_>) -> Vec<SetAside> {
    if !input.memory.any_marks() {
        return Vec::new();
    }
    let mut aside = Vec::new();
    let mut keep = vec![true; steps.len()];
    for (at, step) in steps.iter_mut().enumerate() {
        if step.after.iter().any(|before| !keep[*before as usize]) {
            keep[at] = false;
            aside.push(SetAside {
                object: what(step),
                reason: "waits for something that the site keeps refusing".into(),
                remedy: "see what is said of that".into(),
                mended_by: MendedBy::Site,
            });
            continue;
        }
        let id = step.id();
        // A person who approves wants everything tried.
        if let Some(mark @ Mark::Refused { times, reason, remedy, .. }) =
            input.memory.mark(&id, MarkKind::Refused)
            && let Some(until) = mark.waits(input.now)
            && !input.approval.is_whole()
        {
            keep[at] = false;
            aside.push(SetAside {
                object: what(step),
                reason: format!(
                    "was refused {times} times in a row and is not tried again before {}: {reason}",
                    until.strftime("%F %R UTC")
                ),
                remedy: format!("{remedy}; entrain sync --yes tries at once"),
                mended_by: MendedBy::Site,
            });
            continue;
        }
        let marked = |kind| input.memory.mark(&id, kind);
        let fight = marked(MarkKind::Flipped).is_some_and(|mark| mark.is_fight(input.now));
        let takes = step.action.kind().effect() == super::Effect::Takes;
        let guards = [
            (Guard::Fight, fight),
            (Guard::RuleChange, takes && marked(MarkKind::RuleChange).is_some()),
            (Guard::LeftOut, marked(MarkKind::LeftOut).is_some()),
        ];
        let holds = guards.into_iter().find(|(guard, is)| *is && !input.approval.releases(*guard));
        step.hold = step.hold.or(holds.map(|(guard, _)| guard));
    }
    leave_out(steps, &keep);
    aside
}

/// Removes steps and moves the positions of what the others wait for.
pub(super) fn leave_out(steps: &mut Vec<Step>, keep: &[bool]) {
    if keep.iter().all(|kept| *kept) {
        return;
    }
    let mut place = Vec::with_capacity(keep.len());
    let mut next = 0_u32;
    for kept in keep {
        place.push(next);
        next += u32::from(*kept);
    }
    let mut at = 0;
    steps.retain_mut(|step| {
        let kept = keep[at];
        at += 1;
        if kept {
            step.after = step.after.iter().map(|before| place[*before as usize]).collect();
        }
        kept
    });
}

/// The object of a step, as a person knows it.
pub(super) fn what(step: &Step) -> String {
    let person = step.action.person().map(|person| match &person.mail {
        Some(mail) => format!("{} <{mail}>", person.name),
        None => person.name.to_string(),
    });
    let group = step.action.group().map(|group| format!("group “{}”", group.name));
    match (person, group) {
        (Some(person), Some(group)) => format!("{person} in {group}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => step.id().to_string(),
    }
}

/// Whether doing this step puts right what somebody else undid: a membership that the ledger has and the site has not,
/// or a stranger in an authoritative group.
pub fn is_flip(step: &Step, memory: &crate::memory::Memory) -> bool {
    match &step.action {
        Action::AddMember { group, person } => match (&group.site_id, &person.site_id) {
            (Some(group), Some(account)) => memory.membership(group, account).is_some(),
            _ => false,
        },
        Action::RemoveMember { removal, .. } => removal.owned.is_none(),
        _ => false,
    }
}
