//! `entrain serve`: the schedule and the API, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use entrain_connect::http::Shared;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_server::accounts::{digest, random_secret};
use entrain_server::service::Service;
use entrain_server::{Alerts, Hearing, Keeper, Limits, Runs, Scheduler, Settings, listen, router};
use entrain_store::{Claim, Load, Presence, Store};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Context, Exit};
use crate::ui::{Page, Tone};
use crate::wire;
use crate::wire::doors::WiredDoors;
use crate::wire::federation::FederationArgs;
use crate::wire::service::Wired;
use crate::wire::upkeep::House;

/// How long runs and requests under way are waited for (quality.md R-11: ten seconds in all).
const GRACE: Duration = Duration::from_secs(9);

/// Time between two words to the other servers.
const BEAT: Duration = Duration::from_secs(5);
/// The share, in thousandths, of a server that the others do not hear.
const UNHEARD: u32 = 50;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on
    #[arg(
        long,
        value_name = "ADDR",
        env = "ENTRAIN_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:8321"
    )]
    listen: SocketAddr,
    /// Address under which people and programs reach it [default: from --listen]
    #[arg(long, value_name = "URL", env = "ENTRAIN_PUBLIC_URL", hide_env_values = true)]
    public_url: Option<url::Url>,
    /// Minutes after which somebody who does nothing is signed out of the console
    #[arg(
        long,
        value_name = "MINUTES",
        env = "ENTRAIN_SESSION_IDLE",
        hide_env_values = true,
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=720)
    )]
    session_idle: u32,
    #[command(flatten)]
    federation: FederationArgs,
}

/// How people reach the service, and how long they stay signed in.
pub(super) struct Reach {
    /// The address in front of it, where it is not the one that it listens on.
    pub(super) public: Option<String>,
    /// How long somebody stays signed in without doing anything.
    pub(super) idle: Duration,
    /// Sign-in to the console through Entra ID.
    pub(super) federation: FederationArgs,
}

/// How long the link for the first administrator is good.
const FIRST_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The service, up.
pub(super) struct Serving {
    /// Where people reach it.
    pub(super) url: String,
    /// The link that makes the first administrator, where there is no account.
    pub(super) first: Option<SecretString>,
    stop: CancellationToken,
    runs: Arc<Runs>,
    persons: Arc<Wired>,
    tasks: Vec<JoinHandle<()>>,
    only: Option<Claim>,
}

impl Serving {
    /// Brings the service up over a store, unless another server has it.
    pub(super) async fn start(store: Store, listen_on: SocketAddr, reach: &Reach) -> Result<Self, Failure> {
        let only = store.claim_server(&wire::holder()).await.map_err(|e| e.failure())?;
        let listener = TcpListener::bind(listen_on).await.map_err(|e| no_listener(listen_on, &e))?;
        let address = listener.local_addr().map_err(|e| no_listener(listen_on, &e))?;

        let stop = CancellationToken::new();
        let url = reach.public.clone().unwrap_or_else(|| format!("http://{address}"));
        let wired = Wired::new(store.clone()).reached_under(&url).with_doors_at(reach.public.clone());
        let (shared, lasting, house) = (wired.shared(), wired.lasting(), wired.house());
        let wired = Arc::new(wired);
        let persons = wired.clone();
        let hearing = Hearing::new(wired.clone());
        let service: Arc<dyn Service> = wired;
        let runs = Runs::new(service.clone(), stop.clone());
        let mut settings = Settings::new(url.parse().map_err(|_| no_address(&url))?);
        settings.idle = reach.idle;
        settings.federation = reach.federation.build(&store, &lasting, &url)?;
        let first = first_link(service.as_ref(), &url).await?;
        let doors = WiredDoors::new(store.clone(), lasting, service.clone(), &url, stop.clone());
        let behind = Arc::new(doors.clone());
        let routes = router(service.clone(), runs.clone(), hearing.clone(), settings, Some(behind));
        tokio::spawn(async move { doors.warm().await });
        let keeper = Keeper::new(service.clone(), runs.clone(), hearing);
        let serving =
            tokio::spawn(listen(listener, routes, Limits::within(wire::host::open_files()), stop.clone()));
        let telling = tokio::spawn(Alerts::new(service.clone()).run(stop.clone()));
        let scheduling = tokio::spawn(Scheduler::new(service, runs.clone()).run(stop.clone()));
        let keeping = tokio::spawn(keeper.run(stop.clone()));
        let mut tasks = vec![scheduling, telling, keeping, serving];
        if store.is_shared() {
            tasks.push(tokio::spawn(share_limits(store, (shared, house), runs.clone(), stop.clone())));
        }
        Ok(Self { url, first, stop, runs, persons, tasks, only })
    }

    /// Stops runs at their next step boundary and answers the requests under way; says how many runs were stopped.
    pub(super) async fn end(self) -> usize {
        let cut = self.runs.count();
        self.stop.cancel();
        let all = async {
            for task in self.tasks {
                // Whoever panicked has said so
                let _ = task.await;
            }
            self.runs.ended().await;
            self.persons.persons_ended().await;
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!("not everything came to its end in time; the next start finishes it");
        }
        drop(self.only);
        cut
    }
}

/// Keeps to this server's share of the clouds' limits while others work over the same database.
async fn share_limits(
    store: Store,
    (shared, house): (Shared, House),
    runs: Arc<Runs>,
    stop: CancellationToken,
) {
    let mut presence = match Presence::new() {
        Ok(presence) => presence,
        Err(error) => return tracing::error!("this server cannot make itself known to others: {error}"),
    };
    loop {
        let load = if runs.count() > 0 { Load::Busy } else { Load::Idle };
        match store.beat(&mut presence, load).await {
            Ok(share) => {
                shared.keep_to(share);
                house.looked(&presence);
            }
            Err(error) => {
                // The others take this server for gone, and its share with it
                shared.keep_to(UNHEARD);
                tracing::warn!("this server cannot make itself known to others: {error}");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BEAT) => {}
        }
    }
}

pub(super) async fn run(cx: &Context<'_>, args: ServeArgs) -> Result<Exit, Failure> {
    let public = args.public_url.as_ref().map(checked).transpose()?;
    let mut told_to_end = std::pin::pin!(wire::told_to_end());
    let reach = Reach {
        public,
        idle: Duration::from_secs(60 * u64::from(args.session_idle)),
        federation: args.federation,
    };
    let serving = Serving::start(wire::open_store(cx).await?, args.listen, &reach).await?;
    // The signals are listened to before it says that it is ready
    tokio::select! {
        biased;
        () = &mut told_to_end => {}
        () = std::future::ready(()) => {
            ready(cx, &serving);
            told_to_end.await;
        }
    }
    tracing::info!("told to stop");
    let cut = serving.end().await;
    Ok(if cut > 0 { Exit::Partial } else { Exit::Done })
}

/// Plain http only where nobody can listen in.
fn checked(url: &url::Url) -> Result<String, Failure> {
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let good = url.scheme() == "https" || (url.scheme() == "http" && local);
    if good && url.username().is_empty() && url.query().is_none() && url.fragment().is_none() {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    Err(Failure::new(
        FailureCode::UsageInvalid,
        FailureClass::Local,
        "--public-url is not an https address",
        "write it as https://entrain.acme.example; http is for loopback addresses only",
    ))
}

fn no_listener(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(
        FailureCode::ListenFailed,
        FailureClass::Local,
        format!("cannot listen on {address}: {error}"),
        "give a free address of this machine with --listen",
    )
    .of(address.to_string())
}

fn no_address(url: &str) -> Failure {
    Failure::new(
        FailureCode::UsageInvalid,
        FailureClass::Local,
        format!("“{url}” is not an address"),
        "give --public-url as https://entrain.acme.example",
    )
}

/// A link that makes the first administrator, where there is no account. It works once; only its digest is stored.
async fn first_link(service: &dyn Service, url: &str) -> Result<Option<SecretString>, Failure> {
    if !service.accounts().await?.is_empty() {
        return Ok(None);
    }
    let secret = random_secret()?;
    let ends = service.now().saturating_add(FIRST_FOR).unwrap_or(jiff::Timestamp::MAX);
    service.make_link(&digest(&secret), None, ends).await?;
    Ok(Some(SecretString::from(format!("{url}/first/{secret}"))))
}

fn ready(cx: &Context<'_>, serving: &Serving) {
    let url = &serving.url;
    // The log is where whoever started it looks, also when nobody sits at the terminal
    if let Some(link) = &serving.first {
        tracing::warn!(
            "nobody has an account yet; whoever opens this link within a day makes the first administrator: {}",
            link.expose_secret()
        );
    }
    let addresses = json!({
        "url": url,
        "console_url": url,
        "api_url": format!("{url}/api/v1"),
        "health_url": format!("{url}/health/ready"),
        "metrics_url": format!("{url}/metrics"),
    });
    if cx.printer.format() == crate::ui::Format::Json {
        cx.printer.json_line(&addresses);
        return;
    }
    let mut page = Page::new();
    page.toned(Tone::Strong, "Entrain is serving.");
    page.line(format!("  console  {url}"));
    page.line(format!("  API      {url}/api/v1   (described by {url}/api/v1/openapi.json)"));
    page.line(format!("  health   {url}/health/live and {url}/health/ready"));
    page.line(format!("  metrics  {url}/metrics"));
    page.line("Ctrl-C stops it.");
    cx.printer.page(&page);
}
