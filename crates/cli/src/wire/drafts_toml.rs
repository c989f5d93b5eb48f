//! What was said of a connection, as the TOML document that `entrain connection add` takes.

use std::collections::BTreeMap;

use entrain_server::drafts::{Draft, KEYS, Part};
use serde_json::Value;
use toml_edit::{Array, DocumentMut, Item, Table};

/// The TOML of a draft's lines.
pub(super) fn toml(draft: &Draft, part: Part) -> String {
    let mut document = DocumentMut::new();
    // Of which nothing is said yet, everything is missing
    match part {
        Part::Directory => drop(document.insert("directory", Item::Table(Table::new()))),
        Part::Site => drop(document.insert("site", Item::Table(Table::new()))),
        Part::Whole => {}
    }
    write(document, draft, part)
}

/// The same, written into a document that may say more.
pub(super) fn write(mut document: DocumentMut, draft: &Draft, part: Part) -> String {
    let lines = draft.lines(part);
    for gone in KEYS.into_iter().filter(|key| !lines.iter().any(|(line, _)| line == key)) {
        let (sections, last) = gone.rsplit_once('.').unwrap_or(("", gone));
        let mut table = Some(document.as_table_mut());
        for section in sections.split('.').filter(|section| !section.is_empty()) {
            table = table.and_then(|table| table.get_mut(section)?.as_table_mut());
        }
        if let Some(table) = table {
            table.remove(last);
        }
    }
    if lines.iter().all(|(key, _)| !key.starts_with("site.organization."))
        && let Some(site) = document.get_mut("site").and_then(Item::as_table_mut)
    {
        site.remove("organization");
    }
    for (key, value) in lines {
        let path: Vec<&str> = key.split('.').collect();
        put(document.as_table_mut(), &path, item(&value, &draft.said.names));
    }
    document.to_string()
}

/// Puts an item below sections, which are made where they are missing.
fn put(table: &mut Table, path: &[&str], item: Item) {
    match path {
        [] => {}
        [key] => drop(table.insert(key, item)),
        [section, rest @ ..] => {
            let inner = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
            if let Some(inner) = inner.as_table_mut() {
                put(inner, rest, item);
            }
        }
    }
}

/// A value as TOML; what stands for a group's id in a list has its name behind it.
fn item(value: &Value, names: &BTreeMap<String, String>) -> Item {
    match value {
        Value::Bool(flag) => toml_edit::value(*flag),
        Value::Array(list) => {
            let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            let mut array = Array::new();
            let comment = |text: &str| {
                let name = names.get(text).map(|name| name.replace(char::is_control, " "));
                name.map(|name| format!(" # {name}")).unwrap_or_default()
            };
            let named = texts.iter().any(|text| names.contains_key(*text));
            let mut before = String::new();
            for text in texts {
                array.push(text);
                if named && let Some(value) = array.get_mut(array.len() - 1) {
                    value.decor_mut().set_prefix(format!("{before}\n    "));
                    before = comment(text);
                }
            }
            if named {
                array.set_trailing_comma(true);
                array.set_trailing(format!("{before}\n"));
            }
            toml_edit::value(array)
        }
        other => toml_edit::value(other.as_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use entrain_server::drafts::Said;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn draft(values: &[(&str, Value)]) -> Draft {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        let names = [("g-1".to_owned(), "Jira\nEngineering".to_owned())].into();
        let said = Said { values: values.collect(), names, ..Said::default() };
        let stored = ["directory.client_secret".to_owned()].into();
        Draft { id: "d".into(), said, stored, author: "Ana".into(), at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn ids_of_groups_have_their_names_behind_them_and_a_secret_is_a_word() {
        let draft = draft(&[
            ("name", json!("A \"quoted\" name")),
            ("scope.groups", json!(["Jira *", "g-1"])),
            ("scope.users", json!("in_groups")),
        ]);
        let expected = "name = 'A \"quoted\" name'\n\n[directory]\nclient_secret = \"sealed\"\n\n[scope]\n\
            groups = [\n    \"Jira *\",\n    \"g-1\", # Jira Engineering\n]\nusers = \"in_groups\"\n";
        assert_eq!(toml(&draft, Part::Whole), expected);
    }

    #[test]
    fn what_others_have_added_to_the_document_stays_and_what_was_taken_back_goes() {
        let before = "name = \"A\"\n[site]\nurl = \"https://a.example\"\napi_token_expires = \"2027-01-01\"\n\
            [site.organization]\nid = \"o\"\n[scope]\ngroups = [\"a\"]\nfilter = \"x\"\n[leavers]\nsuspend_after = \"30d\"\n";
        let draft = draft(&[("name", json!("A")), ("site.url", json!("https://b.example"))]);
        let after = write(before.parse().unwrap(), &draft, Part::Whole);
        for kept in ["https://b.example", "filter = \"x\"", "suspend_after"] {
            assert!(after.contains(kept), "{kept}: {after}");
        }
        for gone in ["api_token_expires", "organization", "groups"] {
            assert!(!after.contains(gone), "{gone}: {after}");
        }
    }
}
