//! Binds the listeners, serves until told to stop, and says where everything is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use jiff::Timestamp;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::catcher::smtp;
use crate::faults::{self, Fault};
use crate::settings::Settings;
use crate::state::{EmulatorClock, Shared, State, Surface, Urls};
use crate::world::World;
use crate::world::generate::{GenerateOptions, demo_world, generate};
use crate::{atlassian, control, entra, graph, layers};

/// How long [`Emulator::stop`] waits for answers under way.
const GRACE: Duration = Duration::from_secs(2);

/// Why the emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener cannot be bound.
    #[error("the emulator cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The world cannot be read or made.
    #[error("the emulator's world is not usable: {0}")]
    World(String),
    /// The faults cannot be read or carried out.
    #[error("the emulator's faults are not usable: {0}")]
    Faults(String),
    /// The settings cannot be used.
    #[error("the emulator's settings are not usable: {0}")]
    Settings(String),
}

/// Where the world comes from.
#[derive(Debug, Clone)]
pub enum WorldSource {
    /// Generated from `people`, `groups` and `seed` of the options.
    Generated,
    /// The small company of the demo.
    Demo,
    /// A world file, JSON or TOML.
    File(PathBuf),
    /// This one.
    Given(Box<World>),
}

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// People of a generated world.
    pub people: usize,
    /// Groups of a generated world.
    pub groups: usize,
    /// Seed of the world, of ids, jitter and faults.
    pub seed: u64,
    /// Where the world comes from.
    pub world: WorldSource,
    /// A file of faults, JSON or TOML.
    pub faults_file: Option<PathBuf>,
    /// Faults, behind those of the file.
    pub faults: Vec<Fault>,
    /// Address of the first listener; the others follow on the next ports, or on ports of their own when it is 0.
    pub listen: SocketAddr,
    /// Settings at the start.
    pub settings: Settings,
    /// The emulated time stands at this instant and moves only by the control URL; real time when absent.
    pub fixed_time: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            people: 100,
            groups: 10,
            seed: 1,
            world: WorldSource::Generated,
            faults_file: None,
            faults: Vec::new(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            settings: Settings::default(),
            fixed_time: None,
        }
    }
}

impl Options {
    /// A small generated world of `people` and `groups` on free ports, as tests use it.
    pub fn of(people: usize, groups: usize) -> Self {
        Self { people, groups, ..Self::default() }
    }

    /// This world on free ports.
    pub fn with_world(world: World) -> Self {
        Self { world: WorldSource::Given(Box::new(world)), ..Self::default() }
    }
}

/// Addresses and credentials: the line that `entrain emulate` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Root of Entra sign-in.
    pub authority_url: String,
    /// Root of Graph, without a version.
    pub graph_url: String,
    /// Root of the Jira site.
    pub site_url: String,
    /// Root of the organization and user management API.
    pub organization_url: String,
    /// The tenant.
    pub tenant_id: String,
    /// The first enabled application with a secret.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The account of the first API token.
    pub admin_email: String,
    /// That token.
    pub api_token: String,
    /// The organization.
    pub organization_id: String,
    /// Its directory.
    pub directory_id: String,
    /// Its first API key.
    pub api_key: String,
    /// Root of the control interface.
    pub control_url: String,
    /// Root of web addresses that take posts to people; any path may follow.
    pub hook_url: String,
    /// Host of a mail server that delivers to nobody.
    pub mail_host: String,
    /// Its port.
    pub mail_port: u16,
}

/// A running emulator. It stops when it is dropped; [`stop`](Emulator::stop) also waits until it has stopped.
#[derive(Debug)]
pub struct Emulator {
    state: Shared,
    description: Description,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Emulator {
    /// Addresses and credentials.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The state, for tests in the same process.
    pub fn state(&self) -> &Shared {
        &self.state
    }

    /// Stops taking requests, waits a moment for answers under way, and breaks off those that hang.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        for mut task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// Makes the world, binds the listeners and serves in the background of the current runtime. When it returns, requests are
/// answered.
pub async fn start(options: Options) -> Result<Emulator, Error> {
    options.settings.check().map_err(Error::Settings)?;
    let world = match options.world {
        WorldSource::Generated => generate(&GenerateOptions {
            people: options.people,
            groups: options.groups,
            seed: options.seed,
            ..GenerateOptions::default()
        }),
        WorldSource::Demo => demo_world(),
        WorldSource::File(path) => crate::world::file::load(&path, options.seed).map_err(Error::World)?,
        WorldSource::Given(world) => *world,
    };
    let clock = options.fixed_time.map_or_else(EmulatorClock::real, EmulatorClock::fixed);
    let state = Arc::new(State::new(world, clock, options.seed, options.settings));
    let mut faults = match &options.faults_file {
        Some(path) => faults::load(path).map_err(Error::Faults)?,
        None => Vec::new(),
    };
    faults.extend(options.faults);
    for (index, fault) in faults.into_iter().enumerate() {
        state.faults.add(fault).map_err(|e| Error::Faults(format!("fault {index}: {e}")))?;
    }

    let mut listeners = Vec::new();
    let mut roots = Vec::new();
    for offset in 0..6_u16 {
        let mut address = options.listen;
        if address.port() != 0 {
            let port = address.port().checked_add(offset).ok_or_else(|| Error::Listen {
                address: options.listen,
                source: io::Error::other("six ports from this one on are needed"),
            })?;
            address.set_port(port);
        }
        let bound = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        let local = bound.local_addr().map_err(|source| Error::Listen { address, source })?;
        roots.push(format!("http://{}", reachable(local)));
        listeners.push(bound);
    }
    let [authority, graph_root, site, organization, control_root, mail] =
        <[String; 6]>::try_from(roots).expect("six listeners were bound");
    let urls = Urls { authority, graph: graph_root, site, organization, control: control_root };
    let description = describe(&state, &urls, &mail);
    state.set_urls(urls);

    let routers: [Router; 5] = [
        layers::wrap(entra::router(state.clone()), &state, Surface::Authority),
        layers::wrap(graph::router(state.clone()), &state, Surface::Graph),
        layers::wrap(atlassian::jira_router(state.clone()), &state, Surface::Site),
        layers::wrap(atlassian::admin_router(state.clone()), &state, Surface::Organization),
        control::router(state.clone()),
    ];
    let (stop, told) = watch::channel(false);
    let serve = |(listener, router)| serve_on(listener, router, told.clone());
    let mail = listeners.pop().expect("six listeners were bound");
    let mut tasks: Vec<JoinHandle<()>> = listeners.into_iter().zip(routers).map(serve).collect();
    tasks.push(smtp::serve_on(mail, state.clone(), told.clone()));
    tasks.push(tokio::spawn(graph::subscriptions::deliver::run(state.clone(), told.clone())));
    Ok(Emulator { state, description, stop, tasks })
}

/// Serves in the background until told to stop.
pub(crate) fn serve_on(
    listener: TcpListener,
    router: Router,
    mut told: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let service = router.into_make_service_with_connect_info::<Connection>();
    tokio::spawn(async move {
        let stopped = async move {
            let _ = told.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(Wire(listener), service).with_graceful_shutdown(stopped).await {
            tracing::error!(%error, "a listener of the emulator ended");
        }
    })
}

/// An address that clients can use: a wildcard stands for all, so the loopback does as well.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

fn describe(state: &Shared, urls: &Urls, mail: &str) -> Description {
    let mail = url::Url::parse(mail).ok();
    let host =
        mail.as_ref().and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    let world = state.world();
    let (tenant, atlassian) = (&world.tenant, &world.atlassian);
    let with_secret = tenant.applications.values().filter(|app| app.enabled).find_map(|app| {
        let secret = app.secrets.first()?;
        Some((app.client_id.clone(), secret.value.clone()))
    });
    let (client_id, client_secret) = with_secret.unwrap_or_default();
    let token = atlassian.api_tokens.first();
    let owner = token.and_then(|token| atlassian.accounts.get(&token.account_id));
    Description {
        authority_url: urls.authority.clone(),
        graph_url: urls.graph.clone(),
        site_url: urls.site.clone(),
        organization_url: urls.organization.clone(),
        tenant_id: tenant.id.clone(),
        client_id,
        client_secret,
        admin_email: owner.and_then(|account| account.email.clone()).unwrap_or_default(),
        api_token: token.map(|token| token.token.clone()).unwrap_or_default(),
        organization_id: atlassian.organization_id.clone(),
        directory_id: atlassian.directory_id.clone(),
        api_key: atlassian.api_keys.first().cloned().unwrap_or_default(),
        control_url: urls.control.clone(),
        hook_url: format!("{}/hook", urls.control),
        mail_host: host.unwrap_or_default(),
        mail_port: mail.and_then(|url| url.port_or_known_default()).unwrap_or_default(),
    }
}

/// A listener whose connections can be reset by a fault.
struct Wire(TcpListener);

impl Listener for Wire {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        let (tcp, address) = Listener::accept(&mut self.0).await;
        // Answers are small: waiting to fill a packet would add 40 ms to each.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        (Stream { tcp, reset: Arc::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The handle of a connection by which a handler may reset it.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<AtomicBool>);

impl Connection {
    /// The next write fails and the peer sees a reset.
    pub(crate) fn reset(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Wire>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Wire>) -> Self {
        Connection(Arc::clone(&stream.io().reset))
    }
}

/// A connection.
struct Stream {
    tcp: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Stream {
    fn check(&self) -> io::Result<()> {
        if self.reset.load(Ordering::Acquire) {
            // Closing with no linger time sends RST in place of FIN.
            self.tcp.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
