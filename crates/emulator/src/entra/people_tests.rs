//! Sign-in of people over HTTP, in process: one test per documented rule.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::Attack;
use crate::state::{Shared, State};
use crate::world::World;
use crate::world::atlassian::Atlassian;
use crate::world::tenant::{Application, ClientSecret, EntraGroup, EntraUser, Member, Tenant};

const TENANT: &str = "5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10";
const APP: &str = "0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31";
const BACK: &str = "https://sync.example/access/azure-ad/callback";
const ANA: &str = "7b0f3c1a-52f9-4c0e-9d0a-1e6c9a4b2f01";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkabc";

fn state() -> Shared {
    let app = Application {
        client_id: APP.into(),
        display_name: "Sync".into(),
        secrets: vec![ClientSecret { value: "s3cret".into(), expires: None }],
        redirect_uris: vec![BACK.into(), "http://localhost/back".into()],
        group_claims: true,
        app_roles: [("Admin".to_owned(), vec!["ana@contoso.example".to_owned()])].into(),
        ..Application::default()
    };
    let mut tenant = Tenant { id: TENANT.into(), domain: "contoso.example".into(), ..Tenant::default() };
    tenant.applications.insert(APP.into(), app);
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let ana = EntraUser {
        id: ANA.into(),
        display_name: Some("Ana <b>".into()),
        mail: Some("ana@contoso.example".into()),
        user_principal_name: "ana@contoso.example".into(),
        ..EntraUser::default()
    };
    tenant.add_user(ana, at).unwrap();
    let group = EntraGroup { id: "g-1".into(), display_name: Some("Jira".into()), ..EntraGroup::default() };
    tenant.add_group(group, at).unwrap();
    tenant.add_member("g-1", Member::User(ANA.into()), at).unwrap();
    State::for_test(World { tenant, atlassian: Atlassian::default() })
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What is asked, with some of it changed; an empty value leaves it out.
fn asked(changes: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let mut fields = vec![
        ("client_id", APP),
        ("response_type", "code"),
        ("redirect_uri", BACK),
        ("scope", "openid profile email"),
        ("state", "st&te"),
        ("nonce", "n-1"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    encoded(&fields)
}

async fn send(state: &Shared, request: Request<Body>) -> (u16, String, String) {
    let response = super::router(Arc::clone(state)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let location = parts.headers.get(header::LOCATION).map(|v| v.to_str().unwrap().to_owned());
    (parts.status.as_u16(), location.unwrap_or_default(), String::from_utf8(bytes.to_vec()).unwrap())
}

async fn page(state: &Shared, query: &str) -> (u16, String, String) {
    let address = format!("/{TENANT}/oauth2/v2.0/authorize?{query}");
    send(state, Request::get(address).body(Body::empty()).unwrap()).await
}

async fn choose(state: &Shared, query: &str, user: &str) -> HashMap<String, String> {
    let body = format!("{query}&{}", encoded(&[("user", user)]));
    let request = Request::post(format!("/{TENANT}/oauth2/v2.0/authorize")).body(Body::from(body)).unwrap();
    let (status, location, text) = send(state, request).await;
    assert_eq!(status, 302, "{text}");
    url::Url::parse(&location).unwrap().query_pairs().into_owned().collect()
}

async fn redeem(state: &Shared, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let mut fields = vec![
        ("client_id", APP),
        ("client_secret", "s3cret"),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    let request = Request::post(format!("/{TENANT}/oauth2/v2.0/token")).body(Body::from(encoded(&fields)));
    let (status, _, body) = send(state, request.unwrap()).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_is_chosen_on_a_page_without_script_and_the_code_gives_an_id_token_once() {
    let state = state();
    let (status, _, body) = page(&state, &asked(&[])).await;
    assert_eq!(status, 200);
    assert!(body.contains("Ana &lt;b&gt;") && !body.contains("<script"), "{body}");
    let back = choose(&state, &asked(&[]), ANA).await;
    assert_eq!(back["state"], "st&te");
    let (status, answer) = redeem(&state, &back["code"], &[]).await;
    assert_eq!(status, 200, "{answer}");
    let token = answer["id_token"].as_str().unwrap();
    assert_eq!(part(token, 0)["alg"], "RS256");
    let claims = part(token, 1);
    for (name, value) in [
        ("iss", json!(format!("http://authority.test/{TENANT}/v2.0"))),
        ("aud", json!(APP)),
        ("tid", json!(TENANT)),
        ("oid", json!(ANA)),
        ("nonce", json!("n-1")),
        ("ver", json!("2.0")),
        ("preferred_username", json!("ana@contoso.example")),
        ("email", json!("ana@contoso.example")),
        ("groups", json!(["g-1"])),
        ("roles", json!(["Admin"])),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let (status, again) = redeem(&state, &back["code"], &[]).await;
    assert_eq!((status, &again["error_codes"]), (400, &json!([54_005])), "{again}");
}

#[tokio::test]
async fn what_does_not_fit_the_code_is_refused() {
    let state = state();
    for (changes, code) in [
        (&[("code_verifier", "another-verifier-another-verifier-another-verifier")][..], 501_481),
        (&[("code_verifier", "")], 900_144),
        (&[("redirect_uri", "http://localhost/back")], 500_112),
        (&[("client_secret", "wrong")], 7_000_215),
        (&[("client_secret", "")], 7_000_218),
        (&[("code", "made-up")], 9_002_313),
    ] {
        let back = choose(&state, &asked(&[]), ANA).await;
        let (_, answer) = redeem(&state, &back["code"], changes).await;
        assert_eq!(answer["error_codes"], json!([code]), "{changes:?}: {answer}");
    }
    let back = choose(&state, &asked(&[]), ANA).await;
    state.clock.advance(601_000).unwrap();
    let (_, answer) = redeem(&state, &back["code"], &[]).await;
    assert_eq!(answer["error_codes"], json!([70_008]), "{answer}");
}

#[tokio::test]
async fn addresses_that_are_not_registered_get_a_page_and_never_a_redirect() {
    let state = state();
    for (changes, code) in [
        (&[("redirect_uri", "https://evil.example/")][..], "AADSTS50011"),
        (&[("redirect_uri", "https://sync.example/access/azure-ad/callback/x")], "AADSTS50011"),
        (&[("redirect_uri", "http://localhost/other")], "AADSTS50011"),
        (&[("client_id", "11111111-2222-4333-8444-555555555555")], "AADSTS700016"),
        (&[("client_id", "")], "AADSTS900144"),
    ] {
        let (status, location, body) = page(&state, &asked(changes)).await;
        assert_eq!((status, location.as_str()), (400, ""), "{changes:?}");
        assert!(body.contains(code), "{changes:?}: {body}");
    }
    let (status, ..) = page(&state, &asked(&[("redirect_uri", "http://localhost:4711/back")])).await;
    assert_eq!(status, 200, "of localhost the port does not count");
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("scope", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("prompt", "none")], "login_required"),
    ] {
        let (status, location, _) = page(&state, &asked(changes)).await;
        assert_eq!(status, 302, "{changes:?}");
        assert!(location.starts_with(BACK) && location.contains(error), "{location}");
        assert!(location.ends_with("state=st%26te"), "{location}");
    }
}

#[tokio::test]
async fn too_many_groups_are_named_elsewhere() {
    let state = state();
    {
        let mut world = state.world_mut();
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        for n in 0..200 {
            let id = format!("more-{n}");
            let group =
                EntraGroup { id: id.clone(), display_name: Some(id.clone()), ..EntraGroup::default() };
            world.tenant.add_group(group, at).unwrap();
            world.tenant.add_member(&id, Member::User(ANA.into()), at).unwrap();
        }
    }
    let back = choose(&state, &asked(&[]), ANA).await;
    let (_, answer) = redeem(&state, &back["code"], &[]).await;
    let claims = part(answer["id_token"].as_str().unwrap(), 1);
    assert_eq!((&claims["groups"], &claims["_claim_names"]["groups"]), (&Value::Null, &json!("src1")));
}

#[tokio::test]
async fn tokens_can_be_wrong_on_purpose() {
    let state = state();
    let mut seen = std::collections::BTreeSet::new();
    for attack in [Attack::AlgNone, Attack::Hs256PublicKey, Attack::ForeignKey, Attack::Tampered] {
        let mut settings = (*state.settings()).clone();
        settings.sign_in.attack = Some(attack);
        state.set_settings(settings);
        let back = choose(&state, &asked(&[]), ANA).await;
        let (_, answer) = redeem(&state, &back["code"], &[]).await;
        let token = answer["id_token"].as_str().unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let good = jsonwebtoken::crypto::verify(
            signature,
            message.as_bytes(),
            &super::keys::signing().public,
            jsonwebtoken::Algorithm::RS256,
        );
        assert!(!good.unwrap_or(false), "{attack:?}");
        seen.insert(part(token, 0)["alg"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["HS256", "RS256", "none"]);
}
