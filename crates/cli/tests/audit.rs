//! The audit log through the real binary: listed, exported, proved; and where files go whose names others choose.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be built is a failed test")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use entrain_emulator::control::WorldChange;
use serde_json::{Value, json};
use support::Bench;

fn change(bench: &Bench, change: Value) {
    let change: WorldChange = serde_json::from_value(change).unwrap();
    bench.emulator.state().change(change).unwrap();
}

fn synced(bench: &Bench) {
    let ran = bench.entrain(&["sync", "--yes", "--json"]);
    assert!(matches!(ran.output.status.code(), Some(0 | 4)), "{}", ran.out());
}

#[test]
fn the_log_is_listed_by_moment_and_object_and_exported_whole() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    synced(&bench);
    let all: Vec<Value> = bench
        .entrain(&["audit", "export"])
        .expect(0)
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(all.len() > 10);
    assert!(all.iter().enumerate().all(|(at, entry)| entry["seq"] == at + 1), "no gaps, in order");
    let csv = bench.entrain(&["audit", "export", "--format", "csv"]).expect(0).out();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        ["seq", "at", "actor", "action", "object", "detail", "hash"]
    );
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), all.len());
    for (record, entry) in records.iter().zip(&all) {
        assert_eq!(&record[0], entry["seq"].to_string());
        assert_eq!(&record[6], entry["hash"].as_str().unwrap());
    }

    let object = all.last().unwrap()["object"].as_str().unwrap().to_owned();
    let listed = bench.entrain(&["audit", "list", "--object", &object, "--json"]).expect(0).json();
    let listed = listed.as_array().unwrap();
    assert!(!listed.is_empty() && listed.iter().all(|e| e["object"].as_str().unwrap().contains(&object)));
    let future = bench.entrain(&["audit", "list", "--since", "2999-01-01", "--json"]).expect(0).json();
    assert_eq!(future, json!([]));
    let two = bench.entrain(&["audit", "list", "--limit", "2", "--json"]).expect(0).json();
    assert_eq!(two.as_array().unwrap().len(), 2);
    bench.entrain(&["audit", "list", "--since", "yesterday"]).expect(2);
    assert_eq!(bench.entrain(&["audit", "verify", "--json"]).expect(0).json()["entries"], all.len());

    let out = bench.folder.path().join("log.jsonl");
    let args = ["audit", "export", "--out", out.to_str().unwrap()];
    bench.entrain(&args).expect(0);
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), all.len());
    let again = bench.entrain(&args).expect(2);
    assert!(again.err().contains("log.jsonl"), "an export never replaces a file: {}", again.err());
}

/// H-04: names that a spreadsheet would compute.
#[test]
fn h_04_no_export_has_a_cell_that_a_spreadsheet_computes() {
    let bench = Bench::demo();
    bench.add("\"*\"");
    let starts = [
        "=",
        "+",
        "-",
        "@",
        "\t",
        "\r",
        "\n",
        " =",
        "\t @",
        "＝",
        "＋",
        "－",
        "＠",
        "\u{200B}=",
        "\u{FEFF}=",
    ];
    let bodies =
        ["1+1", "HYPERLINK(\"http://x.example\",\"y\")", "cmd|' /C calc'!A0", "SUM(A1:A9)", "2,3;4\"5"];
    let corpus: Vec<String> =
        starts.iter().flat_map(|s| bodies.iter().map(move |b| format!("{s}{b}"))).collect();
    assert!(corpus.len() >= 75);
    let users: Vec<String> = bench.emulator.state().world().tenant.users.keys().cloned().collect();
    let accounts: Vec<String> = bench.emulator.state().world().tenant.groups.keys().cloned().collect();
    for (n, name) in corpus.iter().enumerate() {
        if let Some(user) = users.get(n) {
            change(&bench, json!({"change": "update_user", "user": user, "set": {"displayName": name}}));
        }
        if let Some(group) = accounts.get(n) {
            change(&bench, json!({"change": "rename_group", "group": group, "name": name}));
        }
    }
    synced(&bench);
    for user in users.iter().take(6) {
        change(&bench, json!({"change": "disable_user", "user": user}));
    }
    let exports = [
        &["audit", "export", "--format", "csv"][..],
        &["report", "leavers", "--format", "csv"],
        &["report", "unlinked", "--format", "csv"],
        &["report", "drift", "--format", "csv"],
        &["report", "seats", "--format", "csv"],
        &["report", "credentials", "--format", "csv"],
    ];
    let mut escaped = 0;
    for args in exports {
        let text = bench.entrain(args).expect(0).out();
        assert!(!text.chars().any(|c| c.is_control() && c != '\r' && c != '\n'), "{args:?}: {text:?}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let width = reader.headers().unwrap().len();
        for record in reader.records() {
            let record = record.unwrap();
            assert_eq!(record.len(), width, "{args:?}: {record:?}");
            for cell in &record {
                escaped += usize::from(cell.starts_with('\''));
                let seen = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FFFD}');
                let number = seen.parse::<f64>().is_ok();
                assert!(
                    number || !seen.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']),
                    "{args:?}: {cell:?}"
                );
            }
        }
    }
    assert!(escaped > 0, "the corpus reached the exports");
}

/// Every file below a folder.
fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

/// H-05: names of connections, groups and people never become paths.
#[test]
fn h_05_no_name_takes_a_file_out_of_its_folder() {
    let bench = Bench::demo();
    let names = [
        "../../escape",
        "..",
        "../data/../../x",
        "/tmp/entrain-h05-absolute",
        "C:\\\\entrain-h05",
        "CON",
        "NUL.txt",
        "a/b/c",
        "\\\\\\\\host\\\\share",
        "%2e%2e%2fx",
        "..\\\\..\\\\x",
        "~/entrain-h05",
        "$HOME/x",
        ".hidden",
    ];
    let group = {
        let world = bench.emulator.state().world();
        world.tenant.groups.keys().next().unwrap().clone()
    };
    change(&bench, json!({"change": "rename_group", "group": group, "name": "../../entrain-h05-group"}));
    let root = bench.folder.path().to_owned();
    let outside = root.parent().unwrap().to_owned();
    let beside = |outside: &Path| -> BTreeSet<PathBuf> {
        let entries = std::fs::read_dir(outside).unwrap().map(|e| e.unwrap().path());
        entries
            .filter(|p| p.to_string_lossy().contains("h05") || p.to_string_lossy().contains("escape"))
            .collect()
    };
    assert_eq!(beside(&outside), BTreeSet::new());
    for name in names {
        let document = bench.document("\"*\"").replace("name = \"Azure AD\"", &format!("name = \"{name}\""));
        let path = bench.file("connection.toml", &document);
        let file = path.to_str().unwrap();
        let before = tree(&root);
        let plan = root.join("plan.json");
        bench.entrain(&["plan", "--connection-file", file, "--out", plan.to_str().unwrap(), "--json"]);
        bench.entrain(&["connection", "add", file]);
        bench.entrain(&["report", "unlinked", "--connection-file", file, "--format", "csv"]);
        let written: Vec<PathBuf> = tree(&root).difference(&before).cloned().collect();
        for path in &written {
            assert!(*path == plan || path.starts_with(root.join("data")), "{name}: {path:?}");
        }
        let _ = std::fs::remove_file(&plan);
        assert_eq!(beside(&outside), BTreeSet::new(), "{name}");
        assert_eq!(beside(Path::new("/tmp")), BTreeSet::new(), "{name}");
    }
    // An export goes to the file that the operator names, and stays away from what is there already
    let target = root.join("there.jsonl");
    std::fs::write(&target, "mine").unwrap();
    bench.entrain(&["audit", "export", "--out", target.to_str().unwrap()]).expect(2);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    #[cfg(unix)]
    {
        let link = root.join("link.jsonl");
        std::os::unix::fs::symlink(root.join("elsewhere.jsonl"), &link).unwrap();
        bench.entrain(&["audit", "export", "--out", link.to_str().unwrap()]).expect(2);
        assert!(!root.join("elsewhere.jsonl").exists(), "no link is followed");
    }
}
