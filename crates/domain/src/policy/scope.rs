//! The scope: which directory groups take part, and through them which people.

use super::Expr;
use crate::model::{ApplicationId, DirectoryGroupId, DirectorySnapshot, group_name_key};

/// Names directory groups: by id, by exact name, or by a pattern with `*`, without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(into = "String")]
pub struct GroupSelector {
    text: String,
    folded: String,
}

impl From<GroupSelector> for String {
    fn from(selector: GroupSelector) -> Self {
        selector.text
    }
}

/// Why a text does not name groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// Nothing was given.
    #[error("the name of a group is empty")]
    Empty,
    /// A control character.
    #[error("the name of a group contains a control character")]
    ControlCharacter,
}

impl GroupSelector {
    /// Parses a selector; blanks around it are dropped.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidSelector::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidSelector::ControlCharacter);
        }
        Ok(Self { text: text.to_owned(), folded: group_name_key(text) })
    }

    /// Names the group with exactly this id.
    pub(crate) fn exactly(id: &str) -> Self {
        Self { text: id.to_owned(), folded: group_name_key(id) }
    }

    /// The selector as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form under which it is compared: as [`group_name_key`] has names.
    pub(crate) fn key(&self) -> &str {
        &self.folded
    }

    /// Whether it is a pattern, which may name several groups.
    pub fn is_pattern(&self) -> bool {
        self.folded.contains('*')
    }

    /// Whether it names this group.
    pub fn selects(&self, id: &DirectoryGroupId, name: &str) -> bool {
        if id.as_str().eq_ignore_ascii_case(&self.text) {
            return true;
        }
        self.selects_name(&group_name_key(name))
    }

    /// Whether it names groups of this name, which is folded already.
    pub(crate) fn selects_name(&self, key: &str) -> bool {
        if self.is_pattern() { matches(&self.folded, key) } else { key == self.folded }
    }
}

/// Glob with `*` only, linear: greedy with one point of return.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Which people take part, before guests and filter are looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserScope {
    /// Members, direct or nested, of the groups in scope.
    InGroups,
    /// People to whom this enterprise application is assigned, by themselves or as direct members of an assigned
    /// group. Assignment is not transitive (microsoft-graph.md 4.4).
    Assigned(ApplicationId),
    /// Everybody in the directory.
    All,
}

/// Whether guests take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guests {
    /// As everybody else.
    #[default]
    Include,
    /// None.
    Exclude,
}

/// Which directory groups and users take part.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Scope {
    /// Groups that take part.
    pub groups: Vec<GroupSelector>,
    /// Groups that do not, although `groups` names them.
    pub exclude_groups: Vec<GroupSelector>,
    /// People.
    pub users: UserScope,
    /// Guests among them.
    pub guests: Guests,
    /// What must hold for a person.
    pub filter: Option<Expr>,
}

impl Scope {
    /// These groups and whoever is in them.
    pub fn in_groups(groups: Vec<GroupSelector>) -> Self {
        Self {
            groups,
            exclude_groups: Vec::new(),
            users: UserScope::InGroups,
            guests: Guests::default(),
            filter: None,
        }
    }

    /// Whether a group takes part.
    pub fn selects(&self, id: &DirectoryGroupId, name: &str) -> bool {
        self.groups.iter().any(|s| s.selects(id, name))
            && !self.exclude_groups.iter().any(|s| s.selects(id, name))
    }

    /// The selectors that name no listed group: most likely a typing error, so it is said.
    pub fn unmatched<'a>(&'a self, directory: &DirectorySnapshot) -> Vec<&'a GroupSelector> {
        self.groups
            .iter()
            .filter(|selector| !directory.groups().any(|g| selector.selects(&g.id, &g.display_name)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(selector: &str, name: &str) -> bool {
        let id = DirectoryGroupId::parse("2f0c6a7d-8d39-4b5e-9b0c-51f2e7aa9d03").unwrap();
        GroupSelector::parse(selector).unwrap().selects(&id, name)
    }

    #[test]
    fn groups_are_named_by_id_name_or_pattern_without_case() {
        assert!(selects("2F0C6A7D-8d39-4b5e-9b0c-51f2e7aa9d03", "whatever"));
        assert!(selects("jira users", " Jira Users "));
        assert!(!selects("jira", "Jira Users"));
        assert!(selects("Jira *", "jira users"));
        assert!(!selects("Jira *", "jira"));
        assert!(selects("*", ""));
        assert!(selects("*ab*b", "xxababb"));
        assert!(!selects("a*b*c", "acb"));
        // A pattern is a pattern, not a regular expression
        assert!(!selects("Jira.*", "Jira users"));
    }

    #[test]
    fn a_selector_says_something() {
        assert_eq!(GroupSelector::parse("  "), Err(InvalidSelector::Empty));
        assert_eq!(GroupSelector::parse("a\nb"), Err(InvalidSelector::ControlCharacter));
    }
}
