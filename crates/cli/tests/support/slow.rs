//! Clients that open connections and send next to nothing (quality.md W-08), for the test and the benchmark.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Files that a process needs besides its connections.
pub(crate) const BESIDES: usize = 300;

/// How many files this process, and those that it starts, may have open; as many as it may allow itself.
pub(crate) fn files() -> Option<usize> {
    let process = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<usize>().ok());
    let (soft, hard) = (numbers.next()?, numbers.next().unwrap_or(1 << 20));
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &process, &format!("--nofile={hard}:{hard}")])
        .status();
    Some(if raised.is_ok_and(|status| status.success()) { hard } else { soft })
}

/// What a slow client does after its first bytes.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// Nothing.
    Waits,
    /// A byte a second.
    Drips,
}

/// How the client of this number begins: most with half a header, some with half a body, for which a key is needed.
pub(crate) fn beginning(number: usize, key: &str) -> (String, Then) {
    let headers = "GET /health/live HTTP/1.1\r\nHost: x\r\nX: ".to_owned();
    let body = format!(
        "PUT /api/v1/connections/x/mode HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    match number % 10 {
        0 => (body, Then::Drips),
        1 => (headers, Then::Drips),
        _ => (headers, Then::Waits),
    }
}

/// Opens a connection, sends the beginning of a request, and ends when the server has closed it.
pub(crate) async fn client(at: SocketAddr, first: String, then: Then) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(first.as_bytes()).await?;
    drop(first);
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
