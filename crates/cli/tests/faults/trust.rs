//! Whom to believe: links to other places (O-01), redirects (O-02), and answers that never end (O-05).

use entrain_emulator::Surface::{Authority, Graph, Site};
use entrain_emulator::faults::{Fault, FaultKind};

use crate::town::{Town, on, side_by_side};

/// Links that all lead elsewhere; `DECOY` is a host that listens and hears nothing.
fn elsewhere() -> Vec<String> {
    let mut links: Vec<String> = [
        "DECOY/v1.0/users?$skiptoken=x",
        "DECOY",
        "//DECOYHOST/v1.0/users",
        "https://graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com.evil.example/v1.0/users",
        "http://127.0.0.1/v1.0/users",
        "http://localhost:PORT/v1.0/users",
        "http://[::1]:PORT/v1.0/users",
        "http://0x7f000001:PORT/v1.0/users",
        "http://2130706433:DECOYPORT/v1.0/users",
        "http://127.1:DECOYPORT/v1.0/users",
        "http://user@127.0.0.1:DECOYPORT/v1.0/users",
        "http://user:secret@127.0.0.1:PORT/v1.0/users",
        "http://127.0.0.1:PORT@127.0.0.1:DECOYPORT/v1.0/users",
        "https://127.0.0.1:PORT/v1.0/users",
        "ftp://127.0.0.1:PORT/v1.0/users",
        "file:///etc/passwd",
        "data:application/json,{\"value\":[]}",
        "javascript:alert(1)",
        "gopher://127.0.0.1:DECOYPORT/",
        "http://127.0.0.1.:PORT/v1.0/users",
        "http://127.0.0.1:PORT.evil.example/v1.0/users",
        "http:/\\127.0.0.1:DECOYPORT/v1.0/users",
        "\\\\127.0.0.1:DECOYPORT\\v1.0\\users",
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://gra\u{440}h.microsoft.com/v1.0/users",
        "http://127.0.0.1:PORT\t@127.0.0.1:DECOYPORT/",
        " http://127.0.0.1:DECOYPORT/v1.0/users",
        "",
        " ",
    ]
    .map(str::to_owned)
    .into();
    for scheme in ["ws", "wss", "HTTP+X", "chrome"] {
        links.push(format!("{scheme}://127.0.0.1:DECOYPORT/v1.0/users"));
    }
    links
}

fn filled(link: &str, town: &Town) -> String {
    let decoy = town.decoy.origin.trim_start_matches("http://");
    let graph = &town.bench.company().graph_url;
    let port = graph.rsplit(':').next().unwrap();
    link.replace("DECOYHOST", decoy)
        .replace("DECOYPORT", decoy.rsplit(':').next().unwrap())
        .replace("DECOY", &town.decoy.origin)
        .replace("PORT", port)
}

#[test]
fn o_01_a_link_to_another_place_is_refused_and_no_token_leaves() {
    let links = elsewhere();
    assert!(links.len() * 2 >= 60);
    let mut cases: Vec<(&str, &str, String)> = Vec::new();
    for link in links {
        cases.push(("/v1.0/users", "@odata.nextLink", link.clone()));
        cases.push(("/v1.0/groups/delta", "@odata.deltaLink", link));
    }
    side_by_side(&cases, 17, |town, (path, key, link)| {
        let value = filled(link, town).into();
        let fault = on(Graph, path, FaultKind::SetKey { key: (*key).into(), value });
        let codes = ["foreign_link", "directory_answer_invalid", "directory_request_invalid"];
        town.fails(&[fault], &codes);
        town.decoy.assert_heard_nothing();
    });
}

#[test]
fn o_02_no_redirect_is_followed_anywhere() {
    let places = [
        (Authority, "*/oauth2/v2.0/token"),
        (Graph, "/v1.0/users"),
        (Graph, "/v1.0/$batch"),
        (Site, "/rest/api/3/myself"),
        (Site, "/rest/api/3/users/search"),
    ];
    let cases: Vec<_> = places
        .into_iter()
        .enumerate()
        .flat_map(|(n, place)| {
            let codes = [301, 302, 303, 307, 308].into_iter().enumerate();
            codes.filter(move |(m, _)| (n + m) % 2 == 0).map(move |(_, status)| (place, status))
        })
        .collect();
    side_by_side(&cases, 4, |town, ((surface, path), status)| {
        for location in [format!("{}/v1.0/users", town.decoy.origin), "/v1.0/elsewhere".to_owned()] {
            let fault = on(*surface, path, FaultKind::Redirect { location, status: *status });
            town.fails_unharmed(&[fault], &["redirect_refused"]);
        }
        town.decoy.assert_heard_nothing();
    });
}

#[test]
fn o_05_answers_without_end_are_cut_and_memory_stays_bounded() {
    let kinds = [FaultKind::EndlessBody {}, FaultKind::GzipBomb { mib: 512 }];
    let cases: Vec<Fault> = [(Graph, "/v1.0/users"), (Site, "/rest/api/3/users/search")]
        .into_iter()
        .flat_map(|(surface, path)| kinds.clone().map(|kind| on(surface, path, kind)))
        .collect();
    side_by_side(&cases, 1, |town, fault| {
        town.a_day_passes();
        town.forget_requests();
        town.fault(fault.clone());
        let (ran, peak_kib) = town.sync_measured(&["--full"]);
        assert_eq!(ran.output.status.code(), Some(1), "{fault:?}\n{}", ran.out());
        assert_eq!(ran.json()["error"]["code"], "answer_too_large", "{fault:?}");
        assert!(peak_kib < 256 * 1024, "{fault:?}: {peak_kib} KiB");
        assert_eq!(town.writes(), Vec::<String>::new());
        town.assert_recovers();
    });
}
