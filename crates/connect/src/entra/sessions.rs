//! Tokens that outlive one piece of work: whoever signs in as the same application with the same credential goes on with
//! the token that is held, instead of asking for another at each run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex as AsyncMutex;

use super::token::State;
use super::{Credential, EntraOptions};

/// Every sign-in by the digest of who signs in and with what.
type Held = HashMap<[u8; 32], Arc<AsyncMutex<State>>>;

/// The sign-ins of a process; clones are the same. All readers that use them must have one
/// [`Environment`](crate::http::Environment): lives of tokens count in its time.
#[derive(Clone, Default)]
pub struct Sessions {
    held: Arc<Mutex<Held>>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    /// The sign-in of these options. Another secret, as after a rotation, is another sign-in; those that nobody uses any
    /// more are forgotten then.
    pub(super) fn of(&self, options: &EntraOptions) -> Arc<AsyncMutex<State>> {
        let key = key(options);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = held.get(&key) {
            return state.clone();
        }
        let client = client(options);
        held.retain(|other, state| Arc::strong_count(state) > 1 || other[..16] != client);
        held.entry(key).or_default().clone()
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Who signs in where.
fn client(options: &EntraOptions) -> [u8; 16] {
    let EntraOptions { authority_url, scope, tenant_id, client_id, .. } = options;
    digest(&[authority_url.as_bytes(), scope.as_bytes(), tenant_id.as_bytes(), client_id.as_bytes()])
}

/// The first half says who, the second half with what.
fn key(options: &EntraOptions) -> [u8; 32] {
    let proof = match &options.credential {
        Credential::Secret(secret) => digest(&[b"secret", secret.expose_secret().as_bytes()]),
        Credential::Certificate { certificate_pem, key_pem } => {
            digest(&[b"certificate", certificate_pem.as_bytes(), key_pem.expose_secret().as_bytes()])
        }
        Credential::FederatedTokenFile(path) => digest(&[b"federated", path.as_os_str().as_encoded_bytes()]),
        Credential::ManagedIdentity { client_id, address } => {
            digest(&[b"managed", client_id.as_deref().unwrap_or_default().as_bytes(), address.as_bytes()])
        }
    };
    let mut key = [0; 32];
    key[..16].copy_from_slice(&client(options));
    key[16..].copy_from_slice(&proof);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::Cloud;

    fn options(client: &str, secret: &str) -> EntraOptions {
        EntraOptions::in_cloud(Cloud::Global, "tenant", client, Credential::Secret(secret.into()))
    }

    #[test]
    fn one_application_with_one_secret_has_one_sign_in() {
        let sessions = Sessions::default();
        let first = sessions.of(&options("app", "s1"));
        assert!(Arc::ptr_eq(&first, &sessions.of(&options("app", "s1"))));
        assert!(!Arc::ptr_eq(&first, &sessions.of(&options("app", "s2"))));
        assert!(!Arc::ptr_eq(&first, &sessions.of(&options("other", "s1"))));
    }

    #[test]
    fn the_sign_in_of_a_rotated_secret_is_forgotten_once_nobody_uses_it() {
        let sessions = Sessions::default();
        let weak = Arc::downgrade(&sessions.of(&options("app", "old")));
        let other = Arc::downgrade(&sessions.of(&options("other", "s")));
        let _new = sessions.of(&options("app", "new"));
        assert!(weak.upgrade().is_none());
        assert!(other.upgrade().is_some(), "another application's is kept");
    }
}
