use super::*;
use crate::model::{AccountState, DirectoryUserId, UserKind, further_attribute};

fn user(attributes: &[(&str, &str)]) -> DirectoryUser {
    let text = |value: &str| AttributeValue::Text(Arc::from(value));
    DirectoryUser {
        id: DirectoryUserId::parse("u1").unwrap(),
        display_name: Some("Adele Vance".into()),
        mail: None,
        user_principal_name: Some("adele@acme.example".into()),
        other_mail: None,
        account: AccountState::Enabled,
        kind: UserKind::Guest,
        attributes: attributes
            .iter()
            .map(|(name, value)| (further_attribute(name).unwrap().clone(), text(value)))
            .collect(),
    }
}

fn holds(text: &str) -> Result<bool, ExprError> {
    let user = user(&[("department", "Eng"), ("employeeId", "1003"), ("extensionAttribute7", "x")]);
    let groups = [Arc::from("Jira users"), Arc::from("Jira admins")];
    Expr::condition(text).unwrap().holds(&Facts { user: &user, groups: &groups })
}

#[test]
fn conditions_see_attributes_and_groups() {
    for text in [
        r#"user.department == "Eng""#,
        r#"user.department in ["Eng", "Sales"]"#,
        r#"user.userType == "Guest" && user.accountEnabled"#,
        r#""Jira admins" in groups && size(groups) == 2"#,
        r#"groups.exists(g, g.startsWith("Jira "))"#,
        r#"!groups.exists(g, g.endsWith("contractors"))"#,
        r#"user.userPrincipalName.endsWith("@acme.example")"#,
        "int(user.employeeId) > 1000",
        r#"user.employeeId.matches("^1[0-9]{3}$")"#,
        r#"user.displayName.lowerAscii().contains("vance")"#,
        r#"user.extensionAttribute7 == "x""#,
        "!has(user.mail) && has(user.department) && !has(user.otherMails)",
        r#"user.mail == null || user.mail.startsWith("a")"#,
        r#"user.city != "Ulm""#,
        r#"!(user.city in ["Ulm"])"#,
        r#"!user.otherMails.exists(m, m == "a")"#,
        r#"(has(user.city) ? user.city : "none") == "none""#,
        "'Eng' == user.department",
    ] {
        assert_eq!(holds(text), Ok(true), "{text}");
    }
}

#[test]
fn what_is_not_set_is_an_error_of_that_person_with_a_remedy() {
    for text in [r#"user.city.startsWith("U")"#, "user.city > \"A\"", r#"user.city + "x" == "x""#] {
        let error = holds(text).unwrap_err();
        assert!(error.what.contains("not set for this person: user.city"), "{text}: {error}");
        assert!(error.remedy.contains("has(user.city) && …"), "{text}: {}", error.remedy);
    }
    // The logical operators take what decides, wherever it stands
    assert_eq!(holds(r#"user.city.startsWith("U") || user.department == "Eng""#), Ok(true));
    assert_eq!(holds(r#"has(user.city) && user.city.startsWith("U")"#), Ok(false));
}

#[test]
fn errors_name_the_place_and_what_is_wrong() {
    let error = |text: &str| Expr::condition(text).unwrap_err();
    for (text, column, what) in [
        ("user.department = \"Eng\"", Some(17), ""),
        ("user.departmnt == \"Eng\"", Some(5), "there is no attribute user.departmnt"),
        ("true && department == \"Eng\"", Some(9), "“department” is not known"),
        ("user == null", Some(1), "“user” alone says nothing"),
        ("startWith(user.mail, \"a\")", Some(10), "there is no function “startWith”"),
        ("user.department", None, "it gives a text, and true or false is needed"),
        ("user.department > 5", None, "> does not work on a text and a number"),
        ("user.mail.matches(\"[\")", None, "the pattern of matches cannot be used"),
        ("  ", None, "the expression is empty"),
        ("{\"a\": 1} == {\"a\": 1}", Some(1), "maps and messages have no use here"),
        ("groups.exists(user, user == \"a\")", None, "cannot be called “user”"),
    ] {
        let error = error(text);
        assert!(error.what.contains(what), "{text}: {error:?}");
        if let Some(column) = column {
            assert_eq!(error.position.map(|(line, _)| line), Some(1), "{text}: {error:?}");
            assert!(error.position.is_some_and(|(_, c)| c.abs_diff(column) <= 1), "{text}: {error:?}");
        }
        assert!(!error.remedy.is_empty() && !error.what.contains('\n'), "{text}");
    }
    assert!(error("user.Department == \"a\"").remedy.contains("write user.department"));
    assert!(error(&"(".repeat(5_000)).what.contains("longer than"));
    assert!(Expr::compile(&format!("{}1{} == 1", "(".repeat(1_000), ")".repeat(1_000))).is_err());
}

#[test]
fn it_says_what_has_to_be_read() {
    let expr = Expr::condition(
        r#"user.department == "a" || has(user.extensionAttribute2) || user.mail != "b" || user.otherMails.exists(m, m == user.city)"#,
    )
    .unwrap();
    let attributes = ["city", "department", "onPremisesExtensionAttributes", "otherMails"].map(str::to_owned);
    assert_eq!(expr.attributes(), attributes.into());
    assert!(!expr.reads_groups());
    let expr = Expr::condition(r#""a" in groups && !("B" in groups) || "a" in groups"#).unwrap();
    assert!(expr.reads_groups() && !expr.looks_through_groups());
    let named: Vec<&str> = expr.named_groups().iter().map(GroupSelector::as_str).collect();
    assert_eq!(named, ["a", "B"]);
    for text in ["size(groups) > 1", r#"groups.exists(g, g == "a")"#, "user.department in groups"] {
        assert!(Expr::condition(text).unwrap().looks_through_groups(), "{text}");
    }
    for (text, what) in [
        (r#""a*" in groups"#, "is a pattern"),
        (r#"" a" in groups"#, "blanks around it"),
        (r#""" in groups"#, "is empty"),
    ] {
        assert!(Expr::condition(text).unwrap_err().what.contains(what), "{text}");
    }
}

#[test]
fn texts_for_mapping() {
    let user = user(&[("department", "Eng"), ("employeeId", "7")]);
    let facts = Facts { user: &user, groups: &[] };
    let text = |text: &str| Expr::compile(text).unwrap().text(&facts);
    assert_eq!(text("user.department"), Ok(Some("Eng".into())));
    assert_eq!(text("user.city"), Ok(None));
    assert_eq!(text("int(user.employeeId) + 1"), Ok(Some("8".into())));
    assert_eq!(text("user.accountEnabled"), Ok(Some("true".into())));
    assert_eq!(text(r#"[user.department, "DE"].join("-")"#), Ok(Some("Eng-DE".into())));
    assert_eq!(text(r#"user.displayName.split(" ")[1]"#), Ok(Some("Vance".into())));
    assert!(text("groups").unwrap_err().what.contains("a list"));
    let list = Expr::compile(r#"user.displayName.split(" ")"#).unwrap().value(&facts);
    assert_eq!(list, Ok(Some(AttributeValue::List(vec!["Adele".into(), "Vance".into()]))));
    assert!(text(r#"user.displayName.split(" ")[5]"#).is_err());
}

#[test]
fn equal_text_is_equal_and_serialises_as_text() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let a = Expr::condition(" has(user.mail) ").unwrap();
    assert_eq!(a, Expr::condition("has(user.mail)").unwrap());
    assert_eq!(serde_json::to_string(&a).unwrap(), r#""has(user.mail)""#);
    shared(&a);
}

proptest::proptest! {
    /// No text makes the compiler or an evaluation panic, and errors stay one line.
    #[test]
    fn h_07_any_text_compiles_or_is_refused(text in "[ -~]{0,40}|(user|groups|has|==|&&|in|\\.|\\(|\\)|\\[|\\]|'|\"|mail|city|startsWith|exists|,| |!|1)*") {
        match Expr::compile(&text) {
            Ok(expr) => {
                let user = user(&[("department", "a'b\"c")]);
                let _ = expr.holds(&Facts { user: &user, groups: &[] }).map_err(|e| assert!(!e.to_string().contains('\n')));
            }
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }

    /// A value of the directory is a value, never a part of the expression.
    #[test]
    fn h_07_values_are_never_read_as_expression(value in ".{0,30}") {
        let user = user(&[("department", &value)]);
        let expr = Expr::condition(r#"user.department == "Eng""#).unwrap();
        assert_eq!(expr.holds(&Facts { user: &user, groups: &[] }), Ok(value == "Eng"));
    }
}

#[test]
fn an_expression_that_would_fill_the_memory_is_refused() {
    let nested = |call: &str, times: usize| format!("user.displayName{} == \"\"", call.repeat(times));
    let long = "x".repeat(40);
    for hostile in [
        nested(&format!(".replace(\"x\", \"{long}\")"), 30),
        nested(&format!(".replace(\"\", \"{long}\")"), 30),
        nested(&format!(".split(\"\").join(\"{long}\")"), 30),
        nested(".replace(\"x\", user.displayName)", 12),
    ] {
        let error = Expr::condition(&hostile).unwrap_err();
        assert!(error.what.contains("too long"), "{error}");
    }
    // As people spell names without umlauts
    let spelt = "user.displayName.replace(\"ä\", \"ae\").replace(\"ö\", \"oe\").replace(\"ü\", \"ue\")\
        .replace(\"ß\", \"ss\").replace(\"å\", \"aa\").replace(\"ø\", \"oe\").replace(\"é\", \"e\") + user.otherMails.join(\", \")";
    assert!(Expr::compile(spelt).is_ok());
    assert!(Expr::condition("groups.exists(g, user.otherMails.exists(m, m.contains(g)))").is_ok());
}
