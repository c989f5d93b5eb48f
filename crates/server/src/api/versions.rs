//! Versions of a connection's document: who stored which and when, each as it was, and what differs between two.

use serde_json::{Value, json};

use super::ask::{Ask, Reply};
use crate::diff::{self, Context};
use crate::problem::Problem;
use crate::rulebook::Version;

type Result<T = Reply> = std::result::Result<T, Problem>;

fn shown(version: &Version) -> Value {
    json!({ "version": version.number, "author": version.author, "at": version.at, "why": version.why,
        "removed": version.document.is_none() })
}

fn numbered<'a>(versions: &'a [Version], number: &str) -> Result<&'a Version> {
    let wanted = number.parse::<i64>().ok();
    versions.iter().find(|version| Some(version.number) == wanted).ok_or_else(|| {
        Problem::request("there is no version of that number", "GET …/versions lists those that there are")
            .with(axum::http::StatusCode::NOT_FOUND)
    })
}

async fn all(ask: &Ask) -> Result<(String, Vec<Version>)> {
    let connection = ask.connection().await?;
    let versions = ask.api.service.versions(&connection.name).await?;
    Ok((connection.name, versions))
}

pub(super) async fn list(ask: Ask) -> Result {
    let (connection, versions) = all(&ask).await?;
    let versions: Vec<Value> = versions.iter().map(shown).collect();
    Ok(Reply::json(json!({ "connection": connection, "versions": versions })))
}

pub(super) async fn get(ask: Ask) -> Result {
    let (_, versions) = all(&ask).await?;
    let version = numbered(&versions, ask.path("version"))?;
    let mut value = shown(version);
    value["document"] = json!(version.document);
    Ok(Reply::json(value))
}

pub(super) async fn compare(ask: Ask) -> Result {
    let (connection, versions) = all(&ask).await?;
    let from = numbered(&versions, ask.path("version"))?;
    let to = match ask.number("to", 0) {
        0 => versions.first().unwrap_or(from),
        number => numbered(&versions, &number.to_string())?,
    };
    let text = |version: &Version| version.document.clone().unwrap_or_default();
    let lines = diff::lines(&text(from), &text(to), Context::Near);
    let lines: Vec<Value> =
        lines.iter().map(|line| json!({ "sign": line.sign.to_string(), "text": line.text })).collect();
    Ok(Reply::json(json!({ "connection": connection, "from": from.number, "to": to.number, "why": to.why,
        "lines": lines })))
}
