//! O-01, O-02, O-05: links and redirects that lead elsewhere, and answers without an end. The whole corpus of links
//! stands in `crates/connect/tests/transport`; here each kind meets each place where a link stands.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use base64::Engine as _;
use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind, ItemFault};
use serde_json::{Value, json};

use crate::outages::READS;
use crate::support::command;
use crate::town::{Town, on, once, side_by_side};

/// Links to elsewhere, `HOST` being the host and port of Graph, `PORT` its port, `DECOY` another origin.
const LINKS: [&str; 24] = [
    "DECOY/v1.0/users",
    "http://HOST@DECOYHOST/v1.0/users",
    "https://HOST/v1.0/users",
    "ftp://HOST/v1.0/users",
    "http://user@HOST/v1.0/users",
    "http://user:pw@HOST/v1.0/users",
    "http://127.0.0.1/v1.0/users",
    "http://127.0.0.1:1/v1.0/users",
    "http://localhost:PORT/v1.0/users",
    "http://2130706433:PORT/v1.0/users",
    "http://0x7f000001:PORT/v1.0/users",
    "http://127.1:PORT/v1.0/users",
    "http://[::1]:PORT/v1.0/users",
    "http://[::ffff:127.0.0.1]:PORT/v1.0/users",
    "http://HOST.evil.example/v1.0/users",
    "http://evil.example\\@HOST/v1.0/users",
    "//DECOYHOST/v1.0/users",
    "\\\\DECOYHOST\\v1.0\\users",
    "http:///HOST/v1.0/users",
    "http://１２７.0.0.1:PORT/v1.0/users",
    "https://graph.mіcrosoft.com/v1.0/users",
    "http://169.254.169.254/metadata/identity/oauth2/token",
    "file:///etc/passwd",
    "",
];

fn aimed(town: &Town, link: &str) -> String {
    let graph = town.bench.emulator.state().urls().graph;
    let host = graph.strip_prefix("http://").unwrap();
    let decoy = town.decoy.origin.strip_prefix("http://").unwrap();
    link.replace("DECOYHOST", decoy)
        .replace("DECOY", &town.decoy.origin)
        .replace("HOST", host)
        .replace("PORT", host.rsplit(':').next().unwrap())
}

/// Where a link stands, and the address whose answer holds it.
const PLACES: [(&str, &str); 6] = [
    ("/v1.0/users", "@odata.nextLink"),
    ("/v1.0/groups", "@odata.nextLink"),
    ("/v1.0/users/delta", "@odata.nextLink"),
    ("/v1.0/groups/delta", "@odata.nextLink"),
    ("/v1.0/users/delta", "@odata.deltaLink"),
    ("/v1.0/groups/delta", "@odata.deltaLink"),
];

#[test]
fn o_01_no_link_to_another_place_is_followed_and_no_answer_of_it_is_taken() {
    // Each place meets every fourth link, so that each link stands in some places, and the two of them turn
    let cases: Vec<_> = PLACES.iter().enumerate().collect();
    side_by_side(&cases, 2, |town, (nth, (path, key))| {
        town.a_day_passes();
        for link in LINKS.iter().skip(nth % 3).step_by(3) {
            let link = aimed(town, link);
            let kind = FaultKind::SetKey { key: (*key).into(), value: json!(link) };
            let ran = town.refuses(&[on(Surface::Graph, path, kind)], &["foreign_link"]);
            assert_eq!(town.requests(|e| e.path.contains("evil") || e.path == "/x").len(), 0);
            let asked = town.requests(|e| e.path == *path).len();
            // Of a delta link the first round is the last one asked
            assert!(asked <= 2, "{path} {link:?}: {asked} requests\n{}", ran.out());
            town.decoy.assert_heard_nothing();
        }
        town.assert_recovers();
    });
}

#[test]
fn o_01_no_link_within_a_batch_is_followed() {
    let mut town = Town::settled();
    town.a_day_passes();
    for link in LINKS {
        let link = aimed(&town, link);
        let body = json!({"value": [], "@odata.nextLink": link});
        let item = ItemFault { status: 200, headers: BTreeMap::new(), body: Some(body) };
        let fault = on(Surface::Graph, "/groups/*/members*", FaultKind::BatchItem(item));
        town.refuses(&[fault], &["foreign_link"]);
        assert_eq!(town.requests(|e| e.path == "/v1.0/$batch").len(), 1, "{link:?}");
        town.decoy.assert_heard_nothing();
    }
    town.assert_recovers();
}

#[test]
fn o_01_links_of_the_site_lead_nowhere() {
    let mut town = Town::settled();
    town.a_day_passes();
    for path in ["/rest/api/3/group/bulk", "/rest/api/3/group/member"] {
        for key in ["nextPage", "self"] {
            let value = Value::from(format!("{}/rest/api/3/group/bulk", town.decoy.origin));
            town.suffers(&[on(Surface::Site, path, FaultKind::SetKey { key: key.into(), value })]);
            town.decoy.assert_heard_nothing();
            town.heal();
        }
    }
    town.assert_recovers();
}

#[test]
fn o_02_no_redirect_of_a_read_is_followed() {
    let needed: Vec<_> = READS.into_iter().filter(|(_, path)| !path.ends_with("/member")).collect();
    side_by_side(&needed, 3, |town, (surface, path)| {
        town.a_day_passes();
        for (status, own) in [(301, false), (302, true), (303, false), (307, false), (308, true)] {
            let location = if own { "/v1.0/users".to_owned() } else { format!("{}/x", town.decoy.origin) };
            let fault = on(*surface, path, FaultKind::Redirect { location, status });
            if path.ends_with("/applicationrole") {
                town.suffers(&[fault]);
                town.heal();
            } else {
                let ran = town.refuses(&[fault], &["redirect_refused", "site_not_cloud"]);
                let asked = town.requests(|e| e.fault.is_some()).len();
                assert!(asked <= 2, "{path}: {asked} requests met the redirect\n{}", ran.out());
            }
            town.decoy.assert_heard_nothing();
        }
        town.assert_recovers();
    });
}

#[test]
fn o_02_no_redirect_of_a_write_is_followed() {
    let mut town = Town::settled();
    town.a_day_passes();
    for (method, path) in [
        ("POST", "/rest/api/3/user"),
        ("POST", "/rest/api/3/group/user"),
        ("DELETE", "/rest/api/3/group/user"),
    ] {
        for status in [302, 307, 308] {
            let kind = FaultKind::Redirect { location: format!("{}{path}", town.decoy.origin), status };
            let fault = Fault { method: Some(method.into()), ..on(Surface::Site, path, kind) };
            let ran = town.suffers(&[fault]);
            assert_ne!(ran.json()["status"], "converged", "{}", ran.out());
            town.decoy.assert_heard_nothing();
            town.heal();
            town.assert_recovers();
            town.a_day_passes();
            if method == "DELETE" {
                break;
            }
        }
    }
}

/// The largest resident memory of a process while it runs, in MiB.
fn peak_of(child: &mut Child) -> u64 {
    let path = format!("/proc/{}/status", child.id());
    let (mut peak, start) = (0, Instant::now());
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() / 1024);
        assert!(start.elapsed() < Duration::from_mins(1), "the run does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}

#[test]
fn o_05_answers_without_an_end_are_cut_and_memory_stays_bounded() {
    // Twelve million entries
    let array = [&b"{\"value\":["[..], &b"{},".repeat(12_000_000), b"{}]}"].concat();
    let endless = [
        ("endless", FaultKind::EndlessBody {}),
        ("bomb", FaultKind::GzipBomb { mib: 256 }),
        ("array", FaultKind::Bytes { base64: base64::engine::general_purpose::STANDARD.encode(array) }),
    ];
    let town = Town::settled();
    let had = town.memberships();
    for (surface, path) in [
        (Surface::Authority, "/*/oauth2/v2.0/token"),
        (Surface::Graph, "/v1.0/users"),
        (Surface::Graph, "/v1.0/$batch"),
        (Surface::Site, "/rest/api/3/users/search"),
    ] {
        for (name, kind) in &endless {
            // A bomb and an array are slow to make: once is enough
            if *name != "endless" && path != "/v1.0/users" {
                continue;
            }
            town.forget_requests();
            town.fault(on(surface, path, kind.clone()));
            let mut child = command(town.bench.folder.path(), &["sync", "--json", "--full"])
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let peak = peak_of(&mut child);
            let output = child.wait_with_output().unwrap();
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            println!("{name} {path}: {peak} MiB");
            assert_eq!(output.status.code(), Some(1), "{name} {path}: {told:#}");
            assert_eq!(told["error"]["code"], "answer_too_large", "{name} {path}: {told:#}");
            assert!(peak > 0 && peak < 256, "{name} {path}: {peak} MiB");
            assert_eq!(town.writes(), Vec::<String>::new());
            town.heal();
        }
    }
    town.assert_nothing_lost(&had);
    town.assert_recovers();
}

#[test]
fn o_05_members_of_a_site_group_without_an_end_leave_the_group_alone() {
    let mut town = Town::settled();
    town.a_day_passes();
    let ran = town.suffers(&[once(on(Surface::Site, "/rest/api/3/group/member", FaultKind::EndlessBody {}))]);
    assert!(matches!(ran.output.status.code(), Some(1 | 4)), "{}", ran.out());
    town.assert_recovers();
}

/// O-06: proxies and certificates come from the document alone, whatever stands in the environment of the host.
#[test]
fn o_06_variables_of_the_host_send_nothing_elsewhere() {
    let town = Town::settled();
    let decoy = town.decoy.origin.clone();
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let mut variables: Vec<(&str, &str)> = names.iter().map(|name| (*name, decoy.as_str())).collect();
    variables.extend([
        ("no_proxy", ""),
        ("NO_PROXY", ""),
        ("SSL_CERT_FILE", "/nowhere/roots.pem"),
        ("SSL_CERT_DIR", "/nowhere"),
        ("CURL_CA_BUNDLE", "/nowhere/roots.pem"),
        ("AZURE_AUTHORITY_HOST", decoy.as_str()),
        ("ENTRAIN_LOG", "debug"),
    ]);
    let ran = town.bench.entrain_with(&["sync", "--json", "--full"], &variables).expect(0);
    assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
    town.assert_quiet(&ran);
    assert!(!town.requests(|e| e.surface == Surface::Graph).is_empty());
}
