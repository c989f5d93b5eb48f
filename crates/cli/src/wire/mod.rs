//! Where everything meets: adapters between the engine's ports and the crates that know nothing of it, built from
//! settings and documents. The clock, chance and the host's name are read here and nowhere else.

mod accounts;
mod adapters;
pub(crate) mod alerts;
pub(crate) mod doors;
mod dossiers;
mod drafts;
mod drafts_toml;
mod export;
pub(crate) mod federation;
pub(crate) mod host;
pub(crate) mod notifications;
mod persons;
mod plan_rows;
mod reported;
pub(crate) mod reports;
mod rulebook;
pub(crate) mod service;
mod sought;
mod trials;
pub(crate) mod upkeep;

use std::sync::Arc;

use entrain_connect::atlassian::{Jira, JiraOptions, Organization, OrganizationOptions};
use entrain_connect::entra::{Cloud, Credential, Entra, EntraOptions, Sessions};
use entrain_connect::http::{BaseUrl, HttpOptions, Meter, Plane, Shared};
use entrain_domain::policy::Scope;
use entrain_domain::{Failure, FailureClass, FailureCode};
use entrain_engine::{Engine, Ports};
use entrain_store::{OpenOptions, Store, StoredConnection};
use secrecy::{ExposeSecret as _, SecretString};

use crate::commands::{Context, Target};
use crate::config::Document;
use crate::config::document::{self, DirectoryCredential, OrganizationMeaning, Secrets};

pub(crate) use adapters::{DirectoryPort, Renames, SitePort, StorePort};
use host::HostEnvironment;
pub(crate) use host::{RandomIds, SystemClock, holder, told_to_end};

/// Address of the instance metadata service on every Azure machine (microsoft-graph.md, tokens).
const METADATA: &str = "http://169.254.169.254";

/// The engine as this binary wires it.
pub(crate) type WiredEngine = Engine<DirectoryPort, SitePort, StorePort, SystemClock, RandomIds>;

/// A connection, ready for work.
pub(crate) struct Connected {
    /// Its name.
    pub(crate) name: String,
    /// Its engine.
    pub(crate) engine: WiredEngine,
    /// The directory's client, for what is no use case: the self-test of permissions.
    pub(crate) entra: Arc<Entra>,
    /// Who takes part; it says which permissions are needed.
    pub(crate) scope: Scope,
    /// The site's client, likewise.
    pub(crate) jira: Arc<Jira>,
    /// The organization's client, where a key is configured.
    pub(crate) organization: Option<Arc<Organization>>,
    /// The address of the site, by which its Confluence is recognised.
    pub(crate) site_url: BaseUrl,
    /// Whether the document keeps the seats of Confluence within a limit.
    pub(crate) limits_confluence: bool,
}

/// The databases that a command has opened. They are closed when it ends, so that everything is in the one file that is
/// checked when it is opened again: what stays in SQLite's log beside it is lost in silence when the log is damaged.
#[derive(Debug, Default)]
pub(crate) struct Opened(std::sync::Mutex<Vec<Store>>);

impl Opened {
    fn add(&self, store: &Store) {
        self.0.lock().expect("nothing panics while it holds the lock").push(store.clone());
    }

    /// Closes them; whoever still holds one can do nothing with it any more.
    pub(crate) async fn close(self) {
        for store in self.0.into_inner().expect("nothing panics while it holds the lock") {
            store.close().await;
        }
    }
}

/// Opens the database.
pub(crate) async fn open_store(cx: &Context<'_>) -> Result<Store, Failure> {
    let settings = &cx.settings;
    let options = OpenOptions {
        database_url: settings.database_url().map(|url| url.expose_secret().to_owned()),
        data_dir: settings.data_dir(),
        secret_key_file: settings.secret_key_file.clone(),
        clock: Arc::new(|| entrain_engine::ports::Clock::now(&SystemClock)),
    };
    let store = Store::open(options).await.map_err(|e| e.failure())?;
    cx.opened.add(&store);
    Ok(store)
}

/// A stored connection by name.
pub(crate) async fn stored(store: &Store, name: &str) -> Result<StoredConnection, Failure> {
    store.get(name).await.map_err(|e| e.failure())?.ok_or_else(|| {
        Failure::new(
            FailureCode::ConnectionUnknown,
            FailureClass::Local,
            format!("there is no connection named “{name}”"),
            "`entrain connection list` shows those that there are",
        )
        .of(name)
    })
}

/// The person at the keyboard, for the audit log.
pub(crate) fn person(cx: &Context<'_>) -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|v| cx.environment()(v));
    name.and_then(|n| n.into_string().ok()).filter(|n| !n.is_empty()).unwrap_or_else(|| "unknown".into())
}

/// Finds the connection a command is about and builds everything it needs; no request is made.
pub(crate) async fn connect(cx: &Context<'_>, target: &Target) -> Result<Connected, Failure> {
    let (document, kept) = if let Some(file) = &target.connection_file {
        // A document that is wrong, or lacks a secret, is refused before a database is made for it
        let document = crate::commands::read_document(file)?;
        let sealed = document.secrets().iter().any(|(_, s)| matches!(s, document::Secret::Sealed));
        let kept = if sealed {
            let store = open_store(cx).await?;
            stored(&store, document.name()).await?.document.secrets
        } else {
            document.resolve(cx.environment(), &Secrets::new())?;
            Secrets::new()
        };
        (document, kept)
    } else {
        let store = open_store(cx).await?;
        let name = match &target.name {
            Some(name) => name.clone(),
            None => only_connection(&store).await?,
        };
        let stored = stored(&store, &name).await?.document;
        let document = Document::parse(&stored.document, &format!("stored document of “{name}”"))?;
        return build(cx.environment(), &Lasting::new(), store, &document, &stored.secrets);
    };
    let store = open_store(cx).await?;
    build(cx.environment(), &Lasting::new(), store, &document, &kept)
}

pub(crate) async fn only_connection(store: &Store) -> Result<String, Failure> {
    let mut names: Vec<String> =
        store.list().await.map_err(|e| e.failure())?.into_iter().map(|entry| entry.name).collect();
    let unknown =
        |code, what: String, remedy: &str| Err(Failure::new(code, FailureClass::Local, what, remedy));
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => unknown(
            FailureCode::ConnectionUnknown,
            "there is no connection yet".into(),
            "store one with `entrain connection add FILE`, or see `entrain demo`",
        ),
        _ => unknown(
            FailureCode::UsageInvalid,
            format!("there are several connections: {}", names.join(", ")),
            "name the one that is meant",
        ),
    }
}

/// What outlives one piece of work of a process: budgets, open connections and tokens, in one time.
#[derive(Clone)]
pub(crate) struct Lasting {
    pub(crate) shared: Shared,
    sessions: Sessions,
    environment: Arc<HostEnvironment>,
}

impl Lasting {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let environment = Arc::new(HostEnvironment::new());
        Self { shared: Shared::default(), sessions: Sessions::default(), environment }
    }

    /// The same without tokens, for whoever has to see what was granted just now.
    pub(crate) fn signed_out(&self) -> Self {
        Self { sessions: Sessions::default(), ..self.clone() }
    }
}

/// Builds what a document describes, with secrets that the store kept.
pub(crate) fn build(
    environment: crate::config::Environment<'_>,
    lasting: &Lasting,
    store: Store,
    document: &Document,
    kept: &Secrets,
) -> Result<Connected, Failure> {
    let secrets = document.resolve_sides(environment, kept)?;
    let meaning = document.meaning();
    let http = http_options(document, lasting)?;
    let (entra, graph_url) = directory_client(document, &secrets, lasting, &http)?;
    let jira = site_client(document, &secrets, &http)?;

    let organization = organization_client(document, &secrets, &http, &jira)?;
    let renames = meaning.organization.as_ref().map_or(Renames::Keep, |o| o.renames);

    let mut site = SitePort::new(
        jira.clone(),
        organization.clone(),
        renames,
        (meaning.rules.bindings.clone(), meaning.rules.defaults.clone()),
    );
    if meaning.limits_confluence() {
        site = site.counting_confluence(meaning.site_url.clone());
    }

    let ports = Ports {
        directory: DirectoryPort(entra.clone()),
        site,
        store: StorePort(store),
        clock: SystemClock,
        ids: RandomIds,
    };
    let holder = holder();
    let name = document.name().to_owned();
    let tenant = &document.sections().directory.tenant_id;
    let place = format!("{graph_url} {tenant} {} {:?}", meaning.site_url.as_str(), meaning.organization);
    let options =
        entrain_engine::Options { full_every: meaning.full_every, ..entrain_engine::Options::default() };
    let engine =
        Engine::new(ports, meaning.rules.clone(), name.clone(), holder).between(place).with_options(options);
    let scope = meaning.rules.scope.clone();
    let (site_url, limits_confluence) = (meaning.site_url.clone(), meaning.limits_confluence());
    Ok(Connected { name, engine, entra, scope, jira, organization, site_url, limits_confluence })
}

/// How every client of a connection is made: one meter, one clock.
fn http_options(
    document: &Document,
    lasting: &Lasting,
) -> Result<impl Fn(BaseUrl, Plane) -> HttpOptions + use<>, Failure> {
    let meter = Arc::new(Meter::new());
    let Lasting { shared, environment, .. } = lasting.clone();
    let network = document.sections().network.clone();
    let timeout = document.meaning().timeout;
    let ca = match &network.ca_file {
        Some(path) => Some(document.read_file("network.ca_file", path.as_ref())?),
        None => None,
    };
    Ok(move |base, plane| {
        let mut options = HttpOptions::new(base, plane, meter.clone(), environment.clone());
        options.shared = shared.clone();
        options.extra_ca_pem.clone_from(&ca);
        options.proxy.clone_from(&network.proxy);
        if let Some(timeout) = timeout {
            options.patience.attempt = timeout;
        }
        options
    })
}

/// The directory's client, with the address that it reads from.
fn directory_client(
    document: &Document,
    secrets: &Secrets,
    lasting: &Lasting,
    http: &impl Fn(BaseUrl, Plane) -> HttpOptions,
) -> Result<(Arc<Entra>, String), Failure> {
    let options = EntraOptions { sessions: lasting.sessions.clone(), ..entra_options(document, secrets)? };
    let url = options.graph_url.clone();
    let graph = BaseUrl::parse(&url).map_err(|e| e.failure())?;
    let entra = Entra::new(options, &http(graph, Plane::Directory)).map_err(|e| e.failure())?;
    Ok((Arc::new(entra), url))
}

/// The site's client.
fn site_client(
    document: &Document,
    secrets: &Secrets,
    http: &impl Fn(BaseUrl, Plane) -> HttpOptions,
) -> Result<Arc<Jira>, Failure> {
    let meaning = document.meaning();
    let token = secrets.get("site.api_token").cloned().unwrap_or_default();
    let site = http(meaning.site_url.clone(), Plane::Site);
    let options = JiraOptions::new(site, meaning.admin_email.as_str(), token);
    Ok(Arc::new(Jira::new(options).map_err(|e| e.failure())?))
}

/// The organization's client, where a key is configured.
fn organization_client(
    document: &Document,
    secrets: &Secrets,
    http: &impl Fn(BaseUrl, Plane) -> HttpOptions,
    jira: &Jira,
) -> Result<Option<Arc<Organization>>, Failure> {
    let Some(OrganizationMeaning { url, id, directory_id, .. }) = &document.meaning().organization else {
        return Ok(None);
    };
    let options = OrganizationOptions {
        http: http(url.clone(), Plane::Organization),
        id: id.clone(),
        directory_id: directory_id.clone(),
        api_key: secrets.get("site.organization.api_key").cloned().unwrap_or_default(),
    };
    Ok(Some(Arc::new(Organization::new(options, jira).map_err(|e| e.failure())?)))
}

fn entra_options(document: &Document, secrets: &Secrets) -> Result<EntraOptions, Failure> {
    let directory = &document.sections().directory;
    let text = |key: &str, path: &std::path::Path| {
        document.read_file(key, path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let credential = match &document.meaning().credential {
        DirectoryCredential::Secret => {
            Credential::Secret(secrets.get("directory.client_secret").cloned().unwrap_or_default())
        }
        DirectoryCredential::Certificate { certificate, key } => Credential::Certificate {
            certificate_pem: text("directory.certificate_file", certificate)?,
            key_pem: SecretString::from(text("directory.private_key_file", key)?),
        },
        DirectoryCredential::Pem { certificate } => Credential::Certificate {
            certificate_pem: certificate.clone(),
            key_pem: secrets.get("directory.private_key").cloned().unwrap_or_default(),
        },
        DirectoryCredential::Federated(path) => Credential::FederatedTokenFile(path.clone()),
        DirectoryCredential::ManagedIdentity => {
            Credential::ManagedIdentity { client_id: directory.client_id.clone(), address: METADATA.into() }
        }
    };
    let cloud = match directory.cloud {
        document::Cloud::Global => Cloud::Global,
        document::Cloud::Usgov => Cloud::UsGov,
        document::Cloud::UsgovDod => Cloud::UsGovDod,
        document::Cloud::China => Cloud::China,
    };
    let client_id = directory.client_id.as_deref().unwrap_or_default();
    let mut options = EntraOptions::in_cloud(cloud, &directory.tenant_id, client_id, credential);
    let meaning = document.meaning();
    if let Some(url) = &meaning.authority_url {
        url.as_str().clone_into(&mut options.authority_url);
    }
    if let Some(url) = &meaning.graph_url {
        url.as_str().clone_into(&mut options.graph_url);
    }
    if let Some(scope) = &directory.scope {
        options.scope.clone_from(scope);
    }
    Ok(options)
}
