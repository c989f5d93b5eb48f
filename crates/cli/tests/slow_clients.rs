//! W-08: clients that open connections and send next to nothing, through the real binary.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use support::Bench;
use support::served::{Caller, Served};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Connections at once, unless `ENTRAIN_W08_CONNECTIONS` says another number.
const CONNECTIONS: usize = 10_000;
/// Files that a process needs besides.
const BESIDES: usize = 300;

/// How many files this process, and those that it starts, may have open; as many as it may allow itself.
fn files() -> usize {
    let process = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<usize>().ok());
    let (soft, hard) = (numbers.next().unwrap(), numbers.next().unwrap_or(1 << 20));
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &process, &format!("--nofile={hard}:{hard}")])
        .status();
    if raised.is_ok_and(|status| status.success()) { hard } else { soft }
}

/// What a slow client does after its first bytes.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing.
    Waits,
    /// A byte a second.
    Drips,
}

/// Opens a connection, sends the beginning of a request, and says how long it lived.
async fn slow(at: SocketAddr, first: Arc<str>, then: Then) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(first.as_bytes()).await?;
    let (mut read, mut write) = stream.split();
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if matches!(then, Then::Drips) && write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        // Closed, or reset because it sent more: both are the end
        _ = read.read_to_end(&mut rest) => Ok(()),
        () = dripping => Ok(()),
    }
}

#[test]
fn w_08_ten_thousand_slow_clients_are_cut_off_and_others_are_served_meanwhile() {
    let wanted = std::env::var("ENTRAIN_W08_CONNECTIONS").ok().map_or(CONNECTIONS, |n| n.parse().unwrap());
    let clients = wanted.min(files().saturating_sub(BESIDES));
    println!("{clients} connections");
    assert!(clients >= 500, "this process may hardly open a file");
    let bench = Bench::demo();
    let served = Served::start(&bench);
    let caller = Caller::new(&bench, &served, Some("administrator"));
    let at: SocketAddr = served.address().parse().unwrap();
    let headers: Arc<str> = "GET /health/live HTTP/1.1\r\nHost: x\r\nX: ".into();
    let key = caller.key.as_ref().unwrap();
    let body: Arc<str> = format!(
        "PUT /api/v1/connections/x/mode HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    )
    .into();
    let (open, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // No more at a time than a listener has room for that does not answer yet
    let knocking = Arc::new(Semaphore::new(200));
    let all: Vec<_> = (0..clients)
        .map(|n| {
            let (first, then) = match n % 10 {
                0 => (body.clone(), Then::Drips),
                1 => (headers.clone(), Then::Drips),
                _ => (headers.clone(), Then::Waits),
            };
            let (open, ended, knocking) = (open.clone(), ended.clone(), knocking.clone());
            bench.runtime.spawn(async move {
                let permit = knocking.acquire_owned().await.unwrap();
                open.fetch_add(1, Ordering::Relaxed);
                let slow = tokio::spawn(slow(at, first, then));
                tokio::time::sleep(Duration::from_millis(1)).await;
                drop(permit);
                let outcome = slow.await.unwrap();
                ended.fetch_add(1, Ordering::Relaxed);
                outcome
            })
        })
        .collect();
    let mut asked = 0;
    while open.load(Ordering::Relaxed) < clients || asked < 20 {
        assert_eq!(caller.get("/api/v1/connections"), (200, json!({ "connections": [] })));
        asked += 1;
    }
    println!("asked {asked} times while {} of them were there", clients - ended.load(Ordering::Relaxed));
    bench.runtime.block_on(async {
        for one in all {
            let ended = tokio::time::timeout(Duration::from_mins(2), one).await;
            ended.expect("a connection that sends next to nothing is still open").unwrap().unwrap();
        }
    });
    assert_eq!(caller.get("/api/v1/connections").0, 200);
}
