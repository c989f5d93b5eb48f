//! N-01: 429 with every `Retry-After` that was met in the wild.

use std::time::Duration;

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::log::LogEntry;

use crate::outages::{READS, once_at_half};
use crate::town::{Town, on, once, side_by_side, status};

fn throttled(after: Option<&str>) -> FaultKind {
    status(429, after.map(|value| ("Retry-After", value)).as_slice())
}

/// The shortest time between a 429 and the next request to the same address.
fn shortest_wait(entries: &[LogEntry]) -> Duration {
    let same = |a: &LogEntry, b: &LogEntry| {
        (a.surface, &a.method, &a.path, &a.query) == (b.surface, &b.method, &b.path, &b.query)
    };
    let next = |refused: &LogEntry| {
        let later = entries.iter().filter(|e| e.seq > refused.seq && same(e, refused) && e.at > refused.at);
        later.map(|e| e.at.duration_since(refused.at)).min()
    };
    let waits = entries.iter().filter(|e| e.fault.is_some()).filter_map(next);
    Duration::try_from(waits.min().unwrap()).unwrap()
}

#[test]
fn n_01_a_pause_is_kept_at_every_address_whatever_its_form() {
    // `date` stands for an HTTP date a few seconds ahead
    let asked = [
        (Some("0"), 0),
        (Some("1"), 1_000),
        (Some("2.128"), 2_128),
        (Some("date"), 0),
        (None, 1_000),
        (Some("-5"), 1_000),
        (Some("soon"), 1_000),
        (Some(""), 1_000),
        (Some("Mon, 99 Nov 2026 10:00:07 GMT"), 1_000),
    ];
    let cases: Vec<_> = asked.into_iter().flat_map(|(after, ms)| [(after, ms, 0), (after, ms, 1)]).collect();
    side_by_side(&cases, 1, |town, (after, at_least, half)| {
        town.a_day_passes();
        let date = (town.bench.emulator.state().now() + Duration::from_secs(2))
            .strftime("%a, %d %b %Y %H:%M:%S GMT")
            .to_string();
        let value = after.map(|text| if text == "date" { date.as_str() } else { text });
        let faults = once_at_half(&throttled(value), *half);
        let ran = town.suffers(&faults);
        assert_eq!(town.fired(), faults.len() as u64, "{after:?}");
        assert_eq!(ran.output.status.code(), Some(0), "{after:?}\n{}\n{}", ran.out(), town.told());
        assert_eq!(ran.json()["requests"]["throttled"], faults.len() as u64, "{}", ran.out());
        let waited = shortest_wait(&town.requests(|_| true));
        assert!(waited >= Duration::from_millis(*at_least), "{after:?}: {waited:?}");
        town.assert_exact();
        town.assert_recovers();
    });
}

#[test]
fn n_01_a_pause_beyond_reason_ends_the_run_and_says_until_when() {
    let needed =
        READS.iter().filter(|(_, path)| !path.ends_with("/member") && !path.ends_with("/applicationrole"));
    let cases: Vec<_> =
        needed.enumerate().map(|(nth, read)| (*read, ["3600", "1000000000"][nth % 2])).collect();
    side_by_side(&cases, 4, |town, ((surface, path), after)| {
        let code = if *surface == Surface::Site { "site_throttled" } else { "directory_throttled" };
        let start = std::time::Instant::now();
        let ran = town.fails_unharmed(&[on(*surface, path, throttled(Some(after)))], &[code]);
        assert!(start.elapsed() < Duration::from_mins(1));
        let error = ran.json()["error"].clone();
        let (message, remedy) = (error["message"].as_str().unwrap(), error["remedy"].as_str().unwrap());
        assert!(message.contains("until 20") && remedy.contains("after 20"), "{error:#}");
    });
}

#[test]
fn n_01_a_limit_is_asked_once_and_not_hammered() {
    let mut town = Town::settled();
    town.a_day_passes();
    town.refuses(&[on(Surface::Graph, "/v1.0/users", throttled(Some("3600")))], &["directory_throttled"]);
    let asked = town.requests(|e| e.path == "/v1.0/users").len();
    assert_eq!(asked, 1, "a long pause is not tried out");
    town.assert_recovers();
}

fn write(method: &str, path: &str, kind: FaultKind) -> Fault {
    Fault { method: Some(method.into()), ..on(Surface::Site, path, kind) }
}

#[test]
fn n_01_throttled_writes_are_done_once_and_other_addresses_go_on_meanwhile() {
    let mut town = Town::settled();
    town.a_day_passes();
    let faults = [
        once(write("POST", "/rest/api/3/user", throttled(Some("3")))),
        once(write("DELETE", "/rest/api/3/group/user", throttled(Some("0")))),
    ];
    let ran = town.suffers(&faults).expect(0);
    assert_eq!(ran.json()["status"], "converged");
    assert_eq!(town.fired(), 2);
    let log = town.requests(|e| e.surface == Surface::Site && e.method != "GET");
    let refused = log.iter().find(|e| e.fault.is_some() && e.path == "/rest/api/3/user").unwrap();
    let again = log.iter().find(|e| e.seq > refused.seq && e.path == refused.path).unwrap();
    assert!(again.at.duration_since(refused.at).as_secs_f64() >= 3.0, "{log:#?}");
    let meanwhile =
        log.iter().filter(|e| e.at > refused.at && e.at < again.at && e.status != Some(429)).count();
    assert!(meanwhile > 0, "the other writes waited for a limit that is not theirs: {log:#?}");
    town.assert_exact();
    town.assert_recovers();
}

#[test]
fn n_01_writes_that_must_wait_too_long_are_left_to_a_later_run() {
    let mut town = Town::settled();
    town.a_day_passes();
    for (method, path) in [
        ("POST", "/rest/api/3/user"),
        ("POST", "/rest/api/3/group/user"),
        ("DELETE", "/rest/api/3/group/user"),
    ] {
        let ran = town.suffers(&[write(method, path, throttled(Some("3600")))]);
        assert!(matches!(ran.output.status.code(), Some(1 | 4)), "{method} {path}\n{}", ran.out());
        assert_ne!(ran.json()["status"], "converged", "{}", ran.out());
        town.heal();
        town.assert_recovers();
        town.a_day_passes();
    }
}
