//! Results of commands as pages: the report of a run, histories, lists, failures.

use std::fmt::Write as _;

use entrain_domain::Failure;
use entrain_domain::plan::DriftKind;
use entrain_domain::run::{Decided, JournalEntry, RunReport, RunStatus, Trigger};

use super::page::{Page, Tone, table};
use entrain_engine::plan_view::{SeatsView, count};

/// A failure: what happened, to which object, what to do.
pub(super) fn failure(failure: &Failure) -> Page {
    let mut page = Page::new();
    page.parts(&[(Tone::Bad, "error: "), (Tone::Normal, &failure.message)]);
    if let Some(object) = failure.object.as_ref().filter(|o| !failure.message.contains(o.as_str())) {
        page.line(format!("   object: {object}"));
    }
    if !failure.remedy.is_empty() {
        page.labelled("  what to do: ", &failure.remedy);
    }
    page.toned(Tone::Faint, format!("  code: {}", failure.code));
    page
}

/// The report of a run.
pub(crate) fn report(report: &RunReport) -> Page {
    let mut page = Page::new();
    let (tone, verdict) = match report.status {
        RunStatus::Converged if report.trigger == Trigger::Undo => {
            (Tone::Good, "converged: taken back as far as it can be, read back and checked")
        }
        RunStatus::Converged => {
            (Tone::Good, "converged: the site is as the directory says, read back and checked")
        }
        RunStatus::Held => (Tone::Warn, "held: something waits for a person"),
        RunStatus::Partial => (Tone::Warn, "partial: something is left to do"),
        RunStatus::Failed => (Tone::Bad, "failed"),
        RunStatus::Running => (Tone::Normal, "under way"),
    };
    page.parts(&[(Tone::Strong, &format!("“{}” ", report.connection)), (tone, verdict)]);
    let rows = report.steps.iter().filter(|(_, n)| n.planned > 0).map(|(kind, n)| {
        let number = |n: usize| if n == 0 { "–".to_owned() } else { n.to_string() };
        vec![kind.to_string(), number(n.planned), number(n.done), number(n.failed), number(n.held)]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        page.line("  no steps: nothing to do");
    } else {
        page.gap().append(table(&["step", "planned", "done", "failed", "held"], rows));
    }
    if !report.drift.is_empty() {
        page.heading("Done by hand on the site");
        for (kind, n) in &report.drift {
            let text = match kind {
                DriftKind::MemberAdded => count(*n, "member was put in", "members were put in"),
                DriftKind::MemberRemoved => count(*n, "member was taken out", "members were taken out"),
                DriftKind::GroupRenamed => count(*n, "group was renamed", "groups were renamed"),
                DriftKind::GroupDeleted => count(*n, "group was deleted", "groups were deleted"),
            };
            page.paragraph(Tone::Normal, "  ~ ", text);
        }
        page.toned(Tone::Faint, "    entrain report drift shows each, and what becomes of it");
    }
    if let Some(why) = &report.quarantine {
        page.heading("In quarantine");
        page.paragraph(Tone::Bad, "  ! ", format!("{why}; the next runs try a few steps first"));
    }
    if !report.held.is_empty() {
        page.heading("Held for a person");
        for held in &report.held {
            page.paragraph(Tone::Warn, "  ! ", format!("{}: {}", held.guard, held.reason));
        }
    }
    if !report.notes.is_empty() {
        page.heading("Worth knowing");
        for note in &report.notes {
            page.parts(&[(Tone::Faint, "  · "), (Tone::Strong, &note.object)]);
            page.paragraph(Tone::Normal, "      ", &note.reason);
            page.paragraph(Tone::Faint, "      ", &note.remedy);
        }
    }
    let mut product = "";
    for one in &report.waiting {
        if one.product != product {
            page.heading(format!("In line for a seat of {}", one.product_name));
            product = &one.product;
        }
        page.paragraph(Tone::Normal, "  ", format!("{}. {}", one.place, one.user));
    }
    if !report.set_aside.is_empty() {
        page.heading("Set aside");
        for aside in &report.set_aside {
            page.parts(&[(Tone::Warn, "  ? "), (Tone::Strong, &aside.object)]);
            page.paragraph(Tone::Normal, "      ", &aside.reason);
            page.paragraph(Tone::Faint, "      ", format!("what to do: {}", aside.remedy));
        }
    }
    if let Some(error) = &report.error {
        page.gap().append(failure(error));
    }
    page.gap();
    for (product, seats) in &report.seats {
        let seats = SeatsView { before: seats.before, after: seats.after, limit: seats.limit };
        page.line(format!("  {}", super::letter::seat_line(product, &seats)));
    }
    let r = report.requests;
    let mut requests = format!("  requests: {} directory, {} site", r.directory, r.site);
    if r.organization > 0 {
        let _ = write!(requests, ", {} organization", r.organization);
    }
    if r.throttled > 0 {
        let _ = write!(requests, "; {} throttled", r.throttled);
    }
    page.toned(Tone::Faint, format!("{requests}; {}; run {}", duration(report.duration_ms), report.run_id));
    page
}

fn duration(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1000..=119_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// Runs, the newest first. Rows: id, connection, trigger, status, start, steps done.
pub(crate) fn runs_list(rows: Vec<Vec<String>>) -> Page {
    if rows.is_empty() {
        let mut page = Page::new();
        page.line("No runs yet.");
        return page;
    }
    table(&["run", "connection", "trigger", "status", "started", "done"], rows)
}

/// One run with its journal.
pub(crate) fn run_detail(head: &Page, journal: &[JournalEntry], decisions: &[Decided]) -> Page {
    let mut page = head.clone();
    if !decisions.is_empty() {
        page.heading("Decided");
        for decided in decisions {
            let when = decided.at.strftime("%F %T UTC");
            page.line(format!("  {} {} it, {when}", decided.actor, decided.did()));
        }
    }
    page.heading(format!("Journal ({})", count(journal.len(), "step", "steps")));
    if !journal.is_empty() {
        let rows = journal.iter().map(|entry| {
            vec![
                entry.step.to_string(),
                entry.outcome.as_str().to_owned(),
                entry.attempts.to_string(),
                entry.at.strftime("%F %T").to_string(),
                entry.answer.clone(),
            ]
        });
        page.append(table(&["step", "outcome", "calls", "at (utc)", "answer"], rows));
    }
    page
}

/// Connections. Rows: name, site, mode, version.
pub(crate) fn connection_list(rows: Vec<Vec<String>>) -> Page {
    if rows.is_empty() {
        let mut page = Page::new();
        page.line("No connections yet. Write a document and run `entrain connection add FILE`;");
        page.line("`entrain connection schema` describes it, `entrain demo` shows one at work.");
        return page;
    }
    table(&["name", "site", "mode", "version"], rows)
}

/// Entries of the audit log. Rows: seq, at, actor, action, object, detail.
pub(crate) fn audit_list(rows: Vec<Vec<String>>) -> Page {
    table(&["seq", "at (utc)", "actor", "action", "object", "detail"], rows)
}
