//! People and groups: found as they were last read, explained by reading both sides.

use std::sync::Arc;

use askama::Template;
use entrain_domain::FailureCode;
use entrain_domain::plan::explain::{Explanation, Member, MemberState, Related};
use entrain_domain::run::{Intent, Trigger};
use entrain_domain::service::{Role, slug};
use entrain_engine::person::{Access, PersonOrder};
use entrain_engine::ports::Unwatched;
use entrain_engine::{Freshness, Question};
use serde::Deserialize;
use serde_json::Value;

use super::dossier::{self, Event, Former, Names, Rungs, Side};
use super::explained::{self, MemberRow, PlaceRow, Reason};
use super::parts::{When, count, icon, number, sentence};
use super::shell::{Shell, encoded};
use super::visit::{Reply, Visit};
use crate::problem::Problem;
use crate::service::Searched;

type Result<T = Reply> = std::result::Result<T, Problem>;

/// Most that a search shows.
const FOUND: usize = 100;
/// Members of a group on one page, so that each stays below 100 kB.
const PAGE: usize = 100;
/// What was written about a group, as much as its page tells.
const HISTORY: u32 = 30;
/// Groups of like names among which one of exactly that name is looked for.
const LIKE_IT: usize = 50;

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
    /// Groups that can be asked about.
    offered: Vec<String>,
    known: Option<Known>,
    may_sync: bool,
}

/// What is known without asking a cloud.
struct Known {
    id: String,
    matched: String,
    since: Option<When>,
    sides: Vec<Side>,
    ladder: Option<Rungs>,
    former: Vec<Former>,
    history: Vec<Event>,
}

/// Most groups that a page offers to ask about.
const OFFERED: usize = 300;

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
    let service = &visit.console.service;
    let now = service.now();
    let dossier = service.dossier(&connection.name, &who).await?;
    let mut places: Vec<PlaceRow> = Vec::new();
    for place in all {
        if let Some(mut row) = PlaceRow::of(place, &slug) {
            row.owner = dossier.as_ref().and_then(|dossier| dossier::owner(dossier, place, now));
            places.push(row);
        }
    }
    let elsewhere = (all.len() - places.len()) as u64;
    places.truncate(PAGE);
    let names: Names = all
        .iter()
        .filter_map(|place| {
            let name = place.site_name.as_ref().unwrap_or(&place.name);
            Some((place.site_id.as_ref()?.to_string(), name.to_string()))
        })
        .collect();
    let known = dossier.map(|dossier| Known {
        matched: dossier::matched(&dossier),
        since: dossier.since.map(|since| When::new(since, now)),
        sides: dossier::sides(&dossier),
        ladder: dossier::rungs(&dossier, now),
        former: dossier::former(&dossier.memberships, &names, now),
        history: dossier::history(
            &dossier.journal,
            (&names, &Names::default()),
            &dossier.decided,
            |_| Some(dossier.user.to_string()),
            now,
        ),
        id: dossier.user.to_string(),
    });
    Reply::page(&PersonPage {
        shell: visit.shell_of(&connection.name, explained::name_of(&told.object)).await?.at("People"),
        verdict: sentence(&told.verdict),
        chain: explained::chain(&told),
        elsewhere,
        offered: all.iter().take(OFFERED).map(|place| place.name.to_string()).collect(),
        places,
        name: explained::name_of(&told.object),
        object: sentence(&told.object),
        may_sync: visit.may(Role::Operator),
        known,
        slug,
        who,
        group,
    })
}

/// Syncs one person now, beside whatever run is under way, and comes back to their page.
pub(super) async fn sync(visit: Visit) -> Result {
    let connection = visit.connection().await?;
    let who = asked(&visit, "who")?;
    let mut order = PersonOrder::new(who, Trigger::Manual);
    order.by = visit.name()?;
    let outcome = visit.console.service.sync_person(&connection.name, order, Arc::new(Unwatched)).await?;
    let said = match outcome.access {
        Access::InStep { .. } => "person-in-step",
        Access::NotEntitled(_) => "person-out",
        Access::Held(_) => "person-held",
        Access::Later(_) => "person-later",
        Access::Waits { reason, remedy } => {
            return Err(Problem::local(FailureCode::PersonWaits, &reason, &remedy));
        }
    };
    let slug = encoded(&slug(&connection.name));
    Reply::saying(&format!("/connections/{slug}/person?who={}", encoded(who)), said)
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
    figures: Figures,
    total: u64,
    before: Option<usize>,
    after: Option<usize>,
    history: Vec<Event>,
}

/// What a group comes to.
struct Figures {
    /// Members in the directory, and on the site.
    sides: (String, String),
    /// What is to be put in and taken out.
    waits: (u64, u64),
    /// Put in and taken out on the site by somebody else.
    drift: (u64, u64),
    /// The word of its mode, and what that means; nothing where no rule fills it.
    mode: Option<(String, String)>,
}

impl Figures {
    fn of(members: &[Member], told: &Explanation) -> Self {
        let of = |states: &[MemberState]| {
            members.iter().filter(|member| states.contains(&member.state)).count() as u64
        };
        let gone = members
            .iter()
            .filter(|member| member.state == MemberState::Missing && member.owner.is_some())
            .count() as u64;
        let mode = told.chain.iter().find(|link| link.what == "mode").map(|link| {
            let (word, means) = link.text.split_once(": ").unwrap_or(("", &link.text));
            (word.to_owned(), sentence(means))
        });
        Self {
            sides: (
                number(of(&[MemberState::InStep, MemberState::Missing, MemberState::LeftOut])),
                number(of(&[
                    MemberState::InStep,
                    MemberState::Leaving,
                    MemberState::Own,
                    MemberState::Unknown,
                ])),
            ),
            waits: (of(&[MemberState::Missing]), of(&[MemberState::Leaving])),
            drift: (of(&[MemberState::Own]), gone),
            mode,
        }
    }
}

/// The directory's id of a group that was asked for by name, under which journals know it; what was asked for where that
/// names none, or several.
async fn id_of_group(visit: &Visit, connection: &str, which: &str) -> Result<String> {
    let found = visit.console.service.search(connection, Searched::Groups, which, LIKE_IT).await?;
    let named = |hit: &&Value| {
        hit["name"].as_str().is_some_and(|name| name.trim().eq_ignore_ascii_case(which.trim()))
    };
    let mut ids = found["found"].as_array().into_iter().flatten().filter(named);
    let id = ids.next().filter(|_| ids.next().is_none()).and_then(|hit| hit["directory_id"].as_str());
    Ok(id.unwrap_or(which).to_owned())
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
    let service = &visit.console.service;
    let id = id_of_group(&visit, &connection.name, &which).await?;
    let written = service.written_about(&connection.name, &id, HISTORY).await?;
    let accounts: Names = all
        .iter()
        .filter_map(|member| Some((member.site_id.as_ref()?.to_string(), member.name.to_string())))
        .collect();
    let decided = service.approved(&written).await?;
    // A reason is asked about a person of the directory: the one whose membership it is
    let people: Names = all
        .iter()
        .filter_map(|member| {
            Some((member.site_id.as_ref()?.to_string(), member.directory_id.as_ref()?.to_string()))
        })
        .collect();
    let whom = |intent: &Intent| match intent {
        Intent::AddMember { account, .. } | Intent::RemoveMember { account, .. } => {
            people.get(account.as_str()).map(str::to_owned)
        }
        _ => None,
    };
    let history = dossier::history(&written, (&Names::default(), &accounts), &decided, whom, service.now());
    let members = all[from..].iter().take(PAGE).map(|member| MemberRow::of(member, &slug)).collect();
    Reply::page(&GroupPage {
        shell: visit.shell_of(&connection.name, explained::name_of(&told.object)).await?.at("Groups"),
        verdict: sentence(&told.verdict),
        chain: explained::chain(&told),
        figures: Figures::of(all, &told),
        total: all.len() as u64,
        before: (from > 0).then(|| from.saturating_sub(PAGE)),
        after: (from + PAGE < all.len()).then_some(from + PAGE),
        from,
        history,
        members,
        name: explained::name_of(&told.object),
        object: sentence(&told.object),
        which: encoded(&which),
        slug,
    })
}
