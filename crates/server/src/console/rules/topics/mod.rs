//! The forms of the rules: which keys of the document each one has, how they are asked for, what they do and what they
//! cost.

mod attributes;
mod groups;
mod leavers;
mod limits;
mod people;
mod times;

use crate::rulebook;

/// How a field is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An expression, a template, a time.
    Code,
    Number,
    /// True or false.
    Flag,
    /// One of these words, with what they mean.
    Choice(&'static [(&'static str, &'static str)]),
    /// One text per line.
    Lines,
    /// Directory groups, one per line, with a search beside them.
    Groups,
    /// `name = value`, one per line.
    Pairs,
    /// The same, where a name may have several values.
    Names,
    /// `kind = percent, number`.
    Limits,
    /// `product = budget, reserve`.
    Seats,
    /// `field = expression`.
    Mapped,
    /// `pattern -> text`, one per line.
    Rewritings,
    /// A part of where an attribute comes from.
    Part(&'static str),
}

impl Kind {
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Pairs | Self::Names | Self::Limits | Self::Seats | Self::Mapped)
    }

    pub(super) fn is_one_line(self) -> bool {
        !(self.is_table() || matches!(self, Self::Lines | Self::Groups | Self::Rewritings))
    }

    pub(super) fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Choice(options) => options,
            Self::Flag => &[("true", "Yes"), ("false", "No")],
            Self::Part("when") => {
                &[("always", "Whenever it changes in Entra"), ("create", "Once, with the first value")]
            }
            _ => &[],
        }
    }
}

/// One field of a form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Its name in the form.
    pub(super) name: &'static str,
    /// The dotted key of the document.
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    /// What it does and what it costs.
    pub(super) help: &'static str,
    pub(super) unit: &'static str,
    /// What holds where the document says nothing.
    pub(super) default: &'static str,
    pub(super) kind: Kind,
}

impl Field {
    /// What the form holds where the document says nothing.
    pub(super) fn normal(&self) -> &'static str {
        if self.kind.options().is_empty() { "" } else { self.default }
    }
}

/// A form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topic {
    /// The last part of its address.
    pub(super) word: &'static str,
    pub(super) title: &'static str,
    pub(super) heading: &'static str,
    /// What can be tried on people or groups.
    pub(super) trial: Option<rulebook::Topic>,
    pub(super) fields: &'static [Field],
}

const fn field(
    key: &'static str,
    label: &'static str,
    kind: Kind,
    (unit, default): (&'static str, &'static str),
    help: &'static str,
) -> Field {
    Field { name: key, key, label, help, unit, default, kind }
}

impl Topic {
    /// Whether there are groups to be picked.
    pub(super) fn picks(&self) -> bool {
        self.fields.iter().any(|field| field.kind == Kind::Groups)
    }
}

/// All forms, in the order of their tabs.
pub(super) static TOPICS: &[Topic] = &ALL;

const ALL: [Topic; 10] = [
    people::SCOPE,
    people::OPERATIONS,
    groups::GROUPS,
    attributes::ATTRIBUTES,
    leavers::LEAVERS,
    limits::LIMITS,
    limits::PROTECTED,
    people::SEATS,
    times::SCHEDULE,
    times::ALERTS,
];

/// The form of this name.
pub(super) fn topic(word: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.word == word)
}

/// What every form sends beside its fields.
const EVERY: [&str; 6] = ["base", "do", "find", "who", "pick[]", "leave[]"];

const COUNT: usize = {
    let (mut count, mut topic) = (EVERY.len(), 0);
    while topic < ALL.len() {
        count += ALL[topic].fields.len();
        topic += 1;
    }
    count
};

/// What the forms send: all their fields, and what every form has.
pub(crate) const TAKES: [&str; COUNT] = {
    let mut all = [""; COUNT];
    let every = EVERY;
    let mut at = 0;
    while at < every.len() {
        all[at] = every[at];
        at += 1;
    }
    let mut topic = 0;
    while topic < ALL.len() {
        let fields = ALL[topic].fields;
        let mut one = 0;
        while one < fields.len() {
            all[at] = fields[one].name;
            at += 1;
            one += 1;
        }
        topic += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_has_a_name_of_its_own_a_sentence_and_a_default() {
        let names: BTreeSet<&str> = TAKES.into_iter().collect();
        assert_eq!(names.len(), TAKES.len());
        for field in TOPICS.iter().flat_map(|topic| topic.fields) {
            assert!(field.help.ends_with('.') && !field.label.is_empty(), "{}", field.name);
            assert!(!field.default.is_empty(), "{}", field.name);
            let options = field.kind.options();
            assert!(
                options.is_empty() || options.iter().any(|(word, _)| *word == field.default),
                "{}",
                field.name
            );
        }
    }
}
