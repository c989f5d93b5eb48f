//! The token endpoint: client credentials, and codes of people who signed in.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::failure::{Failure, common_headers};
use super::{GRAPH_APP_ID, GRAPH_RESOURCE, access, assertion, is_tenant};
use crate::state::{Shared, State as Emulator};
use crate::world::tenant::{Application, Tenant};

pub(super) async fn endpoint(
    State(state): State<Shared>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    if form.get("grant_type").is_some_and(|grant| grant == "authorization_code") {
        return match redeem(&state, &tenant, &headers, &form) {
            Ok(answer) => (common_headers(&state.uuid()), axum::Json(answer)).into_response(),
            Err(failure) => failure.answer(&state, &headers),
        };
    }
    match grant(&state, &tenant, &headers, &form) {
        Ok((token, life)) => (
            common_headers(&state.uuid()),
            axum::Json(json!({
                "token_type": "Bearer",
                "expires_in": life,
                "ext_expires_in": life,
                "access_token": token,
            })),
        )
            .into_response(),
        Err(failure) => failure.answer(&state, &headers),
    }
}

/// An authorization code for tokens about the person who signed in.
fn redeem(
    state: &Emulator,
    name: &str,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
) -> Result<serde_json::Value, Failure> {
    let world = state.world();
    let tenant = &world.tenant;
    if !is_tenant(tenant, name) {
        return Err(Failure::unknown_tenant(name));
    }
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (app, _) = client(state, tenant, headers, form, None)?;
    let code = field("code").ok_or_else(|| Failure::missing("code"))?;
    let redirect = field("redirect_uri").ok_or_else(|| Failure::missing("redirect_uri"))?;
    let granted = state.codes.redeem(code, state.now())?;
    let same_client = granted.client_id == app.client_id;
    if !same_client {
        let text = "The provided authorization code is not for this application.";
        return Err(Failure::bad("invalid_grant", 70_000, text));
    }
    if granted.redirect_uri != redirect {
        return Err(Failure::bad(
            "invalid_grant",
            500_112,
            format!(
                "The reply address '{redirect}' does not match the reply address '{}' provided when requesting \
                 Authorization code.",
                granted.redirect_uri
            ),
        ));
    }
    granted.prove(field("code_verifier"))?;
    let user = tenant.users.get(&granted.user).filter(|user| user.account_enabled != Some(false));
    let user = user.ok_or_else(|| Failure::bad("invalid_grant", 50_057, "The user account is disabled."))?;
    let mut answer = json!({
        "token_type": "Bearer",
        "scope": granted.scope,
        "expires_in": state.settings().graph.access_token_life_s,
        "ext_expires_in": state.settings().graph.access_token_life_s,
        "access_token": super::id_token::access(state, tenant, app, user, &granted.scope),
    });
    if granted.scope.split(' ').any(|scope| scope == "openid") {
        answer["id_token"] = super::id_token::issue(state, tenant, app, user, &granted).into();
    }
    Ok(answer)
}

fn grant(
    state: &Emulator,
    name: &str,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
) -> Result<(String, u64), Failure> {
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let world = state.world();
    let tenant = &world.tenant;
    if ["common", "consumers", "organizations"].contains(&name) {
        return Err(Failure::bad(
            "invalid_request",
            9_001_023,
            format!(
                "The grant type is not supported over the /{name} endpoint. Use a tenant-specific endpoint."
            ),
        ));
    }
    if !is_tenant(tenant, name) {
        return Err(Failure::unknown_tenant(name));
    }
    match field("grant_type").ok_or_else(|| Failure::missing("grant_type"))? {
        "client_credentials" => {}
        other => {
            return Err(Failure::bad(
                "unsupported_grant_type",
                70003,
                format!("The app requested an unsupported grant type '{other}'."),
            ));
        }
    }
    let scope = field("scope").ok_or_else(|| Failure::missing("scope"))?;
    let (app, credential) = client(state, tenant, headers, form, Some(scope))?;
    Ok(access::issue(state, tenant, app, credential))
}

/// The application that asks, and the digest of what it proved itself with. A scope that cannot be had is told before a
/// wrong secret is.
fn client<'a>(
    state: &Emulator,
    tenant: &'a Tenant,
    headers: &HeaderMap,
    form: &HashMap<String, String>,
    scope: Option<&str>,
) -> Result<(&'a Application, Option<String>), Failure> {
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let basic = basic(headers);
    let client_id = field("client_id")
        .map(str::to_owned)
        .or_else(|| basic.as_ref().map(|(id, _)| id.clone()))
        .ok_or_else(|| Failure::missing("client_id"))?;
    let secret = field("client_secret").map(str::to_owned).or(basic.map(|(_, secret)| secret));
    let app = tenant.applications.get(&client_id.to_lowercase()).ok_or_else(|| {
        Failure::bad(
            "unauthorized_client",
            700_016,
            format!(
                "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if \
                 the application has not been installed by the administrator of the tenant or consented to by any \
                 user in the tenant. You may have sent your authentication request to the wrong tenant.",
                tenant.id
            ),
        )
    })?;
    if !app.enabled {
        return Err(Failure::bad(
            "unauthorized_client",
            7_000_112,
            format!("Application '{client_id}'({}) is disabled.", app.display_name),
        ));
    }
    if let Some(scope) = scope {
        check_scope(state, tenant, scope)?;
    }
    let credential = match (field("client_assertion"), secret) {
        (Some(assertion), _) => {
            let kind =
                field("client_assertion_type").ok_or_else(|| Failure::missing("client_assertion_type"))?;
            if kind != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
                return Err(Failure::bad(
                    "invalid_request",
                    900_144,
                    "The value of the parameter 'client_assertion_type' is not supported.",
                ));
            }
            assertion::check(state, tenant, app, assertion)?
        }
        (None, Some(secret)) => Some(check_secret(state, app, &secret)?),
        (None, None) => {
            return Err(Failure::client(
                7_000_218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            ));
        }
    };
    Ok((app, credential))
}

fn check_secret(state: &Emulator, app: &Application, secret: &str) -> Result<String, Failure> {
    let id = &app.client_id;
    let known = app.secrets.iter().find(|known| known.value == secret).ok_or_else(|| {
        Failure::client(
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                 value, not the client secret ID, for a secret added to app '{id}'."
            ),
        )
    })?;
    if known.expires.is_some_and(|expires| expires <= state.now()) {
        return Err(Failure::client(
            7_000_222,
            format!(
                "The provided client secret keys for app '{id}' are expired. Visit the Azure portal to create new \
                 keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for \
                 added security: https://aka.ms/certCreds."
            ),
        ));
    }
    Ok(access::credential_digest(secret.as_bytes()))
}

/// All scopes are of one resource, that resource is Graph, and each ends in `/.default`.
fn check_scope(state: &Emulator, tenant: &Tenant, scope: &str) -> Result<(), Failure> {
    let mut resource: Option<&str> = None;
    for part in scope.split_whitespace() {
        let Some(of) = part.strip_suffix("/.default") else {
            return Err(Failure::bad(
                "invalid_scope",
                1_002_012,
                format!(
                    "The provided value for scope {scope} is not valid. Client credential flows must have a scope \
                     value with /.default suffixed to the resource identifier (application ID URI)."
                ),
            ));
        };
        let of = of.trim_end_matches('/');
        if of.is_empty() || (url::Url::parse(of).is_err() && uuid::Uuid::parse_str(of).is_err()) {
            return Err(Failure::bad(
                "invalid_scope",
                70011,
                format!(
                    "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
                ),
            ));
        }
        if resource.is_some_and(|first| first != of) {
            return Err(Failure::bad(
                "invalid_scope",
                700_022,
                format!("Provided scope '{scope}' is not valid: it holds scopes of more than one resource."),
            ));
        }
        resource = Some(of);
    }
    let of = resource.ok_or_else(|| Failure::missing("scope"))?;
    if of != GRAPH_RESOURCE && of != GRAPH_APP_ID && of != state.urls().graph {
        return Err(Failure::bad(
            "invalid_resource",
            500_011,
            format!(
                "The resource principal named {of} was not found in the tenant named {}. This can happen if the \
                 application has not been installed by the administrator of the tenant or consented to by any user \
                 in the tenant. You might have sent your authentication request to the wrong tenant.",
                tenant.domain
            ),
        ));
    }
    Ok(())
}

/// Client id and secret from HTTP Basic, both form-encoded before they were joined (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let plain = |part: &str| {
        percent_decode_str(&part.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    Some((plain(id)?, plain(secret)?))
}
