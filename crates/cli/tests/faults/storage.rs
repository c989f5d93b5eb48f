//! The state file cut off or changed, and two programs on one state.

use std::path::PathBuf;

use entrain_emulator::Surface::Site;
use entrain_emulator::faults::FaultKind;

use crate::town::{Town, on, once};

fn database(town: &Town) -> PathBuf {
    town.bench.folder.path().join("data/entrain.db")
}

#[test]
fn r_06_a_state_file_that_was_cut_off_is_refused_and_left_as_it_is() {
    let town = Town::settled();
    let path = database(&town);
    let whole = std::fs::read(&path).unwrap();
    let had = town.memberships();
    let mut refused = 0;
    for keep in [1, 100, 900, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        town.forget_requests();
        let ran = town.sync(&[]);
        if ran.output.status.code() == Some(0) {
            // SQLite restored what was cut off from its write-ahead log; then nothing is missing
            assert_eq!(ran.json()["steps"], serde_json::json!({}), "{keep} bytes");
            town.assert_exact();
            continue;
        }
        refused += 1;
        assert_eq!(ran.output.status.code(), Some(1), "{keep} bytes: {}", ran.out());
        let error = ran.json()["error"].clone();
        assert_eq!(error["code"], "store_unreadable", "{keep} bytes: {error}");
        assert!(error["remedy"].as_str().is_some_and(|text| text.len() > 10), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..keep], "the file was changed");
        assert_eq!(town.requests(|_| true).len(), 0, "{keep} bytes");
    }
    assert!(refused >= 4, "only {refused} were refused");
    assert_eq!(town.memberships(), had);
    std::fs::write(&path, &whole).unwrap();
    town.assert_recovers();
}

#[test]
fn r_06_flipped_bits_are_refused_or_harmless() {
    let seed = 20_261_126_u64;
    println!("seed {seed}");
    let mut town = Town::settled();
    let path = database(&town);
    let whole = std::fs::read(&path).unwrap();
    town.a_day_passes();
    let had = town.memberships();
    let mut state = seed;
    let mut refused = 0;
    for _ in 0..60 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from((state >> 20) % whole.len() as u64).unwrap();
        let mut changed = whole.clone();
        changed[at] ^= 1 << ((state >> 60) % 8);
        std::fs::write(&path, &changed).unwrap();
        let ran = town.run(&["plan", "--json"]);
        match ran.output.status.code() {
            Some(0 | 3) => {}
            Some(1) => {
                refused += 1;
                let code = ran.json()["error"]["code"].clone();
                assert!(code == "store_unreadable" || code == "key_mismatch", "byte {at}: {}", ran.out());
            }
            other => panic!("byte {at}: {other:?}\n{}\n{}", ran.out(), ran.err()),
        }
        assert_eq!(town.memberships(), had);
    }
    assert!(refused > 0, "no flip was noticed");
    std::fs::write(&path, &whole).unwrap();
    town.assert_recovers();
}

#[test]
fn r_08_a_second_program_is_refused_and_told_who_is_at_work() {
    let mut town = Town::settled();
    town.a_day_passes();
    town.fault(once(on(Site, "/rest/api/3/group/user", FaultKind::StallHeaders { ms: 8_000 })));
    let first = town.sync_in_background(&["--full"]);
    town.until_struck();
    let second = town.sync(&["--full"]).expect(1);
    let error = second.json()["error"].clone();
    assert_eq!(error["code"], "connection_busy");
    assert!(
        error["message"].as_str().is_some_and(|text| text.contains(&format!("process {}", first.id()))),
        "{error}"
    );
    let third = town.sync(&["--wait"]).expect(0);
    assert_eq!(third.json()["status"], "converged");
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stdout));
    town.assert_exact();
}

#[test]
fn r_08_of_many_programs_at_once_one_applies() {
    let mut town = Town::settled();
    for round in 0..4 {
        town.a_day_passes();
        town.forget_requests();
        let racing: Vec<_> = (0..6).map(|_| town.sync_in_background(&["--full"])).collect();
        let codes: Vec<_> =
            racing.into_iter().map(|child| child.wait_with_output().unwrap().status.code()).collect();
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 1))), "round {round}: {codes:?}");
        assert!(codes.contains(&Some(0)), "round {round}: {codes:?}");
        let done =
            town.requests(|e| e.surface == Site && e.method != "GET" && e.status.is_some_and(|s| s < 300));
        let mut done: Vec<_> = done.into_iter().map(|e| (e.method, e.path, e.query, e.body)).collect();
        done.sort();
        let all = done.len();
        done.dedup();
        assert_eq!(done.len(), all, "round {round}: something was done by two");
        town.assert_exact();
    }
}
