//! The key that signs tokens: a throw-away RSA pair made when the process first needs it, published as a key set.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// A key pair with its self-signed certificate.
pub(super) struct Signing {
    pub(super) private: EncodingKey,
    pub(super) public: DecodingKey,
    certificate: Vec<u8>,
    /// The public half as PEM: what a key confusion signs with.
    pub(super) public_pem: String,
    pub(super) kid: String,
}

/// The key pair of this process.
pub(super) fn signing() -> &'static Signing {
    static KEY: OnceLock<Signing> = OnceLock::new();
    KEY.get_or_init(Signing::generate)
}

/// A key pair that is published nowhere.
pub(super) fn foreign() -> &'static Signing {
    static KEY: OnceLock<Signing> = OnceLock::new();
    KEY.get_or_init(Signing::generate)
}

impl Signing {
    fn generate() -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            .expect("the crypto provider makes RSA keys of 2,048 bits");
        let certificate = CertificateParams::new(Vec::<String>::new())
            .and_then(|params| params.self_signed(&pair))
            .expect("a certificate without names can be signed with a fresh key")
            .der()
            .to_vec();
        Self {
            private: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())
                .expect("a fresh RSA key is readable as PEM"),
            public: DecodingKey::from_rsa_der(pair.public_key_raw()),
            public_pem: pair.public_key_pem(),
            kid: URL_SAFE_NO_PAD.encode(Sha1::digest(&certificate)),
            certificate,
        }
    }

    /// The public half as an entry of a key set. Entra's entries carry no `alg`.
    pub(super) fn jwk(&self, issuer: &str) -> Value {
        let (n, e) = X509Certificate::from_der(&self.certificate)
            .ok()
            .and_then(|(_, certificate)| match certificate.public_key().parsed() {
                Ok(PublicKey::RSA(key)) => {
                    let modulus = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
                    Some((URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(key.exponent)))
                }
                _ => None,
            })
            .expect("our own certificate holds an RSA key");
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid, "n": n, "e": e,
            "x5c": [STANDARD.encode(&self.certificate)], "issuer": issuer,
        })
    }
}
