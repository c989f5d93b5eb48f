//! Three servers over one PostgreSQL: one is killed in the middle of a run, the next is frozen, the next is cut off from
//! the database; the run is finished all the same, under its own id, and no step is done twice.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use entrain_emulator::Surface;
use entrain_emulator::faults::{Fault, FaultKind};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::support::{Bench, command};
use crate::town::{Town, company, on, unthrottled};

/// A database of its own, and the folder of the server's socket.
pub(crate) struct Database {
    name: String,
    pub(crate) socket: PathBuf,
}

impl Database {
    /// `None` when PostgreSQL is left out.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn make(bench: &Bench) -> Option<Self> {
        if std::env::var_os("ENTRAIN_SKIP_POSTGRES").is_some() {
            println!("skipped: ENTRAIN_SKIP_POSTGRES is set");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres-for-tests");
        let server = std::env::var("ENTRAIN_TEST_POSTGRES").unwrap_or_else(|_| {
            let output = Command::new(script).arg("url").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        });
        let (_, socket) = server.split_once("host=").expect("the test server listens on a socket");
        let name = format!("r_{:032x}", rand::random::<u128>());
        bench.runtime.block_on(async {
            let mut connection = PgConnection::connect(&server).await.unwrap();
            let make = AssertSqlSafe(format!("CREATE DATABASE {name}"));
            sqlx::query(make).execute(&mut connection).await.unwrap();
        });
        Some(Self { name, socket: socket.into() })
    }

    pub(crate) fn url(&self, socket: &Path) -> String {
        format!("postgres://entrain@localhost/{}?host={}", self.name, socket.display())
    }

    /// The process that says it holds the connection.
    fn holder(&self, bench: &Bench) -> Option<u32> {
        let holder: Option<String> = bench.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.url(&self.socket)).await.unwrap();
            sqlx::query_scalar("SELECT holder FROM claims").fetch_optional(&mut connection).await.unwrap()
        });
        holder?.strip_prefix("process ")?.split(' ').next()?.parse().ok()
    }
}

/// The way of one server to the database, which can be cut: what is sent then arrives nowhere.
struct Wire {
    folder: tempfile::TempDir,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(bench: &Bench, database: &Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (near, far) = (folder.path().join(".s.PGSQL.5432"), database.socket.join(".s.PGSQL.5432"));
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = cut.clone();
        // Before the server starts, which would find nothing to connect to
        let listener = {
            let _runtime = bench.runtime.enter();
            UnixListener::bind(near).unwrap()
        };
        bench.runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&far).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(from_client, to_server, is_cut.clone()));
                tokio::spawn(carry(from_server, to_client, is_cut.clone()));
            }
        });
        Self { folder, cut }
    }
}

async fn carry(
    mut from: tokio::net::unix::OwnedReadHalf,
    mut to: tokio::net::unix::OwnedWriteHalf,
    cut: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        while cut.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    wire: Wire,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(bench: &Bench, database: &Database) -> Self {
        Self::with(bench, database, "127.0.0.1:0", &[])
    }

    pub(crate) fn with(bench: &Bench, database: &Database, listen: &str, more: &[&str]) -> Self {
        let wire = Wire::to(bench, database);
        let arguments = [&["serve", "--listen", listen, "--json"], more].concat();
        let mut child = command(bench.folder.path(), &arguments)
            .env("ENTRAIN_DATABASE_URL", database.url(wire.folder.path()))
            .stderr(std::process::Stdio::inherit())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.as_mut().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            out.read_to_string(&mut line).unwrap();
            panic!("the server does not start: {line}")
        });
        Self { url: ready["url"].as_str().unwrap().to_owned(), child, wire }
    }

    pub(crate) fn signal(&self, name: &str) {
        let told = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }
}

pub(crate) fn within<T>(time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let at = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(at.elapsed() < time, "{what}: not within {time:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) const SOON: Duration = Duration::from_secs(90);

#[test]
fn r_09_three_servers_with_kills_freezes_and_a_cut_network_finish_a_run_and_do_no_step_twice() {
    let town = Town::of(unthrottled(company(250, 12, 60)));
    let bench = &town.bench;
    let Some(database) = Database::make(bench) else { return };
    let direct = database.url(&database.socket);
    let entrain = |args: &[&str]| bench.entrain_with(args, &[("ENTRAIN_DATABASE_URL", &direct)]);

    // Each write takes effect at once and is answered late: whoever dies leaves calls that happened and are not known
    for path in ["/rest/api/3/group/user", "/rest/api/3/user"] {
        let late = on(Surface::Site, path, FaultKind::StallHeaders { ms: 1_500 });
        town.fault(Fault { method: Some("POST".into()), ..late });
    }
    let document = format!("{}\n[schedule]\nevery = \"1m\"\n", bench.document("\"*\""));
    let path = bench.file("connection.toml", &document);
    entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    entrain(&["connection", "mode", "Azure AD", "apply"]).expect(0);

    let mut servers: Vec<Served> = (0..3).map(|_| Served::start(bench, &database)).collect();
    let run = within(SOON, "a run", || {
        let runs = entrain(&["runs", "list", "--json"]).expect(0).json();
        runs.as_array()?.first().map(|run| run["run_id"].as_str().unwrap().to_owned())
    });
    let journal = || entrain(&["runs", "show", &run, "--json"]).expect(0).json()["journal"].clone();
    let steps = || journal().as_array().unwrap().len();
    let goes_on = |after: usize| within(SOON, "further steps", || (steps() > after + 40).then(steps));
    let holder = |servers: &[Served]| {
        let pid = database.holder(bench).expect("somebody holds the connection");
        servers
            .iter()
            .position(|s| s.child.id() == pid)
            .unwrap_or_else(|| panic!("{pid} is none of the servers"))
    };

    let done = goes_on(0);
    let killed = servers.remove(holder(&servers));
    killed.signal("-KILL");
    drop(killed);

    let done = goes_on(done);
    let frozen = holder(&servers);
    servers[frozen].signal("-STOP");
    let done = goes_on(done);
    assert_ne!(holder(&servers), frozen, "another goes on");
    servers[frozen].signal("-CONT");

    // The one that goes on is cut off from the database; the one that woke up, or a new one, finishes
    servers.push(Served::start(bench, &database));
    let cut = holder(&servers);
    servers[cut].wire.cut.store(true, Ordering::SeqCst);
    goes_on(done);
    assert_ne!(holder(&servers), cut, "another goes on");
    let report = within(SOON, "the end of the run", || {
        let run = entrain(&["runs", "show", &run, "--json"]).expect(0).json();
        (run["status"] != "running").then_some(run)
    });
    servers[cut].wire.cut.store(false, Ordering::SeqCst);
    assert_eq!(report["status"], "converged", "{report:#}");

    town.assert_exact();
    let granted = town.memberships().len();
    let invited = bench.emulator.state().world().atlassian.invitations.len();

    // Every write that took effect is explained once
    let audit = entrain(&["audit", "export", "--format", "jsonl"]).expect(0).out();
    let entries: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (kind, wrote) in [("add_member", granted), ("create_user", invited)] {
        let told: Vec<_> = entries
            .iter()
            .filter(|e| e["action"] == kind)
            .map(|e| (e["object"].to_string(), e["detail"].to_string()))
            .collect();
        let distinct: BTreeSet<_> = told.iter().collect();
        assert_eq!(distinct.len(), told.len(), "{kind}: explained twice");
        assert_eq!(told.len(), wrote, "{kind}");
    }
    entrain(&["audit", "verify"]).expect(0);
    // All that live answer, the one that was frozen and the one that was cut off too
    for server in &servers {
        let url = format!("{}/health/ready", server.url);
        let status = bench.runtime.block_on(async { reqwest::get(url).await.unwrap().status() });
        assert_eq!(status, 200);
    }
    // And there is nothing left to do
    town.heal();
    let again = entrain(&["sync", "--json", "--full", "--wait"]).expect(0).json();
    assert_eq!(again["status"], "converged");
    assert!(
        again["steps"].as_object().unwrap().values().all(|s| s["planned"] == 0 || s["planned"].is_null()),
        "{again:#}"
    );
}
