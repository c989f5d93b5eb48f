//! How the application proves itself to Entra ID (microsoft-graph.md 1.2 to 1.5).

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entrain_domain::{Failure, FailureClass, FailureCode};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use sha1::Digest as _;
use zeroize::Zeroizing;

use crate::Error;

/// How the application proves itself.
#[derive(Clone)]
pub enum Credential {
    /// A client secret: its value, not its id.
    Secret(SecretString),
    /// A certificate registered with the application, and its RSA key, both as PEM.
    Certificate {
        /// Certificate; the first one counts.
        certificate_pem: String,
        /// Private key, PKCS #8 or PKCS #1, without a passphrase.
        key_pem: SecretString,
    },
    /// A file with a token of another issuer (workload identity). It rotates, so it is read for every token.
    FederatedTokenFile(PathBuf),
    /// The identity of the Azure machine that this runs on.
    ManagedIdentity {
        /// Client id of a user-assigned identity; absent for the machine's own.
        client_id: Option<String>,
        /// Address of the metadata service; `http://169.254.169.254` on Azure.
        address: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(redacted)"),
            Self::Certificate { .. } => f.write_str("Certificate(redacted)"),
            Self::FederatedTokenFile(path) => f.debug_tuple("FederatedTokenFile").field(path).finish(),
            Self::ManagedIdentity { client_id, address } => f
                .debug_struct("ManagedIdentity")
                .field("client_id", client_id)
                .field("address", address)
                .finish(),
        }
    }
}

/// How an assertion is signed and names its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AssertionForm {
    /// `PS256` with `x5t#S256`, as documented today.
    Current,
    /// `RS256` with `x5t`, older and still met.
    Older,
}

#[derive(serde::Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: &'a str,
    nbf: i64,
    iat: i64,
    exp: i64,
}

fn unusable(what: &str, remedy: &str) -> Error {
    Failure::new(FailureCode::SecretUnavailable, FailureClass::Connection, what, remedy).into()
}

/// Signs the assertion of `private_key_jwt`; it lives five minutes.
pub(super) fn assertion(
    form: AssertionForm,
    certificate_pem: &str,
    key_pem: &SecretString,
    audience: &str,
    client_id: &str,
    jti: &str,
    now: Timestamp,
) -> Result<Zeroizing<String>, Error> {
    let der = certificate_der(certificate_pem)?;
    let key = EncodingKey::from_rsa_pem(key_pem.expose_secret().as_bytes()).map_err(|_| {
        unusable(
            "the private key of the certificate cannot be read",
            "Give an RSA key as PEM, PKCS #8 or PKCS #1, without a passphrase",
        )
    })?;
    let mut header = match form {
        AssertionForm::Current => Header::new(Algorithm::PS256),
        AssertionForm::Older => Header::new(Algorithm::RS256),
    };
    match form {
        AssertionForm::Current => header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&der))),
        AssertionForm::Older => header.x5t = Some(URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(&der))),
    }
    let at = now.as_second();
    let claims =
        Claims { aud: audience, iss: client_id, sub: client_id, jti, nbf: at, iat: at, exp: at + 5 * 60 };
    jsonwebtoken::encode(&header, &claims, &key).map(Zeroizing::new).map_err(|_| {
        unusable(
            "the private key of the certificate cannot sign",
            "Give the RSA key that belongs to the certificate",
        )
    })
}

fn certificate_der(pem: &str) -> Result<Vec<u8>, Error> {
    let refuse = || {
        unusable(
            "the certificate cannot be read",
            "Give the certificate as PEM, beginning with BEGIN CERTIFICATE",
        )
    };
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let body = pem.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).ok_or_else(refuse)?.0;
    let text: String = body.split_whitespace().collect();
    STANDARD.decode(text).map_err(|_| refuse())
}

/// The token that another issuer put into the file, read anew.
pub(super) async fn federated_token(path: &std::path::Path) -> Result<Zeroizing<String>, Error> {
    let text = tokio::fs::read_to_string(path).await.map(Zeroizing::new).map_err(|error| {
        unusable(
            &format!("the federated token file {} cannot be read: {}", path.display(), error.kind()),
            "Check the path, and that the workload identity is set up for this host",
        )
    })?;
    let token = text.trim();
    if token.is_empty() {
        let what = format!("the federated token file {} is empty", path.display());
        return Err(unusable(&what, "Check that the workload identity is set up for this host"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}
