//! A plan as Markdown, for a merge request or a ticket.

use std::fmt::Write as _;

use super::letter::seat_line;
use super::page::clean;
use entrain_engine::plan_view::{PlanView, StepView, WaitingView};

/// Text as a table's cell: nothing in it is markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

fn what(step: &StepView) -> String {
    let user = step.user.as_ref().map(|u| match &u.mail {
        Some(mail) => format!("{} ({})", cell(&u.name), cell(mail)),
        None => cell(&u.name),
    });
    let group = step.group.as_ref().map(|g| match &step.new_name {
        Some(name) => format!("{} → {}", cell(&g.name), cell(name)),
        None => cell(&g.name),
    });
    match (user, group) {
        (Some(user), Some(group)) => format!("{user} | {group}"),
        (user, group) => format!("{} | {}", user.unwrap_or_default(), group.unwrap_or_default()),
    }
}

/// The plan as Markdown.
pub(crate) fn markdown(plan: &PlanView) -> String {
    let mut out = format!("# Plan for {}\n\nStatus: **{}**\n", cell(&plan.connection), cell(&plan.status));
    if plan.steps.is_empty() {
        out.push_str("\nNothing to do.\n");
    } else {
        out.push_str("\n| step | person | group | why | held by |\n| --- | --- | --- | --- | --- |\n");
        for step in &plan.steps {
            let held = step.held_by.as_deref().unwrap_or_default();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                cell(&step.kind),
                what(step),
                cell(&step.reason),
                cell(held)
            );
        }
    }
    if !plan.drift.is_empty() {
        out.push_str("\n## Done by hand on the site\n\n");
        for drift in &plan.drift {
            let _ = writeln!(out, "- {}", cell(&drift.text));
        }
    }
    if !plan.held.is_empty() {
        out.push_str("\n## Held for a person\n\n");
        for held in &plan.held {
            let _ = writeln!(out, "- {}: {}", cell(&held.guard), cell(&held.reason));
        }
    }
    if !plan.set_aside.is_empty() {
        out.push_str("\n## Set aside\n\n| object | why | what to do |\n| --- | --- | --- |\n");
        for aside in &plan.set_aside {
            let _ = writeln!(
                out,
                "| {} | {} | {} |",
                cell(&aside.object),
                cell(&aside.reason),
                cell(&aside.remedy)
            );
        }
    }
    if !plan.notes.is_empty() {
        out.push_str("\n## Worth knowing\n\n| object | what | what to do |\n| --- | --- | --- |\n");
        for note in &plan.notes {
            let _ =
                writeln!(out, "| {} | {} | {} |", cell(&note.object), cell(&note.reason), cell(&note.remedy));
        }
    }
    for (product, line) in WaitingView::by_product(&plan.waiting) {
        let _ = writeln!(out, "\n## In line for a seat of {}\n", cell(product));
        for one in line {
            let _ = writeln!(out, "{}", cell(&one.line()));
        }
    }
    if !plan.seats.is_empty() {
        out.push_str("\n## Seats\n\n");
        for (product, seats) in &plan.seats {
            let _ = writeln!(out, "- {}", cell(&seat_line(product, seats)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_not_markup() {
        assert_eq!(cell("a|b<script>*x*"), "a\\|b&lt;script&gt;\\*x\\*");
        assert!(!cell("a\nb").contains('\n'));
    }
}
