//! The third step: what may be done on the site, and which people and groups take part, picked from the real directory.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::http::StatusCode;
use serde_json::Value;

use super::{Frame, Result, Step, at, keep};
use crate::console::parts::{When, count, icon, number, sentence};
use crate::console::visit::{Reply, Visit};
use crate::drafts::{Draft, Fault, Flag, Part, Secrets, Seen};

/// Groups on one page.
const PAGE: usize = 20;

const GROUPS: &str = "scope.groups";
const OPERATIONS: [(&str, &str); 3] = [
    ("import_users", "operations.import_users"),
    ("import_groups", "operations.import_groups"),
    ("sync_memberships", "operations.sync_memberships"),
];

struct GroupRow {
    id: String,
    name: String,
    people: Option<String>,
    /// What tells it apart from another group of its name.
    twin: Option<String>,
    picked: bool,
    /// It takes part by a pattern, whether it is picked or not.
    by_pattern: bool,
}

/// The part of the groups that is shown.
struct Shown {
    rows: Vec<GroupRow>,
    found: String,
    before: Option<usize>,
    after: Option<usize>,
    range: String,
}

#[derive(Template)]
#[template(path = "wizard_scope.html")]
#[expect(clippy::struct_excessive_bools, reason = "what the template asks")]
struct ScopePage {
    frame: Frame,
    import_users: bool,
    import_groups: bool,
    sync_memberships: bool,
    users: &'static str,
    assigned_to: String,
    guests: bool,
    patterns: String,
    /// Groups that were picked: id and name, with what tells it apart from another of its name.
    picked: Vec<(String, String)>,
    find: String,
    shown: Option<Shown>,
    read_at: Option<When>,
    headline: String,
    figures: String,
    reading: bool,
    failure: Option<(String, String)>,
    errors: Vec<String>,
}

fn users(draft: &Draft) -> &'static str {
    match draft.text("scope.users") {
        "assigned" => "assigned",
        "all" => "all",
        _ => "in_groups",
    }
}

fn picked(draft: &Draft) -> Vec<(String, String)> {
    let name = |id: &&str| draft.said.names.get(*id).map(|name| ((*id).to_owned(), name.clone()));
    draft.list(GROUPS).iter().filter_map(name).collect()
}

fn patterns(draft: &Draft) -> Vec<String> {
    let typed = |text: &&&str| !draft.said.names.contains_key(**text);
    draft.list(GROUPS).iter().filter(typed).map(|text| (*text).to_owned()).collect()
}

async fn made(visit: &Visit, draft: &Draft, faults: &[Fault], find: &str, from: usize) -> Result<ScopePage> {
    let service = &visit.console.service;
    let now = service.now();
    let on = |key| draft.flag(key, Flag::On) == Flag::On;
    let mut page = ScopePage {
        frame: Frame::of(visit, draft, Step::Scope, "who and what"),
        import_users: on("operations.import_users"),
        import_groups: on("operations.import_groups"),
        sync_memberships: on("operations.sync_memberships"),
        users: users(draft),
        assigned_to: draft.text("scope.assigned_to").to_owned(),
        guests: draft.text("scope.guests") != "exclude",
        patterns: patterns(draft).join("\n"),
        picked: picked(draft),
        find: find.to_owned(),
        shown: None,
        read_at: None,
        headline: "Who and what takes part".into(),
        figures: String::new(),
        reading: false,
        failure: None,
        errors: faults.iter().map(in_words).collect(),
    };
    match service.draft_groups(&draft.id).await {
        Ok(Seen::Reading) => {
            page.reading = true;
            page.headline = "Reading the directory".into();
        }
        Err(failure) => page.failure = Some((sentence(&failure.message), sentence(&failure.remedy))),
        Ok(Seen::Read { at, groups, enabled, taking_part }) => {
            page.read_at = Some(When::new(at, now));
            let chosen = groups.iter().filter(|group| group.selected).count() as u64;
            let people = taking_part.unwrap_or_default();
            page.headline = match (taking_part, chosen) {
                (Some(people), groups) if people + groups > 0 => format!(
                    "{} in {} would take part",
                    count(people, "person", "people"),
                    count(groups, "group", "groups")
                ),
                _ => "Nobody takes part yet".into(),
            };
            page.figures = format!(
                "{} of {} enabled people, {} of {} groups",
                number(people),
                number(enabled),
                number(chosen),
                number(groups.len() as u64)
            );
            let mut times: BTreeMap<&str, usize> = BTreeMap::new();
            for group in &groups {
                *times.entry(group.name.as_str()).or_default() += 1;
            }
            let twin = |id: &str, name: &str| {
                let several = times.get(name).is_some_and(|times| *times > 1);
                several.then(|| id.chars().take(8).collect::<String>())
            };
            for (id, name) in &mut page.picked {
                if let Some(twin) = twin(id, name) {
                    *name = format!("{name} ({twin})");
                }
            }
            let ids: BTreeSet<&str> = page.picked.iter().map(|(id, _)| id.as_str()).collect();
            let wanted = find.to_lowercase();
            let found: Vec<_> =
                groups.iter().filter(|group| group.name.to_lowercase().contains(&wanted)).collect();
            let from = if from < found.len() { from } else { 0 };
            let row = |group: &&crate::drafts::GroupSeen| GroupRow {
                picked: ids.contains(group.id.as_str()),
                by_pattern: group.selected && !ids.contains(group.id.as_str()),
                people: group.people.map(number),
                twin: twin(&group.id, &group.name),
                id: group.id.clone(),
                name: group.name.clone(),
            };
            let rows: Vec<GroupRow> = found.iter().skip(from).take(PAGE).map(row).collect();
            page.shown = Some(Shown {
                found: count(found.len() as u64, "group", "groups"),
                before: (from > 0).then(|| from.saturating_sub(PAGE)),
                after: (from + rows.len() < found.len()).then_some(from + rows.len()),
                range: format!("{} to {}", number(from as u64 + 1), number((from + rows.len()) as u64)),
                rows,
            });
        }
    }
    Ok(page)
}

fn in_words(fault: &Fault) -> String {
    let label = match fault.key.as_str() {
        "scope.assigned_to" => "The application’s id",
        key if key.starts_with(GROUPS) => "The list of groups",
        "name" => "The name",
        "" => "The document",
        key => key,
    };
    sentence(&format!("{label} {}", fault.what))
}

fn asked(visit: &Visit) -> (String, usize) {
    let find = visit.text("find").unwrap_or_default().trim().chars().take(100).collect();
    (find, visit.text("from").and_then(|from| from.parse().ok()).unwrap_or_default())
}

pub(in crate::console) async fn page(visit: Visit) -> Result {
    let draft = match at(&visit, Step::Scope).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let (find, from) = asked(&visit);
    Reply::page(&made(&visit, &draft, &[], &find, from).await?)
}

/// Takes what was sent into the draft.
async fn hear(visit: &Visit, draft: &mut Draft) -> Result<()> {
    let mut known: BTreeMap<String, String> = draft.said.names.clone();
    if visit.all("pick").next().is_some()
        && let Ok(Seen::Read { groups, .. }) = visit.console.service.draft_groups(&draft.id).await
    {
        known.extend(groups.into_iter().map(|group| (group.id, group.name)));
    }
    let shown: BTreeSet<&str> = visit.all("shown").chain(visit.all("drop")).collect();
    let ticked: Vec<&str> = visit.all("pick").collect();
    let mut ids: Vec<String> =
        picked(draft).into_iter().map(|(id, _)| id).filter(|id| !shown.contains(id.as_str())).collect();
    let dropped: BTreeSet<&str> = visit.all("drop").collect();
    for id in ticked {
        if known.contains_key(id) && !dropped.contains(id) && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    draft.said.names = ids.iter().filter_map(|id| Some((id.clone(), known.get(id)?.clone()))).collect();
    ids.sort_by_key(|id| draft.said.names.get(id).map(|name| name.to_lowercase()));
    let typed = visit.field("patterns").unwrap_or_default();
    let typed = typed.lines().map(str::trim).filter(|line| !line.is_empty());
    let all: Vec<Value> = typed.map(Value::from).chain(ids.into_iter().map(Value::from)).collect();
    let values = &mut draft.said.values;
    values.insert(GROUPS.into(), all.into());
    for (name, key) in OPERATIONS {
        values.insert(key.into(), visit.text(name).is_some().into());
    }
    let users = match visit.text("users") {
        Some("assigned") => "assigned",
        Some("all") => "all",
        _ => "in_groups",
    };
    values.insert("scope.users".into(), users.into());
    let guests = if visit.text("guests").is_some() { "include" } else { "exclude" };
    values.insert("scope.guests".into(), guests.into());
    match visit.text("assigned_to").map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => values.insert("scope.assigned_to".into(), id.into()),
        None => values.remove("scope.assigned_to"),
    };
    Ok(())
}

pub(in crate::console) async fn say(visit: Visit) -> Result {
    let mut draft = match at(&visit, Step::Scope).await? {
        Ok(draft) => draft,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let before = draft.said.values.clone();
    hear(&visit, &mut draft).await?;
    if draft.said.values != before {
        (draft.said.chosen, draft.said.planned) = (None, None);
    }
    keep(&visit, &draft, Secrets::new()).await?;
    let (find, _) = asked(&visit);
    let dropped = visit.all("drop").next().is_some();
    let word = if dropped { "show" } else { visit.text("do").unwrap_or("go") };
    let from = word.strip_prefix("from:").and_then(|from| from.parse().ok()).unwrap_or(0_usize);
    match word {
        "leave" => return Reply::saying("/setup", "kept"),
        "go" => {}
        _ => {
            let find: String = url::form_urlencoded::byte_serialize(find.as_bytes()).collect();
            return Reply::to(&format!("{}?find={find}&from={from}", Step::Scope.address(&draft)));
        }
    }
    let faults = visit.console.service.judge_draft(&draft.id, Part::Whole).await?;
    if !faults.is_empty() {
        let page = made(&visit, &draft, &faults, &find, 0).await?;
        return Reply::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    draft.said.chosen = Some(visit.console.service.now());
    keep(&visit, &draft, Secrets::new()).await?;
    Reply::to(&Step::Preview.address(&draft))
}
