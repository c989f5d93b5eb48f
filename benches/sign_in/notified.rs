//! A burst of change notifications, each in a request of its own, alone and while people sign in (quality.md W-06): how
//! long Graph waits for its answers, and the people for their access. Graph wants an answer within three seconds.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{AT_ONCE, Fallible, House, all_through, at, company, processor};

/// Notifications in a burst.
const NOTIFICATIONS: usize = 10_000;
/// Requests of Graph at one time.
const PARALLEL: usize = 64;

/// Measures, with a service of its own: where notifications count, every change would start a run beside the sign-ins.
pub(super) async fn measure(people: usize) -> Fallible<String> {
    // Graph is told where to send before the service says where it is
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let serve = ["--listen", &address, "--public-url", &format!("http://{address}")].map(str::to_owned);
    let more = "[notifications]\nenabled = true\n";
    let house = Arc::new(House::new(people, more, &["User.Read.All", "Group.Read.All"], serve.into()).await?);
    let (known, _) = company(&house.emulator);
    let mut known = known.into_iter();
    subscribed(&house).await?;
    let mut rows = String::from(
        "| Notifications, each in a request of its own | answers | p50 | p99 | slowest | taken | requests to Graph | \
         processor in all | people beside | p50 | p99 |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (name, beside) in [("alone", 0), ("while people sign in", AT_ONCE)] {
        let people: Vec<_> = known.by_ref().take(beside).collect();
        let (graph, _) = house.requests();
        let before = processor(&house.child);
        let (burst, through) = tokio::join!(burst(&house), async {
            // The burst is in full course
            tokio::time::sleep(Duration::from_millis(300)).await;
            if people.is_empty() { Ok((Vec::new(), 0)) } else { all_through(&house, people).await }
        });
        let (burst, (times, _)) = (burst?, through?);
        let spent = processor(&house.child).zip(before).map(|(now, before)| now.saturating_sub(before));
        // Whatever the burst made the service do has been done
        tokio::time::sleep(Duration::from_secs(15)).await;
        let graph = house.requests().0 - graph;
        let number = |key: &str| burst[key].as_u64().unwrap_or_default();
        let taken = burst["statuses"]["202"].as_u64().unwrap_or_default();
        let spent = spent.map_or_else(|| "not told".into(), |spent| format!("{} ms", spent.as_millis()));
        let waited =
            |percent| if times.is_empty() { String::new() } else { format!("{} ms", at(&times, percent)) };
        let (p50, p99, slowest) = (number("p50_ms"), number("p99_ms"), number("slowest_ms"));
        writeln!(
            rows,
            "| {name} | {NOTIFICATIONS} | {p50} ms | {p99} ms | {slowest} ms | {taken} | {graph} | {spent} | {} | {} | {} |",
            times.len(),
            waited(50),
            waited(99),
        )?;
    }
    Ok(rows)
}

/// Waits until Graph has somebody to tell.
async fn subscribed(house: &House) -> Fallible<()> {
    let url = format!("{}/notifications", house.emulator.description().control_url);
    for _ in 0..600 {
        let told: Value = house.http.get(&url).send().await?.json().await?;
        if told["subscriptions"].as_array().is_some_and(|all| all.len() >= 2) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the service does not subscribe".into())
}

/// Tells of what did not happen.
async fn burst(house: &House) -> Fallible<Value> {
    let url = format!("{}/notifications/made-up", house.emulator.description().control_url);
    let asked = json!({"count": NOTIFICATIONS, "per_request": 1, "parallel": PARALLEL});
    Ok(house.http.post(url).json(&asked).send().await?.error_for_status()?.json().await?)
}
