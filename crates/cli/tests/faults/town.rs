//! An emulated company with a site that is in step with it, a day that passes, and what must hold after every fault.
//!
//! What the site should look like is computed here straight from the emulated directory, by the simplest means, so that
//! it shares nothing with the planner that it judges.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use entrain_emulator::faults::{Fault, FaultKind};
use entrain_emulator::log::LogEntry;
use entrain_emulator::world::World;
use entrain_emulator::world::generate::{GenerateOptions, generate};
use entrain_emulator::world::tenant::{EntraUser, Member};
use entrain_emulator::{Options, Surface};
use serde_json::{Map, Value};

use crate::support::{Bench, Ran};

/// Memberships as (group, address), both in lower case.
pub(crate) type Memberships = BTreeSet<(String, String)>;

/// A host that nobody should talk to: it records what arrives.
pub(crate) struct Decoy {
    pub(crate) origin: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Decoy {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let record = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(300)));
                let mut bytes = [0; 8192];
                let read = stream.read(&mut bytes).unwrap_or(0);
                record.lock().unwrap().push(String::from_utf8_lossy(&bytes[..read]).into_owned());
            }
        });
        Self { origin, heard }
    }

    #[track_caller]
    pub(crate) fn assert_heard_nothing(&self) {
        let heard = self.heard.lock().unwrap();
        assert!(heard.is_empty(), "another host was asked: {heard:#?}");
    }
}

/// The company, its site and the connection between them.
pub(crate) struct Town {
    pub(crate) bench: Bench,
    pub(crate) decoy: Decoy,
    /// Memberships of groups that Entrain made and that a person added by hand.
    by_hand: Memberships,
    /// Groups that were on the site before, with their members.
    before: BTreeMap<String, BTreeSet<String>>,
    days: usize,
}

/// A company without clashes: everything about it can be done, so its end state is exact.
pub(crate) fn company(people: usize, groups: usize, members_per_group: usize) -> World {
    let clashes = false;
    generate(&GenerateOptions { people, groups, members_per_group, clashes, ..GenerateOptions::default() })
}

/// Options for a world whose clouds do not throttle.
pub(crate) fn unthrottled(world: World) -> Options {
    let mut options = Options::with_world(world);
    options.settings.atlassian.throttle = false;
    options.settings.graph.throttle = false;
    options.settings.log_entries = 200_000;
    options
}

fn lower(text: &str) -> String {
    text.trim().to_lowercase()
}

impl Town {
    /// A company whose connection is stored, and nothing else.
    pub(crate) fn of(options: Options) -> Self {
        let bench = Bench::of(options);
        bench.add("\"*\"");
        let before = site_groups(&bench.emulator.state().world());
        Self { bench, decoy: Decoy::new(), by_hand: Memberships::new(), before, days: 0 }
    }

    /// A small company, synchronised once: its memberships are in the ledger, and one was added by hand.
    pub(crate) fn settled() -> Self {
        Self::settled_with(company(60, 8, 20))
    }

    pub(crate) fn settled_with(world: World) -> Self {
        let mut town = Self::of(unthrottled(world));
        town.sync(&[]).expect(0);
        town.add_by_hand();
        town.assert_exact();
        town.forget_requests();
        town
    }

    /// Somebody adds a person to a group that Entrain made.
    fn add_by_hand(&mut self) {
        let mut world = self.bench.emulator.state().world_mut();
        let at = self.bench.emulator.state().now();
        let wanted = wanted(&world);
        let (group, account) = {
            let group =
                world.atlassian.groups.values().filter(|g| !self.before.contains_key(&lower(&g.name)));
            let group = group.min_by_key(|g| g.members.len()).unwrap();
            let stranger = world.atlassian.accounts.values().find(|a| {
                let email = a.email.as_deref().map(lower).unwrap_or_default();
                a.account_type == "atlassian"
                    && a.active()
                    && !group.members.contains(&a.account_id)
                    && !wanted.contains(&(lower(&group.name), email))
            });
            (group.clone(), stranger.unwrap().clone())
        };
        world.atlassian.set_member(&group.group_id, &account.account_id, at).unwrap();
        self.by_hand.insert((lower(&group.name), lower(account.email.as_deref().unwrap())));
    }

    /// A day in the directory: somebody joins, somebody moves, somebody leaves.
    pub(crate) fn a_day_passes(&mut self) {
        self.a_day(true);
    }

    /// Somebody goes from one group to another, and nothing else happens.
    pub(crate) fn somebody_moves(&mut self) {
        self.days += 1;
        let state = self.bench.emulator.state();
        let at = state.now();
        let mut world = state.world_mut();
        let tenant = &mut world.tenant;
        let groups: Vec<String> = tenant.groups.keys().cloned().collect();
        let from = &groups[self.days % groups.len()];
        let member =
            tenant.groups[from].members.iter().find(|member| matches!(member, Member::User(_))).cloned();
        let to = groups
            .iter()
            .find(|to| *to != from && !tenant.groups[*to].members.iter().any(|m| Some(m) == member.as_ref()));
        if let (Some(member), Some(to)) = (member, to) {
            tenant.remove_member(from, &member, at).unwrap();
            tenant.add_member(to, member, at).unwrap();
        }
    }

    /// The same without a joiner.
    pub(crate) fn a_quiet_day_passes(&mut self) {
        self.a_day(false);
    }

    fn a_day(&mut self, invites: bool) {
        self.days += 1;
        let day = self.days;
        let state = self.bench.emulator.state();
        let at = state.now();
        let mut world = state.world_mut();
        let tenant = &mut world.tenant;
        let groups: Vec<String> = tenant.groups.keys().cloned().collect();
        let enabled = |tenant: &entrain_emulator::world::tenant::Tenant, m: &Member| match m {
            Member::User(id) => tenant.users.get(id).is_some_and(|u| u.account_enabled == Some(true)),
            _ => false,
        };
        let pick =
            |tenant: &entrain_emulator::world::tenant::Tenant, nth: usize, besides: Option<&Member>| {
                let mut found = Vec::new();
                for group in &groups {
                    for member in &tenant.groups[group].members {
                        if enabled(tenant, member) && Some(member) != besides {
                            found.push((group.clone(), member.clone()));
                        }
                    }
                }
                found[nth % found.len()].clone()
            };

        if invites {
            let id = format!("00000000-0000-4000-8000-{day:012x}");
            let address = format!("joiner{day}@{}", tenant.domain);
            let joiner = EntraUser {
                id: id.clone(),
                display_name: Some(format!("Joiner {day}")),
                mail: Some(address.clone()),
                user_principal_name: address,
                ..EntraUser::default()
            };
            tenant.add_user(joiner, at).unwrap();
            tenant.add_member(&groups[day % groups.len()], Member::User(id), at).unwrap();
        }

        let (from, mover) = pick(tenant, day * 31, None);
        let to = groups.iter().find(|g| !tenant.groups[*g].members.contains(&mover));
        tenant.remove_member(&from, &mover, at).unwrap();
        if let Some(to) = to.cloned() {
            tenant.add_member(&to, mover.clone(), at).unwrap();
        }

        let (_, leaver) = pick(tenant, day * 53, Some(&mover));
        let disabled = Map::from_iter([("accountEnabled".to_owned(), Value::Bool(false))]);
        tenant.update_user(leaver.id(), disabled, at).unwrap();
    }

    /// Sets a fault.
    pub(crate) fn fault(&self, fault: Fault) {
        self.bench.emulator.state().faults.add(fault).unwrap();
    }

    /// Takes all faults away.
    pub(crate) fn heal(&self) {
        self.bench.emulator.state().faults.clear();
    }

    /// How often faults have fired.
    pub(crate) fn fired(&self) -> u64 {
        self.bench.emulator.state().faults.list().iter().map(|f| f.fired).sum()
    }

    /// Forgets the requests made so far.
    pub(crate) fn forget_requests(&self) {
        self.bench.emulator.state().log.clear();
    }

    /// The requests that the emulator saw, by `keep`.
    pub(crate) fn requests(&self, keep: impl Fn(&LogEntry) -> bool) -> Vec<LogEntry> {
        self.bench.emulator.state().log.entries(usize::MAX, keep)
    }

    /// The writes that reached the site.
    pub(crate) fn writes(&self) -> Vec<String> {
        let told = |e: LogEntry| format!("{} {}?{}", e.method, e.path, e.query.unwrap_or_default());
        self.requests(|e| e.surface == Surface::Site && e.method != "GET").into_iter().map(told).collect()
    }

    /// `entrain sync --json`, with everything it says at debug level, checked for secrets.
    pub(crate) fn sync(&self, more: &[&str]) -> Ran {
        // In full: what fails is found at every address, not only at those that an incremental run asks
        let ran = self.run(&[&["sync", "--json", "--full"], more].concat());
        self.assert_quiet(&ran);
        ran
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.bench.entrain_with(args, &[("ENTRAIN_LOG", "debug")])
    }

    /// No secret in what was printed, and nobody else was asked.
    #[track_caller]
    pub(crate) fn assert_quiet(&self, ran: &Ran) {
        let company = self.bench.company();
        let said = ran.out() + &ran.err();
        // "eyJ" begins every access token and every signed assertion
        for secret in [company.client_secret.as_str(), company.api_token.as_str(), "eyJ", "Basic ", "Bearer "]
        {
            assert!(!said.contains(secret), "entrain {} shows a secret: {secret}", ran.args);
        }
        self.decoy.assert_heard_nothing();
    }

    /// The memberships that the site has in groups of the directory.
    pub(crate) fn memberships(&self) -> Memberships {
        self.memberships_of(&self.bench.emulator.state().world())
    }

    fn memberships_of(&self, world: &World) -> Memberships {
        let groups = site_groups(world).into_iter().filter(|(name, _)| !self.before.contains_key(name));
        groups.flat_map(|(name, members)| members.into_iter().map(move |m| (name.clone(), m))).collect()
    }

    /// What must hold at all times: nothing is gone that the directory still has or that a person made, and groups of
    /// before are as they were. `had` is what the site had before the fault.
    #[track_caller]
    pub(crate) fn assert_nothing_lost(&self, had: &Memberships) {
        let world = self.bench.emulator.state().world();
        let wanted = wanted(&world);
        let has = self.memberships_of(&world);
        let lost: Vec<_> = had.intersection(&wanted).filter(|m| !has.contains(*m)).collect();
        assert!(lost.is_empty(), "memberships are gone that the directory still has: {lost:?}");
        let undone: Vec<_> = self.by_hand.iter().filter(|m| !has.contains(*m)).collect();
        assert!(undone.is_empty(), "memberships are gone that a person made: {undone:?}");
        let now = site_groups(&world);
        for (name, members) in &self.before {
            assert_eq!(now.get(name), Some(members), "the group {name} is not ours");
        }
    }

    /// The site is exactly what the directory asks for, and nobody was invited twice.
    #[track_caller]
    pub(crate) fn assert_exact(&self) {
        let world = self.bench.emulator.state().world();
        let has = self.memberships_of(&world);
        let mut should = wanted(&world);
        should.extend(self.by_hand.iter().cloned());
        let missing: Vec<_> = should.difference(&has).collect();
        let surplus: Vec<_> = has.difference(&should).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:?}, surplus {surplus:?}");
        let names = |n: &String| !self.before.contains_key(n);
        let groups: BTreeSet<String> = site_groups(&world).into_keys().filter(names).collect();
        let named = world.tenant.groups.values().map(|g| lower(g.display_name.as_deref().unwrap()));
        assert_eq!(groups, named.collect::<BTreeSet<_>>());
        let mut invited = world.atlassian.invitations.clone();
        invited.sort();
        let all = invited.len();
        invited.dedup();
        assert_eq!(invited.len(), all, "somebody was invited twice");
    }

    /// After the faults: the next run converges on the exact state, and the one after it writes nothing.
    #[track_caller]
    pub(crate) fn assert_recovers(&self) {
        self.heal();
        let healed = self.sync(&[]);
        assert_eq!(healed.output.status.code(), Some(0), "{}\n{}", healed.out(), self.told());
        assert_eq!(healed.json()["status"], "converged", "{}", healed.out());
        self.assert_exact();
        self.forget_requests();
        self.sync(&[]).expect(0);
        assert_eq!(self.writes(), Vec::<String>::new());
    }

    /// A run under faults, after which nothing is lost. Gives what the run said.
    #[track_caller]
    pub(crate) fn suffers(&mut self, faults: &[Fault]) -> Ran {
        self.forget_requests();
        let had = self.memberships();
        for fault in faults {
            self.fault(fault.clone());
        }
        let ran = self.sync(&[]);
        assert!(self.fired() > 0, "the fault never happened: {faults:?}");
        self.assert_nothing_lost(&had);
        ran
    }

    /// A run that these faults make fail before it writes, with one of these codes and a way out.
    #[track_caller]
    pub(crate) fn refuses(&mut self, faults: &[Fault], codes: &[&str]) -> Ran {
        let ran = self.suffers(faults);
        let json = ran.json();
        assert_eq!(ran.output.status.code(), Some(1), "{faults:?}\n{json:#}\n{}", self.told());
        let error = &json["error"];
        let code = error["code"].as_str().unwrap_or_default();
        assert!(codes.contains(&code), "{faults:?}\n{json:#}");
        for part in ["message", "remedy"] {
            assert!(error[part].as_str().is_some_and(|text| text.len() > 10), "{part}: {json:#}");
        }
        assert_eq!(self.writes(), Vec::<String>::new(), "{faults:?}");
        self.heal();
        ran
    }

    /// The requests of the last run, for messages.
    pub(crate) fn told(&self) -> String {
        format!("{:#?}", self.bench.emulator.state().log.counts().by_endpoint)
    }

    /// A run that does what it can, sets something aside and takes nothing away but what the directory has ended.
    #[track_caller]
    pub(crate) fn sets_aside(&mut self, faults: &[Fault]) -> Ran {
        let ran = self.suffers(faults);
        let json = ran.json();
        assert_eq!(ran.output.status.code(), Some(4), "{faults:?}\n{json:#}\n{}", self.told());
        assert_eq!(json["status"], "partial", "{faults:?}\n{json:#}");
        let aside = json["set_aside"].as_array().unwrap();
        assert!(!aside.is_empty(), "{faults:?}\n{json:#}");
        for part in aside {
            assert!(part["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{json:#}");
        }
        self.heal();
        ran
    }

    /// A day passes, a fault makes its run fail before it writes, and the next run mends everything.
    #[track_caller]
    pub(crate) fn fails_unharmed(&mut self, faults: &[Fault], codes: &[&str]) -> Ran {
        self.a_day_passes();
        let ran = self.refuses(faults, codes);
        self.assert_recovers();
        ran
    }
}

/// The groups of the site with the addresses of their members, all in lower case.
fn site_groups(world: &World) -> BTreeMap<String, BTreeSet<String>> {
    let address = |id: &String| {
        let account = &world.atlassian.accounts[id];
        account.email.as_deref().map_or_else(|| account.account_id.clone(), lower)
    };
    world
        .atlassian
        .groups
        .values()
        .map(|g| (lower(&g.name), g.members.iter().map(address).collect()))
        .collect()
}

/// What the directory asks for: each group with the enabled people in it and in the groups in it.
pub(crate) fn wanted(world: &World) -> Memberships {
    fn people(world: &World, group: &str, seen: &mut BTreeSet<String>, found: &mut BTreeSet<String>) {
        if !seen.insert(group.to_owned()) {
            return;
        }
        for member in world.tenant.groups.get(group).map(|g| &g.members).into_iter().flatten() {
            match member {
                Member::User(id) => {
                    let user = world.tenant.users.get(id).filter(|u| u.account_enabled == Some(true));
                    found.extend(user.map(|u| lower(u.mail.as_deref().unwrap_or(&u.user_principal_name))));
                }
                Member::Group(id) => people(world, id, seen, found),
                _ => {}
            }
        }
    }
    let mut wanted = Memberships::new();
    for (id, group) in &world.tenant.groups {
        let mut found = BTreeSet::new();
        people(world, id, &mut BTreeSet::new(), &mut found);
        let name = lower(group.display_name.as_deref().unwrap());
        wanted.extend(found.into_iter().map(|address| (name.clone(), address)));
    }
    wanted
}

/// A fault on one surface and path.
pub(crate) fn on(surface: Surface, path: &str, kind: FaultKind) -> Fault {
    Fault { surface: Some(surface), path: Some(path.into()), ..Fault::new(kind) }
}

/// The same, but only for the first call.
pub(crate) fn once(fault: Fault) -> Fault {
    Fault { count: Some(1), ..fault }
}

/// A status with headers, in place of the handler's answer.
pub(crate) fn status(status: u16, headers: &[(&str, &str)]) -> FaultKind {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    FaultKind::Status { status, headers, body: None }
}

/// Runs cases side by side, some on each town: pauses between attempts are real.
pub(crate) fn side_by_side<C: Send + Sync>(cases: &[C], each: usize, run: impl Fn(&mut Town, &C) + Sync) {
    let run = &run;
    std::thread::scope(|scope| {
        for some in cases.chunks(each) {
            scope.spawn(move || {
                let mut town = Town::settled();
                for case in some {
                    run(&mut town, case);
                }
            });
        }
    });
}
