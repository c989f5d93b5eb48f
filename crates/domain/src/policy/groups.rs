//! What the rules say of single directory groups, beside what they say of all.

use std::collections::BTreeMap;

use super::scope::GroupSelector;
use crate::model::{DirectoryGroupId, group_name_key};

/// Settings of single directory groups: by id, by exact name, or by pattern. An id goes before a name, a name before a
/// pattern, and of several patterns the longest decides.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PerGroup<T> {
    exact: BTreeMap<String, T>,
    /// The longest first.
    patterns: Vec<(GroupSelector, T)>,
}

impl<T> Default for PerGroup<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), patterns: Vec::new() }
    }
}

impl<T: Copy> FromIterator<(GroupSelector, T)> for PerGroup<T> {
    fn from_iter<I: IntoIterator<Item = (GroupSelector, T)>>(settings: I) -> Self {
        let mut per_group = Self::default();
        for (selector, setting) in settings {
            if selector.is_pattern() {
                per_group.patterns.push((selector, setting));
            } else {
                per_group.exact.insert(selector.key().to_owned(), setting);
            }
        }
        let length = |selector: &GroupSelector| selector.key().chars().filter(|c| *c != '*').count();
        per_group
            .patterns
            .sort_by(|(a, _), (b, _)| length(b).cmp(&length(a)).then_with(|| a.key().cmp(b.key())));
        per_group
    }
}

impl<T: Copy> PerGroup<T> {
    /// The setting of a group that only has a name.
    pub fn named(&self, name: &str) -> Option<T> {
        let key = group_name_key(name);
        self.exact
            .get(&key)
            .or_else(|| self.patterns.iter().find(|(s, _)| s.selects_name(&key)).map(|(_, setting)| setting))
            .copied()
    }

    /// The setting of a group, if it has one of its own.
    pub fn of(&self, id: &DirectoryGroupId, name: &str) -> Option<T> {
        if self.exact.is_empty() && self.patterns.is_empty() {
            return None;
        }
        self.exact
            .get(&group_name_key(id.as_str()))
            .or_else(|| self.exact.get(&group_name_key(name)))
            .or_else(|| self.patterns.iter().find(|(s, _)| s.selects(id, name)).map(|(_, setting)| setting))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_before_a_name_and_a_name_before_the_longest_pattern() {
        let selector = |text: &str| GroupSelector::parse(text).unwrap();
        let id = |text: &str| DirectoryGroupId::parse(text).unwrap();
        let settings: PerGroup<u8> = [
            (selector("*"), 1),
            (selector("Jira *"), 2),
            (selector("jira leads"), 3),
            (selector("ABC-1"), 4),
            (selector("Jira l*"), 5),
        ]
        .into_iter()
        .collect();
        assert_eq!(settings.of(&id("x"), "Payroll"), Some(1));
        assert_eq!(settings.of(&id("x"), "Jira Users"), Some(2));
        assert_eq!(settings.of(&id("x"), " Jira Leads"), Some(3));
        assert_eq!(settings.of(&id("abc-1"), "Jira Leads"), Some(4));
        assert_eq!(settings.of(&id("x"), "Jira labs"), Some(5));
        assert_eq!(PerGroup::<u8>::default().of(&id("x"), "Jira Users"), None);
    }
}
