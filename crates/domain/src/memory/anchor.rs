//! What a site group stands for, for good: one directory group, or a name that the document gives.

use std::fmt;
use std::sync::Arc;

use crate::model::{DirectoryGroupId, InvalidId, group_name_key};

/// What a site group stands for. The link between the two survives whatever becomes of names on either side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anchor {
    /// A directory group, by its id.
    Directory(DirectoryGroupId),
    /// A site group's name as the document gives it, under `[groups] map`, `default` or `default_new`.
    Named(NamedGroup),
}

/// The name of a site group as the document gives it, in the form under which names are the same, behind a mark that no
/// id of the directory begins with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamedGroup(Arc<str>);

impl NamedGroup {
    /// The group of this name, however it is written.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(format!("{MARK}{}", group_name_key(name))))
    }
    /// The folded name.
    pub fn key(&self) -> &str {
        &self.0[MARK.len()..]
    }
}

const MARK: &str = "name:";

impl Anchor {
    /// The name that the document gives.
    pub fn named(name: &str) -> Self {
        Self::Named(NamedGroup::new(name))
    }

    /// The directory group, where it is one.
    pub fn directory(&self) -> Option<&DirectoryGroupId> {
        match self {
            Self::Directory(id) => Some(id),
            Self::Named(_) => None,
        }
    }

    /// The id, or the folded name behind its mark.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Directory(id) => id.as_str(),
            Self::Named(name) => &name.0,
        }
    }

    /// How names of steps write it: a name may hold the sign that separates their parts.
    pub fn in_steps(&self) -> std::borrow::Cow<'_, str> {
        match self.as_str() {
            text if text.contains('/') => text.replace('/', "%2F").into(),
            text => text.into(),
        }
    }

    /// Reads the text that `Display` writes.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match text.strip_prefix(MARK) {
            Some("") => Err(InvalidId::Empty),
            Some(_) => Ok(Self::Named(NamedGroup(Arc::from(text)))),
            None => DirectoryGroupId::parse(text).map(Self::Directory),
        }
    }
}

impl From<DirectoryGroupId> for Anchor {
    fn from(id: DirectoryGroupId) -> Self {
        Self::Directory(id)
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Anchor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Anchor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_it_was_written_and_names_are_folded() {
        let id = Anchor::Directory(DirectoryGroupId::parse("2f0c6a7d-8d39").unwrap());
        let name = Anchor::named(" Jira Everyone ");
        assert_eq!(name, Anchor::named("jira everyone"));
        for anchor in [&id, &name] {
            assert_eq!(Anchor::parse(&anchor.to_string()).as_ref(), Ok(anchor));
            let json = serde_json::to_string(anchor).unwrap();
            assert_eq!(serde_json::from_str::<Anchor>(&json).unwrap(), *anchor);
        }
        assert_eq!(name.to_string(), "name:jira everyone");
        assert_eq!(Anchor::named("a/b").in_steps(), "name:a%2Fb");
        assert!(Anchor::parse("name:").is_err() && Anchor::parse("").is_err());
    }
}
