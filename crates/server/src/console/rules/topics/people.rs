//! Who takes part, what may be done for them, and whose seats go first.

use super::{Kind, Topic, field};
use crate::rulebook;

pub(super) const SCOPE: Topic = Topic {
    word: "scope",
    title: "Scope",
    heading: "Who takes part",
    trial: Some(rulebook::Topic::Scope),
    fields: &[
        field(
            "scope.groups",
            "Groups",
            Kind::Groups,
            ("one per line", "none"),
            "An exact name, an id, or a pattern with *. Whoever is in one of them, directly or through other groups, takes part; each group is read in a full run.",
        ),
        field(
            "scope.exclude_groups",
            "Groups left out",
            Kind::Groups,
            ("one per line", "none"),
            "These take no part although a line above names them.",
        ),
        field(
            "scope.users",
            "People",
            Kind::Choice(&[
                ("in_groups", "In these groups"),
                ("assigned", "Assigned to the application"),
                ("all", "Everybody"),
            ]),
            ("", "in_groups"),
            "Assigned reads the assignments of an enterprise application: one more request per run, and the permission Application.Read.All.",
        ),
        field(
            "scope.assigned_to",
            "Enterprise application",
            Kind::Code,
            ("application (client) id", "none"),
            "Only for people who are assigned to it.",
        ),
        field(
            "scope.guests",
            "Guests",
            Kind::Choice(&[("include", "Take part"), ("exclude", "Take no part")]),
            ("", "include"),
            "Guests are matched by their real address. Leaving them out takes those who are in out of their groups, after approval.",
        ),
        field(
            "scope.filter",
            "Only people for whom this is true",
            Kind::Code,
            ("expression (CEL)", "everybody"),
            "Such as user.department == \"Sales\" && !(\"Contractors\" in groups). Of whom it cannot be said, nothing is changed.",
        ),
    ],
};

pub(super) const OPERATIONS: Topic = Topic {
    word: "operations",
    title: "Operations",
    heading: "What may be done in Jira",
    trial: None,
    fields: &[
        field(
            "operations.import_users",
            "Invite people who have no account",
            Kind::Flag,
            ("", "true"),
            "Each invitation is one mail from Atlassian. Without it, such people are reported.",
        ),
        field(
            "operations.import_groups",
            "Create groups that Jira does not have",
            Kind::Flag,
            ("", "true"),
            "Without it, such groups are reported and nobody is put into them.",
        ),
        field(
            "operations.sync_memberships",
            "Put people into groups and take them out",
            Kind::Flag,
            ("", "true"),
            "One request per membership. Without it, memberships stay as they are.",
        ),
        field(
            "operations.products",
            "Products that an invitation grants",
            Kind::Lines,
            ("one per line", "none"),
            "Such as jira-software. Each invitation then takes a seat at once; without it, access comes from groups.",
        ),
    ],
};

pub(super) const SEATS: Topic = Topic {
    word: "seats",
    title: "Seats",
    heading: "Seats, and who goes first",
    trial: Some(rulebook::Topic::Seats),
    fields: &[
        field(
            "seats.products",
            "Limits by product",
            Kind::Seats,
            ("product = budget, reserve; - for none", "all that there are"),
            "Such as jira-software = 180, 5: at most 180 taken, and 5 stay free. No step takes a seat beyond it, whoever approves.",
        ),
        field(
            "seats.first",
            "Who goes first when seats run out",
            Kind::Lines,
            ("expressions, one per line", "the longest wait"),
            "Whoever meets the first line goes before all others, then the second, and so on.",
        ),
    ],
};
