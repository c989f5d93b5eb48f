//! Which attributes go where: fields of the profile and properties, as names or as expressions.

use std::collections::BTreeMap;

use entrain_domain::model::{AttributeValue, ProfileField};
use entrain_domain::policy::AttributeRules;
use entrain_domain::policy::attributes::{FieldRule, PropertyRule, Source, When};
use entrain_domain::policy::expr::Expr;

use super::sections::{Field, Sections, WhenWritten};
use super::values::Reader;

impl Reader<'_> {
    pub(super) fn attributes(&mut self, s: &Sections) -> AttributeRules {
        let profile = &s.attributes.profile;
        let fields = [
            (ProfileField::Name, &profile.name),
            (ProfileField::Nickname, &profile.nickname),
            (ProfileField::TimeZone, &profile.time_zone),
            (ProfileField::Locale, &profile.locale),
            (ProfileField::JobTitle, &profile.job_title),
            (ProfileField::Department, &profile.department),
            (ProfileField::Organization, &profile.organization),
            (ProfileField::Location, &profile.location),
        ];
        let mut rules = AttributeRules::default();
        for (field, written) in fields {
            let Some(written) = written else { continue };
            let key = format!("attributes.profile.{}", field.as_str());
            if s.site.organization.is_none() {
                self.found(
                    &key,
                    "needs the organization, whose key alone can change profiles",
                    "add [site.organization], or take the field out",
                );
            }
            rules.profile.extend(self.field(&key, written).map(|rule| (field, rule)));
        }
        if let Some(property) = &s.attributes.property {
            if property.key.chars().count() > 255 || property.key.chars().any(char::is_control) {
                self.found(
                    "attributes.property.key",
                    "has more than 255 characters, or control characters",
                    "write a short word, such as \"entrain\"",
                );
            }
            let mut fields = BTreeMap::new();
            for (name, written) in &property.fields {
                let key = format!("attributes.property.fields.{name}");
                fields.extend(self.field(&key, written).map(|rule| (name.clone(), rule)));
            }
            rules.property = Some(PropertyRule { key: property.key.clone(), fields });
        }
        rules
    }

    fn field(&mut self, key: &str, written: &Field) -> Option<FieldRule> {
        let text = |text: &str| AttributeValue::Text(text.into());
        let (source, default, when) = match written {
            Field::From(from) => (self.expression(key, from)?, None, WhenWritten::Always),
            Field::Table(table) => {
                let source = match (&table.from, &table.constant) {
                    (Some(from), None) => self.expression(&format!("{key}.from"), from)?,
                    (None, Some(constant)) => Source::Constant(text(constant)),
                    (given, _) => {
                        let what = if given.is_some() {
                            "has from and constant"
                        } else {
                            "has neither from nor constant"
                        };
                        self.found(key, what, "write one of the two, such as from = \"user.department\"");
                        return None;
                    }
                };
                (source, table.default.as_deref(), table.when)
            }
        };
        let when = match when {
            WhenWritten::Always => When::Always,
            WhenWritten::Create => When::Create,
        };
        Some(FieldRule { source, default: default.map(text), when })
    }

    fn expression(&mut self, key: &str, text: &str) -> Option<Source> {
        match Expr::compile(text) {
            Ok(expression) if expression.reads_groups() => {
                self.found(
                    key,
                    "looks at groups, which attributes do not know",
                    "write an expression over user alone, such as \"user.department\"",
                );
                None
            }
            Ok(expression) => Some(Source::From(expression)),
            Err(e) => {
                self.found(key, format!("cannot be used: {e}"), e.remedy);
                None
            }
        }
    }
}
