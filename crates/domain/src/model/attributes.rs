//! Further attributes of a directory user: only those that a rule asks for are read, stored and shown.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The value of an attribute, as Graph gives it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// True or false.
    Flag(bool),
    /// A text; numbers and instants come as their text.
    Text(Arc<str>),
    /// Several texts, as `otherMails`.
    List(Vec<Arc<str>>),
}

/// Attributes by name. Without any, it costs one pointer: a tenant of 100,000 people is held in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Attributes(Option<Arc<BTreeMap<Arc<str>, AttributeValue>>>);

impl Attributes {
    /// Without any.
    pub const NONE: Self = Self(None);

    /// The value of an attribute; `None` when it is not set, or was not asked for.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.as_ref()?.get(name)
    }

    /// All that are set, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.0.iter().flat_map(|all| all.iter()).map(|(name, value)| (&**name, value))
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl FromIterator<(Arc<str>, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, AttributeValue)>>(pairs: I) -> Self {
        let all: BTreeMap<_, _> = pairs.into_iter().collect();
        Self((!all.is_empty()).then(|| Arc::new(all)))
    }
}
