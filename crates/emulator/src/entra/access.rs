//! Access tokens for Graph: what the token endpoint hands out and Graph checks. To callers they are opaque.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, crypto};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{GRAPH_RESOURCE, keys};
use crate::state::State;
use crate::world::tenant::{Application, Tenant};

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    appid: String,
    app_displayname: String,
    idtyp: String,
    oid: String,
    sub: String,
    tid: String,
    uti: String,
    ver: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<String>,
    /// Digest of the credential that was used, so that the token dies with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cred: Option<String>,
}

/// Why Graph does not accept a token. All of them are answered with 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not a token of ours, or changed.
    Malformed,
    /// For another resource.
    Audience,
    /// Past its life.
    Expired,
    /// The application, its tenant or the credential it was got with is no longer there.
    UnknownApplication,
    /// The application is disabled.
    Disabled,
}

/// The digest by which a token remembers a credential.
pub(super) fn credential_digest(credential: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(credential)[..12])
}

/// A token for Graph with the roles the application holds now, and its life in seconds.
pub(super) fn issue(
    state: &State,
    tenant: &Tenant,
    app: &Application,
    credential: Option<String>,
) -> (String, u64) {
    let life = state.settings().graph.access_token_life_s;
    let now = state.now().as_second();
    let claims = Claims {
        aud: GRAPH_RESOURCE.to_owned(),
        iss: format!("https://sts.windows.net/{}/", tenant.id),
        iat: now - 300,
        nbf: now - 300,
        exp: now + i64::try_from(life).unwrap_or(i64::MAX / 4),
        appid: app.client_id.clone(),
        app_displayname: app.display_name.clone(),
        idtyp: "app".to_owned(),
        oid: app.object_id.clone(),
        sub: app.object_id.clone(),
        tid: tenant.id.clone(),
        uti: state.uuid(),
        ver: "1.0".to_owned(),
        roles: app.roles.clone(),
        cred: credential,
    };
    let key = keys::signing();
    let header = serde_json::json!({ "typ": "JWT", "alg": "RS256", "kid": key.kid, "x5t": key.kid });
    let encode = |value: Vec<u8>| URL_SAFE_NO_PAD.encode(value);
    let message = format!(
        "{}.{}",
        encode(serde_json::to_vec(&header).expect("a JSON value serialises")),
        encode(serde_json::to_vec(&claims).expect("claims are plain strings and numbers"))
    );
    let signature = crypto::sign(message.as_bytes(), &key.private, Algorithm::RS256)
        .expect("an RSA key signs with RS256");
    (format!("{message}.{signature}"), life)
}

/// The application behind a token and the roles in it.
pub(crate) fn check(
    tenant: &Tenant,
    token: &str,
    now: Timestamp,
) -> Result<(String, BTreeSet<String>), Refused> {
    let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (_, payload) = message.split_once('.').ok_or(Refused::Malformed)?;
    let good = crypto::verify(signature, message.as_bytes(), &keys::signing().public, Algorithm::RS256);
    if !good.unwrap_or(false) {
        return Err(Refused::Malformed);
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused::Malformed)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refused::Malformed)?;
    if claims.aud != GRAPH_RESOURCE {
        return Err(Refused::Audience);
    }
    if now.as_second() >= claims.exp {
        return Err(Refused::Expired);
    }
    if claims.tid != tenant.id {
        return Err(Refused::UnknownApplication);
    }
    let app = tenant.applications.get(&claims.appid).ok_or(Refused::UnknownApplication)?;
    if !app.enabled {
        return Err(Refused::Disabled);
    }
    if let Some(digest) = claims.cred {
        let secrets = app.secrets.iter().map(|secret| secret.value.as_bytes());
        let certificates = app.certificates.iter().map(String::as_bytes);
        if !secrets.chain(certificates).any(|credential| credential_digest(credential) == digest) {
            return Err(Refused::UnknownApplication);
        }
    }
    Ok((claims.appid, claims.roles))
}
