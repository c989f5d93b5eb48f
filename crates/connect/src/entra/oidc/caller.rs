//! Tokens with which Entra ID calls a custom authentication extension (microsoft-graph.md 10.2). Everything that can be
//! judged is judged before the body of the call is looked at.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::LEEWAY_S;
use super::authority::{Authority, Known};

/// Microsoft's own application that calls extensions, in every tenant.
const MICROSOFTS_CALLER: &str = "99045fe1-7639-4a75-9d4a-577b6ca3810f";
/// Longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedCaller {
    /// No token, or none that can be read.
    Malformed,
    /// Signed in another way than RS256, or not at all.
    Algorithm,
    /// Signed with a key that the tenant does not publish.
    UnknownKey,
    /// The signature is not that of the key.
    Signature,
    /// By another issuer.
    Issuer,
    /// Of another tenant.
    Tenant,
    /// For another application.
    Audience,
    /// Asked for by another application than Microsoft's caller.
    Caller,
    /// Expired.
    Expired,
    /// Not good yet.
    NotYet,
    /// The keys of the tenant could not be read.
    NoKeys,
}

impl fmt::Display for RefusedCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "there is no token that can be read",
            Self::Algorithm => "it is not signed with RS256",
            Self::UnknownKey => "it is signed with a key that the tenant does not publish",
            Self::Signature => "its signature is wrong",
            Self::Issuer => "its issuer is not the tenant's",
            Self::Tenant => "it is of another tenant",
            Self::Audience => "it is for another application",
            Self::Caller => "it was not asked for by Microsoft's caller of extensions",
            Self::Expired => "it has expired",
            Self::NotYet => "it is not good yet",
            Self::NoKeys => "the signing keys of the tenant could not be read",
        })
    }
}

/// A token that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerToken {
    /// What tells it from others.
    pub id: String,
    /// When it expires.
    pub expires: Timestamp,
    /// The tenant.
    pub tenant_id: String,
}

/// Judges the tokens of one extension.
#[derive(Debug, Clone)]
pub struct CallerCheck {
    authority: Arc<Authority>,
    audience: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    tid: String,
    ver: String,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    appid: Option<String>,
    #[serde(default)]
    uti: Option<String>,
    #[serde(default)]
    jti: Option<String>,
}

impl CallerCheck {
    /// `client_id` is that of the app registration that stands for the extension.
    pub fn new(authority: Arc<Authority>, client_id: &str) -> Self {
        Self { authority, audience: client_id.to_owned() }
    }

    /// Judges a token with the keys at hand. When it names another key, or none is known yet, the keys are read, for
    /// which no longer than `patience` is waited.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn check(
        &self,
        token: &str,
        now: Timestamp,
        patience: Duration,
    ) -> Result<CallerToken, RefusedCaller> {
        let Some(known) = self.authority.at_hand() else {
            let known = tokio::time::timeout(patience, self.authority.known()).await;
            let known = known.ok().and_then(Result::ok).ok_or(RefusedCaller::NoKeys)?;
            return self.judge(&known, token, now);
        };
        match self.judge(&known, token, now) {
            Err(RefusedCaller::UnknownKey) => {
                let again = tokio::time::timeout(patience, self.authority.again(&known)).await;
                let newer = again.ok().flatten().ok_or(RefusedCaller::UnknownKey)?;
                self.judge(&newer, token, now)
            }
            judged => judged,
        }
    }

    fn judge(&self, known: &Known, token: &str, now: Timestamp) -> Result<CallerToken, RefusedCaller> {
        if token.len() > LONGEST {
            return Err(RefusedCaller::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| match algorithm_word(token) {
            Some(word) if word != "RS256" => RefusedCaller::Algorithm,
            _ => RefusedCaller::Malformed,
        })?;
        if header.alg != Algorithm::RS256 {
            return Err(RefusedCaller::Algorithm);
        }
        let key = header.kid.as_deref().and_then(|kid| known.by_kid.get(kid));
        let key = key.ok_or(RefusedCaller::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::RS256);
        // Times and names are judged below, by the clock that is passed in
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => RefusedCaller::Signature,
                ErrorKind::InvalidAlgorithm => RefusedCaller::Algorithm,
                _ => RefusedCaller::Malformed,
            }
        })?;
        let claims = decoded.claims;
        let (issuer, caller) = match claims.ver.as_str() {
            "2.0" => (known.issuer.clone(), claims.azp.as_deref()),
            "1.0" => (format!("https://sts.windows.net/{}/", known.tenant_id), claims.appid.as_deref()),
            _ => return Err(RefusedCaller::Malformed),
        };
        if claims.iss != issuer {
            return Err(RefusedCaller::Issuer);
        }
        if !claims.tid.eq_ignore_ascii_case(&known.tenant_id) {
            return Err(RefusedCaller::Tenant);
        }
        // Of version 1.0 the audience may be the identifier URI, which ends in the client id (unverified)
        let named = match claims.ver.as_str() {
            "1.0" => claims.aud.strip_prefix("api://").and_then(|uri| uri.rsplit('/').next()),
            _ => None,
        };
        if !named.unwrap_or(&claims.aud).eq_ignore_ascii_case(&self.audience) {
            return Err(RefusedCaller::Audience);
        }
        if caller != Some(MICROSOFTS_CALLER) {
            return Err(RefusedCaller::Caller);
        }
        let at = now.as_second();
        if at >= claims.exp.saturating_add(LEEWAY_S) {
            return Err(RefusedCaller::Expired);
        }
        if claims.nbf.is_some_and(|nbf| at.saturating_add(LEEWAY_S) < nbf) {
            return Err(RefusedCaller::NotYet);
        }
        let id = claims.uti.or(claims.jti).filter(|id| !id.is_empty() && id.len() <= 128);
        Ok(CallerToken {
            id: id.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(Sha256::digest(token))),
            expires: Timestamp::from_second(claims.exp.saturating_add(LEEWAY_S)).unwrap_or(now),
            tenant_id: known.tenant_id.clone(),
        })
    }
}

/// The `alg` of a header that the library has no word for, such as `none`.
fn algorithm_word(token: &str) -> Option<String> {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    header["alg"].as_str().map(str::to_owned)
}
