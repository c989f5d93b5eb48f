//! Client assertions: a JWT signed with a registered certificate, or one that a trusted issuer made.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::access::credential_digest;
use super::failure::Failure;
use crate::state::State;
use crate::world::tenant::{Application, Tenant};

/// How far the clocks of client and service may be apart.
const SKEW_S: i64 = 300;

/// A JWT taken apart.
struct Assertion<'a> {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    message: &'a str,
    signature: &'a str,
}

/// Checks an assertion; gives the digest of the certificate that made it, none for a federated one.
pub(super) fn check(
    state: &State,
    tenant: &Tenant,
    app: &Application,
    assertion: &str,
) -> Result<Option<String>, Failure> {
    let jwt = parse(assertion)?;
    if text(&jwt.claims, "iss") == app.client_id {
        by_certificate(state, tenant, app, &jwt).map(Some)
    } else {
        federated(state, app, &jwt).map(|()| None)
    }
}

fn parse(assertion: &str) -> Result<Assertion<'_>, Failure> {
    let malformed = || Failure::bad("invalid_request", 50027, "JWT token is invalid or malformed.");
    let (message, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = message.split_once('.').ok_or_else(malformed)?;
    let object = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok())
    };
    Ok(Assertion {
        header: object(header).ok_or_else(malformed)?,
        claims: object(claims).ok_or_else(malformed)?,
        message,
        signature,
    })
}

fn by_certificate(
    state: &State,
    tenant: &Tenant,
    app: &Application,
    jwt: &Assertion<'_>,
) -> Result<String, Failure> {
    let signature = |reason: &str| {
        Failure::client(
            700_027,
            format!("Client assertion contains an invalid signature. [Reason - {reason}]"),
        )
    };
    let algorithm = match text(&jwt.header, "alg") {
        "PS256" => Algorithm::PS256,
        "RS256" => Algorithm::RS256,
        _ => return Err(signature("The algorithm is not supported.")),
    };
    let found = app.certificates.iter().find_map(|certificate| {
        let der = pem::parse(certificate).ok()?.into_contents();
        let matches = match (jwt.header.get("x5t#S256"), jwt.header.get("x5t")) {
            (Some(print), _) => *print == URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
            (None, Some(print)) => *print == URL_SAFE_NO_PAD.encode(Sha1::digest(&der)),
            (None, None) => false,
        };
        matches.then_some((certificate, der))
    });
    let (certificate, der) = found.ok_or_else(|| signature("The key was not found."))?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| signature("The key was not found."))?;
    let now = state.now().as_second();
    if now >= parsed.validity().not_after.timestamp() {
        return Err(signature("The key used is expired."));
    }
    let key = DecodingKey::from_rsa_der(&parsed.public_key().subject_public_key.data);
    if !crypto::verify(jwt.signature, jwt.message.as_bytes(), &key, algorithm).unwrap_or(false) {
        return Err(signature("The key was found, but use of the key to verify the signature failed."));
    }
    if text(&jwt.claims, "sub") != app.client_id {
        return Err(Failure::client(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ));
    }
    let audience = text(&jwt.claims, "aud");
    let ours = ["https://login.microsoftonline.com", state.urls().authority.as_str()].iter().any(|root| {
        [&tenant.id, &tenant.domain].iter().any(|name| {
            audience == format!("{root}/{name}/oauth2/v2.0/token")
                || audience == format!("{root}/{name}/v2.0")
        })
    });
    if !ours {
        return Err(Failure::client(700_023, "Client assertion audience claim does not match Realm issuer."));
    }
    in_time(jwt, now)?;
    Ok(credential_digest(certificate.as_bytes()))
}

fn federated(state: &State, app: &Application, jwt: &Assertion<'_>) -> Result<(), Failure> {
    let claim = |name| text(&jwt.claims, name);
    let trusted = app.federated.iter().find(|known| {
        known.issuer == claim("iss") && known.subject == claim("sub") && known.audience == claim("aud")
    });
    let trusted = trusted.ok_or_else(|| {
        Failure::client(
            700_213,
            format!(
                "No matching federated identity record found for presented assertion subject '{}'. Check your \
                 federated identity credential Subject, Audience and Issuer against the presented assertion.",
                claim("sub")
            ),
        )
    })?;
    let pem = trusted.public_key.as_bytes();
    let key = match text(&jwt.header, "alg") {
        "RS256" => DecodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256)),
        "PS256" => DecodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::PS256)),
        "ES256" => DecodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256)),
        _ => return Err(Failure::client(50013, "Assertion failed signature validation.")),
    };
    let good = key
        .and_then(|(key, algorithm)| crypto::verify(jwt.signature, jwt.message.as_bytes(), &key, algorithm));
    if !good.unwrap_or(false) {
        return Err(Failure::client(50013, "Assertion failed signature validation."));
    }
    in_time(jwt, state.now().as_second())
}

fn in_time(jwt: &Assertion<'_>, now: i64) -> Result<(), Failure> {
    let number = |name: &str| jwt.claims.get(name).and_then(Value::as_i64);
    let valid = number("exp").is_some_and(|exp| now < exp + SKEW_S)
        && number("nbf").is_none_or(|nbf| now >= nbf - SKEW_S);
    if valid {
        return Ok(());
    }
    Err(Failure::client(
        700_024,
        format!(
            "Client assertion is not within its valid time range. Current time: {now}, expiry time of assertion: \
                 {}.",
            number("exp").unwrap_or_default()
        ),
    ))
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> &'a str {
    map.get(name).and_then(Value::as_str).unwrap_or_default()
}
