//! Scenarios: text in, text out, through the real binary. Each file of `tests/scenarios` is a page that a person can read
//! and that is played as it stands; `tests/scenarios/README.md` says what the blocks mean. With `ENTRAIN_BLESS=1` what is
//! shown is written anew, to be read before it is committed.

#![expect(clippy::unwrap_used, reason = "test code")]

#[path = "../support/mod.rs"]
mod support;

mod page;
mod play;

use std::path::{Path, PathBuf};

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md") && !path.ends_with("README.md"))
        .collect();
    pages.sort();
    pages
}

#[test]
fn every_scenario_shows_what_its_page_says() {
    let bless = std::env::var_os("ENTRAIN_BLESS").is_some();
    let pages = pages();
    assert!(!pages.is_empty());
    let mut wrong = Vec::new();
    for path in pages {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        println!("playing {name}");
        let text = std::fs::read_to_string(&path).unwrap();
        let played = play::play(&name, &text);
        if played == text {
            continue;
        }
        if bless {
            std::fs::write(&path, played).unwrap();
        } else {
            wrong.push(format!("{name}\n{}", page::difference(&text, &played)));
        }
    }
    assert!(wrong.is_empty(), "ENTRAIN_BLESS=1 writes the pages anew\n\n{}", wrong.join("\n\n"));
}
