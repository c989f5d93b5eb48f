//! Who takes part.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which groups and people of the directory take part.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeSection {
    /// Directory groups that take part: by id, by exact name, or by a pattern with `*`; upper and lower case are the
    /// same. Groups nested in them are flattened into them.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Groups that do not take part although `groups` names them.
    #[serde(default)]
    pub(crate) exclude_groups: Vec<String>,
    /// Which people take part.
    #[serde(default)]
    pub(crate) users: Users,
    /// With `users = "assigned"`: the application (client) id of the enterprise application in Entra ID.
    pub(crate) assigned_to: Option<String>,
    /// Whether guests take part.
    #[serde(default)]
    pub(crate) guests: GuestsWord,
    /// What must hold for a person to take part: an expression (CEL) over `user.NAME` and `groups`, such as
    /// `user.department == "Sales" && !("Contractors" in groups)`. Whoever it does not hold for is out of scope; whoever it
    /// cannot be applied to is set aside, and neither invited nor taken out.
    pub(crate) filter: Option<String>,
}

/// Whether guests take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuestsWord {
    /// As everybody else.
    #[default]
    Include,
    /// They do not.
    Exclude,
}

/// Which people take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Users {
    /// Enabled users, guests included, who are direct or nested members of the groups in scope.
    #[default]
    InGroups,
    /// Enabled users to whom the enterprise application of `assigned_to` is assigned: by themselves, or as direct members
    /// of an assigned group. Needs the permission `Application.Read.All`, and one more request in each run.
    Assigned,
    /// Every enabled user of the directory.
    All,
}
