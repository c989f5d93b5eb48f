//! What the OpenAPI document promises of values, and what is taken.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use entrain_domain::model::{AttributeValue, DirectoryUserId};
use entrain_domain::plan::Person;
use serde_json::{Value, json};

use super::{Behaves, Fake, now, routes, send};
use crate::rulebook::Fault;
use crate::service::Answer;
use crate::sought::{AuditSearch, Sought};
use crate::trials::{Compared, DocumentTrial, ExpressionTrial, Trials, Trouble};

impl AuditSearch for Fake {
    /// Gives back what was looked for, as the object of entries.
    fn sought(&self, sought: Sought, limit: u32) -> Answer<'_, Vec<Value>> {
        let (said, told, first) = (self.hostile, format!("{sought:?}"), sought.before.unwrap_or(100));
        let entry = |n: i64| {
            json!({ "seq": first - n, "at": now(), "actor": said, "action": said, "object": told,
            "detail": said, "hash": "0" })
        };
        self.give((1..=i64::from(limit)).map(entry).collect())
    }
}

impl Trials for Fake {
    fn try_document<'a>(&'a self, _: &'a str, document: &'a str) -> Answer<'a, DocumentTrial> {
        let fault = Fault {
            key: "scope.groups".into(),
            line: 3,
            what: "holds nothing".into(),
            remedy: "name a group".into(),
        };
        let plans = Compared::Plans {
            plan: json!({ "steps": [] }),
            new: ["s1".into()].into(),
            gone: ["s2".into()].into(),
        };
        self.give(match document {
            "wrong" => DocumentTrial { faults: vec![fault], compared: Compared::Nothing },
            _ => DocumentTrial { faults: Vec::new(), compared: plans },
        })
    }
    fn try_expression<'a>(
        &'a self,
        _: &'a str,
        expression: &'a str,
        _: &'a str,
    ) -> Answer<'a, ExpressionTrial> {
        let trouble =
            Trouble { position: Some((1, 6)), what: "no such attribute".into(), remedy: "mend it".into() };
        let user = Person {
            name: self.hostile.into(),
            directory_id: DirectoryUserId::parse("u").ok(),
            site_id: None,
            mail: None,
        };
        let outcome = match expression {
            "wrong" => Err(trouble),
            _ => Ok(Some(AttributeValue::Text("Research".into()))),
        };
        self.give(ExpressionTrial { user, outcome, notes: Vec::new() })
    }
}

/// A request of an administrator.
pub(super) async fn ask(method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header("host", "localhost")
        .header("authorization", "Bearer entrain_administrator_secret")
        .header("content-type", "application/json");
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    let (status, _, text) = send(&routes(Behaves::Well), request.body(body).unwrap()).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point() {
    for (days, status) in
        [(json!(7), 201), (json!(7.0), 201), (json!(7.5), 400), (json!(-7.0), 400), (json!(1e12), 400)]
    {
        let key = json!({ "name": "nightly", "role": "viewer", "days": days });
        let (got, body) = ask("POST", "/api-keys", Some(key)).await;
        assert_eq!(got.as_u16(), status, "{days}: {body}");
    }
}

#[tokio::test]
async fn w_05_a_text_with_the_character_nul_is_refused_and_the_document_says_so() {
    let (status, body) = ask("GET", "/runs?connection=a%00b", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["detail"], "“connection” is not a text of 1 to 100 characters, none of them NUL");
    let document = crate::api::openapi::made();
    let parameter = &document["paths"]["/api/v1/runs"]["get"]["parameters"][0];
    assert_eq!(
        (&parameter["name"], &parameter["schema"]["pattern"]),
        (&json!("connection"), &json!("^[^\\u0000]*$"))
    );
}

#[tokio::test]
async fn the_document_names_the_reports_and_numbers_versions() {
    let document = crate::api::openapi::made();
    let schema = |path: &str, at: usize| {
        document["paths"][format!("/api/v1/connections/{{connection}}{path}")]["get"]["parameters"][at]["schema"].clone()
    };
    assert_eq!(schema("/reports/{report}", 1)["enum"], json!(crate::reports::Report::NAMES));
    assert_eq!(schema("/versions/{version}", 1), json!({ "type": "integer", "minimum": 1 }));
}

#[tokio::test]
async fn a_document_is_tried_without_a_write_and_an_expression_on_a_person() {
    let put = |document: &'static str| {
        ask("PUT", "/connections/azure-ad?dry_run", Some(json!({ "document": document })))
    };
    let (status, told) = put("wrong").await;
    let problem =
        json!({ "key": "scope.groups", "line": 3, "problem": "holds nothing", "remedy": "name a group" });
    assert_eq!(
        (status, told),
        (StatusCode::OK, json!({ "connection": "Azure AD", "result": "not stored", "problems": [problem] }))
    );
    let (_, told) = put("right").await;
    assert_eq!((&told["new_steps"], &told["gone_steps"]), (&json!(["s1"]), &json!(["s2"])));

    let expression = |text: &'static str| {
        let body = json!({ "expression": text, "user": "ana@acme.example" });
        ask("POST", "/connections/azure-ad/try-expression", Some(body))
    };
    let (status, told) = expression("user.department").await;
    assert_eq!(
        (status, &told["value"], &told["problem"]),
        (StatusCode::OK, &json!("Research"), &Value::Null)
    );
    let (_, told) = expression("wrong").await;
    let problem = json!({ "line": 1, "character": 6, "problem": "no such attribute", "remedy": "mend it" });
    assert_eq!((&told["value"], &told["problem"]), (&Value::Null, &problem));
}

#[tokio::test]
async fn the_audit_log_is_looked_through_page_by_page() {
    let (status, page) =
        ask("GET", "/audit?who=ana&kind=add_member&object=Jira&from=2026-11-01&to=2026-11-02&limit=2", None)
            .await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let told = page["entries"][0]["object"].as_str().unwrap();
    for part in [
        "who: Some(\"ana\")",
        "kind: Some(\"add_member\")",
        "object: Some(\"Jira\")",
        "from: Some(2026-11-01T00:00:00Z)",
        "to: Some(2026-11-02T23:59:59.999",
        "before: None",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["next"]), (2, &json!("98")));
    let (_, page) = ask("GET", "/audit?limit=2&cursor=98", None).await;
    assert!(page["entries"][0]["object"].as_str().unwrap().contains("before: Some(98)"), "{page}");
    for wrong in ["from=yesterday", "to=2026-13-01", "cursor=x"] {
        assert_eq!(ask("GET", &format!("/audit?{wrong}"), None).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}
