//! One person of a plan, step by step.

use entrain_domain::plan::StepKind;
use entrain_engine::plan_view::{PlanView, StepView};

use super::super::parts::sentence;
use super::{did, group_of, guard_word, key};

/// Why something becomes of somebody: one link of the chain for each step.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) name: String,
    pub(crate) mail: String,
    pub(crate) links: Vec<WhyStep>,
}

/// A step, and what it rests on.
#[derive(Debug, Clone)]
pub(crate) struct WhyStep {
    pub(crate) what: String,
    pub(crate) cuts: bool,
    pub(crate) because: Vec<String>,
    pub(crate) undo: &'static str,
    pub(crate) held: Option<String>,
}

impl Why {
    /// The explanation of a person, by key, or of a group's step, by its name.
    pub(crate) fn of(plan: &PlanView, who: &str) -> Option<Self> {
        let link = |step: &StepView| WhyStep {
            what: did(step),
            cuts: StepKind::from_word(&step.kind)
                .is_some_and(|kind| kind.effect() == entrain_domain::plan::Effect::Takes),
            because: step.reason.split("; ").map(sentence).collect(),
            undo: if step.undoable { "An ordinary step takes it back." } else { "It cannot be taken back." },
            held: step.held_by.as_deref().map(guard_word),
        };
        let lives = plan.lives();
        if let Some(life) = lives.iter().find(|life| key(life) == who) {
            return Some(Self {
                name: life.person.name.clone(),
                mail: life.person.mail.clone().unwrap_or_default(),
                links: life.steps().map(link).collect(),
            });
        }
        let step = plan.steps.iter().find(|step| step.id == who)?;
        Some(Self { name: group_of(step).to_owned(), mail: String::new(), links: vec![link(step)] })
    }
}
