//! Further attributes of a directory user: only those that a rule asks for are read, stored and shown.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// What a rule may ask for beyond what every user is read with, by the names in Graph. The fifteen extension
/// attributes of an on-premises directory come with one property and are kept as fifteen attributes.
pub const FURTHER_PROPERTIES: [&str; 28] = [
    "businessPhones",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "department",
    "employeeHireDate",
    "employeeId",
    "employeeType",
    "givenName",
    "jobTitle",
    "mailNickname",
    "mobilePhone",
    "officeLocation",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesSamAccountName",
    "onPremisesUserPrincipalName",
    "otherMails",
    "postalCode",
    "preferredLanguage",
    "proxyAddresses",
    "showInAddressList",
    "state",
    "streetAddress",
    "surname",
    "usageLocation",
];

/// The names under which attributes are kept, each made once: a tenant of 100,000 people shares them.
static NAMES: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| {
    let extensions = (1..=15).map(|n| Arc::from(format!("extensionAttribute{n}")));
    let mut names: Vec<Arc<str>> = FURTHER_PROPERTIES
        .into_iter()
        .filter(|name| *name != "onPremisesExtensionAttributes")
        .map(Arc::from)
        .chain(extensions)
        .collect();
    names.sort_unstable();
    names
});

/// The name of a further attribute, shared; `None` when there is no such attribute.
pub fn further_attribute(name: &str) -> Option<&'static Arc<str>> {
    let names: &'static Vec<Arc<str>> = &NAMES;
    names.binary_search_by(|known| (**known).cmp(name)).ok().map(|at| &names[at])
}

/// The property of Graph that brings a further attribute.
pub fn property_of(attribute: &str) -> &str {
    if attribute.starts_with("extensionAttribute") { "onPremisesExtensionAttributes" } else { attribute }
}

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
pub struct Attributes(
    #[serde(deserialize_with = "shared_names")] Option<Arc<BTreeMap<Arc<str>, AttributeValue>>>,
);

type Named = BTreeMap<Arc<str>, AttributeValue>;

/// Reads attributes under shared names.
fn shared_names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<Named>>, D::Error> {
    let stored: Option<Named> = serde::Deserialize::deserialize(deserializer)?;
    let shared = |name: Arc<str>| further_attribute(&name).cloned().unwrap_or(name);
    Ok(stored.map(|all| Arc::new(all.into_iter().map(|(name, value)| (shared(name), value)).collect())))
}

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

    /// The same with some of them set or, where the value is `None`, cleared; the others stay as they are.
    #[must_use]
    pub fn with(self, changes: impl IntoIterator<Item = (Arc<str>, Option<AttributeValue>)>) -> Self {
        let mut changes = changes.into_iter().peekable();
        if changes.peek().is_none() {
            return self;
        }
        let mut all = self.0.map(Arc::unwrap_or_clone).unwrap_or_default();
        for (name, value) in changes {
            match value {
                Some(value) => all.insert(name, value),
                None => all.remove(&name),
            };
        }
        Self((!all.is_empty()).then(|| Arc::new(all)))
    }
}

impl FromIterator<(Arc<str>, AttributeValue)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, AttributeValue)>>(pairs: I) -> Self {
        let all: BTreeMap<_, _> = pairs.into_iter().collect();
        Self((!all.is_empty()).then(|| Arc::new(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_set_and_clear_and_leave_the_rest() {
        let text = |t: &str| AttributeValue::Text(Arc::from(t));
        let name = |n: &str| further_attribute(n).unwrap().clone();
        let before = Attributes::from_iter([(name("city"), text("Ulm")), (name("state"), text("BW"))]);
        let after = before.clone().with([(name("city"), None), (name("department"), Some(text("QA")))]);
        assert_eq!(after.iter().map(|(n, _)| n).collect::<Vec<_>>(), ["department", "state"]);
        assert_eq!(before.clone().with([]), before);
        assert!(after.with([(name("state"), None), (name("department"), None)]).is_empty());
    }

    #[test]
    fn stored_attributes_come_back_under_shared_names() {
        let text = r#"{"department":"QA","extensionAttribute3":"x","otherMails":["a@b.example"]}"#;
        let read: Attributes = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let (held, _) = read.0.as_ref().unwrap().get_key_value("department").unwrap();
        assert!(Arc::ptr_eq(held, further_attribute("department").unwrap()));
        assert_eq!(property_of("extensionAttribute3"), "onPremisesExtensionAttributes");
        assert_eq!(further_attribute("onPremisesExtensionAttributes"), None);
    }
}
