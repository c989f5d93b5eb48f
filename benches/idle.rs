//! What a service costs while nothing happens (quality.md P-7): memory, processor time, requests.
//!
//! `cargo bench -p entrain --bench idle [-- SECONDS]`. A service with nothing to do, and one with a connection that is in
//! step and is looked at every minute; each is looked at after it has settled.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Clock ticks of the kernel in a second, as `/proc` counts them on every Linux there is.
const TICKS: f64 = 100.0;

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
        let mut child = entrain(folder, args).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let mut running = Self { child, said: Value::Null };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        running.said = serde_json::from_str(&line)?;
        Ok(running)
    }

    fn text(&self, key: &str) -> &str {
        self.said[key].as_str().unwrap_or_default()
    }

    fn resident_kib(&self) -> Fallible<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Seconds of the processor so far.
    fn worked(&self) -> Fallible<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").ok_or("no fields")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks =
            |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        Ok((ticks(11) + ticks(12)) / TICKS)
    }
}

fn entrain(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entrain"));
    command.args(args).env_clear().env("ENTRAIN_DATA_DIR", folder.join("data")).env("ENTRAIN_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn done(mut command: Command) -> Fallible<()> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
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
    let document = format!(
        "name = \"Bench\"\n[directory]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n\
         authority_url = \"{}\"\ngraph_url = \"{}\"\n[site]\nurl = \"{}\"\nadmin_email = \"{}\"\napi_token = \"{}\"\n\
         [scope]\ngroups = [\"*\"]\n[schedule]\nevery = \"1m\"\n",
        emulator.text("tenant_id"),
        emulator.text("client_id"),
        emulator.text("client_secret"),
        emulator.text("authority_url"),
        emulator.text("graph_url"),
        emulator.text("site_url"),
        emulator.text("admin_email"),
        emulator.text("api_token"),
    );
    let path = folder.path().join("connection.toml");
    std::fs::write(&path, document)?;
    let path = path.to_str().ok_or("a path that is no text")?;
    done(entrain(folder.path(), &["connection", "add", path]))?;
    done(entrain(folder.path(), &["sync"]))?;
    done(entrain(folder.path(), &["connection", "mode", "bench", "apply"]))?;
    let polling = Running::start(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])?;
    row(&mut out, "1,000 people in step, polled every minute", &polling, seconds)?;
    Ok(())
}

fn row(out: &mut impl std::io::Write, what: &str, service: &Running, seconds: u32) -> Fallible<()> {
    // What starts once has ended by then: a first poll is due at once
    std::thread::sleep(Duration::from_secs(10));
    let before = service.worked()?;
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let worked = service.worked()? - before;
    let memory = service.resident_kib()? * 1024.0 / 1e6;
    let share = worked / f64::from(seconds) * 100.0;
    let met = if memory < 30.0 && share < 0.5 { "met" } else { "missed" };
    writeln!(out, "| {what} | {memory:.1} MB | {share:.2} % | {met} |")?;
    Ok(())
}
