//! What Entrain answers over HTTP, and what it does by itself while it serves. Knows nothing of SQL or of the clouds:
//! behind the [`service::Service`] stands whatever the binary puts there.
//!
//! | module | holds |
//! |---|---|
//! | [`service`] | what the service needs from behind it |
//! | `api` | the API `/api/v1`: one table of routes, from which router, checks and OpenAPI document are made |
//! | `console` | the pages for people: one table of pages, likewise |
//! | [`accounts`] | people who sign in |
//! | [`dossiers`] | what is known of one person or group without asking a cloud |
//! | [`plan_rows`], [`previews`], [`ticks`] | plans as pages read them: row by row; plans that nobody does; what is ticked in a held one |
//! | [`reports`], `download` | reports, and files that are taken away |
//! | [`federation`] | signing in to the console through the directory |
//! | [`upkeep`] | what whoever looks after the service asks |
//! | [`drafts`] | connections that somebody is setting up |
//! | [`trials`] | documents and expressions, tried before they are stored |
//! | [`sought`] | entries of the audit log that somebody looks for |
//! | `assets` | style sheet, icons and script, at addresses that change with them |
//! | `alerts` | looks after what people are told |
//! | `access` | API keys and roles |
//! | [`doors`] | addresses at which others knock: people who sign in, change notifications |
//! | `runs` | runs under way: started, watched, stopped |
//! | `scheduler` | starts what is due |
//! | [`notified`] | change notifications: subscriptions, what was heard, runs |
//! | `listen` | the listener and its limits |
//! | `health`, [`metrics`] | for the operator's probes |
//! | `headers`, `problem` | what every answer carries, and how failures are told |

mod access;
pub mod accounts;
mod alerts;
mod api;
mod assets;
mod body;
mod console;
mod diff;
pub mod doors;
pub mod dossiers;
mod download;
pub mod drafts;
pub mod federation;
mod headers;
mod health;
mod listen;
pub mod metrics;
pub mod notified;
pub mod plan_rows;
pub mod previews;
mod problem;
pub mod reports;
pub mod rulebook;
mod runs;
mod scheduler;
pub mod service;
pub mod sought;
pub mod ticks;
pub mod trials;
pub mod upkeep;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub use alerts::Alerts;
pub use console::Settings;
pub use listen::{Limits, listen};
pub use notified::{Hearing, Keeper};
pub use runs::Runs;
pub use scheduler::Scheduler;
use service::Service;

/// The router of the service. Every answer carries the security headers, a panic in a handler answers 500 and leaves
/// the rest up, and what is not there is 404.
pub fn router(
    service: Arc<dyn Service>,
    runs: Arc<Runs>,
    hearing: Arc<Hearing>,
    settings: Settings,
    behind: Option<Arc<dyn doors::Behind>>,
) -> Router {
    metrics::begin();
    let clock = service.clone();
    let console = console::Console::new(service.clone(), runs.clone(), settings);
    let routes = Router::new()
        .merge(health::routes(service.clone()))
        .route("/metrics", get(metrics::page))
        .merge(assets::routes())
        .merge(console::router(&console))
        .merge(doors::notifications::routes(hearing, Arc::new(move || clock.now())))
        .merge(behind.map(|behind| doors::router(service.clone(), behind, &runs)).unwrap_or_default())
        .merge(api::router(service, runs));
    headers::guarded(routes, console::lost(console))
}

#[cfg(test)]
mod tests;
