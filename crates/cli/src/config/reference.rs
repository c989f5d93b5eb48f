//! The reference pages, generated: `docs/reference/*.md` is held against them by a test.

use std::fmt::Write as _;

use entrain_domain::FailureCode;
use serde_json::Value;

use super::document::{schema, words};

const GENERATED: &str =
    "<!-- Generated: `ENTRAIN_BLESS=1 cargo nextest run -p entrain reference` writes it. -->";

/// `docs/reference/configuration.md`: every key of a connection document.
pub(crate) fn configuration() -> String {
    let mut page = format!(
        "{GENERATED}\n# Connection documents\n\n\
         A connection is described by a TOML document. Unknown keys, missing keys and wrong values are refused with the \
         key, the line and what to write instead (exit code 2). `entrain connection schema` prints the same as JSON \
         Schema.\n\n\
         Secrets are written as `env:NAME` (read from the environment at each start), `file:PATH`, or as they are; a \
         secret written as it is gets sealed when the document is stored, and is never printed again. In documents for \
         `entrain connection set`, `\"sealed\"` keeps what is stored.\n"
    );
    section(&mut page, schema(), "");
    page
}

fn section(page: &mut String, schema: &Value, path: &str) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let title = if path.is_empty() { "At the top".to_owned() } else { format!("`[{path}]`") };
    let _ = writeln!(page, "\n## {title}\n");
    if !path.is_empty() {
        let _ = writeln!(page, "{}\n", text(schema));
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(page, "| key | takes | default | meaning |\n| --- | --- | --- | --- |");
    let (sections, keys): (Vec<_>, Vec<_>) =
        properties.iter().partition(|(_, s)| s["properties"].is_object());
    let (tables, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(_, s)| {
        s["additionalProperties"]["required"].is_array()
            && s["additionalProperties"]["properties"]["kind"].is_object()
    });
    let (lists, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(_, s)| s["items"]["type"] == "object");
    for (key, schema) in keys {
        let default = match (required.contains(&key.as_str()), &schema["default"]) {
            (true, _) => "required".to_owned(),
            (false, Value::Null) => String::new(),
            (false, Value::Array(list)) if list.is_empty() => "`[]`".to_owned(),
            (false, Value::Object(_)) => "empty".to_owned(),
            (false, value) => format!("`{value}`"),
        };
        let _ = writeln!(page, "| `{key}` | {} | {default} | {} |", kind(schema), text(schema));
    }
    for (key, schema) in &lists {
        let _ = writeln!(page, "| `[[{}]]` | sections | | {} |", join(path, key), text(schema));
    }
    for (key, schema) in &tables {
        let _ = writeln!(page, "| `[{}.NAME]` | sections | | {} |", join(path, key), text(schema));
    }
    for (key, schema) in &sections {
        let need = if required.contains(&key.as_str()) { "required" } else { "" };
        let _ = writeln!(page, "| `[{}]` | section | {need} | {} |", join(path, key), text(schema));
    }
    for (key, schema) in lists {
        section(page, &schema["items"], &format!("[{}]", join(path, key)));
    }
    for (key, schema) in tables {
        section(page, &schema["additionalProperties"], &format!("{}.NAME", join(path, key)));
    }
    for (key, schema) in sections {
        section(page, schema, &join(path, key));
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn text(schema: &Value) -> String {
    let mut text =
        schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    for one in schema["oneOf"].as_array().into_iter().flatten() {
        if let (Some(word), Some(meaning)) = (one["const"].as_str(), one["description"].as_str()) {
            let _ = write!(text, " `{word}`: {}", meaning.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    text.replace('|', "\\|")
}

fn kind(schema: &Value) -> String {
    let words = words(schema);
    if !words.is_empty() {
        return words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(", ");
    }
    if schema["anyOf"].is_array() {
        return "text or table".into();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some("secret")) => "secret".into(),
        (Some("string"), _) => "text".into(),
        (Some("boolean"), _) => "`true` or `false`".into(),
        (Some("integer"), _) => match schema["maximum"].as_i64() {
            Some(most @ ..=1000) => format!("0 to {most}"),
            _ => "number".into(),
        },
        (Some("array"), _) => match kind(&schema["items"]) {
            words if words.contains('"') => format!("list of {words}"),
            _ => "list of texts".into(),
        },
        (Some("object"), _) if schema["additionalProperties"]["anyOf"].is_array() => {
            match schema["additionalProperties"]["anyOf"][1]["type"].as_str() {
                Some("array") => "table of texts or lists of texts".into(),
                _ => "table of texts or tables".into(),
            }
        }
        (Some("object"), _) => match kind(&schema["additionalProperties"]) {
            words if words.contains('"') => format!("table of {words}"),
            _ => "table of texts".into(),
        },
        _ => String::new(),
    }
}

/// `docs/reference/errors.md`: every code of `{"error": {"code": …}}`.
pub(crate) fn errors() -> String {
    let mut page = format!(
        "{GENERATED}\n# Errors\n\n\
         With `--json` a failure prints `{{\"error\": {{\"code\", \"message\", \"object\", \"remedy\"}}}}` on standard \
         output. The codes keep their meaning between versions.\n\n| code | meaning |\n| --- | --- |\n"
    );
    for code in FailureCode::ALL {
        let _ = writeln!(page, "| `{code}` | {} |", code.meaning().replace('|', "\\|"));
    }
    page.push_str(
        "\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n\
         | 0 | done: converged, or nothing to do |\n\
         | 1 | failed |\n\
         | 2 | wrong usage, or an invalid document |\n\
         | 3 | held for approval; nothing, or only the part that is not held, was applied |\n\
         | 4 | ended, but objects were set aside, or it was stopped at a step boundary, or it did not converge |\n\
         | 5 | only `plan --detailed-exitcode`: there are changes |\n",
    );
    page
}

/// `docs/reference/commands.md`: every command with its arguments.
pub(crate) fn commands(mut root: clap::Command) -> String {
    root.build();
    let mut page = format!("{GENERATED}\n# Commands\n");
    command(&mut page, &root, "");
    page
}

fn command(page: &mut String, command_: &clap::Command, parent: &str) {
    let name = format!("{parent}{}{}", if parent.is_empty() { "" } else { " " }, command_.get_name());
    let about =
        command_.get_long_about().or(command_.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, "\n## `{name}`\n\n{about}\n");
    let shown = |a: &&clap::Arg| !a.is_hide_set() && !matches!(a.get_id().as_str(), "help" | "version");
    let own = |a: &&clap::Arg| parent.is_empty() || !a.is_global_set();
    let arguments: Vec<&clap::Arg> = command_.get_arguments().filter(shown).filter(own).collect();
    if !arguments.is_empty() {
        let _ = writeln!(page, "| argument | variable | meaning |\n| --- | --- | --- |");
    }
    for argument in arguments {
        let mut usage = match (argument.get_long(), argument.get_value_names()) {
            (Some(long), None) => format!("--{long}"),
            (Some(long), Some(_)) if !argument.get_action().takes_values() => format!("--{long}"),
            (Some(long), Some(names)) => format!("--{long} {}", names.join(" ")),
            (None, names) => names.unwrap_or_default().join(" "),
        };
        let words: Vec<String> =
            argument.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
        if !words.is_empty() && argument.get_action().takes_values() {
            let _ = write!(usage, " ({})", words.join(", "));
        }
        let variable = argument.get_env().map(|e| format!("`{}`", e.to_string_lossy())).unwrap_or_default();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let default: Vec<String> =
            argument.get_default_values().iter().map(|v| v.to_string_lossy().into_owned()).collect();
        let default = if default.is_empty() || !argument.get_action().takes_values() {
            String::new()
        } else {
            format!(" Default: `{}`.", default.join(" "))
        };
        let _ = writeln!(page, "| `{usage}` | {variable} | {}{default} |", help.replace('|', "\\|"));
    }
    for inner in command_.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        command(page, inner, &name);
    }
}
