//! A plan as it is shown: the JSON of the contract, read back, and its steps put together by person and group.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A plan, as `entrain plan --json` prints it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PlanView {
    /// Connection.
    pub(crate) connection: String,
    /// `changes`, `nothing`, `held`.
    pub(crate) status: String,
    /// Steps, in order.
    pub(crate) steps: Vec<StepView>,
    /// Guards that hold.
    pub(crate) held: Vec<HeldView>,
    /// What is not done.
    pub(crate) set_aside: Vec<SetAsideView>,
    /// What people did by hand on the site.
    #[serde(default)]
    pub(crate) drift: Vec<DriftView>,
    /// Seats by product.
    #[serde(default)]
    pub(crate) seats: BTreeMap<String, SeatsView>,
    /// Requests that reading took.
    #[serde(default)]
    pub(crate) requests: RequestsView,
}

/// A step.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StepView {
    /// Kind, in the words of the contract.
    pub(crate) kind: String,
    /// Person, where it is about one.
    #[serde(default)]
    pub(crate) user: Option<ObjectView>,
    /// Group, where it is about one.
    #[serde(default)]
    pub(crate) group: Option<ObjectView>,
    /// The new name of a group that is renamed.
    #[serde(default)]
    pub(crate) new_name: Option<String>,
    /// What is written to an account.
    #[serde(default)]
    pub(crate) update: Option<UpdateView>,
    /// Why.
    pub(crate) reason: String,
    /// Whether an ordinary step takes it back.
    #[serde(default)]
    pub(crate) undoable: bool,
    /// The guard that holds it.
    #[serde(default)]
    pub(crate) held_by: Option<String>,
}

/// What is written to an account, with what was written before.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UpdateView {
    /// `profile`, or `property`.
    pub(crate) part: String,
    /// Fields of the profile that change.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, serde_json::Value>,
    /// Fields of the property.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, serde_json::Value>,
    /// Before.
    #[serde(default)]
    pub(crate) before: Option<BTreeMap<String, serde_json::Value>>,
}

impl UpdateView {
    /// `department “A” → “B”`, for each field that changes.
    pub(crate) fn changes(&self) -> Vec<String> {
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
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ObjectView {
    /// Name.
    pub(crate) name: String,
    /// Directory id.
    #[serde(default)]
    pub(crate) directory_id: Option<String>,
    /// Id on the site.
    #[serde(default)]
    pub(crate) site_id: Option<String>,
    /// Address of a person.
    #[serde(default)]
    pub(crate) mail: Option<String>,
}

/// A guard that holds.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HeldView {
    /// Guard.
    pub(crate) guard: String,
    /// What it counted.
    pub(crate) reason: String,
}

/// What is not done.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SetAsideView {
    /// Object.
    pub(crate) object: String,
    /// Why.
    pub(crate) reason: String,
    /// What to do.
    pub(crate) remedy: String,
}

/// What somebody did by hand.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DriftView {
    /// The group.
    pub(crate) group: ObjectView,
    /// What, and what becomes of it, in a sentence.
    pub(crate) text: String,
}

/// Seats of a product.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct SeatsView {
    /// Before.
    pub(crate) before: u64,
    /// After.
    pub(crate) after: u64,
    /// In all.
    #[serde(default)]
    pub(crate) limit: Option<u64>,
}

/// Requests of the reading.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct RequestsView {
    /// Directory side.
    #[serde(default)]
    pub(crate) directory: u64,
    /// Site.
    #[serde(default)]
    pub(crate) site: u64,
}

/// What becomes of one person.
#[derive(Debug, Clone)]
pub(crate) struct Life<'a> {
    /// Who.
    pub(crate) person: &'a ObjectView,
    /// The invitation, if there is one.
    pub(crate) invited: Option<&'a StepView>,
    /// Groups joined.
    pub(crate) joins: Vec<&'a StepView>,
    /// Groups left.
    pub(crate) leaves: Vec<&'a StepView>,
    /// Attributes written.
    pub(crate) updates: Vec<&'a StepView>,
    /// Rungs of the leaver ladder taken.
    pub(crate) rungs: Vec<&'a StepView>,
    /// Rungs taken back.
    pub(crate) returns: Vec<&'a StepView>,
}

impl PlanView {
    /// Reads the engine's document.
    pub(crate) fn of(document: &serde_json::Value) -> Self {
        serde_json::from_value(document.clone()).expect("the engine writes the plan of the contract")
    }

    /// Steps of a kind.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a StepView> {
        self.steps.iter().filter(move |s| s.kind == kind)
    }

    /// Steps by person, in the order of names.
    pub(crate) fn lives(&self) -> Vec<Life<'_>> {
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
    pub(crate) fn cost(&self) -> usize {
        let each = |kind: &str| match kind {
            "adopt_group" => 0,
            "deactivate_user" | "reactivate_user" => 3,
            "suspend_user" | "restore_user" | "remove_user" => 2,
            _ => 1,
        };
        self.steps.iter().filter(|s| s.held_by.is_none()).map(|s| each(&s.kind)).sum()
    }

    /// Whether anything is to be done or waits.
    pub(crate) fn has_changes(&self) -> bool {
        !self.steps.is_empty()
    }
}

impl Life<'_> {
    /// Whether only attributes change.
    pub(crate) fn stays(&self) -> bool {
        !self.gains() && !self.loses()
    }
    fn gains(&self) -> bool {
        !self.joins.is_empty() || self.invited.is_some() || !self.returns.is_empty()
    }
    fn loses(&self) -> bool {
        !self.leaves.is_empty() || !self.rungs.is_empty()
    }
    /// Whether the person only gains.
    pub(crate) fn joins(&self) -> bool {
        self.gains() && !self.loses()
    }
    /// Whether the person only loses.
    pub(crate) fn leaves(&self) -> bool {
        self.loses() && !self.gains()
    }
    /// Whether the person gains and loses.
    pub(crate) fn moves(&self) -> bool {
        !self.joins() && !self.leaves() && !self.stays()
    }
    /// All steps about the person.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &StepView> {
        let gains = self.returns.iter().chain(&self.invited).chain(&self.joins);
        gains.chain(&self.leaves).chain(&self.rungs).chain(&self.updates).copied()
    }
}

/// Names of groups, quoted and joined.
pub(crate) fn groups(steps: &[&StepView]) -> String {
    let names: Vec<String> =
        steps.iter().filter_map(|s| s.group.as_ref()).map(|g| format!("“{}”", g.name)).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 person`, `2 people`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
