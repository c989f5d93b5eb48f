//! S-01: a canary in every secret of a document is found nowhere.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::path::Path;

use support::Bench;

fn everything_in(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything_in(&path, into);
        } else {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn s_01_no_secret_is_found_in_any_output_or_file() {
    let bench = Bench::demo();
    let company = bench.company().clone();
    let key = company.api_key.as_str();
    // The whole address of a channel is a secret: whoever knows it may post
    let (password, signing, address) =
        ("canary-of-the-mail-server", "Y2FuYXJ5LW9mLXRoZS13ZWJob29rLXM=", "T0CANARY/B0CANARY/of-slack");
    let canaries =
        [company.client_secret.as_str(), company.api_token.as_str(), key, password, signing, address];
    let organization = format!(
        "[site.organization]\nid = \"{}\"\ndirectory_id = \"{}\"\nurl = \"{}\"\napi_key = \"{key}\"\n\n[scope]",
        company.organization_id, company.directory_id, company.organization_url,
    );
    let (hooks, port) = (&company.hook_url, company.mail_port);
    let channels = format!(
        "[notify.channels.mail]\nkind = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n\
         user = \"entrain\"\npassword = \"{password}\"\nfrom = \"a@acme.example\"\nto = [\"b@acme.example\"]\n\
         [notify.channels.hook]\nkind = \"webhook\"\nurl = \"{hooks}/x\"\nsecret = \"whsec_{signing}\"\n\
         [notify.channels.slack]\nkind = \"slack\"\nurl = \"{hooks}/{address}\"\n\
         [notify.channels.gone]\nkind = \"teams\"\nurl = \"{hooks}/404/{address}\"\n",
    );
    let document = bench.document("\"Jira *\"").replace("[scope]", &organization) + &channels;
    let path = bench.file("connection.toml", &document);
    let file = path.to_str().unwrap().to_owned();

    let trace = &[("ENTRAIN_LOG", "trace")][..];
    let mut seen = vec![bench.entrain_with(&["connection", "add", &file], trace).expect(0)];
    std::fs::remove_file(&path).unwrap();
    let out = bench.folder.path().join("plan.json");
    let first = bench.entrain_with(&["plan", "--out", out.to_str().unwrap()], trace).expect(0);
    let sync = bench.entrain_with(&["sync", "--json"], trace).expect(0);
    let run = sync.json()["run_id"].as_str().unwrap().to_owned();
    seen.extend([first, sync]);
    for args in [
        &["check"][..],
        &["check", "--json"],
        &["plan", "--json"],
        &["sync"],
        &["connection", "export", "Azure AD"],
        &["connection", "list", "--json"],
        &["runs", "show", &run, "--json"],
        &["audit", "export", "--format", "csv", "--out", "audit.csv"],
        &["explain", "--group", "Jira Engineering", "--json"],
        &["report", "leavers", "--json"],
        &["report", "credentials"],
        &["report", "drift", "--json"],
        &["runs", "undo", &run, "--yes", "--json"],
        &["admin", "alerts", "list", "--json"],
        &["--help"],
    ] {
        let ran = bench.entrain_with(args, trace);
        assert!(matches!(ran.output.status.code(), Some(0 | 3 | 4)), "entrain {}: {}", ran.args, ran.err());
        seen.push(ran);
    }
    for args in [&["admin", "alerts", "test"][..], &["admin", "alerts", "test", "--json"]] {
        seen.push(bench.entrain_with(args, trace).expect(1));
    }
    assert!(!bench.emulator.state().catcher.mails().is_empty(), "a letter went out");
    // New rules are held against what is stored, with the secrets of both
    let wider = bench.file("wider.toml", &document.replace("\"Jira *\"", "\"*\""));
    seen.push(bench.entrain_with(&["connection", "set", wider.to_str().unwrap(), "--json"], trace).expect(0));
    std::fs::remove_file(&wider).unwrap();
    // A document that is refused, with the secret where it does not belong
    let bad = document.replace("[scope]\n", &format!("[scope]\nusers = \"{key}\"\n{key} = 1\n"));
    let bad = bench.file("bad.toml", &bad);
    seen.push(bench.entrain_with(&["plan", "--connection-file", bad.to_str().unwrap()], trace).expect(2));
    std::fs::remove_file(&bad).unwrap();

    // The key that the person put in place of a key's name is theirs to see; values never are
    let shown = |ran: &support::Ran| (ran.out() + &ran.err()).replace(&format!("scope.{key}"), "");
    for ran in &seen {
        for canary in canaries {
            assert!(!shown(ran).contains(canary), "entrain {} shows {canary}", ran.args);
        }
    }
    let mut files = Vec::new();
    everything_in(bench.folder.path(), &mut files);
    assert!(files.iter().any(|(name, _)| name.ends_with("entrain.db")));
    for (name, bytes) in &files {
        for canary in canaries {
            assert!(!bytes.windows(canary.len()).any(|w| w == canary.as_bytes()), "{name} holds {canary}");
        }
    }
}

#[test]
fn s_01_help_shows_no_value_of_the_environment() {
    let bench = Bench::demo();
    let url = "postgres://entrain:canary-password@db.example/entrain";
    for args in [&["--help"][..], &["sync", "--help"], &["man"]] {
        let help = bench.entrain_with(args, &[("ENTRAIN_DATABASE_URL", url)]).expect(0);
        assert!(!(help.out() + &help.err()).contains("canary"), "{}", help.out());
    }
}
