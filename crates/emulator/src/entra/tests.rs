//! Sign-in over HTTP, in process: one test per documented rule.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use tower::ServiceExt;

use crate::state::{Shared, State};
use crate::world::World;
use crate::world::atlassian::Atlassian;
use crate::world::tenant::{Application, ClientSecret, FederatedCredential, Tenant};

const TENANT: &str = "5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10";
const APP: &str = "0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31";
const SCOPE: &str = "https://graph.microsoft.com/.default";
const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn state(change: impl FnOnce(&mut Application)) -> Shared {
    let mut app = Application {
        client_id: APP.into(),
        display_name: "Sync".into(),
        object_id: "8e881353-1735-45af-af21-ee1344582a4d".into(),
        secrets: vec![
            ClientSecret { value: "s3cr~et+%&".into(), expires: None },
            ClientSecret { value: "old".into(), expires: Some("2025-01-01T00:00:00Z".parse().unwrap()) },
        ],
        ..Application::default()
    };
    change(&mut app);
    let mut tenant = Tenant { id: TENANT.into(), domain: "contoso.example".into(), ..Tenant::default() };
    tenant.applications.insert(APP.into(), app);
    State::for_test(World { tenant, atlassian: Atlassian::default() })
}

async fn send(state: &Shared, request: Request<Body>) -> (u16, HeaderMap, Value) {
    let response = super::router(Arc::clone(state)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap())
}

async fn token(state: &Shared, tenant: &str, fields: &[(&str, &str)]) -> (u16, Value) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let request =
        Request::post(format!("/{tenant}/oauth2/v2.0/token")).body(Body::from(form.finish())).unwrap();
    let (status, _, body) = send(state, request).await;
    (status, body)
}

fn with_secret<'a>(secret: &'a str, scope: &'a str) -> [(&'a str, &'a str); 4] {
    [("client_id", APP), ("scope", scope), ("client_secret", secret), ("grant_type", "client_credentials")]
}

#[tokio::test]
async fn a_secret_gives_a_token_by_tenant_id_or_domain_in_body_or_basic() {
    let state = state(|_| {});
    for tenant in [TENANT, "contoso.example"] {
        let (status, body) = token(&state, tenant, &with_secret("s3cr~et+%&", SCOPE)).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3599)));
        assert_eq!(body["ext_expires_in"], 3599);
    }
    assert_eq!(token(&state, TENANT, &with_secret("s3cr~et+%&", "http://graph.test/.default")).await.0, 200);
    let basic = STANDARD.encode(format!("{APP}:s3cr~et%2B%25%26"));
    let request = Request::post(format!("/{TENANT}/oauth2/v2.0/token"))
        .header("authorization", format!("Basic {basic}"))
        .body(Body::from(format!("grant_type=client_credentials&scope={SCOPE}")))
        .unwrap();
    let (status, headers, _) = send(&state, request).await;
    assert_eq!(status, 200);
    assert_eq!(headers["cache-control"], "no-store, no-cache");
}

#[tokio::test]
async fn each_failure_has_its_code_error_and_status() {
    let state = state(|_| {});
    let graph_and_other = format!("{SCOPE} https://other.example/.default");
    for (tenant, fields, code, error, status) in [
        (TENANT, with_secret("wrong", SCOPE), 7_000_215, "invalid_client", 401),
        (TENANT, with_secret("old", SCOPE), 7_000_222, "invalid_client", 401),
        (TENANT, with_secret("", SCOPE), 7_000_218, "invalid_client", 401),
        ("nowhere.example", with_secret("x", SCOPE), 90002, "invalid_request", 400),
        ("common", with_secret("x", SCOPE), 9_001_023, "invalid_request", 400),
        (
            TENANT,
            with_secret("x", "https://graph.microsoft.com/User.Read.All"),
            1_002_012,
            "invalid_scope",
            400,
        ),
        (TENANT, with_secret("x", "/.default"), 70011, "invalid_scope", 400),
        (TENANT, with_secret("x", &graph_and_other), 700_022, "invalid_scope", 400),
        (TENANT, with_secret("x", "https://other.example/.default"), 500_011, "invalid_resource", 400),
        (TENANT, with_secret("x", ""), 900_144, "invalid_request", 400),
    ] {
        let (found, body) = token(&state, tenant, &fields).await;
        assert_eq!((found, &body["error"]), (status, &json!(error)), "{code}: {body}");
        assert_eq!(body["error_codes"], json!([code]));
        let text = body["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{code}: ")) && text.contains("\r\nTrace ID: "), "{text}");
        assert_eq!(body["timestamp"], "2026-01-15 08:00:00Z");
    }
    let mut unknown = with_secret("x", SCOPE);
    unknown[0].1 = "11111111-1111-1111-1111-111111111111";
    assert_eq!(token(&state, TENANT, &unknown).await.1["error_codes"], json!([700_016]));
    state.world_mut().tenant.applications.get_mut(APP).unwrap().enabled = false;
    let (_, body) = token(&state, TENANT, &with_secret("s3cr~et+%&", SCOPE)).await;
    assert_eq!(body["error_codes"], json!([7_000_112]));
}

fn jwt(header: &Value, claims: &Value, key: &KeyPair, algorithm: Algorithm) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, algorithm).unwrap())
}

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn with_assertion(assertion: &str) -> [(&str, &str); 5] {
    [
        ("client_id", APP),
        ("scope", SCOPE),
        ("client_assertion", assertion),
        ("client_assertion_type", BEARER),
        ("grant_type", "client_credentials"),
    ]
}

#[tokio::test]
async fn a_certificate_assertion_is_checked_in_both_header_forms() {
    let key = rsa();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let state = state(|app| app.certificates.push(certificate.pem()));
    let now = state.now().as_second();
    let claims = |aud: &str, sub: &str, exp: i64| json!({ "aud": aud, "iss": APP, "sub": sub, "jti": "1", "nbf": now, "iat": now, "exp": exp });
    let audience = format!("http://authority.test/{TENANT}/oauth2/v2.0/token");
    let sha256 = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
    let sha1 = URL_SAFE_NO_PAD.encode(Sha1::digest(certificate.der()));
    let ps = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": sha256 });
    let rs = json!({ "alg": "RS256", "typ": "JWT", "x5t": sha1 });
    let good = claims(&audience, APP, now + 600);
    for (header, algorithm) in [(&ps, Algorithm::PS256), (&rs, Algorithm::RS256)] {
        let (status, body) =
            token(&state, TENANT, &with_assertion(&jwt(header, &good, &key, algorithm))).await;
        assert_eq!(status, 200, "{header}: {body}");
    }
    let unknown = json!({ "alg": "PS256", "x5t#S256": "AAAA" });
    for (assertion, code, reason) in [
        (jwt(&unknown, &good, &key, Algorithm::PS256), 700_027, "The key was not found."),
        (jwt(&ps, &good, &rsa(), Algorithm::PS256), 700_027, "verify the signature failed"),
        (jwt(&ps, &good, &key, Algorithm::RS256), 700_027, "verify the signature failed"),
        (
            jwt(&ps, &claims("https://evil.example", APP, now + 600), &key, Algorithm::PS256),
            700_023,
            "audience",
        ),
        (jwt(&ps, &claims(&audience, "other", now + 600), &key, Algorithm::PS256), 700_021, "client_id"),
        (jwt(&ps, &claims(&audience, APP, now - 301), &key, Algorithm::PS256), 700_024, "time range"),
        ("nonsense".to_owned(), 50027, "malformed"),
    ] {
        let (_, body) = token(&state, TENANT, &with_assertion(&assertion)).await;
        assert_eq!(body["error_codes"], json!([code]), "{body}");
        assert!(body["error_description"].as_str().unwrap().contains(reason), "{body}");
        assert_eq!(body.get("access_token"), None);
    }
    let skewed = jwt(&ps, &claims(&audience, APP, now - 200), &key, Algorithm::PS256);
    assert_eq!(token(&state, TENANT, &with_assertion(&skewed)).await.0, 200, "within the skew");
}

#[tokio::test]
async fn a_federated_assertion_matches_character_by_character() {
    let key = rsa();
    let credential = FederatedCredential {
        issuer: "https://k8s.example".into(),
        subject: "system:serviceaccount:sync:sync".into(),
        audience: "api://AzureADTokenExchange".into(),
        public_key: key.public_key_pem(),
    };
    let state = state(|app| app.federated.push(credential));
    let now = state.now().as_second();
    let claims = |subject: &str| json!({ "iss": "https://k8s.example", "sub": subject, "aud": "api://AzureADTokenExchange", "exp": now + 60 });
    let header = json!({ "alg": "RS256" });
    let good = jwt(&header, &claims("system:serviceaccount:sync:sync"), &key, Algorithm::RS256);
    let (status, body) = token(&state, TENANT, &with_assertion(&good)).await;
    assert_eq!(status, 200, "{body}");
    let other = jwt(&header, &claims("system:serviceaccount:sync:SYNC"), &key, Algorithm::RS256);
    assert_eq!(token(&state, TENANT, &with_assertion(&other)).await.1["error_codes"], json!([700_213]));
    let forged = jwt(&header, &claims("system:serviceaccount:sync:sync"), &rsa(), Algorithm::RS256);
    assert_eq!(token(&state, TENANT, &with_assertion(&forged)).await.0, 401);
}

#[tokio::test]
async fn discovery_keys_and_instances_name_this_authority() {
    let state = state(|_| {});
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (status, _, body) = send(&state, get("/contoso.example/v2.0/.well-known/openid-configuration")).await;
    assert_eq!(status, 200);
    assert_eq!(body["issuer"], format!("http://authority.test/{TENANT}/v2.0"));
    assert_eq!(body["token_endpoint"], "http://authority.test/contoso.example/oauth2/v2.0/token");
    let (status, _, body) = send(&state, get("/nowhere/v2.0/.well-known/openid-configuration")).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_tenant")));
    let (_, _, keys) = send(&state, get(&format!("/{TENANT}/discovery/v2.0/keys"))).await;
    assert_eq!(keys["keys"][0]["kty"], "RSA");
    assert_eq!(keys["keys"][0].get("alg"), None);
    let asked = format!(
        "/common/discovery/instance?api-version=1.1&authorization_endpoint=http://authority.test/{TENANT}/oauth2/v2.0/authorize"
    );
    let (status, _, body) = send(&state, get(&asked)).await;
    assert_eq!(status, 200);
    assert!(body["tenant_discovery_endpoint"].as_str().unwrap().contains(TENANT));
}

#[tokio::test]
async fn a_managed_identity_needs_the_metadata_header_and_gets_numbers_as_strings() {
    let state = state(|_| {});
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://graph.microsoft.com/";
    let (status, _, body) = send(&state, Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!((status, &body["error"]), (400, &json!("bad_request_102")));
    let request = Request::get(path).header("Metadata", "true").body(Body::empty()).unwrap();
    let (status, _, body) = send(&state, request).await;
    assert_eq!(status, 200);
    assert_eq!(body["expires_in"], "3599");
    assert_eq!(body["resource"], "https://graph.microsoft.com/");
}
