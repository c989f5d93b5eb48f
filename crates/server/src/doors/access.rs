//! The access page: people sign in with Entra ID, watch how their access is set up, and go on to the site. It works
//! without script; with it, the page follows by itself.
//!
//! What has to be kept between two requests is in sealed cookies, good for ten minutes: first the sign-in that was begun,
//! then who has signed in. So any server over the database can go on with it, and no session of the console is touched.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, REFRESH, RETRY_AFTER, SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use cookie::{Cookie, SameSite};
use entrain_domain::FailureCode;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::behind::{AccessDoor, Contact, Doors, Ending, Person};
use super::pace::Step;
use super::visits::Stage;
use super::{House, fresh};
use crate::assets;
use crate::listen::Peer;
use crate::problem::Problem;

/// How long a sign-in, and what follows it, may take.
const LIFE: SignedDuration = SignedDuration::from_mins(10);
/// Longest code, state or cookie that is looked at.
const LONGEST: usize = 4096;
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Which of the two cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    SignIn,
    Person,
}

/// A sign-in that was begun, in its cookie.
#[derive(Serialize, Deserialize)]
struct Started {
    until: Timestamp,
    state: String,
    kept: String,
    next: Option<String>,
}

/// Who has signed in, in its cookie.
#[derive(Serialize, Deserialize)]
struct Known {
    until: Timestamp,
    id: String,
    name: Option<String>,
    username: Option<String>,
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CameBack {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "door.html")]
struct Page<'a> {
    house: &'a str,
    face: String,
    style: &'static str,
    script: &'static str,
    brand: Option<String>,
    stage: &'static str,
    /// Seconds until the page is loaded again where there is no script.
    reload: Option<u32>,
    events: Option<String>,
    title: String,
    lead: String,
    chain: Vec<Link>,
    done: usize,
    button: Option<Button>,
    note: Option<&'static str>,
    contact: Option<&'a Contact>,
    number: Option<String>,
}

struct Link {
    class: &'static str,
    title: &'static str,
    text: String,
}

struct Button {
    text: &'static str,
    address: String,
    primary: bool,
}

impl Kept {
    fn purpose(self, doors: &Doors) -> String {
        let what = match self {
            Self::SignIn => "access page: sign-in",
            Self::Person => "access page: person",
        };
        format!("{what}: {}", doors.connection)
    }

    /// The name of the cookie: bound to this host where the browser can do that.
    fn name(self, doors: &Doors, door: &AccessDoor) -> String {
        let what = match self {
            Self::SignIn => "sign-in",
            Self::Person => "access",
        };
        let which = hex::encode(&Sha256::digest(&doors.connection)[..6]);
        let bound = if secure(door) { "__Host-" } else { "" };
        format!("{bound}entrain-{what}-{which}")
    }
}

fn secure(door: &AccessDoor) -> bool {
    door.public_url.starts_with("https://")
}

fn cookie(doors: &Doors, door: &AccessDoor, kept: Kept, value: String) -> HeaderValue {
    let life = if value.is_empty() { 0 } else { LIFE.as_secs() };
    let cookie = Cookie::build((kept.name(doors, door), value))
        .path("/")
        .http_only(true)
        .secure(secure(door))
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(life))
        .build();
    HeaderValue::from_str(&cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What a cookie holds, unsealed and not too old.
fn opened<T: for<'de> Deserialize<'de>>(
    house: &House,
    (doors, door): (&Doors, &AccessDoor),
    kept: Kept,
    headers: &HeaderMap,
) -> Option<T> {
    let name = kept.name(doors, door);
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .filter(|cookie| cookie.name() == name);
    let value = values.next()?.value().to_owned();
    if value.len() > LONGEST {
        return None;
    }
    let text = house.behind.open(&kept.purpose(doors), &value)?;
    serde_json::from_str(text.expose_secret()).ok()
}

fn sealed<T: Serialize>(
    house: &House,
    (doors, door): (&Doors, &AccessDoor),
    kept: Kept,
    value: &T,
) -> Result<HeaderValue, Problem> {
    let text = serde_json::to_string(value).map_err(|_| Problem::internal())?;
    let text = house.behind.seal(&kept.purpose(doors), &SecretString::from(text))?;
    Ok(cookie(doors, door, kept, text))
}

fn door(doors: &Doors) -> Result<&AccessDoor, Problem> {
    doors.access.as_ref().ok_or_else(Problem::not_here)
}

fn to(address: &str, cookies: Vec<HeaderValue>) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or_else(|_| HeaderValue::from_static("/"));
    let mut response = (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response();
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    fresh(response)
}

impl<'a> Page<'a> {
    fn new(doors: &Doors, door: &'a AccessDoor, title: impl Into<String>, lead: impl Into<String>) -> Self {
        Self {
            house: &door.name,
            face: door.name.chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default(),
            style: assets::address("console.css"),
            script: assets::address("door.js"),
            brand: door.accent.as_ref().map(|_| format!("/access/{}/brand.css", doors.slug)),
            stage: "",
            reload: None,
            events: None,
            title: title.into(),
            lead: lead.into(),
            chain: Vec::new(),
            done: 0,
            button: None,
            note: None,
            contact: None,
            number: None,
        }
    }

    fn answer(self, status: StatusCode) -> Response {
        let Ok(page) = self.render() else { return Problem::internal().into_response() };
        let policy = [(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
        fresh((status, policy, Html(page)))
    }
}

/// Where people sign in, as a link.
fn sign_in_again(doors: &Doors, door: &AccessDoor, next: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(next) = next {
        query.append_pair("next", next);
    }
    let query = query.finish();
    let joint = if query.is_empty() { "" } else { "?" };
    format!("{}/access/{}/sign-in{joint}{query}", door.public_url, doors.slug)
}

pub(super) async fn welcome(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let doors = house.doors(&slug).await?;
    let door = door(&doors)?;
    let next = asked.next.as_deref().filter(|next| next.len() <= LONGEST / 2);
    let mut page = Page::new(
        &doors,
        door,
        "Get your access to Jira",
        "Sign in with your work account. We set up what you are entitled to, and take you to Jira.",
    );
    page.button = Some(Button {
        text: "Sign in with Microsoft",
        address: sign_in_again(&doors, door, next),
        primary: true,
    });
    page.contact = door.contact.as_ref();
    Ok(page.answer(StatusCode::OK))
}

fn busy(doors: &Doors, door: &AccessDoor) -> Response {
    let mut page = Page::new(
        doors,
        door,
        "Many people are signing in right now",
        "Please wait a moment and try again. Nothing is lost.",
    );
    page.button =
        Some(Button { text: "Try again", address: format!("/access/{}", doors.slug), primary: true });
    let mut response = page.answer(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

fn ip(peer: Option<Extension<Peer>>) -> Option<IpAddr> {
    peer.map(|Extension(Peer(ip))| ip)
}

pub(super) async fn sign_in(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
    peer: Option<Extension<Peer>>,
) -> Result<Response, Problem> {
    let doors = house.doors(&slug).await?;
    let door = door(&doors)?;
    let now = house.service.now();
    if house.pace.step(ip(peer), now) == Step::Wait {
        return Ok(busy(&doors, door));
    }
    let begun = match house.behind.begin(&doors.connection).await {
        Ok(begun) => begun,
        Err(failure) => return Ok(failed(&doors, door, &failure, None)),
    };
    let started = Started {
        until: now + LIFE,
        state: begun.state,
        kept: begun.kept.expose_secret().to_owned(),
        // Judged when it is used; here only its length counts
        next: asked.next.filter(|next| next.len() <= 1000),
    };
    Ok(to(&begun.url, vec![sealed(&house, (&doors, door), Kept::SignIn, &started)?]))
}

pub(super) async fn callback(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    Query(back): Query<CameBack>,
    headers: HeaderMap,
    peer: Option<Extension<Peer>>,
) -> Result<Response, Problem> {
    let doors = house.doors(&slug).await?;
    let door = door(&doors)?;
    let now = house.service.now();
    let over = cookie(&doors, door, Kept::SignIn, String::new());
    let refused = |next: Option<&str>| {
        let mut page = Page::new(
            &doors,
            door,
            "The sign-in did not work",
            "It was begun too long ago, in another window, or was broken off. Please begin anew.",
        );
        page.button =
            Some(Button { text: "Sign in again", address: sign_in_again(&doors, door, next), primary: true });
        page.contact = door.contact.as_ref();
        let mut response = page.answer(StatusCode::BAD_REQUEST);
        response.headers_mut().append(SET_COOKIE, over.clone());
        response
    };
    let started: Option<Started> = opened(&house, (&doors, door), Kept::SignIn, &headers);
    let Some(started) = started.filter(|started| now < started.until) else { return Ok(refused(None)) };
    let next = started.next.as_deref();
    let state = back.state.unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(started.state.as_bytes())) {
        tracing::warn!(connection = doors.connection, "a sign-in came back with the state of another");
        return Ok(refused(next));
    }
    if let Some(error) = &back.error {
        let word: String = error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(60).collect();
        tracing::info!(connection = doors.connection, "a sign-in was broken off: {word}");
        return Ok(refused(next));
    }
    let Some(code) = back.code.filter(|code| !code.is_empty() && code.len() <= LONGEST) else {
        return Ok(refused(next));
    };
    if house.pace.step(ip(peer), now) == Step::Wait {
        return Ok(busy(&doors, door));
    }
    let kept = SecretString::from(started.kept);
    let person = match house.behind.finish(&doors.connection, &kept, &code).await {
        Ok(person) => person,
        Err(failure) if failure.code == FailureCode::SignInRefused => {
            tracing::warn!(connection = doors.connection, "{failure}");
            return Ok(refused(next));
        }
        Err(failure) => return Ok(failed(&doors, door, &failure, next)),
    };
    house.visits.join(&doors.connection, &person);
    let known = Known {
        until: now + LIFE,
        id: person.id,
        name: person.name,
        username: person.username,
        next: started.next,
    };
    let cookies = vec![over, sealed(&house, (&doors, door), Kept::Person, &known)?];
    Ok(to(&format!("/access/{}/progress", doors.slug), cookies))
}

/// The sign-in service, or our own set-up, does not work: people cannot mend it, and the log says what it is.
fn failed(
    doors: &Doors,
    door: &AccessDoor,
    failure: &entrain_domain::Failure,
    next: Option<&str>,
) -> Response {
    tracing::warn!(connection = doors.connection, code = %failure.code, "a sign-in failed: {failure}; {}", failure.remedy);
    let mut page = Page::new(
        doors,
        door,
        "Signing in does not work right now",
        "This is not your fault. Please try again in a few minutes.",
    );
    page.button =
        Some(Button { text: "Try again", address: sign_in_again(doors, door, next), primary: true });
    page.contact = door.contact.as_ref();
    page.answer(StatusCode::BAD_GATEWAY)
}

pub(super) async fn progress(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let doors = house.doors(&slug).await?;
    let door = door(&doors)?;
    let known: Option<Known> = opened(&house, (&doors, door), Kept::Person, &headers);
    let Some(known) = known.filter(|known| house.service.now() < known.until) else {
        return Ok(to(&format!("/access/{}", doors.slug), Vec::new()));
    };
    let person = Person { id: known.id, name: known.name, username: known.username };
    let visit = house.visits.join(&doors.connection, &person);
    let stage = visit.stage.borrow().clone();
    let page_of_site = door.destination.page(known.next.as_deref());
    let mut page = shown(&doors, door, &person, &stage, &page_of_site);
    page.number = visit.run();
    let goes_on = stage == Stage::Ended(Ending::Ready { waiting: 0 });
    let mut response = page.answer(StatusCode::OK);
    if goes_on && let Ok(refresh) = HeaderValue::from_str(&format!("2; url={page_of_site}")) {
        response.headers_mut().insert(REFRESH, refresh);
    }
    Ok(response)
}

fn shown<'a>(
    doors: &Doors,
    door: &'a AccessDoor,
    person: &Person,
    stage: &Stage,
    page_of_site: &str,
) -> Page<'a> {
    let first = person.name.as_deref().and_then(|name| name.split_whitespace().next());
    let hello = first.map_or_else(String::new, |name| format!("Welcome, {name}. "));
    let (title, lead) = match stage {
        Stage::Ended(Ending::Ready { waiting: 0 }) => {
            (format!("{hello}You are all set."), "We take you to Jira now.".to_owned())
        }
        Stage::Ended(Ending::Ready { .. }) => (
            format!("{hello}You can go on to Jira."),
            "Some of your groups are still on their way; we keep at it, and you need not wait here.".to_owned(),
        ),
        Stage::Ended(Ending::Nothing) => (
            "There is no Jira access for your account".to_owned(),
            "You are signed in, but your account is not in a group that gets access to Jira. If you think it should \
             be, please ask."
                .to_owned(),
        ),
        Stage::Ended(Ending::Held { .. }) => (
            format!("{hello}Somebody has to approve your access."),
            "We have told the people who look after Jira. You can close this page and come back later.".to_owned(),
        ),
        Stage::Ended(Ending::Later { .. }) => (
            "It did not work yet".to_owned(),
            "Your access could not be finished right now. We try again in a few seconds, and you need not do anything."
                .to_owned(),
        ),
        _ => (
            format!("{hello}We are setting up Jira for you."),
            "This takes about ten seconds. You will be taken to Jira when it is ready.".to_owned(),
        ),
    };
    let mut page = Page::new(doors, door, title, lead);
    page.stage = stage.word();
    let username = person.username.as_deref().unwrap_or_default();
    let works = !matches!(stage, Stage::Ended(Ending::Nothing | Ending::Held { .. } | Ending::Later { .. }));
    if works {
        let at = match stage {
            Stage::Looking => 1,
            Stage::Account => 2,
            Stage::Groups => 3,
            Stage::Checking => 4,
            Stage::Ended(_) => 5,
        };
        let signed_in = if username.is_empty() { String::new() } else { format!("as {username}") };
        let links = [
            ("Signed in", signed_in),
            ("Look up what you are entitled to", String::new()),
            ("Your account in Jira", String::new()),
            ("Your groups", String::new()),
            ("Check that it holds", String::new()),
        ];
        page.done = at;
        page.chain = links
            .into_iter()
            .enumerate()
            .map(|(place, (title, text))| {
                let class = match place.cmp(&at) {
                    std::cmp::Ordering::Less => "done ok",
                    std::cmp::Ordering::Equal => "now",
                    std::cmp::Ordering::Greater => "",
                };
                Link { class, title, text }
            })
            .collect();
    }
    match stage {
        Stage::Ended(Ending::Ready { .. }) => {
            page.button =
                Some(Button { text: "Go to Jira", address: page_of_site.to_owned(), primary: true });
        }
        Stage::Ended(Ending::Nothing) => {
            page.note = Some("Whom to ask:");
            page.contact = door.contact.as_ref();
        }
        Stage::Ended(Ending::Held { .. }) => page.contact = door.contact.as_ref(),
        Stage::Ended(Ending::Later { .. }) => {
            page.reload = Some(10);
            page.button = Some(Button {
                text: "Try again",
                address: format!("/access/{}/progress", doors.slug),
                primary: false,
            });
            page.contact = door.contact.as_ref();
        }
        _ => {
            page.reload = Some(2);
            page.events = Some(format!("/access/{}/events", doors.slug));
            page.note = Some("Not finished after a minute? You can close this page; we go on.");
            page.contact = door.contact.as_ref();
        }
    }
    page
}

pub(super) async fn events(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let doors = house.doors(&slug).await?;
    let door = door(&doors)?;
    let known: Option<Known> = opened(&house, (&doors, door), Kept::Person, &headers);
    let Some(known) = known.filter(|known| house.service.now() < known.until) else {
        return Err(Problem::not_here());
    };
    let person = Person { id: known.id, name: known.name, username: known.username };
    let visit = house.visits.join(&doors.connection, &person);
    let words = stream::unfold(Some((visit.stage, true)), |watching| async move {
        let (mut stage, first) = watching?;
        if !first && stage.changed().await.is_err() {
            return None;
        }
        let now = stage.borrow_and_update().clone();
        let more = !matches!(now, Stage::Ended(_));
        let event = Event::default().event("stage").data(now.word());
        Some((Ok::<_, Infallible>(event), more.then_some((stage, false))))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(words).keep_alive(keep_alive).into_response())
}

/// The company's colour: a sheet of its own, since pages carry no style.
pub(super) async fn brand(
    State(house): State<Arc<House>>,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let doors = house.doors(&slug).await?;
    let accent = door(&doors)?.accent.clone().ok_or_else(Problem::not_here)?;
    let sheet = format!(":root {{ --accent-fill: {accent}; --accent-over: {accent}; --on-accent: #fff; }}\n");
    let headers: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, sheet).into_response())
}
