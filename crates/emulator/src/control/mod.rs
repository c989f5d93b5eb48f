//! The control interface: what the emulator does not share with any cloud. It changes settings, faults, the clock and the
//! world while everything runs, and hands out the request log and the state of the site that tests compare against.
//!
//! Nothing here needs a credential: it listens on the loopback unless told otherwise, and guards nothing that is real.

mod changes;
mod notifications;

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Extract};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::catcher::{self, hooks};
use crate::faults::Fault;
use crate::log::LogEntry;
use crate::settings::Settings;
use crate::state::{Shared, Surface};
use crate::world::file::export;

pub use changes::WorldChange;

/// A refusal: a 4xx with `{"error": "..."}`.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, message.into())
}

/// What the control interface offers, as `GET /` shows it.
const ROUTES: [(&str, &str); 26] = [
    ("GET /health", "whether it runs, and what time it is in the emulated world"),
    ("GET /settings", "all settings"),
    ("PUT /settings", "changes the settings that are given"),
    ("GET /faults", "faults with how often each has matched and fired"),
    ("POST /faults", "adds one fault, or a list of them"),
    ("DELETE /faults", "takes all away; DELETE /faults/{id} takes one away"),
    ("GET /log", "requests; ?surface= &method= &path= &status= &fault= &since= &limit="),
    ("DELETE /log", "forgets requests and counts"),
    ("GET /counts", "requests by surface, endpoint and status"),
    ("GET /world", "how many of what there are"),
    ("GET /world/export", "the world as a world file"),
    ("POST /world/changes", "a list of changes, in order"),
    ("POST /clock", "{\"advance_seconds\": n}"),
    ("GET /site/state", "accounts and groups of the site with members by e-mail or name"),
    ("GET /caught", "e-mails and posts that were sent to people"),
    ("DELETE /caught", "forgets them"),
    ("GET /mail/ca.pem", "the authority that signs the certificate of the mail server"),
    ("POST /hook/{path}", "takes a post to people; /hook/503/{path} refuses it with 503"),
    ("POST /limits/reset", "fills all throttling quotas"),
    ("GET /notifications", "subscriptions to change notifications, and what was delivered"),
    ("DELETE /notifications", "forgets what was delivered"),
    (
        "POST /notifications/lifecycle",
        "{\"event\": \"missed\", \"resource\": \"/users\"}: makes it happen and tells it",
    ),
    ("POST /notifications/made-up", "{\"count\": n, \"client_state\": \"wrong\"}: tells what did not happen"),
    ("POST /notifications/again", "sends again what was sent; {\"reversed\": true} the newest first"),
    (
        "POST /sign-in/token-issuance",
        "{\"url\": \"…\", \"user\": \"ana@acme.example\"}: calls a custom authentication extension, as sign-in does",
    ),
    ("GET /", "this"),
];

/// The routes of the control interface.
pub fn router(state: Shared) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/health", get(health))
        .route("/settings", get(settings).put(put_settings))
        .route("/faults", get(faults).post(post_faults).delete(clear_faults))
        .route("/faults/{id}", delete(delete_fault))
        .route("/log", get(log).delete(clear_log))
        .route("/counts", get(counts))
        .route("/world", get(world))
        .route("/world/export", get(world_export))
        .route("/world/changes", post(changes::post_changes))
        .route("/clock", post(clock))
        .route("/site/state", get(site_state))
        .route("/notifications", get(notifications::show).delete(notifications::forget))
        .route("/notifications/lifecycle", post(notifications::post_lifecycle))
        .route("/notifications/made-up", post(notifications::post_made_up))
        .route("/notifications/again", post(notifications::post_again))
        .route("/caught", get(caught).delete(clear_caught))
        .route("/mail/ca.pem", get(mail_authority))
        .route("/hook/{*path}", post(hooks::catch))
        .route("/limits/reset", post(reset_limits))
        .route("/sign-in/token-issuance", post(token_issuance))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .with_state(state)
}

async fn nothing_here(uri: Uri) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is nothing at {}; GET / lists what there is", uri.path()))
}

async fn not_so(uri: Uri) -> Refusal {
    let message = format!("{} does not take this method; GET / lists what there is", uri.path());
    Refusal(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// Reads a body, whatever its content type says.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|e| bad(format!("the body is not usable: {e}")))
}

async fn index(Extract(state): Extract<Shared>) -> Json<Value> {
    let routes: Map<String, Value> =
        ROUTES.iter().map(|(route, what)| ((*route).into(), (*what).into())).collect();
    Json(json!({"emulator": env!("CARGO_PKG_VERSION"), "urls": state.urls(), "routes": routes}))
}

async fn health(Extract(state): Extract<Shared>) -> Json<Value> {
    Json(json!({"status": "ok", "now": state.now()}))
}

async fn settings(Extract(state): Extract<Shared>) -> Json<Settings> {
    Json((*state.settings()).clone())
}

async fn put_settings(Extract(state): Extract<Shared>, bytes: Bytes) -> Result<Json<Settings>, Refusal> {
    let patch: Map<String, Value> = body(&bytes)?;
    let mut merged = serde_json::to_value(&*state.settings()).map_err(|e| bad(e.to_string()))?;
    merge(&mut merged, Value::Object(patch));
    let settings: Settings = serde_json::from_value(merged).map_err(|e| bad(format!("settings: {e}")))?;
    settings.check().map_err(bad)?;
    state.set_settings(settings.clone());
    Ok(Json(settings))
}

/// Objects are merged, everything else is replaced.
fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

async fn faults(Extract(state): Extract<Shared>) -> Json<Value> {
    Json(json!({"faults": state.faults.list()}))
}

async fn post_faults(Extract(state): Extract<Shared>, bytes: Bytes) -> Result<Response, Refusal> {
    // Decided by hand, so that an error names the field and not "no variant matched".
    let given: Value = body(&bytes)?;
    let list = match given {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut faults = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let fault: Fault = serde_json::from_value(value).map_err(|e| bad(format!("fault {index}: {e}")))?;
        fault.check().map_err(|e| bad(format!("fault {index}: {e}")))?;
        faults.push(fault);
    }
    let ids: Result<Vec<u64>, String> = faults.into_iter().map(|fault| state.faults.add(fault)).collect();
    Ok((StatusCode::CREATED, Json(json!({"ids": ids.map_err(bad)?}))).into_response())
}

async fn clear_faults(Extract(state): Extract<Shared>) -> StatusCode {
    state.faults.clear();
    StatusCode::NO_CONTENT
}

async fn delete_fault(
    Extract(state): Extract<Shared>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let number: u64 = id.parse().map_err(|_| bad(format!("{id:?} is not the number of a fault")))?;
    if state.faults.remove(number) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal(StatusCode::NOT_FOUND, format!("there is no fault {number}")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogFilter {
    surface: Option<Surface>,
    method: Option<String>,
    /// Part of the path.
    path: Option<String>,
    status: Option<u16>,
    fault: Option<String>,
    /// Only entries with a larger number.
    since: Option<u64>,
    limit: Option<usize>,
}

async fn log(Extract(state): Extract<Shared>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let Query(filter): Query<LogFilter> = Query::try_from_uri(&uri).map_err(|e| bad(e.body_text()))?;
    let keep = |entry: &LogEntry| {
        filter.surface.is_none_or(|surface| surface == entry.surface)
            && filter.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&entry.method))
            && filter.path.as_ref().is_none_or(|path| entry.path.contains(path.as_str()))
            && filter.status.is_none_or(|status| entry.status == Some(status))
            && filter.fault.as_ref().is_none_or(|fault| entry.fault.as_ref() == Some(fault))
            && filter.since.is_none_or(|since| entry.seq > since)
    };
    Ok(Json(json!({"entries": state.log.entries(filter.limit.unwrap_or(1000), keep)})))
}

async fn clear_log(Extract(state): Extract<Shared>) -> StatusCode {
    state.log.clear();
    StatusCode::NO_CONTENT
}

async fn counts(Extract(state): Extract<Shared>) -> Response {
    Json(state.log.counts()).into_response()
}

async fn world(Extract(state): Extract<Shared>) -> Json<Value> {
    let world = state.world();
    let (tenant, site) = (&world.tenant, &world.atlassian);
    let memberships: usize = tenant.groups.values().map(|group| group.members.len()).sum();
    let site_memberships: usize = site.groups.values().map(|group| group.members.len()).sum();
    Json(json!({
        "directory": {
            "tenant_id": tenant.id,
            "domain": tenant.domain,
            "users": tenant.users.len(),
            "groups": tenant.groups.len(),
            "memberships": memberships,
            "deleted_users": tenant.deleted_users.len(),
            "deleted_groups": tenant.deleted_groups.len(),
        },
        "site": {
            "site_name": site.site_name,
            "accounts": site.accounts.len(),
            "groups": site.groups.len(),
            "memberships": site_memberships,
            "invitations": site.invitations.len(),
        },
    }))
}

async fn world_export(Extract(state): Extract<Shared>) -> Response {
    let file = export(&state.world());
    Json(file).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockMove {
    advance_seconds: f64,
}

async fn clock(Extract(state): Extract<Shared>, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let ClockMove { advance_seconds } = body(&bytes)?;
    if advance_seconds.abs() > 1e10 {
        return Err(bad("advance_seconds: the clock moves by at most some 300 years at a time"));
    }
    state.clock.advance((advance_seconds * 1000.0).round() as i64).map_err(bad)?;
    Ok(Json(json!({"now": state.now()})))
}

async fn token_issuance(Extract(state): Extract<Shared>, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let call: crate::entra::IssuanceCall = body(&bytes)?;
    crate::entra::call_extension(&state, call).await.map(Json).map_err(bad)
}

async fn caught(Extract(state): Extract<Shared>) -> Json<Value> {
    Json(json!({
        "mails": state.catcher.mails(),
        "hooks": state.catcher.hooks(),
        "in_clear": state.catcher.said_in_clear(),
    }))
}

async fn mail_authority() -> String {
    catcher::authority_pem()
}

async fn clear_caught(Extract(state): Extract<Shared>) -> StatusCode {
    state.catcher.clear();
    StatusCode::NO_CONTENT
}

async fn reset_limits(Extract(state): Extract<Shared>) -> StatusCode {
    state.limits.reset();
    StatusCode::NO_CONTENT
}

async fn site_state(Extract(state): Extract<Shared>) -> Json<Value> {
    let world = state.world();
    let site = &world.atlassian;
    let called = |id: &String| {
        let account = site.accounts.get(id);
        account.map_or(id.as_str(), |a| a.email.as_deref().unwrap_or(&a.display_name)).to_owned()
    };
    let mut groups_of: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for group in site.groups.values() {
        for member in &group.members {
            groups_of.entry(member).or_default().push(&group.name);
        }
    }
    let accounts: Vec<Value> = site
        .accounts
        .values()
        .map(|account| {
            let mut groups = groups_of.remove(&account.account_id).unwrap_or_default();
            groups.sort();
            json!({
                "account_id": account.account_id,
                "email": account.email,
                "display_name": account.display_name,
                "account_type": account.account_type,
                "account_status": account.account_status,
                "membership_status": account.membership_status,
                "active": account.active(),
                "groups": groups,
            })
        })
        .collect();
    let groups: Vec<Value> = site
        .groups
        .values()
        .map(|group| {
            let mut members: Vec<String> = group.members.iter().map(called).collect();
            members.sort();
            json!({"group_id": group.group_id, "name": group.name, "members": members})
        })
        .collect();
    let seats: BTreeMap<&String, u64> =
        site.products.iter().map(|product| (&product.key, site.seats_used(&product.key))).collect();
    Json(
        json!({"accounts": accounts, "groups": groups, "invitations": site.invitations, "seats_used": seats}),
    )
}
