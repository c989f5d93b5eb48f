//! L-01: a server that works for a long time takes no more memory, open files or tasks than after its first hour.
//!
//! A simulated day of polls every minute is 1,440 runs. The test command plays one; `ENTRAIN_SOAK_RUNS=43200`
//! plays thirty days and then also holds the slope to the figure of the quality list.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use serde_json::Value;

use crate::support::command;
use crate::town::{Town, company, unthrottled};

/// Runs of a simulated day.
const DAY: usize = 1_440;
/// Runs after which a server is warm: caches are filled, and the allocator has what it needs.
const WARM: usize = 100;

struct Served {
    child: Child,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Holds {
    resident_kib: usize,
    files: usize,
    threads: usize,
}

impl Served {
    fn start(town: &Town) -> Self {
        let made =
            town.bench.entrain(&["admin", "api-key", "create", "soak", "--role", "administrator", "--json"]);
        let key = made.expect(0).json()["key"].as_str().unwrap().to_owned();
        let mut child = command(town.bench.folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self {
            url: ready["url"].as_str().unwrap().to_owned(),
            child,
            key,
            http: reqwest::Client::builder().build().unwrap(),
        }
    }

    fn call(&self, town: &Town, method: reqwest::Method, path: &str) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        town.bench.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            serde_json::from_str(&answer.text().await.unwrap()).unwrap()
        })
    }

    fn holds(&self) -> Holds {
        let process = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let count = |what: &str| std::fs::read_dir(format!("{process}/{what}")).unwrap().count();
        Holds {
            resident_kib: line.trim().trim_end_matches(" kB").parse().unwrap(),
            files: count("fd"),
            threads: count("task"),
        }
    }
}

#[test]
fn l_01_a_server_that_polls_for_days_grows_neither_in_memory_nor_in_files_nor_in_threads() {
    let runs: usize = std::env::var("ENTRAIN_SOAK_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_500);
    let mut town = Town::of(unthrottled(company(60, 8, 20)));
    // The days of the simulation pass within minutes, and the limits of a day are by the clock
    let document = town.bench.document("\"*\"") + "\n[limits]\nremovals_number = 100000\n";
    let path = town.bench.file("limits.toml", &document);
    town.bench.entrain(&["connection", "set", path.to_str().unwrap()]).expect(0);
    town.sync(&[]).expect(0);
    let served = Served::start(&town);
    let (mut warm, mut wrote) = (None, 0);
    for run in 0..runs {
        // Most polls find nothing; now and then somebody moves, by hours rather than by minutes
        if run % 20 == 7 {
            town.somebody_moves();
        }
        let report = served.call(&town, reqwest::Method::POST, "/api/v1/connections/azure-ad/sync?wait");
        assert_eq!(report["status"], "converged", "run {run}: {report}");
        wrote += usize::from(report["steps"].as_object().is_some_and(|steps| !steps.is_empty()));
        town.forget_requests();
        if run == WARM.min(runs / 2) {
            warm = Some((run, served.holds()));
        }
    }
    let ((since, warm), now) = (warm.unwrap(), served.holds());
    println!("{runs} runs, {wrote} of them with changes: {warm:?} after {since}, {now:?} at the end");
    assert!(wrote >= runs / 40, "the days were not still");
    assert!(now.files <= warm.files + 4, "open files: {warm:?}, then {now:?}");
    assert!(now.threads <= warm.threads + 4, "threads: {warm:?}, then {now:?}");
    let grown = now.resident_kib.saturating_sub(warm.resident_kib);
    // Over a short time what the allocator keeps at hand outweighs any slope
    let allowed = 6 * 1024 + 1024 * ((runs - since) / DAY);
    assert!(grown <= allowed, "memory: {grown} KiB more than after {since} runs");
    assert_eq!(served.call(&town, reqwest::Method::GET, "/api/v1/audit/verify")["intact"], true);
    town.assert_exact();
}
