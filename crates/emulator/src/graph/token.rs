//! Page and delta tokens: opaque, bound to application, tenant, path and options, and dated. They carry all state, so
//! that the emulator keeps none and a token can be used twice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Sets our tokens apart from other base64.
const SALT: &[u8] = b"emulated directory token 1";

/// Who may use a token and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) app: String,
    pub(super) tenant: String,
    pub(super) path: String,
    /// Digest of the options, which the link must repeat unchanged.
    pub(super) options: String,
}

impl Bound {
    pub(super) fn new(app: &str, tenant: &str, path: &str, options: &[(String, String)]) -> Self {
        let mut sorted: Vec<_> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        sorted.sort();
        let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(sorted.join("&"))[..9]);
        Self { app: app.to_owned(), tenant: tenant.to_owned(), path: path.to_lowercase(), options: digest }
    }
}

/// Packs a state.
pub(super) fn pack<T: Serialize>(state: &T) -> String {
    let json = serde_json::to_vec(state).expect("token states are plain data");
    let mut bytes = tag(&json).to_vec();
    bytes.extend(json.iter().enumerate().map(|(at, byte)| byte ^ SALT[at % SALT.len()]));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Unpacks a state; none when it is not one of ours or was changed.
pub(super) fn unpack<T: DeserializeOwned>(token: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (sum, rest) = bytes.split_at_checked(8)?;
    let json: Vec<u8> = rest.iter().enumerate().map(|(at, byte)| byte ^ SALT[at % SALT.len()]).collect();
    if tag(&json) != sum {
        return None;
    }
    serde_json::from_slice(&json).ok()
}

fn tag(json: &[u8]) -> [u8; 8] {
    let digest = Sha256::new().chain_update(SALT).chain_update(json).finalize();
    let mut tag = [0; 8];
    tag.copy_from_slice(&digest[..8]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_token_is_not_accepted() {
        let token = pack(&("a", 7));
        assert_eq!(unpack::<(String, u32)>(&token), Some(("a".to_owned(), 7)));
        let mut changed = token.into_bytes();
        changed[14] = if changed[14] == b'A' { b'B' } else { b'A' };
        assert_eq!(unpack::<(String, u32)>(&String::from_utf8(changed).unwrap()), None);
        assert_eq!(unpack::<(String, u32)>("latest"), None);
    }

    #[test]
    fn a_token_is_bound_to_the_options_in_any_order() {
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let one = Bound::new("a", "t", "/Users", &[option("$top", "5"), option("$select", "id")]);
        let two = Bound::new("a", "t", "/users", &[option("$select", "id"), option("$top", "5")]);
        let other = Bound::new("a", "t", "/users", &[option("$select", "id"), option("$top", "6")]);
        assert_eq!(one, two);
        assert_ne!(one, other);
    }
}
