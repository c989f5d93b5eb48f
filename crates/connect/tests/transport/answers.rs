//! N-05: an answer that is not what the API documents fails, and is never read as nothing.

use entrain_connect::Error;
use entrain_connect::http::{Authorization, Call, Plane, Target};
use entrain_domain::FailureCode;
use entrain_domain::model::DirectoryUserId;
use serde::Deserialize;

use crate::client;
use crate::server::{Act, Server, answer};

#[derive(Debug, Deserialize)]
struct Page {
    value: Vec<Thing>,
}

#[derive(Debug, Deserialize)]
struct Thing {
    #[expect(dead_code, reason = "only whether it parses is asked")]
    id: DirectoryUserId,
}

fn corpus() -> Vec<Vec<u8>> {
    let good = br#"{"value":[{"id":"a"},{"id":"b"}]}"#;
    let mut corpus: Vec<Vec<u8>> = [
        "",
        " ",
        "\u{feff}",
        "null",
        "[]",
        "{}",
        "0",
        "\"\"",
        "true",
        "NaN",
        "undefined",
        "<html>sign in</html>",
        "  <!DOCTYPE html><title>Log in</title>",
        r#"{"value":null}"#,
        r#"{"value":{}}"#,
        r#"{"value":"[]"}"#,
        r#"{"value":[null]}"#,
        r#"{"value":[{}]}"#,
        r#"{"value":[{"id":1}]}"#,
        r#"{"value":[{"id":null}]}"#,
        r#"{"value":[{"id":"a","id":"b"}]}"#,
        r#"{"value":[],"value":[]}"#,
        r#"{"Value":[]}"#,
        r#"{"value":[NaN]}"#,
        r#"{"value":[{"id":"a"},]}"#,
        r#"{"value":[]} trailing"#,
        r#"{"value":[]}{"value":[]}"#,
        r#"{"error":{}}"#,
        "{'value':[]}",
        r#"{"value":[{"id":"\ud800"}]}"#,
        "throw 1; {\"value\":[]}",
        ")]}'\n{\"value\":[]}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    corpus.extend((0..good.len()).map(|cut| good[..cut].to_vec()));
    corpus.push(b"{\"value\":[{\"id\":\"\xff\xfe\"}]}".to_vec());
    corpus.push(b"\xff\xfe{\0\"\0v\0".to_vec());
    corpus.push([b"[".repeat(100_000), b"]".repeat(100_000)].concat());
    corpus.push([b"{\"value\":".repeat(100_000), b"1".to_vec(), b"}".repeat(100_000)].concat());
    // One byte of a good answer changed: no flip may turn it into an empty one.
    for at in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x80;
        corpus.push(bytes);
    }
    corpus.extend((0..128_u8).map(|byte| vec![byte; 3]).filter(|bytes| bytes[0] != b'['));
    corpus
}

/// N-05
#[tokio::test]
async fn what_is_not_the_documented_answer_is_never_read_as_empty() {
    let corpus = corpus();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    let acts: Vec<Act> = corpus.iter().map(|body| answer(200, &[], body)).collect();
    let server = Server::playing(acts).await;
    let (http, _) = client(&server.address, Plane::Directory);
    for body in &corpus {
        let found =
            http.send(Call::get("/users", Target::new("/users")), &Authorization::none()).await.unwrap();
        let error = found.json::<Page>().expect_err(&String::from_utf8_lossy(&body[..body.len().min(80)]));
        assert!(matches!(error, Error::Invalid { .. }));
        assert_eq!(error.failure().code, FailureCode::DirectoryAnswerInvalid);
    }
}

/// N-05
#[tokio::test]
async fn a_byte_order_mark_is_dropped() {
    let server = Server::playing(vec![answer(200, &[], "\u{feff}{\"value\":[]}".as_bytes())]).await;
    let (http, _) = client(&server.address, Plane::Directory);
    let found = http.send(Call::get("/users", Target::new("/users")), &Authorization::none()).await.unwrap();
    assert!(found.json::<Page>().unwrap().value.is_empty());
}

/// S-02
#[tokio::test]
async fn an_answer_that_echoes_our_header_is_not_repeated_in_errors() {
    let canary = "canary-5f2e9b";
    let body = format!("Authorization: Bearer {canary}");
    let acts = vec![
        answer(200, &[], body.as_bytes()),
        answer(302, &[("location", &format!("/login?t={canary}"))], body.as_bytes()),
        answer(418, &[], body.as_bytes()),
    ];
    let server = Server::playing(acts).await;
    let (http, _) = client(&server.address, Plane::Site);
    let auth = Authorization::bearer(&canary.to_owned().into());
    let call = || Call::get("/x", Target::new("/x").query("key", canary));
    let mut texts = vec![format!("{auth:?} {http:?}")];
    let error = http.send(call(), &auth).await.unwrap().json::<Page>().unwrap_err();
    texts.push(format!("{error} {error:?} {:?}", error.failure()));
    let error = http.send(call(), &auth).await.unwrap_err();
    texts.push(format!("{error} {error:?} {:?}", error.failure()));
    let error = http.send(call(), &auth).await.unwrap().unexpected();
    texts.push(format!("{error} {error:?} {:?}", error.failure()));
    for text in texts {
        assert!(!text.contains(canary), "{text}");
    }
    assert!(server.requests()[0].contains(canary), "the credential goes where it belongs");
}
