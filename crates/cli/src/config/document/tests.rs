use entrain_domain::policy::{Binding, Existing, GroupMode, Rules};

use super::*;

const SMALLEST: &str = r#"name = "Azure AD"

[directory]
tenant_id = "5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10"
client_id = "0b7d4a52-8e0f-4f4b-9a75-1c2f0f6e8d31"
client_secret = "env:ENTRA_CLIENT_SECRET"

[site]
url = "https://acme.atlassian.net"
admin_email = "sync-bot@acme.example"
api_token = "env:JIRA_API_TOKEN"

[scope]
groups = ["Jira *"]
"#;

fn refused(text: &str) -> DocumentError {
    Document::parse(text, "connection.toml").expect_err("the document is refused")
}

/// The document with one line replaced, and the number of that line.
fn with(line: &str, replacement: &str) -> (String, usize) {
    let at = SMALLEST.lines().position(|l| l == line).expect("the line is there");
    (SMALLEST.replace(line, replacement), at + 1)
}

#[test]
fn the_smallest_document_means_what_the_contract_says() {
    let document = Document::parse(SMALLEST, "connection.toml").unwrap();
    assert_eq!(document.name(), "Azure AD");
    assert_eq!(document.meaning().rules, Rules::for_scope(document.meaning().rules.scope.clone()));
    assert_eq!(document.text(), SMALLEST);
    assert!(document.plain_secrets().is_empty());
}

#[test]
fn every_mistake_is_named_with_key_line_and_remedy() {
    // (line, what stands there instead, key in the message, word in what, word in the remedy)
    let client_secret = r#"client_secret = "env:ENTRA_CLIENT_SECRET""#;
    let url = r#"url = "https://acme.atlassian.net""#;
    let email = r#"admin_email = "sync-bot@acme.example""#;
    let groups = r#"groups = ["Jira *"]"#;
    let tenant = r#"tenant_id = "5f1c0d7e-3b52-4a6e-9c1a-2d8f7b6a9e10""#;
    for (line, instead, key, what, remedy) in [
        (email, r#"admin_mail = "a@b.example""#, "site.admin_mail", "not a known key", "site.admin_email"),
        (email, "admin_email = 5", "site.admin_email", "a number", "quotes"),
        (email, r#"admin_email = "nobody""#, "site.admin_email", "not an e-mail", "technical account"),
        (email, r#"admin_email = """#, "site.admin_email", "is empty", "write"),
        (url, r#"url = "http://acme.atlassian.net""#, "site.url", "plain http", "https://"),
        (url, r#"url = "acme.atlassian.net""#, "site.url", "cannot be used", "https://"),
        (
            url,
            r#"url = "https://me:canary@acme.atlassian.net""#,
            "site.url",
            "user name or password",
            "https://",
        ),
        (tenant, r#"tenant_id = "common""#, "directory.tenant_id", "neither", "overview"),
        (client_secret, "managed_identity = \"yes\"", "directory.managed_identity", "text", "without quotes"),
        (
            client_secret,
            "certificate_file = \"a.pem\"",
            "directory.private_key_file",
            "is missing",
            "private_key_file",
        ),
        (client_secret, "certificate = \"x\"", "directory.private_key", "is missing", "private_key"),
        (
            client_secret,
            "certificate = \"x\"\nprivate_key = \"env:KEY\"",
            "directory.certificate",
            "not a certificate",
            "BEGIN CERTIFICATE",
        ),
        (client_secret, "cloud = \"mars\"", "directory.cloud", "known words", "usgov-dod"),
        (groups, r#"groups = "Jira *""#, "scope.groups", "text", "list"),
        (groups, "groups = []", "scope.groups", "nobody would take part", "users"),
        (groups, r#"groups = ["a", 5]"#, "scope.groups[1]", "a number", "quotes"),
        (groups, r#"users = "assigned""#, "scope.assigned_to", "is missing", "client"),
        (groups, "users = \"all\"\nassigned_to = \"x\"", "scope.assigned_to", "only counts", "assigned"),
        (
            groups,
            "users = \"assigned\"\nassigned_to = \"Jira') or ('\"",
            "scope.assigned_to",
            "not an application id",
            "client",
        ),
        (groups, "groups = [\"a\"]\nguests = \"some\"", "scope.guests", "known words", "exclude"),
        (groups, "groups = [\"a\"]\nfilter = \"x\"", "scope.filter", "“x” is not known", "user.NAME"),
        (
            groups,
            "groups = [\"a\"]\nfilter = 'user.deparment == \"a\"'",
            "scope.filter",
            "no attribute user.deparment",
            "department",
        ),
        (
            groups,
            "groups = [\"a\"]\nfilter = '\"Jira *\" in groups'",
            "scope.filter",
            "is a pattern",
            "groups.exists",
        ),
        (groups, "groups = [\"a\"]\nfilter = 'user.department'", "scope.filter", "gives", "compare"),
        (
            groups,
            "groups = [\"x\"]\n[leavers]\nafter = 1",
            "leavers.after",
            "is not a known key",
            "suspend_after",
        ),
        (
            groups,
            "groups = [\"x\"]\n[leavers]\nremove_after = \"soon\"",
            "leavers.remove_after",
            "not a length of time",
            "7d",
        ),
        (
            groups,
            "groups = [\"x\"]\n[leavers]\nsuspend_after = \"7d\"",
            "leavers.suspend_after",
            "needs an organization key",
            "remove_after",
        ),
        (
            groups,
            "groups = [\"x\"]\n[leavers.out_of_scope]\ndeactivate_after = \"7d\"",
            "leavers.out_of_scope.deactivate_after",
            "needs an organization key",
            "remove_after",
        ),
        (
            groups,
            "groups = [\"x\"]\n[seats.products.jira]\nbudget = 5",
            "seats.products.jira",
            "is no product",
            "jira-software",
        ),
        (
            groups,
            "groups = [\"x\"]\n[seats.products.jira-software]\nreserve = 0",
            "seats.products.jira-software",
            "limits nothing",
            "budget",
        ),
        (
            groups,
            "groups = [\"x\"]\n[seats.products.confluence]\nbudget = 5",
            "seats.products.confluence",
            "needs an organization key",
            "site.organization",
        ),
        (
            groups,
            "groups = [\"x\"]\n[seats]\nfirst = ['user.department']",
            "seats.first[0]",
            "gives",
            "compare",
        ),
        (
            groups,
            "groups = [\"x\"]\n[seats]\nfirst = ['\"a\" in groups']",
            "seats.first[0]",
            "looks at groups",
            "user.NAME",
        ),
        (
            groups,
            "groups = [\"x\"]\n[limits]\nremovals_percent = 101",
            "limits.removals_percent",
            "range",
            "0 to 100",
        ),
        (groups, "groups = [\"x\"]\n[schedule]\nevery = \"10s\"", "schedule.every", "too short", "60s"),
        (groups, "groups = [\"x\"]\n[schedule]\nevery = \"soon\"", "schedule.every", "length of time", "15m"),
        (groups, "groups = [\"x\"]\n[schedule]\ncron = \"* * *\"", "schedule.cron", "five fields", "minute"),
        (groups, "groups = [\"x\"]\n[groups]\nname = \"all\"", "groups.name", "{name}", "template"),
        (
            groups,
            "groups = [\"x\"]\n[groups]\nmap = { \"a*\" = \"b\" }",
            "groups.map.a*",
            "pattern",
            "exact name",
        ),
        (
            groups,
            "groups = [\"x\"]\n[network]\nproxy = \"proxy\"",
            "network.proxy",
            "not an address",
            "http://",
        ),
    ] {
        let (text, at) = with(line, instead);
        let error = refused(&text);
        let problem =
            error.problems.iter().find(|p| p.key == key).unwrap_or_else(|| panic!("{instead}: {error}"));
        let extra = instead.lines().count() - 1;
        assert!(problem.line >= at.saturating_sub(6) && problem.line <= at + extra, "{instead}: {problem:?}");
        assert!(problem.what.contains(what), "{instead}: {problem:?}");
        assert!(problem.remedy.contains(remedy), "{instead}: {problem:?}");
        assert!(!error.to_string().contains("canary"), "{error}");
        let sentence = error.sentence(problem);
        assert!(sentence.starts_with("connection.toml, line "), "{sentence}");
    }
}

#[test]
fn a_wrong_key_is_reported_on_its_own_line() {
    let (text, at) =
        with(r#"admin_email = "sync-bot@acme.example""#, r#"admin_mail = "sync-bot@acme.example""#);
    let error = refused(&text);
    let unknown = error.problems.iter().find(|p| p.key == "site.admin_mail").unwrap();
    let missing = error.problems.iter().find(|p| p.key == "site.admin_email").unwrap();
    assert_eq!(unknown.line, at);
    assert_eq!(missing.line, at - 2, "a missing key is reported on the line of its section");
}

#[test]
fn broken_toml_names_the_line_and_quotes_nothing() {
    let (text, at) = with(r#"api_token = "env:JIRA_API_TOKEN""#, "api_token = canary-unquoted");
    let error = refused(&text);
    assert_eq!(error.problems[0].line, at);
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn a_missing_variable_is_named_with_its_key_and_line() {
    let document = Document::parse(SMALLEST, "connection.toml").unwrap();
    let error = document.resolve(&|_| None, &Secrets::new()).unwrap_err();
    assert_eq!(error.problems.len(), 2);
    assert_eq!((error.problems[0].key.as_str(), error.problems[0].line), ("directory.client_secret", 6));
    assert!(error.problems[0].remedy.contains("ENTRA_CLIENT_SECRET"));
}

#[test]
fn plain_secrets_leave_the_text_and_comments_stay() {
    let text = SMALLEST.replace("\"env:JIRA_API_TOKEN\"", "\"canary-token-1\"  # the bot's").replace(
        "[scope]",
        "[site.organization]\nid = \"o1\"\napi_key = 'canary-key-2'\n\n# was canary-token-1\n[scope]",
    );
    let document = Document::parse(&text, "connection.toml").unwrap();
    assert!(!document.text().contains("canary"), "{}", document.text());
    assert!(document.text().contains("api_token = \"sealed\"  # the bot's"), "{}", document.text());
    let plain = document.plain_secrets();
    assert_eq!(plain.keys().collect::<Vec<_>>(), ["site.api_token", "site.organization.api_key"]);
    assert!(!format!("{document:?}").contains("canary"));

    let again = Document::parse(document.text(), "stored").unwrap();
    let kept = again.resolve(&|_| Some("x".into()), &plain).unwrap();
    assert_eq!(kept["site.api_token"].expose_secret(), "canary-token-1");
}

#[test]
fn settings_become_rules() {
    let text = format!(
        "{SMALLEST}exclude_groups = [\"Jira test\"]\n[operations]\nimport_users = false\nproducts = [\"jira-software\"]\n\
         [groups]\nname = \"entra-{{name}}\"\nexisting = \"adopt\"\nmode = \"authoritative\"\n\
         default = [\"Jira Everyone\"]\ndefault_new = [\"welcome\"]\n\
         [groups.map]\n\"Staff\" = \"jira-staff\"\n\"Leads\" = [\"jira-staff\", \" jira-leads\"]\n[limits]\nremovals_number = 3\n\
         [protected]\naccounts = [\"Boss@acme.example\", \"5b10ac8d82e05b22cc7d4ef5\"]\ngroups = [\"Payroll\"]\n"
    );
    let rules = Document::parse(&text, "connection.toml").unwrap().meaning().rules.clone();
    assert_eq!(rules.import_users, entrain_domain::policy::Import::Report);
    assert_eq!(rules.existing, Existing::Adopt);
    assert_eq!(rules.mode, GroupMode::Authoritative);
    assert_eq!(rules.limits.removals.number, 3);
    assert_eq!(rules.limits.removals.percent, 20);
    let bound = |b: &Binding| (b.directory.as_str().to_owned(), b.site.clone());
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        rules.bindings.iter().map(bound).collect::<Vec<_>>(),
        [pair("Leads", "jira-staff"), pair("Leads", "jira-leads"), pair("Staff", "jira-staff")]
    );
    assert_eq!(rules.defaults.everybody, ["Jira Everyone"]);
    assert_eq!(rules.defaults.newcomers, ["welcome"]);
    assert!(rules.protected.addresses.contains("boss@acme.example"));
    assert!(rules.protected.group_names.contains("payroll"));
    assert_eq!(rules.protected.accounts.len(), 1);
}

#[test]
fn names_are_rewritten_and_modes_and_nesting_are_set_per_group() {
    let text = format!(
        "{SMALLEST}[groups]\nname = \"entra-{{name}}\"\nnesting = \"direct\"\n\
         [[groups.rename]]\npattern = '^GRP-(.+)$'\nwith = '$1'\n[[groups.rename]]\npattern = '_'\nwith = ''\n\
         [groups.modes]\n\"Jira admins*\" = \"authoritative\"\n[groups.nestings]\n\"Jira users\" = \"flatten\"\n"
    );
    let rules = Document::parse(&text, "connection.toml").unwrap().meaning().rules.clone();
    let id = entrain_domain::model::DirectoryGroupId::parse("g").unwrap();
    assert_eq!(rules.names.name("GRP-Q_A"), "entra-QA");
    assert_eq!(rules.mode_of(&id, "jira Admins EU"), GroupMode::Authoritative);
    assert_eq!(rules.mode_of(&id, "Jira users"), GroupMode::Managed);
    assert_eq!(rules.nesting_of(&id, "Jira users"), entrain_domain::policy::Nesting::Flatten);
    assert_eq!(rules.nesting_of(&id, "Jira leads"), entrain_domain::policy::Nesting::Direct);

    let wrong = format!(
        "{SMALLEST}[[groups.rename]]\npattern = '('\nwith = ''\n[[groups.rename]]\npattern = '^x'\nwith = '$1'\n\
         [[groups.rename]]\npatern = 'x'\nwith = 3\n[groups.modes]\n\"x\" = \"additve\"\n"
    );
    let problems = Document::parse(&wrong, "connection.toml").unwrap_err().to_string();
    assert!(
        problems.contains("groups.rename[2].patern") && problems.contains("groups.modes.x"),
        "{problems}"
    );
    let wrong =
        wrong.replace("[[groups.rename]]\npatern = 'x'\nwith = 3\n", "").replace("additve", "additive");
    let problems = Document::parse(&wrong, "connection.toml").unwrap_err().to_string();
    assert!(problems.contains("no regular expression") && problems.contains("names $1"), "{problems}");
}

#[test]
fn attributes_become_rules_and_each_mistake_is_named() {
    use entrain_domain::model::{AttributeValue, ProfileField};
    use entrain_domain::policy::attributes::{Source, When};
    let organization = "[site.organization]\nid = \"o1\"\napi_key = \"env:KEY\"\n";
    let text = format!(
        "{SMALLEST}{organization}[attributes.profile]\njob_title = {{ from = \"user.jobTitle\", default = \"–\" }}\n\
         [attributes.property]\nfields = {{ a = \"user.department\", b = {{ constant = \"x\", when = \"create\" }} }}\n"
    );
    let rules = Document::parse(&text, "connection.toml").unwrap().meaning().rules.attributes.clone();
    assert_eq!(rules.names(), ["department", "jobTitle"].map(String::from).into());
    assert!(rules.profile[&ProfileField::JobTitle].default.is_some());
    let property = rules.property.unwrap();
    assert_eq!(property.key, "entrain");
    assert_eq!(property.fields["b"].when, When::Create);
    assert_eq!(property.fields["b"].source, Source::Constant(AttributeValue::Text("x".into())));

    for (sections, key, what) in [
        (
            "[attributes.profile]\nname = \"user.displayName\"",
            "attributes.profile.name",
            "needs the organization",
        ),
        (
            "[attributes.property.fields]\na = \"department\"",
            "attributes.property.fields.a",
            "cannot be used",
        ),
        (
            "[attributes.property.fields]\na = \"user.shoeSize\"",
            "attributes.property.fields.a",
            "cannot be used",
        ),
        (
            "[attributes.property.fields]\na = \"size(groups) > 0 ? 'x' : 'y'\"",
            "attributes.property.fields.a",
            "looks at groups",
        ),
        ("[attributes.property.fields]\na = 5", "attributes.property.fields.a", "a number"),
        ("[attributes.property.fields]\na = {}", "attributes.property.fields.a", "neither from nor constant"),
        (
            "[attributes.property.fields]\na = { from = \"user.mail\", constant = \"x\" }",
            "attributes.property.fields.a",
            "from and constant",
        ),
        (
            "[attributes.property.fields]\na = { from = \"user.mail\", wen = \"create\" }",
            "attributes.property.fields.a.wen",
            "not a known key",
        ),
        (
            "[attributes.property.fields]\na = { from = \"user.mail\", when = \"often\" }",
            "attributes.property.fields.a.when",
            "known words",
        ),
        (
            "[attributes.profile]\nshoe_size = \"user.mail\"",
            "attributes.profile.shoe_size",
            "not a known key",
        ),
    ] {
        let error = refused(&format!("{SMALLEST}{sections}\n"));
        let problem =
            error.problems.iter().find(|p| p.key == key).unwrap_or_else(|| panic!("{sections}: {error}"));
        assert!(problem.what.contains(what), "{sections}: {problem:?}");
    }
}

#[test]
fn loopback_may_be_plain_http() {
    for host in ["127.0.0.1:8080", "localhost:1", "[::1]:9"] {
        let (text, _) = with(r#"url = "https://acme.atlassian.net""#, &format!("url = \"http://{host}\""));
        Document::parse(&text, "connection.toml").unwrap();
    }
}

#[test]
fn a_jira_group_is_filled_for_one_reason() {
    let text = format!(
        "{SMALLEST}[groups]\ndefault = [\"Everyone\", \"staff \", \"x\\u0007\"]\ndefault_new = [\"everyone\"]\n\
         [groups.map]\n\"Staff\" = \"Staff\"\n\"Nobody\" = []\n"
    );
    let error = Document::parse(&text, "connection.toml").unwrap_err();
    let said: Vec<String> = error.problems.iter().map(|p| format!("{}: {}", p.key, p.what)).collect();
    for (key, what) in [
        ("groups.default[1]", "is named under groups.map already"),
        ("groups.default[2]", "no Jira group can bear"),
        ("groups.default_new[0]", "is named under groups.default already"),
        ("groups.map.Nobody", "binds to nothing"),
    ] {
        assert!(said.iter().any(|s| s.starts_with(key) && s.contains(what)), "{key} {what}: {said:?}");
    }
}

#[test]
fn s_01_a_private_key_in_the_document_is_sealed_and_the_certificate_stays() {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n";
    let lines = format!("certificate = '''{pem}'''\nprivate_key = '''\n{key}'''");
    let (text, _) = with(r#"client_secret = "env:ENTRA_CLIENT_SECRET""#, &lines);
    let document = Document::parse(&text, "connection.toml").unwrap();
    let DirectoryCredential::Pem { certificate } = &document.meaning().credential else {
        panic!("{:?}", document.meaning().credential)
    };
    assert_eq!(certificate, pem);
    assert!(!document.text().contains("canary") && document.text().contains("BEGIN CERTIFICATE"));
    assert_eq!(document.plain_secrets()["directory.private_key"].expose_secret(), key);
    let again = Document::parse(document.text(), "stored").unwrap();
    let kept = document.plain_secrets();
    assert_eq!(
        again.resolve(&|_| Some("x".into()), &kept).unwrap()["directory.private_key"].expose_secret(),
        key
    );
}
