//! People and groups: found as they were last read, explained by reading both sides.

use askama::Template;
use entrain_domain::plan::explain::Related;
use entrain_domain::service::slug;
use entrain_engine::{Freshness, Question};
use serde::Deserialize;

use super::explained::{self, MemberRow, PlaceRow, Reason};
use super::parts::{count, icon, number, sentence};
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::Searched;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Most that a search shows.
const FOUND: usize = 100;
/// Members of a group on one page, so that each stays below 100 kB.
const PAGE: usize = 100;

/// What a search in the mirror gives.
#[derive(Default, Deserialize)]
struct Hits {
    #[serde(default)]
    read: bool,
    #[serde(default)]
    found: Vec<Hit>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Hit {
    directory_id: String,
    name: String,
    #[serde(default)]
    mail: Option<String>,
}

struct Row {
    name: String,
    mail: String,
    id: String,
    href: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    shell: Shell,
    headline: String,
    sub: String,
    /// `people` or `groups`.
    kind: &'static str,
    slug: String,
    find: String,
    read: bool,
    more: bool,
    rows: Vec<Row>,
}

async fn search(visit: Visit, what: Searched) -> Result {
    let connection = visit.connection().await?;
    let slug = encoded(&slug(&connection.name));
    let find = visit.text("find").unwrap_or_default().trim().to_owned();
    let hits = visit.console.service.search(&connection.name, what, &find, FOUND).await?;
    let hits: Hits = serde_json::from_value(hits).unwrap_or_default();
    let (kind, one, asked) = match what {
        Searched::Users => ("people", "person?who", ("person", "people")),
        Searched::Groups => ("groups", "group?which", ("group", "groups")),
    };
    let n = hits.found.len() as u64;
    let headline = match (hits.read, n, hits.more) {
        (false, ..) => "Nothing was read yet".to_owned(),
        (_, 0, _) => format!("No {} of that name", asked.0),
        (_, n, true) => format!("The first {} {}", number(n), asked.1),
        (_, n, false) => count(n, asked.0, asked.1),
    };
    let rows = hits.found.into_iter().map(|hit| Row {
        href: format!("/connections/{slug}/{one}={}", encoded(&hit.directory_id)),
        name: hit.name,
        mail: hit.mail.unwrap_or_default(),
        id: hit.directory_id,
    });
    Reply::page(&SearchPage {
        shell: visit.shell_of(&connection.name, if kind == "people" { "People" } else { "Groups" }).await?,
        headline,
        sub: format!(
            "{} in Entra, as the last run read them. Open one to see both sides, and why.",
            connection.name
        ),
        kind,
        find,
        read: hits.read,
        more: hits.more,
        rows: rows.collect(),
        slug,
    })
}

pub(super) async fn people(visit: Visit) -> Result {
    search(visit, Searched::Users).await
}

pub(super) async fn groups(visit: Visit) -> Result {
    search(visit, Searched::Groups).await
}

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    shell: Shell,
    slug: String,
    who: String,
    group: String,
    verdict: String,
    name: String,
    object: String,
    chain: Vec<Reason>,
    places: Vec<PlaceRow>,
    /// Groups that have nothing to do with the person.
    elsewhere: u64,
}

/// Somebody asked about by an id, an address or a name.
fn asked<'a>(visit: &'a Visit, field: &str) -> Result<&'a str> {
    visit.text(field).ok_or_else(|| {
        Problem::request("nobody is asked about", "search for a name, and choose one that is found")
    })
}

pub(super) async fn person(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let slug = encoded(&slug(&connection.name));
    let who = asked(&visit, "who")?.to_owned();
    let group = visit.text("group").unwrap_or_default().trim().to_owned();
    let question = match group.as_str() {
        "" => Question::User(who.clone()),
        group => Question::Membership { user: who.clone(), group: group.to_owned() },
    };
    let told = visit.console.service.explain(&connection.name, question, Freshness::Incremental).await?;
    let all = match &told.related {
        Related::Groups(places) => places.as_slice(),
        Related::Members(_) => &[],
    };
    let places: Vec<PlaceRow> = all.iter().filter_map(|place| PlaceRow::of(place, &slug)).collect();
    Reply::page(&PersonPage {
        shell: visit.shell_of(&connection.name, explained::name_of(&told.object)).await?.at("People"),
        verdict: sentence(&told.verdict),
        chain: explained::chain(&told),
        elsewhere: (all.len() - places.len()) as u64,
        places,
        name: explained::name_of(&told.object),
        object: sentence(&told.object),
        slug,
        who,
        group,
    })
}

#[derive(Template)]
#[template(path = "group.html")]
struct GroupPage {
    shell: Shell,
    slug: String,
    which: String,
    verdict: String,
    name: String,
    object: String,
    chain: Vec<Reason>,
    members: Vec<MemberRow>,
    from: usize,
    total: u64,
    before: Option<usize>,
    after: Option<usize>,
}

pub(super) async fn group(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let slug = encoded(&slug(&connection.name));
    let which = asked(&visit, "which")?.to_owned();
    let question = Question::Group(which.clone());
    let told = visit.console.service.explain(&connection.name, question, Freshness::Incremental).await?;
    let all = match &told.related {
        Related::Members(members) => members.as_slice(),
        Related::Groups(_) => &[],
    };
    let from = visit.text("from").and_then(|from| from.parse().ok()).unwrap_or(0).min(all.len());
    let members = all[from..].iter().take(PAGE).map(|member| MemberRow::of(member, &slug)).collect();
    Reply::page(&GroupPage {
        shell: visit.shell_of(&connection.name, explained::name_of(&told.object)).await?.at("Groups"),
        verdict: sentence(&told.verdict),
        chain: explained::chain(&told),
        total: all.len() as u64,
        before: (from > 0).then(|| from.saturating_sub(PAGE)),
        after: (from + PAGE < all.len()).then_some(from + PAGE),
        from,
        members,
        name: explained::name_of(&told.object),
        object: sentence(&told.object),
        which: encoded(&which),
        slug,
    })
}
