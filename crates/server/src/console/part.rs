//! Choosing a part of a held plan: what was ticked, what it comes to, what stays held; and its approval. Ticks are kept on
//! the server from page to page, for who made them.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::model::RunId;
use entrain_domain::plan::Approval;
use entrain_domain::run::Trigger;
use entrain_engine::Selection;
use entrain_engine::plan_view::{PlanView, StepView};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::connections::begin;
use super::letter::{Letter, Section, Wanted, did};
use super::parts::{count, icon, number};
use super::plan::{no_plan, note_reason};
use super::shell::Shell;
use super::told::{Chosen, told};
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::What;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Missing steps that are named.
const NAMED: usize = 12;
/// Ticks that are kept of one plan; who wants more of it ticks sections.
const MOST: usize = 20_000;

/// What was ticked: sections, people, steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picked {
    pub(super) sections: Vec<String>,
    pub(super) people: Vec<String>,
    pub(super) steps: Vec<String>,
}

impl Picked {
    /// What a form says.
    pub(super) fn of(visit: &Visit) -> Self {
        let all = |name| visit.all(name).map(str::to_owned).collect();
        Self { sections: all("section"), people: all("person"), steps: all("step") }
    }

    /// What who asks has ticked so far.
    pub(super) async fn kept(visit: &Visit, run: &RunId) -> Result<Self> {
        let kept = visit.console.service.ticks(run, &visit.who()?.account.id).await?;
        Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default())
    }

    async fn keep(&self, visit: &Visit, run: &RunId) -> Result<()> {
        let text = (!self.is_empty()).then(|| serde_json::to_string(self)).transpose();
        let text = text.map_err(|_| Problem::internal())?;
        Ok(visit.console.service.keep_ticks(run, &visit.who()?.account.id, text).await?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.sections.len() + self.people.len() + self.steps.len()
    }

    fn field(&mut self, name: &str) -> Option<&mut Vec<String>> {
        match name {
            "section" => Some(&mut self.sections),
            "person" => Some(&mut self.people),
            "step" => Some(&mut self.steps),
            _ => None,
        }
    }

    /// What is ticked once a page was sent: of what it showed, as `person:u1`, that which is ticked there; the rest stays.
    fn after<'a>(mut self, shown: impl Iterator<Item = &'a str>, ticked: Self) -> Self {
        for (field, value) in shown.filter_map(|one| one.split_once(':')) {
            if let Some(values) = self.field(field) {
                values.retain(|known| known != value);
            }
        }
        for (field, values) in
            [("section", ticked.sections), ("person", ticked.people), ("step", ticked.steps)]
        {
            if let Some(known) = self.field(field) {
                known.extend(values);
                known.sort_unstable();
                known.dedup();
            }
        }
        self
    }

    /// Ticks what a page shows of it, and tells how much of it stands elsewhere.
    pub(super) fn put(&self, letter: &mut Letter) {
        let mut here = 0;
        for section in &mut letter.sections {
            if let Some(word) = section.pick {
                section.ticked = self.sections.iter().any(|known| known == word);
                here += usize::from(section.ticked);
            }
            for row in section.rows.iter_mut().filter(|row| row.held > 0) {
                let known = if row.field == "person" { &self.people } else { &self.steps };
                row.ticked = known.contains(&row.key);
                here += usize::from(row.ticked);
            }
        }
        letter.ticked = self.len();
        letter.elsewhere = self.len().saturating_sub(here);
    }
}

/// The chosen steps by themselves; nothing of them is held any more.
fn only(chosen: &Chosen) -> PlanView {
    let steps = chosen.steps.values().cloned().map(|step| StepView { held_by: None, ..step });
    PlanView::of_steps(steps.collect())
}

#[derive(Template)]
#[template(path = "part.html")]
struct PartPage {
    shell: Shell,
    run: String,
    headline: String,
    error: Option<String>,
    paragraphs: Vec<String>,
    sections: Vec<Section>,
    /// What it needs besides, in words.
    missing: Vec<String>,
    more_missing: usize,
    picked: Picked,
    /// The steps that it needs, by name.
    needs: Vec<String>,
    steps: usize,
    rest: usize,
    mails: usize,
    number: Option<String>,
    empties: bool,
}

/// Whether much would be taken away by these steps: whoever approves them has to have looked.
fn dangerous(part: &PlanView) -> bool {
    ["remove_member", "remove_user"].iter().any(|kind| part.of_kind(kind).next().is_some())
}

async fn chosen(visit: &Visit, run: &RunId, picked: &Picked) -> Result<Chosen> {
    let summary = visit.console.service.summary(run).await?;
    let told = told(visit, &summary).await?.ok_or_else(no_plan)?;
    told.chosen(&*visit.console.service, picked).await?.ok_or_else(no_plan)
}

async fn made(
    visit: &Visit,
    run: &RunId,
    picked: Picked,
    chosen: &Chosen,
    error: Option<String>,
) -> Result<PartPage> {
    let connection = visit.console.service.summary(run).await?.connection;
    let all = Letter::begun(&chosen.gist, Wanted::default());
    let part = only(chosen);
    let letter = Letter::of(&part, Wanted::default());
    let steps = chosen.steps.len();
    let headline = if steps == 0 {
        "Nothing is ticked".to_owned()
    } else {
        let held = count(all.held_steps as u64, "held step", "held steps");
        format!("Approve {} of {held}?", number(steps as u64))
    };
    let number = (dangerous(&part) || all.empties).then(|| steps.to_string());
    Ok(PartPage {
        shell: visit.shell_of(&connection, headline.clone()).await?.at("Plans"),
        run: run.to_string(),
        headline,
        error,
        paragraphs: if steps == 0 { Vec::new() } else { letter.paragraphs },
        sections: letter.sections,
        missing: chosen
            .missing
            .iter()
            .take(NAMED)
            .map(|step| {
                let who = step.user.as_ref().map(|user| format!("{}: ", user.name));
                format!("{}{}", who.unwrap_or_default(), did(step))
            })
            .collect(),
        more_missing: chosen.missing.len().saturating_sub(NAMED),
        needs: chosen.missing.iter().map(|step| step.id.clone()).collect(),
        picked,
        steps,
        rest: all.held_steps.saturating_sub(steps),
        mails: letter.mails,
        number,
        empties: all.empties,
    })
}

/// What is ticked so far.
pub(super) async fn page(visit: Visit) -> Result {
    let run = visit.run()?;
    let picked = Picked::kept(&visit, &run).await?;
    let chosen = chosen(&visit, &run, &picked).await?;
    Reply::page(&made(&visit, &run, picked, &chosen, None).await?)
}

/// Keeps what a page of the plan says is ticked, and goes on to where its sender wants to: to another page of the plan, or
/// to the part that was chosen.
pub(super) async fn tick(visit: Visit) -> Result {
    let run = visit.run()?;
    let to = visit.text("to").unwrap_or_default();
    let picked = if to == "none" {
        Picked::default()
    } else {
        Picked::kept(&visit, &run).await?.after(visit.all("shown"), Picked::of(&visit))
    };
    if picked.len() > MOST {
        let what = format!("more than {} boxes are ticked", number(MOST as u64));
        return Err(Problem::request(what, "tick whole sections, or approve this part first"));
    }
    picked.keep(&visit, &run).await?;
    Reply::to(&onward(&run, to, visit.text("find").unwrap_or_default()))
}

/// An address of this plan.
fn onward(run: &RunId, to: &str, find: &str) -> String {
    let plan = format!("/runs/{run}/plan");
    let mut query = form_urlencoded::Serializer::new(String::new());
    match to {
        "part" => return format!("/runs/{run}/part"),
        "find" => {
            query.append_pair("find", find.trim());
        }
        to => {
            let fields = form_urlencoded::parse(to.as_bytes());
            query.extend_pairs(fields.filter(|(name, _)| ["show", "find", "from"].contains(&&**name)));
        }
    }
    let query = query.finish();
    if query.is_empty() { plan } else { format!("{plan}?{query}") }
}

/// Approves what was ticked.
pub(super) async fn approve(visit: Visit, run: RunId, picked: Picked) -> Result {
    let chosen = chosen(&visit, &run, &picked).await?;
    let empties = Letter::begun(&chosen.gist, Wanted::default()).empties;
    let steps = chosen.steps.len();
    let reason = visit.text("reason").map(str::trim).unwrap_or_default();
    let asks = dangerous(&only(&chosen)) || empties;
    let error = if steps == 0 {
        Some("Nothing that is held is ticked.".to_owned())
    } else if !chosen.missing.is_empty() {
        Some("It needs something that is not ticked.".into())
    } else if asks && visit.text("number").map(str::trim) != Some(&*steps.to_string()) {
        Some(format!("The number is not {}: so many steps are ticked.", number(steps as u64)))
    } else if asks && reason.is_empty() {
        Some("Say why: it stands in the audit log.".into())
    } else if empties && visit.text("accept_empty").is_none() {
        Some("The directory or the scope reads as empty. Tick that this is so.".into())
    } else {
        None
    };
    if error.is_some() {
        let page = made(&visit, &run, picked, &chosen, error).await?;
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    note_reason(&visit, &run, reason).await?;
    let approval = if empties { Approval::EvenEmpty } else { Approval::Held };
    let connection = visit.console.service.summary(&run).await?.connection;
    let selection = Selection { steps: chosen.steps.into_keys().collect(), people: Vec::new() };
    let what = What::Approve(run.clone(), approval, selection);
    let begun = begin(&visit, connection, what, Trigger::Approval, "approved").await?;
    // What could not begin stays ticked
    Picked::default().keep(&visit, &run).await?;
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(sections: &[&str], people: &[&str], steps: &[&str]) -> Picked {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Picked { sections: own(sections), people: own(people), steps: own(steps) }
    }

    #[test]
    fn a_page_says_of_what_it_showed_what_is_ticked_and_nothing_of_the_rest() {
        let before = picked(&["groups"], &["ana", "ben"], &["adopt_group/g"]);
        let shown = ["person:ben", "person:carl", "section:joiners", "step:a:b", "number:1", "nonsense"];
        let after = before.after(shown.into_iter(), picked(&["joiners"], &["carl"], &[]));
        assert_eq!(after, picked(&["groups", "joiners"], &["ana", "carl"], &["adopt_group/g"]));
        let none = after.after(["section:groups", "section:joiners"].into_iter(), Picked::default());
        assert_eq!(none, picked(&[], &["ana", "carl"], &["adopt_group/g"]));
    }

    #[test]
    fn from_the_ticks_it_goes_on_within_the_plan_and_nowhere_else() {
        let run = RunId::parse("r1").unwrap();
        for (to, address) in [
            ("", "/runs/r1/plan"),
            ("part", "/runs/r1/part"),
            ("find", "/runs/r1/plan?find=ana+r%26"),
            ("show=movers&find=&from=60", "/runs/r1/plan?show=movers&find=&from=60"),
            ("https://evil.example/?show=x&next=//evil.example", "/runs/r1/plan"),
        ] {
            assert_eq!(onward(&run, to, " ana r& "), address, "{to}");
        }
    }
}
