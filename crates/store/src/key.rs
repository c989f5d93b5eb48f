//! The secret key and what it seals. Secrets of connection documents are in the database only as XChaCha20-Poly1305
//! boxes; the key is in a file of its own, never in the database. What a box is for (key, purpose, connection, field)
//! is authenticated with it, so that a box moved to another row does not open.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rand::TryRng as _;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::files;

const HEADER: &str = "entrain-secret-key-1 ";

/// The key, ready for use.
pub(crate) struct Key {
    cipher: XChaCha20Poly1305,
    id: String,
}

/// A sealed secret, as stored.
pub(crate) struct Sealed {
    pub(crate) key_id: String,
    pub(crate) nonce: Vec<u8>,
    pub(crate) content: Vec<u8>,
}

impl Key {
    /// Reads the key file; `Ok(None)` when there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let fail = |why: String| Error::KeyFile { path: path.display().to_string(), why };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error.to_string())),
        };
        if let Some(mode) = files::open_to_others(path)? {
            return Err(fail(format!("others than its owner may use it (mode {mode:04o})")));
        }
        let bytes = text
            .trim_end()
            .strip_prefix(HEADER)
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .map(Zeroizing::new)
            .filter(|bytes| bytes.len() == 32)
            .ok_or_else(|| fail("it does not hold a key of Entrain".into()))?;
        Ok(Some(Self::new(&bytes)))
    }

    /// Makes a key and its file, which must not exist.
    pub(crate) fn make(path: &Path) -> Result<Self> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        random(&mut *bytes)?;
        let text = Zeroizing::new(format!("{HEADER}{}\n", STANDARD.encode(*bytes)));
        files::write_new(path, text.as_bytes())?;
        Ok(Self::new(&*bytes))
    }

    fn new(bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update("entrain key id");
        hash.update(bytes);
        let id = hex::encode(&hash.finalize()[..8]);
        let cipher = XChaCha20Poly1305::new_from_slice(bytes).expect("a key has 32 bytes");
        Self { cipher, id }
    }

    /// Names the key without telling anything of it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Seals the value of one field of a connection document.
    pub(crate) fn seal(&self, connection: &str, field: &str, secret: &SecretString) -> Result<Sealed> {
        self.encrypt(&purpose(&self.id, "connection-secret", connection, field), secret)
    }

    /// Seals the value of one field of a draft.
    pub(crate) fn seal_draft(&self, draft: &str, field: &str, secret: &SecretString) -> Result<Sealed> {
        self.encrypt(&purpose(&self.id, "draft-secret", draft, field), secret)
    }

    /// Opens it.
    pub(crate) fn open_draft(&self, draft: &str, field: &str, sealed: &Sealed) -> Result<SecretString> {
        self.open_as("draft-secret", draft, field, sealed)
    }

    /// Seals a text that is given away and comes back.
    pub(crate) fn seal_token(&self, what: &str, text: &SecretString) -> Result<Sealed> {
        self.encrypt(&purpose(&self.id, "token", what, ""), text)
    }

    /// Opens it.
    pub(crate) fn open_token(&self, what: &str, nonce: &[u8], content: &[u8]) -> Option<SecretString> {
        self.decrypt(&purpose(&self.id, "token", what, ""), nonce, content)
    }

    fn encrypt(&self, aad: &[u8], secret: &SecretString) -> Result<Sealed> {
        let mut nonce = [0_u8; 24];
        random(&mut nonce)?;
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad };
        let content = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is far smaller than the cipher's limit");
        Ok(Sealed { key_id: self.id.clone(), nonce: nonce.to_vec(), content })
    }

    /// Opens what [`seal`](Self::seal) made, with the same key for the same field.
    pub(crate) fn open(&self, connection: &str, field: &str, sealed: &Sealed) -> Result<SecretString> {
        self.open_as("connection-secret", connection, field, sealed)
    }

    fn open_as(&self, kind: &str, connection: &str, field: &str, sealed: &Sealed) -> Result<SecretString> {
        let wrong = || Error::KeyMismatch { connection: connection.into(), field: field.into() };
        if sealed.key_id != self.id {
            return Err(wrong());
        }
        let aad = purpose(&self.id, kind, connection, field);
        self.decrypt(&aad, &sealed.nonce, &sealed.content).ok_or_else(wrong)
    }

    fn decrypt(&self, aad: &[u8], nonce: &[u8], content: &[u8]) -> Option<SecretString> {
        let nonce: [u8; 24] = nonce.try_into().ok()?;
        let payload = Payload { msg: content, aad };
        let plain = Zeroizing::new(self.cipher.decrypt(&XNonce::from(nonce), payload).ok()?);
        std::str::from_utf8(&plain).map(SecretString::from).ok()
    }
}

/// Where the key file is when nothing else was said.
pub(crate) fn default_path(data_dir: &Path) -> PathBuf {
    data_dir.join("secret.key")
}

fn purpose(key_id: &str, kind: &str, connection: &str, field: &str) -> Vec<u8> {
    let mut aad = Vec::new();
    for part in ["entrain sealed secret 1", key_id, kind, connection, field] {
        aad.extend_from_slice(&(part.len() as u64).to_le_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    aad
}

pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|error| Error::File { path: "the system's random numbers".into(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_opens_only_in_its_own_place_and_with_its_own_key() {
        let (key, other) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
        let secret = SecretString::from("hunter2");
        let sealed = key.seal("Azure AD", "site.api_token", &secret).unwrap();
        assert_eq!(key.open("Azure AD", "site.api_token", &sealed).unwrap().expose_secret(), "hunter2");
        assert!(key.open("Azure AD", "directory.client_secret", &sealed).is_err());
        assert!(key.open("Other", "site.api_token", &sealed).is_err());
        assert!(matches!(other.open("Azure AD", "site.api_token", &sealed), Err(Error::KeyMismatch { .. })));
        let renamed =
            Sealed { key_id: other.id.clone(), nonce: sealed.nonce.clone(), content: sealed.content };
        assert!(other.open("Azure AD", "site.api_token", &renamed).is_err());
    }

    #[test]
    fn a_token_opens_only_for_its_purpose_and_unchanged() {
        let key = Key::new(&[7; 32]);
        let text = SecretString::from("who it is");
        let Sealed { nonce, mut content, .. } = key.seal_token("page", &text).unwrap();
        let opened = key.open_token("page", &nonce, &content).unwrap();
        assert_eq!(opened.expose_secret(), "who it is");
        assert!(key.open_token("other", &nonce, &content).is_none());
        assert!(Key::new(&[8; 32]).open_token("page", &nonce, &content).is_none());
        assert!(key.open_token("page", &nonce[1..], &content).is_none());
        let secret = Sealed { key_id: key.id.clone(), nonce: nonce.clone(), content: content.clone() };
        assert!(key.open("page", "", &secret).is_err(), "a token is no secret of a document");
        content[0] ^= 1;
        assert!(key.open_token("page", &nonce, &content).is_none());
    }

    #[test]
    fn the_same_secret_is_never_sealed_twice_alike() {
        let key = Key::new(&[1; 32]);
        let seal = || key.seal("a", "b", &SecretString::from("x")).unwrap();
        assert_ne!(seal().content, seal().content);
    }
}
