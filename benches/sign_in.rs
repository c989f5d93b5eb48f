//! How long somebody waits who signs in (P-8): from the end of the sign-in at Entra until the access page says that they
//! can go on, with Graph 100 ms and Jira 340 ms away.
//!
//! `cargo bench -p entrain --bench sign_in [-- [notified] PEOPLE]`; with `notified` it measures a burst of notifications
//! instead. `docs/benchmarks.md` says what each row means. The real program serves; the emulator plays Entra, Graph and
//! Jira; each person is a browser of their own that listens to its page.

#[path = "sign_in/notified.rs"]
mod notified;
mod program;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entrain_emulator::control::WorldChange;
use entrain_emulator::{Emulator, Options, WorldSource};
use program::{Fallible, begun, connect, done, entrain, processor};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

const GRAPH_MS: u64 = 100;
const JIRA_MS: u64 = 340;
/// People at once.
const AT_ONCE: usize = 100;
/// Calls of the custom authentication extension.
const CALLS: usize = 500;
/// Changes for a mover of many.
const CHANGES: usize = 10;

fn main() -> Fallible<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let people = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let burst = std::env::args().any(|argument| argument == "notified");
    let table = runtime
        .block_on(async { if burst { notified::measure(people).await } else { measure(people).await } })?;
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes())?;
    Ok(())
}

/// A company in step, and the program serving its access page.
struct House {
    emulator: Emulator,
    http: reqwest::Client,
    url: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl House {
    /// `more` is what its document has besides, `roles` are those of the application where they are not the usual ones,
    /// `serve` are further arguments of the program.
    async fn new(people: usize, more: &str, roles: &[&str], serve: Vec<String>) -> Fallible<Self> {
        let options = Options { people, groups: 50, world: WorldSource::Generated, ..Options::default() };
        let emulator = entrain_emulator::start(options).await?;
        let company = serde_json::to_value(emulator.description())?;
        let more = format!(
            "[groups]\nexisting = \"adopt\"\n[limits]\nremovals_percent = 100\nadditions_percent = 100\n\
             [schedule]\ncron = \"0 3 29 2 *\"\n[doors.access]\nname = \"Bench\"\n\
             [doors.token_issuance]\nclient_id = {}\n{more}",
            company["client_id"]
        );
        let folder = tempfile::tempdir()?;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        set(&http, &emulator, &json!({"graph": {"throttle": false}, "atlassian": {"throttle": false}}))
            .await?;
        change(
            &emulator,
            json!({"change": "set_sign_in",
            "redirect_uris": ["http://127.0.0.1/access/bench/callback"]}),
        )?;
        if !roles.is_empty() {
            change(&emulator, json!({"change": "set_roles", "client_id": null, "roles": roles}))?;
        }
        let place = folder.path().to_owned();
        let begun = tokio::task::spawn_blocking(move || -> Fallible<(Child, Value)> {
            connect(&place, &company, &more)?;
            done(entrain(&place, &["sync", "--yes"]), "")?;
            done(entrain(&place, &["connection", "mode", "Bench", "apply"]), "")?;
            let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
            begun(entrain(&place, &[&["serve", "--json"], &serve[..]].concat()))
        });
        let (child, ready) = begun.await??;
        let url = ready["url"].as_str().ok_or("no address")?.to_owned();
        let latency = json!({
            "graph": {"throttle": false},
            "atlassian": {"throttle": false},
            "latency": {"graph_ms": GRAPH_MS, "site_ms": JIRA_MS},
        });
        set(&http, &emulator, &latency).await?;
        Ok(Self { emulator, http, url, child, _folder: folder })
    }

    /// Signs somebody in, and listens to their page until it says how it ended; how long that took, and the word.
    async fn through(&self, user: &str) -> Fallible<(Duration, String)> {
        let mut jar = BTreeMap::new();
        let start = self.page("/access/bench/sign-in", &mut jar).await?;
        let sign_in = url::Url::parse(&start)?;
        let mut form: Vec<(String, String)> = sign_in.query_pairs().into_owned().collect();
        form.push(("user".into(), user.into()));
        let picked =
            self.http.post(sign_in[..url::Position::AfterPath].to_owned()).form(&form).send().await?;
        let back = picked.headers().get(LOCATION).ok_or("the sign-in page refuses")?.to_str()?.to_owned();
        let at = Instant::now();
        self.page(&back, &mut jar).await?;
        let request =
            self.http.get(format!("{}/access/bench/events", self.url)).header(COOKIE, cookies(&jar));
        let mut answer = request.send().await?;
        let mut text = String::new();
        while let Some(chunk) = answer.chunk().await? {
            text.push_str(&String::from_utf8_lossy(&chunk));
            for end in ["ready", "nothing", "held", "later"] {
                if text.contains(&format!("data: {end}")) {
                    return Ok((at.elapsed(), end.to_owned()));
                }
            }
        }
        Err(format!("the page of {user} says no end: {text}").into())
    }

    async fn page(&self, address: &str, jar: &mut BTreeMap<String, String>) -> Fallible<String> {
        let address =
            if address.starts_with('/') { format!("{}{address}", self.url) } else { address.to_owned() };
        let mut request = self.http.get(address);
        if !jar.is_empty() {
            request = request.header(COOKIE, cookies(jar));
        }
        let answer = request.send().await?;
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').ok_or("no cookie")?;
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        match answer.headers().get(LOCATION) {
            Some(to) => Ok(to.to_str()?.to_owned()),
            None => Err(format!("no way on: {} {}", answer.status(), answer.text().await?).into()),
        }
    }

    fn requests(&self) -> (u64, u64) {
        let counts = self.emulator.state().log.counts();
        let count = |surface: &str| counts.by_surface.get(surface).copied().unwrap_or_default();
        (count("graph"), count("site"))
    }
}

fn cookies(jar: &BTreeMap<String, String>) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

async fn set(http: &reqwest::Client, emulator: &Emulator, settings: &Value) -> Fallible<()> {
    let url = format!("{}/settings", emulator.description().control_url);
    http.put(url).json(settings).send().await?.error_for_status()?;
    Ok(())
}

fn change(emulator: &Emulator, change: Value) -> Fallible<()> {
    let change: WorldChange = serde_json::from_value(change)?;
    emulator.state().change(change).map_err(|error| format!("{error:?}"))?;
    Ok(())
}

/// People in step with their mail, and groups by id.
fn company(emulator: &Emulator) -> (Vec<(String, String)>, Vec<String>) {
    let world = emulator.state().world();
    let mails: std::collections::BTreeSet<&str> =
        world.atlassian.accounts.values().filter_map(|account| account.email.as_deref()).collect();
    let mut seen = BTreeMap::new();
    for user in world.tenant.users.values().filter(|user| user.account_enabled == Some(true)) {
        if let Some(mail) = user.mail.as_deref().filter(|mail| mails.contains(mail)) {
            let sharing: &mut Vec<(String, String)> = seen.entry(mail.to_lowercase()).or_default();
            sharing.push((user.id.clone(), user.user_principal_name.clone()));
        }
    }
    let alone = seen.into_values().filter(|sharing| sharing.len() == 1).flatten().collect();
    let sites: std::collections::BTreeSet<&str> =
        world.atlassian.groups.values().map(|group| group.name.as_str()).collect();
    let groups = world
        .tenant
        .groups
        .values()
        .filter(|group| group.display_name.as_deref().is_some_and(|name| sites.contains(name)))
        .filter(|group| !group.members.iter().any(|member| world.tenant.groups.contains_key(member.id())))
        .map(|group| group.id.clone())
        .collect();
    (alone, groups)
}

/// Puts each of these people into so many groups more.
fn move_people(
    emulator: &Emulator,
    people: &[(String, String)],
    groups: &[String],
    changes: usize,
) -> Fallible<()> {
    for (n, (id, _)) in people.iter().enumerate() {
        let mut added = 0;
        for group in groups.iter().cycle().skip(n).take(groups.len()) {
            let change_one =
                json!({"change": "add_member", "group": group, "member": {"type": "user", "id": id}});
            let there = emulator.state().world().tenant.groups[group].members.iter().any(|m| m.id() == *id);
            if !there && added < changes {
                change(emulator, change_one)?;
                added += 1;
            }
        }
    }
    Ok(())
}

fn newcomers(emulator: &Emulator, wave: usize, groups: &[String]) -> Fallible<Vec<(String, String)>> {
    let mut people = Vec::new();
    for n in 0..AT_ONCE {
        let name = format!("new{wave}-{n}@bench.example");
        change(
            emulator,
            json!({"change": "create_user", "user": {
            "userPrincipalName": name, "displayName": format!("Newcomer {wave} {n}"), "mail": name}}),
        )?;
        for group in groups.iter().cycle().skip(n).take(3) {
            change(
                emulator,
                json!({"change": "add_member", "group": group,
                "member": {"type": "user", "id": name}}),
            )?;
        }
        people.push((name.clone(), name));
    }
    Ok(people)
}

async fn measure(people: usize) -> Fallible<String> {
    let anywhere = vec!["--listen".into(), "127.0.0.1:0".into()];
    let house = Arc::new(House::new(people, "", &[], anywhere).await?);
    let (known, groups) = company(&house.emulator);
    let mut known = known.into_iter();
    let mut take = |n: usize| known.by_ref().take(n).collect::<Vec<_>>();
    let mut rows = String::from(
        "| P-8, Graph 100 ms, Jira 340 ms | people | p50 | p99 | Graph each | Jira each | processor each | without access |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    // The first brings token, connections and the checks of the site.
    row(&house, "first after the start", take(1), &mut rows).await?;
    row(&house, "in step, one", take(1), &mut rows).await?;
    let one = take(1);
    move_people(&house.emulator, &one, &groups, CHANGES)?;
    row(&house, "10 new groups, one", one, &mut rows).await?;
    row(&house, "in step, all at once", take(AT_ONCE), &mut rows).await?;
    let many = take(AT_ONCE);
    move_people(&house.emulator, &many, &groups, 1)?;
    row(&house, "1 new group each, all at once", many, &mut rows).await?;
    let many = take(AT_ONCE);
    move_people(&house.emulator, &many, &groups, CHANGES)?;
    row(&house, "10 new groups each, all at once", many, &mut rows).await?;
    let new = newcomers(&house.emulator, 1, &groups)?;
    row(&house, "newcomers, 3 groups each, all at once", new, &mut rows).await?;
    rows.push('\n');
    rows.push_str(&extension(&house, take(CALLS)).await?);
    Ok(rows)
}

/// How long Entra waits for its answer at the start of token issuance, while everything behind the door hangs.
async fn extension(house: &Arc<House>, people: Vec<(String, String)>) -> Fallible<String> {
    let control = &house.emulator.description().control_url;
    let hanging = json!({"latency": {"authority_ms": 20_000, "graph_ms": 20_000, "site_ms": 20_000}});
    set(&house.http, &house.emulator, &hanging).await?;
    let mut times: Vec<u64> = Vec::new();
    for some in people.chunks(20) {
        let mut waiting = tokio::task::JoinSet::new();
        for (_, principal) in some {
            let call = json!({"url": format!("{}/doors/bench/token-issuance", house.url), "user": principal});
            let call = house.http.post(format!("{control}/sign-in/token-issuance")).json(&call);
            waiting.spawn(async move { call.send().await?.json::<Value>().await });
        }
        for answer in waiting.join_all().await {
            let answer = answer?;
            if answer["accepted"] != true {
                return Err(format!("the door does not accept: {answer}").into());
            }
            let attempts = answer["attempts"].as_array().ok_or("no attempts")?;
            times.extend(attempts.iter().filter_map(|attempt| attempt["elapsed_ms"].as_u64()));
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    Ok(format!(
        "| Answers at the start of token issuance, both clouds hanging | calls | p50 | p99 |\n\
         | --- | ---: | ---: | ---: |\n\
         | 20 at once | {} | {} ms | {} ms |\n",
        times.len(),
        at(50),
        at(99),
    ))
}

/// Signs all of them in at once; how long each waited, in order, and how many pages ended without access.
async fn all_through(house: &Arc<House>, people: Vec<(String, String)>) -> Fallible<(Vec<Duration>, usize)> {
    let mut waiting = tokio::task::JoinSet::new();
    for (_, principal) in people {
        let house = house.clone();
        waiting.spawn(async move { house.through(&principal).await });
    }
    let (mut times, mut without) = (Vec::new(), 0);
    for result in waiting.join_all().await {
        let (time, end) = result?;
        times.push(time);
        without += usize::from(end != "ready");
    }
    times.sort_unstable();
    Ok((times, without))
}

/// The time that so many percent did not exceed.
fn at(times: &[Duration], percent: usize) -> u128 {
    times[(times.len() * percent).div_ceil(100).max(1) - 1].as_millis()
}

async fn row(
    house: &Arc<House>,
    name: &str,
    people: Vec<(String, String)>,
    out: &mut String,
) -> Fallible<()> {
    if people.len() > 1 {
        // All come from one address, which may sign in 100 people at once and then some each second
        tokio::time::sleep(Duration::from_secs(45)).await;
    }
    let (graph, site) = house.requests();
    let used_before = processor(&house.child);
    let count = people.len();
    let (times, without) = all_through(house, people).await?;
    // What is read back after the answer counts as well
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (graph_now, site_now) = house.requests();
    let each = |before: u64, now: u64| {
        let tenths = (now - before) * 10 / count as u64;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let (graph, site) = (each(graph, graph_now), each(site, site_now));
    let used = match (used_before, processor(&house.child)) {
        (Some(before), Some(now)) => format!("{} ms", now.saturating_sub(before).as_millis() / count as u128),
        _ => "not told".into(),
    };
    let (p50, p99) = (at(&times, 50), at(&times, 99));
    writeln!(out, "| {name} | {count} | {p50} ms | {p99} ms | {graph} | {site} | {used} | {without} |")?;
    Ok(())
}
