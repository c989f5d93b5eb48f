//! A plan as it is shown: the JSON of the contract, read back, and its steps put together by person and group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A plan, as `entrain plan --json` prints it.
#[derive(Debug, Clone, Deserialize)]
pub struct PlanView {
    /// Connection.
    pub connection: String,
    /// `changes`, `nothing`, `held`.
    pub status: String,
    /// Steps, in order.
    pub steps: Vec<StepView>,
    /// Guards that hold.
    pub held: Vec<HeldView>,
    /// What is not done.
    pub set_aside: Vec<SetAsideView>,
    /// What people did by hand on the site.
    #[serde(default)]
    pub drift: Vec<DriftView>,
    /// Seats by product.
    #[serde(default)]
    pub seats: BTreeMap<String, SeatsView>,
    /// Who waits for a seat.
    #[serde(default)]
    pub waiting: Vec<WaitingView>,
    /// What is worth knowing and needs nobody.
    #[serde(default)]
    pub notes: Vec<SetAsideView>,
    /// Requests that reading took.
    #[serde(default)]
    pub requests: RequestsView,
}

/// Somebody who waits for a seat.
#[derive(Debug, Clone, Deserialize)]
pub struct WaitingView {
    /// The product, for people.
    pub product_name: String,
    /// The place in line, from 1.
    pub place: usize,
    /// The person.
    pub user: String,
    /// Since when.
    pub since: jiff::Timestamp,
    /// Groups that come with the seat.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl WaitingView {
    /// `3. Ana Ruiz <ana@x.example>, since 2026-11-27, for “Jira Users”`
    pub fn line(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| format!("“{group}”")).collect();
        let what = if groups.is_empty() { "an invitation".to_owned() } else { groups.join(", ") };
        format!("{}. {}, since {}, for {what}", self.place, self.user, self.since.strftime("%F"))
    }

    /// Product by product, in the order of the line.
    pub fn by_product(waiting: &[Self]) -> BTreeMap<&str, Vec<&Self>> {
        let mut lines: BTreeMap<&str, Vec<&Self>> = BTreeMap::new();
        for one in waiting {
            lines.entry(&one.product_name).or_default().push(one);
        }
        lines
    }
}

/// A step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepView {
    /// Its name in the plan and in the journal.
    #[serde(default)]
    pub id: String,
    /// Kind, in the words of the contract.
    pub kind: String,
    /// Person, where it is about one.
    #[serde(default)]
    pub user: Option<ObjectView>,
    /// Group, where it is about one.
    #[serde(default)]
    pub group: Option<ObjectView>,
    /// The new name of a group that is renamed.
    #[serde(default)]
    pub new_name: Option<String>,
    /// What is written to an account.
    #[serde(default)]
    pub update: Option<UpdateView>,
    /// Why.
    pub reason: String,
    /// Whether an ordinary step takes it back.
    #[serde(default)]
    pub undoable: bool,
    /// The guard that holds it.
    #[serde(default)]
    pub held_by: Option<String>,
    /// The held steps that come before it, by name.
    #[serde(default)]
    pub after: Vec<String>,
}

/// What is written to an account, with what was written before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UpdateView {
    /// `profile`, or `property`.
    pub part: String,
    /// Fields of the profile that change.
    #[serde(default)]
    pub set: BTreeMap<String, serde_json::Value>,
    /// Fields of the property.
    #[serde(default)]
    pub values: BTreeMap<String, serde_json::Value>,
    /// Before.
    #[serde(default)]
    pub before: Option<BTreeMap<String, serde_json::Value>>,
}

impl UpdateView {
    /// `department “A” → “B”`, for each field that changes.
    pub fn changes(&self) -> Vec<String> {
        let now = if self.part == "profile" { &self.set } else { &self.values };
        let nothing = BTreeMap::new();
        let before = self.before.as_ref().unwrap_or(&nothing);
        let shown = |value: Option<&serde_json::Value>| match value {
            None => "–".to_owned(),
            Some(serde_json::Value::String(text)) => format!("“{text}”"),
            Some(other) => other.to_string(),
        };
        let fields: std::collections::BTreeSet<&String> = now.keys().chain(before.keys()).collect();
        let differs = fields.into_iter().filter(|f| now.get(*f) != before.get(*f));
        differs
            .map(|field| match before.get(field) {
                None => format!("{field} {}", shown(now.get(field))),
                old => format!("{field} {} → {}", shown(old), shown(now.get(field))),
            })
            .collect()
    }
}

/// A person or group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectView {
    /// Name.
    pub name: String,
    /// Directory id.
    #[serde(default)]
    pub directory_id: Option<String>,
    /// Id on the site.
    #[serde(default)]
    pub site_id: Option<String>,
    /// Address of a person.
    #[serde(default)]
    pub mail: Option<String>,
}

/// A guard that holds.
#[derive(Debug, Clone, Deserialize)]
pub struct HeldView {
    /// Guard.
    pub guard: String,
    /// What it counted.
    pub reason: String,
}

/// What is not done.
#[derive(Debug, Clone, Deserialize)]
pub struct SetAsideView {
    /// Object.
    pub object: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// What somebody did by hand.
#[derive(Debug, Clone, Deserialize)]
pub struct DriftView {
    /// The group.
    pub group: ObjectView,
    /// What, and what becomes of it, in a sentence.
    pub text: String,
}

/// Seats of a product.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SeatsView {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
    /// In all.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// Requests of the reading.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct RequestsView {
    /// Directory side.
    #[serde(default)]
    pub directory: u64,
    /// Site.
    #[serde(default)]
    pub site: u64,
}

/// What becomes of one person.
#[derive(Debug, Clone)]
pub struct Life<'a> {
    /// Who.
    pub person: &'a ObjectView,
    /// The invitation, if there is one.
    pub invited: Option<&'a StepView>,
    /// Groups joined.
    pub joins: Vec<&'a StepView>,
    /// Groups left.
    pub leaves: Vec<&'a StepView>,
    /// Attributes written.
    pub updates: Vec<&'a StepView>,
    /// Rungs of the leaver ladder taken.
    pub rungs: Vec<&'a StepView>,
    /// Rungs taken back.
    pub returns: Vec<&'a StepView>,
}

impl PlanView {
    /// Reads the text of a document that was kept. Nothing is built in between: a first plan may be of a hundred thousand
    /// people.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Reads the engine's document.
    ///
    /// # Panics
    /// When it is not one.
    pub fn of(document: &serde_json::Value) -> Self {
        serde::Deserialize::deserialize(document).expect("the engine writes the plan of the contract")
    }

    /// These steps of a plan, and nothing else of it.
    pub fn of_steps(steps: Vec<StepView>) -> Self {
        Self {
            connection: String::new(),
            status: String::new(),
            steps,
            held: Vec::new(),
            set_aside: Vec::new(),
            drift: Vec::new(),
            seats: BTreeMap::new(),
            waiting: Vec::new(),
            notes: Vec::new(),
            requests: RequestsView::default(),
        }
    }

    /// Steps of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a StepView> {
        self.steps.iter().filter(move |s| s.kind == kind)
    }

    /// Steps by person, in the order of names.
    pub fn lives(&self) -> Vec<Life<'_>> {
        let mut lives: BTreeMap<(String, &str), Life<'_>> = BTreeMap::new();
        for step in &self.steps {
            let Some(person) = &step.user else { continue };
            let id = person.directory_id.as_deref().or(person.site_id.as_deref()).unwrap_or(&person.name);
            let life = lives.entry((person.name.to_lowercase(), id)).or_insert_with(|| Life {
                person,
                invited: None,
                joins: Vec::new(),
                leaves: Vec::new(),
                updates: Vec::new(),
                rungs: Vec::new(),
                returns: Vec::new(),
            });
            match step.kind.as_str() {
                "update_user" => life.updates.push(step),
                "create_user" => life.invited = Some(step),
                "remove_member" => life.leaves.push(step),
                "suspend_user" | "deactivate_user" | "remove_user" => life.rungs.push(step),
                "restore_user" | "reactivate_user" => life.returns.push(step),
                _ => life.joins.push(step),
            }
        }
        lives.into_values().collect()
    }

    /// Requests that applying costs: one for each step that writes and is not held.
    pub fn cost(&self) -> usize {
        let each = |kind: &str| match kind {
            "adopt_group" => 0,
            "deactivate_user" | "reactivate_user" => 3,
            "suspend_user" | "restore_user" | "remove_user" => 2,
            _ => 1,
        };
        self.steps.iter().filter(|s| s.held_by.is_none()).map(|s| each(&s.kind)).sum()
    }

    /// Whether anything is to be done or waits.
    pub fn has_changes(&self) -> bool {
        !self.steps.is_empty()
    }
}

impl Life<'_> {
    /// Whether only attributes change.
    pub fn stays(&self) -> bool {
        !self.gains() && !self.loses()
    }
    fn gains(&self) -> bool {
        !self.joins.is_empty() || self.invited.is_some() || !self.returns.is_empty()
    }
    fn loses(&self) -> bool {
        !self.leaves.is_empty() || !self.rungs.is_empty()
    }
    /// Whether the person only gains.
    pub fn joins(&self) -> bool {
        self.gains() && !self.loses()
    }
    /// Whether the person only loses.
    pub fn leaves(&self) -> bool {
        self.loses() && !self.gains()
    }
    /// Whether the person gains and loses.
    pub fn moves(&self) -> bool {
        !self.joins() && !self.leaves() && !self.stays()
    }
    /// All steps about the person.
    pub fn steps(&self) -> impl Iterator<Item = &StepView> {
        let gains = self.returns.iter().chain(&self.invited).chain(&self.joins);
        gains.chain(&self.leaves).chain(&self.rungs).chain(&self.updates).copied()
    }
}

/// Names of groups, quoted and joined.
pub fn groups(steps: &[&StepView]) -> String {
    let names: Vec<String> =
        steps.iter().filter_map(|s| s.group.as_ref()).map(|g| format!("“{}”", g.name)).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 person`, `2 people`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
