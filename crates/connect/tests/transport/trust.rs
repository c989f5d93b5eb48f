//! O-01 to O-04, H-06: where a credential goes, and where it does not.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use entrain_connect::Error;
use entrain_connect::http::{Authorization, BaseUrl, Call, Http, Plane, Target};
use entrain_domain::FailureCode;

use crate::server::{Server, answer};
use crate::{client, environment, options};

/// O-01
#[tokio::test]
async fn no_link_to_another_origin_is_followed() {
    let server = Server::playing(vec![answer(200, &[], b"{}")]).await;
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    let (http, _) = client(&server.address, Plane::Directory);
    let auth = Authorization::bearer(&"token".to_owned().into());
    let links = [
        "https://127.0.0.1:P/x",
        "http://127.0.0.1/x",
        "http://127.0.0.1:1P/x",
        "http://localhost:P/x",
        "http://[::1]:P/x",
        "http://2130706433:P/x",
        "http://0x7f000001:P/x",
        "http://0x7f.0.0.1:P/x",
        "http://017700000001:P/x",
        "http://127.1:P/x",
        "http://127.0.1:P/x",
        "http://0177.0.0.1:P/x",
        "http://[::ffff:127.0.0.1]:P/x",
        "http://[::ffff:7f00:1]:P/x",
        "http://user@127.0.0.1:P/x",
        "http://user:pw@127.0.0.1:P/x",
        "http://:pw@127.0.0.1:P/x",
        "http://@127.0.0.1:P/x",
        "http://127.0.0.1:P@evil.example/x",
        "http://127.0.0.1:P@evil.example:P/x",
        "http://127.0.0.1.evil.example:P/x",
        "http://127.0.0.1.:P/x",
        "http://evil.example/127.0.0.1:P",
        "http://evil.example:P/x",
        "http://evil.example#127.0.0.1:P",
        "http://evil.example?127.0.0.1:P",
        "http://evil.example\\@127.0.0.1:P/x",
        "http://127.0.0.1:P\\@evil.example/x",
        "http://１２７.0.0.1:P/x",
        "http://①27.0.0.1:P/x",
        "http://127。0。0。1:P/x",
        "http://127.0.0.1%00:P/x",
        "http://127%2e0.0.1:P/x",
        "//evil.example/x",
        "//127.0.0.1:P/x",
        "\\\\evil.example\\x",
        "/\\evil.example/x",
        "ftp://127.0.0.1:P/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:,x",
        "gopher://127.0.0.1:P/x",
        "ws://127.0.0.1:P/x",
        "blob:http://127.0.0.1:P/x",
        "http:127.0.0.1:P/x",
        "http:/127.0.0.1:P/x",
        "http:///127.0.0.1:P/x",
        "http:////127.0.0.1:P/x",
        " http://127.0.0.1:P/x",
        "http://127.0.0.1:P/x ",
        "ht\ttp://127.0.0.1:P/x",
        "http://127.0.0.1:P/\nx",
        "http://127.0.0.1:P/x\r\nHost: evil",
        "",
        "x",
        "users",
        "?a",
        "#a",
        "../x",
        "http://",
        "http://:P/x",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:-1/x",
        "http://127.0.0.1:P0/x",
        "http://169.254.169.254/metadata",
        "http://metadata.internal/",
        "http://xn--127-0.0.1:P/x",
        "HTTPS://127.0.0.1:P/x",
        "http://graph.mіcrosoft.com/x",
        "http://127.0.0.1:0P0/x",
    ];
    assert!(links.len() >= 60);
    for link in links {
        let link = link.replace('P', &port);
        let error = http.send(Call::get("/users", link.clone()), &auth).await.expect_err(&link);
        assert!(matches!(error, Error::ForeignLink { .. } | Error::UnsafeTarget { .. }), "{link:?}: {error}");
        assert!(!error.to_string().contains(['\n', '\r', '\0']), "{error:?}");
    }
    assert_eq!(server.requests().len(), 0, "nothing leaves");
    assert_eq!(http.requests().directory, 0);
    let own = format!("{}/v1.0/users?$skiptoken=a%2fb", server.address);
    assert_eq!(http.send(Call::get("/users", own), &auth).await.unwrap().status, 200);
    assert!(server.requests()[0].starts_with("GET /v1.0/users?$skiptoken=a%2fb HTTP/1.1"));
}

/// O-02
#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        for (location, host) in [
            ("https://evil.example/x", "evil.example"),
            ("/login", "127.0.0.1"),
            ("", "127.0.0.1"),
            ("//h.example", "h.example"),
        ] {
            let server = Server::playing(vec![answer(status, &[("location", location)], b"[]")]).await;
            let (http, _) = client(&server.address, Plane::Site);
            let call = Call::get("/x", Target::new("/x"));
            let error = http.send(call, &Authorization::none()).await.unwrap_err();
            let Error::Redirect { host: found, .. } = &error else { panic!("{error}") };
            assert_eq!(found, host);
            assert_eq!(error.failure().code, FailureCode::RedirectRefused);
            assert_eq!(server.requests().len(), 1);
        }
    }
}

/// O-03
#[test]
fn a_base_address_is_https_or_this_machine() {
    for good in [
        "https://graph.microsoft.com",
        "https://example.atlassian.net/",
        "https://h:8443/prefix",
        "http://127.0.0.1:8080",
        "http://localhost:1",
        "http://[::1]:9",
        "https://127.0.0.1",
        "http://a.localhost",
    ] {
        BaseUrl::parse(good).expect(good);
    }
    for bad in [
        "",
        "graph.microsoft.com",
        "http://graph.microsoft.com",
        "ftp://h",
        "https://",
        "https://u@h",
        "https://u:p@h",
        "https://h?x",
        "https://h#x",
        "https://169.254.169.254",
        "http://169.254.169.254",
        "https://10.0.0.1",
        "https://192.168.1.1",
        "https://172.16.0.1",
        "https://100.64.0.1",
        "https://0.0.0.0",
        "https://[fe80::1]",
        "https://[fd00::1]",
        "https://[::]",
        "https://[::ffff:10.0.0.1]",
        "https://0xa9fea9fe",
        "https://224.0.0.1",
        "https://gräph.example",
        "http://127.0.0.1.evil.example",
        "file:///etc/passwd",
    ] {
        let error = BaseUrl::parse(bad).expect_err(bad);
        assert!(matches!(error, Error::Configuration { .. }), "{bad}: {error}");
    }
    BaseUrl::metadata("http://169.254.169.254").unwrap();
    BaseUrl::metadata("http://127.0.0.1:99").unwrap();
    for bad in ["http://169.254.169.253", "https://example.com", "http://10.0.0.1"] {
        BaseUrl::metadata(bad).expect_err(bad);
    }
}

/// H-06
#[tokio::test]
async fn an_id_is_one_segment_whatever_it_contains() {
    let server = Server::playing(vec![answer(200, &[], b"{}")]).await;
    let (http, _) = client(&server.address, Plane::Site);
    let ids = [
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "../x",
        "..%2f",
        "%2e%2e",
        "a\\b",
        "a;b",
        "a b",
        "é",
        "a\r\nX: y",
        "a\0b",
        "a&b=c",
        "712020:0e1f",
        "+",
        "\u{202e}",
        "//evil.example",
        "@",
        "...",
        "%",
        "a\tb",
    ];
    for (sent, id) in ids.iter().enumerate() {
        let target = Target::new("/groups").segment(id).path("/members").query("name", id);
        http.send(Call::get("/groups", target), &Authorization::none()).await.expect(id);
        let requests = server.requests();
        let line = requests[sent].lines().next().unwrap();
        let path = line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
        let (path, query) = path.split_once('?').unwrap();
        let parts: Vec<_> = path.split('/').collect();
        assert_eq!((parts.len(), parts[1], parts[3]), (4, "groups", "members"), "{id:?}: {line}");
        for encoded in [parts[2], query.strip_prefix("name=").unwrap()] {
            let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap();
            assert_eq!(decoded, *id, "{line}");
        }
    }
    // These have no form as a segment: nothing is sent.
    for id in [".", ".."] {
        let call = Call::get("/groups", Target::new("/groups").segment(id).path("/members"));
        let error = http.send(call, &Authorization::none()).await.expect_err(id);
        assert!(matches!(error, Error::UnsafeTarget { .. }), "{id}: {error}");
    }
    assert_eq!(server.requests().len(), ids.len());
}

/// A TLS server for these names; gives its address and its certificate.
fn tls_server(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let pem = made.cert.pem();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            if tls.read(&mut request).is_ok_and(|read| read > 0) {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    (address, pem)
}

/// O-04
#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_for_another_name_is_refused_at_once() {
    let read = || Call::get("/x", Target::new("/x"));
    let (address, pem) = tls_server("localhost");
    let (other, other_pem) = tls_server("another.example");
    for (address, pem, good) in [
        (&address, Some(&pem), true),
        (&address, None, false),
        (&address, Some(&other_pem), false),
        (&other, Some(&other_pem), false),
    ] {
        let mut options = options(address, Plane::Site, &environment());
        options.extra_ca_pem = pem.map(|pem| pem.clone().into_bytes());
        let http = Http::new(options).unwrap();
        match http.send(read(), &Authorization::none()).await {
            Ok(found) => assert!(good && found.status == 200, "{address}"),
            Err(error) => {
                assert!(!good, "{error}");
                assert!(matches!(error, Error::Tls { .. }), "{error}");
                assert_eq!(error.failure().code, FailureCode::TlsFailed);
                assert_eq!(http.requests().site, 1, "a bad certificate does not get better by asking again");
            }
        }
    }
}

#[test]
fn an_extra_ca_file_that_holds_no_certificate_is_an_error_not_nothing() {
    for pem in ["", "rubbish", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"] {
        let mut options = options("https://localhost:1", Plane::Site, &environment());
        options.extra_ca_pem = Some(pem.as_bytes().to_vec());
        let error = Http::new(options).expect_err(pem);
        assert!(matches!(error, Error::Configuration { .. }), "{error}");
    }
}
