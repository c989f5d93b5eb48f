//! a damaged database is refused and left as it is; two runs of one connection never meet.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use entrain_emulator::Surface;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::support::{Ran, command};
use crate::town::Town;

/// The database of a town, at rest.
struct Disk {
    path: PathBuf,
    good: Vec<u8>,
}

impl Disk {
    fn of(town: &Town) -> Self {
        let path = town.bench.folder.path().join("data/entrain.db");
        let good = std::fs::read(&path).unwrap();
        Self { path, good }
    }

    /// Only this file: what is beside it belongs to another state.
    fn put(&self, bytes: &[u8]) {
        for beside in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{beside}", self.path.display()));
        }
        std::fs::write(&self.path, bytes).unwrap();
    }
}

#[track_caller]
fn assert_refused(town: &Town, disk: &Disk, bytes: &[u8], ran: &Ran, what: &str) {
    let json = ran.json();
    assert_eq!(json["error"]["code"], "store_unreadable", "{what}: {json:#}");
    let told = json["error"]["message"].as_str().unwrap();
    assert!(
        told.contains("entrain.db") || told.contains("database") || told.contains("stored"),
        "{what}: {told}"
    );
    assert!(json["error"]["remedy"].as_str().is_some_and(|remedy| remedy.len() > 10), "{json:#}");
    assert_eq!(town.writes(), Vec::<String>::new(), "{what}");
    assert_eq!(std::fs::read(&disk.path).unwrap(), bytes, "{what}: a refused file is left as it is");
}

#[test]
fn r_06_after_a_command_everything_is_in_the_one_file_that_is_checked() {
    let town = Town::settled();
    let data = town.bench.folder.path().join("data");
    // What SQLite finds damaged in a log beside the file it drops in silence
    let beside = || ["entrain.db-wal", "entrain.db-shm"].into_iter().find(|name| data.join(name).exists());
    assert_eq!(beside(), None, "after a run");
    for args in
        [&["plan", "--json"][..], &["runs", "list"], &["connection", "list"], &["runs", "show", "none"]]
    {
        town.bench.entrain(args);
        assert_eq!(beside(), None, "after {args:?}");
    }
}

#[test]
fn r_06_a_truncated_database_is_refused_with_a_clear_message_and_left_as_it_is() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let town = Town::settled();
    let disk = Disk::of(&town);
    let whole = disk.good.len();
    let mut lengths = vec![0, 1, 100, 4095, 4096, whole / 2, whole - 4096, whole - 1];
    lengths.extend((0..4).map(|_| random.random_range(0..whole)));
    for length in lengths {
        let part = &disk.good[..length];
        disk.put(part);
        town.forget_requests();
        let ran = town.sync(&[]).expect(1);
        assert_refused(&town, &disk, part, &ran, &format!("seed {seed}, {length} of {whole} bytes"));
    }
    disk.put(&disk.good);
    town.assert_recovers();
}

#[test]
fn r_06_a_flipped_bit_is_refused_or_harmless() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut town = Town::settled();
    town.a_quiet_day_passes();
    town.sync(&[]).expect(0);
    let disk = Disk::of(&town);
    let had = town.memberships();
    let mut refused = 0;
    for _ in 0..30 {
        let mut bytes = disk.good.clone();
        // A byte in use: much of a young database is zeros
        let mut at = random.random_range(0..bytes.len());
        while bytes[at] == 0 {
            at = random.random_range(0..bytes.len());
        }
        bytes[at] ^= 1 << random.random_range(0..8);
        disk.put(&bytes);
        town.forget_requests();
        let ran = town.sync(&[]);
        let what = format!("seed {seed}, byte {at}");
        if ran.output.status.code() == Some(0) {
            // The run did not need the byte; nothing was made of it
            assert_eq!(ran.json()["status"], "converged", "{what}: {}", ran.out());
            assert_eq!(town.writes(), Vec::<String>::new(), "{what}: {}", ran.out());
        } else {
            refused += 1;
            let code = ran.json()["error"]["code"].clone();
            assert!(code == "store_unreadable" || code == "key_mismatch", "{what}: {}", ran.out());
            assert_eq!(town.writes(), Vec::<String>::new(), "{what}");
        }
        assert_eq!(town.memberships(), had, "{what}");
    }
    println!("{refused} of 30 flips refused");
    assert!(refused > 0, "seed {seed}: the test reaches data");
    disk.put(&disk.good);
    town.assert_recovers();
}

/// A run that takes its time, under way: it has claimed the connection and asked for something.
fn under_way(town: &Town) -> Child {
    town.forget_requests();
    let child = command(town.bench.folder.path(), &["sync", "--json", "--full"]).spawn().unwrap();
    let start = Instant::now();
    while town.requests(|_| true).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "the run does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn slow(town: &Town, ms: u64) {
    let mut settings = (*town.bench.emulator.state().settings()).clone();
    settings.latency.site_ms = ms;
    town.bench.emulator.state().set_settings(settings);
}

#[test]
fn r_08_a_second_run_is_refused_and_told_who_holds_the_connection() {
    let mut town = Town::settled();
    town.a_day_passes();
    slow(&town, 400);
    let first = under_way(&town);
    let second = town.sync(&[]).expect(1);
    let error = second.json()["error"].clone();
    assert_eq!(error["code"], "connection_busy", "{error:#}");
    let holder = format!("process {} ", first.id());
    assert!(error["message"].as_str().unwrap().contains(&holder), "{holder}: {error:#}");
    assert!(error["remedy"].as_str().unwrap().contains("--wait"), "{error:#}");
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    slow(&town, 0);
    town.assert_exact();
    town.assert_recovers();
}

#[test]
fn r_08_a_second_run_that_may_wait_comes_after_the_first() {
    let mut town = Town::settled();
    town.a_day_passes();
    slow(&town, 200);
    let first = under_way(&town);
    let second = town.sync(&["--wait"]).expect(0).json();
    let output = first.wait_with_output().unwrap();
    let first: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&first["status"], &second["status"]), (&"converged".into(), &"converged".into()));
    let ended = |run: &serde_json::Value| {
        let at: jiff::Timestamp = run["started_at"].as_str().unwrap().parse().unwrap();
        at + Duration::from_millis(run["duration_ms"].as_u64().unwrap())
    };
    let began: jiff::Timestamp = second["started_at"].as_str().unwrap().parse().unwrap();
    assert!(began >= ended(&first) - Duration::from_millis(5), "{first:#}\n{second:#}");
    let done =
        second["steps"].as_object().unwrap().values().map(|n| n["done"].as_u64().unwrap_or(0)).sum::<u64>();
    assert_eq!(done, 0, "the first one left nothing to do: {second:#}");
    slow(&town, 0);
    town.assert_recovers();
}

#[test]
fn r_08_of_many_runs_at_once_one_works_and_nothing_is_done_twice() {
    let mut town = Town::settled();
    for _ in 0..3 {
        town.a_day_passes();
        town.forget_requests();
        let children: Vec<Child> = (0..6)
            .map(|_| command(town.bench.folder.path(), &["sync", "--json", "--full"]).spawn().unwrap())
            .collect();
        let mut worked = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            match output.status.code() {
                Some(0) => worked += 1,
                Some(1) => assert_eq!(told["error"]["code"], "connection_busy", "{told:#}"),
                code => panic!("{code:?}: {told:#}"),
            }
        }
        assert!(worked >= 1);
        let mut done: Vec<String> = town
            .requests(|e| e.surface == Surface::Site && e.method != "GET")
            .into_iter()
            .map(|e| format!("{} {}?{:?} {:?}", e.method, e.path, e.query, e.body))
            .collect();
        done.sort();
        let all = done.len();
        done.dedup();
        assert_eq!(done.len(), all, "something was written twice: {done:#?}");
        town.assert_exact();
    }
    town.assert_recovers();
    town.bench.entrain(&["audit", "verify"]).expect(0);
}

/// the log of changes is in the database; where that cannot grow, nothing is written to the site that it would not
/// have. The limit is the system's, so it holds for the file, its log and whatever else the program writes.
#[test]
fn r_07_where_the_audit_log_cannot_be_written_no_remote_write_happens() {
    let mut town = Town::settled();
    town.a_day_passes();
    let folder = town.bench.folder.path().to_owned();
    let limited = |blocks: u32| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let output = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_entrain"), "sync", "--json"])
            .env_clear()
            .env("ENTRAIN_DATA_DIR", folder.join("data"))
            .current_dir(&folder)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Ran { args: format!("sync with files of at most {blocks} blocks"), output }
    };
    let entries = |town: &Town| {
        let log = town.bench.entrain(&["audit", "export"]).expect(0).out();
        let about =
            |kind: &str| log.lines().filter(|line| line.contains(&format!("\"action\":\"{kind}\""))).count();
        about("add_member") + about("remove_member") + about("create_user") + about("create_group")
    };
    let before = entries(&town);
    let mut written = 0;
    for blocks in [0, 1, 8] {
        town.forget_requests();
        let ran = limited(blocks).expect(1);
        assert!(ran.json()["error"]["code"].is_string(), "{}", ran.out());
        assert_eq!(town.writes(), Vec::<String>::new(), "{blocks} blocks");
    }
    // Somewhere on the way it can write some of it: never more than the log then has
    for blocks in [32, 64, 128, 256, 512] {
        town.forget_requests();
        let ran = limited(blocks);
        written += town.writes().len();
        println!("{blocks} blocks: exit {:?}, {} writes", ran.output.status.code(), town.writes().len());
    }
    town.bench.entrain(&["audit", "verify"]).expect(0);
    town.forget_requests();
    town.sync(&[]).expect(0);
    written += town.writes().len();
    town.assert_exact();
    assert!(written > 0, "the day had something to do");
    assert_eq!(entries(&town) - before, written, "one entry for each write");
    town.assert_recovers();
}
