//! What slow clients cost the others (quality.md W-08): the time of a request alone, and while thousands of connections
//! stand half open.
//!
//! `cargo bench -p entrain --bench slow_clients [-- CONNECTIONS]`. Those that are cut off come again at once, so that
//! there are always as many; some send a byte a second. What is measured asks with a connection of its own each time.

mod program;
#[path = "../crates/cli/tests/support/slow.rs"]
mod slow;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use program::{Fallible, begun, entrain, processor};
use serde_json::Value;

/// Requests of one measurement.
const REQUESTS: usize = 1_000;

fn main() -> Fallible<()> {
    let wanted: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let files = slow::files().ok_or("the system does not tell how many files may be open")?;
    let clients = wanted.min(files.saturating_sub(slow::BESIDES));
    let mut out = std::io::stdout();

    let folder = tempfile::tempdir()?;
    let make = ["admin", "api-key", "create", "bench", "--role", "administrator", "--json"];
    let made: Value = serde_json::from_slice(&entrain(folder.path(), &make).output()?.stdout)?;
    let key = made["key"].as_str().ok_or("no key")?.to_owned();
    let (mut child, said) = begun(entrain(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--json"]))?;
    let url = said["url"].as_str().ok_or("no address")?.to_owned();
    let at: SocketAddr = url.trim_start_matches("http://").parse()?;

    let measured = tokio::runtime::Runtime::new()?.block_on(async {
        let page = format!("{url}/api/v1/connections");
        let spent = || processor(&child).ok_or("the system does not tell the processor time");
        ask(&page, &key, 100).await?;
        let before = spent()?;
        let alone = (ask(&page, &key, REQUESTS).await?, spent()?.saturating_sub(before));
        let opened = Arc::new(AtomicU32::new(0));
        for number in 0..clients {
            let (key, opened) = (key.clone(), opened.clone());
            tokio::spawn(async move {
                // One after the other, so that they do not all come at one moment
                tokio::time::sleep(Duration::from_micros(500) * u32::try_from(number).unwrap_or_default())
                    .await;
                loop {
                    let (first, then) = slow::beginning(number, &key);
                    opened.fetch_add(1, Ordering::Relaxed);
                    let _ = slow::client(at, first, then).await;
                }
            });
        }
        while (opened.load(Ordering::Relaxed) as usize) < clients {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (before, from, began) = (spent()?, opened.load(Ordering::Relaxed), Instant::now());
        let beside = (ask(&page, &key, REQUESTS).await?, spent()?.saturating_sub(before));
        let anew = f64::from(opened.load(Ordering::Relaxed) - from) / began.elapsed().as_secs_f64();
        Fallible::Ok((alone, beside, anew))
    });
    let _ = child.kill();
    let _ = child.wait();
    let ((alone, alone_cost), (beside, beside_cost), anew) = measured?;

    writeln!(
        out,
        "| {REQUESTS} requests, each on a connection of its own | p50 | p99 | processor time of the server |"
    )?;
    writeln!(out, "| --- | ---: | ---: | ---: |")?;
    writeln!(out, "| alone | {} | {} | {} ms |", ms(alone.0), ms(alone.1), alone_cost.as_millis())?;
    writeln!(
        out,
        "| beside {clients} half-open connections, {anew:.0} of them new each second | {} | {} | {} ms |",
        ms(beside.0),
        ms(beside.1),
        beside_cost.as_millis()
    )?;
    let times = beside.1.as_secs_f64() / alone.1.as_secs_f64();
    writeln!(out, "p99: {times:.2} times; W-08 asks for less than 2")?;
    Ok(())
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Asks so many times, and gives the median and the 99th percentile.
async fn ask(page: &str, key: &str, times: usize) -> Fallible<(Duration, Duration)> {
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build()?;
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        let answer = http.get(page).bearer_auth(key).send().await?.error_for_status()?;
        answer.bytes().await?;
        took.push(began.elapsed());
        // As somebody who clicks, not as a flood
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort_unstable();
    Ok((took[times / 2], took[times * 99 / 100]))
}
