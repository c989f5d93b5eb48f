//! What guards hold, what leavers keep, and what is never touched.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits that hold a plan.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    /// Removals, in percent of the ledger's memberships, or of one group's.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) removals_percent: u8,
    /// Removals, in objects.
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    pub(crate) removals_number: u32,
    /// Additions after the first converged run, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) additions_percent: u8,
    /// Additions after the first converged run, in objects.
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    pub(crate) additions_number: u32,
    /// Limits of single kinds of step, instead of the two above: kind (such as `create_user` or `suspend_user`) =
    /// `{ percent = 5, number = 10 }`.
    pub(crate) kinds: BTreeMap<String, KindLimit>,
    /// Two different people have to approve what a guard holds; `--yes` releases nothing.
    pub(crate) two_people: bool,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = entrain_domain::policy::Limits::default();
        Self {
            removals_percent: limits.removals.percent,
            removals_number: limits.removals.number,
            additions_percent: limits.additions.percent,
            additions_number: limits.additions.number,
            kinds: BTreeMap::new(),
            two_people: false,
        }
    }
}

/// A limit: exceeded when more than so many percent and more than so many objects are affected.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindLimit {
    /// Percent of what is known: of the ledger's memberships, of the linked people, of the linked groups.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) percent: u8,
    /// Objects.
    #[schemars(range(min = 0, max = 4_294_967_295_u64))]
    pub(crate) number: u32,
}

/// Seats that may be taken, and who goes first when they run out.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SeatsSection {
    /// Who goes first: expressions about a person, such as `user.department == "Support"`. Whoever meets the first goes before
    /// all others, then whoever meets the second, and so on; within each, and without any, the longest wait goes first.
    pub(crate) first: Vec<String>,
    /// Limits by product, as `{ budget = 180, reserve = 5 }`: `jira-software`, `jira-servicedesk`, `jira-core`,
    /// `jira-product-discovery`, `confluence` (which needs `[site.organization]`). `budget` is the most seats that may be taken,
    /// whoever took them; `reserve` are seats that have to stay free. A product without an entry may be used up.
    pub(crate) products: BTreeMap<String, ProductSeats>,
}

/// Seats of one product.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProductSeats {
    /// The most seats that may be taken, whoever took them. Without it, all that there are.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub(crate) budget: Option<u64>,
    /// Seats that have to stay free.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub(crate) reserve: u64,
}

/// What becomes of people who have left.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LeaversSection {
    /// Suspend the access so long after somebody was disabled or deleted, such as `7d`: access to all products and sites of the
    /// organization's directory, until it is restored. Needs `[site.organization]`.
    pub(crate) suspend_after: Option<String>,
    /// Deactivate managed accounts so long after, such as `30d`. Needs `[site.organization]` and a verified domain.
    pub(crate) deactivate_after: Option<String>,
    /// Take people off the site so long after, such as `90d`. Only an invitation brings them back.
    pub(crate) remove_after: Option<String>,
    /// On whose accounts these rungs are taken.
    pub(crate) accounts: LeaverAccounts,
    /// Other times for people who are disabled in the directory; `"never"` switches a rung off.
    pub(crate) disabled: RungsSection,
    /// Other times for people who are deleted in the directory; `"never"` switches a rung off.
    pub(crate) deleted: RungsSection,
    /// Times for people who are enabled in the directory and out of scope. The times above are not for them: without times
    /// of their own, they lose their groups and nothing more.
    pub(crate) out_of_scope: RungsSection,
}

/// Times of the rungs for one way of leaving.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "these are the keys of the document")]
pub(crate) struct RungsSection {
    /// As above.
    pub(crate) suspend_after: Option<String>,
    /// As above.
    pub(crate) deactivate_after: Option<String>,
    /// As above.
    pub(crate) remove_after: Option<String>,
}

/// On whose accounts rungs are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeaverAccounts {
    /// Those that Entrain invited. Accounts that were there before are somebody else's.
    #[default]
    Invited,
    /// Every account that is linked to the person.
    Linked,
}

/// What is never touched.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProtectedSection {
    /// Accounts, by account id or e-mail address.
    pub(crate) accounts: Vec<String>,
    /// Jira groups, by id or name.
    pub(crate) groups: Vec<String>,
}
