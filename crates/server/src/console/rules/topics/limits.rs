//! What holds a plan, and what is never touched.

use super::{Kind, Topic, field};

pub(super) const LIMITS: Topic = Topic {
    word: "limits",
    title: "Limits",
    heading: "What holds a plan for a person",
    trial: None,
    fields: &[
        field(
            "limits.removals_percent",
            "Removals, share",
            Kind::Number,
            ("percent", "20"),
            "Of all memberships, or of one group's. A plan is held when more than this share and more than the number below are affected.",
        ),
        field(
            "limits.removals_number",
            "Removals, number",
            Kind::Number,
            ("objects", "10"),
            "A small number holds more plans, and each waits for a person.",
        ),
        field(
            "limits.additions_percent",
            "Additions, share",
            Kind::Number,
            ("percent", "50"),
            "Comes to bear after the first run that ended in step.",
        ),
        field(
            "limits.additions_number",
            "Additions, number",
            Kind::Number,
            ("objects", "100"),
            "Seats and invitation mails are behind additions: this is the limit of what a slip can cost.",
        ),
        field(
            "limits.kinds",
            "Limits of single kinds of step",
            Kind::Limits,
            ("kind = percent, number; one per line", "none"),
            "Such as suspend_user = 5, 2. It stands in place of the two above.",
        ),
        field(
            "limits.two_people",
            "Two people have to approve",
            Kind::Flag,
            ("", "false"),
            "What a limit holds then waits for two different people.",
        ),
    ],
};

pub(super) const PROTECTED: Topic = Topic {
    word: "protected",
    title: "Protected",
    heading: "What is never touched",
    trial: None,
    fields: &[
        field(
            "protected.accounts",
            "Accounts",
            Kind::Lines,
            ("account id or e-mail address, one per line", "none"),
            "Neither their groups nor their accounts are changed. The technical account is protected without this.",
        ),
        field(
            "protected.groups",
            "Jira groups",
            Kind::Lines,
            ("id or name, one per line", "none"),
            "Nobody is put in or taken out. The administrators' groups are protected without this.",
        ),
    ],
};
