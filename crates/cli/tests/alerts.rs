//! Alerts through the real binary: each concern over each channel, against catchers of e-mail and posts.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrain_emulator::Options;
use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::settings::{MailCertificate, MailSettings, MailTls};
use jiff::Timestamp;
use serde_json::Value;
use support::{Bench, Ran, command};

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PASSWORD: &str = "canary-of-the-mail-server";
const CHANNELS: [&str; 4] = ["mail", "hook", "slack", "teams"];

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves with its log in a file.
fn serve(bench: &Bench) -> (Served, String) {
    let log = std::fs::File::create(bench.folder.path().join("serve.log")).unwrap();
    let mut child = command(bench.folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])
        .env("ENTRAIN_LOG", "trace")
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    (Served(child), ready["url"].as_str().unwrap().to_owned())
}

/// The document with a channel of each kind, all of them to the emulator.
fn document(bench: &Bench, scope: &str) -> String {
    let company = bench.company();
    let (hooks, port) = (&company.hook_url, company.mail_port);
    format!(
        "{}\n[notify]\nper_hour = 60\n\
         [notify.channels.mail]\nkind = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n\
         user = \"entrain\"\npassword = \"{PASSWORD}\"\nfrom = \"Entrain <entrain@acme.example>\"\n\
         to = [\"it@acme.example\", \"on-call@acme.example\"]\n\
         [notify.channels.hook]\nkind = \"webhook\"\nurl = \"{hooks}/canary-hook\"\nsecret = \"{SIGNING}\"\n\
         [notify.channels.slack]\nkind = \"slack\"\nurl = \"{hooks}/canary-slack\"\n\
         [notify.channels.teams]\nkind = \"teams\"\nurl = \"{hooks}/canary-teams?sig=canary-query\"\n",
        bench.document(scope)
    )
}

fn add(bench: &Bench, document: &str) {
    let path = bench.file("connection.toml", document);
    bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    std::fs::remove_file(path).unwrap();
}

/// The text of a message with quoted-printable and base64 taken off, part by part.
fn readable(data: &str) -> String {
    let mut text = String::new();
    for part in data.split("\r\n--") {
        let Some((head, body)) = part.split_once("\r\n\r\n") else { continue };
        text.push_str(head);
        text.push('\n');
        if head.contains("base64") {
            let joined: String = body.split_whitespace().collect();
            text.push_str(&String::from_utf8_lossy(&STANDARD.decode(joined).unwrap()));
        } else if head.contains("quoted-printable") {
            let (body, mut bytes) = (body.replace("=\r\n", ""), Vec::new());
            let mut rest = body.as_bytes();
            while let [first, more @ ..] = rest {
                let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'=') {
                    Some(byte) => (bytes.push(byte), rest = &more[2..]).1,
                    None => (bytes.push(*first), rest = more).1,
                }
            }
            text.push_str(&String::from_utf8_lossy(&bytes));
        } else {
            text.push_str(body);
        }
    }
    text
}

/// Everything that arrived, by channel, as text.
fn arrived(bench: &Bench) -> BTreeMap<&'static str, Vec<String>> {
    let catcher = &bench.emulator.state().catcher;
    let mut by: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    by.insert("mail", catcher.mails().iter().map(|mail| readable(&mail.data)).collect());
    for name in ["hook", "slack", "teams"] {
        let hooks = catcher.hooks().into_iter().filter(|hook| hook.path.contains(&format!("canary-{name}")));
        by.insert(name, hooks.map(|hook| hook.body).collect());
    }
    by
}

#[track_caller]
fn within<T>(time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let at = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(at.elapsed() < time, "{what}: not within {time:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until each channel has said this.
#[track_caller]
fn all_say(bench: &Bench, words: &str) {
    for channel in CHANNELS {
        within(
            Duration::from_mins(1),
            &format!("{channel} says “{words}”: {:?}", arrived(bench)),
            || arrived(bench)[channel].iter().any(|text| text.contains(words)).then_some(()),
        );
    }
}

fn refusing(surface: Surface, method: &str, path: &str) -> Fault {
    Fault {
        surface: Some(surface),
        method: Some(method.into()),
        path: Some(path.into()),
        ..Fault::new(FaultKind::Status { status: 403, headers: BTreeMap::new(), body: None })
    }
}

fn run(bench: &Bench) -> Ran {
    bench.entrain(&["sync", "--json"])
}

/// A company in which nothing can be done for most of the people.
fn sick() -> Bench {
    let bench = Bench::of(Options::of(60, 4));
    let refused = refusing(Surface::Site, "POST", "/rest/api/3/group/user*");
    let refused =
        Fault { kind: FaultKind::Status { status: 400, headers: BTreeMap::new(), body: None }, ..refused };
    bench.emulator.state().faults.add(refused).unwrap();
    bench
}

#[test]
fn each_concern_is_told_over_each_channel_and_its_end_as_well() {
    let bench = Bench::demo();
    // S-04: a secret that ends in ten days
    #[expect(clippy::disallowed_methods, reason = "the binary under test goes by the clock of the host")]
    let day = Timestamp::now()
        .checked_add(jiff::SignedDuration::from_hours(240))
        .unwrap()
        .strftime("%F")
        .to_string();
    let document = document(&bench, "\"*\"")
        .replace("[site]\n", &format!("client_secret_expires = \"{day}\"\n\n[site]\n"));
    add(&bench, &document);
    let (_served, url) = serve(&bench);
    all_say(&bench, &format!("ends on {day}"));

    // Held: groups of the site that bear the names already
    let held = run(&bench).expect(3).json();
    all_say(&bench, "waits for approval");
    let id = held["run_id"].as_str().unwrap();
    all_say(&bench, &format!("{url}/runs/{id}"));

    // Failed, and failed again
    bench.emulator.state().faults.add(refusing(Surface::Graph, "GET", "*")).unwrap();
    run(&bench).expect(1);
    all_say(&bench, "the last run failed");
    run(&bench).expect(1);
    run(&bench).expect(1);
    all_say(&bench, "the last 3 runs failed");

    // Over
    bench.emulator.state().faults.clear();
    bench.emulator.state().catcher.clear();
    let ended = bench.entrain(&["sync", "--yes", "--json"]).json();
    assert_ne!(ended["status"], "failed", "{ended}");
    for channel in CHANNELS {
        within(Duration::from_mins(1), &format!("{channel} says that it is over"), || {
            let said = arrived(&bench);
            said[channel].iter().any(|text| text.contains("Over") || text.contains("\"over\"")).then_some(())
        });
    }
    let figures = bench
        .runtime
        .block_on(async { reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap() });
    assert!(
        figures.contains(
            "entrain_alert_letters_total{connection=\"Azure AD\",channel=\"mail\",outcome=\"sent\"}"
        ),
        "{figures}"
    );
    assert!(
        figures.contains("entrain_alerts_open{connection=\"Azure AD\",severity=\"notice\"} 1"),
        "{figures}"
    );

    // S-01: no secret of a channel in any log, message or output
    let log = std::fs::read_to_string(bench.folder.path().join("serve.log")).unwrap();
    assert!(log.contains("people were told"), "{log}");
    let listed = bench.entrain(&["admin", "alerts", "list", "--all", "--json"]).expect(0);
    let exported = bench.entrain(&["connection", "export", "Azure AD"]).expect(0);
    let said: String = arrived(&bench).into_values().flatten().collect();
    for text in [&log, &listed.out(), &listed.err(), &exported.out(), &said] {
        for canary in ["canary-", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &bench.company().client_secret] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

#[test]
fn quarantine_is_told_over_each_channel_and_a_webhook_is_signed_and_a_mail_is_well_formed() {
    let bench = sick();
    add(&bench, &document(&bench, "\"*\""));
    let sick = bench.entrain(&["sync", "--yes", "--json"]).json();
    assert!(sick["quarantine"].is_string(), "{sick}");
    let (_served, _) = serve(&bench);
    all_say(&bench, "is in quarantine");

    let hook =
        bench.emulator.state().catcher.hooks().into_iter().find(|h| h.path.contains("canary-hook")).unwrap();
    let header = |name: &str| hook.headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), hook.body);
    assert_eq!(header("webhook-signature"), format!("v1,{}", hmac_sha256(SIGNING, signed.as_bytes())));
    let body: Value = serde_json::from_str(&hook.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["severity"]), (&"entrain.alert".into(), &"critical".into()));

    let mail = bench.emulator.state().catcher.mails().remove(0);
    assert_eq!(mail.user.as_deref(), Some("entrain"));
    assert_eq!((mail.from.as_str(), mail.to.len()), ("entrain@acme.example", 2));
    assert!(mail.data.contains("Auto-Submitted: auto-generated"), "{}", mail.data);
    let (plain, html) = (mail.data.find("text/plain").unwrap(), mail.data.find("text/html").unwrap());
    assert!(plain < html, "the text goes first");
    let teams = arrived(&bench)["teams"][0].clone();
    let card: Value = serde_json::from_str(&teams).unwrap();
    assert_eq!(card["attachments"][0]["content"]["type"], "AdaptiveCard");
}

/// HMAC-SHA256 by `openssl`, which shares no code with ours.
fn hmac_sha256(secret: &str, message: &[u8]) -> String {
    use std::io::Write as _;
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let hex = key.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut openssl = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("hexkey:{hex}"), "-binary"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(message).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    STANDARD.encode(output.stdout)
}

#[test]
fn a_test_tries_each_channel_by_itself_and_names_the_one_that_is_broken() {
    let bench = Bench::demo();
    let broken = document(&bench, "\"Jira *\"")
        .replace("/canary-slack", "/404/canary-slack")
        .replace(PASSWORD, "wrong");
    add(&bench, &broken);
    let tried = bench.entrain(&["admin", "alerts", "test", "--json"]).expect(1).json();
    let by: BTreeMap<&str, &Value> = tried["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["channel"].as_str().unwrap(), row))
        .collect();
    assert_eq!((&by["hook"]["outcome"], &by["teams"]["outcome"]), (&"sent".into(), &"sent".into()));
    let why = |channel: &str| by[channel]["error"].as_str().unwrap().to_owned();
    assert!(why("slack").contains("404"), "{tried}");
    assert!(why("mail").contains("refuses user and password"), "{tried}");
    assert!(!tried.to_string().contains("canary"), "{tried}");
    let said = arrived(&bench);
    assert!(
        said["hook"][0].contains("entrain.test") && said["teams"][0].contains("this is a test"),
        "{said:?}"
    );

    let one = bench.entrain(&["admin", "alerts", "test", "--channel", "teams"]).expect(0);
    assert!(one.out().contains("sent") && one.out().contains("teams"), "{}", one.out());
    let unknown = bench.entrain(&["admin", "alerts", "test", "--channel", "fax", "--json"]).expect(1).json();
    assert!(unknown["error"]["remedy"].as_str().unwrap().contains("slack"), "{unknown}");
}

#[test]
fn s_01_mail_goes_over_tls_or_not_at_all_and_the_password_never_in_the_clear() {
    let bench = Bench::demo();
    let authority = bench.file("ca.pem", &entrain_emulator::catcher::authority_pem());
    let trusted = format!("[network]\nca_file = \"{}\"\n", authority.display());
    let written = |tls: &str, network: &str| {
        let document = document(&bench, "\"Jira *\"");
        format!("{}{network}", document.replace("tls = \"none\"", &format!("tls = \"{tls}\"")))
    };
    add(&bench, &written("starttls", &trusted));
    let catcher = &bench.emulator.state().catcher;
    let send = |server: MailTls, certificate: MailCertificate, client: &str, network: &str| {
        let mut settings = (*bench.emulator.state().settings()).clone();
        settings.mail = MailSettings { tls: server, certificate };
        bench.emulator.state().set_settings(settings);
        let path = bench.file("connection.toml", &written(client, network));
        bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
        catcher.clear();
        let tried = bench.entrain(&["admin", "alerts", "test", "--channel", "mail", "--json"]).json();
        let row = tried["channels"][0].clone();
        assert_eq!(row["channel"], "mail", "{tried}");
        // Whatever came of it: who signs in says so under TLS only
        let clear = catcher.said_in_clear();
        let known = |line: &String| {
            let line = line.to_ascii_uppercase();
            // Who speaks TLS to a server that does not has said nothing but that
            let hello = client == "implicit" && !line.contains("AUTH");
            hello || ["EHLO", "STARTTLS", "QUIT"].iter().any(|word| line.starts_with(word))
        };
        assert!(clear.iter().all(known), "{server:?} {client}: {clear:?}");
        assert!(!format!("{clear:?}").contains(PASSWORD));
        row
    };
    for (server, client, clear) in
        [(MailTls::Starttls, "starttls", "STARTTLS"), (MailTls::Implicit, "implicit", "")]
    {
        let row = send(server, MailCertificate::Good, client, &trusted);
        assert_eq!(row["outcome"], "sent", "{row}");
        let [mail] = &catcher.mails()[..] else { panic!("{:?}", catcher.mails()) };
        assert!(mail.tls, "{client}");
        assert_eq!(mail.user.as_deref(), Some("entrain"));
        assert_eq!(catcher.said_in_clear().last().map_or("", String::as_str), clear);
    }

    let refused = [
        // The server, or somebody on the way to it, offers no TLS, and a sign-in in the clear
        (MailTls::None, MailCertificate::Good, "starttls", &*trusted, "TLS"),
        (MailTls::Starttls, MailCertificate::OtherName, "starttls", &trusted, "certificate"),
        (MailTls::Starttls, MailCertificate::Good, "starttls", "", "certificate"),
        (MailTls::Implicit, MailCertificate::OtherName, "implicit", &trusted, "certificate"),
        (MailTls::Implicit, MailCertificate::Good, "implicit", "", "certificate"),
        (MailTls::None, MailCertificate::Good, "implicit", &trusted, ""),
    ];
    for (server, certificate, client, network, why) in refused {
        let row = send(server, certificate, client, network);
        let said =
            row["error"].as_str().unwrap_or_else(|| panic!("{server:?} {certificate:?} {client}: {row}"));
        assert!(said.contains(why), "{server:?} {certificate:?} {client}: {said}");
        assert!(!said.contains("canary"), "{said}");
        assert!(catcher.mails().is_empty(), "{server:?} {certificate:?} {client}");
    }
}

#[test]
fn an_alert_is_acknowledged_by_command_with_a_note_and_the_audit_log_says_so() {
    let bench = Bench::demo();
    add(&bench, &document(&bench, "\"*\""));
    run(&bench).expect(3);
    let (_served, _) = serve(&bench);
    all_say(&bench, "waits for approval");
    let list = |all: &[&str]| {
        bench.entrain(&[&["admin", "alerts", "list", "--json"], all].concat()).expect(0).json()
    };
    let open = list(&[]);
    let held = open.as_array().unwrap().iter().find(|alert| alert["kind"] == "held").unwrap();
    let id = held["id"].as_str().unwrap();
    all_say(&bench, id);
    let taken = bench
        .entrain(&["admin", "alerts", "ack", id, "--note", "Ana looks at it", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&taken["state"], &taken["acknowledged"]["note"]),
        (&"acknowledged".into(), &"Ana looks at it".into())
    );
    let audit = bench.entrain(&["audit", "list", "--json"]).expect(0).json();
    let entry = audit.as_array().unwrap().iter().find(|e| e["action"] == "alert_acknowledged").unwrap();
    assert!(entry["detail"].as_str().unwrap().contains("Ana looks at it"), "{entry}");
    bench.entrain(&["audit", "verify"]).expect(0);
    let unknown = bench.entrain(&["admin", "alerts", "ack", "0000", "--json"]).expect(1).json();
    assert_eq!(unknown["error"]["code"], "object_unknown");
}

#[test]
fn h_01_names_of_groups_add_no_header_and_no_mention() {
    let evil = "x\r\nBcc: evil@evil.example\r\n\r\n<!channel> [a](https://evil.example) <b>";
    let bench = Bench::demo();
    let named = document(&bench, "\"*\"")
        .replace("\"Azure AD\"", "\"Azure <!channel> <b>AD</b> & [a](https://evil.example)\"");
    add(&bench, &named);
    bench.entrain(&["admin", "alerts", "test"]).expect(0);
    let state = bench.emulator.state();
    let slack: Value = serde_json::from_str(&arrived(&bench)["slack"][0]).unwrap();
    assert!(!slack["text"].as_str().unwrap().contains("<!channel>"), "{slack}");
    let html = arrived(&bench)["mail"][0].split("text/html").nth(1).unwrap().to_owned();
    assert!(!html.contains("<b>AD") && html.contains("&lt;b&gt;AD"), "{html}");
    state.catcher.clear();

    // A person at the keyboard with such a name: it stands in the test
    bench.entrain_with(&["admin", "alerts", "test"], &[("USER", evil)]).expect(0);
    let mail = state.catcher.mails().remove(0);
    let head = mail.data.split("\r\n\r\n").next().unwrap();
    assert!(!head.contains("Bcc"), "{head}");
    assert_eq!(mail.to, ["it@acme.example", "on-call@acme.example"]);
    let slack = arrived(&bench)["slack"][0].clone();
    assert!(!slack.contains("<!channel>"), "{slack}");
    let card: Value = serde_json::from_str(&arrived(&bench)["teams"][0]).unwrap();
    let blocks = card["attachments"][0]["content"]["body"].to_string();
    assert!(!blocks.contains("\"TextBlock\""), "texts of a card are runs, which know no Markdown: {blocks}");
}

#[test]
fn o_03_channels_that_cannot_be_are_refused_with_key_and_line_and_without_the_secret() {
    let bench = Bench::demo();
    let refused = |section: &str| {
        let path = bench.file("bad.toml", &format!("{}\n{section}", bench.document("\"Jira *\"")));
        let ran = bench.entrain(&["connection", "add", path.to_str().unwrap(), "--json"]).expect(2);
        assert!(!ran.out().contains("canary") && !ran.err().contains("canary"), "{}", ran.out());
        ran.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    let hook = |url: &str| refused(&format!("[notify.channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\n"));
    for url in [
        "http://hooks.example/canary",
        "https://169.254.169.254/canary",
        "https://10.0.0.7/canary",
        "https://[fd00::1]/canary",
        "https://user:canary@hooks.example/x",
        "canary",
    ] {
        let message = hook(url);
        assert!(message.contains("line 20: notify.channels.hook.url"), "{url}: {message}");
    }
    let secret = refused(
        "[notify.channels.hook]\nkind = \"webhook\"\nurl = \"https://a.example\"\nsecret = \"canary\"\n",
    );
    assert!(secret.contains("notify.channels.hook.secret"), "{secret}");
    for (section, key) in [
        ("[notify.channels.a]\nkind = \"fax\"\n", "line 19: notify.channels.a.kind"),
        ("[notify.channels.a]\nkind = \"slack\"\n", "notify.channels.a.url is missing"),
        ("[notify.channels.a]\nkind = \"email\"\n", "notify.channels.a.host is missing"),
        (
            "[notify.channels.\"A.b\"]\nkind = \"slack\"\nurl = \"https://a.example\"\n",
            "not the name of a channel",
        ),
        ("[notify]\nrepeat_every = \"1s\"\n", "notify.repeat_every is too short"),
        ("[notify]\nabout = [\"everything\"]\n", "line 19: notify.about[0]"),
        ("[notify]\nper_hour = 0\n", "notify.per_hour is out of range"),
        (
            "[notify.channels.a]\nkind = \"email\"\nhost = \"mail.example\"\ntls = \"none\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n",
            "line 21: notify.channels.a.tls",
        ),
        (
            "[notify.channels.a]\nkind = \"email\"\nhost = \"10.0.0.9\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n",
            "notify.channels.a.host",
        ),
        (
            "[notify.channels.a]\nkind = \"email\"\nhost = \"mail.example\"\nfrom = \"a@b.example\\r\\nBcc: x@y.example\"\nto = [\"nobody\"]\n",
            "notify.channels.a.from",
        ),
    ] {
        let message = refused(section);
        assert!(message.contains(key), "{section}: {message}");
    }
}
