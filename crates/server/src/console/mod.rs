//! The console: pages for people, made on the server, that work without script.
//!
//! One table ([`pages::PAGES`]) says of every page who may open it, by which method, and which fields it takes; router,
//! checks and tests are made from it.
//!
//! # How a page is added
//!
//! 1. A row in [`pages::PAGES`]: method, address, name, least role (or `Anyone`), the fields that its address or form
//!    may carry, handler. A write is a `Post`; it is answered with [`Reply::to`] another page.
//! 2. A template in `templates/`, which begins with `{% extends "layout.html" %}` and fills `{% block main %}`. Its struct
//!    has a field `shell: Shell`, and `#[derive(Template)]`. Every form holds
//!    `<input type="hidden" name="csrf" value="{{ shell.head.csrf }}">`.
//! 3. A handler `async fn(visit: Visit) -> Result<Reply, Problem>` in a module here. It asks [`Visit::connection`],
//!    [`Visit::run`], [`Visit::text`]; it makes the frame with [`Visit::shell`] (or [`Visit::shell_of`] where the page is
//!    about a connection) and answers with [`Reply::page`]. A [`Problem`](crate::problem::Problem) becomes an error page.
//!
//! A place appears in the sidebar as soon as its address is in the table ([`shell`] lists the places). Times are
//! [`parts::When`], numbers [`parts::number`], icons [`parts::icon`]; all of them are safe to put into a page as they are.
//!
//! | module | holds |
//! |---|---|
//! | [`pages`] | the table |
//! | [`visit`] | what happens before and after each handler: who asks, may they, was the form ours |
//! | [`session`] | cookies, tokens of forms, who is signed in |
//! | [`throttle`] | how often a name may be tried |
//! | [`shell`], [`parts`] | the frame around pages, and their small parts |
//! | `sign_in`, `account` | signing in and out, the first administrator, one's own account |
//! | `microsoft` | signing in through the directory |
//! | `overview`, `connections`, `runs`, `plan`, `people`, `find`, `rules`, `reports`, `audit` | the pages themselves |
//! | `settings` | accounts, keys, and how the service itself is |
//! | `wizard` | a new connection, step by step |
//! | `chain` | whether the chain of the audit log holds |
//! | `told` | the plan of a run, of which a page reads what it shows |
//! | `part` | choosing a part of a held plan, and approving it |
//! | `chart`, `rows`, `letter`, `explained`, `dossier` | what they are drawn from: months, runs, plans, explanations, what is known of a person |

mod account;
mod chart;
mod microsoft;
pub(crate) mod pages;
mod parts;
mod rows;
pub(crate) mod session;
mod shell;
mod sign_in;
mod throttle;
mod visit;

mod audit;
mod chain;
mod connections;
mod dossier;
mod explained;
mod find;
mod letter;
mod overview;
mod part;
mod people;
mod plan;
mod reports;
mod rules;
mod runs;
mod settings;
mod told;
mod wizard;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::http::header::ACCEPT;
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, any, on};
use url::Url;

pub(crate) use visit::Visit;

use crate::doors::pace::Pace;
use crate::federation::Federation;
use crate::problem::Problem;
use crate::runs::Runs;
use crate::service::Service;

/// How the console is reached, and how long people stay signed in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Under which address people reach it.
    pub public_url: Url,
    /// How long somebody stays signed in without doing anything.
    pub idle: Duration,
    /// How long somebody stays signed in, whatever they do.
    pub longest: Duration,
    /// Where people may sign in through the directory.
    pub federation: Option<Arc<dyn Federation>>,
}

impl Settings {
    /// The usual times.
    pub fn new(public_url: Url) -> Self {
        Self {
            public_url,
            idle: Duration::from_mins(30),
            longest: Duration::from_hours(12),
            federation: None,
        }
    }
}

/// What the handlers work with.
pub(crate) struct Console {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) runs: Arc<Runs>,
    pub(crate) settings: Settings,
    pub(crate) throttle: throttle::Throttle,
    /// What following the chain of the audit log found.
    chain: chain::Watch,
    /// Who tells a plan apart.
    telling: told::Telling,
    /// How many may sign in with Microsoft at a time.
    pub(crate) pace: Pace,
}

impl Console {
    pub(crate) fn new(service: Arc<dyn Service>, runs: Arc<Runs>, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            service,
            runs,
            settings,
            throttle: throttle::Throttle::default(),
            chain: chain::Watch::default(),
            telling: told::Telling::default(),
            pace: Pace::default(),
        })
    }
}

/// What is answered where there is nothing: a page for browsers, a problem for programs.
pub(crate) fn lost(console: Arc<Console>) -> MethodRouter {
    any(move |request: Request| async move {
        let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let browser = accepts.is_some_and(|accept| accept.contains("text/html"));
        if browser && !request.uri().path().starts_with("/api/") {
            visit::lost(console, request).await
        } else {
            Problem::not_here().into_response()
        }
    })
}

/// The routes of the console.
pub(crate) fn router(console: &Arc<Console>) -> Router {
    let mut router = Router::new();
    let mut paths: Vec<&str> = pages::PAGES.iter().map(|page| page.path).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let mut methods = MethodRouter::new();
        for page in pages::PAGES.iter().filter(|page| page.path == path) {
            let console = console.clone();
            let serve = move |params: Result<RawPathParams, RawPathParamsRejection>, request: Request| async move {
                visit::serve(console, page, params, request).await
            };
            methods = methods.merge(on(page.method.filter(), serve));
        }
        router = router.route(path, methods);
    }
    router.method_not_allowed_fallback(|| async { Problem::wrong_method() })
}
