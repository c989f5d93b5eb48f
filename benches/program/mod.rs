//! The program as benchmarks run it: its commands, a connection to an emulated company, and what a process has cost.

#![allow(dead_code, clippy::allow_attributes, reason = "each benchmark uses a part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The path of another program than the one linked for benchmarks, such as one linked for a release.
const PROGRAM: &str = "ENTRAIN_BENCH_PROGRAM";

/// A command of the program over the data in this folder; it gets no input.
pub(crate) fn entrain(folder: &Path, args: &[&str]) -> Command {
    let linked = env!("CARGO_BIN_EXE_entrain").into();
    let mut command = Command::new(std::env::var_os(PROGRAM).unwrap_or(linked));
    command.args(args).env_clear().env("ENTRAIN_DATA_DIR", folder.join("data")).env("ENTRAIN_LOG", "error");
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end. What guards hold, and what is set aside, stands in no benchmark's way.
pub(crate) fn done(mut command: Command, input: &str) -> Fallible<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    child.stdin.take().ok_or("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if matches!(output.status.code(), Some(0 | 3 | 4)) {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stdout)).into())
}

/// Starts a command that goes on, and reads the line that it prints when it is ready.
pub(crate) fn begun(mut command: Command) -> Fallible<(Child, Value)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().ok_or("no output")?).read_line(&mut line)?;
    Ok((child, serde_json::from_str(&line)?))
}

/// Stores a connection named Bench to the company that the emulator describes, with everybody in scope.
pub(crate) fn connect(folder: &Path, company: &Value, more: &str) -> Fallible<()> {
    let text = |key: &str| company[key].as_str().unwrap_or_default();
    let document = format!(
        "name = \"Bench\"\n[directory]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n\
         authority_url = \"{}\"\ngraph_url = \"{}\"\n[site]\nurl = \"{}\"\nadmin_email = \"{}\"\napi_token = \"{}\"\n\
         [scope]\ngroups = [\"*\"]\n{more}",
        text("tenant_id"),
        text("client_id"),
        text("client_secret"),
        text("authority_url"),
        text("graph_url"),
        text("site_url"),
        text("admin_email"),
        text("api_token"),
    );
    let path = folder.join("connection.toml");
    std::fs::write(&path, document)?;
    done(entrain(folder, &["connection", "add", path.to_str().ok_or("a path that is no text")?]), "")
}

/// Processor time that a process has used, all its threads together; nothing where the system does not tell.
pub(crate) fn processor(child: &Child) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // Fields 14 and 15, counted behind the name in brackets; a hundred ticks a second on every Linux there is
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
