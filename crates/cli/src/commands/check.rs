//! `entrain check`: both sides of a connection tried out.

mod confluence;

use clap::Args;
use entrain_connect::atlassian::{CheckState, SiteCheck};
use entrain_connect::entra::PermissionVerdict;
use entrain_domain::Failure;
use entrain_engine::check::{Check, Verdict};

use self::confluence::Confluence;
use super::{Context, Exit, Target};
use crate::ui::{Page, Tone};
use crate::wire::{self, reports};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(cx: &Context<'_>, args: CheckArgs) -> Result<Exit, Failure> {
    let connected = Box::pin(wire::connect(cx, &args.target)).await?;
    let (mut checks, confluence) = Box::pin(looked_at(&connected)).await;
    let (document, _, _, store) = reports::choose(cx, &args.target, reports::Sides::Both).await?;
    if document.meaning().notifications.is_some() {
        with_notifications(&connected, &mut checks).await;
        checks.push(told_by_service(wire::notifications::missing(&store, &document).await?));
    }
    checks.extend(super::report::credential_checks(&document)?);
    let result = serde_json::json!({
        "connection": connected.name, "checks": checks, "confluence": confluence
    });
    cx.printer.result(&result, || page(&connected.name, &checks));
    let bad = checks.iter().any(|c| c.verdict == Verdict::Bad);
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

/// Everything found: permissions of the application, what the scope names, rights of the technical account.
pub(crate) async fn findings(connected: &wire::Connected) -> Vec<Check> {
    Box::pin(looked_at(connected)).await.0
}

async fn looked_at(connected: &wire::Connected) -> (Vec<Check>, Confluence) {
    let (permissions, site, engine, confluence) = tokio::join!(
        connected.entra.check(&connected.scope),
        connected.jira.standing(),
        connected.engine.check(),
        confluence::look(connected)
    );
    let organization = match (&connected.organization, &site) {
        (Some(organization), Ok(standing)) => organization.check(&standing.own_account).await,
        _ => Vec::new(),
    };
    let site = site.map(|standing| SiteCheck::of(&standing));
    let mut checks = Vec::new();
    // A permission that cannot be asked for is told by the reading itself
    for finding in permissions.into_iter().flatten() {
        let verdict = match finding.verdict {
            PermissionVerdict::Granted => Verdict::Good,
            PermissionVerdict::Excessive => Verdict::Warning,
            PermissionVerdict::Missing => Verdict::Bad,
        };
        let what = format!("Microsoft Graph, {}", finding.permission);
        checks.push(Check { what, verdict, detail: finding.what, remedy: remedy(finding.remedy) });
    }
    let told_by_site = site.is_ok();
    checks.extend(site.into_iter().flatten().map(|finding| told("Jira", finding)));
    checks.extend(organization.into_iter().map(|finding| told("Organization", finding)));
    checks.push(confluence.check());
    // The engine says the rights again, in fewer words
    let again = |c: &Check| told_by_site && (c.what == "site" || c.what.starts_with("right:"));
    checks.extend(engine.into_iter().filter(|c| !again(c)));
    (checks, confluence)
}

/// What change notifications need beyond a run. A run goes without them, so nothing here is in its way.
async fn with_notifications(connected: &wire::Connected, checks: &mut Vec<Check>) {
    // What Graph refuses has been told already
    for finding in connected.entra.check_notifications().await.unwrap_or_default() {
        let excessive = format!("Microsoft Graph, {}", finding.permission);
        checks.retain(|check| !(check.what == excessive && check.verdict == Verdict::Warning));
        let verdict =
            if finding.verdict == PermissionVerdict::Granted { Verdict::Good } else { Verdict::Warning };
        let what = format!("Change notifications, {}", finding.permission);
        checks.push(Check { what, verdict, detail: finding.what, remedy: remedy(finding.remedy) });
    }
}

/// What `entrain serve` has found out: only the directory can say whether it reaches the public address.
fn told_by_service(missing: Option<(String, String)>) -> Check {
    let what = "Change notifications, as the service knows them".to_owned();
    match missing {
        Some((detail, remedy)) => {
            Check { what, verdict: Verdict::Warning, detail, remedy: Some(remedy) }
        }
        None => Check {
            what,
            verdict: Verdict::Good,
            detail: "nothing is in their way so far; Microsoft Graph tries the public address when entrain serve subscribes"
                .into(),
            remedy: None,
        },
    }
}

fn told(plane: &str, finding: SiteCheck) -> Check {
    let (verdict, detail) = match finding.state {
        CheckState::Good => (Verdict::Good, "as it should be"),
        CheckState::Missing => (Verdict::Bad, "missing"),
        CheckState::Notice => (Verdict::Warning, "to be known"),
        CheckState::NotKnown => (Verdict::Warning, "cannot be asked"),
    };
    let what = format!("{plane}, {}", finding.what);
    Check { what, verdict, detail: detail.into(), remedy: remedy(finding.remedy) }
}

fn remedy(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// The findings for people.
pub(super) fn page(name: &str, checks: &[Check]) -> Page {
    let mut page = Page::new();
    page.toned(Tone::Strong, format!("Check of “{name}”"));
    for check in checks {
        let (tone, sign) = match check.verdict {
            Verdict::Good => (Tone::Good, "  ok    "),
            Verdict::Warning => (Tone::Warn, "  note  "),
            Verdict::Bad => (Tone::Bad, "  wrong "),
        };
        page.parts(&[(tone, sign), (Tone::Normal, &format!("{}: {}", check.what, check.detail))]);
        if let Some(remedy) = &check.remedy {
            page.paragraph(Tone::Faint, "        ", format!("what to do: {remedy}"));
        }
    }
    let bad = checks.iter().filter(|c| c.verdict == Verdict::Bad).count();
    page.gap();
    if bad == 0 {
        page.line("Both sides are ready. Next: entrain plan");
    } else {
        page.toned(
            Tone::Bad,
            format!("{} in the way of a run.", crate::ui::count(bad, "thing is", "things are")),
        );
    }
    page
}
