//! One measurement, in a process that does nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entrain_connect::atlassian::{Jira, JiraOptions};
use entrain_connect::entra::{Cloud, Credential, Entra, EntraOptions};
use entrain_connect::http::{BaseUrl, Environment, HttpOptions, Meter, Plane};
use entrain_domain::memory::Memory;
use entrain_domain::model::{DirectorySnapshot, SiteMembers, SiteSnapshot};
use entrain_domain::plan::{Approval, History, Lookups, PlanInput, StepKind, group_targets, plan};
use entrain_domain::policy::{GroupSelector, Rules, Scope};
use entrain_domain::verify::verify;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Fallible;
use super::synthetic::{self, Change};

/// What to measure.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Job {
    /// Reading both clouds, then planning.
    Clouds { size: String, emulator: Emulator },
    /// Reading the directory alone.
    Directory { size: String, emulator: Emulator },
    /// Planning alone.
    Planner { size: String, people: usize, groups: usize, change: Change },
}

/// Of the emulator's description, what the readers need.
#[derive(Debug, Deserialize)]
pub(crate) struct Emulator {
    authority_url: String,
    graph_url: String,
    site_url: String,
    tenant_id: String,
    client_id: String,
    client_secret: String,
    admin_email: String,
    api_token: String,
}

/// What one process measured. Times are milliseconds; memory is the peak of the process so far in KiB.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) size: String,
    /// Requests by kind, directory and site.
    pub(crate) kinds: Vec<(String, u64)>,
    pub(crate) directory_requests: u64,
    pub(crate) site_requests: u64,
    pub(crate) throttled: u64,
    pub(crate) users: usize,
    pub(crate) groups: usize,
    pub(crate) memberships: usize,
    pub(crate) steps: usize,
    pub(crate) removals: usize,
    pub(crate) directory_ms: f64,
    pub(crate) site_ms: f64,
    pub(crate) plan_ms: f64,
    pub(crate) verify_ms: f64,
    pub(crate) start_kib: u64,
    pub(crate) read_kib: u64,
    pub(crate) plan_kib: u64,
    pub(crate) verify_kib: u64,
}

pub(crate) fn run(job: &Job) -> Fallible<Measured> {
    let mut measured = Measured { start_kib: peak_kib(), ..Measured::default() };
    let rules = Rules::for_scope(everything()?);
    match job {
        Job::Clouds { size, emulator } => {
            measured.size.clone_from(size);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let (directory, site) = runtime.block_on(read(emulator, &rules, &mut measured))?;
            measured.read_kib = peak_kib();
            look(&directory, &site, &rules, &Memory::new(), &mut measured)?;
        }
        Job::Directory { size, emulator } => {
            measured.size.clone_from(size);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(Clouds::of(emulator).directory(&rules, &mut measured))?;
            measured.read_kib = peak_kib();
        }
        Job::Planner { size, people, groups, change } => {
            measured.size.clone_from(size);
            let world = synthetic::world(*people, *groups, *change)?;
            measured.read_kib = peak_kib();
            look(&world.directory, &world.site, &rules, &world.memory, &mut measured)?;
        }
    }
    Ok(measured)
}

fn everything() -> Fallible<Scope> {
    Ok(Scope::in_groups(vec![GroupSelector::parse("*")?]))
}

/// The clients of both clouds, with one meter.
struct Clouds<'a> {
    emulator: &'a Emulator,
    meter: Arc<Meter>,
    host: Arc<Host>,
}

impl<'a> Clouds<'a> {
    fn of(emulator: &'a Emulator) -> Self {
        let host = Arc::new(Host { start: Instant::now(), drawn: AtomicU64::new(0) });
        Self { emulator, meter: Arc::new(Meter::new()), host }
    }

    fn http(&self, url: &str, plane: Plane) -> Fallible<HttpOptions> {
        Ok(HttpOptions::new(BaseUrl::parse(url)?, plane, self.meter.clone(), self.host.clone()))
    }

    async fn directory(&self, rules: &Rules, measured: &mut Measured) -> Fallible<DirectorySnapshot> {
        let emulator = self.emulator;
        let credential = Credential::Secret(SecretString::from(emulator.client_secret.clone()));
        let mut options =
            EntraOptions::in_cloud(Cloud::Global, &emulator.tenant_id, &emulator.client_id, credential);
        options.authority_url.clone_from(&emulator.authority_url);
        options.graph_url.clone_from(&emulator.graph_url);
        let start = Instant::now();
        let entra = Entra::new(options, &self.http(&emulator.graph_url, Plane::Directory)?)?;
        let directory = entra.read(&rules.demand(), &[]).await?.snapshot;
        measured.directory_ms = milliseconds(start);
        measured.users = directory.users().count();
        measured.groups = directory.groups().count();
        self.count(measured);
        Ok(directory)
    }

    /// The site's rolls, and the members of the groups that the plan concerns.
    async fn site(
        &self,
        directory: &DirectorySnapshot,
        rules: &Rules,
        measured: &mut Measured,
    ) -> Fallible<SiteSnapshot> {
        let token = SecretString::from(self.emulator.api_token.clone());
        let start = Instant::now();
        let http = self.http(&self.emulator.site_url, Plane::Site)?;
        let jira = Jira::new(JiraOptions::new(http, &*self.emulator.admin_email, token))?;
        let standing = jira.standing().await?;
        let (accounts, groups) = tokio::try_join!(jira.accounts(), jira.groups())?;
        let mut site = SiteSnapshot::new(standing, accounts, groups);
        for group in group_targets(directory, &site, rules, &Memory::new()) {
            let members = jira.members(&group).await?;
            site.put_members(group, SiteMembers::Complete(members));
        }
        measured.site_ms = milliseconds(start);
        self.count(measured);
        Ok(site)
    }

    fn count(&self, measured: &mut Measured) {
        let counts = self.meter.counts();
        measured.kinds = self.meter.kinds();
        measured.directory_requests = counts.directory;
        measured.site_requests = counts.site;
        measured.throttled = counts.throttled;
    }
}

/// Reads as a first run does. One side after the other, so that the times can be told apart; a run reads both at once.
async fn read(
    emulator: &Emulator,
    rules: &Rules,
    measured: &mut Measured,
) -> Fallible<(DirectorySnapshot, SiteSnapshot)> {
    let clouds = Clouds::of(emulator);
    let directory = clouds.directory(rules, measured).await?;
    let site = clouds.site(&directory, rules, measured).await?;
    Ok((directory, site))
}

/// Plans and verifies.
fn look(
    directory: &DirectorySnapshot,
    site: &SiteSnapshot,
    rules: &Rules,
    memory: &Memory,
    measured: &mut Measured,
) -> Fallible<()> {
    measured.users = directory.users().count();
    measured.groups = directory.groups().count();
    measured.memberships = directory.groups().filter_map(|g| g.direct()).map(|(users, _)| users.len()).sum();
    let lookups = Lookups::new();
    let input = PlanInput {
        directory,
        site,
        rules,
        memory,
        lookups: &lookups,
        history: History::default(),
        approval: Approval::Held,
        now: "2026-11-02T08:00:00Z".parse().expect("a literal instant"),
        focus: entrain_domain::plan::Focus::Everything,
    };
    let start = Instant::now();
    let plan = plan(&input);
    measured.plan_ms = milliseconds(start);
    measured.plan_kib = peak_kib();
    let start = Instant::now();
    let findings = verify(&input, &plan);
    measured.verify_ms = milliseconds(start);
    measured.verify_kib = peak_kib();
    measured.steps = plan.steps.len();
    measured.removals = plan.tally().get(&StepKind::RemoveMember).map_or(0, |tally| tally.planned);
    match findings.first() {
        None => Ok(()),
        Some(finding) => Err(format!("{} findings, the first: {finding:?}", findings.len()).into()),
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// `VmHWM` of this process; 0 where there is no `/proc`.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Time of this machine; chance that is the same each time.
struct Host {
    start: Instant,
    drawn: AtomicU64,
}

impl Environment for Host {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the clients are handed")]
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
    fn random(&self) -> f64 {
        0.5
    }
    fn guid(&self) -> String {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        uuid::Uuid::from_u64_pair(0x0042_4e43_4800_4000, 0x8000_0000_0000_0000 | drawn).to_string()
    }
}
