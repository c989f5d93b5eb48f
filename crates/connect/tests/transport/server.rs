//! A server that says exactly the bytes it is told to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What is done with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// These bytes, then the connection is closed.
    Say(Vec<u8>),
    /// These bytes, then silence.
    Stall(Vec<u8>),
    /// These bytes first, then those again and again until the client has enough.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, as soon as so many requests are waiting for theirs.
    Meet(Arc<Barrier>, Vec<u8>),
}

/// An answer with a body and headers.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Act {
    let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        text = text + name + ": " + value + "\r\n";
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    Act::Say(bytes)
}

pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Plays the acts in order; the last one for ever.
    pub(crate) async fn playing(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, log.clone(), acts.clone()));
            }
        });
        Self { address, requests }
    }

    /// The requests that came, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<String>>>, acts: Vec<Act>) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let Ok(read) = stream.read(&mut piece).await else { return };
        if read == 0 {
            return;
        }
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length =
                text.split("content-length: ").nth(1).and_then(|t| t.split("\r\n").next()?.parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0_usize) {
                break;
            }
        }
    }
    let turn = {
        let mut log = log.lock().unwrap();
        log.push(String::from_utf8_lossy(&request).into_owned());
        log.len() - 1
    };
    match acts[turn.min(acts.len() - 1)].clone() {
        Act::Say(bytes) => drop(stream.write_all(&bytes).await),
        Act::Stall(bytes) => {
            drop(stream.write_all(&bytes).await);
            std::future::pending::<()>().await;
        }
        Act::Endless(first, again) => {
            drop(stream.write_all(&first).await);
            while stream.write_all(&again).await.is_ok() {}
        }
        Act::Meet(all, bytes) => {
            all.wait().await;
            drop(stream.write_all(&bytes).await);
        }
    }
    drop(stream.shutdown().await);
}
