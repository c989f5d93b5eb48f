//! The rules of a connection, parsed: who and what takes part, how people are matched and groups named, what happens
//! to what exists already, and the limits that hold a plan.

pub mod attributes;
pub mod audience;
pub mod demand;
pub mod expr;
pub mod groups;
pub mod leavers;
pub mod naming;
pub mod scope;
pub mod seats;

use std::collections::{BTreeMap, BTreeSet};

pub use attributes::{AttributeRules, PropertyValues};
pub use audience::{About, Audience, Doubt, OutOfScope, ScopeRule, Standing};
pub use demand::Demand;
pub use expr::{Expr, ExprError, Facts};
pub use groups::PerGroup;
pub use leavers::{Delays, LeaverAccounts, Leavers, Measure};
pub(crate) use naming::quoted;
pub use naming::{GroupNames, InvalidRewriting, NameProblem, Rewriting, site_name_problem};
pub use scope::{GroupSelector, Guests, InvalidSelector, Scope, UserScope};
pub use seats::{Ceiling, SeatRule, SeatRules};

pub use crate::model::Nesting;
use crate::model::{AccountId, Closure, DirectoryGroup, DirectoryGroupId, DirectorySnapshot, SiteGroupId};
use crate::plan::{Effect, StepKind};

/// Whether a kind of object is created when it is missing, or only reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Import {
    /// Create what is missing.
    Create,
    /// Report what is missing.
    Report,
}

/// Whether memberships are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Memberships {
    /// Add and take away.
    Sync,
    /// Leave all memberships alone.
    Leave,
}

/// What becomes of a site group that bears the name already and is not linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Existing {
    /// Adopting it is a step that waits for a person.
    Ask,
    /// Adopt it.
    Adopt,
    /// Set the directory group aside.
    Skip,
}

/// What may be taken out of a managed group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupMode {
    /// What the ledger owns.
    Managed,
    /// Nothing.
    Additive,
    /// Everything that the directory does not have.
    Authoritative,
}

/// A limit that holds a plan: exceeded when more than `percent` of the population *and* more than `number` objects
/// are affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// Percent of the population, 0 to 100.
    pub percent: u8,
    /// Objects.
    pub number: u32,
}

impl Limit {
    /// Whether `affected` of `population` is beyond the limit.
    pub fn exceeded(self, affected: usize, population: usize) -> bool {
        affected > self.number as usize
            && affected as u128 * 100 > population as u128 * u128::from(self.percent)
    }
}

/// The limits of a connection (contract, "What the smallest document means").
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Limits {
    /// Removals, of all memberships of the ledger and of one group's.
    pub removals: Limit,
    /// Additions after the first converged run.
    pub additions: Limit,
    /// Limits of single kinds of step, instead of the two above.
    pub kinds: BTreeMap<StepKind, Limit>,
}

impl Limits {
    /// The limit of a kind; kinds that neither give nor take have one only when the rules name it.
    pub fn of(&self, kind: StepKind) -> Option<Limit> {
        self.kinds.get(&kind).copied().or(match kind.effect() {
            Effect::Gives => Some(self.additions),
            Effect::Takes => Some(self.removals),
            Effect::Changes => None,
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            removals: Limit { percent: 20, number: 10 },
            additions: Limit { percent: 50, number: 100 },
            kinds: BTreeMap::new(),
        }
    }
}

/// How many people have to approve what a guard holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvers {
    /// One.
    #[default]
    One,
    /// Two different ones; nobody releases anything alone.
    Two,
}

impl Approvers {
    /// As a number.
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// What must never be touched, beyond what Entrain finds out by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Protected {
    /// Accounts by id.
    pub accounts: BTreeSet<AccountId>,
    /// Addresses, lower case.
    pub addresses: BTreeSet<String>,
    /// Site groups by id.
    pub groups: BTreeSet<SiteGroupId>,
    /// Site groups by name, lower case.
    pub group_names: BTreeSet<String>,
}

/// An explicit binding of a directory group to a site group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Binding {
    /// The directory group, by id or exact name.
    pub directory: GroupSelector,
    /// The site group's name.
    pub site: String,
}

/// Site groups that no directory group stands for, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DefaultGroups {
    /// Everybody in scope is a member; managed like any other.
    pub everybody: Vec<String>,
    /// People whom Entrain invites become members, once; the memberships are their own.
    pub newcomers: Vec<String>,
}

/// The rules of a connection.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Rules {
    /// Which directory users and groups take part.
    pub scope: Scope,
    /// People without an account.
    pub import_users: Import,
    /// Groups missing on the site.
    pub import_groups: Import,
    /// Memberships.
    pub memberships: Memberships,
    /// Products that an invitation grants; empty: access comes from groups alone.
    pub products: Vec<String>,
    /// Seats that may be taken, and who goes first.
    pub seats: SeatRules,
    /// Names of site groups.
    pub names: GroupNames,
    /// Explicit bindings, stronger than names and than links. A directory group may have several, and so may a site group.
    pub bindings: Vec<Binding>,
    /// Groups beside those of the directory.
    pub defaults: DefaultGroups,
    /// Site groups that exist already.
    pub existing: Existing,
    /// What may be taken out of groups.
    pub mode: GroupMode,
    /// The same for single directory groups.
    pub modes: PerGroup<GroupMode>,
    /// Whether members of nested groups belong to a group.
    pub nesting: Nesting,
    /// The same for single directory groups.
    pub nestings: PerGroup<Nesting>,
    /// Attributes that go to the site.
    pub attributes: AttributeRules,
    /// Limits.
    pub limits: Limits,
    /// Who releases what they hold.
    pub approvers: Approvers,
    /// Untouchable principals.
    pub protected: Protected,
    /// What becomes of people who have left.
    pub leavers: Leavers,
}

impl Rules {
    /// The rules of the smallest document: this scope, and the contract's defaults for the rest.
    pub fn for_scope(scope: Scope) -> Self {
        Self {
            scope,
            import_users: Import::Create,
            import_groups: Import::Create,
            memberships: Memberships::Sync,
            products: Vec::new(),
            seats: SeatRules::default(),
            names: GroupNames::default(),
            bindings: Vec::new(),
            defaults: DefaultGroups::default(),
            existing: Existing::Ask,
            mode: GroupMode::Managed,
            modes: PerGroup::default(),
            nesting: Nesting::Flatten,
            nestings: PerGroup::default(),
            attributes: AttributeRules::default(),
            limits: Limits::default(),
            approvers: Approvers::default(),
            protected: Protected::default(),
            leavers: Leavers::default(),
        }
    }

    /// What may be taken out of the site group of this directory group.
    pub fn mode_of(&self, id: &DirectoryGroupId, name: &str) -> GroupMode {
        self.modes.of(id, name).unwrap_or(self.mode)
    }

    /// What may be taken out of a site group that the document names and no directory group fills.
    pub fn mode_of_named(&self, name: &str) -> GroupMode {
        self.modes.named(name).unwrap_or(self.mode)
    }

    /// Whether members of groups nested in this one belong to it.
    pub fn nesting_of(&self, id: &DirectoryGroupId, name: &str) -> Nesting {
        self.nestings.of(id, name).unwrap_or(self.nesting)
    }

    /// Everybody who belongs to a directory group, as these rules nest it.
    pub fn closure(&self, directory: &DirectorySnapshot, group: &DirectoryGroup) -> Closure {
        directory.closure(&group.id, self.nesting_of(&group.id, &group.display_name))
    }

    /// The binding of a directory group, if the rules name one.
    pub fn binding(&self, id: &DirectoryGroupId, name: &str) -> Option<&Binding> {
        self.bindings.iter().find(|b| b.directory.selects(id, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_needs_both_percent_and_number() {
        let limit = Limit { percent: 20, number: 10 };
        assert!(!limit.exceeded(10, 10));
        assert!(!limit.exceeded(20, 100));
        assert!(limit.exceeded(21, 100));
        assert!(limit.exceeded(11, 11));
    }
}
