//! The judge finds what is wrong: each altered exchange has exactly the fault that was put into it.

use entrain_emulator::Surface;
use entrain_emulator::tape::Exchange;

use crate::documents;

fn good() -> Exchange {
    Exchange {
        surface: Surface::Site,
        method: "POST".into(),
        path: "/rest/api/3/group/user".into(),
        query: "groupId=1".into(),
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: r#"{"accountId":"a"}"#.into(),
        status: 201,
        content_type: Some("application/json;charset=UTF-8".into()),
        answer: r#"{"name":"g","groupId":null}"#.into(),
    }
}

#[test]
fn a_wrong_request_or_answer_is_found() {
    let Some(documents) = documents() else { return };
    assert_eq!(documents.request(&good()), [""; 0]);
    assert_eq!(documents.answer(&good()), [""; 0]);

    let graph = |query: &str| Exchange {
        surface: Surface::Graph,
        method: "GET".into(),
        path: "/v1.0/users".into(),
        query: query.into(),
        body: "".into(),
        ..good()
    };
    for (exchange, word) in [
        (Exchange { path: "/rest/api/3/group/member/all".into(), ..good() }, "not documented"),
        (Exchange { method: "PUT".into(), ..good() }, "not documented"),
        (Exchange { query: "groupId=1&group=2".into(), ..good() }, "parameter group is not documented"),
        (Exchange { query: "groupId=1&groupId=2".into(), ..good() }, "given 2 times"),
        (Exchange { body: r#"{"accountId":7}"#.into(), ..good() }, "/accountId"),
        (Exchange { body: "".into(), ..good() }, "the body is missing"),
        (Exchange { headers: [].into(), ..good() }, "content type"),
        (Exchange { method: "DELETE".into(), body: "".into(), ..good() }, "parameter accountId is missing"),
        (graph("$top=1000"), "parameter $top"),
        (graph("$count=maybe"), "parameter $count"),
    ] {
        let found = documents.request(&exchange);
        assert!(found.len() == 1 && found[0].contains(word), "{exchange:?}: {found:?}, not {word}");
    }
    for (exchange, word) in [
        (Exchange { status: 204, ..good() }, "status is not documented"),
        (Exchange { answer: r#"{"name":7}"#.into(), ..good() }, "/name"),
        (Exchange { answer: r#"{"title":"g"}"#.into(), ..good() }, "title"),
        (Exchange { answer: "".into(), ..good() }, "the body is missing"),
        (Exchange { answer: "{".into(), ..good() }, "not JSON"),
        (Exchange { content_type: Some("text/html".into()), ..good() }, "content type"),
        (Exchange { status: 400, answer: r#"{"errorMessages":"no"}"#.into(), ..good() }, "/errorMessages"),
        (
            Exchange {
                status: 200,
                content_type: Some("application/json".into()),
                answer: r#"{"value":[{"mail":7}]}"#.into(),
                ..graph("")
            },
            "/value/0",
        ),
    ] {
        let found = documents.answer(&exchange);
        assert!(found.len() == 1 && found[0].contains(word), "{exchange:?}: {found:?}, not {word}");
    }
}
