//! Which attributes of the directory go where: into the profile of managed accounts, and as one JSON object into a
//! property of the account on the site.
//!
//! Values are computed anew from the directory and compared with what was last applied; nothing is read from the site
//! to find out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::expr::{Expr, Facts};
use crate::model::{AttributeValue, DirectoryUser, Profile, ProfileField};

/// Values of a property by field.
pub type PropertyValues = BTreeMap<Arc<str>, AttributeValue>;

/// When a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Whenever its value changes.
    Always,
    /// Once, with the first values that are written for the account; it keeps that value from then on.
    Create,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An expression over the user; it looks at no groups.
    From(Expr),
    /// The same for everybody.
    Constant(AttributeValue),
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldRule {
    /// Where the value comes from.
    pub source: Source,
    /// What stands in for a value that is missing, blank or cannot be computed.
    pub default: Option<AttributeValue>,
    /// When it is written.
    pub when: When,
}

/// A property of the account on the site.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PropertyRule {
    /// Its key, at most 255 characters.
    pub key: String,
    /// Fields of the JSON object.
    pub fields: BTreeMap<String, FieldRule>,
}

/// Everything that is mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct AttributeRules {
    /// Fields of the profile, for managed accounts.
    pub profile: BTreeMap<ProfileField, FieldRule>,
    /// The property, for all accounts.
    pub property: Option<PropertyRule>,
}

/// What came of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// What the source gave; `None` when it gave nothing.
    pub source: Option<AttributeValue>,
    /// What is written; `None` when the field is left out.
    pub value: Option<AttributeValue>,
    /// Why there is nothing, or why it cannot be written.
    pub problem: Option<String>,
}

impl FieldRule {
    /// The value for a user, before it is fitted to where it goes.
    pub fn compute(&self, user: &DirectoryUser) -> Computed {
        let (source, problem) = match &self.source {
            Source::Constant(value) => (Some(value.clone()), None),
            Source::From(expression) => match expression.text(&Facts { user, groups: &[] }) {
                Ok(text) => {
                    let text = text.filter(|text| !text.trim().is_empty());
                    (text.map(|text| AttributeValue::Text(text.into())), None)
                }
                Err(error) => (None, Some(format!("{}: {error}; {}", expression.as_str(), error.remedy))),
            },
        };
        let value = source.clone().or_else(|| self.default.clone());
        let problem = problem.filter(|_| value.is_none());
        Computed { source, value, problem }
    }
}

/// A value as the text of a profile field: blanks around it dropped, several joined by commas.
fn as_text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Flag(flag) => flag.to_string(),
        AttributeValue::Text(text) => text.trim().to_owned(),
        AttributeValue::List(list) => list.join(", "),
    }
}

/// Why a text is no value of a profile field.
fn unfit(field: ProfileField, text: &str) -> Option<String> {
    let name = field.as_str();
    if text.chars().any(char::is_control) {
        return Some(format!("{name} holds control characters"));
    }
    let most = field.most()?;
    (text.chars().count() > most).then(|| format!("{name} is longer than {most} characters"))
}

impl AttributeRules {
    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.profile.is_empty() && self.property.is_none()
    }

    /// The properties of users that have to be read for the expressions, as Graph calls them.
    pub fn names(&self) -> BTreeSet<String> {
        let property = self.property.iter().flat_map(|property| property.fields.values());
        let rules = self.profile.values().chain(property);
        rules
            .filter_map(|rule| match &rule.source {
                Source::From(expression) => Some(expression.attributes()),
                Source::Constant(_) => None,
            })
            .flatten()
            .collect()
    }

    /// What came of one field of the profile.
    pub fn profile_field(&self, field: ProfileField, user: &DirectoryUser) -> Option<Computed> {
        let mut computed = self.profile.get(&field)?.compute(user);
        computed.problem = computed.problem.map(|problem| format!("{}: {problem}", field.as_str()));
        if let Some(value) = &computed.value {
            let text = as_text(value);
            computed.problem = unfit(field, &text);
            let fits = computed.problem.is_none() && !text.is_empty();
            computed.value = fits.then(|| AttributeValue::Text(text.into()));
        }
        Some(computed)
    }

    /// The profile that a user should have, and what cannot be written. Fields without a value are left as they are.
    /// `applied` is what was written last.
    pub fn profile(&self, user: &DirectoryUser, applied: Option<&Profile>) -> (Profile, Vec<String>) {
        let (mut profile, mut problems) = (Profile::new(), Vec::new());
        for (field, rule) in &self.profile {
            if let (When::Create, Some(applied)) = (rule.when, applied) {
                profile.extend(applied.get(field).map(|value| (*field, value.clone())));
                continue;
            }
            let Some(computed) = self.profile_field(*field, user) else { continue };
            problems.extend(computed.problem);
            if let Some(AttributeValue::Text(text)) = computed.value {
                profile.insert(*field, text);
            }
        }
        (profile, problems)
    }

    /// The property that a user should have, and what cannot be computed. Fields without a value are left out; one that
    /// cannot be computed for this person stays as it was written.
    pub fn property(
        &self,
        user: &DirectoryUser,
        applied: Option<&PropertyValues>,
    ) -> Option<(PropertyValues, Vec<String>)> {
        let rule = self.property.as_ref()?;
        let (mut values, mut problems) = (PropertyValues::new(), Vec::new());
        for (name, field) in &rule.fields {
            let written = || applied.and_then(|applied| applied.get(name.as_str())).cloned();
            let value = if field.when == When::Create && applied.is_some() {
                written()
            } else {
                let computed = field.compute(user);
                let failed = computed.problem.is_some();
                problems.extend(computed.problem.map(|problem| format!("{name}: {problem}")));
                computed.value.or_else(|| if failed { written() } else { None })
            };
            values.extend(value.map(|value| (Arc::from(name.as_str()), value)));
        }
        Some((values, problems))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountState, Attributes, DirectoryUserId, UserKind};

    fn user(attributes: &[(&str, AttributeValue)]) -> DirectoryUser {
        DirectoryUser {
            id: DirectoryUserId::parse("u-1").unwrap(),
            display_name: Some("  Dana Okafor ".into()),
            mail: None,
            user_principal_name: None,
            other_mail: None,
            account: AccountState::Enabled,
            kind: UserKind::Member,
            attributes: attributes.iter().map(|(n, v)| (Arc::from(*n), v.clone())).collect::<Attributes>(),
        }
    }
    fn text(value: &str) -> AttributeValue {
        AttributeValue::Text(value.into())
    }
    fn from(name: &str) -> FieldRule {
        let source = Source::From(Expr::compile(name).unwrap());
        FieldRule { source, default: None, when: When::Always }
    }

    #[test]
    fn a_profile_takes_trimmed_texts_and_leaves_out_what_is_not_there() {
        let rules = AttributeRules {
            profile: BTreeMap::from([
                (ProfileField::Name, from("user.displayName")),
                (ProfileField::JobTitle, from("user.jobTitle")),
                (ProfileField::Department, FieldRule { default: Some(text("–")), ..from("user.department") }),
                (ProfileField::Location, from("user.otherMails.join(\", \")")),
            ]),
            property: None,
        };
        let list = AttributeValue::List(vec!["a".into(), "b".into()]);
        let (profile, problems) =
            rules.profile(&user(&[("otherMails", list), ("department", text(" "))]), None);
        let expected = [
            (ProfileField::Name, "Dana Okafor"),
            (ProfileField::Department, "–"),
            (ProfileField::Location, "a, b"),
        ];
        assert_eq!(profile, expected.map(|(f, v)| (f, Arc::from(v))).into());
        assert!(problems.is_empty());
        assert_eq!(rules.names(), ["department", "jobTitle", "otherMails"].map(String::from).into());
    }

    #[test]
    fn a_value_that_does_not_fit_is_said_and_not_written() {
        let rules = AttributeRules {
            profile: BTreeMap::from([(ProfileField::Nickname, from("user.jobTitle"))]),
            property: None,
        };
        let (profile, problems) = rules.profile(&user(&[("jobTitle", text(&"x".repeat(31)))]), None);
        assert!(profile.is_empty());
        assert_eq!(problems, ["nickname is longer than 30 characters"]);
        let (profile, problems) = rules.profile(&user(&[("jobTitle", text("a\nb"))]), None);
        assert!(profile.is_empty() && problems[0].contains("control"));
    }

    #[test]
    fn a_property_keeps_kinds_and_what_is_written_once() {
        let once = FieldRule { when: When::Create, ..from("user.department") };
        let constant =
            FieldRule { source: Source::Constant(text("Entra ID")), default: None, when: When::Always };
        let fields =
            [("first", once), ("source", constant), ("flag", from("user.department.startsWith(\"A\")"))];
        let rules = AttributeRules {
            profile: BTreeMap::new(),
            property: Some(PropertyRule {
                key: "entrain".into(),
                fields: fields.map(|(n, f)| (n.to_owned(), f)).into(),
            }),
        };
        let first = rules.property(&user(&[("department", text("A"))]), None).unwrap().0;
        assert_eq!(first.len(), 3);
        assert_eq!(first["flag"], text("true"));
        let (second, problems) = rules.property(&user(&[("department", text("B"))]), Some(&first)).unwrap();
        assert_eq!((&second["first"], &second["flag"]), (&text("A"), &text("false")), "written once");
        assert!(problems.is_empty());
        // What cannot be computed for somebody is said, and stays as it was
        let (third, problems) = rules.property(&user(&[]), Some(&second)).unwrap();
        assert_eq!(third["flag"], text("false"));
        assert!(
            problems[0].starts_with("flag: ") && problems[0].contains("not set for this person"),
            "{problems:?}"
        );
    }
}
