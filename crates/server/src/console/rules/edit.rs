//! Fields of forms as keys of the document. What a form does not change stays as it is, letter by letter: comments,
//! order, and keys that no form knows. A value that a form cannot show as it is, is left to the document.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::topics::{Field, Kind};

/// What stands for nothing in a limit.
const NONE: &str = "-";

/// A key, looked up.
fn find<'a>(document: &'a DocumentMut, key: &str) -> Option<&'a Item> {
    let mut item = document.as_item();
    for part in key.split('.') {
        item = item.as_table_like()?.get(part)?;
    }
    Some(item)
}

fn text_of(item: &Item) -> Option<String> {
    let value = item.as_value()?;
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Boolean(flag) => Some(flag.value().to_string()),
        _ => None,
    }
}

fn texts_of(item: &Item) -> Option<Vec<String>> {
    item.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

/// What a key is to be shown as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// The text of the form; empty where the key is left out.
    Text(String),
    /// Something that the form has no text for.
    Elsewhere,
}

/// A line of a table: key and value, each without the blanks around it. A key that holds the sign itself is in quotes.
fn split(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix('"') {
        let (key, rest) = rest.split_once('"')?;
        return Some((key.to_owned(), rest.trim_start().strip_prefix('=')?.trim().to_owned()));
    }
    let (key, value) = line.split_once('=')?;
    Some((key.trim().to_owned(), value.trim().to_owned()))
}

fn joined(key: &str, value: &str) -> String {
    if key.contains('=') { format!("\"{key}\" = {value}") } else { format!("{key} = {value}") }
}

fn number(item: &Item) -> Option<i64> {
    item.as_integer()
}

/// The lines of a table.
fn rows(table: &dyn TableLike, kind: Kind) -> Option<Vec<String>> {
    let mut rows = Vec::new();
    for (key, item) in table.iter() {
        match kind {
            Kind::Names => match texts_of(item) {
                Some(texts) => rows.extend(texts.iter().map(|text| joined(key, text))),
                None => rows.push(joined(key, item.as_str()?)),
            },
            Kind::Limits => {
                let inner = item.as_table_like()?;
                let (percent, most) = (number(inner.get("percent")?)?, number(inner.get("number")?)?);
                rows.push(joined(key, &format!("{percent}, {most}")));
            }
            Kind::Seats => {
                let inner = item.as_table_like()?;
                let part = |name| match inner.get(name) {
                    Some(item) => number(item).map(|number| number.to_string()),
                    None => Some(NONE.to_owned()),
                };
                rows.push(joined(key, &format!("{}, {}", part("budget")?, part("reserve")?)));
            }
            Kind::Mapped => match item.as_str() {
                Some(text) => rows.push(joined(key, text)),
                None => rows.push(joined(key, item.as_table_like()?.get("from")?.as_str()?)),
            },
            _ => rows.push(joined(key, item.as_str()?)),
        }
    }
    Some(rows)
}

/// Rewritings, one per line.
fn rewritings(item: &Item) -> Option<Vec<String>> {
    let line = |table: &dyn TableLike| {
        let part = |name| table.get(name)?.as_str().map(str::to_owned);
        Some(format!("{} -> {}", part("pattern")?, part("with")?))
    };
    if let Some(tables) = item.as_array_of_tables() {
        return tables.iter().map(|table| line(table)).collect();
    }
    item.as_array()?.iter().map(|value| line(value.as_inline_table()?)).collect()
}

fn source(item: &Item, part: &str) -> Option<String> {
    if let Some(text) = item.as_str() {
        return Some(if part == "from" { text.to_owned() } else { String::new() });
    }
    let table = item.as_table_like()?;
    if part == "from" && table.get("from").is_none() {
        // A constant: the form shows expressions
        return None;
    }
    match table.get(part) {
        Some(item) => item.as_str().map(str::to_owned),
        None => Some(String::new()),
    }
}

/// What a field shows of the document.
pub(super) fn shown(document: &DocumentMut, field: &Field) -> Shown {
    let Some(item) = find(document, field.key) else {
        return Shown::Text(field.normal().to_owned());
    };
    let lines = |lines: Option<Vec<String>>| lines.map(|lines| lines.join("\n"));
    let text = match field.kind {
        Kind::Lines | Kind::Groups => lines(texts_of(item)),
        Kind::Rewritings => lines(rewritings(item)),
        Kind::Pairs | Kind::Names | Kind::Limits | Kind::Seats | Kind::Mapped => {
            lines(item.as_table_like().and_then(|table| rows(table, field.kind)))
        }
        Kind::Part(part) => {
            source(item, part).map(|text| if text.is_empty() { field.normal().to_owned() } else { text })
        }
        _ => text_of(item),
    };
    match text {
        Some(text) if survives(&text, field) => Shown::Text(text),
        _ => Shown::Elsewhere,
    }
}

/// Whether the form would give back what it shows.
fn survives(text: &str, field: &Field) -> bool {
    if text.chars().any(|c| c == '\r' || (c == '\n' && field.kind.is_one_line())) {
        return false;
    }
    if field.kind.is_one_line() {
        return text.trim() == text;
    }
    // A browser takes the first line end of a field, and blanks around lines are dropped
    let mut blank = text.is_empty();
    for line in text.split('\n') {
        blank |= line.trim().is_empty();
        if line.trim() != line || line.contains('\u{0}') {
            return false;
        }
    }
    (!blank || text.is_empty())
        && (!field.kind.is_table() || text.lines().all(|line| split(line).is_some()))
        && (field.kind != Kind::Rewritings || text.lines().all(|line| line.matches(" -> ").count() <= 1))
}

/// The table that holds a key, made where it is missing.
fn table<'a>(document: &'a mut DocumentMut, sections: &[&str]) -> Option<&'a mut dyn TableLike> {
    let mut place: &mut dyn TableLike = document.as_table_mut();
    let mut inline = false;
    for (at, section) in sections.iter().enumerate() {
        if !place.contains_key(section) {
            let new = if inline {
                Item::Value(Value::InlineTable(InlineTable::new()))
            } else {
                let mut table = Table::new();
                table.set_implicit(at + 1 < sections.len());
                Item::Table(table)
            };
            place.insert(section, new);
        }
        let item = place.get_mut(section)?;
        inline = item.is_value();
        place = item.as_table_like_mut()?;
    }
    Some(place)
}

/// Puts a value in the place of another, or behind the last key.
fn put(table: &mut dyn TableLike, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// Takes a key out; the comment above it stays, above the key after it.
fn take(table: &mut dyn TableLike, key: &str) {
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    let comment = table.key(key).and_then(|key| key.leaf_decor().prefix()?.as_str().map(str::to_owned));
    table.remove(key);
    let after = keys.iter().position(|known| known == key).and_then(|at| keys.get(at + 1));
    let (Some(comment), Some(after)) = (comment.filter(|comment| comment.contains('#')), after) else {
        return;
    };
    if let Some(mut after) = table.key_mut(after) {
        let own = after.leaf_decor().prefix().and_then(|own| own.as_str()).unwrap_or_default().to_owned();
        after.leaf_decor_mut().set_prefix(format!("{comment}{own}"));
    }
}

/// Makes a list hold these texts; what stays keeps its place's comments.
fn fill(array: &mut Array, texts: &[&str]) {
    let parts = |text: &str| match text.split_once('\n') {
        Some((line, rest)) => (line.to_owned(), format!("\n{rest}")),
        None => (String::new(), text.to_owned()),
    };
    let prefix = |value: &Value| {
        value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned()
    };
    let (last, end) = parts(array.trailing().as_str().unwrap_or_default());
    let mut known: Vec<(Value, String, String)> = Vec::new();
    for value in array.iter() {
        let (behind, own) = parts(&prefix(value));
        if let Some(before) = known.last_mut() {
            before.2 = behind;
        }
        known.push((value.clone(), own, String::new()));
    }
    if let Some(before) = known.last_mut() {
        before.2 = last;
    }
    let lines = known.iter().any(|(_, own, _)| own.contains('\n'));
    let indent = known.iter().find(|(_, own, _)| own.contains('\n')).map(|(_, own, _)| {
        let line = own.rsplit('\n').next().unwrap_or_default();
        format!("\n{line}")
    });
    array.clear();
    let mut behind = String::new();
    for text in texts {
        let at = known.iter().position(|(value, ..)| value.as_str() == Some(text));
        let (mut value, own, comment) = match at {
            Some(at) => known.remove(at),
            None => (Value::from(*text), indent.clone().unwrap_or_default(), String::new()),
        };
        let own = match (lines, array.is_empty()) {
            (true, _) => own,
            (false, true) => String::new(),
            (false, false) => " ".to_owned(),
        };
        value.decor_mut().set_prefix(format!("{behind}{own}"));
        value.decor_mut().set_suffix("");
        array.push_formatted(value);
        behind = comment;
    }
    let end = if texts.is_empty() || !lines { String::new() } else { end };
    array.set_trailing_comma(lines && !texts.is_empty());
    array.set_trailing(format!("{behind}{end}"));
}

fn whole(text: &str) -> Result<i64, String> {
    text.parse::<u32>().map(i64::from).map_err(|_| format!("“{text}” is no whole number."))
}

fn inline(pairs: &[(&str, Value)]) -> Value {
    let mut table = InlineTable::new();
    for (key, value) in pairs {
        table.insert(*key, value.clone());
    }
    Value::InlineTable(table)
}

/// The value of one line of a table.
fn row_value(kind: Kind, text: &str) -> Result<Value, String> {
    let two = || {
        let (first, second) = text.split_once(',').ok_or("Write two numbers with a comma between them.")?;
        Ok::<_, String>((first.trim(), second.trim()))
    };
    match kind {
        Kind::Limits => {
            let (percent, most) = two()?;
            let percent = percent.trim_end_matches('%').trim_end();
            Ok(inline(&[("percent", whole(percent)?.into()), ("number", whole(most)?.into())]))
        }
        Kind::Seats => {
            let (budget, reserve) = two()?;
            let mut pairs: Vec<(&str, Value)> = Vec::new();
            for (key, text) in [("budget", budget), ("reserve", reserve)] {
                if text != NONE {
                    pairs.push((key, whole(text)?.into()));
                }
            }
            Ok(inline(&pairs))
        }
        _ => Ok(text.into()),
    }
}

/// Rows of a table, written where they differ.
fn write_rows(table: &mut dyn TableLike, kind: Kind, text: &str) -> Result<(), String> {
    let mut wanted: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = split(line)
            .filter(|(key, value)| !key.is_empty() && !value.is_empty())
            .ok_or_else(|| format!("“{}” has to be name = value.", line.trim()))?;
        match wanted.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) if kind == Kind::Names => values.push(value),
            Some(_) => return Err(format!("“{key}” is given twice.")),
            None => wanted.push((key, vec![value])),
        }
    }
    let known: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for gone in known.iter().filter(|key| !wanted.iter().any(|(wanted, _)| wanted == *key)) {
        take(table, gone);
    }
    for (key, values) in wanted {
        let mut lone = Table::new();
        if let Some(item) = table.get(&key) {
            lone.insert(&key, item.clone());
        }
        let before = rows(&lone, kind).unwrap_or_default();
        if before == values.iter().map(|value| joined(&key, value)).collect::<Vec<_>>() {
            continue;
        }
        let inner = table.get_mut(&key).filter(|_| kind == Kind::Mapped).and_then(Item::as_table_like_mut);
        if let Some(inner) = inner {
            put(inner, "from", values[0].as_str().into());
            continue;
        }
        let value = match values.as_slice() {
            [one] => row_value(kind, one)?,
            several => Value::Array(several.iter().map(String::as_str).collect()),
        };
        put(table, &key, value);
    }
    Ok(())
}

fn write_rewritings(table: &mut dyn TableLike, key: &str, text: &str) -> Result<(), String> {
    let mut all = Array::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line = line.trim();
        let (pattern, with) = line
            .split_once(" -> ")
            .or_else(|| line.strip_suffix(" ->").map(|pattern| (pattern, "")))
            .ok_or_else(|| format!("“{line}” has to be pattern -> text."))?;
        let mut value = inline(&[("pattern", pattern.trim().into()), ("with", with.trim().into())]);
        value.decor_mut().set_prefix("\n    ");
        all.push_formatted(value);
    }
    all.set_trailing("\n");
    all.set_trailing_comma(true);
    if all.is_empty() {
        take(table, key);
    } else if table.get(key).is_some_and(Item::is_array_of_tables) {
        // Lists of tables have no place among the keys
        let tables: Vec<Table> = all
            .iter()
            .filter_map(|value| value.as_inline_table().cloned())
            .map(InlineTable::into_table)
            .collect();
        if let Some(known) = table.get_mut(key).and_then(Item::as_array_of_tables_mut) {
            known.clear();
            for table in tables {
                known.push(table);
            }
        }
    } else {
        put(table, key, Value::Array(all));
    }
    Ok(())
}

fn write_part(table: &mut dyn TableLike, key: &str, part: &str, text: &str) -> Result<(), String> {
    if part == "from" {
        if text.is_empty() {
            take(table, key);
        } else if let Some(inner) = table.get_mut(key).and_then(Item::as_table_like_mut) {
            put(inner, "from", text.into());
        } else {
            put(table, key, text.into());
        }
        return Ok(());
    }
    let Some(item) = table.get_mut(key) else {
        return if text.is_empty() { Ok(()) } else { Err("Write the expression as well.".into()) };
    };
    if let Some(from) = item.as_str().map(str::to_owned) {
        if text.is_empty() {
            return Ok(());
        }
        put(table, key, inline(&[("from", from.into()), (part, text.into())]));
    } else if let Some(inner) = item.as_table_like_mut() {
        if text.is_empty() { take(inner, part) } else { put(inner, part, text.into()) }
    }
    Ok(())
}

/// Writes what a form says of a field, where it says something else than the document.
///
/// # Errors
/// In words for its field, where the text has no form that the document takes.
pub(super) fn write(document: &mut DocumentMut, field: &Field, said: &str) -> Result<(), String> {
    let said = said.replace("\r\n", "\n");
    let said = said.trim();
    let tidy = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    match shown(document, field) {
        Shown::Elsewhere => return Ok(()),
        Shown::Text(known) if tidy(&known) == tidy(said) => return Ok(()),
        Shown::Text(_) => {}
    }
    let path: Vec<&str> = field.key.split('.').collect();
    let Some((last, sections)) = path.split_last() else { return Ok(()) };
    if field.kind.is_table() {
        let Some(table) = table(document, &path) else { return Ok(()) };
        return write_rows(table, field.kind, said);
    }
    let Some(table) = table(document, sections) else { return Ok(()) };
    match field.kind {
        Kind::Rewritings => return write_rewritings(table, last, said),
        Kind::Part("when") if said == field.normal() => return write_part(table, last, "when", ""),
        Kind::Part(part) => return write_part(table, last, part, said),
        Kind::Lines | Kind::Groups => {
            let texts = tidy(said);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            match table.get_mut(last).and_then(Item::as_array_mut) {
                Some(array) => fill(array, &texts),
                None => put(table, last, Value::Array(texts.into_iter().collect())),
            }
        }
        _ if said.is_empty() => take(table, last),
        Kind::Number => put(table, last, whole(said)?.into()),
        Kind::Flag => put(table, last, (said == "true").into()),
        _ => put(table, last, said.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::topics::TOPICS;
    use super::*;

    const DOCUMENT: &str = r#"# Acme
name = "Azure AD"   # unique

[scope] # who
groups = [
    "2f0c6a7d-8d39-4b5e-9b0c-51f2e7aa9d03", # Sales
    # the others
    "Jira *",
]
# only for now
guests = "exclude"
users = "all"

[groups]
map = { "Acme = Sales" = "Sales", Ops = ["A", "B"] }
[[groups.rename]]
pattern = "^GRP-(.+)$"
with = "$1"

[groups.modes]
# careful
"Jira *" = "additive"

[attributes.profile]
department = { from = "user.department", default = "none" } # since 2024
job_title = "user.jobTitle"
location = { constant = "Oslo" }

[limits]
removals_percent = 5
kinds = { suspend_user = { percent = 5, number = 2 } }

[future]
unknown = 1 # of another version
"#;

    fn field(name: &str) -> Field {
        *TOPICS.iter().flat_map(|topic| topic.fields).find(|field| field.name == name).unwrap()
    }

    fn document() -> DocumentMut {
        DOCUMENT.parse().unwrap()
    }

    fn after(name: &str, said: &str) -> String {
        let mut document = document();
        write(&mut document, &field(name), said).unwrap();
        document.to_string()
    }

    fn shows(name: &str) -> String {
        match shown(&document(), &field(name)) {
            Shown::Text(text) => text,
            Shown::Elsewhere => panic!("{name} is not shown"),
        }
    }

    #[test]
    fn what_a_form_shows_and_gets_back_changes_nothing() {
        for field in TOPICS.iter().flat_map(|topic| topic.fields) {
            let Shown::Text(text) = shown(&document(), field) else { continue };
            let mut document = document();
            write(&mut document, field, &text.replace('\n', "\r\n")).unwrap();
            assert_eq!(document.to_string(), DOCUMENT, "{}", field.name);
        }
        assert_eq!(shows("groups.map"), "\"Acme = Sales\" = Sales\nOps = A\nOps = B");
        assert_eq!(shows("groups.rename"), "^GRP-(.+)$ -> $1");
        assert_eq!(shows("limits.kinds"), "suspend_user = 5, 2");
        assert_eq!(shows("attributes.profile.department.default"), "none");
        assert_eq!(shows("attributes.profile.department.when"), "always");
        assert_eq!(shown(&document(), &field("attributes.profile.location")), Shown::Elsewhere);
    }

    #[test]
    fn a_change_leaves_comments_order_and_unknown_keys() {
        let id = "2f0c6a7d-8d39-4b5e-9b0c-51f2e7aa9d03";
        assert_eq!(
            after("scope.groups", &format!("{id}\r\nJira *\r\nAll Staff")),
            DOCUMENT.replace("    \"Jira *\",\n", "    \"Jira *\",\n    \"All Staff\",\n")
        );
        assert_eq!(
            after("scope.groups", "Jira *"),
            DOCUMENT.replace(&format!("\n    \"{id}\", # Sales"), "")
        );
        assert_eq!(after("scope.guests", "include"), DOCUMENT.replace("\"exclude\"", "\"include\""));
        assert_eq!(
            after("limits.removals_percent", "7"),
            DOCUMENT.replace("percent = 5\nk", "percent = 7\nk")
        );
        assert_eq!(after("limits.removals_percent", ""), DOCUMENT.replace("removals_percent = 5\n", ""));
        assert_eq!(
            after("groups.modes", "Jira * = additive\nOps = managed"),
            DOCUMENT.replace("\"additive\"\n", "\"additive\"\nOps = \"managed\"\n")
        );
        assert_eq!(
            after("attributes.profile.department", "user.companyName"),
            DOCUMENT.replace("from = \"user.department\"", "from = \"user.companyName\"")
        );
        assert_eq!(
            after("attributes.profile.job_title.when", "create"),
            DOCUMENT.replace(
                "job_title = \"user.jobTitle\"",
                "job_title = { from = \"user.jobTitle\", when = \"create\" }"
            )
        );
        assert_eq!(
            after("limits.kinds", "suspend_user = 6 %, 2"),
            DOCUMENT.replace("percent = 5, number", "percent = 6, number")
        );
    }

    #[test]
    fn a_comment_above_a_key_outlives_it() {
        let document = after("scope.users", "in_groups");
        assert_eq!(document, DOCUMENT.replace("users = \"all\"", "users = \"in_groups\""));
        let mut document: DocumentMut =
            "[schedule]\n# by night\nevery = \"1h\"\njitter = \"1m\"\n".parse().unwrap();
        write(&mut document, &field("schedule.every"), "").unwrap();
        assert_eq!(document.to_string(), "[schedule]\n# by night\njitter = \"1m\"\n");
    }

    #[test]
    fn sections_are_made_where_they_are_missing() {
        let mut document: DocumentMut = "name = \"A\"\n\n[scope]\ngroups = [\"A\"]\n".parse().unwrap();
        write(&mut document, &field("leavers.disabled.suspend_after"), "7d").unwrap();
        write(&mut document, &field("seats.products"), "jira-software = -, 5").unwrap();
        write(&mut document, &field("scope.filter"), "user.department == \"Sales\"").unwrap();
        assert_eq!(
            document.to_string(),
            "name = \"A\"\n\n[scope]\ngroups = [\"A\"]\nfilter = 'user.department == \"Sales\"'\n\n\
             [leavers.disabled]\nsuspend_after = \"7d\"\n\n[seats.products]\njira-software = { reserve = 5 }\n"
        );
    }

    #[test]
    fn what_has_no_form_in_the_document_is_said() {
        let mut document = document();
        for (name, said) in [
            ("limits.removals_percent", "a few"),
            ("limits.kinds", "suspend_user = 5"),
            ("groups.modes", "Jira *"),
            ("groups.modes", "Ops = managed\nOps = additive"),
            ("groups.rename", "^GRP-"),
            ("attributes.profile.locale.default", "de"),
        ] {
            assert!(write(&mut document, &field(name), said).is_err(), "{name}: {said}");
        }
        assert_eq!(document.to_string(), DOCUMENT);
    }
}
