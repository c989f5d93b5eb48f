//! Ids as newtypes: mixing a directory id with a site id does not compile. All of them are opaque strings to
//! Entrain; their shape is the clouds' own affair and is never parsed.

use std::fmt;
use std::sync::Arc;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing was given.
    #[error("an id is empty")]
    Empty,
    /// Longer than any id of either cloud (`accountId` is the longest, at 128 characters).
    #[error("an id is longer than 256 characters")]
    TooLong,
    /// A control character, a blank, or the sign for an unreadable one; no id of either cloud contains them.
    #[error("an id contains a blank, a control character or an unreadable one")]
    ForbiddenCharacter,
}

fn parse(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > 256 {
        return Err(InvalidId::TooLong);
    }
    // What stands for characters that could not be read would make one id of two
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER) {
        return Err(InvalidId::ForbiddenCharacter);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses an id as a cloud or the database gave it.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                parse(text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

id!(
    /// Client id (`appId`) of an enterprise application in the directory.
    ApplicationId
);
id!(
    /// Object id of a user in Entra ID: immutable, equal to `oid` in tokens.
    DirectoryUserId
);
id!(
    /// Object id of a group in Entra ID.
    DirectoryGroupId
);
id!(
    /// Atlassian `accountId`: one per person, the same on all sites.
    AccountId
);
id!(
    /// Jira `groupId`: stable through renames, unlike the group's name.
    SiteGroupId
);
id!(
    /// One execution of a connection.
    RunId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_06_an_id_that_could_not_be_read_is_no_id() {
        for text in ["", " ", "a b", "a\n", "\u{fffd}", "a\u{fffd}"] {
            assert!(DirectoryUserId::parse(text).is_err(), "{text:?}");
        }
        assert!(AccountId::parse("712020:e2565a4c-50ab").is_ok());
    }
}
