//! The listener: HTTP/1 with limits that are really on. A connection that does not send its headers in time, or says
//! nothing between two requests, is closed; one that is told to end finishes its request first.
//!
//! Only HTTP/1 is spoken: the limit on slow headers is HTTP/1's, and a reverse proxy speaks it to what is behind it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::metrics::Refused;

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// How much patience and room a client gets.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for the headers of a request, from the first or the end of the one before.
    pub headers: Duration,
    /// Connections at one time.
    pub connections: usize,
    /// Room for the headers of a request, in bytes.
    pub room: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { headers: Duration::from_secs(8), connections: 12_000, room: 32 * 1024 }
    }
}

/// Files that are left for the database and for the clouds, however many clients there are.
const FILES_BESIDES: usize = 256;
/// Clients that are let in at one time, however few files there may be.
const FEWEST: usize = 64;

impl Limits {
    /// The usual limits, with no more connections than the files that the process may open leave room for: a flood of
    /// clients does not keep the work from the clouds and the database.
    pub fn within(files: Option<usize>) -> Self {
        let usual = Self::default();
        let room = files.map_or(usual.connections, |files| files.saturating_sub(FILES_BESIDES).max(FEWEST));
        if room < usual.connections {
            tracing::info!(
                "{room} connections are taken at a time, since this process may have {} files open; more with ulimit -n",
                files.unwrap_or_default()
            );
        }
        Self { connections: room.min(usual.connections), ..usual }
    }
}

/// Serves until it is told to stop, and then until the requests under way are answered.
pub async fn listen(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let tasks = TaskTracker::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(limits.room)
        .half_close(false)
        .keep_alive(true);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (http, router, stop) = (http.clone(), router.clone(), stop.clone());
        tasks.spawn(async move {
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer.ip()));
                router.clone().oneshot(request)
            });
            let connection = http.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                if error.is_timeout() {
                    Refused::SILENT.count();
                } else if error.is_parse() {
                    Refused::MALFORMED.count();
                }
                tracing::debug!("a client's connection ended: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // A small answer is not held back to be sent with the next
            let _ = stream.set_nodelay(true);
            Some((stream, peer, permit))
        }
        Err(error) => {
            // Mostly: too many open files. Others end soon, for they are cut off
            tracing::warn!("a connection could not be accepted: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w_08_clients_leave_files_for_the_work() {
        for (files, connections) in
            [(None, 12_000), (Some(1 << 20), 12_000), (Some(1024), 768), (Some(300), 64), (Some(0), 64)]
        {
            assert_eq!(Limits::within(files).connections, connections, "{files:?}");
        }
    }
}
