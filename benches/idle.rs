//! What a service costs while nothing happens (quality.md P-7): memory, processor time, requests.
//!
//! `cargo bench -p entrain --bench idle [-- SECONDS]`. A service with nothing to do, and one with a connection that is in
//! step and is looked at every minute; each is looked at after it has settled. `ENTRAIN_BENCH_PROGRAM` names another program
//! to look at, such as one that is linked for a release.

mod program;

use std::io::Write as _;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use program::{Fallible, begun, connect, done, entrain, processor};
use serde_json::Value;

struct Running {
    child: Child,
    said: Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// A command of the program that says on its first line what it is.
    fn start(folder: &Path, args: &[&str]) -> Fallible<Self> {
        let (child, said) = begun(entrain(folder, args))?;
        Ok(Self { child, said })
    }

    fn resident_kib(&self) -> Fallible<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

fn main() -> Fallible<()> {
    let seconds: u32 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(60);
    let mut out = std::io::stdout();
    writeln!(out, "| a service for {seconds} s | memory | processor | P-7: < 30 MB, 0 % |")?;
    writeln!(out, "| --- | ---: | ---: | ---: |")?;

    let folder = tempfile::tempdir()?;
    let nothing = Running::start(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])?;
    row(&mut out, "without a connection", &nothing, seconds)?;
    drop(nothing);

    let emulator = Running::start(folder.path(), &["emulate", "--people", "1000", "--groups", "50"])?;
    connect(folder.path(), &emulator.said, "[schedule]\nevery = \"1m\"\n")?;
    done(entrain(folder.path(), &["sync", "--yes"]), "")?;
    done(entrain(folder.path(), &["connection", "mode", "Bench", "apply"]), "")?;
    let polling = Running::start(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])?;
    row(&mut out, "1,000 people in step, polled every minute", &polling, seconds)?;
    Ok(())
}

fn row(out: &mut impl std::io::Write, what: &str, service: &Running, seconds: u32) -> Fallible<()> {
    // What starts once has ended by then: a first poll is due at once
    std::thread::sleep(Duration::from_secs(10));
    let worked = || processor(&service.child).ok_or("the system does not tell the processor time");
    let before = worked()?;
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let used = worked()?.saturating_sub(before);
    let memory = service.resident_kib()? * 1024.0 / 1e6;
    let share = used.as_secs_f64() / f64::from(seconds) * 100.0;
    let met = if memory < 30.0 && share < 0.5 { "met" } else { "missed" };
    writeln!(out, "| {what} | {memory:.1} MB | {share:.2} % | {met} |")?;
    Ok(())
}
