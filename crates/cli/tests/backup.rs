//! `entrain admin backup` and `restore` through the real binary.

#[path = "support/mod.rs"]
mod support;

use support::{Bench, entrain_in};

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
