//! W-08: clients that open connections and send next to nothing, through the real binary.

#[path = "support/slow.rs"]
mod slow;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use support::Bench;
use support::served::{Caller, Served};
use tokio::sync::Semaphore;

/// Connections at once, unless `ENTRAIN_W08_CONNECTIONS` says another number.
const CONNECTIONS: usize = 10_000;

#[test]
fn w_08_ten_thousand_slow_clients_are_cut_off_and_others_are_served_meanwhile() {
    let wanted = std::env::var("ENTRAIN_W08_CONNECTIONS").ok().map_or(CONNECTIONS, |n| n.parse().unwrap());
    let clients = wanted.min(slow::files().unwrap().saturating_sub(slow::BESIDES));
    println!("{clients} connections");
    assert!(clients >= 500, "this process may hardly open a file");
    let bench = Bench::demo();
    let served = Served::start(&bench);
    let caller = Caller::new(&bench, &served, Some("administrator"));
    let at: SocketAddr = served.address().parse().unwrap();
    let key = caller.key.as_ref().unwrap();
    let (open, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // No more at a time than a listener has room for that does not answer yet
    let knocking = Arc::new(Semaphore::new(200));
    let all: Vec<_> = (0..clients)
        .map(|n| {
            let (first, then) = slow::beginning(n, key);
            let (open, ended, knocking) = (open.clone(), ended.clone(), knocking.clone());
            bench.runtime.spawn(async move {
                let permit = knocking.acquire_owned().await.unwrap();
                open.fetch_add(1, Ordering::Relaxed);
                let slow = tokio::spawn(slow::client(at, first, then));
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
