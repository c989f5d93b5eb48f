//! Traces by OTLP, through the real binary to a tiny collector: the run, its phases, its requests, and no secret.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use support::Bench;

type Received = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Takes every POST and answers 200; says what came, by path.
fn collector() -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let received = Received::default();
    let kept = received.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, kept) = (stream.unwrap(), kept.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let (mut first, mut length) = (String::new(), 0);
                    if reader.read_line(&mut first).unwrap_or(0) == 0 {
                        return;
                    }
                    loop {
                        let mut line = String::new();
                        reader.read_line(&mut line).unwrap();
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        if line.trim().is_empty() {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    kept.lock().unwrap().push((first.split(' ').nth(1).unwrap().to_owned(), body));
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (address, received)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_run_is_traced_with_phases_and_requests_and_without_secrets_only_when_asked() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let (address, received) = collector();
    let token = "Authorization=Bearer%20canary-of-the-collector";
    let traced = &[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", token),
        ("ENTRAIN_LOG", "trace"),
    ];
    let ran = bench.entrain_with(&["sync", "--json"], traced).expect(0);
    let run = ran.json()["run_id"].as_str().unwrap().to_owned();
    let all = received.lock().unwrap().clone();
    assert!(!all.is_empty() && all.iter().all(|(path, _)| path == "/v1/traces"), "{} exports", all.len());
    let bytes: Vec<u8> = all.into_iter().flat_map(|(_, body)| body).collect();
    for told in [
        "service.name",
        "entrain",
        "run",
        "read",
        "plan",
        "apply",
        "verify",
        &run,
        "Azure AD",
        "url.template",
        "/users",
    ] {
        assert!(holds(&bytes, told), "{told} is not in the traces");
    }
    let company = bench.company();
    for secret in [company.client_secret.as_str(), &company.api_token, "canary-of", "$select", "startAt"] {
        assert!(!holds(&bytes, secret), "{secret} is in the traces");
        assert!(
            !ran.err().contains(secret) || secret.starts_with('$') || secret == "startAt",
            "{secret} is in the log"
        );
    }

    received.lock().unwrap().clear();
    for off in [&[][..], &[("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("OTEL_SDK_DISABLED", "true")]]
    {
        bench.entrain_with(&["sync"], off).expect(0);
    }
    assert!(received.lock().unwrap().is_empty());
}

#[test]
fn a_collector_that_is_not_there_changes_nothing_about_a_run() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{gone}/?token=canary-of-the-collector");
    let ran =
        bench.entrain_with(&["sync", "--json"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).expect(0);
    assert_eq!(ran.json()["status"], "converged");
    assert!(!ran.err().contains("canary"), "{}", ran.err());
}
