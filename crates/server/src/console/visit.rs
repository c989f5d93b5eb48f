//! What happens before and after every handler of a page: who is it, may they, did a page of ours send the form, does it
//! carry what the table says and nothing else; and failures as pages.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, USER_AGENT,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use entrain_domain::FailureCode;
use entrain_domain::model::RunId;
use entrain_domain::service::{Role, slug};

use super::Console;
use super::pages::{Entry, Page};
use super::session::{self, Jar, Who};
use super::shell::{ErrorPage, Head, PlainErrorPage, Shell};
use crate::accounts::random_secret;
use crate::api::routes::Verb;
use crate::body;
use crate::listen::Peer;
use crate::problem::Problem;
use crate::service::Connection;

/// Only what comes from here is loaded, shown and sent to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Fields that hold a document, a certificate or its key: the body's limit is theirs.
const LONG_FIELDS: [&str; 3] = ["document", "certificate", "private_key"];

/// Most characters of any other field.
const LONGEST_FIELD: usize = 4_000;

/// A request for a page that may be answered.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) console: Arc<Console>,
    /// Who is signed in; everybody, where the page takes a role.
    pub(crate) who: Option<Who>,
    /// The address asked for, to come back to.
    pub(crate) here: String,
    /// Where the request came from.
    pub(crate) from: Option<IpAddr>,
    pub(crate) headers: HeaderMap,
    path: BTreeMap<String, String>,
    fields: Vec<(String, String)>,
    /// What the tokens of this visit's forms are made from.
    secret: String,
}

/// What a handler answers.
pub(crate) struct Reply(Response);

impl Reply {
    /// A page.
    pub(crate) fn page(template: &impl Template) -> Result<Self, Problem> {
        Self::page_with(StatusCode::OK, template)
    }

    /// A page that is no success.
    pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Result<Self, Problem> {
        let html = template.render().map_err(|error| {
            tracing::error!("a page could not be made: {error}");
            Problem::internal()
        })?;
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // Without it browsers say nothing about where a form comes from
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        Ok(Self(response))
    }

    /// Sends the browser on to an address of ours.
    pub(crate) fn to(address: &str) -> Result<Self, Problem> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let address = HeaderValue::from_str(address).map_err(|_| Problem::internal())?;
        response.headers_mut().insert(LOCATION, address);
        Ok(Self(response))
    }

    /// Sends the browser on, where one of the sentences of [`super::shell::said`] is shown.
    pub(crate) fn saying(address: &str, word: &str) -> Result<Self, Problem> {
        let with = if address.contains('?') { '&' } else { '?' };
        Self::to(&format!("{address}{with}said={word}"))
    }

    /// Something else than a page.
    pub(crate) fn raw(response: Response) -> Self {
        Self(response)
    }

    /// Sets a cookie besides.
    #[must_use]
    pub(crate) fn cookie(mut self, cookie: &str) -> Self {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            self.0.headers_mut().append(SET_COOKIE, cookie);
        }
        self
    }
}

impl Visit {
    fn new(console: Arc<Console>, parts: &Parts) -> Self {
        Self {
            console,
            who: None,
            here: parts.uri.path_and_query().map_or("/", |here| here.as_str()).to_owned(),
            from: parts.extensions.get::<Peer>().map(|peer| peer.0),
            headers: parts.headers.clone(),
            path: BTreeMap::new(),
            fields: Vec::new(),
            secret: String::new(),
        }
    }

    /// A part of the address.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A field, if it is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.field(name).filter(|value| !value.is_empty())
    }

    /// A field as it was sent.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a field that may come several times; its name in the table ends with `[]`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Who asks; the table has let nobody else in.
    pub(crate) fn who(&self) -> Result<&Who, Problem> {
        self.who.as_ref().ok_or_else(sign_in_needed)
    }

    /// The name of who asks, as it stands in decisions and in the audit log.
    pub(crate) fn name(&self) -> Result<String, Problem> {
        Ok(self.who()?.account.name.clone())
    }

    /// Whether who asks has to choose a password before anything opens, also the frame of a page.
    fn has_to_choose(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.account.has_handed_out_password())
    }

    /// Whether who asks has at least this role.
    pub(crate) fn may(&self, role: Role) -> bool {
        self.who.as_ref().is_some_and(|who| who.account.role >= role)
    }

    /// What the browser calls itself, cut short.
    pub(crate) fn agent(&self) -> String {
        let agent = self.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        agent.chars().filter(|c| !c.is_control()).take(200).collect()
    }

    /// The connection that the address names.
    pub(crate) async fn connection(&self) -> Result<Connection, Problem> {
        let asked = self.path("connection");
        let all = self.console.service.connections().await?;
        let found = all.into_iter().find(|connection| slug(&connection.name) == asked);
        found.ok_or_else(|| {
            let what = "there is no connection of that name";
            Problem::local(FailureCode::ConnectionUnknown, what, "choose one of those that there are")
        })
    }

    /// The run that the address names.
    pub(crate) fn run(&self) -> Result<RunId, Problem> {
        RunId::parse(self.path("run")).map_err(|_| {
            let what = "there is no run of that id";
            Problem::local(FailureCode::RunUnknown, what, "choose one from the list of runs")
        })
    }

    /// A seal over these texts that only a page of this visitor can carry: what a form sends back with it was shown to
    /// them before.
    pub(crate) fn seal(&self, texts: &[&str]) -> String {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        hash.update("entrain shown\n");
        for text in std::iter::once(&self.secret.as_str()).chain(texts) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hex::encode(hash.finalize())
    }

    /// What every page has in its head.
    pub(crate) fn head(&self, title: impl Into<String>) -> Head {
        Head {
            title: title.into(),
            theme: match Jar::Theme.read(&self.console.settings, &self.headers).as_deref() {
                Some("light") => "light",
                Some("dark") => "dark",
                _ => "",
            },
            csrf: session::token(&self.secret),
            here: self.here.clone(),
        }
    }

    /// The frame of a page that is about no connection in particular.
    pub(crate) async fn shell(&self, title: impl Into<String>) -> Result<Shell, Problem> {
        Shell::of(self, title.into(), None).await
    }

    /// The frame of a page about a connection.
    pub(crate) async fn shell_of(
        &self,
        connection: &str,
        title: impl Into<String>,
    ) -> Result<Shell, Problem> {
        Shell::of(self, title.into(), Some(connection)).await
    }
}

fn sign_in_needed() -> Problem {
    Problem::local(FailureCode::SignInNeeded, "nobody is signed in, or the session is over", "sign in again")
}

fn password_first() -> Problem {
    let what = "the password of this account was handed out, and somebody else knows it";
    Problem::local(
        FailureCode::PasswordHandedOut,
        what,
        "choose a password of your own first; then everything opens",
    )
}

/// Where to go on after signing in: an address of ours, or the beginning.
pub(crate) fn next(asked: Option<&str>) -> &str {
    let ours = |address: &&str| {
        let mut chars = address.chars();
        // Browsers take `//host` and `/\host` for other hosts
        chars.next() == Some('/')
            && !matches!(chars.next(), Some('/' | '\\'))
            && address.len() <= 2_000
            && address.chars().all(|c| c.is_ascii_graphic())
    };
    asked.filter(ours).unwrap_or("/")
}

/// Serves one request for a page.
pub(crate) async fn serve(
    console: Arc<Console>,
    page: &'static Page,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut visit = Visit::new(console, &parts);
    let (result, fresh) = match greet(&mut visit).await {
        Ok(fresh) => (answer(&mut visit, page, params, &parts, body).await, fresh),
        Err(problem) => (Err(problem), None),
    };
    let reply = match result {
        Ok(reply) => reply,
        Err(problem) => trouble(&visit, page.id, problem).await,
    };
    match fresh {
        Some(cookie) => reply.cookie(&cookie).0,
        None => reply.0,
    }
}

/// Answers where there is nothing.
pub(crate) async fn lost(console: Arc<Console>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut visit = Visit::new(console, &parts);
    let problem = match greet(&mut visit).await {
        Ok(_) if visit.has_to_choose() => password_first(),
        Ok(_) => Problem::local(
            FailureCode::AddressUnknown,
            "there is nothing under this address",
            "go to the overview, or choose a place on the left",
        ),
        Err(problem) => problem,
    };
    trouble(&visit, "lost", problem).await.0
}

/// Finds out who it is; gives a stranger something to hold, from which the tokens of forms are made.
async fn greet(visit: &mut Visit) -> Result<Option<String>, Problem> {
    let settings = &visit.console.settings;
    if let Some(cookie) = Jar::Session.read(settings, &visit.headers) {
        visit.who = session::who(&visit.console, &cookie).await?;
        if visit.who.is_some() {
            visit.secret = cookie;
            return Ok(None);
        }
    }
    if let Some(cookie) = Jar::Visitor.read(settings, &visit.headers).filter(|cookie| cookie.len() == 64) {
        visit.secret = cookie;
        return Ok(None);
    }
    visit.secret = random_secret()?;
    Ok(Some(Jar::Visitor.set(settings, &visit.secret)))
}

async fn answer(
    visit: &mut Visit,
    page: &'static Page,
    params: Result<RawPathParams, RawPathParamsRejection>,
    parts: &Parts,
    body: Body,
) -> Result<Reply, Problem> {
    if page.entry != Entry::Anyone {
        let Some(who) = &visit.who else {
            if page.method == Verb::Get {
                return Reply::to(&format!("/sign-in?next={}", next_of(visit)));
            }
            return Err(sign_in_needed());
        };
        let Entry::Role(role) = page.entry else { return do_it(visit, page, params, parts, body).await };
        if who.account.has_handed_out_password() {
            if page.method == Verb::Get {
                return Reply::to(&format!("/account/new-password?next={}", next_of(visit)));
            }
            return Err(password_first());
        }
        if who.account.role < role {
            return Err(Problem::local(
                FailureCode::RoleMissing,
                format!("this takes the role {}, and yours is {}", role.as_str(), who.account.role.as_str()),
                "ask an administrator, or somebody who has that role",
            ));
        }
    }
    do_it(visit, page, params, parts, body).await
}

/// The address asked for, to come back to, as a part of another.
fn next_of(visit: &Visit) -> String {
    url::form_urlencoded::byte_serialize(visit.here.as_bytes()).collect()
}

/// Reads what was sent, and has the page answer it.
async fn do_it(
    visit: &mut Visit,
    page: &'static Page,
    params: Result<RawPathParams, RawPathParamsRejection>,
    parts: &Parts,
    body: Body,
) -> Result<Reply, Problem> {
    let params = params.map_err(|_| Problem::not_here())?;
    visit.path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if page.method == Verb::Get {
        let query = parts.uri.query().unwrap_or_default();
        visit.fields = fields(page, query.as_bytes(), &["said"])?;
    } else {
        if !session::from_here(&visit.console.settings, &parts.headers) {
            return Err(foreign());
        }
        let bytes = body::read(parts, body).await?;
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::request("this takes a form and nothing else", "send it from its page")
                .with(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        visit.fields = fields(page, &bytes, &["csrf"])?;
        if !session::is_ours(visit.field("csrf"), &visit.secret) {
            return Err(foreign());
        }
    }
    tokio::spawn((page.handler)(visit.clone())).await.unwrap_or_else(|error| {
        tracing::error!(page = page.id, "a handler ended in a way that it should not: {error}");
        Err(Problem::internal())
    })
}

fn foreign() -> Problem {
    Problem::local(
        FailureCode::RequestForeign,
        "the form was not sent from a page of this console, or its page is too old",
        "open the page again and send it from there",
    )
}

/// What the table says of the fields, and nothing else (quality.md W-05).
fn fields(page: &Page, bytes: &[u8], always: &[&str]) -> Result<Vec<(String, String)>, Problem> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        let many = page.takes.iter().any(|known| known.strip_suffix("[]") == Some(&*name));
        if !many && !page.takes.contains(&&*name) && !always.contains(&&*name) {
            return Err(Problem::request("a field was sent that is not known here", "send it from its page"));
        }
        if !many && fields.iter().any(|(known, _)| *known == name) {
            return Err(Problem::request(format!("“{name}” is given twice"), "give it once"));
        }
        if value.contains('\0') || (!LONG_FIELDS.contains(&&*name) && value.chars().count() > LONGEST_FIELD) {
            return Err(Problem::request(format!("“{name}” is too long"), "give less"));
        }
        fields.push((name.into_owned(), value.into_owned()));
    }
    Ok(fields)
}

/// A failure, as a page in the same dress.
async fn trouble(visit: &Visit, page: &str, problem: Problem) -> Reply {
    if problem.status.is_server_error() {
        tracing::warn!(page, code = %problem.failure.code, "answered {}: {}", problem.status, problem.failure);
    }
    let (status, after) = (problem.status, problem.retry_after());
    let shell = if visit.who.is_some() && !visit.has_to_choose() {
        // In a task of its own: what has just failed may fail again
        let frame = visit.clone();
        let shell = tokio::spawn(async move { frame.shell("This could not be done").await.ok() });
        shell.await.ok().flatten()
    } else {
        None
    };
    let reply = match shell {
        Some(shell) => Reply::page_with(status, &ErrorPage::new(shell, &problem)),
        None => {
            Reply::page_with(status, &PlainErrorPage::new(visit.head("This could not be done"), &problem))
        }
    };
    let mut reply =
        reply.unwrap_or_else(|problem| Reply(axum::response::IntoResponse::into_response(problem)));
    if let Some(seconds) = after {
        reply.0.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn after_signing_in_nobody_is_sent_to_another_host() {
        for ours in ["/", "/runs?connection=azure-ad", "/connections/m%C3%BCnchen"] {
            assert_eq!(next(Some(ours)), ours);
        }
        for foreign in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a b", "/\r\nx"]
        {
            assert_eq!(next(Some(foreign)), "/", "{foreign:?}");
        }
        assert_eq!(next(None), "/");
    }
}
