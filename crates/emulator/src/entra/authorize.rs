//! The sign-in page: instead of asking for a password it lists the people of the tenant. It works without script. Faults
//! of the application are shown on the page; everything else goes back to the registered redirect address.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;

use super::code::Granted;
use super::is_tenant;
use crate::state::{Shared, State as Emulator};
use crate::world::tenant::{Application, EntraUser, Tenant};

/// Most people that the page lists; others are named in its field.
const LISTED: usize = 200;

type Fields = BTreeMap<String, String>;

/// What was asked, as far as it is good.
struct Ask {
    fields: Fields,
    client_id: String,
    redirect_uri: String,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// Why nobody can sign in.
enum Refusal {
    /// Shown on the page: there is no address that could be told.
    Shown(u32, String),
    /// Told to the redirect address.
    Told(Box<Ask>, &'static str, u32, String),
}

fn fields(text: &[u8]) -> Fields {
    url::form_urlencoded::parse(text).into_owned().collect()
}

pub(super) async fn page(
    State(state): State<Shared>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = fields(query.unwrap_or_default().as_bytes());
    let ask = match read(&state, &tenant, &fields) {
        Ok(ask) => ask,
        Err(refusal) => return refused(&state, refusal),
    };
    if ask.fields.get("prompt").is_some_and(|prompt| prompt == "none") {
        let text = "A silent sign-in request was sent but no user is signed in.".to_owned();
        return refused(&state, Refusal::Told(Box::new(ask), "login_required", 50_058, text));
    }
    people(&state, &ask)
}

pub(super) async fn choose(State(state): State<Shared>, Path(tenant): Path<String>, body: Bytes) -> Response {
    let mut fields = fields(&body);
    let chosen = fields.remove("user").unwrap_or_default();
    let typed = fields.remove("name").unwrap_or_default();
    let who = if chosen.is_empty() { typed.trim() } else { chosen.trim() }.to_owned();
    let ask = match read(&state, &tenant, &fields) {
        Ok(ask) => ask,
        Err(refusal) => return refused(&state, refusal),
    };
    if who == "cancel" {
        let text = "The user has denied access to the scope requested by the client application.".to_owned();
        return refused(&state, Refusal::Told(Box::new(ask), "access_denied", 65_004, text));
    }
    let user = {
        let world = state.world();
        match world.tenant.user(&who) {
            None => Err((50_034, format!("The user account {who} does not exist in the directory."))),
            Some(user) if user.account_enabled == Some(false) => {
                Err((50_057, "The user account is disabled.".to_owned()))
            }
            Some(user) => Ok(user.id.clone()),
        }
    };
    let user = match user {
        Ok(user) => user,
        Err((code, text)) => return refused(&state, Refusal::Shown(code, text)),
    };
    let life = i64::try_from(state.settings().sign_in.code_life_s).unwrap_or(600);
    let code = format!(
        "1.{}.AgABBAIAAADnfolhJpSnRYB1SVj-Hgd8",
        URL_SAFE_NO_PAD.encode(format!("{}{}", state.uuid(), state.uuid()))
    );
    let field = |name: &str| ask.fields.get(name).cloned();
    let challenge = field("code_challenge")
        .map(|challenge| (field("code_challenge_method").unwrap_or_else(|| "plain".into()), challenge));
    state.codes.keep(
        code.clone(),
        Granted {
            client_id: ask.client_id.clone(),
            redirect_uri: ask.redirect_uri.clone(),
            scope: field("scope").unwrap_or_default(),
            nonce: field("nonce"),
            challenge,
            user,
            expires: state.now() + SignedDuration::from_secs(life),
        },
    );
    let session = state.uuid();
    send(&ask, vec![("code", code), ("session_state", session)])
}

pub(super) async fn logout(
    State(state): State<Shared>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = fields(query.unwrap_or_default().as_bytes());
    let world = state.world();
    let back = fields.get("post_logout_redirect_uri").filter(|uri| {
        is_tenant(&world.tenant, &tenant)
            && world.tenant.applications.values().any(|app| registered(app, uri))
    });
    match back {
        Some(back) => found(back),
        None => html(StatusCode::OK, "Signed out", "<p>You signed out of your account.</p>"),
    }
}

fn read(state: &Emulator, name: &str, fields: &Fields) -> Result<Ask, Refusal> {
    let shown = |code, text: String| Err(Refusal::Shown(code, text));
    let field = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let missing = |name: &str| {
        Refusal::Shown(900_144, format!("The request body must contain the following parameter: '{name}'."))
    };
    let world = state.world();
    let tenant = &world.tenant;
    if !is_tenant(tenant, name) && !["common", "organizations"].contains(&name) {
        return shown(90_002, format!("Tenant '{name}' not found."));
    }
    let client_id = field("client_id").ok_or_else(|| missing("client_id"))?.to_lowercase();
    let Some(app) = tenant.applications.get(&client_id) else {
        return shown(
            700_016,
            format!(
                "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if the \
                 application has not been installed by the administrator of the tenant or consented to by any user in \
                 the tenant.",
                tenant.id
            ),
        );
    };
    if !app.enabled {
        return shown(7_000_112, format!("Application '{client_id}'({}) is disabled.", app.display_name));
    }
    if app.redirect_uris.is_empty() {
        return shown(500_113, "No reply address is registered for the application.".into());
    }
    let redirect = match field("redirect_uri") {
        Some(redirect) => redirect.to_owned(),
        None => app.redirect_uris[0].clone(),
    };
    if !registered(app, &redirect) {
        return shown(
            50_011,
            format!(
                "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for \
                 the application '{client_id}'. Make sure the redirect URI sent in the request matches one added to your \
                 application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more \
                 about how to fix this."
            ),
        );
    }
    let mode = match field("response_mode") {
        None | Some("query") => Mode::Query,
        Some("fragment") => Mode::Fragment,
        Some("form_post") => Mode::FormPost,
        Some(_) => {
            return shown(900_144, "The value of the parameter 'response_mode' is not supported.".into());
        }
    };
    let ask = Ask { client_id, redirect_uri: redirect, mode, fields: fields.clone() };
    let told =
        |error, code, text: &str| Err(Refusal::Told(Box::new(ask_again(&ask)), error, code, text.into()));
    match field("response_type") {
        Some("code") => {}
        None => {
            let text = "The request body must contain the following parameter: 'response_type'.";
            return told("invalid_request", 900_144, text);
        }
        Some(_) => {
            let text = "The response type is not enabled for the application.";
            return told("unsupported_response_type", 700_054, text);
        }
    }
    if field("scope").is_none() {
        let text = "The request body must contain the following parameter: 'scope'.";
        return told("invalid_request", 900_144, text);
    }
    let challenge = field("code_challenge").map(str::len);
    let method = field("code_challenge_method");
    let sound = matches!((challenge, method), (None, None) | (Some(43..=128), None | Some("S256" | "plain")));
    if !sound {
        let text = "The size or the method of the Code_Challenge parameter is not valid.";
        return told("invalid_request", 501_491, text);
    }
    Ok(ask)
}

fn ask_again(ask: &Ask) -> Ask {
    Ask {
        fields: ask.fields.clone(),
        client_id: ask.client_id.clone(),
        redirect_uri: ask.redirect_uri.clone(),
        mode: ask.mode,
    }
}

/// Whether the application has this address; of `localhost` and loopback addresses the port does not count.
fn registered(app: &Application, address: &str) -> bool {
    app.redirect_uris
        .iter()
        .any(|known| known == address || local(known).is_some_and(|k| Some(k) == local(address)))
}

fn local(address: &str) -> Option<(String, String)> {
    let url = url::Url::parse(address).ok().filter(|url| url.scheme() == "http")?;
    let host = url.host_str().filter(|host| ["localhost", "127.0.0.1"].contains(host))?.to_owned();
    (url.username().is_empty() && url.query().is_none()).then(|| (host, url.path().to_owned()))
}

fn refused(state: &Emulator, refusal: Refusal) -> Response {
    let trail = |code: u32, text: &str| {
        let time = state.now().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let (trace, correlation) = (state.uuid(), state.uuid());
        format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}")
    };
    match refusal {
        Refusal::Shown(code, text) => {
            let body = format!(
                "<h1>Sorry, but we’re having trouble signing you in.</h1><p>{}</p>",
                escaped(&trail(code, &text))
            );
            html(StatusCode::BAD_REQUEST, "Sign in to your account", &body)
        }
        Refusal::Told(ask, error, code, text) => {
            send(&ask, vec![("error", error.to_owned()), ("error_description", trail(code, &text))])
        }
    }
}

/// Sends the browser back with these values and the state.
fn send(ask: &Ask, mut values: Vec<(&'static str, String)>) -> Response {
    if let Some(state) = ask.fields.get("state") {
        values.push(("state", state.clone()));
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(values.iter().map(|(name, value)| (*name, value)));
    let pairs = form.finish();
    match ask.mode {
        Mode::Query => {
            let joint = if ask.redirect_uri.contains('?') { '&' } else { '?' };
            found(&format!("{}{joint}{pairs}", ask.redirect_uri))
        }
        Mode::Fragment => found(&format!("{}#{pairs}", ask.redirect_uri)),
        Mode::FormPost => {
            let mut body = format!("<form method=\"post\" action=\"{}\">", escaped(&ask.redirect_uri));
            for (name, value) in &values {
                hidden(&mut body, name, value);
            }
            body.push_str("<button>Continue</button></form>");
            html(StatusCode::OK, "Working...", &body)
        }
    }
}

fn found(address: &str) -> Response {
    let headers =
        [(header::LOCATION, address.to_owned()), (header::CACHE_CONTROL, "no-store, no-cache".into())];
    (StatusCode::FOUND, headers).into_response()
}

/// The page with the people who can sign in, whoever was hinted at first.
fn people(state: &Emulator, ask: &Ask) -> Response {
    let world = state.world();
    let tenant: &Tenant = &world.tenant;
    let hint = ask.fields.get("login_hint").map(String::as_str).unwrap_or_default();
    let mut users: Vec<&EntraUser> =
        tenant.users.values().filter(|user| user.account_enabled != Some(false)).collect();
    users.sort_by_key(|user| {
        let hinted = user.user_principal_name.eq_ignore_ascii_case(hint);
        (!hinted, user.display_name.clone().unwrap_or_default(), user.user_principal_name.clone())
    });
    let all = users.len();
    let app =
        tenant.applications.get(&ask.client_id).map(|app| app.display_name.as_str()).unwrap_or_default();
    let mut body = format!(
        "<h1>Sign in</h1><p>to <b>{}</b>. This is an emulated company: pick who you are.</p><form method=\"post\">",
        escaped(app)
    );
    for (name, value) in &ask.fields {
        hidden(&mut body, name, value);
    }
    body.push_str("<p><label>User principal name <input name=\"name\" autocomplete=\"off\"></label> <button>Next</button></p><ul>");
    for user in users.iter().take(LISTED) {
        let _ = write!(
            body,
            "<li><button name=\"user\" value=\"{}\">{}</button> {}</li>",
            escaped(&user.id),
            escaped(user.display_name.as_deref().unwrap_or(&user.user_principal_name)),
            escaped(&user.user_principal_name)
        );
    }
    body.push_str("</ul>");
    if all > LISTED {
        let _ = write!(body, "<p>and {} more, by their names above.</p>", all - LISTED);
    }
    body.push_str("<p><button name=\"user\" value=\"cancel\">Cancel</button></p></form>");
    html(StatusCode::OK, "Sign in to your account", &body)
}

fn hidden(body: &mut String, name: &str, value: &str) {
    let _ = write!(body, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value));
}

fn html(status: StatusCode, title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title></head><body>{body}</body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store, no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (status, headers, page).into_response()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
        safe
    })
}
