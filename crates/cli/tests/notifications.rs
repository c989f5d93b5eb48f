//! Change notifications, through the real binary against the emulator: from a change in the directory to the site within
//! seconds, while the schedule rests; subscriptions renewed, removed, missed; and notifications that get lost.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use entrain_emulator::control::WorldChange;
use entrain_emulator::world::tenant::Member;
use serde_json::{Value, json};
use support::{Bench, command};

/// A server under test; killed when the test ends.
struct Served {
    child: Child,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Served {
    fn start(bench: &Bench) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{address}");
        let arguments = ["serve", "--listen", &address, "--public-url", &url, "--json"];
        let mut child =
            command(bench.folder.path(), &arguments).stderr(std::process::Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(&url), "{line}");
        Self { child, url }
    }
}

struct Town {
    bench: Bench,
    key: String,
    http: reqwest::Client,
}

impl Town {
    /// A demo company in step, whose schedule comes round in a day.
    fn new(more: &str) -> Self {
        let bench = Bench::demo();
        let state = bench.emulator.state();
        let roles = WorldChange::SetRoles {
            client_id: None,
            roles: ["User.Read.All", "Group.Read.All"].map(str::to_owned).into(),
        };
        state.change(roles).unwrap();
        let document = format!(
            "{}\n[schedule]\nevery = \"24h\"\n[notifications]\nenabled = true\nquiet = \"300ms\"\n{more}\n",
            bench.document("\"Jira *\"")
        );
        let path = bench.file("connection.toml", &document);
        bench.entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
        bench.entrain(&["connection", "mode", "Azure AD", "apply"]).expect(0);
        let made = bench.entrain(&["admin", "api-key", "create", "test", "--role", "operator", "--json"]);
        let key = made.expect(0).json()["key"].as_str().unwrap().to_owned();
        Self { bench, key, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    fn change(&self, change: WorldChange) {
        self.bench.emulator.state().change(change).unwrap();
    }

    fn get(&self, served: &Served, path: &str) -> Value {
        let url = format!("{}{path}", served.url);
        self.bench.runtime.block_on(async {
            self.http.get(url).bearer_auth(&self.key).send().await.unwrap().json().await.unwrap()
        })
    }

    fn standing(&self, served: &Served) -> Value {
        self.get(served, "/api/v1/connections/azure-ad/notifications")
    }

    fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.bench.company().control_url);
        self.bench.runtime.block_on(async {
            let method = method.parse().unwrap();
            let answer = self.http.request(method, url).json(body).send().await.unwrap();
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null)
        })
    }

    /// Subscriptions that the directory holds.
    fn subscriptions(&self) -> Vec<Value> {
        self.control("GET", "/notifications", &Value::Null)["subscriptions"].as_array().unwrap().clone()
    }

    /// Waits until both subscriptions are held, and the runs that they start have ended.
    fn subscribed(&self, served: &Served) {
        within("two subscriptions", || {
            let standing = self.standing(served);
            let all = standing["subscriptions"].as_array()?;
            all.iter().all(|one| one["id"].is_string()).then_some(())
        });
        self.quiet(served);
    }

    /// Waits until nothing is under way any more; says how many runs there were.
    fn quiet(&self, served: &Served) -> usize {
        let mut before = usize::MAX;
        within("a quiet service", || {
            std::thread::sleep(Duration::from_millis(1200));
            let runs = self.get(served, "/api/v1/runs");
            let runs = runs["runs"].as_array()?;
            let ended = runs.iter().all(|run| run["status"] != "running");
            let same = std::mem::replace(&mut before, runs.len()) == runs.len();
            (ended && same && !runs.is_empty()).then_some(runs.len())
        })
    }

    fn runs_by(&self, served: &Served, trigger: &str) -> usize {
        let runs = self.get(served, "/api/v1/runs");
        runs["runs"].as_array().unwrap().iter().filter(|run| run["trigger"] == trigger).count()
    }

    fn members(&self, group: &str) -> Vec<Value> {
        let url = format!("{}/site/state", self.bench.company().control_url);
        let state: Value = self
            .bench
            .runtime
            .block_on(async { self.http.get(url).send().await.unwrap().json().await.unwrap() });
        let groups = state["groups"].as_array().unwrap();
        groups
            .iter()
            .find(|g| g["name"] == group)
            .map_or(Vec::new(), |g| g["members"].as_array().unwrap().clone())
    }

    /// A group in scope with its members, and somebody who is on the site and not in it.
    fn somebody_for_a_group(&self) -> (String, String, String) {
        let world = self.bench.emulator.state().world();
        let jira = |name: &str| name.starts_with("Jira ");
        let in_scope: Vec<_> = world
            .tenant
            .groups
            .values()
            .filter(|group| group.display_name.as_deref().is_some_and(jira))
            .collect();
        for group in &in_scope {
            let name = group.display_name.clone().unwrap();
            for other in in_scope.iter().filter(|other| other.id != group.id) {
                for member in &other.members {
                    if let Member::User(id) = member
                        && !group.members.contains(member)
                        && let Some(user) = world.tenant.users.get(id)
                        && user.account_enabled == Some(true)
                        && let Some(mail) = &user.mail
                        && world.atlassian.by_email(mail).next().is_some()
                    {
                        return (name, user.id.clone(), mail.clone());
                    }
                }
            }
        }
        panic!("the demo company has nobody for another group");
    }
}

fn within<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let at = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(at.elapsed() < Duration::from_secs(90), "{what}: not within 90 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn w_06_a_change_in_the_directory_is_on_the_site_long_before_the_schedule_comes_round() {
    let town = Town::new("");
    let served = Served::start(&town.bench);
    town.subscribed(&served);
    let by_schedule = town.runs_by(&served, "schedule");
    let (group, user, mail) = town.somebody_for_a_group();
    assert!(!town.members(&group).contains(&json!(mail)), "{group} {mail}");
    town.change(WorldChange::AddMember { group: group.clone(), member: Member::User(user.clone()) });
    within("the new member", || town.members(&group).contains(&json!(mail)).then_some(()));
    town.change(WorldChange::RemoveMember { group: group.clone(), member: Member::User(user) });
    within("the member gone", || (!town.members(&group).contains(&json!(mail))).then_some(()));
    town.quiet(&served);
    assert_eq!(town.runs_by(&served, "schedule"), by_schedule, "the schedule had nothing to do with it");
    assert!(town.runs_by(&served, "notification") >= 2);
    let standing = town.standing(&served);
    assert_eq!((&standing["enabled"], &standing["troubles"]), (&json!(true), &json!([])), "{standing}");
    let measured = &standing["freshness"]["by_notification"];
    assert!(measured["changes"].as_u64().unwrap() >= 2, "{standing}");
    assert!(measured["median_ms"].as_u64() <= measured["p95_ms"].as_u64(), "{standing}");

    // A flood of right ones is one run, forged ones are none
    let before = town.quiet(&served);
    let forged = json!({ "count": 3000, "per_request": 100, "client_state": "guess" });
    let forged = town.control("POST", "/notifications/made-up", &forged);
    assert_eq!(forged["statuses"], json!({ "202": 30 }), "{forged}");
    assert_eq!(town.quiet(&served), before, "forged notifications start nothing");
    let flood = json!({ "count": 100_000, "per_request": 500, "parallel": 16 });
    let flood = town.control("POST", "/notifications/made-up", &flood);
    assert_eq!(flood["statuses"], json!({ "202": 200 }), "{flood}");
    let after = town.quiet(&served);
    // One run, and one more where the flood outlasts the longest wait
    assert!((1..=2).contains(&(after - before)), "{before} runs before, {after} after");
    let again = town.control("POST", "/notifications/again", &json!({ "reversed": true }));
    assert!(again["letters"].as_u64().unwrap() > 0);
    assert_eq!(town.quiet(&served), after + 1, "replays in reverse order are one hint");
}

#[test]
fn subscriptions_are_renewed_made_again_and_missed_notifications_made_up_for() {
    let town = Town::new("");
    let settings = |value: Value| {
        town.control("PUT", "/settings", &json!({ "graph": { "notifications": value } }));
    };
    settings(json!({ "life_s": 6 }));
    let served = Served::start(&town.bench);
    town.subscribed(&served);
    let ids = || {
        let standing = town.standing(&served);
        let all = standing["subscriptions"].as_array().unwrap();
        all.iter().map(|one| one["id"].clone()).collect::<Vec<_>>()
    };
    let (first, ends) = (ids(), town.standing(&served)["subscriptions"][0]["expires_at"].clone());
    within("a renewal", || {
        let now = town.standing(&served)["subscriptions"][0]["expires_at"].clone();
        (now.as_str() > ends.as_str()).then_some(())
    });
    assert_eq!(ids(), first, "renewed, not made again");
    settings(json!({ "life_s": null }));

    let lifecycle = |event: &str, more: Value| {
        let mut body = json!({ "event": event });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        town.control("POST", "/notifications/lifecycle", &body);
    };
    town.control("DELETE", "/notifications", &Value::Null);
    lifecycle("reauthorizationRequired", json!({}));
    within("authorized again", || {
        let url = format!("{}/notifications", town.bench.company().control_url);
        let shown: Value = town
            .bench
            .runtime
            .block_on(async { town.http.get(url).send().await.unwrap().json().await.unwrap() });
        let all = shown["subscriptions"].as_array()?.clone();
        (all.len() == 2 && all.iter().all(|one| one["standing"] == "active")).then_some(())
    });
    assert_eq!(ids(), first);
    lifecycle("subscriptionRemoved", json!({ "client_state": "guess" }));
    town.quiet(&served);
    assert_eq!(ids(), first, "a forged event changes nothing");

    // Lost on the way, but the directory says so
    settings(json!({ "drop": true }));
    let (group, user, mail) = town.somebody_for_a_group();
    town.change(WorldChange::AddMember { group: group.clone(), member: Member::User(user.clone()) });
    std::thread::sleep(Duration::from_millis(500));
    lifecycle("missed", json!({ "resource": "/groups" }));
    within("what was missed", || town.members(&group).contains(&json!(mail)).then_some(()));
    let troubles = town.standing(&served)["troubles"].clone();
    assert_eq!(troubles[0]["trouble"], "missed", "{troubles}");
    settings(json!({ "drop": false }));

    lifecycle("subscriptionRemoved", json!({}));
    within("others in their place", || {
        let now = ids();
        now.iter().zip(&first).all(|(now, old)| now.is_string() && now != old).then_some(())
    });
}

#[test]
fn a_permission_that_is_missing_is_told_and_the_rest_goes_on() {
    let town = Town::new("");
    let roles = ["User.Read.All", "GroupMember.Read.All"].map(str::to_owned).into();
    town.change(WorldChange::SetRoles { client_id: None, roles });
    let check = town.bench.entrain(&["check", "Azure AD", "--json"]).expect(0).json();
    let all = check["checks"].as_array().unwrap();
    let of = |what: &str| all.iter().find(|c| c["what"] == what).unwrap_or_else(|| panic!("{what}: {check}"));
    assert_eq!(of("Change notifications, User.Read.All")["verdict"], "good");
    let groups = of("Change notifications, Group.Read.All");
    assert_eq!(groups["verdict"], "warning");
    assert!(groups["remedy"].as_str().unwrap().contains("Group.Read.All"));

    let served = Served::start(&town.bench);
    let troubles = within("a trouble", || {
        let standing = town.standing(&served);
        let users = standing["subscriptions"][0]["id"].is_string();
        (users && standing["troubles"] != json!([])).then(|| standing["troubles"].clone())
    });
    assert_eq!(
        (&troubles[0]["trouble"], &troubles[0]["watched"]),
        (&json!("not_subscribed"), &json!("groups"))
    );
    assert_eq!(troubles[0]["failure"]["code"], "directory_consent_missing", "{troubles}");
    assert!(troubles[0]["remedy"].as_str().unwrap().contains("Group.Read.All"), "{troubles}");
    let check = town.bench.entrain(&["check", "Azure AD", "--json"]).expect(0).json();
    let all = check["checks"].as_array().unwrap();
    let known = all.iter().find(|c| c["what"] == "Change notifications, as the service knows them").unwrap();
    assert_eq!(known["verdict"], "warning", "{known}");
}

#[test]
fn a_connection_in_preview_is_planned_and_not_written_when_a_notification_comes() {
    let town = Town::new("");
    town.bench.entrain(&["connection", "mode", "Azure AD", "preview"]).expect(0);
    let served = Served::start(&town.bench);
    within("two subscriptions", || {
        let standing = town.standing(&served);
        let all = standing["subscriptions"].as_array()?;
        all.iter().all(|one| one["id"].is_string()).then_some(())
    });
    let planned_at = || town.get(&served, "/api/v1/connections/azure-ad/preview")["at"].clone();
    // Those of the schedule and of the new subscriptions
    let mut before = json!(null);
    within("a quiet service", || {
        std::thread::sleep(Duration::from_millis(1500));
        let now = planned_at();
        (std::mem::replace(&mut before, now.clone()) == now && now.is_string()).then_some(())
    });
    let user = town.bench.emulator.state().world().tenant.users.keys().next().unwrap().clone();
    town.change(WorldChange::DisableUser { user });
    within("a new plan", || (planned_at() != before).then_some(()));
    assert_eq!(town.get(&served, "/api/v1/runs")["runs"], json!([]));
}

#[test]
fn changes_that_no_notification_announced_are_told_as_a_loss() {
    let town = Town::new("loss_after = \"1s\"");
    let served = Served::start(&town.bench);
    town.subscribed(&served);
    town.control("PUT", "/settings", &json!({ "graph": { "notifications": { "drop": true } } }));
    let (group, user, mail) = town.somebody_for_a_group();
    town.change(WorldChange::AddMember { group: group.clone(), member: Member::User(user.clone()) });
    let url = format!("{}/api/v1/connections/azure-ad/sync?wait", served.url);
    let status = town.bench.runtime.block_on(async {
        town.http.post(url).bearer_auth(&town.key).send().await.unwrap().status().as_u16()
    });
    assert_eq!(status, 200);
    assert!(town.members(&group).contains(&json!(mail)), "found without a notification");
    let troubles = within("the loss", || {
        let troubles = town.standing(&served)["troubles"].clone();
        (troubles != json!([])).then_some(troubles)
    });
    assert_eq!(troubles[0]["trouble"], "lost", "{troubles}");
    town.control("PUT", "/settings", &json!({ "graph": { "notifications": { "drop": false } } }));
    town.change(WorldChange::RemoveMember { group, member: Member::User(user) });
    within("notifications that come again", || {
        (town.standing(&served)["troubles"] == json!([])).then_some(())
    });
}

#[test]
fn a_connection_that_is_removed_ends_what_it_subscribed_to() {
    for by in ["the API", "the command line"] {
        let town = Town::new("");
        let served = Served::start(&town.bench);
        town.subscribed(&served);
        assert_eq!(town.subscriptions().len(), 2, "{by}");
        if by == "the API" {
            let made =
                town.bench.entrain(&["admin", "api-key", "create", "a", "--role", "administrator", "--json"]);
            let key = made.expect(0).json()["key"].as_str().unwrap().to_owned();
            let status = town.bench.runtime.block_on(async {
                let url = format!("{}/api/v1/connections/azure-ad", served.url);
                town.http.delete(url).bearer_auth(key).send().await.unwrap().status().as_u16()
            });
            assert_eq!(status, 204);
        } else {
            town.bench.entrain(&["connection", "remove", "Azure AD"]).expect(0);
        }
        assert_eq!(town.subscriptions(), Vec::<Value>::new(), "{by}");
        // Nor does the service subscribe again
        town.quiet(&served);
        assert_eq!(town.subscriptions(), Vec::<Value>::new(), "{by}");
    }
}
