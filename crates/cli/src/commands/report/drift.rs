//! `entrain report drift`: what people did by hand on the site to managed groups.

use entrain_domain::Failure;
use entrain_domain::plan::{Approval, Drift};
use entrain_engine::Freshness;
use entrain_server::reports::Reported;

use super::{ReportArgs, print};
use crate::commands::{Context, Exit};
use crate::ui::{self, Page, Tone};
use crate::wire;

/// Columns for spreadsheets.
const HEADER: [&str; 9] =
    ["kind", "group", "group_id", "person", "mail", "account_id", "before", "treatment", "text"];

pub(super) async fn run(cx: &Context<'_>, args: &ReportArgs) -> Result<Exit, Failure> {
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let progress = cx.progress();
    // Only a full read sees what changed by hand.
    let preview = Box::pin(connected.engine.preview(Approval::None, Freshness::Full, &progress)).await;
    progress.finish();
    let drift = preview?.plan.drift;
    print(
        cx,
        ("drift", &drift),
        args.format,
        || ui::csv(HEADER, drift.iter().map(row)),
        || page(&connected.name, &drift),
    );
    Ok(Exit::Done)
}

/// The report for the API and the console.
pub(crate) fn reported(rows: &[Drift]) -> Reported {
    super::reported("drift", rows, HEADER, row)
}

fn row(drift: &Drift) -> [String; 9] {
    let text = |text: Option<&dyn ToString>| text.map(ToString::to_string).unwrap_or_default();
    let person = drift.person();
    [
        drift.kind().as_str().to_owned(),
        drift.group.name.to_string(),
        text(drift.group.site_id.as_ref().map(|id| id as _)),
        text(person.map(|person| &person.name as _)),
        text(person.and_then(|person| person.mail.as_ref()).map(|mail| mail as _)),
        text(person.and_then(|person| person.site_id.as_ref()).map(|id| id as _)),
        text(drift.name_before().map(|name| name as _)),
        drift.treatment.as_str().to_owned(),
        drift.to_string(),
    ]
}

fn page(connection: &str, drift: &[Drift]) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Drift of “{connection}”"));
    if drift.is_empty() {
        page.line("Nothing in the managed groups was changed by hand.");
        return page;
    }
    page.line(format!("{} by hand on the site.", ui::count(drift.len(), "change", "changes")));
    page.gap();
    for drift in drift {
        page.labelled("  ~ ", drift.to_string());
    }
    page
}
