//! What is carried over of a person beside name and address.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which attributes of the directory go to the site.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AttributesSection {
    /// Fields of the Atlassian profile, for accounts that the organization manages; needs `[site.organization]`. A field
    /// is an expression such as `"user.jobTitle"`, or a table with `from` or `constant`, `default` and `when`. Fields
    /// without a value are left as they are.
    pub(crate) profile: ProfileSection,
    /// A Jira user property, which automation and apps can read, for all accounts.
    pub(crate) property: Option<PropertySection>,
}

/// Fields of the Atlassian profile.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProfileSection {
    /// Full name; at most 100 characters.
    pub(crate) name: Option<Field>,
    /// Public name; at most 30 characters.
    pub(crate) nickname: Option<Field>,
    /// IANA time zone, such as `Europe/Berlin`.
    pub(crate) time_zone: Option<Field>,
    /// Language, such as `de-DE`.
    pub(crate) locale: Option<Field>,
    /// Job title.
    pub(crate) job_title: Option<Field>,
    /// Department.
    pub(crate) department: Option<Field>,
    /// Company.
    pub(crate) organization: Option<Field>,
    /// Location.
    pub(crate) location: Option<Field>,
}

/// A Jira user property: one JSON object.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PropertySection {
    /// Key of the property.
    #[serde(default = "entrain")]
    #[schemars(length(min = 1, max = 255))]
    pub(crate) key: String,
    /// Fields of the object: name = an expression such as `"user.department"`, or a table with `from` or `constant`,
    /// `default` and `when`. Fields without a value are left out.
    pub(crate) fields: BTreeMap<String, Field>,
}

fn entrain() -> String {
    "entrain".into()
}

/// Where one field comes from: an expression, or a table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Field {
    /// An expression over the user.
    From(String),
    /// More than that.
    Table(FieldTable),
}

/// Where one field comes from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldTable {
    /// A CEL expression over the user that gives a text, such as `user.department` or
    /// `user.givenName + " " + user.surname`. Instead of `constant`.
    pub(crate) from: Option<String>,
    /// The same text for everybody. Instead of `from`.
    pub(crate) constant: Option<String>,
    /// Stands in for a value that is missing, blank or cannot be computed.
    pub(crate) default: Option<String>,
    /// When the field is written.
    #[serde(default)]
    pub(crate) when: WhenWritten,
}

/// When a field is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenWritten {
    /// Whenever its value changes in the directory.
    #[default]
    Always,
    /// Once, with the first values that are written for the account; later changes in the directory are left alone.
    Create,
}
