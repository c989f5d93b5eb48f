//! on a real file: no file may grow beyond a size (`prlimit --fsize`), which the database meets as it meets a
//! full disk. A run that cannot write stops before anything unlogged is sent and says which database it is; with room
//! again, the next one brings everything in step.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use crate::support::Ran;
use crate::town::Town;

/// What a process does that writes beyond its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// The write fails, as on a full disk.
    Fails,
    /// The system kills it, wherever it is.
    Kills,
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn prlimit() -> bool {
    let there = Command::new("prlimit").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        println!("skipped: prlimit (util-linux) is not here");
    }
    there
}

/// A run in full, none of whose files may grow beyond so many bytes.
fn confined(town: &Town, bytes: u64, beyond: Beyond) -> Ran {
    let trap = match beyond {
        Beyond::Fails => "trap '' XFSZ; exec \"$@\"",
        Beyond::Kills => "ulimit -c 0; exec \"$@\"",
    };
    let folder = town.bench.folder.path();
    let limit = format!("--fsize={bytes}");
    let args = ["sync", "--json", "--full"];
    let output = Command::new("sh")
        .args(["-c", trap, "sh", "prlimit", &limit, "--", env!("CARGO_BIN_EXE_entrain")])
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("ENTRAIN_DATA_DIR", folder.join("data"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ran = Ran { args: format!("{} within {bytes} bytes", args.join(" ")), output };
    town.assert_quiet(&ran);
    ran
}

/// Entries of the journal of the newest run, where there is one.
fn journaled(town: &Town) -> usize {
    let runs = town.bench.entrain(&["runs", "list", "--json"]).expect(0).json();
    let id = runs[0]["run_id"].as_str().unwrap_or_else(|| panic!("{runs:#}")).to_owned();
    let run = town.bench.entrain(&["runs", "show", &id, "--json"]).expect(0).json();
    run["journal"].as_array().unwrap().len()
}

/// Runs with ever more room until one passes; after each, everything can be put right. Gives how many failed.
fn until_there_is_room(beyond: Beyond, step: u64) -> usize {
    let (mut failed, mut bytes) = (0, 4096);
    loop {
        // Of its own: what many days take away would be held
        let mut town = Town::settled();
        town.a_day_passes();
        town.forget_requests();
        let had = town.memberships();
        let ran = confined(&town, bytes, beyond);
        let what = format!("{beyond:?}, {bytes} bytes");
        let sent = town.writes();
        town.assert_nothing_lost(&had);
        match (ran.output.status.code(), ran.output.status.signal()) {
            (Some(0), _) => {
                town.assert_recovers();
                town.bench.entrain(&["audit", "verify"]).expect(0);
                return failed;
            }
            (Some(1 | 4), _) if beyond == Beyond::Fails => {
                let said = ran.out();
                assert!(said.contains("store_failed"), "{what}: {said}");
                assert!(said.contains("database") || said.contains("entrain.db"), "{what}: {said}");
                assert!(said.contains("remedy"), "{what}: {said}");
            }
            // SIGXFSZ
            (None, Some(25)) if beyond == Beyond::Kills => {}
            other => panic!("{what}: {other:?}\n{}\n{}", ran.out(), ran.err()),
        }
        failed += 1;
        assert!(sent.len() <= journaled(&town), "{what}: sent without a word in the journal: {sent:#?}");
        town.assert_recovers();
        town.bench.entrain(&["audit", "verify"]).expect(0);
        bytes += step;
    }
}

#[test]
fn r_04_r_05_a_full_disk_stops_a_run_before_anything_unlogged_and_with_room_the_next_one_mends_it() {
    if prlimit() {
        let failed = until_there_is_room(Beyond::Fails, 48 * 1024);
        assert!(failed >= 3, "only {failed} sizes were too small");
    }
}

#[test]
fn r_01_r_05_a_run_that_is_killed_for_the_size_of_a_file_is_taken_up_by_the_next() {
    if prlimit() {
        let failed = until_there_is_room(Beyond::Kills, 96 * 1024);
        assert!(failed >= 3, "only {failed} sizes were too small");
    }
}
