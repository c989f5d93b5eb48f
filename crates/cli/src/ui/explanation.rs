//! An explanation as people read it: the answer first, then the chain that leads to it, then who or what is meant.

use entrain_domain::plan::explain::{Explanation, Member, MemberState, Place, Related};

use super::page::{Page, Tone};
use entrain_engine::plan_view::count;

/// Most links of one kind and most members shown; the rest is counted.
const SHOWN: usize = 40;

/// An explanation for people.
pub(crate) fn explanation(explanation: &Explanation) -> Page {
    let mut page = Page::new();
    page.paragraph(Tone::Strong, "", format!("{}.", explanation.verdict));
    page.toned(Tone::Faint, &explanation.object).gap();
    let width = explanation.chain.iter().map(|link| link.what.chars().count()).max().unwrap_or(0);
    let mut before = "";
    let mut alike = 0;
    for link in &explanation.chain {
        alike = if link.what == before { alike + 1 } else { 0 };
        if alike < SHOWN {
            let what = if link.what == before { "" } else { link.what };
            page.labelled(&format!("  {what:width$}  "), &link.text);
        }
        before = link.what;
    }
    match &explanation.related {
        Related::Groups(places) => elsewhere(&mut page, places),
        Related::Members(members) => people(&mut page, members),
    }
    page
}

/// How many groups in scope the person is not in; the chain tells of the others.
fn elsewhere(page: &mut Page, places: &[Place]) {
    let untold: Vec<&Place> =
        places.iter().filter(|p| !p.member && p.paths.is_empty() && p.on_site != Some(true)).collect();
    if places.len() > 1 && !untold.is_empty() {
        let n = count(untold.len(), "group in scope", "groups in scope");
        page.toned(Tone::Faint, format!("  In {n} the person is not; --json lists every one."));
    }
}

fn people(page: &mut Page, members: &[Member]) {
    if members.is_empty() {
        return;
    }
    page.heading(format!("Members on either side ({})", members.len()));
    for member in members.iter().take(SHOWN) {
        let (tone, sign) = match member.state {
            MemberState::InStep => (Tone::Normal, "  = "),
            MemberState::Missing => (Tone::Good, "  + "),
            MemberState::Leaving => (Tone::Bad, "  - "),
            MemberState::Own | MemberState::Unknown => (Tone::Warn, "  ? "),
            MemberState::LeftOut => (Tone::Faint, "  x "),
        };
        let mail = member.mail.as_ref().map(|mail| format!(" <{mail}>")).unwrap_or_default();
        page.parts(&[(tone, sign), (Tone::Strong, &member.name), (Tone::Faint, &mail)]);
        page.paragraph(Tone::Normal, "      ", format!("{}: {}", state(member.state), member.text));
    }
    if members.len() > SHOWN {
        page.toned(Tone::Faint, format!("  … and {} more; --json lists them all", members.len() - SHOWN));
    }
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::InStep => "on both sides",
        MemberState::Missing => "missing on the site",
        MemberState::Leaving => "to be taken out",
        MemberState::Own => "somebody's own",
        MemberState::Unknown => "not known",
        MemberState::LeftOut => "left out",
    }
}
