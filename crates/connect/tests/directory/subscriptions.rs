//! Subscriptions to change notifications: what Graph's answers mean.

use entrain_connect::entra::SubscriptionOrder;
use entrain_domain::FailureCode;
use entrain_domain::notification::{Renewal, SubscriptionId, Watched};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::graph::{Tenant, tenant};

const URL: &str = "https://entrain.acme.example/doors/azure-ad/notifications";

fn order() -> SubscriptionOrder {
    SubscriptionOrder {
        notification_url: URL.into(),
        lifecycle_url: "https://entrain.acme.example/doors/azure-ad/lifecycle".into(),
        client_state: "state-canary".to_owned().into(),
        expires_at: "2026-12-21T10:00:00Z".parse().unwrap(),
    }
}

fn granted(id: &str, url: &str) -> Value {
    json!({ "id": id, "resource": "/users", "notificationUrl": url, "expirationDateTime": "2026-12-21T10:00:00Z" })
}

async fn answers(tenant: &Tenant, verb: &str, at: &str, times: u64, status: u16, body: Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    let mock = Mock::given(method(verb)).and(path(format!("/v1.0{at}"))).respond_with(answer);
    mock.up_to_n_times(times).with_priority(1).mount(&tenant.server).await;
}

fn error(code: &str) -> Value {
    json!({ "error": { "code": code, "message": "said otherwise tomorrow" } })
}

#[tokio::test]
async fn a_subscription_is_made_with_what_the_documents_ask_for() {
    let tenant = tenant(1, 0, 0).await;
    answers(&tenant, "POST", "/subscriptions", 1, 201, granted("one", URL)).await;
    let made = tenant.entra.subscribe(Watched::Users, &order()).await.unwrap();
    assert_eq!((made.id.as_str(), made.expires_at), ("one", order().expires_at));
    let requests = tenant.server.received_requests().await.unwrap();
    let sent = requests.iter().find(|r| r.url.path().ends_with("/subscriptions")).unwrap();
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!((&body["resource"], &body["changeType"]), (&json!("/users"), &json!("updated,deleted")));
    assert_eq!(body["clientState"], json!("state-canary"));
    assert!(!format!("{:?}", order()).contains("canary"), "the secret is not shown");
}

#[tokio::test]
async fn one_that_was_left_behind_is_replaced_and_one_of_somebody_else_is_not() {
    let tenant = tenant(1, 0, 0).await;
    answers(&tenant, "POST", "/subscriptions", 1, 409, error("ObjectIdentifierInUse")).await;
    answers(&tenant, "GET", "/subscriptions", 1, 200, json!({ "value": [granted("old", URL)] })).await;
    answers(&tenant, "DELETE", "/subscriptions/old", 1, 204, Value::Null).await;
    answers(&tenant, "POST", "/subscriptions", 1, 201, granted("new", URL)).await;
    assert_eq!(tenant.entra.subscribe(Watched::Users, &order()).await.unwrap().id.as_str(), "new");

    let other = json!({ "value": [granted("other", "https://other.example/hook?secret=canary")] });
    answers(&tenant, "POST", "/subscriptions", 1, 409, error("ObjectIdentifierInUse")).await;
    answers(&tenant, "GET", "/subscriptions", 1, 200, other).await;
    let failure = tenant.entra.subscribe(Watched::Users, &order()).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::NotificationsTaken);
    assert!(failure.message.contains("other.example") && !failure.message.contains("canary"), "{failure}");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let tenant = tenant(1, 0, 0).await;
    answers(&tenant, "POST", "/subscriptions", 1, 403, error("Authorization_RequestDenied")).await;
    let failure = tenant.entra.subscribe(Watched::Groups, &order()).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::DirectoryConsentMissing);
    assert!(failure.remedy.contains("Group.Read.All"), "{}", failure.remedy);
    answers(&tenant, "POST", "/subscriptions", 1, 400, error("ValidationError")).await;
    let failure = tenant.entra.subscribe(Watched::Groups, &order()).await.unwrap_err().failure();
    assert_eq!(failure.code, FailureCode::NotificationsUnreachable);
    assert!(failure.remedy.contains("--public-url"), "{}", failure.remedy);
}

#[tokio::test]
async fn one_that_is_gone_is_no_error() {
    let tenant = tenant(1, 0, 0).await;
    let id = SubscriptionId::parse("one").unwrap();
    let until = order().expires_at;
    answers(&tenant, "PATCH", "/subscriptions/one", 1, 200, granted("one", URL)).await;
    assert_eq!(tenant.entra.renew(Watched::Users, &id, until).await.unwrap(), Renewal::Until(until));
    answers(&tenant, "PATCH", "/subscriptions/one", 1, 404, error("ResourceNotFound")).await;
    assert_eq!(tenant.entra.renew(Watched::Users, &id, until).await.unwrap(), Renewal::Gone);
    answers(&tenant, "POST", "/subscriptions/one/reauthorize", 1, 204, Value::Null).await;
    assert_eq!(tenant.entra.reauthorize(Watched::Users, &id).await.unwrap(), Renewal::Authorized);
    answers(&tenant, "DELETE", "/subscriptions/one", 1, 404, error("ResourceNotFound")).await;
    tenant.entra.unsubscribe(&id).await.unwrap();
}
