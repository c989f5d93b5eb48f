//! Which groups, under which names, and what fills them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How groups are named and bound.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GroupsSection {
    /// Template for names of Jira groups; `{name}` is the directory group's display name, after `rename`.
    pub(crate) name: String,
    /// Rewritings of directory groups' names, applied in their order before the template. What a pattern does not find
    /// stays as it is.
    pub(crate) rename: Vec<Rename>,
    /// Explicit bindings: directory group (id or exact name) = Jira group (name), or a list of Jira groups. They go before
    /// the template and before what a group was linked to so far. A Jira group that several directory groups are bound to
    /// has the members of all of them.
    pub(crate) map: BTreeMap<String, Names>,
    /// Jira groups, by name, that everybody in scope is a member of; managed like any other.
    pub(crate) default: Vec<String>,
    /// Jira groups, by name, that people become members of when Entrain invites them. The membership is theirs: it is
    /// never taken back and never given again.
    pub(crate) default_new: Vec<String>,
    /// What happens to a Jira group that bears the name already and is not linked.
    pub(crate) existing: ExistingGroups,
    /// What may be taken out of groups.
    pub(crate) mode: Mode,
    /// The same for single directory groups: directory group (id, exact name, or pattern with `*`) = mode. An id goes
    /// before a name, a name before a pattern, the longest pattern before the others.
    pub(crate) modes: BTreeMap<String, Mode>,
    /// Whether the members of nested groups belong to a group.
    pub(crate) nesting: Nesting,
    /// The same for single directory groups, named as in `modes`.
    pub(crate) nestings: BTreeMap<String, Nesting>,
}

impl Default for GroupsSection {
    fn default() -> Self {
        Self {
            name: "{name}".into(),
            rename: Vec::new(),
            map: BTreeMap::new(),
            default: Vec::new(),
            default_new: Vec::new(),
            existing: ExistingGroups::default(),
            mode: Mode::default(),
            modes: BTreeMap::new(),
            nesting: Nesting::default(),
            nestings: BTreeMap::new(),
        }
    }
}

/// One name or several.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Names {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Names {
    /// All of them.
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// A rewriting of names.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    /// Regular expression, such as `^GRP-(.+)$`; `(?i)` in front makes upper and lower case the same. No look-around.
    pub(crate) pattern: String,
    /// What takes the place of each find: text, with `$1` or `${1}` for the first group of the pattern. May be empty.
    pub(crate) with: String,
}

/// Whether the members of nested groups belong to a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Nesting {
    /// They do, however deep.
    #[default]
    Flatten,
    /// They do not: direct members only.
    Direct,
}

/// What happens to a Jira group that bears the name already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExistingGroups {
    /// Adopting it is a step that waits for a person's approval.
    #[default]
    Ask,
    /// It is adopted.
    Adopt,
    /// The directory group is set aside.
    Skip,
}

/// What may be taken out of groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Memberships of the ledger: granted by Entrain, or seen on both sides before. Everything else is somebody's own.
    #[default]
    Managed,
    /// Nothing.
    Additive,
    /// Everything that the directory does not have. The first such plan is held.
    Authoritative,
}
