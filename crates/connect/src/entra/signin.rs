//! What Entra ID says when it gives no token, in the administrator's words.
//!
//! The description is never repeated: it may hold the assertion (microsoft-graph.md 1.3). Only the numbers count.

use entrain_domain::{Failure, FailureClass, FailureCode};
use serde::Deserialize;

use crate::Error;
use crate::http::Answer;

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_codes: Vec<u64>,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    trace_id: String,
}

/// A refused token request.
pub(super) struct Refusal {
    /// `AADSTS` number, when there is one.
    pub(super) code: Option<u64>,
    /// For people.
    pub(super) error: Error,
}

/// Reads the answer of the token endpoint that is no token.
pub(super) fn read(answer: &Answer, client_id: &str, tenant_id: &str) -> Refusal {
    let Ok(refused) = answer.json::<Refused>() else {
        return Refusal { code: None, error: answer.unexpected() };
    };
    let code = refused.error_codes.first().copied().or_else(|| number(&refused.error_description));
    let Some(number) = code else {
        return Refusal { code: None, error: without_number(answer, &refused.error) };
    };
    if matches!(number, 90_033 | 90_006 | 90_024 | 90_055) {
        let code = if number == 90_055 {
            FailureCode::DirectoryThrottled
        } else {
            FailureCode::DirectoryUnavailable
        };
        let message = format!("Entra ID cannot sign in for a while (AADSTS{number})");
        let failure = Failure::new(code, FailureClass::Transient, message, "Run it again later");
        return Refusal { code: Some(number), error: failure.into() };
    }
    let (code, what, remedy) = meaning(number);
    let trace: String =
        refused.trace_id.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').take(36).collect();
    let trace = if trace.is_empty() { String::new() } else { format!(", trace {trace}") };
    let message = format!("{what} (AADSTS{number}{trace})");
    let object = format!("application {client_id} in tenant {tenant_id}");
    let failure = Failure::new(code, FailureClass::Connection, message, remedy).of(object);
    Refusal { code: Some(number), error: failure.into() }
}

fn number(description: &str) -> Option<u64> {
    let rest = description.split_once("AADSTS")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn without_number(answer: &Answer, error: &str) -> Error {
    let (code, what) = match error {
        "invalid_client" => {
            (FailureCode::DirectoryCredentialRefused, "Entra ID refuses the credential of the application")
        }
        "unauthorized_client" => (FailureCode::DirectoryAppUnknown, "Entra ID does not know the application"),
        "invalid_request" | "invalid_scope" | "invalid_resource" | "invalid_tenant" => {
            (FailureCode::DirectoryRequestInvalid, "Entra ID rejects the token request")
        }
        _ => return answer.unexpected(),
    };
    Failure::new(code, FailureClass::Connection, what, "Check tenant id, client id, cloud and credential")
        .into()
}

/// Code, sentence and remedy for the numbers of microsoft-graph.md 1.7.
fn meaning(number: u64) -> (FailureCode, &'static str, &'static str) {
    use FailureCode::{DirectoryAppUnknown, DirectoryCredentialRefused, DirectoryRequestInvalid};
    match number {
        7_000_215 => (
            DirectoryCredentialRefused,
            "Entra ID refuses the client secret",
            "Copy the Value of the secret, not its Secret ID, from App registrations > your application > Certificates \
             & secrets; the value is shown only once, so make a new secret if it was not kept",
        ),
        7_000_222 => (
            DirectoryCredentialRefused,
            "the client secret has expired",
            "Make a new secret under App registrations > your application > Certificates & secrets and put its value \
             into the connection",
        ),
        7_000_218 => (
            DirectoryCredentialRefused,
            "the token request carried no credential",
            "Put a client secret, a certificate or a federated token into the connection",
        ),
        700_027 => (
            DirectoryCredentialRefused,
            "Entra ID refuses the certificate: it is not registered, has expired, or the key is not its own",
            "Upload the certificate under App registrations > your application > Certificates & secrets, and check \
             that certificate and key belong together",
        ),
        700_024 => (
            DirectoryCredentialRefused,
            "the signed assertion is outside of its time",
            "Check the clock of this host",
        ),
        700_213 | 70_021 => (
            DirectoryCredentialRefused,
            "no federated credential of the application matches the token",
            "Compare issuer, subject and audience under App registrations > your application > Certificates & secrets > \
             Federated credentials; they must agree character by character",
        ),
        53_003 => (
            DirectoryCredentialRefused,
            "a Conditional Access policy blocks the application",
            "Ask who manages Conditional Access to let this workload sign in from this address",
        ),
        700_016 => (
            DirectoryAppUnknown,
            "the application is not known in this tenant",
            "Compare the Application (client) ID and the Directory (tenant) ID with the overview page of the app \
             registration",
        ),
        7_000_112 => (
            DirectoryAppUnknown,
            "the application is disabled in this tenant",
            "Enable it under Enterprise applications > your application > Properties",
        ),
        90_002 => (
            DirectoryAppUnknown,
            "the tenant is not known",
            "Compare the Directory (tenant) ID with the overview page of Entra ID, and check that the cloud is the \
             right one",
        ),
        1_002_012 | 70_011 | 700_022 => (
            DirectoryRequestInvalid,
            "the scope is not valid",
            "Leave scope out, or give the root of Graph followed by /.default",
        ),
        500_011 => (
            DirectoryRequestInvalid,
            "the resource of the scope is not known in this tenant",
            "Check that cloud, graph_url and scope belong together",
        ),
        9_001_023 => (
            DirectoryRequestInvalid,
            "the tenant may not be common or consumers",
            "Give the Directory (tenant) ID",
        ),
        _ => (
            DirectoryRequestInvalid,
            "Entra ID gives no token",
            "Look up the AADSTS number at login.microsoftonline.com/error",
        ),
    }
}
