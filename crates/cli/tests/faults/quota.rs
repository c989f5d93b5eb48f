//! N-02: the quota of the site is used up. The run is parked with the time of the reset, and each reset costs one request.

use std::time::Duration;

use entrain_emulator::Surface;
use entrain_emulator::faults::Fault;
use jiff::Timestamp;

use crate::town::{Town, on, status};

const REASONS: [&str; 2] = ["jira-quota-global-based", "jira-quota-tenant-based"];

fn quota(reason: &str, path: &str, after: &str) -> Fault {
    on(Surface::Site, path, status(429, &[("Retry-After", after), ("RateLimit-Reason", reason)]))
}

fn asked(town: &Town) -> (usize, usize) {
    let of = |surface| town.requests(|e| e.surface == surface).len();
    (of(Surface::Graph) + of(Surface::Authority), of(Surface::Site))
}

#[test]
fn n_02_a_used_up_quota_parks_the_run_and_nothing_is_sent_before_its_reset() {
    for reason in REASONS {
        let mut town = Town::settled();
        town.a_day_passes();
        let ran = town.sets_aside(&[quota(reason, "*", "3600")]);
        let json = ran.json();
        let resume_at: Timestamp = json["resume_at"].as_str().unwrap().parse().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the binary under test goes by the clock of the host")]
        let ahead = resume_at.duration_since(Timestamp::now());
        assert!((3000..=3602).contains(&ahead.as_secs()), "{ahead:?}");
        let aside = json["set_aside"][0]["reason"].as_str().unwrap();
        assert!(aside.contains(&format!("parked until {resume_at}")) && aside.contains(reason), "{json:#}");
        assert_eq!(asked(&town).1, 1, "{}", town.told());

        town.forget_requests();
        for command in [
            &["sync", "--json"][..],
            &["sync", "--json", "--full"],
            &["plan", "--json"],
            &["explain", "--group", "Jira", "--json"],
        ] {
            let ran = town.bench.entrain(command);
            assert_eq!(ran.output.status.code(), Some(1), "{command:?}\n{}", ran.out());
            let error = ran.json()["error"].clone();
            assert_eq!(error["code"], "connection_parked", "{error:#}");
            assert!(error["message"].as_str().unwrap().contains(&resume_at.to_string()), "{error:#}");
        }
        assert_eq!(asked(&town), (0, 0), "something was sent before the reset: {}", town.told());
        let runs = town.bench.entrain(&["runs", "show", json["run_id"].as_str().unwrap()]);
        assert!(runs.out().contains("parked until"), "{}", runs.out());
    }
}

#[test]
fn n_02_each_reset_costs_one_request_until_the_site_answers_again() {
    let mut town = Town::settled();
    town.a_day_passes();
    town.fault(quota(REASONS[1], "*", "2"));
    town.forget_requests();
    for turn in 1..=3 {
        let ran = town.sync(&["--wait"]).expect(4);
        assert!(ran.json()["resume_at"].is_string(), "{}", ran.out());
        assert_eq!(asked(&town).1, turn, "one request for each reset: {}", town.told());
    }
    town.heal();
    let ran = town.sync(&["--wait"]).expect(0);
    assert!(ran.json()["resume_at"].is_null(), "{}", ran.out());
    town.assert_exact();
    town.assert_recovers();
}

#[test]
fn n_02_a_quota_in_the_middle_of_writing_leaves_the_rest_to_the_run_after_the_reset() {
    let mut town = Town::settled();
    town.a_day_passes();
    let fault = Fault { method: Some("POST".into()), ..quota(REASONS[0], "/rest/api/3/group/user", "2") };
    let ran = town.sets_aside(&[Fault { from: Some(2), ..fault }]);
    let json = ran.json();
    assert!(json["resume_at"].is_string() && json.get("error").is_none(), "{json:#}");
    for (kind, count) in json["steps"].as_object().unwrap() {
        assert_eq!(count["failed"], 0, "{kind}: what was not tried has not failed: {json:#}");
    }
    std::thread::sleep(Duration::from_secs(3));
    town.assert_recovers();
}
