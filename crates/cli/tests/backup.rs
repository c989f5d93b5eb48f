//! `entrain admin backup`, `restore` and `rotate-key` through the real binary.

#[path = "support/mod.rs"]
mod support;

use rand::{RngExt as _, SeedableRng as _};
use support::{Bench, command, entrain_in};

#[test]
fn h_05_a_backup_moves_to_another_machine_with_its_key() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    bench.entrain(&["sync", "--yes", "--json"]);
    let made = bench.entrain(&["admin", "backup", "b.entrain", "--json"]).expect(0).json();
    assert_eq!(made["file"], "b.entrain");
    let file = bench.folder.path().join("b.entrain");
    // A file that is there is left alone
    let again = bench.entrain(&["admin", "backup", "b.entrain"]).expect(1);
    assert!(again.err().contains("exists already"), "{}", again.err());

    let other = tempfile::tempdir().unwrap();
    let file = file.to_str().unwrap();
    // The key of another machine opens nothing: said before anything is written
    let keyless = entrain_in(other.path(), &["admin", "restore", file], &[]).expect(1);
    assert!(keyless.err().contains("secret.key"), "{}", keyless.err());
    let key = bench.folder.path().join("data/secret.key");
    std::fs::copy(key, other.path().join("data/secret.key")).unwrap();
    let restored = entrain_in(other.path(), &["admin", "restore", file, "--json"], &[]).expect(0).json();
    assert_eq!(restored["sha256"], made["sha256"]);
    entrain_in(other.path(), &["audit", "verify"], &[]).expect(0);
    let runs = |json: serde_json::Value| json.as_array().unwrap().len();
    assert_eq!(
        runs(entrain_in(other.path(), &["runs", "list", "--json"], &[]).expect(0).json()),
        runs(bench.entrain(&["runs", "list", "--json"]).expect(0).json())
    );
    // Its memory is good enough to plan with: there is nothing to do
    entrain_in(other.path(), &["plan", "--full", "--detailed-exitcode"], &[]).expect(0);

    // What is there is given up only on somebody's word
    entrain_in(other.path(), &["admin", "restore", file], &[]).expect(2);
    let asked = entrain_in(other.path(), &["admin", "restore", file, "--replace"], &[]).expect(2);
    assert!(asked.err().contains("--yes"), "{}", asked.err());
    entrain_in(other.path(), &["admin", "restore", file, "--replace", "--yes"], &[]).expect(0);
    entrain_in(other.path(), &["audit", "verify"], &[]).expect(0);
}

#[test]
fn s_04_a_rotation_that_is_killed_leaves_every_secret_readable() {
    let bench = Bench::demo();
    bench.add("\"Jira *\"");
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let began = std::time::Instant::now();
    let whole = bench.entrain(&["admin", "rotate-key"]).expect(0);
    let took = began.elapsed();
    assert!(whole.out().contains("2 secrets are sealed with it"), "{}", whole.out());
    let keys = || {
        let files = std::fs::read_dir(bench.folder.path().join("data")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("secret.key.retired-")).count()
    };
    for round in 0..16 {
        let before = keys();
        let mut child = command(bench.folder.path(), &["admin", "rotate-key"]).spawn().unwrap();
        // The writing is at its end
        std::thread::sleep(took.mul_f64(random.random_range(0.3..1.05)));
        child.kill().unwrap();
        child.wait().unwrap();
        // Opens every secret, or fails
        bench.entrain(&["connection", "export", "Azure AD"]).expect(0);
        println!("round {round}: {}", if keys() > before { "rotated" } else { "as before" });
    }
    bench.entrain(&["admin", "rotate-key"]).expect(0);
    bench.entrain(&["check"]).expect(0);
    bench.entrain(&["audit", "verify"]).expect(0);
}
