//! A plan as a letter: who joins, who moves, who leaves, why, what it costs, what cannot be undone, what is held and
//! what was set aside.

use std::collections::BTreeMap;

use super::page::{Page, Tone};
use entrain_engine::plan_view::{DriftView, Life, PlanView, SeatsView, StepView, WaitingView, count, groups};

/// Most entries shown of each kind; the rest is counted.
pub(crate) const SHOWN: usize = 40;

/// Most changes by hand shown of one group.
const FEW: usize = 5;

/// The plan for people, with at most so many entries of each kind.
pub(crate) fn letter(plan: &PlanView, shown: usize) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Plan for “{}”", plan.connection));
    let lives = plan.lives();
    page.line(summary(plan, &lives));
    new_groups(&mut page, plan, shown);
    people(&mut page, "Joining", lives.iter().filter(|l| l.joins()), Tone::Good, shown);
    people(&mut page, "Moving", lives.iter().filter(|l| l.moves()), Tone::Warn, shown);
    people(&mut page, "Leaving", lives.iter().filter(|l| l.leaves()), Tone::Bad, shown);
    people(&mut page, "Attributes", lives.iter().filter(|l| l.stays()), Tone::Normal, shown);
    drift(&mut page, plan, shown);
    held(&mut page, plan);
    set_aside(&mut page, plan, shown);
    notes(&mut page, plan, shown);
    cost(&mut page, plan);
    page
}

fn summary(plan: &PlanView, lives: &[Life<'_>]) -> String {
    if !plan.has_changes() {
        return if plan.held.is_empty() {
            "Nothing to do: the site is as the directory says.".into()
        } else {
            "Nothing is planned; a guard holds.".into()
        };
    }
    let joining = lives.iter().filter(|l| l.joins()).count();
    let leaving = lives.iter().filter(|l| l.leaves()).count();
    let moving = lives.iter().filter(|l| l.moves()).count();
    let updated = lives.iter().filter(|l| !l.updates.is_empty()).count();
    let mut parts = Vec::new();
    let groups = plan.of_kind("create_group").count();
    if groups > 0 {
        parts.push(format!("{} created", count(groups, "group is", "groups are")));
    }
    let adopted = plan.of_kind("adopt_group").count();
    if adopted > 0 {
        parts.push(format!(
            "{} taken under management",
            count(adopted, "existing group is", "existing groups are")
        ));
    }
    let renamed = plan.of_kind("rename_group").count();
    if renamed > 0 {
        parts.push(format!("{} renamed", count(renamed, "group is", "groups are")));
    }
    for (n, one, many) in [
        (joining, "person joins", "people join"),
        (moving, "person moves", "people move"),
        (leaving, "person leaves", "people leave"),
        (updated, "person gets new attributes", "people get new attributes"),
    ] {
        if n > 0 {
            parts.push(count(n, one, many));
        }
    }
    parts.join(", ") + "."
}

fn new_groups(page: &mut Page, plan: &PlanView, shown: usize) {
    let steps: Vec<&StepView> = plan
        .of_kind("create_group")
        .chain(plan.of_kind("rename_group"))
        .chain(plan.of_kind("adopt_group"))
        .collect();
    if steps.is_empty() {
        return;
    }
    page.heading("Groups");
    for step in steps.iter().take(shown) {
        let name = step.group.as_ref().map_or("", |g| g.name.as_str());
        let (sign, does) = match (step.kind.as_str(), &step.new_name) {
            ("create_group", _) => ("  + ", "is created".to_owned()),
            (_, Some(name)) => ("  ~ ", format!("is called “{name}” from now on")),
            _ => ("  ~ ", "is adopted as it is".to_owned()),
        };
        let tone = if step.held_by.is_some() { Tone::Warn } else { Tone::Good };
        page.parts(&[
            (tone, sign),
            (Tone::Strong, name),
            (Tone::Normal, &format!(" {does}{}", waiting(step))),
        ]);
        page.paragraph(Tone::Faint, "      ", &step.reason);
    }
    rest(page, steps.len(), shown);
}

fn people<'a>(
    page: &mut Page,
    title: &str,
    lives: impl Iterator<Item = &'a Life<'a>>,
    tone: Tone,
    shown: usize,
) {
    let lives: Vec<&Life<'_>> = lives.collect();
    if lives.is_empty() {
        return;
    }
    page.heading(title);
    for life in lives.iter().take(shown) {
        let sign = match tone {
            Tone::Good => "  + ",
            Tone::Bad => "  - ",
            _ => "  ~ ",
        };
        let mail = life.person.mail.as_ref().map(|m| format!(" <{m}>")).unwrap_or_default();
        page.parts(&[(tone, sign), (Tone::Strong, &life.person.name), (Tone::Faint, &mail)]);
        for step in &life.returns {
            let what = if step.kind == "restore_user" {
                "gets the suspended access back"
            } else {
                "is activated again"
            };
            page.line(format!("      {what}{}", waiting(step)));
        }
        if life.invited.is_some() {
            page.line(format!(
                "      is invited to the site{}",
                life.invited.map(waiting).unwrap_or_default()
            ));
        }
        if !life.joins.is_empty() {
            page.paragraph(
                Tone::Normal,
                "      ",
                format!("into {}{}", groups(&life.joins), all_waiting(&life.joins)),
            );
        }
        if !life.leaves.is_empty() {
            page.paragraph(
                Tone::Normal,
                "      ",
                format!("out of {}{}", groups(&life.leaves), all_waiting(&life.leaves)),
            );
        }
        for step in &life.rungs {
            let what = match step.kind.as_str() {
                "suspend_user" => "is suspended: no access to anything in the organization's directory",
                "deactivate_user" => "is deactivated: nobody signs in with the account anywhere",
                _ => "is taken off the site; only an invitation brings the person back",
            };
            page.line(format!("      {what}{}", waiting(step)));
        }
        for step in &life.updates {
            if let Some(update) = &step.update {
                let text = format!("{}: {}{}", update.part, update.changes().join(", "), waiting(step));
                page.paragraph(Tone::Normal, "      ", text);
            }
        }
        let reasons = reasons(life);
        for reason in reasons.iter().take(3) {
            page.paragraph(Tone::Faint, "      ", format!("because: {reason}"));
        }
        if reasons.len() > 3 {
            page.toned(Tone::Faint, format!("      and {} more reasons", reasons.len() - 3));
        }
    }
    rest(page, lives.len(), shown);
}

/// The reasons worth reading: what a group's own name says already is left out where a nesting path says more.
fn reasons(life: &Life<'_>) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for step in life.steps() {
        let links: Vec<&str> = step.reason.split("; ").collect();
        let said = match step.kind.as_str() {
            // What an invitation rests on is said again, and better, by the memberships
            "create_user" if !life.joins.is_empty() => continue,
            // The values say it
            "update_user" => continue,
            "suspend_user" | "deactivate_user" | "remove_user" => step.reason.clone(),
            "add_member" => links.first().copied().unwrap_or_default().to_owned(),
            _ => links.iter().take(2).copied().collect::<Vec<_>>().join("; "),
        };
        if !reasons.contains(&said) {
            reasons.push(said);
        }
    }
    let own_name = |reason: &String| reason.starts_with("member through") && !reason.contains('›');
    if reasons.iter().any(|r| !own_name(r)) {
        reasons.retain(|r| !own_name(r));
    } else {
        reasons.truncate(1);
    }
    reasons
}

fn rest(page: &mut Page, all: usize, shown: usize) {
    if all > shown {
        page.toned(Tone::Faint, format!("  … and {} more; --format json shows them all", all - shown));
    }
}

fn waiting(step: &StepView) -> String {
    step.held_by.as_ref().map(|guard| format!(" (held: {guard})")).unwrap_or_default()
}

fn all_waiting(steps: &[&StepView]) -> String {
    let held = steps.iter().filter(|s| s.held_by.is_some()).count();
    match held {
        0 => String::new(),
        n if n == steps.len() => steps.first().map(|s| waiting(s)).unwrap_or_default(),
        n => format!(" ({n} of them held)"),
    }
}

/// What people did by hand, group by group: a group that was adopted may have many members of its own.
fn drift(page: &mut Page, plan: &PlanView, shown: usize) {
    if plan.drift.is_empty() {
        return;
    }
    page.heading("Done by hand on the site");
    let mut of_group: BTreeMap<&str, Vec<&DriftView>> = BTreeMap::new();
    for drift in &plan.drift {
        of_group.entry(&drift.group.name).or_default().push(drift);
    }
    for (group, drifts) in of_group.iter().take(shown) {
        for drift in drifts.iter().take(FEW) {
            page.labelled("  ~ ", &drift.text);
        }
        if drifts.len() > FEW {
            let more = count(drifts.len() - FEW, "change", "changes");
            page.toned(
                Tone::Faint,
                format!("    and {more} more in “{group}”; entrain report drift shows each"),
            );
        }
    }
    rest(page, of_group.len(), shown);
}

fn held(page: &mut Page, plan: &PlanView) {
    if plan.held.is_empty() {
        return;
    }
    page.heading("Held for a person");
    let mut empty = false;
    for held in &plan.held {
        empty |= held.guard == "empty_directory";
        page.paragraph(Tone::Warn, "  ! ", format!("{}: {}", held.guard, held.reason));
    }
    let how = if empty { "entrain sync --yes --accept-empty" } else { "entrain sync --yes" };
    page.toned(Tone::Faint, format!("    If this is meant: {how}"));
}

fn set_aside(page: &mut Page, plan: &PlanView, shown: usize) {
    for (product, line) in WaitingView::by_product(&plan.waiting) {
        page.heading(format!("In line for a seat of {product}"));
        for one in line.iter().take(shown) {
            page.paragraph(Tone::Normal, "  ", one.line());
        }
        rest(page, line.len(), shown);
    }
    if plan.set_aside.is_empty() {
        return;
    }
    page.heading("Set aside");
    for aside in plan.set_aside.iter().take(shown) {
        page.parts(&[(Tone::Warn, "  ? "), (Tone::Strong, &aside.object)]);
        page.paragraph(Tone::Normal, "      ", &aside.reason);
        page.paragraph(Tone::Faint, "      ", format!("what to do: {}", aside.remedy));
    }
    rest(page, plan.set_aside.len(), shown);
}

fn notes(page: &mut Page, plan: &PlanView, shown: usize) {
    if plan.notes.is_empty() {
        return;
    }
    page.heading("Worth knowing");
    for note in plan.notes.iter().take(shown) {
        page.parts(&[(Tone::Faint, "  · "), (Tone::Strong, &note.object)]);
        page.paragraph(Tone::Normal, "      ", &note.reason);
        page.paragraph(Tone::Faint, "      ", &note.remedy);
    }
    rest(page, plan.notes.len(), shown);
}

fn cost(page: &mut Page, plan: &PlanView) {
    if !plan.has_changes() && plan.seats.is_empty() {
        return;
    }
    page.heading("What it costs");
    for (product, seats) in &plan.seats {
        page.line(format!("  {}", seat_line(product, seats)));
    }
    if plan.has_changes() {
        page.line(format!("  {} to the site", count(plan.cost(), "request", "requests")));
    }
    if plan.requests.directory + plan.requests.site > 0 {
        page.toned(
            Tone::Faint,
            format!(
                "  (reading took {} to the directory and {} to the site)",
                plan.requests.directory, plan.requests.site
            ),
        );
    }
    let mails = plan.of_kind("create_user").filter(|s| !s.undoable && s.held_by.is_none()).count();
    if mails > 0 {
        page.line(format!(
            "  Cannot be undone: {} (Atlassian sends them at once)",
            count(mails, "invitation mail", "invitation mails")
        ));
    }
    let removed = plan.of_kind("remove_user").filter(|s| s.held_by.is_none()).count();
    if removed > 0 {
        page.line(format!(
            "  Cannot be undone: {} off the site (a new invitation brings people back, without roles and groups of others)",
            count(removed, "person is taken", "people are taken")
        ));
    }
}

/// Seats of a product in words.
pub(super) fn seat_line(product: &str, seats: &SeatsView) -> String {
    let limit = seats.limit.map_or_else(|| "unlimited".to_owned(), |l| format!("of {l}"));
    if seats.before == seats.after {
        match seats.before {
            0 => format!("{product}: no seat is taken ({limit})"),
            1 => format!("{product}: 1 seat stays taken ({limit})"),
            taken => format!("{product}: {taken} seats stay taken ({limit})"),
        }
    } else {
        format!("{product}: {} → {} seats taken ({limit})", seats.before, seats.after)
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Style;
    use super::*;

    fn plan() -> PlanView {
        PlanView::of(&serde_json::json!({
            "connection": "Azure AD", "digest": "d", "status": "held",
            "steps": [
                {"id": "1", "kind": "create_group", "group": {"name": "Jira QA", "directory_id": "g1"}, "undoable": true,
                 "reason": "directory group “Jira QA”; named by scope “Jira *”; no group of this name"},
                {"id": "2", "kind": "create_user", "user": {"name": "Ana Ruiz", "directory_id": "u1", "mail": "ana@x.example"},
                 "reason": "enabled in the directory", "undoable": false},
                {"id": "3", "kind": "add_member", "user": {"name": "Ana Ruiz", "directory_id": "u1", "mail": "ana@x.example"},
                 "group": {"name": "Jira QA", "directory_id": "g1"}, "reason": "member through “Jira QA”", "undoable": true},
                {"id": "4", "kind": "remove_member", "user": {"name": "Evil\u{1b}[2J", "site_id": "a9"},
                 "group": {"name": "Jira users", "directory_id": "g2"}, "reason": "disabled in the directory",
                 "undoable": true, "held_by": "empty_group"},
            ],
            "summary": {}, "held": [{"guard": "empty_group", "reason": "“Jira users” reads as empty"}],
            "set_aside": [{"object": "Bo", "reason": "two users share one address", "remedy": "mend one of them"}],
            "seats": {"jira-software": {"before": 3, "after": 4, "limit": 10}},
            "requests": {"directory": 11, "site": 6, "organization": 0, "throttled": 0}
        }))
    }

    #[test]
    fn a_plan_reads_like_a_letter() {
        let text = letter(&plan(), SHOWN).render(Style::Plain);
        for line in [
            "Plan for “Azure AD”",
            "1 group is created, 1 person joins, 1 person leaves.",
            "  + Jira QA is created",
            "  + Ana Ruiz <ana@x.example>",
            "      is invited to the site",
            "      into “Jira QA”",
            "      because: member through “Jira QA”",
            "  - Evil\u{FFFD}[2J",
            "      out of “Jira users” (held: empty_group)",
            "  ! empty_group: “Jira users” reads as empty",
            "    If this is meant: entrain sync --yes",
            "      what to do: mend one of them",
            "  jira-software: 3 → 4 seats taken (of 10)",
            "  3 requests to the site",
            "  Cannot be undone: 1 invitation mail (Atlassian sends them at once)",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n---\n{text}");
        }
    }

    #[test]
    fn an_empty_plan_says_so() {
        let empty = PlanView { steps: Vec::new(), held: Vec::new(), set_aside: Vec::new(), ..plan() };
        assert!(letter(&empty, SHOWN).render(Style::Plain).contains("Nothing to do"));
    }
}
