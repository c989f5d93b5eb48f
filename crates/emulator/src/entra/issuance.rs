//! Plays Entra while it mints a token: calls a custom authentication extension (`OnTokenIssuanceStart`), with the token,
//! the body, the time limit and the one retry that are documented, and judges the answer as Entra does.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::attack::{Attack, sign};
use crate::state::State;

/// Microsoft's own application that calls extensions.
const CALLER: &str = "99045fe1-7639-4a75-9d4a-577b6ca3810f";
/// Longest answer that is looked at.
const LONGEST: usize = 64 * 1024;
/// Most that names and values of claims may be long together.
const CLAIMS: usize = 3 * 1024;

fn default_timeout() -> u64 {
    1000
}

fn default_retries() -> u8 {
    1
}

/// A call to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuanceCall {
    /// Address of the extension.
    url: String,
    /// Who signs in: id or user principal name. An id that nobody has is sent as it is.
    user: String,
    /// Client id of the extension's own app registration, the audience; the first application when absent.
    #[serde(default)]
    audience: Option<String>,
    /// Version of the token, which is the registration's `requestedAccessTokenVersion`.
    #[serde(default)]
    token_version: TokenVersion,
    /// 200 to 2000.
    #[serde(default = "default_timeout")]
    timeout_ms: u64,
    /// 0 or 1.
    #[serde(default = "default_retries")]
    maximum_retries: u8,
    /// What is wrong with the token.
    #[serde(default)]
    attack: Option<Attack>,
    /// This token, of an earlier call.
    #[serde(default)]
    token: Option<String>,
    /// This correlation id, of an earlier call.
    #[serde(default)]
    correlation_id: Option<String>,
    /// Another tenant in the body than in the token.
    #[serde(default)]
    body_tenant: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum TokenVersion {
    #[serde(rename = "1.0")]
    One,
    #[default]
    #[serde(rename = "2.0")]
    Two,
}

/// Calls the extension; says what came of it.
pub(crate) async fn call(state: &State, call: IssuanceCall) -> Result<Value, String> {
    if !(200..=2000).contains(&call.timeout_ms) || call.maximum_retries > 1 {
        return Err("timeout_ms is 200 to 2000, maximum_retries 0 or 1".into());
    }
    let correlation = call.correlation_id.clone().unwrap_or_else(|| state.uuid());
    let token = call.token.clone().unwrap_or_else(|| token(state, &call));
    let body = body(state, &call, &correlation);
    let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    if call.url.starts_with("http://") {
        builder = builder.tls_certs_only([]);
    }
    let client = builder.build().map_err(|e| format!("there is no HTTP client: {e}"))?;
    let mut attempts = Vec::new();
    let mut last = (None, String::new());
    for _ in 0..=call.maximum_retries {
        let at = Instant::now();
        let request = client
            .post(&call.url)
            .bearer_auth(&token)
            .timeout(Duration::from_millis(call.timeout_ms))
            .json(&body);
        let outcome = attempt(request).await;
        let elapsed = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok((status, kind, text)) => {
                attempts.push(json!({ "status": status, "elapsed_ms": elapsed }));
                let retried = status >= 500 || status == 429 || status == 408;
                last = (Some((status, kind)), text);
                if !retried {
                    break;
                }
            }
            Err(code) => {
                attempts.push(json!({ "error_code": code, "elapsed_ms": elapsed }));
                last = (None, code.to_string());
            }
        }
    }
    let (status, verdict) = match &last {
        (Some((status, kind)), text) => (json!(status), judge(*status, kind, text)),
        (None, code) => (Value::Null, Err(code.parse().unwrap_or(1_003_027))),
    };
    let parsed: Value = serde_json::from_str(&last.1).unwrap_or(json!(last.1));
    Ok(json!({
        "accepted": verdict.is_ok(),
        "error_code": verdict.as_ref().err(),
        "claims": verdict.ok(),
        "status": status,
        "body": parsed,
        "attempts": attempts,
        "correlation_id": correlation,
        "token": token,
    }))
}

async fn attempt(request: reqwest::RequestBuilder) -> Result<(u16, String, String), u32> {
    let code = |error: &reqwest::Error| -> u32 { if error.is_timeout() { 1_003_005 } else { 1_003_027 } };
    let mut response = request.send().await.map_err(|e| code(&e))?;
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (status, kind) = (response.status().as_u16(), kind.to_owned());
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| code(&e))? {
        text.extend_from_slice(&chunk);
        if text.len() > LONGEST {
            return Err(1_003_024);
        }
    }
    Ok((status, kind, String::from_utf8_lossy(&text).into_owned()))
}

/// The claims of an answer, or the code that the sign-in log shows.
fn judge(status: u16, kind: &str, text: &str) -> Result<Value, u32> {
    if matches!(status, 401 | 403) {
        return Err(1_003_005);
    }
    if status != 200 {
        return Err(1_003_002);
    }
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        return Err(1_003_006);
    }
    if text.trim().is_empty() {
        return Err(1_003_009);
    }
    let body: Value = serde_json::from_str(text).map_err(|_| 1_003_003_u32)?;
    let data = &body["data"];
    if data["@odata.type"] != "microsoft.graph.onTokenIssuanceStartResponseData" {
        return Err(1_003_003);
    }
    let Some([action]) = data["actions"].as_array().map(Vec::as_slice) else { return Err(1_003_010) };
    if action["@odata.type"] != "microsoft.graph.tokenIssuanceStart.provideClaimsForToken" {
        return Err(1_003_003);
    }
    let claims = action["claims"].as_object().ok_or(1_003_007_u32)?;
    let plain = |value: &Value| {
        value.is_string() || value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
    };
    if !claims.values().all(plain) {
        return Err(1_003_003);
    }
    let long: usize = claims.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
    if long > CLAIMS {
        return Err(1_003_025);
    }
    Ok(Value::Object(claims.clone()))
}

fn token(state: &State, call: &IssuanceCall) -> String {
    let world = state.world();
    let tenant = &world.tenant.id;
    let first = || world.tenant.applications.keys().next().cloned().unwrap_or_default();
    let audience = call.audience.clone().unwrap_or_else(first);
    let now = state.now().as_second();
    let mut claims = json!({
        "aud": audience, "iat": now, "nbf": now, "exp": now + 3600,
        "oid": "f7e4b9a1-0c7d-4a53-8f0e-b2a3c4d5e6f7", "sub": "f7e4b9a1-0c7d-4a53-8f0e-b2a3c4d5e6f7",
        "tid": tenant, "uti": state.uuid(), "aio": "E2NgYA==",
    });
    match call.token_version {
        TokenVersion::Two => {
            claims["iss"] = json!(format!("{}/{tenant}/v2.0", state.urls().authority));
            claims["azp"] = json!(CALLER);
            claims["azpacr"] = json!("2");
            claims["ver"] = json!("2.0");
        }
        TokenVersion::One => {
            claims["iss"] = json!(format!("https://sts.windows.net/{tenant}/"));
            claims["appid"] = json!(CALLER);
            claims["appidacr"] = json!("2");
            claims["ver"] = json!("1.0");
        }
    }
    sign(claims, call.attack)
}

fn body(state: &State, call: &IssuanceCall, correlation: &str) -> Value {
    let world = state.world();
    let tenant = &world.tenant.id;
    let app = json!({
        "id": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb", "appId": "3c7e2d10-6d0b-4a4e-8f45-90f1b2a7c6d4",
        "appDisplayName": "Jira Cloud", "displayName": "Jira Cloud",
    });
    let mut user = json!({ "id": call.user });
    if let Some(known) = world.tenant.user(&call.user) {
        user = json!({
            "companyName": known.company_name, "createdDateTime": known.created_date_time,
            "displayName": known.display_name, "givenName": known.given_name, "id": known.id, "mail": known.mail,
            "preferredLanguage": known.preferred_language, "surname": known.surname,
            "userPrincipalName": known.user_principal_name, "userType": known.user_type,
        });
        if let Some(fields) = user.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
    }
    json!({
        "type": "microsoft.graph.authenticationEvent.tokenIssuanceStart",
        "source": format!("/tenants/{tenant}/applications/3c7e2d10-6d0b-4a4e-8f45-90f1b2a7c6d4"),
        "data": {
            "@odata.type": "microsoft.graph.onTokenIssuanceStartCalloutData",
            "tenantId": call.body_tenant.as_ref().unwrap_or(tenant),
            "authenticationEventListenerId": "11112222-bbbb-3333-cccc-4444dddd5555",
            "customAuthenticationExtensionId": "22223333-cccc-4444-dddd-5555eeee6666",
            "authenticationContext": {
                "correlationId": correlation,
                "client": { "ip": "203.0.113.7", "locale": "en-us", "market": "en-us" },
                "protocol": "OAUTH2.0",
                "clientServicePrincipal": app,
                "resourceServicePrincipal": app,
                "user": user,
            },
        },
    })
}
