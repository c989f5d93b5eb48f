//! How groups are named, bound and kept.

use super::{Kind, Topic, field};
use crate::rulebook;

pub(super) const GROUPS: Topic = Topic {
    word: "groups",
    title: "Groups",
    heading: "How groups are named, bound and kept",
    trial: Some(rulebook::Topic::Groups),
    fields: &[
        field(
            "groups.name",
            "Names in Jira",
            Kind::Code,
            ("template with {name}", "{name}"),
            "{name} is the name in Entra, after the rewritings. Groups that are linked already are renamed only where an organization key is there.",
        ),
        field(
            "groups.rename",
            "Rewritings",
            Kind::Rewritings,
            ("pattern -> text, one per line", "none"),
            "Regular expressions, applied in their order; $1 is what the first parenthesis found.",
        ),
        field(
            "groups.map",
            "Fixed bindings",
            Kind::Names,
            ("group in Entra = group in Jira, one per line", "none"),
            "They go before names and links. Repeat the group in Entra to bind it to several; a Jira group that several are bound to has the members of all.",
        ),
        field(
            "groups.existing",
            "A Jira group bears the name already",
            Kind::Choice(&[("ask", "Ask a person"), ("adopt", "Adopt it"), ("skip", "Leave it alone")]),
            ("", "ask"),
            "Adopting puts people in; who is in already stays.",
        ),
        field(
            "groups.mode",
            "What may be taken out of groups",
            Kind::Choice(&[
                ("managed", "What Entrain put in or found in both"),
                ("additive", "Nothing"),
                ("authoritative", "Whoever Entra does not have"),
            ]),
            ("", "managed"),
            "The last one takes out what people added by hand; the first such plan is held.",
        ),
        field(
            "groups.modes",
            "The same for single groups",
            Kind::Pairs,
            ("group in Entra = managed, additive or authoritative", "none"),
            "An id goes before a name, a name before a pattern with *.",
        ),
        field(
            "groups.nesting",
            "Members of nested groups",
            Kind::Choice(&[("flatten", "Belong to the group"), ("direct", "Do not")]),
            ("", "flatten"),
            "Jira has no nested groups: the members come, the groups between do not.",
        ),
        field(
            "groups.nestings",
            "The same for single groups",
            Kind::Pairs,
            ("group in Entra = flatten or direct", "none"),
            "Named as above.",
        ),
        field(
            "groups.default",
            "Groups of everybody who takes part",
            Kind::Lines,
            ("Jira groups, one per line", "none"),
            "Kept like any other group: whoever leaves is taken out. A group that gives access costs a seat per person.",
        ),
        field(
            "groups.default_new",
            "Groups of whoever is invited",
            Kind::Lines,
            ("Jira groups, one per line", "none"),
            "Given once with the invitation, and never taken back.",
        ),
    ],
};
