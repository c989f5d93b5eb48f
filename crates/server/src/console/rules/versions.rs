//! Versions of the rules: who stored which and when, what differs between two, the way back, and documents that leave or
//! come in. Nothing is stored from here: the way back and an import go through the what-if.

use askama::Template;
use axum::body::Body;
use axum::http::Response;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use entrain_domain::service::{Role, slug};
use toml_edit::{DocumentMut, Item};

use super::super::parts::When;
use super::super::shell::{Shell, encoded};
use super::super::visit::{Reply, Visit};
use super::{Result, Said, Tab, document, tabs, what_if};
use crate::diff::{self, Context, Line};
use crate::problem::Problem;
use crate::rulebook::Version;

/// Most versions that are listed.
const LISTED: usize = 100;

struct Row {
    number: i64,
    author: String,
    at: When,
    /// Lines that it added and took out.
    added: usize,
    removed: usize,
    current: bool,
    /// It removed the connection.
    end: bool,
    why: String,
}

/// Whose version is compared, and why it was stored.
struct Stored {
    author: String,
    at: When,
    why: String,
}

fn why(version: &Version) -> String {
    version.why.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "rules_versions.html")]
struct VersionsPage {
    shell: Shell,
    name: String,
    slug: String,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    more: usize,
    from: i64,
    to: i64,
    stored: Option<Stored>,
    diff: Vec<Line>,
    may_change: bool,
}

fn unknown(number: &str) -> Problem {
    Problem::request(
        format!("there is no version {number} of these rules"),
        "choose one of those that are listed",
    )
}

fn numbered<'a>(versions: &'a [Version], number: &str) -> Result<&'a Version> {
    let wanted = number.parse::<i64>().ok();
    versions.iter().find(|version| Some(version.number) == wanted).ok_or_else(|| unknown(number))
}

fn text(version: &Version) -> &str {
    version.document.as_deref().unwrap_or_default()
}

pub(in crate::console) async fn page(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let versions = visit.console.service.versions(&connection.name).await?;
    let newest = versions.first();
    let to = match visit.text("to") {
        Some(number) => Some(numbered(&versions, number)?),
        None => newest,
    };
    let from = match (visit.text("from"), to) {
        (Some(number), _) => Some(numbered(&versions, number)?),
        (None, Some(to)) => versions.iter().find(|version| version.number < to.number).or(Some(to)),
        (None, None) => None,
    };
    let now = visit.console.service.now();
    let row = |(at, version): (usize, &Version)| {
        let before = versions.get(at + 1).map(text).unwrap_or_default();
        let changed = diff::lines(before, text(version), Context::None);
        Row {
            number: version.number,
            author: version.author.clone(),
            at: When::new(version.at, now),
            added: changed.iter().filter(|line| line.sign == '+').count(),
            removed: changed.iter().filter(|line| line.sign == '-').count(),
            current: at == 0,
            end: version.document.is_none(),
            why: why(version),
        }
    };
    let slug = encoded(&slug(&connection.name));
    Reply::page(&VersionsPage {
        shell: visit.shell_of(&connection.name, "Versions of the rules").await?.at("Rules"),
        tabs: tabs(&slug, "versions"),
        slug,
        rows: versions.iter().enumerate().take(LISTED).map(row).collect(),
        more: versions.len().saturating_sub(LISTED),
        from: from.map_or(0, |version| version.number),
        to: to.map_or(0, |version| version.number),
        stored: to.map(|version| Stored {
            author: version.author.clone(),
            at: When::new(version.at, now),
            why: why(version),
        }),
        diff: match (from, to) {
            (Some(from), Some(to)) => diff::lines(text(from), text(to), Context::Near),
            _ => Vec::new(),
        },
        may_change: visit.may(Role::Administrator),
        name: connection.name,
    })
}

/// An earlier version as the next one.
pub(in crate::console) async fn back(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let versions = visit.console.service.versions(&connection.name).await?;
    let number = visit.text("version").unwrap_or_default();
    let document = numbered(&versions, number)?.document.clone().ok_or_else(|| unknown(number))?;
    let said = Said { why: format!("Back to version {number}"), error: None };
    what_if(&visit, connection, document, said).await
}

/// The document as a file; its secrets are sealed in it.
pub(in crate::console) async fn export(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let document = match visit.text("version") {
        None => visit.console.service.document(&connection.name).await?,
        Some(number) => {
            let versions = visit.console.service.versions(&connection.name).await?;
            numbered(&versions, number)?.document.clone().ok_or_else(|| unknown(number))?
        }
    };
    // What is left of a slug is letters, digits and hyphens; others than ASCII have no place in a header
    let name: String = slug(&connection.name).chars().filter(char::is_ascii).collect();
    Response::builder()
        .header(CONTENT_TYPE, "application/toml; charset=utf-8")
        .header(CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.toml\""))
        .body(Body::from(document))
        .map(Reply::raw)
        .map_err(|_| Problem::internal())
}

/// The document of another connection, made the document of this one: under this one's name, and, unless all of it is
/// wanted, with the directory and the site of this one.
fn adopted(theirs: &str, ours: &str, name: &str, all: Whole) -> Result<String> {
    let mut document: DocumentMut = theirs.parse().map_err(|error: toml_edit::TomlError| {
        let line =
            error.span().map_or(1, |span| theirs[..span.start.min(theirs.len())].matches('\n').count() + 1);
        Problem::request(
            format!("what is imported is not TOML, line {line}"),
            "paste a document that was exported",
        )
    })?;
    match document.get_mut("name").and_then(Item::as_value_mut) {
        Some(value) => {
            let decor = value.decor().clone();
            *value = name.into();
            *value.decor_mut() = decor;
        }
        None => document["name"] = toml_edit::value(name),
    }
    if all == Whole::Yes {
        return Ok(document.to_string());
    }
    let Ok(ours) = ours.parse::<DocumentMut>() else { return Ok(document.to_string()) };
    for section in ["directory", "site"] {
        if let Some(item) = ours.get(section) {
            document.insert(section, item.clone());
        }
    }
    Ok(document.to_string())
}

/// Whether directory and site come along.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

pub(in crate::console) async fn import(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let ours = visit.console.service.document(&connection.name).await?;
    let all = if visit.text("what") == Some("all") { Whole::Yes } else { Whole::No };
    let document = adopted(&document(&visit)?, &ours, &connection.name, all)?;
    what_if(&visit, connection, document, Said::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_another_connection_keep_this_ones_name_directory_and_site() {
        let theirs = "name = \"Test\" # ours\n\n[directory]\ntenant_id = \"t\"\n\n[site]\nurl = \"t\"\n\n# who\n[scope]\n\
            groups = [\"A\"]\n";
        let ours = "name = \"Live\"\n\n[directory]\ntenant_id = \"l\"\n\n[site]\nurl = \"l\"\n\n[scope]\ngroups = []\n";
        let rules = adopted(theirs, ours, "Live", Whole::No).unwrap();
        assert_eq!(
            rules,
            "name = \"Live\" # ours\n\n[directory]\ntenant_id = \"l\"\n\n[site]\nurl = \"l\"\n\n# who\n[scope]\n\
             groups = [\"A\"]\n"
        );
        let all = adopted(theirs, ours, "Live", Whole::Yes).unwrap();
        assert_eq!(all, theirs.replace("Test", "Live"));
        assert!(adopted("a\nb = [", ours, "Live", Whole::Yes).is_err());
    }
}
