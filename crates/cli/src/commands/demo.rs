//! `entrain demo`: Entrain at work on an emulated company, without an account anywhere.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use clap::Args;
use entrain_domain::accounts::{AccountChange, Chosen};
use entrain_domain::service::{Role, slug};
use entrain_domain::{Failure, FailureCode};
use entrain_emulator::{Description, Emulator, Options, WorldSource};
use entrain_engine::ports::Clock as _;

use entrain_server::accounts::{digest, hash_password, random_secret};
use entrain_store::Store;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};

use super::demo_tour::Tour;
use super::serve::{Reach, Serving};
use super::{Context, Exit, connection, emulate, file_failure};
use crate::config::Document;
use crate::ui::{Page, Tone};
use crate::wire::federation::FederationArgs;
use crate::wire::{self, SystemClock};

/// Name of the demo's connection.
const NAME: &str = "Azure AD";

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the tour, instead of serving the console until Ctrl-C
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(cx: &Context<'_>, args: DemoArgs) -> Result<Exit, Failure> {
    let temporary = tempfile::Builder::new()
        .prefix("entrain-demo-")
        .tempdir()
        .map_err(|e| file_failure("a folder for the demo in", &std::env::temp_dir(), &e))?;
    let folder = cx.settings.data_dir.clone().unwrap_or_else(|| temporary.path().join("data"));
    let cx = Context { settings: cx.settings.in_folder(&folder), ..*cx };

    let emulator = emulate::start(Options { world: WorldSource::Demo, ..Options::default() }).await?;
    let tour = Tour::new(&cx);
    tour.greet(emulator.description()).await;

    register(&emulator);
    let webhook_key = webhook_key()?;
    let text = document(emulator.description(), &webhook_key);
    let document = Document::parse(&text, "the demo's document")?;
    let store = wire::open_store(&cx).await?;
    connection::add(&store, &document, "entrain demo".into()).await?;
    drop(store);
    tour.stored(&document).await;

    let target = super::Target { name: Some(NAME.into()), connection_file: None };
    let connected = Box::pin(wire::connect(&cx, &target)).await?;
    Box::pin(tour.run(&connected, &emulator)).await?;
    if args.once {
        next(&cx, &folder, &emulator, None);
    } else {
        Box::pin(tour.leave_something(&connected, &emulator)).await?;
        let service = Box::pin(service(&cx, sign_in(&folder, &emulator)?)).await?;
        next(&cx, &folder, &emulator, Some((&service, &webhook_key)));
        wire::told_to_end().await;
        service.serving.end().await;
    }
    emulator.stop().await;
    Ok(Exit::Done)
}

/// Groups of the company that give a role in the console.
const ROLES: [(Role, &str); 2] = [(Role::Viewer, "Jira Everyone"), (Role::Approver, "Jira Release Managers")];

/// Lets people come back from the company's sign-in to the service, with their groups.
fn register(emulator: &Emulator) {
    let paths = [format!("/access/{}/callback", slug(NAME)), "/sign-in/microsoft/callback".to_owned()];
    let id = &emulator.description().client_id;
    if let Some(app) = emulator.state().world_mut().tenant.applications.get_mut(id) {
        let of = |host: &'static str| paths.iter().map(move |path| format!("http://{host}{path}"));
        app.redirect_uris = ["127.0.0.1", "localhost"].into_iter().flat_map(of).collect();
        app.group_claims = true;
    }
}

/// Sign-in to the console by the company's people. The service reads the client secret from a file at each sign-in.
fn sign_in(folder: &Path, emulator: &Emulator) -> Result<FederationArgs, Failure> {
    let file = folder.join("demo-client-secret");
    std::fs::write(&file, &emulator.description().client_secret)
        .map_err(|e| file_failure("the client secret of the demo", &file, &e))?;
    let world = emulator.state().world();
    let groups = world.tenant.groups.values();
    let roles = groups.filter_map(|group| {
        let (role, _) = ROLES.iter().find(|(_, name)| group.display_name.as_deref() == Some(*name))?;
        Some((*role, group.id.clone()))
    });
    Ok(FederationArgs::at(emulator.description(), file, roles))
}

/// A key for the webhook, made at random.
fn webhook_key() -> Result<String, Failure> {
    let secret = random_secret()?;
    let bytes = &secret.as_bytes()[..32.min(secret.len())];
    Ok(format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}

/// The document that a person would write for this company.
fn document(company: &Description, webhook_key: &str) -> String {
    let domain = company.admin_email.rsplit('@').next().unwrap_or_default();
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    format!(
        r#"name = "{NAME}"

[directory]                         # Microsoft Entra ID
tenant_id = "{tenant_id}"
client_id = "{client_id}"
client_secret = "{client_secret}"
authority_url = "{authority_url}"   # the emulator's; not needed for the real clouds
graph_url = "{graph_url}"

[site]                              # Jira Cloud
url = "{site_url}"
admin_email = "{admin_email}"
api_token = "{api_token}"

[scope]                             # whoever is in these groups, nested ones included
groups = ["Jira *", "Project Barometer"]

[notify.channels.mail]              # whom the service tells what needs a person
kind = "email"
host = "{mail_host}"                # the emulator's, which delivers to nobody and shows what came
port = {mail_port}
tls = "none"                        # on this machine only
from = "Entrain <entrain@acme.example>"
to = ["it@acme.example"]

[doors.access]                      # people sign in at a page, and have their access at once
name = "{company_name}"
contact = "it-help@{domain}"

[doors.token_issuance]              # Entra ID tells of each sign-in
client_id = "{client_id}"

[doors.webhook]                     # any other broker tells of it
secret = "{webhook_key}"
"#,
        company_name = capitalised(domain.split('.').next().unwrap_or_default()),
        tenant_id = company.tenant_id,
        client_id = company.client_id,
        client_secret = company.client_secret,
        authority_url = company.authority_url,
        graph_url = company.graph_url,
        site_url = company.site_url,
        admin_email = company.admin_email,
        api_token = company.api_token,
        mail_host = company.mail_host,
        mail_port = company.mail_port,
    )
}

/// The service over the demo's connection, with a key and an administrator for it.
struct Service {
    serving: Serving,
    key: SecretString,
    /// A link that signs in once.
    link: SecretString,
    password: SecretString,
}

/// Name of the demo's administrator.
const ADMINISTRATOR: &str = "Demo Administrator";

/// The demo's administrator, with a password made at random, and a link that signs in without it.
async fn administrator(store: &Store) -> Result<(SecretString, String), Failure> {
    let (password, secret) = (random_secret()?[..20].to_owned(), random_secret()?);
    let hash = hash_password(password.clone()).await?;
    let by = "entrain demo";
    // A folder that was given may have seen a demo before
    let account = if let Some(known) = store.account_named(ADMINISTRATOR).await.map_err(|e| e.failure())? {
        let change = AccountChange::Password(hash, Chosen::ByHolder);
        store.change_account(&known.id, change, by).await.map_err(|e| e.failure())?;
        known
    } else {
        let made =
            store.make_account(ADMINISTRATOR, Role::Administrator, (hash, Chosen::ByHolder), None, by).await;
        made.map_err(|e| e.failure())?
    };
    let ends =
        SystemClock.now().saturating_add(SignedDuration::from_hours(24)).unwrap_or(jiff::Timestamp::MAX);
    store.make_link(&digest(&secret), Some(&account.id), ends).await.map_err(|e| e.failure())?;
    Ok((SecretString::from(password), secret))
}

/// Brings the service up at its usual address, or at a free one.
async fn service(cx: &Context<'_>, federation: FederationArgs) -> Result<Service, Failure> {
    let store = wire::open_store(cx).await?;
    let expires = SystemClock.now().saturating_add(SignedDuration::from_hours(24));
    let expires = expires.unwrap_or(jiff::Timestamp::MAX);
    // A folder that was given may have seen a demo before
    let name = format!("entrain demo {}", SystemClock.now());
    let made = store.make_api_key(&name, Role::Administrator, expires, "entrain demo").await;
    let (_, key) = made.map_err(|e| e.failure())?;
    let (password, secret) = administrator(&store).await?;
    let usual = SocketAddr::from(([127, 0, 0, 1], 8321));
    let reach = Reach { public: None, idle: Duration::from_mins(30), federation };
    let serving = match Serving::start(store.clone(), usual, &reach).await {
        Err(failure) if failure.code == FailureCode::ListenFailed => {
            Serving::start(store, SocketAddr::from(([127, 0, 0, 1], 0)), &reach).await?
        }
        serving => serving?,
    };
    let link = SecretString::from(format!("{}/enter/{secret}", serving.url));
    Ok(Service { serving, key, link, password })
}

fn next(cx: &Context<'_>, folder: &Path, emulator: &Emulator, service: Option<(&Service, &str)>) {
    let mut page = Page::new();
    page.line("").toned(Tone::Strong, "What to try next");
    if let Some((Service { serving, key, link, password }, webhook_key)) = service {
        let (folder, url) = (folder.display(), &serving.url);
        page.line("  The company keeps running, and the service over it. Open the console; a plan waits there for you:");
        page.parts(&[
            (Tone::Normal, "    console  "),
            (Tone::Strong, link.expose_secret()),
            (Tone::Normal, "   (works once)"),
        ]);
        page.line(format!(
            "             later {url}, as “{ADMINISTRATOR}” with the password {}",
            password.expose_secret()
        ));
        page.line("             or with Microsoft, as anybody of the company: all may look, release managers may approve");
        page.line(format!("    API      {url}/api/v1   (described by {url}/api/v1/openapi.json)"));
        page.line(format!("    health   {url}/health/ready     figures  {url}/metrics"));
        let (slug, control) = (slug(NAME), &emulator.description().control_url);
        page.line("    Sign-in doors, once the connection applies (entrain connection mode, below):");
        page.line(format!("      access page     {url}/access/{slug}   sign in as anybody of the company"));
        page.line(format!("      Entra ID calls  {url}/doors/{slug}/token-issuance   let it do so:"));
        page.line(format!(
            "        curl {control}/sign-in/token-issuance -d '{{\"url\": \"{url}/doors/{slug}/token-issuance\", \"user\": \"WHO\"}}'"
        ));
        page.line(format!("      signed webhook  {url}/doors/{slug}/webhook   with the key {webhook_key}"));
        page.line("    It previews by its schedule; entrain connection mode lets it apply. A key of the API, for a day:");
        page.line(format!("    curl -H 'Authorization: Bearer {}' {url}/api/v1/runs", key.expose_secret()));
        page.line("  In another terminal:");
        page.line(format!("    entrain --data-dir {folder} plan"));
        page.line(format!("    entrain --data-dir {folder} sync"));
        page.line(format!("    entrain --data-dir {folder} runs list"));
        page.line(format!("    entrain --data-dir {folder} connection mode \"{NAME}\" apply"));
        page.line(format!("    entrain --data-dir {folder} audit verify"));
        page.line(format!("    entrain --data-dir {folder} connection export \"{NAME}\""));
        page.line(format!(
            "  What it tells people by e-mail arrives here: {}/caught",
            emulator.description().control_url
        ));
        page.line(format!(
            "  Change the company, or make its clouds fail: {}",
            emulator.description().control_url
        ));
        page.line("  Ctrl-C ends it.");
    } else {
        page.line("    entrain demo                           the same, and the console stays up for you");
        page.line(
            "    entrain emulate --people 1000 --groups 50   a larger company, for a connection of your own",
        );
        page.line("    entrain connection schema              what a connection document may say");
        page.line(
            "  For your own directory and site: write a document as the one above (no *_url lines), then",
        );
        page.line("    entrain connection add connection.toml");
        page.line("    entrain check");
        page.line("    entrain plan                           changes nothing");
    }
    cx.printer.page(&page);
}

/// A breath between two chapters; only people need it.
pub(super) async fn breath(cx: &Context<'_>) {
    if cx.terminal.out {
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
}

/// A chapter's title.
pub(super) fn chapter(cx: &Context<'_>, number: usize, title: &str) {
    let mut page = Page::new();
    page.line("").toned(Tone::Strong, format!("{number}. {title}")).line("");
    cx.printer.page(&page);
}
