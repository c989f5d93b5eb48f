//! How long the console's pages take and how large they are for a company of 100,000 people: each under 50 ms and under
//! 100 kB, or the benchmark fails. Pages that read both clouds before they answer, such as an explanation, take as long as
//! the clouds do; they are listed, and only their size counts.
//!
//! `cargo bench -p entrain --bench render [-- PEOPLE]`; `docs/benchmarks.md` says what each row means. The real program
//! serves; an administrator follows every link of every page, and each kind of page is asked for several times.

mod program;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Child;
use std::time::{Duration, Instant};

use entrain_emulator::{Emulator, Options, WorldSource};
use program::{Fallible, begun, connect, done, entrain};
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

const MOST: Duration = Duration::from_millis(50);
const LARGEST: usize = 100_000;
/// Times that each page is asked for, after one that warms up.
const TIMES: usize = 9;
/// Kinds of pages that are looked at; more are a mistake in telling kinds apart.
const KINDS: usize = 400;
const PASSWORD: &str = "several words in a row";

fn main() -> Fallible<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let people = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (table, failed) = runtime.block_on(measure(people))?;
    std::io::stdout().write_all(table.as_bytes())?;
    if failed > 0 {
        return Err(format!("{failed} kinds of pages are slower or larger than they may be").into());
    }
    Ok(())
}

/// A company that was synced once, and the program serving its console.
struct House {
    http: reqwest::Client,
    url: String,
    cookies: BTreeMap<String, String>,
    child: Child,
    emulator: Emulator,
    _folder: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl House {
    async fn new(people: usize) -> Fallible<Self> {
        let groups = (people / 20).max(20);
        let options = Options { people, groups, world: WorldSource::Generated, ..Options::default() };
        let emulator = entrain_emulator::start(options).await?;
        let company = serde_json::to_value(emulator.description())?;
        let folder = tempfile::tempdir()?;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        // A site that announces limits no company has: this one is synced in minutes rather than in hours
        let burst = json!({"GET": 90_000, "POST": 90_000, "PUT": 90_000, "DELETE": 90_000});
        let calm = json!({"graph": {"throttle": false}, "atlassian": {"burst_per_second": burst}});
        http.put(format!("{}/settings", emulator.description().control_url))
            .json(&calm)
            .send()
            .await?
            .error_for_status()?;
        let place = folder.path().to_owned();
        let begun = tokio::task::spawn_blocking(move || -> Fallible<(Child, Value)> {
            connect(&place, &company, "[groups]\nexisting = \"adopt\"\n[schedule]\ncron = \"0 3 29 2 *\"\n")?;
            done(entrain(&place, &["sync", "--yes"]), "")?;
            let account = ["admin", "account", "create", "Bench", "--role", "administrator", "--own"];
            done(entrain(&place, &account), &format!("{PASSWORD}\n"))?;
            begun(entrain(&place, &["serve", "--listen", "127.0.0.1:0", "--json"]))
        });
        let (child, ready) = begun.await??;
        let url = ready["url"].as_str().ok_or("no address")?.to_owned();
        let cookies = BTreeMap::new();
        let mut house = Self { http, url, cookies, child, emulator, _folder: folder };
        house.sign_in().await?;
        Ok(house)
    }

    async fn sign_in(&mut self) -> Fallible<()> {
        let page = self.get("/sign-in").await?.2;
        let csrf = page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
        let csrf = csrf.ok_or("the sign-in page has no token")?.0.to_owned();
        let form = [("csrf", csrf.as_str()), ("name", "Bench"), ("password", PASSWORD)];
        let request = self.http.post(format!("{}/sign-in", self.url)).form(&form);
        let answer = request.header(COOKIE, self.jar()).header("origin", &self.url).send().await?;
        if !answer.status().is_redirection() {
            return Err(format!("not signed in: {}", answer.status()).into());
        }
        self.keep(&answer)
    }

    fn keep(&mut self, answer: &reqwest::Response) -> Fallible<()> {
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').ok_or("no cookie")?;
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    fn jar(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Requests to both clouds so far.
    fn asked(&self) -> u64 {
        let counts = self.emulator.state().log.counts();
        ["graph", "site"].iter().filter_map(|surface| counts.by_surface.get(*surface)).sum()
    }

    /// The status, how long the answer took, the page.
    async fn get(&mut self, address: &str) -> Fallible<(u16, Duration, String)> {
        let at = Instant::now();
        let request = self.http.get(format!("{}{address}", self.url)).header("accept", "text/html");
        let answer = request.header(COOKIE, self.jar()).send().await?;
        self.keep(&answer)?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        Ok((status, at.elapsed(), text))
    }
}

/// What pages of one kind have in common: the address without ids and without the values of its query.
fn kind(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let is_id = |part: &&str| part.len() >= 20 && part.chars().any(|c| c.is_ascii_digit());
    let parts: Vec<&str> = path.split('/').map(|part| if is_id(&part) { "…" } else { part }).collect();
    let mut names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    names.retain(|name| !name.is_empty());
    let query = if names.is_empty() { String::new() } else { format!("?{}", names.join("&")) };
    format!("{}{query}", parts.join("/"))
}

/// Addresses of this console that a page leads to.
fn links(page: &str) -> Vec<String> {
    page.split(" href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(address, _)| address.replace("&amp;", "&").replace("&#38;", "&"))
        .filter(|address| address.starts_with('/') && !address.starts_with("/assets/"))
        // Files are as large as what they hold
        .filter(|address| !["/csv", "/export", "/openapi.json"].iter().any(|file| address.contains(file)))
        .map(|address| address.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

struct Row {
    kind: String,
    median: Duration,
    slowest: Duration,
    size: usize,
    /// Whether it asked the clouds first.
    asks: bool,
}

impl Row {
    fn is_too_much(&self) -> bool {
        self.size > LARGEST || (self.median > MOST && !self.asks)
    }
}

async fn measure(people: usize) -> Fallible<(String, usize)> {
    let mut house = House::new(people).await?;
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut look: VecDeque<String> = [
        "/",
        "/connections/bench",
        // Somebody is looked for whom nobody is
        "/connections/bench/people?find=zzzz",
        "/connections/bench/groups?find=zzzz",
        "/search?q=zzzz",
    ]
    .map(str::to_owned)
    .into();
    let mut rows = Vec::new();
    while let Some(address) = look.pop_front() {
        let kind = kind(&address);
        if seen.contains_key(&kind) || seen.len() > KINDS {
            continue;
        }
        seen.insert(kind.clone(), address.clone());
        let before = house.asked();
        let (status, _, page) = house.get(&address).await?;
        let asks = house.asked() > before;
        if status != 200 {
            if status >= 400 {
                return Err(format!("{address} answers {status}").into());
            }
            continue;
        }
        look.extend(links(&page));
        let (mut times, mut size) = (Vec::new(), page.len());
        let times_asked = if asks { 3 } else { TIMES };
        for _ in 0..times_asked {
            let (_, took, page) = house.get(&address).await?;
            times.push(took);
            size = size.max(page.len());
        }
        times.sort_unstable();
        let (median, slowest) = (times[times_asked / 2], times[times_asked - 1]);
        rows.push(Row { kind, median, slowest, size, asks });
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.median));
    let failed = rows.iter().filter(|row| row.is_too_much()).count();
    let mut table = format!(
        "{} kinds of pages of the console, {people} people\n\n| page | median | slowest of {TIMES} | size | |\n|---|---:|---:|---:|---|\n",
        rows.len()
    );
    for row in &rows {
        let Row { kind, median, slowest, size, asks } = row;
        let over = match (row.is_too_much(), asks) {
            (true, _) => "too much",
            (false, true) => "reads both sides first",
            (false, false) => "",
        };
        let ms = |time: &Duration| format!("{}.{} ms", time.as_millis(), time.as_micros() % 1_000 / 100);
        let kb = format!("{}.{} kB", size / 1_000, size % 1_000 / 100);
        writeln!(table, "| `{kind}` | {} | {} | {kb} | {over} |", ms(median), ms(slowest))?;
    }
    Ok((table, failed))
}
