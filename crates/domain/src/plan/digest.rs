//! The fingerprint of a plan: which steps, on which objects, under which rules. Two plans with one digest do the same.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::step::{Action, Removal, Step};
use crate::policy::Rules;

/// SHA-256 over the rules and over the hashes of all steps in ascending order, as lower-case hex. Hashes, of 128 bits,
/// because the texts of all steps of a first plan take more memory than the plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of these steps under these rules.
    pub fn of(steps: &[Step], rules: &Rules) -> Self {
        let mut lines: Vec<[u8; 16]> = steps
            .iter()
            .map(|step| {
                let target = match &step.action {
                    Action::CreateUser { address, .. } => address.key(),
                    Action::UpdateUser { person, update } => format!("{:?} {update:?}", person.site_id),
                    Action::CreateGroup { group } => group.name.to_string(),
                    Action::RenameGroup { renaming, .. } => format!("{} {}", renaming.site_id, renaming.name),
                    Action::AdoptGroup { site_id, .. } => site_id.to_string(),
                    Action::AddMember { group, person } => {
                        format!("{:?} {:?}", group.site_id, person.site_id)
                    }
                    Action::TakeRung { departed, .. } => {
                        format!("{} {}", departed.account, departed.proof.leaving().as_str())
                    }
                    Action::ComeBack { account, .. } => account.to_string(),
                    Action::RemoveMember { removal, .. } => {
                        let Removal { site_group, account, proof, .. } = &**removal;
                        format!("{site_group} {account} {:?}", proof.evidence())
                    }
                };
                let hash = Sha256::digest(format!("{}\t{target}", step.id()));
                let mut half = [0; 16];
                half.copy_from_slice(&hash[..16]);
                half
            })
            .collect();
        lines.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(format!("{rules:?}\n"));
        for line in &lines {
            hash.update(line);
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
