//! Whole runs of the real program: first sync, a run that finds nothing changed, one after 1 % of the people moved, and the
//! pace that applying keeps up against the site's burst limit.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program::{connect, entrain};
use super::{Emulator, Fallible, control, get, put};

/// Sizes whose first sync writes within minutes; the clouds do not throttle.
const RUNS: [(&str, usize, usize); 2] = [("S", 1_000, 50), ("L", 10_000, 500)];

struct Ran {
    report: Value,
    time: Duration,
    peak_kib: u64,
}

impl Ran {
    fn requests(&self, plane: &str) -> u64 {
        self.report["requests"][plane].as_u64().unwrap_or(0)
    }

    fn written(&self) -> u64 {
        let steps = self.report["steps"].as_object();
        steps.into_iter().flatten().filter_map(|(_, step)| step["done"].as_u64()).sum()
    }
}

/// `entrain sync --json` in a process of its own, with the peak of its memory as far as looking every few milliseconds
/// shows it.
fn sync(folder: &Path, further: &[&str]) -> Fallible<Ran> {
    let start = Instant::now();
    let args = [&["sync", "--json"], further].concat();
    let mut child = entrain(folder, &args)
        .stdout(std::fs::File::create(folder.join("result.json"))?)
        .stderr(Stdio::null())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        peak_kib = now.max(peak_kib);
        std::thread::sleep(Duration::from_millis(3));
    }
    let report: Value = serde_json::from_slice(&std::fs::read(folder.join("result.json"))?)?;
    Ok(Ran { report, time: start.elapsed(), peak_kib })
}

/// Moves one person in a hundred: each leaves a group that they are in directly.
fn churn(emulator: &Emulator, people: usize) -> Fallible<usize> {
    let world = get(emulator.control(), "/world/export")?;
    let mut changes = Vec::new();
    for group in world["tenant"]["groups"].as_array().into_iter().flatten() {
        let members = group["members"].as_array().into_iter().flatten();
        let user = members.filter(|member| member["type"] == "user").nth(changes.len() % 7);
        if let Some(member) = user {
            changes.push(json!({"change": "remove_member", "group": group["id"], "member": member}));
        }
        if changes.len() * 100 >= people {
            break;
        }
    }
    control(emulator.control(), "POST", "/world/changes", &Value::from(changes.clone()).to_string())?;
    Ok(changes.len())
}

/// The table.
pub(crate) fn run(latency: u64, chosen: impl Fn(&str) -> bool) -> Fallible<String> {
    let mut out = format!(
        "| whole run, {latency} ms latency | to the directory | to the site | written | time | peak |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut row = |name: String, ran: &Ran| {
        writeln!(
            out,
            "| {name} ({}) | {} | {} | {} | {:.2} s | {} MB |",
            ran.report["status"].as_str().unwrap_or("?"),
            ran.requests("directory"),
            ran.requests("site"),
            ran.written(),
            ran.time.as_secs_f64(),
            ran.peak_kib / 1024,
        )
    };
    for (name, people, groups) in RUNS.into_iter().filter(|(name, ..)| chosen(name)) {
        let emulator = Emulator::start(people, groups, latency)?;
        let folder = tempfile::tempdir()?;
        connect(folder.path(), &emulator.description, "")?;
        row(format!("{name}: first sync"), &sync(folder.path(), &["--yes"])?)?;
        row(format!("{name}: nothing changed"), &sync(folder.path(), &[])?)?;
        let moved = churn(&emulator, people)?;
        row(format!("{name}: {moved} memberships ended"), &sync(folder.path(), &[])?)?;
    }
    if chosen("S") {
        let (_, people, groups) = RUNS[0];
        let emulator = Emulator::start(people, groups, latency)?;
        put(emulator.control(), "/settings", &json!({"atlassian": {"throttle": true}}))?;
        let folder = tempfile::tempdir()?;
        connect(folder.path(), &emulator.description, "")?;
        let ran = sync(folder.path(), &["--yes"])?;
        let memberships = ran.report["steps"]["add_member"]["done"].as_u64().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let pace = memberships as f64 / ran.time.as_secs_f64();
        let throttled = ran.report["requests"]["throttled"].as_u64().unwrap_or(0);
        row("S: first sync against 100 writes a second".to_owned(), &ran)?;
        writeln!(out, "\n{memberships} memberships at {pace:.1} a second, {throttled} answers 429")?;
    }
    Ok(out)
}
