//! What Jira and Atlassian learn of people.

use super::{Field, Kind, Topic, field};
use crate::rulebook;

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

const FIELDS: [Field; 26] = {
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

pub(super) const ATTRIBUTES: Topic = Topic {
    word: "attributes",
    title: "Attributes",
    heading: "What Jira and Atlassian learn of people",
    trial: Some(rulebook::Topic::Attributes),
    fields: &FIELDS,
};
