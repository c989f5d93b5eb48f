//! Tokens by each kind of credential, and what is said when there is none.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrain_connect::entra::{Cloud, Credential};
use entrain_domain::FailureCode;
use serde_json::{Value, json};

use crate::graph::{Tenant, demand, tenant, tenant_with};

fn forms(tenant: &Tenant) -> Vec<std::collections::BTreeMap<String, String>> {
    let log = tenant.change(|world| world.log.clone());
    let forms = log.iter().filter_map(|line| line.strip_prefix("/tenant/oauth2/v2.0/token?"));
    forms
        .map(|form| {
            let decode =
                |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
            form.split('&')
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(k, v)| (decode(k), decode(v)))
                .collect()
        })
        .collect()
}

fn header(assertion: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(assertion.split('.').next().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_secret_goes_into_the_form_and_one_token_serves_the_whole_read() {
    let tenant = tenant(50, 3, 5).await;
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    let forms = forms(&tenant);
    assert_eq!(forms.len(), 1);
    assert_eq!(forms[0]["client_secret"], "s3cret-canary");
    assert_eq!(forms[0]["grant_type"], "client_credentials");
    assert_eq!(forms[0]["scope"], "https://graph.microsoft.com/.default");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let tenant = tenant(5, 0, 0).await;
    for (minutes, tokens) in [(0, 1), (50, 1), (5, 2), (54, 2), (2, 3)] {
        tenant.environment.advance(Duration::from_mins(minutes));
        tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
        assert_eq!(tenant.change(|world| world.tokens), tokens, "{minutes}");
    }
}

#[tokio::test]
async fn a_token_made_before_a_permission_was_granted_is_not_kept_for_its_whole_life() {
    let tenant = tenant(5, 0, 0).await;
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    tenant.meddle(|target, _, found| match target {
        t if t.contains("/token") => found,
        _ => (403, json!({"error": {"code": "Authorization_RequestDenied", "message": "x"}})),
    });
    // A fresh token is not asked for again, however much is refused
    for (minutes, tokens) in [(1, 1), (1, 1), (10, 1), (0, 2), (1, 2)] {
        tenant.environment.advance(Duration::from_mins(minutes));
        tenant.entra.read(&demand(&["*"]), &[]).await.unwrap_err();
        assert_eq!(tenant.change(|world| world.tokens), tokens, "{minutes}");
    }
}

fn certificate() -> Credential {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256);
    // The provider may not make RSA keys; then the test has nothing to sign with, and says so.
    let key = key.expect("an RSA key can be made");
    let made = rcgen::CertificateParams::new(vec!["entrain".to_owned()]).unwrap().self_signed(&key).unwrap();
    Credential::Certificate { certificate_pem: made.pem(), key_pem: key.serialize_pem().into() }
}

#[tokio::test]
async fn a_certificate_signs_ps256_and_falls_back_to_rs256_once() {
    let tenant = tenant_with(5, 0, 0, certificate()).await;
    tenant.meddle(|target, before, found| {
        if target.contains("/token") && before == 0 {
            return (
                401,
                json!({"error": "invalid_client", "error_codes": [700_027], "error_description": "x"}),
            );
        }
        found
    });
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    tenant.environment.advance(Duration::from_hours(1));
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    let headers: Vec<_> = forms(&tenant).iter().map(|form| header(&form["client_assertion"])).collect();
    let algorithms: Vec<_> = headers.iter().map(|header| header["alg"].as_str().unwrap()).collect();
    assert_eq!(algorithms, ["PS256", "RS256", "RS256"]);
    assert!(headers[0]["x5t#S256"].is_string() && headers[0]["x5t"].is_null());
    assert!(headers[1]["x5t"].is_string() && headers[1]["x5t#S256"].is_null());
}

#[tokio::test]
async fn a_federated_token_is_read_anew_for_every_request() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first.token.x\n").unwrap();
    let tenant = tenant_with(5, 0, 0, Credential::FederatedTokenFile(file.path().to_owned())).await;
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    std::fs::write(file.path(), "second.token.x").unwrap();
    tenant.environment.advance(Duration::from_hours(1));
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
    let sent: Vec<_> = forms(&tenant).iter().map(|form| form["client_assertion"].clone()).collect();
    assert_eq!(sent, ["first.token.x", "second.token.x"]);
    std::fs::write(file.path(), "").unwrap();
    tenant.environment.advance(Duration::from_hours(1));
    let failure = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::SecretUnavailable);
}

#[tokio::test]
async fn a_managed_identity_asks_the_machine_and_reads_its_numbers_as_text() {
    let metadata = wiremock::MockServer::start().await;
    let body = json!({"access_token": "token", "expires_in": "3599", "token_type": "Bearer"});
    wiremock::Mock::given(wiremock::matchers::path("/metadata/identity/oauth2/token"))
        .and(wiremock::matchers::header("metadata", "true"))
        .and(wiremock::matchers::query_param("resource", "https://graph.microsoft.com/"))
        .and(wiremock::matchers::query_param("client_id", "mine"))
        .respond_with(wiremock::ResponseTemplate::new(200).set_body_json(body))
        .expect(1)
        .mount(&metadata)
        .await;
    let client_id = Some("mine".to_owned());
    let tenant =
        tenant_with(5, 0, 0, Credential::ManagedIdentity { client_id, address: metadata.uri() }).await;
    tenant.entra.read(&demand(&["*"]), &[]).await.unwrap();
}

/// N-11: a wrong configuration is asked for once, however many callers there are
#[tokio::test]
async fn a_refusal_by_entra_is_told_in_the_administrators_words() {
    use FailureCode::{DirectoryAppUnknown, DirectoryCredentialRefused, DirectoryRequestInvalid};
    let cases = [
        (7_000_215, 401, DirectoryCredentialRefused, "Secret ID"),
        (7_000_222, 401, DirectoryCredentialRefused, "new secret"),
        (700_016, 400, DirectoryAppUnknown, "Application (client) ID"),
        (90_002, 400, DirectoryAppUnknown, "Directory (tenant) ID"),
        (1_002_012, 400, DirectoryRequestInvalid, "/.default"),
        (53_003, 400, DirectoryCredentialRefused, "Conditional Access"),
    ];
    for (number, status, code, word) in cases {
        let tenant = tenant(5, 0, 0).await;
        tenant.meddle(move |target, _, found| {
            if !target.contains("/token") {
                return found;
            }
            let text = format!("AADSTS{number}: assertion eyJ.s3cret-canary.x\r\nTrace ID: 1");
            (
                status,
                json!({"error": "x", "error_description": text, "error_codes": [number],
                "trace_id": "6c1f9a30-0c5e-4a61-9d0b-6f2f5d0a3b00"}),
            )
        });
        let error = tenant.entra.read(&demand(&["*"]), &[]).await.unwrap_err();
        let failure = error.failure();
        assert_eq!(failure.code, code, "{number}");
        assert!(failure.remedy.contains(word), "{}", failure.remedy);
        assert!(failure.message.contains(&number.to_string()) && failure.message.contains("6c1f9a30"));
        assert!(!format!("{error:?} {failure:?}").contains("canary"));
        assert_eq!(tenant.change(|world| world.tokens), 1, "{number}");
    }
}

#[test]
fn each_cloud_has_its_own_addresses() {
    for cloud in Cloud::ALL {
        assert!(cloud.scope().starts_with(cloud.graph_url()) && cloud.scope().ends_with("/.default"));
        entrain_connect::http::BaseUrl::parse(cloud.authority_url()).unwrap();
        entrain_connect::http::BaseUrl::parse(cloud.graph_url()).unwrap();
    }
}
