//! Drift: differences on the site that Entrain did not make, found by comparing three ways, the ledger (what was last
//! applied), the directory, and the site.
//!
//! | ledger | directory | site | what it is |
//! |---|---|---|---|
//! | no | no | yes | somebody put the person into the group by hand |
//! | yes | yes | no | somebody took the person out by hand |
//! | any | any | any | nothing by hand, or nothing that differs from what the directory says |
//!
//! What is done about it is a matter of the group's mode; drift only says what was found and what becomes of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::step::{GroupRef, Person, Step, StepId};
use crate::memory::Memory;

/// What somebody did by hand on the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What.
    pub what: ByHand,
    /// The group.
    pub group: Arc<GroupRef>,
    /// What becomes of it.
    pub treatment: Treatment,
}

/// What was done by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// Somebody was put into a managed group whom neither the directory nor the ledger has there.
    MemberAdded(Arc<Person>),
    /// Somebody was taken out of a managed group whom both the directory and the ledger have there.
    MemberRemoved(Arc<Person>),
    /// A linked group was given another name; the name before.
    GroupRenamed(Arc<str>),
    /// A linked group was deleted.
    GroupDeleted,
}

/// Kind of a drift, in the words of the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// [`ByHand::MemberAdded`]
    MemberAdded,
    /// [`ByHand::MemberRemoved`]
    MemberRemoved,
    /// [`ByHand::GroupRenamed`]
    GroupRenamed,
    /// [`ByHand::GroupDeleted`]
    GroupDeleted,
}

impl DriftKind {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::GroupRenamed => "group_renamed",
            Self::GroupDeleted => "group_deleted",
        }
    }
}

/// What becomes of a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// Nothing: it is somebody's own.
    LeftAlone,
    /// A step of the plan takes it back.
    Undone,
    /// A step would take it back, and waits for a person.
    Held,
    /// It should be taken back and cannot be; the set-aside objects say why.
    SetAside,
}

impl Treatment {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeftAlone => "left_alone",
            Self::Undone => "undone",
            Self::Held => "held",
            Self::SetAside => "set_aside",
        }
    }
}

impl Drift {
    /// Its kind.
    pub fn kind(&self) -> DriftKind {
        match self.what {
            ByHand::MemberAdded(_) => DriftKind::MemberAdded,
            ByHand::MemberRemoved(_) => DriftKind::MemberRemoved,
            ByHand::GroupRenamed(_) => DriftKind::GroupRenamed,
            ByHand::GroupDeleted => DriftKind::GroupDeleted,
        }
    }

    /// The person, where it is about one.
    pub fn person(&self) -> Option<&Arc<Person>> {
        match &self.what {
            ByHand::MemberAdded(person) | ByHand::MemberRemoved(person) => Some(person),
            ByHand::GroupRenamed(_) | ByHand::GroupDeleted => None,
        }
    }

    /// The name that a group bore before, where it was renamed.
    pub fn name_before(&self) -> Option<&Arc<str>> {
        match &self.what {
            ByHand::GroupRenamed(before) => Some(before),
            _ => None,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = &self.group.name;
        let whom = |person: &Person| match &person.mail {
            Some(mail) => format!("{} <{mail}>", person.name.trim()),
            None => person.name.trim().to_owned(),
        };
        match &self.what {
            ByHand::MemberAdded(person) => write!(f, "{} was put into “{group}” by hand", whom(person))?,
            ByHand::MemberRemoved(person) => {
                write!(f, "{} was taken out of “{group}” by hand", whom(person))?;
            }
            ByHand::GroupRenamed(before) => write!(f, "the group “{before}” is called “{group}” now")?,
            ByHand::GroupDeleted => write!(f, "the group “{group}” was deleted by hand")?,
        }
        f.write_str(match (self.treatment, &self.what) {
            (Treatment::LeftAlone, ByHand::MemberAdded(_)) => ": somebody's own, left alone",
            (Treatment::LeftAlone, _) => ": left as it is",
            (Treatment::Undone, ByHand::MemberAdded(_)) => ": taken out again, the group is authoritative",
            (Treatment::Undone, ByHand::MemberRemoved(_)) => {
                ": added again, the directory still has them there"
            }
            (Treatment::Undone, ByHand::GroupRenamed(_)) => ": gets the directory's name again",
            (Treatment::Undone, ByHand::GroupDeleted) => ": created again",
            (Treatment::Held, _) => ": taking that back waits for a person",
            (Treatment::SetAside, _) => ": cannot be taken back, see what is set aside",
        })
    }
}

impl serde::Serialize for Drift {
    /// `{"kind", "group", "user"?, "before"?, "treatment", "text"}`
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind())?;
        map.serialize_entry("group", &*self.group)?;
        if let Some(person) = self.person() {
            map.serialize_entry("user", &**person)?;
        }
        if let Some(before) = self.name_before() {
            map.serialize_entry("before", before)?;
        }
        map.serialize_entry("treatment", &self.treatment)?;
        map.serialize_entry("text", &self.to_string())?;
        map.end()
    }
}

/// A drift whose treatment is known once the guards have looked at the plan.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) what: ByHand,
    pub(super) group: Arc<GroupRef>,
    pub(super) taken_back: TakenBack,
}

/// How a drift is to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakenBack {
    /// Not at all.
    No,
    /// It should be, and something stands against it.
    Cannot,
    /// By the step at this position.
    By(u32),
}

/// The names of the steps that take drifts back, where steps may yet be left out and positions change.
pub(super) fn places(found: &[Found], steps: &[Step], memory: &Memory) -> Option<Vec<Option<StepId>>> {
    let name = |found: &Found| match found.taken_back {
        TakenBack::By(at) => steps.get(at as usize).map(Step::id),
        TakenBack::No | TakenBack::Cannot => None,
    };
    (memory.any_marks() && !found.is_empty()).then(|| found.iter().map(name).collect())
}

/// What becomes of each drift, by the steps as the guards left them.
pub(super) fn settle(found: Vec<Found>, places: Option<&[Option<StepId>]>, steps: &[Step]) -> Vec<Drift> {
    let by_name: HashMap<StepId, &Step> = match places {
        Some(_) => steps.iter().map(|step| (step.id(), step)).collect(),
        None => HashMap::new(),
    };
    let of = |step: Option<&Step>| match step {
        Some(step) if step.hold.is_some() => Treatment::Held,
        Some(_) => Treatment::Undone,
        // Left out: the site keeps refusing it.
        None => Treatment::SetAside,
    };
    let treatment = |at: usize, taken_back| match (taken_back, places) {
        (TakenBack::No, _) => Treatment::LeftAlone,
        (TakenBack::Cannot, _) => Treatment::SetAside,
        (TakenBack::By(position), None) => of(steps.get(position as usize)),
        (TakenBack::By(_), Some(names)) => {
            let name = names.get(at).and_then(Option::as_ref);
            of(name.and_then(|name| by_name.get(name)).copied())
        }
    };
    found
        .into_iter()
        .enumerate()
        .map(|(at, found)| {
            let treatment = treatment(at, found.taken_back);
            Drift { what: found.what, group: found.group, treatment }
        })
        .collect()
}
