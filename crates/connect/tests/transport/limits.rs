//! O-05: answers that never end are cut. P-8: what may go side by side does.

use std::sync::Arc;
use std::time::Duration;

use entrain_connect::Error;
use entrain_connect::http::{Authorization, Call, Http, Plane, Repeat, Target};
use entrain_domain::FailureCode;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::server::{Act, Server, answer};
use crate::{environment, options};

fn small(address: &str) -> Http {
    let mut options = options(address, Plane::Site, &environment());
    options.body_limit = 64 * 1024;
    Http::new(options).unwrap()
}

fn read() -> Call {
    Call::get("/things", Target::new("/things"))
}

/// A gzip file of so many MiB of zeros, made of one MiB member after the other, without a compressor at hand: stored
/// blocks would not be a bomb, so this one repeats a byte with the fixed Huffman code.
fn bomb() -> Vec<u8> {
    struct Bits(Vec<u8>, u32);
    impl Bits {
        fn put(&mut self, value: u32, count: u32) {
            for i in 0..count {
                if self.1.is_multiple_of(8) {
                    self.0.push(0);
                }
                *self.0.last_mut().unwrap() |= (((value >> i) & 1) as u8) << (self.1 % 8);
                self.1 += 1;
            }
        }
    }
    let mut bits = Bits(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], 0);
    bits.put(0b011, 3);
    // The literal 0 is 00110000, most significant bit first.
    bits.put(0b0000_1100, 8);
    for _ in 0..40_000 {
        // Length 258 is symbol 285 (11000101, most significant bit first), distance 1 is 00000.
        bits.put(0b1010_0011, 8);
        bits.put(0, 5);
    }
    bits.put(0, 7);
    bits.0.extend([0; 8]);
    bits.0
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut_however_it_comes() {
    let head = |extra: &str| format!("HTTP/1.1 200 OK\r\n{extra}\r\n").into_bytes();
    let piece = [b"10000\r\n".to_vec(), b"[".repeat(0x10000), b"\r\n".to_vec()].concat();
    let acts = [
        ("announced", Act::Say(head("content-length: 10737418240\r\n"))),
        ("chunked without end", Act::Endless(head("transfer-encoding: chunked\r\n"), piece)),
        ("until it closes, never closing", Act::Endless(head(""), b" ".repeat(65536))),
        ("gzip bomb", answer(200, &[("content-encoding", "gzip")], &bomb())),
    ];
    for (name, act) in acts {
        let server = Server::playing(vec![act.clone()]).await;
        let error = small(&server.address).send(read(), &Authorization::none()).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 65536, .. }), "{name}: {error}");
        assert_eq!(error.failure().code, FailureCode::AnswerTooLarge);
        assert_eq!(server.requests().len(), 1, "{name}");
        // A write may have been done all the same.
        let write = Call::post("/things", Target::new("/things"), serde_json::json!({}), Repeat::Never);
        let error = small(&server.address).send(write, &Authorization::none()).await.unwrap_err();
        assert!(matches!(error, Error::Unclear { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn headers_without_end_are_cut() {
    let act = Act::Endless(
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        b"x-a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(100),
    );
    let server = Server::playing(vec![act]).await;
    let error = small(&server.address).send(read(), &Authorization::none()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_body_within_the_limit_is_read_whole() {
    let body = format!("[{}1]", "1,".repeat(20_000));
    let server = Server::playing(vec![answer(200, &[], body.as_bytes())]).await;
    let found = small(&server.address).send(read(), &Authorization::none()).await.unwrap();
    assert_eq!(found.json::<Vec<u8>>().unwrap().len(), 20_001);
}

/// 100 people who sign in at once ask the site for an account and its groups each. A server that answers nobody before
/// all have asked stands still when the client lets fewer go.
#[tokio::test]
async fn p_8_two_hundred_calls_wait_for_the_site_and_not_for_each_other() {
    let Act::Say(fine) = answer(200, &[], b"[]") else { unreachable!("an answer is said") };
    let server = Server::playing(vec![Act::Meet(Arc::new(Barrier::new(200)), fine)]).await;
    let http = Http::new(options(&server.address, Plane::Site, &environment())).unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        for endpoint in ["/account", "/groups"] {
            let http = http.clone();
            calls.spawn(async move {
                http.send(Call::get(endpoint, Target::new(endpoint)), &Authorization::none()).await
            });
        }
    }
    let all = tokio::time::timeout(Duration::from_secs(15), calls.join_all()).await;
    let all = all.expect("some calls are not sent before others are answered");
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(server.requests().len(), 200);
}
