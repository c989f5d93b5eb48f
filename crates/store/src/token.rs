//! Texts that are given away sealed and come back, such as cookies: whoever holds one can neither read nor change it, and
//! every server with the same secret key can open it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::error::Result;
use crate::key::Sealed;
use crate::store::Store;

/// Bytes of a nonce.
const NONCE: usize = 24;

impl Store {
    /// Seals a text for a purpose, as a token of letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn seal_token(&self, purpose: &str, text: &SecretString) -> Result<String> {
        let Sealed { nonce, content, .. } = self.inner.keys.newest(self.now()).seal_token(purpose, text)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce, content].concat()))
    }

    /// Opens what [`seal_token`](Self::seal_token) made for the same purpose; nothing when it was made for another, with
    /// another key, or changed. What was sealed with the key before a rotation opens for an hour more.
    pub fn open_token(&self, purpose: &str, token: &str) -> Option<SecretString> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, content) = bytes.split_at_checked(NONCE)?;
        let open = || {
            let keys = self.inner.keys.opening(self.now());
            keys.iter().find_map(|key| key.open_token(purpose, nonce, content))
        };
        open().or_else(|| {
            let before = self.inner.keys.current();
            // Another server may have sealed it with a key that is new here
            let now = self.inner.keys.newest(self.now());
            (now.id() != before.id()).then(open).flatten()
        })
    }
}
