//! What packages and containers say of the program is true: files are there, options and variables exist.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn packaging(name: &str) -> String {
    let path = here().join("../../packaging").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn metadata() -> toml::Table {
    let manifest: toml::Table = std::fs::read_to_string(here().join("Cargo.toml")).unwrap().parse().unwrap();
    manifest["package"]["metadata"]["deb"].as_table().unwrap().clone()
}

fn texts(value: &toml::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What `entrain COMMAND --help` says.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_entrain")).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "entrain {} --help", command.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails when the program would not read one of these variables.
fn are_variables(text: &str) {
    let help = help(&["serve"]);
    let mut found = 0;
    for line in text.lines().map(|line| line.trim_start_matches('#').trim()) {
        for word in line.split_whitespace().map(|word| word.trim_start_matches("Environment=")) {
            let Some((name, _)) = word.split_once('=').filter(|(name, _)| name.starts_with("ENTRAIN_"))
            else {
                continue;
            };
            // The level of the log is told by the documentation, to keep it out of each command's help
            assert!(name == "ENTRAIN_LOG" || help.contains(&format!("[env: {name}]")), "{name}\n{help}");
            found += 1;
        }
    }
    assert!(found > 0, "{text}");
}

/// The values of a key of a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.split_once('=')).filter(|(k, _)| *k == key).map(|(_, v)| v).collect()
}

/// Whether there is a file of this name, `*.md` standing for all of them.
fn exists(source: &str) -> bool {
    let path = here().join(source);
    match path.file_name().unwrap().to_str().unwrap().strip_prefix('*') {
        None => path.is_file(),
        Some(end) => {
            let files = std::fs::read_dir(path.parent().unwrap());
            files.is_ok_and(|mut all| all.any(|file| file.unwrap().path().to_string_lossy().ends_with(end)))
        }
    }
}

#[test]
fn the_debian_package_is_made_of_files_that_are_there() {
    let deb = metadata();
    let assets: Vec<Vec<&str>> = deb["assets"].as_array().unwrap().iter().map(texts).collect();
    let mut targets = Vec::new();
    for asset in &assets {
        let [source, target, mode] = asset[..] else { panic!("{asset:?}") };
        // The one path that is seen from the folder of what was built
        assert!(source == "target/release/entrain" || exists(source), "{source} is not there");
        assert!(!target.starts_with('/') && u32::from_str_radix(mode, 8).is_ok(), "{asset:?}");
        targets.push(target);
    }
    assert!(targets.contains(&"usr/bin/"), "the program");
    for kept in texts(&deb["conf-files"]) {
        assert!(targets.contains(&kept.trim_start_matches('/')), "{kept} is in no asset");
    }
    assert!(here().join(deb["license-file"][0].as_str().unwrap()).is_file());

    let units = deb["systemd-units"].as_table().unwrap();
    let unit = format!("{}.service", units["unit-name"].as_str().unwrap());
    assert!(here().join(units["unit-scripts"].as_str().unwrap()).join(unit).is_file());
    let scripts = here().join(deb["maintainer-scripts"].as_str().unwrap());
    for script in std::fs::read_dir(scripts).unwrap() {
        let path = script.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#!/bin/sh\nset -e\n"), "{}", path.display());
        assert!(text.contains("\n#DEBHELPER#\n"), "{} leaves out what starts the service", path.display());
        let parsed = Command::new("sh").arg("-n").arg(&path).status().unwrap();
        assert!(parsed.success(), "{}", path.display());
    }
    // Without these there is no way to the clouds, no time zone, no user
    let needed = deb["depends"].as_str().unwrap();
    for package in ["ca-certificates", "tzdata", "systemd"] {
        assert!(needed.contains(package), "{needed}");
    }
}

#[test]
fn the_unit_starts_what_the_program_has_as_the_user_whom_the_package_makes() {
    let unit = packaging("entrain.service");
    let [start] = values(&unit, "ExecStart")[..] else { panic!("{unit}") };
    let words: Vec<&str> = start.split_whitespace().collect();
    assert_eq!(words[0], "/usr/bin/entrain");
    let commands: Vec<&str> = words[1..].iter().copied().take_while(|word| !word.starts_with('-')).collect();
    assert_eq!(commands, ["serve"]);
    let help = help(&commands);
    for option in words.iter().filter(|word| word.starts_with("--")) {
        assert!(help.contains(option.split('=').next().unwrap()), "{option}");
    }
    are_variables(&unit);
    are_variables(&packaging("environment"));

    let sysusers = packaging("sysusers.conf");
    let [user] = values(&unit, "User")[..] else { panic!("{unit}") };
    assert!(sysusers.contains(&format!("\nu {user} ")), "{sysusers}");
    let [state] = values(&unit, "StateDirectory")[..] else { panic!("{unit}") };
    let folder = Path::new("/var/lib").join(state);
    assert!(unit.contains(&format!("ENTRAIN_DATA_DIR={}", folder.display())), "{unit}");
    assert!(sysusers.contains(folder.to_str().unwrap()), "{sysusers}");
    assert_eq!(values(&unit, "StateDirectoryMode"), ["0700"]);
    let [file] = values(&unit, "EnvironmentFile")[..] else { panic!("{unit}") };
    let kept = metadata()["conf-files"].clone();
    assert!(texts(&kept).contains(&file.trim_start_matches('-')), "{file}");
    // Longer than the service takes to stop at a step boundary
    let [stop] = values(&unit, "TimeoutStopSec")[..] else { panic!("{unit}") };
    assert!(stop.parse::<u32>().unwrap() > 10);
}

#[test]
fn the_unit_is_one_that_systemd_understands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entrain.service");
    // What is not on this machine is left out: the program's place, and the user
    let unit = packaging("entrain.service")
        .replace("/usr/bin/entrain", env!("CARGO_BIN_EXE_entrain"))
        .replace("=entrain\nGroup=entrain\n", "=root\nGroup=root\n");
    std::fs::write(&path, unit).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        println!("skipped: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("entrain.service")).collect();
    assert!(ours.is_empty(), "{said}");
}

#[test]
fn the_container_has_all_that_the_program_needs_and_no_root() {
    let file = packaging("Dockerfile");
    let (build, last) = file.rsplit_once("\nFROM ").unwrap();
    assert!(last.starts_with("scratch\n"), "nothing but the program");
    let lines = |word: &str| {
        let word = format!("{word} ");
        last.lines().filter_map(|line| line.strip_prefix(&word)).collect::<Vec<_>>()
    };
    let [user] = lines("USER")[..] else { panic!("{last}") };
    for id in user.split(':') {
        assert!(id.parse::<u32>().unwrap() > 0, "a number, because there is no list of users: {user}");
    }
    let copies = lines("COPY").join("\n");
    // Whom to trust on the way to the clouds, and the time zones of schedules
    for needed in
        ["/src/target/release/entrain /entrain", "/etc/ssl/certs/ca-certificates.crt", "/usr/share/zoneinfo"]
    {
        assert!(copies.contains(needed), "{needed} is not in the image\n{copies}");
    }
    assert!(build.contains("ca-certificates") && build.contains("tzdata"), "{build}");
    assert!(copies.contains(&format!("--chown={user} /data /data")), "the data are the user's");
    assert_eq!((lines("ENTRYPOINT"), lines("CMD")), (vec!["[\"/entrain\"]"], vec!["[\"serve\"]"]));
    assert_eq!(lines("STOPSIGNAL"), ["SIGTERM"]);
    are_variables(&lines("ENV").join("\n"));
    let environment = lines("ENV").join(" ");
    let [port] = lines("EXPOSE")[..] else { panic!("{last}") };
    assert!(environment.contains(&format!("ENTRAIN_LISTEN=0.0.0.0:{port}")), "{environment}");
    let [volume] = lines("VOLUME")[..] else { panic!("{last}") };
    assert!(environment.contains(&format!("ENTRAIN_DATA_DIR={volume} ")), "{environment}");
    // The context has the sources, and not what was built here
    let ignored = std::fs::read_to_string(here().join("../../.dockerignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().collect();
    assert!(ignored.contains(&"target") && !ignored.contains(&"crates"), "{ignored:?}");
}

#[test]
fn the_page_on_installing_names_files_and_commands_that_there_are() {
    let page = std::fs::read_to_string(here().join("../../docs/operation/install.md")).unwrap();
    let mut commands = 0;
    for line in page.lines().filter(|line| line.starts_with("$ ")) {
        let Some((_, given)) = line.rsplit_once(" entrain ") else { continue };
        let is_command = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let words: Vec<&str> = given
            .split_whitespace()
            .take_while(is_command)
            .take_while(|word| !word.starts_with('-'))
            .collect();
        if !words.is_empty() {
            help(&words);
            commands += 1;
        }
    }
    assert!(commands >= 2, "{commands}");
    for file in [
        "packaging/Dockerfile",
        "packaging/entrain.service",
        "packaging/sysusers.conf",
        "packaging/environment",
    ] {
        assert!(page.contains(file), "{file}");
        assert!(here().join("../..").join(file).is_file(), "{file}");
    }
}
