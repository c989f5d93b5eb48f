//! The forms of the rules: which keys of the document each one has, how they are asked for, what they do and what they
//! cost.

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

macro_rules! mapped {
    ($key:literal, $label:literal, $help:literal) => {
        [
            Field {
                name: concat!("attributes.profile.", $key),
                key: concat!("attributes.profile.", $key),
                label: $label,
                help: $help,
                unit: "",
                default: "not written",
                kind: Kind::Part("from"),
            },
            Field {
                name: concat!("attributes.profile.", $key, ".default"),
                key: concat!("attributes.profile.", $key),
                label: concat!($label, ": in place of nothing"),
                help: "Stands in for a value that is missing, blank or cannot be computed.",
                unit: "",
                default: "the field is left as it is",
                kind: Kind::Part("default"),
            },
            Field {
                name: concat!("attributes.profile.", $key, ".when"),
                key: concat!("attributes.profile.", $key),
                label: concat!($label, ": when it is written"),
                help: "Each change in Entra costs one request; once leaves later changes alone.",
                unit: "",
                default: "always",
                kind: Kind::Part("when"),
            },
        ]
    };
}

const PROFILE: [[Field; 3]; 8] = [
    mapped!(
        "name",
        "Full name",
        "An expression, such as user.displayName; at most 100 characters reach Atlassian."
    ),
    mapped!("nickname", "Public name", "At most 30 characters; longer ones are told and not written."),
    mapped!("job_title", "Job title", "Such as user.jobTitle."),
    mapped!("department", "Department", "Such as user.department."),
    mapped!("organization", "Company", "Such as user.companyName."),
    mapped!("location", "Location", "Such as user.city + \", \" + user.country."),
    mapped!("time_zone", "Time zone", "An IANA name, such as \"Europe/Berlin\"."),
    mapped!("locale", "Language", "Such as user.preferredLanguage."),
];

const ATTRIBUTES: [Field; 26] = {
    let mut all = [field(
        "attributes.property.key",
        "Key of the Jira user property",
        Kind::Code,
        ("", "entrain"),
        "Automation and apps read it by this key; another key leaves the old property where it is.",
    ); 26];
    let mut at = 0;
    while at < 24 {
        all[at] = PROFILE[at / 3][at % 3];
        at += 1;
    }
    all[24] = field(
        "attributes.property.fields",
        "Fields of the Jira user property",
        Kind::Mapped,
        ("name = expression, one per line", "no property"),
        "One JSON object per account, also of accounts that nobody manages; a change costs one request per person.",
    );
    all
};

const RUNGS: &str = "7d, 36h; 0s is at once";

impl Topic {
    /// Whether there are groups to be picked.
    pub(super) fn picks(&self) -> bool {
        self.fields.iter().any(|field| field.kind == Kind::Groups)
    }
}

/// All forms, in the order of their tabs.
pub(super) static TOPICS: &[Topic] = &ALL;

const ALL: [Topic; 9] = [
    Topic {
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
    },
    Topic {
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
    },
    Topic {
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
    },
    Topic {
        word: "attributes",
        title: "Attributes",
        heading: "What Jira and Atlassian learn of people",
        trial: Some(rulebook::Topic::Attributes),
        fields: &ATTRIBUTES,
    },
    Topic {
        word: "leavers",
        title: "Leavers",
        heading: "What becomes of people who have left",
        trial: None,
        fields: &[
            field(
                "leavers.suspend_after",
                "Suspend access after",
                Kind::Code,
                (RUNGS, "never"),
                "For people disabled or deleted in Entra. Needs an organization key; the seat is free from then on.",
            ),
            field(
                "leavers.deactivate_after",
                "Deactivate managed accounts after",
                Kind::Code,
                (RUNGS, "never"),
                "Needs an organization key and a verified domain; the account is closed for all Atlassian products.",
            ),
            field(
                "leavers.remove_after",
                "Take people off the site after",
                Kind::Code,
                (RUNGS, "never"),
                "Only a new invitation brings them back.",
            ),
            field(
                "leavers.accounts",
                "On whose accounts",
                Kind::Choice(&[
                    ("invited", "Those that Entrain invited"),
                    ("linked", "Every linked account"),
                ]),
                ("", "invited"),
                "Accounts that were there before are somebody else's, unless you say so.",
            ),
            field(
                "leavers.disabled.suspend_after",
                "Disabled: suspend access after",
                Kind::Code,
                ("or never", "as above"),
                "Another time for people who are disabled in Entra.",
            ),
            field(
                "leavers.disabled.deactivate_after",
                "Disabled: deactivate after",
                Kind::Code,
                ("or never", "as above"),
                "Another time for people who are disabled in Entra.",
            ),
            field(
                "leavers.disabled.remove_after",
                "Disabled: take off the site after",
                Kind::Code,
                ("or never", "as above"),
                "Another time for people who are disabled in Entra.",
            ),
            field(
                "leavers.deleted.suspend_after",
                "Deleted: suspend access after",
                Kind::Code,
                ("or never", "as above"),
                "Another time for people who are deleted in Entra.",
            ),
            field(
                "leavers.deleted.deactivate_after",
                "Deleted: deactivate after",
                Kind::Code,
                ("or never", "as above"),
                "Another time for people who are deleted in Entra.",
            ),
            field(
                "leavers.deleted.remove_after",
                "Deleted: take off the site after",
                Kind::Code,
                ("or never", "as above"),
                "Another time for people who are deleted in Entra.",
            ),
            field(
                "leavers.out_of_scope.suspend_after",
                "Out of scope: suspend access after",
                Kind::Code,
                (RUNGS, "never"),
                "For people who are enabled in Entra and take no part any more. They lose their groups in any case.",
            ),
            field(
                "leavers.out_of_scope.deactivate_after",
                "Out of scope: deactivate after",
                Kind::Code,
                (RUNGS, "never"),
                "The times for disabled and deleted people are not for them.",
            ),
            field(
                "leavers.out_of_scope.remove_after",
                "Out of scope: take off the site after",
                Kind::Code,
                (RUNGS, "never"),
                "Only a new invitation brings them back.",
            ),
        ],
    },
    Topic {
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
    },
    Topic {
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
    },
    Topic {
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
    },
    Topic {
        word: "schedule",
        title: "Schedule",
        heading: "When it runs by itself",
        trial: None,
        fields: &[
            field(
                "schedule.every",
                "Time between runs",
                Kind::Code,
                ("such as 15m; at least 1m", "15m"),
                "A run that finds nothing changed makes two requests. Instead of the next.",
            ),
            field(
                "schedule.cron",
                "At these times",
                Kind::Code,
                ("cron: minute hour day month weekday", "none"),
                "Such as 0 6 * * mon-fri. Instead of the time between runs.",
            ),
            field(
                "schedule.time_zone",
                "Time zone",
                Kind::Code,
                ("IANA name", "UTC"),
                "For the times above and the quiet times below.",
            ),
            field(
                "schedule.full_every",
                "Time between full reads",
                Kind::Code,
                ("such as 24h", "24h"),
                "A full read finds what people changed by hand in Jira; it reads every group of both sides.",
            ),
            field(
                "schedule.jitter",
                "Put off by at most",
                Kind::Code,
                ("such as 5m", "nothing"),
                "Keeps several connections from starting in the same second.",
            ),
            field(
                "schedule.blackout",
                "Quiet times",
                Kind::Lines,
                ("such as 22:00-06:00, one per line", "none"),
                "No run begins then; what falls into them begins at their end.",
            ),
            field(
                "notifications.enabled",
                "Runs within seconds of a change",
                Kind::Flag,
                ("", "false"),
                "Needs a public address and the permission Group.Read.All; the schedule goes on beside it.",
            ),
        ],
    },
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
