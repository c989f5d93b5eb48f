//! The pages of the reference are as the program prints them; `ENTRAIN_BLESS=1` rewrites them.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::path::Path;

fn page_is_current(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let printed = support::entrain_in(folder.path(), &["reference", name], &[]).expect(0).out();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/reference/{name}.md"));
    if std::env::var_os("ENTRAIN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &printed).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == printed, "{name}.md has drifted: ENTRAIN_BLESS=1 cargo nextest run -p entrain reference");
}

#[test]
fn the_reference_of_configuration_is_current() {
    page_is_current("configuration");
}

#[test]
fn the_reference_of_errors_is_current() {
    page_is_current("errors");
}

#[test]
fn the_reference_of_commands_is_current() {
    page_is_current("commands");
}
