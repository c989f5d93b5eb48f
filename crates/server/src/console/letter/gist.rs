//! What is said of all of a plan: counts and findings, without a single step. Together with some of its rows it makes a
//! page, so that the rest of the plan is not read for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use entrain_domain::plan::PlanRow;
use entrain_engine::plan_view::{Life, PlanView, SeatsView, StepView};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::people::{self, Parts, key};
use super::{OF_GROUPS, Row, group_row, short};
use crate::console::parts::{count, number};

/// What is set aside that is shown; the rest is counted.
const ASIDES: usize = 30;

/// What is counted over a section.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) rows: usize,
    pub(super) steps: usize,
    /// Steps that are held.
    pub(super) held: usize,
    /// Rows with a step that is held, and all their steps.
    pub(super) held_rows: usize,
    pub(super) held_row_steps: usize,
}

/// What is said of all of a plan.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Gist {
    pub(super) steps: usize,
    pub(super) held_steps: usize,
    pub(super) kinds: BTreeMap<String, usize>,
    /// Memberships that are held and would be taken away.
    pub(super) held_removals: usize,
    pub(super) cost: usize,
    pub(super) mails: usize,
    pub(super) undoable: usize,
    /// The group that most of those who only lose something leave, and how many do.
    pub(super) cause: Option<(String, usize)>,
    /// Memberships that those lose.
    pub(super) of_cause: usize,
    /// Guards that hold: which, and what they say.
    pub(super) held: Vec<(String, String)>,
    pub(super) asides: Vec<(String, String, String)>,
    pub(super) all_asides: usize,
    /// Before, after, in all.
    pub(super) seats: BTreeMap<String, (u64, u64, Option<u64>)>,
    pub(super) tallies: BTreeMap<String, Tally>,
    /// When the plan was made, if it is a preview's.
    #[serde(default)]
    made: Option<Timestamp>,
}

/// The sections, in their order.
pub(super) const SECTIONS: [&str; 6] = ["cause", "joiners", "movers", "leavers", "attributes", "groups"];

/// Steps about groups alone, in the order in which they are shown.
pub(super) fn of_groups(plan: &PlanView) -> Vec<&StepView> {
    OF_GROUPS.iter().flat_map(|kind| plan.of_kind(kind)).collect()
}

fn is_held(step: &StepView) -> bool {
    step.held_by.is_some()
}

fn tally<'a>(rows: impl Iterator<Item = Vec<&'a StepView>>) -> Tally {
    let mut tally = Tally::default();
    for steps in rows {
        let held = steps.iter().filter(|step| is_held(step)).count();
        tally.rows += 1;
        tally.steps += steps.len();
        tally.held += held;
        if held > 0 {
            tally.held_rows += 1;
            tally.held_row_steps += steps.len();
        }
    }
    tally
}

impl Gist {
    pub(super) fn of(plan: &PlanView, parts: &Parts<'_>, cause: Option<(String, usize)>) -> Self {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for step in &plan.steps {
            *kinds.entry(step.kind.clone()).or_default() += 1;
        }
        let tally_of = |word: &&str| match *word {
            "groups" => tally(of_groups(plan).into_iter().map(|step| vec![step])),
            word => tally(parts.named(word).iter().map(|life| life.steps().collect())),
        };
        Self {
            steps: plan.steps.len(),
            held_steps: plan.steps.iter().filter(|step| is_held(step)).count(),
            kinds,
            held_removals: plan.of_kind("remove_member").filter(|step| is_held(step)).count(),
            cost: plan.cost(),
            mails: plan.of_kind("create_user").filter(|step| !step.undoable).count(),
            undoable: plan.steps.iter().filter(|step| step.undoable).count(),
            cause,
            of_cause: parts.held_by.iter().map(|life| life.leaves.len()).sum(),
            held: plan.held.iter().map(|held| (held.guard.clone(), held.reason.clone())).collect(),
            asides: plan
                .set_aside
                .iter()
                .take(ASIDES)
                .map(|one| (one.object.clone(), one.reason.clone(), one.remedy.clone()))
                .collect(),
            all_asides: plan.set_aside.len(),
            seats: plan
                .seats
                .iter()
                .map(|(product, SeatsView { before, after, limit })| {
                    (product.clone(), (*before, *after, *limit))
                })
                .collect(),
            tallies: SECTIONS.iter().map(|word| ((*word).to_owned(), tally_of(word))).collect(),
            made: None,
        }
    }

    /// When the plan was made, if it is a preview's.
    pub(crate) fn made(&self) -> Option<Timestamp> {
        self.made
    }

    /// A plan told apart: what is said of all of it, and its rows in the order of sections. Of a preview, it is said when
    /// that was made.
    pub(crate) fn and_rows(plan: &PlanView, made: Option<Timestamp>) -> (Self, Vec<PlanRow>) {
        let lives = plan.lives();
        let (parts, cause) = Parts::of(&lives);
        let gist = Self { made, ..Self::of(plan, &parts, cause) };
        let mut rows = Vec::new();
        let mut put = |key: String, shown: &Row, steps: Vec<&StepView>| {
            rows.push(PlanRow {
                place: i64::try_from(rows.len()).unwrap_or(i64::MAX),
                key,
                held: i64::try_from(shown.held).unwrap_or(i64::MAX),
                find: people::sought(shown),
                body: serde_json::to_string(&steps).unwrap_or_default(),
            });
        };
        for word in SECTIONS {
            for life in parts.named(word) {
                put(key(life), &people::row(life), life.steps().collect());
            }
        }
        for step in of_groups(plan) {
            put(step.id.clone(), &group_row(step), vec![step]);
        }
        (gist, rows)
    }

    pub(super) fn tally(&self, word: &str) -> Tally {
        self.tallies.get(word).copied().unwrap_or_default()
    }

    /// The places of a section's rows: the first, and the one behind the last.
    pub(in crate::console) fn places(&self, word: &str) -> (i64, i64) {
        let before = SECTIONS.iter().take_while(|section| **section != word);
        let place = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        let first: usize = before.map(|section| self.tally(section).rows).sum();
        (place(first), place(first + self.tally(word).rows))
    }

    pub(super) fn kind(&self, kind: &str) -> usize {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    pub(crate) fn has_changes(&self) -> bool {
        self.steps > 0
    }

    /// The first finding, for the headline.
    pub(crate) fn finding(&self) -> String {
        let Some((guard, reason)) = self.held.first() else {
            return if self.has_changes() {
                "A plan that nothing holds".into()
            } else {
                "Nothing to do".into()
            };
        };
        if guard == "removals"
            && let Some((group, n)) = &self.cause
        {
            return format!("Held: {} would leave {group} at once", count(*n as u64, "person", "people"));
        }
        format!("Held: {}", short(reason))
    }

    pub(super) fn paragraphs(&self) -> Vec<String> {
        if !self.has_changes() {
            return vec![if self.held.is_empty() {
                "There is nothing to do: the site is as the directory says.".into()
            } else {
                "Nothing is planned; a limit holds.".into()
            }];
        }
        let rows = |word| self.tally(word).rows;
        let mut lives = Vec::new();
        for (n, one, many) in [
            (rows("joiners"), "person joins", "people join"),
            (rows("movers"), "person changes groups", "people change groups"),
            (rows("leavers") + rows("cause"), "person loses access", "people lose access"),
            (rows("attributes"), "person gets new attributes", "people get new attributes"),
            (self.kind("create_group"), "group is made", "groups are made"),
            (self.kind("adopt_group"), "group is taken over", "groups are taken over"),
        ] {
            if n > 0 {
                lives.push(count(n as u64, one, many));
            }
        }
        let joined = match lives.as_slice() {
            [] => "groups are renamed".to_owned(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        };
        let held = self.held_steps > 0;
        let mut text = if held {
            format!("If you approve everything, {joined}.")
        } else {
            format!("{}.", super::capital(&joined))
        };
        let removals = self.kind("remove_member");
        if let Some((_, n)) = &self.cause {
            let group = self.cause.as_ref().map_or("", |(group, _)| group);
            let of = count(removals as u64, "removal has", "removals have");
            let people = count(*n as u64, "person is", "people are");
            // Writing into a text cannot fail
            let _ = write!(
                text,
                " {} of the {of} one cause: {people} no longer in {group} in the directory.",
                number(self.of_cause as u64)
            );
        }
        let mut paragraphs = vec![text];
        if held && removals > 0 {
            paragraphs.push(
                "If that was meant, approve it. If it was a slip, put it right in Entra: the next run will then find nothing to remove."
                    .into(),
            );
        }
        paragraphs
    }
}

/// The row of the steps that were kept of it.
pub(super) fn row_of(steps: Vec<StepView>) -> Option<Row> {
    let plan = PlanView::of_steps(steps);
    let lives = plan.lives();
    let person = lives.first().map(|life: &Life<'_>| people::row(life));
    person.or_else(|| plan.steps.first().map(group_row))
}
