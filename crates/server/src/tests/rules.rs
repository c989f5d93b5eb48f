//! The forms of the rules, over a document that the fake holds.

use std::sync::Arc;

use axum::http::StatusCode;
use entrain_domain::service::Role;
use entrain_domain::why::Why;

use super::pages::post;
use super::{Behaves, Fake, now, over};
use crate::rulebook::{Fault, Outcome, Rulebook, Sample, Topic, Trial, Version};
use crate::service::Answer;

impl Rulebook for Fake {
    fn judge<'a>(&'a self, _: &'a str, document: &'a str) -> Answer<'a, Vec<Fault>> {
        let wrong = document.contains("wrong(");
        let fault = Fault {
            key: "scope.filter".into(),
            line: 12,
            what: "at character 1: there is no function “wrong”".into(),
            remedy: "functions are many".into(),
        };
        self.give(if wrong { vec![fault] } else { Vec::new() })
    }
    fn versions<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Version>> {
        let version = |number, document: &str| Version {
            number,
            document: Some(document.into()),
            author: self.hostile.into(),
            at: now(),
            why: Why::parse(self.hostile).ok(),
        };
        self.give(vec![
            version(2, "name = \"Azure AD\"\n# kept\n"),
            version(1, &format!("name = {:?}\n", self.hostile)),
        ])
    }
    fn try_out<'a>(&'a self, _: &'a str, _: &'a str, _: Topic, find: &'a str) -> Answer<'a, Trial> {
        let name = self.hostile.to_owned();
        let sample = Sample {
            name: format!("{name} {find}"),
            id: name.clone(),
            before: (Outcome::Good, "takes part".into()),
            after: (Outcome::Out, "left out".into()),
            why: name,
        };
        self.give(Trial { read: true, sum: "Understood.".into(), samples: vec![sample], notes: Vec::new() })
    }
}

/// What a hidden field of a page holds, with what HTML writes in place of signs taken back.
fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    let rest = &page[at + name.len() + "name=\"\" value=\"".len()..];
    rest[..rest.find('"').unwrap()].to_owned()
}

fn written(page: &str) -> String {
    let at = page.find("<textarea name=\"document\" hidden").unwrap();
    let from = at + page[at..].find(">\n").unwrap() + 2;
    let text = &page[from..from + page[from..].find("</textarea>").unwrap()];
    text.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

#[tokio::test]
async fn a_form_is_saved_only_as_it_was_shown_and_on_the_version_it_was_made_on() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let cookie = fake.people.signed_in(Role::Administrator);
    let cookies = format!("entrain={cookie}");
    let routes = over(fake.clone());
    let said = [
        ("base", "1"),
        ("scope.groups", "Jira *\r\nAll Staff"),
        ("scope.users", "in_groups"),
        ("scope.filter", "user.department == \"Sales\""),
        ("do", "show"),
    ];
    let (status, _, shown) =
        post(&routes, "/connections/azure-ad/rules/scope", &cookies, &cookie, &said).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert!(shown.contains("These rules would ask for 1 further step"), "{shown}");
    let document = written(&shown);
    assert_eq!(
        document,
        "name = \"Azure AD\"\n\n[scope]\ngroups = [\"Jira *\", \"All Staff\"]\n\
         filter = 'user.department == \"Sales\"'\n"
    );
    assert_eq!(fake.people.writes(), 0);
    let tried = hidden(&shown, "tried");
    let save = async |document: &str, base: &str, tried: &str| {
        let fields = [("document", document), ("base", base), ("tried", tried)];
        let (status, headers, body) =
            post(&routes, "/connections/azure-ad/rules", &cookies, &cookie, &fields).await;
        (status, headers.contains_key("location"), body)
    };
    let (status, _, body) = save(&document.replace("All", "Any"), "1", &tried).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "another text: {body}");
    let (status, ..) = save(&document, "1", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "not tried");
    let (status, ..) = save(&document, "2", &tried).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "tried on another version");
    assert_eq!(fake.people.writes(), 0);
    let (status, led_on, _) = save(&document.replace('\n', "\r\n"), "1", &tried).await;
    assert!(status == StatusCode::SEE_OTHER && led_on);
    assert_eq!(fake.people.writes(), 1);
    assert_eq!(*fake.people.why.lock().unwrap(), None, "nobody has to say why");
    // Why is one line, and a wrong one loses nothing of what was shown
    let because = async |why: &str| {
        let fields = [("document", document.as_str()), ("base", "1"), ("tried", &tried), ("why", why)];
        post(&routes, "/connections/azure-ad/rules", &cookies, &cookie, &fields).await
    };
    for wrong in ["a\nb", &"w".repeat(201), "a\u{202e}b"] {
        let (status, _, body) = because(wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(body.contains("id=\"why-e\"") && written(&body) == document, "{body}");
        assert_eq!(hidden(&body, "tried"), tried);
    }
    assert_eq!(fake.people.writes(), 1);
    assert_eq!(because("  Sales <b>asked</b> for it ").await.0, StatusCode::SEE_OTHER);
    let why = fake.people.why.lock().unwrap().take();
    assert_eq!(why.unwrap().as_str(), "Sales <b>asked</b> for it");
    // A form that was opened on another version keeps what was said and tells it
    let old = [("base", "7"), ("scope.groups", "Jira *")];
    let (_, _, body) = post(&routes, "/connections/azure-ad/rules/scope", &cookies, &cookie, &old).await;
    assert!(body.contains("Somebody saved version 1 meanwhile") && body.contains("Jira *"), "{body}");
}

#[tokio::test]
async fn mistakes_stand_at_their_field_and_trials_beside_the_form() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let cookie = fake.people.signed_in(Role::Administrator);
    let cookies = format!("entrain={cookie}");
    let routes = over(fake.clone());
    let say = async |topic: &str, fields: &[(&str, &str)]| {
        post(&routes, &format!("/connections/azure-ad/rules/{topic}"), &cookies, &cookie, fields).await
    };
    let (status, _, body) = say("scope", &[("base", "1"), ("scope.filter", "wrong()")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body.contains("id=\"scope-filter-e\"") && body.contains("scope.filter (line 12)"), "{body}");
    assert!(
        body.contains("aria-describedby=\"scope-filter-h scope-filter-e\" aria-invalid=\"true\""),
        "{body}"
    );
    let (status, _, body) = say("limits", &[("base", "1"), ("limits.removals_percent", "many")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body.contains("“many” is no whole number."), "{body}");
    let (status, _, body) = say("scope", &[("do", "try"), ("who", "ana"), ("scope.filter", "true")]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("Azure AD ana</a>") && body.contains("left out"), "{body}");
    let (_, _, body) = say("scope", &[("do", "find"), ("find", "azure")]).await;
    assert!(body.contains("name=\"pick\" value=\"Azure AD\""), "{body}");
    let picked = [
        ("do", "show"),
        ("base", "1"),
        ("scope.groups", "A"),
        ("scope.exclude_groups", ""),
        ("pick", "Azure AD"),
        ("leave", "B"),
    ];
    let (_, _, body) = say("scope", &picked).await;
    assert!(written(&body).contains("groups = [\"A\", \"Azure AD\"]\nexclude_groups = [\"B\"]"), "{body}");
    let (status, ..) = say("nowhere", &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(fake.people.writes(), 0);
}

#[tokio::test]
async fn an_earlier_version_comes_back_through_the_what_if() {
    let fake = Arc::new(Fake::new(Behaves::Well));
    let cookie = fake.people.signed_in(Role::Administrator);
    let cookies = format!("entrain={cookie}");
    let routes = over(fake.clone());
    let back = async |version: &str| {
        post(&routes, "/connections/azure-ad/rules/back", &cookies, &cookie, &[("version", version)]).await
    };
    let (status, _, body) = back("2").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(written(&body), "name = \"Azure AD\"\n# kept\n");
    assert!(body.contains("<ins>+ # kept</ins>"), "{body}");
    assert!(body.contains("name=\"why\" value=\"Back to version 2\""), "{body}");
    assert_eq!(back("9").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(fake.people.writes(), 0);
}
