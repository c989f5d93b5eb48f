//! One form of the rules: shown, tried on people while it is filled in, and turned into a document whose what-if is shown
//! before it can be saved. Nothing is kept in between: a form is what the page holds.

use askama::Template;
use axum::http::StatusCode;
use entrain_domain::service::{Role, slug};
use toml_edit::DocumentMut;

use super::super::parts::{icon, sentence};
use super::super::shell::{Shell, encoded};
use super::super::visit::{Reply, Visit};
use super::edit::{self, Shown};
use super::topics::{Field, Kind, Topic, topic};
use super::{Result, Said, Tab, tabs, what_if};
use crate::problem::Problem;
use crate::rulebook::{Fault, Outcome, Trial};
use crate::service::{Connection, Searched};

/// Most groups that a search shows.
const FOUND: usize = 20;

/// An option of a field.
struct Choice {
    word: &'static str,
    label: &'static str,
    chosen: bool,
}

/// A field as it is shown.
struct View {
    name: &'static str,
    id: String,
    label: &'static str,
    help: &'static str,
    unit: &'static str,
    /// What holds where nothing is said, in words.
    default: &'static str,
    kind: Kind,
    value: String,
    choices: Vec<Choice>,
    /// The form has no text for what the document says.
    elsewhere: bool,
    errors: Vec<String>,
}

impl View {
    fn described(&self) -> String {
        let error = if self.errors.is_empty() { String::new() } else { format!(" {}-e", self.id) };
        format!("{}-h{error}", self.id)
    }
}

/// How something came out for one person or group.
struct Cell {
    /// Empty for a plain text.
    state: &'static str,
    icon: &'static str,
    text: String,
}

/// A person or group that the rules were tried on.
struct TriedRow {
    name: String,
    id: String,
    cells: [Cell; 2],
    why: String,
}

/// A group that was found.
struct Found {
    /// What is written into the list.
    text: String,
    name: String,
}

/// What a search for groups found.
struct Search {
    found: Vec<Found>,
    more: bool,
}

#[derive(Template)]
#[template(path = "rules_form.html")]
struct FormPage {
    shell: Shell,
    name: String,
    slug: String,
    tabs: Vec<Tab>,
    version: i64,
    topic: &'static Topic,
    fields: Vec<View>,
    may_change: bool,
    find: String,
    search: Option<Search>,
    who: String,
    trial: Option<Trial>,
    rows: Vec<TriedRow>,
    /// What is wrong, and belongs to no field of this form.
    others: Vec<String>,
    /// How many fields are wrong.
    wrong: usize,
    /// Somebody saved another version since the form was opened.
    overtaken: bool,
}

/// What the page is made from.
#[derive(Default)]
struct Draft {
    /// What the fields were filled with, by their names; nothing where the document is shown.
    said: Option<Vec<(&'static str, String)>>,
    errors: Vec<(&'static str, String)>,
    others: Vec<String>,
    trial: Option<Trial>,
    find: String,
    search: Option<Search>,
    overtaken: bool,
}

fn cell((outcome, text): &(Outcome, String)) -> Cell {
    let (state, icon) = match outcome {
        Outcome::Good => ("ok", "ok"),
        Outcome::Out => ("danger", "minus"),
        Outcome::Unsure => ("warn", "warn"),
        Outcome::Plain => ("", ""),
    };
    Cell { state, icon, text: text.clone() }
}

fn parsed(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|_| {
        Problem::request(
            "the stored document cannot be read by this version",
            "mend it under Document, where its mistakes are named",
        )
    })
}

fn wanted(visit: &Visit) -> Result<&'static Topic> {
    topic(visit.path("topic")).ok_or_else(Problem::not_here)
}

pub(in crate::console) async fn page(visit: Visit) -> Result {
    let word = wanted(&visit)?.word;
    show(visit, word).await
}

pub(super) async fn show(visit: Visit, word: &str) -> Result {
    let topic = topic(word).ok_or_else(Problem::not_here)?;
    let connection = visit.connection().await?;
    let text = visit.console.service.document(&connection.name).await?;
    let document = parsed(&text)?;
    render(&visit, connection, topic, &document, Draft::default()).await
}

fn view(field: &Field, document: &DocumentMut, draft: &Draft) -> View {
    let shown = edit::shown(document, field);
    let elsewhere = shown == Shown::Elsewhere;
    let said = draft.said.as_ref().and_then(|said| said.iter().find(|(name, _)| *name == field.name));
    let value = match (said, shown) {
        (Some((_, said)), Shown::Text(_)) => said.clone(),
        (_, Shown::Text(text)) => text,
        (_, Shown::Elsewhere) => String::new(),
    };
    let options = field.kind.options();
    let default =
        options.iter().find(|(word, _)| *word == field.default).map_or(field.default, |(_, label)| *label);
    View {
        name: field.name,
        id: field.name.replace('.', "-"),
        label: field.label,
        help: field.help,
        unit: field.unit,
        default,
        kind: field.kind,
        choices: options.iter().map(|(word, label)| Choice { word, label, chosen: *word == value }).collect(),
        value,
        elsewhere,
        errors: draft
            .errors
            .iter()
            .filter(|(name, _)| *name == field.name)
            .map(|(_, said)| said.clone())
            .collect(),
    }
}

async fn render(
    visit: &Visit,
    connection: Connection,
    topic: &'static Topic,
    document: &DocumentMut,
    draft: Draft,
) -> Result {
    let fields: Vec<View> = topic.fields.iter().map(|field| view(field, document, &draft)).collect();
    let wrong = fields.iter().filter(|field| !field.errors.is_empty()).count();
    let status =
        if wrong + draft.others.len() > 0 { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let slug = encoded(&slug(&connection.name));
    let samples = draft.trial.iter().flat_map(|trial| &trial.samples);
    let row = |one: &crate::rulebook::Sample| TriedRow {
        name: one.name.clone(),
        id: one.id.clone(),
        cells: [cell(&one.before), cell(&one.after)],
        why: one.why.clone(),
    };
    Reply::page_with(
        status,
        &FormPage {
            shell: visit.shell_of(&connection.name, format!("Rules: {}", topic.title)).await?.at("Rules"),
            tabs: tabs(&slug, topic.word),
            slug,
            name: connection.name,
            version: connection.version,
            topic,
            may_change: visit.may(Role::Administrator),
            fields,
            find: draft.find,
            search: draft.search,
            who: visit.field("who").unwrap_or_default().to_owned(),
            rows: samples.map(row).collect(),
            trial: draft.trial,
            others: draft.others,
            wrong,
            overtaken: draft.overtaken,
        },
    )
}

/// The field that a fault is about: the one with the longest key that the fault's begins with.
fn of_field(topic: &Topic, key: &str) -> Option<&'static str> {
    let covers = |field: &&Field| match key.strip_prefix(field.key) {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    };
    let named = |field: &&Field| match field.kind {
        // Several fields share the key
        Kind::Part(part) => {
            let last = key.rsplit('.').next().unwrap_or_default();
            if part == "from" { !["default", "when"].contains(&last) } else { last == part }
        }
        _ => true,
    };
    let fields = topic.fields.iter().filter(covers).filter(named);
    fields.max_by_key(|field| field.key.len()).map(|field| field.name)
}

fn told(fault: &Fault) -> String {
    let place = format!("{} (line {})", fault.key, fault.line);
    format!("{place} {} {}", sentence_rest(&fault.what), sentence(&fault.remedy))
}

fn sentence_rest(text: &str) -> String {
    if text.ends_with(['.', '?', '!', '”']) { text.to_owned() } else { format!("{text}.") }
}

/// Groups of the mirror, to be picked.
async fn search(visit: &Visit, connection: &str, find: &str) -> Result<Search> {
    let answer = visit.console.service.search(connection, Searched::Groups, find, FOUND).await?;
    let hits = answer["found"].as_array().into_iter().flatten();
    let found = hits
        .filter_map(|hit| {
            let (name, id) = (hit["name"].as_str()?, hit["directory_id"].as_str()?);
            // As a pattern, or with line ends, a name would say something else
            let plain = !name.contains('*') && !name.chars().any(char::is_control) && name.trim() == name;
            Some(Found { text: if plain { name } else { id }.to_owned(), name: name.to_owned() })
        })
        .collect();
    Ok(Search { found, more: answer["more"].as_bool() == Some(true) })
}

/// What was filled in, with what was picked written into its lists.
fn heard(visit: &Visit, topic: &Topic) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    for field in topic.fields {
        let Some(text) = visit.field(field.name) else { continue };
        let mut text = text.replace("\r\n", "\n");
        let picked = match field.key {
            "scope.groups" => "pick",
            "scope.exclude_groups" => "leave",
            _ => "",
        };
        for group in visit.all(picked).filter(|_| !picked.is_empty()) {
            if !text.lines().any(|line| line.trim() == group) {
                text = if text.trim().is_empty() {
                    group.to_owned()
                } else {
                    format!("{}\n{group}", text.trim_end())
                };
            }
        }
        said.push((field.name, text));
    }
    said
}

pub(in crate::console) async fn say(visit: Visit) -> Result {
    let topic = wanted(&visit)?;
    let connection = visit.connection().await?;
    let service = visit.console.service.clone();
    let text = service.document(&connection.name).await?;
    let stored = parsed(&text)?;
    let said = heard(&visit, topic);
    let mut draft = Draft { find: visit.field("find").unwrap_or_default().to_owned(), ..Draft::default() };
    let mut document = stored.clone();
    for field in topic.fields {
        let Some((_, text)) = said.iter().find(|(name, _)| *name == field.name) else { continue };
        if let Err(what) = edit::write(&mut document, field, text) {
            draft.errors.push((field.name, what));
        }
    }
    draft.said = Some(said);
    let wanted = visit.text("do").unwrap_or("show");
    if wanted == "find" {
        draft.search = Some(search(&visit, &connection.name, &draft.find).await?);
        return render(&visit, connection, topic, &stored, draft).await;
    }
    let changed = document.to_string();
    if draft.errors.is_empty() {
        for fault in service.judge(&connection.name, &changed).await? {
            match of_field(topic, &fault.key) {
                Some(name) => draft.errors.push((name, told(&fault))),
                None => draft.others.push(told(&fault)),
            }
        }
    }
    let sound = draft.errors.is_empty() && draft.others.is_empty();
    if let (Some(trial), true, "try") = (topic.trial, sound, wanted) {
        let who = visit.text("who").unwrap_or_default();
        match service.try_out(&connection.name, &changed, trial, who).await {
            Ok(trial) => draft.trial = Some(trial),
            Err(failure) => {
                draft.others.push(format!("{} {}", sentence(&failure.message), sentence(&failure.remedy)));
            }
        }
    }
    if sound && wanted != "try" {
        draft.overtaken = visit.text("base") != Some(&connection.version.to_string());
        if !draft.overtaken {
            return what_if(&visit, connection, changed, Said::default()).await;
        }
    }
    render(&visit, connection, topic, &stored, draft).await
}
