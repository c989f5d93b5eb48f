//! Beside a reader that others wrote: Backstage's, from npm, on the same emulated tenant, one after the other.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Emulator, Fallible, SIZES, get, in_a_process_of_its_own};

/// Reads each size with both and writes the ratios.
pub(crate) fn run(latency: u64, chosen: impl Fn(&str) -> bool) -> Fallible<String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/node");
    if !scripts.join("node_modules").exists() {
        return Err("the npm packages are not there: run `npm ci` in tests/clients/node first".into());
    }
    let mut out = format!(
        "| read of the directory, {latency} ms latency | Entrain | Backstage | ratio |\n| --- | ---: | ---: | ---: |\n"
    );
    for (name, people, groups) in SIZES.into_iter().filter(|(name, ..)| chosen(name)) {
        let emulator = Emulator::start(people, groups, latency)?;
        let requests = || -> Fallible<u64> {
            let counts = get(emulator.control(), "/counts")?;
            let of = |surface: &str| counts["by_surface"][surface].as_u64().unwrap_or(0);
            Ok(of("graph") + of("authority"))
        };
        let job = json!({"kind": "directory", "size": name, "emulator": emulator.description});
        let ours = in_a_process_of_its_own(&job)?;
        let before = requests()?;
        let output = Command::new("node")
            .arg(scripts.join("read-with-backstage.mjs"))
            .arg(emulator.description.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let theirs: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("Backstage's reader gave no result: {error}"))?;
        let theirs_requests = requests()? - before;
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let mut row = |what: &str, a: f64, b: f64, unit: &str, digits: usize| {
            writeln!(out, "| {name}: {what} | {a:.digits$} {unit} | {b:.digits$} {unit} | {:.1} × |", b / a)
        };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        {
            row("requests", ours.directory_requests as f64, theirs_requests as f64, "", 0)?;
            row("time", ours.directory_ms / 1e3, number(&theirs["ms"]) / 1e3, "s", 2)?;
            row("peak memory", ours.read_kib as f64 / 1024.0, number(&theirs["peak_kib"]) / 1024.0, "MB", 0)?;
        }
    }
    Ok(out)
}
