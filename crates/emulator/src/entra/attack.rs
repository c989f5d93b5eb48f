//! What can be wrong with a token on purpose, so that whoever takes tokens can be held against it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys;

/// An attack by token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// Signed by HMAC, with the published RSA key as the secret.
    Hs256PublicKey,
    /// The key id is one that is published nowhere.
    UnknownKid,
    /// Signed with another key, under the id of the published one.
    ForeignKey,
    /// A claim was changed after signing.
    Tampered,
    /// For another application.
    WrongAudience,
    /// From another issuer.
    WrongIssuer,
    /// Of another tenant, in issuer and `tid`.
    WrongTenant,
    /// Of another tenant in `tid` alone.
    WrongTid,
    /// With the nonce of another sign-in.
    WrongNonce,
    /// Without a nonce.
    NoNonce,
    /// Expired an hour ago.
    Expired,
    /// Good from in an hour on.
    NotYetValid,
    /// Without `oid`.
    NoObjectId,
    /// Asked for by another application than Microsoft's caller (`azp`, `appid`).
    WrongCaller,
}

/// Signs claims as Entra does, or as an attack would.
pub(super) fn sign(mut claims: Value, attack: Option<Attack>) -> String {
    let key = keys::signing();
    let mut header = json!({ "typ": "JWT", "alg": "RS256", "kid": key.kid });
    let other = "11111111-2222-4333-8444-555555555555";
    match attack {
        None | Some(Attack::ForeignKey | Attack::Tampered) => {}
        Some(Attack::AlgNone) => header["alg"] = json!("none"),
        Some(Attack::Hs256PublicKey) => header["alg"] = json!("HS256"),
        Some(Attack::UnknownKid) => header["kid"] = json!("bm90LXB1Ymxpc2hlZA"),
        Some(Attack::WrongAudience) => claims["aud"] = json!(other),
        Some(Attack::WrongIssuer) => claims["iss"] = json!("https://login.evil.example/v2.0"),
        Some(Attack::WrongTenant) => {
            let (issuer, tenant) = (text(&claims, "iss"), text(&claims, "tid"));
            claims["iss"] = json!(issuer.replace(&tenant, other));
            claims["tid"] = json!(other);
        }
        Some(Attack::WrongTid) => claims["tid"] = json!(other),
        Some(Attack::WrongNonce) => claims["nonce"] = json!("of-another-sign-in"),
        Some(Attack::NoNonce) => without(&mut claims, "nonce"),
        Some(Attack::Expired) => shift(&mut claims, -3600 - 3600),
        Some(Attack::NotYetValid) => shift(&mut claims, 3600),
        Some(Attack::NoObjectId) => without(&mut claims, "oid"),
        Some(Attack::WrongCaller) => {
            for name in ["azp", "appid"] {
                if claims.get(name).is_some() {
                    claims[name] = json!(other);
                }
            }
        }
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let signed = |key: &EncodingKey, algorithm| {
        crypto::sign(message.as_bytes(), key, algorithm).expect("the key signs with its own algorithm")
    };
    let signature = match attack {
        Some(Attack::AlgNone) => String::new(),
        Some(Attack::Hs256PublicKey) => {
            signed(&EncodingKey::from_secret(key.public_pem.as_bytes()), Algorithm::HS256)
        }
        Some(Attack::ForeignKey) => signed(&keys::foreign().private, Algorithm::RS256),
        _ => signed(&key.private, Algorithm::RS256),
    };
    if attack == Some(Attack::Tampered) {
        claims["oid"] = json!(other);
        return format!("{}.{}.{signature}", part(&header), part(&claims));
    }
    format!("{message}.{signature}")
}

fn text(claims: &Value, name: &str) -> String {
    claims[name].as_str().unwrap_or_default().to_owned()
}

fn without(claims: &mut Value, name: &str) {
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(name);
    }
}

fn shift(claims: &mut Value, seconds: i64) {
    for name in ["iat", "nbf", "exp"] {
        if let Some(at) = claims[name].as_i64() {
            claims[name] = json!(at + seconds);
        }
    }
}
