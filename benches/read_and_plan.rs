//! What reading a company and planning its site costs: requests, time, peak memory, and how they grow with size.
//!
//! `cargo bench -p entrain --bench read_and_plan [-- [--latency MS] [beside|runs] S L XL planner]`; `docs/benchmarks.md` says what each
//! row means. The emulator runs in a process of its own and each size is measured in a fresh one, so that a peak is one
//! reader's own. Nothing is written: the plan is made and checked, not applied.

mod program;

#[path = "read_and_plan/beside.rs"]
mod beside;
#[path = "read_and_plan/measure.rs"]
mod measure;
#[path = "read_and_plan/runs.rs"]
mod runs;
#[path = "read_and_plan/synthetic.rs"]
mod synthetic;
#[path = "read_and_plan/table.rs"]
mod table;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use measure::Measured;
use program::Fallible;
use serde_json::{Value, json};

/// Set for the processes that measure; carries what they are to do.
const JOB: &str = "ENTRAIN_BENCH_JOB";
/// Other tables instead: the directory beside a reader that others wrote, and whole runs of the real program.
const OTHERS: [&str; 2] = ["beside", "runs"];

/// A company: name, people, groups; the generator gives groups 60 members on average.
const SIZES: [(&str, usize, usize); 3] = [("S", 1_000, 50), ("L", 10_000, 500), ("XL", 100_000, 5_000)];
/// Without clouds, for the planner alone.
const PLANNER: [(&str, usize, usize); 3] =
    [("10k", 10_000, 500), ("100k", 100_000, 5_000), ("1M", 1_000_000, 50_000)];

fn main() -> Fallible<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Ok(job) = std::env::var(JOB) {
        let measured = measure::run(&serde_json::from_str(&job)?)?;
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&measured)?)?;
        return Ok(());
    }
    let (latency, mut wanted) = arguments()?;
    let other = wanted.iter().position(|name| OTHERS.contains(&&**name)).map(|at| wanted.remove(at));
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w.eq_ignore_ascii_case(name));
    if let Some(other) = other {
        let table =
            if other == "beside" { beside::run(latency, chosen)? } else { runs::run(latency, chosen)? };
        write!(std::io::stdout(), "{table}")?;
        return Ok(());
    }
    let mut sizes = Vec::new();
    for (name, people, groups) in SIZES.into_iter().filter(|(name, ..)| chosen(name)) {
        let emulator = Emulator::start(people, groups, latency)?;
        let job = json!({"kind": "clouds", "size": name, "emulator": emulator.description});
        sizes.push(in_a_process_of_its_own(&job)?);
    }
    let mut planner = Vec::new();
    for (name, people, groups) in PLANNER.into_iter().filter(|_| chosen("planner")) {
        for change in ["first", "none", "leavers"] {
            let job = json!({"kind": "planner", "size": format!("{name}, {change}"), "people": people,
                "groups": groups, "change": change});
            planner.push(in_a_process_of_its_own(&job)?);
        }
    }
    write!(std::io::stdout(), "{}", table::render(&sizes, &planner, latency))?;
    Ok(())
}

fn arguments() -> Fallible<(u64, Vec<String>)> {
    let (mut latency, mut wanted) = (0, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own
            "--bench" => {}
            "--latency" => latency = arguments.next().ok_or("--latency needs milliseconds")?.parse()?,
            name if name == "planner"
                || OTHERS.contains(&name)
                || SIZES.iter().any(|(size, ..)| size.eq_ignore_ascii_case(name)) =>
            {
                wanted.push(name.to_owned());
            }
            other => {
                return Err(
                    format!("“{other}” is none of: --latency MS, S, L, XL, planner, beside, runs").into()
                );
            }
        }
    }
    Ok((latency, wanted))
}

fn in_a_process_of_its_own(job: &Value) -> Fallible<Measured> {
    let output = Command::new(std::env::current_exe()?)
        .env(JOB, job.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the measurement of {} failed", job["size"]).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// `entrain emulate`, ended when dropped.
struct Emulator {
    process: Child,
    description: Value,
}

impl Emulator {
    fn start(people: usize, groups: usize, latency: u64) -> Fallible<Self> {
        let process = Command::new(env!("CARGO_BIN_EXE_entrain"))
            .args(["emulate", "--people", &people.to_string(), "--groups", &groups.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut emulator = Self { process, description: Value::Null };
        let out = emulator.process.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        emulator.description = serde_json::from_str(&line)?;
        // What is measured is this program, not the quota of a tenant: at this pace the clouds would throttle it
        let settings = json!({
            "graph": {"throttle": false},
            "atlassian": {"throttle": false},
            "latency": {"authority_ms": latency, "graph_ms": latency, "site_ms": latency},
        });
        put(emulator.control(), "/settings", &settings)?;
        Ok(emulator)
    }

    fn control(&self) -> &str {
        self.description["control_url"].as_str().unwrap_or_default()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn put(root: &str, path: &str, body: &Value) -> Fallible<()> {
    control(root, "PUT", path, &body.to_string()).map(drop)
}

fn get(root: &str, path: &str) -> Fallible<Value> {
    Ok(serde_json::from_str(&control(root, "GET", path, "")?)?)
}

/// One request to the emulator's control interface, and the body of its answer.
fn control(root: &str, method: &str, path: &str, body: &str) -> Fallible<String> {
    let host = root.strip_prefix("http://").ok_or("the emulator tells no control address")?;
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.") && head[8..].starts_with(" 200") => {
            Ok(body.to_owned())
        }
        _ => Err(format!("the emulator refuses: {answer}").into()),
    }
}
