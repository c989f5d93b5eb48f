//! N-01 to N-04: what is tried again, when, and what never is.

use std::time::Duration;

use entrain_connect::Error;
use entrain_connect::http::{Authorization, Call, Http, Patience, Plane, Repeat, Target};
use entrain_domain::{FailureClass, FailureCode};
use serde_json::json;

use crate::server::{Act, Server, answer};
use crate::{client, environment, options};

fn read() -> Call {
    Call::get("/things", Target::new("/things"))
}

fn invitation() -> Call {
    Call::post("/things", Target::new("/things"), json!({"a": 1}), Repeat::Never).about("ana@example.com")
}

/// N-01
#[tokio::test]
async fn a_429_waits_what_is_asked_for_up_to_a_cap_and_then_reports() {
    let cases: [(Option<&str>, Option<u64>); 10] = [
        (Some("0"), Some(0)),
        (Some("1"), Some(1)),
        (Some("2.128"), Some(2)),
        (Some("Mon, 23 Nov 2026 10:00:09 GMT"), Some(9)),
        (None, Some(0)),
        (Some("-3"), Some(0)),
        (Some("soon"), Some(0)),
        (Some("119"), Some(119)),
        (Some("3600"), None),
        (Some("1000000000"), None),
    ];
    for call in [read(), invitation()] {
        for (asked, expected) in cases {
            let headers: Vec<_> = asked.iter().map(|value| ("retry-after", *value)).collect();
            let server = Server::playing(vec![answer(429, &headers, b"{}"), answer(200, &[], b"{}")]).await;
            let (http, environment) = client(&server.address, Plane::Site);
            let result = http.send(call.clone(), &Authorization::none()).await;
            if let Some(seconds) = expected {
                assert_eq!(result.unwrap().attempts, 2, "{asked:?}");
                let slept: Duration = environment.sleeps().iter().sum();
                assert!(slept >= Duration::from_secs(seconds), "{asked:?}: {slept:?}");
                assert!(slept <= Duration::from_secs(seconds + 5), "{asked:?}: {slept:?}");
            } else {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Throttled { .. }), "{asked:?}: {error}");
                assert_eq!(error.failure().code, FailureCode::SiteThrottled);
                assert_eq!(server.requests().len(), 1, "{asked:?}");
                // What could be foreseen is not sent.
                assert!(http.send(call.clone(), &Authorization::none()).await.is_err());
                assert_eq!(server.requests().len(), 1, "{asked:?}");
            }
            assert_eq!(http.requests().throttled, 1);
        }
    }
}

/// N-01
#[tokio::test]
async fn a_429_without_end_is_given_up_within_the_bounds() {
    for value in ["0", "20"] {
        let server = Server::playing(vec![answer(429, &[("retry-after", value)], b"")]).await;
        let (http, environment) = client(&server.address, Plane::Directory);
        let error = http.send(read(), &Authorization::none()).await.unwrap_err();
        assert!(matches!(error, Error::Throttled { .. }), "{error}");
        assert!(server.requests().len() <= 16, "{}", server.requests().len());
        assert!(environment.sleeps().iter().sum::<Duration>() <= Duration::from_mins(7));
    }
}

#[tokio::test]
async fn n_02_a_quota_costs_one_request_and_tells_when_to_go_on() {
    let headers = [
        ("retry-after", "60"),
        ("ratelimit-reason", "jira-quota-tenant-based"),
        ("x-ratelimit-reset", "2026-11-23T10:30:00Z"),
    ];
    let server = Server::playing(vec![answer(429, &headers, b"{}")]).await;
    let (http, environment) = client(&server.address, Plane::Site);
    let error = http.send(read(), &Authorization::none()).await.unwrap_err();
    let failure = error.failure();
    let Error::Quota { resume_at, quota, .. } = error else { panic!("another error") };
    assert_eq!(quota, "jira-quota-tenant-based");
    assert!(resume_at >= "2026-11-23T10:30:00Z".parse().unwrap(), "{resume_at}");
    assert!(resume_at <= "2026-11-23T10:30:01Z".parse().unwrap(), "{resume_at}");
    assert_eq!((failure.code, failure.resume_at), (FailureCode::SiteThrottled, Some(resume_at)));
    assert!(failure.ends_the_run() && failure.remedy.contains(&resume_at.to_string()), "{failure:?}");
    for call in [read(), Call::get("/others", Target::new("/others")), invitation()] {
        assert!(matches!(http.send(call, &Authorization::none()).await, Err(Error::Quota { .. })));
    }
    assert_eq!(server.requests().len(), 1);
    assert!(environment.sleeps().is_empty());
}

fn ambiguous() -> Vec<(&'static str, Act)> {
    vec![
        ("500", answer(500, &[], b"oops")),
        ("502", answer(502, &[], b"<html>")),
        ("503", answer(503, &[("retry-after", "1")], b"")),
        ("504", answer(504, &[], b"")),
        ("408", answer(408, &[], b"")),
        ("closed before the answer", Act::Say(Vec::new())),
        ("closed in the head", Act::Say(b"HTTP/1.1 200 OK\r\ncont".to_vec())),
        (
            "closed in the body",
            Act::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"value\":[".to_vec()),
        ),
        (
            "closed in a chunk",
            Act::Say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n{\"value\"".to_vec()),
        ),
        ("not HTTP", Act::Say(b"220 mail ready\r\n".to_vec())),
        ("stall after the head", Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec())),
        ("stall in the body", Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[1".to_vec())),
        ("stall before the answer", Act::Stall(Vec::new())),
    ]
}

fn hasty(address: &str) -> Http {
    let mut options = options(address, Plane::Site, &environment());
    options.patience.read = Duration::from_millis(150);
    Http::new(options).unwrap()
}

/// N-03
#[tokio::test]
async fn a_read_gives_the_same_after_a_fault_as_without() {
    for (name, act) in ambiguous() {
        let server = Server::playing(vec![act.clone(), act, answer(200, &[], b"[1,2]")]).await;
        let found = hasty(&server.address).send(read(), &Authorization::none()).await.unwrap();
        assert_eq!((found.json::<Vec<u8>>().unwrap(), found.attempts), (vec![1, 2], 3), "{name}");
        assert_eq!(server.requests().len(), 3, "{name}");
    }
}

/// N-03
#[tokio::test]
async fn a_read_that_never_succeeds_ends_after_five_attempts() {
    for (name, act) in ambiguous() {
        let server = Server::playing(vec![act]).await;
        let http = hasty(&server.address);
        match http.send(read(), &Authorization::none()).await {
            Ok(found) => assert_eq!(found.unexpected().failure().class, FailureClass::Transient, "{name}"),
            Err(error) => {
                assert!(matches!(error, Error::Unreachable { attempts: 5, .. }), "{name}: {error}");
                assert_eq!(error.failure().code, FailureCode::SiteUnavailable);
            }
        }
        assert_eq!((server.requests().len(), http.requests().site), (5, 5), "{name}");
    }
}

/// N-04
#[tokio::test]
async fn a_write_that_may_have_been_done_is_sent_once_and_called_unclear() {
    for (name, act) in ambiguous() {
        let server = Server::playing(vec![act, answer(200, &[], b"{}")]).await;
        let error = hasty(&server.address).send(invitation(), &Authorization::none()).await.unwrap_err();
        assert!(matches!(error, Error::Unclear { .. }), "{name}: {error}");
        let failure = error.failure();
        assert_eq!((failure.code, failure.class), (FailureCode::WriteUnclear, FailureClass::Unclear));
        assert_eq!(failure.object.as_deref(), Some("ana@example.com"));
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}

/// N-03
#[tokio::test]
async fn a_refused_connection_is_tried_again_even_for_writes() {
    let server = Server::playing(vec![answer(200, &[], b"{}")]).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    drop(server);
    for call in [read(), invitation()] {
        let (http, _) = client(&closed, Plane::Directory);
        let error = http.send(call, &Authorization::none()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { attempts: 5, .. }), "{error}");
        assert_eq!(error.failure().code, FailureCode::DirectoryUnavailable);
    }
}

/// N-01: one limit slows everybody who meets it, once
#[tokio::test]
async fn callers_that_meet_a_limit_together_wait_together() {
    let mut acts = vec![answer(200, &[], b"1"); 10];
    acts.extend(vec![answer(429, &[("retry-after", "3")], b""); 4]);
    acts.push(answer(200, &[], b"1"));
    let server = Server::playing(acts).await;
    let (http, environment) = client(&server.address, Plane::Site);
    let nobody = Authorization::none();
    let calls = (0..40).map(|_| http.send(read(), &nobody));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.unwrap().status, 200);
    }
    assert_eq!(server.requests().len(), 44);
    assert_eq!(http.requests().throttled, 4);
    assert!(environment.sleeps().iter().any(|slept| *slept >= Duration::from_secs(3)));
}

/// N-01: an endpoint that is out of order and says for how long is left alone by everybody until then.
#[tokio::test]
async fn who_is_told_that_an_endpoint_is_out_of_order_tells_the_others() {
    for (asked, at_least) in [("3", 3), ("100000", Patience::default().pause.as_secs())] {
        let server =
            Server::playing(vec![answer(503, &[("retry-after", asked)], b""), answer(200, &[], b"1")]).await;
        let environment = environment();
        let mut options = options(&server.address, Plane::Site, &environment);
        options.patience.attempts = 1;
        let http = Http::new(options).unwrap();
        let nobody = Authorization::none();
        assert_eq!(http.send(read(), &nobody).await.unwrap().status, 503);
        assert!(environment.sleeps().is_empty(), "it is not tried again by the one who was told");
        assert_eq!(http.send(read(), &nobody).await.unwrap().status, 200);
        assert_eq!(environment.sleeps(), [Duration::from_secs(at_least)], "{asked}");
    }
}
