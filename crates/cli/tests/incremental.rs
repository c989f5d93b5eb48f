//! Runs that go on from the mirrors, through the real binary against the emulator: what they cost, and that nothing is
//! lost on the way. The lists, the delta rounds and the recycle bin are the emulator's, which knows nothing of Entrain.

#![expect(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entrain_connect::entra::{CaughtUp, Credential, Entra, EntraOptions, Links, Sessions, Since};
use entrain_connect::http::{BaseUrl, HttpOptions, Meter, Plane, SteppedEnvironment};
use entrain_domain::model::{AccountState, DirectorySnapshot};
use entrain_domain::policy::{GroupSelector, Rules, Scope};
use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::world::World;
use entrain_emulator::world::generate::{GenerateOptions, generate};
use entrain_emulator::world::tenant::{EntraUser, Member};
use entrain_emulator::{Options, Surface};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use support::{Bench, Ran};

fn options(people: usize, groups: usize, members_per_group: usize) -> Options {
    let clashes = false;
    let world = generate(&GenerateOptions {
        people,
        groups,
        members_per_group,
        clashes,
        ..GenerateOptions::default()
    });
    let mut options = Options::with_world(world);
    options.settings.atlassian.throttle = false;
    options.settings.graph.throttle = false;
    options
}

/// A company whose first sync has converged.
fn settled(options: Options) -> Bench {
    let bench = Bench::of(options);
    bench.add("\"*\"");
    let ran = bench.entrain(&["sync", "--json"]).expect(0);
    assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
    bench
}

fn change<T>(bench: &Bench, act: impl FnOnce(&mut World, jiff::Timestamp) -> T) -> T {
    let state = bench.emulator.state();
    let now = state.now();
    act(&mut state.world_mut(), now)
}

fn sync(bench: &Bench, more: &[&str]) -> Ran {
    bench.entrain(&[&["sync", "--json"], more].concat())
}

/// Requests by side, as the report has them; those to Graph also as the emulator saw them.
fn costs(bench: &Bench, ran: &Ran) -> (u64, u64) {
    let seen =
        |surface| bench.emulator.state().log.entries(usize::MAX, |e| e.surface == surface).len() as u64;
    let report = ran.json();
    let (directory, site) =
        (report["requests"]["directory"].as_u64().unwrap(), report["requests"]["site"].as_u64().unwrap());
    // Where one of the two rounds is refused, the other is not waited for.
    let (graph, lost) =
        (seen(Surface::Graph) + seen(Surface::Authority), bench.emulator.state().faults.list().len());
    assert!(graph <= directory && directory <= graph + lost as u64, "{graph} of {report:#}");
    assert_eq!(site, seen(Surface::Site), "{report:#}");
    (directory, site)
}

fn measured(bench: &Bench, more: &[&str]) -> (Ran, (u64, u64)) {
    bench.emulator.state().log.clear();
    let ran = sync(bench, more).expect(0);
    assert_eq!(ran.json()["status"], "converged", "{}", ran.out());
    let costs = costs(bench, &ran);
    (ran, costs)
}

/// Members of groups by name, as the directory wants them and as the site has them.
type Memberships = BTreeMap<String, BTreeSet<String>>;

fn wanted(world: &World) -> Memberships {
    let mut wanted = Memberships::new();
    for (id, group) in &world.tenant.groups {
        let live = world.tenant.transitive_members(id).into_iter().filter_map(|member| match member {
            Member::User(id) => world.tenant.users.get(id).filter(|u| u.account_enabled == Some(true)),
            _ => None,
        });
        let addresses =
            live.map(|user| user.mail.as_ref().unwrap_or(&user.user_principal_name).to_lowercase());
        wanted.insert(group.display_name.clone().unwrap(), addresses.collect());
    }
    wanted
}

fn on_site(world: &World, groups: &Memberships) -> Memberships {
    let mut is = Memberships::new();
    for group in world.atlassian.groups.values().filter(|group| groups.contains_key(&group.name)) {
        let addresses = group
            .members
            .iter()
            .map(|id| world.atlassian.accounts[id].email.as_deref().unwrap().to_lowercase());
        is.insert(group.name.clone(), addresses.collect());
    }
    is
}

#[track_caller]
fn assert_exact(bench: &Bench) {
    let world = bench.emulator.state().world();
    let wanted = wanted(&world);
    assert_eq!(on_site(&world, &wanted), wanted);
}

/// A user of some group, and that group: the nth of all, counted in a round.
fn somebody(world: &World, nth: usize) -> (String, String) {
    let found = world.tenant.groups.iter().flat_map(|(id, group)| {
        let users = group.members.iter().filter_map(|member| match member {
            Member::User(user) => world.tenant.users.get(user),
            _ => None,
        });
        let users = users.filter(|user| user.account_enabled == Some(true)).map(|user| user.id.clone());
        users.map(move |user| (user, id.clone()))
    });
    let found: Vec<_> = found.collect();
    found[nth % found.len()].clone()
}

fn disable(world: &mut World, user: &str, at: jiff::Timestamp) {
    let disabled = Map::from_iter([("accountEnabled".to_owned(), Value::Bool(false))]);
    world.tenant.update_user(user, disabled, at).unwrap();
}

fn join(world: &mut World, n: usize, group: &str, at: jiff::Timestamp) {
    let id = format!("00000000-0000-4000-8000-{n:012x}");
    let address = format!("joiner{n}@{}", world.tenant.domain);
    let joiner = EntraUser {
        id: id.clone(),
        display_name: Some(format!("Joiner {n}")),
        mail: Some(address.clone()),
        user_principal_name: address,
        ..EntraUser::default()
    };
    world.tenant.add_user(joiner, at).unwrap();
    world.tenant.add_member(group, Member::User(id), at).unwrap();
}

/// P-2
#[test]
fn p_2_a_run_that_finds_nothing_changed_makes_two_requests_to_graph_and_none_to_the_site() {
    let bench = settled(options(60, 8, 20));
    for _ in 0..3 {
        // A new process fetches a token first.
        let (ran, costs) = measured(&bench, &[]);
        assert_eq!(costs, (1 + 2, 0));
        let report = ran.json();
        assert_eq!(report["steps"], json!({}));
        assert_eq!((&report["held"], &report["set_aside"]), (&json!([]), &json!([])));
        assert!(report["seats"]["jira-software"]["after"].is_u64(), "{report:#}");
        assert!(report["run_id"].is_string() && report["started_at"].is_string());
    }
    bench.emulator.state().log.clear();
    let plan = bench.entrain(&["plan", "--json", "--detailed-exitcode"]).expect(0);
    assert_eq!(plan.json()["status"], "nothing");
    assert_eq!(costs(&bench, &plan), (3, 0));
    let (_, full) = measured(&bench, &["--full"]);
    assert!(full.0 > 5 && full.1 > 5, "{full:?}");
    let (_, again) = measured(&bench, &[]);
    assert_eq!(again, (3, 0));
    assert_exact(&bench);
}

#[test]
fn a_change_costs_in_proportion_to_itself_and_not_to_the_company() {
    let mut costs = Vec::new();
    for (people, groups) in [(100, 10), (500, 50)] {
        let bench = settled(options(people, groups, 20));
        let (_, group) = change(&bench, |world, _| somebody(world, 0));
        change(&bench, |world, at| join(world, 1, &group, at));
        let (ran, joined) = measured(&bench, &[]);
        assert_eq!(ran.json()["steps"]["add_member"]["done"], 1, "{}", ran.out());
        let (user, _) = change(&bench, |world, _| somebody(world, 7));
        let memberships = change(&bench, |world, at| {
            disable(world, &user, at);
            world.tenant.groups_of(&user, entrain_emulator::world::tenant::Reach::Direct).len()
        });
        let (ran, left) = measured(&bench, &[]);
        let removed = ran.json()["steps"]["remove_member"]["done"].as_u64().unwrap();
        assert!(removed >= memberships as u64, "{}", ran.out());
        assert_exact(&bench);
        // Token, two rounds, the newcomer's groups; checks, a search, two writes, the group and the account read back.
        assert_eq!(joined.0, 4);
        assert!(joined.1 <= 6 + 1 + 2 + 2 + 6, "{joined:?}");
        assert_eq!(left.0, 3);
        assert!(left.1 <= 6 + 2 * removed + 6, "{left:?}");
        costs.push(joined);
    }
    assert_eq!(costs[0], costs[1], "a larger company costs the same");
}

#[test]
fn changes_of_a_day_are_followed_without_a_full_read() {
    let bench = settled(options(60, 8, 20));
    let mut used = 0;
    for day in 0..4 {
        change(&bench, |world, at| {
            let groups: Vec<String> = world.tenant.groups.keys().cloned().collect();
            join(world, 100 + day, &groups[day], at);
            let (mover, from) = somebody(world, day * 11);
            world.tenant.remove_member(&from, &Member::User(mover.clone()), at).unwrap();
            let _ = world.tenant.add_member(&groups[(day + 3) % 8], Member::User(mover), at);
            let (leaver, _) = somebody(world, day * 13 + 5);
            if day % 2 == 0 {
                disable(world, &leaver, at);
            } else {
                world.tenant.soft_delete_user(&leaver, at).unwrap();
            }
        });
        let (_, (directory, _)) = measured(&bench, &[]);
        used += directory;
        assert_exact(&bench);
    }
    assert_eq!(used, 4 * 4, "token, two rounds, the groups of whoever is new");
    let before = sync(&bench, &["--full"]).expect(0).json()["steps"].clone();
    assert_eq!(before, json!({}), "a full read finds nothing more to do");
}

#[test]
fn a_soft_deleted_person_comes_back_with_all_groups_also_over_a_full_read() {
    for full_read_between in [false, true] {
        let bench = settled(options(40, 6, 12));
        let (user, _) = change(&bench, |world, _| somebody(world, 3));
        change(&bench, |world, at| world.tenant.soft_delete_user(&user, at).unwrap());
        let (ran, _) = measured(&bench, &[]);
        let left = ran.json()["steps"]["remove_member"]["done"].as_u64().unwrap();
        assert!(left > 0, "{}", ran.out());
        assert_exact(&bench);
        if full_read_between {
            measured(&bench, &["--full"]);
        }
        change(&bench, |world, at| world.tenant.restore_user(&user, at).unwrap());
        let (ran, (directory, _)) = measured(&bench, &[]);
        assert!(directory <= 4, "{directory}");
        assert_eq!(ran.json()["steps"]["add_member"]["done"], left, "{}", ran.out());
        assert_eq!(ran.json()["steps"]["create_user"], Value::Null, "the account had stayed");
        assert_exact(&bench);
    }
}

/// N-08: every form in which Graph says that the state is lost.
#[test]
fn n_08_a_lost_state_leads_to_a_full_read_that_finds_the_deletions_of_the_gap() {
    let lost =
        json!({"error": {"code": "syncStateNotFound", "message": "The sync state generation is not found."}});
    let resync = json!({"error": {"code": "badRequest", "innerError": {"code": "resyncRequired"}}});
    // Large enough that the limit on removals of a day is not met.
    let bench = settled(options(200, 20, 40));
    let graph = bench.company().graph_url.clone();
    let located = |kind: &str| {
        BTreeMap::from([("Location".to_owned(), format!("{graph}/v1.0/{kind}/delta?$deltatoken="))])
    };
    let cases: Vec<(u16, BTreeMap<String, String>, Option<Value>)> = vec![
        (400, BTreeMap::new(), Some(lost.clone())),
        (400, located("users"), Some(lost)),
        (410, located("users"), None),
        (410, BTreeMap::new(), None),
        (410, BTreeMap::new(), Some(resync)),
        (
            410,
            BTreeMap::from([("Location".to_owned(), "https://elsewhere.example/v1.0/users".to_owned())]),
            None,
        ),
    ];
    for (n, (status, headers, body)) in cases.into_iter().enumerate() {
        for path in ["/v1.0/users/delta", "/v1.0/groups/delta"] {
            let told = format!("{status} {headers:?} {body:?} at {path}");
            // Somebody goes in the gap, for good: neither a list nor a round will name him.
            let leavers = change(&bench, |world, at| {
                let (user, _) = somebody(world, n * 3 + path.len());
                world.tenant.soft_delete_user(&user, at).unwrap();
                world.tenant.purge_user(&user, at).unwrap();
                let (member, group) = somebody(world, n * 5 + 1);
                world.tenant.remove_member(&group, &Member::User(member), at).unwrap();
                user
            });
            let kind = FaultKind::Status { status, headers: headers.clone(), body: body.clone() };
            let fault = Fault {
                surface: Some(Surface::Graph),
                path: Some(path.into()),
                count: Some(1),
                ..Fault::new(kind)
            };
            bench.emulator.state().faults.add(fault).unwrap();
            let (ran, (directory, _)) = measured(&bench, &[]);
            assert!(directory > 8, "{told}: read in full, with {directory} requests");
            assert!(
                ran.json()["steps"]["remove_member"]["done"].as_u64() >= Some(2),
                "{told}: {}",
                ran.out()
            );
            assert_exact(&bench);
            assert!(!bench.emulator.state().world().tenant.users.contains_key(&leavers));
            bench.emulator.state().faults.clear();
            assert_eq!(measured(&bench, &[]).1, (3, 0), "{told}: the new watermark is good");
        }
    }
}

/// N-08: the emulated tokens really expire; what a guard would have held is held after the full read as well.
#[test]
fn n_08_an_expired_token_and_a_mass_deletion_in_the_gap_are_held() {
    let bench = settled(options(60, 8, 20));
    let mut settings = (*bench.emulator.state().settings()).clone();
    // Longer than a read takes, also on a busy machine: tokens must not expire in the middle of one
    settings.graph.delta_token_life_s = 4;
    bench.emulator.state().set_settings(settings);
    let expire = || std::thread::sleep(std::time::Duration::from_millis(5_100));
    let had = change(&bench, |world, at| {
        let users: Vec<String> = world.tenant.users.keys().take(40).cloned().collect();
        for user in users {
            world.tenant.soft_delete_user(&user, at).unwrap();
            world.tenant.purge_user(&user, at).unwrap();
        }
        world.atlassian.groups.values().map(|group| group.members.len()).sum::<usize>()
    });
    for _ in 0..2 {
        expire();
        let ran = sync(&bench, &[]).expect(3);
        assert_eq!(ran.json()["status"], "held", "{}", ran.out());
        assert_eq!(ran.json()["held"][0]["guard"], "removals", "{}", ran.out());
        assert!(ran.json()["requests"]["directory"].as_u64() > Some(8), "{}", ran.out());
        let has: usize =
            change(&bench, |world, _| world.atlassian.groups.values().map(|group| group.members.len()).sum());
        assert_eq!(has, had);
    }
    sync(&bench, &["--yes"]).expect(0);
    assert_exact(&bench);
}

fn reader(bench: &Bench) -> Entra {
    let company = bench.company();
    let environment = Arc::new(SteppedEnvironment::starting_at(bench.emulator.state().now()));
    let base = BaseUrl::parse(&company.graph_url).unwrap();
    let http = HttpOptions::new(base, Plane::Directory, Arc::new(Meter::new()), environment);
    let options = EntraOptions {
        authority_url: company.authority_url.clone(),
        graph_url: company.graph_url.clone(),
        scope: "https://graph.microsoft.com/.default".to_owned(),
        tenant_id: company.tenant_id.clone(),
        client_id: company.client_id.clone(),
        credential: Credential::Secret(company.client_secret.clone().into()),
        sessions: Sessions::default(),
    };
    Entra::new(options, &http).unwrap()
}

/// Live members of all groups, by id.
fn read(snapshot: &DirectorySnapshot) -> Memberships {
    let mut read = Memberships::new();
    for group in snapshot.groups() {
        let (users, _) = group.direct().unwrap();
        let live = users.iter().filter_map(|ix| snapshot.user_at(*ix));
        let live = live.filter(|user| user.account == AccountState::Enabled);
        read.insert(group.id.to_string(), live.map(|user| user.id.to_string()).collect());
    }
    read
}

fn is(world: &World) -> Memberships {
    let mut is = Memberships::new();
    for (id, group) in &world.tenant.groups {
        let live = group.members.iter().filter_map(|member| match member {
            Member::User(id) => world.tenant.users.get(id).filter(|u| u.account_enabled == Some(true)),
            _ => None,
        });
        is.insert(id.clone(), live.map(|user| user.id.clone()).collect());
    }
    is
}

/// One change of the directory, drawn at random; `n` tells newcomers apart.
fn something_happens(world: &mut World, random: &mut StdRng, n: usize, at: jiff::Timestamp) {
    let groups: Vec<String> = world.tenant.groups.keys().cloned().collect();
    let users: Vec<String> = world.tenant.users.keys().cloned().collect();
    let group = &groups[random.random_range(0..groups.len())];
    let user = &users[random.random_range(0..users.len())];
    let member = Member::User(user.clone());
    // What cannot be done just now is not done.
    let _ = match random.random_range(0..7) {
        0 => {
            join(world, n, group, at);
            Ok(())
        }
        1 => world.tenant.soft_delete_user(user, at),
        2 => world.tenant.remove_member(group, &member, at),
        3 if groups.len() > 3 => world.tenant.delete_group(group, at),
        4 => world.tenant.rename_group(group, &format!("Renamed {n}"), at),
        5 => {
            let disabled = Map::from_iter([("accountEnabled".to_owned(), Value::Bool(false))]);
            world.tenant.update_user(user, disabled, at)
        }
        _ => world.tenant.add_member(group, member, at),
    };
}

/// N-09: changes while the directory is read for the first time. Whatever the read itself saw of them, it and the next
/// round together lose none.
#[test]
fn n_09_no_change_during_the_first_read_is_lost() {
    let interleavings: usize =
        std::env::var("ENTRAIN_INTERLEAVINGS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut options = options(40, 8, 10);
    // Small pages: many requests, so that changes fall between any two of them.
    options.settings.graph.list_page_size = Some(15);
    options.settings.graph.delta_page_size = 3;
    options.settings.graph.member_slice_size = 4;
    let mut bench = Bench::of(options.clone());
    let mut n = 0;
    let mut entra = reader(&bench);
    let selectors = vec![GroupSelector::parse("*").unwrap()];
    let scope = Scope::in_groups(selectors);
    let demand = Rules::for_scope(scope).demand();
    for interleaving in 0..interleavings {
        if interleaving % 50 == 49 {
            bench = Bench::of(options.clone());
            entra = reader(&bench);
        }
        let over = AtomicBool::new(false);
        let (first, made) = std::thread::scope(|scope| {
            let (state, over) = (bench.emulator.state().clone(), &over);
            let mut own = StdRng::seed_from_u64(random.random());
            let from = n;
            let busy = scope.spawn(move || {
                let mut made = 0;
                while !over.load(Ordering::Relaxed) && made < 12 {
                    std::thread::sleep(std::time::Duration::from_micros(own.random_range(0..1500)));
                    let at = state.now();
                    something_happens(&mut state.world_mut(), &mut own, from + made, at);
                    made += 1;
                }
                made
            });
            let first = bench.runtime.block_on(entra.read(&demand, &[]));
            over.store(true, Ordering::Relaxed);
            (first, busy.join().unwrap())
        });
        n += made;
        let first = first.unwrap_or_else(|e| panic!("seed {seed}, interleaving {interleaving}: {e}"));
        let links = Links { users: first.users_link, groups: first.groups_link, issued_at: first.issued_at };
        let reading = first.snapshot.into_reading().remembered();
        let snapshot = bench.runtime.block_on(async {
            let changes = match entra.changes(&links).await.unwrap() {
                Since::Nothing(_, changes) | Since::Changes(changes) => changes,
                Since::Lost => panic!("the links are fresh"),
            };
            match entra.catch_up(reading, changes, &demand).await.unwrap() {
                CaughtUp::Read(read) => Some(read.snapshot),
                // Then a run reads in full, which is right by itself.
                CaughtUp::Implausible(_) => None,
            }
        });
        let Some(snapshot) = snapshot else { continue };
        let world = bench.emulator.state().world();
        assert_eq!(read(&snapshot), is(&world), "seed {seed}, interleaving {interleaving}");
    }
}

/// N-09 through whole runs: changes while the first sync is under way.
#[test]
fn n_09_changes_during_the_first_sync_arrive_with_the_next() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..5 {
        let mut options = options(40, 6, 10);
        options.settings.graph.list_page_size = Some(10);
        let bench = Bench::of(options);
        bench.add("\"*\"");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (state, over) = (bench.emulator.state().clone(), &over);
            let mut own = StdRng::seed_from_u64(random.random());
            scope.spawn(move || {
                for n in 0..25 {
                    std::thread::sleep(std::time::Duration::from_millis(own.random_range(0..40)));
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let at = state.now();
                    let mut world = state.world_mut();
                    let (user, group) = somebody(&world, own.random_range(0..20));
                    let member = Member::User(user.clone());
                    let _ = match own.random_range(0..3) {
                        0 => world.tenant.remove_member(&group, &member, at),
                        1 => world.tenant.soft_delete_user(&user, at),
                        _ => {
                            join(&mut world, n, &group, at);
                            Ok(())
                        }
                    };
                }
            });
            let first = sync(&bench, &[]);
            assert!(matches!(first.output.status.code(), Some(0 | 4)), "{}", first.out());
            over.store(true, Ordering::Relaxed);
        });
        let ran = sync(&bench, &["--yes"]).expect(0);
        assert_eq!(ran.json()["status"], "converged", "seed {seed}: {}", ran.out());
        assert_exact(&bench);
    }
}
