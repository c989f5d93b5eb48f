//! `entrain serve` as a process, and callers with keys.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Bench, command};

/// A server under test; killed when the test ends before it.
pub struct Served {
    child: Child,
    pub url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    pub fn start(bench: &Bench) -> Self {
        let mut child = command(bench.folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"])
            .stderr(std::process::Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self { url: ready["url"].as_str().unwrap().to_owned(), child }
    }

    pub fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end; says how it ended and how long that took.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let at = Instant::now();
        let told = std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        (self.child.wait().unwrap(), at.elapsed())
    }
}

/// A caller with a key.
pub struct Caller<'a> {
    bench: &'a Bench,
    url: String,
    pub key: Option<String>,
    http: reqwest::Client,
}

impl<'a> Caller<'a> {
    pub fn new(bench: &'a Bench, served: &Served, role: Option<&str>) -> Self {
        let key = role.map(|role| {
            let made = bench.entrain(&[
                "admin",
                "api-key",
                "create",
                &format!("the {role}"),
                "--role",
                role,
                "--json",
            ]);
            made.expect(0).json()["key"].as_str().unwrap().to_owned()
        });
        let http = reqwest::Client::builder().build().unwrap();
        Self { bench, url: served.url.clone(), key, http }
    }

    pub fn send(&self, method: &str, path: &str, body: Option<Value>, name: Option<&str>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(name) = name {
            request = request.header("Idempotency-Key", name);
        }
        self.bench.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
        })
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None, None)
    }

    pub fn post(&self, path: &str) -> (u16, Value) {
        self.send("POST", path, None, None)
    }
}

pub fn within<T>(time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let at = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(at.elapsed() < time, "{what}: not within {time:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
