//! `entrain plan`: reads, plans, changes nothing.

use entrain_domain::Failure;
use entrain_domain::plan::Approval;
use entrain_engine::SavedPlan;
use entrain_engine::ports::Clock as _;

use super::{Context, Exit, PlanArgs, PlanFormat, file_failure, freshness};
use crate::ui::{self, PlanView};
use crate::wire;

pub(super) async fn run(cx: &Context<'_>, args: PlanArgs) -> Result<Exit, Failure> {
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let progress = cx.progress();
    let preview = Box::pin(connected.engine.preview(Approval::None, freshness(args.full), &progress)).await;
    progress.finish();
    let preview = preview?;
    if let Some(path) = &args.out {
        let now = wire::SystemClock.now();
        let saved = SavedPlan::new(&connected.name, &preview.plan, preview.document.clone(), now);
        std::fs::write(path, saved.to_json()).map_err(|e| file_failure("the plan's file", path, &e))?;
    }
    let view = PlanView::of(&preview.document);
    match args.format {
        Some(PlanFormat::Markdown) => cx.printer.verbatim(&ui::markdown(&view)),
        _ => cx.printer.result(&preview.document, || ui::letter(&view, ui::SHOWN)),
    }
    if let Some(path) = &args.out {
        let mut note = ui::Page::new();
        note.line(format!("Saved. To apply exactly this plan: entrain apply {}", path.display()));
        cx.printer.note(&note);
    }
    Ok(if args.detailed_exitcode && view.has_changes() { Exit::Changes } else { Exit::Done })
}
