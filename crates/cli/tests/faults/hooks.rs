//! Change notifications with two servers over one PostgreSQL, behind one address: one subscription of a kind, whichever
//! server takes a notification, and renewed by whichever lives.

use std::sync::{Arc, Mutex};

use entrain_emulator::Surface;
use entrain_emulator::control::WorldChange;
use entrain_emulator::world::tenant::Member;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::replicas::{Database, SOON, Served, within};
use crate::support::Bench;
use crate::town::{Town, company, unthrottled};

/// What stands before the servers: gives connections in turn to those that are behind it.
struct Front {
    url: String,
    behind: Arc<Mutex<Vec<String>>>,
    /// Connections are broken off when it changes.
    turned: watch::Sender<u64>,
}

impl Front {
    fn new(bench: &Bench) -> Self {
        let listener = bench.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (turned, turns) = watch::channel(0);
        let behind = Arc::new(Mutex::new(Vec::<String>::new()));
        let servers = behind.clone();
        bench.runtime.spawn(async move {
            for turn in 0_usize.. {
                let Ok((mut client, _)) = listener.accept().await else { return };
                let (servers, mut turns) = (servers.lock().unwrap().clone(), turns.clone());
                turns.mark_unchanged();
                tokio::spawn(async move {
                    for n in 0..servers.len() {
                        let server = &servers[(turn + n) % servers.len()];
                        let Ok(mut server) = TcpStream::connect(server).await else { continue };
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                            _ = turns.changed() => {}
                        }
                        return;
                    }
                });
            }
        });
        Self { url, behind, turned }
    }

    fn send_to(&self, servers: &[&str]) {
        *self.behind.lock().unwrap() = servers.iter().map(|server| (*server).to_owned()).collect();
        self.turned.send_modify(|turn| *turn += 1);
    }
}

/// An address that is free now.
fn free() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Somebody, and a group that they are not in.
fn somebody(town: &Town) -> (String, String, (String, String)) {
    let has = town.memberships();
    let world = town.bench.emulator.state().world();
    for group in world.tenant.groups.values() {
        for user in world.tenant.users.values().filter(|user| user.account_enabled == Some(true)) {
            let (Some(mail), Some(name)) = (&user.mail, &group.display_name) else { continue };
            let membership = (name.trim().to_lowercase(), mail.to_lowercase());
            if has.iter().any(|(_, known)| *known == membership.1) && !has.contains(&membership) {
                return (group.id.clone(), user.id.clone(), membership);
            }
        }
    }
    panic!("everybody is in every group")
}

#[test]
fn w_06_two_servers_hold_one_subscription_of_a_kind_and_the_one_that_lives_renews_it() {
    let town = Town::of(unthrottled(company(60, 6, 12)));
    let bench = &town.bench;
    let Some(database) = Database::make(bench) else { return };
    let direct = database.url(&database.socket);
    let entrain = |args: &[&str]| bench.entrain_with(args, &[("ENTRAIN_DATABASE_URL", &direct)]);
    let state = bench.emulator.state();
    let roles = ["User.Read.All", "Group.Read.All"].map(str::to_owned).into();
    state.change(WorldChange::SetRoles { client_id: None, roles }).unwrap();
    let mut settings = (*state.settings()).clone();
    settings.graph.notifications.life_s = Some(40);
    state.set_settings(settings);
    let document = format!(
        "{}\n[schedule]\nevery = \"24h\"\n[notifications]\nenabled = true\nquiet = \"300ms\"\n",
        bench.document("\"*\"")
    );
    let path = bench.file("connection.toml", &document);
    entrain(&["connection", "add", path.to_str().unwrap()]).expect(0);
    entrain(&["connection", "mode", "Azure AD", "apply"]).expect(0);

    let front = Front::new(bench);
    let addresses = [free(), free(), free()];
    let [at_one, at_other, at_third] = addresses.each_ref().map(String::as_str);
    // Before they start: the directory calls back at once
    front.send_to(&[at_one, at_other]);
    let start = |listen: &str| Served::with(bench, &database, listen, &["--public-url", &front.url]);
    let (one, other) = (start(at_one), start(at_other));
    // In order: what is watched, the id, the end
    let subscriptions = || {
        let url = format!("{}/notifications", bench.company().control_url);
        let shown: Value =
            bench.runtime.block_on(async { reqwest::get(url).await.unwrap().json().await.unwrap() });
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let mut all: Vec<[String; 3]> = shown["subscriptions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| ["resource", "id", "expirationDateTime"].map(|key| text(one, key)))
            .collect();
        all.sort();
        all
    };
    let ids = |all: &[[String; 3]]| all.iter().map(|one| one[1].clone()).collect::<Vec<_>>();
    let first = within(SOON, "two subscriptions", || Some(subscriptions()).filter(|all| all.len() == 2));
    assert_ne!(first[0][0], first[1][0], "one of a kind: {first:?}");
    let runs = |trigger: &str| {
        let runs = entrain(&["runs", "list", "--json"]).expect(0).json();
        let runs = runs.as_array().unwrap().clone();
        let ended = runs.iter().all(|run| run["status"] != "running");
        let count =
            runs.iter().filter(|run| run["trigger"] == trigger && run["status"] == "converged").count();
        (ended && !runs.is_empty()).then_some(count)
    };
    within(SOON, "the first run", || runs("schedule").filter(|count| *count > 0));
    let by_schedule = within(SOON, "rest", || runs("schedule"));

    // Whichever takes the notification, the change is made; nobody else would before tomorrow
    let by_notification = within(SOON, "rest", || runs("notification"));
    for behind in [vec![at_one], vec![at_other], vec![at_one, at_other]] {
        front.send_to(&behind);
        let (group, user, membership) = somebody(&town);
        state.change(WorldChange::AddMember { group, member: Member::User(user) }).unwrap();
        within(SOON, "the new membership", || town.memberships().contains(&membership).then_some(()));
    }
    town.assert_exact();
    assert_eq!(within(SOON, "rest", || runs("schedule")), by_schedule);
    assert!(within(SOON, "rest", || runs("notification")) >= by_notification + 3);

    // Each in turn is killed, and the other renews what either made
    let renewed = |what: &str| {
        let before = subscriptions();
        within(SOON, what, || {
            let now = subscriptions();
            assert_eq!(ids(&now), ids(&before), "{what}: renewed, not made again");
            before.iter().zip(&now).all(|(before, now)| now[2] > before[2]).then_some(())
        });
    };
    one.signal("-KILL");
    drop(one);
    front.send_to(&[at_other]);
    renewed("a renewal by the other");
    front.send_to(&[at_third]);
    let _third = start(at_third);
    other.signal("-KILL");
    drop(other);
    renewed("a renewal by the third");
    assert_eq!(ids(&subscriptions()), ids(&first));
    let made = town.requests(|entry| {
        entry.surface == Surface::Graph && entry.method == "POST" && entry.path.ends_with("/subscriptions")
    });
    assert_eq!(made.len(), 2, "one for each kind, ever: {made:#?}");
    let (group, user, membership) = somebody(&town);
    state.change(WorldChange::AddMember { group, member: Member::User(user) }).unwrap();
    within(SOON, "the last membership", || town.memberships().contains(&membership).then_some(()));
    entrain(&["audit", "verify"]).expect(0);
}
