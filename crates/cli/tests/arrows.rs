//! Every arrow between our crates points where the design says; dev-dependencies too.

use std::collections::BTreeSet;
use std::process::Command;

/// What each crate may use of ours (design, section 3).
const ALLOWED: &[(&str, &[&str])] = &[
    ("entrain-domain", &[]),
    ("entrain-emulator", &[]),
    ("entrain-engine", &["entrain-domain"]),
    ("entrain-connect", &["entrain-domain"]),
    ("entrain-store", &["entrain-domain"]),
    ("entrain-server", &["entrain-domain", "entrain-engine"]),
    (
        "entrain",
        &[
            "entrain-domain",
            "entrain-emulator",
            "entrain-engine",
            "entrain-connect",
            "entrain-store",
            "entrain-server",
        ],
    ),
];

#[test]
fn arrows_between_crates_point_towards_the_domain() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = ALLOWED.iter().find(|(ours, _)| *ours == name) else {
            // Crates for benchmarks and tests only meet everything, as the binary does
            assert!(!name.starts_with("entrain-") || name.ends_with("-bench"), "{name} is not in the design");
            continue;
        };
        seen.insert(name);
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(!ours.contains(used) || allowed.contains(&used), "{name} must not use {used}");
        }
    }
    assert_eq!(seen, ours, "the seven crates are there");
}
