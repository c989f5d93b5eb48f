//! Authorization codes: given out by the sign-in page, redeemed once within ten minutes at the token endpoint.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::failure::Failure;

/// The codes that were given out.
#[derive(Debug, Default)]
pub(crate) struct Codes(Mutex<HashMap<String, (Granted, State)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Redeemed,
}

/// What a code stands for.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    /// Method and challenge.
    pub(super) challenge: Option<(String, String)>,
    pub(super) user: String,
    pub(super) expires: Timestamp,
}

impl Codes {
    pub(super) fn keep(&self, code: String, granted: Granted) {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let long_ago = granted.expires - SignedDuration::from_hours(1);
        codes.retain(|_, (old, _)| old.expires > long_ago);
        codes.insert(code, (granted, State::Fresh));
    }

    /// What the code stands for, this once.
    pub(super) fn redeem(&self, code: &str, now: Timestamp) -> Result<Granted, Failure> {
        let invalid = |code, text: &str| Err(Failure::bad("invalid_grant", code, text));
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match codes.get_mut(code) {
            None => invalid(9_002_313, "Invalid request. Request is malformed or invalid."),
            Some((_, State::Redeemed)) => invalid(
                54_005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing \
                 refresh token.",
            ),
            Some((granted, _)) if granted.expires <= now => invalid(
                70_008,
                "The provided authorization code or refresh token has expired due to inactivity. Send a new \
                 interactive authorization request for this user and resource.",
            ),
            Some((granted, state)) => {
                *state = State::Redeemed;
                Ok(granted.clone())
            }
        }
    }
}

impl Granted {
    /// Holds the verifier against the challenge (RFC 7636).
    pub(super) fn prove(&self, verifier: Option<&str>) -> Result<(), Failure> {
        let (challenge, verifier) = match (&self.challenge, verifier) {
            (None, _) => return Ok(()),
            (Some(_), None) => return Err(Failure::missing("code_verifier")),
            (Some(challenge), Some(verifier)) => (challenge, verifier),
        };
        let derived = match challenge.0.as_str() {
            "S256" => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)),
            _ => verifier.to_owned(),
        };
        if derived == challenge.1 {
            return Ok(());
        }
        let text =
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.";
        Err(Failure::bad("invalid_grant", 501_481, text))
    }
}
