//! The fingerprint of a plan: which steps, on which objects, under which rules. Two plans with one digest do the same.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::step::{Action, Removal, Step, StepId, StepKind};
use crate::memory::Anchor;
use crate::policy::Rules;

/// SHA-256 over the rules and over the steps, whatever their order, as lower-case hex: the steps of one kind about one
/// group, which stand together, are hashed each for itself, in ascending order, and then all of these. Part by part,
/// because the hashes of all steps of a first plan at once would be half as large as the plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

type Hash = [u8; 32];

impl Digest {
    /// The digest of these steps under these rules.
    pub fn of(steps: &[Step], rules: &Rules) -> Self {
        let parts = steps.chunk_by(|a, b| about(a) == about(b));
        let parts = in_any_order(parts.map(|part| in_any_order(part.iter().map(line))));
        let mut hash = Sha256::new();
        hash.update(format!("{rules:?}\n"));
        hash.update(parts);
        Self(hex::encode(hash.finalize()))
    }

    /// The digest of some steps of the plan that has this one.
    pub(super) fn of_choice(plan: &Self, steps: &BTreeSet<StepId>) -> Self {
        let mut hash = Sha256::new();
        for text in std::iter::once(plan.as_str()).chain(steps.iter().map(StepId::as_str)) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        Self(hex::encode(hash.finalize()))
    }

    /// The digest as it was written, for comparison.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What steps that stand together have in common.
fn about(step: &Step) -> (StepKind, Option<&Anchor>) {
    (step.action.kind(), step.action.group().map(|group| &group.anchor))
}

fn in_any_order(hashes: impl Iterator<Item = Hash>) -> Hash {
    let mut hashes: Vec<Hash> = hashes.collect();
    hashes.sort_unstable();
    Sha256::digest(hashes.as_flattened()).into()
}

/// A step: its name, and what it is done to as far as the name does not say it.
fn line(step: &Step) -> Hash {
    let target = match &step.action {
        Action::CreateUser { address, .. } => address.key(),
        Action::UpdateUser { person, update } => format!("{:?} {update:?}", person.site_id),
        Action::CreateGroup { group } => group.name.to_string(),
        Action::RenameGroup { renaming, .. } => format!("{} {}", renaming.site_id, renaming.name),
        Action::AdoptGroup { site_id, .. } => site_id.to_string(),
        Action::AddMember { group, person } => format!("{:?} {:?}", group.site_id, person.site_id),
        Action::TakeRung { departed, .. } => {
            format!("{} {}", departed.account, departed.proof.leaving().as_str())
        }
        Action::ComeBack { account, .. } => account.to_string(),
        Action::RemoveMember { removal, .. } => {
            let Removal { site_group, account, proof, .. } = &**removal;
            format!("{site_group} {account} {:?}", proof.evidence())
        }
    };
    Sha256::digest(format!("{}\t{target}", step.id())).into()
}
