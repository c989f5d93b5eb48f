//! Choosing a part of a held plan: what was ticked, what it comes to, what stays held; and its approval.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::model::RunId;
use entrain_domain::plan::Approval;
use entrain_domain::run::Trigger;
use entrain_engine::Selection;
use entrain_engine::plan_view::{Life, PlanView, StepView};

use super::connections::begin;
use super::letter::{Letter, OF_GROUPS, Parts, Section, Wanted, did, key};
use super::parts::{count, icon, number};
use super::plan::{note_reason, of_run};
use super::shell::Shell;
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::What;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Missing steps that are named.
const NAMED: usize = 12;

/// What was ticked: sections, people, steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picked {
    sections: Vec<String>,
    people: Vec<String>,
    steps: Vec<String>,
}

impl Picked {
    pub(super) fn of(visit: &Visit) -> Self {
        let all = |name| visit.all(name).map(str::to_owned).collect();
        Self { sections: all("section"), people: all("person"), steps: all("step") }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.people.is_empty() && self.steps.is_empty()
    }

    /// The held steps that are meant, by name.
    fn steps(&self, plan: &PlanView) -> BTreeSet<String> {
        let lives = plan.lives();
        let (parts, _) = Parts::of(&lives);
        let people: BTreeSet<&str> = self.people.iter().map(String::as_str).collect();
        let named = self.sections.iter().flat_map(|word| parts.named(word)).copied();
        let chosen = lives.iter().filter(|life| people.contains(key(life).as_str()));
        let of_people = named.chain(chosen).flat_map(Life::steps);
        let groups = self.sections.iter().any(|word| word == "groups");
        let steps: BTreeSet<&str> = self.steps.iter().map(String::as_str).collect();
        let of_groups = plan.steps.iter().filter(|step| {
            steps.contains(step.id.as_str()) || groups && OF_GROUPS.contains(&step.kind.as_str())
        });
        let held = of_people.chain(of_groups).filter(|step| step.held_by.is_some());
        held.map(|step| step.id.clone()).collect()
    }
}

/// What the chosen steps need and what was not chosen, and what that needs in turn.
fn missing<'a>(plan: &'a PlanView, chosen: &BTreeSet<String>) -> Vec<&'a StepView> {
    let steps: BTreeMap<&str, &StepView> = plan.steps.iter().map(|step| (step.id.as_str(), step)).collect();
    let mut found: BTreeMap<&str, &StepView> = BTreeMap::new();
    let mut look: Vec<&str> = chosen.iter().map(String::as_str).collect();
    while let Some(step) = look.pop().and_then(|id| steps.get(id)) {
        for before in step.after.iter().filter(|before| !chosen.contains(*before)) {
            if let Some(step) = steps.get(before.as_str())
                && found.insert(before, step).is_none()
            {
                look.push(before);
            }
        }
    }
    found.into_values().collect()
}

/// Only these steps of a plan; nothing of it is held for them any more.
fn only(plan: &PlanView, chosen: &BTreeSet<String>) -> PlanView {
    let of_it = |step: &&StepView| chosen.contains(&step.id);
    let steps = plan.steps.iter().filter(of_it).cloned().map(|step| StepView { held_by: None, ..step });
    PlanView { steps: steps.collect(), held: Vec::new(), set_aside: Vec::new(), ..plan.clone() }
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

fn empties(plan: &PlanView) -> bool {
    plan.held.iter().any(|held| held.guard == "empty_directory")
}

async fn made(visit: &Visit, run: &RunId, error: Option<String>) -> Result<PartPage> {
    let plan = of_run(visit, run).await?;
    let connection = visit.console.service.summary(run).await?.connection;
    let picked = Picked::of(visit);
    let chosen = picked.steps(&plan);
    let held = plan.steps.iter().filter(|step| step.held_by.is_some()).count();
    let part = only(&plan, &chosen);
    let letter = Letter::of(&part, Wanted::default());
    let missing = missing(&plan, &chosen);
    let headline = if chosen.is_empty() {
        "Nothing is ticked".to_owned()
    } else {
        format!(
            "Approve {} of {}?",
            number(chosen.len() as u64),
            count(held as u64, "held step", "held steps")
        )
    };
    let number = (dangerous(&part) || empties(&plan)).then(|| chosen.len().to_string());
    Ok(PartPage {
        shell: visit.shell_of(&connection, headline.clone()).await?.at("Plans"),
        run: run.to_string(),
        headline,
        error,
        paragraphs: if chosen.is_empty() { Vec::new() } else { letter.paragraphs },
        sections: letter.sections,
        missing: missing
            .iter()
            .take(NAMED)
            .map(|step| {
                let who = step.user.as_ref().map(|user| format!("{}: ", user.name));
                format!("{}{}", who.unwrap_or_default(), did(step))
            })
            .collect(),
        more_missing: missing.len().saturating_sub(NAMED),
        needs: missing.iter().map(|step| step.id.clone()).collect(),
        picked,
        steps: chosen.len(),
        rest: held - chosen.len(),
        mails: letter.mails,
        number,
        empties: empties(&plan),
    })
}

pub(super) async fn page(visit: Visit) -> Result {
    let run = visit.run()?;
    Reply::page(&made(&visit, &run, None).await?)
}

/// Approves what was ticked.
pub(super) async fn approve(visit: Visit, run: RunId, plan: &PlanView, picked: &Picked) -> Result {
    let chosen = picked.steps(plan);
    let part = only(plan, &chosen);
    let reason = visit.text("reason").map(str::trim).unwrap_or_default();
    let asks = dangerous(&part) || empties(plan);
    let error = if chosen.is_empty() {
        Some("Nothing that is held is ticked.".to_owned())
    } else if !missing(plan, &chosen).is_empty() {
        Some("It needs something that is not ticked.".into())
    } else if asks && visit.text("number").map(str::trim) != Some(&*chosen.len().to_string()) {
        Some(format!("The number is not {}: so many steps are ticked.", number(chosen.len() as u64)))
    } else if asks && reason.is_empty() {
        Some("Say why: it stands in the audit log.".into())
    } else if empties(plan) && visit.text("accept_empty").is_none() {
        Some("The directory or the scope reads as empty. Tick that this is so.".into())
    } else {
        None
    };
    if error.is_some() {
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &made(&visit, &run, error).await?);
    }
    note_reason(&visit, &run, reason).await?;
    let approval = if empties(plan) { Approval::EvenEmpty } else { Approval::Held };
    let connection = visit.console.service.summary(&run).await?.connection;
    let selection = Selection { steps: chosen.into_iter().collect(), people: Vec::new() };
    begin(&visit, connection, What::Approve(run, approval, selection), Trigger::Approval, "approved").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> PlanView {
        let member = |person: &str, held: bool| {
            let mut step = json!({"id": format!("add_member/g/{person}"), "kind": "add_member", "undoable": true,
                "user": {"name": person, "directory_id": person}, "group": {"name": "Jira A"}, "reason": "member"});
            if held {
                step["held_by"] = json!("additions");
                step["after"] = json!(["adopt_group/g", format!("create_user/{person}")]);
            }
            step
        };
        let invite = |person: &str| {
            json!({"id": format!("create_user/{person}"), "kind": "create_user", "reason": "enabled",
            "user": {"name": person, "directory_id": person}, "held_by": "additions"})
        };
        let steps = json!([
            {"id": "adopt_group/g", "kind": "adopt_group", "group": {"name": "Jira A"}, "reason": "bears the name", "held_by": "adoption"},
            invite("ana"), member("ana", true), invite("ben"), member("ben", true), member("carl", false)
        ]);
        PlanView::of(
            &json!({"connection": "c", "digest": "d", "status": "held", "steps": steps, "set_aside": [], "held": []}),
        )
    }

    fn picked(sections: &[&str], people: &[&str], steps: &[&str]) -> Vec<String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let picked = Picked { sections: own(sections), people: own(people), steps: own(steps) };
        picked.steps(&plan()).into_iter().collect()
    }

    #[test]
    fn a_person_a_section_and_a_step_mean_their_held_steps_and_no_others() {
        assert_eq!(picked(&[], &["ana"], &[]), ["add_member/g/ana", "create_user/ana"]);
        assert_eq!(picked(&[], &["carl"], &[]), [""; 0], "what is not held is done without anybody");
        assert_eq!(picked(&["groups"], &[], &[]), ["adopt_group/g"]);
        assert_eq!(picked(&[], &[], &["adopt_group/g", "no/such/step"]), ["adopt_group/g"]);
        assert_eq!(picked(&["joiners"], &["ana"], &[]).len(), 4);
    }

    #[test]
    fn what_a_choice_needs_is_found_to_its_end() {
        let plan = plan();
        let names = |chosen: &[&str]| {
            let chosen = chosen.iter().map(|id| (*id).to_owned()).collect();
            missing(&plan, &chosen).into_iter().map(|step| step.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["add_member/g/ana"]), ["adopt_group/g", "create_user/ana"]);
        assert_eq!(names(&["add_member/g/ana", "create_user/ana"]), ["adopt_group/g"]);
        assert!(names(&["adopt_group/g"]).is_empty());
    }
}
