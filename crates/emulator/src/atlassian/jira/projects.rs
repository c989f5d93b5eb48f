//! Projects and components with their leads. Who may not browse a project does not see it: administrators of Jira and
//! people with access to a product of Jira see all, everybody else none.

use serde_json::{Value, json};

use super::Call;
use super::render::{Detail, user};
use crate::atlassian::reply::{Answer, Reply};
use crate::world::atlassian::{Atlassian, SiteProject};

/// The default page is also the largest.
const MOST: usize = 50;

/// The projects that the caller may browse.
fn seen<'w>(call: &Call<'_>, world: &'w Atlassian) -> Vec<&'w SiteProject> {
    if call.browses(world) { world.projects.iter().collect() } else { Vec::new() }
}

fn lead(call: &Call<'_>, world: &Atlassian, id: &str) -> Value {
    world.accounts.get(id).map_or(Value::Null, |account| user(call, world, account, Detail::Plain))
}

pub(super) fn search(call: &Call<'_>) -> Answer {
    let (start, size) = (call.start_at()?, call.page_size(MOST, MOST)?);
    let query = call.query();
    if let Some(status) = query
        .all("status")
        .flat_map(|text| text.split(','))
        .find(|s| !["live", "archived", "deleted"].contains(s))
    {
        return Err(Reply::jira(400, format!("The status '{status}' is not valid.")));
    }
    let live = query.get("status").is_none_or(|text| text.split(',').any(|status| status == "live"));
    let term = query.get("query").map(str::to_lowercase);
    let keys: Vec<&str> = query.all("keys").collect();
    let world = call.state.world();
    let world = &world.atlassian;
    let mut found: Vec<&SiteProject> = seen(call, world)
        .into_iter()
        .filter(|_| live)
        .filter(|p| keys.is_empty() || keys.contains(&p.key.as_str()))
        .filter(|p| {
            let named =
                |term: &String| p.name.to_lowercase().contains(term) || p.key.to_lowercase().contains(term);
            term.as_ref().is_none_or(named)
        })
        .collect();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    let values: Vec<Value> = found
        .iter()
        .skip(start)
        .take(size)
        .map(|project| {
            let mut shown = json!({
                "self": format!("{}/project/{}", call.base, project.id()),
                "id": project.id(),
                "key": project.key,
                "name": project.name,
                "projectTypeKey": "software",
                "simplified": false,
                "style": "classic",
                "isPrivate": false,
                "properties": {},
            });
            if query.expands("lead") {
                shown["lead"] = lead(call, world, &project.lead);
            }
            shown
        })
        .collect();
    Ok(call.page(&values, start, size, found.len()))
}

pub(super) fn components(call: &Call<'_>) -> Answer {
    let (start, size) = (call.start_at()?, call.page_size(MOST, MOST)?);
    let world = call.state.world();
    let world = &world.atlassian;
    let projects = seen(call, world);
    let asked: Vec<&str> = call.query().all("projectIdsOrKeys").flat_map(|text| text.split(',')).collect();
    let mut wanted = Vec::new();
    for name in &asked {
        // Keys are case sensitive
        let project = projects.iter().find(|p| p.key == *name || p.id() == *name);
        wanted.push(
            *project
                .ok_or_else(|| Reply::jira(404, format!("No project could be found with key '{name}'.")))?,
        );
    }
    if asked.is_empty() {
        wanted = projects;
    }
    let all: Vec<Value> = wanted
        .into_iter()
        .flat_map(|project| {
            project.components.iter().enumerate().map(move |(n, component)| (project, n, component))
        })
        .map(|(project, n, component)| {
            let id = format!("{}{n:03}", project.id());
            let mut shown = json!({
                "ari": format!("ari:cloud:jira:{}:component/{id}", world.cloud_id),
                "self": format!("{}/component/{id}", call.base),
                "id": id,
                "name": component.name,
                "project": project.key,
                "projectId": project.number(),
                "assigneeType": "PROJECT_DEFAULT",
                "isAssigneeTypeValid": true,
            });
            if let Some(id) = &component.lead {
                shown["lead"] = lead(call, world, id);
            }
            shown
        })
        .collect();
    let values: Vec<Value> = all.iter().skip(start).take(size).cloned().collect();
    Ok(call.page(&values, start, size, all.len()))
}
