//! From snapshots, rules and memory to a plan.

use super::guard::{Approval, History};
use super::matching::Lookups;
use super::{Digest, Plan};
use crate::memory::Memory;
use crate::model::{DirectorySnapshot, SiteGroupId, SiteSnapshot};
use crate::policy::Rules;

/// Everything a plan rests on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The directory, as read.
    pub directory: &'a DirectorySnapshot,
    /// The site, with the members of every group that [`group_targets`] names.
    pub site: &'a SiteSnapshot,
    /// The rules.
    pub rules: &'a Rules,
    /// Links and ledger.
    pub memory: &'a Memory,
    /// Look-ups for [`accounts_to_look_up`](super::accounts_to_look_up).
    pub lookups: &'a Lookups,
    /// What earlier runs did.
    pub history: History,
    /// What a person released.
    pub approval: Approval,
}

/// The existing site groups whose members a plan needs to know; the site as read so far has accounts and groups, and
/// no members yet.
pub fn group_targets(
    _directory: &DirectorySnapshot,
    _site: &SiteSnapshot,
    _rules: &Rules,
    _memory: &Memory,
) -> Vec<SiteGroupId> {
    Vec::new()
}

/// The plan.
pub fn plan(input: &PlanInput<'_>) -> Plan {
    Plan {
        steps: Vec::new(),
        records: Vec::new(),
        set_aside: Vec::new(),
        notes: Vec::new(),
        held: Vec::new(),
        seats: std::collections::BTreeMap::new(),
        digest: Digest::of(&[], input.rules),
    }
}
