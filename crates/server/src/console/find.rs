//! Looking for anything by a few letters: people and groups of every connection, connections, runs, pages. The palette
//! puts the results of this page under its field as somebody types; without script it is an ordinary form.

use askama::Template;
use entrain_domain::service::slug;
use serde::Deserialize;

use super::parts::{count, day_and_time, icon};
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::{Connection, Searched};

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Most of one kind, over all connections.
const EACH: usize = 8;
/// Runs that are looked through.
const RUNS: u32 = 200;

/// What the mirror gives.
#[derive(Default, Deserialize)]
struct Hits {
    #[serde(default)]
    found: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    directory_id: String,
    name: String,
    #[serde(default)]
    mail: Option<String>,
}

/// Somewhere to go.
struct Found {
    icon: &'static str,
    label: String,
    note: String,
    href: String,
}

/// Everything of one kind.
struct Kind {
    title: &'static str,
    found: Vec<Found>,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    shell: Shell,
    headline: String,
    q: String,
    kinds: Vec<Kind>,
}

async fn of_mirrors(
    visit: &Visit,
    connections: &[Connection],
    what: Searched,
    q: &str,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let several = connections.len() > 1;
    for connection in connections {
        let most = EACH.saturating_sub(found.len());
        if most == 0 {
            break;
        }
        let hits = visit.console.service.search(&connection.name, what, q, most).await?;
        let hits: Hits = serde_json::from_value(hits).unwrap_or_default();
        let slug = encoded(&slug(&connection.name));
        let (icon, page) = match what {
            Searched::Users => ("person", "person?who"),
            Searched::Groups => ("group", "group?which"),
        };
        found.extend(hits.found.into_iter().take(most).map(|hit| {
            let mut note = hit.mail.unwrap_or_default();
            if several {
                let gap = if note.is_empty() { "" } else { ", " };
                note = format!("{note}{gap}{}", connection.name);
            }
            let href = format!("/connections/{slug}/{page}={}", encoded(&hit.directory_id));
            Found { icon, label: hit.name, note, href }
        }));
    }
    Ok(found)
}

pub(super) async fn page(visit: Visit) -> Result {
    let q = visit.text("q").unwrap_or_default().trim().to_owned();
    let shell = visit.shell("Search").await?;
    let mut kinds = Vec::new();
    if !q.is_empty() {
        let wanted = q.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        let service = &visit.console.service;
        let connections = service.connections().await?;
        let found = of_mirrors(&visit, &connections, Searched::Users, &q).await?;
        kinds.push(Kind { title: "People", found });
        let found = of_mirrors(&visit, &connections, Searched::Groups, &q).await?;
        kinds.push(Kind { title: "Groups", found });
        let of = |connection: &&Connection| has(&connection.name) || has(&connection.site);
        let found = connections.iter().filter(of).take(EACH).map(|connection| Found {
            icon: "connection",
            label: connection.name.clone(),
            note: connection.site.clone(),
            href: format!("/connections/{}", encoded(&slug(&connection.name))),
        });
        kinds.push(Kind { title: "Connections", found: found.collect() });
        let runs = service.runs(None, None, RUNS).await?;
        let found = runs.iter().filter(|run| has(run.id.as_str())).take(EACH).map(|run| Found {
            icon: "run",
            label: format!("Run {}", run.id),
            note: format!("{}, {}", run.connection, day_and_time(run.started_at)),
            href: format!("/runs/{}", run.id),
        });
        kinds.push(Kind { title: "Runs", found: found.collect() });
        let found = shell.offers.iter().filter(|offer| has(&offer.label)).take(EACH).map(|offer| Found {
            icon: offer.icon,
            label: offer.label.clone(),
            note: offer.note.to_owned(),
            href: offer.href.clone(),
        });
        kinds.push(Kind { title: "Pages", found: found.collect() });
        kinds.retain(|kind| !kind.found.is_empty());
    }
    let n: usize = kinds.iter().map(|kind| kind.found.len()).sum();
    let headline = match (q.is_empty(), n) {
        (true, _) => "Search".to_owned(),
        (_, 0) => "Nothing of that name".to_owned(),
        (_, n) => format!("{} found", count(n as u64, "place is", "places are")),
    };
    Reply::page(&FindPage { shell, headline, q, kinds })
}
