//! Sign-in of people and the tokens of Microsoft's caller: the client against the emulator, attack by attack.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entrain_connect::entra::Credential;
use entrain_connect::entra::oidc::{
    Authority, CallerCheck, Groups, RefusedCaller, RelyingParty, SignedIn, Wanted,
};
use entrain_connect::http::{BaseUrl, Environment, HttpOptions, Meter, Plane};
use entrain_domain::{Failure, FailureCode};
use entrain_emulator::{Emulator, Options, WorldSource};
use jiff::Timestamp;
use serde_json::{Value, json};

const BACK: &str = "http://localhost/access/azure-ad/callback";

struct Real(Instant);

impl Environment for Real {
    #[expect(clippy::disallowed_methods, reason = "the emulator lives by the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
    fn random(&self) -> f64 {
        0.5
    }
    fn guid(&self) -> String {
        "00000000-0000-4000-8000-000000000001".into()
    }
}

struct Bench {
    emulator: Emulator,
    environment: Arc<Real>,
    authority: Arc<Authority>,
    party: RelyingParty,
    http: reqwest::Client,
}

impl Bench {
    async fn new() -> Self {
        let emulator = entrain_emulator::start(Options { world: WorldSource::Demo, ..Options::default() })
            .await
            .unwrap();
        let company = emulator.description().clone();
        let environment = Arc::new(Real(Instant::now()));
        let base = BaseUrl::parse(&company.authority_url).unwrap();
        let options =
            HttpOptions::new(base.clone(), Plane::Directory, Arc::new(Meter::new()), environment.clone());
        let authority = Arc::new(Authority::new(base, &company.tenant_id, &options).unwrap());
        let secret = Credential::Secret(company.client_secret.clone().into());
        let party = RelyingParty::new(authority.clone(), &company.client_id, secret, BACK).unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let bench = Self { emulator, environment, authority, party, http };
        let uris = json!([{ "change": "set_sign_in", "redirect_uris": [BACK], "group_claims": true }]);
        bench.control("POST", "/world/changes", uris).await;
        bench
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.emulator.description().control_url);
        let request = self.http.request(method.parse().unwrap(), url).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or(Value::Null)
    }

    fn person(&self) -> String {
        let world = self.emulator.state().world();
        world.tenant.users.values().find(|user| user.account_enabled != Some(false)).unwrap().id.clone()
    }

    /// What the browser brings back, after the person has chosen who they are.
    async fn chosen(&self, url: &str, user: &str) -> Vec<(String, String)> {
        let page = url::Url::parse(url).unwrap();
        let mut form: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        form.push(("user".into(), user.into()));
        let answer = self.http.post(page[..url::Position::AfterPath].to_owned()).form(&form);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 302);
        let back = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        back.query_pairs().into_owned().collect()
    }

    async fn signed_in(&self, user: &str) -> Result<SignedIn, Failure> {
        let begun = self.party.begin(&Wanted::default()).await.unwrap();
        let back = self.chosen(&begun.url, user).await;
        let get = |name: &str| back.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(get("state"), begun.sign_in.state);
        let now = self.environment.now();
        self.party.finish(&begun.sign_in, &get("code"), now).await.map_err(|e| e.failure())
    }

    async fn attack(&self, attack: Value) {
        self.control("PUT", "/settings", json!({ "sign_in": { "attack": attack } })).await;
    }

    async fn caller_token(&self, extra: Value) -> String {
        // Nobody listens there: the token is all that counts
        let mut call = json!({
            "url": "http://127.0.0.1:9/", "user": self.person(), "maximum_retries": 0, "timeout_ms": 200,
        });
        for (name, value) in extra.as_object().unwrap() {
            call[name] = value.clone();
        }
        let answer = self.control("POST", "/sign-in/token-issuance", call).await;
        answer["token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_person_signs_in_and_is_known_by_object_id() {
    let bench = Bench::new().await;
    let who = bench.person();
    let person = bench.signed_in(&who).await.unwrap();
    assert_eq!(person.object_id, who);
    assert_eq!(person.tenant_id, bench.emulator.description().tenant_id);
    let known = bench.emulator.state().world().tenant.users[&who].clone();
    assert_eq!(person.name, known.display_name);
    assert_eq!(person.preferred_username, Some(known.user_principal_name));
    assert!(matches!(person.groups, Groups::Named(_)));
    assert!(person.roles.is_empty());
}

#[tokio::test]
async fn every_attack_by_id_token_is_refused_and_a_good_one_is_taken_afterwards() {
    let bench = Bench::new().await;
    let who = bench.person();
    for (attack, word) in [
        ("alg_none", "not signed"),
        ("hs256_public_key", "RS256"),
        ("unknown_kid", "nobody published"),
        ("foreign_key", "signature"),
        ("tampered", "signature"),
        ("wrong_audience", "another application"),
        ("wrong_issuer", "issuer"),
        ("wrong_tenant", "issuer"),
        ("wrong_tid", "another tenant"),
        ("wrong_nonce", "another sign-in"),
        ("no_nonce", "another sign-in"),
        ("expired", "expired"),
        ("not_yet_valid", "in the future"),
        ("no_object_id", "object id"),
    ] {
        bench.attack(json!(attack)).await;
        let refused = bench.signed_in(&who).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::SignInRefused, "{attack}: {refused}");
        assert!(refused.message.contains(word), "{attack}: {refused}");
    }
    bench.attack(Value::Null).await;
    assert_eq!(bench.signed_in(&who).await.unwrap().object_id, who);
}

#[tokio::test]
async fn a_code_is_good_once_and_only_for_the_sign_in_that_asked_for_it() {
    let bench = Bench::new().await;
    let who = bench.person();
    let now = bench.environment.now();
    let first = bench.party.begin(&Wanted::default()).await.unwrap();
    let second = bench.party.begin(&Wanted::default()).await.unwrap();
    let back = bench.chosen(&first.url, &who).await;
    let code = &back.iter().find(|(n, _)| n == "code").unwrap().1;
    let mixed = bench.party.finish(&second.sign_in, code, now).await.unwrap_err().failure();
    assert_eq!(mixed.code, FailureCode::SignInRefused, "the verifier is the other one's");
    let back = bench.chosen(&first.url, &who).await;
    let code = &back.iter().find(|(n, _)| n == "code").unwrap().1;
    bench.party.finish(&first.sign_in, code, now).await.unwrap();
    let again = bench.party.finish(&first.sign_in, code, now).await.unwrap_err().failure();
    assert_eq!(again.code, FailureCode::SignInRefused, "{again}");
    assert!(!again.message.contains(code.as_str()));
}

#[tokio::test]
async fn clocks_may_differ_by_two_minutes_and_no_more() {
    let bench = Bench::new().await;
    let who = bench.person();
    for (seconds, good) in [(-100_i64, true), (-150, false), (3600 + 100, true), (3600 + 150, false)] {
        let begun = bench.party.begin(&Wanted::default()).await.unwrap();
        let back = bench.chosen(&begun.url, &who).await;
        let code = &back.iter().find(|(n, _)| n == "code").unwrap().1;
        let now = bench.environment.now() + jiff::SignedDuration::from_secs(seconds);
        let result = bench.party.finish(&begun.sign_in, code, now).await;
        assert_eq!(result.is_ok(), good, "{seconds}: {result:?}");
    }
}

#[tokio::test]
async fn an_authority_of_another_tenant_or_issuer_is_not_believed() {
    let bench = Bench::new().await;
    let company = bench.emulator.description();
    let base = BaseUrl::parse(&company.authority_url).unwrap();
    let options =
        HttpOptions::new(base.clone(), Plane::Directory, Arc::new(Meter::new()), bench.environment.clone());
    // The template issuer of `organizations` names no tenant
    for tenant in ["organizations", "11111111-2222-4333-8444-555555555555"] {
        let authority = Authority::new(base.clone(), tenant, &options).unwrap();
        assert!(authority.prefetch().await.is_err(), "{tenant}");
    }
    let by_domain = bench.emulator.state().world().tenant.domain.clone();
    let authority = Arc::new(Authority::new(base, &by_domain, &options).unwrap());
    authority.prefetch().await.unwrap();
    let check = CallerCheck::new(authority, &company.client_id);
    let token = bench.caller_token(json!({})).await;
    let good = check.check(&token, bench.environment.now(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(good.tenant_id, company.tenant_id);
}

#[tokio::test]
async fn tokens_of_microsofts_caller_are_taken_and_every_attack_is_refused() {
    let bench = Bench::new().await;
    let check = CallerCheck::new(bench.authority.clone(), &bench.emulator.description().client_id);
    let now = bench.environment.now();
    let patience = Duration::from_secs(2);
    for version in ["1.0", "2.0"] {
        let token = bench.caller_token(json!({ "token_version": version })).await;
        let good = check.check(&token, now, patience).await.unwrap();
        assert!(!good.id.is_empty() && good.expires > now, "{good:?}");
        let late = now + jiff::SignedDuration::from_secs(3600 + 60);
        assert!(check.check(&token, late, patience).await.is_ok(), "two minutes of leeway");
        let later = now + jiff::SignedDuration::from_secs(3600 + 180);
        assert_eq!(check.check(&token, later, patience).await, Err(RefusedCaller::Expired));
        for (attack, why) in [
            ("alg_none", RefusedCaller::Algorithm),
            ("hs256_public_key", RefusedCaller::Algorithm),
            ("unknown_kid", RefusedCaller::UnknownKey),
            ("foreign_key", RefusedCaller::Signature),
            ("tampered", RefusedCaller::Signature),
            ("wrong_audience", RefusedCaller::Audience),
            ("wrong_issuer", RefusedCaller::Issuer),
            ("wrong_tenant", RefusedCaller::Issuer),
            ("wrong_tid", RefusedCaller::Tenant),
            ("wrong_caller", RefusedCaller::Caller),
            ("expired", RefusedCaller::Expired),
            ("not_yet_valid", RefusedCaller::NotYet),
        ] {
            let token = bench.caller_token(json!({ "token_version": version, "attack": attack })).await;
            assert_eq!(check.check(&token, now, patience).await, Err(why), "{attack} {version}");
        }
    }
    for nonsense in ["", "a", "a.b", "a.b.c", "..", &"x".repeat(20_000)] {
        assert!(check.check(nonsense, now, patience).await.is_err(), "{nonsense:.20}");
    }
}

#[tokio::test]
async fn unknown_keys_have_the_keys_read_again_within_bounds() {
    let bench = Bench::new().await;
    let check = CallerCheck::new(bench.authority.clone(), &bench.emulator.description().client_id);
    let token = bench.caller_token(json!({ "attack": "unknown_kid" })).await;
    for _ in 0..50 {
        let judged = check.check(&token, bench.environment.now(), Duration::from_secs(2)).await;
        assert_eq!(judged, Err(RefusedCaller::UnknownKey));
    }
    let asked = bench.emulator.state().log.entries(1000, |entry| entry.path.contains("discovery/v2.0/keys"));
    assert!(asked.len() <= 2, "{} requests for keys", asked.len());
}
