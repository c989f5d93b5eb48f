//! Holds a parsed document against the schema of [`Sections`]: unknown keys, missing keys,
//! wrong types, words that are not in the list. Everything is found at once, with the line it stands on, and no value
//! is ever quoted.

use std::sync::LazyLock;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::lines::{Lines, join};
use super::problem::{Problem, ProblemKind};
use super::sections::Sections;

/// Keys and words of the contract that this version does not serve yet: accepting them would be to ignore them.
const LATER: &[(&str, &str)] = &[("matching", "is")];

const MISSING: &str = "is missing";

/// The JSON Schema of connection documents.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let settings =
            schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<Sections>().to_value();
        without_null(&mut schema);
        if let Some(root) = schema.as_object_mut() {
            root.insert("title".into(), "Entrain connection".into());
        }
        schema
    });
    &SCHEMA
}

/// TOML knows no null: what may be left out is left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(alternatives)) = map.get("anyOf") {
                let other: Vec<Value> =
                    alternatives.iter().filter(|a| a["type"] != "null").cloned().collect();
                if let [Value::Object(only)] = other.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    for (key, value) in only {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            if let Some(Value::Array(types)) = map.get("type")
                && let Some(first) = types.iter().find(|t| *t != "null").cloned()
            {
                map.insert("type".into(), first);
            }
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Everything in which the document departs from the schema.
pub(super) fn problems(document: &DeTable<'_>, lines: &Lines) -> Vec<Problem> {
    let mut check = Check { lines, problems: Vec::new() };
    check.table(schema(), document, "");
    // A misspelt key is the cause of a missing one: it comes first
    check.problems.sort_by_key(|p| (p.what == MISSING, p.line));
    check.problems
}

struct Check<'a> {
    lines: &'a Lines,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn found(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            line: self.lines.line(key),
            what: what.into(),
            remedy: remedy.into(),
            kind: ProblemKind::Document,
        });
    }

    fn table(&mut self, schema: &Value, table: &DeTable<'_>, section: &str) {
        let known = schema["properties"].as_object();
        for (key, value) in table {
            let key: &str = key.get_ref();
            let path = join(section, key);
            if let Some(schema) = known.and_then(|k| k.get(key)) {
                self.value(schema, value.get_ref(), &path);
            } else if schema["additionalProperties"].is_object() {
                self.value(&schema["additionalProperties"], value.get_ref(), &path);
            } else {
                self.unknown(schema, section, key, &path);
            }
        }
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(key) {
                let path = join(section, key);
                let is_section = schema["properties"][key]["type"] == "object";
                let remedy = if is_section {
                    format!("add the section [{path}]")
                } else if section.is_empty() {
                    format!("add {key} = … above the first section")
                } else {
                    format!("add {key} = … below [{section}]")
                };
                self.found(&path, MISSING, remedy);
            }
        }
    }

    fn unknown(&mut self, schema: &Value, section: &str, key: &str, path: &str) {
        if let Some((_, what)) = LATER.iter().find(|(later, _)| *later == path) {
            self.found(
                path,
                format!("{what} not supported yet by this version"),
                "take it out; it would be ignored, and the result would not be what it says",
            );
            return;
        }
        let names: Vec<&str> =
            schema["properties"].as_object().into_iter().flat_map(|p| p.keys()).map(String::as_str).collect();
        let near = names
            .iter()
            .copied()
            .min_by_key(|name| distance(key, name))
            .filter(|name| distance(key, name) <= 1 + key.chars().count() / 4);
        let remedy = match (near, elsewhere(self::schema(), key)) {
            (Some(near), _) => format!("did you mean {}?", join(section, near)),
            (None, Some(place)) => format!("did you mean {place}?"),
            (None, None) if section.is_empty() => format!("known here are {}", names.join(", ")),
            (None, None) => format!("known in [{section}] are {}", names.join(", ")),
        };
        self.found(path, "is not a known key", remedy);
    }

    fn value(&mut self, schema: &Value, value: &DeValue<'_>, path: &str) {
        if let Some(alternatives) = schema["anyOf"].as_array() {
            // Told apart by the kind of value: a text, or a table
            match alternatives.iter().find(|one| fits(one, value)) {
                Some(one) => self.value(one, value, path),
                None if alternatives.iter().any(|one| one["type"] == "array") => self.found(
                    path,
                    format!("is {}", given(value)),
                    "write text in quotes, or a list in brackets: [\"…\", \"…\"]",
                ),
                None => self.found(
                    path,
                    format!("is {}", given(value)),
                    "write text in quotes, or a table in braces: { … = \"…\" }",
                ),
            }
            return;
        }
        let words = words(schema);
        let expected = schema["type"].as_str().unwrap_or("string");
        if !fits(schema, value) {
            let remedy = if words.is_empty() {
                format!("write {}", wanted(expected, path))
            } else {
                format!("write one of {}", quoted(&words))
            };
            self.found(path, format!("is {}, not {}", given(value), wanted(expected, path)), remedy);
            return;
        }
        if let Some(text) = value.as_str() {
            if !words.is_empty() && !words.contains(&text) {
                self.found(path, "is not one of the known words", format!("write one of {}", quoted(&words)));
            } else if text.trim().is_empty() && !path.ends_with("].with") {
                self.found(path, "is empty", "write a value, or take the line out");
            }
        }
        if let Some(number) = value.as_integer() {
            let number = i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
            let bound = |name: &str| schema[name].as_i64().map(i128::from);
            let (low, high) =
                (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(i128::from(u32::MAX)));
            if number.is_none_or(|n| n < low || n > high) {
                self.found(path, "is out of range", format!("write a number from {low} to {high}"));
            }
        }
        if let Some(list) = value.as_array() {
            for (at, element) in list.iter().enumerate() {
                self.value(&schema["items"], element.get_ref(), &format!("{path}[{at}]"));
            }
        }
        if let Some(table) = value.as_table() {
            self.table(schema, table, path);
        }
    }
}

fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    match schema["type"].as_str().unwrap_or("string") {
        "string" => value.is_str(),
        "boolean" => value.is_bool(),
        "integer" => value.is_integer(),
        "array" => value.is_array(),
        "object" => value.is_table(),
        _ => true,
    }
}

/// The words an enum takes, as the schema lists them.
pub(crate) fn words(schema: &Value) -> Vec<&str> {
    let plain = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let described = schema["oneOf"].as_array().into_iter().flatten().filter_map(|one| one["const"].as_str());
    plain.chain(described).collect()
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ")
}

fn given(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn wanted(kind: &str, path: &str) -> String {
    match kind {
        "string" => "text in quotes".into(),
        "boolean" => "true or false, without quotes".into(),
        "integer" => "a whole number, without quotes".into(),
        "array" => "a list in brackets: [\"…\", \"…\"]".into(),
        "object" => format!("a section: [{path}]"),
        other => other.to_owned(),
    }
}

/// Where else in the document a key of this name belongs.
fn elsewhere(schema: &Value, key: &str) -> Option<String> {
    fn search(schema: &Value, key: &str, path: &str) -> Option<String> {
        let properties = schema["properties"].as_object()?;
        if !path.is_empty() && properties.contains_key(key) {
            return Some(join(path, key));
        }
        properties.iter().find_map(|(name, inner)| search(inner, key, &join(path, name)))
    }
    search(schema, key, "")
}

/// Levenshtein distance, with `-` and `_` taken as one.
fn distance(a: &str, b: &str) -> usize {
    let fold = |s: &str| s.to_lowercase().replace('-', "_").chars().collect::<Vec<_>>();
    let (a, b) = (fold(a), fold(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("tenant_id", "tenant-id"), 0);
        assert_eq!(distance("tennant_id", "tenant_id"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_schema_names_every_section_and_no_null() {
        let schema = schema();
        for section in
            ["directory", "site", "operations", "scope", "schedule", "groups", "limits", "protected"]
        {
            assert_eq!(schema["properties"][section]["type"], "object", "{section}");
        }
        assert_eq!(schema["properties"]["site"]["properties"]["organization"]["type"], "object");
        assert!(!schema.to_string().contains("null"), "{schema:#}");
        assert_eq!(
            words(&schema["properties"]["scope"]["properties"]["users"]),
            ["in_groups", "assigned", "all"]
        );
    }
}
