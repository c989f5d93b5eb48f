//! The profile of an account as the organization keeps it: which fields there are, and who may change them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::directory::Unread;

/// A field of a profile that can be set for managed accounts (atlassian-cloud.md 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileField {
    /// Full name, at most 100 characters.
    Name,
    /// Public name, at most 30 characters.
    Nickname,
    /// IANA time zone.
    TimeZone,
    /// BCP 47 language tag.
    Locale,
    /// Job title.
    JobTitle,
    /// Department.
    Department,
    /// Company.
    Organization,
    /// Location.
    Location,
}

impl ProfileField {
    /// All fields.
    pub const ALL: [Self; 8] = [
        Self::Name,
        Self::Nickname,
        Self::TimeZone,
        Self::Locale,
        Self::JobTitle,
        Self::Department,
        Self::Organization,
        Self::Location,
    ];

    /// The key of the document, stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Nickname => "nickname",
            Self::TimeZone => "time_zone",
            Self::Locale => "locale",
            Self::JobTitle => "job_title",
            Self::Department => "department",
            Self::Organization => "organization",
            Self::Location => "location",
        }
    }

    /// The field a key names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == word)
    }

    /// Most characters that Atlassian takes, where it says so.
    pub fn most(self) -> Option<usize> {
        match self {
            Self::Name => Some(100),
            Self::Nickname => Some(30),
            _ => None,
        }
    }
}

/// Values by field.
pub type Profile = BTreeMap<ProfileField, Arc<str>>;

/// Whether the profile of an account can be changed, as the organization sees the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileStanding {
    /// Managed by the organization, with what its profile shows now.
    Managed(Profile),
    /// Managed, but its profile comes from an identity provider.
    Synced,
    /// Not managed: its domain is not verified, or the account is not claimed.
    Unmanaged,
    /// It was not found out.
    Unread(Unread),
}
