//! Tokens about a person who signed in: the id token with the claims of version 2.0, and an access token for Graph's
//! `userinfo`, which is opaque to whoever gets it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::attack::sign;
use super::code::Granted;
use super::{GRAPH_APP_ID, keys};
use crate::state::State;
use crate::world::tenant::{Application, EntraUser, Reach, Tenant};

/// More groups than this are not named in a token.
const MOST_GROUPS: usize = 200;

/// The subject: another one for each application.
fn subject(app: &Application, user: &EntraUser) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{}/{}", app.client_id, user.id)))
}

/// The id token.
pub(super) fn issue(
    state: &State,
    tenant: &Tenant,
    app: &Application,
    user: &EntraUser,
    granted: &Granted,
) -> String {
    let settings = state.settings().sign_in.clone();
    let now = state.now().as_second();
    let life = i64::try_from(settings.id_token_life_s).unwrap_or(i64::MAX / 4);
    let has = |scope: &str| granted.scope.split(' ').any(|given| given == scope);
    let mut claims = json!({
        "aud": app.client_id,
        "iss": format!("{}/{}/v2.0", state.urls().authority, tenant.id),
        "iat": now,
        "nbf": now,
        "exp": now + life,
        "sub": subject(app, user),
        "tid": tenant.id,
        "uti": URL_SAFE_NO_PAD.encode(&state.uuid().as_bytes()[..16]),
        "ver": "2.0",
    });
    if let Some(nonce) = &granted.nonce {
        claims["nonce"] = json!(nonce);
    }
    if has("profile") {
        claims["oid"] = json!(user.id);
        claims["name"] = json!(user.display_name);
        claims["preferred_username"] = json!(user.user_principal_name);
    }
    if has("email")
        && let Some(mail) = &user.mail
    {
        claims["email"] = json!(mail);
    }
    if user.user_type.as_deref() == Some("Guest") {
        claims["idp"] = json!("https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/");
    }
    let groups = tenant.groups_of(&user.id, Reach::Transitive);
    if app.group_claims {
        if groups.len() > MOST_GROUPS {
            let graph = state.urls().graph;
            let endpoint = format!("{graph}/v1.0/users/{}/getMemberObjects", user.id);
            claims["_claim_names"] = json!({ "groups": "src1" });
            claims["_claim_sources"] = json!({ "src1": { "endpoint": endpoint } });
        } else if !groups.is_empty() {
            claims["groups"] = json!(groups);
        }
    }
    let holds = |who: &String| {
        *who == user.id || who.eq_ignore_ascii_case(&user.user_principal_name) || groups.contains(who)
    };
    let roles: Vec<&String> =
        app.app_roles.iter().filter(|(_, who)| who.iter().any(holds)).map(|(role, _)| role).collect();
    if !roles.is_empty() {
        claims["roles"] = json!(roles);
    }
    sign(claims, settings.attack)
}

/// An access token with delegated scopes.
pub(super) fn access(
    state: &State,
    tenant: &Tenant,
    app: &Application,
    user: &EntraUser,
    scope: &str,
) -> String {
    let now = state.now().as_second();
    let claims: Value = json!({
        "aud": GRAPH_APP_ID,
        "iss": format!("https://sts.windows.net/{}/", tenant.id),
        "iat": now, "nbf": now, "exp": now + 3600,
        "appid": app.client_id, "idtyp": "user", "oid": user.id, "scp": scope,
        "sub": subject(app, user), "tid": tenant.id, "ver": "1.0", "x5t": keys::signing().kid,
    });
    sign(claims, None)
}
